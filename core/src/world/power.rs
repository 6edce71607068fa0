//! Start, deallocate, power off and their like, on instances that exist. Each either is refused with nothing done, or is
//! accepted as an operation whose effects `passage` brings. Nothing here moves the capacity: a deallocated instance counts.

use super::effect::{Effect, InstanceAction, effect, possible};
use super::instance::{Phase, Priority};
use super::operation::OperationKind;
use super::options::{Concurrent, NoCapacity};
use super::refusal::Refusal;
use super::scale_set::{OrchestrationMode, ScaleSet, SetKey};
use super::{Instance, Region, What};
use std::sync::Arc;

impl Region {
    /// POST …/start of a scale set: the instances with these ids, or all.
    ///
    /// # Errors
    /// As `act_on_instances`.
    pub fn start_instances(&mut self, rg: &str, set: &str, ids: &[&str]) -> Result<u64, Refusal> {
        self.act_on_instances(rg, set, InstanceAction::Start, ids)
    }

    /// POST …/deallocate of a scale set: the instances with these ids, or all.
    ///
    /// # Errors
    /// As `act_on_instances`.
    pub fn deallocate_instances(
        &mut self,
        rg: &str,
        set: &str,
        ids: &[&str],
    ) -> Result<u64, Refusal> {
        self.act_on_instances(rg, set, InstanceAction::Deallocate, ids)
    }

    /// POST …/poweroff of a scale set: the instances with these ids, or all.
    ///
    /// # Errors
    /// As `act_on_instances`.
    pub fn power_off_instances(
        &mut self,
        rg: &str,
        set: &str,
        ids: &[&str],
    ) -> Result<u64, Refusal> {
        self.act_on_instances(rg, set, InstanceAction::PowerOff, ids)
    }

    /// POST …/restart of a scale set: the instances with these ids, or all.
    ///
    /// # Errors
    /// As `act_on_instances`.
    pub fn restart_instances(&mut self, rg: &str, set: &str, ids: &[&str]) -> Result<u64, Refusal> {
        self.act_on_instances(rg, set, InstanceAction::Restart, ids)
    }

    /// POST …/start of one instance.
    ///
    /// # Errors
    /// As `act_on_instance`.
    pub fn start_instance(&mut self, rg: &str, instance: &str) -> Result<u64, Refusal> {
        self.act_on_instance(rg, instance, InstanceAction::Start)
    }

    /// POST …/deallocate of one instance.
    ///
    /// # Errors
    /// As `act_on_instance`.
    pub fn deallocate_instance(&mut self, rg: &str, instance: &str) -> Result<u64, Refusal> {
        self.act_on_instance(rg, instance, InstanceAction::Deallocate)
    }

    /// POST …/powerOff of one instance.
    ///
    /// # Errors
    /// As `act_on_instance`.
    pub fn power_off_instance(&mut self, rg: &str, instance: &str) -> Result<u64, Refusal> {
        self.act_on_instance(rg, instance, InstanceAction::PowerOff)
    }

    /// POST …/restart of one instance.
    ///
    /// # Errors
    /// As `act_on_instance`.
    pub fn restart_instance(&mut self, rg: &str, instance: &str) -> Result<u64, Refusal> {
        self.act_on_instance(rg, instance, InstanceAction::Restart)
    }

    /// An action on instances of a scale set by their ids; none named: on all that it can be done to. Occupies the set.
    ///
    /// # Errors
    /// 404 without the set; 400 for an id that is not its own; 409 while the set is deleted, while another operation runs,
    /// for a named instance that something else is at work on, for a restart of one that does not run, and (start) without
    /// capacity or with a max price below the market's.
    pub fn act_on_instances(
        &mut self,
        resource_group: &str,
        name: &str,
        action: InstanceAction,
        instances: &[&str],
    ) -> Result<u64, Refusal> {
        let key = SetKey::new(resource_group, name);
        let chosen = self.actionable(&key, resource_group, name, action, instances);
        let chosen = self.answer(name, chosen)?;
        self.preempt(&key);
        let operation = self.begin(&key, OperationKind::OnInstances(action), None);
        self.act(&key, operation, action, &chosen);
        if let Some(set) = self.sets.get_mut(&key) {
            set.operation = Some(operation);
        }
        self.settle();
        Ok(operation)
    }

    /// An action on one instance by its name in the resource group. Does not occupy the set.
    ///
    /// # Errors
    /// 404 without the instance; 409 as `act_on_instances`.
    pub fn act_on_instance(
        &mut self,
        resource_group: &str,
        instance: &str,
        action: InstanceAction,
    ) -> Result<u64, Refusal> {
        let Some((set, found)) = self.instance(resource_group, instance) else {
            return Err(Refusal::resource_not_found(
                "virtualMachines",
                resource_group,
                instance,
            ));
        };
        let (key, set_name, name) = (set.key(), set.name.clone(), found.name.clone());
        let checked = possible(action, found).and_then(|()| self.startable(action, &[found]));
        self.answer(&set_name, checked)?;
        let operation = self.begin(&key, OperationKind::OnInstance(action), None);
        self.act(&key, operation, action, &[name]);
        self.settle();
        Ok(operation)
    }

    fn actionable(
        &self,
        key: &SetKey,
        resource_group: &str,
        name: &str,
        action: InstanceAction,
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
                "Update Virtual Machine Scale Set",
                &set.name,
            ));
        }
        if set.mode == OrchestrationMode::Flexible && !self.options.flexible_takes_batches {
            return Err(Refusal::not_on_flexible(
                &format!("{}.POST", action.as_str()),
                &set.name,
            ));
        }
        let chosen = if instances.is_empty() {
            set.by_age()
                .into_iter()
                .filter(|i| possible(action, i).is_ok())
                .collect()
        } else {
            named(set, instances)?
        };
        if set.operation.is_some() && self.options.concurrent == Concurrent::Refused {
            return Err(Refusal::conflict());
        }
        for instance in &chosen {
            possible(action, instance)?;
        }
        self.startable(action, &chosen)?;
        Ok(chosen.into_iter().map(|i| i.name.clone()).collect())
    }

    /// Price and capacity for those that need a place. A shortage (some places, but too few) shows inside the operation.
    fn startable(&self, action: InstanceAction, instances: &[&Instance]) -> Result<(), Refusal> {
        let placeless: Vec<&&Instance> = instances
            .iter()
            .filter(|i| matches!(effect(action, i), Effect::Boot { place: true }))
            .collect();
        for i in &placeless {
            let price = self.market.price(&i.model.vm_size, &i.zone, i.priority);
            if let (Priority::Spot, Some(max), Some(price)) = (i.priority, i.model.max_price, price)
                && price > max
            {
                return Err(Refusal::price(
                    self.options.price_status,
                    "Start Virtual Machine",
                    max,
                    price,
                    &i.model.vm_size,
                ));
            }
        }
        let sold_out = |i: &&&Instance| {
            self.market.available(&i.model.vm_size, &i.zone, i.priority) == Some(0)
        };
        match placeless.first() {
            Some(first)
                if self.options.no_capacity == NoCapacity::Synchronous
                    && placeless.iter().all(sold_out) =>
            {
                Err(Refusal::sku_not_available(
                    &first.model.vm_size,
                    &self.location,
                ))
            }
            _ => Ok(()),
        }
    }

    fn act(&mut self, key: &SetKey, operation: u64, action: InstanceAction, names: &[String]) {
        for name in names {
            let Some((effect, size, zone, priority)) = self
                .sets
                .get(key)
                .and_then(|s| s.instances.get(name))
                .map(|i| {
                    let size = i.model.vm_size.clone();
                    (effect(action, i), size, i.zone.clone(), i.priority)
                })
            else {
                continue;
            };
            let span = match effect {
                Effect::Boot { .. } => self.options.boot,
                Effect::Stop | Effect::Deallocate => self.options.deletion,
                Effect::Upgrade => super::Span::exactly(0),
                Effect::Nothing | Effect::Busy | Effect::NotRunning => continue,
            };
            if matches!(effect, Effect::Boot { place: true })
                && !Arc::make_mut(&mut self.market).take(&size, &zone, priority)
            {
                self.fail_start(key, operation, action, name);
                continue;
            }
            let until = self.now + self.draw(span);
            let Some(set) = self.sets.get_mut(key) else {
                continue;
            };
            let (set_name, model) = (set.name.clone(), Arc::clone(&set.model));
            match set.instances.get_mut(name) {
                None => continue,
                Some(instance) if matches!(effect, Effect::Upgrade) => instance.model = model,
                Some(instance) => {
                    instance.phase = match effect {
                        Effect::Stop => Phase::Stopping { until },
                        Effect::Deallocate => Phase::Deallocating { until },
                        _ => Phase::Starting { until },
                    };
                    instance.operation = Some(operation);
                    instance.failure = None;
                }
            }
            let instance = name.clone();
            self.note(&set_name, What::ActionRequested { instance, action });
        }
    }

    fn fail_start(&mut self, key: &SetKey, operation: u64, action: InstanceAction, name: &str) {
        let Some(set) = self.sets.get(key) else {
            return;
        };
        let Some(found) = set.instances.get(name) else {
            return;
        };
        let zones: Vec<&str> = (!found.zone.is_empty())
            .then_some(found.zone.as_str())
            .into_iter()
            .collect();
        let failure = self.allocation_failure(&found.model.vm_size, &zones, found.priority);
        let (set_name, code) = (set.name.clone(), failure.code);
        if let Some(operation) = self.operations.get_mut(&operation) {
            operation.trouble = Some(failure);
        }
        if let Some(found) = self
            .sets
            .get_mut(key)
            .and_then(|s| s.instances.get_mut(name))
        {
            found.failure = Some(code);
        }
        let instance = name.to_owned();
        self.note(
            &set_name,
            What::ActionFailed {
                instance,
                action,
                code,
            },
        );
    }
}

fn named<'a>(set: &'a ScaleSet, ids: &[&str]) -> Result<Vec<&'a Instance>, Refusal> {
    ids.iter()
        .map(|id| set.find(id).ok_or_else(|| Refusal::not_an_instance(id)))
        .collect()
}
