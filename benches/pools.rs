//! What pools cost at rest, ten of them and a thousand, and how soon an eviction is answered: the real controller on a real control plane,
//! with Azure simulated.
//!
//! Azure's time runs ten times faster, and the controller is given a tenth of its default times, so that all figures in
//! simulated seconds are those of the defaults. `SPOTPOOL_BENCH_JSON=FILE` writes the figures for machines.

mod fleet;
#[path = "../tests/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fleet::{Event, Events, Tempo, all_run, calls, name, resting, throttled};
use harness::machine::Machine;
use harness::{Result, error};
use serde_json::{Value, json};

/// Pools in one subscription and location.
const SIZES: [usize; 3] = [10, 100, 1_000];
/// One in each pool, where there are just so many.
const EVICTIONS: usize = 100;
const SPOT: usize = 1;
const TENFOLD: Tempo = Tempo {
    speed: SPEED,
    rest: Duration::from_secs(3),
    look_every: "3s",
    settle: "6s",
    motion: "500ms",
};
const SPEED: f64 = 10.0;
const REST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // `cargo bench` passes flags that are criterion's.
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("pools: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(measure()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pools: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let (mut rests, mut answers) = (Vec::new(), Vec::new());
    for pools in SIZES {
        let machine = resting(pools, SPOT, TENFOLD).await?;
        eprintln!(
            "{pools} pools: {} simulated minutes of rest ...",
            REST.as_secs_f64() * SPEED / 60.0
        );
        rests.push((pools, at_rest(&machine).await?));
        if pools == EVICTIONS {
            eprintln!("{EVICTIONS} evictions ...");
            answers = evictions(&machine, pools).await?;
        }
    }
    report(&rests, &answers)
}

struct Rest {
    reads: u64,
    writes: u64,
    throttled: u64,
    cpu_seconds: f64,
    resident_mib: f64,
    peak_mib: f64,
}

async fn at_rest(machine: &Machine) -> Result<Rest> {
    let pid = machine.controller_pid().ok_or("no controller")?;
    let (before, cpu, refused) = (
        calls(machine).await?,
        cpu_seconds(pid)?,
        throttled(machine).await?,
    );
    tokio::time::sleep(REST).await;
    let after = calls(machine).await?;
    Ok(Rest {
        reads: after.0 - before.0,
        writes: after.1 - before.1,
        throttled: throttled(machine).await? - refused,
        cpu_seconds: cpu_seconds(pid)? - cpu,
        resident_mib: memory_mib(pid, "VmRSS:")?,
        peak_mib: memory_mib(pid, "VmHWM:")?,
    })
}

/// User and system time of a process; the kernel counts in hundredths of a second.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let field = |n: usize| {
        after_name
            .split_whitespace()
            .nth(n)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((field(11) + field(12)) / 100.0)
}

fn memory_mib(pid: u32, what: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with(what))
        .unwrap_or_default();
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0);
    Ok(kib / 1024.0)
}

/// Simulated seconds of one eviction.
struct Answered {
    /// From the notice to the instance being gone and the capacity fallen: Azure's part.
    azure: f64,
    /// From then to the request for a replacement: ours.
    ours: f64,
}

async fn evictions(machine: &Machine, pools: usize) -> Result<Vec<Answered>> {
    let mut events = Events::from_now(machine).await?;
    let mut record = Record::default();
    for n in 0..EVICTIONS {
        machine.azure.evict(&name(n), 1).await?;
        // Not a whole part of the interval between looks, so that evictions fall on all moments of it.
        tokio::time::sleep(Duration::from_millis(773)).await;
        record.take(events.read(machine).await?);
    }
    let started = Instant::now();
    while record.answered().len() < EVICTIONS {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(error(format!(
                "only {} of {EVICTIONS} evictions were answered",
                record.answered().len()
            )));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        record.take(events.read(machine).await?);
    }
    all_run(machine, pools, SPOT).await?;
    Ok(record.answered())
}

/// What happened to each scale set, in this machine's milliseconds.
#[derive(Default)]
struct Record {
    noticed: BTreeMap<String, f64>,
    ready: BTreeMap<String, f64>,
    asked: BTreeMap<String, f64>,
}

impl Record {
    fn take(&mut self, events: Vec<Event>) {
        for Event { set, what, at } in events {
            match what.split(' ').next().unwrap_or_default() {
                "EvictionNoticed" => _ = self.noticed.insert(set, at),
                "InstanceGone" | "CapacityFell" if !self.asked.contains_key(&set) => {
                    _ = self.ready.insert(set, at)
                }
                "CapacityWritten" if self.noticed.contains_key(&set) => {
                    _ = self.asked.entry(set).or_insert(at)
                }
                _ => {}
            }
        }
    }

    fn answered(&self) -> Vec<Answered> {
        let simulated = |from: f64, to: f64| (to - from) * SPEED / 1000.0;
        let of = |(set, asked): (&String, &f64)| {
            let (noticed, ready) = (self.noticed.get(set)?, self.ready.get(set)?);
            Some(Answered {
                azure: simulated(*noticed, *ready),
                ours: simulated(*ready, *asked),
            })
        };
        self.asked.iter().filter_map(of).collect()
    }
}

fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

fn report(rests: &[(usize, Rest)], answers: &[Answered]) -> Result<()> {
    let minutes = REST.as_secs_f64() * SPEED / 60.0;
    let a_minute = |rest: &Rest| rest.reads as f64 / minutes;
    for (pools, rest) in rests {
        println!("{pools} pools at rest, {minutes:.0} simulated minutes");
        println!("  Azure reads a minute, of all   {:>8.2}", a_minute(rest));
        println!(
            "  Azure reads an hour, of all    {:>8.0}",
            a_minute(rest) * 60.0
        );
        println!("  Azure writes                   {:>8}", rest.writes);
        println!("  answers 429                    {:>8}", rest.throttled);
        println!(
            "  controller, CPU                {:>8.2} s",
            rest.cpu_seconds
        );
        println!(
            "  controller, resident memory    {:>8.1} MiB (peak {:.1} MiB)",
            rest.resident_mib, rest.peak_mib
        );
    }
    let both = |of: fn(&Answered) -> f64| {
        (
            percentile(answers.iter().map(of), 50),
            percentile(answers.iter().map(of), 99),
        )
    };
    let (azure, ours, whole) = (
        both(|one| one.azure),
        both(|one| one.ours),
        both(|one| one.azure + one.ours),
    );
    println!(
        "{} evictions, one in each of so many pools, simulated seconds p50      p99",
        answers.len()
    );
    for (what, (half, most)) in [
        ("Azure: notice, deletion, capacity falls", azure),
        ("spotpool: from then to the request for another", ours),
        ("both", whole),
    ] {
        println!("  {what:<50}  {half:>8.1} {most:>8.1}");
    }
    if let Some(file) = std::env::var_os("SPOTPOOL_BENCH_JSON") {
        let at_rest: Vec<Value> = rests.iter().map(|(pools, rest)| json!({
            "pools": pools, "simulatedMinutes": minutes, "readsAMinute": a_minute(rest), "writes": rest.writes, "throttled": rest.throttled,
            "cpuSeconds": rest.cpu_seconds, "residentMiB": rest.resident_mib, "peakMiB": rest.peak_mib,
        })).collect();
        let figures = json!({
            "atRest": at_rest, "evictions": answers.len(), "azureSeconds": {"p50": azure.0, "p99": azure.1},
            "spotpoolSeconds": {"p50": ours.0, "p99": ours.1}, "bothSeconds": {"p50": whole.0, "p99": whole.1},
        });
        std::fs::write(file, format!("{figures:#}\n"))?;
    }
    if let Some((pools, rest)) = rests.iter().find(|(_, rest)| rest.writes > 0) {
        return Err(error(format!(
            "{} writes by {pools} pools at rest",
            rest.writes
        )));
    }
    if let [(few, first), .., (many, last)] = rests {
        let (first, last) = (a_minute(first), a_minute(last));
        if (last - first).abs() > first / 10.0 {
            return Err(error(format!(
                "{many} pools cost {last:.2} reads a minute, {few} pools {first:.2}: more than a tenth apart"
            )));
        }
    }
    Ok(())
}
