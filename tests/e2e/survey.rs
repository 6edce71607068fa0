//! Pools at rest cost one survey for all of them; what it shows wakes a pool, and what it does not show, or shows wrongly, does no harm.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::machine::{Machine, Settings, manifest};
use crate::harness::{Result, error};

const SOON: Duration = Duration::from_secs(60);
const GRAPH: &str = "/providers/Microsoft.ResourceGraph/resources";

/// Requests from a point of the log on, by method and path without the names of operations.
async fn requests(machine: &Machine, from: usize) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for line in machine.azure.log().await?.iter().skip(from) {
        let text = |field: &str| line["request"][field].as_str().unwrap_or("").to_owned();
        let url = text("url").replace(&machine.azure.url, "");
        let path = url.split('?').next().unwrap_or_default();
        *counts
            .entry(format!("{} {path}", text("method")))
            .or_default() += 1;
    }
    Ok(counts)
}

/// Those of them that change something.
fn writes(requests: &BTreeMap<String, usize>) -> Vec<&String> {
    let names = requests.keys();
    let writes = names.filter(|one| !one.starts_with("GET ") && !one.ends_with(GRAPH));
    writes.collect()
}

async fn metric(machine: &Machine, name: &str) -> Result<u64> {
    let page = machine.metrics_page("metrics").await?;
    let line = page.lines().find(|line| line.starts_with(name));
    Ok(line
        .and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0))
}

/// Waits until only surveys are asked for.
async fn until_quiet(machine: &Machine) -> Result<()> {
    let started = Instant::now();
    loop {
        let from = machine.azure.log().await?.len();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let requests = requests(machine, from).await?;
        if !requests.is_empty() && requests.keys().all(|one| one.ends_with(GRAPH)) {
            return Ok(());
        }
        if started.elapsed() > SOON {
            let log = machine.controller_log();
            return Err(error(format!("never quiet: {requests:#?}\n{log}")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_at_rest_cost_surveys_only_however_many_there_are() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let names = ["one", "two", "three", "four"];
    for name in names {
        machine.apply(&manifest(name, 2, 1)).await?;
    }
    for name in names {
        machine.until_as_declared(name, 2, 1).await?;
    }
    until_quiet(&machine).await?;
    let (from, spared) = (
        machine.azure.log().await?.len(),
        metric(&machine, "spotpool_looks_spared_total").await?,
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let requests = requests(&machine, from).await?;
    let surveys = requests.get(&format!("POST {GRAPH}")).copied().unwrap_or(0);
    // One every half second, and never more, whoever else uses this machine.
    assert!((3..=11).contains(&surveys), "{requests:#?}");
    assert_eq!(requests.len(), 1, "{requests:#?}");
    let looks = metric(&machine, "spotpool_looks_spared_total").await? - spared;
    assert!(looks >= 4 * 3, "{looks} looks of four pools were spared");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_at_rest_is_noticed_through_the_survey_and_replaced() -> Result<()> {
    for lag in ["10s", "60s"] {
        let machine = Machine::start(Settings {
            simulator: vec!["--graph-lag".into(), lag.into()],
            ..Settings::default()
        })
        .await?;
        machine.apply(&manifest("render", 3, 0)).await?;
        machine.until_as_declared("render", 3, 0).await?;
        until_quiet(&machine).await?;
        let (from, wakes) = (
            machine.azure.log().await?.len(),
            metric(&machine, "spotpool_survey_wakes_total").await?,
        );
        let evicted = machine.azure.evict("render", 1).await?;
        machine
            .until("render", "the evicted one is replaced", SOON, |_, set| {
                set.running("Spot") == 3 && !set.names().contains(&evicted[0])
            })
            .await?;
        until_quiet(&machine).await?;
        let woken = metric(&machine, "spotpool_survey_wakes_total").await? - wakes;
        assert!(woken >= 1, "{lag}: {}", machine.controller_log());
        let made = machine.azure.created("render").await?;
        assert_eq!(made, 4, "{lag}: three, and one for the evicted");
        let requests = requests(&machine, from).await?;
        assert_eq!(writes(&requests).len(), 1, "{lag}: {requests:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_broken_survey_pools_look_for_themselves_and_nothing_is_deleted() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    machine.until_as_declared("render", 3, 0).await?;
    for (what, fault) in [
        ("fails", json!({"status": 500})),
        ("is cut off on its way", json!({"cutAfter": 60})),
        (
            "is cut off by Azure",
            json!({"answerReads": {"resultTruncated": "true"}}),
        ),
    ] {
        until_quiet(&machine).await?;
        let mut rule = json!({"pathContains": "ResourceGraph", "times": 1_000_000});
        for (field, value) in fault.as_object().into_iter().flatten() {
            rule[field] = value.clone();
        }
        machine.azure.control("faults", &rule).await?;
        let unknown = "spotpool_surveys_total{result=\"unknown\"}";
        let (from, before) = (
            machine.azure.log().await?.len(),
            metric(&machine, unknown).await?,
        );
        let evicted = machine.azure.evict("render", 1).await?;
        machine
            .until(
                "render",
                &format!("the survey {what}, and the evicted one is replaced"),
                SOON,
                |_, set| set.running("Spot") == 3 && !set.names().contains(&evicted[0]),
            )
            .await?;
        let requests = requests(&machine, from).await?;
        let takes = |one: &&&String| !one.starts_with("PATCH ") && !one.starts_with("PUT ");
        let taken: Vec<_> = writes(&requests)
            .into_iter()
            .filter(|one| takes(&one))
            .collect();
        assert_eq!(taken, Vec::<&String>::new(), "the survey {what}");
        let unknown = metric(&machine, unknown).await? - before;
        assert!(unknown > 0, "the survey {what}, and nobody noticed");
        machine.azure.clear_faults().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_the_survey_does_not_show_is_looked_at_and_left_as_it_is() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    machine.until_as_declared("render", 3, 0).await?;
    until_quiet(&machine).await?;
    let (from, names) = (
        machine.azure.log().await?.len(),
        machine.azure.set("render").await?.names(),
    );
    let nothing: Value = json!({"data": [], "count": 0, "totalRecords": 0});
    let rule = json!({"pathContains": "ResourceGraph", "answerReads": nothing, "times": 1_000_000});
    machine.azure.control("faults", &rule).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let requests = requests(&machine, from).await?;
    let looked = |one: &&String| one.starts_with("GET ") && one.ends_with("/render");
    assert!(requests.keys().any(|one| looked(&one)), "{requests:#?}");
    assert_eq!(writes(&requests), Vec::<&String>::new(), "{requests:#?}");
    assert_eq!(machine.azure.set("render").await?.names(), names);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_change_of_the_set_is_noticed_at_rest() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 2, 0)).await?;
    machine.until_as_declared("render", 2, 0).await?;
    until_quiet(&machine).await?;
    let set = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute/virtualMachineScaleSets/render";
    let (status, _) = machine
        .azure
        .arm("PATCH", set, &json!({"tags": {"mine": "now"}}))
        .await?;
    assert_eq!(status, 200);
    machine
        .until(
            "render",
            "it is nobody's now, and that is told",
            SOON,
            |now, _| {
                now["status"]["conditions"]
                    .to_string()
                    .contains("OwnedByAnother")
                    || now["status"]["conditions"].to_string().contains("NotOurs")
            },
        )
        .await?;
    Ok(())
}
