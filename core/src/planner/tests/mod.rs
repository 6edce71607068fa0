//! L0: `plan` on hand-made pictures, one behaviour a test.

mod growing;
mod holding;
mod quota;
mod restarting;
mod taking;
mod unrest;

use super::*;
use crate::units::{Etag, InstanceName, ModelHash, Owner, Priority, VmSize, Zone};

const T0: Timestamp = Timestamp(1_000_000_000);

fn desired(regular: u32, spot: u32) -> Desired {
    Desired {
        generation: 1,
        owner: Owner::from("c/n/p/u"),
        regular,
        spot,
        vm_sizes: vec![
            VmSize::from("Standard_D4s_v5"),
            VmSize::from("Standard_D4as_v5"),
        ],
        model: ModelHash::from("m1"),
        max_price: None,
        eviction: Eviction::Delete,
        min_available: 1,
        confirm_above: None,
        confirmed: false,
        progress_deadline: Millis::minutes(15),
        intent: Intent::Keep,
        pace: Pace::default(),
    }
}

struct Seeing {
    capacity: u32,
    base: u32,
    regular: u32,
    spot: u32,
}

impl Seeing {
    fn at(&self, at: Timestamp) -> Observed {
        let one = |n: u32, priority| Instance {
            name: InstanceName(format!("p_{n:08x}")),
            priority,
            phase: Phase::Running,
            vm_size: VmSize::from("Standard_D4s_v5"),
            zone: Zone::default(),
            created: None,
            price_limit: None,
        };
        let mut instances: Vec<Instance> = (0..self.regular)
            .map(|n| one(n, Priority::Regular))
            .collect();
        instances.extend((0..self.spot).map(|n| one(100 + n, Priority::Spot)));
        let set = ScaleSet {
            capacity: self.capacity,
            base: self.base,
            vm_size: VmSize::from("Standard_D4s_v5"),
            max_price: None,
            etag: Etag::from("\"7\""),
            state: Provisioning::Succeeded,
            owner: Some(Owner::from("c/n/p/u")),
            model: Some(ModelHash::from("m1")),
            model_since: None,
        };
        Observed {
            set: Seen::Known {
                value: Some(set),
                at,
            },
            instances: Seen::Known {
                value: instances,
                at,
            },
            outcome: None,
        }
    }
}

/// What a process remembers that has seen the set with 20 instances for a while.
fn settled() -> Memory {
    let mut memory = Memory::default();
    memory.process.believed = Some(Believed {
        capacity: 20,
        alive: 20,
        falling: 0,
    });
    memory
}

fn set(observed: &mut Observed) -> &mut ScaleSet {
    match &mut observed.set {
        Seen::Known {
            value: Some(set), ..
        } => set,
        other => panic!("no set in {other:?}"),
    }
}

fn instances(observed: &mut Observed) -> &mut Vec<Instance> {
    match &mut observed.instances {
        Seen::Known { value, .. } => value,
        other => panic!("no instances in {other:?}"),
    }
}

/// Looks again and again at an unchanging picture until something is done or `looks` are over.
fn until_acts(
    desired: &Desired,
    seeing: &Seeing,
    mut memory: Memory,
    mut now: Timestamp,
    looks: u32,
) -> (Plan, Timestamp) {
    let mut made = plan(desired, &seeing.at(now), &memory, now);
    for _ in 1..looks {
        if made.action.is_some() {
            break;
        }
        memory = made.memory.clone();
        now = made.next;
        made = plan(desired, &seeing.at(now), &memory, now);
    }
    (made, now)
}

fn action(plan: &Plan) -> &Action {
    &plan
        .action
        .as_ref()
        .unwrap_or_else(|| panic!("nothing was done: {:?}", plan.summary.stage))
        .0
}

fn refusal(kind: RefusalKind) -> Refusal {
    Refusal {
        kind,
        code: "SkuNotAvailable".to_owned(),
        message: "none left".to_owned(),
        request_id: "r".to_owned(),
    }
}

/// A look that found no scale set.
fn absent(at: Timestamp) -> Observed {
    Observed {
        set: Seen::Known { value: None, at },
        instances: Seen::Unknown(Blind::NotAsked),
        outcome: None,
    }
}
