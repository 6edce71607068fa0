//! The `SpotPool` itself: where, how many, what, for how much.
//!
//! In comes a manifest; out goes its typed form with the few derived values that everybody must compute the same way (which
//! scale set, how many are needed for Ready, the price limit). A field is here when it works, not before.

use kube::{CustomResource, KubeSchema, ResourceExt as _};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::amounts::{CountOrPercent, MaxPrice, Period};
use super::rules;
use super::status::SpotPoolStatus;
use super::template::InstanceTemplate;

/// A pool of Azure instances that is kept at its size although Azure takes Spot instances away.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "spotpool.io",
    version = "v1alpha1",
    kind = "SpotPool",
    plural = "spotpools",
    singular = "spotpool",
    shortname = "spool",
    category = "azure",
    namespaced,
    status = "SpotPoolStatus",
    derive = "PartialEq",
    doc = "A pool of Azure instances that is kept at its size although Azure takes Spot instances away.",
    scale(
        spec_replicas_path = ".spec.capacity.spot",
        status_replicas_path = ".status.spot.replicas",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.subscriptionID",
    selectable = ".spec.resourceGroup",
    selectable = ".spec.location",
    selectable = ".spec.suspend",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Spot", type_ = "integer", json_path = ".spec.capacity.spot"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.spot.running"),
    printcolumn(name = "Regular", type_ = "integer", json_path = ".status.regular.running"),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.availableReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Up-to-date", type_ = "integer", json_path = ".status.upToDateReplicas", priority = 1),
    printcolumn(name = "Size", type_ = "string", json_path = ".spec.vmSizes[0].name", priority = 1),
    printcolumn(name = "Evicted", type_ = "date", json_path = ".status.evictions.lastTime", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    // The only rule at the root, and on create only: a rule here is not ratcheted, so tightening it later would keep even
    // the finalizer of an existing object from being removed.
    validation = Rule::new("oldSelf.hasValue() || size(self.metadata.name) <= 44 || (has(self.spec.scaleSet) && has(self.spec.scaleSet.name))")
        .message("metadata.name is longer than 44 characters: set spec.scaleSet.name")
        .field_path(".spec.scaleSet.name")
        .optional_old_self(true)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.zones) || (has(self.zones) && oldSelf.zones.all(z, z in self.zones))")
        .message("zones can be added but not removed: Azure does not take zones away from a scale set")
        .field_path(".zones"),
    validation = Rule::new("(has(self.scaleSet) && has(self.scaleSet.name)) == (has(oldSelf.scaleSet) && has(oldSelf.scaleSet.name)) && (!has(self.scaleSet) || !has(self.scaleSet.name) || self.scaleSet.name == oldSelf.scaleSet.name)")
        .message("scaleSet.name is immutable, also from unset to set: create another SpotPool instead")
        .field_path(".scaleSet.name"),
    validation = Rule::new("(has(self.scaleSet) ? self.scaleSet.orchestrationMode : 'Flexible') == (has(oldSelf.scaleSet) ? oldSelf.scaleSet.orchestrationMode : 'Flexible')")
        .message("scaleSet.orchestrationMode is immutable: create another SpotPool instead")
        .field_path(".scaleSet.orchestrationMode"),
    validation = Rule::new("!has(self.scaleSet) || self.scaleSet.orchestrationMode == 'Flexible' || size(self.vmSizes) == 1")
        .message("a Uniform scale set has exactly one VM size: list one, or use orchestrationMode: Flexible")
        .field_path(".vmSizes"),
    validation = Rule::new("!has(self.scaleSet) || self.scaleSet.orchestrationMode == 'Flexible' || self.capacity.regular == 0")
        .message("a Uniform scale set has one priority: set capacity.regular: 0, or use orchestrationMode: Flexible")
        .field_path(".scaleSet.orchestrationMode"),
    validation = Rule::new("self.eviction.policy == 'Delete' || !has(self.template.osDisk) || !has(self.template.osDisk.ephemeral)")
        .message("an ephemeral OS disk cannot be deallocated: use eviction.policy: Delete")
        .field_path(".eviction.policy"),
    validation = Rule::new("!has(self.template.identity) || !self.template.identity.systemAssigned || (has(self.scaleSet) && self.scaleSet.orchestrationMode == 'Uniform')")
        .message("Flexible scale sets take user-assigned identities only: list one in template.identity.userAssigned")
        .field_path(".template.identity"),
)]
pub struct SpotPoolSpec {
    /// Azure subscription. Immutable.
    #[serde(rename = "subscriptionID")]
    #[schemars(length(max = 36))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')")
            .message("must be a subscription ID, such as 11111111-1111-1111-1111-111111111111"),
        validation = rules::immutable("subscriptionID"),
    )]
    pub subscription_id: String,
    /// Azure resource group; it must exist. Immutable.
    #[schemars(length(min = 1, max = 90))]
    #[x_kube(validation = rules::immutable("resourceGroup"))]
    pub resource_group: String,
    /// Azure region by its short name, such as eastus. Immutable.
    #[schemars(length(max = 40))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z][a-z0-9]+$')")
            .message("must be the short name of a region, such as eastus (not \"East US\")"),
        validation = rules::immutable("location"),
    )]
    pub location: String,
    /// Availability zones to spread over. Unset: none. Zones can be added but not removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 3), extend("items" = {"type": "string", "maxLength": 1, "enum": ["1", "2", "3"]}))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub zones: Vec<String>,
    /// The Azure scale set behind the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_set: Option<ScaleSet>,
    /// As whom Azure is called for this pool. Unset: as the operator itself, where the installation allows it. May change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How many instances: the pool keeps spot + regular of them.
    #[serde(default)]
    pub capacity: Capacity,
    /// How many instances must run for Ready: a count, or a percentage (rounded up) of capacity.spot + capacity.regular. Unset: capacity.regular, but at least 1 while any instance is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<CountOrPercent>,
    /// VM sizes in order of preference, 1 to 5. New instances get the first size that Azure does not refuse.
    #[schemars(length(min = 1, max = 5))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(a, self.exists_one(b, a.name == b.name))").message("each VM size may be listed once"),
    )]
    pub vm_sizes: Vec<VmSize>,
    /// The most that one Spot instance may cost, in US dollars an hour, quoted: "0.05". Unset or "-1": up to the pay-as-you-go price. Azure does not start an instance above it, and evicts one when the price rises above it. Regular instances are not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
    /// What happens when Azure takes an instance away.
    #[serde(default)]
    pub eviction: Eviction,
    /// What every new instance is made from.
    pub template: InstanceTemplate,
    /// true: observe and report, but write nothing to Azure.
    #[serde(default)]
    pub suspend: bool,
    /// What happens to the scale set when this object is deleted: Delete (with all instances) or Orphan (left running, and no longer looked at).
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How long fewer than minAvailable instances may run before the pool counts as stalled.
    #[serde(default = "default_progress_deadline")]
    pub progress_deadline: Period,
}

/// The Azure scale set behind a pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScaleSet {
    /// Its name. Unset: metadata.name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$')")
            .message("must be an Azure resource name: letters, digits, _ . and -"),
    )]
    pub name: Option<String>,
    /// Flexible: instances are virtual machines of their own, Spot and regular ones mixed. Uniform: instances exist inside their scale set only, all of them Spot and of one size. Immutable.
    #[serde(default)]
    pub orchestration_mode: OrchestrationMode,
}

/// As whom Azure is called for a pool.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A ServiceAccount in the pool's namespace, with the annotation azure.workload.identity/client-id: the Azure identity that trusts it.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
            .message("must be the name of a ServiceAccount: lower-case letters, digits, - and ."),
    )]
    pub service_account_name: String,
}

/// The kind of scale set.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum OrchestrationMode {
    /// Instances are virtual machines of their own.
    #[default]
    Flexible,
    /// Instances exist only inside their scale set.
    Uniform,
}

/// What happens when Azure takes an instance away.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.restartTimeout) || self.policy == 'Deallocate'")
        .message("restartTimeout applies to policy Deallocate only: remove it or set policy: Deallocate")
        .field_path(".restartTimeout"),
)]
pub struct Eviction {
    /// Delete: an evicted instance is gone with its disks, and a new one takes its place (Azure's own default is Deallocate; Delete leaves no disks to pay for and holds no quota). Deallocate: it stays with its disks and is started again, and replaced when that does not work within restartTimeout. Immutable.
    #[serde(default)]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("Azure cannot change the eviction policy of a scale set: create another SpotPool instead"),
    )]
    pub policy: EvictionPolicy,
    /// With policy Deallocate: for how long an evicted instance is tried to be started before it is deleted, disks and all, and replaced. Unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_timeout: Option<Period>,
}

/// What Azure does with an instance that it evicts.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum EvictionPolicy {
    /// It is deleted with its disks.
    #[default]
    Delete,
    /// It is deallocated and keeps its disks.
    Deallocate,
}

/// How many instances. No CEL rule may mention these: the scale subresource would run it and refuse.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Spot instances. What kubectl scale, HPA and KEDA move; leave it out of Git when something scales it.
    #[serde(default = "default_spot")]
    #[schemars(range(min = 0, max = 1000))]
    pub spot: i32,
    /// Regular (pay-as-you-go) instances beside them, which Azure does not evict.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub regular: i32,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            spot: default_spot(),
            regular: 0,
        }
    }
}

/// A VM size that the pool may use. An object, so that a size can get settings of its own later.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VmSize {
    /// Azure's name of the size, such as Standard_D4s_v5.
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^Standard_[A-Z][A-Za-z0-9_-]*$')")
            .message("must be an Azure VM size in its own spelling, such as Standard_D4s_v5"),
        validation = Rule::new("!self.startsWith('Standard_B')")
            .message("B-series sizes cannot be Spot in a scale set: use for example Standard_D2as_v5"),
        validation = Rule::new("!self.endsWith('_Promo')")
            .message("promo sizes cannot be Spot: use the same size without _Promo"),
    )]
    pub name: String,
}

/// What happens to the scale set when the pool is deleted.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum DeletionPolicy {
    /// It is deleted with all its instances.
    #[default]
    Delete,
    /// It stays and runs on; the operator does not look at it any more.
    Orphan,
}

/// Without a `restartTimeout`, an evicted instance is tried to be started for so long.
const RESTART_TIMEOUT: Duration = Duration::from_secs(10 * 60);

// Not 0: an HPA switches itself off at 0.
fn default_spot() -> i32 {
    1
}

fn default_progress_deadline() -> Period {
    Period::minutes(15)
}

impl SpotPool {
    /// Name of the scale set in Azure.
    pub fn scale_set_name(&self) -> String {
        let chosen = self
            .spec
            .scale_set
            .as_ref()
            .and_then(|set| set.name.clone());
        chosen.unwrap_or_else(|| self.name_any())
    }

    /// How many instances of either priority are wanted.
    pub fn desired_count(&self) -> u32 {
        self.spec.capacity.spot.max(0).unsigned_abs()
            + self.spec.capacity.regular.max(0).unsigned_abs()
    }

    /// How many instances must run for Ready.
    pub fn min_available_count(&self) -> u32 {
        let desired = self.desired_count();
        match self.spec.min_available {
            Some(amount) => amount.of(desired),
            None => self
                .spec
                .capacity
                .regular
                .max(0)
                .unsigned_abs()
                .max(u32::from(desired > 0)),
        }
    }

    /// The price limit of one Spot instance in micro-dollars an hour; `None` means up to the pay-as-you-go price.
    pub fn max_price_micro_usd(&self) -> Option<i64> {
        self.spec.max_price.as_ref().and_then(MaxPrice::micro_usd)
    }

    /// For how long an evicted instance is tried to be started; `None` where Azure deletes it.
    pub fn restart_timeout(&self) -> Option<Duration> {
        let eviction = &self.spec.eviction;
        let told = eviction.restart_timeout.as_ref().map(Period::duration);
        match eviction.policy {
            EvictionPolicy::Delete => None,
            EvictionPolicy::Deallocate => Some(told.unwrap_or(RESTART_TIMEOUT)),
        }
    }

    /// The kind of scale set.
    pub fn orchestration_mode(&self) -> OrchestrationMode {
        let set = self.spec.scale_set.as_ref();
        set.map(|set| set.orchestration_mode).unwrap_or_default()
    }

    /// How long fewer than [`Self::min_available_count`] may run before the pool counts as stalled.
    pub fn progress_deadline(&self) -> Duration {
        self.spec.progress_deadline.duration()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pool(spec: Value) -> SpotPool {
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
        let object = json!({"apiVersion": "spotpool.io/v1alpha1", "kind": "SpotPool", "metadata": {"name": "render"}, "spec": whole});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn fills_in_the_defaults_of_the_definition() {
        let pool = pool(json!({}));
        assert_eq!(
            pool.spec.capacity,
            Capacity {
                spot: 1,
                regular: 0
            }
        );
        assert_eq!(pool.progress_deadline(), Duration::from_secs(900));
        assert_eq!(pool.spec.deletion_policy, DeletionPolicy::Delete);
        assert!(!pool.spec.suspend);
        assert_eq!(pool.max_price_micro_usd(), None);
        assert_eq!(pool.scale_set_name(), "render");
    }

    #[test]
    fn needs_what_min_available_says_and_else_the_regular_ones_but_at_least_one() {
        for (spot, regular, min, wanted) in [
            (18, 2, json!("50%"), 10),
            (18, 2, json!("51%"), 11),
            (18, 2, json!(7), 7),
            (18, 2, json!(0), 0),
            (18, 2, json!("100%"), 20),
            (18, 2, Value::Null, 2),
            (18, 0, Value::Null, 1),
            (0, 0, Value::Null, 0),
            (0, 3, Value::Null, 3),
        ] {
            let mut spec = json!({"capacity": {"spot": spot, "regular": regular}});
            if !min.is_null() {
                spec["minAvailable"] = min.clone();
            }
            assert_eq!(
                pool(spec).min_available_count(),
                wanted,
                "{spot} + {regular}, minAvailable {min}"
            );
        }
    }

    #[test]
    fn a_price_that_is_no_price_is_an_error_and_not_unlimited() {
        let mut object = serde_json::to_value(pool(json!({"maxPrice": "0.05"}))).unwrap();
        object["spec"]["maxPrice"] = json!("cheap");
        let error = serde_json::from_value::<SpotPool>(object)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"cheap\" must be US dollars an hour"),
            "{error}"
        );
    }

    #[test]
    fn reads_a_status_that_the_api_server_filled_in() {
        let mut object = serde_json::to_value(pool(json!({}))).unwrap();
        object["status"] = json!({"observedGeneration": -1});
        let pool: SpotPool = serde_json::from_value(object).unwrap();
        assert_eq!(pool.status.unwrap().observed_generation, Some(-1));
    }

    #[test]
    fn takes_its_scale_sets_name_from_the_spec() {
        assert_eq!(
            pool(json!({"scaleSet": {"name": "farm"}})).scale_set_name(),
            "farm"
        );
        assert_eq!(pool(json!({"scaleSet": {}})).scale_set_name(), "render");
    }
}
