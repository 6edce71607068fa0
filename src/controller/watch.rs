//! The watch on SpotPools and what wakes a reconcile.
//!
//! In comes the API server's stream of events; out go objects worth a look, pruned to what is needed, into a store that the controller
//! reads. Errors of the watch are counted and logged here and go no further: inside the controller they would hold back every
//! other trigger as well. Pools that are gone are forgotten here.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::utils::{Backoff, PredicateConfig, WatchStreamExt as _};
use kube::runtime::{predicates, reflector, watcher};
use kube::{Api, ResourceExt as _};

use crate::api::{CONFIRM_ANNOTATION, REQUESTED_AT_ANNOTATION, SpotPool};

use super::{Context, DEFINITION_MISSING};

/// A SpotPool, or the reason why it cannot be read.
pub type Guarded = DeserializeGuard<SpotPool>;

/// Written by `kubectl apply` and as large as the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A controller that is woken by changes of SpotPools that matter.
pub fn controller(
    api: Api<Guarded>,
    context: &Arc<Context>,
    concurrency: u16,
) -> Controller<Guarded> {
    let (store, writer) = reflector::store();
    let mut roll = Roll::new(context.clone());
    let complaints = context.clone();
    let stream = watcher(api, watcher::Config::default())
        .backoff(Steps::default())
        .inspect(move |event| roll.call(event))
        .modify(prune)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(what_matters, PredicateConfig::default())
        .filter_map(move |object| {
            let object = object.map_err(|error| complain(&error, &complaints)).ok();
            std::future::ready(object.map(Ok))
        });
    Controller::for_stream(stream, store).with_config(Config::default().concurrency(concurrency))
}

fn prune(pool: &mut Guarded) {
    pool.managed_fields_mut().clear();
    pool.annotations_mut().remove(LAST_APPLIED);
}

/// Spec, deletion, finalizers, and the annotations that ask for a look or confirm a removal: not our own writes of status.
fn what_matters(pool: &Guarded) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    predicates::generation(pool).hash(&mut hasher);
    predicates::finalizers(pool).hash(&mut hasher);
    let meta = kube::Resource::meta(pool);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    for annotation in [REQUESTED_AT_ANNOTATION, CONFIRM_ANNOTATION] {
        pool.annotations().get(annotation).hash(&mut hasher);
    }
    pool.0.is_ok().hash(&mut hasher);
    Some(hasher.finish())
}

fn complain(error: &watcher::Error, context: &Context) {
    context.metrics.watch_failed();
    let text = in_words(error);
    // After its events have aged out the API server asks for a new list: daily business.
    if matches!(error, watcher::Error::WatchError(_)) {
        tracing::debug!("the watch on SpotPools ended and is begun again: {text}");
    } else {
        tracing::warn!("the watch on SpotPools failed and is begun again: {text}");
    }
}

/// What the API server said, without its whole answer.
fn in_words(error: &watcher::Error) -> String {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        other => return other.to_string(),
    };
    match status.code {
        404 => DEFINITION_MISSING.to_owned(),
        code => format!("{} ({code})", status.message),
    }
}

/// Who is there: forgets what is gone, and tells when the first list is complete.
struct Roll {
    context: Arc<Context>,
    listing: Option<BTreeSet<(String, String, String)>>,
    present: BTreeSet<(String, String, String)>,
}

impl Roll {
    fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            listing: None,
            present: BTreeSet::new(),
        }
    }

    fn call(&mut self, event: &watcher::Result<watcher::Event<Guarded>>) {
        match event {
            Ok(watcher::Event::Init) => self.listing = Some(BTreeSet::new()),
            Ok(watcher::Event::InitApply(pool)) => {
                self.context.users.seen(pool);
                if let Some(listing) = &mut self.listing {
                    listing.insert(key(pool));
                }
            }
            Ok(watcher::Event::InitDone) => {
                let listed = self.listing.take().unwrap_or_default();
                self.forget(self.present.difference(&listed).cloned().collect());
                self.present = listed;
                if !self.context.ready.swap(true, Ordering::Relaxed) {
                    tracing::info!(pools = self.present.len(), "watching SpotPools");
                }
            }
            Ok(watcher::Event::Apply(pool)) => {
                self.context.users.seen(pool);
                self.present.insert(key(pool));
            }
            Ok(watcher::Event::Delete(pool)) => {
                let gone = key(pool);
                self.present.remove(&gone);
                self.forget(vec![gone]);
            }
            Err(_) => return,
        }
        self.context.metrics.watching(self.present.len());
    }

    fn forget(&self, gone: Vec<(String, String, String)>) {
        for (uid, namespace, name) in gone {
            self.context.pools.forget(&uid);
            self.context.users.gone(&uid);
            self.context.surveyor.forget(&uid);
            self.context.metrics.forget(&namespace, &name);
        }
    }
}

fn key(pool: &Guarded) -> (String, String, String) {
    (
        pool.uid().unwrap_or_default(),
        pool.namespace().unwrap_or_default(),
        pool.name_any(),
    )
}

/// Waits between attempts to watch: doubling, without chance, and never long, since a pool cannot be changed meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    failures: u32,
}

impl Iterator for Steps {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(500) * 2_u32.pow(self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        Some(wait.min(Duration::from_secs(10)))
    }
}

impl Backoff for Steps {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::pool;
    use serde_json::json;

    fn guarded(pool: SpotPool) -> Guarded {
        DeserializeGuard(Ok(pool))
    }

    #[test]
    fn our_own_status_wakes_nobody_but_changes_that_matter_do() {
        let asleep = guarded(pool(json!({})));
        let told = |change: fn(&mut SpotPool)| {
            let mut changed = pool(json!({}));
            change(&mut changed);
            what_matters(&guarded(changed))
        };
        let same = what_matters(&asleep);
        assert_eq!(
            told(|p| p.status = Some(crate::api::SpotPoolStatus::default())),
            same
        );
        assert_eq!(
            told(|p| p.metadata.resource_version = Some("9".to_owned())),
            same
        );
        assert_eq!(
            told(|p| {
                p.labels_mut().insert("a".to_owned(), "b".to_owned());
            }),
            same
        );
        assert_ne!(told(|p| p.metadata.generation = Some(2)), same);
        assert_ne!(told(|p| p.metadata.finalizers = None), same);
        assert_ne!(
            told(|p| {
                p.annotations_mut()
                    .insert(REQUESTED_AT_ANNOTATION.to_owned(), "now".to_owned());
            }),
            same
        );
        assert_ne!(
            told(|p| {
                p.annotations_mut()
                    .insert(CONFIRM_ANNOTATION.to_owned(), "uid-1/1".to_owned());
            }),
            same
        );
        assert_ne!(
            told(
                |p| p.metadata.deletion_timestamp = Some(crate::controller::times::time(
                    spotpool_core::units::Timestamp(0)
                ))
            ),
            same
        );
    }

    #[test]
    fn one_bad_object_is_an_entry_of_its_own() {
        let bad = json!({
            "apiVersion": "spotpool.io/v1alpha1", "kind": "SpotPool",
            "metadata": {"name": "odd", "namespace": "batch", "uid": "u"},
            "spec": {"vmSizes": "not a list"},
        });
        let guarded: Guarded = serde_json::from_value(bad).unwrap();
        assert_eq!(
            key(&guarded),
            ("u".to_owned(), "batch".to_owned(), "odd".to_owned())
        );
        assert!(guarded.0.is_err());
    }

    #[test]
    fn drops_what_only_takes_memory() {
        let mut pool = pool(json!({}));
        pool.annotations_mut()
            .insert(LAST_APPLIED.to_owned(), "{}".to_owned());
        pool.annotations_mut()
            .insert("mine".to_owned(), "kept".to_owned());
        let mut guarded = guarded(pool);
        prune(&mut guarded);
        let names: Vec<&String> = guarded.annotations().keys().collect();
        assert_eq!(names, ["mine"]);
    }

    #[test]
    fn waits_longer_after_each_failure_but_never_long() {
        let waits: Vec<u64> = Steps::default()
            .take(7)
            .map(|wait| wait.as_millis() as u64)
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    }
}
