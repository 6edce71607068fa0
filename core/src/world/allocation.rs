//! How a capacity write becomes instances: where they go, what they are called, which ones are taken, and what happens
//! when the region has no more.

use super::chance::splitmix64;
use super::instance::{Instance, Phase, Priority};
use super::operation::Failure;
use super::options::{AllocationError, TakeFirst};
use super::scale_set::{Change, OrchestrationMode, ScaleSet, SetKey, Split};
use super::{Region, What};
use std::sync::Arc;

impl Region {
    /// Makes or takes what an accepted capacity write comes to at this moment.
    pub(super) fn resize(&mut self, id: u64) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let (key, Some(resize)) = (operation.set.clone(), operation.resize.take()) else {
            return;
        };
        let Some(set) = self.sets.get(&key) else {
            return;
        };
        match set.change(self.options.capacity_write, resize.before) {
            Change::Make(more) => {
                let trouble = self.make(&key, id, more);
                if let Some(operation) = self.operations.get_mut(&id) {
                    operation.trouble = trouble;
                }
            }
            Change::Take(fewer) => {
                for name in victims(set, fewer, self.options.take_first) {
                    self.start_deleting(&key, &name, Some(id));
                }
            }
        }
    }

    /// Makes instances one by one, regular first; the first that finds no place ends it: partly done, and failed.
    fn make(&mut self, key: &SetKey, operation: u64, more: Split) -> Option<Failure> {
        for (count, priority) in [
            (more.regular, Priority::Regular),
            (more.spot, Priority::Spot),
        ] {
            for _ in 0..count {
                if let Err(failure) = self.make_one(key, operation, priority) {
                    return Some(failure);
                }
            }
        }
        None
    }

    fn make_one(
        &mut self,
        key: &SetKey,
        operation: u64,
        priority: Priority,
    ) -> Result<(), Failure> {
        let Some(set) = self.sets.get(key) else {
            return Ok(());
        };
        let (model, tags, set_name, mode) = (
            Arc::clone(&set.model),
            Arc::clone(&set.tags),
            set.name.clone(),
            set.mode,
        );
        let Some(zone) = self.roomiest(set, priority) else {
            return Err(self.no_room(set, priority));
        };
        if !Arc::make_mut(&mut self.market).take(&model.vm_size, &zone, priority) {
            return Ok(());
        }
        let name = match mode {
            OrchestrationMode::Flexible => self.fresh_name(&set_name, key),
            OrchestrationMode::Uniform => self.numbered_name(key),
        };
        let until = self.now + self.draw(self.options.boot);
        let failing = u64::from(self.options.failing_boots);
        let fails = failing > 0 && self.chance.below(1_000) < failing;
        let tags = if self.options.instances_inherit_tags {
            tags
        } else {
            Arc::default()
        };
        self.note(
            &set_name,
            What::InstanceCreating {
                instance: name.clone(),
                priority,
                vm_size: model.vm_size.clone(),
                zone: zone.clone(),
            },
        );
        let (number, created) = (self.born, self.now);
        let phase = Phase::Creating { until, fails };
        let instance = Instance {
            name: name.clone(),
            number,
            priority,
            model,
            zone,
            tags,
            created,
            phase,
            operation: Some(operation),
            failure: None,
        };
        if let Some(set) = self.sets.get_mut(key) {
            set.instances.insert(name, instance);
        }
        Ok(())
    }

    /// The zone with the fewest instances of the set among those that have room; best-effort balance [DOC].
    fn roomiest(&self, set: &ScaleSet, priority: Priority) -> Option<String> {
        let size = &set.model.vm_size;
        let affordable = |zone: &str| match (priority, set.model.max_price) {
            (Priority::Spot, Some(max)) => self
                .market
                .price(size, zone, priority)
                .is_none_or(|price| price <= max),
            _ => true,
        };
        set.places()
            .filter(|zone| {
                self.market.available(size, zone, priority) != Some(0) && affordable(zone)
            })
            .min_by_key(|zone| {
                set.instances
                    .values()
                    .filter(|i| i.alive() && i.zone == *zone)
                    .count()
            })
            .map(str::to_owned)
    }

    fn no_room(&self, set: &ScaleSet, priority: Priority) -> Failure {
        let zones: Vec<&str> = set.zones.iter().map(String::as_str).collect();
        self.allocation_failure(&set.model.vm_size, &zones, priority)
    }

    /// [OSS karpenter-provider-azure] the texts of allocation failures; without zones it is a regional one.
    pub(super) fn allocation_failure(
        &self,
        size: &str,
        zones: &[&str],
        priority: Priority,
    ) -> Failure {
        match (self.options.allocation_error, zones.is_empty()) {
            (AllocationError::AllocationFailed, true) => Failure {
                code: "AllocationFailed",
                message: "Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance".into(),
            },
            (AllocationError::AllocationFailed, false) => Failure {
                code: "ZonalAllocationFailed",
                message: format!(
                    "Allocation failed. We do not have sufficient capacity for the requested VM size {size} in zone {}. Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
                    zones.join(", ")
                ),
            },
            (AllocationError::Overconstrained, regional) => {
                let mut constraints = vec!["VM Size"];
                if priority == Priority::Spot {
                    constraints.insert(0, "Preemptible VMs (VM might be preempted by another VM with a higher priority)");
                    constraints.insert(0, "Low Priority VMs");
                }
                if !regional {
                    constraints.insert(0, "Availability Zone");
                }
                Failure {
                    code: if regional { "OverconstrainedAllocationRequest" } else { "OverconstrainedZonalAllocationRequest" },
                    message: format!(
                        "Allocation failed. VM(s) with the following constraints cannot be allocated, because the condition is too restrictive. Please remove some constraints and try again. Constraints applied are:\n  - {}\n",
                        constraints.join("\n  - ")
                    ),
                }
            }
        }
    }

    /// `{set}_{8 hex}` [REC cap 2]; counts births.
    fn fresh_name(&mut self, set_name: &str, key: &SetKey) -> String {
        loop {
            self.born += 1;
            let name = format!(
                "{set_name}_{:08x}",
                (splitmix64(self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ self.born) >> 32)
                    as u32
            );
            let taken = self
                .sets
                .get(key)
                .is_some_and(|s| s.instances.contains_key(&name));
            if !taken {
                return name;
            }
        }
    }

    /// `{set}_{n}` [REC cap 8]. [DOC] numbers may be reused: then the lowest that is free, else the next.
    fn numbered_name(&mut self, key: &SetKey) -> String {
        self.born += 1;
        let reuses = self.options.reuses_instance_ids;
        let Some(set) = self.sets.get_mut(key) else {
            return String::new();
        };
        let first = if reuses { 0 } else { set.numbered };
        let name = (first..)
            .map(|n| format!("{}_{n}", set.name))
            .find(|name| !set.instances.contains_key(name))
            .unwrap_or_default();
        set.numbered += 1;
        name
    }
}

/// Which instances a lowered capacity takes.
fn victims(set: &ScaleSet, fewer: Split, first: TakeFirst) -> Vec<String> {
    let mut by_age = set.by_age();
    if first == TakeFirst::Newest {
        by_age.reverse();
    }
    let of = |priority, count: u32| {
        by_age
            .iter()
            .filter(move |i| i.alive() && i.priority == priority)
            .take(count as usize)
    };
    of(Priority::Spot, fewer.spot)
        .chain(of(Priority::Regular, fewer.regular))
        .map(|i| i.name.clone())
        .collect()
}
