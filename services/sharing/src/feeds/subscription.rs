//! Feeds by gRPC as they come out (数据流订阅): what the stream bears from somewhere on, and each new event.

use std::pin::pin;
use std::time::Duration;

use eventlog::Position;
use futures::{Stream, StreamExt as _, stream};
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use service::{Caller, errors};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use super::followed::{Followed, Following};
use super::query::{FeedAsked, away, not_beyond};
use super::standing::is_token;
use super::stream::{STREAM, StreamError};
use super::telling::{AsOf, Reader};
use crate::refusals;
use crate::sharing::Sharing;

/// How many events wait for a subscriber: no more than one, since what a slow one has not taken may be granted no longer.
const WAITING: usize = 1;
/// How many messages of a subscription go on record at once, where so many lie there.
const AT_ONCE: usize = 500;
/// How long the first of them waits for the others.
const TOGETHER: Duration = Duration::from_millis(100);
/// Where nothing has come for so long it is looked whether anything still can.
const QUIET: Duration = Duration::from_secs(5);

impl Sharing {
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
        let end = feeds.last_sequence().await.map_err(away)?;
        // What comes out from now on comes after this, as the mark says.
        let after = asked.after(feeds, end, end).await?;
        let following = feeds.follow(subjects, after).await.map_err(away)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let (sharing, caller) = (self.clone(), caller.clone());
        tokio::spawn(async move {
            let reader = Reader {
                method: "SubscribeFeed",
                caller: &caller,
                address: &address,
            };
            let telling = sharing.tell(reader, &sender, following);
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
        following: Following<impl Stream<Item = Result<Followed, StreamError>> + Send>,
    ) -> Result<(), Status> {
        let mut followed = pin!(following.messages.fuse().peekable());
        let mut caught_up = following.waiting == 0;
        let mut last = following.after;
        if caught_up {
            send(to, mark(last)).await;
        }
        let mut as_of = self.feeds_as_of_now(reader.caller).await?;
        loop {
            if timeout(QUIET, followed.as_mut().peek()).await.is_err() {
                self.still_reaches(last).await?;
                continue;
            }
            let some = gather(&mut followed).await.map_err(away)?;
            if some.is_empty() {
                return Err(errors::unavailable("feeds"));
            }
            last = led_to(last, &some).ok_or_else(refusals::beyond_the_feeds)?;
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
        let messages = || some.iter().map(|one| one.lying.as_ref());
        if messages().flatten().any(|message| as_of.may_lack(message)) {
            *as_of = self.feeds_as_of_now(reader.caller).await?;
        } else {
            self.changed(reader.caller, as_of).await?;
        }
        let read = reader.read(&as_of.stands, messages(), self.clock.now());
        self.recorder.record_all(read.looks).await?;
        for (place, (one, event)) in some.iter().zip(read.events).enumerate() {
            // A slow one may take long to make room, and is told what is granted by then.
            let Ok(room) = to.reserve().await else {
                // Whoever has gone needs nothing more.
                return Ok(some.len());
            };
            if self.changed(reader.caller, as_of).await? {
                return Ok(place);
            }
            match event {
                Some(event) => room.send(Ok(response(What::Event(event)))),
                None => drop(room),
            }
            if !*caught_up && one.pending == 0 {
                *caught_up = true;
                send(to, mark(one.sequence)).await;
            }
        }
        Ok(some.len())
    }

    /// The stream still reaches as far as what was told: else it is another one, and what came out since is passed by. A server
    /// that is away is waited for.
    async fn still_reaches(&self, last: u64) -> Result<(), Status> {
        let feeds = self.feed_stream()?;
        match feeds.last_sequence().await {
            Ok(end) => not_beyond(feeds, last, end).await,
            Err(error) => {
                tracing::debug!(%error, "whether the stream of feeds is still there can't be asked");
                Ok(())
            }
        }
    }
}

/// How far messages lead from a sequence on; none where they go back, so that the stream is another one.
fn led_to(last: u64, some: &[Followed]) -> Option<u64> {
    let mut some = some.iter();
    some.try_fold(last, |last, one| match &one.lying {
        Some(_) => (one.sequence > last).then_some(one.sequence),
        None => Some(one.sequence.max(last)),
    })
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
    // Whoever has gone needs nothing more.
    let _ = to.send(Ok(response(what))).await;
}

fn response(what: What) -> pb::SubscribeFeedResponse {
    pb::SubscribeFeedResponse { what: Some(what) }
}

fn mark(sequence: u64) -> What {
    What::CaughtUp(Position::new(STREAM, sequence).to_string())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::message::{Message, Own};
    use super::super::standing::Feed;
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

    #[test]
    fn a_stream_whose_messages_go_back_is_another_one() {
        let come = |sequence, is_told: bool| Followed {
            sequence,
            lying: is_told.then(|| {
                let feed = Feed::named("health", "visit", "350524").unwrap();
                let message = Message::own(&feed, Own::CaughtUp, None, DateTime::UNIX_EPOCH);
                message.at(sequence)
            }),
            pending: 0,
        };
        assert_eq!(led_to(7, &[come(8, true), come(11, true)]), Some(11));
        assert_eq!(led_to(7, &[come(7, false), come(9, true)]), Some(9));
        assert_eq!(led_to(7, &[come(7, true)]), None);
        assert_eq!(led_to(7, &[come(12, true), come(3, true)]), None);
    }

    #[tokio::test]
    async fn what_came_before_the_stream_ended_is_not_lost() {
        let mut followed = lying(5).take(3).fuse();
        assert_eq!(gather(&mut followed).await.unwrap().len(), 3);
        assert!(gather(&mut followed).await.unwrap().is_empty());
    }
}
