//! What records mean for approved orders: which are to be paid by the word of a run or a reviewer, and what has ended.

use std::collections::HashMap;

use civic::LocalDay;
use eventlog::{Aggregate as _, Position, RawEvent, Record};
use uuid::Uuid;

use crate::adjudication::{self, Runs};
use crate::caregiver::{self, Caregiver};
use crate::enrolment::{self, Enrolments, Whose};
use crate::provider::{self, Provider};
use crate::settlements::{self, Settlements};

/// The record that has an order looked at again.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) position: Position,
    pub(super) id: Uuid,
    /// What it has in common with all that follows from it.
    pub(super) correlation: Uuid,
    /// The trace that it goes on in.
    pub(super) traceparent: Option<String>,
}

/// Something in our registers that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) what: What,
    pub(super) last: LocalDay,
    /// The record that says so, and the place of the event in it.
    pub(super) cause: Cause,
    pub(super) place: i32,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Enrolment(Whose),
    Contract { provider: String, contract: Uuid },
    Listing(Uuid),
}

/// What records of our own log mean for approved orders.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Orders that a run approved, or that a reviewer kept: each by which record. Before it was kept more may have been found
    /// against an order than its hold tells, by a version that said what was found first alone.
    pub(super) approved: HashMap<Uuid, Cause>,
    /// What has ended.
    pub(super) ended: Vec<Ended>,
}

impl Cause {
    pub(super) fn of(stream: &str, record: &Record) -> Self {
        let metadata = &record.metadata;
        Self {
            position: Position::new(stream, record.sequence),
            id: metadata.id,
            correlation: metadata.correlation_id,
            traceparent: metadata.traceparent.clone(),
        }
    }
}

impl Told {
    /// Takes a record in. What can't be read means nothing: the read model parks it.
    pub(super) fn read(&mut self, stream: &str, record: &Record) {
        let cause = || Cause::of(stream, record);
        for (place, raw) in (0..).zip(&record.events) {
            let aggregate = record.subject.aggregate();
            if aggregate == Runs::NAME {
                let approved = Runs::decode(raw).ok().and_then(|said| approved(&said));
                self.approved.extend(approved.map(|order| (order, cause())));
            } else if aggregate == Settlements::NAME {
                let kept = Settlements::decode(raw).ok().and_then(|said| kept(&said));
                self.approved.extend(kept.map(|order| (order, cause())));
            } else {
                let ended = end(record, raw).map(|(what, last)| Ended {
                    what,
                    last,
                    cause: cause(),
                    place,
                });
                self.ended.extend(ended);
            }
        }
    }
}

fn approved(verdict: &adjudication::Event) -> Option<Uuid> {
    match verdict {
        adjudication::Event::Approved { order, .. } => Some(*order),
        adjudication::Event::Held { .. }
        | adjudication::Event::Consumed { .. }
        | adjudication::Event::Released { .. }
        | adjudication::Event::PremiumsBooked { .. }
        | adjudication::Event::NotSettled { .. } => None,
    }
}

fn kept(said: &settlements::Event) -> Option<Uuid> {
    match said {
        settlements::Event::HoldEnded {
            order, withdrawn, ..
        } => (!withdrawn).then_some(*order),
        settlements::Event::Drafted { .. }
        | settlements::Event::Confirmed { .. }
        | settlements::Event::Paid { .. }
        | settlements::Event::Adjusted { .. }
        | settlements::Event::PutOnHold { .. }
        | settlements::Event::RecoveryListed { .. } => None,
    }
}

fn end(record: &Record, raw: &RawEvent) -> Option<(What, LocalDay)> {
    let aggregate = record.subject.aggregate();
    if aggregate == Enrolments::NAME {
        match Enrolments::decode(raw).ok()? {
            enrolment::Event::Ended { whose, last, .. } => Some((What::Enrolment(whose), last)),
            enrolment::Event::Enrolled { .. } | enrolment::Event::Charged { .. } => None,
        }
    } else if aggregate == Provider::NAME {
        match Provider::decode(raw).ok()? {
            provider::Event::Ended {
                provider,
                contract,
                last,
            } => Some((What::Contract { provider, contract }, last)),
            provider::Event::Contracted(_) => None,
        }
    } else if aggregate == Caregiver::NAME {
        let caregiver = record.subject.id().parse().ok()?;
        match Caregiver::decode(raw).ok()? {
            caregiver::Event::Retired(last) => Some((What::Listing(caregiver), last)),
            caregiver::Event::Registered(_) => None,
        }
    } else {
        None
    }
}
