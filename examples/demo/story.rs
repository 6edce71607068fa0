//! What an eviction took, read from the simulated Azure's own record: when it was asked for replacements, when they ran, how low it went, what it cost in calls.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::harness::{Result, error};

/// The recovery in figures; times in simulated seconds since the notice of eviction. The record itself is in this machine's time.
pub struct Story {
    /// Until the first evicted instance was gone.
    gone: f64,
    /// Until the capacity was written for replacements.
    asked: f64,
    /// Until the last replacement ran.
    healed: f64,
    /// Instances that came in place of evicted ones and run.
    pub replaced: usize,
    evicted: usize,
    lowest: u64,
    reads: u64,
    writes: u64,
    speed: f64,
}

impl Story {
    /// Reads it from the simulator's state after the recovery.
    ///
    /// # Errors
    /// If something that must have happened is not in the record.
    pub fn of(
        state: &Value,
        calls_before: &Value,
        pool: &str,
        evicted: &[String],
        speed: f64,
    ) -> Result<Self> {
        let events: Vec<(f64, &str, &str)> = state["events"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|event| event["scaleSet"] == pool)
            .filter_map(|event| {
                Some((
                    seconds(event["time"].as_str()?)?,
                    event["kind"].as_str()?,
                    event["message"].as_str()?,
                ))
            })
            .collect();
        let first = |kind: &str, from: f64| {
            events
                .iter()
                .find(|(at, what, _)| *what == kind && *at >= from)
                .map(|(at, ..)| *at)
        };
        let missing = |what: &str| error(format!("the simulator's record has no {what}"));
        let notice = first("EvictionNoticed", 0.0).ok_or_else(|| missing("eviction"))?;
        let gone = first("InstanceGone", notice).ok_or_else(|| missing("instance that went"))?;
        let asked =
            first("CapacityWritten", notice).ok_or_else(|| missing("replacement request"))?;
        let running: Vec<f64> = events
            .iter()
            .filter(|(at, what, _)| *what == "InstanceRunning" && *at > asked)
            .map(|(at, ..)| *at)
            .collect();
        let healed = running.iter().copied().fold(asked, f64::max);
        let set = state["scaleSets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|set| set["name"] == pool)
            .ok_or_else(|| missing("scale set"))?;
        let still_there = |name: &String| {
            set["instances"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|one| one["name"] == name.as_str())
        };
        if evicted.iter().any(still_there) {
            return Err(error("an evicted instance is still listed"));
        }
        let samples = set["samples"].as_array().into_iter().flatten();
        let after = samples.filter(|sample| sample[0].as_f64().unwrap_or(0.0) / 1000.0 >= notice);
        let lowest = after
            .map(|sample| sample[1].as_u64().unwrap_or(0) + sample[3].as_u64().unwrap_or(0))
            .min()
            .unwrap_or(0);
        let spent = |kind: &str| {
            state["calls"][kind]
                .as_u64()
                .unwrap_or(0)
                .saturating_sub(calls_before[kind].as_u64().unwrap_or(0))
        };
        Ok(Self {
            gone: (gone - notice) * speed,
            speed,
            asked: (asked - notice) * speed,
            healed: (healed - notice) * speed,
            replaced: running.len(),
            evicted: evicted.len(),
            lowest,
            reads: spent("reads"),
            writes: spent("writes") + spent("deletes"),
        })
    }

    /// For people.
    pub fn summary(&self) -> String {
        let time = |seconds: f64| {
            format!(
                "{seconds:>4.0} s simulated, {:.1} s here",
                seconds / self.speed
            )
        };
        let rows = [
            ("first evicted instance gone", time(self.gone)),
            ("replacements asked for", time(self.asked)),
            ("all replacements running", time(self.healed)),
            (
                "evicted and replaced",
                format!("{:>4} and {}", self.evicted, self.replaced),
            ),
            ("fewest running, of 20", format!("{:>4}", self.lowest)),
            (
                "calls to Azure",
                format!("{:>4} reads and {} write(s)", self.reads, self.writes),
            ),
        ];
        rows.iter().fold(
            String::from("From the notice of eviction:\n"),
            |text, (what, figure)| text + &format!("  {what:<28}{figure}\n"),
        )
    }
}

fn seconds(stamp: &str) -> Option<f64> {
    stamp
        .parse::<Timestamp>()
        .ok()
        .map(|at| at.as_millisecond() as f64 / 1000.0)
}
