//! The budget's rules one by one; `laws` has them all at once in random histories.

mod laws;

use super::*;
use http::{HeaderValue, Method};
use reqwest::Url;

const T0: Timestamp = Timestamp(1_767_323_045_000);

fn at(seconds: i64) -> Timestamp {
    T0 + Millis::seconds(seconds)
}

fn call(method: &str, subscription: &str, tail: &str) -> Call {
    let url = format!(
        "https://management.azure.com/subscriptions/{subscription}/resourceGroups/g/providers/Microsoft.Compute/{tail}"
    );
    Call::of(
        &Method::from_bytes(method.as_bytes()).unwrap(),
        &Url::parse(&url).unwrap(),
    )
}

/// Reads a pool's scale set.
fn get(subscription: &str, pool: &str) -> Call {
    call(
        "GET",
        subscription,
        &format!("virtualMachineScaleSets/{pool}"),
    )
}

/// Lists a pool's instances.
fn list(subscription: &str, pool: &str) -> Call {
    call(
        "GET",
        subscription,
        &format!("virtualMachines?$filter={pool}"),
    )
}

/// Changes a pool's scale set.
fn patch(subscription: &str, pool: &str) -> Call {
    call(
        "PATCH",
        subscription,
        &format!("virtualMachineScaleSets/{pool}"),
    )
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn refusal(status: u16, retry_after: &str, body: &str, now: Timestamp) -> (HeaderMap, ArmError) {
    let headers = headers(&[("retry-after", retry_after)]);
    let error = ArmError::of_answer(status, &headers, body.as_bytes(), now);
    (headers, error)
}

const ARM: &str = r#"{"error":{"code":"SubscriptionRequestsThrottled","message":"Number of 'read' requests for subscription 's' actor 'a' exceeded. Please try again after '30' seconds."}}"#;

fn compute(target: &str) -> String {
    format!(
        r#"{{"code":"OperationNotAllowed","message":"The server rejected the request because too many requests have been received for this subscription.","details":[{{"code":"TooManyRequests","target":"{target}","message":"{{}}"}}]}}"#
    )
}

impl Budget {
    fn goes(&mut self, call: Call, urgency: Urgency, now: Timestamp) {
        let permit = self.ask(call, urgency, now).expect("should go now");
        self.settle(permit, None, now);
    }

    /// Sends calls of this kind until no more go.
    fn drain(&mut self, urgency: Urgency, now: Timestamp, call: impl Fn(u32) -> Call) -> u32 {
        let sent = (0..).take_while(|n| match self.ask(call(*n), urgency, now) {
            Ok(permit) => {
                self.settle(permit, None, now);
                true
            }
            Err(_) => false,
        });
        u32::try_from(sent.count()).unwrap()
    }

    fn refused(&mut self, call: Call, status: u16, retry_after: &str, body: &str, now: Timestamp) {
        let permit = self.ask(call, Urgency::Rescue, now).expect("should go now");
        let (headers, error) = refusal(status, retry_after, body, now);
        let heard = Heard {
            headers: &headers,
            error: Some(&error),
        };
        self.settle(permit, Some(heard), now);
    }

    fn turn_of(&mut self, call: Call, urgency: Urgency, now: Timestamp) -> Timestamp {
        self.ask(call, urgency, now).map_or_else(|at| at, |_| now)
    }
}

#[test]
fn five_hundred_pools_come_back_one_by_one_in_the_order_they_came() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Looking, T0, |n| list("s", &format!("first-{n}")));
    let turns: Vec<Timestamp> = (0..500)
        .map(|n| budget.turn_of(list("s", &format!("p{n}")), Urgency::Looking, T0))
        .collect();
    assert!(turns.is_sorted_by(|one, two| one < two), "{turns:?}");
    assert!(
        turns[499] - turns[0] >= Millis(19_900),
        "25 a second of ARM"
    );
    for (n, turn) in turns.iter().enumerate() {
        let mut again = |now| budget.turn_of(list("s", &format!("p{n}")), Urgency::Looking, now);
        assert_eq!(again(T0 + Millis(1)), *turn, "asking again changes nothing");
        assert_eq!(again(*turn), *turn, "and then it goes");
    }
}

#[test]
fn a_booking_is_kept_for_who_is_late_and_given_up_after_a_minute() {
    let mut budget = Budget::default();
    let page = |n: u32| patch("s", &format!("p{}", n / 12));
    assert_eq!(budget.drain(Urgency::Rescue, T0, page), 200, "ARM's writes");
    let first = budget.turn_of(patch("s", "a"), Urgency::Change, T0);
    let other = |n: u32| patch("s", &format!("q{n}"));
    // The writes that fill up meanwhile are for others, but for one.
    let soon = first + Millis::seconds(2);
    let free = budget.drain(Urgency::Change, soon, other);
    assert_eq!(free, 20, "of 10 a second, one is kept for who is late");
    budget.goes(patch("s", "a"), Urgency::Change, soon);

    let second = budget.turn_of(patch("s", "b"), Urgency::Change, soon);
    let late = second + Millis::minutes(2);
    budget.drain(Urgency::Change, late, |n| other(n + 1_000));
    assert!(budget.ask(patch("s", "b"), Urgency::Change, late).is_err());
}

#[test]
fn the_last_part_of_a_shared_limit_is_for_the_more_urgent() {
    let order = [
        Urgency::Looking,
        Urgency::Tidying,
        Urgency::Change,
        Urgency::Rescue,
    ];
    let mut budget = Budget::default();
    let mut sent = Vec::new();
    for urgency in order {
        sent.push(budget.drain(urgency, T0, |n| list("s", &format!("{urgency:?}-{n}"))));
    }
    assert_eq!(
        sent,
        [187, 54, 4, 5],
        "of the 250 reads that ARM takes at once"
    );
}

#[test]
fn a_rescue_goes_before_everybody_who_waits_to_look() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Looking, T0, |n| list("s", &format!("p{n}")));
    for n in 0..500 {
        budget.turn_of(list("s", &format!("q{n}")), Urgency::Looking, T0);
    }
    assert_eq!(
        budget.drain(Urgency::Rescue, T0, |n| list("s", &format!("r{n}"))),
        63
    );
    let turn = budget.turn_of(list("s", "r63"), Urgency::Rescue, T0);
    assert_eq!(turn, T0 + Millis(40), "the very next token");
    let looks = budget.turn_of(list("s", "q0"), Urgency::Looking, T0);
    assert!(looks > T0 + Millis(500), "{looks:?}");
    // Who waits to look and finds that there is something to rescue moves up, behind those who knew before.
    let moved = budget.turn_of(list("s", "q499"), Urgency::Rescue, T0);
    assert_eq!(moved, T0 + Millis(80));
}

#[test]
fn a_list_that_was_begun_is_finished() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Looking, T0, |n| list("s", &format!("p{n}")));
    budget.goes(list("s", "p&$skiptoken=2"), Urgency::Looking, T0);
}

#[test]
fn a_list_that_serves_all_who_wait_goes_before_them_but_whole() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Rescue, T0, |n| list("s", &format!("p{n}")));
    budget.turn_of(list("s", "waits"), Urgency::Rescue, T0);
    let page = call("GET", "s", "virtualMachineScaleSets");
    let soon = T0 + Millis(120);
    assert_eq!(
        budget.fits(&page, 3, Urgency::Rescue, T0),
        Err(soon),
        "three of 25 a second"
    );
    assert_eq!(budget.fits(&page, 3, Urgency::Rescue, soon), Ok(()));
    let looking = budget.fits(&page, 3, Urgency::Looking, soon);
    assert!(looking > Err(at(2)), "leaves a quarter: {looking:?}");
}

#[test]
fn a_look_waits_for_all_of_its_calls_and_then_has_them() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Rescue, T0, |n| list("s", &format!("p{n}")));
    let look = |pool: &str| [get("s", pool), list("s", pool)];
    let (a, b) = (look("a"), look("b"));
    let first = budget.turn(&a, Urgency::Looking, T0).unwrap_err();
    let second = budget.turn(&b, Urgency::Looking, T0).unwrap_err();
    let apart = second - first;
    assert_eq!(apart, Millis(80), "two reads, of 25 a second");
    // Nobody else gets what is kept for it, between its first call and its last.
    budget.turn(&a, Urgency::Looking, first).unwrap();
    budget.drain(Urgency::Looking, first, |n| list("s", &format!("q{n}")));
    for call in a {
        let permit = budget.ask(call, Claim::Granted, first).unwrap();
        budget.settle(permit, None, first);
    }
    assert!(budget.turn(&b, Urgency::Looking, first).is_err());
    budget.turn(&b, Urgency::Looking, second).unwrap();
}

#[test]
fn who_has_left_keeps_nothing_from_others() {
    let mut budget = Budget::default();
    budget.drain(Urgency::Rescue, T0, |n| list("s", &format!("p{n}")));
    let mut waits = |pool: &str| {
        let look = [get("s", pool), list("s", pool)];
        let turn = budget.turn(&look, Urgency::Looking, T0).unwrap_err();
        budget.leave(&look[1]);
        turn
    };
    assert_eq!(waits("a"), waits("b"));
}

#[test]
fn a_429_of_a_subscription_holds_all_of_it_and_no_other() {
    let mut budget = Budget::default();
    budget.refused(get("s", "a"), 429, "30", ARM, T0);
    let soon = at(29);
    for urgency in [Urgency::Rescue, Urgency::Looking] {
        assert!(budget.ask(get("s", "b"), urgency, soon).is_err());
        assert!(
            budget.ask(list("S", "b"), urgency, soon).is_err(),
            "however it is spelt"
        );
    }
    budget.goes(patch("s", "a"), Urgency::Change, soon);
    budget.goes(get("other", "a"), Urgency::Looking, soon);
    let turn = budget.turn_of(get("s", "c"), Urgency::Rescue, soon);
    assert!(turn >= at(30), "{turn:?}");
}

#[test]
fn a_429_of_a_resource_holds_only_that() {
    let mut budget = Budget::default();
    budget.refused(
        patch("s", "a"),
        429,
        "30",
        &compute("UpdateVMScaleSetResource"),
        T0,
    );
    assert_eq!(
        budget.turn_of(patch("s", "a"), Urgency::Rescue, at(1)),
        at(30)
    );
    budget.goes(patch("s", "b"), Urgency::Change, at(1));
    budget.goes(get("s", "a"), Urgency::Looking, at(1));
}

#[test]
fn a_429_that_names_no_limit_we_know_holds_its_policy_in_the_whole_subscription() {
    for body in [
        compute("HighCostGet30Min"),
        compute(""),
        "<html>".to_owned(),
    ] {
        let mut budget = Budget::default();
        budget.refused(list("s", "a"), 429, "", &body, T0);
        assert!(budget.ask(list("s", "b"), Urgency::Rescue, at(29)).is_err());
        budget.goes(get("s", "b"), Urgency::Looking, at(29));
        budget.goes(list("s", "b"), Urgency::Rescue, at(30));
    }
}

#[test]
fn an_error_that_asks_for_patience_gets_it_for_its_resource() {
    let mut budget = Budget::default();
    budget.refused(list("s", "a"), 503, "20", "busy", T0);
    assert!(budget.ask(list("s", "a"), Urgency::Rescue, at(19)).is_err());
    budget.goes(list("s", "b"), Urgency::Looking, at(19));
    budget.goes(list("s", "a"), Urgency::Looking, at(20));
}

#[test]
fn what_azure_has_left_counts_and_so_does_what_a_call_is_charged() {
    let mut budget = Budget::default();
    let left = |budget: &Budget, name: &str| {
        let all = budget.remaining(T0);
        all.iter().find(|one| one.bucket == name).unwrap().tokens
    };
    let permit = budget
        .ask(
            call("POST", "s", "virtualMachineScaleSets/a/delete"),
            Urgency::Change,
            T0,
        )
        .unwrap();
    // [REC cap 4], without what is left of the machines' own limit.
    let headers = headers(&[
        (
            "x-ms-ratelimit-remaining-resource",
            "Microsoft.Compute/DeleteVMScaleSetSubscriptionMaximum;400,Microsoft.Compute/VmssQueuedVMOperations;0",
        ),
        ("x-ms-ratelimit-remaining-subscription-writes", "150"),
        ("x-ms-request-charge", "7"),
    ]);
    let heard = Heard {
        headers: &headers,
        error: None,
    };
    budget.settle(permit, Some(heard), T0);
    assert_eq!(left(&budget, "DeleteVMScaleSetSubscriptionMaximum"), 400);
    assert_eq!(left(&budget, "subscription-writes"), 150);
    assert_eq!(
        left(&budget, "VMScaleSetBatchedVMRequestsSubscriptionMaximum"),
        5_993
    );
    assert_eq!(left(&budget, "DeleteVMScaleSetResource"), 11);
}

#[test]
fn forgets_the_limits_of_what_nobody_calls_any_more() {
    let mut budget = Budget::default();
    for n in 0..5_000 {
        budget.goes(get("s", &format!("p{n}")), Urgency::Rescue, at(n * 60));
    }
    assert!(budget.0["s"].buckets.len() <= MANY_BUCKETS + 8);
}
