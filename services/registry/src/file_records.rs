//! A file's records as they stand in the log, for telling what was known when. What this program can't read in them, since a newer one wrote it, is passed by.

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::codec;
use eventlog::{Loaded, Record, Repository};
use tonic::Status;

use crate::{
    elder::File,
    refusals,
    registry::{LONGEST_CHAIN, Registry},
};

/// All records of one file, oldest first.
pub(crate) struct FileRecords {
    pub(crate) elder: ElderId,
    pub(crate) records: Vec<Record>,
}

impl Registry {
    /// The records of this very file.
    pub(crate) async fn records_of(&self, elder: ElderId) -> Result<FileRecords, Status> {
        let subject = Repository::<File>::subject(&elder.to_string())
            .map_err(|error| service::errors::internal(&error))?;
        let records = self
            .log
            .read(&subject, 0)
            .await
            .map_err(|error| refusals::of_loading(error.into()))?;
        Ok(FileRecords { elder, records })
    }

    /// The records of an elder's file; of a merged one those of the file that stands for it now.
    pub(crate) async fn standing_records(&self, elder: ElderId) -> Result<FileRecords, Status> {
        let mut id = elder;
        for _ in 0..LONGEST_CHAIN {
            let records = self.records_of(id).await?;
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
}

impl FileRecords {
    /// The file as its records up to an instant leave it; without one, as it stands.
    pub(crate) fn file(&self, until: Option<DateTime<Utc>>) -> Loaded<File> {
        let (mut file, mut sequence) = (elders::File::default(), 0);
        for record in self
            .records
            .iter()
            .take_while(|record| until.is_none_or(|until| record.metadata.time <= until))
        {
            let events = record
                .events
                .iter()
                .filter_map(|raw| codec::decode(raw).ok());
            file = events.fold(file, |file, event| file.evolve(&event));
            sequence = record.sequence;
        }
        Loaded::new(File(file), sequence, [])
    }

    /// Whether the person has been erased, whenever that was.
    pub(crate) fn erased(&self) -> bool {
        matches!(self.file(None).state.0, elders::File::Erased)
    }

    /// When the file was opened; none where there is no such file.
    pub(crate) fn registered_at(&self) -> Option<DateTime<Utc>> {
        self.records.first().map(|record| record.metadata.time)
    }
}
