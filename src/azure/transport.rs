//! Every call to Azure goes through here, and only to Azure: guarded by host, signed, bounded in time, counted, logged.
//!
//! In: requests of azure_mgmt_compute (through its [`Lane`](super::lane::Lane)) and of the operation poller. Out: complete
//! answers, or a [`CallError`] that says whether the request may have arrived. No retries: the controller looks again. What Azure's
//! limits do not bear ([`Budget`]) is not sent at all.
//!
//! The bearer token is put on here and nowhere above, after the host was checked: azure_core 0.21 prints the `authorization`
//! header of every request at log level debug (it redacts all headers but that one), so it gets a placeholder.

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Url;
use spotpool_core::units::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Now;
use super::arm_error::ArmError;
use super::budget::{Budget, Call, Claim, Heard, Permit};
use super::call_error::CallError;
use super::login::Login;
use super::request::{RequestIds, assemble};
use super::survey;
use super::wire::Wire;
use crate::cloud::{Calls, Remaining, Urgency};

/// How calls to Azure are made. One for the whole installation.
pub(super) struct Transport {
    wire: Arc<dyn Wire>,
    endpoint: Url,
    deadline: Duration,
    now: Now,
    budget: Mutex<Budget>,
    counted: Counted,
    ids: RequestIds,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(wire: Arc<dyn Wire>, endpoint: Url, deadline: Duration, now: Now) -> Self {
        let ids = RequestIds::new(now());
        Self {
            wire,
            endpoint,
            deadline,
            now,
            budget: Mutex::default(),
            counted: Counted::default(),
            ids,
        }
    }

    pub(super) fn calls(&self) -> Calls {
        self.counted.read()
    }

    pub(super) fn remaining(&self) -> Vec<Remaining> {
        self.budget().remaining((self.now)())
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to send a call, if Azure's limits bear it now.
    fn admit(&self, method: &Method, url: &Url, claim: Claim) -> Result<UnderWay<'_>, CallError> {
        let call = Call::of(method, url);
        match self.budget().ask(call, claim, (self.now)()) {
            Ok(permit) => Ok(UnderWay {
                transport: self,
                permit: Some(permit),
            }),
            Err(until) => {
                self.counted.held_back();
                let path = url.path();
                tracing::debug!(%method, path, ?claim, ?until, "held back: azure's limits do not bear it now");
                Err(CallError::HeldBack { until })
            }
        }
    }

    /// The turn of these reads, which are of no use one without the others.
    fn turn(&self, reads: &[Url], urgency: Urgency) -> Result<Turn<'_>, Timestamp> {
        let calls: Vec<Call> = reads
            .iter()
            .map(|url| Call::of(&Method::GET, url))
            .collect();
        let turn = self.budget().turn(&calls, urgency, (self.now)());
        turn.inspect_err(|until| {
            self.counted.held_back();
            let path = reads.last().map(Url::path).unwrap_or_default();
            tracing::debug!(
                path,
                ?urgency,
                ?until,
                "held back: azure's limits do not bear it now"
            );
        })?;
        Ok(Turn {
            transport: self,
            last: calls.into_iter().next_back(),
        })
    }

    /// Whether a list of so many pages can be read whole now.
    fn fits(&self, url: &Url, pages: usize, urgency: Urgency) -> Result<(), Timestamp> {
        let page = Call::of(&Method::GET, url);
        self.budget().fits(&page, pages, urgency, (self.now)())
    }

    /// Whether others may need a read of this kind more than whoever can wait.
    fn is_scarce(&self, url: &Url) -> bool {
        let call = Call::of(&Method::GET, url);
        self.budget().is_scarce(&call, (self.now)())
    }

    /// Whether a URL leads to the configured endpoint: same scheme, host and port. Nothing else is ever asked.
    fn leads_home(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
            && url.username().is_empty()
            && url.password().is_none()
    }

    /// Resolves a URL that Azure gave us, which may be relative.
    fn resolve(&self, url: &str) -> Option<Url> {
        self.endpoint
            .join(url)
            .ok()
            .filter(|url| self.leads_home(url))
    }

    /// One call.
    ///
    /// # Errors
    /// For everything but an answer with a status of 200 to 299.
    async fn exchange(
        &self,
        login: &Login,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        claim: Claim,
    ) -> Result<http::Response<Bytes>, CallError> {
        if !self.leads_home(url) {
            return Err(CallError::NotSent {
                fact: format!(
                    "{} is not {}",
                    url.origin().ascii_serialization(),
                    self.endpoint.origin().ascii_serialization()
                ),
            });
        }
        let token = login.token().await.map_err(CallError::NoLogin)?;
        let client_request_id = self.ids.next();
        let request = assemble(
            method.clone(),
            url,
            headers,
            body,
            token.reveal(),
            &client_request_id,
        )?;

        let mut under_way = self.admit(&method, url, claim)?;
        self.counted.one(&method, url);
        let sent = (self.now)();
        let answer = tokio::time::timeout(self.deadline, self.wire.exchange(request)).await;
        let took_ms = ((self.now)() - sent).0;
        let path = url.path();
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(%method, path, took_ms, client_request_id, %error, "azure gave no answer");
                return Err(CallError::NoAnswer { fact: error.fact });
            }
            Err(_) => {
                tracing::debug!(%method, path, took_ms, client_request_id, "azure gave no answer in time");
                return Err(CallError::NoAnswer {
                    fact: format!("none within {:?}", self.deadline),
                });
            }
        };
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let (request_id, remaining) = (
            header("x-ms-request-id"),
            header("x-ms-ratelimit-remaining-resource"),
        );
        tracing::debug!(%method, path, status, took_ms, client_request_id, request_id, remaining, "azure answered");
        if answer.status().is_success() {
            under_way.answered(answer.headers(), None);
            return Ok(answer);
        }
        match status {
            401 => login.forget(),
            429 => self.counted.throttled(),
            _ => {}
        }
        let error = ArmError::of_answer(status, answer.headers(), answer.body(), (self.now)());
        under_way.answered(answer.headers(), Some(&error));
        Err(CallError::Arm(Box::new(error)))
    }
}

/// While it lasts, its calls are granted.
pub(super) struct Turn<'a> {
    transport: &'a Transport,
    last: Option<Call>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(last) = &self.last {
            self.transport.budget().leave(last);
        }
    }
}

/// A call that the budget knows of, and hears of when it is over, also when nobody waits for its answer any more.
struct UnderWay<'a> {
    transport: &'a Transport,
    permit: Option<Permit>,
}

impl UnderWay<'_> {
    fn answered(&mut self, headers: &HeaderMap, error: Option<&ArmError>) {
        self.over(Some(Heard { headers, error }));
    }

    fn over(&mut self, heard: Option<Heard<'_>>) {
        if let Some(permit) = self.permit.take() {
            let now = (self.transport.now)();
            self.transport.budget().settle(permit, heard, now);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.over(None);
    }
}

/// The transport as one identity uses it.
#[derive(Debug)]
pub(super) struct Caller {
    transport: Arc<Transport>,
    login: Login,
}

impl Caller {
    pub(super) fn new(transport: Arc<Transport>, login: Login) -> Self {
        Self { transport, login }
    }

    /// Resolves a URL that Azure gave us, which may be relative.
    pub(super) fn resolve(&self, url: &str) -> Option<Url> {
        self.transport.resolve(url)
    }

    /// The turn of these reads: all of them may be made now.
    ///
    /// # Errors
    /// When their turn is.
    pub(super) fn turn(&self, reads: &[Url], urgency: Urgency) -> Result<Turn<'_>, Timestamp> {
        self.transport.turn(reads, urgency)
    }

    /// Whether a list of so many pages can be read whole now.
    ///
    /// # Errors
    /// When it can.
    pub(super) fn fits(&self, url: &Url, pages: usize, urgency: Urgency) -> Result<(), Timestamp> {
        self.transport.fits(url, pages, urgency)
    }

    /// Whether others may need a read of this kind more than whoever can wait.
    pub(super) fn is_scarce(&self, url: &Url) -> bool {
        self.transport.is_scarce(url)
    }

    /// One call.
    ///
    /// # Errors
    /// For everything but an answer with a status of 200 to 299.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        claim: Claim,
    ) -> Result<http::Response<Bytes>, CallError> {
        let (transport, login) = (&self.transport, &self.login);
        transport
            .exchange(login, method, url, headers, body, claim)
            .await
    }
}

#[derive(Default)]
struct Counted {
    reads: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    throttled: AtomicU64,
    held_back: AtomicU64,
}

impl Counted {
    fn one(&self, method: &Method, url: &Url) {
        let counter = match *method {
            Method::GET | Method::HEAD => &self.reads,
            _ if url.path() == survey::PATH => &self.reads,
            Method::DELETE => &self.deletes,
            _ => &self.writes,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn throttled(&self) {
        self.throttled.fetch_add(1, Relaxed);
    }

    fn held_back(&self) {
        self.held_back.fetch_add(1, Relaxed);
    }

    fn read(&self) -> Calls {
        Calls {
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            deletes: self.deletes.load(Relaxed),
            throttled: self.throttled.load(Relaxed),
            held_back: self.held_back.load(Relaxed),
        }
    }
}
