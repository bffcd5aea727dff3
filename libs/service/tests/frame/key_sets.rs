//! Keys of an issuer that publishes them as a JSON Web Key Set.

use std::path::PathBuf;

use crate::support::{Desk, READ, call, reason, text};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use serde_json::{Value, json};
use service::{
    Settings, TokenIssuer,
    settings::{Algorithm, Mode},
    testing::{anybody, settings},
};
use tempfile::TempDir;

/// The issuer's public key as an issuer publishes it.
fn published(issuer: &TokenIssuer) -> Value {
    let public = issuer.public_key();
    match public.alg {
        Algorithm::EdDSA => {
            let key = ed25519_dalek::VerifyingKey::from_public_key_pem(&public.pem).unwrap();
            json!({
                "kty": "OKP", "crv": "Ed25519", "kid": public.kid, "use": "sig",
                "x": URL_SAFE_NO_PAD.encode(key.as_bytes()),
            })
        }
        Algorithm::ES256 => {
            let key = p256::ecdsa::VerifyingKey::from_public_key_pem(&public.pem).unwrap();
            let point = key.to_encoded_point(false);
            json!({
                "kty": "EC", "crv": "P-256", "kid": public.kid, "use": "sig",
                "x": URL_SAFE_NO_PAD.encode(point.x().unwrap()),
                "y": URL_SAFE_NO_PAD.encode(point.y().unwrap()),
            })
        }
    }
}

/// Production settings that know nobody but the issuers of this set.
fn settings_with(set: &str) -> (Settings, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("jwks.json");
    std::fs::write(&file, set).unwrap();
    let mut settings = settings(&TokenIssuer::generate());
    settings.auth.mode = Mode::Production;
    settings.auth.keys.clear();
    settings.auth.jwks_file = Some(file);
    (settings, folder)
}

async fn refused(settings: &Settings) -> String {
    let server = Desk::new().server(settings);
    server.bind().await.unwrap_err().to_string()
}

#[tokio::test]
async fn tokens_of_every_key_of_the_set_are_known() {
    let issuers = [TokenIssuer::generate(), TokenIssuer::generate_es256()];
    let set = json!({ "keys": issuers.each_ref().map(published) }).to_string();
    let (settings, _folder) = settings_with(&set);
    let running = Desk::new().serve(&settings).await;
    for issuer in &issuers {
        let channel = running.channel_of(&issuer.issue(&anybody()));
        assert_eq!(
            call(channel, READ, text("370303")).await.unwrap(),
            "officer:test-officer"
        );
    }
    let stranger = TokenIssuer::generate().issue(&anybody());
    call(running.channel_of(&stranger), READ, text("370303"))
        .await
        .unwrap_err();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_set_that_can_not_be_used_is_refused_at_the_start() {
    let issuer = TokenIssuer::generate();
    let rsa = json!({ "kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB" });
    let secret = json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" });
    let mut nameless = published(&issuer);
    nameless.as_object_mut().unwrap().remove("kid");
    let twice = [published(&issuer), published(&issuer)];
    for (set, told) in [
        (json!({ "keys": [rsa] }), "`old`"),
        (json!({ "keys": [secret] }), "`shared`"),
        (json!({ "keys": [nameless] }), "no `kid`"),
        (json!({ "keys": twice }), "two keys"),
        (json!({ "keys": [] }), "nobody could call"),
        (json!([]), "jwks.json"),
    ] {
        let (settings, _folder) = settings_with(&set.to_string());
        let error = refused(&settings).await;
        assert!(error.contains(told), "{error}");
    }
    let (mut settings, folder) = settings_with("{}");
    settings.auth.jwks_file = Some(folder.path().join("missing.json"));
    assert!(refused(&settings).await.contains("missing.json"));

    // A key of the set and one of `auth.keys` with the same name: which one is meant?
    let set = json!({ "keys": [published(&issuer)] }).to_string();
    let (mut settings, _folder) = settings_with(&set);
    settings.auth.keys = vec![issuer.public_key()];
    assert!(refused(&settings).await.contains("two keys"));
}

#[tokio::test]
async fn a_changed_set_is_read_again_and_half_a_set_changes_nothing() {
    let (old, new) = (TokenIssuer::generate(), TokenIssuer::generate());
    let set = |issuer: &TokenIssuer| json!({ "keys": [published(issuer)] }).to_string();
    let (mut settings, folder) = settings_with(&set(&old));
    settings.auth.reread = std::time::Duration::ZERO;
    let file = folder.path().join("jwks.json");
    let running = Desk::new().serve(&settings).await;
    let outcome = async |issuer: &TokenIssuer| {
        let channel = running.channel_of(&issuer.issue(&anybody()));
        let answer = call(channel, READ, text("370303")).await;
        answer.err().map(|status| reason(&status))
    };
    assert_eq!(outcome(&old).await, None);
    assert_eq!(outcome(&new).await.as_deref(), Some("TOKEN_INVALID"));
    std::fs::write(&file, "{").unwrap();
    assert_eq!(outcome(&old).await, None);
    std::fs::write(&file, set(&new)).unwrap();
    assert_eq!(outcome(&new).await, None);
    // Also a token that was verified before.
    assert_eq!(outcome(&old).await.as_deref(), Some("TOKEN_INVALID"));
    running.stop().await.unwrap();
}
