//! What `kubectl apply` answers: each mistake that can be known without Azure is refused at once, with a message that
//! says what to write, and whatever is right is taken, twice.
//!
//! In goes the committed definition, on a real API server; the expected texts are the whole of what kubectl prints.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::access::Said;
use crate::harness::control_plane::ControlPlane;

const PRICE: &str = r#"must be US dollars an hour in quotes, above 0 and with at most five decimals, such as "0.05", or "-1" for up to the pay-as-you-go price"#;
const DURATION: &str =
    r#"must be a positive duration in hours, minutes and seconds, such as "90s", "15m" or "1h30m""#;
const SUBNET: &str = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/batch";

/// An API server that has the definition.
async fn cluster() -> Result<ControlPlane> {
    let plane = ControlPlane::start().await?;
    let said = plane
        .kubectl(["apply", "--filename", "crds/spotpool.io_spotpools.yaml"])
        .await?;
    assert!(said.success && said.stderr.is_empty(), "{}", said.stderr);
    plane
        .kubectl([
            "wait",
            "--for=condition=Established",
            "crd/spotpools.spotpool.io",
            "--timeout=30s",
        ])
        .await?
        .ok()?;
    Ok(plane)
}

/// The least that a SpotPool must say.
fn minimal(name: &str) -> Value {
    json!({
        "apiVersion": "spotpool.io/v1alpha1",
        "kind": "SpotPool",
        "metadata": {"name": name},
        "spec": {
            "subscriptionID": "11111111-1111-1111-1111-111111111111",
            "resourceGroup": "batch-rg",
            "location": "eastus",
            "vmSizes": [{"name": "Standard_D4s_v5"}],
            "template": {
                "image": {"marketplace": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
                "admin": {"username": "azureuser", "sshPublicKeys": ["ssh-ed25519 AAAA user@host"]},
                "network": {"subnetID": SUBNET},
            },
        },
    })
}

/// [`minimal`] with `change` merged in; a null removes.
fn pool(name: &str, change: Value) -> Value {
    let mut pool = minimal(name);
    merge(&mut pool["spec"], change);
    pool
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (name, value) in change {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(json!({})), value);
                }
            }
        }
        (into, change) => *into = change,
    }
}

/// All of them in one file, as `kubectl apply` takes it.
fn manifest(pools: &[Value]) -> String {
    pools.iter().fold(String::new(), |mut text, pool| {
        let _ = writeln!(text, "---\n{pool}");
        text
    })
}

async fn apply(plane: &ControlPlane, pools: &[Value]) -> Result<Said> {
    plane
        .kubectl_as(
            &plane.kubeconfig_path(),
            ["apply", "--filename", "-"],
            &manifest(pools),
        )
        .await
}

/// Applies all of `pools` with one kubectl; each must be refused with its text and none taken.
async fn refused(plane: &ControlPlane, cases: &[(Value, String)]) -> Result<()> {
    let pools: Vec<Value> = cases.iter().map(|case| case.0.clone()).collect();
    let said = apply(plane, &pools).await?;
    let mut wrong = String::new();
    for (pool, expected) in cases {
        let name = pool["metadata"]["name"].as_str().unwrap_or_default();
        // "The SpotPool …" when it is the only one in the file, "SpotPool.spotpool.io …" otherwise.
        let prefix = format!(" \"{name}\" is invalid: ");
        let answer = said
            .stderr
            .lines()
            .find_map(|line| line.split_once(&prefix))
            .map(|(_, answer)| answer);
        if answer != Some(expected) {
            let _ = writeln!(
                wrong,
                "{name}\n  expected: {expected}\n  said:     {}",
                answer.unwrap_or("nothing")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        !said.success && !said.stdout.contains("created") && !said.stdout.contains("configured"),
        "{}",
        said.stdout
    );
    Ok(())
}

#[tokio::test]
async fn refuses_what_cannot_be_right_and_says_what_to_write() -> Result<()> {
    let plane = cluster().await?;
    let field = |path: &str, value: &str, must: &str| {
        format!("spec.{path}: Invalid value: {value}: {must}")
    };
    // The API server shows the value of a scalar only.
    let whole = |path: &str, must: &str| format!("spec.{path}: Invalid value: {must}");
    // What it adds when the structure is wrong: CEL did not run.
    let first = |answer: &str| {
        format!(
            "[{answer}, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]"
        )
    };
    let at_least_0 =
        |path: &str| format!("spec.{path} in body should be greater than or equal to 0");
    let at_most_1000 =
        |path: &str| format!("spec.{path} in body should be less than or equal to 1000");
    let cases: Vec<(Value, String)> = [
        // How many.
        (
            json!({"capacity": {"spot": -1}}),
            // The second one is the scale subresource's own check.
            format!(
                "[{}, .{}]",
                field("capacity.spot", "-1", &at_least_0("capacity.spot")),
                field("capacity.spot", "-1", "should be a non-negative integer")
            ),
        ),
        (json!({"capacity": {"regular": -3}}), field("capacity.regular", "-3", &at_least_0("capacity.regular"))),
        (json!({"capacity": {"spot": 1001}}), field("capacity.spot", "1001", &at_most_1000("capacity.spot"))),
        (json!({"minAvailable": -1}), field("minAvailable", "-1", &at_least_0("minAvailable"))),
        (
            json!({"minAvailable": "101%"}),
            field("minAvailable", "\"101%\"", "spec.minAvailable in body should match '^(100|[0-9]{1,2})%$'"),
        ),
        // For how much.
        (json!({"maxPrice": "0"}), field("maxPrice", "\"0\"", PRICE)),
        (json!({"maxPrice": "0.00000"}), field("maxPrice", "\"0.00000\"", PRICE)),
        (json!({"maxPrice": "-2"}), field("maxPrice", "\"-2\"", PRICE)),
        (json!({"maxPrice": "0.1234567"}), field("maxPrice", "\"0.1234567\"", PRICE)),
        (json!({"maxPrice": "cheap"}), field("maxPrice", "\"cheap\"", PRICE)),
        (json!({"maxPrice": "1e3"}), field("maxPrice", "\"1e3\"", PRICE)),
        (
            json!({"maxPrice": 0.05}),
            first(&field("maxPrice", "\"number\"", "spec.maxPrice in body must be of type string: \"number\"")),
        ),
        // What.
        (json!({"template": {"image": null}}), first("spec.template.image: Required value")),
        (
            json!({"template": {"image": {"marketplace": null}}}),
            whole("template.image", "set exactly one of marketplace, id and communityGalleryImageID"),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "id": "/a", "communityGalleryImageID": "/b"}}}),
            whole("template.image", "set exactly one of marketplace, id and communityGalleryImageID"),
        ),
        (
            json!({"template": {"admin": null}}),
            whole("template.admin", "an image from the marketplace needs an administrator: set template.admin"),
        ),
        (
            json!({"vmSizes": [{"name": "Standard_B2s"}]}),
            field("vmSizes[0].name", "\"Standard_B2s\"", "B-series sizes cannot be Spot in a scale set: use for example Standard_D2as_v5"),
        ),
        (
            json!({"vmSizes": [{"name": "Standard_DS2_v2_Promo"}]}),
            field("vmSizes[0].name", "\"Standard_DS2_v2_Promo\"", "promo sizes cannot be Spot: use the same size without _Promo"),
        ),
        (
            json!({"vmSizes": [{"name": "standard_d4s_v5"}]}),
            field("vmSizes[0].name", "\"standard_d4s_v5\"", "must be an Azure VM size in its own spelling, such as Standard_D4s_v5"),
        ),
        (
            json!({"vmSizes": [{"name": "Standard_D4s_v5"}, {"name": "Standard_D4s_v5"}]}),
            whole("vmSizes", "each VM size may be listed once"),
        ),
        (json!({"vmSizes": []}), field("vmSizes", "0", "spec.vmSizes in body should have at least 1 items")),
        // Where.
        (
            json!({"subscriptionID": "my-subscription"}),
            field("subscriptionID", "\"my-subscription\"", "must be a subscription ID, such as 11111111-1111-1111-1111-111111111111"),
        ),
        (
            json!({"location": "East US"}),
            field("location", "\"East US\"", "must be the short name of a region, such as eastus (not \"East US\")"),
        ),
        (json!({"zones": ["4"]}), first("spec.zones[0]: Unsupported value: \"4\": supported values: \"1\", \"2\", \"3\"")),
        (
            json!({"scaleSet": {"name": "my set"}}),
            field("scaleSet.name", "\"my set\"", "must be an Azure resource name: letters, digits, _ . and -"),
        ),
        (
            json!({"template": {"network": {"subnetID": "batch"}}}),
            field(
                "template.network.subnetID",
                "\"batch\"",
                "must be a full Azure resource ID, such as /subscriptions/…/virtualNetworks/vnet/subnets/batch",
            ),
        ),
        // The rest.
        (
            json!({"template": {"tags": {"cost/center": "7"}}}),
            whole(
                "template.tags",
                r"tag names must not contain < > % & \ ? or / and must not be longer than 512 characters",
            ),
        ),
        (
            json!({"template": {"tags": {"spotpool_owner": "me"}}}),
            whole("template.tags", "tag names that begin with \"spotpool\" are reserved for the operator"),
        ),
        (json!({"progressDeadline": "0s"}), field("progressDeadline", "\"0s\"", DURATION)),
        (json!({"progressDeadline": "15"}), field("progressDeadline", "\"15\"", DURATION)),
        (json!({"progressDeadline": "1.5h"}), field("progressDeadline", "\"1.5h\"", DURATION)),
        (
            json!({"deletionPolicy": "Keep"}),
            first("spec.deletionPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Orphan\""),
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (change, expected))| (pool(&format!("bad-{number}"), change), expected))
    .collect();
    refused(&plane, &cases).await?;

    let long = "a-pool-whose-name-is-longer-than-44-characters";
    let too_long = whole(
        "scaleSet.name",
        "metadata.name is longer than 44 characters: set spec.scaleSet.name",
    );
    refused(&plane, &[(minimal(long), too_long)]).await?;
    apply(
        &plane,
        &[pool(long, json!({"scaleSet": {"name": "short"}}))],
    )
    .await?
    .ok()?;

    let typo = apply(&plane, &[pool("typo", json!({"maxprice": "0.05"}))]).await?;
    assert!(
        typo.stderr.contains("unknown field \"spec.maxprice\""),
        "{}",
        typo.stderr
    );
    Ok(())
}

#[tokio::test]
async fn refuses_to_change_what_cannot_be_changed_also_by_unset_then_set() -> Result<()> {
    let plane = cluster().await?;
    let scale_set = "spec.scaleSet.name: Invalid value: scaleSet.name is immutable, also from unset to set: create another SpotPool instead";
    let zones = "spec.zones: Invalid value: zones can be added but not removed: Azure does not take zones away from a scale set";
    let other_subscription = "22222222-2222-2222-2222-222222222222";
    let fixed = |field: &str, value: &str| {
        format!(
            "spec.{field}: Invalid value: \"{value}\": {field} is immutable: create another SpotPool instead"
        )
    };
    let cases: Vec<(Value, Value, String)> = vec![
        (
            json!({}),
            json!({"subscriptionID": other_subscription}),
            fixed("subscriptionID", other_subscription),
        ),
        (
            json!({}),
            json!({"resourceGroup": "other-rg"}),
            fixed("resourceGroup", "other-rg"),
        ),
        (
            json!({}),
            json!({"location": "westus"}),
            fixed("location", "westus"),
        ),
        (
            json!({"scaleSet": {"name": "one"}}),
            json!({"scaleSet": {"name": "two"}}),
            scale_set.into(),
        ),
        (
            json!({"scaleSet": {"name": "one"}}),
            json!({"scaleSet": null}),
            scale_set.into(),
        ),
        (
            json!({"scaleSet": {"name": "one"}}),
            json!({"scaleSet": {}}),
            scale_set.into(),
        ),
        (
            json!({}),
            json!({"scaleSet": {"name": "two"}}),
            scale_set.into(),
        ),
        (
            json!({"scaleSet": {}}),
            json!({"scaleSet": {"name": "two"}}),
            scale_set.into(),
        ),
        (
            json!({"zones": ["1", "2"]}),
            json!({"zones": ["1", "3"]}),
            zones.into(),
        ),
        (
            json!({"zones": ["1", "2"]}),
            json!({"zones": ["2"]}),
            zones.into(),
        ),
        (json!({"zones": ["1"]}), json!({}), zones.into()),
    ];
    let named = |number: usize, change: &Value| pool(&format!("fixed-{number}"), change.clone());
    let before: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| named(number, &case.0))
        .collect();
    let after: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| (named(number, &case.1), case.2.clone()))
        .collect();
    apply(&plane, &before).await?.ok()?;
    refused(&plane, &after).await?;

    // What may change does, and zones may come.
    let changed = json!({
        "zones": ["1", "2", "3"], "capacity": {"spot": 7, "regular": 3}, "minAvailable": 4, "maxPrice": "0.07",
        "vmSizes": [{"name": "Standard_D8s_v5"}, {"name": "Standard_D4s_v5"}], "suspend": true, "deletionPolicy": "Orphan",
        "template": {"tags": {"team": "render"}, "admin": {"username": "other"}},
    });
    for number in [0, 9, 10] {
        apply(&plane, &[named(number, &changed)]).await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn takes_good_pools_twice_unchanged_and_scales_and_shows_them() -> Result<()> {
    let plane = cluster().await?;
    let good = [
        minimal("minimal"),
        pool(
            "full",
            json!({
                "zones": ["1", "2", "3"],
                "scaleSet": {"name": "render_farm.1"},
                "capacity": {"spot": 18, "regular": 2},
                "minAvailable": "50%",
                "vmSizes": [{"name": "Standard_D4s_v5"}, {"name": "Standard_D4as_v5"}, {"name": "Standard_F8s_v2"}],
                "maxPrice": "0.05",
                "template": {
                    "osDisk": {"sizeGiB": 64, "type": "Premium_LRS"},
                    "network": {"acceleratedNetworking": true},
                    "tags": {"team": "render", "cost center": "7"},
                },
                "suspend": false,
                "deletionPolicy": "Orphan",
                "progressDeadline": "1h30m",
            }),
        ),
        pool(
            "unlimited",
            json!({"maxPrice": "-1", "minAvailable": 0, "capacity": {"spot": 0}}),
        ),
        pool(
            "gallery",
            json!({"template": {"image": {"marketplace": null, "communityGalleryImageID": "/CommunityGalleries/g/Images/i/Versions/latest"}, "admin": null}}),
        ),
    ];
    let first = apply(&plane, &good).await?.ok()?;
    assert_eq!(first.matches(" created").count(), good.len(), "{first}");
    let second = apply(&plane, &good).await?.ok()?;
    assert_eq!(second.matches(" unchanged").count(), good.len(), "{second}");

    // Defaults, and a status that no tool takes for current.
    let stored: Value = serde_json::from_str(
        &plane
            .kubectl(["get", "spool", "minimal", "-o", "json"])
            .await?
            .ok()?,
    )?;
    assert_eq!(stored["spec"]["capacity"], json!({"spot": 1, "regular": 0}));
    assert_eq!(stored["spec"]["progressDeadline"], "15m");
    assert_eq!(stored["spec"]["deletionPolicy"], "Delete");
    assert_eq!(stored["spec"]["suspend"], false);
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    serde_json::from_value::<spotpool::api::SpotPool>(stored)?;

    // The scale subresource works although the manifest says nothing about capacity.
    let scale = "/apis/spotpool.io/v1alpha1/namespaces/default/spotpools/minimal/scale";
    let read: Value = serde_json::from_str(&plane.kubectl(["get", "--raw", scale]).await?.ok()?)?;
    assert_eq!(read["spec"]["replicas"], 1);
    plane
        .kubectl(["scale", "spotpool/minimal", "--replicas=23"])
        .await?
        .ok()?;
    plane
        .kubectl(["scale", "spotpool/full", "--replicas=0"])
        .await?
        .ok()?;
    let spot = plane
        .kubectl([
            "get",
            "spool",
            "minimal",
            "full",
            "-o",
            "jsonpath={.items[*].spec.capacity.spot}",
        ])
        .await?
        .ok()?;
    assert_eq!(spot, "23 0");
    let refused = plane
        .kubectl(["scale", "spotpool/minimal", "--replicas=1001"])
        .await?;
    assert!(
        refused
            .stderr
            .contains("spec.capacity.spot in body should be less than or equal to 1000"),
        "{}",
        refused.stderr
    );

    // Columns, and what an autoscaler reads.
    let status = json!({"status": {
        "availableReplicas": 17, "upToDateReplicas": 18, "selector": "spotpool.io/pool-uid=u",
        "spot": {"replicas": 23, "running": 15}, "regular": {"running": 2},
        "conditions": [{"type": "Ready", "status": "True", "reason": "AvailableEnough", "message": "17 of 23 available", "lastTransitionTime": "2026-11-24T10:00:00Z"}],
    }});
    plane
        .kubectl([
            "patch",
            "spool/minimal",
            "--subresource=status",
            "--type=merge",
            "--patch",
            &status.to_string(),
        ])
        .await?
        .ok()?;
    let read: Value = serde_json::from_str(&plane.kubectl(["get", "--raw", scale]).await?.ok()?)?;
    assert_eq!(
        (&read["status"]["replicas"], &read["status"]["selector"]),
        (&json!(23), &json!("spotpool.io/pool-uid=u"))
    );
    let columns = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|c| !c.is_empty())
                    .map(String::from)
                    .collect()
            })
            .collect()
    };
    let short = columns(&plane.kubectl(["get", "spool", "minimal"]).await?.ok()?);
    assert_eq!(
        short[0],
        [
            "NAME",
            "READY",
            "SPOT",
            "RUNNING",
            "REGULAR",
            "AVAILABLE",
            "AGE"
        ]
    );
    assert_eq!(short[1][..6], ["minimal", "True", "23", "15", "2", "17"]);
    let wide = columns(
        &plane
            .kubectl([
                "get",
                "azure",
                "-o",
                "wide",
                "--field-selector=metadata.name=minimal,spec.location=eastus",
            ])
            .await?
            .ok()?,
    );
    assert_eq!(
        wide[0][7..],
        [
            "UP-TO-DATE",
            "SIZE",
            "EVICTED",
            "SUSPENDED",
            "REASON",
            "MESSAGE"
        ]
    );
    assert_eq!(
        wide[1][7..],
        [
            "18",
            "Standard_D4s_v5",
            "false",
            "AvailableEnough",
            "17 of 23 available"
        ]
    );
    let explained = plane
        .kubectl(["explain", "spotpool.spec.maxPrice"])
        .await?
        .ok()?;
    assert!(
        explained.contains("The most that one Spot instance may cost"),
        "{explained}"
    );
    Ok(())
}
