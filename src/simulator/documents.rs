//! The JSON of a scale set: what a PUT or PATCH adds to what is there, what of it the world understands, and what Azure
//! fills in. Properties that the world does not model are kept and echoed.

use super::wire::Reply;
use serde_json::{Map, Value, json};
use spotpool_core::world::{EvictionPolicy, Priority, PriorityMix, SetChange};

/// Lays `patch` over `base`: objects merge, lists and values replace, null means "not said" [OSS autoscaler: a PUT of
/// location and sku keeps the rest].
pub fn merge(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                if key == "tags" && value.is_object() {
                    base.insert(key.clone(), value.clone());
                } else if !value.is_null() {
                    merge(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, patch) => *base = without_nulls(patch),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(without_nulls).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Drops what only Azure may say, and secrets that no GET returns.
pub fn strip(document: &mut Value) {
    for key in ["id", "name", "type", "etag"] {
        remove(document, &[key]);
    }
    for key in ["provisioningState", "uniqueId", "timeCreated"] {
        remove(document, &["properties", key]);
    }
    for path in [&["timeCreated"][..], &["userData"], &["osProfile", "adminPassword"], &["osProfile", "customData"]] {
        let full: Vec<&str> = ["properties", "virtualMachineProfile"].iter().chain(path).copied().collect();
        remove(document, &full);
    }
}

fn remove(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else { return };
    let target = parents.iter().try_fold(value, |v, key| v.get_mut(key));
    if let Some(Value::Object(map)) = target {
        map.remove(*last);
    }
}

/// What Azure adds to a stored Flexible scale set [REC cap 1].
pub fn fill_defaults(document: &mut Value) {
    default(document, "/sku", "tier", json!("Standard"));
    for (key, value) in [("singlePlacementGroup", json!(false)), ("platformFaultDomainCount", json!(1)), ("constrainedMaximumCapacity", json!(false))] {
        default(document, "/properties", key, value);
    }
    const PROFILE: &str = "/properties/virtualMachineProfile";
    let spot = document.pointer("/properties/virtualMachineProfile/priority").and_then(Value::as_str).is_some_and(|p| p.eq_ignore_ascii_case("spot"));
    if spot {
        default(document, PROFILE, "evictionPolicy", json!("Deallocate"));
        default(document, PROFILE, "billingProfile", json!({"maxPrice": -1.0}));
    }
    for (key, value) in [("secrets", json!([])), ("allowExtensionOperations", json!(true)), ("requireGuestProvisionSignal", json!(true))] {
        default(document, &format!("{PROFILE}/osProfile"), key, value);
    }
    for (key, value) in [("createOption", json!("FromImage")), ("osType", json!("Linux")), ("caching", json!("ReadWrite")), ("deleteOption", json!("Delete")), ("diskSizeGB", json!(30)), ("managedDisk", json!({"storageAccountType": "Premium_LRS"}))] {
        default(document, &format!("{PROFILE}/storageProfile/osDisk"), key, value);
    }
    if let Some(nics) = document.pointer_mut(&format!("{PROFILE}/networkProfile/networkInterfaceConfigurations")).and_then(Value::as_array_mut) {
        for nic in nics {
            for (key, value) in [("deleteOption", json!("Delete")), ("enableAcceleratedNetworking", json!(false)), ("enableIPForwarding", json!(false)), ("dnsSettings", json!({"dnsServers": []}))] {
                default(nic, "/properties", key, value);
            }
        }
    }
}

fn default(document: &mut Value, object: &str, key: &str, value: Value) {
    if let Some(Value::Object(map)) = document.pointer_mut(object) {
        map.entry(key).or_insert(value);
    }
}

/// The part of a PUT or PATCH body that the world understands. `before` and `after` are the stored document without and
/// with the body.
///
/// # Errors
/// 400 for values of the wrong kind.
pub fn change(body: &Value, before: Option<&Value>, after: &Value) -> Result<SetChange, Reply> {
    let profile = body.pointer("/properties/virtualMachineProfile").unwrap_or(&Value::Null);
    let capacity = whole(body, "/sku/capacity")?;
    let mix = match body.pointer("/properties/priorityMixPolicy").filter(|m| m.is_object()) {
        None => None,
        Some(_) => Some(PriorityMix {
            base: whole(after, "/properties/priorityMixPolicy/baseRegularPriorityCount")?.unwrap_or(0),
            percent: whole(after, "/properties/priorityMixPolicy/regularPriorityPercentageAboveBase")?.unwrap_or(0),
        }),
    };
    let max_price = match profile.pointer("/billingProfile/maxPrice").filter(|p| !p.is_null()) {
        None => None,
        Some(price) => Some((price.as_f64().ok_or_else(|| wrong("billingProfile.maxPrice"))? * 1e6).round() as i64),
    };
    Ok(SetChange {
        capacity,
        vm_size: text(body, "/sku/name")?,
        mix,
        priority: text(profile, "/priority")?.map(|p| named("priority", &p, &[("Spot", Priority::Spot), ("Low", Priority::Spot), ("Regular", Priority::Regular)])).transpose()?,
        eviction_policy: text(profile, "/evictionPolicy")?
            .map(|p| named("evictionPolicy", &p, &[("Delete", EvictionPolicy::Delete), ("Deallocate", EvictionPolicy::Deallocate)]))
            .transpose()?,
        max_price,
        zones: match body.get("zones") {
            None | Some(Value::Null) => None,
            Some(zones) => Some(strings(zones, "zones")?.into_iter().collect()),
        },
        tags: match body.get("tags") {
            None | Some(Value::Null) => None,
            Some(tags) => Some(tag_map(tags)?),
        },
        model_changed: before.is_some_and(|before| model(before) != model(after)),
    })
}

/// The profile without what the world keeps itself.
fn model(document: &Value) -> Value {
    let mut profile = document.pointer("/properties/virtualMachineProfile").cloned().unwrap_or_default();
    for key in ["priority", "evictionPolicy", "billingProfile"] {
        remove(&mut profile, &[key]);
    }
    profile
}

fn wrong(target: &str) -> Reply {
    Reply::error(400, "InvalidRequestContent", &format!("The request content was invalid and could not be deserialized: 'Could not convert the value of {target}'."), Some(target))
}

fn whole(document: &Value, pointer: &str) -> Result<Option<u32>, Reply> {
    match document.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().and_then(|n| u32::try_from(n).ok()).map(Some).ok_or_else(|| wrong(&pointer[1..].replace('/', "."))),
    }
}

fn text(document: &Value, pointer: &str) -> Result<Option<String>, Reply> {
    match document.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(&pointer[1..].replace('/', "."))),
    }
}

fn strings(value: &Value, target: &str) -> Result<Vec<String>, Reply> {
    let items = value.as_array().ok_or_else(|| wrong(target))?;
    items.iter().map(|i| i.as_str().map(str::to_owned).ok_or_else(|| wrong(target))).collect()
}

fn named<T: Copy>(target: &str, value: &str, names: &[(&str, T)]) -> Result<T, Reply> {
    names.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, v)| *v).ok_or_else(|| {
        let message = format!("The value '{value}' of parameter '{target}' is not valid.");
        Reply::error(400, "InvalidParameter", &message, Some(target))
    })
}

fn tag_map(tags: &Value) -> Result<std::collections::BTreeMap<String, String>, Reply> {
    let map = tags.as_object().ok_or_else(|| wrong("tags"))?;
    let mut out = std::collections::BTreeMap::new();
    for (name, value) in map {
        // [DOC] names of tags may not contain these.
        if name.contains(['<', '>', '%', '&', '\\', '?', '/']) {
            let message = format!("The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters.");
            return Err(Reply::gateway(400, "InvalidTagNameCharacters", &message));
        }
        out.insert(name.clone(), value.as_str().ok_or_else(|| wrong("tags"))?.to_owned());
    }
    Ok(out)
}

/// What a new Flexible scale set must bring.
///
/// # Errors
/// 400 with the first thing that is missing.
pub fn complete(document: &Value) -> Result<(), Reply> {
    let properties = &document["properties"];
    let mode = properties["orchestrationMode"].as_str().unwrap_or("Uniform");
    if !mode.eq_ignore_ascii_case("Flexible") {
        return Err(Reply::not_simulated("scale sets of orchestration mode Uniform; send properties.orchestrationMode \"Flexible\""));
    }
    let missing = |name: &str| Reply::error(400, "InvalidParameter", &format!("Required parameter '{name}' is missing (null)."), Some(name));
    let profile = &properties["virtualMachineProfile"];
    for (name, value) in [
        ("sku", &document["sku"]["name"]),
        ("virtualMachineProfile", profile),
        ("virtualMachineProfile.storageProfile", &profile["storageProfile"]),
        ("imageReference", &profile["storageProfile"]["imageReference"]),
        ("virtualMachineProfile.osProfile", &profile["osProfile"]),
        ("networkProfile", &profile["networkProfile"]["networkInterfaceConfigurations"]),
        // [DOC orchestration-modes-api-comparison] Flexible needs it.
        ("networkApiVersion", &profile["networkProfile"]["networkApiVersion"]),
    ] {
        if value.is_null() {
            return Err(missing(name));
        }
    }
    if properties["singlePlacementGroup"] == json!(true) {
        let message = "The value 'True' of parameter 'singlePlacementGroup' is not allowed for a Virtual Machine Scale Set with orchestration mode Flexible.";
        return Err(Reply::error(400, "InvalidParameter", message, Some("singlePlacementGroup")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_keeps_what_it_does_not_name_and_replaces_lists_and_tags() {
        let mut base = json!({"tags": {"a": "1"}, "sku": {"name": "s", "capacity": 2}, "zones": ["1"], "properties": {"x": {"y": 1}}});
        merge(&mut base, &json!({"tags": {"b": "2"}, "sku": {"capacity": 3}, "zones": ["1", "2"], "properties": {"x": {"z": null}}}));
        assert_eq!(base, json!({"tags": {"b": "2"}, "sku": {"name": "s", "capacity": 3}, "zones": ["1", "2"], "properties": {"x": {"y": 1}}}));
    }

    #[test]
    fn money_becomes_whole_micro_dollars() {
        let body = json!({"properties": {"virtualMachineProfile": {"billingProfile": {"maxPrice": 0.05}}}});
        assert_eq!(change(&body, None, &body).unwrap().max_price, Some(50_000));
        let body = json!({"properties": {"virtualMachineProfile": {"billingProfile": {"maxPrice": -1}}}});
        assert_eq!(change(&body, None, &body).unwrap().max_price, Some(-1_000_000));
    }

    #[test]
    fn a_new_image_changes_the_model_and_a_new_max_price_does_not_count_twice() {
        let before = json!({"properties": {"virtualMachineProfile": {"image": 1, "billingProfile": {"maxPrice": -1.0}}}});
        let mut after = before.clone();
        after["properties"]["virtualMachineProfile"]["billingProfile"]["maxPrice"] = json!(0.1);
        assert!(!change(&json!({}), Some(&before), &after).unwrap().model_changed);
        after["properties"]["virtualMachineProfile"]["image"] = json!(2);
        assert!(change(&json!({}), Some(&before), &after).unwrap().model_changed);
    }

    #[test]
    fn tag_names_with_a_slash_are_refused() {
        let body = json!({"tags": {"spotpool.io/owner": "x"}});
        assert_eq!(change(&body, None, &body).unwrap_err().status, 400);
    }

    #[test]
    fn a_negative_capacity_is_not_understood() {
        let body = json!({"sku": {"capacity": -1}});
        assert_eq!(change(&body, None, &body).unwrap_err().status, 400);
    }
}
