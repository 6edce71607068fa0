//! What is taken away, and on what proof.

use super::*;

#[test]
fn takes_surplus_only_after_two_readings_and_by_name() {
    let (wanted, seeing) = (
        desired(0, 10),
        Seeing {
            capacity: 18,
            base: 0,
            regular: 0,
            spot: 18,
        },
    );
    let first = plan(&wanted, &seeing.at(T0), &Memory::default(), T0);
    assert_eq!(first.action, None, "one reading proves nothing");
    let (second, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 3);
    assert!(now - T0 >= Pace::default().settle);
    assert!(
        matches!(
            action(&second),
            Action::Replace { instances, .. } if instances.len() == 8
        ),
        "{:?}",
        second.action
    );
}

#[test]
fn takes_surplus_by_name_where_regular_instances_could_be_reached() {
    let (wanted, seeing) = (
        desired(2, 10),
        Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 18,
        },
    );
    let (made, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 3);
    assert!(now - T0 >= Pace::default().settle);
    assert!(
        matches!(action(&made), Action::Replace { instances, .. } if instances.len() == 8),
        "{:?}",
        made.action
    );
}

#[test]
fn an_edit_between_two_readings_starts_the_proof_again() {
    let seeing = Seeing {
        capacity: 20,
        base: 2,
        regular: 2,
        spot: 18,
    };
    let first = plan(&desired(2, 10), &seeing.at(T0), &Memory::default(), T0);
    let edited = Desired {
        generation: 2,
        spot: 9,
        ..desired(2, 10)
    };
    let second = plan(&edited, &seeing.at(first.next), &first.memory, first.next);
    assert_eq!(second.action, None);
}

#[test]
fn takes_surplus_regular_instances_by_name_so_that_no_spot_goes_with_them() {
    let (wanted, seeing) = (
        desired(2, 6),
        Seeing {
            capacity: 10,
            base: 2,
            regular: 4,
            spot: 6,
        },
    );
    let (made, _) = until_acts(&wanted, &seeing, Memory::default(), T0, 5);
    let Action::Replace { instances, .. } = action(&made) else {
        panic!("{:?}", made.action)
    };
    assert_eq!(
        instances
            .iter()
            .map(InstanceName::as_str)
            .collect::<Vec<_>>(),
        ["p_00000000", "p_00000001"]
    );
}

#[test]
fn replaces_a_failed_instance_after_two_readings() {
    let wanted = desired(0, 3);
    let seeing = Seeing {
        capacity: 3,
        base: 0,
        regular: 0,
        spot: 3,
    };
    let look = |at| {
        let mut observed = seeing.at(at);
        instances(&mut observed)[1].phase = Phase::Failed;
        observed
    };
    let first = plan(&wanted, &look(T0), &Memory::default(), T0);
    assert_eq!(first.action, None);
    let second = plan(&wanted, &look(first.next), &first.memory, first.next);
    assert!(
        matches!(action(&second), Action::Replace { instances, .. } if instances.len() == 1),
        "{:?}",
        second.action
    );
}

#[test]
fn removes_its_set_and_orphans_it_when_told() {
    let seeing = Seeing {
        capacity: 20,
        base: 2,
        regular: 2,
        spot: 18,
    };
    let removed = plan(
        &Desired {
            intent: Intent::Remove,
            ..desired(2, 18)
        },
        &seeing.at(T0),
        &Memory::default(),
        T0,
    );
    assert!(matches!(action(&removed), Action::Remove { .. }));
    let orphaned = plan(
        &Desired {
            intent: Intent::Orphan,
            ..desired(2, 18)
        },
        &seeing.at(T0),
        &Memory::default(),
        T0,
    );
    assert_eq!(
        (orphaned.action, orphaned.summary.stage),
        (None, Stage::Gone)
    );
}

#[test]
fn leaving_a_set_behind_needs_no_look_at_it() {
    let lost = Blind::CredentialsInvalid {
        step: LoginStep::Login,
        fact: "AADSTS700016".to_owned(),
    };
    let unseen = Observed {
        set: Seen::Unknown(lost),
        instances: Seen::Unknown(Blind::NotAsked),
        outcome: None,
    };
    let left = plan(
        &Desired {
            intent: Intent::Orphan,
            ..desired(2, 18)
        },
        &unseen,
        &Memory::default(),
        T0,
    );
    assert_eq!((left.action, left.summary.stage), (None, Stage::Gone));
}

#[test]
fn a_deletion_that_azure_declines_waits_longer_each_time() {
    let (wanted, seeing) = (
        desired(2, 10),
        Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 18,
        },
    );
    let (made, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 3);
    let memory = remember(
        &wanted,
        &made.memory,
        action(&made),
        &Answer::Refused(refusal(RefusalKind::Forbidden)),
        now,
    );
    let next = plan(
        &wanted,
        &seeing.at(now + Millis(1)),
        &memory,
        now + Millis(1),
    );
    assert!(
        matches!(&next.summary.stage, Stage::Refused(closed) if closed.refusal.kind == RefusalKind::Forbidden),
        "{:?}",
        next.summary.stage
    );
    let (again, later) = until_acts(&wanted, &seeing, next.memory, next.next, 20);
    assert!(matches!(action(&again), Action::Replace { .. }));
    assert!(later - now >= Millis::minutes(5), "{:?}", later - now);
}

#[test]
fn a_large_removal_waits_for_its_confirmation_and_a_small_one_does_not() {
    let many = Seeing {
        capacity: 20,
        base: 0,
        regular: 0,
        spot: 20,
    };
    for (confirm_above, confirmed, wanted, goes) in [
        (Some(5), false, 10, false),
        (Some(5), true, 10, true),
        (Some(5), false, 15, true),
        (None, false, 10, true),
        (Some(0), false, 19, false),
    ] {
        let pool = Desired {
            confirm_above,
            confirmed,
            ..desired(0, wanted)
        };
        let (plan, _) = until_acts(&pool, &many, settled(), T0, 10);
        assert_eq!(
            plan.action.is_some(),
            goes,
            "above {confirm_above:?}, confirmed {confirmed}, to {wanted}: {:?}",
            plan.summary.stage
        );
        if !goes {
            let taking = 20 - wanted;
            assert_eq!(plan.summary.stage, Stage::ConfirmationNeeded { taking });
        }
    }
}

#[test]
fn a_deletion_waits_for_its_confirmation_too() {
    let seeing = Seeing {
        capacity: 20,
        base: 2,
        regular: 2,
        spot: 18,
    };
    let mut pool = Desired {
        confirm_above: Some(19),
        intent: Intent::Remove,
        ..desired(2, 18)
    };
    let waiting = plan(&pool, &seeing.at(T0), &settled(), T0);
    assert_eq!(waiting.action, None);
    assert_eq!(
        waiting.summary.stage,
        Stage::ConfirmationNeeded { taking: 20 }
    );
    pool.confirmed = true;
    let confirmed = plan(&pool, &seeing.at(T0), &settled(), T0);
    assert!(matches!(action(&confirmed), Action::Remove { .. }));
}

#[test]
fn what_does_not_work_is_replaced_while_a_large_removal_waits() {
    let seeing = Seeing {
        capacity: 20,
        base: 0,
        regular: 0,
        spot: 20,
    };
    let pool = Desired {
        confirm_above: Some(5),
        ..desired(0, 10)
    };
    let (mut memory, mut now) = (settled(), T0);
    for _ in 0..10 {
        let mut observed = seeing.at(now);
        instances(&mut observed)[3].phase = Phase::Failed;
        let name = instances(&mut observed)[3].name.clone();
        let made = plan(&pool, &observed, &memory, now);
        if let Some((action, _)) = &made.action {
            assert!(
                matches!(action, Action::Replace { instances, .. } if *instances == [name]),
                "{action:?}"
            );
            return;
        }
        (memory, now) = (made.memory, made.next);
    }
    panic!("the broken instance was never taken");
}
