//! The read model of our own log: the tier of each elder, and the policies with their versions.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use civic::{ElderId, LocalDay, Set, Term, VillageCode, VisitMode};
use eventlog::{Aggregate, Record};
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::evaluate::{Assignment, Jurisdiction, PolicyRef};
use crate::policy::Interval;
use crate::policy_book::{self, PolicyBook};
use crate::policy_comparison::PolicyComparison;
use crate::tier::{self, Tier};

/// The projection's name and schema.
pub const NAME: &str = "tiering_tiers";

/// Folds our own records.
#[derive(Debug, Default)]
pub struct TiersTable;

#[async_trait]
impl Projection for TiersTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    // An ended tier keeps its row, without a tier: the next decision expects its sequence.
    fn ddl(&self) -> &'static str {
        "CREATE TABLE tier (
            elder_id uuid PRIMARY KEY,
            tier text COLLATE \"C\",
            reasons text[] NOT NULL,
            visit_interval smallint NOT NULL,
            modes integer NOT NULL,
            policy_division text COLLATE \"C\" NOT NULL,
            policy_version bigint NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            on_day date NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE TABLE policy (
            division text COLLATE \"C\" NOT NULL,
            version bigint NOT NULL,
            yaml text NOT NULL,
            on_day date NOT NULL,
            published_at timestamptz NOT NULL,
            published_by text NOT NULL,
            sequence bigint NOT NULL,
            record_id uuid NOT NULL,
            correlation_id uuid NOT NULL,
            traceparent text,
            PRIMARY KEY (division, version)
        );
        CREATE INDEX policy_sequence ON policy (sequence);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut tiers = Tiers::default();
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == Tier::NAME {
                tiers.fold(record, &mut parked);
            } else if aggregate == PolicyBook::NAME {
                for event in read_events(record, PolicyBook::decode, &mut parked) {
                    write_policy(db, record, event).await?;
                }
            } else if aggregate == PolicyComparison::NAME {
                // It tells nothing that a policy's own record does not.
                read_events(record, PolicyComparison::decode, &mut parked);
            } else {
                parked.extend(
                    record
                        .events
                        .iter()
                        .map(|event| Parked::unknown_type(record, event)),
                );
            }
        }
        tiers.write(db).await?;
        Ok(parked)
    }
}

async fn write_policy(
    db: &mut PgConnection,
    record: &Record,
    event: policy_book::Event,
) -> Result<(), ApplyError> {
    let policy_book::Event::Published {
        jurisdiction,
        version,
        yaml,
        on,
    } = event;
    sqlx::query(
        "INSERT INTO policy (division, version, yaml, on_day, published_at, published_by, sequence, \
         record_id, correlation_id, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(jurisdiction.as_str())
    .bind(version.cast_signed())
    .bind(yaml)
    .bind(on.date())
    .bind(record.metadata.time)
    .bind(&record.metadata.actor)
    .bind(record.sequence.cast_signed())
    .bind(record.metadata.id)
    .bind(record.metadata.correlation_id)
    .bind(&record.metadata.traceparent)
    .execute(db)
    .await?;
    Ok(())
}

/// The tiers that a batch changes: of each the last event, and the sequence of the last record.
#[derive(Default)]
struct Tiers(HashMap<ElderId, (Option<tier::Event>, u64)>);

impl Tiers {
    fn fold(&mut self, record: &Record, parked: &mut Vec<Parked>) {
        let Ok(elder) = record.subject.id().parse::<ElderId>() else {
            parked.extend(
                record
                    .events
                    .iter()
                    .map(|event| Parked::malformed(record, event)),
            );
            return;
        };
        // Each event bears all that follows from it, so that what was before need not be known. A record that can't be
        // read moves the sequence all the same: the next decision expects it.
        let (last, sequence) = self.0.entry(elder).or_default();
        *sequence = record.sequence;
        if let Some(event) = read_events(record, Tier::decode, parked).pop() {
            *last = Some(event);
        }
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        let (mut rows, mut moved) = (Columns::default(), (Vec::new(), Vec::new()));
        for (elder, (last, sequence)) in self.0 {
            match last {
                Some(
                    tier::Event::Assigned { assignment, on, .. }
                    | tier::Event::Changed { assignment, on, .. },
                ) => {
                    rows.given(elder, &assignment, on, sequence);
                }
                Some(tier::Event::Ended { on, .. }) => rows.ended(elder, on, sequence),
                None => {
                    moved.0.push(elder.as_uuid());
                    moved.1.push(sequence.cast_signed());
                }
            }
        }
        rows.write(db).await?;
        if !moved.0.is_empty() {
            sqlx::query(
                "UPDATE tier SET sequence = moved.sequence FROM unnest($1::uuid[], $2::bigint[]) \
                 AS moved (elder_id, sequence) WHERE tier.elder_id = moved.elder_id",
            )
            .bind(&moved.0)
            .bind(&moved.1)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

/// Rows as arrays.
#[derive(Default)]
struct Columns {
    elders: Vec<Uuid>,
    tiers: Vec<Option<String>>,
    reasons: Vec<String>,
    intervals: Vec<i16>,
    modes: Vec<i32>,
    divisions: Vec<String>,
    versions: Vec<i64>,
    villages: Vec<String>,
    days: Vec<NaiveDate>,
    sequences: Vec<i64>,
}

impl Columns {
    fn given(&mut self, elder: ElderId, assignment: &Assignment, on: LocalDay, sequence: u64) {
        self.elders.push(elder.as_uuid());
        self.tiers.push(Some(assignment.tier.clone()));
        // Names of rules have no spaces.
        self.reasons.push(assignment.reasons.join(" "));
        self.intervals.push(stored_interval(assignment.interval));
        self.modes.push(stored_modes(assignment.modes));
        self.divisions
            .push(assignment.policy.jurisdiction.to_string());
        self.versions.push(assignment.policy.version.cast_signed());
        self.villages.push(assignment.village.to_string());
        self.days.push(on.date());
        self.sequences.push(sequence.cast_signed());
    }

    /// Nothing of what the tier was stays.
    fn ended(&mut self, elder: ElderId, on: LocalDay, sequence: u64) {
        self.elders.push(elder.as_uuid());
        self.tiers.push(None);
        self.reasons.push(String::new());
        self.intervals.push(0);
        self.modes.push(0);
        self.divisions.push(String::new());
        self.versions.push(0);
        self.villages.push(String::new());
        self.days.push(on.date());
        self.sequences.push(sequence.cast_signed());
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if self.elders.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO tier (elder_id, tier, reasons, visit_interval, modes, policy_division, policy_version, village, on_day, sequence) \
             SELECT elder_id, tier, string_to_array(reasons, ' '), visit_interval, modes, policy_division, policy_version, village, on_day, sequence \
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::text[], $7::bigint[], $8::text[], $9::date[], $10::bigint[]) \
             AS row (elder_id, tier, reasons, visit_interval, modes, policy_division, policy_version, village, on_day, sequence) \
             ON CONFLICT (elder_id) DO UPDATE SET tier = excluded.tier, reasons = excluded.reasons, \
             visit_interval = excluded.visit_interval, modes = excluded.modes, policy_division = excluded.policy_division, \
             policy_version = excluded.policy_version, village = excluded.village, on_day = excluded.on_day, sequence = excluded.sequence",
        )
        .bind(&self.elders)
        .bind(&self.tiers)
        .bind(&self.reasons)
        .bind(&self.intervals)
        .bind(&self.modes)
        .bind(&self.divisions)
        .bind(&self.versions)
        .bind(&self.villages)
        .bind(&self.days)
        .bind(&self.sequences)
        .execute(db)
        .await?;
        Ok(())
    }
}

fn stored_interval(interval: Interval) -> i16 {
    match interval {
        Interval::Weekly => 1,
        Interval::Monthly => 2,
    }
}

fn stored_modes(modes: Set<VisitMode>) -> i32 {
    modes.iter().fold(0, |bits, mode| bits | 1 << mode.index())
}

/// A row of the table as it is asked for: `elder_id, tier, reasons, visit_interval, modes, policy_division,
/// policy_version, village, on_day, sequence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRow {
    /// The elder.
    pub elder: ElderId,
    /// The tier.
    pub tier: Tier,
    /// The sequence of the last record about it.
    pub sequence: u64,
}

impl TierRow {
    /// The columns, in the order in which [`TierRow::of`] reads them; `t` is the table.
    pub const COLUMNS: &'static str = "t.elder_id, t.tier, t.reasons, t.visit_interval, t.modes, t.policy_division, \
                                       t.policy_version, t.village, t.on_day, t.sequence";

    /// Reads a row.
    ///
    /// # Errors
    /// The database's; a column that holds what we never write.
    pub fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let tier: Option<String> = row.try_get(1)?;
        let on: NaiveDate = row.try_get(8)?;
        let on = LocalDay::try_from(on).map_err(|_day| strange("on_day"))?;
        let tier = match tier {
            None => Tier::Ended(on),
            Some(tier) => {
                let modes: i32 = row.try_get(4)?;
                let assignment = Assignment {
                    tier,
                    reasons: row.try_get(2)?,
                    interval: match row.try_get::<i16, _>(3)? {
                        1 => Interval::Weekly,
                        _ => Interval::Monthly,
                    },
                    modes: VisitMode::ALL
                        .iter()
                        .copied()
                        .filter(|mode| modes & (1 << mode.index()) != 0)
                        .collect(),
                    policy: PolicyRef {
                        jurisdiction: row
                            .try_get::<&str, _>(5)?
                            .parse()
                            .map_err(|_code| strange("policy_division"))?,
                        version: row.try_get::<i64, _>(6)?.cast_unsigned(),
                    },
                    village: row
                        .try_get::<&str, _>(7)?
                        .parse::<VillageCode>()
                        .map_err(|_code| strange("village"))?,
                };
                Tier::Given(Box::new(assignment), on)
            }
        };
        Ok(Self {
            elder: ElderId(row.try_get(0)?),
            tier,
            sequence: row.try_get::<i64, _>(9)?.cast_unsigned(),
        })
    }
}

fn strange(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} holds what is never written").into())
}

/// A published policy as the table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Whose, and which version.
    pub policy: PolicyRef,
    /// As it was published.
    pub yaml: String,
    /// The first day on which it holds.
    pub on: LocalDay,
    /// When.
    pub published_at: DateTime<Utc>,
    /// By whom.
    pub published_by: String,
    /// The sequence of its record.
    pub sequence: u64,
}

impl PolicyRow {
    /// The columns, in the order in which [`PolicyRow::of`] reads them.
    pub const COLUMNS: &'static str =
        "division, version, yaml, on_day, published_at, published_by, sequence";

    /// Reads a row.
    ///
    /// # Errors
    /// The database's; a column that holds what we never write.
    pub fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let on: NaiveDate = row.try_get(3)?;
        Ok(Self {
            policy: PolicyRef {
                jurisdiction: row
                    .try_get::<&str, _>(0)?
                    .parse::<Jurisdiction>()
                    .map_err(|_code| strange("division"))?,
                version: row.try_get::<i64, _>(1)?.cast_unsigned(),
            },
            yaml: row.try_get(2)?,
            on: LocalDay::try_from(on).map_err(|_day| strange("on_day"))?,
            published_at: row.try_get(4)?,
            published_by: row.try_get(5)?,
            sequence: row.try_get::<i64, _>(6)?.cast_unsigned(),
        })
    }
}
