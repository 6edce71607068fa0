//! The heart: what to do about one pool, from what is wanted and what was seen.
//!
//! ```text
//! desired ─┐
//! observed ┼─▶ plan ─▶ at most one action, because, what to remember, what to say, when to look again
//! memory   ┘
//! ```
//!
//! [`plan`] decides; [`remember`] takes the answer to an action into memory. Both are plain functions over plain data.

pub mod action;
mod answers;
mod capacity;
pub mod desired;
mod eviction;
pub mod guard;
pub mod memory;
pub mod observed;
mod picture;
mod quota;
pub mod refusal;
mod replacement;
mod restart;
mod rollout;
pub mod summary;
mod unrest;

pub use action::{Action, Answer, Because, Reason};
pub use answers::{refused_note, remember};
pub use capacity::closed_until;
pub use desired::{Desired, Eviction, Intent, Pace};
pub use guard::{Guard, Proof};
pub use memory::{Believed, Down, Kept, Memory, Process};
pub use observed::{Blind, Instance, LoginStep, Observed, Outcome, Phase, Provisioning, ScaleSet};
pub use quota::{Added, Quota, added, within};
pub use refusal::{Closed, Refusal, RefusalKind};
pub use summary::{Counts, Health, Stage, Summary, Tally};

use crate::units::{InstanceName, Millis, Seen, Timestamp};
use guard::Stillness;
use picture::Picture;

/// What a turn decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// At most one write.
    pub action: Option<(Action, Because)>,
    /// What happened since the last turn that people want to know.
    pub notes: Vec<Because>,
    /// What to bring to the next turn.
    pub memory: Memory,
    /// What to say.
    pub summary: Summary,
    /// When to look again.
    pub next: Timestamp,
}

/// One way a decision can go.
enum Step {
    Act(Action, Because),
    Wait(Stage, Timestamp),
}

fn act(action: Action, because: Because) -> Step {
    Step::Act(action, because)
}

fn wait(stage: Stage, until: Timestamp) -> Step {
    Step::Wait(stage, until)
}

/// Decides about one pool. Pure: the same four arguments give the same plan.
pub fn plan(desired: &Desired, observed: &Observed, memory: &Memory, now: Timestamp) -> Plan {
    let mut memory = memory.clone();
    let mut notes = Vec::new();
    memory.kept.follow(desired.generation, now);
    answers::hear(observed.outcome.as_ref(), &mut memory, &mut notes, now);

    let picture = picture(observed);
    let step = match (&observed.set, &picture) {
        (Seen::Known { value: None, .. }, _) => {
            // Deleted by hand, with all its instances: no evictions.
            memory.process.spot_seen.clear();
            absent(desired, &mut memory, now)
        }
        (
            Seen::Known {
                value: Some(set), ..
            },
            _,
        ) if set.owner.as_ref() != Some(&desired.owner) => not_ours(desired, set, now),
        (Seen::Known { .. }, Ok(picture)) => {
            // What goes with the set that we delete was not evicted.
            if desired.intent != Intent::Remove {
                eviction::notice(desired, picture, &mut memory, &mut notes, now);
            }
            restart::follow(desired, picture, &mut memory, now);
            memory.process.absent_since = None;
            guard_refused(desired, picture, &mut memory, &mut notes);
            unrest::follow(desired, picture, &mut memory);
            let outcome = observed.outcome.as_ref();
            present(desired, picture, outcome, &mut memory, now)
        }
        (_, Err(blind)) => cannot_see(desired, blind, now),
        // `picture` is an error whenever the set is unknown.
        (Seen::Unknown(blind), Ok(_)) => cannot_see(desired, blind, now),
    };
    let step = if desired.intent == Intent::Watch {
        only_watch(step, desired, now)
    } else {
        step
    };

    let ours = picture
        .as_ref()
        .ok()
        .filter(|picture| picture.set.owner.as_ref() == Some(&desired.owner));
    let (action, stage, next) = match step {
        Step::Act(action, because) => (
            Some((action, because)),
            Stage::Acting,
            now + desired.pace.motion,
        ),
        Step::Wait(stage, until) => (None, stage, until),
    };
    let summary = summary::summarise(desired, ours, stage, &mut memory, now);
    if memory.process.to_replace > 0 && matches!(summary.stage, Stage::AtRest) {
        let message = format!(
            "{} evicted instances run again or have been replaced",
            memory.process.to_replace
        );
        notes.push(Because {
            reason: Reason::ReplacementRunning,
            message,
        });
        memory.process.to_replace = 0;
    }
    Plan {
        action,
        notes,
        memory,
        summary,
        next,
    }
}

fn picture(observed: &Observed) -> Result<Picture<'_>, &Blind> {
    match (&observed.set, &observed.instances) {
        (Seen::Unknown(blind), _) => Err(blind),
        (_, Seen::Unknown(blind)) => Err(blind),
        (
            Seen::Known {
                value: Some(set),
                at: set_at,
            },
            Seen::Known {
                value: instances,
                at,
            },
        ) => Ok(Picture {
            set,
            instances,
            at: *at.min(set_at),
        }),
        (Seen::Known { value: None, .. }, Seen::Known { .. }) => Err(&Blind::NotAsked),
    }
}

fn cannot_see(desired: &Desired, blind: &Blind, now: Timestamp) -> Step {
    // To leave it as it is needs no look at it, and credentials that are lost for good must not keep the object for ever.
    if desired.intent == Intent::Orphan {
        return wait(Stage::Gone, now);
    }
    let until = match blind {
        Blind::Throttled { until } => (*until).max(now + desired.pace.motion),
        // It is known to the moment: whoever comes later keeps others waiting.
        Blind::HeldBack { until } => (*until).max(now),
        Blind::Unreachable { .. } => now + Millis(desired.pace.motion.0.saturating_mul(2)),
        // Azure is at work on the set: as soon as it is through, something may be to do.
        Blind::NotAsked => now + desired.pace.motion,
        Blind::CredentialsInvalid { .. } | Blind::Forbidden { .. } => now + desired.pace.rest,
    };
    wait(Stage::Blind(blind.clone()), until)
}

/// There is no scale set of that name.
fn absent(desired: &Desired, memory: &mut Memory, now: Timestamp) -> Step {
    let since = *memory.process.absent_since.get_or_insert(now);
    if desired.intent == Intent::Orphan {
        return wait(Stage::Gone, now);
    }
    if desired.intent == Intent::Remove {
        // Absent because we deleted it: gone. Otherwise a creation, ours or that of a process before us, may still be on its way;
        // letting go now would leave it behind, owned by nobody.
        let quiet = |at: Timestamp| now - at >= desired.pace.settle;
        let gone = memory.process.removing
            || (quiet(since) && memory.process.last_write.is_none_or(quiet));
        return if gone {
            wait(Stage::Gone, now)
        } else {
            wait(Stage::Going, now + desired.pace.motion)
        };
    }
    match capacity::open_size(desired, memory, now) {
        Err(closed) => {
            let until = closed.until;
            wait(Stage::Refused(closed), until)
        }
        Ok(vm_size) => {
            let capacity = capacity::portion(
                desired.total(),
                desired.regular,
                memory.kept.closed(&vm_size),
            );
            let part = if capacity < desired.total() {
                format!(", {capacity} of them to begin with")
            } else {
                String::new()
            };
            let message = format!(
                "no scale set yet: create it with {} Spot and {} regular instances{part}",
                desired.spot, desired.regular
            );
            let action = Action::Create {
                capacity,
                base: desired.regular,
                vm_size,
                model: desired.model.clone(),
            };
            act(
                action,
                Because {
                    reason: Reason::ScaleSetCreated,
                    message,
                },
            )
        }
    }
}

/// A scale set that does not carry our tag is not touched, whatever the intent.
fn not_ours(desired: &Desired, set: &ScaleSet, now: Timestamp) -> Step {
    match desired.intent {
        Intent::Remove | Intent::Orphan => wait(Stage::Gone, now),
        Intent::Keep | Intent::Watch => wait(
            Stage::NotOurs {
                owner: set.owner.clone(),
            },
            now + desired.pace.rest,
        ),
    }
}

/// The concerns in their order, once the set is seen, ours, and its instances are known.
fn present(
    desired: &Desired,
    picture: &Picture<'_>,
    outcome: Option<&Outcome>,
    memory: &mut Memory,
    now: Timestamp,
) -> Step {
    let Some(guard) = Guard::of(picture.set, desired) else {
        return wait(
            Stage::NotOurs {
                owner: picture.set.owner.clone(),
            },
            now + desired.pace.rest,
        );
    };
    let soon = now + desired.pace.motion;
    if desired.intent == Intent::Orphan {
        return wait(Stage::Gone, now);
    }
    if picture.set.state == Provisioning::Deleting {
        return wait(
            if desired.intent == Intent::Remove {
                Stage::Going
            } else {
                Stage::Busy
            },
            soon,
        );
    }
    memory.process.rewrite = memory
        .process
        .rewrite
        .take()
        .and_then(|rewrite| rewrite.unless_changed(desired, picture));
    memory.process.believed = memory
        .process
        .believed
        .map(|believed| believed.raised(picture.set.capacity, picture.alive()));
    let unread = memory
        .process
        .last_write
        .is_some_and(|written| picture.at <= written);
    if !picture.set.state.is_terminal() {
        memory.process.still = None;
        let kept = matches!(desired.intent, Intent::Keep | Intent::Watch);
        let only_taken_from = picture.leaving() > 0 && outcome != Some(&Outcome::Pending);
        // Nothing is bought under a template or at a price limit that is to be changed first.
        let current = rollout::is_current(desired, picture, memory, now);
        let lasts = unrest::lasts(desired, picture, memory);
        if kept && !unread && only_taken_from && current && lasts {
            let start = restart::start(desired, picture, memory, now);
            let still = Stillness::after(None, desired, picture);
            let grow = || capacity::grow(desired, picture, &guard, &still, memory, now);
            if let Some(step @ Step::Act(..)) = start.or_else(grow) {
                return step;
            }
        }
        return wait(Stage::Busy, soon);
    }
    if unread {
        return wait(Stage::Busy, soon);
    }
    if desired.intent == Intent::Remove {
        let taking = picture.alive();
        if desired.lacks_confirmation(taking) {
            return wait(
                Stage::ConfirmationNeeded { taking },
                now + desired.pace.rest,
            );
        }
        let message =
            format!("the SpotPool is deleted: delete the scale set and its {taking} instances");
        return act(
            Action::Remove { guard },
            Because {
                reason: Reason::ScaleSetDeleted,
                message,
            },
        );
    }
    answers::unexplained_failure(desired, picture, memory, now);
    if memory
        .process
        .still
        .as_ref()
        .is_some_and(|still| still.gained(picture))
    {
        memory.process.believed = None;
    }
    let still = Stillness::after(memory.process.still.take(), desired, picture);
    if still.proof(desired.pace.settle).is_some() {
        memory.process.unrest = None;
    }
    memory.process.still = Some(still.clone());
    memory.process.believed = capacity::believe(desired, picture, &still, memory.process.believed);

    if let Some(step) = rollout::reshape(
        desired,
        picture,
        &guard,
        memory,
        now,
        picture.set.model.as_ref() != Some(&desired.model),
    ) {
        return step;
    }
    if let Some(step) = restart::start(desired, picture, memory, now) {
        return step;
    }
    let growth = capacity::grow(desired, picture, &guard, &still, memory, now);
    if let Some(step) = growth {
        // A refusal to sell more is no reason to keep what is too much.
        return match step {
            Step::Wait(Stage::Refused(closed), until) => {
                match replacement::shrink(desired, picture, &still, memory, now) {
                    Some(step @ Step::Act(..)) => step,
                    Some(Step::Wait(_, again)) => wait(Stage::Refused(closed), until.min(again)),
                    None => wait(Stage::Refused(closed), until.min(now + desired.pace.rest)),
                }
            }
            step => step,
        };
    }
    // Nothing is missing: refusals that have run out are forgotten, the others keep a better size closed a while.
    memory.kept.closed.retain(|closed| closed.until > now);
    if let Some(step) = rollout::reshape(
        desired,
        picture,
        &guard,
        memory,
        now,
        picture.set.base != desired.regular,
    ) {
        return step;
    }
    if let Some(step) = replacement::shrink(desired, picture, &still, memory, now) {
        return step;
    }
    if let Some(step) = restart::await_next(desired, picture, memory, now) {
        return step;
    }
    if picture.instances.iter().any(|one| {
        matches!(
            one.phase,
            Phase::Starting | Phase::Stopping | Phase::Deallocating | Phase::Unknown
        )
    }) {
        return wait(
            Stage::Starting,
            now + Millis(desired.pace.motion.0.saturating_mul(2)),
        );
    }
    wait(Stage::AtRest, now + desired.pace.rest)
}

/// The first few names, for people.
fn names(instances: &[InstanceName]) -> String {
    let few: Vec<&str> = instances.iter().take(5).map(InstanceName::as_str).collect();
    let more = if instances.len() > few.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", few.join(", "))
}

/// A capacity far below the instances that exist cannot be true, or not for long (autoscaler #9452 deleted 89 of 90 machines on
/// one): said once, and nothing is done on it.
fn guard_refused(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &mut Memory,
    notes: &mut Vec<Because>,
) {
    let (alive, capacity) = (picture.alive(), picture.set.capacity);
    let implausible = alive > 0
        && capacity <= alive / 2
        && picture.set.state.is_terminal()
        && desired.intent == Intent::Keep;
    if implausible && !memory.process.implausible {
        let message = format!(
            "capacity reads {capacity} although {alive} instances exist: the list is believed, nothing is taken away"
        );
        notes.push(Because {
            reason: Reason::GuardRefused,
            message,
        });
    }
    memory.process.implausible = implausible;
}

/// `suspend: true`: say what would be done instead of doing it.
fn only_watch(step: Step, desired: &Desired, now: Timestamp) -> Step {
    match step {
        Step::Act(_, because) => wait(
            Stage::Suspended {
                would: Some(because.message),
            },
            now + desired.pace.rest,
        ),
        Step::Wait(
            Stage::AtRest
            | Stage::Starting
            | Stage::Busy
            | Stage::Refused(_)
            | Stage::ConfirmationNeeded { .. }
            | Stage::Settling { .. },
            until,
        ) => wait(
            Stage::Suspended { would: None },
            until.max(now + desired.pace.motion),
        ),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests;
