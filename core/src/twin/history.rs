//! A random history of one pool: ninety virtual minutes of evictions, edits, refusals, lies, lost writes and crashes, then a quiet end. One seed, one history, always the same.
//!
//! Half of the histories end with everything mended (safety), the other half leave something broken for ever (liveness):
//! a size that is never sold again, or no Spot capacity at all. Then what is reachable must be reached.

use super::{Fate, Hand, LONGEST_LAG, Lie, PLACE, Planner, Twin, heals, small_pool};
use crate::laws::{Broken, Law};
use crate::planner::{Action, Eviction};
use crate::units::{Millis, VmSize};
use crate::world::{
    CapacityFalls, CapacityWrite, Options, OrchestrationMode, Precondition, Priority, Region,
    SPOT_CORES, SetChange, Span, splitmix64,
};

const MINUTE: u64 = 60_000;
/// When faults stop.
const CALM: u64 = 90 * MINUTE;
/// How long mending may take after that: the longest back-off several times over.
const PATIENCE: u64 = 12 * 60 * MINUTE;
const FIRST_SIZE: &str = "Standard_D4s_v5";
const SECOND_SIZE: &str = "Standard_D4as_v5";

/// What stays broken when the faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forever {
    /// Nothing.
    Nothing,
    /// The preferred size is never to be had again; there is a second one.
    FirstSizeGone,
    /// Spot quota is zero from then on.
    NoSpotQuota,
}

/// What a history did and met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tale {
    /// Looks taken.
    pub looks: u64,
    /// Looks that were lied to.
    pub lies: u64,
    /// Writes that were lost, or whose answer was.
    pub lost_writes: u64,
    /// Writes that Azure put off.
    pub throttled: u64,
    /// Instances that somebody else stopped or deleted.
    pub meddled: u64,
    /// Starts of instances that an eviction left deallocated.
    pub restarts: u64,
    /// Writes that reached Azure.
    pub writes: u64,
    /// Crashes.
    pub crashes: u64,
    /// Evictions.
    pub evictions: u64,
    /// 1 if its scale set is Uniform.
    pub uniform: u64,
    /// 1 if its evicted instances are deallocated.
    pub deallocate: u64,
    /// The first law that broke, if one did.
    pub broken: Option<Broken>,
    /// What happened, when it was asked for.
    pub story: Vec<String>,
}

struct Dice {
    state: u64,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        splitmix64(self.state) % bound.max(1)
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        let nth = self.below(of.len() as u64);
        of[usize::try_from(nth).unwrap_or(0)].clone()
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Tells the history of a seed.
pub fn tell(seed: u64, planner: Planner<'_>) -> Tale {
    live(seed, planner, false)
}

/// The same with every step as a line, for people.
pub fn tell_aloud(seed: u64, planner: Planner<'_>) -> Tale {
    live(seed, planner, true)
}

fn live(seed: u64, planner: Planner<'_>, aloud: bool) -> Tale {
    let mut dice = Dice {
        state: splitmix64(seed),
    };
    let mut tale = Tale::default();
    let forever = if seed.is_multiple_of(2) {
        Forever::Nothing
    } else {
        dice.one_of(&[Forever::FirstSizeGone, Forever::NoSpotQuota])
    };
    let mut twin = Twin::new(Region::new(seed, options(&mut dice)), pool(&mut dice));
    if dice.percent(20) {
        // One priority, and one size.
        twin.mode = OrchestrationMode::Uniform;
        twin.desired.regular = 0;
        if forever != Forever::FirstSizeGone {
            twin.desired.vm_sizes.truncate(1);
        }
        tale.uniform = 1;
    }
    tale.deallocate = u64::from(twin.desired.eviction != Eviction::Delete);
    twin.story = aloud.then(|| vec![format!("{forever:?} {:?}", twin.region.options)]);
    let foreign = dice.percent(4).then(|| occupy(&mut twin));
    // From one thing that happens to the next: at least, and how much more at most.
    let apart = if dice.percent(20) {
        (10_000, 50_000)
    } else {
        (30_000, 200_000)
    };
    let mut next_event = apart.0 + dice.below(apart.1);
    let mut misread: Option<u64> = None;
    while twin.region.now() < CALM && tale.broken.is_none() {
        let to = twin.next_look.min(next_event).max(twin.region.now() + 1);
        twin.pass(to);
        if to >= next_event {
            next_event = to + apart.0 + dice.below(apart.1);
            happen(&mut twin, &mut dice, &mut tale);
        }
        if twin.region.now() < twin.next_look {
            continue;
        }
        let lie = draw_lie(&twin, &mut dice, &mut misread);
        tale.looks += 1;
        tale.lies += u64::from(lie != Lie::Truth);
        let plan = twin.look(planner, lie);
        tale.restarts += u64::from(matches!(plan.action, Some((Action::Restart { .. }, _))));
        if twin.pending.is_none() {
            continue;
        }
        // Between the look and the write the world goes on.
        if dice.percent(3) {
            happen(&mut twin, &mut dice, &mut tale);
        }
        if twin.pending.is_none() {
            continue;
        }
        let fate = match dice.below(100) {
            0..=2 => Fate::LostBefore,
            3..=5 => Fate::LostAfter,
            6..=8 => Fate::Throttled,
            _ => Fate::Arrives,
        };
        tale.lost_writes += u64::from(matches!(fate, Fate::LostBefore | Fate::LostAfter));
        tale.throttled += u64::from(fate == Fate::Throttled);
        tale.broken = twin.act(fate);
        if dice.percent(1) {
            crash(&mut twin, &mut dice, &mut tale);
        }
    }
    if let Some(was) = foreign {
        // Somebody else's set of our name: there is nothing to reach, and nothing may have been touched.
        let untouched = twin
            .region
            .set(PLACE.0, PLACE.1)
            .is_some_and(|set| (set.capacity, set.tags.len(), set.instances.len()) == was);
        if !untouched && tale.broken.is_none() {
            tale.broken = Some(Broken {
                law: Law::OursOnly,
                fact: "a set of somebody else's was changed".to_owned(),
            });
        }
        tale.story = twin.story.take().unwrap_or_default();
        return tale;
    }
    tale.broken = tale
        .broken
        .take()
        .or_else(|| mend(&mut twin, forever, planner));
    tale.writes = u64::from(twin.writes);
    tale.story = twin.story.take().unwrap_or_default();
    tale
}

/// Puts a set of our name, but not ours, into the region.
fn occupy(twin: &mut Twin) -> (u32, usize, usize) {
    let change = SetChange {
        capacity: Some(3),
        vm_size: Some(FIRST_SIZE.to_owned()),
        priority: Some(Priority::Regular),
        ..SetChange::default()
    };
    let _ = twin
        .region
        .put(PLACE.0, PLACE.1, &change, Precondition::None);
    twin.region.set(PLACE.0, PLACE.1).map_or((0, 0, 0), |set| {
        (set.capacity, set.tags.len(), set.instances.len())
    })
}

fn options(dice: &mut Dice) -> Options {
    let falls = [
        CapacityFalls::AtOnce,
        CapacityFalls::Late(vec![0, 15_000, 40_000]),
        CapacityFalls::Never,
    ];
    Options {
        capacity_after_eviction: dice.one_of(&falls),
        capacity_after_delete: dice.one_of(&falls),
        eviction_moves_etag: dice.percent(50),
        operation_end_moves_etag: dice.percent(50),
        eviction_shows_updating: dice.percent(50),
        capacity_write: dice.one_of(&[CapacityWrite::Delta, CapacityWrite::Level]),
        take_first: dice.one_of(&[
            crate::world::TakeFirst::Newest,
            crate::world::TakeFirst::Oldest,
        ]),
        no_capacity: dice.one_of(&[
            crate::world::NoCapacity::Synchronous,
            crate::world::NoCapacity::InsideOperation,
        ]),
        operation: Span::between(5_000, 40_000),
        boot: Span::between(20_000, 100_000),
        deletion: Span::between(10_000, 45_000),
        failing_boots: dice.one_of(&[0, 0, 5]),
        ..Options::small()
    }
}

fn pool(dice: &mut Dice) -> crate::planner::Desired {
    let (regular, spot) = (dice.below(4), dice.below(9));
    let mut pool = small_pool(
        u32::try_from(regular).unwrap_or(0),
        u32::try_from(spot).unwrap_or(0),
    );
    pool.vm_sizes = vec![VmSize::from(FIRST_SIZE), VmSize::from(SECOND_SIZE)];
    if dice.percent(33) {
        pool.eviction = Eviction::Deallocate {
            restart_timeout: dice.one_of(&[Millis::minutes(2), Millis::minutes(10)]),
        };
    }
    pool
}

/// Something that is not ours to decide.
fn happen(twin: &mut Twin, dice: &mut Dice, tale: &mut Tale) {
    match dice.below(11) {
        0 | 1 => {
            let (regular, spot) = (dice.below(4), dice.below(9));
            let regular = match twin.mode {
                OrchestrationMode::Flexible => u32::try_from(regular).unwrap_or(0),
                OrchestrationMode::Uniform => 0,
            };
            twin.edit(regular, u32::try_from(spot).unwrap_or(0));
        }
        2 => crash(twin, dice, tale),
        3 => another_hand(twin, dice),
        4 => {
            let size = dice.one_of(&[FIRST_SIZE, SECOND_SIZE]);
            let priority = dice.one_of(&[Priority::Spot, Priority::Spot, Priority::Regular]);
            let available = dice.one_of(&[Some(0), Some(2), None]);
            twin.region.limit_capacity(size, None, priority, available);
        }
        6 => {
            let hand = dice.one_of(&[Hand::Stops, Hand::Deallocates, Hand::Deletes]);
            tale.meddled += 1;
            twin.meddle(hand, usize::try_from(dice.below(10)).unwrap_or(0));
        }
        5 => twin.region.set_quota(SPOT_CORES, dice.one_of(&[8, 100])),
        _ => {
            for _ in 0..=dice.below(3) {
                let nth = dice.below(8);
                tale.evictions += u64::from(twin.evict(usize::try_from(nth).unwrap_or(0)));
            }
        }
    }
}

fn crash(twin: &mut Twin, dice: &mut Dice, tale: &mut Tale) {
    tale.crashes += 1;
    twin.crash(dice.percent(50));
}

/// Somebody else raises the capacity of our set.
fn another_hand(twin: &mut Twin, dice: &mut Dice) {
    if let Some(capacity) = twin
        .region
        .set(PLACE.0, PLACE.1)
        .filter(|set| set.tags.contains_key("spotpool_owner"))
        .map(|set| set.capacity)
    {
        let more = 1 + u32::try_from(dice.below(2)).unwrap_or(0);
        let change = SetChange {
            capacity: Some(capacity + more),
            ..SetChange::default()
        };
        // It may be refused like any other write; then nothing happened.
        let _ = twin
            .region
            .patch(PLACE.0, PLACE.1, &change, Precondition::None);
    }
}

/// Lies last no longer than the longest lag: a capacity that is misread for minutes is not a misreading but a fact.
fn draw_lie(twin: &Twin, dice: &mut Dice, misread: &mut Option<u64>) -> Lie {
    let now = twin.region.now();
    let lie = match dice.below(100) {
        0..=3 => Lie::Blind,
        4..=6 => Lie::NoInstances,
        7..=9 => Lie::Old,
        10..=12 => Lie::OldInstances,
        13..=15 => Lie::OldSet,
        16 => Lie::CapacityZero,
        17 | 18 => Lie::CapacityLow,
        _ => Lie::Truth,
    };
    if !twin.can_lie(lie) {
        return Lie::Truth;
    }
    if matches!(lie, Lie::CapacityZero | Lie::CapacityLow) {
        match *misread {
            Some(first) if now > first + LONGEST_LAG && now < first + 10 * LONGEST_LAG => {
                return Lie::Truth;
            }
            Some(first) if now <= first + LONGEST_LAG => {}
            _ => *misread = Some(now),
        }
    }
    lie
}

/// The faults stop, all but the permanent one; the pool must reach what can be reached.
fn mend(twin: &mut Twin, forever: Forever, planner: Planner<'_>) -> Option<Broken> {
    for size in [FIRST_SIZE, SECOND_SIZE] {
        for priority in [Priority::Spot, Priority::Regular] {
            twin.region.limit_capacity(size, None, priority, None);
        }
    }
    twin.region.set_quota(SPOT_CORES, 1_000);
    twin.region.options_mut().failing_boots = 0;
    match forever {
        Forever::Nothing => heals(twin, planner, PATIENCE),
        Forever::FirstSizeGone => {
            for priority in [Priority::Spot, Priority::Regular] {
                twin.region
                    .limit_capacity(FIRST_SIZE, None, priority, Some(0));
            }
            heals(twin, planner, PATIENCE)
        }
        Forever::NoSpotQuota => {
            twin.region.set_quota(SPOT_CORES, 0);
            reaches_regular(twin, planner)
        }
    }
}

/// Without any Spot to be had, the regular instances must still come, and nothing that exists and is wanted may go.
fn reaches_regular(twin: &mut Twin, planner: Planner<'_>) -> Option<Broken> {
    let end = twin.region.now() + PATIENCE;
    while twin.region.now() < end {
        if let Some(broken) = super::healing::step(twin, planner) {
            return Some(broken);
        }
        if twin.sound().regular == twin.desired.regular && twin.kinds().spot <= twin.desired.spot {
            return None;
        }
    }
    // Where a capacity stays above what exists for ever, asking for it again is all that is safe in every reading of Azure's
    // documents, and without Spot quota that is refused: the regular instances cannot be had without a risk to the others.
    let stuck = twin
        .region
        .set(PLACE.0, PLACE.1)
        .is_some_and(|set| set.capacity > twin.kinds().total());
    if stuck {
        return None;
    }
    Some(Broken {
        law: Law::Converges,
        fact: format!(
            "without Spot quota: {:?} of {:?}",
            twin.kinds(),
            twin.wanted()
        ),
    })
}
