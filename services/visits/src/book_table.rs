//! The read model of our own log: visitors, records, missed duties, referrals, campaigns, and which divisions visit since
//! when.

use async_trait::async_trait;
pub(crate) use elder_tables::columns::{bits, place, set, word};
use eventlog::{Aggregate, Record};
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;

use crate::campaign::Campaign;
use crate::elder_year::ElderYear;
use crate::missed_rows::MissedRows;
use crate::record_rows::RecordRows;
use crate::referral_rows::ReferralRows;
use crate::visiting::Visiting;
use crate::visitor::Visitor;
use crate::week_plan::WeekPlan;
use crate::year_rows::YearRows;
use crate::{campaign_rows, visiting_rows, visitor_rows};

/// The projection's name and schema.
pub const NAME: &str = "visits_book";

/// Folds our own records.
#[derive(Debug, Default)]
pub struct BookTable;

#[async_trait]
impl Projection for BookTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn ddl(&self) -> &'static str {
        // What is personal stays sealed. `counted_at` is when a record began to count, NULL while it does not; `changed` is
        // the sequence that changed the row last.
        "CREATE TABLE visitor (
            visitor_id uuid PRIMARY KEY,
            kind integer NOT NULL,
            home text COLLATE \"C\" NOT NULL,
            weekly_capacity integer NOT NULL,
            modes integer NOT NULL,
            active_from date NOT NULL,
            active_until date,
            name bytea NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE TABLE pairing (
            visitor_id uuid NOT NULL,
            elder_id uuid NOT NULL,
            since date NOT NULL,
            last_day date,
            PRIMARY KEY (visitor_id, elder_id)
        );
        CREATE TABLE visiting (
            division text COLLATE \"C\" PRIMARY KEY,
            start_on date NOT NULL,
            week_closed date,
            month_closed date
        );
        CREATE TABLE record (
            record_id uuid PRIMARY KEY,
            elder_id uuid NOT NULL,
            visitor_id uuid NOT NULL,
            mode integer NOT NULL,
            result integer NOT NULL,
            start_at timestamptz NOT NULL,
            end_at timestamptz NOT NULL,
            day date NOT NULL,
            services integer NOT NULL,
            signed boolean NOT NULL,
            check_in bytea,
            remarks bytea,
            village text COLLATE \"C\" NOT NULL,
            arrived_at timestamptz NOT NULL,
            doubts integer NOT NULL,
            decision smallint NOT NULL,
            counted_at timestamptz,
            sequence bigint NOT NULL,
            changed bigint NOT NULL
        );
        CREATE TABLE year (
            elder_id uuid NOT NULL,
            year integer NOT NULL,
            sequence bigint NOT NULL,
            weeks bigint NOT NULL,
            months integer NOT NULL,
            campaigns uuid[] NOT NULL,
            PRIMARY KEY (elder_id, year)
        );
        CREATE TABLE campaign (
            campaign_id uuid PRIMARY KEY,
            division text COLLATE \"C\" NOT NULL,
            kind integer NOT NULL,
            name text NOT NULL,
            first_day date NOT NULL,
            last_day date NOT NULL,
            tiers text[] NOT NULL,
            condition text NOT NULL,
            closed boolean NOT NULL,
            duties bigint NOT NULL,
            missed bigint NOT NULL
        );
        CREATE TABLE missed (
            elder_id uuid NOT NULL,
            period text COLLATE \"C\" NOT NULL,
            tier text COLLATE \"C\" NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            blocked boolean NOT NULL,
            met_late_by uuid,
            PRIMARY KEY (elder_id, period)
        );
        CREATE TABLE referral (
            referral_id uuid PRIMARY KEY,
            elder_id uuid NOT NULL,
            record_id uuid NOT NULL,
            kind integer NOT NULL,
            note bytea,
            village text COLLATE \"C\" NOT NULL,
            day date NOT NULL,
            opened_at timestamptz NOT NULL,
            department text,
            answer bytea,
            outcome integer NOT NULL,
            sequence bigint NOT NULL
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX visitor_home ON visitor (home, visitor_id);
        CREATE INDEX record_counted ON record (elder_id, day) WHERE counted_at IS NOT NULL;
        CREATE INDEX record_elder ON record (elder_id, start_at DESC);
        CREATE INDEX record_visitor ON record (visitor_id, day);
        CREATE INDEX record_changed ON record (changed);
        CREATE INDEX record_not_at_home ON record (elder_id) WHERE result = 1;
        CREATE INDEX record_doubtful ON record (sequence, record_id) WHERE doubts <> 0;
        CREATE INDEX missed_period ON missed (period, elder_id);
        CREATE INDEX campaign_division ON campaign (division);
        CREATE INDEX referral_village ON referral (village, sequence);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let (mut kept, mut missed, mut referrals, mut years) = (
            RecordRows::default(),
            MissedRows::default(),
            ReferralRows::default(),
            YearRows::default(),
        );
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == ElderYear::NAME {
                let Some(year) = ElderYear::of_id(record.subject.id()) else {
                    let events = record.events.iter();
                    parked.extend(events.map(|event| Parked::malformed(record, event)));
                    continue;
                };
                let events = read_events(record, ElderYear::decode, &mut parked);
                for event in &events {
                    kept.fold(record, year, event);
                    missed.fold(event);
                    referrals.fold(record, year, event, &kept);
                }
                years.fold(record, year, &events);
            } else if aggregate == Visitor::NAME {
                for event in read_events(record, Visitor::decode, &mut parked) {
                    visitor_rows::write(db, record, &event).await?;
                }
            } else if aggregate == Visiting::NAME {
                for event in read_events(record, Visiting::decode, &mut parked) {
                    visiting_rows::write(db, &event).await?;
                }
            } else if aggregate == Campaign::NAME {
                for event in read_events(record, Campaign::decode, &mut parked) {
                    campaign_rows::write(db, &event).await?;
                }
            } else if aggregate == WeekPlan::NAME {
                // Plans are answered from the aggregate itself: they have no rows here.
            } else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
            }
        }
        kept.write(db).await?;
        missed.write(db).await?;
        referrals.write(db).await?;
        years.write(db).await?;
        Ok(parked)
    }
}
