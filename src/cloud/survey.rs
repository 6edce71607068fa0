//! All scale sets of one place, each as one line: what tells whether a pool at rest is still as its own look left it.
//!
//! A look is made into the same [`Line`], so both can be compared. A survey may be older than the look (a minute, in Azure): that a line
//! differs is a reason to look, and nothing more. Nothing is ever decided on a survey.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use spotpool_core::planner::{Observed, Phase};
use spotpool_core::units::{Count, MicroUsd, ModelHash, Owner, Seen, Timestamp, VmSize};

use super::{Identity, PoolRef};

/// What one survey covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Azure subscription id, lower case.
    pub subscription: String,
    /// Short name of the region, lower case.
    pub location: String,
    /// As whom it is asked: each may see other sets.
    pub identity: Identity,
}

impl Scope {
    /// Where a pool is.
    pub fn of(pool: &PoolRef) -> Self {
        Self {
            subscription: pool.subscription.to_ascii_lowercase(),
            location: pool.location.to_ascii_lowercase(),
            identity: pool.identity.clone(),
        }
    }
}

/// What a survey brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// Every scale set that we may see, whole.
    Known {
        /// When it was asked for. What it shows may be older.
        at: Timestamp,
        /// By ARM id, lower case.
        lines: BTreeMap<String, Line>,
    },
    /// Nothing, or not all: why.
    Unknown(String),
}

/// One scale set in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// `sku.capacity`.
    pub capacity: Count,
    /// Whether Azure is done with whatever it was asked.
    pub settled: bool,
    /// Instances that run and stay.
    pub running: Count,
    /// Instances that are stopped or deallocated.
    pub deallocated: Count,
    /// Instances in any other state.
    pub other: Count,
    /// Digest of what else a look reads of the set ([`Line::digest`]): somebody may change that, too.
    pub traits: u64,
}

impl Line {
    /// A look as a line; `None` when there is no set, or not all of it was seen.
    pub fn of(observed: &Observed) -> Option<Self> {
        let (
            Seen::Known {
                value: Some(set), ..
            },
            Seen::Known {
                value: instances, ..
            },
        ) = (&observed.set, &observed.instances)
        else {
            return None;
        };
        let mut line = Self {
            capacity: set.capacity,
            settled: set.state.is_terminal(),
            running: 0,
            deallocated: 0,
            other: 0,
            traits: Self::digest(
                &set.vm_size,
                set.base,
                set.max_price,
                set.owner.as_ref(),
                set.model.as_ref(),
            ),
        };
        for instance in instances {
            *match instance.phase {
                Phase::Running => &mut line.running,
                Phase::Deallocated => &mut line.deallocated,
                Phase::Starting
                | Phase::Stopping
                | Phase::Deallocating
                | Phase::Failed
                | Phase::Unknown => &mut line.other,
            } += 1;
        }
        Some(line)
    }

    /// What a set is made of and whose it is, in a number that only this process understands.
    pub fn digest(
        vm_size: &VmSize,
        base: Count,
        max_price: Option<MicroUsd>,
        owner: Option<&Owner>,
        model: Option<&ModelHash>,
    ) -> u64 {
        let mut hasher = DefaultHasher::new();
        vm_size.as_str().to_ascii_lowercase().hash(&mut hasher);
        (base, max_price, owner, model).hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spotpool_core::planner::{Blind, Instance, Provisioning, ScaleSet};
    use spotpool_core::units::{Priority, Zone};

    fn set() -> ScaleSet {
        ScaleSet {
            capacity: 7,
            base: 1,
            vm_size: "Standard_D4s_v5".into(),
            max_price: None,
            etag: "1".into(),
            state: Provisioning::Succeeded,
            owner: Some("o".into()),
            model: Some("m".into()),
            model_since: None,
        }
    }

    fn seen(set: Option<ScaleSet>, phases: &[Phase]) -> Observed {
        let at = Timestamp(1);
        let instance = |phase: &Phase| Instance {
            name: "render_1".into(),
            priority: Priority::Spot,
            phase: *phase,
            vm_size: "Standard_D4s_v5".into(),
            zone: Zone::default(),
            created: None,
            price_limit: None,
        };
        Observed {
            set: Seen::Known { value: set, at },
            instances: Seen::Known {
                value: phases.iter().map(instance).collect(),
                at,
            },
            outcome: None,
        }
    }

    #[test]
    fn a_look_becomes_a_line_in_which_each_instance_counts_once() {
        let phases = [
            Phase::Running,
            Phase::Running,
            Phase::Deallocated,
            Phase::Starting,
            Phase::Stopping,
            Phase::Failed,
            Phase::Unknown,
        ];
        let line = Line::of(&seen(Some(set()), &phases)).unwrap();
        assert_eq!(
            (line.capacity, line.settled, line.running),
            (7, true, 2),
            "{line:?}"
        );
        assert_eq!((line.deallocated, line.other), (1, 4), "{line:?}");
    }

    #[test]
    fn what_was_not_seen_whole_is_no_line() {
        assert_eq!(Line::of(&seen(None, &[])), None);
        let mut half = seen(Some(set()), &[]);
        half.instances = Seen::Unknown(Blind::NotAsked);
        assert_eq!(Line::of(&half), None);
    }

    #[test]
    fn a_foreign_change_of_anything_that_a_look_reads_changes_the_line() {
        let line = |change: fn(&mut ScaleSet)| {
            let mut changed = set();
            change(&mut changed);
            Line::of(&seen(Some(changed), &[]))
        };
        let before = line(|_| {});
        for (what, after) in [
            ("capacity", line(|set| set.capacity = 6)),
            ("state", line(|set| set.state = Provisioning::Busy)),
            ("size", line(|set| set.vm_size = "Standard_D8s_v5".into())),
            ("base", line(|set| set.base = 0)),
            ("price", line(|set| set.max_price = Some(MicroUsd(1)))),
            ("owner", line(|set| set.owner = None)),
            ("model", line(|set| set.model = Some("n".into()))),
        ] {
            assert_ne!(before, after, "{what}");
        }
        let shouted = line(|set| set.vm_size = "STANDARD_D4S_V5".into());
        assert_eq!(before, shouted, "the case of a size says nothing");
    }
}
