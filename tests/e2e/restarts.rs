//! Evicted instances that stay are started again, as each kind of scale set takes it: one by one, or all in one call.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, manifest};

const SOON: Duration = Duration::from_secs(60);

/// Evicts 6 of 20; what was asked of Azure from then on, as method, path and body.
async fn six_of_twenty_come_back(mode: &str, regular: u32) -> Result<Vec<(String, Value)>> {
    let machine = Machine::start(Settings::default()).await?;
    let spot = 20 - regular;
    let mut render = manifest("render", spot, regular);
    render["spec"]["eviction"] = json!({"policy": "Deallocate"});
    render["spec"]["scaleSet"] = json!({"orchestrationMode": mode});
    machine.apply(&render).await?;
    machine
        .until_as_declared("render", spot as usize, regular as usize)
        .await?;
    let before = machine.azure.set("render").await?.names();
    let from = machine.azure.log().await?.len();

    let evicted = machine.azure.evict("render", 6).await?;
    assert_eq!(evicted.len(), 6);
    machine
        .until("render", "it tells that six are down", SOON, |now, _| {
            now["status"]["spot"]["deallocated"] == 6
        })
        .await?;
    machine
        .until(
            "render",
            "all twenty run, none is down",
            SOON,
            |now, set| {
                set.running("Spot") == spot as usize
                    && now["status"]["spot"]["running"] == spot
                    && now["status"]["spot"]["deallocated"] == 0
                    && now["status"]["evictions"]["total"] == 6
            },
        )
        .await?;
    let after = machine.azure.set("render").await?.names();
    assert_eq!(
        (before, machine.azure.created("render").await?),
        (after, 20),
        "the same instances, and no others"
    );
    let log = machine.azure.log().await?;
    let writes = log
        .iter()
        .skip(from)
        .filter(|line| line["request"]["method"] != "GET")
        .map(|line| {
            let request = &line["request"];
            let url = request["url"].as_str().unwrap_or_default();
            let path = url.split('?').next().unwrap_or_default();
            let end = path.rsplit("Microsoft.Compute/").next().unwrap_or_default();
            (
                format!("{} {end}", request["method"].as_str().unwrap_or_default()),
                request["body"].clone(),
            )
        });
    Ok(writes.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn six_flexible_instances_are_started_one_by_one() -> Result<()> {
    let writes = six_of_twenty_come_back("Flexible", 2).await?;
    let started: BTreeSet<&str> = writes.iter().map(|(call, _)| call.as_str()).collect();
    assert!(
        started.iter().all(
            |call| call.starts_with("POST virtualMachines/render_") && call.ends_with("/start")
        ),
        "nothing but starts: {writes:#?}"
    );
    assert_eq!(started.len(), 6, "{writes:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn six_uniform_instances_are_started_by_their_numbers_at_once() -> Result<()> {
    let writes = six_of_twenty_come_back("Uniform", 0).await?;
    let mut numbers = BTreeSet::new();
    for (call, body) in &writes {
        assert_eq!(
            call, "POST virtualMachineScaleSets/render/start",
            "{writes:#?}"
        );
        let ids = body["instanceIds"].as_array().into_iter().flatten();
        numbers.extend(ids.filter_map(|id| id.as_str()?.parse::<u32>().ok()));
    }
    assert_eq!(numbers.len(), 6, "{writes:#?}");
    Ok(())
}
