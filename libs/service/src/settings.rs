//! The settings that every service shares: where it listens, whom it trusts, where log and database are.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `grpc.listen` | `127.0.0.1:7000` | address and port to serve on; port 0 takes a free one |
//! | `grpc.max_message_bytes` | `4194304` | the largest message taken or given |
//! | `grpc.max_calls` | `512` | unary calls at work at once; more are shed with RESOURCE_EXHAUSTED. As many others wait after a start until the service is ready, and go to work then |
//! | `grpc.max_streams` | `1024` | streaming calls open at once, and waiting after a start; more are shed |
//! | `grpc.max_urgent_calls` | `256` | places beside `max_calls` that only urgent calls take (alerts, and the keys that `alerts` ask for to tell of them); these take others too, once their own are taken |
//! | `grpc.max_urgent_streams` | `1024` | the same beside `max_streams` (gateways of devices) |
//! | `grpc.default_deadline` | `10s` | for unary calls that come without a deadline |
//! | `grpc.max_deadline` | `60s` | the most that a unary call may ask for |
//! | `grpc.max_connection_age` | `30m` | connections are told to go elsewhere after this |
//! | `grpc.max_connection_age_grace` | `5m` | and closed this much later, whatever still runs on them |
//! | `grpc.max_streams_per_connection` | `256` | concurrent HTTP/2 streams of one connection |
//! | `grpc.keepalive_interval` | `60s` | a silent connection is pinged this often |
//! | `grpc.keepalive_timeout` | `20s` | and dropped without an answer in this time |
//! | `grpc.handshake_timeout` | `10s` | for a client's TLS handshake, and after it for the first words of HTTP/2 |
//! | `grpc.max_unread` | `2m` | an answer is ended (its stream is reset) of which its client takes no 16 KiB for so long, or which, being that of a unary call, it has not taken as a whole by then or the call's deadline, whichever comes later; and a connection closed on which it takes nothing at all |
//! | `grpc.trusted_proxies` | `[]` | whose `x-forwarded-for` says from where a call comes, which goes on record: addresses, networks (`10.0.0.0/8`), and `sidecar`, which is whoever calls from an address of the service's own (a mesh's proxy in its pod). It is the last address there that is no proxy of these; where none is named, or what stands there is no address, and of everybody else, it is the peer's. A proxy adds whom it has the call from behind what it finds there: one that passes on what callers write, and adds nothing, must not stand here |
//! | `grpc.reflection` | `true` | serve gRPC reflection |
//! | `grpc.tls.certificate`, `.key` | none | PEM files; without them the port is plain |
//! | `grpc.tls.client_ca` | none | PEM file of the authority that signs client certificates (mTLS) |
//! | `grpc.tls.client_certificate_optional` | `false` | serve clients without a certificate too (they then need a token) |
//! | `grpc.tls.reread` | `30s` | new certificates and keys in these files are noticed after this at the latest, for new connections |
//! | `nats.url` | `nats://127.0.0.1:4222` | server, or several separated by commas |
//! | `nats.credentials_file` | none | a NATS credentials file |
//! | `nats.user`, `nats.password` | none | instead of a credentials file |
//! | `nats.tls_ca` | none | PEM file of the authority that signs the server's certificate. With it or with a certificate to show, and where an address is `tls://`, nothing is said in plain |
//! | `nats.tls_certificate`, `nats.tls_key` | none | PEM files with what this service shows to the server (mTLS). These three are read again for each connection |
//! | `nats.replicas` | `1` | copies of each stream: 1 on one machine, 3 in a cluster |
//! | `nats.sync_always` | `false` | the server syncs each write (`sync_interval: always`): concurrent commands are then gathered into batches |
//! | `nats.create_streams` | `true` | a service makes its own streams where they are missing; in a cluster an operator makes them |
//! | `nats.inbox_prefix` | none | the prefix of inboxes that this service's NATS user may use |
//! | `postgres.url` | `postgres://127.0.0.1:5432/eldercare` | the database of this service. `?sslmode=verify-full&sslrootcert=FILE` asks for TLS with a server whose certificate is of that authority (or of a public one) and bears its name; `sslcert` and `sslkey` name what this service shows. The files are read again for each connection. Without `sslmode` a server is not verified, and one without TLS is spoken to in plain |
//! | `postgres.max_connections` | `16` | the most connections held |
//! | `telemetry.otlp_endpoint` | none | gRPC address of an OpenTelemetry collector (`http://collector:4317`); without it nothing is exported |
//! | `telemetry.metrics_interval` | `15s` | how often metrics are exported |
//! | `telemetry.sample_ratio` | `1.0` | share of new traces that are recorded, 0 to 1; a caller's decision prevails |
//! | `telemetry.log_format` | `human` | `human` or `json` (lines on standard error) |
//! | `telemetry.log_filter` | `info` | levels by module, as `info,registry=debug`; in the launcher `warn` |
//! | `telemetry.access_log` | `stderr` | where access records go, one JSON object a line, whatever `log_filter` says: `stderr`, `stdout` or a file that is appended to; in the launcher `access.ndjson` in its data folder |
//! | `telemetry.service_name` | the service's own | the name under which telemetry is exported |
//! | `auth.mode` | `production` | `local` only for one machine of one user: it permits the simulated clock |
//! | `auth.issuer` | `eldercare` | the `iss` that a token must bear |
//! | `auth.audience` | `eldercare` | the `aud` that a token must bear |
//! | `auth.leeway` | `30s` | how far the clocks of issuer and service may differ |
//! | `auth.keys` | none | public keys: `kid`, `alg` (`EdDSA` or `ES256`), `pem` |
//! | `auth.jwks_file` | none | a JSON Web Key Set with further public keys; read again when it changes |
//! | `auth.reread` | `10s` | changes of that file are noticed after this at the latest; tokens of keys that are gone are refused from then on |
//! | `auth.policy_file` | built in | Cedar policies: who may do what |
//! | `auth.certificates` | none | callers known by client certificate: `name` (URI or DNS name in the certificate), `subject`, `kind`, `department`, `divisions`, `roles`, `purpose` (what their calls are for, unless these say it) |
//! | `auth.service_token`, `auth.service_token_file` | none | the token that this service shows to its peers; its `purpose` goes on record where that is for keys. The file is read again when it changes; where it can't be read, the last token stays in use |
//! | `clock.as_of` | none | an instant at which the clock starts (RFC 3339); only in local mode |
//! | `clock.stopped` | `false` | the clock stands still and moves by `AdvanceClock` alone |
//! | `vault.algorithm` | `sm4-gcm` | how new data is sealed: `sm4-gcm` or `aes-256-gcm` |
//! | `vault.kek`, `vault.kek_id` | none, `kek_1` | the key-encryption key and its name |
//! | `vault.previous_keks` | none | former keys by name, while keys are being rewrapped |
//! | `vault.index_key`, `vault.index_key_id` | none, `index_1` | the key of lookups by ID number, of what recognises a retry, and of the passwords of devices and departments; and its name: a new key needs a new one |
//! | `vault.previous_index_keys` | none | former keys by name: what was registered under them is found by them, devices and departments keep their passwords, so they stay for ever |
//! | `vault.remembered_keys` | `50000` | keys of persons kept in memory, for ten minutes at most, some 2 KB each |
//! | `shutdown.delay` | `0s` | between "not ready" and closing the port, so that load balancers notice |
//! | `shutdown.grace` | `25s` | for calls in flight to finish; what is left is cut off |
//! | `peers.<service>` | none | gRPC addresses of the other services (`peers.registry = "http://registry:7000"`) |
//! | `peer_tls.ca` | none | PEM file of the authority that signs the other services' certificates; needed where their addresses are `https://` |
//! | `peer_tls.certificate`, `peer_tls.key` | none | PEM files with what this service shows to them (mTLS) |
//! | `peer_tls.reread` | `30s` | changes of these files are noticed after this at the latest, for new connections |
//!
//! Durations are written `250ms`, `30s`, `5m`, `2h` or `1d`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use crate::{caller::Kind, config::duration};
pub use crate::{
    proxies::{NoProxy, TrustedProxy},
    secret::{Address, Secret},
};

/// Settings common to all services; the table above has every key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The gRPC server.
    pub grpc: Grpc,
    /// The event log's server.
    pub nats: Nats,
    /// The database of read models.
    pub postgres: Postgres,
    /// Logs, traces and metrics.
    pub telemetry: Telemetry,
    /// Who callers are and what they may do.
    pub auth: Auth,
    /// The clock that domain code goes by.
    pub clock: Clock,
    /// Keys for sealing personal data.
    pub vault: Vault,
    /// How the service goes down.
    pub shutdown: Shutdown,
    /// Addresses of the other services, by name.
    pub peers: BTreeMap<String, String>,
    /// TLS towards the other services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_tls: Option<PeerTls>,
}

impl Settings {
    /// Whether this is one user's own machine: then only may the clock be set.
    pub fn is_local(&self) -> bool {
        self.auth.mode == Mode::Local
    }
}

/// Section `grpc`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// Address and port to serve on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The largest message taken or given, in bytes.
    pub max_message_bytes: usize,
    /// Unary calls at work at once.
    pub max_calls: usize,
    /// Streaming calls open at once.
    pub max_streams: usize,
    /// Unary calls at work at once beside these, which are urgent.
    pub max_urgent_calls: usize,
    /// Streaming calls open at once beside these, which are urgent.
    pub max_urgent_streams: usize,
    /// For unary calls without a deadline of their own.
    #[serde(with = "duration")]
    pub default_deadline: Duration,
    /// The most that a unary call may ask for.
    #[serde(with = "duration")]
    pub max_deadline: Duration,
    /// After this a connection's client is told to connect anew.
    #[serde(with = "duration")]
    pub max_connection_age: Duration,
    /// After this much more the connection is closed.
    #[serde(with = "duration")]
    pub max_connection_age_grace: Duration,
    /// Concurrent HTTP/2 streams of one connection.
    pub max_streams_per_connection: u32,
    /// How often a silent connection is pinged.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// How long the answer to a ping may take.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
    /// For a client's TLS handshake, and for its first words.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// After this an answer that its client does not take, or not as a whole, is ended, and a connection on which it takes
    /// nothing.
    #[serde(with = "duration")]
    pub max_unread: Duration,
    /// Whose word is taken for from where a call comes.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Whether reflection is served.
    pub reflection: bool,
    /// TLS, and mTLS with a client authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7000)),
            max_message_bytes: 4 * 1024 * 1024,
            max_calls: 512,
            max_streams: 1024,
            max_urgent_calls: 256,
            max_urgent_streams: 1024,
            default_deadline: Duration::from_secs(10),
            max_deadline: Duration::from_secs(60),
            max_connection_age: Duration::from_secs(30 * 60),
            max_connection_age_grace: Duration::from_secs(5 * 60),
            max_streams_per_connection: 256,
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            max_unread: Duration::from_secs(2 * 60),
            trusted_proxies: Vec::new(),
            reflection: true,
            tls: None,
        }
    }
}

/// Section `grpc.tls`: PEM files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that signs client certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients without a certificate are served too.
    #[serde(default)]
    pub client_certificate_optional: bool,
    /// How often the files are looked at for changes.
    #[serde(default = "reread", with = "duration")]
    pub reread: Duration,
}

/// Section `peer_tls`: PEM files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTls {
    /// The authority that signs the other services' certificates.
    pub ca: PathBuf,
    /// The certificate chain that this service shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How often the files are looked at for changes.
    #[serde(default = "reread", with = "duration")]
    pub reread: Duration,
}

fn reread() -> Duration {
    Duration::from_secs(30)
}

/// Section `nats`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// Server, or several separated by commas.
    pub url: Address,
    /// A NATS credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// User, instead of a credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// PEM file of the authority that signs the server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the certificate chain that this service shows to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Copies of each stream.
    pub replicas: usize,
    /// Whether the server syncs each write, so that concurrent commands are worth gathering.
    pub sync_always: bool,
    /// Whether a service makes its own streams where they are missing.
    pub create_streams: bool,
    /// The prefix of inboxes that this service's user may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox_prefix: Option<String>,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: Address::new("nats://127.0.0.1:4222"),
            credentials_file: None,
            user: None,
            password: None,
            tls_ca: None,
            tls_certificate: None,
            tls_key: None,
            replicas: 1,
            sync_always: false,
            create_streams: true,
            inbox_prefix: None,
        }
    }
}

/// How a service lets others in to the log's server, who are none of ours. Each section of this form says who.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsDoors {
    /// Seed of the key that signs our answers.
    pub issuer_seed: Secret,
    /// Seed of the key that opens sealed questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_seed: Option<Secret>,
    /// A user of the system account, who may close connections.
    pub system_user: String,
    /// Its password.
    pub system_password: Secret,
    /// After this whoever was let in shows the password again.
    #[serde(default = "a_day", with = "duration")]
    pub admitted_for: Duration,
}

impl NatsDoors {
    /// The way to the system account of the server that the services' own user reaches so.
    #[must_use]
    pub fn system(&self, nats: &Nats) -> Nats {
        Nats {
            credentials_file: None,
            user: Some(self.system_user.clone()),
            password: Some(self.system_password.clone()),
            inbox_prefix: None,
            ..nats.clone()
        }
    }
}

const fn a_day() -> Duration {
    Duration::from_secs(24 * 3_600)
}

/// Section `postgres`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// The database of this service.
    pub url: Address,
    /// The most connections held.
    pub max_connections: u32,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: Address::new("postgres://127.0.0.1:5432/eldercare"),
            max_connections: 16,
        }
    }
}

/// Section `telemetry`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// gRPC address of an OpenTelemetry collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// How often metrics are exported.
    #[serde(with = "duration")]
    pub metrics_interval: Duration,
    /// Share of new traces that are recorded, 0 to 1.
    pub sample_ratio: f64,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Levels by module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
    /// Where access records go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// The name under which telemetry is exported; the service's own if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            metrics_interval: Duration::from_secs(15),
            sample_ratio: 1.0,
            log_format: LogFormat::Human,
            log_filter: None,
            access_log: None,
            service_name: None,
        }
    }
}

/// Where access records go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum AccessLog {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// A file that is appended to; it may be moved away, and a restart begins a new one.
    File(PathBuf),
    /// Nowhere: for data that everybody knows, in a system that is gone when its command ends. No setting says so.
    Nowhere,
}

impl From<String> for AccessLog {
    fn from(text: String) -> Self {
        match text.as_str() {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            _ => Self::File(text.into()),
        }
    }
}

impl From<AccessLog> for String {
    fn from(log: AccessLog) -> Self {
        match log {
            AccessLog::Stderr => "stderr".to_owned(),
            AccessLog::Stdout => "stdout".to_owned(),
            AccessLog::File(path) => path.to_string_lossy().into_owned(),
            AccessLog::Nowhere => "/dev/null".to_owned(),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person; in colours on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Section `auth`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Local or production.
    pub mode: Mode,
    /// The `iss` that a token must bear.
    pub issuer: String,
    /// The `aud` that a token must bear.
    pub audience: String,
    /// How far the clocks of issuer and service may differ.
    #[serde(with = "duration")]
    pub leeway: Duration,
    /// Public keys of the issuer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PublicKey>,
    /// A JSON Web Key Set with further public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// How soon changes of the key set are noticed.
    #[serde(with = "duration")]
    pub reread: Duration,
    /// Cedar policies instead of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_file: Option<PathBuf>,
    /// Callers known by their client certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// The token that this service shows to its peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_token: Option<Secret>,
    /// The same in a file, which is read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_token_file: Option<PathBuf>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: Mode::Production,
            issuer: "eldercare".to_owned(),
            audience: "eldercare".to_owned(),
            leeway: Duration::from_secs(30),
            keys: Vec::new(),
            jwks_file: None,
            reread: Duration::from_secs(10),
            policy_file: None,
            certificates: Vec::new(),
            service_token: None,
            service_token_file: None,
        }
    }
}

/// Whether the system is one user's own or a department's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One machine of one user: the launcher issues tokens, and the clock can be set.
    Local,
    /// Everything else.
    Production,
}

/// A public key against which tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// The name by which a token's header calls the key (`kid`).
    pub kid: String,
    /// The one algorithm that the key is used with.
    pub alg: Algorithm,
    /// The key as PEM (`-----BEGIN PUBLIC KEY-----`).
    pub pem: String,
}

/// How a token is signed. Nothing else is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// A caller known by its client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// URI or DNS name in the certificate's subject alternative names.
    pub name: String,
    /// Who that is.
    pub subject: String,
    /// A system unless said otherwise.
    #[serde(default)]
    pub kind: Kind,
    /// The department that it works for.
    pub department: String,
    /// Its divisions; `*` is everywhere.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What its calls are for, unless they say otherwise: without a token to bear it, it stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// Section `clock`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clock {
    /// The instant at which the clock starts; real time if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<FixedOffset>>,
    /// Whether it stands still until it is moved.
    pub stopped: bool,
}

/// Section `vault`. Keys are base64 of 32 bytes (16 for SM4), read by `libs/vault`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vault {
    /// How new data is sealed: `sm4-gcm` or `aes-256-gcm`.
    pub algorithm: String,
    /// The key-encryption key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kek: Option<Secret>,
    /// Its name.
    pub kek_id: String,
    /// Former key-encryption keys by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub previous_keks: BTreeMap<String, Secret>,
    /// The key of lookups by ID number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_key: Option<Secret>,
    /// Its name.
    pub index_key_id: String,
    /// Former keys of lookups by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub previous_index_keys: BTreeMap<String, Secret>,
    /// Keys of persons kept in memory.
    pub remembered_keys: u64,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            algorithm: "sm4-gcm".to_owned(),
            kek: None,
            kek_id: "kek_1".to_owned(),
            previous_keks: BTreeMap::new(),
            index_key: None,
            index_key_id: "index_1".to_owned(),
            previous_index_keys: BTreeMap::new(),
            remembered_keys: 50_000,
        }
    }
}

/// Section `shutdown`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Between "not ready" and closing the port.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// For calls in flight to finish.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            grace: Duration::from_secs(25),
        }
    }
}
