"""Capacity and model by PUT and PATCH, and when instances take a new model."""

from azure.mgmt.compute.models import (
    ImageReference,
    Sku,
    VirtualMachineScaleSet,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetUpdateStorageProfile,
    VirtualMachineScaleSetUpdateVMProfile,
)

from model import SIZE
from pool import GROUP


def check(tally, pool):
    pool.create(4, base=2)
    scaled = pool.put(VirtualMachineScaleSet(location="eastus", sku=Sku(name=SIZE, tier="Standard", capacity=6))).result()
    tally.equal("a PUT of location and sku alone scales", scaled.sku.capacity, 6)
    tally.equal("and keeps the rest", (scaled.tags, scaled.virtual_machine_profile.eviction_policy), ({"team": "conformance"}, pool.policy))
    tally.equal("six instances run", list(pool.powers().values()), ["running"] * 6)
    before = pool.ids()
    shrunk = pool.scale(4).result()
    left = pool.ids()
    tally.equal("a PATCH shrinks", (shrunk.sku.capacity, len(left), set(left) <= set(before)), (4, 4, True))
    if pool.flexible:
        tally.equal("Spot went first, down to the base", sorted(m.priority for m in pool.members()), ["Regular", "Regular", "Spot", "Spot"])
    tagged = pool.patch(VirtualMachineScaleSetUpdate(tags={"team": "other"})).result()
    tally.equal("a PATCH of tags replaces them all and moves no instance", (tagged.tags, pool.ids()), ({"team": "other"}, left))

    image = ImageReference(publisher="Canonical", offer="ubuntu-24_04-lts", sku="server", version="24.04.1")
    profile = VirtualMachineScaleSetUpdateVMProfile(storage_profile=VirtualMachineScaleSetUpdateStorageProfile(image_reference=image))
    remodelled = pool.patch(VirtualMachineScaleSetUpdate(virtual_machine_profile=profile)).result()
    tally.equal("a new image is in the model", remodelled.virtual_machine_profile.storage_profile.image_reference.version, "24.04.1")
    versions = lambda: sorted(m.storage_profile.image_reference.version for m in pool.members())
    tally.equal("and in no instance that exists", versions(), ["latest"] * 4)
    pool.scale(5).result()
    tally.equal("only a new one has it", versions(), ["24.04.1"] + ["latest"] * 4)
    if not pool.flexible:
        below = pool.sdk.members
        old = lambda: [m.instance_id for m in below.list(GROUP, pool.name, filter="properties/latestModelApplied eq false")]
        tally.equal("those with the old one can be listed", old(), left)
        pool.required("update_instances", left[:1]).result()
        tally.equal("manualupgrade gives it to the one that is named", old(), left[1:])
        pool.required("update_instances", ["*"]).result()
        tally.equal("or to all", old(), [])
    tally.equal("nobody was restarted for it", set(pool.powers().values()), {"running"})
    with pool.simulator.slow():
        first = pool.scale(6)
    tally.refused("a second write while one runs", lambda: pool.scale(7), 409, "Conflict", "conflict with a concurrent request")
    first.result()
    pool.simulator.control("world", {"concurrent": "preempts"})
    with pool.simulator.slow():
        loser = pool.scale(7)
    winner = pool.scale(8)
    tally.refused("where the second one wins, the first ends preempted", loser.result, 200, "OperationPreempted")
    tally.equal("and the second one is done", winner.result().sku.capacity, 8)
    pool.simulator.control("world", {"concurrent": "refused"})
