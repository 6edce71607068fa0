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

fn policy(method: &str, route: &Route) -> Option<Policy> {
    let of = |name, resource: f64, depth: f64, sub: f64, sub_depth: f64| {
        Some(Policy {
            name,
            resource: (depth > 0.0).then_some((resource, depth)),
            subscription: (sub, sub_depth),
        })
    };
    match (method, route) {
        ("GET", Route::Operation { .. }) => of("GetOperation", 15.0, 45.0, 5_000.0, 15_000.0),
        ("PUT" | "PATCH", Route::Set { .. }) => of("UpdateVMScaleSet", 4.0, 12.0, 500.0, 1_500.0),
        ("GET", Route::Set { .. }) => of("LowCostGetVMScaleSet", 12.0, 36.0, 800.0, 2_400.0),
        ("GET", Route::Sets { .. } | Route::SetMachines { .. }) => {
            of("HighCostGetVMScaleSet", 10.0, 30.0, 360.0, 1_080.0)
        }
        ("DELETE", Route::Set { .. }) | ("POST", Route::SetAction { .. }) => {
            of("DeleteVMScaleSet", 4.0, 12.0, 175.0, 525.0)
        }
        ("GET", Route::Machines { .. }) => of("HighCostGet", 0.0, 0.0, 300.0, 900.0),
        ("GET", Route::Machine { .. } | Route::MachineView { .. }) => {
            of("LowCostGet", 12.0, 36.0, 8_000.0, 24_000.0)
        }
        ("DELETE", Route::Machine { .. }) | ("POST", Route::MachineAction { .. }) => {
            of("DeleteVM", 4.0, 12.0, 500.0, 1_500.0)
        }
        _ => None,
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
        let path = call.segments.join("/").to_lowercase();
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
