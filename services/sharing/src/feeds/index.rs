//! What the feeds bore so far, as rows: whom each told of, and where. The stream `FEEDS` gives all of it back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use civic::{ElderId, LocalDay};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use super::message::{BegunBody, Lying, Own, header};
use super::standing::{Feed, Fields};
use super::stream::STREAM;

/// A feed as the index keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its number in the tables.
    pub(super) id: i64,
    /// Where it began.
    pub(super) begun: u64,
    /// When.
    pub(super) begun_at: DateTime<Utc>,
    /// What it tells.
    pub(super) fields: Fields,
    /// Whether it is over.
    pub(super) ended: bool,
    /// Whether all that was there when it began is told.
    pub(super) complete: bool,
    /// What lies before this sequence is to be taken away; 0: nothing.
    pub(super) purge_before: u64,
}

/// All feeds that there ever were.
pub(super) type Feeds = BTreeMap<Feed, Kept>;

/// How far the publisher has come in each log, in the order of [`crate::sharing::Logs::all`].
pub(super) type Reached = [u64; 6];

/// The index, on the publisher's connection.
#[derive(Debug)]
pub(super) struct Index {
    db: PgConnection,
    /// All feeds.
    pub(super) feeds: Feeds,
    /// How far it has come in `FEEDS`.
    pub(super) sequence: u64,
}

impl Index {
    /// As the tables say.
    pub(super) async fn open(mut db: PgConnection) -> Result<Self, sqlx::Error> {
        let sequence = sqlx::query_scalar::<_, i64>(
            "SELECT sequence FROM sharing_kept.feed_index WHERE stream = $1",
        )
        .bind(STREAM)
        .fetch_optional(&mut db)
        .await?;
        let feeds = feeds(&mut db).await?;
        Ok(Self {
            db,
            feeds,
            sequence: sequence.unwrap_or(0).cast_unsigned(),
        })
    }

    /// The connection, for what is read beside it.
    pub(super) fn db(&mut self) -> &mut PgConnection {
        &mut self.db
    }

    /// Forgets everything: the stream was put back to an earlier state, or is another one.
    pub(super) async fn clear(&mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(
            "TRUNCATE sharing_kept.feed, sharing_kept.feed_told, sharing_kept.feed_message, sharing_kept.feed_index",
        )
        .execute(&mut self.db)
        .await?;
        self.feeds.clear();
        self.sequence = 0;
        Ok(())
    }

    /// Takes in messages that lie in the stream up to a sequence.
    pub(super) async fn take(
        &mut self,
        messages: &[Lying],
        through: u64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.db.begin().await?;
        let mut rows = Rows::default();
        for message in messages {
            // Where that fails the index is opened anew.
            rows.take(&mut transaction, &mut self.feeds, message)
                .await?;
        }
        rows.write(&mut transaction).await?;
        sqlx::query(
            "INSERT INTO sharing_kept.feed_index \
                 (stream, sequence, registry, tiering, visits, alerts, claims, sharing) VALUES ($1, $2, 0, 0, 0, 0, 0, 0) \
             ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence",
        )
        .bind(STREAM)
        .bind(through.cast_signed())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.sequence = through;
        Ok(())
    }

    /// Says how far the publisher has come in each log, for those who wait for it.
    pub(super) async fn reach(
        &mut self,
        reached: Reached,
        swept: Option<LocalDay>,
    ) -> Result<(), sqlx::Error> {
        let [registry, tiering, visits, alerts, claims, sharing] = reached.map(u64::cast_signed);
        sqlx::query(
            "INSERT INTO sharing_kept.feed_index \
                 (stream, sequence, registry, tiering, visits, alerts, claims, sharing, swept) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (stream) DO UPDATE SET registry = excluded.registry, tiering = excluded.tiering, \
                 visits = excluded.visits, alerts = excluded.alerts, claims = excluded.claims, \
                 sharing = excluded.sharing, swept = excluded.swept",
        )
        .bind(STREAM)
        .bind(self.sequence.cast_signed())
        .bind(registry)
        .bind(tiering)
        .bind(visits)
        .bind(alerts)
        .bind(claims)
        .bind(sharing)
        .bind(swept.map(LocalDay::date))
        .execute(&mut self.db)
        .await?;
        Ok(())
    }

    /// The feeds that ever told of some elders, by their numbers, with whether they hold something of the elder now.
    pub(super) async fn told(
        &mut self,
        elders: &BTreeSet<ElderId>,
    ) -> Result<BTreeMap<ElderId, BTreeMap<i64, bool>>, sqlx::Error> {
        let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let rows = sqlx::query(
            "SELECT elder_id, feed_id, told FROM sharing_kept.feed_told WHERE elder_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&mut self.db)
        .await?;
        let mut told: BTreeMap<ElderId, BTreeMap<i64, bool>> = BTreeMap::new();
        for row in &rows {
            let feeds = told.entry(ElderId(row.try_get(0)?)).or_default();
            feeds.insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(told)
    }

    /// Notes that feeds hold all there is of elders, of whom there was nothing to tell.
    pub(super) async fn nothing_to_tell(
        &mut self,
        of: &[(i64, ElderId)],
    ) -> Result<(), sqlx::Error> {
        if of.is_empty() {
            return Ok(());
        }
        let told = of.iter().map(|pair| (*pair, true)).collect();
        write_told(&mut self.db, &told).await
    }

    /// Where something is said of elders of whom a later message says that they are erased.
    pub(super) async fn erasable(&mut self) -> Result<Vec<u64>, sqlx::Error> {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT message.sequence FROM sharing_kept.feed_message message \
             JOIN (SELECT elder_id, max(sequence) AS sequence FROM sharing_kept.feed_message WHERE tombstone GROUP BY elder_id) \
                 AS tombstone USING (elder_id) \
             WHERE NOT message.tombstone AND message.sequence < tombstone.sequence ORDER BY 1",
        )
        .fetch_all(&mut self.db)
        .await?;
        Ok(rows.into_iter().map(i64::cast_unsigned).collect())
    }

    /// Forgets messages that are taken away.
    pub(super) async fn erased(&mut self, sequences: &[u64]) -> Result<(), sqlx::Error> {
        let sequences: Vec<i64> = sequences.iter().map(|one| one.cast_signed()).collect();
        sqlx::query("DELETE FROM sharing_kept.feed_message WHERE sequence = ANY($1)")
            .persistent(false)
            .bind(sequences)
            .execute(&mut self.db)
            .await?;
        Ok(())
    }

    /// Forgets messages that have aged out of the stream.
    pub(super) async fn aged(&mut self, first: u64) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM sharing_kept.feed_message WHERE sequence < $1")
            .persistent(false)
            .bind(first.cast_signed())
            .execute(&mut self.db)
            .await?;
        Ok(())
    }

    /// Notes that what may stay no longer is taken away from a feed.
    pub(super) async fn purged(&mut self, feed: &Feed) -> Result<(), sqlx::Error> {
        let Some(kept) = self.feeds.get_mut(feed) else {
            return Ok(());
        };
        sqlx::query("DELETE FROM sharing_kept.feed_message WHERE feed_id = $1 AND sequence < $2")
            .persistent(false)
            .bind(kept.id)
            .bind(kept.purge_before.cast_signed())
            .execute(&mut self.db)
            .await?;
        sqlx::query("UPDATE sharing_kept.feed SET purge_before = 0 WHERE feed_id = $1")
            .bind(kept.id)
            .execute(&mut self.db)
            .await?;
        kept.purge_before = 0;
        Ok(())
    }
}

async fn feeds(db: &mut PgConnection) -> Result<Feeds, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT department, product, division, feed_id, begun, begun_at, fields, ended, complete, purge_before \
         FROM sharing_kept.feed",
    )
    .fetch_all(db)
    .await?;
    let broken = || sqlx::Error::Decode("a row holds no feed".into());
    let feeds = rows.iter().map(|row| {
        let (department, product, division): (&str, &str, &str) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let subject = format!("feed.{department}.{product}.{division}.row");
        let (feed, _row) = Feed::of_subject(&subject).ok_or_else(broken)?;
        let fields = serde_json::from_str(row.try_get(6)?);
        let kept = Kept {
            id: row.try_get(3)?,
            begun: row.try_get::<i64, _>(4)?.cast_unsigned(),
            begun_at: row.try_get(5)?,
            fields: fields.map_err(|_other| broken())?,
            ended: row.try_get(7)?,
            complete: row.try_get(8)?,
            purge_before: row.try_get::<i64, _>(9)?.cast_unsigned(),
        };
        Ok((feed, kept))
    });
    feeds.collect()
}

/// The rows of some messages; what a feed says of all its elders is written before what it says of single ones later.
#[derive(Default)]
struct Rows {
    told: BTreeMap<(i64, ElderId), bool>,
    messages: Vec<(ElderId, u64, i64, bool)>,
}

impl Rows {
    async fn take(
        &mut self,
        db: &mut PgConnection,
        feeds: &mut Feeds,
        message: &Lying,
    ) -> Result<(), sqlx::Error> {
        let own = Own::parse(&message.event).filter(|_| message.is_own());
        match own {
            Some(Own::Begun) => {
                self.flush_told(db).await?;
                begin(db, feeds, message).await
            }
            Some(Own::Ended) => {
                self.flush_told(db).await?;
                end(db, feeds, message).await
            }
            Some(Own::CaughtUp) => complete(db, feeds, message).await,
            Some(Own::Withdrawn) => {
                self.said(feeds, message, false, false);
                Ok(())
            }
            Some(Own::Erased) => {
                self.said(feeds, message, false, true);
                Ok(())
            }
            Some(Own::Shared) | None => {
                self.said(feeds, message, true, false);
                Ok(())
            }
        }
    }

    /// What a message says of an elder. One of a feed whose beginning has aged out is of no use to anybody.
    fn said(&mut self, feeds: &Feeds, message: &Lying, told: bool, tombstone: bool) {
        let feed = feeds.get(&message.feed);
        let Some((feed, elder)) = feed.zip(message.elder()) else {
            return;
        };
        self.told.insert((feed.id, elder), told);
        let row = (elder, message.sequence, feed.id, tombstone);
        self.messages.push(row);
    }

    async fn flush_told(&mut self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        write_told(db, &std::mem::take(&mut self.told)).await
    }

    async fn write(mut self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.flush_told(db).await?;
        if self.messages.is_empty() {
            return Ok(());
        }
        let (mut elders, mut sequences) = (vec![], vec![]);
        let (mut feeds, mut tombstones) = (vec![], vec![]);
        for (elder, sequence, feed, tombstone) in self.messages {
            elders.push(elder.as_uuid());
            sequences.push(sequence.cast_signed());
            feeds.push(feed);
            tombstones.push(tombstone);
        }
        sqlx::query(
            "INSERT INTO sharing_kept.feed_message (elder_id, sequence, feed_id, tombstone) \
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[]) ON CONFLICT DO NOTHING",
        )
        .bind(elders)
        .bind(sequences)
        .bind(feeds)
        .bind(tombstones)
        .execute(db)
        .await?;
        Ok(())
    }
}

async fn write_told(
    db: &mut PgConnection,
    told: &BTreeMap<(i64, ElderId), bool>,
) -> Result<(), sqlx::Error> {
    if told.is_empty() {
        return Ok(());
    }
    let elders: Vec<Uuid> = told.keys().map(|(_, elder)| elder.as_uuid()).collect();
    let feeds: Vec<i64> = told.keys().map(|(feed, _)| *feed).collect();
    let told: Vec<bool> = told.values().copied().collect();
    sqlx::query(
        "INSERT INTO sharing_kept.feed_told (elder_id, feed_id, told) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) \
         ON CONFLICT (elder_id, feed_id) DO UPDATE SET told = excluded.told WHERE feed_told.told <> excluded.told",
    )
    .bind(elders)
    .bind(feeds)
    .bind(told)
    .execute(db)
    .await?;
    Ok(())
}

async fn begin(
    db: &mut PgConnection,
    feeds: &mut Feeds,
    message: &Lying,
) -> Result<(), sqlx::Error> {
    let Ok(body) = serde_json::from_slice::<BegunBody>(&message.body) else {
        // Of another version of the program: it begins once more.
        tracing::error!(
            sequence = message.sequence,
            "the beginning of a feed can't be read"
        );
        return Ok(());
    };
    let begun_at = message.header(header::TIME).parse().unwrap_or_default();
    let before = feeds.get(&message.feed);
    let purge_before = if body.narrowed {
        message.sequence
    } else {
        before.map_or(0, |kept| kept.purge_before)
    };
    let fields = serde_json::to_string(&body.fields);
    let fields = fields.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO sharing_kept.feed \
             (department, product, division, begun, begun_at, fields, ended, complete, purge_before) \
         VALUES ($1, $2, $3, $4, $5, $6, false, false, $7) \
         ON CONFLICT (department, product, division) DO UPDATE SET begun = excluded.begun, begun_at = excluded.begun_at, \
             fields = excluded.fields, ended = false, complete = false, purge_before = excluded.purge_before \
         RETURNING feed_id",
    )
    .bind(&message.feed.department)
    .bind(message.feed.product.name())
    .bind(message.feed.division.as_str())
    .bind(message.sequence.cast_signed())
    .bind(begun_at)
    .bind(fields)
    .bind(purge_before.cast_signed())
    .fetch_one(&mut *db)
    .await?;
    nobody_told(db, id).await?;
    let kept = Kept {
        id,
        begun: message.sequence,
        begun_at,
        fields: body.fields,
        ended: false,
        complete: false,
        purge_before,
    };
    feeds.insert(message.feed.clone(), kept);
    Ok(())
}

async fn end(db: &mut PgConnection, feeds: &mut Feeds, message: &Lying) -> Result<(), sqlx::Error> {
    let Some(kept) = feeds.get_mut(&message.feed) else {
        return Ok(());
    };
    (kept.ended, kept.complete) = (true, false);
    kept.purge_before = message.sequence;
    sqlx::query(
        "UPDATE sharing_kept.feed SET ended = true, complete = false, purge_before = $2 WHERE feed_id = $1",
    )
    .bind(kept.id)
    .bind(message.sequence.cast_signed())
    .execute(&mut *db)
    .await?;
    nobody_told(db, kept.id).await
}

async fn complete(
    db: &mut PgConnection,
    feeds: &mut Feeds,
    message: &Lying,
) -> Result<(), sqlx::Error> {
    let Some(kept) = feeds.get_mut(&message.feed) else {
        return Ok(());
    };
    kept.complete = true;
    sqlx::query("UPDATE sharing_kept.feed SET complete = true WHERE feed_id = $1")
        .bind(kept.id)
        .execute(db)
        .await?;
    Ok(())
}

/// Whoever reads the feed holds nothing any more.
async fn nobody_told(db: &mut PgConnection, feed: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE sharing_kept.feed_told SET told = false WHERE feed_id = $1 AND told")
        .persistent(false)
        .bind(feed)
        .execute(db)
        .await?;
    Ok(())
}

/// How far the publisher has come, as the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The last record of each log that is done, in the order of [`crate::sharing::Logs::all`].
    pub(crate) reached: Reached,
    /// The last day on which all elders were looked at, with the agreements of then.
    pub(crate) swept: Option<LocalDay>,
}

#[async_trait::async_trait]
impl readmodel::Reached for Published {
    async fn told(pool: &sqlx::PgPool) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT registry, tiering, visits, alerts, claims, sharing, swept FROM sharing_kept.feed_index \
             WHERE stream = $1",
        )
        .bind(STREAM)
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut reached = Reached::default();
        for (place, one) in reached.iter_mut().enumerate() {
            *one = row.try_get::<i64, _>(place)?.cast_unsigned();
        }
        let swept: Option<NaiveDate> = row.try_get(6)?;
        let swept = swept.map(elder_tables::columns::day).transpose()?;
        Ok(Some(Self { reached, swept }))
    }
}
