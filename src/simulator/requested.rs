//! What a PUT or PATCH body asks for, in the world's terms, and what of it Azure does not take.

use super::documents::remove;
use super::wire::Reply;
use serde_json::{Value, json};
use spotpool_core::world::{EvictionPolicy, OrchestrationMode, Priority, PriorityMix, SetChange};

/// What a scale set becomes that does not say. [INF] az and PowerShell say Flexible by themselves since November 2023
/// (azure-cli#27596); the API was Uniform before there was a choice, and nothing tells that it changed.
const DEFAULT_MODE: OrchestrationMode = OrchestrationMode::Uniform;

/// The part of a PUT or PATCH body that the world understands. `before` and `after` are the stored document without and
/// with the body.
///
/// # Errors
/// 400 for values of the wrong kind.
pub fn change(body: &Value, before: Option<&Value>, after: &Value) -> Result<SetChange, Reply> {
    let profile = body
        .pointer("/properties/virtualMachineProfile")
        .unwrap_or(&Value::Null);
    let capacity = whole(body, "/sku/capacity")?;
    let mix = match body
        .pointer("/properties/priorityMixPolicy")
        .filter(|m| m.is_object())
    {
        None => None,
        Some(_) => Some(PriorityMix {
            base: whole(
                after,
                "/properties/priorityMixPolicy/baseRegularPriorityCount",
            )?
            .unwrap_or(0),
            percent: whole(
                after,
                "/properties/priorityMixPolicy/regularPriorityPercentageAboveBase",
            )?
            .unwrap_or(0),
        }),
    };
    let max_price = match profile
        .pointer("/billingProfile/maxPrice")
        .filter(|p| !p.is_null())
    {
        None => None,
        Some(price) => Some(
            (price
                .as_f64()
                .ok_or_else(|| wrong("billingProfile.maxPrice"))?
                * 1e6)
                .round() as i64,
        ),
    };
    let modes = [
        ("Flexible", OrchestrationMode::Flexible),
        ("Uniform", OrchestrationMode::Uniform),
    ];
    let mode = text(body, "/properties/orchestrationMode")?
        .map(|m| named("orchestrationMode", &m, &modes))
        .transpose()?
        .or_else(|| before.is_none().then_some(DEFAULT_MODE));
    Ok(SetChange {
        mode,
        capacity,
        vm_size: text(body, "/sku/name")?,
        mix,
        priority: text(profile, "/priority")?
            .map(|p| {
                named(
                    "priority",
                    &p,
                    &[
                        ("Spot", Priority::Spot),
                        ("Low", Priority::Spot),
                        ("Regular", Priority::Regular),
                    ],
                )
            })
            .transpose()?,
        eviction_policy: text(profile, "/evictionPolicy")?
            .map(|p| {
                named(
                    "evictionPolicy",
                    &p,
                    &[
                        ("Delete", EvictionPolicy::Delete),
                        ("Deallocate", EvictionPolicy::Deallocate),
                    ],
                )
            })
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
    let mut profile = document
        .pointer("/properties/virtualMachineProfile")
        .cloned()
        .unwrap_or_default();
    for key in ["priority", "evictionPolicy", "billingProfile"] {
        remove(&mut profile, &[key]);
    }
    profile
}

fn wrong(target: &str) -> Reply {
    Reply::error(
        400,
        "InvalidRequestContent",
        &format!(
            "The request content was invalid and could not be deserialized: 'Could not convert the value of {target}'."
        ),
        Some(target),
    )
}

fn whole(document: &Value, pointer: &str) -> Result<Option<u32>, Reply> {
    match document.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .map(Some)
            .ok_or_else(|| wrong(&pointer[1..].replace('/', "."))),
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
    items
        .iter()
        .map(|i| i.as_str().map(str::to_owned).ok_or_else(|| wrong(target)))
        .collect()
}

fn named<T: Copy>(target: &str, value: &str, names: &[(&str, T)]) -> Result<T, Reply> {
    names
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value))
        .map(|(_, v)| *v)
        .ok_or_else(|| {
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
            let message = format!(
                "The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters."
            );
            return Err(Reply::gateway(400, "InvalidTagNameCharacters", &message));
        }
        out.insert(
            name.clone(),
            value.as_str().ok_or_else(|| wrong("tags"))?.to_owned(),
        );
    }
    Ok(out)
}

/// Whether a document is that of a Flexible set; one that does not say is not.
#[must_use]
pub fn flexible(document: &Value) -> bool {
    document["properties"]["orchestrationMode"]
        .as_str()
        .is_some_and(|mode| mode.eq_ignore_ascii_case(OrchestrationMode::Flexible.as_str()))
}

/// A single placement group, which Uniform sets have unless they say otherwise, holds a hundred instances [DOC]; the words
/// of the refusal are ours.
///
/// # Errors
/// 400 for a larger capacity.
pub fn placeable(document: &Value, capacity: Option<u32>) -> Result<(), Reply> {
    let single = document["properties"]["singlePlacementGroup"] != json!(false);
    if flexible(document) || !single || capacity.is_none_or(|n| n <= 100) {
        return Ok(());
    }
    let message = "The value of parameter 'sku.capacity' is out of range for a Virtual Machine Scale Set with singlePlacementGroup 'True'. The maximum is 100.";
    Err(Reply::error(
        400,
        "InvalidParameter",
        message,
        Some("sku.capacity"),
    ))
}

/// What a new scale set must bring.
///
/// # Errors
/// 400 with the first thing that is missing.
pub fn complete(document: &Value) -> Result<(), Reply> {
    let properties = &document["properties"];
    let flexible = flexible(document);
    let missing = |name: &str| {
        Reply::error(
            400,
            "InvalidParameter",
            &format!("Required parameter '{name}' is missing (null)."),
            Some(name),
        )
    };
    let profile = &properties["virtualMachineProfile"];
    for (name, value) in [
        ("sku", &document["sku"]["name"]),
        ("virtualMachineProfile", profile),
        (
            "virtualMachineProfile.storageProfile",
            &profile["storageProfile"],
        ),
        (
            "imageReference",
            &profile["storageProfile"]["imageReference"],
        ),
        ("virtualMachineProfile.osProfile", &profile["osProfile"]),
        (
            "networkProfile",
            &profile["networkProfile"]["networkInterfaceConfigurations"],
        ),
    ] {
        if value.is_null() {
            return Err(missing(name));
        }
    }
    // [DOC orchestration-modes-api-comparison], [ISS azure-docs#74002] what each mode needs beside that.
    let (name, value) = if flexible {
        let version = &profile["networkProfile"]["networkApiVersion"];
        ("networkApiVersion", version)
    } else {
        ("upgradePolicy", &properties["upgradePolicy"]["mode"])
    };
    if value.is_null() {
        return Err(missing(name));
    }
    let outlives = document.to_string().contains("\"deleteOption\"");
    if !flexible && outlives {
        // [SDK] "for VMSS with Flexible OrchestrationMode only"; the words are ours.
        let message = "Parameter 'deleteOption' is not allowed for a Virtual Machine Scale Set with orchestration mode Uniform.";
        return Err(Reply::error(
            400,
            "InvalidParameter",
            message,
            Some("deleteOption"),
        ));
    }
    let nics = profile["networkProfile"]["networkInterfaceConfigurations"].as_array();
    for nic in nics.into_iter().flatten() {
        let addresses = nic["properties"]["ipConfigurations"].as_array();
        if !nic["name"].is_string() || addresses.is_none_or(Vec::is_empty) {
            return Err(missing("ipConfigurations"));
        }
    }
    if flexible && properties["singlePlacementGroup"] == json!(true) {
        let message = "The value 'True' of parameter 'singlePlacementGroup' is not allowed for a Virtual Machine Scale Set with orchestration mode Flexible.";
        return Err(Reply::error(
            400,
            "InvalidParameter",
            message,
            Some("singlePlacementGroup"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_becomes_whole_micro_dollars() {
        let body = json!({"properties": {"virtualMachineProfile": {"billingProfile": {"maxPrice": 0.05}}}});
        assert_eq!(change(&body, None, &body).unwrap().max_price, Some(50_000));
        let body =
            json!({"properties": {"virtualMachineProfile": {"billingProfile": {"maxPrice": -1}}}});
        assert_eq!(
            change(&body, None, &body).unwrap().max_price,
            Some(-1_000_000)
        );
    }

    #[test]
    fn a_new_image_changes_the_model_and_a_new_max_price_does_not_count_twice() {
        let before = json!({"properties": {"virtualMachineProfile": {"image": 1, "billingProfile": {"maxPrice": -1.0}}}});
        let mut after = before.clone();
        after["properties"]["virtualMachineProfile"]["billingProfile"]["maxPrice"] = json!(0.1);
        assert!(
            !change(&json!({}), Some(&before), &after)
                .unwrap()
                .model_changed
        );
        after["properties"]["virtualMachineProfile"]["image"] = json!(2);
        assert!(
            change(&json!({}), Some(&before), &after)
                .unwrap()
                .model_changed
        );
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
