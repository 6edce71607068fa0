//! A simulator that is stopped and started again with the same journal has lost nothing, and a schedule goes on by itself.

use super::*;
use std::path::Path;

fn journaled(path: &Path) -> Options {
    Options {
        throttle: false,
        journal: Some(path.to_owned()),
        ..Options::default()
    }
}

fn post(sim: &Simulator, what: &str, body: Value) -> Value {
    let target = format!("/control/{what}");
    let call = Call::new("POST", &target, vec![], body.to_string().into_bytes());
    let reply = sim.control(&call).unwrap();
    reply.body.unwrap()
}

fn shown(sim: &Simulator, what: &str) -> Value {
    let target = format!("/control/{what}");
    let call = Call::new("GET", &target, vec![], vec![]);
    sim.control(&call).unwrap().body.unwrap()
}

/// Everything but what the clock says.
fn memory(sim: &Simulator) -> Value {
    let mut state = shown(sim, "state");
    for clock in ["time", "millis", "calls"] {
        state.as_object_mut().unwrap().remove(clock);
    }
    state["faults"] = shown(sim, "faults");
    state["world"] = shown(sim, "world");
    state
}

#[tokio::test(start_paused = true)]
async fn a_restart_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let sim = Simulator::new(&journaled(&path)).unwrap();
    let made = send(&sim, "PUT", &set_path("render"), &[], pool(5, 0)).await;
    assert_eq!(made.status, 201, "{made:?}");
    tokio::time::advance(Duration::from_secs(300)).await;
    post(&sim, "evict", json!({"scaleSet": "render", "count": 2}));
    post(
        &sim,
        "quota",
        json!({"name": "lowPriorityCores", "limit": 40}),
    );
    post(&sim, "world", json!({"noCapacity": "inside-operation"}));
    post(
        &sim,
        "faults",
        json!({"method": "GET", "status": 503, "times": 3}),
    );
    let fails = send(&sim, "GET", &set_path("render"), &[], Value::Null).await;
    assert_eq!(fails.status, 503);
    tokio::time::advance(Duration::from_secs(90)).await;
    let etag = memory(&sim)["scaleSets"][0]["etag"].clone();
    let grow = json!({"sku": {"name": "Standard_D4s_v5", "capacity": 4}});
    let stale = send(
        &sim,
        "PATCH",
        &set_path("render"),
        &[("if-match", "\"77\"")],
        grow.clone(),
    )
    .await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let current = [("if-match", etag.as_str().unwrap())];
    let grown = send(&sim, "PATCH", &set_path("render"), &current, grow).await;
    assert_eq!(grown.status, 200, "{grown:?}");
    let operation = header(&grown, "azure-asyncoperation").unwrap().to_owned();
    let operation = operation.split_once(":1").unwrap().1;
    let before = memory(&sim);
    drop(sim);

    let sim = Simulator::new(&journaled(&path)).unwrap();
    let after = memory(&sim);
    assert_eq!(before["faults"]["rules"][0]["times"], 2, "{before:#}");
    for part in before.as_object().unwrap().keys() {
        assert_eq!(before[part], after[part], "{part}");
    }
    sim.with(|state| state.faults.clear());
    tokio::time::advance(Duration::from_secs(300)).await;
    let ended = send(&sim, "GET", operation, &[], Value::Null).await;
    assert_eq!(ended.body.unwrap()["status"], "Succeeded");
    assert_eq!(shown(&sim, "state")["scaleSets"][0]["capacity"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_a_simulator_that_was_started_otherwise_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    drop(Simulator::new(&journaled(&path)).unwrap());
    let other = Options {
        seed: 2,
        ..journaled(&path)
    };
    let error = Simulator::new(&other).unwrap_err().to_string();
    assert!(
        error.contains("then: seed 1") && error.contains("now:  seed 2"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_evicts_and_changes_the_market_by_itself_and_at_its_time() {
    let sim = simulator();
    send(&sim, "PUT", &set_path("render"), &[], pool(5, 0)).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    let evict = json!({"scaleSet": "render"});
    post(
        &sim,
        "schedule",
        json!({"do": "evict", "body": evict, "after": 60, "every": 100, "times": 2}),
    );
    let sold_out = json!({"vmSize": "Standard_D4s_v5", "available": 0});
    post(
        &sim,
        "schedule",
        json!({"do": "capacity", "body": sold_out, "after": 200}),
    );
    // Nobody asks in between.
    tokio::time::advance(Duration::from_secs(600)).await;
    let state = shown(&sim, "state");
    let events = state["events"].as_array().unwrap().iter();
    let noticed: Vec<&str> = events
        .filter(|event| event["kind"] == "EvictionNoticed")
        .map(|event| event["time"].as_str().unwrap())
        .collect();
    assert_eq!(noticed.len(), 2, "{state:#}");
    let grow = json!({"sku": {"name": "Standard_D4s_v5", "capacity": 5}});
    let refused = send(&sim, "PATCH", &set_path("render"), &[], grow).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(shown(&sim, "schedule"), json!({"plans": []}));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_understood_is_refused_and_one_that_fails_says_so() {
    let sim = simulator();
    let refused = |body: Value| {
        let bytes = body.to_string().into_bytes();
        let call = Call::new("POST", "/control/schedule", vec![], bytes);
        sim.control(&call).unwrap_err()
    };
    let error = refused(json!({"do": "explode"}));
    assert!(error.contains("one of evict,"), "{error}");
    let error = refused(json!({"do": "quota", "body": {"limit": 3}}));
    assert!(error.contains("name"), "{error}");
    let nothing = json!({"scaleSet": "nobody"});
    post(
        &sim,
        "schedule",
        json!({"do": "evict", "body": nothing, "every": 60}),
    );
    tokio::time::advance(Duration::from_secs(61)).await;
    let plans = shown(&sim, "schedule");
    assert_eq!(plans["plans"][0]["done"], 2, "{plans:#}");
    let failure = plans["plans"][0]["lastFailure"].as_str().unwrap();
    assert!(failure.contains("no scale set 'nobody'"), "{failure}");
}
