//! Who was told of the alerts of a line, by which channel, and with what result: each attempt is on record.
//!
//! Rule: section 4, "Life": each attempt to tell somebody is an event.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use civic::{NoticeChannel, RecipientRole};
use decider::Decider;
use uuid::Uuid;

/// The notices of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// How far each has come.
    told: BTreeMap<Uuid, Told>,
    /// Who was told of which level of which alert.
    reached: BTreeSet<(Uuid, u8, Uuid)>,
}

/// How far a notice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many attempts were made.
    pub attempts: u32,
    /// Whether no more is to be tried: it was sent, or given up.
    pub over: bool,
    /// When the last of them was made: where it is over, since when.
    pub at: DateTime<Utc>,
}

/// An attempt to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The notice: the same for each attempt.
    pub notice: Uuid,
    /// The alert.
    pub alert: Uuid,
    /// Of which level.
    pub level: u8,
    /// Who.
    pub recipient: Uuid,
    /// As what.
    pub role: RecipientRole,
    /// How.
    pub channel: NoticeChannel,
    /// The number of the attempt, from 1 on.
    pub number: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// How many alerts were told of in this one notice.
    pub alerts: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody was told, as far as the channel can know.
    Sent {
        /// The receiver's own id of it.
        reference: Option<String>,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
        /// Whether no more is to be tried.
        given_up: bool,
    },
}

impl Outcome {
    /// Whether no more is to be tried after it.
    pub(crate) fn is_the_end(&self) -> bool {
        match self {
            Self::Sent { .. } => true,
            Self::Failed { given_up, .. } => *given_up,
        }
    }
}

impl Notices {
    /// How far a notice has come.
    #[must_use]
    pub fn of(&self, notice: Uuid) -> Option<Told> {
        self.told.get(&notice).copied()
    }

    /// Since when no more is to be tried of any of these notices; none where of one there is, or there are no notices.
    pub(crate) fn ended(&self, notices: impl IntoIterator<Item = Uuid>) -> Option<DateTime<Utc>> {
        let ends = notices.into_iter().map(|notice| {
            let told = self.of(notice)?;
            told.over.then_some(told.at)
        });
        let ends: Option<Vec<DateTime<Utc>>> = ends.collect();
        ends?.into_iter().max()
    }

    /// Whether a recipient was told of a level of an alert, by whichever notice.
    #[must_use]
    pub fn has_told(&self, alert: Uuid, level: u8, recipient: Uuid) -> bool {
        self.reached.contains(&(alert, level, recipient))
    }
}

impl Decider for Notices {
    type Command = Attempt;
    type Event = Attempt;
    type Refusal = std::convert::Infallible;

    /// What came after the end of a notice is not recorded: two processes may have told for a moment.
    fn decide(&self, command: &Attempt) -> Result<Vec<Attempt>, Self::Refusal> {
        let over = self.of(command.notice).is_some_and(|told| told.over);
        Ok(if over { vec![] } else { vec![command.clone()] })
    }

    fn evolve(mut self, event: &Attempt) -> Self {
        let told = self.told.entry(event.notice).or_insert(Told {
            attempts: 0,
            over: false,
            at: event.at,
        });
        told.attempts = told.attempts.max(event.number);
        if !told.over {
            told.at = event.at;
        }
        told.over |= event.outcome.is_the_end();
        if let Outcome::Sent { .. } = event.outcome {
            let reached = (event.alert, event.level, event.recipient);
            self.reached.insert(reached);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use decider::testing::{given, given_nothing};

    use super::*;

    fn attempt(number: u32, outcome: Outcome) -> Attempt {
        Attempt {
            notice: Uuid::from_u128(1),
            alert: Uuid::from_u128(2),
            level: 0,
            recipient: Uuid::from_u128(3),
            role: RecipientRole::DutyCentre,
            channel: NoticeChannel::Voice,
            number,
            at: DateTime::UNIX_EPOCH,
            alerts: 1,
            outcome,
        }
    }

    #[test]
    fn each_attempt_is_on_record_until_one_succeeds() {
        let failed = |given_up| Outcome::Failed {
            reason: "TIMEOUT".to_owned(),
            given_up,
        };
        let sent = || Outcome::Sent { reference: None };
        given_nothing::<Notices>()
            .when(attempt(1, failed(false)))
            .then([attempt(1, failed(false))]);
        given::<Notices>([attempt(1, failed(false))])
            .when(attempt(2, sent()))
            .then([attempt(2, sent())]);
        given::<Notices>([attempt(1, sent())])
            .when(attempt(2, sent()))
            .then_nothing();
        given::<Notices>([attempt(1, failed(true))])
            .when(attempt(2, sent()))
            .then_nothing();
    }

    #[test]
    fn a_level_has_ended_once_nothing_more_is_to_be_tried_of_any_of_its_notices() {
        let failed = |given_up| Outcome::Failed {
            reason: "NOBODY_REGISTERED".to_owned(),
            given_up,
        };
        let at = |minute: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let of = |notice: u128, minute: i64, attempt: Attempt| Attempt {
            notice: Uuid::from_u128(notice),
            at: at(minute),
            ..attempt
        };
        let [one, two, unheard] = [1, 2, 3].map(Uuid::from_u128);
        let notices = [
            of(1, 1, attempt(1, failed(false))),
            of(1, 2, attempt(2, failed(true))),
            of(2, 3, attempt(1, failed(false))),
        ];
        let notices = notices.iter().fold(Notices::default(), Decider::evolve);
        assert_eq!(notices.ended([one]), Some(at(2)));
        assert_eq!(notices.ended([one, two]), None);
        assert_eq!(notices.ended([one, unheard]), None);
        assert_eq!(notices.ended([]), None, "there is nobody to be told");
        let sent = of(2, 4, attempt(2, Outcome::Sent { reference: None }));
        assert_eq!(notices.evolve(&sent).ended([two, one]), Some(at(4)));
    }
}
