//! Stories of visits, visitors, duties and campaigns.

use eventlog::{RawEvent, Subject};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;

use super::{
    COUNTY, OTHER_VILLAGE, Story, VILLAGE, at, date, id, malformed, sealed, subject, unknown,
};

/// Of visits that are doubted, decided and found something at; of a record's id that is used again; of records that can't be read.
pub fn stories() -> Vec<Story> {
    vec![
        visits(1),
        visits(2),
        unreadable(),
        visitor(21),
        visitor(22),
        divisions(),
        plan(),
        used_again(),
    ]
}

fn year(elder: u128, year: i32, events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    let of = format!("{}-{year:04}", id(elder));
    (subject("visits", "year", &of), events)
}

/// The record of an elder's visit on a day.
fn recorded(elder: u128, record: u128, on: &str, result: pb::VisitResult) -> RawEvent {
    RawEvent::of(&pb::VisitRecorded {
        record_id: id(record),
        elder_id: id(elder),
        visitor_id: id(21),
        mode: types::VisitMode::Home.into(),
        result: result.into(),
        start_time: at(&format!("{on}T09:00:00")),
        end_time: at(&format!("{on}T09:30:00")),
        services: vec![types::ServiceKind::DailyCare.into()],
        signed: true,
        check_in: sealed(&pb::CheckIn::default()),
        remarks: sealed(&pb::Remarks::default()),
        photo_hashes: vec![vec![7_u8; 32].into()],
        division_code: VILLAGE.to_owned(),
    })
}

fn doubted(record: u128, doubt: pb::Doubt) -> RawEvent {
    RawEvent::of(&pb::RecordDoubted {
        record_id: id(record),
        doubts: vec![doubt.into()],
    })
}

fn confirmed(record: u128) -> RawEvent {
    RawEvent::of(&pb::RecordConfirmed {
        record_id: id(record),
    })
}

fn rejected(record: u128) -> RawEvent {
    RawEvent::of(&pb::RecordRejected {
        record_id: id(record),
    })
}

fn opened(referral: u128, record: u128, kind: pb::FindingKind) -> RawEvent {
    RawEvent::of(&pb::ReferralOpened {
        referral_id: id(referral),
        record_id: id(record),
        finding: Some(pb::Finding {
            kind: kind.into(),
            note: sealed(&pb::Remarks::default()),
        }),
        department: "health".to_owned(),
    })
}

fn answered(referral: u128, department: &str) -> RawEvent {
    RawEvent::of(&pb::ReferralAnswered {
        referral_id: id(referral),
        department: department.to_owned(),
        answer: sealed(&pb::Remarks::default()),
    })
}

fn closed(referral: u128) -> RawEvent {
    RawEvent::of(&pb::ReferralClosed {
        referral_id: id(referral),
        outcome: pb::ReferralOutcome::Solved.into(),
    })
}

fn period(kind: pb::PeriodKind, first: &str) -> pb::Period {
    pb::Period {
        kind: kind.into(),
        first_day: date(first),
        last_day: None,
        campaign_id: String::new(),
    }
}

fn campaign(number: u128) -> pb::Period {
    pb::Period {
        last_day: date("2024-10-07"),
        campaign_id: id(number),
        ..period(pb::PeriodKind::Campaign, "2024-10-01")
    }
}

fn met(elder: u128, period: pb::Period, record: u128, late: bool) -> RawEvent {
    RawEvent::of(&pb::DutyMet {
        elder_id: id(elder),
        period: Some(period),
        record_id: id(record),
        late,
    })
}

fn missed(elder: u128, period: pb::Period, blocked: bool) -> RawEvent {
    RawEvent::of(&pb::VisitMissed {
        elder_id: id(elder),
        period: Some(period),
        tier: "PRIORITY".to_owned(),
        division_code: OTHER_VILLAGE.to_owned(),
        blocked_by_consent: blocked,
    })
}

/// An elder's year, and the beginning of the next one.
fn visits(elder: u128) -> Story {
    use pb::PeriodKind::{Month, Week};
    use pb::VisitResult::{Met, NotAtHome};
    let number = |nth: u128| 1_000 * elder + nth;
    let [clear, short, later, away, next] = [1, 2, 3, 4, 5].map(number);
    let [referral, second] = [11, 12].map(number);
    let told = |events| year(elder, 2024, events);
    let mut story = vec![
        told(vec![recorded(elder, clear, "2024-10-01", Met)]),
        told(vec![
            recorded(elder, short, "2024-10-02", Met),
            doubted(short, pb::Doubt::TooShort),
            opened(referral, short, pb::FindingKind::Medical),
            opened(second, short, pb::FindingKind::FraudRisk),
        ]),
        told(vec![doubted(clear, pb::Doubt::Overlap)]),
        told(vec![doubted(short, pb::Doubt::EvidenceReused)]),
        told(vec![confirmed(short)]),
        told(vec![unknown("visits"), answered(referral, "health")]),
        told(vec![missed(elder, period(Week, "2024-09-30"), false)]),
        told(vec![rejected(clear)]),
        told(vec![recorded(elder, away, "2024-10-03", NotAtHome)]),
        told(vec![missed(elder, period(Month, "2024-09-01"), true)]),
        told(vec![recorded(elder, later, "2024-10-05", Met)]),
        told(vec![met(elder, period(Week, "2024-09-30"), later, true)]),
        told(vec![answered(referral, "civil_affairs")]),
        told(vec![closed(referral), unknown("visits")]),
        told(vec![doubted(later, pb::Doubt::LocationMismatch)]),
        told(vec![met(elder, period(Week, "2024-10-07"), later, false)]),
        told(vec![closed(second)]),
    ];
    story.push(told(vec![if elder == 1 {
        met(elder, campaign(31), short, false)
    } else {
        missed(elder, campaign(31), false)
    }]));
    story.push(told(vec![met(
        elder,
        period(Month, "2024-10-01"),
        short,
        false,
    )]));
    let events = vec![recorded(elder, next, "2025-01-02", Met)];
    story.push(year(elder, 2025, events));
    let events = vec![met(elder, period(Week, "2024-12-30"), next, false)];
    story.push(year(elder, 2025, events));
    story
}

/// What follows on a record that can't be read.
fn unreadable() -> Story {
    let beginning = recorded(3, 3_001, "2024-10-01", pb::VisitResult::Met);
    let told = |events| year(3, 2024, events);
    vec![
        told(vec![
            malformed(beginning),
            doubted(3_001, pb::Doubt::TooShort),
            opened(3_011, 3_001, pb::FindingKind::LegalSupport),
        ]),
        told(vec![confirmed(3_001)]),
        told(vec![answered(3_011, "justice")]),
        (subject("visits", "year", "nobody"), vec![confirmed(3_001)]),
        (subject("visits", "unheard", "1"), vec![unknown("visits")]),
        told(vec![recorded(3, 3_002, "2024-10-02", pb::VisitResult::Met)]),
    ]
}

/// The ids of others' records, in another elder's year and in another year of the same elder: two desks took them at once. The
/// first records stay, and nothing that is said of the second ones is said of them.
fn used_again() -> Story {
    use pb::VisitResult::Met;
    vec![
        year(4, 2024, vec![recorded(4, 4_001, "2024-10-01", Met)]),
        year(4, 2024, vec![recorded(4, 4_002, "2024-10-02", Met)]),
        year(
            5,
            2024,
            vec![
                recorded(5, 4_001, "2024-10-03", Met),
                doubted(4_001, pb::Doubt::TooShort),
                opened(5_011, 4_001, pb::FindingKind::HousingHazard),
            ],
        ),
        year(
            4,
            2025,
            vec![
                recorded(4, 4_002, "2025-01-03", Met),
                doubted(4_002, pb::Doubt::TooShort),
            ],
        ),
        year(4, 2024, vec![doubted(4_001, pb::Doubt::Overlap)]),
        year(5, 2024, vec![rejected(4_001)]),
        year(4, 2025, vec![confirmed(4_002)]),
        year(5, 2024, vec![answered(5_011, "housing")]),
        year(4, 2024, vec![confirmed(4_001)]),
        year(5, 2024, vec![closed(5_011)]),
    ]
}

/// One is registered, goes with elders, is put right; an odd one ends.
fn visitor(number: u128) -> Story {
    let visitor_id = || id(number);
    let told = |events| (subject("visits", "visitor", &id(number)), events);
    let paired = |elders: &[u128], since: &str| {
        RawEvent::of(&pb::EldersPaired {
            visitor_id: visitor_id(),
            elder_ids: elders.iter().copied().map(id).collect(),
            since: date(since),
        })
    };
    let registered = RawEvent::of(&pb::VisitorRegistered {
        visitor_id: visitor_id(),
        kind: pb::VisitorKind::GridWorker.into(),
        home_division_code: VILLAGE.to_owned(),
        weekly_capacity: 20,
        modes: vec![types::VisitMode::Home.into()],
        active_from: date("2024-01-01"),
        name: sealed(&pb::VisitorName::default()),
    });
    let updated = RawEvent::of(&pb::VisitorUpdated {
        visitor_id: visitor_id(),
        kind: pb::VisitorKind::Volunteer.into(),
        home_division_code: COUNTY.to_owned(),
        weekly_capacity: 5,
        modes: vec![types::VisitMode::Phone.into()],
        name: sealed(&pb::VisitorName::default()),
    });
    let ended = RawEvent::of(&pb::PairingEnded {
        visitor_id: visitor_id(),
        elder_ids: vec![id(1)],
        last_day: date("2024-10-04"),
    });
    let mut story = vec![
        told(vec![registered]),
        told(vec![paired(&[1, 2], "2024-10-01")]),
        told(vec![malformed(updated.clone())]),
        told(vec![ended]),
        told(vec![updated]),
        told(vec![paired(&[1], "2024-10-06"), unknown("visits")]),
    ];
    if number % 2 == 1 {
        let retired = RawEvent::of(&pb::VisitorRetired {
            visitor_id: visitor_id(),
            last_day: date("2024-12-31"),
        });
        story.push(told(vec![retired]));
    }
    story
}

/// The county visits, and closes its periods; a campaign ends early.
fn divisions() -> Story {
    let visiting = |event| (subject("visits", "visiting", COUNTY), vec![event]);
    let campaign_id = || id(31);
    let campaigning = |event| (subject("visits", "campaign", &id(31)), vec![event]);
    let started = RawEvent::of(&pb::VisitingStarted {
        division_code: COUNTY.to_owned(),
        on: date("2024-09-30"),
    });
    let closed = |period: pb::Period| {
        RawEvent::of(&pb::PeriodClosed {
            division_code: COUNTY.to_owned(),
            period: Some(period),
            duties: 3,
            missed: 1,
        })
    };
    let announced = RawEvent::of(&pb::CampaignStarted {
        campaign_id: campaign_id(),
        division_code: COUNTY.to_owned(),
        kind: pb::CampaignKind::ExtremeWeather.into(),
        name: "高温".to_owned(),
        first_day: date("2024-10-01"),
        last_day: date("2024-10-31"),
        selection: Some(pb::CampaignSelection {
            tiers: vec!["PRIORITY".to_owned()],
            condition: String::new(),
        }),
    });
    let called_off = RawEvent::of(&pb::CampaignEnded {
        campaign_id: campaign_id(),
        last_day: date("2024-10-07"),
    });
    let over = RawEvent::of(&pb::CampaignClosed {
        campaign_id: campaign_id(),
        duties: 2,
        missed: 1,
    });
    let week = |first| closed(period(pb::PeriodKind::Week, first));
    vec![
        visiting(started),
        campaigning(announced),
        visiting(week("2024-09-30")),
        campaigning(called_off),
        visiting(closed(period(pb::PeriodKind::Month, "2024-09-01"))),
        visiting(closed(campaign(31))),
        visiting(malformed(week("2024-10-07"))),
        visiting(week("2024-10-14")),
        campaigning(over),
    ]
}

/// A week's plan, and a change of it; read models of visits know nothing of plans.
fn plan() -> Story {
    let told = |event| (subject("visits", "plan", "350524-2024-W40"), vec![event]);
    let (county_code, week) = (COUNTY.to_owned(), "2024-W40".to_owned());
    let planned = RawEvent::of(&pb::WeekPlanned {
        county_code: county_code.clone(),
        week: week.clone(),
        division_code: COUNTY.to_owned(),
        seed: 7,
        entries: vec![],
    });
    let adjusted = RawEvent::of(&pb::PlanAdjusted {
        county_code,
        week,
        elder_id: id(1),
        change: None,
    });
    vec![told(planned), told(adjusted)]
}
