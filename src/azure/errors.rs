//! What an error of Azure means: one table from codes and statuses to what the planner and the controller know.
//!
//! In: an [`ArmError`] or a [`CallError`]. Out: an [`Answer`] (to a write), a [`Blind`] (to a read) or an [`Outcome`] (of an
//! operation). Codes come before statuses, because Azure gives the same refusal different statuses (quota: 403 or 409) and
//! none at all inside an operation. The codes are those of azure.md §5.

use spotpool_core::planner::{Answer, Blind, LoginStep, Outcome, Refusal, RefusalKind};
use spotpool_core::units::{Millis, Timestamp};

use super::arm_error::{ArmError, Cause};
use super::call_error::CallError;

/// Without a `Retry-After`, throttled callers wait this long: Compute's buckets refill by the minute, ARM's within seconds.
const THROTTLED_WAIT: Millis = Millis::seconds(30);
/// Without a token nothing was sent; the next look says why.
const LOGIN_WAIT: Millis = Millis::seconds(30);

/// What an error means, whatever was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Asked too often.
    Throttled,
    /// Somebody else was faster.
    Changed,
    /// What was named is not there.
    Missing,
    /// The token is not good.
    TokenRefused,
    /// A no.
    Refused(RefusalKind),
    /// Nobody can say whether it was done.
    Unclear,
}

/// The table.
pub(super) fn meaning(error: &ArmError) -> Meaning {
    if error.status == 429 {
        return Meaning::Throttled;
    }
    if let Some(meaning) = error
        .causes()
        .find_map(|cause| by_code(cause, error.status))
    {
        return meaning;
    }
    match error.status {
        401 => Meaning::TokenRefused,
        412 => Meaning::Changed,
        // Only now: where "Conflict" merely wraps a refusal, the refusal above has spoken.
        _ if error.main.code == "Conflict" => Meaning::Changed,
        403 if error.is_azures() => Meaning::Refused(RefusalKind::Forbidden),
        // Without an error of Azure's in it, a 404 is some gateway's page and proves nothing.
        404 if error.is_azures() => Meaning::Missing,
        400 if error.is_azures() => Meaning::Refused(RefusalKind::TemplateRejected),
        405..=407 | 409..=428 | 430..=499 if error.is_azures() => {
            Meaning::Refused(RefusalKind::Unexplained)
        }
        // An operation that failed did answer, if not with a reason we know.
        0 => Meaning::Refused(RefusalKind::Unexplained),
        _ => Meaning::Unclear,
    }
}

fn by_code(cause: &Cause, status: u16) -> Option<Meaning> {
    use Meaning::{Changed, Missing, Refused, Throttled, TokenRefused};
    use RefusalKind as Kind;
    let message = cause.message.to_ascii_lowercase();
    Some(match cause.code.as_str() {
        "SubscriptionRequestsThrottled"
        | "TooManyRequests"
        | "TooManyRequestsReceived"
        | "ResourceRequestsThrottled" => Throttled,

        "PreconditionFailed"
        | "ConditionNotMet"
        | "OperationPreempted"
        | "AnotherOperationInProgress"
        | "ConcurrentUpdateError" => Changed,
        // A set of this name exists elsewhere; the next look finds it, and that it is not ours.
        "InvalidResourceLocation" => Changed,
        // POST …/delete of an instance that is gone already [OSS autoscaler].
        "InvalidParameter" if message.contains("is not an active virtual machine scale set vm") => {
            Changed
        }
        "OperationNotAllowed"
            if message.contains("marked for deletion")
                || message.contains("concurrent request") =>
        {
            Changed
        }

        // "The Image type for a Virtual Machine Scale Set may not be changed." [ISS azure-docs#89791]
        "OperationNotAllowed" if message.contains("may not be changed") => {
            Refused(Kind::TemplateRejected)
        }
        "QuotaExceeded" | "OperationNotAllowed"
            if message.contains("quota") || cause.code == "QuotaExceeded" =>
        {
            Refused(quota(&message))
        }
        "SkuNotAvailable"
        | "OverconstrainedAllocationRequest"
        | "OverconstrainedZonalAllocationRequest" => Refused(Kind::NoCapacity),
        code if code.ends_with("AllocationFailed") => Refused(Kind::NoCapacity),
        "SpotPriceGreaterThanProvidedMaxPrice" => Refused(Kind::PriceAboveLimit),

        "AzureSpotIsNotSupportedForThisVMSize"
        | "NotAvailableForSubscription"
        | "InvalidVMSize"
        | "VMSizeNotSupported"
        | "VMSizeDoesNotExist" => Refused(Kind::VmSizeUnknown),
        "InvalidParameter" | "InvalidRequestContent" | "BadRequest"
            if is_about_the_size(cause, &message) =>
        {
            Refused(Kind::VmSizeUnknown)
        }

        "ResourceGroupNotFound"
        | "SubscriptionNotFound"
        | "InvalidSubscriptionId"
        | "LocationNotAvailableForResourceType"
        | "LocationNotAvailableForResourceGroup"
        | "NoRegisteredProviderFound" => Refused(Kind::PlaceMissing),

        "AuthorizationFailed"
        | "LinkedAuthorizationFailed"
        | "RequestDisallowedByPolicy"
        | "RequestDisallowedByAzure"
        | "ScopeLocked"
        | "DisallowedOperation"
        | "ReadOnlyDisabledSubscription"
        | "DisabledSubscription"
        | "MissingSubscriptionRegistration"
        | "AzureSpotFeatureNotEnabledForSubscription" => Refused(Kind::Forbidden),

        "InvalidAuthenticationToken"
        | "ExpiredAuthenticationToken"
        | "InvalidAuthenticationTokenTenant"
        | "AuthenticationFailed" => TokenRefused,

        "PropertyChangeNotAllowed"
        | "InvalidParameter"
        | "InvalidRequestContent"
        | "InvalidRequestFormat"
        | "InvalidResourceReference"
        | "LinkedInvalidPropertyId"
        | "ImageNotFound"
        | "PlatformImageNotFound"
        | "GalleryImageNotFound"
        | "VMImageNotFound"
        | "MaxPriceValueInvalid"
        | "MaxPriceChangeNotAllowed"
        | "MaxPriceChangeNotAllowedForAllocatedVMs"
        | "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines"
        | "MaxPriceIsSupportedOnlyForAzureSpotVirtualMachines"
        | "AzureSpotVMNotSupportedInAvailabilitySet"
        | "VMPriorityCannotBeApplied"
        | "SubnetIsFull"
        | "SubnetNotFound"
        | "MarketplacePurchaseEligibilityFailed" => Refused(Kind::TemplateRejected),

        "ResourceNotFound" | "NotFound" if status == 404 => Missing,
        _ => return None,
    })
}

/// "Current Limit: 0" needs a request to Azure; any other limit may free up by itself.
fn quota(message: &str) -> RefusalKind {
    let limit: Option<String> = message.split_once("current limit:").map(|(_, rest)| {
        rest.trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect()
    });
    match limit.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(0) => RefusalKind::QuotaIsZero,
        _ => RefusalKind::QuotaExceeded,
    }
}

fn is_about_the_size(cause: &Cause, message: &str) -> bool {
    ["vmSize", "sku.name", "hardwareProfile.vmSize"]
        .iter()
        .any(|target| cause.target.eq_ignore_ascii_case(target))
        // "The selected VM size 'X' cannot boot Hypervisor Generation '1'", "The value … of parameter vmSize": another size may fit.
        || message.contains("vm size")
}

/// Whether Azure itself says that the scale set, its resource group or its subscription does not exist. Anything less is unknown, not absent.
pub(super) fn is_absent(error: &CallError) -> bool {
    matches!(error, CallError::Arm(arm) if arm.status == 404
        && matches!(arm.main.code.as_str(), "ResourceNotFound" | "NotFound" | "ResourceGroupNotFound" | "SubscriptionNotFound"))
}

/// What came of a write. `creates`: whether it was the creation of the set, where "not found" can only mean something it refers to.
pub(super) fn answer(error: &CallError, creates: bool, now: Timestamp) -> Answer {
    let arm = match error {
        CallError::Arm(arm) => arm,
        CallError::NoLogin(_) => return Answer::Later(now + LOGIN_WAIT),
        CallError::HeldBack { until } => return Answer::Later(*until),
        // `NotSent` too: it does not happen with requests of ours, and if it does, a look settles it.
        CallError::NotSent { .. } | CallError::NoAnswer { .. } | CallError::Unreadable { .. } => {
            return Answer::Unclear;
        }
    };
    match meaning(arm) {
        Meaning::Throttled => Answer::Later(throttled_until(arm, now)),
        Meaning::Changed => Answer::Changed,
        Meaning::Missing if creates => Answer::Refused(refusal(RefusalKind::TemplateRejected, arm)),
        Meaning::Missing => Answer::Missing,
        // Nothing was done; the token is already forgotten, and the next look tells what is wrong with the login.
        Meaning::TokenRefused => Answer::Later(now + LOGIN_WAIT),
        Meaning::Refused(kind) => Answer::Refused(refusal(kind, arm)),
        Meaning::Unclear => Answer::Unclear,
    }
}

/// Why a read showed nothing.
pub(super) fn blind(error: &CallError, now: Timestamp) -> Blind {
    let fact = error.to_string();
    match error {
        CallError::HeldBack { until } => Blind::HeldBack { until: *until },
        CallError::NoLogin(login) if !login.passing => Blind::CredentialsInvalid {
            step: login.step,
            fact: login.fact.clone(),
        },
        CallError::NoLogin(_)
        | CallError::NotSent { .. }
        | CallError::NoAnswer { .. }
        | CallError::Unreadable { .. } => Blind::Unreachable { fact },
        CallError::Arm(arm) => match meaning(arm) {
            Meaning::Throttled => Blind::Throttled {
                until: throttled_until(arm, now),
            },
            Meaning::TokenRefused => Blind::CredentialsInvalid {
                step: LoginStep::Token,
                fact,
            },
            Meaning::Refused(RefusalKind::Forbidden) => Blind::Forbidden { fact },
            _ => Blind::Unreachable { fact },
        },
    }
}

/// How an operation ended that did not succeed. `None`: somebody else's write took its place, which says nothing about what we asked for.
pub(super) fn outcome(error: &ArmError) -> Option<Outcome> {
    match meaning(error) {
        Meaning::Changed => None,
        Meaning::Refused(kind) => Some(Outcome::Failed(refusal(kind, error))),
        _ => Some(Outcome::Failed(refusal(RefusalKind::Unexplained, error))),
    }
}

/// For how long an error forbids to ask again, if it does.
pub(super) fn closes_for(error: &ArmError) -> Option<Millis> {
    let throttled = (error.status == 429).then_some(THROTTLED_WAIT);
    error.retry_after.or(throttled)
}

pub(super) fn throttled_until(error: &ArmError, now: Timestamp) -> Timestamp {
    now + error.retry_after.unwrap_or(THROTTLED_WAIT)
}

fn refusal(kind: RefusalKind, error: &ArmError) -> Refusal {
    // The cause that decided speaks: "AllocationFailed" says more than the "DeploymentFailed" around it.
    let decided = error.causes().find(|cause| matches!(by_code(cause, error.status), Some(Meaning::Refused(found)) if found == kind)).unwrap_or(&error.main);
    let message = if decided.message.is_empty() {
        &error.main.message
    } else {
        &decided.message
    };
    Refusal {
        kind,
        code: decided.code.clone(),
        message: message.clone(),
        request_id: error.request_id.clone(),
    }
}

#[cfg(test)]
mod tests;
