//! Gives out our own log as it lies there (导出审计日志).
//!
//! It tells of all looks: who looked, what for, at whom. So to have it is a look too, on record before anything of it is told, at
//! nobody in particular, for a look names two hundred elders at most. An export does not hold the look that it is; the next one does.

use std::collections::VecDeque;
use std::sync::Arc;

use eventlog::{EventLog, ReadError};
use futures::{Stream, stream};
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use service::{Caller, errors};
use tonic::Status;

use crate::auditing::{PAGE, record_of};
use crate::history::HISTORY;
use crate::look::{Look, Recorded};
use crate::right::look_by;
use crate::sharing::Sharing;

/// By which method the log is given out.
const METHOD: &str = "ExportAudit";
/// How large an answer is about: well within what a message may hold.
const ANSWER: usize = 1 << 20;

/// An export on its way.
struct Export {
    log: Arc<dyn EventLog>,
    after: u64,
    /// The last record that was there when it began; what comes meanwhile is left to the next export.
    last: u64,
    ready: VecDeque<pb::AuditRecord>,
}

impl Export {
    async fn next(mut self) -> Result<Option<(pb::ExportAuditResponse, Self)>, Status> {
        let last = self.last;
        if self.ready.is_empty() && self.after < last {
            let messages = self.log.messages(self.after, PAGE).await.map_err(of_log)?;
            if messages.is_empty() {
                // A server that lies behind answered: a file that ends early would look like a log that was cut off.
                tracing::warn!(
                    after = self.after,
                    last,
                    "the log was not answered to its end"
                );
                return Err(errors::unavailable("the log"));
            }
            let messages = messages.into_iter();
            let wanted = messages.take_while(|message| message.sequence <= last);
            self.ready.extend(wanted.map(record_of));
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(record) = self.ready.front() {
            bytes += record.encoded_len();
            if bytes > ANSWER && !records.is_empty() {
                break;
            }
            self.after = record.sequence.cast_unsigned();
            records.extend(self.ready.pop_front());
        }
        if records.is_empty() {
            return Ok(None);
        }
        Ok(Some((pb::ExportAuditResponse { records }, self)))
    }
}

fn of_log(error: ReadError) -> Status {
    tracing::warn!(%error, "the audit can't be exported");
    errors::unavailable("the log")
}

impl Sharing {
    /// The records of our log from a sequence on, up to the last one that is there now.
    pub(crate) async fn export_audit(
        &self,
        caller: &Caller,
        first: u64,
        address: String,
    ) -> Result<impl Stream<Item = Result<pb::ExportAuditResponse, Status>> + Send + use<>, Status>
    {
        let last = self.logs.own.last_sequence().await.map_err(of_log)?;
        let look = Look {
            fields: vec![HISTORY.to_owned()],
            ..look_by(caller, METHOD, address, self.clock.now())
        };
        self.recorder.record(Recorded::Access(look)).await?;
        let export = Export {
            log: Arc::clone(&self.logs.own),
            after: first.saturating_sub(1),
            last,
            ready: VecDeque::new(),
        };
        Ok(stream::try_unfold(export, Export::next))
    }
}
