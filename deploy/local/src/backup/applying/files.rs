//! The files of whoever was erased since: closed for good in the registry's log, by the registry's own rules, so that every service
//! learns of it as of any other erasure.

use std::sync::Arc;

use anyhow::Context as _;
use civic::ElderId;
use decider::Decider as _;
use elders::Elder;
use eventlog::{
    CommandContext, EventLog, ExecuteError, Gather, Held, JetStreamLog, Repository, RequestDigest,
    StreamSettings,
};
use registry::{
    elder::{Command, File},
    identity::{self, Claim},
};
use service::Clock;
use uuid::Uuid;

use crate::backup::{
    erasures::{Erasure, Erasures},
    ground::Ground,
};

/// Who erases.
const ACTOR: &str = "system:restore";

/// Set apart from all other requests: an erasure that is applied twice acts once.
const REQUESTS: Uuid = Uuid::from_u128(0x8d0f_5c1e_6a27_4f0b_9d51_3be7_20c4_9a66);

/// The files in the registry's log.
pub(super) struct Files {
    files: Repository<File>,
    claims: Repository<Claim>,
    clock: Clock,
}

/// How it is with the files of those who were erased.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// They are open: the erasure came after the backup.
    pub(super) open: Vec<(ElderId, &'a Erasure)>,
    /// They are erased there already.
    pub(super) before: usize,
    /// There is none: it was opened after the backup, too.
    pub(super) unknown: usize,
}

impl Files {
    pub(super) async fn open(ground: &Ground) -> anyhow::Result<Self> {
        let stream = StreamSettings {
            create: false,
            ..StreamSettings::of("registry", Gather::GroupsOnly)
        };
        let log: Arc<dyn EventLog> =
            Arc::new(JetStreamLog::open(ground.server.client(), stream).await?);
        Ok(Self {
            files: Repository::new(Arc::clone(&log)),
            claims: Repository::new(log),
            clock: ground.clock.clone(),
        })
    }

    /// Looks for the files of those who were erased.
    pub(super) async fn look_for<'a>(&self, erasures: &'a Erasures) -> anyhow::Result<Found<'a>> {
        let mut found = Found::default();
        for (elder, erasure) in &erasures.erased {
            let file = self.files.load(&elder.to_string()).await?;
            match &file.state.0 {
                elders::File::Open(_) => found.open.push((ElderId(*elder), erasure)),
                elders::File::Erased => found.before += 1,
                elders::File::Absent => found.unknown += 1,
            }
        }
        Ok(found)
    }

    /// Erases one file, and no other: files that were merged into it are named by themselves where they were erased with it.
    pub(super) async fn erase(&self, elder: ElderId, erasure: &Erasure) -> anyhow::Result<()> {
        let id = elder.to_string();
        let file = self.files.load(&id).await?;
        let open = file.state.0.open();
        let context = self.context(elder, open.context("the file was open")?);
        let erase = &Command::Erase {
            reason: erasure.reason.clone(),
        };
        let claims = &self.claims;
        let decided: Result<_, ExecuteError<String>> = self
            .files
            .transact(&id, &context, |unit, file: Held<File>| async move {
                let erased = file.state.decide(erase).map_err(refused)?;
                let open = file.state.0.open();
                if let Some(claim) = open.map(|open| open.identity_claim.clone()) {
                    let claim = unit.load(claims, &claim).await?;
                    let release = identity::Command::Release(elder);
                    let released = claim.state.decide(&release).map_err(refused)?;
                    unit.record(claim, released);
                }
                unit.record(file, erased);
                Ok(())
            })
            .await;
        // The rules' reasons name nobody.
        let decided = decided.map_err(|error| anyhow::anyhow!("{error:?}"));
        decided.with_context(|| format!("erase {elder} again"))?;
        Ok(())
    }

    fn context(&self, elder: ElderId, file: &Elder) -> CommandContext {
        let village = file.facts.on(self.clock.today()).residence.village;
        CommandContext {
            request_id: Uuid::new_v5(&REQUESTS, elder.as_uuid().as_bytes()),
            request_digest: RequestDigest::from([0; 16]),
            actor: ACTOR.to_owned(),
            now: self.clock.now(),
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            division: Some(village.to_string()),
            traceparent: None,
            answers: None,
            purpose: None,
        }
    }
}

fn refused(why: impl std::fmt::Debug) -> ExecuteError<String> {
    ExecuteError::Refused(format!("{why:?}"))
}
