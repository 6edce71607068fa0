//! The main job, from kubectl to the scale set and back: applied, evicted, replaced, scaled, deleted.

use std::time::Duration;

use serde_json::json;

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn evicted_instances_are_replaced_and_deletion_leaves_nothing() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 18, 2)).await?;
    let ready = machine.until_as_declared("render", 18, 2).await?;
    assert_eq!(
        condition(&ready, "Ready"),
        ("True", "AvailableEnough"),
        "{ready:#}"
    );

    let evicted = machine.azure.evict("render", 6).await?;
    assert_eq!(evicted.len(), 6);
    machine
        .until("render", "the evicted ones are gone", SOON, |_, set| {
            evicted.iter().all(|name| !set.names().contains(name))
        })
        .await?;
    let healed = machine.until_as_declared("render", 18, 2).await?;
    let healed = if healed["status"]["evictions"]["total"] == 6 {
        healed
    } else {
        machine
            .until("render", "six evictions are counted", SOON, |now, _| {
                now["status"]["evictions"]["total"] == 6
            })
            .await?
    };
    assert_eq!(condition(&healed, "Stalled"), ("", ""), "{healed:#}");

    let events = machine
        .kubectl(&[
            "get",
            "events",
            "-o",
            "jsonpath={range .items[*]}{.reason}{\"\\n\"}{end}",
        ])
        .await?;
    for reason in ["ScaleSetCreated", "Evicted", "ReplacementRequested"] {
        assert!(
            events.lines().any(|line| line == reason),
            "no event {reason} among\n{events}"
        );
    }

    machine
        .kubectl(&["delete", "spotpool", "render", "--timeout=60s"])
        .await?;
    machine
        .until("render", "nothing is left in Azure", SOON, |_, set| {
            !set.exists()
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_behaves_as_people_expect() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let render = manifest("render", 18, 2);
    machine.apply(&render).await?;
    machine
        .kubectl(&[
            "wait",
            "--for=condition=Ready",
            "spotpool/render",
            "--timeout=60s",
        ])
        .await?;
    machine.until_as_declared("render", 18, 2).await?;

    let again = machine.apply(&render).await?;
    assert!(again.contains("unchanged"), "{again}");
    let table = machine.kubectl(&["get", "spotpools"]).await?;
    let header: Vec<&str> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        &header[..6],
        ["NAME", "READY", "SPOT", "RUNNING", "REGULAR", "AVAILABLE"],
        "{table}"
    );
    let row: Vec<&str> = table
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        &row[..6],
        ["render", "True", "18", "18", "2", "20"],
        "{table}"
    );
    let described = machine.kubectl(&["describe", "spotpool", "render"]).await?;
    assert!(described.contains("AvailableEnough"), "{described}");

    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=23", "--timeout=1m"])
        .await?;
    machine.until_as_declared("render", 23, 2).await?;
    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=9", "--timeout=1m"])
        .await?;
    machine.until_as_declared("render", 9, 2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendered_permissions_are_enough_for_a_whole_life() -> Result<()> {
    let mut machine = Machine::without_controller(Settings::default()).await?;
    let kubeconfig = crate::chart::rendered_rbac(&machine.plane, &[]).await?;
    machine.become_user(kubeconfig);
    machine.start_controller().await?;
    machine.apply(&manifest("render", 4, 1)).await?;
    machine.until_as_declared("render", 4, 1).await?;
    machine.azure.evict("render", 2).await?;
    machine
        .until("render", "two evictions are counted", SOON, |now, _| {
            now["status"]["evictions"]["total"] == 2
        })
        .await?;
    machine.until_as_declared("render", 4, 1).await?;
    machine
        .kubectl(&["delete", "spotpool", "render", "--timeout=60s"])
        .await?;
    let log = machine.controller_log();
    let refused: Vec<&str> = log
        .lines()
        .filter(|line| line.to_lowercase().contains("forbidden"))
        .collect();
    assert!(
        refused.is_empty(),
        "Kubernetes refused the controller something:\n{}",
        refused.join("\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_cannot_be_read_does_not_stop_the_others() -> Result<()> {
    let machine = Machine::without_controller(Settings::default()).await?;
    let mut machine = machine;
    machine.plane.apply_definition().await?;
    // A definition from the future, which allows what this version does not know.
    let patch = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deletionPolicy/enum", "value": ["Delete", "Orphan", "Archive"]}]);
    machine
        .kubectl(&[
            "patch",
            "crd",
            "spotpools.spotpool.io",
            "--type=json",
            "-p",
            &patch.to_string(),
        ])
        .await?;
    let mut future = manifest("future", 1, 0);
    future["spec"]["deletionPolicy"] = json!("Archive");
    let started = std::time::Instant::now();
    // The API server serves the changed schema a moment later.
    while let Err(error) = machine.apply(&future).await {
        if started.elapsed() > SOON {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    machine.start_controller().await?;
    machine.apply(&manifest("present", 2, 0)).await?;
    machine.until_as_declared("present", 2, 0).await?;
    machine
        .until(
            "future",
            "it is Stalled because of its version",
            SOON,
            |now, _| condition(now, "Stalled") == ("True", "UnsupportedVersion"),
        )
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_reports_on_itself_and_leaves_when_asked() -> Result<()> {
    let mut machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 3, 0)).await?;
    machine.until_as_declared("render", 3, 0).await?;
    assert_eq!(machine.metrics_page("healthz").await?.trim(), "ok");
    let metrics = machine.metrics_page("metrics").await?;
    for metric in [
        "spotpool_reconciles_total",
        "spotpool_azure_calls_total",
        "spotpool_actions_total",
    ] {
        assert!(metrics.contains(metric), "no {metric} in\n{metrics}");
    }
    let status = machine.stop_controller().await?;
    assert!(status.success(), "ended with {status}");
    assert_eq!(
        machine.azure.set("render").await?.running("Spot"),
        3,
        "its end changes nothing in Azure"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_pool_is_left_as_it_is() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 4, 0)).await?;
    machine.until_as_declared("render", 4, 0).await?;
    machine
        .kubectl(&[
            "patch",
            "spotpool",
            "render",
            "--type=merge",
            "-p",
            r#"{"spec":{"suspend":true}}"#,
        ])
        .await?;
    machine
        .until("render", "it says that it is suspended", SOON, |now, _| {
            condition(now, "Suspended").0 == "True"
        })
        .await?;
    machine.azure.evict("render", 1).await?;
    machine
        .until(
            "render",
            "the missing one is seen and reported",
            SOON,
            |now, _| now["status"]["spot"]["running"] == 3,
        )
        .await?;
    machine
        .kubectl(&["delete", "spotpool", "render", "--wait=false"])
        .await?;
    machine
        .until("render", "deletion says why it waits", SOON, |now, _| {
            condition(now, "Deleting") == ("False", "Suspended")
        })
        .await?;
    assert_eq!(machine.azure.set("render").await?.held(), 3);
    machine
        .kubectl(&[
            "patch",
            "spotpool",
            "render",
            "--type=merge",
            "-p",
            r#"{"spec":{"deletionPolicy":"Orphan"}}"#,
        ])
        .await?;
    machine
        .kubectl(&["wait", "--for=delete", "spotpool/render", "--timeout=60s"])
        .await?;
    assert_eq!(
        machine.azure.set("render").await?.held(),
        3,
        "orphaned, not deleted"
    );
    Ok(())
}
