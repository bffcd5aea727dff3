//! What an order's own content, and the elder's facts as recorded when it was handed in, say about it.
//!
//! Rule: section 5, the table of codes. What earlier records of our log say is in [`crate::adjudication`].

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, ElderStatus, EvidenceKind, Fen, GeoPosition, LocalDay, OrderCode,
    Set,
};
use elders::Facts;

use crate::definition::Definition;

/// A check-in farther from home than so many metres is a mismatch (section 5).
pub const FARTHEST_METRES: f64 = 500.0;

/// The hash of a file that shows a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Evidence {
    /// What kind of file.
    pub kind: EvidenceKind,
    /// 8 to 64 bytes.
    pub hash: Vec<u8>,
}

/// A service as its order tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its beginning.
    pub check_in_at: DateTime<Utc>,
    /// Its end, not before the beginning.
    pub check_out_at: DateTime<Utc>,
    /// Where it began.
    pub place: GeoPosition,
    /// What was done.
    pub items: Vec<String>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

impl Service {
    /// The service day: the local day of its beginning.
    #[must_use]
    pub fn day(&self) -> LocalDay {
        LocalDay::of(self.check_in_at)
    }

    /// Its length in full minutes.
    #[must_use]
    pub fn minutes(&self) -> i64 {
        (self.check_out_at - self.check_in_at).num_minutes()
    }
}

/// The facts that were judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedFacts {
    /// The sequence of the last record about the elder in the registry's log that was known.
    pub registry_sequence: u64,
    /// Full years.
    pub age: u16,
    /// Where the file stood.
    pub status: ElderStatus,
    /// Capability.
    pub capability: CapabilityLevel,
    /// Assistance.
    pub assistance: Set<Assistance>,
    /// Handicap grade; 0 where none is recorded.
    pub handicap_grade: u8,
    /// The programme's rule by which the elder is entitled; empty where none applies.
    pub entitled_by: String,
    /// From check-in to home, in whole metres, rounded up; none where no home is known.
    pub metres_from_home: Option<i64>,
}

/// What is said of an order before the adjudicator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The codes that apply.
    pub codes: Set<OrderCode>,
    /// The facts.
    pub facts: JudgedFacts,
    /// What approving it takes of the year's entitlement.
    pub units: i64,
    /// What approving it costs.
    pub amount: Fen,
    /// The last day for an appeal.
    pub appeal_until: LocalDay,
    /// The entitlement of a calendar year.
    pub units_a_year: i64,
}

/// What holds of an elder on a day, as far as entitlement goes.
#[must_use]
pub fn facts_on(
    facts: &Facts,
    registry_sequence: u64,
    day: LocalDay,
    definition: Option<&Definition>,
) -> JudgedFacts {
    let then = facts.on(day);
    // A merged file is nobody: the surviving one has the entitlement.
    let entitled_by = definition
        .filter(|_| !then.merged)
        .and_then(|definition| definition.entitles(&then));
    JudgedFacts {
        registry_sequence,
        age: then.age,
        status: then.status,
        capability: then.capability_level(),
        assistance: then.assistance,
        handicap_grade: then.handicap_grade.map_or(0, |grade| grade.number()),
        entitled_by: entitled_by.unwrap_or_default().to_owned(),
        metres_from_home: None,
    }
}

/// Whether the elder had died or moved out before a day.
#[must_use]
pub fn gone_before(facts: &Facts, day: LocalDay) -> bool {
    let active = |day| facts.on(day).status == ElderStatus::Active;
    !active(day) && !active(day.prev())
}

/// Whether a check-in so many metres from home is a mismatch: just at the limit it is none.
#[must_use]
pub fn is_too_far(metres: f64) -> bool {
    metres > FARTHEST_METRES
}

/// A distance in whole metres, rounded up.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "no distance on earth is larger than 20,004 km"
)]
pub fn whole_metres(metres: f64) -> i64 {
    metres.ceil() as i64
}

/// Judges an order by the version of the programme that holds on its service day; none holds: nobody is entitled.
#[must_use]
pub fn judge(
    definition: Option<&Definition>,
    service: &Service,
    facts: &Facts,
    registry_sequence: u64,
    home: Option<&GeoPosition>,
    submitted_at: DateTime<Utc>,
) -> Judged {
    let day = service.day();
    let mut codes = Set::new();
    let metres = home.map(|home| service.place.metres_to(home));
    let mut judged = facts_on(facts, registry_sequence, day, definition);
    judged.metres_from_home = metres.map(whole_metres);
    let mut found = |code, applies: bool| {
        if applies {
            codes.insert(code);
        }
    };
    found(OrderCode::NotEntitled, judged.entitled_by.is_empty());
    found(OrderCode::NotAliveOrPresent, gone_before(facts, day));
    found(OrderCode::LocationMismatch, metres.is_some_and(is_too_far));
    let submitted_on = LocalDay::of(submitted_at);
    let mut appeal_until = submitted_on;
    let (mut units, mut units_a_year, mut amount) = (0, 0, Fen::ZERO);
    if let Some(definition) = definition {
        let length = service.check_out_at - service.check_in_at;
        let least = chrono::TimeDelta::minutes(definition.least_minutes);
        found(OrderCode::DurationShort, length < least);
        found(
            OrderCode::ItemsInvalid,
            !definition.items.allow(&service.items),
        );
        found(
            OrderCode::EvidenceMissing,
            !definition
                .evidence
                .iter()
                .all(|(kind, least)| files(service, *kind) >= *least),
        );
        let limit = day.plus_days(definition.submission_days);
        found(OrderCode::LateSubmission, submitted_on > limit);
        appeal_until = submitted_on.plus_days(definition.appeal_days);
        units = definition.units(service.minutes());
        units_a_year = definition.quota.units;
        amount = definition.costs(service.minutes());
    }
    Judged {
        codes,
        facts: judged,
        units,
        amount,
        appeal_until,
        units_a_year,
    }
}

/// How many different files of a kind show a service.
fn files(service: &Service, kind: EvidenceKind) -> usize {
    let of_kind = service.evidence.iter().filter(|file| file.kind == kind);
    of_kind.collect::<std::collections::HashSet<_>>().len()
}
