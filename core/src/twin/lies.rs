//! How a true picture is told wrongly, and how any picture is told in a line.

use super::{Lie, Twin};
use crate::planner::{Blind, Observed};
use crate::units::{Priority, Seen, Timestamp};

impl Twin {
    pub(super) fn distort(&self, truth: &Observed, lie: Lie) -> Observed {
        let blind = || Blind::Unreachable {
            fact: String::new(),
        };
        let at = self.now();
        let past = || {
            self.past
                .as_ref()
                .map_or_else(|| truth.clone(), |(_, past)| redated(past, at))
        };
        let mut told = truth.clone();
        match lie {
            Lie::Truth => {}
            Lie::Blind => {
                told = Observed {
                    set: Seen::Unknown(blind()),
                    instances: Seen::Unknown(blind()),
                    outcome: None,
                }
            }
            Lie::NoInstances => told.instances = Seen::Unknown(blind()),
            Lie::Old => told = past(),
            Lie::OldSet => told.set = past().set,
            // Without a set in the old picture there is no old list: a set that is seen is always asked for its instances.
            Lie::OldInstances => {
                if let (instances @ Seen::Known { .. }, Seen::Known { value: Some(_), .. }) =
                    (past().instances, &truth.set)
                {
                    told.instances = instances;
                }
            }
            Lie::CapacityZero | Lie::CapacityLow => {
                if let Seen::Known {
                    value: Some(set), ..
                } = &mut told.set
                {
                    set.capacity = if lie == Lie::CapacityZero {
                        0
                    } else {
                        set.capacity.saturating_sub(2)
                    };
                }
            }
        }
        if matches!(told.set, Seen::Known { value: None, .. }) {
            told.instances = Seen::Unknown(Blind::NotAsked);
        }
        told
    }
}

fn redated(observed: &Observed, now: Timestamp) -> Observed {
    let mut observed = observed.clone();
    if let Seen::Known { at, .. } = &mut observed.set {
        *at = now;
    }
    if let Seen::Known { at, .. } = &mut observed.instances {
        *at = now;
    }
    observed
}

/// A picture in a line, for people.
pub(super) fn picture_line(observed: &Observed) -> String {
    let set = match &observed.set {
        Seen::Known {
            value: Some(set), ..
        } => format!(
            "capacity {}, base {}, {:?}, ETag {}",
            set.capacity, set.base, set.state, set.etag
        ),
        Seen::Known { value: None, .. } => "no set".to_owned(),
        Seen::Unknown(_) => "set unknown".to_owned(),
    };
    let instances = match &observed.instances {
        Seen::Known { value, .. } => {
            let of = |priority| {
                value
                    .iter()
                    .filter(|one| one.priority == priority)
                    .map(|one| format!("{:?}", one.phase))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            format!(
                "regular [{}], Spot [{}]",
                of(Priority::Regular),
                of(Priority::Spot)
            )
        }
        Seen::Unknown(_) => "instances unknown".to_owned(),
    };
    format!("{set}, {instances}, outcome {:?}", observed.outcome)
}
