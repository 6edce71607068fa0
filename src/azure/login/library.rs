//! Microsoft's own azure_identity, for what it does well: the identity of the machine, and the login of a developer's tools.
//!
//! In: a scope. Out: a source of tokens. These two reach no login host of ours: the machine's identity is on a link-local address, and
//! the tools are programs with a cloud of their own (`az cloud set`).

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_identity as identity;
use spotpool_core::planner::LoginStep;
use spotpool_core::units::Timestamp;
use std::error::Error;
use std::sync::Arc;

use super::super::arm_error::one_line;
use super::super::wire::prepare_tls;
use super::{Source, Token};
use crate::cloud::{LoginError, Secret};

struct Library {
    credential: Arc<dyn TokenCredential>,
    scope: String,
}

/// The identity of the machine; a user-assigned one by its client id.
///
/// # Errors
/// When the environment names one that is not understood.
pub(super) fn managed_identity(
    client_id: Option<String>,
    scope: &str,
) -> Result<Box<dyn Source>, LoginError> {
    prepare_tls();
    let options = identity::ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(identity::UserAssignedId::ClientId),
        ..Default::default()
    };
    let made = identity::ManagedIdentityCredential::new(Some(options));
    of(made.map(|credential| credential as _), scope)
}

/// The login of `az`, else of `azd`.
///
/// # Errors
/// Not known to happen.
pub(super) fn developer_tools(scope: &str) -> Result<Box<dyn Source>, LoginError> {
    prepare_tls();
    let made = identity::DeveloperToolsCredential::new(None);
    of(made.map(|credential| credential as _), scope)
}

fn of(
    made: azure_core::Result<Arc<dyn TokenCredential>>,
    scope: &str,
) -> Result<Box<dyn Source>, LoginError> {
    let credential = made.map_err(|error| login_error(&error))?;
    Ok(Box::new(Library {
        credential,
        scope: scope.to_owned(),
    }))
}

#[async_trait]
impl Source for Library {
    async fn ask(&self) -> Result<Token, LoginError> {
        let scopes = [self.scope.as_str()];
        let token = self.credential.get_token(&scopes, None).await;
        let token = token.map_err(|error| login_error(&error))?;
        Ok(Token {
            secret: Secret::new(token.token.secret()),
            ends: Timestamp(token.expires_on.unix_timestamp().saturating_mul(1000)),
        })
    }
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
                return LoginError::passing(LoginStep::Host, fact);
            }
            Some(ErrorKind::Io | ErrorKind::Connection) => {
                return LoginError::passing(LoginStep::Host, fact);
            }
            _ => next = error.source(),
        }
    }
    LoginError::lasting(LoginStep::Login, fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::error::ErrorKind;

    #[test]
    fn a_no_is_told_from_silence() {
        let told =
            |kind: ErrorKind| login_error(&azure_core::Error::with_message(kind, "said\r\nso"));
        assert_eq!(
            told(ErrorKind::Credential),
            LoginError::lasting(LoginStep::Login, "said so")
        );
        assert_eq!(
            told(ErrorKind::Io),
            LoginError::passing(LoginStep::Host, "said so")
        );
    }
}
