//! Creation, lists, scaling, eviction and deletion over ARM.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_created_set_answers_as_recorded() {
    // [REC cap 1]
    let sim = simulator();
    let reply = send(&sim, "PUT", &set_path("render"), &[], pool(3, 1)).await;
    assert_eq!(reply.status, 201);
    let operation = header(&reply, "azure-asyncoperation").unwrap();
    assert!(
        operation.len() > 3_500 && operation.contains(header(&reply, "x-ms-request-id").unwrap())
    );
    assert!(header(&reply, "location").is_none() && header(&reply, "retry-after").is_none());
    let body = reply.body.as_ref().unwrap();
    assert_eq!(body["properties"]["provisioningState"], "Creating");
    assert_eq!(
        body["properties"]["virtualMachineProfile"]["billingProfile"]["maxPrice"],
        json!(-1.0)
    );
    assert_eq!(
        body["properties"]["virtualMachineProfile"]["osProfile"].get("adminPassword"),
        None
    );
    assert_eq!(
        body["properties"]["somethingNew"]["kept"], true,
        "what is not modelled is kept"
    );
    assert_eq!(
        body["sku"],
        json!({"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 3})
    );

    let target = operation.strip_prefix("http://127.0.0.1:1").unwrap();
    assert_eq!(get(&sim, target).await["status"], "InProgress");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(get(&sim, target).await["status"], "Succeeded");
    let shortened = target.split("&t=").next().unwrap();
    assert_eq!(
        send(&sim, "GET", shortened, &[], Value::Null).await.status,
        400,
        "the address is polled as given"
    );
    assert_eq!(
        get(&sim, &set_path("RENDER")).await["properties"]["provisioningState"],
        "Succeeded"
    );
}

#[tokio::test(start_paused = true)]
async fn instances_of_both_priorities_are_listed_by_their_set_with_states_on_demand() {
    // [REC cap 2]
    let sim = created(3, 1).await;
    let all = machines(&sim, "&$expand=instanceView").await;
    let regular: Vec<&Value> = all
        .iter()
        .filter(|m| m["properties"]["priority"] == "Regular")
        .collect();
    assert_eq!((all.len(), regular.len()), (3, 1));
    assert!(
        regular[0]["properties"].get("evictionPolicy").is_none()
            && regular[0]["properties"].get("billingProfile").is_none()
    );
    assert_eq!(
        all[0]["properties"]["instanceView"]["statuses"][1]["code"],
        "PowerState/running"
    );
    assert_eq!(
        machines(&sim, "").await[0]["properties"].get("instanceView"),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages() {
    let sim = created(5, 0).await;
    sim.with(|state| state.page_size = 2);
    let mut target =
        format!("{SUB}/providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01");
    let mut names = Vec::new();
    let mut pages = 0;
    loop {
        let body = get(&sim, &target).await;
        pages += 1;
        names.extend(
            body["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = body["nextLink"].as_str() else {
            break;
        };
        target = next.strip_prefix("http://127.0.0.1:1").unwrap().to_owned();
    }
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!((pages, names.len(), distinct.len()), (3, 5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_small_put_scales_and_keeps_everything_else() {
    let sim = created(2, 1).await;
    let reply = send(
        &sim,
        "PUT",
        &set_path("render"),
        &[],
        json!({"location": "East US", "sku": {"name": "Standard_D4s_v5", "capacity": 4}}),
    )
    .await;
    assert_eq!(
        (
            reply.status,
            &reply.body.as_ref().unwrap()["sku"]["capacity"]
        ),
        (200, &json!(4))
    );
    tokio::time::sleep(Duration::from_secs(300)).await;
    let set = get(&sim, &set_path("render")).await;
    assert_eq!(
        (&set["tags"], &set["properties"]["somethingNew"]["kept"]),
        (&json!({"spotpool_owner": "x"}), &json!(true))
    );
    assert_eq!(machines(&sim, "").await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_simulated_eviction_is_silent_and_lowers_the_capacity() {
    // [REC cap 9] and [DOC spot-priority-mix]
    let sim = created(3, 1).await;
    let all = machines(&sim, "").await;
    let of = |p: &str| {
        all.iter()
            .find(|m| m["properties"]["priority"] == p)
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let refused = send(
        &sim,
        "POST",
        &format!("{}/simulateEviction", of("Regular")),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!(
        (refused.status, code(&refused)),
        (409, "OperationNotAllowed")
    );
    let spot = of("Spot");
    let reply = send(
        &sim,
        "POST",
        &format!("{spot}/simulateEviction"),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!(
        (
            reply.status,
            &reply.body,
            header(&reply, "azure-asyncoperation")
        ),
        (204, &None, None)
    );
    tokio::time::sleep(Duration::from_secs(180)).await;
    let gone = send(&sim, "GET", &spot, &[], Value::Null).await;
    assert_eq!((gone.status, code(&gone)), (404, "NotFound"));
    assert_eq!(get(&sim, &set_path("render")).await["sku"]["capacity"], 2);
}

#[tokio::test(start_paused = true)]
async fn instances_are_deleted_by_name_and_the_set_with_all_of_them() {
    let sim = created(3, 0).await;
    let name = machines(&sim, "").await[0]["name"].clone();
    let reply = send(
        &sim,
        "POST",
        &format!("{}/delete", set_path("render")),
        &[],
        json!({"instanceIds": [name]}),
    )
    .await;
    assert_eq!(
        (
            reply.status,
            &reply.body,
            header(&reply, "x-ms-request-charge")
        ),
        (202, &None, Some("1"))
    );
    let location = header(&reply, "location")
        .unwrap()
        .strip_prefix("http://127.0.0.1:1")
        .unwrap()
        .to_owned();
    assert_eq!(
        send(&sim, "GET", &location, &[], Value::Null).await.status,
        202
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        send(&sim, "GET", &location, &[], Value::Null).await.status,
        200
    );
    assert_eq!(
        send(&sim, "DELETE", &set_path("render"), &[], Value::Null)
            .await
            .status,
        202
    );
    assert_eq!(
        get(&sim, &set_path("render")).await["properties"]["provisioningState"],
        "Deleting"
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        send(&sim, "GET", &set_path("render"), &[], Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        send(&sim, "DELETE", &set_path("render"), &[], Value::Null)
            .await
            .status,
        204
    );
}

#[tokio::test(start_paused = true)]
async fn the_control_api_moves_the_world() {
    let sim = created(3, 0).await;
    let control = |method: &'static str, path: &str, body: Value| {
        let call = Call::new(method, path, Vec::new(), body.to_string().into_bytes());
        sim.with(|state| control::answer(state, &call))
    };
    let evicted = control(
        "POST",
        "/control/evict",
        json!({"scaleSet": "render", "count": 2}),
    )
    .unwrap()
    .body
    .unwrap();
    assert_eq!(evicted["evicted"].as_array().unwrap().len(), 2);
    control(
        "POST",
        "/control/quota",
        json!({"name": "lowPriorityCores", "limit": 1}),
    )
    .unwrap();
    let reply = send(
        &sim,
        "PATCH",
        &set_path("render"),
        &[],
        json!({"sku": {"capacity": 9}}),
    )
    .await;
    assert_eq!((reply.status, code(&reply)), (409, "OperationNotAllowed"));
    control(
        "POST",
        "/control/world",
        json!({"capacityFalls": "never", "boot": [1, 2], "quotaStatus": 403}),
    )
    .unwrap();
    assert!(
        control(
            "POST",
            "/control/world",
            json!({"capacityFalls": "sometimes"})
        )
        .is_err()
    );
    assert!(control("POST", "/control/evict", json!({"scaleSet": "nope"})).is_err());
    let state = control("GET", "/control/state", Value::Null)
        .unwrap()
        .body
        .unwrap();
    assert_eq!(
        state["scaleSets"][0]["instances"].as_array().unwrap().len(),
        3
    );
    assert!(state["calls"]["writes"].as_u64() >= Some(2));
    assert!(
        state["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["kind"] == "EvictionNoticed")
    );
}

#[tokio::test(start_paused = true)]
async fn usages_and_sizes_can_be_asked_for() {
    let sim = created(2, 0).await;
    let usages = get(
        &sim,
        &format!("{SUB}/providers/Microsoft.Compute/locations/eastus/usages"),
    )
    .await;
    let row = usages["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["name"]["value"] == "lowPriorityCores")
        .unwrap()
        .clone();
    assert_eq!(row["currentValue"], 8);
    let skus = get(
        &sim,
        &format!("{SUB}/providers/Microsoft.Compute/skus?$filter=location%20eq%20'eastus'"),
    )
    .await;
    assert!(
        skus["value"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s["name"] == "Standard_D4s_v5")
    );
}
