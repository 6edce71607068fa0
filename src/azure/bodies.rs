//! What is sent: an action and a shape, written as bodies for Azure.
//!
//! In: plain values. Out: the crate's models for PUT and PATCH. A PATCH carries only what the action is about, because whatever is repeated
//! from an older reading would undo what somebody else changed.

use azure_mgmt_compute::package_2024_07_01::models as m;
use spotpool_core::units::{Count, MicroUsd, VmSize};
use std::collections::BTreeMap;

use crate::cloud::{EvictionPolicy, Image, OrchestrationMode, PoolRef, Shape};

/// The names of our one network interface and its one address: PATCH finds them again by name.
const NIC: &str = "nic";
const IP_CONFIGURATION: &str = "primary";

/// PUT of a new scale set.
pub(super) fn create(
    pool: &PoolRef,
    shape: &Shape,
    capacity: Count,
    base: Count,
    vm_size: &VmSize,
    tags: &BTreeMap<String, String>,
) -> m::VirtualMachineScaleSet {
    let mut set = m::VirtualMachineScaleSet::new(m::Resource {
        tags: Some(tag_value(tags)),
        ..m::Resource::new(pool.location.clone())
    });
    set.sku = Some(sku(vm_size, capacity));
    set.zones.clone_from(&shape.zones);
    let properties = m::VirtualMachineScaleSetProperties {
        // Mixing Spot and regular needs one fault domain and no single placement group, which would also end a Uniform set at a hundred
        // instances (azure.md §1.5).
        platform_fault_domain_count: Some(1),
        single_placement_group: Some(false),
        priority_mix_policy: mix(pool.mode, base),
        virtual_machine_profile: Some(profile(pool, shape)),
        ..m::VirtualMachineScaleSetProperties::default()
    };
    set.properties = Some(match pool.mode {
        OrchestrationMode::Flexible => m::VirtualMachineScaleSetProperties {
            orchestration_mode: Some(m::OrchestrationMode::Flexible),
            ..properties
        },
        OrchestrationMode::Uniform => m::VirtualMachineScaleSetProperties {
            orchestration_mode: Some(m::OrchestrationMode::Uniform),
            // Without it Azure refuses a Uniform set [ISS azure-docs#74002]; a changed model is rolled out by us.
            upgrade_policy: Some(m::UpgradePolicy {
                mode: Some(m::upgrade_policy::Mode::Manual),
                ..Default::default()
            }),
            // Otherwise Azure makes more than were asked for, and deletes them again [DOC].
            overprovision: Some(false),
            ..properties
        },
    });
    set
}

/// PATCH of capacity, size and base.
pub(super) fn resize(
    mode: OrchestrationMode,
    capacity: Count,
    base: Count,
    vm_size: &VmSize,
) -> m::VirtualMachineScaleSetUpdate {
    m::VirtualMachineScaleSetUpdate {
        sku: Some(sku(vm_size, capacity)),
        properties: mix(mode, base).map(|mix| m::VirtualMachineScaleSetUpdateProperties {
            priority_mix_policy: Some(mix),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// PATCH of everything that makes a new instance, as far as PATCH can carry it. No `sku`: a capacity read a moment ago is not ours to repeat.
/// Azure has no way to change priority, eviction policy, administrator and name prefix of a set.
pub(super) fn reshape(
    mode: OrchestrationMode,
    shape: &Shape,
    base: Count,
    tags: &BTreeMap<String, String>,
) -> m::VirtualMachineScaleSetUpdate {
    m::VirtualMachineScaleSetUpdate {
        update_resource: m::UpdateResource {
            tags: Some(tag_value(tags)),
        },
        zones: shape.zones.clone(),
        properties: Some(m::VirtualMachineScaleSetUpdateProperties {
            priority_mix_policy: mix(mode, base),
            virtual_machine_profile: Some(profile_update(mode, shape)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn sku(vm_size: &VmSize, capacity: Count) -> m::Sku {
    m::Sku {
        name: Some(vm_size.0.clone()),
        tier: Some("Standard".to_owned()),
        capacity: Some(i64::from(capacity)),
    }
}

/// All instances of a Uniform set have one priority.
fn mix(mode: OrchestrationMode, base: Count) -> Option<m::PriorityMixPolicy> {
    (mode == OrchestrationMode::Flexible).then(|| m::PriorityMixPolicy {
        base_regular_priority_count: Some(i32::try_from(base).unwrap_or(i32::MAX)),
        regular_priority_percentage_above_base: Some(0),
    })
}

fn profile(pool: &PoolRef, shape: &Shape) -> m::VirtualMachineScaleSetVmProfile {
    let ip = m::VirtualMachineScaleSetIpConfiguration {
        properties: Some(m::VirtualMachineScaleSetIpConfigurationProperties {
            subnet: Some(subnet(shape)),
            primary: Some(true),
            ..Default::default()
        }),
        ..m::VirtualMachineScaleSetIpConfiguration::new(IP_CONFIGURATION.to_owned())
    };
    // What only sets of the one kind know [SDK]: instances of the other have no disks and interfaces that could outlive them.
    let flexible = pool.mode == OrchestrationMode::Flexible;
    let nic = m::VirtualMachineScaleSetNetworkConfiguration {
        properties: Some(m::VirtualMachineScaleSetNetworkConfigurationProperties {
            primary: Some(true),
            enable_accelerated_networking: shape.accelerated_networking,
            delete_option: flexible.then_some(
                m::virtual_machine_scale_set_network_configuration_properties::DeleteOption::Delete,
            ),
            ..m::VirtualMachineScaleSetNetworkConfigurationProperties::new(vec![ip])
        }),
        ..m::VirtualMachineScaleSetNetworkConfiguration::new(NIC.to_owned())
    };
    m::VirtualMachineScaleSetVmProfile {
        priority: Some(m::Priority::Spot),
        eviction_policy: Some(match shape.eviction {
            EvictionPolicy::Delete => m::EvictionPolicy::Delete,
            EvictionPolicy::Deallocate => m::EvictionPolicy::Deallocate,
        }),
        billing_profile: Some(billing(shape.max_price)),
        os_profile: has_admin(shape).then(|| m::VirtualMachineScaleSetOsProfile {
            computer_name_prefix: Some(computer_name_prefix(&pool.scale_set)),
            admin_username: Some(shape.admin_username.clone()),
            linux_configuration: Some(linux(shape)),
            ..Default::default()
        }),
        storage_profile: Some(m::VirtualMachineScaleSetStorageProfile {
            image_reference: Some(image(&shape.image)),
            os_disk: Some(m::VirtualMachineScaleSetOsDisk {
                disk_size_gb: disk_size(shape),
                managed_disk: managed_disk(shape),
                // Otherwise an evicted instance leaves its disk behind, and the bill for it.
                delete_option: flexible.then_some(m::DeleteOption::Delete),
                ..m::VirtualMachineScaleSetOsDisk::new(m::CreateOption::FromImage)
            }),
            ..Default::default()
        }),
        network_profile: Some(m::VirtualMachineScaleSetNetworkProfile {
            network_interface_configurations: vec![nic],
            // Flexible sets need at least this version of the network API [DOC orchestration-modes].
            network_api_version: flexible.then_some(
                m::virtual_machine_scale_set_network_profile::NetworkApiVersion::N2020_11_01,
            ),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn profile_update(
    mode: OrchestrationMode,
    shape: &Shape,
) -> m::VirtualMachineScaleSetUpdateVmProfile {
    let ip = m::VirtualMachineScaleSetUpdateIpConfiguration {
        name: Some(IP_CONFIGURATION.to_owned()),
        properties: Some(m::VirtualMachineScaleSetUpdateIpConfigurationProperties {
            subnet: Some(subnet(shape)),
            primary: Some(true),
            ..Default::default()
        }),
    };
    let flexible = mode == OrchestrationMode::Flexible;
    let nic = m::VirtualMachineScaleSetUpdateNetworkConfiguration {
        name: Some(NIC.to_owned()),
        properties: Some(m::VirtualMachineScaleSetUpdateNetworkConfigurationProperties {
            primary: Some(true),
            enable_accelerated_networking: shape.accelerated_networking,
            ip_configurations: vec![ip],
            delete_option: flexible.then_some(m::virtual_machine_scale_set_update_network_configuration_properties::DeleteOption::Delete),
            ..Default::default()
        }),
    };
    m::VirtualMachineScaleSetUpdateVmProfile {
        billing_profile: Some(billing(shape.max_price)),
        os_profile: has_admin(shape).then(|| m::VirtualMachineScaleSetUpdateOsProfile {
            linux_configuration: Some(linux(shape)),
            ..Default::default()
        }),
        storage_profile: Some(m::VirtualMachineScaleSetUpdateStorageProfile {
            image_reference: Some(image(&shape.image)),
            os_disk: Some(m::VirtualMachineScaleSetUpdateOsDisk {
                disk_size_gb: disk_size(shape),
                managed_disk: managed_disk(shape),
                ..Default::default()
            }),
            ..Default::default()
        }),
        network_profile: Some(m::VirtualMachineScaleSetUpdateNetworkProfile {
            network_interface_configurations: vec![nic],
            network_api_version: flexible.then_some(
                m::virtual_machine_scale_set_update_network_profile::NetworkApiVersion::N2020_11_01,
            ),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Azure wants dollars as a number; a price of up to five decimals survives that exactly, as JSON prints the shortest number that reads back the same.
/// -1 is "up to the pay-as-you-go price"; it is said, not left out, so that a limit can be lifted again.
fn billing(max_price: Option<MicroUsd>) -> m::BillingProfile {
    #[allow(clippy::cast_precision_loss)] // Micro-dollars of a price per hour are far below 2^53.
    let dollars = max_price.map_or(-1.0, |price| price.0 as f64 / 1_000_000.0);
    m::BillingProfile {
        max_price: Some(dollars),
    }
}

/// Without an administrator the image is a specialised one, and Azure refuses any osProfile with it (terraform-provider-azurerm#30544).
fn has_admin(shape: &Shape) -> bool {
    !shape.admin_username.is_empty()
}

fn linux(shape: &Shape) -> m::LinuxConfiguration {
    let path = format!("/home/{}/.ssh/authorized_keys", shape.admin_username);
    let key = |key: &String| m::SshPublicKey {
        path: Some(path.clone()),
        key_data: Some(key.clone()),
    };
    m::LinuxConfiguration {
        disable_password_authentication: Some(true),
        ssh: Some(m::SshConfiguration {
            public_keys: shape.ssh_public_keys.iter().map(key).collect(),
        }),
        ..Default::default()
    }
}

fn image(image: &Image) -> m::ImageReference {
    match image {
        Image::Marketplace {
            publisher,
            offer,
            sku,
            version,
        } => m::ImageReference {
            publisher: Some(publisher.clone()),
            offer: Some(offer.clone()),
            sku: Some(sku.clone()),
            version: Some(version.clone()),
            ..Default::default()
        },
        Image::Id(id) => m::ImageReference {
            sub_resource: m::SubResource {
                id: Some(id.clone()),
            },
            ..Default::default()
        },
        Image::CommunityGallery(id) => m::ImageReference {
            community_gallery_image_id: Some(id.clone()),
            ..Default::default()
        },
    }
}

fn subnet(shape: &Shape) -> m::ApiEntityReference {
    m::ApiEntityReference {
        id: Some(shape.subnet_id.clone()),
    }
}

fn disk_size(shape: &Shape) -> Option<i32> {
    shape.os_disk_gib.and_then(|gib| i32::try_from(gib).ok())
}

fn managed_disk(shape: &Shape) -> Option<m::VirtualMachineScaleSetManagedDiskParameters> {
    let kind = match shape.os_disk_type.as_deref()? {
        "Premium_LRS" => m::StorageAccountType::PremiumLrs,
        "StandardSSD_LRS" => m::StorageAccountType::StandardSsdLrs,
        "Standard_LRS" => m::StorageAccountType::StandardLrs,
        other => m::StorageAccountType::UnknownValue(other.to_owned()),
    };
    Some(m::VirtualMachineScaleSetManagedDiskParameters {
        storage_account_type: Some(kind),
        ..Default::default()
    })
}

fn tag_value(tags: &BTreeMap<String, String>) -> serde_json::Value {
    tags.iter()
        .map(|(key, value)| (key.clone(), serde_json::Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Azure appends six characters to make a computer name, of which Linux allows 64: letters, digits and hyphens.
fn computer_name_prefix(scale_set: &str) -> String {
    let name: String = scale_set
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    match name.trim_matches('-') {
        "" => "spot-".to_owned(),
        name => format!("{name}-"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::policies::strip_nulls;
    use super::*;
    use serde_json::{Value, json};

    fn pool() -> PoolRef {
        PoolRef {
            mode: crate::cloud::OrchestrationMode::Flexible,
            subscription: "s".into(),
            resource_group: "rg".into(),
            location: "eastus".into(),
            scale_set: "render".into(),
            owner: "c/ns/render/uid".into(),
        }
    }

    fn shape() -> Shape {
        Shape {
            eviction: EvictionPolicy::Delete,
            zones: vec!["1".into(), "3".into()],
            max_price: Some(MicroUsd(41_230)),
            image: Image::Marketplace {
                publisher: "Canonical".into(),
                offer: "ubuntu-24_04-lts".into(),
                sku: "server".into(),
                version: "latest".into(),
            },
            admin_username: "azureuser".into(),
            ssh_public_keys: vec!["ssh-ed25519 AAAA me".into()],
            os_disk_gib: Some(64),
            os_disk_type: Some("StandardSSD_LRS".into()),
            subnet_id: "/subscriptions/s/subnet".into(),
            accelerated_networking: Some(true),
            tags: BTreeMap::new(),
        }
    }

    fn tags() -> BTreeMap<String, String> {
        BTreeMap::from([("team".to_owned(), "vfx".to_owned())])
    }

    fn as_sent(body: &impl serde::Serialize) -> Value {
        let mut value = serde_json::to_value(body).unwrap();
        strip_nulls(&mut value);
        value
    }

    #[test]
    fn creates_with_the_whole_model() {
        let sent = as_sent(&create(
            &pool(),
            &shape(),
            20,
            2,
            &"Standard_D4s_v5".into(),
            &tags(),
        ));
        let expected = json!({
            "location": "eastus",
            "tags": {"team": "vfx"},
            "zones": ["1", "3"],
            "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 20},
            "properties": {
                "orchestrationMode": "Flexible",
                "platformFaultDomainCount": 1,
                "singlePlacementGroup": false,
                "priorityMixPolicy": {"baseRegularPriorityCount": 2, "regularPriorityPercentageAboveBase": 0},
                "virtualMachineProfile": {
                    "priority": "Spot",
                    "evictionPolicy": "Delete",
                    "billingProfile": {"maxPrice": 0.04123},
                    "osProfile": {
                        "computerNamePrefix": "render-",
                        "adminUsername": "azureuser",
                        "linuxConfiguration": {
                            "disablePasswordAuthentication": true,
                            "ssh": {"publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA me"}]},
                        },
                    },
                    "storageProfile": {
                        "imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
                        "osDisk": {"createOption": "FromImage", "diskSizeGB": 64, "managedDisk": {"storageAccountType": "StandardSSD_LRS"}, "deleteOption": "Delete"},
                    },
                    "networkProfile": {
                        "networkApiVersion": "2020-11-01",
                        "networkInterfaceConfigurations": [{
                            "name": "nic",
                            "properties": {
                                "primary": true,
                                "enableAcceleratedNetworking": true,
                                "deleteOption": "Delete",
                                "ipConfigurations": [{"name": "primary", "properties": {"primary": true, "subnet": {"id": "/subscriptions/s/subnet"}}}],
                            },
                        }],
                    },
                },
            },
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn resizes_with_capacity_size_and_base_and_nothing_else() {
        let sent = as_sent(&resize(
            OrchestrationMode::Flexible,
            20,
            2,
            &"Standard_D4s_v5".into(),
        ));
        let expected = json!({
            "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 20},
            "properties": {"priorityMixPolicy": {"baseRegularPriorityCount": 2, "regularPriorityPercentageAboveBase": 0}},
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn reshapes_without_a_capacity_and_without_what_azure_cannot_change() {
        let sent = as_sent(&reshape(OrchestrationMode::Flexible, &shape(), 3, &tags()));
        let expected = json!({
            "tags": {"team": "vfx"},
            "zones": ["1", "3"],
            "properties": {
                "priorityMixPolicy": {"baseRegularPriorityCount": 3, "regularPriorityPercentageAboveBase": 0},
                "virtualMachineProfile": {
                    "billingProfile": {"maxPrice": 0.04123},
                    "osProfile": {
                        "linuxConfiguration": {
                            "disablePasswordAuthentication": true,
                            "ssh": {"publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA me"}]},
                        },
                    },
                    "storageProfile": {
                        "imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
                        "osDisk": {"diskSizeGB": 64, "managedDisk": {"storageAccountType": "StandardSSD_LRS"}},
                    },
                    "networkProfile": {
                        "networkApiVersion": "2020-11-01",
                        "networkInterfaceConfigurations": [{
                            "name": "nic",
                            "properties": {
                                "primary": true,
                                "enableAcceleratedNetworking": true,
                                "deleteOption": "Delete",
                                "ipConfigurations": [{"name": "primary", "properties": {"primary": true, "subnet": {"id": "/subscriptions/s/subnet"}}}],
                            },
                        }],
                    },
                },
            },
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_uniform_set_is_told_what_it_needs_and_nothing_that_only_flexible_ones_know() {
        let uniform = PoolRef {
            mode: OrchestrationMode::Uniform,
            ..pool()
        };
        let size = "Standard_D4s_v5".into();
        let sent = as_sent(&create(&uniform, &shape(), 20, 0, &size, &tags()));
        let mut properties = sent["properties"].clone();
        let profile = properties["virtualMachineProfile"].take();
        assert_eq!(
            properties,
            json!({
                "orchestrationMode": "Uniform",
                "upgradePolicy": {"mode": "Manual"},
                "overprovision": false,
                "platformFaultDomainCount": 1,
                "singlePlacementGroup": false,
                "virtualMachineProfile": null,
            })
        );
        assert_eq!(profile["priority"], "Spot");
        let resized = as_sent(&resize(uniform.mode, 20, 0, &size));
        assert_eq!(
            resized,
            json!({"sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": 20}})
        );
        let reshaped = as_sent(&reshape(uniform.mode, &shape(), 0, &tags()));
        assert!(reshaped["properties"]["virtualMachineProfile"].is_object());
        for text in [sent.to_string(), reshaped.to_string()] {
            for word in ["deleteOption", "networkApiVersion", "priorityMixPolicy"] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }

    #[test]
    fn leaves_out_what_is_not_declared_but_says_that_there_is_no_price_limit() {
        let bare = Shape {
            zones: vec![],
            max_price: None,
            os_disk_gib: None,
            os_disk_type: None,
            accelerated_networking: None,
            image: Image::Id("/images/1".into()),
            ..shape()
        };
        let sent = as_sent(&create(&pool(), &bare, 1, 0, &"S".into(), &tags()));
        assert!(sent.get("zones").is_none());
        let profile = &sent["properties"]["virtualMachineProfile"];
        assert_eq!(profile["billingProfile"], json!({"maxPrice": -1.0}));
        assert_eq!(
            profile["storageProfile"],
            json!({"imageReference": {"id": "/images/1"}, "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"}})
        );
        assert!(
            profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
                .get("enableAcceleratedNetworking")
                .is_none()
        );
        assert!(
            as_sent(&reshape(OrchestrationMode::Flexible, &bare, 0, &tags()))
                .get("zones")
                .is_none()
        );
        let community = Shape {
            image: Image::CommunityGallery("/CommunityGalleries/g/Images/i".into()),
            ..bare
        };
        assert_eq!(
            as_sent(&reshape(
                OrchestrationMode::Flexible,
                &community,
                0,
                &tags()
            ))["properties"]["virtualMachineProfile"]["storageProfile"]["imageReference"],
            json!({"communityGalleryImageId": "/CommunityGalleries/g/Images/i"})
        );
    }

    #[test]
    fn prices_of_five_decimals_stay_exact() {
        for micro in [10, 99_990, 123_450, 1_000_000, 1_234_560, 99_999_990] {
            let text = serde_json::to_string(&billing(Some(MicroUsd(micro)))).unwrap();
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
    fn makes_computer_names_that_linux_accepts() {
        for (set, prefix) in [
            ("render", "render-"),
            ("gpu_farm.v2", "gpu-farm-v2-"),
            ("__", "spot-"),
            ("-a-", "a-"),
        ] {
            assert_eq!(computer_name_prefix(set), prefix);
        }
        assert!(computer_name_prefix(&"x".repeat(80)).len() + 6 <= 64);
    }
}
