//! What the unit tests share: a pool, and a cloud in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use spotpool_core::planner::{
    Action, Answer, Blind, Instance, Observed, Outcome, Pace, Phase, Provisioning, Quota, ScaleSet,
};
use spotpool_core::units::{Count, Etag, InstanceName, Priority, Seen, Timestamp, Zone};

use crate::api::{FINALIZER, SpotPool};
use crate::clock::Clock;
use crate::cloud::{
    Calls, Cloud, Look, OperationRef, PoolRef, Receipt, Remaining, Scope, Shape, Survey, Urgency,
};

use super::Settings;

/// An installation like any other.
pub fn settings() -> Settings {
    Settings {
        namespace: None,
        cluster_id: "cluster".to_owned(),
        pace: Pace::default(),
        confirm_above: None,
        listen: ([127, 0, 0, 1], 0).into(),
        concurrency: 1,
    }
}

/// A pool that the operator has seen before: 1 Spot instance, or what `spec` says.
pub fn pool(spec: Value) -> SpotPool {
    let mut whole = json!({
        "subscriptionID": "11111111-1111-1111-1111-111111111111",
        "resourceGroup": "batch-rg",
        "location": "eastus",
        "vmSizes": [{"name": "Standard_D4s_v5"}],
        "template": {
            "image": {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/render"},
            "network": {"subnetID": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n"},
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "spotpool.io/v1alpha1",
        "kind": "SpotPool",
        "metadata": {"name": "render", "namespace": "batch", "uid": "uid-1", "generation": 1, "finalizers": [FINALIZER]},
        "spec": whole,
    }))
    .unwrap()
}

/// The same, being deleted.
pub fn deleting(spec: Value) -> SpotPool {
    let mut pool = pool(spec);
    pool.metadata.deletion_timestamp = Some(super::times::time(Timestamp(0)));
    pool
}

/// A cloud that does at once what it is asked, or refuses, or is silent. Simulated, and simpler than Azure.
#[derive(Debug, Default)]
pub struct FakeCloud {
    inner: Mutex<Inner>,
    clock: Option<Clock>,
}

#[derive(Debug, Default)]
struct Inner {
    set: Option<(ScaleSet, Vec<Instance>)>,
    serial: u32,
    refuse: Option<Answer>,
    blind: Option<Blind>,
    outcome: Option<Outcome>,
    quota: Option<Vec<Quota>>,
    asked: Vec<String>,
    urgencies: Vec<Urgency>,
}

impl FakeCloud {
    /// A cloud that tells this time.
    pub fn at(clock: &Clock) -> Self {
        Self {
            inner: Mutex::default(),
            clock: Some(clock.clone()),
        }
    }

    /// Tells these rows of quota from now on.
    pub fn allows(&self, rows: Vec<Quota>) {
        self.inner.lock().unwrap().quota = Some(rows);
    }

    /// Answers every write so from now on; `None`: does it.
    pub fn answers(&self, answer: Option<Answer>) {
        self.inner.lock().unwrap().refuse = answer;
    }

    /// Cannot be read from now on; `None`: can.
    pub fn blinds(&self, blind: Option<Blind>) {
        self.inner.lock().unwrap().blind = blind;
    }

    /// Takes away so many Spot instances, capacity and all.
    pub fn evicts(&self, count: usize) {
        let mut inner = self.inner.lock().unwrap();
        let (set, instances) = inner.set.as_mut().unwrap();
        for _ in 0..count {
            let spot = instances
                .iter()
                .position(|one| one.priority == Priority::Spot)
                .unwrap();
            instances.remove(spot);
            set.capacity -= 1;
        }
    }

    /// The words of all writes so far.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// How urgent the looks and writes since the last time were.
    pub fn urgencies(&self) -> Vec<Urgency> {
        std::mem::take(&mut self.inner.lock().unwrap().urgencies)
    }

    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or(Timestamp(0), Clock::now)
    }
}

impl Inner {
    fn fill(&mut self, capacity: Count, now: Timestamp) {
        let Some((set, instances)) = &mut self.set else {
            return;
        };
        set.capacity = capacity;
        while instances.len() < capacity as usize {
            self.serial += 1;
            let regular = instances
                .iter()
                .filter(|one| one.priority == Priority::Regular)
                .count();
            let priority = if regular < set.base as usize {
                Priority::Regular
            } else {
                Priority::Spot
            };
            instances.push(Instance {
                name: InstanceName(format!("render_{:08x}", self.serial)),
                priority,
                phase: Phase::Running,
                vm_size: set.vm_size.clone(),
                zone: Zone::default(),
                created: Some(now),
                price_limit: None,
            });
        }
        while instances.len() > capacity as usize {
            instances.pop();
        }
    }
}

#[async_trait]
impl Cloud for FakeCloud {
    async fn look(&self, _: &PoolRef, _: Option<&OperationRef>, urgency: Urgency) -> Look {
        let at = self.now();
        let mut inner = self.inner.lock().unwrap();
        inner.urgencies.push(urgency);
        let outcome = inner.outcome.take();
        let (set, instances) = match (&inner.blind, &inner.set) {
            (Some(blind), _) => (Seen::Unknown(blind.clone()), Seen::Unknown(Blind::NotAsked)),
            (None, None) => (
                Seen::Known { value: None, at },
                Seen::Known {
                    value: Vec::new(),
                    at,
                },
            ),
            (None, Some((set, instances))) => (
                Seen::Known {
                    value: Some(set.clone()),
                    at,
                },
                Seen::Known {
                    value: instances.clone(),
                    at,
                },
            ),
        };
        Look {
            observed: Observed {
                set,
                instances,
                outcome,
            },
            unfinished: None,
        }
    }

    async fn quota(
        &self,
        _: &PoolRef,
        _: Option<Timestamp>,
        _: Urgency,
    ) -> Result<Vec<Quota>, String> {
        let inner = self.inner.lock().unwrap();
        inner.quota.clone().ok_or_else(|| "not known".to_owned())
    }

    async fn act(&self, pool: &PoolRef, _: &Shape, action: &Action, urgency: Urgency) -> Receipt {
        let now = self.now();
        let mut inner = self.inner.lock().unwrap();
        inner.urgencies.push(urgency);
        inner
            .asked
            .push(super::words::action_word(action).to_owned());
        let answer = inner.refuse.clone().unwrap_or(Answer::Accepted);
        if answer == Answer::Accepted {
            match action {
                Action::Create {
                    capacity,
                    base,
                    vm_size,
                    model,
                } => {
                    let set = ScaleSet {
                        capacity: 0,
                        base: *base,
                        vm_size: vm_size.clone(),
                        max_price: None,
                        etag: Etag::from("1"),
                        state: Provisioning::Succeeded,
                        owner: Some(pool.owner.clone()),
                        model: Some(model.clone()),
                        model_since: Some(now),
                    };
                    inner.set = Some((set, Vec::new()));
                    inner.fill(*capacity, now);
                }
                Action::Resize { capacity, base, .. } => {
                    if let Some((set, _)) = &mut inner.set {
                        set.base = *base;
                    }
                    inner.fill(*capacity, now);
                }
                Action::Reshape { base, model, .. } => {
                    if let Some((set, _)) = &mut inner.set {
                        set.base = *base;
                        set.model = Some(model.clone());
                        set.model_since = Some(now);
                    }
                }
                Action::Replace {
                    instances: names, ..
                } => {
                    if let Some((set, instances)) = &mut inner.set {
                        instances.retain(|one| !names.contains(&one.name));
                        set.capacity = instances.len() as Count;
                    }
                }
                Action::Restart {
                    instances: names, ..
                } => {
                    if let Some((_, instances)) = &mut inner.set {
                        for one in instances.iter_mut().filter(|one| names.contains(&one.name)) {
                            one.phase = Phase::Running;
                        }
                    }
                }
                Action::Remove { .. } => inner.set = None,
            }
        }
        Receipt {
            answer,
            operation: None,
            request_id: "r-1".to_owned(),
            fact: String::new(),
        }
    }

    async fn survey(&self, _: &Scope) -> Survey {
        Survey::Unknown("this cloud is never surveyed".to_owned())
    }

    fn calls(&self) -> Calls {
        Calls::default()
    }

    fn remaining(&self) -> Vec<Remaining> {
        vec![Remaining {
            subscription: "sub".to_owned(),
            bucket: "subscription-reads".to_owned(),
            tokens: 249,
        }]
    }
}
