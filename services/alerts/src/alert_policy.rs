//! By which thresholds alerts are raised, and who is told after how long, in each division.
//!
//! Rule: section 4, both tables; the defaults are theirs.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, DivisionCode, LocalDay, NoticeChannel, RecipientRole, Set, Severity, VillageCode,
};

/// Thresholds, delays, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// After so long without water a home is inactive.
    pub inactive_after: TimeDelta,
    /// A meter from which nothing came for longer is not heard: nobody knows whether water ran.
    pub unheard_after: TimeDelta,
    /// After so long without any signal a device is off line.
    pub offline_after: TimeDelta,
    /// The levels of a critical alert, from the alert's time on.
    pub critical: Vec<Level>,
    /// The same of a high one.
    pub high: Vec<Level>,
    /// The levels of a missed visit, from [`AlertPolicy::notice_minute`] on.
    pub notice: Vec<Level>,
    /// At which minute of the day after the period a missed visit is told.
    pub notice_minute: u16,
    /// How long low alerts are gathered before their maintainer is told of all of a village at once.
    pub gather_low: TimeDelta,
    /// How emergency contacts are told: the first, and the next where it fails.
    pub contact_channels: Vec<NoticeChannel>,
}

/// Who is told when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// How long after the beginning.
    pub after: TimeDelta,
    /// Who.
    pub roles: Set<RecipientRole>,
}

/// When a level of an alert is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelDue {
    /// Which, from 0 on.
    pub level: u8,
    /// When, unless somebody takes the alert on before.
    pub at: DateTime<Utc>,
    /// Who is told then.
    pub roles: Set<RecipientRole>,
}

/// What is wrong with a policy, and in which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// Why it can't be.
    pub reason: Why,
}

/// Why a policy can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A delay or threshold lies outside what makes sense.
    OutOfRange,
    /// There are no levels, or more than 8.
    LevelCount,
    /// The first level is not at once.
    FirstNotAtOnce,
    /// A level is not later than the one before.
    NotLater,
    /// A level tells nobody.
    NobodyTold,
    /// Somebody whom the rule has told is not told: contacts or duty centre at first, the duty centre at last.
    SomebodyMissing,
    /// Somebody is told whom that is no business of.
    NotTheirs,
    /// Contacts can't be told so.
    ChannelUnsuitable,
}

/// The most levels.
const MOST_LEVELS: usize = 8;
/// The longest delay of a level.
const LONGEST: TimeDelta = TimeDelta::days(7);

impl Default for AlertPolicy {
    fn default() -> Self {
        use RecipientRole::{DutyCentre, EmergencyContact, GridWorker, Town, VillageCommittee};
        let level = |minutes, roles| Level {
            after: TimeDelta::minutes(minutes),
            roles,
        };
        let village = Set::from([GridWorker, VillageCommittee]);
        Self {
            inactive_after: TimeDelta::hours(12),
            unheard_after: TimeDelta::hours(2),
            offline_after: TimeDelta::hours(24),
            critical: vec![
                level(0, Set::from([EmergencyContact, DutyCentre])),
                level(2, village),
                level(5, DutyCentre.into()),
            ],
            high: vec![
                level(0, EmergencyContact.into()),
                level(15, village),
                level(60, DutyCentre.into()),
            ],
            notice: vec![
                level(0, VillageCommittee.into()),
                level(24 * 60, Town.into()),
            ],
            notice_minute: 8 * 60 + 30,
            gather_low: TimeDelta::minutes(1),
            contact_channels: vec![NoticeChannel::Voice, NoticeChannel::Sms],
        }
    }
}

impl AlertPolicy {
    /// When the levels of an alert are reached; none where it has none: what is low goes to the device's maintainer.
    ///
    /// A fire service's call record belongs to the first level of fire and gas, whatever the policy says.
    #[must_use]
    pub fn levels(&self, kind: AlertKind, raised_at: DateTime<Utc>) -> Vec<LevelDue> {
        let (levels, from) = match kind.severity() {
            Severity::Critical => (&self.critical, raised_at),
            Severity::High => (&self.high, raised_at),
            Severity::Notice => (&self.notice, self.notice_time(raised_at)),
            Severity::Low => return Vec::new(),
        };
        let due = levels.iter().zip(0..).map(|(one, level)| LevelDue {
            level,
            at: from + one.after,
            roles: match (level, kind) {
                (0, AlertKind::Fire | AlertKind::GasLeak) => {
                    one.roles.union(RecipientRole::FireService.into())
                }
                _ => one.roles,
            },
        });
        due.collect()
    }

    /// The first time of telling at or after the end of the period.
    fn notice_time(&self, ended_at: DateTime<Utc>) -> DateTime<Utc> {
        let day = LocalDay::of(ended_at);
        let on = |day: LocalDay| day.start() + TimeDelta::minutes(self.notice_minute.into());
        if on(day) < ended_at {
            on(day.next())
        } else {
            on(day)
        }
    }

    /// What is wrong with it, the first thing only.
    ///
    /// # Errors
    /// The fault.
    pub fn check(&self) -> Result<(), Fault> {
        let within = |field, value: TimeDelta, least, most| {
            fault((least..=most).contains(&value), field, Why::OutOfRange)
        };
        let hours = TimeDelta::hours;
        within("inactive_after", self.inactive_after, hours(1), hours(72))?;
        within(
            "unheard_after",
            self.unheard_after,
            TimeDelta::minutes(10),
            hours(24),
        )?;
        within("offline_after", self.offline_after, hours(1), hours(168))?;
        within("gather_low", self.gather_low, TimeDelta::zero(), hours(1))?;
        fault(
            self.notice_minute < 24 * 60,
            "notice_minute",
            Why::OutOfRange,
        )?;

        use RecipientRole::{DutyCentre, EmergencyContact, Town, VillageCommittee};
        let first = Set::from([EmergencyContact, DutyCentre]);
        check_levels("critical", &self.critical, first, DutyCentre.into())?;
        check_levels(
            "high",
            &self.high,
            EmergencyContact.into(),
            DutyCentre.into(),
        )?;
        check_levels("notice", &self.notice, VillageCommittee.into(), Set::EMPTY)?;
        let theirs = Set::from([VillageCommittee, Town, RecipientRole::GridWorker]);
        let all_theirs = self
            .notice
            .iter()
            .all(|level| level.roles.is_subset(&theirs));
        fault(all_theirs, "notice", Why::NotTheirs)?;
        let suits = |channel: &NoticeChannel| {
            matches!(
                channel,
                NoticeChannel::Sms | NoticeChannel::Voice | NoticeChannel::Log
            )
        };
        let channels = &self.contact_channels;
        fault(
            !channels.is_empty() && channels.iter().all(suits),
            "contact_channels",
            Why::ChannelUnsuitable,
        )
    }
}

fn check_levels(
    field: &'static str,
    levels: &[Level],
    first: Set<RecipientRole>,
    last: Set<RecipientRole>,
) -> Result<(), Fault> {
    let (Some(at_first), Some(at_last)) = (levels.first(), levels.last()) else {
        return fault(false, field, Why::LevelCount);
    };
    fault(levels.len() <= MOST_LEVELS, field, Why::LevelCount)?;
    fault(at_first.after.is_zero(), field, Why::FirstNotAtOnce)?;
    fault(at_last.after <= LONGEST, field, Why::OutOfRange)?;
    let later = levels.windows(2).all(|pair| pair[0].after < pair[1].after);
    fault(later, field, Why::NotLater)?;
    let told = levels.iter().all(|level| !level.roles.is_empty());
    fault(told, field, Why::NobodyTold)?;
    // Low alerts alone go to maintainers; what is recorded for 119 follows from the kind.
    let nobodys = Set::from([RecipientRole::Maintainer, RecipientRole::FireService]);
    let theirs = |level: &Level| level.roles.intersection(nobodys).is_empty();
    fault(levels.iter().all(theirs), field, Why::NotTheirs)?;
    let missing = first.is_subset(&at_first.roles) && last.is_subset(&at_last.roles);
    fault(missing, field, Why::SomebodyMissing)
}

fn fault(holds: bool, field: &'static str, reason: Why) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault { field, reason })
    }
}

/// Which policy holds where: that of the smallest division around a place which has one of its own.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    own: AlertPolicy,
    published: HashMap<DivisionCode, AlertPolicy>,
}

impl Policies {
    /// A policy holds for a division from now on.
    pub fn publish(&mut self, division: DivisionCode, policy: AlertPolicy) {
        self.published.insert(division, policy);
    }

    /// Those that were published, by division.
    pub fn published(&self) -> impl Iterator<Item = (&DivisionCode, &AlertPolicy)> {
        self.published.iter()
    }

    /// The policy that holds in a village; the system's own where none was published, or nobody knows where that is.
    #[must_use]
    pub fn of(&self, village: Option<&VillageCode>) -> &AlertPolicy {
        match village {
            Some(village) if !self.published.is_empty() => self.of_division(&village.division()).0,
            Some(_) | None => &self.own,
        }
    }

    /// The policy that holds in a division, and for which division it was published.
    #[must_use]
    pub fn of_division(&self, division: &DivisionCode) -> (&AlertPolicy, Option<DivisionCode>) {
        let found = division
            .upwards()
            .find_map(|code| Some((self.published.get(&code)?, Some(code))));
        found.unwrap_or((&self.own, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_missed_visit_is_told_at_half_past_eight_and_a_day_later() {
        // The week ends at midnight from Sunday to Monday.
        let ended = at("2024-11-11T00:00:00+08:00");
        let due = AlertPolicy::default().levels(AlertKind::VisitMissed, ended);
        let times: Vec<_> = due.iter().map(|level| level.at).collect();
        assert_eq!(
            times,
            [
                at("2024-11-11T08:30:00+08:00"),
                at("2024-11-12T08:30:00+08:00")
            ]
        );
        assert_eq!(due[0].roles, RecipientRole::VillageCommittee.into());
        assert_eq!(due[1].roles, RecipientRole::Town.into());
    }

    #[test]
    fn fire_and_gas_make_a_call_record_at_the_first_level() {
        let policy = AlertPolicy::default();
        let roles =
            |kind, level: usize| policy.levels(kind, at("2024-11-11T00:00:00Z"))[level].roles;
        for kind in [AlertKind::Fire, AlertKind::GasLeak] {
            assert!(roles(kind, 0).contains(RecipientRole::FireService));
            assert!(!roles(kind, 1).contains(RecipientRole::FireService));
        }
        assert!(!roles(AlertKind::Sos, 0).contains(RecipientRole::FireService));
    }

    #[test]
    fn what_is_low_has_no_levels() {
        let policy = AlertPolicy::default();
        let levels = policy.levels(AlertKind::DeviceOffline, at("2024-11-11T00:00:00Z"));
        assert_eq!(levels, []);
    }

    #[test]
    fn the_systems_own_policy_is_one() {
        assert_eq!(AlertPolicy::default().check(), Ok(()));
    }

    #[test]
    fn a_policy_that_tells_nobody_in_time_is_none() {
        let changed = |change: fn(&mut AlertPolicy)| {
            let mut policy = AlertPolicy::default();
            change(&mut policy);
            policy.check().unwrap_err()
        };
        let fault = |field, reason| Fault { field, reason };
        assert_eq!(
            changed(|policy| policy.inactive_after = TimeDelta::minutes(59)),
            fault("inactive_after", Why::OutOfRange)
        );
        assert_eq!(
            changed(|policy| policy.critical.clear()),
            fault("critical", Why::LevelCount)
        );
        assert_eq!(
            changed(|policy| policy.critical[0].after = TimeDelta::minutes(1)),
            fault("critical", Why::FirstNotAtOnce)
        );
        assert_eq!(
            changed(|policy| policy.high[2].after = policy.high[1].after),
            fault("high", Why::NotLater)
        );
        assert_eq!(
            changed(|policy| policy.high[1].roles = Set::EMPTY),
            fault("high", Why::NobodyTold)
        );
        assert_eq!(
            changed(|policy| policy.critical[0].roles = RecipientRole::DutyCentre.into()),
            fault("critical", Why::SomebodyMissing)
        );
        assert_eq!(
            changed(|policy| {
                policy.critical.pop();
            }),
            fault("critical", Why::SomebodyMissing)
        );
        // A missed visit never goes to family or 12349.
        for never in [RecipientRole::EmergencyContact, RecipientRole::DutyCentre] {
            let mut policy = AlertPolicy::default();
            policy.notice[1].roles.insert(never);
            assert_eq!(policy.check(), Err(fault("notice", Why::NotTheirs)));
        }
        assert_eq!(
            changed(|policy| policy.contact_channels = vec![NoticeChannel::Webhook]),
            fault("contact_channels", Why::ChannelUnsuitable)
        );
    }

    #[test]
    fn the_smallest_division_that_has_rules_prevails() {
        let mut policies = Policies::default();
        let with = |hours| AlertPolicy {
            inactive_after: TimeDelta::hours(hours),
            ..AlertPolicy::default()
        };
        policies.publish("350524".parse().unwrap(), with(10));
        policies.publish("350524100".parse().unwrap(), with(8));
        let hours = |village: &str| {
            let village = village.parse().unwrap();
            policies.of(Some(&village)).inactive_after.num_hours()
        };
        assert_eq!(hours("350524100001"), 8);
        assert_eq!(hours("350524101001"), 10);
        assert_eq!(hours("350525100001"), 12);
        assert_eq!(policies.of(None).inactive_after.num_hours(), 12);
    }
}
