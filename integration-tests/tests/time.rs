//! The clock is moved over birthdays, leap days, ends of months and years: tiers change on the very day, and once.

use integration_tests::{Setup, System, at, born, date, new_id};
use prost::Message as _;
use proto::eldercare::{
    registry::v1::{
        EndCircumstanceRequest, RecordCircumstanceRequest, RecordDeathRequest, RegisterElderRequest,
    },
    tiering::v1::{Interval, TierAssigned, TierChanged, TierEnded},
    r#type::v1::{Circumstance, CircumstanceKind, Date, VisitMode},
};

/// What happened to an elder's tier: what, from which day, and the tier with its reasons.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Assigned(String, Vec<String>),
    Changed(String, Vec<String>),
    Ended,
}

async fn history(system: &System, elder_id: &str) -> Vec<(Date, Happened)> {
    let records = system.records_of("tiering", "tier", elder_id).await;
    let events = records.iter().flat_map(|record| &record.events);
    events
        .map(|event| match event.event_type.rsplit('.').next().unwrap() {
            "TierAssigned" => {
                let told = TierAssigned::decode(event.data.clone()).unwrap();
                let assignment = told.assignment.unwrap();
                (
                    told.on.unwrap(),
                    Happened::Assigned(assignment.tier, assignment.reasons),
                )
            }
            "TierChanged" => {
                let told = TierChanged::decode(event.data.clone()).unwrap();
                let assignment = told.assignment.unwrap();
                (
                    told.on.unwrap(),
                    Happened::Changed(assignment.tier, assignment.reasons),
                )
            }
            "TierEnded" => (
                TierEnded::decode(event.data.clone()).unwrap().on.unwrap(),
                Happened::Ended,
            ),
            other => panic!("tiering has no event {other}"),
        })
        .collect()
}

fn assigned(on: &str, tier: &str, reason: &str) -> (Date, Happened) {
    (
        date(on),
        Happened::Assigned(tier.to_owned(), vec![reason.to_owned()]),
    )
}

fn changed(on: &str, tier: &str, reasons: &[&str]) -> (Date, Happened) {
    (
        date(on),
        Happened::Changed(
            tier.to_owned(),
            reasons.iter().map(|&reason| reason.to_owned()).collect(),
        ),
    )
}

async fn tier(system: &System, elder_id: &str) -> Option<(String, Vec<VisitMode>)> {
    let assignment = system.tier(elder_id, "").await?.assignment.unwrap();
    Some((assignment.tier.clone(), assignment.modes().collect()))
}

async fn tier_name(system: &System, elder_id: &str) -> Option<String> {
    tier(system, elder_id).await.map(|(name, _)| name)
}

fn circumstance(elder_id: &str, first: &str, last: Option<&str>) -> RecordCircumstanceRequest {
    RecordCircumstanceRequest {
        request_id: new_id(),
        elder_id: elder_id.to_owned(),
        circumstance: Some(Circumstance {
            kind: CircumstanceKind::NaturalDisaster.into(),
            first_day: Some(date(first)),
            last_day: last.map(date),
            ..Circumstance::default()
        }),
        ..RecordCircumstanceRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eightieth_birthday_changes_the_tier_at_midnight_and_once() {
    let mut system = System::start().await;
    let elder = system.register(born("1944-10-05", "李福生")).await;
    let sixtieth = system.register(born("1964-10-06", "何美珠")).await;
    system.settled().await;
    assert_eq!(tier_name(&system, &elder).await.as_deref(), Some("GENERAL"));
    assert_eq!(
        tier_name(&system, &sixtieth).await,
        None,
        "under 60 nobody is in scope"
    );

    system.advance_to("2024-10-04T23:59:59+08:00").await;
    assert_eq!(tier_name(&system, &elder).await.as_deref(), Some("GENERAL"));
    system.advance_to("2024-10-05T00:00:00+08:00").await;
    assert_eq!(
        tier_name(&system, &elder).await.as_deref(),
        Some("PRIORITY")
    );
    for later in [
        "2024-10-05T12:00:00+08:00",
        "2024-10-06T00:00:00+08:00",
        "2024-10-20T00:00:00+08:00",
    ] {
        system.advance_to(later).await;
    }
    let expected = [
        assigned("2024-10-01", "GENERAL", "HEALTHY"),
        changed("2024-10-05", "PRIORITY", &["AGE_80"]),
    ];
    assert_eq!(history(&system, &elder).await, expected);
    assert_eq!(
        history(&system, &sixtieth).await,
        [assigned("2024-10-06", "GENERAL", "HEALTHY")]
    );
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_born_on_a_leap_day_has_a_birthday_each_year() {
    // In a leap year on the day itself.
    let as_of = at("2024-02-27T09:00:00+08:00");
    let mut system = System::start_with(Setup {
        as_of,
        ..Setup::default()
    })
    .await;
    let unassessed = |birthday, name| RegisterElderRequest {
        capability: None,
        ..born(birthday, name)
    };
    let eighty = system.register(unassessed("1944-02-29", "吴闰年")).await;
    let sixty = system.register(unassessed("1964-02-29", "吴闰月")).await;
    for day in ["2024-02-28T12:00:00+08:00", "2024-02-28T23:59:59+08:00"] {
        system.advance_to(day).await;
        assert_eq!(
            tier_name(&system, &eighty).await.as_deref(),
            Some("GENERAL"),
            "{day}"
        );
        assert_eq!(tier_name(&system, &sixty).await, None, "{day}");
    }
    system.advance_to("2024-03-01T00:00:00+08:00").await;
    let expected = [
        assigned("2024-02-27", "GENERAL", "ASSESSMENT_DUE"),
        changed("2024-02-29", "PRIORITY", &["AGE_80"]),
    ];
    assert_eq!(history(&system, &eighty).await, expected);
    assert_eq!(
        history(&system, &sixty).await,
        [assigned("2024-02-29", "GENERAL", "ASSESSMENT_DUE")]
    );

    // In a common year a day earlier. The first 80th birthday of that kind is in 2100, which is no leap year.
    let as_of = at("2100-02-27T09:00:00+08:00");
    let mut system = System::start_with(Setup {
        as_of,
        ..Setup::default()
    })
    .await;
    let eighty = system.register(born("2020-02-29", "郑远来")).await;
    let sixty = system.register(born("2040-02-29", "郑未来")).await;
    let next_day = system.register(born("2020-03-01", "郑明日")).await;
    system.advance_to("2100-02-27T23:59:59+08:00").await;
    assert_eq!(
        tier_name(&system, &eighty).await.as_deref(),
        Some("GENERAL")
    );
    system.advance_to("2100-03-02T08:00:00+08:00").await;
    let expected = [
        assigned("2100-02-27", "GENERAL", "HEALTHY"),
        changed("2100-02-28", "PRIORITY", &["AGE_80"]),
    ];
    assert_eq!(history(&system, &eighty).await, expected);
    assert_eq!(
        history(&system, &sixty).await,
        [assigned("2100-02-28", "GENERAL", "HEALTHY")]
    );
    let expected = [
        assigned("2100-02-27", "GENERAL", "HEALTHY"),
        changed("2100-03-01", "PRIORITY", &["AGE_80"]),
    ];
    assert_eq!(history(&system, &next_day).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_and_years_end_on_their_last_day() {
    let as_of = at("2024-11-29T09:00:00+08:00");
    let mut system = System::start_with(Setup {
        as_of,
        ..Setup::default()
    })
    .await;
    let last_of_year = system.register(born("1944-12-31", "孙岁末")).await;
    let first_of_year = system.register(born("1945-01-01", "孙元旦")).await;
    let last_of_month = system.register(born("1944-11-30", "孙月尾")).await;
    system.advance_to("2024-12-30T23:59:59+08:00").await;
    assert_eq!(
        tier_name(&system, &last_of_year).await.as_deref(),
        Some("GENERAL")
    );
    assert_eq!(
        tier_name(&system, &last_of_month).await.as_deref(),
        Some("PRIORITY")
    );
    system.advance_to("2024-12-31T00:00:00+08:00").await;
    assert_eq!(
        tier_name(&system, &last_of_year).await.as_deref(),
        Some("PRIORITY")
    );
    assert_eq!(
        tier_name(&system, &first_of_year).await.as_deref(),
        Some("GENERAL")
    );
    system.advance_to("2025-01-01T00:00:00+08:00").await;
    assert_eq!(
        tier_name(&system, &first_of_year).await.as_deref(),
        Some("PRIORITY")
    );
    for (elder, birthday) in [
        (&last_of_month, "2024-11-30"),
        (&last_of_year, "2024-12-31"),
        (&first_of_year, "2025-01-01"),
    ] {
        let expected = [
            assigned("2024-11-29", "GENERAL", "HEALTHY"),
            changed(birthday, "PRIORITY", &["AGE_80"]),
        ];
        assert_eq!(history(&system, elder).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circumstance_allows_visits_at_home_only_until_its_last_day() {
    let mut system = System::start().await;
    let elder = system.register(born("1950-06-01", "蔡金水")).await;
    let mut registry = system.registry();
    // The tier by what was registered is there before a circumstance changes it.
    system.settled().await;
    // From today to the end of the month; and one that begins with the new year and is ended early.
    registry
        .record_circumstance(circumstance(&elder, "2024-10-01", Some("2024-10-31")))
        .await
        .unwrap();
    let open = registry
        .record_circumstance(circumstance(&elder, "2025-01-01", None))
        .await
        .unwrap()
        .into_inner();
    let modes = async |system: &System| tier(system, &elder).await.unwrap().1;
    let all = [
        VisitMode::Home,
        VisitMode::Phone,
        VisitMode::Online,
        VisitMode::Encounter,
    ];

    system.settled().await;
    assert_eq!(modes(&system).await, [VisitMode::Home]);
    system.advance_to("2024-10-31T23:59:59+08:00").await;
    assert_eq!(
        modes(&system).await,
        [VisitMode::Home],
        "the last day is included"
    );
    system.advance_to("2024-11-01T00:00:00+08:00").await;
    assert_eq!(modes(&system).await, all);
    system.advance_to("2025-01-01T00:00:00+08:00").await;
    assert_eq!(
        modes(&system).await,
        [VisitMode::Home],
        "it begins on its first day"
    );
    let end = EndCircumstanceRequest {
        request_id: new_id(),
        elder_id: elder.clone(),
        circumstance_id: open.circumstance_id,
        last_day: Some(date("2025-02-28")),
        ..EndCircumstanceRequest::default()
    };
    registry.end_circumstance(end).await.unwrap();
    system.advance_to("2025-03-01T00:00:00+08:00").await;
    assert_eq!(modes(&system).await, all);

    let days: Vec<_> = history(&system, &elder)
        .await
        .into_iter()
        .map(|(on, _)| on)
        .collect();
    let expected = [
        "2024-10-01",
        "2024-10-01",
        "2024-11-01",
        "2025-01-01",
        "2025-03-01",
    ];
    assert_eq!(days, expected.map(date), "each change on its day, and once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fell_due_while_the_system_was_down_happens_when_it_is_up() {
    let mut system = System::start().await;
    let birthday = system.register(born("1944-10-05", "许寿星")).await;
    let recovering = system.register(born("1950-06-01", "许康复")).await;
    let dying = system.register(born("1944-10-20", "许长眠")).await;
    system
        .registry()
        .record_circumstance(circumstance(&recovering, "2024-10-01", Some("2024-10-10")))
        .await
        .unwrap();
    system.settled().await;
    let before = system.last_sequence("tiering").await;
    system.kill().await;
    assert_eq!(
        system.last_sequence("tiering").await,
        before,
        "who is down does nothing"
    );

    system.restart_at("2024-10-15T09:00:00+08:00").await;
    assert_eq!(tier(&system, &birthday).await.unwrap().0, "PRIORITY");
    assert_eq!(tier(&system, &recovering).await.unwrap().1.len(), 4);
    let expected = [
        assigned("2024-10-01", "GENERAL", "HEALTHY"),
        changed("2024-10-05", "PRIORITY", &["AGE_80"]),
    ];
    assert_eq!(
        history(&system, &birthday).await,
        expected,
        "late, but from its own day on"
    );
    let recovered = history(&system, &recovering).await;
    assert_eq!(
        recovered.last().unwrap(),
        &changed("2024-10-11", "GENERAL", &["HEALTHY"])
    );

    // Down and up again on the same day, nothing happens twice.
    let settled = system.last_sequence("tiering").await;
    system.kill().await;
    system.restart_at("2024-10-15T10:00:00+08:00").await;
    assert_eq!(system.last_sequence("tiering").await, settled);

    // Whoever dies before a birthday has none, however soon the clock is moved after it was recorded.
    let death = RecordDeathRequest {
        request_id: new_id(),
        elder_id: dying.clone(),
        on: Some(date("2024-10-15")),
        ..RecordDeathRequest::default()
    };
    system.registry().record_death(death).await.unwrap();
    system.advance_to("2024-10-21T00:00:00+08:00").await;
    let expected = [
        assigned("2024-10-01", "GENERAL", "HEALTHY"),
        (date("2024-10-15"), Happened::Ended),
    ];
    assert_eq!(history(&system, &dying).await, expected);
    assert_eq!(tier(&system, &dying).await, None);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_in_one_stride_is_as_a_year_day_by_day() {
    let (mut stride, mut walk) = tokio::join!(System::start(), System::start());
    let birthdays = [
        "1944-10-31",
        "1944-12-31",
        "1945-01-01",
        "1945-02-28",
        "1945-06-15",
        "1945-09-30",
    ];
    let mut elders = Vec::new();
    for birthday in birthdays {
        let elder = born(birthday, "同龄人");
        let both = [
            stride.register(elder.clone()).await,
            walk.register(elder).await,
        ];
        assert_eq!(both[0], both[1], "the same request means the same elder");
        elders.push(both[0].clone());
    }
    for system in [&stride, &walk] {
        let circumstance = circumstance(&elders[0], "2024-12-24", Some("2025-01-31"));
        system
            .registry()
            .record_circumstance(circumstance)
            .await
            .unwrap();
        system.settled().await;
    }
    stride.advance_to("2025-10-01T00:00:00+08:00").await;
    let mut day = integration_tests::day("2024-10-02");
    while day <= integration_tests::day("2025-10-01") {
        walk.advance_to(&format!("{day}T00:00:00+08:00")).await;
        day = day.plus_days(7);
    }
    walk.advance_to("2025-10-01T00:00:00+08:00").await;
    for (elder, birthday) in elders.iter().zip(birthdays) {
        let strode = history(&stride, elder).await;
        assert_eq!(strode, history(&walk, elder).await, "{birthday}");
        let eightieth = birthday.replace("1944", "2024").replace("1945", "2025");
        assert!(
            strode.contains(&changed(&eightieth, "PRIORITY", &["AGE_80"])),
            "{birthday}: {strode:?}"
        );
        let tier = stride.tier(elder, "").await.unwrap();
        assert_eq!(tier.assignment.unwrap().interval(), Interval::Weekly);
    }
}
