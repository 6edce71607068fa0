//! What a pool that is being deleted says: that it goes, or what stands in the way and the very command that ends it.

use spotpool_core::planner::{Blind, RefusalKind, Stage};

use crate::api::Reason;
use crate::api::reasons::ConditionStatus::{False, True};

use super::conditions::{Verdict, quote, say};
use super::kstatus::confirmation;
use super::status::Report;
use super::words::{reason_of_step, refusal_text, with_advice};

/// The condition Deleting: absent until somebody deletes the pool.
pub fn condition(report: &Report<'_>) -> Verdict {
    if !report.is_deleting() {
        return Verdict::Absent;
    }
    let orphan = format!(
        "To leave the scale set in Azure instead: {}",
        patch(report, r#"{"spec":{"deletionPolicy":"Orphan"}}"#)
    );
    if report.pool.spec.suspend {
        let go_on = patch(report, r#"{"spec":{"suspend":false}}"#);
        let text =
            format!("spec.suspend is true, so nothing is deleted. To go on: {go_on}. {orphan}");
        return say(False, Reason::Suspended, text);
    }
    let blocked = |reason: Reason, fact: &str| {
        quote(
            False,
            reason,
            format!(
                "{}. {orphan}",
                with_advice(reason, fact).trim_end_matches('.')
            ),
        )
    };
    match (&report.summary.stage, report.stuck) {
        (Stage::Blind(Blind::CredentialsInvalid { step, fact }), _) => {
            blocked(reason_of_step(*step), fact)
        }
        (Stage::Blind(Blind::Forbidden { fact }), _) => blocked(Reason::Forbidden, fact),
        (Stage::Blind(Blind::Unreachable { .. }), _) => blocked(
            Reason::AzureUnreachable,
            "Azure cannot be read, and nothing is deleted unseen",
        ),
        (Stage::ConfirmationNeeded { taking }, _) => say(
            False,
            Reason::ConfirmationNeeded,
            format!("{}. {orphan}", confirmation(report, *taking)),
        ),
        (Stage::Acting, Some(refusal)) if is_lock(&refusal.code) => {
            blocked(Reason::Locked, &refusal_text(refusal))
        }
        (Stage::Acting, Some(refusal)) if refusal.kind == RefusalKind::Forbidden => {
            blocked(Reason::Forbidden, &refusal_text(refusal))
        }
        (Stage::Acting, Some(refusal)) => say(
            True,
            Reason::InProgress,
            format!(
                "Azure declined for now and is asked again: {}",
                refusal_text(refusal)
            ),
        ),
        _ => say(
            True,
            Reason::InProgress,
            format!(
                "the scale set {} and its instances are being deleted",
                report.resolved.place.scale_set
            ),
        ),
    }
}

/// Azure's code for a management lock (learn.microsoft.com: *Lock your resources*, error ScopeLocked).
fn is_lock(code: &str) -> bool {
    code == "ScopeLocked"
}

fn patch(report: &Report<'_>, change: &str) -> String {
    let meta = &report.pool.metadata;
    format!(
        "kubectl patch spotpool {} -n {} --type=merge -p '{change}'",
        meta.name.as_deref().unwrap_or_default(),
        meta.namespace.as_deref().unwrap_or_default()
    )
}
