//! From a `SpotPool` to what the planner wants: fully resolved, no absence left to interpret.
//!
//! In comes the object as stored; out go [`Desired`] for the planner, [`Shape`] and [`PoolRef`] for the cloud, or the sentence that
//! says why this spec cannot be used although it passed the schema.

use kube::ResourceExt as _;
use spotpool_core::planner::{Desired, Eviction, Intent};
use spotpool_core::units::{Count, MicroUsd, Millis, Owner, VmSize};

use crate::api::{self, CONFIRM_ANNOTATION, DeletionPolicy, Overrides, Reason, SpotPool};
use crate::cloud::{
    Account, Contents, EvictionPolicy, Identity, OrchestrationMode, PoolRef, Shape,
};

use super::Settings;

/// The most instances that a Flexible scale set holds (learn.microsoft.com: *Orchestration modes for Virtual Machine Scale Sets*).
const MOST_INSTANCES: Count = 1000;

/// What one pool asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// For the planner.
    pub desired: Desired,
    /// Where its scale set is.
    pub place: PoolRef,
    /// What new instances are made from.
    pub shape: Shape,
}

/// A spec that passes the schema and still cannot be used, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fact}")]
pub struct Unusable {
    /// What kind of trouble it is.
    pub reason: Reason,
    /// What to change, in a sentence.
    pub fact: String,
}

/// Resolves a pool under the installation's settings. `contents`: what its template takes from Secrets and ConfigMaps.
///
/// # Errors
/// If the spec cannot be used. A pool that is being deleted is never refused: what is taken away needs no valid template.
pub fn resolve(
    pool: &SpotPool,
    contents: Contents,
    settings: &Settings,
) -> Result<Resolved, Unusable> {
    let intent = intent(pool);
    if matches!(intent, Intent::Keep | Intent::Watch) && !is_deleting(pool) {
        usable(pool)?;
    }
    let shape = shape(pool, contents);
    let capacity = pool.spec.capacity;
    let (spot, regular) = (
        capacity.spot.max(0).unsigned_abs(),
        capacity.regular.max(0).unsigned_abs(),
    );
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    let owner = Owner(format!(
        "{}/{namespace}/{name}/{}",
        settings.cluster_id,
        pool.uid().unwrap_or_default()
    ));
    let desired = Desired {
        generation: pool.metadata.generation.unwrap_or_default(),
        owner: owner.clone(),
        regular,
        spot,
        vm_sizes: pool
            .spec
            .vm_sizes
            .iter()
            .map(|size| VmSize(size.name.clone()))
            .collect(),
        model: shape.fingerprint(),
        max_price: shape.max_price,
        eviction: match pool.restart_timeout() {
            None => Eviction::Delete,
            Some(timeout) => Eviction::Deallocate {
                restart_timeout: Millis(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)),
            },
        },
        // A count above what is wanted in all (KEDA scaled to zero) would make the pool wait for ever.
        min_available: pool.min_available_count().min(spot.saturating_add(regular)),
        progress_deadline: Millis(
            i64::try_from(pool.progress_deadline().as_millis()).unwrap_or(i64::MAX),
        ),
        confirm_above: settings.confirm_above,
        confirmed: pool.annotations().get(CONFIRM_ANNOTATION) == Some(&confirmation_of(pool)),
        intent,
        pace: settings.pace,
    };
    let place = PoolRef {
        mode: match pool.orchestration_mode() {
            api::OrchestrationMode::Flexible => OrchestrationMode::Flexible,
            api::OrchestrationMode::Uniform => OrchestrationMode::Uniform,
        },
        subscription: pool.spec.subscription_id.clone(),
        resource_group: pool.spec.resource_group.clone(),
        location: pool.spec.location.clone(),
        scale_set: pool.scale_set_name(),
        owner,
        identity: match account(pool) {
            Some(account) => Identity::Account(account),
            None => Identity::Operator,
        },
    };
    Ok(Resolved {
        desired,
        place,
        shape,
    })
}

/// The ServiceAccount as whom Azure is called for this pool, if it names one.
pub fn account(pool: &SpotPool) -> Option<Account> {
    let credentials = pool.spec.credentials.as_ref()?;
    Some(account_of(pool, credentials.service_account_name.clone()))
}

/// A ServiceAccount of the pool's namespace.
pub fn account_of(pool: &SpotPool, name: String) -> Account {
    Account {
        namespace: pool.namespace().unwrap_or_default(),
        name,
    }
}

/// What to do with the scale set as a whole. Leaving it alone is honoured also while suspended; taking it down is not.
fn intent(pool: &SpotPool) -> Intent {
    let deleting = is_deleting(pool);
    match (deleting, pool.spec.deletion_policy, pool.spec.suspend) {
        (true, DeletionPolicy::Orphan, _) => Intent::Orphan,
        (_, _, true) => Intent::Watch,
        (true, DeletionPolicy::Delete, false) => Intent::Remove,
        (false, _, false) => Intent::Keep,
    }
}

/// What no schema rule can say, or what an object stored under an older definition may lack.
fn usable(pool: &SpotPool) -> Result<(), Unusable> {
    let no = |reason, fact| Err(Unusable { reason, fact });
    let refuse = |fact: String| no(Reason::InvalidSpec, fact);
    let spec = &pool.spec;
    if spec.capacity.spot < 0 || spec.capacity.regular < 0 {
        return refuse("capacity.spot and capacity.regular must not be negative".to_owned());
    }
    let total = pool.desired_count();
    if total > MOST_INSTANCES {
        return refuse(format!(
            "capacity.spot + capacity.regular is {total}, but a scale set holds at most {MOST_INSTANCES} instances: lower capacity, or make another SpotPool"
        ));
    }
    if pool.orchestration_mode() == api::OrchestrationMode::Uniform {
        if spec.capacity.regular > 0 {
            return refuse(
                "a Uniform scale set has one priority: set capacity.regular: 0, or use orchestrationMode: Flexible"
                    .to_owned(),
            );
        }
        if spec.vm_sizes.len() > 1 {
            return refuse(
                "a Uniform scale set has exactly one VM size: list one, or use orchestrationMode: Flexible"
                    .to_owned(),
            );
        }
    }
    if spec.vm_sizes.is_empty() {
        return refuse("vmSizes is empty: list at least one VM size".to_owned());
    }
    let image = &spec.template.image;
    let images = [
        image.marketplace.is_some(),
        image.id.is_some(),
        image.community_gallery_image_id.is_some(),
    ];
    if images.iter().filter(|set| **set).count() != 1 {
        return refuse(
            "template.image: set exactly one of marketplace, id and communityGalleryImageID"
                .to_owned(),
        );
    }
    if image.marketplace.is_some() && spec.template.admin.is_none() {
        return refuse(
            "an image from the marketplace needs an administrator: set template.admin".to_owned(),
        );
    }
    let overrides = spec.template.overrides.as_ref();
    if let Some(fact) = overrides.and_then(Overrides::refusal) {
        return no(
            Reason::InvalidOverrides,
            format!("template.overrides: {fact}"),
        );
    }
    Ok(())
}

fn shape(pool: &SpotPool, contents: Contents) -> Shape {
    // A set in the API: its order means nothing, and must not look like another model.
    let mut zones = pool.spec.zones.clone();
    zones.sort();
    Shape {
        zones,
        eviction: match pool.spec.eviction.policy {
            api::EvictionPolicy::Delete => EvictionPolicy::Delete,
            api::EvictionPolicy::Deallocate => EvictionPolicy::Deallocate,
        },
        max_price: pool.max_price_micro_usd().map(MicroUsd),
        template: pool.spec.template.clone().in_order(),
        contents,
    }
}

/// What `spotpool.io/confirm` must say to confirm the pool as it is declared now.
pub fn confirmation_of(pool: &SpotPool) -> String {
    format!(
        "{}/{}",
        pool.uid().unwrap_or_default(),
        pool.metadata.generation.unwrap_or_default()
    )
}

/// Whether the object carries this finalizer.
pub fn has_finalizer(pool: &SpotPool, finalizer: &str) -> bool {
    pool.finalizers().iter().any(|one| one == finalizer)
}

/// Whether somebody has asked for the object to go.
pub fn is_deleting(pool: &SpotPool) -> bool {
    pool.metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::{deleting, pool, settings};
    use serde_json::json;

    fn resolved(spec: serde_json::Value) -> Result<Resolved, Unusable> {
        resolve(&pool(spec), Contents::default(), &settings())
    }

    #[test]
    fn fills_in_everything_the_planner_needs() {
        let resolved =
            resolved(json!({"capacity": {"spot": 18, "regular": 2}, "minAvailable": "50%"}))
                .unwrap();
        let desired = &resolved.desired;
        assert_eq!(
            (desired.spot, desired.regular, desired.min_available),
            (18, 2, 10)
        );
        assert_eq!(desired.owner, Owner::from("cluster/batch/render/uid-1"));
        assert_eq!(desired.progress_deadline, Millis::minutes(15));
        assert_eq!(desired.intent, Intent::Keep);
        assert_eq!(desired.model, resolved.shape.fingerprint());
        assert_eq!(resolved.place.scale_set, "render");
        assert_eq!(resolved.place.owner, desired.owner);
    }

    #[test]
    fn never_needs_more_than_is_wanted_in_all() {
        let resolved = resolved(json!({"capacity": {"spot": 0}, "minAvailable": 5})).unwrap();
        assert_eq!(resolved.desired.min_available, 0);
    }

    #[test]
    fn knows_what_to_do_with_the_set_as_a_whole() {
        for (spec, gone, wanted) in [
            (json!({}), false, Intent::Keep),
            (json!({"suspend": true}), false, Intent::Watch),
            (json!({}), true, Intent::Remove),
            (json!({"suspend": true}), true, Intent::Watch),
            (json!({"deletionPolicy": "Orphan"}), true, Intent::Orphan),
            (
                json!({"deletionPolicy": "Orphan", "suspend": true}),
                true,
                Intent::Orphan,
            ),
            (json!({"deletionPolicy": "Orphan"}), false, Intent::Keep),
        ] {
            let pool = if gone {
                deleting(spec.clone())
            } else {
                pool(spec.clone())
            };
            let resolved = resolve(&pool, Contents::default(), &settings()).unwrap();
            assert_eq!(resolved.desired.intent, wanted, "{spec}, deleting: {gone}");
        }
    }

    #[test]
    fn says_what_to_change_when_more_is_asked_than_a_scale_set_holds() {
        let error = resolved(json!({"capacity": {"spot": 900, "regular": 101}})).unwrap_err();
        assert!(
            error
                .fact
                .contains("is 1001, but a scale set holds at most 1000"),
            "{error}"
        );
    }

    #[test]
    fn says_what_must_not_be_overridden() {
        let with = |overrides: serde_json::Value| {
            let mut template = serde_json::to_value(pool(json!({})).spec.template).unwrap();
            template["overrides"] = overrides;
            resolved(json!({ "template": template }))
        };
        let error = with(json!({"licenseType": null})).unwrap_err();
        assert_eq!(error.reason, Reason::InvalidOverrides);
        assert!(
            error
                .fact
                .starts_with("template.overrides: licenseType is null"),
            "{error}"
        );
        assert!(with(json!({"licenseType": "None"})).is_ok());
    }

    #[test]
    fn a_pool_that_is_being_deleted_needs_no_valid_spec() {
        let pool = deleting(json!({"capacity": {"spot": 900, "regular": 101}}));
        let resolved = resolve(&pool, Contents::default(), &settings()).unwrap();
        assert_eq!(resolved.desired.intent, Intent::Remove);
    }

    #[test]
    fn the_order_of_sets_is_no_change_of_the_model() {
        let one = resolved(json!({"zones": ["1", "2"]}))
            .unwrap()
            .desired
            .model;
        let other = resolved(json!({"zones": ["2", "1"]}))
            .unwrap()
            .desired
            .model;
        assert_eq!(one, other);
        assert_ne!(
            one,
            resolved(json!({"zones": ["1"]})).unwrap().desired.model
        );
        assert_ne!(
            one,
            resolved(json!({"zones": ["1", "2"], "maxPrice": "0.05"}))
                .unwrap()
                .desired
                .model
        );
    }
}
