//! Many pools of a resource group look at their sets by one list; whatever that does not show well is read by itself.

use super::*;

/// Far fewer than half of what ARM gives.
const LEFT: (&str, u32) = ("x-ms-ratelimit-remaining-subscription-reads", 50);

fn named(name: &str) -> PoolRef {
    PoolRef {
        scale_set: name.into(),
        ..pool()
    }
}

fn body_of(name: &str, state: &str) -> Value {
    let mut body = set_body(1);
    body["name"] = json!(name);
    body["properties"]["provisioningState"] = json!(state);
    body
}

fn scarce(body: Value) -> Reply {
    reply(200, body).with(LEFT.0, LEFT.1)
}

/// After three pools that have asked for their own sets: so many that the next ones share.
async fn crowded(replies: Vec<Reply>) -> (Server, Hands, Azure) {
    crowded_with(LEFT.1, replies).await
}

/// The same with so many reads left.
async fn crowded_with(left: u32, replies: Vec<Reply>) -> (Server, Hands, Azure) {
    let mut all: Vec<Reply> = (0..3)
        .flat_map(|_| [scarce(set_body(1)), scarce(page(&[]))])
        .collect();
    all[5] = scarce(page(&[])).with(LEFT.0, left);
    let server = Server::start(all.into_iter().chain(replies).collect()).await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    for name in ["x", "y", "z"] {
        look(&azure, name).await;
    }
    assert_eq!(server.calls().len(), 6, "{:?}", server.calls());
    (server, hands, azure)
}

async fn look(azure: &Azure, name: &str) -> Look {
    azure.look(&named(name), None, Urgency::Rescue).await
}

/// The calls that came after those, each in a word.
fn calls(server: &Server) -> Vec<&'static str> {
    let word = |one: &Arrived| match one.path.rsplit('/').next().unwrap() {
        "virtualMachineScaleSets" => "sets",
        "virtualMachines" => "instances",
        _ => "set",
    };
    server.arrived().iter().skip(6).map(word).collect()
}

#[tokio::test]
async fn many_pools_share_one_list_of_sets_for_two_seconds() {
    let busy = ["b", "c", "d"].map(|name| body_of(name, "Updating"));
    let list = page(&[&[body_of("A", "Succeeded")], &busy[..]].concat());
    let (server, hands, azure) = crowded(vec![
        scarce(list.clone()),
        scarce(page(&[vm("a_1")])),
        scarce(list),
        scarce(page(&[])),
    ])
    .await;
    let at = hands.now()();
    let of_a = look(&azure, "a").await.observed;
    let shown = ScaleSet {
        capacity: 1,
        ..set(1)
    };
    let value = Some(shown);
    assert_eq!(of_a.set, Seen::Known { value, at });
    assert!(matches!(of_a.instances, Seen::Known { .. }));
    hands.forward(Millis(1_900));
    let of_b = look(&azure, "b").await.observed;
    assert_eq!(of_b.instances, Seen::Unknown(Blind::NotAsked), "at work");
    let Seen::Known { at: seen, .. } = of_b.set else {
        unreachable!("{of_b:?}");
    };
    assert_eq!(seen, at, "dated when it was asked for");
    assert_eq!(calls(&server), ["sets", "instances"]);
    for name in ["c", "d"] {
        look(&azure, name).await;
    }
    hands.forward(Millis(200));
    look(&azure, "a").await;
    assert_eq!(calls(&server), ["sets", "instances", "sets", "instances"]);
}

#[tokio::test]
async fn a_set_that_the_list_lacks_or_garbles_is_asked_for_by_itself() {
    let mut bare = body_of("a", "Succeeded");
    bare["etag"] = Value::Null;
    for items in [vec![], vec![bare]] {
        let (server, _, azure) = crowded(vec![
            scarce(page(&items)),
            scarce(body_of("a", "Succeeded")),
            scarce(page(&[])),
        ])
        .await;
        let set = look(&azure, "a").await.observed.set;
        assert!(matches!(set, Seen::Known { value: Some(_), .. }), "{set:?}");
        assert_eq!(calls(&server), ["sets", "set", "instances"]);
    }
}

#[tokio::test]
async fn who_may_not_list_sets_asks_for_each_and_tries_again_after_a_minute() {
    let no = json!({"error": {"code": "AuthorizationFailed", "message": "no"}});
    let own = || [scarce(body_of("a", "Succeeded")), scarce(page(&[]))];
    let replies = std::iter::once(reply(403, no)).chain(own()).chain(own());
    let (server, hands, azure) = crowded(replies.collect()).await;
    look(&azure, "a").await;
    hands.forward(Millis::seconds(1));
    look(&azure, "a").await;
    let expected = ["sets", "set", "instances", "set", "instances"];
    assert_eq!(calls(&server), expected);
}

#[tokio::test]
async fn a_list_whose_turn_is_near_is_waited_for_and_another_is_not() {
    let (server, hands, azure) = crowded_with(0, vec![]).await;
    let held = look(&azure, "a").await.observed.set;
    let Seen::Unknown(Blind::HeldBack { until }) = held else {
        unreachable!("{held:?}");
    };
    assert!(until <= hands.now()() + Millis(40), "of 25 a second");
    assert_eq!(calls(&server), Vec::<&str>::new());

    let limit = json!({
        "code": "OperationNotAllowed", "message": "too many requests",
        "details": [{"code": "TooManyRequests", "target": "HighCostGetVMScaleSetSubscriptionMaximum", "message": "{}"}],
    });
    let own = || [scarce(body_of("a", "Succeeded")), scarce(page(&[]))];
    let replies = std::iter::once(reply(429, limit).with("retry-after", 7));
    let (server, _, azure) = crowded(replies.chain(own()).chain(own()).collect()).await;
    look(&azure, "a").await;
    look(&azure, "a").await;
    let expected = ["sets", "set", "instances", "set", "instances"];
    assert_eq!(calls(&server), expected);
}

#[tokio::test]
async fn a_set_that_was_another_than_listed_is_asked_for_by_itself_next() {
    let changed = json!({"error": {"code": "ConditionNotMet", "message": "another ETag"}});
    let mut empty = body_of("render", "Succeeded");
    empty["sku"]["capacity"] = json!(0);
    let list = page(&[empty]);
    let (server, hands, azure) = crowded(vec![
        scarce(list),
        scarce(page(&[])),
        reply(412, changed),
        scarce(body_of("render", "Succeeded")),
        scarce(page(&[])),
        scarce(page(&[])),
    ])
    .await;
    let observed = look(&azure, "render").await.observed;
    let resize = act::action(&desired(1, "m1"), &observed);
    let receipt = azure.act(&pool(), &shape(), &resize, Urgency::Rescue).await;
    assert_eq!(receipt.answer, Answer::Changed);
    hands.forward(Millis(500));
    look(&azure, "render").await;
    look(&azure, "render").await;
    let expected = ["sets", "instances", "set", "set", "instances", "instances"];
    assert_eq!(calls(&server), expected);
}

#[tokio::test]
async fn how_an_operation_goes_is_not_asked_of_a_set_that_is_listed_at_work() {
    let list = page(&[body_of("a", "Updating")]);
    let (server, hands, azure) = crowded(vec![scarce(list)]).await;
    let operation = OperationRef {
        url: format!("{}subscriptions/sub/operations/1?s=x", server.url),
        not_before: hands.now()(),
    };
    let pool = named("a");
    let look = azure.look(&pool, Some(&operation), Urgency::Rescue).await;
    assert!(look.unfinished.is_some(), "it is asked later: {look:?}");
    assert_eq!(calls(&server), ["sets"]);
}
