//! Shortage: how many to ask for, of which size, without knowing whether Azure counts differences or levels.
//!
//! **A** are the instances that exist, **N** is the capacity the set reports, `need = want − A`. After an eviction A falls at
//! once and N at once, later, or never; a write of a capacity makes `target − N` or `target − A` instances. Nobody documents
//! which, so what is written here is right in every combination (planner.md, *Growing*).

use crate::units::{Count, Timestamp, VmSize};

use super::action::{Action, Because, Reason};
use super::desired::Desired;
use super::guard::{Guard, Rewrite, Stillness};
use super::memory::Memory;
use super::picture::Picture;
use super::refusal::Closed;
use super::summary::Stage;
use super::{Step, act, wait};

/// What to do about missing instances; `None` when none are missing.
pub(super) fn grow(
    desired: &Desired,
    picture: &Picture<'_>,
    guard: &Guard,
    still: &Stillness,
    memory: &mut Memory,
    now: Timestamp,
) -> Option<Step> {
    let (alive, capacity) = (picture.alive(), picture.set.capacity);
    let need = desired
        .total()
        .checked_sub(alive)
        .filter(|need| *need > 0)?;
    let vm_size = match open_size(desired, memory, now) {
        Ok(vm_size) => vm_size,
        Err(closed) => {
            let until = closed.until;
            return Some(wait(Stage::Refused(closed), until));
        }
    };
    if capacity < alive {
        // The list is the fact; a capacity below it is an old or false reading, and growing from it could shrink the set.
        return Some(implausible(desired, picture, memory, now));
    }
    let (low, high) = (alive + need, capacity + need);
    let resize = |capacity, message| {
        let action = Action::Resize {
            capacity,
            base: desired.regular,
            vm_size: vm_size.clone(),
            guard: guard.clone(),
            proof: None,
        };
        let reason = if memory.process.to_replace > 0 {
            Reason::ReplacementRequested
        } else {
            Reason::ScalingUp
        };
        act(action, Because { reason, message })
    };
    if low > capacity {
        memory.process.rewrite = None;
        return Some(resize(
            low,
            format!(
                "{alive} of {} instances exist, capacity reads {capacity}: set to {low}",
                desired.total()
            ),
        ));
    }
    // Capacity has not fallen, although instances are gone. It may be late: wait until everything has stood still.
    if still.proof(desired.pace.settle).is_none() {
        let lasted = still.lasted();
        let pause = lasted.0.clamp(
            desired.pace.motion.0,
            desired
                .pace
                .settle
                .0
                .saturating_sub(lasted.0)
                .max(desired.pace.motion.0),
        );
        let message = format!(
            "{need} of {} instances are missing; capacity still reads {capacity}",
            desired.total()
        );
        return Some(wait(
            Stage::Settling { message },
            now + crate::units::Millis(pause),
        ));
    }
    let proved = picture.set.state == super::Provisioning::Succeeded
        && memory
            .process
            .rewrite
            .as_ref()
            .is_some_and(|rewrite| rewrite.changed_nothing(still, &vm_size));
    Some(if proved {
        memory.process.rewrite = None;
        resize(
            high,
            format!(
                "{need} of {} instances are missing and asking for {capacity} again made none: set to {high}",
                desired.total()
            ),
        )
    } else {
        memory.process.rewrite = Some(Rewrite::under(still, &vm_size));
        resize(
            capacity,
            format!(
                "{need} of {} instances are missing and capacity has stayed {capacity}: ask for it again",
                desired.total()
            ),
        )
    })
}

/// The best size that may be asked for now, or the refusal that ends first.
pub(super) fn open_size(
    desired: &Desired,
    memory: &Memory,
    now: Timestamp,
) -> Result<VmSize, Closed> {
    let shut = |closed: &&Closed| closed.until > now;
    let general = memory
        .kept
        .closed
        .iter()
        .filter(shut)
        .filter(|closed| !closed.refusal.kind.is_about_the_size())
        .max_by_key(|closed| closed.until);
    if let Some(closed) = general {
        return Err(closed.clone());
    }
    let mut earliest: Option<&Closed> = None;
    for vm_size in &desired.vm_sizes {
        match memory.kept.closed(vm_size).filter(shut) {
            None => return Ok(vm_size.clone()),
            Some(closed) if earliest.is_none_or(|first| closed.until < first.until) => {
                earliest = Some(closed)
            }
            Some(_) => {}
        }
    }
    // `vm_sizes` is never empty; if it were, nothing could be bought.
    earliest.cloned().map_or_else(|| Ok(VmSize::default()), Err)
}

/// A reading that cannot be true, or not for long: report it once, do nothing, look again.
pub(super) fn implausible(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &mut Memory,
    now: Timestamp,
) -> Step {
    let (alive, capacity): (Count, Count) = (picture.alive(), picture.set.capacity);
    memory.process.implausible = true;
    let message = format!(
        "capacity reads {capacity} although {alive} instances exist: nothing is changed until the two agree"
    );
    wait(Stage::Implausible { message }, now + desired.pace.motion)
}
