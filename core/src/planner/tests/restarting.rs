//! Evicted instances that stayed: started again, and replaced when that does not work in time.

use super::*;

const TIMEOUT: Millis = Millis::minutes(10);

fn deallocating(regular: u32, spot: u32) -> Desired {
    Desired {
        eviction: Eviction::Deallocate {
            restart_timeout: TIMEOUT,
        },
        ..desired(regular, spot)
    }
}

const SEEING: Seeing = Seeing {
    capacity: 20,
    base: 2,
    regular: 2,
    spot: 18,
};

/// A full pool of which the first `count` Spot instances are in `phase`.
fn with_down(count: usize, phase: Phase, at: Timestamp) -> Observed {
    let mut observed = SEEING.at(at);
    instances(&mut observed)
        .iter_mut()
        .filter(|one| one.priority == Priority::Spot)
        .take(count)
        .for_each(|one| one.phase = phase);
    observed
}

fn started(plan: &Plan) -> usize {
    match action(plan) {
        Action::Restart { instances, .. } => instances.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn starts_what_an_eviction_deallocated_and_counts_it_as_evicted() {
    let pool = deallocating(2, 18);
    let before = plan(&pool, &SEEING.at(T0), &settled(), T0);
    assert_eq!(before.action, None);
    let now = T0 + Millis::seconds(30);
    let plan = plan(
        &pool,
        &with_down(3, Phase::Deallocated, now),
        &before.memory,
        now,
    );
    assert_eq!(started(&plan), 3);
    assert_eq!(plan.memory.kept.evictions, 3);
    assert_eq!(plan.notes[0].reason, Reason::Evicted);
    assert_eq!(
        plan.action.as_ref().map(|(_, because)| because.reason),
        Some(Reason::RestartRequested)
    );
}

#[test]
fn waits_until_an_instance_has_come_down() {
    let pool = deallocating(2, 18);
    let plan = plan(
        &pool,
        &with_down(1, Phase::Deallocating, T0),
        &settled(),
        T0,
    );
    assert_eq!(plan.action, None);
    assert_eq!(plan.summary.stage, Stage::Starting);
}

#[test]
fn under_the_policy_delete_a_stopped_instance_is_replaced_and_not_started() {
    let pool = desired(2, 18);
    let mut memory = settled();
    let mut now = T0;
    for _ in 0..20 {
        let made = plan(&pool, &with_down(1, Phase::Deallocated, now), &memory, now);
        if let Some((Action::Replace { instances, .. }, _)) = &made.action {
            assert_eq!(instances.len(), 1);
            return;
        }
        assert_eq!(made.action, None);
        (memory, now) = (made.memory, made.next);
    }
    panic!("never replaced");
}

#[test]
fn asks_again_at_growing_intervals_and_replaces_after_the_timeout() {
    let pool = deallocating(2, 18);
    let (mut memory, mut now) = (settled(), T0);
    let mut starts = Vec::new();
    let replaced = loop {
        let made = plan(&pool, &with_down(1, Phase::Deallocated, now), &memory, now);
        match &made.action {
            Some((action @ Action::Restart { .. }, _)) => {
                starts.push((now - T0).0 / 1000);
                memory = remember(&pool, &made.memory, action, &Answer::Accepted, now);
            }
            Some((Action::Replace { instances, .. }, _)) => {
                assert_eq!(instances.len(), 1);
                break now;
            }
            Some((other, _)) => panic!("{other:?}"),
            None => memory = made.memory,
        }
        assert!(
            now - T0 < Millis::minutes(30),
            "neither started nor replaced"
        );
        now = made.next;
    };
    let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() && gaps[0] >= 30, "{starts:?}");
    assert!(replaced - T0 >= TIMEOUT, "{:?}", replaced - T0);
}

#[test]
fn a_refusal_closes_the_size_and_is_shown() {
    let pool = deallocating(2, 18);
    let now = T0;
    let observed = with_down(2, Phase::Deallocated, now);
    let made = plan(&pool, &observed, &settled(), now);
    let refused = Answer::Refused(refusal(RefusalKind::NoCapacity));
    let memory = remember(&pool, &made.memory, action(&made), &refused, now);
    let now = now + Millis::seconds(5);
    let made = plan(&pool, &with_down(2, Phase::Deallocated, now), &memory, now);
    assert_eq!(made.action, None);
    assert!(
        matches!(&made.summary.stage, Stage::Refused(closed) if closed.refusal.kind == RefusalKind::NoCapacity),
        "{:?}",
        made.summary.stage
    );
}

#[test]
fn starts_no_more_than_is_wanted_and_takes_the_deallocated_first_when_scaled_down() {
    let pool = deallocating(2, 16);
    let now = T0;
    let made = plan(
        &pool,
        &with_down(3, Phase::Deallocated, now),
        &settled(),
        now,
    );
    assert_eq!(started(&made), 1, "15 work, 16 are wanted");
    let mut memory = remember(&pool, &made.memory, action(&made), &Answer::Accepted, now);
    let mut now = made.next;
    for _ in 0..20 {
        // One has been started; two are down and too many.
        let made = plan(&pool, &with_down(2, Phase::Deallocated, now), &memory, now);
        if let Some((Action::Replace { instances, .. }, _)) = &made.action {
            let down: Vec<_> = instances.iter().map(InstanceName::as_str).collect();
            assert_eq!(down, ["p_00000064", "p_00000065"]);
            return;
        }
        assert_eq!(made.action, None);
        (memory, now) = (made.memory, made.next);
    }
    panic!("the surplus was never taken");
}

#[test]
fn does_not_start_what_would_pay_more_than_is_declared() {
    let pool = Desired {
        max_price: Some(crate::units::MicroUsd(50_000)),
        ..deallocating(2, 18)
    };
    let mut observed = with_down(2, Phase::Deallocated, T0);
    set(&mut observed).max_price = pool.max_price;
    let limits = [
        Some(crate::units::MicroUsd(60_000)),
        Some(crate::units::MicroUsd(50_000)),
    ];
    instances(&mut observed)
        .iter_mut()
        .filter(|one| one.phase == Phase::Deallocated)
        .zip(limits)
        .for_each(|(one, limit)| one.price_limit = limit);
    let made = plan(&pool, &observed, &settled(), T0);
    assert_eq!(
        action(&made),
        &Action::Restart {
            instances: vec![InstanceName::from("p_00000065")],
            vm_size: VmSize::from("Standard_D4s_v5"),
        }
    );
}

#[test]
fn a_scale_to_be_kept_counts_seats_and_not_deallocated_instances() {
    let pool = deallocating(2, 18);
    let mut memory = settled();
    memory.kept.asked_spot = 18;
    let made = plan(&pool, &with_down(6, Phase::Deallocated, T0), &memory, T0);
    let counts = made.summary.counts.expect("counted");
    assert_eq!(
        (
            counts.spot_held,
            counts.spot.deallocated,
            counts.spot.running
        ),
        (18, 6, 12)
    );
}
