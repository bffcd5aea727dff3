//! What goes out: on record before it does, and in batches of the stream, in which what belongs together stays together.

use std::collections::{BTreeMap, BTreeSet};

use civic::ElderId;
use readmodel::ReaderFailed;
use uuid::Uuid;

use super::super::message::{Lying, Message};
use super::{POSITIONS, Publisher, Turn};
use crate::look::{Look, Recorded};

/// How many messages one batch of the stream bears, its position aside: the server takes 1,000.
const MOST: usize = 999;
/// How many elders one look names.
const IN_A_LOOK: usize = 200;
/// By which method looks by feeds come about.
const METHOD: &str = "Feed";

/// What comes out together or not at all, as far as one batch bears it.
#[derive(Default)]
pub(super) struct Unit {
    /// What comes out.
    pub(super) messages: Vec<Message>,
    /// The place of a log, and what is then done of it.
    pub(super) done: Option<(usize, (u64, u64))>,
}

impl From<Message> for Unit {
    /// What comes out by itself.
    fn from(message: Message) -> Self {
        Self {
            messages: vec![message],
            done: None,
        }
    }
}

impl Unit {
    /// Parts that one batch bears each; mostly it is one.
    fn parts(self) -> impl Iterator<Item = Self> {
        let mut messages = self.messages.into_iter().peekable();
        let mut done = self.done;
        std::iter::from_fn(move || {
            messages.peek()?;
            let part = messages.by_ref().take(MOST).collect();
            let last = messages.peek().is_none();
            Some(Self {
                messages: part,
                done: done.take_if(|_| last),
            })
        })
    }
}

impl Publisher {
    /// Puts on record what is about to go out, and publishes it; with the last of it these records of logs are done.
    pub(super) async fn publish(
        &self,
        turn: &mut Turn,
        units: Vec<Unit>,
        done: &[(usize, u64)],
    ) -> Result<(), ReaderFailed> {
        let (mut batch, mut size) = (Vec::new(), 0);
        for unit in units.into_iter().flat_map(Unit::parts) {
            if size + unit.messages.len() > MOST {
                self.publish_batch(turn, std::mem::take(&mut batch)).await?;
                size = 0;
            }
            size += unit.messages.len();
            batch.push(unit);
        }
        for (log, sequence) in done {
            self.done(turn, *log, (*sequence, 0));
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.publish_batch(turn, batch).await,
        }
    }

    pub(super) async fn publish_batch(
        &self,
        turn: &mut Turn,
        units: Vec<Unit>,
    ) -> Result<(), ReaderFailed> {
        let mut messages = units.iter().flat_map(|unit| &unit.messages);
        if messages.any(|message| !message.body.is_empty()) && !self.stands(turn).await? {
            return Err(ReaderFailed::because(
                "what is agreed has changed: what was put together is not told",
            ));
        }
        let looks = self.looks(turn, &units).into_iter();
        let recorded = looks.map(|look| self.sharing.recorder.record(look));
        for recorded in futures::future::join_all(recorded).await {
            recorded.map_err(|status| ReaderFailed::because(status.message()))?;
        }
        let mut messages = Vec::new();
        for unit in units {
            if let Some((log, done)) = unit.done {
                self.done(turn, log, done);
            }
            messages.extend(unit.messages);
        }
        let published = self.stream.publish(&messages, &turn.positions, turn.fence);
        let last = published.await?;
        let first = last - messages.len() as u64;
        let lying: Vec<Lying> = messages
            .into_iter()
            .zip(first..)
            .map(|(message, sequence)| message.at(sequence))
            .collect();
        turn.index.take(&lying, last).await?;
        turn.fence = last;
        turn.silent = 0;
        turn.positions_left -= 1;
        if turn.positions_left == 0 {
            self.stream.purge_positions().await?;
            turn.positions_left = POSITIONS;
        }
        Ok(())
    }

    /// The looks that are about to be told, by department.
    fn looks(&self, turn: &Turn, units: &[Unit]) -> Vec<Recorded> {
        #[derive(Default)]
        struct Told<'a> {
            elders: BTreeSet<ElderId>,
            fields: BTreeSet<&'a String>,
            agreements: BTreeSet<Uuid>,
            purposes: BTreeSet<&'a String>,
        }
        let mut by_department: BTreeMap<&str, Told<'_>> = BTreeMap::new();
        for message in units.iter().flat_map(|unit| &unit.messages) {
            let granted = turn.standing.get(&message.feed);
            let (Some(elder), Some(granted), false) =
                (message.elder, granted, message.body.is_empty())
            else {
                continue;
            };
            let told = by_department.entry(&message.feed.department).or_default();
            told.elders.insert(elder);
            told.fields.extend(&message.told);
            told.agreements.extend(&granted.agreements);
            told.purposes.extend(&granted.purposes);
        }
        let at = self.sharing.clock.now();
        let looks = by_department.into_iter().flat_map(|(department, told)| {
            let elders: Vec<ElderId> = told.elders.into_iter().collect();
            let purposes: Vec<&str> = told.purposes.iter().map(|one| one.as_str()).collect();
            let look = Look {
                caller: format!("department:{department}"),
                department: department.to_owned(),
                purpose: purposes.join("；"),
                method: METHOD.to_owned(),
                address: String::new(),
                at,
                elders: vec![],
                fields: told.fields.into_iter().cloned().collect(),
            };
            let agreements: Vec<Uuid> = told.agreements.into_iter().collect();
            let chunks: Vec<Vec<ElderId>> = elders.chunks(IN_A_LOOK).map(<[_]>::to_vec).collect();
            chunks.into_iter().map(move |elders| Recorded::Provided {
                look: Look {
                    elders,
                    ..look.clone()
                },
                agreements: agreements.clone(),
            })
        });
        looks.collect()
    }
}
