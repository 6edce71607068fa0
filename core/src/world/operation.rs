//! A long-running operation: what was accepted, what remains to be done, and how it ended.

use super::effect::InstanceAction;
use super::scale_set::SetKey;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// PUT of a new scale set.
    CreateSet,
    /// PUT or PATCH of an existing one.
    UpdateSet,
    /// POST …/delete: instances by name.
    DeleteInstances,
    /// DELETE of a virtual machine.
    DeleteInstance,
    /// POST …/start and its like: instances by name, or all.
    OnInstances(InstanceAction),
    /// The same on one instance by itself.
    OnInstance(InstanceAction),
    /// DELETE of the scale set.
    DeleteSet,
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Runs.
    InProgress,
    /// Ended well.
    Succeeded,
    /// Ended badly; part of it may have been done.
    Failed(Failure),
}

/// The `error` of a failed operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// `error.code`.
    pub code: &'static str,
    /// `error.message`.
    pub message: String,
}

/// A capacity write that waits for its instances to be made or taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resize {
    pub at: u64,
    pub before: u32,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Small integer; the wire makes a GUID of it.
    pub id: u64,
    /// On which scale set.
    pub set: SetKey,
    /// What it does.
    pub kind: OperationKind,
    /// When it was accepted.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// How it stands.
    pub status: Status,
    pub(crate) not_before: u64,
    pub(crate) resize: Option<Resize>,
    pub(crate) trouble: Option<Failure>,
}

impl OperationKind {
    /// Whether it occupies the scale set: a second write meets it.
    #[must_use]
    pub const fn of_set(self) -> bool {
        !matches!(self, Self::DeleteInstance | Self::OnInstance(_))
    }
}

impl Operation {
    /// Still under way.
    #[must_use]
    pub const fn running(&self) -> bool {
        matches!(self.status, Status::InProgress)
    }
}
