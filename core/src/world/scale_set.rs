//! A scale set: the numbers Azure keeps of it, how it calls its instances, and the arithmetic of its priority mix.

use super::instance::{Instance, Model, Phase, Priority};
use super::operation::Failure;
use super::options::CapacityWrite;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Resource group and name, in lower case: ARM does not regard case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetKey {
    /// Lower-case resource group.
    pub resource_group: String,
    /// Lower-case name.
    pub name: String,
}

impl SetKey {
    /// Makes a key of any spelling.
    #[must_use]
    pub fn new(resource_group: &str, name: &str) -> Self {
        Self {
            resource_group: resource_group.to_lowercase(),
            name: name.to_lowercase(),
        }
    }
}

/// `properties.priorityMixPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct PriorityMix {
    /// `baseRegularPriorityCount`.
    pub base: u32,
    /// `regularPriorityPercentageAboveBase`, 0 to 100.
    pub percent: u32,
}

/// How many of each priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Split {
    /// Regular instances.
    pub regular: u32,
    /// Spot instances.
    pub spot: u32,
}

impl Split {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.regular + self.spot
    }
}

impl PriorityMix {
    /// [DOC spot-priority-mix] up to the base all are Regular; above it the percentage is Regular, rounded down: Spot gets
    /// the odd one.
    #[must_use]
    pub fn split(self, capacity: u32) -> Split {
        let above = capacity.saturating_sub(self.base);
        let regular = capacity.min(self.base)
            + (u64::from(above) * u64::from(self.percent.min(100)) / 100) as u32;
        Split {
            regular,
            spot: capacity - regular,
        }
    }
}

/// `properties.orchestrationMode`: what the instances of a scale set are to the rest of Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrchestrationMode {
    /// Virtual machines of their own, Spot and regular ones mixed; an instance's id is its name.
    Flexible,
    /// Numbered parts of the scale set, all of one priority; the number is the id.
    Uniform,
}

impl OrchestrationMode {
    /// Azure's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flexible => "Flexible",
            Self::Uniform => "Uniform",
        }
    }
}

/// `properties.provisioningState` of a scale set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProvisioningState {
    /// Its first operation runs.
    Creating,
    /// An operation runs, or Azure takes an instance out.
    Updating,
    /// At rest.
    Succeeded,
    /// At rest; the last operation failed.
    Failed,
    /// Being deleted.
    Deleting,
}

impl ProvisioningState {
    /// Azure's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }
}

/// One scale set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScaleSet {
    /// As spelled at creation.
    pub resource_group: String,
    /// As spelled at creation.
    pub name: String,
    /// Fixed at creation [DOC].
    pub mode: OrchestrationMode,
    /// `sku.capacity` as Azure reports it.
    pub capacity: u32,
    /// `None`: one priority for all.
    pub mix: Option<PriorityMix>,
    /// Of the profile; fixed at creation.
    pub priority: Priority,
    /// What new instances are made from.
    pub model: Arc<Model>,
    /// Empty: regional.
    pub zones: BTreeSet<String>,
    /// Of the scale set.
    pub tags: Arc<BTreeMap<String, String>>,
    /// A small integer; moves with every change.
    pub etag: u64,
    /// When it was created.
    pub created: u64,
    /// By name.
    pub instances: BTreeMap<String, Instance>,
    /// When the capacity falls by one each: evictions and deletes that it has not followed yet.
    pub falls: Vec<u64>,
    /// Why it reads Failed: how its last operation ended.
    pub failure: Option<Failure>,
    /// How many numbers a Uniform set has given to instances.
    pub(crate) numbered: u64,
    pub(crate) operation: Option<u64>,
    pub(crate) creating: bool,
    pub(crate) deleting: bool,
    pub(crate) shows_evictions: bool,
}

impl ScaleSet {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> SetKey {
        SetKey::new(&self.resource_group, &self.name)
    }

    /// Instances of each priority that exist and are not being deleted.
    #[must_use]
    pub fn alive(&self) -> Split {
        self.count(Instance::alive)
    }

    /// Instances of each priority that run.
    #[must_use]
    pub fn running(&self) -> Split {
        self.count(Instance::running)
    }

    /// What requests call an instance: its name in a Flexible set, the number behind the set's name in a Uniform one [DOC
    /// virtual-machine-scale-sets-instance-ids].
    #[must_use]
    pub fn instance_id<'a>(&self, name: &'a str) -> &'a str {
        match self.mode {
            OrchestrationMode::Flexible => name,
            OrchestrationMode::Uniform => name.rsplit_once('_').map_or(name, |(_, id)| id),
        }
    }

    /// An instance by its id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Instance> {
        self.instances
            .values()
            .find(|i| self.instance_id(&i.name).eq_ignore_ascii_case(id))
    }

    fn count(&self, of: impl Fn(&Instance) -> bool) -> Split {
        let mut split = Split::default();
        for instance in self.instances.values().filter(|i| of(i)) {
            match instance.priority {
                Priority::Regular => split.regular += 1,
                Priority::Spot => split.spot += 1,
            }
        }
        split
    }

    /// Instances in the order of their birth.
    #[must_use]
    pub fn by_age(&self) -> Vec<&Instance> {
        let mut all: Vec<&Instance> = self.instances.values().collect();
        all.sort_by_key(|i| i.number);
        all
    }

    /// Base of the priority mix; 0 without one on a Spot set.
    #[must_use]
    pub fn base(&self) -> u32 {
        self.mix.map_or(0, |m| m.base)
    }

    /// What the scale set says of itself.
    #[must_use]
    pub fn provisioning_state(&self) -> ProvisioningState {
        let evicting = || {
            self.instances.values().any(|i| match i.phase {
                Phase::Deleting { evicted, .. } => evicted,
                Phase::Deallocating { .. } => i.operation.is_none(),
                _ => false,
            })
        };
        if self.deleting {
            ProvisioningState::Deleting
        } else if self.operation.is_some() {
            if self.creating {
                ProvisioningState::Creating
            } else {
                ProvisioningState::Updating
            }
        } else if self.shows_evictions && evicting() {
            ProvisioningState::Updating
        } else if self.failure.is_some() {
            ProvisioningState::Failed
        } else {
            ProvisioningState::Succeeded
        }
    }

    /// How many of each priority a capacity should be.
    #[must_use]
    pub fn split(&self, capacity: u32) -> Split {
        match (self.priority, self.mix) {
            (Priority::Regular, _) => Split {
                regular: capacity,
                spot: 0,
            },
            (Priority::Spot, None) => Split {
                regular: 0,
                spot: capacity,
            },
            (Priority::Spot, Some(mix)) => mix.split(capacity),
        }
    }

    /// What a capacity write from `before` to the recorded capacity makes or takes, given the instances of this moment.
    pub(super) fn change(&self, write: CapacityWrite, before: u32) -> Change {
        let (alive, target) = (self.alive(), self.capacity);
        let goal = match write {
            CapacityWrite::Level => target,
            CapacityWrite::Delta => (alive.total() + target).saturating_sub(before),
        };
        let split = self.split(goal);
        if goal >= alive.total() {
            // [DOC] on a scale-out after evictions the missing Spot instances come first (26 → 30: four Spot).
            let more = goal - alive.total();
            let spot = split.spot.saturating_sub(alive.spot).min(more);
            Change::Make(Split {
                spot,
                regular: more - spot,
            })
        } else {
            // [DOC] scale-in keeps the split: Spot above the mix first, then Regular above it.
            let fewer = alive.total() - goal;
            let spot = alive.spot.saturating_sub(split.spot).min(fewer);
            Change::Take(Split {
                spot,
                regular: fewer - spot,
            })
        }
    }
}

/// What a capacity write comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Make(Split),
    Take(Split),
}
