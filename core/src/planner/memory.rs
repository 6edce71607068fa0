//! What a pool remembers between turns, in two halves: what may be shown and restored, and what proves things and therefore never leaves the process.

use std::collections::BTreeSet;

use crate::units::{Count, Etag, InstanceName, ModelHash, Timestamp, VmSize};

use super::guard::{Rewrite, Stillness};
use super::refusal::Closed;

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
    /// The size that the write under way tries to obtain.
    pub buying: Option<VmSize>,
    /// The model that Azure rejected, and until when it is not tried again.
    pub rejected: Option<(ModelHash, Closed)>,
    /// The version of the set whose failure nobody explained, so that it is counted once.
    pub unexplained: Option<Etag>,
    /// Spot instances held at the last look: those that vanish without our doing were evicted.
    pub spot_seen: BTreeSet<InstanceName>,
    /// Spot instances that our own writes take away.
    pub leaving: Count,
    /// Evicted instances not yet replaced by running ones.
    pub to_replace: Count,
    /// Since when Azure cannot be read.
    pub blind_since: Option<Timestamp>,
    /// An implausible reading was reported and has not ended.
    pub implausible: bool,
}

impl Kept {
    /// The entry of a size.
    pub(super) fn closed(&self, vm_size: &VmSize) -> Option<&Closed> {
        self.closed.iter().find(|closed| &closed.vm_size == vm_size)
    }

    /// Replaces the entry of a size.
    pub(super) fn close(&mut self, closed: Closed) {
        self.closed.retain(|other| other.vm_size != closed.vm_size);
        self.closed.push(closed);
        self.closed.sort_by(|a, b| a.vm_size.cmp(&b.vm_size));
    }
}
