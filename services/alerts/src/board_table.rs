//! The read model of our own log: alerts with their course, devices, who is away, rules and recipients.

use async_trait::async_trait;
pub(crate) use elder_tables::columns::{NO_WORD, place, word};
use eventlog::{Aggregate, Record};
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;

use crate::absence::Absence;
use crate::alert_line::AlertLine;
use crate::alert_request::AlertRequest;
use crate::alert_rows::AlertRows;
use crate::attempts::Notices;
use crate::device::Device;
use crate::device_rows::DeviceRows;
use crate::division_policy::DivisionPolicy;
use crate::recipient::Recipient;
use crate::register_rows;

/// The projection's name and schema.
pub const NAME: &str = "alerts_board";

/// Folds our own records.
#[derive(Debug, Default)]
pub struct BoardTable;

#[async_trait]
impl Projection for BoardTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // `alert` is the whole of it, as it is answered; the columns beside it are what is asked by. `changed` is the sequence
        // that changed the row last.
        "CREATE TABLE alert (
            alert_id uuid PRIMARY KEY,
            line text COLLATE \"C\" NOT NULL,
            kind integer NOT NULL,
            open boolean NOT NULL,
            elder_id uuid NOT NULL,
            division text COLLATE \"C\" NOT NULL,
            device_kind integer NOT NULL,
            raised_at timestamptz NOT NULL,
            first_notice_at timestamptz,
            acknowledged_at timestamptz,
            arrived_at timestamptz,
            resolved_at timestamptz,
            outcome integer NOT NULL,
            alert bytea NOT NULL,
            changed bigint NOT NULL
        );
        CREATE TABLE course (
            alert_id uuid NOT NULL,
            sequence bigint NOT NULL,
            place integer NOT NULL,
            recorded_at timestamptz NOT NULL,
            actor text NOT NULL,
            event_type text NOT NULL,
            event bytea NOT NULL,
            PRIMARY KEY (alert_id, sequence, place)
        );
        CREATE TABLE device (
            device_id text COLLATE \"C\" PRIMARY KEY,
            kind integer NOT NULL,
            elder_id uuid NOT NULL,
            maintainer_id uuid,
            credential_id uuid NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            registered_at timestamptz NOT NULL,
            retired boolean NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE TABLE offline (
            device_id text COLLATE \"C\" PRIMARY KEY
        );
        CREATE TABLE away (
            elder_id uuid PRIMARY KEY,
            reason integer NOT NULL,
            since timestamptz NOT NULL
        );
        CREATE TABLE recipient (
            recipient_id uuid PRIMARY KEY,
            role integer NOT NULL,
            division text COLLATE \"C\" NOT NULL,
            active boolean NOT NULL,
            details bytea NOT NULL
        );
        CREATE TABLE policy (
            division text COLLATE \"C\" PRIMARY KEY,
            version integer NOT NULL,
            policy bytea NOT NULL,
            sequence bigint NOT NULL
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX alert_line ON alert (line);
        CREATE INDEX alert_elder ON alert (elder_id, raised_at DESC);
        CREATE INDEX alert_division ON alert (division, raised_at);
        CREATE INDEX alert_open ON alert (division) WHERE open;
        CREATE INDEX alert_changed ON alert (changed);
        CREATE INDEX alert_raised ON alert (raised_at DESC, alert_id DESC);
        CREATE INDEX device_elder ON device (elder_id);
        CREATE INDEX device_village ON device (village, device_id);
        CREATE INDEX recipient_division ON recipient (division, role);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let (mut alerts, mut devices) = (AlertRows::default(), DeviceRows::default());
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == AlertLine::NAME {
                let events = read_events(record, AlertLine::decode, &mut parked);
                alerts.fold_line(record, events);
            } else if aggregate == Notices::NAME {
                let attempts = read_events(record, Notices::decode, &mut parked);
                alerts.fold_notices(record, attempts);
            } else if aggregate == Device::NAME {
                let events = read_events(record, Device::decode, &mut parked);
                devices.fold(record, events);
            } else if aggregate == Absence::NAME {
                for event in read_events(record, Absence::decode, &mut parked) {
                    register_rows::write_absence(db, record, event).await?;
                }
            } else if aggregate == Recipient::NAME {
                for said in read_events(record, Recipient::decode, &mut parked) {
                    register_rows::write_recipient(db, record, &said).await?;
                }
            } else if aggregate == DivisionPolicy::NAME {
                for published in read_events(record, DivisionPolicy::decode, &mut parked) {
                    register_rows::write_policy(db, record, &published).await?;
                }
            } else if aggregate == AlertRequest::NAME {
                // Its alert says all that is told of it.
            } else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
            }
        }
        devices.write(db).await?;
        alerts.write(db).await?;
        Ok(parked)
    }
}
