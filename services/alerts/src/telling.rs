//! Tells people of alerts: one replica reads our own log, and whoever is to be told at a level is told at once, each by a task
//! of its own, so that one who hangs delays no other.
//!
//! Each attempt is on record before the next; after a restart it goes on where somebody is not told yet. What is no
//! emergency is gathered for a moment: one notice tells a recipient of all of a village.
//!
//! Rule: section 4, "Life".

mod groups;
mod steps;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{ElderId, NoticeChannel, RecipientRole, Set, Severity, VillageCode};
use eventlog::{Aggregate as _, Delivery, EventLog, LoadError, Loaded, Record, Repository};
use futures::StreamExt as _;
use notices::{Address, Channels, Failure, Notice};
use readmodel::{ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader};
use service::{Clock, telemetry};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use self::groups::{Group, GroupKey};
use crate::alert_line::{AlertLine, Cause, Event, Raised, Stage};
use crate::attempts::{Attempt, Notices, Outcome};
use crate::deeds::{Deed, carry_out, request_of};
use crate::elders_tables::CARDS;
use crate::measures::Measures;
use crate::progress::Told;
use crate::rules::Rules;
use crate::signals::Signals;
use crate::untold::Untold;
use crate::whom::{Finder, Whom};
use crate::wording;

/// The reader's name.
pub const NAME: &str = "telling";

/// How often it is written down how far it has got.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// The pauses after failed attempts; after the last one it is given up.
const PAUSES: [u64; 10] = [1, 2, 4, 8, 15, 30, 60, 60, 120, 300];
/// Before something that is away is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// So long it is waited for tables in which somebody is missing.
const AT_MOST: Duration = Duration::from_secs(2);
/// How many tasks may be under way at once; each of a recipient who hangs stays for minutes.
const UNDER_WAY: usize = 20_000;
/// Why nobody was told.
const NOBODY: &str = "NOBODY_REGISTERED";
/// Why nobody is told any more.
const OVER: &str = "ALERT_OVER";

/// What it works with.
#[derive(Clone)]
pub struct Teller {
    /// The database.
    pub pool: PgPool,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Lines of alerts.
    pub lines: Repository<AlertLine>,
    /// What was told of them.
    pub notices: Repository<Notices>,
    /// The signals.
    pub signals: Signals,
    pub(crate) finder: Finder,
    /// The rules.
    pub rules: Rules,
    /// The ways to tell somebody.
    pub channels: Arc<Channels>,
    /// The time.
    pub clock: Clock,
    /// Follows names and contacts.
    pub cards: Follower,
    /// Follows where elders live.
    pub facts: Follower,
    /// Follows the read model of our own log.
    pub board: Follower,
    /// How far it has got.
    pub progress: ReaderFollower<Told>,
    pub(crate) measures: Measures,
    pub(crate) untold: Untold,
}

/// What is to be told of one level of one alert.
#[derive(Clone)]
struct Task {
    /// Which record says so.
    record: u64,
    line: String,
    raised: Raised,
    level: u8,
    roles: Set<RecipientRole>,
    /// The trace of what led to it.
    traceparent: Option<String>,
}

/// A task that has ended: for which records, and what it wrote last.
struct Finished {
    records: Vec<u64>,
    written: u64,
}

impl Teller {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let teller = Arc::new(self);
        run_reader(&teller.pool, "alerts telling", &shutdown, |conn| {
            let teller = Arc::clone(&teller);
            async move { teller.lead(conn).await }
        })
        .await;
    }

    async fn lead(self: Arc<Self>, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        // Who is registered and whom a file names is known before the first is told.
        self.cards.catches_up(self.registry.as_ref()).await?;
        self.facts.catches_up(self.registry.as_ref()).await?;
        self.board.catches_up(self.own.as_ref()).await?;
        let told = Told::read(&mut conn).await?.unwrap_or_default();
        let mut deliveries = self.own.subscribe(told.own).await?;
        self.untold.forget();
        let mut telling = Telling {
            active: self.progress.active(Some(told)),
            teller: Arc::clone(&self),
            seen: told.own,
            written: told.written,
            open: BTreeMap::new(),
            groups: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let mut kept = (told, Instant::now());
        loop {
            let group_due = telling.groups.values().map(|group| group.due).min();
            let group_due = group_due.unwrap_or(DateTime::<Utc>::MAX_UTC);
            tokio::select! {
                batch = deliveries.next(), if telling.tasks.len() < UNDER_WAY => {
                    let batch = batch.ok_or_else(|| ReaderFailed::because("our own log has ended"))??;
                    for delivery in batch {
                        telling.take(delivery).await?;
                    }
                }
                Some(finished) = telling.tasks.join_next() => {
                    let finished = finished.map_err(ReaderFailed::because)??;
                    telling.close(&finished);
                }
                () = self.clock.sleep_until(group_due) => telling.tell_groups(self.clock.now()),
                () = tokio::time::sleep(TELL_EVERY) => {}
            }
            let told = telling.told();
            telling.active.tell(told);
            if (told != kept.0 && kept.1.elapsed() >= TELL_EVERY) || kept.1.elapsed() >= HEARTBEAT {
                if told == kept.0 {
                    conn.ping().await?;
                } else {
                    told.write(&mut conn).await?;
                }
                kept = (told, Instant::now());
            }
        }
    }

    /// Tells everybody of a level; the last sequence of what was written.
    async fn tell_level(self: Arc<Self>, task: Task) -> Result<u64, ReaderFailed> {
        // After a restart: what is over long since is nobody's business any more.
        if self.is_over(&task.line, task.raised.alert).await {
            self.untold.settled(task.raised.alert, task.level);
            return Ok(0);
        }
        self.patiently(|| self.has_read_of(task.raised.elder)).await;
        let whom = self.patiently(|| self.find(&task)).await;
        let village = task.raised.village;
        let elder = self
            .patiently(|| self.finder.particulars(task.raised.elder, village.as_ref()))
            .await;
        let place = match &task.raised.cause {
            Cause::Signal(source) if source.sequence > 0 => {
                // Nice to have: nobody waits for it.
                let place = self.signals.place(source.sequence);
                let place = tokio::time::timeout(AGAIN, place).await;
                place.ok().and_then(Result::ok).flatten()
            }
            Cause::Signal(_)
            | Cause::Silence { .. }
            | Cause::MissedVisit { .. }
            | Cause::Request => None,
        };
        let told = wording::Told {
            raised: &task.raised,
            level: task.level,
            elder: &elder,
            place,
        };
        let telling = whom.into_iter().map(|whom| {
            let (text, data) = (told.text(whom.role), told.data(whom.role));
            let alerts = vec![(task.line.clone(), task.raised.clone())];
            let key = notice_of(&task.raised, task.level, &whom);
            self.deliver(key, whom, task.level, alerts, text, data)
        });
        let written = futures::future::join_all(telling).await;
        let last = written.into_iter().try_fold(0, |last, written| {
            Ok::<u64, ReaderFailed>(last.max(written?))
        })?;
        if self.untold.is_waiting(task.raised.alert, task.level) {
            if self.is_over(&task.line, task.raised.alert).await {
                self.untold.settled(task.raised.alert, task.level);
            } else {
                self.untold.given_up(task.raised.alert, task.level);
            }
        }
        Ok(last)
    }

    /// Waits for the card of an elder whose file may have been opened only a moment ago: that nobody can be told is never said
    /// because it is not known yet.
    async fn has_read_of(&self, elder: ElderId) -> Result<(), ReaderFailed> {
        if CARDS.of(&self.pool, &[elder]).await?.is_empty() {
            let catching_up = self.cards.catches_up(self.registry.as_ref());
            // Whoever can be told without it is not kept waiting by a table that stands still.
            if let Ok(outcome) = tokio::time::timeout(AT_MOST, catching_up).await {
                outcome?;
            }
        }
        Ok(())
    }

    /// Who is registered as something for where an elder lives; also who was registered just before the alert.
    async fn registered(
        &self,
        role: RecipientRole,
        village: Option<&VillageCode>,
        record: u64,
    ) -> Result<Vec<Whom>, ReaderFailed> {
        let found = self.finder.registered(role, village).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let _in_time = tokio::time::timeout(AT_MOST, self.board.reaches(record)).await;
        self.finder.registered(role, village).await
    }

    /// Whoever is to be told of a level; of a role that nobody has, that nobody is there.
    async fn find(&self, task: &Task) -> Result<Vec<Whom>, ReaderFailed> {
        let raised = &task.raised;
        let village = raised.village.as_ref();
        let mut all = Vec::new();
        for role in task.roles.iter() {
            let found = match role {
                RecipientRole::EmergencyContact => {
                    let rules = self.rules.now().await?;
                    let channels = &rules.of(village).contact_channels;
                    self.finder.contacts(raised.elder, channels).await?
                }
                // Those are told of several at once.
                RecipientRole::Maintainer => continue,
                RecipientRole::FireService => vec![Whom {
                    recipient: request_of(&["119"]),
                    role,
                    ways: vec![(NoticeChannel::Record, Address::new("119"))],
                }],
                RecipientRole::GridWorker
                | RecipientRole::VillageCommittee
                | RecipientRole::Town
                | RecipientRole::DutyCentre => self.registered(role, village, task.record).await?,
            };
            // The duty centre is called by telephone where nobody has answered.
            let mut found = found;
            if role == RecipientRole::DutyCentre && task.level > 0 {
                for whom in &mut found {
                    whom.ways
                        .sort_by_key(|(way, _)| *way != NoticeChannel::Voice);
                }
            }
            if found.is_empty() {
                all.push(Whom {
                    recipient: Uuid::nil(),
                    role,
                    ways: Vec::new(),
                });
            }
            all.extend(found);
        }
        // The grid worker or the committee: where one of them is registered, nobody misses the other.
        let village_told = all
            .iter()
            .any(|whom| is_of_the_village(whom.role) && !whom.ways.is_empty());
        all.retain(|whom| !(village_told && whom.ways.is_empty() && is_of_the_village(whom.role)));
        Ok(all)
    }

    /// Tells one recipient, attempt by attempt; the last sequence of what was written.
    async fn deliver(
        &self,
        key: Uuid,
        whom: Whom,
        level: u8,
        alerts: Vec<(String, Raised)>,
        text: notices::Text,
        data: serde_json::Value,
    ) -> Result<u64, ReaderFailed> {
        let Some((line, first)) = alerts.first() else {
            return Ok(0);
        };
        let Some(known) = self.what_was_told(line).await else {
            return Ok(0);
        };
        if known.state.has_told(first.alert, level, whom.recipient) {
            self.untold.settled(first.alert, level);
            return Ok(0);
        }
        let before = known.state.of(key);
        if before.is_some_and(|told| told.over) {
            return Ok(0);
        }
        let mut number = before.map_or(0, |told| told.attempts);
        let mut ways = whom.ways.clone();
        let mut written = 0;
        loop {
            number += 1;
            let turn = usize::try_from(number - 1).unwrap_or(0) % ways.len().max(1);
            let Some((channel, address)) = ways.get(turn).cloned() else {
                let outcome = failed(NOBODY, true);
                let attempt = (NoticeChannel::Log, number, outcome);
                return self.record(key, &whom, level, &alerts, attempt).await;
            };
            let notice = Notice {
                key,
                channel,
                address,
                attempt: number,
                text: text.clone(),
                data: data.clone(),
                traceparent: telemetry::traceparent(),
            };
            let outcome = match self.channels.send(&notice).await {
                Ok(delivered) => {
                    let due = first.levels.iter().find(|due| due.level == level);
                    let due = due.map_or(first.at, |due| due.at);
                    self.measures.noticed(whom.role, due, self.clock.now());
                    self.untold.settled(first.alert, level);
                    Outcome::Sent {
                        reference: delivered.reference,
                    }
                }
                Err(failure) => {
                    if let Failure::Final(_) = failure {
                        ways.remove(turn);
                    }
                    let tried = usize::try_from(number).unwrap_or(usize::MAX);
                    let given_up = ways.is_empty()
                        || tried > PAUSES.len()
                        || self.is_over(line, first.alert).await;
                    failed(failure.reason().code(), given_up)
                }
            };
            let over = match &outcome {
                Outcome::Sent { .. } => true,
                Outcome::Failed { given_up, .. } => *given_up,
            };
            let attempt = (channel, number, outcome);
            written = self
                .record(key, &whom, level, &alerts, attempt)
                .await?
                .max(written);
            if over {
                return Ok(written);
            }
            let pause = PAUSES.get(usize::try_from(number - 1).unwrap_or(0));
            let pause = pause.copied().unwrap_or(PAUSES[PAUSES.len() - 1]);
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if self.is_over(line, first.alert).await {
                let attempt = (channel, number + 1, failed(OVER, true));
                let last = self.record(key, &whom, level, &alerts, attempt).await?;
                return Ok(last.max(written));
            }
        }
    }

    /// What was told of the alerts of a line; none where that can't be read: then nothing is told twice, or at all.
    async fn what_was_told(&self, line: &str) -> Option<Arc<Loaded<Notices>>> {
        self.patiently(|| async {
            match self.notices.load_newest(line).await {
                Ok(known) => Ok(Some(known)),
                Err(LoadError::Unreadable { sequence, .. }) => {
                    tracing::error!(
                        sequence,
                        "who was told of an alert can't be read: nobody is"
                    );
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Whether an alert is over: nobody else needs to be told.
    async fn is_over(&self, line: &str, alert: Uuid) -> bool {
        let Ok(known) = self.lines.load_newest(line).await else {
            return false;
        };
        known
            .state
            .newest()
            .is_none_or(|newest| newest.raised.alert != alert || newest.stage == Stage::Resolved)
    }

    async fn record(
        &self,
        key: Uuid,
        whom: &Whom,
        level: u8,
        alerts: &[(String, Raised)],
        (channel, number, outcome): (NoticeChannel, u32, Outcome),
    ) -> Result<u64, ReaderFailed> {
        let now = self.clock.now();
        let count = u32::try_from(alerts.len()).unwrap_or(u32::MAX);
        loop {
            let deeds = alerts.iter().map(|(line, raised)| Deed::<Notices> {
                id: line.clone(),
                command: Attempt {
                    notice: key,
                    alert: raised.alert,
                    level,
                    recipient: whom.recipient,
                    role: whom.role,
                    channel,
                    number,
                    at: now,
                    alerts: count,
                    outcome: outcome.clone(),
                },
                request: request_of(&[
                    "attempt",
                    &key.to_string(),
                    &raised.alert.to_string(),
                    &number.to_string(),
                ]),
                village: raised.village,
                answers: None,
            });
            match carry_out(&self.notices, deeds.collect(), now).await {
                Ok(written) => return Ok(written),
                Err(error) => {
                    tracing::warn!(%error, "an attempt to tell somebody is not on record yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// What fails is tried again: whoever is to be told waits for nothing else.
    async fn patiently<T, F>(&self, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, ReaderFailed>>,
    {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(error) => {
                    tracing::warn!(%error, "whom to tell is not known yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Telling, while it leads.
struct Telling {
    teller: Arc<Teller>,
    active: ActiveReader<Told>,
    seen: u64,
    written: u64,
    /// Records of which somebody is not told yet, with how many tasks and groups that is up to.
    open: BTreeMap<u64, usize>,
    groups: HashMap<GroupKey, Group>,
    tasks: JoinSet<Result<Finished, ReaderFailed>>,
}

impl Telling {
    fn told(&self) -> Told {
        let gathering = self.groups.values().flat_map(|group| &group.alerts);
        let gathering = gathering.map(|(_, _, record)| *record).min();
        let first = self
            .open
            .keys()
            .next()
            .copied()
            .into_iter()
            .chain(gathering)
            .min();
        Told {
            own: first.map_or(self.seen, |first| first - 1),
            live: self.open.keys().next().map_or(self.seen, |first| first - 1),
            written: self.written,
        }
    }

    fn close(&mut self, finished: &Finished) {
        self.written = self.written.max(finished.written);
        for record in &finished.records {
            if let Some(open) = self.open.get_mut(record) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(record);
                }
            }
        }
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), ReaderFailed> {
        self.seen = delivery.sequence();
        if let Delivery::Record(record) = delivery
            && record.subject.aggregate() == AlertLine::NAME
        {
            self.take_record(&record).await?;
        }
        Ok(())
    }

    async fn take_record(&mut self, record: &Record) -> Result<(), ReaderFailed> {
        let line = record.subject.id().to_owned();
        for event in record
            .events
            .iter()
            .filter_map(|raw| AlertLine::decode(raw).ok())
        {
            self.teller.measure(&line, record, &event).await;
            match event {
                Event::Raised(raised) if raised.severity() == Severity::Low => {
                    let task = Task {
                        record: record.sequence,
                        line: line.clone(),
                        raised,
                        level: 0,
                        roles: RecipientRole::Maintainer.into(),
                        traceparent: record.metadata.traceparent.clone(),
                    };
                    self.gather(task).await;
                }
                Event::Raised(raised) => {
                    if let Some(level) = raised.level_at_once() {
                        self.tell(&line, raised, level, record).await;
                    }
                }
                Event::Escalated { alert, level, .. } => {
                    let known = match self.teller.lines.load_newest(&line).await {
                        Ok(known) => known,
                        Err(LoadError::Unreadable { sequence, .. }) => {
                            tracing::error!(
                                sequence,
                                "a line can't be read: nobody is told of its levels"
                            );
                            continue;
                        }
                        Err(error) => return Err(error.into()),
                    };
                    let newest = known.state.newest();
                    // A later one on the line says that this one is over.
                    if let Some(newest) = newest.filter(|newest| newest.raised.alert == alert) {
                        let raised = newest.raised.clone();
                        self.tell(&line, raised, level, record).await;
                    }
                }
                Event::WentOffline { .. }
                | Event::CameOnline { .. }
                | Event::Joined { .. }
                | Event::Noted { .. }
                | Event::Acknowledged { .. }
                | Event::Assigned { .. }
                | Event::Dispatched { .. }
                | Event::Arrived { .. }
                | Event::Resolved { .. } => {}
            }
        }
        Ok(())
    }

    async fn tell(&mut self, line: &str, raised: Raised, level: u8, record: &Record) {
        let due = raised.levels.iter().find(|due| due.level == level);
        let roles = due.map(|due| due.roles).unwrap_or_default();
        let since = due.map_or(raised.at, |due| due.at);
        let gathered = raised.severity() == Severity::Notice;
        let task = Task {
            record: record.sequence,
            line: line.to_owned(),
            raised,
            level,
            roles,
            traceparent: record.metadata.traceparent.clone(),
        };
        if gathered {
            self.gather(task).await;
            return;
        }
        let (record, alert, kind) = (task.record, task.raised.alert, task.raised.kind);
        self.teller.untold.waits(alert, level, kind, since);
        *self.open.entry(record).or_default() += 1;
        let teller = Arc::clone(&self.teller);
        let span = telemetry::span_of("react alerts telling", task.traceparent.as_deref());
        let telling = async move {
            let written = teller.tell_level(task).await?;
            Ok::<_, ReaderFailed>(Finished {
                records: vec![record],
                written,
            })
        };
        self.tasks.spawn(telling.instrument(span));
    }
}

/// The id of a notice: the same for each attempt, also after a restart.
fn notice_of(raised: &Raised, level: u8, whom: &Whom) -> Uuid {
    request_of(&[
        "notice",
        &raised.alert.to_string(),
        &level.to_string(),
        whom.role.name(),
        &whom.recipient.to_string(),
    ])
}

fn failed(reason: &str, given_up: bool) -> Outcome {
    Outcome::Failed {
        reason: reason.to_owned(),
        given_up,
    }
}

fn is_of_the_village(role: RecipientRole) -> bool {
    matches!(
        role,
        RecipientRole::GridWorker | RecipientRole::VillageCommittee
    )
}
