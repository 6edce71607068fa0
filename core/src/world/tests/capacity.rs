//! What becomes of capacity: mixes, evictions, writes.

use super::*;

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
