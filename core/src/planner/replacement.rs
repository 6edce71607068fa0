//! Surplus and broken instances: whom to take away, and only with proof.

use crate::units::{InstanceName, Priority, Timestamp};

use super::action::{Action, Because, Reason};
use super::desired::Desired;
use super::guard::{Guard, Stillness};
use super::memory::Memory;
use super::observed::{Instance, Phase};
use super::picture::Picture;
use super::summary::Stage;
use super::{Step, act, wait};

/// What to do about instances that are too many or cannot work; `None` when there are none.
pub(super) fn shrink(
    desired: &Desired,
    picture: &Picture<'_>,
    guard: &Guard,
    still: &Stillness,
    memory: &Memory,
    now: Timestamp,
) -> Option<Step> {
    let (over_regular, over_spot) = (
        picture.over(desired, Priority::Regular),
        picture.over(desired, Priority::Spot),
    );
    let broken = picture.broken();
    if over_regular == 0 && over_spot == 0 && broken.is_empty() {
        return None;
    }
    if picture.has_unknown() {
        return Some(wait(
            Stage::Settling {
                message: "the state of some instances could not be read: nothing is taken away"
                    .to_owned(),
            },
            now + desired.pace.motion,
        ));
    }
    if let Some(closed) = memory
        .process
        .keeping
        .as_ref()
        .filter(|closed| closed.until > now)
    {
        return Some(wait(Stage::Refused(closed.clone()), closed.until));
    }
    let Some(proof) = still.proof(desired.pace.settle) else {
        let message = format!(
            "{} instances are more than declared and {} do not work: waits for a second reading",
            over_regular + over_spot,
            broken.len()
        );
        return Some(wait(Stage::Settling { message }, now + desired.pace.settle));
    };
    let total = desired.total();
    // One capacity write, guarded by the ETag, where Azure's own choice is the right one. Not where there are regular instances:
    // should an eviction come between look and write and not move the ETag, the write would reach down to them.
    let azure_would_choose_right = broken.is_empty()
        && desired.regular == 0
        && picture.set.base == 0
        && over_regular == 0
        && picture.set.capacity == picture.alive();
    if azure_would_choose_right {
        let message = format!(
            "{over_spot} Spot instances more than the {} declared, read twice: capacity {} to {total}",
            desired.spot, picture.set.capacity
        );
        let action = Action::Resize {
            capacity: total,
            base: desired.regular,
            vm_size: picture.set.vm_size.clone(),
            guard: guard.clone(),
            proof: Some(proof),
        };
        return Some(act(
            action,
            Because {
                reason: Reason::ScalingDown,
                message,
            },
        ));
    }
    let mut instances = victims(picture, Priority::Regular, over_regular);
    instances.extend(victims(picture, Priority::Spot, over_spot));
    let surplus = instances.len();
    instances.extend(broken);
    instances.sort();
    instances.dedup();
    let reason = if surplus > 0 {
        Reason::ScalingDown
    } else {
        Reason::ReplacingBroken
    };
    let names = instances
        .iter()
        .take(5)
        .map(InstanceName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!(
        "{} instances are too many or do not work, read twice: delete {names}{}",
        instances.len(),
        if instances.len() > 5 { ", …" } else { "" }
    );
    Some(act(
        Action::Replace { instances, proof },
        Because { reason, message },
    ))
}

/// The instances of a priority that are missed least: broken ones, then those not yet running, then the youngest.
fn victims(picture: &Picture<'_>, priority: Priority, count: u32) -> Vec<InstanceName> {
    let rank = |one: &Instance| match one.phase {
        Phase::Failed | Phase::Deallocated => 0,
        Phase::Starting => 1,
        Phase::Running | Phase::Unknown | Phase::Stopping => 2,
    };
    let mut candidates: Vec<&Instance> = picture
        .instances
        .iter()
        .filter(|one| one.priority == priority && one.phase != Phase::Stopping)
        .collect();
    candidates.sort_by(|a, b| {
        (rank(a), std::cmp::Reverse(a.created), &a.name).cmp(&(
            rank(b),
            std::cmp::Reverse(b.created),
            &b.name,
        ))
    });
    candidates
        .into_iter()
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .map(|one| one.name.clone())
        .collect()
}
