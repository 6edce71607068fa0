//! How Azure takes Spot instances back, and how the market that makes it do so moves.

use super::instance::{Phase, Priority};
use super::refusal::Refusal;
use super::scale_set::SetKey;
use super::{Region, What};
use std::sync::Arc;

impl Region {
    /// Azure evicts this instance, out of band: notice, Deleting (or deallocated), gone. `false`: there is no such
    /// instance, it is regular, or it is on its way out already.
    pub fn evict(&mut self, resource_group: &str, instance: &str) -> bool {
        let Some((set, found)) = self.instance(resource_group, instance) else {
            return false;
        };
        let (key, name) = (set.key(), found.name.clone());
        let notice = self.options.eviction_notice;
        let evicted = self.notice(&key, &name, notice, false);
        self.settle();
        evicted
    }

    /// Evicts up to `count` Spot instances of a scale set, running ones first, drawn by chance. Returns their names.
    pub fn evict_some(&mut self, resource_group: &str, set: &str, count: usize) -> Vec<String> {
        let Some(found) = self.set(resource_group, set) else {
            return Vec::new();
        };
        let key = found.key();
        let of = |running| -> Vec<String> {
            let spot = found
                .by_age()
                .into_iter()
                .filter(|i| i.priority == Priority::Spot);
            spot.filter(|i| {
                if running {
                    i.phase == Phase::Running
                } else {
                    matches!(i.phase, Phase::Creating { .. })
                }
            })
            .map(|i| i.name.clone())
            .collect()
        };
        let mut pools = [of(true), of(false)];
        let mut evicted = Vec::new();
        for pool in &mut pools {
            while evicted.len() < count && !pool.is_empty() {
                let pick = self.chance.below(pool.len() as u64) as usize;
                let name = pool.remove(pick);
                let notice = self.options.eviction_notice;
                if self.notice(&key, &name, notice, false) {
                    evicted.push(name);
                }
            }
        }
        self.settle();
        evicted
    }

    /// POST …/simulateEviction. The instance goes 30 s later or more [REC].
    ///
    /// # Errors
    /// 404 when there is none; 409 on a regular one [REC cap 6] and on one that does not run.
    pub fn simulate_eviction(
        &mut self,
        resource_group: &str,
        instance: &str,
    ) -> Result<(), Refusal> {
        let Some((set, found)) = self.instance(resource_group, instance) else {
            return Err(Refusal::resource_not_found(
                "virtualMachines",
                resource_group,
                instance,
            ));
        };
        if found.priority == Priority::Regular {
            return Err(Refusal::new(
                409,
                "OperationNotAllowed",
                "Operation 'simulateEviction' is allowed only for Spot Virtual Machines",
            ));
        }
        let (key, name) = (set.key(), found.name.clone());
        match found.phase {
            Phase::Running => {}
            // A second call changes nothing. [INF]
            Phase::Noticed { .. } => return Ok(()),
            _ => {
                let message = format!(
                    "Operation 'simulateEviction' is not allowed on VM '{name}' since the VM is not running."
                );
                return Err(Refusal::new(409, "OperationNotAllowed", message));
            }
        }
        let notice = self.options.simulated_eviction_notice;
        self.notice(&key, &name, notice, true);
        self.settle();
        Ok(())
    }

    fn notice(
        &mut self,
        key: &SetKey,
        instance: &str,
        notice: super::Span,
        simulated: bool,
    ) -> bool {
        let until = self.now + self.draw(notice);
        let Some(set) = self.sets.get_mut(key) else {
            return false;
        };
        let set_name = set.name.clone();
        let Some(found) = set.instances.get_mut(instance) else {
            return false;
        };
        // There is nobody to give notice to while it does not run.
        let until = if found.phase == Phase::Running {
            until
        } else {
            self.now
        };
        let can = found.priority == Priority::Spot
            && found.allocated()
            && !matches!(found.phase, Phase::Noticed { .. } | Phase::Failed);
        if can {
            found.phase = Phase::Noticed { until };
            found.operation = None;
            found.failure = None;
            self.note(
                &set_name,
                What::EvictionNoticed {
                    instance: instance.to_owned(),
                    not_before: until,
                    simulated,
                },
            );
        }
        can
    }

    /// A price moves (`zone: None`: in the whole region); whatever was made with a lower max price is evicted [DOC].
    pub fn set_price(
        &mut self,
        vm_size: &str,
        zone: Option<&str>,
        priority: Priority,
        micros: u64,
    ) {
        Arc::make_mut(&mut self.market).set_price(vm_size, zone, priority, micros);
        self.note(
            "",
            What::PriceChanged {
                vm_size: vm_size.to_owned(),
                priority,
                micros,
            },
        );
        let mut outbid = Vec::new();
        for (key, set) in &self.sets {
            for i in set
                .instances
                .values()
                .filter(|i| i.priority == Priority::Spot)
            {
                let price = self.market.price(&i.model.vm_size, &i.zone, Priority::Spot);
                if matches!((i.model.max_price, price), (Some(max), Some(price)) if price > max) {
                    outbid.push((key.clone(), i.name.clone()));
                }
            }
        }
        let notice = self.options.eviction_notice;
        for (key, name) in outbid {
            self.notice(&key, &name, notice, false);
        }
        self.settle();
    }

    /// So many more can be had from now on; `None` lifts the limit, 0 refuses.
    pub fn limit_capacity(
        &mut self,
        vm_size: &str,
        zone: Option<&str>,
        priority: Priority,
        available: Option<u32>,
    ) {
        Arc::make_mut(&mut self.market).limit(vm_size, zone, priority, available);
        self.note(
            "",
            What::CapacityChanged {
                vm_size: vm_size.to_owned(),
                priority,
                available,
            },
        );
    }

    /// Sets a quota row's limit, in cores.
    pub fn set_quota(&mut self, name: &str, limit: u32) {
        Arc::make_mut(&mut self.market).set_quota(name, limit);
        self.note(
            "",
            What::QuotaChanged {
                name: name.to_owned(),
                limit,
            },
        );
    }
}
