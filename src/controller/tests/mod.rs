//! Tests of the controller without Kubernetes and Azure: what is said, row by row of the conditions table, and whole turns over a
//! simulated cloud.

mod beside_the_table;
mod kstatus_table;
mod objects;
mod turns;

use serde_json::Value;
use spotpool_core::planner::{
    Blind, Closed, Counts, Health, Memory, Refusal, RefusalKind, Stage, Summary, Tally,
};
use spotpool_core::units::{Timestamp, VmSize};

use super::desired::{Resolved, resolve};
use super::fixtures::settings;
use super::status::{Report, status};
use crate::api::reasons::ConditionStatus;
use crate::api::{ConditionType, Reason, SpotPool, SpotPoolStatus};
use crate::cloud::Contents;

/// 2026-11-24T10:01:12Z.
const NOON: Timestamp = Timestamp(1_795_514_472_000);

/// A thing to say: everything runs, nothing is under way. Tests change what they are about.
struct Scene {
    pool: SpotPool,
    summary: Summary,
    memory: Memory,
    stuck: Option<Refusal>,
    old: SpotPoolStatus,
    now: Timestamp,
}

impl Scene {
    /// 18 Spot and 2 regular instances, all running; 10 needed.
    fn new() -> Self {
        Self::of(super::fixtures::pool(farm()))
    }

    fn of(pool: SpotPool) -> Self {
        let mut memory = Memory::default();
        memory.kept.settled_generation = Some(1);
        memory.kept.asked_spot = 18;
        let mut scene = Self {
            pool,
            summary: Summary {
                stage: Stage::AtRest,
                counts: None,
                health: Health::Enough,
                progressing: false,
                rejected_model: None,
            },
            memory,
            stuck: None,
            old: SpotPoolStatus::default(),
            now: NOON,
        };
        scene.running(18, 2);
        scene
    }

    fn running(&mut self, spot: u32, regular: u32) -> &mut Self {
        self.summary.counts = Some(Counts {
            spot: Tally {
                running: spot,
                ..Tally::default()
            },
            regular: Tally {
                running: regular,
                ..Tally::default()
            },
            capacity: spot + regular,
            spot_held: 18,
            up_to_date: spot + regular,
        });
        self
    }

    fn stage(&mut self, stage: Stage) -> &mut Self {
        if matches!(stage, Stage::Blind(_) | Stage::NotOurs { .. }) {
            self.summary.counts = None;
        }
        if let Stage::Refused(closed) = &stage {
            self.memory.kept.closed = vec![closed.clone()];
        }
        self.summary.stage = stage;
        self
    }

    fn health(&mut self, health: Health) -> &mut Self {
        self.summary.health = health;
        self
    }

    fn progressing(&mut self) -> &mut Self {
        self.summary.progressing = true;
        self
    }

    fn resolved(&self) -> Resolved {
        resolve(&self.pool, Contents::default(), &settings()).unwrap()
    }

    /// What is said, checked against what holds for every status.
    fn say(&self) -> SpotPoolStatus {
        let resolved = self.resolved();
        let report = Report {
            pool: &self.pool,
            resolved: &resolved,
            summary: &self.summary,
            memory: &self.memory,
            done: None,
            stuck: self.stuck.as_ref(),
            now: self.now,
        };
        let said = status(&report, &self.old);
        check(&said, &self.pool);
        said
    }
}

/// The spec of the render farm.
fn farm() -> Value {
    serde_json::json!({
        "capacity": {"spot": 18, "regular": 2},
        "minAvailable": "50%",
        "vmSizes": [{"name": "Standard_D4s_v5"}, {"name": "Standard_D4as_v5"}],
    })
}

/// What holds for every status that is ever written.
fn check(status: &SpotPoolStatus, pool: &SpotPool) {
    let generation = pool.metadata.generation;
    assert_eq!(status.observed_generation, generation);
    let present = |kind: ConditionType| status.condition(kind).is_some();
    assert!(
        !(present(ConditionType::Reconciling) && present(ConditionType::Stalled)),
        "both Reconciling and Stalled: {status:#?}"
    );
    for kind in [
        ConditionType::Ready,
        ConditionType::SpotSatisfied,
        ConditionType::UpToDate,
        ConditionType::CredentialsValid,
        ConditionType::Suspended,
    ] {
        assert!(present(kind), "{kind} is missing");
    }
    for condition in &status.conditions {
        let same = |other: &&crate::api::ConditionType| other.as_str() == condition.type_;
        let kind = ConditionType::ALL.iter().find(same).unwrap();
        let reason = Reason::ALL
            .iter()
            .find(|reason| reason.as_str() == condition.reason);
        let reason =
            reason.unwrap_or_else(|| panic!("{} is no documented reason", condition.reason));
        let value = [
            ConditionStatus::True,
            ConditionStatus::False,
            ConditionStatus::Unknown,
        ]
        .into_iter()
        .find(|value| value.as_str() == condition.status)
        .unwrap();
        assert!(
            reason.fits(*kind, value),
            "{kind}={} cannot carry {reason}: {}",
            condition.status,
            condition.message
        );
        assert_eq!(condition.observed_generation, generation, "{kind}");
        assert!(!condition.message.is_empty(), "{kind} says nothing");
        let twice = status
            .conditions
            .iter()
            .filter(|c| c.type_ == condition.type_)
            .count();
        assert_eq!(twice, 1, "{kind} is there twice");
    }
}

/// `True AvailableEnough`, or `absent`.
fn brief(status: &SpotPoolStatus, kind: ConditionType) -> String {
    status.condition(kind).map_or_else(
        || "absent".to_owned(),
        |condition| format!("{} {}", condition.status, condition.reason),
    )
}

fn message(status: &SpotPoolStatus, kind: ConditionType) -> &str {
    &status.condition(kind).unwrap().message
}

fn refusal(kind: RefusalKind, code: &str) -> Refusal {
    Refusal {
        kind,
        code: code.to_owned(),
        message: "not now.".to_owned(),
        request_id: "r-7".to_owned(),
    }
}

fn closed(size: &str, kind: RefusalKind, code: &str) -> Closed {
    Closed {
        vm_size: VmSize::from(size),
        refusal: refusal(kind, code),
        until: NOON + spotpool_core::units::Millis::minutes(60),
        strikes: 1,
    }
}

fn unreachable(fact: &str) -> Stage {
    Stage::Blind(Blind::Unreachable {
        fact: fact.to_owned(),
    })
}

/// Ready, Reconciling, Stalled in one line.
fn trio(status: &SpotPoolStatus) -> [String; 3] {
    [
        brief(status, ConditionType::Ready),
        brief(status, ConditionType::Reconciling),
        brief(status, ConditionType::Stalled),
    ]
}

fn row(scene: &Scene, ready: &str, reconciling: &str, stalled: &str) -> SpotPoolStatus {
    let said = scene.say();
    assert_eq!(trio(&said), [ready, reconciling, stalled]);
    said
}
