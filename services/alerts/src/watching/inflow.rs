//! What comes to the watch: signals, and what our own log says; and whether all of it has come that happened by an instant.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{DeviceKind, DivisionCode, ElderId};
use eventlog::{Aggregate, Delivery, ReadError, Record};
use futures::{FutureExt as _, StreamExt as _};
use readmodel::ReaderFailed;
use uuid::Uuid;

use super::{HEARD_AT_ONCE, Watch};
use crate::absence::{self, Absence};
use crate::alert_line::{AlertLine, Event, LineId};
use crate::alert_policy::AlertPolicy;
use crate::device::{self, Device};
use crate::division_policy::DivisionPolicy;
use crate::elders_tables::FACTS;
use crate::signal::DeviceId;
use crate::signals::Arrived;

/// How long a signal that should be there is waited for before it is asked whether it is.
const MISSING_AFTER: Duration = Duration::from_millis(500);

/// What comes in one stream, and how much of it is known.
pub(super) struct Inflow<S, T> {
    pub(super) coming: S,
    pub(super) waiting: VecDeque<T>,
    /// The last sequence that has come.
    pub(super) seen: u64,
    /// The last sequence that was dealt with.
    pub(super) done: u64,
    /// Everything that was there at this instant has come.
    pub(super) complete_at: Option<DateTime<Utc>>,
}

impl<S, T> Inflow<S, T> {
    pub(super) fn after(sequence: u64, coming: S) -> Self {
        Self {
            coming,
            waiting: VecDeque::new(),
            seen: sequence,
            done: sequence,
            complete_at: None,
        }
    }

    /// Whether all that happened by an instant has come, or what has come shows that it is later.
    pub(super) fn is_complete(&self, at: DateTime<Utc>) -> bool {
        !self.waiting.is_empty() || self.complete_at.is_some_and(|complete| complete >= at)
    }
}

/// A record of our own log, as far as it is the watch's business.
pub(super) struct Change {
    pub(super) sequence: u64,
    pub(super) at: DateTime<Utc>,
    pub(super) request: Uuid,
    pub(super) what: Vec<Said>,
}

/// What a record says.
pub(super) enum Said {
    Registered(DeviceId, DeviceKind, ElderId),
    Moved(DeviceId, ElderId),
    Retired(DeviceId),
    Away(ElderId),
    Back(ElderId),
    Policy(DivisionCode, Box<AlertPolicy>),
    Line(LineId, Box<Event>),
}

impl Watch<'_> {
    /// Takes what has come, as far as it can be dealt with in one go.
    pub(super) async fn take_what_is_there(&mut self) -> Result<(), ReaderFailed> {
        while self.signals.waiting.len() < HEARD_AT_ONCE
            && let Some(arrived) = self.signals.coming.next().now_or_never()
        {
            self.heard_of(arrived)?;
        }
        while self.own.waiting.len() < HEARD_AT_ONCE
            && let Some(records) = self.own.coming.next().now_or_never()
        {
            self.read(records).await?;
        }
        Ok(())
    }

    pub(super) fn heard_of(&mut self, arrived: Option<Vec<Arrived>>) -> Result<(), ReaderFailed> {
        let arrived = arrived.ok_or_else(|| ReaderFailed::because("the signals have ended"))?;
        self.measures.heard(arrived.len() as u64);
        for one in arrived {
            self.signals.seen = one.sequence();
            match one {
                Arrived::Signal(signal) => self.signals.waiting.push_back(signal),
                Arrived::Unreadable { sequence } => {
                    self.measures.unreadable();
                    tracing::warn!(sequence, "a message on a device's subject is no signal");
                }
            }
        }
        if self.signals.waiting.is_empty() {
            self.signals.done = self.signals.seen;
        }
        Ok(())
    }

    pub(super) async fn read(
        &mut self,
        records: Option<Result<Vec<Delivery>, ReadError>>,
    ) -> Result<(), ReaderFailed> {
        let records = records.ok_or_else(|| ReaderFailed::because("our own log has ended"))??;
        let mut elders = Vec::new();
        for delivery in &records {
            self.own.seen = delivery.sequence();
            let Delivery::Record(record) = delivery else {
                continue;
            };
            let what = said(record);
            if what.is_empty() {
                continue;
            }
            let homes = what.iter().filter_map(|said| match said {
                Said::Registered(_, _, elder) | Said::Moved(_, elder) => Some(*elder),
                Said::Retired(_)
                | Said::Away(_)
                | Said::Back(_)
                | Said::Policy(..)
                | Said::Line(..) => None,
            });
            elders.extend(homes);
            self.own.waiting.push_back(Change {
                sequence: record.sequence,
                at: record.metadata.time,
                request: record.metadata.request_id,
                what,
            });
        }
        if self.own.waiting.is_empty() {
            self.own.done = self.own.seen;
        }
        if !elders.is_empty() {
            let known = FACTS.of(&self.man.pool, &elders).await?;
            let today = self.man.clock.today();
            self.villages.extend(known.into_iter().map(|(elder, kept)| {
                let facts = kept.facts.as_ref();
                (elder, facts.map(|facts| *facts.on(today).village()))
            }));
        }
        Ok(())
    }

    /// Whether all that happened by an instant has come; one batch more comes where it has not.
    pub(super) async fn all_is_known(&mut self, at: DateTime<Utc>) -> Result<bool, ReaderFailed> {
        if !self.signals.is_complete(at) && !self.complete_signals(at).await? {
            return Ok(false);
        }
        if !self.own.is_complete(at) && !self.complete_own(at).await? {
            return Ok(false);
        }
        Ok(true)
    }

    /// Looks how far the signals go; whether all have come that arrived by an instant. Where not, a batch more does.
    ///
    /// Another's clock may be a little ahead of ours: what is not there now arrives later than anything that is.
    pub(super) async fn complete_signals(
        &mut self,
        at: DateTime<Utc>,
    ) -> Result<bool, ReaderFailed> {
        let now = self.man.clock.now().max(at);
        let tip = self.man.signals.last_sequence().await?;
        if self.signals.seen >= tip {
            self.signals.complete_at = Some(now);
            return Ok(true);
        }
        let coming = self.signals.coming.next();
        match tokio::time::timeout(MISSING_AFTER, coming).await {
            Ok(arrived) => self.heard_of(arrived)?,
            // The last ones may have been taken out, with the elder whose they were.
            Err(_) if !self.man.signals.goes_on_after(self.signals.seen).await? => {
                self.signals.seen = tip;
                if self.signals.waiting.is_empty() {
                    self.signals.done = tip;
                }
            }
            Err(_) => {}
        }
        Ok(false)
    }

    pub(super) async fn complete_own(&mut self, at: DateTime<Utc>) -> Result<bool, ReaderFailed> {
        let now = self.man.clock.now().max(at);
        let tip = self.man.own.last_sequence().await?;
        if self.own.seen >= tip {
            self.own.complete_at = Some(now);
            return Ok(true);
        }
        let records = self.own.coming.next().await;
        self.read(records).await?;
        Ok(false)
    }
}

/// What a record of our own log says to the watch.
fn said(record: &Record) -> Vec<Said> {
    let (aggregate, id) = (record.subject.aggregate(), record.subject.id());
    let mut found = Vec::new();
    if aggregate == AlertLine::NAME {
        let Ok(line) = id.parse::<LineId>() else {
            return found;
        };
        let events = record
            .events
            .iter()
            .filter_map(|raw| AlertLine::decode(raw).ok());
        found.extend(events.map(|event| Said::Line(line.clone(), Box::new(event))));
    } else if aggregate == Device::NAME {
        let Ok(device) = id.parse::<DeviceId>() else {
            return found;
        };
        for event in record
            .events
            .iter()
            .filter_map(|raw| Device::decode(raw).ok())
        {
            found.push(match event {
                device::Event::Registered(registered) => {
                    Said::Registered(device.clone(), registered.kind, registered.elder)
                }
                device::Event::Updated { elder, .. } => Said::Moved(device.clone(), elder),
                device::Event::Retired => Said::Retired(device.clone()),
            });
        }
    } else if aggregate == Absence::NAME {
        let Ok(elder) = id.parse::<ElderId>() else {
            return found;
        };
        for event in record
            .events
            .iter()
            .filter_map(|raw| Absence::decode(raw).ok())
        {
            found.push(match event {
                absence::Event::Marked(_) => Said::Away(elder),
                absence::Event::Ended => Said::Back(elder),
            });
        }
    } else if aggregate == DivisionPolicy::NAME {
        let events = record.events.iter();
        let policies = events.filter_map(|raw| DivisionPolicy::decode(raw).ok());
        found.extend(
            policies.map(|published| Said::Policy(published.division, Box::new(published.policy))),
        );
    }
    found
}
