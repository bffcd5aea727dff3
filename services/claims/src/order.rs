//! A service order and its appeal (服务工单, 申诉). What the adjudicator says of it stands in its runs ([`crate::adjudication`]).

use chrono::{DateTime, Utc};
use civic::{ElderId, Fen, LocalDay, NotSettledReason, OrderCode, Set, VillageCode};
use decider::Decider;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

use crate::adjudication::Served;
use crate::judging::{Evidence, JudgedFacts};

/// The namespace of orders' keys; it never changes.
const ORDERS: Uuid = Uuid::from_u128(0x51d2_0c3e_97b4_4f0a_8a6b_1d94_e2f7_3c58);

/// The key of an order: made of its provider and the number that the provider gave it.
#[must_use]
pub fn key(provider: &str, order: &str) -> Uuid {
    // A provider's id holds no newline.
    Uuid::new_v5(&ORDERS, format!("{provider}\n{order}").as_bytes())
}

/// An order as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What is known of it since it was handed in; none before.
    pub brief: Option<Brief>,
    /// The appeal.
    pub appeal: Appeal,
    /// Nobody appealed within the limit.
    pub expired: bool,
}

/// What an order's decisions need to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// The elder.
    pub elder: ElderId,
    /// The village.
    pub village: VillageCode,
    /// Who handed it in.
    pub submitted_by: String,
    /// The last day for an appeal.
    pub appeal_until: LocalDay,
}

/// How far an appeal has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Appeal {
    /// There is none.
    #[default]
    None,
    /// It waits for a reviewer.
    Filed {
        /// Who filed it.
        by: String,
    },
    /// Somebody has decided.
    Decided {
        /// How.
        accepted: bool,
    },
}

/// An order as it was handed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    /// The provider.
    pub provider: String,
    /// The provider's number of it.
    pub number: String,
    /// The programme.
    pub programme: String,
    /// The version that holds on the service day; 0: none.
    pub version: u32,
    /// The elder.
    pub elder: ElderId,
    /// The caregiver.
    pub caregiver: Uuid,
    /// The beginning.
    pub check_in_at: DateTime<Utc>,
    /// The end.
    pub check_out_at: DateTime<Utc>,
    /// Where it began.
    pub check_in: Sealed<pb::CheckInPlace>,
    /// What was done.
    pub items: Vec<String>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What content and facts say.
    pub codes: Set<OrderCode>,
    /// The facts.
    pub facts: JudgedFacts,
    /// Where the elder lived on the service day.
    pub village: VillageCode,
    /// What approving it takes of the year's entitlement.
    pub units: i64,
    /// What approving it costs.
    pub amount: Fen,
    /// Who handed it in.
    pub submitted_by: String,
    /// The last day for an appeal.
    pub appeal_until: LocalDay,
    /// The entitlement of a calendar year.
    pub units_a_year: i64,
}

impl Submitted {
    /// The order's key.
    #[must_use]
    pub fn key(&self) -> Uuid {
        key(&self.provider, &self.number)
    }

    /// The service day.
    #[must_use]
    pub fn day(&self) -> LocalDay {
        LocalDay::of(self.check_in_at)
    }

    /// What registers are asked about.
    #[must_use]
    pub fn served(&self) -> Served {
        Served {
            programme: self.programme.clone(),
            provider: self.provider.clone(),
            elder: self.elder,
            caregiver: self.caregiver,
            day: self.day(),
        }
    }
}

/// What is asked of an order.
#[derive(Clone, Debug)]
pub enum Command {
    /// Hand it in.
    Submit(Box<Submitted>),
    /// Appeal against it.
    Appeal {
        /// Whether the adjudicator held it to be abnormal.
        abnormal: bool,
        /// Today.
        today: LocalDay,
        /// Who asks.
        by: String,
        /// What is said.
        statement: Sealed<pb::AppealStatement>,
        /// What shows it.
        evidence: Vec<Evidence>,
    },
    /// Decide the appeal.
    Decide {
        /// Whether it is accepted.
        accept: bool,
        /// Who decides.
        by: String,
        /// The order's key.
        key: Uuid,
    },
    /// The limit for appeals against an abnormal order has passed.
    Expire {
        /// Today.
        today: LocalDay,
        /// The order's key.
        key: Uuid,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It was handed in.
    Submitted(Box<Submitted>),
    /// Its provider appeals.
    AppealFiled {
        /// What is said.
        statement: Sealed<pb::AppealStatement>,
        /// What shows it.
        evidence: Vec<Evidence>,
        /// Who filed it.
        by: String,
    },
    /// A reviewer accepts.
    AppealAccepted {
        /// Who.
        by: String,
    },
    /// A reviewer refuses.
    AppealRefused {
        /// Who.
        by: String,
    },
    /// It is never paid.
    NotSettled {
        /// The order's key.
        key: Uuid,
        /// Why.
        reason: NotSettledReason,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such order.
    Unknown,
    /// The number stands for another order.
    AlreadySubmitted,
    /// It is not abnormal.
    NotAbnormal,
    /// There was an appeal already.
    AlreadyAppealed,
    /// The limit has passed.
    TooLate,
    /// There is no appeal to decide.
    NotAppealed,
    /// Somebody has decided already.
    AlreadyDecided,
    /// Whoever handed the order in, or filed the appeal, does not decide on it.
    SamePerson,
}

impl Decider for Order {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Some(brief) = &self.brief else {
            return match command {
                Command::Submit(submitted) => Ok(vec![Event::Submitted(submitted.clone())]),
                Command::Appeal { .. } | Command::Decide { .. } | Command::Expire { .. } => {
                    Err(Refusal::Unknown)
                }
            };
        };
        match command {
            Command::Submit(_) => Err(Refusal::AlreadySubmitted),
            Command::Appeal {
                abnormal,
                today,
                by,
                statement,
                evidence,
            } => {
                if !abnormal {
                    return Err(Refusal::NotAbnormal);
                }
                match &self.appeal {
                    Appeal::None if self.expired || *today > brief.appeal_until => {
                        Err(Refusal::TooLate)
                    }
                    Appeal::None => Ok(vec![Event::AppealFiled {
                        statement: statement.clone(),
                        evidence: evidence.clone(),
                        by: by.clone(),
                    }]),
                    Appeal::Filed { .. } | Appeal::Decided { .. } => Err(Refusal::AlreadyAppealed),
                }
            }
            Command::Decide { accept, by, key } => match &self.appeal {
                Appeal::None => Err(Refusal::NotAppealed),
                Appeal::Decided { .. } => Err(Refusal::AlreadyDecided),
                Appeal::Filed { by: filed_by } if filed_by == by || brief.submitted_by == *by => {
                    Err(Refusal::SamePerson)
                }
                Appeal::Filed { .. } if *accept => {
                    Ok(vec![Event::AppealAccepted { by: by.clone() }])
                }
                Appeal::Filed { .. } => Ok(vec![
                    Event::AppealRefused { by: by.clone() },
                    Event::NotSettled {
                        key: *key,
                        reason: NotSettledReason::AppealRefused,
                    },
                ]),
            },
            Command::Expire { today, key } => {
                if self.appeal != Appeal::None || self.expired || *today <= brief.appeal_until {
                    return Ok(vec![]);
                }
                Ok(vec![Event::NotSettled {
                    key: *key,
                    reason: NotSettledReason::NoAppeal,
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Submitted(submitted) => {
                self.brief = Some(Brief {
                    elder: submitted.elder,
                    village: submitted.village,
                    submitted_by: submitted.submitted_by.clone(),
                    appeal_until: submitted.appeal_until,
                });
            }
            Event::AppealFiled { by, .. } => self.appeal = Appeal::Filed { by: by.clone() },
            Event::AppealAccepted { .. } => self.appeal = Appeal::Decided { accepted: true },
            Event::AppealRefused { .. } => self.appeal = Appeal::Decided { accepted: false },
            Event::NotSettled { reason, .. } => {
                self.expired |= *reason == NotSettledReason::NoAppeal;
            }
        }
        self
    }
}
