//! The instances of a scale set: one paged list, read whole or not at all.
//!
//! In: the items of `GET …/virtualMachines?$filter='virtualMachineScaleSet/id' eq '…'&$expand=instanceView` (Flexible) or
//! `GET {set}/virtualMachines?$expand=instanceView` (Uniform) as JSON. Out: [`Instance`]s, each in exactly one
//! [`Phase`], or why the list cannot be trusted: a page that failed or an item that cannot be read makes the whole list unknown,
//! since a list with a gap would look like an eviction.

use futures::{Stream, StreamExt};
use reqwest::Url;
use serde_json::Value;
use spotpool_core::planner::{Instance, Phase};
use spotpool_core::units::{InstanceName, MicroUsd, Priority, VmSize, Zone};
use std::collections::BTreeMap;

use super::call_error::CallError;
use super::policies::Tap;
use super::scale_set::{price, timestamp};
use crate::cloud::{OrchestrationMode, PoolRef};

/// A set has at most 1,000 instances; more pages than this are a list that does not end.
const MOST_PAGES: usize = 100;

/// Where the list is, as far as Azure's limits tell one list from another.
pub(super) fn url(endpoint: &Url, pool: &PoolRef) -> Option<Url> {
    let (subscription, group) = (&pool.subscription, &pool.resource_group);
    match pool.mode {
        OrchestrationMode::Flexible => {
            let path = format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines"
            );
            let mut url = endpoint.join(&path).ok()?;
            url.query_pairs_mut()
                .append_pair("$filter", &filter(&pool.scale_set_id()));
            Some(url)
        }
        OrchestrationMode::Uniform => {
            let path = format!("{}/virtualMachines", pool.scale_set_id());
            endpoint.join(&path).ok()
        }
    }
}

fn filter(set: &str) -> String {
    format!("'virtualMachineScaleSet/id' eq '{set}'")
}

/// Asks for all pages and reads them. `client` is one whose pages pass through `tap`.
///
/// # Errors
/// When any page could not be had or read.
pub(super) async fn list(
    client: &azure_mgmt_compute::package_2024_07_01::Client,
    tap: &Tap,
    pool: &PoolRef,
) -> Result<Vec<Instance>, CallError> {
    let set = pool.scale_set_id();
    match pool.mode {
        OrchestrationMode::Flexible => {
            let request = client
                .virtual_machines_client()
                .list(&pool.resource_group, &pool.subscription);
            // $expand is allowed only with this filter [swagger 2024-07-01, VirtualMachines_List], and saves one read an instance.
            let pages = request
                .filter(filter(&set))
                .expand("instanceView")
                .into_stream();
            follow(pages).await?;
        }
        OrchestrationMode::Uniform => {
            let request = client.virtual_machine_scale_set_v_ms_client().list(
                &pool.resource_group,
                &pool.scale_set,
                &pool.subscription,
            );
            follow(request.expand("instanceView").into_stream()).await?;
        }
    }
    let read = match pool.mode {
        OrchestrationMode::Flexible => read_items(&tap.drain(), Some(&set)),
        OrchestrationMode::Uniform => read_items(&tap.drain(), None),
    };
    read.map_err(|fact| CallError::Unreadable { fact })
}

/// What Azure calls an instance in the body of a batch call: a Flexible one by its name, a Uniform one by the number that its name ends in
/// (azure.md §1.5).
pub(super) fn id_of(pool: &PoolRef, name: &InstanceName) -> String {
    let id = match pool.mode {
        OrchestrationMode::Flexible => name.as_str(),
        OrchestrationMode::Uniform => name
            .as_str()
            .rsplit_once('_')
            .map_or(name.as_str(), |(_, id)| id),
    };
    id.to_owned()
}

/// Follows a list to its end, and counts its pages; what passes, the tap keeps.
pub(super) async fn follow<T>(
    mut pages: impl Stream<Item = Result<T, azure_core_legacy::Error>> + Unpin,
) -> Result<usize, CallError> {
    let mut read = 0;
    while let Some(page) = pages.next().await {
        page?;
        read += 1;
        if read > MOST_PAGES {
            return Err(CallError::Unreadable {
                fact: format!("a list of more than {MOST_PAGES} pages"),
            });
        }
    }
    Ok(read)
}

/// Reads the items of all pages. `set`: the scale set that Flexible instances must name as theirs.
///
/// # Errors
/// A sentence about the first item that cannot be read.
pub(super) fn read_items(items: &[Value], set: Option<&str>) -> Result<Vec<Instance>, String> {
    let expanded = items.iter().any(|item| view(item).is_some());
    // By name: an item that moves to the next page while we read may come twice; the later one is newer.
    let mut instances = BTreeMap::new();
    for item in items {
        if let Some(instance) = read_item(item, set, expanded)? {
            instances.insert(instance.name.clone(), instance);
        }
    }
    Ok(instances.into_values().collect())
}

/// `None`: a machine of another scale set, in case the filter was not heeded.
fn read_item(item: &Value, set: Option<&str>, expanded: bool) -> Result<Option<Instance>, String> {
    let name = item
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or("an instance without a name")?;
    let properties = item
        .get("properties")
        .filter(|properties| properties.is_object())
        .ok_or_else(|| format!("instance {name} has no properties"))?;
    if let Some(set) = set {
        let member_of = properties
            .pointer("/virtualMachineScaleSet/id")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("instance {name} does not say which scale set it belongs to"))?;
        // ARM ids are compared without case: Azure itself returns them in several spellings.
        if !member_of.eq_ignore_ascii_case(set) {
            return Ok(None);
        }
    }
    let priority = match properties.get("priority").and_then(Value::as_str) {
        // `Low` is Spot's old name.
        Some("Spot" | "Low") => Priority::Spot,
        // Instances of a Uniform set do not say; all of ours are Spot.
        None if set.is_none() => Priority::Spot,
        // Regular is what a machine is that does not say.
        Some("Regular") | None => Priority::Regular,
        Some(other) => return Err(format!("instance {name} has the priority {other:?}")),
    };
    let text = |pointer| properties.pointer(pointer).and_then(Value::as_str);
    Ok(Some(Instance {
        name: InstanceName::from(name),
        priority,
        phase: phase(
            text("/provisioningState"),
            power(item),
            has_come_up(item),
            expanded,
        ),
        vm_size: VmSize::from(
            text("/hardwareProfile/vmSize")
                .or_else(|| item.pointer("/sku/name").and_then(Value::as_str))
                .unwrap_or_default(),
        ),
        zone: Zone::from(
            item.pointer("/zones/0")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        ),
        created: text("/timeCreated").and_then(timestamp),
        price_limit: properties
            .pointer("/billingProfile/maxPrice")
            .and_then(Value::as_f64)
            .map(|dollars| price(dollars).unwrap_or(MicroUsd(i64::MAX))),
    }))
}

/// Each instance is in exactly one phase, by provisioningState *and* PowerState (azure.md §1.4).
///
/// `has_come_up`: whether a failure is not one of its own provisioning.
fn phase(
    provisioning: Option<&str>,
    power: Option<&str>,
    has_come_up: bool,
    expanded: bool,
) -> Phase {
    let provisioning = provisioning.unwrap_or_default().to_ascii_lowercase();
    match (provisioning.as_str(), power) {
        ("deleting", _) => Phase::Stopping,
        // A failed extension leaves the machine Failed while it runs and works: that is no reason to take it.
        ("failed", Some("running")) if has_come_up => Phase::Running,
        // A machine whose guest never reported (OSProvisioningTimedOut) "runs" too. The planner takes it only after two readings.
        ("failed", _) => Phase::Failed,
        ("creating", _) => Phase::Starting,
        ("succeeded" | "updating" | "migrating" | "canceled", Some(power)) => by_power(power),
        // If no machine of the list has an instance view, Azure did not expand it, and "Succeeded" is all there is to know: calling that
        // unknown would leave the pool without availability for ever. If others have one, the lack of it is odd and this machine unknown.
        ("succeeded", None) if !expanded => Phase::Running,
        _ => Phase::Unknown,
    }
}

/// Whether the view names a failure other than those of bringing the machine itself up. Without a code nothing is known.
fn has_come_up(item: &Value) -> bool {
    let statuses = view(item).and_then(|view| view.get("statuses")?.as_array());
    let codes = statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status.get("code")?.as_str());
    let mut failures = codes
        .filter_map(|code| code.strip_prefix("ProvisioningState/failed/"))
        .peekable();
    failures.peek().is_some() && failures.all(|failure| failure.starts_with("VMExtension"))
}

fn by_power(power: &str) -> Phase {
    match power {
        "running" => Phase::Running,
        "starting" => Phase::Starting,
        // On its way down without being deleted: it will still exist, count in capacity and hold quota, so it is not "as good as gone".
        "stopping" | "deallocating" | "hibernating" => Phase::Deallocating,
        "stopped" | "deallocated" | "hibernated" => Phase::Deallocated,
        _ => Phase::Unknown,
    }
}

fn view(item: &Value) -> Option<&Value> {
    item.pointer("/properties/instanceView")
        .filter(|view| view.is_object())
}

/// The word after `PowerState/`.
fn power(item: &Value) -> Option<&str> {
    let statuses = view(item)?.get("statuses")?.as_array()?;
    statuses
        .iter()
        .filter_map(|status| status.get("code")?.as_str())
        .find_map(|code| code.strip_prefix("PowerState/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use spotpool_core::units::Timestamp;

    const SET: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/render";

    fn item(name: &str, provisioning: &str, power: Option<&str>) -> Value {
        let mut item = json!({
            "name": name, "location": "eastus", "zones": ["2"],
            "properties": {
                "virtualMachineScaleSet": {"id": SET.replace("resourceGroups/rg", "resourcegroups/RG")},
                "priority": "Spot", "provisioningState": provisioning, "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
                "timeCreated": "2026-01-02T03:04:05.6781234+00:00",
            },
        });
        if let Some(power) = power {
            item["properties"]["instanceView"] = json!({"statuses": [
                {"code": format!("ProvisioningState/{}", provisioning.to_lowercase()), "time": "2026-01-02T03:04:05Z"}, {"code": format!("PowerState/{power}")}]});
        }
        item
    }

    fn one(item: Value) -> Instance {
        read_items(&[item], Some(SET)).unwrap().remove(0)
    }

    #[test]
    fn a_machine_whose_extension_failed_runs_on_and_one_that_never_came_up_does_not() {
        for (code, phase) in [
            (
                "ProvisioningState/failed/VMExtensionProvisioningError",
                Phase::Running,
            ),
            (
                "ProvisioningState/failed/OSProvisioningTimedOut",
                Phase::Failed,
            ),
            ("ProvisioningState/failed", Phase::Failed),
        ] {
            let mut failed = item("render_1", "Failed", Some("running"));
            failed["properties"]["instanceView"]["statuses"][0]["code"] = json!(code);
            assert_eq!(one(failed).phase, phase, "{code}");
        }
    }

    #[test]
    fn reads_an_instance() {
        assert_eq!(
            one(item("render_1", "Succeeded", Some("running"))),
            Instance {
                name: "render_1".into(),
                priority: Priority::Spot,
                phase: Phase::Running,
                vm_size: "Standard_D4s_v5".into(),
                zone: "2".into(),
                created: Some(Timestamp(1_767_323_045_678)),
                price_limit: None,
            }
        );
    }

    #[test]
    fn puts_every_instance_into_exactly_one_phase() {
        let table = [
            ("Succeeded", Some("running"), Phase::Running),
            ("Succeeded", Some("starting"), Phase::Starting),
            ("Succeeded", Some("deallocated"), Phase::Deallocated),
            ("Succeeded", Some("stopped"), Phase::Deallocated),
            ("Succeeded", Some("unknown"), Phase::Unknown),
            ("Updating", Some("running"), Phase::Running),
            ("Updating", Some("deallocating"), Phase::Deallocating),
            ("Updating", None, Phase::Unknown),
            ("Creating", Some("running"), Phase::Starting),
            ("Creating", None, Phase::Starting),
            ("Deleting", Some("running"), Phase::Stopping),
            ("Deleting", Some("stopping"), Phase::Stopping),
            ("Failed", Some("running"), Phase::Failed),
            ("Failed", None, Phase::Failed),
            ("Migrating", Some("running"), Phase::Running),
            ("Rebranding", Some("running"), Phase::Unknown),
        ];
        for (provisioning, power, phase) in table {
            assert_eq!(
                one(item("x", provisioning, power)).phase,
                phase,
                "{provisioning} {power:?}"
            );
        }
    }

    #[test]
    fn takes_succeeded_for_running_only_where_nobody_has_an_instance_view() {
        assert_eq!(one(item("a", "Succeeded", None)).phase, Phase::Running);
        let both = read_items(
            &[
                item("a", "Succeeded", None),
                item("b", "Succeeded", Some("running")),
            ],
            Some(SET),
        )
        .unwrap();
        assert_eq!(
            both.iter().map(|one| one.phase).collect::<Vec<_>>(),
            [Phase::Unknown, Phase::Running]
        );
    }

    #[test]
    fn one_item_that_cannot_be_read_makes_the_list_unreadable() {
        let good = item("a", "Succeeded", Some("running"));
        for (pointer, value) in [
            ("/name", json!(null)),
            ("/name", json!("")),
            ("/properties", json!(null)),
            ("/properties/priority", json!("Gold")),
            ("/properties/virtualMachineScaleSet", json!(null)),
        ] {
            let mut bad = item("b", "Succeeded", Some("running"));
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(
                read_items(&[good.clone(), bad], Some(SET)).is_err(),
                "{pointer}"
            );
        }
        assert!(read_items(&[good, json!("b")], Some(SET)).is_err());
    }

    #[test]
    fn an_odd_field_that_nothing_stands_on_is_let_be() {
        let mut odd = item("a", "Succeeded", Some("running"));
        odd["location"] = Value::Null;
        odd["zones"] = json!([]);
        odd["properties"]["timeCreated"] = json!("yesterday");
        odd["properties"]["hardwareProfile"] = Value::Null;
        odd["properties"]["storageProfile"] = json!({"dataDisks": [{}]});
        odd["properties"]
            .as_object_mut()
            .unwrap()
            .remove("priority");
        let instance = one(odd);
        assert_eq!(
            (
                instance.phase,
                instance.priority,
                instance.zone.as_str(),
                instance.created
            ),
            (Phase::Running, Priority::Regular, "", None)
        );
    }

    #[test]
    fn leaves_out_machines_of_other_sets_and_counts_a_repeated_one_once() {
        let mut foreign = item("web_1", "Succeeded", Some("running"));
        foreign["properties"]["virtualMachineScaleSet"]["id"] =
            json!(SET.replace("/render", "/web"));
        let again = item("render_1", "Deleting", Some("running"));
        let list = read_items(
            &[
                item("render_1", "Succeeded", Some("running")),
                foreign,
                again,
            ],
            Some(SET),
        )
        .unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].phase, Phase::Stopping);
    }
}
