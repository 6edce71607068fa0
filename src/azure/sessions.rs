//! Azure for the whole installation: one transport, and one session for each identity that pools use.
//!
//! In: a pool, and as whom Azure is called for it. Out: the session of that identity, made when it is first used. Sessions share
//! connections and counters but no token and no wait: a login that hangs or is refused is noticed by its own pools only.

use async_trait::async_trait;
use spotpool_core::planner::{Action, LoginStep, Quota};
use spotpool_core::units::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Session;
use super::login::{CredentialKind, Env, Exchange, Login, OfAccount, Source, Token, source};
use super::options::{AzureOptions, Reach, SetupError, check, is_loopback};
use super::quota::Quotas;
use super::sets::Groups;
use super::sparing::Spared;
use super::transport::{Caller, Transport};
use super::wire::{Network, Wire};
use crate::cloud::{
    Account, Calls, Cloud, Identity, LoginError, Look, OperationRef, PoolRef, Receipt, Remaining,
    Scope, Shape, Survey, Urgency,
};

/// Azure. One for the whole installation; cheap to share.
pub struct Azure {
    transport: Arc<Transport>,
    options: AzureOptions,
    exchange: Exchange,
    /// The tenant of accounts that name none.
    tenant: Option<String>,
    own: Arc<Session>,
    accounts: Mutex<BTreeMap<Account, Arc<Session>>>,
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Azure {
    /// Over the real network, with the environment's credentials. Asks nobody anything yet.
    ///
    /// # Errors
    /// When the endpoint, the credential or TLS cannot be used.
    pub fn new(options: AzureOptions) -> Result<Self, SetupError> {
        let endpoint = &options.environment.endpoint;
        let loopback = check(endpoint)? == Reach::PlainLoopback || is_loopback(endpoint);
        let network = Network::new(options.connect, loopback, options.roots.as_deref())?;
        Self::over(Arc::new(network), options)
    }

    /// Over another wire, for example to an Azure in the same process.
    ///
    /// # Errors
    /// When the endpoint or the credential cannot be used.
    pub fn over(wire: Arc<dyn Wire>, options: AzureOptions) -> Result<Self, SetupError> {
        let env: &Env<'_> = &|name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::surrounded(wire, options, env)
    }

    /// The same with other variables than the process has.
    pub(super) fn surrounded(
        wire: Arc<dyn Wire>,
        options: AzureOptions,
        env: &Env<'_>,
    ) -> Result<Self, SetupError> {
        let exchange = Exchange::new(wire.clone(), &options.environment, options.now.clone());
        let plain = check(&options.environment.endpoint)? == Reach::PlainLoopback;
        let login = if plain && options.credential != CredentialKind::Nobody {
            Login::Loopback
        } else {
            let source = source(options.credential, env, &exchange)?;
            Login::of(source, options.now.clone())
        };
        let tenant = env("AZURE_TENANT_ID");
        Ok(Self::assemble(wire, exchange, login, tenant, options))
    }

    pub(super) fn assemble(
        wire: Arc<dyn Wire>,
        exchange: Exchange,
        login: Login,
        tenant: Option<String>,
        options: AzureOptions,
    ) -> Self {
        let (deadline, now) = (options.deadline, options.now.clone());
        let endpoint = options.environment.endpoint.clone();
        let transport = Arc::new(Transport::new(wire, endpoint, deadline, now));
        let own = Arc::new(session(&transport, login, &options));
        Self {
            transport,
            options,
            exchange,
            tenant,
            own,
            accounts: Mutex::default(),
        }
    }

    /// The session of an identity.
    pub(super) fn session(&self, identity: &Identity) -> Arc<Session> {
        let Identity::Account(account) = identity else {
            return self.own.clone();
        };
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let there = accounts.entry(account.clone());
        there
            .or_insert_with(|| {
                let login = self.login_of(account);
                Arc::new(session(&self.transport, login, &self.options))
            })
            .clone()
    }

    fn login_of(&self, account: &Account) -> Login {
        let now = self.options.now.clone();
        let Some(accounts) = &self.options.accounts else {
            return Login::of(Box::new(NoAccounts), now);
        };
        if self.options.environment.endpoint.scheme() == "http" {
            return Login::Loopback;
        }
        let source = OfAccount {
            exchange: self.exchange.clone(),
            accounts: accounts.clone(),
            account: account.clone(),
            audience: self.options.environment.exchange_audience.clone(),
            tenant: self.tenant.clone(),
        };
        Login::of(Box::new(source), now)
    }
}

fn session(transport: &Arc<Transport>, login: Login, options: &AzureOptions) -> Session {
    Session {
        transport: Arc::new(Caller::new(transport.clone(), login)),
        endpoint: options.environment.endpoint.clone(),
        deadline: options.deadline,
        now: options.now.clone(),
        shared_for: options.shared_for,
        groups: Groups::default(),
        spared: Spared::default(),
        quotas: Quotas::default(),
    }
}

/// There is nobody to ask about accounts.
struct NoAccounts;

#[async_trait]
impl Source for NoAccounts {
    async fn ask(&self) -> Result<Token, LoginError> {
        let fact = "this program cannot ask for tokens of ServiceAccounts";
        Err(LoginError::lasting(LoginStep::TokenRequest, fact))
    }
}

#[async_trait]
impl Cloud for Azure {
    async fn look(
        &self,
        pool: &PoolRef,
        unfinished: Option<&OperationRef>,
        urgency: Urgency,
    ) -> Look {
        let session = self.session(&pool.identity);
        session.look(pool, unfinished, urgency).await
    }

    async fn act(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        action: &Action,
        urgency: Urgency,
    ) -> Receipt {
        let session = self.session(&pool.identity);
        session.act(pool, shape, action, urgency).await
    }

    async fn quota(
        &self,
        pool: &PoolRef,
        since: Option<Timestamp>,
        urgency: Urgency,
    ) -> Result<Vec<Quota>, String> {
        let session = self.session(&pool.identity);
        session.quota(pool, since, urgency).await
    }

    async fn survey(&self, scope: &Scope) -> Survey {
        self.session(&scope.identity).survey(scope).await
    }

    fn calls(&self) -> Calls {
        self.transport.calls()
    }

    fn remaining(&self) -> Vec<Remaining> {
        self.transport.remaining()
    }

    fn forget(&self, account: &Account) {
        if let Some(accounts) = &self.options.accounts {
            accounts.forget(account);
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.remove(account);
    }
}
