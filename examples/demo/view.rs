//! A pool as one line that moves: bars for what runs, what starts and what is missing. On a terminal the line is redrawn, elsewhere each change is a line.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use serde_json::Value;

use crate::harness::azure::Set;
use crate::harness::machine::condition;

/// The line.
pub struct View {
    started: Instant,
    last: String,
    live: bool,
}

impl View {
    /// Begins to count the seconds.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            last: String::new(),
            live: std::io::stdout().is_terminal(),
        }
    }

    /// Shows what changed.
    pub fn show(&mut self, pool: &Value, set: &Set) {
        let spot = bar(
            set.running("Spot"),
            set.starting("Spot"),
            pool["spec"]["capacity"]["spot"].as_u64(),
        );
        let regular = bar(
            set.running("Regular"),
            set.starting("Regular"),
            pool["spec"]["capacity"]["regular"].as_u64(),
        );
        let (ready, reason) = condition(pool, "Ready");
        let (satisfied, why) = condition(pool, "SpotSatisfied");
        let spot_reason = if satisfied == "False" {
            format!(", Spot: {why}")
        } else {
            String::new()
        };
        let ready = if ready.is_empty() {
            "new".to_owned()
        } else {
            format!("Ready {ready} ({reason}){spot_reason}")
        };
        let line = format!("Spot {spot}  regular {regular}  {ready}");
        if line == self.last {
            return;
        }
        let at = self.started.elapsed().as_secs_f64();
        if self.live {
            print!("\r\x1b[K{at:>5.1} s  {line}");
        } else {
            println!("{at:>5.1} s  {line}");
        }
        // A closed terminal is no reason to stop.
        let _ = std::io::stdout().flush();
        self.last = line;
    }

    /// Leaves the line as it stands.
    pub fn end(&mut self) {
        if self.live && !self.last.is_empty() {
            println!();
        }
        self.last.clear();
    }
}

fn bar(running: usize, starting: usize, wanted: Option<u64>) -> String {
    let wanted = usize::try_from(wanted.unwrap_or(0)).unwrap_or(0);
    let missing = wanted.saturating_sub(running + starting);
    format!(
        "{}{}{} {running:>2}/{wanted}",
        "█".repeat(running),
        "▒".repeat(starting),
        "·".repeat(missing)
    )
}
