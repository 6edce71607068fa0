//! The part of an observation that decisions may stand on: a set that was seen, and whose instances are all known.

use crate::units::{Count, Priority, Timestamp};

use super::desired::Desired;
use super::observed::{Instance, Phase, ScaleSet};

/// A set and its instances, both read.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// The set.
    pub set: &'a ScaleSet,
    /// Its instances.
    pub instances: &'a [Instance],
    /// The older of the two readings.
    pub at: Timestamp,
}

impl Picture<'_> {
    /// Instances of a priority that exist and are not on their way out.
    pub fn held(&self, priority: Priority) -> Count {
        self.count(|one| one.priority == priority && one.phase != Phase::Stopping)
    }

    /// All instances that exist and are not on their way out: planner.md's **A**.
    pub fn alive(&self) -> Count {
        self.count(|one| one.phase != Phase::Stopping)
    }

    /// Spot instances that are being taken: deleted, or deallocated.
    pub fn leaving(&self) -> Count {
        self.count(|one| {
            one.priority == Priority::Spot
                && matches!(one.phase, Phase::Stopping | Phase::Deallocating)
        })
    }

    /// Instances of a priority that work or are about to.
    pub fn sound(&self, priority: Priority) -> Count {
        self.count(|one| {
            one.priority == priority
                && matches!(one.phase, Phase::Starting | Phase::Running | Phase::Unknown)
        })
    }

    /// Whether any instance's state could not be read.
    pub fn has_unknown(&self) -> bool {
        self.instances.iter().any(|one| one.phase == Phase::Unknown)
    }

    /// How many of a priority are missing.
    pub fn short(&self, desired: &Desired, priority: Priority) -> Count {
        wanted(desired, priority).saturating_sub(self.held(priority))
    }

    /// How many of a priority are too many.
    pub fn over(&self, desired: &Desired, priority: Priority) -> Count {
        self.held(priority)
            .saturating_sub(wanted(desired, priority))
    }

    fn count(&self, matches: impl Fn(&Instance) -> bool) -> Count {
        Count::try_from(self.instances.iter().filter(|one| matches(one)).count())
            .unwrap_or(Count::MAX)
    }
}

/// How many of a priority are declared.
pub fn wanted(desired: &Desired, priority: Priority) -> Count {
    match priority {
        Priority::Regular => desired.regular,
        Priority::Spot => desired.spot,
    }
}
