//! What kind of machine an instance is: its operating system, its identity, its security, what it tells while it boots.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::rules;

/// Operating system of an image.
#[derive(
    schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub enum Os {
    /// Any Linux.
    #[default]
    Linux,
    /// Windows Server or Windows.
    Windows,
}

/// As whom programs in an instance get tokens.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.systemAssigned || has(self.userAssigned)")
        .message("list an identity in userAssigned, or set systemAssigned: true"),
)]
pub struct Identity {
    /// An identity that Azure makes for the scale set. Uniform scale sets only.
    #[serde(default)]
    pub system_assigned: bool,
    /// Resource IDs of user-assigned managed identities. The operator needs the role Managed Identity Operator on each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 512)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = rules::resource_ids("Microsoft.ManagedIdentity/userAssignedIdentities/identity"),
    )]
    pub user_assigned: Vec<String>,
}

/// What protects an instance from its surroundings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.type) || (!has(self.secureBoot) && !has(self.vTPM))")
        .message("secureBoot and vTPM need type: TrustedLaunch"),
)]
pub struct Security {
    /// TrustedLaunch: for images and VM sizes of generation 2. Unset: Azure's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub security_type: Option<SecurityType>,
    /// With type TrustedLaunch: starts signed boot components only. Unset: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// With type TrustedLaunch: a virtual TPM. Unset: true.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "vTPM")]
    pub v_tpm: Option<bool>,
    /// Encrypts temporary disks and caches on the host as well. The subscription must have the feature EncryptionAtHost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_at_host: Option<bool>,
}

/// Azure's kinds of protected machines.
#[derive(schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityType {
    /// Secure boot and a virtual TPM.
    TrustedLaunch,
}

/// Console log and screenshot.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BootDiagnostics {
    /// Blob endpoint of a storage account of yours, such as https://ACCOUNT.blob.core.windows.net/. Unset: a storage account of Azure's, free of charge.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "storageURI"
    )]
    #[schemars(length(max = 256))]
    #[x_kube(
        validation = Rule::new("self.matches('^https://[^/]+/?$')")
            .message("must be a blob endpoint, such as https://ACCOUNT.blob.core.windows.net/"),
    )]
    pub storage_uri: Option<String>,
}
