//! Planner and world face to face, without a wire between them: what the planner may be told, what may become of its writes, and what the laws say to both.
//!
//! A lie is a picture that Azure could show: older than it says, half unreadable, or with a capacity that is not so. A fate is
//! what can happen to a write: it arrives, is lost on the way, or its answer is. The exhaustive search and the random
//! histories drive the same machine.

pub mod history;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::laws::{Broken, Kinds, Law, Write, judge};
use crate::planner::{
    Action, Answer, Blind, Desired, Instance, Intent, Memory, Observed, Outcome, Phase, Plan,
    Provisioning, Refusal, RefusalKind, ScaleSet, remember,
};
use crate::units::{Etag, InstanceName, ModelHash, Owner, Priority, Seen, Timestamp, VmSize, Zone};
use crate::world;

/// Resource group and scale set of the only pool in this world.
pub const PLACE: (&str, &str) = ("rg", "p");
/// The longest time by which a reading may lag behind the facts here, milliseconds; shorter than the settle time, as planner.md requires.
pub const LONGEST_LAG: u64 = 45_000;

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
    ledger: Ledger,
}

/// What the laws need to know of the past, kept apart from the planner's own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ledger {
    /// Since when, and until when, this process was shown the same facts.
    same: Option<(u64, u64, Facts)>,
    /// When instances were taken by others.
    taken: Vec<u64>,
}

type Facts = ((u32, u32, i64), u32, BTreeSet<(InstanceName, bool)>);

impl Twin {
    /// A pool that does not exist yet, in an empty region.
    pub fn new(region: world::Region, desired: Desired) -> Self {
        let next_look = region.now();
        Self {
            region,
            desired,
            memory: Memory::default(),
            pending: None,
            next_look,
            writes: 0,
            story: None,
            unheard: None,
            shown: None,
            past: None,
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
                        | world::Phase::Deallocated
                        | world::Phase::Deallocating { .. }
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
            .retain(|at| at + LONGEST_LAG + LONGEST_LAG > now);
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
            self.ledger.taken.push(self.region.now());
        }
        self.say(|_| format!("evict number {nth}: {evicted}"));
        evicted
    }

    /// The process dies; a new one knows nothing but what status kept, or not even that.
    pub fn crash(&mut self, status_survives: bool) {
        let kept = std::mem::take(&mut self.memory).kept;
        if status_survives {
            self.memory.kept = kept;
        }
        self.pending = None;
        self.unheard = None;
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
            .as_ref()
            .map(|(action, _)| (self.desired.clone(), action.clone()));
        self.say(|twin| {
            format!(
                "look ({lie:?}): {} → {}",
                twin.shown.as_ref().map(picture_line).unwrap_or_default(),
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

    /// Carries the pending action out and judges what came of it.
    pub fn act(&mut self, fate: Fate) -> Option<Broken> {
        let (decided_on, action) = self.pending.take()?;
        let wanted = Kinds {
            regular: decided_on.regular,
            spot: decided_on.spot,
        };
        let write = self.describe(&decided_on, &action, wanted);
        let answer = if fate == Fate::LostBefore {
            Answer::Unclear
        } else {
            self.apply(&action)
        };
        let (after, held_after) = (self.sound(), self.kinds().total());
        let arrived = fate != Fate::LostBefore;
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
        let now = self.now();
        self.memory = remember(&decided_on, &self.memory, &action, &answer, now);
        self.ledger.same = None;
        let foreign_sizes = self.foreign_sizes();
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
            ours: write.ours || !reached,
            ..write
        })
    }

    /// A number that is equal for two twins that behave alike from here on.
    pub fn key(&self) -> u64 {
        let (region, renaming) = self.region.canonical();
        let now = self.now();
        let rename = |name: &InstanceName| InstanceName(renaming.instance(name.as_str()));
        let set = world::SetKey::new(PLACE.0, PLACE.1);
        let re_etag = |etag: &Etag| renaming.etag(&set, etag.as_str().parse().unwrap_or(0));
        let mut hasher = DefaultHasher::new();
        region.hash(&mut hasher);
        self.memory.relative(now, &rename).hash(&mut hasher);
        (
            self.desired.generation,
            self.desired.regular,
            self.desired.spot,
            self.desired.intent,
        )
            .hash(&mut hasher);
        self.next_look
            .saturating_sub(self.region.now())
            .hash(&mut hasher);
        self.unheard
            .and_then(|id| renaming.operations.get(&id))
            .hash(&mut hasher);
        let picture = |observed: &Observed, hasher: &mut DefaultHasher| {
            match &observed.set {
                Seen::Known {
                    value: Some(set), ..
                } => (
                    re_etag(&set.etag),
                    set.capacity,
                    set.base,
                    set.state,
                    &set.owner,
                    &set.model,
                )
                    .hash(hasher),
                other => other.hash(hasher),
            }
            match &observed.instances {
                Seen::Known { value, .. } => {
                    let mut list: Vec<_> = value
                        .iter()
                        .map(|one| (rename(&one.name), one.priority, one.phase))
                        .collect();
                    list.sort();
                    list.hash(hasher);
                }
                Seen::Unknown(_) => 0_u8.hash(hasher),
            }
        };
        if let Some((at, past)) = &self.past {
            (self.region.now() - at).hash(&mut hasher);
            picture(past, &mut hasher);
        }
        if let (Some((decided_on, action)), Some(shown)) = (&self.pending, &self.shown) {
            (
                decided_on.regular,
                decided_on.spot,
                std::mem::discriminant(action),
            )
                .hash(&mut hasher);
            match action {
                Action::Resize {
                    capacity,
                    base,
                    vm_size,
                    guard,
                    proof,
                } => (
                    capacity,
                    base,
                    vm_size,
                    re_etag(guard.etag()),
                    proof.is_some(),
                )
                    .hash(&mut hasher),
                Action::Reshape { base, guard, .. } => {
                    (base, re_etag(guard.etag())).hash(&mut hasher)
                }
                Action::Replace { instances, .. } => instances
                    .iter()
                    .map(rename)
                    .collect::<BTreeSet<_>>()
                    .hash(&mut hasher),
                Action::Create { capacity, base, .. } => (capacity, base).hash(&mut hasher),
                Action::Remove { .. } => {}
            }
            picture(shown, &mut hasher);
        }
        let ago = |at: u64| self.region.now().saturating_sub(at).min(5 * 60_000);
        self.ledger
            .taken
            .iter()
            .map(|at| ago(*at))
            .collect::<Vec<_>>()
            .hash(&mut hasher);
        self.ledger
            .same
            .as_ref()
            .map(|(since, until, _)| (ago(*since), ago(*until)))
            .hash(&mut hasher);
        hasher.finish()
    }

    /// What a perfect look would show.
    pub fn see(&self) -> Observed {
        let at = self.now();
        let Some(set) = self.region.set(PLACE.0, PLACE.1) else {
            return Observed {
                set: Seen::Known { value: None, at },
                instances: Seen::Unknown(Blind::NotAsked),
                outcome: None,
            };
        };
        let instances = set.by_age().into_iter().map(instance).collect();
        Observed {
            set: Seen::Known {
                value: Some(scale_set(set)),
                at,
            },
            instances: Seen::Known {
                value: instances,
                at,
            },
            outcome: None,
        }
    }

    fn distort(&self, truth: &Observed, lie: Lie) -> Observed {
        let blind = || Blind::Unreachable {
            fact: String::new(),
        };
        let at = self.now();
        let past = || {
            self.past
                .as_ref()
                .map_or_else(|| truth.clone(), |(_, past)| redated(past, at))
        };
        let mut told = truth.clone();
        match lie {
            Lie::Truth => {}
            Lie::Blind => {
                told = Observed {
                    set: Seen::Unknown(blind()),
                    instances: Seen::Unknown(blind()),
                    outcome: None,
                }
            }
            Lie::NoInstances => told.instances = Seen::Unknown(blind()),
            Lie::Old => told = past(),
            Lie::OldSet => told.set = past().set,
            // Without a set in the old picture there is no old list: a set that is seen is always asked for its instances.
            Lie::OldInstances => {
                if let (instances @ Seen::Known { .. }, Seen::Known { value: Some(_), .. }) =
                    (past().instances, &truth.set)
                {
                    told.instances = instances;
                }
            }
            Lie::CapacityZero | Lie::CapacityLow => {
                if let Seen::Known {
                    value: Some(set), ..
                } = &mut told.set
                {
                    set.capacity = if lie == Lie::CapacityZero {
                        0
                    } else {
                        set.capacity.saturating_sub(2)
                    };
                }
            }
        }
        if matches!(told.set, Seen::Known { value: None, .. }) {
            told.instances = Seen::Unknown(Blind::NotAsked);
        }
        told
    }

    /// How our last write ended, once: as the operation's URL would tell.
    fn hear(&mut self) -> Option<Outcome> {
        let id = self.unheard?;
        match self.region.operation(id).map(|operation| &operation.status) {
            Some(world::Status::InProgress) => None,
            Some(world::Status::Succeeded) => {
                self.unheard = None;
                Some(Outcome::Succeeded)
            }
            Some(world::Status::Failed(failure)) => {
                let outcome = Outcome::Failed(refusal(failure.code, &failure.message));
                self.unheard = None;
                Some(outcome)
            }
            None => {
                self.unheard = None;
                None
            }
        }
    }

    /// Keeps the laws' own account of what was shown.
    fn note(&mut self, observed: &Observed) {
        let (
            Seen::Known {
                value: Some(set), ..
            },
            Seen::Known {
                value: instances, ..
            },
        ) = (&observed.set, &observed.instances)
        else {
            return;
        };
        if !set.state.is_terminal() {
            self.ledger.same = None;
            return;
        }
        let names = instances
            .iter()
            .map(|one| (one.name.clone(), matches!(one.phase, Phase::Stopping)))
            .collect();
        let facts: Facts = (
            (
                self.desired.regular,
                self.desired.spot,
                self.desired.generation,
            ),
            set.capacity,
            names,
        );
        let now = self.region.now();
        self.ledger.same = match self.ledger.same.take() {
            Some((since, _, before)) if before == facts => Some((since, now, facts)),
            _ => Some((now, now, facts)),
        };
    }

    fn describe(&self, decided_on: &Desired, action: &Action, wanted: Kinds) -> Write {
        let set = self.region.set(PLACE.0, PLACE.1);
        let (mut on_unknown, mut seen_busy, mut seen_count, mut seen_capacity) =
            (true, false, 0, 0);
        if let Some(shown) = &self.shown {
            on_unknown = match (&shown.set, &shown.instances) {
                (Seen::Unknown(_), _) => true,
                (Seen::Known { value: None, .. }, _) => false,
                (Seen::Known { value: Some(_), .. }, instances) => {
                    matches!(instances, Seen::Unknown(_))
                }
            };
            if let Seen::Known {
                value: Some(set), ..
            } = &shown.set
            {
                seen_busy = !set.state.is_terminal();
                seen_capacity = set.capacity;
            }
            if let Seen::Known { value, .. } = &shown.instances {
                seen_count = u32::try_from(
                    value
                        .iter()
                        .filter(|one| one.phase != Phase::Stopping)
                        .count(),
                )
                .unwrap_or(u32::MAX);
            }
        }
        let takes = match action {
            Action::Replace { .. } => true,
            Action::Resize { capacity, .. } => *capacity < seen_count || *capacity < seen_capacity,
            _ => false,
        };
        let settle = u64::try_from(decided_on.pace.settle.0).unwrap_or_default();
        let since = self.region.now().saturating_sub(LONGEST_LAG + LONGEST_LAG);
        Write {
            wanted,
            before: self.sound(),
            after: self.sound(),
            held_before: self.kinds().total(),
            held_after: self.kinds().total(),
            capacity_before: set.map_or(0, |set| set.capacity),
            raced: u32::try_from(self.ledger.taken.iter().filter(|at| **at >= since).count())
                .unwrap_or(u32::MAX),
            takes,
            proved: self
                .ledger
                .same
                .as_ref()
                .is_some_and(|(since, until, _)| until - since >= settle),
            on_unknown,
            seen_busy,
            ours: set.is_none_or(|set| {
                set.tags.get("spotpool_owner").map(String::as_str)
                    == Some(decided_on.owner.as_str())
            }),
            removal: matches!(action, Action::Remove { .. }),
            foreign_sizes: 0,
        }
    }

    fn foreign_sizes(&self) -> u32 {
        let set = self.region.set(PLACE.0, PLACE.1).filter(|set| {
            set.tags.get("spotpool_owner").map(String::as_str) == Some(self.desired.owner.as_str())
        });
        let foreign = |one: &&world::Instance| {
            !self
                .desired
                .vm_sizes
                .iter()
                .any(|size| size.as_str() == one.model.vm_size)
        };
        set.map_or(0, |set| {
            u32::try_from(set.instances.values().filter(foreign).count()).unwrap_or(u32::MAX)
        })
    }

    /// Azure's side of an action.
    fn apply(&mut self, action: &Action) -> Answer {
        use world::{Precondition, PriorityMix, SetChange};
        let (group, name) = PLACE;
        let guarded = |etag: &Etag| {
            etag.as_str()
                .parse()
                .map_or(Precondition::IfMatch(0), Precondition::IfMatch)
        };
        let tags = |model: &ModelHash| {
            let pairs = [
                ("spotpool_owner", self.desired.owner.as_str()),
                ("spotpool_model", model.as_str()),
            ];
            pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        let mix = |base| Some(PriorityMix { base, percent: 0 });
        let result = match action {
            Action::Create {
                capacity,
                base,
                vm_size,
                model,
            } => {
                let change = SetChange {
                    capacity: Some(*capacity),
                    vm_size: Some(vm_size.as_str().to_owned()),
                    mix: mix(*base),
                    priority: Some(world::Priority::Spot),
                    eviction_policy: Some(world::EvictionPolicy::Delete),
                    tags: Some(tags(model)),
                    ..SetChange::default()
                };
                self.region
                    .put(group, name, &change, Precondition::IfNoneMatchAny)
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Resize {
                capacity,
                base,
                vm_size,
                guard,
                ..
            } => {
                let change = SetChange {
                    capacity: Some(*capacity),
                    vm_size: Some(vm_size.as_str().to_owned()),
                    mix: mix(*base),
                    ..SetChange::default()
                };
                self.region
                    .patch(group, name, &change, guarded(guard.etag()))
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Reshape { base, model, guard } => {
                let change = SetChange {
                    mix: mix(*base),
                    tags: Some(tags(model)),
                    model_changed: true,
                    ..SetChange::default()
                };
                self.region
                    .patch(group, name, &change, guarded(guard.etag()))
                    .map(|accepted| Some(accepted.operation))
            }
            Action::Replace { instances, .. } => {
                let names: Vec<&str> = instances.iter().map(InstanceName::as_str).collect();
                self.region.delete_instances(group, name, &names).map(Some)
            }
            Action::Remove { .. } => self.region.delete_set(group, name, Precondition::None),
        };
        match result {
            Ok(operation) => {
                self.unheard = operation;
                Answer::Accepted
            }
            Err(refused) => answer(&refused),
        }
    }
}

/// Whether the pool comes to be as declared and then stays silent, if from here on nothing goes wrong.
pub fn heals(twin: &mut Twin, planner: Planner<'_>, within: u64) -> Option<Broken> {
    twin.pending = None;
    let end = twin.region.now() + within;
    while !twin.is_as_declared() || twin.region.next_event().is_some() {
        if twin.region.now() >= end {
            return Some(Broken {
                law: Law::Converges,
                fact: format!(
                    "{:?} wanted, {:?} after {} minutes without faults: {:?}",
                    twin.wanted(),
                    twin.kinds(),
                    within / 60_000,
                    twin.shown
                ),
            });
        }
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    let rest = u64::try_from(twin.desired.pace.rest.0 + 3 * twin.desired.pace.settle.0)
        .unwrap_or_default();
    let silence = twin.region.now() + rest;
    // What was declared a moment ago may still have its bookkeeping (base, model) to follow: silence is asked for after that.
    while twin.region.now() < silence {
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    let (writes, end) = (twin.writes, twin.region.now() + 10 * rest);
    while twin.region.now() < end {
        if let Some(broken) = step(twin, planner) {
            return Some(broken);
        }
    }
    (twin.writes != writes).then(|| Broken {
        law: Law::Quiet,
        fact: format!("{} writes at rest", twin.writes - writes),
    })
}

/// Time to the next look, the look, and what it decides.
fn step(twin: &mut Twin, planner: Planner<'_>) -> Option<Broken> {
    let to = twin.next_look.max(twin.region.now() + 1);
    twin.pass(to);
    twin.look(planner, Lie::Truth);
    twin.act(Fate::Arrives)
}

fn picture_line(observed: &Observed) -> String {
    let set = match &observed.set {
        Seen::Known {
            value: Some(set), ..
        } => format!(
            "capacity {}, base {}, {:?}, ETag {}",
            set.capacity, set.base, set.state, set.etag
        ),
        Seen::Known { value: None, .. } => "no set".to_owned(),
        Seen::Unknown(_) => "set unknown".to_owned(),
    };
    let instances = match &observed.instances {
        Seen::Known { value, .. } => {
            let of = |priority| {
                value
                    .iter()
                    .filter(|one| one.priority == priority)
                    .map(|one| format!("{:?}", one.phase))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            format!(
                "regular [{}], Spot [{}]",
                of(Priority::Regular),
                of(Priority::Spot)
            )
        }
        Seen::Unknown(_) => "instances unknown".to_owned(),
    };
    format!("{set}, {instances}, outcome {:?}", observed.outcome)
}

fn redated(observed: &Observed, now: Timestamp) -> Observed {
    let mut observed = observed.clone();
    if let Seen::Known { at, .. } = &mut observed.set {
        *at = now;
    }
    if let Seen::Known { at, .. } = &mut observed.instances {
        *at = now;
    }
    observed
}

fn instance(one: &world::Instance) -> Instance {
    let phase = match one.phase {
        world::Phase::Creating { .. } => Phase::Starting,
        world::Phase::Running | world::Phase::Noticed { .. } => Phase::Running,
        world::Phase::Deallocating { .. } | world::Phase::Deallocated => Phase::Deallocated,
        world::Phase::Deleting { .. } => Phase::Stopping,
        world::Phase::Failed => Phase::Failed,
    };
    Instance {
        name: InstanceName(one.name.clone()),
        priority: match one.priority {
            world::Priority::Regular => Priority::Regular,
            world::Priority::Spot => Priority::Spot,
        },
        phase,
        vm_size: VmSize(one.model.vm_size.clone()),
        zone: Zone(one.zone.clone()),
        created: i64::try_from(one.created).ok().map(Timestamp),
    }
}

fn scale_set(set: &world::ScaleSet) -> ScaleSet {
    ScaleSet {
        capacity: set.capacity,
        base: set.base(),
        vm_size: VmSize(set.model.vm_size.clone()),
        etag: Etag(set.etag.to_string()),
        state: match set.provisioning_state() {
            world::ProvisioningState::Creating | world::ProvisioningState::Updating => {
                Provisioning::Busy
            }
            world::ProvisioningState::Succeeded => Provisioning::Succeeded,
            world::ProvisioningState::Failed => Provisioning::Failed,
            world::ProvisioningState::Deleting => Provisioning::Deleting,
        },
        owner: set
            .tags
            .get("spotpool_owner")
            .map(|owner| Owner(owner.clone())),
        model: set
            .tags
            .get("spotpool_model")
            .map(|model| ModelHash(model.clone())),
        model_since: None,
    }
}

fn answer(refused: &world::Refusal) -> Answer {
    match (refused.status, refused.code) {
        (412, _) | (409, "Conflict") => Answer::Changed,
        (409, "OperationNotAllowed") if refused.message.contains("marked for deletion") => {
            Answer::Changed
        }
        (404, _) => Answer::Missing,
        _ => Answer::Refused(refusal(refused.code, &refused.message)),
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    let kind = match code {
        "SkuNotAvailable" | "AllocationFailed" | "OverconstrainedAllocationRequest" => {
            RefusalKind::NoCapacity
        }
        "SpotPriceGreaterThanProvidedMaxPrice" => RefusalKind::PriceAboveLimit,
        "OperationNotAllowed" if message.contains("quota") => RefusalKind::QuotaExceeded,
        _ => RefusalKind::Unexplained,
    };
    Refusal {
        kind,
        code: code.to_owned(),
        message: message.to_owned(),
        request_id: String::new(),
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
        min_available: 1,
        progress_deadline: crate::units::Millis::minutes(15),
        intent: Intent::Keep,
        pace: crate::planner::Pace::default(),
    }
}
