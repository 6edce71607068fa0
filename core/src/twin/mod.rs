//! Planner and world face to face, without a wire between them: what the planner may be told, what may become of its writes, and what the laws say to both.
//!
//! A lie is a picture that Azure could show: older than it says, half unreadable, or with a capacity that is not so. A fate is
//! what can happen to a write: it arrives, is lost on the way, or its answer is. The exhaustive search and the random
//! histories drive the same machine.

mod azure;
mod evidence;
mod healing;
pub mod history;
mod key;
mod lies;

pub use healing::heals;

use std::collections::BTreeMap;
use std::hash::Hash;

use crate::laws::{Broken, Kinds, Write, judge};
use crate::planner::{
    Action, Answer, Because, Desired, Intent, Memory, Observed, Plan, Quota, added, remember,
    within,
};
use crate::units::{InstanceName, Millis, ModelHash, Owner, Priority, Timestamp, VmSize};
use crate::world;

/// Resource group and scale set of the only pool in this world.
pub const PLACE: (&str, &str) = ("rg", "p");
/// The longest time by which a reading may lag behind the facts here, milliseconds; shorter than the settle time, as planner.md requires.
pub const LONGEST_LAG: u64 = 45_000;
/// For so long one reading of the quota serves, milliseconds: longer than in Azure's client, to be worse than it.
const QUOTA_FRESH: u64 = 60_000;
/// `Retry-After` of a write that Azure does not take now.
const THROTTLED: Millis = Millis::seconds(30);

/// How a look may mislead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lie {
    /// It does not.
    Truth,
    /// Nothing could be read.
    Blind,
    /// The set was read, its instances were not.
    NoInstances,
    /// Everything is as it was a while ago.
    Old,
    /// The set is current, the list of instances old.
    OldInstances,
    /// The list is current, the set old.
    OldSet,
    /// `sku.capacity` reads 0.
    CapacityZero,
    /// `sku.capacity` reads two less than it is.
    CapacityLow,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It arrives and is answered.
    Arrives,
    /// It never arrives, and no answer comes.
    LostBefore,
    /// It arrives, and the answer is lost.
    LostAfter,
    /// Azure does not take it now: 429.
    Throttled,
}

/// What somebody else does to an instance of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hand {
    /// Powers it off.
    Stops,
    /// Deallocates it.
    Deallocates,
    /// Deletes it.
    Deletes,
}

/// A planner: the real one, or one with a planted bug.
pub type Planner<'a> = &'a dyn Fn(&Desired, &Observed, &Memory, Timestamp) -> Plan;

/// One pool, its controller's state, and the region it lives in.
#[derive(Clone, Debug)]
pub struct Twin {
    /// The truth.
    pub region: world::Region,
    /// What is wanted.
    pub desired: Desired,
    /// Which kind of scale set the pool has.
    pub mode: world::OrchestrationMode,
    /// What the controller remembers.
    pub memory: Memory,
    /// What was decided and not yet done, with the declaration it was decided on.
    pub pending: Option<(Desired, Action)>,
    /// When to look next.
    pub next_look: u64,
    /// Writes that reached Azure.
    pub writes: u32,
    /// What happened, a line each, when somebody wants to read it.
    pub story: Option<Vec<String>>,
    unheard: Option<u64>,
    shown: Option<Observed>,
    past: Option<(u64, Observed)>,
    /// The rows of quota as they were last read, and when.
    quota: Option<(u64, Vec<Quota>)>,
    ledger: Ledger,
}

/// What the laws need to know of the past, kept apart from the planner's own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ledger {
    /// Since when, and until when, this process was shown the same facts.
    same: Option<(u64, u64, evidence::Facts)>,
    /// When instances were taken by others, and of which priority they were.
    taken: Vec<(u64, Priority)>,
    /// Since when instances have been shown to be down, and of which priority they are.
    down: BTreeMap<InstanceName, (u64, Priority)>,
}

impl Twin {
    /// A pool that does not exist yet, in an empty region.
    pub fn new(region: world::Region, desired: Desired) -> Self {
        let next_look = region.now();
        Self {
            region,
            desired,
            mode: world::OrchestrationMode::Flexible,
            memory: Memory::default(),
            pending: None,
            next_look,
            writes: 0,
            story: None,
            unheard: None,
            shown: None,
            past: None,
            quota: None,
            ledger: Ledger::default(),
        }
    }

    /// The region's time as the planner counts it.
    pub fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.region.now()).unwrap_or(i64::MAX))
    }

    /// What exists.
    pub fn kinds(&self) -> Kinds {
        self.region
            .set(PLACE.0, PLACE.1)
            .map_or_else(Kinds::default, |set| {
                let alive = set.alive();
                Kinds {
                    regular: alive.regular,
                    spot: alive.spot,
                }
            })
    }

    /// What exists and can work.
    fn sound(&self) -> Kinds {
        let mut kinds = Kinds::default();
        let sound = |one: &&world::Instance| {
            one.alive()
                && !matches!(
                    one.phase,
                    world::Phase::Failed
                        | world::Phase::Stopping { .. }
                        | world::Phase::Stopped
                        | world::Phase::Deallocating { .. }
                        | world::Phase::Deallocated
                )
        };
        for one in self
            .region
            .set(PLACE.0, PLACE.1)
            .iter()
            .flat_map(|set| set.instances.values())
            .filter(sound)
        {
            match one.priority {
                world::Priority::Regular => kinds.regular += 1,
                world::Priority::Spot => kinds.spot += 1,
            }
        }
        kinds
    }

    /// What is wanted.
    pub fn wanted(&self) -> Kinds {
        Kinds {
            regular: self.desired.regular,
            spot: self.desired.spot,
        }
    }

    /// Whether everything wanted exists, runs, and nothing else does.
    pub fn is_as_declared(&self) -> bool {
        let running = self
            .region
            .set(PLACE.0, PLACE.1)
            .map(world::ScaleSet::running)
            .unwrap_or_default();
        self.kinds() == self.wanted()
            && (running.regular, running.spot) == (self.desired.regular, self.desired.spot)
    }

    fn say(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!(
                "{:>8.1} s  {}",
                self.region.now() as f64 / 1000.0,
                line(self)
            );
            self.story.get_or_insert_default().push(line);
        }
    }

    /// Time passes.
    pub fn pass(&mut self, to: u64) {
        self.region.advance(to);
        let now = self.region.now();
        self.ledger
            .taken
            .retain(|(at, _)| at + LONGEST_LAG + LONGEST_LAG > now);
        if self
            .past
            .as_ref()
            .is_some_and(|(at, _)| at + LONGEST_LAG < now)
        {
            self.past = None;
        }
    }

    /// Somebody edits the declaration.
    pub fn edit(&mut self, regular: u32, spot: u32) {
        self.desired = Desired {
            generation: self.desired.generation + 1,
            regular,
            spot,
            ..self.desired.clone()
        };
        self.next_look = self.region.now();
        self.say(|_| format!("edit: regular {regular}, spot {spot}"));
    }

    /// Azure takes the `nth` Spot instance that is not on its way out, by age.
    pub fn evict(&mut self, nth: usize) -> bool {
        let name = self.region.set(PLACE.0, PLACE.1).and_then(|set| {
            set.by_age()
                .into_iter()
                .filter(|one| one.priority == world::Priority::Spot && one.alive())
                .nth(nth)
                .map(|one| one.name.clone())
        });
        let evicted = name.is_some_and(|name| self.region.evict(PLACE.0, &name));
        if evicted {
            self.ledger.taken.push((self.region.now(), Priority::Spot));
        }
        self.say(|_| format!("evict number {nth}: {evicted}"));
        evicted
    }

    /// Somebody else stops or deletes the `nth` of our instances that is not on its way out, by age.
    pub fn meddle(&mut self, hand: Hand, nth: usize) {
        let ours = |set: &&world::ScaleSet| set.tags.contains_key("spotpool_owner");
        let found = self
            .region
            .set(PLACE.0, PLACE.1)
            .filter(ours)
            .and_then(|set| {
                let alive = set.by_age().into_iter().filter(|one| one.alive());
                alive
                    .skip(nth)
                    .map(|one| (one.name.clone(), one.priority))
                    .next()
            });
        let Some((name, priority)) = found else {
            return;
        };
        let taken = match hand {
            Hand::Stops => self.region.power_off_instance(PLACE.0, &name).is_ok(),
            Hand::Deallocates => self.region.deallocate_instance(PLACE.0, &name).is_ok(),
            Hand::Deletes => self.region.delete_instance(PLACE.0, &name).is_ok(),
        };
        if taken {
            let priority = match priority {
                world::Priority::Regular => Priority::Regular,
                world::Priority::Spot => Priority::Spot,
            };
            self.ledger.taken.push((self.region.now(), priority));
        }
        self.say(|_| format!("somebody {hand:?} {name}: {taken}"));
    }

    /// The process dies; a new one knows nothing but what status kept, or not even that.
    pub fn crash(&mut self, status_survives: bool) {
        let kept = std::mem::take(&mut self.memory).kept;
        if status_survives {
            self.memory.kept = kept;
        }
        self.pending = None;
        self.unheard = None;
        self.quota = None;
        self.ledger.same = None;
        self.next_look = self.region.now();
        self.say(|_| format!("crash, status survives: {status_survives}"));
    }

    /// Which lies are possible now.
    pub fn can_lie(&self, lie: Lie) -> bool {
        !matches!(lie, Lie::Old | Lie::OldInstances | Lie::OldSet) || self.past.is_some()
    }

    /// Looks, is told the truth or a lie, and decides.
    pub fn look(&mut self, planner: Planner<'_>, lie: Lie) -> Plan {
        let now = self.now();
        let truth = self.see();
        let mut observed = self.distort(&truth, lie);
        observed.outcome = if lie == Lie::Blind { None } else { self.hear() };
        if self.past.is_none() {
            self.past = Some((self.region.now(), truth));
        }
        self.note(&observed);
        let plan = planner(&self.desired, &observed, &self.memory, now);
        self.shown = Some(observed);
        self.memory = plan.memory.clone();
        self.next_look = u64::try_from(plan.next.0)
            .unwrap_or_default()
            .max(self.region.now() + 1);
        self.pending = plan
            .action
            .clone()
            .and_then(|(action, because)| self.within_quota(action, because))
            .map(|action| (self.desired.clone(), action));
        self.say(|twin| {
            format!(
                "look ({lie:?}): {} → {}",
                twin.shown
                    .as_ref()
                    .map(lies::picture_line)
                    .unwrap_or_default(),
                match &plan.action {
                    Some((action, because)) => format!("{action:?}: {}", because.message),
                    None => format!(
                        "{:?}, again in {:.1} s",
                        plan.summary.stage,
                        (twin.next_look - twin.region.now()) as f64 / 1000.0
                    ),
                }
            )
        });
        plan
    }

    /// What is left of an action by a reading of the quota that may be a minute old; where nothing is, that is remembered.
    fn within_quota(&mut self, action: Action, because: Because) -> Option<Action> {
        let added = added(self.shown.as_ref()?, &self.memory, &action, &because);
        let now = self.region.now();
        let written = self.memory.process.last_write;
        let written = written.and_then(|at| u64::try_from(at.0).ok());
        let fresh = |(at, _): &(u64, _)| {
            at + QUOTA_FRESH > now && written.is_none_or(|written| *at > written)
        };
        if added.is_some() && !self.quota.as_ref().is_some_and(fresh) {
            self.quota = Some((now, self.rows()));
        }
        let rows = self.quota.as_ref().map_or(&[][..], |(_, rows)| rows);
        let (action, _, refusal) = within(added, action, because, rows);
        let Some(refusal) = refusal else {
            return Some(action);
        };
        self.say(|_| format!("not asked for: {}", refusal.message));
        let (answer, now) = (Answer::Refused(refusal), self.now());
        self.memory = remember(&self.desired, &self.memory, &action, &answer, now);
        None
    }

    /// Carries the pending action out and judges what came of it.
    pub fn act(&mut self, fate: Fate) -> Option<Broken> {
        let (decided_on, action) = self.pending.take()?;
        let wanted = Kinds {
            regular: decided_on.regular,
            spot: decided_on.spot,
        };
        let write = self.describe(&decided_on, &action, wanted);
        let alive_before = self.names_alive();
        let answer = match fate {
            Fate::LostBefore => Answer::Unclear,
            Fate::Throttled => Answer::Later(self.now() + THROTTLED),
            Fate::Arrives | Fate::LostAfter => self.apply(&action),
        };
        let (after, held_after) = (self.sound(), self.kinds().total());
        let arrived = !matches!(fate, Fate::LostBefore | Fate::Throttled);
        let reached =
            arrived && !matches!(answer, Answer::Changed | Answer::Missing | Answer::Later(_));
        self.writes += u32::from(arrived);
        let answer = if fate == Fate::LostAfter {
            Answer::Unclear
        } else {
            answer
        };
        if fate == Fate::LostAfter {
            self.unheard = None;
        }
        if let Answer::Later(at) = answer {
            let at = u64::try_from(at.0).unwrap_or_default();
            self.next_look = self.next_look.max(at);
        }
        let now = self.now();
        self.memory = remember(&decided_on, &self.memory, &action, &answer, now);
        if fate != Fate::Throttled {
            self.ledger.same = None;
        }
        let foreign_sizes = self.foreign_sizes();
        let given_up_early = self.given_up_early(&decided_on, &alive_before);
        self.say(|twin| {
            format!(
                "write ({fate:?}): {answer:?} → {:?}, capacity {:?}",
                twin.kinds(),
                twin.region.set(PLACE.0, PLACE.1).map(|set| set.capacity)
            )
        });
        // A refused or unheard write changed nothing: it is judged by what it stood on, like any other.
        judge(&Write {
            after,
            held_after,
            foreign_sizes,
            given_up_early,
            ours: write.ours || !reached,
            ..write
        })
    }
}

/// A small pool for searches and histories.
pub fn small_pool(regular: u32, spot: u32) -> Desired {
    Desired {
        generation: 1,
        owner: Owner::from("c/n/p/u"),
        regular,
        spot,
        vm_sizes: vec![VmSize::from("Standard_D4s_v5")],
        model: ModelHash::from("m"),
        max_price: None,
        eviction: crate::planner::Eviction::Delete,
        min_available: 1,
        confirm_above: None,
        confirmed: false,
        progress_deadline: crate::units::Millis::minutes(15),
        intent: Intent::Keep,
        pace: crate::planner::Pace::default(),
    }
}
