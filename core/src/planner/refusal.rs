//! A "no" from Azure as data: what was refused, why, and when asking again makes sense.

use crate::units::{Millis, Timestamp, VmSize};

/// Azure understood and declined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What kind of no.
    pub kind: RefusalKind,
    /// Azure's error code, such as `SkuNotAvailable`.
    pub code: String,
    /// Azure's message, shortened to what fits a condition.
    pub message: String,
    /// `x-ms-request-id`, for Azure's support.
    pub request_id: String,
}

/// The kinds of no that call for different answers (azure.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// No machines left: `SkuNotAvailable`, `AllocationFailed`, `ZonalAllocationFailed`, `Overconstrained…`.
    NoCapacity,
    /// Quota is used up.
    QuotaExceeded,
    /// Quota is zero: nobody ever asked Azure for any.
    QuotaIsZero,
    /// The Spot price is above `maxPrice`.
    PriceAboveLimit,
    /// The size does not exist in this region, or not for this subscription.
    VmSizeUnknown,
    /// Azure rejects the model itself: image, network, a property.
    TemplateRejected,
    /// The resource group or subscription does not exist.
    PlaceMissing,
    /// A policy or a lock forbids it, or the role is missing.
    Forbidden,
    /// The operation failed and nobody said why.
    Unexplained,
}

/// No refusal keeps a size closed for longer.
pub(super) const LONGEST_WAIT: Millis = Millis::minutes(60);

impl RefusalKind {
    /// Whether waiting may help. Where it does not, somebody has to act.
    pub fn needs_a_human(self) -> bool {
        matches!(
            self,
            Self::QuotaIsZero
                | Self::VmSizeUnknown
                | Self::TemplateRejected
                | Self::PlaceMissing
                | Self::Forbidden
        )
    }

    /// Whether another VM size may be obtainable although this one was refused.
    pub fn is_about_the_size(self) -> bool {
        matches!(
            self,
            Self::NoCapacity
                | Self::QuotaExceeded
                | Self::QuotaIsZero
                | Self::PriceAboveLimit
                | Self::VmSizeUnknown
                | Self::Unexplained
        )
    }

    /// First wait and longest wait before the same is asked again; it doubles in between.
    /// Karpenter's Azure provider waits an hour for capacity and 10 minutes for quota; spotpool begins sooner, since a
    /// doubling wait costs few calls and capacity often returns within minutes.
    fn patience(self) -> (Millis, Millis) {
        match self {
            Self::NoCapacity | Self::PriceAboveLimit => (Millis::minutes(1), Millis::minutes(30)),
            Self::QuotaExceeded => (Millis::minutes(2), Millis::minutes(30)),
            Self::Unexplained => (Millis::seconds(30), Millis::minutes(15)),
            Self::QuotaIsZero
            | Self::VmSizeUnknown
            | Self::TemplateRejected
            | Self::PlaceMissing
            | Self::Forbidden => (Millis::minutes(5), LONGEST_WAIT),
        }
    }
}

/// One size that Azure declined to sell, until when, and how often in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Closed {
    /// What was refused.
    pub vm_size: VmSize,
    /// The last refusal.
    pub refusal: Refusal,
    /// Not asked again before.
    pub until: Timestamp,
    /// Refusals in a row.
    pub strikes: u32,
}

impl Closed {
    /// Closes a size after a refusal; `before` is what was known of it.
    pub(super) fn after(
        vm_size: VmSize,
        refusal: Refusal,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let strikes = before.map_or(0, |closed| closed.strikes).saturating_add(1);
        let (first, longest) = refusal.kind.patience();
        let doubled = first
            .0
            .saturating_mul(1_i64 << strikes.saturating_sub(1).min(16));
        Self {
            vm_size,
            until: now + Millis(doubled.min(longest.0)),
            refusal,
            strikes,
        }
    }
}
