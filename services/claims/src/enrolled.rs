//! Who is enrolled on a day (参保名单): counted and listed from the same rows, so that each figure has its list.

use chrono::NaiveDate;
use civic::{DivisionCode, LocalDay};
use elder_tables::columns::day;
use elders::codec::write_day;
use proto::eldercare::claims::v1 as pb;
use service::{Caller, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::book_table::NAME;
use crate::claims::Claims;

/// Who is counted and listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) programme: String,
    /// None: today.
    pub(crate) on: Option<LocalDay>,
}

/// After which one a page begins: the elder and the enrolment; and of which day all pages are, also those that are asked for after
/// midnight.
pub(crate) type Cursor = (LocalDay, (Uuid, Uuid));

/// What is told of an elder who is enrolled.
const ENROLMENT: &[&str] = &[
    "enrolment.enrolment_id",
    "enrolment.programme_code",
    "enrolment.first_day",
    "enrolment.last_day",
];

/// The enrolments of a programme, `$1`, that hold on a day, `$2`, of those who lived between two divisions, `$3` and `$4`, when
/// they were enrolled: each as its last record has it, from an elder, `$5`, on.
fn from_enrolments() -> String {
    format!(
        "(SELECT DISTINCT ON (elder_id, enrolment_id) elder_id, enrolment_id, village, first_day, last_day \
             FROM {NAME}.enrolment WHERE programme = $1 AND elder_id >= $5 \
             ORDER BY elder_id, enrolment_id, sequence DESC) AS newest \
         WHERE $2 BETWEEN first_day AND last_day AND village >= $3 AND village < $4"
    )
}

impl Claims {
    /// How many elders are enrolled.
    pub(crate) async fn enrolled(&self, filter: &Filter) -> Result<i64, sqlx::Error> {
        let on = filter.on.unwrap_or_else(|| self.clock.today());
        let statement = format!("SELECT count(DISTINCT elder_id) FROM {}", from_enrolments());
        sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(&filter.programme)
            .bind(on.date())
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(Uuid::nil())
            .fetch_one(&self.pool)
            .await
    }

    /// A page of enrolments, by elder, and the cursor of the next one.
    pub(crate) async fn list_enrolments(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::Enrolment>, Option<Cursor>), Status> {
        caller.may_where_asked(&filter.division)?;
        let (begun, after) = after.unzip();
        let on = begun.or(filter.on).unwrap_or_else(|| self.clock.today());
        let (elder, enrolment) = after.unwrap_or_default();
        let statement = format!(
            "SELECT elder_id, enrolment_id, first_day, last_day FROM {} AND (elder_id, enrolment_id) > ($5, $6) \
             ORDER BY elder_id, enrolment_id LIMIT $7",
            from_enrolments()
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&filter.programme)
            .bind(on.date())
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(elder)
            .bind(enrolment)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let enrolments = rows.iter().map(|row| read(row, &filter.programme));
        let enrolments = enrolments.collect::<Result<Vec<_>, sqlx::Error>>();
        let mut enrolments = enrolments.map_err(errors::of_database)?;
        let next = paging::cut(&mut enrolments, size).map(|(last, _)| (on, *last));
        let enrolments: Vec<pb::Enrolment> = enrolments.into_iter().map(|(_, one)| one).collect();
        let told = enrolments.iter().map(|one| &one.elder_id);
        caller.told("ListEnrolments", told, ENROLMENT).await?;
        Ok((enrolments, next))
    }
}

fn read(row: &PgRow, programme: &str) -> Result<((Uuid, Uuid), pb::Enrolment), sqlx::Error> {
    let (elder, enrolment): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let (first, last): (NaiveDate, NaiveDate) = (row.try_get(2)?, row.try_get(3)?);
    let told = pb::Enrolment {
        enrolment_id: enrolment.to_string(),
        programme_code: programme.to_owned(),
        elder_id: elder.to_string(),
        first_day: Some(write_day(day(first)?)),
        last_day: Some(write_day(day(last)?)),
    };
    Ok(((elder, enrolment), told))
}
