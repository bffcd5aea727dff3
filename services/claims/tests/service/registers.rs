//! Programmes, enrolments, contracts and caregivers, and what an elder may have by them.

use civic::{Assistance, CapabilityLevel, Set};
use proto::eldercare::claims::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    COUNTY, Ground, LTCI, OTHER_COUNTY, Person, Running, a_caregiver, at, date, enrolment, id,
    officer, order, reason,
};

fn definition(code: &str, definition: &str) -> pb::DefineProgrammeRequest {
    pb::DefineProgrammeRequest {
        request_id: id(),
        programme_code: code.to_owned(),
        division_code: COUNTY.to_owned(),
        definition: definition.to_owned(),
    }
}

async fn programme(running: &Running, code: &str, version: i32) -> Result<pb::Programme, String> {
    let request = pb::GetProgrammeRequest {
        programme_code: code.to_owned(),
        version,
        min_position: String::new(),
    };
    let answer = running.client().get_programme(request).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().programme.unwrap()),
        Err(status) => Err(reason(&status)),
    }
}

/// From April on a service costs more.
fn dearer() -> String {
    LTCI.replace("2024-01-01", "2024-04-01")
        .replace("fen_a_service: 20000", "fen_a_service: 25000")
}

#[tokio::test]
async fn a_service_goes_by_the_version_that_holds_on_its_day() {
    let running = Ground::at("2024-04-02 09:00").start().await;
    let caregiver = running.insurance().await;
    assert_eq!(running.define("LTCI", &dearer()).await.unwrap(), 2);
    let elder = running.insured().await;
    let costs = async |order: &pb::ServiceOrder| {
        let submitted = running.submit(order).await.unwrap();
        submitted.standing.unwrap().amount_fen
    };
    let march = order("A", elder, &caregiver, "2024-03-31 09:00");
    let mut april = order("B", elder, &caregiver, "2024-04-01 09:00");
    assert_eq!(costs(&march).await, 20_000);
    // Who names a version names the one that holds.
    for version in [1, 3] {
        april.programme_version = version;
        assert_eq!(running.told(&april).await, "PROGRAMME_VERSION_INVALID");
    }
    april.programme_version = 2;
    assert_eq!(costs(&april).await, 25_000);
    assert_eq!(running.order("A").await.order.unwrap().programme_version, 1);
    assert_eq!(running.order("B").await.order.unwrap().programme_version, 2);
    // Before the first version nobody is entitled to anything.
    let before = order("C", elder, &caregiver, "2023-12-31 09:00");
    let told = running.told(&before).await;
    assert!(told.contains("NOT_ENTITLED"), "{told}");
    assert_eq!(running.order("C").await.order.unwrap().programme_version, 0);
    running.stop().await;
}

#[tokio::test]
async fn versions_are_answered_and_the_newest_of_each_programme_is_listed() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    running.define("LTCI", LTCI).await.unwrap();
    running.define("LTCI", &dearer()).await.unwrap();
    running.define("CARE_2", LTCI).await.unwrap();
    running.settled().await;
    let first = programme(&running, "LTCI", 1).await.unwrap();
    assert_eq!((first.name.as_str(), first.version), ("长期护理险", 1));
    assert_eq!((first.premium_fen, first.units_a_year), (30_000, 12));
    assert_eq!(first.unit(), pb::EntitlementUnit::Services);
    assert_eq!(first.effective_from, date("2024-01-01"));
    assert_eq!(first.division_code, COUNTY);
    assert_eq!(first.definition, LTCI);
    let newest = programme(&running, "LTCI", 0).await.unwrap();
    assert_eq!(newest, programme(&running, "LTCI", 2).await.unwrap());
    assert_eq!(newest.definition, dearer());
    assert_eq!(
        programme(&running, "LTCI", 3).await,
        Err("VERSION_NOT_FOUND".to_owned())
    );
    assert_eq!(
        programme(&running, "NONE", 0).await,
        Err("PROGRAMME_NOT_FOUND".to_owned())
    );
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListProgrammesRequest {
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = running.client().list_programmes(request).await.unwrap();
        let page = page.into_inner();
        listed.extend(page.programmes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let named = listed.iter();
    let named: Vec<_> = named
        .map(|one| (one.programme_code.as_str(), one.version))
        .collect();
    assert_eq!(named, [("CARE_2", 1), ("LTCI", 2)]);
    running.stop().await;
}

#[tokio::test]
async fn a_version_is_defined_once_and_never_holds_before_the_one_before() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let mut client = running.client();
    let request = definition("LTCI", &dearer());
    let defined = client.define_programme(request.clone()).await.unwrap();
    let again = client.define_programme(request.clone()).await.unwrap();
    assert_eq!(again.into_inner(), defined.into_inner());
    // The same text brings no further version.
    assert_eq!(running.define("LTCI", &dearer()).await.unwrap(), 1);
    let earlier = running.define("LTCI", LTCI).await.unwrap_err();
    assert_eq!(reason(&earlier), "HOLDS_EARLIER");
    let theirs = pb::DefineProgrammeRequest {
        request_id: id(),
        division_code: OTHER_COUNTY.to_owned(),
        definition: dearer().replace("25000", "26000"),
        ..request.clone()
    };
    let theirs = client.define_programme(theirs).await.unwrap_err();
    assert_eq!(reason(&theirs), "ANOTHER_DIVISION");
    let reused = pb::DefineProgrammeRequest {
        definition: LTCI.to_owned(),
        ..request
    };
    let reused = client.define_programme(reused).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_definition_is_refused_by_its_lines() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let wrong = LTCI
        .replace("premium_fen: 30000", "premium_fen: -1")
        .replace("appeal_days: 15", "appeal_days: 9999");
    let status = running.define("LTCI", &wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let bad = status.get_details_bad_request().unwrap();
    let told: Vec<_> = bad
        .field_violations
        .iter()
        .map(|one| (one.field.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(told, [("definition", "OUT_OF_RANGE"); 2]);
    let lines = LTCI.lines().count();
    for (violation, line) in bad.field_violations.iter().zip([3, lines]) {
        let begin = format!("line {line}: ");
        assert!(violation.description.starts_with(&begin), "{violation:?}");
    }
    assert_eq!(
        programme(&running, "LTCI", 0).await,
        Err("PROGRAMME_NOT_FOUND".to_owned())
    );
    running.stop().await;
}

/// Outcome, reason or basis, and premium.
fn told(outcome: &pb::EnrolPersonsResponse) -> (String, String, i64) {
    let kind = outcome.outcome().as_str_name();
    let kind = kind
        .trim_start_matches("ENROLMENT_OUTCOME_KIND_")
        .to_owned();
    let mut why = format!("{}{}", outcome.reason, outcome.basis);
    if !outcome.field.is_empty() {
        why = format!("{why} {}", outcome.field);
    }
    (kind, why, outcome.premium_fen)
}

#[tokio::test]
async fn each_enrolment_of_a_stream_has_its_outcome_in_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    let poor = ground.elder().await;
    let handicapped = Person {
        birth: "2010-01-01",
        assistance: Set::new(),
        handicap: Some(2),
        ..Person::default()
    };
    let handicapped = handicapped.on(&ground).await;
    let rich = Person {
        assistance: Set::new(),
        ..Person::default()
    };
    let rich = rich.on(&ground).await;
    let away = Person {
        village: "350525100001",
        ..Person::default()
    };
    let away = away.on(&ground).await;
    let dead = ground.elder().await;
    ground.dies(dead, "2023-12-31").await;
    let erased = ground.elder().await;
    ground.is_erased(erased).await;
    let of = |elder, first| enrolment("LTCI", elder, first);
    let first_half = pb::Enrolment {
        last_day: date("2024-06-30"),
        ..of(poor, "2024-01-01")
    };
    let sent = [
        first_half.clone(),
        of(rich, "2024-01-01"),
        of(handicapped, "2024-01-01"),
        of(away, "2024-01-01"),
        of(dead, "2024-01-01"),
        of(erased, "2024-01-01"),
        pb::Enrolment {
            last_day: date("2025-01-01"),
            ..of(poor, "2024-07-01")
        },
        enrolment("NONE", poor, "2024-01-01"),
        enrolment("ltci", poor, "2024-01-01"),
        of(handicapped, "2023-12-31"),
    ];
    let outcomes = running.enrol_all(&sent).await;
    let ids = |outcomes: &[pb::EnrolPersonsResponse]| -> Vec<String> {
        let outcomes = outcomes.iter();
        outcomes.map(|one| one.enrolment_id.clone()).collect()
    };
    let sent_ids: Vec<_> = sent.iter().map(|one| one.enrolment_id.clone()).collect();
    assert_eq!(ids(&outcomes), sent_ids);
    let words: Vec<_> = outcomes.iter().map(told).collect();
    let expected = [
        ("ENROLLED", "LOW_INCOME", 30_000),
        ("REFUSED", "NOT_ELIGIBLE", 0),
        ("ENROLLED", "HANDICAP_1_2", 30_000),
        ("REFUSED", "OUTSIDE_DIVISION", 0),
        ("REFUSED", "NOT_ALIVE_OR_PRESENT", 0),
        ("INVALID", "ELDER_NOT_FOUND", 0),
        ("INVALID", "DAYS_INVALID enrolment.last_day", 0),
        ("INVALID", "PROGRAMME_NOT_FOUND", 0),
        (
            "INVALID",
            "PROGRAMME_CODE_INVALID enrolment.programme_code",
            0,
        ),
        ("REFUSED", "PROGRAMME_NOT_IN_FORCE", 0),
    ];
    let expected = expected.map(|(kind, why, fen)| (kind.to_owned(), why.to_owned(), fen));
    assert_eq!(words, expected);

    // The year's premium comes once, however often somebody is enrolled in it.
    let second_half = of(poor, "2024-07-01");
    let overlapping = of(poor, "2024-06-30");
    let outcomes = running.enrol_all(&[second_half, overlapping]).await;
    let words: Vec<_> = outcomes.iter().map(told).collect();
    assert_eq!(
        words[0],
        ("ENROLLED".to_owned(), "LOW_INCOME".to_owned(), 0)
    );
    assert_eq!(
        words[1],
        ("REFUSED".to_owned(), "ALREADY_ENROLLED".to_owned(), 0)
    );
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.premiums_fen, fund.in_fen), (60_000, 60_000));

    // All of it once more enrols nobody twice, whatever the facts have become since.
    ground.dies(poor, "2023-12-01").await;
    let end = ground.end().await;
    let again = running.enrol_all(&sent).await;
    assert_eq!(again[..6], running.enrol_all(&sent).await[..6]);
    assert_eq!(
        told(&again[0]),
        ("ENROLLED".to_owned(), "LOW_INCOME".to_owned(), 30_000)
    );
    assert_eq!(ground.end().await, end);
    let another = pb::Enrolment {
        last_day: None,
        ..first_half
    };
    let reused = running.enrol_all(&[another]).await;
    assert_eq!(reused[0].reason, "REQUEST_ID_REUSED");
    running.stop().await;
}

#[tokio::test]
async fn an_entitlement_is_told_before_and_after_enrolment_and_service() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = ground.elder().await;
    let before = running.entitlement(elder, "2024-03-01").await;
    assert!(!before.entitled);
    assert_eq!(before.codes, [pb::OrderCode::NotEnrolled as i32]);
    assert_eq!((before.units_a_year, before.units_used), (12, 0));
    assert_eq!(before.entitled_by, "LOW_INCOME");
    let enrolment = running.enrolled(elder).await;
    let after = running.entitlement(elder, "2024-03-01").await;
    assert!(after.entitled, "{after:?}");
    assert_eq!(after.unit(), pb::EntitlementUnit::Services);
    assert_eq!(after.programme_version, 1);
    assert_eq!(after.enrolments.len(), 1);
    assert_eq!(after.enrolments[0].enrolment_id, enrolment);
    assert_eq!(after.enrolments[0].last_day, date("2024-12-31"));
    let facts = after.facts.unwrap();
    assert_eq!((facts.age, facts.capability), (74, 5));
    for number in 1..=12 {
        let start = format!("2024-02-{number:02} 09:00");
        let order = order(&format!("O{number}"), elder, &caregiver, &start);
        assert_eq!(running.told(&order).await, "APPROVED");
        let told = running.entitlement(elder, "2024-03-01").await;
        assert_eq!((told.units_used, told.units_left), (number, 12 - number));
    }
    let used_up = running.entitlement(elder, "2024-12-31").await;
    assert_eq!(used_up.codes, [pb::OrderCode::QuotaExceeded as i32]);
    let one_more = order("O13", elder, &caregiver, "2024-02-20 09:00");
    let told = running.told(&one_more).await;
    assert_eq!(told, "ABNORMAL_OPEN QUOTA_EXCEEDED");
    // The next year begins anew, and without an enrolment.
    let next = running.entitlement(elder, "2025-01-01").await;
    assert_eq!(next.codes, [pb::OrderCode::NotEnrolled as i32]);
    assert_eq!((next.units_used, next.units_left), (0, 12));
    assert!(next.enrolments.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn the_reasons_why_nobody_is_entitled_are_told_together() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    let elder = Person {
        capability: CapabilityLevel::Mild,
        assistance: Assistance::MinimumLiving.into(),
        ..Person::default()
    };
    let elder = elder.on(&ground).await;
    ground.dies(elder, "2024-02-01").await;
    let told = running.entitlement(elder, "2024-03-01").await;
    let codes: Vec<_> = told.codes().collect();
    assert_eq!(
        codes,
        [
            pb::OrderCode::NotEnrolled,
            pb::OrderCode::NotEntitled,
            pb::OrderCode::NotAliveOrPresent,
        ]
    );
    assert_eq!(told.entitled_by, "");
    running.stop().await;
}

#[tokio::test]
async fn an_enrolment_that_ends_covers_its_last_day() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = ground.elder().await;
    let enrolment = running.enrolled(elder).await;
    let end = |last: &str| pb::EndEnrolmentRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        enrolment_id: enrolment.clone(),
        last_day: date(last),
    };
    let mut client = running.client();
    for (last, why) in [
        ("2024-12-31", "NOT_EARLIER"),
        ("2023-12-30", "BEFORE_FIRST_DAY"),
    ] {
        let refused = client.end_enrolment(end(last)).await.unwrap_err();
        assert_eq!(reason(&refused), why, "{last}");
    }
    let request = end("2024-02-15");
    let ended = client.end_enrolment(request.clone()).await.unwrap();
    let again = client.end_enrolment(request).await.unwrap();
    assert_eq!(again.into_inner(), ended.into_inner());
    let on = async |number: &str, day: &str| {
        let order = order(number, elder, &caregiver, &format!("{day} 09:00"));
        running.told(&order).await
    };
    assert_eq!(on("A", "2024-02-15").await, "APPROVED");
    assert_eq!(on("B", "2024-02-16").await, "ABNORMAL_OPEN NOT_ENROLLED");
    assert!(running.entitlement(elder, "2024-02-15").await.entitled);
    assert!(!running.entitlement(elder, "2024-02-16").await.entitled);
    // No premium comes back.
    assert_eq!(running.fund("LTCI").await.premiums_fen, 30_000);
    running.stop().await;
}

#[tokio::test]
async fn contracts_and_caregivers_that_end_cover_their_last_day() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.define("LTCI", LTCI).await.unwrap();
    let contract = running.contract("P01", "LTCI").await.unwrap();
    let caregivers = [
        running.caregiver("P01").await,
        running.caregiver("P01").await,
    ];
    let elder = running.insured().await;
    let twice = running.contract("P01", "LTCI").await.unwrap_err();
    assert_eq!(reason(&twice), "ALREADY_CONTRACTED");
    let mut client = running.client();
    let retire = |last: &str| pb::RetireCaregiverRequest {
        request_id: id(),
        caregiver_id: caregivers[0].clone(),
        last_day: date(last),
    };
    let refused = client.retire_caregiver(retire("2023-12-31")).await;
    assert_eq!(reason(&refused.unwrap_err()), "BEFORE_FIRST_DAY");
    client.retire_caregiver(retire("2024-02-10")).await.unwrap();
    let end = |last: &str| pb::EndContractRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        contract_id: contract.clone(),
        last_day: date(last),
    };
    client.end_contract(end("2024-02-20")).await.unwrap();
    let refused = client.end_contract(end("2024-02-20")).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_EARLIER");
    for (number, by, on, expected) in [
        ("A", 0, "2024-02-10", "APPROVED"),
        ("B", 0, "2024-02-11", "ABNORMAL_OPEN PROVIDER_INVALID"),
        ("C", 1, "2024-02-12", "APPROVED"),
        ("D", 1, "2024-02-20", "APPROVED"),
        ("E", 1, "2024-02-21", "ABNORMAL_OPEN PROVIDER_INVALID"),
        (
            "F",
            1,
            "2023-12-31",
            "ABNORMAL_OPEN NOT_ENROLLED NOT_ENTITLED PROVIDER_INVALID",
        ),
    ] {
        let order = order(number, elder, &caregivers[by], &format!("{on} 09:00"));
        let told = running.told(&order).await;
        assert!(told.starts_with(expected), "{number} of {on}: {told}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let mut client = running.client();
    let unknown = running.contract("P01", "LTCI").await.unwrap_err();
    assert_eq!(reason(&unknown), "PROGRAMME_NOT_FOUND");
    let caregiver = a_caregiver("P01");
    let unknown = client.register_caregiver(caregiver).await.unwrap_err();
    assert_eq!(reason(&unknown), "PROVIDER_NOT_FOUND");
    running.insurance().await;
    let retire = pb::RetireCaregiverRequest {
        request_id: id(),
        caregiver_id: id(),
        last_day: date("2024-02-10"),
    };
    let unknown = client.retire_caregiver(retire).await.unwrap_err();
    assert_eq!(reason(&unknown), "CAREGIVER_NOT_FOUND");
    for provider in ["P01", "P02"] {
        let end = pb::EndContractRequest {
            request_id: id(),
            provider_id: provider.to_owned(),
            contract_id: id(),
            last_day: date("2024-02-10"),
        };
        let unknown = client.end_contract(end).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound, "{provider}");
    }
    let elder = running.ground.elder().await;
    running.settled().await;
    let end = pb::EndEnrolmentRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        enrolment_id: id(),
        last_day: date("2024-02-10"),
    };
    let unknown = client.end_enrolment(end).await.unwrap_err();
    assert_eq!(reason(&unknown), "ENROLMENT_NOT_FOUND");
    running.stop().await;
}

/// Another division's programme.
async fn programme_of(running: &Running, code: &str, division: &str) {
    let theirs = pb::DefineProgrammeRequest {
        division_code: division.to_owned(),
        ..definition(code, LTCI)
    };
    running.client().define_programme(theirs).await.unwrap();
}

#[tokio::test]
async fn a_contract_is_ended_by_the_division_whose_programme_it_is_for() {
    // Given a provider with contracts for programmes of the county and of its city.
    let running = Ground::at("2024-03-01 09:00").start().await;
    running.insurance().await;
    programme_of(&running, "CITY", "3505").await;
    let contract = running.contract("P01", "CITY").await.unwrap();
    let end = || pb::EndContractRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        contract_id: contract.clone(),
        last_day: date("2024-02-10"),
    };
    // Then the county can't end the contract with the city.
    let mut county = running.client_of(&officer("clerk", COUNTY));
    let refused = county.end_contract(end()).await.unwrap_err();
    assert_eq!(reason(&refused), "CONTRACT_NOT_FOUND");
    let mut city = running.client_of(&officer("clerk", "3505"));
    city.end_contract(end()).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_providers_id_stands_for_no_provider_of_another_county() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    running.insurance().await;
    programme_of(&running, "THEIRS", OTHER_COUNTY).await;
    let refused = running.contract("P01", "THEIRS").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "ANOTHER_DIVISION")
    );
    running.contract("P02", "THEIRS").await.unwrap();
    let refused = running.contract("P02", "LTCI").await.unwrap_err();
    assert_eq!(reason(&refused), "ANOTHER_DIVISION");
    // A county may contract whom its city has contracted, and keeps a list of its own of whom they send.
    programme_of(&running, "CITY", "3505").await;
    running.contract("P03", "CITY").await.unwrap();
    running.contract("P03", "LTCI").await.unwrap();
    running.contract("P03", "THEIRS").await.unwrap();
    for (division, provider, known) in [
        (COUNTY, "P03", true),
        (OTHER_COUNTY, "P03", true),
        (OTHER_COUNTY, "P02", true),
        (COUNTY, "P02", false),
    ] {
        let mut client = running.client_of(&officer("clerk", division));
        let request = a_caregiver(provider);
        match client.register_caregiver(request).await {
            Ok(_) => assert!(known, "{provider} in {division}"),
            Err(refused) => {
                assert!(!known, "{provider} in {division}: {refused}");
                assert_eq!(reason(&refused), "PROVIDER_NOT_FOUND");
            }
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_contract_or_listing_that_was_asked_for_twice_stands_once() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.define("LTCI", LTCI).await.unwrap();
    let mut client = running.client();
    let contract = pb::ContractProviderRequest {
        request_id: id(),
        contract: Some(pb::Contract {
            provider_id: "P01".to_owned(),
            programme_code: "LTCI".to_owned(),
            name: "禾康".to_owned(),
            first_day: date("2024-01-01"),
            last_day: None,
        }),
    };
    let first = client.contract_provider(contract.clone()).await.unwrap();
    let again = client.contract_provider(contract).await.unwrap();
    assert_eq!(again.into_inner(), first.into_inner());
    let caregiver = a_caregiver("P01");
    let first = client.register_caregiver(caregiver.clone()).await.unwrap();
    let again = client.register_caregiver(caregiver).await.unwrap();
    assert_eq!(again.into_inner(), first.into_inner());
    // The name stands nowhere in the log.
    let mut deliveries = ground.own.subscribe(0).await.unwrap();
    let batch = futures::StreamExt::next(&mut deliveries).await;
    let name = "陈护理".as_bytes();
    for delivery in batch.unwrap().unwrap() {
        let eventlog::Delivery::Record(record) = delivery else {
            panic!("{delivery:?}");
        };
        for event in &record.events {
            let found = event.data.windows(name.len()).any(|bytes| bytes == name);
            assert!(!found, "{}", event.event_type);
        }
    }
    assert_eq!(ground.clock.now(), at("2024-03-01 09:00"));
    running.stop().await;
}
