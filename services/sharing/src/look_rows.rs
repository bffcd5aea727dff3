//! The rows of looks: one for each, and one more for each elder of it.

use chrono::{DateTime, Utc};
use eventlog::Record;
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::codec;
use crate::look::{GlassBroken, Look, LookKind};

/// What the records of a batch say of looks.
#[derive(Default)]
pub(crate) struct LookRows {
    sequences: Vec<i64>,
    places: Vec<i32>,
    kinds: Vec<&'static str>,
    callers: Vec<String>,
    departments: Vec<String>,
    ats: Vec<DateTime<Utc>>,
    looks: Vec<Vec<u8>>,
    /// The ids of each, with commas between: an array of arrays does not come apart by rows.
    agreements: Vec<String>,
    /// Why a glass was broken, sealed.
    reasons: Vec<Option<Vec<u8>>>,
    elders: ElderRows,
}

/// Who was looked at.
#[derive(Default)]
struct ElderRows {
    elders: Vec<Uuid>,
    ats: Vec<DateTime<Utc>>,
    sequences: Vec<i64>,
    places: Vec<i32>,
}

impl LookRows {
    /// Takes in a look, which stands at a place among the events of its record.
    pub(crate) fn fold(
        &mut self,
        record: &Record,
        place: i32,
        kind: LookKind,
        look: &Look,
        agreements: &[Uuid],
    ) {
        self.push(record, place, kind, look, agreements, None);
    }

    /// Takes in a look beyond all agreements, with its reason.
    pub(crate) fn fold_broken(&mut self, record: &Record, place: i32, broken: &GlassBroken) {
        let reason = Some(broken.reason.as_bytes().to_vec());
        self.push(
            record,
            place,
            LookKind::BreakGlass,
            &broken.look,
            &[],
            reason,
        );
    }

    fn push(
        &mut self,
        record: &Record,
        place: i32,
        kind: LookKind,
        look: &Look,
        agreements: &[Uuid],
        reason: Option<Vec<u8>>,
    ) {
        let sequence = record.sequence.cast_signed();
        for elder in &look.elders {
            self.elders.elders.push(elder.as_uuid());
            self.elders.ats.push(look.at);
            self.elders.sequences.push(sequence);
            self.elders.places.push(place);
        }
        let agreements: Vec<String> = agreements.iter().map(Uuid::to_string).collect();
        self.sequences.push(sequence);
        self.places.push(place);
        self.kinds.push(kind.name());
        self.callers.push(look.caller.clone());
        self.departments.push(look.department.clone());
        self.ats.push(look.at);
        self.looks.push(codec::write_look(look).encode_to_vec());
        self.agreements.push(agreements.join(","));
        self.reasons.push(reason);
    }

    /// Writes it.
    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.sequences.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO look (sequence, place, kind, caller, department, at, look, agreement_ids, reason) \
             SELECT sequence, place, kind, caller, department, at, look, string_to_array(ids, ',')::uuid[], reason \
             FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], \
             $7::bytea[], $8::text[], $9::bytea[]) \
             AS told (sequence, place, kind, caller, department, at, look, ids, reason) \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.sequences)
        .bind(self.places)
        .bind(self.kinds)
        .bind(self.callers)
        .bind(self.departments)
        .bind(self.ats)
        .bind(self.looks)
        .bind(self.agreements)
        .bind(self.reasons)
        .execute(&mut *db)
        .await?;
        // A look may name an elder twice.
        sqlx::query(
            "INSERT INTO look_of (elder_id, at, sequence, place) \
             SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::integer[]) ON CONFLICT DO NOTHING",
        )
        .bind(self.elders.elders)
        .bind(self.elders.ats)
        .bind(self.elders.sequences)
        .bind(self.elders.places)
        .execute(db)
        .await?;
        Ok(())
    }
}
