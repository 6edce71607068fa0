//! SpotSatisfied, UpToDate, CredentialsValid and Suspended: how the pool stands with Azure.
//!
//! In comes what a turn has to say; out goes one verdict a condition, with Azure's own code, the request's id and the time of the next try.

use spotpool_core::planner::{Blind, Closed, Eviction, Health, Stage};

use crate::api::Reason;
use crate::api::reasons::ConditionStatus::{self, False, True, Unknown};

use super::conditions::{Verdict, keep, quote, say};
use super::kstatus::{Human, silent_text};
use super::status::Report;
use super::times::clock_text;
use super::words::{blind_text, closed_text, reason_of, reason_of_step, refusal_text, with_advice};

pub(super) fn spot_satisfied(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    let wanted = report.resolved.desired.spot;
    let running = report.summary.counts.map(|counts| counts.spot.running);
    if running.is_some_and(|running| running >= wanted) {
        let text = format!("{} of {wanted} Spot instances run", running.unwrap_or(0));
        return say(True, Reason::AllRunning, text);
    }
    if let Some(human) = human {
        return human.on(False);
    }
    if let Stage::Blind(_) = report.summary.stage {
        return unreadable(report);
    }
    if report.is_deleting() && !report.is_suspended() {
        return keep(Reason::AzureUnreachable, "the pool is being deleted");
    }
    let short = format!("{} of {wanted} Spot instances run", running.unwrap_or(0));
    let replacing = report.memory.process.to_replace > 0;
    match &report.summary.stage {
        Stage::Suspended { would: Some(would) } => say(
            False,
            Reason::Suspended,
            format!("{short}; suspended, would do: {would}"),
        ),
        _ if report.is_suspended() => say(False, Reason::Suspended, short),
        Stage::Refused(_) => refused(report, &short),
        Stage::Settling { message } | Stage::Implausible { message } => say(
            False,
            Reason::WaitingForCapacityToSettle,
            format!("{short}; {message}"),
        ),
        _ if report
            .summary
            .counts
            .is_some_and(|counts| counts.spot.deallocated > 0)
            && report.resolved.desired.eviction != Eviction::Delete =>
        {
            let down = report
                .summary
                .counts
                .map_or(0, |counts| counts.spot.deallocated);
            say(
                False,
                Reason::Restarting,
                format!("{short}; {down} are deallocated and are started again"),
            )
        }
        _ if replacing => say(
            False,
            Reason::Replacing,
            format!("{short}; replacements are requested"),
        ),
        _ => say(
            False,
            Reason::Starting,
            format!("{short}; the others are being created or started"),
        ),
    }
}

/// The most preferred size that may come back by itself gives the reason; the message names all.
fn refused(report: &Report<'_>, short: &str) -> Verdict {
    let refusals = refusals(report);
    let kind = refusals
        .iter()
        .map(|closed| closed.refusal.kind)
        .find(|kind| !kind.needs_a_human());
    let reason = kind.map_or(Reason::CoolingDown, reason_of);
    let texts: Vec<String> = refusals.iter().map(|closed| closed_text(closed)).collect();
    say(
        False,
        reason,
        with_advice(reason, &format!("{short}; {}", texts.join("; "))),
    )
}

pub(super) fn up_to_date(report: &Report<'_>) -> Verdict {
    if let Stage::Blind(_) = report.summary.stage {
        return unreadable(report);
    }
    let Some(counts) = report.summary.counts else {
        return say(
            True,
            Reason::AllInstancesUpToDate,
            "there are no instances yet",
        );
    };
    let alive = [counts.regular, counts.spot]
        .iter()
        .map(|tally| {
            tally.running + tally.starting + tally.deallocated + tally.failed + tally.unknown
        })
        .sum::<u32>();
    let old = alive.saturating_sub(counts.up_to_date);
    if let Some(closed) = &report.summary.rejected_model {
        let fact = format!(
            "{}, tried again at {}; {alive} instances run on with the model before",
            refusal_text(&closed.refusal),
            clock_text(closed.until)
        );
        return say(
            False,
            Reason::TemplateRejected,
            with_advice(Reason::TemplateRejected, &fact),
        );
    }
    if old > 0 {
        let fact = format!(
            "{old} of {alive} instances were made before the last change of the template or maxPrice; those that replace them follow it"
        );
        return say(False, Reason::NewInstancesOnly, fact);
    }
    say(
        True,
        Reason::AllInstancesUpToDate,
        format!("all {alive} instances were made from the current template"),
    )
}

pub(super) fn credentials_valid(report: &Report<'_>) -> Verdict {
    match &report.summary.stage {
        Stage::Blind(Blind::CredentialsInvalid { step, fact }) => {
            let reason = match reason_of_step(*step) {
                Reason::CredentialsInvalid => Reason::CredentialsFailed,
                other => other,
            };
            quote(False, reason, with_advice(reason, fact))
        }
        Stage::Blind(Blind::Unreachable { .. } | Blind::NotAsked) => unreadable(report),
        // Whoever is refused or slowed down has shown valid credentials.
        _ => say(
            True,
            Reason::TokenIssued,
            "the operator gets tokens for Azure",
        ),
    }
}

/// What is said while Azure cannot be read: nothing new until the progress deadline, then that nothing is known.
fn unreadable(report: &Report<'_>) -> Verdict {
    match &report.summary.stage {
        Stage::Blind(blind) => match report.summary.health {
            Health::Unknown { since } => say(Unknown, Reason::AzureUnreachable, silent_text(since)),
            _ => keep(Reason::AzureUnreachable, &blind_text(blind).1),
        },
        _ => keep(Reason::AzureUnreachable, ""),
    }
}

pub(super) fn suspended(report: &Report<'_>) -> Verdict {
    let would = match &report.summary.stage {
        Stage::Suspended { would } => would.as_deref(),
        _ => None,
    };
    is_suspended(report.pool.spec.suspend, would)
}

pub(super) fn is_suspended(suspended: bool, would: Option<&str>) -> Verdict {
    match (suspended, would) {
        (false, _) => say(
            ConditionStatus::False,
            Reason::NotSuspended,
            "the operator may write to Azure",
        ),
        (true, None) => say(
            True,
            Reason::Suspended,
            "nothing is written to Azure; nothing would be done",
        ),
        (true, Some(would)) => say(
            True,
            Reason::Suspended,
            format!("nothing is written to Azure; would do: {would}"),
        ),
    }
}

/// The refusals that stand in the way, the most preferred size first; of a stage `Refused` there is always one.
pub(super) fn refusals<'a>(report: &'a Report<'_>) -> Vec<&'a Closed> {
    let closed = &report.memory.kept.closed;
    let general = closed
        .iter()
        .filter(|closed| !closed.refusal.kind.is_about_the_size() && closed.until > report.now);
    let sizes = &report.resolved.desired.vm_sizes;
    let by_size = sizes
        .iter()
        .filter_map(|size| closed.iter().find(|closed| &closed.vm_size == size));
    let general: Vec<&Closed> = general.collect();
    let mut all = if general.is_empty() {
        by_size.collect()
    } else {
        general
    };
    if let (Stage::Refused(closed), true) = (&report.summary.stage, all.is_empty()) {
        all.push(closed);
    }
    all
}
