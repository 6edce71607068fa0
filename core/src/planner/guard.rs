//! What must hold before anything is written or taken away: the only maker of `Guard` and `Proof`, so that an unsafe write does not type-check.

use crate::units::{Etag, InstanceName, Millis, Timestamp, VmSize};

use super::desired::Desired;
use super::observed::{Phase, ScaleSet};
use super::picture::Picture;

/// The ETag of a scale set that was read and is ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guard(Etag);

impl Guard {
    /// Only a scale set that carries exactly our ownership tag gives a guard.
    pub(super) fn of(set: &ScaleSet, desired: &Desired) -> Option<Self> {
        (set.owner.as_ref() == Some(&desired.owner)).then(|| Self(set.etag.clone()))
    }

    /// For the `If-Match` header.
    pub fn etag(&self) -> &Etag {
        &self.0
    }
}

/// Two readings of the same facts, a settle time apart, by this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The earlier reading.
    since: Timestamp,
    /// The later one.
    until: Timestamp,
}

impl Proof {
    /// When the two readings were made.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        (self.since, self.until)
    }
}

/// How long the very same facts have been read. Lives in process memory only: a proof is never taken from a status that anybody could have edited or restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stillness {
    subject: Subject,
    since: Timestamp,
    latest: Timestamp,
}

/// The facts: a change in any of them starts the clock again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    generation: i64,
    wanted: (u32, u32),
    capacity: u32,
    instances: Vec<(InstanceName, Standing)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    Sound,
    Broken,
    Leaving,
}

impl Stillness {
    /// Adds a reading to what was read before.
    pub(super) fn after(before: Option<Self>, desired: &Desired, picture: &Picture<'_>) -> Self {
        let standing = |phase| match phase {
            Phase::Failed | Phase::Deallocated => Standing::Broken,
            Phase::Stopping => Standing::Leaving,
            Phase::Starting | Phase::Running | Phase::Unknown => Standing::Sound,
        };
        let mut instances: Vec<_> = picture
            .instances
            .iter()
            .map(|one| (one.name.clone(), standing(one.phase)))
            .collect();
        instances.sort_by(|a, b| a.0.cmp(&b.0));
        let subject = Subject {
            generation: desired.generation,
            wanted: (desired.regular, desired.spot),
            capacity: picture.set.capacity,
            instances,
        };
        match before {
            Some(before) if before.subject == subject => Self {
                latest: picture.at,
                ..before
            },
            _ => Self {
                subject,
                since: picture.at,
                latest: picture.at,
            },
        }
    }

    /// How long nothing has changed.
    pub(super) fn lasted(&self) -> Millis {
        self.latest - self.since
    }

    /// The proof, once two readings of the same facts lie a settle time apart.
    pub(super) fn proof(&self, settle: Millis) -> Option<Proof> {
        (self.lasted() >= settle && self.latest > self.since).then_some(Proof {
            since: self.since,
            until: self.latest,
        })
    }
}

/// A capacity written although it already stood: where Azure makes what is missing, that heals; where it makes only differences,
/// nothing happens, and *that it succeeded and nothing happened* proves that asking for more is right (planner.md, *Growing*).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rewrite {
    subject: Subject,
    vm_size: VmSize,
}

impl Rewrite {
    /// Remembers the facts under which the capacity was written again.
    pub(super) fn under(still: &Stillness, vm_size: &VmSize) -> Self {
        Self {
            subject: still.subject.clone(),
            vm_size: vm_size.clone(),
        }
    }

    /// Whether the same facts stand after the write as before.
    pub(super) fn changed_nothing(&self, still: &Stillness, vm_size: &VmSize) -> bool {
        self.subject == still.subject && &self.vm_size == vm_size
    }
}
