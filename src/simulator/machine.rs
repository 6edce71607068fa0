//! The JSON of one instance, as a virtual machine of its own (Flexible) or as a part of its scale set (Uniform), and its
//! instance view, which tells the same in both modes.

use super::scale_sets::set_id;
use super::state::{MachineRecord, State};
use super::{ids, images};
use serde_json::{Map, Value, json};
use spotpool_core::world::{Instance, OrchestrationMode, Phase, Priority, ScaleSet};

/// The document of an instance, with its states on demand.
#[must_use]
pub fn document(state: &State, set: &ScaleSet, instance: &Instance, with_view: bool) -> Value {
    let mut document = match set.mode {
        OrchestrationMode::Flexible => virtual_machine(state, set, instance),
        OrchestrationMode::Uniform => numbered(state, set, instance),
    };
    let etag = record(state, set, instance).map_or(1, |r| r.etag);
    document["name"] = json!(instance.name);
    document["location"] = json!(&*state.region.location);
    document["tags"] = json!(*instance.tags);
    document["etag"] = json!(format!("\"{etag}\""));
    if !instance.zone.is_empty() {
        document["zones"] = json!([instance.zone]);
    }
    if with_view {
        document["properties"]["instanceView"] = view(state, set, instance);
    }
    document
}

/// [REC cap 2]
fn virtual_machine(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    let profile = profile(state, set, instance);
    let group = providers(state, set);
    let mut properties = common(state, set, instance);
    properties["virtualMachineScaleSet"] = json!({"id": set_id(state, set)});
    properties["priority"] = json!(instance.priority.as_str());
    tell_spot(&mut properties, instance);
    properties["networkProfile"] = json!({"networkInterfaces": nics(&profile, |name| {
        let suffix = ids::text(state.seed, &format!("nic/{name}/{}", instance.name), 8, ids::HEX);
        format!("{group}/Microsoft.Network/networkInterfaces/{name}-{suffix}")
    })});
    json!({
        "id": format!("{group}/Microsoft.Compute/virtualMachines/{}", instance.name),
        "type": "Microsoft.Compute/virtualMachines",
        "properties": properties,
    })
}

/// [REC cap 8]
fn numbered(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    let profile = profile(state, set, instance);
    let number = set.instance_id(&instance.name);
    let id = format!("{}/virtualMachines/{number}", set_id(state, set));
    let mut properties = common(state, set, instance);
    properties["latestModelApplied"] = json!(instance.model == set.model);
    properties["modelDefinitionApplied"] = json!("VirtualMachineScaleSet");
    properties["networkProfileConfiguration"] = json!({
        "networkInterfaceConfigurations": profile.pointer("/networkProfile/networkInterfaceConfigurations"),
    });
    properties["networkProfile"] = json!({"networkInterfaces": nics(&profile, |name| format!("{id}/networkInterfaces/{name}"))});
    if state.uniform_tells_priority {
        tell_spot(&mut properties, instance);
    }
    json!({
        "id": id,
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "instanceId": number,
        "sku": {"name": instance.model.vm_size, "tier": "Standard"},
        "properties": properties,
    })
}

/// [REC cap 2] Regular instances carry neither policy nor price.
fn tell_spot(properties: &mut Value, instance: &Instance) {
    if instance.priority == Priority::Spot {
        properties["priority"] = json!(instance.priority.as_str());
        properties["evictionPolicy"] = json!(instance.model.eviction_policy.as_str());
        let price = instance
            .model
            .max_price
            .map_or(-1.0, |micros| micros as f64 / 1e6);
        properties["billingProfile"] = json!({"maxPrice": price});
    }
}

/// What both kinds of documents say in their properties.
fn common(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    let record = record(state, set, instance);
    let profile = profile(state, set, instance);
    json!({
        "hardwareProfile": {"vmSize": instance.model.vm_size},
        "provisioningState": instance.provisioning_state(),
        "vmId": record.map_or("", |r| r.vm_id.as_str()),
        "storageProfile": storage(state, set, &profile, instance),
        "osProfile": os(state, set, &profile, instance),
        "timeCreated": state.clock.stamp(instance.created),
    })
}

fn record<'a>(state: &'a State, set: &ScaleSet, instance: &Instance) -> Option<&'a MachineRecord> {
    state.sets.get(&set.key())?.machines.get(&instance.name)
}

fn profile(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    record(state, set, instance)
        .map(|r| (*r.profile).clone())
        .unwrap_or_default()
}

fn providers(state: &State, set: &ScaleSet) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers",
        state.subscription, set.resource_group
    )
}

/// [REC cap 2, 7] how disks of the two modes are called.
fn disk_name(state: &State, set: &ScaleSet, instance: &Instance) -> String {
    let hex = ids::text(state.seed, &format!("disk/{}", instance.name), 32, ids::HEX);
    match set.mode {
        OrchestrationMode::Flexible => format!("{}_OsDisk_1_{hex}", instance.name),
        OrchestrationMode::Uniform => format!("{}_{}_OS__1_{hex}", set.name, instance.name),
    }
}

fn storage(state: &State, set: &ScaleSet, profile: &Value, instance: &Instance) -> Value {
    let disk = disk_name(state, set, instance);
    let mut image = profile
        .pointer("/storageProfile/imageReference")
        .cloned()
        .unwrap_or_default();
    if image["version"] == json!("latest") {
        image["exactVersion"] = json!(images::LATEST);
    }
    let template = profile
        .pointer("/storageProfile/osDisk")
        .cloned()
        .unwrap_or_default();
    let or = |key: &str, otherwise: &str| {
        template
            .get(key)
            .cloned()
            .unwrap_or_else(|| json!(otherwise))
    };
    let mut os_disk = json!({
        "name": disk,
        "osType": or("osType", "Linux"),
        "createOption": "FromImage",
        "caching": or("caching", "ReadWrite"),
        "managedDisk": {"id": format!("{}/Microsoft.Compute/disks/{disk}", providers(state, set))},
    });
    if set.mode == OrchestrationMode::Flexible {
        os_disk["deleteOption"] = or("deleteOption", "Delete");
    }
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

/// [DOC virtual-machine-scale-sets-instance-ids] a computer is called by the prefix and six characters: drawn ones, or the
/// number to the base 36 [REC cap 8].
fn os(state: &State, set: &ScaleSet, profile: &Value, instance: &Instance) -> Value {
    let template = profile
        .get("osProfile")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let prefix = template
        .get("computerNamePrefix")
        .and_then(Value::as_str)
        .unwrap_or("vm");
    let suffix = match set.mode {
        OrchestrationMode::Flexible => ids::text(
            state.seed,
            &format!("computer/{}", instance.name),
            6,
            ids::ALNUM,
        ),
        OrchestrationMode::Uniform => {
            ids::base36(set.instance_id(&instance.name).parse().unwrap_or(0), 6)
        }
    };
    let name = format!("{prefix}{suffix}");
    let mut os: Map<String, Value> = template
        .into_iter()
        .filter(|(key, _)| key != "computerNamePrefix")
        .collect();
    os.insert("computerName".into(), json!(name));
    os.into()
}

fn nics(profile: &Value, id: impl Fn(&str) -> String) -> Vec<Value> {
    let configurations = profile
        .pointer("/networkProfile/networkInterfaceConfigurations")
        .and_then(Value::as_array);
    let nic = |configuration: &Value| {
        let name = configuration["name"].as_str().unwrap_or("nic");
        let primary = configuration
            .pointer("/properties/primary")
            .cloned()
            .unwrap_or(json!(true));
        json!({"id": id(name), "properties": {"primary": primary, "deleteOption": "Delete"}})
    };
    configurations.into_iter().flatten().map(nic).collect()
}

/// The instance view. [REC cap 7] The provisioning status has a time, the power status has none; nothing tells an eviction.
#[must_use]
pub fn view(state: &State, set: &ScaleSet, instance: &Instance) -> Value {
    let changed = record(state, set, instance).map_or(instance.created, |r| r.changed);
    let status = provisioning_status(
        instance.provisioning_state(),
        instance.failure.unwrap_or("OSProvisioningTimedOut"),
        &state.clock.stamp(changed),
    );
    let power = instance.power_state();
    let mut view = json!({
        "hyperVGeneration": "V2",
        "platformFaultDomain": 0,
        "disks": [{"name": disk_name(state, set, instance), "statuses": [&status]}],
        "statuses": [status, {"code": format!("PowerState/{power}"), "level": "Info", "displayStatus": format!("VM {power}")}]
    });
    if set.mode == OrchestrationMode::Uniform {
        view["placementGroupId"] = json!(ids::guid(state.seed, &format!("group/{}", set.name)));
        view["platformUpdateDomain"] = json!(0);
    }
    view
}

/// `ProvisioningState/…` of an instance or a scale set; `failure` is the code of a failed one.
#[must_use]
pub fn provisioning_status(state: &str, failure: &str, time: &str) -> Value {
    let word = state.to_lowercase();
    let (code, level) = if state == "Failed" {
        (format!("{word}/{failure}"), "Error")
    } else {
        (word.clone(), "Info")
    };
    json!({"code": format!("ProvisioningState/{code}"), "level": level, "displayStatus": format!("Provisioning {word}"), "time": time})
}
