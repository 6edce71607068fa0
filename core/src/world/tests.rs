//! Each documented or recorded fact of Azure that this world claims to keep, as a sentence.

use super::*;
use std::collections::BTreeSet;

const RG: &str = "batch-rg";

fn region(options: Options) -> Region {
    Region::new(7, options)
}

fn pool(capacity: u32, base: u32) -> SetChange {
    SetChange {
        capacity: Some(capacity),
        vm_size: Some("Standard_D4s_v5".into()),
        mix: Some(PriorityMix { base, percent: 0 }),
        priority: Some(Priority::Spot),
        eviction_policy: Some(EvictionPolicy::Delete),
        ..SetChange::default()
    }
}

fn capacity(n: u32) -> SetChange {
    SetChange {
        capacity: Some(n),
        ..SetChange::default()
    }
}

/// A pool at rest.
fn settled(options: Options, n: u32, base: u32) -> Region {
    let mut region = region(options);
    region
        .put(RG, "render", &pool(n, base), Precondition::None)
        .unwrap();
    rest(&mut region);
    region
}

fn rest(region: &mut Region) {
    while let Some(next) = region.next_event() {
        region.advance(next);
    }
}

fn set(region: &Region) -> &ScaleSet {
    region.set(RG, "render").unwrap()
}

fn spot(region: &Region) -> Vec<String> {
    set(region)
        .by_age()
        .iter()
        .filter(|i| i.priority == Priority::Spot && i.alive())
        .map(|i| i.name.clone())
        .collect()
}

#[test]
fn the_mix_rounds_in_favour_of_spot() {
    // [REC cap 2] 6 with base 2 at 33 % → 3 regular; [DOC spot-priority-mix] the others.
    assert_eq!(
        PriorityMix {
            base: 2,
            percent: 33
        }
        .split(6),
        Split {
            regular: 3,
            spot: 3
        }
    );
    assert_eq!(
        PriorityMix {
            base: 10,
            percent: 25
        }
        .split(20),
        Split {
            regular: 12,
            spot: 8
        }
    );
    assert_eq!(
        PriorityMix {
            base: 10,
            percent: 50
        }
        .split(42),
        Split {
            regular: 26,
            spot: 16
        }
    );
    assert_eq!(
        PriorityMix {
            base: 10,
            percent: 50
        }
        .split(41),
        Split {
            regular: 25,
            spot: 16
        }
    );
    assert_eq!(
        PriorityMix {
            base: 5,
            percent: 0
        }
        .split(4),
        Split {
            regular: 4,
            spot: 0
        }
    );
    assert_eq!(
        PriorityMix {
            base: 0,
            percent: 100
        }
        .split(4),
        Split {
            regular: 4,
            spot: 0
        }
    );
}

#[test]
fn a_created_set_boots_its_mix_and_comes_to_rest() {
    let mut region = region(Options::default());
    let accepted = region
        .put(RG, "render", &pool(20, 2), Precondition::IfNoneMatchAny)
        .unwrap();
    assert!(accepted.created);
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Creating
    );
    rest(&mut region);
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Succeeded
    );
    assert_eq!(
        set(&region).running(),
        Split {
            regular: 2,
            spot: 18
        }
    );
    assert_eq!(
        region.operation(accepted.operation).map(|o| &o.status),
        Some(&Status::Succeeded)
    );
    let name = &spot(&region)[0];
    assert!(
        name.starts_with("render_") && name.len() == "render_".len() + 8,
        "[REC cap 2] {name}"
    );
}

#[test]
fn sixteen_evictions_of_forty_two_leave_a_capacity_of_twenty_six_that_nobody_restores() {
    // [DOC spot-priority-mix scenario 1]
    let mut region = region(Options::default());
    region
        .put(
            RG,
            "render",
            &SetChange {
                mix: Some(PriorityMix {
                    base: 10,
                    percent: 50,
                }),
                ..pool(42, 10)
            },
            Precondition::None,
        )
        .unwrap();
    rest(&mut region);
    assert_eq!(region.evict_some(RG, "render", 16).len(), 16);
    rest(&mut region);
    assert_eq!(
        (set(&region).capacity, set(&region).alive()),
        (
            26,
            Split {
                regular: 26,
                spot: 0
            }
        )
    );
    region.advance(region.now() + 86_400_000);
    assert_eq!(set(&region).capacity, 26);
    // [DOC] the next scale-out fills Spot first: 26 → 30 is four Spot.
    region
        .put(RG, "render", &capacity(30), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert_eq!(
        set(&region).alive(),
        Split {
            regular: 26,
            spot: 4
        }
    );
}

#[test]
fn an_evicted_instance_runs_until_its_notice_ends_and_shows_nothing_of_it() {
    // [REC cap 7, 9]
    let mut region = settled(Options::default(), 3, 0);
    let name = spot(&region)[0].clone();
    region.simulate_eviction(RG, &name).unwrap();
    let found = region.instance(RG, &name).unwrap().1;
    assert_eq!(
        (found.provisioning_state(), found.power_state()),
        ("Succeeded", "running")
    );
    region.advance(region.now() + 29_999);
    assert!(
        region.instance(RG, &name).unwrap().1.alive(),
        "NotBefore is 30 s away or more"
    );
    region.advance(region.now() + 31_000);
    assert_eq!(
        region.instance(RG, &name).unwrap().1.provisioning_state(),
        "Deleting"
    );
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Updating,
        "[ISS autoscaler#4787]"
    );
    rest(&mut region);
    assert!(region.instance(RG, &name).is_none());
    assert_eq!(
        (set(&region).capacity, set(&region).provisioning_state()),
        (2, ProvisioningState::Succeeded)
    );
}

#[test]
fn simulate_eviction_is_refused_on_a_regular_instance() {
    // [REC cap 6]
    let mut region = settled(Options::default(), 3, 3);
    let name = set(&region).by_age()[0].name.clone();
    let refusal = region.simulate_eviction(RG, &name).unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "OperationNotAllowed"));
    assert_eq!(
        refusal.message,
        "Operation 'simulateEviction' is allowed only for Spot Virtual Machines"
    );
    assert!(!region.evict(RG, &name), "nor does Azure take it by itself");
}

#[test]
fn a_deallocated_instance_stays_and_counts() {
    // [DOC spot-priority-mix scenario 2]
    let mut region = region(Options::default());
    region
        .put(
            RG,
            "render",
            &SetChange {
                eviction_policy: None,
                ..pool(3, 0)
            },
            Precondition::None,
        )
        .unwrap();
    rest(&mut region);
    region.evict_some(RG, "render", 1);
    rest(&mut region);
    assert_eq!(
        (
            set(&region).capacity,
            set(&region).alive().spot,
            set(&region).running().spot
        ),
        (3, 3, 2)
    );
    let down = set(&region)
        .by_age()
        .into_iter()
        .find(|i| i.phase == Phase::Deallocated)
        .unwrap();
    assert_eq!(
        (down.provisioning_state(), down.power_state()),
        ("Succeeded", "deallocated")
    );
}

#[test]
fn capacity_follows_an_eviction_at_once_or_late_or_never() {
    for (falls, at_once, later) in [
        (CapacityFalls::AtOnce, 2, 2),
        (CapacityFalls::Late(vec![50_000]), 3, 2),
        (CapacityFalls::Never, 3, 3),
    ] {
        let mut region = settled(
            Options {
                capacity_after_eviction: falls,
                ..Options::small()
            },
            3,
            0,
        );
        let name = spot(&region)[0].clone();
        assert!(region.evict(RG, &name));
        assert_eq!(
            (set(&region).capacity, set(&region).alive().spot),
            (at_once, 2)
        );
        rest(&mut region);
        assert_eq!(set(&region).capacity, later);
    }
}

#[test]
fn an_eviction_moves_the_etag_or_does_not() {
    for moves in [true, false] {
        let mut region = settled(
            Options {
                eviction_moves_etag: moves,
                ..Options::small()
            },
            3,
            0,
        );
        let before = set(&region).etag;
        region.evict_some(RG, "render", 1);
        assert_eq!(set(&region).etag != before, moves);
    }
}

#[test]
fn after_an_eviction_without_a_fall_level_heals_with_the_same_number_and_delta_does_not() {
    for (write, heals) in [(CapacityWrite::Level, 3), (CapacityWrite::Delta, 2)] {
        let options = Options {
            capacity_after_eviction: CapacityFalls::Never,
            capacity_write: write,
            ..Options::small()
        };
        let mut region = settled(options, 3, 0);
        region.evict_some(RG, "render", 1);
        rest(&mut region);
        region
            .put(RG, "render", &capacity(3), Precondition::None)
            .unwrap();
        rest(&mut region);
        assert_eq!(set(&region).alive().spot, heals, "{write:?}");
        region
            .put(RG, "render", &capacity(4), Precondition::None)
            .unwrap();
        rest(&mut region);
        assert_eq!(set(&region).alive().spot, heals + 1, "{write:?}");
    }
}

#[test]
fn a_lowered_capacity_takes_the_difference_in_delta_and_the_surplus_in_level() {
    for (write, left) in [(CapacityWrite::Level, 3), (CapacityWrite::Delta, 1)] {
        let options = Options {
            capacity_after_eviction: CapacityFalls::Never,
            capacity_write: write,
            ..Options::small()
        };
        let mut region = settled(options, 5, 0);
        region.evict_some(RG, "render", 2);
        rest(&mut region);
        region
            .put(RG, "render", &capacity(3), Precondition::None)
            .unwrap();
        rest(&mut region);
        assert_eq!(set(&region).alive().spot, left, "{write:?}");
    }
}

#[test]
fn a_lowered_capacity_takes_spot_down_to_the_base_first_and_the_newest_or_the_oldest() {
    for first in [TakeFirst::Newest, TakeFirst::Oldest] {
        let mut region = settled(
            Options {
                take_first: first,
                ..Options::small()
            },
            6,
            2,
        );
        let before = spot(&region);
        region
            .put(RG, "render", &capacity(4), Precondition::None)
            .unwrap();
        assert_eq!(
            set(&region).alive(),
            Split {
                regular: 2,
                spot: 2
            }
        );
        let kept = if first == TakeFirst::Newest {
            &before[..2]
        } else {
            &before[2..]
        };
        assert_eq!(spot(&region), kept);
    }
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
fn preconditions_hold_or_refuse_with_412() {
    let mut region = settled(Options::small(), 1, 0);
    let etag = set(&region).etag;
    let refusal = region
        .patch(RG, "render", &capacity(2), Precondition::IfMatch(etag + 1))
        .unwrap_err();
    let expected = format!(
        "Etag provided in if-match header \"{}\" does not match etag \"{etag}\" of resource.",
        etag + 1
    );
    assert_eq!(
        (refusal.status, refusal.code, refusal.message),
        (412, "PreconditionFailed", expected),
        "[ISS cloud-provider-azure#9728]"
    );
    assert_eq!(
        region
            .put(RG, "render", &pool(1, 0), Precondition::IfNoneMatchAny)
            .unwrap_err()
            .status,
        412
    );
    assert_eq!(
        region
            .put(RG, "other", &pool(1, 0), Precondition::IfMatch(1))
            .unwrap_err()
            .status,
        412
    );
    assert_eq!(
        region
            .delete_set(RG, "render", Precondition::IfMatch(etag + 1))
            .unwrap_err()
            .status,
        412
    );
    assert!(
        region
            .patch(RG, "render", &capacity(2), Precondition::IfMatch(etag))
            .is_ok()
    );
    assert_ne!(set(&region).etag, etag);
}

#[test]
fn a_second_write_is_refused_or_preempts_the_first() {
    let mut region = settled(Options::small(), 1, 0);
    region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap();
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "Conflict"));

    let mut region = settled(
        Options {
            concurrent: Concurrent::Preempts,
            operations_kept: 1_000_000,
            ..Options::small()
        },
        1,
        0,
    );
    let first = region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap()
        .operation;
    region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert!(
        matches!(&region.operation(first).unwrap().status, Status::Failed(f) if f.code == "OperationPreempted")
    );
    assert_eq!(set(&region).alive().spot, 3);
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
fn deleting_by_name_lowers_the_capacity() {
    // [OSS autoscaler] curSize -= deleteCount
    let mut region = settled(Options::default(), 3, 1);
    let names = spot(&region);
    let operation = region.delete_instances(RG, "render", &[&names[0]]).unwrap();
    assert_eq!(
        (set(&region).capacity, set(&region).provisioning_state()),
        (2, ProvisioningState::Updating)
    );
    rest(&mut region);
    assert_eq!(
        region.operation(operation).map(|o| &o.status),
        Some(&Status::Succeeded)
    );
    assert!(region.delete_instance(RG, &names[1]).unwrap().is_some());
    rest(&mut region);
    assert_eq!(
        (set(&region).capacity, set(&region).alive()),
        (
            1,
            Split {
                regular: 1,
                spot: 0
            }
        )
    );
    assert_eq!(region.delete_instance(RG, &names[1]), Ok(None));
}

#[test]
fn a_name_that_is_not_in_the_set_is_refused_and_nothing_goes() {
    let mut region = settled(Options::default(), 2, 0);
    let names = spot(&region);
    let refusal = region
        .delete_instances(RG, "render", &[&names[0], "render_00000000"])
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (400, "InvalidParameter"));
    assert_eq!(set(&region).alive().spot, 2);
}

#[test]
fn a_size_without_capacity_is_refused_at_once_or_inside_the_operation() {
    let mut region = settled(Options::default(), 2, 0);
    region.limit_capacity("standard_d4s_v5", None, Priority::Spot, Some(0));
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!(
        (refusal.status, refusal.code, refusal.target),
        (409, "SkuNotAvailable", Some("sku.name")),
        "[ISS terraform-provider-azurerm#28549]"
    );
    assert_eq!(set(&region).capacity, 2);

    region.options_mut().no_capacity = NoCapacity::InsideOperation;
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(1));
    let operation = region
        .put(RG, "render", &capacity(5), Precondition::None)
        .unwrap()
        .operation;
    rest(&mut region);
    assert!(
        matches!(&region.operation(operation).unwrap().status, Status::Failed(f) if f.code == "AllocationFailed")
    );
    assert_eq!(
        (set(&region).capacity, set(&region).alive().spot),
        (5, 3),
        "one was made, the goal stays"
    );
    assert_eq!(set(&region).provisioning_state(), ProvisioningState::Failed);
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
fn an_overconstrained_request_names_its_constraints() {
    let options = Options {
        no_capacity: NoCapacity::InsideOperation,
        allocation_error: AllocationError::Overconstrained,
        ..Options::default()
    };
    let mut region = settled(options, 1, 0);
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(0));
    region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap();
    rest(&mut region);
    let failure = set(&region).failure.clone().unwrap();
    assert_eq!(failure.code, "OverconstrainedAllocationRequest");
    assert!(
        failure.message.contains("  - Low Priority VMs\n"),
        "{}",
        failure.message
    );
}

#[test]
fn spot_cores_have_their_own_quota_and_the_refusal_counts_for_us() {
    // [DOC] the text of azure's quota refusals.
    let mut region = region(Options {
        quota_status: 403,
        ..Options::default()
    });
    region.set_quota(SPOT_CORES, 10);
    region
        .put(RG, "render", &pool(2, 0), Precondition::None)
        .unwrap();
    rest(&mut region);
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (403, "OperationNotAllowed"));
    assert_eq!(
        refusal.message,
        "Operation could not be completed as it results in exceeding approved LowPriorityCores quota. Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 10, Current Usage: 8, Additional Required: 4, (Minimum) New Limit Required: 12."
    );
    region.set_quota("standardDSv5Family", 3);
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                mix: Some(PriorityMix {
                    base: 9,
                    percent: 0,
                }),
                ..capacity(3)
            },
            Precondition::None,
        )
        .unwrap_err();
    assert!(
        refusal
            .message
            .contains("approved standardDSv5Family Cores quota"),
        "{}",
        refusal.message
    );
    assert_eq!(
        region.usages().iter().find(|u| u.name == SPOT_CORES),
        Some(&Usage {
            name: SPOT_CORES.into(),
            current: 8,
            limit: 10
        })
    );
}

#[test]
fn a_max_price_below_the_market_refuses_and_a_market_above_it_evicts() {
    let mut region = region(Options::default());
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                max_price: Some(30_000),
                ..pool(2, 0)
            },
            Precondition::None,
        )
        .unwrap_err();
    assert_eq!(refusal.code, "SpotPriceGreaterThanProvidedMaxPrice");
    assert!(
        refusal
            .message
            .contains("max price '0.03 USD' is lower than the current spot price '0.0384 USD'"),
        "{}",
        refusal.message
    );
    region
        .put(
            RG,
            "render",
            &SetChange {
                max_price: Some(50_000),
                ..pool(2, 0)
            },
            Precondition::None,
        )
        .unwrap();
    region
        .put(RG, "other", &pool(2, 0), Precondition::None)
        .unwrap();
    rest(&mut region);
    region.set_price("Standard_D4s_v5", None, Priority::Spot, 60_000);
    rest(&mut region);
    assert_eq!(
        (
            set(&region).capacity,
            region.set(RG, "other").unwrap().capacity
        ),
        (0, 2),
        "-1 is never evicted for its price"
    );
}

#[test]
fn absurd_values_are_refused_in_azures_words() {
    let mut region = region(Options::default());
    let code = |region: &mut Region, change: SetChange| {
        region
            .put(RG, "render", &change, Precondition::None)
            .unwrap_err()
            .code
    };
    for price in [0, -2_000_000, 123_456] {
        assert_eq!(
            code(
                &mut region,
                SetChange {
                    max_price: Some(price),
                    ..pool(1, 0)
                }
            ),
            "MaxPriceValueInvalid"
        );
    }
    assert_eq!(
        code(
            &mut region,
            SetChange {
                vm_size: Some("Standard_Nope".into()),
                ..pool(1, 0)
            }
        ),
        "InvalidParameter"
    );
    assert_eq!(
        code(
            &mut region,
            SetChange {
                vm_size: Some("Standard_B2s".into()),
                ..pool(1, 0)
            }
        ),
        "AzureSpotIsNotSupportedForThisVMSize"
    );
    assert_eq!(code(&mut region, pool(1_001, 0)), "InvalidParameter");
    assert!(region.sets.is_empty());
}

#[test]
fn priority_eviction_policy_and_fewer_zones_are_refused_after_creation() {
    let mut region = settled(Options::small(), 1, 0);
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                priority: Some(Priority::Regular),
                ..SetChange::default()
            },
            Precondition::None,
        )
        .unwrap_err();
    assert!(
        refusal
            .message
            .starts_with("The specified priority value 'Regular' cannot be applied"),
        "[ISS ansible-collections/azure#2000]"
    );
    let policy = SetChange {
        eviction_policy: Some(EvictionPolicy::Deallocate),
        ..SetChange::default()
    };
    assert_eq!(
        region
            .put(RG, "render", &policy, Precondition::None)
            .unwrap_err()
            .code,
        "PropertyChangeNotAllowed"
    );
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
