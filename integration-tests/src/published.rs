//! The published gRPC service configuration (`proto/service-config.json`), and calls that keep to it as gRPC's own libraries do: the
//! time of a method, its tries with the pauses between them, and no further ones where too many have failed.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, ConnectError, Status};

use crate::{process::Part, pulse::Pulse, sources};

/// How far a pause is longer or shorter than the configuration says: gRPC has all of them differ.
const JITTER: f64 = 0.2;

/// Where the machine stood still for a fourth of a call's time, it is to blame that no answer came.
const OF_THE_TIME: u32 = 4;

/// Whoever waits for a connection looks again after this time.
const A_MOMENT: Duration = Duration::from_millis(10);

/// The configuration, as one client keeps to it.
#[derive(Debug)]
pub struct Published {
    methods: BTreeMap<String, Method>,
    throttling: Throttling,
    /// What is left for further tries of what each part serves.
    tokens: Mutex<[f64; Part::ALL.len()]>,
    pulse: Pulse,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    retry_throttling: Throttling,
    method_config: Vec<MethodConfig>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Throttling {
    max_tokens: f64,
    token_ratio: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MethodConfig {
    name: Vec<Name>,
    timeout: Option<String>,
    #[serde(default)]
    wait_for_ready: bool,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    service: String,
    method: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: String,
    max_backoff: String,
    backoff_multiplier: f64,
    retryable_status_codes: Vec<String>,
}

/// What is said of a method.
#[derive(Debug, Clone)]
struct Method {
    served_by: Part,
    timeout: Option<Duration>,
    wait_for_ready: bool,
    retry: Option<Retry>,
}

#[derive(Debug, Clone)]
struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    multiplier: f64,
    codes: Vec<Code>,
}

impl Published {
    /// The configuration as it stands.
    pub fn read() -> Self {
        let file = sources().join("../proto/service-config.json");
        let file: File = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let of_all = file.method_config.iter().flat_map(|config| {
            let names = config.name.iter();
            names.map(move |name| {
                let full = format!("{}/{}", name.service, name.method);
                (full, config.of(Part::serving(&name.service)))
            })
        });
        Self {
            methods: of_all.collect(),
            throttling: file.retry_throttling,
            tokens: Mutex::new([file.retry_throttling.max_tokens; Part::ALL.len()]),
            pulse: Pulse::begin(),
        }
    }

    /// Whether the machine stood still for a good part of the time since then: what is late by that says nothing of the system.
    pub(crate) fn machine_stalled_since(&self, then: Instant) -> bool {
        let still = self.pulse.stood_still_since(then.into_std());
        still >= then.elapsed() / OF_THE_TIME
    }

    /// Calls a method, by its full name, and again as the configuration says; `asking` is told what is left of its time. What was
    /// refused before is added to `refused`.
    ///
    /// # Errors
    /// How it is refused in the end.
    pub async fn call<T, F>(
        &self,
        method: &str,
        asking: impl Fn(Option<Duration>) -> F,
        refused: &mut Vec<Status>,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let method = &self.methods[method];
        let tries = self.tries(method, asking, refused);
        match method.timeout {
            Some(time) => timeout(time, tries).await.unwrap_or_else(|_elapsed| {
                let late = format!("no answer within {time:?}");
                Err(Status::deadline_exceeded(late))
            }),
            None => tries.await,
        }
    }

    async fn tries<T, F>(
        &self,
        method: &Method,
        asking: impl Fn(Option<Duration>) -> F,
        refused: &mut Vec<Status>,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let began = Instant::now();
        let mut tried = 0;
        loop {
            let left = method.timeout;
            let left = left.map(|time| time.saturating_sub(began.elapsed()));
            let status = match asking(left).await {
                Ok(answer) => {
                    self.answered(method.served_by);
                    return Ok(answer);
                }
                Err(status) => status,
            };
            if method.wait_for_ready && was_not_connected(&status) {
                // It was not sent: that is no try.
                sleep(A_MOMENT).await;
                continue;
            }
            tried += 1;
            let retry = method.retry.as_ref();
            let Some(retry) = retry.filter(|retry| retry.codes.contains(&status.code())) else {
                return Err(status);
            };
            if !self.may_retry(method.served_by) || tried >= retry.attempts {
                return Err(status);
            }
            refused.push(status);
            sleep(retry.pause_after(tried)).await;
        }
    }

    /// A part has answered.
    fn answered(&self, part: Part) {
        let Throttling {
            max_tokens,
            token_ratio,
        } = self.throttling;
        let tokens = &mut self.tokens()[part as usize];
        *tokens = (*tokens + token_ratio).min(max_tokens);
    }

    /// A part has failed: whether it may be tried once more.
    fn may_retry(&self, part: Part) -> bool {
        let tokens = &mut self.tokens()[part as usize];
        *tokens = (*tokens - 1.0).max(0.0);
        *tokens > self.throttling.max_tokens / 2.0
    }

    fn tokens(&self) -> MutexGuard<'_, [f64; Part::ALL.len()]> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MethodConfig {
    fn of(&self, served_by: Part) -> Method {
        Method {
            served_by,
            timeout: self.timeout.as_deref().map(duration),
            wait_for_ready: self.wait_for_ready,
            retry: self.retry_policy.as_ref().map(RetryPolicy::read),
        }
    }
}

impl RetryPolicy {
    fn read(&self) -> Retry {
        let codes = self.retryable_status_codes.iter();
        Retry {
            attempts: self.max_attempts,
            first: duration(&self.initial_backoff),
            longest: duration(&self.max_backoff),
            multiplier: self.backoff_multiplier,
            codes: codes.map(|name| code(name)).collect(),
        }
    }
}

impl Retry {
    /// The pause after so many tries.
    fn pause_after(&self, tried: u32) -> Duration {
        let mut pause = self.first;
        for _ in 1..tried {
            pause = pause.mul_f64(self.multiplier).min(self.longest);
        }
        pause.mul_f64(rand::random_range(1.0 - JITTER..=1.0 + JITTER))
    }
}

/// Whether a call could not be sent since there was no connection.
fn was_not_connected(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// A duration as the configuration writes it, such as `0.2s`.
fn duration(text: &str) -> Duration {
    let seconds = text.strip_suffix('s').expect("a duration in seconds");
    Duration::from_secs_f64(seconds.parse().unwrap())
}

/// A code by the name that the configuration gives it, such as `UNAVAILABLE`.
fn code(name: &str) -> Code {
    let plain = |name: &str| name.replace('_', "").to_uppercase();
    let mut codes = (0..=16).map(Code::from_i32);
    let code = codes.find(|code| plain(&format!("{code:?}")) == plain(name));
    code.unwrap_or_else(|| panic!("there is no code {name}"))
}
