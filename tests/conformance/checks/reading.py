"""Lists, pages, filters, instance views: of sets, of their instances, and what each mode refuses."""

from pool import GROUP


def check(tally, pool):
    created = pool.create(7, base=2)
    sets, machines, below = pool.sdk.sets, pool.sdk.machines, pool.sdk.members
    tally.equal("sets by resource group", [s.name for s in sets.list(GROUP)], [pool.name])
    tally.equal("by subscription", [s.name for s in sets.list_all()], [pool.name])
    tally.equal("by location", [s.name for s in sets.list_by_location("eastus")], [pool.name])
    tally.equal("another resource group is empty", list(sets.list("elsewhere")), [])

    tally.equal("instances come in pages of three", [len(list(page)) for page in pool.pages().by_page()], [3, 3, 1])
    found = pool.members()
    tally.equal("and each of them once", len({m.id for m in found}), 7)
    tally.check("with their own machine ids", len({m.vm_id for m in found}) == 7)
    tally.equal("zones are balanced", sorted(m.zones[0] for m in found), ["1", "1", "1", "2", "2", "3", "3"])
    tally.check("without states unless they are asked for", all(m.instance_view is None for m in found))
    tally.equal("$expand=instanceView shows their power", set(pool.powers().values()), {"running"})
    id = pool.id(found[0])
    tally.equal("the instance view of one", pool.codes(id), ["ProvisioningState/succeeded", "PowerState/running"])
    tally.check("its power has no time", [s.time is None for s in pool.view(id).statuses] == [False, True])
    tally.equal("GET of one", pool.one(id).name, found[0].name)
    (flexible if pool.flexible else uniform)(tally, pool, created, found, sets, machines, below)

    usage = {u.name.value: u for u in pool.sdk.client.usage.list("eastus")}
    regular = 2 if pool.flexible else 0
    cores = (usage["lowPriorityCores"].current_value, usage["cores"].current_value)
    tally.equal("Spot and regular cores in the usages", cores, (4 * (7 - regular), 4 * regular))
    sizes = {s.name: {c.name: c.value for c in s.capabilities} for s in pool.sdk.client.resource_skus.list(filter="location eq 'eastus'")}
    tally.equal("Spot capability in the sizes", [sizes[s]["LowPriorityCapable"] for s in ("Standard_D4s_v5", "Standard_B2s")], ["True", "False"])


def flexible(tally, pool, created, found, sets, machines, below):
    tally.equal("two regular by the priority mix", sum(m.priority == "Regular" for m in found), 2)
    regular = [m for m in found if m.priority == "Regular"]
    tally.check("a regular one has neither eviction policy nor price", all(m.eviction_policy is None and m.billing_profile is None for m in regular))
    tally.check("each belongs to the scale set", all(m.virtual_machine_scale_set.id == created.id for m in found))
    tally.check("names are {set}_{8 hex}", all(len(m.name) == len(pool.name) + 9 and int(m.name.rsplit("_", 1)[1], 16) >= 0 for m in found))
    tally.check("statusOnly lists states of the subscription", all(m.instance_view for m in machines.list_all(status_only="true")))
    tally.refused("a filter that is not known", lambda: machines.list(GROUP, filter="name eq 'x'"), 400, "InvalidParameter")
    tally.equal("the list below the scale set gives names", sorted(m.instance_id for m in below.list(GROUP, pool.name)), sorted(m.name for m in found))
    words = f"is not allowed on Virtual Machine Scale Set '{pool.name}'"
    tally.refused("with instance views it is refused", lambda: below.list(GROUP, pool.name, expand="instanceView"), 400, "BadRequest", words)
    tally.refused("so is the instance view of the set", lambda: sets.get_instance_view(GROUP, pool.name), 400, "BadRequest", words)
    tally.refused("and a path by number", lambda: below.get_instance_view(GROUP, pool.name, found[0].name), 400, "InvalidParameter", "instanceId must be a number")


def uniform(tally, pool, created, found, sets, machines, below):
    tally.equal("numbers count from 0", [m.instance_id for m in found], [str(n) for n in range(7)])
    tally.equal("names are {set}_{n}", [m.name for m in found], [f"{pool.name}_{n}" for n in range(7)])
    tally.equal("computers are called by the number to the base 36", found[6].os_profile.computer_name, "render000006")
    tally.check("ids lie below the scale set", all(m.id == f"{created.id}/virtualMachines/{m.instance_id}" for m in found))
    tally.check("each has the latest model", all(m.latest_model_applied for m in found))
    view = sets.get_instance_view(GROUP, pool.name)
    summary = [(s.code, s.count) for s in view.virtual_machine.statuses_summary]
    tally.equal("the set's view counts provisioning states", summary, [("ProvisioningState/succeeded", 7)])
    tally.equal("and tells its own", [s.code for s in view.statuses], ["ProvisioningState/succeeded"])
    old = list(below.list(GROUP, pool.name, filter="properties/latestModelApplied eq false"))
    tally.equal("a filter by model", old, [])
    tally.equal("they are no virtual machines", list(machines.list_all()), [])
    tally.refused("nor found as such", lambda: machines.get(GROUP, found[0].name), 404, "NotFound")
    tally.refused("a name is no number", lambda: below.get(GROUP, pool.name, found[0].name), 400, "InvalidParameter", "instanceId must be a number")
    tally.refused("a number that is not there", lambda: below.get_instance_view(GROUP, pool.name, "99"), 404, "NotFound", "was not found in this Azure location")
