//! What a subscription may hold in a region: one list of Azure's, asked for at most every ten seconds by all pools that grow there.
//!
//! In: a subscription and a location. Out: the rows of `usages`, at most so old, or why there are none. A failure is remembered as
//! long as a list: whoever may not read it buys without having asked, and Azure itself refuses what is too much.

use serde_json::Value;
use spotpool_core::planner::Quota;
use spotpool_core::units::{Millis, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Session;
use super::call_error::CallError;
use super::policies::Tap;
use crate::cloud::{PoolRef, Urgency};

/// How long a list is good for.
const FRESH: Millis = Millis::seconds(10);

type Rows = Result<Vec<Quota>, String>;
/// Held while somebody asks: the others wait for the answer instead of asking too.
type Answer = Arc<tokio::sync::Mutex<Option<(Timestamp, Rows)>>>;

/// The last list of each subscription and location, lower case.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<BTreeMap<(String, String), Answer>>);

impl Quotas {
    fn of(&self, pool: &PoolRef) -> Answer {
        let key = (
            pool.subscription.to_ascii_lowercase(),
            pool.location.to_ascii_lowercase(),
        );
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_default().clone()
    }
}

impl Session {
    /// See [`Cloud::quota`](crate::cloud::Cloud::quota).
    pub(super) async fn quota(
        &self,
        pool: &PoolRef,
        since: Option<Timestamp>,
        urgency: Urgency,
    ) -> Rows {
        let answer = self.quotas.of(pool);
        let mut answer = answer.lock().await;
        if let Some((at, rows)) = &*answer
            && *at + FRESH > self.now()
            && since.is_none_or(|since| *at > since)
        {
            return rows.clone();
        }
        let at = self.now();
        let rows = self
            .ask_for_quota(pool, urgency)
            .await
            .map_err(|error| error.to_string());
        *answer = Some((at, rows.clone()));
        rows
    }

    async fn ask_for_quota(
        &self,
        pool: &PoolRef,
        urgency: Urgency,
    ) -> Result<Vec<Quota>, CallError> {
        let tap = Tap::default();
        let client = self.client(urgency, Some(Arc::new(tap.clone())));
        let request = client
            .usage_client()
            .list(&pool.location, &pool.subscription);
        super::instances::follow(request.into_stream()).await?;
        // A row that is not understood says nothing, and the others still do.
        Ok(tap.drain().iter().filter_map(row).collect())
    }
}

fn row(item: &Value) -> Option<Quota> {
    Some(Quota {
        row: item.pointer("/name/value")?.as_str()?.to_owned(),
        used: item.get("currentValue")?.as_u64()?,
        limit: item.get("limit")?.as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_rows_and_leaves_out_what_it_does_not_understand() {
        let spot = json!({"unit": "Count", "currentValue": 8, "limit": 100, "name": {"value": "lowPriorityCores", "localizedValue": "x"}});
        assert_eq!(
            row(&spot),
            Some(Quota {
                row: "lowPriorityCores".to_owned(),
                used: 8,
                limit: 100
            })
        );
        assert_eq!(
            row(&json!({"currentValue": 8, "limit": -1, "name": {"value": "x"}})),
            None
        );
        assert_eq!(row(&json!({})), None);
    }
}
