//! What is no emergency is gathered by village: each recipient is told of all of it by one notice.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{AlertKind, RecipientRole, Set, VillageCode};
use futures::StreamExt as _;
use readmodel::ReaderFailed;
use uuid::Uuid;

use super::delivery::notice_of;
use super::{AT_MOST, Task, Teller, Telling};
use crate::alert_line::Raised;
use crate::alert_policy::AlertPolicy;
use crate::elders_tables::CARDS;
use crate::whom::Whom;
use crate::wording;

/// Of how many alerts of a group it is looked at once whether somebody was told before.
const LOADED_AT_ONCE: usize = 32;

/// Which alerts are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    kind: AlertKind,
    level: u8,
    village: Option<VillageCode>,
}

/// Alerts of which each recipient is told by one notice.
pub(super) struct Group {
    /// When they are told.
    pub(super) due: DateTime<Utc>,
    /// Who is told.
    roles: Set<RecipientRole>,
    /// The line of each, with the record that led here.
    pub(super) alerts: Vec<(String, Raised, u64)>,
}

impl Telling {
    /// Adds an alert to those of its village. Nothing is looked up here: an alarm may be the next.
    pub(super) async fn gather(&mut self, task: Task) {
        let teller = &self.teller;
        let gather = match teller.rules.recent().await {
            Ok(rules) => rules.of(task.raised.village.as_ref()).gather_low,
            Err(_) => AlertPolicy::default().gather_low,
        };
        let key = GroupKey {
            kind: task.raised.kind,
            level: task.level,
            village: task.raised.village,
        };
        let due = teller.clock.now() + gather.max(TimeDelta::zero());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            due,
            roles: task.roles,
            alerts: Vec::new(),
        });
        group.roles = group.roles.union(task.roles);
        group.alerts.push((task.line, task.raised, task.record));
    }

    pub(super) fn tell_groups(&mut self, now: DateTime<Utc>) {
        let due: Vec<GroupKey> = self
            .groups
            .iter()
            .filter(|(_, group)| group.due <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let Some(group) = self.groups.remove(&key) else {
                continue;
            };
            let records = group.alerts.iter().map(|(_, _, record)| *record);
            let records = records.collect();
            let telling = Arc::clone(&self.teller).tell_group(key, group);
            // Of several requests, so in a trace of its own.
            self.begin(records, None, telling);
        }
    }
}

impl Teller {
    /// Tells everybody of several alerts of a village; the last sequence of what was written.
    async fn tell_group(self: Arc<Self>, key: GroupKey, group: Group) -> Result<u64, ReaderFailed> {
        let last = group.alerts.iter().map(|(_, _, record)| *record).max();
        let alerts: Vec<(String, Raised)> = group
            .alerts
            .into_iter()
            .map(|(line, raised, _)| (line, raised))
            .collect();
        // Nobody waits for these by the second: who was registered just before them is known.
        let read = self.board.reaches(last.unwrap_or_default());
        let _in_time = tokio::time::timeout(AT_MOST, read).await;
        let whom = self
            .patiently(|| self.find_for_group(&key, group.roles, &alerts))
            .await;
        let codes: Vec<String> = key.village.iter().map(ToString::to_string).collect();
        let names = self
            .patiently(|| async { Ok(CARDS.names(&self.pool, &codes).await?) })
            .await;
        let village = names.into_values().next().unwrap_or_default();
        let telling = whom.into_iter().map(|(whom, theirs)| {
            let alerts = theirs
                .iter()
                .filter_map(|place| alerts.get(*place).cloned());
            self.tell_one_of_group(key, whom, alerts.collect(), &village)
        });
        let written = futures::future::join_all(telling).await;
        written
            .into_iter()
            .try_fold(0, |last, written| Ok(last.max(written?)))
    }

    /// Who is told of which of them, by their places.
    async fn find_for_group(
        &self,
        key: &GroupKey,
        roles: Set<RecipientRole>,
        alerts: &[(String, Raised)],
    ) -> Result<Vec<(Whom, Vec<usize>)>, ReaderFailed> {
        let village = key.village.as_ref();
        let mut found = Vec::new();
        for role in roles.iter() {
            if role == RecipientRole::Maintainer {
                let device = |raised: &Raised| {
                    let device = raised.cause.device();
                    device.map_or_else(String::new, |(device, _)| device.to_string())
                };
                let devices: Vec<String> =
                    alerts.iter().map(|(_, raised)| device(raised)).collect();
                for (whom, theirs) in self.finder.maintainers(&devices, village).await? {
                    let theirs: HashSet<String> = theirs.into_iter().collect();
                    let places =
                        (0..devices.len()).filter(|place| theirs.contains(&devices[*place]));
                    found.push((whom, places.collect()));
                }
            } else {
                let registered = self.finder.registered(role, village).await?;
                let all = || (0..alerts.len()).collect();
                found.extend(registered.into_iter().map(|whom| (whom, all())));
            }
        }
        if found.is_empty() {
            let nobody = Whom {
                recipient: Uuid::nil(),
                role: roles.iter().next().unwrap_or(RecipientRole::Maintainer),
                ways: Vec::new(),
            };
            found.push((nobody, (0..alerts.len()).collect()));
        }
        Ok(found)
    }

    async fn tell_one_of_group(
        &self,
        key: GroupKey,
        whom: Whom,
        alerts: Vec<(String, Raised)>,
        village: &str,
    ) -> Result<u64, ReaderFailed> {
        let known: Vec<_> = futures::stream::iter(alerts)
            .map(|(line, raised)| async move {
                let told = self.what_was_told(&line).await?;
                let over = self.is_over(&line, raised.alert).await;
                (!over).then_some((told, line, raised))
            })
            .buffered(LOADED_AT_ONCE)
            .collect()
            .await;
        // After a restart some may have been told before, or given up.
        let mut untold: Vec<_> = known.into_iter().flatten().collect();
        untold.retain(|(known, _, raised)| {
            let own = known.state.of(notice_of(raised, key.level, &whom));
            !known
                .state
                .has_told(raised.alert, key.level, whom.recipient)
                && !own.is_some_and(|told| told.over)
        });
        let Some((known, ..)) = untold.first() else {
            return Ok(0);
        };
        let known = Arc::clone(known);
        let alerts = untold.into_iter().map(|(_, line, raised)| (line, raised));
        let alerts: Vec<(String, Raised)> = alerts.collect();
        let raised: Vec<Raised> = alerts.iter().map(|(_, raised)| raised.clone()).collect();
        let text = wording::gathered_text(key.kind, village, &raised);
        let data = wording::gathered_data(key.level, whom.role, &raised);
        self.deliver(&known.state, whom, key.level, alerts, text, data)
            .await
    }
}
