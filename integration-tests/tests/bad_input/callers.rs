//! Callers whom nobody knows, who may not do what they ask, or who ask for what there isn't.

use bytes::Bytes;
use integration_tests::{System, an_elder, callers::Caller, officer, reason};
use proto::eldercare::registry::v1::{
    EraseElderRequest, GetElderRequest, ListDivisionsRequest, ListEldersRequest,
    RegisterElderRequest,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use service::{Claims, TokenIssuer};
use tonic::{Code, Request};
use uuid::Uuid;

use super::{is_typed, send, still_works, written};

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
        "/eldercare.visits.v1.VisitsService/GetVisit",
    ] {
        let refused = send(system.officer().channel(), path, vec![Bytes::new()])
            .await
            .unwrap_err();
        assert!(
            [Code::PermissionDenied, Code::Unimplemented].contains(&refused.code()),
            "{path}: {refused}"
        );
        assert!(!reason(&refused).is_empty(), "{path}: {refused}");
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
