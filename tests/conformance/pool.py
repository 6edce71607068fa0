"""A scale set under test, in words that hide what its two modes spell differently."""

from azure.mgmt.compute.models import (
    Sku,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetVMInstanceIDs,
    VirtualMachineScaleSetVMInstanceRequiredIDs,
)

from model import SIZE, model

GROUP = "conformance-rg"


class Pool:
    def __init__(self, sdk, simulator, mode, policy, name):
        self.sdk, self.simulator, self.mode, self.policy, self.name = sdk, simulator, mode, policy, name
        self.flexible = mode == "Flexible"
        self.deletes = policy == "Delete"

    # ---- the set ----

    def model(self, capacity, **more):
        return model(self.flexible, more.pop("policy", self.policy), capacity, **more)

    def put(self, body, **condition):
        return self.sdk.sets.begin_create_or_update(GROUP, self.name, body, **condition)

    def create(self, capacity, **more):
        return self.put(self.model(capacity, **more)).result()

    def patch(self, body, **condition):
        return self.sdk.sets.begin_update(GROUP, self.name, body, **condition)

    def scale(self, capacity, size=SIZE, **condition):
        return self.patch(VirtualMachineScaleSetUpdate(sku=Sku(name=size, tier="Standard", capacity=capacity)), **condition)

    def get(self):
        return self.sdk.sets.get(GROUP, self.name)

    def delete(self):
        return self.sdk.sets.begin_delete(GROUP, self.name)

    # ---- its instances ----

    def pages(self, **more):
        if self.flexible:
            return self.sdk.machines.list(GROUP, filter=f"'virtualMachineScaleSet/id' eq '{self.get().id}'", **more)
        return self.sdk.members.list(GROUP, self.name, **more)

    def members(self, **more):
        return list(self.pages(**more))

    def id(self, member):
        """What requests call it: a name, or a number."""
        return member.name if self.flexible else member.instance_id

    def ids(self):
        return [self.id(member) for member in self.members()]

    def spot(self):
        """Ids of Spot instances: all of a Uniform set's; its class in the SDK has no priority."""
        return [self.id(member) for member in self.members() if not self.flexible or member.priority == "Spot"]

    def instance_name(self, id):
        """What the control API calls it."""
        return id if self.flexible else f"{self.name}_{id}"

    def powers(self):
        return {self.id(member): power(member.instance_view) for member in self.members(expand="instanceView")}

    def one(self, id):
        return self.sdk.machines.get(GROUP, id) if self.flexible else self.sdk.members.get(GROUP, self.name, id)

    def view(self, id):
        return self.sdk.machines.instance_view(GROUP, id) if self.flexible else self.sdk.members.get_instance_view(GROUP, self.name, id)

    def codes(self, id):
        return [status.code for status in self.view(id).statuses]

    def do(self, action, id):
        """An action on one instance: start, deallocate, power_off, restart, delete."""
        where, path = (self.sdk.machines, (GROUP, id)) if self.flexible else (self.sdk.members, (GROUP, self.name, id))
        return getattr(where, f"begin_{action}")(*path)

    def simulate_eviction(self, id):
        if self.flexible:
            return self.sdk.machines.simulate_eviction(GROUP, id)
        return self.sdk.members.simulate_eviction(GROUP, self.name, id)

    def batch(self, action, ids=None):
        """An action on several at once, or on all: start, deallocate, power_off, restart."""
        named = None if ids is None else VirtualMachineScaleSetVMInstanceIDs(instance_ids=ids)
        return getattr(self.sdk.sets, f"begin_{action}")(GROUP, self.name, named)

    def required(self, action, ids):
        """delete_instances and update_instances, whose list is required."""
        return getattr(self.sdk.sets, f"begin_{action}")(GROUP, self.name, VirtualMachineScaleSetVMInstanceRequiredIDs(instance_ids=ids))


def power(view):
    return next(status.code.removeprefix("PowerState/") for status in view.statuses if status.code.startswith("PowerState/"))
