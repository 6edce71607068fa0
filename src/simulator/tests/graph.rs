//! Resource Graph: the one question, about the world as it was a while ago.

use super::super::graph::QUESTION;
use super::*;

const PATH: &str = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";

async fn ask(sim: &Simulator, query: &str, options: Value) -> Reply {
    let subscription = SUB.rsplit('/').next().unwrap();
    let body = json!({"subscriptions": [subscription], "query": query, "options": options});
    send(sim, "POST", PATH, &[], body).await
}

fn question() -> String {
    QUESTION.replace("{location}", "eastus")
}

async fn rows(sim: &Simulator) -> Vec<Value> {
    let reply = ask(sim, &question(), json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body.unwrap()["data"].as_array().unwrap().clone()
}

async fn lags(sim: &Simulator, seconds: u64) {
    let settings: settings::Settings =
        serde_json::from_value(json!({"graphLag": seconds})).unwrap();
    sim.with(|state| settings.apply(state)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_set_is_one_row_with_its_instances_counted() {
    let sim = created(4, 1).await;
    let rows = rows(&sim).await;
    assert_eq!(
        rows,
        [json!({
            "id": set_path("render").to_lowercase(), "size": "Standard_D4s_v5", "capacity": 4, "state": "Succeeded", "base": 1,
            "price": -1.0, "tags": {"spotpool_owner": "x"}, "instances": 4, "running": 4, "deallocated": 0,
        })]
    );
}

#[tokio::test(start_paused = true)]
async fn it_shows_the_world_as_it_was_before_its_lag() {
    for lag in [10_u64, 60] {
        let sim = simulator();
        lags(&sim, lag).await;
        let put = send(&sim, "PUT", &set_path("render"), &[], pool(2, 0)).await;
        assert_eq!(put.status, 201, "{put:?}");
        tokio::time::sleep(Duration::from_secs(lag - 1)).await;
        assert_eq!(rows(&sim).await, Vec::<Value>::new(), "{lag} s");
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(rows(&sim).await[0]["running"], 2);
        sim.with(|state| state.region.evict_some("batch-rg", "render", 1));
        let mut behind = 0;
        // Until ARM shows one instance, and then until Resource Graph does.
        while machines(&sim, "").await.len() > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        while rows(&sim).await[0]["instances"] == 2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            behind += 1;
        }
        assert!(
            (lag - 1..=lag + 1).contains(&behind),
            "{behind} s, not {lag}"
        );
        send(&sim, "DELETE", &set_path("render"), &[], Value::Null).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(rows(&sim).await, Vec::<Value>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn pages_follow_their_token_and_a_foreign_token_is_refused() {
    let sim = simulator();
    for name in ["a", "b", "c"] {
        send(&sim, "PUT", &set_path(name), &[], pool(0, 0)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let first = ask(&sim, &question(), json!({"$top": 2}))
        .await
        .body
        .unwrap();
    assert_eq!(
        (&first["count"], &first["totalRecords"]),
        (&json!(2), &json!(3))
    );
    let rest = json!({"$top": 2, "$skipToken": first["$skipToken"]});
    let second = ask(&sim, &question(), rest).await.body.unwrap();
    assert_eq!(second["data"][0]["id"], set_path("c").to_lowercase());
    assert_eq!(second["$skipToken"], Value::Null);
    let foreign = ask(&sim, &question(), json!({"$skipToken": "x"})).await;
    assert_eq!((foreign.status, code(&foreign)), (400, "BadRequest"));
}

#[tokio::test(start_paused = true)]
async fn any_other_question_is_refused_and_its_layout_does_not_matter() {
    let sim = simulator();
    let stretched = question().replace(' ', "\n  ");
    assert_eq!(ask(&sim, &stretched, json!({})).await.status, 200);
    for other in [
        "resources".to_owned(),
        format!("{} | limit 5", question()),
        question().replacen("eastus", "westus", 1),
        question().replace("running", "standing"),
    ] {
        let reply = ask(&sim, &other, json!({})).await;
        assert_eq!((reply.status, code(&reply)), (400, "BadRequest"), "{other}");
    }
    let westus = ask(&sim, &QUESTION.replace("{location}", "westus"), json!({})).await;
    assert_eq!(westus.body.unwrap()["totalRecords"], 0);
}

#[tokio::test(start_paused = true)]
async fn fifteen_questions_in_five_seconds_and_they_count_as_reads() {
    let sim = Simulator::new(&Options::default()).unwrap();
    for left in (0..15).rev() {
        let reply = ask(&sim, &question(), json!({})).await;
        let told = header(&reply, "x-ms-user-quota-remaining");
        assert_eq!(told, Some(left.to_string().as_str()), "{reply:?}");
    }
    let refused = ask(&sim, &question(), json!({})).await;
    assert_eq!((refused.status, code(&refused)), (429, "RateLimiting"));
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&sim, &question(), json!({})).await.status, 200);
    let calls = sim.with(|state| (state.calls.reads, state.calls.writes));
    assert_eq!(calls, (17, 0));
}
