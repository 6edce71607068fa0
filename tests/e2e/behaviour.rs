//! What becomes of an instance in each kind of scale set, by each mishap, in each state of Azure's market: a cell each, run by the
//! real program, and the table of them in `docs/azure-behaviour.md` (`SPOTPOOL_BLESS=1` writes it anew).

mod cells;
mod table;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::azure::Set;
use crate::harness::machine::{Machine, Settings, condition, manifest};
use crate::harness::{Result, error};
use cells::{Cell, MARKETS, Market, Meanwhile, Mishap, Mode};

/// A refusal keeps a size closed for minutes of the controller's own time; a request for another try ends that.
const SOON: Duration = Duration::from_secs(120);
const SIZE: &str = "Standard_D4s_v5";
const GROUP: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute";
const SPOT: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_mishap_in_every_market_ends_as_declared() -> Result<()> {
    futures::future::try_join_all(MARKETS.map(in_market)).await?;
    table::is_current()
}

/// All cells of one market, side by side in one machine.
async fn in_market(market: Market) -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let cells: Vec<Cell> = cells::all()
        .into_iter()
        .filter(|cell| cell.market == market)
        .collect();
    for cell in &cells {
        machine.apply(&pool(cell)).await?;
    }
    for cell in &cells {
        machine
            .until_as_declared(&cell.name(), SPOT, regular(cell))
            .await?;
    }
    break_market(&machine, market, &cells).await?;
    let mut victims = Vec::new();
    for cell in &cells {
        let victim = running_spot(&machine.azure.set(&cell.name()).await?)
            .ok_or_else(|| error(format!("{} has no running Spot instance", cell.name())))?;
        befall(&machine, cell, &victim).await?;
        victims.push(victim);
    }
    for (cell, victim) in cells.iter().zip(&victims) {
        meanwhile(&machine, cell, victim).await?;
    }
    mend_market(&machine, market, &cells).await?;
    for (cell, victim) in cells.iter().zip(&victims) {
        let name = cell.name();
        let now = format!("reconcile.fluxcd.io/requestedAt={victim}");
        machine
            .kubectl(&["annotate", "spotpool", &name, "--overwrite", &now])
            .await?;
    }
    for (cell, victim) in cells.iter().zip(&victims) {
        at_the_end(&machine, cell, victim).await?;
    }
    Ok(())
}

fn regular(cell: &Cell) -> usize {
    usize::from(cell.mode == Mode::Flexible)
}

fn pool(cell: &Cell) -> Value {
    let mut pool = manifest(&cell.name(), 3, u32::from(cell.mode == Mode::Flexible));
    pool["spec"]["eviction"] = json!({"policy": cell.policy.word()});
    pool["spec"]["maxPrice"] = json!("0.10");
    if cell.mode == Mode::Uniform {
        pool["spec"]["scaleSet"] = json!({"orchestrationMode": "Uniform"});
    }
    pool
}

/// Azure's price is 0.04 throughout: were it to rise above `maxPrice`, Azure would evict what runs.
async fn set_max_price(machine: &Machine, cells: &[Cell], price: &str) -> Result<()> {
    for cell in cells {
        let patch = json!({"spec": {"maxPrice": price}}).to_string();
        machine
            .kubectl(&[
                "patch",
                "spotpool",
                &cell.name(),
                "--type=merge",
                "-p",
                &patch,
            ])
            .await?;
    }
    Ok(())
}

async fn break_market(machine: &Machine, market: Market, cells: &[Cell]) -> Result<()> {
    let (path, body) = match market {
        Market::Open => return Ok(()),
        Market::SoldOut => ("capacity", json!({"vmSize": SIZE, "available": 0})),
        Market::NoQuota => ("quota", json!({"name": "lowPriorityCores", "limit": 4})),
        Market::TooDear => return set_max_price(machine, cells, "0.01").await,
    };
    machine.azure.control(path, &body).await?;
    Ok(())
}

async fn mend_market(machine: &Machine, market: Market, cells: &[Cell]) -> Result<()> {
    let (path, body) = match market {
        Market::Open => return Ok(()),
        Market::SoldOut => ("capacity", json!({"vmSize": SIZE, "available": null})),
        Market::NoQuota => ("quota", json!({"name": "lowPriorityCores", "limit": 1000})),
        Market::TooDear => return set_max_price(machine, cells, "0.10").await,
    };
    machine.azure.control(path, &body).await?;
    Ok(())
}

fn running_spot(set: &Set) -> Option<String> {
    let running = |one: &&Value| one["priority"] == "Spot" && one["state"] == "running";
    let found = set.0["instances"].as_array()?.iter().find(running)?;
    found["name"].as_str().map(str::to_owned)
}

/// The path of an instance, which depends on the kind of set.
fn machine_path(cell: &Cell, victim: &str) -> String {
    match cell.mode {
        Mode::Flexible => format!("{GROUP}/virtualMachines/{victim}"),
        Mode::Uniform => {
            let number = victim.rsplit('_').next().unwrap_or_default();
            format!(
                "{GROUP}/virtualMachineScaleSets/{}/virtualMachines/{number}",
                cell.name()
            )
        }
    }
}

async fn befall(machine: &Machine, cell: &Cell, victim: &str) -> Result<()> {
    let path = machine_path(cell, victim);
    let (method, path) = match cell.mishap {
        Mishap::Evicted => {
            machine
                .azure
                .control("evict", &json!({"instances": [victim]}))
                .await?;
            return Ok(());
        }
        Mishap::Failed | Mishap::Slow => {
            let kind = if cell.mishap == Mishap::Failed {
                "fails"
            } else {
                "boots-slowly"
            };
            let body = json!({"instances": [victim], "kind": kind, "seconds": 1200});
            machine.azure.control("mishap", &body).await?;
            return Ok(());
        }
        Mishap::Stopped => ("POST", format!("{path}/deallocate")),
        Mishap::Deleted => ("DELETE", path),
    };
    let (status, body) = machine.azure.arm(method, &path, &Value::Null).await?;
    if status != 202 {
        return Err(error(format!("{method} {path}: {status} {body}")));
    }
    Ok(())
}

/// While the market is as it is.
async fn meanwhile(machine: &Machine, cell: &Cell, victim: &str) -> Result<()> {
    let name = cell.name();
    let told = |pool: &Value, reason| condition(pool, "SpotSatisfied") == ("False", reason);
    let what = format!("meanwhile: {:?}", cell.meanwhile());
    match cell.meanwhile() {
        Meanwhile::Heals => {}
        Meanwhile::Short { reason } => {
            machine
                .until(&name, &what, SOON, |pool, set| {
                    told(pool, reason)
                        && set.held() == SPOT - 1 + regular(cell)
                        && !set.names().iter().any(|name| name == victim)
                })
                .await?;
        }
        Meanwhile::Down { reason } => {
            machine
                .until(&name, &what, SOON, |pool, set| {
                    told(pool, reason)
                        && pool["status"]["spot"]["deallocated"] == 1
                        && set.held() == SPOT + regular(cell)
                })
                .await?;
        }
        Meanwhile::Boots => {
            machine
                .until(&name, &what, SOON, |pool, set| {
                    told(pool, "Starting") && set.held() == SPOT + regular(cell)
                })
                .await?;
        }
    }
    Ok(())
}

/// As declared, Ready, and with the same instance or another one.
async fn at_the_end(machine: &Machine, cell: &Cell, victim: &str) -> Result<()> {
    let name = cell.name();
    let same = cell.same_instance();
    let what = format!(
        "as declared, with {} instance",
        if same { "the same" } else { "a new" }
    );
    machine
        .until(&name, &what, SOON, |pool, set| {
            set.running("Spot") == SPOT
                && set.running("Regular") == regular(cell)
                && set.held() == SPOT + regular(cell)
                && set.names().iter().any(|name| name == victim) == same
                && condition(pool, "Ready").0 == "True"
                && condition(pool, "SpotSatisfied") == ("True", "AllRunning")
        })
        .await?;
    let made = machine.azure.created(&name).await?;
    let expected = SPOT + regular(cell) + usize::from(!same);
    if made != expected {
        return Err(error(format!(
            "{name}: {made} instances were made, {expected} are enough"
        )));
    }
    Ok(())
}
