//! Surveys every place where pools are at rest, once an interval, and wakes those whose scale set no longer is as their look left it.
//!
//! In come pools that a look found at rest, out go wakes for the controller; [`super::reconcile`] asks here whether a look may be left out.
//! One survey stands for the looks of all pools of a subscription and location, so what rest costs does not grow with them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use spotpool_core::planner::Desired;
use spotpool_core::units::Timestamp;

use crate::api::SpotPool;
use crate::cloud::{Scope, Survey};

use super::Context;
use super::desired::Resolved;
use super::roster::{Rest, Roster};
use super::turn::Turn;
use super::watch::Guarded;

/// Places surveyed at a time, so that a slow one does not hold up all others.
const AT_ONCE: usize = 4;

/// Who is woken, in the words of the controller.
type Pool = ObjectRef<Guarded>;

/// Who is at rest, shared by the task and all turns.
#[derive(Debug)]
pub struct Surveyor {
    roster: Mutex<Roster<Pool>>,
    wakes: UnboundedSender<Pool>,
}

impl Surveyor {
    /// Nobody at rest yet, and the stream of those to wake.
    pub fn new() -> (Self, UnboundedReceiver<Pool>) {
        let (wakes, woken) = unbounded();
        let roster = Mutex::default();
        (Self { roster, wakes }, woken)
    }

    fn roster(&self) -> MutexGuard<'_, Roster<Pool>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pool is at rest and a survey says that a look would show the same as the last one.
    pub fn spares(&self, uid: &str, desired: &Desired, now: Timestamp) -> bool {
        self.roster().spares(uid, desired, now)
    }

    /// A pool is about to be looked at.
    pub fn rises(&self, uid: &str) {
        self.roster().rises(uid);
    }

    /// A turn has ended, and all of it is said. Only a pool at rest is surveyed.
    pub fn ended(&self, pool: &SpotPool, resolved: &Resolved, turn: &Turn) {
        let Some((looked, line)) = turn.rest else {
            return;
        };
        let rest = Rest {
            scope: Scope::of(&resolved.place),
            set: resolved.place.scale_set_id().to_ascii_lowercase(),
            line,
            looked,
            desired: resolved.desired.clone(),
        };
        let reference =
            ObjectRef::new(&pool.name_any()).within(pool.namespace().unwrap_or_default().as_str());
        let uid = pool.uid().unwrap_or_default();
        self.roster().rests(&uid, reference, rest);
    }

    /// A pool is gone.
    pub fn forget(&self, uid: &str) {
        self.roster().forget(uid);
    }
}

/// Surveys for ever.
pub async fn run(context: Arc<Context>) {
    loop {
        tokio::time::sleep(super::reconcile::duration(context.settings.pace.rest)).await;
        let scopes = context.surveyor.roster().scopes();
        stream::iter(scopes)
            .for_each_concurrent(AT_ONCE, async |scope| survey(&scope, &context).await)
            .await;
    }
}

async fn survey(scope: &Scope, context: &Context) {
    let survey = context.cloud.survey(scope).await;
    let (subscription, location) = (&scope.subscription, &scope.location);
    match &survey {
        Survey::Known { lines, .. } => {
            tracing::debug!(subscription, location, sets = lines.len(), "surveyed");
        }
        Survey::Unknown(why) => {
            tracing::warn!(
                subscription,
                location,
                "no survey, pools at rest will look for themselves: {why}"
            );
        }
    }
    let known = matches!(survey, Survey::Known { .. });
    let surveyor = &context.surveyor;
    let woken = surveyor.roster().hear(scope, survey, context.clock.now());
    context.metrics.surveyed(known, woken.len());
    for pool in woken {
        tracing::info!(pool = %pool, "a survey shows its scale set changed: looking");
        // Nobody listens any more only when the controller ends.
        let _ = surveyor.wakes.unbounded_send(pool);
    }
}
