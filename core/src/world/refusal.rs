//! How Azure says no: HTTP status, code, message and target, in its own words.

/// A refusal. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `error.code`.
    pub code: &'static str,
    /// `error.message`.
    pub message: String,
    /// `error.target`.
    pub target: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            target: None,
        }
    }

    pub(super) fn at(mut self, target: &'static str) -> Self {
        self.target = Some(target);
        self
    }

    /// ARM's 404 for a scale set or VM that does not exist.
    #[must_use]
    pub fn resource_not_found(kind: &str, resource_group: &str, name: &str) -> Self {
        Self::new(
            404,
            "ResourceNotFound",
            format!(
                "The Resource 'Microsoft.Compute/{kind}/{name}' under resource group '{resource_group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
    }

    /// Compute's 404 for an instance that is gone [REC cap 8, 9].
    #[must_use]
    pub fn instance_not_found() -> Self {
        Self::new(
            404,
            "NotFound",
            "The entity was not found in this Azure location.",
        )
    }

    /// [ISS cloud-provider-azure#9728]
    pub(super) fn etag_differs(given: u64, actual: u64) -> Self {
        Self::new(
            412,
            "PreconditionFailed",
            format!(
                "Etag provided in if-match header \"{given}\" does not match etag \"{actual}\" of resource."
            ),
        )
    }

    pub(super) fn exists_already(name: &str) -> Self {
        Self::new(
            412,
            "PreconditionFailed",
            format!(
                "The resource '{name}' already exists and does not satisfy the if-none-match header \"*\"."
            ),
        )
    }

    pub(super) fn does_not_exist(name: &str) -> Self {
        Self::new(
            412,
            "PreconditionFailed",
            format!(
                "The resource '{name}' does not exist and does not satisfy the if-match header."
            ),
        )
    }

    /// [DOC] an id that no instance of the scale set has.
    pub(super) fn not_an_instance(id: &str) -> Self {
        Self::new(
            400,
            "InvalidParameter",
            format!(
                "The provided instanceId {id} is not an active Virtual Machine Scale Set VM instanceId."
            ),
        )
        .at("instanceIds")
    }

    /// What only Uniform scale sets can [ISS nomad-autoscaler#1096]; `operation` such as `instanceView.GET`.
    #[must_use]
    pub fn not_on_flexible(operation: &str, set: &str) -> Self {
        Self::new(
            400,
            "BadRequest",
            format!(
                "Operation 'VirtualMachineScaleSets.{operation}' is not allowed on Virtual Machine Scale Set '{set}'."
            ),
        )
    }

    pub(super) fn conflict() -> Self {
        Self::new(
            409,
            "Conflict",
            "The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests.",
        )
    }

    pub(super) fn marked_for_deletion(operation: &str, set: &str) -> Self {
        Self::new(
            409,
            "OperationNotAllowed",
            format!(
                "Operation '{operation}' is not allowed on Virtual Machine Scale Set '{set}' since it is marked for deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
            ),
        )
    }

    /// [ISS terraform-provider-azurerm#28549]
    pub(super) fn sku_not_available(size: &str, location: &str) -> Self {
        Self::new(
            409,
            "SkuNotAvailable",
            format!(
                "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is currently not available in location '{location}'. Please try another size or deploy to a different location or different zone. See https://aka.ms/azureskunotavailable for details."
            ),
        )
        .at("sku.name")
    }

    /// [DOC] The text names the row, what is allowed, used and asked for.
    pub(super) fn quota(
        status: u16,
        row: &str,
        location: &str,
        limit: u32,
        usage: u32,
        more: u32,
    ) -> Self {
        let needed = usage + more;
        Self::new(
            status,
            "OperationNotAllowed",
            format!(
                "Operation could not be completed as it results in exceeding approved {row} quota. Additional details - Deployment Model: Resource Manager, Location: {location}, Current Limit: {limit}, Current Usage: {usage}, Additional Required: {more}, (Minimum) New Limit Required: {needed}."
            ),
        )
    }

    /// [DOC error-codes-spot]
    pub(super) fn price(status: u16, operation: &str, max: u64, price: u64, size: &str) -> Self {
        let (max, price) = (dollars(max), dollars(price));
        Self::new(
            status,
            "SpotPriceGreaterThanProvidedMaxPrice",
            format!(
                "Unable to perform operation '{operation}' since the provided max price '{max} USD' is lower than the current spot price '{price} USD' for Azure Spot Virtual Machine size '{size}'."
            ),
        )
    }
}

/// Micro-dollars as Azure prints dollars: no trailing zeros.
#[must_use]
pub fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
