//! The clock that the domain goes by; on one machine it can be set and advanced.
//!
//! Tokens, leases, retries and telemetry follow the wall clock and don't come here.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use civic::LocalDay;
use tokio::{sync::watch, time::Instant};

use crate::settings;

/// The longest sleep without looking again: the wall clock may have been corrected meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Tells the time. Cheap to clone; all clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Face>);

#[derive(Debug)]
enum Face {
    /// Real time.
    System,
    /// A time of our own, which can be moved forward.
    Set {
        hands: watch::Sender<Hands>,
        ticking: bool,
    },
}

/// The clock showed `shown` at `since` of the machine's steady time.
#[derive(Debug, Clone, Copy)]
struct Hands {
    shown: DateTime<Utc>,
    since: Instant,
}

/// The clock is the real one, and nobody can set that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's clock can't be set: start with `--as-of` in local mode")]
pub struct NotSettable;

impl Clock {
    /// Real time.
    pub fn system() -> Self {
        Self(Arc::new(Face::System))
    }

    /// Starts at `as_of` and ticks on from there.
    pub fn starting_at(as_of: DateTime<Utc>) -> Self {
        Self::set(as_of, true)
    }

    /// Stands at `as_of` until it is advanced.
    pub fn stopped_at(as_of: DateTime<Utc>) -> Self {
        Self::set(as_of, false)
    }

    /// The clock that the settings ask for.
    ///
    /// # Errors
    /// If a time is given outside local mode, or the clock is to stand still at no time.
    pub fn from_settings(settings: &settings::Settings) -> Result<Self, ClockError> {
        let settings::Clock { as_of, stopped } = &settings.clock;
        match as_of {
            None if *stopped => Err(ClockError::StoppedNowhere),
            None => Ok(Self::system()),
            Some(_) if !settings.is_local() => Err(ClockError::NotLocal),
            Some(as_of) => Ok(Self::set(as_of.to_utc(), !stopped)),
        }
    }

    fn set(as_of: DateTime<Utc>, ticking: bool) -> Self {
        let hands = Hands {
            shown: as_of,
            since: Instant::now(),
        };
        Self(Arc::new(Face::Set {
            hands: watch::Sender::new(hands),
            ticking,
        }))
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Face::System => Utc::now(),
            Face::Set { hands, ticking } => hands.borrow().read(*ticking),
        }
    }

    /// The day now, in Asia/Shanghai.
    pub fn today(&self) -> LocalDay {
        LocalDay::of(self.now())
    }

    /// Whether this clock can be advanced.
    pub fn is_settable(&self) -> bool {
        match &*self.0 {
            Face::System => false,
            Face::Set { .. } => true,
        }
    }

    /// Moves the clock forward to `instant` and wakes whoever sleeps until then; an earlier instant
    /// changes nothing. Returns the time now.
    ///
    /// # Errors
    /// [`NotSettable`] if it is the real clock.
    pub fn advance_to(&self, instant: DateTime<Utc>) -> Result<DateTime<Utc>, NotSettable> {
        match &*self.0 {
            Face::System => Err(NotSettable),
            Face::Set { hands, ticking } => {
                hands.send_if_modified(|hands| {
                    let earlier = instant <= hands.read(*ticking);
                    if !earlier {
                        *hands = Hands {
                            shown: instant,
                            since: Instant::now(),
                        };
                    }
                    !earlier
                });
                Ok(self.now())
            }
        }
    }

    /// Waits until this clock shows `instant`; at once if it is past.
    pub async fn sleep_until(&self, instant: DateTime<Utc>) {
        let mut changes = self.subscribe();
        loop {
            let now = self.now();
            if now >= instant {
                return;
            }
            // Rounded up: waking a hair early would spin.
            let left = (instant - now).to_std().unwrap_or_default() + Duration::from_millis(1);
            match &*self.0 {
                Face::System => tokio::time::sleep(left.min(LOOK_AGAIN)).await,
                Face::Set { ticking: true, .. } => {
                    tokio::select! {
                        () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
                        () = changes.moved() => {}
                    }
                }
                Face::Set { ticking: false, .. } => changes.moved().await,
            }
        }
    }

    /// Waits for `span` of this clock's time.
    pub async fn sleep(&self, span: TimeDelta) {
        self.sleep_until(self.now() + span).await;
    }

    /// Tells of each time that the clock is moved by hand (its ticking is not told).
    pub fn subscribe(&self) -> Changes {
        match &*self.0 {
            Face::System => Changes(None),
            Face::Set { hands, .. } => Changes(Some(hands.subscribe())),
        }
    }
}

impl Hands {
    fn read(&self, ticking: bool) -> DateTime<Utc> {
        if !ticking {
            return self.shown;
        }
        let passed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        self.shown
            .checked_add_signed(passed)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// The moves of a clock, seen from one place.
#[derive(Debug)]
pub struct Changes(Option<watch::Receiver<Hands>>);

impl Changes {
    /// Waits until the clock is moved; for ever where it can't be. Moves that came since the last
    /// call count as one.
    pub async fn moved(&mut self) {
        if let Some(hands) = &mut self.0
            && hands.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

/// The settings ask for a clock that can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// `clock.as_of` is for local mode.
    #[error("`clock.as_of` needs `auth.mode = \"local\"`: elsewhere the clock is the real one")]
    NotLocal,
    /// `clock.stopped` needs `clock.as_of`.
    #[error("`clock.stopped` needs `clock.as_of`: at which time should the clock stand?")]
    StoppedNowhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2024-11-01T04:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_advanced_past_its_instant() {
        let clock = Clock::stopped_at(noon());
        let (sleeping, mut woken) = tokio::sync::oneshot::channel();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(TimeDelta::hours(1)).await;
                sleeping.send(clock.now()).unwrap();
            }
        });
        clock.advance_to(noon() + TimeDelta::minutes(59)).unwrap();
        tokio::task::yield_now().await;
        assert!(woken.try_recv().is_err(), "it woke too early");
        clock.advance_to(noon() + TimeDelta::days(1)).unwrap();
        sleeper.await.unwrap();
        assert_eq!(woken.await.unwrap(), noon() + TimeDelta::days(1));
    }

    #[tokio::test]
    async fn the_clock_never_goes_back() {
        let clock = Clock::stopped_at(noon());
        assert_eq!(clock.advance_to(noon() - TimeDelta::days(1)), Ok(noon()));
        assert_eq!(clock.now(), noon());
        assert_eq!(Clock::system().advance_to(noon()), Err(NotSettable));
    }

    #[tokio::test]
    async fn a_ticking_clock_goes_on_from_where_it_was_set() {
        let clock = Clock::starting_at(noon());
        clock.sleep(TimeDelta::milliseconds(20)).await;
        let shown = clock.now() - noon();
        assert!(
            shown >= TimeDelta::milliseconds(20) && shown < TimeDelta::minutes(5),
            "{shown}"
        );
        clock.advance_to(noon() + TimeDelta::days(1)).unwrap();
        clock.sleep(TimeDelta::milliseconds(20)).await;
        assert!(clock.now() > noon() + TimeDelta::days(1));
    }

    #[test]
    fn a_clock_is_set_in_local_mode_only() {
        let mut settings = settings::Settings::default();
        settings.clock.as_of = Some(noon().fixed_offset());
        assert_eq!(
            Clock::from_settings(&settings).unwrap_err(),
            ClockError::NotLocal
        );
        settings.auth.mode = settings::Mode::Local;
        assert!(Clock::from_settings(&settings).unwrap().is_settable());
    }

    #[test]
    fn today_is_the_day_in_shanghai() {
        let evening = "2024-10-31T16:00:00Z".parse().unwrap();
        assert_eq!(Clock::stopped_at(evening).today().to_string(), "2024-11-01");
    }
}
