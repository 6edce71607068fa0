//! Azure on a loopback port: `spotpool_core::world` spoken to in the words of Azure Resource Manager, with a control API
//! for what happens to it and a page to watch it.
//!
//! ```text
//! HTTP ──▶ faults ──▶ arm ──▶ {scale_sets, instances, members, batches, graph, …} ──▶ world
//!  └─────▶ control ────────────────────────────────────────────────────────────────▶ world
//! ```
//!
//! It is a simulation and says so; what it does rests on recorded traffic and documentation. It speaks with everybody who
//! has any bearer token, over TLS with everybody who asks its login host for one, and must therefore listen on loopback only. It shares nothing with the operator's Azure client.

mod arm;
mod batches;
mod catalogue;
mod clock;
mod connection;
pub mod control;
mod deployments;
mod documents;
pub mod faults;
mod graph;
mod ids;
mod images;
mod instances;
mod limits;
mod log;
mod login;
mod machine;
mod members;
mod operations;
mod page;
mod requested;
mod resources;
mod route;
mod scale_sets;
pub mod settings;
mod state;
mod subscriptions;
mod summary;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use state::State;
pub use wire::{Call, Reply};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use clock::Clock;
use connection::{Cuttable, Scissors};
use faults::{Drop, Faults};
use login::Logins;
use spotpool_core::world::{self, Region};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tls::Tls;
use tokio::net::TcpListener;

/// The largest request that is read.
const LARGEST_BODY: usize = 4 << 20;

/// How a simulator starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the world behaves.
    pub world: world::Options,
    /// Makes names and draws repeat.
    pub seed: u64,
    /// How much faster than here the world's time runs.
    pub speed: f64,
    /// The wall time at the start; the system's when `None`.
    pub anchor: Option<SystemTime>,
    /// The one subscription that exists.
    pub subscription: String,
    /// The one location that exists.
    pub location: String,
    /// Items on a page of a list.
    pub page_size: usize,
    /// How far Resource Graph is behind, in milliseconds of the world's time.
    pub graph_lag: u64,
    /// Whether exhausted request limits refuse with 429.
    pub throttle: bool,
    /// Seconds that operations ask their callers to wait; `None`: they say nothing, as Compute's, and a client takes its own time.
    pub retry_after: Option<u64>,
    /// Where the request log goes, if anywhere.
    pub log: Option<PathBuf>,
    /// Serve over TLS, write the certificate of our authority into this directory, and take no bearer tokens but our own.
    pub tls: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            world: world::Options::default(),
            seed: 1,
            speed: 1.0,
            anchor: None,
            subscription: "11111111-1111-1111-1111-111111111111".to_owned(),
            location: "eastus".to_owned(),
            page_size: 200,
            graph_lag: 10_000,
            throttle: true,
            retry_after: None,
            log: None,
            tls: None,
        }
    }
}

/// A running simulation; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    tls: Option<Tls>,
}

impl Simulator {
    /// Starts a world of its own.
    ///
    /// # Errors
    /// The log file or the certificate cannot be written.
    pub fn new(options: &Options) -> io::Result<Self> {
        let file = options
            .log
            .as_ref()
            .map(|path| {
                let made = std::fs::File::create(path);
                made.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
            })
            .transpose()?;
        let state = State {
            region: Region::new(options.seed, options.world.clone()).at(&options.location),
            clock: Clock::start(options.speed, options.anchor),
            seed: options.seed,
            subscription: options.subscription.clone(),
            page_size: options.page_size,
            uniform_tells_priority: false,
            throttle: options.throttle,
            retry_after: options.retry_after,
            missing_groups: Vec::new(),
            sets: BTreeMap::new(),
            operations: BTreeMap::new(),
            graph: graph::Graph::behind(options.graph_lag),
            resources: BTreeMap::new(),
            deployments: BTreeMap::new(),
            limits: limits::Limits::default(),
            faults: Faults::default(),
            log: log::Log::to_file(file),
            calls: state::Calls::default(),
            offline: false,
            logins: Logins::new(options.tls.is_some()),
            requests: 0,
        };
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            tls: options.tls.as_deref().map(Tls::new).transpose()?,
        })
    }

    /// Looks at the simulation, or changes it, at its present moment.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.catch_up();
        let result = act(&mut state);
        state.record();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request to ARM or to the login host without a socket. `None`: no answer came.
    pub async fn exchange(&self, call: Call) -> Option<Reply> {
        if login::is_asked(&call) {
            return self.log_in(&call).await;
        }
        let (rule, offline) = {
            let mut state = self.lock();
            (state.faults.take(&call), state.offline)
        };
        if let Some(rule) = &rule {
            tokio::time::sleep(rule.delay()).await;
        }
        let drop = rule.as_ref().and_then(|r| r.drop);
        let heard = self.carry_out(&call, rule.as_ref(), offline);
        if let Some(rule) = rule.filter(|_| drop == Some(Drop::After)) {
            tokio::time::sleep(rule.hold()).await;
        }
        heard
    }

    async fn log_in(&self, call: &Call) -> Option<Reply> {
        let said = {
            let mut state = self.lock();
            let said = match login::answer(&mut state, call) {
                login::Answer::Said(reply) => Some(Some(reply)),
                login::Answer::Cut => Some(None),
                login::Answer::Silence => None,
            };
            let time = state.clock.stamp(state.clock.now());
            let heard = said.as_ref().and_then(Option::as_ref);
            state.log.exchange(&time, call, heard);
            said
        };
        match said {
            Some(heard) => heard,
            // Until the client hangs up.
            None => std::future::pending().await,
        }
    }

    fn carry_out(&self, call: &Call, rule: Option<&faults::Rule>, offline: bool) -> Option<Reply> {
        let drop = rule.and_then(|r| r.drop);
        let mut state = self.lock();
        let unheard = offline || state.offline || drop == Some(Drop::Before);
        let mut reply = (!unheard).then(|| {
            let ordered = rule.and_then(faults::Rule::answer);
            ordered.unwrap_or_else(|| arm::answer(&mut state, call))
        });
        if let (Some(rule), Some(reply)) = (rule, &mut reply) {
            rule.touch(reply);
        }
        let heard = reply.filter(|_| drop.is_none());
        let time = state.clock.stamp(state.clock.now());
        state.log.exchange(&time, call, heard.as_ref());
        heard
    }

    /// The whole service: ARM, `/control/…` and the page.
    pub fn router(&self) -> Router {
        let simulator = self.clone();
        Router::new().fallback(move |request: Request| {
            let simulator = simulator.clone();
            async move { simulator.respond(request).await }
        })
    }

    /// Serves until `shutdown` resolves.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let service = self
            .router()
            .into_make_service_with_connect_info::<Scissors>();
        let plain = Cuttable(listener);
        match &self.tls {
            Some(tls) => {
                let serve = axum::serve(tls.over(plain), service);
                serve.with_graceful_shutdown(shutdown).await
            }
            None => {
                let serve = axum::serve(plain, service);
                serve.with_graceful_shutdown(shutdown).await
            }
        }
    }

    async fn respond(&self, request: Request) -> Response {
        let scissors = request
            .extensions()
            .get::<ConnectInfo<Scissors>>()
            .map(|c| c.0.clone());
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if path == "/" {
            return response(
                200,
                &[(
                    "content-type".to_owned(),
                    "text/html; charset=utf-8".to_owned(),
                )],
                page::HTML.into(),
            );
        }
        let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
            return plain(413, "The request is too large.");
        };
        let headers = parts
            .headers
            .iter()
            .map(|(k, v)| {
                (
                    k.as_str().to_owned(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect();
        let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let mut call = Call::new(parts.method.as_str(), target, headers, body.to_vec());
        call.encrypted = self.tls.is_some();
        if path == "/control/log" {
            let text = self.lock().log.text();
            return response(
                200,
                &[("content-type".to_owned(), "application/x-ndjson".to_owned())],
                text.into(),
            );
        }
        if path.starts_with("/control/") {
            return match control::answer(&mut self.lock(), &call) {
                Ok(reply) => rendered(reply),
                Err(sentence) => plain(400, &sentence),
            };
        }
        match (self.exchange(call).await, scissors) {
            (Some(reply), _) => rendered(reply),
            (None, scissors) => {
                if let Some(scissors) = scissors {
                    scissors.cut();
                }
                plain(599, "No answer: the connection is cut.")
            }
        }
    }
}

fn rendered(reply: Reply) -> Response {
    let mut headers = reply.headers;
    if reply.body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push((
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        ));
    }
    response(
        reply.status,
        &headers,
        reply
            .body
            .map_or_else(Body::empty, |body| cut(body.to_string(), reply.cut).into()),
    )
}

fn cut(mut text: String, after: Option<usize>) -> String {
    if let Some(after) = after {
        text.truncate(text.floor_char_boundary(after));
    }
    text
}

fn plain(status: u16, sentence: &str) -> Response {
    response(
        status,
        &[(
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
        )],
        format!("{sentence}\n").into(),
    )
}

fn response(status: u16, headers: &[(String, String)], body: Body) -> Response {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    // A fault rule may name a status or a header that HTTP does not know.
    builder.body(body).unwrap_or_else(|_| {
        Response::new(Body::from(
            "The simulator was asked for a reply that HTTP cannot carry.\n",
        ))
    })
}
