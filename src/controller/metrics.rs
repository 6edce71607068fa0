//! Every metric of the controller, declared in one place.
//!
//! In come observations from reconciles and, at each scrape, the cloud's own count of calls; out goes Prometheus text. Labels are
//! bounded: fixed words, and for gauges one pool's namespace and name, removed when the pool is gone.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use spotpool_core::planner::{Counts, Tally};

use crate::cloud::Cloud;

/// From a look that found nothing to do to one that waited for Azure's slowest answer, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    answer: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InstanceLabels {
    namespace: String,
    pool: String,
    priority: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabels {
    subscription: String,
    limit: String,
}

/// The controller's metrics.
#[derive(Clone, Default)]
pub struct Metrics {
    reconciles: Family<ResultLabel, Counter>,
    duration: Option<Histogram>,
    actions: Family<ActionLabels, Counter>,
    evictions: Counter,
    instances: Family<InstanceLabels, Gauge>,
    watch_errors: Counter,
    status_writes: Counter,
    surveys: Family<ResultLabel, Counter>,
    survey_wakes: Counter,
    looks_spared: Counter,
    pools: Gauge,
}

impl Metrics {
    /// The metrics, and the registry that prints them.
    pub fn new(cloud: Arc<dyn Cloud>) -> (Self, Registry) {
        let duration = Histogram::new(SECONDS);
        let metrics = Self {
            duration: Some(duration.clone()),
            ..Self::default()
        };
        let mut registry = Registry::with_prefix("spotpool");
        registry.register(
            "reconciles",
            "Turns made, by how they ended",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "How long a turn took",
            duration,
        );
        registry.register(
            "actions",
            "Writes to Azure by what they were and what came of them",
            metrics.actions.clone(),
        );
        registry.register(
            "evictions",
            "Spot instances that Azure took away",
            metrics.evictions.clone(),
        );
        registry.register(
            "instances",
            "Instances by pool, priority and state, as last seen",
            metrics.instances.clone(),
        );
        registry.register(
            "watch_errors",
            "Errors of the watch on SpotPools",
            metrics.watch_errors.clone(),
        );
        registry.register(
            "status_writes",
            "Statuses written",
            metrics.status_writes.clone(),
        );
        registry.register(
            "surveys",
            "Surveys of the scale sets of a place, by whether they were whole",
            metrics.surveys.clone(),
        );
        registry.register(
            "survey_wakes",
            "Pools at rest that were woken because a survey showed their scale set changed",
            metrics.survey_wakes.clone(),
        );
        registry.register(
            "looks_spared",
            "Looks at pools at rest that a survey made needless",
            metrics.looks_spared.clone(),
        );
        registry.register("pools", "SpotPools watched", metrics.pools.clone());
        registry.register_collector(Box::new(Calls(cloud)));
        (metrics, registry)
    }

    /// A turn has ended.
    pub fn reconciled(&self, ok: bool, took: Duration) {
        let result = if ok { "ok" } else { "error" };
        self.reconciles.get_or_create(&ResultLabel { result }).inc();
        if let Some(duration) = &self.duration {
            duration.observe(took.as_secs_f64());
        }
    }

    /// Azure was asked to do something.
    pub fn acted(&self, action: &'static str, answer: &'static str) {
        self.actions
            .get_or_create(&ActionLabels { action, answer })
            .inc();
    }

    /// So many Spot instances were taken away.
    pub fn evicted(&self, count: u64) {
        self.evictions.inc_by(count);
    }

    /// The watch has failed.
    pub fn watch_failed(&self) {
        self.watch_errors.inc();
    }

    /// A status was written.
    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    /// A survey has ended, and has woken so many pools.
    pub fn surveyed(&self, known: bool, woken: usize) {
        let result = if known { "ok" } else { "unknown" };
        self.surveys.get_or_create(&ResultLabel { result }).inc();
        self.survey_wakes.inc_by(woken as u64);
    }

    /// A look was left out.
    pub fn look_spared(&self) {
        self.looks_spared.inc();
    }

    /// So many pools are watched.
    pub fn watching(&self, pools: usize) {
        self.pools.set(i64::try_from(pools).unwrap_or(i64::MAX));
    }

    /// What exists of one pool.
    pub fn counted(&self, namespace: &str, pool: &str, counts: &Counts) {
        for (priority, tally) in [("regular", counts.regular), ("spot", counts.spot)] {
            for (state, count) in states(&tally) {
                let labels = InstanceLabels {
                    namespace: namespace.to_owned(),
                    pool: pool.to_owned(),
                    priority,
                    state,
                };
                self.instances.get_or_create(&labels).set(i64::from(count));
            }
        }
    }

    /// A pool is gone.
    pub fn forget(&self, namespace: &str, pool: &str) {
        for priority in ["regular", "spot"] {
            for (state, _) in states(&Tally::default()) {
                self.instances.remove(&InstanceLabels {
                    namespace: namespace.to_owned(),
                    pool: pool.to_owned(),
                    priority,
                    state,
                });
            }
        }
    }
}

fn states(tally: &Tally) -> [(&'static str, u32); 6] {
    [
        ("running", tally.running),
        ("starting", tally.starting),
        ("stopping", tally.stopping),
        ("deallocated", tally.deallocated),
        ("failed", tally.failed),
        ("unknown", tally.unknown),
    ]
}

/// The cloud counts its calls itself; a scrape asks it.
struct Calls(Arc<dyn Cloud>);

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let calls = self.0.calls();
        let mut family = encoder.encode_descriptor(
            "azure_calls",
            "Calls to Azure by kind",
            None,
            MetricType::Counter,
        )?;
        for (kind, count) in [
            ("read", calls.reads),
            ("write", calls.writes),
            ("delete", calls.deletes),
        ] {
            ConstCounter::new(count).encode(family.encode_family(&CallLabel { kind })?)?;
        }
        let throttled = ConstCounter::new(calls.throttled);
        let metric = encoder.encode_descriptor(
            "azure_throttled",
            "Answers with which Azure asked to slow down (429)",
            None,
            MetricType::Counter,
        )?;
        throttled.encode(metric)?;
        let held_back = ConstCounter::new(calls.held_back);
        let metric = encoder.encode_descriptor(
            "azure_held_back",
            "Calls put off because Azure's limits did not bear them",
            None,
            MetricType::Counter,
        )?;
        held_back.encode(metric)?;
        let mut family = encoder.encode_descriptor(
            "azure_limit_remaining",
            "Calls that each of Azure's limits bears at once; of limits of a resource, the least of any",
            None,
            MetricType::Gauge,
        )?;
        for one in self.0.remaining() {
            let labels = LimitLabels {
                subscription: one.subscription,
                limit: one.bucket,
            };
            ConstGauge::new(i64::from(one.tokens)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::FakeCloud;

    #[test]
    fn prints_what_happened_and_forgets_pools_that_are_gone() {
        let (metrics, registry) = Metrics::new(Arc::new(FakeCloud::default()));
        metrics.reconciled(true, Duration::from_millis(30));
        metrics.acted("CreateInstances", "accepted");
        metrics.evicted(6);
        metrics.surveyed(true, 2);
        metrics.look_spared();
        let counts = Counts {
            spot: Tally {
                running: 12,
                ..Tally::default()
            },
            ..Counts::default()
        };
        metrics.counted("batch", "render", &counts);
        let print = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let text = print();
        for line in [
            "spotpool_reconciles_total{result=\"ok\"} 1",
            "spotpool_reconcile_duration_seconds_count 1",
            "spotpool_actions_total{action=\"CreateInstances\",answer=\"accepted\"} 1",
            "spotpool_evictions_total 6",
            "spotpool_azure_calls_total{kind=\"read\"} 0",
            "spotpool_azure_throttled_total 0",
            "spotpool_azure_held_back_total 0",
            "spotpool_azure_limit_remaining{subscription=\"sub\",limit=\"subscription-reads\"} 249",
            "spotpool_watch_errors_total 0",
            "spotpool_surveys_total{result=\"ok\"} 1",
            "spotpool_survey_wakes_total 2",
            "spotpool_looks_spared_total 1",
            "spotpool_pools 0",
            "spotpool_instances{namespace=\"batch\",pool=\"render\",priority=\"spot\",state=\"running\"} 12",
        ] {
            assert!(
                text.lines().any(|printed| printed == line),
                "{line} is missing from\n{text}"
            );
        }
        metrics.forget("batch", "render");
        assert!(!print().contains("render"));
    }
}
