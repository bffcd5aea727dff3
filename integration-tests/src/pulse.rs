//! Whether the machine itself gets on. A call that is answered too late is a fault of the system, unless all stood still meanwhile: a
//! thread does the same little work again and again, on the processor and on the disk, and notes where that took far longer than
//! it does.

use std::{
    fs::File,
    hint::black_box,
    io::{Seek as _, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The pause between two beats.
const PAUSE: Duration = Duration::from_millis(50);

/// A beat that takes no longer, with its pause, is none that anybody would notice.
const USUAL: Duration = Duration::from_millis(200);

/// What the processor does in a beat.
const TURNS: u64 = 100_000;

/// A thread that beats, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: Arc<Beats>,
}

#[derive(Debug)]
struct Beats {
    over: AtomicBool,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    /// When the beat began that is under way.
    begun: Instant,
    /// When those ended that were late, and by how much each was.
    late: Vec<(Instant, Duration)>,
}

impl Pulse {
    pub(crate) fn begin() -> Self {
        let noted = Noted {
            begun: Instant::now(),
            late: Vec::new(),
        };
        let beats = Arc::new(Beats {
            over: AtomicBool::new(false),
            noted: Mutex::new(noted),
        });
        let (own, mut file) = (Arc::clone(&beats), tempfile::tempfile().unwrap());
        thread::spawn(move || {
            while !own.over.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                beat(&mut file);
                own.noted().ended(Instant::now());
            }
        });
        Self { beats }
    }

    /// How long the machine stood still since then, all in all.
    pub(crate) fn stood_still_since(&self, then: Instant) -> Duration {
        self.beats.noted().since(then, Instant::now())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.beats.over.store(true, Ordering::Relaxed);
    }
}

impl Beats {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn ended(&mut self, now: Instant) {
        let late = self.under_way(now);
        if !late.is_zero() {
            self.late.push((now, late));
        }
        self.begun = now;
    }

    /// By how much the beat is late that is under way.
    fn under_way(&self, now: Instant) -> Duration {
        now.duration_since(self.begun).saturating_sub(USUAL)
    }

    fn since(&self, then: Instant, now: Instant) -> Duration {
        let later = self.late.iter().filter(|(ended, _)| *ended > then);
        // Of one that had begun before, what came after.
        let parts = later.map(|(ended, late)| (*late).min(ended.duration_since(then)));
        let under_way = self.under_way(now).min(now.duration_since(then));
        parts.sum::<Duration>() + under_way
    }
}

/// A little of what services do: they reckon, and wait for the disk.
fn beat(file: &mut File) {
    let reckoned = (0..TURNS).fold(0_u64, |sum, turn| black_box(sum.wrapping_add(turn)));
    file.rewind().unwrap();
    file.write_all(&reckoned.to_le_bytes()).unwrap();
    file.sync_all().unwrap();
}
