//! The log in NATS JetStream: one stream of a context, from which nothing can be taken out.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{self, context::ContextBuilder, stream::Stream};
use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field, info_span};

use crate::{
    log::{AppendError, Deliveries, EventLog, ReadError, check},
    measures::{self, Measures},
    record::{NewRecord, RawMessage, Record},
    subject::Subject,
};

mod follow;
mod gather;
mod publish;
mod read;
mod stream;
mod tail;

use gather::Gatherer;
use publish::{Message, Publisher};
pub use stream::{Gather, OpenError, StreamSettings};
use tail::Tail;

/// The server takes no more messages in one atomic batch.
const LARGEST_GROUP: usize = 1_000;

/// A context's log in JetStream. Clones share it.
#[derive(Debug, Clone)]
pub struct JetStreamLog {
    connection: Arc<Connection>,
    /// Where followers come together.
    tail: Arc<Tail>,
    publisher: Publisher,
    gatherer: Gatherer,
    gather: Gather,
}

/// What reading and following need of the server.
#[derive(Debug)]
struct Connection {
    client: async_nats::Client,
    stream: Stream<()>,
    name: String,
    context: String,
    replicas: usize,
    timeout: Duration,
    measures: Measures,
}

impl JetStreamLog {
    /// Opens a context's stream, and makes it if it is not there and the settings say so.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a stream that could lose records is refused.
    pub async fn open(
        client: async_nats::Client,
        settings: StreamSettings,
    ) -> Result<Self, OpenError> {
        let server = ContextBuilder::new()
            .timeout(settings.timeout)
            .build(client.clone());
        let config = stream::open(&server, &settings).await?;
        let measures = Measures::of(&settings.name);
        let publisher = Publisher::new(client.clone(), settings.timeout);
        let connection = Arc::new(Connection {
            stream: stream::handle(&server, &settings.name).await?,
            client,
            name: settings.name,
            context: settings.context,
            replicas: config.num_replicas,
            timeout: settings.timeout,
            measures: measures.clone(),
        });
        Ok(Self {
            tail: Arc::new(Tail::new(Arc::clone(&connection))),
            connection,
            gatherer: Gatherer::start(publisher.clone(), measures),
            publisher,
            gather: settings.gather,
        })
    }

    /// Has followers use a connection of their own. On a shared one, what is replayed by the thousand stands before the
    /// acknowledgements that commands wait for.
    ///
    /// # Errors
    ///
    /// [`OpenError::Unavailable`].
    pub async fn following_over(mut self, client: async_nats::Client) -> Result<Self, OpenError> {
        let server = ContextBuilder::new()
            .timeout(self.connection.timeout)
            .build(client.clone());
        self.tail = Arc::new(Tail::new(Arc::new(Connection {
            stream: stream::handle(&server, &self.connection.name).await?,
            client,
            name: self.connection.name.clone(),
            context: self.connection.context.clone(),
            replicas: self.connection.replicas,
            timeout: self.connection.timeout,
            measures: self.connection.measures.clone(),
        })));
        Ok(self)
    }

    /// Whether these records can be written here.
    fn check(&self, records: &[NewRecord]) -> Result<(), AppendError> {
        check(records)?;
        if records.len() > LARGEST_GROUP {
            return Err(AppendError::TooLarge);
        }
        let ours = |record: &NewRecord| record.subject.context() == self.connection.context;
        if !records.iter().all(ours) {
            return Err(AppendError::Invalid("an aggregate of another context"));
        }
        Ok(())
    }

    /// The span of an append, in the trace of whoever asks for it; where nobody does there is none.
    fn span(&self, records: &[NewRecord]) -> Span {
        let Some(first) = records.first().filter(|_| !Span::current().is_none()) else {
            return Span::none();
        };
        let subject = &first.subject;
        info_span!(
            "append",
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.destination.name = self.connection.name.as_str(),
            messaging.operation.name = "append",
            "messaging.operation.type" = "send",
            messaging.batch.message_count = records.len(),
            eldercare.aggregate = %format_args!("{}.{}", subject.context(), subject.aggregate()),
            "error.type" = field::Empty,
        )
    }

    async fn append_one(&self, record: NewRecord) -> Result<u64, AppendError> {
        self.check(std::slice::from_ref(&record))?;
        match self.gather {
            Gather::GroupsOnly => {
                let written = self.publisher.one(&record).await;
                written.map_err(|refusal| refusal.about(record.subject))
            }
            Gather::Always => {
                let written = self.gatherer.append(vec![Message::of(&record)]).await;
                written.and_then(|sequences| {
                    let only = sequences.first().copied();
                    only.ok_or(AppendError::Invalid("no records"))
                })
            }
        }
    }

    async fn append_group(&self, records: &[NewRecord]) -> Result<Vec<u64>, AppendError> {
        self.check(records)?;
        let messages = records.iter().map(Message::of).collect();
        self.gatherer.append(messages).await
    }

    /// Appends in a span, and measures it.
    async fn measured<T>(
        &self,
        records: usize,
        span: Span,
        append: impl Future<Output = Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        let begun = Instant::now();
        let result = append.instrument(span.clone()).await;
        match &result {
            Ok(_) => self.connection.measures.appended(records, begun.elapsed()),
            Err(error) => {
                self.connection.measures.refused(error);
                span.record("error.type", measures::error_type(error));
            }
        }
        result
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    fn stream(&self) -> &str {
        &self.connection.name
    }

    async fn append(&self, record: NewRecord) -> Result<u64, AppendError> {
        let span = self.span(std::slice::from_ref(&record));
        self.measured(1, span, self.append_one(record)).await
    }

    async fn append_all(&self, records: Vec<NewRecord>) -> Result<Vec<u64>, AppendError> {
        let span = self.span(&records);
        self.measured(records.len(), span, self.append_group(&records))
            .await
    }

    async fn read(&self, subject: &Subject, after: u64) -> Result<Vec<Record>, ReadError> {
        self.connection.read(subject, after).await
    }

    async fn last_sequence(&self) -> Result<u64, ReadError> {
        self.connection.last_sequence().await
    }

    async fn subscribe(&self, after: u64) -> Result<Deliveries, ReadError> {
        self.tail.subscribe(after).await
    }

    async fn messages(&self, after: u64, most: usize) -> Result<Vec<RawMessage>, ReadError> {
        self.connection.messages(after, most).await
    }
}

impl Connection {
    async fn last_sequence(&self) -> Result<u64, ReadError> {
        let info = self
            .stream
            .get_info()
            .await
            .map_err(|error| ReadError::Unavailable(error.to_string()))?;
        Ok(info.state.last_sequence)
    }
}

/// The value of a header that holds a number.
fn number(headers: Option<&async_nats::HeaderMap>, name: &'static str) -> Option<u64> {
    headers?.get(name)?.as_str().parse().ok()
}

/// The server's requests are JSON.
fn json(request: &impl serde::Serialize) -> bytes::Bytes {
    serde_json::to_vec(request)
        .expect("a request of ours can be written as JSON")
        .into()
}

impl From<jetstream::stream::RawMessageError> for ReadError {
    fn from(error: jetstream::stream::RawMessageError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
