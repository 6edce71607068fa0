//! L0: `plan` on hand-made pictures, one behaviour a test.

use super::*;
use crate::units::{Etag, InstanceName, ModelHash, Owner, Priority, VmSize, Zone};

const T0: Timestamp = Timestamp(1_000_000_000);

fn desired(regular: u32, spot: u32) -> Desired {
    Desired {
        generation: 1,
        owner: Owner::from("c/n/p/u"),
        regular,
        spot,
        vm_sizes: vec![
            VmSize::from("Standard_D4s_v5"),
            VmSize::from("Standard_D4as_v5"),
        ],
        model: ModelHash::from("m1"),
        min_available: 1,
        progress_deadline: Millis::minutes(15),
        intent: Intent::Keep,
        pace: Pace::default(),
    }
}

struct Seeing {
    capacity: u32,
    base: u32,
    regular: u32,
    spot: u32,
}

impl Seeing {
    fn at(&self, at: Timestamp) -> Observed {
        let one = |n: u32, priority| Instance {
            name: InstanceName(format!("p_{n:08x}")),
            priority,
            phase: Phase::Running,
            vm_size: VmSize::from("Standard_D4s_v5"),
            zone: Zone::default(),
            created: None,
        };
        let mut instances: Vec<Instance> = (0..self.regular)
            .map(|n| one(n, Priority::Regular))
            .collect();
        instances.extend((0..self.spot).map(|n| one(100 + n, Priority::Spot)));
        let set = ScaleSet {
            capacity: self.capacity,
            base: self.base,
            vm_size: VmSize::from("Standard_D4s_v5"),
            etag: Etag::from("\"7\""),
            state: Provisioning::Succeeded,
            owner: Some(Owner::from("c/n/p/u")),
            model: Some(ModelHash::from("m1")),
            model_since: None,
        };
        Observed {
            set: Seen::Known {
                value: Some(set),
                at,
            },
            instances: Seen::Known {
                value: instances,
                at,
            },
            outcome: None,
        }
    }
}

/// What a process remembers that has seen the set with 20 instances for a while.
fn settled() -> Memory {
    let mut memory = Memory::default();
    memory.process.believed = Some(20);
    memory
}

fn set(observed: &mut Observed) -> &mut ScaleSet {
    match &mut observed.set {
        Seen::Known {
            value: Some(set), ..
        } => set,
        other => panic!("no set in {other:?}"),
    }
}

fn instances(observed: &mut Observed) -> &mut Vec<Instance> {
    match &mut observed.instances {
        Seen::Known { value, .. } => value,
        other => panic!("no instances in {other:?}"),
    }
}

/// Looks again and again at an unchanging picture until something is done or `looks` are over.
fn until_acts(
    desired: &Desired,
    seeing: &Seeing,
    mut memory: Memory,
    mut now: Timestamp,
    looks: u32,
) -> (Plan, Timestamp) {
    let mut made = plan(desired, &seeing.at(now), &memory, now);
    for _ in 1..looks {
        if made.action.is_some() {
            break;
        }
        memory = made.memory.clone();
        now = made.next;
        made = plan(desired, &seeing.at(now), &memory, now);
    }
    (made, now)
}

fn action(plan: &Plan) -> &Action {
    &plan
        .action
        .as_ref()
        .unwrap_or_else(|| panic!("nothing was done: {:?}", plan.summary.stage))
        .0
}

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
                proof: None,
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

fn refusal(kind: RefusalKind) -> Refusal {
    Refusal {
        kind,
        code: "SkuNotAvailable".to_owned(),
        message: "none left".to_owned(),
        request_id: "r".to_owned(),
    }
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
    let after = plan(
        &fewer,
        &Seeing {
            capacity: 10,
            base: 0,
            regular: 0,
            spot: 10,
        }
        .at(now + Millis(1)),
        &memory,
        now + Millis(1),
    );
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
