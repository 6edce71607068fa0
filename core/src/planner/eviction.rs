//! Evictions: told from outside only by instances that are gone without our doing (azure.md §0.2: ARM carries no marker).

use std::collections::BTreeSet;

use super::action::{Because, Reason};
use super::desired::{Desired, Eviction};
use super::memory::Memory;
use super::observed::{Instance, Phase};
use super::picture::Picture;
use crate::units::{Count, InstanceName, Priority, Timestamp};

/// Spot instances that vanish without our doing were evicted; under the policy Deallocate also those that are deallocated.
pub(super) fn notice(
    desired: &Desired,
    picture: &Picture<'_>,
    memory: &mut Memory,
    notes: &mut Vec<Because>,
    now: Timestamp,
) {
    let down_is_evicted = desired.eviction != Eviction::Delete;
    let there = |one: &&Instance| match one.phase {
        Phase::Stopping => false,
        Phase::Deallocating | Phase::Deallocated => !down_is_evicted,
        _ => true,
    };
    let held: BTreeSet<InstanceName> = picture
        .instances
        .iter()
        .filter(|one| one.priority == Priority::Spot)
        .filter(there)
        .map(|one| one.name.clone())
        .collect();
    let lost: Vec<InstanceName> = memory
        .process
        .spot_seen
        .difference(&held)
        .cloned()
        .collect();
    let evicted = Count::try_from(lost.len()).unwrap_or(Count::MAX);
    if evicted > 0 {
        notes.push(Because {
            reason: Reason::Evicted,
            message: format!(
                "{evicted} Spot instances were taken away: {}",
                super::names(&lost)
            ),
        });
        memory.kept.evictions = memory.kept.evictions.saturating_add(u64::from(evicted));
        memory.kept.last_eviction = Some(now);
        memory.process.to_replace = memory.process.to_replace.saturating_add(evicted);
    }
    memory.process.spot_seen = held;
}
