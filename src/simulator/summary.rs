//! What a scale set tells of its instances as a whole: GET …/instanceView and …/skus.

use super::arm::Exchange;
use super::machine::provisioning_status;
use super::scale_sets::known;
use super::wire::Reply;
use serde_json::{Value, json};
use spotpool_core::world::{OrchestrationMode, Refusal};
use std::collections::BTreeMap;

/// GET …/instanceView: Uniform only [ISS nomad-autoscaler#1096]. [REC cap 5] It counts provisioning states, not power states.
///
/// # Errors
/// 404; 400 on a Flexible set.
pub fn view(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let set = known(exchange.state, group, name)?;
    if set.mode == OrchestrationMode::Flexible {
        return Err(Refusal::not_on_flexible("instanceView.GET", &set.name).into());
    }
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for instance in set.instances.values() {
        let state = instance.provisioning_state().to_lowercase();
        *counts
            .entry(format!("ProvisioningState/{state}"))
            .or_default() += 1;
    }
    let summary: Vec<Value> = counts
        .into_iter()
        .map(|(code, count)| json!({"code": code, "count": count}))
        .collect();
    let status = provisioning_status(
        set.provisioning_state().as_str(),
        set.failure.as_ref().map_or("", |f| f.code),
        &exchange.state.clock.stamp(exchange.state.region.now()),
    );
    let body = json!({"virtualMachine": {"statusesSummary": summary}, "statuses": [status]});
    Ok(Reply::json(200, body))
}

/// GET …/skus: the sizes it could have [SDK].
///
/// # Errors
/// 404.
pub fn skus(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    known(exchange.state, group, name)?;
    let sku = |size: &str| {
        json!({
            "resourceType": "Microsoft.Compute/virtualMachineScaleSets",
            "sku": {"name": size, "tier": "Standard"},
            "capacity": {"minimum": 0, "maximum": 1_000, "defaultCapacity": 1, "scaleType": "Automatic"},
        })
    };
    let sizes = exchange.state.region.market.sizes();
    let value: Vec<Value> = sizes.map(|size| sku(&size.name)).collect();
    Ok(Reply::json(200, json!({"value": value})))
}
