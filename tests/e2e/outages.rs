//! Long outages: of the Kubernetes API for a minute, of Azure for an hour of its own time. Nothing is lost, nothing doubled, it recovers by
//! itself, and the conditions are true to the facts. (The login host's hour is in `logins`.)

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::machine::{Machine, Settings, condition, manifest};
use crate::harness::{Result, error};

const SOON: Duration = Duration::from_secs(90);

/// Waits for Azure alone: there may be no API server to ask.
async fn until_azure_runs(machine: &Machine, spot: usize, regular: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        let set = machine.azure.set("render").await?;
        let running = (set.running("Spot"), set.running("Regular"));
        if running == (spot, regular) && set.held() == spot + regular {
            return Ok(());
        }
        if started.elapsed() > SOON {
            let log = machine.controller_log();
            return Err(error(format!(
                "{spot} Spot and {regular} regular instances should run: {set:?}\n{log}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_the_kubernetes_api_holds_up_no_replacement() -> Result<()> {
    let mut machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 6, 1)).await?;
    machine.until_as_declared("render", 6, 1).await?;
    let stopped = Instant::now();
    machine.plane.stop_apiserver()?;
    machine.azure.evict("render", 2).await?;
    until_azure_runs(&machine, 6, 1).await?;
    tokio::time::sleep(Duration::from_secs(60).saturating_sub(stopped.elapsed())).await;
    machine.plane.start_apiserver().await?;
    machine
        .until(
            "render",
            "what happened meanwhile is told",
            SOON,
            |now, _| now["status"]["evictions"]["total"] == 2,
        )
        .await?;
    let told = machine.until_as_declared("render", 6, 1).await?;
    assert_eq!(condition(&told, "Ready").0, "True", "{told:#}");
    assert_eq!(
        machine.azure.created("render").await?,
        9,
        "7 and 2 for the evicted"
    );
    // It hears of changes again.
    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=8", "--timeout=1m"])
        .await?;
    machine.until_as_declared("render", 8, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_without_azure_is_told_and_then_healed() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let mut render = manifest("render", 6, 1);
    render["spec"]["progressDeadline"] = json!("2s");
    machine.apply(&render).await?;
    machine.until_as_declared("render", 6, 1).await?;
    let names = machine.azure.set("render").await?.names();
    let offline = |offline: bool| json!({"offline": offline});
    machine.azure.control("offline", &offline(true)).await?;
    let began = Instant::now();
    let evicted = machine.azure.evict("render", 3).await?;
    // Declared meanwhile, to be done afterwards.
    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=7"])
        .await?;
    machine
        .until("render", "Azure is silent", SOON, |now, _| {
            condition(now, "Ready") == ("Unknown", "AzureUnreachable")
                && now["status"]["spot"]["running"] == 6
        })
        .await?;
    // An hour in Azure's time.
    tokio::time::sleep(Duration::from_secs(60).saturating_sub(began.elapsed())).await;
    machine.azure.control("offline", &offline(false)).await?;
    machine.until_as_declared("render", 7, 1).await?;
    machine
        .until("render", "the evictions are told", SOON, |now, _| {
            condition(now, "Ready").0 == "True" && now["status"]["evictions"]["total"] == 3
        })
        .await?;
    assert_eq!(
        machine.azure.created("render").await?,
        11,
        "7, and 3 for the evicted, and 1 more"
    );
    let after = machine.azure.set("render").await?.names();
    let lost: Vec<&String> = names
        .iter()
        .filter(|name| !after.contains(name) && !evicted.contains(name))
        .collect();
    assert!(
        lost.is_empty(),
        "they were not evicted and are gone: {lost:?}"
    );
    Ok(())
}
