"""PUT of a new scale set, and what GET shows of it."""


def check(tally, pool):
    tally.refused("an absent scale set is not found", pool.get, 404, "ResourceNotFound", "Microsoft.Compute/virtualMachineScaleSets/")
    with pool.simulator.slow():
        poller = pool.put(pool.model(6, base=2), **pool.sdk.if_new())
    first = pool.get()
    tally.equal("the capacity shows at once", first.sku.capacity, 6)
    tally.equal("and that it is being created", first.provisioning_state, "Creating")
    created = poller.result()
    tally.equal("the poller ends in the finished scale set", created.provisioning_state, "Succeeded")
    tally.equal("orchestration mode", created.orchestration_mode, pool.mode)
    profile = created.virtual_machine_profile
    tally.equal("priority, eviction policy, max price", (profile.priority, profile.eviction_policy, profile.billing_profile.max_price), ("Spot", pool.policy, 0.05))
    tally.equal("zones and tags", (created.zones, created.tags), (["1", "2", "3"], {"team": "conformance"}))
    tally.check("a creation time that the SDK can read", created.time_created is not None and created.time_created.tzinfo is not None, created.time_created)
    tally.check("an ETag that is a small quoted integer", created.etag.startswith('"') and created.etag.strip('"').isdigit(), created.etag)
    if pool.flexible:
        tally.equal("the priority mix", created.priority_mix_policy.base_regular_priority_count, 2)
        tally.check("disks that go with their instances by default", profile.storage_profile.os_disk.delete_option == "Delete")
    else:
        tally.equal("the upgrade policy", created.upgrade_policy.mode, "Manual")
        tally.equal("no restoration by default", created.spot_restore_policy.enabled, False)
    sizes = [sku.sku.name for sku in pool.sdk.sets.list_skus("conformance-rg", pool.name)]
    tally.check("the sizes it could have", "Standard_D4s_v5" in sizes, sizes)

    without = pool.model(1, max_price=None, policy=None)
    other = type(pool)(pool.sdk, pool.simulator, pool.mode, pool.policy, "bare")
    bare = other.put(without).result().virtual_machine_profile
    tally.equal("unsaid: Deallocate, and up to the pay-as-you-go price", (bare.eviction_policy, bare.billing_profile.max_price), ("Deallocate", -1.0))
    other.delete().result()
