//! The operator's one clock: a wall time that was read once, plus how much tokio time has passed since.
//!
//! In comes nothing but the start; out goes [`Timestamp`]s for everything the operator stamps, shows or compares. Waits use tokio
//! time, so under a paused tokio clock the whole operator stands still and moves with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spotpool_core::units::{Millis, Timestamp};
use tokio::time::Instant;

/// How long the wall clock is not asked again.
const ANCHOR_AGE: Duration = Duration::from_secs(60);

/// Tells the time. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: Arc<Mutex<Anchor>>,
    follows_system: bool,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall: Timestamp,
    mark: Instant,
}

impl Anchor {
    fn now(self) -> Timestamp {
        let passed = i64::try_from(self.mark.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.wall + Millis(passed)
    }
}

impl Clock {
    /// Follows the system's clock, which is asked once a minute so that corrections (NTP) arrive.
    pub fn system() -> Self {
        Self::new(system_time(), true)
    }

    /// Starts at `epoch` and follows tokio's time alone: for tests under a paused clock.
    pub fn at(epoch: Timestamp) -> Self {
        Self::new(epoch, false)
    }

    fn new(wall: Timestamp, follows_system: bool) -> Self {
        let anchor = Anchor {
            wall,
            mark: Instant::now(),
        };
        Self {
            anchor: Arc::new(Mutex::new(anchor)),
            follows_system,
        }
    }

    /// The time now. It never goes backwards: what was read before a write must not look as if it had been read after.
    pub fn now(&self) -> Timestamp {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        if self.follows_system && anchor.mark.elapsed() >= ANCHOR_AGE {
            *anchor = Anchor {
                wall: anchor.now().max(system_time()),
                mark: Instant::now(),
            };
        }
        anchor.now()
    }

    /// How long it is until `then`; zero when it has passed.
    pub fn until(&self, then: Timestamp) -> Duration {
        let left = then - self.now();
        Duration::from_millis(u64::try_from(left.0).unwrap_or(0))
    }
}

fn system_time() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time_by_itself() {
        let clock = Clock::at(Timestamp(1_000));
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), Timestamp(91_000));
        assert_eq!(clock.until(Timestamp(92_500)), Duration::from_millis(1_500));
        assert_eq!(clock.until(Timestamp(0)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn never_goes_backwards_when_the_wall_clock_is_asked_again() {
        let clock = Clock::system();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        let ahead = clock.now();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(clock.now() > ahead, "the system's clock is an hour behind");
    }
}
