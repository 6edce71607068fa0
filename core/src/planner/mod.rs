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
mod capacity;
pub mod desired;
pub mod guard;
pub mod memory;
pub mod observed;
mod picture;
pub mod refusal;
mod replacement;
pub mod summary;

pub use action::{Action, Answer, Because, Reason};
pub use desired::{Desired, Intent, Pace};
pub use guard::{Guard, Proof};
pub use memory::{Kept, Memory, Process};
pub use observed::{Blind, Instance, Observed, Outcome, Phase, Provisioning, ScaleSet};
pub use refusal::{Closed, Refusal, RefusalKind};
pub use summary::{Counts, Health, Stage, Summary, Tally};

use crate::units::{Count, InstanceName, Millis, Priority, Seen, Timestamp};
use guard::Stillness;
use picture::Picture;
use std::collections::BTreeSet;

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
    hear(observed.outcome.as_ref(), &mut memory, &mut notes, now);
    let was_implausible = std::mem::take(&mut memory.process.implausible);

    let picture = picture(observed);
    let step = match (&observed.set, &picture) {
        (Seen::Known { value: None, .. }, _) => {
            // Deleted by hand, with all its instances: no evictions.
            memory.process.spot_seen.clear();
            absent(desired, &memory, now)
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
                notice_evictions(picture, &mut memory, &mut notes, now);
            }
            present(desired, picture, &mut memory, now)
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

    if let (Step::Wait(Stage::Implausible { message }, _), false) = (&step, was_implausible) {
        notes.push(Because {
            reason: Reason::GuardRefused,
            message: message.clone(),
        });
    }
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
    let summary = summarise(desired, ours, stage, &mut memory, now);
    if memory.process.to_replace > 0 && matches!(summary.stage, Stage::AtRest) {
        let message = format!(
            "{} evicted instances are replaced and run",
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

/// Takes the answer to an action into memory. `now` is the time after the call: nothing read before it counts.
pub fn remember(
    desired: &Desired,
    memory: &Memory,
    action: &Action,
    answer: &Answer,
    now: Timestamp,
) -> Memory {
    let mut memory = memory.clone();
    memory.process.last_write = Some(now);
    memory.process.still = None;
    let buying = match action {
        Action::Create { vm_size, .. } => Some(vm_size),
        Action::Resize {
            vm_size,
            proof: None,
            ..
        } => Some(vm_size),
        _ => None,
    };
    if let Action::Create { capacity, .. } | Action::Resize { capacity, .. } = action {
        memory.process.believed = match answer {
            Answer::Accepted => Some(*capacity),
            Answer::Unclear => memory
                .process
                .believed
                .map(|believed| believed.max(*capacity)),
            _ => memory.process.believed,
        };
    }
    match answer {
        Answer::Accepted => {
            memory.process.buying = buying.cloned();
            if buying.is_some() {
                memory.kept.asked_spot = desired.spot;
            }
            match action {
                Action::Resize { proof: Some(_), .. } => {
                    memory.kept.asked_spot = desired.spot;
                    let seen =
                        Count::try_from(memory.process.spot_seen.len()).unwrap_or(Count::MAX);
                    memory.process.leaving = seen.saturating_sub(desired.spot);
                }
                Action::Replace { instances, .. } => {
                    let mut spot = memory.process.spot_seen.clone();
                    instances.iter().for_each(|name| {
                        spot.remove(name);
                    });
                    memory.process.spot_seen = spot;
                }
                Action::Reshape { .. } => memory.process.rejected = None,
                // What goes with the set is not evicted.
                Action::Remove { .. } => memory.process.spot_seen.clear(),
                _ => {}
            }
        }
        Answer::Refused(refusal) => refuse(action, buying, refusal, &mut memory, now),
        // Whether it was done, the next look will tell; the proof that a capacity was written again does not hold without it.
        Answer::Changed | Answer::Missing | Answer::Later(_) | Answer::Unclear => {
            memory.process.rewrite = None
        }
    }
    memory
}

fn refuse(
    action: &Action,
    buying: Option<&crate::units::VmSize>,
    refusal: &Refusal,
    memory: &mut Memory,
    now: Timestamp,
) {
    memory.process.rewrite = None;
    match (action, buying) {
        (_, Some(vm_size)) => {
            let closed = Closed::after(
                vm_size.clone(),
                refusal.clone(),
                memory.kept.closed(vm_size),
                now,
            );
            memory.kept.close(closed);
        }
        (Action::Reshape { model, .. }, None) => {
            let before = memory
                .process
                .rejected
                .as_ref()
                .filter(|(hash, _)| hash == model)
                .map(|(_, closed)| closed);
            let closed = Closed::after(
                crate::units::VmSize::default(),
                refusal.clone(),
                before,
                now,
            );
            memory.process.rejected = Some((model.clone(), closed));
        }
        _ => {}
    }
}

/// Learns how the last operation ended.
fn hear(outcome: Option<&Outcome>, memory: &mut Memory, notes: &mut Vec<Because>, now: Timestamp) {
    match outcome {
        Some(Outcome::Succeeded) => {
            if let Some(vm_size) = memory.process.buying.take() {
                memory.kept.forgive(&vm_size);
            }
        }
        Some(Outcome::Failed(refusal)) => {
            memory.process.rewrite = None;
            if let Some(vm_size) = memory.process.buying.take() {
                let closed = Closed::after(
                    vm_size.clone(),
                    refusal.clone(),
                    memory.kept.closed(&vm_size),
                    now,
                );
                notes.push(refused_note(&closed));
                memory.kept.close(closed);
            }
        }
        None => {}
    }
}

/// The note that belongs to a refusal.
pub fn refused_note(closed: &Closed) -> Because {
    let reason = match closed.refusal.kind {
        RefusalKind::QuotaExceeded | RefusalKind::QuotaIsZero => Reason::QuotaExceeded,
        RefusalKind::PriceAboveLimit => Reason::PriceAboveLimit,
        _ => Reason::OfferingRefused,
    };
    Because {
        reason,
        message: format!(
            "{}: {} ({})",
            closed.vm_size, closed.refusal.message, closed.refusal.code
        ),
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
    let until = match blind {
        Blind::Throttled { until } => (*until).max(now + desired.pace.motion),
        Blind::Unreachable { .. } | Blind::NotAsked => {
            now + Millis(desired.pace.motion.0.saturating_mul(2))
        }
        Blind::CredentialsInvalid { .. } | Blind::Forbidden { .. } => now + desired.pace.rest,
    };
    wait(Stage::Blind(blind.clone()), until)
}

/// There is no scale set of that name.
fn absent(desired: &Desired, memory: &Memory, now: Timestamp) -> Step {
    if matches!(desired.intent, Intent::Remove | Intent::Orphan) {
        return wait(Stage::Gone, now);
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
            let message = format!(
                "no scale set yet: create it with {capacity} of {} Spot and {} regular instances",
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
fn present(desired: &Desired, picture: &Picture<'_>, memory: &mut Memory, now: Timestamp) -> Step {
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
    if !picture.set.state.is_terminal() {
        memory.process.still = None;
        return wait(Stage::Busy, soon);
    }
    if memory
        .process
        .last_write
        .is_some_and(|written| picture.at <= written)
    {
        return wait(Stage::Busy, soon);
    }
    if desired.intent == Intent::Remove {
        let message = format!(
            "the SpotPool is deleted: delete the scale set and its {} instances",
            picture.alive()
        );
        return act(
            Action::Remove { guard },
            Because {
                reason: Reason::ScaleSetDeleted,
                message,
            },
        );
    }
    unexplained_failure(desired, picture, memory, now);
    let still = Stillness::after(memory.process.still.take(), desired, picture);
    memory.process.still = Some(still.clone());
    memory.process.believed = capacity::believe(desired, picture, &still, memory.process.believed);

    if let Some(step) = reshape(
        desired,
        picture,
        &guard,
        memory,
        now,
        picture.set.model.as_ref() != Some(&desired.model),
    ) {
        return step;
    }
    let growth = capacity::grow(desired, picture, &guard, &still, memory, now);
    if let Some(step) = growth {
        // A refusal to sell more is no reason to keep what is too much.
        return match step {
            Step::Wait(Stage::Refused(closed), until) => {
                match replacement::shrink(desired, picture, &guard, &still, now) {
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
    if let Some(step) = reshape(
        desired,
        picture,
        &guard,
        memory,
        now,
        picture.set.base != desired.regular,
    ) {
        return step;
    }
    if let Some(step) = replacement::shrink(desired, picture, &guard, &still, now) {
        return step;
    }
    if picture.instances.iter().any(|one| {
        matches!(
            one.phase,
            Phase::Starting | Phase::Stopping | Phase::Unknown
        )
    }) {
        return wait(
            Stage::Starting,
            now + Millis(desired.pace.motion.0.saturating_mul(2)),
        );
    }
    wait(Stage::AtRest, now + desired.pace.rest)
}

/// Brings model and base up to date, without touching what runs. A rejected model does not stop the pool from healing under the old one.
fn reshape(
    desired: &Desired,
    picture: &Picture<'_>,
    guard: &Guard,
    memory: &Memory,
    now: Timestamp,
    differs: bool,
) -> Option<Step> {
    let rejected = memory
        .process
        .rejected
        .as_ref()
        .is_some_and(|(model, closed)| *model == desired.model && closed.until > now);
    if !differs || rejected {
        return None;
    }
    let message = format!(
        "the declared model or the number of regular instances ({}, was {}) changed: new instances follow it",
        desired.regular, picture.set.base
    );
    Some(act(
        Action::Reshape {
            base: desired.regular,
            model: desired.model.clone(),
            guard: guard.clone(),
        },
        Because {
            reason: Reason::ModelChanged,
            message,
        },
    ))
}

/// A set that failed while instances are missing, with nobody left who knows why (a restart): one short back-off, counted once.
fn unexplained_failure(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &mut Memory,
    now: Timestamp,
) {
    let short = picture.alive() < desired.total();
    let known = memory.process.unexplained.as_ref() == Some(&picture.set.etag)
        || memory
            .kept
            .closed(&picture.set.vm_size)
            .is_some_and(|closed| closed.until > now);
    if picture.set.state != Provisioning::Failed || !short || known {
        return;
    }
    memory.process.unexplained = Some(picture.set.etag.clone());
    if memory.process.last_write.is_some() && memory.process.buying.is_none() {
        return; // Its outcome was heard, and its wait is over.
    }
    memory.process.buying = None;
    let refusal = Refusal {
        kind: RefusalKind::Unexplained,
        code: String::new(),
        message: "the last operation failed and its reason is not known".to_owned(),
        request_id: String::new(),
    };
    let vm_size = picture.set.vm_size.clone();
    let closed = Closed::after(vm_size.clone(), refusal, memory.kept.closed(&vm_size), now);
    memory.kept.close(closed);
}

/// Spot instances that vanish without our doing were evicted.
fn notice_evictions(
    picture: &Picture<'_>,
    memory: &mut Memory,
    notes: &mut Vec<Because>,
    now: Timestamp,
) {
    let held: BTreeSet<InstanceName> = picture
        .instances
        .iter()
        .filter(|one| one.priority == Priority::Spot && one.phase != Phase::Stopping)
        .map(|one| one.name.clone())
        .collect();
    let lost: Vec<&InstanceName> = memory.process.spot_seen.difference(&held).collect();
    let gone = Count::try_from(lost.len()).unwrap_or(Count::MAX);
    let evicted = gone.saturating_sub(memory.process.leaving);
    memory.process.leaving = memory.process.leaving.saturating_sub(gone);
    if evicted > 0 {
        let names = lost
            .iter()
            .take(5)
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        notes.push(Because {
            reason: Reason::Evicted,
            message: format!(
                "{evicted} Spot instances were taken away: {names}{}",
                if lost.len() > 5 { ", …" } else { "" }
            ),
        });
        memory.kept.evictions = memory.kept.evictions.saturating_add(u64::from(evicted));
        memory.kept.last_eviction = Some(now);
        memory.process.to_replace = memory.process.to_replace.saturating_add(evicted);
    }
    memory.process.spot_seen = held;
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
            | Stage::Settling { .. },
            until,
        ) => wait(
            Stage::Suspended { would: None },
            until.max(now + desired.pace.motion),
        ),
        other => other,
    }
}

fn summarise(
    desired: &Desired,
    picture: Option<&Picture<'_>>,
    stage: Stage,
    memory: &mut Memory,
    now: Timestamp,
) -> Summary {
    let refused = matches!(stage, Stage::Refused(_));
    let blind = matches!(stage, Stage::Blind(_));
    let counts = picture.map(|picture| Counts::of(picture, desired, memory, refused));
    if matches!(stage, Stage::AtRest | Stage::Refused(_)) {
        memory.kept.settled_generation = Some(desired.generation);
    }
    if let Some(counts) = counts.filter(|_| matches!(stage, Stage::AtRest)) {
        memory.kept.asked_spot = counts.spot.running;
    }
    memory.process.blind_since = blind.then(|| memory.process.blind_since.unwrap_or(now));
    let available = counts.as_ref().map_or(0, Counts::available);
    let health = match memory.process.blind_since {
        Some(since) if now - since > desired.progress_deadline => Health::Unknown { since },
        Some(_) => Health::Unchanged,
        None if available >= desired.min_available => {
            memory.kept.below_since = None;
            Health::Enough
        }
        None => {
            let since = *memory.kept.below_since.get_or_insert(now);
            if now - since > desired.progress_deadline {
                Health::Overdue { since }
            } else {
                Health::Below
            }
        }
    };
    let rejected_model = memory
        .process
        .rejected
        .as_ref()
        .filter(|(model, _)| *model == desired.model)
        .map(|(_, closed)| closed.clone());
    let progressing = memory.kept.settled_generation != Some(desired.generation)
        && desired.intent == Intent::Keep;
    Summary {
        stage,
        counts,
        health,
        progressing,
        rejected_model,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests;
