//! One instance of a scale set: what it was made with, and where it stands between birth and end.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Regular or Spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Pay-as-you-go; never evicted.
    Regular,
    /// Cheap, and evicted when Azure wants it back.
    Spot,
}

impl Priority {
    /// Azure's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "Regular",
            Self::Spot => "Spot",
        }
    }
}

/// What becomes of an evicted instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvictionPolicy {
    /// It is deleted, and the capacity falls with it.
    Delete,
    /// It stays, deallocated, and counts on.
    Deallocate,
}

impl EvictionPolicy {
    /// Azure's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Deallocate => "Deallocate",
        }
    }
}

/// Where an instance stands. Times are when the phase ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Being made; `fails` is decided at birth.
    Creating {
        /// Booted, or failed, at this time.
        until: u64,
        /// Whether it will fail.
        fails: bool,
    },
    /// Runs.
    Running,
    /// Runs, and has been told that it will be evicted. ARM shows nothing of it [REC cap 7, 9].
    Noticed {
        /// NotBefore.
        until: u64,
    },
    /// Started again, or restarting.
    Starting {
        /// Runs at this time.
        until: u64,
    },
    /// Being powered off; its cores stay its own.
    Stopping {
        /// Done at this time.
        until: u64,
    },
    /// Powered off: does not run, is still billed and holds its place.
    Stopped,
    /// Being deallocated, by an eviction or on request: nothing tells which [REC cap 7].
    Deallocating {
        /// Done at this time.
        until: u64,
    },
    /// Deallocated: exists, does not run, still counts in capacity and quota, and has lost its place in the market.
    Deallocated,
    /// Going.
    Deleting {
        /// Gone at this time.
        until: u64,
        /// By an eviction rather than by a request.
        evicted: bool,
    },
    /// Provisioning failed; it exists and counts.
    Failed,
}

/// What the scale set's model said when an instance was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    /// Counts the changes of the model, from 1.
    pub revision: u32,
    /// `sku.name`.
    pub vm_size: String,
    /// Micro-dollars an hour; `None` is -1: up to the pay-as-you-go price.
    pub max_price: Option<u64>,
    /// Of Spot instances.
    pub eviction_policy: EvictionPolicy,
}

/// One virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// `{set}_{8 hex}` [REC cap 2].
    pub name: String,
    /// Order of birth in the region.
    pub number: u64,
    /// Regular or Spot.
    pub priority: Priority,
    /// The model it was made from.
    pub model: Arc<Model>,
    /// `""` without zones.
    pub zone: String,
    /// The scale set's tags of that moment.
    pub tags: Arc<BTreeMap<String, String>>,
    /// When it was made.
    pub created: u64,
    /// Where it stands.
    pub phase: Phase,
    /// The operation that made it or takes it.
    pub operation: Option<u64>,
    /// The code with which the last operation on it failed; it then reads Failed [DOC states-billing].
    pub failure: Option<&'static str>,
}

impl Instance {
    /// Exists and is not being deleted.
    #[must_use]
    pub const fn alive(&self) -> bool {
        !matches!(self.phase, Phase::Deleting { .. })
    }

    /// Its programs run (also while noticed).
    #[must_use]
    pub const fn running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Noticed { .. })
    }

    /// Holds a place in the region, so that Azure can take it back.
    #[must_use]
    pub const fn allocated(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Deallocating { .. } | Phase::Deallocated | Phase::Deleting { .. }
        )
    }

    /// `properties.provisioningState` of the VM.
    #[must_use]
    pub const fn provisioning_state(&self) -> &'static str {
        match self.phase {
            Phase::Creating { .. } => "Creating",
            Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Deallocating { .. } => {
                "Updating"
            }
            Phase::Deleting { .. } => "Deleting",
            Phase::Failed => "Failed",
            _ if self.failure.is_some() => "Failed",
            Phase::Running | Phase::Noticed { .. } | Phase::Stopped | Phase::Deallocated => {
                "Succeeded"
            }
        }
    }

    /// The code after `PowerState/` in the instance view.
    #[must_use]
    pub const fn power_state(&self) -> &'static str {
        match self.phase {
            Phase::Creating { .. } | Phase::Starting { .. } => "starting",
            Phase::Running | Phase::Noticed { .. } | Phase::Failed => "running",
            Phase::Stopping { .. } | Phase::Deleting { .. } => "stopping",
            Phase::Stopped => "stopped",
            Phase::Deallocating { .. } => "deallocating",
            Phase::Deallocated => "deallocated",
        }
    }

    pub(super) const fn due(&self) -> Option<u64> {
        match self.phase {
            Phase::Creating { until, .. }
            | Phase::Noticed { until }
            | Phase::Starting { until }
            | Phase::Stopping { until }
            | Phase::Deallocating { until }
            | Phase::Deleting { until, .. } => Some(until),
            Phase::Running | Phase::Stopped | Phase::Deallocated | Phase::Failed => None,
        }
    }
}
