//! Each documented or recorded fact of Azure that this world claims to keep, as a sentence.

mod capacity;
mod histories;
mod life;
mod power;
mod refusals;
mod uniform;

use super::*;
use std::collections::BTreeSet;

const RG: &str = "batch-rg";

fn region(options: Options) -> Region {
    Region::new(7, options)
}

fn pool(capacity: u32, base: u32) -> SetChange {
    SetChange {
        capacity: Some(capacity),
        vm_size: Some("Standard_D4s_v5".into()),
        mix: Some(PriorityMix { base, percent: 0 }),
        priority: Some(Priority::Spot),
        eviction_policy: Some(EvictionPolicy::Delete),
        ..SetChange::default()
    }
}

fn capacity(n: u32) -> SetChange {
    SetChange {
        capacity: Some(n),
        ..SetChange::default()
    }
}

/// A pool at rest.
fn settled(options: Options, n: u32, base: u32) -> Region {
    let mut region = region(options);
    region
        .put(RG, "render", &pool(n, base), Precondition::None)
        .unwrap();
    rest(&mut region);
    region
}

fn rest(region: &mut Region) {
    while let Some(next) = region.next_event() {
        region.advance(next);
    }
}

fn set(region: &Region) -> &ScaleSet {
    region.set(RG, "render").unwrap()
}

fn spot(region: &Region) -> Vec<String> {
    set(region)
        .by_age()
        .iter()
        .filter(|i| i.priority == Priority::Spot && i.alive())
        .map(|i| i.name.clone())
        .collect()
}
