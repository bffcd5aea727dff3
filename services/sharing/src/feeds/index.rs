//! What the feeds bore so far, as rows: whom each told of, and where. The stream `FEEDS` gives all of it back.
//!
//! - [`kept`]: how each feed stands; [`rows`]: what messages say of elders; [`under`]: by which agreements all of it was told.

mod kept;
mod rows;
mod under;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use civic::{ElderId, LocalDay};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use self::kept::Feeds;
use self::rows::Rows;
use self::under::Under;
use super::message::Lying;
use super::positions::LeftOut;
use super::standing::{Feed, Standing};
use super::stream::STREAM;

/// How a feed stands to an elder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether it told all there is of the elder, be that nothing.
    pub(super) all: bool,
    /// Whether whoever reads it holds something of the elder.
    pub(super) held: bool,
    /// Whether it ever bore something about the elder.
    pub(super) carried: bool,
}

/// How far the publisher has come in each log, in the order of [`crate::sharing::Logs::all`].
pub(super) type Reached = [u64; 6];

/// The index, on the publisher's connection.
#[derive(Debug)]
pub(super) struct Index {
    db: PgConnection,
    /// All feeds.
    pub(super) feeds: Feeds,
    under: Under,
    /// How far it has come in `FEEDS`.
    pub(super) sequence: u64,
    /// How far the publisher has come, as the table says by this index.
    published: Option<Published>,
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
        let feeds = Feeds::read(&mut db).await?;
        let under = Under::read(&mut db).await?;
        let readable = feeds.is_some();
        let mut index = Self {
            db,
            feeds: feeds.unwrap_or_default(),
            under,
            sequence: sequence.unwrap_or(0).cast_unsigned(),
            published: None,
        };
        if !readable {
            tracing::error!("a row of the feeds can't be read: all of them are made anew");
            index.clear().await?;
        }
        Ok(index)
    }

    /// The connection, for what is read beside it.
    pub(super) fn db(&mut self) -> &mut PgConnection {
        &mut self.db
    }

    /// Forgets what the stream bore: it was put back to an earlier state, or is another one. How far the publisher had come in the
    /// logs it keeps.
    pub(super) async fn clear(&mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(
            "TRUNCATE sharing_kept.feed, sharing_kept.feed_told, sharing_kept.feed_message; \
             UPDATE sharing_kept.feed_index SET sequence = 0, swept = NULL",
        )
        .execute(&mut self.db)
        .await?;
        self.forget_agreements().await?;
        self.feeds = Feeds::default();
        self.sequence = 0;
        self.published = None;
        Ok(())
    }

    /// Takes in messages that lie in the stream up to a sequence, and says how far the publisher has come with them, for those who
    /// wait for that.
    pub(super) async fn take(
        &mut self,
        messages: &[Lying],
        through: u64,
        published: Published,
    ) -> Result<(), sqlx::Error> {
        let nobody = LeftOut::default();
        self.take_again(messages, through, published, &nobody).await
    }

    /// The same of messages of which the index knows nothing any more, as it was lost perhaps. Of whom something was left out feeds
    /// have not told all: whatever was noted of that may be lost with it.
    pub(super) async fn take_again(
        &mut self,
        messages: &[Lying],
        through: u64,
        published: Published,
        left_out: &LeftOut,
    ) -> Result<(), sqlx::Error> {
        if self.feeds.change_with(messages) {
            let mut transaction = self.db.begin().await?;
            // Where that fails the index is opened anew.
            let rows = rows_of(messages, &mut self.feeds, &mut transaction, left_out).await?;
            rows.write(&mut transaction, through, published).await?;
            transaction.commit().await?;
        } else {
            let rows = rows_of(messages, &mut self.feeds, &mut self.db, left_out).await?;
            // One statement: it holds together by itself.
            rows.write(&mut self.db, through, published).await?;
        }
        self.sequence = through;
        self.published = Some(published);
        Ok(())
    }

    /// Says how far the publisher has come where nothing went out, or more was to be done.
    pub(super) async fn reach(&mut self, published: Published) -> Result<(), sqlx::Error> {
        match self.published == Some(published) {
            true => Ok(()),
            false => self.take(&[], self.sequence, published).await,
        }
    }

    /// How feeds stand to some elders, by the feeds' numbers; one that never had to do with an elder is missing.
    pub(super) async fn told(
        &mut self,
        elders: &BTreeSet<ElderId>,
    ) -> Result<BTreeMap<ElderId, BTreeMap<i64, Told>>, sqlx::Error> {
        let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let rows = sqlx::query(
            "SELECT elder_id, feed_id, told, held, carried FROM sharing_kept.feed_told WHERE elder_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&mut self.db)
        .await?;
        let mut told: BTreeMap<ElderId, BTreeMap<i64, Told>> = BTreeMap::new();
        for row in &rows {
            let feeds = told.entry(ElderId(row.try_get(0)?)).or_default();
            let of_feed = Told {
                all: row.try_get(2)?,
                held: row.try_get(3)?,
                carried: row.try_get(4)?,
            };
            feeds.insert(row.try_get(1)?, of_feed);
        }
        Ok(told)
    }

    /// Notes that feeds told all there is of elders, of whom there was nothing to tell.
    pub(super) async fn nothing_to_tell(
        &mut self,
        of: &[(i64, ElderId)],
    ) -> Result<(), sqlx::Error> {
        if of.is_empty() {
            return Ok(());
        }
        let (feeds, elders) = columns(of);
        sqlx::query(
            "INSERT INTO sharing_kept.feed_told (elder_id, feed_id, told, held, carried) \
             SELECT elder_id, feed_id, true, false, false FROM unnest($1::bigint[], $2::uuid[]) AS nothing (feed_id, elder_id) \
             ON CONFLICT (elder_id, feed_id) DO UPDATE SET told = true",
        )
        .bind(feeds)
        .bind(elders)
        .execute(&mut self.db)
        .await?;
        Ok(())
    }

    /// Notes that feeds have not told all there is of elders: they told a part of it, or have to look again.
    pub(super) async fn something_to_tell(
        &mut self,
        of: &[(i64, ElderId)],
    ) -> Result<(), sqlx::Error> {
        if of.is_empty() {
            return Ok(());
        }
        let (feeds, elders) = columns(of);
        sqlx::query(
            "UPDATE sharing_kept.feed_told AS now SET told = false \
             FROM unnest($1::bigint[], $2::uuid[]) AS something (feed_id, elder_id) \
             WHERE now.elder_id = something.elder_id AND now.feed_id = something.feed_id",
        )
        .persistent(false)
        .bind(feeds)
        .bind(elders)
        .execute(&mut self.db)
        .await?;
        Ok(())
    }

    /// Notes that no feed has told all there is of an elder.
    pub(super) async fn all_to_tell(&mut self, elder: ElderId) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE sharing_kept.feed_told SET told = false WHERE elder_id = $1 AND told")
            .bind(elder.as_uuid())
            .execute(&mut self.db)
            .await?;
        Ok(())
    }

    /// The feeds, by their numbers, that told of an elder's erasure.
    pub(super) async fn tombstones(
        &mut self,
        elder: ElderId,
    ) -> Result<BTreeSet<i64>, sqlx::Error> {
        let feeds: Vec<i64> = sqlx::query_scalar(
            "SELECT feed_id FROM sharing_kept.feed_message WHERE elder_id = $1 AND tombstone",
        )
        .bind(elder.as_uuid())
        .fetch_all(&mut self.db)
        .await?;
        Ok(feeds.into_iter().collect())
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

    /// Notes that nobody knows any more under which agreements `FEEDS` tells something: departments fetch nothing until that is
    /// looked at.
    pub(super) async fn forget_agreements(&mut self) -> Result<(), sqlx::Error> {
        self.under.forget(&mut self.db).await
    }

    /// Whether something may lie in `FEEDS` that the feeds which stand do not tell.
    pub(super) fn holds_more_than(&self, standing: &Standing) -> bool {
        self.under
            .is_more_than(standing, &self.departments(standing))
    }

    /// Notes, before it does, that `FEEDS` tells what the feeds that stand tell, beside what lies there.
    pub(super) async fn tells_also(&mut self, standing: &Standing) -> Result<(), sqlx::Error> {
        self.under.add(&mut self.db, standing).await
    }

    /// Notes that nothing is left in `FEEDS` but what the feeds that stand tell; for departments of which something is still to be
    /// erased there nothing is noted.
    pub(super) async fn tells_only(&mut self, standing: &Standing) -> Result<(), sqlx::Error> {
        let mut departments = self.departments(standing);
        departments.retain(|department| !self.feeds.is_due(department));
        self.under.set(&mut self.db, standing, &departments).await
    }

    /// All departments that ever had a feed, or have one now.
    fn departments(&self, standing: &Standing) -> BTreeSet<String> {
        let kept = self.feeds.iter().map(|(feed, _)| &feed.department);
        let now = standing.iter().map(|(feed, _)| &feed.department);
        kept.chain(now).cloned().collect()
    }

    /// Notes that what may stay no longer is taken away from a feed.
    pub(super) async fn purged(&mut self, feed: &Feed) -> Result<(), sqlx::Error> {
        self.feeds.purged(&mut self.db, feed).await
    }
}

/// Takes in what messages change of feeds; the rows that are left to write.
async fn rows_of<'a>(
    messages: &[Lying],
    feeds: &mut Feeds,
    db: &mut PgConnection,
    left_out: &'a LeftOut,
) -> Result<Rows<'a>, sqlx::Error> {
    let mut rows = Rows::but_for(left_out);
    for message in messages {
        rows.take(db, feeds, message).await?;
    }
    Ok(rows)
}

/// Feeds by their numbers, and elders, as columns.
fn columns(of: &[(i64, ElderId)]) -> (Vec<i64>, Vec<Uuid>) {
    let of = of.iter();
    of.map(|(feed, elder)| (*feed, elder.as_uuid())).unzip()
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
