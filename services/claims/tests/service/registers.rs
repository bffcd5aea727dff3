//! Programmes, enrolments, contracts and caregivers, and what an elder may have by them.

mod contracts;
mod enrolments;
mod programmes;

use tonic::Code;

use crate::support::{
    Ground, a_caregiver, end_of_contract, end_of_enrolment, id, reason, retirement,
};

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
    let retire = retirement(&id(), "2024-02-10");
    let unknown = client.retire_caregiver(retire).await.unwrap_err();
    assert_eq!(reason(&unknown), "CAREGIVER_NOT_FOUND");
    for provider in ["P01", "P02"] {
        let end = end_of_contract(provider, &id(), "2024-02-10");
        let unknown = client.end_contract(end).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound, "{provider}");
    }
    let elder = running.ground.elder().await;
    running.settled().await;
    let end = end_of_enrolment(elder, &id(), "2024-02-10");
    let unknown = client.end_enrolment(end).await.unwrap_err();
    assert_eq!(reason(&unknown), "ENROLMENT_NOT_FOUND");
    running.stop().await;
}
