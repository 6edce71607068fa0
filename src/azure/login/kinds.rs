//! Which credential the operator itself uses: by a flag, or by what the environment offers.
//!
//! In: a [`CredentialKind`] and the environment's variables, which have the names that Azure's SDKs gave them. Out: a source of tokens.

use async_trait::async_trait;
use spotpool_core::planner::LoginStep;
use std::fmt;
use std::str::FromStr;

use super::application::{Application, Evidence};
use super::{Exchange, Source, Token, library};
use crate::cloud::{LoginError, Secret};

/// Which credential to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialKind {
    /// By the environment: workload identity, else client secret, else client certificate, else (in a cluster) managed identity, else developer tools.
    #[default]
    Auto,
    /// A Kubernetes service account federated with Entra ID (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`).
    WorkloadIdentity,
    /// The identity of the VM this runs on; a user-assigned one by `AZURE_CLIENT_ID`.
    ManagedIdentity,
    /// An application's secret (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, and `AZURE_CLIENT_SECRET_FILE` or `AZURE_CLIENT_SECRET`).
    ClientSecret,
    /// An application's certificate (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_CERTIFICATE_PATH`).
    ClientCertificate,
    /// The login of `az` or `azd`, for development.
    DeveloperTools,
    /// None: every pool must name a ServiceAccount of its own.
    Nobody,
}

impl CredentialKind {
    /// All of them, in the spelling of the flag.
    pub const ALL: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("workload-identity", Self::WorkloadIdentity),
        ("managed-identity", Self::ManagedIdentity),
        ("client-secret", Self::ClientSecret),
        ("client-certificate", Self::ClientCertificate),
        ("developer-tools", Self::DeveloperTools),
        ("nobody", Self::Nobody),
    ];

    /// What `Auto` means here.
    fn resolve(self, env: &Env<'_>) -> Self {
        let has = |name| env(name).is_some();
        match self {
            Self::Auto if has("AZURE_FEDERATED_TOKEN_FILE") => Self::WorkloadIdentity,
            Self::Auto if has("AZURE_CLIENT_SECRET_FILE") || has("AZURE_CLIENT_SECRET") => {
                Self::ClientSecret
            }
            Self::Auto if has("AZURE_CLIENT_CERTIFICATE_PATH") => Self::ClientCertificate,
            Self::Auto if has("KUBERNETES_SERVICE_HOST") || has("IDENTITY_ENDPOINT") => {
                Self::ManagedIdentity
            }
            Self::Auto => Self::DeveloperTools,
            chosen => chosen,
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(known.map_or("auto", |(name, _)| name))
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
pub(in crate::azure) type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Prepares a credential; asks nobody yet.
///
/// # Errors
/// When the environment lacks what the credential needs.
pub(in crate::azure) fn source(
    kind: CredentialKind,
    env: &Env<'_>,
    exchange: &Exchange,
) -> Result<Box<dyn Source>, LoginError> {
    let kind = kind.resolve(env);
    let needed = |name: &str| {
        env(name).ok_or_else(|| {
            let fact = format!("the credential {kind} needs the environment variable {name}");
            LoginError::lasting(LoginStep::Choice, fact)
        })
    };
    let application = |evidence| {
        let application = Application {
            exchange: exchange.clone(),
            tenant: needed("AZURE_TENANT_ID")?,
            client_id: needed("AZURE_CLIENT_ID")?,
            evidence,
        };
        application.exchange.token_url(&application.tenant)?;
        application.check()?;
        Ok(Box::new(application) as Box<dyn Source>)
    };
    match kind {
        CredentialKind::WorkloadIdentity => {
            let file = needed("AZURE_FEDERATED_TOKEN_FILE")?;
            application(Evidence::Federated(file.into()))
        }
        CredentialKind::ClientSecret => match env("AZURE_CLIENT_SECRET_FILE") {
            Some(file) => application(Evidence::SecretFile(file.into())),
            None => application(Evidence::Secret(Secret::new(needed(
                "AZURE_CLIENT_SECRET",
            )?))),
        },
        CredentialKind::ClientCertificate => {
            let file = needed("AZURE_CLIENT_CERTIFICATE_PATH")?.into();
            let chain = env("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
            let chain = chain.is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
            application(Evidence::Certificate { file, chain })
        }
        CredentialKind::ManagedIdentity => {
            library::managed_identity(env("AZURE_CLIENT_ID"), exchange.scope())
        }
        CredentialKind::Auto | CredentialKind::DeveloperTools => {
            library::developer_tools(exchange.scope())
        }
        CredentialKind::Nobody => Ok(Box::new(Nobody)),
    }
}

/// The operator has an identity for no pool.
struct Nobody;

#[async_trait]
impl Source for Nobody {
    async fn ask(&self) -> Result<Token, LoginError> {
        let fact = "the pool names no ServiceAccount, and this installation does not lend pools an identity of its own";
        Err(LoginError::lasting(LoginStep::Choice, fact))
    }
}
