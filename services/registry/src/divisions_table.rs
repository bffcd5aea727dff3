//! The read model of divisions: every county's table, by code.

use std::collections::BTreeMap;

use civic::DivisionCode;
use eventlog::{Aggregate as _, Record};
use readmodel::{ApplyError, Parked, read_events};
use sqlx::{PgConnection, PgPool, Row as _};

use crate::divisions::{Division, Divisions, Published};

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE division (
    code text COLLATE \"C\" PRIMARY KEY,
    name text NOT NULL
);
";

/// Applies the records of counties' tables, in their order; of each county the last one counts.
pub(crate) async fn apply(
    db: &mut PgConnection,
    records: &[&Record],
    parked: &mut Vec<Parked>,
) -> Result<(), ApplyError> {
    let mut counties: BTreeMap<DivisionCode, Vec<Division>> = BTreeMap::new();
    for record in records {
        let Ok(county) = record.subject.id().parse::<DivisionCode>() else {
            parked.extend(
                record
                    .events
                    .iter()
                    .map(|event| Parked::malformed(record, event)),
            );
            continue;
        };
        for Published(divisions) in read_events(record, Divisions::decode, parked) {
            counties.insert(county, divisions);
        }
    }
    for (county, divisions) in counties {
        sqlx::query("DELETE FROM division WHERE code >= $1 AND code < $2")
            .bind(county.as_str())
            .bind(county.beyond())
            .execute(&mut *db)
            .await?;
        sqlx::query(
            "INSERT INTO division (code, name) SELECT * FROM unnest($1::text[], $2::text[])",
        )
        .bind(
            divisions
                .iter()
                .map(|division| division.code.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(
            divisions
                .iter()
                .map(|division| division.name.as_str())
                .collect::<Vec<_>>(),
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The known divisions of a subtree, or all, in the order of their codes.
pub(crate) async fn list(
    pool: &PgPool,
    division: Option<&DivisionCode>,
) -> Result<Vec<Division>, sqlx::Error> {
    page(pool, division, None, usize::MAX).await
}

/// So many of them after a code.
pub(crate) async fn page(
    pool: &PgPool,
    division: Option<&DivisionCode>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Division>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT code, name FROM registry_elders.division \
         WHERE ($1::text IS NULL OR code >= $1 AND code < $2) AND code > $3 ORDER BY code LIMIT $4",
    )
    .bind(division.map(DivisionCode::as_str))
    .bind(division.map(DivisionCode::beyond))
    .bind(after.unwrap_or_default())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let code: &str = row.try_get(0)?;
            let code = code
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok(Division {
                code,
                name: row.try_get(1)?,
            })
        })
        .collect()
}
