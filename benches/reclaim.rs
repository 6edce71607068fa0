//! Azure takes 5,000 instances of 500 pools at once: how long until all of them are asked for again, against the time that Azure's own
//! limits of writes allow. The real controller on a real control plane, with Azure and its limits simulated.
//!
//! `SPOTPOOL_BENCH_RECLAIM_JSON=FILE` writes the figures for machines.

mod fleet;
#[path = "../tests/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fleet::{Event, Events, Tempo, all_run, calls, name, resting, throttled};
use harness::{Result, error};
use serde_json::json;

/// The limits are what counts here, and the controller counts them in its own seconds.
const REAL: Tempo = Tempo {
    speed: 1.0,
    rest: Duration::from_secs(30),
    look_every: "30s",
    settle: "60s",
    motion: "5s",
};
const POOLS: usize = 500;
const SPOT: usize = 10;
/// As many times Azure's own time as all should take.
const AIM: f64 = 1.2;
const SOON: Duration = Duration::from_secs(900);
/// Writes of a caller to a subscription: depth, and refill a second [DOC request-limits-and-throttling].
const ARM_WRITES: (f64, f64) = (200.0, 10.0);
/// `UpdateVMScaleSet` of a subscription, the same [DOC compute-throttling-limits].
const COMPUTE_WRITES: (f64, f64) = (1_500.0, 500.0 / 60.0);

fn main() -> ExitCode {
    // `cargo bench` passes flags that are criterion's.
    let measured = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure()));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reclaim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let machine = resting(POOLS, SPOT, REAL).await?;
    let mut events = Events::from_now(&machine).await?;
    let mut story = Story::default();
    let (before, refused) = (calls(&machine).await?, throttled(&machine).await?);
    eprintln!("{} evictions at once ...", POOLS * SPOT);
    for n in 0..POOLS {
        machine.azure.evict(&name(n), SPOT).await?;
    }
    let started = Instant::now();
    while story.answered.len() < POOLS {
        if started.elapsed() > SOON {
            return Err(error(format!(
                "only {} of {POOLS} pools asked for all of theirs again within {SOON:?}",
                story.answered.len()
            )));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        story.take(events.read(&machine).await?);
    }
    let asked = calls(&machine).await?;
    let refused = throttled(&machine).await? - refused;
    all_run(&machine, POOLS, SPOT).await?;
    report(&story, asked.0 - before.0, asked.1 - before.1, refused)
}

/// What happened to each scale set, in seconds.
#[derive(Default)]
struct Story {
    /// When Azure was through with it: the last instance gone, the capacity fallen.
    ready: BTreeMap<String, f64>,
    /// When all of its instances had been asked for again.
    answered: BTreeMap<String, f64>,
}

impl Story {
    fn take(&mut self, events: Vec<Event>) {
        // The message of a write ends in the new capacity.
        let whole = format!("→ {SPOT}");
        for Event { set, what, at } in events {
            let at = at / 1_000.0;
            match what.split(' ').next().unwrap_or_default() {
                "InstanceGone" | "CapacityFell" if !self.answered.contains_key(&set) => {
                    self.ready.insert(set, at);
                }
                "CapacityWritten" if what.ends_with(&whole) => {
                    self.answered.entry(set).or_insert(at);
                }
                _ => {}
            }
        }
    }
}

/// When the last of these writes would be through if each were sent the moment it could be, and all limits were full before.
fn soonest(ready: &[f64]) -> f64 {
    let mut sorted = ready.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = |(depth, refill): (f64, f64)| {
        let (mut tokens, mut now) = (depth, sorted.first().copied().unwrap_or(0.0));
        for at in &sorted {
            let sent = at.max(now);
            tokens = (tokens + (sent - now) * refill).min(depth);
            let wait = ((1.0 - tokens) / refill).max(0.0);
            tokens += wait * refill - 1.0;
            now = sent + wait;
        }
        now
    };
    last(ARM_WRITES).max(last(COMPUTE_WRITES))
}

fn report(story: &Story, reads: u64, writes: u64, refused: u64) -> Result<()> {
    let ready: Vec<f64> = story.ready.values().copied().collect();
    let first = ready.iter().copied().fold(f64::INFINITY, f64::min);
    let through = ready.iter().copied().fold(first, f64::max) - first;
    let azure = soonest(&ready) - first;
    let ours = story.answered.values().copied().fold(first, f64::max) - first;
    let ratio = ours / azure;
    println!(
        "{} instances of {POOLS} pools reclaimed at once, seconds after the first pool had lost all of its",
        POOLS * SPOT
    );
    println!("  the last pool has lost all of its                {through:>8.1}");
    println!("  all could be asked for, by Azure's write limits  {azure:>8.1}");
    println!(
        "  all are asked for                                {ours:>8.1}   {ratio:.2} times that (aim: {AIM})"
    );
    println!("  Azure reads, writes, answers 429                 {reads:>8} {writes} {refused}");
    if let Some(file) = std::env::var_os("SPOTPOOL_BENCH_RECLAIM_JSON") {
        let figures = json!({
            "pools": POOLS, "instances": POOLS * SPOT, "lostSeconds": through, "allowedSeconds": azure, "askedSeconds": ours,
            "ratio": ratio, "reads": reads, "writes": writes, "throttled": refused,
        });
        std::fs::write(file, format!("{figures:#}\n"))?;
    }
    Ok(())
}
