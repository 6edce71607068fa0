//! What is wanted, every default filled: the planner never has to ask what an absence means.

use crate::units::{Count, MicroUsd, Millis, ModelHash, Owner, VmSize};

/// One pool's declaration, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Desired {
    /// `metadata.generation`: which declaration this is. A proof gathered under another one proves nothing.
    pub generation: i64,
    /// The ownership tag that a scale set must carry to be touched.
    pub owner: Owner,
    /// Regular instances wanted.
    pub regular: Count,
    /// Spot instances wanted.
    pub spot: Count,
    /// Acceptable sizes, best first; never empty.
    pub vm_sizes: Vec<VmSize>,
    /// Fingerprint of the model new instances are made from.
    pub model: ModelHash,
    /// The most to pay for a Spot instance an hour; `None`: up to the pay-as-you-go price.
    pub max_price: Option<MicroUsd>,
    /// What Azure does with an instance that it evicts.
    pub eviction: Eviction,
    /// How many of all must run for the pool to be Ready.
    pub min_available: Count,
    /// How long less than that may run before somebody should look.
    pub progress_deadline: Millis,
    /// More instances than this are not taken away at once without a confirmation; `None`: any number may go.
    pub confirm_above: Option<Count>,
    /// Whether somebody has confirmed just this declaration.
    pub confirmed: bool,
    /// Keep the pool, only watch it, or take it down.
    pub intent: Intent,
    /// How patient to be.
    pub pace: Pace,
}

impl Desired {
    /// Instances wanted in all.
    pub fn total(&self) -> Count {
        self.regular.saturating_add(self.spot)
    }

    /// Whether so many may not be taken away yet.
    pub(super) fn lacks_confirmation(&self, taking: Count) -> bool {
        !self.confirmed && self.confirm_above.is_some_and(|most| taking > most)
    }
}

/// What becomes of an evicted instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eviction {
    /// Azure deletes it, and the capacity falls.
    Delete,
    /// It stays, deallocated, with its disks: it is started again, and replaced when that has not worked for so long.
    Deallocate {
        /// From when it was first seen down.
        restart_timeout: Millis,
    },
}

/// What to do with the scale set as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Keep it as declared.
    Keep,
    /// `suspend: true`: look and report, write nothing.
    Watch,
    /// The SpotPool is being deleted and takes its scale set along.
    Remove,
    /// The SpotPool is being deleted and leaves its scale set behind.
    Orphan,
}

/// The installation's timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// Between two looks at a pool at rest.
    pub rest: Millis,
    /// Between two looks at a pool in motion. Operations are polled no faster than every 5 s (azure.md §5: GetOperation refills 15 a minute).
    pub motion: Millis,
    /// The longest lag known between a fact and its being readable: how long counts must stand still before they prove anything.
    pub settle: Millis,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rest: Millis::seconds(30),
            motion: Millis::seconds(5),
            settle: Millis::seconds(60),
        }
    }
}
