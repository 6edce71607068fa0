//! Surplus and broken instances: whom to take away, and only with proof.

use crate::units::{InstanceName, Priority, Timestamp};

use super::action::{Action, Because, Reason};
use super::desired::Desired;
use super::guard::Stillness;
use super::memory::Memory;
use super::observed::{Instance, Phase};
use super::picture::Picture;
use super::summary::Stage;
use super::{Step, act, restart, wait};

/// What to do about instances that are too many or cannot work; `None` when there are none.
pub(super) fn shrink(
    desired: &Desired,
    picture: &Picture<'_>,
    still: &Stillness,
    memory: &Memory,
    now: Timestamp,
) -> Option<Step> {
    let (over_regular, over_spot) = (
        picture.over(desired, Priority::Regular),
        picture.over(desired, Priority::Spot),
    );
    let broken = broken(desired, picture, memory, now);
    let taking = over_regular.saturating_add(over_spot);
    let unconfirmed = desired.lacks_confirmation(taking);
    if unconfirmed && broken.is_empty() {
        return Some(wait(
            Stage::ConfirmationNeeded { taking },
            now + desired.pace.rest,
        ));
    }
    // What cannot work may be replaced meanwhile.
    let (over_regular, over_spot) = if unconfirmed {
        (0, 0)
    } else {
        (over_regular, over_spot)
    };
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
    let mut instances = victims(picture, &broken, Priority::Regular, over_regular);
    instances.extend(victims(picture, &broken, Priority::Spot, over_spot));
    let surplus = instances.len();
    instances.extend(broken);
    instances.sort();
    instances.dedup();
    let reason = if surplus > 0 {
        Reason::ScalingDown
    } else {
        Reason::ReplacingBroken
    };
    let message = format!(
        "{} instances are too many or do not work, read twice: delete {}",
        instances.len(),
        super::names(&instances)
    );
    Some(act(
        Action::Replace { instances, proof },
        Because { reason, message },
    ))
}

/// Instances that hold a place and will do no work: those that failed, and those that are down for good.
fn broken(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &Memory,
    now: Timestamp,
) -> Vec<InstanceName> {
    let lost = |one: &&Instance| match one.phase {
        Phase::Failed => true,
        Phase::Deallocated => restart::given_up(desired, memory, one, now),
        _ => false,
    };
    picture
        .instances
        .iter()
        .filter(lost)
        .map(|one| one.name.clone())
        .collect()
}

/// The instances of a priority that are missed least: broken ones, then those that are down, those not yet running, the youngest.
fn victims(
    picture: &Picture<'_>,
    broken: &[InstanceName],
    priority: Priority,
    count: u32,
) -> Vec<InstanceName> {
    let rank = |one: &Instance| match one.phase {
        _ if broken.contains(&one.name) => 0,
        Phase::Failed | Phase::Deallocated | Phase::Deallocating => 1,
        Phase::Starting => 2,
        Phase::Running | Phase::Unknown | Phase::Stopping => 3,
    };
    let mut candidates: Vec<&Instance> = picture
        .instances
        .iter()
        .filter(|one| one.priority == priority && one.phase != Phase::Stopping)
        .collect();
    candidates.sort_by_key(|one| (rank(one), std::cmp::Reverse(one.created), &one.name));
    candidates
        .into_iter()
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .map(|one| one.name.clone())
        .collect()
}
