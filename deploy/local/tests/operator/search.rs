//! A town is played with all that happens in it, and what operators see of it tells of nobody.

use std::collections::BTreeMap;

use crate::{
    desk::{Desk, text},
    observed::Observed,
    sharing_feeds::{break_glass, the_supervisors_are_told},
    whole_town::{SMALL_TOWN, whole_town},
};

/// What is seen of visits, alerts and claims where they are played, and how often at least.
const SEEN: [(&str, usize); 14] = [
    ("eldercare.visits.v1.VisitService/RecordVisit", 20),
    ("react visits on_visit_recorded", 1),
    ("project visits_book", 1),
    ("project sharing_visits", 1),
    ("eldercare.alerts.v1.AlertService/RegisterDevice", 1),
    ("eldercare.alerts.v1.AlertService/AcknowledgeAlert", 1),
    ("eldercare.alerts.v1.AlertService/MarkAway", 1),
    ("react alerts telling", 1),
    ("notice", 1),
    ("project alerts_board", 1),
    ("eldercare.claims.v1.ClaimsService/SubmitOrders", 1),
    ("eldercare.claims.v1.ClaimsService/AppealOrder", 1),
    ("react claims adjudicator", 1),
    ("project claims_book", 1),
];

/// The streams in which all that stands.
const STREAMS: [&str; 6] = [
    "registry", "tiering", "visits", "alerts", "claims", "signals",
];

#[test]
fn what_operators_see_of_a_town_that_is_visited_cared_for_and_listened_to_tells_of_nobody() {
    // Given a system that tells all that it can.
    let mut desk = Desk::new();
    let observed = Observed::begin(&mut desk);

    // When a town is played to the county's last day, and somebody's dossier is opened beyond all agreements.
    let set = whole_town(&desk.path("."));
    desk.up_with(&["--county", set.to_str().unwrap()]);
    let found = desk.done(&["sharing", "find", "--division", SMALL_TOWN, "--limit", "1"]);
    let elder = text(&found["elders"][0]["elder_id"]);
    break_glass(&desk, elder);
    the_supervisors_are_told(&desk, elder);
    let subjects = observed.subjects(&desk);
    desk.down();

    // Then no name, no ID number and no telephone is found in what it told.
    observed.tells_of_nobody(&desk, &subjects);
    // And there was something to be found.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for span in observed.spans() {
        *seen.entry(span.name).or_default() += 1;
    }
    for (name, at_least) in SEEN {
        let times = seen.get(name).copied().unwrap_or_default();
        assert!(times >= at_least, "{name} was seen {times} times: {seen:?}");
    }
    for stream in STREAMS {
        let begins = format!("eldercare.{stream}.");
        let any = subjects.iter().any(|subject| subject.starts_with(&begins));
        assert!(any, "no subject begins with {begins}");
    }
    let log = desk.log();
    assert!(log.contains("a notice is told to nobody but this log"));
}
