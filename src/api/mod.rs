//! What people write and read: the `SpotPool` resource.
//!
//! In comes what the API server stores (a manifest that passed the schema and its CEL rules); out go typed Rust values for the
//! controller, the CustomResourceDefinition for `spotpool crd` and the chart, and the one table of conditions and reasons that
//! also becomes `docs/reasons.md`. Nothing here talks to a cluster or to Azure.
//!
//! ```text
//! pool.rs      spec and its helpers        amounts.rs   dollars, durations, counts or percents: text that was checked once
//! template/     what an instance is         rules.rs     CEL rules that several fields share
//! status.rs    what the operator reports   crd.rs       the definition as it is installed
//! reasons/     conditions, reasons, events and what to do about them
//! ```

pub mod amounts;
pub mod crd;
pub mod pool;
pub mod reasons;
mod rules;
pub mod status;
pub mod template;

pub use amounts::{CountOrPercent, MaxPrice, Period};
pub use crd::crd;
pub use pool::{
    Capacity, Credentials, DeletionPolicy, Eviction, EvictionPolicy, OrchestrationMode, ScaleSet,
    SpotPool, SpotPoolSpec, VmSize,
};
pub use reasons::{ConditionType, EventReason, Reason};
pub use status::{
    EvictionStatus, LastAction, Offering, OfferingState, Priority, RegularCounts, ScaleSetRef,
    SpotCounts, SpotPoolStatus,
};
pub use template::{InstanceTemplate, KeyRef, Overrides, Reference, ReferenceKind, Source};

/// API group.
pub const GROUP: &str = "spotpool.io";
/// API version.
pub const VERSION: &str = "v1alpha1";
/// Keeps the object until its scale set is gone (or let go by `deletionPolicy: Orphan`).
pub const FINALIZER: &str = "spotpool.io/scale-set";
/// Keeps the object until the ServiceAccount that it names is released, which comes after its scale set.
pub const RELEASE_FINALIZER: &str = "spotpool.io/service-account";
/// Keeps a ServiceAccount for as long as pools call Azure as it.
pub const IN_USE_FINALIZER: &str = "spotpool.io/in-use";
/// Field manager of every server-side apply of the operator.
pub const FIELD_MANAGER: &str = "spotpool";
/// Label in `status.selector`; its value is the pool's UID. It matches no pods.
pub const POOL_UID_LABEL: &str = "spotpool.io/pool-uid";
/// Annotation that asks for a look now; echoed in `status.lastHandledReconcileAt`. The name is Flux's.
pub const REQUESTED_AT_ANNOTATION: &str = "reconcile.fluxcd.io/requestedAt";
/// Annotation that confirms a removal of many instances: `<uid>/<generation>`, so that it confirms one declaration and no later one.
pub const CONFIRM_ANNOTATION: &str = "spotpool.io/confirm";
/// Tag on the scale set that says whose it is. An Azure tag name may not contain `/`, so it cannot look like a label.
pub const OWNER_TAG: &str = "spotpool_owner";
/// Tag on the scale set and its instances: hash of the model that they were made from.
pub const MODEL_TAG: &str = "spotpool_model";
