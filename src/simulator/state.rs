//! Everything the simulator remembers: the world, the documents beside it, and the books it keeps. One lock around it; a
//! request catches up with the clock first, so no timer runs.

use super::clock::Clock;
use super::faults::Faults;
use super::ids;
use super::limits::Limits;
use super::log::Log;
use serde_json::Value;
use spotpool_core::world::{Priority, Region, ScaleSet, SetKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many points of a scale set's history the page gets.
const SAMPLES: usize = 1_500;

/// Requests answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// GET and HEAD.
    pub reads: u64,
    /// PUT, PATCH and POST.
    pub writes: u64,
    /// DELETE.
    pub deletes: u64,
}

/// What is kept of a scale set beside the world.
#[derive(Debug)]
pub struct SetRecord {
    /// The stored document.
    pub document: Value,
    /// `properties.uniqueId`.
    pub unique_id: String,
    /// The capacity that was last asked for.
    pub asked: u32,
    /// Beside its instances, by name.
    pub machines: BTreeMap<String, MachineRecord>,
    /// For the page's chart.
    pub samples: VecDeque<Sample>,
}

/// Counts of a scale set at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// World time.
    pub at: u64,
    /// Running Spot instances.
    pub spot: u32,
    /// Spot instances being made.
    pub starting: u32,
    /// Running regular instances.
    pub regular: u32,
    /// As the scale set reports it.
    pub capacity: u32,
    /// As last asked for.
    pub asked: u32,
}

impl SetRecord {
    /// Books of a scale set that was just accepted.
    #[must_use]
    pub fn new(document: Value, unique_id: String) -> Self {
        Self {
            document,
            unique_id,
            asked: 0,
            machines: BTreeMap::new(),
            samples: VecDeque::new(),
        }
    }

    /// New instances remember the profile of this moment; changes of state are dated.
    fn follow(&mut self, set: &ScaleSet, now: u64, vm_id: impl Fn(&str) -> String) {
        self.machines
            .retain(|name, _| set.instances.contains_key(name));
        let mut profile = None;
        for instance in set.instances.values() {
            let state = (instance.provisioning_state(), instance.power_state());
            if let Some(machine) = self.machines.get_mut(&instance.name) {
                if machine.state != state {
                    machine.state = state;
                    machine.etag += 1;
                    machine.changed = now;
                }
                continue;
            }
            let document = &self.document;
            let profile = profile.get_or_insert_with(|| {
                Arc::new(
                    document
                        .pointer("/properties/virtualMachineProfile")
                        .cloned()
                        .unwrap_or_default(),
                )
            });
            let machine = MachineRecord {
                profile: Arc::clone(profile),
                vm_id: vm_id(&instance.name),
                etag: 1,
                changed: now,
                state,
            };
            self.machines.insert(instance.name.clone(), machine);
        }
    }

    fn sample(&mut self, set: &ScaleSet, now: u64) {
        let running = set.running();
        let starting = set
            .instances
            .values()
            .filter(|i| i.priority == Priority::Spot && i.provisioning_state() == "Creating")
            .count() as u32;
        let sample = Sample {
            at: now,
            spot: running.spot,
            starting,
            regular: running.regular,
            capacity: set.capacity,
            asked: self.asked,
        };
        if self
            .samples
            .back()
            .is_none_or(|last| Sample { at: now, ..*last } != sample)
        {
            self.samples.push_back(sample);
            while self.samples.len() > SAMPLES {
                self.samples.pop_front();
            }
        }
    }
}

/// What is kept of an instance beside the world.
#[derive(Debug)]
pub struct MachineRecord {
    /// The scale set's profile when the instance was made.
    pub profile: Arc<Value>,
    /// `properties.vmId`.
    pub vm_id: String,
    /// Moves with every change of state.
    pub etag: u64,
    /// World time of the last change of state.
    pub changed: u64,
    state: (&'static str, &'static str),
}

/// All of it.
#[derive(Debug)]
pub struct State {
    /// Azure.
    pub region: Region,
    /// Its clock.
    pub clock: Clock,
    /// For identities.
    pub seed: u64,
    /// The one subscription that exists.
    pub subscription: String,
    /// Items on a page of a list.
    pub page_size: usize,
    /// Whether exhausted limits refuse.
    pub throttle: bool,
    /// Lower-case names of resource groups that do not exist; all others do.
    pub missing_groups: Vec<String>,
    /// By scale set.
    pub sets: BTreeMap<SetKey, SetRecord>,
    /// Operation GUID → the world's number.
    pub operations: BTreeMap<String, u64>,
    /// Token buckets.
    pub limits: Limits,
    /// Rules.
    pub faults: Faults,
    /// Requests and replies.
    pub log: Log,
    /// Counts.
    pub calls: Calls,
    /// Nobody answers.
    pub offline: bool,
    /// Requests so far; makes request ids.
    pub requests: u64,
}

impl State {
    /// Lets the world's time pass up to now.
    pub fn catch_up(&mut self) {
        let now = self.clock.now();
        while let Some(next) = self.region.next_event().filter(|next| *next <= now) {
            self.region.advance(next);
            self.record();
        }
        self.region.advance(now);
    }

    /// Brings the books up to the world as it is.
    pub fn record(&mut self) {
        let (now, seed) = (self.region.now(), self.seed);
        let sets = &self.region.sets;
        self.sets.retain(|key, _| sets.contains_key(key));
        for (key, record) in &mut self.sets {
            let Some(set) = sets.get(key) else { continue };
            record.follow(set, now, |name| {
                ids::guid(seed, &format!("vm/{}/{name}", key.resource_group))
            });
            record.sample(set, now);
        }
    }

    /// The next request's id, which is also the id of the operation it starts [REC cap 1].
    pub fn request_id(&mut self) -> String {
        self.requests += 1;
        ids::guid(self.seed, &format!("request/{}", self.requests))
    }
}
