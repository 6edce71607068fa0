"""The model of a scale set of either mode, in the SDK's own classes."""

from azure.mgmt.compute.models import (
    ApiEntityReference,
    BillingProfile,
    ImageReference,
    LinuxConfiguration,
    PriorityMixPolicy,
    Sku,
    SshConfiguration,
    SshPublicKey,
    UpgradePolicy,
    VirtualMachineScaleSet,
    VirtualMachineScaleSetIPConfiguration,
    VirtualMachineScaleSetManagedDiskParameters,
    VirtualMachineScaleSetNetworkConfiguration,
    VirtualMachineScaleSetNetworkProfile,
    VirtualMachineScaleSetOSDisk,
    VirtualMachineScaleSetOSProfile,
    VirtualMachineScaleSetStorageProfile,
    VirtualMachineScaleSetVMProfile,
)

SIZE = "Standard_D4s_v5"
SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
KEY = SshPublicKey(path="/home/azureuser/.ssh/authorized_keys", key_data="ssh-ed25519 AAAA user@host")


def model(flexible, policy, capacity, base=0, size=SIZE, priority="Spot", max_price=0.05, zones=("1", "2", "3")):
    """`base`: regular instances of a Flexible set's priority mix. `policy` and `max_price` may be None."""
    network = VirtualMachineScaleSetNetworkProfile(
        network_interface_configurations=[
            VirtualMachineScaleSetNetworkConfiguration(
                name="nic", primary=True, ip_configurations=[VirtualMachineScaleSetIPConfiguration(name="ip", subnet=ApiEntityReference(id=SUBNET))]
            )
        ],
    )
    scale_set = VirtualMachineScaleSet(
        location="eastus",
        tags={"team": "conformance"},
        sku=Sku(name=size, tier="Standard", capacity=capacity),
        single_placement_group=False,
        virtual_machine_profile=VirtualMachineScaleSetVMProfile(
            priority=priority,
            eviction_policy=policy,
            billing_profile=None if max_price is None else BillingProfile(max_price=max_price),
            os_profile=VirtualMachineScaleSetOSProfile(
                computer_name_prefix="render",
                admin_username="azureuser",
                linux_configuration=LinuxConfiguration(disable_password_authentication=True, ssh=SshConfiguration(public_keys=[KEY])),
            ),
            storage_profile=VirtualMachineScaleSetStorageProfile(
                image_reference=ImageReference(publisher="Canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"),
                os_disk=VirtualMachineScaleSetOSDisk(
                    create_option="FromImage", disk_size_gb=64, managed_disk=VirtualMachineScaleSetManagedDiskParameters(storage_account_type="Premium_LRS")
                ),
            ),
            network_profile=network,
        ),
    )
    if zones:
        scale_set.zones = list(zones)
    if flexible:
        scale_set.orchestration_mode = "Flexible"
        scale_set.platform_fault_domain_count = 1
        network.network_api_version = "2020-11-01"
        if priority == "Spot":
            scale_set.priority_mix_policy = PriorityMixPolicy(base_regular_priority_count=base, regular_priority_percentage_above_base=0)
    else:
        # The mode is left unsaid: that is Uniform to the API.
        scale_set.upgrade_policy = UpgradePolicy(mode="Manual")
        scale_set.overprovision = False
    return scale_set
