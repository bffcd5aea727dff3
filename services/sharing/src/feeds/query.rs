//! Feeds by gRPC (数据流查询与订阅): what the stream bears, for officers and systems of the department that it is for.
//! [`super::subscription`]: each new event too.

use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::DivisionCode;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use service::{AnswerRoom, Caller, errors};
use tokio::time::sleep;
use tonic::Status;

use super::message::Lying;
use super::standing::Feed;
use super::stream::{FeedStream, From, STREAM, StreamError};
use super::telling::Reader;
use crate::products::ProductName;
use crate::refusals;
use crate::sharing::Sharing;

/// How many messages are looked at for one answer.
const LOOKED_AT: usize = 2_000;
/// How many are read at once at the least: of many the caller may see but few.
const LEAST: usize = 50;
/// A position that seems to lie beyond the end is looked at again so often, after so long.
const TIMES: usize = 10;
const AGAIN: Duration = Duration::from_millis(50);

/// From where events are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// After a sequence of the stream.
    After(u64),
    /// Since an instant, included.
    At(DateTime<Utc>),
}

/// What was found for one answer.
#[derive(Debug)]
struct Found {
    /// What the caller may see, in its order.
    messages: Vec<Lying>,
    /// Up to where the stream was looked at.
    last: u64,
    /// Whether there was no more.
    caught_up: bool,
}

/// Which events are asked for.
#[derive(Clone, Debug)]
pub(crate) struct FeedAsked {
    /// Of this product alone.
    pub(crate) product: Option<ProductName>,
    /// Of this division's feed alone.
    pub(crate) division: Option<DivisionCode>,
    /// From where on.
    pub(crate) start: Option<Start>,
}

impl FeedAsked {
    pub(super) fn subjects(&self, department: &str) -> String {
        Feed::some_of(department, self.product, self.division.as_ref())
    }

    /// After which sequence events are asked for, of a stream that ends at one; another one where nothing is said of that.
    pub(super) async fn after(
        &self,
        feeds: &FeedStream,
        end: u64,
        unsaid: u64,
    ) -> Result<u64, Status> {
        match self.start {
            None => Ok(unsaid),
            Some(Start::After(sequence)) => {
                not_beyond(feeds, sequence, end).await?;
                Ok(sequence)
            }
            Some(Start::At(at)) => feeds.before(at).await.map_err(away),
        }
    }
}

impl Sharing {
    /// Some events of the feeds of the caller's department, as many as there is room for, once it is on record that the caller is
    /// told of them.
    pub(crate) async fn query_feed(
        &self,
        caller: &Caller,
        asked: FeedAsked,
        size: u32,
        room: AnswerRoom,
        address: &str,
    ) -> Result<pb::QueryFeedResponse, Status> {
        let feeds = self.feed_stream()?;
        let reader = Reader {
            method: "QueryFeed",
            caller,
            address,
        };
        // Asked first: what comes out meanwhile is not passed by.
        let end = feeds.last_sequence().await.map_err(away)?;
        let after = asked.after(feeds, end, 0).await?;
        if self.feeds_of(caller).await?.is_empty() {
            return Ok(answer(vec![], end.max(after), true));
        }
        let subjects = asked.subjects(&caller.department);
        let size = size as usize;
        let found = self.found(reader, &subjects, after, size).await?;
        let events = self.tell_page(reader, &found.messages, room).await?;
        let told = found.messages.get(..events.len()).unwrap_or_default();
        let all = told.len() == found.messages.len();
        let last = match told.last() {
            Some(message) if !all => message.sequence,
            Some(_) | None => found.last,
        };
        let events = events.into_iter().flatten().collect();
        Ok(answer(events, last, all && found.caught_up))
    }

    /// Messages that a reader may see, after a sequence.
    async fn found(
        &self,
        reader: Reader<'_>,
        subjects: &str,
        after: u64,
        size: usize,
    ) -> Result<Found, Status> {
        let feeds = self.feed_stream()?;
        let mut found = Found {
            messages: Vec::new(),
            last: after,
            caught_up: false,
        };
        let mut looked_at = 0;
        while found.messages.len() < size && looked_at < LOOKED_AT && !found.caught_up {
            let most = (size - found.messages.len()).max(LEAST);
            let page = feeds.read(subjects, From::After(found.last), most).await;
            let page = page.map_err(away)?;
            // Looked up after that: whatever lies there was granted when it came out, be it that its feed has begun just now.
            let stands = self.feeds_of(reader.caller).await?;
            looked_at += page.messages.len();
            found.caught_up = !page.more;
            found.last = page.last.unwrap_or(found.last);
            let mut messages = page.messages.into_iter().peekable();
            while let Some(message) = messages.next() {
                let sequence = message.sequence;
                if reader.may_see(&stands, &message) {
                    found.messages.push(message);
                }
                if found.messages.len() == size && messages.peek().is_some() {
                    (found.last, found.caught_up) = (sequence, false);
                    break;
                }
            }
        }
        Ok(found)
    }

    pub(super) fn feed_stream(&self) -> Result<&FeedStream, Status> {
        self.feeds
            .as_ref()
            .ok_or_else(|| errors::unavailable("feeds"))
    }
}

/// Lets the call go on unless the stream ends before the position from which on somebody asks: it was lost, or put back to an
/// earlier state, and what came out since would be passed by. A server may have yet to hear of what another one has told.
pub(super) async fn not_beyond(
    feeds: &FeedStream,
    sequence: u64,
    mut end: u64,
) -> Result<(), Status> {
    for _ in 0..TIMES {
        if sequence <= end {
            return Ok(());
        }
        sleep(AGAIN).await;
        end = feeds.last_sequence().await.map_err(away)?;
    }
    match sequence <= end {
        true => Ok(()),
        false => Err(refusals::beyond_the_feeds()),
    }
}

fn answer(events: Vec<pb::FeedEvent>, last: u64, caught_up: bool) -> pb::QueryFeedResponse {
    pb::QueryFeedResponse {
        events,
        next_position: Position::new(STREAM, last).to_string(),
        caught_up,
    }
}

pub(super) fn away(error: StreamError) -> Status {
    tracing::warn!(%error, "feeds can't be read");
    errors::unavailable("feeds")
}
