//! What is taken away, and on what proof.

use super::*;

#[test]
fn takes_surplus_only_after_two_readings_and_by_guarded_capacity() {
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
            Action::Resize {
                capacity: 10,
                proof: Some(_),
                ..
            }
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
