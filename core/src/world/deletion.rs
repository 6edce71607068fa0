//! DELETE of scale sets and of instances. Each either is refused with nothing done, or is accepted as an operation whose
//! effects `passage` brings.

use super::operation::OperationKind;
use super::options::{CapacityFalls, Concurrent};
use super::refusal::Refusal;
use super::requests::{Precondition, holds};
use super::scale_set::SetKey;
use super::{Phase, Region, What};

impl Region {
    /// DELETE of a scale set and all its instances. `None`: there was none (204).
    ///
    /// # Errors
    /// 412 when the precondition does not hold.
    pub fn delete_set(
        &mut self,
        resource_group: &str,
        name: &str,
        precondition: Precondition,
    ) -> Result<Option<u64>, Refusal> {
        let key = SetKey::new(resource_group, name);
        let Some(set) = self.sets.get(&key) else {
            return Ok(None);
        };
        if let Err(refusal) = holds(set, precondition) {
            return self.answer(name, Err(refusal));
        }
        if set.deleting {
            return Ok(set.operation);
        }
        self.preempt(&key);
        let operation = self.begin(&key, OperationKind::DeleteSet, None);
        let deletions: Vec<String> = self
            .sets
            .get(&key)
            .into_iter()
            .flat_map(|s| s.instances.keys().cloned())
            .collect();
        for instance in deletions {
            self.start_deleting(&key, &instance, Some(operation));
        }
        if let Some(set) = self.sets.get_mut(&key) {
            set.deleting = true;
            set.etag += 1;
            set.operation = Some(operation);
        }
        self.note(name, What::SetDeleting);
        self.settle();
        Ok(Some(operation))
    }

    /// POST …/delete: instances of one scale set by their ids. Takes no precondition.
    ///
    /// # Errors
    /// 404 without the set, 400 for an id that is not its own, 409 while it is deleted or another operation runs.
    pub fn delete_instances(
        &mut self,
        resource_group: &str,
        name: &str,
        instances: &[&str],
    ) -> Result<u64, Refusal> {
        let key = SetKey::new(resource_group, name);
        let checked = self.deletable(&key, resource_group, name, instances);
        let instances = self.answer(name, checked)?;
        self.preempt(&key);
        let operation = self.begin(&key, OperationKind::DeleteInstances, None);
        let falls = self.options.capacity_after_delete.clone();
        let mut went = 0;
        for instance in &instances {
            if self.start_deleting(&key, instance, Some(operation)) {
                went += 1;
                self.schedule_fall(&key, &falls);
            }
        }
        if let Some(set) = self.sets.get_mut(&key) {
            set.operation = Some(operation);
            set.etag += u64::from(went > 0);
        }
        self.settle();
        Ok(operation)
    }

    /// DELETE of one instance by its name. `None`: there was none (204). [INF] the capacity falls as after POST …/delete.
    ///
    /// # Errors
    /// None so far.
    pub fn delete_instance(
        &mut self,
        resource_group: &str,
        instance: &str,
    ) -> Result<Option<u64>, Refusal> {
        let Some((set, found)) = self.instance(resource_group, instance) else {
            return Ok(None);
        };
        let (key, name) = (set.key(), found.name.clone());
        if !found.alive() {
            return Ok(found.operation);
        }
        let operation = self.begin(&key, OperationKind::DeleteInstance, None);
        let falls = self.options.capacity_after_delete.clone();
        if self.start_deleting(&key, &name, Some(operation)) {
            self.schedule_fall(&key, &falls);
        }
        if let Some(set) = self.sets.get_mut(&key) {
            set.etag += 1;
        }
        self.settle();
        Ok(Some(operation))
    }

    fn deletable(
        &self,
        key: &SetKey,
        resource_group: &str,
        name: &str,
        instances: &[&str],
    ) -> Result<Vec<String>, Refusal> {
        let Some(set) = self.sets.get(key) else {
            return Err(Refusal::resource_not_found(
                "virtualMachineScaleSets",
                resource_group,
                name,
            ));
        };
        if set.deleting {
            return Err(Refusal::marked_for_deletion(
                "Delete Virtual Machines in a Virtual Machine Scale Set",
                &set.name,
            ));
        }
        if instances.is_empty() {
            return Err(Refusal::new(
                400,
                "InvalidParameter",
                "Required parameter 'instanceIds' is missing (null).",
            )
            .at("instanceIds"));
        }
        let mut own = Vec::new();
        for id in instances {
            match set.find(id) {
                Some(instance) => own.push(instance.name.clone()),
                None => return Err(Refusal::not_an_instance(id)),
            }
        }
        if set.operation.is_some() && self.options.concurrent == Concurrent::Refused {
            return Err(Refusal::conflict());
        }
        Ok(own)
    }

    /// Sends an instance on its way out; `false` when it was on it already.
    pub(super) fn start_deleting(
        &mut self,
        key: &SetKey,
        instance: &str,
        operation: Option<u64>,
    ) -> bool {
        let until = self.now + self.draw(self.options.deletion);
        let Some(set) = self.sets.get_mut(key) else {
            return false;
        };
        let name = set.name.clone();
        let Some(found) = set.instances.get_mut(instance) else {
            return false;
        };
        if !found.alive() {
            return false;
        }
        found.phase = Phase::Deleting {
            until,
            evicted: operation.is_none(),
        };
        found.operation = operation;
        if operation.is_some() {
            self.note(
                &name,
                What::DeleteRequested {
                    instance: instance.to_owned(),
                },
            );
        }
        true
    }

    pub(super) fn schedule_fall(&mut self, key: &SetKey, falls: &CapacityFalls) {
        let at = match falls {
            CapacityFalls::AtOnce => self.now,
            CapacityFalls::Never => return,
            CapacityFalls::Late(lags) => {
                let pick = self.chance.below(lags.len() as u64) as usize;
                self.now + lags.get(pick).copied().unwrap_or(0)
            }
        };
        if let Some(set) = self.sets.get_mut(key) {
            set.falls.push(at);
            set.falls.sort_unstable();
        }
    }
}
