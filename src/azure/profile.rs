//! What a new instance is made from, as Azure's `virtualMachineProfile`.
//!
//! In: a shape. Out: JSON, or the sentence that says which Secret or ConfigMap was not read. JSON and not the crate's structs, since the
//! template can say what these cannot (`overrides`, identities; crates.md §1). What the template does not say is left out, so that
//! Azure's own choice, or another's, stands. `docs/template.md` shows field by field what becomes of the template.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use spotpool_core::units::MicroUsd;

use super::json::{merge, strip_nulls};
use crate::api::template::{Admin, DataDisk, Extension, Image, Network, Os, Security};
use crate::api::{InstanceTemplate, KeyRef, Reference, Source};
use crate::cloud::{EvictionPolicy, OrchestrationMode, PoolRef, Shape};

/// The names of our one network interface, its one address and its public address: Azure finds them again by name.
const NIC: &str = "nic";
const IP_CONFIGURATION: &str = "primary";
const PUBLIC_IP: &str = "public";

/// A part of the template stands in a Secret or ConfigMap that nobody has read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} was not read")]
pub(super) struct NotRead(Reference);

/// The whole profile, overrides included.
pub(super) fn profile(pool: &PoolRef, shape: &Shape) -> Result<Value, NotRead> {
    let template = &shape.template;
    let mut profile = json!({
        "priority": "Spot",
        "evictionPolicy": match shape.eviction {
            EvictionPolicy::Delete => "Delete",
            EvictionPolicy::Deallocate => "Deallocate",
        },
        "billingProfile": billing(shape.max_price),
        "osProfile": template.admin.as_ref().map(|admin| os(pool, shape, admin)).transpose()?,
        "userData": template.user_data.as_ref().map(|source| encoded(shape, source)).transpose()?,
        "storageProfile": storage(pool.mode, template),
        "networkProfile": network(pool.mode, &template.network),
        "securityProfile": template.security.as_ref().map(security),
        "diagnosticsProfile": template.boot_diagnostics.as_ref().map(|wanted| {
            json!({"bootDiagnostics": {"enabled": true, "storageUri": wanted.storage_uri}})
        }),
    });
    strip_nulls(&mut profile);
    if !template.extensions.is_empty() {
        // After the nulls are gone: in an extension's settings a null may mean something.
        let all = template.extensions.iter().map(|one| extension(shape, one));
        profile["extensionProfile"] = json!({"extensions": all.collect::<Result<Vec<_>, _>>()?});
    }
    if let Some(overrides) = &template.overrides {
        merge(&mut profile, &Value::Object(overrides.0.clone()));
    }
    Ok(profile)
}

/// The purchase plan of the image, which Azure has beside the profile.
pub(super) fn plan(image: &Image) -> Value {
    let plan = image.plan.as_ref().map(|plan| {
        json!({"name": plan.name, "publisher": plan.publisher, "product": plan.product, "promotionCode": plan.promotion_code})
    });
    plan.unwrap_or_default()
}

/// The identities of the instances, which Azure has beside the profile.
pub(super) fn identity(template: &InstanceTemplate) -> Value {
    let Some(identity) = &template.identity else {
        return Value::Null;
    };
    let kind = match (identity.system_assigned, identity.user_assigned.is_empty()) {
        (true, true) => "SystemAssigned",
        (true, false) => "SystemAssigned, UserAssigned",
        (false, _) => "UserAssigned",
    };
    let ids = identity.user_assigned.iter();
    let ids: Map<String, Value> = ids.map(|id| (id.clone(), json!({}))).collect();
    json!({"type": kind, "userAssignedIdentities": (!ids.is_empty()).then_some(ids)})
}

/// Azure wants dollars as a number; a price of up to five decimals survives that exactly, as JSON prints the shortest number that reads back the same.
/// -1 is "up to the pay-as-you-go price"; it is said, not left out, so that a limit can be lifted again.
fn billing(max_price: Option<MicroUsd>) -> Value {
    #[allow(clippy::cast_precision_loss)] // Micro-dollars of a price per hour are far below 2^53.
    let dollars = max_price.map_or(-1.0, |price| price.0 as f64 / 1_000_000.0);
    json!({ "maxPrice": dollars })
}

/// Only with an administrator: without one the image is a specialised one, and Azure refuses any osProfile with it (terraform-provider-azurerm#30544).
fn os(pool: &PoolRef, shape: &Shape, admin: &Admin) -> Result<Value, NotRead> {
    let template = &shape.template;
    let password = admin.password_secret_ref.as_ref();
    let password = password.map(|key| secret(shape, key)).transpose()?;
    let linux = match template.os {
        Os::Windows => None,
        Os::Linux => {
            let path = format!("/home/{}/.ssh/authorized_keys", admin.username);
            let keys = ssh_keys(shape, admin)?.into_iter();
            let keys = keys.map(|key| json!({"path": path, "keyData": key}));
            Some(json!({
                "disablePasswordAuthentication": password.is_none(),
                "ssh": {"publicKeys": keys.collect::<Vec<_>>()},
            }))
        }
    };
    let custom_data = template.custom_data.as_ref();
    Ok(json!({
        "computerNamePrefix": computer_name_prefix(&pool.scale_set, template.os),
        "adminUsername": admin.username,
        "adminPassword": password,
        "customData": custom_data.map(|source| encoded(shape, source)).transpose()?,
        "linuxConfiguration": linux,
    }))
}

/// One a line in a Secret, as in `authorized_keys`.
fn ssh_keys(shape: &Shape, admin: &Admin) -> Result<Vec<String>, NotRead> {
    let Some(key) = &admin.ssh_public_key_secret_ref else {
        return Ok(admin.ssh_public_keys.clone());
    };
    let text = secret(shape, key)?;
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(keys.map(str::to_owned).collect())
}

fn storage(mode: OrchestrationMode, template: &InstanceTemplate) -> Value {
    let delete = delete_option(mode);
    let disk = template.os_disk.clone().unwrap_or_default();
    let ephemeral = disk.ephemeral.as_ref();
    let data_disks = template.data_disks.iter();
    let data_disks = data_disks.map(|disk| data_disk(disk, delete));
    json!({
        "imageReference": image(&template.image),
        "osDisk": {
            "createOption": "FromImage",
            "diskSizeGB": disk.size_gib,
            // [DOC ephemeral-os-disks] Nothing else is allowed.
            "caching": ephemeral.map_or(json!(disk.caching), |_| json!("ReadOnly")),
            "diffDiskSettings": ephemeral.map(|disk| json!({"option": "Local", "placement": disk.placement})),
            "managedDisk": managed_disk(disk.disk_type.as_deref()),
            "deleteOption": delete,
        },
        "dataDisks": some(data_disks.collect()),
    })
}

/// Otherwise an evicted instance leaves its disks and addresses behind, and the bill for them. Those of a Uniform set cannot outlive
/// their instance, and it does not know the word [SDK osDisk.deleteOption].
fn delete_option(mode: OrchestrationMode) -> Option<&'static str> {
    (mode == OrchestrationMode::Flexible).then_some("Delete")
}

fn data_disk(disk: &DataDisk, delete: Option<&str>) -> Value {
    json!({
        "lun": disk.lun,
        "createOption": "Empty",
        "diskSizeGB": disk.size_gib,
        "caching": disk.caching,
        "managedDisk": managed_disk(disk.disk_type.as_deref()),
        "deleteOption": delete,
    })
}

fn managed_disk(kind: Option<&str>) -> Option<Value> {
    kind.map(|kind| json!({ "storageAccountType": kind }))
}

fn image(image: &Image) -> Value {
    match &image.marketplace {
        Some(image) => {
            json!({"publisher": image.publisher, "offer": image.offer, "sku": image.sku, "version": image.version})
        }
        None => {
            json!({"id": image.id, "communityGalleryImageId": image.community_gallery_image_id})
        }
    }
}

fn network(mode: OrchestrationMode, network: &Network) -> Value {
    let delete = delete_option(mode);
    let public_ip = network.public_ip.as_ref().map(|public_ip| {
        json!({
            "name": PUBLIC_IP,
            // Azure has retired the other one, Basic.
            "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {"publicIPPrefix": public_ip.prefix_id.as_deref().map(by_id), "deleteOption": delete},
        })
    });
    let ip = json!({
        "primary": true,
        "subnet": by_id(&network.subnet_id),
        "publicIPAddressConfiguration": public_ip,
        "loadBalancerBackendAddressPools": all_by_id(&network.load_balancer_backend_pool_ids),
        "applicationGatewayBackendAddressPools": all_by_id(&network.application_gateway_backend_pool_ids),
        "applicationSecurityGroups": all_by_id(&network.application_security_group_ids),
    });
    let nic = json!({
        "primary": true,
        "enableAcceleratedNetworking": network.accelerated_networking,
        "networkSecurityGroup": network.network_security_group_id.as_deref().map(by_id),
        "deleteOption": delete,
        "ipConfigurations": [{"name": IP_CONFIGURATION, "properties": ip}],
    });
    // Flexible sets need at least this version of the network API; Uniform ones have none [DOC orchestration-modes-api-comparison].
    let version = (mode == OrchestrationMode::Flexible).then_some("2020-11-01");
    json!({"networkApiVersion": version, "networkInterfaceConfigurations": [{"name": NIC, "properties": nic}]})
}

fn by_id(id: &str) -> Value {
    json!({ "id": id })
}

fn all_by_id(ids: &[String]) -> Option<Value> {
    some(ids.iter().map(|id| by_id(id)).collect())
}

/// `None` for an empty list: it is not declared, and what others have put there stays.
fn some(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

fn security(security: &Security) -> Value {
    let uefi = security.security_type.map(|_| {
        json!({
            "secureBootEnabled": security.secure_boot.unwrap_or(true),
            "vTpmEnabled": security.v_tpm.unwrap_or(true),
        })
    });
    json!({
        "securityType": security.security_type,
        "uefiSettings": uefi,
        "encryptionAtHost": security.encryption_at_host,
    })
}

fn extension(shape: &Shape, extension: &Extension) -> Result<Value, NotRead> {
    let mut properties = json!({
        "publisher": extension.publisher,
        "type": extension.extension_type,
        "typeHandlerVersion": extension.version,
        "autoUpgradeMinorVersion": extension.auto_upgrade_minor_version,
        "enableAutomaticUpgrade": extension.enable_automatic_upgrade,
        "provisionAfterExtensions": some(extension.provision_after_extensions.iter().map(|name| json!(name)).collect()),
    });
    strip_nulls(&mut properties);
    if let Some(settings) = &extension.settings {
        properties["settings"] = Value::Object(settings.0.clone());
    }
    if let Some(key) = &extension.protected_settings_secret_ref {
        // Whoever read the Secret has seen that it is JSON; anything else is taken as text, and Azure says what it thinks of it.
        let text = secret(shape, key)?;
        properties["protectedSettings"] =
            serde_json::from_str(&text).unwrap_or(Value::String(text));
    }
    Ok(json!({"name": extension.name, "properties": properties}))
}

/// The content of a Secret as text.
fn secret(shape: &Shape, key: &KeyRef) -> Result<String, NotRead> {
    let bytes = read(shape, Reference::secret(key))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Start-up data in Base64, as Azure wants it.
fn encoded(shape: &Shape, source: &Source) -> Result<String, NotRead> {
    let bytes = match source.reference() {
        None => source.inline.as_deref().unwrap_or_default().as_bytes(),
        Some(reference) => read(shape, reference)?,
    };
    Ok(BASE64_STANDARD.encode(bytes))
}

fn read(shape: &Shape, reference: Reference) -> Result<&[u8], NotRead> {
    match shape.contents.get(&reference) {
        Some(content) => Ok(content.bytes()),
        None => Err(NotRead(reference)),
    }
}

/// Azure appends up to six characters to make a computer name: letters, digits and hyphens, 64 on Linux and 15 on Windows.
fn computer_name_prefix(scale_set: &str, os: Os) -> String {
    let longest = match os {
        Os::Linux => 40,
        Os::Windows => 8,
    };
    let name: String = scale_set
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(longest)
        .collect();
    match name.trim_matches('-') {
        "" => "spot-".to_owned(),
        name => format!("{name}-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_five_decimals_stay_exact() {
        for micro in [10, 99_990, 123_450, 1_000_000, 1_234_560, 99_999_990] {
            let text = billing(Some(MicroUsd(micro))).to_string();
            let digits: f64 = text
                .trim_start_matches("{\"maxPrice\":")
                .trim_end_matches('}')
                .parse()
                .unwrap();
            assert_eq!(
                format!("{digits:.6}"),
                format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
            );
            assert!(text.len() <= "{\"maxPrice\":99.99999}".len(), "{text}");
        }
    }

    #[test]
    fn makes_computer_names_that_the_system_accepts() {
        for (set, os, prefix) in [
            ("render", Os::Linux, "render-"),
            ("gpu_farm.v2", Os::Linux, "gpu-farm-v2-"),
            ("__", Os::Linux, "spot-"),
            ("-a-", Os::Linux, "a-"),
            ("gpu_farm.v2", Os::Windows, "gpu-farm-"),
            ("2026", Os::Windows, "2026-"),
        ] {
            assert_eq!(computer_name_prefix(set, os), prefix);
        }
        let long = "x".repeat(80);
        assert!(computer_name_prefix(&long, Os::Linux).len() + 6 <= 64);
        assert!(computer_name_prefix(&long, Os::Windows).len() + 6 <= 15);
    }
}
