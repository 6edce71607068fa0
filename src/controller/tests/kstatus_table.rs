//! The table *Ready, Reconciling, Stalled* row by row, and what stands beside it.

use super::*;
use crate::controller::fixtures::pool;
use serde_json::json;
use spotpool_core::planner::{Blind, LoginStep};
use spotpool_core::units::{Millis, Owner};

const QUOTA_ZERO: RefusalKind = RefusalKind::QuotaIsZero;

#[test]
fn a_declaration_not_yet_reached_reconciles_and_is_ready_by_need() {
    let mut scene = Scene::new();
    scene.running(12, 2).stage(Stage::Busy).progressing();
    row(&scene, "True AvailableEnough", "True Scaling", "absent");
    scene.running(2, 0).health(Health::Below);
    row(&scene, "False BelowMinAvailable", "True Scaling", "absent");
    scene.memory.kept.settled_generation = None;
    let said = row(&scene, "False BelowMinAvailable", "True Creating", "absent");
    assert_eq!(
        message(&said, ConditionType::Ready),
        "2 of 20 instances available, 10 needed"
    );
    assert_eq!(
        message(&said, ConditionType::Reconciling),
        "creating 18 Spot and 2 regular instances"
    );
}

#[test]
fn a_settled_pool_with_enough_is_ready_and_nothing_else() {
    let said = row(&Scene::new(), "True AvailableEnough", "absent", "absent");
    assert_eq!(
        message(&said, ConditionType::Ready),
        "20 of 20 instances available, 10 needed"
    );
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "True AllRunning"
    );
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "True AllInstancesUpToDate"
    );
    assert_eq!(
        brief(&said, ConditionType::CredentialsValid),
        "True TokenIssued"
    );
    assert_eq!(brief(&said, ConditionType::Suspended), "False NotSuspended");
    assert_eq!(brief(&said, ConditionType::Deleting), "absent");
    assert_eq!(said.available_replicas, Some(20));
    assert_eq!(said.selector.as_deref(), Some("spotpool.io/pool-uid=uid-1"));
    assert_eq!(said.scale_sets[0].name, "render");
}

#[test]
fn evictions_replacements_and_shortfalls_do_not_touch_a_ready_pool() {
    let mut scene = Scene::new();
    scene.running(12, 2);
    scene.memory.process.to_replace = 6;
    for (stage, spot) in [
        (Stage::Acting, "False Replacing"),
        (Stage::Busy, "False Replacing"),
        (Stage::Starting, "False Replacing"),
        (
            Stage::Settling {
                message: "capacity still reads 20".to_owned(),
            },
            "False WaitingForCapacityToSettle",
        ),
        (
            Stage::Refused(closed(
                "Standard_D4s_v5",
                RefusalKind::NoCapacity,
                "SkuNotAvailable",
            )),
            "False NoCapacity",
        ),
    ] {
        scene.stage(stage);
        let said = row(&scene, "True AvailableEnough", "absent", "absent");
        assert_eq!(brief(&said, ConditionType::SpotSatisfied), spot);
    }
}

#[test]
fn too_few_reconciles_until_the_deadline_and_then_stalls() {
    let mut scene = Scene::new();
    scene.running(4, 2).stage(Stage::Busy).health(Health::Below);
    row(
        &scene,
        "False BelowMinAvailable",
        "True BelowMinAvailable",
        "absent",
    );
    scene.health(Health::Overdue { since: NOON });
    let said = row(
        &scene,
        "False ProgressDeadlineExceeded",
        "absent",
        "True ProgressDeadlineExceeded",
    );
    assert!(
        message(&said, ConditionType::Stalled).starts_with(
            "6 of 20 instances available, 10 needed: too few since 10:01:12Z. See SpotSatisfied"
        ),
        "{}",
        message(&said, ConditionType::Stalled)
    );
}

#[test]
fn what_only_a_person_can_end_stalls_with_its_reason_and_the_next_step() {
    let refused = |kind, code| Stage::Refused(closed("Standard_D4s_v5", kind, code));
    for (stage, reason, fact) in [
        (
            Stage::Blind(Blind::CredentialsInvalid {
                step: LoginStep::Login,
                fact: "AADSTS700016: no such application".to_owned(),
            }),
            "CredentialsInvalid",
            "AADSTS700016",
        ),
        (
            Stage::Blind(Blind::Forbidden {
                fact: "AuthorizationFailed: …/read".to_owned(),
            }),
            "Forbidden",
            "AuthorizationFailed",
        ),
        (
            Stage::NotOurs { owner: None },
            "NotOurs",
            "carries no ownership tag; it was not touched",
        ),
        (
            Stage::NotOurs {
                owner: Some(Owner::from("other/batch/render/uid-9")),
            },
            "NotOurs",
            "belongs to other/batch/render/uid-9; it was not touched",
        ),
        (
            refused(QUOTA_ZERO, "OperationNotAllowed"),
            "QuotaIsZero",
            "(request r-7), asked again at 11:01:12Z",
        ),
        (
            refused(RefusalKind::VmSizeUnknown, "InvalidParameter"),
            "VmSizeUnknown",
            "Standard_D4s_v5: InvalidParameter",
        ),
        (
            refused(RefusalKind::TemplateRejected, "InvalidParameter"),
            "TemplateRejected",
            "not now",
        ),
        (
            refused(RefusalKind::PlaceMissing, "ResourceGroupNotFound"),
            "ResourceGroupNotFound",
            "Create the resource group",
        ),
        (
            refused(RefusalKind::Forbidden, "RequestDisallowedByPolicy"),
            "Forbidden",
            "RequestDisallowedByPolicy",
        ),
    ] {
        let mut scene = Scene::new();
        scene.running(4, 2).stage(stage).progressing();
        let said = row(
            &scene,
            &format!("False {reason}"),
            "absent",
            &format!("True {reason}"),
        );
        let text = message(&said, ConditionType::Stalled);
        assert!(text.contains(fact), "{text}");
        assert_eq!(
            brief(&said, ConditionType::SpotSatisfied),
            format!("False {reason}")
        );
    }
}

#[test]
fn a_size_that_may_come_back_keeps_a_pool_from_stalling_for_one_that_does_not_exist() {
    let mut scene = Scene::new();
    scene.running(12, 2).stage(Stage::Refused(closed(
        "Standard_D4s_v5",
        RefusalKind::VmSizeUnknown,
        "InvalidParameter",
    )));
    scene.memory.kept.closed.push(closed(
        "Standard_D4as_v5",
        RefusalKind::NoCapacity,
        "AllocationFailed",
    ));
    let said = row(&scene, "True AvailableEnough", "absent", "absent");
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "False NoCapacity"
    );
    let text = message(&said, ConditionType::SpotSatisfied);
    assert!(text.starts_with("12 of 18 Spot instances run; Standard_D4s_v5: InvalidParameter: not now (request r-7), asked again at 11:01:12Z; Standard_D4as_v5: AllocationFailed"), "{text}");
}

#[test]
fn silence_changes_nothing_until_the_deadline() {
    let mut scene = Scene::new();
    scene.old = scene.say();
    scene.now = NOON + Millis::minutes(5);
    scene
        .stage(unreachable("timed out"))
        .health(Health::Unchanged);
    let said = row(&scene, "True AvailableEnough", "absent", "absent");
    assert_eq!(said, scene.old, "counts and conditions stay as they were");
    scene.health(Health::Unknown { since: NOON });
    let said = row(&scene, "Unknown AzureUnreachable", "absent", "absent");
    assert_eq!(said.spot, scene.old.spot);
    assert_eq!(said.available_replicas, Some(20));
    assert!(
        message(&said, ConditionType::Ready)
            .starts_with("Azure has not been readable since 10:01:12Z. Check")
    );
    for kind in [
        ConditionType::SpotSatisfied,
        ConditionType::UpToDate,
        ConditionType::CredentialsValid,
    ] {
        assert_eq!(brief(&said, kind), "Unknown AzureUnreachable");
    }
}

#[test]
fn a_change_that_azure_has_not_heard_of_is_not_current() {
    let mut scene = Scene::new();
    scene.old = scene.say();
    scene.pool.metadata.generation = Some(2);
    scene
        .stage(unreachable("timed out"))
        .health(Health::Unchanged)
        .progressing();
    row(
        &scene,
        "True AvailableEnough",
        "True GenerationNotActedOn",
        "absent",
    );
}

#[test]
fn a_new_pool_that_cannot_be_looked_at_is_not_ready() {
    let mut scene = Scene::new();
    scene.memory = Memory::default();
    scene
        .stage(unreachable("timed out"))
        .health(Health::Unchanged)
        .progressing();
    let said = row(
        &scene,
        "Unknown AzureUnreachable",
        "True GenerationNotActedOn",
        "absent",
    );
    assert_eq!(said.spot, None, "a count that is not known is absent");
}

#[test]
fn a_suspended_pool_is_ready_by_need_and_says_what_it_would_do() {
    let spec =
        json!({"suspend": true, "capacity": {"spot": 18, "regular": 2}, "minAvailable": "50%"});
    let mut scene = Scene::of(pool(spec));
    scene.running(12, 2).stage(Stage::Suspended {
        would: Some("set capacity to 20".to_owned()),
    });
    let said = row(&scene, "True AvailableEnough", "absent", "absent");
    assert_eq!(brief(&said, ConditionType::Suspended), "True Suspended");
    assert_eq!(
        message(&said, ConditionType::Suspended),
        "nothing is written to Azure; would do: set capacity to 20"
    );
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "False Suspended"
    );
    scene.running(4, 2).health(Health::Below);
    row(&scene, "False BelowMinAvailable", "absent", "absent");
    scene.health(Health::Overdue { since: NOON });
    row(&scene, "False ProgressDeadlineExceeded", "absent", "absent");
}
