//! From the time of this process to the world's, and back: the world runs `speed` times faster, and every time it shows
//! on the wire is the moment in which it happened here, so that clients may compare it with their own clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use tokio::time::Instant;

/// A clock that follows tokio's, also a paused one.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    anchor: Duration,
    /// Passed before this process.
    before: Duration,
    /// The world's time while what happened before happens again.
    held: Option<u64>,
    speed: f64,
}

impl Clock {
    /// Starts now; `anchor` is the wall time of now, read from the system when `None`. A speed that is no positive number
    /// counts as 1.
    #[must_use]
    pub fn start(speed: f64, anchor: Option<SystemTime>) -> Self {
        let wall = anchor.unwrap_or_else(SystemTime::now);
        let speed = if speed.is_finite() && speed > 0.0 {
            speed
        } else {
            1.0
        };
        Self {
            started: Instant::now(),
            anchor: wall.duration_since(UNIX_EPOCH).unwrap_or_default(),
            before: Duration::ZERO,
            held: None,
            speed,
        }
    }

    /// Wall time of the world's zero, nanoseconds since 1970.
    #[must_use]
    pub const fn began(&self) -> u64 {
        self.anchor.as_nanos() as u64
    }

    /// Goes on from a start at `anchor` (nanoseconds since 1970): time has passed since, as it has in Azure, and at least up to `world`.
    pub fn resume(&mut self, anchor: u64, world: u64) {
        let (now, began) = (self.anchor, Duration::from_nanos(anchor));
        self.before = now.saturating_sub(began).max(self.here(world));
        self.anchor = began;
        self.held = None;
    }

    /// Stands still at a moment of the world until it is told otherwise.
    pub const fn hold(&mut self, world: u64) {
        self.held = Some(world);
    }

    /// The world's time, in milliseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        let passed = self.before + self.started.elapsed();
        self.held
            .unwrap_or((passed.as_secs_f64() * 1000.0 * self.speed) as u64)
    }

    /// How much faster than here the world runs.
    #[must_use]
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// How long `millis` of the world take here.
    #[must_use]
    pub fn here(&self, millis: u64) -> Duration {
        Duration::from_secs_f64(millis as f64 / 1000.0 / self.speed)
    }

    /// A moment of the world as Azure prints it: `2024-08-26T08:35:38.3894511+00:00`.
    #[must_use]
    pub fn stamp(&self, world: u64) -> String {
        let at = self.anchor + self.here(world);
        let t = OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos() as i128)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (date, clock) = (t.date(), t.time());
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}+00:00",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.nanosecond() / 100
        )
    }

    /// A moment of the world in milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(&self, world: u64) -> u64 {
        (self.anchor + self.here(world)).as_millis() as u64
    }
}
