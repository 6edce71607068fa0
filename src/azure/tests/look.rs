//! What a look shows, and above all what it refuses to have seen.

use super::*;
use spotpool_core::planner::{Outcome, Phase, RefusalKind};
use spotpool_core::units::Priority;

async fn look_at(replies: Vec<Reply>) -> (Look, Server) {
    let server = Server::start(replies).await;
    let look = azure(&server, &Hands::new())
        .look(&pool(), None, Urgency::Looking)
        .await;
    (look, server)
}

#[tokio::test]
async fn reads_the_set_first_and_its_instances_second() {
    let (look, server) = look_at(vec![
        reply(200, set_body(2)),
        reply(200, page(&[vm("render_1"), vm("render_2")])),
    ])
    .await;
    assert_eq!(
        look.observed.set,
        Seen::Known {
            value: Some(set(2)),
            at: START
        }
    );
    let Seen::Known { value, at } = look.observed.instances else {
        panic!()
    };
    assert_eq!(
        value
            .iter()
            .map(|one| (one.name.as_str(), one.priority, one.phase))
            .collect::<Vec<_>>(),
        [
            ("render_1", Priority::Spot, Phase::Running),
            ("render_2", Priority::Spot, Phase::Running)
        ]
    );
    assert_eq!(at, START);
    let arrived = server.arrived();
    assert_eq!(
        (
            arrived[0].method.as_str(),
            arrived[0].path.as_str(),
            arrived[0].query.as_str()
        ),
        ("GET", SET_PATH, "api-version=2024-07-01")
    );
    assert_eq!(
        arrived[1].path,
        "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines"
    );
    let query: BTreeMap<String, String> = Url::parse(&format!("http://x/?{}", arrived[1].query))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    assert_eq!(
        query["$filter"],
        format!("'virtualMachineScaleSet/id' eq '{SET_PATH}'")
    );
    assert_eq!(query["$expand"], "instanceView");
    assert_eq!(query["api-version"], "2024-07-01");
}

#[tokio::test]
async fn says_who_it_is_and_what_it_accepts_on_every_call() {
    let (_, server) = look_at(vec![reply(200, set_body(0)), reply(200, page(&[]))]).await;
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 2);
    for one in &arrived {
        assert_eq!(one.header("accept"), "application/json");
        assert_eq!(one.header("authorization"), "Bearer spotpool-on-loopback");
        assert!(
            one.header("user-agent").starts_with("spotpool/"),
            "{}",
            one.header("user-agent")
        );
        assert_eq!(one.header("x-ms-client-request-id").len(), 36);
    }
    assert_ne!(
        arrived[0].header("x-ms-client-request-id"),
        arrived[1].header("x-ms-client-request-id")
    );
}

#[tokio::test]
async fn a_set_that_azure_says_is_not_there_is_absent_and_not_listed() {
    for code in [
        "ResourceNotFound",
        "ResourceGroupNotFound",
        "SubscriptionNotFound",
    ] {
        let (look, server) = look_at(vec![reply(
            404,
            json!({"error": {"code": code, "message": "not found"}}),
        )])
        .await;
        assert_eq!(
            look.observed.set,
            Seen::Known {
                value: None,
                at: START
            },
            "{code}"
        );
        assert_eq!(look.observed.instances, Seen::Unknown(Blind::NotAsked));
        assert_eq!(server.arrived().len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_azures_answer_is_unknown_and_never_absent() {
    let page_of_a_gateway =
        || reply(404, "<html><h1>404 Not Found</h1></html>").with("content-type", "text/html");
    for odd in [
        page_of_a_gateway(),
        reply(404, ""),
        reply(503, "<html>Service Unavailable</html>"),
        reply(200, ""),
        reply(200, "{}"),
        reply(200, "<html>"),
        reply(200, r#"{"sku":{"capa"#),
        reply(302, "").with("location", "http://elsewhere.example/"),
    ] {
        let (look, server) = look_at(vec![odd.clone()]).await;
        assert!(
            matches!(&look.observed.set, Seen::Unknown(Blind::Unreachable { fact }) if !fact.is_empty()),
            "{odd:?}: {:?}",
            look.observed.set
        );
        assert_eq!(
            look.observed.instances,
            Seen::Unknown(Blind::NotAsked),
            "{odd:?}"
        );
        assert_eq!(
            server.arrived().len(),
            1,
            "nothing is retried and no redirect followed"
        );
    }
}

#[tokio::test]
async fn follows_pages_to_their_end() {
    let server = Server::start(vec![]).await;
    let next = |n: u32| {
        format!(
            "{}subscriptions/sub/next?page={n}&$skiptoken=a%2Fb%3D&api-version=2024-07-01",
            server.url
        )
    };
    server.then(reply(200, set_body(3)));
    server.then(reply(200, json!({"value": [vm("a")], "nextLink": next(2)})));
    server.then(reply(200, json!({"value": [], "nextLink": next(3)})));
    server.then(reply(
        200,
        json!({"value": [vm("b"), vm("c")], "nextLink": ""}),
    ));
    let look = azure(&server, &Hands::new())
        .look(&pool(), None, Urgency::Looking)
        .await;
    let Seen::Known { value, .. } = look.observed.instances else {
        panic!("{:?}", look.observed.instances)
    };
    assert_eq!(value.len(), 3);
    let arrived = server.arrived();
    assert_eq!(
        arrived[2].query,
        "page=2&$skiptoken=a%2Fb%3D&api-version=2024-07-01"
    );
    assert_eq!(arrived.len(), 4);
}

#[tokio::test]
async fn a_list_with_a_gap_is_unknown_as_a_whole() {
    let server_url = Server::start(vec![]).await.url;
    let first = |link: Value| reply(200, json!({"value": [vm("a")], "nextLink": link}));
    let home = json!(format!("{server_url}next?api-version=2024-07-01"));
    let mut without_name = vm("b");
    without_name["name"] = Value::Null;
    let table = vec![
        vec![reply(500, ""), reply(200, "never reached")],
        vec![reply(200, r#"{"value":[{"name":"a","#)],
        vec![reply(200, json!({"values": []}))],
        vec![reply(200, json!({"value": {}}))],
        vec![reply(200, json!({"value": [], "nextLink": 7}))],
        vec![first(json!("http://")), reply(200, page(&[]))],
        vec![first(home), reply(503, "<html>")],
        vec![reply(200, page(&[vm("a"), without_name]))],
        vec![reply(204, "")],
    ];
    for replies in table {
        let (look, _server) = look_at(
            std::iter::once(reply(200, set_body(2)))
                .chain(replies.clone())
                .collect(),
        )
        .await;
        assert!(matches!(
            look.observed.set,
            Seen::Known { value: Some(_), .. }
        ));
        assert!(
            matches!(
                look.observed.instances,
                Seen::Unknown(Blind::Unreachable { .. })
            ),
            "{replies:?}: {:?}",
            look.observed.instances
        );
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let server = Server::start(vec![reply(200, set_body(1))]).await;
    for _ in 0..200 {
        server.then(reply(
            200,
            json!({"value": [], "nextLink": format!("{}again?api-version=2024-07-01", server.url)}),
        ));
    }
    let look = azure(&server, &Hands::new())
        .look(&pool(), None, Urgency::Looking)
        .await;
    assert!(matches!(
        look.observed.instances,
        Seen::Unknown(Blind::Unreachable { .. })
    ));
    assert!(server.arrived().len() < 110);
}

#[tokio::test]
async fn the_token_never_goes_to_another_host() {
    let elsewhere = Server::start(vec![reply(200, page(&[]))]).await;
    for link in [
        elsewhere.url.join("steal?x=1").unwrap().to_string(),
        elsewhere.url.as_str().replace("http://", "//"),
    ] {
        let (look, server) = look_at(vec![
            reply(200, set_body(1)),
            reply(200, json!({"value": [vm("a")], "nextLink": link})),
        ])
        .await;
        assert!(
            matches!(&look.observed.instances, Seen::Unknown(Blind::Unreachable { fact }) if fact.starts_with("not sent")),
            "{:?}",
            look.observed.instances
        );
        assert_eq!(server.arrived().len(), 2);
        assert!(elsewhere.arrived().is_empty());
    }
}

#[tokio::test]
async fn throttled_reads_say_until_when_in_both_shapes() {
    for body in [
        json!({"error": {"code": "SubscriptionRequestsThrottled", "message": "wait"}}),
        json!({"code": "OperationNotAllowed", "message": "wait", "details": [{"code": "TooManyRequests"}]}),
    ] {
        let server = Server::start(vec![
            reply(429, &body).with("retry-after", 11),
            reply(200, set_body(1)),
            reply(429, body),
        ])
        .await;
        let hands = Hands::new();
        let azure = azure(&server, &hands);
        let until = |seconds| Blind::Throttled {
            until: START + Millis::seconds(seconds),
        };
        assert_eq!(
            azure
                .look(&pool(), None, Urgency::Looking)
                .await
                .observed
                .set,
            Seen::Unknown(until(11))
        );
        // As long as Azure says, and until there is something for less urgent calls too.
        hands.forward(Millis::seconds(61));
        assert_eq!(
            azure
                .look(&pool(), None, Urgency::Looking)
                .await
                .observed
                .instances,
            Seen::Unknown(until(91))
        );
        assert_eq!(
            azure.calls(),
            Calls {
                reads: 3,
                writes: 0,
                deletes: 0,
                throttled: 2,
                held_back: 0,
            }
        );
    }
}

#[tokio::test]
async fn bad_credentials_and_missing_roles_are_told_apart() {
    let (look, _server) = look_at(vec![reply(401, json!({"error": {"code": "InvalidAuthenticationToken", "message": "The access token is invalid."}}))]).await;
    assert!(matches!(
        look.observed.set,
        Seen::Unknown(Blind::CredentialsInvalid { .. })
    ));
    let (look, _server) = look_at(vec![reply(403, json!({"error": {"code": "AuthorizationFailed", "message": "The client 'c' does not have authorization to perform action 'read'"}}))]).await;
    assert!(
        matches!(&look.observed.set, Seen::Unknown(Blind::Forbidden { fact }) if fact.contains("does not have authorization"))
    );
}

fn operation(server: &Server) -> OperationRef {
    OperationRef {
        url: format!(
            "{}subscriptions/sub/operations/op?p=1&t=2&s=secret",
            server.url
        ),
        not_before: START,
    }
}

async fn poll(answer: Reply) -> (Look, Server) {
    let server = Server::start(vec![
        answer,
        reply(200, set_body(1)),
        reply(200, page(&[vm("a")])),
    ])
    .await;
    let look = azure(&server, &Hands::new())
        .look(&pool(), Some(&operation(&server)), Urgency::Looking)
        .await;
    assert!(
        matches!(look.observed.instances, Seen::Known { .. }),
        "whatever the operation does, set and instances are looked at"
    );
    (look, server)
}

#[tokio::test]
async fn a_running_operation_is_kept_and_asked_no_faster_than_azure_says() {
    for (answer, seconds) in [
        (reply(200, json!({"status": "InProgress", "name": "op"})), 5),
        (
            reply(200, json!({"status": "InProgress"})).with("retry-after", 2),
            5,
        ),
        (
            reply(200, json!({"status": "Transmogrifying"})).with("retry-after", 40),
            40,
        ),
        (reply(202, ""), 5),
        (reply(429, "").with("retry-after", 20), 20),
        (reply(500, "<html>"), 5),
        (reply(404, "<html>"), 5),
        (reply(200, "<html>"), 5),
        (reply(200, "{\"status\":\"Succ"), 5),
    ] {
        let (look, server) = poll(answer.clone()).await;
        assert_eq!(
            look.unfinished.unwrap().not_before,
            START + Millis::seconds(seconds),
            "{answer:?}"
        );
        let pending = Some(Outcome::Pending);
        assert_eq!(look.observed.outcome, pending, "{answer:?}");
        assert_eq!(
            server.arrived()[0].query,
            "p=1&t=2&s=secret",
            "polled verbatim"
        );
    }
}

#[tokio::test]
async fn an_operation_that_ended_says_how() {
    for answer in [
        reply(
            200,
            json!({"status": "Succeeded", "endTime": "2026-01-01T00:00:00Z"}),
        ),
        reply(200, ""),
        reply(204, ""),
        reply(200, set_body(1)),
    ] {
        let (look, _server) = poll(answer.clone()).await;
        assert_eq!(
            look.observed.outcome,
            Some(Outcome::Succeeded),
            "{answer:?}"
        );
        assert!(look.unfinished.is_none());
    }
    let failed = json!({"status": "Failed", "name": "op-1", "error": {"code": "AllocationFailed", "message": "Allocation failed. We do not have sufficient capacity."}});
    let (look, _server) = poll(reply(200, failed)).await;
    let Some(Outcome::Failed(refusal)) = look.outcome() else {
        panic!()
    };
    assert_eq!(
        (
            refusal.kind,
            refusal.code.as_str(),
            refusal.request_id.as_str()
        ),
        (RefusalKind::NoCapacity, "AllocationFailed", "op-1")
    );
    let (look, _server) = poll(reply(200, json!({"status": "Canceled"}))).await;
    assert!(
        matches!(look.outcome(), Some(Outcome::Failed(refusal)) if refusal.kind == RefusalKind::Unexplained && refusal.code == "Canceled")
    );
}

#[tokio::test]
async fn an_operation_that_azure_no_longer_knows_is_forgotten_without_a_verdict() {
    for answer in [
        reply(
            404,
            json!({"error": {"code": "NotFound", "message": "The entity was not found in this Azure location."}}),
        ),
        reply(
            403,
            json!({"error": {"code": "AuthorizationFailed", "message": "no"}}),
        ),
        reply(
            200,
            json!({"status": "Failed", "error": {"code": "OperationPreempted", "message": "by a newer one"}}),
        ),
    ] {
        let (look, _server) = poll(answer.clone()).await;
        assert_eq!(look.observed.outcome, None, "{answer:?}");
        assert!(look.unfinished.is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_operation_is_not_asked_before_its_time() {
    let server = Server::start(vec![reply(200, set_body(1)), reply(200, page(&[]))]).await;
    let early = OperationRef {
        not_before: START + Millis(1),
        ..operation(&server)
    };
    let look = azure(&server, &Hands::new())
        .look(&pool(), Some(&early), Urgency::Looking)
        .await;
    assert_eq!(look.unfinished.unwrap().not_before, START + Millis(1));
    assert_eq!(server.arrived().len(), 2);
}

#[tokio::test]
async fn a_failed_set_is_never_shown_before_its_operation_may_be_asked_why() {
    let mut failed = set_body(1);
    failed["properties"]["provisioningState"] = json!("Failed");
    let why = json!({"status": "Failed", "error": {"code": "AllocationFailed", "message": "Allocation failed."}});
    let server = Server::start(vec![
        reply(200, &failed),
        reply(200, page(&[])),
        reply(200, why),
        reply(200, &failed),
        reply(200, page(&[])),
    ])
    .await;
    let early = OperationRef {
        not_before: START + Millis(1),
        ..operation(&server)
    };
    let hands = Hands::new();
    let azure = azure(&server, &hands);
    let state = |look: &Look| match &look.observed.set {
        Seen::Known {
            value: Some(set), ..
        } => set.state,
        other => panic!("{other:?}"),
    };
    let look = azure.look(&pool(), Some(&early), Urgency::Looking).await;
    assert_eq!(state(&look), Provisioning::Busy, "it is not over");
    let unfinished = look.unfinished.unwrap();
    assert_eq!(server.arrived().len(), 2, "not asked before its time");

    hands.forward(Millis(1));
    let look = azure
        .look(&pool(), Some(&unfinished), Urgency::Looking)
        .await;
    assert_eq!(state(&look), Provisioning::Failed);
    assert!(
        matches!(look.outcome(), Some(Outcome::Failed(refusal)) if refusal.kind == RefusalKind::NoCapacity)
    );
    assert!(look.unfinished.is_none());
}

#[tokio::test]
async fn an_operation_at_another_host_is_never_asked() {
    let elsewhere = Server::start(vec![]).await;
    let server = Server::start(vec![reply(200, set_body(1)), reply(200, page(&[]))]).await;
    let look = azure(&server, &Hands::new())
        .look(&pool(), Some(&operation(&elsewhere)), Urgency::Looking)
        .await;
    assert!(look.unfinished.is_none());
    assert!(elsewhere.arrived().is_empty());
}
