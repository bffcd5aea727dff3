//! Tells those who answer for a division that an officer opened a dossier there beyond all agreements (紧急调阅通知).
//!
//! One replica's reader follows our own log. What is to be told is written down in the transaction that moves the reader on,
//! and stays until each recipient was told: whatever dies when, somebody may be told twice, and nobody goes untold. A notice
//! says who opened whose dossier and when. The reason stays under the elder's key: who may review reads it in the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{DivisionCode, SHANGHAI};
use eventlog::{Aggregate as _, Delivery, EventLog, Position, Record};
use futures::StreamExt as _;
use futures::future::join_all;
use notices::{Address, Channels, Notice, Text};
use readmodel::{HEARTBEAT, ReaderFailed, run_reader};
use serde_json::{Value, json};
use service::Clock;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::document::instant;
use crate::look::BrokenGlass;
use crate::measures::GlassMeasures;
use crate::notice_settings::NoticeRecipient;

/// The reader's name.
pub(crate) const NAME: &str = "sharing_glass_notices";

/// A reader that knows nothing any more goes back so far: all of history is nobody's business twice.
const BACK: TimeDelta = TimeDelta::days(1);
/// The pauses after attempts that not everybody took, in seconds; the last one again and again.
const PAUSES: [i64; 6] = [1, 5, 30, 120, 600, 1_800];
/// Of so many broken glasses it is told at once.
const AT_ONCE: i64 = 32;

/// Tells of broken glasses.
#[derive(Clone)]
pub(crate) struct GlassNotices {
    /// The database.
    pub(crate) pool: PgPool,
    /// Our own log.
    pub(crate) log: Arc<dyn EventLog>,
    /// The time.
    pub(crate) clock: Clock,
    /// The ways to tell somebody.
    pub(crate) channels: Channels,
    /// Who is told.
    pub(crate) recipients: Vec<NoticeRecipient>,
    /// Counts those of which nobody is.
    pub(crate) measures: GlassMeasures,
}

/// How far the log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    sequence: u64,
    /// What was recorded before is not told.
    since: DateTime<Utc>,
}

/// A broken glass of which somebody is still to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken {
    record: Uuid,
    sequence: u64,
    opened_by: String,
    opened_at: DateTime<Utc>,
    elder: String,
    division: String,
    /// The notices that somebody took.
    told: Vec<Uuid>,
    attempts: u32,
}

impl GlassNotices {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let notices = Arc::new(self);
        run_reader(&notices.pool, NAME, &shutdown, |conn| {
            let notices = Arc::clone(&notices);
            async move { notices.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        let stream = self.log.stream();
        let mut reading = self.begin(&mut conn).await?;
        let mut deliveries = self.log.subscribe(reading.sequence).await?;
        let mut kept = (reading, Instant::now());
        let mut due = wall();
        loop {
            if due <= wall() {
                due = self.tell_due(&mut conn).await?;
            }
            let pause = (due - wall()).to_std().unwrap_or_default().min(HEARTBEAT);
            let mut broken = Vec::new();
            tokio::select! {
                batch = deliveries.next() => {
                    let batch = batch.ok_or_else(|| ReaderFailed::because("our own log has ended"))??;
                    for delivery in &batch {
                        reading.sequence = delivery.sequence();
                        broken.extend(self.to_tell(delivery, reading.since));
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
            if !broken.is_empty() {
                due = wall();
            } else if kept.1.elapsed() < HEARTBEAT {
                continue;
            }
            if broken.is_empty() && reading == kept.0 {
                conn.ping().await?;
            } else {
                let mut tx = conn.begin().await?;
                for one in &broken {
                    one.insert(&mut tx, due).await?;
                }
                reading.keep(&mut tx, stream).await?;
                tx.commit().await?;
            }
            kept = (reading, Instant::now());
        }
    }

    /// From where the log is read on.
    async fn begin(&self, db: &mut PgConnection) -> Result<Reading, ReaderFailed> {
        let stream = self.log.stream();
        let known = Reading::kept(db, stream).await?;
        let last = self.log.last_sequence().await?;
        if let Some(known) = known {
            if known.sequence <= last {
                return Ok(known);
            }
            // A backup of the log was put back.
            let read = known.sequence;
            tracing::error!(last, read, "the log is shorter than what was read of it");
        }
        let anew = Reading {
            sequence: 0,
            since: self.clock.now() - BACK,
        };
        anew.keep(db, stream).await?;
        Ok(anew)
    }

    /// The broken glass of which a delivery tells, where somebody is to be told of it.
    fn to_tell(&self, delivery: &Delivery, since: DateTime<Utc>) -> Option<Broken> {
        let Delivery::Record(record) = delivery else {
            return None;
        };
        let broken = Broken::of(record).filter(|broken| broken.opened_at >= since)?;
        let (sequence, told) = (broken.sequence, self.recipients_of(&broken).len());
        if told == 0 {
            self.measures.untold();
            tracing::warn!(
                sequence,
                "a dossier was opened beyond all agreements, and nobody is configured to be told"
            );
            return None;
        }
        tracing::warn!(sequence, told, "a dossier was opened beyond all agreements");
        Some(broken)
    }

    /// Who is told of it, each by a notice of their own.
    fn recipients_of(&self, broken: &Broken) -> BTreeMap<Uuid, NoticeRecipient> {
        let division = broken.division.parse::<DivisionCode>().ok();
        let recipients = self.recipients.iter();
        let recipients = recipients.filter(|one| one.answers_for(division.as_ref()));
        recipients
            .map(|one| (broken.notice_to(one), one.clone()))
            .collect()
    }

    /// Makes the attempts that are due; when the next one is.
    async fn tell_due(&self, db: &mut PgConnection) -> Result<DateTime<Utc>, ReaderFailed> {
        let broken = Broken::due(db, wall()).await?;
        let attempts: Vec<_> = broken.into_iter().map(|one| self.tell(one)).collect();
        for (broken, again) in join_all(attempts).await {
            match again {
                Some(again) => broken.update(db, again).await?,
                None => broken.delete(db).await?,
            }
        }
        let next = "SELECT min(next_attempt) FROM sharing_kept.glass_notice";
        let next: Option<DateTime<Utc>> = sqlx::query_scalar(next).fetch_one(db).await?;
        Ok(next.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// Tells all who were not told yet; when it is tried again, where somebody is left who could not be told.
    async fn tell(&self, mut broken: Broken) -> (Broken, Option<DateTime<Utc>>) {
        let mut recipients = self.recipients_of(&broken);
        recipients.retain(|key, _| !broken.told.contains(key));
        broken.attempts = broken.attempts.saturating_add(1);
        let data = broken.data(self.log.stream());
        let mut attempts = Vec::new();
        for (key, recipient) in recipients {
            let notice = Notice {
                key,
                channel: recipient.channel,
                address: Address::new(recipient.address.expose()),
                attempt: broken.attempts,
                text: broken.text(),
                data: data.clone(),
                traceparent: None,
            };
            attempts.push(async move {
                let outcome = self.channels.send(&notice).await;
                (notice, outcome)
            });
        }
        let mut again = None;
        for (notice, outcome) in join_all(attempts).await {
            let Err(failure) = outcome else {
                broken.told.push(notice.key);
                continue;
            };
            // It may help that somebody mends the receiver, or the settings: it is not given up.
            let pause = if failure.is_passing() {
                pause_after(broken.attempts)
            } else {
                pause_after(u32::MAX)
            };
            let next = wall() + TimeDelta::seconds(pause);
            again = Some(again.map_or(next, |known: DateTime<Utc>| known.min(next)));
            tracing::warn!(
                %failure,
                channel = notice.channel.name(),
                attempt = notice.attempt,
                sequence = broken.sequence,
                "somebody is not told yet of a dossier that was opened beyond all agreements"
            );
        }
        (broken, again)
    }
}

/// By the machine's clock and not by that of the domain: receivers recover by it.
fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// The pause after so many attempts, in seconds.
fn pause_after(attempts: u32) -> i64 {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    PAUSES[place.min(PAUSES.len() - 1)]
}

impl Reading {
    /// As the table says.
    async fn kept(db: &mut PgConnection, stream: &str) -> Result<Option<Self>, sqlx::Error> {
        let row =
            sqlx::query("SELECT sequence, since FROM sharing_kept.glass_reading WHERE stream = $1")
                .bind(stream)
                .fetch_optional(db)
                .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Self {
            sequence: row.try_get::<i64, _>(0)?.cast_unsigned(),
            since: row.try_get(1)?,
        }))
    }

    async fn keep(&self, db: &mut PgConnection, stream: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO sharing_kept.glass_reading (stream, sequence, since) VALUES ($1, $2, $3) \
             ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence, since = excluded.since",
        )
        .bind(stream)
        .bind(self.sequence.cast_signed())
        .bind(self.since)
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Broken {
    /// Of a record that tells of a broken glass. All that is told of it stands beside the event.
    fn of(record: &Record) -> Option<Self> {
        if record.subject.aggregate() != BrokenGlass::NAME {
            return None;
        }
        let metadata = &record.metadata;
        Some(Self {
            record: metadata.id,
            sequence: record.sequence,
            opened_by: metadata.actor.clone(),
            opened_at: metadata.time,
            elder: record.subject.id().to_owned(),
            division: metadata.division.clone().unwrap_or_default(),
            told: Vec::new(),
            attempts: 0,
        })
    }

    /// The notice's key: the same for each attempt, also after a restart or the loss of the database.
    fn notice_to(&self, recipient: &NoticeRecipient) -> Uuid {
        let (channel, address) = (recipient.channel.name(), recipient.address.expose());
        Uuid::new_v5(&self.record, format!("{channel}\n{address}").as_bytes())
    }

    fn text(&self) -> Text {
        let (who, elder) = (&self.opened_by, &self.elder);
        let when = self.opened_at.with_timezone(&SHANGHAI);
        let when = when.format("%Y-%m-%d %H:%M:%S");
        Text {
            zh: format!(
                "【紧急调阅】{who}于{when}在共享协议之外调阅了一位老年人的全部档案（老年人标识：{elder}），并填写了理由。请查阅该老年人的访问记录并核实。"
            ),
            en: format!(
                "[Break glass] {who} opened an elder's whole dossier beyond all agreements on {when}, and gave a reason \
                 (elder: {elder}). Read it in the elder's access history, and look into it."
            ),
        }
    }

    fn data(&self, stream: &str) -> Value {
        json!({
            "event": "GLASS_BROKEN",
            "position": Position::new(stream, self.sequence).to_string(),
            "opened_by": self.opened_by,
            "opened_at": instant(self.opened_at),
            "elder_id": self.elder,
            "division": self.division,
        })
    }

    /// Those of which somebody is to be told by now.
    async fn due(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Self>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT record_id, sequence, opened_by, opened_at, elder_id, division, told, attempts \
             FROM sharing_kept.glass_notice WHERE next_attempt <= $1 ORDER BY next_attempt, sequence LIMIT $2",
        )
        .bind(now)
        .bind(AT_ONCE)
        .fetch_all(db)
        .await?;
        rows.iter().map(Self::of_row).collect()
    }

    fn of_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            record: row.try_get(0)?,
            sequence: row.try_get::<i64, _>(1)?.cast_unsigned(),
            opened_by: row.try_get(2)?,
            opened_at: row.try_get(3)?,
            elder: row.try_get(4)?,
            division: row.try_get(5)?,
            told: row.try_get(6)?,
            attempts: row.try_get::<i32, _>(7)?.cast_unsigned(),
        })
    }

    /// Writes it down. One that waits already, and is read once more, is left as it stands.
    async fn insert(&self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO sharing_kept.glass_notice (record_id, sequence, opened_by, opened_at, elder_id, division, \
             told, attempts, next_attempt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(self.record)
        .bind(self.sequence.cast_signed())
        .bind(&self.opened_by)
        .bind(self.opened_at)
        .bind(&self.elder)
        .bind(&self.division)
        .bind(&self.told)
        .bind(self.attempts.cast_signed())
        .bind(now)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn update(&self, db: &mut PgConnection, again: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE sharing_kept.glass_notice SET told = $2, attempts = $3, next_attempt = $4 WHERE record_id = $1",
        )
        .bind(self.record)
        .bind(&self.told)
        .bind(self.attempts.cast_signed())
        .bind(again)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn delete(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM sharing_kept.glass_notice WHERE record_id = $1")
            .bind(self.record)
            .execute(db)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_it_is_never_given_up() {
        let pauses: Vec<i64> = (1..=8).map(pause_after).collect();
        assert_eq!(pauses, [1, 5, 30, 120, 600, 1_800, 1_800, 1_800]);
        assert_eq!(pause_after(u32::MAX), 1_800);
    }

    #[test]
    fn a_notice_says_who_opened_whose_dossier_and_when() {
        let broken = Broken {
            record: Uuid::from_u128(1),
            sequence: 17,
            opened_by: "officer:supervisor".to_owned(),
            opened_at: "2024-03-01T01:10:00Z".parse().unwrap(),
            elder: "00000000-0000-0000-0000-000000000007".to_owned(),
            division: "350524100001".to_owned(),
            told: vec![],
            attempts: 0,
        };
        let text = broken.text();
        for words in [&text.zh, &text.en] {
            for part in [
                broken.opened_by.as_str(),
                &broken.elder,
                "2024-03-01 09:10:00",
            ] {
                assert!(words.contains(part), "{part} in {words}");
            }
        }
        assert_eq!(
            broken.data("SHARING"),
            json!({
                "event": "GLASS_BROKEN",
                "position": "SHARING:17",
                "opened_by": "officer:supervisor",
                "opened_at": "2024-03-01T09:10:00+08:00",
                "elder_id": "00000000-0000-0000-0000-000000000007",
                "division": "350524100001",
            })
        );
    }
}
