//! The rows of programmes, enrolments, contracts and caregivers.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use eventlog::Record;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::caregiver;
use crate::enrolment::{Event, Spell, Whose};
use crate::programme::Defined;
use crate::provider;

/// What the records of a batch say of enrolments: a row for each change.
#[derive(Default)]
pub(crate) struct RegisterRows {
    /// By enrolment and sequence: whose, first and last day, and where.
    new: BTreeMap<(Uuid, u64), (Whose, Spell, String)>,
    ended: Vec<(Whose, Uuid, u64, NaiveDate)>,
}

impl RegisterRows {
    /// What happened to an elder's enrolments.
    pub(crate) fn fold_enrolment(&mut self, record: &Record, event: Event) {
        match event {
            Event::Enrolled { whose, spell, .. } => {
                let village = record.metadata.division.clone().unwrap_or_default();
                self.new
                    .insert((spell.enrolment, record.sequence), (whose, spell, village));
            }
            Event::Ended {
                whose,
                enrolment,
                last,
            } => self
                .ended
                .push((whose, enrolment, record.sequence, last.date())),
            Event::Charged { .. } => {}
        }
    }

    /// Writes it.
    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.new.is_empty() {
            let (mut ids, mut sequences, mut programmes) = (Vec::new(), Vec::new(), Vec::new());
            let (mut elders, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
            let mut villages = Vec::new();
            for ((enrolment, sequence), (whose, spell, village)) in &self.new {
                ids.push(*enrolment);
                sequences.push(sequence.cast_signed());
                programmes.push(whose.programme.as_str());
                elders.push(whose.elder.as_uuid());
                firsts.push(spell.first.date());
                lasts.push(spell.last.date());
                villages.push(village.as_str());
            }
            sqlx::query(
                "INSERT INTO enrolment (enrolment_id, sequence, programme, elder_id, first_day, last_day, village) \
                 SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::date[], $6::date[], $7::text[]) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(ids)
            .bind(sequences)
            .bind(programmes)
            .bind(elders)
            .bind(firsts)
            .bind(lasts)
            .bind(villages)
            .execute(&mut *db)
            .await?;
        }
        for (whose, enrolment, sequence, last) in self.ended {
            sqlx::query(
                "INSERT INTO enrolment (enrolment_id, sequence, programme, elder_id, first_day, last_day, village) \
                 SELECT enrolment_id, $2, programme, elder_id, first_day, $3, village FROM enrolment \
                 WHERE enrolment_id = $1 AND sequence < $2 AND elder_id = $4 AND programme = $5 \
                 ORDER BY sequence DESC LIMIT 1 ON CONFLICT DO NOTHING",
            )
            .bind(enrolment)
            .bind(sequence.cast_signed())
            .bind(last)
            .bind(whose.elder.as_uuid())
            .bind(&whose.programme)
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

/// Writes a version of a programme.
pub(crate) async fn write_programme(
    db: &mut PgConnection,
    record: &Record,
    defined: &Defined,
) -> Result<(), ApplyError> {
    sqlx::query(
        "INSERT INTO programme (code, version, division, effective_from, definition) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
    )
    .bind(record.subject.id())
    .bind(defined.version.cast_signed())
    .bind(defined.division.as_str())
    .bind(defined.effective_from.date())
    .bind(&defined.definition)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what is said of a contract.
pub(crate) async fn write_contract(
    db: &mut PgConnection,
    record: &Record,
    event: &provider::Event,
) -> Result<(), ApplyError> {
    match event {
        provider::Event::Contracted(contract) => {
            sqlx::query(
                "INSERT INTO contract (contract_id, sequence, provider_id, programme, name, first_day, last_day) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(contract.contract)
            .bind(record.sequence.cast_signed())
            .bind(&contract.provider)
            .bind(&contract.programme)
            .bind(&contract.name)
            .bind(contract.first.date())
            .bind(contract.last.map(|last| last.date()))
            .execute(db)
            .await?;
        }
        provider::Event::Ended {
            provider,
            contract,
            last,
        } => {
            sqlx::query(
                "INSERT INTO contract (contract_id, sequence, provider_id, programme, name, first_day, last_day) \
                 SELECT contract_id, $2, provider_id, programme, name, first_day, $3 FROM contract \
                 WHERE contract_id = $1 AND sequence < $2 AND provider_id = $4 ORDER BY sequence DESC LIMIT 1 \
                 ON CONFLICT DO NOTHING",
            )
            .bind(contract)
            .bind(record.sequence.cast_signed())
            .bind(last.date())
            .bind(provider)
            .execute(db)
            .await?;
        }
    }
    Ok(())
}

/// Writes what is said of a caregiver.
pub(crate) async fn write_caregiver(
    db: &mut PgConnection,
    record: &Record,
    event: &caregiver::Event,
) -> Result<(), ApplyError> {
    let Ok(caregiver) = record.subject.id().parse::<Uuid>() else {
        return Ok(());
    };
    match event {
        caregiver::Event::Registered(listed) => {
            sqlx::query(
                "INSERT INTO caregiver (caregiver_id, sequence, provider_id, first_day, last_day) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(caregiver)
            .bind(record.sequence.cast_signed())
            .bind(&listed.provider)
            .bind(listed.first.date())
            .bind(listed.last.map(|last| last.date()))
            .execute(db)
            .await?;
        }
        caregiver::Event::Retired(last) => {
            sqlx::query(
                "INSERT INTO caregiver (caregiver_id, sequence, provider_id, first_day, last_day) \
                 SELECT caregiver_id, $2, provider_id, first_day, $3 FROM caregiver \
                 WHERE caregiver_id = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT 1 ON CONFLICT DO NOTHING",
            )
            .bind(caregiver)
            .bind(record.sequence.cast_signed())
            .bind(last.date())
            .execute(db)
            .await?;
        }
    }
    Ok(())
}
