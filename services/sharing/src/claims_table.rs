//! The read model of the log of claims: service orders with what became of them, enrolments, what a year's entitlement is and what is
//! used of it, and the sums of funds (工单、参保与基金). Of orders and funds it also knows how they stood at the end of each day.

mod enrolments;
mod funds;
mod order_days;
mod orders;
mod payments;
mod programmes;
mod settlements;

use async_trait::async_trait;
use eventlog::{DecodeError, RawEvent, Record};
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;

pub(crate) use self::enrolments::{
    EnrolmentRow, enrolments_by_key, enrolments_of_all, enrolments_of_asked, whose_enrolments,
};
pub(crate) use self::funds::{FundSums, funds};
pub(crate) use self::order_days::{OrderCount, order_counts};
pub(crate) use self::orders::{
    OrderRow, orders_by_key, orders_of_all, orders_of_asked, whose_orders,
};

use self::enrolments::Enrolments;
use self::funds::Funds;
use self::orders::Orders;

use crate::feeds::changes::{Change, of_events};

/// The projection's name and schema.
pub const NAME: &str = "sharing_claims";

/// What the names of all events of the log begin with.
const PACKAGE: &str = "eldercare.claims.v1.";

/// The aggregates that tell of other things.
const OTHERS: [&str; 2] = ["provider", "caregiver"];

/// Folds the records of claims.
#[derive(Debug, Default)]
pub struct ClaimsTable;

#[async_trait]
impl Projection for ClaimsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn ddl(&self) -> &'static str {
        // Words are kept by their places. `settled` says in which settlement an order is now. Of an order's stage `since` is the
        // first day; what a day changed of a division's orders is an `order_day`, by the first day of the service's month.
        // Of a `payment` the fund tells all but `confirmed_on` and `paid_on`.
        "CREATE TABLE service_order (
            order_key uuid PRIMARY KEY,
            sequence bigint NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            order_id text COLLATE \"C\" NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            elder_id uuid NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            day date NOT NULL,
            stage integer NOT NULL,
            codes integer NOT NULL,
            amount bigint NOT NULL,
            paid_on date,
            since date NOT NULL
        ) WITH (fillfactor = 70);
        CREATE TABLE order_day (
            division text COLLATE \"C\" NOT NULL,
            month date NOT NULL,
            on_day date NOT NULL,
            stage integer NOT NULL,
            orders bigint NOT NULL,
            amount bigint NOT NULL,
            PRIMARY KEY (division, month, on_day, stage)
        ) WITH (fillfactor = 70);
        CREATE TABLE settled (
            order_key uuid PRIMARY KEY,
            settlements text COLLATE \"C\" NOT NULL,
            number integer NOT NULL
        );
        CREATE INDEX settled_settlement ON settled (settlements, number);
        CREATE TABLE enrolment (
            elder_id uuid NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            enrolment_id uuid NOT NULL,
            sequence bigint NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            first_day date NOT NULL,
            last_day date NOT NULL,
            basis text COLLATE \"C\" NOT NULL,
            premium bigint,
            PRIMARY KEY (elder_id, programme, enrolment_id)
        );
        CREATE TABLE programme (
            code text COLLATE \"C\" NOT NULL,
            version integer NOT NULL,
            effective_from date NOT NULL,
            unit integer NOT NULL,
            units bigint NOT NULL,
            PRIMARY KEY (code, version)
        );
        CREATE TABLE used (
            elder_id uuid NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            year integer NOT NULL,
            units bigint NOT NULL,
            PRIMARY KEY (elder_id, programme, year)
        );
        CREATE TABLE fund (
            programme text COLLATE \"C\" PRIMARY KEY,
            deposited bigint NOT NULL,
            reserved bigint NOT NULL,
            paid bigint NOT NULL
        );
        CREATE TABLE fund_day (
            programme text COLLATE \"C\" NOT NULL,
            on_day date NOT NULL,
            deposited bigint NOT NULL,
            reserved bigint NOT NULL,
            PRIMARY KEY (programme, on_day)
        );
        CREATE TABLE payment (
            settlements text COLLATE \"C\" NOT NULL,
            number integer NOT NULL,
            programme text COLLATE \"C\",
            booked_on date,
            amount bigint,
            reserved bigint,
            confirmed_on date,
            paid_on date,
            PRIMARY KEY (settlements, number)
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX service_order_elder ON service_order (elder_id, day DESC, sequence DESC);
        CREATE INDEX service_order_day ON service_order (day, village);
        CREATE INDEX service_order_programme ON service_order (programme, village);
        CREATE INDEX enrolment_programme ON enrolment (programme, village);
        CREATE INDEX enrolment_key ON enrolment (enrolment_id);
        CREATE INDEX payment_programme ON payment (programme);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut orders = Orders::default();
        let mut enrolments = Enrolments::default();
        let mut funds = Funds::default();
        for record in records {
            match record.subject.aggregate() {
                "order" | "adjudication" => {
                    for event in read_events(record, orders::decode, &mut parked) {
                        orders.fold(record, event);
                    }
                }
                "settlements" => {
                    for event in read_events(record, settlements::decode, &mut parked) {
                        let payments = &mut funds.payments;
                        settlements::write(db, record, event, &mut orders, payments).await?;
                    }
                }
                "enrolment" => {
                    for event in read_events(record, enrolments::decode, &mut parked) {
                        enrolments.fold(record, event);
                    }
                }
                "programme" => {
                    for defined in read_events(record, programmes::decode, &mut parked) {
                        defined.write(db, record).await?;
                    }
                }
                "fund" => {
                    for said in read_events(record, funds::decode, &mut parked) {
                        funds.fold(record, said);
                    }
                }
                other if OTHERS.contains(&other) => {}
                _ => {
                    let events = record.events.iter();
                    parked.extend(events.map(|event| Parked::unknown_type(record, event)));
                }
            }
        }
        orders.write(db).await?;
        enrolments.write(db).await?;
        funds.write(db).await?;
        Ok(parked)
    }
}

/// Which documents a record changes: orders, and enrolments, also by what is used of their years' entitlements, and by what these
/// are.
pub(crate) fn changes(record: &Record) -> Vec<Change> {
    let id = record.subject.id();
    match record.subject.aggregate() {
        "order" | "adjudication" => of_events(record, |raw| Ok(orders::decode(raw)?.changes(id))),
        "settlements" => of_events(record, |raw| Ok(settlements::decode(raw)?.changes(id))),
        "enrolment" => of_events(record, |raw| Ok(enrolments::decode(raw)?.changes())),
        "programme" => of_events(record, |raw| Ok(Some(programmes::decode(raw)?.changes(id)))),
        // There are no documents of funds.
        _ => Vec::new(),
    }
}

/// The name of an event within the package.
fn short_name(raw: &RawEvent) -> Result<&str, DecodeError> {
    let name = raw.event_type.strip_prefix(PACKAGE);
    name.ok_or_else(|| DecodeError::unknown(raw))
}
