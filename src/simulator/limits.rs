//! How many requests Azure takes: token buckets of ARM for the subscription and of Compute for the subscription and for
//! each resource, refilled in the world's time [DOC request-limits-and-throttling, compute-throttling-limits].

use super::route::Route;
use super::wire::{Call, Reply};
use serde_json::json;
use std::collections::BTreeMap;

/// Refill a minute and depth.
type Rate = (f64, f64);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: u64,
}

/// All buckets.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: BTreeMap<String, Bucket>,
}

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
    fn take(&mut self, key: String, rate: Rate, now: u64) -> Result<u64, u64> {
        let (per_minute, depth) = rate;
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: depth,
            at: now,
        });
        let refill = now.saturating_sub(bucket.at) as f64 / 60_000.0 * per_minute;
        bucket.tokens = (bucket.tokens + refill).min(depth);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(((1.0 - bucket.tokens) / per_minute * 60_000.0).ceil() as u64);
        }
        bucket.tokens -= 1.0;
        Ok(bucket.tokens as u64)
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
        match self.take(format!("arm/{word}"), rate, now) {
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
        for (scope, key, rate) in [
            Some((
                "SubscriptionMaximum",
                policy.name.to_owned(),
                policy.subscription,
            )),
            resource,
        ]
        .into_iter()
        .flatten()
        {
            match self.take(key, rate, now) {
                Ok(n) => left.push(format!("Microsoft.Compute/{}{scope};{n}", policy.name)),
                Err(wait) => return Err(throttled(policy.name, scope, here(wait))),
            }
        }
        headers.push((
            "x-ms-ratelimit-remaining-resource".to_owned(),
            left.join(","),
        ));
        Ok(headers)
    }
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
