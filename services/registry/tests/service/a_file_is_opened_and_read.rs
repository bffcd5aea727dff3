//! An elder is registered and found again: whole, as facts alone, by number and by name, and not by those who may not.

use crate::support::{
    self, OTHER_VILLAGE, Running, VILLAGE, another, date, get, id_number, instant, register,
    request_id, timestamp, wang_xiuying,
};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use service::Claims;
use service::testing::reason;
use tonic::Code;

#[tokio::test]
async fn a_registered_elder_is_read_back_whole() {
    let running = Running::new().await;
    let mut client = running.client();
    let request = wang_xiuying();
    let (elder_id, position) = register(&mut client, request.clone()).await;
    let elder = get(&mut client, &elder_id, &position).await;

    assert_eq!(elder.elder_id, elder_id);
    assert_eq!(elder.name, "王秀英");
    assert_eq!(elder.id_number, request.id_number);
    assert_eq!(elder.sex, i32::from(types::Sex::Female));
    assert_eq!(elder.birth_date, date("1950-03-12"));
    assert_eq!(elder.age, 74);
    assert_eq!(elder.status, i32::from(types::ElderStatus::Active));
    assert_eq!(elder.status_on, None);
    assert_eq!(elder.division_code, VILLAGE);
    assert_eq!(elder.address, request.address);
    assert_eq!(elder.position, request.position);
    assert_eq!(elder.categories, request.categories);
    assert_eq!(elder.assistance, request.assistance);
    assert_eq!(elder.capability, request.capability);
    assert_eq!(elder.observations, request.observations);
    assert_eq!(elder.handicap_grade, 3);
    assert_eq!(elder.circumstances.len(), 1);
    assert_eq!(elder.contacts[0].name, "王志明");
    assert_eq!(elder.contacts[0].call_order, 1);
    assert_eq!(elder.consent, request.consent);
    assert_eq!(elder.wanted_services, request.wanted_services);
    assert_eq!(elder.remarks, "耳背");
    assert_eq!(elder.registered_at, timestamp("2024-11-01T09:00:00+08:00"));
    assert_eq!(elder.source, "API");
    assert!(elder.in_scope);
    assert!(!elder.etag.is_empty());
    running.verify().await;
}

#[tokio::test]
async fn facts_come_without_what_is_personal() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, min_position) = register(&mut client, wang_xiuying()).await;
    let view = pb::ElderView::Facts.into();
    let request = pb::GetElderRequest {
        elder_id,
        min_position,
        view,
        ..pb::GetElderRequest::default()
    };
    let elder = client
        .get_elder(request)
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap();
    assert_eq!(
        (
            elder.name.as_str(),
            elder.id_number.as_str(),
            elder.address.as_str()
        ),
        ("", "", "")
    );
    assert_eq!(
        (elder.position, elder.contacts.len(), elder.remarks.as_str()),
        (None, 0, "")
    );
    assert_eq!(elder.age, 74);
}

#[tokio::test]
async fn one_id_number_is_one_elder_also_when_two_register_at_once() {
    let running = Running::new().await;
    let attempts = (0..16).map(|_| {
        let mut client = running.client();
        async move { client.register_elder(wang_xiuying()).await }
    });
    let outcomes = futures::future::join_all(attempts).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for status in lost.into_iter().map(Result::unwrap_err) {
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(reason(&status), "ID_NUMBER_REGISTERED");
    }
    // The number written in another way is the same number.
    let mut spaced = wang_xiuying();
    spaced.id_number = spaced.id_number.chars().map(|c| format!("{c} ")).collect();
    let status = running.client().register_elder(spaced).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    running.verify().await;
}

#[tokio::test]
async fn an_elder_is_found_by_number_and_by_name_within_a_division() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let (_, min_position) = register(&mut client, another(3)).await;
    let mut search = async |request: pb::SearchEldersRequest| {
        let request = pb::SearchEldersRequest {
            min_position: min_position.clone(),
            ..request
        };
        let found = client
            .search_elders(request)
            .await
            .unwrap()
            .into_inner()
            .elders;
        found
            .into_iter()
            .map(|elder| elder.elder_id)
            .collect::<Vec<_>>()
    };
    let number = id_number("1950-03-12", 2);
    let by_number = |id_number: String| pb::SearchEldersRequest {
        id_number,
        ..Default::default()
    };
    let by_name = |name: &str, division_code: &str| pb::SearchEldersRequest {
        name: name.to_owned(),
        division_code: division_code.to_owned(),
        ..Default::default()
    };
    assert_eq!(
        search(by_number(number.to_lowercase())).await,
        [elder_id.as_str()]
    );
    assert_eq!(
        search(by_number(id_number("1950-03-12", 4))).await,
        [] as [String; 0]
    );
    assert_eq!(
        search(by_name("王秀英", "350524")).await,
        [elder_id.as_str()]
    );
    assert_eq!(search(by_name("王 秀 英", VILLAGE)).await, [elder_id]);
    assert_eq!(search(by_name("王秀英", "350525")).await, [] as [String; 0]);
    assert_eq!(search(by_name("王秀", "350524")).await, [] as [String; 0]);
}

#[tokio::test]
async fn who_works_elsewhere_neither_registers_nor_reads() {
    let running = Running::new().await;
    let (elder_id, min_position) = register(&mut running.client(), wang_xiuying()).await;
    let clerk = Claims::officer("clerk-7", "civil_affairs")
        .role("clerk")
        .purpose("test");
    let mut elsewhere = running.clients.of(&clerk.clone().division("350524101"));
    let get = pb::GetElderRequest {
        elder_id,
        min_position,
        ..pb::GetElderRequest::default()
    };
    let status = elsewhere.get_elder(get.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "ELDER_NOT_FOUND")
    );
    let status = elsewhere.register_elder(another(5)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "DIVISION_OUT_OF_REACH")
    );
    assert_eq!(metadata(&status)["division"], VILLAGE);
    // That a number is registered has to be told; whose it is, and where, is not.
    let taken = pb::RegisterElderRequest {
        division_code: OTHER_VILLAGE.to_owned(),
        ..wang_xiuying()
    };
    let status = elsewhere.register_elder(taken).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "ID_NUMBER_REGISTERED")
    );
    assert!(metadata(&status).is_empty());
    let told = String::from_utf8_lossy(status.details());
    assert!(!told.contains(&get.elder_id) && !told.contains(VILLAGE));
    let search = pb::SearchEldersRequest {
        id_number: id_number("1950-03-12", 2),
        ..Default::default()
    };
    assert!(
        elsewhere
            .search_elders(search)
            .await
            .unwrap()
            .into_inner()
            .elders
            .is_empty()
    );
    let mut here = running.clients.of(&clerk.division("350524100"));
    assert!(here.get_elder(get).await.is_ok());
    assert_eq!(
        here.erase_elder(pb::EraseElderRequest::default())
            .await
            .unwrap_err()
            .code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn the_past_is_read_by_who_is_in_charge_now() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let later = support::instant("2024-11-03T09:00:00+08:00");
    running.ground.clock.advance_to(later).unwrap();
    let relocation = pb::RelocateElderRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        division_code: support::OTHER_VILLAGE.to_owned(),
        ..pb::RelocateElderRequest::default()
    };
    client.relocate_elder(relocation).await.unwrap();
    let then = pb::GetElderRequest {
        elder_id,
        as_of: timestamp("2024-11-02T09:00:00+08:00"),
        ..pb::GetElderRequest::default()
    };
    let clerk = |division: &str| {
        let clerk = Claims::officer("clerk-7", "civil_affairs").role("clerk");
        running
            .clients
            .of(&clerk.purpose("test").division(division))
    };
    let status = clerk("350524100")
        .get_elder(then.clone())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let elder = clerk("350524101")
        .get_elder(then)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(elder.elder.unwrap().division_code, VILLAGE);
}

#[tokio::test]
async fn keys_are_for_services_alone() {
    let running = Running::new().await;
    let (elder_id, _) = register(&mut running.client(), wang_xiuying()).await;
    let request = pb::GetKeysRequest {
        elder_ids: vec![elder_id.clone(), request_id()],
    };
    let visits = Claims::system("visits", "platform")
        .role("service")
        .division("*");
    let status = running
        .clients
        .vault_of(&visits)
        .get_keys(request.clone())
        .await
        .unwrap_err();
    assert_eq!(service::testing::reason(&status), "PURPOSE_REQUIRED");
    let visits = visits.purpose("visits");
    let keys = running
        .clients
        .vault_of(&visits)
        .get_keys(request.clone())
        .await
        .unwrap()
        .into_inner()
        .keys;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].elder_id.as_str(), keys[0].key.len()),
        (elder_id.as_str(), 16)
    );
    let officer = service::testing::anybody();
    let status = running
        .clients
        .vault_of(&officer)
        .get_keys(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn everything_wrong_with_a_request_is_told_at_once() {
    use tonic_types::StatusExt as _;
    let running = Running::new().await;
    let mut request = wang_xiuying();
    request.name = String::new();
    request.id_number = "350524195003120021".to_owned();
    request.categories = vec![99];
    request.contacts[0].phone = "123".to_owned();
    request.circumstances[0].last_day = date("2024-10-19");
    let status = running.client().register_elder(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let wrong = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = wrong
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "id_number",
            "categories[0]",
            "circumstances[0].last_day",
            "contacts[0].phone"
        ]
    );
    // Nothing is there but the name of the lookup key.
    assert_eq!(running.log.last_sequence().await.unwrap(), 1);
}

#[tokio::test]
async fn a_history_tells_each_change_page_by_page_and_a_past_instant_what_was_known() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    running
        .ground
        .clock
        .advance_to(instant("2024-11-05T09:00:00+08:00"))
        .unwrap();
    let relocation = pb::RelocateElderRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        on: date("2024-10-20"),
        division_code: OTHER_VILLAGE.to_owned(),
        address: "新美村下厝12号".to_owned(),
        ..pb::RelocateElderRequest::default()
    };
    let moved = client
        .relocate_elder(relocation.clone())
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    running
        .ground
        .clock
        .advance_to(instant("2024-11-06T09:00:00+08:00"))
        .unwrap();
    let consent = pb::RecordConsentRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        state: types::ConsentState::Refused.into(),
        ..pb::RecordConsentRequest::default()
    };
    client.record_consent(consent).await.unwrap();

    let page = |page_size, page_token: &str| pb::GetElderHistoryRequest {
        elder_id: elder_id.clone(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let first = client
        .get_elder_history(page(2, ""))
        .await
        .unwrap()
        .into_inner();
    let second = client
        .get_elder_history(page(2, &first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(second.next_page_token, "");
    let changes: Vec<_> = first.changes.iter().chain(&second.changes).collect();
    let events: Vec<_> = changes.iter().map(|change| change.event.as_str()).collect();
    assert_eq!(
        events,
        ["ElderRegistered", "ElderRelocated", "ConsentWithdrawn"]
    );
    assert_eq!(changes[1].position, moved.position);
    assert_eq!(changes[1].holds_from, "2024-10-20");
    assert_eq!(changes[1].request_id, relocation.request_id);
    assert_eq!(changes[1].actor, "officer:test-officer");
    assert!(changes.iter().all(|change| change.purpose == "test"));
    assert_eq!(
        changes[1].recorded_at,
        timestamp("2024-11-05T09:00:00+08:00")
    );
    let address = changes[1]
        .fields
        .iter()
        .find(|field| field.field == "address")
        .unwrap();
    assert_eq!(
        (address.value.as_str(), address.personal),
        ("新美村下厝12号", true)
    );

    let as_of = pb::GetElderRequest {
        elder_id: elder_id.clone(),
        as_of: timestamp("2024-11-03T00:00:00+08:00"),
        ..pb::GetElderRequest::default()
    };
    let known_then = client
        .get_elder(as_of.clone())
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap();
    assert_eq!(
        (
            known_then.division_code.as_str(),
            known_then.address.as_str()
        ),
        (VILLAGE, "先声社区12号")
    );
    assert_eq!(
        known_then.consent.unwrap().state(),
        types::ConsentState::Granted
    );
    let before = pb::GetElderRequest {
        as_of: timestamp("2024-10-31T00:00:00+08:00"),
        ..as_of
    };
    assert_eq!(
        client.get_elder(before).await.unwrap_err().code(),
        Code::NotFound
    );
}

/// The facts that a refusal gives to programs.
fn metadata(status: &tonic::Status) -> std::collections::HashMap<String, String> {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().unwrap().metadata
}
