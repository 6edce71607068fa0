//! A small policy in azure_mgmt_compute's pipeline, for a fault of its models (crates.md: version 0.21 is the last).
//!
//! [`Tap`]: what comes in as a page is read as JSON by us, since the crate's structs fail a whole page for one odd field.

use async_trait::async_trait;
use azure_core_legacy as ac;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

use super::call_error::CallError;

/// Keeps the items of every page that passes, as JSON, and hands the crate an empty page with the same `nextLink`: it goes on to build
/// the requests and to follow the links, and parses nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap(Arc<Mutex<Vec<Value>>>);

impl Tap {
    /// What has passed so far.
    pub(super) fn drain(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl ac::Policy for Tap {
    async fn send(
        &self,
        context: &ac::Context,
        request: &mut ac::Request,
        next: &[Arc<dyn ac::Policy>],
    ) -> ac::PolicyResult {
        let (status, headers, body) = forward(context, request, next).await?.deconstruct();
        let body = body.collect().await?;
        let unreadable = |fact: String| CallError::Unreadable { fact };
        let mut page: Value = serde_json::from_slice(&body)
            .map_err(|error| unreadable(format!("a page of {} bytes: {error}", body.len())))?;
        let Some(Value::Array(items)) = page.get_mut("value").map(Value::take) else {
            return Err(unreadable("a page without a list".to_owned()).into());
        };
        let rest = match page.get("nextLink") {
            None | Some(Value::Null) => json!({ "value": [] }),
            Some(Value::String(link)) => json!({ "value": [], "nextLink": link }),
            // To stop here would pass a part off as the whole.
            Some(_) => {
                return Err(unreadable("a page whose nextLink is not text".to_owned()).into());
            }
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(items);
        Ok(ac::Response::new(
            status,
            headers,
            Box::pin(ac::BytesStream::new(ac::to_json(&rest)?)),
        ))
    }
}

async fn forward(
    context: &ac::Context,
    request: &mut ac::Request,
    next: &[Arc<dyn ac::Policy>],
) -> ac::PolicyResult {
    match next.split_first() {
        Some((first, rest)) => first.send(context, request, rest).await,
        None => Err(CallError::NotSent {
            fact: "the pipeline has no transport".to_owned(),
        }
        .into()),
    }
}
