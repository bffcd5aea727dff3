//! What a calendar year's entitlement is by each version of a programme (年度额度).

use chrono::NaiveDate;
use civic::EntitlementUnit;
use elder_tables::columns::place;
use elders::wire::{self, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use serde::Deserialize;
use sqlx::PgConnection;

use super::short_name;
use crate::feeds::changes::Which;
use crate::products::ProductName;

/// A version of a programme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defined {
    version: i32,
    effective_from: NaiveDate,
    quota: Quota,
}

/// The entitlement of a calendar year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// What is counted.
    pub(crate) unit: EntitlementUnit,
    /// How many.
    pub(crate) units: i64,
}

/// Of a definition, as `DefineProgrammeRequest` describes it, what is kept here. Whether all of it is right claims have seen to.
#[derive(Deserialize)]
struct Definition {
    quota: Written,
}

#[derive(Deserialize)]
struct Written {
    services: Option<i64>,
    minutes: Option<i64>,
}

pub(super) fn decode(raw: &RawEvent) -> Result<Defined, DecodeError> {
    match short_name(raw)? {
        "ProgrammeDefined" => {
            let said: pb::ProgrammeDefined = message(raw)?;
            Ok(Defined {
                version: said.version,
                effective_from: wire::day(said.effective_from, "effective_from")?.date(),
                quota: quota(&said.definition)
                    .ok_or_else(|| DecodeError::malformed("definition"))?,
            })
        }
        _ => Err(DecodeError::unknown(raw)),
    }
}

fn quota(definition: &str) -> Option<Quota> {
    let Definition { quota } = serde_saphyr::from_str(definition).ok()?;
    let (unit, units) = match (quota.services, quota.minutes) {
        (Some(services), None) => (EntitlementUnit::Services, services),
        (None, Some(minutes)) => (EntitlementUnit::Minutes, minutes),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some(Quota { unit, units })
}

impl Defined {
    /// Which documents it changes: enrolments whose year's entitlement it sets otherwise.
    pub(super) fn changes(&self, programme: &str) -> (ProductName, Which) {
        let which = Which::Version {
            programme: programme.to_owned(),
            version: self.version,
        };
        (ProductName::Enrolment, which)
    }

    /// Writes it; there are few of these.
    pub(super) async fn write(
        &self,
        db: &mut PgConnection,
        record: &Record,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO programme (code, version, effective_from, unit, units) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
        )
        .persistent(false)
        .bind(record.subject.id())
        .bind(self.version)
        .bind(self.effective_from)
        .bind(place(self.quota.unit))
        .bind(self.quota.units)
        .execute(db)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use elders::codec::write_day;

    use super::*;

    /// Definitions that claims take.
    const LTCI: &str = include_str!("../../../claims/tests/programmes/ltci.yaml");
    const HOMECARE: &str = include_str!("../../../claims/tests/programmes/homecare.yaml");

    fn defined(definition: &str) -> Result<Defined, DecodeError> {
        decode(&RawEvent::of(&pb::ProgrammeDefined {
            version: 2,
            division_code: "350524".to_owned(),
            effective_from: Some(write_day("2024-07-01".parse().unwrap())),
            definition: definition.to_owned(),
        }))
    }

    #[test]
    fn a_year_has_services_or_minutes() {
        let read = |definition: &str| defined(definition).unwrap().quota;
        let quota = |unit, units| Quota { unit, units };
        assert_eq!(read(LTCI), quota(EntitlementUnit::Services, 12));
        assert_eq!(read(HOMECARE), quota(EntitlementUnit::Minutes, 2_880));
    }

    #[test]
    fn a_definition_that_does_not_say_how_much_is_malformed() {
        for definition in [
            "",
            "name: 护理险",
            "quota: {}",
            "quota: {services: 1, minutes: 2}",
        ] {
            let read = defined(definition);
            assert_eq!(read, Err(DecodeError::malformed("definition")));
        }
    }
}
