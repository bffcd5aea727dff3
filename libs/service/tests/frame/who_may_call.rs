//! Who is let in: a caller with a valid token, for methods that are declared, in divisions that it works for.

use crate::support::{Desk, FAR, READ, UNDECLARED, WAIT, call, reason, text};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use service::{
    Claims, TokenIssuer,
    testing::{anybody, settings},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

async fn refused(issuer: &TokenIssuer, token: &str) -> Status {
    let settings = settings(issuer);
    let running = Desk::new().serve(&settings).await;
    let status = call(running.channel_of(token), READ, text("370303"))
        .await
        .unwrap_err();
    running.stop().await.unwrap();
    status
}

fn assert_unknown(status: &Status, expected: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (Code::Unauthenticated, expected)
    );
}

#[tokio::test]
async fn a_caller_with_a_token_is_known_to_the_handler() {
    for issuer in [TokenIssuer::generate(), TokenIssuer::generate_es256()] {
        let settings = settings(&issuer);
        let running = Desk::new().serve(&settings).await;
        let channel = running.channel_of(&issuer.issue(&anybody()));
        // Twice: the second time the token is remembered.
        for _ in 0..2 {
            let actor = call(channel.clone(), READ, text("370303105201"))
                .await
                .unwrap();
            assert_eq!(actor, "officer:test-officer");
        }
        drop(channel);
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let status = call(running.channel(), READ, text("370303"))
        .await
        .unwrap_err();
    assert_unknown(&status, "TOKEN_MISSING");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_for_others_or_from_others_or_of_yesterday_are_refused() {
    let issuer = TokenIssuer::generate();
    let stranger = TokenIssuer::generate();
    let for_others = TokenIssuer::from_private_pem(issuer.private_pem().unwrap().expose()).unwrap();
    let from_others =
        TokenIssuer::from_private_pem(issuer.private_pem().unwrap().expose()).unwrap();
    let yesterday = anybody().valid_for(TimeDelta::days(-1));
    let mut tomorrow = anybody();
    tomorrow.nbf = Some((chrono::Utc::now() + TimeDelta::days(1)).timestamp());
    for (token, expected) in [
        (
            for_others.named("eldercare", "weather").issue(&anybody()),
            "TOKEN_INVALID",
        ),
        (
            from_others.named("somebody", "eldercare").issue(&anybody()),
            "TOKEN_INVALID",
        ),
        (stranger.issue(&anybody()), "TOKEN_INVALID"),
        (issuer.issue(&yesterday), "TOKEN_EXPIRED"),
        (issuer.issue(&tomorrow), "TOKEN_INVALID"),
        (issuer.issue(&anybody().division("12x")), "TOKEN_INVALID"),
        ("nonsense".to_owned(), "TOKEN_INVALID"),
        ("x".repeat(20_000), "TOKEN_INVALID"),
    ] {
        // The longest token does not even fit the headers that some servers accept.
        assert_unknown(
            &refused(&issuer, &token[..token.len().min(9_000)]).await,
            expected,
        );
    }
}

#[tokio::test]
async fn tokens_that_choose_their_own_algorithm_are_refused() {
    let issuer = TokenIssuer::generate();
    let good = issuer.issue(&anybody());
    let claims = good.split('.').nth(1).unwrap();
    let public = issuer.public_key();

    let header = |alg: &str| {
        URL_SAFE_NO_PAD.encode(format!(
            r#"{{"alg":"{alg}","typ":"JWT","kid":"{}"}}"#,
            public.kid
        ))
    };
    let unsigned = format!("{}.{claims}.", header("none"));
    assert_unknown(&refused(&issuer, &unsigned).await, "TOKEN_INVALID");

    // The public key taken for a shared secret.
    let mut hmac = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    hmac.kid = Some(public.kid.clone());
    let mut forged = anybody().valid_for(TimeDelta::hours(1));
    forged.iss = "eldercare".to_owned();
    forged.aud = service::auth::Audience::One("eldercare".to_owned());
    let secret = jsonwebtoken::EncodingKey::from_secret(public.pem.as_bytes());
    let forged = jsonwebtoken::encode(&hmac, &forged, &secret).unwrap();
    assert_unknown(&refused(&issuer, &forged).await, "TOKEN_INVALID");

    let mut altered = good.clone();
    altered.pop();
    assert_unknown(&refused(&issuer, &altered).await, "TOKEN_INVALID");
}

#[tokio::test]
async fn a_method_without_a_declared_action_is_refused_to_everybody() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let channel = running.channel_of(&issuer.issue(&anybody()));
    for method in [
        UNDECLARED,
        "/test.v1.Desk/NoSuchMethod",
        "/no.such.Service/Method",
    ] {
        let status = call(channel.clone(), method, text("")).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, "METHOD_NOT_DECLARED")
        );
    }
    drop(channel);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn callers_reach_their_divisions_and_roles_and_no_further() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let clerk = || {
        Claims::officer("li", "civil_affairs")
            .role("clerk")
            .division("370303")
            .purpose("home visits")
    };
    let health = Claims::officer("wang", "health")
        .role("viewer")
        .division("370303")
        .purpose("home visits");
    let system = |department: &str, role: &str| {
        Claims::system("system", department)
            .role(role)
            .division("*")
    };
    let silent = |claims: Claims| Claims {
        purpose: None,
        ..claims
    };
    for (claims, division, expected) in [
        (clerk(), "370303105201", None),
        (clerk(), "370304", Some("DIVISION_OUT_OF_REACH")),
        (clerk(), "37", Some("DIVISION_OUT_OF_REACH")),
        (health, "370303", Some("ACTION_NOT_PERMITTED")),
        (silent(clerk()), "370303", Some("PURPOSE_REQUIRED")),
        // Systems, too, those of the platform among them.
        (
            system("platform", "service").purpose("tiers"),
            "370303",
            None,
        ),
        (
            system("platform", "service"),
            "370303",
            Some("PURPOSE_REQUIRED"),
        ),
        (
            system("platform", "service").purpose(" "),
            "370303",
            Some("PURPOSE_REQUIRED"),
        ),
        (
            system("civil_affairs", "viewer").purpose("statistics"),
            "370303",
            None,
        ),
        (
            system("civil_affairs", "viewer"),
            "370303",
            Some("PURPOSE_REQUIRED"),
        ),
        // No purpose opens what no policy permits.
        (
            system("health", "viewer"),
            "370303",
            Some("ACTION_NOT_PERMITTED"),
        ),
    ] {
        let channel = running.channel_of(&issuer.issue(&claims));
        let outcome = call(channel, READ, text(division)).await;
        let told = outcome.as_ref().err().map(|status| {
            assert_eq!(status.code(), Code::PermissionDenied);
            reason(status)
        });
        assert_eq!(told.as_deref(), expected, "{claims:?} in {division}");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_refusal_names_a_division_only_to_who_named_it() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let clerk = Claims::officer("li", "civil_affairs")
        .role("clerk")
        .division("370303")
        .purpose("home visits");
    for (method, named) in [(READ, Some("370304")), (FAR, None)] {
        let channel = running.channel_of(&issuer.issue(&clerk));
        let status = call(channel, method, text("370304")).await.unwrap_err();
        assert_eq!(reason(&status), "DIVISION_OUT_OF_REACH");
        let told = status.get_details_error_info().unwrap().metadata;
        assert_eq!(told.get("division").map(String::as_str), named, "{method}");
        assert!(!status.message().contains("370304"));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_may_state_its_purpose_in_chinese() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let claims = Claims::officer("li", "civil_affairs")
        .role("clerk")
        .division("370303");
    let mut request = text("370303");
    request.metadata_mut().insert(
        "eldercare-purpose",
        "%E5%85%A5%E6%88%B7%E6%8E%A2%E8%AE%BF".parse().unwrap(),
    );
    let channel = running.channel_of(&issuer.issue(&claims));
    call(channel, READ, request).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn production_does_not_start_without_keys() {
    let mut settings = settings(&TokenIssuer::generate());
    settings.auth.keys.clear();
    settings.auth.mode = service::settings::Mode::Production;
    let error = Desk::new().server(&settings).bind().await.unwrap_err();
    assert!(error.to_string().contains("auth.keys"), "{error}");
}

#[tokio::test]
async fn reference_data_is_open_to_every_known_caller() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let desk = Desk::new();
    desk.released.add_permits(1);
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&issuer.issue(&Claims::officer("zhao", "fire_service")));
    assert_eq!(call(channel, WAIT, text("")).await.unwrap(), "done");
    running.stop().await.unwrap();
}
