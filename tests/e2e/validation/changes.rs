//! Changes to a pool that exists.

use serde_json::{Value, json};

use super::{apply, cluster, pool, refused};
use crate::harness::Result;

#[tokio::test]
async fn refuses_to_change_what_cannot_be_changed_also_by_unset_then_set() -> Result<()> {
    let plane = cluster().await?;
    let scale_set = "spec.scaleSet.name: Invalid value: scaleSet.name is immutable, also from unset to set: create another SpotPool instead";
    let zones = "spec.zones: Invalid value: zones can be added but not removed: Azure does not take zones away from a scale set";
    let password = "spec.template.admin.passwordSecretRef: Invalid value: Azure cannot change the password of a scale set: passwordSecretRef can be neither added nor removed later; create another SpotPool instead";
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
            json!({}),
            json!({"template": {"admin": {"username": "other"}}}),
            fixed("template.admin.username", "other"),
        ),
        (
            json!({"template": {"admin": null, "image": {"marketplace": null, "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"}}}),
            json!({"template": {"admin": null, "image": {"marketplace": null, "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"}, "os": "Windows"}}),
            fixed("template.os", "Windows"),
        ),
        (
            json!({}),
            json!({"template": {"admin": {"passwordSecretRef": {"name": "a", "key": "b"}}}}),
            password.into(),
        ),
        (
            json!({"template": {"admin": {"passwordSecretRef": {"name": "a", "key": "b"}}}}),
            json!({}),
            password.into(),
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
        "template": {"tags": {"team": "render"}},
    });
    for number in [0, 10, 11] {
        apply(&plane, &[named(number, &changed)]).await?.ok()?;
    }
    Ok(())
}
