//! Evictions: told from outside only by instances that are gone without our doing (azure.md §0.2: ARM carries no marker).

use std::collections::BTreeSet;

use super::action::{Because, Reason};
use super::memory::Memory;
use super::observed::Phase;
use super::picture::Picture;
use crate::units::{Count, InstanceName, Priority, Timestamp};

/// Spot instances that vanish without our doing were evicted.
pub(super) fn notice(
    picture: &Picture<'_>,
    memory: &mut Memory,
    notes: &mut Vec<Because>,
    now: Timestamp,
) {
    let held: BTreeSet<InstanceName> = picture
        .instances
        .iter()
        .filter(|one| one.priority == Priority::Spot && one.phase != Phase::Stopping)
        .map(|one| one.name.clone())
        .collect();
    let lost: Vec<&InstanceName> = memory.process.spot_seen.difference(&held).collect();
    let gone = Count::try_from(lost.len()).unwrap_or(Count::MAX);
    let evicted = gone.saturating_sub(memory.process.leaving);
    memory.process.leaving = memory.process.leaving.saturating_sub(gone);
    if evicted > 0 {
        let names = lost
            .iter()
            .take(5)
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        notes.push(Because {
            reason: Reason::Evicted,
            message: format!(
                "{evicted} Spot instances were taken away: {names}{}",
                if lost.len() > 5 { ", …" } else { "" }
            ),
        });
        memory.kept.evictions = memory.kept.evictions.saturating_add(u64::from(evicted));
        memory.kept.last_eviction = Some(now);
        memory.process.to_replace = memory.process.to_replace.saturating_add(evicted);
    }
    memory.process.spot_seen = held;
}
