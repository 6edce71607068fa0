//! What can be asked of an instance, and what that comes to in each phase: nothing, a boot, a way down, or a no.

use super::Instance;
use super::instance::Phase;
use super::refusal::Refusal;

/// What can be asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceAction {
    /// Runs it again. A deallocated one needs a place in the market, which may be gone or too dear.
    Start,
    /// Takes it off its host; it stays, and counts.
    Deallocate,
    /// Powers it off; it keeps its place and its price.
    PowerOff,
    /// Reboots it.
    Restart,
    /// Reboots it on another host.
    Redeploy,
    /// Reboots it from a fresh disk.
    Reimage,
    /// Lets Azure bring it into its known state: heals a failed one, leaves others alone.
    Reapply,
    /// Gives it the scale set's present model, while it runs on; in batches only.
    ManualUpgrade,
}

impl InstanceAction {
    /// The last segment of its path, in the spelling of single machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Deallocate => "deallocate",
            Self::PowerOff => "powerOff",
            Self::Restart => "restart",
            Self::Redeploy => "redeploy",
            Self::Reimage => "reimage",
            Self::Reapply => "reapply",
            Self::ManualUpgrade => "manualupgrade",
        }
    }

    /// The action of a path segment in any spelling.
    #[must_use]
    pub fn of(segment: &str) -> Option<Self> {
        [
            Self::Start,
            Self::Deallocate,
            Self::PowerOff,
            Self::Restart,
            Self::Redeploy,
            Self::Reimage,
            Self::Reapply,
            Self::ManualUpgrade,
        ]
        .into_iter()
        .find(|action| action.as_str().eq_ignore_ascii_case(segment))
    }
}

/// What an action comes to for one instance in its present phase.
pub(super) enum Effect {
    /// It is as asked already, or on its way there.
    Nothing,
    /// A boot. `place`: it must find a place first.
    Boot { place: bool },
    /// Down, its place kept.
    Stop,
    /// Down, its place given up.
    Deallocate,
    /// It stays as it is, with another model.
    Upgrade,
    /// Something else is at work on it, an eviction perhaps.
    Busy,
    /// It must run for that.
    NotRunning,
}

pub(super) fn effect(action: InstanceAction, instance: &Instance) -> Effect {
    use InstanceAction as A;
    match (instance.phase, action) {
        (Phase::Creating { .. } | Phase::Starting { .. }, A::Start) => Effect::Nothing,
        (Phase::Deallocating { .. }, A::Deallocate) | (Phase::Stopping { .. }, A::PowerOff) => {
            Effect::Nothing
        }
        (
            Phase::Creating { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Deallocating { .. }
            | Phase::Deleting { .. },
            _,
        ) => Effect::Busy,
        (_, A::ManualUpgrade) => Effect::Upgrade,
        (Phase::Running | Phase::Noticed { .. } | Phase::Failed, A::Start) => Effect::Nothing,
        (Phase::Stopped, A::Start) => Effect::Boot { place: false },
        (Phase::Deallocated, A::Start) => Effect::Boot { place: true },
        (Phase::Deallocated, A::Deallocate | A::PowerOff | A::Reapply) => Effect::Nothing,
        (_, A::Deallocate) => Effect::Deallocate,
        (Phase::Stopped, A::PowerOff | A::Reapply) => Effect::Nothing,
        (Phase::Running | Phase::Noticed { .. }, A::Reapply) => Effect::Nothing,
        (Phase::Stopped | Phase::Deallocated, _) => Effect::NotRunning,
        // [INF] the eviction goes on whatever else is asked.
        (Phase::Noticed { .. }, _) => Effect::Nothing,
        (Phase::Running | Phase::Failed, A::PowerOff) => Effect::Stop,
        (Phase::Running | Phase::Failed, _) => Effect::Boot { place: false },
    }
}

/// # Errors
/// 409 when it cannot be done to the instance now.
pub(super) fn possible(action: InstanceAction, instance: &Instance) -> Result<(), Refusal> {
    match effect(action, instance) {
        Effect::Busy => Err(Refusal::conflict()),
        Effect::NotRunning => Err(Refusal::new(
            409,
            "OperationNotAllowed",
            format!(
                "Operation '{}' is not allowed on VM '{}' since the VM is either deallocated or stopped. You can start the VM and retry.",
                action.as_str(),
                instance.name
            ),
        )),
        _ => Ok(()),
    }
}
