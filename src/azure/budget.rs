//! One budget for all calls to Azure: who may call now, and when else.
//!
//! ```text
//! call ─▶ class: which limits it counts against ─▶ ask ─▶ a permit, and what came of the call goes to `settle`
//!                                                    └──▶ or an instant, booked: nobody else gets it
//! calls of a look ─▶ turn: all of them or none ─▶ each is granted, or an instant
//! ```
//!
//! Pure: it is told the time and what Azure answered, and keeps count. It never lets more through than Azure's limits bear, obeys
//! every `Retry-After` for whatever it is about (a resource, or a subscription; never another one), and orders those who have to wait:
//! by urgency, then first come first served. Of every limit that pools share, the less urgent leave the last part to the more urgent.

mod bucket;
mod class;

use http::HeaderMap;
use spotpool_core::units::{Millis, Timestamp};
use std::collections::BTreeMap;

use super::arm_error::ArmError;
use super::errors;
use crate::cloud::{Remaining, Urgency};
use bucket::{Bucket, ONE};
use class::BucketId;
pub(in crate::azure) use class::Call;

/// How long after its instant a booking is kept for whoever has it: a pool comes when its turn comes and looks before it writes.
const PATIENCE: Millis = Millis::minutes(1);
/// What a refusal without, or with a senseless, `Retry-After` closes for at least.
const SHORTEST_CLOSURE: Millis = Millis::seconds(1);
/// From so many buckets on, those that are full again are dropped: a missing one counts as full.
const MANY_BUCKETS: usize = 1_024;

/// The budget, for all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Budget(BTreeMap<String, Limits>);

/// What is known of one subscription's limits.
#[derive(Debug, Default)]
struct Limits {
    buckets: BTreeMap<BucketId, Bucket>,
    /// Who waits, by [`Call::line`].
    line: BTreeMap<String, Booking>,
    tickets: u64,
}

#[derive(Debug)]
struct Booking {
    place: Place,
    at: Timestamp,
    /// When each of its limits lets it go: the last of them is its instant. In the line for one limit, another does not matter.
    turns: Vec<(Need, Timestamp)>,
}

/// What is taken from one limit.
#[derive(Clone, Debug)]
struct Need {
    from: BucketId,
    rate: bucket::Rate,
    tokens: u32,
}

impl Need {
    fn parts(&self) -> i64 {
        ONE.saturating_mul(self.tokens.into())
    }
}

/// Whether a call waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::azure) enum Claim {
    /// It does, by urgency.
    Waits(Urgency),
    /// It is part of what has got its turn ([`Budget::turn`]), or spares those who wait more than it takes.
    Granted,
}

impl From<Urgency> for Claim {
    fn from(urgency: Urgency) -> Self {
        Self::Waits(urgency)
    }
}

/// The more urgent is the smaller, then who came first.
type Place = (Urgency, u64);

/// Leave to send one call. What came of it goes to [`Budget::settle`].
#[derive(Debug)]
pub(super) struct Permit {
    call: Call,
    /// For each of the call's buckets what [`Bucket::take`] said.
    before: Vec<u64>,
}

/// An answer, as far as limits go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    pub(super) headers: &'a HeaderMap,
    /// When it was no yes.
    pub(super) error: Option<&'a ArmError>,
}

impl Budget {
    /// Asks for leave to send a call now.
    ///
    /// # Errors
    /// Not now: the instant that is booked for this call. Asking again before brings the same instant, or a later one if something more
    /// urgent came in between or Azure wants more patience.
    pub(super) fn ask(
        &mut self,
        call: Call,
        claim: impl Into<Claim>,
        now: Timestamp,
    ) -> Result<Permit, Timestamp> {
        let limits = self.0.entry(call.subscription.clone()).or_default();
        limits.tidy(now);
        let needs = needs(std::slice::from_ref(&call));
        let at = match claim.into() {
            Claim::Waits(urgency) if !call.goes_on => limits.book(needs, &call.line, urgency, now),
            // A list is read whole or not at all: to stop before its last page would have spent the others for nothing.
            Claim::Waits(_) | Claim::Granted => limits.there(&needs, 0, now),
        };
        if at > now {
            return Err(at);
        }
        limits.line.remove(&call.line);
        let take = |(id, rate): &(BucketId, bucket::Rate)| {
            let bucket = limits.buckets.entry(id.clone());
            bucket.or_insert_with(|| Bucket::full(*rate, now)).take(now)
        };
        let before = call.counts.iter().map(take).collect();
        Ok(Permit { call, before })
    }

    /// Asks for the turn of calls that are of no use one without the others: until the last of them is sent, or [`left`](Self::leave), what
    /// all of them need is kept for them, and each goes by [`Claim::Granted`].
    ///
    /// # Errors
    /// Not now: the instant that is booked for all of them, as for one.
    pub(super) fn turn(
        &mut self,
        calls: &[Call],
        urgency: Urgency,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let Some(last) = calls.last() else {
            return Ok(());
        };
        let limits = self.0.entry(last.subscription.clone()).or_default();
        limits.tidy(now);
        let at = limits.book(needs(calls), &last.line, urgency, now);
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Whether a call can go so many times now, whoever waits: for what spares those who wait more than it takes.
    ///
    /// # Errors
    /// When it can, if nobody else calls.
    pub(super) fn fits(
        &mut self,
        call: &Call,
        times: usize,
        urgency: Urgency,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let limits = self.0.entry(call.subscription.clone()).or_default();
        let needs = needs(&vec![call.clone(); times]);
        let at = limits.there(&needs, left_to_others(urgency), now);
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Whether more than an eighth is used of a limit that this call shares with others: what can wait leaves it to them. So much is
    /// there for everybody when Azure is through with many sets at once.
    pub(super) fn is_scarce(&self, call: &Call, now: Timestamp) -> bool {
        let Some(limits) = self.0.get(&call.subscription) else {
            return false;
        };
        let shared = call.counts.iter().filter(|(id, _)| id.is_shared());
        let mut known = shared.filter_map(|(id, _)| limits.buckets.get(id));
        known.any(|bucket| bucket.lacks_an_eighth(now))
    }

    /// Nobody waits for this call any more.
    pub(super) fn leave(&mut self, call: &Call) {
        if let Some(limits) = self.0.get_mut(&call.subscription) {
            limits.line.remove(&call.line);
        }
    }

    /// Learns what came of a call; `None`: no answer.
    pub(super) fn settle(&mut self, permit: Permit, heard: Option<Heard<'_>>, now: Timestamp) {
        let Permit { call, before } = permit;
        let Some(limits) = self.0.get_mut(&call.subscription) else {
            return;
        };
        let left = heard.map(|heard| left(heard.headers)).unwrap_or_default();
        let charge = heard.map_or(1, |heard| charge(heard.headers));
        for ((id, _), before) in call.counts.iter().zip(before) {
            let Some(bucket) = limits.buckets.get_mut(id) else {
                continue;
            };
            match left.iter().find(|(name, _)| id.is_called(name)) {
                Some((_, left)) => bucket.hear(*left, before, now),
                None if id.counts_machines() => bucket.spend(charge.saturating_sub(1), now),
                None => {}
            }
            bucket.over();
        }
        let Some(error) = heard.and_then(|heard| heard.error) else {
            return;
        };
        if let Some(wait) = errors::closes_for(error) {
            let until = now + wait.max(SHORTEST_CLOSURE);
            let about = closed(&call, error, &left);
            if let Some(bucket) = about.and_then(|id| limits.buckets.get_mut(id)) {
                bucket.close(until);
            }
        }
    }

    /// What is left of every limit, as far as we know; of limits that each resource has, the least that any has.
    pub(super) fn remaining(&self, now: Timestamp) -> Vec<Remaining> {
        let mut least = BTreeMap::new();
        for (subscription, limits) in &self.0 {
            for (id, bucket) in limits.buckets.iter().filter(|(_, one)| one.is_limited()) {
                let tokens = bucket.tokens(now);
                let known = least.entry((subscription, id.name())).or_insert(tokens);
                *known = tokens.min(*known);
            }
        }
        least
            .into_iter()
            .map(|((subscription, bucket), tokens)| Remaining {
                subscription: subscription.clone(),
                bucket,
                tokens,
            })
            .collect()
    }
}

impl Limits {
    /// When there is enough for all, whoever waits, and of shared limits so many sixtieths more.
    fn there(&mut self, needs: &[Need], left: u32, now: Timestamp) -> Timestamp {
        let when = |need: &Need| {
            let bucket = self.bucket(need, now);
            let shared = need.from.is_shared();
            let left = if shared { bucket.share(left) } else { 0 };
            bucket.when(need.parts() + left, now)
        };
        needs.iter().map(when).max().unwrap_or(now)
    }

    fn bucket(&mut self, need: &Need, now: Timestamp) -> &mut Bucket {
        let bucket = self.buckets.entry(need.from.clone());
        bucket.or_insert_with(|| Bucket::full(need.rate, now))
    }

    /// The instant of whoever is known by `line`: the one that was booked before, if it still holds.
    fn book(
        &mut self,
        needs: Vec<Need>,
        line: &str,
        urgency: Urgency,
        now: Timestamp,
    ) -> Timestamp {
        let booked = self.line.get(line);
        let booked = booked.filter(|booking| booking.place.0 <= urgency);
        let place = booked.map_or((urgency, self.tickets), |booking| booking.place);
        let promised = booked.map_or(Vec::new(), |booking| booking.turns.clone());
        let mut turns = self.turns(needs, place, now);
        for (need, at) in &mut turns {
            let mut promised = promised.iter().filter(|(one, _)| one.from == need.from);
            *at = promised
                .next()
                .map_or(*at, |(_, promised)| *promised.max(at));
        }
        let at = turns.iter().map(|(_, at)| *at).max().unwrap_or(now);
        self.tickets = self.tickets.max(place.1 + 1);
        self.line
            .insert(line.to_owned(), Booking { place, at, turns });
        at
    }

    /// When each of the limits lets go whoever has this place in the line.
    fn turns(&mut self, needs: Vec<Need>, place: Place, now: Timestamp) -> Vec<(Need, Timestamp)> {
        let ahead = self.line.values().filter(|booking| booking.place < place);
        let mut ahead: Vec<&Booking> = ahead.collect();
        ahead.sort_by_key(|booking| booking.at);
        let turn = |need: Need| {
            let bucket = self.buckets.entry(need.from.clone());
            let bucket = bucket.or_insert_with(|| Bucket::full(need.rate, now));
            let mut parts = need.parts();
            if need.from.is_shared() {
                parts += bucket.share(left_to_others(place.0));
            }
            let (mut at, mut last) = (bucket.when(parts, now), now);
            let refilled = Millis(bucket.interval().0.saturating_mul(need.tokens.into()));
            for booking in &ahead {
                let mut turns = booking.turns.iter();
                let Some((its, turn)) = turns.find(|(one, _)| one.from == need.from) else {
                    continue;
                };
                if *turn > now {
                    last = last.max(*turn + refilled);
                }
                // What it needs is kept for whoever comes before. Who waits longer, for another limit, is in nobody's way.
                if booking.at <= at {
                    parts += its.parts();
                    at = bucket.when(parts, now);
                }
            }
            (need, at.max(last))
        };
        needs.into_iter().map(turn).collect()
    }

    fn tidy(&mut self, now: Timestamp) {
        self.line.retain(|_, booking| booking.at + PATIENCE >= now);
        if self.buckets.len() > MANY_BUCKETS {
            self.buckets.retain(|_, bucket| !bucket.is_idle(now));
        }
    }
}

/// What calls take, limit by limit.
fn needs(calls: &[Call]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for (id, rate) in calls.iter().flat_map(|call| &call.counts) {
        match needs.iter_mut().find(|need| need.from == *id) {
            Some(need) => need.tokens += 1,
            None => needs.push(Need {
                from: id.clone(),
                rate: *rate,
                tokens: 1,
            }),
        }
    }
    needs
}

/// How many sixtieths of a limit that pools share are left to the more urgent: enough for many at once, and soon full again.
fn left_to_others(urgency: Urgency) -> u32 {
    match urgency {
        Urgency::Rescue => 0,
        Urgency::Change => 1,
        Urgency::Tidying => 2,
        // After a storm those that only watch must not use up what those need that have yet to ask.
        Urgency::Looking => 15,
    }
}

/// What Azure says is left, by bucket: `x-ms-ratelimit-remaining-subscription-reads: 249` of ARM,
/// `x-ms-ratelimit-remaining-resource: Microsoft.Compute/HighCostGetSubscriptionMaximum;899,…` of Compute [REC cap 4, 9].
fn left(headers: &HeaderMap) -> Vec<(String, u32)> {
    let mut left = Vec::new();
    for (name, value) in headers {
        let name = match name.as_str() {
            // Resource Graph's own way to say the same [DOC resource-graph/concepts/guidance-for-throttled-requests].
            "x-ms-user-quota-remaining" => "x-ms-ratelimit-remaining-user-quota",
            name => name,
        };
        let Some(name) = name.strip_prefix("x-ms-ratelimit-remaining-") else {
            continue;
        };
        let value = value.to_str().unwrap_or_default();
        if name != "resource" {
            left.extend(value.trim().parse().ok().map(|n| (name.to_owned(), n)));
            continue;
        }
        left.extend(value.split(',').filter_map(|part| {
            let (name, n) = part.trim().split_once(';')?;
            let name = name.rsplit('/').next().unwrap_or(name);
            Some((name.to_owned(), n.trim().parse().ok()?))
        }));
    }
    left
}

/// How many machines a call was about, where these are counted [REC cap 4]. At least one, and no more than a set has.
fn charge(headers: &HeaderMap) -> u32 {
    let charge = headers.get("x-ms-request-charge");
    let charge = charge.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    charge.unwrap_or(1).clamp(1, 1_000)
}

/// The bucket of a call that an error is about. Any error that asks for patience asks it for the resource. A 429 names its limit; one that
/// does not is taken for Compute's whole subscription, since to go on with other resources is what it may forbid (ARM always names its own).
fn closed<'a>(call: &'a Call, error: &ArmError, left: &[(String, u32)]) -> Option<&'a BucketId> {
    let code = |wanted: &str| error.causes().any(|cause| cause.code == wanted);
    let resource = |id: &BucketId| matches!(id, BucketId::Resource(..));
    let arm = |id: &BucketId| matches!(id, BucketId::Arm(_));
    let named = |id: &BucketId| error.causes().any(|cause| id.is_called(&cause.target));
    let empty = |id: &BucketId| left.iter().any(|(name, n)| *n == 0 && id.is_called(name));
    let compute = |id: &BucketId| matches!(id, BucketId::Subscription(_));
    let guesses: &[&dyn Fn(&BucketId) -> bool] = if error.status != 429 {
        &[&resource]
    } else if code("SubscriptionRequestsThrottled") {
        &[&arm]
    } else {
        &[&named, &empty, &compute, &resource]
    };
    let ids = || call.counts.iter().map(|(id, _)| id);
    guesses.iter().find_map(|guess| ids().find(|id| guess(id)))
}

#[cfg(test)]
mod tests;
