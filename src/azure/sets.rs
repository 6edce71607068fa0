//! Many scale sets by one list: pools of one resource group that look at about the same time share a list of its sets, instead of asking
//! for each its own.
//!
//! In: a pool that is about to look. Out: its set as such a list shows it, dated when the list was asked for, or nothing: then it asks
//! itself. That is so for a set that no list shows (a list is no proof of absence, since it may change between its pages), and once for a
//! set that has turned out to be another than the list had shown.

use spotpool_core::planner::{Blind, ScaleSet};
use spotpool_core::units::{Millis, Seen, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::budget::Claim;
use super::call_error::CallError;
use super::policies::Tap;
use super::{Session, instances, scale_set};
use crate::cloud::{PoolRef, Urgency};

/// So many pools a page must stand for: below, the sets are asked for one by one.
const POOLS_A_PAGE: usize = 4;
/// After a list that could not be had: whoever may read sets need not be allowed to list them.
const PAUSE: Millis = Millis::minutes(1);

/// What a list says of a set.
pub(super) type Shown = Seen<Option<ScaleSet>, Blind>;

/// The resource groups that pools are in, by subscription and name, lower case.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<BTreeMap<(String, String), Arc<Group>>>);

impl Groups {
    fn of(&self, pool: &PoolRef) -> Arc<Group> {
        let key = (
            pool.subscription.to_ascii_lowercase(),
            pool.resource_group.to_ascii_lowercase(),
        );
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_default().clone()
    }
}

/// One resource group.
#[derive(Debug, Default)]
struct Group {
    crowd: Mutex<Crowd>,
    /// Locked while it is asked for: all others wait for the same.
    list: tokio::sync::Mutex<Option<List>>,
}

impl Group {
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list that was read whole.
#[derive(Debug)]
struct List {
    /// When it was asked for.
    at: Timestamp,
    /// By name, lower case.
    sets: BTreeMap<String, ScaleSet>,
}

/// Whether a list is worth its pages.
#[derive(Debug, Default)]
struct Crowd {
    /// When pools looked last, as far back as a list is fresh, by their sets.
    looks: BTreeMap<String, Timestamp>,
    /// Of the last list; 0: not known.
    pages: usize,
    closed_until: Option<Timestamp>,
    /// Those that ask themselves, once.
    doubted: BTreeSet<String>,
}

impl Crowd {
    /// Takes in a look at a set; whether it is to be by a list that is fresh for so long.
    fn joins(&mut self, set: &str, fresh: Millis, now: Timestamp) -> bool {
        self.looks.retain(|_, at| *at + fresh > now);
        self.looks.insert(set.to_owned(), now);
        let many = self.looks.len() >= POOLS_A_PAGE * self.pages.max(1);
        many && !self.is_closed(now) && !self.doubted.remove(set)
    }

    fn is_closed(&self, now: Timestamp) -> bool {
        self.closed_until.is_some_and(|until| until > now)
    }
}

impl Session {
    /// A pool's set as a list shows it, where that spares Azure calls.
    ///
    /// # Errors
    /// Not now, but soon: when the list may be asked for.
    pub(super) async fn listed_set(
        &self,
        pool: &PoolRef,
        urgency: Urgency,
    ) -> Result<Option<Shown>, Timestamp> {
        let name = pool.scale_set.to_ascii_lowercase();
        let group = self.groups.of(pool);
        let joins = group.crowd().joins(&name, self.shared_for, self.now());
        if !joins {
            return Ok(None);
        }
        let asked = self.now();
        // One that is asked for and does not come holds nobody else up for longer than it would have been fresh.
        let longest = Duration::from_millis(self.shared_for.0.unsigned_abs());
        let Ok(mut list) = tokio::time::timeout(longest, group.list.lock()).await else {
            return Ok(None);
        };
        if list
            .as_ref()
            .is_none_or(|list| list.at + self.shared_for <= asked)
        {
            *list = self.list_again(pool, &group, urgency).await?;
        }
        let shown = |list: &List| {
            Some(Seen::Known {
                value: Some(list.sets.get(&name)?.clone()),
                at: list.at,
            })
        };
        Ok(list.as_ref().and_then(shown))
    }

    /// A new list, if there is one to be had.
    ///
    /// # Errors
    /// As [`Session::listed_set`].
    async fn list_again(
        &self,
        pool: &PoolRef,
        group: &Group,
        urgency: Urgency,
    ) -> Result<Option<List>, Timestamp> {
        let (at, pages) = (self.now(), group.crowd().pages.max(1));
        if group.crowd().is_closed(at) {
            return Ok(None);
        }
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets",
            pool.subscription, pool.resource_group
        );
        let url = self.transport.resolve(&path);
        let later = url.and_then(|url| self.transport.fits(&url, pages, urgency).err());
        let closed = match later {
            Some(until) if until <= at + self.shared_for => return Err(until),
            Some(until) => until,
            None => match self.list_sets(pool).await {
                Ok((pages, sets)) => {
                    group.crowd().pages = pages;
                    return Ok(Some(List { at, sets }));
                }
                Err(CallError::HeldBack { until }) => {
                    // It is longer than it was, or others were quicker: the next is not begun before there is enough for one page more.
                    group.crowd().pages = pages + 1;
                    return Err(until);
                }
                Err(error) => {
                    tracing::debug!(%error, "no list of scale sets: each is asked for by itself");
                    self.now() + PAUSE
                }
            },
        };
        let mut crowd = group.crowd();
        crowd.closed_until = Some(closed);
        crowd.pages = 0;
        Ok(None)
    }

    /// A write was refused since the set is another than the one that was seen: its next look is its own.
    pub(super) fn doubt_list(&self, pool: &PoolRef) {
        let group = self.groups.of(pool);
        let name = pool.scale_set.to_ascii_lowercase();
        group.crowd().doubted.insert(name);
    }

    /// All pages, and what can be read of them. It spares more than it takes, and so does not wait for those that it is for.
    async fn list_sets(
        &self,
        pool: &PoolRef,
    ) -> Result<(usize, BTreeMap<String, ScaleSet>), CallError> {
        let tap = Tap::default();
        let client = self.client(Claim::Granted, Some(Arc::new(tap.clone())));
        let sets = client.virtual_machine_scale_sets_client();
        let request = sets.list(&pool.resource_group, &pool.subscription);
        let pages = self.whole(instances::follow(request.into_stream())).await?;
        let items = tap.drain();
        let read = |item: &serde_json::Value| {
            let name = item.get("name")?.as_str()?.to_ascii_lowercase();
            // What cannot be read here is asked for by itself, and said then.
            Some((name, scale_set::read_value(item, None).ok()?))
        };
        Ok((pages, items.iter().filter_map(read).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const FRESH: Millis = Millis::seconds(2);

    fn later(millis: i64) -> Timestamp {
        NOW + Millis(millis)
    }

    /// How many of these pools, which look a tenth of a second apart, do so by a list.
    fn joining(crowd: &mut Crowd, pools: i64) -> i64 {
        let joins = |n: i64| crowd.joins(&format!("p{n}"), FRESH, later(n * 100));
        (0..pools).map(joins).map(i64::from).sum()
    }

    #[test]
    fn a_few_pools_ask_for_their_own_sets_and_many_share_a_list() {
        let mut crowd = Crowd::default();
        assert_eq!(joining(&mut crowd, 3), 0);
        assert!(
            !crowd.joins("a", FRESH, later(2_300)),
            "the three are long past"
        );
        assert_eq!(joining(&mut Crowd::default(), 10), 7);
        let mut crowd = Crowd::default();
        assert!(
            (0..10).all(|n| !crowd.joins("a", FRESH, later(n))),
            "one pool"
        );
    }

    #[test]
    fn a_long_list_must_stand_for_more_pools() {
        let mut crowd = Crowd {
            pages: 3,
            ..Crowd::default()
        };
        assert_eq!(joining(&mut crowd, 20), 9);
    }

    #[test]
    fn a_list_that_could_not_be_had_is_not_asked_for_again_at_once() {
        let mut crowd = Crowd {
            closed_until: Some(later(1_000)),
            ..Crowd::default()
        };
        assert_eq!(joining(&mut crowd, 10), 0);
        assert!(crowd.joins("a", FRESH, later(1_000)));
    }

    #[test]
    fn a_set_that_was_another_than_listed_is_read_by_itself_once() {
        let mut crowd = Crowd::default();
        joining(&mut crowd, 10);
        crowd.doubted.insert("a".to_owned());
        assert!(crowd.joins("b", FRESH, later(1_000)));
        assert!(!crowd.joins("a", FRESH, later(1_000)));
        assert!(crowd.joins("a", FRESH, later(1_000)));
    }
}
