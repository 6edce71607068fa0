//! Shortage: how many to ask for, of which size, without knowing whether Azure counts differences or levels.
//!
//! **A** are the instances that exist, **N** is the capacity the set reports, `need = want − A`. After an eviction A falls at
//! once and N at once, later, or never; a write of a capacity makes `target − N` or `target − A` instances. Nobody documents
//! which, so what is written here is right in every combination (planner.md, *Growing*).

use crate::units::{Count, Millis, Priority, Timestamp, VmSize};

use super::action::{Action, Because, Reason};
use super::desired::Desired;
use super::guard::{Guard, Rewrite, Stillness};
use super::memory::{Believed, Memory};
use super::picture::Picture;
use super::refusal::Closed;
use super::summary::Stage;
use super::{Step, act, unrest, wait};

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
    if let Some((_, closed)) =
        memory.process.rejected.as_ref().filter(|_| {
            picture.short(desired, Priority::Spot) > 0 && pays_too_much(desired, picture)
        })
    {
        // Azure did not take the lower price limit (azure.md §2: MaxPriceChangeNotAllowed): nothing is bought above what is declared.
        return Some(wait(
            Stage::Refused(closed.clone()),
            now + desired.pace.rest,
        ));
    }
    let ask = portion(
        need,
        picture.short(desired, Priority::Regular),
        memory.kept.closed(&vm_size),
    );
    let (low, high) = (alive + ask, capacity + ask);
    let resize = |capacity, message| {
        let action = Action::Resize {
            capacity,
            base: desired.regular,
            vm_size: vm_size.clone(),
            guard: guard.clone(),
        };
        let reason = if memory.process.to_replace > 0 {
            Reason::ReplacementRequested
        } else {
            Reason::ScalingUp
        };
        act(action, Because { reason, message })
    };
    let settled = still.proof(desired.pace.settle).is_some();
    let unrest = !settled && unrest::lasts(desired, picture, memory);
    // What stands still falls no more.
    memory.process.falling = match unrest {
        true => capacity.saturating_sub(alive).min(picture.leaving()),
        false => 0,
    };
    if !settled && !unrest && capacity < alive {
        // The list is the fact; a capacity below it is an old or false reading, and growing from it could shrink the set.
        // If it stays, Azure counts levels: by differences the capacity can never be below what exists.
        return Some(implausible(desired, picture, now));
    }
    if !settled && capacity > alive && !(unrest && low > capacity) {
        // Evicted instances leave the list before they leave the capacity. Written now, the rest of the fall would come on top.
        let message = format!(
            "{need} of {} instances are missing; capacity still reads {capacity}",
            desired.total()
        );
        return Some(wait(
            Stage::Settling { message },
            now + pause(desired, still, memory),
        ));
    }
    if !settled
        && memory
            .process
            .believed
            .is_none_or(|believed| !believed.allows(low, capacity, alive))
    {
        // If the capacity really were as high as it was, writing less would take instances away.
        let message = format!(
            "{need} of {} instances are missing; capacity reads {capacity}, less than it was: waits for a second reading",
            desired.total()
        );
        return Some(wait(
            Stage::Settling { message },
            now + pause(desired, still, memory),
        ));
    }
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
    let proved = picture.set.state == super::Provisioning::Succeeded
        && memory
            .process
            .rewrite
            .as_ref()
            .is_some_and(|rewrite| rewrite.vm_size() == &vm_size);
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
        memory.process.rewrite = Some(Rewrite::under(still, &vm_size, now));
        resize(
            capacity,
            format!(
                "{need} of {} instances are missing and capacity has stayed {capacity}: ask for it again",
                desired.total()
            ),
        )
    })
}

/// Whether the set would pay more for a Spot instance than is declared.
fn pays_too_much(desired: &Desired, picture: &Picture<'_>) -> bool {
    match (picture.set.max_price, desired.max_price) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(set), Some(declared)) => set > declared,
    }
}

/// How many to ask for at once. Azure may refuse a whole request for its last instance, and regular instances together with
/// Spot ones: after a refusal the regular ones are asked for alone, and then half as many each time, so that what is there is got.
pub(super) fn portion(need: Count, short_regular: Count, closed: Option<&Closed>) -> Count {
    match closed.map_or(0, |closed| closed.strikes) {
        0 => need,
        _ if short_regular > 0 => short_regular.min(need),
        strikes => need.checked_shr(strikes).unwrap_or(0).max(1).min(need),
    }
}

/// Looks come less and less often while nothing moves, and one falls on the moment when that is proved.
fn pause(desired: &Desired, still: &Stillness, memory: &Memory) -> Millis {
    if memory.process.rewrite.is_some() {
        // What a second asking brings must not come and go unseen.
        return desired.pace.motion;
    }
    let lasted = still.lasted().0;
    let left = desired.pace.settle.0.saturating_sub(lasted);
    Millis(lasted.min(left).max(desired.pace.motion.0))
}

/// What to believe of the capacity after another reading. It is raised at once and lowered only by proof: Azure has been
/// seen to report a capacity far below the facts, and a write below the true one deletes instances.
pub(super) fn believe(
    desired: &Desired,
    picture: &Picture<'_>,
    still: &Stillness,
    believed: Option<Believed>,
) -> Option<Believed> {
    let (capacity, alive) = (picture.set.capacity, picture.alive());
    if still.proof(desired.pace.settle).is_some() {
        let capacity = capacity.max(alive);
        Some(Believed {
            capacity,
            alive,
            falling: 0,
        })
    } else {
        believed.map(|believed| believed.raised(capacity, alive))
    }
}

/// The refusal that keeps everything from being bought now, if there is one: of those, the one that ends first.
pub fn closed_until(desired: &Desired, memory: &Memory, now: Timestamp) -> Option<Closed> {
    open_size(desired, memory, now).err()
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

/// A reading that cannot be true, or not for long: do nothing, look again.
fn implausible(desired: &Desired, picture: &Picture<'_>, now: Timestamp) -> Step {
    let (alive, capacity): (Count, Count) = (picture.alive(), picture.set.capacity);
    let message = format!(
        "capacity reads {capacity} although {alive} instances exist: nothing is changed until the two agree"
    );
    wait(Stage::Implausible { message }, now + desired.pace.motion)
}
