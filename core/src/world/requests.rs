//! PUT and PATCH of scale sets. Each either is refused with nothing done, or is accepted as an operation whose effects
//! `passage` brings.

use super::instance::{EvictionPolicy, Model, Priority};
use super::operation::{Failure, Operation, OperationKind, Resize, Status};
use super::options::Concurrent;
use super::refusal::Refusal;
use super::scale_set::{OrchestrationMode, PriorityMix, ScaleSet, SetKey};
use super::{Region, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// If-Match and If-None-Match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precondition {
    /// No such header.
    None,
    /// `If-Match: "n"`.
    IfMatch(u64),
    /// `If-Match: *`: it must exist.
    IfMatchAny,
    /// `If-None-Match: *`: it must not exist.
    IfNoneMatchAny,
}

/// The modelled part of a PUT or PATCH body. `None` keeps what is there: a PUT on an existing scale set merges
/// ([OSS autoscaler], az: both scale by sending location and sku alone).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetChange {
    /// `properties.orchestrationMode`; unset at creation: Flexible, which is not Azure's default; the wire fills that in.
    pub mode: Option<OrchestrationMode>,
    /// `sku.capacity`. Only a request that carries it makes or takes instances.
    pub capacity: Option<u32>,
    /// `sku.name`; required at creation.
    pub vm_size: Option<String>,
    /// `properties.priorityMixPolicy`.
    pub mix: Option<PriorityMix>,
    /// `virtualMachineProfile.priority`; unset at creation: Regular.
    pub priority: Option<Priority>,
    /// `virtualMachineProfile.evictionPolicy`; unset at creation: Deallocate [DOC].
    pub eviction_policy: Option<EvictionPolicy>,
    /// `billingProfile.maxPrice` in micro-dollars; -1_000_000 is Azure's -1, the default.
    pub max_price: Option<i64>,
    /// The whole list.
    pub zones: Option<BTreeSet<String>>,
    /// The whole map.
    pub tags: Option<BTreeMap<String, String>>,
    /// Something of the profile changed that is not modelled here (image, keys, disk): counts a revision.
    pub model_changed: bool,
}

/// A PUT or PATCH that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The operation to follow.
    pub operation: u64,
    /// 201 rather than 200.
    pub created: bool,
}

impl Region {
    /// PUT: creates the scale set, or merges into the existing one.
    ///
    /// # Errors
    /// Azure's refusal; nothing was done.
    pub fn put(
        &mut self,
        resource_group: &str,
        name: &str,
        change: &SetChange,
        precondition: Precondition,
    ) -> Result<Accepted, Refusal> {
        let result = match (
            self.sets.contains_key(&SetKey::new(resource_group, name)),
            precondition,
        ) {
            (true, Precondition::IfNoneMatchAny) => Err(Refusal::exists_already(name)),
            (true, _) => self.update(resource_group, name, change, precondition),
            (false, Precondition::IfMatch(_) | Precondition::IfMatchAny) => {
                Err(Refusal::does_not_exist(name))
            }
            (false, _) => self.create(resource_group, name, change),
        };
        self.answer(name, result)
    }

    /// PATCH of an existing scale set.
    ///
    /// # Errors
    /// Azure's refusal; nothing was done.
    pub fn patch(
        &mut self,
        resource_group: &str,
        name: &str,
        change: &SetChange,
        precondition: Precondition,
    ) -> Result<Accepted, Refusal> {
        let result = match (
            self.sets.contains_key(&SetKey::new(resource_group, name)),
            precondition,
        ) {
            (true, Precondition::IfNoneMatchAny) => Err(Refusal::exists_already(name)),
            (true, _) => self.update(resource_group, name, change, precondition),
            (false, _) => Err(Refusal::resource_not_found(
                "virtualMachineScaleSets",
                resource_group,
                name,
            )),
        };
        self.answer(name, result)
    }

    fn create(
        &mut self,
        resource_group: &str,
        name: &str,
        change: &SetChange,
    ) -> Result<Accepted, Refusal> {
        let set = self.new_set(resource_group, name, change)?;
        self.affordable("Create Virtual Machine Scale Set", &set, 0)?;
        let (key, capacity) = (set.key(), set.capacity);
        self.sets.insert(key.clone(), set);
        self.note(name, What::SetCreated { capacity });
        let operation = self.begin(&key, OperationKind::CreateSet, Some(0));
        if let Some(set) = self.sets.get_mut(&key) {
            set.operation = Some(operation);
        }
        self.settle();
        Ok(Accepted {
            operation,
            created: true,
        })
    }

    fn update(
        &mut self,
        resource_group: &str,
        name: &str,
        change: &SetChange,
        precondition: Precondition,
    ) -> Result<Accepted, Refusal> {
        let key = SetKey::new(resource_group, name);
        let Some(current) = self.sets.get(&key) else {
            return Err(Refusal::resource_not_found(
                "virtualMachineScaleSets",
                resource_group,
                name,
            ));
        };
        if current.deleting {
            return Err(Refusal::marked_for_deletion(
                "Update Virtual Machine Scale Set",
                &current.name,
            ));
        }
        holds(current, precondition)?;
        let (before, was) = (current.capacity, Arc::clone(&current.model));
        let mut changed = self.changed_set(current, change)?;
        if current.operation.is_some() && self.options.concurrent == Concurrent::Refused {
            return Err(Refusal::conflict());
        }
        if change.capacity.is_some() {
            self.affordable("Update Virtual Machine Scale Set", &changed, before)?;
        }
        self.preempt(&key);
        changed.operation = None;
        changed.etag += 1;
        let (capacity, revision) = (changed.capacity, changed.model.revision);
        self.sets.insert(key.clone(), changed);
        if capacity != before {
            self.note(
                name,
                What::CapacityWritten {
                    from: before,
                    to: capacity,
                },
            );
        }
        if revision != was.revision {
            self.note(name, What::ModelChanged { revision });
        }
        let operation = self.begin(
            &key,
            OperationKind::UpdateSet,
            change.capacity.map(|_| before),
        );
        if let Some(set) = self.sets.get_mut(&key) {
            set.operation = Some(operation);
        }
        self.settle();
        Ok(Accepted {
            operation,
            created: false,
        })
    }

    /// Starts an operation; `resize` carries the capacity before it when it makes or takes instances.
    pub(super) fn begin(&mut self, key: &SetKey, kind: OperationKind, resize: Option<u32>) -> u64 {
        let (placement, operation) = (self.options.placement, self.options.operation);
        let resize = resize.map(|before| Resize {
            at: self.now + self.draw(placement),
            before,
        });
        let not_before = self.now + self.draw(operation);
        self.operated += 1;
        let (id, started) = (self.operated, self.now);
        let set = key.clone();
        self.operations.insert(
            id,
            Operation {
                id,
                set,
                kind,
                started,
                ended: None,
                status: Status::InProgress,
                not_before,
                resize,
                trouble: None,
            },
        );
        let name = self
            .sets
            .get(key)
            .map_or_else(String::new, |s| s.name.clone());
        self.note(
            &name,
            What::OperationStarted {
                operation: id,
                kind,
            },
        );
        id
    }

    /// [OSS autoscaler] the loser of two concurrent writes ends Failed with OperationPreempted.
    pub(super) fn preempt(&mut self, key: &SetKey) {
        let running = self.sets.get_mut(key).and_then(|s| s.operation.take());
        if let Some(id) = running {
            let failure = Failure {
                code: "OperationPreempted",
                message: "Operation execution has been preempted by a more recent operation."
                    .into(),
            };
            self.end(id, Some(failure));
        }
    }

    pub(super) fn answer<T>(
        &mut self,
        set: &str,
        result: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Err(refusal) = &result {
            let (code, status) = (refusal.code, refusal.status);
            self.note(set, What::Refused { code, status });
        }
        result
    }
}

pub(super) fn holds(set: &ScaleSet, precondition: Precondition) -> Result<(), Refusal> {
    match precondition {
        Precondition::IfMatch(etag) if etag != set.etag => {
            Err(Refusal::etag_differs(etag, set.etag))
        }
        Precondition::IfNoneMatchAny => Err(Refusal::exists_already(&set.name)),
        _ => Ok(()),
    }
}

/// What a set is made from when nothing else is said.
pub(super) const fn first_model(
    vm_size: String,
    max_price: Option<u64>,
    eviction_policy: EvictionPolicy,
) -> Model {
    Model {
        revision: 1,
        vm_size,
        max_price,
        eviction_policy,
    }
}
