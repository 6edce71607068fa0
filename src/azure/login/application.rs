//! An application (or a user-assigned identity) that proves itself by what the operator's pod has: a secret, a certificate, or a token of
//! its own ServiceAccount.
//!
//! In: tenant, client id and where the proof is. Out: tokens. Files are read again at every login, so that what is rotated is used
//! without a restart.

use async_trait::async_trait;
use spotpool_core::planner::LoginStep;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::exchange::{Exchange, Proof};
use super::{Source, Token, certificate};
use crate::cloud::{LoginError, Secret};

/// What the proof is made from.
pub(super) enum Evidence {
    /// A secret that never changes while we run: an environment variable.
    Secret(Secret),
    /// A file with nothing but a secret.
    SecretFile(PathBuf),
    /// A PEM file with a certificate and its private key; `chain`: show the certificates with it, for an application that trusts their names.
    Certificate { file: PathBuf, chain: bool },
    /// A file with a token that somebody signed whom the tenant trusts; the kubelet replaces it every hour.
    Federated(PathBuf),
}

/// An application.
pub(super) struct Application {
    pub exchange: Exchange,
    pub tenant: String,
    pub client_id: String,
    pub evidence: Evidence,
}

impl Application {
    /// Whether the proof can be made at present: a mistake in the set-up shows at the start and not at the first pool.
    ///
    /// # Errors
    /// When it cannot.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        self.proof().map(drop)
    }

    fn proof(&self) -> Result<Proof, LoginError> {
        Ok(match &self.evidence {
            Evidence::Secret(secret) => Proof::Secret(secret.clone()),
            Evidence::SecretFile(file) => Proof::Secret(read(file)?),
            Evidence::Federated(file) => Proof::Assertion(read(file)?),
            Evidence::Certificate { file, chain } => {
                let pem = read(file)?;
                let audience = self.exchange.token_url(&self.tenant)?;
                let claims = certificate::Claims {
                    audience: audience.as_str(),
                    client_id: &self.client_id,
                    now: (self.exchange.now())(),
                };
                let signed = certificate::assertion(pem.reveal().as_bytes(), *chain, &claims);
                let signed = signed.map_err(|fact| unusable(file, &fact))?;
                Proof::Assertion(signed)
            }
        })
    }
}

#[async_trait]
impl Source for Application {
    async fn ask(&self) -> Result<Token, LoginError> {
        // Small files of a mounted volume: reading them does not wait.
        let proof = self.proof()?;
        self.exchange
            .token(&self.tenant, &self.client_id, &proof)
            .await
    }
}

fn read(file: &Path) -> Result<Secret, LoginError> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => unusable(file, "is not text"),
        _ => unusable(file, &format!("cannot be read: {error}")),
    })?;
    match text.trim() {
        "" => Err(unusable(file, "is empty")),
        text => Ok(Secret::new(text)),
    }
}

fn unusable(file: &Path, fact: &str) -> LoginError {
    LoginError::lasting(LoginStep::Material, format!("{} {fact}", file.display()))
}
