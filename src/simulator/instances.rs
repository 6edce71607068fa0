//! Instances of Flexible scale sets, which are virtual machines of their own: list by scale set, instance view, DELETE,
//! start and its like, simulateEviction.

use super::arm::Exchange;
use super::scale_sets::{same_location, set_id, with_next};
use super::state::State;
use super::wire::Reply;
use super::{machine, operations};
use serde_json::{Value, json};
use spotpool_core::world::{Instance, InstanceAction, OrchestrationMode, Refusal, ScaleSet};

/// Lists virtual machines: of a resource group, a location or the subscription; of one scale set by
/// `$filter='virtualMachineScaleSet/id' eq '…'`; with their states by `$expand=instanceView` or `statusOnly=true`.
///
/// # Errors
/// 400 for a filter that is not understood.
pub fn list(
    exchange: &Exchange<'_>,
    group: Option<&str>,
    location: Option<&str>,
) -> Result<Reply, Reply> {
    let state = &exchange.state;
    let wanted = exchange
        .call
        .parameter("$filter")
        .map(filtered_set)
        .transpose()?;
    let expand = exchange.expands_view();
    if expand && wanted.is_none() {
        let message = "The $expand=instanceView option is supported only with a $filter on a virtual machine scale set.";
        return Err(Reply::error(
            400,
            "InvalidParameter",
            message,
            Some("$expand"),
        ));
    }
    let with_view = expand
        || exchange
            .call
            .parameter("statusOnly")
            .is_some_and(|s| s.eq_ignore_ascii_case("true"));
    let here = location.is_none_or(|l| same_location(l, &state.region.location));
    let mut items = Vec::new();
    for set in state.region.sets.values().filter(|_| here) {
        let in_group = group.is_none_or(|g| g.eq_ignore_ascii_case(&set.resource_group));
        let in_set = wanted
            .as_ref()
            .is_none_or(|id| id.eq_ignore_ascii_case(&set_id(state, set)));
        if set.mode == OrchestrationMode::Flexible && in_group && in_set {
            items.extend(set.instances.values().map(|i| {
                (
                    format!("{}/{}", set.resource_group, i.name).to_lowercase(),
                    (set, i),
                )
            }));
        }
    }
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, next) = exchange.page(items);
    let value: Vec<Value> = page
        .into_iter()
        .map(|(set, instance)| machine::document(state, set, instance, with_view))
        .collect();
    Ok(Reply::json(200, with_next(json!({"value": value}), next)))
}

/// The scale set's id of the one filter that is known.
fn filtered_set(filter: &str) -> Result<String, Reply> {
    let unknown = || {
        Reply::error(
            400,
            "InvalidParameter",
            &format!(
                "The filter '{filter}' is not supported. Use 'virtualMachineScaleSet/id' eq '<id>'."
            ),
            Some("$filter"),
        )
    };
    let lower = filter.to_lowercase();
    let rest = lower
        .trim()
        .strip_prefix("'virtualmachinescaleset/id'")
        .ok_or_else(unknown)?;
    let id = rest
        .trim_start()
        .strip_prefix("eq")
        .ok_or_else(unknown)?
        .trim();
    id.strip_prefix('\'')
        .and_then(|id| id.strip_suffix('\''))
        .map(str::to_owned)
        .ok_or_else(unknown)
}

/// GET of a machine; with `$expand=instanceView` its states as well.
///
/// # Errors
/// 404 [REC cap 9].
pub fn get(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let (set, instance) =
        known(exchange.state, group, name).ok_or_else(Refusal::instance_not_found)?;
    Ok(Reply::json(
        200,
        machine::document(exchange.state, set, instance, exchange.expands_view()),
    ))
}

/// GET …/instanceView.
///
/// # Errors
/// 404.
pub fn view(exchange: &Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let (set, instance) =
        known(exchange.state, group, name).ok_or_else(Refusal::instance_not_found)?;
    Ok(Reply::json(
        200,
        machine::view(exchange.state, set, instance),
    ))
}

/// DELETE: 202, or 204 when there is nothing.
///
/// # Errors
/// None so far.
pub fn delete(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    if known(exchange.state, group, name).is_none() {
        return Ok(Reply::empty(204));
    }
    let operation = exchange.state.region.delete_instance(group, name)?;
    Ok(operations::accepted(exchange, operation))
}

/// POST …/start and its like: 202; simulateEviction: 204, no operation [REC cap 9].
///
/// # Errors
/// 404; Azure's refusals, as 409 on simulateEviction of a regular instance [REC cap 6].
pub fn act(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
    action: &str,
) -> Result<Reply, Reply> {
    if known(exchange.state, group, name).is_none() {
        return Err(Refusal::resource_not_found("virtualMachines", group, name).into());
    }
    act_on_one(exchange, group, name, action)
}

/// A POST on one instance of either mode, by its name.
///
/// # Errors
/// Azure's refusals; 501 for an action that is not simulated.
pub fn act_on_one(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
    action: &str,
) -> Result<Reply, Reply> {
    let region = &mut exchange.state.region;
    if action.eq_ignore_ascii_case("simulateEviction") {
        region.simulate_eviction(group, name)?;
        return Ok(Reply::empty(204));
    }
    match InstanceAction::of(action) {
        None | Some(InstanceAction::ManualUpgrade) => Err(Reply::not_simulated(&format!(
            "the action '{action}' on one instance"
        ))),
        Some(action) => {
            let operation = region.act_on_instance(group, name, action)?;
            Ok(operations::accepted(exchange, Some(operation)))
        }
    }
}

fn known<'a>(state: &'a State, group: &str, name: &str) -> Option<(&'a ScaleSet, &'a Instance)> {
    state
        .region
        .instance(group, name)
        .filter(|(set, _)| set.mode == OrchestrationMode::Flexible)
}
