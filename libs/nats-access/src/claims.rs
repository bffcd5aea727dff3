//! The server's question whether somebody may connect, and our answer: JSON Web Tokens signed with the keys of NATS.
//!
//! They are described in NATS's architecture decision record 26 and its JWT library, version 2.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    admission::{Credentials, Grant, Protocol},
    keys::Issuer,
};

const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
const ALGORITHM: &str = "ed25519-nkey";
const QUESTION_FOR: &str = "nats-authorization-request";
const QUESTION: &str = "authorization_request";
const ANSWER: &str = "authorization_response";
const VERSION: u8 = 2;

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("no token of this form")]
    Malformed,
    #[error("not signed by the server that it names")]
    Signature,
    #[error("not meant for this issuer")]
    NotForUs,
    #[error("too late: the server has given up waiting")]
    Expired,
}

/// The server's question.
#[derive(Debug)]
pub(crate) struct Question {
    /// Under which our answer must name the user.
    user_key: String,
    /// The server's own id.
    server: String,
    /// When it stops waiting, in seconds since 1970.
    pub(crate) waits_until: i64,
    /// What somebody shows; none where they show no name and password, or are no client.
    pub(crate) credentials: Option<Credentials>,
}

impl Question {
    /// Reads and checks a question to `issuer`. The server's key is not known beforehand; that the token is signed by
    /// the server that it names says that nobody changed it on its way.
    pub(crate) fn read(token: &[u8], issuer: &str, now: i64) -> Result<Self, Unusable> {
        let claims = opened(token)?;
        if claims.aud != QUESTION_FOR || claims.nats.kind != QUESTION || claims.sub != issuer {
            return Err(Unusable::NotForUs);
        }
        if claims.exp <= now {
            return Err(Unusable::Expired);
        }
        let asked = claims.nats;
        let user = KeyPair::from_public_key(&asked.user_nkey).map_err(|_| Unusable::Malformed)?;
        if user.key_pair_type() != KeyPairType::User {
            return Err(Unusable::Malformed);
        }
        Ok(Self {
            credentials: shown(asked.connect_opts, asked.client_info),
            user_key: asked.user_nkey,
            server: claims.iss,
            waits_until: claims.exp,
        })
    }

    /// The answer that lets them in, to the account of this name.
    pub(crate) fn granted(
        &self,
        grant: &Grant,
        account: &str,
        issuer: &Issuer,
        now: i64,
    ) -> String {
        let user = signed(
            &Token {
                sub: &self.user_key,
                aud: account,
                name: Some(&grant.name),
                exp: grant
                    .expires_in
                    .map(|after| now.saturating_add_unsigned(after.as_secs().max(1))),
                nats: UserClaims::of(grant),
            },
            issuer,
            now,
        );
        self.answer(
            Answer {
                jwt: Some(user),
                ..Answer::default()
            },
            issuer,
            now,
        )
    }

    /// The answer that keeps them out.
    pub(crate) fn refused(&self, issuer: &Issuer, now: i64) -> String {
        let error = Some("not admitted");
        self.answer(
            Answer {
                error,
                ..Answer::default()
            },
            issuer,
            now,
        )
    }

    fn answer(&self, nats: Answer, issuer: &Issuer, now: i64) -> String {
        let (sub, aud) = (&self.user_key, &self.server);
        signed(
            &Token {
                sub,
                aud,
                name: None,
                exp: None,
                nats,
            },
            issuer,
            now,
        )
    }
}

/// Checks the signature of a server's token, and opens it.
fn opened(token: &[u8]) -> Result<QuestionClaims, Unusable> {
    let text = std::str::from_utf8(token).map_err(|_| Unusable::Malformed)?;
    let (signed, signature) = text.rsplit_once('.').ok_or(Unusable::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Unusable::Malformed)?;
    let header: Header = parsed(header)?;
    let claims: QuestionClaims = parsed(claims)?;
    let signature = decoded(signature)?;
    let server = KeyPair::from_public_key(&claims.iss).map_err(|_| Unusable::Malformed)?;
    let of_server = header.alg == ALGORITHM
        && server.key_pair_type() == KeyPairType::Server
        && claims.nats.server_id.id == claims.iss
        && server.verify(signed.as_bytes(), &signature).is_ok();
    if of_server {
        Ok(claims)
    } else {
        Err(Unusable::Signature)
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Unusable> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Unusable::Malformed)
}

fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Unusable> {
    serde_json::from_slice(&decoded(text)?).map_err(|_| Unusable::Malformed)
}

fn shown(options: ConnectOptions, client: ClientInformation) -> Option<Credentials> {
    // A leaf node would be a server with users of its own.
    if client.kind != "Client" {
        return None;
    }
    let protocol = match client.protocol.as_str() {
        "mqtt" => Protocol::Mqtt {
            client_id: client.mqtt_id,
        },
        "nats" | "websocket" => Protocol::Nats,
        _ => return None,
    };
    let (user, password) = (options.user, options.pass);
    (!user.is_empty() && !password.is_empty()).then_some(Credentials {
        user,
        password,
        protocol,
    })
}

fn signed<T: Serialize>(token: &Token<'_, T>, issuer: &Issuer, now: i64) -> String {
    let issued = Issued {
        jti: Uuid::new_v4().simple().to_string(),
        iat: now,
        iss: issuer.public_key(),
        token,
    };
    let claims = serde_json::to_vec(&issued).expect("claims are plain JSON");
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(HEADER),
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = BASE64_URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Serialize, Deserialize)]
struct QuestionClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nats: Asked,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    server_id: ServerId,
    user_nkey: String,
    #[serde(default)]
    client_info: ClientInformation,
    #[serde(default)]
    connect_opts: ConnectOptions,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct ServerId {
    id: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ClientInformation {
    kind: String,
    #[serde(rename = "type")]
    protocol: String,
    mqtt_id: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ConnectOptions {
    user: String,
    pass: String,
}

#[derive(Serialize)]
struct Issued<'a, T> {
    jti: String,
    iat: i64,
    iss: String,
    #[serde(flatten)]
    token: &'a T,
}

#[derive(Serialize)]
struct Token<'a, T> {
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    nats: T,
}

#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            jwt: None,
            error: None,
            kind: ANSWER,
            version: VERSION,
        }
    }
}

#[derive(Serialize)]
struct UserClaims<'a> {
    #[serde(rename = "pub")]
    publish: Subjects<'a>,
    #[serde(rename = "sub")]
    subscribe: Subjects<'a>,
    subs: i64,
    data: i64,
    payload: i64,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

/// The server takes an empty list of what is allowed as everything.
#[derive(Serialize)]
struct Subjects<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allow: &'a [String],
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    deny: &'a [&'a str],
}

impl<'a> Subjects<'a> {
    fn only(allow: &'a [String]) -> Self {
        let deny: &[&str] = if allow.is_empty() { &[">"] } else { &[] };
        Self { allow, deny }
    }
}

impl<'a> UserClaims<'a> {
    fn of(grant: &'a Grant) -> Self {
        Self {
            publish: Subjects::only(&grant.publish),
            subscribe: Subjects::only(&grant.subscribe),
            subs: -1,
            data: -1,
            payload: -1,
            kind: "user",
            version: VERSION,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_790_000_000;

    struct Server {
        key: KeyPair,
        user: String,
        issuer: Issuer,
    }

    impl Server {
        fn new() -> Self {
            Self {
                key: KeyPair::new_server(),
                user: KeyPair::new_user().public_key(),
                issuer: Issuer::generate(),
            }
        }

        fn claims(&self) -> Value {
            let server = self.key.public_key();
            json!({
                "iss": server, "sub": self.issuer.public_key(), "aud": QUESTION_FOR, "exp": NOW + 3,
                "nats": {
                    "server_id": { "id": server }, "user_nkey": self.user, "type": QUESTION,
                    "client_info": { "kind": "Client", "type": "mqtt", "mqtt_id": "smoke-1" },
                    "connect_opts": { "user": "smoke-1", "pass": "secret" },
                },
            })
        }

        fn ask(&self, claims: &Value) -> Result<Question, Unusable> {
            let token = self.token(claims);
            Question::read(token.as_bytes(), &self.issuer.public_key(), NOW)
        }

        fn token(&self, claims: &Value) -> String {
            let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
            let text = format!("{}.{}", part(HEADER), part(&claims.to_string()));
            let signature = self.key.sign(text.as_bytes()).unwrap();
            format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
        }
    }

    /// The claims of an answer, whose signature is the issuer's.
    fn claims(token: &str, issuer: &Issuer) -> Value {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = KeyPair::from_public_key(&issuer.public_key()).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        let (_, claims) = signed.split_once('.').unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    }

    #[test]
    fn a_question_tells_who_is_at_the_door() {
        let server = Server::new();
        let question = server.ask(&server.claims()).unwrap();
        let client_id = "smoke-1".to_owned();
        let expected = Credentials {
            user: "smoke-1".to_owned(),
            password: "secret".to_owned(),
            protocol: Protocol::Mqtt { client_id },
        };
        assert_eq!(question.credentials, Some(expected));
        assert_eq!(question.waits_until, NOW + 3);
    }

    #[test]
    fn a_question_that_is_not_the_servers_own_is_not_answered() {
        let server = Server::new();
        for (place, value, expected) in [
            ("/exp", json!(NOW), Unusable::Expired),
            ("/aud", json!("another"), Unusable::NotForUs),
            ("/nats/type", json!("user"), Unusable::NotForUs),
            (
                "/sub",
                json!(Issuer::generate().public_key()),
                Unusable::NotForUs,
            ),
            (
                "/iss",
                json!(KeyPair::new_server().public_key()),
                Unusable::Signature,
            ),
            ("/nats/server_id/id", json!("another"), Unusable::Signature),
            (
                "/nats/user_nkey",
                json!(server.key.public_key()),
                Unusable::Malformed,
            ),
        ] {
            let mut claims = server.claims();
            *claims.pointer_mut(place).unwrap() = value;
            assert_eq!(server.ask(&claims).unwrap_err(), expected, "{place}");
        }
        let (ours, another) = (server.token(&server.claims()), Server::new());
        let (signed, _) = ours.rsplit_once('.').unwrap();
        let signature = another.key.sign(signed.as_bytes()).unwrap();
        let forged = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        for text in [forged.as_str(), signed, "", "a.b.c"] {
            let read = Question::read(text.as_bytes(), &server.issuer.public_key(), NOW);
            assert!(read.is_err());
        }
    }

    #[test]
    fn who_shows_no_name_or_is_no_client_has_no_credentials() {
        let server = Server::new();
        for (place, value) in [
            ("/nats/client_info/kind", "Leafnode"),
            ("/nats/client_info/type", "another"),
            ("/nats/connect_opts/user", ""),
            ("/nats/connect_opts/pass", ""),
        ] {
            let mut claims = server.claims();
            *claims.pointer_mut(place).unwrap() = json!(value);
            assert_eq!(server.ask(&claims).unwrap().credentials, None, "{place}");
        }
    }

    #[test]
    fn what_is_not_granted_is_forbidden() {
        let server = Server::new();
        let question = server.ask(&server.claims()).unwrap();
        let mut grant = Grant::new("smoke-1");
        grant.publish = vec!["eldercare.signals.smoke-1".to_owned()];
        grant.expires_in = Some(std::time::Duration::from_secs(60));
        let answer = question.granted(&grant, "OUTSIDE", &server.issuer, NOW);
        let answer = claims(&answer, &server.issuer);
        assert_eq!(answer["aud"], server.key.public_key());
        assert_eq!(answer["sub"], server.user);
        let user = claims(answer["nats"]["jwt"].as_str().unwrap(), &server.issuer);
        assert_eq!(
            (&user["sub"], &user["aud"], &user["exp"]),
            (&json!(server.user), &json!("OUTSIDE"), &json!(NOW + 60))
        );
        assert_eq!(user["nats"]["pub"], json!({ "allow": grant.publish }));
        assert_eq!(user["nats"]["sub"], json!({ "deny": [">"] }));

        let refused = claims(&question.refused(&server.issuer, NOW), &server.issuer);
        assert_eq!(refused["nats"]["jwt"], Value::Null);
        assert_ne!(refused["nats"]["error"], Value::Null);
    }
}
