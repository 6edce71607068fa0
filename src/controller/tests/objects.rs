//! Reading what templates refer to, against a small Kubernetes API on loopback.

use super::*;
use crate::api::SpotPool;
use crate::cloud::Contents;
use crate::controller::fixtures::{deleting, pool};
use crate::controller::kubernetes::Kubernetes;
use crate::controller::objects::contents;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::json;
use spotpool_core::units::Millis;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

const REST: Millis = Millis::seconds(30);

/// A Kubernetes API with a few objects by path; `None`: it is out of order.
#[derive(Clone, Default)]
struct Server {
    objects: Arc<Mutex<Option<BTreeMap<String, Value>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(&self, tasks: &mut JoinSet<()>) -> Kubernetes {
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Kubernetes::new(kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap())
    }

    fn holds(&self, path: &str, object: Value) {
        let mut objects = self.objects.lock().unwrap();
        objects
            .get_or_insert_default()
            .insert(format!("/api/v1/namespaces/batch/{path}"), object);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn answer(State(server): State<Server>, request: Request) -> (StatusCode, axum::Json<Value>) {
    let path = request.uri().path().to_owned();
    server.asked.lock().unwrap().push(path.clone());
    let refused = |code: u16| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": "no"});
        (StatusCode::from_u16(code).unwrap(), axum::Json(status))
    };
    let objects = server.objects.lock().unwrap();
    match objects.as_ref().map(|objects| objects.get(&path)) {
        None => refused(500),
        Some(None) if path.ends_with("forbidden") => refused(403),
        Some(None) => refused(404),
        Some(Some(object)) => (StatusCode::OK, axum::Json(object.clone())),
    }
}

fn secret(uid: &str, data: &[(&str, &str)]) -> Value {
    let data: BTreeMap<_, _> = data
        .iter()
        .map(|(key, text)| (*key, BASE64_STANDARD.encode(text)))
        .collect();
    json!({"kind": "Secret", "metadata": {"uid": uid}, "data": data})
}

fn with(change: Value) -> SpotPool {
    let mut template = serde_json::to_value(pool(json!({})).spec.template).unwrap();
    for (field, value) in change.as_object().unwrap() {
        template[field] = value.clone();
    }
    pool(json!({ "template": template }))
}

fn farm() -> SpotPool {
    with(json!({
        "admin": {"username": "me", "sshPublicKeys": ["k"], "passwordSecretRef": {"name": "boot", "key": "password"}},
        "customData": {"secretKeyRef": {"name": "boot", "key": "init"}},
        "userData": {"configMapKeyRef": {"name": "scene", "key": "shot"}},
    }))
}

#[tokio::test]
async fn reads_each_object_once_in_a_rest_interval_and_sees_a_change_then() {
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let kubernetes = server.start(&mut tasks).await;
    server.holds(
        "secrets/boot",
        secret("u", &[("password", "hunter2"), ("init", "#!/bin/sh")]),
    );
    server.holds(
        "configmaps/scene",
        json!({"metadata": {"uid": "v"}, "data": {"shot": "042"}}),
    );
    let mut known = None;
    let mut at = async |seconds: i64| {
        let now = Timestamp(seconds * 1000);
        let contents = contents(&farm(), &mut known, &kubernetes, now, REST)
            .await
            .unwrap()
            .unwrap();
        let init = farm()
            .spec
            .template
            .custom_data
            .unwrap()
            .reference()
            .unwrap();
        contents.get(&init).unwrap().bytes().to_vec()
    };
    assert_eq!(at(0).await, b"#!/bin/sh");
    assert_eq!((at(29).await, server.asked()), (b"#!/bin/sh".to_vec(), 2));
    server.holds(
        "secrets/boot",
        secret("u", &[("password", "hunter2"), ("init", "#!/bin/bash")]),
    );
    assert_eq!((at(30).await, server.asked()), (b"#!/bin/bash".to_vec(), 4));
    // The API server is away: what was read still holds.
    *server.objects.lock().unwrap() = None;
    assert_eq!(at(90).await, b"#!/bin/bash");
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_referred_to_or_the_pool_goes() {
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let kubernetes = server.start(&mut tasks).await;
    let mut gone = deleting(json!({}));
    gone.spec.template = farm().spec.template;
    for pool in [pool(json!({})), gone] {
        let read = contents(&pool, &mut None, &kubernetes, Timestamp(0), REST).await;
        assert_eq!(read.unwrap(), Ok(Contents::default()));
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn without_an_answer_there_is_no_telling_what_is_missing() {
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let kubernetes = server.start(&mut tasks).await;
    let read = contents(&farm(), &mut None, &kubernetes, Timestamp(0), REST).await;
    assert_eq!(read.unwrap_err().code(), Some(500));
}

#[tokio::test]
async fn says_what_to_create_and_quotes_no_secret() {
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let kubernetes = server.start(&mut tasks).await;
    let long = "x".repeat(65_536);
    server.holds(
        "secrets/boot",
        secret(
            "u",
            &[
                ("empty", ""),
                ("script", "[\"hunter2\"]"),
                ("comment", "# hunter2"),
                ("lines", "hunter2\nx"),
                ("long", &long),
            ],
        ),
    );
    server.holds(
        "secrets/odd",
        json!({"metadata": {"uid": "u"}, "data": {"a": "hunter2!"}}),
    );
    server.holds("secrets/none", json!({"metadata": {"uid": "u"}}));
    let data =
        |name: &str, key: &str| json!({"customData": {"secretKeyRef": {"name": name, "key": key}}});
    let admin = |field: &str, key: &str| json!({"admin": {"username": "me", field: {"name": "boot", "key": key}}});
    let extension = json!({"extensions": [{"name": "e", "publisher": "p", "type": "t", "version": "1", "protectedSettingsSecretRef": {"name": "boot", "key": "script"}}]});
    for (template, says) in [
        (
            data("nowhere", "init"),
            "Secret nowhere in namespace batch does not exist: create it, with the key init",
        ),
        (
            json!({"userData": {"configMapKeyRef": {"name": "no", "key": "k"}}}),
            "ConfigMap no in namespace batch does not exist",
        ),
        (
            data("forbidden", "init"),
            "may not read Secret forbidden in namespace batch: bind its service account to a role with the verb get on secrets",
        ),
        (data("boot", "init"), "Secret boot has no key init"),
        (data("none", "init"), "Secret none has no key init"),
        (data("odd", "a"), "the key a of Secret odd is not Base64"),
        (
            data("boot", "long"),
            "template.customData is 65536 bytes long",
        ),
        (
            admin("passwordSecretRef", "empty"),
            "the key empty of Secret boot must hold a password",
        ),
        (
            admin("passwordSecretRef", "lines"),
            "the key lines of Secret boot must hold a password: one line of text",
        ),
        (
            admin("sshPublicKeySecretRef", "comment"),
            "the key comment of Secret boot must hold SSH public keys",
        ),
        (
            extension,
            "the key script of Secret boot must hold a JSON object",
        ),
    ] {
        let mut known = None;
        let read = contents(
            &with(template.clone()),
            &mut known,
            &kubernetes,
            Timestamp(0),
            REST,
        )
        .await;
        let unusable = read.unwrap().unwrap_err();
        assert!(unusable.fact.contains(says), "{template}: {unusable}");
        assert!(
            !unusable.fact.contains("hunter2") && known.is_none(),
            "{unusable}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_not_quoted() {
    let (server, mut tasks) = (Server::default(), JoinSet::new());
    let kubernetes = server.start(&mut tasks).await;
    server.holds(
        "secrets/boot",
        json!({"metadata": {"uid": "u"}, "data": {"init": ["hunter2"]}}),
    );
    let read = contents(&farm(), &mut None, &kubernetes, Timestamp(0), REST).await;
    let error = read.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}
