//! The status of a pool, from what a turn has to say.
//!
//! In comes a [`Report`] and the status as last written; out goes the new one. Pure, and nothing in it ticks by itself: the same
//! report gives the same status, so that an equal one need not be written.

use spotpool_core::planner::{Closed, Counts, Memory, Refusal, RefusalKind, Stage, Summary, Tally};
use spotpool_core::units::{Count, Timestamp};

use crate::api::{
    EvictionStatus, LastAction, Offering, OfferingState, POOL_UID_LABEL, Priority,
    REQUESTED_AT_ANNOTATION, RegularCounts, ScaleSetRef, SpotCounts, SpotPool, SpotPoolStatus,
};

use super::conditions::{conditions, of_unusable_spec};
use super::desired::{Resolved, Unusable, account, is_deleting};
use super::times::time;
use super::words::{cut, offering_reason};

/// The bound of `lastAction.message` and `offerings.reason` in the definition.
const LONGEST_TEXT: usize = 1024;

/// All that a turn has to say about its pool.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The object.
    pub pool: &'a SpotPool,
    /// What it asks for.
    pub resolved: &'a Resolved,
    /// What the planner says.
    pub summary: &'a Summary,
    /// What it remembers, after the answer to this turn's action.
    pub memory: &'a Memory,
    /// This turn's action, if there was one.
    pub done: Option<&'a LastAction>,
    /// Why Azure declines to delete the scale set.
    pub stuck: Option<&'a Refusal>,
    /// When the turn was made.
    pub now: Timestamp,
}

impl Report<'_> {
    /// Whether the pool is on its way out.
    pub fn is_deleting(&self) -> bool {
        is_deleting(self.pool)
    }
}

/// The status to write.
pub fn status(report: &Report<'_>, old: &SpotPoolStatus) -> SpotPoolStatus {
    let kept = &report.memory.kept;
    let mut new = SpotPoolStatus {
        conditions: conditions(report, &old.conditions),
        offerings: offerings(&kept.closed, &report.pool.spec.zones),
        evictions: Some(EvictionStatus {
            total: i64::try_from(kept.evictions).unwrap_or(i64::MAX),
            last_time: kept.last_eviction.map(time),
        }),
        last_action: report.done.cloned().or_else(|| old.last_action.clone()),
        ..about(report.pool, old)
    };
    match (&report.summary.stage, report.summary.counts) {
        // The last values stay: what cannot be read is not zero, and no vote to scale.
        (Stage::Blind(_), _) => {}
        (_, Some(counts)) => count(&mut new, report, &counts),
        (_, None) => count(&mut new, report, &Counts::default()),
    }
    new.scale_sets = scale_sets(report, old);
    new
}

/// The status of a pool whose spec cannot be used.
pub fn unusable(
    pool: &SpotPool,
    trouble: &Unusable,
    old: &SpotPoolStatus,
    now: Timestamp,
) -> SpotPoolStatus {
    let generation = pool.metadata.generation.unwrap_or_default();
    SpotPoolStatus {
        conditions: of_unusable_spec(trouble, pool.spec.suspend, &old.conditions, generation, now),
        ..about(pool, old)
    }
}

/// Whether somebody has asked for another try since the last status: Flux's annotation, `kubectl annotate … reconcile.fluxcd.io/requestedAt=…`.
pub fn asks_anew(pool: &SpotPool, old: &SpotPoolStatus) -> bool {
    let handled = &old.last_handled_reconcile_at;
    let asked = about(pool, old).last_handled_reconcile_at;
    asked.is_some() && asked != *handled
}

/// What is known without looking at Azure; all else as it was.
fn about(pool: &SpotPool, old: &SpotPoolStatus) -> SpotPoolStatus {
    let uid = pool.metadata.uid.clone().unwrap_or_default();
    let annotations = pool.metadata.annotations.as_ref();
    SpotPoolStatus {
        observed_generation: pool.metadata.generation,
        selector: Some(format!("{POOL_UID_LABEL}={uid}")),
        service_account_name: account(pool).map(|account| account.name),
        last_handled_reconcile_at: annotations
            .and_then(|annotations| annotations.get(REQUESTED_AT_ANNOTATION))
            .map(|asked| cut(asked, 128)),
        ..old.clone()
    }
}

fn count(new: &mut SpotPoolStatus, report: &Report<'_>, counts: &Counts) {
    let desired = &report.resolved.desired;
    let refused = matches!(report.summary.stage, Stage::Refused(_));
    // Also before the first look after a write: what Azure accepted to provide is held.
    let asked = if refused {
        0
    } else {
        report.memory.kept.asked_spot.min(desired.spot)
    };
    let Tally {
        running,
        starting,
        stopping,
        deallocated,
        failed,
        ..
    } = counts.spot;
    new.spot = Some(SpotCounts {
        replicas: number(counts.spot_held.max(asked)),
        running: number(running),
        starting: number(starting),
        stopping: number(stopping),
        deallocated: number(deallocated),
        failed: number(failed),
    });
    let Tally {
        running,
        starting,
        stopping,
        failed,
        ..
    } = counts.regular;
    new.regular = Some(RegularCounts {
        running: number(running),
        starting: number(starting),
        stopping: number(stopping),
        failed: number(failed),
    });
    new.available_replicas = Some(number(counts.available()));
    new.up_to_date_replicas = Some(number(counts.up_to_date));
}

fn scale_sets(report: &Report<'_>, old: &SpotPoolStatus) -> Vec<ScaleSetRef> {
    match (&report.summary.stage, report.summary.counts) {
        (Stage::NotOurs { .. } | Stage::Gone, _) => Vec::new(),
        (_, Some(_)) => vec![ScaleSetRef {
            name: report.resolved.place.scale_set.clone(),
            id: Some(report.resolved.place.scale_set_id()),
        }],
        (Stage::Blind(_), None) => old.scale_sets.clone(),
        (_, None) => Vec::new(),
    }
}

fn offerings(closed: &[Closed], zones: &[String]) -> Vec<Offering> {
    // Azure does not say which of several zones had nothing left; quota and price are the region's.
    let zone_of = |kind| match zones {
        [zone] if kind == RefusalKind::NoCapacity => zone.clone(),
        _ => String::new(),
    };
    // A refusal that is not about a size (a policy, a missing resource group) may carry none.
    let of_a_size = closed
        .iter()
        .filter(|closed| !closed.vm_size.as_str().is_empty());
    let offering = |closed: &Closed| Offering {
        vm_size: closed.vm_size.0.clone(),
        zone: zone_of(closed.refusal.kind),
        priority: Priority::Spot,
        state: OfferingState::Refused,
        reason: Some(cut(&offering_reason(&closed.refusal), LONGEST_TEXT)),
        retry_time: Some(time(closed.until)),
    };
    of_a_size.map(offering).collect()
}

/// A line for `status.lastAction`.
pub fn last_action(action: &str, reason: &str, message: &str, at: Timestamp) -> LastAction {
    LastAction {
        action: action.to_owned(),
        reason: reason.to_owned(),
        message: cut(message, LONGEST_TEXT),
        time: Some(time(at)),
    }
}

fn number(count: Count) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
