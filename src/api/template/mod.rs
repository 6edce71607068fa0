//! What an instance is: image, administrator, disks, network, identity, start-up data, extensions, tags, and whatever else Azure takes.
//!
//! In comes `spec.template`; out goes what the Azure client turns into the model of the scale set (`docs/template.md` says which
//! field becomes which property). A change reaches new instances, and `status.conditions[UpToDate]` says how many still run
//! the old model.
//!
//! ```text
//! image.rs  disks.rs  network.rs     what it boots from, its disks, its network interface
//! admin.rs  machine.rs               who may log in; identity, security, boot diagnostics
//! source.rs extension.rs             start-up data and extensions, with what they take from Secrets and ConfigMaps
//! overrides.rs                       the rest, in Azure's own words
//! ```

mod admin;
mod disks;
mod extension;
mod image;
mod machine;
mod network;
mod overrides;
mod source;

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

pub use admin::Admin;
pub use disks::{Caching, DataDisk, EphemeralDisk, OsDisk, Placement};
pub use extension::{Extension, Settings};
pub use image::{Image, MarketplaceImage, PurchasePlan};
pub use machine::{BootDiagnostics, Identity, Os, Security, SecurityType};
pub use network::{Network, PublicIp};
pub use overrides::Overrides;
pub use source::{KeyRef, Reference, ReferenceKind, Source};

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
    validation = Rule::new("!has(self.admin) || self.os != 'Linux' || has(self.admin.sshPublicKeys) != has(self.admin.sshPublicKeySecretRef)")
        .message("set exactly one of sshPublicKeys and sshPublicKeySecretRef")
        .field_path(".admin"),
    validation = Rule::new("!has(self.admin) || self.os != 'Windows' || (has(self.admin.passwordSecretRef) && !has(self.admin.sshPublicKeys) && !has(self.admin.sshPublicKeySecretRef))")
        .message("an administrator of Windows has a password and no SSH keys: set passwordSecretRef only")
        .field_path(".admin"),
    validation = Rule::new("!has(self.customData) || has(self.admin)")
        .message("Azure takes custom data only together with an administrator: set template.admin, or use userData")
        .field_path(".customData"),
)]
pub struct InstanceTemplate {
    /// The operating system in the image. An image ID does not tell it. Immutable.
    #[serde(default)]
    #[x_kube(validation = rules::immutable("template.os"))]
    pub os: Os,
    /// The disk image. Exactly one of marketplace, id and communityGalleryImageID.
    pub image: Image,
    /// The account that is created in the instance. Needed for every image that is not specialised, so for all from the marketplace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// The OS disk. Unset: as the image says, on a disk type that Azure picks for the VM size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_disk: Option<OsDisk>,
    /// Empty disks that every instance gets. They are deleted with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["lun".into()]))]
    pub data_disks: Vec<DataDisk>,
    /// The network interface.
    pub network: Network,
    /// As whom programs in the instance get tokens from Microsoft Entra ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What the instance finds at its first boot, such as a cloud-init file; at most 65,535 bytes. Anybody who may log in can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<Source>,
    /// What programs in the instance can read from its metadata service at any time; at most 65,535 bytes. Anybody who may read the scale set in Azure can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<Source>,
    /// Azure VM extensions, which run in the instance once it has booted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub extensions: Vec<Extension>,
    /// Console log and screenshot, for instances that do not come up. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_diagnostics: Option<BootDiagnostics>,
    /// Trusted launch, and encryption at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
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
    /// Further properties of the scale set's virtualMachineProfile, in Azure's own words: merged over all of the above, objects member by member, lists as a whole. They add and replace, and never remove: a null is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
}

impl InstanceTemplate {
    /// What it takes from Secrets and ConfigMaps, each once.
    pub fn references(&self) -> std::collections::BTreeSet<Reference> {
        let admin = self.admin.as_ref();
        let secrets = [
            admin.and_then(|admin| admin.ssh_public_key_secret_ref.as_ref()),
            admin.and_then(|admin| admin.password_secret_ref.as_ref()),
        ];
        let protected = self.extensions.iter();
        let secrets = secrets
            .into_iter()
            .chain(protected.map(|extension| extension.protected_settings_secret_ref.as_ref()))
            .flatten()
            .map(Reference::secret);
        let data = [&self.custom_data, &self.user_data].into_iter().flatten();
        secrets.chain(data.filter_map(Source::reference)).collect()
    }

    /// The same with every list whose order means nothing in one order, so that another order is not another template.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        if let Some(admin) = &mut self.admin {
            admin.ssh_public_keys.sort();
        }
        if let Some(identity) = &mut self.identity {
            identity.user_assigned.sort();
        }
        self.network.load_balancer_backend_pool_ids.sort();
        self.network.application_gateway_backend_pool_ids.sort();
        self.network.application_security_group_ids.sort();
        self.data_disks.sort_by_key(|disk| disk.lun);
        self.extensions
            .sort_by(|one, other| one.name.cmp(&other.name));
        self
    }
}
