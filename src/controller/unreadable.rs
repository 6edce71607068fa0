//! An object that this version cannot parse: it alone is told so, and all others go on.
//!
//! In comes the metadata of such an object and the parser's words; out goes a status with Stalled and Ready set and all else left as
//! it stands. Nothing is looked up or done in Azure for it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use serde_json::{Value, json};
use spotpool_core::units::Timestamp;

use crate::api::reasons::ConditionStatus::{False, True};
use crate::api::{ConditionType, Reason};

use super::Context;
use super::conditions::{place, say};
use super::kubernetes::Error;
use super::words::with_advice;

/// Says on the object that it cannot be read.
///
/// # Errors
/// If the Kubernetes API does not take it.
pub async fn report(object: &InvalidObject, context: &Context) -> Result<Action, Error> {
    let meta = &object.metadata;
    tracing::warn!(
        pool = format!(
            "{}/{}",
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        ),
        error = object.error,
        "this version cannot read the object: left alone"
    );
    let raw = context.kubernetes.read_raw(meta).await?;
    let old = raw.get("status").cloned().unwrap_or_else(|| json!({}));
    let generation = meta.generation.unwrap_or_default();
    let new = status(old.clone(), &object.error, generation, context.clock.now());
    if new != old {
        context.kubernetes.write_status(meta, &new).await?;
    }
    // A change of the object wakes us; so does, once an hour, the thought that the definition may have changed.
    Ok(Action::requeue(Duration::from_secs(3600)))
}

/// The status with two conditions replaced, Reconciling gone, and everything else untouched.
fn status(mut raw: Value, error: &str, generation: i64, now: Timestamp) -> Value {
    let old = raw.get("conditions").cloned().unwrap_or_else(|| json!([]));
    let old: Vec<Condition> = serde_json::from_value(old).unwrap_or_default();
    let message = with_advice(
        Reason::UnsupportedVersion,
        &format!("this version of spotpool cannot read the object: {error}"),
    );
    let new = [
        (
            ConditionType::Ready,
            say(False, Reason::UnsupportedVersion, &*message),
        ),
        (
            ConditionType::Stalled,
            say(True, Reason::UnsupportedVersion, &*message),
        ),
    ];
    let replaced = [
        ConditionType::Ready,
        ConditionType::Stalled,
        ConditionType::Reconciling,
    ];
    let mut conditions: Vec<Condition> = old
        .iter()
        .filter(|condition| replaced.iter().all(|kind| kind.as_str() != condition.type_))
        .cloned()
        .collect();
    let placed = new
        .into_iter()
        .filter_map(|(kind, verdict)| place(kind, verdict, &old, generation, now));
    conditions.splice(0..0, placed);
    raw["conditions"] = json!(conditions);
    raw["observedGeneration"] = json!(generation);
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_so_once_and_leaves_all_else_as_it_stands() {
        let old = json!({
            "observedGeneration": 1,
            "evictions": {"total": 41},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "AvailableEnough", "message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"},
                {"type": "Reconciling", "status": "True", "reason": "Scaling", "message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"},
                {"type": "Suspended", "status": "False", "reason": "NotSuspended", "message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"},
            ],
        });
        let once = status(
            old,
            "missing field `template`",
            2,
            Timestamp(1_795_514_472_000),
        );
        assert_eq!(once["evictions"]["total"], 41);
        assert_eq!(once["observedGeneration"], 2);
        let kinds: Vec<&str> = once["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["Ready", "Stalled", "Suspended"]);
        assert_eq!(once["conditions"][0]["status"], "False");
        assert_eq!(once["conditions"][0]["reason"], "UnsupportedVersion");
        let later = status(
            once.clone(),
            "missing field `template`",
            2,
            Timestamp(1_795_514_999_000),
        );
        assert_eq!(later, once);
    }
}
