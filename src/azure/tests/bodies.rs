//! What is sent about a scale set, held against files that people can read, and against Microsoft's own models.
//!
//! `SPOTPOOL_SNAPSHOTS=write cargo test --lib azure::tests::bodies` writes the files anew; read what changed before you commit it.

use super::*;
use crate::api::{InstanceTemplate, Reference};
use crate::azure::difference::{Difference, difference};
use crate::azure::held::Held;
use crate::azure::{bodies, json};
use crate::cloud::{Content, Contents, EvictionPolicy, OrchestrationMode};
use spotpool_core::units::MicroUsd;
use std::path::Path;

/// A template that says everything that can be said about a Linux instance.
pub(super) fn everything() -> Value {
    let net = |rest: &str| {
        format!("/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/{rest}")
    };
    json!({
        "os": "Linux",
        "image": {
            "marketplace": {"publisher": "cis", "offer": "cis-ubuntu", "sku": "l1", "version": "latest"},
            "plan": {"name": "l1", "publisher": "cis", "product": "cis-ubuntu", "promotionCode": "spring"},
        },
        "admin": {"username": "azureuser", "sshPublicKeySecretRef": {"name": "login", "key": "keys"}, "passwordSecretRef": {"name": "login", "key": "password"}},
        "osDisk": {"sizeGiB": 64, "type": "Premium_LRS", "caching": "ReadOnly", "ephemeral": {"placement": "NvmeDisk"}},
        "dataDisks": [{"lun": 0, "sizeGiB": 128, "type": "PremiumV2_LRS", "caching": "None"}, {"lun": 1, "sizeGiB": 8}],
        "network": {
            "subnetID": net("virtualNetworks/vnet/subnets/batch"),
            "acceleratedNetworking": true,
            "networkSecurityGroupID": net("networkSecurityGroups/nsg"),
            "publicIP": {"prefixID": net("publicIPPrefixes/prefix")},
            "loadBalancerBackendPoolIDs": [net("loadBalancers/lb/backendAddressPools/pool")],
            "applicationGatewayBackendPoolIDs": [net("applicationGateways/gateway/backendAddressPools/pool")],
            "applicationSecurityGroupIDs": [net("applicationSecurityGroups/asg")],
        },
        "identity": {"userAssigned": ["/subscriptions/s/resourceGroups/id/providers/Microsoft.ManagedIdentity/userAssignedIdentities/render"]},
        "customData": {"secretKeyRef": {"name": "boot", "key": "cloud-init"}},
        "userData": {"configMapKeyRef": {"name": "farm", "key": "scene"}},
        "extensions": [{
            "name": "setup", "publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "version": "2.1",
            "autoUpgradeMinorVersion": true, "enableAutomaticUpgrade": false,
            "settings": {"timestamp": 7, "nothing": null}, "protectedSettingsSecretRef": {"name": "boot", "key": "script"},
            "provisionAfterExtensions": ["health"],
        }],
        "bootDiagnostics": {"storageURI": "https://logs.blob.core.windows.net/"},
        "security": {"type": "TrustedLaunch", "secureBoot": false, "vTPM": true, "encryptionAtHost": true},
        "tags": {"team": "render"},
        "overrides": {"licenseType": "None", "osProfile": {"linuxConfiguration": {"provisionVMAgent": true}}},
    })
}

/// What the Secrets and ConfigMaps of [`everything`] hold.
fn contents() -> Contents {
    let secret = |name: &str, key: &str, text: &str| {
        (
            reference(name, key),
            Content::of_secret(text.as_bytes().to_vec(), "uid"),
        )
    };
    let scene = Reference {
        kind: crate::api::ReferenceKind::ConfigMap,
        name: "farm".into(),
        key: "scene".into(),
    };
    [
        secret(
            "login",
            "keys",
            "# mine\nssh-ed25519 AAAA me\n\nssh-ed25519 BBBB you\n",
        ),
        secret("login", "password", "correct horse"),
        secret("boot", "cloud-init", "#cloud-config\n"),
        secret(
            "boot",
            "script",
            "{\"commandToExecute\": \"setup.sh --token hunter2\"}",
        ),
        (scene, Content::of_config_map(b"shot-042".to_vec())),
    ]
    .into_iter()
    .collect()
}

fn reference(name: &str, key: &str) -> Reference {
    Reference {
        kind: crate::api::ReferenceKind::Secret,
        name: name.into(),
        key: key.into(),
    }
}

pub(super) fn shape_of(template: Value) -> Shape {
    let template: InstanceTemplate = serde_json::from_value(template).unwrap();
    Shape {
        zones: vec!["1".into(), "3".into()],
        eviction: EvictionPolicy::Delete,
        max_price: Some(MicroUsd(41_230)),
        template: template.in_order(),
        contents: contents(),
    }
}

pub(super) fn created(pool: &PoolRef, shape: &Shape) -> Value {
    let tags = BTreeMap::from([("team".to_owned(), "render".to_owned())]);
    bodies::create(pool, shape, 20, 2, &"Standard_D4s_v5".into(), &tags).unwrap()
}

/// The body is what the file says.
fn same_as_snapshot(name: &str, body: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("src/azure/tests/snapshots/{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(body).unwrap());
    if std::env::var_os("SPOTPOOL_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == text,
        "{} is not what is sent:\n{text}\nSPOTPOOL_SNAPSHOTS=write writes it anew",
        path.display()
    );
}

pub(super) fn uniform() -> PoolRef {
    PoolRef {
        mode: OrchestrationMode::Uniform,
        ..pool()
    }
}

pub(super) fn windows() -> Value {
    json!({
        "os": "Windows",
        "image": {"marketplace": {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2025-datacenter", "version": "latest"}},
        "admin": {"username": "azureuser", "passwordSecretRef": {"name": "login", "key": "password"}},
        "identity": {"systemAssigned": true},
        "network": {"subnetID": "/subnet", "publicIP": {}},
        "bootDiagnostics": {},
        "security": {"type": "TrustedLaunch"},
    })
}

pub(super) fn specialised() -> Value {
    json!({"image": {"communityGalleryImageID": "/CommunityGalleries/g/Images/i/Versions/latest"}, "network": {"subnetID": "/subnet"}, "osDisk": {"ephemeral": {}}})
}

#[test]
fn creates_scale_sets_as_the_files_say() {
    same_as_snapshot(
        "create-everything",
        &created(&pool(), &shape_of(everything())),
    );
    same_as_snapshot(
        "create-windows-uniform",
        &created(&uniform(), &shape_of(windows())),
    );
    let bare = Shape {
        zones: vec![],
        max_price: None,
        eviction: EvictionPolicy::Deallocate,
        ..shape_of(specialised())
    };
    same_as_snapshot("create-specialised", &created(&pool(), &bare));
}

#[test]
fn a_uniform_set_is_told_nothing_that_only_flexible_ones_know() {
    let missing = lacking(&uniform(), &shape_of(everything()), &json!({}));
    let patch = bodies::reshape(&uniform(), missing.send, 0, &BTreeMap::new());
    for body in [created(&uniform(), &shape_of(everything())), patch] {
        assert!(body["properties"]["virtualMachineProfile"].is_object());
        for word in ["deleteOption", "networkApiVersion", "priorityMixPolicy"] {
            assert!(!body.to_string().contains(word), "{word} in {body}");
        }
    }
}

#[test]
fn resizes_with_capacity_size_and_base_and_nothing_else() {
    same_as_snapshot(
        "resize",
        &bodies::resize(&pool(), 20, 2, &"Standard_D4s_v5".into()),
    );
    same_as_snapshot(
        "resize-uniform",
        &bodies::resize(&uniform(), 20, 0, &"Standard_D4s_v5".into()),
    );
}

/// A set as Azure shows it after a create: secrets are gone, and Azure and others have added things.
fn live(body: &Value) -> Value {
    let mut live = body.clone();
    live["etag"] = json!("\"7\"");
    let profile = &mut live["properties"]["virtualMachineProfile"];
    let members = profile.as_object_mut().unwrap();
    members.remove("userData");
    members.insert("timeCreated".into(), json!("2026-01-02T03:04:05+00:00"));
    let os = profile["osProfile"].as_object_mut().unwrap();
    os.remove("adminPassword");
    os.remove("customData");
    os.insert("allowExtensionOperations".into(), json!(true));
    os.insert("secrets".into(), json!([]));
    profile["storageProfile"]["imageReference"]["exactVersion"] = json!("1.2.3");
    profile["storageProfile"]["osDisk"]["osType"] = json!("Linux");
    let nic = &mut profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"];
    nic["enableIPForwarding"] = json!(false);
    let pools = &mut nic["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"];
    pools.as_array_mut().unwrap().push(json!({"id": "/others"}));
    let extensions = profile["extensionProfile"]["extensions"]
        .as_array_mut()
        .unwrap();
    extensions[0]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("protectedSettings");
    extensions[0]["properties"]["provisioningState"] = json!("Succeeded");
    extensions.push(json!({"name": "AzureMonitor", "properties": {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent", "typeHandlerVersion": "1.0", "settings": {"a": 1}}}));
    live
}

/// What `live` lacks when nothing is to be taken away.
fn lacking(pool: &PoolRef, shape: &Shape, live: &Value) -> Difference {
    difference(
        &bodies::declared(pool, shape).unwrap(),
        live,
        &Held::default(),
    )
}

fn patch(shape: &Shape, live: &Value) -> Value {
    let missing = lacking(&pool(), shape, live);
    assert!(missing.fixed.is_empty(), "{:?}", missing.fixed);
    bodies::reshape(
        &pool(),
        missing.send,
        2,
        &BTreeMap::from([("team".to_owned(), "render".to_owned())]),
    )
}

#[test]
fn reshapes_with_what_changed_and_keeps_what_others_added() {
    let before = live(&created(&pool(), &shape_of(everything())));
    let mut template = everything();
    template["image"]["marketplace"]["version"] = json!("24.04.1");
    template["network"]["networkSecurityGroupID"] = json!("/nsg2");
    same_as_snapshot(
        "reshape-image-and-network",
        &patch(&shape_of(template), &before),
    );
}

#[test]
fn reshapes_to_another_kind_of_image_and_takes_the_old_words_away() {
    let mut template = everything();
    let before = live(&created(&pool(), &shape_of(template.clone())));
    template["image"] = json!({"id": "/images/render"});
    assert_eq!(
        patch(&shape_of(template), &before)["properties"]["virtualMachineProfile"]["storageProfile"]
            ["imageReference"],
        json!({"id": "/images/render", "publisher": null, "offer": null, "sku": null, "version": null})
    );
}

#[test]
fn what_azure_fills_in_and_others_add_is_no_difference() {
    let mut template = everything();
    for secret in ["customData", "userData", "extensions"] {
        template.as_object_mut().unwrap().remove(secret);
    }
    template["tags"] = json!({});
    let shape = shape_of(template);
    let mut there = created(&pool(), &shape);
    there["properties"]["virtualMachineProfile"]["extensionProfile"] = json!({"extensions": []});
    there["properties"]["virtualMachineProfile"]["osProfile"]["customData"] = json!("x");
    let mut there = {
        let profile = &mut there["properties"]["virtualMachineProfile"];
        profile["extensionProfile"]["extensions"] = json!([{"name": "setup", "properties": {}}]);
        live(&there)
    };
    // Azure writes IDs back in its own case, and numbers as it likes.
    there["identity"]["userAssignedIdentities"] = json!({
        "/subscriptions/s/resourcegroups/ID/providers/Microsoft.ManagedIdentity/userAssignedIdentities/render": {"clientId": "c", "principalId": "p"},
        "/others": {},
    });
    there["identity"]["type"] = json!("SystemAssigned, UserAssigned");
    there["zones"] = json!(["3", "1"]);
    there["properties"]["virtualMachineProfile"]["storageProfile"]["osDisk"]["diskSizeGB"] =
        json!(64.0);
    there["tags"] = json!({"policy": "added this"});
    let missing = lacking(&pool(), &shape, &there);
    assert_eq!(
        (Value::Object(missing.send), missing.fixed),
        (json!({}), vec![])
    );
}

#[test]
fn an_identity_is_added_to_those_that_others_gave() {
    let mut there = created(&pool(), &shape_of(everything()));
    there["identity"] = json!({"type": "SystemAssigned", "principalId": "p"});
    let sent = lacking(&pool(), &shape_of(everything()), &there).send;
    assert_eq!(sent["identity"]["type"], "SystemAssigned, UserAssigned");
    assert_eq!(
        sent["identity"]["userAssignedIdentities"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

/// What was declared by one template and is not by another.
fn gone(before: &Value, after: &Value) -> Held {
    let held = |template: &Value| {
        let shape = shape_of(template.clone());
        let tags = shape.template.tags.clone();
        Held::declared(&bodies::declared(&pool(), &shape).unwrap(), &tags)
    };
    // As it is read from the tag.
    Held::read(&held(before).text()).without(&held(after))
}

#[test]
fn what_the_template_says_no_more_is_taken_away_and_what_others_put_there_stays() {
    let before = everything();
    let mut there = live(&created(&pool(), &shape_of(before.clone())));
    there["identity"]["type"] = json!("SystemAssigned, UserAssigned");
    let mut after = before.clone();
    for field in [
        "dataDisks",
        "identity",
        "customData",
        "userData",
        "extensions",
        "bootDiagnostics",
        "tags",
    ] {
        after.as_object_mut().unwrap().remove(field);
    }
    after["network"] =
        json!({"subnetID": before["network"]["subnetID"], "acceleratedNetworking": true});
    let gone = gone(&before, &after);
    assert!(gone.has_tag("Team") && !gone.has_tag("cost-center"));
    let shape = shape_of(after.clone());
    let declared = bodies::declared(&pool(), &shape).unwrap();
    let missing = difference(&declared, &there, &gone);
    assert_eq!(missing.fixed, Vec::<String>::new());
    same_as_snapshot(
        "reshape-taken-away",
        &bodies::reshape(&pool(), missing.send, 2, &BTreeMap::new()),
    );
    // Somebody who never declared them takes nothing away.
    let missing = difference(&declared, &there, &Held::default());
    assert_eq!(
        (Value::Object(missing.send), missing.fixed),
        (json!({}), vec![])
    );
}

#[test]
fn one_of_two_is_taken_away_and_the_other_stays() {
    let mut before = everything();
    before["extensions"] = json!([{"name": "a", "publisher": "p", "type": "t", "version": "1"}, {"name": "b", "publisher": "p", "type": "t", "version": "1"}]);
    let ids = ["/subscriptions/s/a", "/subscriptions/s/b"];
    before["identity"]["userAssigned"] = json!(ids);
    let there = created(&pool(), &shape_of(before.clone()));
    let mut after = before.clone();
    after["extensions"].as_array_mut().unwrap().remove(0);
    after["identity"]["userAssigned"] = json!([ids[1]]);
    let declared = bodies::declared(&pool(), &shape_of(after.clone())).unwrap();
    let sent = difference(&declared, &there, &gone(&before, &after)).send;
    assert_eq!(
        sent["identity"],
        json!({"type": "UserAssigned", "userAssignedIdentities": {ids[0]: null}})
    );
    let extensions = &sent["properties"]["virtualMachineProfile"]["extensionProfile"]["extensions"];
    let names: Vec<&Value> = extensions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn the_tag_of_what_is_held_fits_into_azures_bounds_and_reads_back() {
    let mut most = everything();
    let disks = (0..64).map(|lun| json!({"lun": lun, "sizeGiB": 1}));
    most["dataDisks"] = disks.collect();
    let tags = (0..40).map(|n| (n.to_string(), String::new())).collect();
    for (template, parts) in [(everything(), 12), (most, 64)] {
        let held = Held::declared(
            &bodies::declared(&pool(), &shape_of(template)).unwrap(),
            &tags,
        );
        let text = held.text();
        assert!(text.len() <= 256, "{text}");
        assert_eq!(text.len() / 4, (parts + 40).min(64));
        assert_eq!(Held::read(&text).text(), text);
    }
}

#[test]
fn says_what_azure_cannot_change() {
    let there = live(&created(&pool(), &shape_of(everything())));
    let mut other = shape_of(everything());
    other.eviction = EvictionPolicy::Deallocate;
    other.template.overrides =
        serde_json::from_value(json!({"osProfile": {"allowExtensionOperations": false}})).unwrap();
    assert_eq!(
        lacking(&pool(), &other, &there).fixed,
        ["evictionPolicy", "osProfile.allowExtensionOperations"]
    );
}

#[test]
fn a_template_whose_secret_was_not_read_makes_no_body() {
    let unread = Shape {
        contents: Contents::default(),
        ..shape_of(everything())
    };
    let error = bodies::create(&pool(), &unread, 1, 0, &"S".into(), &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key password of Secret login was not read"
    );
}

/// Microsoft's models keep what they know and drop the rest: what comes back as it went in has only names that Azure knows.
fn known<Model: serde::Serialize + serde::de::DeserializeOwned>(mut body: Value) {
    // They have no user-assigned identities (crates.md §1).
    body.as_object_mut().unwrap().remove("identity");
    let mut back =
        serde_json::to_value(serde_json::from_value::<Model>(body.clone()).unwrap()).unwrap();
    json::strip_nulls(&mut back);
    json::strip_nulls(&mut body);
    assert_eq!(back, body);
}

#[test]
fn says_nothing_that_microsofts_models_do_not_know() {
    use azure_mgmt_compute::package_2024_07_01::models::{
        VirtualMachineScaleSet, VirtualMachineScaleSetUpdate,
    };
    for (pool, template) in [
        (pool(), everything()),
        (uniform(), windows()),
        (pool(), specialised()),
    ] {
        let shape = shape_of(template);
        let body = created(&pool, &shape);
        known::<VirtualMachineScaleSet>(body);
        // Towards an empty set everything that a PATCH can carry is missing.
        let missing = lacking(&pool, &shape, &json!({}));
        known::<VirtualMachineScaleSetUpdate>(bodies::reshape(
            &pool,
            missing.send,
            2,
            &BTreeMap::new(),
        ));
    }
    known::<VirtualMachineScaleSetUpdate>(bodies::resize(&pool(), 20, 2, &"S".into()));
}
