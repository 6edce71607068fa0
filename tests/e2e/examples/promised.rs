//! What a manifest promises about the body that makes its scale set, told from the manifest alone.
//!
//! Written from Azure's documents and not from the operator's code. A field that stands in an example and not here is an error, so that
//! no example promises what nobody looks at.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Result, error};

const PROFILE: &str = "/properties/virtualMachineProfile";
const NIC: &str = "/networkProfile/networkInterfaceConfigurations/0/properties";

/// Places in the body, and what must stand there.
pub fn in_body(pool: &Value) -> Result<Vec<(String, Value)>> {
    let spec = &pool["spec"];
    let mode = spec.pointer("/scaleSet/orchestrationMode");
    let flexible = mode.is_none_or(|mode| mode == "Flexible");
    let capacity = &spec["capacity"];
    let total = capacity["spot"].as_u64().unwrap_or(0) + capacity["regular"].as_u64().unwrap_or(0);
    let price = spec["maxPrice"].as_str().unwrap_or("-1").parse::<f64>()?;
    let delete = if flexible {
        json!("Delete")
    } else {
        Value::Null
    };
    let mut all = vec![
        ("/location".to_owned(), spec["location"].clone()),
        ("/sku/capacity".to_owned(), json!(total)),
        ("/sku/name".to_owned(), spec["vmSizes"][0]["name"].clone()),
        ("/zones".to_owned(), spec["zones"].clone()),
        (
            "/properties/orchestrationMode".to_owned(),
            json!(if flexible { "Flexible" } else { "Uniform" }),
        ),
        (
            "/properties/priorityMixPolicy/baseRegularPriorityCount".to_owned(),
            if flexible {
                capacity["regular"].clone()
            } else {
                Value::Null
            },
        ),
    ];
    let mut profile = |place: String, value: Value| all.push((format!("{PROFILE}{place}"), value));
    profile("/priority".to_owned(), json!("Spot"));
    profile(
        "/evictionPolicy".to_owned(),
        spec["eviction"]["policy"].clone(),
    );
    profile("/billingProfile/maxPrice".to_owned(), json!(price));
    profile(
        "/storageProfile/osDisk/deleteOption".to_owned(),
        delete.clone(),
    );
    profile(format!("{NIC}/deleteOption"), delete.clone());
    let template = spec["template"].as_object().ok_or("no template")?;
    let mut identities = None;
    let mut tags = Vec::new();
    for (field, value) in template {
        match field.as_str() {
            "admin" => {
                let keys = value["sshPublicKeys"].as_array().ok_or("no SSH keys")?;
                for (nth, key) in keys.iter().enumerate() {
                    profile(
                        format!("/osProfile/linuxConfiguration/ssh/publicKeys/{nth}/keyData"),
                        key.clone(),
                    );
                }
                profile(
                    "/osProfile/adminUsername".to_owned(),
                    value["username"].clone(),
                );
            }
            "bootDiagnostics" => {
                profile(
                    "/diagnosticsProfile/bootDiagnostics/enabled".to_owned(),
                    json!(true),
                );
            }
            // What stands there is hidden in the log; see `data`.
            "customData" => {}
            "dataDisks" => {
                for (nth, disk) in value.as_array().into_iter().flatten().enumerate() {
                    let place = format!("/storageProfile/dataDisks/{nth}");
                    profile(format!("{place}/lun"), disk["lun"].clone());
                    profile(format!("{place}/createOption"), json!("Empty"));
                    profile(format!("{place}/diskSizeGB"), disk["sizeGiB"].clone());
                    profile(
                        format!("{place}/managedDisk/storageAccountType"),
                        disk["type"].clone(),
                    );
                    profile(format!("{place}/deleteOption"), delete.clone());
                }
            }
            "extensions" => {
                for (nth, extension) in value.as_array().into_iter().flatten().enumerate() {
                    let place = format!("/extensionProfile/extensions/{nth}");
                    profile(format!("{place}/name"), extension["name"].clone());
                    for (here, there) in [
                        ("publisher", "publisher"),
                        ("type", "type"),
                        ("version", "typeHandlerVersion"),
                        ("autoUpgradeMinorVersion", "autoUpgradeMinorVersion"),
                    ] {
                        profile(
                            format!("{place}/properties/{there}"),
                            extension[here].clone(),
                        );
                    }
                }
            }
            "identity" => {
                only(value, &["userAssigned", "systemAssigned"])?;
                let ids = value["userAssigned"].as_array().into_iter().flatten();
                let ids = ids.filter_map(Value::as_str);
                identities = Some(ids.map(|id| (id.to_owned(), json!({}))).collect::<Value>());
            }
            "image" => {
                let image = value.get("marketplace").unwrap_or(value);
                profile("/storageProfile/imageReference".to_owned(), image.clone());
            }
            "network" => {
                only(value, &["subnetID", "loadBalancerBackendPoolIDs"])?;
                let address = format!("{NIC}/ipConfigurations/0/properties");
                profile(format!("{address}/subnet/id"), value["subnetID"].clone());
                let pools = value["loadBalancerBackendPoolIDs"].as_array();
                for (nth, id) in pools.into_iter().flatten().enumerate() {
                    profile(
                        format!("{address}/loadBalancerBackendAddressPools/{nth}/id"),
                        id.clone(),
                    );
                }
            }
            "os" if value == "Linux" => {}
            "osDisk" => {
                only(value, &["sizeGiB", "type", "ephemeral"])?;
                profile(
                    "/storageProfile/osDisk/diskSizeGB".to_owned(),
                    value["sizeGiB"].clone(),
                );
                profile(
                    "/storageProfile/osDisk/managedDisk/storageAccountType".to_owned(),
                    value["type"].clone(),
                );
                let local = value.get("ephemeral");
                profile(
                    "/storageProfile/osDisk/diffDiskSettings".to_owned(),
                    local.map_or(
                        Value::Null,
                        |local| json!({"option": "Local", "placement": local["placement"]}),
                    ),
                );
            }
            "tags" => {
                let pairs = value.as_object().into_iter().flatten();
                tags.extend(pairs.map(|(name, value)| (format!("/tags/{name}"), value.clone())));
            }
            other => return Err(error(format!("nobody looks at template.{other} = {value}"))),
        }
    }
    all.extend(tags);
    if let Some(identities) = identities {
        all.push(("/identity/type".to_owned(), json!("UserAssigned")));
        all.push(("/identity/userAssignedIdentities".to_owned(), identities));
    }
    Ok(all)
}

/// That nothing else stands in a part of the manifest.
fn only(part: &Value, known: &[&str]) -> Result<()> {
    let mut fields = part.as_object().into_iter().flatten();
    match fields.find(|(field, _)| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some((field, value)) => Err(error(format!("nobody looks at {field} = {value}"))),
    }
}

/// Members of the body that no log shows, and the Base64 that must stand there.
pub fn data(pool: &Value, objects: &[Value]) -> Result<Vec<(&'static str, String)>> {
    let source = &pool["spec"]["template"]["customData"];
    if source.is_null() {
        return Ok(Vec::new());
    }
    let under = |kind: &str, key: &Value| {
        let object = objects
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == key["name"]);
        let entry = object.and_then(|object| object["data"][key["key"].as_str()?].as_str());
        entry
            .map(str::to_owned)
            .ok_or_else(|| error(format!("the example brings no {kind} for {key}")))
    };
    let text = if let Some(inline) = source["inline"].as_str() {
        BASE64_STANDARD.encode(inline)
    } else if let Some(key) = source.get("configMapKeyRef") {
        BASE64_STANDARD.encode(under("ConfigMap", key)?)
    } else {
        // Kubernetes has it in Base64 already.
        under("Secret", &source["secretKeyRef"])?
    };
    Ok(vec![("customData", text)])
}
