//! Evicted instances that stayed: under the eviction policy Deallocate they keep their disks, so they are started again for a while before they are replaced.
//!
//! ARM does not say whether an instance was evicted or stopped by somebody (azure.md §0.2): both are started. Nothing starts them
//! but us; a scale-out makes new ones beside them (azure.md §1.6).

use super::action::{Action, Because, Reason};
use super::desired::{Desired, Eviction};
use super::memory::{Down, Memory};
use super::observed::{Instance, Phase};
use super::picture::{Picture, wanted};
use super::refusal::RefusalKind;
use super::summary::Stage;
use super::{Step, act, wait};
use crate::units::{InstanceName, Millis, Priority, Timestamp};

/// Each instance of a Flexible set is started by a call of its own: no turn makes more of them (Compute allows 500 a minute, azure.md §5).
const MOST_AT_ONCE: usize = 20;
/// First and longest wait before the same instance is started again. It doubles in between.
const AGAIN: (Millis, Millis) = (Millis::seconds(30), Millis::minutes(5));

/// Keeps the account of who is down and since when: until it is seen to run, not only to boot, for a boot can end in the next
/// eviction. It dies with the process: a new one waits anew, and takes nothing early.
pub(super) fn follow(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &mut Memory,
    now: Timestamp,
) {
    let down = &mut memory.process.down;
    let phase = |name: &InstanceName| {
        let found = picture.instances.iter().find(|one| &one.name == name);
        found.map(|one| one.phase)
    };
    down.retain(|name, _| !matches!(phase(name), None | Some(Phase::Running)));
    if desired.eviction == Eviction::Delete {
        down.clear();
        return;
    }
    for one in picture.instances.iter().filter(|one| is_down(one)) {
        down.entry(one.name.clone()).or_insert(Down {
            since: now,
            tries: 0,
            next: now,
        });
    }
}

/// Starts what is down, wanted, and due.
pub(super) fn start(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &Memory,
    now: Timestamp,
) -> Option<Step> {
    let due = |one: &Instance| {
        let down = memory.process.down.get(&one.name);
        down.is_some_and(|down| down.next <= now) && !closed(memory, one, now)
    };
    let all = candidates(desired, picture, memory, now);
    let vm_size = &all.iter().find(|one| due(one))?.vm_size;
    let instances: Vec<InstanceName> = all
        .iter()
        .filter(|one| due(one))
        .filter(|one| &one.vm_size == vm_size)
        .take(MOST_AT_ONCE)
        .map(|one| one.name.clone())
        .collect();
    let message = format!(
        "{} instances are deallocated and keep their disks: start {}",
        all.len(),
        super::names(&instances)
    );
    let action = Action::Restart {
        instances,
        vm_size: vm_size.clone(),
    };
    Some(act(
        action,
        Because {
            reason: Reason::RestartRequested,
            message,
        },
    ))
}

/// What to wait for while instances are down that cannot be started right now.
pub(super) fn await_next(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &Memory,
    now: Timestamp,
) -> Option<Step> {
    let all = candidates(desired, picture, memory, now);
    let first = all.first()?;
    let until = |one: &&Instance| {
        let down = memory.process.down.get(&one.name)?;
        let shut = memory
            .kept
            .closed(&one.vm_size)
            .filter(|_| closed(memory, one, now));
        Some(down.next.max(shut.map_or(now, |closed| closed.until)))
    };
    let next = all.iter().filter_map(until).min().unwrap_or(now);
    // Not past the moment at which the first one is given up.
    let ends = all.iter().filter_map(|one| end(desired, memory, one)).min();
    let next = ends
        .map_or(next, |ends| next.min(ends))
        .clamp(now + desired.pace.motion, now + desired.pace.rest);
    let stage = match memory.kept.closed(&first.vm_size) {
        Some(refused) if refused.until > now => Stage::Refused(refused.clone()),
        _ => Stage::Starting,
    };
    Some(wait(stage, next))
}

/// Whether an instance that is down is to be replaced rather than started: its policy is Delete, its time is over, or it would pay
/// more than is declared.
pub(super) fn given_up(desired: &Desired, memory: &Memory, one: &Instance, now: Timestamp) -> bool {
    let Some(end) = end(desired, memory, one) else {
        return desired.eviction == Eviction::Delete;
    };
    let tried = memory
        .process
        .down
        .get(&one.name)
        .is_some_and(|down| down.tries > 0)
        || closed(memory, one, now);
    (end <= now && tried) || too_dear(desired, one)
}

/// A start was asked for.
pub(super) fn tried(instances: &[InstanceName], memory: &mut Memory, now: Timestamp) {
    for name in instances {
        if let Some(down) = memory.process.down.get_mut(name) {
            let wait = AGAIN
                .0
                .0
                .saturating_mul(1 << down.tries.min(10))
                .min(AGAIN.1.0);
            down.tries = down.tries.saturating_add(1);
            down.next = now + Millis(wait);
        }
    }
}

/// Exists, does no work, and could be started.
fn is_down(one: &Instance) -> bool {
    matches!(one.phase, Phase::Deallocated | Phase::Deallocating)
}

/// Those that are deallocated and wanted, the youngest first: no more of a priority than lack in work.
fn candidates<'a>(
    desired: &Desired,
    picture: &Picture<'a>,
    memory: &Memory,
    now: Timestamp,
) -> Vec<&'a Instance> {
    let mut all = Vec::new();
    for priority in [Priority::Regular, Priority::Spot] {
        let lack = wanted(desired, priority).saturating_sub(picture.sound(priority));
        let mut down: Vec<&Instance> = picture
            .instances
            .iter()
            .filter(|one| one.priority == priority && one.phase == Phase::Deallocated)
            .filter(|one| !given_up(desired, memory, one, now))
            .collect();
        down.sort_by(|a, b| (b.created, &a.name).cmp(&(a.created, &b.name)));
        down.truncate(usize::try_from(lack).unwrap_or(usize::MAX));
        all.append(&mut down);
    }
    all
}

/// Until when an instance is tried.
fn end(desired: &Desired, memory: &Memory, one: &Instance) -> Option<Timestamp> {
    match desired.eviction {
        Eviction::Delete => None,
        Eviction::Deallocate { restart_timeout } => memory
            .process
            .down
            .get(&one.name)
            .map(|down| down.since + restart_timeout),
    }
}

/// Whether Azure has declined this size for now. A template that it rejects is no reason not to start what was made before.
fn closed(memory: &Memory, one: &Instance, now: Timestamp) -> bool {
    memory.kept.closed(&one.vm_size).is_some_and(|closed| {
        closed.until > now && closed.refusal.kind != RefusalKind::TemplateRejected
    })
}

fn too_dear(desired: &Desired, one: &Instance) -> bool {
    matches!((one.price_limit, desired.max_price), (Some(own), Some(declared)) if own > declared)
}
