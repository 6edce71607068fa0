//! What a call to Azure came to, when not to a yes: whether it was sent, whether it was answered, and by whom.

use azure_core_legacy as ac;
use spotpool_core::units::Timestamp;

use super::arm_error::{ArmError, one_line};
use crate::cloud::LoginError;

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
