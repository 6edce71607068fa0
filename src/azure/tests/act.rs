//! What an action sends, and what is made of Azure's answer.

use super::*;
use crate::azure::held::Held;
use spotpool_core::planner::RefusalKind;
use spotpool_core::units::{Etag, InstanceName};

pub(super) fn action(desired: &Desired, observed: &Observed) -> Action {
    // A planner that has just started would wait for a second reading of the capacity; here only the request matters.
    let mut memory = Memory::default();
    memory.process.believed = Some(spotpool_core::planner::Believed {
        capacity: 0,
        alive: 0,
        falling: 0,
    });
    planned(desired, observed, &memory, START)
        .action
        .map(|(action, _)| action)
        .unwrap()
}

fn seen(set: Option<ScaleSet>, names: &[&str]) -> Observed {
    let instances = super::super::instances::read_items(
        &names.iter().map(|name| vm(name)).collect::<Vec<_>>(),
        Some(SET_PATH),
    )
    .unwrap();
    Observed {
        set: Seen::Known {
            value: set,
            at: START,
        },
        instances: Seen::Known {
            value: instances,
            at: START,
        },
        outcome: None,
    }
}

pub(super) fn create() -> Action {
    action(&desired(3, "m1"), &seen(None, &[]))
}

pub(super) fn resize() -> Action {
    action(&desired(3, "m1"), &seen(Some(set(2)), &["a", "b"]))
}

pub(super) fn reshape() -> Action {
    action(&desired(2, "m2"), &seen(Some(set(2)), &["a", "b"]))
}

pub(super) fn remove() -> Action {
    action(
        &Desired {
            intent: Intent::Remove,
            ..desired(2, "m1")
        },
        &seen(Some(set(2)), &["a", "b"]),
    )
}

/// Broken instances are deleted by name, after two readings a settle time apart.
pub(super) fn replace() -> Action {
    let mut broken = vm("b");
    broken["properties"]["instanceView"]["statuses"][1]["code"] = json!("PowerState/deallocated");
    let instances =
        super::super::instances::read_items(&[vm("a"), broken], Some(SET_PATH)).unwrap();
    let mut memory = Memory::default();
    for minute in 0..20 {
        let at = START + Millis::minutes(minute);
        let observed = Observed {
            set: Seen::Known {
                value: Some(set(2)),
                at,
            },
            instances: Seen::Known {
                value: instances.clone(),
                at,
            },
            outcome: None,
        };
        let plan = planned(&desired(1, "m1"), &observed, &memory, at);
        if let Some((action @ Action::Replace { .. }, _)) = plan.action {
            return action;
        }
        memory = plan.memory;
    }
    panic!("the planner replaces nothing");
}

async fn act(action: &Action, replies: Vec<Reply>) -> (Receipt, Server) {
    let server = Server::start(replies).await;
    let receipt = azure(&server, &Hands::new())
        .act(&pool(), &shape(), action, Urgency::Change)
        .await;
    (receipt, server)
}

fn accepted(server_relative: &str) -> Reply {
    reply(201, set_body(3)).with("azure-asyncoperation", server_relative)
}

#[tokio::test]
async fn creates_only_what_does_not_exist_and_tags_it() {
    let (receipt, server) = act(
        &create(),
        vec![accepted("/subscriptions/sub/operations/op?s=secret").with("retry-after", 17)],
    )
    .await;
    assert_eq!(receipt.answer, Answer::Accepted);
    assert_eq!(receipt.request_id, "req-1");
    let operation = receipt.operation.unwrap();
    assert_eq!(
        operation.url,
        format!("{}subscriptions/sub/operations/op?s=secret", server.url)
    );
    assert_eq!(operation.not_before, START + Millis::seconds(17));
    let arrived = &server.arrived()[0];
    assert_eq!(
        (
            arrived.method.as_str(),
            arrived.path.as_str(),
            arrived.header("if-none-match"),
            arrived.header("if-match")
        ),
        ("PUT", SET_PATH, "*", "")
    );
    assert!(!arrived.body.contains("null"), "{}", arrived.body);
    let body = arrived.json();
    assert_eq!(
        body["tags"],
        json!({"spotpool_owner": OWNER, "spotpool_model": "m1", "spotpool_model_time": "2026-01-02T03:04:05Z", "spotpool_parts": "ht0j", "team": "vfx"})
    );
    assert_eq!(body["sku"]["capacity"], 3);
}

#[tokio::test]
async fn resizes_under_the_etag_it_was_decided_on() {
    let (receipt, server) = act(
        &resize(),
        vec![reply(200, set_body(3)).with("azure-asyncoperation", "/op")],
    )
    .await;
    assert_eq!(receipt.answer, Answer::Accepted);
    assert_eq!(
        receipt.operation.unwrap().not_before,
        START + Millis::seconds(5)
    );
    let arrived = &server.arrived()[0];
    assert_eq!(
        (
            arrived.method.as_str(),
            arrived.path.as_str(),
            arrived.header("if-match")
        ),
        ("PATCH", SET_PATH, "\"7\"")
    );
    assert_eq!(
        arrived.json(),
        json!({"sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 3}, "properties": {"priorityMixPolicy": {"baseRegularPriorityCount": 0, "regularPriorityPercentageAboveBase": 0}}})
    );
}

#[tokio::test]
async fn reshapes_without_losing_the_tags_of_others() {
    let (receipt, server) = act(
        &reshape(),
        vec![reply(200, set_body(2)), reply(200, set_body(2))],
    )
    .await;
    assert_eq!(receipt.answer, Answer::Accepted);
    assert_eq!(server.calls(), ["GET ", "PATCH "]);
    let patch = &server.arrived()[1];
    assert_eq!(patch.header("if-match"), "\"7\"");
    let body = patch.json();
    assert_eq!(
        body["tags"],
        json!({"cost-center": "42", "spotpool_owner": OWNER, "spotpool_model": "m2", "spotpool_model_time": "2026-01-02T03:04:05Z", "spotpool_parts": "ht0j", "team": "vfx"})
    );
    assert!(body.get("sku").is_none());
}

/// The scale set as our own create left it, with what others have done to it since, and the PATCH of a reshape of it.
async fn reshaped(action: Action, since: impl Fn(&mut Value)) -> Value {
    let (_, server) = act(&create(), vec![accepted("/op")]).await;
    let mut there = server.arrived()[0].json();
    there["etag"] = json!("\"7\"");
    there["tags"]["spotpool_model_time"] = json!("2025-01-02T03:04:05Z");
    since(&mut there);
    let (receipt, server) = act(&action, vec![reply(200, there), reply(200, set_body(2))]).await;
    assert_eq!(receipt.answer, Answer::Accepted, "{}", receipt.fact);
    server.arrived()[1].json()
}

#[tokio::test]
async fn instances_are_outdated_by_another_model_and_by_nothing_else() {
    let fewer = action(
        &Desired {
            regular: 1,
            spot: 1,
            ..desired(1, "m1")
        },
        &seen(Some(set(2)), &["a", "b"]),
    );
    let time = |body: &Value| body["tags"]["spotpool_model_time"].clone();
    // Another number of regular instances, or the same model by another fingerprint.
    for action in [fewer, reshape()] {
        let sent = reshaped(action.clone(), |there| {
            there["tags"]["policy"] = json!("others")
        })
        .await;
        assert_eq!(time(&sent), "2025-01-02T03:04:05Z", "{action:?}");
        assert_eq!(
            sent["properties"].get("virtualMachineProfile"),
            None,
            "{action:?}"
        );
        assert_eq!(sent["tags"]["policy"], "others");
    }
    let sent = reshaped(reshape(), |there| {
        there["properties"]["virtualMachineProfile"]["storageProfile"]["imageReference"]["id"] =
            json!("/images/0");
    });
    assert_eq!(time(&sent.await), "2026-01-02T03:04:05Z");
    let sent = reshaped(reshape(), |there| there["tags"]["team"] = json!("film"));
    assert_eq!(time(&sent.await), "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn a_tag_that_the_template_had_is_taken_away_and_one_of_others_is_not() {
    let mut template = shape().template;
    template.tags.insert("old".into(), "1".into());
    let before = Held::declared(&json!({}), &template.tags);
    let sent = reshaped(reshape(), |there| {
        there["tags"]["old"] = json!("1");
        there["tags"]["others"] = json!("2");
        there["tags"]["spotpool_parts"] = json!(before.text());
    });
    let sent = sent.await;
    assert_eq!(
        (sent["tags"].get("old"), &sent["tags"]["others"]),
        (None, &json!("2"))
    );
    assert_eq!(sent["tags"]["team"], "vfx");
}

#[tokio::test]
async fn what_azure_cannot_change_is_refused_without_a_write() {
    let mut there = set_body(2);
    there["properties"]["virtualMachineProfile"] =
        json!({"osProfile": {"adminUsername": "somebody"}});
    let (receipt, server) = act(&reshape(), vec![reply(200, there)]).await;
    assert_eq!(server.calls(), ["GET "]);
    assert!(
        matches!(&receipt.answer, Answer::Refused(refusal) if refusal.kind == RefusalKind::TemplateRejected
            && refusal.message.starts_with("Azure cannot change osProfile.adminUsername of a scale set that exists")),
        "{receipt:?}"
    );
}

#[tokio::test]
async fn a_set_that_changed_before_a_reshape_is_not_patched() {
    let mut newer = set_body(2);
    newer["etag"] = json!("\"8\"");
    let (receipt, server) = act(&reshape(), vec![reply(200, newer)]).await;
    assert_eq!(receipt.answer, Answer::Changed);
    assert_eq!(server.calls(), ["GET "]);
}

#[tokio::test]
async fn deletes_instances_by_name_through_the_set() {
    let action = replace();
    assert!(
        matches!(&action, Action::Replace { instances, .. } if *instances == [InstanceName::from("b")])
    );
    let (receipt, server) = act(
        &action,
        vec![
            reply(202, "")
                .with("azure-asyncoperation", "/op")
                .with("location", "/op?monitor=true"),
        ],
    )
    .await;
    assert_eq!(receipt.answer, Answer::Accepted);
    assert!(receipt.operation.unwrap().url.ends_with("/op"));
    let arrived = &server.arrived()[0];
    assert_eq!(
        (arrived.method.as_str(), arrived.path.as_str()),
        ("POST", format!("{SET_PATH}/delete").as_str())
    );
    assert_eq!(arrived.json(), json!({"instanceIds": ["b"]}));
}

#[tokio::test]
async fn removes_the_set_and_follows_a_location_too() {
    let (receipt, server) = act(
        &remove(),
        vec![reply(202, "").with("location", "/op?monitor=true")],
    )
    .await;
    assert_eq!(receipt.answer, Answer::Accepted);
    assert!(receipt.operation.unwrap().url.ends_with("/op?monitor=true"));
    assert_eq!(server.calls(), ["DELETE "]);
    let (receipt, _server) = act(&remove(), vec![reply(204, "")]).await;
    assert_eq!(
        (receipt.answer, receipt.operation.is_none()),
        (Answer::Accepted, true)
    );
}

#[tokio::test]
async fn an_operation_at_another_host_is_not_followed() {
    let (receipt, _server) = act(
        &resize(),
        vec![
            reply(200, set_body(3))
                .with("azure-asyncoperation", "https://management.example.com/op"),
        ],
    )
    .await;
    assert_eq!(
        (receipt.answer, receipt.operation.is_none()),
        (Answer::Accepted, true)
    );
}

#[tokio::test]
async fn a_no_comes_back_as_data_and_is_not_asked_twice() {
    let error = |status: u16, code: &str, message: &str| {
        reply(status, json!({"error": {"code": code, "message": message}}))
    };
    let kind = |kind| move |answer: &Answer| matches!(answer, Answer::Refused(refusal) if refusal.kind == kind && refusal.request_id == "req-1");
    let is = |expected: Answer| move |answer: &Answer| *answer == expected;
    type Check = Box<dyn Fn(&Answer) -> bool>;
    let table: Vec<(Action, Reply, Check)> = vec![
        (
            create(),
            error(409, "SkuNotAvailable", "no capacity"),
            Box::new(kind(RefusalKind::NoCapacity)),
        ),
        (
            create(),
            error(404, "ResourceGroupNotFound", "no such group"),
            Box::new(kind(RefusalKind::PlaceMissing)),
        ),
        (
            create(),
            error(412, "PreconditionFailed", "exists"),
            Box::new(is(Answer::Changed)),
        ),
        (
            create(),
            error(403, "RequestDisallowedByPolicy", "not here"),
            Box::new(kind(RefusalKind::Forbidden)),
        ),
        (
            resize(),
            error(412, "PreconditionFailed", "Etag"),
            Box::new(is(Answer::Changed)),
        ),
        (
            resize(),
            error(
                409,
                "OperationNotAllowed",
                "… since it is marked for deletion.",
            ),
            Box::new(is(Answer::Changed)),
        ),
        (
            resize(),
            error(
                403,
                "OperationNotAllowed",
                "exceeding approved LowPriorityCores quota. Current Limit: 0, Current Usage: 0",
            ),
            Box::new(kind(RefusalKind::QuotaIsZero)),
        ),
        (
            resize(),
            error(404, "ResourceNotFound", "gone"),
            Box::new(is(Answer::Missing)),
        ),
        (
            resize(),
            error(429, "TooManyRequests", "slower").with("retry-after", 9),
            Box::new(is(Answer::Later(START + Millis::seconds(9)))),
        ),
        (
            resize(),
            error(500, "InternalServerError", "?"),
            Box::new(is(Answer::Unclear)),
        ),
        (
            resize(),
            reply(502, "<html>Bad Gateway</html>"),
            Box::new(is(Answer::Unclear)),
        ),
        (
            remove(),
            error(404, "ResourceNotFound", "gone"),
            Box::new(is(Answer::Missing)),
        ),
        (
            remove(),
            error(409, "ScopeLocked", "locked"),
            Box::new(kind(RefusalKind::Forbidden)),
        ),
        (
            reshape(),
            error(403, "AuthorizationFailed", "no"),
            Box::new(kind(RefusalKind::Forbidden)),
        ),
    ];
    for (action, answer, check) in table {
        let (receipt, server) = act(&action, vec![answer.clone()]).await;
        assert!(
            check(&receipt.answer),
            "{action:?} {answer:?}: {:?}",
            receipt.answer
        );
        assert_eq!(server.arrived().len(), 1, "{action:?} {answer:?}");
        assert!(receipt.fact.len() > 3 && !receipt.fact.contains('\n'));
    }
}

#[tokio::test]
async fn counts_what_it_calls() {
    let server = Server::start(vec![
        reply(200, set_body(2)),
        reply(202, ""),
        reply(429, ""),
        reply(202, ""),
    ])
    .await;
    let azure = azure(&server, &Hands::new());
    for action in [resize(), replace(), create(), remove()] {
        azure.act(&pool(), &shape(), &action, Urgency::Change).await;
    }
    assert_eq!(
        azure.calls(),
        Calls {
            reads: 0,
            writes: 3,
            deletes: 1,
            throttled: 1,
            held_back: 0,
        }
    );
}

#[test]
fn an_operation_shows_its_path_and_not_its_signature() {
    let operation = OperationRef {
        url: "https://management.azure.com/op?t=1&s=SIGNATURE".into(),
        not_before: START,
    };
    assert!(!format!("{operation:?}").contains("SIGNATURE"));
    assert_eq!(Etag::from("\"7\"").as_str(), "\"7\"");
}
