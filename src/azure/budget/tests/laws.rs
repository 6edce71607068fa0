//! The laws of the budget, judged on every step of random histories; each must find a bug that is planted by wrapping the budget.
//!
//! Many pools of a busy subscription and a few of a calm one ask, come when their turn is or earlier, or never again; Azure counts for
//! itself, together with other clients, answers late, and refuses by its own count.

mod azure;
mod history;

use super::*;
use history::History;

/// What is judged: the budget, or one with a bug.
trait Keeper {
    fn ask(&mut self, call: Call, claim: Claim, now: Timestamp) -> Result<Permit, Timestamp>;
    fn turn(&mut self, calls: &[Call], urgency: Urgency, now: Timestamp) -> Result<(), Timestamp>;
    fn leave(&mut self, call: &Call);
    fn settle(
        &mut self,
        permit: Permit,
        headers: &HeaderMap,
        error: Option<&ArmError>,
        now: Timestamp,
    );
}

impl Keeper for Budget {
    fn ask(&mut self, call: Call, claim: Claim, now: Timestamp) -> Result<Permit, Timestamp> {
        Self::ask(self, call, claim, now)
    }

    fn turn(&mut self, calls: &[Call], urgency: Urgency, now: Timestamp) -> Result<(), Timestamp> {
        Self::turn(self, calls, urgency, now)
    }

    fn leave(&mut self, call: &Call) {
        Self::leave(self, call);
    }

    fn settle(
        &mut self,
        permit: Permit,
        headers: &HeaderMap,
        error: Option<&ArmError>,
        now: Timestamp,
    ) {
        Self::settle(self, permit, Some(Heard { headers, error }), now);
    }
}

/// A bug, planted around the budget.
#[derive(Clone, Copy, Debug)]
enum Bug {
    /// Does not hear a `Retry-After`.
    Deaf,
    /// Holds the whole subscription for a resource's sake.
    HoldsAll,
    /// Everybody is equally urgent.
    NoUrgency,
    /// Books anew at each asking.
    Forgetful,
    /// Believes that a bucket is full whenever Azure says what is left.
    Credulous,
    /// Gives a look its turn when only its last call can go.
    Half,
    /// Gives away what a look whose turn has come still needs.
    Generous,
}

struct Buggy(Budget, Bug, u64);

impl Buggy {
    fn urgency(&self, urgency: Urgency) -> Urgency {
        match self.1 {
            Bug::NoUrgency => Urgency::Looking,
            _ => urgency,
        }
    }

    fn line(&mut self, call: &Call) -> String {
        if matches!(self.1, Bug::Forgetful) {
            self.2 += 1;
        }
        format!("{} {}", call.line, self.2)
    }
}

impl Keeper for Buggy {
    fn ask(&mut self, call: Call, claim: Claim, now: Timestamp) -> Result<Permit, Timestamp> {
        let claim = match claim {
            Claim::Waits(urgency) => Claim::Waits(self.urgency(urgency)),
            Claim::Granted => Claim::Granted,
        };
        let line = self.line(&call);
        self.0.ask(Call { line, ..call }, claim, now)
    }

    fn turn(&mut self, calls: &[Call], urgency: Urgency, now: Timestamp) -> Result<(), Timestamp> {
        let urgency = self.urgency(urgency);
        let mut calls = calls.to_vec();
        if matches!(self.1, Bug::Half) {
            calls.remove(0);
        }
        if let Some(last) = calls.last_mut() {
            last.line = self.line(last);
        }
        let turn = self.0.turn(&calls, urgency, now);
        if let (Bug::Generous, Ok(()), Some(last)) = (self.1, &turn, calls.last()) {
            self.0.leave(last);
        }
        turn
    }

    fn leave(&mut self, call: &Call) {
        self.0.leave(call);
    }

    fn settle(
        &mut self,
        permit: Permit,
        headers: &HeaderMap,
        error: Option<&ArmError>,
        now: Timestamp,
    ) {
        let (mut headers, mut error) = (headers.clone(), error.cloned());
        match self.1 {
            Bug::Deaf => error = None,
            Bug::HoldsAll => {
                for cause in error.iter_mut().flat_map(|error| &mut error.details) {
                    cause.target = cause.target.replace("Resource", "SubscriptionMaximum");
                }
            }
            Bug::Credulous => {
                let arm = ["reads", "writes"].map(|kind| {
                    http::HeaderName::try_from(format!(
                        "x-ms-ratelimit-remaining-subscription-{kind}"
                    ))
                });
                for name in arm {
                    headers.insert(name.unwrap(), HeaderValue::from(200));
                }
            }
            Bug::NoUrgency | Bug::Forgetful | Bug::Half | Bug::Generous => {}
        }
        Keeper::settle(&mut self.0, permit, &headers, error.as_ref(), now);
    }
}

const SEEDS: u64 = 8;

#[test]
fn every_law_holds_in_random_histories() {
    for seed in 0..SEEDS {
        if let Err(law) = History::new(Budget::default(), seed).run() {
            panic!("seed {seed}: {law}");
        }
    }
}

#[test]
fn each_planted_bug_breaks_its_law() {
    for (bug, law) in [
        (Bug::Deaf, "Retry-After"),
        (Bug::HoldsAll, "only its own"),
        (Bug::NoUrgency, "order"),
        (Bug::Forgetful, "kept"),
        (Bug::Credulous, "limits"),
        (Bug::Half, "whole"),
        (Bug::Generous, "whole"),
    ] {
        let broken = |seed| {
            History::new(Buggy(Budget::default(), bug, 0), seed)
                .run()
                .err()
        };
        let mut others = Vec::new();
        let found = (0..SEEDS).filter_map(broken).any(|text| {
            let found = text.contains(law);
            others.push(text);
            found
        });
        assert!(
            found,
            "{bug:?} is not found by the law {law:?} but: {others:?}"
        );
    }
}
