//! Everything the simulator remembers: the world, the documents beside it, and the books it keeps. One lock around it; a
//! request catches up with the clock first, so no timer runs.

use super::clock::Clock;
use super::deployments::Deployment;
use super::faults::Faults;
use super::graph::Graph;
use super::ids;
use super::journal::Journal;
use super::limits::Limits;
use super::log::Log;
use super::login::Logins;
use super::schedule::Schedule;
use serde_json::Value;
use spotpool_core::world::{Priority, Region, ScaleSet, SetKey};
use std::cell::LazyCell;
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
    /// Spot instances being made or started again.
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

    /// New and upgraded instances remember the profile of this moment; changes of state are dated.
    fn follow(&mut self, set: &ScaleSet, now: u64, vm_id: impl Fn(u64) -> String) {
        // By its number as well: a name can be used again.
        self.machines.retain(|name, machine| {
            let instance = set.instances.get(name);
            instance.is_some_and(|i| i.number == machine.number)
        });
        let document = &self.document;
        let profile = LazyCell::new(|| {
            let profile = document.pointer("/properties/virtualMachineProfile");
            Arc::new(profile.cloned().unwrap_or_default())
        });
        for (name, instance) in &set.instances {
            let state = (instance.provisioning_state(), instance.power_state());
            let revision = instance.model.revision;
            if let Some(machine) = self.machines.get_mut(name) {
                if machine.state != state {
                    machine.changed = now;
                }
                if machine.revision != revision {
                    machine.profile = Arc::clone(&profile);
                }
                machine.etag += u64::from((machine.state, machine.revision) != (state, revision));
                (machine.state, machine.revision) = (state, revision);
                continue;
            }
            let machine = MachineRecord {
                profile: Arc::clone(&profile),
                vm_id: vm_id(instance.number),
                etag: 1,
                changed: now,
                number: instance.number,
                revision,
                state,
            };
            self.machines.insert(name.clone(), machine);
        }
    }

    fn sample(&mut self, set: &ScaleSet, now: u64) {
        let running = set.running();
        let starting = set
            .instances
            .values()
            .filter(|i| i.priority == Priority::Spot && i.power_state() == "starting")
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
    number: u64,
    revision: u32,
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
    /// Whether Uniform instances say that they are Spot, under which policy and up to which price. [REC cap 8] they do, with
    /// api-version 2021-11-01; [SDK] the descriptions of 2024-07-01 and 2026-04-01 do not know it.
    pub uniform_tells_priority: bool,
    /// Whether exhausted limits refuse.
    pub throttle: bool,
    /// Seconds that operations ask their callers to wait.
    pub retry_after: Option<u64>,
    /// Lower-case names of resource groups that do not exist; all others do.
    pub missing_groups: Vec<String>,
    /// By scale set.
    pub sets: BTreeMap<SetKey, SetRecord>,
    /// Operation GUID → the world's number.
    pub operations: BTreeMap<String, u64>,
    /// Resource Graph's copy of the world.
    pub graph: Graph,
    /// Networks and the like, by lower-case path from the resource group on.
    pub resources: BTreeMap<String, Value>,
    /// By lower-case resource group and name.
    pub deployments: BTreeMap<String, Deployment>,
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
    /// The login host's.
    pub logins: Logins,
    /// What is to happen by itself.
    pub schedule: Schedule,
    /// What has happened, on disk.
    pub journal: Journal,
    /// Requests so far; makes request ids.
    pub requests: u64,
}

impl State {
    /// Lets the world's time pass.
    pub fn pass(&mut self, until: u64) {
        while let Some(next) = self.region.next_event().filter(|next| *next <= until) {
            self.region.advance(next);
            self.record();
        }
        self.region.advance(until);
    }

    /// Brings the books up to the world as it is.
    pub fn record(&mut self) {
        let (now, seed) = (self.region.now(), self.seed);
        let sets = &self.region.sets;
        self.sets.retain(|key, _| sets.contains_key(key));
        for (key, record) in &mut self.sets {
            let Some(set) = sets.get(key) else { continue };
            record.follow(set, now, |number| ids::guid(seed, &format!("vm/{number}")));
            record.sample(set, now);
        }
        self.graph.follow(sets, now);
    }

    /// The next request's id, which is also the id of the operation it starts [REC cap 1].
    pub fn request_id(&mut self) -> String {
        self.requests += 1;
        ids::guid(self.seed, &format!("request/{}", self.requests))
    }
}
