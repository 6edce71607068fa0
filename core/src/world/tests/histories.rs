//! Random histories in every reading of Azure: whatever is asked in whatever order, the world stays consistent and comes
//! to rest.

use super::*;
use chance::Chance;

fn any<T: Clone>(chance: &mut Chance, of: &[T]) -> T {
    of[chance.below(of.len() as u64) as usize].clone()
}

fn reading(chance: &mut Chance) -> Options {
    let falls = [
        CapacityFalls::AtOnce,
        CapacityFalls::Late(vec![0, 5_000, 60_000]),
        CapacityFalls::Never,
    ];
    Options {
        capacity_after_eviction: any(chance, &falls),
        capacity_after_delete: any(chance, &falls),
        eviction_moves_etag: any(chance, &[true, false]),
        capacity_write: any(chance, &[CapacityWrite::Delta, CapacityWrite::Level]),
        take_first: any(chance, &[TakeFirst::Newest, TakeFirst::Oldest]),
        no_capacity: any(
            chance,
            &[NoCapacity::Synchronous, NoCapacity::InsideOperation],
        ),
        reuses_instance_ids: any(chance, &[true, false]),
        flexible_takes_batches: any(chance, &[true, true, false]),
        concurrent: any(chance, &[Concurrent::Refused, Concurrent::Preempts]),
        operation_waits_for_instances: any(chance, &[true, false]),
        failing_boots: any(chance, &[0, 200]),
        ..any(chance, &[Options::default(), Options::small()])
    }
}

fn step(region: &mut Region, chance: &mut Chance, policy: EvictionPolicy, mode: OrchestrationMode) {
    let n = chance.below(12) as u32;
    let names: Vec<String> = region
        .set(RG, "render")
        .map_or_else(Vec::new, |s| s.instances.keys().cloned().collect());
    let id = |region: &Region, name: &str| set(region).instance_id(name).to_owned();
    match chance.below(12) {
        0 => {
            let mix = pool(n, n.min(2)).mix;
            let change = SetChange {
                mode: Some(mode),
                mix: mix.filter(|_| mode == OrchestrationMode::Flexible),
                eviction_policy: Some(policy),
                ..pool(n, 0)
            };
            drop(region.put(RG, "render", &change, Precondition::None));
        }
        1 => drop(region.patch(RG, "render", &capacity(n), Precondition::None)),
        2 => drop(region.evict_some(RG, "render", n as usize)),
        3 if !names.is_empty() => {
            let id = id(region, &any(chance, &names));
            drop(region.delete_instances(RG, "render", &[&id]))
        }
        4 if !names.is_empty() => drop(region.delete_instance(RG, &any(chance, &names))),
        5 if !names.is_empty() => drop(region.simulate_eviction(RG, &any(chance, &names))),
        6 => region.limit_capacity(
            "Standard_D4s_v5",
            None,
            Priority::Spot,
            any(chance, &[None, Some(0), Some(2)]),
        ),
        8 if !names.is_empty() => {
            let all = [
                InstanceAction::Start,
                InstanceAction::Deallocate,
                InstanceAction::PowerOff,
                InstanceAction::Restart,
                InstanceAction::Reapply,
                InstanceAction::ManualUpgrade,
            ];
            drop(region.act_on_instance(RG, &any(chance, &names), any(chance, &all)));
        }
        9 if n < 3 => drop(region.deallocate_instances(RG, "render", &[])),
        9 => drop(region.start_instances(RG, "render", &[])),
        10 if !names.is_empty() => {
            let id = id(region, &any(chance, &names));
            drop(region.start_instances(RG, "render", &[&id]));
        }
        7 if n == 0 => drop(region.delete_set(RG, "render", Precondition::None)),
        _ => region.advance(region.now() + chance.below(90_000)),
    }
}

fn consistent(region: &Region, seed: u64) {
    assert!(
        region.next_event().is_none_or(|at| at > region.now()),
        "seed {seed}"
    );
    let holding = region
        .operations
        .values()
        .filter(|o| o.running() && o.kind.of_set());
    assert!(
        holding.count() <= region.sets.len(),
        "seed {seed}: one write at a time"
    );
    for set in region.sets.values() {
        let one_priority = set.alive().regular == 0 || set.alive().spot == 0;
        assert!(
            set.mode == OrchestrationMode::Flexible || one_priority,
            "seed {seed}: two priorities in a Uniform set"
        );
    }
    for instance in region.sets.values().flat_map(|s| s.instances.values()) {
        let evicted = matches!(
            instance.phase,
            Phase::Noticed { .. } | Phase::Deleting { evicted: true, .. }
        );
        assert!(
            !evicted || instance.priority == Priority::Spot,
            "seed {seed}: a regular instance was evicted"
        );
    }
    let canonical = region.canonical().0;
    assert_eq!(canonical, canonical.canonical().0, "seed {seed}");
    let ahead = |r: &Region| r.next_event().map(|at| at - r.now());
    assert_eq!(
        ahead(&canonical),
        ahead(region),
        "seed {seed}: the canonical form lives on alike"
    );
}

#[test]
fn every_history_stays_consistent_and_comes_to_rest() {
    for seed in 0..2_000 {
        let mut chance = Chance::new(seed);
        let mut region = Region::new(seed, reading(&mut chance));
        let policy = any(
            &mut chance,
            &[EvictionPolicy::Delete, EvictionPolicy::Deallocate],
        );
        let mode = any(
            &mut chance,
            &[OrchestrationMode::Flexible, OrchestrationMode::Uniform],
        );
        for _ in 0..60 {
            step(&mut region, &mut chance, policy, mode);
            consistent(&region, seed);
        }
        rest(&mut region);
        consistent(&region, seed);
        assert!(
            region.operations.values().all(|o| !o.running()),
            "seed {seed}: an operation never ends"
        );
        for set in region.sets.values() {
            let state = set.provisioning_state();
            assert!(
                matches!(
                    state,
                    ProvisioningState::Succeeded | ProvisioningState::Failed
                ),
                "seed {seed}: {state:?}"
            );
            assert_eq!(
                set.instances.len() as u32,
                set.alive().total(),
                "seed {seed}: an instance never goes"
            );
        }
    }
}
