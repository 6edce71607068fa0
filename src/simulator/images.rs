//! Images of the marketplace: every one exists, in one version. Whoever makes a scale set looks them up first.

use super::arm::Exchange;
use super::wire::Reply;
use serde_json::{Value, json};

/// What `latest` is.
pub const LATEST: &str = "24.04.202411010";

/// GET …/publishers/{p}/artifacttypes/vmimage/offers/{o}/skus/{s}/versions and …/versions/{v} [DOC virtual-machine-images].
///
/// # Errors
/// 404 for another version; 501 for the other lists.
pub fn answer(exchange: &Exchange<'_>, location: &str, path: &[String]) -> Result<Reply, Reply> {
    let [publisher, _, _, _, offer, _, sku, _, rest @ ..] = path else {
        return Err(Reply::not_simulated(
            "lists of publishers, offers and SKUs of images",
        ));
    };
    let id = format!(
        "/Subscriptions/{}/Providers/Microsoft.Compute/Locations/{location}/Publishers/{publisher}/ArtifactTypes/VMImage/Offers/{offer}/Skus/{sku}/Versions/{LATEST}",
        exchange.state.subscription
    );
    let mut image = json!({"location": location, "name": LATEST, "id": id});
    match rest {
        [] => Ok(Reply::json(200, json!([image]))),
        [version] if version == LATEST => {
            image["properties"] = properties(publisher);
            Ok(Reply::json(200, image))
        }
        [version] => {
            let message = format!(
                "Artifact: VMImage was not found: publisher {publisher}, offer {offer}, sku {sku}, version {version}. The only version is {LATEST}."
            );
            Err(Reply::error(404, "NotFound", &message, None))
        }
        _ => Err(Reply::not_simulated("this part of an image")),
    }
}

fn properties(publisher: &str) -> Value {
    let windows = publisher.to_lowercase().contains("windows");
    json!({
        "hyperVGeneration": "V2", "architecture": "x64", "replicaType": "Managed", "replicaCount": 10,
        "disallowed": {"vmDiskType": "Unmanaged"}, "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": false},
        "imageDeprecationStatus": {"imageState": "Active"}, "features": [{"name": "SecurityType", "value": "TrustedLaunchSupported"}],
        "osDiskImage": {"operatingSystem": if windows { "Windows" } else { "Linux" }, "sizeInGb": if windows { 127 } else { 30 }},
        "dataDiskImages": [],
    })
}
