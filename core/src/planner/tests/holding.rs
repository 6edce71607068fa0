//! When nothing is done, and what is said.

use super::*;

#[test]
fn is_quiet_at_rest() {
    let plan = plan(
        &desired(2, 18),
        &Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 18,
        }
        .at(T0),
        &Memory::default(),
        T0,
    );
    assert_eq!((&plan.action, &plan.summary.stage), (&None, &Stage::AtRest));
    assert_eq!(plan.next, T0 + Pace::default().rest);
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
}

#[test]
fn reports_a_capacity_of_zero_and_deletes_nothing() {
    for (regular, spot) in [(2, 18), (2, 10)] {
        let observed = Seeing {
            capacity: 0,
            base: 2,
            regular,
            spot,
        }
        .at(T0);
        let plan = plan(&desired(2, 18), &observed, &Memory::default(), T0);
        assert_eq!(plan.action, None, "with {spot} Spot instances");
        assert!(
            plan.notes
                .iter()
                .any(|note| note.reason == Reason::GuardRefused),
            "{:?}",
            plan.notes
        );
    }
}

#[test]
fn does_nothing_on_an_unknown() {
    let blind = Blind::Unreachable {
        fact: "no answer".to_owned(),
    };
    let mut half = Seeing {
        capacity: 20,
        base: 2,
        regular: 2,
        spot: 10,
    }
    .at(T0);
    half.instances = Seen::Unknown(blind.clone());
    let whole = Observed {
        set: Seen::Unknown(blind.clone()),
        instances: Seen::Unknown(blind),
        outcome: None,
    };
    for observed in [half, whole] {
        let plan = plan(&desired(2, 18), &observed, &Memory::default(), T0);
        assert_eq!(plan.action, None);
        assert!(
            matches!(plan.summary.stage, Stage::Blind(_)),
            "{:?}",
            plan.summary.stage
        );
    }
}

#[test]
fn leaves_a_set_alone_that_is_not_ours() {
    for owner in [None, Some(Owner::from("c/n/p/another-uid"))] {
        for intent in [Intent::Keep, Intent::Remove] {
            let mut observed = Seeing {
                capacity: 3,
                base: 0,
                regular: 0,
                spot: 3,
            }
            .at(T0);
            set(&mut observed).owner = owner.clone();
            let plan = plan(
                &Desired {
                    intent,
                    ..desired(2, 18)
                },
                &observed,
                &Memory::default(),
                T0,
            );
            assert_eq!(plan.action, None, "{owner:?} {intent:?}");
        }
    }
}

#[test]
fn waits_while_an_operation_runs() {
    let mut observed = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    }
    .at(T0);
    set(&mut observed).state = Provisioning::Busy;
    assert_eq!(
        plan(&desired(2, 18), &observed, &Memory::default(), T0).action,
        None
    );
}

#[test]
fn does_nothing_on_a_picture_older_than_its_last_write() {
    let wanted = desired(2, 18);
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    let made = plan(&wanted, &seeing.at(T0), &settled(), T0);
    let memory = remember(
        &wanted,
        &made.memory,
        action(&made),
        &Answer::Accepted,
        T0 + Millis(500),
    );
    assert_eq!(
        plan(&wanted, &seeing.at(T0), &memory, T0 + Millis(600)).action,
        None
    );
}

#[test]
fn counts_evictions_once_and_not_what_it_took_itself() {
    let wanted = desired(2, 18);
    let first = plan(
        &wanted,
        &Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 18,
        }
        .at(T0),
        &Memory::default(),
        T0,
    );
    let second = plan(
        &wanted,
        &Seeing {
            capacity: 14,
            base: 2,
            regular: 2,
            spot: 12,
        }
        .at(first.next),
        &first.memory,
        first.next,
    );
    assert_eq!(second.memory.kept.evictions, 6);
    assert!(
        second
            .notes
            .iter()
            .any(|note| note.reason == Reason::Evicted),
        "{:?}",
        second.notes
    );

    let before = plan(
        &desired(0, 18),
        &Seeing {
            capacity: 18,
            base: 0,
            regular: 0,
            spot: 18,
        }
        .at(T0),
        &Memory::default(),
        T0,
    );
    let fewer = Desired {
        generation: 2,
        ..desired(0, 10)
    };
    let seeing = Seeing {
        capacity: 18,
        base: 0,
        regular: 0,
        spot: 18,
    };
    let (made, now) = until_acts(&fewer, &seeing, before.memory, before.next, 5);
    let memory = remember(&fewer, &made.memory, action(&made), &Answer::Accepted, now);
    let Action::Replace {
        instances: taken, ..
    } = action(&made)
    else {
        panic!("{:?}", made.action);
    };
    let mut left = seeing.at(now + Millis(1));
    instances(&mut left).retain(|one| !taken.contains(&one.name));
    let after = plan(&fewer, &left, &memory, now + Millis(1));
    assert_eq!(after.memory.kept.evictions, 0, "{:?}", after.notes);
}

#[test]
fn an_eviction_is_no_vote_to_scale_down() {
    let wanted = desired(2, 18);
    let first = plan(
        &wanted,
        &Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 18,
        }
        .at(T0),
        &Memory::default(),
        T0,
    );
    let second = plan(
        &wanted,
        &Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 12,
        }
        .at(first.next),
        &first.memory,
        first.next,
    );
    assert_eq!(
        second.summary.counts.map(|counts| counts.spot_held),
        Some(18)
    );
}

#[test]
fn suspended_pools_say_what_they_would_do_and_do_nothing() {
    let wanted = Desired {
        intent: Intent::Watch,
        ..desired(2, 18)
    };
    let plan = plan(
        &wanted,
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
    assert_eq!(plan.action, None);
    assert!(
        matches!(&plan.summary.stage, Stage::Suspended { would: Some(_) }),
        "{:?}",
        plan.summary.stage
    );
}

#[test]
fn is_overdue_only_after_the_progress_deadline() {
    let wanted = Desired {
        min_available: 10,
        ..desired(2, 18)
    };
    let seeing = Seeing {
        capacity: 4,
        base: 2,
        regular: 2,
        spot: 2,
    };
    let first = plan(&wanted, &seeing.at(T0), &Memory::default(), T0);
    assert_eq!(first.summary.health, Health::Below);
    let later = T0 + Millis::minutes(16);
    assert_eq!(
        plan(&wanted, &seeing.at(later), &first.memory, later)
            .summary
            .health,
        Health::Overdue { since: T0 }
    );
}

fn closed(kind: RefusalKind, until: Timestamp) -> Closed {
    Closed {
        vm_size: VmSize::from("Standard_D4s_v5"),
        refusal: refusal(kind),
        until,
        strikes: 3,
    }
}

#[test]
fn buys_nothing_for_a_pool_of_zero_after_refusals() {
    let mut memory = Memory::default();
    memory.kept.closed = vec![closed(RefusalKind::NoCapacity, T0)];
    let plan = plan(&desired(0, 0), &absent(T0), &memory, T0);
    assert!(
        matches!(action(&plan), Action::Create { capacity: 0, .. }),
        "{:?}",
        plan.action
    );
}

#[test]
fn lets_go_of_an_absent_set_only_when_no_creation_can_be_on_its_way() {
    let wanted = Desired {
        intent: Intent::Remove,
        ..desired(2, 18)
    };
    let mut memory = Memory::default();
    memory.process.last_write = Some(T0);
    let first = plan(&wanted, &absent(T0 + Millis(1)), &memory, T0 + Millis(1));
    assert_eq!(first.summary.stage, Stage::Going);
    let later = T0 + Millis(1) + Pace::default().settle;
    assert_eq!(
        plan(&wanted, &absent(later), &first.memory, later)
            .summary
            .stage,
        Stage::Gone
    );
}

#[test]
fn lets_go_at_once_of_a_set_that_it_deleted() {
    let wanted = Desired {
        intent: Intent::Remove,
        ..desired(2, 18)
    };
    let seeing = Seeing {
        capacity: 20,
        base: 2,
        regular: 2,
        spot: 18,
    };
    let made = plan(&wanted, &seeing.at(T0), &Memory::default(), T0);
    let memory = remember(&wanted, &made.memory, action(&made), &Answer::Accepted, T0);
    assert_eq!(
        plan(&wanted, &absent(T0 + Millis(1)), &memory, T0 + Millis(1))
            .summary
            .stage,
        Stage::Gone
    );
}

#[test]
fn what_needs_a_human_is_asked_again_once_the_declaration_changed() {
    let mut memory = settled();
    memory.kept.closed = vec![closed(
        RefusalKind::TemplateRejected,
        T0 + Millis::minutes(60),
    )];
    memory.kept.closed_under = 1;
    let seeing = Seeing {
        capacity: 14,
        base: 2,
        regular: 2,
        spot: 12,
    };
    assert_eq!(
        plan(&desired(2, 18), &seeing.at(T0), &memory, T0).action,
        None
    );
    let edited = Desired {
        generation: 2,
        ..desired(2, 18)
    };
    assert!(plan(&edited, &seeing.at(T0), &memory, T0).action.is_some());
    memory.reopen();
    assert!(
        plan(&desired(2, 18), &seeing.at(T0), &memory, T0)
            .action
            .is_some()
    );
}

#[test]
fn buys_no_spot_above_the_declared_price_when_azure_does_not_take_the_lower_limit() {
    let wanted = Desired {
        model: ModelHash::from("m2"),
        max_price: Some(crate::units::MicroUsd(50_000)),
        ..desired(2, 18)
    };
    let look = |at| {
        let mut observed = Seeing {
            capacity: 14,
            base: 2,
            regular: 2,
            spot: 12,
        }
        .at(at);
        set(&mut observed).max_price = Some(crate::units::MicroUsd(100_000));
        observed
    };
    let first = plan(&wanted, &look(T0), &settled(), T0);
    let memory = remember(
        &wanted,
        &first.memory,
        action(&first),
        &Answer::Refused(refusal(RefusalKind::TemplateRejected)),
        T0 + Millis(1),
    );
    let second = plan(&wanted, &look(T0 + Millis(2)), &memory, T0 + Millis(2));
    assert_eq!(second.action, None, "{:?}", second.summary.stage);
}
