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

use super::budget::Claim;
use super::policies::Tap;
use super::transport::CallError;
use super::{Session, instances, scale_set};
use crate::cloud::PoolRef;

/// How old a list may be when a pool takes its set from it. A write on what has changed since is refused for its ETag.
const FRESH: Millis = Millis::seconds(2);
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
    /// Of the last list.
    pages: usize,
    closed_until: Option<Timestamp>,
    /// Those that ask themselves, once.
    doubted: BTreeSet<String>,
}

impl Crowd {
    /// Takes in a look at a set; whether it is to be by a list.
    fn joins(&mut self, set: &str, now: Timestamp) -> bool {
        self.looks.retain(|_, at| *at + FRESH > now);
        self.looks.insert(set.to_owned(), now);
        self.closed_until = self.closed_until.filter(|until| *until > now);
        let many = self.looks.len() >= POOLS_A_PAGE * self.pages.max(1);
        many && self.closed_until.is_none() && !self.doubted.remove(set)
    }
}

impl Session {
    /// A pool's set as a list shows it, where that spares Azure calls.
    ///
    /// # Errors
    /// Not now, but soon: when the list may be asked for.
    pub(super) async fn listed_set(&self, pool: &PoolRef) -> Result<Option<Shown>, Timestamp> {
        let name = pool.scale_set.to_ascii_lowercase();
        let group = self.groups.of(pool);
        let joins = group.crowd().joins(&name, self.now());
        if !joins {
            return Ok(None);
        }
        let mut list = group.list.lock().await;
        if list
            .as_ref()
            .is_none_or(|list| list.at + FRESH <= self.now())
        {
            *list = None;
            let (at, pages) = (self.now(), group.crowd().pages);
            match self.list_sets(pool, pages).await {
                Ok((pages, sets)) => {
                    group.crowd().pages = pages;
                    *list = Some(List { at, sets });
                }
                Err(CallError::HeldBack { until }) if until <= at + FRESH => return Err(until),
                Err(error) => {
                    tracing::debug!(%error, "no list of scale sets: each is asked for by itself");
                    group.crowd().closed_until = Some(self.now() + PAUSE);
                }
            }
        }
        let shown = |list: &List| {
            Some(Seen::Known {
                value: Some(list.sets.get(&name)?.clone()),
                at: list.at,
            })
        };
        Ok(list.as_ref().and_then(shown))
    }

    /// A write was refused since the set is another than the one that was seen: its next look is its own.
    pub(super) fn doubt_list(&self, pool: &PoolRef) {
        let group = self.groups.of(pool);
        let name = pool.scale_set.to_ascii_lowercase();
        group.crowd().doubted.insert(name);
    }

    /// All pages, and what can be read of them. It spares more than it takes, and so need not wait for those that it is for; but it is not
    /// begun before as many pages as it had last can be read.
    async fn list_sets(
        &self,
        pool: &PoolRef,
        pages: usize,
    ) -> Result<(usize, BTreeMap<String, ScaleSet>), CallError> {
        let (subscription, group) = (&pool.subscription, &pool.resource_group);
        let path = format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachineScaleSets"
        );
        if let Some(url) = self.transport.resolve(&path) {
            let until = self.transport.fits(&url, pages.max(1)).err();
            until.map_or(Ok(()), |until| Err(CallError::HeldBack { until }))?;
        }
        let tap = Tap::default();
        let client = self.client(Claim::Granted, Some(Arc::new(tap.clone())));
        let sets = client.virtual_machine_scale_sets_client();
        let request = sets.list(group, subscription);
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

    fn later(millis: i64) -> Timestamp {
        NOW + Millis(millis)
    }

    /// How many of these pools, which look a tenth of a second apart, do so by a list.
    fn joining(crowd: &mut Crowd, pools: i64) -> i64 {
        let joins = |n: i64| crowd.joins(&format!("p{n}"), later(n * 100));
        (0..pools).map(joins).map(i64::from).sum()
    }

    #[test]
    fn a_few_pools_ask_for_their_own_sets_and_many_share_a_list() {
        let mut crowd = Crowd::default();
        assert_eq!(joining(&mut crowd, 3), 0);
        assert!(!crowd.joins("a", later(2_300)), "the three are long past");
        assert_eq!(joining(&mut Crowd::default(), 10), 7);
        let mut crowd = Crowd::default();
        assert!((0..10).all(|n| !crowd.joins("a", later(n))), "one pool");
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
        assert!(crowd.joins("a", later(1_000)));
    }

    #[test]
    fn a_set_that_was_another_than_listed_is_read_by_itself_once() {
        let mut crowd = Crowd::default();
        joining(&mut crowd, 10);
        crowd.doubted.insert("a".to_owned());
        assert!(crowd.joins("b", later(1_000)));
        assert!(!crowd.joins("a", later(1_000)));
        assert!(crowd.joins("a", later(1_000)));
    }
}
