//! How urgent a pool's calls are, when Azure's limits do not bear those of all pools at once.
//!
//! In: what a look decided, or what came of it. Out: an [`Urgency`]. A look goes as urgently as the write that it is for: a write needs
//! a fresh picture, so one that had to wait, or lost a race, would otherwise wait behind every pool that only looks.

use spotpool_core::planner::{Action, Answer, Because, Blind, Reason, Stage};

use super::turn::Turn;
use crate::cloud::Urgency;

/// Of a write: by why it is made.
pub fn of_write(action: &Action, because: &Because) -> Urgency {
    match (because.reason, action) {
        (Reason::ReplacementRequested | Reason::RestartRequested | Reason::ReplacingBroken, _) => {
            Urgency::Rescue
        }
        // Too much costs money; too little stops work.
        (Reason::ScalingDown | Reason::ScaleSetDeleted, _) | (_, Action::Remove { .. }) => {
            Urgency::Tidying
        }
        _ => Urgency::Change,
    }
}

/// What the next look is for, after one with this result; `None`: only to look. `before`: what this one was for; `ours`: whether Azure is
/// at work for us.
pub fn after_look(turn: &Turn, before: Option<Urgency>, ours: bool) -> Option<Urgency> {
    if let Some((action, because)) = &turn.action {
        return Some(of_write(action, because));
    }
    match &turn.summary.stage {
        // Azure is at work on the set, and not for us: it may be taking instances away.
        Stage::Blind(Blind::NotAsked) if !ours => Some(Urgency::Rescue),
        // Nothing was learned, so nothing has changed.
        Stage::Blind(_) => before,
        // Evicted instances are missing and cannot be asked for yet.
        Stage::Busy | Stage::Settling { .. } if turn.evicted > 0 => Some(Urgency::Rescue),
        Stage::Busy | Stage::Settling { .. } => before,
        _ => None,
    }
}

/// The same, after a write was answered: what was accepted or refused is no longer in a hurry.
pub fn after_write(answer: &Answer, before: Option<Urgency>) -> Option<Urgency> {
    match answer {
        Answer::Later(_) | Answer::Changed | Answer::Unclear => before,
        Answer::Accepted | Answer::Refused(_) | Answer::Missing => None,
    }
}
