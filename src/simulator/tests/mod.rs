//! The simulator as its clients meet it, without sockets and under a paused clock.

mod deployments;
mod graph;
mod life;
mod login;
mod refusals;
mod restart;
mod sockets;
mod uniform;

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

const SUB: &str = "/subscriptions/11111111-1111-1111-1111-111111111111";

fn simulator() -> Simulator {
    Simulator::new(&Options {
        throttle: false,
        ..Options::default()
    })
    .unwrap()
}

fn set_path(name: &str) -> String {
    format!(
        "{SUB}/resourceGroups/batch-rg/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
    )
}

async fn send(
    sim: &Simulator,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Reply {
    let glue = if target.contains('?') { '&' } else { '?' };
    let target = if target.contains("api-version") {
        target.to_owned()
    } else {
        format!("{target}{glue}api-version=2024-07-01")
    };
    let mut all = vec![
        ("authorization".to_owned(), "Bearer anything".to_owned()),
        ("host".to_owned(), "127.0.0.1:1".to_owned()),
    ];
    all.extend(
        headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    );
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    sim.exchange(Call::new(method, &target, all, body))
        .await
        .unwrap()
}

async fn get(sim: &Simulator, target: &str) -> Value {
    let reply = send(sim, "GET", target, &[], Value::Null).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body.unwrap()
}

fn pool(capacity: u32, base: u32) -> Value {
    json!({
        "location": "eastus", "tags": {"spotpool_owner": "x"}, "sku": {"name": "Standard_D4s_v5", "capacity": capacity},
        "properties": {
            "orchestrationMode": "Flexible", "somethingNew": {"kept": true},
            "priorityMixPolicy": {"baseRegularPriorityCount": base, "regularPriorityPercentageAboveBase": 0},
            "virtualMachineProfile": {
                "priority": "Spot", "evictionPolicy": "Delete",
                "osProfile": {"computerNamePrefix": "r", "adminUsername": "azureuser", "adminPassword": "hunter2"},
                "storageProfile": {"imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
                "networkProfile": {"networkApiVersion": "2020-11-01", "networkInterfaceConfigurations": [{"name": "nic", "properties": {"primary": true, "ipConfigurations": [{"name": "ip", "properties": {"subnet": {"id": "/s"}}}]}}]}
            }
        }
    })
}

async fn created(capacity: u32, base: u32) -> Simulator {
    let sim = simulator();
    let reply = send(
        &sim,
        "PUT",
        &set_path("render"),
        &[("if-none-match", "*")],
        pool(capacity, base),
    )
    .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    tokio::time::sleep(Duration::from_secs(300)).await;
    sim
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply
        .headers
        .iter()
        .find(|(k, _)| k == name)
        .map(|(_, v)| v.as_str())
}

fn code(reply: &Reply) -> &str {
    reply
        .body
        .as_ref()
        .and_then(|b| b["error"]["code"].as_str())
        .unwrap_or_default()
}

async fn machines(sim: &Simulator, extra: &str) -> Vec<Value> {
    let filter = wire::encoded(&format!(
        "'virtualMachineScaleSet/id' eq '{}'",
        set_path("render")
    ));
    let body = get(sim, &format!("{SUB}/resourceGroups/batch-rg/providers/Microsoft.Compute/virtualMachines?$filter={filter}{extra}")).await;
    body["value"].as_array().unwrap().clone()
}
