//! What Azure said to what was asked: accepted, declined, not heard. In goes an answer or the end of an operation, out comes
//! what to remember of it.

use super::action::{Action, Answer, Because, Reason};
use super::desired::Desired;
use super::memory::{Believed, Memory};
use super::observed::{Outcome, Provisioning};
use super::picture::Picture;
use super::refusal::{Closed, Refusal, RefusalKind};
use super::restart;
use crate::units::{ModelHash, Timestamp, VmSize};

/// Takes the answer to an action into memory. `now` is the time after the call: nothing read before it counts.
pub fn remember(
    desired: &Desired,
    memory: &Memory,
    action: &Action,
    answer: &Answer,
    now: Timestamp,
) -> Memory {
    let mut memory = memory.clone();
    // Nothing was done, and nothing learned; least of all was a capacity written again.
    if matches!(answer, Answer::Later(_)) {
        memory.process.rewrite = None;
        return memory;
    }
    memory.process.last_write = Some(now);
    memory.process.still = None;
    let buying = match action {
        Action::Create { vm_size, .. } | Action::Resize { vm_size, .. } => Some(vm_size),
        // What is started again is bought again: Azure may have no machine of this size, or ask too much for it.
        Action::Restart { vm_size, instances } => {
            restart::tried(instances, &mut memory, now);
            Some(vm_size)
        }
        _ => None,
    };
    // What is started again has a clock of its own.
    if !matches!(action, Action::Restart { .. }) {
        memory.process.unrest = None;
    }
    if let Action::Create { capacity, .. } | Action::Resize { capacity, .. } = action {
        let before = memory.process.believed;
        let falling = match action {
            Action::Create { .. } => 0,
            _ => memory.process.falling,
        };
        memory.process.believed = match answer {
            Answer::Accepted => Some(Believed {
                capacity: *capacity,
                alive: 0,
                falling,
            }),
            Answer::Unclear => before.map(|believed| Believed {
                falling: believed.falling.max(falling),
                ..believed.raised(*capacity, 0)
            }),
            _ => before,
        };
    }
    match answer {
        Answer::Accepted => {
            memory.process.keeping = None;
            memory.process.buying = buying.cloned();
            if buying.is_some() {
                memory.kept.asked_spot = desired.spot;
            }
            match action {
                Action::Replace { instances, .. } => {
                    let mut spot = memory.process.spot_seen.clone();
                    instances.iter().for_each(|name| {
                        spot.remove(name);
                    });
                    memory.process.spot_seen = spot;
                }
                Action::Reshape { model, .. } => memory.process.reshaping = Some(model.clone()),
                // What goes with the set is not evicted.
                Action::Remove { .. } => {
                    memory.process.spot_seen.clear();
                    memory.process.removing = true;
                }
                _ => {}
            }
        }
        Answer::Refused(refusal) => refuse(action, buying, refusal, &mut memory, now),
        // Whether it was done, the next look will tell; the proof that a capacity was written again does not hold without it.
        Answer::Changed | Answer::Missing | Answer::Unclear => memory.process.rewrite = None,
        Answer::Later(_) => {}
    }
    memory
}

fn refuse(
    action: &Action,
    buying: Option<&VmSize>,
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
        (Action::Reshape { model, .. }, None) => reject(model.clone(), refusal, memory, now),
        (Action::Replace { .. }, None) => {
            let before = memory.process.keeping.as_ref();
            memory.process.keeping = Some(Closed::after(
                VmSize::default(),
                refusal.clone(),
                before,
                now,
            ));
        }
        _ => {}
    }
}

/// Azure does not take a model: it is not brought again for a while, and until then the pool heals under the one before.
fn reject(model: ModelHash, refusal: &Refusal, memory: &mut Memory, now: Timestamp) {
    let known = memory
        .process
        .rejected
        .as_ref()
        .filter(|(hash, _)| *hash == model);
    let closed = Closed::after(
        VmSize::default(),
        refusal.clone(),
        known.map(|(_, closed)| closed),
        now,
    );
    memory.process.rejected = Some((model, closed));
}

/// Learns how the last operation ended.
pub(super) fn hear(
    outcome: Option<&Outcome>,
    memory: &mut Memory,
    notes: &mut Vec<Because>,
    now: Timestamp,
) {
    match outcome {
        Some(Outcome::Succeeded) => {
            if memory.process.reshaping.take().is_some() {
                memory.process.rejected = None;
            }
            if let Some(vm_size) = memory.process.buying.take() {
                memory.kept.forgive(&vm_size);
                // All that were asked for have existed, also those that were gone again before we looked.
                if let Some(believed) = &mut memory.process.believed {
                    believed.alive = believed.alive.max(believed.capacity);
                }
            }
        }
        Some(Outcome::Failed(refusal)) => {
            memory.process.rewrite = None;
            if let Some(model) = memory.process.reshaping.take() {
                reject(model, refusal, memory, now);
            }
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
        Some(Outcome::Pending) | None => {}
    }
}

/// The note that belongs to a refusal.
pub fn refused_note(closed: &Closed) -> Because {
    let reason = match closed.refusal.kind {
        RefusalKind::QuotaExceeded | RefusalKind::QuotaIsZero => Reason::QuotaExceeded,
        RefusalKind::PriceAboveLimit => Reason::PriceAboveLimit,
        _ => Reason::OfferingRefused,
    };
    let Refusal { message, code, .. } = &closed.refusal;
    let mut message = format!("{}: {message}", closed.vm_size);
    // Without a code Azure was not even asked, or nobody heard what it said.
    if !code.is_empty() {
        message = format!("{message} ({code})");
    }
    Because { reason, message }
}

/// A set that failed while instances are missing, with nobody left who knows why (a restart): one short back-off, counted once.
pub(super) fn unexplained_failure(
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
