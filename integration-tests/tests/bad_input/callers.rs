//! Callers whom nobody knows, who may not do what they ask, or who ask for what there isn't.

use bytes::Bytes;
use integration_tests::{
    Setup, System, an_elder,
    callers::{Authorised, Caller},
    county, date, officer, reason,
    visiting::{self, a_visit, a_visitor, visitor},
};
use proto::eldercare::{
    registry::v1::{
        EraseElderRequest, GetElderRequest, ListDivisionsRequest, ListEldersRequest,
        RegisterElderRequest,
    },
    visits::v1::{
        ConfirmRecordRequest, CoverageElders, ExportRecordsRequest, GetCoverageRequest,
        GetElderVisitsRequest, RecordVisitRequest, RegisterVisitorRequest, StartVisitingRequest,
        export_records_request::Whose, visit_service_client::VisitServiceClient,
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use service::{Claims, TokenIssuer};
use tonic::{Code, Request};
use uuid::Uuid;

use super::{is_typed, send, still_works, written};

/// There is no such method here, and it is said.
async fn is_no_method(channel: Authorised, path: &'static str) {
    let refused = send(channel, path, vec![Bytes::new()]).await.unwrap_err();
    assert!(
        [Code::PermissionDenied, Code::Unimplemented].contains(&refused.code()),
        "{path}: {refused}"
    );
    assert!(!reason(&refused).is_empty(), "{path}: {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_is_turned_away() {
    let mut system = System::start().await;
    let elder_id = system.register(an_elder("林三")).await;
    let before = written(&system).await;
    let stranger = TokenIssuer::generate();
    let expired = Claims {
        exp: 1_700_000_000,
        ..officer()
    };
    let too_early = Claims {
        nbf: Some(4_102_444_800),
        exp: 4_102_448_400,
        ..officer()
    };
    let elsewhere = Claims {
        iss: "somebody".to_owned(),
        ..officer()
    };
    let mut random = StdRng::seed_from_u64(7);
    let good = system.token(&officer());
    let mut tokens = vec![
        stranger.issue(&officer()),
        system.token(&expired),
        system.token(&too_early),
        system.token(&elsewhere),
        String::new(),
        "Bearer".to_owned(),
        "e30.e30.".to_owned(),
        "x".repeat(12_000),
    ];
    // A good token with one letter changed.
    tokens.extend((0..400).map(|_| {
        let mut bytes = good.clone().into_bytes();
        let place = random.random_range(0..bytes.len() - 2);
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    }));
    let address = format!("http://{}", system.address());
    let channel = tonic::transport::Endpoint::from_shared(address)
        .unwrap()
        .connect_lazy();
    for token in tokens
        .iter()
        .map(|token| Some(format!("Bearer {token}")))
        .chain([None, Some("Basic eDp5".to_owned())])
    {
        let mut client =
            proto::eldercare::registry::v1::registry_service_client::RegistryServiceClient::new(
                channel.clone(),
            );
        let mut request = Request::new(RegisterElderRequest {
            ..an_elder("林四")
        });
        if let Some(token) = &token {
            request
                .metadata_mut()
                .insert("authorization", token.parse().unwrap());
        }
        let refused = client.register_elder(request).await.unwrap_err();
        is_typed(&refused, "a token");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }

    // Known, but not for this.
    let clerk = || {
        Claims::officer("li", "civil_affairs")
            .role("clerk")
            .purpose("visits")
    };
    let callers = [
        (clerk().division("350525"), "DIVISION_OUT_OF_REACH"),
        (
            Claims::officer("wang", "health")
                .division("*")
                .role("clerk")
                .purpose("x"),
            "ACTION_NOT_PERMITTED",
        ),
        (clerk(), "ACTION_NOT_PERMITTED"),
    ];
    for (claims, expected) in callers {
        let caller: Caller = system.caller(&claims);
        let refused = caller
            .registry()
            .register_elder(an_elder("林五"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        is_typed(&refused, expected);
    }
    let clerk = system.caller(&clerk().division("*"));
    let erase = EraseElderRequest {
        request_id: Uuid::new_v4().to_string(),
        elder_id: elder_id.clone(),
        reason: "ASKED".to_owned(),
        ..Default::default()
    };
    let refused = clerk.registry().erase_elder(erase).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "ACTION_NOT_PERMITTED")
    );
    let silent = system.caller(&Claims {
        purpose: None,
        ..officer()
    });
    let get = GetElderRequest {
        elder_id: elder_id.clone(),
        ..Default::default()
    };
    let refused = silent.registry().get_elder(get).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    let keys = proto::eldercare::registry::v1::GetKeysRequest {
        elder_ids: vec![elder_id],
    };
    let refused = system.officer().vault().get_keys(keys).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::PermissionDenied,
        "no officer ever holds a key"
    );

    // Methods that there aren't, and a message beyond all bounds.
    for path in [
        "/eldercare.registry.v1.RegistryService/DropElders",
        "/x/y",
        "/eldercare.visits.v1.VisitService/ListVisitors",
    ] {
        is_no_method(system.officer().channel(), path).await;
    }
    let huge = ListEldersRequest {
        division_code: "3".repeat(5 << 20),
        ..Default::default()
    };
    let refused = system.registry().list_elders(huge).await.unwrap_err();
    is_typed(&refused, "a message of 5 MiB");
    assert_eq!(reason(&refused), "MESSAGE_TOO_LARGE");
    assert!(
        system
            .registry()
            .list_divisions(ListDivisionsRequest::default())
            .await
            .is_ok()
    );
    assert_eq!(written(&system).await, before);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_learns_nothing_of_visits() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let elder_id = system.register(an_elder("林六")).await;
    let visitor = visitor(&system, "王六").await;
    let record = a_visit(&visitor, &elder_id, "2024-10-01T08:00:00+08:00");
    system.settled().await;
    let before = written(&system).await;

    // Without a token, or with one of somebody else's.
    let address = format!("http://{}", system.address_of_visits());
    let endpoint = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut nobody = VisitServiceClient::new(endpoint.connect_lazy());
    let stranger = format!("Bearer {}", TokenIssuer::generate().issue(&officer()));
    for token in [None, Some(stranger), Some("Bearer x".to_owned())] {
        let mut request = Request::new(a_visitor("王七"));
        if let Some(token) = &token {
            request
                .metadata_mut()
                .insert("authorization", token.parse().unwrap());
        }
        let refused = nobody.register_visitor(request).await.unwrap_err();
        is_typed(&refused, "a token");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }

    // Known, but not for this.
    let clerk = || {
        Claims::officer("li", "civil_affairs")
            .role("clerk")
            .purpose("visits")
    };
    let refused_to = async |claims: &Claims, record: &RecordVisitRequest| {
        let caller = system.caller(claims);
        let refused = caller.visits().record_visit(record.clone()).await;
        let refused = refused.unwrap_err();
        is_typed(&refused, "a record");
        (refused.code(), reason(&refused))
    };
    let recorded = RecordVisitRequest {
        record: Some(record.clone()),
        min_position: String::new(),
    };
    for (claims, expected) in [
        (clerk().division("350525"), "DIVISION_OUT_OF_REACH"),
        (
            Claims::officer("wang", "health")
                .division("*")
                .role("clerk")
                .purpose("x"),
            "ACTION_NOT_PERMITTED",
        ),
        (clerk(), "ACTION_NOT_PERMITTED"),
    ] {
        assert_eq!(
            refused_to(&claims, &recorded).await,
            (Code::PermissionDenied, expected.to_owned())
        );
    }
    // In a stream each record of another county is refused by itself.
    let elsewhere = system.caller(&clerk().division("350525"));
    let sent = tokio_stream::iter(visiting::messages(&[record.clone(), record], ""));
    let mut answers = elsewhere.visits().record_visits(sent).await.unwrap();
    let mut told = Vec::new();
    while let Some(answer) = answers.get_mut().message().await.unwrap() {
        told.push(visiting::in_words(&answer.outcome.unwrap()));
    }
    assert_eq!(told, ["INVALID DIVISION_OUT_OF_REACH"; 2]);
    let register = RegisterVisitorRequest {
        ..a_visitor("王八")
    };
    let refused = elsewhere.visits().register_visitor(register).await;
    assert_eq!(reason(&refused.unwrap_err()), "DIVISION_OUT_OF_REACH");

    // A clerk records, and neither decides, nor exports, nor has a county start.
    let clerk = system.caller(&clerk().division("*"));
    let confirm = ConfirmRecordRequest {
        request_id: Uuid::new_v4().to_string(),
        record_id: Uuid::new_v4().to_string(),
        min_position: String::new(),
    };
    let start = StartVisitingRequest {
        request_id: Uuid::new_v4().to_string(),
        division_code: county::COUNTY.to_owned(),
        on: Some(date("2024-10-01")),
    };
    let export = ExportRecordsRequest {
        whose: Some(Whose::ElderId(elder_id.clone())),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-01")),
        min_position: String::new(),
    };
    let refusals = [
        clerk.visits().confirm_record(confirm).await.err(),
        clerk.visits().start_visiting(start).await.err(),
        clerk.visits().export_records(export).await.err(),
    ];
    for refused in refusals {
        let refused = refused.expect("a clerk may not");
        is_typed(&refused, "what a clerk may not");
        assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED", "{refused}");
    }

    // Figures are everybody's; who stands behind them is told to those who say what for.
    let planner = system.caller(
        &Claims::officer("zhao", "finance")
            .division("*")
            .role("viewer"),
    );
    let mut coverage = GetCoverageRequest {
        division_code: county::COUNTY.to_owned(),
        ..GetCoverageRequest::default()
    };
    assert!(
        planner
            .visits()
            .get_coverage(coverage.clone())
            .await
            .is_ok()
    );
    coverage.elders = CoverageElders::ToVisit.into();
    let refused = planner.visits().get_coverage(coverage.clone()).await;
    assert_eq!(reason(&refused.unwrap_err()), "ACTION_NOT_PERMITTED");
    let silent = system.caller(&Claims {
        purpose: None,
        ..officer()
    });
    let visits = GetElderVisitsRequest {
        elder_id,
        ..GetElderVisitsRequest::default()
    };
    let refused = silent.visits().get_elder_visits(visits).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    let refused = silent.visits().get_coverage(coverage).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");

    for path in [
        "/eldercare.visits.v1.VisitService/DropVisits",
        "/eldercare.registry.v1.RegistryService/ListDivisions",
    ] {
        is_no_method(system.officer().channel_to_visits(), path).await;
    }
    assert_eq!(written(&system).await, before);
    still_works(&mut system).await;
}
