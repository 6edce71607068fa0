//! Where Azure is and how to talk to it: what the command line decides, checked before anything is sent.

use reqwest::Url;
use spotpool_core::units::{Millis, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::clouds::Environment;
use super::login::CredentialKind;
use super::wire::WireError;
use crate::cloud::{Accounts, LoginError};

/// What time it is: the installation's clock.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where Azure is and how to talk to it.
#[derive(Clone)]
pub struct AzureOptions {
    /// Which Azure.
    pub environment: Environment,
    /// PEM certificates of the authorities that may vouch for its hosts; `None`: the system's.
    pub roots: Option<Vec<u8>>,
    /// Who we are, where a pool does not say otherwise. Without effect towards loopback over http, which gets a dummy.
    pub credential: CredentialKind,
    /// How pools show an identity of their own; `None`: they cannot.
    pub accounts: Option<Arc<dyn Accounts>>,
    /// The clock.
    pub now: Now,
    /// The longest that one call may take.
    pub deadline: Duration,
    /// The longest that connecting may take.
    pub connect: Duration,
    /// How old a list that pools share may be when one asks for it: less than they look apart.
    pub shared_for: Millis,
}

impl AzureOptions {
    /// The credential that the surroundings offer, towards this Azure.
    pub fn towards(environment: Environment, now: Now) -> Self {
        Self {
            environment,
            roots: None,
            credential: CredentialKind::Auto,
            accounts: None,
            now,
            deadline: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            shared_for: Millis::seconds(2),
        }
    }

    /// Parses an endpoint as given on the command line.
    ///
    /// # Errors
    /// When it is no URL, or one that a token must not be sent to.
    pub fn parse_endpoint(text: &str) -> Result<Url, SetupError> {
        let url = Url::parse(text).map_err(|error| SetupError::Endpoint {
            fact: format!("is no URL: {error}"),
        })?;
        check(&url)?;
        Ok(url)
    }
}

impl fmt::Debug for AzureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureOptions")
            .field("environment", &self.environment)
            .field("credential", &self.credential)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The endpoint cannot be used.
    #[error("the Azure endpoint {fact}")]
    Endpoint {
        /// Why not.
        fact: String,
    },
    /// The login host cannot be used.
    #[error("the Azure login host {fact}")]
    Authority {
        /// Why not.
        fact: String,
    },
    /// The credential lacks something.
    #[error("the Azure credential cannot be used: {0}")]
    Credential(#[from] LoginError),
    /// TLS cannot be set up.
    #[error("the network cannot be used: {0}")]
    Network(#[from] WireError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Encrypted,
    PlainLoopback,
}

/// A token may go over https, or over loopback if it is a dummy.
pub(super) fn check(endpoint: &Url) -> Result<Reach, SetupError> {
    let refuse = |fact: &str| {
        Err(SetupError::Endpoint {
            fact: format!("{endpoint} {fact}"),
        })
    };
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(SetupError::Endpoint {
            fact: "must not contain a user name or password".to_owned(),
        });
    }
    if endpoint.query().is_some()
        || endpoint.fragment().is_some()
        || !matches!(endpoint.path(), "" | "/")
    {
        return refuse("must be a scheme, a host and perhaps a port, and nothing more");
    }
    match endpoint.scheme() {
        "https" => Ok(Reach::Encrypted),
        "http" if is_loopback(endpoint) => Ok(Reach::PlainLoopback),
        "http" => refuse("must use https: plain http is only for loopback"),
        _ => refuse("must use https"),
    }
}

/// By the address itself or the name `localhost`; other names could lead anywhere.
pub(super) fn is_loopback(endpoint: &Url) -> bool {
    let host = endpoint
        .host_str()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_tokens_only_over_https_and_dummies_only_over_loopback() {
        let table = [
            ("https://management.azure.com", true),
            ("https://management.azure.com/", true),
            ("https://management.usgovcloudapi.net", true),
            ("https://127.0.0.1:8443", true),
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://management.azure.com", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://0.0.0.0:8080", false),
            ("http://10.0.0.1", false),
            ("https://user:word@management.azure.com", false),
            ("https://management.azure.com/subscriptions", false),
            ("https://management.azure.com/?a=b", false),
            ("ftp://127.0.0.1", false),
            ("unix:/tmp/socket", false),
            ("management.azure.com", false),
        ];
        for (endpoint, usable) in table {
            assert_eq!(
                AzureOptions::parse_endpoint(endpoint).is_ok(),
                usable,
                "{endpoint}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_an_endpoint_without_repeating_a_password() {
        let error =
            AzureOptions::parse_endpoint("https://me:hunter2@management.azure.com").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Azure endpoint must not contain a user name or password"
        );
    }
}
