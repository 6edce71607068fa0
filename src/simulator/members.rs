//! Instances below their scale set, `…/virtualMachineScaleSets/{set}/virtualMachines`: the home of Uniform ones, by number.
//! Flexible ones are only named here.

use super::arm::Exchange;
use super::instances::act_on_one;
use super::scale_sets::{known as known_set, set_id, with_next};
use super::wire::Reply;
use super::{machine, operations};
use serde_json::{Value, json};
use spotpool_core::world::{Instance, OrchestrationMode, Refusal, ScaleSet};

/// GET …/virtualMachines. Uniform: whole documents, filtered, with states on demand. Flexible: names and ids alone; with
/// instance views it is refused [ISS OMS-Agent-for-Linux#1475].
///
/// # Errors
/// 404; 400 for a filter that is not understood, and for `$expand` on a Flexible set.
pub fn list(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let set = known_set(exchange.state, group, name)?;
    let flexible = set.mode == OrchestrationMode::Flexible;
    if flexible && exchange.call.parameter("$expand").is_some() {
        return Err(Refusal::not_on_flexible("virtualMachines.GET", &set.name).into());
    }
    let latest = exchange
        .call
        .parameter("$filter")
        .map(by_model)
        .transpose()?
        .flatten();
    let mut items: Vec<(String, &Instance)> = set
        .instances
        .values()
        .filter(|i| latest.is_none_or(|latest| latest == (i.model == set.model)))
        // Numbers in the order of numbers.
        .map(|i| (format!("{:0>20}", set.instance_id(&i.name)), i))
        .collect();
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, next) = exchange.page(items);
    let with_view = exchange.expands_view();
    let value: Vec<Value> = page
        .into_iter()
        .map(|i| {
            if flexible {
                named(exchange, set, i)
            } else {
                machine::document(exchange.state, set, i, with_view)
            }
        })
        .collect();
    Ok(Reply::json(200, with_next(json!({"value": value}), next)))
}

fn named(exchange: &Exchange<'_>, set: &ScaleSet, instance: &Instance) -> Value {
    json!({
        "name": instance.name,
        "id": format!("{}/virtualMachines/{}", set_id(exchange.state, set), instance.name),
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "location": &*exchange.state.region.location,
        "instanceId": instance.name,
    })
}

/// The filters of [DOC virtual-machine-scale-set-vms/list]: by the latest model, or (all have one) by a power state.
fn by_model(filter: &str) -> Result<Option<bool>, Reply> {
    let plain: String = filter.to_lowercase().split_whitespace().collect();
    match plain.as_str() {
        "properties/latestmodelappliedeqtrue" => Ok(Some(true)),
        "properties/latestmodelappliedeqfalse" => Ok(Some(false)),
        "startswith(instanceview/statuses/code,'powerstate')eqtrue" => Ok(None),
        _ => Err(Reply::error(
            400,
            "InvalidParameter",
            &format!(
                "The filter '{filter}' is not supported. Use properties/latestModelApplied eq true."
            ),
            Some("$filter"),
        )),
    }
}

/// GET of one; with `$expand=instanceView` its states as well.
///
/// # Errors
/// 404 [REC cap 8]; 400 for what is no number.
pub fn get(exchange: &Exchange<'_>, group: &str, set: &str, id: &str) -> Result<Reply, Reply> {
    let (set, instance) = known(exchange, group, set, id)?;
    let document = machine::document(exchange.state, set, instance, exchange.expands_view());
    Ok(Reply::json(200, document))
}

/// GET …/instanceView of one.
///
/// # Errors
/// As `get`.
pub fn view(exchange: &Exchange<'_>, group: &str, set: &str, id: &str) -> Result<Reply, Reply> {
    let (set, instance) = known(exchange, group, set, id)?;
    Ok(Reply::json(
        200,
        machine::view(exchange.state, set, instance),
    ))
}

/// DELETE of one: 202, or 204 when there is nothing [SDK].
///
/// # Errors
/// 404 without the set; 400 for what is no number.
pub fn delete(
    exchange: &mut Exchange<'_>,
    group: &str,
    set: &str,
    id: &str,
) -> Result<Reply, Reply> {
    match known(exchange, group, set, id).map(|(_, i)| i.name.clone()) {
        Ok(name) => {
            let operation = exchange.state.region.delete_instance(group, &name)?;
            Ok(operations::accepted(exchange, operation))
        }
        Err(refusal) if refusal.status == 404 && known_set(exchange.state, group, set).is_ok() => {
            Ok(Reply::empty(204))
        }
        Err(refusal) => Err(refusal),
    }
}

/// POST …/start and its like, and simulateEviction, on one.
///
/// # Errors
/// As `get`, and Azure's refusals.
pub fn act(
    exchange: &mut Exchange<'_>,
    group: &str,
    set: &str,
    id: &str,
    action: &str,
) -> Result<Reply, Reply> {
    let name = known(exchange, group, set, id)?.1.name.clone();
    act_on_one(exchange, group, &name, action)
}

/// Only Uniform instances have a number [ISS azure-sdk-for-go#19707].
fn known<'a>(
    exchange: &'a Exchange<'_>,
    group: &str,
    set: &str,
    id: &str,
) -> Result<(&'a ScaleSet, &'a Instance), Reply> {
    let set = known_set(exchange.state, group, set)?;
    let number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if set.mode == OrchestrationMode::Flexible || !number {
        return Err(Reply::error(
            400,
            "InvalidParameter",
            "Virtual Machine Scale Set VM instanceId must be a number.",
            Some("instanceId"),
        ));
    }
    set.find(id)
        .map(|instance| (set, instance))
        .ok_or_else(|| Refusal::instance_not_found().into())
}
