//! ServiceAccounts as whom pools call Azure: what Kubernetes knows and signs for them.
//!
//! In comes an account; out goes a token that Kubernetes signed for the login host, with the client id and the tenant of the account's
//! annotations (those of Azure Workload Identity), or the step that failed. It implements the port [`Accounts`], so that the client of
//! Azure knows nothing of Kubernetes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use spotpool_core::planner::LoginStep;

use crate::api::{FIELD_MANAGER, IN_USE_FINALIZER};
use crate::cloud::{Account, Accounts, Assertion, LoginError, Secret};

use super::kubernetes::{Error, bounded};

/// The annotations of Azure Workload Identity.
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";
/// How long a token of Kubernetes is asked to live. Each login asks for a new one; but in a namespace that is being deleted Kubernetes gives
/// none, and the last one must do until the scale sets are gone.
const LIFE_SECONDS: i64 = 24 * 3600;
/// The cause that the API server names then.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// The API server as far as ServiceAccounts go.
pub struct ServiceAccounts {
    client: Client,
    shown: Mutex<BTreeMap<Account, Assertion>>,
}

impl ServiceAccounts {
    /// Over this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            shown: Mutex::default(),
        }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<Account, Assertion>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole(&self, account: &Account) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &account.namespace)
    }

    fn metadata(&self, account: &Account) -> Api<PartialObjectMeta<ServiceAccount>> {
        Api::namespaced(self.client.clone(), &account.namespace)
    }

    /// Keeps an account from vanishing before the pools that need it, as it would when both are deleted at once: objects go in no order.
    /// `false`: there is no such account yet. What is not allowed is done without.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn hold(&self, account: &Account) -> Result<bool, Error> {
        let accounts = self.metadata(account);
        let read = bounded(
            "read the ServiceAccount",
            accounts.get_metadata(&account.name),
        )
        .await;
        let absent = read.as_ref().is_err_and(|error| error.code() == Some(404));
        let Some(found) = tolerated(read)? else {
            return Ok(!absent);
        };
        let held = found.finalizers().iter().any(|one| one == IN_USE_FINALIZER);
        // No finalizer can be added to what is on its way out.
        if held || found.metadata.deletion_timestamp.is_some() {
            return Ok(true);
        }
        // With the UID, so that an account that has just been deleted is not made anew.
        let ours = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": account.name, "uid": found.metadata.uid, "finalizers": [IN_USE_FINALIZER]},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&ours);
        let patched = accounts.patch_metadata(&account.name, &params, &patch);
        tolerated(bounded("keep the ServiceAccount", patched).await)?;
        Ok(true)
    }

    /// No pool needs the account any more.
    ///
    /// # Errors
    /// If the API server does not answer, or somebody else changed the finalizers meanwhile.
    pub async fn release(&self, account: &Account) -> Result<(), Error> {
        let accounts = self.metadata(account);
        let read = bounded(
            "read the ServiceAccount",
            accounts.get_metadata(&account.name),
        )
        .await;
        let Some(found) = tolerated(read)? else {
            return Ok(());
        };
        let mut finalizers = found.finalizers().iter();
        let Some(index) = finalizers.position(|one| one == IN_USE_FINALIZER) else {
            return Ok(());
        };
        let path = format!("/metadata/finalizers/{index}");
        let patch = json!([
            {"op": "test", "path": path, "value": IN_USE_FINALIZER},
            {"op": "remove", "path": path},
        ]);
        let what = "release the ServiceAccount";
        let patch = serde_json::from_value(patch).map_err(|error| Error::Refused {
            what,
            source: Box::new(kube::Error::SerdeError(error)),
        })?;
        let patch: Patch<()> = Patch::Json(patch);
        let params = PatchParams::default();
        let patched = accounts.patch_metadata(&account.name, &params, &patch);
        let patched = bounded(what, patched).await;
        if patched
            .as_ref()
            .is_err_and(|error| error.code() == Some(403))
        {
            tracing::warn!(
                %account,
                "not allowed to release the ServiceAccount, which cannot be deleted now: kubectl patch serviceaccount {} -n {} --type=json -p '[{{\"op\":\"remove\",\"path\":\"{path}\"}}]'",
                account.name,
                account.namespace
            );
        }
        tolerated(patched)?;
        Ok(())
    }
}

/// `None`: there is no such account, or it is not ours to see or to change.
fn tolerated<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.code(), Some(403 | 404)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Accounts for ServiceAccounts {
    async fn assertion(&self, account: &Account, audience: &str) -> Result<Assertion, LoginError> {
        let asked = self.ask(account, audience).await;
        let mut shown = self.shown();
        match (asked, shown.get(account)) {
            (Ok(new), _) => {
                shown.insert(account.clone(), new.clone());
                Ok(new)
            }
            (Err(error), Some(last)) if error.step == LoginStep::Namespace => Ok(last.clone()),
            (Err(error), _) => Err(error),
        }
    }

    fn forget(&self, account: &Account) {
        self.shown().remove(account);
    }
}

impl ServiceAccounts {
    async fn ask(&self, account: &Account, audience: &str) -> Result<Assertion, LoginError> {
        let name = account.name.as_str();
        let metadata = self.metadata(account);
        let found = bounded("read the ServiceAccount", metadata.get_metadata(name)).await;
        let found = found.map_err(|error| refused(account, &error))?;
        let annotation = |key: &str| {
            let value = found.annotations().get(key).map(|value| value.trim());
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let client_id = annotation(CLIENT_ID).ok_or_else(|| {
            let fact = format!("the ServiceAccount {account} has no annotation {CLIENT_ID}");
            LoginError::lasting(LoginStep::Annotation, fact)
        })?;
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.to_owned()],
                expiration_seconds: Some(LIFE_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let accounts = self.whole(account);
        let params = PostParams::default();
        let asked = accounts.create_token_request(name, &params, &request);
        let answer = bounded("get a token for the ServiceAccount", asked).await;
        let answer = answer.map_err(|error| refused(account, &error))?;
        let status = answer.status.ok_or_else(|| {
            let fact = format!("Kubernetes gave no token for the ServiceAccount {account}");
            LoginError::passing(LoginStep::TokenRequest, fact)
        })?;
        Ok(Assertion {
            client_id,
            tenant_id: annotation(TENANT_ID),
            token: Secret::new(status.token),
        })
    }
}

fn refused(account: &Account, error: &Error) -> LoginError {
    let Some(answer) = error.answer() else {
        return LoginError::passing(LoginStep::TokenRequest, error.to_string());
    };
    let causes = answer.details.iter().flat_map(|details| &details.causes);
    let terminating = causes
        .into_iter()
        .any(|cause| cause.reason == NAMESPACE_TERMINATING);
    let fact = answer.message.clone();
    match answer.code {
        404 => {
            let fact = format!("there is no ServiceAccount {account}");
            LoginError::lasting(LoginStep::Account, fact)
        }
        _ if terminating => LoginError::lasting(LoginStep::Namespace, fact),
        400..=428 | 430..=499 => LoginError::lasting(LoginStep::TokenRequest, fact),
        _ => LoginError::passing(LoginStep::TokenRequest, fact),
    }
}
