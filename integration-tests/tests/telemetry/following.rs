//! Follows a request by its trace: what was sent of it, whether that hangs together, and whether departments are told in it.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::stream::Stream;
use service::testing::collector::{Collector, SentSpan};
use tokio::time::timeout;
use tonic::Request;

/// The longest that a story waits for what comes about by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The span of whoever calls.
const CALLER: &str = "b7ad6b7169203331";

/// A request in a trace of the caller's own.
pub(super) fn traced<T>(trace: &str, request: T) -> Request<T> {
    let mut request = Request::new(request);
    let traceparent = format!("00-{trace}-{CALLER}-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
    request
}

/// Waits until what was sent of a trace is as it should be; `judged` says what is missing.
async fn becomes(
    collector: &Collector,
    trace: &str,
    judged: impl Fn(&[SentSpan]) -> Result<(), String>,
) {
    let now = |collector: &Collector| {
        let mut spans = collector.spans();
        spans.retain(|span| span.trace == trace);
        judged(&spans)
    };
    let whole = collector.until(|collector| now(collector).ok());
    if timeout(PATIENCE, whole).await.is_err()
        && let Err(missing) = now(collector)
    {
        panic!("{missing}");
    }
}

/// Whether spans of all these names are among others.
fn have<'sent>(spans: impl Iterator<Item = &'sent SentSpan>, names: &[&str]) -> Result<(), String> {
    let there: BTreeSet<&str> = spans.map(|span| span.name.as_str()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !there.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{missing:?} are not among {there:?}"))
}

/// Waits until a trace has spans of these names.
pub(super) async fn passes(collector: &Collector, trace: &str, names: &[&str]) {
    becomes(collector, trace, |spans| have(spans.iter(), names)).await;
}

/// Waits until a span of a trace has led to others of these names.
pub(super) async fn leads_to(collector: &Collector, trace: &str, from: &str, names: &[&str]) {
    let led = |spans: &[SentSpan]| {
        let began = spans.iter().filter(|span| span.name == from);
        let began: BTreeSet<&str> = began.map(|span| span.id.as_str()).collect();
        let parts = spans.iter();
        let parts = parts.filter(|span| began.contains(span.parent.as_str()));
        have(parts, names).map_err(|missing| format!("after {from:?}: {missing}"))
    };
    becomes(collector, trace, led).await;
}

/// Waits until each span but the call itself is part of another one that was sent.
pub(super) async fn hangs_together(collector: &Collector, trace: &str) {
    let together = |spans: &[SentSpan]| {
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        let alone = |span: &&SentSpan| span.parent != CALLER && !ids.contains(span.parent.as_str());
        if let Some(alone) = spans.iter().find(alone) {
            return Err(format!("a part of nothing: {alone:?}"));
        }
        let calls = spans.iter().filter(|span| span.parent == CALLER).count();
        if calls == 1 {
            Ok(())
        } else {
            Err(format!(
                "{calls} children of the caller, and not the call alone"
            ))
        }
    };
    becomes(collector, trace, together).await;
}

/// Whether a message of a feed tells of such an event in this trace.
pub(super) async fn is_fed(feeds: &mut Stream, trace: &str, event: &str) -> bool {
    let last = feeds.info().await.unwrap().state.last_sequence;
    for sequence in 1..=last {
        let Ok(message) = feeds.get_raw_message(sequence).await else {
            continue;
        };
        let traceparent = message.headers.get("traceparent");
        let in_it = traceparent.is_some_and(|header| header.as_str().contains(trace));
        if in_it && message.subject.rsplit('.').next() == Some(event) {
            return true;
        }
    }
    false
}
