//! Long-running operations on the wire: the signed addresses to ask, and the answers, as Compute really gives them
//! [REC cap 1, 3, 4]: PUT carries Azure-AsyncOperation alone, POST and DELETE Location as well, nobody Retry-After (`patient` adds it on request).

use super::arm::Exchange;
use super::ids;
use super::wire::Reply;
use serde_json::{Map, json};
use spotpool_core::world::{Refusal, Status};

/// Adds the addresses of an operation to the reply that started it.
pub fn announce(
    exchange: &mut Exchange<'_>,
    reply: Reply,
    operation: u64,
    location: bool,
) -> Reply {
    let id = exchange.request_id.clone();
    exchange.state.operations.insert(id.clone(), operation);
    let reply = patient(exchange, reply)
        .with("azure-asyncnotification", "Enabled")
        .with("azure-asyncoperation", address(exchange, &id, false));
    if location {
        reply.with("location", address(exchange, &id, true))
    } else {
        reply
    }
}

/// Asks the caller to wait, where the simulator was told to.
pub fn patient(exchange: &Exchange<'_>, reply: Reply) -> Reply {
    match exchange.state.retry_after {
        None => reply,
        Some(seconds) => reply.with("retry-after", seconds.to_string()),
    }
}

/// The reply to a POST or DELETE: 202 with the addresses of its operation, or 204 when there was nothing to do.
pub fn accepted(exchange: &mut Exchange<'_>, operation: Option<u64>) -> Reply {
    match operation {
        None => Reply::empty(204),
        Some(operation) => announce(exchange, Reply::empty(202), operation, true),
    }
}

/// About 4 kB long, as the real ones; `c`, `s` and `h` stand for a certificate and its signature.
fn address(exchange: &Exchange<'_>, id: &str, monitor: bool) -> String {
    let state = &exchange.state;
    let version = exchange
        .call
        .parameter("api-version")
        .unwrap_or("2024-07-01");
    let monitor = if monitor { "&monitor=true" } else { "" };
    let (p, (t, c, s, h)) = (ids::guid(state.seed ^ 2, id), signature(state.seed, id));
    format!(
        "{}/subscriptions/{}/providers/Microsoft.Compute/locations/{}/operations/{id}?p={p}{monitor}&api-version={version}&t={t}&c={c}&s={s}&h={h}",
        exchange.call.base(),
        state.subscription,
        state.region.location
    )
}

fn signature(seed: u64, id: &str) -> (u64, String, String, String) {
    let ticks = 638_600_000_000_000_000 + ids::hash(seed, id) % 100_000_000_000_000;
    let of = |name: &str, length| ids::text(seed, &format!("{name}/{id}"), length, ids::BASE64);
    (ticks, of("c", 3_200), of("s", 342), of("h", 43))
}

/// GET of an operation's address.
///
/// # Errors
/// 404 for an unknown one; 400 when the address was not used as given.
pub fn poll(exchange: &Exchange<'_>, id: &str) -> Result<Reply, Reply> {
    let (state, id) = (&exchange.state, id.to_lowercase());
    let operation = state
        .operations
        .get(&id)
        .and_then(|n| state.region.operation(*n))
        .ok_or_else(|| Reply::from(Refusal::instance_not_found()))?;
    // [INF] the address is signed: whoever rebuilds it instead of repeating it is sent away.
    let (t, c, s, h) = signature(state.seed, &id);
    let given = |name| exchange.call.parameter(name).unwrap_or_default();
    if given("t") != t.to_string() || given("c") != c || given("s") != s || given("h") != h {
        let message = "The signature of the operation's address is missing or wrong: poll the address as it was given.";
        return Err(Reply::error(
            400,
            "InvalidOperationSignature",
            message,
            None,
        ));
    }
    let monitor = exchange
        .call
        .parameter("monitor")
        .is_some_and(|m| m.eq_ignore_ascii_case("true"));
    match (&operation.status, monitor) {
        (Status::InProgress, true) => {
            let reply = Reply::empty(202).with("location", address(exchange, &id, true));
            Ok(patient(exchange, reply))
        }
        (Status::Succeeded, true) => Ok(Reply::empty(200)),
        (Status::Failed(failure), true) => {
            Err(Reply::error(409, failure.code, &failure.message, None))
        }
        (status, false) => {
            let mut body = Map::new();
            body.insert(
                "startTime".into(),
                json!(state.clock.stamp(operation.started)),
            );
            if let Some(ended) = operation.ended {
                body.insert("endTime".into(), json!(state.clock.stamp(ended)));
            }
            let word = match status {
                Status::InProgress => "InProgress",
                Status::Succeeded => "Succeeded",
                Status::Failed(_) => "Failed",
            };
            body.insert("status".into(), json!(word));
            if let Status::Failed(failure) = status {
                body.insert(
                    "error".into(),
                    json!({"code": failure.code, "message": failure.message}),
                );
            }
            body.insert("name".into(), json!(id));
            let reply = Reply::json(200, body.into());
            match status {
                Status::InProgress => Ok(patient(exchange, reply)),
                _ => Ok(reply),
            }
        }
    }
}
