"""Drives a simulator with Microsoft's unmodified azure-mgmt-compute and prints what held.

In: the simulator's address. Out: one line a check, a closing count, exit status 1 when anything failed.
The SDK judges the wire: its models must parse every answer, its pollers must find their way through every operation.
"""

import json
import sys
import time
import urllib.request

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute.models import (
    ApiEntityReference,
    BillingProfile,
    ImageReference,
    LinuxConfiguration,
    OrchestrationMode,
    PriorityMixPolicy,
    Sku,
    SshConfiguration,
    SshPublicKey,
    VirtualMachineScaleSet,
    VirtualMachineScaleSetIPConfiguration,
    VirtualMachineScaleSetManagedDiskParameters,
    VirtualMachineScaleSetNetworkConfiguration,
    VirtualMachineScaleSetNetworkProfile,
    VirtualMachineScaleSetOSDisk,
    VirtualMachineScaleSetOSProfile,
    VirtualMachineScaleSetStorageProfile,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetVMInstanceRequiredIDs,
    VirtualMachineScaleSetVMProfile,
)

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = "conformance-rg"
NAME = "render"
SUBNET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/s"


class PlainBearer(SansIOHTTPPolicy):
    """The SDK's own token policies insist on https; its seam for another one is `authentication_policy`."""

    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer simulated"


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, sentence, held, seen=None):
        if held:
            self.passed += 1
            print(f"  ok    {sentence}")
        else:
            self.failed += 1
            print(f"  FAIL  {sentence}: {seen!r}")

    def equal(self, sentence, seen, expected):
        self.check(f"{sentence} ({expected!r})", seen == expected, seen)

    def refused(self, sentence, call, status, code):
        try:
            result = call()
            if hasattr(result, "result"):
                result = result.result()
            elif hasattr(result, "__iter__"):
                result = list(result)
            self.check(f"{sentence}: refused", False, result)
        except HttpResponseError as error:
            seen = (error.status_code, error.error.code if error.error else None)
            self.check(f"{sentence} ({status} {code}, {type(error).__name__})", seen == (status, code), seen)

    def section(self, title):
        print(title)


def model(capacity, base):
    return VirtualMachineScaleSet(
        location="eastus",
        tags={"spotpool_owner": "conformance"},
        sku=Sku(name="Standard_D4s_v5", tier="Standard", capacity=capacity),
        zones=["1", "2", "3"],
        orchestration_mode=OrchestrationMode.FLEXIBLE,
        platform_fault_domain_count=1,
        single_placement_group=False,
        priority_mix_policy=PriorityMixPolicy(base_regular_priority_count=base, regular_priority_percentage_above_base=0),
        virtual_machine_profile=VirtualMachineScaleSetVMProfile(
            priority="Spot",
            eviction_policy="Delete",
            billing_profile=BillingProfile(max_price=0.05),
            os_profile=VirtualMachineScaleSetOSProfile(
                computer_name_prefix="render",
                admin_username="azureuser",
                linux_configuration=LinuxConfiguration(
                    disable_password_authentication=True,
                    ssh=SshConfiguration(public_keys=[SshPublicKey(path="/home/azureuser/.ssh/authorized_keys", key_data="ssh-ed25519 AAAA user@host")]),
                ),
            ),
            storage_profile=VirtualMachineScaleSetStorageProfile(
                image_reference=ImageReference(publisher="Canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"),
                os_disk=VirtualMachineScaleSetOSDisk(
                    create_option="FromImage", disk_size_gb=64, managed_disk=VirtualMachineScaleSetManagedDiskParameters(storage_account_type="Premium_LRS")
                ),
            ),
            network_profile=VirtualMachineScaleSetNetworkProfile(
                network_api_version="2020-11-01",
                network_interface_configurations=[
                    VirtualMachineScaleSetNetworkConfiguration(
                        name="nic", primary=True, ip_configurations=[VirtualMachineScaleSetIPConfiguration(name="ip", subnet=ApiEntityReference(id=SUBNET))]
                    )
                ],
            ),
        ),
    )


def main(address):
    tally = Tally()
    client = ComputeManagementClient(
        credential=object(),
        subscription_id=SUBSCRIPTION,
        base_url=address,
        authentication_policy=PlainBearer(),
        polling_interval=0.2,
        retry_total=0,
    )
    sets, machines, set_machines = client.virtual_machine_scale_sets, client.virtual_machines, client.virtual_machine_scale_set_vms
    started = time.monotonic()

    def control(path, body):
        request = urllib.request.Request(f"{address}/control/{path}", json.dumps(body).encode(), method="POST")
        return json.load(urllib.request.urlopen(request))

    def get():
        return sets.get(GROUP, NAME)

    def members(**more):
        return list(machines.list(GROUP, filter=f"'virtualMachineScaleSet/id' eq '{get().id}'", **more))

    def wait(sentence, held, seconds=30):
        until = time.monotonic() + seconds
        while not held() and time.monotonic() < until:
            time.sleep(0.1)
        tally.check(sentence, held())

    control("world", {"capacityFalls": "late", "lags": [20]})

    tally.section("create")
    tally.refused("an absent scale set is not found", get, 404, "ResourceNotFound")
    poller = sets.begin_create_or_update(GROUP, NAME, model(6, 2), if_none_match="*")
    tally.equal("the first answer shows the capacity at once", get().sku.capacity, 6)
    tally.equal("and that it is being created", get().provisioning_state, "Creating")
    created = poller.result()
    tally.equal("the poller ends in the finished scale set", created.provisioning_state, "Succeeded")
    tally.equal("orchestration mode", created.orchestration_mode, "Flexible")
    tally.equal("priority", created.virtual_machine_profile.priority, "Spot")
    tally.equal("eviction policy", created.virtual_machine_profile.eviction_policy, "Delete")
    tally.equal("max price", created.virtual_machine_profile.billing_profile.max_price, 0.05)
    tally.equal("zones", created.zones, ["1", "2", "3"])
    tally.equal("tags", created.tags, {"spotpool_owner": "conformance"})
    tally.check("a creation time that the SDK can read", created.time_created is not None and created.time_created.tzinfo is not None, created.time_created)
    tally.check("an ETag that is a small quoted integer", created.etag.strip('"').isdigit() and created.etag.startswith('"'), created.etag)
    tally.refused("If-None-Match: * on an existing one", lambda: sets.begin_create_or_update(GROUP, NAME, model(6, 2), if_none_match="*"), 412, "PreconditionFailed")

    tally.section("list")
    tally.equal("by resource group", [s.name for s in sets.list(GROUP)], [NAME])
    tally.equal("by subscription", [s.name for s in sets.list_all()], [NAME])
    tally.equal("by location", [s.name for s in sets.list_by_location("eastus")], [NAME])
    tally.equal("another resource group is empty", list(sets.list("elsewhere")), [])
    pages = machines.list(GROUP, filter=f"'virtualMachineScaleSet/id' eq '{created.id}'").by_page()
    tally.equal("instances come in pages of three", [len(list(page)) for page in pages], [3, 3])
    found = members()
    tally.equal("and each of them once", len({m.id for m in found}), 6)
    tally.equal("two regular by the priority mix", sum(m.priority == "Regular" for m in found), 2)
    tally.check("a regular one has neither eviction policy nor price", all(m.eviction_policy is None and m.billing_profile is None for m in found if m.priority == "Regular"))
    tally.check("each belongs to the scale set", all(m.virtual_machine_scale_set.id == created.id for m in found))
    tally.check("names are {set}_{8 hex}", all(len(m.name) == len(NAME) + 9 and int(m.name.rsplit("_", 1)[1], 16) >= 0 for m in found))
    tally.equal("zones are balanced", sorted(m.zones[0] for m in found), ["1", "1", "2", "2", "3", "3"])
    expanded = members(expand="instanceView")
    tally.check("$expand=instanceView shows their power", all(m.instance_view.statuses[1].code == "PowerState/running" for m in expanded))
    view = machines.instance_view(GROUP, found[0].name)
    tally.equal("instance view of one", [s.code for s in view.statuses], ["ProvisioningState/succeeded", "PowerState/running"])
    tally.check("statusOnly lists states of the subscription", all(m.instance_view for m in machines.list_all(status_only="true")))
    tally.equal("the bare list below the scale set gives names", sorted(m.instance_id for m in set_machines.list(GROUP, NAME)), sorted(m.name for m in found))
    tally.refused("with instance views it is refused", lambda: set_machines.list(GROUP, NAME, expand="instanceView"), 400, "BadRequest")
    tally.refused("so is the instance view of the set", lambda: sets.get_instance_view(GROUP, NAME), 400, "BadRequest")
    tally.refused("and a Uniform path to an instance", lambda: set_machines.get_instance_view(GROUP, NAME, found[0].name), 400, "InvalidParameter")
    usage = {u.name.value: u for u in client.usage.list("eastus")}
    tally.equal("Spot cores in the usages", usage["lowPriorityCores"].current_value, 16)
    sizes = {s.name: {c.name: c.value for c in s.capabilities} for s in client.resource_skus.list(filter="location eq 'eastus'")}
    tally.equal("Spot capability in the sizes", (sizes["Standard_D4s_v5"]["LowPriorityCapable"], sizes["Standard_B2s"]["LowPriorityCapable"]), ("True", "False"))

    tally.section("scale")
    scaled = sets.begin_create_or_update(GROUP, NAME, VirtualMachineScaleSet(location="eastus", sku=Sku(name="Standard_D4s_v5", tier="Standard", capacity=8))).result()
    tally.equal("a PUT of location and sku alone scales", scaled.sku.capacity, 8)
    tally.equal("and keeps the rest", (scaled.tags, scaled.priority_mix_policy.base_regular_priority_count), ({"spotpool_owner": "conformance"}, 2))
    tally.equal("eight instances run", sum(m.provisioning_state == "Succeeded" for m in members()), 8)
    etag = get().etag
    tally.refused("If-Match with an old ETag", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=5)), if_match='"1"'), 412, "PreconditionFailed")
    patched = sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(name="Standard_D4s_v5", capacity=5)), if_match=etag).result()
    tally.equal("If-Match with the current one shrinks", patched.sku.capacity, 5)
    left = members()
    tally.equal("Spot went first, down to the base", sorted(m.priority for m in left), ["Regular", "Regular", "Spot", "Spot", "Spot"])
    first = sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=6)))
    tally.refused("a second write while one runs", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=7))), 409, "Conflict")
    first.result()

    tally.section("evict")
    spot = next(m for m in members() if m.priority == "Spot")
    regular = next(m for m in members() if m.priority == "Regular")
    tally.refused("simulateEviction of a regular instance", lambda: machines.simulate_eviction(GROUP, regular.name), 409, "OperationNotAllowed")
    before = get().etag
    tally.equal("simulateEviction of a Spot instance answers nothing", machines.simulate_eviction(GROUP, spot.name), None)
    tally.equal("for half a minute nothing shows", machines.get(GROUP, spot.name).provisioning_state, "Succeeded")
    wait("then it is gone", lambda: spot.name not in [m.name for m in members()])
    tally.refused("and not found", lambda: machines.get(GROUP, spot.name), 404, "NotFound")
    wait("the capacity fell with it, and the ETag moved", lambda: get().sku.capacity == 5 and get().etag != before)
    wait("the scale set is at rest", lambda: get().provisioning_state == "Succeeded")
    time.sleep(0.5)
    tally.equal("a simulated minute later nobody has restored it", get().sku.capacity, 5)
    restored = sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=6))).result()
    tally.equal("a capacity write brings another", (restored.sku.capacity, len(members())), (6, 6))

    tally.section("refusals")
    control("capacity", {"vmSize": "Standard_D4s_v5", "available": 0})
    tally.refused("no Spot capacity", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=7))), 409, "SkuNotAvailable")
    control("world", {"noCapacity": "inside-operation"})
    tally.refused("no Spot capacity, inside the operation", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=7))), 200, "ZonalAllocationFailed")
    tally.equal("the scale set has failed and kept its goal", (get().provisioning_state, get().sku.capacity, len(members())), ("Failed", 7, 6))
    control("capacity", {"vmSize": "Standard_D4s_v5", "available": None})
    control("quota", {"name": "lowPriorityCores", "limit": 16})
    tally.refused("Spot quota", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=7))), 409, "OperationNotAllowed")
    control("quota", {"name": "lowPriorityCores", "limit": 1000})
    control("price", {"vmSize": "Standard_D8s_v5", "usdPerHour": "0.09"})
    dear = VirtualMachineScaleSetUpdate(sku=Sku(name="Standard_D8s_v5", capacity=8))
    tally.refused("a max price below the market", lambda: sets.begin_update(GROUP, NAME, dear), 409, "SpotPriceGreaterThanProvidedMaxPrice")
    unknown = model(1, 0)
    unknown.sku.name = "Standard_Imaginary"
    tally.refused("an unknown size", lambda: sets.begin_create_or_update(GROUP, "other", unknown), 400, "InvalidParameter")
    burstable = model(1, 0)
    burstable.sku.name = "Standard_B2s"
    tally.refused("a size that is not sold as Spot", lambda: sets.begin_create_or_update(GROUP, "other", burstable), 400, "AzureSpotIsNotSupportedForThisVMSize")
    free = model(1, 0)
    free.virtual_machine_profile.billing_profile = BillingProfile(max_price=0)
    tally.refused("a max price of 0", lambda: sets.begin_create_or_update(GROUP, "other", free), 400, "MaxPriceValueInvalid")
    changed = model(6, 2)
    changed.virtual_machine_profile.priority = "Regular"
    changed.virtual_machine_profile.eviction_policy = None
    changed.virtual_machine_profile.billing_profile = None
    tally.refused("another priority", lambda: sets.begin_create_or_update(GROUP, NAME, changed), 400, "BadRequest")
    control("faults", {"method": "GET", "pathContains": "virtualMachineScaleSets", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "1"}})
    tally.refused("a throttled read", get, 429, "TooManyRequests")

    tally.section("delete")
    spot = next(m for m in members() if m.priority == "Spot")
    sets.begin_delete_instances(GROUP, NAME, VirtualMachineScaleSetVMInstanceRequiredIDs(instance_ids=[spot.name])).result()
    tally.check("an instance goes by its name", spot.name not in [m.name for m in members()])
    wait("and the capacity with it", lambda: get().sku.capacity == 6)
    ids = VirtualMachineScaleSetVMInstanceRequiredIDs(instance_ids=["render_00000000"])
    tally.refused("a name that is not there", lambda: sets.begin_delete_instances(GROUP, NAME, ids), 400, "InvalidParameter")
    machines.begin_delete(GROUP, members()[0].name).result()
    tally.equal("a machine goes by DELETE", len(members()), 4)
    going = sets.begin_delete(GROUP, NAME)
    tally.equal("the scale set says that it is being deleted", get().provisioning_state, "Deleting")
    tally.refused("and takes no update any more", lambda: sets.begin_update(GROUP, NAME, VirtualMachineScaleSetUpdate(sku=Sku(capacity=9))), 409, "OperationNotAllowed")
    going.result()
    tally.refused("it is gone", get, 404, "ResourceNotFound")
    tally.equal("with its instances", list(machines.list_all()), [])
    sets.begin_delete(GROUP, NAME).result()
    tally.check("deleting it again is no error", True)

    print(f"azure-mgmt-compute 33.0.0 against the simulator in {time.monotonic() - started:.0f} s: {tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
