//! Lines of JSON that name the trace and the span in which they were written, so that whoever reads one finds the other.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Dispatch, Event, Subscriber, dispatcher::WeakDispatch, span};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::{
    Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Where lines find the traces: at the subscriber of the process, which is there only once all its layers are.
#[derive(Debug, Clone, Default)]
pub(super) struct Traced(Arc<OnceLock<WeakDispatch>>);

impl Traced {
    /// From now on lines name what this subscriber traces.
    pub(super) fn by(&self, subscriber: &Dispatch) {
        // Where it is known already, it is the same one.
        let _ = self.0.set(subscriber.downgrade());
    }

    /// The innermost traced span around an event. The log's own filter may have left out that span, so it is not asked.
    fn around(&self, event: &Event<'_>) -> Option<SpanContext> {
        let subscriber = self.0.get()?.upgrade()?;
        let current = subscriber.current_span();
        let id = event
            .parent()
            .or_else(|| current.id().filter(|_| event.is_contextual()))?;
        let spans = subscriber.downcast_ref::<Registry>()?;
        spans
            .span(id)?
            .scope()
            .find_map(|span| traced(&span.id(), &subscriber))
    }
}

fn traced(span: &span::Id, subscriber: &Dispatch) -> Option<SpanContext> {
    let context = get_otel_context(span, subscriber)?;
    let traced = context.span().span_context().clone();
    traced.is_valid().then_some(traced)
}

/// Writes a line of JSON as `line` does, with `trace_id` and `span_id` before all else.
#[derive(Debug)]
pub(super) struct WithTrace<L> {
    pub(super) line: L,
    pub(super) traced: Traced,
}

impl<S, N, L> FormatEvent<S, N> for WithTrace<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    L: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(span) = self.traced.around(event) else {
            return self.line.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.line
            .format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(
                writer,
                r#"{{"trace_id":"{}","span_id":"{}",{rest}"#,
                span.trace_id(),
                span.span_id()
            ),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;
    use tracing_subscriber::{Layer as _, filter::LevelFilter, layer::SubscriberExt as _};

    use super::*;
    use crate::telemetry;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while something is done, by a filter that leaves out the spans.
    fn written(doing: impl FnOnce()) -> Vec<Value> {
        let provider = SdkTracerProvider::builder().build();
        let (lines, traced) = (Lines::default(), Traced::default());
        let (writer, naming) = (lines.clone(), traced.clone());
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .map_event_format(|line| WithTrace {
                line,
                traced: naming,
            })
            .with_writer(move || writer.clone())
            .with_filter(LevelFilter::WARN);
        let subscriber = tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .with(layer);
        let subscriber = Dispatch::new(subscriber);
        traced.by(&subscriber);
        tracing::dispatcher::with_default(&subscriber, doing);
        let lines = lines.0.lock().unwrap().clone();
        let lines = String::from_utf8(lines).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_names_the_trace_and_the_span_in_which_it_was_written() {
        let stored = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut here = None;
        let lines = written(|| {
            let span = telemetry::span_of("on_visit_missed", Some(stored));
            span.in_scope(|| {
                here = telemetry::traceparent();
                tracing::warn!(answer = 42, "inside");
            });
            tracing::warn!(parent: &span, "of it");
        });
        let here = here.unwrap();
        let mut parts = here.split('-').skip(1);
        let (trace, span) = (parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert_eq!(line["trace_id"], trace);
            assert_eq!(line["span_id"], span);
            assert_eq!(line["level"], "WARN");
        }
        assert_eq!(lines[0]["message"], "inside");
        assert_eq!(lines[0]["answer"], 42);
        assert_eq!(lines[1]["message"], "of it");
        assert_eq!(&stored[3..35], trace);
    }

    #[test]
    fn a_line_outside_of_all_traces_names_none() {
        let lines = written(|| tracing::warn!("alone"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].get("trace_id"), None);
        assert_eq!(lines[0]["message"], "alone");
    }
}
