//! The laws, judged on what really happened: over one transition, and over the end of a history.
//!
//! They know nothing of how the planner decides. Each names, in `tests/mutants.rs`, the planted bugs it kills.

use std::fmt;

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// No write of ours lowers a kind below what is wanted of it.
    NothingWantedIsTaken,
    /// What was declared, or the set was already asked for, is never exceeded by our doing.
    Ceiling,
    /// Nothing is taken without two readings of the same facts, a settle time apart, by this process.
    Proof,
    /// An instance that an eviction left deallocated is not deleted while it may still be started: its disks are somebody's work.
    Patience,
    /// No action on an unknown.
    UnknownIsNotAbsent,
    /// Only what carries our tag is changed.
    OursOnly,
    /// Nothing is created of a size, or at a price limit, that was not declared.
    Price,
    /// No write into a set that was seen at work, but to ask for more of one that evictions are seen to take from.
    OneAtATime,
    /// When faults stop, the pool reaches what is reachable.
    Converges,
    /// At rest nothing is written.
    Quiet,
}

impl Law {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::NothingWantedIsTaken,
        Self::Ceiling,
        Self::Proof,
        Self::Patience,
        Self::UnknownIsNotAbsent,
        Self::OursOnly,
        Self::Price,
        Self::OneAtATime,
        Self::Converges,
        Self::Quiet,
    ];
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingWantedIsTaken => "nothing wanted is taken",
            Self::Ceiling => "ceiling",
            Self::Proof => "proof",
            Self::Patience => "patience",
            Self::UnknownIsNotAbsent => "unknown is not absent",
            Self::OursOnly => "ours only",
            Self::Price => "price",
            Self::OneAtATime => "one at a time",
            Self::Converges => "converges",
            Self::Quiet => "quiet",
        })
    }
}

/// A law that was broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// The facts.
    pub fact: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.fact)
    }
}

/// Instances by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Regular ones.
    pub regular: u32,
    /// Spot ones.
    pub spot: u32,
}

impl Kinds {
    /// Both.
    pub fn total(self) -> u32 {
        self.regular + self.spot
    }
}

/// One write, with the truth before and after it.
#[derive(Clone, Debug)]
pub struct Write {
    /// What was declared when it was decided.
    pub wanted: Kinds,
    /// What existed and could work, before.
    pub before: Kinds,
    /// And after Azure acted.
    pub after: Kinds,
    /// All that existed and was not on its way out, before.
    pub held_before: u32,
    /// And after.
    pub held_after: u32,
    /// The capacity that the set had before.
    pub capacity_before: u32,
    /// Instances taken by others so recently that no reading could be sure to show it: the one race no guard spans.
    pub raced: Kinds,
    /// Whether it takes instances away by intent.
    pub takes: bool,
    /// Whether two readings of the same facts, a settle time apart, stood before it.
    pub proved: bool,
    /// Wanted instances that were deallocated for less than the restart timeout before they were taken.
    pub given_up_early: u32,
    /// Whether the set or its instances were unknown when it was decided.
    pub on_unknown: bool,
    /// Whether the set was seen at work when it was decided, and not only on evictions that the write asks to make good.
    pub seen_busy: bool,
    /// Whether the set that exists carries our tag.
    pub ours: bool,
    /// Whether the scale set was removed because its pool was deleted.
    pub removal: bool,
    /// Instances made of a size that is not declared.
    pub foreign_sizes: u32,
}

/// Judges one write.
pub fn judge(write: &Write) -> Option<Broken> {
    let broken = |law, fact: String| Some(Broken { law, fact });
    if !write.ours {
        return broken(
            Law::OursOnly,
            "wrote to a scale set without our tag".to_owned(),
        );
    }
    if write.on_unknown {
        return broken(
            Law::UnknownIsNotAbsent,
            "acted although something was unknown".to_owned(),
        );
    }
    if write.seen_busy {
        return broken(
            Law::OneAtATime,
            "wrote into a set that was seen at work".to_owned(),
        );
    }
    if write.foreign_sizes > 0 {
        return broken(
            Law::Price,
            format!(
                "made {} instances of a size that is not declared",
                write.foreign_sizes
            ),
        );
    }
    if write.removal {
        return None;
    }
    if write.takes && !write.proved {
        return broken(
            Law::Proof,
            "took instances without two readings of the same facts".to_owned(),
        );
    }
    if write.given_up_early > 0 {
        return broken(
            Law::Patience,
            format!(
                "deleted {} deallocated instances before their restart timeout",
                write.given_up_early
            ),
        );
    }
    let kinds = [
        (
            "regular",
            write.before.regular,
            write.after.regular,
            write.wanted.regular,
            write.raced.regular,
        ),
        (
            "Spot",
            write.before.spot,
            write.after.spot,
            write.wanted.spot,
            write.raced.spot,
        ),
    ];
    for (kind, before, after, wanted, raced) in kinds {
        if after < before && after + raced < wanted.min(before + raced) {
            return broken(
                Law::NothingWantedIsTaken,
                format!("{kind} {before} → {after}, wanted {wanted}, {raced} lost to others"),
            );
        }
    }
    // An eviction (or another hand) between look and write may have lowered the capacity that was written again.
    let asked_for = write.capacity_before + write.raced.total();
    let ceiling = write.wanted.total().max(write.held_before).max(asked_for);
    if write.held_after > ceiling {
        return broken(
            Law::Ceiling,
            format!(
                "{} instances, at most {ceiling} were asked for",
                write.held_after
            ),
        );
    }
    None
}
