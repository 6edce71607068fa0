//! The JSON of a scale set as it is stored: what a PUT or PATCH adds to what is there, and what Azure fills in and leaves
//! out. Properties that the world does not model are kept and echoed.

use serde_json::{Map, Value, json};

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
        Value::Object(map) => map
            .iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), without_nulls(v)))
            .collect::<Map<_, _>>()
            .into(),
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
    for path in [
        &["timeCreated"][..],
        &["userData"],
        &["osProfile", "adminPassword"],
        &["osProfile", "customData"],
    ] {
        let full: Vec<&str> = ["properties", "virtualMachineProfile"]
            .iter()
            .chain(path)
            .copied()
            .collect();
        remove(document, &full);
    }
    let extensions = document
        .pointer_mut("/properties/virtualMachineProfile/extensionProfile/extensions")
        .and_then(Value::as_array_mut);
    for extension in extensions.into_iter().flatten() {
        remove(extension, &["properties", "protectedSettings"]);
    }
}

pub(super) fn remove(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let target = parents.iter().try_fold(value, |v, key| v.get_mut(key));
    if let Some(Value::Object(map)) = target {
        map.remove(*last);
    }
}

/// What Azure adds to a stored scale set [REC cap 1 Flexible, cap 8 Uniform].
pub fn fill_defaults(document: &mut Value) {
    default(document, "/sku", "tier", json!("Standard"));
    let flexible = super::requested::flexible(document);
    let own = if flexible {
        [
            ("singlePlacementGroup", json!(false)),
            ("platformFaultDomainCount", json!(1)),
            ("constrainedMaximumCapacity", json!(false)),
        ]
    } else {
        [
            ("singlePlacementGroup", json!(true)),
            ("overprovision", json!(true)),
            ("doNotRunExtensionsOnOverprovisionedVMs", json!(false)),
        ]
    };
    for (key, value) in own {
        default(document, "/properties", key, value);
    }
    const PROFILE: &str = "/properties/virtualMachineProfile";
    default(
        document,
        &format!("{PROFILE}/storageProfile"),
        "osDisk",
        json!({}),
    );
    let spot = document
        .pointer("/properties/virtualMachineProfile/priority")
        .and_then(Value::as_str)
        .is_some_and(|p| p.eq_ignore_ascii_case("spot"));
    if spot {
        default(document, PROFILE, "evictionPolicy", json!("Deallocate"));
        default(
            document,
            PROFILE,
            "billingProfile",
            json!({"maxPrice": -1.0}),
        );
        if !flexible {
            default(
                document,
                "/properties",
                "spotRestorePolicy",
                json!({"enabled": false, "restoreTimeout": "PT1H"}),
            );
        }
    }
    for (key, value) in [
        ("secrets", json!([])),
        ("allowExtensionOperations", json!(true)),
        ("requireGuestProvisionSignal", json!(true)),
    ] {
        default(document, &format!("{PROFILE}/osProfile"), key, value);
    }
    for (key, value) in [
        ("createOption", json!("FromImage")),
        ("osType", json!("Linux")),
        ("caching", json!("ReadWrite")),
        ("diskSizeGB", json!(30)),
        ("managedDisk", json!({"storageAccountType": "Premium_LRS"})),
    ] {
        default(
            document,
            &format!("{PROFILE}/storageProfile/osDisk"),
            key,
            value,
        );
    }
    if flexible {
        default(
            document,
            &format!("{PROFILE}/storageProfile/osDisk"),
            "deleteOption",
            json!("Delete"),
        );
    }
    if let Some(nics) = document
        .pointer_mut(&format!(
            "{PROFILE}/networkProfile/networkInterfaceConfigurations"
        ))
        .and_then(Value::as_array_mut)
    {
        for nic in nics {
            // The Azure CLI writes 'true'.
            let primary = nic.pointer_mut("/properties/primary");
            if let Some(primary) = primary.filter(|p| p.is_string()) {
                *primary = json!(
                    primary
                        .as_str()
                        .is_some_and(|p| p.eq_ignore_ascii_case("true"))
                );
            }
            if flexible {
                default(nic, "/properties", "deleteOption", json!("Delete"));
            }
            for (key, value) in [
                ("enableAcceleratedNetworking", json!(false)),
                ("enableIPForwarding", json!(false)),
                ("dnsSettings", json!({"dnsServers": []})),
            ] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_keeps_what_it_does_not_name_and_replaces_lists_and_tags() {
        let mut base = json!({"tags": {"a": "1"}, "sku": {"name": "s", "capacity": 2}, "zones": ["1"], "properties": {"x": {"y": 1}}});
        merge(
            &mut base,
            &json!({"tags": {"b": "2"}, "sku": {"capacity": 3}, "zones": ["1", "2"], "properties": {"x": {"z": null}}}),
        );
        assert_eq!(
            base,
            json!({"tags": {"b": "2"}, "sku": {"name": "s", "capacity": 3}, "zones": ["1", "2"], "properties": {"x": {"y": 1}}})
        );
    }
}
