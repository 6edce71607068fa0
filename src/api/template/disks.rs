//! The disks of an instance.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The OS disk of an instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.ephemeral) || !has(self.caching) || self.caching == 'ReadOnly'")
        .message("an ephemeral OS disk is cached ReadOnly: remove caching")
        .field_path(".caching"),
)]
pub struct OsDisk {
    /// Size in GiB. Unset: the image's size.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeGiB")]
    #[schemars(range(min = 1, max = 4095))]
    pub size_gib: Option<i32>,
    /// Azure disk type, such as Premium_LRS, StandardSSD_LRS or Standard_LRS. Unset: Azure picks one.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    #[schemars(length(min = 1, max = 32))]
    pub disk_type: Option<String>,
    /// What the host caches. Unset: Azure's own choice, ReadWrite; ReadOnly for an ephemeral disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caching: Option<Caching>,
    /// Keeps the OS disk on the host: faster to start, free of charge, and gone with the instance. The VM size must have room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralDisk>,
}

/// An OS disk on the host of the instance.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralDisk {
    /// Where on the host. Unset: Azure picks what the VM size has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// Where on its host an instance has its ephemeral OS disk.
#[derive(schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In the cache of the host.
    CacheDisk,
    /// On the temporary disk.
    ResourceDisk,
    /// On a local NVMe disk.
    NvmeDisk,
}

/// What the host of an instance caches of a disk.
#[derive(schemars::JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Nothing.
    None,
    /// Reads.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// An empty disk that every instance gets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DataDisk {
    /// Logical unit number: tells the disks of an instance apart.
    #[schemars(range(min = 0, max = 63))]
    pub lun: i32,
    /// Size in GiB.
    #[serde(rename = "sizeGiB")]
    #[schemars(range(min = 1, max = 65536))]
    pub size_gib: i32,
    /// Azure disk type, such as Premium_LRS, StandardSSD_LRS or PremiumV2_LRS. Unset: Azure picks one.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    #[schemars(length(min = 1, max = 32))]
    pub disk_type: Option<String>,
    /// What the host caches. Unset: Azure's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caching: Option<Caching>,
}
