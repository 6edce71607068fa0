//! What is asked of several instances of a scale set at once: POST …/delete, …/start and their like with `instanceIds`.
//! Flexible instances are called by their names there, Uniform ones by their numbers.

use super::arm::Exchange;
use super::operations;
use super::wire::Reply;
use serde_json::{Value, json};
use spotpool_core::world::{InstanceAction, SetKey};

/// 202 without a body; the charge is the number of instances [REC cap 4].
///
/// # Errors
/// Azure's refusals; 501 for an action that is not simulated.
pub fn act(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
    action: &str,
) -> Result<Reply, Reply> {
    let ids = instance_ids(exchange)?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let known = InstanceAction::of(action);
    let operation = if action.eq_ignore_ascii_case("delete") {
        delete(exchange, group, name, &ids)?
    } else if let Some(action) = known {
        // az says "*" for all.
        let named: &[&str] = if ids == ["*"] { &[] } else { &ids };
        exchange
            .state
            .region
            .act_on_instances(group, name, action, named)?
    } else {
        return Err(Reply::not_simulated(&format!(
            "the action '{action}' on a scale set"
        )));
    };
    let charge = if ids.is_empty() {
        exchange
            .state
            .region
            .set(group, name)
            .map_or(0, |set| set.instances.len())
    } else {
        ids.len()
    };
    Ok(operations::accepted(exchange, Some(operation))
        .with("x-ms-request-charge", charge.to_string()))
}

fn delete(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
    ids: &[&str],
) -> Result<u64, Reply> {
    let operation = exchange.state.region.delete_instances(group, name, ids)?;
    if let Some(record) = exchange.state.sets.get_mut(&SetKey::new(group, name)) {
        record.asked = record
            .asked
            .saturating_sub(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    }
    Ok(operation)
}

/// None, when there is no body or it names none: that means all. A list that cannot be read must not mean all.
fn instance_ids(exchange: &Exchange<'_>) -> Result<Vec<String>, Reply> {
    let body = if exchange.call.body.is_empty() {
        json!({})
    } else {
        exchange.call.json()?
    };
    let wrong = || {
        let message = "The request content was invalid and could not be deserialized: 'Could not convert the value of instanceIds.'.";
        Reply::error(400, "InvalidRequestContent", message, Some("instanceIds"))
    };
    match &body["instanceIds"] {
        Value::Null => Ok(Vec::new()),
        Value::Array(ids) => ids
            .iter()
            .map(|id| id.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}
