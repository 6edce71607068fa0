//! Scale sets over ARM: PUT that merges, PATCH, GET, DELETE, lists.

use super::arm::Exchange;
use super::state::{SetRecord, State};
use super::wire::{Call, Reply};
use super::{documents, ids, operations, requested};
use serde_json::{Value, json};
use spotpool_core::world::{Precondition, Refusal, ScaleSet, SetKey};

/// PUT: 201 new, 200 existing [SDK].
///
/// # Errors
/// Azure's refusals.
pub fn put(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let body = exchange.call.json()?;
    let key = SetKey::new(group, name);
    let before = exchange.state.sets.get(&key).map(|r| r.document.clone());
    if before.is_none() && body["location"].is_null() {
        return Err(Reply::gateway(
            400,
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    }
    located(exchange.state, &body, before.is_some())?;
    let mut after = before.clone().unwrap_or_else(|| json!({}));
    documents::merge(&mut after, &body);
    if before.is_none() {
        requested::complete(&after)?;
        authenticates(&body)?;
    }
    unchangeable(before.as_ref(), &after)?;
    documents::strip(&mut after);
    let change = requested::change(&body, before.as_ref(), &after)?;
    requested::placeable(&after, change.capacity)?;
    let accepted = exchange
        .state
        .region
        .put(group, name, &change, precondition(exchange.call))?;
    store(exchange.state, &key, after, change.capacity);
    let reply = shown(
        exchange.state,
        &key,
        if accepted.created { 201 } else { 200 },
    );
    Ok(operations::announce(
        exchange,
        reply,
        accepted.operation,
        false,
    ))
}

/// PATCH: 200.
///
/// # Errors
/// Azure's refusals.
pub fn patch(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let body = exchange.call.json()?;
    let key = SetKey::new(group, name);
    let Some(before) = exchange.state.sets.get(&key).map(|r| r.document.clone()) else {
        return Err(Refusal::resource_not_found("virtualMachineScaleSets", group, name).into());
    };
    let mut after = before.clone();
    documents::merge(&mut after, &body);
    unchangeable(Some(&before), &after)?;
    documents::strip(&mut after);
    let change = requested::change(&body, Some(&before), &after)?;
    requested::placeable(&after, change.capacity)?;
    let accepted =
        exchange
            .state
            .region
            .patch(group, name, &change, precondition(exchange.call))?;
    store(exchange.state, &key, after, change.capacity);
    let reply = shown(exchange.state, &key, 200);
    Ok(operations::announce(
        exchange,
        reply,
        accepted.operation,
        false,
    ))
}

/// GET.
///
/// # Errors
/// 404.
pub fn get(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    known(exchange.state, group, name)?;
    Ok(shown(exchange.state, &SetKey::new(group, name), 200))
}

/// DELETE: 202, or 204 when there is nothing.
///
/// # Errors
/// Azure's refusals.
pub fn delete(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let condition = precondition(exchange.call);
    let operation = exchange.state.region.delete_set(group, name, condition)?;
    Ok(operations::accepted(exchange, operation))
}

/// Lists the scale sets of a resource group, a location or the subscription.
///
/// # Errors
/// None so far.
pub fn list(
    exchange: &Exchange<'_>,
    group: Option<&str>,
    location: Option<&str>,
) -> Result<Reply, Reply> {
    let state = &exchange.state;
    let here = location.is_none_or(|l| same_location(l, &state.region.location));
    let group = group.map(str::to_lowercase);
    let found = state
        .region
        .sets
        .iter()
        .filter(|(key, _)| here && group.as_ref().is_none_or(|g| *g == key.resource_group));
    let items = found
        .map(|(key, _)| (format!("{}/{}", key.resource_group, key.name), key))
        .collect();
    let (page, next) = exchange.page(items);
    let value: Vec<Value> = page
        .into_iter()
        .filter_map(|key| rendered(state, key))
        .collect();
    Ok(Reply::json(200, with_next(json!({"value": value}), next)))
}

/// The scale set of that name.
///
/// # Errors
/// 404.
pub fn known<'a>(state: &'a State, group: &str, name: &str) -> Result<&'a ScaleSet, Reply> {
    state
        .region
        .set(group, name)
        .ok_or_else(|| Refusal::resource_not_found("virtualMachineScaleSets", group, name).into())
}

/// If-Match and If-None-Match; ETags are small quoted integers [ISS cloud-provider-azure#9728].
fn precondition(call: &Call) -> Precondition {
    match (call.header("if-match"), call.header("if-none-match")) {
        (Some("*"), _) => Precondition::IfMatchAny,
        (Some(etag), _) => Precondition::IfMatch(etag.trim_matches('"').parse().unwrap_or(0)),
        (None, Some("*")) => Precondition::IfNoneMatchAny,
        (None, _) => Precondition::None,
    }
}

fn located(state: &State, body: &Value, exists: bool) -> Result<(), Reply> {
    let Some(wanted) = body["location"].as_str() else {
        return Ok(());
    };
    let location = &*state.region.location;
    if same_location(wanted, location) {
        return Ok(());
    }
    if exists {
        let message = format!(
            "The resource already exists in location '{location}'. A resource with the same name cannot be created in location '{wanted}'."
        );
        return Err(Reply::gateway(409, "InvalidResourceLocation", &message));
    }
    let message = format!(
        "The provided location '{wanted}' is not available for resource type 'Microsoft.Compute/virtualMachineScaleSets'. List of available regions for the resource type is '{location}'."
    );
    Err(Reply::gateway(
        400,
        "LocationNotAvailableForResourceType",
        &message,
    ))
}

/// `East US` is `eastus`.
pub fn same_location(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.to_lowercase().replace(' ', "");
    plain(a) == plain(b)
}

fn authenticates(body: &Value) -> Result<(), Reply> {
    let os = &body["properties"]["virtualMachineProfile"]["osProfile"];
    let keys = os
        .pointer("/linuxConfiguration/ssh/publicKeys")
        .and_then(Value::as_array)
        .is_some_and(|k| !k.is_empty());
    if keys || os["adminPassword"].is_string() {
        return Ok(());
    }
    let message = "Authentication using either SSH or by user name and password must be enabled in Linux profile.";
    Err(Reply::error(
        400,
        "InvalidParameter",
        message,
        Some("linuxConfiguration"),
    ))
}

fn unchangeable(before: Option<&Value>, after: &Value) -> Result<(), Reply> {
    let Some(before) = before else { return Ok(()) };
    for (pointer, property) in [
        (
            "/properties/platformFaultDomainCount",
            "platformFaultDomainCount",
        ),
        (
            "/properties/virtualMachineProfile/osProfile/adminUsername",
            "osProfile.adminUsername",
        ),
    ] {
        if before.pointer(pointer).is_some() && before.pointer(pointer) != after.pointer(pointer) {
            return Err(Reply::error(
                409,
                "PropertyChangeNotAllowed",
                &format!("Changing property '{property}' is not allowed."),
                Some(property),
            ));
        }
    }
    Ok(())
}

fn store(state: &mut State, key: &SetKey, mut document: Value, asked: Option<u32>) {
    documents::fill_defaults(&mut document);
    let unique_id = ids::guid(
        state.seed,
        &format!("set/{}/{}/{}", key.resource_group, key.name, state.requests),
    );
    let record = state
        .sets
        .entry(key.clone())
        .or_insert_with(|| SetRecord::new(Value::Null, unique_id));
    record.document = document;
    record.asked = asked.unwrap_or(record.asked);
    state.record();
}

fn shown(state: &State, key: &SetKey, status: u16) -> Reply {
    Reply::json(status, rendered(state, key).unwrap_or_default())
}

/// The resource id.
#[must_use]
pub fn set_id(state: &State, set: &ScaleSet) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
        state.subscription, set.resource_group, set.name
    )
}

/// The stored document under what the world says.
fn rendered(state: &State, key: &SetKey) -> Option<Value> {
    let (set, record) = (state.region.sets.get(key)?, state.sets.get(key)?);
    let mut document = record.document.clone();
    document["name"] = json!(set.name);
    document["id"] = json!(set_id(state, set));
    document["type"] = json!("Microsoft.Compute/virtualMachineScaleSets");
    document["location"] = json!(&*state.region.location);
    document["etag"] = json!(format!("\"{}\"", set.etag));
    document["tags"] = json!(*set.tags);
    document["sku"]["name"] = json!(set.model.vm_size);
    document["sku"]["capacity"] = json!(set.capacity);
    if !set.zones.is_empty() {
        document["zones"] = json!(set.zones);
    }
    document["properties"]["orchestrationMode"] = json!(set.mode.as_str());
    document["properties"]["provisioningState"] = json!(set.provisioning_state().as_str());
    document["properties"]["uniqueId"] = json!(record.unique_id);
    document["properties"]["timeCreated"] = json!(state.clock.stamp(set.created));
    Some(document)
}

/// Adds the link to the next page.
#[must_use]
pub fn with_next(mut body: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        body["nextLink"] = json!(next);
    }
    body
}
