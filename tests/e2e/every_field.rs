//! Everything that a template can say is said to Azure, when the scale set is made and when the template changes, in both kinds of set.
//! `make schemas` holds what was sent here, like the rest, to Microsoft's own descriptions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::machine::{Machine, Settings, condition, manifest};

const SOON: Duration = Duration::from_secs(60);
const GROUP: &str =
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/batch-rg/providers";
const SECRETS: [&str; 2] = ["Correct-horse-1", "battery-staple"];

fn named(kind: &str, name: &str) -> String {
    format!("{GROUP}/{kind}/{name}")
}

fn key(name: &str) -> Value {
    json!({"name": "secrets", "key": name})
}

/// Linux from the Marketplace.
fn flexible() -> Value {
    let pool = |balancer: &str| named(balancer, &format!("front/{}", "backendAddressPools/batch"));
    let mut flexible = manifest("flexible", 2, 1);
    let spec = &mut flexible["spec"];
    spec["zones"] = json!(["1", "2"]);
    spec["maxPrice"] = json!("0.05");
    let template = &mut spec["template"];
    template["image"]["plan"] = json!({"name": "server", "publisher": "canonical", "product": "ubuntu-24_04-lts", "promotionCode": "spot"});
    template["osDisk"] = json!({"sizeGiB": 64, "type": "StandardSSD_LRS", "caching": "ReadOnly"});
    template["dataDisks"] =
        json!([{"lun": 0, "sizeGiB": 16, "type": "Premium_LRS", "caching": "None"}]);
    template["network"]["acceleratedNetworking"] = json!(true);
    template["network"]["networkSecurityGroupID"] =
        json!(named("Microsoft.Network/networkSecurityGroups", "closed"));
    template["network"]["publicIP"] =
        json!({"prefixID": named("Microsoft.Network/publicIPPrefixes", "ours")});
    template["network"]["loadBalancerBackendPoolIDs"] =
        json!([pool("Microsoft.Network/loadBalancers")]);
    template["network"]["applicationGatewayBackendPoolIDs"] =
        json!([pool("Microsoft.Network/applicationGateways")]);
    template["network"]["applicationSecurityGroupIDs"] = json!([named(
        "Microsoft.Network/applicationSecurityGroups",
        "workers"
    )]);
    template["identity"] = json!({"userAssigned": [named("Microsoft.ManagedIdentity/userAssignedIdentities", "worker")]});
    template["customData"] = json!({"secretKeyRef": key("boot")});
    template["userData"] = json!({"inline": "queue=render"});
    template["extensions"] = json!([
        {"name": "first", "publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "version": "2.1", "autoUpgradeMinorVersion": true,
            "settings": {"timestamp": 1}, "protectedSettingsSecretRef": key("settings")},
        {"name": "then", "publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent", "version": "1.0", "enableAutomaticUpgrade": true,
            "provisionAfterExtensions": ["first"]},
    ]);
    template["bootDiagnostics"] = json!({"storageURI": "https://logs.blob.core.windows.net/"});
    template["security"] = json!({"type": "TrustedLaunch", "secureBoot": false, "vTPM": true, "encryptionAtHost": true});
    template["tags"] = json!({"team": "render"});
    template["overrides"] = json!({"scheduledEventsProfile": {"terminateNotificationProfile": {"enable": true, "notBeforeTimeout": "PT5M"}}});
    flexible
}

/// Windows from an image of one's own.
fn uniform() -> Value {
    let mut uniform = manifest("uniform", 2, 0);
    let spec = &mut uniform["spec"];
    spec["scaleSet"] = json!({"orchestrationMode": "Uniform"});
    spec["eviction"] = json!({"policy": "Deallocate"});
    let template = &mut spec["template"];
    template["os"] = json!("Windows");
    template["image"] =
        json!({"id": named("Microsoft.Compute/galleries", "ours/images/farm/versions/1.0.0")});
    template["admin"] = json!({"username": "azureuser", "passwordSecretRef": key("password")});
    template["osDisk"] = json!({"type": "Standard_LRS"});
    template["identity"] = json!({"systemAssigned": true, "userAssigned": [named("Microsoft.ManagedIdentity/userAssignedIdentities", "worker")]});
    template["bootDiagnostics"] = json!({});
    uniform
}

fn change(pool: &mut Value) {
    let template = &mut pool["spec"]["template"];
    template["tags"] = json!({"team": "film"});
    template["osDisk"]["sizeGiB"] = json!(128);
    template["dataDisks"] = json!([{"lun": 1, "sizeGiB": 32}]);
    template["network"]["networkSecurityGroupID"] =
        json!(named("Microsoft.Network/networkSecurityGroups", "open"));
    template["network"]["acceleratedNetworking"] = json!(false);
    template["identity"]["userAssigned"] = json!([named(
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "other"
    )]);
    template["userData"] = json!({"inline": "queue=film"});
    template["security"] = json!({"encryptionAtHost": false});
    template["bootDiagnostics"] = json!({"storageURI": "https://more.blob.core.windows.net/"});
    template["extensions"] = json!([{"name": "first", "publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "version": "2.2",
        "settings": {"timestamp": 2}, "protectedSettingsSecretRef": key("settings")}]);
    pool["spec"]["zones"] = json!(["1", "2", "3"]);
    pool["spec"]["maxPrice"] = json!("0.06");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_template_says_is_said_to_azure_and_no_secret_is_told_again() -> Result<()> {
    let machine = Machine::start(Settings::default()).await?;
    let settings = json!({"commandToExecute": SECRETS[1]}).to_string();
    machine
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secrets", "namespace": "default"},
            "stringData": {"password": SECRETS[0], "settings": settings, "boot": "#cloud-config"},
        }))
        .await?;
    for (mut pool, name, regular) in [(flexible(), "flexible", 1), (uniform(), "uniform", 0)] {
        machine.apply(&pool).await?;
        machine.until_as_declared(name, 2, regular).await?;
        let set = named("Microsoft.Compute/virtualMachineScaleSets", name);
        change(&mut pool);
        machine.apply(&pool).await?;
        machine
            .until(name, "Azure has the new template", SOON, |now, _| {
                now["status"]["observedGeneration"] == now["metadata"]["generation"]
                    && condition(now, "UpToDate") == ("False", "NewInstancesOnly")
            })
            .await?;
        let (_, after) = machine.azure.arm("GET", &set, &Value::Null).await?;
        let profile = &after["properties"]["virtualMachineProfile"];
        let nic = &profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"];
        assert_eq!(after["tags"]["team"], "film", "{after:#}");
        assert_eq!(profile["storageProfile"]["osDisk"]["diskSizeGB"], 128);
        assert_eq!(profile["billingProfile"]["maxPrice"], 0.06);
        assert_eq!(nic["enableAcceleratedNetworking"], false, "{nic:#}");
        let extensions = profile["extensionProfile"]["extensions"].as_array();
        let first = extensions
            .into_iter()
            .flatten()
            .find(|one| one["name"] == "first");
        let version = first.map(|one| &one["properties"]["typeHandlerVersion"]);
        assert_eq!(version, Some(&json!("2.2")), "{extensions:#?}");
    }
    let told = machine
        .azure
        .log()
        .await?
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    for secret in SECRETS {
        assert!(
            !told.contains(secret),
            "{secret} is in Azure's answers or in the record of them"
        );
    }
    Ok(())
}
