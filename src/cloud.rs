//! The port to a cloud that can hold a pool: look at it, act on it. Data and errors only; `azure` implements it, `controller` uses it.

mod contents;
mod shape;
mod survey;

use async_trait::async_trait;
use spotpool_core::planner::{Action, Answer, Blind, LoginStep, Observed, Outcome, Quota, Refusal};
use spotpool_core::units::{Owner, Seen, Timestamp};

pub use contents::{Content, Contents};
pub use shape::Shape;
pub use survey::{Line, Scope, Survey};

/// A cloud that can hold a pool.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// All of one pool, read now: how our unfinished operation ended (at most one poll), then the set, then its instances. 2 or 3 reads.
    ///
    /// The order is part of the contract: a write guarded by the set's ETag then also guards the list.
    /// Never fails: what could not be read is `Seen::Unknown` with its reason. What the cloud's limits do not bear now is not asked
    /// (`Blind::HeldBack`): the more urgent goes first.
    async fn look(
        &self,
        pool: &PoolRef,
        unfinished: Option<&OperationRef>,
        urgency: Urgency,
    ) -> Look;

    /// Carries out one action; absolute, guarded, or idempotent by name. "No" and "no answer" are answers, not errors; "not now" is
    /// `Answer::Later`, and nothing was done.
    async fn act(
        &self,
        pool: &PoolRef,
        shape: &Shape,
        action: &Action,
        urgency: Urgency,
    ) -> Receipt;

    /// What the pool's subscription may hold in its region, seconds old and read after `since`: one read for all pools that
    /// grow there meanwhile.
    ///
    /// # Errors
    /// Why nothing is known of it: no reason not to buy.
    async fn quota(
        &self,
        pool: &PoolRef,
        since: Option<Timestamp>,
        urgency: Urgency,
    ) -> Result<Vec<Quota>, String>;

    /// All scale sets of a scope in brief, for a price that does not grow with them: one read for a thousand. Never fails: what could
    /// not be read whole is `Survey::Unknown`. It may show the cloud as it was a minute ago, so nothing may be decided on it.
    async fn survey(&self, scope: &Scope) -> Survey;

    /// Calls made so far, for metrics.
    fn calls(&self) -> Calls;

    /// What is left of the cloud's limits on calls, for metrics.
    fn remaining(&self) -> Vec<Remaining>;

    /// No pool uses this account any more: its token need not be kept.
    fn forget(&self, _account: &Account) {}
}

/// Who goes first when the cloud's limits do not bear all calls at once: the first is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Brings back what was lost.
    Rescue,
    /// Brings about what is declared.
    Change,
    /// Takes away what is no longer declared.
    Tidying,
    /// Only looks.
    Looking,
}

/// The Kubernetes ServiceAccounts as whom pools call Azure: how a cloud gets at the proof of their identity.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// What an account shows to the login host: for whom, and a token that Kubernetes signed for this `audience`, fresh each time.
    ///
    /// # Errors
    /// Which step failed, and what to do.
    async fn assertion(&self, account: &Account, audience: &str) -> Result<Assertion, LoginError>;

    /// No pool uses this account any more: nothing need be remembered of it.
    fn forget(&self, _account: &Account) {}
}

/// A ServiceAccount in a pool's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// The pool's namespace.
    pub namespace: String,
    /// The account's name.
    pub name: String,
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// As whom a pool's scale set is looked at and changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// The operator's own, where the installation lends it.
    #[default]
    Operator,
    /// The one that a ServiceAccount of the pool's namespace stands for.
    Account(Account),
}

/// A signed token that stands for an account, and for which application of Azure.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The application (client) id.
    pub client_id: String,
    /// The tenant; `None`: the operator's.
    pub tenant_id: Option<String>,
    /// Signed by Kubernetes.
    pub token: Secret,
}

/// No token for Azure. The fact holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fact}")]
pub struct LoginError {
    /// Where the way to it ended.
    pub step: LoginStep,
    /// What happened there.
    pub fact: String,
    /// Nobody answered, which may end by itself. Otherwise somebody said no, and somebody else has to act.
    pub passing: bool,
}

impl LoginError {
    /// Somebody has to act.
    pub fn lasting(step: LoginStep, fact: impl Into<String>) -> Self {
        Self {
            step,
            fact: fact.into(),
            passing: false,
        }
    }

    /// It may end by itself.
    pub fn passing(step: LoginStep, fact: impl Into<String>) -> Self {
        Self {
            step,
            fact: fact.into(),
            passing: true,
        }
    }
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request that needs it and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where a pool's scale set is, and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRef {
    /// Azure subscription id.
    pub subscription: String,
    /// Resource group.
    pub resource_group: String,
    /// Short name of the region, such as `eastus`.
    pub location: String,
    /// Name of the scale set.
    pub scale_set: String,
    /// How Azure keeps its instances: decides which endpoints there are and how instances are called.
    pub mode: OrchestrationMode,
    /// The value that the tag `spotpool_owner` must have.
    pub owner: Owner,
    /// As whom Azure is called for it.
    pub identity: Identity,
}

/// The two kinds of scale set (azure.md §1.5). Azure never turns one into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrchestrationMode {
    /// Instances are virtual machines of their own; Spot and regular ones mix.
    #[default]
    Flexible,
    /// Instances exist only inside their set; all of one priority.
    Uniform,
}

/// What Azure does with an instance that it evicts. It never changes on a set that exists (azure.md §0.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum EvictionPolicy {
    /// It is deleted, and the set's capacity falls with it.
    #[default]
    Delete,
    /// It stays, deallocated, counts in capacity and quota, and can be started again.
    Deallocate,
}

impl PoolRef {
    /// The ARM id of the scale set.
    pub fn scale_set_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
            self.subscription, self.resource_group, self.scale_set
        )
    }
}

/// An operation of ours that may still run. Its URL is signed and about 4 kB long; it is polled verbatim and never leaves the process.
#[derive(Clone)]
pub struct OperationRef {
    /// The value of `Azure-AsyncOperation`, else `Location`.
    pub url: String,
    /// When it may be polled next (no faster than every 5 s, azure.md §5).
    pub not_before: Timestamp,
}

impl std::fmt::Debug for OperationRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The signature in the query is a secret.
        write!(
            f,
            "OperationRef({})",
            self.url.split('?').next().unwrap_or_default()
        )
    }
}

/// What one look brought.
#[derive(Clone, Debug)]
pub struct Look {
    /// For the planner.
    pub observed: Observed,
    /// The operation to keep asking about, if it still runs.
    pub unfinished: Option<OperationRef>,
}

impl Look {
    /// One that was not made: its turn is later.
    pub fn held_back(until: Timestamp, unfinished: Option<&OperationRef>) -> Self {
        Self {
            observed: Observed {
                set: Seen::Unknown(Blind::HeldBack { until }),
                instances: Seen::Unknown(Blind::NotAsked),
                outcome: None,
            },
            unfinished: unfinished.cloned(),
        }
    }

    /// How our operation ended, if this look learned it.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.observed.outcome.as_ref()
    }
}

/// What came of an action.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// For the planner.
    pub answer: Answer,
    /// The operation to ask about from the next look on.
    pub operation: Option<OperationRef>,
    /// Azure's id of the request, for logs; empty when there was no answer.
    pub request_id: String,
    /// What happened in words, for logs and conditions; no secrets.
    pub fact: String,
}

impl Receipt {
    /// Of an action that was not even asked for, since the answer was known.
    pub fn unasked(refusal: Refusal) -> Self {
        Self {
            fact: refusal.message.clone(),
            answer: Answer::Refused(refusal),
            operation: None,
            request_id: String::new(),
        }
    }
}

/// Calls made to Azure since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// GETs, and questions that go by POST.
    pub reads: u64,
    /// PUT, PATCH, POST.
    pub writes: u64,
    /// DELETE.
    pub deletes: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Not made, so as not to be answered 429.
    pub held_back: u64,
}

/// What is left of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Azure subscription id; empty for what belongs to none.
    pub subscription: String,
    /// As the cloud calls it.
    pub bucket: String,
    /// So many calls may be made at once.
    pub tokens: u32,
}
