//! azure_mgmt_compute's way in: its requests go over our transport, and its answers come from there.

use async_trait::async_trait;
use azure_core_legacy as ac;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::fmt;
use std::sync::Arc;

use super::arm_error::one_line;
use super::budget::Claim;
use super::call_error::CallError;
use super::transport::Caller;

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
