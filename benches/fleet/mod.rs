//! Many pools on one machine: brought up, at rest, and what they have asked of Azure so far.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::machine::{Machine, Settings, manifest};
use crate::harness::{Result, error};

/// How long so many scale sets may take to be created and to come to rest.
const CREATION: Duration = Duration::from_secs(1_200);

/// How fast Azure's time runs, and how often the controller looks, so that in simulated time it is as patient as by default.
#[derive(Clone, Copy)]
pub struct Tempo {
    /// Simulated seconds a second. The controller counts Azure's limits in its own seconds: where they are what is measured, 1.
    pub speed: f64,
    /// Between two looks at rest.
    pub rest: Duration,
    /// The same, as the controller takes it.
    pub look_every: &'static str,
    /// `--settle`.
    pub settle: &'static str,
    /// `--motion`.
    pub motion: &'static str,
}

/// A machine with so many pools of so many Spot instances, all of them at rest.
pub async fn resting(pools: usize, spot: usize, tempo: Tempo) -> Result<Machine> {
    let settings = Settings {
        speed: tempo.speed,
        look_every: tempo.look_every,
        settle: tempo.settle,
        motion: tempo.motion,
        log: "warn",
        ..Settings::default()
    };
    let mut machine = Machine::start(settings).await?;
    eprintln!("creating {pools} pools of {spot} Spot instances ...");
    // Only while they are created: so many at once is not what is measured.
    let throttle = |on: bool| json!({"throttle": on});
    machine.azure.control("world", &throttle(false)).await?;
    let quota = json!({"name": "lowPriorityCores", "limit": 100_000});
    machine.azure.control("quota", &quota).await?;
    let items: Vec<Value> = (0..pools)
        .map(|n| manifest(&name(n), spot as u32, 0))
        .collect();
    let all = json!({"apiVersion": "v1", "kind": "List", "items": items});
    machine.apply(&all).await?;
    all_run(&machine, pools, spot).await?;
    // One that knows nothing of what creation has used up of Azure's limits.
    machine.stop_controller().await?;
    machine.start_controller().await?;
    quiet(&machine, pools, tempo).await?;
    machine.azure.control("world", &throttle(true)).await?;
    Ok(machine)
}

/// Waits until a survey has spared every pool its own look, twice, and nothing else was asked meanwhile.
async fn quiet(machine: &Machine, pools: usize, tempo: Tempo) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < CREATION {
        let (reads, spared) = (calls(machine).await?.0, spared(machine).await?);
        tokio::time::sleep(tempo.rest * 3).await;
        // Three surveys and one more, of as many pages as a thousand rows need.
        let surveys = 4 * pools.div_ceil(1_000) as u64;
        let reads = calls(machine).await?.0 - reads;
        let spared = self::spared(machine).await? - spared;
        if reads <= surveys && spared >= 2 * pools as u64 {
            return Ok(());
        }
    }
    Err(error(format!("{pools} pools do not come to rest")))
}

/// Of the pool and of its scale set.
pub fn name(n: usize) -> String {
    format!("pool-{n:04}")
}

/// Waits until every pool has all its instances.
pub async fn all_run(machine: &Machine, pools: usize, spot: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        let state = machine.azure.state().await?;
        let sets = state["scaleSets"].as_array().map_or(&[][..], Vec::as_slice);
        let whole = |set: &&Value| {
            let instances = set["instances"].as_array().map_or(&[][..], Vec::as_slice);
            instances.len() == spot
                && instances.iter().all(|one| one["state"] == "running")
                && set["provisioningState"] == "Succeeded"
        };
        let done = sets.iter().filter(whole).count();
        if done == pools {
            return Ok(());
        }
        if started.elapsed() > CREATION {
            return Err(error(format!(
                "only {done} of {pools} pools are whole after {CREATION:?}"
            )));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Azure's reads and writes so far.
pub async fn calls(machine: &Machine) -> Result<(u64, u64)> {
    let state = machine.azure.state().await?;
    let count = |kind: &str| state["calls"][kind].as_u64().unwrap_or(0);
    Ok((count("reads"), count("writes") + count("deletes")))
}

/// Answers 429 so far.
pub async fn throttled(machine: &Machine) -> Result<u64> {
    counter(machine, "spotpool_azure_throttled_total").await
}

/// Looks so far that a survey has spared.
async fn spared(machine: &Machine) -> Result<u64> {
    counter(machine, "spotpool_looks_spared_total").await
}

async fn counter(machine: &Machine, name: &str) -> Result<u64> {
    let page = machine.metrics_page("metrics").await?;
    let line = page.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    Ok(number.unwrap_or(0))
}

/// Something that happened to a scale set.
pub struct Event {
    /// Of the scale set.
    pub set: String,
    /// A word such as `CapacityWritten`, a space, and the same in words.
    pub what: String,
    /// Milliseconds of this machine.
    pub at: f64,
}

/// What happens from now on.
pub struct Events(u64);

impl Events {
    /// Nothing of what was before.
    pub async fn from_now(machine: &Machine) -> Result<Self> {
        let state = machine.azure.state().await?;
        let events = state["events"].as_array();
        let last = events.and_then(|all| all.last()?["number"].as_u64());
        Ok(Self(last.unwrap_or(0)))
    }

    /// What has happened since the last time.
    pub async fn read(&mut self, machine: &Machine) -> Result<Vec<Event>> {
        let state = machine.azure.state_since(self.0).await?;
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or("").to_owned();
        let mut read = Vec::new();
        for event in state["events"].as_array().into_iter().flatten() {
            self.0 = self.0.max(event["number"].as_u64().unwrap_or(0));
            let at: Option<Timestamp> = text(event, "time").parse().ok();
            read.push(Event {
                set: text(event, "scaleSet"),
                what: format!("{} {}", text(event, "kind"), text(event, "message")),
                at: at.map_or(0.0, |at| at.as_millisecond() as f64),
            });
        }
        Ok(read)
    }
}
