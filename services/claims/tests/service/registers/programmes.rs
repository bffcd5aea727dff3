//! Programmes and their versions.

use claims::programme::{Defined, Programme};
use eventlog::{Aggregate as _, Metadata, Repository};
use proto::eldercare::claims::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    COUNTY, Ground, HOMECARE, LTCI, OTHER_COUNTY, Running, date, day, definition, digests, id,
    order, reason,
};

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

#[tokio::test]
async fn a_condition_that_cannot_be_computed_for_somebody_is_refused_by_its_place() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let wrong = HOMECARE.replace("when: 'true'", "when: 60 / handicap_grade > 20");
    assert_ne!(wrong, HOMECARE);
    let status = running.define("HOMECARE", &wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let bad = status.get_details_bad_request().unwrap();
    let [violation] = bad.field_violations.as_slice() else {
        panic!("{bad:?}");
    };
    let told = (violation.field.as_str(), violation.reason.as_str());
    assert_eq!(told, ("definition", "CONDITION_UNDEFINED"));
    let place = "`entitlement[0].when`";
    assert!(violation.description.contains(place), "{violation:?}");
    // With the grades for which it can be computed it is taken.
    let right = wrong.replace("60 /", "handicap_grade > 0 && 60 /");
    assert_eq!(running.define("HOMECARE", &right).await.unwrap(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_was_taken_before_conditions_were_tried_stays_taken() {
    let ground = Ground::at("2024-03-01 09:00");
    let untried = HOMECARE.replace("when: 'true'", "when: 60 / handicap_grade > 20");
    let request = definition("HOMECARE", &untried);
    let rest = pb::DefineProgrammeRequest {
        request_id: String::new(),
        ..request.clone()
    };
    let metadata = Metadata {
        request_id: request.request_id.parse().unwrap(),
        request_digest: digests().of(&rest).recorded(),
        ..ground.metadata()
    };
    let defined = Programme::encode(&Defined {
        version: 1,
        division: COUNTY.parse().unwrap(),
        effective_from: day("2024-01-01"),
        definition: untried.clone(),
    });
    let subject = Repository::<Programme>::subject("HOMECARE").unwrap();
    service::testing::write(&*ground.own, subject, metadata, vec![defined]).await;
    let running = ground.start().await;
    let again = running.client().define_programme(request).await.unwrap();
    assert_eq!(again.into_inner().version, 1);
    // The same text brings no further version, and another one is tried.
    assert_eq!(running.define("HOMECARE", &untried).await.unwrap(), 1);
    let another = untried.replace("> 20", "> 30");
    let refused = running.define("HOMECARE", &another).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    running.stop().await;
}
