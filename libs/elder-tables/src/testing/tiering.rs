//! Stories of tiers, and of the policies that give them.

use eventlog::RawEvent;
use proto::eldercare::tiering::v1 as pb;
use proto::eldercare::r#type::v1 as types;

use super::{COUNTY, Story, VILLAGE, date, id, malformed, subject, unknown};

/// Of tiers that come late, for earlier days, and end; of policies, of which one can't be read.
pub fn stories() -> Vec<Story> {
    vec![moves(), ends(), policies()]
}

fn tell(number: u128, events: Vec<RawEvent>) -> (eventlog::Subject, Vec<RawEvent>) {
    (subject("tiering", "tier", &id(number)), events)
}

fn assignment(tier: &str, reasons: &[&str]) -> pb::Assignment {
    pb::Assignment {
        tier: tier.to_owned(),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        interval: pb::Interval::Weekly.into(),
        modes: vec![
            types::VisitMode::Home.into(),
            types::VisitMode::Phone.into(),
        ],
        policy_division_code: "0".to_owned(),
        policy_version: 1,
        division_code: VILLAGE.to_owned(),
    }
}

fn assigned(number: u128, tier: &str, on: Option<&str>) -> RawEvent {
    RawEvent::of(&pb::TierAssigned {
        elder_id: id(number),
        assignment: Some(assignment(tier, &["AGE_80", "DEMENTIA"])),
        on: on.and_then(date),
    })
}

fn changed(number: u128, tier: &str, on: &str) -> RawEvent {
    RawEvent::of(&pb::TierChanged {
        elder_id: id(number),
        assignment: Some(assignment(tier, &[])),
        on: date(on),
    })
}

fn ended(number: u128, on: &str) -> RawEvent {
    RawEvent::of(&pb::TierEnded {
        elder_id: id(number),
        on: date(on),
    })
}

/// The last change holds from before the one that came first.
fn moves() -> Story {
    vec![
        tell(1, vec![assigned(1, "GENERAL", None)]),
        tell(1, vec![changed(1, "SECONDARY", "2024-10-05")]),
        tell(1, vec![changed(1, "PRIORITY", "2024-10-08")]),
        tell(
            1,
            vec![unknown("tiering"), changed(1, "GENERAL", "2024-10-08")],
        ),
        tell(1, vec![malformed(changed(1, "PRIORITY", "2024-10-01"))]),
        tell(1, vec![changed(1, "PRIORITY", "2024-10-06")]),
        tell(1, vec![changed(1, "SECONDARY", "2024-10-07")]),
    ]
}

fn ends() -> Story {
    vec![
        tell(2, vec![assigned(2, "GENERAL", Some("2024-09-01"))]),
        tell(3, vec![assigned(3, "PRIORITY", Some("2024-09-01"))]),
        tell(2, vec![ended(2, "2024-09-20")]),
        tell(3, vec![ended(3, "2024-09-10")]),
        tell(2, vec![assigned(2, "PRIORITY", Some("2024-10-01"))]),
        tell(3, vec![ended(3, "2024-09-05")]),
        tell(2, vec![ended(2, "2024-09-15")]),
        tell(3, vec![assigned(3, "GENERAL", Some("2024-09-05"))]),
    ]
}

fn policies() -> Story {
    let published = |division: &str, version, on: &str| {
        let event = RawEvent::of(&pb::PolicyPublished {
            division_code: division.to_owned(),
            version,
            yaml: format!("name: {division} {version}"),
            on: date(on),
        });
        (subject("tiering", "policy", division), event)
    };
    let compared = RawEvent::of(&pb::PoliciesCompared {
        division_code: COUNTY.to_owned(),
        version: 1,
    });
    let of_policies = |(policy, event)| (policy, vec![event]);
    let (policy, unreadable) = published(COUNTY, 2, "2024-11-01");
    vec![
        of_policies(published("0", 1, "2024-01-01")),
        of_policies(published(COUNTY, 1, "2024-10-01")),
        (subject("tiering", "comparison", COUNTY), vec![compared]),
        (policy, vec![malformed(unreadable), unknown("tiering")]),
        of_policies(published(COUNTY, 3, "2024-11-01")),
    ]
}
