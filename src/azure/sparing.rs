//! Sets that Azure is at work on: nothing can be done to them, so where reads are scarce no more is asked about them.
//!
//! In: a set as it was seen. Out: whether the rest of its look is left out. Not for longer than a minute: evictions that do not end must
//! not go unseen, nor the end of an operation of ours.

use spotpool_core::units::{Millis, Seen, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sets::Shown;
use super::{Session, instances};
use crate::cloud::PoolRef;

/// How long a set at work goes without a whole look.
const LONGEST: Millis = Millis::minutes(1);

/// Since when sets have been spared, by their ARM ids in lower case.
#[derive(Debug, Default)]
pub(super) struct Spared(Mutex<BTreeMap<String, Timestamp>>);

impl Spared {
    fn since(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a set can be spared once more.
    fn goes_on(&self, pool: &PoolRef, now: Timestamp) -> bool {
        let mut all = self.since();
        // Whoever has not looked for as long again begins anew.
        all.retain(|_, since| *since + LONGEST + LONGEST > now);
        let since = all.entry(key(pool)).or_insert(now);
        *since + LONGEST > now
    }

    /// The instances of a set are looked at.
    pub(super) fn ends(&self, pool: &PoolRef) {
        self.since().remove(&key(pool));
    }
}

fn key(pool: &PoolRef) -> String {
    pool.scale_set_id().to_ascii_lowercase()
}

impl Session {
    /// Whether no more is asked about a set that was seen like this.
    pub(super) fn spares(&self, pool: &PoolRef, set: &Shown) -> bool {
        let Seen::Known {
            value: Some(set), ..
        } = set
        else {
            return false;
        };
        let list = instances::url(&self.endpoint, pool);
        let scarce = || list.is_some_and(|url| self.transport.is_scarce(&url));
        !set.state.is_terminal() && scarce() && self.spared.goes_on(pool, self.now())
    }
}
