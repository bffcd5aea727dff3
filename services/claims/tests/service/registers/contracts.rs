//! Contracts with providers, and their lists of caregivers.

use proto::eldercare::claims::v1 as pb;
use tonic::Code;

use crate::support::{
    COUNTY, Ground, LTCI, OTHER_COUNTY, Running, a_caregiver, a_contract, at, definition,
    end_of_contract, officer, order, reason, retirement,
};

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
    let retire = |last: &str| retirement(&caregivers[0], last);
    let refused = client.retire_caregiver(retire("2023-12-31")).await;
    assert_eq!(reason(&refused.unwrap_err()), "BEFORE_FIRST_DAY");
    client.retire_caregiver(retire("2024-02-10")).await.unwrap();
    let end = |last: &str| end_of_contract("P01", &contract, last);
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
    let end = || end_of_contract("P01", &contract, "2024-02-10");
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
    let contract = a_contract("P01", "LTCI");
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
