//! One elder across all services: whole for civil affairs, cut for others, on record before it is told, and nothing at all
//! for whoever may see nothing.

use chrono::TimeDelta;
use civic::ElderId;
use eventlog::Fault;
use proto::eldercare::sharing::v1 as pb;
use serde_json::json;
use sharing::look::Recorded;
use tonic::{Code, Request};
use uuid::Uuid;

use crate::support::{
    CIVIL_AFFAIRS, Ground, OTHER_COUNTY, OTHER_TOWN, OTHER_VILLAGE, TOWN, VILLAGE, approver, at,
    callers, doctor, dossier_request, fields, grant, guard, id, in_full, in_words, keys, looks_at,
    officer, only, reader, refused, some_terms, terms,
};

#[tokio::test]
async fn civil_affairs_sees_all_in_plain() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let told = running.dossier(&reader(), elder).await.unwrap();
    assert_eq!(told.elder_id, elder.to_string());
    assert!(told.agreement_ids.is_empty());
    let documents = told.documents.iter();
    assert!(documents.clone().all(|document| document.masked.is_empty()));
    let products: Vec<_> = documents
        .map(|document| document.product.as_str())
        .collect();
    assert_eq!(
        products,
        ["elder", "tier", "visit", "alert", "order", "enrolment"]
    );
    let elder_id = elder.to_string();
    assert_eq!(
        fields(&only(&told, "elder")),
        json!({
            "elder_id": elder_id,
            "division_code": VILLAGE,
            "status": "ACTIVE",
            "name": "王秀英",
            "id_number": "350524194802101220",
            "sex": "FEMALE",
            "birth_date": "1948-02-10",
            "age": 76,
            "categories": ["LIVING_ALONE"],
            "assistance": ["MINIMUM_LIVING"],
            "capability": "SEVERE",
            "handicap_grade": 0,
            "observations": [],
            "consent": "GRANTED",
            "address": "福建省泉州市安溪县凤城镇1号",
            "contacts": [{ "name": "陈明", "relation": "子", "phone": "13812341234" }],
        })
    );
    assert_eq!(
        fields(&only(&told, "tier")),
        json!({
            "elder_id": elder_id,
            "division_code": VILLAGE,
            "tier": "PRIORITY",
            "since": "2024-01-01",
            "reasons": ["LIVING_ALONE"],
            "interval": "WEEKLY",
            "modes": ["HOME"],
        })
    );
    let visit = only(&told, "visit");
    assert_eq!(
        fields(&visit),
        json!({
            "record_id": visit.key,
            "elder_id": elder_id,
            "division_code": VILLAGE,
            "start_time": "2024-02-10T09:00:00+08:00",
            "end_time": "2024-02-10T09:30:00+08:00",
            "mode": "HOME",
            "result": "MET",
            "services": ["HEALTH_MANAGEMENT"],
            "findings": [],
            "doubts": [],
            "counted": true,
            "visitor_id": Uuid::from_u128(7).to_string(),
            "remarks": "血压偏高",
        })
    );
    let alert = only(&told, "alert");
    assert_eq!(
        fields(&alert),
        json!({
            "alert_id": alert.key,
            "elder_id": elder_id,
            "division_code": VILLAGE,
            "kind": "SOS",
            "severity": "CRITICAL",
            "raised_at": "2024-02-11T09:00:00+08:00",
            "level": 0,
            "state": "ACKNOWLEDGED",
            "acknowledged_at": "2024-02-11T09:01:00+08:00",
        })
    );
    let order = only(&told, "order");
    assert_eq!(
        fields(&order),
        json!({
            "order_key": order.key,
            "provider_id": "P01",
            "order_id": "A",
            "programme_code": "LTCI",
            "elder_id": elder_id,
            "division_code": VILLAGE,
            "service_day": "2024-02-12",
            "state": "ABNORMAL",
            "codes": ["NOT_ENROLLED"],
            "amount": "200.00",
        })
    );
    let enrolment = only(&told, "enrolment");
    assert_eq!(
        fields(&enrolment),
        json!({
            "enrolment_id": enrolment.key,
            "programme_code": "LTCI",
            "elder_id": elder_id,
            "first_day": "2024-01-01",
            "last_day": "2024-12-31",
            "units_used": 0,
            "basis": "POOR",
        })
    );
    running.stop().await;
}

#[tokio::test]
async fn what_others_went_through_stands_in_no_dossier() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (elder, other) = (ground.known_to_all().await, ground.elder().await);
    let told = running.dossier(&reader(), other).await.unwrap();
    let products = told.documents.iter().map(|one| one.product.as_str());
    assert_eq!(products.collect::<Vec<_>>(), ["elder"]);
    assert!(!format!("{told:?}").contains(&elder.to_string()));
    running.stop().await;
}

#[tokio::test]
async fn the_newest_of_each_product_come_first_and_no_more_than_were_asked_for() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    // The log's order is not that of time.
    let starts = ["2024-02-02 09:00", "2024-02-03 09:00", "2024-02-01 09:00"];
    let visits = ground.visited(elder, &starts.map(at)).await;
    let (mut alerts, mut orders) = (vec![], vec![]);
    for start in starts {
        alerts.push(ground.alerted(elder, start).await);
        orders.push(ground.ordered(elder, start, start).await);
    }
    let told = running.dossier(&reader(), elder).await.unwrap();
    let in_order = |keys: &[String]| [1, 0, 2].map(|place: usize| keys[place].clone());
    assert_eq!(keys(&told, "visit"), in_order(&visits));
    assert_eq!(keys(&told, "alert"), in_order(&alerts));
    assert_eq!(keys(&told, "order"), in_order(&orders));
    let two = pb::GetDossierRequest {
        newest: 2,
        ..dossier_request(elder)
    };
    let told = running.ask(&reader(), two).await.unwrap();
    assert_eq!(keys(&told, "visit"), in_order(&visits)[..2]);
    assert_eq!(keys(&told, "alert"), in_order(&alerts)[..2]);
    assert_eq!(keys(&told, "order"), in_order(&orders)[..2]);
    running.stop().await;
}

#[tokio::test]
async fn unless_it_is_said_the_newest_twenty_are_told_and_never_more_than_two_hundred() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    let first = at("2024-01-01 09:00");
    let starts: Vec<_> = (0..201)
        .map(|hour| first + TimeDelta::hours(hour))
        .collect();
    let mut visits = ground.visited(elder, &starts).await;
    visits.reverse();
    let told = running.dossier(&reader(), elder).await.unwrap();
    assert_eq!(keys(&told, "visit"), visits[..20]);
    let all = pb::GetDossierRequest {
        newest: i32::MAX,
        ..dossier_request(elder)
    };
    let told = running.ask(&reader(), all).await.unwrap();
    assert_eq!(keys(&told, "visit"), visits[..200]);
    running.stop().await;
}

#[tokio::test]
async fn only_the_products_that_are_asked_for_are_told_and_put_on_record() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    let of = |products: &[&str]| pb::GetDossierRequest {
        products: products.iter().map(|name| (*name).to_owned()).collect(),
        ..dossier_request(elder)
    };
    let told = running
        .ask(&reader(), of(&["order", "tier"]))
        .await
        .unwrap();
    let products = told.documents.iter().map(|one| one.product.as_str());
    assert_eq!(products.collect::<Vec<_>>(), ["tier", "order"]);
    let told = running.ask(&doctor(), of(&["tier"])).await.unwrap();
    assert_eq!(in_words(&told), ["tier: tier"]);
    // What went to the doctor is not personal, and yet it stands there who was told of whom.
    let looks = ground.looks().await;
    assert!(looks.iter().all(|one| one.look().elders == [elder]));
    let fields: Vec<_> = looks.iter().map(|one| one.look().fields.clone()).collect();
    assert_eq!(fields, [vec!["tier.reasons".to_owned()], vec![]]);
    // A product that is not granted is as good as none.
    let outcome = running.ask(&doctor(), of(&["visit"])).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}

#[tokio::test]
async fn whoever_may_see_nothing_of_an_elder_learns_nothing() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let unknown = ElderId(Uuid::now_v7());
    let erased = ground.known_to_all().await;
    ground.is_erased(erased).await;
    let beyond_all_agreements = ground.elder_in(OTHER_VILLAGE).await;
    let there = ground.elder().await;
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..some_terms()
    };
    running.agreed(&town).await;
    let written = ground.written().await;
    let elsewhere = officer("reader", CIVIL_AFFAIRS, OTHER_COUNTY, &["viewer"]);
    let doctor_elsewhere = officer("doctor", "health", OTHER_COUNTY, &["viewer"]);
    let police = officer("police", "police", "350524", &["viewer"]);
    let mut texts = Vec::new();
    for (caller, elder) in [
        (reader(), unknown),
        (reader(), erased),
        (elsewhere.clone(), unknown),
        (elsewhere, there),
        (doctor(), unknown),
        (doctor(), erased),
        (doctor(), beyond_all_agreements),
        (doctor_elsewhere, there),
        (police, there),
    ] {
        let refused = running.dossier(&caller, elder).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{caller:?}");
        texts.push(in_full(&refused, &elder.to_string()));
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
    assert_eq!(ground.written().await, written);
    // To whom something is granted it is told.
    running.dossier(&doctor(), there).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn who_sees_an_elder_depends_on_where_they_live_today() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..some_terms()
    };
    running.agreed(&town).await;
    ground.moves(elder, OTHER_VILLAGE, "2024-03-10").await;
    running.dossier(&doctor(), elder).await.unwrap();
    running.advance("2024-03-10 09:10");
    let outcome = running.dossier(&doctor(), elder).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let other_town = officer("reader", CIVIL_AFFAIRS, OTHER_TOWN, &["viewer"]);
    running.dossier(&other_town, elder).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn each_dossier_that_is_told_is_on_record_with_all_that_was_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running
        .agreed(&terms(&[
            grant("elder", &["name", "sex"], &["id_number", "contacts"]),
            grant("visit", &["mode"], &["remarks"]),
        ]))
        .await;
    running.dossier(&reader(), elder).await.unwrap();
    let request = dossier_request(elder);
    let told = running.client_of(&doctor()).get_dossier(request).await;
    let told = told.unwrap().into_inner();
    let looks = ground.looks().await;
    let [
        Recorded::Access(access),
        Recorded::Provided { look, agreements },
    ] = &looks[..]
    else {
        panic!("{looks:?}");
    };
    assert_eq!(access.caller, "officer:reader");
    assert_eq!(access.department, "civil_affairs");
    assert_eq!(access.purpose, "test");
    assert_eq!(access.method, "GetDossier");
    assert_eq!(access.at, at("2024-03-01 09:10"));
    assert_eq!(access.elders, [elder]);
    assert_eq!(
        access.fields,
        [
            "elder.address",
            "elder.assistance",
            "elder.birth_date",
            "elder.capability",
            "elder.categories",
            "elder.contacts",
            "elder.handicap_grade",
            "elder.id_number",
            "elder.name",
            "elder.observations",
            "enrolment.basis",
            "tier.reasons",
            "visit.findings",
            "visit.remarks",
        ]
    );
    assert_eq!(look.caller, "officer:doctor");
    assert_eq!(look.department, "health");
    assert_eq!(look.purpose, "家庭医生签约");
    assert_eq!(look.method, "GetDossier");
    assert_eq!(look.elders, [elder]);
    assert_eq!(
        look.fields,
        [
            "elder.contacts:masked",
            "elder.id_number:masked",
            "elder.name",
            "visit.remarks:masked",
        ]
    );
    let agreements: Vec<_> = agreements.iter().map(Uuid::to_string).collect();
    assert_eq!(agreements, [agreement]);
    // The answer says where it stands.
    let records = ground.records().await;
    let last = records.last().unwrap();
    assert_eq!(told.position, format!("SHARING:{}", last.sequence));
    assert_eq!(last.metadata.actor, "system:sharing");
    running.stop().await;
}

#[tokio::test]
async fn what_the_log_does_not_take_is_not_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    for caller in [reader(), doctor()] {
        ground.memory.fail_next(Fault::BeforeWriting);
        let refused = running.dossier(&caller, elder).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    }
    assert!(ground.looks().await.is_empty());
    // Where nobody knows whether it was written, it may stand there though nothing was told; never the other way round.
    ground.memory.fail_next(Fault::AfterWriting);
    let refused = running.dossier(&reader(), elder).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(ground.looks().await.len(), 1);
    // Afterwards all goes on.
    for caller in [reader(), doctor(), reader()] {
        running.dossier(&caller, elder).await.unwrap();
    }
    let looks = running.history(&reader(), looks_at(elder), 0).await;
    assert_eq!(
        callers(&looks.unwrap()),
        [
            "officer:reader",
            "officer:doctor",
            "officer:reader",
            "officer:reader"
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_dossier_waits_for_what_its_caller_has_seen_in_any_log() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ElderId(Uuid::now_v7());
    let since = |position: String| pb::GetDossierRequest {
        min_position: position,
        ..dossier_request(elder)
    };
    let who = reader();
    // Each is asked for before it is written.
    let position = ground.next_of(&ground.logs.registry).await;
    let (told, _) = tokio::join!(
        running.ask(&who, since(position)),
        ground.registered(elder, VILLAGE)
    );
    let name = fields(&only(&told.unwrap(), "elder"))["name"].clone();
    assert_eq!(name, "王秀英");
    let position = ground.next_of(&ground.logs.tiering).await;
    let (told, _) = tokio::join!(
        running.ask(&who, since(position)),
        ground.tiered(elder, "GENERAL", "2024-01-01")
    );
    assert_eq!(keys(&told.unwrap(), "tier").len(), 1);
    let position = ground.next_of(&ground.logs.visits).await;
    let starts = [at("2024-02-10 09:00")];
    let (told, visits) = tokio::join!(
        running.ask(&who, since(position)),
        ground.visited(elder, &starts)
    );
    assert_eq!(keys(&told.unwrap(), "visit"), visits);
    let position = ground.next_of(&ground.logs.alerts).await;
    let (told, alert) = tokio::join!(
        running.ask(&who, since(position)),
        ground.alerted(elder, "2024-02-10 09:00")
    );
    assert_eq!(keys(&told.unwrap(), "alert"), [alert]);
    let position = ground.next_of(&ground.logs.claims).await;
    let (told, order) = tokio::join!(
        running.ask(&who, since(position)),
        ground.ordered(elder, "A", "2024-02-10 09:00")
    );
    assert_eq!(keys(&told.unwrap(), "order"), [order]);
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_and_a_look_are_waited_for_by_their_positions() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.settled().await;
    let agreement = running.propose(&some_terms()).await.unwrap();
    let position = running.approve_as(&approver(), &agreement).await.unwrap();
    let get = pb::GetAgreementRequest {
        agreement_id: agreement.clone(),
        min_position: position.clone(),
    };
    let told = running.client_of(&doctor()).get_agreement(get).await;
    let told = told.unwrap().into_inner().agreement.unwrap();
    assert_eq!(told.state(), pb::AgreementState::InForce);
    let since = pb::GetDossierRequest {
        min_position: position,
        ..dossier_request(elder)
    };
    let mut client = running.client_of(&doctor());
    let told = client.get_dossier(since).await.unwrap().into_inner();
    let history = pb::GetAccessHistoryRequest {
        min_position: told.position.clone(),
        ..looks_at(elder)
    };
    let mut client = running.client_of(&reader());
    let looks = client.get_access_history(history).await;
    let looks = looks.unwrap().into_inner().looks;
    assert_eq!(looks.len(), 1);
    assert_eq!(looks[0].position, told.position);
    let another = running.propose(&some_terms()).await.unwrap();
    let position = running.suspend_as(&guard(), &agreement).await.unwrap();
    let list = pb::ListAgreementsRequest {
        min_position: position,
        ..Default::default()
    };
    let listed = running.client_of(&reader()).list_agreements(list).await;
    let listed = listed.unwrap().into_inner().agreements;
    let states: Vec<_> = listed
        .iter()
        .map(|one| (&one.agreement_id, one.state()))
        .collect();
    assert_eq!(
        states,
        [
            (&another, pb::AgreementState::Proposed),
            (&agreement, pb::AgreementState::Suspended)
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_record_that_never_comes_is_waited_for_until_the_deadline() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.settled().await;
    for log in ground.logs_in_order() {
        let mut request = Request::new(pb::GetDossierRequest {
            min_position: ground.next_of(log).await,
            ..dossier_request(elder)
        });
        request.set_timeout(std::time::Duration::from_millis(300));
        let outcome = running.client_of(&reader()).get_dossier(request).await;
        let refused = outcome.unwrap_err();
        // The client may be the first to give up.
        let late = matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled);
        assert!(late, "{}: {refused:?}", log.stream());
    }
    assert!(ground.looks().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn systems_of_departments_are_told_as_officers_are() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    let silent = service::Claims::system("his", "health")
        .division("350524")
        .role("viewer");
    let outcome = running.dossier(&silent, elder).await;
    refused(outcome, Code::PermissionDenied, "PURPOSE_REQUIRED");
    let system = silent.purpose("家庭医生签约");
    let told = running.dossier(&system, elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    let looks = ground.looks().await;
    assert_eq!(looks[0].look().caller, "system:his");
    assert_eq!(looks[0].look().purpose, "家庭医生签约");
    // A service of the platform reads the logs, and no dossiers.
    let service = service::Claims::system("visits", "platform")
        .division("*")
        .role("service");
    let outcome = running.dossier(&service, elder).await;
    refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
    assert_eq!(ground.looks().await.len(), 1);
    let unknown = id();
    let nobody = pb::GetDossierRequest {
        elder_id: unknown,
        ..Default::default()
    };
    let outcome = running.ask(&system, nobody).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}
