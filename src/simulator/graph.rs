//! Azure Resource Graph, as far as one question goes: all scale sets of a location, a row each, with their instances counted by power state.
//!
//! It answers from the world as it was [`Graph::lag`] ago, since Resource Graph is a copy that follows Azure Resource Manager by up to a
//! minute [DOC resource-graph/overview]. Any other question is refused in the words of Resource Graph.

use super::arm::Exchange;
use super::scale_sets::same_location;
use super::wire::Reply;
use serde_json::{Map, Value, json};
use spotpool_core::world::{Model, Priority, ScaleSet, SetKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The most rows on a page [DOC resource-graph/concepts/paging-results].
pub const ROWS: usize = 1_000;
/// For so long the world's past is kept, in milliseconds of its time: longer than any lag.
const KEPT: u64 = 600_000;

/// The question that is understood, in any layout.
pub const QUESTION: &str = "\
resources
| where type =~ 'microsoft.compute/virtualmachinescalesets' and location =~ '{location}'
| project id = tolower(id), size = tostring(sku.name), capacity = toint(sku.capacity), state =
    tostring(properties.provisioningState), base = toint(properties.priorityMixPolicy.baseRegularPriorityCount), price
    = todouble(properties.virtualMachineProfile.billingProfile.maxPrice), tags
| join kind=leftouter ( resources
| where type =~ 'microsoft.compute/virtualmachines' and location =~ '{location}' and
    isnotempty(properties.virtualMachineScaleSet.id)
| extend power = tostring(properties.extended.instanceView.powerState.code), unsteady =
    tostring(properties.provisioningState) in~ ('Creating', 'Deleting', 'Failed')
| summarize machines = count(), up = countif(power =~ 'PowerState/running' and not(unsteady)), down = countif(power in~
    ('PowerState/stopped', 'PowerState/deallocated') and not(unsteady)) by id =
    tolower(tostring(properties.virtualMachineScaleSet.id)) ) on id
| join kind=leftouter ( computeresources
| where type =~ 'microsoft.compute/virtualmachinescalesets/virtualmachines' and location =~ '{location}'
| extend power = tostring(properties.extended.instanceView.powerState.code), unsteady =
    tostring(properties.provisioningState) in~ ('Creating', 'Deleting', 'Failed')
| summarize members = count(), membersUp = countif(power =~ 'PowerState/running' and not(unsteady)), membersDown =
    countif(power in~ ('PowerState/stopped', 'PowerState/deallocated') and not(unsteady)) by id =
    tostring(split(tolower(id), '/virtualmachines/')[0]) ) on id
| project id, size, capacity, state, base, price, tags, instances = coalesce(machines, 0) + coalesce(members, 0),
    running = coalesce(up, 0) + coalesce(membersUp, 0), deallocated = coalesce(down, 0) + coalesce(membersDown, 0)
| order by id asc";

/// What is remembered of one scale set: everything that a row shows.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    capacity: u32,
    state: &'static str,
    model: Arc<Model>,
    base: Option<u32>,
    spot: bool,
    tags: Arc<BTreeMap<String, String>>,
    instances: u32,
    running: u32,
    deallocated: u32,
}

impl Row {
    fn of(set: &ScaleSet) -> Self {
        let mut row = Self {
            capacity: set.capacity,
            state: set.provisioning_state().as_str(),
            model: Arc::clone(&set.model),
            base: set.mix.map(|mix| mix.base),
            spot: set.priority == Priority::Spot,
            tags: Arc::clone(&set.tags),
            instances: 0,
            running: 0,
            deallocated: 0,
        };
        for instance in set.instances.values() {
            row.instances += 1;
            match (instance.provisioning_state(), instance.power_state()) {
                ("Creating" | "Deleting" | "Failed", _) => {}
                (_, "running") => row.running += 1,
                (_, "stopped" | "deallocated") => row.deallocated += 1,
                _ => {}
            }
        }
        row
    }

    fn shown(&self, id: &str) -> Value {
        let price = self
            .model
            .max_price
            .map_or(-1.0, |micros| micros as f64 / 1e6);
        json!({
            "id": id, "size": self.model.vm_size, "capacity": self.capacity, "state": self.state, "base": self.base,
            "price": self.spot.then_some(price), "tags": *self.tags,
            "instances": self.instances, "running": self.running, "deallocated": self.deallocated,
        })
    }
}

/// The copy: what each scale set was like, and since when; `None`: gone.
#[derive(Debug)]
pub struct Graph {
    /// How far behind the world it is, in milliseconds of the world's time.
    pub lag: u64,
    /// Rows on a page.
    pub page: usize,
    past: BTreeMap<SetKey, VecDeque<(u64, Option<Row>)>>,
}

impl Graph {
    /// An empty copy, so far behind.
    #[must_use]
    pub const fn behind(lag: u64) -> Self {
        Self {
            lag: if lag < KEPT { lag } else { KEPT },
            page: ROWS,
            past: BTreeMap::new(),
        }
    }

    /// Takes in the world as it is.
    pub fn follow(&mut self, sets: &BTreeMap<SetKey, ScaleSet>, now: u64) {
        for (key, past) in &mut self.past {
            let gone = !sets.contains_key(key);
            if gone && past.back().is_some_and(|(_, row)| row.is_some()) {
                past.push_back((now, None));
            }
        }
        for (key, set) in sets {
            let row = Some(Row::of(set));
            if let Some(past) = self.past.get_mut(key) {
                if past.back().is_none_or(|(_, last)| *last != row) {
                    past.push_back((now, row));
                }
                // What lies before the oldest moment that can be asked for, except for what held then.
                while past.get(1).is_some_and(|(since, _)| since + KEPT < now) {
                    past.pop_front();
                }
            } else {
                self.past.insert(key.clone(), VecDeque::from([(now, row)]));
            }
        }
        self.past.retain(|_, past| {
            let last = past.back();
            !last.is_some_and(|(since, row)| row.is_none() && since + KEPT < now)
        });
    }

    /// Scale sets as they were `lag` ago, by key.
    fn rows(&self, now: u64) -> impl Iterator<Item = (&SetKey, &Row)> {
        let then = now.checked_sub(self.lag);
        self.past.iter().filter_map(move |(key, past)| {
            let mut past = past.iter().rev();
            let (_, row) = past.find(|(since, _)| then.is_some_and(|then| *since <= then))?;
            Some((key, row.as_ref()?))
        })
    }
}

/// POST …/Microsoft.ResourceGraph/resources. `here` turns the world's milliseconds into the caller's seconds.
///
/// # Errors
/// 400 for any other question, 429.
pub fn answer(exchange: &mut Exchange<'_>, here: impl Fn(u64) -> u64) -> Result<Reply, Reply> {
    let now = exchange.state.region.now();
    let left = match exchange.state.limits.question(now) {
        Err(wait) if exchange.state.throttle => return Err(throttled(here(wait))),
        left => left.unwrap_or(0),
    };
    let body = exchange.call.json()?;
    let location = location(&body).ok_or_else(|| refused(exchange, "InvalidQuery", "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying."))?;
    let asked = |id: &Value| {
        id.as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(&exchange.state.subscription))
    };
    if !body["subscriptions"]
        .as_array()
        .is_some_and(|all| all.iter().any(asked))
    {
        return Err(refused(
            exchange,
            "NoValidSubscriptionsInQueryRequest",
            "There must be at least one subscription that is eligible to contain resources.",
        ));
    }
    let state = &exchange.state;
    let here = same_location(&location, &state.region.location);
    let rows: Vec<Value> = state.graph.rows(now).filter(|_| here).map(|(key, row)| {
        let id = format!(
            "/subscriptions/{}/resourcegroups/{}/providers/microsoft.compute/virtualmachinescalesets/{}",
            state.subscription, key.resource_group, key.name
        );
        row.shown(&id.to_lowercase())
    }).collect();
    let options = &body["options"];
    let top = options["$top"]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    let from = match options["$skipToken"].as_str() {
        None => 0,
        Some(token) => place(token)
            .ok_or_else(|| refused(exchange, "InvalidSkipToken", "The skip token is invalid."))?,
    };
    let size = top.unwrap_or(ROWS).min(state.graph.page).clamp(1, ROWS);
    let page: Vec<&Value> = rows.iter().skip(from).take(size).collect();
    let after = from + page.len();
    let mut answer = json!({
        "totalRecords": rows.len(), "count": page.len(), "data": page, "facets": [], "resultTruncated": "false",
    });
    if after < rows.len() {
        answer["$skipToken"] = json!(format!("{TOKEN}{after}"));
    }
    let quota = Reply::json(200, answer)
        .with("x-ms-user-quota-remaining", left.to_string())
        .with("x-ms-user-quota-resets-after", "00:00:05");
    Ok(quota)
}

/// What a token of ours begins with.
const TOKEN: &str = "simulated-";

fn place(token: &str) -> Option<usize> {
    token.strip_prefix(TOKEN)?.parse().ok()
}

/// The location that is asked about, if it is our question in any layout.
fn location(body: &Value) -> Option<String> {
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (asked, question) = (spaced(body["query"].as_str()?), spaced(QUESTION));
    let mut parts = question.split("{location}");
    let mut rest = asked.strip_prefix(parts.next()?)?;
    let location = rest.split('\'').next()?.to_owned();
    for part in parts {
        rest = rest.strip_prefix(location.as_str())?.strip_prefix(part)?;
    }
    rest.is_empty().then_some(location)
}

/// Resource Graph's way to refuse a question, as its clients print it; not recorded.
fn refused(exchange: &Exchange<'_>, code: &str, message: &str) -> Reply {
    let time = exchange.state.clock.stamp(exchange.state.region.now());
    let id = &exchange.request_id;
    let support = format!(
        "Please provide below info when asking for support: timestamp = {time}, correlationId = {id}."
    );
    let mut error = Map::new();
    error.insert("code".into(), json!("BadRequest"));
    error.insert("message".into(), json!(support));
    error.insert(
        "details".into(),
        json!([{"code": code, "message": message}]),
    );
    Reply::json(400, json!({"error": error}))
}

/// [DOC resource-graph/concepts/guidance-for-throttled-requests]
fn throttled(seconds: u64) -> Reply {
    let message = "Client application has been throttled and should not attempt to repeat the request until an amount of time has elapsed.";
    Reply::error(429, "RateLimiting", message, None)
        .with("retry-after", seconds.to_string())
        .with("x-ms-user-quota-remaining", "0")
        .with("x-ms-user-quota-resets-after", "00:00:05")
}
