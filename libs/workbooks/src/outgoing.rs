//! A workbook on its way out: put together in its turn, and sent in pieces while it takes its part of the memory.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use crate::room::{Places, Room, Taken};

/// Workbooks that are put together at a time, each in some 100 MiB at the most.
const PLACES: usize = 2;

/// How long one waits for its turn.
const FOR_A_PLACE: Duration = Duration::from_secs(10);

/// What workbooks that are on their way out may take of the memory.
const UNSENT: usize = 64 << 20;

/// The bytes of a piece that is sent out.
const PIECE: usize = 256 << 10;

/// What workbooks may take of the memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Exports {
    places: Places,
    unsent: Room,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            places: Places::new(PLACES, FOR_A_PLACE),
            unsent: Room::of(UNSENT),
        }
    }
}

impl Exports {
    /// A place to put a workbook together, held until it is dropped.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the advice to come again, where none becomes free in time.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.places.place().await
    }

    /// A workbook that was put together, on its way out.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the advice to come again, where too much is on its way already.
    pub fn send(&self, workbook: Vec<u8>) -> Result<Outgoing, Status> {
        let mut taken = Taken::default();
        self.unsent.take(&mut taken, workbook.len())?;
        Ok(Outgoing {
            bytes: workbook.into(),
            _taken: taken,
        })
    }
}

/// A workbook on its way out, with the room that it takes.
pub struct Outgoing {
    bytes: Bytes,
    _taken: Taken,
}

impl fmt::Debug for Outgoing {
    /// Its length alone: what stands in it is about people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Outgoing({} bytes)", self.bytes.len())
    }
}

impl Outgoing {
    /// Its pieces, one after the other.
    pub fn pieces(self) -> impl Stream<Item = Bytes> + Send {
        let starts = (0..self.bytes.len()).step_by(PIECE);
        stream::iter(starts).map(move |start| self.piece(start))
    }

    fn piece(&self, start: usize) -> Bytes {
        self.bytes
            .slice(start..(start + PIECE).min(self.bytes.len()))
    }
}
