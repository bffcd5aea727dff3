//! The read model of our own log: programmes, enrolments, providers and caregivers, orders with their verdicts, appeals,
//! settlements, and the entries of funds.
//!
//! The adjudicator reads what came before from here. It may lie behind these rows as well as before them, so whatever it asks
//! for bears the sequence from which it holds.

use async_trait::async_trait;
use eventlog::{Aggregate, Record};
use readmodel::{ApplyError, GivingWay, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;

use crate::adjudication::Runs;
use crate::caregiver::Caregiver;
use crate::enrolment::Enrolments;
use crate::fund::Fund;
use crate::order::Order;
use crate::order_rows::OrderRows;
use crate::programme::Programme;
use crate::provider::Provider;
use crate::register_rows::RegisterRows;
use crate::settlements::Settlements;
use crate::{fund_rows, register_rows, settlement_rows};

/// The projection's name and schema.
pub const NAME: &str = "claims_book";

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
        // What can change its days has a row for each change: the one of the highest sequence holds. Words are kept by their
        // places, -1 where there is none. No index speaks of what a verdict changes in an order, and a page has room for its orders
        // once more: so the row stays on its page, and no index learns of the change. What is looked for by its verdict has rows
        // of its own: approvals, and abnormal orders against which an appeal may still come.
        "CREATE TABLE programme (
            code text COLLATE \"C\" NOT NULL,
            version integer NOT NULL,
            division text COLLATE \"C\" NOT NULL,
            effective_from date NOT NULL,
            definition text NOT NULL,
            PRIMARY KEY (code, version)
        );
        CREATE TABLE enrolment (
            enrolment_id uuid NOT NULL,
            sequence bigint NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            elder_id uuid NOT NULL,
            first_day date NOT NULL,
            last_day date NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            PRIMARY KEY (enrolment_id, sequence)
        );
        CREATE INDEX enrolment_elder ON enrolment (elder_id, programme);
        CREATE TABLE contract (
            contract_id uuid NOT NULL,
            sequence bigint NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            name text NOT NULL,
            first_day date NOT NULL,
            last_day date,
            PRIMARY KEY (contract_id, sequence)
        );
        CREATE INDEX contract_provider ON contract (provider_id);
        CREATE TABLE caregiver (
            caregiver_id uuid NOT NULL,
            sequence bigint NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            first_day date NOT NULL,
            last_day date,
            PRIMARY KEY (caregiver_id, sequence)
        );
        CREATE TABLE service_order (
            order_key uuid PRIMARY KEY,
            sequence bigint NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            number text COLLATE \"C\" NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            elder_id uuid NOT NULL,
            caregiver_id uuid NOT NULL,
            start_at timestamptz NOT NULL,
            end_at timestamptz NOT NULL,
            day date NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            units bigint NOT NULL,
            units_a_year bigint NOT NULL,
            amount bigint NOT NULL,
            entitled_by text COLLATE \"C\" NOT NULL,
            submitted_at timestamptz NOT NULL,
            appeal_until date NOT NULL,
            registry_sequence bigint NOT NULL,
            codes integer NOT NULL,
            state integer NOT NULL,
            appeal integer NOT NULL,
            appealed_at timestamptz,
            reason integer NOT NULL,
            approved_at timestamptz
        ) WITH (fillfactor = 50);
        CREATE INDEX service_order_caregiver ON service_order (caregiver_id, start_at);
        CREATE INDEX service_order_elder ON service_order (elder_id, start_at);
        CREATE TABLE approval (
            programme text COLLATE \"C\" NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            approved_at timestamptz NOT NULL,
            order_key uuid NOT NULL,
            PRIMARY KEY (programme, provider_id, approved_at, order_key)
        );
        CREATE TABLE open_order (
            order_key uuid PRIMARY KEY,
            appeal_until date NOT NULL
        );
        CREATE TABLE evidence (
            hash bytea PRIMARY KEY,
            order_key uuid NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE TABLE conflict (
            order_key uuid NOT NULL,
            code integer NOT NULL,
            earlier uuid NOT NULL,
            PRIMARY KEY (order_key, code, earlier)
        );
        CREATE TABLE used (
            programme text COLLATE \"C\" NOT NULL,
            elder_id uuid NOT NULL,
            year integer NOT NULL,
            units bigint NOT NULL,
            PRIMARY KEY (elder_id, programme, year)
        ) WITH (fillfactor = 70);
        CREATE TABLE settlement (
            programme text COLLATE \"C\" NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            number integer NOT NULL,
            month date NOT NULL,
            stage integer NOT NULL,
            orders integer NOT NULL,
            orders_fen bigint NOT NULL,
            total_fen bigint NOT NULL,
            paid_on date,
            reference text NOT NULL,
            PRIMARY KEY (programme, provider_id, number)
        );
        CREATE TABLE settled (
            order_key uuid PRIMARY KEY,
            programme text COLLATE \"C\" NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            number integer NOT NULL
        );
        CREATE INDEX settled_settlement ON settled (programme, provider_id, number);
        CREATE TABLE adjustment (
            adjustment_id uuid PRIMARY KEY,
            order_key uuid NOT NULL,
            amount bigint NOT NULL
        );
        CREATE INDEX adjustment_order ON adjustment (order_key);
        CREATE TABLE hold (
            order_key uuid PRIMARY KEY,
            state integer NOT NULL,
            codes integer NOT NULL,
            held_at timestamptz NOT NULL
        );
        CREATE TABLE fund (
            programme text COLLATE \"C\" PRIMARY KEY,
            cash bigint NOT NULL
        );
        CREATE TABLE fund_entry (
            programme text COLLATE \"C\" NOT NULL,
            sequence bigint NOT NULL,
            place integer NOT NULL,
            at timestamptz NOT NULL,
            amount bigint NOT NULL,
            debit integer NOT NULL,
            credit integer NOT NULL,
            reference text NOT NULL,
            balance bigint NOT NULL,
            PRIMARY KEY (programme, sequence, place)
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX service_order_sequence ON service_order (sequence);
        CREATE INDEX service_order_day ON service_order (day);
        CREATE INDEX open_order_until ON open_order (appeal_until);
        CREATE INDEX hold_state ON hold (state, held_at, order_key);
        CREATE INDEX service_order_appealed ON service_order (appealed_at, order_key) WHERE appealed_at IS NOT NULL;"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let (mut orders, mut registers) = (OrderRows::default(), RegisterRows::default());
        let mut way = GivingWay::from_now();
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == Order::NAME {
                for event in read_events(record, Order::decode, &mut parked) {
                    orders.fold(record, event);
                }
            } else if aggregate == Runs::NAME {
                for event in read_events(record, Runs::decode, &mut parked) {
                    orders.fold_verdict(record, event);
                }
            } else if aggregate == Enrolments::NAME {
                for event in read_events(record, Enrolments::decode, &mut parked) {
                    registers.fold_enrolment(record, event);
                }
            } else if aggregate == Provider::NAME {
                for event in read_events(record, Provider::decode, &mut parked) {
                    register_rows::write_contract(db, record, &event).await?;
                }
            } else if aggregate == Caregiver::NAME {
                for event in read_events(record, Caregiver::decode, &mut parked) {
                    register_rows::write_caregiver(db, record, &event).await?;
                }
            } else if aggregate == Programme::NAME {
                for defined in read_events(record, Programme::decode, &mut parked) {
                    register_rows::write_programme(db, record, &defined).await?;
                }
            } else if aggregate == Fund::NAME {
                let events = read_events(record, Fund::decode, &mut parked);
                fund_rows::write(db, record, &events).await?;
            } else if aggregate == Settlements::NAME {
                // What becomes of a settlement rests on the rows of its orders.
                std::mem::take(&mut orders).write(db).await?;
                for event in read_events(record, Settlements::decode, &mut parked) {
                    settlement_rows::write(db, record, &event).await?;
                }
            } else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
            }
            way.give().await;
        }
        registers.write(db).await?;
        orders.write(db).await?;
        Ok(parked)
    }
}
