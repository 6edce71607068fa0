//! A changed model: it reaches the scale set, and from there new instances only.

use super::action::{Action, Because, Reason};
use super::desired::Desired;
use super::guard::Guard;
use super::memory::Memory;
use super::picture::Picture;
use super::{Step, act};
use crate::units::Timestamp;

/// Whether new instances of the set are as declared, or cannot be since Azure has declined that.
pub(super) fn is_current(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &Memory,
    now: Timestamp,
) -> bool {
    let rejected = memory.process.rejected.as_ref();
    let rejected = rejected.filter(|(model, _)| *model == desired.model);
    match rejected {
        Some((_, closed)) => closed.until > now,
        None => picture.set.model.as_ref() == Some(&desired.model),
    }
}

/// Brings model and base up to date, without touching what runs. A rejected model does not stop the pool from healing under the old one.
pub(super) fn reshape(
    desired: &Desired,
    picture: &Picture<'_>,
    guard: &Guard,
    memory: &Memory,
    now: Timestamp,
    differs: bool,
) -> Option<Step> {
    // A set may carry the new model's tag although Azure failed to take the model.
    let rejected = memory.process.rejected.as_ref();
    let rejected = rejected.filter(|(model, _)| *model == desired.model);
    let closed = rejected.is_some_and(|(_, closed)| closed.until > now);
    if !(differs || rejected.is_some()) || closed {
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
