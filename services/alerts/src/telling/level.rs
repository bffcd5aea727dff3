//! The telling of one level of one alert: who is to be told, of what, and each at once.

use std::sync::Arc;

use civic::{ElderId, NoticeChannel, RecipientRole, VillageCode};
use notices::Address;
use readmodel::ReaderFailed;
use uuid::Uuid;

use super::delivery::notice_of;
use super::{AGAIN, AT_MOST, Task, Teller};
use crate::alert_line::Cause;
use crate::deeds::request_of;
use crate::elders_tables::CARDS;
use crate::untold;
use crate::whom::Whom;
use crate::wording;

impl Teller {
    /// Tells everybody of a level; the last sequence of what was written.
    pub(super) async fn tell_level(self: Arc<Self>, task: Task) -> Result<u64, ReaderFailed> {
        // After a restart: what is over long since is nobody's business any more.
        if self.is_over(&task.line, task.raised.alert).await {
            self.untold.settled(task.raised.alert, task.level);
            return Ok(0);
        }
        self.patiently(|| self.has_read_of(task.raised.elder)).await;
        let whom = self.patiently(|| self.find(&task)).await;
        let village = task.raised.village;
        let elder = self
            .patiently(|| self.finder.particulars(task.raised.elder, village.as_ref()))
            .await;
        let place = match &task.raised.cause {
            Cause::Signal(source) if source.sequence > 0 => {
                // Nice to have: nobody waits for it.
                let place = self.signals.place(source.sequence);
                let place = tokio::time::timeout(AGAIN, place).await;
                place.ok().and_then(Result::ok).flatten()
            }
            Cause::Signal(_)
            | Cause::Silence { .. }
            | Cause::MissedVisit { .. }
            | Cause::Request => None,
        };
        let told = wording::Told {
            raised: &task.raised,
            level: task.level,
            elder: &elder,
            place,
        };
        let (mut last, mut ended_before) = (0_u64, None);
        if let Some(known) = self.what_was_told(&task.line).await {
            let notices = whom
                .iter()
                .map(|whom| notice_of(&task.raised, task.level, whom));
            ended_before = known.state.ended(notices);
            let telling = whom.into_iter().map(|whom| {
                let (text, data) = (told.text(whom.role), told.data(whom.role));
                let alerts = vec![(task.line.clone(), task.raised.clone())];
                self.deliver(&known.state, whom, task.level, alerts, text, data)
            });
            for written in futures::future::join_all(telling).await {
                last = last.max(written?);
            }
        }
        if self.untold.is_waiting(task.raised.alert, task.level) {
            let counted = untold::is_counted(ended_before, self.clock.now());
            if counted || self.is_over(&task.line, task.raised.alert).await {
                self.untold.settled(task.raised.alert, task.level);
            } else {
                self.untold
                    .given_up(task.raised.alert, task.level, task.record);
            }
        }
        Ok(last)
    }

    /// Waits for the card of an elder whose file may have been opened only a moment ago: that nobody can be told is never said
    /// because it is not known yet.
    async fn has_read_of(&self, elder: ElderId) -> Result<(), ReaderFailed> {
        if CARDS.of(&self.pool, &[elder]).await?.is_empty() {
            let catching_up = self.cards.catches_up(self.registry.as_ref());
            // Whoever can be told without it is not kept waiting by a table that stands still.
            if let Ok(outcome) = tokio::time::timeout(AT_MOST, catching_up).await {
                outcome?;
            }
        }
        Ok(())
    }

    /// Who is registered as something for where an elder lives; also who was registered just before the alert.
    async fn registered(
        &self,
        role: RecipientRole,
        village: Option<&VillageCode>,
        record: u64,
    ) -> Result<Vec<Whom>, ReaderFailed> {
        let found = self.finder.registered(role, village).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let _in_time = tokio::time::timeout(AT_MOST, self.board.reaches(record)).await;
        self.finder.registered(role, village).await
    }

    /// Whoever is to be told of a level; of a role that nobody has, that nobody is there.
    async fn find(&self, task: &Task) -> Result<Vec<Whom>, ReaderFailed> {
        let raised = &task.raised;
        let village = raised.village.as_ref();
        let mut all = Vec::new();
        for role in task.roles.iter() {
            let mut found = match role {
                RecipientRole::EmergencyContact => {
                    let rules = self.rules.now().await?;
                    let channels = &rules.of(village).contact_channels;
                    self.finder.contacts(raised.elder, channels).await?
                }
                // Those are told of several at once.
                RecipientRole::Maintainer => continue,
                RecipientRole::FireService => vec![Whom {
                    recipient: request_of(&["119"]),
                    role,
                    ways: vec![(NoticeChannel::Record, Address::new("119"))],
                }],
                RecipientRole::GridWorker
                | RecipientRole::VillageCommittee
                | RecipientRole::Town
                | RecipientRole::DutyCentre => self.registered(role, village, task.record).await?,
            };
            // The duty centre is called by telephone where nobody has answered.
            if role == RecipientRole::DutyCentre && task.level > 0 {
                for whom in &mut found {
                    whom.ways
                        .sort_by_key(|(way, _)| *way != NoticeChannel::Voice);
                }
            }
            if found.is_empty() {
                all.push(Whom {
                    recipient: Uuid::nil(),
                    role,
                    ways: Vec::new(),
                });
            }
            all.extend(found);
        }
        // The grid worker or the committee: where one of them is registered, nobody misses the other.
        let village_told = all
            .iter()
            .any(|whom| is_of_the_village(whom.role) && !whom.ways.is_empty());
        all.retain(|whom| !(village_told && whom.ways.is_empty() && is_of_the_village(whom.role)));
        Ok(all)
    }
}

fn is_of_the_village(role: RecipientRole) -> bool {
    matches!(
        role,
        RecipientRole::GridWorker | RecipientRole::VillageCommittee
    )
}
