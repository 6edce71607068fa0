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
mod journal;
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
mod schedule;
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
use journal::{Beginning, Change, Journal, Past};
use login::Logins;
use schedule::Schedule;
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
    /// Where everything that happens is kept, and taken up again at the next start.
    pub journal: Option<PathBuf>,
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
            journal: None,
            tls: None,
        }
    }
}

impl Options {
    /// What two starts must have in common for the same requests to lead to the same state.
    fn in_common(&self) -> String {
        let Self {
            world,
            seed,
            speed,
            subscription,
            location,
            page_size,
            graph_lag,
            throttle,
            retry_after,
            anchor: _,
            log: _,
            journal: _,
            tls: _,
        } = self;
        format!(
            "seed {seed}, speed {speed}, subscription {subscription}, location {location}, page size {page_size}, graph lag {graph_lag} ms, throttle {throttle}, retry after {retry_after:?}, {world:?}"
        )
    }
}

/// A running simulation; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    tls: Option<Tls>,
}

impl Simulator {
    /// Starts a world of its own, or goes on with the one that the journal tells of.
    ///
    /// # Errors
    /// The log file or the certificate cannot be written, the journal not read or written.
    pub fn new(options: &Options) -> io::Result<Self> {
        let file = options
            .log
            .as_ref()
            .map(|path| {
                let mut file = std::fs::OpenOptions::new();
                let anew = options.journal.is_none();
                file.write(true).create(true).truncate(anew).append(!anew);
                let made = file.open(path);
                made.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
            })
            .transpose()?;
        let mut state = State {
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
            schedule: Schedule::default(),
            journal: Journal::default(),
            requests: 0,
        };
        if let Some(path) = &options.journal {
            let beginning = Beginning {
                simulator: options.in_common(),
                began_unix_nanos: state.clock.began(),
            };
            let (journal, past) = Journal::open(path, &beginning)?;
            if let Some(past) = past {
                again(&mut state, past);
            }
            state.journal = journal;
        }
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            tls: options
                .tls
                .as_deref()
                .map(|directory| Tls::new(directory, options.journal.is_some()))
                .transpose()?,
        })
    }

    /// Looks at the simulation, or changes it, at its present moment.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        catch_up(&mut state);
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
            let (now, requests) = (state.region.now(), state.requests);
            if !state.faults.rules().is_empty() {
                state.journal.passed(now, requests, &call);
            }
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
            catch_up(&mut state);
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
        catch_up(&mut state);
        let unheard = offline || state.offline || drop == Some(Drop::Before);
        let mut reply = (!unheard).then(|| {
            let ordered = rule.and_then(faults::Rule::answer);
            ordered.unwrap_or_else(|| carried_out(&mut state, call))
        });
        if let (Some(rule), Some(reply)) = (rule, &mut reply) {
            rule.touch(reply);
        }
        let heard = reply.filter(|_| drop.is_none());
        let time = state.clock.stamp(state.clock.now());
        state.log.exchange(&time, call, heard.as_ref());
        heard
    }

    fn control(&self, call: &Call) -> Result<Reply, String> {
        let mut state = self.lock();
        catch_up(&mut state);
        let reply = control::answer(&mut state, call)?;
        if call.method != "GET" {
            let (now, requests) = (state.region.now(), state.requests);
            state.journal.controlled(now, requests, call);
        }
        Ok(reply)
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
            return match self.control(&call) {
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

/// Lets time pass up to now, with everything that is scheduled for it.
fn catch_up(state: &mut State) {
    let (now, seed) = (state.clock.now(), state.seed);
    while let Some(due) = state.schedule.take(now, seed) {
        state.pass(due.at);
        let failure = control::carry_out(state, &due).err();
        state.schedule.tried(due.number, failure);
    }
    state.pass(now);
}

fn carried_out(state: &mut State, call: &Call) -> Reply {
    let (now, requests) = (state.region.now(), state.requests);
    let reply = arm::answer(state, call);
    // Nobody vouches for a request that was not let in.
    if arm::changes(call) && reply.status != 401 {
        state.journal.carried_out(now, requests, call);
    }
    reply
}

/// Does everything again that has happened before.
fn again(state: &mut State, past: Past) {
    let last = past.lines.last().map_or(0, |line| line.at);
    for line in past.lines {
        state.clock.hold(line.at);
        catch_up(state);
        state.requests = line.requests;
        match line.change {
            Change::Arm(asked) => _ = arm::answer(state, &asked.again()),
            Change::Control(asked) => _ = control::answer(state, &asked.again()),
            Change::Passed(asked) => _ = state.faults.take(&asked.again()),
            Change::Issued { token, client } => {
                state.logins.next();
                state.logins.issue(token, &client, line.at);
            }
        }
    }
    state.clock.resume(past.beginning.began_unix_nanos, last);
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
