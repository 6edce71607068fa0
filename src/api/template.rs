//! What an instance is: image, administrator, disk, network, tags.
//!
//! In comes `spec.template`; out goes what the Azure client turns into the model of the scale set. Only what works is here:
//! a change reaches new instances, and `status.conditions[UpToDate]` says how many still run the old model.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// What every new instance is made from. A change applies to new instances only; running ones stay as they are.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.image.marketplace) || has(self.admin)")
        .message("an image from the marketplace needs an administrator: set template.admin")
        .field_path(".admin"),
    validation = Rule::new("has(self.admin) == has(oldSelf.admin)")
        .message("template.admin can be neither added nor removed later: create another SpotPool instead")
        .field_path(".admin"),
)]
pub struct InstanceTemplate {
    /// The disk image. Exactly one of marketplace, id and communityGalleryImageID.
    pub image: Image,
    /// The account that is created in the instance. Needed for every image that is not specialised, so for all from the marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// The OS disk. Unset: as the image says, on a disk type that Azure picks for the VM size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_disk: Option<OsDisk>,
    /// The network interface.
    pub network: Network,
    /// Azure tags of the scale set and its instances. The operator adds its own, whose names begin with "spotpool".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    // 40 keeps room for the operator's own tags below Azure's 50.
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    #[x_kube(
        validation = Rule::new(r"self.all(k, size(k) <= 512 && !k.matches('[<>%&?/]') && !k.contains('\\'))")
            .message(r"tag names must not contain < > % & \ ? or / and must not be longer than 512 characters"),
        validation = Rule::new("self.all(k, !k.startsWith('spotpool'))")
            .message("tag names that begin with \"spotpool\" are reserved for the operator"),
    )]
    pub tags: BTreeMap<String, String>,
}

/// The disk image of an instance. Exactly one member is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.marketplace), has(self.id), has(self.communityGalleryImageID)].exists_one(x, x)")
        .message("set exactly one of marketplace, id and communityGalleryImageID"),
)]
pub struct Image {
    /// An image from the Azure Marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketplace: Option<MarketplaceImage>,
    /// Resource ID of a managed image, or of an image (version) in an Azure Compute Gallery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub id: Option<String>,
    /// ID of an image in a community gallery, such as /CommunityGalleries/NAME/Images/NAME/Versions/latest.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "communityGalleryImageID"
    )]
    #[schemars(length(min = 1, max = 512))]
    pub community_gallery_image_id: Option<String>,
}

/// An image from the Azure Marketplace, as `az vm image list` prints it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MarketplaceImage {
    /// Publisher, such as Canonical.
    #[schemars(length(min = 1, max = 128))]
    pub publisher: String,
    /// Offer, such as ubuntu-24_04-lts.
    #[schemars(length(min = 1, max = 128))]
    pub offer: String,
    /// SKU, such as server.
    #[schemars(length(min = 1, max = 128))]
    pub sku: String,
    /// Version, such as 24.04.202511010, or latest: the newest one at the moment an instance is made.
    #[schemars(length(min = 1, max = 64))]
    pub version: String,
}

/// The administrator's account in an instance. Password login is off.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Name of the account, such as azureuser. Azure refuses a few, such as admin and root. Immutable: Azure does not change it.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("template.admin.username is immutable: create another SpotPool instead"),
    )]
    pub username: String,
    /// SSH public keys in OpenSSH format.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 8192)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ssh_public_keys: Vec<String>,
}

/// The OS disk of an instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OsDisk {
    /// Size in GiB. Unset: the image's size.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeGiB")]
    #[schemars(range(min = 1, max = 4095))]
    pub size_gib: Option<i32>,
    /// Azure disk type, such as Premium_LRS, StandardSSD_LRS or Standard_LRS. Unset: Azure picks one.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    #[schemars(length(min = 1, max = 32))]
    pub disk_type: Option<String>,
}

/// The network interface of an instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Resource ID of the subnet.
    #[serde(rename = "subnetID")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::subnet_id())]
    pub subnet_id: String,
    /// Accelerated networking. Unset: Azure's own choice for the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerated_networking: Option<bool>,
}
