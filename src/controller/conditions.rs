//! The conditions of a pool, by the table *Ready, Reconciling, Stalled* of the API's design.
//!
//! In comes what a turn has to say ([`Report`]) and the conditions as last written; out go the new ones. Pure: a report that says the
//! same gives the very same conditions, however much later it is made. `lastTransitionTime` moves when a status flips and at no other
//! time; Reconciling and Stalled are absent rather than False, and never both present.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use spotpool_core::planner::{Blind, Closed, Health, Intent, Stage};

use crate::api::reasons::ConditionStatus::{self, False, True, Unknown};
use crate::api::{ConditionType, Reason};

use super::deleting;
use super::status::Report;
use super::times::{clock_text, time};
use super::words::{blind_text, closed_text, cut, reason_of, refusal_text, with_advice};

/// The most that `metav1.Condition` takes.
const LONGEST_MESSAGE: usize = 32_768;

/// What one condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    status: ConditionStatus,
    reason: Reason,
    message: String,
    /// The message carries a fact in Azure's words, which may differ from look to look (trace ids): the first one stays while the reason does.
    verbatim: bool,
}

/// What to do with one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write this.
    Say(Said),
    /// Nothing new is known: leave it as it is, or write this if it was never written.
    Keep(Said),
    /// It does not apply.
    Absent,
}

pub(super) fn say(status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Verdict {
    Verdict::Say(Said {
        status,
        reason,
        message: message.into(),
        verbatim: false,
    })
}

pub(super) fn quote(
    status: ConditionStatus,
    reason: Reason,
    message: impl Into<String>,
) -> Verdict {
    Verdict::Say(Said {
        status,
        reason,
        message: message.into(),
        verbatim: true,
    })
}

fn keep(reason: Reason, message: &str) -> Verdict {
    Verdict::Keep(Said {
        status: Unknown,
        reason,
        message: message.to_owned(),
        verbatim: true,
    })
}

/// All conditions of a turn, in the order of the documentation.
pub fn conditions(report: &Report<'_>, old: &[Condition]) -> Vec<Condition> {
    let human = needs_a_human(report);
    let verdicts = [
        (ConditionType::Ready, ready(report, human.as_ref())),
        (
            ConditionType::SpotSatisfied,
            spot_satisfied(report, human.as_ref()),
        ),
        (ConditionType::UpToDate, up_to_date(report)),
        (ConditionType::CredentialsValid, credentials_valid(report)),
        (ConditionType::Suspended, suspended(report)),
        (
            ConditionType::Reconciling,
            reconciling(report, human.as_ref()),
        ),
        (ConditionType::Stalled, stalled(report, human.as_ref())),
        (ConditionType::Deleting, deleting::condition(report)),
    ];
    write(verdicts, old, report)
}

/// The conditions of a pool whose spec cannot be used: nothing was looked at, so all else stays as it was.
pub fn of_invalid_spec(
    fact: &str,
    suspended: bool,
    old: &[Condition],
    generation: i64,
    now: spotpool_core::units::Timestamp,
) -> Vec<Condition> {
    let message = with_advice(Reason::InvalidSpec, fact);
    let nothing_known = "the spec cannot be used: Azure was not looked at";
    let unknown = |reason| keep(reason, nothing_known);
    [
        (
            ConditionType::Ready,
            say(False, Reason::InvalidSpec, &*message),
        ),
        (
            ConditionType::SpotSatisfied,
            say(False, Reason::InvalidSpec, &*message),
        ),
        (ConditionType::UpToDate, unknown(Reason::AzureUnreachable)),
        (
            ConditionType::CredentialsValid,
            unknown(Reason::AzureUnreachable),
        ),
        (ConditionType::Suspended, is_suspended(suspended, None)),
        (
            ConditionType::Stalled,
            say(True, Reason::InvalidSpec, message),
        ),
    ]
    .into_iter()
    .filter_map(|(kind, verdict)| place(kind, verdict, old, generation, now))
    .collect()
}

fn write(
    verdicts: impl IntoIterator<Item = (ConditionType, Verdict)>,
    old: &[Condition],
    report: &Report<'_>,
) -> Vec<Condition> {
    let generation = report.resolved.desired.generation;
    verdicts
        .into_iter()
        .filter_map(|(kind, verdict)| place(kind, verdict, old, generation, report.now))
        .collect()
}

/// One condition, with the transition time it keeps or gets.
pub(super) fn place(
    kind: ConditionType,
    verdict: Verdict,
    old: &[Condition],
    generation: i64,
    now: spotpool_core::units::Timestamp,
) -> Option<Condition> {
    let before = old
        .iter()
        .find(|condition| condition.type_ == kind.as_str());
    let said = match (verdict, before) {
        (Verdict::Absent, _) => return None,
        (Verdict::Keep(_), Some(before)) => {
            return Some(Condition {
                observed_generation: Some(generation),
                ..before.clone()
            });
        }
        (Verdict::Keep(said) | Verdict::Say(said), _) => said,
    };
    let same_status = before.filter(|before| before.status == said.status.as_str());
    let same_reason = same_status.filter(|before| before.reason == said.reason.as_str());
    let message = match same_reason {
        Some(before) if said.verbatim => before.message.clone(),
        _ => cut(&said.message, LONGEST_MESSAGE),
    };
    Some(Condition {
        type_: kind.as_str().to_owned(),
        status: said.status.as_str().to_owned(),
        reason: said.reason.as_str().to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: same_status
            .map_or_else(|| time(now), |before| before.last_transition_time.clone()),
    })
}

/// Something that only a person can end, if there is such a thing.
pub(super) struct Human {
    pub reason: Reason,
    pub message: String,
    verbatim: bool,
}

impl Human {
    fn on(&self, status: ConditionStatus) -> Verdict {
        if self.verbatim {
            quote(status, self.reason, &*self.message)
        } else {
            say(status, self.reason, &*self.message)
        }
    }
}

fn needs_a_human(report: &Report<'_>) -> Option<Human> {
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
        Stage::Blind(Blind::CredentialsInvalid { fact }) => {
            return Some(human(Reason::CredentialsInvalid, fact, true));
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

/// The refusals that stand in the way, the most preferred size first; of a stage `Refused` there is always one.
fn refusals<'a>(report: &'a Report<'_>) -> Vec<&'a Closed> {
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

fn ready(report: &Report<'_>, human: Option<&Human>) -> Verdict {
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

fn overdue_text(count: &str, since: spotpool_core::units::Timestamp) -> String {
    with_advice(
        Reason::ProgressDeadlineExceeded,
        &format!("{count}: too few since {}", clock_text(since)),
    )
}

fn silent_text(since: spotpool_core::units::Timestamp) -> String {
    with_advice(
        Reason::AzureUnreachable,
        &format!("Azure has not been readable since {}", clock_text(since)),
    )
}

fn reconciling(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    if human.is_some() || report.is_deleting() || report.is_suspended() {
        return Verdict::Absent;
    }
    if matches!(report.summary.health, Health::Overdue { .. }) {
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

fn stalled(report: &Report<'_>, human: Option<&Human>) -> Verdict {
    if report.is_suspended() {
        return Verdict::Absent;
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

fn spot_satisfied(report: &Report<'_>, human: Option<&Human>) -> Verdict {
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

fn up_to_date(report: &Report<'_>) -> Verdict {
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
            "{old} of {alive} instances were made before the last change of the template or maxPrice"
        );
        return say(
            False,
            Reason::NewInstancesOnly,
            with_advice(Reason::NewInstancesOnly, &fact),
        );
    }
    say(
        True,
        Reason::AllInstancesUpToDate,
        format!("all {alive} instances were made from the current template"),
    )
}

fn credentials_valid(report: &Report<'_>) -> Verdict {
    match &report.summary.stage {
        Stage::Blind(Blind::CredentialsInvalid { fact }) => quote(
            False,
            Reason::CredentialsFailed,
            with_advice(Reason::CredentialsFailed, fact),
        ),
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

fn suspended(report: &Report<'_>) -> Verdict {
    let would = match &report.summary.stage {
        Stage::Suspended { would } => would.as_deref(),
        _ => None,
    };
    is_suspended(report.pool.spec.suspend, would)
}

fn is_suspended(suspended: bool, would: Option<&str>) -> Verdict {
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

impl Report<'_> {
    fn is_suspended(&self) -> bool {
        self.resolved.desired.intent == Intent::Watch
    }
}
