//! What is bought is held to the quota first.

use super::*;
use crate::planner::quota::{cores, family};

fn row(name: &str, used: u64, limit: u64) -> Quota {
    Quota {
        row: name.to_owned(),
        used,
        limit,
    }
}

fn create(capacity: u32, base: u32, size: &str) -> Action {
    Action::Create {
        capacity,
        base,
        vm_size: size.into(),
        model: "m".into(),
    }
}

fn because(reason: Reason) -> Because {
    Because {
        reason,
        message: "why".to_owned(),
    }
}

/// What becomes of an action after this picture: its capacity and why, or the refusal.
fn held(
    observed: &Observed,
    memory: &Memory,
    action: Action,
    rows: &[Quota],
) -> std::result::Result<(u32, String), Refusal> {
    let because = because(match action {
        Action::Create { .. } => Reason::ScaleSetCreated,
        _ => Reason::ScalingUp,
    });
    let added = added(observed, memory, &action, &because);
    assert!(added.is_some(), "{action:?} adds nothing");
    match within(added, action, because, rows) {
        (_, _, Some(refusal)) => Err(refusal),
        (Action::Create { capacity, .. } | Action::Resize { capacity, .. }, because, None) => {
            Ok((capacity, because.message))
        }
        (other, ..) => panic!("{other:?}"),
    }
}

fn created(action: Action, rows: &[Quota]) -> std::result::Result<u32, Refusal> {
    let nothing = Observed {
        set: Seen::Known {
            value: None,
            at: T0,
        },
        instances: Seen::Unknown(Blind::NotAsked),
        outcome: None,
    };
    held(&nothing, &Memory::default(), action, rows).map(|(capacity, _)| capacity)
}

#[test]
fn what_fits_is_asked_for_and_nothing_more() {
    let size = "Standard_D4s_v5";
    let asked = |used| created(create(5, 1, size), &[row("lowPriorityCores", used, 100)]);
    assert_eq!(asked(0), Ok(5));
    assert_eq!(asked(84), Ok(5));
    assert_eq!(asked(85), Ok(4));
    assert_eq!(asked(97), Ok(1), "the regular one");
    let refusal = created(create(4, 0, size), &[row("lowPriorityCores", 97, 100)]).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::QuotaExceeded);
    assert_eq!(
        refusal.message,
        "97 of 100 cores of the quota lowPriorityCores are used, and 4 Spot instances of Standard_D4s_v5 need 16"
    );
    let none = created(create(4, 0, size), &[row("LowPriorityCores", 0, 0)]);
    assert_eq!(none.unwrap_err().kind, RefusalKind::QuotaIsZero);
}

#[test]
fn regular_instances_need_their_family_and_the_region() {
    let size = "Standard_D4s_v5";
    for full in ["standardDSv5Family", "cores"] {
        let refusal = created(create(3, 2, size), &[row(full, 5, 12)]).unwrap_err();
        assert!(refusal.message.contains(full), "{refusal:?}");
        assert_eq!(created(create(3, 1, size), &[row(full, 5, 12)]), Ok(3));
    }
}

#[test]
fn what_a_name_or_a_row_does_not_tell_is_left_to_azure() {
    let full = [row("lowPriorityCores", 8, 8)];
    for untold in [
        "Standard_D3_v2",
        "Standard_E32-8s_v5",
        "Standard_NC4as_T4_v3",
        "Standard_A1",
        "odd",
    ] {
        assert_eq!(created(create(3, 0, untold), &full), Ok(3), "{untold}");
    }
    assert!(created(create(3, 0, "Standard_F4s_v2"), &full).is_err());
    assert_eq!(created(create(3, 0, "Standard_D4s_v5"), &[]), Ok(3));
    let told = |size: &str| (cores(&size.into()), family(&size.into()));
    assert_eq!(
        told("Standard_E16ads_v5"),
        (Some(16), Some("standardEadsv5Family".to_owned()))
    );
}

/// One regular instance and so many Spot ones.
fn there(spot: u32, capacity: u32) -> Observed {
    let seeing = Seeing {
        capacity,
        base: 1,
        regular: 1,
        spot,
    };
    seeing.at(T0)
}

fn grow(observed: &mut Observed, to: u32) -> Action {
    Action::Resize {
        capacity: to,
        base: 1,
        vm_size: "Standard_D4s_v5".into(),
        guard: Guard::of(set(observed), &desired(1, 3)).unwrap(),
    }
}

fn believing(capacity: u32) -> Memory {
    let mut memory = Memory::default();
    memory.process.believed = Some(Believed {
        capacity,
        alive: capacity,
        falling: 0,
    });
    memory
}

#[test]
fn a_capacity_that_may_be_misread_is_not_cut() {
    let mut observed = there(7, 8);
    let action = grow(&mut observed, 10);
    let full = [row("lowPriorityCores", 36, 40)];
    let asked = |memory: &Memory| held(&observed, memory, action.clone(), &full);
    assert_eq!(asked(&believing(8)).unwrap().0, 9);
    // If it is ten in truth, nine would take one away.
    assert!(asked(&believing(10)).is_err());
    assert!(asked(&Memory::default()).is_err(), "nothing is known");
}

#[test]
fn growth_counts_what_is_missing_and_is_never_cut_to_a_capacity_that_takes_away() {
    let asked = |spot, capacity, to, used| {
        let mut observed = there(spot, capacity);
        let action = grow(&mut observed, to);
        held(
            &observed,
            &believing(4),
            action,
            &[row("lowPriorityCores", used, 40)],
        )
    };
    assert_eq!(asked(3, 4, 7, 28).unwrap().0, 7);
    let (capacity, why) = asked(3, 4, 7, 33).unwrap();
    assert_eq!(capacity, 5);
    assert_eq!(
        why,
        "why; 33 of 40 cores of the quota lowPriorityCores are used: 5 to begin with"
    );
    assert!(asked(3, 4, 7, 40).is_err());
    // Asked for again at the same capacity: less would take away under one reading of Azure.
    assert!(asked(1, 4, 4, 36).is_err());
}

#[test]
fn what_was_lost_is_asked_for_again_whatever_the_quota_reads() {
    let mut observed = there(2, 3);
    let action = grow(&mut observed, 4);
    let lost = because(Reason::ReplacementRequested);
    assert_eq!(added(&observed, &believing(3), &action, &lost), None);
}
