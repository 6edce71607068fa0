//! The control API: what a test or a person does to this Azure that Azure itself would do. No part of ARM; needs no token.
//!
//! ```text
//! GET  /control/state                {"time","scaleSets":[…],"events":[…],"calls":{"reads","writes","deletes"}}; ?since=N events after N
//! POST /control/evict                {"scaleSet":NAME,"count":N,"resourceGroup"?} | {"instances":[names]} → {"evicted":[names]}
//! POST /control/mishap               {"instances":[names],"kind":"fails"|"boots-slowly","seconds"?} → {"befell":[names]}
//! POST /control/capacity             {"vmSize","zone"?,"priority"?,"available":N|null}   null: no limit, 0: refuse
//! POST /control/price                {"vmSize","usdPerHour":"0.04","zone"?,"priority"?}
//! POST /control/quota                {"name":"lowPriorityCores","limit":N}
//! GET  /control/faults · POST (a rule of faults.rs) · DELETE
//! POST /control/offline              {"offline":true|false}                              nobody answers ARM calls
//! POST /control/limits               {"limit":"reads"|"HighCostGet"|…,"resource"?:ID,"seconds":N}   nothing is left of it for so long
//! GET  /control/login · POST {"clientID"?,"refuse"|"hangs"|"offline"|"secret"|"certificate"|"subject"} (replaces the rule of login.rs)
//! POST /control/login                {"revoke":true} | {"lifeSeconds":N}                 · DELETE: no rules
//! POST /control/schedule             {"do":"evict"|"price"|…,"body":{…},"after"?:S,"every"?:S,"times"?:N}   S: seconds or [least, most]
//! GET  /control/schedule · DELETE
//! GET  /control/world · POST         {"capacityFalls":"at-once"|"late"|"never",…}        settings.rs
//! GET  /control/log                  the request log as JSON lines
//! ```

use super::faults;
use super::login::{self, Rule};
use super::schedule::{Due, Plan};
use super::settings::{self, Settings};
use super::state::State;
use super::wire::{Call, Reply};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spotpool_core::world::{Instance, Mishap, Phase, Priority};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Evict {
    resource_group: Option<String>,
    scale_set: Option<String>,
    count: Option<usize>,
    #[serde(default)]
    instances: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Misfortune {
    instances: Vec<String>,
    kind: Kind,
    /// Of a boot, in the world's time.
    #[serde(default)]
    seconds: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Fails,
    BootsSlowly,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Capacity {
    vm_size: String,
    zone: Option<String>,
    priority: Option<String>,
    available: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Price {
    vm_size: String,
    usd_per_hour: String,
    zone: Option<String>,
    priority: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Quota {
    name: String,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Offline {
    offline: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exhaust {
    limit: String,
    resource: Option<String>,
    /// In the world's time.
    seconds: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Login {
    #[serde(rename = "clientID")]
    client_id: Option<String>,
    refuse: Option<String>,
    hangs: bool,
    offline: bool,
    secret: Option<String>,
    certificate: Option<String>,
    subject: Option<String>,
    revoke: bool,
    life_seconds: Option<u64>,
}

/// What can be done to Azure, at once or by a schedule.
enum Act {
    Evict(Evict),
    Befall(Misfortune),
    Capacity(Capacity),
    Price(Price),
    Quota(Quota),
    Fault(faults::Rule),
    Offline(Offline),
    Exhaust(Exhaust),
    World(Box<Settings>),
}

/// The words for them.
const ACTS: [&str; 9] = [
    "evict", "mishap", "capacity", "price", "quota", "faults", "offline", "limits", "world",
];

impl Act {
    fn read(word: &str, body: &[u8]) -> Result<Self, String> {
        Ok(match word {
            "evict" => Self::Evict(read(body)?),
            "mishap" => Self::Befall(read(body)?),
            "capacity" => Self::Capacity(read(body)?),
            "price" => Self::Price(read(body)?),
            "quota" => Self::Quota(read(body)?),
            "faults" => Self::Fault(read(body)?),
            "offline" => Self::Offline(read(body)?),
            "limits" => Self::Exhaust(read(body)?),
            "world" => Self::World(read(body)?),
            other => {
                return Err(format!(
                    "'{other}' cannot be done: it is one of {}",
                    ACTS.join(", ")
                ));
            }
        })
    }

    fn carry_out(self, state: &mut State) -> Result<Value, String> {
        Ok(match self {
            Self::Evict(ask) => evict(state, ask)?,
            Self::Befall(ask) => befall(state, &ask),
            Self::Capacity(c) => {
                known_size(state, &c.vm_size)?;
                state.region.limit_capacity(
                    &c.vm_size,
                    c.zone.as_deref(),
                    priority(c.priority.as_deref())?,
                    c.available,
                );
                json!({})
            }
            Self::Price(p) => {
                known_size(state, &p.vm_size)?;
                let micros = micro_dollars(&p.usd_per_hour)?;
                state.region.set_price(
                    &p.vm_size,
                    p.zone.as_deref(),
                    priority(p.priority.as_deref())?,
                    micros,
                );
                json!({})
            }
            Self::Quota(q) => {
                let rows = state.region.market.quota_rows();
                if !rows.iter().any(|row| row.eq_ignore_ascii_case(&q.name)) {
                    return Err(format!(
                        "there is no quota '{}': it is one of {}",
                        q.name,
                        rows.join(", ")
                    ));
                }
                state.region.set_quota(&q.name, q.limit);
                json!({})
            }
            Self::Fault(rule) => {
                state.faults.add(rule);
                json!({"rules": state.faults.rules()})
            }
            Self::Offline(ask) => {
                state.offline = ask.offline;
                json!({"offline": state.offline})
            }
            Self::Exhaust(ask) => {
                let until = state.region.now() + u64::from(ask.seconds) * 1_000;
                let resource = ask.resource.as_deref();
                state.limits.exhaust(&ask.limit, resource, until)?;
                json!({})
            }
            Self::World(settings) => {
                settings.apply(state)?;
                settings::shown(state)
            }
        })
    }
}

/// Does what a schedule says is due.
///
/// # Errors
/// Why it could not be done.
pub fn carry_out(state: &mut State, due: &Due) -> Result<(), String> {
    let act = Act::read(&due.act, due.body.to_string().as_bytes())?;
    act.carry_out(state)?;
    state.record();
    Ok(())
}

/// Answers a request below `/control` at the world's present moment. `Err` is a 400 with a sentence.
///
/// # Errors
/// What is wrong with the request.
pub fn answer(state: &mut State, call: &Call) -> Result<Reply, String> {
    let path: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    let now = state.region.now();
    let reply = match (call.method.as_str(), path.as_slice()) {
        ("GET", ["state"]) => shown(state, call),
        ("GET", ["faults"]) => json!({"rules": state.faults.rules()}),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            json!({"rules": []})
        }
        ("GET", ["login"]) => login::shown(state),
        ("DELETE", ["login"]) => {
            state.logins.clear();
            login::shown(state)
        }
        ("POST", ["login"]) => {
            log_in(state, read(&call.body)?);
            login::shown(state)
        }
        ("GET", ["world"]) => settings::shown(state),
        ("GET", ["schedule"]) => state.schedule.shown(now),
        ("DELETE", ["schedule"]) => {
            state.schedule.clear();
            state.schedule.shown(now)
        }
        ("POST", ["schedule"]) => {
            let plan: Plan = read(&call.body)?;
            Act::read(&plan.act, plan.body.to_string().as_bytes())?;
            state.schedule.add(plan, now, state.seed);
            state.schedule.shown(now)
        }
        ("POST", [word]) if ACTS.contains(word) => Act::read(word, &call.body)?.carry_out(state)?,
        (method, path) => {
            return Err(format!(
                "the control API has no {method} /control/{}",
                path.join("/")
            ));
        }
    };
    if call.method != "GET" {
        state.record();
    }
    Ok(Reply::json(200, reply))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| format!("the body is not understood: {e}"))
}

fn priority(word: Option<&str>) -> Result<Priority, String> {
    match word {
        None | Some("Spot") => Ok(Priority::Spot),
        Some("Regular") => Ok(Priority::Regular),
        Some(other) => Err(format!("priority is Spot or Regular, not '{other}'")),
    }
}

fn known_size(state: &State, size: &str) -> Result<(), String> {
    match state.region.market.size(size) {
        Some(_) => Ok(()),
        None => Err(format!("the region has no VM size '{size}'")),
    }
}

fn micro_dollars(text: &str) -> Result<u64, String> {
    let wrong = || format!("usdPerHour is a number in quotes such as \"0.04\", not '{text}'");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !digits(whole) || !digits(part) {
        return Err(wrong());
    }
    let micros: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    whole
        .parse::<u64>()
        .ok()
        .and_then(|w| w.checked_mul(1_000_000)?.checked_add(micros))
        .ok_or_else(wrong)
}

fn evict(state: &mut State, ask: Evict) -> Result<Value, String> {
    let mut evicted = Vec::new();
    for name in &ask.instances {
        let groups: Vec<String> = state
            .region
            .sets
            .values()
            .map(|s| s.resource_group.clone())
            .collect();
        let gone = groups.iter().any(|group| state.region.evict(group, name));
        if gone {
            evicted.push(name.clone());
        }
    }
    if let Some(name) = &ask.scale_set {
        let wanted = |s: &&spotpool_core::world::ScaleSet| {
            s.name.eq_ignore_ascii_case(name)
                && ask
                    .resource_group
                    .as_ref()
                    .is_none_or(|g| g.eq_ignore_ascii_case(&s.resource_group))
        };
        let group = state
            .region
            .sets
            .values()
            .find(wanted)
            .map(|s| s.resource_group.clone());
        let group = group.ok_or_else(|| format!("there is no scale set '{name}'"))?;
        evicted.extend(
            state
                .region
                .evict_some(&group, name, ask.count.unwrap_or(1)),
        );
    } else if ask.instances.is_empty() {
        return Err("name a scaleSet and a count, or instances".to_owned());
    }
    Ok(json!({"evicted": evicted}))
}

fn befall(state: &mut State, ask: &Misfortune) -> Value {
    let mishap = match ask.kind {
        Kind::Fails => Mishap::Fails,
        Kind::BootsSlowly => Mishap::BootsFor(ask.seconds.saturating_mul(1000)),
    };
    let groups: Vec<String> = state
        .region
        .sets
        .values()
        .map(|set| set.resource_group.clone())
        .collect();
    let mut befell = |name: &&String| {
        let mut groups = groups.iter();
        groups.any(|group| state.region.befall(group, name, mishap))
    };
    let names: Vec<&String> = ask.instances.iter().filter(|name| befell(name)).collect();
    json!({"befell": names})
}

fn log_in(state: &mut State, ask: Login) {
    let rule = Rule {
        refuse: ask.refuse,
        hangs: ask.hangs,
        offline: ask.offline,
        secret: ask.secret,
        certificate: ask.certificate,
        subject: ask.subject,
    };
    let tokens = ask.revoke || ask.life_seconds.is_some();
    if ask.revoke {
        state.logins.revoke();
    }
    if let Some(seconds) = ask.life_seconds {
        state.logins.set_life(seconds.saturating_mul(1000));
    }
    // What is only about tokens leaves the rules as they are.
    if !tokens || ask.client_id.is_some() || rule != Rule::default() {
        state.logins.set_rule(ask.client_id, rule);
    }
}

fn word(instance: &Instance) -> &'static str {
    match instance.phase {
        Phase::Creating { .. } => "creating",
        Phase::Running => "running",
        Phase::Noticed { .. } => "noticed",
        Phase::Starting { .. } => "starting",
        Phase::Stopping { .. } => "stopping",
        Phase::Stopped => "stopped",
        Phase::Deallocating { .. } => "deallocating",
        Phase::Deallocated => "deallocated",
        Phase::Deleting { evicted: true, .. } => "evicted",
        Phase::Deleting { .. } => "deleting",
        Phase::Failed => "failed",
    }
}

fn shown(state: &State, call: &Call) -> Value {
    let since = call
        .parameter("since")
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0);
    let clock = &state.clock;
    let sets: Vec<Value> = state.region.sets.iter().map(|(key, set)| {
        let record = state.sets.get(key);
        let instances: Vec<Value> = set.by_age().iter().map(|i| json!({
            "name": i.name, "priority": i.priority.as_str(), "state": word(i), "vmSize": i.model.vm_size, "zone": i.zone,
            "created": clock.unix_millis(i.created), "model": i.model.revision,
        })).collect();
        let samples: Vec<Value> = record.into_iter().flat_map(|r| &r.samples)
            .map(|s| json!([clock.unix_millis(s.at), s.spot, s.starting, s.regular, s.capacity, s.asked])).collect();
        json!({
            "id": super::scale_sets::set_id(state, set), "name": set.name, "resourceGroup": set.resource_group,
            "mode": set.mode.as_str(), "evictionPolicy": set.model.eviction_policy.as_str(),
            "capacity": set.capacity, "base": set.base(), "asked": record.map_or(0, |r| r.asked),
            "vmSize": set.model.vm_size, "maxPriceMicros": set.model.max_price, "model": set.model.revision,
            "provisioningState": set.provisioning_state().as_str(), "etag": format!("\"{}\"", set.etag),
            "failure": set.failure.as_ref().map(|f| json!({"code": f.code, "message": f.message})),
            "tags": *set.tags, "instances": instances, "samples": samples,
        })
    }).collect();
    let events: Vec<Value> = state.region.history.events().filter(|e| e.number > since)
        .map(|e| json!({"number": e.number, "time": clock.stamp(e.time), "kind": e.what.kind(), "scaleSet": e.set, "message": e.what.to_string()})).collect();
    json!({
        "time": clock.stamp(state.region.now()), "millis": clock.unix_millis(state.region.now()), "speed": clock.speed(),
        "location": &*state.region.location, "offline": state.offline, "faults": state.faults.rules().len(),
        "scaleSets": sets, "events": events,
        "calls": {"reads": state.calls.reads, "writes": state.calls.writes, "deletes": state.calls.deletes},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_without_floats() {
        assert_eq!(micro_dollars("0.04"), Ok(40_000));
        assert_eq!(micro_dollars("12"), Ok(12_000_000));
        for bad in ["", "-1", "cheap", "0.1234567", "."] {
            assert!(micro_dollars(bad).is_err(), "{bad}");
        }
    }
}
