//! What this process remembers of each pool, by UID: the planner's memory, the operation under way, what was last written and said.
//!
//! In comes a UID; out goes its memory behind a lock of its own, so that a slow call for one pool never holds up another. Status is
//! read once per pool and process ([`super::restore`]); after that this memory is the truth, since a watch may show an older status
//! than the one we wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use spotpool_core::planner::{Memory, Refusal};

use crate::api::SpotPoolStatus;
use crate::cloud::{Account, OperationRef, Urgency};

use super::events::Happening;
use super::objects::Known;
use super::restore::kept;

/// One pool's memory.
#[derive(Debug, Default)]
pub struct PoolState {
    restored: bool,
    /// The planner's.
    pub memory: Memory,
    /// What its template takes from Secrets and ConfigMaps.
    pub objects: Option<Known>,
    /// An operation of ours that may still run.
    pub unfinished: Option<OperationRef>,
    /// The status that was written last.
    pub applied: SpotPoolStatus,
    /// What the next look is for, if not only to look.
    pub eager: Option<Urgency>,
    /// Why Azure last declined to delete the scale set, and how often in a row.
    pub stuck: Option<Stuck>,
    /// The ServiceAccount that is kept for this pool, once it is.
    pub held: Option<Account>,
    /// What happened and could not be told, because the Kubernetes API was silent.
    pub untold: Vec<Happening>,
    /// What was logged last while waiting, so that a wait is logged once and not at each look.
    pub logged: String,
    /// The kind of blindness that was reported last, for the same reason.
    pub blind: Option<&'static str>,
    /// Failures of the Kubernetes API in a row.
    pub failures: u32,
}

impl PoolState {
    /// Takes over what the status carries, the first time only.
    pub fn restore(&mut self, status: Option<&SpotPoolStatus>) {
        if !std::mem::replace(&mut self.restored, true) {
            self.applied = status.cloned().unwrap_or_default();
            self.memory.kept = kept(&self.applied);
        }
    }
}

/// A deletion that Azure declines.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Azure's no.
    pub refusal: Refusal,
    /// How often in a row.
    pub strikes: u32,
}

/// A pool's memory, shared with whoever reconciles it.
pub type SharedState = Arc<tokio::sync::Mutex<PoolState>>;

/// All pools.
#[derive(Debug, Default)]
pub struct Pools {
    by_uid: Mutex<BTreeMap<String, SharedState>>,
}

impl Pools {
    /// The memory of a pool, made when it is new.
    pub fn of(&self, uid: &str) -> SharedState {
        let mut pools = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        pools.entry(uid.to_owned()).or_default().clone()
    }

    /// Forgets a pool that is gone.
    pub fn forget(&self, uid: &str) {
        let mut pools = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        pools.remove(uid);
    }

    /// The failures in a row of a pool's turns, counting this one; 1 when it is not known or just in use.
    pub fn failed(&self, uid: &str) -> u32 {
        let pools = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut state) = pools.get(uid).and_then(|state| state.try_lock().ok()) else {
            return 1;
        };
        state.failures = state.failures.saturating_add(1);
        state.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn remembers_each_pool_until_it_is_gone() {
        let pools = Pools::default();
        pools.of("a").lock().await.failures = 3;
        assert_eq!(pools.of("a").lock().await.failures, 3);
        assert_eq!(pools.of("b").lock().await.failures, 0);
        pools.forget("a");
        assert_eq!(pools.of("a").lock().await.failures, 0);
        assert_eq!(pools.failed("b"), 1);
        assert_eq!(pools.failed("b"), 2);
        assert_eq!(pools.failed("nobody"), 1);
    }
}
