//! Evictions that do not end: a pool loses one instance after the other for an hour, in each reading of Azure's documents under which
//! the capacity follows them, and is kept near what is wanted all the same.

#![allow(clippy::panic)]

use spotpool_core::planner::{Desired, Eviction, Memory, Observed, Plan, plan};
use spotpool_core::twin::{Fate, Lie, PLACE, Planner, Twin, heals, small_pool};
use spotpool_core::units::{Millis, Timestamp};
use spotpool_core::world::{CapacityFalls, CapacityWrite, Concurrent, Options, Region};

const WANTED: u32 = 20;
/// From one eviction to the next: shorter than it takes until a set has stood still for a settle time.
const APART: u64 = 40_000;
const HOUR: u64 = 60 * 60_000;

fn worlds() -> Vec<Options> {
    let late = |span: &[u64]| CapacityFalls::Late(span.to_vec());
    let mut all = Vec::new();
    for falls in [
        CapacityFalls::AtOnce,
        late(&[2_000, 5_000, 10_000]),
        late(&[0, 15_000, 40_000]),
    ] {
        for write in [CapacityWrite::Delta, CapacityWrite::Level] {
            for updating in [true, false] {
                for concurrent in [Concurrent::Refused, Concurrent::Preempts] {
                    all.push(Options {
                        capacity_after_eviction: falls.clone(),
                        capacity_write: write,
                        eviction_shows_updating: updating,
                        concurrent,
                        history: 0,
                        ..Options::default()
                    });
                }
            }
        }
    }
    all
}

const POLICIES: [Eviction; 2] = [
    Eviction::Delete,
    Eviction::Deallocate {
        restart_timeout: Millis::minutes(10),
    },
];

/// The fewest instances that ran in an hour of this.
fn fewest(options: &Options, policy: Eviction, planner: Planner<'_>) -> u32 {
    let pool = Desired {
        eviction: policy,
        ..small_pool(2, WANTED - 2)
    };
    let mut twin = Twin::new(Region::new(1, options.clone()), pool);
    assert_eq!(heals(&mut twin, planner, HOUR), None, "{options:?}");
    let end = twin.region.now() + HOUR;
    let (mut next, mut victim, mut fewest) = (twin.region.now() + APART, 0, WANTED);
    while twin.region.now() < end {
        twin.pass(twin.next_look.min(next).max(twin.region.now() + 1));
        if twin.region.now() >= next {
            next += APART;
            victim += 7;
            let _ = (0..).take(20).any(|nth| twin.evict((victim + nth) % 18));
        }
        if twin.region.now() >= twin.next_look {
            twin.look(planner, Lie::Truth);
            assert_eq!(twin.act(Fate::Arrives), None, "{options:?}");
        }
        let set = twin.region.set(PLACE.0, PLACE.1);
        fewest = fewest.min(set.map_or(0, |set| set.running().total()));
    }
    assert_eq!(heals(&mut twin, planner, HOUR), None, "{options:?}");
    fewest
}

#[test]
fn a_pool_that_loses_one_instance_after_the_other_does_not_run_dry() {
    for (options, policy) in worlds()
        .iter()
        .flat_map(|options| POLICIES.map(|policy| (options, policy)))
    {
        let fewest = fewest(options, policy, &plan);
        println!(
            "{fewest} of {WANTED}: {policy:?} {:?} {:?} updating {} {:?}",
            options.capacity_after_eviction,
            options.capacity_write,
            options.eviction_shows_updating,
            options.concurrent
        );
        assert!(
            fewest >= WANTED / 2,
            "{fewest} run under {policy:?} in {options:?}"
        );
    }
}

/// What was wrong before: it waits until nothing moves any more.
fn waits_for_quiet(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut patient = memory.clone();
    patient.process.unrest = None;
    plan(desired, observed, &patient, now)
}

#[test]
fn a_planner_that_waits_for_quiet_is_found() {
    for policy in POLICIES {
        let lower = |options: &Options| {
            fewest(options, policy, &waits_for_quiet) < fewest(options, policy, &plan)
        };
        assert!(worlds().iter().any(lower), "{policy:?}");
    }
}
