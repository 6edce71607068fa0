//! Bad days: what Azure refuses, misreads or does not answer is shown with a documented reason, and nothing is lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const SOON: Duration = Duration::from_secs(60);
const SET: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers/Microsoft.Compute/virtualMachineScaleSets/render";

/// Writes that take something away, among the requests from a point on.
async fn destructive(machine: &Machine, from: usize) -> Result<Vec<String>> {
    let log = machine.azure.log().await?;
    let takes = |line: &&Value| {
        let (method, url) = (
            line["request"]["method"].as_str().unwrap_or(""),
            line["request"]["url"].as_str().unwrap_or(""),
        );
        method == "DELETE" || (method == "POST" && url.contains("/delete"))
    };
    Ok(log
        .iter()
        .skip(from)
        .filter(takes)
        .map(|line| line["request"].to_string())
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_become_conditions_and_the_pool_recovers_when_their_cause_ends() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let d4 = "Standard_D4s_v5";
    let cases = [
        (
            "no-capacity",
            "capacity",
            json!({"vmSize": d4, "available": 0}),
            json!({"vmSize": d4, "available": null}),
            "NoCapacity",
            "SkuNotAvailable",
        ),
        (
            "quota",
            "quota",
            json!({"name": "lowPriorityCores", "limit": 4}),
            json!({"name": "lowPriorityCores", "limit": 1000}),
            "QuotaExceeded",
            "quota",
        ),
    ];
    for (name, path, breaks, mends, reason, word) in cases {
        machine.azure.control(path, &breaks).await?;
        machine.apply(&manifest(name, 3, 0)).await?;
        let told = machine
            .until(
                name,
                &format!("SpotSatisfied is False because of {reason}"),
                SOON,
                |now, _| condition(now, "SpotSatisfied") == ("False", reason),
            )
            .await?;
        assert!(
            told["status"]["conditions"].to_string().contains(word),
            "Azure's own words are passed on: {told:#}"
        );
        assert_eq!(told["status"]["offerings"][0]["vmSize"], d4, "{told:#}");
        machine.azure.control(path, &mends).await?;
        machine
            .kubectl(&["delete", "spotpool", name, "--timeout=60s"])
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_capacity_inside_an_operation_is_told_like_any_other() -> Result<()> {
    let settings = Settings {
        simulator: vec!["--no-capacity".into(), "inside-operation".into()],
        ..Settings::default()
    };
    let machine = Machine::start(settings).await?;
    machine
        .azure
        .control(
            "capacity",
            &json!({"vmSize": "Standard_D4s_v5", "available": 2}),
        )
        .await?;
    machine.apply(&manifest("render", 5, 0)).await?;
    machine
        .until(
            "render",
            "two came, the rest is refused",
            SOON,
            |now, set| {
                set.running("Spot") == 2
                    && condition(now, "SpotSatisfied") == ("False", "NoCapacity")
            },
        )
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_above_the_limit_is_told_and_nothing_is_bought() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine
        .azure
        .control(
            "price",
            &json!({"vmSize": "Standard_D4s_v5", "usdPerHour": "0.09"}),
        )
        .await?;
    let mut render = manifest("render", 3, 0);
    render["spec"]["maxPrice"] = json!("0.05");
    machine.apply(&render).await?;
    machine
        .until("render", "the price is told", SOON, |now, set| {
            condition(now, "SpotSatisfied") == ("False", "PriceAboveLimit") && set.held() == 0
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_size_needs_a_human_and_says_so() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let mut render = manifest("render", 3, 0);
    render["spec"]["vmSizes"] = json!([{"name": "Standard_D4s_v99"}]);
    machine.apply(&render).await?;
    machine
        .until(
            "render",
            "it is Stalled because of the size",
            SOON,
            |now, _| condition(now, "Stalled") == ("True", "VmSizeUnknown"),
        )
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_size_is_taken_when_the_preferred_one_is_refused() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine
        .azure
        .control(
            "capacity",
            &json!({"vmSize": "Standard_D4s_v5", "available": 0}),
        )
        .await?;
    let mut render = manifest("render", 3, 0);
    render["spec"]["vmSizes"] = json!([{"name": "Standard_D4s_v5"}, {"name": "Standard_D4as_v5"}]);
    machine.apply(&render).await?;
    machine.until_as_declared("render", 3, 0).await?;
    let set = machine.azure.set("render").await?;
    assert!(
        set.0["instances"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|one| one["vmSize"] == "Standard_D4as_v5"),
        "{set:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_stall_the_pool_and_their_return_ends_that() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 2, 0)).await?;
    machine.until_as_declared("render", 2, 0).await?;
    let rule = json!({"status": 401, "code": "InvalidAuthenticationToken", "message": "The access token is invalid.", "times": 1_000_000});
    machine.azure.control("faults", &rule).await?;
    machine
        .until(
            "render",
            "credentials are said to be invalid",
            SOON,
            |now, _| {
                condition(now, "CredentialsValid").0 == "False"
                    && condition(now, "Stalled").0 == "True"
            },
        )
        .await?;
    machine.azure.clear_faults().await?;
    machine
        .until("render", "it is Ready again", SOON, |now, _| {
            condition(now, "Ready").0 == "True" && condition(now, "Stalled").0.is_empty()
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_set_of_somebody_else_is_not_touched() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let subnet = manifest("render", 0, 0)["spec"]["template"]["network"]["subnetID"].clone();
    let foreign = json!({
        "location": "eastus", "tags": {"owner": "somebody else"},
        "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 2},
        "properties": {
            "orchestrationMode": "Flexible", "platformFaultDomainCount": 1, "singlePlacementGroup": false,
            "virtualMachineProfile": {
                "osProfile": {"computerNamePrefix": "theirs", "adminUsername": "azureuser", "adminPassword": "Not-a-secret-1"},
                "storageProfile": {"imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
                "networkProfile": {"networkApiVersion": "2020-11-01", "networkInterfaceConfigurations": [
                    {"name": "nic", "properties": {"primary": true, "ipConfigurations": [{"name": "ip", "properties": {"subnet": {"id": subnet}}}]}},
                ]},
            },
        },
    });
    let (status, answer) = machine.azure.arm("PUT", SET, &foreign).await?;
    assert_eq!(status, 201, "{answer}");
    let settled = std::time::Instant::now();
    let before = loop {
        let (_, before) = machine.azure.arm("GET", SET, &Value::Null).await?;
        if before["properties"]["provisioningState"] == "Succeeded" || settled.elapsed() > SOON {
            break before;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    machine.apply(&manifest("render", 5, 1)).await?;
    machine
        .until(
            "render",
            "it is Stalled because the set is not ours",
            SOON,
            |now, _| condition(now, "Stalled") == ("True", "NotOurs"),
        )
        .await?;
    machine
        .kubectl(&["delete", "spotpool", "render", "--timeout=60s"])
        .await?;
    let (_, after) = machine.azure.arm("GET", SET, &Value::Null).await?;
    assert_eq!(before, after, "untouched to the byte");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_azure_costs_nothing_and_is_reported() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let mut render = manifest("render", 6, 1);
    render["spec"]["progressDeadline"] = json!("2s");
    machine.apply(&render).await?;
    machine.until_as_declared("render", 6, 1).await?;
    let from = machine.azure.log().await?.len();
    machine
        .azure
        .control("offline", &json!({"offline": true}))
        .await?;
    let blind = machine
        .until(
            "render",
            "Ready is Unknown because Azure is silent",
            SOON,
            |now, _| condition(now, "Ready") == ("Unknown", "AzureUnreachable"),
        )
        .await?;
    assert_eq!(
        blind["status"]["spot"]["running"], 6,
        "counts keep their last values: {blind:#}"
    );
    machine.azure.evict("render", 2).await?;
    machine
        .azure
        .control("offline", &json!({"offline": false}))
        .await?;
    machine
        .until("render", "two evictions are counted", SOON, |now, _| {
            now["status"]["evictions"]["total"] == 2
        })
        .await?;
    let healed = machine.until_as_declared("render", 6, 1).await?;
    assert_eq!(condition(&healed, "Ready").0, "True", "{healed:#}");
    assert_eq!(destructive(&machine, from).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capacity_that_reads_zero_deletes_nothing_and_is_reported() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    machine.apply(&manifest("render", 6, 1)).await?;
    machine.until_as_declared("render", 6, 1).await?;
    let (from, names) = (
        machine.azure.log().await?.len(),
        machine.azure.set("render").await?.names(),
    );
    let rule = json!({"method": "GET", "pathContains": "virtualMachineScaleSets/render", "capacityReadsAs": 0, "times": 1_000_000});
    machine.azure.control("faults", &rule).await?;
    let survey = json!({"pathContains": "ResourceGraph", "capacityReadsAs": 0, "times": 1_000_000});
    machine.azure.control("faults", &survey).await?;
    let looked = std::time::Instant::now();
    loop {
        let events = machine
            .kubectl(&[
                "get",
                "events",
                "-o",
                "jsonpath={range .items[*]}{.reason}{\"\\n\"}{end}",
            ])
            .await?;
        if events.lines().any(|line| line == "GuardRefused") {
            break;
        }
        assert!(
            looked.elapsed() < SOON,
            "no event GuardRefused among\n{events}\n{}",
            machine.controller_log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    machine.azure.clear_faults().await?;
    machine.until_as_declared("render", 6, 1).await?;
    assert_eq!(
        machine.azure.set("render").await?.names(),
        names,
        "the same instances as before"
    );
    assert_eq!(destructive(&machine, from).await?, Vec::<String>::new());
    Ok(())
}
