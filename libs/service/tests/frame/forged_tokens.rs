//! Tokens that somebody made up, took from elsewhere or kept for too long: nobody is let in by one, whatever it claims.

use std::time::Duration;

use crate::support::{Desk, READ, call, reason, text};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use service::{
    Settings, TokenIssuer,
    testing::{Running, anybody, settings},
};
use tonic::{Code, Status};

async fn outcome(running: &Running, token: &str) -> Result<String, Status> {
    call(running.channel_of(token), READ, text("370303")).await
}

/// Shows each token, and asserts that it is refused for this reason.
async fn are_refused(settings: &Settings, tokens: &[(&str, String)], expected: &str) {
    let running = Desk::new().serve(settings).await;
    for (what, token) in tokens {
        let refused = outcome(&running, token).await.expect_err(what);
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unauthenticated, expected),
            "{what}"
        );
        assert!(!refused.message().contains(token.as_str()), "{what}");
    }
    running.stop().await.unwrap();
}

/// The issuer's key, to sign with it what the issuer never would.
fn key_of(issuer: &TokenIssuer) -> EncodingKey {
    let pem = issuer.private_pem().unwrap();
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.expose()).unwrap();
    EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes())
}

/// The issuer's public key as a token may bring it along.
fn published(issuer: &TokenIssuer) -> Jwk {
    let public = ed25519_dalek::VerifyingKey::from_public_key_pem(&issuer.public_key().pem);
    let point = URL_SAFE_NO_PAD.encode(public.unwrap().as_bytes());
    serde_json::from_value(json!({ "kty": "OKP", "crv": "Ed25519", "x": point })).unwrap()
}

fn header_of(issuer: &TokenIssuer) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(issuer.public_key().kid);
    header
}

/// All that a token must claim, good for an hour.
fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": "eldercare", "aud": "eldercare", "sub": "li", "kind": "officer", "department": "civil_affairs",
        "divisions": ["*"], "roles": ["clerk"], "purpose": "x", "exp": now + 3_600,
    })
}

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

#[tokio::test]
async fn what_is_signed_with_another_key_is_refused_whichever_it_names() {
    let (issuer, stranger) = (TokenIssuer::generate(), TokenIssuer::generate());
    let (key, forged) = (key_of(&issuer), key_of(&stranger));
    let settings = settings(&issuer);
    let genuine = Desk::new().serve(&settings).await;
    let good = signed(&header_of(&issuer), &claims(), &key);
    outcome(&genuine, &good).await.unwrap();
    genuine.stop().await.unwrap();

    let mut nameless = header_of(&issuer);
    nameless.kid = None;
    let mut brought_along = header_of(&issuer);
    brought_along.jwk = Some(published(&stranger));
    brought_along.jku = Some("https://127.0.0.1/keys".to_owned());
    let parts: Vec<&str> = good.split('.').collect();
    let other_claims =
        URL_SAFE_NO_PAD.encode(claims().to_string().replace("clerk", "administrator"));
    let tokens = [
        (
            "a stranger's key under its own name",
            signed(&header_of(&stranger), &claims(), &forged),
        ),
        (
            "a stranger's key under the issuer's name",
            signed(&header_of(&issuer), &claims(), &forged),
        ),
        (
            "a stranger's key without a name",
            signed(&nameless, &claims(), &forged),
        ),
        (
            "a key in the header",
            signed(&brought_along, &claims(), &forged),
        ),
        (
            "other claims under a good signature",
            [parts[0], &other_claims, parts[2]].join("."),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "no signature, and no dot",
            format!("{}.{}", parts[0], parts[1]),
        ),
        ("the signature alone", format!("..{}", parts[2])),
    ];
    are_refused(&settings, &tokens, "TOKEN_INVALID").await;
}

#[tokio::test]
async fn a_key_is_used_with_its_own_algorithm_alone() {
    let (issuer, other) = (TokenIssuer::generate(), TokenIssuer::generate_es256());
    let mut settings = settings(&issuer);
    settings.auth.keys.push(other.public_key());
    let public = issuer.public_key();
    let raw = ed25519_dalek::VerifyingKey::from_public_key_pem(&public.pem).unwrap();
    let mut tokens = Vec::new();
    // The public key, which everybody knows, taken for a shared secret: as it is published, and as it is kept.
    for secret in [public.pem.as_bytes(), raw.as_bytes()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = header_of(&issuer);
            header.alg = algorithm;
            let forged = signed(&header, &claims(), &EncodingKey::from_secret(secret));
            tokens.push(("a public key taken for a secret", forged));
        }
    }
    // Signed by one issuer, under the other's name.
    let borrowed = other.issue(&anybody());
    let body = borrowed.split_once('.').unwrap().1;
    for alg in ["EdDSA", "ES256", "none", "NONE", "nOnE", "RS256", ""] {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": public.kid }).to_string();
        tokens.push((
            "another's signature",
            format!("{}.{body}", URL_SAFE_NO_PAD.encode(&header)),
        ));
        let claims = URL_SAFE_NO_PAD.encode(claims().to_string());
        tokens.push((
            "no signature",
            format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(&header)),
        ));
    }
    // Of two keys none is meant where none is named.
    let mut nameless = header_of(&issuer);
    nameless.kid = None;
    tokens.push((
        "no key is named",
        signed(&nameless, &claims(), &key_of(&issuer)),
    ));
    are_refused(&settings, &tokens, "TOKEN_INVALID").await;
}

#[tokio::test]
async fn claims_that_are_missing_or_others_than_ours_are_refused() {
    let issuer = TokenIssuer::generate();
    let (header, key) = (header_of(&issuer), key_of(&issuer));
    let with = |claim: &str, value: Value| {
        let mut claims = claims();
        claims[claim] = value;
        signed(&header, &claims, &key)
    };
    let mut tokens = Vec::new();
    for missing in ["iss", "aud", "sub", "department", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        tokens.push((missing, signed(&header, &claims, &key)));
        tokens.push((missing, with(missing, Value::Null)));
        tokens.push((missing, with(missing, json!(""))));
        tokens.push((missing, with(missing, json!({}))));
    }
    let now = chrono::Utc::now().timestamp();
    for (claim, value) in [
        ("iss", json!("Eldercare")),
        ("iss", json!(["eldercare"])),
        ("aud", json!("eldercare.elsewhere")),
        ("aud", json!(["weather"])),
        ("aud", json!([])),
        ("exp", json!("2100-01-01")),
        ("exp", json!(1e300)),
        ("nbf", json!(now + 3_600)),
        ("nbf", json!("soon")),
        ("kind", json!("administrator")),
        ("divisions", json!(["3505241"])),
        ("divisions", json!("*")),
        ("roles", json!("clerk")),
    ] {
        tokens.push((claim, with(claim, value)));
    }
    let mut critical = header.clone();
    critical.crit = Some(vec!["b64".to_owned()]);
    tokens.push((
        "an extension that must be understood",
        signed(&critical, &claims(), &key),
    ));
    tokens.push((
        "more than is looked at",
        with("name", json!("李".repeat(3_000))),
    ));
    let settings = settings(&issuer);
    are_refused(&settings, &tokens, "TOKEN_INVALID").await;
    let late = [
        ("of yesterday", with("exp", json!(now - 86_400))),
        ("of the beginning", with("exp", json!(0))),
    ];
    are_refused(&settings, &late, "TOKEN_EXPIRED").await;
}

#[tokio::test]
async fn a_token_is_shown_as_a_bearers_and_in_no_other_way() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let token = issuer.issue(&anybody());
    for (words, expected) in [
        (format!("Bearer {token}"), None),
        (format!("bearer  {token} "), None),
        (token.clone(), Some("TOKEN_INVALID")),
        (format!("Basic {token}"), Some("TOKEN_INVALID")),
        (format!("Bearer{token}"), Some("TOKEN_INVALID")),
        (format!("Bearer {token} {token}"), Some("TOKEN_INVALID")),
        ("Bearer".to_owned(), Some("TOKEN_INVALID")),
        ("Bearer ".to_owned(), Some("TOKEN_INVALID")),
    ] {
        let mut request = text("370303");
        let metadata = request.metadata_mut();
        metadata.insert("authorization", words.parse().unwrap());
        let outcome = call(running.channel(), READ, request).await;
        let told = outcome.err().map(|status| reason(&status));
        assert_eq!(
            told.as_deref(),
            expected,
            "{}",
            &words[..7.min(words.len())]
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_captured_token_is_of_no_use_once_it_has_expired() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.auth.leeway = Duration::ZERO;
    let running = Desk::new().serve(&settings).await;
    let captured = issuer.issue(&anybody().valid_for(TimeDelta::seconds(3)));
    // It is remembered from here on, and its claims are not read again.
    outcome(&running, &captured).await.unwrap();
    let expired = async {
        loop {
            match outcome(&running, &captured).await {
                // Nothing but time makes it so.
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(refused) => break reason(&refused),
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), expired).await;
    assert_eq!(told.unwrap(), "TOKEN_EXPIRED");
    // Also to a process that has never seen it.
    let other = Desk::new().serve(&settings).await;
    let refused = outcome(&other, &captured).await.unwrap_err();
    assert_eq!(reason(&refused), "TOKEN_EXPIRED");
    other.stop().await.unwrap();
    running.stop().await.unwrap();
}
