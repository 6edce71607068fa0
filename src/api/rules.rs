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

/// For a field that holds the full ID of an image: a managed one, or one in a gallery, with or without its version.
pub(super) fn image_id() -> Rule {
    Rule::new(
        "self.matches('(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Compute/(galleries/[^/]+/)?images/[^/]+(/versions/[^/]+)?$')",
    )
    .message(must("Microsoft.Compute/galleries/gallery/images/image/versions/1.0.0").as_str())
}

/// For a field that holds the full ID of a resource; `example` is one below `providers/`, such as `Microsoft.Network/networkSecurityGroups/nsg`.
pub(super) fn resource_id(example: &str) -> Rule {
    Rule::new(format!("self.matches('{}')", pattern(example)).as_str())
        .message(must(example).as_str())
}

/// The same for a list of them.
pub(super) fn resource_ids(example: &str) -> Rule {
    Rule::new(format!("self.all(id, id.matches('{}'))", pattern(example)).as_str())
        .message(must(example).as_str())
}

fn must(example: &str) -> String {
    format!("must be a full Azure resource ID, such as /subscriptions/…/providers/{example}")
}

/// Provider and types as in the example, names of any kind.
fn pattern(example: &str) -> String {
    let segments = example.split('/').enumerate().map(|(nth, segment)| {
        // provider/type/name/type/name
        if nth > 1 && nth % 2 == 0 {
            "[^/]+"
        } else {
            segment
        }
    });
    let below = segments.collect::<Vec<_>>().join("/");
    format!("(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{below}$")
}
