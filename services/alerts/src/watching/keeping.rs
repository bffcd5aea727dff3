//! Keeps the watch from time to time, slice by slice, between signals.

use std::sync::Arc;
use std::time::Duration;

use readmodel::ReaderFailed;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Watch;
use crate::kept::{self, Taking};

/// How often the watch is kept.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// How far the watch is kept.
pub(super) struct Keeping {
    pub(super) next: Instant,
    pub(super) kept: kept::From,
    pub(super) taking: Option<(kept::From, Taking)>,
    /// All is taken; it is written once every deed is done that follows from what is in it.
    taken: Option<(kept::From, Vec<Vec<u8>>)>,
    writing: Option<(kept::From, JoinHandle<Result<(), sqlx::Error>>)>,
}

impl Keeping {
    /// A watch that was kept as of here.
    pub(super) fn from(kept: kept::From) -> Self {
        Self {
            next: Instant::now() + KEEP_EVERY,
            kept,
            taking: None,
            taken: None,
            writing: None,
        }
    }
}

impl Watch<'_> {
    /// Keeps the watch from time to time, slice by slice.
    pub(super) async fn keep(&mut self) -> Result<(), ReaderFailed> {
        let done = self.deeds.is_empty() && self.urgent.is_empty();
        let position = self.position();
        let keeping = &mut self.keeping;
        if let Some((from, writing)) = keeping
            .writing
            .take_if(|(_, writing)| writing.is_finished())
        {
            let outcome = writing.await;
            outcome.map_err(ReaderFailed::because)??;
            keeping.kept = from;
            keeping.next = Instant::now() + KEEP_EVERY;
        }
        let at_rest = keeping.writing.is_none() && keeping.taken.is_none();
        if at_rest
            && keeping.taking.is_none()
            && done
            && self.blind_until.is_none()
            && Instant::now() >= keeping.next
            && position != keeping.kept
        {
            let taking = Taking::begin(position, &self.monitor, &self.levels);
            keeping.taking = Some((position, taking));
        } else if let Some((from, mut taking)) = keeping.taking.take() {
            match taking.go_on(&self.monitor) {
                None => keeping.taking = Some((from, taking)),
                Some(parts) => keeping.taken = Some((from, parts)),
            }
        }
        if done && let Some((from, parts)) = keeping.taken.take() {
            let conn = Arc::clone(&self.conn);
            let writing = tokio::spawn(async move {
                let mut conn = conn.lock().await;
                kept::write(&mut conn, &parts).await
            });
            keeping.writing = Some((from, writing));
        }
        Ok(())
    }
}
