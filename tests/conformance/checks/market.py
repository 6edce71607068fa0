"""No capacity, no quota, too dear, and boots that fail: at creation, at a scale-out and at a start."""

from model import SIZE


def check(tally, pool):
    control = pool.simulator.control
    sell = lambda available: control("capacity", {"vmSize": SIZE, "available": available})
    pool.create(3)
    down = pool.spot()[0]
    pool.do("deallocate", down).result()

    sell(0)
    words = f"'Following SKUs have failed for Capacity Restrictions: {SIZE}' is currently not available in location 'eastus'"
    tally.refused("no Spot capacity at a scale-out", lambda: pool.scale(4), 409, "SkuNotAvailable", words)
    tally.refused("at a creation", lambda: other(pool).put(pool.model(1)), 409, "SkuNotAvailable", words)
    tally.refused("at a start", lambda: pool.do("start", down), 409, "SkuNotAvailable", words)
    tally.equal("nothing was done", (pool.get().sku.capacity, len(pool.ids()), pool.powers()[down]), (3, 3, "deallocated"))

    control("world", {"noCapacity": "inside-operation"})
    tally.refused("inside the operation of a scale-out", lambda: pool.scale(4), 200, "ZonalAllocationFailed", "sufficient capacity for the requested VM size")
    tally.equal("the set has failed and kept its goal", (pool.get().provisioning_state, pool.get().sku.capacity, len(pool.ids())), ("Failed", 4, 3))
    tally.refused("of a start", lambda: pool.do("start", down), 200, "ZonalAllocationFailed")
    tally.equal("the instance tells why", pool.codes(down), ["ProvisioningState/failed/ZonalAllocationFailed", "PowerState/deallocated"])
    tally.refused("regional", lambda: other(pool).put(pool.model(1, zones=())), 200, "AllocationFailed")
    other(pool).delete().result()
    control("world", {"allocationError": "overconstrained"})
    tally.refused("overconstrained", lambda: pool.scale(4), 200, "OverconstrainedZonalAllocationRequest", "Preemptible VMs")
    tally.refused("regional and overconstrained", lambda: other(pool).put(pool.model(1, zones=())), 200, "OverconstrainedAllocationRequest", "VM Size")
    other(pool).delete().result()
    control("world", {"allocationError": "allocation-failed"})
    sell(1)
    tally.refused("too little for two", lambda: pool.scale(5), 200, "ZonalAllocationFailed")
    tally.equal("brings one", len(pool.ids()), 4)
    sell(None)
    control("world", {"noCapacity": "synchronous"})
    pool.do("start", down).result()
    tally.equal("when there is capacity again, a start and a write do all", (pool.scale(5).result().provisioning_state, set(pool.powers().values())), ("Succeeded", {"running"}))

    quotas(tally, pool, control)
    prices(tally, pool, control)

    control("world", {"failingBoots": 1000})
    tally.refused("a boot that fails", lambda: pool.scale(6), 200, "OSProvisioningTimedOut", "did not finish in the allotted time")
    control("world", {"failingBoots": 0})
    failed = [id for id in pool.ids() if pool.one(id).provisioning_state == "Failed"]
    tally.equal("leaves an instance that tells why", [pool.codes(id) for id in failed], [["ProvisioningState/failed/OSProvisioningTimedOut", "PowerState/running"]])


def other(pool):
    return type(pool)(pool.sdk, pool.simulator, pool.mode, pool.policy, f"{pool.name}2")


def quotas(tally, pool, control):
    """[DOC] which status it has, sources do not agree on."""
    control("quota", {"name": "lowPriorityCores", "limit": 20})
    for status in (409, 403):
        control("world", {"quotaStatus": status})
        words = "exceeding approved LowPriorityCores quota. Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 20, Current Usage: 20, Additional Required: 4, (Minimum) New Limit Required: 24."
        tally.refused("Spot quota", lambda: pool.scale(6), status, "OperationNotAllowed", words)
    control("world", {"quotaStatus": 409})
    held = pool.spot()[0]
    pool.do("deallocate", held).result()
    usage = {u.name.value: u.current_value for u in pool.sdk.client.usage.list("eastus")}
    tally.equal("a deallocated instance holds its quota", usage["lowPriorityCores"], 20)
    pool.do("start", held).result()
    control("quota", {"name": "lowPriorityCores", "limit": 1000})
    regular = lambda: other(pool).put(pool.model(1, priority="Regular", policy=None, max_price=None))
    control("quota", {"name": "cores", "limit": 0})
    tally.refused("regular quota of the region", regular, 409, "OperationNotAllowed", "exceeding approved Total Regional Cores quota")
    control("quota", {"name": "cores", "limit": 1000})
    control("quota", {"name": "standardDSv5Family", "limit": 0})
    tally.refused("regular quota of the family", regular, 409, "OperationNotAllowed", "exceeding approved standardDSv5Family Cores quota")
    control("quota", {"name": "standardDSv5Family", "limit": 1000})


def prices(tally, pool, control):
    """[DOC error-codes-spot]; [UNK] the status."""
    price = lambda usd: control("price", {"vmSize": SIZE, "usdPerHour": usd})
    victims = set(pool.spot())
    price("0.06")
    pool.simulator.rest()
    left = set(pool.ids()) & victims
    tally.equal("a price above the limit evicts", (len(left), set(pool.powers().values())), (0, set()) if pool.deletes else (5, {"deallocated"}))
    words = f"since the provided max price '0.05 USD' is lower than the current spot price '0.06 USD' for Azure Spot Virtual Machine size '{SIZE}'"
    for status in (409, 400):
        control("world", {"priceStatus": status})
        tally.refused("and is refused at a scale-out", lambda: pool.scale(6), status, "SpotPriceGreaterThanProvidedMaxPrice", words)
        tally.refused("and at a creation", lambda: other(pool).put(pool.model(1)), status, "SpotPriceGreaterThanProvidedMaxPrice", words)
        if not pool.deletes:
            tally.refused("and at a start", lambda: pool.do("start", pool.ids()[0]), status, "SpotPriceGreaterThanProvidedMaxPrice", words)
    control("world", {"priceStatus": 409})
    price("0.04")
    if not pool.deletes:
        pool.batch("start").result()
    tally.equal("below it all run again", len(pool.scale(5).result() and [p for p in pool.powers().values() if p == "running"]), 5)
