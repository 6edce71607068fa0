//! Deployments of templates over ARM, as far as the Azure CLI needs them to make a scale set with its network.
//!
//! ```text
//! PUT …/Microsoft.Resources/deployments/{name}      expression ─▶ scope ─▶ template ─▶ a PUT for each resource, in order
//! GET …/deployments/{name}                          how it stands, and its outputs once all operations have ended
//! GET …/deployments/{name}/operationStatuses/{id}   the address to ask
//! ```
//!
//! Mode `Incremental` alone: `Complete` deletes what the template does not name, and that is not simulated.

mod expression;
mod scope;
mod template;
#[cfg(test)]
mod tests;

use super::arm::Exchange;
use super::route::{Route, route};
use super::state::State;
use super::wire::{Call, Reply, encoded};
use super::{ids, operations};
use scope::{Place, Scope};
use serde_json::{Map, Value, json};
use spotpool_core::world::Status;
use std::collections::BTreeSet;
use template::{Resource, Template};

/// A deployment that was accepted.
#[derive(Debug)]
pub struct Deployment {
    name: String,
    group: String,
    operation: String,
    parameters: Value,
    resources: Vec<Resource>,
    /// The world's, by the resource that they are of.
    operations: Vec<(String, u64)>,
    errors: Vec<Value>,
    outputs: Map<String, Value>,
    scope: Scope,
    started: u64,
    ended: Option<(u64, Result<Value, Value>)>,
}

/// PUT: 201 new, 200 again. All that the template says is resolved before the first resource is made.
///
/// # Errors
/// 400 `InvalidTemplate`; 409 while one of that name is running; 501 for what is not simulated.
pub fn put(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    let body = exchange.call.json()?;
    let properties = &body["properties"];
    for link in ["templateLink", "parametersLink", "onErrorDeployment"] {
        if !properties[link].is_null() {
            return Err(Reply::not_simulated(&format!("deployments with '{link}'")));
        }
    }
    if properties["mode"]
        .as_str()
        .is_none_or(|mode| !mode.eq_ignore_ascii_case("Incremental"))
    {
        return Err(Reply::not_simulated(
            "deployments of a mode other than Incremental",
        ));
    }
    let place = Place {
        subscription: exchange.state.subscription.clone(),
        group: group.to_owned(),
        location: exchange.state.region.location.to_string(),
    };
    let template = Template::read(properties, place).map_err(|why| {
        let message = format!("Deployment template validation failed: '{why}'.");
        Reply::gateway(400, "InvalidTemplate", &message)
    })?;
    makeable(&template)?;
    let before = settled(exchange, group, name);
    if before.is_some_and(|deployment| deployment.ended.is_none()) {
        let message = format!("Unable to edit or replace deployment '{name}': it is still active.");
        return Err(Reply::gateway(409, "DeploymentActive", &message));
    }
    let mut deployment = Deployment {
        name: name.to_owned(),
        group: group.to_owned(),
        operation: exchange.request_id.clone(),
        parameters: told(properties),
        resources: template.resources,
        operations: Vec::new(),
        errors: Vec::new(),
        outputs: template.outputs,
        scope: template.scope,
        started: exchange.state.region.now(),
        ended: None,
    };
    carry_out(exchange, &mut deployment);
    for resource in &mut deployment.resources {
        // It may hold a password.
        resource.body = Value::Null;
    }
    let id = key(group, name);
    let status = if exchange.state.deployments.insert(id, deployment).is_some() {
        200
    } else {
        201
    };
    let reply = get(exchange, group, name)?;
    let address = format!(
        "{}{}/operationStatuses/{}?api-version={}",
        exchange.call.base(),
        id_of(exchange.state, group, name),
        exchange.request_id,
        encoded(exchange.call.parameter("api-version").unwrap_or_default()),
    );
    let reply = Reply { status, ..reply }.with("azure-asyncoperation", address);
    Ok(operations::patient(exchange, reply))
}

/// GET.
///
/// # Errors
/// 404.
pub fn get(exchange: &mut Exchange<'_>, group: &str, name: &str) -> Result<Reply, Reply> {
    settled(exchange, group, name).ok_or_else(|| unknown(name))?;
    let state = &exchange.state;
    let shown = state
        .deployments
        .get(&key(group, name))
        .map(|d| d.shown(state));
    shown
        .map(|document| Reply::json(200, document))
        .ok_or_else(|| unknown(name))
}

/// GET of the address to ask.
///
/// # Errors
/// 404.
pub fn poll(
    exchange: &mut Exchange<'_>,
    group: &str,
    name: &str,
    id: &str,
) -> Result<Reply, Reply> {
    let deployment =
        settled(exchange, group, name).filter(|d| d.operation.eq_ignore_ascii_case(id));
    let mut body = json!({"status": deployment.ok_or_else(|| unknown(name))?.word()});
    let Some(Deployment {
        ended: Some((_, ended)),
        ..
    }) = deployment
    else {
        return Ok(operations::patient(exchange, Reply::json(200, body)));
    };
    if let Err(error) = ended {
        body["error"] = error.clone();
    }
    Ok(Reply::json(200, body))
}

fn unknown(name: &str) -> Reply {
    Reply::gateway(
        404,
        "DeploymentNotFound",
        &format!("Deployment '{name}' could not be found."),
    )
}

fn key(group: &str, name: &str) -> String {
    format!("{group}/{name}").to_lowercase()
}

fn id_of(state: &State, group: &str, name: &str) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Resources/deployments/{name}",
        state.subscription
    )
}

/// Whether there is somebody to make each resource, and nothing waits for a scale set: what does would have to be made when no request
/// comes.
fn makeable(template: &Template) -> Result<(), Reply> {
    let sets: BTreeSet<&String> = template
        .resources
        .iter()
        .filter(|r| matches!(place_of(r), Route::Set { .. }))
        .map(|r| &r.id)
        .collect();
    for resource in &template.resources {
        if !matches!(
            place_of(resource),
            Route::Set { .. } | Route::Network { .. }
        ) {
            return Err(Reply::not_simulated(&format!(
                "deployments of {}",
                resource.kind
            )));
        }
        if resource.depends_on.iter().any(|id| sets.contains(id)) {
            return Err(Reply::not_simulated(
                "deployments in which a resource depends on a scale set",
            ));
        }
    }
    Ok(())
}

fn place_of(resource: &Resource) -> Route {
    let segments: Vec<String> = resource.id.split('/').skip(1).map(str::to_owned).collect();
    route(&segments).map_or(Route::Unknown, |(_, route)| route)
}

/// A request of ARM to a provider: its budgets are not asked, for ARM repeats what is throttled.
fn ask(exchange: &mut Exchange<'_>, method: &str, resource: &Resource) -> (Reply, Option<u64>) {
    let path: Vec<String> = resource.id.split('/').map(encoded).collect();
    let target = format!(
        "{}?api-version={}",
        path.join("/"),
        encoded(&resource.version)
    );
    let body = if method == "GET" {
        Vec::new()
    } else {
        resource.body.to_string().into_bytes()
    };
    let mut call = Call::new(method, &target, exchange.call.headers.clone(), body);
    call.headers
        .retain(|(name, _)| name == "host" || name == "authorization");
    call.encrypted = exchange.call.encrypted;
    let request_id = exchange.state.request_id();
    let mut inner = Exchange {
        state: exchange.state,
        call: &call,
        request_id: request_id.clone(),
    };
    let reply = inner
        .versioned()
        .and_then(|()| inner.routed(place_of(resource)));
    let operation = exchange.state.operations.get(&request_id).copied();
    (reply.unwrap_or_else(|refusal| refusal), operation)
}

/// Makes one resource after the other; what depends on one that failed is left out, and the rest is made, as ARM does.
fn carry_out(exchange: &mut Exchange<'_>, deployment: &mut Deployment) {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    for resource in &deployment.resources {
        if !resource.depends_on.is_disjoint(&missing) {
            missing.insert(resource.id.clone());
            continue;
        }
        let (reply, operation) = ask(exchange, "PUT", resource);
        if reply.status >= 300 {
            missing.insert(resource.id.clone());
            let error = reply
                .body
                .and_then(|mut body| body.get_mut("error").map(Value::take));
            deployment.errors.push(error.unwrap_or_default());
        }
        deployment
            .operations
            .extend(operation.map(|o| (resource.id.clone(), o)));
    }
}

/// The deployment, after a look at whether it has ended.
fn settled<'a>(exchange: &'a mut Exchange<'_>, group: &str, name: &str) -> Option<&'a Deployment> {
    let key = key(group, name);
    if let Some(mut deployment) = exchange.state.deployments.remove(&key) {
        if deployment.ended.is_none() {
            deployment.ended = deployment.end(exchange);
            if deployment.ended.is_some() {
                // It may hold passwords, and nobody asks it any more.
                deployment.scope = Scope::new(deployment.scope.place);
            }
        }
        exchange.state.deployments.insert(key.clone(), deployment);
    }
    exchange.state.deployments.get(&key)
}

/// What is shown of parameters: those that are no secrets.
fn told(properties: &Value) -> Value {
    let declared = properties["template"]["parameters"]
        .as_object()
        .into_iter()
        .flatten();
    let shown = declared.map(|(name, declaration)| {
        let kind = declaration["type"].as_str().unwrap_or_default();
        let mut shown = json!({"type": kind});
        let given = properties["parameters"]
            .get(name)
            .and_then(|p| p.get("value"));
        if !kind.to_lowercase().starts_with("secure")
            && let Some(value) = given
        {
            shown["value"] = value.clone();
        }
        (name.clone(), shown)
    });
    shown.collect::<Map<_, _>>().into()
}

impl Deployment {
    /// When it ended and how, if it did: with outputs or with an error.
    fn end(&mut self, exchange: &mut Exchange<'_>) -> Option<(u64, Result<Value, Value>)> {
        let mut at = self.started;
        let mut errors = self.errors.clone();
        for (_, number) in &self.operations {
            let operation = exchange.state.region.operation(*number)?;
            match &operation.status {
                Status::InProgress => return None,
                Status::Succeeded => {}
                Status::Failed(failure) => {
                    errors.push(json!({"code": failure.code, "message": failure.message}))
                }
            }
            at = at.max(operation.ended.unwrap_or(at));
        }
        if errors.is_empty() {
            return Some((at, self.evaluate(exchange)));
        }
        let message = "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.";
        let target = id_of(exchange.state, &self.group, &self.name);
        Some((
            at,
            Err(
                json!({"code": "DeploymentFailed", "target": target, "message": message, "details": errors}),
            ),
        ))
    }

    /// The outputs, out of the resources as they are now.
    fn evaluate(&mut self, exchange: &mut Exchange<'_>) -> Result<Value, Value> {
        let documents = self.resources.iter().map(|r| {
            let (reply, _) = ask(exchange, "GET", r);
            (r.id.to_lowercase(), reply.body.unwrap_or_default())
        });
        self.scope.documents = Some(documents.collect());
        let mut outputs = Map::new();
        for (name, output) in &self.outputs {
            let value = self.scope.value(&output["value"]).map_err(|why| {
                let message = format!("The template output '{name}' is not valid: {why}");
                json!({"code": "DeploymentOutputEvaluationFailed", "message": message})
            })?;
            let kind = output["type"].as_str().unwrap_or_default();
            let mut shown = json!({"type": capital(kind)});
            if !kind.to_lowercase().starts_with("secure") {
                shown["value"] = value;
            }
            outputs.insert(camel(name), shown);
        }
        Ok(outputs.into())
    }

    const fn word(&self) -> &'static str {
        match self.ended {
            None => "Running",
            Some((_, Ok(_))) => "Succeeded",
            Some((_, Err(_))) => "Failed",
        }
    }

    fn shown(&self, state: &State) -> Value {
        let ended = self
            .ended
            .as_ref()
            .map_or_else(|| state.region.now(), |(at, _)| *at);
        let resources: Vec<Value> = self.resources.iter().map(|r| json!({"id": r.id})).collect();
        let mut properties = json!({
            "mode": "Incremental", "parameters": self.parameters, "provisioningState": self.word(),
            "timestamp": state.clock.stamp(ended), "duration": format!("PT{}S", (ended - self.started) as f64 / 1000.0),
            "correlationId": ids::guid(state.seed ^ 1, &self.operation),
        });
        match &self.ended {
            None => {}
            Some((_, Ok(outputs))) => {
                properties["outputs"] = outputs.clone();
                properties["outputResources"] = resources.into();
            }
            Some((_, Err(error))) => properties["error"] = error.clone(),
        }
        json!({
            "id": id_of(state, &self.group, &self.name), "name": self.name,
            "type": "Microsoft.Resources/deployments", "properties": properties,
        })
    }
}

/// `object` is shown as `Object`.
fn capital(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_uppercase(), letters.as_str())
    })
}

/// `VMSS` is shown as `vmss` [OSS azure-cli create_vmss reads it so], `VMId` as `vmId`.
fn camel(name: &str) -> String {
    let upper = name.chars().take_while(|c| c.is_uppercase()).count();
    let whole = upper == name.chars().count();
    let falls = if whole || upper <= 1 {
        upper
    } else {
        upper - 1
    };
    name.chars()
        .enumerate()
        .map(|(i, c)| if i < falls { c.to_ascii_lowercase() } else { c })
        .collect()
}
