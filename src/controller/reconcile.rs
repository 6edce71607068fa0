//! One reconcile, in five steps: what is wanted, what is there, what to do about it, do it, say it.
//!
//! In comes a SpotPool from the store; out goes the time of the next look. Nothing is awaited but the calls themselves: whatever is
//! too early comes back as a time, so that one slow call never holds up another pool.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::controller::Action as Next;
use spotpool_core::planner::{Action, Counts, Intent, Stage};
use spotpool_core::units::Millis;
use tokio::time::Instant;

use crate::api::{EventReason, FINALIZER, RELEASE_FINALIZER, Reason, SpotPool, SpotPoolStatus};
use crate::cloud::Account;

use super::Context;
use super::desired::{
    Resolved, Unusable, account, account_of, has_finalizer, is_deleting, resolve,
};
use super::events::Happening;
use super::kubernetes::{Error, label};
use super::objects;
use super::pools::PoolState;
use super::status::{self, Report};
use super::turn::{Turn, look_and_plan};
use super::unreadable;
use super::watch::Guarded;

/// No pool is looked at more often, whatever the pace.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Makes one turn of one pool.
///
/// # Errors
/// If the Kubernetes API did not take what was to be written; Azure's answers are never errors here.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Next, Error> {
    let began = Instant::now();
    let result = match &object.0 {
        Ok(pool) => five_steps(pool, &context).await,
        Err(invalid) => unreadable::report(invalid, &context).await,
    };
    context.metrics.reconciled(result.is_ok(), began.elapsed());
    result
}

async fn five_steps(pool: &SpotPool, context: &Context) -> Result<Next, Error> {
    if let Some(next) = finalizer(pool, context).await? {
        return Ok(next);
    }
    let (cloud, clock, name) = (context.cloud.as_ref(), &context.clock, label(pool));
    let state = context.pools.of(&pool.uid().unwrap_or_default());
    let mut state = state.lock().await;
    state.restore(pool.status.as_ref());
    keep_account(pool, &mut state, context).await?;
    if status::asks_anew(pool, &state.applied) {
        state.memory.reopen();
        state.objects = None;
        context.surveyor.rises(&pool.uid().unwrap_or_default());
    }

    // 1. What is wanted.
    let settings = &context.settings;
    let contents = objects::contents(
        pool,
        &mut state.objects,
        &context.kubernetes,
        clock.now(),
        settings.pace.rest,
    );
    let contents = contents.await?;
    let resolved = match contents.and_then(|contents| resolve(pool, contents, settings)) {
        Ok(resolved) => resolved,
        Err(unusable) => return say_unusable(pool, &unusable, &mut state, context).await,
    };
    let uid = pool.uid().unwrap_or_default();
    if context
        .surveyor
        .spares(&uid, &resolved.desired, clock.now())
    {
        context.metrics.look_spared();
        let wait = duration(settings.pace.rest) + jitter(&uid, settings.pace.rest);
        return Ok(Next::requeue(wait.max(SHORTEST_WAIT)));
    }
    context.surveyor.rises(&uid);
    // 2. What is there. 3. What to do about it.
    let mut turn = look_and_plan(&name, &resolved, &mut state, cloud, clock).await;
    // 4. Do it.
    if spared_with_the_definition(&turn, context).await? {
        return let_go(pool, &resolved, true, context).await;
    }
    turn.act(&name, &resolved, &mut state, cloud, clock).await;
    // 5. Say it.
    if turn.summary.stage == Stage::Gone {
        return let_go(pool, &resolved, false, context).await;
    }
    say(pool, &resolved, &turn, &mut state, context).await?;
    context.surveyor.ended(pool, &resolved, &turn);
    Ok(next(pool, &resolved, &turn, context))
}

/// What to return early with: before our finalizers are on the object nothing is done in Azure, and after the first is off nothing is
/// left to do there.
async fn finalizer(pool: &SpotPool, context: &Context) -> Result<Option<Next>, Error> {
    let mut ours = vec![FINALIZER];
    if account(pool).is_some() {
        ours.push(RELEASE_FINALIZER);
    }
    ours.retain(|one| !has_finalizer(pool, one));
    match (is_deleting(pool), ours.contains(&FINALIZER)) {
        (true, false) => Ok(None),
        (true, true) => {
            if has_finalizer(pool, RELEASE_FINALIZER) {
                release_last(pool, context).await?;
            }
            Ok(Some(Next::await_change()))
        }
        (false, _) if ours.is_empty() => Ok(None),
        (false, _) => {
            let kubernetes = &context.kubernetes;
            kubernetes.add_finalizers(&pool.metadata, &ours).await?;
            // The watch brings the object back with its finalizers; the time is for a watch that has just broken.
            Ok(Some(Next::requeue(duration(context.settings.pace.motion))))
        }
    }
}

/// While SpotPool's definition itself is being deleted, every pool is, without anybody having asked for that one.
async fn spared_with_the_definition(turn: &Turn, context: &Context) -> Result<bool, Error> {
    match turn.action {
        Some((Action::Remove { .. }, _)) => context.kubernetes.definition_is_going().await,
        _ => Ok(false),
    }
}

/// The scale set is gone, or stays and is nobody's: the object may go.
async fn let_go(
    pool: &SpotPool,
    resolved: &Resolved,
    spared: bool,
    context: &Context,
) -> Result<Next, Error> {
    let id = resolved.place.scale_set_id();
    let name = label(pool);
    if spared || resolved.desired.intent == Intent::Orphan {
        let why = if spared {
            "the definition of SpotPool is being deleted"
        } else {
            "deletionPolicy is Orphan"
        };
        let note = format!("{why}: {id} is left as it is, with its instances");
        tracing::info!(pool = name, "{note}");
        let happening = Happening {
            reason: EventReason::ScaleSetOrphaned,
            note,
            action: "Orphan",
        };
        context.events.publish(pool, &happening).await;
    } else {
        tracing::info!(
            pool = name,
            "nothing of this pool is left at {id}: the object may go"
        );
    }
    // The ServiceAccount comes after it, as the watch brings the object back: not before, since a crash in between would leave nobody who
    // may look whether the scale set is gone.
    let (kubernetes, meta) = (&context.kubernetes, &pool.metadata);
    kubernetes.remove_finalizer(meta, FINALIZER).await?;
    Ok(Next::await_change())
}

/// Keeps the ServiceAccount that the pool names, and lets go of the one that it named before.
async fn keep_account(
    pool: &SpotPool,
    state: &mut PoolState,
    context: &Context,
) -> Result<(), Error> {
    let (wanted, uid) = (account(pool), pool.uid().unwrap_or_default());
    let before = state.applied.service_account_name.clone();
    if let Some(before) = before.map(|name| account_of(pool, name))
        && Some(&before) != wanted.as_ref()
    {
        release(&before, &uid, context).await?;
    }
    // Without the finalizer that reminds of it nothing is kept: a pool that got its account while it was being deleted cannot have it.
    let wanted = wanted.filter(|_| has_finalizer(pool, RELEASE_FINALIZER));
    if state.held != wanted {
        let held = match &wanted {
            Some(wanted) => context.accounts.hold(wanted).await?,
            None => false,
        };
        state.held = wanted.filter(|_| held);
    }
    Ok(())
}

/// The last step of a deletion: nothing of the pool is left in Azure.
async fn release_last(pool: &SpotPool, context: &Context) -> Result<(), Error> {
    if let Some(account) = account(pool) {
        release(&account, &pool.uid().unwrap_or_default(), context).await?;
    }
    let kubernetes = &context.kubernetes;
    kubernetes
        .remove_finalizer(&pool.metadata, RELEASE_FINALIZER)
        .await
}

async fn release(account: &Account, uid: &str, context: &Context) -> Result<(), Error> {
    if context.users.others(account, uid) {
        return Ok(());
    }
    context.accounts.release(account).await?;
    context.cloud.forget(account);
    Ok(())
}

/// So many happenings are kept for an API server that is silent.
const MOST_UNTOLD: usize = 20;

async fn say(
    pool: &SpotPool,
    resolved: &Resolved,
    turn: &Turn,
    state: &mut PoolState,
    context: &Context,
) -> Result<(), Error> {
    count(pool, turn, context);
    let report = Report {
        pool,
        resolved,
        summary: &turn.summary,
        memory: &state.memory,
        done: turn.done.as_ref(),
        stuck: state.stuck.as_ref().map(|stuck| &stuck.refusal),
        now: context.clock.now(),
    };
    let new = status::status(&report, &state.applied);
    let written = write(pool, new, state, context).await;
    state.untold.extend(turn.happenings.iter().cloned());
    if written.as_ref().is_err_and(|error| error.code().is_none()) {
        // The API server is away: what it would not hear now is told later, and Azure is not kept waiting for it.
        let surplus = state.untold.len().saturating_sub(MOST_UNTOLD);
        state.untold.drain(..surplus);
        return written;
    }
    for happening in std::mem::take(&mut state.untold) {
        context.events.publish(pool, &happening).await;
    }
    written
}

async fn say_unusable(
    pool: &SpotPool,
    unusable: &Unusable,
    state: &mut PoolState,
    context: &Context,
) -> Result<Next, Error> {
    if state.logged != unusable.fact {
        tracing::warn!(pool = label(pool), "{unusable}");
        state.logged.clone_from(&unusable.fact);
    }
    let new = status::unusable(pool, unusable, &state.applied, context.clock.now());
    write(pool, new, state, context).await?;
    Ok(match unusable.reason {
        // Nobody tells when a Secret appears.
        Reason::ReferenceUnusable => Next::requeue(duration(context.settings.pace.rest)),
        _ => Next::await_change(),
    })
}

/// Writes a status when it differs from the one written last.
async fn write(
    pool: &SpotPool,
    new: SpotPoolStatus,
    state: &mut PoolState,
    context: &Context,
) -> Result<(), Error> {
    if new != state.applied {
        let value = serde_json::to_value(&new).unwrap_or_default();
        context
            .kubernetes
            .write_status(&pool.metadata, &value)
            .await?;
        context.metrics.status_written();
        state.applied = new;
    }
    state.failures = 0;
    Ok(())
}

fn count(pool: &SpotPool, turn: &Turn, context: &Context) {
    let metrics = &context.metrics;
    if let Some((action, answer)) = turn.asked {
        metrics.acted(action, answer);
    }
    metrics.evicted(turn.evicted);
    if !matches!(turn.summary.stage, Stage::Blind(_)) {
        let counts: Counts = turn.summary.counts.unwrap_or_default();
        metrics.counted(
            &pool.namespace().unwrap_or_default(),
            &pool.name_any(),
            &counts,
        );
    }
}

/// When to look again. Pools at rest are spread by a hash of their UID, so that a restart does not make them march in step.
fn next(pool: &SpotPool, resolved: &Resolved, turn: &Turn, context: &Context) -> Next {
    let mut wait = context.clock.until(turn.next);
    if matches!(turn.summary.stage, Stage::AtRest | Stage::Suspended { .. }) {
        wait += jitter(&pool.uid().unwrap_or_default(), resolved.desired.pace.rest);
    }
    Next::requeue(wait.max(SHORTEST_WAIT))
}

/// Up to a tenth of the interval, always the same for the same pool.
fn jitter(uid: &str, rest: Millis) -> Duration {
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let tenth = u64::try_from(rest.0 / 10).unwrap_or(0).max(1);
    Duration::from_millis(hash % tenth)
}

pub(super) fn duration(span: Millis) -> Duration {
    Duration::from_millis(u64::try_from(span.0).unwrap_or(0))
}

/// After a failure of the Kubernetes API: again soon, later each time, a minute at the most.
pub fn on_error(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Next {
    let failures = context.pools.failed(&object.uid().unwrap_or_default());
    let wait =
        Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(60));
    tracing::warn!(
        pool = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
        %error,
        "tried again in {} s",
        wait.as_secs()
    );
    Next::requeue(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_pools_by_at_most_a_tenth_and_always_the_same() {
        let rest = Millis::seconds(30);
        let waits: std::collections::BTreeSet<Duration> = (0..100)
            .map(|n| jitter(&format!("uid-{n}"), rest))
            .collect();
        assert!(waits.len() > 80, "{} different waits", waits.len());
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(3)));
        assert_eq!(jitter("uid-1", rest), jitter("uid-1", rest));
        assert_eq!(jitter("uid-1", Millis(0)), Duration::ZERO);
    }
}
