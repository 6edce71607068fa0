//! `--confirm-above`: many instances go at once only after somebody has said so, for just this declaration.

use std::time::Duration;

use serde_json::Value;

use crate::harness::machine::{Machine, Settings, condition, manifest};
use crate::harness::{Result, error};

const SOON: Duration = Duration::from_secs(60);

/// The arguments of the kubectl command that a condition tells to run.
fn command<'a>(pool: &'a Value, kind: &str) -> Result<Vec<&'a str>> {
    let conditions = pool["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|one| one["type"] == kind);
    let message = found.and_then(|one| one["message"].as_str());
    let told = message.and_then(|message| message.split_once("To confirm: kubectl "));
    let (_, command) = told.ok_or_else(|| error(format!("{kind} names no command: {pool:#}")))?;
    // The sentence may go on after it.
    let command = command.split(". ").next().unwrap_or(command);
    Ok(command.split_whitespace().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_removal_waits_for_the_command_that_its_condition_names() -> Result<()> {
    let settings = Settings {
        controller: vec!["--confirm-above=3".into()],
        ..Settings::default()
    };
    let machine = Machine::start(settings).await?;
    machine.apply(&manifest("render", 8, 1)).await?;
    machine.until_as_declared("render", 8, 1).await?;

    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=6", "--timeout=1m"])
        .await?;
    machine.until_as_declared("render", 6, 1).await?;

    machine
        .kubectl(&["scale", "spotpool/render", "--replicas=2"])
        .await?;
    let told = machine
        .until("render", "it asks for a confirmation", SOON, |now, _| {
            condition(now, "Stalled") == ("True", "ConfirmationNeeded")
        })
        .await?;
    let set = machine.azure.set("render").await?;
    assert_eq!((set.running("Spot"), set.running("Regular")), (6, 1));
    machine.kubectl(&command(&told, "Stalled")?).await?;
    machine.until_as_declared("render", 2, 1).await?;

    // What was confirmed was that declaration, and no later one.
    machine.apply(&manifest("render", 5, 1)).await?;
    machine.until_as_declared("render", 5, 1).await?;
    machine
        .kubectl(&["delete", "spotpool", "render", "--wait=false"])
        .await?;
    let told = machine
        .until("render", "its deletion waits", SOON, |now, _| {
            condition(now, "Deleting") == ("False", "ConfirmationNeeded")
        })
        .await?;
    let set = machine.azure.set("render").await?;
    assert_eq!((set.running("Spot"), set.running("Regular")), (5, 1));
    machine.kubectl(&command(&told, "Deleting")?).await?;
    machine
        .kubectl(&["wait", "--for=delete", "spotpool/render", "--timeout=60s"])
        .await?;
    assert!(!machine.azure.set("render").await?.exists());
    Ok(())
}
