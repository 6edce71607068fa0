//! A survey over the wire: one question for all sets of a place, page by page, and nothing where anything is missing.

use super::*;
use crate::cloud::{Scope, Survey};

fn page(ids: &[&str], total: usize, token: Option<&str>) -> Reply {
    let row = |id: &&str| json!({"id": id, "size": "Standard_D4s_v5", "capacity": 1, "state": "Succeeded", "base": null, "price": -1.0, "tags": {}, "instances": 1, "running": 1, "deallocated": 0});
    let rows: Vec<Value> = ids.iter().map(row).collect();
    let mut body = json!({"totalRecords": total, "count": rows.len(), "data": rows, "resultTruncated": "false"});
    if let Some(token) = token {
        body["$skipToken"] = json!(token);
    }
    reply(200, body)
}

async fn survey(replies: Vec<Reply>) -> (Survey, Server, Azure) {
    let server = Server::start(replies).await;
    let azure = azure(&server, &Hands::new());
    let scope = Scope::of(&pool());
    let survey = azure.survey(&scope).await;
    (survey, server, azure)
}

#[tokio::test]
async fn asks_for_one_subscription_and_location_and_follows_the_pages() {
    let pages = vec![page(&["/a"], 2, Some("more")), page(&["/b"], 2, None)];
    let (survey, server, azure) = survey(pages).await;
    let Survey::Known { at, lines } = survey else {
        panic!("{survey:?}")
    };
    assert_eq!(at, START);
    assert_eq!(lines.keys().collect::<Vec<_>>(), ["/a", "/b"]);
    let path = "POST /providers/Microsoft.ResourceGraph/resources";
    assert_eq!(server.calls(), [path, path]);
    let arrived = server.arrived();
    assert_eq!(arrived[0].query, "api-version=2022-10-01");
    assert_eq!(arrived[0].header("content-type"), "application/json");
    let (first, second) = (arrived[0].json(), arrived[1].json());
    assert_eq!(first["subscriptions"], json!(["sub"]));
    assert_eq!(first["query"], second["query"]);
    let query = first["query"].as_str().unwrap();
    assert_eq!(query.matches("location =~ 'eastus'").count(), 3, "{query}");
    assert_eq!(first["options"]["$skipToken"], Value::Null);
    assert_eq!(second["options"]["$skipToken"], "more");
    // They change nothing, whatever their method.
    assert_eq!((azure.calls().reads, azure.calls().writes), (2, 0));
}

#[tokio::test]
async fn one_page_that_fails_makes_all_of_it_unknown() {
    for bad in [reply(500, "{}"), reply(200, "{\"data\": [")] {
        let (survey, _, _) = survey(vec![page(&["/a"], 2, Some("more")), bad]).await;
        assert!(matches!(survey, Survey::Unknown(_)), "{survey:?}");
    }
}

#[tokio::test]
async fn the_quota_that_azure_tells_is_heeded_before_it_is_used_up() {
    let spent = page(&["/a"], 1, None).with("x-ms-user-quota-remaining", 0);
    let (_, server, azure) = survey(vec![spent, page(&["/a"], 1, None)]).await;
    let again = azure.survey(&Scope::of(&pool())).await;
    assert!(matches!(again, Survey::Unknown(_)), "{again:?}");
    assert_eq!(server.arrived().len(), 1);
    assert_eq!(azure.calls().held_back, 1);
}

#[tokio::test]
async fn a_location_that_is_none_is_not_put_into_a_question() {
    let server = Server::start(Vec::new()).await;
    let scope = Scope {
        subscription: "sub".into(),
        location: "eastus' or 1 == 1".into(),
        identity: Identity::default(),
    };
    let survey = azure(&server, &Hands::new()).survey(&scope).await;
    assert!(matches!(survey, Survey::Unknown(_)), "{survey:?}");
    assert_eq!(server.calls(), Vec::<String>::new());
}
