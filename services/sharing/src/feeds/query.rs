//! Feeds by gRPC (数据流查询与订阅): what the stream bears, for officers and systems of the department that it is for.

use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::DivisionCode;
use eventlog::Position;
use futures::{Stream, StreamExt as _, stream};
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use service::{Caller, errors};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::standing::{Feed, is_token};
use super::stream::{FeedStream, Followed, From, STREAM, StreamError};
use super::telling::{AsOf, Reader};
use crate::products::ProductName;
use crate::sharing::Sharing;

/// How many messages are looked at for one answer.
const LOOKED_AT: usize = 2_000;
/// How many events wait for a subscriber.
const WAITING: usize = 64;
/// How many messages of a subscription go on record at once, where so many lie there.
const AT_ONCE: usize = 500;
/// How long the first of them waits for the others.
const TOGETHER: Duration = Duration::from_millis(100);

/// From where events are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// After a sequence of the stream.
    After(u64),
    /// Since an instant, included.
    At(DateTime<Utc>),
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
    fn subjects(&self, department: &str) -> String {
        Feed::some_of(department, self.product, self.division.as_ref())
    }

    fn from(&self) -> Option<From> {
        self.start.map(|start| match start {
            Start::After(sequence) => From::After(sequence),
            Start::At(at) => From::Since(at),
        })
    }
}

impl Sharing {
    /// Some events of the feeds of the caller's department, once it is on record that the caller is told of them.
    pub(crate) async fn query_feed(
        &self,
        caller: &Caller,
        asked: FeedAsked,
        size: u32,
        address: &str,
    ) -> Result<pb::QueryFeedResponse, Status> {
        let feeds = self.feed_stream()?;
        let reader = Reader {
            method: "QueryFeed",
            caller,
            address,
        };
        let size = size as usize;
        let stands = self.feeds_of(caller).await?;
        let mut from = asked.from().unwrap_or(From::After(0));
        let mut last = match from {
            From::After(sequence) => sequence,
            // Where nothing has come since, it goes on from here.
            From::Since(_) => feeds.last_sequence().await.map_err(away)?,
        };
        let (mut seen, mut caught_up, mut looked_at) = (Vec::new(), false, 0);
        if stands.is_empty() {
            let end = feeds.last_sequence().await.map_err(away)?;
            return Ok(answer(vec![], last.max(end), true));
        }
        let subjects = asked.subjects(&caller.department);
        while seen.len() < size && looked_at < LOOKED_AT && !caught_up {
            let page = feeds.read(&subjects, from, size - seen.len()).await;
            let page = page.map_err(away)?;
            looked_at += page.messages.len();
            caught_up = !page.more;
            last = page.last.unwrap_or(last);
            from = From::After(last);
            let messages = page.messages.into_iter();
            seen.extend(messages.filter(|one| reader.may_see(&stands, one)));
        }
        let events = self.tell_page(reader, stands, &seen).await?;
        Ok(answer(events, last, caught_up))
    }

    /// Events of the feeds of the caller's department, and each new one; each once it is on record that the caller is told of it.
    pub(crate) async fn subscribe_feed(
        &self,
        caller: &Caller,
        asked: FeedAsked,
        address: String,
    ) -> Result<impl Stream<Item = Result<pb::SubscribeFeedResponse, Status>> + Send + use<>, Status>
    {
        let feeds = self.feed_stream()?;
        if !is_token(&caller.department) {
            return Err(errors::unavailable("feeds"));
        }
        let subjects = asked.subjects(&caller.department);
        let begun = match asked.from() {
            Some(From::After(sequence)) => sequence,
            Some(From::Since(_)) | None => feeds.last_sequence().await.map_err(away)?,
        };
        let followed = feeds.follow(subjects, asked.from()).await;
        let (waiting, followed) = followed.map_err(away)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let (sharing, caller) = (self.clone(), caller.clone());
        tokio::spawn(async move {
            let reader = Reader {
                method: "SubscribeFeed",
                caller: &caller,
                address: &address,
            };
            let telling = sharing.tell(reader, &sender, begun, waiting, followed);
            // Whoever has gone needs nothing more.
            tokio::select! {
                outcome = telling => if let Err(status) = outcome {
                    let _ = sender.send(Err(status)).await;
                },
                () = sender.closed() => {}
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async move {
            let next = receiver.recv().await?;
            Some((next, receiver))
        }))
    }

    async fn tell(
        &self,
        reader: Reader<'_>,
        to: &mpsc::Sender<Result<pb::SubscribeFeedResponse, Status>>,
        begun: u64,
        waiting: u64,
        followed: impl Stream<Item = Result<Followed, StreamError>> + Send,
    ) -> Result<(), Status> {
        let mut followed = pin!(followed.fuse());
        let mut caught_up = waiting == 0;
        if caught_up {
            send(to, mark(begun)).await;
        }
        let mut as_of = self.feeds_as_of_now(reader.caller).await?;
        loop {
            let some = gather(&mut followed).await.map_err(away)?;
            if some.is_empty() {
                return Err(errors::unavailable("feeds"));
            }
            let mut left = &some[..];
            while !left.is_empty() {
                let told = self.tell_some(reader, to, &mut as_of, &mut caught_up, left);
                let told = told.await?;
                left = &left[told..];
            }
        }
    }

    /// Tells messages, once all of them are on record; how many, where what is granted changes while they are told: the others have
    /// to go on record as they are told then.
    async fn tell_some(
        &self,
        reader: Reader<'_>,
        to: &mpsc::Sender<Result<pb::SubscribeFeedResponse, Status>>,
        as_of: &mut AsOf,
        caught_up: &mut bool,
        some: &[Followed],
    ) -> Result<usize, Status> {
        self.changed(reader.caller, as_of).await?;
        let messages = some.iter().map(|one| one.lying.as_ref());
        let read = reader.read(&as_of.stands, messages, self.clock.now());
        self.recorder.record_all(read.looks).await?;
        for (place, (one, event)) in some.iter().zip(read.events).enumerate() {
            if self.changed(reader.caller, as_of).await? {
                return Ok(place);
            }
            if let Some(event) = event {
                send(to, What::Event(event)).await;
            }
            if !*caught_up && one.pending == 0 {
                *caught_up = true;
                send(to, mark(one.sequence)).await;
            }
        }
        Ok(some.len())
    }

    fn feed_stream(&self) -> Result<&FeedStream, Status> {
        self.feeds
            .as_ref()
            .ok_or_else(|| errors::unavailable("feeds"))
    }
}

/// What has come, as much as goes on record at once; nothing where the stream has ended. While more lies there it is waited for,
/// so that of many messages few records come; what is the last one for now goes out at once.
async fn gather(
    followed: &mut (impl Stream<Item = Result<Followed, StreamError>> + Unpin),
) -> Result<Vec<Followed>, StreamError> {
    let mut some = Vec::new();
    let mut until = None;
    while some.len() < AT_ONCE {
        let next = match until {
            None => followed.next().await,
            Some(until) => match timeout_at(until, followed.next()).await {
                Ok(next) => next,
                Err(_elapsed) => break,
            },
        };
        let Some(next) = next.transpose()? else {
            break;
        };
        let last = next.pending == 0;
        some.push(next);
        if last {
            break;
        }
        until.get_or_insert_with(|| Instant::now() + TOGETHER);
    }
    Ok(some)
}

async fn send(to: &mpsc::Sender<Result<pb::SubscribeFeedResponse, Status>>, what: What) {
    let response = pb::SubscribeFeedResponse { what: Some(what) };
    // Whoever has gone needs nothing more.
    let _ = to.send(Ok(response)).await;
}

fn mark(sequence: u64) -> What {
    What::CaughtUp(Position::new(STREAM, sequence).to_string())
}

fn answer(events: Vec<pb::FeedEvent>, last: u64, caught_up: bool) -> pb::QueryFeedResponse {
    pb::QueryFeedResponse {
        events,
        next_position: Position::new(STREAM, last).to_string(),
        caught_up,
    }
}

fn away(error: StreamError) -> Status {
    tracing::warn!(%error, "feeds can't be read");
    errors::unavailable("feeds")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many messages, each with how many more lie there.
    fn lying(count: u64) -> impl Stream<Item = Result<Followed, StreamError>> + Unpin {
        stream::iter((1..=count).map(move |sequence| {
            Ok(Followed {
                sequence,
                lying: None,
                pending: count - sequence,
            })
        }))
    }

    #[tokio::test]
    async fn much_that_lies_there_comes_in_large_parts_and_the_last_part_at_once() {
        let mut followed = lying(1_200).chain(stream::pending());
        let mut sizes = Vec::new();
        for _ in 0..3 {
            sizes.push(gather(&mut followed).await.unwrap().len());
        }
        assert_eq!(sizes, [AT_ONCE, AT_ONCE, 200]);
    }

    #[tokio::test]
    async fn what_does_not_come_holds_up_nothing() {
        let mut followed = lying(5).take(3).chain(stream::pending());
        let begun = Instant::now();
        assert_eq!(gather(&mut followed).await.unwrap().len(), 3);
        assert!(begun.elapsed() >= TOGETHER);
    }

    #[tokio::test]
    async fn what_came_before_the_stream_ended_is_not_lost() {
        let mut followed = lying(5).take(3).fuse();
        assert_eq!(gather(&mut followed).await.unwrap().len(), 3);
        assert!(gather(&mut followed).await.unwrap().is_empty());
    }
}
