//! Networks, subnets, addresses, balancers, security groups: kept and shown, and without effect on the world.
//!
//! A child (`…/virtualNetworks/v/subnets/s`) lives in its parent's list of that name and nowhere else, as in Azure's own documents.
//! Names that a body refers to are not looked up.

use super::arm::Exchange;
use super::ids;
use super::scale_sets::{same_location, with_next};
use super::state::State;
use super::wire::Reply;
use serde_json::{Value, json};

/// PUT: 201 new, 200 again, finished at once. It replaces all of the document.
///
/// # Errors
/// 400 without a location; 404 without a parent; 409 for a type that another location has.
pub fn put(exchange: &mut Exchange<'_>, group: &str, path: &[String]) -> Result<Reply, Reply> {
    let mut document = exchange.call.json()?;
    let (key, id) = (key(group, path), id_of(exchange.state, group, path));
    let tag = json!(format!("W/\"{}\"", exchange.request_id));
    match path {
        [kind, name] => {
            let location = document["location"].as_str().unwrap_or_default();
            if location.is_empty() {
                return Err(Reply::gateway(
                    400,
                    "LocationRequired",
                    "The location property is required for this definition.",
                ));
            }
            if !same_location(location, &exchange.state.region.location) {
                let message = format!(
                    "The provided location '{location}' is not available for resource type 'Microsoft.Network/{kind}'. List of available regions for the resource type is '{}'.",
                    exchange.state.region.location
                );
                return Err(Reply::gateway(
                    400,
                    "LocationNotAvailableForResourceType",
                    &message,
                ));
            }
            name_it(
                &mut document,
                &id,
                name,
                &format!("Microsoft.Network/{kind}"),
                &tag,
            );
            document["properties"]["resourceGuid"] = json!(ids::guid(exchange.state.seed, &key));
            let replaced = exchange.state.resources.insert(key, document.clone());
            Ok(Reply::json(
                if replaced.is_some() { 200 } else { 201 },
                document,
            ))
        }
        [kind, _, child, name] => {
            name_it(
                &mut document,
                &id,
                name,
                &format!("Microsoft.Network/{kind}/{child}"),
                &tag,
            );
            let list = children(exchange.state, group, path).ok_or_else(|| {
                let message = format!("Can not perform requested operation on nested resource. Parent resource '{}' not found.", path[1]);
                Reply::gateway(404, "ParentResourceNotFound", &message)
            })?;
            let old = list.iter().position(|item| is_named(item, name));
            match old.and_then(|i| list.get_mut(i)) {
                Some(item) => *item = document.clone(),
                None => list.push(document.clone()),
            }
            Ok(Reply::json(if old.is_some() { 200 } else { 201 }, document))
        }
        _ => Err(Reply::not_simulated("this kind of network resource")),
    }
}

/// GET of one, or of a list: of a group, of the subscription, of a parent.
///
/// # Errors
/// 404.
pub fn get(
    exchange: &mut Exchange<'_>,
    group: Option<&str>,
    path: &[String],
) -> Result<Reply, Reply> {
    match (group, path) {
        (group, [kind]) => Ok(list(exchange, group, kind)),
        (Some(group), [_, _]) => {
            let found = exchange.state.resources.get(&key(group, path));
            found
                .map(|d| Reply::json(200, d.clone()))
                .ok_or_else(|| unknown(group, path))
        }
        (Some(group), [_, _, _]) => {
            let items =
                children(exchange.state, group, path).ok_or_else(|| unknown(group, path))?;
            Ok(Reply::json(200, json!({"value": items})))
        }
        (Some(group), [_, _, _, name]) => {
            let items = children(exchange.state, group, path);
            let found = items
                .into_iter()
                .flatten()
                .find(|item| is_named(item, name));
            found
                .map(|d| Reply::json(200, d.clone()))
                .ok_or_else(|| unknown(group, path))
        }
        _ => Err(Reply::not_simulated("this kind of network resource")),
    }
}

/// DELETE: 200, or 204 when there is nothing.
///
/// # Errors
/// 501 for what is neither a resource nor its child.
pub fn delete(exchange: &mut Exchange<'_>, group: &str, path: &[String]) -> Result<Reply, Reply> {
    let gone = match path {
        [_, _] => exchange.state.resources.remove(&key(group, path)).is_some(),
        [_, _, _, name] => children(exchange.state, group, path).is_some_and(|items| {
            let before = items.len();
            items.retain(|item| !is_named(item, name));
            items.len() < before
        }),
        _ => return Err(Reply::not_simulated("this kind of network resource")),
    };
    Ok(Reply::empty(if gone { 200 } else { 204 }))
}

fn list(exchange: &Exchange<'_>, group: Option<&str>, kind: &str) -> Reply {
    let group = group.map(str::to_lowercase);
    let items = exchange.state.resources.iter().filter(|(key, _)| {
        let mut parts = key.split('/');
        let here = parts.next();
        group.as_deref().is_none_or(|g| here == Some(g))
            && parts.next() == Some(&kind.to_lowercase())
    });
    let items = items
        .map(|(key, document)| (key.clone(), document))
        .collect();
    let (page, next) = exchange.page(items);
    Reply::json(200, with_next(json!({"value": page}), next))
}

fn key(group: &str, path: &[String]) -> String {
    format!("{group}/{}", path.join("/")).to_lowercase()
}

fn id_of(state: &State, group: &str, path: &[String]) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Network/{}",
        state.subscription,
        path.join("/")
    )
}

fn unknown(group: &str, path: &[String]) -> Reply {
    let message = format!(
        "The Resource 'Microsoft.Network/{}' under resource group '{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        path.join("/")
    );
    Reply::gateway(404, "ResourceNotFound", &message)
}

fn is_named(item: &Value, name: &str) -> bool {
    item["name"]
        .as_str()
        .is_some_and(|n| n.eq_ignore_ascii_case(name))
}

/// The list in its parent that a path's third segment names; made when the parent has none yet.
fn children<'a>(state: &'a mut State, group: &str, path: &[String]) -> Option<&'a mut Vec<Value>> {
    let [kind, name, child, ..] = path else {
        return None;
    };
    let parent = state
        .resources
        .get_mut(&key(group, &[kind.clone(), name.clone()]))?;
    let properties = parent.get_mut("properties")?.as_object_mut()?;
    let own = properties
        .keys()
        .find(|k| k.eq_ignore_ascii_case(child))
        .cloned();
    let list = properties
        .entry(own.unwrap_or_else(|| child.clone()))
        .or_insert_with(|| json!([]));
    list.as_array_mut()
}

/// What Azure says of a resource, and of the named items in its lists: id, type, and that it is finished.
fn name_it(document: &mut Value, id: &str, name: &str, kind: &str, tag: &Value) {
    for (key, value) in [
        ("id", json!(id)),
        ("name", json!(name)),
        ("type", json!(kind)),
        ("etag", tag.clone()),
    ] {
        document[key] = value;
    }
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    document["properties"]["provisioningState"] = json!("Succeeded");
    for (list, items) in document["properties"].as_object_mut().into_iter().flatten() {
        for item in items.as_array_mut().into_iter().flatten() {
            if let Some(name) = item["name"].as_str().map(str::to_owned) {
                name_it(
                    item,
                    &format!("{id}/{list}/{name}"),
                    &name,
                    &format!("{kind}/{list}"),
                    tag,
                );
            }
        }
    }
}
