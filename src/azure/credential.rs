//! Who we are to Azure: a bearer token, fetched in bounded time, remembered, and never shown.
//!
//! In: a [`CredentialKind`] (from a flag) and the environment. Out: [`Login::token`]. The credentials themselves are
//! azure_identity's; what is added here is the choice between them, a bound on every wait, a memory for failures (so that a
//! hundred pools do not each wait for a login host that is down), and the rule that no real token ever travels over plain http.

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_identity as identity;
use spotpool_core::units::{Millis, Timestamp};
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

use super::Now;
use super::arm_error::one_line;
use super::wire::prepare_tls;

/// How long a token is waited for. Without a bound azure_identity waits for as long as its own retries take, a minute and more.
const PATIENCE: Duration = Duration::from_secs(10);
/// A token is renewed this long before it ends: Azure allows five minutes of clock difference.
const EARLY: Millis = Millis::minutes(5);
/// For how long a failed login is answered from memory.
const FAILURE_LASTS: Millis = Millis::seconds(5);
/// What a simulator on loopback gets.
const DUMMY: &str = "spotpool-on-loopback";

/// Which credential to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialKind {
    /// By the environment: workload identity, else client secret, else (in a cluster) managed identity, else developer tools.
    #[default]
    Auto,
    /// A Kubernetes service account federated with Entra ID (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`).
    WorkloadIdentity,
    /// The identity of the VM this runs on; a user-assigned one by `AZURE_CLIENT_ID`.
    ManagedIdentity,
    /// An application's secret (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`).
    ClientSecret,
    /// The login of `az` or `azd`, for development.
    DeveloperTools,
}

impl CredentialKind {
    /// All of them, in the spelling of the flag.
    pub const ALL: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("workload-identity", Self::WorkloadIdentity),
        ("managed-identity", Self::ManagedIdentity),
        ("client-secret", Self::ClientSecret),
        ("developer-tools", Self::DeveloperTools),
    ];

    /// What `Auto` means here.
    fn resolve(self, env: &Env<'_>) -> Self {
        match self {
            Self::Auto if env("AZURE_FEDERATED_TOKEN_FILE").is_some() => Self::WorkloadIdentity,
            Self::Auto if env("AZURE_CLIENT_SECRET").is_some() => Self::ClientSecret,
            Self::Auto
                if env("KUBERNETES_SERVICE_HOST").is_some()
                    || env("IDENTITY_ENDPOINT").is_some() =>
            {
                Self::ManagedIdentity
            }
            Self::Auto => Self::DeveloperTools,
            chosen => chosen,
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            Self::ALL
                .iter()
                .find(|(_, kind)| kind == self)
                .map_or("auto", |(name, _)| name),
        )
    }
}

impl FromStr for CredentialKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            format!(
                "unknown credential {text:?}; it is one of {}",
                Self::ALL.map(|(name, _)| name).join(", ")
            )
        })
    }
}

/// Looks up an environment variable; empty counts as unset.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// No token. The fact holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Entra ID, or the environment, says no: somebody has to act.
    #[error("{fact}")]
    Invalid {
        /// What was said.
        fact: String,
    },
    /// Nobody answered in time.
    #[error("{fact}")]
    Unreachable {
        /// What happened.
        fact: String,
    },
}

/// Where tokens come from.
pub(super) enum Login {
    /// A simulator on loopback: a dummy, whatever credential was asked for.
    Loopback,
    /// Entra ID.
    Entra(Box<Entra>),
}

pub(super) struct Entra {
    credential: Arc<dyn TokenCredential>,
    scope: String,
    patience: Duration,
    now: Now,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    token: Option<AccessToken>,
    failure: Option<(LoginError, Timestamp)>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "Login(loopback)",
            Self::Entra(_) => "Login(***)",
        })
    }
}

impl Login {
    /// Chooses and prepares a credential; asks nobody yet. `audience` is whom the token is for, such as `https://management.azure.com`.
    ///
    /// # Errors
    /// When the environment lacks what the credential needs.
    pub(super) fn new(
        kind: CredentialKind,
        env: &Env<'_>,
        audience: &str,
        now: Now,
    ) -> Result<Self, LoginError> {
        let credential = credential(kind.resolve(env), env)?;
        Ok(Self::with(credential, audience, PATIENCE, now))
    }

    pub(super) fn with(
        credential: Arc<dyn TokenCredential>,
        audience: &str,
        patience: Duration,
        now: Now,
    ) -> Self {
        let scope = format!("{}/.default", audience.trim_end_matches('/'));
        Self::Entra(Box::new(Entra {
            credential,
            scope,
            patience,
            now,
            memory: Mutex::default(),
        }))
    }

    /// A token that is good for some minutes.
    ///
    /// # Errors
    /// When there is none within the patience.
    pub(super) async fn token(&self) -> Result<Secret, LoginError> {
        match self {
            Self::Loopback => Ok(Secret::new(DUMMY)),
            Self::Entra(entra) => entra.token().await,
        }
    }

    /// Azure refused the token: the next call gets a new one.
    pub(super) fn forget(&self) {
        // Where it is locked, somebody is getting a new one already.
        if let Self::Entra(entra) = self
            && let Ok(mut memory) = entra.memory.try_lock()
        {
            memory.token = None;
        }
    }
}

impl Entra {
    async fn token(&self) -> Result<Secret, LoginError> {
        // Held while asking: the others wait for the same answer instead of asking the same question.
        let mut memory = self.memory.lock().await;
        let now = (self.now)();
        if let Some(token) = memory
            .token
            .as_ref()
            .filter(|token| ends(token) > now + EARLY)
        {
            return Ok(token.token.clone());
        }
        if let Some((failure, _)) = memory.failure.as_ref().filter(|(_, until)| now < *until) {
            return memory.usable(now).ok_or_else(|| failure.clone());
        }
        let scopes = [self.scope.as_str()];
        let answer =
            match tokio::time::timeout(self.patience, self.credential.get_token(&scopes, None))
                .await
            {
                Ok(answer) => answer.map_err(|error| login_error(&error)),
                Err(_) => Err(LoginError::Unreachable {
                    fact: format!("no token within {} s", self.patience.as_secs()),
                }),
            };
        match answer {
            Ok(token) => {
                let secret = token.token.clone();
                *memory = Memory {
                    token: Some(token),
                    failure: None,
                };
                Ok(secret)
            }
            Err(failure) => {
                let now = (self.now)();
                memory.failure = Some((failure.clone(), now + FAILURE_LASTS));
                memory.usable(now).ok_or(failure)
            }
        }
    }
}

impl Memory {
    /// The old token while it lasts, when there is no new one.
    fn usable(&self, now: Timestamp) -> Option<Secret> {
        self.token
            .as_ref()
            .filter(|token| ends(token) > now)
            .map(|token| token.token.clone())
    }
}

fn ends(token: &AccessToken) -> Timestamp {
    Timestamp(token.expires_on.unix_timestamp().saturating_mul(1000))
}

fn credential(kind: CredentialKind, env: &Env<'_>) -> Result<Arc<dyn TokenCredential>, LoginError> {
    prepare_tls();
    let needed = |name: &str| {
        env(name).ok_or_else(|| LoginError::Invalid {
            fact: format!("the credential {kind} needs the environment variable {name}"),
        })
    };
    let credential: azure_core::Result<Arc<dyn TokenCredential>> = match kind {
        CredentialKind::WorkloadIdentity => identity::WorkloadIdentityCredential::new(Some(
            identity::WorkloadIdentityCredentialOptions {
                client_id: Some(needed("AZURE_CLIENT_ID")?),
                tenant_id: Some(needed("AZURE_TENANT_ID")?),
                token_file_path: Some(needed("AZURE_FEDERATED_TOKEN_FILE")?.into()),
                ..Default::default()
            },
        ))
        .map(|credential| credential as _),
        CredentialKind::ManagedIdentity => identity::ManagedIdentityCredential::new(Some(
            identity::ManagedIdentityCredentialOptions {
                user_assigned_id: env("AZURE_CLIENT_ID").map(identity::UserAssignedId::ClientId),
                ..Default::default()
            },
        ))
        .map(|credential| credential as _),
        CredentialKind::ClientSecret => {
            let (tenant, client) = (needed("AZURE_TENANT_ID")?, needed("AZURE_CLIENT_ID")?);
            identity::ClientSecretCredential::new(
                &tenant,
                client,
                needed("AZURE_CLIENT_SECRET")?.into(),
                None,
            )
            .map(|credential| credential as _)
        }
        CredentialKind::Auto | CredentialKind::DeveloperTools => {
            identity::DeveloperToolsCredential::new(None).map(|credential| credential as _)
        }
    };
    credential.map_err(|error| login_error(&error))
}

/// Tells a no from silence, and keeps the sentence but nothing of the exchange.
fn login_error(error: &azure_core::Error) -> LoginError {
    let fact = one_line(&error.to_string(), 300);
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        match error
            .downcast_ref::<azure_core::Error>()
            .map(azure_core::Error::kind)
        {
            Some(ErrorKind::HttpResponse { status, .. })
                if status.is_server_error() || u16::from(*status) == 429 =>
            {
                return LoginError::Unreachable { fact };
            }
            Some(ErrorKind::Io | ErrorKind::Connection) => return LoginError::Unreachable { fact },
            _ => next = error.source(),
        }
    }
    LoginError::Invalid { fact }
}
