//! One history, judged step by step.

use super::azure::{Kind, Limit, Question};
use super::*;

impl Waiting {
    fn place(&self) -> (Urgency, u64) {
        (self.urgency, self.number)
    }
}

#[derive(Clone, Copy)]
struct Waiting {
    urgency: Urgency,
    number: u64,
    at: Timestamp,
    never_comes: bool,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

/// A call that Azure has not answered yet.
struct UnderWay {
    answered: Timestamp,
    question: Question,
    part: usize,
    permit: Permit,
}

pub(super) struct History<K> {
    keeper: K,
    dice: Dice,
    /// Nobody else calls.
    alone: bool,
    /// Most have something to rescue: of no limit anything is left.
    urgent: bool,
    now: Timestamp,
    azure: BTreeMap<String, Limit>,
    /// Sent so far, by limit: how many, and the largest debt of any window that ends now.
    windows: BTreeMap<String, (f64, f64)>,
    /// Until when a limit is closed, by Azure's own word as it arrived.
    closed: BTreeMap<String, Timestamp>,
    waiting: BTreeMap<Question, Waiting>,
    under_way: Vec<UnderWay>,
    asked: u64,
}

impl<K: Keeper> History<K> {
    pub(super) fn new(keeper: K, seed: u64) -> Self {
        Self {
            keeper,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            alone: seed.is_multiple_of(2),
            urgent: seed.is_multiple_of(4),
            now: T0,
            azure: BTreeMap::new(),
            windows: BTreeMap::new(),
            closed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            under_way: Vec::new(),
            asked: 0,
        }
    }

    /// A minute of storm, then as long as it takes everybody to get through.
    pub(super) fn run(mut self) -> Result<u64, String> {
        for step in 0..400 {
            self.now = self.now + Millis(self.dice.roll(300) as i64);
            self.step(true)
                .map_err(|law| format!("step {step}: {law}"))?;
        }
        for _ in 0..6_000 {
            self.now = self.now + Millis(100);
            self.step(false)
                .map_err(|law| format!("afterwards: {law}"))?;
            self.waiting.retain(|_, one| !one.never_comes);
            if self.waiting.is_empty() && self.under_way.is_empty() {
                return Ok(self.asked);
            }
        }
        Err(format!("converges: {} still wait", self.waiting.len()))
    }

    fn step(&mut self, storm: bool) -> Result<(), String> {
        self.answers()?;
        let due: Vec<Question> = self.due();
        for question in due {
            let urgency = self.waiting[&question].urgency;
            self.ask(question, urgency)?;
        }
        if storm {
            for _ in 0..self.dice.roll(25) {
                let question = self.question();
                let urgency = self.urgency();
                // A pool looks again only when it has looked.
                let looks = question.kind == Kind::Look
                    && self.under_way.iter().any(|one| one.question == question);
                if !looks && !self.waiting.contains_key(&question) {
                    self.ask(question, urgency)?;
                }
            }
            self.others_call();
        }
        if self.dice.roll(10) == 0 {
            self.everybody_asks_early()?;
        }
        Ok(())
    }

    fn due(&self) -> Vec<Question> {
        let come = self
            .waiting
            .iter()
            .filter(|(_, one)| one.at <= self.now && !one.never_comes);
        come.map(|(question, _)| question.clone()).collect()
    }

    fn question(&mut self) -> Question {
        let kind = [Kind::Get, Kind::List, Kind::List, Kind::Patch, Kind::Look]
            [self.dice.roll(5) as usize];
        let calm = self.dice.roll(100) == 0;
        let pool = self.dice.roll(if calm { 10 } else { 100 });
        // Who waits for a list is known by it: a pool does not wait for another look besides.
        let name = if kind == Kind::Look { "looks" } else { "pool" };
        Question {
            subscription: if calm { "calm" } else { "busy" },
            pool: format!("{name}-{pool}"),
            kind,
        }
    }

    fn urgency(&mut self) -> Urgency {
        match self.dice.roll(10) {
            0 => Urgency::Rescue,
            4.. if self.urgent => Urgency::Rescue,
            1 => Urgency::Change,
            2 => Urgency::Tidying,
            _ => Urgency::Looking,
        }
    }

    fn ask(&mut self, question: Question, urgency: Urgency) -> Result<(), String> {
        self.asked += 1;
        match self.keeper_lets(&question, urgency) {
            Ok(permit) => self.send(question, urgency, permit),
            Err(at) => self.book(question, urgency, at),
        }
    }

    /// Asks for the turn of a question: the permit of its only part, or none yet for one of several.
    fn keeper_lets(
        &mut self,
        question: &Question,
        urgency: Urgency,
    ) -> Result<Option<Permit>, Timestamp> {
        let mut calls = question.calls();
        if calls.len() > 1 {
            let turn = self.keeper.turn(&calls, urgency, self.now);
            return turn.map(|()| None);
        }
        let permit = self.keeper.ask(calls.remove(0), urgency.into(), self.now);
        permit.map(Some)
    }

    fn send(
        &mut self,
        question: Question,
        urgency: Urgency,
        permit: Option<Permit>,
    ) -> Result<(), String> {
        let mine = self.waiting.remove(&question);
        let mine = mine.map_or((urgency, self.asked), |one| one.place());
        let passed = |(other, one): &(&Question, &Waiting)| {
            other.is_in_line() && one.place() < mine && one.at > self.now
        };
        if question.is_in_line()
            && let Some((other, one)) = self.waiting.iter().find(passed)
        {
            let theirs = one.place();
            return Err(format!(
                "order: {question:?} {mine:?} passes {other:?} {theirs:?}"
            ));
        }
        match permit {
            Some(permit) => self.goes(question, 0, permit),
            None => self.next_part(question, 0),
        }
    }

    /// One part of a question that has its turn.
    fn next_part(&mut self, question: Question, part: usize) -> Result<(), String> {
        let call = question.calls().remove(part);
        match self.keeper.ask(call, Claim::Granted, self.now) {
            Ok(permit) => self.goes(question, part, permit),
            // Azure may have closed a limit, or others used it up, after the first part.
            Err(_) if part > 0 && (!self.alone || self.is_closed(&question, part)) => {
                self.keeper.leave(&question.calls()[part]);
                Ok(())
            }
            Err(_) => Err(format!(
                "whole: {question:?} has its turn and not its part {part}"
            )),
        }
    }

    fn is_closed(&self, question: &Question, part: usize) -> bool {
        let closed = |name| self.closed.get(name).is_some_and(|until| *until > self.now);
        question.limits(part).iter().any(|(name, ..)| closed(name))
    }

    fn goes(&mut self, question: Question, part: usize, permit: Permit) -> Result<(), String> {
        for (name, _, (a_minute, depth)) in question.limits(part) {
            if let Some(until) = self.closed.get(&name).filter(|until| **until > self.now) {
                return Err(format!(
                    "Retry-After: {question:?} is sent {:?} early",
                    *until - self.now
                ));
            }
            let (sent, debt) = self.windows.entry(name.clone()).or_insert((0.0, 0.0));
            // A window from call i to call j has j - i + 1 calls and at most depth + rate * length: the worst i is kept.
            let filled = (self.now - T0).0 as f64 / 60_000.0 * a_minute;
            *debt = debt.max(filled - *sent);
            *sent += 1.0;
            if *sent + *debt - filled > depth + 1e-6 {
                return Err(format!("limits: {name} bears no call more"));
            }
        }
        let answered = self.now + Millis(self.dice.roll(2_000) as i64);
        self.under_way.push(UnderWay {
            answered,
            question,
            part,
            permit,
        });
        Ok(())
    }

    fn book(&mut self, question: Question, urgency: Urgency, at: Timestamp) -> Result<(), String> {
        if at <= self.now {
            return Err(format!(
                "future: {question:?} is to come at a time that is over"
            ));
        }
        // Nothing can keep the calm subscription waiting but a refusal of its own, nor a pool for another one's sake.
        let closed = |name: &String| {
            self.closed
                .get(name)
                .is_some_and(|until| *until + Millis::minutes(1) > self.now)
        };
        if question.subscription == "calm"
            && !question.all_limits().iter().any(|(name, ..)| closed(name))
        {
            return Err(format!(
                "only its own: {question:?} waits although nothing is closed"
            ));
        }
        let again = self.keeper_lets(&question, urgency).err();
        if again != Some(at) {
            return Err(format!(
                "kept: {question:?} was promised {at:?} and is then told {again:?}"
            ));
        }
        let number = self.asked;
        let never_comes = self.dice.roll(40) == 0;
        let one = self.waiting.entry(question).or_insert(Waiting {
            urgency,
            number,
            at,
            never_comes,
        });
        one.at = at;
        Ok(())
    }

    /// All who wait ask again before their time: nobody goes early, no promise comes nearer, and they come in their order.
    fn everybody_asks_early(&mut self) -> Result<(), String> {
        let mut lists = Vec::new();
        let mut line: Vec<_> = self.waiting.clone().into_iter().collect();
        line.sort_by_key(|(_, one)| one.place());
        for (question, one) in line {
            if one.at <= self.now {
                continue; // Late: may have lost its place.
            }
            match self.keeper_lets(&question, one.urgency) {
                Ok(_) => return Err(format!("kept: {question:?} goes before its time")),
                Err(at) if at < one.at => {
                    return Err(format!("kept: {question:?} is told an earlier time"));
                }
                Err(at) => {
                    self.waiting
                        .entry(question.clone())
                        .and_modify(|one| one.at = at);
                    if question.is_in_line() {
                        lists.push((one.place(), at));
                    }
                }
            }
        }
        match lists.windows(2).find(|pair| pair[0].1 >= pair[1].1) {
            Some(pair) => Err(format!(
                "order: {:?} comes no sooner than {:?}",
                pair[0], pair[1]
            )),
            None => Ok(()),
        }
    }

    /// Somebody else uses up a part of the busy subscription's limits.
    fn others_call(&mut self) {
        let question = self.question();
        if self.alone || question.subscription == "calm" {
            return;
        }
        for (name, _, rate) in question.all_limits() {
            let limit = self.azure.entry(name).or_insert_with(|| Limit::new(rate));
            for _ in 0..8 {
                let _ = limit.take(self.now);
            }
        }
    }

    fn answers(&mut self) -> Result<(), String> {
        let now = self.now;
        let (mut due, later): (Vec<_>, _) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|one| one.answered <= now);
        self.under_way = later;
        due.sort_by_key(|one| one.answered);
        for one in due {
            let (question, next) = (one.question, one.part + 1);
            self.answer(&question, one.part, one.permit);
            if next < question.parts().len() {
                self.next_part(question, next)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, question: &Question, part: usize, permit: Permit) {
        let now = self.now;
        let mut left = Vec::new();
        for (name, scope, rate) in question.limits(part) {
            let azure = self
                .azure
                .entry(name.clone())
                .or_insert_with(|| Limit::new(rate));
            // Now and then Azure refuses a single set for reasons of its own.
            let often = if question.subscription == "calm" {
                5
            } else {
                100
            };
            let whim = scope == "Resource" && self.dice.roll(often) == 0;
            let refused = azure.take(now).or(whim.then_some(45));
            let policy = name.split(' ').nth(1).unwrap();
            if let Some(seconds) = refused {
                let until = now + Millis::seconds(seconds);
                let closed = self.closed.entry(name.clone()).or_insert(until);
                *closed = until.max(*closed);
                let body = match scope {
                    "arm" => ARM.to_owned(),
                    scope => compute(&format!("{policy}{scope}")),
                };
                let (headers, error) = refusal(429, &seconds.to_string(), &body, now);
                self.keeper.settle(permit, &headers, Some(&error), now);
                return;
            }
            left.push((scope, policy.to_owned(), azure.tokens as u32));
        }
        let mut headers = HeaderMap::new();
        let resource: Vec<String> = left[1..]
            .iter()
            .map(|(scope, policy, n)| format!("Microsoft.Compute/{policy}{scope};{n}"))
            .collect();
        let insert = |headers: &mut HeaderMap, name: &str, value: &str| {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        };
        insert(
            &mut headers,
            "x-ms-ratelimit-remaining-resource",
            &resource.join(","),
        );
        let (_, arm, n) = &left[0];
        insert(
            &mut headers,
            &format!("x-ms-ratelimit-remaining-{arm}"),
            &n.to_string(),
        );
        self.keeper.settle(permit, &headers, None, now);
    }
}
