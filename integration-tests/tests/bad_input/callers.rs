//! Callers whom nobody knows, who may not do what they ask, or who ask for what there isn't.

use alerts::codec::write_policy;
use bytes::Bytes;
use integration_tests::{
    Setup, System, an_elder,
    callers::{Authorised, Caller},
    county, date,
    elders::VILLAGE,
    homes::{self, a_call, a_device, a_recipient},
    new_id, officer,
    process::Part,
    reason,
    visiting::{self, a_visit, a_visitor, record_alone, visitor},
};
use proto::eldercare::{
    alerts::v1::{
        AcknowledgeAlertRequest, AlertPolicy, AwayReason, GetAlertRequest,
        GetResponseFiguresRequest, ListAlertsRequest, ListDevicesRequest, ListRecipientsRequest,
        MarkAwayRequest, PublishAlertPolicyRequest, RaiseAlertRequest, RecipientRole,
        RetireDeviceRequest, WatchAlertsRequest, alert_service_client::AlertServiceClient,
    },
    registry::v1::{
        EraseElderRequest, GetElderRequest, GetKeysRequest, ListDivisionsRequest,
        ListEldersRequest, registry_service_client::RegistryServiceClient,
    },
    visits::v1::{
        ConfirmRecordRequest, CoverageElders, ExportRecordsRequest, GetCoverageRequest,
        GetElderVisitsRequest, StartVisitingRequest, export_records_request::Whose,
        visit_service_client::VisitServiceClient,
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use service::{Claims, TokenIssuer};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

use super::{is_typed, send, still_works};

mod claims;
mod every_method;

/// A line on which no token is shown.
fn bare_line(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    endpoint.unwrap().connect_lazy()
}

/// A request with these words where the token belongs.
fn bearing<M>(message: M, words: Option<&str>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(words) = words {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", words.parse().unwrap());
    }
    request
}

/// The refusal of a caller whom nobody knows.
fn is_unknown(refused: &Status) {
    is_typed(refused, "a token");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
}

/// A clerk of civil affairs who works on visits, for no division yet.
fn clerk() -> Claims {
    Claims::officer("li", "civil_affairs")
        .role("clerk")
        .purpose("visits")
}

/// Callers who are known and may not register or record anything in the county, and the reason.
fn who_may_not() -> [(Claims, &'static str); 3] {
    let of_health = Claims::officer("wang", "health")
        .division("*")
        .role("clerk")
        .purpose("x");
    [
        (clerk().division("350525"), "DIVISION_OUT_OF_REACH"),
        (of_health, "ACTION_NOT_PERMITTED"),
        (clerk(), "ACTION_NOT_PERMITTED"),
    ]
}

/// How those are refused who ask by its id for what they may not know of: to who works elsewhere there is none.
fn by_id(expected: &'static str, unknown: &'static str) -> (Code, &'static str) {
    match expected {
        "DIVISION_OUT_OF_REACH" => (Code::NotFound, unknown),
        other => (Code::PermissionDenied, other),
    }
}

/// An officer who does not say what for.
fn without_purpose(system: &System) -> Caller {
    system.caller(&Claims {
        purpose: None,
        ..officer()
    })
}

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
    let before = system.written().await;
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
    let mut nobody = RegistryServiceClient::new(bare_line(system.address_of(Part::Elders)));
    for words in tokens
        .iter()
        .map(|token| Some(format!("Bearer {token}")))
        .chain([None, Some("Basic eDp5".to_owned())])
    {
        let request = bearing(an_elder("林四"), words.as_deref());
        is_unknown(&nobody.register_elder(request).await.unwrap_err());
    }

    // Known, but not for this.
    for (claims, expected) in who_may_not() {
        let mut registry = system.caller(&claims).registry();
        let refused = registry.register_elder(an_elder("林五")).await;
        let refused = refused.unwrap_err();
        is_typed(&refused, "an elder");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, expected)
        );
    }
    let clerk = system.caller(&clerk().division("*"));
    let erase = EraseElderRequest {
        request_id: new_id(),
        elder_id: elder_id.clone(),
        reason: "ASKED".to_owned(),
        ..Default::default()
    };
    let refused = clerk.registry().erase_elder(erase).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "ACTION_NOT_PERMITTED")
    );
    let silent = without_purpose(&system);
    let get = GetElderRequest {
        elder_id: elder_id.clone(),
        ..Default::default()
    };
    let refused = silent.registry().get_elder(get).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    let keys = GetKeysRequest {
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
        is_no_method(system.officer().channel(Part::Elders), path).await;
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
    assert_eq!(system.written().await, before);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_learns_nothing_of_visits() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let elder_id = system.register(an_elder("林六")).await;
    let visitor = visitor(&system, "王六").await;
    let record = a_visit(&visitor, &elder_id, "2024-10-01T08:00:00+08:00");
    system.settled().await;
    let before = system.written().await;

    // Without a token, or with one of somebody else's.
    let mut nobody = VisitServiceClient::new(bare_line(system.address_of(Part::Visits)));
    let stranger = format!("Bearer {}", TokenIssuer::generate().issue(&officer()));
    for words in [None, Some(stranger.as_str()), Some("Bearer x")] {
        let request = bearing(a_visitor("王七"), words);
        is_unknown(&nobody.register_visitor(request).await.unwrap_err());
    }

    // Known, but not for this.
    for (claims, expected) in who_may_not() {
        let refused = record_alone(system.caller(&claims).visits(), &record, "").await;
        let refused = refused.unwrap_err();
        is_typed(&refused, "a record");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            by_id(expected, "ELDER_NOT_FOUND")
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
    assert_eq!(told, ["INVALID ELDER_NOT_FOUND"; 2]);
    let refused = elsewhere.visits().register_visitor(a_visitor("王八")).await;
    assert_eq!(reason(&refused.unwrap_err()), "DIVISION_OUT_OF_REACH");

    // A clerk records, and neither decides, nor exports, nor has a county start.
    let clerk = system.caller(&clerk().division("*"));
    let confirm = ConfirmRecordRequest {
        request_id: new_id(),
        record_id: new_id(),
        min_position: String::new(),
    };
    let start = StartVisitingRequest {
        request_id: new_id(),
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
    let silent = without_purpose(&system);
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
        is_no_method(system.officer().channel(Part::Visits), path).await;
    }
    assert_eq!(system.written().await, before);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_learns_nothing_of_alerts() {
    let mut system = System::start_with(Setup::with_alerts()).await;
    let elder_id = system.register(an_elder("林七")).await;
    homes::device(&system, "SB0001", &elder_id).await;
    let alert_id = homes::raised(&system, &a_call(&elder_id)).await;
    let before = system.written().await;

    // Without a token, or with one of somebody else's.
    let mut nobody = AlertServiceClient::new(bare_line(system.address_of(Part::Alerts)));
    let stranger = format!("Bearer {}", TokenIssuer::generate().issue(&officer()));
    for words in [None, Some(stranger.as_str()), Some("Bearer x")] {
        let request = bearing(a_call(&elder_id), words);
        is_unknown(&nobody.raise_alert(request).await.unwrap_err());
        let signals = bearing(tokio_stream::iter([]), words);
        is_unknown(&nobody.ingest_signals(signals).await.unwrap_err());
    }

    // Known, but not for this.
    let acknowledge = || AcknowledgeAlertRequest {
        request_id: new_id(),
        alert_id: alert_id.clone(),
    };
    let away = || MarkAwayRequest {
        request_id: new_id(),
        elder_id: elder_id.clone(),
        reason: AwayReason::Family.into(),
    };
    let retire = || RetireDeviceRequest {
        request_id: new_id(),
        device_id: "SB0001".to_owned(),
    };
    for (claims, expected) in who_may_not() {
        let mut alerts = system.caller(&claims).alerts();
        let device = a_device("SB0002", &elder_id);
        let recipient = a_recipient(RecipientRole::GridWorker, "林八");
        // Those without a word for what is unknown name a division.
        let refusals = [
            (alerts.raise_alert(a_call(&elder_id)).await.err(), None),
            (alerts.register_recipient(recipient).await.err(), None),
            (
                alerts.acknowledge_alert(acknowledge()).await.err(),
                Some("ALERT_NOT_FOUND"),
            ),
            (
                alerts.register_device(device).await.err(),
                Some("ELDER_NOT_FOUND"),
            ),
            (
                alerts.retire_device(retire()).await.err(),
                Some("DEVICE_NOT_FOUND"),
            ),
            (
                alerts.mark_away(away()).await.err(),
                Some("ELDER_NOT_FOUND"),
            ),
        ];
        for (refused, unknown) in refusals {
            let refused = refused.expect("it is not theirs");
            is_typed(&refused, "a command of alerts");
            let named = (Code::PermissionDenied, expected);
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                unknown.map_or(named, |unknown| by_id(expected, unknown))
            );
        }
    }
    // Who names a village of their own has nobody of elsewhere called for.
    let elsewhere = system.caller(&clerk().division("350525").role("viewer"));
    let call = RaiseAlertRequest {
        division_code: "350525100001".to_owned(),
        ..a_call(&elder_id)
    };
    let refused = elsewhere.alerts().raise_alert(call).await.unwrap_err();
    assert_eq!(reason(&refused), "ELDER_NOT_FOUND");

    // A clerk records, and sets no rules.
    let clerk = system.caller(&clerk().division("*"));
    let publish = PublishAlertPolicyRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        policy: Some(rules()),
    };
    let refused = clerk.alerts().publish_alert_policy(publish).await;
    let refused = refused.unwrap_err();
    is_typed(&refused, "what a clerk may not");
    assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED", "{refused}");

    // Figures are everybody's; who stands behind them is told to civil affairs there, who say what for.
    let planner = system.caller(
        &Claims::officer("zhao", "finance")
            .division("*")
            .role("viewer"),
    );
    let figures = GetResponseFiguresRequest {
        division_code: county::COUNTY.to_owned(),
        first_day: Some(date("2024-10-01")),
        last_day: Some(date("2024-10-01")),
        min_position: String::new(),
    };
    assert!(planner.alerts().get_response_figures(figures).await.is_ok());
    let silent = without_purpose(&system);
    for (caller, expected) in [
        (planner, "ACTION_NOT_PERMITTED"),
        (silent, "PURPOSE_REQUIRED"),
        (elsewhere, "DIVISION_OUT_OF_REACH"),
    ] {
        let mut alerts = caller.alerts();
        let division_code = || VILLAGE.to_owned();
        let devices = ListDevicesRequest {
            division_code: division_code(),
            ..ListDevicesRequest::default()
        };
        let list = ListAlertsRequest {
            division_code: division_code(),
            ..ListAlertsRequest::default()
        };
        let get = GetAlertRequest {
            alert_id: alert_id.clone(),
            ..GetAlertRequest::default()
        };
        let watch = WatchAlertsRequest {
            division_code: division_code(),
            ..WatchAlertsRequest::default()
        };
        let recipients = ListRecipientsRequest {
            division_code: division_code(),
            ..ListRecipientsRequest::default()
        };
        let (_, unknown) = by_id(expected, "ALERT_NOT_FOUND");
        let refusals = [
            (alerts.list_devices(devices).await.err(), expected),
            (alerts.list_alerts(list).await.err(), expected),
            (alerts.get_alert(get).await.err(), unknown),
            (alerts.watch_alerts(watch).await.err(), expected),
            (alerts.list_recipients(recipients).await.err(), expected),
        ];
        for (refused, expected) in refusals {
            let refused = refused.expect("it is not theirs");
            is_typed(&refused, "a question to alerts");
            assert_eq!(reason(&refused), expected, "{refused}");
        }
    }

    for path in [
        "/eldercare.alerts.v1.AlertService/DropAlerts",
        "/eldercare.registry.v1.RegistryService/ListDivisions",
    ] {
        is_no_method(system.officer().channel(Part::Alerts), path).await;
    }
    assert_eq!(system.written().await, before);
    still_works(&mut system).await;
}

/// The system's own rules of alerts.
fn rules() -> AlertPolicy {
    write_policy(&alerts::alert_policy::AlertPolicy::default())
}
