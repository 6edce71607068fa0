//! When two twins are the same for all that may follow: the key by which an exhaustive search visits each state once.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{PLACE, Twin};
use crate::planner::{Action, Observed, Outcome};
use crate::units::{Etag, InstanceName, Seen};
use crate::world;

impl Twin {
    /// A number that is equal for two twins that behave alike from here on.
    pub fn key(&self) -> u64 {
        let (region, renaming) = self.region.canonical();
        let now = self.now();
        let rename = |name: &InstanceName| InstanceName(renaming.instance(name.as_str()));
        let set = world::SetKey::new(PLACE.0, PLACE.1);
        let re_etag = |etag: &Etag| renaming.etag(&set, etag.as_str().parse().unwrap_or(0));
        let retag = |etag: &Etag| Etag(re_etag(etag).to_string());
        let mut hasher = DefaultHasher::new();
        region.hash(&mut hasher);
        self.memory.relative(now, &rename, &retag).hash(&mut hasher);
        (
            self.desired.generation,
            self.desired.regular,
            self.desired.spot,
            self.desired.intent,
        )
            .hash(&mut hasher);
        self.next_look
            .saturating_sub(self.region.now())
            .hash(&mut hasher);
        self.unheard
            .and_then(|id| renaming.operations.get(&id))
            .hash(&mut hasher);
        let picture = |observed: &Observed, hasher: &mut DefaultHasher| {
            match &observed.set {
                Seen::Known {
                    value: Some(set), ..
                } => (
                    re_etag(&set.etag),
                    set.capacity,
                    set.base,
                    set.state,
                    &set.owner,
                    &set.model,
                )
                    .hash(hasher),
                other => other.hash(hasher),
            }
            match &observed.instances {
                Seen::Known { value, .. } => {
                    let mut list: Vec<_> = value
                        .iter()
                        .map(|one| (rename(&one.name), one.priority, one.phase))
                        .collect();
                    list.sort();
                    list.hash(hasher);
                }
                Seen::Unknown(_) => 0_u8.hash(hasher),
            }
        };
        if let Some((at, past)) = &self.past {
            (self.region.now() - at).hash(&mut hasher);
            picture(past, &mut hasher);
        }
        if let (Some((decided_on, action)), Some(shown)) = (&self.pending, &self.shown) {
            (
                decided_on.regular,
                decided_on.spot,
                std::mem::discriminant(action),
            )
                .hash(&mut hasher);
            match action {
                Action::Resize {
                    capacity,
                    base,
                    vm_size,
                    guard,
                } => (capacity, base, vm_size, re_etag(guard.etag())).hash(&mut hasher),
                Action::Reshape { base, guard, .. } => {
                    (base, re_etag(guard.etag())).hash(&mut hasher)
                }
                Action::Replace { instances, .. } | Action::Restart { instances, .. } => instances
                    .iter()
                    .map(rename)
                    .collect::<BTreeSet<_>>()
                    .hash(&mut hasher),
                Action::Create { capacity, base, .. } => (capacity, base).hash(&mut hasher),
                Action::Remove { .. } => {}
            }
            picture(shown, &mut hasher);
            (shown.outcome == Some(Outcome::Pending)).hash(&mut hasher);
        }
        let ago = |at: u64| self.region.now().saturating_sub(at).min(5 * 60_000);
        self.ledger
            .taken
            .iter()
            .map(|(at, of)| (ago(*at), *of))
            .collect::<Vec<_>>()
            .hash(&mut hasher);
        let long_ago = |at: u64| self.region.now().saturating_sub(at).min(60 * 60_000);
        self.ledger
            .down
            .iter()
            .map(|(name, since)| (rename(name), long_ago(since.0)))
            .collect::<BTreeSet<_>>()
            .hash(&mut hasher);
        self.ledger
            .same
            .as_ref()
            .map(|(since, until, _)| (ago(*since), ago(*until)))
            .hash(&mut hasher);
        hasher.finish()
    }
}
