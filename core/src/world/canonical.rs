//! The same world told without what does not matter: absolute time, names, absolute ETags. Two worlds with equal
//! canonical forms behave alike; a search needs to visit only one of them.

use super::history::History;
use super::scale_set::{OrchestrationMode, SetKey};
use super::{Phase, Region};
use std::collections::BTreeMap;

/// An ETag equal to the scale set's current one becomes this; older ones keep their distance.
const ETAG: u64 = 1_000_000;

/// How names, ETags, operations and times of a world read in its canonical form; apply it to whatever remembers them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    /// Instance → canonical name.
    pub instances: BTreeMap<String, String>,
    /// Scale set → its current ETag.
    pub etags: BTreeMap<SetKey, u64>,
    /// Operation → canonical id.
    pub operations: BTreeMap<u64, u64>,
    /// What is time 0.
    pub now: u64,
}

impl Renaming {
    /// An ETag once read from that scale set.
    #[must_use]
    pub fn etag(&self, set: &SetKey, etag: u64) -> u64 {
        self.etags
            .get(set)
            .map_or(0, |current| (ETAG + etag).saturating_sub(*current))
    }

    /// An instance's name; names of instances that are gone all become `gone`.
    #[must_use]
    pub fn instance(&self, name: &str) -> String {
        self.instances
            .get(name)
            .cloned()
            .unwrap_or_else(|| "gone".to_owned())
    }
}

impl Region {
    /// The canonical form and the way to it. Instances and operations are numbered by age, times count from now, the
    /// history is dropped, ages of sets and instances become their order.
    #[must_use]
    pub fn canonical(&self) -> (Self, Renaming) {
        let mut region = self.clone();
        let mut renaming = Renaming {
            now: self.now,
            ..Renaming::default()
        };
        let now = self.now;
        let after = |at: u64| at.saturating_sub(now);
        region.operations.clear();
        for (n, operation) in self.operations.values().enumerate() {
            let id = n as u64 + 1;
            renaming.operations.insert(operation.id, id);
            let mut operation = operation.clone();
            operation.id = id;
            operation.started = 0;
            operation.ended = operation.ended.map(|_| 0);
            operation.not_before = after(operation.not_before);
            if let Some(resize) = &mut operation.resize {
                resize.at = after(resize.at);
            }
            region.operations.insert(id, operation);
        }
        let ages: BTreeMap<u64, u64> = {
            let mut all: Vec<u64> = self
                .sets
                .values()
                .flat_map(|s| s.instances.values().map(|i| i.number))
                .collect();
            all.sort_unstable();
            all.into_iter().zip(1..).collect()
        };
        for (key, set) in &mut region.sets {
            renaming.etags.insert(key.clone(), set.etag);
            set.etag = ETAG;
            set.created = 0;
            set.numbered = 0;
            set.operation = set
                .operation
                .and_then(|id| renaming.operations.get(&id).copied());
            for fall in &mut set.falls {
                *fall = after(*fall);
            }
            let instances = std::mem::take(&mut set.instances);
            for (old, mut instance) in instances {
                instance.number = ages.get(&instance.number).copied().unwrap_or(0);
                instance.name = match set.mode {
                    OrchestrationMode::Flexible => format!("{}_{:08x}", set.name, instance.number),
                    OrchestrationMode::Uniform => format!("{}_{}", set.name, instance.number),
                };
                instance.created = 0;
                instance.operation = instance
                    .operation
                    .and_then(|id| renaming.operations.get(&id).copied());
                instance.phase = match instance.phase {
                    Phase::Creating { until, fails } => Phase::Creating {
                        until: after(until),
                        fails,
                    },
                    Phase::Noticed { until } => Phase::Noticed {
                        until: after(until),
                    },
                    Phase::Starting { until } => Phase::Starting {
                        until: after(until),
                    },
                    Phase::Stopping { until } => Phase::Stopping {
                        until: after(until),
                    },
                    Phase::Deallocating { until } => Phase::Deallocating {
                        until: after(until),
                    },
                    Phase::Deleting { until, evicted } => Phase::Deleting {
                        until: after(until),
                        evicted,
                    },
                    rest @ (Phase::Running
                    | Phase::Stopped
                    | Phase::Deallocated
                    | Phase::Failed) => rest,
                };
                renaming.instances.insert(old, instance.name.clone());
                set.instances.insert(instance.name.clone(), instance);
            }
        }
        region.now = 0;
        region.born = ages.len() as u64;
        region.operated = region.operations.len() as u64;
        region.history = History::default();
        (region, renaming)
    }
}
