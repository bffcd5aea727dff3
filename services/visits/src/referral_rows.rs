//! The rows of referrals: what visitors found, and what departments did about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay, ReferralOutcome, VillageCode};
use eventlog::Record;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::book_table::place;
use crate::elder_year::{Event, Finding};
use crate::record_rows::{RecordRows, Year};

/// The referral has not ended.
pub(crate) const OPEN: i32 = -1;

/// The referrals of a batch, in the order of what happened.
#[derive(Default)]
pub(crate) struct ReferralRows {
    opened: BTreeMap<Uuid, Opened>,
    answered: Vec<(Uuid, String, Vec<u8>)>,
    closed: Vec<(Uuid, ReferralOutcome)>,
}

struct Opened {
    elder: ElderId,
    record: Uuid,
    finding: Finding,
    village: VillageCode,
    day: LocalDay,
    at: DateTime<Utc>,
    sequence: u64,
}

impl ReferralRows {
    /// A referral is opened in the same record as the visit at which it was found.
    pub(crate) fn fold(
        &mut self,
        record: &Record,
        year: Year,
        event: &Event,
        records: &RecordRows,
    ) {
        match event {
            Event::ReferralOpened {
                referral,
                record: of,
                finding,
            } => {
                if let Some(recorded) = records.recorded(*of, year) {
                    let opened = Opened {
                        elder: recorded.elder,
                        record: *of,
                        finding: finding.clone(),
                        village: recorded.village,
                        day: recorded.day(),
                        at: record.metadata.time,
                        sequence: record.sequence,
                    };
                    self.opened.insert(*referral, opened);
                }
            }
            Event::ReferralAnswered {
                referral,
                department,
                answer,
            } => {
                let answer = answer.as_bytes().to_vec();
                self.answered.push((*referral, department.clone(), answer));
            }
            Event::ReferralClosed { referral, outcome } => {
                self.closed.push((*referral, *outcome));
            }
            Event::Recorded(_)
            | Event::Doubted { .. }
            | Event::Confirmed { .. }
            | Event::Rejected { .. }
            | Event::DutyMet { .. }
            | Event::Missed(_) => {}
        }
    }

    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        // Findings are few: one statement each will do.
        for (referral, opened) in self.opened {
            let note = opened.finding.note.as_ref();
            // Only of a visit that has a row: a record's id that was used again has none.
            sqlx::query(
                "INSERT INTO referral (referral_id, elder_id, record_id, kind, note, village, day, opened_at, outcome, sequence) \
                 SELECT $1::uuid, $2::uuid, $3::uuid, $4::integer, $5::bytea, $6::text, $7::date, $8::timestamptz, \
                     $9::integer, $10::bigint \
                 WHERE EXISTS (SELECT 1 FROM record WHERE record_id = $3 AND elder_id = $2 AND day = $7) \
                 ON CONFLICT (referral_id) DO NOTHING",
            )
            .bind(referral)
            .bind(opened.elder.as_uuid())
            .bind(opened.record)
            .bind(place(opened.finding.kind))
            .bind(note.map(|note| note.as_bytes().to_vec()))
            .bind(opened.village.as_str())
            .bind(opened.day.date())
            .bind(opened.at)
            .bind(OPEN)
            .bind(opened.sequence.cast_signed())
            .execute(&mut *db)
            .await?;
        }
        for (referral, department, answer) in self.answered {
            sqlx::query("UPDATE referral SET department = $2, answer = $3 WHERE referral_id = $1")
                .bind(referral)
                .bind(department)
                .bind(answer)
                .execute(&mut *db)
                .await?;
        }
        for (referral, outcome) in self.closed {
            sqlx::query("UPDATE referral SET outcome = $2 WHERE referral_id = $1")
                .bind(referral)
                .bind(place(outcome))
                .execute(&mut *db)
                .await?;
        }
        Ok(())
    }
}
