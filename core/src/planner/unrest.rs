//! Evictions that do not end. While Azure takes one instance after the other, a scale set may never read as settled, and its capacity
//! never stands still: what is missing would never be asked for.
//!
//! In: a picture with instances on their way out. Out: since when that has kept us from asking, and from when on it does so no more.
//! Safe without stillness, since what is then written is all that is wanted, and never less than the capacity that the set is known to
//! have had.

use super::desired::Desired;
use super::memory::Memory;
use super::picture::Picture;
use crate::units::Priority;

/// Follows for how long instances have been missing or down while others were on their way out, without a write of ours and without
/// the set ever having stood still.
pub(super) fn follow(desired: &Desired, picture: &Picture<'_>, memory: &mut Memory) {
    let sound = picture.sound(Priority::Regular) + picture.sound(Priority::Spot);
    let missing = sound < desired.total();
    let begins = (picture.leaving() > 0).then_some(picture.at);
    memory.process.unrest = memory.process.unrest.or(begins).filter(|_| missing);
}

/// Whether it has lasted for so long that what is missing is asked for all the same.
pub(super) fn lasts(desired: &Desired, picture: &Picture<'_>, memory: &Memory) -> bool {
    let since = memory.process.unrest;
    since.is_some_and(|since| picture.at - since >= desired.pace.settle)
}
