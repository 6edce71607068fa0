"""429 in both shapes, and a client that waits as it is told. Needs a simulator that is slow: tokens come back in its time."""

import time

from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute.models import VirtualMachineScaleSetUpdate

from pool import GROUP
from sdk import Sdk

# Compute's own has no `error` around it [DOC]; ARM's has. Both name their wait.
COMPUTE = "too many requests have been received for this subscription"
ARM = "Please try again after"


def drained(call, most=2_000):
    """Calls until it is refused with 429; how often it was not, and the refusal."""
    for count in range(most):
        try:
            call()
        except HttpResponseError as error:
            if error.status_code == 429:
                return count, error
    return most, None


def check(tally, slow):
    sdk = Sdk(slow.address)
    sets, machines, members = sdk.sets, sdk.machines, sdk.members
    cases = [
        ("GET of a scale set", 36, lambda: sets.get(GROUP, "a")),
        ("instance views of a scale set", 30, lambda: sets.get_instance_view(GROUP, "a")),
        ("writes of a scale set", 12, lambda: sets.begin_update(GROUP, "a", VirtualMachineScaleSetUpdate(tags={}))),
        ("GET of a virtual machine", 36, lambda: machines.get(GROUP, "a_00000000")),
        ("starts of a virtual machine", 12, lambda: machines.begin_start(GROUP, "a_00000000")),
        ("simulated evictions of a virtual machine", 12, lambda: machines.simulate_eviction(GROUP, "a_00000000")),
        ("GET of a Uniform instance", 36, lambda: members.get(GROUP, "a", "0")),
        ("starts of a Uniform instance", 12, lambda: members.begin_start(GROUP, "a", "0")),
        ("deallocations of a Uniform instance", 12, lambda: members.begin_deallocate(GROUP, "a", "0")),
    ]
    for what, allowed, call in cases:
        count, error = drained(call, allowed + 5)
        tally.equal(f"{what} before 429, in Compute's shape", (count, error and COMPUTE in str(error)), (allowed, True))
        tally.check("  which says how long to wait", error and int(error.response.headers["Retry-After"]) > 0)
    tally.equal("another one is not held up by it", drained(lambda: sets.get(GROUP, "b"), 1)[1], None)
    count, error = drained(lambda: list(sdk.client.usage.list("eastus")))
    told = error and (error.error.code, ARM in str(error), int(error.response.headers["Retry-After"]) > 0)
    tally.equal("reads of the subscription before 429, in ARM's shape", told, ("SubscriptionRequestsThrottled", True, True))


def obeys(tally, pool):
    """The SDK's own retries wait for as long as they are told."""
    pool.create(1)
    patient = Sdk(pool.simulator.address, retries=3)
    refusal = {"method": "GET", "pathContains": "virtualMachineScaleSets", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "1"}}
    pool.simulator.control("faults", refusal)
    tally.refused("without retries a 429 is an error", pool.get, 429, "TooManyRequests")
    pool.simulator.control("faults", refusal)
    before = time.monotonic()
    tally.equal("with them it is a pause", patient.sets.get(GROUP, pool.name).sku.capacity, 1)
    tally.check("of as long as Retry-After says", time.monotonic() - before >= 1)
