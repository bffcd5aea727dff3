//! Moves the looks of the other services from the stream `ACCESS` into our log, each of them once, and takes out what is there.
//!
//! The messages of `ACCESS` are counted off in blocks, and the looks of each block are one aggregate of our log. The last record of
//! it names the last message that it holds (`answers`), and is what the next one expects: whatever died when, what is in the
//! log is known, and of two movers only one can go on from there.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use eventlog::{Aggregate as _, EventLog, Metadata, NewRecord, Position, Repository, Subject};
use futures::StreamExt as _;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use readmodel::{HEARTBEAT, ReaderFailed, reaction_request_id, run_reader};
use service::{Clock, access, settings};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec;
use crate::look::{Looks, Recorded};
use crate::recorder;

/// The reader's name.
pub const NAME: &str = "sharing_access";
/// How many messages are a block: few enough to read all records of one at a start, many enough that aggregates stay few.
const BLOCK: u64 = 1_000;
/// A record that bears so many bytes waits for no further message: with one more it is well within what a log takes.
const ENOUGH: usize = 256 << 10;
/// Looks come in numbers: there need not be a record for each.
const SOON: Duration = Duration::from_millis(100);

/// Moves looks.
#[derive(Clone)]
pub struct Mover {
    /// The database, for the lock.
    pub pool: PgPool,
    /// To the server of the stream.
    pub nats: async_nats::Client,
    /// How the stream is made where it is missing.
    pub settings: settings::Nats,
    /// Our own log.
    pub log: Arc<dyn EventLog>,
    /// The time.
    pub clock: Clock,
}

/// A message of the stream: its sequence and its body.
type Message = (u64, Bytes);

/// Where the looks of a block stand in our log.
struct Block {
    number: u64,
    subject: Subject,
    /// The last record of it, 0 where there is none.
    last: u64,
    /// The last message that is in it.
    moved: u64,
}

impl Mover {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mover = Arc::new(self);
        run_reader(&mover.pool, NAME, &shutdown, |conn| {
            let mover = Arc::clone(&mover);
            async move { mover.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        let stream = access::stream(self.nats.clone(), &self.settings).await;
        let stream = stream.map_err(ReaderFailed::because)?;
        // A stream that was made anew counts from one again.
        let made = stream.cached_info().created.unix_timestamp();
        // From the first message that is there: what was moved and not taken out is known by its block.
        let consumer = stream.create_consumer(OrderedConfig::default()).await;
        let consumer = consumer.map_err(ReaderFailed::because)?;
        let mut messages = consumer.messages().await.map_err(ReaderFailed::because)?;
        let mut block = None;
        let (mut done, mut taken_out) = (0, 0);
        let mut tended = Instant::now();
        loop {
            let some = gather(&mut messages).await?;
            for some in some.chunk_by(|(one, _), (other, _)| number_of(*one) == number_of(*other)) {
                let Some((last, _)) = some.last() else {
                    continue;
                };
                self.append(made, &mut block, some).await?;
                done = *last;
            }
            if tended.elapsed() >= HEARTBEAT {
                conn.ping().await?;
                if done > taken_out {
                    take_out(&stream, done).await?;
                    taken_out = done;
                }
                tended = Instant::now();
            }
        }
    }

    /// Puts messages of one block into our log, as far as they are not there.
    async fn append(
        &self,
        made: i64,
        known: &mut Option<Block>,
        messages: &[Message],
    ) -> Result<(), ReaderFailed> {
        let Some(&(first, _)) = messages.first() else {
            return Ok(());
        };
        let mut block = match known.take() {
            Some(block) if block.number == number_of(first) => block,
            Some(_) | None => self.block(made, number_of(first)).await?,
        };
        let new = messages
            .iter()
            .filter(|(sequence, _)| *sequence > block.moved);
        let (mut looks, mut moved) = (Vec::new(), block.moved);
        for (sequence, body) in new {
            read(*sequence, body.clone(), &mut looks);
            moved = *sequence;
        }
        if !looks.is_empty() {
            let answers = Position::new(access::STREAM, moved);
            let record = NewRecord {
                subject: block.subject.clone(),
                expected: block.last,
                metadata: Metadata {
                    request_id: reaction_request_id(NAME, &answers, 0),
                    answers: Some(answers),
                    ..recorder::metadata(self.clock.now())
                },
                events: looks.iter().map(Looks::encode).collect(),
            };
            // Where that fails, what is in the log is read again.
            let written = self.log.append(record).await;
            block.last = written.map_err(ReaderFailed::because)?;
            block.moved = moved;
        }
        *known = Some(block);
        Ok(())
    }

    /// A block as our log has it.
    async fn block(&self, made: i64, number: u64) -> Result<Block, ReaderFailed> {
        let subject = Repository::<Looks>::subject(&format!("access-{made}-{number}"));
        let subject = subject.map_err(ReaderFailed::because)?;
        let records = self.log.read(&subject, 0).await?;
        let last = records.last();
        let answered = last.and_then(|record| record.metadata.answers.as_ref());
        Ok(Block {
            number,
            moved: answered.map_or(0, |answered| answered.sequence),
            last: last.map_or(0, |record| record.sequence),
            subject,
        })
    }
}

/// The number of the block that a message belongs to.
fn number_of(sequence: u64) -> u64 {
    sequence / BLOCK
}

/// What has come, as much as one record bears; nothing where nothing came for a while.
async fn gather(messages: &mut Ordered) -> Result<Vec<Message>, ReaderFailed> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    let mut until = Instant::now() + HEARTBEAT;
    while bytes < ENOUGH {
        let Ok(next) = tokio::time::timeout_at(until, messages.next()).await else {
            break;
        };
        let next = next.ok_or_else(|| ReaderFailed::because("the stream of looks ended"))?;
        let message = next.map_err(ReaderFailed::because)?;
        let info = message.info().map_err(ReaderFailed::because)?;
        if some.is_empty() {
            until = Instant::now() + SOON;
        }
        bytes += message.payload.len();
        some.push((info.stream_sequence, message.payload.clone()));
    }
    Ok(some)
}

/// The looks of a message. What can't be read was written by no program of ours, and stops nothing.
fn read(sequence: u64, mut body: Bytes, looks: &mut Vec<Recorded>) {
    while !body.is_empty() {
        match pb::Look::decode_length_delimited(&mut body) {
            Ok(look) => match codec::read_look(Some(look)) {
                Ok(look) => looks.push(Recorded::Access(look)),
                Err(error) => tracing::error!(sequence, %error, "a look can't be read"),
            },
            Err(error) => {
                tracing::error!(sequence, %error, "a message of looks can't be read");
                return;
            }
        }
    }
}

/// Takes out of the stream what is in our log.
async fn take_out(stream: &Stream, through: u64) -> Result<(), ReaderFailed> {
    let purged = stream.purge().sequence(through + 1).await;
    purged.map_err(ReaderFailed::because)?;
    Ok(())
}
