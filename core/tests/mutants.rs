//! Bugs planted into the planner, each of which some law must find. A bug that survives means a missing law or a missing lie.
//!
//! They are planted by wrapping `plan`: the planner itself has no switches. The table is kept in `docs/planted-bugs.md`;
//! `SPOTPOOL_BLESS=1 cargo test -p spotpool-core --test mutants` writes it anew.

use spotpool_core::laws::Law;
use spotpool_core::planner::{
    Action, Believed, Blind, Desired, Eviction, Instance, Memory, Observed, Plan, Provisioning,
    plan,
};
use spotpool_core::twin::history::tell;
use spotpool_core::units::{Millis, Priority, Seen, Timestamp, VmSize};
use std::fmt::Write as _;

struct Bug {
    what: &'static str,
    planner: fn(&Desired, &Observed, &Memory, Timestamp) -> Plan,
    /// The law that is expected to find it.
    law: Law,
}

const BUGS: &[Bug] = &[
    Bug {
        what: "a set that could not be read counts as absent",
        planner: unknown_set_is_absent,
        law: Law::UnknownIsNotAbsent,
    },
    Bug {
        what: "instances that could not be read count as none",
        planner: unknown_instances_are_none,
        law: Law::UnknownIsNotAbsent,
    },
    Bug {
        what: "a running operation is ignored",
        planner: ignores_operations,
        law: Law::OneAtATime,
    },
    Bug {
        what: "one reading is proof enough",
        planner: one_reading_is_proof,
        law: Law::Proof,
    },
    Bug {
        what: "asks for one more than is missing",
        planner: asks_for_one_more,
        law: Law::Ceiling,
    },
    Bug {
        what: "deletes a regular instance along with the surplus",
        planner: takes_a_regular_too,
        law: Law::NothingWantedIsTaken,
    },
    Bug {
        what: "believes a low capacity at once",
        planner: believes_a_low_capacity,
        law: Law::NothingWantedIsTaken,
    },
    Bug {
        what: "believes capacity, not the list of instances",
        planner: believes_capacity_alone,
        law: Law::Converges,
    },
    Bug {
        what: "takes any scale set of that name for its own",
        planner: everything_is_ours,
        law: Law::OursOnly,
    },
    Bug {
        what: "buys a size that is not declared",
        planner: buys_another_size,
        law: Law::Price,
    },
    Bug {
        what: "replaces a deallocated instance instead of starting it",
        planner: never_starts_again,
        law: Law::Patience,
    },
    Bug {
        what: "waits for a deallocated instance to start by itself",
        planner: waits_for_a_miracle,
        law: Law::Converges,
    },
    Bug {
        what: "a refusal lasts for ever",
        planner: never_asks_again,
        law: Law::Converges,
    },
    Bug {
        what: "forgets all proofs at each turn",
        planner: forgets_proofs,
        law: Law::Converges,
    },
    Bug {
        what: "writes the model anew at every look",
        planner: always_reshapes,
        law: Law::Quiet,
    },
];

const SEEDS: u64 = 3_000;

#[test]
fn every_planted_bug_is_found_and_its_law_is_the_one_named() {
    let mut table = String::from(
        "<!-- Written by core/tests/mutants.rs: SPOTPOOL_BLESS=1 cargo test -p spotpool-core --test mutants -->\n# Planted bugs\n\nEach law must find at least one bug that was planted on purpose; a bug that survives would mean a missing law, or a lie that the\nsimulated Azure does not tell yet. The bugs wrap the planner in `core/tests/mutants.rs`; the histories are those of `core/tests/histories.rs`.\n\n| planted bug | found by the law | first history that finds it |\n| --- | --- | --- |\n",
    );
    let mut survivors = Vec::new();
    for bug in BUGS {
        // Another law may break first in a history: the bug is found when its own law breaks in some history.
        let found = (0..SEEDS).find(|seed| {
            tell(*seed, &bug.planner)
                .broken
                .is_some_and(|broken| broken.law == bug.law)
        });
        match found {
            Some(seed) => writeln!(table, "| {} | {} | no. {seed} |", bug.what, bug.law)
                .expect("writing to a string"),
            None => survivors.push(bug.what),
        }
    }
    assert!(
        survivors.is_empty(),
        "not found in {SEEDS} histories: {survivors:#?}"
    );
    let killed: Vec<Law> = Law::ALL
        .into_iter()
        .filter(|law| !BUGS.iter().any(|bug| bug.law == *law))
        .collect();
    assert!(
        killed.is_empty(),
        "laws without a bug that they kill: {killed:?}"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/planted-bugs.md");
    if std::env::var_os("SPOTPOOL_BLESS").is_some() {
        std::fs::write(path, &table).expect("docs/planted-bugs.md can be written");
    }
    println!("{table}");
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        table,
        "docs/planted-bugs.md is old: SPOTPOOL_BLESS=1 cargo test -p spotpool-core --test mutants"
    );
}

#[test]
fn the_planner_without_a_bug_survives_the_same_histories() {
    let broken: Vec<_> = (0..SEEDS / 10)
        .filter_map(|seed| tell(seed, &plan).broken.map(|broken| (seed, broken)))
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}

fn unknown_set_is_absent(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let set = match &observed.set {
        Seen::Unknown(_) => Seen::Known {
            value: None,
            at: now,
        },
        known => known.clone(),
    };
    plan(
        desired,
        &Observed {
            set,
            ..observed.clone()
        },
        memory,
        now,
    )
}

fn unknown_instances_are_none(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let instances: Seen<Vec<Instance>, Blind> = match &observed.instances {
        Seen::Unknown(_) => Seen::Known {
            value: Vec::new(),
            at: now,
        },
        known => known.clone(),
    };
    plan(
        desired,
        &Observed {
            instances,
            ..observed.clone()
        },
        memory,
        now,
    )
}

fn ignores_operations(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut observed = observed.clone();
    if let Seen::Known {
        value: Some(set), ..
    } = &mut observed.set
    {
        set.state = Provisioning::Succeeded;
    }
    plan(desired, &observed, memory, now)
}

fn one_reading_is_proof(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut hasty = desired.clone();
    hasty.pace.settle = Millis(1);
    plan(&hasty, observed, memory, now)
}

fn asks_for_one_more(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut made = plan(desired, observed, memory, now);
    if let Some((Action::Resize { capacity, .. }, _)) = &mut made.action {
        *capacity += 1;
    }
    made
}

fn takes_a_regular_too(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut made = plan(desired, observed, memory, now);
    if let (Some((Action::Replace { instances, .. }, _)), Seen::Known { value, .. }) =
        (&mut made.action, &observed.instances)
    {
        instances.extend(
            value
                .iter()
                .filter(|one| one.priority == Priority::Regular)
                .take(1)
                .map(|one| one.name.clone()),
        );
        instances.dedup();
    }
    made
}

fn believes_a_low_capacity(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut credulous = memory.clone();
    credulous.process.believed = Some(Believed {
        capacity: 0,
        alive: 0,
        falling: 0,
    });
    plan(desired, observed, &credulous, now)
}

fn believes_capacity_alone(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut made = plan(desired, observed, memory, now);
    if let Seen::Known {
        value: Some(set), ..
    } = &observed.set
        && set.capacity >= desired.total()
    {
        made.action = None;
    }
    made
}

fn everything_is_ours(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut observed = observed.clone();
    if let Seen::Known {
        value: Some(set), ..
    } = &mut observed.set
    {
        set.owner = Some(desired.owner.clone());
    }
    plan(desired, &observed, memory, now)
}

fn buys_another_size(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let desired = Desired {
        vm_sizes: vec![VmSize::from("Standard_E8s_v5")],
        ..desired.clone()
    };
    plan(&desired, observed, memory, now)
}

fn never_starts_again(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let hasty = Desired {
        eviction: Eviction::Delete,
        ..desired.clone()
    };
    plan(&hasty, observed, memory, now)
}

fn waits_for_a_miracle(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut made = plan(desired, observed, memory, now);
    if matches!(made.action, Some((Action::Restart { .. }, _))) {
        made.action = None;
    }
    made
}

fn never_asks_again(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut stubborn = memory.clone();
    for closed in &mut stubborn.kept.closed {
        closed.until = Timestamp(i64::MAX / 2);
    }
    plan(desired, observed, &stubborn, now)
}

fn forgets_proofs(desired: &Desired, observed: &Observed, memory: &Memory, now: Timestamp) -> Plan {
    let mut forgetful = memory.clone();
    forgetful.process.still = None;
    plan(desired, observed, &forgetful, now)
}

fn always_reshapes(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut observed = observed.clone();
    if let Seen::Known {
        value: Some(set), ..
    } = &mut observed.set
    {
        set.model = None;
    }
    plan(desired, &observed, memory, now)
}
