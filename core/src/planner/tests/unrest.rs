//! Evictions that do not end: what is done although the set reads as being worked on.

use super::*;

/// A set that reads Updating: two regular instances, so many Spot ones that run, and then those that are in another phase.
struct Unrest<'a> {
    capacity: u32,
    running: u32,
    others: &'a [Phase],
}

impl Unrest<'_> {
    fn at(&self, at: Timestamp) -> Observed {
        let seeing = Seeing {
            capacity: self.capacity,
            base: 2,
            regular: 2,
            spot: self.running + self.others.len() as u32,
        };
        let mut observed = seeing.at(at);
        set(&mut observed).state = Provisioning::Busy;
        let last = instances(&mut observed).iter_mut().rev();
        last.zip(self.others)
            .for_each(|(one, phase)| one.phase = *phase);
        observed
    }

    /// Looks each five seconds for five minutes: the first action, and how long it took.
    fn asks(&self, desired: &Desired, outcome: Option<Outcome>) -> Option<(Action, Millis)> {
        let mut memory = settled();
        for now in (0..60).map(|n| T0 + Millis::seconds(5 * n)) {
            let observed = Observed {
                outcome: outcome.clone(),
                ..self.at(now)
            };
            let made = plan(desired, &observed, &memory, now);
            if let Some((action, _)) = made.action {
                return Some((action, now - T0));
            }
            assert_eq!(made.summary.stage, Stage::Busy);
            memory = made.memory;
        }
        None
    }
}

const ONE_GOES: Unrest<'_> = Unrest {
    capacity: 17,
    running: 14,
    others: &[Phase::Stopping],
};

#[test]
fn what_is_missing_is_asked_for_once_evictions_have_lasted_a_settle_time() {
    let asked = ONE_GOES.asks(&desired(2, 18), None);
    let Some((
        Action::Resize {
            capacity: 20,
            base: 2,
            ..
        },
        after,
    )) = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(after, Pace::default().settle);
}

#[test]
fn nothing_is_asked_for_while_something_of_ours_runs_or_nobody_goes() {
    let wanted = desired(2, 18);
    assert_eq!(ONE_GOES.asks(&wanted, Some(Outcome::Pending)), None);
    let nobody = Unrest {
        others: &[],
        ..ONE_GOES
    };
    assert_eq!(nobody.asks(&wanted, None), None, "somebody else is at work");
}

#[test]
fn no_less_is_asked_for_than_the_set_is_known_to_have_had() {
    assert_eq!(ONE_GOES.asks(&desired(2, 16), None), None);
}

#[test]
fn nothing_is_bought_under_a_template_or_price_that_is_to_be_changed_first() {
    let changed = Desired {
        model: ModelHash::from("m2"),
        ..desired(2, 18)
    };
    assert_eq!(ONE_GOES.asks(&changed, None), None);
}

#[test]
fn instances_that_are_down_are_started_amid_evictions() {
    let wanted = Desired {
        eviction: Eviction::Deallocate {
            restart_timeout: Millis::minutes(10),
        },
        ..desired(2, 18)
    };
    let seeing = Unrest {
        capacity: 20,
        running: 16,
        others: &[Phase::Deallocating, Phase::Deallocated],
    };
    let asked = seeing.asks(&wanted, None);
    let Some((Action::Restart { instances, .. }, after)) = &asked else {
        panic!("{asked:?}");
    };
    assert_eq!((instances.len(), *after), (1, Pace::default().settle));
}

#[test]
fn a_capacity_that_stood_still_is_not_taken_for_one_that_falls() {
    let (wanted, seeing) = (
        desired(2, 18),
        Seeing {
            capacity: 20,
            base: 2,
            regular: 2,
            spot: 15,
        },
    );
    let (made, now) = until_acts(&wanted, &seeing, settled(), T0, 20);
    let after = remember(&wanted, &made.memory, action(&made), &Answer::Unclear, now);
    assert_eq!(after.process.believed.map(|known| known.falling), Some(0));
}
