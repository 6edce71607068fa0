//! Mistakes in a new pool.

use serde_json::{Value, json};

use super::{apply, cluster, minimal, pool, refused};
use crate::harness::Result;

const PRICE: &str = r#"must be US dollars an hour in quotes, above 0 and with at most five decimals, such as "0.05", or "-1" for up to the pay-as-you-go price"#;
const DURATION: &str =
    r#"must be a positive duration in hours, minutes and seconds, such as "90s", "15m" or "1h30m""#;

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
        // As whom.
        (
            json!({"credentials": {"serviceAccountName": "Team_A"}}),
            field("credentials.serviceAccountName", "\"Team_A\"", "must be the name of a ServiceAccount: lower-case letters, digits, - and ."),
        ),
        (json!({"credentials": {}}), first("spec.credentials.serviceAccountName: Required value")),
        // What.
        (json!({"template": {"image": null}}), first("spec.template.image: Required value")),
        (
            json!({"template": {"image": {"marketplace": null}}}),
            whole("template.image", "set exactly one of marketplace, id and communityGalleryImageID"),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i", "communityGalleryImageID": "/CommunityGalleries/g/Images/i"}}}),
            whole("template.image", "set exactly one of marketplace, id and communityGalleryImageID"),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "id": "ubuntu"}}}),
            field(
                "template.image.id",
                "\"ubuntu\"",
                "must be a full Azure resource ID, such as /subscriptions/…/providers/Microsoft.Compute/galleries/gallery/images/image/versions/1.0.0",
            ),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "communityGalleryImageID": "ubuntu"}}}),
            field(
                "template.image.communityGalleryImageID",
                "\"ubuntu\"",
                "must be the ID of an image in a community gallery, such as /CommunityGalleries/NAME/Images/NAME/Versions/latest",
            ),
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
        // What an instance is, beyond image and network.
        (
            json!({"template": {"os": "MacOS"}}),
            first("spec.template.os: Unsupported value: \"MacOS\": supported values: \"Linux\", \"Windows\""),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "communityGalleryImageID": "/CommunityGalleries/g/Images/i", "plan": {"name": "n", "publisher": "p", "product": "o"}}}}),
            whole("template.image.plan", "images of a community gallery have no purchase plan: remove plan"),
        ),
        (
            json!({"template": {"admin": {"sshPublicKeys": null}}}),
            whole("template.admin", "set exactly one of sshPublicKeys and sshPublicKeySecretRef"),
        ),
        (
            json!({"template": {"admin": {"sshPublicKeySecretRef": {"name": "a", "key": "b"}}}}),
            whole("template.admin", "set exactly one of sshPublicKeys and sshPublicKeySecretRef"),
        ),
        (
            json!({"template": {"os": "Windows"}}),
            whole("template.admin", "an administrator of Windows has a password and no SSH keys: set passwordSecretRef only"),
        ),
        (
            json!({"template": {"customData": {"inline": "a", "secretKeyRef": {"name": "a", "key": "b"}}}}),
            whole("template.customData", "set exactly one of inline, secretKeyRef and configMapKeyRef"),
        ),
        (
            json!({"template": {"userData": {}}}),
            whole("template.userData", "set exactly one of inline, secretKeyRef and configMapKeyRef"),
        ),
        (
            json!({"template": {"image": {"marketplace": null, "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"}, "admin": null, "customData": {"inline": "a"}}}),
            whole("template.customData", "Azure takes custom data only together with an administrator: set template.admin, or use userData"),
        ),
        (
            json!({"template": {"osDisk": {"ephemeral": {}, "caching": "ReadWrite"}}}),
            whole("template.osDisk.caching", "an ephemeral OS disk is cached ReadOnly: remove caching"),
        ),
        (
            json!({"template": {"osDisk": {"ephemeral": {}}}, "eviction": {"policy": "Deallocate"}}),
            whole("eviction.policy", "an ephemeral OS disk cannot be deallocated: use eviction.policy: Delete"),
        ),
        (
            json!({"template": {"dataDisks": [{"lun": 64, "sizeGiB": 1}]}}),
            field("template.dataDisks[0].lun", "64", "spec.template.dataDisks[0].lun in body should be less than or equal to 63"),
        ),
        (
            json!({"template": {"dataDisks": [{"lun": 1, "sizeGiB": 1}, {"lun": 1, "sizeGiB": 2}]}}),
            "spec.template.dataDisks[1]: Duplicate value: {\"lun\":1}".to_owned(),
        ),
        (
            json!({"template": {"network": {"networkSecurityGroupID": "nsg"}}}),
            field(
                "template.network.networkSecurityGroupID",
                "\"nsg\"",
                "must be a full Azure resource ID, such as /subscriptions/…/providers/Microsoft.Network/networkSecurityGroups/nsg",
            ),
        ),
        (
            json!({"template": {"network": {"loadBalancerBackendPoolIDs": ["/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/loadBalancers/lb"]}}}),
            whole(
                "template.network.loadBalancerBackendPoolIDs",
                "must be a full Azure resource ID, such as /subscriptions/…/providers/Microsoft.Network/loadBalancers/lb/backendAddressPools/pool",
            ),
        ),
        (
            json!({"template": {"identity": {}}}),
            whole("template.identity", "list an identity in userAssigned, or set systemAssigned: true"),
        ),
        (
            json!({"template": {"identity": {"systemAssigned": true}}}),
            whole("template.identity", "Flexible scale sets take user-assigned identities only: list one in template.identity.userAssigned"),
        ),
        (
            json!({"template": {"security": {"vTPM": true}}}),
            whole("template.security", "secureBoot and vTPM need type: TrustedLaunch"),
        ),
        (
            json!({"template": {"bootDiagnostics": {"storageURI": "logs"}}}),
            field(
                "template.bootDiagnostics.storageURI",
                "\"logs\"",
                "must be a blob endpoint, such as https://ACCOUNT.blob.core.windows.net/",
            ),
        ),
        (
            json!({"template": {"overrides": {"priority": "Regular"}}}),
            whole(
                "template.overrides",
                "priority, evictionPolicy and billingProfile belong to spec.eviction and spec.maxPrice and cannot be overridden",
            ),
        ),
        (
            json!({"template": {"overrides": {"osProfile": {"adminPassword": "x"}}}}),
            whole("template.overrides", "secrets do not belong in overrides: use template.admin and template.customData"),
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
