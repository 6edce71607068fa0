//! What was seen of one pool: a dated picture, whose unseen parts are unknown and never absent.

use crate::units::{
    Count, Etag, InstanceName, MicroUsd, ModelHash, Owner, Priority, Seen, Timestamp, VmSize, Zone,
};

use super::refusal::Refusal;

/// One look at Azure. The set is read before its instances, so that a write guarded by the set's ETag also guards the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// The scale set; `Known(None)` means Azure said that it does not exist.
    pub set: Seen<Option<ScaleSet>, Blind>,
    /// All of its instances; a partial list is `Unknown`.
    pub instances: Seen<Vec<Instance>, Blind>,
    /// How our last write goes, or how it ended since the last look, as far as it says so.
    pub outcome: Option<Outcome>,
}

/// The scale set as read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScaleSet {
    /// `sku.capacity`. Azure lowers it when a Spot instance is evicted: never the desired number.
    pub capacity: Count,
    /// `priorityMixPolicy.baseRegularPriorityCount`.
    pub base: Count,
    /// `sku.name`: the size that new instances get.
    pub vm_size: VmSize,
    /// `billingProfile.maxPrice` of new instances; `None`: up to the pay-as-you-go price (Azure's -1).
    pub max_price: Option<MicroUsd>,
    /// Its version, for `If-Match`.
    pub etag: Etag,
    /// `provisioningState`.
    pub state: Provisioning,
    /// The ownership tag, if it has one.
    pub owner: Option<Owner>,
    /// The model tag, if it has one.
    pub model: Option<ModelHash>,
    /// When the model was last changed by us (a tag), so that older instances can be told from newer ones.
    pub model_since: Option<Timestamp>,
}

/// `provisioningState` of a scale set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provisioning {
    /// The last operation ended well.
    Succeeded,
    /// The last operation failed.
    Failed,
    /// The last operation was cancelled.
    Canceled,
    /// An operation is under way (Creating, Updating, or a word we do not know).
    Busy,
    /// It is being deleted.
    Deleting,
}

impl Provisioning {
    /// Whether Azure is done with whatever it was asked.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// One instance as read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance {
    /// Its name.
    pub name: InstanceName,
    /// How it was bought.
    pub priority: Priority,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its size.
    pub vm_size: VmSize,
    /// Its zone; empty when regional.
    pub zone: Zone,
    /// `timeCreated`.
    pub created: Option<Timestamp>,
    /// `billingProfile.maxPrice` of a Spot instance, the largest number for -1; `None`: not told. Starting it again may cost so much.
    pub price_limit: Option<MicroUsd>,
}

/// Where an instance is in its life, by provisioningState *and* PowerState; each instance is in exactly one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Creating, or its power state is starting.
    Starting,
    /// It runs.
    Running,
    /// Being deleted or evicted: as good as gone.
    Stopping,
    /// On its way to being stopped or deallocated: it stays.
    Deallocating,
    /// Stopped or deallocated: it exists, counts in capacity and quota, and does no work.
    Deallocated,
    /// Its provisioning failed.
    Failed,
    /// It exists; its state could not be read.
    Unknown,
}

/// How an operation of ours goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has not ended.
    Pending,
    /// As asked.
    Succeeded,
    /// Not, or only in part.
    Failed(Refusal),
}

/// Why something could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Blind {
    /// Azure did not answer, or not intelligibly.
    Unreachable {
        /// What happened, in words.
        fact: String,
    },
    /// Asked too often: not before `until`.
    Throttled {
        /// When asking is allowed again.
        until: Timestamp,
    },
    /// Not asked now, so as not to be throttled: its turn is at `until`.
    HeldBack {
        /// When it is this pool's turn.
        until: Timestamp,
    },
    /// No valid credentials.
    CredentialsInvalid {
        /// How far the way to a token was gone.
        step: LoginStep,
        /// What was said there, without secrets.
        fact: String,
    },
    /// The credentials are valid but may not read this.
    Forbidden {
        /// What Azure said.
        fact: String,
    },
    /// Not asked, because something it depends on was not seen.
    NotAsked,
}

/// The step on the way to a token for Azure that did not succeed; in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginStep {
    /// Nobody has said as whom Azure is called.
    Choice,
    /// The ServiceAccount that a pool names does not exist.
    Account,
    /// The ServiceAccount does not say which application it stands for.
    Annotation,
    /// The namespace is being deleted: Kubernetes gives no token for its ServiceAccounts any more.
    Namespace,
    /// Kubernetes does not let the operator have a token for the ServiceAccount.
    TokenRequest,
    /// A file with a token, a secret or a certificate cannot be used.
    Material,
    /// The login host does not answer.
    Host,
    /// The login host says no.
    Login,
    /// Azure does not take the token.
    Token,
}
