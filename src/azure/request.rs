//! What every request to Azure carries: who asks, with which token, and an id of its own.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use spotpool_core::units::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::arm_error::one_line;
use super::call_error::CallError;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// The request as it goes out.
pub(super) fn assemble(
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

/// Ids for `x-ms-client-request-id`, in the form of a GUID as ARM wants them: when this process started, and a counter. They need to be
/// unique, not secret.
pub(super) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(now: Timestamp) -> Self {
        // Two processes that start in the same millisecond (two replicas) differ in their number.
        let start = now.0.unsigned_abs() << 16 | u64::from(std::process::id() & 0xffff);
        Self {
            start,
            next: AtomicU64::new(1),
        }
    }

    pub(super) fn next(&self) -> String {
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
