"""Instances deleted by id or one by one, and the end of a scale set."""


def check(tally, pool):
    pool.create(6, base=1)
    first, second, third, *_ = pool.spot()
    pool.required("delete_instances", [first, second]).result()
    tally.check("two go by their ids", not {first, second} & set(pool.ids()))
    tally.wait("and the capacity with them", lambda: pool.get().sku.capacity == 4)
    words = "is not an active Virtual Machine Scale Set VM instanceId"
    tally.refused("an id that is gone", lambda: pool.required("delete_instances", [first]), 400, "InvalidParameter", words)
    tally.refused("no id at all", lambda: pool.required("delete_instances", []), 400, "InvalidParameter", "instanceIds")
    pool.do("delete", third).result()
    tally.check("one goes by DELETE", third not in pool.ids())
    tally.wait("and the capacity with it", lambda: pool.get().sku.capacity == 3)
    pool.do("delete", third).result()
    tally.check("deleting it again is no error", True)
    down = pool.spot()[0]
    pool.do("deallocate", down).result()
    pool.required("delete_instances", [down]).result()
    tally.check("a deallocated one goes too", down not in pool.ids())
    tally.wait("and leaves the count", lambda: pool.get().sku.capacity == 2)
    brought = pool.scale(3).result()
    tally.equal("a write brings another", (brought.sku.capacity, len(pool.ids())), (3, 3))

    if not pool.flexible:
        pool.simulator.control("world", {"reusesInstanceIds": True})
        pool.scale(4).result()
        numbers = pool.ids()
        tally.check("where numbers are used again, a gone one's comes back", {first, second, third} & set(numbers), numbers)
        pool.simulator.control("world", {"reusesInstanceIds": False})

    with pool.simulator.slow():
        going = pool.delete()
    tally.equal("the scale set says that it is being deleted", pool.get().provisioning_state, "Deleting")
    words = "since it is marked for deletion"
    tally.refused("and takes no update any more", lambda: pool.scale(9), 409, "OperationNotAllowed", words)
    tally.refused("nor a batch", lambda: pool.batch("start"), 409, "OperationNotAllowed", words)
    going.result()
    tally.refused("it is gone", pool.get, 404, "ResourceNotFound")
    tally.check("with its instances", pool.name not in str([m.name for m in pool.sdk.machines.list_all()]))
    pool.delete().result()
    tally.check("deleting it again is no error", True)
