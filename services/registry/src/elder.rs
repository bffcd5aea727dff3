//! An elder's file: opened once, changed by what is learned, closed by death or leaving, and erased on demand.
//!
//! Nothing here does I/O. Time is data: where a rule needs today, it arrives
//! inside the command. Personal data arrive sealed; where the content is the
//! same as before, the edge passes the envelope that the file holds already.

use std::borrow::Cow;

use civic::{ConsentState, ElderId, ElderStatus, HandicapGrade, LocalDay, Observation};
use decider::Decider;
use elders::{
    Elder, Event,
    event::{
        Capability, Circumstance, IdentityCorrected, Merge, ProfileUpdated, Registered, Residence,
        Spoken,
    },
};
use eventlog::{Aggregate, DecodeError, RawEvent};
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vault::Sealed;

/// The aggregate: one elder's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct File(pub elders::File);

/// What may be asked of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open it.
    Register(Box<Registered>),
    /// Replace a wrong name or ID number.
    CorrectIdentity(IdentityCorrected),
    /// The elder lives somewhere else.
    Relocate {
        /// Where.
        residence: Residence,
        /// From this day on.
        on: LocalDay,
    },
    /// Change categories, assistance, wanted services or remarks.
    UpdateProfile(ProfileUpdated),
    /// Record an assessment.
    RecordAssessment {
        /// The level, with its day.
        capability: Capability,
        /// The score sheet, when there is one.
        items: Option<Sealed<pb::AssessmentItems>>,
        /// Today.
        today: LocalDay,
    },
    /// Record the grade on the certificate.
    RecordHandicap {
        /// The grade; none when it was withdrawn.
        grade: Option<HandicapGrade>,
        /// From this day on.
        on: LocalDay,
    },
    /// Record something seen.
    RecordObservation {
        /// What.
        observation: Observation,
        /// From this day on.
        on: LocalDay,
    },
    /// What was seen no longer holds.
    EndObservation {
        /// What.
        observation: Observation,
        /// The first day without it.
        on: LocalDay,
    },
    /// Record a blow.
    RecordCircumstance(Circumstance),
    /// Give a circumstance its last day.
    EndCircumstance {
        /// Which.
        id: Uuid,
        /// Its last day.
        last_day: LocalDay,
    },
    /// Replace the contacts.
    SetContacts(Sealed<pb::ContactList>),
    /// Record what was said about home visits.
    RecordConsent {
        /// Granted or refused.
        state: ConsentState,
        /// By whom, and when.
        spoken: Spoken,
    },
    /// Record the death.
    RecordDeath {
        /// The day of death.
        on: LocalDay,
        /// Today.
        today: LocalDay,
    },
    /// Record that the elder left.
    RecordMoveOut {
        /// The first day away.
        on: LocalDay,
    },
    /// Make the file active again.
    Reinstate {
        /// The first day on which it is.
        on: LocalDay,
        /// Why, a code.
        reason: String,
    },
    /// Take over what a newer survey says, as one decision.
    Resurvey(Vec<Event>),
    /// Let another file stand for this one, or this one for another.
    Merge(Merge),
    /// Take a merge back.
    Unmerge(Merge),
    /// Destroy the personal data.
    Erase {
        /// The legal ground, a code.
        reason: String,
    },
}

/// Why a file refuses a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such elder.
    NotRegistered,
    /// The file is there already.
    AlreadyRegistered,
    /// The personal data are destroyed.
    Erased,
    /// Another file stands for this one.
    MergedInto(ElderId),
    /// The day lies in the future.
    InFuture(&'static str),
    /// The day lies before the elder's birth.
    BeforeBirth(&'static str),
    /// The elder is dead since an earlier day, or on the day.
    Deceased,
    /// The file is active on that day.
    NotClosed,
    /// The file was closed on a later day, which would prevail.
    ClosedLater,
    /// The file has no such circumstance.
    UnknownCircumstance,
    /// The last day lies before the first.
    LastDayBeforeFirst,
    /// A file cannot be merged with itself.
    MergeWithItself,
    /// The two files are not merged in this way.
    NotMerged,
}

impl Decider for File {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let elder = match (&self.0, command) {
            (elders::File::Absent, Command::Register(registered)) => {
                nothing_before_birth(registered)?;
                return Ok(vec![Event::Registered(registered.clone())]);
            }
            (elders::File::Absent, _) => return Err(Refusal::NotRegistered),
            (elders::File::Open(_), Command::Register(_)) => {
                return Err(Refusal::AlreadyRegistered);
            }
            // Erasing twice is no error: what was asked for holds.
            (elders::File::Erased, Command::Erase { .. }) => return Ok(Vec::new()),
            (elders::File::Erased, _) => return Err(Refusal::Erased),
            (elders::File::Open(elder), _) => elder,
        };
        let events = events_of(elder, command)?;
        Ok(without_what_is_known(elder, events))
    }

    fn evolve(self, event: &Event) -> Self {
        Self(self.0.evolve(event))
    }
}

impl Aggregate for File {
    const CONTEXT: &'static str = "registry";
    const NAME: &'static str = "elder";

    fn encode(event: &Event) -> RawEvent {
        elders::codec::encode(event)
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        elders::codec::decode(raw)
    }
}

fn events_of(elder: &Elder, command: &Command) -> Result<Vec<Event>, Refusal> {
    if let Some(event) = merging(elder, command)? {
        return Ok(vec![event]);
    }
    if let Some(surviving) = elder.merged_into
        && !matches!(command, Command::Erase { .. })
    {
        return Err(Refusal::MergedInto(surviving));
    }
    let lived = |field, day| not_before(elder.facts.birth_date(), field, day);
    Ok(match command {
        Command::CorrectIdentity(corrected) => vec![Event::IdentityCorrected(corrected.clone())],
        Command::Relocate { residence, on } => {
            lived("on", *on)?;
            vec![Event::Relocated(residence.clone(), *on)]
        }
        Command::UpdateProfile(update) => {
            if let Some(on) = update.on {
                lived("on", on)?;
            }
            vec![Event::ProfileUpdated(update.clone())]
        }
        Command::RecordAssessment {
            capability,
            items,
            today,
        } => {
            if let Some(assessed_on) = capability.assessed_on {
                not_after(*today, "assessed_on", assessed_on)?;
                lived("assessed_on", assessed_on)?;
            }
            vec![Event::CapabilityAssessed(capability.clone(), items.clone())]
        }
        Command::RecordHandicap { grade, on } => {
            lived("on", *on)?;
            vec![Event::HandicapRecorded {
                grade: *grade,
                on: Some(*on),
            }]
        }
        Command::RecordObservation { observation, on } => {
            lived("on", *on)?;
            vec![Event::ObservationRecorded {
                observation: *observation,
                on: Some(*on),
            }]
        }
        Command::EndObservation { observation, on } => {
            lived("on", *on)?;
            vec![Event::ObservationEnded {
                observation: *observation,
                on: *on,
            }]
        }
        Command::RecordCircumstance(circumstance) => {
            lived("circumstance.first_day", circumstance.first_day)?;
            record_circumstance(elder, circumstance)?
        }
        Command::EndCircumstance { id, last_day } => {
            let circumstance = elder
                .facts
                .circumstances()
                .iter()
                .find(|circumstance| circumstance.id == *id)
                .ok_or(Refusal::UnknownCircumstance)?;
            if *last_day < circumstance.first_day {
                return Err(Refusal::LastDayBeforeFirst);
            }
            vec![Event::CircumstanceEnded {
                id: *id,
                last_day: *last_day,
            }]
        }
        Command::SetContacts(contacts) => vec![Event::ContactsSet(contacts.clone())],
        Command::RecordConsent { state, spoken } => {
            if let Some(at) = spoken.at {
                lived("at", LocalDay::of(at))?;
            }
            consent(elder, *state, *spoken).into_iter().collect()
        }
        Command::RecordDeath { on, today } => {
            not_after(*today, "on", *on)?;
            lived("on", *on)?;
            // An earlier day of death corrects a later one. A later day would
            // leave the earlier one standing: the file is reinstated first.
            let died = elder
                .facts
                .status()
                .iter()
                .find(|(_, status)| **status == ElderStatus::Deceased);
            if elder.facts.on(*on).status == ElderStatus::Deceased
                && died.is_some_and(|(day, _)| day < Some(*on))
            {
                return Err(Refusal::Deceased);
            }
            vec![Event::Died { on: *on }]
        }
        Command::RecordMoveOut { on } => {
            lived("on", *on)?;
            if elder.facts.on(*on).status == ElderStatus::Deceased {
                return Err(Refusal::Deceased);
            }
            vec![Event::MovedOut { on: *on }]
        }
        Command::Reinstate { on, reason } => {
            lived("on", *on)?;
            if elder.facts.on(*on).status == ElderStatus::Active {
                return Err(if elder.facts.status().changes_after(*on).is_some() {
                    Refusal::ClosedLater
                } else {
                    Refusal::NotClosed
                });
            }
            vec![Event::Reinstated {
                on: *on,
                reason: reason.clone(),
            }]
        }
        Command::Resurvey(events) => events.clone(),
        Command::Erase { reason } => vec![Event::Erased {
            reason: reason.clone(),
        }],
        // Answered before an open file is looked at.
        Command::Register(_) => return Err(Refusal::AlreadyRegistered),
        Command::Merge(_) | Command::Unmerge(_) => return Err(Refusal::NotMerged),
    })
}

fn merging(elder: &Elder, command: &Command) -> Result<Option<Event>, Refusal> {
    match command {
        Command::Merge(merge) if merge.surviving == merge.merged => Err(Refusal::MergeWithItself),
        Command::Merge(merge) => match elder.merged_into {
            // Merged in this very way: what was asked for holds.
            Some(surviving) if surviving == merge.surviving && elder.id == merge.merged => {
                Ok(Some(Event::Merged(merge.clone())))
            }
            Some(surviving) => Err(Refusal::MergedInto(surviving)),
            None if elder.id == merge.merged || elder.id == merge.surviving => {
                Ok(Some(Event::Merged(merge.clone())))
            }
            None => Err(Refusal::NotMerged),
        },
        Command::Unmerge(merge) => {
            let merged_so = if elder.id == merge.merged {
                elder.merged_into == Some(merge.surviving)
            } else {
                elder.id == merge.surviving && elder.absorbed.contains(&merge.merged)
            };
            if merged_so {
                Ok(Some(Event::Unmerged(merge.clone())))
            } else {
                Err(Refusal::NotMerged)
            }
        }
        Command::Register(_)
        | Command::CorrectIdentity(_)
        | Command::Relocate { .. }
        | Command::UpdateProfile(_)
        | Command::RecordAssessment { .. }
        | Command::RecordHandicap { .. }
        | Command::RecordObservation { .. }
        | Command::EndObservation { .. }
        | Command::RecordCircumstance(_)
        | Command::EndCircumstance { .. }
        | Command::SetContacts(_)
        | Command::RecordConsent { .. }
        | Command::RecordDeath { .. }
        | Command::RecordMoveOut { .. }
        | Command::Reinstate { .. }
        | Command::Resurvey(_)
        | Command::Erase { .. } => Ok(None),
    }
}

fn record_circumstance(elder: &Elder, circumstance: &Circumstance) -> Result<Vec<Event>, Refusal> {
    if circumstance
        .last_day
        .is_some_and(|last| last < circumstance.first_day)
    {
        return Err(Refusal::LastDayBeforeFirst);
    }
    let known = elder.facts.circumstances().iter().any(|one| {
        one.id == circumstance.id
            || (one.kind, one.first_day, one.last_day)
                == (
                    circumstance.kind,
                    circumstance.first_day,
                    circumstance.last_day,
                )
    });
    Ok(if known {
        Vec::new()
    } else {
        vec![Event::CircumstanceRecorded(circumstance.clone())]
    })
}

/// A refusal of what was granted before is a withdrawal.
fn consent(elder: &Elder, state: ConsentState, spoken: Spoken) -> Option<Event> {
    match state {
        ConsentState::Unknown => None,
        ConsentState::Granted => Some(Event::ConsentGranted(spoken)),
        ConsentState::Refused => {
            let granted = spoken
                .at
                .is_some_and(|at| elder.facts.consent_at(at).state == ConsentState::Granted);
            Some(if granted {
                Event::ConsentWithdrawn(spoken)
            } else {
                Event::ConsentRefused(spoken)
            })
        }
    }
}

/// Drops what would leave the file as it is, whole events and parts of a profile: what it says already is not written
/// again. A fact that holds on its day since an earlier one is not known by that: said again from a later day, it stands
/// against what is yet recorded for the days between (domain section 2, of two facts the later day prevails).
fn without_what_is_known(elder: &Elder, events: Vec<Event>) -> Vec<Event> {
    let mut now = Cow::Borrowed(elder);
    let mut changes = |event: &Event| {
        if matches!(event, Event::Erased { .. }) {
            return true;
        }
        let mut after = Elder::clone(&now);
        after.apply(event);
        let changes = after != *now;
        now = Cow::Owned(after);
        changes
    };
    events
        .into_iter()
        .filter_map(|event| {
            if let Event::ProfileUpdated(update) = event {
                let mut part = |part: ProfileUpdated| {
                    let event = Event::ProfileUpdated(ProfileUpdated {
                        on: update.on,
                        ..part
                    });
                    changes(&event)
                };
                let news = ProfileUpdated {
                    on: update.on,
                    categories: update.categories.filter(|set| {
                        part(ProfileUpdated {
                            categories: Some(*set),
                            ..ProfileUpdated::default()
                        })
                    }),
                    assistance: update.assistance.filter(|set| {
                        part(ProfileUpdated {
                            assistance: Some(*set),
                            ..ProfileUpdated::default()
                        })
                    }),
                    wanted_services: update.wanted_services.filter(|set| {
                        part(ProfileUpdated {
                            wanted_services: Some(*set),
                            ..ProfileUpdated::default()
                        })
                    }),
                    remarks: update.remarks.clone().filter(|remarks| {
                        part(ProfileUpdated {
                            remarks: Some(remarks.clone()),
                            ..ProfileUpdated::default()
                        })
                    }),
                };
                let nothing = ProfileUpdated {
                    on: update.on,
                    ..ProfileUpdated::default()
                };
                return (news != nothing).then_some(Event::ProfileUpdated(news));
            }
            changes(&event).then_some(event)
        })
        .collect()
}

/// Refuses a registration with a fact that bears a day before the elder's birth.
fn nothing_before_birth(registered: &Registered) -> Result<(), Refusal> {
    let lived = |field, day| not_before(registered.birth_date, field, day);
    if let Some(assessed_on) = registered.capability.assessed_on {
        lived("capability.assessed_on", assessed_on)?;
    }
    for circumstance in &registered.circumstances {
        lived("circumstances.first_day", circumstance.first_day)?;
    }
    if let Some(at) = registered.consent.spoken.at {
        lived("consent.at", LocalDay::of(at))?;
    }
    Ok(())
}

fn not_before(birth: LocalDay, field: &'static str, day: LocalDay) -> Result<(), Refusal> {
    if day < birth {
        Err(Refusal::BeforeBirth(field))
    } else {
        Ok(())
    }
}

fn not_after(today: LocalDay, field: &'static str, day: LocalDay) -> Result<(), Refusal> {
    if day > today {
        Err(Refusal::InFuture(field))
    } else {
        Ok(())
    }
}
