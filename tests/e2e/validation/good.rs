//! What is right: taken, filled in, scaled, shown and reported about.

use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use spotpool::api::{ConditionType, FIELD_MANAGER, SpotPool};

use super::{apply, cluster, minimal, pool};
use crate::harness::Result;

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
                "credentials": {"serviceAccountName": "team-a.azure"},
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
            "everything",
            json!({"template": {
                "image": {"plan": {"name": "l1", "publisher": "cis", "product": "cis-ubuntu"}},
                "admin": {"sshPublicKeys": null, "sshPublicKeySecretRef": {"name": "login", "key": "keys"}, "passwordSecretRef": {"name": "login", "key": "password"}},
                "osDisk": {"ephemeral": {"placement": "NvmeDisk"}, "caching": "ReadOnly"},
                "dataDisks": [{"lun": 0, "sizeGiB": 128, "type": "PremiumV2_LRS", "caching": "None"}, {"lun": 1, "sizeGiB": 8}],
                "network": {
                    "networkSecurityGroupID": "/subscriptions/s/resourcegroups/net/providers/Microsoft.Network/networkSecurityGroups/nsg",
                    "publicIP": {},
                    "loadBalancerBackendPoolIDs": ["/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/loadBalancers/lb/backendAddressPools/pool"],
                    "applicationGatewayBackendPoolIDs": ["/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/applicationGateways/gw/backendAddressPools/pool"],
                    "applicationSecurityGroupIDs": ["/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/applicationSecurityGroups/asg"],
                },
                "identity": {"userAssigned": ["/subscriptions/s/resourceGroups/id/providers/Microsoft.ManagedIdentity/userAssignedIdentities/render"]},
                "customData": {"secretKeyRef": {"name": "boot", "key": "cloud-init"}},
                "userData": {"configMapKeyRef": {"name": "farm", "key": "scene"}},
                "extensions": [{
                    "name": "setup", "publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "version": "2.1",
                    "settings": {"fileUris": ["https://a"], "deep": {"er": [1, 2.5, true]}}, "protectedSettingsSecretRef": {"name": "boot", "key": "script"},
                    "provisionAfterExtensions": ["health"],
                }],
                "bootDiagnostics": {},
                "security": {"type": "TrustedLaunch", "secureBoot": false, "encryptionAtHost": true},
                "overrides": {"licenseType": "None", "osProfile": {"linuxConfiguration": {"provisionVMAgent": true}}},
            }}),
        ),
        pool(
            "windows",
            json!({
                "scaleSet": {"orchestrationMode": "Uniform"},
                "template": {"os": "Windows", "admin": {"sshPublicKeys": null, "passwordSecretRef": {"name": "login", "key": "password"}}, "identity": {"systemAssigned": true}},
            }),
        ),
        pool(
            "image",
            json!({"template": {"image": {"marketplace": null, "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"}}}),
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
    assert_eq!(stored["spec"]["template"]["os"], "Linux");
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    serde_json::from_value::<SpotPool>(stored)?;

    // What only Azure and extensions know comes back as it was written.
    let everything = plane
        .kubectl(["get", "spool", "everything", "-o", "json"])
        .await?
        .ok()?;
    let everything: SpotPool = serde_json::from_str(&everything)?;
    let template = serde_json::to_value(everything.spec.template)?;
    for member in ["extensions", "overrides", "network", "dataDisks"] {
        let written = &good
            .iter()
            .find(|one| one["metadata"]["name"] == "everything")
            .ok_or("not there")?["spec"]["template"][member];
        assert_eq!(&template[member], written, "{member}");
    }

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

#[tokio::test]
async fn a_status_that_says_the_same_is_not_written_and_a_condition_left_out_goes() -> Result<()> {
    let plane = cluster().await?;
    let kubeconfig = plane.kubeconfig_path();
    let serverside = ["apply", "--server-side", "--filename", "-"];
    // A null is not stored in place of a default.
    let mut asked = minimal("pool");
    asked["spec"]["capacity"] = Value::Null;
    asked["spec"]["suspend"] = Value::Null;
    plane
        .kubectl_as(&kubeconfig, serverside, &asked.to_string())
        .await?
        .ok()?;

    let pools: Api<SpotPool> = Api::default_namespaced(plane.client().await?);
    let stored = pools.get("pool").await?;
    assert_eq!(
        stored.spec.capacity,
        spotpool::api::Capacity {
            spot: 1,
            regular: 0
        }
    );
    assert!(!stored.spec.suspend);

    let condition = |kind: ConditionType| json!({"type": kind.as_str(), "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"});
    let write = |conditions: Vec<Value>| {
        let status = json!({"observedGeneration": 1, "conditions": conditions,
            "offerings": [{"vmSize": "Standard_D4s_v5", "zone": "", "priority": "Spot", "state": "Refused"}]});
        let patch =
            json!({"apiVersion": "spotpool.io/v1alpha1", "kind": "SpotPool", "status": status});
        let pools = pools.clone();
        async move {
            pools
                .patch_status(
                    "pool",
                    &PatchParams::apply(FIELD_MANAGER).force(),
                    &Patch::Apply(patch),
                )
                .await
        }
    };
    let first = write(vec![
        condition(ConditionType::Ready),
        condition(ConditionType::Stalled),
    ])
    .await?;
    let second = write(vec![
        condition(ConditionType::Ready),
        condition(ConditionType::Stalled),
    ])
    .await?;
    assert_eq!(
        first.metadata.resource_version,
        second.metadata.resource_version
    );
    let third = write(vec![condition(ConditionType::Ready)]).await?;
    let status = third.status.ok_or("no status")?;
    assert!(status.condition(ConditionType::Ready).is_some());
    assert!(status.condition(ConditionType::Stalled).is_none());
    assert_eq!(
        third.metadata.generation, stored.metadata.generation,
        "a status is no new generation"
    );
    Ok(())
}
