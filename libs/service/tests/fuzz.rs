//! Tokens of callers and of pages as nobody has issued them: refused, and in words that do not repeat them.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey as _};
use fuzzing::assert_untold;
use serde_json::{Value, json};
use service::{
    List, PageBounds, TokenIssuer,
    auth::Authenticator,
    settings::Auth,
    testing::{anybody, reason},
};
use tonic::{Code, Status};

/// Who knows these issuers, and nobody else.
fn knowing(issuers: &[&TokenIssuer]) -> Authenticator {
    let auth = Auth {
        keys: issuers.iter().map(|issuer| issuer.public_key()).collect(),
        ..Auth::default()
    };
    Authenticator::new(&auth).unwrap()
}

fn is_refused(refused: &Status, token: &str) {
    assert_eq!(refused.code(), Code::Unauthenticated);
    let reason = reason(refused);
    assert!(
        ["TOKEN_INVALID", "TOKEN_EXPIRED"].contains(&reason.as_str()),
        "{reason}"
    );
    if token.len() > 20 {
        assert_untold(refused.message(), &[token]);
    }
}

/// Whatever stands in header and claims, under a signature that is good.
fn signed(issuer: &TokenIssuer, header: &str, claims: &str) -> String {
    let key = SigningKey::from_pkcs8_pem(issuer.private_pem().unwrap().expose()).unwrap();
    let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = parts.join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).to_bytes());
    format!("{message}.{signature}")
}

fn header_of(issuer: &TokenIssuer) -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": issuer.public_key().kid })
}

/// Good for an hour.
fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": "eldercare", "aud": ["weather", "eldercare"], "sub": "li", "kind": "officer", "department": "civil_affairs",
        "divisions": ["350524", "*"], "roles": ["clerk"], "name": "李", "purpose": "探访",
        "exp": now + 3_600, "nbf": now - 60, "iat": now - 60,
    })
}

#[test]
fn of_spoilt_tokens_only_those_that_are_as_they_were_are_let_in() {
    let issuers = [TokenIssuer::generate(), TokenIssuer::generate_es256()];
    let authenticator = knowing(&issuers.each_ref());
    let good = issuers.each_ref().map(|issuer| issuer.issue(&anybody()));
    fuzzing::text(&[&good[0], &good[1]], 2_000, |token| {
        match authenticator.verify(token) {
            Ok(identity) => {
                assert!(good.iter().any(|good| good == token), "{token}");
                assert_eq!(identity.subject, "test-officer");
            }
            Err(refused) => is_refused(&refused, token),
        }
    });
}

#[test]
fn claims_that_an_issuer_did_not_mean_are_refused_though_they_are_signed() {
    let issuer = TokenIssuer::generate();
    let (authenticator, header) = (knowing(&[&issuer]), header_of(&issuer).to_string());
    fuzzing::documents(&[claims()], 2_000, |claims| {
        let token = signed(&issuer, &header, claims);
        let identity = match authenticator.verify(&token) {
            Ok(identity) => identity,
            Err(refused) => return is_refused(&refused, claims),
        };
        let claims: Value = serde_json::from_str(claims).unwrap();
        assert_eq!(claims["iss"], "eldercare");
        let audience = &claims["aud"];
        let ours = json!("eldercare");
        let among = audience.as_array().is_some_and(|all| all.contains(&ours));
        assert!(*audience == ours || among, "{audience}");
        assert_eq!(claims["sub"], identity.subject.as_str());
        assert!(!identity.subject.is_empty() && !identity.department.is_empty());
        let now = chrono::Utc::now().timestamp();
        assert!(claims["exp"].as_i64().unwrap() > now - 60);
        assert!(
            claims["nbf"]
                .as_i64()
                .is_none_or(|before| before < now + 60)
        );
    });
}

#[test]
fn headers_that_name_another_algorithm_or_key_are_refused_though_they_are_signed() {
    let issuer = TokenIssuer::generate();
    let authenticator = knowing(&[&issuer]);
    let mut critical = header_of(&issuer);
    critical["crit"] = json!(["b64"]);
    let claims = claims().to_string();
    fuzzing::documents(&[header_of(&issuer), critical], 2_000, |header| {
        let token = signed(&issuer, header, &claims);
        match authenticator.verify(&token) {
            Ok(_) => {
                let header: Value = serde_json::from_str(header).unwrap();
                assert_eq!(header["alg"], "EdDSA");
                assert!(header["crit"].is_null(), "{header}");
                let kid = &header["kid"];
                // The one key there is, is meant where none is named.
                assert!(
                    kid.is_null() || *kid == issuer.public_key().kid.as_str(),
                    "{header}"
                );
            }
            Err(refused) => is_refused(&refused, header),
        }
    });
}

#[test]
fn tokens_of_pages_lead_to_their_own_list_alone() {
    let list = List::new("ListElders", b"370303");
    let (good, other) = (
        list.token(b"0192-last"),
        List::new("ListElders", b"37").token(b"0192-last"),
    );
    fuzzing::text(&[&good, &other], 3_000, |token| {
        match list.page(10, token, PageBounds::default()) {
            Ok(page) if token.is_empty() => assert_eq!(page.after, None),
            Ok(page) => {
                assert_eq!(token, good);
                assert_eq!(page.after.as_deref(), Some(&b"0192-last"[..]));
            }
            Err(violation) => {
                assert_eq!(violation.field, "page_token");
                assert_eq!(violation.reason, "PAGE_TOKEN_INVALID");
            }
        }
    });
}
