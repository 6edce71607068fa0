//! L1: every interleaving of looks, lies, writes that get lost, a crash, an eviction and an edit, in small worlds.
//! Each step is judged by the laws; from every state a run without faults must converge and fall silent.

use spotpool_core::laws::{Broken, Law};
use spotpool_core::planner::{Eviction, plan};
use spotpool_core::twin::{Fate, Lie, Planner, Twin, small_pool};
use spotpool_core::units::Millis;
use spotpool_core::world::{CapacityFalls, CapacityWrite, Options, Region};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Debug)]
enum Step {
    Look(Lie),
    Act(Fate),
    Tick,
    Evict(usize),
    Edit(u32, u32),
    Crash { status_survives: bool },
}

#[derive(Clone)]
struct State {
    twin: Twin,
    left: Left,
}

/// How much may still go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Left {
    faults: u8,
    crashes: u8,
    evictions: u8,
    edits: u8,
}

const LIES: [Lie; 7] = [
    Lie::Blind,
    Lie::NoInstances,
    Lie::Old,
    Lie::OldInstances,
    Lie::OldSet,
    Lie::CapacityZero,
    Lie::CapacityLow,
];

fn steps(state: &State) -> Vec<Step> {
    let (twin, left) = (&state.twin, state.left);
    let mut steps = Vec::new();
    if twin.pending.is_some() {
        steps.push(Step::Act(Fate::Arrives));
        if left.faults > 0 {
            steps.extend([Fate::LostBefore, Fate::LostAfter, Fate::Throttled].map(Step::Act));
        }
    } else if twin.region.now() >= twin.next_look {
        steps.push(Step::Look(Lie::Truth));
        if left.faults > 0 {
            steps.extend(
                LIES.into_iter()
                    .filter(|lie| twin.can_lie(*lie))
                    .map(Step::Look),
            );
        }
    } else {
        steps.push(Step::Tick);
    }
    if left.evictions > 0 {
        steps.extend([Step::Evict(0)]);
    }
    if left.edits > 0 {
        steps.extend([Step::Edit(1, 1), Step::Edit(2, 1), Step::Edit(0, 2)]);
    }
    if left.crashes > 0 {
        steps.extend([
            Step::Crash {
                status_survives: true,
            },
            Step::Crash {
                status_survives: false,
            },
        ]);
    }
    steps
}

fn take(state: &State, step: &Step, planner: Planner<'_>) -> (Option<State>, Option<Broken>) {
    let mut next = state.clone();
    let mut broken = None;
    match step {
        Step::Look(lie) => {
            next.left.faults -= u8::from(*lie != Lie::Truth);
            next.twin.look(planner, *lie);
        }
        Step::Act(fate) => {
            next.left.faults -= u8::from(*fate != Fate::Arrives);
            broken = next.twin.act(*fate);
        }
        Step::Tick => {
            let next_event = next.twin.region.next_event().unwrap_or(u64::MAX);
            next.twin.pass(next.twin.next_look.min(next_event));
        }
        Step::Evict(nth) => {
            next.left.evictions -= 1;
            if !next.twin.evict(*nth) {
                return (None, None);
            }
        }
        Step::Edit(regular, spot) => {
            next.left.edits -= 1;
            next.twin.edit(*regular, *spot);
        }
        Step::Crash { status_survives } => {
            next.left.crashes -= 1;
            next.twin.crash(*status_survives);
        }
    }
    (Some(next), broken)
}

struct Found {
    states: usize,
    broken: Option<(Broken, Vec<Step>)>,
}

/// A visited state: how it was reached, and where it goes if nothing goes wrong.
struct Node {
    from: Option<(usize, Step)>,
    next: usize,
    wrote: bool,
    as_declared: bool,
}

/// Breadth first, so that the first counterexample is a shortest one.
fn search(start: State, planner: Planner<'_>) -> Found {
    let mut index: BTreeMap<(u64, Left), usize> =
        BTreeMap::from([((start.twin.key(), start.left), 0)]);
    let mut nodes = vec![Node {
        from: None,
        next: 0,
        wrote: false,
        as_declared: false,
    }];
    let mut queue: VecDeque<(State, usize)> = VecDeque::from([(start, 0)]);
    while let Some((state, at)) = queue.pop_front() {
        nodes[at].as_declared = state.twin.is_as_declared();
        for (nth, step) in steps(&state).into_iter().enumerate() {
            let (next, broken) = take(&state, &step, planner);
            if let Some(broken) = broken {
                return Found {
                    states: nodes.len(),
                    broken: Some((broken, path(&nodes, at, Some(step)))),
                };
            }
            let Some(next) = next else { continue };
            let wrote = next.twin.writes > state.twin.writes;
            let to = *index
                .entry((next.twin.key(), next.left))
                .or_insert_with(|| {
                    nodes.push(Node {
                        from: Some((at, step.clone())),
                        next: 0,
                        wrote: false,
                        as_declared: false,
                    });
                    queue.push_back((next, nodes.len() - 1));
                    nodes.len() - 1
                });
            // The first step of a state is the one in which nothing goes wrong.
            if nth == 0 {
                (nodes[at].next, nodes[at].wrote) = (to, wrote);
            }
        }
    }
    Found {
        states: nodes.len(),
        broken: unhealed(&nodes).map(|(broken, at)| (broken, path(&nodes, at, None))),
    }
}

/// From every state, following the steps in which nothing goes wrong, one must come to a round in which everything is as
/// declared and nothing is written.
fn unhealed(nodes: &[Node]) -> Option<(Broken, usize)> {
    let mut heals = vec![false; nodes.len()];
    for origin in 0..nodes.len() {
        let (mut trail, mut at) = (Vec::new(), origin);
        let mut on_trail = BTreeSet::new();
        while !heals[at] && on_trail.insert(at) {
            trail.push(at);
            at = nodes[at].next;
        }
        if !heals[at] {
            let round: Vec<usize> =
                trail[trail.iter().position(|node| *node == at).unwrap_or(0)..].to_vec();
            let law = if !round.iter().all(|node| nodes[*node].as_declared) {
                Some(Law::Converges)
            } else if round.iter().any(|node| nodes[*node].wrote) {
                Some(Law::Quiet)
            } else {
                None
            };
            if let Some(law) = law {
                return Some((
                    Broken {
                        law,
                        fact: format!("goes round in {} steps for ever", round.len()),
                    },
                    origin,
                ));
            }
        }
        trail.into_iter().for_each(|node| heals[node] = true);
    }
    None
}

fn path(nodes: &[Node], mut at: usize, last: Option<Step>) -> Vec<Step> {
    let mut steps: Vec<Step> = last.into_iter().collect();
    while let Some((from, step)) = &nodes[at].from {
        steps.push(step.clone());
        at = *from;
    }
    steps.reverse();
    steps
}

fn start(options: Options, eviction: Eviction, left: Left) -> State {
    let mut desired = small_pool(1, 2);
    desired.eviction = eviction;
    // Coarser steps than in production, so that time does not multiply the states; the relation to the lag is the same.
    desired.pace.motion = Millis::seconds(20);
    desired.pace.rest = Millis::seconds(60);
    State {
        twin: Twin::new(Region::new(1, options), desired),
        left,
    }
}

const DEALLOCATE: Eviction = Eviction::Deallocate {
    restart_timeout: Millis::minutes(2),
};

/// Every reading of Azure's documents, and both eviction policies.
fn worlds() -> Vec<(String, Options, Eviction)> {
    let mut worlds = Vec::new();
    for capacity_write in [CapacityWrite::Delta, CapacityWrite::Level] {
        for falls in [
            CapacityFalls::AtOnce,
            CapacityFalls::Late(vec![40_000]),
            CapacityFalls::Never,
        ] {
            for eviction_moves_etag in [true, false] {
                let name = format!(
                    "{capacity_write:?}, capacity falls {falls:?}, eviction moves the ETag: {eviction_moves_etag}"
                );
                let options = Options {
                    capacity_write,
                    capacity_after_eviction: falls.clone(),
                    capacity_after_delete: falls.clone(),
                    eviction_moves_etag,
                    ..Options::small()
                };
                // A deallocated instance stays: how the capacity falls after it, and what that does to the ETag, does not matter.
                if falls != CapacityFalls::AtOnce && eviction_moves_etag {
                    let name = format!("evicted instances are deallocated, {name}");
                    worlds.push((name, options.clone(), DEALLOCATE));
                }
                worlds.push((name, options, Eviction::Delete));
            }
        }
    }
    worlds
}

#[test]
fn every_state_of_a_small_world_keeps_the_laws_and_converges() {
    let left = Left {
        faults: 1,
        crashes: 1,
        evictions: 1,
        edits: 1,
    };
    let worlds = worlds();
    let started = std::time::Instant::now();
    // Worlds are independent: two threads share them.
    let found: Vec<(String, Found)> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let share: Vec<_> = worlds.iter().skip(half).step_by(2).cloned().collect();
                scope.spawn(move || {
                    share
                        .into_iter()
                        .map(|(name, options, eviction)| {
                            (name, search(start(options, eviction, left), &plan))
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        halves
            .into_iter()
            .flat_map(|half| half.join().expect("a search does not panic"))
            .collect()
    });
    let mut states = 0;
    for (name, found) in found {
        states += found.states;
        println!("{:>8} states: {name}", found.states);
        if let Some((broken, steps)) = found.broken {
            panic!("in the world “{name}” a law broke.\n  {broken}\n  after {steps:?}");
        }
    }
    println!(
        "{states} states in {} worlds: all laws hold in each, each converges and falls silent ({left:?}, {:.1} s)",
        worlds.len(),
        started.elapsed().as_secs_f64()
    );
}
