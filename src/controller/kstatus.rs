//! Ready, Reconciling and Stalled: what kstatus (Flux, Argo CD, Helm, `kubectl wait`) reads.
//!
//! In comes what a turn has to say; out go the three by the table of the API's design. Reconciling and Stalled are absent rather than
//! False, and never both present.

use spotpool_core::planner::{Blind, Closed, Health, Intent, Stage};
use spotpool_core::units::{Count, Timestamp};

use crate::api::reasons::ConditionStatus::{self, False, True, Unknown};
use crate::api::{CONFIRM_ANNOTATION, Reason};

use super::capacity::refusals;
use super::conditions::{Verdict, keep, quote, say};
use super::desired::confirmation_of;
use super::status::Report;
use super::times::clock_text;
use super::words::{closed_text, reason_of, reason_of_step, with_advice};

/// Something that only a person can end, if there is such a thing.
pub(super) struct Human {
    pub reason: Reason,
    pub message: String,
    verbatim: bool,
}

impl Human {
    pub(super) fn on(&self, status: ConditionStatus) -> Verdict {
        if self.verbatim {
            quote(status, self.reason, &*self.message)
        } else {
            say(status, self.reason, &*self.message)
        }
    }
}

pub(super) fn needs_a_human(report: &Report<'_>) -> Option<Human> {
    let human = |reason, fact: &str, verbatim| Human {
        reason,
        message: with_advice(reason, fact),
        verbatim,
    };
    let refused =
        |closed: &Closed| human(reason_of(closed.refusal.kind), &closed_text(closed), false);
    match &report.summary.stage {
        Stage::NotOurs { owner } => {
            let place = &report.resolved.place;
            let whose = owner.as_ref().map_or_else(
                || "carries no ownership tag".to_owned(),
                |owner| format!("belongs to {owner}"),
            );
            let fact = format!(
                "a scale set {} exists in resource group {} and {whose}; it was not touched",
                place.scale_set, place.resource_group
            );
            return Some(human(Reason::NotOurs, &fact, false));
        }
        Stage::Blind(Blind::CredentialsInvalid { step, fact }) => {
            return Some(human(reason_of_step(*step), fact, true));
        }
        Stage::Blind(Blind::Forbidden { fact }) => {
            return Some(human(Reason::Forbidden, fact, true));
        }
        Stage::Refused(_) => {
            let refusals = refusals(report);
            if refusals
                .iter()
                .all(|closed| closed.refusal.kind.needs_a_human())
            {
                return refusals.first().map(|closed| refused(closed));
            }
        }
        _ => {}
    }
    let rejected = report.summary.rejected_model.as_ref();
    rejected
        .filter(|closed| closed.refusal.kind.needs_a_human())
        .map(refused)
}
pub(super) fn ready(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    if let Some(human) = human {
        return human.on(False);
    }
    let count = available_text(report);
    match report.summary.health {
        Health::Enough => say(True, Reason::AvailableEnough, count),
        Health::Below if report.is_deleting() => say(
            False,
            Reason::BelowMinAvailable,
            format!("{count}; the pool is being deleted"),
        ),
        Health::Below => say(False, Reason::BelowMinAvailable, count),
        Health::Overdue { since } => say(
            False,
            Reason::ProgressDeadlineExceeded,
            overdue_text(&count, since),
        ),
        Health::Unchanged => keep(Reason::AzureUnreachable, "Azure has not been read yet"),
        Health::Unknown { since } => say(Unknown, Reason::AzureUnreachable, silent_text(since)),
    }
}

/// `18 of 20 instances available, 10 needed`, and what makes no sense about it.
fn available_text(report: &Report<'_>) -> String {
    let desired = &report.resolved.desired;
    let available = report.summary.counts.map_or(0, |counts| counts.available());
    let mut text = format!(
        "{available} of {} instances available, {} needed",
        desired.total(),
        desired.min_available
    );
    if let Stage::Implausible { message } = &report.summary.stage {
        text.push_str(&format!("; {message}"));
    }
    text
}

fn overdue_text(count: &str, since: Timestamp) -> String {
    with_advice(
        Reason::ProgressDeadlineExceeded,
        &format!("{count}: too few since {}", clock_text(since)),
    )
}

pub(super) fn silent_text(since: Timestamp) -> String {
    with_advice(
        Reason::AzureUnreachable,
        &format!("Azure has not been readable since {}", clock_text(since)),
    )
}

pub(super) fn reconciling(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    if human.is_some() || report.is_deleting() || report.is_suspended() {
        return Verdict::Absent;
    }
    if matches!(report.summary.health, Health::Overdue { .. }) {
        return Verdict::Absent;
    }
    if matches!(report.summary.stage, Stage::ConfirmationNeeded { .. }) {
        return Verdict::Absent;
    }
    let desired = &report.resolved.desired;
    let goal = format!(
        "{} Spot and {} regular instances",
        desired.spot, desired.regular
    );
    if report.summary.progressing {
        // Also while Azure cannot be read: a declaration that has not reached Azure must not look as if it had.
        return match &report.summary.stage {
            Stage::Blind(_) => say(
                True,
                Reason::GenerationNotActedOn,
                "Azure cannot be read: the spec has not been acted on yet",
            ),
            Stage::Settling { message } | Stage::Implausible { message } => {
                say(True, Reason::GenerationNotActedOn, message)
            }
            _ if report.memory.kept.settled_generation.is_none() => {
                say(True, Reason::Creating, format!("creating {goal}"))
            }
            _ => say(True, Reason::Scaling, format!("changing to {goal}")),
        };
    }
    match report.summary.health {
        Health::Below => say(True, Reason::BelowMinAvailable, available_text(report)),
        _ => Verdict::Absent,
    }
}

pub(super) fn stalled(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    if report.is_suspended() {
        return Verdict::Absent;
    }
    if let Stage::ConfirmationNeeded { taking } = report.summary.stage {
        return say(
            True,
            Reason::ConfirmationNeeded,
            confirmation(report, taking),
        );
    }
    match (human, &report.summary.health) {
        (Some(human), _) => human.on(True),
        (None, Health::Overdue { since }) if !report.is_deleting() => say(
            True,
            Reason::ProgressDeadlineExceeded,
            overdue_text(&available_text(report), *since),
        ),
        _ => Verdict::Absent,
    }
}

/// What would go, and the command that lets it.
pub(super) fn confirmation(report: &Report<'_>, taking: Count) -> String {
    let meta = &report.pool.metadata;
    format!(
        "{taking} instances would be removed at once, and this installation asks before that. To confirm: kubectl annotate spotpool {} -n {} --overwrite {CONFIRM_ANNOTATION}={}",
        meta.name.as_deref().unwrap_or_default(),
        meta.namespace.as_deref().unwrap_or_default(),
        confirmation_of(report.pool),
    )
}

impl Report<'_> {
    pub(super) fn is_suspended(&self) -> bool {
        self.resolved.desired.intent == Intent::Watch
    }
}
