//! What the operator reports: `status` of a `SpotPool`.
//!
//! In comes what the controller saw and did; out goes what `kubectl`, Flux, Argo CD, HPA and people read. Written by server-side
//! apply and only when it changed, so nothing in here ticks by itself. A count that is not known is absent, never zero.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::reasons::ConditionType;

/// What was last seen of a pool and done about it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SpotPoolStatus {
    /// The metadata.generation that this status is about; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, SpotSatisfied, UpToDate, CredentialsValid and Suspended are always present once the operator has seen the object; Reconciling, Stalled and Deleting only while they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Instances of either priority that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub available_replicas: Option<i32>,
    /// Instances of either priority that were made from the current template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub up_to_date_replicas: Option<i32>,
    /// Label selector for the scale subresource. It names this pool and matches no pods, so an autoscaler needs External or Object metrics of target type AverageValue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub selector: Option<String>,
    /// Spot instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<SpotCounts>,
    /// Regular (pay-as-you-go) instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regular: Option<RegularCounts>,
    /// The Azure scale sets behind this pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub scale_sets: Vec<ScaleSetRef>,
    /// Where Azure has refused instances, and until when it is not asked again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["vmSize".into(), "zone".into(), "priority".into()]))]
    pub offerings: Vec<Offering>,
    /// Evictions that were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evictions: Option<EvictionStatus>,
    /// The last thing the operator did in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action: Option<LastAction>,
    /// The ServiceAccount as whom Azure was called last; while it is in use, the finalizer spotpool.io/in-use keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account_name: Option<String>,
    /// Value of the annotation reconcile.fluxcd.io/requestedAt that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_reconcile_at: Option<String>,
}

impl SpotPoolStatus {
    /// The condition of that type, if it is present.
    pub fn condition(&self, condition: ConditionType) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|c| c.type_ == condition.as_str())
    }
}

/// Spot instances by what they do.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotCounts {
    /// Seats of capacity.spot that are held or being obtained: running, starting or requested. What the scale subresource reports; an eviction is no vote to scale down, so it does not move this number while a replacement is under way.
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Running.
    #[schemars(range(min = 0))]
    pub running: i32,
    /// Created or starting.
    #[schemars(range(min = 0))]
    pub starting: i32,
    /// On their way out.
    #[schemars(range(min = 0))]
    pub stopping: i32,
    /// Evicted but kept, without compute cost.
    #[schemars(range(min = 0))]
    pub deallocated: i32,
    /// Azure could not provision them.
    #[schemars(range(min = 0))]
    pub failed: i32,
}

/// Regular instances by what they do.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "camelCase", default)]
pub struct RegularCounts {
    /// Running.
    #[schemars(range(min = 0))]
    pub running: i32,
    /// Created or starting.
    #[schemars(range(min = 0))]
    pub starting: i32,
    /// On their way out.
    #[schemars(range(min = 0))]
    pub stopping: i32,
    /// Azure could not provision them.
    #[schemars(range(min = 0))]
    pub failed: i32,
}

/// An Azure scale set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScaleSetRef {
    /// Its name.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Its resource ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub id: Option<String>,
}

/// One thing that Azure sells, and whether it sold it when last asked.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// VM size.
    #[schemars(length(max = 64))]
    pub vm_size: String,
    /// Zone; empty when the pool has none or several, of which Azure does not say which refused, or when the refusal was about the region.
    #[serde(default)]
    #[schemars(length(max = 1))]
    pub zone: String,
    /// Spot or Regular.
    pub priority: Priority,
    /// Available or Refused. The list may grow.
    pub state: OfferingState,
    /// Why it was refused: Azure's error code, or a reason of SpotSatisfied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// When it is asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
}

/// How Azure sells an instance.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Priority {
    /// Cheap, and taken back when Azure needs it.
    Spot,
    /// Pay-as-you-go, and kept.
    Regular,
}

/// Whether Azure sold an offering when last asked.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferingState {
    /// It did.
    Available,
    /// It did not.
    Refused,
    /// A word of a newer version, which must not make this one unable to read the object.
    #[serde(other)]
    Unknown,
}

impl schemars::JsonSchema for OfferingState {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OfferingState".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": 32})
    }
}

/// Evictions that were seen.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EvictionStatus {
    /// How many since the pool was created.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub total: i64,
    /// When the last one was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
}

/// Something the operator did in Azure.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    /// What it was, such as CreateInstances.
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub action: String,
    /// Why, such as Evicted.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// The same in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When Azure was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}
