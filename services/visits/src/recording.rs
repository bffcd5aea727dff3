//! A visit as it is recorded: which records the rules refuse, and which they doubt by what stands in the record itself.
//!
//! Rule: section 3, "Recording". The doubts that rest on earlier records are raised by [`crate::ledger`].

use chrono::{DateTime, TimeDelta, Utc};
use civic::{DivisionCode, Doubt, GeoPosition, LocalDay, Set, VisitMode};

/// A check-in farther than this from home is in doubt.
pub const FAR_FROM_HOME_METRES: f64 = 500.0;
/// A visit at home that is shorter than this is in doubt.
pub const SHORTEST_AT_HOME: TimeDelta = TimeDelta::minutes(5);
/// How long after its start a record may arrive.
pub const LATEST_ARRIVAL: TimeDelta = TimeDelta::hours(60 * 24);

/// A visit as the rules judge it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// How.
    pub mode: VisitMode,
    /// When it began.
    pub start: DateTime<Utc>,
    /// When it ended.
    pub end: DateTime<Utc>,
    /// Where the visitor checked in.
    pub check_in: Option<GeoPosition>,
}

impl Visit {
    /// The day of a visit is the local day of its start.
    #[must_use]
    pub fn day(&self) -> LocalDay {
        LocalDay::of(self.start)
    }
}

/// What is known of the elder when a record arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct ElderThen {
    /// How the elder could be visited on the day.
    pub modes: Set<VisitMode>,
    /// Whether consent to home visits was granted at the start of the visit.
    pub consent_granted: bool,
    /// Whether the elder was in scope on the day.
    pub in_scope: bool,
    /// The county in which the elder lived on the day.
    pub county: DivisionCode,
    /// Home on the day.
    pub home: Option<GeoPosition>,
}

/// What is known of the visitor when a record arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitorThen {
    /// The county in which the visitor visits.
    pub county: DivisionCode,
    /// The first day.
    pub active_from: LocalDay,
    /// The last day, included.
    pub active_until: Option<LocalDay>,
}

/// Why the rules refuse a record; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The mode was not allowed for the elder on that day.
    ModeNotAllowed,
    /// HOME without consent granted at the start of the visit.
    ConsentRequired,
    /// The elder was not in scope on that day.
    NotInScope,
    /// Not a visitor of the elder's county on that day, active on that day.
    VisitorUnknown,
    /// Ends before it starts, starts or ends later than it arrived, or started over 60 × 24 hours before.
    TimeInvalid,
}

/// Why the rules refuse a visit that arrived at this instant; nothing where they take it.
#[must_use]
pub fn refusal(
    visit: &Visit,
    elder: &ElderThen,
    visitor: Option<&VisitorThen>,
    arrived: DateTime<Utc>,
) -> Option<Refusal> {
    let day = visit.day();
    if !elder.modes.contains(visit.mode) {
        return Some(Refusal::ModeNotAllowed);
    }
    if visit.mode == VisitMode::Home && !elder.consent_granted {
        return Some(Refusal::ConsentRequired);
    }
    if !elder.in_scope {
        return Some(Refusal::NotInScope);
    }
    let known = visitor.is_some_and(|visitor| {
        visitor.county == elder.county
            && visitor.active_from <= day
            && visitor.active_until.is_none_or(|last| day <= last)
    });
    if !known {
        return Some(Refusal::VisitorUnknown);
    }
    let in_time = visit.start <= visit.end
        && visit.start <= arrived
        && visit.end <= arrived
        && arrived - visit.start <= LATEST_ARRIVAL;
    (!in_time).then_some(Refusal::TimeInvalid)
}

/// The doubts that rest on the record alone.
#[must_use]
pub fn own_doubts(visit: &Visit, home: Option<&GeoPosition>) -> Set<Doubt> {
    let mut doubts = Set::new();
    if visit.mode != VisitMode::Home {
        return doubts;
    }
    if let (Some(home), Some(check_in)) = (home, &visit.check_in)
        && home.metres_to(check_in) > FAR_FROM_HOME_METRES
    {
        doubts.insert(Doubt::LocationMismatch);
    }
    if visit.end - visit.start < SHORTEST_AT_HOME {
        doubts.insert(Doubt::TooShort);
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2024-10-{text}+08:00").parse().unwrap()
    }

    fn place(latitude: f64, longitude: f64) -> GeoPosition {
        GeoPosition::new(latitude, longitude).unwrap()
    }

    fn visit() -> Visit {
        Visit {
            mode: VisitMode::Home,
            start: at("08T09:00:00"),
            end: at("08T09:30:00"),
            check_in: Some(place(25.0, 117.0)),
        }
    }

    fn elder() -> ElderThen {
        ElderThen {
            modes: [VisitMode::Home, VisitMode::Phone].into(),
            consent_granted: true,
            in_scope: true,
            county: "350524".parse().unwrap(),
            home: Some(place(25.0, 117.0)),
        }
    }

    fn visitor() -> VisitorThen {
        VisitorThen {
            county: "350524".parse().unwrap(),
            active_from: "2024-01-01".parse().unwrap(),
            active_until: None,
        }
    }

    #[track_caller]
    fn check(
        change: impl Fn(&mut Visit, &mut ElderThen, &mut VisitorThen),
        expected: Option<Refusal>,
    ) {
        let (mut visit, mut elder, mut visitor) = (visit(), elder(), visitor());
        change(&mut visit, &mut elder, &mut visitor);
        let found = refusal(&visit, &elder, Some(&visitor), at("08T10:00:00"));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_proper_visit_is_taken() {
        check(|_, _, _| {}, None);
    }

    #[test]
    fn a_mode_that_the_elder_is_not_visited_in_is_refused() {
        check(
            |visit, _, _| visit.mode = VisitMode::Online,
            Some(Refusal::ModeNotAllowed),
        );
    }

    #[test]
    fn a_visit_at_home_needs_consent_and_a_call_does_not() {
        check(
            |_, elder, _| elder.consent_granted = false,
            Some(Refusal::ConsentRequired),
        );
        check(
            |visit, elder, _| {
                elder.consent_granted = false;
                visit.mode = VisitMode::Phone;
            },
            None,
        );
    }

    #[test]
    fn who_is_out_of_scope_is_not_visited() {
        check(
            |_, elder, _| elder.in_scope = false,
            Some(Refusal::NotInScope),
        );
    }

    #[test]
    fn a_visitor_of_another_county_is_unknown() {
        let other: DivisionCode = "350525".parse().unwrap();
        check(
            |_, _, visitor| visitor.county = other,
            Some(Refusal::VisitorUnknown),
        );
        assert_eq!(
            refusal(&visit(), &elder(), None, at("08T10:00:00")),
            Some(Refusal::VisitorUnknown)
        );
    }

    #[test]
    fn a_visitor_is_active_from_the_first_to_the_last_day_both_included() {
        let day = |text: &str| text.parse::<LocalDay>().unwrap();
        check(
            |_, _, visitor| visitor.active_until = Some(day("2024-10-08")),
            None,
        );
        check(
            |_, _, visitor| visitor.active_until = Some(day("2024-10-07")),
            Some(Refusal::VisitorUnknown),
        );
        check(
            |_, _, visitor| visitor.active_from = day("2024-10-08"),
            None,
        );
        check(
            |_, _, visitor| visitor.active_from = day("2024-10-09"),
            Some(Refusal::VisitorUnknown),
        );
    }

    #[test]
    fn times_that_cannot_be_are_refused() {
        let refused = Some(Refusal::TimeInvalid);
        check(|visit, _, _| visit.end = at("08T08:59:59"), refused);
        check(|visit, _, _| visit.end = at("08T10:00:01"), refused);
        check(|visit, _, _| visit.end = at("08T10:00:00"), None);
        check(|visit, _, _| visit.end = visit.start, None);
        let arrived = visit().start + LATEST_ARRIVAL;
        let judged = |arrived| refusal(&visit(), &elder(), Some(&visitor()), arrived);
        assert_eq!(judged(arrived), None);
        assert_eq!(judged(arrived + TimeDelta::seconds(1)), refused);
    }

    #[test]
    fn the_first_reason_is_the_one_given() {
        let mut all_wrong = visit();
        all_wrong.end = at("08T08:00:00");
        let mut elder = ElderThen {
            modes: VisitMode::Phone.into(),
            consent_granted: false,
            in_scope: false,
            ..elder()
        };
        let first = |elder: &ElderThen, visitor: Option<&VisitorThen>| {
            refusal(&all_wrong, elder, visitor, at("08T10:00:00"))
        };
        assert_eq!(first(&elder, None), Some(Refusal::ModeNotAllowed));
        elder.modes.insert(VisitMode::Home);
        assert_eq!(first(&elder, None), Some(Refusal::ConsentRequired));
        elder.consent_granted = true;
        assert_eq!(first(&elder, None), Some(Refusal::NotInScope));
        elder.in_scope = true;
        assert_eq!(first(&elder, None), Some(Refusal::VisitorUnknown));
        assert_eq!(first(&elder, Some(&visitor())), Some(Refusal::TimeInvalid));
    }

    #[test]
    fn a_check_in_over_500_metres_from_home_is_in_doubt() {
        // A degree of latitude is 111,195 m.
        let mut visit = visit();
        let home = elder().home;
        visit.check_in = Some(place(25.0 + 499.0 / 111_195.0, 117.0));
        assert_eq!(own_doubts(&visit, home.as_ref()), Set::EMPTY);
        visit.check_in = Some(place(25.0 + 501.0 / 111_195.0, 117.0));
        assert_eq!(
            own_doubts(&visit, home.as_ref()),
            Doubt::LocationMismatch.into()
        );
        assert_eq!(own_doubts(&visit, None), Set::EMPTY);
        visit.mode = VisitMode::Encounter;
        assert_eq!(own_doubts(&visit, home.as_ref()), Set::EMPTY);
    }

    #[test]
    fn a_visit_at_home_under_five_minutes_is_in_doubt() {
        let mut visit = visit();
        visit.end = at("08T09:05:00");
        assert_eq!(own_doubts(&visit, None), Set::EMPTY);
        visit.end = at("08T09:04:59");
        assert_eq!(own_doubts(&visit, None), Doubt::TooShort.into());
        visit.mode = VisitMode::Phone;
        assert_eq!(own_doubts(&visit, None), Set::EMPTY);
    }
}
