//! What is asked for, and when.

use super::*;

#[test]
fn creates_a_missing_scale_set_with_regular_as_base() {
    let observed = Observed {
        set: Seen::Known {
            value: None,
            at: T0,
        },
        instances: Seen::Unknown(Blind::NotAsked),
        outcome: None,
    };
    let plan = plan(&desired(2, 18), &observed, &Memory::default(), T0);
    assert!(
        matches!(action(&plan), Action::Create { capacity: 20, base: 2, vm_size, .. } if vm_size.as_str() == "Standard_D4s_v5"),
        "{:?}",
        plan.action
    );
}

#[test]
fn replaces_evicted_instances_at_once_when_capacity_has_fallen() {
    let plan = plan(
        &desired(2, 18),
        &Seeing {
            capacity: 14,
            base: 2,
            regular: 2,
            spot: 12,
        }
        .at(T0),
        &settled(),
        T0,
    );
    assert!(
        matches!(
            action(&plan),
            Action::Resize {
                capacity: 20,
                base: 2,
                ..
            }
        ),
        "{:?}",
        plan.action
    );
}

#[test]
fn a_process_that_has_just_started_believes_no_low_capacity_at_once() {
    let (wanted, seeing) = (
        desired(2, 18),
        Seeing {
            capacity: 14,
            base: 2,
            regular: 2,
            spot: 12,
        },
    );
    assert_eq!(
        plan(&wanted, &seeing.at(T0), &Memory::default(), T0).action,
        None
    );
    let (made, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 20);
    assert!(now - T0 >= Pace::default().settle);
    assert!(
        matches!(action(&made), Action::Resize { capacity: 20, .. }),
        "{:?}",
        made.action
    );
}

#[test]
fn waits_while_capacity_has_not_fallen_then_asks_again_then_asks_for_more() {
    let (wanted, seeing) = (
        desired(0, 10),
        Seeing {
            capacity: 10,
            base: 0,
            regular: 0,
            spot: 8,
        },
    );
    let (first, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 20);
    assert!(
        now - T0 >= Pace::default().settle,
        "asked after {:?}",
        now - T0
    );
    assert!(
        matches!(action(&first), Action::Resize { capacity: 10, .. }),
        "the same capacity first: {:?}",
        first.action
    );
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Accepted,
        now,
    );
    let (second, later) = until_acts(&wanted, &seeing, memory, now + Millis(1), 20);
    assert!(later - now >= Pace::default().settle);
    assert!(
        matches!(action(&second), Action::Resize { capacity: 12, .. }),
        "then the difference: {:?}",
        second.action
    );
}

#[test]
fn never_asks_for_more_after_a_second_asking_that_failed() {
    let (wanted, seeing) = (
        desired(0, 10),
        Seeing {
            capacity: 10,
            base: 0,
            regular: 0,
            spot: 8,
        },
    );
    let (first, now) = until_acts(&wanted, &seeing, Memory::default(), T0, 20);
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Unclear,
        now,
    );
    let (second, _) = until_acts(&wanted, &seeing, memory, now + Millis(1), 20);
    assert!(
        matches!(action(&second), Action::Resize { capacity: 10, .. }),
        "{:?}",
        second.action
    );
}

#[test]
fn tries_the_next_size_after_a_refusal_and_waits_longer_each_time() {
    let wanted = desired(2, 18);
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    let first = plan(&wanted, &seeing.at(T0), &settled(), T0);
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Refused(refusal(RefusalKind::NoCapacity)),
        T0 + Millis(1),
    );
    let second = plan(&wanted, &seeing.at(T0 + Millis(2)), &memory, T0 + Millis(2));
    assert!(
        matches!(action(&second), Action::Resize { vm_size, .. } if vm_size.as_str() == "Standard_D4as_v5"),
        "{:?}",
        second.action
    );
    let memory = remember(
        &wanted,
        &second.memory,
        action(&second),
        &Answer::Refused(refusal(RefusalKind::NoCapacity)),
        T0 + Millis(3),
    );
    let third = plan(&wanted, &seeing.at(T0 + Millis(4)), &memory, T0 + Millis(4));
    let Stage::Refused(closed) = &third.summary.stage else {
        panic!("{:?}", third.summary.stage)
    };
    assert_eq!(closed.until, T0 + Millis(1) + Millis::minutes(1));
    assert!(third.next <= closed.until);
    let (again, later) = until_acts(&wanted, &seeing, third.memory.clone(), closed.until, 20);
    assert!(
        matches!(action(&again), Action::Resize { capacity: 17, .. }),
        "half as many the second time: {:?}",
        again.action
    );
    let memory = remember(
        &wanted,
        &again.memory,
        action(&again),
        &Answer::Refused(refusal(RefusalKind::NoCapacity)),
        later,
    );
    let strikes: Vec<_> = memory
        .kept
        .closed
        .iter()
        .map(|closed| closed.strikes)
        .collect();
    assert!(strikes.contains(&2), "{strikes:?}");
}

#[test]
fn a_refusal_that_is_not_about_the_size_stops_all_sizes() {
    let wanted = desired(2, 18);
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    let first = plan(&wanted, &seeing.at(T0), &settled(), T0);
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Refused(refusal(RefusalKind::TemplateRejected)),
        T0 + Millis(1),
    );
    assert_eq!(
        plan(&wanted, &seeing.at(T0 + Millis(2)), &memory, T0 + Millis(2)).action,
        None
    );
}

#[test]
fn a_changed_model_reaches_new_instances_and_a_rejected_one_does_not_stop_healing() {
    let wanted = Desired {
        model: ModelHash::from("m2"),
        ..desired(2, 18)
    };
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    let first = plan(&wanted, &seeing.at(T0), &settled(), T0);
    assert!(
        matches!(action(&first), Action::Reshape { .. }),
        "{:?}",
        first.action
    );
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Refused(refusal(RefusalKind::TemplateRejected)),
        T0 + Millis(1),
    );
    let second = plan(&wanted, &seeing.at(T0 + Millis(2)), &memory, T0 + Millis(2));
    assert!(
        matches!(action(&second), Action::Resize { capacity: 20, .. }),
        "{:?}",
        second.action
    );
    assert!(second.summary.rejected_model.is_some());
}

#[test]
fn a_model_that_fails_inside_the_operation_is_rejected_like_any_other() {
    let wanted = Desired {
        model: ModelHash::from("m2"),
        ..desired(2, 18)
    };
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    let first = plan(&wanted, &seeing.at(T0), &settled(), T0);
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Accepted,
        T0 + Millis(1),
    );
    for tagged in [false, true] {
        let mut observed = seeing.at(T0 + Millis(2));
        observed.outcome = Some(Outcome::Failed(refusal(RefusalKind::TemplateRejected)));
        set(&mut observed).model = tagged
            .then(|| ModelHash::from("m2"))
            .or(Some(ModelHash::from("m1")));
        let second = plan(&wanted, &observed, &memory, T0 + Millis(2));
        assert!(
            matches!(action(&second), Action::Resize { capacity: 20, .. }),
            "heals under the old model: {:?}",
            second.action
        );
        let closed = second.summary.rejected_model.clone().unwrap();
        let again = plan(
            &wanted,
            &seeing.at(closed.until),
            &second.memory,
            closed.until,
        );
        assert!(
            matches!(action(&again), Action::Reshape { .. }),
            "and tries again in time: {:?}",
            again.action
        );
    }
}
