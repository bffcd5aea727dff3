//! A file's records as they stand in the log, for telling what was known when. What this program can't read in them, since a newer one wrote it, is passed by.

use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::{Event, File as Content, codec};
use eventlog::{Loaded, Record, Repository};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    call::Call,
    elder::File,
    elder_files::FoundFile,
    queries::residence,
    refusals,
    registry::{LONGEST_CHAIN, Registry},
};

/// A database that does not answer within this time is away.
const ROW_WITHIN: Duration = Duration::from_secs(2);

/// All records of one file, oldest first.
pub(crate) struct FileRecords {
    pub(crate) elder: ElderId,
    pub(crate) records: Vec<Record>,
}

impl Registry {
    /// The records of this very file.
    pub(crate) async fn records_of(&self, elder: ElderId) -> Result<FileRecords, Status> {
        self.records_after(elder, 0).await
    }

    async fn records_after(&self, elder: ElderId, after: u64) -> Result<FileRecords, Status> {
        let subject = Repository::<File>::subject(&elder.to_string())
            .map_err(|error| service::errors::internal(&error))?;
        let records = self
            .log
            .read(&subject, after)
            .await
            .map_err(|error| refusals::of_loading(error.into()))?;
        Ok(FileRecords { elder, records })
    }

    /// The files that ever stood for this one. Its records tell also where it has been erased, and its state tells nothing.
    pub(crate) async fn once_merged_into(&self, elder: ElderId) -> Result<Vec<ElderId>, Status> {
        let file = self.records_of(elder).await?;
        let events = file.records.iter().flat_map(|record| &record.events);
        let merged = events.filter_map(|raw| {
            let Ok(Event::Merged(merge)) = codec::decode(raw) else {
                return None;
            };
            (merge.merged == elder).then_some(merge.surviving)
        });
        Ok(merged.collect())
    }

    /// The file that stood for this one when it was erased, if one did: at one moment files lead in no circle, as they may have in
    /// the course of time.
    pub(crate) async fn erased_under(&self, elder: ElderId) -> Result<Option<ElderId>, Status> {
        let file = self.records_of(elder).await?;
        let (mut content, mut above) = (Content::default(), None);
        for record in &file.records {
            above = content.open().map_or(above, |open| open.merged_into);
            content = evolved(content, record);
        }
        Ok(above)
    }

    /// The records of an elder's file; of a merged one those of the file that stands for it now. Of a file that lies elsewhere
    /// they are not read, and there are none: it takes no longer than one that is not there.
    pub(crate) async fn standing_records(
        &self,
        call: &Call,
        elder: ElderId,
    ) -> Result<FileRecords, Status> {
        let mut id = elder;
        for _ in 0..LONGEST_CHAIN {
            let records = self.records_within_reach(call, id).await?;
            match records
                .file(None)
                .state
                .0
                .open()
                .and_then(|elder| elder.merged_into)
            {
                Some(surviving) => id = surviving,
                None => return Ok(records),
            }
        }
        Err(service::errors::internal(&"a chain of merges is too long"))
    }

    /// The records of this very file, if the caller may work where the elder lives, or if it was merged: then the surviving file
    /// decides. Where that is say the row and what the log has beyond it.
    async fn records_within_reach(
        &self,
        call: &Call,
        elder: ElderId,
    ) -> Result<FileRecords, Status> {
        let Some(row) = self.row_of(elder).await else {
            return self.records_of(elder).await;
        };
        let newer = self.records_after(elder, row.version).await?;
        let stands = newer.records.iter().fold(Content::Open(row.elder), evolved);
        let within_reach = stands.open().is_none_or(|stands| {
            stands.merged_into.is_some() || call.caller.reaches(&residence(stands, call.today()))
        });
        if within_reach {
            self.records_of(elder).await
        } else {
            let records = Vec::new();
            Ok(FileRecords { elder, records })
        }
    }

    /// A file's row. One that can't be read, or not now, counts as none: the log decides then, whoever asks.
    async fn row_of(&self, elder: ElderId) -> Option<FoundFile> {
        match timeout(ROW_WITHIN, self.files.own(elder)).await {
            Ok(Ok(row)) => return row,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a file's row can't be read: the log decides");
            }
            Err(_late) => tracing::warn!("a file's row does not come: the log decides"),
        }
        None
    }
}

/// A file after a record, as far as this program can read it.
fn evolved(file: Content, record: &Record) -> Content {
    let events = record
        .events
        .iter()
        .filter_map(|raw| codec::decode(raw).ok());
    events.fold(file, |file, event| file.evolve(&event))
}

impl FileRecords {
    /// The file as its records up to an instant leave it; without one, as it stands.
    pub(crate) fn file(&self, until: Option<DateTime<Utc>>) -> Loaded<File> {
        let (mut file, mut sequence) = (Content::default(), 0);
        for record in self
            .records
            .iter()
            .take_while(|record| until.is_none_or(|until| record.metadata.time <= until))
        {
            file = evolved(file, record);
            sequence = record.sequence;
        }
        Loaded::new(File(file), sequence, [])
    }

    /// Whether the person has been erased, whenever that was.
    pub(crate) fn erased(&self) -> bool {
        matches!(self.file(None).state.0, Content::Erased)
    }

    /// When the file was opened; none where there is no such file.
    pub(crate) fn registered_at(&self) -> Option<DateTime<Utc>> {
        self.records.first().map(|record| record.metadata.time)
    }
}
