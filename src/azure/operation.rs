//! How an operation of ours is going: one poll, no waiting.
//!
//! In: the URL that Azure gave with its "accepted". Out: still running and when to ask again, or how it ended. Both of Azure's protocols
//! are understood: `Azure-AsyncOperation` (a body with a status) and `Location` (202, then the final answer). Polls do not go
//! through the crate's pipeline, whose debug log would print the signed URL.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use spotpool_core::planner::Outcome;
use spotpool_core::units::{Millis, Timestamp};

use super::arm_error::{self, ArmError};
use super::budget::Claim;
use super::call_error::CallError;
use super::errors;
use super::transport::Caller;
use crate::cloud::OperationRef;

/// Compute refills 15 polls a minute for each operation (azure.md §5): asking more often is asking to be throttled.
const PACE: Millis = Millis::seconds(5);

/// What a poll learned.
#[derive(Debug)]
pub(super) enum Progress {
    /// Ask again, no earlier than the reference says.
    Running(OperationRef),
    /// Not asked: too early, or Azure's limits do not bear it. No earlier than the reference says.
    NotAsked(OperationRef),
    /// Over; `None` when Azure no longer knows it, or it says nothing about what we asked for.
    Ended(Option<Outcome>),
}

/// The operation that an accepted write started, if Azure named one at its own address.
pub(super) fn started(
    transport: &Caller,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<OperationRef> {
    let named = ["azure-asyncoperation", "location"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    let url = named.to_str().ok().and_then(|text| transport.resolve(text));
    if url.is_none() {
        // The set's provisioningState tells the same, only without a reason.
        tracing::warn!("azure named an operation at another host; it is not followed");
    }
    let url = url?.to_string();
    Some(OperationRef {
        url,
        not_before: later(headers, now),
    })
}

/// Asks once.
pub(super) async fn poll(
    transport: &Caller,
    operation: &OperationRef,
    claim: Claim,
    now: impl Fn() -> Timestamp,
) -> Progress {
    let Some(url) = transport.resolve(&operation.url) else {
        return Progress::Ended(None);
    };
    let at = |not_before| OperationRef {
        url: operation.url.clone(),
        not_before,
    };
    let again = |not_before| Progress::Running(at(not_before));
    match transport
        .exchange(Method::GET, &url, HeaderMap::new(), Bytes::new(), claim)
        .await
    {
        Ok(answer) => match read(&answer) {
            Reading::Ended(outcome) => Progress::Ended(outcome),
            Reading::Running => again(later(answer.headers(), now())),
            Reading::Garbled => again(now() + PACE),
        },
        Err(CallError::HeldBack { until }) => Progress::NotAsked(at(until)),
        Err(error) => match cannot_be_read(&error) {
            true => Progress::Ended(None),
            false => again(wait_after(&error, now())),
        },
    }
}

enum Reading {
    Running,
    Ended(Option<Outcome>),
    Garbled,
}

fn read(answer: &http::Response<Bytes>) -> Reading {
    if answer.status() == http::StatusCode::ACCEPTED {
        return Reading::Running;
    }
    if answer.body().is_empty() {
        // The end of a Location: 200 or 204 without a body [REC cap 4].
        return Reading::Ended(Some(Outcome::Succeeded));
    }
    let Ok(body) = serde_json::from_slice::<Value>(answer.body()) else {
        return Reading::Garbled;
    };
    match body.get("status").and_then(Value::as_str) {
        Some("Succeeded") => Reading::Ended(Some(Outcome::Succeeded)),
        Some(end @ ("Failed" | "Canceled" | "Cancelled")) => {
            Reading::Ended(errors::outcome(&failure(&body, end, answer.headers())))
        }
        // Anything else is running [ARM resource provider contract].
        Some(_) => Reading::Running,
        // The end of a Location can be the resource itself; any other object tells nothing.
        None if body.get("properties").is_some() || body.get("id").is_some() => {
            Reading::Ended(Some(Outcome::Succeeded))
        }
        None => Reading::Garbled,
    }
}

fn failure(body: &Value, end: &str, headers: &HeaderMap) -> ArmError {
    let mut error = body
        .get("error")
        .map(ArmError::of_object)
        .unwrap_or_default();
    if error.main.code.is_empty() {
        error.main.code = end.to_owned();
    }
    if error.main.message.is_empty() {
        error.main.message = format!("the operation ended as {end} without an explanation");
    }
    // The name of an operation is the request id of the call that began it [REC cap 1]: that is what Azure's support asks for.
    error.request_id = body
        .get("name")
        .and_then(Value::as_str)
        .map_or_else(|| arm_error::request_id(headers), str::to_owned);
    error
}

/// Whether asking again would bring the same. 4xx and 5xx are failures to read the status, not of the operation; but a status that is
/// gone (404), or that we may not read, will stay so, and the set's provisioningState tells the essential.
fn cannot_be_read(error: &CallError) -> bool {
    match error {
        CallError::Arm(arm) => {
            arm.is_azures()
                && (400..500).contains(&arm.status)
                && !matches!(arm.status, 401 | 408 | 429)
        }
        CallError::NotSent { .. } => true,
        CallError::NoLogin(_)
        | CallError::HeldBack { .. }
        | CallError::NoAnswer { .. }
        | CallError::Unreadable { .. } => false,
    }
}

fn wait_after(error: &CallError, now: Timestamp) -> Timestamp {
    match error {
        CallError::Arm(arm) => now + arm.retry_after.unwrap_or(PACE).max(PACE),
        _ => now + PACE,
    }
}

fn later(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    now + arm_error::retry_after(headers, now)
        .unwrap_or(PACE)
        .max(PACE)
}
