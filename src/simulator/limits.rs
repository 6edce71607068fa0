//! How many requests Azure takes: token buckets of ARM for the subscription and of Compute for the subscription and for
//! each resource, refilled in the world's time [DOC request-limits-and-throttling, compute-throttling-limits]. Batches count
//! their machines as well, and say so [REC cap 4]; lists, which are seen to do the same [REC cap 8], do not here.

use super::route::Route;
use super::wire::{Call, Reply};
use serde_json::json;
use std::collections::BTreeMap;

/// Refill a minute and depth.
type Rate = (f64, f64);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// In the future: empty until then.
    at: u64,
}

/// All buckets.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: BTreeMap<String, Bucket>,
}

/// What a batch takes one token of for each machine; how fast it fills is not told, a third a minute like all others.
const BATCHED: (&str, Rate) = ("VMScaleSetBatchedVMRequests", (2_000.0, 6_000.0));

/// Resource Graph's: 15 questions in 5 seconds [DOC resource-graph/concepts/guidance-for-throttled-requests].
const QUESTIONS: (&str, Rate) = ("ResourceGraph", (180.0, 15.0));

/// All limits by name: ARM's, then Compute's.
const NAMES: [&str; 17] = [
    "reads",
    "writes",
    "deletes",
    "GetOperation",
    "UpdateVMScaleSet",
    "DeleteVMScaleSet",
    "HighCostGetVMScaleSet",
    "LowCostGetVMScaleSet",
    "GetVMScaleSetVM",
    "DeleteVMScaleSetVM",
    "UpdateVMScaleSetVM",
    "HighCostGet",
    "LowCostGet",
    "DeleteVM",
    "UpdateVM",
    BATCHED.0,
    QUESTIONS.0,
];

/// Compute's policy for a request: its name, and the rates of the resource and of the subscription.
struct Policy {
    name: &'static str,
    resource: Option<Rate>,
    subscription: Rate,
}

/// Compute's table of policies. Those of instances below their scale set go by names of ours: no recording shows them.
fn policy(method: &str, route: &Route) -> Option<Policy> {
    const WRITE: Option<Rate> = Some((4.0, 12.0));
    const LOW: Option<Rate> = Some((12.0, 36.0));
    const HIGH: Option<Rate> = Some((10.0, 30.0));
    let of = |name, resource, refill: f64| {
        Some(Policy {
            name,
            resource,
            subscription: (refill, refill * 3.0),
        })
    };
    match (method, route) {
        ("GET", Route::Operation { .. }) => of("GetOperation", Some((15.0, 45.0)), 5_000.0),
        ("PUT" | "PATCH", Route::Set { .. }) => of("UpdateVMScaleSet", WRITE, 500.0),
        ("DELETE", Route::Set { .. }) => of("DeleteVMScaleSet", WRITE, 175.0),
        ("POST", Route::SetAction { action, .. }) => match action.to_lowercase().as_str() {
            "delete" | "deallocate" => of("DeleteVMScaleSet", WRITE, 175.0),
            "poweroff" => of("DeleteVMScaleSet", None, 175.0),
            _ => of("UpdateVMScaleSet", None, 500.0),
        },
        ("GET", Route::SetAction { action, .. }) if action.eq_ignore_ascii_case("instanceView") => {
            of("HighCostGetVMScaleSet", HIGH, 360.0)
        }
        ("GET", Route::Set { .. } | Route::SetAction { .. }) => {
            of("LowCostGetVMScaleSet", LOW, 800.0)
        }
        ("GET", Route::SetMachines { .. }) => of("HighCostGetVMScaleSet", HIGH, 360.0),
        ("GET", Route::Sets { .. }) => of("HighCostGetVMScaleSet", None, 360.0),
        ("GET", Route::SetMachine { .. } | Route::SetMachineView { .. }) => {
            of("GetVMScaleSetVM", LOW, 2_000.0)
        }
        ("DELETE", Route::SetMachine { .. }) => of("DeleteVMScaleSetVM", WRITE, 500.0),
        ("POST", Route::SetMachineAction { action, .. }) => match action.to_lowercase().as_str() {
            "poweroff" | "deallocate" => of("DeleteVMScaleSetVM", WRITE, 500.0),
            _ => of("UpdateVMScaleSetVM", WRITE, 500.0),
        },
        ("GET", Route::Machines { .. }) => of("HighCostGet", None, 300.0),
        ("GET", Route::Machine { .. } | Route::MachineView { .. }) => {
            of("LowCostGet", LOW, 8_000.0)
        }
        ("DELETE", Route::Machine { .. }) => of("DeleteVM", WRITE, 500.0),
        ("POST", Route::MachineAction { action, .. }) => match action.to_lowercase().as_str() {
            "deallocate" | "simulateeviction" => of("DeleteVM", WRITE, 500.0),
            _ => of("UpdateVM", WRITE, 500.0),
        },
        _ => None,
    }
}

/// How many segments of a path name the resource that a limit is of; an action on it is what follows.
const fn depth(route: &Route) -> usize {
    match route {
        Route::SetMachine { .. }
        | Route::SetMachineView { .. }
        | Route::SetMachineAction { .. } => 10,
        _ => 8,
    }
}

impl Limits {
    /// Nothing is left of a limit for so long, as if others had used it up: of one resource if its id is given, else of the subscription.
    ///
    /// # Errors
    /// If there is no such limit.
    pub fn exhaust(
        &mut self,
        name: &str,
        resource: Option<&str>,
        until: u64,
    ) -> Result<(), String> {
        if !NAMES.contains(&name) {
            let names = NAMES.join(", ");
            return Err(format!("there is no limit '{name}': it is one of {names}"));
        }
        let key = match resource {
            Some(id) => format!("{name}/{}", id.trim_matches('/').to_lowercase()),
            None if matches!(name, "reads" | "writes" | "deletes") => format!("arm/{name}"),
            None => name.to_owned(),
        };
        let empty = Bucket {
            tokens: 1.0,
            at: until,
        };
        self.buckets.insert(key, empty);
        Ok(())
    }

    fn take(&mut self, key: String, rate: Rate, count: f64, now: u64) -> Result<u64, u64> {
        let (per_minute, depth) = rate;
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: depth,
            at: now,
        });
        if now < bucket.at {
            return Err(bucket.at - now);
        }
        let refill = now.saturating_sub(bucket.at) as f64 / 60_000.0 * per_minute;
        bucket.tokens = (bucket.tokens + refill).min(depth);
        bucket.at = now;
        if bucket.tokens < count {
            return Err(((count - bucket.tokens) / per_minute * 60_000.0).ceil() as u64);
        }
        bucket.tokens -= count;
        Ok(bucket.tokens as u64)
    }

    /// Takes the token of a question to Resource Graph: what is left, or how many milliseconds to wait.
    pub(super) fn question(&mut self, now: u64) -> Result<u64, u64> {
        self.take(QUESTIONS.0.to_owned(), QUESTIONS.1, 1.0, now)
    }

    /// Takes a request's tokens: the headers that say what is left, or the refusal. `here` turns the world's
    /// milliseconds into the caller's seconds.
    ///
    /// # Errors
    /// 429.
    pub fn admit(
        &mut self,
        call: &Call,
        route: &Route,
        subscription: &str,
        now: u64,
        here: impl Fn(u64) -> u64,
    ) -> Result<Vec<(String, String)>, Reply> {
        let (word, kind, rate) = match call.method.as_str() {
            "GET" | "HEAD" => ("reads", "read", (25.0 * 60.0, 250.0)),
            "DELETE" => ("deletes", "delete", (10.0 * 60.0, 200.0)),
            _ => ("writes", "write", (10.0 * 60.0, 200.0)),
        };
        let mut headers = Vec::new();
        match self.take(format!("arm/{word}"), rate, 1.0, now) {
            Ok(left) => {
                headers.push((
                    format!("x-ms-ratelimit-remaining-subscription-{word}"),
                    left.to_string(),
                ));
                // [REC cap 9] 15 times the local bucket.
                let global = if word == "reads" { 3_749 } else { 2_999 };
                headers.push((
                    format!("x-ms-ratelimit-remaining-subscription-global-{word}"),
                    global.to_string(),
                ));
            }
            Err(wait) => {
                let seconds = here(wait);
                let message = format!(
                    "Number of '{kind}' requests for subscription '{subscription}' actor 'simulated' exceeded. Please try again after '{seconds}' seconds."
                );
                return Err(
                    Reply::gateway(429, "SubscriptionRequestsThrottled", &message)
                        .with("retry-after", seconds.to_string()),
                );
            }
        }
        let Some(policy) = policy(&call.method, route) else {
            return Ok(headers);
        };
        let mut left = Vec::new();
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let path = segments[..segments.len().min(depth(route))]
            .join("/")
            .to_lowercase();
        let resource = policy
            .resource
            .map(|rate| ("Resource", format!("{}/{path}", policy.name), rate));
        let subscription = (
            "SubscriptionMaximum",
            policy.name.to_owned(),
            policy.subscription,
        );
        for (scope, key, rate) in [Some(subscription), resource].into_iter().flatten() {
            match self.take(key, rate, 1.0, now) {
                Ok(n) => left.push(format!("Microsoft.Compute/{}{scope};{n}", policy.name)),
                Err(wait) => return Err(throttled(policy.name, scope, here(wait))),
            }
        }
        if let Some(machines) = batched(call, route) {
            let ((name, rate), scope) = (BATCHED, "SubscriptionMaximum");
            match self.take(name.to_owned(), rate, machines as f64, now) {
                Ok(n) => left.push(format!("Microsoft.Compute/{name}{scope};{n}")),
                Err(wait) => return Err(throttled(name, scope, here(wait))),
            }
            headers.push(("x-ms-request-charge".to_owned(), machines.to_string()));
        }
        headers.push((
            "x-ms-ratelimit-remaining-resource".to_owned(),
            left.join(","),
        ));
        Ok(headers)
    }
}

/// How many machines a batch names; one that means all of them without naming any is not counted here.
fn batched(call: &Call, route: &Route) -> Option<usize> {
    if !matches!(route, Route::SetAction { .. }) || call.method != "POST" {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&call.body).ok()?;
    let machines = body.get("instanceIds")?.as_array()?.len();
    (machines > 0).then_some(machines)
}

/// [DOC] Compute's own 429, which has no `error` around it.
fn throttled(policy: &str, scope: &str, seconds: u64) -> Reply {
    let target = format!("{policy}{scope}");
    let message =
        json!({"operationGroup": target, "allowedRequestCount": 0, "measuredRequestCount": 1})
            .to_string();
    let body = json!({
        "code": "OperationNotAllowed",
        "message": "The server rejected the request because too many requests have been received for this subscription.",
        "details": [{"code": "TooManyRequests", "target": target, "message": message}]
    });
    Reply::json(429, body).with("retry-after", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(limits: &mut Limits, now: u64) -> Result<Vec<(String, String)>, Reply> {
        let call = Call::new("PUT", "/subscriptions/s/x", Vec::new(), Vec::new());
        limits.admit(
            &call,
            &Route::Set {
                group: "g".into(),
                name: "n".into(),
            },
            "s",
            now,
            |ms| ms.div_ceil(1000),
        )
    }

    #[test]
    fn a_batch_is_charged_for_each_machine_it_names() {
        let set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/n/delete";
        let body = br#"{"instanceIds":["1","2","3"]}"#.to_vec();
        let call = Call::new("POST", set, Vec::new(), body);
        let route = super::super::route::route(&call.segments).unwrap().1;
        let headers = Limits::default()
            .admit(&call, &route, "s", 0, |ms| ms)
            .unwrap();
        let of = |name: &str| headers.iter().find(|one| one.0 == name).unwrap().1.as_str();
        assert_eq!(of("x-ms-request-charge"), "3");
        assert_eq!(
            of("x-ms-ratelimit-remaining-resource"),
            "Microsoft.Compute/DeleteVMScaleSetSubscriptionMaximum;524,Microsoft.Compute/DeleteVMScaleSetResource;11,\
             Microsoft.Compute/VMScaleSetBatchedVMRequestsSubscriptionMaximum;5997"
        );
    }

    #[test]
    fn what_is_used_up_refuses_for_so_long_in_its_own_shape() {
        let mut limits = Limits::default();
        limits.exhaust("writes", None, 9_000).unwrap();
        let refused = put(&mut limits, 2_000).unwrap_err();
        let body = refused.body.unwrap();
        assert_eq!(body["error"]["code"], "SubscriptionRequestsThrottled");
        assert_eq!(refused.headers.last().unwrap().1, "7");
        assert!(put(&mut limits, 9_000).is_ok());

        limits
            .exhaust("UpdateVMScaleSet", Some("/subscriptions/S/x"), 30_000)
            .unwrap();
        let refused = put(&mut limits, 20_000).unwrap_err();
        let body = refused.body.unwrap();
        assert_eq!(body["details"][0]["target"], "UpdateVMScaleSetResource");
        assert!(put(&mut limits, 30_000).is_ok());
        assert!(limits.exhaust("Everything", None, 1).is_err());
    }

    #[test]
    fn an_instance_has_buckets_of_its_own_whatever_is_done_to_it() {
        let mut limits = Limits::default();
        let mut post = |id: &str, action: &str| {
            let set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/n";
            let target = format!("{set}/virtualMachines/{id}/{action}");
            let call = Call::new("POST", &target, Vec::new(), Vec::new());
            let route = super::super::route::route(&call.segments).unwrap().1;
            limits.admit(&call, &route, "s", 0, |ms| ms).is_ok()
        };
        assert!((0..12).all(|n| post("1", if n % 2 == 0 { "start" } else { "restart" })));
        assert!(!post("1", "start") && post("2", "start") && post("1", "deallocate"));
    }

    #[test]
    fn a_scale_set_takes_twelve_updates_and_then_four_a_minute() {
        let mut limits = Limits::default();
        for _ in 0..12 {
            assert!(put(&mut limits, 0).is_ok());
        }
        let refused = put(&mut limits, 0).unwrap_err();
        assert_eq!(
            (refused.status, refused.headers.last().map(|h| h.1.as_str())),
            (429, Some("15"))
        );
        assert!(put(&mut limits, 15_000).is_ok());
        assert!(put(&mut limits, 15_000).is_err());
    }
}
