//! Who is enrolled, contracted and listed, as the read model of our own log has it.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use civic::ElderId;
use elder_tables::columns::day;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::adjudication::{Days, Registers, Served};
use crate::book_table::NAME;
use crate::enrolment::Spell;

/// Later than all records: what the registers say now is asked for.
pub(crate) const NOW: i64 = i64::MAX;

/// Of whom the registers are asked.
#[derive(Debug, Default)]
pub(crate) struct Whom {
    pub(crate) elders: Vec<Uuid>,
    pub(crate) providers: Vec<String>,
    pub(crate) caregivers: Vec<Uuid>,
}

impl Whom {
    /// Those of whom services tell.
    pub(crate) fn of<'a>(services: impl IntoIterator<Item = &'a Served>) -> Self {
        let mut whom = Self::default();
        for served in services {
            whom.elders.push(served.elder.as_uuid());
            whom.providers.push(served.provider.clone());
            whom.caregivers.push(served.caregiver);
        }
        whom.each_once()
    }

    /// The same, each once.
    pub(crate) fn each_once(mut self) -> Self {
        for ids in [&mut self.elders, &mut self.caregivers] {
            ids.sort_unstable();
            ids.dedup();
        }
        self.providers.sort_unstable();
        self.providers.dedup();
        self
    }
}

/// What the registers say of some up to a sequence.
pub(crate) async fn registers(
    db: &mut PgConnection,
    whom: &Whom,
    before: i64,
) -> Result<Registers, sqlx::Error> {
    Ok(Registers {
        enrolments: enrolments(db, &whom.elders, before).await?,
        contracts: contracts(db, &whom.providers, before).await?,
        caregivers: caregivers(db, &whom.caregivers, before).await?,
    })
}

async fn enrolments(
    db: &mut PgConnection,
    elders: &[Uuid],
    before: i64,
) -> Result<HashMap<(String, ElderId), Vec<Spell>>, sqlx::Error> {
    let mut enrolments: HashMap<(String, ElderId), Vec<Spell>> = HashMap::new();
    if elders.is_empty() {
        return Ok(enrolments);
    }
    let statement = format!(
        "SELECT DISTINCT ON (elder_id, programme, enrolment_id) programme, elder_id, enrolment_id, first_day, last_day \
         FROM {NAME}.enrolment WHERE elder_id = ANY($1) AND sequence <= $2 \
         ORDER BY elder_id, programme, enrolment_id, sequence DESC"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elders)
        .bind(before)
        .fetch_all(db)
        .await?;
    for row in rows {
        let spell = Spell {
            enrolment: row.try_get(2)?,
            first: day(row.try_get(3)?)?,
            last: day(row.try_get(4)?)?,
        };
        let whose = (row.try_get(0)?, ElderId(row.try_get(1)?));
        enrolments.entry(whose).or_default().push(spell);
    }
    Ok(enrolments)
}

async fn contracts(
    db: &mut PgConnection,
    providers: &[String],
    before: i64,
) -> Result<HashMap<(String, String), BTreeMap<Uuid, Days>>, sqlx::Error> {
    let mut contracts = HashMap::new();
    if providers.is_empty() {
        return Ok(contracts);
    }
    let statement = format!(
        "SELECT DISTINCT ON (provider_id, contract_id) provider_id, programme, contract_id, first_day, last_day \
         FROM {NAME}.contract WHERE provider_id = ANY($1) AND sequence <= $2 \
         ORDER BY provider_id, contract_id, sequence DESC"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(providers)
        .bind(before)
        .fetch_all(db)
        .await?;
    for row in rows {
        let whose: (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let days = days(&row, 3)?;
        let of_provider: &mut BTreeMap<Uuid, Days> = contracts.entry(whose).or_default();
        of_provider.insert(row.try_get(2)?, days);
    }
    Ok(contracts)
}

async fn caregivers(
    db: &mut PgConnection,
    caregivers: &[Uuid],
    before: i64,
) -> Result<HashMap<Uuid, (String, Days)>, sqlx::Error> {
    if caregivers.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = format!(
        "SELECT DISTINCT ON (caregiver_id) caregiver_id, provider_id, first_day, last_day FROM {NAME}.caregiver \
         WHERE caregiver_id = ANY($1) AND sequence <= $2 ORDER BY caregiver_id, sequence DESC"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(caregivers)
        .bind(before)
        .fetch_all(db)
        .await?;
    let caregiver = |row: &PgRow| Ok((row.try_get(0)?, (row.try_get(1)?, days(row, 2)?)));
    rows.iter().map(caregiver).collect()
}

fn days(row: &PgRow, column: usize) -> Result<Days, sqlx::Error> {
    let last: Option<NaiveDate> = row.try_get(column + 1)?;
    Ok(Days {
        first: day(row.try_get(column)?)?,
        last: last.map(day).transpose()?,
    })
}
