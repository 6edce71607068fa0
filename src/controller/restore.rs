//! What a new process takes over from a pool's status, once: refusals, tallies and clocks.
//!
//! In comes a status that may be old, edited or from a backup; out goes [`Kept`], which only ever makes the planner slower or more
//! careful. Nothing that proves anything is in here.

use spotpool_core::planner::{Closed, Kept, Refusal, RefusalKind};
use spotpool_core::units::{Timestamp, VmSize};

use crate::api::{ConditionType, Offering, OfferingState, Reason, SpotPoolStatus};

use super::times::timestamp;
use super::words::reason_of;

/// The part of a status that outlives a process.
pub fn kept(status: &SpotPoolStatus) -> Kept {
    let mut closed: Vec<Closed> = status.offerings.iter().filter_map(refusal).collect();
    closed.sort_by(|a, b| a.vm_size.cmp(&b.vm_size));
    closed.dedup_by(|a, b| a.vm_size == b.vm_size);
    let evictions = status.evictions.clone().unwrap_or_default();
    Kept {
        closed,
        closed_under: status.observed_generation.unwrap_or_default().max(0),
        evictions: u64::try_from(evictions.total).unwrap_or(0),
        last_eviction: evictions.last_time.as_ref().map(timestamp),
        asked_spot: status
            .spot
            .map_or(0, |spot| u32::try_from(spot.replicas).unwrap_or(0)),
        below_since: below_since(status),
        settled_generation: settled_generation(status),
    }
}

fn refusal(offering: &Offering) -> Option<Closed> {
    if offering.state != OfferingState::Refused {
        return None;
    }
    let reason = offering.reason.clone().unwrap_or_default();
    let kind = KINDS
        .iter()
        .copied()
        .find(|kind| reason_of(*kind).as_str() == reason)
        // Any other word is the code with which Azure said that it has no machines left.
        .unwrap_or(RefusalKind::NoCapacity);
    let refusal = Refusal {
        kind,
        code: reason,
        message: String::new(),
        request_id: String::new(),
    };
    Some(Closed {
        vm_size: VmSize(offering.vm_size.clone()),
        refusal,
        until: offering.retry_time.as_ref().map_or(Timestamp(0), timestamp),
        strikes: 1,
    })
}

const KINDS: [RefusalKind; 9] = [
    RefusalKind::NoCapacity,
    RefusalKind::QuotaExceeded,
    RefusalKind::QuotaIsZero,
    RefusalKind::PriceAboveLimit,
    RefusalKind::VmSizeUnknown,
    RefusalKind::TemplateRejected,
    RefusalKind::PlaceMissing,
    RefusalKind::Forbidden,
    RefusalKind::Unexplained,
];

/// Since when fewer run than must: the condition has not flipped since.
fn below_since(status: &SpotPoolStatus) -> Option<Timestamp> {
    let ready = status.condition(ConditionType::Ready)?;
    let below = [Reason::BelowMinAvailable, Reason::ProgressDeadlineExceeded];
    let is_below =
        ready.status == "False" && below.iter().any(|reason| reason.as_str() == ready.reason);
    is_below.then(|| timestamp(&ready.last_transition_time))
}

/// The declaration that was reached: nothing was under way, and nothing stood in the way.
fn settled_generation(status: &SpotPoolStatus) -> Option<i64> {
    let reached = status.condition(ConditionType::Ready).is_some()
        && status.condition(ConditionType::Reconciling).is_none()
        && status.condition(ConditionType::Stalled).is_none();
    status.observed_generation.filter(|_| reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EvictionStatus, Priority, SpotCounts};
    use crate::controller::times::time;
    use crate::controller::words::offering_reason;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    fn condition(kind: ConditionType, status: &str, reason: Reason, at: i64) -> Condition {
        Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: time(Timestamp(at)),
        }
    }

    #[test]
    fn every_kind_of_refusal_survives_a_restart() {
        for kind in KINDS {
            let refusal = Refusal {
                kind,
                code: "AllocationFailed".to_owned(),
                message: "no".to_owned(),
                request_id: "1".to_owned(),
            };
            let status = SpotPoolStatus {
                offerings: vec![Offering {
                    vm_size: "Standard_D4s_v5".to_owned(),
                    zone: String::new(),
                    priority: Priority::Spot,
                    state: OfferingState::Refused,
                    reason: Some(offering_reason(&refusal)),
                    retry_time: Some(time(Timestamp(60_000))),
                }],
                ..SpotPoolStatus::default()
            };
            let kept = kept(&status);
            assert_eq!(kept.closed[0].refusal.kind, kind);
            assert_eq!(kept.closed[0].until, Timestamp(60_000));
        }
    }

    #[test]
    fn takes_over_tallies_and_clocks() {
        let status = SpotPoolStatus {
            observed_generation: Some(4),
            conditions: vec![condition(
                ConditionType::Ready,
                "False",
                Reason::BelowMinAvailable,
                5_000,
            )],
            spot: Some(SpotCounts {
                replicas: 18,
                ..SpotCounts::default()
            }),
            evictions: Some(EvictionStatus {
                total: 41,
                last_time: Some(time(Timestamp(9_000))),
            }),
            ..SpotPoolStatus::default()
        };
        let kept = kept(&status);
        assert_eq!(
            (kept.evictions, kept.last_eviction),
            (41, Some(Timestamp(9_000)))
        );
        assert_eq!(
            (kept.asked_spot, kept.below_since),
            (18, Some(Timestamp(5_000)))
        );
        assert_eq!(kept.settled_generation, Some(4));
    }

    #[test]
    fn a_generation_counts_as_reached_only_when_nothing_is_under_way() {
        for (kind, reason) in [
            (ConditionType::Reconciling, Reason::Scaling),
            (ConditionType::Stalled, Reason::QuotaIsZero),
        ] {
            let status = SpotPoolStatus {
                observed_generation: Some(4),
                conditions: vec![
                    condition(ConditionType::Ready, "True", Reason::AvailableEnough, 0),
                    condition(kind, "True", reason, 0),
                ],
                ..SpotPoolStatus::default()
            };
            assert_eq!(kept(&status).settled_generation, None);
        }
        let untouched = SpotPoolStatus {
            observed_generation: Some(-1),
            ..SpotPoolStatus::default()
        };
        assert_eq!(kept(&untouched), Kept::default());
    }
}
