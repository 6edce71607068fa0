//! Who is at rest, and whether a survey still shows it as its own look left it. Pure: no clock, no I/O.
//!
//! In come looks that found a pool at rest, and surveys. Out come the pools to wake, and for each pool whether its next look may be left
//! out. A survey may be older than a look, and wrong: it wakes, and it spares a look. It never decides anything else.

use std::collections::BTreeMap;

use spotpool_core::planner::Desired;
use spotpool_core::units::{Millis, Timestamp};

use crate::cloud::{Line, Scope, Survey};

/// How long the same difference does not wake a pool again that has looked: a survey is at most a minute behind.
const FIRST_PAUSE: Millis = Millis::minutes(2);
/// The longest of such pauses; each is twice as long as the one before.
const LONGEST_PAUSE: Millis = Millis::minutes(10);
/// A survey that is older than so many intervals spares no look.
const INTERVALS: i64 = 3;

/// What a look that found a pool at rest left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Where its scale set is surveyed.
    pub scope: Scope,
    /// ARM id of the scale set, lower case.
    pub set: String,
    /// What the look showed.
    pub line: Line,
    /// When it began.
    pub looked: Timestamp,
    /// What was wanted: under another declaration it proves nothing.
    pub desired: Desired,
}

/// A pool that was woken by a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Woken {
    seen: Option<Line>,
    at: Timestamp,
    pause: Millis,
}

#[derive(Debug)]
struct Entry<P> {
    pool: P,
    /// `None`: it moves, and looks for itself.
    rest: Option<Rest>,
    woken: Option<Woken>,
}

/// All pools that have been at rest, by UID, and the last whole survey of each scope. `P`: how a pool is woken.
#[derive(Debug)]
pub struct Roster<P> {
    pools: BTreeMap<String, Entry<P>>,
    surveys: BTreeMap<Scope, (Timestamp, BTreeMap<String, Line>)>,
}

impl<P> Default for Roster<P> {
    fn default() -> Self {
        Self {
            pools: BTreeMap::new(),
            surveys: BTreeMap::new(),
        }
    }
}

impl<P: Clone> Roster<P> {
    /// A look has found a pool at rest.
    pub fn rests(&mut self, uid: &str, pool: P, rest: Rest) {
        let woken = self.pools.remove(uid).and_then(|entry| entry.woken);
        let rest = Some(rest);
        self.pools
            .insert(uid.to_owned(), Entry { pool, rest, woken });
    }

    /// A pool is about to be looked at, and may have moved.
    pub fn rises(&mut self, uid: &str) {
        if let Some(entry) = self.pools.get_mut(uid) {
            entry.rest = None;
        }
    }

    /// A pool is gone.
    pub fn forget(&mut self, uid: &str) {
        self.pools.remove(uid);
    }

    /// Where pools are at rest. Surveys of other places are dropped.
    pub fn scopes(&mut self) -> Vec<Scope> {
        let resting = self.pools.values().filter_map(|one| one.rest.as_ref());
        let scopes: std::collections::BTreeSet<Scope> =
            resting.map(|rest| rest.scope.clone()).collect();
        self.surveys.retain(|scope, _| scopes.contains(scope));
        scopes.into_iter().collect()
    }

    /// Takes in a survey; the pools to wake. One that is unknown changes nothing: the one before it grows old.
    pub fn hear(&mut self, scope: &Scope, survey: Survey, now: Timestamp) -> Vec<P> {
        let Survey::Known { at, lines } = survey else {
            return Vec::new();
        };
        let mut wake = Vec::new();
        for entry in self.pools.values_mut() {
            let Some(rest) = entry.rest.as_ref().filter(|rest| rest.scope == *scope) else {
                continue;
            };
            if at < rest.looked {
                continue;
            }
            let seen = lines.get(&rest.set).copied();
            let (wakes, woken) = difference(rest.line, seen, entry.woken, now);
            entry.woken = woken;
            if wakes {
                wake.push(entry.pool.clone());
            }
        }
        self.surveys.insert(scope.clone(), (at, lines));
        wake
    }

    /// Whether a pool's look may be left out: nothing is wanted that was not wanted then, and a whole survey, not older than three
    /// intervals, shows its set as that look left it.
    pub fn spares(&self, uid: &str, desired: &Desired, now: Timestamp) -> bool {
        let Some(rest) = self.pools.get(uid).and_then(|entry| entry.rest.as_ref()) else {
            return false;
        };
        let Some((at, lines)) = self.surveys.get(&rest.scope) else {
            return false;
        };
        let longest = Millis(desired.pace.rest.0.saturating_mul(INTERVALS));
        rest.desired == *desired && *at + longest >= now && lines.get(&rest.set) == Some(&rest.line)
    }
}

/// Whether what a survey shows (`seen`; `None`: no such set) wakes a pool whose look showed `line`, and what to remember of it.
fn difference(
    line: Line,
    seen: Option<Line>,
    before: Option<Woken>,
    now: Timestamp,
) -> (bool, Option<Woken>) {
    if seen == Some(line) {
        return (false, None);
    }
    let woken = |pause: Millis| {
        let at = now;
        (true, Some(Woken { seen, at, pause }))
    };
    match before.filter(|before| before.seen == seen) {
        // It has looked since, and found the same: the survey is behind, or sees something that a look does not.
        Some(before) if now < before.at + before.pause => (false, Some(before)),
        Some(before) => woken(Millis((before.pause.0 * 2).min(LONGEST_PAUSE.0))),
        None => woken(FIRST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Contents;
    use crate::controller::desired::resolve;
    use crate::controller::fixtures::{pool, settings};
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_000_000);
    const LINE: Line = Line {
        capacity: 3,
        settled: true,
        running: 3,
        deallocated: 0,
        other: 0,
        traits: 7,
    };
    const FALLEN: Line = Line {
        capacity: 2,
        running: 2,
        ..LINE
    };

    fn desired() -> Desired {
        let resolved = resolve(&pool(json!({})), Contents::default(), &settings());
        resolved.unwrap().desired
    }

    fn here() -> Scope {
        Scope {
            subscription: "s".into(),
            location: "eastus".into(),
            identity: crate::cloud::Identity::Operator,
        }
    }

    fn rest(looked: Timestamp) -> Rest {
        Rest {
            scope: here(),
            set: "/set".into(),
            line: LINE,
            looked,
            desired: desired(),
        }
    }

    fn shows(line: Option<Line>, at: Timestamp) -> Survey {
        let lines = line.map(|line| ("/set".to_owned(), line));
        Survey::Known {
            at,
            lines: lines.into_iter().collect(),
        }
    }

    fn resting() -> Roster<&'static str> {
        let mut roster = Roster::default();
        roster.rests("uid", "render", rest(NOW));
        roster
    }

    fn later(seconds: i64) -> Timestamp {
        NOW + Millis::seconds(seconds)
    }

    #[test]
    fn a_survey_that_shows_what_the_look_showed_wakes_nobody_and_spares_a_look() {
        let mut roster = resting();
        assert!(!roster.spares("uid", &desired(), NOW), "no survey yet");
        let woken = roster.hear(&here(), shows(Some(LINE), later(10)), later(10));
        assert_eq!(woken, Vec::<&str>::new());
        assert!(roster.spares("uid", &desired(), later(30)));
        assert!(!roster.spares("another", &desired(), later(30)));
    }

    #[test]
    fn nothing_is_spared_that_the_survey_does_not_vouch_for() {
        let spares = |change: &dyn Fn(&mut Roster<&'static str>), now| {
            let mut roster = resting();
            roster.hear(&here(), shows(Some(LINE), later(10)), later(10));
            change(&mut roster);
            roster.spares("uid", &desired(), now)
        };
        assert!(spares(&|_| {}, later(100)));
        assert!(!spares(&|_| {}, later(101)), "older than three intervals");
        for (what, seen) in [("differs", Some(FALLEN)), ("is missing", None)] {
            let differs = |roster: &mut Roster<_>| {
                roster.hear(&here(), shows(seen, later(20)), later(20));
            };
            assert!(!spares(&differs, later(30)), "the set {what}");
        }
        assert!(
            !spares(&|roster| roster.rises("uid"), later(30)),
            "it moves"
        );
        let mut roster = resting();
        roster.hear(&here(), shows(Some(LINE), later(10)), later(10));
        let mut other = desired();
        other.spot += 1;
        assert!(!roster.spares("uid", &other, later(30)), "more is wanted");
    }

    #[test]
    fn an_unknown_survey_takes_nothing_away_and_the_last_one_grows_old() {
        let mut roster = resting();
        roster.hear(&here(), shows(Some(LINE), later(10)), later(10));
        let unknown = Survey::Unknown("500".into());
        assert_eq!(roster.hear(&here(), unknown, later(40)), Vec::<&str>::new());
        assert!(roster.spares("uid", &desired(), later(60)));
        assert!(!roster.spares("uid", &desired(), later(101)));
    }

    #[test]
    fn a_difference_wakes_once_and_again_only_after_growing_pauses() {
        let mut roster = resting();
        let mut wakes = Vec::new();
        for second in (0..3_600).step_by(30) {
            let now = later(second);
            if !roster
                .hear(&here(), shows(Some(FALLEN), now), now)
                .is_empty()
            {
                wakes.push(second);
                // Its own look finds nothing changed.
                roster.rises("uid");
                roster.rests("uid", "render", rest(now));
            }
        }
        assert_eq!(wakes, [0, 120, 360, 840, 1_440, 2_040, 2_640, 3_240]);
    }

    #[test]
    fn another_difference_wakes_at_once_and_agreement_ends_the_pause() {
        let mut roster = resting();
        let mut hear = |seen, second| {
            let now = later(second);
            !roster.hear(&here(), shows(seen, now), now).is_empty()
        };
        assert!(hear(Some(FALLEN), 0));
        assert!(!hear(Some(FALLEN), 30));
        assert!(hear(None, 60), "missing is another difference");
        assert!(!hear(Some(LINE), 90));
        assert!(
            hear(Some(FALLEN), 120),
            "what has been resolved is new again"
        );
    }

    #[test]
    fn a_survey_from_before_the_look_and_one_of_another_place_say_nothing() {
        let mut roster = resting();
        let before = NOW + Millis(-1);
        assert!(roster.hear(&here(), shows(None, before), NOW).is_empty());
        let elsewhere = Scope {
            location: "westus".into(),
            ..here()
        };
        assert!(
            roster
                .hear(&elsewhere, shows(None, later(1)), later(1))
                .is_empty()
        );
        assert_eq!(roster.scopes(), [here()]);
        roster.forget("uid");
        assert_eq!(roster.scopes(), []);
    }
}
