//! What the laws need to know: what was shown, what a write stood on. Kept apart from the planner's own memory, and without asking it.

use std::collections::BTreeSet;

use super::{LONGEST_LAG, PLACE, Twin};
use crate::laws::{Kinds, Write};
use crate::planner::{Action, Desired, Eviction, Instance, Observed, Outcome, Phase};
use crate::units::{InstanceName, Priority, Seen};
use crate::world;

/// What was shown: declaration, capacity, instances and whether each is on its way out.
pub(super) type Facts = ((u32, u32, i64), u32, BTreeSet<(InstanceName, bool)>);

/// Whether a write only asks for more of a set from which instances are seen to be taken, while nothing of ours is known to run.
fn asks_amid_evictions(shown: &Observed, action: &Action) -> bool {
    let (
        Seen::Known {
            value: Some(set), ..
        },
        Seen::Known {
            value: instances, ..
        },
    ) = (&shown.set, &shown.instances)
    else {
        return false;
    };
    let asks = match action {
        Action::Resize { capacity, .. } => *capacity > set.capacity,
        Action::Restart { .. } => true,
        _ => false,
    };
    let leaves = |one: &Instance| {
        one.priority == Priority::Spot && matches!(one.phase, Phase::Stopping | Phase::Deallocating)
    };
    asks && instances.iter().any(leaves) && shown.outcome != Some(Outcome::Pending)
}

impl Twin {
    /// Keeps the laws' own account of what was shown.
    pub(super) fn note(&mut self, observed: &Observed) {
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
        self.note_down(instances);
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

    pub(super) fn describe(&self, decided_on: &Desired, action: &Action, wanted: Kinds) -> Write {
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
                seen_busy = !set.state.is_terminal() && !asks_amid_evictions(shown, action);
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
        Write {
            wanted,
            before: self.sound(),
            after: self.sound(),
            held_before: self.kinds().total(),
            held_after: self.kinds().total(),
            capacity_before: set.map_or(0, |set| set.capacity),
            raced: Kinds {
                regular: self.raced(Priority::Regular),
                spot: self.raced(Priority::Spot),
            },
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
            given_up_early: 0,
        }
    }

    /// Instances taken by others so recently that no reading could be sure to show it.
    fn raced(&self, priority: Priority) -> u32 {
        let since = self.region.now().saturating_sub(LONGEST_LAG + LONGEST_LAG);
        let taken = self.ledger.taken.iter();
        let late = taken.filter(|(at, of)| *at >= since && *of == priority);
        u32::try_from(late.count()).unwrap_or(u32::MAX)
    }

    /// Keeps the account of who was shown to be down and since when, until it is shown to run.
    fn note_down(&mut self, instances: &[Instance]) {
        let now = self.region.now();
        let before = std::mem::take(&mut self.ledger.down);
        for one in instances {
            let since = match one.phase {
                Phase::Deallocating | Phase::Deallocated => {
                    Some(before.get(&one.name).map_or(now, |(since, _)| *since))
                }
                Phase::Running => None,
                _ => before.get(&one.name).map(|(since, _)| *since),
            };
            if let Some(since) = since {
                let entry = (since, one.priority);
                self.ledger.down.insert(one.name.clone(), entry);
            }
        }
    }

    /// Who exists and is not on its way out.
    pub(super) fn names_alive(&self) -> BTreeSet<InstanceName> {
        let set = self.region.set(PLACE.0, PLACE.1);
        set.iter()
            .flat_map(|set| set.instances.values())
            .filter(|one| one.alive())
            .map(|one| InstanceName(one.name.clone()))
            .collect()
    }

    /// How many wanted instances a write took that were down and had not been tried for long enough. Those beyond what is wanted may go.
    pub(super) fn given_up_early(
        &self,
        decided_on: &Desired,
        before: &BTreeSet<InstanceName>,
    ) -> u32 {
        let Eviction::Deallocate { restart_timeout } = decided_on.eviction else {
            return 0;
        };
        let timeout = u64::try_from(restart_timeout.0).unwrap_or_default();
        let (now, after) = (self.region.now(), self.names_alive());
        let of = |priority, wanted: u32, held: u32| {
            let early = before
                .difference(&after)
                .filter_map(|name| self.ledger.down.get(name))
                .filter(|(since, of)| *of == priority && now - *since < timeout)
                .count();
            let lack = wanted.saturating_sub(held + self.raced(priority));
            lack.min(u32::try_from(early).unwrap_or(u32::MAX))
        };
        let held = self.kinds();
        of(Priority::Regular, decided_on.regular, held.regular)
            + of(Priority::Spot, decided_on.spot, held.spot)
    }

    pub(super) fn foreign_sizes(&self) -> u32 {
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
}
