//! Templates over ARM, and what they stand on: networks, images, subscriptions, resource groups.

use super::*;

const DEPLOYMENT: &str = "/resourceGroups/batch-rg/providers/Microsoft.Resources/deployments/d";
const NETWORK: &str = "/resourceGroups/batch-rg/providers/Microsoft.Network";

/// What the Azure CLI sends for a scale set, shortened.
fn template() -> Value {
    let mut set = pool(2, 1);
    for (key, value) in [
        ("type", json!("Microsoft.Compute/virtualMachineScaleSets")),
        ("name", json!("render")),
        ("apiVersion", json!("2024-07-01")),
        ("dependsOn", json!(["Microsoft.Network/virtualNetworks/v"])),
    ] {
        set[key] = value;
    }
    set["properties"]["virtualMachineProfile"]["osProfile"]["adminPassword"] =
        json!("[parameters('adminPassword')]");
    let network = json!({"type": "Microsoft.Network/virtualNetworks", "name": "v", "apiVersion": "2022-01-01", "location": "eastus", "properties": {"subnets": [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}]}});
    let output = "[reference(resourceId('Microsoft.Compute/virtualMachineScaleSets', 'render'),providers('Microsoft.Compute', 'virtualMachineScaleSets').apiVersions[0])]";
    json!({"properties": {
        "mode": "incremental",
        "parameters": {"adminPassword": {"value": "hunter2"}},
        "template": {
            "$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
            "parameters": {"adminPassword": {"type": "securestring"}},
            "resources": [set, network], "outputs": {"VMSS": {"type": "object", "value": output}},
        },
    }})
}

async fn deploy(sim: &Simulator, body: Value) -> Reply {
    send(sim, "PUT", &format!("{SUB}{DEPLOYMENT}"), &[], body).await
}

async fn status_of(sim: &Simulator, reply: &Reply) -> Value {
    let address = header(reply, "azure-asyncoperation").unwrap();
    get(sim, address.strip_prefix("http://127.0.0.1:1").unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_deployment_makes_the_network_first_and_ends_with_the_scale_set() {
    let sim = simulator();
    let reply = deploy(&sim, template()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(status_of(&sim, &reply).await, json!({"status": "Running"}));
    let subnet = get(&sim, &format!("{SUB}{NETWORK}/virtualNetworks/v/subnets/s")).await;
    assert_eq!(subnet["properties"]["addressPrefix"], "10.0.0.0/24");
    let again = deploy(&sim, template()).await;
    assert_eq!((again.status, code(&again)), (409, "DeploymentActive"));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        status_of(&sim, &reply).await,
        json!({"status": "Succeeded"})
    );
    let deployment = get(&sim, &format!("{SUB}{DEPLOYMENT}")).await;
    let properties = &deployment["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(
        properties["outputs"]["vmss"]["value"]["provisioningState"],
        "Succeeded"
    );
    assert_eq!(properties["outputs"]["vmss"]["type"], "Object");
    assert_eq!(
        properties["parameters"],
        json!({"adminPassword": {"type": "securestring"}})
    );
    let log = sim.with(|state| format!("{}{state:?}", state.log.text()));
    assert!(
        !log.contains("hunter2"),
        "the password is in the log or in a Debug text"
    );
    let again = deploy(&sim, template()).await;
    assert_eq!(again.status, 200, "the same once more: {again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_compute_fails_the_deployment_and_keeps_the_network() {
    let sim = simulator();
    let mut body = template();
    body["properties"]["template"]["resources"][0]["sku"]["name"] = json!("Standard_Nothing");
    let reply = deploy(&sim, body).await;
    let status = status_of(&sim, &reply).await;
    assert_eq!(
        (&status["status"], &status["error"]["code"]),
        (&json!("Failed"), &json!("DeploymentFailed"))
    );
    let reason = status["error"]["details"][0]["message"].as_str().unwrap();
    assert!(reason.contains("Standard_Nothing"), "{status}");
    get(&sim, &format!("{SUB}{NETWORK}/virtualNetworks/v")).await;
    assert_eq!(
        send(&sim, "GET", &set_path("render"), &[], Value::Null)
            .await
            .status,
        404
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_refused_before_anything_is_made() {
    let sim = simulator();
    let change = |pointer: &str, value: Value| {
        let mut body = template();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, status, expected) in [
        (
            change(
                "/properties/template/resources/0/name",
                json!("[uniqueString('a')]"),
            ),
            400,
            "InvalidTemplate",
        ),
        (
            change("/properties/template", json!([])),
            400,
            "InvalidTemplate",
        ),
        (
            change("/properties/parameters", json!({})),
            400,
            "InvalidTemplate",
        ),
        (
            change("/properties/mode", json!("Complete")),
            501,
            "NotSimulated",
        ),
        (
            change(
                "/properties/template/resources/0/type",
                json!("Microsoft.Storage/storageAccounts"),
            ),
            501,
            "NotSimulated",
        ),
    ] {
        let reply = deploy(&sim, body).await;
        assert_eq!(
            (reply.status, code(&reply)),
            (status, expected),
            "{reply:?}"
        );
    }
    let mut waits = template();
    waits["properties"]["template"]["resources"][0]["dependsOn"] = json!([]);
    waits["properties"]["template"]["resources"][1]["dependsOn"] = json!(["render"]);
    assert_eq!(code(&deploy(&sim, waits).await), "NotSimulated");
    let networks = get(&sim, &format!("{SUB}{NETWORK}/virtualNetworks")).await;
    assert_eq!(networks, json!({"value": []}));
}

#[tokio::test(start_paused = true)]
async fn a_child_lives_in_its_parent() {
    let sim = simulator();
    let parent = format!("{SUB}{NETWORK}/loadBalancers/l");
    let child = format!("{parent}/inboundNatRules/r");
    let orphan = send(&sim, "PUT", &child, &[], json!({})).await;
    assert_eq!(
        (orphan.status, code(&orphan)),
        (404, "ParentResourceNotFound")
    );
    let elsewhere = send(&sim, "PUT", &parent, &[], json!({"location": "westeurope"})).await;
    assert_eq!(code(&elsewhere), "LocationNotAvailableForResourceType");
    for status in [201, 200] {
        let made = send(&sim, "PUT", &parent, &[], json!({"location": "eastus"})).await;
        assert_eq!(made.status, status);
    }
    for status in [201, 200] {
        let made = send(
            &sim,
            "PUT",
            &child,
            &[],
            json!({"properties": {"backendPort": 22}}),
        )
        .await;
        assert_eq!(made.status, status);
    }
    let rules = get(&sim, &parent).await["properties"]["inboundNatRules"].clone();
    assert_eq!(rules, json!([get(&sim, &child).await]));
    assert_eq!(rules[0]["id"], child);
    let everywhere = get(
        &sim,
        &format!("{SUB}/providers/Microsoft.Network/loadBalancers"),
    )
    .await;
    assert_eq!(everywhere["value"].as_array().map(Vec::len), Some(1));
    for (path, status) in [(&child, 200), (&child, 204), (&parent, 200), (&parent, 204)] {
        assert_eq!(
            send(&sim, "DELETE", path, &[], Value::Null).await.status,
            status,
            "{path}"
        );
    }
    assert_eq!(
        code(&send(&sim, "GET", &child, &[], Value::Null).await),
        "ResourceNotFound"
    );
}

#[tokio::test(start_paused = true)]
async fn subscriptions_images_and_groups_are_found() {
    let sim = simulator();
    let subscriptions = get(&sim, "/subscriptions").await;
    assert_eq!(subscriptions["value"][0]["id"], SUB);
    assert_eq!(
        get(&sim, "/tenants").await,
        json!({"value": []}),
        "a token without a tenant has none"
    );
    let versions = format!(
        "{SUB}/providers/Microsoft.Compute/locations/eastus/publishers/Canonical/artifacttypes/vmimage/offers/o/skus/s/versions"
    );
    let version = get(&sim, &versions).await[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let image = get(&sim, &format!("{versions}/{version}")).await;
    assert_eq!(
        image["properties"]["osDiskImage"]["operatingSystem"],
        "Linux"
    );
    assert_eq!(
        send(&sim, "GET", &format!("{versions}/1.2.3"), &[], Value::Null)
            .await
            .status,
        404
    );
    sim.with(|state| state.missing_groups.push("batch-rg".to_owned()));
    assert_eq!(
        code(&deploy(&sim, template()).await),
        "ResourceGroupNotFound"
    );
    for status in [201, 200] {
        let made = send(
            &sim,
            "PUT",
            &format!("{SUB}/resourcegroups/batch-rg"),
            &[],
            json!({"location": "eastus"}),
        )
        .await;
        assert_eq!(made.status, status);
    }
    assert_eq!(deploy(&sim, template()).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn operations_ask_for_patience_only_when_told_to() {
    for (told, said) in [(None, None), (Some(2), Some("2"))] {
        let options = Options {
            retry_after: told,
            ..Options::default()
        };
        let sim = Simulator::new(&options).unwrap();
        let reply = send(&sim, "PUT", &set_path("render"), &[], pool(1, 0)).await;
        assert_eq!(header(&reply, "retry-after"), said, "of the PUT");
        let address = header(&reply, "azure-asyncoperation").unwrap();
        let target = address.strip_prefix("http://127.0.0.1:1").unwrap();
        let running = send(&sim, "GET", target, &[], Value::Null).await;
        assert_eq!(
            header(&running, "retry-after"),
            said,
            "of the running operation"
        );
        tokio::time::sleep(Duration::from_secs(300)).await;
        let ended = send(&sim, "GET", target, &[], Value::Null).await;
        assert_eq!(
            header(&ended, "retry-after"),
            None,
            "of the ended operation"
        );
    }
}
