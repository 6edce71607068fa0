//! What stands beside the kstatus table: refusals, templates, deletion, and that nothing ticks.

use super::*;
use crate::controller::desired::Unusable;
use crate::controller::fixtures::{deleting, pool};
use crate::controller::status::unusable;
use serde_json::json;
use spotpool_core::planner::{Blind, LoginStep};
use spotpool_core::units::Millis;

#[test]
fn every_kind_of_refusal_has_its_reason() {
    for (kind, reason) in [
        (RefusalKind::NoCapacity, "False NoCapacity"),
        (RefusalKind::QuotaExceeded, "False QuotaExceeded"),
        (RefusalKind::PriceAboveLimit, "False PriceAboveLimit"),
        (RefusalKind::Unexplained, "False CoolingDown"),
    ] {
        let mut scene = Scene::new();
        scene
            .running(12, 2)
            .stage(Stage::Refused(closed("Standard_D4s_v5", kind, "Code")));
        let said = row(&scene, "True AvailableEnough", "absent", "absent");
        assert_eq!(brief(&said, ConditionType::SpotSatisfied), reason);
        assert_eq!(said.offerings.len(), 1);
    }
}

#[test]
fn a_refusal_names_the_zone_only_where_it_can_be_no_other() {
    let zone = |zones: &[&str], kind| {
        let mut scene = Scene::new();
        scene.pool.spec.zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        scene.stage(Stage::Refused(closed("Standard_D4s_v5", kind, "Code")));
        let said = row(&scene, "True AvailableEnough", "absent", "absent");
        said.offerings[0].zone.clone()
    };
    assert_eq!(zone(&["2"], RefusalKind::NoCapacity), "2");
    assert_eq!(zone(&["1", "2"], RefusalKind::NoCapacity), "");
    assert_eq!(zone(&["2"], RefusalKind::QuotaExceeded), "");
}

#[test]
fn a_rejected_change_of_the_template_stalls_and_leaves_what_runs() {
    let mut scene = Scene::new();
    scene.summary.rejected_model = Some(closed(
        "",
        RefusalKind::TemplateRejected,
        "InvalidParameter",
    ));
    let said = row(
        &scene,
        "False TemplateRejected",
        "absent",
        "True TemplateRejected",
    );
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "False TemplateRejected"
    );
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "True AllRunning"
    );
    let text = message(&said, ConditionType::UpToDate);
    assert!(
        text.contains("20 instances run on with the model before"),
        "{text}"
    );
    assert!(said.offerings.is_empty());
}

#[test]
fn instances_of_an_older_template_are_counted() {
    let mut scene = Scene::new();
    if let Some(counts) = &mut scene.summary.counts {
        counts.up_to_date = 5;
    }
    let said = scene.say();
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "False NewInstancesOnly"
    );
    assert!(
        message(&said, ConditionType::UpToDate).starts_with("15 of 20 instances were made before")
    );
    assert_eq!(said.up_to_date_replicas, Some(5));
}

#[test]
fn an_implausible_reading_is_shown_where_people_look() {
    let mut scene = Scene::new();
    scene.stage(Stage::Implausible {
        message: "capacity reads 0 although 20 instances exist".to_owned(),
    });
    let said = row(&scene, "True AvailableEnough", "absent", "absent");
    assert_eq!(
        message(&said, ConditionType::Ready),
        "20 of 20 instances available, 10 needed; capacity reads 0 although 20 instances exist"
    );
}

#[test]
fn a_spec_that_cannot_be_used_stalls_and_says_what_to_change() {
    let pool = pool(farm());
    let trouble = Unusable {
        reason: Reason::InvalidSpec,
        fact: "vmSizes is empty: list one".to_owned(),
    };
    let said = unusable(&pool, &trouble, &SpotPoolStatus::default(), NOON);
    check(&said, &pool);
    assert_eq!(
        trio(&said),
        ["False InvalidSpec", "absent", "True InvalidSpec"]
    );
    let old = Scene::new().say();
    let said = unusable(&pool, &trouble, &old, NOON);
    check(&said, &pool);
    assert_eq!(said.spot, old.spot);
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "True AllInstancesUpToDate"
    );
}

#[test]
fn a_deletion_says_that_it_goes_or_which_command_unblocks_it() {
    let lock = refusal(RefusalKind::Forbidden, "ScopeLocked");
    let role = refusal(RefusalKind::Forbidden, "AuthorizationFailed");
    let credentials = Stage::Blind(Blind::CredentialsInvalid {
        step: LoginStep::Login,
        fact: "AADSTS7000222: expired".to_owned(),
    });
    let forbidden = Stage::Blind(Blind::Forbidden {
        fact: "no read".to_owned(),
    });
    for (stage, stuck, wanted, text) in [
        (
            Stage::Acting,
            None,
            "True InProgress",
            "the scale set render and its instances are being deleted",
        ),
        (Stage::Going, None, "True InProgress", "being deleted"),
        (
            Stage::Acting,
            Some(lock),
            "False Locked",
            "ScopeLocked: not now (request r-7)",
        ),
        (
            Stage::Acting,
            Some(role),
            "False Forbidden",
            "AuthorizationFailed",
        ),
        (
            credentials,
            None,
            "False CredentialsInvalid",
            "AADSTS7000222",
        ),
        (forbidden, None, "False Forbidden", "no read"),
        (
            unreachable("timed out"),
            None,
            "False AzureUnreachable",
            "Azure cannot be read",
        ),
    ] {
        let mut scene = Scene::of(deleting(farm()));
        scene.old = Scene::new().say();
        scene.stuck = stuck;
        scene.stage(stage);
        let said = scene.say();
        assert_eq!(brief(&said, ConditionType::Deleting), wanted);
        let message = message(&said, ConditionType::Deleting);
        assert!(message.contains(text), "{message}");
        let command = r#"kubectl patch spotpool render -n batch --type=merge -p '{"spec":{"deletionPolicy":"Orphan"}}'"#;
        assert_eq!(
            message.ends_with(command),
            wanted.starts_with("False"),
            "{message}"
        );
        assert_eq!(brief(&said, ConditionType::Reconciling), "absent");
    }
}

#[test]
fn a_suspended_pool_does_not_start_to_be_deleted() {
    let mut scene = Scene::of(deleting(
        json!({"suspend": true, "capacity": {"spot": 18, "regular": 2}}),
    ));
    scene.stage(Stage::Suspended { would: None });
    let said = scene.say();
    assert_eq!(brief(&said, ConditionType::Deleting), "False Suspended");
    let text = message(&said, ConditionType::Deleting);
    assert!(
        text.contains(
            r#"kubectl patch spotpool render -n batch --type=merge -p '{"spec":{"suspend":false}}'"#
        ),
        "{text}"
    );
}

#[test]
fn nothing_ticks() {
    let sick = [
        Stage::AtRest,
        Stage::Busy,
        Stage::Refused(closed(
            "Standard_D4s_v5",
            RefusalKind::NoCapacity,
            "SkuNotAvailable",
        )),
        Stage::Settling {
            message: "capacity still reads 20".to_owned(),
        },
        Stage::NotOurs { owner: None },
        unreachable("timed out"),
        Stage::Blind(Blind::Throttled { until: NOON }),
    ];
    for stage in sick {
        let mut scene = Scene::new();
        scene.running(4, 2).stage(stage).health(Health::Below);
        scene.old = scene.say();
        scene.now = NOON + Millis::minutes(3);
        assert_eq!(scene.say(), scene.old, "{:?}", scene.summary.stage);
    }
}

#[test]
fn azures_words_may_differ_at_each_look_without_a_new_status() {
    let invalid = |trace: &str| {
        Stage::Blind(Blind::CredentialsInvalid {
            step: LoginStep::Login,
            fact: format!("AADSTS700016: no such application. Trace ID: {trace}"),
        })
    };
    let mut scene = Scene::new();
    scene.stage(invalid("one"));
    scene.old = scene.say();
    scene.now = NOON + Millis::minutes(1);
    scene
        .stage(invalid("two"))
        .stage(Stage::Blind(Blind::CredentialsInvalid {
            step: LoginStep::Login,
            fact: "AADSTS700016: no such application. Trace ID: two".to_owned(),
        }));
    assert_eq!(scene.say(), scene.old);
}

#[test]
fn a_transition_has_its_time_and_a_change_of_words_has_none() {
    let mut scene = Scene::new();
    scene.old = scene.say();
    let since = |status: &SpotPoolStatus| {
        status
            .condition(ConditionType::Ready)
            .unwrap()
            .last_transition_time
            .clone()
    };
    let before = since(&scene.old);
    scene.now = NOON + Millis::minutes(1);
    scene.running(12, 2);
    let said = scene.say();
    assert_ne!(
        message(&said, ConditionType::Ready),
        message(&scene.old, ConditionType::Ready)
    );
    assert_eq!(since(&said), before);
    scene.running(4, 2).health(Health::Below);
    assert_ne!(since(&scene.say()), before);
}

#[test]
fn the_scaled_count_holds_through_an_eviction_and_falls_when_azure_refuses() {
    let mut scene = Scene::new();
    scene.running(12, 2).stage(Stage::Busy);
    assert_eq!(scene.say().spot.unwrap().replicas, 18);
    if let Some(counts) = &mut scene.summary.counts {
        counts.spot_held = 12;
    }
    scene.stage(Stage::Refused(closed(
        "Standard_D4s_v5",
        RefusalKind::NoCapacity,
        "SkuNotAvailable",
    )));
    let spot = scene.say().spot.unwrap();
    assert_eq!((spot.replicas, spot.running), (12, 12));
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut scene = Scene::new();
    scene.memory.kept.last_eviction = Some(Timestamp(NOON.0 + 345));
    scene.stage(Stage::Refused(closed(
        "Standard_D4s_v5",
        RefusalKind::NoCapacity,
        "SkuNotAvailable",
    )));
    scene.now = Timestamp(NOON.0 + 678);
    let said = scene.say();
    let text = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<SpotPoolStatus>(&text).unwrap(), said);
}

#[test]
fn a_request_for_a_look_is_echoed() {
    let mut scene = Scene::new();
    let annotations = scene.pool.metadata.annotations.get_or_insert_default();
    annotations.insert(
        "reconcile.fluxcd.io/requestedAt".to_owned(),
        "2026-11-24T09:00:00Z".to_owned(),
    );
    assert_eq!(
        scene.say().last_handled_reconcile_at.as_deref(),
        Some("2026-11-24T09:00:00Z")
    );
}

#[test]
fn each_step_towards_a_token_has_its_reason_everywhere_and_says_what_to_do() {
    use LoginStep::{
        Account, Annotation, Choice, Host, Login, Material, Namespace, Token, TokenRequest,
    };
    for (step, stalled, valid) in [
        (Choice, "CredentialsRequired", "CredentialsRequired"),
        (Account, "ServiceAccountNotFound", "ServiceAccountNotFound"),
        (
            Annotation,
            "ServiceAccountNotAnnotated",
            "ServiceAccountNotAnnotated",
        ),
        (Namespace, "NamespaceTerminating", "NamespaceTerminating"),
        (
            TokenRequest,
            "TokenRequestForbidden",
            "TokenRequestForbidden",
        ),
        (Material, "CredentialsUnreadable", "CredentialsUnreadable"),
        (Host, "LoginUnreachable", "LoginUnreachable"),
        (Login, "CredentialsInvalid", "CredentialsFailed"),
        (Token, "CredentialsInvalid", "CredentialsFailed"),
    ] {
        let blind = Stage::Blind(Blind::CredentialsInvalid {
            step,
            fact: "this is what happened".to_owned(),
        });
        let mut scene = Scene::new();
        let said = row(
            scene.stage(blind.clone()),
            &format!("False {stalled}"),
            "absent",
            &format!("True {stalled}"),
        );
        assert_eq!(
            brief(&said, ConditionType::CredentialsValid),
            format!("False {valid}")
        );
        let text = message(&said, ConditionType::CredentialsValid);
        assert!(
            text.starts_with("this is what happened. ") && text.len() > 60,
            "{text}"
        );
        let mut gone = Scene::of(crate::controller::fixtures::deleting(farm()));
        gone.stage(blind);
        assert_eq!(
            brief(&gone.say(), ConditionType::Deleting),
            format!("False {stalled}")
        );
    }
}
