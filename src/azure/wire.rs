//! The last step to the network: one HTTP request out, one answer in, whole or not at all.
//!
//! It is a trait so that everything above it can also run against an Azure in the same process. [`Network`] is the real one:
//! reqwest with rustls, no redirects (a redirect could carry the token to another host), bodies bounded in size.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::arm_error::one_line;

/// A thousand VMs with their instance views are about 8 MB; more than this is not an answer to a question of ours.
const LARGEST_BODY: usize = 64 << 20;

/// Carries one request to Azure and one answer back.
#[async_trait]
pub trait Wire: Send + Sync + fmt::Debug {
    /// One exchange. The caller bounds its time by dropping it.
    ///
    /// # Errors
    /// When no complete answer came; the request may have arrived all the same.
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, WireError>;
}

/// No complete answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fact}")]
pub struct WireError {
    /// What happened, without the URL: its query may be signed.
    pub fact: String,
}

/// The real network.
#[derive(Debug)]
pub struct Network(reqwest::Client);

impl Network {
    /// Opens no connection yet. `loopback` endpoints are reached past any proxy. `roots`: PEM certificates that are trusted instead of the
    /// system's.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates, or `roots` holds none.
    pub fn new(connect: Duration, loopback: bool, roots: Option<&[u8]>) -> Result<Self, WireError> {
        prepare_tls();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect)
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(60));
        if loopback {
            builder = builder.no_proxy();
        }
        if let Some(pem) = roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(WireError {
                    fact: "the file of certificate authorities holds no certificate in PEM"
                        .to_owned(),
                });
            }
            builder = builder.tls_certs_only(roots);
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| wire_error(&error.without_url()))
    }
}

/// Chooses ring for all TLS of the process. reqwest, ours and azure_identity's, panics when nobody has chosen; who chose first is right.
pub(super) fn prepare_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[async_trait]
impl Wire for Network {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, WireError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|error| wire_error(&error.without_url()))?;
        let mut answer = self
            .0
            .execute(request)
            .await
            .map_err(|error| wire_error(&error.without_url()))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| wire_error(&error.without_url()))?
        {
            if body.len().saturating_add(chunk.len()) > LARGEST_BODY {
                return Err(WireError {
                    fact: format!("the answer is larger than {LARGEST_BODY} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = http::Response::new(body.freeze());
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }
}

/// The whole chain in one line: reqwest's own text says only "error sending request", the cause ("connection refused") is below.
fn wire_error(error: &(dyn Error + 'static)) -> WireError {
    let mut parts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        next = error.source();
    }
    if parts
        .iter()
        .any(|part| part.contains("invalid peer certificate"))
    {
        parts.push("nobody whom we trust has signed for this host: --azure-ca-file names a file with further authorities".to_owned());
    }
    WireError {
        fact: one_line(&parts.join(": "), 300),
    }
}
