//! What an instance boots from.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::rules;

/// The disk image of an instance. Exactly one of marketplace, id and communityGalleryImageID is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.marketplace), has(self.id), has(self.communityGalleryImageID)].exists_one(x, x)")
        .message("set exactly one of marketplace, id and communityGalleryImageID"),
    validation = Rule::new("!has(self.plan) || !has(self.communityGalleryImageID)")
        .message("images of a community gallery have no purchase plan: remove plan")
        .field_path(".plan"),
)]
pub struct Image {
    /// An image from the Azure Marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketplace: Option<MarketplaceImage>,
    /// Resource ID of a managed image, or of an image (version) in an Azure Compute Gallery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::image_id())]
    pub id: Option<String>,
    /// ID of an image in a community gallery, such as /CommunityGalleries/NAME/Images/NAME/Versions/latest.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "communityGalleryImageID"
    )]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('(?i)^/CommunityGalleries/[^/]+/Images/[^/]+(/Versions/[^/]+)?$')")
            .message("must be the ID of an image in a community gallery, such as /CommunityGalleries/NAME/Images/NAME/Versions/latest"),
    )]
    pub community_gallery_image_id: Option<String>,
    /// The purchase plan of a marketplace image that has one, or of a gallery image that was made from it. Its terms must have been accepted once in the subscription: az vm image terms accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PurchasePlan>,
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

/// The purchase plan of an image, as `az vm image show --query plan` prints it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PurchasePlan {
    /// Name of the plan; most often the image's SKU.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Publisher of the image.
    #[schemars(length(min = 1, max = 128))]
    pub publisher: String,
    /// Product; most often the image's offer.
    #[schemars(length(min = 1, max = 128))]
    pub product: String,
    /// A promotion code of the publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub promotion_code: Option<String>,
}
