//! One turn of one pool, without Kubernetes: look, plan, act, remember.
//!
//! In come what is wanted and what is remembered; out goes a [`Turn`]: what to say, what happened, when to look again. The memory is
//! changed in place as soon as an answer is there, so that nothing is lost when saying it fails.

use spotpool_core::planner::{
    Action, Added, Answer, Because, Blind, Health, Plan, Refusal, Stage, Summary, added,
    closed_until, plan, refused_note, remember, within,
};
use spotpool_core::units::{Millis, Timestamp};

use crate::api::{EventReason, LastAction};
use crate::clock::Clock;
use crate::cloud::{Cloud, Line, Receipt, Urgency};

use super::desired::Resolved;
use super::events::Happening;
use super::pools::{PoolState, Stuck};
use super::status::last_action;
use super::urgency;
use super::words::{action_word, answer_text, answer_word, blind_text, refusal_text};

/// The longest wait before a declined deletion is tried again.
const LONGEST_WAIT: Millis = Millis::minutes(10);

/// What a turn came to.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What the planner has to say.
    pub summary: Summary,
    /// What is to be done, until it is done.
    pub action: Option<(Action, Because)>,
    /// What it adds that the quota must bear.
    pub added: Option<Added>,
    /// What was done, for `status.lastAction`.
    pub done: Option<LastAction>,
    /// What people are told.
    pub happenings: Vec<Happening>,
    /// What was asked and answered, for metrics.
    pub asked: Option<(&'static str, &'static str)>,
    /// Evictions noticed.
    pub evicted: u64,
    /// When to look again.
    pub next: Timestamp,
    /// When the look was made and what it showed, if from now on nothing but a change of what is wanted or of the set changes anything.
    pub rest: Option<(Timestamp, Line)>,
}

/// Looks and decides.
pub async fn look_and_plan(
    pool: &str,
    resolved: &Resolved,
    state: &mut PoolState,
    cloud: &dyn Cloud,
    clock: &Clock,
) -> Turn {
    let urgency = state.eager.unwrap_or(Urgency::Looking);
    let began = clock.now();
    let look = cloud
        .look(&resolved.place, state.unfinished.as_ref(), urgency)
        .await;
    state.unfinished = look.unfinished;
    let before = state.memory.kept.evictions;
    let now = clock.now();
    let Plan {
        action,
        notes,
        memory,
        summary,
        next,
    } = plan(&resolved.desired, &look.observed, &state.memory, now);
    state.memory = memory;
    for note in &notes {
        tracing::info!(pool, reason = note.reason.as_str(), "{}", note.message);
    }
    let added = action
        .as_ref()
        .and_then(|(action, because)| added(&look.observed, &state.memory, action, because));
    let mut turn = Turn {
        summary,
        action,
        added,
        done: None,
        happenings: notes
            .iter()
            .map(|note| Happening::of(note, "Look"))
            .collect(),
        asked: None,
        evicted: state.memory.kept.evictions.saturating_sub(before),
        next,
        rest: None,
    };
    // What waits for a time of its own, such as a clock in memory, is not at rest.
    let timeless = turn.summary.health == Health::Enough
        && turn.next == now + resolved.desired.pace.rest
        && state.memory.kept.closed.iter().all(|one| one.until <= now);
    let at_rest = matches!(turn.summary.stage, Stage::AtRest | Stage::Suspended { .. });
    // After a restart the capacity is not believed before it has stood still under this process's own eyes: without that the first
    // eviction would wait for it.
    let knows = state.memory.process.believed.is_some();
    if at_rest && timeless && knows && state.unfinished.is_none() {
        turn.rest = Line::of(&look.observed).map(|line| (began, line));
    }
    state.eager = urgency::after_look(&turn, state.eager, state.unfinished.is_some());
    turn.tell_blindness(state);
    turn.log_wait(pool, state);
    turn
}

impl Turn {
    /// Carries out what was decided, if anything was.
    pub async fn act(
        &mut self,
        pool: &str,
        resolved: &Resolved,
        state: &mut PoolState,
        cloud: &dyn Cloud,
        clock: &Clock,
    ) {
        let Some((action, because)) = self.action.take() else {
            return;
        };
        let urgency = urgency::of_write(&action, &because);
        let rows = match self.added {
            // What was read before the pool's own last write does not count that.
            Some(_) => {
                let since = state.memory.process.last_write;
                cloud.quota(&resolved.place, since, urgency).await
            }
            None => Ok(Vec::new()),
        };
        if let Err(fact) = &rows {
            tracing::debug!(pool, "buys without having asked for the quota: {fact}");
        }
        let (action, because, refusal) =
            within(self.added, action, because, &rows.unwrap_or_default());
        let receipt = match refusal {
            Some(refusal) => Receipt::unasked(refusal),
            None => {
                cloud
                    .act(&resolved.place, &resolved.shape, &action, urgency)
                    .await
            }
        };
        state.eager = urgency::after_write(&receipt.answer, state.eager);
        let now = clock.now();
        state.memory = remember(
            &resolved.desired,
            &state.memory,
            &action,
            &receipt.answer,
            now,
        );
        if receipt.operation.is_some() {
            state.unfinished.clone_from(&receipt.operation);
        }
        self.asked = Some((action_word(&action), answer_word(&receipt.answer)));
        log_decision(pool, &action, &because, &receipt);
        if !matches!(
            receipt.answer,
            Answer::Changed | Answer::Missing | Answer::Later(_)
        ) {
            let mut message = because.message.clone();
            if let Some(text) = answer_text(&receipt.answer) {
                message = format!("{message}; {text}");
            }
            let reason = because.reason.as_str();
            self.done = Some(last_action(action_word(&action), reason, &message, now));
        }
        match &receipt.answer {
            Answer::Accepted => {
                if matches!(action, Action::Remove { .. }) {
                    state.stuck = None;
                }
                self.happenings
                    .push(Happening::of(&because, action_word(&action)));
            }
            Answer::Refused(refusal) => self.refused(&action, refusal, resolved, state, now),
            Answer::Later(at) => self.next = self.next.max(*at),
            Answer::Changed | Answer::Missing | Answer::Unclear => {}
        }
    }

    /// Takes a no into what this turn says; the planner says the same from the next look on.
    fn refused(
        &mut self,
        action: &Action,
        refusal: &Refusal,
        resolved: &Resolved,
        state: &mut PoolState,
        now: Timestamp,
    ) {
        let word = action_word(action);
        let kept = &state.memory.kept;
        let mut tell = |reason, note| {
            self.happenings.push(Happening {
                reason,
                note,
                action: word,
            })
        };
        match action {
            Action::Create { vm_size, .. }
            | Action::Resize { vm_size, .. }
            | Action::Restart { vm_size, .. } => {
                if let Some(closed) = kept.closed.iter().find(|one| &one.vm_size == vm_size) {
                    self.happenings
                        .push(Happening::of(&refused_note(closed), word));
                }
                if let Some(closed) = closed_until(&resolved.desired, &state.memory, now) {
                    self.summary.stage = Stage::Refused(closed);
                }
            }
            Action::Reshape { .. } => {
                tell(EventReason::TemplateRejected, refusal_text(refusal));
                let rejected = state.memory.process.rejected.as_ref();
                self.summary.rejected_model = rejected.map(|(_, closed)| closed.clone());
            }
            Action::Remove { .. } => {
                let known = state.stuck.as_ref();
                if known.is_none_or(|stuck| stuck.refusal.code != refusal.code) {
                    tell(EventReason::DeletionBlocked, refusal_text(refusal));
                }
                let strikes = known.map_or(0, |stuck| stuck.strikes).saturating_add(1);
                let wait = resolved
                    .desired
                    .pace
                    .rest
                    .0
                    .saturating_mul(1 << strikes.saturating_sub(1).min(10));
                self.next = now + Millis(wait.min(LONGEST_WAIT.0));
                state.stuck = Some(Stuck {
                    refusal: refusal.clone(),
                    strikes,
                });
            }
            Action::Replace { .. } => {}
        }
    }

    /// The first look that brought nothing is an event; the following ones of the same kind are not.
    fn tell_blindness(&mut self, state: &mut PoolState) {
        let Stage::Blind(blind) = &self.summary.stage else {
            state.blind = None;
            return;
        };
        let (kind, note) = blind_text(blind);
        if state.blind.replace(kind) == Some(kind) {
            return;
        }
        let reason = match blind {
            Blind::Throttled { .. } => EventReason::Throttled,
            Blind::CredentialsInvalid { .. } => EventReason::CredentialsFailed,
            // Its turn comes; that is in metrics, not an event for each pool.
            Blind::HeldBack { .. }
            | Blind::Unreachable { .. }
            | Blind::Forbidden { .. }
            | Blind::NotAsked => return,
        };
        self.happenings.push(Happening {
            reason,
            note,
            action: "Look",
        });
    }

    /// One line when a wait begins or its reason changes, none while it lasts.
    fn log_wait(&self, pool: &str, state: &mut PoolState) {
        let (key, text) = wait_text(&self.summary);
        if key == state.logged {
            return;
        }
        state.logged = key;
        match &self.summary.stage {
            // Told where it is done.
            Stage::Acting | Stage::Gone => {}
            Stage::Blind(_) | Stage::NotOurs { .. } | Stage::Implausible { .. } => {
                tracing::warn!(pool, "{text}")
            }
            _ => tracing::info!(pool, "{text}"),
        }
    }
}

fn log_decision(pool: &str, action: &Action, because: &Because, receipt: &Receipt) {
    let (action, answer) = (action_word(action), answer_word(&receipt.answer));
    let (reason, request_id) = (because.reason.as_str(), receipt.request_id.as_str());
    let message = &because.message;
    match &receipt.answer {
        Answer::Accepted => tracing::info!(pool, action, reason, answer, request_id, "{message}"),
        other => {
            let text = answer_text(other).unwrap_or_default();
            let fact = receipt.fact.as_str();
            tracing::warn!(
                pool,
                action,
                reason,
                answer,
                request_id,
                fact,
                "{message}; {text}"
            );
        }
    }
}

/// What is waited for: a key that changes when the wait does, and a sentence.
fn wait_text(summary: &Summary) -> (String, String) {
    let same = |text: String| (text.clone(), text);
    match &summary.stage {
        Stage::Acting => same("acting".to_owned()),
        Stage::Busy => same("Azure is at work on the scale set".to_owned()),
        Stage::Starting => same("instances are starting or stopping".to_owned()),
        Stage::Settling { message } => {
            same(format!("waits for the facts to stand still: {message}"))
        }
        Stage::Implausible { message } => same(format!("cannot be true: {message}")),
        Stage::Refused(closed) => same(format!("waits: {}", super::words::closed_text(closed))),
        Stage::ConfirmationNeeded { taking } => same(format!(
            "waits for a confirmation: {taking} instances would be removed at once"
        )),
        Stage::AtRest => same("at rest: everything as declared".to_owned()),
        Stage::Suspended { would: None } => same("suspended: nothing would be done".to_owned()),
        Stage::Suspended { would: Some(would) } => same(format!("suspended, would do: {would}")),
        Stage::NotOurs { owner } => same(match owner {
            Some(owner) => format!("the scale set of that name belongs to {owner}: not touched"),
            None => "the scale set of that name carries no ownership tag: not touched".to_owned(),
        }),
        Stage::Blind(blind) => {
            let (kind, fact) = blind_text(blind);
            (
                kind.to_owned(),
                format!("cannot see the scale set ({kind}): {fact}"),
            )
        }
        Stage::Going => same("the scale set is being deleted".to_owned()),
        Stage::Gone => same("the scale set is gone".to_owned()),
    }
}
