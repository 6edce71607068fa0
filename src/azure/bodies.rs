//! What is sent about a scale set: an action and a shape, written as bodies for Azure.
//!
//! In: plain values. Out: JSON for PUT and PATCH. A PATCH carries only what the action is about, because whatever is repeated
//! from an older reading would undo what somebody else changed.

use serde_json::{Map, Value, json};
use spotpool_core::units::{Count, VmSize};
use std::collections::BTreeMap;

use super::json::strip_nulls;
use super::profile::{self, NotRead};
use crate::cloud::{OrchestrationMode, PoolRef, Shape};

/// What a shape says about a scale set, whoever sends it and why: zones, plan, identity and profile.
pub(super) fn declared(pool: &PoolRef, shape: &Shape) -> Result<Value, NotRead> {
    let mut body = json!({
        "zones": (!shape.zones.is_empty()).then_some(&shape.zones),
        "plan": profile::plan(&shape.template.image),
        "identity": profile::identity(&shape.template),
    });
    strip_nulls(&mut body);
    body["properties"] = json!({"virtualMachineProfile": profile::profile(pool, shape)?});
    Ok(body)
}

/// PUT of a new scale set.
pub(super) fn create(
    pool: &PoolRef,
    shape: &Shape,
    capacity: Count,
    base: Count,
    vm_size: &VmSize,
    tags: &BTreeMap<String, String>,
) -> Result<Value, NotRead> {
    let mut body = declared(pool, shape)?;
    body["location"] = json!(pool.location);
    body["tags"] = json!(tags);
    body["sku"] = sku(vm_size, capacity);
    let properties = &mut body["properties"];
    // Mixing Spot and regular needs one fault domain and no single placement group (azure.md §1.5); more than 100 instances need the latter too.
    properties["platformFaultDomainCount"] = json!(1);
    properties["singlePlacementGroup"] = json!(false);
    match pool.mode {
        OrchestrationMode::Flexible => {
            properties["orchestrationMode"] = json!("Flexible");
            properties["priorityMixPolicy"] = mix(base);
        }
        OrchestrationMode::Uniform => {
            properties["orchestrationMode"] = json!("Uniform");
            // Otherwise Azure makes more than were asked for, and deletes them again [DOC].
            properties["overprovision"] = json!(false);
            // Without it Azure refuses a Uniform set [ISS azure-docs#74002]; a changed model is rolled out by us.
            properties["upgradePolicy"] = json!({"mode": "Manual"});
        }
    }
    Ok(body)
}

/// PATCH of capacity, size and base.
pub(super) fn resize(pool: &PoolRef, capacity: Count, base: Count, vm_size: &VmSize) -> Value {
    let mut body = json!({ "sku": sku(vm_size, capacity) });
    set_base(&mut body, pool, base);
    body
}

/// PATCH of what makes a new instance, as far as the scale set does not have it. No `sku`: a capacity read a moment ago is not ours to repeat.
pub(super) fn reshape(
    pool: &PoolRef,
    missing: Map<String, Value>,
    base: Count,
    tags: &BTreeMap<String, String>,
) -> Value {
    let mut body = Value::Object(missing);
    body["tags"] = json!(tags);
    set_base(&mut body, pool, base);
    body
}

/// Uniform sets have one priority, and Azure refuses a mix with them.
fn set_base(body: &mut Value, pool: &PoolRef, base: Count) {
    if pool.mode == OrchestrationMode::Flexible {
        body["properties"]["priorityMixPolicy"] = mix(base);
    }
}

fn sku(vm_size: &VmSize, capacity: Count) -> Value {
    json!({"name": vm_size.as_str(), "tier": "Standard", "capacity": capacity})
}

fn mix(base: Count) -> Value {
    json!({"baseRegularPriorityCount": base, "regularPriorityPercentageAboveBase": 0})
}
