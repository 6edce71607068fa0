//! Azure's side of a history: the documented limits, counted by Azure itself and in floating point.

use super::*;

/// One of the documented limits, counted by Azure itself, in floating point.
pub(super) struct Limit {
    a_minute: f64,
    depth: f64,
    pub(super) tokens: f64,
    at: Timestamp,
}

impl Limit {
    pub(super) fn new((a_minute, depth): (f64, f64)) -> Self {
        Self {
            a_minute,
            depth,
            tokens: depth,
            at: T0,
        }
    }

    pub(super) fn fill(&mut self, now: Timestamp) -> f64 {
        let passed = (now - self.at).0 as f64 / 60_000.0;
        self.tokens = (self.tokens + passed * self.a_minute).min(self.depth);
        self.at = now;
        self.tokens
    }

    /// Seconds to wait, if it is empty.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<i64> {
        if self.fill(now) < 1.0 {
            return Some(((1.0 - self.tokens) / self.a_minute * 60.0).ceil() as i64);
        }
        self.tokens -= 1.0;
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Get,
    List,
    Patch,
    /// [`Get`](Self::Get) and then [`List`](Self::List), or neither.
    Look,
}

/// Names of the limits of a call, as Azure has them, with what they hold for and their figures.
pub(super) fn limits(
    kind: Kind,
    subscription: &str,
    pool: &str,
) -> Vec<(String, &'static str, (f64, f64))> {
    let (arm, arm_rate, policy, shared, own) = match kind {
        Kind::Get => (
            "subscription-reads",
            (1_500.0, 250.0),
            "LowCostGetVMScaleSet",
            (800.0, 2_400.0),
            Some((12.0, 36.0)),
        ),
        Kind::List | Kind::Look => (
            "subscription-reads",
            (1_500.0, 250.0),
            "HighCostGet",
            (300.0, 900.0),
            None,
        ),
        Kind::Patch => (
            "subscription-writes",
            (600.0, 200.0),
            "UpdateVMScaleSet",
            (500.0, 1_500.0),
            Some((4.0, 12.0)),
        ),
    };
    let mut all = vec![
        (format!("{subscription} {arm}"), "arm", arm_rate),
        (
            format!("{subscription} {policy}"),
            "SubscriptionMaximum",
            shared,
        ),
    ];
    all.extend(own.map(|own| (format!("{subscription} {policy} {pool}"), "Resource", own)));
    all
}

/// A pool's question of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) subscription: &'static str,
    pub(super) pool: String,
    pub(super) kind: Kind,
}

impl Question {
    /// What it takes, one after the other.
    pub(super) fn parts(&self) -> &'static [Kind] {
        match self.kind {
            Kind::Get => &[Kind::Get],
            Kind::List => &[Kind::List],
            Kind::Patch => &[Kind::Patch],
            Kind::Look => &[Kind::Get, Kind::List],
        }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        let call = |part: &Kind| match part {
            Kind::Get => get(self.subscription, &self.pool),
            Kind::Patch => patch(self.subscription, &self.pool),
            Kind::List | Kind::Look => list(self.subscription, &self.pool),
        };
        self.parts().iter().map(call).collect()
    }

    /// The limits of one of its parts.
    pub(super) fn limits(&self, part: usize) -> Vec<(String, &'static str, (f64, f64))> {
        limits(self.parts()[part], self.subscription, &self.pool)
    }

    /// The limits of all of them.
    pub(super) fn all_limits(&self) -> Vec<(String, &'static str, (f64, f64))> {
        let parts = 0..self.parts().len();
        parts.flat_map(|part| self.limits(part)).collect()
    }

    /// Lists have no limit of their own, so that those of a subscription form one line.
    pub(super) fn is_in_line(&self) -> bool {
        self.kind == Kind::List && self.subscription == "busy"
    }
}
