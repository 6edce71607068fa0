//! Whether a subscription's quota bears what is to be bought: asked before Azure is, so that nothing is refused that could have been
//! known, and what fits is asked for at once.
//!
//! In: an action and the rows of Azure's `usages`. Out: the action, as much of it as fits, or a refusal as Azure would have given it.
//! Quota is cores, of which an instance takes those of its size: Spot instances from one row of their own, regular ones from their family's
//! and the region's [DOC virtual-machines/quotas, spot-vms: "Spot VMs have a separate vCPU quota"]. What a row or a size does not
//! tell is left to Azure to refuse.

use crate::units::{Count, Priority, VmSize};

use super::action::{Action, Because, Reason};
use super::memory::Memory;
use super::observed::Observed;
use super::refusal::{Refusal, RefusalKind};

/// The row of all Spot cores of a subscription in a region.
const SPOT_CORES: &str = "lowPriorityCores";
/// The row of all regular cores.
const REGIONAL_CORES: &str = "cores";

/// One row of Azure's `usages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `name.value`, such as `lowPriorityCores`.
    pub row: String,
    /// Cores that exist.
    pub used: u64,
    /// Cores that may exist.
    pub limit: u64,
}

impl Quota {
    const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Instances that an action would add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    regular: Count,
    spot: Count,
    /// A smaller capacity than this would take something away.
    floor: Count,
}

/// What an action adds that the quota has to bear; `None`: nothing, or only what has just been lost, whose cores Azure may not have
/// counted off yet.
pub fn added(
    observed: &Observed,
    memory: &Memory,
    action: &Action,
    because: &Because,
) -> Option<Added> {
    let (alive, regular, floor, wanted, base) = match action {
        Action::Create { capacity, base, .. } => (0, 0, 0, *capacity, *base),
        Action::Resize { capacity, base, .. } if because.reason == Reason::ScalingUp => {
            let picture = super::picture(observed).ok()?;
            let (alive, set) = (picture.alive(), picture.set);
            let regular = picture.held(Priority::Regular);
            // A capacity that reads lower than it is must not lower it: less than is believed is not written.
            let believed = memory.process.believed;
            let believed = believed.map_or(*capacity, |believed| believed.capacity);
            let floor = alive.max(set.capacity).max(believed);
            (alive, regular, floor, *capacity, *base)
        }
        _ => return None,
    };
    let more = wanted.checked_sub(alive).filter(|more| *more > 0)?;
    let regular = base.saturating_sub(regular).min(more);
    Some(Added {
        regular,
        spot: more - regular,
        floor,
    })
}

/// As much of the action as the quota bears, and, where nothing of it fits, which row is full.
pub fn within(
    added: Option<Added>,
    action: Action,
    because: Because,
    rows: &[Quota],
) -> (Action, Because, Option<Refusal>) {
    let (Some(added), Action::Create { vm_size, .. } | Action::Resize { vm_size, .. }) =
        (added, &action)
    else {
        return (action, because, None);
    };
    let Some(cores) = cores(vm_size) else {
        return (action, because, None);
    };
    let row = |name: &str| rows.iter().find(|row| row.row.eq_ignore_ascii_case(name));
    let family = family(vm_size);
    for quota in [family.as_deref().and_then(row), row(REGIONAL_CORES)] {
        let needed = cores * u64::from(added.regular);
        if let Some(quota) = quota.filter(|quota| quota.left() < needed) {
            let refusal = refusal(quota, vm_size, added.regular, "regular", cores);
            return (action, because, Some(refusal));
        }
    }
    let Some(quota) = row(SPOT_CORES) else {
        return (action, because, None);
    };
    let fits = Count::try_from(quota.left() / cores).unwrap_or(Count::MAX);
    let beyond = added.spot.saturating_sub(fits);
    if beyond == 0 {
        return (action, because, None);
    }
    let Some(capacity) = smaller(&action, beyond).filter(|capacity| *capacity > added.floor) else {
        let refusal = refusal(quota, vm_size, added.spot, "Spot", cores);
        return (action, because, Some(refusal));
    };
    let full = fullness(quota);
    let message = format!("{}; {full}: {capacity} to begin with", because.message);
    let because = Because { message, ..because };
    (resized(action, capacity), because, None)
}

fn smaller(action: &Action, by: Count) -> Option<Count> {
    match action {
        Action::Create { capacity, .. } | Action::Resize { capacity, .. } => {
            capacity.checked_sub(by)
        }
        _ => None,
    }
}

fn resized(mut action: Action, to: Count) -> Action {
    if let Action::Create { capacity, .. } | Action::Resize { capacity, .. } = &mut action {
        *capacity = to;
    }
    action
}

fn fullness(quota: &Quota) -> String {
    format!(
        "{} of {} cores of the quota {} are used",
        quota.used, quota.limit, quota.row
    )
}

fn refusal(quota: &Quota, vm_size: &VmSize, missing: Count, kind: &str, cores: u64) -> Refusal {
    Refusal {
        kind: match quota.limit {
            0 => RefusalKind::QuotaIsZero,
            _ => RefusalKind::QuotaExceeded,
        },
        code: String::new(),
        message: format!(
            "{}, and {missing} {kind} instances of {vm_size} need {}",
            fullness(quota),
            cores * u64::from(missing)
        ),
        request_id: String::new(),
    }
}

/// A size's name in its parts [DOC virtual-machines/vm-naming-conventions]: family letters, vCPUs, features, version. `None` for names
/// whose number is not their vCPUs (before v3, except F), that constrain it, or that name an accelerator.
fn parts(vm_size: &VmSize) -> Option<(&str, u64, &str, &str)> {
    let (name, version) = vm_size
        .as_str()
        .strip_prefix("Standard_")?
        .split_once('_')?;
    let number: u32 = version.strip_prefix('v')?.parse().ok()?;
    let digits = |c: char| c.is_ascii_digit();
    let from = name.find(digits)?;
    let (letters, rest) = name.split_at(from);
    let until = rest.find(|c| !digits(c)).unwrap_or(rest.len());
    let (cores, features) = rest.split_at(until);
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphabetic());
    let told = number >= 3 || letters == "F";
    (told && plain(letters) && plain(features)).then_some(())?;
    Some((letters, cores.parse().ok()?, features, version))
}

/// Cores that one instance takes.
pub(super) fn cores(vm_size: &VmSize) -> Option<u64> {
    parts(vm_size)
        .map(|(_, cores, ..)| cores)
        .filter(|cores| *cores > 0)
}

/// The row of a size's family, as Azure calls its rows: `standardDSv5Family` of `Standard_D4s_v5`.
pub(super) fn family(vm_size: &VmSize) -> Option<String> {
    let (letters, _, features, version) = parts(vm_size)?;
    Some(format!("standard{letters}{features}{version}Family"))
}
