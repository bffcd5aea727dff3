//! Room for what is large: workbooks on their way in or out share a bounded part of the memory, and a bounded number is worked on at a time.

use std::{sync::Arc, time::Duration};

use service::errors;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// When it is worth coming again: by then one of those in the way is likely done.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// A part of the memory that is shared. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// A piece of the room, given back when dropped.
#[derive(Debug, Default)]
pub struct Taken {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// So many bytes, in KiB rounded down.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes >> 10)))
    }

    /// Takes so many bytes more, where they are free.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the advice to come again.
    pub fn take(&self, taken: &mut Taken, bytes: usize) -> Result<(), Status> {
        let all = taken.bytes.saturating_add(bytes);
        let held = taken
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        // Rounded up once for all that is taken, however many pieces it came in.
        let more = u32::try_from(all.div_ceil(1 << 10) - held)
            .ok()
            .and_then(|kib| Arc::clone(&self.0).try_acquire_many_owned(kib).ok())
            .ok_or_else(busy)?;
        match &mut taken.permit {
            Some(permit) => permit.merge(more),
            none @ None => *none = Some(more),
        }
        taken.bytes = all;
        Ok(())
    }
}

/// Places for work that takes much memory. Clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    places: Arc<Semaphore>,
    /// How long somebody waits for one.
    patience: Duration,
}

impl Places {
    /// So many places, for which somebody waits so long at the most.
    pub fn new(places: usize, patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            patience,
        }
    }

    /// A place, held until it is dropped; who waits longest is next.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, with the advice to come again, where none becomes free in time.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.patience, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_closed)) => Err(errors::shutting_down()),
            Err(_elapsed) => Err(busy()),
        }
    }
}

fn busy() -> Status {
    errors::resource_exhausted(
        "WORKBOOKS_BUSY",
        "too many workbooks are on their way in or out: try again after the delay given",
        "正在处理的工作簿过多，请稍后重试",
        COME_AGAIN,
    )
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn who_finds_no_room_is_told_when_to_come_again() {
        let room = Room::of(10 << 10);
        let mut first = Taken::default();
        room.take(&mut first, 6 << 10).unwrap();
        room.take(&mut first, 1).unwrap();
        let refused = room.take(&mut Taken::default(), 4 << 10).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.get_details_retry_info().is_some());
        drop(first);
        room.take(&mut Taken::default(), 10 << 10).unwrap();
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_when_to_come_again() {
        let places = Places::new(1, Duration::from_millis(20));
        let first = places.place().await.unwrap();
        let refused = places.place().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.get_details_retry_info().is_some());
        drop(first);
        assert!(places.place().await.is_ok());
    }
}
