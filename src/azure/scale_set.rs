//! A scale set as Azure shows it, read into the planner's words.
//!
//! In: the body of a GET. Out: a [`ScaleSet`], or why it cannot be trusted. It is read as JSON and not through the crate's structs: a field that we do not
//! use must not blind us, and one that we do use must never be filled by a default (a capacity that is not there is not 0).

use serde_json::Value;
use spotpool_core::planner::{Provisioning, ScaleSet};
use spotpool_core::units::{Count, Etag, MicroUsd, ModelHash, Owner, Timestamp, VmSize};
use std::collections::BTreeMap;

use super::tags;

/// Reads a scale set. `header_etag`: the `ETag` header, for the case that the body has none.
///
/// # Errors
/// A sentence, when a field that decisions stand on is missing or of another kind.
pub(super) fn read(body: &[u8], header_etag: Option<&str>) -> Result<ScaleSet, String> {
    let set: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the scale set's body of {} bytes: {error}", body.len()))?;
    read_value(&set, header_etag)
}

/// The same of an item of a list.
///
/// # Errors
/// As [`read`].
pub(super) fn read_value(set: &Value, header_etag: Option<&str>) -> Result<ScaleSet, String> {
    let sku = set.get("sku").ok_or("the scale set has no sku")?;
    let capacity = sku
        .get("capacity")
        .and_then(whole)
        .ok_or("the scale set's sku.capacity is no count")?;
    let vm_size = sku
        .get("name")
        .and_then(Value::as_str)
        .ok_or("the scale set has no sku.name")?;
    let properties = set
        .get("properties")
        .filter(|properties| properties.is_object())
        .ok_or("the scale set has no properties")?;
    let base = match properties.pointer("/priorityMixPolicy/baseRegularPriorityCount") {
        // A set without a mix is all Spot, or all regular: either way it guarantees no regular ones.
        None | Some(Value::Null) => 0,
        Some(value) => {
            whole(value).ok_or("the scale set's baseRegularPriorityCount is no count")?
        }
    };
    // `etag` is in the body since 2024-03-01.
    let etag = set
        .get("etag")
        .and_then(Value::as_str)
        .or(header_etag)
        .filter(|etag| !etag.is_empty())
        .ok_or("the scale set has no etag")?;
    let tags = read_tags(set);
    let tag = |name: &str| tags::value(&tags, name);
    Ok(ScaleSet {
        capacity,
        base,
        vm_size: VmSize::from(vm_size),
        max_price: properties
            .pointer("/virtualMachineProfile/billingProfile/maxPrice")
            .and_then(Value::as_f64)
            .and_then(price),
        etag: Etag::from(etag),
        state: provisioning(properties.get("provisioningState").and_then(Value::as_str)),
        owner: tag(tags::OWNER).map(Owner::from),
        model: tag(tags::MODEL).map(ModelHash::from),
        model_since: tag(tags::MODEL_TIME).and_then(timestamp),
    })
}

/// Dollars to micro-dollars; -1 is no limit but the pay-as-you-go price.
pub(super) fn price(dollars: f64) -> Option<MicroUsd> {
    #[allow(clippy::cast_possible_truncation)]
    // A price of an hour in micro-dollars is far below 2^53.
    (dollars >= 0.0).then(|| MicroUsd((dollars * 1_000_000.0).round() as i64))
}

/// The tags of a resource. Azure compares their names without case.
pub(super) fn read_tags(resource: &Value) -> BTreeMap<String, String> {
    let tags = resource
        .get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A count, also when it is written as `3.0`.
pub(super) fn whole(value: &Value) -> Option<Count> {
    let exact = value
        .as_u64()
        .and_then(|number| Count::try_from(number).ok());
    exact.or_else(|| {
        let number = value.as_f64().filter(|number| {
            number.fract() == 0.0 && (0.0..=f64::from(Count::MAX)).contains(number)
        })?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Just checked.
        Some(number as Count)
    })
}

/// RFC 3339 to milliseconds.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let time = azure_core_legacy::date::parse_rfc3339(text).ok()?;
    Some(Timestamp(
        i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?,
    ))
}

pub(super) fn provisioning(word: Option<&str>) -> Provisioning {
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "succeeded" => Provisioning::Succeeded,
        "failed" => Provisioning::Failed,
        "canceled" => Provisioning::Canceled,
        "deleting" => Provisioning::Deleting,
        // Creating, Updating, no word, or one we do not know: nothing is written into a set that may be in motion.
        _ => Provisioning::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({
            "name": "render", "location": "eastus", "etag": "\"7\"",
            "tags": {"Spotpool_Owner": "c/ns/render/uid", "spotpool_model": "abc", "spotpool_model_time": "2026-01-02T03:04:05.678Z", "team": "vfx"},
            "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 20},
            "properties": {"provisioningState": "Updating", "priorityMixPolicy": {"baseRegularPriorityCount": 2, "regularPriorityPercentageAboveBase": 0}, "newField": [1]},
        })
    }

    #[test]
    fn reads_what_the_planner_needs() {
        let set = read_value(&body(), None).unwrap();
        assert_eq!(
            set,
            ScaleSet {
                capacity: 20,
                base: 2,
                vm_size: "Standard_D4s_v5".into(),
                max_price: None,
                etag: "\"7\"".into(),
                state: Provisioning::Busy,
                owner: Some("c/ns/render/uid".into()),
                model: Some("abc".into()),
                model_since: Some(Timestamp(1_767_323_045_678)),
            }
        );
    }

    #[test]
    fn is_not_blinded_by_fields_it_does_not_use() {
        let mut odd = body();
        odd["location"] = Value::Null;
        odd["sku"]["capacity"] = json!(20.0);
        odd["sku"]["tier"] = json!(7);
        odd["properties"]["timeCreated"] = json!("yesterday");
        odd["properties"]["virtualMachineProfile"] =
            json!({"networkProfile": {"networkInterfaceConfigurations": [{}]}});
        odd["tags"]["number"] = json!(3);
        assert_eq!(
            read_value(&odd, None).unwrap(),
            read_value(&body(), None).unwrap()
        );
    }

    #[test]
    fn never_fills_in_what_decisions_stand_on() {
        for pointer in ["/sku", "/sku/capacity", "/sku/name", "/properties", "/etag"] {
            let mut broken = body();
            *broken.pointer_mut(pointer).unwrap() = Value::Null;
            assert!(read_value(&broken, None).is_err(), "{pointer}");
        }
        for capacity in [json!(-1), json!(2.5), json!("20"), json!(1e12), json!(null)] {
            let mut broken = body();
            broken["sku"]["capacity"] = capacity.clone();
            assert!(read_value(&broken, None).is_err(), "{capacity}");
        }
        let mut broken = body();
        broken["properties"]["priorityMixPolicy"]["baseRegularPriorityCount"] = json!("two");
        assert!(read_value(&broken, None).is_err());
        for text in ["", "{}", "[]", "<html>", "{\"sku\":{\"capacity\":"] {
            assert!(read(text.as_bytes(), Some("e")).is_err(), "{text}");
        }
    }

    #[test]
    fn takes_the_etag_from_the_header_where_the_body_has_none() {
        let mut bare = body();
        bare.as_object_mut().unwrap().remove("etag");
        assert_eq!(
            read(bare.to_string().as_bytes(), Some("\"9\""))
                .unwrap()
                .etag,
            "\"9\"".into()
        );
    }

    #[test]
    fn takes_a_state_it_does_not_know_for_busy() {
        for (word, state) in [
            (json!("Succeeded"), Provisioning::Succeeded),
            (json!("Failed"), Provisioning::Failed),
            (json!("Canceled"), Provisioning::Canceled),
            (json!("Deleting"), Provisioning::Deleting),
            (json!("Creating"), Provisioning::Busy),
            (json!("Migrating"), Provisioning::Busy),
            (json!(null), Provisioning::Busy),
        ] {
            let mut set = body();
            set["properties"]["provisioningState"] = word.clone();
            assert_eq!(read_value(&set, None).unwrap().state, state, "{word}");
        }
    }

    #[test]
    fn a_set_without_tags_has_no_owner() {
        let mut foreign = body();
        foreign["tags"] = Value::Null;
        let set = read_value(&foreign, None).unwrap();
        assert_eq!((set.owner, set.model, set.model_since), (None, None, None));
    }
}
