//! The feeds that there ever were, as rows: how each stands by its last beginning.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _};

use super::super::message::{BegunBody, Lying, Own, header};
use super::super::standing::{Feed, Fields};

/// A feed as the index keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its number in the tables.
    pub(crate) id: i64,
    /// Where it began; 0 where that is not known any more: the message has aged out, or can't be read.
    pub(crate) begun: u64,
    /// When.
    pub(crate) begun_at: DateTime<Utc>,
    /// What it tells.
    pub(crate) fields: Fields,
    /// Whether it is over.
    pub(crate) ended: bool,
    /// Whether all that was there when it began is told.
    pub(crate) complete: bool,
    /// What lies before this sequence is to be taken away; 0: nothing.
    pub(crate) purge_before: u64,
}

impl Kept {
    /// A feed of whose beginning nothing is known.
    fn without_beginning(purge_before: u64) -> Self {
        Self {
            id: 0,
            begun: 0,
            begun_at: DateTime::UNIX_EPOCH,
            fields: Fields::default(),
            ended: false,
            complete: true,
            purge_before,
        }
    }

    /// Whether what it told may stay no longer where these fields are told from now on. Where nobody knows what that was, it may
    /// not.
    pub(crate) fn is_narrowed_by(&self, fields: &Fields) -> bool {
        self.begun == 0 || self.fields.narrowed_by(fields)
    }
}

/// All feeds that there ever were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Feeds {
    kept: BTreeMap<Feed, Kept>,
    /// By their numbers.
    names: BTreeMap<i64, Feed>,
    /// From which something is to be taken away.
    due: BTreeSet<Feed>,
}

impl Feeds {
    /// As the table says; none where a row holds no feed.
    pub(super) async fn read(db: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT department, product, division, feed_id, begun, begun_at, fields, ended, complete, purge_before \
             FROM sharing_kept.feed",
        )
        .fetch_all(db)
        .await?;
        let mut feeds = Self::default();
        for row in &rows {
            let feed = Feed::named(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let fields = serde_json::from_str(row.try_get(6)?).ok();
            let Some((feed, fields)) = feed.zip(fields) else {
                return Ok(None);
            };
            let kept = Kept {
                id: row.try_get(3)?,
                begun: row.try_get::<i64, _>(4)?.cast_unsigned(),
                begun_at: row.try_get(5)?,
                fields,
                ended: row.try_get(7)?,
                complete: row.try_get(8)?,
                purge_before: row.try_get::<i64, _>(9)?.cast_unsigned(),
            };
            feeds.insert(feed, kept);
        }
        Ok(Some(feeds))
    }

    fn insert(&mut self, feed: Feed, kept: Kept) {
        self.names.insert(kept.id, feed.clone());
        match kept.purge_before {
            0 => self.due.remove(&feed),
            _ => self.due.insert(feed.clone()),
        };
        self.kept.insert(feed, kept);
    }

    /// A feed from which something is to be taken away, and before which sequence that lies.
    pub(crate) fn due(&self) -> Option<(&Feed, u64)> {
        let feed = self.due.first()?;
        Some((feed, self.kept.get(feed)?.purge_before))
    }

    /// Whether something is to be taken away from feeds of a department.
    pub(crate) fn is_due(&self, department: &str) -> bool {
        self.due.iter().any(|feed| feed.department == department)
    }

    /// How a feed stands; none where it never was.
    pub(crate) fn get(&self, feed: &Feed) -> Option<&Kept> {
        self.kept.get(feed)
    }

    /// The feed of a number.
    pub(crate) fn by_id(&self, id: i64) -> Option<(&Feed, &Kept)> {
        let feed = self.names.get(&id)?;
        Some((feed, self.kept.get(feed)?))
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Feed, &Kept)> {
        self.kept.iter()
    }

    /// Whether some of these messages change how a feed stands; else they only say something of elders.
    pub(super) fn change_with(&self, messages: &[Lying]) -> bool {
        let changes = |message: &Lying| match message.says() {
            Some(Own::Begun | Own::Ended | Own::CaughtUp) => true,
            Some(Own::Shared | Own::Withdrawn | Own::Erased) | None => {
                self.get(&message.feed).is_none()
            }
        };
        messages.iter().any(changes)
    }

    /// Whether there never was one.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether none is left that is not over.
    pub(crate) fn have_ended(&self) -> bool {
        self.kept.values().all(|kept| kept.ended)
    }

    /// How a feed stands by now; one that is not known, as if its beginning had gone.
    fn now(&self, feed: &Feed) -> Kept {
        let kept = self.kept.get(feed).cloned();
        kept.unwrap_or_else(|| Kept::without_beginning(0))
    }

    /// The number of a feed that bore something. One whose beginning has gone before the rest is known from now on: what it bore
    /// may have to be found again.
    pub(super) async fn number(
        &mut self,
        db: &mut PgConnection,
        feed: &Feed,
    ) -> Result<i64, sqlx::Error> {
        match self.kept.get(feed) {
            Some(kept) => Ok(kept.id),
            None => self.write(db, feed, Kept::without_beginning(0)).await,
        }
    }

    /// A feed begins, anew as a rule; its number.
    pub(super) async fn begin(
        &mut self,
        db: &mut PgConnection,
        message: &Lying,
    ) -> Result<i64, sqlx::Error> {
        let purge_before = self.now(&message.feed).purge_before;
        let Ok(body) = serde_json::from_slice::<BegunBody>(&message.body) else {
            // Of another version of the program: it begins once more.
            tracing::error!(
                sequence = message.sequence,
                "the beginning of a feed can't be read"
            );
            let unknown = Kept::without_beginning(purge_before);
            return self.write(db, &message.feed, unknown).await;
        };
        let kept = Kept {
            id: 0,
            begun: message.sequence,
            begun_at: message.header(header::TIME).parse().unwrap_or_default(),
            fields: body.fields,
            ended: false,
            complete: false,
            purge_before: if body.narrowed {
                message.sequence
            } else {
                purge_before
            },
        };
        self.write(db, &message.feed, kept).await
    }

    async fn write(
        &mut self,
        db: &mut PgConnection,
        feed: &Feed,
        kept: Kept,
    ) -> Result<i64, sqlx::Error> {
        let fields = serde_json::to_string(&kept.fields);
        let fields = fields.map_err(|error| sqlx::Error::Encode(error.into()))?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO sharing_kept.feed \
                 (department, product, division, begun, begun_at, fields, ended, complete, purge_before) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (department, product, division) DO UPDATE SET begun = excluded.begun, begun_at = excluded.begun_at, \
                 fields = excluded.fields, ended = excluded.ended, complete = excluded.complete, \
                 purge_before = excluded.purge_before \
             RETURNING feed_id",
        )
        .bind(&feed.department)
        .bind(feed.product.name())
        .bind(feed.division.as_str())
        .bind(kept.begun.cast_signed())
        .bind(kept.begun_at)
        .bind(fields)
        .bind(kept.ended)
        .bind(kept.complete)
        .bind(kept.purge_before.cast_signed())
        .fetch_one(db)
        .await?;
        self.insert(feed.clone(), Kept { id, ..kept });
        Ok(id)
    }

    /// A feed is over; its number.
    pub(super) async fn end(
        &mut self,
        db: &mut PgConnection,
        message: &Lying,
    ) -> Result<i64, sqlx::Error> {
        let over = Kept {
            ended: true,
            complete: false,
            purge_before: message.sequence,
            ..self.now(&message.feed)
        };
        self.write(db, &message.feed, over).await
    }

    /// All that was there when a feed began is told.
    pub(super) async fn complete(
        &mut self,
        db: &mut PgConnection,
        message: &Lying,
    ) -> Result<(), sqlx::Error> {
        let complete = Kept {
            complete: true,
            ..self.now(&message.feed)
        };
        self.write(db, &message.feed, complete).await?;
        Ok(())
    }

    /// What may stay no longer is taken away from a feed.
    pub(super) async fn purged(
        &mut self,
        db: &mut PgConnection,
        feed: &Feed,
    ) -> Result<(), sqlx::Error> {
        let Some(kept) = self.kept.get_mut(feed) else {
            return Ok(());
        };
        sqlx::query("DELETE FROM sharing_kept.feed_message WHERE feed_id = $1 AND sequence < $2")
            .persistent(false)
            .bind(kept.id)
            .bind(kept.purge_before.cast_signed())
            .execute(&mut *db)
            .await?;
        sqlx::query("UPDATE sharing_kept.feed SET purge_before = 0 WHERE feed_id = $1")
            .bind(kept.id)
            .execute(db)
            .await?;
        kept.purge_before = 0;
        self.due.remove(feed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use civic::ElderId;
    use uuid::Uuid;

    use super::super::super::message::Message;
    use super::*;
    use crate::products::ProductName;

    #[test]
    fn what_a_feed_told_without_a_beginning_may_not_stay() {
        let fields: Fields = serde_json::from_str(r#"{"name":"MASKED"}"#).unwrap();
        let unknown = Kept::without_beginning(0);
        assert!(unknown.is_narrowed_by(&fields));
        let known = Kept {
            begun: 7,
            fields: fields.clone(),
            ..unknown
        };
        assert!(!known.is_narrowed_by(&fields));
        assert!(known.is_narrowed_by(&Fields::default()));
    }

    #[test]
    fn a_feed_is_due_until_nothing_is_to_be_taken_away() {
        let of = |department: &str| Feed {
            department: department.to_owned(),
            product: ProductName::Visit,
            division: "350524".parse().unwrap(),
        };
        let (health, police) = (of("health"), of("police"));
        let mut feeds = Feeds::default();
        feeds.insert(health.clone(), Kept::without_beginning(0));
        assert_eq!(feeds.due(), None);
        feeds.insert(police.clone(), Kept::without_beginning(7));
        assert_eq!(feeds.due(), Some((&police, 7)));
        assert!(feeds.is_due("police") && !feeds.is_due("health"));
        feeds.insert(police, Kept::without_beginning(0));
        assert_eq!(feeds.due(), None);
    }

    #[test]
    fn what_is_said_of_elders_alone_changes_no_feed_that_is_known() {
        let feed = |product| Feed {
            department: "health".to_owned(),
            product,
            division: "350524".parse().unwrap(),
        };
        let (known, new) = (feed(ProductName::Visit), feed(ProductName::Tier));
        let mut feeds = Feeds::default();
        feeds.insert(known.clone(), Kept::without_beginning(0));
        let elder = Some(ElderId(Uuid::from_u128(1)));
        let says = |feed: &Feed, own| Message::own(feed, own, elder, DateTime::UNIX_EPOCH).at(7);
        let of_elders = [Own::Shared, Own::Withdrawn, Own::Erased].map(|own| says(&known, own));
        assert!(!feeds.change_with(&of_elders) && !feeds.change_with(&[]));
        for own in [Own::Begun, Own::CaughtUp, Own::Ended] {
            assert!(feeds.change_with(&[of_elders[0].clone(), says(&known, own)]));
        }
        assert!(feeds.change_with(&[says(&new, Own::Withdrawn)]));
    }
}
