"""Values and changes that Azure does not take, and callers that it does not know."""

from azure.mgmt.compute.models import (
    BillingProfile,
    PriorityMixPolicy,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetUpdateVMProfile,
)

from pool import GROUP
from sdk import Sdk


def check(tally, pool):
    # Each under a name of its own: one resource takes twelve writes in a row.
    for number, (what, body, code, words) in enumerate(absurd(pool)):
        other = type(pool)(pool.sdk, pool.simulator, pool.mode, pool.policy, f"bad{number}")
        tally.refused(f"new: {what}", lambda: other.put(body), 400, code, words)
    tally.equal("none of them exists", list(pool.sdk.sets.list(GROUP)), [])
    pool.create(1)
    changes(tally, pool)
    callers(tally, pool)


def absurd(pool):
    yield "an unknown size", pool.model(1, size="Standard_Imaginary"), "InvalidParameter", "provided for the VM size is not valid"
    yield "a size that is not sold as Spot", pool.model(1, size="Standard_B2s"), "AzureSpotIsNotSupportedForThisVMSize", "Standard_B2s"
    yield "a max price of 0", pool.model(1, max_price=0), "MaxPriceValueInvalid", "-1 or a decimal greater than zero"
    yield "a max price of six decimals", pool.model(1, max_price=0.000001), "MaxPriceValueInvalid", ""
    yield "an eviction policy without Spot", pool.model(1, priority="Regular", max_price=None), "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines", ""
    yield "a max price without Spot", pool.model(1, priority="Regular", policy=None), "MaxPriceIsSupportedOnlyForAzureSpotVirtualMachines", ""
    yield "more than a thousand", pool.model(1001), "InvalidParameter", ""
    elsewhere = pool.model(1)
    elsewhere.location = "westeurope"
    yield "another location", elsewhere, "LocationNotAvailableForResourceType", "List of available regions"
    locked = pool.model(1)
    locked.virtual_machine_profile.os_profile.linux_configuration = None
    yield "nobody who could log in", locked, "InvalidParameter", "Authentication using either SSH or by user name and password"
    imageless = pool.model(1)
    imageless.virtual_machine_profile.storage_profile.image_reference = None
    yield "no image", imageless, "InvalidParameter", "Required parameter 'imageReference' is missing (null)."
    if pool.flexible:
        crowded = pool.model(1)
        crowded.single_placement_group = True
        yield "a single placement group", crowded, "InvalidParameter", "singlePlacementGroup"
        old = pool.model(1)
        old.virtual_machine_profile.network_profile.network_api_version = None
        yield "no version of the network API", old, "InvalidParameter", "networkApiVersion"
        odd = pool.model(1)
        odd.priority_mix_policy.regular_priority_percentage_above_base = 101
        yield "more than all of them regular", odd, "InvalidParameter", "allowed range is 0 to 100"
    else:
        manual = pool.model(1)
        manual.upgrade_policy = None
        yield "no upgrade policy", manual, "InvalidParameter", "Required parameter 'upgradePolicy' is missing (null)."
        mixed = pool.model(1)
        mixed.priority_mix_policy = PriorityMixPolicy(base_regular_priority_count=1)
        yield "a priority mix", mixed, "InvalidParameter", "orchestration mode Flexible"
        crowded = pool.model(101)
        crowded.single_placement_group = None
        yield "more than a hundred in one placement group", crowded, "InvalidParameter", "The maximum is 100"
        kept = pool.model(1)
        kept.virtual_machine_profile.storage_profile.os_disk.delete_option = "Delete"
        yield "a delete option of disks", kept, "InvalidParameter", "deleteOption"


def changes(tally, pool):
    """[SDK], [ISS] what stays as it was created."""
    regular = pool.model(1, priority="Regular", policy=None, max_price=None)
    regular.priority_mix_policy = None
    tally.refused("another priority", lambda: pool.put(regular), 400, "BadRequest", "The specified priority value 'Regular' cannot be applied")
    flipped = pool.model(1, policy="Deallocate" if pool.deletes else "Delete")
    tally.refused("another eviction policy", lambda: pool.put(flipped), 409, "PropertyChangeNotAllowed", "evictionPolicy")
    moded = pool.model(1)
    moded.orchestration_mode = "Uniform" if pool.flexible else "Flexible"
    tally.refused("another mode", lambda: pool.put(moded), 409, "PropertyChangeNotAllowed", "orchestrationMode")
    tally.refused("fewer zones", lambda: pool.put(pool.model(1, zones=("1",))), 409, "PropertyChangeNotAllowed", "zones")
    admin = pool.model(1)
    admin.virtual_machine_profile.os_profile.admin_username = "root2"
    tally.refused("another administrator", lambda: pool.put(admin), 409, "PropertyChangeNotAllowed", "adminUsername")
    moved = pool.model(1)
    moved.location = "westeurope"
    tally.refused("another location", lambda: pool.put(moved), 409, "InvalidResourceLocation")

    dearer = VirtualMachineScaleSetUpdate(virtual_machine_profile=VirtualMachineScaleSetUpdateVMProfile(billing_profile=BillingProfile(max_price=0.07)))
    pool.simulator.control("world", {"maxPriceCanChange": False})
    tally.refused("another max price, in the one reading", lambda: pool.patch(dearer), 409, "MaxPriceChangeNotAllowed")
    pool.simulator.control("world", {"maxPriceCanChange": True})
    tally.equal("and in the other", pool.patch(dearer).result().virtual_machine_profile.billing_profile.max_price, 0.07)


def callers(tally, pool):
    address = pool.simulator.address
    tally.refused("no token", lambda: Sdk(address, token=None).sets.get(GROUP, pool.name), 401, "AuthenticationFailed")
    tally.refused("an unknown subscription", lambda: Sdk(address, subscription="2" * 8).sets.get(GROUP, pool.name), 404, "SubscriptionNotFound")
    pool.simulator.control("world", {"missingResourceGroups": ["nowhere"]})
    tally.refused("an absent resource group", lambda: pool.sdk.sets.get("nowhere", pool.name), 404, "ResourceGroupNotFound")
    tally.refused("an absent scale set", lambda: pool.sdk.sets.get(GROUP, "nothing"), 404, "ResourceNotFound")
    tally.refused("a PATCH of an absent one", lambda: pool.sdk.sets.begin_update(GROUP, "nothing", VirtualMachineScaleSetUpdate()), 404, "ResourceNotFound")
