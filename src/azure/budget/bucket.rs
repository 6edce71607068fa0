//! One token bucket, as Azure keeps them for its limits: filled at a steady rate up to its depth, a call takes one token.
//!
//! In: calls made and what Azure said of them. Out: when so many tokens are there. What we do not see (other clients, a limit raised by
//! Azure) arrives with the answers: our count is moved as far as an answer proves it wrong, and no further.

use spotpool_core::units::{Millis, Timestamp};

/// A token in parts: n tokens a minute are n parts a millisecond, so that nothing is ever rounded.
pub(super) const ONE: i64 = 60_000;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Tokens a minute.
    pub(super) per_minute: u32,
    /// Tokens at the most.
    pub(super) depth: u32,
}

/// Where no limit is documented for a resource, it can still be closed by a `Retry-After`.
pub(super) const UNLIMITED: Rate = Rate {
    per_minute: 10_000_000,
    depth: 10_000_000,
};

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Parts, as of `at`.
    level: i64,
    /// In the future: nothing is to be had before.
    at: Timestamp,
    sent: u64,
    answered: u64,
}

impl Bucket {
    /// Untouched so far, as far as we know.
    pub(super) fn full(rate: Rate, now: Timestamp) -> Self {
        Self {
            rate,
            level: i64::from(rate.depth) * ONE,
            at: now,
            sent: 0,
            answered: 0,
        }
    }

    fn parts(&self, now: Timestamp) -> i64 {
        let filled = (now - self.at)
            .0
            .max(0)
            .saturating_mul(self.rate.per_minute.into());
        self.level
            .saturating_add(filled)
            .min(i64::from(self.rate.depth) * ONE)
    }

    /// Whole tokens that are there now.
    pub(super) fn tokens(&self, now: Timestamp) -> u32 {
        if now < self.at {
            return 0;
        }
        u32::try_from(self.parts(now) / ONE).unwrap_or(0)
    }

    /// When so many parts are there, if nobody takes any; not before `now`.
    pub(super) fn when(&self, parts: i64, now: Timestamp) -> Timestamp {
        let from = now.max(self.at);
        let rate = i64::from(self.rate.per_minute.max(1));
        let missing = parts.saturating_sub(self.parts(from)).max(0);
        from + Millis(missing.saturating_add(rate - 1) / rate)
    }

    /// From one token to the next.
    pub(super) fn interval(&self) -> Millis {
        let rate = i64::from(self.rate.per_minute.max(1));
        Millis((ONE + rate - 1) / rate)
    }

    /// How much of it so many sixtieths are, in whole tokens rounded up; in parts.
    pub(super) fn share(&self, sixtieths: u32) -> i64 {
        i64::from(self.rate.depth.saturating_mul(sixtieths).div_ceil(60)) * ONE
    }

    /// A call is sent. Returned is how many were answered before: what Azure says of this one counts at least those.
    pub(super) fn take(&mut self, now: Timestamp) -> u64 {
        self.spend(1, now);
        self.sent += 1;
        self.answered
    }

    /// So many tokens are gone, beyond what calls usually take.
    pub(super) fn spend(&mut self, tokens: u32, now: Timestamp) {
        self.level = self.parts(now) - i64::from(tokens) * ONE;
        self.at = self.at.max(now);
    }

    /// A call is over, answered or not.
    pub(super) fn over(&mut self) {
        self.answered += 1;
    }

    /// Azure has so many tokens left after a call that was sent when `before` others were answered.
    pub(super) fn hear(&mut self, left: u32, before: u64, now: Timestamp) {
        if now < self.at {
            return; // Closed: a word from before does not open it.
        }
        self.rate.depth = self.rate.depth.max(left);
        let left = i64::from(left) * ONE;
        // Calls that Azure may not have counted yet when it said so: those not answered when this one was sent, but for itself.
        let uncounted = self.sent.saturating_sub(before.saturating_add(1));
        let least = left.saturating_sub(
            i64::try_from(uncounted)
                .unwrap_or(i64::MAX)
                .saturating_mul(ONE),
        );
        // Azure rounds down.
        self.level = self.parts(now).clamp(least.max(0), left + ONE - 1);
        self.at = now;
    }

    /// Azure refuses until then: one token is there at that moment, and the rest fills up from there.
    pub(super) fn close(&mut self, until: Timestamp) {
        if until > self.at {
            self.at = until;
            self.level = ONE;
        }
    }

    /// Whether more than an eighth of what it can hold is gone.
    pub(super) fn lacks_an_eighth(&self, now: Timestamp) -> bool {
        self.tokens(now) < self.rate.depth - self.rate.depth / 8
    }

    /// Whether its limit is documented at all.
    pub(super) fn is_limited(&self) -> bool {
        self.rate != UNLIMITED
    }

    /// Whether it is as good as new.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.sent == self.answered
            && now >= self.at
            && self.parts(now) >= i64::from(self.rate.depth) * ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp(1_000_000);
    const RATE: Rate = Rate {
        per_minute: 4,
        depth: 12,
    };

    fn after(taken: u32) -> Bucket {
        let mut bucket = Bucket::full(RATE, T0);
        for _ in 0..taken {
            bucket.take(T0);
            bucket.over();
        }
        bucket
    }

    #[test]
    fn gives_its_depth_at_once_and_then_its_rate() {
        let bucket = after(12);
        assert_eq!(bucket.tokens(T0), 0);
        assert_eq!(bucket.when(ONE, T0), T0 + Millis::seconds(15));
        assert_eq!(
            bucket.when(ONE, T0 + Millis::seconds(7)),
            T0 + Millis::seconds(15),
            "asking again changes nothing"
        );
        assert_eq!(
            bucket.tokens(T0 + Millis::minutes(60)),
            12,
            "no more than full"
        );
    }

    #[test]
    fn believes_what_azure_has_left_whether_less_or_more() {
        let mut bucket = after(2);
        let before = bucket.take(T0);
        bucket.hear(3, before, T0);
        assert_eq!(bucket.tokens(T0), 3, "others call too");
        bucket.over();
        let before = bucket.take(T0);
        bucket.hear(40, before, T0);
        assert_eq!(bucket.tokens(T0), 40, "the limit was raised");
    }

    #[test]
    fn an_answer_does_not_bring_back_what_calls_under_way_have_taken() {
        let mut bucket = after(4);
        let first = bucket.take(T0);
        let (_, _) = (bucket.take(T0), bucket.take(T0));
        assert_eq!(bucket.tokens(T0), 5);
        // Azure had not seen the other two yet.
        bucket.hear(7, first, T0);
        assert_eq!(bucket.tokens(T0), 5);
        bucket.hear(9, first, T0);
        assert_eq!(bucket.tokens(T0), 7, "at least so many are left of nine");
    }

    #[test]
    fn closed_is_closed_whatever_older_answers_say() {
        let mut bucket = after(2);
        let before = bucket.take(T0);
        let until = T0 + Millis::seconds(30);
        bucket.close(until);
        bucket.hear(9, before, T0);
        bucket.close(T0 + Millis::seconds(10));
        assert_eq!(bucket.tokens(until + Millis(-1)), 0);
        assert_eq!(bucket.when(ONE, T0), until);
        assert_eq!(bucket.when(2 * ONE, T0), until + Millis::seconds(15));
    }
}
