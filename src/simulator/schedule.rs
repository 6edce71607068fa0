//! What the control API is to do by itself at moments to come: evictions, capacity, prices, whatever it can do when asked.
//!
//! In: plans. Out: for each moment, which of them is due. Gaps that are given as a span are drawn from the seed, so that a market that
//! changes by chance changes in the same way each time.

use super::ids;
use super::settings::Seconds;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// No plan repeats faster, in milliseconds of the world's time: one that did would never let time pass.
const SHORTEST: u64 = 1_000;

/// Something to do, once or again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The last word of a path of the control API, such as `evict`.
    #[serde(rename = "do")]
    pub act: String,
    /// What would be posted there.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// Seconds of the world's time until the first time.
    #[serde(default = "at_once")]
    pub after: Seconds,
    /// Seconds between one time and the next; only once if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Seconds>,
    /// How often, if not for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

const fn at_once() -> Seconds {
    Seconds::Exactly(0.0)
}

/// A plan whose moment has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// World time.
    pub at: u64,
    /// Which plan it is of.
    pub number: u64,
    /// As in the plan.
    pub act: String,
    /// As in the plan.
    pub body: Value,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    plan: Plan,
    next: u64,
    done: u64,
    failure: Option<String>,
}

/// All plans that are not over.
#[derive(Debug, Default)]
pub struct Schedule {
    last: u64,
    entries: Vec<Entry>,
}

impl Schedule {
    /// Takes in a plan.
    pub fn add(&mut self, plan: Plan, now: u64, seed: u64) {
        self.last += 1;
        let number = self.last;
        let next = now.saturating_add(drawn(plan.after, seed, number, 0));
        self.entries.push(Entry {
            number,
            plan,
            next,
            done: 0,
            failure: None,
        });
    }

    /// Nothing is planned any more.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The next plan that is due at `now` or before, which then counts as done.
    pub fn take(&mut self, now: u64, seed: u64) -> Option<Due> {
        let entry = self
            .entries
            .iter_mut()
            .filter(|entry| entry.next <= now)
            .min_by_key(|entry| (entry.next, entry.number))?;
        let due = Due {
            at: entry.next,
            number: entry.number,
            act: entry.plan.act.clone(),
            body: entry.plan.body.clone(),
        };
        entry.done += 1;
        let over = entry.plan.times.is_some_and(|times| entry.done >= times);
        match entry.plan.every.filter(|_| !over) {
            Some(gap) => {
                let gap = drawn(gap, seed, entry.number, entry.done).max(SHORTEST);
                entry.next = entry.next.saturating_add(gap);
            }
            None => self.entries.retain(|entry| entry.number != due.number),
        }
        Some(due)
    }

    /// What came of a plan the last time, where it goes on.
    pub fn tried(&mut self, number: u64, failure: Option<String>) {
        let mut entries = self.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.number == number) {
            entry.failure = failure;
        }
    }

    /// For the control API: seconds until each is due.
    #[must_use]
    pub fn shown(&self, now: u64) -> Value {
        let shown = |entry: &Entry| {
            let due = entry.next.saturating_sub(now) as f64 / 1_000.0;
            json!({"plan": entry.plan, "dueInSeconds": due, "done": entry.done, "lastFailure": entry.failure})
        };
        json!({"plans": self.entries.iter().map(shown).collect::<Vec<_>>()})
    }
}

/// Milliseconds.
fn drawn(gap: Seconds, seed: u64, number: u64, time: u64) -> u64 {
    let span = gap.span();
    let width = span.max - span.min;
    match width {
        0 => span.min,
        width => {
            span.min
                + ids::hash(seed, &format!("schedule/{number}/{time}")) % width.saturating_add(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: Value) -> Plan {
        serde_json::from_value(text).unwrap()
    }

    fn moments(schedule: &mut Schedule, until: u64, seed: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(until, seed))
            .map(|due| due.at)
            .collect()
    }

    #[test]
    fn a_plan_is_done_once_or_so_often_or_for_ever_and_never_before_its_time() {
        let done = |text: Value| {
            let mut schedule = Schedule::default();
            schedule.add(plan(text), 5_000, 1);
            moments(&mut schedule, 100_000, 1)
        };
        assert_eq!(done(json!({"do": "evict"})), [5_000]);
        assert_eq!(done(json!({"do": "evict", "after": 95.001})), [0; 0]);
        assert_eq!(
            done(json!({"do": "evict", "after": 10, "every": 20, "times": 3})),
            [15_000, 35_000, 55_000]
        );
        assert_eq!(
            done(json!({"do": "evict", "after": 30, "every": 30})),
            [35_000, 65_000, 95_000]
        );
    }

    #[test]
    fn gaps_by_chance_stay_within_their_span_and_repeat_with_the_seed() {
        let done = |seed| {
            let mut schedule = Schedule::default();
            schedule.add(plan(json!({"do": "evict", "every": [10, 30]})), 0, seed);
            moments(&mut schedule, 1_000_000, seed)
        };
        assert_eq!(done(1), done(1));
        assert_ne!(done(1), done(2));
        for pair in done(1).windows(2) {
            let gap = pair[1] - pair[0];
            assert!((10_000..=30_000).contains(&gap), "{gap}");
        }
    }

    #[test]
    fn of_two_plans_the_earlier_comes_first_and_one_without_a_gap_lets_time_pass() {
        let mut schedule = Schedule::default();
        schedule.add(plan(json!({"do": "price", "after": 20})), 0, 1);
        schedule.add(
            plan(json!({"do": "evict", "after": 10, "every": 0, "times": 2})),
            0,
            1,
        );
        assert_eq!(moments(&mut schedule, 60_000, 1), [10_000, 11_000, 20_000]);
    }
}
