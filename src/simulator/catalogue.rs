//! What a subscription has in a region besides machines: quota usages, VM sizes, resource groups.

use super::arm::Exchange;
use super::scale_sets::same_location;
use super::wire::Reply;
use serde_json::{Value, json};
use spotpool_core::world::VmSize;

/// GET …/locations/{l}/usages [DOC].
///
/// # Errors
/// 400 for another location.
pub fn usages(exchange: &Exchange<'_>, location: &str) -> Result<Reply, Reply> {
    let region = &exchange.state.region;
    if !same_location(location, &region.location) {
        let message = format!(
            "No registered resource provider found for location '{location}' and API version for type 'locations/usages'."
        );
        return Err(Reply::gateway(400, "NoRegisteredProviderFound", &message));
    }
    let row = |name: &str, label: &str, current: u64, limit: u64| json!({"unit": "Count", "currentValue": current, "limit": limit, "name": {"value": name, "localizedValue": label}});
    let machines: u64 = region.sets.values().map(|s| s.instances.len() as u64).sum();
    let mut value = vec![
        row("virtualMachines", "Virtual Machines", machines, 25_000),
        row(
            "virtualMachineScaleSets",
            "Virtual Machine Scale Sets",
            region.sets.len() as u64,
            2_500,
        ),
    ];
    value.extend(region.usages().iter().map(|u| {
        row(
            &u.name,
            &label(&u.name),
            u64::from(u.current),
            u64::from(u.limit),
        )
    }));
    Ok(Reply::json(200, json!({"value": value})))
}

fn label(row: &str) -> String {
    match row {
        "cores" => "Total Regional vCPUs".to_owned(),
        "lowPriorityCores" => "Total Regional Low-priority vCPUs".to_owned(),
        family => format!(
            "{} vCPUs",
            family
                .replace("standard", "Standard ")
                .replace("Family", " Family")
        ),
    }
}

/// GET …/providers/Microsoft.Compute/skus, with `$filter=location eq '…'`.
pub fn skus(exchange: &Exchange<'_>) -> Reply {
    let region = &exchange.state.region;
    let here = exchange.call.parameter("$filter").is_none_or(|f| {
        let wanted = f.split('\'').nth(1).unwrap_or_default();
        !f.to_lowercase().contains("location") || same_location(wanted, &region.location)
    });
    let value: Vec<Value> = region
        .market
        .sizes()
        .filter(|_| here)
        .map(|size| sku(size, &region.location))
        .collect();
    Reply::json(200, json!({"value": value}))
}

fn sku(size: &VmSize, location: &str) -> Value {
    let capability = |name: &str, value: String| json!({"name": name, "value": value});
    let truth = |value: bool| {
        if value {
            "True".to_owned()
        } else {
            "False".to_owned()
        }
    };
    json!({
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.trim_start_matches("Standard_"),
        "family": size.family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": [
            capability("vCPUs", size.cores.to_string()),
            capability("vCPUsAvailable", size.cores.to_string()),
            capability("MemoryGB", (size.memory_mib / 1024).to_string()),
            capability("LowPriorityCapable", truth(size.spot)),
            capability("HyperVGenerations", "V1,V2".to_owned()),
            capability("CpuArchitectureType", "x64".to_owned()),
            capability("PremiumIO", truth(true)),
            capability("AcceleratedNetworkingEnabled", truth(size.spot)),
        ],
        "restrictions": []
    })
}

/// GET of a resource group: all exist but those declared missing.
pub fn resource_group(exchange: &Exchange<'_>, group: &str) -> Reply {
    if exchange.call.method == "HEAD" {
        return Reply::empty(204);
    }
    let id = format!(
        "/subscriptions/{}/resourceGroups/{group}",
        exchange.state.subscription
    );
    let location = &*exchange.state.region.location;
    Reply::json(
        200,
        json!({"id": id, "name": group, "type": "Microsoft.Resources/resourceGroups", "location": location, "properties": {"provisioningState": "Succeeded"}}),
    )
}

/// PUT of a resource group: 201 for one that was missing, 200 for any other. Its tags are not kept.
///
/// # Errors
/// 400 without a location; 409 for another one.
pub fn make_group(exchange: &mut Exchange<'_>, group: &str) -> Result<Reply, Reply> {
    let body = exchange.call.json()?;
    let here = &*exchange.state.region.location;
    let Some(wanted) = body["location"].as_str() else {
        let message = "The location property is required for this definition.";
        return Err(Reply::gateway(400, "LocationRequired", message));
    };
    if !same_location(wanted, here) {
        let message = format!(
            "Invalid resource group location '{wanted}'. The simulator's resource groups are in '{here}'."
        );
        return Err(Reply::gateway(
            409,
            "InvalidResourceGroupLocation",
            &message,
        ));
    }
    let missing = &mut exchange.state.missing_groups;
    let before = missing.len();
    missing.retain(|name| !name.eq_ignore_ascii_case(group));
    let status = if missing.len() < before { 201 } else { 200 };
    let reply = resource_group(exchange, group);
    Ok(Reply { status, ..reply })
}
