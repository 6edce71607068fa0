//! What a pool remembers between turns, in two halves: what may be shown and restored, and what proves things and therefore never leaves the process.

use std::collections::{BTreeMap, BTreeSet};

use crate::units::{Count, Etag, InstanceName, ModelHash, Timestamp, VmSize};

use super::guard::{Rewrite, Stillness};
use super::refusal::{Closed, LONGEST_WAIT};

/// Both halves. The default is a process that has just started: every law holds with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Kept in status; may be lost, old or edited. It only ever makes the planner slower or more careful.
    pub kept: Kept,
    /// Dies with the process.
    pub process: Process,
}

/// Clocks, refusals and tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Sizes that Azure declined, at most one entry a size.
    pub closed: Vec<Closed>,
    /// The declaration under which `closed` came about: what needs a human is asked again once that human has edited it.
    pub closed_under: i64,
    /// Evictions noticed so far.
    pub evictions: u64,
    /// When the last one was noticed.
    pub last_eviction: Option<Timestamp>,
    /// Spot instances that Azure accepted to provide: an eviction is no vote to scale down.
    pub asked_spot: Count,
    /// Since when fewer run than must.
    pub below_since: Option<Timestamp>,
    /// The last declaration that was reached, or refused.
    pub settled_generation: Option<i64>,
}

/// What only this process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// When the last write was answered, or not answered. Nothing read before it counts.
    pub last_write: Option<Timestamp>,
    /// Since when the same facts have been read.
    pub still: Option<Stillness>,
    /// The capacity that was written a second time to learn how Azure counts.
    pub rewrite: Option<Rewrite>,
    /// The capacity that the set is known to have had. A lower reading is not believed at once.
    pub believed: Option<Believed>,
    /// The size that the write under way tries to obtain.
    pub buying: Option<VmSize>,
    /// The model that Azure rejected, and until when it is not tried again.
    pub rejected: Option<(ModelHash, Closed)>,
    /// The model that the write under way brings to the set.
    pub reshaping: Option<ModelHash>,
    /// What Azure said to the last attempt to take something away, if it declined.
    pub keeping: Option<Closed>,
    /// Since when the set has been read to be absent.
    pub absent_since: Option<Timestamp>,
    /// Azure has accepted our deletion of the set.
    pub removing: bool,
    /// The version of the set whose failure nobody explained, so that it is counted once.
    pub unexplained: Option<Etag>,
    /// Instances that are deallocated and may be started again.
    pub down: BTreeMap<InstanceName, Down>,
    /// Spot instances held at the last look: those that vanish without our doing were evicted.
    pub spot_seen: BTreeSet<InstanceName>,
    /// Evicted instances not yet replaced by running ones.
    pub to_replace: Count,
    /// Since when instances have been missing while others were on their way out, and nothing was asked for.
    pub unrest: Option<Timestamp>,
    /// By how much the capacity still had to fall when more was last asked for.
    pub falling: Count,
    /// Since when Azure cannot be read.
    pub blind_since: Option<Timestamp>,
    /// An implausible reading was reported and has not ended.
    pub implausible: bool,
}

/// A capacity that was written by us, read higher, or read for a settle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Believed {
    /// `sku.capacity`.
    pub capacity: Count,
    /// The most instances that have existed since.
    pub alive: Count,
    /// Instances that were on their way out when it was written, and that it may yet fall for.
    pub falling: Count,
}

impl Believed {
    /// What to believe after a reading: never less.
    pub(super) fn raised(self, capacity: Count, alive: Count) -> Self {
        Self {
            capacity: self.capacity.max(capacity),
            alive: self.alive.max(alive),
            ..self
        }
    }

    /// Whether a capacity may be written when the set reads `capacity` with `alive` instances: it must not be less than the set
    /// is known to have, and the fall since must be explained by instances that are gone. A reading that fell further is false,
    /// or somebody else has written.
    pub(super) fn allows(self, write: Count, capacity: Count, alive: Count) -> bool {
        let (fallen, gone) = (
            self.capacity.saturating_sub(capacity),
            self.alive.saturating_sub(alive),
        );
        write >= self.capacity && fallen <= gone + self.falling
    }
}

/// An instance that is deallocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Down {
    /// When this process saw it so first.
    pub since: Timestamp,
    /// How often it was asked to start.
    pub tries: u32,
    /// Not asked again before.
    pub next: Timestamp,
}

impl Kept {
    /// The entry of a size.
    pub(super) fn closed(&self, vm_size: &VmSize) -> Option<&Closed> {
        self.closed.iter().find(|closed| &closed.vm_size == vm_size)
    }

    /// Forgets what only a human could mend once the declaration has changed. No wait is longer than the longest, whatever a
    /// status says that was edited or restored.
    pub(super) fn follow(&mut self, generation: i64, now: Timestamp) {
        for closed in &mut self.closed {
            closed.until = closed.until.min(now + LONGEST_WAIT);
        }
        if self.closed_under != generation {
            self.closed
                .retain(|closed| !closed.refusal.kind.needs_a_human());
            self.closed_under = generation;
        }
    }

    /// A request for this size was fulfilled: the next one may ask for twice as many.
    pub(super) fn forgive(&mut self, vm_size: &VmSize) {
        for closed in &mut self.closed {
            if &closed.vm_size == vm_size {
                closed.strikes = closed.strikes.saturating_sub(1);
            }
        }
        self.closed.retain(|closed| closed.strikes > 0);
    }

    /// Replaces the entry of a size.
    pub(super) fn close(&mut self, closed: Closed) {
        self.closed.retain(|other| other.vm_size != closed.vm_size);
        self.closed.push(closed);
        self.closed.sort_by(|a, b| a.vm_size.cmp(&b.vm_size));
    }
}

impl Memory {
    /// Somebody asks for another try now: nothing is closed any more.
    pub fn reopen(&mut self) {
        self.kept.closed.clear();
        self.process.rejected = None;
        self.process.keeping = None;
        for down in self.process.down.values_mut() {
            down.next = Timestamp(0);
        }
    }

    /// The same memory told without what cannot matter to later decisions: absolute times, instance names, tallies.
    /// Two memories that are equal in this form decide alike; an exhaustive search visits only one of them.
    pub(crate) fn relative(
        &self,
        now: Timestamp,
        rename: &dyn Fn(&InstanceName) -> InstanceName,
        retag: &dyn Fn(&Etag) -> Etag,
    ) -> Self {
        const LONG_AGO: i64 = -5 * 60_000;
        let retime = |at: Timestamp| Timestamp((at - now).0.max(LONG_AGO));
        // A restart timeout may be longer than anything else that is waited for.
        let retime_long = |at: Timestamp| Timestamp((at - now).0.max(LONG_AGO * 12));
        let mut memory = self.clone();
        let (kept, process) = (&mut memory.kept, &mut memory.process);
        for closed in &mut kept.closed {
            closed.until = retime(closed.until).max(Timestamp(0));
        }
        kept.evictions = 0;
        kept.last_eviction = None;
        kept.below_since = None;
        process.last_write = process
            .last_write
            .map(|at| Timestamp(if at >= now { 0 } else { -1 }));
        process.still = process
            .still
            .as_ref()
            .map(|still| still.relative(&retime, rename, retag));
        process.rewrite = process
            .rewrite
            .as_ref()
            .map(|rewrite| rewrite.relative(&retime, rename));
        process.unexplained = None;
        process.absent_since = process.absent_since.map(retime);
        process.unrest = process.unrest.map(retime);
        process.spot_seen = process.spot_seen.iter().map(rename).collect();
        process.down = process
            .down
            .iter()
            .map(|(name, down)| {
                let (since, next) = (retime_long(down.since), retime(down.next).max(Timestamp(0)));
                (
                    rename(name),
                    Down {
                        since,
                        next,
                        ..*down
                    },
                )
            })
            .collect();
        process.to_replace = process.to_replace.min(1);
        process.blind_since = None;
        memory
    }
}
