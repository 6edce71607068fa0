//! Every call to Azure goes through here, and only to Azure: guarded by host, signed, bounded in time, counted, logged.
//!
//! In: requests of azure_mgmt_compute (as its [`HttpClient`](ac::HttpClient)) and of the operation poller. Out: complete
//! answers, or a [`CallError`] that says whether the request may have arrived. No retries: the controller looks again. What Azure's
//! limits do not bear ([`Budget`]) is not sent at all.
//!
//! The bearer token is put on here and nowhere above, after the host was checked: azure_core 0.21 prints the `authorization`
//! header of every request at log level debug (it redacts all headers but that one), so it gets a placeholder.

use async_trait::async_trait;
use azure_core_legacy as ac;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use spotpool_core::units::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Now;
use super::arm_error::{ArmError, one_line};
use super::budget::{Budget, Call, Claim, Heard, Permit};
use super::login::Login;
use super::survey;
use super::wire::Wire;
use crate::cloud::{Calls, LoginError, Remaining, Urgency};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// What a request to Azure came to, when not to an answer that says yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not sent: it was not addressed to Azure, or not a request.
    #[error("not sent: {fact}")]
    NotSent {
        /// Why.
        fact: String,
    },
    /// Not sent: no token.
    #[error("login: {0}")]
    NoLogin(LoginError),
    /// Not sent: Azure's limits do not bear it now, or Azure said not to ask before.
    #[error("not sent: Azure's limits on calls do not bear it now; its turn is booked")]
    HeldBack {
        /// The instant that is booked for it.
        until: Timestamp,
    },
    /// No complete answer. The request may have arrived.
    #[error("no answer: {fact}")]
    NoAnswer {
        /// What happened.
        fact: String,
    },
    /// Azure, or something in between, answered with an error.
    #[error("{0}")]
    Arm(Box<ArmError>),
    /// A yes whose body cannot be read.
    #[error("an answer that cannot be read: {fact}")]
    Unreadable {
        /// What is wrong with it.
        fact: String,
    },
}

impl From<ac::Error> for CallError {
    fn from(error: ac::Error) -> Self {
        match error.into_downcast::<Self>() {
            Ok(call) => call,
            // What is left are the crate's own complaints: a nextLink that is no URL, a page that is no JSON, a status it did not expect.
            Err(error) => Self::Unreadable {
                fact: one_line(&error.to_string(), 300),
            },
        }
    }
}

impl From<CallError> for ac::Error {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::NoLogin(_) => ac::error::ErrorKind::Credential,
            CallError::NotSent { .. } | CallError::HeldBack { .. } | CallError::NoAnswer { .. } => {
                ac::error::ErrorKind::Io
            }
            CallError::Arm(arm) => match ac::StatusCode::try_from(arm.status) {
                Ok(status) => {
                    ac::error::ErrorKind::http_response(status, Some(arm.main.code.clone()))
                }
                Err(_) => ac::error::ErrorKind::Other,
            },
            CallError::Unreadable { .. } => ac::error::ErrorKind::DataConversion,
        };
        Self::new(kind, error)
    }
}

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
        let calls = vec![Call::of(&Method::GET, url); pages];
        self.budget().fits(&calls, urgency, (self.now)())
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

/// azure_mgmt_compute's way in, for calls of one identity and claim.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) caller: Arc<Caller>,
    pub(super) claim: Claim,
    pub(super) instead: Option<Instead>,
}

/// A body of ours, sent in the place of the crate's. Its structs lose identities and what is newer than they are, and say
/// `"timeCreated": null` twice; and at debug level it logs its requests whole, so a body with secrets must never come before its eyes.
#[derive(Clone)]
pub(super) struct Instead(pub(super) Bytes);

impl fmt::Debug for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[async_trait]
impl ac::HttpClient for Lane {
    async fn execute_request(&self, request: &ac::Request) -> ac::Result<ac::Response> {
        let not_sent = |fact: &dyn fmt::Display| {
            ac::Error::from(CallError::NotSent {
                fact: one_line(&fact.to_string(), 200),
            })
        };
        let method = Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| not_sent(&error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            let name = HeaderName::from_bytes(name.as_str().as_bytes())
                .map_err(|error| not_sent(&error))?;
            headers.insert(
                name,
                HeaderValue::from_str(value.as_str()).map_err(|error| not_sent(&error))?,
            );
        }
        let body = match (&self.instead, request.body()) {
            (Some(Instead(body)), _) | (None, ac::Body::Bytes(body)) => body.clone(),
            (None, _) => return Err(not_sent(&"a streaming body, which no call of ours has")),
        };
        let (parts, body) = self
            .caller
            .exchange(method, request.url(), headers, body, self.claim)
            .await?
            .into_parts();
        let status =
            ac::StatusCode::try_from(parts.status.as_u16()).map_err(|_| CallError::Unreadable {
                fact: format!("status {}", parts.status),
            })?;
        let mut headers = ac::headers::Headers::new();
        for (name, value) in &parts.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(ac::Response::new(
            status,
            headers,
            Box::pin(ac::BytesStream::new(body)),
        ))
    }
}

/// The request as it goes out.
fn assemble(
    method: Method,
    url: &Url,
    mut headers: HeaderMap,
    body: Bytes,
    token: &str,
    client_request_id: &str,
) -> Result<http::Request<Bytes>, CallError> {
    let not_sent = |fact: &dyn fmt::Display| CallError::NotSent {
        fact: one_line(&fact.to_string(), 200),
    };
    // The error of an unprintable token must not quote it.
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| not_sent(&"the token is not printable"))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        CLIENT_REQUEST_ID,
        HeaderValue::from_str(client_request_id).map_err(|error| not_sent(&error))?,
    );
    let sdk = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let agent = format!("spotpool/{} {sdk}", env!("CARGO_PKG_VERSION"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_str(agent.trim_end()).map_err(|error| not_sent(&error))?,
    );
    // ARM's front ends answer 411 to a POST that leaves out its length.
    if body.is_empty() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = http::Request::builder()
        .method(method)
        .uri(url.as_str())
        .body(body)
        .map_err(|error| not_sent(&error))?;
    *request.headers_mut() = headers;
    Ok(request)
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

/// Ids for `x-ms-client-request-id`, in the form of a GUID as ARM wants them: when this process started, and a counter. They need to be
/// unique, not secret.
struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    fn new(now: Timestamp) -> Self {
        // Two processes that start in the same millisecond (two replicas) differ in their number.
        let start = now.0.unsigned_abs() << 16 | u64::from(std::process::id() & 0xffff);
        Self {
            start,
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        let (start, number) = (self.start, self.next.fetch_add(1, Relaxed));
        // Version 8 of RFC 9562: the bits are ours to fill.
        format!(
            "{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}",
            start >> 32,
            start >> 16 & 0xffff,
            start & 0xfff,
            start >> 12 & 0xf,
            number & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_ids_that_look_like_guids_and_differ() {
        let ids = RequestIds::new(Timestamp(1_760_000_000_000));
        let (one, two) = (ids.next(), ids.next());
        assert_ne!(one, two);
        for id in [one, two] {
            assert_eq!(
                id.split('-').map(str::len).collect::<Vec<_>>(),
                [8, 4, 4, 4, 12],
                "{id}"
            );
            assert!(
                id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()),
                "{id}"
            );
        }
    }

    #[test]
    fn a_header_that_is_no_header_is_an_error_and_quotes_no_token() {
        let url = Url::parse("https://management.azure.com/x").unwrap();
        let error = assemble(
            Method::GET,
            &url,
            HeaderMap::new(),
            Bytes::new(),
            "secret\ntoken",
            "id",
        )
        .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
