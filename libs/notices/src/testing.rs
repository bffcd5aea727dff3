//! A sample webhook receiver and a sample gateway, for tests: they do what is documented, or as badly as they are told.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use civic::NoticeChannel;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::{
    signature::SigningKey,
    webhook::{IDEMPOTENCY_KEY, KEY_ID, SIGNATURE, TIMESTAMP},
};

/// How far a webhook's timestamp may be from the receiver's clock, in seconds.
const FRESH: u64 = 5 * 60;

/// How a sample behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// As documented.
    Well,
    /// Answers with this status.
    Status(u16),
    /// Sends elsewhere (307).
    Redirect(String),
    /// Takes the request and never answers.
    Hangs,
    /// Answers 200, and never comes to what it has to say.
    HangsInAnswer,
    /// Answers 200, and never comes to an end.
    Endless,
    /// Answers 200 with this body.
    Says(String),
}

/// A genuine request, as a sample heard it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The idempotency key.
    pub key: Uuid,
    /// The channel; of a receiver it is WEBHOOK.
    pub channel: NoticeChannel,
    /// The number or user; of a receiver the path.
    pub to: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// All of the body.
    pub body: Value,
    /// The trace.
    pub traceparent: Option<String>,
    /// Whether the answer said that it was taken.
    pub taken: bool,
}

/// A server on this machine that hears notices; gone when it is dropped.
pub struct Sample {
    at: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    kind: Kind,
    manners: Mutex<Manners>,
    heard: watch::Sender<Vec<Heard>>,
}

struct Manners {
    usual: Manner,
    towards: BTreeMap<String, Manner>,
}

/// What the sample is, and how it knows who may tell it something.
enum Kind {
    Receiver { key_id: String, key: SigningKey },
    Gateway { token: String },
}

impl Sample {
    /// A receiver of webhooks that are signed with this key.
    ///
    /// # Errors
    /// No port is free, or the key is too short.
    pub async fn receiver(key_id: &str, signing_key: &str) -> io::Result<Self> {
        let key = SigningKey::new(signing_key)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a key of 32 bytes"))?;
        let key_id = key_id.to_owned();
        Self::start(Kind::Receiver { key_id, key }).await
    }

    /// A gateway of SMS, calls and pushes that is shown this token.
    ///
    /// # Errors
    /// No port is free.
    pub async fn gateway(token: &str) -> io::Result<Self> {
        let token = token.to_owned();
        Self::start(Kind::Gateway { token }).await
    }

    async fn start(kind: Kind) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let at = listener.local_addr()?;
        let shared = Arc::new(Shared {
            kind,
            manners: Mutex::new(Manners {
                usual: Manner::Well,
                towards: BTreeMap::new(),
            }),
            heard: watch::Sender::default(),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // It ends with its task alone.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            at,
            shared,
            serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Its URL with this path, such as `/duty-centre`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// From now on it behaves like this towards all of whom nothing else was said.
    pub fn behaves(&self, manner: Manner) {
        self.shared.manners().usual = manner;
    }

    /// From now on it behaves like this where this number, user or path is to be told.
    pub fn behaves_towards(&self, to: &str, manner: Manner) {
        self.shared.manners().towards.insert(to.to_owned(), manner);
    }

    /// Everything genuine that it heard so far, each attempt by itself.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.borrow().clone()
    }

    /// Waits until what it heard is enough. The caller sets the deadline.
    pub async fn until(&self, enough: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        let mut heard = self.shared.heard.subscribe();
        match heard.wait_for(|heard| enough(heard)).await {
            Ok(heard) => heard.clone(),
            // The sender lives in `self`.
            Err(_) => pending().await,
        }
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn manners(&self) -> std::sync::MutexGuard<'_, Manners> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manner_towards(&self, to: &str) -> Manner {
        let manners = self.manners();
        manners.towards.get(to).unwrap_or(&manners.usual).clone()
    }

    /// Puts it down, and gives the reference: the same for the same key.
    fn put_down(&self, heard: Heard) -> String {
        let mut reference = String::new();
        self.heard.send_modify(|all| {
            let first = all.iter().position(|known| known.key == heard.key);
            reference = format!("sample-{}", first.unwrap_or(all.len()) + 1);
            all.push(heard);
        });
        reference
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let heard = match &shared.kind {
        Kind::Receiver { key_id, key } => webhook(key_id, key, &uri, &headers, &body),
        Kind::Gateway { token } => handed_over(token, &headers, &body),
    };
    let mut heard = match heard {
        Ok(heard) => heard,
        Err(status) => return status.into_response(),
    };
    let manner = shared.manner_towards(&heard.to);
    heard.taken = manner == Manner::Well;
    let reference = shared.put_down(heard);
    match manner {
        Manner::Well => json!({ "reference": reference })
            .to_string()
            .into_response(),
        Manner::Status(status) => StatusCode::from_u16(status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response(),
        Manner::Redirect(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Manner::Hangs => pending().await,
        Manner::HangsInAnswer => {
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response()
        }
        Manner::Endless => {
            let piece = || Ok::<_, Infallible>(Bytes::from_static(&[b' '; 4_096]));
            Body::from_stream(stream::repeat_with(piece)).into_response()
        }
        Manner::Says(body) => body.into_response(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn traceparent(headers: &HeaderMap) -> Option<String> {
    text(headers, &HeaderName::from_static("traceparent")).map(str::to_owned)
}

/// A webhook whose signature holds, by the steps of [`crate::signature`].
fn webhook(
    key_id: &str,
    key: &SigningKey,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Heard, StatusCode> {
    #[derive(Deserialize)]
    struct Known {
        idempotency_key: Uuid,
        attempt: u32,
    }
    let signed = |name| text(headers, &name).ok_or(StatusCode::UNAUTHORIZED);
    let (timestamp, signature) = (signed(TIMESTAMP)?, signed(SIGNATURE)?);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let fresh = |time: u64| now.abs_diff(time) <= FRESH;
    if signed(KEY_ID)? != key_id
        || !key.is_genuine(timestamp, body, signature)
        || !timestamp.parse().is_ok_and(fresh)
    {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let known: Known = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(Heard {
        key: same_key(known.idempotency_key, headers)?,
        channel: NoticeChannel::Webhook,
        to: uri.path().to_owned(),
        attempt: known.attempt,
        body: serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?,
        traceparent: traceparent(headers),
        taken: false,
    })
}

/// What a gateway is handed over by somebody who knows the token.
fn handed_over(token: &str, headers: &HeaderMap, body: &Bytes) -> Result<Heard, StatusCode> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        idempotency_key: Uuid,
        channel: NoticeChannel,
        to: String,
        #[serde(rename = "text")]
        _text: String,
        language: String,
        attempt: u32,
    }
    if text(headers, &header::AUTHORIZATION) != Some(&format!("Bearer {token}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let known: Known = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    if known.language != "zh-CN" {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Heard {
        key: same_key(known.idempotency_key, headers)?,
        channel: known.channel,
        to: known.to,
        attempt: known.attempt,
        body: serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?,
        traceparent: traceparent(headers),
        taken: false,
    })
}

/// Header and body must name the same key.
fn same_key(key: Uuid, headers: &HeaderMap) -> Result<Uuid, StatusCode> {
    let said = text(headers, &IDEMPOTENCY_KEY).and_then(|said| said.parse().ok());
    (said == Some(key))
        .then_some(key)
        .ok_or(StatusCode::BAD_REQUEST)
}
