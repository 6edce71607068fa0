//! What Azure checks before it accepts a scale set: names and values, what may change, price, quota, capacity.

use super::Region;
use super::instance::{EvictionPolicy, Model, Priority};
use super::market::{REGIONAL_CORES, SPOT_CORES};
use super::options::NoCapacity;
use super::refusal::Refusal;
use super::requests::{SetChange, first_model};
use super::scale_set::{Change, OrchestrationMode, ScaleSet, Split};
use std::sync::Arc;

/// [DOC] a scale set holds a thousand instances.
const LARGEST: u32 = 1_000;

impl Region {
    pub(super) fn new_set(
        &self,
        resource_group: &str,
        name: &str,
        change: &SetChange,
    ) -> Result<ScaleSet, Refusal> {
        let Some(vm_size) = change.vm_size.clone() else {
            return Err(Refusal::new(
                400,
                "InvalidParameter",
                "Required parameter 'sku' is missing (null).",
            )
            .at("sku"));
        };
        let priority = change.priority.unwrap_or(Priority::Regular);
        self.sold(&vm_size, priority)?;
        let capacity = change.capacity.unwrap_or(0);
        sizeable(capacity)?;
        let mode = change.mode.unwrap_or(OrchestrationMode::Flexible);
        mixable(change, mode, priority)?;
        if change.max_price.is_some() && priority == Priority::Regular {
            let message = "Max price is supported only for Azure Spot Virtual Machines.";
            return Err(Refusal::new(
                400,
                "MaxPriceIsSupportedOnlyForAzureSpotVirtualMachines",
                message,
            )
            .at("billingProfile"));
        }
        if change.eviction_policy.is_some() && priority == Priority::Regular {
            let message = "Eviction policy can be set only on Azure Spot Virtual Machines.";
            return Err(Refusal::new(
                400,
                "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines",
                message,
            )
            .at("evictionPolicy"));
        }
        let max_price = change.max_price.map(price).transpose()?.flatten();
        let policy = change.eviction_policy.unwrap_or(EvictionPolicy::Deallocate);
        Ok(ScaleSet {
            resource_group: resource_group.to_owned(),
            name: name.to_owned(),
            mode,
            capacity,
            mix: change.mix,
            priority,
            model: Arc::new(first_model(vm_size, max_price, policy)),
            zones: change.zones.clone().unwrap_or_default(),
            tags: Arc::new(change.tags.clone().unwrap_or_default()),
            etag: 1,
            created: self.now(),
            instances: std::collections::BTreeMap::new(),
            falls: Vec::new(),
            numbered: 0,
            operation: None,
            creating: true,
            deleting: false,
            failure: None,
            shows_evictions: self.options.eviction_shows_updating,
        })
    }

    pub(super) fn changed_set(
        &self,
        current: &ScaleSet,
        change: &SetChange,
    ) -> Result<ScaleSet, Refusal> {
        let mut set = current.clone();
        if change.mode.is_some_and(|mode| mode != set.mode) {
            return Err(fixed("orchestrationMode"));
        }
        if let Some(wanted) = change.priority.filter(|p| *p != set.priority) {
            // [ISS ansible-collections/azure#2000]
            let message = format!(
                "The specified priority value '{}' cannot be applied to the Virtual Machine Scale Set '{}' since no priority was specified while originally creating the Virtual Machine Scale Set.",
                wanted.as_str(),
                set.name
            );
            return Err(Refusal::new(400, "BadRequest", message).at("priority"));
        }
        if change
            .eviction_policy
            .is_some_and(|p| p != set.model.eviction_policy)
        {
            return Err(fixed("virtualMachineProfile.evictionPolicy"));
        }
        if let Some(zones) = &change.zones {
            if !zones.is_superset(&set.zones) {
                return Err(fixed("zones"));
            }
            set.zones = zones.clone();
        }
        mixable(change, set.mode, set.priority)?;
        if let Some(mix) = change.mix {
            set.mix = Some(mix);
        }
        if let Some(capacity) = change.capacity {
            sizeable(capacity)?;
            set.capacity = capacity;
        }
        if let Some(tags) = &change.tags {
            set.tags = Arc::new(tags.clone());
        }
        let mut model = Model::clone(&set.model);
        if let Some(vm_size) = &change.vm_size {
            self.sold(vm_size, set.priority)?;
            model.vm_size.clone_from(vm_size);
        }
        if let Some(micros) = change.max_price {
            let wanted = price(micros)?;
            if wanted != model.max_price
                && !set.instances.is_empty()
                && !self.options.max_price_can_change
            {
                return Err(Refusal::new(
                    409,
                    "MaxPriceChangeNotAllowed",
                    "Max price change is not allowed.",
                )
                .at("billingProfile.maxPrice"));
            }
            model.max_price = wanted;
        }
        if change.model_changed || model != *set.model {
            model.revision += 1;
            set.model = Arc::new(model);
        }
        Ok(set)
    }

    fn sold(&self, vm_size: &str, priority: Priority) -> Result<(), Refusal> {
        match self.market.size(vm_size) {
            // [ISS sassoftware/viya4-iac-azure#116 and others]
            None => {
                let names: Vec<&str> = self.market.sizes().map(|s| s.name.as_str()).collect();
                let message = format!(
                    "The value {vm_size} provided for the VM size is not valid. The valid sizes in the current region are: {}. Find out more on the valid VM sizes in each region at https://aka.ms/azure-regions.",
                    names.join(",")
                );
                Err(Refusal::new(400, "InvalidParameter", message).at("vmSize"))
            }
            Some(size) if priority == Priority::Spot && !size.spot => {
                let message = format!(
                    "Azure Spot Virtual Machine is not supported for this VM size {}.",
                    size.name
                );
                Err(Refusal::new(400, "AzureSpotIsNotSupportedForThisVMSize", message).at("vmSize"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Price, quota and capacity for what a write from capacity `before` would make.
    pub(super) fn affordable(
        &self,
        operation: &str,
        set: &ScaleSet,
        before: u32,
    ) -> Result<(), Refusal> {
        let Change::Make(more) = set.change(self.options.capacity_write, before) else {
            return Ok(());
        };
        if more.total() == 0 {
            return Ok(());
        }
        self.within_quota(set, more)?;
        self.within_price(operation, set, more)?;
        self.not_sold_out(set, more)
    }

    fn within_quota(&self, set: &ScaleSet, more: Split) -> Result<(), Refusal> {
        let Some(size) = self.market.size(&set.model.vm_size) else {
            return Ok(());
        };
        let rows = [
            (more.spot, SPOT_CORES, "LowPriorityCores".to_owned()),
            (
                more.regular,
                REGIONAL_CORES,
                "Total Regional Cores".to_owned(),
            ),
            (
                more.regular,
                size.family.as_str(),
                format!("{} Cores", size.family),
            ),
        ];
        for (count, row, label) in rows.into_iter().filter(|(count, ..)| *count > 0) {
            let (usage, limit, asked) = (
                self.used(row),
                self.market.quota(row),
                count.saturating_mul(size.cores),
            );
            if usage.saturating_add(asked) > limit {
                return Err(Refusal::quota(
                    self.options.quota_status,
                    &label,
                    &self.location,
                    limit,
                    usage,
                    asked,
                ));
            }
        }
        Ok(())
    }

    fn within_price(&self, operation: &str, set: &ScaleSet, more: Split) -> Result<(), Refusal> {
        let Some(max) = set.model.max_price.filter(|_| more.spot > 0) else {
            return Ok(());
        };
        let lowest = set
            .places()
            .filter_map(|zone| self.market.price(&set.model.vm_size, zone, Priority::Spot))
            .min();
        match lowest {
            Some(price) if price > max => Err(Refusal::price(
                self.options.price_status,
                operation,
                max,
                price,
                &set.model.vm_size,
            )),
            _ => Ok(()),
        }
    }

    fn not_sold_out(&self, set: &ScaleSet, more: Split) -> Result<(), Refusal> {
        if self.options.no_capacity != NoCapacity::Synchronous {
            return Ok(());
        }
        for (count, priority) in [
            (more.spot, Priority::Spot),
            (more.regular, Priority::Regular),
        ] {
            let sold_out = set
                .places()
                .all(|zone| self.market.available(&set.model.vm_size, zone, priority) == Some(0));
            if count > 0 && sold_out {
                return Err(Refusal::sku_not_available(
                    &set.model.vm_size,
                    &self.location,
                ));
            }
        }
        Ok(())
    }
}

impl ScaleSet {
    /// Where its instances may be: its zones, or `""`.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        self.zones
            .iter()
            .map(String::as_str)
            .chain(self.zones.is_empty().then_some(""))
    }
}

fn sizeable(capacity: u32) -> Result<(), Refusal> {
    if capacity <= LARGEST {
        return Ok(());
    }
    let message = format!(
        "The value {capacity} of parameter 'sku.capacity' is out of range. The allowed range is 0 to {LARGEST}."
    );
    Err(Refusal::new(400, "InvalidParameter", message).at("sku.capacity"))
}

fn mixable(change: &SetChange, mode: OrchestrationMode, priority: Priority) -> Result<(), Refusal> {
    let Some(mix) = change.mix else { return Ok(()) };
    if mode == OrchestrationMode::Uniform {
        // [DOC orchestration-modes] instances of a Uniform set have one priority; the words are ours.
        let message = "Priority mix policy is supported only for Virtual Machine Scale Sets with orchestration mode Flexible.";
        return Err(Refusal::new(400, "InvalidParameter", message).at("priorityMixPolicy"));
    }
    if priority == Priority::Regular {
        let message =
            "Priority mix policy requires the priority of the virtual machine profile to be Spot.";
        return Err(Refusal::new(400, "InvalidParameter", message).at("priorityMixPolicy"));
    }
    if mix.percent > 100 {
        let message = "The value of parameter 'regularPriorityPercentageAboveBase' is out of range. The allowed range is 0 to 100.";
        return Err(Refusal::new(400, "InvalidParameter", message)
            .at("priorityMixPolicy.regularPriorityPercentageAboveBase"));
    }
    Ok(())
}

/// [DOC error-codes-spot] -1 or more than zero, up to five decimals.
fn price(micros: i64) -> Result<Option<u64>, Refusal> {
    match micros {
        -1_000_000 => Ok(None),
        1.. if micros % 10 == 0 => Ok(Some(micros.unsigned_abs())),
        _ => {
            let message = "Max price value is invalid. The only supported values for max price are -1 or a decimal greater than zero. Max price value of -1 indicates the Azure Spot Virtual Machine will not be evicted for price reasons.";
            Err(Refusal::new(400, "MaxPriceValueInvalid", message).at("billingProfile.maxPrice"))
        }
    }
}

fn fixed(property: &'static str) -> Refusal {
    Refusal::new(
        409,
        "PropertyChangeNotAllowed",
        format!("Changing property '{property}' is not allowed."),
    )
    .at(property)
}
