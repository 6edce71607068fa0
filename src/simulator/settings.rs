//! How the world behaves, as the control API and tests set it: only what is named changes.

use super::state::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spotpool_core::world::{
    AllocationError, CapacityFalls, CapacityWrite, Concurrent, NoCapacity, Options, Span, TakeFirst,
};

/// Lags that "late" stands for when none are given, milliseconds of the world.
const LATE: [u64; 3] = [2_000, 5_000, 10_000];

/// When the capacity follows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named as in the world")]
pub enum Falls {
    AtOnce,
    Late,
    Never,
}

/// Seconds of the world: one number, or the shortest and the longest.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "one number or two")]
pub enum Seconds {
    Exactly(f64),
    Between(f64, f64),
}

impl Seconds {
    pub(super) fn span(self) -> Span {
        let millis = |s: f64| (s.max(0.0) * 1000.0) as u64;
        match self {
            Self::Exactly(s) => Span::exactly(millis(s)),
            Self::Between(a, b) => Span::between(millis(a.min(b)), millis(a.max(b))),
        }
    }
}

/// A change of the world's behaviour. Names and meanings are those of `spotpool_core::world::Options`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "named as in the world")]
pub struct Settings {
    /// After evictions and deletes alike.
    pub capacity_falls: Option<Falls>,
    pub capacity_falls_after_eviction: Option<Falls>,
    pub capacity_falls_after_delete: Option<Falls>,
    /// Seconds that "late" draws from.
    pub lags: Option<Vec<f64>>,
    pub capacity_write: Option<String>,
    pub take_first: Option<String>,
    pub no_capacity: Option<String>,
    pub allocation_error: Option<String>,
    pub concurrent: Option<String>,
    pub eviction_moves_etag: Option<bool>,
    pub operation_end_moves_etag: Option<bool>,
    pub eviction_shows_updating: Option<bool>,
    pub flexible_takes_batches: Option<bool>,
    pub reuses_instance_ids: Option<bool>,
    pub max_price_can_change: Option<bool>,
    pub instances_inherit_tags: Option<bool>,
    pub operation_waits_for_instances: Option<bool>,
    pub quota_status: Option<u16>,
    pub price_status: Option<u16>,
    /// Of a thousand boots.
    pub failing_boots: Option<u32>,
    pub placement: Option<Seconds>,
    pub operation: Option<Seconds>,
    pub boot: Option<Seconds>,
    pub deletion: Option<Seconds>,
    pub eviction_notice: Option<Seconds>,
    pub simulated_eviction_notice: Option<Seconds>,
    pub page_size: Option<usize>,
    /// Seconds that Resource Graph is behind, up to 600.
    pub graph_lag: Option<f64>,
    pub graph_page_size: Option<usize>,
    pub uniform_tells_priority: Option<bool>,
    pub throttle: Option<bool>,
    pub missing_resource_groups: Option<Vec<String>>,
}

fn chosen<T: Copy>(field: &str, value: &str, names: &[(&str, T)]) -> Result<T, String> {
    names
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, v)| *v)
        .ok_or_else(|| {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            format!("{field}: '{value}' is none of {}", known.join(", "))
        })
}

impl Settings {
    /// Changes the world's options.
    ///
    /// # Errors
    /// A sentence about the first value that is not known; nothing was changed.
    pub fn apply_to(&self, options: &mut Options) -> Result<(), String> {
        let mut o = options.clone();
        let lags: Vec<u64> = self.lags.as_ref().map_or_else(
            || LATE.to_vec(),
            |l| l.iter().map(|s| (s.max(0.0) * 1000.0) as u64).collect(),
        );
        let falls = |f: Falls| match f {
            Falls::AtOnce => CapacityFalls::AtOnce,
            Falls::Late => CapacityFalls::Late(lags.clone()),
            Falls::Never => CapacityFalls::Never,
        };
        if let Some(f) = self.capacity_falls_after_eviction.or(self.capacity_falls) {
            o.capacity_after_eviction = falls(f);
        }
        if let Some(f) = self.capacity_falls_after_delete.or(self.capacity_falls) {
            o.capacity_after_delete = falls(f);
        }
        if let Some(v) = &self.capacity_write {
            o.capacity_write = chosen(
                "capacityWrite",
                v,
                &[
                    ("delta", CapacityWrite::Delta),
                    ("level", CapacityWrite::Level),
                ],
            )?;
        }
        if let Some(v) = &self.take_first {
            o.take_first = chosen(
                "takeFirst",
                v,
                &[("newest", TakeFirst::Newest), ("oldest", TakeFirst::Oldest)],
            )?;
        }
        if let Some(v) = &self.no_capacity {
            o.no_capacity = chosen(
                "noCapacity",
                v,
                &[
                    ("synchronous", NoCapacity::Synchronous),
                    ("inside-operation", NoCapacity::InsideOperation),
                ],
            )?;
        }
        if let Some(v) = &self.allocation_error {
            let names = [
                ("allocation-failed", AllocationError::AllocationFailed),
                ("overconstrained", AllocationError::Overconstrained),
            ];
            o.allocation_error = chosen("allocationError", v, &names)?;
        }
        if let Some(v) = &self.concurrent {
            o.concurrent = chosen(
                "concurrent",
                v,
                &[
                    ("refused", Concurrent::Refused),
                    ("preempts", Concurrent::Preempts),
                ],
            )?;
        }
        let set = |to: &mut bool, from: Option<bool>| *to = from.unwrap_or(*to);
        set(&mut o.eviction_moves_etag, self.eviction_moves_etag);
        set(
            &mut o.operation_end_moves_etag,
            self.operation_end_moves_etag,
        );
        set(&mut o.eviction_shows_updating, self.eviction_shows_updating);
        set(&mut o.flexible_takes_batches, self.flexible_takes_batches);
        set(&mut o.reuses_instance_ids, self.reuses_instance_ids);
        set(&mut o.max_price_can_change, self.max_price_can_change);
        set(&mut o.instances_inherit_tags, self.instances_inherit_tags);
        set(
            &mut o.operation_waits_for_instances,
            self.operation_waits_for_instances,
        );
        o.quota_status = self.quota_status.unwrap_or(o.quota_status);
        o.price_status = self.price_status.unwrap_or(o.price_status);
        o.failing_boots = self.failing_boots.unwrap_or(o.failing_boots);
        let span = |to: &mut Span, from: Option<Seconds>| *to = from.map_or(*to, Seconds::span);
        span(&mut o.placement, self.placement);
        span(&mut o.operation, self.operation);
        span(&mut o.boot, self.boot);
        span(&mut o.deletion, self.deletion);
        span(&mut o.eviction_notice, self.eviction_notice);
        span(
            &mut o.simulated_eviction_notice,
            self.simulated_eviction_notice,
        );
        *options = o;
        Ok(())
    }

    /// Changes the world's options and the simulator's own.
    ///
    /// # Errors
    /// As `apply_to`.
    pub fn apply(&self, state: &mut State) -> Result<(), String> {
        self.apply_to(state.region.options_mut())?;
        state.uniform_tells_priority = self
            .uniform_tells_priority
            .unwrap_or(state.uniform_tells_priority);
        state.page_size = self.page_size.unwrap_or(state.page_size);
        if let Some(seconds) = self.graph_lag {
            state.graph.lag = (seconds.clamp(0.0, 600.0) * 1000.0) as u64;
        }
        state.graph.page = self.graph_page_size.unwrap_or(state.graph.page);
        state.throttle = self.throttle.unwrap_or(state.throttle);
        if let Some(groups) = &self.missing_resource_groups {
            state.missing_groups = groups.iter().map(|g| g.to_lowercase()).collect();
        }
        Ok(())
    }
}

/// The behaviour in force, in the words of `Settings`.
#[must_use]
pub fn shown(state: &State) -> Value {
    let o = &state.region.options;
    let falls = |f: &CapacityFalls| match f {
        CapacityFalls::AtOnce => "at-once",
        CapacityFalls::Late(_) => "late",
        CapacityFalls::Never => "never",
    };
    let span = |s: Span| json!([s.min as f64 / 1000.0, s.max as f64 / 1000.0]);
    json!({
        "capacityFallsAfterEviction": falls(&o.capacity_after_eviction),
        "capacityFallsAfterDelete": falls(&o.capacity_after_delete),
        "capacityWrite": if o.capacity_write == CapacityWrite::Delta { "delta" } else { "level" },
        "takeFirst": if o.take_first == TakeFirst::Newest { "newest" } else { "oldest" },
        "noCapacity": if o.no_capacity == NoCapacity::Synchronous { "synchronous" } else { "inside-operation" },
        "allocationError": if o.allocation_error == AllocationError::Overconstrained { "overconstrained" } else { "allocation-failed" },
        "concurrent": if o.concurrent == Concurrent::Refused { "refused" } else { "preempts" },
        "evictionMovesEtag": o.eviction_moves_etag,
        "operationEndMovesEtag": o.operation_end_moves_etag,
        "evictionShowsUpdating": o.eviction_shows_updating,
        "flexibleTakesBatches": o.flexible_takes_batches,
        "reusesInstanceIds": o.reuses_instance_ids,
        "maxPriceCanChange": o.max_price_can_change,
        "instancesInheritTags": o.instances_inherit_tags,
        "operationWaitsForInstances": o.operation_waits_for_instances,
        "quotaStatus": o.quota_status,
        "priceStatus": o.price_status,
        "failingBoots": o.failing_boots,
        "placement": span(o.placement),
        "operation": span(o.operation),
        "boot": span(o.boot),
        "deletion": span(o.deletion),
        "evictionNotice": span(o.eviction_notice),
        "simulatedEvictionNotice": span(o.simulated_eviction_notice),
        "pageSize": state.page_size,
        "graphLag": state.graph.lag as f64 / 1000.0,
        "graphPageSize": state.graph.page,
        "uniformTellsPriority": state.uniform_tells_priority,
        "throttle": state.throttle,
        "missingResourceGroups": state.missing_groups,
        "speed": state.clock.speed(),
    })
}
