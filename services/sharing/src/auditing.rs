//! Makes the chain over our own log (审计链), and signs its head at each full hour (late rather than never).
//!
//! One replica's reader is the active one. A head goes into the log expecting the last one that the reader has seen, so two
//! never sign one after the other for the same records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use eventlog::{
    Aggregate as _, AppendError, EventLog, Metadata, NewRecord, Position, RawMessage, ReadError,
    Repository,
};
use proto::eldercare::sharing::v1 as pb;
use readmodel::{Follower, HEARTBEAT, ReaderFailed, run_reader};
use service::{Clock, Lateness, Settings};
use sm3::{Digest as _, Sm3};
use sqlx::{Connection as _, PgConnection, PgExecutor, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit_chain::{self, BEGINNING, Head};
use crate::look::{AuditHeads, HeadSigned};
use crate::settings::SharingSettings;
use crate::sharing::Sharing;

/// The reader's name.
pub(crate) const NAME: &str = "sharing_audit";
/// The id of the aggregate of signed heads.
const HEADS: &str = "head";
/// Who signs.
const ACTOR: &str = "system:sharing";
/// How many messages are read in one go.
pub(crate) const PAGE: usize = 200;
/// Records come in numbers: the chain need not be kept for each.
const SOON: Duration = Duration::from_millis(100);
/// After another replica was first.
const AGAIN: Duration = Duration::from_millis(20);

/// What the key of local mode is made of.
const WELL_KNOWN: &str = "eldercare, local audit key";

/// The keys of signed heads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AuditKeys(Arc<Inner>);

struct Inner {
    signing: SigningKey,
    id: String,
    /// Public keys by name, PEM.
    public: BTreeMap<String, String>,
}

impl AuditKeys {
    /// Whether a service may start with these settings.
    ///
    /// # Errors
    /// Outside local mode, where there is no key, or the well-known one.
    pub(crate) fn check(settings: &Settings, own: &SharingSettings) -> anyhow::Result<()> {
        if settings.is_local() {
            return Ok(());
        }
        ensure!(
            own.audit.signing_key.is_some(),
            "`sharing.audit.signing_key` is missing: configure 32 random bytes in Base64"
        );
        let keys = Self::from_settings(own)?;
        ensure!(
            keys.0.signing.to_bytes() != well_known().to_bytes(),
            "`sharing.audit.signing_key` is the well-known one of local mode: configure 32 random bytes in Base64"
        );
        Ok(())
    }

    /// The keys of the settings; the well-known one where there is none.
    ///
    /// # Errors
    /// Where a key is malformed.
    pub(crate) fn from_settings(own: &SharingSettings) -> anyhow::Result<Self> {
        let audit = &own.audit;
        let signing = match &audit.signing_key {
            Some(key) => signing_key(key.expose()).context(
                "`sharing.audit.signing_key` is 32 random bytes in Base64, or an Ed25519 key in PKCS#8 PEM",
            )?,
            None => well_known(),
        };
        let mut public = audit.former_keys.clone();
        for (id, pem) in &public {
            audit_chain::public_key(pem)
                .with_context(|| format!("`sharing.audit.former_keys`: {id} is no public key"))?;
        }
        let pem = audit_chain::public_pem(&signing.verifying_key());
        let former = public.insert(audit.key_id.clone(), pem.context("write the public key")?);
        ensure!(
            former.is_none_or(|pem| audit_chain::public_key(&pem) == Some(signing.verifying_key())),
            "`sharing.audit.former_keys` has another key under the name of `sharing.audit.key_id`: a new key needs a new name"
        );
        Ok(Self(Arc::new(Inner {
            signing,
            id: audit.key_id.clone(),
            public,
        })))
    }
}

/// The key of local mode: everybody knows it.
fn well_known() -> SigningKey {
    SigningKey::from_bytes(&Sm3::digest(WELL_KNOWN).into())
}

fn signing_key(text: &str) -> Option<SigningKey> {
    if text.contains("-----BEGIN") {
        return SigningKey::from_pkcs8_pem(text).ok();
    }
    let seed = BASE64.decode(text.trim()).ok()?;
    let seed = <[u8; 32]>::try_from(seed).ok()?;
    Some(SigningKey::from_bytes(&seed))
}

/// How far the chain is made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    /// The last record in it.
    sequence: u64,
    head: Head,
    /// The last record that bears a signed head; 0 where there is none.
    head_record: u64,
    /// The last record that this head holds.
    through: u64,
    /// Since when there are records that no signed head holds, apart from that record.
    unsigned_since: Option<DateTime<Utc>>,
}

impl Chain {
    const NEW: Self = Self {
        sequence: 0,
        head: BEGINNING,
        head_record: 0,
        through: 0,
        unsigned_since: None,
    };

    /// As the table says.
    async fn kept(db: impl PgExecutor<'_>, stream: &str) -> Result<Self, sqlx::Error> {
        let row = sqlx::query(
            "SELECT sequence, head, head_record, through, unsigned_since FROM sharing_kept.audit_chain \
             WHERE stream = $1",
        )
        .bind(stream)
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(Self::NEW) };
        let head: &[u8] = row.try_get(1)?;
        let head = Head::try_from(head);
        Ok(Self {
            sequence: row.try_get::<i64, _>(0)?.cast_unsigned(),
            head: head.map_err(|_other| sqlx::Error::Decode("a row holds no head".into()))?,
            head_record: row.try_get::<i64, _>(2)?.cast_unsigned(),
            through: row.try_get::<i64, _>(3)?.cast_unsigned(),
            unsigned_since: row.try_get(4)?,
        })
    }

    async fn keep(&self, db: &mut PgConnection, stream: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO sharing_kept.audit_chain (stream, sequence, head, head_record, through, unsigned_since) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence, \
             head = excluded.head, head_record = excluded.head_record, through = excluded.through, \
             unsigned_since = excluded.unsigned_since",
        )
        .bind(stream)
        .bind(self.sequence.cast_signed())
        .bind(self.head.as_slice())
        .bind(self.head_record.cast_signed())
        .bind(self.through.cast_signed())
        .bind(self.unsigned_since)
        .execute(db)
        .await?;
        Ok(())
    }

    /// Takes in the next record.
    fn take(&mut self, record: &pb::AuditRecord, now: DateTime<Utc>) {
        self.head = audit_chain::link(&self.head, record);
        self.sequence = record.sequence.cast_unsigned();
        // A clock that was ahead puts nothing off.
        let at = time_of(record).unwrap_or(now).min(now);
        if record.subject == audit_chain::HEAD_SUBJECT {
            self.head_record = self.sequence;
        }
        match audit_chain::signed_head(record) {
            Some(signed) => {
                self.through = signed.sequence.cast_unsigned();
                // What came while it was signed.
                let all = self.head_record.checked_sub(1) == Some(self.through);
                self.unsigned_since = (!all).then_some(at);
            }
            None => {
                self.unsigned_since.get_or_insert(at);
            }
        }
    }

    /// When the head is to be signed; none where nothing came since it was.
    fn due(&self) -> Option<DateTime<Utc>> {
        let since = self.unsigned_since?;
        Some(hour_of(since) + TimeDelta::hours(1))
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due().is_some_and(|due| due <= now)
    }
}

/// The full hour before an instant.
fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

fn time_of(record: &pb::AuditRecord) -> Option<DateTime<Utc>> {
    let mut headers = record.headers.iter();
    let time = headers.find(|header| header.name == "ce-time")?;
    let time = DateTime::parse_from_rfc3339(&time.value).ok()?;
    Some(time.to_utc())
}

/// A message as it is chained and given out.
pub(crate) fn record_of(message: RawMessage) -> pb::AuditRecord {
    let headers = message.headers.into_iter();
    pb::AuditRecord {
        sequence: message.sequence.cast_signed(),
        subject: message.subject,
        headers: headers
            .map(|(name, value)| pb::AuditHeader { name, value })
            .collect(),
        body: message.body,
    }
}

/// Makes the chain and signs its head.
#[derive(Clone)]
pub(crate) struct Auditor {
    /// The database.
    pub(crate) pool: PgPool,
    /// Our own log.
    pub(crate) log: Arc<dyn EventLog>,
    /// The time.
    pub(crate) clock: Clock,
    /// Signs.
    pub(crate) keys: AuditKeys,
    /// Follows the read model of our own log, and so hears of new records.
    pub(crate) book: Follower,
}

impl Auditor {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let auditor = Arc::new(self);
        run_reader(&auditor.pool, NAME, &shutdown, |conn| {
            let auditor = Arc::clone(&auditor);
            async move { auditor.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        let mut chain = Chain::kept(&mut conn, self.log.stream()).await?;
        let last = self.log.last_sequence().await?;
        if last < chain.sequence {
            // A backup of the log was put back: what follows is chained to what is there.
            tracing::error!(
                last,
                chained = chain.sequence,
                "the log is shorter than its chain: it is chained anew"
            );
            chain = Chain::NEW;
        }
        let lateness = Lateness::of(NAME);
        loop {
            if self.advance(&mut chain, &mut conn).await? {
                continue;
            }
            let now = self.clock.now();
            if let Some(due) = chain.due().filter(|due| *due <= now) {
                self.sign(&chain).await?;
                lateness.done(due, now);
            } else {
                self.idle(&mut conn, &chain).await?;
            }
        }
    }

    /// Chains some new records; whether there were any.
    async fn advance(
        &self,
        chain: &mut Chain,
        db: &mut PgConnection,
    ) -> Result<bool, ReaderFailed> {
        let messages = self.log.messages(chain.sequence, PAGE).await?;
        if messages.is_empty() {
            return Ok(false);
        }
        let now = self.clock.now();
        for message in messages {
            let next = chain.sequence + 1;
            if message.sequence != next {
                // What was removed is not passed over.
                let (from, found) = (next, message.sequence);
                return Err(ReadError::Missing { from, found }.into());
            }
            chain.take(&record_of(message), now);
        }
        chain.keep(db, self.log.stream()).await?;
        Ok(true)
    }

    /// Waits for a new record or the full hour.
    async fn idle(&self, conn: &mut PgConnection, chain: &Chain) -> Result<(), ReaderFailed> {
        let deadline = Instant::now() + HEARTBEAT;
        let due = chain.due().unwrap_or(DateTime::<Utc>::MAX_UTC);
        let more = Position::new(self.book.stream(), chain.sequence + 1);
        tokio::select! {
            () = self.clock.sleep_until(due) => {}
            _ = self.book.wait_for(&more, deadline) => tokio::time::sleep(SOON).await,
        }
        if Instant::now() >= deadline {
            conn.ping().await?;
        }
        Ok(())
    }

    async fn sign(&self, chain: &Chain) -> Result<(), ReaderFailed> {
        let keys = &*self.keys.0;
        let signed = HeadSigned {
            sequence: chain.sequence,
            head: chain.head,
            key: keys.id.clone(),
            signature: audit_chain::sign(&keys.signing, chain.sequence, &chain.head),
        };
        let subject = Repository::<AuditHeads>::subject(HEADS).map_err(ReaderFailed::because)?;
        let record = NewRecord {
            subject,
            expected: chain.head_record,
            metadata: metadata(self.clock.now()),
            events: vec![AuditHeads::encode(&signed)],
        };
        match self.log.append(record).await {
            Ok(_) => Ok(()),
            // Another replica was first, or an answer was lost: the chain comes to that record now.
            Err(AppendError::Conflict { .. }) => {
                tokio::time::sleep(AGAIN).await;
                Ok(())
            }
            Err(error) => Err(ReaderFailed::because(error)),
        }
    }
}

fn metadata(now: DateTime<Utc>) -> Metadata {
    // One head an hour: the hour says all of the request.
    let hour = hour_of(now).timestamp().to_be_bytes();
    let space = Uuid::new_v5(&Uuid::NAMESPACE_URL, audit_chain::HEAD_SUBJECT.as_bytes());
    let request_id = Uuid::new_v5(&space, &hour);
    Metadata {
        id: Uuid::now_v7(),
        time: now,
        actor: ACTOR.to_owned(),
        request_id,
        // No request stands behind it.
        request_digest: [0; 16],
        correlation_id: request_id,
        causation_id: None,
        division: None,
        traceparent: None,
        answers: None,
        purpose: None,
    }
}

impl Sharing {
    /// The public key of that name, PEM; empty where none is known.
    pub(crate) fn audit_public_key(&self, key_id: &str) -> String {
        let known = self.audit.0.public.get(key_id);
        known.cloned().unwrap_or_default()
    }

    /// Returns once the chain holds all that is in the log, and its head is signed where that is due.
    pub(crate) async fn audited(&self) {
        let log = self.logs.own.as_ref();
        let last = service::connections::last_sequence(log).await;
        loop {
            // A database that is away is waited for.
            let chain = Chain::kept(&self.pool, log.stream()).await;
            let done = |chain: Chain| chain.sequence >= last && !chain.is_due(self.clock.now());
            if chain.is_ok_and(done) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use service::TokenIssuer;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn record(sequence: i64, time: &str) -> pb::AuditRecord {
        pb::AuditRecord {
            sequence,
            subject: "eldercare.sharing.looks.1".to_owned(),
            headers: vec![pb::AuditHeader {
                name: "ce-time".to_owned(),
                value: time.to_owned(),
            }],
            body: Vec::new().into(),
        }
    }

    #[test]
    fn a_head_is_due_at_the_full_hour_after_the_first_record() {
        let now = at("2024-11-01T12:00:00Z");
        let mut chain = Chain::NEW;
        assert_eq!(chain.due(), None);
        chain.take(&record(1, "2024-11-01T01:20:00Z"), now);
        chain.take(&record(2, "2024-11-01T02:40:00Z"), now);
        assert_eq!(chain.due(), Some(at("2024-11-01T02:00:00Z")));
        assert!(!chain.is_due(at("2024-11-01T01:59:59Z")));
        assert!(chain.is_due(at("2024-11-01T02:00:00Z")));
    }

    #[test]
    fn outside_local_mode_a_key_is_needed_that_nobody_knows() {
        let (production, own) = (Settings::default(), SharingSettings::default());
        assert!(AuditKeys::check(&production, &own).is_err());
        let mut local = Settings::default();
        local.auth.mode = service::settings::Mode::Local;
        assert!(AuditKeys::check(&local, &own).is_ok());
        let with = |text: String| {
            let mut own = SharingSettings::default();
            own.audit.signing_key = Some(service::Secret::new(text));
            own
        };
        assert!(AuditKeys::check(&production, &with(BASE64.encode([7; 32]))).is_ok());
        assert!(AuditKeys::check(&production, &with(BASE64.encode([7; 31]))).is_err());
        let known = BASE64.encode(well_known().to_bytes());
        assert!(AuditKeys::check(&production, &with(known)).is_err());
        let pem = TokenIssuer::generate().private_pem().unwrap();
        let own = with(pem.expose().to_owned());
        assert!(AuditKeys::check(&production, &own).is_ok());
        let keys = AuditKeys::from_settings(&own).unwrap();
        let public = audit_chain::public_key(&keys.0.public["audit_1"]);
        assert_eq!(public, Some(keys.0.signing.verifying_key()));
    }
}
