//! Feeds by gRPC (数据流查询与订阅): what the stream bears, for officers and systems of the department that it is for.

use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::DivisionCode;
use elders::wire::write_time;
use eventlog::Position;
use futures::{Stream, StreamExt as _, stream};
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use service::{Caller, errors};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use super::message::{Lying, header};
use super::standing::{Feed, Granted, Standing, is_token, standing};
use super::stream::{FeedStream, Followed, From, STREAM, StreamError};
use crate::cut::{Cut, tells_birth};
use crate::document::Fields;
use crate::dossier::of_fields;
use crate::products::ProductName;
use crate::sharing::Sharing;

/// How many messages are looked at for one answer.
const LOOKED_AT: usize = 2_000;
/// How many events wait for a subscriber.
const WAITING: usize = 64;
/// How long it may take until a subscriber is told nothing more of what has ended.
const SOON: Duration = Duration::from_millis(500);

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
    /// Some events of the feeds of the caller's department.
    pub(crate) async fn query_feed(
        &self,
        caller: &Caller,
        asked: FeedAsked,
        size: u32,
    ) -> Result<pb::QueryFeedResponse, Status> {
        let feeds = self.feed_stream()?;
        let size = size as usize;
        let stands = self.feeds_of(caller).await?;
        let mut from = asked.from().unwrap_or(From::After(0));
        let mut last = match from {
            From::After(sequence) => sequence,
            // Where nothing has come since, it goes on from here.
            From::Since(_) => feeds.last_sequence().await.map_err(away)?,
        };
        let (mut events, mut caught_up, mut looked_at) = (Vec::new(), false, 0);
        if stands.is_empty() {
            let end = feeds.last_sequence().await.map_err(away)?;
            return Ok(answer(events, last.max(end), true));
        }
        let subjects = asked.subjects(&caller.department);
        while events.len() < size && looked_at < LOOKED_AT && !caught_up {
            let page = feeds.read(&subjects, from, size - events.len()).await;
            let page = page.map_err(away)?;
            looked_at += page.messages.len();
            caught_up = !page.more;
            last = page.last.unwrap_or(last);
            from = From::After(last);
            let told = page.messages.iter();
            events.extend(told.filter_map(|one| Some(event(one, may_see(caller, &stands, one)?))));
        }
        Ok(answer(events, last, caught_up))
    }

    /// Events of the feeds of the caller's department, and each new one.
    pub(crate) async fn subscribe_feed(
        &self,
        caller: &Caller,
        asked: FeedAsked,
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
            let telling = sharing.tell(&caller, &sender, begun, waiting, followed);
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
        caller: &Caller,
        to: &mpsc::Sender<Result<pb::SubscribeFeedResponse, Status>>,
        begun: u64,
        waiting: u64,
        followed: impl Stream<Item = Result<Followed, StreamError>> + Send,
    ) -> Result<(), Status> {
        let mut followed = pin!(followed);
        let mut caught_up = waiting == 0;
        if caught_up {
            send(to, mark(begun)).await;
        }
        let mut stands = self.feeds_of(caller).await?;
        let mut as_of = Instant::now();
        while let Some(next) = followed.next().await {
            let next = next.map_err(away)?;
            if as_of.elapsed() > SOON {
                stands = self.feeds_of(caller).await?;
                as_of = Instant::now();
            }
            if let Some(lying) = next.lying
                && let Some(granted) = may_see(caller, &stands, &lying)
            {
                send(to, What::Event(event(&lying, granted))).await;
            }
            if !caught_up && next.pending == 0 {
                caught_up = true;
                send(to, mark(next.sequence)).await;
            }
        }
        Err(errors::unavailable("feeds"))
    }

    /// The feeds of the caller's department.
    async fn feeds_of(&self, caller: &Caller) -> Result<Standing, Status> {
        if !is_token(&caller.department) {
            return Ok(Standing::default());
        }
        let today = self.clock.today();
        let stands = standing(&self.pool, today, Some(&caller.department)).await;
        stands.map_err(errors::of_database)
    }

    fn feed_stream(&self) -> Result<&FeedStream, Status> {
        self.feeds
            .as_ref()
            .ok_or_else(|| errors::unavailable("feeds"))
    }
}

/// What the caller may be told of a feed: it stands, and the caller works for all of its division.
fn may_see<'a>(caller: &Caller, stands: &'a Standing, message: &Lying) -> Option<&'a Granted> {
    let granted = stands.get(&message.feed)?;
    caller.reaches(&message.feed.division).then_some(granted)
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

/// A message of a feed, as callers are told of it: what is granted no longer is left out, also where it still lies there.
fn event(message: &Lying, granted: &Granted) -> pb::FeedEvent {
    let time: Option<DateTime<Utc>> = message.header(header::TIME).parse().ok();
    let fields: Option<Fields> = serde_json::from_slice(&message.body).ok();
    let masked: Vec<&str> = message.header(header::MASKED).split(',').collect();
    let product = message.feed.product;
    let still = |field: &str| match granted.grants.get(product, field) {
        None => false,
        Some(Cut::Plain) => true,
        Some(Cut::Masked) => {
            let hides_more = field == "id_number" && tells_birth(product, &granted.grants);
            masked.contains(&field) && !hides_more
        }
    };
    let fields = fields.map(|mut fields| {
        fields.retain(|field, _| still(field));
        fields
    });
    let about_document = !message.header(header::SUBJECT).is_empty();
    pb::FeedEvent {
        position: Position::new(STREAM, message.sequence).to_string(),
        product: message.feed.product.name().to_owned(),
        division_code: message.feed.division.to_string(),
        event: message.event.clone(),
        id: message.header(header::ID).to_owned(),
        source: message.header(header::SOURCE).to_owned(),
        time: time.map(write_time),
        source_position: message.header(header::POSITION).to_owned(),
        key: message.header(header::SUBJECT).to_owned(),
        elder_id: message.header(header::ELDER).to_owned(),
        fields: fields.filter(|_| about_document).map(of_fields),
        masked: masked
            .iter()
            .filter(|one| still(one))
            .map(|one| (*one).to_owned())
            .collect(),
    }
}

fn away(error: StreamError) -> Status {
    tracing::warn!(%error, "feeds can't be read");
    errors::unavailable("feeds")
}
