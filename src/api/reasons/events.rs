//! Events: the table.
//!
//! An event tells that something happened; a condition tells how things are. The list may grow.

use kube::runtime::events::EventType;

use super::words;

/// How an event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Things go as they should.
    Normal,
    /// Somebody may want to know.
    Warning,
}
use Kind::{Normal, Warning};

words! {
    /// Why an event was written.
    EventReason on Kind;

    ScaleSetCreated: Normal, "Azure accepted the creation of the scale set.", "";
    ScalingUp: Normal, "Azure accepted a larger number of instances: more are declared than exist.", "";
    ScalingDown: Normal, "Azure accepted a smaller number of instances: fewer are declared than exist.", "";
    ModelChanged: Normal, "Azure accepted a changed template, `maxPrice` or number of regular instances. New instances get it.", "";
    TemplateRejected: Warning, "Azure rejected a changed template or `maxPrice`. Running instances are not affected.",
        "Correct `spec.template` as the message says.";
    Evicted: Warning, "Azure took Spot instances away. The message names them.", "";
    ReplacementRequested: Normal, "Azure accepted the request for replacements.", "";
    RestartRequested: Normal, "Azure accepted to start instances that an eviction had deallocated. The message names them.", "";
    ReplacingBroken: Normal, "Azure accepted the deletion of instances that failed or stopped, to make room for new ones. The message names them.", "";
    ReplacementRunning: Normal, "Replacements run, and the pool is whole again.", "";
    OfferingRefused: Warning, "Azure refused a VM size in a zone or region. Another one is tried if the pool lists one.",
        "List more VM sizes or zones.";
    QuotaExceeded: Warning, "The subscription's quota does not cover the missing instances.",
        "Request more quota, or lower `capacity`.";
    PriceAboveLimit: Warning, "Azure's Spot price is above `maxPrice`.", "Raise or remove `maxPrice`, or list cheaper VM sizes.";
    GuardRefused: Warning,
        "Azure reports a capacity far below the instances that exist. The list of instances is believed, and nothing is taken away.",
        "Nothing, if it does not repeat. Otherwise compare the message with the scale set in Azure.";
    Throttled: Warning, "Azure asked the operator to slow down (429). It waits as long as Azure says.",
        "If it repeats, raise the operator's `--look-every`, or find out who else calls Azure in this subscription.";
    CredentialsFailed: Warning, "The operator got no token for Azure. The message says at which step.", "See the reason of the condition CredentialsValid.";
    DeletionBlocked: Warning, "The scale set cannot be deleted at present.", "See the condition Deleting; its message says what unblocks it.";
    ScaleSetDeleted: Normal, "Azure accepted the deletion of the scale set and its instances.", "";
    ScaleSetOrphaned: Normal, "The pool was deleted with `deletionPolicy: Orphan`. The scale set runs on and is nobody's.",
        "Delete it in Azure when it is no longer needed: it costs money.";
}

impl EventReason {
    /// How `kubectl` shows it.
    pub const fn event_type(self) -> EventType {
        match self.row().on {
            Normal => EventType::Normal,
            Warning => EventType::Warning,
        }
    }
}
