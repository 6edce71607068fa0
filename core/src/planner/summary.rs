//! What a turn has to say about the pool, in the planner's own words: conditions and counts are printed from it.

use crate::units::{Count, Owner, Priority, Timestamp};

use super::desired::{Desired, Intent};
use super::memory::Memory;
use super::observed::{Blind, Phase};
use super::picture::Picture;
use super::refusal::Closed;

/// Counts, and where the pool stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// What it is doing or waiting for.
    pub stage: Stage,
    /// Counts; `None` while Azure cannot be read or the set is absent or not ours.
    pub counts: Option<Counts>,
    /// Whether enough runs.
    pub health: Health,
    /// Whether the current declaration is still being brought about.
    pub progressing: bool,
    /// A new model that Azure rejected.
    pub rejected_model: Option<Closed>,
}

/// Where a pool stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A write is being made this turn.
    Acting,
    /// Azure is at work on the set.
    Busy,
    /// Instances are starting; nothing is missing.
    Starting,
    /// Waits for facts to stand still.
    Settling {
        /// What is awaited.
        message: String,
    },
    /// A reading cannot be true; nothing is done on it.
    Implausible {
        /// Which.
        message: String,
    },
    /// Azure declined; asked again at `until`.
    Refused(Closed),
    /// Everything but a removal of so many that it waits for a confirmation.
    ConfirmationNeeded {
        /// How many would go.
        taking: Count,
    },
    /// Everything as declared.
    AtRest,
    /// Told not to write.
    Suspended {
        /// What would be done.
        would: Option<String>,
    },
    /// The scale set of that name is not ours.
    NotOurs {
        /// Whose it says it is.
        owner: Option<Owner>,
    },
    /// Could not look.
    Blind(Blind),
    /// The scale set is being deleted.
    Going,
    /// The scale set is gone, or not ours to delete.
    Gone,
}

/// Instances of one priority by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Run.
    pub running: Count,
    /// Start.
    pub starting: Count,
    /// On their way out.
    pub stopping: Count,
    /// Stopped or deallocated.
    pub deallocated: Count,
    /// Failed.
    pub failed: Count,
    /// State unreadable.
    pub unknown: Count,
}

/// What exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Regular instances.
    pub regular: Tally,
    /// Spot instances.
    pub spot: Tally,
    /// `sku.capacity` as read.
    pub capacity: Count,
    /// Spot seats held or being obtained: what the scale subresource reports. An eviction does not lower it.
    pub spot_held: Count,
    /// Instances made from the current model.
    pub up_to_date: Count,
}

impl Counts {
    /// Instances that run.
    pub fn available(&self) -> Count {
        self.regular.running + self.spot.running
    }

    pub(super) fn of(
        picture: &Picture<'_>,
        desired: &Desired,
        memory: &Memory,
        refused: bool,
    ) -> Self {
        let mut counts = Self {
            capacity: picture.set.capacity,
            ..Self::default()
        };
        for one in picture.instances {
            let tally = match one.priority {
                Priority::Regular => &mut counts.regular,
                Priority::Spot => &mut counts.spot,
            };
            let class = match one.phase {
                Phase::Running => &mut tally.running,
                Phase::Starting => &mut tally.starting,
                Phase::Stopping => &mut tally.stopping,
                Phase::Deallocated | Phase::Deallocating => &mut tally.deallocated,
                Phase::Failed => &mut tally.failed,
                Phase::Unknown => &mut tally.unknown,
            };
            *class += 1;
            // While the declared model has not reached the set, nothing can have been made from it.
            let reached = picture.set.model.as_ref() == Some(&desired.model);
            let current = reached
                && match (picture.set.model_since, one.created) {
                    (Some(since), Some(created)) => created >= since,
                    _ => true,
                };
            if current && one.phase != Phase::Stopping {
                counts.up_to_date += 1;
            }
        }
        // A deallocated instance holds no seat; that it is to be started again, `asked_spot` knows.
        let held = picture
            .held(Priority::Spot)
            .saturating_sub(counts.spot.deallocated);
        counts.spot_held = if refused {
            held
        } else {
            held.max(memory.kept.asked_spot.min(desired.spot))
        };
        counts
    }
}

/// Whether enough runs, for the Ready condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Enough.
    Enough,
    /// Too few, but it is being worked on.
    Below,
    /// Too few for longer than the progress deadline.
    Overdue {
        /// Since when.
        since: Timestamp,
    },
    /// Azure has been unreadable for less than the progress deadline: as before.
    Unchanged,
    /// Azure has been unreadable for longer.
    Unknown {
        /// Since when.
        since: Timestamp,
    },
}

/// Says where the pool stands, and keeps the clocks that say it over time.
pub(super) fn summarise(
    desired: &Desired,
    picture: Option<&Picture<'_>>,
    stage: Stage,
    memory: &mut Memory,
    now: Timestamp,
) -> Summary {
    let refused = matches!(stage, Stage::Refused(_));
    let blind = matches!(stage, Stage::Blind(_));
    let counts = picture.map(|picture| Counts::of(picture, desired, memory, refused));
    if matches!(stage, Stage::AtRest | Stage::Refused(_)) {
        memory.kept.settled_generation = Some(desired.generation);
    }
    if let Some(counts) = counts.filter(|_| matches!(stage, Stage::AtRest)) {
        memory.kept.asked_spot = counts.spot.running;
    }
    memory.process.blind_since = blind.then(|| memory.process.blind_since.unwrap_or(now));
    let available = counts.as_ref().map_or(0, Counts::available);
    let health = match memory.process.blind_since {
        Some(since) if now - since > desired.progress_deadline => Health::Unknown { since },
        Some(_) => Health::Unchanged,
        None if available >= desired.min_available => {
            memory.kept.below_since = None;
            Health::Enough
        }
        None => {
            let since = *memory.kept.below_since.get_or_insert(now);
            if now - since > desired.progress_deadline {
                Health::Overdue { since }
            } else {
                Health::Below
            }
        }
    };
    let rejected_model = memory
        .process
        .rejected
        .as_ref()
        .filter(|(model, _)| *model == desired.model)
        .map(|(_, closed)| closed.clone());
    let progressing = memory.kept.settled_generation != Some(desired.generation)
        && desired.intent == Intent::Keep;
    Summary {
        stage,
        counts,
        health,
        progressing,
        rejected_model,
    }
}
