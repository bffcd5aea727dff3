//! The read model of our own log: agreements, looks at personal data, and the signed heads of the chain.

use async_trait::async_trait;
use civic::ElderId;
use eventlog::{Aggregate, Record};
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::agreement::Agreement;
use crate::agreement_rows;
use crate::credential::Credential;
use crate::credential_rows;
use crate::erasure::Erasure;
use crate::erasure_rows;
use crate::look::{AuditHeads, BrokenGlass, HeadSigned, Looks, Recorded};
use crate::look_rows::LookRows;

/// The projection's name and schema.
pub const NAME: &str = "sharing_book";

/// Folds our own records.
#[derive(Debug, Default)]
pub struct BookTable;

#[async_trait]
impl Projection for BookTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // An agreement's sequence is its proposal's. A look's place is the one among the events of its record; a reason is sealed,
        // and stands with broken glass alone. A head's sequence is its record's, and `through` the last record that the chain
        // holds. The place of an erasure is the department's in its record.
        "CREATE TABLE agreement (
            agreement_id uuid PRIMARY KEY,
            sequence bigint NOT NULL,
            department text COLLATE \"C\" NOT NULL,
            stage text COLLATE \"C\" NOT NULL,
            terms bytea NOT NULL,
            divisions text[] NOT NULL,
            last_day date NOT NULL,
            proposed_by text NOT NULL,
            proposed_at timestamptz NOT NULL,
            approved_by text NOT NULL,
            approved_at timestamptz,
            suspended_by text NOT NULL,
            reason text NOT NULL
        );
        CREATE INDEX agreement_sequence ON agreement (sequence);
        CREATE INDEX agreement_department ON agreement (department, sequence);
        CREATE TABLE look (
            sequence bigint NOT NULL,
            place integer NOT NULL,
            kind text COLLATE \"C\" NOT NULL,
            caller text COLLATE \"C\" NOT NULL,
            department text COLLATE \"C\" NOT NULL,
            at timestamptz NOT NULL,
            look bytea NOT NULL,
            agreement_ids uuid[] NOT NULL,
            reason bytea,
            PRIMARY KEY (sequence, place)
        );
        CREATE TABLE look_of (
            elder_id uuid NOT NULL,
            at timestamptz NOT NULL,
            sequence bigint NOT NULL,
            place integer NOT NULL,
            PRIMARY KEY (elder_id, sequence, place)
        );
        CREATE TABLE erasure (
            elder_id uuid NOT NULL,
            department text COLLATE \"C\" NOT NULL,
            sequence bigint NOT NULL,
            place integer NOT NULL,
            asked_at timestamptz NOT NULL,
            confirmed_at timestamptz,
            confirmed_by text NOT NULL,
            PRIMARY KEY (elder_id, department)
        );
        CREATE TABLE feed_credential (
            department text COLLATE \"C\" PRIMARY KEY,
            credential_id uuid NOT NULL
        );
        CREATE TABLE audit_head (
            sequence bigint PRIMARY KEY,
            through bigint NOT NULL,
            head bytea NOT NULL,
            key_id text NOT NULL,
            signature bytea NOT NULL,
            signed_at timestamptz NOT NULL
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX look_caller ON look (caller, sequence DESC, place DESC);
        CREATE INDEX erasure_sequence ON erasure (sequence DESC, place DESC);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut looks = LookRows::default();
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == Looks::NAME {
                let events = read_events(record, Looks::decode, &mut parked);
                for (recorded, place) in events.into_iter().zip(0_i32..) {
                    let kind = recorded.kind();
                    match &recorded {
                        Recorded::Access(look) => looks.fold(record, place, kind, look, &[]),
                        Recorded::Provided { look, agreements } => {
                            looks.fold(record, place, kind, look, agreements);
                        }
                    }
                }
            } else if aggregate == BrokenGlass::NAME {
                let events = read_events(record, BrokenGlass::decode, &mut parked);
                for (broken, place) in events.into_iter().zip(0_i32..) {
                    looks.fold_broken(record, place, &broken);
                }
            } else if aggregate == Agreement::NAME {
                let Ok(agreement) = record.subject.id().parse::<Uuid>() else {
                    let events = record.events.iter();
                    parked.extend(events.map(|event| {
                        Parked::because(record, event, "the subject names no agreement")
                    }));
                    continue;
                };
                for event in read_events(record, Agreement::decode, &mut parked) {
                    agreement_rows::write(db, record, agreement, &event).await?;
                }
            } else if aggregate == Credential::NAME {
                let department = record.subject.id();
                for event in read_events(record, Credential::decode, &mut parked) {
                    credential_rows::write(db, department, &event).await?;
                }
            } else if aggregate == Erasure::NAME {
                let Ok(elder) = record.subject.id().parse::<ElderId>() else {
                    let events = record.events.iter();
                    parked.extend(
                        events.map(|event| {
                            Parked::because(record, event, "the subject names no elder")
                        }),
                    );
                    continue;
                };
                for event in read_events(record, Erasure::decode, &mut parked) {
                    erasure_rows::write(db, record, elder, &event).await?;
                }
            } else if aggregate == AuditHeads::NAME {
                for signed in read_events(record, AuditHeads::decode, &mut parked) {
                    write_head(db, record, &signed).await?;
                }
            } else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
            }
        }
        looks.write(db).await?;
        Ok(parked)
    }
}

/// Writes a signed head.
async fn write_head(
    db: &mut PgConnection,
    record: &Record,
    signed: &HeadSigned,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_head (sequence, through, head, key_id, signature, signed_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(record.sequence.cast_signed())
    .bind(signed.sequence.cast_signed())
    .bind(signed.head.as_slice())
    .bind(&signed.key)
    .bind(signed.signature.as_slice())
    .bind(record.metadata.time)
    .execute(db)
    .await?;
    Ok(())
}
