//! The controller killed before and after each of its calls to Azure, in a create, a scale-up and a replacement, and started again: the same scale set once, the right count, nothing doubled.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, manifest};

const SOON: Duration = Duration::from_secs(60);

/// Where in a call the process dies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Azure has not seen the request.
    Before,
    /// Azure has carried it out, and the answer is on its way.
    After,
}

/// Arms the simulator to hold the nth fitting call, and waits until it is held.
async fn hold(machine: &Machine, method: &str, part: &str, moment: Moment) -> Result<()> {
    let rule = match moment {
        Moment::Before => {
            json!({"method": method, "pathContains": part, "drop": "before", "delayMs": 3000})
        }
        Moment::After => {
            json!({"method": method, "pathContains": part, "drop": "after", "holdMs": 3000})
        }
    };
    machine.azure.control("faults", &rule).await?;
    Ok(())
}

/// Waits until a held call is reached, kills the controller in it, and starts it again.
async fn die_in_it(machine: &mut Machine, what: &str) -> Result<()> {
    let started = Instant::now();
    while machine.azure.state().await?["faults"] != json!(0) {
        assert!(
            started.elapsed() < SOON,
            "{what}: the call was never made\n{}",
            machine.controller_log()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    machine.kill_controller()?;
    machine.start_controller().await
}

async fn sweep(moments: &[(&'static str, &'static str, Moment)], base: &str) -> Result<()> {
    let mut machine = Machine::start(Settings::default()).await?;
    for (nth, (method, part, moment)) in moments.iter().enumerate() {
        let name = format!("{base}-{nth}");
        let what = format!("{method} …{part} {moment:?}");
        let pool = manifest(&name, 4, 1);
        match base {
            "create" => {
                hold(&machine, method, part, *moment).await?;
                machine.apply(&pool).await?;
                die_in_it(&mut machine, &what).await?;
                machine.until_as_declared(&name, 4, 1).await?;
                assert_eq!(
                    machine.azure.created(&name).await?,
                    5,
                    "{what}: nothing doubled"
                );
            }
            "scale" => {
                machine.apply(&pool).await?;
                machine.until_as_declared(&name, 4, 1).await?;
                hold(&machine, method, part, *moment).await?;
                machine
                    .kubectl(&["scale", &format!("spotpool/{name}"), "--replicas=7"])
                    .await?;
                die_in_it(&mut machine, &what).await?;
                machine.until_as_declared(&name, 7, 1).await?;
                assert_eq!(
                    machine.azure.created(&name).await?,
                    8,
                    "{what}: nothing doubled"
                );
            }
            _ => {
                machine.apply(&pool).await?;
                machine.until_as_declared(&name, 4, 1).await?;
                hold(&machine, method, part, *moment).await?;
                machine.azure.evict(&name, 2).await?;
                die_in_it(&mut machine, &what).await?;
                machine
                    .until(&name, "the evicted ones are replaced", SOON, |_, set| {
                        set.running("Spot") == 4 && set.held() == 5
                    })
                    .await?;
                machine.until_as_declared(&name, 4, 1).await?;
                assert_eq!(
                    machine.azure.created(&name).await?,
                    7,
                    "{what}: nothing doubled"
                );
            }
        }
        machine.azure.clear_faults().await?;
        let sets = machine.azure.state().await?["scaleSets"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(sets, 1, "{what}: one scale set");
        machine
            .kubectl(&["delete", "spotpool", &name, "--timeout=60s"])
            .await?;
    }
    Ok(())
}

const SET: &str = "virtualMachineScaleSets/";
const LIST: &str = "virtualMachines?";

/// Each kind of call that such a change takes, before and after; the write that makes it is `write`.
fn around(write: &'static str) -> [(&'static str, &'static str, Moment); 6] {
    [
        ("GET", SET, Moment::Before),
        ("GET", SET, Moment::After),
        ("GET", LIST, Moment::Before),
        ("GET", LIST, Moment::After),
        (write, SET, Moment::Before),
        (write, SET, Moment::After),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_each_call_of_a_create_it_creates_once() -> Result<()> {
    sweep(&around("PUT"), "create").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_each_call_of_a_scale_up_it_scales_once() -> Result<()> {
    sweep(&around("PATCH"), "scale").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_each_call_of_a_replacement_it_replaces_once() -> Result<()> {
    sweep(&around("PATCH"), "replace").await
}
