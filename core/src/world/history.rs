//! What happened, for people and tests. No part of the world's state: two worlds that differ only in their past are equal.

use super::effect::InstanceAction;
use super::instance::Priority;
use super::operation::OperationKind;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Virtual time, milliseconds.
    pub time: u64,
    /// Counts all events of the region, from 1; gaps never occur.
    pub number: u64,
    /// Scale set concerned, as spelled; `""` for the market.
    pub set: String,
    /// What.
    pub what: What,
}

/// Kinds of events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants and fields are their own names")]
pub enum What {
    SetCreated {
        capacity: u32,
    },
    CapacityWritten {
        from: u32,
        to: u32,
    },
    ModelChanged {
        revision: u32,
    },
    InstanceCreating {
        instance: String,
        priority: Priority,
        vm_size: String,
        zone: String,
    },
    InstanceRunning {
        instance: String,
    },
    InstanceFailed {
        instance: String,
    },
    EvictionNoticed {
        instance: String,
        not_before: u64,
        simulated: bool,
    },
    Evicted {
        instance: String,
    },
    Deallocated {
        instance: String,
    },
    /// Powered off.
    Stopped {
        instance: String,
    },
    /// Start, restart, power off or deallocate was asked for, and takes time.
    ActionRequested {
        instance: String,
        action: InstanceAction,
    },
    /// An action on an instance did not do what it should.
    ActionFailed {
        instance: String,
        action: InstanceAction,
        code: &'static str,
    },
    DeleteRequested {
        instance: String,
    },
    InstanceGone {
        instance: String,
    },
    CapacityFell {
        to: u32,
    },
    OperationStarted {
        operation: u64,
        kind: OperationKind,
    },
    OperationSucceeded {
        operation: u64,
        kind: OperationKind,
    },
    OperationFailed {
        operation: u64,
        kind: OperationKind,
        code: &'static str,
    },
    Refused {
        code: &'static str,
        status: u16,
    },
    SetDeleting,
    SetGone,
    PriceChanged {
        vm_size: String,
        priority: Priority,
        micros: u64,
    },
    CapacityChanged {
        vm_size: String,
        priority: Priority,
        available: Option<u32>,
    },
    QuotaChanged {
        name: String,
        limit: u32,
    },
}

impl What {
    /// A short name for machines.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SetCreated { .. } => "SetCreated",
            Self::CapacityWritten { .. } => "CapacityWritten",
            Self::ModelChanged { .. } => "ModelChanged",
            Self::InstanceCreating { .. } => "InstanceCreating",
            Self::InstanceRunning { .. } => "InstanceRunning",
            Self::InstanceFailed { .. } => "InstanceFailed",
            Self::EvictionNoticed { .. } => "EvictionNoticed",
            Self::Evicted { .. } => "Evicted",
            Self::Deallocated { .. } => "Deallocated",
            Self::Stopped { .. } => "Stopped",
            Self::ActionRequested { .. } => "ActionRequested",
            Self::ActionFailed { .. } => "ActionFailed",
            Self::DeleteRequested { .. } => "DeleteRequested",
            Self::InstanceGone { .. } => "InstanceGone",
            Self::CapacityFell { .. } => "CapacityFell",
            Self::OperationStarted { .. } => "OperationStarted",
            Self::OperationSucceeded { .. } => "OperationSucceeded",
            Self::OperationFailed { .. } => "OperationFailed",
            Self::Refused { .. } => "Refused",
            Self::SetDeleting => "SetDeleting",
            Self::SetGone => "SetGone",
            Self::PriceChanged { .. } => "PriceChanged",
            Self::CapacityChanged { .. } => "CapacityChanged",
            Self::QuotaChanged { .. } => "QuotaChanged",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetCreated { capacity } => {
                write!(f, "scale set created with capacity {capacity}")
            }
            Self::CapacityWritten { from, to } => write!(f, "capacity written: {from} → {to}"),
            Self::ModelChanged { revision } => write!(f, "model changed, revision {revision}"),
            Self::InstanceCreating {
                instance,
                priority,
                vm_size,
                zone,
            } => {
                write!(
                    f,
                    "{instance} is being created ({}, {vm_size}",
                    priority.as_str()
                )?;
                if zone.is_empty() {
                    write!(f, ")")
                } else {
                    write!(f, ", zone {zone})")
                }
            }
            Self::InstanceRunning { instance } => write!(f, "{instance} runs"),
            Self::InstanceFailed { instance } => write!(f, "{instance} failed to provision"),
            Self::EvictionNoticed {
                instance,
                simulated: true,
                ..
            } => write!(f, "{instance} will be evicted (simulateEviction)"),
            Self::EvictionNoticed { instance, .. } => write!(f, "{instance} will be evicted"),
            Self::Evicted { instance } => write!(f, "{instance} evicted"),
            Self::Deallocated { instance } => write!(f, "{instance} deallocated"),
            Self::Stopped { instance } => write!(f, "{instance} powered off"),
            Self::ActionRequested { instance, action } => {
                write!(f, "{instance}: {} on request", action.as_str())
            }
            Self::ActionFailed {
                instance,
                action,
                code,
            } => write!(f, "{instance}: {} failed, {code}", action.as_str()),
            Self::DeleteRequested { instance } => {
                write!(f, "{instance} is being deleted on request")
            }
            Self::InstanceGone { instance } => write!(f, "{instance} is gone"),
            Self::CapacityFell { to } => write!(f, "capacity fell to {to}; nobody restores it"),
            Self::OperationStarted { operation, kind } => {
                write!(f, "operation {operation} started: {kind:?}")
            }
            Self::OperationSucceeded { operation, kind } => {
                write!(f, "operation {operation} succeeded: {kind:?}")
            }
            Self::OperationFailed {
                operation,
                kind,
                code,
            } => write!(f, "operation {operation} failed: {kind:?}, {code}"),
            Self::Refused { code, status } => write!(f, "refused with {status} {code}"),
            Self::SetDeleting => write!(f, "scale set is being deleted"),
            Self::SetGone => write!(f, "scale set is gone"),
            Self::PriceChanged {
                vm_size,
                priority,
                micros,
            } => {
                write!(
                    f,
                    "{} price of {vm_size} is now {} USD an hour",
                    priority.as_str(),
                    super::refusal::dollars(*micros)
                )
            }
            Self::CapacityChanged {
                vm_size,
                priority,
                available: Some(n),
            } => write!(f, "{n} more {} {vm_size} can be had", priority.as_str()),
            Self::CapacityChanged {
                vm_size,
                priority,
                available: None,
            } => write!(
                f,
                "{} {vm_size} can be had without limit",
                priority.as_str()
            ),
            Self::QuotaChanged { name, limit } => write!(f, "quota {name} is now {limit}"),
        }
    }
}

/// Counts of what happened since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are their own names")]
pub struct Counters {
    pub instances_made: u64,
    pub instances_evicted: u64,
    pub instances_deleted: u64,
    pub writes_accepted: u64,
    pub refusals: u64,
}

/// The newest events, oldest first, and the counters.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: VecDeque<Event>,
    next: u64,
    /// Since the beginning.
    pub counters: Counters,
}

impl History {
    pub(super) fn note(&mut self, keep: usize, time: u64, set: &str, what: What) {
        match what {
            What::InstanceCreating { .. } => self.counters.instances_made += 1,
            What::Evicted { .. } => self.counters.instances_evicted += 1,
            What::DeleteRequested { .. } => self.counters.instances_deleted += 1,
            What::OperationStarted { .. } => self.counters.writes_accepted += 1,
            What::Refused { .. } => self.counters.refusals += 1,
            _ => {}
        }
        if keep == 0 {
            return;
        }
        self.next += 1;
        self.events.push_back(Event {
            time,
            number: self.next,
            set: set.to_owned(),
            what,
        });
        while self.events.len() > keep {
            self.events.pop_front();
        }
    }

    /// The events still kept, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }
}

impl PartialEq for History {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for History {}

impl Hash for History {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
