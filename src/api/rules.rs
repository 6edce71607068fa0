//! CEL rules that several fields share. Rules of one field stand on that field.
//!
//! Three things hold for every rule in this API, because the API server was seen to break otherwise: `reason` stays unset (a
//! reason hides the message), no rule mentions the scaled field `capacity.spot` (`/scale` runs them all), and a transition rule for
//! an optional field sits on the parent and compares presence (on the field itself it is skipped when the field appears or vanishes).

use kube::core::Rule;

/// For a required field that never changes. On an optional field this would be bypassed by unset-then-set.
pub(super) fn immutable(field: &str) -> Rule {
    Rule::new("self == oldSelf")
        .message(format!("{field} is immutable: create another SpotPool instead").as_str())
}

/// For a field that holds the full ID of a subnet.
pub(super) fn subnet_id() -> Rule {
    Rule::new(
        "self.matches('(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+$')",
    )
    .message("must be a full Azure resource ID, such as /subscriptions/…/virtualNetworks/vnet/subnets/batch")
}
