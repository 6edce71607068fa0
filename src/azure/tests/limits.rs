//! What Azure's limits do not bear is not sent: over real sockets, with a clock that is moved by hand.

use super::*;
use spotpool_core::planner::Outcome;

fn held_back(look: &Look) -> Timestamp {
    match &look.observed.set {
        Seen::Unknown(Blind::HeldBack { until }) => *until,
        other => panic!("not held back: {other:?}"),
    }
}

/// Two instances there, three wanted.
fn grow() -> Action {
    let known = |set| Seen::Known {
        value: set,
        at: START,
    };
    let instances = super::super::instances::read_items(&[vm("a"), vm("b")], Some(SET_PATH));
    let observed = Observed {
        set: known(Some(set(2))),
        instances: Seen::Known {
            value: instances.unwrap(),
            at: START,
        },
        outcome: None,
    };
    let mut memory = Memory::default();
    memory.process.believed = Some(spotpool_core::planner::Believed {
        capacity: 0,
        alive: 0,
        falling: 0,
    });
    let plan = planned(&desired(3, "m1"), &observed, &memory, START);
    plan.action.unwrap().0
}

fn throttled(retry_after: u32) -> Reply {
    let body = json!({"error": {"code": "SubscriptionRequestsThrottled", "message": "wait"}});
    reply(429, body).with("retry-after", retry_after)
}

#[tokio::test]
async fn nothing_is_read_before_retry_after_and_then_it_is() {
    let server = Server::start(vec![
        throttled(30),
        reply(200, set_body(1)),
        reply(200, page(&[vm("a")])),
    ])
    .await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    azure.look(&pool(), None, Urgency::Rescue).await;
    hands.forward(Millis::seconds(29));
    let turn = held_back(&azure.look(&pool(), None, Urgency::Rescue).await);
    let again = held_back(&azure.look(&pool(), None, Urgency::Rescue).await);
    assert_eq!(
        turn,
        START + Millis::seconds(30) + Millis(40),
        "a look is two reads"
    );
    assert_eq!(again, turn, "the booked instant stays");
    let other = PoolRef {
        scale_set: "other".into(),
        ..pool()
    };
    assert!(
        held_back(&azure.look(&other, None, Urgency::Rescue).await) > turn,
        "of the whole subscription, and one by one"
    );
    assert_eq!(server.arrived().len(), 1, "{:?}", server.calls());
    assert_eq!(azure.calls().held_back, 3);

    hands.forward(Millis::seconds(3));
    let look = azure.look(&pool(), None, Urgency::Rescue).await;
    assert!(
        matches!(look.observed.set, Seen::Known { .. }),
        "{:?}",
        look.observed.set
    );
    assert!(matches!(look.observed.instances, Seen::Known { .. }));
}

#[tokio::test]
async fn another_subscription_is_not_held() {
    let server = Server::start(vec![throttled(30), reply(404, "")]).await;
    let azure = azure(&server, &Hands::new());
    azure.look(&pool(), None, Urgency::Looking).await;
    let other = PoolRef {
        subscription: "other".into(),
        ..pool()
    };
    azure.look(&other, None, Urgency::Looking).await;
    assert_eq!(server.arrived().len(), 2);
}

#[tokio::test]
async fn a_write_that_the_set_does_not_bear_is_not_sent_and_told_when() {
    let body = json!({
        "code": "OperationNotAllowed", "message": "too many requests",
        "details": [{"code": "TooManyRequests", "target": "UpdateVMScaleSetResource", "message": "{}"}],
    });
    let server = Server::start(vec![
        reply(429, body).with("retry-after", 40),
        reply(200, set_body(3)),
    ])
    .await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    let write = async || {
        azure
            .act(&pool(), &shape(), &grow(), Urgency::Rescue)
            .await
            .answer
    };
    let later = Answer::Later(START + Millis::seconds(40));
    assert_eq!(write().await, later, "as Azure says");
    hands.forward(Millis::seconds(20));
    assert_eq!(write().await, later, "as is booked");
    assert_eq!(server.arrived().len(), 1, "nothing was sent");
    hands.forward(Millis::seconds(20));
    assert_eq!(write().await, Answer::Accepted);
}

#[tokio::test]
async fn what_azure_has_left_is_enough_to_wait_before_it_refuses() {
    let empty = reply(200, set_body(1)).with("x-ms-ratelimit-remaining-subscription-reads", 0);
    let server = Server::start(vec![empty]).await;
    let azure = azure(&server, &Hands::new());
    let look = azure.look(&pool(), None, Urgency::Looking).await;
    assert!(
        matches!(&look.observed.instances, Seen::Unknown(Blind::HeldBack { until }) if *until > START),
        "{:?}",
        look.observed.instances
    );
    assert_eq!(server.arrived().len(), 1);
    assert_eq!(azure.calls().throttled, 0);
    let left = azure.remaining();
    let reads = left.iter().find(|one| one.bucket == "subscription-reads");
    assert_eq!(reads.unwrap().tokens, 0, "{left:?}");
}

#[tokio::test]
async fn a_set_is_not_asked_for_while_its_instances_cannot_be() {
    let body = json!({
        "code": "OperationNotAllowed", "message": "too many requests",
        "details": [{"code": "TooManyRequests", "target": "HighCostGetSubscriptionMaximum", "message": "{}"}],
    });
    let server = Server::start(vec![
        reply(200, set_body(1)),
        reply(429, body).with("retry-after", 30),
    ])
    .await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    azure.look(&pool(), None, Urgency::Looking).await;
    hands.forward(Millis::seconds(10));
    let turn = held_back(&azure.look(&pool(), None, Urgency::Looking).await);
    assert!(turn >= START + Millis::seconds(30), "{turn:?}");
    assert_eq!(server.arrived().len(), 2, "{:?}", server.calls());
}

#[tokio::test]
async fn while_azure_is_at_work_the_instances_are_asked_for_only_where_reads_are_plenty() {
    for (left, asked) in [(249, 2), (200, 1)] {
        let mut busy = set_body(1);
        busy["properties"]["provisioningState"] = json!("Updating");
        let reads = "x-ms-ratelimit-remaining-subscription-reads";
        let server = Server::start(vec![
            reply(200, busy).with(reads, left),
            reply(200, page(&[vm("a")])),
        ])
        .await;
        let azure = azure(&server, &Hands::new());
        let look = azure.look(&pool(), None, Urgency::Looking).await;
        assert_eq!(server.arrived().len(), asked, "{left} reads left");
        let unknown = Seen::Unknown(Blind::NotAsked);
        assert_eq!(look.observed.instances == unknown, asked == 1);
        assert!(matches!(look.observed.set, Seen::Known { .. }));
    }
}

#[tokio::test]
async fn an_operation_that_may_not_be_asked_yet_is_kept_with_its_turn() {
    let server = Server::start(vec![
        throttled(30),
        reply(200, json!({"status": "Succeeded"})),
        reply(200, set_body(1)),
        reply(200, page(&[])),
    ])
    .await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    let operation = OperationRef {
        url: format!(
            "{}subscriptions/sub/providers/Microsoft.Compute/locations/eastus/operations/1?s=x",
            server.url
        ),
        not_before: START,
    };
    azure.look(&pool(), None, Urgency::Rescue).await;
    let look = azure.look(&pool(), Some(&operation), Urgency::Rescue).await;
    assert!(held_back(&look) >= START + Millis::seconds(30));
    let kept = look.unfinished.unwrap();
    assert_eq!(server.arrived().len(), 1);
    hands.forward(Millis::seconds(35));
    let look = azure.look(&pool(), Some(&kept), Urgency::Rescue).await;
    assert_eq!(look.observed.outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_over() {
    let server = Server::start(vec![
        Reply {
            hangs: true,
            ..reply(200, "")
        },
        reply(200, set_body(1)).with("x-ms-ratelimit-remaining-subscription-reads", 249),
        reply(200, page(&[])),
    ])
    .await;
    let azure = azure(&server, &Hands::new());
    let pool = pool();
    let dropped = azure.look(&pool, None, Urgency::Looking);
    let _ = tokio::time::timeout(Duration::from_millis(300), dropped).await;
    azure.look(&pool, None, Urgency::Looking).await;
    let left = azure.remaining();
    let reads = left.iter().find(|one| one.bucket == "subscription-reads");
    // Had the first one still counted as under way, Azure's 249 would be taken for 248, less the list.
    assert_eq!(reads.unwrap().tokens, 248, "{left:?}");
}
