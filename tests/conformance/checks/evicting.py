"""Evictions, as far as ARM shows them: simulated ones and those that Azure makes by itself."""

import time


def check(tally, pool):
    pool.create(5, base=1)
    spot = pool.spot()
    victim = spot[0]
    if pool.flexible:
        regular = next(m.name for m in pool.members() if m.priority == "Regular")
        words = "Operation 'simulateEviction' is allowed only for Spot Virtual Machines"
        tally.refused("simulateEviction of a regular instance", lambda: pool.simulate_eviction(regular), 409, "OperationNotAllowed", words)
    before, machine = pool.get().etag, pool.one(victim)
    tally.equal("simulateEviction of a Spot instance answers nothing", pool.simulate_eviction(victim), None)
    tally.equal("for half a minute nothing shows", pool.codes(victim), ["ProvisioningState/succeeded", "PowerState/running"])
    (deleted if pool.deletes else deallocated)(tally, pool, victim, before, machine)


def deleted(tally, pool, victim, before, machine):
    """[REC cap 8, 9], [DOC spot-priority-mix]"""
    tally.wait("then it is gone", lambda: victim not in pool.ids())
    tally.refused("and not found", lambda: pool.one(victim), 404, "NotFound", "The entity was not found in this Azure location.")
    tally.refused("nor its instance view", lambda: pool.view(victim), 404, "NotFound")
    tally.wait("the capacity fell with it, and the ETag moved", lambda: pool.get().sku.capacity == 4 and pool.get().etag != before)
    tally.wait("the scale set is at rest", lambda: pool.get().provisioning_state == "Succeeded")
    time.sleep(1)
    tally.equal("minutes later nobody has restored it", (pool.get().sku.capacity, len(pool.ids())), (4, 4))
    restored = pool.scale(5).result()
    tally.equal("a capacity write brings another", (restored.sku.capacity, len(pool.ids()), victim in pool.ids()), (5, 5, False))
    pool.simulator.control("world", {"capacityFalls": "never"})
    pool.simulator.evict(pool.instance_name(pool.spot()[0]))
    pool.simulator.rest()
    tally.equal("where the capacity does not fall, it is the instances that tell", (pool.get().sku.capacity, len(pool.ids())), (5, 4))
    pool.simulator.control("world", {"capacityFalls": "late", "lags": [20]})
    several(tally, pool, gone=True)


def deallocated(tally, pool, victim, before, machine):
    """[REC cap 7, 9], [DOC spot-priority-mix scenario 2], [ISS azure-docs#41748]"""
    tally.wait("then it is deallocated", lambda: pool.powers()[victim] == "deallocated")
    tally.equal("no status of it tells an eviction", pool.codes(victim), ["ProvisioningState/succeeded", "PowerState/deallocated"])
    now = pool.one(victim)
    tally.equal("it is the same machine, and reads Succeeded", (now.vm_id, now.provisioning_state), (machine.vm_id, "Succeeded"))
    tally.check("its ETag has moved", now.etag != machine.etag, now.etag)
    disk = now.storage_profile.os_disk
    tally.equal("its disk shows no kind and no size", (disk.managed_disk.storage_account_type, disk.disk_size_gb), (None, None))
    tally.equal("the set counts it", (pool.get().sku.capacity, pool.get().provisioning_state, len(pool.ids())), (5, "Succeeded", 5))
    time.sleep(1)
    tally.equal("minutes later nobody has started it", pool.powers()[victim], "deallocated")
    pool.scale(6).result()
    tally.equal("a scale-out brings a new one and leaves it", sorted(pool.powers().values()), ["deallocated"] + ["running"] * 5)
    pool.do("start", victim).result()
    tally.equal("a start brings it back", (pool.powers()[victim], pool.one(victim).vm_id), ("running", machine.vm_id))
    several(tally, pool, gone=False)


def several(tally, pool, gone):
    two = pool.spot()[:2]
    tally.equal("Azure evicts two by itself", len(pool.simulator.evict(*map(pool.instance_name, two))), 2)
    pool.simulator.rest()
    if gone:
        tally.check("both are gone", not set(two) & set(pool.ids()))
    else:
        tally.equal("both are deallocated", [pool.powers()[id] for id in two], ["deallocated"] * 2)
