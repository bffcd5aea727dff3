//! Pairs of files that may be one person's: reported, dismissed, merged, and unmerged.

use decider::Decider as _;
use elders::event::Merge;
use eventlog::{ExecuteError, Held, RequestDigest};
use tonic::Status;

use crate::{
    call::Call,
    commands::Done,
    duplicate::{Command, Duplicate},
    elder,
    parse::tables_and_pairs::Paired,
    refusals,
    registry::Registry,
};

impl Registry {
    /// Reports that two files may be one person's.
    pub(crate) async fn report_duplicate(
        &self,
        call: &Call,
        command: &Paired<String>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        self.may_review(call, command).await?;
        let report = Command::Report(command.pair, command.what.clone());
        self.decide_pair(call, command, digest, &report).await
    }

    /// Closes a reported pair: two persons.
    pub(crate) async fn dismiss_duplicate(
        &self,
        call: &Call,
        command: &Paired<String>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        self.may_review(call, command).await?;
        self.decide_pair(
            call,
            command,
            digest,
            &Command::Dismiss(command.what.clone()),
        )
        .await
    }

    async fn decide_pair<T>(
        &self,
        call: &Call,
        command: &Paired<T>,
        digest: RequestDigest,
        decision: &Command,
    ) -> Result<Done, Status> {
        let context = call.context(command.request_id, digest, None);
        let pair = command.pair.id().to_string();
        let committed = self
            .duplicates
            .execute_with(&pair, &context, |known| async move {
                known.state.decide(decision).map_err(refusals::of_pair)
            })
            .await
            .map_err(refusals::of_execution)?;
        Ok(Done::of(command.pair.elder, &committed))
    }

    /// Merges one file into another: the pair's record and both files', in one decision.
    pub(crate) async fn merge(
        &self,
        call: &Call,
        command: &Paired<Merge>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let merge = &command.what;
        self.review(
            call,
            command,
            digest,
            &Command::Merge(merge.clone()),
            &elder::Command::Merge(merge.clone()),
        )
        .await
    }

    /// Takes a merge back.
    pub(crate) async fn unmerge(
        &self,
        call: &Call,
        command: &Paired<Merge>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let merge = &command.what;
        let (of_pair, of_file) = (
            Command::Unmerge(merge.clone()),
            elder::Command::Unmerge(merge.clone()),
        );
        self.review(call, command, digest, &of_pair, &of_file).await
    }

    async fn review(
        &self,
        call: &Call,
        command: &Paired<Merge>,
        digest: RequestDigest,
        of_pair: &Command,
        of_file: &elder::Command,
    ) -> Result<Done, Status> {
        let Merge {
            surviving, merged, ..
        } = command.what;
        self.may_review(call, command).await?;
        let context = call.context(command.request_id, digest, None);
        let committed = self
            .duplicates
            .transact(
                &command.pair.id().to_string(),
                &context,
                |unit, pair: Held<Duplicate>| async move {
                    let decided = pair
                        .state
                        .decide(of_pair)
                        .map_err(|refusal| ExecuteError::Refused(refusals::of_pair(refusal)))?;
                    for file in [surviving, merged] {
                        let file = unit.load(&self.elders, &file.to_string()).await?;
                        // Decided on a newer state: the elder may have moved away from the caller.
                        self.may_change(call, &file)
                            .map_err(ExecuteError::Refused)?;
                        // Where the pair stands so already, the files do too.
                        if !decided.is_empty() {
                            let events = file.state.decide(of_file).map_err(|refusal| {
                                ExecuteError::Refused(refusals::of_elder(&refusal))
                            })?;
                            unit.record(file, events);
                        }
                    }
                    unit.record(pair, decided);
                    Ok(())
                },
            )
            .await
            .map_err(refusals::of_execution)?;
        // The record that answers is the pair's; the version that counts for later commands is the file's, which a retry
        // is told as it was then.
        let file = self
            .elders
            .load(&surviving.to_string())
            .await
            .map_err(refusals::of_loading)?;
        let version = file
            .request(command.request_id)
            .map_or(file.sequence, |known| known.sequence);
        Ok(Done {
            version,
            ..Done::of(surviving, &committed)
        })
    }

    /// The caller must be in charge of where each of the files lies: one of elsewhere is none. A request that the pair has
    /// answered before gets its answer, also where a file has been erased since.
    async fn may_review<T>(&self, call: &Call, command: &Paired<T>) -> Result<(), Status> {
        let pair = self
            .duplicates
            .load_newest(&command.pair.id().to_string())
            .await
            .map_err(refusals::of_loading)?;
        let answered = pair.request(command.request_id).is_some();
        for elder in [command.pair.elder, command.pair.other] {
            let file = self
                .elders
                .load_newest(&elder.to_string())
                .await
                .map_err(refusals::of_loading)?;
            match file.state.0 {
                elders::File::Erased if answered => self.worked_where_it_lay(call, elder).await?,
                elders::File::Erased => {
                    self.may_change(call, &file)?;
                    return Err(refusals::of_elder(&elder::Refusal::Erased));
                }
                elders::File::Absent | elders::File::Open(_) => {
                    self.may_change(call, &file)?;
                }
            }
        }
        Ok(())
    }
}
