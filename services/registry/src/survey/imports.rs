//! The imports under way: how many at a time, and what becomes of those whose answers nobody reads.

use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt as _, future, stream};
use proto::eldercare::registry::v1 as pb;
use service::errors;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::{Instrument as _, Span};

use super::upload::Uploads;
use workbooks::room::Places;

use crate::{call::Call, parse, registry::Registry};

/// Sheets in memory at a time; each may take some 250 MiB at the worst.
const PLACES: usize = 2;

/// How long a workbook that has arrived waits for a place.
const FOR_A_PLACE: Duration = Duration::from_secs(60);

/// How many messages of an import wait for a slow reader.
const UNREAD: usize = 1_024;

/// How long an import waits for its reader, in all.
const FOR_THE_READER: Duration = Duration::from_secs(300);

/// What an import answers, in its order.
pub(crate) type Answers =
    Pin<Box<dyn Stream<Item = Result<pb::ImportSurveyResponse, Status>> + Send>>;

/// Takes workbooks in and imports them. Clones share places and memory.
#[derive(Clone, Debug)]
pub(crate) struct Imports {
    uploads: Uploads,
    places: Places,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            uploads: Uploads::default(),
            places: Places::new(PLACES, FOR_A_PLACE),
        }
    }
}

impl Imports {
    /// Takes a workbook in, and then answers what becomes of it. A slow sender holds a part of the memory for a time,
    /// never a place; a slow reader holds a place for a time.
    pub(crate) async fn import<P>(
        &self,
        registry: Registry,
        call: Call,
        mut pieces: P,
    ) -> Result<Answers, Status>
    where
        P: Stream<Item = Result<pb::ImportSurveyRequest, Status>> + Unpin,
    {
        let options = parse::queries::import_options(&self.uploads.options(&mut pieces).await?)?;
        call.caller.may_where_asked(&options.town)?;
        let workbook = self.uploads.workbook(&mut pieces).await?;
        let place = self.places.place().await?;
        let (telling, told) = Telling::new(UNREAD, FOR_THE_READER);
        let (ended, end) = oneshot::channel();
        // It goes on after this call has been answered, in its trace.
        let importing = async move {
            let outcome = registry
                .import_survey(call, options, workbook, telling)
                .await;
            drop(place);
            // Who has gone hears nothing.
            let _unheard = ended.send(outcome);
        };
        tokio::spawn(importing.instrument(Span::current()));
        let ending = stream::once(end).filter_map(|ended| {
            future::ready(match ended {
                Ok(Ok(())) => None,
                Ok(Err(status)) => Some(Err(status)),
                Err(_broken_off) => Some(Err(errors::internal(&"an import broke off"))),
            })
        });
        Ok(told.map(Ok).chain(ending).boxed())
    }
}

/// Tells the reader what becomes of a workbook.
pub(super) struct Telling {
    sender: mpsc::Sender<pb::ImportSurveyResponse>,
    patience: Duration,
}

/// Nobody reads any more: the rest waits until the workbook is sent again.
pub(super) enum Unread {
    /// The client has gone.
    Gone,
    /// The client is there, and reads too little.
    TooSlow,
}

impl Telling {
    fn new(unread: usize, patience: Duration) -> (Self, ReceiverStream<pb::ImportSurveyResponse>) {
        let (sender, told) = mpsc::channel(unread);
        (Self { sender, patience }, ReceiverStream::new(told))
    }

    /// Tells one more thing, waiting for a reader who is behind.
    pub(super) async fn tell(
        &mut self,
        part: pb::import_survey_response::Part,
    ) -> Result<(), Unread> {
        let message = pb::ImportSurveyResponse { part: Some(part) };
        let message = match self.sender.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Unread::Gone),
            Err(TrySendError::Full(message)) => message,
        };
        let since = Instant::now();
        let sent = tokio::time::timeout(self.patience, self.sender.send(message)).await;
        self.patience = self.patience.saturating_sub(since.elapsed());
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_gone)) => Err(Unread::Gone),
            Err(_elapsed) => Err(Unread::TooSlow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> pb::import_survey_response::Part {
        pb::import_survey_response::Part::Progress(pb::ImportProgress::default())
    }

    #[tokio::test]
    async fn a_reader_who_does_not_read_is_waited_for_only_so_long() {
        let (mut telling, told) = Telling::new(1, Duration::from_millis(20));
        assert!(telling.tell(progress()).await.is_ok());
        assert!(matches!(
            telling.tell(progress()).await,
            Err(Unread::TooSlow)
        ));
        drop(told);
        assert!(matches!(telling.tell(progress()).await, Err(Unread::Gone)));
    }
}
