//! The watch as it is kept between runs: what was heard from devices, which levels are to come, and up to where.
//!
//! It is taken in slices between signals, so that no alarm waits for it, and written in one transaction. What was heard while
//! it was taken may be in it already: heard again after a restart, that changes nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::{DivisionCode, ElderId, VillageCode};
use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::alert_policy::Policies;
use crate::codec::{read_policy, write_policy};
use crate::levels::{Levels, Waiting};
use crate::monitor::Monitor;
use crate::signal::DeviceId;
use crate::watched_device::{Home, WatchedDevice};

/// How many devices or homes are taken in one slice.
const SLICE: usize = 2_048;

/// From where a watch goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct From {
    /// After this sequence of the signals.
    pub(crate) signals: u64,
    /// After this sequence of our own log.
    pub(crate) own: u64,
    /// After this sequence of the registry's log, as far as it says where elders live.
    pub(crate) facts: u64,
    /// Up to this instant everything was judged, in microseconds since 1970.
    pub(crate) judged: i64,
}

/// A watch that was kept.
pub(crate) struct Kept {
    pub(crate) from: From,
    pub(crate) monitor: Monitor,
    pub(crate) levels: Levels,
}

/// The form of what is kept: raised whenever a type in it changes.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
enum Part {
    /// Always the first.
    Version(u32),
    From(From),
    Devices(Vec<(DeviceId, WatchedDevice)>),
    Homes(Vec<(ElderId, Home)>),
    /// By division, as messages.
    Policies(Vec<(String, Vec<u8>)>),
    Levels(Vec<KeptLevels>),
}

/// The levels of an alert that are to come.
#[derive(Serialize, Deserialize)]
struct KeptLevels {
    alert: Uuid,
    line: String,
    village: Option<VillageCode>,
    /// In microseconds since 1970.
    due: Vec<i64>,
}

impl KeptLevels {
    fn of((alert, waiting): (&Uuid, &Waiting)) -> Self {
        let due = waiting.due.iter();
        Self {
            alert: *alert,
            line: waiting.line.to_string(),
            village: waiting.village,
            due: due.map(DateTime::timestamp_micros).collect(),
        }
    }

    fn wait_in(self, levels: &mut Levels) -> Option<()> {
        let due = self.due.into_iter().map(DateTime::from_timestamp_micros);
        let waiting = Waiting {
            line: self.line.parse().ok()?,
            village: self.village,
            due: due.collect::<Option<_>>()?,
        };
        levels.wait(self.alert, waiting);
        Some(())
    }
}

/// A watch that is being taken.
pub(crate) struct Taking {
    parts: Vec<Vec<u8>>,
    next_place: usize,
    homes: Vec<ElderId>,
}

impl Taking {
    /// Begins: what is kept goes on from here.
    pub(crate) fn begin(from: From, monitor: &Monitor, levels: &Levels) -> Self {
        let policies = monitor.policies().published();
        let policies = policies
            .map(|(division, policy)| (division.to_string(), write_policy(policy).encode_to_vec()));
        let levels = levels.waiting().map(KeptLevels::of);
        let parts = vec![
            bytes(&Part::Version(VERSION)),
            bytes(&Part::From(from)),
            bytes(&Part::Policies(policies.collect())),
            bytes(&Part::Levels(levels.collect())),
        ];
        Self {
            parts,
            next_place: 0,
            homes: monitor.homes().keys().copied().collect(),
        }
    }

    /// Takes the next slice; the parts once all is taken.
    pub(crate) fn go_on(&mut self, monitor: &Monitor) -> Option<Vec<Vec<u8>>> {
        if self.next_place < monitor.places() {
            let places = self.next_place..(self.next_place + SLICE).min(monitor.places());
            self.next_place = places.end;
            let devices = monitor.devices_in(places);
            let devices = devices.map(|(id, watch)| (id.clone(), watch.clone()));
            self.parts.push(bytes(&Part::Devices(devices.collect())));
            return None;
        }
        if !self.homes.is_empty() {
            let rest = self.homes.len().saturating_sub(SLICE);
            let some = self.homes.drain(rest..);
            let homes =
                some.filter_map(|elder| Some((elder, monitor.homes().get(&elder)?.clone())));
            self.parts.push(bytes(&Part::Homes(homes.collect())));
            return None;
        }
        Some(std::mem::take(&mut self.parts))
    }
}

fn bytes(part: &Part) -> Vec<u8> {
    postcard::to_stdvec(part).expect("a watch is plain data")
}

/// Keeps a watch in place of the one before.
///
/// # Errors
/// The database's.
pub(crate) async fn write(conn: &mut PgConnection, parts: &[Vec<u8>]) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin().await?;
    sqlx::query("DELETE FROM alerts_kept.watch")
        .execute(&mut *tx)
        .await?;
    for (some, first) in parts.chunks(16).zip((0_i32..).step_by(16)) {
        let numbers: Vec<i32> = (first..).take(some.len()).collect();
        sqlx::query("INSERT INTO alerts_kept.watch (part, bytes) SELECT * FROM unnest($1::integer[], $2::bytea[])")
            .bind(numbers)
            .bind(some)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}

/// The watch that was kept; none where there is none, or one of another version of the program: it is then made again from
/// signals and log.
///
/// # Errors
/// The database's.
pub(crate) async fn read(conn: &mut PgConnection) -> Result<Option<Kept>, sqlx::Error> {
    let rows = sqlx::query("SELECT bytes FROM alerts_kept.watch ORDER BY part")
        .fetch_all(conn)
        .await?;
    let mut from = None;
    let (mut devices, mut homes) = (Vec::new(), HashMap::new());
    let (mut policies, mut levels) = (Policies::default(), Levels::default());
    for row in &rows {
        let part: Result<Part, _> = postcard::from_bytes(row.try_get::<&[u8], _>(0)?);
        let understood = match part {
            Ok(Part::Version(version)) => version == VERSION,
            Ok(Part::From(kept)) => {
                from = Some(kept);
                true
            }
            Ok(Part::Devices(some)) => {
                devices.extend(some);
                true
            }
            Ok(Part::Homes(some)) => {
                homes.extend(some);
                true
            }
            Ok(Part::Policies(all)) => all.into_iter().all(|(code, message)| {
                let division = code.parse::<DivisionCode>().ok();
                let message = pb::AlertPolicy::decode(message.as_slice()).ok();
                let policy = message.and_then(|message| read_policy(&message).ok());
                division
                    .zip(policy)
                    .map(|(division, policy)| policies.publish(division, policy))
                    .is_some()
            }),
            Ok(Part::Levels(all)) => all
                .into_iter()
                .all(|kept| kept.wait_in(&mut levels).is_some()),
            Err(_) => false,
        };
        if !understood {
            tracing::warn!(
                "the watch was kept by another version: it is made again from the signals"
            );
            return Ok(None);
        }
    }
    Ok(from.and_then(|from| {
        let judged = DateTime::<Utc>::from_timestamp_micros(from.judged)?;
        Some(Kept {
            from,
            monitor: Monitor::restored(policies, judged, devices, homes),
            levels,
        })
    }))
}
