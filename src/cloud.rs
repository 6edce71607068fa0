//! The port to a cloud that can hold a pool: look at it, act on it. Data and errors only; `azure` implements it, `controller` uses it.

mod contents;
mod shape;

use async_trait::async_trait;
use spotpool_core::planner::{Action, Answer, Observed, Outcome};
use spotpool_core::units::Owner;

pub use contents::{Content, Contents};
pub use shape::Shape;

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

    /// Calls made so far, for metrics.
    fn calls(&self) -> Calls;

    /// What is left of the cloud's limits on calls, for metrics.
    fn remaining(&self) -> Vec<Remaining>;
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
    pub not_before: spotpool_core::units::Timestamp,
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

/// Calls made to Azure since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// GETs.
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
