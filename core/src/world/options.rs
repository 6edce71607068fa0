//! What nobody documents about Azure, as switches: every claim marked unknown or contradictory in the facts is offered
//! in each of its readings, so that whoever is tried in this world survives all of them.

use super::chance::Span;

/// When `sku.capacity` follows an instance that an eviction (or a delete by name) took away.
///
/// [DOC] a Delete eviction lowers the capacity (priority-mix article, 42 → 26); [UNK] how much later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CapacityFalls {
    /// In the moment in which the instance starts to go.
    AtOnce,
    /// Some milliseconds after that, drawn from the list for each instance.
    Late(Vec<u64>),
    /// Never: the worst reading.
    Never,
}

/// What a written capacity makes Azure do. [UNK]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CapacityWrite {
    /// Create (or delete) the difference between the written and the recorded capacity.
    Delta,
    /// Bring the number of instances to the written capacity.
    Level,
}

/// Which instances a lowered capacity takes first, within a priority. [DOC] scaleInPolicy knows NewestVM and OldestVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TakeFirst {
    /// The youngest.
    Newest,
    /// The oldest.
    Oldest,
}

/// Where the absence of capacity shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoCapacity {
    /// A size without any capacity is refused at once: 409 SkuNotAvailable [ISS terraform-provider-azurerm#28549].
    /// A shortage (some, but too few) still shows inside the operation.
    Synchronous,
    /// The request is accepted, the operation makes what it can and fails with AllocationFailed [DOC].
    InsideOperation,
}

/// The code with which an allocation fails inside an operation. Both are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllocationError {
    /// AllocationFailed, ZonalAllocationFailed in a zone.
    AllocationFailed,
    /// OverconstrainedAllocationRequest, OverconstrainedZonalAllocationRequest in a zone.
    Overconstrained,
}

/// What a second write does while an operation runs. Both are seen in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concurrent {
    /// It is refused: 409 Conflict.
    Refused,
    /// It wins: the running operation fails with OperationPreempted.
    Preempts,
}

/// How this world behaves. Times are milliseconds of its own clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Capacity after a Delete eviction.
    pub capacity_after_eviction: CapacityFalls,
    /// Capacity after a delete by name. [OSS autoscaler: falls; #3510: may lag]
    pub capacity_after_delete: CapacityFalls,
    /// Whether a capacity that falls by itself moves the scale set's ETag. [INF: likely]
    pub eviction_moves_etag: bool,
    /// Whether the end of an operation moves the ETag. [UNK]
    pub operation_end_moves_etag: bool,
    /// Whether the scale set reads Updating while an evicted instance goes. [ISS autoscaler#4787]
    pub eviction_shows_updating: bool,
    /// What a capacity write does.
    pub capacity_write: CapacityWrite,
    /// Which instances a lowered capacity takes.
    pub take_first: TakeFirst,
    /// Where missing capacity shows.
    pub no_capacity: NoCapacity,
    /// With which code.
    pub allocation_error: AllocationError,
    /// HTTP status of an exceeded quota: 403 [SDK tests] or 409 [DOC].
    pub quota_status: u16,
    /// HTTP status of a max price below the market's: 409 or 400 [UNK].
    pub price_status: u16,
    /// A second write while an operation runs.
    pub concurrent: Concurrent,
    /// Whether POST …/start and its like take instances of a Flexible scale set. Contradictory: [DOC
    /// virtual-machine-scale-sets-orchestration-modes] yes, [DOC orchestration-modes-api-comparison] single-VM API only.
    pub flexible_takes_batches: bool,
    /// Whether a new instance of a Uniform set may get the number, and with it the name, of one that is gone. [DOC
    /// virtual-machine-scale-sets-instance-ids] they may be reused; [UNK] when.
    pub reuses_instance_ids: bool,
    /// Whether the max price of a scale set with instances can change. Contradictory: [ISS azure-libraries-for-java#908]
    /// any time; #903 and azure-cli#11822 MaxPriceChangeNotAllowed.
    pub max_price_can_change: bool,
    /// Whether new instances carry the scale set's tags of that moment. [INF]
    pub instances_inherit_tags: bool,
    /// From the acceptance of a write to the moment its instances are made or taken. 0: in the same moment.
    pub placement: Span,
    /// An operation takes at least this long.
    pub operation: Span,
    /// Whether an operation ends only when the instances it made have booted and those it took are gone.
    pub operation_waits_for_instances: bool,
    /// Creating → Running.
    pub boot: Span,
    /// Deleting → gone.
    pub deletion: Span,
    /// Notice → Deleting for an out-of-band eviction. [DOC] 30 s or less: 0 is allowed.
    pub eviction_notice: Span,
    /// Notice → Deleting for simulateEviction. [REC] NotBefore is 30 s away or more.
    pub simulated_eviction_notice: Span,
    /// Of a thousand boots, so many fail (provisioningState Failed).
    pub failing_boots: u32,
    /// How long a finished operation can still be asked about.
    pub operations_kept: u64,
    /// How many events the history keeps; 0 keeps none.
    pub history: usize,
}

impl Default for Options {
    /// Realistic times, the likeliest readings.
    fn default() -> Self {
        Self {
            capacity_after_eviction: CapacityFalls::Late(vec![2_000, 5_000, 10_000]),
            capacity_after_delete: CapacityFalls::AtOnce,
            eviction_moves_etag: true,
            operation_end_moves_etag: true,
            eviction_shows_updating: true,
            capacity_write: CapacityWrite::Level,
            take_first: TakeFirst::Newest,
            no_capacity: NoCapacity::Synchronous,
            allocation_error: AllocationError::AllocationFailed,
            quota_status: 409,
            price_status: 409,
            concurrent: Concurrent::Refused,
            flexible_takes_batches: true,
            reuses_instance_ids: false,
            max_price_can_change: true,
            instances_inherit_tags: true,
            placement: Span::between(2_000, 6_000),
            operation: Span::between(15_000, 30_000),
            operation_waits_for_instances: true,
            boot: Span::between(45_000, 100_000),
            deletion: Span::between(20_000, 45_000),
            eviction_notice: Span::exactly(30_000),
            simulated_eviction_notice: Span::between(30_000, 60_000),
            failing_boots: 0,
            operations_kept: 24 * 3_600_000,
            history: 2_000,
        }
    }
}

impl Options {
    /// No chance and few moments: for searching all interleavings. Instances are made in the moment of the write.
    #[must_use]
    pub fn small() -> Self {
        Self {
            capacity_after_eviction: CapacityFalls::AtOnce,
            placement: Span::exactly(0),
            operation: Span::exactly(20_000),
            operation_waits_for_instances: false,
            boot: Span::exactly(60_000),
            deletion: Span::exactly(20_000),
            eviction_notice: Span::exactly(0),
            simulated_eviction_notice: Span::exactly(30_000),
            operations_kept: 0,
            history: 0,
            ..Self::default()
        }
    }
}
