//! A pool's own identity: a ServiceAccount of its namespace shows a token of Kubernetes, and Entra ID gives one of Azure for it.
//!
//! In: the account, and the port that asks Kubernetes. Out: tokens. The account is read at every login, so that a corrected annotation
//! needs no restart.

use async_trait::async_trait;
use spotpool_core::planner::LoginStep;
use std::sync::Arc;

use super::exchange::{Exchange, Proof};
use super::{Source, Token};
use crate::cloud::{Account, Accounts, LoginError};

/// The login of one ServiceAccount.
pub(in crate::azure) struct OfAccount {
    pub exchange: Exchange,
    pub accounts: Arc<dyn Accounts>,
    pub account: Account,
    /// Whom the token of Kubernetes is for.
    pub audience: String,
    /// The tenant of an account that names none.
    pub tenant: Option<String>,
}

#[async_trait]
impl Source for OfAccount {
    async fn ask(&self) -> Result<Token, LoginError> {
        let shown = self
            .accounts
            .assertion(&self.account, &self.audience)
            .await?;
        let tenant = shown.tenant_id.as_ref().or(self.tenant.as_ref());
        let tenant = tenant.ok_or_else(|| {
            let fact = format!(
                "the ServiceAccount {} has no annotation azure.workload.identity/tenant-id, and the operator no tenant of its own (AZURE_TENANT_ID) to fall back to",
                self.account
            );
            LoginError::lasting(LoginStep::Annotation, fact)
        })?;
        let proof = Proof::Assertion(shown.token);
        self.exchange.token(tenant, &shown.client_id, &proof).await
    }
}
