//! Preconditions, refusals, faults and the log.

use super::*;

#[tokio::test(start_paused = true)]
async fn etags_guard_writes() {
    let sim = created(2, 0).await;
    let etag = get(&sim, &set_path("render")).await["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"sku": {"capacity": 3}});
    let reply = send(
        &sim,
        "PATCH",
        &set_path("render"),
        &[("if-match", "\"999\"")],
        body.clone(),
    )
    .await;
    assert_eq!((reply.status, code(&reply)), (412, "PreconditionFailed"));
    assert_eq!(
        send(
            &sim,
            "PATCH",
            &set_path("render"),
            &[("if-match", &etag)],
            body
        )
        .await
        .status,
        200
    );
    assert_eq!(
        send(
            &sim,
            "PUT",
            &set_path("render"),
            &[("if-none-match", "*")],
            pool(1, 0)
        )
        .await
        .status,
        412
    );
}

#[tokio::test(start_paused = true)]
async fn what_only_uniform_sets_can_is_refused_in_the_recorded_words() {
    let sim = created(1, 0).await;
    let message = |reply: &Reply| {
        reply.body.as_ref().unwrap()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let reply = send(
        &sim,
        "GET",
        &format!("{}/instanceView", set_path("render")),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!(
        (reply.status, message(&reply).as_str()),
        (
            400,
            "Operation 'VirtualMachineScaleSets.instanceView.GET' is not allowed on Virtual Machine Scale Set 'render'."
        )
    );
    let reply = send(
        &sim,
        "GET",
        &format!(
            "{}/virtualMachines?$expand=instanceView",
            set_path("render")
        ),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!(
        message(&reply),
        "Operation 'VirtualMachineScaleSets.virtualMachines.GET' is not allowed on Virtual Machine Scale Set 'render'."
    );
    let reply = send(
        &sim,
        "GET",
        &format!(
            "{}/virtualMachines/render_1/instanceView",
            set_path("render")
        ),
        &[],
        Value::Null,
    )
    .await;
    assert_eq!(
        message(&reply),
        "Virtual Machine Scale Set VM instanceId must be a number."
    );
    assert_eq!(
        get(&sim, &format!("{}/virtualMachines", set_path("render"))).await["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn strangers_and_incomplete_requests_are_sent_away() {
    let sim = simulator();
    let call =
        |target: &str| Call::new("GET", target, vec![("host".into(), "x".into())], Vec::new());
    assert_eq!(
        sim.exchange(call(&format!(
            "{}?api-version=2024-07-01",
            set_path("render")
        )))
        .await
        .unwrap()
        .status,
        401
    );
    let reply = send(
        &sim,
        "GET",
        "/subscriptions/other/resourceGroups/g",
        &[],
        Value::Null,
    )
    .await;
    assert_eq!((reply.status, code(&reply)), (404, "SubscriptionNotFound"));
    let mut body = pool(1, 0);
    body["properties"]["virtualMachineProfile"]["storageProfile"]
        .as_object_mut()
        .unwrap()
        .remove("imageReference");
    let reply = send(&sim, "PUT", &set_path("render"), &[], body).await;
    assert_eq!((reply.status, code(&reply)), (400, "InvalidParameter"));
    sim.with(|state| state.missing_groups.push("batch-rg".into()));
    let reply = send(&sim, "PUT", &set_path("render"), &[], pool(1, 0)).await;
    assert_eq!((reply.status, code(&reply)), (404, "ResourceGroupNotFound"));
}

#[tokio::test(start_paused = true)]
async fn faults_refuse_lie_hang_up_before_and_after() {
    let sim = created(2, 0).await;
    let rule = |json: Value| serde_json::from_value::<faults::Rule>(json).unwrap();
    sim.with(|s| {
        s.faults.add(rule(
            json!({"method": "GET", "status": 429, "headers": {"Retry-After": "7"}}),
        ))
    });
    let reply = send(&sim, "GET", &set_path("render"), &[], Value::Null).await;
    assert_eq!(
        (reply.status, header(&reply, "retry-after")),
        (429, Some("7"))
    );
    sim.with(|s| {
        s.faults.add(rule(
            json!({"pathContains": "render", "capacityReadsAs": 0}),
        ))
    });
    assert_eq!(get(&sim, &set_path("render")).await["sku"]["capacity"], 0);
    assert_eq!(get(&sim, &set_path("render")).await["sku"]["capacity"], 2);
    for (drop, capacity) in [("before", 2), ("after", 3)] {
        sim.with(|s| s.faults.add(rule(json!({"method": "PATCH", "drop": drop}))));
        let headers = vec![("authorization".into(), "Bearer x".into())];
        let call = Call::new(
            "PATCH",
            &format!("{}?api-version=2024-07-01", set_path("render")),
            headers,
            json!({"sku": {"capacity": 3}}).to_string().into_bytes(),
        );
        assert!(sim.exchange(call).await.is_none());
        assert_eq!(
            get(&sim, &set_path("render")).await["sku"]["capacity"],
            capacity,
            "{drop}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_holds_every_exchange_and_no_token() {
    let sim = created(1, 0).await;
    let text = sim.with(|s| s.log.text());
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["request"]["method"], &line["response"]["statusCode"]),
        (&json!("PUT"), &json!(201))
    );
    assert!(
        line["request"]["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:1/subscriptions/")
    );
    assert!(!text.contains("anything") && !text.contains("hunter2"));
}
