//! What Azure refuses, and in which words.

use super::*;

#[test]
fn simulate_eviction_is_refused_on_a_regular_instance() {
    // [REC cap 6]
    let mut region = settled(Options::default(), 3, 3);
    let name = set(&region).by_age()[0].name.clone();
    let refusal = region.simulate_eviction(RG, &name).unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "OperationNotAllowed"));
    assert_eq!(
        refusal.message,
        "Operation 'simulateEviction' is allowed only for Spot Virtual Machines"
    );
    assert!(!region.evict(RG, &name), "nor does Azure take it by itself");
}

#[test]
fn preconditions_hold_or_refuse_with_412() {
    let mut region = settled(Options::small(), 1, 0);
    let etag = set(&region).etag;
    let refusal = region
        .patch(RG, "render", &capacity(2), Precondition::IfMatch(etag + 1))
        .unwrap_err();
    let expected = format!(
        "Etag provided in if-match header \"{}\" does not match etag \"{etag}\" of resource.",
        etag + 1
    );
    assert_eq!(
        (refusal.status, refusal.code, refusal.message),
        (412, "PreconditionFailed", expected),
        "[ISS cloud-provider-azure#9728]"
    );
    assert_eq!(
        region
            .put(RG, "render", &pool(1, 0), Precondition::IfNoneMatchAny)
            .unwrap_err()
            .status,
        412
    );
    assert_eq!(
        region
            .put(RG, "other", &pool(1, 0), Precondition::IfMatch(1))
            .unwrap_err()
            .status,
        412
    );
    assert_eq!(
        region
            .delete_set(RG, "render", Precondition::IfMatch(etag + 1))
            .unwrap_err()
            .status,
        412
    );
    assert!(
        region
            .patch(RG, "render", &capacity(2), Precondition::IfMatch(etag))
            .is_ok()
    );
    assert_ne!(set(&region).etag, etag);
}

#[test]
fn a_second_write_is_refused_or_preempts_the_first() {
    let mut region = settled(Options::small(), 1, 0);
    region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap();
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "Conflict"));

    let mut region = settled(
        Options {
            concurrent: Concurrent::Preempts,
            operations_kept: 1_000_000,
            ..Options::small()
        },
        1,
        0,
    );
    let first = region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap()
        .operation;
    region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert!(
        matches!(&region.operation(first).unwrap().status, Status::Failed(f) if f.code == "OperationPreempted")
    );
    assert_eq!(set(&region).alive().spot, 3);
}

#[test]
fn a_name_that_is_not_in_the_set_is_refused_and_nothing_goes() {
    let mut region = settled(Options::default(), 2, 0);
    let names = spot(&region);
    let refusal = region
        .delete_instances(RG, "render", &[&names[0], "render_00000000"])
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (400, "InvalidParameter"));
    assert_eq!(set(&region).alive().spot, 2);
}

#[test]
fn a_size_without_capacity_is_refused_at_once_or_inside_the_operation() {
    let mut region = settled(Options::default(), 2, 0);
    region.limit_capacity("standard_d4s_v5", None, Priority::Spot, Some(0));
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!(
        (refusal.status, refusal.code, refusal.target),
        (409, "SkuNotAvailable", Some("sku.name")),
        "[ISS terraform-provider-azurerm#28549]"
    );
    assert_eq!(set(&region).capacity, 2);

    region.options_mut().no_capacity = NoCapacity::InsideOperation;
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(1));
    let operation = region
        .put(RG, "render", &capacity(5), Precondition::None)
        .unwrap()
        .operation;
    rest(&mut region);
    assert!(
        matches!(&region.operation(operation).unwrap().status, Status::Failed(f) if f.code == "AllocationFailed")
    );
    assert_eq!(
        (set(&region).capacity, set(&region).alive().spot),
        (5, 3),
        "one was made, the goal stays"
    );
    assert_eq!(set(&region).provisioning_state(), ProvisioningState::Failed);
}

#[test]
fn an_overconstrained_request_names_its_constraints() {
    let options = Options {
        no_capacity: NoCapacity::InsideOperation,
        allocation_error: AllocationError::Overconstrained,
        ..Options::default()
    };
    let mut region = settled(options, 1, 0);
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(0));
    region
        .put(RG, "render", &capacity(2), Precondition::None)
        .unwrap();
    rest(&mut region);
    let failure = set(&region).failure.clone().unwrap();
    assert_eq!(failure.code, "OverconstrainedAllocationRequest");
    assert!(
        failure.message.contains("  - Low Priority VMs\n"),
        "{}",
        failure.message
    );
}

#[test]
fn spot_cores_have_their_own_quota_and_the_refusal_counts_for_us() {
    // [DOC] the text of azure's quota refusals.
    let mut region = region(Options {
        quota_status: 403,
        ..Options::default()
    });
    region.set_quota(SPOT_CORES, 10);
    region
        .put(RG, "render", &pool(2, 0), Precondition::None)
        .unwrap();
    rest(&mut region);
    let refusal = region
        .put(RG, "render", &capacity(3), Precondition::None)
        .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (403, "OperationNotAllowed"));
    assert_eq!(
        refusal.message,
        "Operation could not be completed as it results in exceeding approved LowPriorityCores quota. Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 10, Current Usage: 8, Additional Required: 4, (Minimum) New Limit Required: 12."
    );
    region.set_quota("standardDSv5Family", 3);
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                mix: Some(PriorityMix {
                    base: 9,
                    percent: 0,
                }),
                ..capacity(3)
            },
            Precondition::None,
        )
        .unwrap_err();
    assert!(
        refusal
            .message
            .contains("approved standardDSv5Family Cores quota"),
        "{}",
        refusal.message
    );
    assert_eq!(
        region.usages().iter().find(|u| u.name == SPOT_CORES),
        Some(&Usage {
            name: SPOT_CORES.into(),
            current: 8,
            limit: 10
        })
    );
}

#[test]
fn a_max_price_below_the_market_refuses_and_a_market_above_it_evicts() {
    let mut region = region(Options::default());
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                max_price: Some(30_000),
                ..pool(2, 0)
            },
            Precondition::None,
        )
        .unwrap_err();
    assert_eq!(refusal.code, "SpotPriceGreaterThanProvidedMaxPrice");
    assert!(
        refusal
            .message
            .contains("max price '0.03 USD' is lower than the current spot price '0.0384 USD'"),
        "{}",
        refusal.message
    );
    region
        .put(
            RG,
            "render",
            &SetChange {
                max_price: Some(50_000),
                ..pool(2, 0)
            },
            Precondition::None,
        )
        .unwrap();
    region
        .put(RG, "other", &pool(2, 0), Precondition::None)
        .unwrap();
    rest(&mut region);
    region.set_price("Standard_D4s_v5", None, Priority::Spot, 60_000);
    rest(&mut region);
    assert_eq!(
        (
            set(&region).capacity,
            region.set(RG, "other").unwrap().capacity
        ),
        (0, 2),
        "-1 is never evicted for its price"
    );
}

#[test]
fn absurd_values_are_refused_in_azures_words() {
    let mut region = region(Options::default());
    let code = |region: &mut Region, change: SetChange| {
        region
            .put(RG, "render", &change, Precondition::None)
            .unwrap_err()
            .code
    };
    for price in [0, -2_000_000, 123_456] {
        assert_eq!(
            code(
                &mut region,
                SetChange {
                    max_price: Some(price),
                    ..pool(1, 0)
                }
            ),
            "MaxPriceValueInvalid"
        );
    }
    assert_eq!(
        code(
            &mut region,
            SetChange {
                vm_size: Some("Standard_Nope".into()),
                ..pool(1, 0)
            }
        ),
        "InvalidParameter"
    );
    assert_eq!(
        code(
            &mut region,
            SetChange {
                vm_size: Some("Standard_B2s".into()),
                ..pool(1, 0)
            }
        ),
        "AzureSpotIsNotSupportedForThisVMSize"
    );
    assert_eq!(code(&mut region, pool(1_001, 0)), "InvalidParameter");
    assert!(region.sets.is_empty());
}

#[test]
fn priority_eviction_policy_and_fewer_zones_are_refused_after_creation() {
    let mut region = settled(Options::small(), 1, 0);
    let refusal = region
        .put(
            RG,
            "render",
            &SetChange {
                priority: Some(Priority::Regular),
                ..SetChange::default()
            },
            Precondition::None,
        )
        .unwrap_err();
    assert!(
        refusal
            .message
            .starts_with("The specified priority value 'Regular' cannot be applied"),
        "[ISS ansible-collections/azure#2000]"
    );
    let policy = SetChange {
        eviction_policy: Some(EvictionPolicy::Deallocate),
        ..SetChange::default()
    };
    assert_eq!(
        region
            .put(RG, "render", &policy, Precondition::None)
            .unwrap_err()
            .code,
        "PropertyChangeNotAllowed"
    );
}
