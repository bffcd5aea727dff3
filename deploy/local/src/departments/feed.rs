//! `sharing feed`: the events of a feed, as an officer of its department sees them; also each new one as it comes out.

use proto::eldercare::sharing::v1::{
    self as pb, QueryFeedRequest, SubscribeFeedRequest, query_feed_request,
    sharing_service_client::SharingServiceClient, subscribe_feed_request,
    subscribe_feed_response::What,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::dossier::{object, words};
use super::feeds::of_agreements;
use super::live::{Lost, live};
use super::{PAGE, agreements, instant};
use crate::{
    cli,
    client::{Channel, Client, call},
    output::{Output, Report, print_line, table},
    wire,
};

/// Before the first event of all.
const BEGINNING: &str = "FEEDS:0";

/// An event of a feed.
#[derive(Debug, Serialize)]
struct Event {
    /// Where it lies.
    position: String,
    /// What happened.
    event: String,
    /// When, local time.
    time: String,
    /// The same for the same event and document, whatever the feed.
    id: String,
    /// Who tells it.
    source: String,
    /// Where the source event stands; empty of what the feed says by itself.
    source_position: String,
    /// The document that it is about; empty where it is about no single one.
    key: String,
    /// The elder; empty where it is about none.
    elder_id: String,
    /// The document as it stands; none where there is none any more, or it is about none.
    fields: Option<Map<String, Value>>,
    /// Which of these are masked.
    masked: Vec<String>,
}

impl Event {
    fn of(event: pb::FeedEvent) -> Self {
        Self {
            position: event.position,
            event: event.event,
            time: instant(event.time),
            id: event.id,
            source: event.source,
            source_position: event.source_position,
            key: event.key,
            elder_id: event.elder_id,
            fields: event.fields.map(object),
            masked: event.masked,
        }
    }

    /// The document as a person reads it; what is masked has a star.
    fn document(&self) -> String {
        let fields = self.fields.iter().flatten().map(|(name, value)| {
            let masked = if self.masked.contains(name) { "*" } else { "" };
            format!("{name}{masked}={}", words(value))
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    fn line(&self, output: Output) -> anyhow::Result<String> {
        Ok(match output {
            Output::Json => serde_json::to_string(self)?,
            Output::Table => format!(
                "{} {} {} {} {}",
                self.position,
                self.time,
                self.event,
                self.key,
                self.document()
            ),
        })
    }
}

/// Events as a table.
#[derive(Debug, Serialize)]
struct Events(Vec<Event>);

impl Report for Events {
    fn text(&self) -> String {
        let mut rows = table([
            "位置 position",
            "时间 time",
            "事件 event",
            "文档 key",
            "老年人 elder",
            "内容 fields",
        ]);
        for one in &self.0 {
            rows.add_row([
                one.position.clone(),
                one.time.clone(),
                one.event.clone(),
                one.key.clone(),
                one.elder_id.clone(),
                one.document(),
            ]);
        }
        format!("{rows}\n* 脱敏 masked")
    }
}

/// Shows the events of a feed: those that lie there, and, where that is asked for, each new one until it is interrupted.
///
/// # Errors
/// Sharing's refusal, a feed that no agreement makes, or a standard output that can't be written.
pub async fn feed(client: &Client, asked: &cli::Feed, output: Output) -> anyhow::Result<()> {
    let name = &asked.name;
    let reader = client.reader_of(&name.department)?;
    let agreements = agreements(client, Some(&name.department)).await?;
    if !of_agreements(&agreements.agreements).contains_key(name) {
        anyhow::bail!(
            "no agreement in force makes a feed `{name}`: `eldercare sharing feeds` lists those that there are \
             / 没有生效的协议对应该数据流，请用 eldercare sharing feeds 查看"
        );
    }
    if asked.follow {
        let mut after = None;
        return live(async || follow(&reader, asked, &mut after, output).await).await;
    }
    match output {
        Output::Json => each_event(&reader, asked, |event| print_line(event.line(output)?)).await,
        Output::Table => {
            let mut events = Vec::new();
            each_event(&reader, asked, |event| {
                events.push(event);
                Ok(true)
            })
            .await?;
            print_line(Events(events).text()).map(|_read| ())
        }
    }
}

/// Tells each event that lies on a feed, as long as somebody listens.
async fn each_event(
    reader: &SharingServiceClient<Channel>,
    asked: &cli::Feed,
    mut tell: impl FnMut(Event) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    use query_feed_request::Start;
    let mut left = asked.limit.unwrap_or(usize::MAX);
    let since = asked.since.map(|at| wire::timestamp(at.to_utc()));
    let from = asked.from.clone().map(Start::AfterPosition);
    let request = QueryFeedRequest {
        product: asked.name.product.clone(),
        division_code: asked.name.division.clone(),
        start: from.or(since.map(Start::StartTime)),
        page_size: i32::try_from(left).unwrap_or(PAGE).min(PAGE),
    };
    each_page(reader, request, |page| {
        for event in page {
            if left == 0 || !tell(Event::of(event))? {
                return Ok(false);
            }
            left -= 1;
        }
        Ok(left > 0)
    })
    .await
}

/// Has pages of events told up to the newest one, as long as `tell` says that it goes on.
///
/// # Errors
/// Sharing's refusal, and what `tell` fails with.
pub(super) async fn each_page(
    reader: &SharingServiceClient<Channel>,
    mut request: QueryFeedRequest,
    mut tell: impl FnMut(Vec<pb::FeedEvent>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    loop {
        let page = call(request.clone(), async |request| {
            reader.clone().query_feed(request).await
        })
        .await?;
        if !tell(page.events)? || page.caught_up {
            return Ok(());
        }
        let next = query_feed_request::Start::AfterPosition(page.next_position);
        request.start = Some(next);
    }
}

/// Shows what one stream of events tells, from after what was shown already; whether anybody still reads.
async fn follow(
    reader: &SharingServiceClient<Channel>,
    asked: &cli::Feed,
    after: &mut Option<String>,
    output: Output,
) -> Result<bool, Lost> {
    use subscribe_feed_request::Start;
    let since = asked.since.map(|at| wire::timestamp(at.to_utc()));
    let since = since.filter(|_| after.is_none());
    let from = after.clone().or_else(|| asked.from.clone());
    let start = match since {
        Some(since) => Start::StartTime(since),
        None => Start::AfterPosition(from.unwrap_or_else(|| BEGINNING.to_owned())),
    };
    let request = SubscribeFeedRequest {
        product: asked.name.product.clone(),
        division_code: asked.name.division.clone(),
        start: Some(start),
    };
    let told = reader.clone().subscribe_feed(request).await;
    let mut told = told.map_err(Lost::Stream)?.into_inner();
    while let Some(next) = told.message().await.map_err(Lost::Stream)? {
        match next.what {
            Some(What::Event(event)) => {
                *after = Some(event.position.clone());
                let line = Event::of(event).line(output);
                if !line.and_then(print_line).map_err(Lost::Output)? {
                    return Ok(false);
                }
            }
            Some(What::CaughtUp(position)) => *after = Some(position),
            None => {}
        }
    }
    Ok(true)
}
