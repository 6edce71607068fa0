//! Birth, rest, change and end of sets and instances; determinism.

use super::*;

#[test]
fn a_put_on_an_existing_set_merges() {
    // [RUN] az and cluster-autoscaler scale by sending location and sku alone.
    let mut region = settled(Options::small(), 2, 1);
    let accepted = region
        .put(RG, "RENDER", &capacity(3), Precondition::None)
        .unwrap();
    assert!(!accepted.created);
    rest(&mut region);
    assert_eq!(
        (set(&region).mix, set(&region).alive()),
        (
            Some(PriorityMix {
                base: 1,
                percent: 0
            }),
            Split {
                regular: 1,
                spot: 2
            }
        )
    );
}

#[test]
fn a_set_that_goes_refuses_updates_and_takes_its_instances_along() {
    let mut region = settled(Options::default(), 2, 0);
    let operation = region
        .delete_set(RG, "render", Precondition::None)
        .unwrap()
        .unwrap();
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Deleting
    );
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "OperationNotAllowed"));
    assert!(refusal.message.contains("since it is marked for deletion"));
    rest(&mut region);
    assert!(region.sets.is_empty());
    assert_eq!(
        region.operation(operation).map(|o| &o.status),
        Some(&Status::Succeeded)
    );
    assert_eq!(
        region.delete_set(RG, "render", Precondition::None),
        Ok(None)
    );
}

#[test]
fn zones_are_balanced_and_a_sold_out_zone_is_left_out() {
    let mut region = region(Options::small());
    region.limit_capacity("Standard_D4s_v5", Some("2"), Priority::Spot, Some(0));
    let zones: BTreeSet<String> = ["1", "2", "3"].map(String::from).into();
    region
        .put(
            RG,
            "render",
            &SetChange {
                zones: Some(zones),
                ..pool(4, 0)
            },
            Precondition::None,
        )
        .unwrap();
    let in_zone = |z: &str| {
        set(&region)
            .instances
            .values()
            .filter(|i| i.zone == z)
            .count()
    };
    assert_eq!([in_zone("1"), in_zone("2"), in_zone("3")], [2, 0, 2]);
}

#[test]
fn a_changed_model_applies_to_new_instances_only() {
    let mut region = settled(Options::small(), 1, 0);
    let change = SetChange {
        vm_size: Some("Standard_D8s_v5".into()),
        max_price: Some(90_000),
        ..capacity(2)
    };
    region
        .put(RG, "render", &change, Precondition::None)
        .unwrap();
    let models: Vec<_> = set(&region)
        .by_age()
        .iter()
        .map(|i| (i.model.revision, i.model.vm_size.clone(), i.model.max_price))
        .collect();
    assert_eq!(
        models,
        [
            (1, "Standard_D4s_v5".into(), None),
            (2, "Standard_D8s_v5".into(), Some(90_000))
        ]
    );
    let refusing = region.options_mut();
    refusing.max_price_can_change = false;
    rest(&mut region);
    let refusal = region
        .patch(
            RG,
            "render",
            &SetChange {
                max_price: Some(-1_000_000),
                ..SetChange::default()
            },
            Precondition::None,
        )
        .unwrap_err();
    assert_eq!(
        refusal.code, "MaxPriceChangeNotAllowed",
        "[ISS azure-cli#11822]"
    );
}

#[test]
fn a_failed_boot_fails_the_operation_and_leaves_a_failed_instance() {
    let mut region = settled(
        Options {
            failing_boots: 1_000,
            ..Options::default()
        },
        1,
        0,
    );
    assert_eq!(set(&region).by_age()[0].provisioning_state(), "Failed");
    assert_eq!(set(&region).provisioning_state(), ProvisioningState::Failed);
    region.options_mut().failing_boots = 0;
    region
        .patch(RG, "render", &SetChange::default(), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Succeeded
    );
}

#[test]
fn the_same_seed_and_requests_make_the_same_world_and_small_steps_the_same_as_large() {
    let mut a = settled(Options::default(), 20, 2);
    let mut b = region(Options::default());
    b.put(RG, "render", &pool(20, 2), Precondition::None)
        .unwrap();
    while b.now() < a.now() {
        b.advance((b.now() + 777).min(a.now()));
    }
    assert_eq!(a, b);
    a.evict_some(RG, "render", 3);
    b.evict_some(RG, "render", 3);
    a.advance(a.now() + 500_000);
    b.advance(b.now() + 500_000);
    assert_eq!(a, b);
    assert_eq!(
        a.history.events().collect::<Vec<_>>(),
        b.history.events().collect::<Vec<_>>()
    );
}

#[test]
fn canonical_forms_forget_when_and_under_which_names() {
    let (mut a, b) = (
        settled(Options::small(), 3, 1),
        settled(Options::small(), 3, 1),
    );
    a.put(RG, "render", &capacity(4), Precondition::None)
        .unwrap();
    rest(&mut a);
    a.put(RG, "render", &capacity(3), Precondition::None)
        .unwrap();
    rest(&mut a);
    assert_ne!(a, b);
    let (canonical, renaming) = a.canonical();
    assert_eq!(canonical, b.canonical().0);
    assert_eq!(canonical, canonical.canonical().0);
    assert_eq!(
        renaming.etag(&SetKey::new(RG, "render"), set(&a).etag),
        canonical.sets.values().next().unwrap().etag
    );
    assert_eq!(renaming.instance("render_ffffffff"), "gone");
}

#[test]
fn a_new_mix_changes_nothing_until_the_capacity_is_written() {
    // [DOC] changes apply to future scale operations only.
    let mut region = settled(Options::small(), 6, 2);
    region
        .patch(
            RG,
            "render",
            &SetChange {
                mix: Some(PriorityMix {
                    base: 0,
                    percent: 0,
                }),
                ..SetChange::default()
            },
            Precondition::None,
        )
        .unwrap();
    rest(&mut region);
    assert_eq!(
        set(&region).alive(),
        Split {
            regular: 2,
            spot: 4
        }
    );
}
