//! Many pools of a resource group look at their sets by one list; whatever that does not show well is read by itself.

use super::*;

/// Far fewer than ARM gives.
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
    let replies = std::iter::once(reply(403, no.clone()))
        .chain(own())
        .chain(own());
    let (server, hands, azure) = crowded(replies.collect()).await;
    look(&azure, "a").await;
    hands.forward(Millis::seconds(1));
    look(&azure, "a").await;
    let mut expected = vec!["sets", "set", "instances", "set", "instances"];
    assert_eq!(calls(&server), expected);
    hands.forward(Millis::minutes(1));
    for name in ["b", "c", "d"] {
        own().into_iter().for_each(|reply| server.then(reply));
        look(&azure, name).await;
        expected.extend(["set", "instances"]);
    }
    server.then(reply(403, no));
    own().into_iter().for_each(|reply| server.then(reply));
    look(&azure, "e").await;
    expected.extend(["sets", "set", "instances"]);
    assert_eq!(calls(&server), expected);
}

/// Waits until so many of those calls have come.
async fn arrived(server: &Server, count: usize) {
    while calls(server).len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn pools_that_wait_for_one_list_take_it_however_long_it_took() {
    let list = page(&["a", "b", "c"].map(|name| body_of(name, "Succeeded")));
    let slow = scarce(list).after(Duration::from_millis(200));
    let instances = || scarce(page(&[]));
    let (server, hands, azure) = crowded(vec![slow, instances(), instances(), instances()]).await;
    let later = async {
        arrived(&server, 1).await;
        hands.forward(Millis::seconds(3));
    };
    let looks = ["a", "b", "c"].map(|name| look(&azure, name));
    let (looks, ()) = tokio::join!(futures::future::join_all(looks), later);
    for look in looks {
        assert!(matches!(
            look.observed.set,
            Seen::Known { value: Some(_), .. }
        ));
    }
    let expected = ["sets", "instances", "instances", "instances"];
    assert_eq!(calls(&server), expected);
}

#[tokio::test]
async fn pools_that_wait_for_a_list_that_fails_ask_for_their_own() {
    let no = json!({"error": {"code": "AuthorizationFailed", "message": "no"}});
    let slow = reply(403, no).after(Duration::from_millis(100));
    let bodies = (0..4).map(|_| scarce(set_body(1)));
    let (server, _, azure) = crowded(std::iter::once(slow).chain(bodies).collect()).await;
    futures::future::join_all(["a", "b"].map(|name| look(&azure, name))).await;
    let mut asked = calls(&server);
    asked.sort_unstable();
    assert_eq!(asked, ["instances", "instances", "set", "set", "sets"]);
}

#[tokio::test]
async fn a_list_that_never_comes_holds_nobody_else_up() {
    let hangs = Reply {
        hangs: true,
        ..scarce(page(&[]))
    };
    let own = [hangs, scarce(set_body(1)), scarce(page(&[]))];
    let (server, _, azure) = crowded(own.to_vec()).await;
    let waits = look(&azure, "a");
    let other = async {
        arrived(&server, 1).await;
        look(&azure, "b").await
    };
    tokio::select! {
        biased;
        _ = waits => unreachable!("it hangs"),
        look = other => assert!(matches!(look.observed.set, Seen::Known { .. })),
    }
    assert_eq!(calls(&server), ["sets", "set", "instances"]);
}

#[tokio::test]
async fn a_set_that_stays_at_work_is_looked_at_whole_once_a_minute() {
    let mut looked = 0;
    let busy = || scarce(body_of("render", "Updating"));
    let server = Server::start(vec![]).await;
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    for _ in 0..24 {
        let before = server.calls().len();
        server.script.replies.lock().unwrap().clear();
        server.then(busy());
        server.then(scarce(page(&[])));
        look(&azure, "render").await;
        looked += usize::from(server.calls().len() - before == 2);
        hands.forward(Millis::seconds(10));
    }
    assert_eq!(
        looked, 3,
        "in four minutes, with a minute's wait before each"
    );
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
