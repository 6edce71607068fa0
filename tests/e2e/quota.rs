//! The quota is asked for before Azure is: what fits is asked for at once, and nothing is refused that could have been known.

use std::time::Duration;

use serde_json::json;

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_the_quota_bears_are_asked_for_and_the_rest_when_it_grows() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    // Two of the three Spot instances, of four cores each.
    let limit = |cores: u32| json!({"name": "lowPriorityCores", "limit": cores});
    machine.azure.control("quota", &limit(8)).await?;
    machine.apply(&manifest("render", 3, 1)).await?;
    let told = machine
        .until("render", "two of three, and why", SOON, |pool, set| {
            set.running("Spot") == 2
                && set.running("Regular") == 1
                && condition(pool, "SpotSatisfied") == ("False", "QuotaExceeded")
        })
        .await?;
    let told = told["status"]["conditions"].to_string();
    assert!(
        told.contains("8 of 8 cores of the quota lowPriorityCores are used"),
        "{told}"
    );
    machine.azure.control("quota", &limit(100)).await?;
    // Azure does not tell that a quota has grown, and the list that is known serves for ten seconds: then somebody who knows says so.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let now = "reconcile.fluxcd.io/requestedAt=now";
    machine
        .kubectl(&["annotate", "spotpool", "render", "--overwrite", now])
        .await?;
    machine
        .until("render", "all three", SOON, |pool, set| {
            set.running("Spot") == 3
                && set.held() == 4
                && condition(pool, "SpotSatisfied") == ("True", "AllRunning")
        })
        .await?;
    let log = machine.azure.log().await?;
    let asked = |line: &&serde_json::Value, what: &str| {
        line["request"]["url"]
            .as_str()
            .is_some_and(|url| url.contains(what))
    };
    let refused: Vec<_> = log
        .iter()
        .filter(|line| asked(line, "virtualMachineScaleSets/render"))
        .filter(|line| line["response"]["statusCode"] == 409)
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let reads = log.iter().filter(|line| asked(line, "/usages")).count();
    assert!((2..=4).contains(&reads), "{reads} reads of the quota");
    Ok(())
}
