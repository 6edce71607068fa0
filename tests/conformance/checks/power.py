"""Deallocate, start, power off, restart: on one instance, on several, on all."""


def check(tally, pool):
    pool.create(4, base=1)
    control = pool.simulator.control
    ids = pool.ids()
    one, two = ids[0], ids[1:3]

    def after(action):
        pool.do(action, one).result()
        return pool.codes(one)[1].removeprefix("PowerState/")

    tally.equal("one is deallocated", after("deallocate"), "deallocated")
    tally.equal("the set counts it and is at rest", (pool.get().sku.capacity, pool.get().provisioning_state), (4, "Succeeded"))
    tally.refused("it cannot be restarted", lambda: pool.do("restart", one), 409, "OperationNotAllowed", "either deallocated or stopped")
    tally.equal("it is started", after("start"), "running")
    tally.equal("a start of a running one is no error", after("start"), "running")
    tally.equal("it is powered off", after("power_off"), "stopped")
    tally.equal("and started", after("start"), "running")
    tally.equal("it is restarted", after("restart"), "running")
    tally.equal("it is redeployed", after("redeploy"), "running")
    if pool.flexible:
        tally.equal("it is reapplied", after("reapply"), "running")
        tally.refused("one that is not there", lambda: pool.do("start", f"{pool.name}_00000000"), 404, "ResourceNotFound")
    else:
        tally.equal("it is reimaged", after("reimage"), "running")
        tally.refused("one that is not there", lambda: pool.do("start", "99"), 404, "NotFound")

    with pool.simulator.slow():
        going = pool.do("deallocate", one)
    tally.refused("a start while it goes down", lambda: pool.do("start", one), 409, "Conflict")
    going.result()
    pool.do("start", one).result()

    pool.batch("deallocate", two).result()
    tally.equal("two are deallocated at once", [pool.powers()[id] for id in two], ["deallocated"] * 2)
    pool.batch("start", two).result()
    tally.equal("and started at once", set(pool.powers().values()), {"running"})
    pool.batch("power_off", two).result()
    tally.equal("or powered off", [pool.powers()[id] for id in two], ["stopped"] * 2)
    pool.batch("start").result()
    tally.equal("none named means all", set(pool.powers().values()), {"running"})
    pool.batch("restart", two).result()
    pool.batch("deallocate").result()
    tally.equal("also to deallocate", set(pool.powers().values()), {"deallocated"})
    with pool.simulator.slow():
        running = pool.batch("start")
    tally.refused("a batch occupies the set", lambda: pool.scale(5), 409, "Conflict")
    running.result()
    words = "is not an active Virtual Machine Scale Set VM instanceId"
    unknown = f"{pool.name}_00000000" if pool.flexible else "99"
    tally.refused("an id that is not there", lambda: pool.batch("start", [unknown]), 400, "InvalidParameter", words)
    other = two[0] if not pool.flexible else two[0].rsplit("_", 1)[1]
    wrong = f"{pool.name}_{other}" if not pool.flexible else other
    tally.refused("a Flexible instance's id is its whole name, a Uniform one's its number", lambda: pool.batch("start", [wrong]), 400, "InvalidParameter", words)

    control("world", {"flexibleTakesBatches": False})
    if pool.flexible:
        tally.refused("where Flexible sets take no batches", lambda: pool.batch("start", two), 400, "BadRequest", "VirtualMachineScaleSets.start.POST")
        tally.equal("single ones are still taken", after("deallocate"), "deallocated")
    else:
        pool.batch("deallocate", two).result()
        tally.equal("Uniform sets always take batches", [pool.powers()[id] for id in two], ["deallocated"] * 2)
    control("world", {"flexibleTakesBatches": True})
