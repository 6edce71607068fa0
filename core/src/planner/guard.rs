//! What must hold before anything is written or taken away: the only maker of `Guard` and `Proof`, so that an unsafe write does not type-check.

use crate::units::{Etag, InstanceName, Millis, Timestamp, VmSize};

use super::desired::Desired;
use super::observed::{Instance, Phase, ScaleSet};
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
    /// A set that was written to meanwhile has not stood still, even if it reads the same.
    etag: Etag,
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
        let subject = Subject::of(desired, picture);
        match before {
            Some(before) if before.subject == subject && before.etag == picture.set.etag => Self {
                latest: picture.at,
                ..before
            },
            _ => Self {
                subject,
                etag: picture.set.etag.clone(),
                since: picture.at,
                latest: picture.at,
            },
        }
    }

    /// Whether instances have come that were not there at the last reading. The clock is stopped by each write of ours, so
    /// they are somebody else's doing, who raised the capacity.
    pub(super) fn gained(&self, picture: &Picture<'_>) -> bool {
        let known = |one: &Instance| {
            let named = |other: &(InstanceName, Standing)| other.0.cmp(&one.name);
            self.subject.instances.binary_search_by(named).is_ok()
        };
        !picture.instances.iter().all(known)
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
    latest: Timestamp,
}

impl Rewrite {
    /// Remembers the facts under which the capacity is written again.
    pub(super) fn under(still: &Stillness, vm_size: &VmSize, now: Timestamp) -> Self {
        Self {
            subject: still.subject.clone(),
            vm_size: vm_size.clone(),
            latest: now,
        }
    }

    /// The rewrite as long as every reading since shows the same facts, without gaps in which an instance could have come and
    /// gone again. Once they differ it proves nothing any more, even if they come back.
    pub(super) fn unless_changed(self, desired: &Desired, picture: &Picture<'_>) -> Option<Self> {
        let watched = picture.at - self.latest <= Millis(desired.pace.motion.0.saturating_mul(3));
        (watched && self.subject == Subject::of(desired, picture)).then_some(Self {
            latest: picture.at,
            ..self
        })
    }

    /// The size that was asked for.
    pub(super) fn vm_size(&self) -> &VmSize {
        &self.vm_size
    }
}

impl Stillness {
    /// The same stillness told relative to `now` and under other names.
    pub(super) fn relative(
        &self,
        retime: &dyn Fn(Timestamp) -> Timestamp,
        rename: &dyn Fn(&InstanceName) -> InstanceName,
        retag: &dyn Fn(&Etag) -> Etag,
    ) -> Self {
        Self {
            subject: self.subject.renamed(rename),
            etag: retag(&self.etag),
            since: retime(self.since),
            latest: retime(self.latest),
        }
    }
}

impl Rewrite {
    /// The same told relative to another time and under other names.
    pub(super) fn relative(
        &self,
        retime: &dyn Fn(Timestamp) -> Timestamp,
        rename: &dyn Fn(&InstanceName) -> InstanceName,
    ) -> Self {
        Self {
            subject: self.subject.renamed(rename),
            vm_size: self.vm_size.clone(),
            latest: retime(self.latest),
        }
    }
}

impl Subject {
    fn of(desired: &Desired, picture: &Picture<'_>) -> Self {
        let standing = |phase| match phase {
            Phase::Failed | Phase::Deallocated | Phase::Deallocating => Standing::Broken,
            Phase::Stopping => Standing::Leaving,
            Phase::Starting | Phase::Running | Phase::Unknown => Standing::Sound,
        };
        let mut instances: Vec<_> = picture
            .instances
            .iter()
            .map(|one| (one.name.clone(), standing(one.phase)))
            .collect();
        instances.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            generation: desired.generation,
            wanted: (desired.regular, desired.spot),
            capacity: picture.set.capacity,
            instances,
        }
    }

    fn renamed(&self, rename: &dyn Fn(&InstanceName) -> InstanceName) -> Self {
        let mut instances: Vec<_> = self
            .instances
            .iter()
            .map(|(name, standing)| (rename(name), *standing))
            .collect();
        instances.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            instances,
            ..self.clone()
        }
    }
}
