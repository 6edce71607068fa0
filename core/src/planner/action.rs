//! What may be done to Azure, and what came of asking: absolute, guarded by an ETag or idempotent by name, one at a time.

use crate::units::{Count, InstanceName, ModelHash, Timestamp, VmSize};

use super::guard::{Guard, Proof};
use super::refusal::Refusal;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Create the scale set, unless one of that name exists (`If-None-Match: *`).
    Create {
        /// Instances in all.
        capacity: Count,
        /// The first so many are regular.
        base: Count,
        /// Their size.
        vm_size: VmSize,
        /// The model it is made with.
        model: ModelHash,
    },
    /// Set capacity and base: the way to grow. Never the way to shrink: should an eviction come between look and write, Azure would take
    /// wanted instances for it, or count it twice.
    Resize {
        /// Instances in all.
        capacity: Count,
        /// The first so many are regular.
        base: Count,
        /// The size of instances made from now on.
        vm_size: VmSize,
        /// `If-Match`.
        guard: Guard,
    },
    /// Change what new instances are made from and how many of them are regular; leaves capacity and running instances alone.
    Reshape {
        /// The first so many are regular, from the next scaling on.
        base: Count,
        /// The new model.
        model: ModelHash,
        /// `If-Match`.
        guard: Guard,
    },
    /// Delete these instances by name.
    Replace {
        /// Whom.
        instances: Vec<InstanceName>,
        /// Why that is safe.
        proof: Proof,
    },
    /// Start these instances, which exist and are deallocated. Starting one that runs changes nothing.
    Restart {
        /// Whom.
        instances: Vec<InstanceName>,
        /// Their size.
        vm_size: VmSize,
    },
    /// Delete the whole scale set.
    Remove {
        /// Proof that it is ours. Azure's DELETE takes no `If-Match`.
        guard: Guard,
    },
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Azure accepted it; how it ends, a later look will tell.
    Accepted,
    /// Azure understood and declined.
    Refused(Refusal),
    /// Somebody else was faster (412, 409): nothing was done, look again.
    Changed,
    /// It is not there (404): a fact, not a failure.
    Missing,
    /// Not asked, or asked too often: not before.
    Later(Timestamp),
    /// No answer, or none that could be read: it may have happened.
    Unclear,
}

/// Why an action is taken: printed as event, log line and `status.lastAction`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Because {
    /// One word from the documented list.
    pub reason: Reason,
    /// The readings that justify it, in a sentence.
    pub message: String,
}

/// The documented reasons of actions and notes; events carry them verbatim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No scale set yet.
    ScaleSetCreated,
    /// More is declared than exists.
    ScalingUp,
    /// Less is declared than exists.
    ScalingDown,
    /// Evicted instances are asked for again.
    ReplacementRequested,
    /// Evicted instances that stayed are started again.
    RestartRequested,
    /// Instances that cannot work make room for new ones.
    ReplacingBroken,
    /// The declared model differs from the scale set's.
    ModelChanged,
    /// The SpotPool is deleted.
    ScaleSetDeleted,
    /// Note: Spot instances disappeared that we did not take.
    Evicted,
    /// Note: all that was missing runs again.
    ReplacementRunning,
    /// Note: a reading is implausible; nothing is done on it.
    GuardRefused,
    /// Note: Azure declined a size.
    OfferingRefused,
    /// Note: quota is used up.
    QuotaExceeded,
    /// Note: the Spot price is above the limit.
    PriceAboveLimit,
}

impl Reason {
    /// The word as it appears in events and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScaleSetCreated => "ScaleSetCreated",
            Self::ScalingUp => "ScalingUp",
            Self::ScalingDown => "ScalingDown",
            Self::ReplacementRequested => "ReplacementRequested",
            Self::RestartRequested => "RestartRequested",
            Self::ReplacingBroken => "ReplacingBroken",
            Self::ModelChanged => "ModelChanged",
            Self::ScaleSetDeleted => "ScaleSetDeleted",
            Self::Evicted => "Evicted",
            Self::ReplacementRunning => "ReplacementRunning",
            Self::GuardRefused => "GuardRefused",
            Self::OfferingRefused => "OfferingRefused",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::PriceAboveLimit => "PriceAboveLimit",
        }
    }
}
