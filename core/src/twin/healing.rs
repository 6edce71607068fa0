//! A run in which nothing goes wrong: whether it comes to rest as declared, and then stays silent.

use super::{Fate, Lie, Planner, Twin};
use crate::laws::{Broken, Law};

/// Whether the pool comes to be as declared and then stays silent, if from here on nothing goes wrong.
pub fn heals(twin: &mut Twin, planner: Planner<'_>, within: u64) -> Option<Broken> {
    twin.pending = None;
    let end = twin.region.now() + within;
    while !twin.is_as_declared() || twin.region.next_event().is_some() {
        if twin.region.now() >= end {
            return Some(Broken {
                law: Law::Converges,
                fact: format!(
                    "{:?} wanted, {:?} after {} minutes without faults: {:?}",
                    twin.wanted(),
                    twin.kinds(),
                    within / 60_000,
                    twin.shown
                ),
            });
        }
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    let rest = u64::try_from(twin.desired.pace.rest.0 + 3 * twin.desired.pace.settle.0)
        .unwrap_or_default();
    let silence = twin.region.now() + rest;
    // What was declared a moment ago may still have its bookkeeping (base, model) to follow: silence is asked for after that.
    while twin.region.now() < silence {
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    let (writes, end) = (twin.writes, twin.region.now() + 10 * rest);
    while twin.region.now() < end {
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    (twin.writes != writes).then(|| Broken {
        law: Law::Quiet,
        fact: format!("{} writes at rest", twin.writes - writes),
    })
}

/// Time to the next look, the look, and what it decides.
pub(super) fn step(twin: &mut Twin, planner: Planner<'_>) -> Option<Broken> {
    let to = twin.next_look.max(twin.region.now() + 1);
    twin.pass(to);
    twin.look(planner, Lie::Truth);
    twin.act(Fate::Arrives)
}
