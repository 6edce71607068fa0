//! The whole client against a scripted server on loopback: real sockets, real HTTP, invented answers.

mod act;
mod bodies;
mod limits;
mod login;
mod look;
mod quota;
mod role;
mod sets;
mod survey;
mod table;
mod wire;

use super::*;
use crate::cloud::{Calls, Cloud, Identity};
use axum::body::Bytes as Body;
use axum::extract::State;
use http::HeaderMap;
use serde_json::{Value, json};
use spotpool_core::planner::{Desired, Intent, Memory, Pace, Plan, Provisioning, ScaleSet, plan};
use spotpool_core::units::{Millis, ModelHash};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::task::JoinSet;

const START: Timestamp = Timestamp(1_767_323_045_000);
const SET_PATH: &str = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/render";
const OWNER: &str = "c/ns/render/uid";

/// One scripted answer.
#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Never answers.
    hangs: bool,
    /// Answers after so long.
    delay: Duration,
}

fn reply(status: u16, body: impl ToString) -> Reply {
    Reply {
        status,
        headers: vec![
            ("content-type", "application/json; charset=utf-8".into()),
            ("x-ms-request-id", "req-1".into()),
        ],
        body: body.to_string(),
        hangs: false,
        delay: Duration::ZERO,
    }
}

impl Reply {
    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(there, _)| *there != name);
        self.headers.push((name, value.to_string()));
        self
    }

    fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Arrived {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

/// A server that answers in the order of its script, and 500 after that.
struct Server {
    url: Url,
    script: Script,
    _running: JoinSet<()>,
}

impl Server {
    async fn start(replies: Vec<Reply>) -> Self {
        let script = Script {
            replies: Arc::new(Mutex::new(replies.into())),
            ..Script::default()
        };
        let app = axum::Router::new()
            .fallback(serve)
            .with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            script,
            _running: running,
        }
    }

    fn then(&self, reply: Reply) {
        self.script.replies.lock().unwrap().push_back(reply);
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.script.arrived.lock().unwrap().clone()
    }

    /// Method and path of every request.
    fn calls(&self) -> Vec<String> {
        self.arrived()
            .iter()
            .map(|one| format!("{} {}", one.method, one.path.trim_start_matches(SET_PATH)))
            .collect()
    }
}

async fn serve(
    State(script): State<Script>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    script.arrived.lock().unwrap().push(Arrived {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let reply = script
        .replies
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or_else(|| reply(500, "not in the script"));
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(reply.delay).await;
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(reply.body).into()).unwrap()
}

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START.0)))
    }

    fn now(&self) -> Now {
        let hands = self.0.clone();
        Arc::new(move || Timestamp(hands.load(Ordering::SeqCst)))
    }

    fn forward(&self, span: Millis) {
        self.0.fetch_add(span.0, Ordering::SeqCst);
    }
}

fn azure(server: &Server, hands: &Hands) -> Azure {
    let options = AzureOptions {
        deadline: Duration::from_secs(20),
        ..towards_loopback(server.url.clone(), hands)
    };
    Azure::new(options).unwrap()
}

fn towards_loopback(url: Url, hands: &Hands) -> AzureOptions {
    AzureOptions::towards(Environment::custom(url, None, None).unwrap(), hands.now())
}

fn pool() -> PoolRef {
    PoolRef {
        identity: Default::default(),
        mode: crate::cloud::OrchestrationMode::Flexible,
        subscription: "sub".into(),
        resource_group: "rg".into(),
        location: "eastus".into(),
        scale_set: "render".into(),
        owner: OWNER.into(),
    }
}

fn shape() -> Shape {
    let template = json!({
        "image": {"id": "/images/1"},
        "admin": {"username": "azureuser", "sshPublicKeys": ["ssh-ed25519 AAAA me"]},
        "network": {"subnetID": "/subnet"},
        "tags": {"team": "vfx"},
    });
    Shape {
        zones: vec![],
        eviction: crate::cloud::EvictionPolicy::Delete,
        max_price: None,
        template: serde_json::from_value(template).unwrap(),
        contents: crate::cloud::Contents::default(),
    }
}

fn set_body(capacity: u32) -> Value {
    json!({
        "id": SET_PATH, "name": "render", "location": "eastus", "etag": "\"7\"",
        "tags": {"spotpool_owner": OWNER, "spotpool_model": "m1", "cost-center": "42"},
        "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": capacity},
        "properties": {"provisioningState": "Succeeded", "orchestrationMode": "Flexible", "priorityMixPolicy": {"baseRegularPriorityCount": 0}},
    })
}

fn vm(name: &str) -> Value {
    json!({
        "name": name, "location": "eastus",
        "properties": {
            "virtualMachineScaleSet": {"id": SET_PATH}, "priority": "Spot", "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
            "instanceView": {"statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}]},
        },
    })
}

fn page(vms: &[Value]) -> Value {
    json!({"value": vms})
}

fn desired(spot: u32, model: &str) -> Desired {
    Desired {
        generation: 1,
        owner: OWNER.into(),
        regular: 0,
        spot,
        vm_sizes: vec!["Standard_D4s_v5".into()],
        model: ModelHash::from(model),
        max_price: None,
        eviction: spotpool_core::planner::Eviction::Delete,
        min_available: 0,
        confirm_above: None,
        confirmed: false,
        progress_deadline: Millis::minutes(15),
        intent: Intent::Keep,
        pace: Pace::default(),
    }
}

/// What the planner does about a picture: the only way to an action that carries a guard.
fn planned(desired: &Desired, observed: &Observed, memory: &Memory, now: Timestamp) -> Plan {
    plan(desired, observed, memory, now)
}

fn set(capacity: u32) -> ScaleSet {
    ScaleSet {
        capacity,
        base: 0,
        vm_size: "Standard_D4s_v5".into(),
        etag: "\"7\"".into(),
        state: Provisioning::Succeeded,
        owner: Some(OWNER.into()),
        model: Some("m1".into()),
        max_price: None,
        model_since: None,
    }
}
