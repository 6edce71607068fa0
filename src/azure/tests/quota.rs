//! The quota is asked for every ten seconds by all who grow, and what cannot be read keeps nobody from growing.

use super::*;

fn rows(used: u64) -> Value {
    json!({"value": [
        {"unit": "Count", "currentValue": used, "limit": 100, "name": {"value": "lowPriorityCores", "localizedValue": "Total Regional Low-priority vCPUs"}},
    ]})
}

#[tokio::test]
async fn one_list_serves_all_pools_of_a_place_for_ten_seconds() {
    let server = Server::start(vec![
        reply(200, rows(8)),
        reply(200, rows(12)),
        reply(200, rows(16)),
    ])
    .await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    let (one, other) = (
        pool(),
        PoolRef {
            scale_set: "other".into(),
            ..pool()
        },
    );
    let (first, second) = tokio::join!(
        azure.quota(&one, None, Urgency::Change),
        azure.quota(&other, None, Urgency::Rescue)
    );
    assert_eq!(first.as_ref().unwrap()[0].used, 8);
    assert_eq!(first, second);
    assert_eq!(server.calls().len(), 1, "{:?}", server.calls());
    hands.forward(Millis::seconds(11));
    assert_eq!(
        azure.quota(&one, None, Urgency::Change).await.unwrap()[0].used,
        12
    );
    let written = Some(hands.now()());
    let used = azure.quota(&one, written, Urgency::Change).await.unwrap()[0].used;
    assert_eq!(
        used, 16,
        "a list from before the last write does not count that"
    );
    assert!(
        server.calls()[1].contains("/locations/eastus/usages"),
        "{:?}",
        server.calls()
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_not_asked_for_again_at_once() {
    let server = Server::start(vec![reply(
        403,
        json!({"error": {"code": "AuthorizationFailed", "message": "no"}}),
    )])
    .await;
    let azure = azure(&server, &Hands::new());
    for _ in 0..3 {
        let fact = azure
            .quota(&pool(), None, Urgency::Change)
            .await
            .unwrap_err();
        assert!(fact.contains("AuthorizationFailed"), "{fact}");
    }
    assert_eq!(server.calls().len(), 1);
}
