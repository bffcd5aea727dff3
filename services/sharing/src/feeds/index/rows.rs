//! What messages of feeds say of elders, as rows: whom each feed told of, and where.

use std::collections::BTreeMap;

use civic::{ElderId, LocalDay};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::super::message::{Lying, Own};
use super::super::positions::LeftOut;
use super::super::stream::STREAM;
use super::Published;
use super::kept::Feeds;

/// Whoever holds something of an elder was told all there is, unless the publisher's position says otherwise.
const NAMED: &str = "\
    INSERT INTO sharing_kept.feed_told (elder_id, feed_id, told, held, carried) \
    SELECT elder_id, feed_id, told, held, true \
    FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::boolean[]) AS named (elder_id, feed_id, told, held) \
    ON CONFLICT (elder_id, feed_id) DO UPDATE SET told = excluded.told, held = excluded.held, carried = true \
    WHERE (feed_told.told, feed_told.held, feed_told.carried) IS DISTINCT FROM (excluded.told, excluded.held, true)";

/// Where messages lie, and how far index and publisher have come with them.
const MESSAGES: &str = "\
    message AS ( \
        INSERT INTO sharing_kept.feed_message (elder_id, sequence, feed_id, tombstone) \
        SELECT * FROM unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::boolean[]) ON CONFLICT DO NOTHING \
    ) \
    INSERT INTO sharing_kept.feed_index \
        (stream, sequence, registry, tiering, visits, alerts, claims, sharing, swept) \
    VALUES ($9, $10, $11, $12, $13, $14, $15, $16, $17) \
    ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence, registry = excluded.registry, \
        tiering = excluded.tiering, visits = excluded.visits, alerts = excluded.alerts, claims = excluded.claims, \
        sharing = excluded.sharing, swept = excluded.swept";

/// The rows of some messages; what a feed says of all its elders is written before what it says of single ones later.
pub(super) struct Rows<'a> {
    /// Of whom feeds have not told all.
    left_out: &'a LeftOut,
    /// Whether a feed's reader holds something of an elder, who was named by it.
    named: BTreeMap<(i64, ElderId), bool>,
    messages: Vec<(ElderId, u64, i64, bool)>,
}

/// Who was named, as columns.
struct Named {
    elders: Vec<Uuid>,
    feeds: Vec<i64>,
    told: Vec<bool>,
    held: Vec<bool>,
}

impl<'a> Rows<'a> {
    /// None yet. Whoever holds something was told all there is, but for these.
    pub(super) const fn but_for(left_out: &'a LeftOut) -> Self {
        Self {
            left_out,
            named: BTreeMap::new(),
            messages: Vec::new(),
        }
    }

    pub(super) async fn take(
        &mut self,
        db: &mut PgConnection,
        feeds: &mut Feeds,
        message: &Lying,
    ) -> Result<(), sqlx::Error> {
        match message.says() {
            Some(Own::Begun) => {
                self.flush_named(db).await?;
                let feed = feeds.begin(db, message).await?;
                nobody_told(db, feed).await
            }
            Some(Own::Ended) => {
                self.flush_named(db).await?;
                let feed = feeds.end(db, message).await?;
                nobody_told(db, feed).await
            }
            Some(Own::CaughtUp) => feeds.complete(db, message).await,
            Some(Own::Withdrawn) => self.said(db, feeds, message, false, false).await,
            Some(Own::Erased) => self.said(db, feeds, message, false, true).await,
            Some(Own::Shared) | None => self.said(db, feeds, message, true, false).await,
        }
    }

    /// What a message says of an elder.
    async fn said(
        &mut self,
        db: &mut PgConnection,
        feeds: &mut Feeds,
        message: &Lying,
        held: bool,
        tombstone: bool,
    ) -> Result<(), sqlx::Error> {
        let Some(elder) = message.elder() else {
            return Ok(());
        };
        let feed = feeds.number(db, &message.feed).await?;
        self.named.insert((feed, elder), held);
        let row = (elder, message.sequence, feed, tombstone);
        self.messages.push(row);
        Ok(())
    }

    async fn flush_named(&mut self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.named.is_empty() {
            let named = self.take_named();
            sqlx::query(NAMED)
                .bind(named.elders)
                .bind(named.feeds)
                .bind(named.told)
                .bind(named.held)
                .execute(db)
                .await?;
        }
        Ok(())
    }

    fn take_named(&mut self) -> Named {
        let named = std::mem::take(&mut self.named);
        let told = named
            .iter()
            .map(|((_, elder), held)| *held && !self.left_out.has(*elder));
        Named {
            elders: named.keys().map(|(_, elder)| elder.as_uuid()).collect(),
            feeds: named.keys().map(|(feed, _)| *feed).collect(),
            told: told.collect(),
            held: named.values().copied().collect(),
        }
    }

    /// Writes them, up to a sequence of the stream, and how far the publisher has come with them: all by one statement.
    pub(super) async fn write(
        mut self,
        db: &mut PgConnection,
        through: u64,
        published: Published,
    ) -> Result<(), sqlx::Error> {
        let named = self.take_named();
        let (mut elders, mut sequences) = (vec![], vec![]);
        let (mut feeds, mut tombstones) = (vec![], vec![]);
        for (elder, sequence, feed, tombstone) in self.messages {
            elders.push(elder.as_uuid());
            sequences.push(sequence.cast_signed());
            feeds.push(feed);
            tombstones.push(tombstone);
        }
        let statement = format!("WITH named AS ({NAMED}), {MESSAGES}");
        let statement = sqlx::query(AssertSqlSafe(statement))
            .bind(named.elders)
            .bind(named.feeds)
            .bind(named.told)
            .bind(named.held)
            .bind(elders)
            .bind(sequences)
            .bind(feeds)
            .bind(tombstones)
            .bind(STREAM)
            .bind(through.cast_signed());
        let reached = published.reached.into_iter();
        let statement = reached.fold(statement, |statement, sequence| {
            statement.bind(sequence.cast_signed())
        });
        let statement = statement.bind(published.swept.map(LocalDay::date));
        statement.execute(db).await?;
        Ok(())
    }
}

/// Whoever reads the feed holds nothing any more.
async fn nobody_told(db: &mut PgConnection, feed: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE sharing_kept.feed_told SET told = false, held = false WHERE feed_id = $1 AND (told OR held)",
    )
    .persistent(false)
    .bind(feed)
    .execute(db)
    .await?;
    Ok(())
}
