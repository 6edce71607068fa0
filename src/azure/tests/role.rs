//! The role that people are told to give the operator: exactly what its requests need, no more and no less.

use super::act::{create, remove, replace, reshape, resize};
use super::*;
use crate::cloud::{OrchestrationMode, Scope};
use spotpool_core::units::InstanceName;
use std::collections::BTreeSet;

const ROLE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/deploy/azure-role.json"
));
/// What Azure itself checks on what a scale set refers to, and no request of ours shows.
const LINKED: [&str; 1] = ["Microsoft.Network/virtualNetworks/subnets/join/action"];

/// Every action once: a new one does not compile here until it is among them.
fn all() -> Vec<Action> {
    let restart = Action::Restart {
        instances: vec![InstanceName::from("render_1")],
        vm_size: "Standard_D4s_v5".into(),
    };
    let all = vec![create(), resize(), reshape(), replace(), restart, remove()];
    for action in &all {
        match action {
            Action::Create { .. }
            | Action::Resize { .. }
            | Action::Reshape { .. }
            | Action::Replace { .. }
            | Action::Restart { .. }
            | Action::Remove { .. } => {}
        }
    }
    let kinds: BTreeSet<_> = all
        .iter()
        .map(std::mem::discriminant)
        .map(|kind| format!("{kind:?}"))
        .collect();
    assert_eq!(kinds.len(), all.len());
    all
}

/// The permission that Resource Manager asks for: the types in the path, and what is done with them
/// (learn.microsoft.com: *Understand Azure role definitions*, *Actions format*).
fn permission(arrived: &Arrived) -> String {
    let (_, resource) = arrived.path.rsplit_once("/providers/").unwrap();
    let mut parts = resource.split('/');
    let provider = parts.next().unwrap();
    let parts: Vec<&str> = parts.collect();
    let types: Vec<&str> = parts.iter().step_by(2).copied().collect();
    let verb = match arrived.method.as_str() {
        "GET" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        // The last part is the action.
        "POST" => "action",
        other => panic!("{other}"),
    };
    format!("{provider}/{}/{verb}", types.join("/"))
}

#[tokio::test]
async fn the_role_has_exactly_what_the_requests_need() {
    let mut needed = BTreeSet::new();
    for mode in [OrchestrationMode::Flexible, OrchestrationMode::Uniform] {
        let pool = PoolRef { mode, ..pool() };
        let server = Server::start(vec![
            reply(200, json!({"status": "InProgress"})),
            reply(200, set_body(2)),
            reply(200, page(&[])),
        ])
        .await;
        let operation = OperationRef {
            url: "/subscriptions/sub/providers/Microsoft.Compute/locations/eastus/operations/1"
                .into(),
            not_before: START,
        };
        azure(&server, &Hands::new())
            .look(&pool, Some(&operation), Urgency::Looking)
            .await;
        needed.extend(server.arrived().iter().map(permission));
        for action in all() {
            let server = Server::start(vec![reply(200, set_body(2)); 2]).await;
            azure(&server, &Hands::new())
                .act(&pool, &shape(), &action, Urgency::Change)
                .await;
            assert!(!server.arrived().is_empty(), "{action:?} asks nothing");
            needed.extend(server.arrived().iter().map(permission));
        }
    }
    let server = Server::start(vec![reply(200, json!({"value": []}))]).await;
    let rows = azure(&server, &Hands::new())
        .quota(&pool(), None, Urgency::Change)
        .await;
    assert_eq!(rows, Ok(vec![]));
    needed.extend(server.arrived().iter().map(permission));
    // Resource Graph has no permission of its own: it shows each caller what it may read
    // (learn.microsoft.com: *Overview of Azure Resource Graph*, *Permissions*).
    let server = Server::start(vec![]).await;
    azure(&server, &Hands::new())
        .survey(&Scope::of(&pool()))
        .await;
    assert_eq!(
        server.calls(),
        ["POST /providers/Microsoft.ResourceGraph/resources"]
    );
    needed.extend(LINKED.map(str::to_owned));
    let role: Value = serde_json::from_str(ROLE).unwrap();
    let given: Vec<&str> = role["Actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    assert_eq!(
        given,
        needed.iter().map(String::as_str).collect::<Vec<_>>(),
        "deploy/azure-role.json, and what is asked for"
    );
}
