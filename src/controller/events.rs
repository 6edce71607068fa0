//! Publishes events (events.k8s.io/v1) about a pool, one object each, stamped by our own clock.
//!
//! In come a documented reason and a sentence; out goes an object that `kubectl describe` shows. An event that cannot be written is
//! logged and forgotten. kube's `Recorder` is not used: within six minutes it folds an event into an earlier one of the same reason
//! and keeps the earlier sentence, which for us names other instances, and it stamps by the system's clock.

use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use spotpool_core::planner::{Because, Reason};

use crate::api::{EventReason, SpotPool};
use crate::clock::Clock;

use super::kubernetes::{Error, bounded};
use super::times::micro_time;
use super::words::cut;

/// What shows up as `reportingController`.
const CONTROLLER: &str = "spotpool.io/controller";
/// The bound of `note` (kubernetes/pkg/apis/core/validation/events.go).
const LONGEST_NOTE: usize = 1024;
/// The bound of `reportingInstance`.
const LONGEST_INSTANCE: usize = 128;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Why it is told.
    pub reason: EventReason,
    /// The sentence.
    pub note: String,
    /// What was done, such as `CreateInstances`; for a mere observation `Look`.
    pub action: &'static str,
}

impl Happening {
    /// From the planner's words.
    pub fn of(because: &Because, action: &'static str) -> Self {
        Self {
            reason: event_reason(because.reason),
            note: because.message.clone(),
            action,
        }
    }
}

/// The documented event of a decision or a note.
pub fn event_reason(reason: Reason) -> EventReason {
    match reason {
        Reason::ScaleSetCreated => EventReason::ScaleSetCreated,
        Reason::ScalingUp => EventReason::ScalingUp,
        Reason::ScalingDown => EventReason::ScalingDown,
        Reason::ReplacementRequested => EventReason::ReplacementRequested,
        Reason::RestartRequested => EventReason::RestartRequested,
        Reason::ReplacingBroken => EventReason::ReplacingBroken,
        Reason::ModelChanged => EventReason::ModelChanged,
        Reason::ScaleSetDeleted => EventReason::ScaleSetDeleted,
        Reason::Evicted => EventReason::Evicted,
        Reason::ReplacementRunning => EventReason::ReplacementRunning,
        Reason::GuardRefused => EventReason::GuardRefused,
        Reason::OfferingRefused => EventReason::OfferingRefused,
        Reason::QuotaExceeded => EventReason::QuotaExceeded,
        Reason::PriceAboveLimit => EventReason::PriceAboveLimit,
    }
}

/// Writes events.
pub struct Publisher {
    client: Client,
    clock: Clock,
    instance: String,
    counter: AtomicU64,
}

impl Publisher {
    /// A publisher that signs as this process.
    pub fn new(client: Client, clock: Clock) -> Self {
        // In a pod that is the pod's name.
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "spotpool".to_owned());
        Self {
            client,
            clock,
            instance: cut(&instance, LONGEST_INSTANCE),
            counter: AtomicU64::new(0),
        }
    }

    /// Writes one event; a failure is logged.
    pub async fn publish(&self, pool: &SpotPool, happening: &Happening) {
        let event = self.event(pool, happening);
        let namespace = pool.namespace().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let written: Result<Event, Error> = bounded(
            "write an event",
            events.create(&PostParams::default(), &event),
        )
        .await;
        if let Err(error) = written {
            tracing::warn!(pool = %super::kubernetes::label(pool), reason = %happening.reason, %error, "event not written");
        }
    }

    fn event(&self, pool: &SpotPool, happening: &Happening) -> Event {
        let now = self.clock.now();
        let serial = self.counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{:x}.{serial:x}", pool.name_any(), now.0);
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: pool.namespace(),
                ..ObjectMeta::default()
            },
            event_time: Some(micro_time(now)),
            regarding: Some(pool.object_ref(&())),
            reason: Some(happening.reason.as_str().to_owned()),
            note: Some(cut(&happening.note, LONGEST_NOTE)),
            action: Some(happening.action.to_owned()),
            type_: Some(format!("{:?}", happening.reason.event_type())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_planner_is_a_documented_event_of_the_same_name() {
        for reason in [
            Reason::ScaleSetCreated,
            Reason::ScalingUp,
            Reason::ScalingDown,
            Reason::ReplacementRequested,
            Reason::RestartRequested,
            Reason::ReplacingBroken,
            Reason::ModelChanged,
            Reason::ScaleSetDeleted,
            Reason::Evicted,
            Reason::ReplacementRunning,
            Reason::GuardRefused,
            Reason::OfferingRefused,
            Reason::QuotaExceeded,
            Reason::PriceAboveLimit,
        ] {
            assert_eq!(event_reason(reason).as_str(), reason.as_str());
        }
    }
}
