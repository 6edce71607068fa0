//! What time brings: boots end, evicted instances go, capacities fall, operations end.

use super::instance::{EvictionPolicy, Phase};
use super::operation::{Failure, OperationKind, Status};
use super::scale_set::SetKey;
use super::{Region, What};

impl Region {
    /// When something happens next by itself, if ever.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        let sets = self.sets.values().flat_map(|s| {
            s.instances
                .values()
                .filter_map(|i| i.due())
                .chain(s.falls.iter().copied())
        });
        let operations = self
            .operations
            .values()
            .filter(|o| o.running())
            .flat_map(|o| [Some(o.not_before), o.resize.as_ref().map(|r| r.at)]);
        sets.chain(operations.flatten())
            .filter(|at| *at > self.now)
            .min()
    }

    /// Lets time pass up to `to`, one event after the other. Time never goes back.
    pub fn advance(&mut self, to: u64) {
        while let Some(next) = self.next_event().filter(|next| *next <= to) {
            self.now = next;
            self.settle();
        }
        self.now = self.now.max(to);
        let (now, kept) = (self.now, self.options.operations_kept);
        self.operations
            .retain(|_, o| o.ended.is_none_or(|ended| ended.saturating_add(kept) > now));
    }

    /// Brings everything that is due at this moment.
    pub(super) fn settle(&mut self) {
        loop {
            let keys: Vec<SetKey> = self.sets.keys().cloned().collect();
            let (mut moved, shows_evictions) = (false, self.options.eviction_shows_updating);
            self.sets
                .values_mut()
                .for_each(|set| set.shows_evictions = shows_evictions);
            for key in &keys {
                moved |= self.pass_instances(key);
                moved |= self.pass_falls(key);
            }
            moved |= self.pass_operations();
            if !moved {
                return;
            }
        }
    }

    fn pass_instances(&mut self, key: &SetKey) -> bool {
        let now = self.now;
        let Some(set) = self.sets.get(key) else {
            return false;
        };
        let due: Vec<String> = set
            .by_age()
            .iter()
            .filter(|i| i.due().is_some_and(|at| at <= now))
            .map(|i| i.name.clone())
            .collect();
        for name in &due {
            self.pass_instance(key, name);
        }
        !due.is_empty()
    }

    fn pass_instance(&mut self, key: &SetKey, name: &str) {
        let deletion = self.options.deletion;
        let Some(set) = self.sets.get_mut(key) else {
            return;
        };
        let set_name = set.name.clone();
        let Some(instance) = set.instances.get_mut(name) else {
            return;
        };
        let owned = name.to_owned();
        let what = match instance.phase {
            Phase::Creating { fails: false, .. } => {
                instance.phase = Phase::Running;
                instance.operation = None;
                What::InstanceRunning { instance: owned }
            }
            Phase::Creating { .. } => {
                instance.phase = Phase::Failed;
                let made_by = instance.operation.take();
                if let Some(operation) = made_by.and_then(|id| self.operations.get_mut(&id)) {
                    operation.trouble = Some(Failure {
                        code: "OSProvisioningTimedOut",
                        message: format!(
                            "OS Provisioning for VM '{name}' did not finish in the allotted time. The VM may still finish provisioning successfully."
                        ),
                    });
                }
                What::InstanceFailed { instance: owned }
            }
            Phase::Noticed { .. }
                if instance.model.eviction_policy == EvictionPolicy::Deallocate =>
            {
                let until = self.now + self.chance.within(deletion);
                instance.phase = Phase::Deallocating { until };
                What::Evicted { instance: owned }
            }
            Phase::Noticed { .. } => {
                self.start_deleting(key, name, None);
                let falls = self.options.capacity_after_eviction.clone();
                self.schedule_fall(key, &falls);
                What::Evicted { instance: owned }
            }
            Phase::Starting { .. } => {
                instance.phase = Phase::Running;
                instance.operation = None;
                What::InstanceRunning { instance: owned }
            }
            Phase::Stopping { .. } => {
                instance.phase = Phase::Stopped;
                instance.operation = None;
                What::Stopped { instance: owned }
            }
            Phase::Deallocating { .. } => {
                instance.phase = Phase::Deallocated;
                instance.operation = None;
                What::Deallocated { instance: owned }
            }
            Phase::Deleting { .. } => {
                set.instances.remove(name);
                What::InstanceGone { instance: owned }
            }
            Phase::Running | Phase::Stopped | Phase::Deallocated | Phase::Failed => return,
        };
        self.note(&set_name, what);
    }

    fn pass_falls(&mut self, key: &SetKey) -> bool {
        let (now, moves_etag) = (self.now, self.options.eviction_moves_etag);
        let Some(set) = self.sets.get_mut(key) else {
            return false;
        };
        let before = set.falls.len();
        set.falls.retain(|at| *at > now);
        let fell = (before - set.falls.len()) as u32;
        if fell == 0 {
            return false;
        }
        set.capacity = set.capacity.saturating_sub(fell);
        set.etag += u64::from(moves_etag);
        let (name, to) = (set.name.clone(), set.capacity);
        self.note(&name, What::CapacityFell { to });
        true
    }

    fn pass_operations(&mut self) -> bool {
        let now = self.now;
        let resizes: Vec<u64> = self
            .operations
            .values()
            .filter(|o| o.running() && o.resize.as_ref().is_some_and(|r| r.at <= now))
            .map(|o| o.id)
            .collect();
        for id in &resizes {
            self.resize(*id);
        }
        let finished: Vec<u64> = self
            .operations
            .values()
            .filter(|o| {
                o.running() && o.resize.is_none() && o.not_before <= now && !self.waits(o.id)
            })
            .map(|o| o.id)
            .collect();
        for id in &finished {
            self.end(*id, None);
        }
        !resizes.is_empty() || !finished.is_empty()
    }

    /// Whether an operation still waits for instances.
    fn waits(&self, id: u64) -> bool {
        let Some(operation) = self.operations.get(&id) else {
            return false;
        };
        let Some(set) = self.sets.get(&operation.set) else {
            return false;
        };
        match operation.kind {
            OperationKind::DeleteSet => !set.instances.is_empty(),
            _ => {
                self.options.operation_waits_for_instances
                    && set.instances.values().any(|i| i.operation == Some(id))
            }
        }
    }

    /// Ends an operation: by its own trouble, by `cut_short`, or well.
    pub(super) fn end(&mut self, id: u64, cut_short: Option<Failure>) {
        let (now, moves_etag) = (self.now, self.options.operation_end_moves_etag);
        let Some(operation) = self.operations.get_mut(&id).filter(|o| o.running()) else {
            return;
        };
        let failure = cut_short.or_else(|| operation.trouble.take());
        operation.ended = Some(now);
        operation.resize = None;
        operation.status = failure.clone().map_or(Status::Succeeded, Status::Failed);
        let (key, kind) = (operation.set.clone(), operation.kind);
        let mut name = String::new();
        let mut gone = false;
        if let Some(set) = self.sets.get_mut(&key) {
            name.clone_from(&set.name);
            if set.operation == Some(id) {
                set.operation = None;
                set.creating = false;
                set.failure.clone_from(&failure);
                set.etag += u64::from(moves_etag);
                gone = kind == OperationKind::DeleteSet;
            }
        }
        match failure {
            Some(failure) => self.note(
                &name,
                What::OperationFailed {
                    operation: id,
                    kind,
                    code: failure.code,
                },
            ),
            None => self.note(
                &name,
                What::OperationSucceeded {
                    operation: id,
                    kind,
                },
            ),
        }
        if gone {
            self.sets.remove(&key);
            self.note(&name, What::SetGone);
        }
    }
}
