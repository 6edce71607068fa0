//! Uniform scale sets over ARM, and starting and stopping instances in both modes.

use super::*;

fn uniform(capacity: u32, policy: &str) -> Value {
    let mut body = pool(capacity, 0);
    let properties = body["properties"].as_object_mut().unwrap();
    properties.remove("priorityMixPolicy");
    properties.remove("orchestrationMode");
    properties.insert("upgradePolicy".into(), json!({"mode": "Manual"}));
    body["properties"]["virtualMachineProfile"]["evictionPolicy"] = json!(policy);
    body
}

async fn put(sim: &Simulator, body: Value) -> Reply {
    let reply = send(sim, "PUT", &set_path("render"), &[], body).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    reply
}

async fn numbered(capacity: u32, policy: &str) -> Simulator {
    let sim = simulator();
    let reply = put(&sim, uniform(capacity, policy)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    sim
}

async fn post(sim: &Simulator, path: &str, body: Value) -> Reply {
    let reply = send(
        sim,
        "POST",
        &format!("{}{path}", set_path("render")),
        &[],
        body,
    )
    .await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    reply
}

async fn below(sim: &Simulator, query: &str) -> Vec<Value> {
    let target = format!("{}/virtualMachines{query}", set_path("render"));
    let body = get(sim, &target).await;
    body["value"].as_array().unwrap().clone()
}

async fn powers(sim: &Simulator) -> Vec<(String, String)> {
    let all = below(sim, "?$expand=instanceView").await;
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    all.iter()
        .map(|m| {
            (
                word(&m["instanceId"]),
                word(&m["properties"]["instanceView"]["statuses"][1]["code"]),
            )
        })
        .collect()
}

fn states(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(id, power)| ((*id).to_owned(), format!("PowerState/{power}")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_set_that_does_not_say_is_uniform_and_its_instances_read_as_recorded() {
    // [REC cap 5, 8]
    let sim = numbered(12, "Delete").await;
    let set = get(&sim, &set_path("render")).await;
    let properties = &set["properties"];
    assert_eq!(properties["orchestrationMode"], "Uniform");
    assert_eq!(
        (
            &properties["singlePlacementGroup"],
            &properties["spotRestorePolicy"]
        ),
        (
            &json!(true),
            &json!({"enabled": false, "restoreTimeout": "PT1H"})
        )
    );
    let all = below(&sim, "").await;
    let names: Vec<&str> = all.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(
        (names[0], names[2], names[11]),
        ("render_0", "render_2", "render_11")
    );
    let eleventh = &all[11];
    assert_eq!(
        eleventh["properties"]["osProfile"]["computerName"],
        "r00000B"
    );
    assert_eq!(
        (
            &eleventh["id"],
            &eleventh["sku"],
            &eleventh["properties"]["latestModelApplied"]
        ),
        (
            &json!(format!("{}/virtualMachines/11", set_path("render"))),
            &json!({"name": "Standard_D4s_v5", "tier": "Standard"}),
            &json!(true)
        )
    );
    let view = get(&sim, &format!("{}/instanceView", set_path("render"))).await;
    assert_eq!(
        (
            &view["virtualMachine"]["statusesSummary"],
            &view["statuses"][0]["code"]
        ),
        (
            &json!([{"code": "ProvisioningState/succeeded", "count": 12}]),
            &json!("ProvisioningState/succeeded")
        )
    );
    let vms = get(
        &sim,
        &format!("{SUB}/providers/Microsoft.Compute/virtualMachines"),
    )
    .await;
    assert_eq!(vms["value"], json!([]), "they are no virtual machines");
}

#[tokio::test(start_paused = true)]
async fn a_deallocated_eviction_is_started_by_number_one_or_many() {
    // [REC cap 7]
    let sim = numbered(3, "Deallocate").await;
    for id in ["0", "2"] {
        let path = format!("/virtualMachines/{id}/simulateEviction");
        assert_eq!(post(&sim, &path, Value::Null).await.status, 204);
    }
    let down = states(&[("0", "deallocated"), ("1", "running"), ("2", "deallocated")]);
    assert_eq!(powers(&sim).await, down);
    assert_eq!(get(&sim, &set_path("render")).await["sku"]["capacity"], 3);

    let reply = post(&sim, "/start", json!({"instanceIds": ["0"]})).await;
    assert_eq!(
        (reply.status, header(&reply, "x-ms-request-charge")),
        (202, Some("1"))
    );
    assert_eq!(
        post(&sim, "/virtualmachines/2/start", Value::Null)
            .await
            .status,
        202
    );
    let up = states(&[("0", "running"), ("1", "running"), ("2", "running")]);
    assert_eq!(powers(&sim).await, up);

    assert_eq!(post(&sim, "/deallocate", Value::Null).await.status, 202);
    let none = powers(&sim).await;
    assert!(
        none.iter().all(|(_, p)| p == "PowerState/deallocated"),
        "nobody named means all: {none:?}"
    );
    let reply = post(&sim, "/start", json!({"instanceIds": "0"})).await;
    assert_eq!((reply.status, code(&reply)), (400, "InvalidRequestContent"));
    assert_eq!(powers(&sim).await, none, "and a mistake does not mean all");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_instance_is_not_found_by_its_number() {
    let sim = numbered(3, "Delete").await;
    let one = |id: &str| format!("{}/virtualMachines/{id}", set_path("render"));
    assert_eq!(
        send(&sim, "DELETE", &one("1"), &[], Value::Null)
            .await
            .status,
        202
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    let gone = send(
        &sim,
        "GET",
        &format!("{}/instanceView", one("1")),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!((gone.status, code(&gone)), (404, "NotFound"));
    assert_eq!(
        send(&sim, "DELETE", &one("1"), &[], Value::Null)
            .await
            .status,
        204
    );
    let odd = send(&sim, "GET", &one("render_0"), &[], Value::Null).await;
    assert_eq!((odd.status, code(&odd)), (400, "InvalidParameter"));
    assert_eq!(get(&sim, &set_path("render")).await["sku"]["capacity"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_each_mode_needs_is_asked_for() {
    // [ISS azure-docs#74002] and [DOC] for the hundred.
    let sim = simulator();
    let mut bare = uniform(1, "Delete");
    bare["properties"]
        .as_object_mut()
        .unwrap()
        .remove("upgradePolicy");
    let reply = put(&sim, bare).await;
    assert_eq!(
        (
            reply.status,
            &reply.body.as_ref().unwrap()["error"]["message"]
        ),
        (
            400,
            &json!("Required parameter 'upgradePolicy' is missing (null).")
        )
    );
    let mut mixed = uniform(1, "Delete");
    mixed["properties"]["priorityMixPolicy"] = json!({"baseRegularPriorityCount": 1});
    assert_eq!(code(&put(&sim, mixed).await), "InvalidParameter");
    let reply = put(&sim, uniform(101, "Delete")).await;
    assert_eq!((reply.status, code(&reply)), (400, "InvalidParameter"));
    let mut large = uniform(101, "Delete");
    large["properties"]["singlePlacementGroup"] = json!(false);
    assert_eq!(put(&sim, large).await.status, 201);
    let body = json!({"location": "eastus", "properties": {"orchestrationMode": "Flexible"}});
    let reply = put(&sim, body).await;
    assert_eq!(
        (reply.status, code(&reply)),
        (409, "PropertyChangeNotAllowed")
    );
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_instance_has_the_latest_model() {
    let sim = numbered(2, "Delete").await;
    let image = json!({"properties": {"virtualMachineProfile": {"storageProfile": {"imageReference": {"version": "24.04.1"}}}}});
    send(&sim, "PATCH", &set_path("render"), &[], image).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let old = "?$filter=properties/latestModelApplied%20eq%20false";
    assert_eq!(below(&sim, old).await.len(), 2);
    assert_eq!(
        post(&sim, "/manualupgrade", json!({"instanceIds": ["1"]}))
            .await
            .status,
        202
    );
    let left = below(&sim, old).await;
    assert_eq!((left.len(), left[0]["instanceId"].as_str()), (1, Some("0")));
    let version = "/properties/storageProfile/imageReference/version";
    assert_eq!(
        below(&sim, "").await[1].pointer(version),
        Some(&json!("24.04.1"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_flexible_instance_is_started_by_its_name_and_in_batches_where_azure_takes_them() {
    // [DOC] contradictory on batches: an option.
    let sim = created(2, 0).await;
    let all = machines(&sim, "").await;
    let id = all[0]["id"].as_str().unwrap();
    let name = all[0]["name"].clone();
    for (action, power) in [
        ("deallocate", "deallocated"),
        ("start", "running"),
        ("powerOff", "stopped"),
        ("start", "running"),
        ("restart", "running"),
        ("reapply", "running"),
    ] {
        let reply = send(&sim, "POST", &format!("{id}/{action}"), &[], Value::Null).await;
        assert_eq!(reply.status, 202, "{action}: {reply:?}");
        assert!(header(&reply, "location").is_some());
        tokio::time::sleep(Duration::from_secs(300)).await;
        let view = get(&sim, &format!("{id}/instanceView")).await;
        assert_eq!(
            view["statuses"][1]["code"],
            json!(format!("PowerState/{power}")),
            "after {action}"
        );
    }
    let body = json!({"instanceIds": [name]});
    assert_eq!(post(&sim, "/deallocate", body.clone()).await.status, 202);
    sim.with(|state| state.region.options_mut().flexible_takes_batches = false);
    let reply = post(&sim, "/start", body.clone()).await;
    assert_eq!((reply.status, code(&reply)), (400, "BadRequest"));
    assert_eq!(post(&sim, "/delete", body).await.status, 202);
    assert_eq!(machines(&sim, "").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_finds_no_place_shows_its_code() {
    let sim = numbered(1, "Deallocate").await;
    post(&sim, "/deallocate", Value::Null).await;
    sim.with(|state| {
        state.region.options_mut().no_capacity = spotpool_core::world::NoCapacity::InsideOperation;
        let spot = spotpool_core::world::Priority::Spot;
        state
            .region
            .limit_capacity("Standard_D4s_v5", None, spot, Some(0));
    });
    assert_eq!(post(&sim, "/start", Value::Null).await.status, 202);
    let view = get(
        &sim,
        &format!("{}/virtualMachines/0/instanceView", set_path("render")),
    )
    .await;
    let codes: Vec<&str> = view["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["code"].as_str())
        .collect();
    assert_eq!(
        codes,
        [
            "ProvisioningState/failed/AllocationFailed",
            "PowerState/deallocated"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_number_used_again_is_another_machine() {
    let sim = numbered(1, "Delete").await;
    sim.with(|state| state.region.options_mut().reuses_instance_ids = true);
    let id = |all: Vec<Value>| all[0]["properties"]["vmId"].clone();
    let first = id(below(&sim, "").await);
    post(&sim, "/delete", json!({"instanceIds": ["0"]})).await;
    send(
        &sim,
        "PATCH",
        &set_path("render"),
        &[],
        json!({"sku": {"capacity": 1}}),
    )
    .await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let again = below(&sim, "").await;
    assert_eq!(again[0]["name"], "render_0");
    assert_ne!(id(again), first);
}

#[tokio::test(start_paused = true)]
async fn a_numbered_instance_tells_its_priority_in_the_recorded_reading_alone() {
    // [REC cap 8] against [SDK].
    let sim = numbered(1, "Delete").await;
    let told = |all: Vec<Value>| {
        let properties = &all[0]["properties"];
        json!([
            properties["priority"],
            properties["evictionPolicy"],
            properties["billingProfile"]
        ])
    };
    assert_eq!(told(below(&sim, "").await), json!([null, null, null]));
    sim.with(|state| state.uniform_tells_priority = true);
    assert_eq!(
        told(below(&sim, "").await),
        json!(["Spot", "Delete", {"maxPrice": -1.0}])
    );
}
