//! One Azure subscription and region as a plain state machine in virtual time.
//!
//! Requests and the passing of time go in; what Azure would show and refuse comes out. It exists so that whoever decides
//! can be tried against every reading of Azure's documents. It shares no type with them: two independent readings of the
//! same documents, or both agree on the same mistake. Deterministic: same seed, same requests, same world.
//!
//! # The API in one look (times are milliseconds of the world's own clock)
//!
//! ```text
//! Region::new(seed, Options)                      Options::default() realistic · Options::small() for exhaustive search
//!   .now() .next_event() -> Option<u64> .advance(to)
//!   .put(rg, name, &SetChange, Precondition)      -> Result<Accepted { operation, created }, Refusal>   create or merge
//!   .patch(rg, name, &SetChange, Precondition)    -> Result<Accepted, Refusal>
//!   .delete_set(rg, name, Precondition)           -> Result<Option<operation>, Refusal>                 None: nothing there
//!   .delete_instances(rg, name, &[id])            -> Result<operation, Refusal>                         POST …/delete
//!   .delete_instance(rg, instance)                -> Result<Option<operation>, Refusal>                 DELETE of one, by its name
//!   .start_instances(rg, name, &[id])             -> Result<operation, Refusal>                         POST …/start; none named: all
//!   .start_instance(rg, instance)                 -> Result<operation, Refusal>                         POST …/{instance}/start
//!   deallocate_…, power_off_…, restart_… likewise; .act_on_instances(…, InstanceAction) .act_on_instance(…) for all seven
//!   .evict(rg, instance) .evict_some(rg, name, n) out of band: notice → Deleting → gone, or → Deallocating → Deallocated
//!   .simulate_eviction(rg, instance)              -> Result<(), Refusal>                                the ARM call
//!   .set_price .limit_capacity .set_quota         the market moves (a price above max prices evicts)
//!   .set(rg, name) .instance(rg, name) .operation(id) .usages()
//!   .sets .operations .market .options .history   public fields to read; options may be changed at any time
//!   .forget_history()                             history is no part of Eq and Hash anyway
//!   .canonical() -> (Region, Renaming)            times relative to now, names and etags renumbered: the key of a state
//! SetChange { mode, capacity, vm_size, mix, priority, eviction_policy, max_price, zones, tags, model_changed }   None keeps
//! ScaleSet  { mode, capacity, mix, model, zones, tags, etag, instances, falls, … } .alive() .running() .find(id) .instance_id(name)
//! Instance  { name, priority, model {revision, vm_size, max_price}, zone, tags, created, phase } .alive() .running()
//! Precondition::{None, IfMatch(etag), IfMatchAny, IfNoneMatchAny}
//! Refusal   { status, code, message, target }     Operation { status: InProgress | Succeeded | Failed(Failure), … }
//! ```

mod allocation;
mod canonical;
mod chance;
mod deletion;
mod effect;
mod eviction;
mod history;
mod instance;
mod market;
mod mishap;
mod operation;
mod options;
mod passage;
mod power;
mod refusal;
mod requests;
mod scale_set;
#[cfg(test)]
mod tests;
mod validation;

pub use canonical::Renaming;
pub use chance::{Span, splitmix64};
pub use effect::InstanceAction;
pub use history::{Counters, Event, History, What};
pub use instance::{EvictionPolicy, Instance, Model, Phase, Priority};
pub use market::{Market, REGIONAL_CORES, SPOT_CORES, VmSize};
pub use mishap::Mishap;
pub use operation::{Failure, Operation, OperationKind, Status};
pub use options::{
    AllocationError, CapacityFalls, CapacityWrite, Concurrent, NoCapacity, Options, TakeFirst,
};
pub use refusal::{Refusal, dollars};
pub use requests::{Accepted, Precondition, SetChange};
pub use scale_set::{OrchestrationMode, PriorityMix, ProvisioningState, ScaleSet, SetKey, Split};

use chance::Chance;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One row of the region's `usages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Such as `lowPriorityCores`.
    pub name: String,
    /// Cores used by instances that exist, deallocated ones included [DOC].
    pub current: u32,
    /// Cores allowed.
    pub limit: u32,
}

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// How it behaves; may be changed at any time.
    pub options: Arc<Options>,
    /// Azure's name of it.
    pub location: Arc<str>,
    /// What it sells; change it by `set_price`, `limit_capacity`, `set_quota`.
    pub market: Arc<Market>,
    /// The scale sets.
    pub sets: BTreeMap<SetKey, ScaleSet>,
    /// Operations, running and recently ended.
    pub operations: BTreeMap<u64, Operation>,
    /// What happened.
    pub history: History,
    now: u64,
    seed: u64,
    chance: Chance,
    born: u64,
    operated: u64,
}

impl Region {
    /// An empty region at time 0.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> Self {
        Self {
            options: Arc::new(options),
            location: "eastus".into(),
            market: Arc::new(Market::default()),
            sets: BTreeMap::new(),
            operations: BTreeMap::new(),
            history: History::default(),
            now: 0,
            seed,
            chance: Chance::new(seed),
            born: 0,
            operated: 0,
        }
    }

    /// The same region under another name.
    #[must_use]
    pub fn at(mut self, location: &str) -> Self {
        self.location = location.into();
        self
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// The options, to change them.
    pub fn options_mut(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }

    /// The market, to change it without a trace in the history and without price evictions.
    pub fn market_mut(&mut self) -> &mut Market {
        Arc::make_mut(&mut self.market)
    }

    /// The scale set of that name, in any spelling.
    #[must_use]
    pub fn set(&self, resource_group: &str, name: &str) -> Option<&ScaleSet> {
        self.sets.get(&SetKey::new(resource_group, name))
    }

    /// The instance of that name and its scale set, of either mode. Names of instances are unique within a resource group.
    #[must_use]
    pub fn instance(&self, resource_group: &str, name: &str) -> Option<(&ScaleSet, &Instance)> {
        let group = resource_group.to_lowercase();
        self.sets
            .iter()
            .filter(|(key, _)| key.resource_group == group)
            .find_map(|(_, set)| {
                set.instances
                    .values()
                    .find(|i| i.name.eq_ignore_ascii_case(name))
                    .map(|i| (set, i))
            })
    }

    /// An operation, while it is still known.
    #[must_use]
    pub fn operation(&self, id: u64) -> Option<&Operation> {
        self.operations.get(&id)
    }

    /// Quota rows with what is used of them.
    #[must_use]
    pub fn usages(&self) -> Vec<Usage> {
        self.market
            .quota_rows()
            .into_iter()
            .map(|name| Usage {
                current: self.used(&name),
                limit: self.market.quota(&name),
                name,
            })
            .collect()
    }

    /// Cores that existing instances hold in a quota row. Spot counts in its own row only [DOC].
    pub(crate) fn used(&self, row: &str) -> u32 {
        let instances = self.sets.values().flat_map(|s| s.instances.values());
        instances
            .filter_map(|i| {
                self.market
                    .size(&i.model.vm_size)
                    .map(|size| (i.priority, size))
            })
            .filter(|(priority, size)| match priority {
                Priority::Spot => row == SPOT_CORES,
                Priority::Regular => row == REGIONAL_CORES || row == size.family,
            })
            .map(|(_, size)| size.cores)
            .sum()
    }

    /// Drops the events and the counters.
    pub fn forget_history(&mut self) {
        self.history = History::default();
    }

    fn note(&mut self, set: &str, what: What) {
        self.history.note(self.options.history, self.now, set, what);
    }

    fn draw(&mut self, span: Span) -> u64 {
        self.chance.within(span)
    }
}
