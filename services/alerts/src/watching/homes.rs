//! What the watch has to know of homes: where they are, whose devices follow their elders, and what happened there by the log.

use civic::{AlertKind, ElderId, VillageCode};
use eventlog::Position;

use super::Watch;
use crate::alert_line::{About, Event, LineId};
use crate::deeds::{Deed, carry_out, request_of};
use crate::device::{self, Device};
use crate::elders_tables::FACTS;
use crate::signal::DeviceId;
use readmodel::ReaderFailed;

/// How many elders' homes are looked at in one go.
const HOMES_AT_ONCE: i64 = 500;

impl Watch<'_> {
    /// Where elders live who have moved, some at a time. The devices of who is erased watch nobody any more: they are retired.
    pub(super) async fn refresh_homes(&mut self) -> Result<(), ReaderFailed> {
        let known = self.man.facts.known();
        if known <= self.facts {
            return Ok(());
        }
        let changed = FACTS
            .changed_after(&self.man.pool, self.facts, HOMES_AT_ONCE)
            .await?;
        let Some((_, last)) = changed.last() else {
            // Records about nobody's facts move the log too.
            self.facts = self.facts.max(known);
            return Ok(());
        };
        let last = last.sequence;
        let today = self.man.clock.today();
        for (elder, kept) in changed {
            let Some(home) = self.monitor.homes().get(&elder) else {
                continue;
            };
            let facts = kept.facts.as_ref();
            let village = facts.map(|facts| *facts.on(today).village());
            if facts.is_none() || home.village != village {
                self.monitor.lives_in(elder, village);
                self.tell_devices(elder, village, facts.is_none(), kept.sequence)
                    .await?;
            }
        }
        self.facts = last;
        Ok(())
    }

    async fn tell_devices(
        &mut self,
        elder: ElderId,
        village: Option<VillageCode>,
        erased: bool,
        sequence: u64,
    ) -> Result<(), ReaderFailed> {
        let home = self.monitor.homes().get(&elder);
        let devices: Vec<DeviceId> = home.map_or_else(Vec::new, |home| home.devices.clone());
        let answers = Position::new(self.man.facts.stream(), sequence);
        let position = answers.to_string();
        let mut deeds = Vec::with_capacity(devices.len());
        for device in &devices {
            let command = if erased {
                device::Command::Retire
            } else {
                device::Command::Update {
                    elder: None,
                    maintainer: None,
                    village: Some(village),
                }
            };
            deeds.push(Deed::<Device> {
                id: device.to_string(),
                command,
                request: request_of(&["home", device.as_str(), &position]),
                village,
                answers: Some(answers.clone()),
            });
        }
        let written = carry_out(&self.man.devices, deeds, self.man.clock.now()).await?;
        self.written = self.written.max(written);
        Ok(())
    }

    pub(super) fn know_home(&mut self, elder: ElderId) {
        if let Some(village) = self.villages.remove(&elder) {
            self.monitor.lives_in(elder, village);
        }
    }

    /// What happened on a line; of what we have done ourselves the monitor knows.
    pub(super) fn told_of(&mut self, line: &LineId, event: &Event, ours: bool) {
        match (&line.of, event) {
            (About::Elder(elder), Event::Resolved { at, .. })
                if line.kind == AlertKind::Inactivity =>
            {
                self.monitor.inactivity_resolved(*elder, *at);
            }
            (About::Elder(elder), Event::Raised(_))
                if line.kind == AlertKind::Inactivity && !ours =>
            {
                self.monitor.inactivity_raised(*elder);
            }
            (About::Device(device), Event::WentOffline { .. }) if !ours => {
                self.monitor.told_of(device, true);
            }
            (About::Device(device), Event::CameOnline { .. }) if !ours => {
                self.monitor.told_of(device, false);
            }
            _ => {}
        }
    }
}
