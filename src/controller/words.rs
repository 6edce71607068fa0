//! Sentences for people: what Azure's answers are called in conditions, events, logs and metrics.

use spotpool_core::planner::{Action, Answer, Blind, Closed, LoginStep, Refusal, RefusalKind};

use crate::api::Reason;

use super::times::clock_text;

/// The documented reason of a refusal.
pub fn reason_of(kind: RefusalKind) -> Reason {
    match kind {
        RefusalKind::NoCapacity => Reason::NoCapacity,
        RefusalKind::QuotaExceeded => Reason::QuotaExceeded,
        RefusalKind::QuotaIsZero => Reason::QuotaIsZero,
        RefusalKind::PriceAboveLimit => Reason::PriceAboveLimit,
        RefusalKind::VmSizeUnknown => Reason::VmSizeUnknown,
        RefusalKind::TemplateRejected => Reason::TemplateRejected,
        RefusalKind::PlaceMissing => Reason::ResourceGroupNotFound,
        RefusalKind::Forbidden => Reason::Forbidden,
        RefusalKind::Unexplained => Reason::CoolingDown,
    }
}

/// The documented reason of a pool without a token: what is said wherever only a person can help.
pub fn reason_of_step(step: LoginStep) -> Reason {
    match step {
        LoginStep::Choice => Reason::CredentialsRequired,
        LoginStep::Account => Reason::ServiceAccountNotFound,
        LoginStep::Annotation => Reason::ServiceAccountNotAnnotated,
        LoginStep::Namespace => Reason::NamespaceTerminating,
        LoginStep::TokenRequest => Reason::TokenRequestForbidden,
        LoginStep::Material => Reason::CredentialsUnreadable,
        LoginStep::Host => Reason::LoginUnreachable,
        LoginStep::Login | LoginStep::Token => Reason::CredentialsInvalid,
    }
}

/// The word in `status.offerings`: Azure's own code where it says more than our reason, else our reason. Read back by `restore`.
pub fn offering_reason(refusal: &Refusal) -> String {
    match refusal.kind {
        RefusalKind::NoCapacity if !refusal.code.is_empty() => refusal.code.clone(),
        kind => reason_of(kind).as_str().to_owned(),
    }
}

/// `SkuNotAvailable: the size is sold out (request 1234)`, as much of it as is known.
pub fn refusal_text(refusal: &Refusal) -> String {
    let mut text = refusal.code.clone();
    if !refusal.message.is_empty() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(refusal.message.trim_end_matches('.'));
    }
    if !refusal.request_id.is_empty() {
        text.push_str(&format!(" (request {})", refusal.request_id));
    }
    text
}

/// `Standard_D4s_v5: SkuNotAvailable (request …), asked again at 11:01:30Z`.
pub fn closed_text(closed: &Closed) -> String {
    let again = format!("asked again at {}", clock_text(closed.until));
    let mut refusal = closed.refusal.clone();
    if refusal.kind == RefusalKind::NoCapacity && !refusal.code.is_empty() {
        // Azure's sentence says no more than the code does, at ten times the length.
        refusal.message.clear();
    }
    let text = refusal_text(&refusal);
    [closed.vm_size.as_str(), &text]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(": ")
        + ", "
        + &again
}

/// A fact and what to do about it.
pub fn with_advice(reason: Reason, fact: &str) -> String {
    let advice = reason.row().advice;
    let fact = fact.trim_end_matches('.');
    if advice.is_empty() {
        fact.to_owned()
    } else {
        format!("{fact}. {advice}")
    }
}

/// The type in `status.lastAction` and the label in metrics.
pub fn action_word(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "CreateScaleSet",
        Action::Resize { .. } => "CreateInstances",
        Action::Reshape { .. } => "UpdateModel",
        Action::Replace { .. } => "DeleteInstances",
        Action::Restart { .. } => "StartInstances",
        Action::Remove { .. } => "DeleteScaleSet",
    }
}

/// The label in metrics and logs.
pub fn answer_word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accepted => "accepted",
        Answer::Refused(_) => "refused",
        Answer::Changed => "changed",
        Answer::Missing => "missing",
        Answer::Later(_) => "later",
        Answer::Unclear => "unclear",
    }
}

/// What stands behind an answer that is not a plain yes, to be added to a message.
pub fn answer_text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Accepted => None,
        Answer::Refused(refusal) => Some(format!("Azure declined: {}", refusal_text(refusal))),
        Answer::Changed => Some("the scale set had changed meanwhile: nothing was done".to_owned()),
        Answer::Missing => Some("it is not there any more: nothing was done".to_owned()),
        Answer::Later(at) => Some(format!("not before {}", clock_text(*at))),
        Answer::Unclear => Some("no clear answer: it may have happened".to_owned()),
    }
}

/// A word for a kind of blindness, and what happened.
pub fn blind_text(blind: &Blind) -> (&'static str, String) {
    match blind {
        Blind::Unreachable { fact } => ("unreachable", fact.clone()),
        Blind::Throttled { until } => (
            "throttled",
            format!("Azure asked to slow down until {}", clock_text(*until)),
        ),
        Blind::HeldBack { until } => (
            "held-back",
            format!(
                "Azure's limits on calls are used up, this pool's turn is at {}",
                clock_text(*until)
            ),
        ),
        Blind::CredentialsInvalid { step, fact } => (reason_of_step(*step).as_str(), fact.clone()),
        Blind::Forbidden { fact } => ("forbidden", fact.clone()),
        Blind::NotAsked => (
            "not-asked",
            "Azure is at work on the scale set and reads are scarce: its instances are asked for later"
                .to_owned(),
        ),
    }
}

/// Cut to what a field of so many bytes takes, at a character's boundary.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use spotpool_core::units::{Timestamp, VmSize};

    fn refusal() -> Refusal {
        Refusal {
            kind: RefusalKind::NoCapacity,
            code: "SkuNotAvailable".to_owned(),
            message: "sold out.".to_owned(),
            request_id: "r-1".to_owned(),
        }
    }

    #[test]
    fn says_what_azure_said_and_when_it_is_asked_again() {
        let mut closed = Closed {
            vm_size: VmSize::from("Standard_D4s_v5"),
            refusal: refusal(),
            until: Timestamp(90_000),
            strikes: 1,
        };
        assert_eq!(
            closed_text(&closed),
            "Standard_D4s_v5: SkuNotAvailable (request r-1), asked again at 00:01:30Z"
        );
        closed.refusal.kind = RefusalKind::QuotaExceeded;
        closed.refusal.message = "8 of 10 cores left.".to_owned();
        assert!(closed_text(&closed).contains(": 8 of 10 cores left (request r-1)"));
    }

    #[test]
    fn cuts_at_a_characters_boundary() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("ääää", 7), "ää…");
        assert!(cut(&"ä".repeat(2000), 1024).len() <= 1024);
    }
}
