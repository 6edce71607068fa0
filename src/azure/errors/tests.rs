//! The table of azure.md §5, row by row, and what is not in it.

use super::*;
use crate::cloud::LoginError;
use http::HeaderMap;
use spotpool_core::planner::RefusalKind as Kind;

const NOW: Timestamp = Timestamp(1_000_000);

fn arm(status: u16, body: &str) -> ArmError {
    ArmError::of_answer(status, &HeaderMap::new(), body.as_bytes(), NOW)
}

fn error(status: u16, code: &str, message: &str) -> ArmError {
    arm(
        status,
        &serde_json::json!({"error": {"code": code, "message": message}}).to_string(),
    )
}

/// The refusal that a resize gets.
fn kind(error: ArmError) -> Option<Kind> {
    match answer(&CallError::Arm(Box::new(error)), false, NOW) {
        Answer::Refused(refusal) => Some(refusal.kind),
        _ => None,
    }
}

#[test]
fn knows_every_refusal_of_the_table_whatever_its_status() {
    let quota = |what: &str, limit: u32| {
        format!(
            "Operation could not be completed as it results in exceeding approved {what} quota. Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: {limit}, Current Usage: 0, Additional Required: 6, (Minimum) New Limit Required: 6."
        )
    };
    let table = [
        ("SkuNotAvailable", "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: Standard_F2' is currently not available in location 'westeurope'.".to_owned(), Kind::NoCapacity),
        ("AllocationFailed", "Allocation failed.".into(), Kind::NoCapacity),
        ("ZonalAllocationFailed", "Allocation failed. We do not have sufficient capacity for the requested VM size S in zone 1.".into(), Kind::NoCapacity),
        ("OverconstrainedAllocationRequest", "Allocation failed. VM(s) with the following constraints cannot be allocated".into(), Kind::NoCapacity),
        ("OverconstrainedZonalAllocationRequest", "Constraints applied are:\n  - Availability Zone\n  - Low Priority VMs".into(), Kind::NoCapacity),
        ("OperationNotAllowed", quota("LowPriorityCores", 3), Kind::QuotaExceeded),
        ("OperationNotAllowed", quota("LowPriorityCores", 0), Kind::QuotaIsZero),
        ("OperationNotAllowed", quota("standardDSv5Family Family Cores", 10), Kind::QuotaExceeded),
        ("OperationNotAllowed", quota("Total Regional Cores", 100), Kind::QuotaExceeded),
        ("QuotaExceeded", quota("LowPriorityCores", 0), Kind::QuotaIsZero),
        ("QuotaExceeded", "no numbers here".into(), Kind::QuotaExceeded),
        ("SpotPriceGreaterThanProvidedMaxPrice", "Unable to perform operation 'Create' since the provided max price '0.01 USD' is lower than the current spot price '0.04 USD'".into(), Kind::PriceAboveLimit),
        ("AzureSpotIsNotSupportedForThisVMSize", String::new(), Kind::VmSizeUnknown),
        ("InvalidParameter", "The value Standard_X9 provided for the VM size is not valid. The valid sizes in the current region are: Standard_D2s_v5".into(), Kind::VmSizeUnknown),
        ("MaxPriceValueInvalid", String::new(), Kind::TemplateRejected),
        ("OperationNotAllowed", "The Image type for a Virtual Machine Scale Set may not be changed.".to_owned(), Kind::TemplateRejected),
        ("MaxPriceChangeNotAllowed", String::new(), Kind::TemplateRejected),
        ("MaxPriceChangeNotAllowedForAllocatedVMs", String::new(), Kind::TemplateRejected),
        ("EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines", String::new(), Kind::TemplateRejected),
        ("VMPriorityCannotBeApplied", String::new(), Kind::TemplateRejected),
        ("PlatformImageNotFound", String::new(), Kind::TemplateRejected),
        ("InvalidParameter", "Required parameter 'osProfile' is missing (null).".into(), Kind::TemplateRejected),
        ("AzureSpotFeatureNotEnabledForSubscription", String::new(), Kind::Forbidden),
        ("AuthorizationFailed", "The client 'x' does not have authorization to perform action".into(), Kind::Forbidden),
        ("RequestDisallowedByPolicy", String::new(), Kind::Forbidden),
        ("ScopeLocked", String::new(), Kind::Forbidden),
        ("ResourceGroupNotFound", "Resource group 'rg' could not be found.".into(), Kind::PlaceMissing),
        ("SubscriptionNotFound", String::new(), Kind::PlaceMissing),
    ];
    for (code, message, expected) in table {
        for status in [400, 403, 404, 409] {
            assert_eq!(
                kind(error(status, code, &message)),
                Some(expected),
                "{status} {code}: {message}"
            );
        }
        let in_operation =
            ArmError::of_object(&serde_json::json!({"code": code, "message": message}));
        assert!(
            matches!(outcome(&in_operation), Some(Outcome::Failed(refusal)) if refusal.kind == expected),
            "operation {code}"
        );
    }
}

#[test]
fn a_limit_of_ten_or_of_a_hundred_is_not_zero() {
    for (text, expected) in [
        ("current limit: 0,", Kind::QuotaIsZero),
        ("current limit: 0", Kind::QuotaIsZero),
        ("current limit: 10,", Kind::QuotaExceeded),
        ("current limit: 100", Kind::QuotaExceeded),
        ("current limit: none", Kind::QuotaExceeded),
    ] {
        assert_eq!(quota(text), expected, "{text}");
    }
}

#[test]
fn somebody_else_was_faster() {
    for error in [
        error(
            412,
            "PreconditionFailed",
            "Etag provided in if-match header \"2\" does not match etag \"3\" of resource.",
        ),
        arm(412, ""),
        error(
            409,
            "Conflict",
            "The request failed due to conflict with a concurrent request.",
        ),
        error(409, "OperationPreempted", ""),
        error(
            409,
            "OperationNotAllowed",
            "Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set 'x' since it is marked for deletion.",
        ),
        error(
            400,
            "InvalidParameter",
            "The provided instanceId x_1 is not an active Virtual Machine Scale Set VM instanceId.",
        ),
    ] {
        assert_eq!(
            answer(&CallError::Arm(Box::new(error.clone())), true, NOW),
            Answer::Changed,
            "{error}"
        );
    }
}

#[test]
fn a_preempted_operation_says_nothing_about_what_was_asked() {
    assert_eq!(
        outcome(&ArmError::of_object(
            &serde_json::json!({"code": "OperationPreempted", "message": "by a newer one"})
        )),
        None
    );
}

#[test]
fn an_operation_that_fails_without_a_reason_we_know_is_unexplained() {
    let error = ArmError::of_object(
        &serde_json::json!({"code": "VMStartTimedOut", "message": "VM 'x' did not start in the allotted time."}),
    );
    let Some(Outcome::Failed(refusal)) = outcome(&error) else {
        panic!("{error}")
    };
    assert_eq!(
        (refusal.kind, refusal.code.as_str()),
        (Kind::Unexplained, "VMStartTimedOut")
    );
}

#[test]
fn the_cause_that_decided_speaks() {
    let wrapped = arm(
        409,
        r#"{"error":{"code":"Conflict","message":"see details","details":[{"code":"ZonalAllocationFailed","message":"not in zone 1"}]}}"#,
    );
    let Answer::Refused(refusal) = answer(&CallError::Arm(Box::new(wrapped)), false, NOW) else {
        panic!()
    };
    assert_eq!(
        (
            refusal.kind,
            refusal.code.as_str(),
            refusal.message.as_str()
        ),
        (Kind::NoCapacity, "ZonalAllocationFailed", "not in zone 1")
    );
}

#[test]
fn not_found_means_the_set_except_when_it_was_being_created() {
    let gone = CallError::Arm(Box::new(error(404, "ResourceNotFound", "")));
    assert_eq!(answer(&gone, false, NOW), Answer::Missing);
    assert!(
        matches!(answer(&gone, true, NOW), Answer::Refused(refusal) if refusal.kind == Kind::TemplateRejected)
    );
    assert!(is_absent(&gone));
    assert!(is_absent(&CallError::Arm(Box::new(error(
        404,
        "ResourceGroupNotFound",
        ""
    )))));
}

#[test]
fn a_404_that_is_not_azures_proves_nothing() {
    for error in [
        arm(404, "<html>404</html>"),
        arm(404, ""),
        arm(404, r#"{"status":404}"#),
        error(404, "NoSuchRoute", ""),
        error(410, "ResourceNotFound", ""),
    ] {
        let error = CallError::Arm(Box::new(error));
        assert!(!is_absent(&error), "{error}");
        assert!(
            matches!(blind(&error, NOW), Blind::Unreachable { .. }),
            "{error}"
        );
    }
    assert_eq!(
        answer(
            &CallError::Arm(Box::new(arm(404, "<html>404</html>"))),
            false,
            NOW
        ),
        Answer::Unclear
    );
}

#[test]
fn nobody_knows_what_became_of_a_write_that_got_no_clear_answer() {
    for error in [
        CallError::NoAnswer {
            fact: "reset".into(),
        },
        CallError::Unreadable {
            fact: "half".into(),
        },
        CallError::Arm(Box::new(arm(500, ""))),
        CallError::Arm(Box::new(error(
            500,
            "InternalExecutionError",
            "An internal execution error occurred.",
        ))),
        CallError::Arm(Box::new(arm(502, "<html>"))),
        CallError::Arm(Box::new(arm(503, "<html>"))),
        CallError::Arm(Box::new(error(504, "GatewayTimeout", ""))),
        CallError::Arm(Box::new(error(408, "RequestTimeout", ""))),
        CallError::Arm(Box::new(arm(307, ""))),
        CallError::Arm(Box::new(arm(409, "<html>"))),
    ] {
        assert_eq!(answer(&error, false, NOW), Answer::Unclear, "{error}");
        assert!(
            matches!(blind(&error, NOW), Blind::Unreachable { .. }),
            "{error}"
        );
    }
}

#[test]
fn throttling_in_both_shapes_says_until_when() {
    let with_wait = |body: &str| {
        ArmError::of_answer(
            429,
            &HeaderMap::from_iter([(http::header::RETRY_AFTER, "17".parse().unwrap())]),
            body.as_bytes(),
            NOW,
        )
    };
    let arm_shape = r#"{"error":{"code":"SubscriptionRequestsThrottled","message":"Number of 'read' requests for subscription 's' actor 'a' exceeded. Please try again after '17' seconds."}}"#;
    let compute_shape = r#"{"code":"OperationNotAllowed","message":"The server rejected the request because too many requests have been received for this subscription.","details":[{"code":"TooManyRequests","target":"HighCostGet","message":"{}"}]}"#;
    for body in [arm_shape, compute_shape, "", "<html>"] {
        let error = CallError::Arm(Box::new(with_wait(body)));
        assert_eq!(
            answer(&error, false, NOW),
            Answer::Later(NOW + Millis::seconds(17)),
            "{body}"
        );
        assert_eq!(
            blind(&error, NOW),
            Blind::Throttled {
                until: NOW + Millis::seconds(17)
            },
            "{body}"
        );
    }
    assert_eq!(
        answer(&CallError::Arm(Box::new(arm(429, ""))), false, NOW),
        Answer::Later(NOW + THROTTLED_WAIT)
    );
}

#[test]
fn tells_a_bad_login_from_a_missing_role() {
    let expired = CallError::Arm(Box::new(error(
        401,
        "ExpiredAuthenticationToken",
        "The access token expiry UTC time is earlier than current UTC time.",
    )));
    assert!(matches!(
        blind(&expired, NOW),
        Blind::CredentialsInvalid { .. }
    ));
    assert_eq!(
        answer(&expired, false, NOW),
        Answer::Later(NOW + LOGIN_WAIT)
    );
    let forbidden = CallError::Arm(Box::new(error(
        403,
        "AuthorizationFailed",
        "The client does not have authorization",
    )));
    assert!(matches!(blind(&forbidden, NOW), Blind::Forbidden { .. }));
    assert!(matches!(
        blind(
            &CallError::NoLogin(LoginError::lasting(LoginStep::Login, "AADSTS7000215")),
            NOW
        ),
        Blind::CredentialsInvalid { .. }
    ));
    assert!(matches!(
        blind(
            &CallError::NoLogin(LoginError::passing(LoginStep::Host, "no token within 10 s")),
            NOW
        ),
        Blind::Unreachable { .. }
    ));
    assert!(matches!(
        blind(
            &CallError::Arm(Box::new(arm(403, "<html>proxy</html>"))),
            NOW
        ),
        Blind::Unreachable { .. }
    ));
}
