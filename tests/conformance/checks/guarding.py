"""If-Match and If-None-Match."""


def check(tally, pool):
    if_match, if_new = pool.sdk.if_match, pool.sdk.if_new()
    tally.refused("If-Match: * before it exists", lambda: pool.put(pool.model(2), **if_match("*")), 412, "PreconditionFailed")
    first = pool.put(pool.model(2), **if_new).result().etag
    tally.refused("If-None-Match: * on an existing one", lambda: pool.put(pool.model(2), **if_new), 412, "PreconditionFailed")
    tally.equal("which nothing has changed", pool.get().etag, first)
    words = f'Etag provided in if-match header "0" does not match etag {first} of resource.'
    tally.refused("PATCH under another ETag", lambda: pool.scale(3, **if_match('"0"')), 412, "PreconditionFailed", words)
    tally.refused("PUT under another ETag", lambda: pool.put(pool.model(3), **if_match('"0"')), 412, "PreconditionFailed")
    tally.equal("nothing was done", (pool.get().sku.capacity, len(pool.ids())), (2, 2))
    second = pool.scale(3, **if_match(first)).result().etag
    tally.check("PATCH under the current one is done, and moves it", second != first, second)
    tally.refused("so it cannot be done again", lambda: pool.scale(4, **if_match(first)), 412, "PreconditionFailed")
    tally.equal("If-Match: * on an existing one", pool.put(pool.model(4), **if_match("*")).result().sku.capacity, 4)
    etag = pool.get().etag
    pool.simulator.evict(pool.instance_name(pool.spot()[0]))
    pool.simulator.rest()
    if pool.deletes:
        tally.wait("a Delete eviction moves the ETag when the capacity falls", lambda: pool.get().etag != etag)
        tally.refused("so a write decided before it is refused", lambda: pool.scale(2, **if_match(etag)), 412, "PreconditionFailed")
    else:
        tally.equal("a Deallocate eviction leaves the set's ETag", pool.get().etag, etag)
