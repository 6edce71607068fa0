//! The conditions of a pool: which there are, and how one is written.
//!
//! In comes what a turn has to say ([`Report`]) and the conditions as last written; out go the new ones. Pure: a report that says the
//! same gives the very same conditions, however much later it is made. `lastTransitionTime` moves when a status flips and at no other
//! time. What is said stands in `kstatus.rs` (Ready, Reconciling, Stalled), `capacity.rs` (all about Spot, template and credentials)
//! and `deleting.rs`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use spotpool_core::units::Timestamp;

use crate::api::reasons::ConditionStatus::{self, False, True, Unknown};
use crate::api::{ConditionType, Reason};

use super::desired::Unusable;
use super::status::Report;
use super::times::time;
use super::words::{cut, with_advice};
use super::{capacity, deleting, kstatus};

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

pub(super) fn keep(reason: Reason, message: &str) -> Verdict {
    Verdict::Keep(Said {
        status: Unknown,
        reason,
        message: message.to_owned(),
        verbatim: true,
    })
}

/// All conditions of a turn, in the order of the documentation.
pub fn conditions(report: &Report<'_>, old: &[Condition]) -> Vec<Condition> {
    let human = kstatus::needs_a_human(report);
    let verdicts = [
        (ConditionType::Ready, kstatus::ready(report, human.as_ref())),
        (
            ConditionType::SpotSatisfied,
            capacity::spot_satisfied(report, human.as_ref()),
        ),
        (ConditionType::UpToDate, capacity::up_to_date(report)),
        (
            ConditionType::CredentialsValid,
            capacity::credentials_valid(report),
        ),
        (ConditionType::Suspended, capacity::suspended(report)),
        (
            ConditionType::Reconciling,
            kstatus::reconciling(report, human.as_ref()),
        ),
        (
            ConditionType::Stalled,
            kstatus::stalled(report, human.as_ref()),
        ),
        (ConditionType::Deleting, deleting::condition(report)),
    ];
    write(verdicts, old, report)
}

/// The conditions of a pool whose spec cannot be used: nothing was looked at, so all else stays as it was.
pub fn of_unusable_spec(
    trouble: &Unusable,
    suspended: bool,
    old: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let reason = trouble.reason;
    let message = with_advice(reason, &trouble.fact);
    let nothing_known = "the spec cannot be used: Azure was not looked at";
    let unknown = |reason| keep(reason, nothing_known);
    [
        (ConditionType::Ready, say(False, reason, &*message)),
        (ConditionType::SpotSatisfied, say(False, reason, &*message)),
        (ConditionType::UpToDate, unknown(Reason::AzureNotAsked)),
        (
            ConditionType::CredentialsValid,
            unknown(Reason::AzureNotAsked),
        ),
        (
            ConditionType::Suspended,
            capacity::is_suspended(suspended, None),
        ),
        (ConditionType::Stalled, say(True, reason, message)),
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
    now: Timestamp,
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
