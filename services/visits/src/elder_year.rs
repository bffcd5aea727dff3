//! An elder's year of visits: what was recorded, doubted and decided, which duties were met and missed, and what was
//! referred to departments.
//!
//! A record belongs to the year of its visit's day, a duty to the year of its period's last day. Whether the rules take a
//! record at all is judged before it comes here ([`crate::recording`]): that rests on facts of others.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use civic::{
    Doubt, ElderId, FindingKind, LocalDay, ReferralOutcome, ServiceKind, Set, VillageCode,
    VisitMode, VisitResult,
};
use decider::Decider;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

use crate::period::Period;

/// The year as its events leave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElderYear {
    records: HashMap<Uuid, Standing>,
    duties: BTreeMap<Period, DutyOutcome>,
    /// Whether each is still open.
    referrals: HashMap<Uuid, bool>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing is doubted.
    Clear(VisitResult),
    /// It waits for a supervisor.
    Doubtful(VisitResult, Set<Doubt>),
    /// A supervisor has decided.
    Decided(VisitResult, Set<Doubt>),
}

/// What became of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DutyOutcome {
    Met,
    Missed,
    MetLate,
}

/// A visit as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The record.
    pub record: Uuid,
    /// The elder.
    pub elder: ElderId,
    /// The visitor.
    pub visitor: Uuid,
    /// How.
    pub mode: VisitMode,
    /// What came of it.
    pub result: VisitResult,
    /// When it began.
    pub start: DateTime<Utc>,
    /// When it ended.
    pub end: DateTime<Utc>,
    /// The services given.
    pub services: Set<ServiceKind>,
    /// Whether the worker signed.
    pub signed: bool,
    /// Where the visitor checked in.
    pub check_in: Option<Sealed<pb::CheckIn>>,
    /// Free words.
    pub remarks: Option<Sealed<pb::Remarks>>,
    /// Digests of the photos.
    pub photos: Vec<[u8; 32]>,
    /// Where the elder lived on the day.
    pub village: VillageCode,
}

impl Recorded {
    /// The day of the visit.
    #[must_use]
    pub fn day(&self) -> LocalDay {
        LocalDay::of(self.start)
    }
}

/// What a visitor found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// More about it.
    pub note: Option<Sealed<pb::Remarks>>,
}

/// A duty that was missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The elder.
    pub elder: ElderId,
    /// The period.
    pub period: Period,
    /// The elder's tier on its last day.
    pub tier: String,
    /// Where the elder lived on that day.
    pub village: VillageCode,
    /// It calls for a talk about consent.
    pub blocked_by_consent: bool,
}

/// What is asked of it.
#[derive(Clone, Debug)]
pub enum Command {
    /// Keep a record that the rules take.
    Record {
        /// The record.
        recorded: Box<Recorded>,
        /// The doubts that rest on it alone.
        doubts: Set<Doubt>,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Earlier records make it doubtful.
    Doubt {
        /// The record.
        record: Uuid,
        /// Why.
        doubts: Set<Doubt>,
    },
    /// Let it count.
    Confirm {
        /// The record.
        record: Uuid,
    },
    /// Let it never count.
    Reject {
        /// The record.
        record: Uuid,
    },
    /// The period closed with the duty met.
    SettleMet {
        /// The elder.
        elder: ElderId,
        /// The period.
        period: Period,
        /// A counted record.
        record: Uuid,
    },
    /// The period closed with the duty unmet.
    SettleMissed(Missed),
    /// A record counts that may meet a duty which was missed.
    MeetLate {
        /// The elder.
        elder: ElderId,
        /// The period.
        period: Period,
        /// The record.
        record: Uuid,
    },
    /// A department answers.
    AnswerReferral {
        /// The referral.
        referral: Uuid,
        /// The department.
        department: String,
        /// What it says.
        answer: Sealed<pb::Remarks>,
    },
    /// A referral ends.
    CloseReferral {
        /// The referral.
        referral: Uuid,
        /// How.
        outcome: ReferralOutcome,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A visit took place, or was tried.
    Recorded(Box<Recorded>),
    /// It counts only once it is confirmed.
    Doubted {
        /// The record.
        record: Uuid,
        /// Why.
        doubts: Set<Doubt>,
    },
    /// It counts.
    Confirmed {
        /// The record.
        record: Uuid,
    },
    /// It never counts.
    Rejected {
        /// The record.
        record: Uuid,
    },
    /// A duty was met: when its period closed, or late.
    DutyMet {
        /// The elder.
        elder: ElderId,
        /// The period.
        period: Period,
        /// A counted record.
        record: Uuid,
        /// It had been missed.
        late: bool,
    },
    /// A duty was missed.
    Missed(Missed),
    /// A finding goes to a department.
    ReferralOpened {
        /// The referral.
        referral: Uuid,
        /// The record.
        record: Uuid,
        /// What was found.
        finding: Finding,
    },
    /// A department answered.
    ReferralAnswered {
        /// The referral.
        referral: Uuid,
        /// The department.
        department: String,
        /// What it says.
        answer: Sealed<pb::Remarks>,
    },
    /// A referral ended.
    ReferralClosed {
        /// The referral.
        referral: Uuid,
        /// How.
        outcome: ReferralOutcome,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such record.
    RecordUnknown,
    /// Nothing about the record is doubted, so there is nothing to decide.
    NotDoubtful,
    /// A supervisor has decided; the first decision holds.
    AlreadyDecided,
    /// There is no such referral.
    ReferralUnknown,
    /// The referral has ended.
    ReferralClosed,
}

impl ElderYear {
    /// The id of an elder's year.
    #[must_use]
    pub fn id(elder: ElderId, day: LocalDay) -> String {
        format!("{elder}-{:04}", day.year())
    }

    /// The elder and the year of an id; none where it is no such id.
    #[must_use]
    pub fn of_id(id: &str) -> Option<(ElderId, i32)> {
        let (elder, year) = id.rsplit_once('-')?;
        Some((elder.parse().ok()?, year.parse().ok()?))
    }

    /// The result and the doubts of a record, as far as they are on record here.
    #[must_use]
    pub fn doubts(&self, record: Uuid) -> Option<(VisitResult, Set<Doubt>)> {
        self.records.get(&record).map(|standing| match *standing {
            Standing::Clear(result) => (result, Set::new()),
            Standing::Doubtful(result, doubts) | Standing::Decided(result, doubts) => {
                (result, doubts)
            }
        })
    }

    fn doubtful(&self, record: Uuid) -> Result<(), Refusal> {
        match self.records.get(&record) {
            None => Err(Refusal::RecordUnknown),
            Some(Standing::Clear(_)) => Err(Refusal::NotDoubtful),
            Some(Standing::Decided(..)) => Err(Refusal::AlreadyDecided),
            Some(Standing::Doubtful(..)) => Ok(()),
        }
    }

    fn open_referral(&self, referral: Uuid) -> Result<(), Refusal> {
        match self.referrals.get(&referral) {
            None => Err(Refusal::ReferralUnknown),
            Some(false) => Err(Refusal::ReferralClosed),
            Some(true) => Ok(()),
        }
    }
}

/// The id of a record's referral; the same for ever, so that a retry opens none twice.
fn referral(record: Uuid, nth: usize) -> Uuid {
    Uuid::new_v5(&record, format!("referral {nth}").as_bytes())
}

impl Decider for ElderYear {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Record { recorded, .. } if self.records.contains_key(&recorded.record) => {
                vec![]
            }
            Command::Record {
                recorded,
                doubts,
                findings,
            } => {
                let record = recorded.record;
                let mut events = vec![Event::Recorded(recorded.clone())];
                if !doubts.is_empty() {
                    events.push(Event::Doubted {
                        record,
                        doubts: *doubts,
                    });
                }
                let findings = findings.iter().enumerate();
                events.extend(findings.map(|(nth, finding)| Event::ReferralOpened {
                    referral: referral(record, nth),
                    record,
                    finding: finding.clone(),
                }));
                events
            }
            // A decision that came first holds.
            Command::Doubt { record, doubts } => match self.records.get(record) {
                None | Some(Standing::Decided(..)) => vec![],
                Some(Standing::Doubtful(_, known)) if doubts.is_subset(known) => vec![],
                Some(Standing::Clear(_) | Standing::Doubtful(..)) => vec![Event::Doubted {
                    record: *record,
                    doubts: *doubts,
                }],
            },
            Command::Confirm { record } => {
                self.doubtful(*record)?;
                vec![Event::Confirmed { record: *record }]
            }
            Command::Reject { record } => {
                self.doubtful(*record)?;
                vec![Event::Rejected { record: *record }]
            }
            Command::SettleMet { period, .. } if self.duties.contains_key(period) => vec![],
            Command::SettleMet {
                elder,
                period,
                record,
            } => vec![Event::DutyMet {
                elder: *elder,
                period: *period,
                record: *record,
                late: false,
            }],
            Command::SettleMissed(missed) if self.duties.contains_key(&missed.period) => vec![],
            Command::SettleMissed(missed) => vec![Event::Missed(missed.clone())],
            Command::MeetLate {
                elder,
                period,
                record,
            } => match self.duties.get(period) {
                Some(DutyOutcome::Missed) => vec![Event::DutyMet {
                    elder: *elder,
                    period: *period,
                    record: *record,
                    late: true,
                }],
                None | Some(DutyOutcome::Met | DutyOutcome::MetLate) => vec![],
            },
            Command::AnswerReferral {
                referral,
                department,
                answer,
            } => {
                self.open_referral(*referral)?;
                vec![Event::ReferralAnswered {
                    referral: *referral,
                    department: department.clone(),
                    answer: answer.clone(),
                }]
            }
            Command::CloseReferral { referral, outcome } => {
                self.open_referral(*referral)?;
                vec![Event::ReferralClosed {
                    referral: *referral,
                    outcome: *outcome,
                }]
            }
        })
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Recorded(recorded) => {
                let standing = Standing::Clear(recorded.result);
                self.records.insert(recorded.record, standing);
            }
            Event::Doubted { record, doubts } => {
                if let Some(standing) = self.records.get_mut(record) {
                    *standing = match *standing {
                        Standing::Clear(result) => Standing::Doubtful(result, *doubts),
                        Standing::Doubtful(result, known) => {
                            Standing::Doubtful(result, known.union(*doubts))
                        }
                        Standing::Decided(result, known) => {
                            Standing::Decided(result, known.union(*doubts))
                        }
                    };
                }
            }
            Event::Confirmed { record } | Event::Rejected { record } => {
                if let Some(standing) = self.records.get_mut(record) {
                    *standing = match *standing {
                        Standing::Clear(result) => Standing::Decided(result, Set::new()),
                        Standing::Doubtful(result, known) | Standing::Decided(result, known) => {
                            Standing::Decided(result, known)
                        }
                    };
                }
            }
            Event::DutyMet { period, late, .. } => {
                let outcome = if *late {
                    DutyOutcome::MetLate
                } else {
                    DutyOutcome::Met
                };
                self.duties.insert(*period, outcome);
            }
            Event::Missed(missed) => {
                self.duties.insert(missed.period, DutyOutcome::Missed);
            }
            Event::ReferralOpened { referral, .. } => {
                self.referrals.insert(*referral, true);
            }
            Event::ReferralAnswered { .. } => {}
            Event::ReferralClosed { referral, .. } => {
                self.referrals.insert(*referral, false);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
