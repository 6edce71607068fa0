//! The one request of a login: an application's proof goes to the login host, a token comes back (OAuth 2.0, client credentials).
//!
//! In: a tenant, a client id and a proof. Out: a [`Token`], or the step that failed, with Microsoft's own code (AADSTS…). It goes over
//! our own wire, because azure_identity 1.0 can neither be given a certificate authority nor a bound on its time.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Url;
use serde_json::Value;
use spotpool_core::planner::LoginStep;
use spotpool_core::units::Millis;
use std::sync::Arc;

use super::super::arm_error::one_line;
use super::super::clouds::Environment;
use super::super::wire::Wire;
use super::Token;
use crate::azure::Now;
use crate::cloud::{LoginError, Secret};

/// Longest fact, in characters: AADSTS texts carry three ids behind the sentence.
const LONGEST: usize = 300;
/// A token that does not say how long it lives is used for this long.
const SHORTEST: i64 = 300;

/// What an application shows to prove itself.
pub(in crate::azure) enum Proof {
    /// A password.
    Secret(Secret),
    /// A signed token: of its own certificate, or of somebody whom the tenant trusts.
    Assertion(Secret),
}

/// A login host, and for what tokens are asked there.
#[derive(Clone)]
pub(in crate::azure) struct Exchange {
    wire: Arc<dyn Wire>,
    authority: Url,
    scope: String,
    now: Now,
}

impl Exchange {
    pub(in crate::azure) fn new(wire: Arc<dyn Wire>, environment: &Environment, now: Now) -> Self {
        Self {
            wire,
            authority: environment.authority.clone(),
            scope: environment.scope(),
            now,
        }
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    pub(super) fn now(&self) -> &Now {
        &self.now
    }

    /// Where a tenant's tokens come from.
    ///
    /// # Errors
    /// When the tenant is neither a GUID nor a domain.
    pub(super) fn token_url(&self, tenant: &str) -> Result<Url, LoginError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let url = (!tenant.is_empty() && tenant.chars().all(allowed))
            .then(|| self.authority.join(&format!("/{tenant}/oauth2/v2.0/token")))
            .and_then(Result::ok);
        url.ok_or_else(|| {
            let fact = format!(
                "{tenant:?} is no tenant: a GUID such as 72f988bf-86f1-41af-91ab-2d7cd011db47 or a domain is needed"
            );
            LoginError::lasting(LoginStep::Login, fact)
        })
    }

    /// Asks once. The caller bounds its time by dropping it.
    ///
    /// # Errors
    /// When there is no token.
    pub(super) async fn token(
        &self,
        tenant: &str,
        client_id: &str,
        proof: &Proof,
    ) -> Result<Token, LoginError> {
        let url = self.token_url(tenant)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = self.request(&url, client_id, proof)?;
        let answer = self.wire.exchange(request).await.map_err(|error| {
            let fact = format!("the login host {host} gave no answer: {error}");
            LoginError::passing(LoginStep::Host, fact)
        })?;
        if answer.status().is_success() {
            self.read(&host, answer.body())
        } else {
            Err(refusal(&host, answer.status(), answer.body()))
        }
    }

    fn request(
        &self,
        url: &Url,
        client_id: &str,
        proof: &Proof,
    ) -> Result<http::Request<Bytes>, LoginError> {
        // A query is written as a form is.
        let mut form = url.clone();
        {
            let mut pairs = form.query_pairs_mut();
            pairs
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", client_id)
                .append_pair("scope", &self.scope);
            match proof {
                Proof::Secret(secret) => pairs.append_pair("client_secret", secret.reveal()),
                Proof::Assertion(token) => pairs
                    .append_pair(
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    )
                    .append_pair("client_assertion", token.reveal()),
            };
        }
        let body = Bytes::from(form.query().unwrap_or_default().to_owned());
        http::Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, concat!("spotpool/", env!("CARGO_PKG_VERSION")))
            .body(body)
            // Its text names the part that is wrong, never the body.
            .map_err(|error| LoginError::lasting(LoginStep::Login, error.to_string()))
    }

    fn read(&self, host: &str, body: &[u8]) -> Result<Token, LoginError> {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(token) = answer.get("access_token").and_then(Value::as_str) else {
            let fact = format!("{host} answered, but without a token: is it a login host?");
            return Err(LoginError::passing(LoginStep::Host, fact));
        };
        // A number in Entra ID, a text in some others.
        let seconds = match answer.get("expires_in") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let seconds = seconds.unwrap_or(SHORTEST).max(0);
        Ok(Token {
            secret: Secret::new(token),
            ends: (self.now)() + Millis(seconds.saturating_mul(1000)),
        })
    }
}

/// Tells a no from an inability: only the login host's own error is a no [RFC 6749 §5.2].
fn refusal(host: &str, status: StatusCode, body: &[u8]) -> LoginError {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let (code, description) = (text("error"), text("error_description"));
    let said = match (code, description) {
        ("", _) => format!("{host} answered {status} without an error of a login host"),
        (code, "") => format!("{host} says {code}"),
        (_, description) => description.to_owned(),
    };
    let fact = one_line(&said, LONGEST);
    let unable = code.is_empty()
        || code == "temporarily_unavailable"
        || status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS;
    if unable {
        LoginError::passing(LoginStep::Host, fact)
    } else {
        LoginError::lasting(LoginStep::Login, fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_login_hosts_own_error_is_a_no() {
        let told = |status: u16, body: &str| {
            let error = refusal(
                "login",
                StatusCode::from_u16(status).unwrap(),
                body.as_bytes(),
            );
            (error.passing, error.fact)
        };
        let no = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}"#;
        assert_eq!(
            told(401, no),
            (
                false,
                "AADSTS7000215: Invalid client secret provided. Trace ID: 1".to_owned()
            )
        );
        assert_eq!(
            told(400, r#"{"error":"unauthorized_client"}"#),
            (false, "login says unauthorized_client".to_owned())
        );
        for (status, body) in [
            (503, no),
            (429, no),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (407, "<html>proxy</html>"),
            (404, ""),
            (302, ""),
        ] {
            assert!(told(status, body).0, "{status} {body}");
        }
    }
}
