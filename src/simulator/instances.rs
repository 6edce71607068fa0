//! Instances of Flexible scale sets, which are virtual machines of their own: list by scale set, instance view, DELETE,
//! simulateEviction.

use super::arm::Exchange;
use super::ids;
use super::operations;
use super::scale_sets::{same_location, set_id, with_next};
use super::state::{MachineRecord, State};
use super::wire::Reply;
use serde_json::{Map, Value, json};
use spotpool_core::world::{Instance, Phase, Priority, Refusal, ScaleSet};

/// Lists virtual machines: of a resource group, a location or the subscription; of one scale set by
/// `$filter='virtualMachineScaleSet/id' eq '…'`; with their states by `$expand=instanceView` or `statusOnly=true`.
///
/// # Errors
/// 400 for a filter that is not understood.
pub fn list(
    exchange: &Exchange<'_>,
    group: Option<&str>,
    location: Option<&str>,
) -> Result<Reply, Reply> {
    let state = &exchange.state;
    let wanted = exchange
        .call
        .parameter("$filter")
        .map(filtered_set)
        .transpose()?;
    let expand = exchange
        .call
        .parameter("$expand")
        .is_some_and(|e| e.eq_ignore_ascii_case("instanceView"));
    if expand && wanted.is_none() {
        let message = "The $expand=instanceView option is supported only with a $filter on a virtual machine scale set.";
        return Err(Reply::error(
            400,
            "InvalidParameter",
            message,
            Some("$expand"),
        ));
    }
    let with_view = expand
        || exchange
            .call
            .parameter("statusOnly")
            .is_some_and(|s| s.eq_ignore_ascii_case("true"));
    let here = location.is_none_or(|l| same_location(l, &state.region.location));
    let mut items = Vec::new();
    for set in state.region.sets.values().filter(|_| here) {
        let in_group = group.is_none_or(|g| g.eq_ignore_ascii_case(&set.resource_group));
        let in_set = wanted
            .as_ref()
            .is_none_or(|id| id.eq_ignore_ascii_case(&set_id(state, set)));
        if in_group && in_set {
            items.extend(set.instances.values().map(|i| {
                (
                    format!("{}/{}", set.resource_group, i.name).to_lowercase(),
                    (set, i),
                )
            }));
        }
    }
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, next) = exchange.page(items);
    let value: Vec<Value> = page
        .into_iter()
        .map(|(set, instance)| machine(state, set, instance, with_view))
        .collect();
    Ok(Reply::json(200, with_next(json!({"value": value}), next)))
}

/// The scale set's id of the one filter that is known.
fn filtered_set(filter: &str) -> Result<String, Reply> {
    let unknown = || {
        Reply::error(
            400,
            "InvalidParameter",
            &format!(
                "The filter '{filter}' is not supported. Use 'virtualMachineScaleSet/id' eq '<id>'."
            ),
            Some("$filter"),
        )
    };
    let lower = filter.to_lowercase();
    let rest = lower
        .trim()
        .strip_prefix("'virtualmachinescaleset/id'")
        .ok_or_else(unknown)?;
    let id = rest
        .trim_start()
        .strip_prefix("eq")
        .ok_or_else(unknown)?
        .trim();
    id.strip_prefix('\'')
        .and_then(|id| id.strip_suffix('\''))
        .map(str::to_owned)
        .ok_or_else(unknown)
}

/// GET of a machine; with `$expand=instanceView` its states as well.
///
/// # Errors
/// 404 [REC cap 9].
pub fn get(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let (set, instance) = known(exchange.state, group, name)?;
    let with_view = exchange
        .call
        .parameter("$expand")
        .is_some_and(|e| e.to_lowercase().contains("instanceview"));
    Ok(Reply::json(
        200,
        machine(exchange.state, set, instance, with_view),
    ))
}

/// GET …/instanceView.
///
/// # Errors
/// 404.
pub fn view(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let (set, instance) = known(exchange.state, group, name)?;
    Ok(Reply::json(
        200,
        instance_view(exchange.state, set, instance),
    ))
}

/// DELETE: 202, or 204 when there is nothing.
///
/// # Errors
/// None so far.
pub fn delete(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    match exchange.state.region.delete_instance(group, name)? {
        None => Ok(Reply::empty(204)),
        Some(operation) => Ok(operations::announce(
            exchange,
            Reply::empty(202),
            operation,
            true,
        )),
    }
}

/// POST …/simulateEviction: 204, no operation [REC cap 9].
///
/// # Errors
/// 404; 409 on a regular instance [REC cap 6].
pub fn simulate_eviction(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
) -> Result<Reply, Reply> {
    exchange.state.region.simulate_eviction(group, name)?;
    Ok(Reply::empty(204))
}

fn known<'a>(
    state: &'a State,
    group: &str,
    name: &str,
) -> Result<(&'a ScaleSet, &'a Instance), Reply> {
    state
        .region
        .instance(group, name)
        .ok_or_else(|| Refusal::instance_not_found().into())
}

fn record<'a>(state: &'a State, set: &ScaleSet, instance: &Instance) -> Option<&'a MachineRecord> {
    state.sets.get(&set.key())?.machines.get(&instance.name)
}

fn machine(state: &State, set: &ScaleSet, instance: &Instance, with_view: bool) -> Value {
    let record = record(state, set, instance);
    let profile = record.map(|r| (*r.profile).clone()).unwrap_or_default();
    let group = format!(
        "/subscriptions/{}/resourceGroups/{}/providers",
        state.subscription, set.resource_group
    );
    let disk = format!(
        "{}_OsDisk_1_{}",
        instance.name,
        ids::text(state.seed, &format!("disk/{}", instance.name), 32, ids::HEX)
    );
    let mut properties = json!({
        "hardwareProfile": {"vmSize": instance.model.vm_size},
        "provisioningState": instance.provisioning_state(),
        "vmId": record.map_or("", |r| r.vm_id.as_str()),
        "virtualMachineScaleSet": {"id": set_id(state, set)},
        "storageProfile": storage(&profile, instance, &disk, &group),
        "osProfile": os(state, &profile, instance),
        "networkProfile": {"networkInterfaces": nics(state, &profile, instance, &group)},
        "priority": instance.priority.as_str(),
        "timeCreated": state.clock.stamp(instance.created),
    });
    if instance.priority == Priority::Spot {
        // [REC cap 2] Regular instances carry neither.
        properties["evictionPolicy"] = json!(instance.model.eviction_policy.as_str());
        let price = instance
            .model
            .max_price
            .map_or(-1.0, |micros| micros as f64 / 1e6);
        properties["billingProfile"] = json!({"maxPrice": price});
    }
    if with_view {
        properties["instanceView"] = instance_view(state, set, instance);
    }
    let mut document = json!({
        "name": instance.name,
        "id": format!("{group}/Microsoft.Compute/virtualMachines/{}", instance.name),
        "type": "Microsoft.Compute/virtualMachines",
        "location": &*state.region.location,
        "tags": *instance.tags,
        "etag": format!("\"{}\"", record.map_or(1, |r| r.etag)),
        "properties": properties,
    });
    if !instance.zone.is_empty() {
        document["zones"] = json!([instance.zone]);
    }
    document
}

fn storage(profile: &Value, instance: &Instance, disk: &str, group: &str) -> Value {
    let mut image = profile
        .pointer("/storageProfile/imageReference")
        .cloned()
        .unwrap_or_default();
    if image["version"] == json!("latest") {
        image["exactVersion"] = json!("24.04.202411010");
    }
    let template = profile
        .pointer("/storageProfile/osDisk")
        .cloned()
        .unwrap_or_default();
    let mut os_disk = json!({
        "name": disk,
        "osType": template.get("osType").cloned().unwrap_or_else(|| json!("Linux")),
        "createOption": "FromImage",
        "caching": template.get("caching").cloned().unwrap_or_else(|| json!("ReadWrite")),
        "deleteOption": template.get("deleteOption").cloned().unwrap_or_else(|| json!("Delete")),
        "managedDisk": {"id": format!("{group}/Microsoft.Compute/disks/{disk}")},
    });
    // [REC cap 9] a deallocated machine's disk shows its id alone.
    if instance.phase != Phase::Deallocated {
        os_disk["diskSizeGB"] = template
            .get("diskSizeGB")
            .cloned()
            .unwrap_or_else(|| json!(30));
        os_disk["managedDisk"]["storageAccountType"] = template
            .pointer("/managedDisk/storageAccountType")
            .cloned()
            .unwrap_or_else(|| json!("Premium_LRS"));
    }
    json!({"imageReference": image, "osDisk": os_disk, "dataDisks": []})
}

fn os(state: &State, profile: &Value, instance: &Instance) -> Value {
    let template = profile
        .get("osProfile")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let prefix = template
        .get("computerNamePrefix")
        .and_then(Value::as_str)
        .unwrap_or("vm");
    let name = format!(
        "{prefix}{}",
        ids::text(
            state.seed,
            &format!("computer/{}", instance.name),
            6,
            ids::ALNUM
        )
    );
    let mut os: Map<String, Value> = template
        .into_iter()
        .filter(|(key, _)| key != "computerNamePrefix")
        .collect();
    os.insert("computerName".into(), json!(name));
    os.into()
}

fn nics(state: &State, profile: &Value, instance: &Instance, group: &str) -> Vec<Value> {
    let configurations = profile
        .pointer("/networkProfile/networkInterfaceConfigurations")
        .and_then(Value::as_array);
    let nic = |configuration: &Value| {
        let name = configuration["name"].as_str().unwrap_or("nic");
        let suffix = ids::text(
            state.seed,
            &format!("nic/{name}/{}", instance.name),
            8,
            ids::HEX,
        );
        let primary = configuration
            .pointer("/properties/primary")
            .cloned()
            .unwrap_or(json!(true));
        json!({"id": format!("{group}/Microsoft.Network/networkInterfaces/{name}-{suffix}"), "properties": {"primary": primary, "deleteOption": "Delete"}})
    };
    configurations.into_iter().flatten().map(nic).collect()
}

/// [REC cap 7] the provisioning status has a time, the power status has none; nothing tells an eviction.
fn instance_view(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    let time = state
        .clock
        .stamp(record(state, set, instance).map_or(instance.created, |r| r.changed));
    let (provisioning, power) = (instance.provisioning_state(), instance.power_state());
    let (code, level, shown) = match provisioning {
        "Failed" => (
            "failed/OSProvisioningTimedOut".to_owned(),
            "Error",
            "Provisioning failed".to_owned(),
        ),
        state => (
            state.to_lowercase(),
            "Info",
            format!("Provisioning {}", state.to_lowercase()),
        ),
    };
    let status = json!({"code": format!("ProvisioningState/{code}"), "level": level, "displayStatus": shown, "time": time});
    json!({
        "hyperVGeneration": "V2",
        "platformFaultDomain": 0,
        "disks": [],
        "statuses": [status, {"code": format!("PowerState/{power}"), "level": "Info", "displayStatus": format!("VM {power}")}]
    })
}
