//! The read model of visits' log: what was recorded, doubted, decided and found at visits, which duties were missed and how many
//! were met, and who has to visit.

mod misses;
mod owing;
mod records;

use async_trait::async_trait;
use civic::{DivisionCode, Doubt, ElderId, FindingKind, LocalDay, Set};
use elders::terms::set_from_wire;
use elders::wire::{self, id, term, village};
use eventlog::{DecodeError, RawEvent, Record};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

pub(crate) use self::misses::missed;
pub(crate) use self::owing::met_in_time;
pub(crate) use self::records::{VisitRow, by_key, of_all, of_asked, visited, whose};

use self::misses::{Duty, Miss, MissedRows, read_duty};
use self::owing::OwingRows;
use self::records::{CONFIRMED, REJECTED, Recorded, VisitRows, recorded};

use crate::feeds::changes::{Change, Which, of_events};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_visits";

/// The aggregates whose events are kept: elders' years.
const YEAR: &str = "year";
/// Divisions that visit their elders.
const VISITING: &str = "visiting";
/// The other aggregates of the log, which say nothing of elders' visits.
const OTHERS: [&str; 3] = ["visitor", "campaign", "plan"];

/// Folds visits' records.
#[derive(Debug, Default)]
pub struct VisitsTable;

#[async_trait]
impl Projection for VisitsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn ddl(&self) -> &'static str {
        // What is personal stays sealed. Words are kept by their places: a record counts where the elder was met (0), and it
        // was confirmed (1), or nobody doubts it. Of a week or a month the campaign is the nil UUID. Of duties that were met
        // when their periods closed it is enough to know how many there were.
        "CREATE TABLE record (
            record_id uuid PRIMARY KEY,
            elder_id uuid NOT NULL,
            visitor_id uuid NOT NULL,
            mode integer NOT NULL,
            result integer NOT NULL,
            start_at timestamptz NOT NULL,
            end_at timestamptz NOT NULL,
            day date NOT NULL,
            services integer NOT NULL,
            remarks bytea,
            village text COLLATE \"C\" NOT NULL,
            findings integer NOT NULL,
            doubts integer NOT NULL,
            decision smallint NOT NULL,
            counted boolean NOT NULL GENERATED ALWAYS AS
                (result = 0 AND (decision = 1 OR decision = 0 AND doubts = 0)) STORED
        );
        CREATE TABLE missed (
            elder_id uuid NOT NULL,
            kind text COLLATE \"C\" NOT NULL,
            first_day date NOT NULL,
            campaign_id uuid NOT NULL,
            last_day date NOT NULL,
            tier text COLLATE \"C\" NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            met_late boolean NOT NULL,
            PRIMARY KEY (elder_id, kind, first_day, campaign_id)
        );
        CREATE TABLE met (
            last_day date NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            duties bigint NOT NULL,
            PRIMARY KEY (last_day, village)
        );
        CREATE TABLE visiting (
            division text COLLATE \"C\" PRIMARY KEY,
            start_on date NOT NULL
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX record_elder ON record (elder_id, start_at DESC);
        CREATE INDEX record_day ON record (day, village, elder_id) WHERE counted;
        CREATE INDEX record_met ON record (elder_id, day) WHERE counted;
        CREATE INDEX missed_day ON missed (last_day, village);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let (mut visits, mut missed) = (VisitRows::default(), MissedRows::default());
        let mut owing = OwingRows::default();
        for record in records {
            let aggregate = record.subject.aggregate();
            if OTHERS.contains(&aggregate) {
                continue;
            }
            if aggregate == VISITING {
                let told = read_events(record, owing::decode, &mut parked);
                for started in told.into_iter().flatten() {
                    owing.started(started);
                }
                continue;
            }
            if aggregate != YEAR {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
                continue;
            }
            let Some(elder) = elder_of_year(record.subject.id()) else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::malformed(record, event)));
                continue;
            };
            for told in read_events(record, decode, &mut parked) {
                match told {
                    Told::Recorded(recorded) => visits.recorded(*recorded),
                    Told::Doubted { record, doubts } => {
                        let change = visits.change(record, elder);
                        change.doubts = change.doubts.union(doubts);
                    }
                    Told::Decided { record, decision } => {
                        visits.change(record, elder).decide(decision);
                    }
                    Told::Found { record, finding } => {
                        visits.change(record, elder).findings.insert(finding);
                    }
                    Told::Missed(duty, miss) => missed.missed(duty, miss),
                    Told::Met(last) => owing.met(last, record.metadata.division.as_deref()),
                    Told::MetLate(duty) => missed.met_late(duty),
                    Told::Nothing => {}
                }
            }
        }
        visits.write(db).await?;
        missed.write(db).await?;
        owing.write(db).await?;
        Ok(parked)
    }
}

/// Which documents a record changes: the visits that its events tell of. Duties, and what becomes of findings, are none.
pub(crate) fn changes(record: &Record) -> Vec<Change> {
    let year = record.subject.aggregate() == YEAR;
    if !year || elder_of_year(record.subject.id()).is_none() {
        return Vec::new();
    }
    of_events(record, |raw| {
        let visit = match decode(raw)? {
            Told::Recorded(recorded) => Some(recorded.record),
            Told::Doubted { record, .. }
            | Told::Decided { record, .. }
            | Told::Found { record, .. } => Some(record),
            Told::Missed(..) | Told::Met(_) | Told::MetLate(_) | Told::Nothing => None,
        };
        Ok(visit.map(|visit| (ProductName::Visit, Which::One(visit))))
    })
}

/// The elder of a year, which is named `<elder id>-<year>`.
fn elder_of_year(id: &str) -> Option<ElderId> {
    let (elder, _year) = id.rsplit_once('-')?;
    elder.parse().ok()
}

/// What an event says, as far as it is kept.
#[derive(Debug, PartialEq)]
enum Told {
    Recorded(Box<Recorded>),
    Doubted {
        record: Uuid,
        doubts: Set<Doubt>,
    },
    Decided {
        record: Uuid,
        decision: i16,
    },
    Found {
        record: Uuid,
        finding: FindingKind,
    },
    Missed(Duty, Miss),
    /// A duty of a period that ended on this day was met when that closed.
    Met(LocalDay),
    MetLate(Duty),
    /// Nothing that is kept.
    Nothing,
}

fn decode(raw: &RawEvent) -> Result<Told, DecodeError> {
    let name = raw.event_type.as_str();
    if name == pb::VisitRecorded::full_name() {
        Ok(Told::Recorded(Box::new(recorded(wire::message(raw)?)?)))
    } else if name == pb::RecordDoubted::full_name() {
        let message: pb::RecordDoubted = wire::message(raw)?;
        Ok(Told::Doubted {
            record: id(&message.record_id, "record_id")?,
            doubts: set_from_wire(&message.doubts)
                .map_err(|_index| DecodeError::malformed("doubts"))?,
        })
    } else if name == pb::RecordConfirmed::full_name() {
        let message: pb::RecordConfirmed = wire::message(raw)?;
        Ok(Told::Decided {
            record: id(&message.record_id, "record_id")?,
            decision: CONFIRMED,
        })
    } else if name == pb::RecordRejected::full_name() {
        let message: pb::RecordRejected = wire::message(raw)?;
        Ok(Told::Decided {
            record: id(&message.record_id, "record_id")?,
            decision: REJECTED,
        })
    } else if name == pb::ReferralOpened::full_name() {
        let message: pb::ReferralOpened = wire::message(raw)?;
        let finding = wire::present(message.finding, "finding")?;
        Ok(Told::Found {
            record: id(&message.record_id, "record_id")?,
            finding: term(finding.kind, "kind")?,
        })
    } else if name == pb::VisitMissed::full_name() {
        let message: pb::VisitMissed = wire::message(raw)?;
        let (duty, last) = read_duty(&message.elder_id, message.period)?;
        let miss = Miss {
            last,
            tier: message.tier,
            village: village(&message.division_code)?,
        };
        Ok(Told::Missed(duty, miss))
    } else if name == pb::DutyMet::full_name() {
        let message: pb::DutyMet = wire::message(raw)?;
        let (duty, last) = read_duty(&message.elder_id, message.period)?;
        Ok(if message.late {
            Told::MetLate(duty)
        } else {
            Told::Met(last)
        })
    } else if name == pb::ReferralAnswered::full_name() || name == pb::ReferralClosed::full_name() {
        Ok(Told::Nothing)
    } else {
        Err(DecodeError::unknown(raw))
    }
}

async fn count(
    db: impl PgExecutor<'_>,
    statement: String,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(first.date())
        .bind(last.date())
        .fetch_one(db)
        .await?;
    row.try_get(0)
}

#[cfg(test)]
mod tests {
    use elders::codec::write_day;

    use super::*;

    fn elder() -> ElderId {
        ElderId(Uuid::from_u128(1))
    }

    fn period(kind: pb::PeriodKind, first: &str) -> pb::Period {
        pb::Period {
            kind: kind.into(),
            first_day: Some(write_day(first.parse().unwrap())),
            ..pb::Period::default()
        }
    }

    #[test]
    fn a_year_names_its_elder() {
        let id = format!("{}-2024", elder());
        assert_eq!(elder_of_year(&id), Some(elder()));
        assert_eq!(elder_of_year("2024"), None);
    }

    #[test]
    fn a_missed_month_ends_on_its_last_day() {
        let raw = RawEvent::of(&pb::VisitMissed {
            elder_id: elder().to_string(),
            period: Some(period(pb::PeriodKind::Month, "2024-10-01")),
            tier: "GENERAL".to_owned(),
            division_code: "350524100001".to_owned(),
            blocked_by_consent: false,
        });
        let duty = Duty {
            elder: elder(),
            kind: "MONTH",
            first: "2024-10-01".parse().unwrap(),
            campaign: Uuid::nil(),
        };
        let miss = Miss {
            last: "2024-10-31".parse().unwrap(),
            tier: "GENERAL".to_owned(),
            village: "350524100001".parse().unwrap(),
        };
        assert_eq!(decode(&raw), Ok(Told::Missed(duty, miss)));
    }
}
