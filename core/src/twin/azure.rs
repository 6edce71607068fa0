//! What the world shows and does, in the planner's words: a third reading of Azure's documents beside the client's and the simulator's.

use super::{PLACE, Twin};
use crate::planner::{
    Action, Answer, Blind, Eviction, Instance, Observed, Outcome, Phase, Provisioning, Quota,
    Refusal, RefusalKind, ScaleSet,
};
use crate::units::{
    Etag, InstanceName, MicroUsd, ModelHash, Owner, Priority, Seen, Timestamp, VmSize, Zone,
};
use crate::world;

impl Twin {
    /// What a perfect look would show.
    pub fn see(&self) -> Observed {
        let at = self.now();
        let Some(set) = self.region.set(PLACE.0, PLACE.1) else {
            return Observed {
                set: Seen::Known { value: None, at },
                instances: Seen::Unknown(Blind::NotAsked),
                outcome: None,
            };
        };
        let instances = set.by_age().into_iter().map(instance).collect();
        Observed {
            set: Seen::Known {
                value: Some(scale_set(set)),
                at,
            },
            instances: Seen::Known {
                value: instances,
                at,
            },
            outcome: None,
        }
    }

    /// The rows of quota.
    pub(super) fn rows(&self) -> Vec<Quota> {
        let usages = self.region.usages();
        let row = |usage: world::Usage| Quota {
            row: usage.name,
            used: u64::from(usage.current),
            limit: u64::from(usage.limit),
        };
        usages.into_iter().map(row).collect()
    }

    /// How our last write goes, and how it ended, once: as the operation's URL would tell.
    pub(super) fn hear(&mut self) -> Option<Outcome> {
        let id = self.unheard?;
        match self.region.operation(id).map(|operation| &operation.status) {
            Some(world::Status::InProgress) => Some(Outcome::Pending),
            Some(world::Status::Succeeded) => {
                self.unheard = None;
                Some(Outcome::Succeeded)
            }
            Some(world::Status::Failed(failure)) => {
                let outcome = Outcome::Failed(refusal(failure.code, &failure.message));
                self.unheard = None;
                Some(outcome)
            }
            None => {
                self.unheard = None;
                None
            }
        }
    }

    /// What requests call instances: by name, or in a Uniform set by number.
    fn ids<'a>(&self, instances: &'a [InstanceName]) -> Vec<&'a str> {
        let name = |one: &'a InstanceName| match self.mode {
            world::OrchestrationMode::Flexible => one.as_str(),
            world::OrchestrationMode::Uniform => one.as_str().rsplit('_').next().unwrap_or(""),
        };
        instances.iter().map(name).collect()
    }

    /// Azure's side of an action.
    pub(super) fn apply(&mut self, action: &Action) -> Answer {
        use world::{Precondition, PriorityMix, SetChange};
        let (group, name) = PLACE;
        let guarded = |etag: &Etag| {
            etag.as_str()
                .parse()
                .map_or(Precondition::IfMatch(0), Precondition::IfMatch)
        };
        let tags = |model: &ModelHash| {
            let pairs = [
                ("spotpool_owner", self.desired.owner.as_str()),
                ("spotpool_model", model.as_str()),
            ];
            pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        let mode = self.mode;
        let mix = |base| {
            let mixed = mode == world::OrchestrationMode::Flexible;
            mixed.then_some(PriorityMix { base, percent: 0 })
        };
        let result = match action {
            Action::Create {
                capacity,
                base,
                vm_size,
                model,
            } => {
                let change = SetChange {
                    mode: Some(mode),
                    capacity: Some(*capacity),
                    vm_size: Some(vm_size.as_str().to_owned()),
                    mix: mix(*base),
                    priority: Some(world::Priority::Spot),
                    eviction_policy: Some(match self.desired.eviction {
                        Eviction::Delete => world::EvictionPolicy::Delete,
                        Eviction::Deallocate { .. } => world::EvictionPolicy::Deallocate,
                    }),
                    tags: Some(tags(model)),
                    ..SetChange::default()
                };
                self.region
                    .put(group, name, &change, Precondition::IfNoneMatchAny)
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Resize {
                capacity,
                base,
                vm_size,
                guard,
                ..
            } => {
                let change = SetChange {
                    capacity: Some(*capacity),
                    vm_size: Some(vm_size.as_str().to_owned()),
                    mix: mix(*base),
                    ..SetChange::default()
                };
                self.region
                    .patch(group, name, &change, guarded(guard.etag()))
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Reshape { base, model, guard } => {
                let change = SetChange {
                    mix: mix(*base),
                    tags: Some(tags(model)),
                    model_changed: true,
                    ..SetChange::default()
                };
                self.region
                    .patch(group, name, &change, guarded(guard.etag()))
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Replace { instances, .. } => {
                let ids = self.ids(instances);
                self.region.delete_instances(group, name, &ids).map(Some)
            }
            Action::Restart { instances, .. } => {
                let ids = self.ids(instances);
                self.region.start_instances(group, name, &ids).map(Some)
            }
            Action::Remove { .. } => self.region.delete_set(group, name, Precondition::None),
        };
        match result {
            Ok(operation) => {
                self.unheard = operation;
                Answer::Accepted
            }
            Err(refused) => answer(&refused),
        }
    }
}

fn instance(one: &world::Instance) -> Instance {
    let phase = match one.phase {
        world::Phase::Creating { .. } | world::Phase::Starting { .. } => Phase::Starting,
        world::Phase::Running | world::Phase::Noticed { .. } => Phase::Running,
        world::Phase::Stopping { .. } | world::Phase::Deallocating { .. } => Phase::Deallocating,
        world::Phase::Stopped | world::Phase::Deallocated => Phase::Deallocated,
        world::Phase::Deleting { .. } => Phase::Stopping,
        world::Phase::Failed => Phase::Failed,
    };
    Instance {
        name: InstanceName(one.name.clone()),
        priority: match one.priority {
            world::Priority::Regular => Priority::Regular,
            world::Priority::Spot => Priority::Spot,
        },
        phase,
        vm_size: VmSize(one.model.vm_size.clone()),
        zone: Zone(one.zone.clone()),
        created: i64::try_from(one.created).ok().map(Timestamp),
        price_limit: Some(one.model.max_price.map_or(MicroUsd(i64::MAX), |micros| {
            MicroUsd(i64::try_from(micros).unwrap_or(i64::MAX))
        })),
    }
}

fn scale_set(set: &world::ScaleSet) -> ScaleSet {
    ScaleSet {
        capacity: set.capacity,
        base: set.base(),
        vm_size: VmSize(set.model.vm_size.clone()),
        max_price: set
            .model
            .max_price
            .and_then(|micros| i64::try_from(micros).ok())
            .map(MicroUsd),
        etag: Etag(set.etag.to_string()),
        state: match set.provisioning_state() {
            world::ProvisioningState::Creating | world::ProvisioningState::Updating => {
                Provisioning::Busy
            }
            world::ProvisioningState::Succeeded => Provisioning::Succeeded,
            world::ProvisioningState::Failed => Provisioning::Failed,
            world::ProvisioningState::Deleting => Provisioning::Deleting,
        },
        owner: set
            .tags
            .get("spotpool_owner")
            .map(|owner| Owner(owner.clone())),
        model: set
            .tags
            .get("spotpool_model")
            .map(|model| ModelHash(model.clone())),
        model_since: None,
    }
}

fn answer(refused: &world::Refusal) -> Answer {
    match (refused.status, refused.code) {
        (412, _) | (409, "Conflict") => Answer::Changed,
        (409, "OperationNotAllowed") if refused.message.contains("marked for deletion") => {
            Answer::Changed
        }
        (404, _) => Answer::Missing,
        _ => Answer::Refused(refusal(refused.code, &refused.message)),
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    let kind = match code {
        "SkuNotAvailable" | "AllocationFailed" | "OverconstrainedAllocationRequest" => {
            RefusalKind::NoCapacity
        }
        "SpotPriceGreaterThanProvidedMaxPrice" => RefusalKind::PriceAboveLimit,
        "OperationNotAllowed" if message.contains("quota") => RefusalKind::QuotaExceeded,
        _ => RefusalKind::Unexplained,
    };
    Refusal {
        kind,
        code: code.to_owned(),
        message: message.to_owned(),
        request_id: String::new(),
    }
}
