//! What `kubectl apply` answers: each mistake that can be known without Azure is refused at once, with a message that
//! says what to write, and whatever is right is taken, twice.
//!
//! In goes the committed definition, on a real API server; the expected texts are the whole of what kubectl prints.

mod changes;
mod good;
mod mistakes;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::access::Said;
use crate::harness::control_plane::ControlPlane;

const SUBNET: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/batch";

/// An API server that has the definition.
async fn cluster() -> Result<ControlPlane> {
    let plane = ControlPlane::start().await?;
    let said = plane
        .kubectl(["apply", "--filename", "crds/spotpool.io_spotpools.yaml"])
        .await?;
    assert!(said.success && said.stderr.is_empty(), "{}", said.stderr);
    plane
        .kubectl([
            "wait",
            "--for=condition=Established",
            "crd/spotpools.spotpool.io",
            "--timeout=30s",
        ])
        .await?
        .ok()?;
    Ok(plane)
}

/// The least that a SpotPool must say.
fn minimal(name: &str) -> Value {
    json!({
        "apiVersion": "spotpool.io/v1alpha1",
        "kind": "SpotPool",
        "metadata": {"name": name},
        "spec": {
            "subscriptionID": "11111111-1111-1111-1111-111111111111",
            "resourceGroup": "batch-rg",
            "location": "eastus",
            "vmSizes": [{"name": "Standard_D4s_v5"}],
            "template": {
                "image": {"marketplace": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
                "admin": {"username": "azureuser", "sshPublicKeys": ["ssh-ed25519 AAAA user@host"]},
                "network": {"subnetID": SUBNET},
            },
        },
    })
}

/// [`minimal`] with `change` merged in; a null removes.
fn pool(name: &str, change: Value) -> Value {
    let mut pool = minimal(name);
    merge(&mut pool["spec"], change);
    pool
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (name, value) in change {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(json!({})), value);
                }
            }
        }
        (into, change) => *into = change,
    }
}

/// All of them in one file, as `kubectl apply` takes it.
fn manifest(pools: &[Value]) -> String {
    pools.iter().fold(String::new(), |mut text, pool| {
        let _ = writeln!(text, "---\n{pool}");
        text
    })
}

async fn apply(plane: &ControlPlane, pools: &[Value]) -> Result<Said> {
    plane
        .kubectl_as(
            &plane.kubeconfig_path(),
            ["apply", "--filename", "-"],
            &manifest(pools),
        )
        .await
}

/// Applies all of `pools` with one kubectl; each must be refused with its text and none taken.
async fn refused(plane: &ControlPlane, cases: &[(Value, String)]) -> Result<()> {
    let pools: Vec<Value> = cases.iter().map(|case| case.0.clone()).collect();
    let said = apply(plane, &pools).await?;
    let mut wrong = String::new();
    for (pool, expected) in cases {
        let name = pool["metadata"]["name"].as_str().unwrap_or_default();
        // "The SpotPool …" when it is the only one in the file, "SpotPool.spotpool.io …" otherwise.
        let prefix = format!(" \"{name}\" is invalid: ");
        let answer = said
            .stderr
            .lines()
            .find_map(|line| line.split_once(&prefix))
            .map(|(_, answer)| answer);
        if answer != Some(expected) {
            let _ = writeln!(
                wrong,
                "{name}\n  expected: {expected}\n  said:     {}",
                answer.unwrap_or("nothing")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        !said.success && !said.stdout.contains("created") && !said.stdout.contains("configured"),
        "{}",
        said.stdout
    );
    Ok(())
}
