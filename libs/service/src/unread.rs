//! What clients have asked for and not taken yet: how long each answer waits for its client, and when a part of it has left.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

/// The answers on one connection that wait for their client.
#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    answers: BTreeMap<u64, Answer>,
}

#[derive(Debug)]
struct Answer {
    since: Instant,
    /// When it is to be over, whatever its client has taken of it.
    until: Option<Instant>,
    end: CancellationToken,
}

impl Answer {
    fn is_overdue(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_some_and(|then| self.since <= then) || self.until.is_some_and(|until| until <= now)
    }
}

impl Unread {
    /// One more waits, until what is returned is dropped; its stream is ended by `end`, at `until` in any case.
    pub(crate) fn waits(
        self: &Arc<Self>,
        until: Option<Instant>,
        end: &CancellationToken,
    ) -> Waits {
        let answer = Answer {
            since: Instant::now(),
            until,
            end: end.clone(),
        };
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.answers.insert(number, answer);
        drop(waiting);
        Waits {
            unread: Arc::clone(self),
            number,
        }
    }

    /// Ends the streams whose answers have waited since then or for longer, or were to be over by now; how many.
    pub(crate) fn end_overdue(&self, since: Option<Instant>, now: Instant) -> usize {
        let waiting = self.lock();
        let overdue = waiting.answers.values();
        let ended: Vec<CancellationToken> = overdue
            .filter(|answer| answer.is_overdue(since, now) && !answer.end.is_cancelled())
            .map(|answer| answer.end.clone())
            .collect();
        drop(waiting);
        for end in &ended {
            end.cancel();
        }
        ended.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that waits.
#[derive(Debug)]
pub(crate) struct Waits {
    unread: Arc<Unread>,
    number: u64,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.unread.lock().answers.remove(&self.number);
    }
}

/// How large the parts are in which a large piece of an answer is handed on, in bytes: whoever takes one of them is reading.
pub(crate) const PART: usize = 16 << 10;

/// How large a piece is at the most of which it is not asked whether it has left, in bytes. That would have each call waken
/// its task once more; and as many of these as a connection may have streams cost no more than a large answer.
const SMALL: usize = 2 << 10;

/// What is left of a large piece, which is handed on part by part.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    rest: Bytes,
    /// Until the last part of a piece that is not small has left the process, all of it is held.
    leaving: Option<oneshot::Receiver<()>>,
}

impl Parts {
    /// Takes a piece apart: its first part, which may be all of it.
    pub(crate) fn of(&mut self, piece: Bytes) -> Bytes {
        if piece.len() <= SMALL {
            return piece;
        }
        if piece.len() <= PART {
            return self.last(piece);
        }
        self.rest = piece;
        self.rest.split_to(PART)
    }

    /// The next part, while there is one.
    pub(crate) fn another(&mut self) -> Option<Bytes> {
        if self.rest.len() > PART {
            return Some(self.rest.split_to(PART));
        }
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        Some(self.last(rest))
    }

    fn last(&mut self, part: Bytes) -> Bytes {
        let (left, leaving) = oneshot::channel();
        self.leaving = Some(leaving);
        Bytes::from_owner(Last { part, _left: left })
    }

    /// Until the transport has let go of the piece that was handed on last and is not small.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(leaving) = &mut self.leaving else {
            return Poll::Ready(());
        };
        // Nothing is ever sent: the other half goes with the bytes.
        let left = Pin::new(leaving).poll(cx).map(|_gone| ());
        if left.is_ready() {
            self.leaving = None;
        }
        left
    }
}

/// The last part of a piece.
struct Last {
    part: Bytes,
    _left: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// The present, which is past once this returns.
    fn an_instant() -> Instant {
        let instant = Instant::now();
        while Instant::now() == instant {
            std::hint::spin_loop();
        }
        instant
    }

    #[test]
    fn the_streams_of_those_who_wait_for_long_are_ended_and_no_others() {
        let unread = Arc::new(Unread::default());
        let ends: [CancellationToken; 3] = std::array::from_fn(|_| CancellationToken::new());
        let ended = || ends.each_ref().map(CancellationToken::is_cancelled);
        let before = an_instant();
        let slow = unread.waits(None, &ends[0]);
        let taken = unread.waits(None, &ends[1]);
        let between = an_instant();
        let later = unread.waits(None, &ends[2]);
        drop(taken);
        let end_those_since = |then| unread.end_overdue(Some(then), between);
        assert_eq!(end_those_since(before), 0);
        assert_eq!(end_those_since(between), 1);
        assert_eq!(ended(), [true, false, false]);
        // It is told once, however long it takes to go.
        assert_eq!(end_those_since(between), 0);
        assert_eq!(end_those_since(an_instant()), 1);
        assert_eq!(ended(), [true, false, true]);
        drop((slow, later));
    }

    #[test]
    fn an_answer_is_over_at_its_end_however_lately_some_of_it_was_taken() {
        let unread = Arc::new(Unread::default());
        let ends: [CancellationToken; 2] = std::array::from_fn(|_| CancellationToken::new());
        let (before, end) = (an_instant(), an_instant());
        let bounded = unread.waits(Some(end), &ends[0]);
        let endless = unread.waits(None, &ends[1]);
        assert_eq!(unread.end_overdue(None, before), 0);
        assert_eq!(unread.end_overdue(Some(before), end), 1);
        assert!(ends[0].is_cancelled() && !ends[1].is_cancelled());
        drop((bounded, endless));
    }

    #[test]
    fn a_large_piece_comes_in_parts_and_is_gone_with_the_last_of_them() {
        let content: Bytes = (0..=u8::MAX).cycle().take(2 * PART + 3).collect();
        let mut parts = Parts::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = vec![parts.of(content.clone())];
        while let Some(part) = parts.another() {
            all.push(part);
        }
        let lengths: Vec<usize> = all.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PART, PART, 3]);
        let together: Vec<u8> = all.iter().flatten().copied().collect();
        assert_eq!(together, content);
        // The transport may send a part in pieces of its own.
        let mut last = all.pop().unwrap();
        let sent = last.split_to(1);
        drop((all, last));
        assert!(parts.poll_left(&mut cx).is_pending());
        drop(sent);
        assert!(parts.poll_left(&mut cx).is_ready());
        assert!(parts.poll_left(&mut cx).is_ready());
    }

    #[test]
    fn a_piece_of_one_part_is_not_taken_apart_and_asked_after_unless_it_is_small() {
        let mut cx = Context::from_waker(Waker::noop());
        for (length, small) in [(1, true), (SMALL, true), (SMALL + 1, false), (PART, false)] {
            let content = Bytes::from(vec![7_u8; length]);
            let mut parts = Parts::default();
            let part = parts.of(content.clone());
            assert_eq!(part, content);
            assert_eq!(parts.another(), None);
            assert_eq!(parts.poll_left(&mut cx).is_ready(), small, "{length}");
            drop(part);
            assert!(parts.poll_left(&mut cx).is_ready());
        }
    }
}
