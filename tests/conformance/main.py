"""Lets the SDK of this environment drive simulators, and prints what held.

In: a folder for logs and the command that starts a simulator. Out: one line a check, a count, exit status 1 when anything failed. The SDK judges
the wire: its models must parse every answer, its pollers must find their way through every operation. Each mode with each eviction policy has
a simulator of its own, and all of them run at once.
"""

import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import creating, deleting, evicting, guarding, market, power, reading, refusing, scaling, throttling
from pool import Pool
from sdk import API_VERSION, VERSION, Sdk
from simulator import Simulator
from tally import Tally

# So many times as fast as Azure.
SPEED = 200
PARTS = [
    ("create", creating.check),
    ("read", reading.check),
    ("scale", scaling.check),
    ("guard", guarding.check),
    ("evict", evicting.check),
    ("power", power.check),
    ("market", market.check),
    ("refuse", refusing.check),
    ("throttle", throttling.obeys),
    ("delete", deleting.check),
]


def guarded(tally, title, part):
    """A part that breaks off has failed, and says where."""
    tally.section(title)
    try:
        part()
    except Exception:
        tally.check("the part comes to its end", False, traceback.format_exc(limit=-3))


def kind(command, logs, mode, policy):
    """All parts on one kind of scale set."""
    tally = Tally()
    with Simulator(command, logs / f"{mode}-{policy}.jsonl".lower(), SPEED) as simulator:
        sdk = Sdk(simulator.address)
        # Sources do not agree on whether Uniform instances tell their priority: here those of one policy do.
        world = {"operation": 20, "simulatedEvictionNotice": [160, 200], "uniformTellsPriority": policy == "Deallocate"}
        simulator.control("world", {"capacityFalls": "late", "lags": [20], **world})
        for name, check in PARTS:
            pool = Pool(sdk, simulator, mode, policy, f"{name}-{mode}".lower())
            guarded(tally, f"{mode}, {policy}: {name}", lambda: check(tally, pool))
            sdk.sets.begin_delete("conformance-rg", pool.name).result()
        tally.equal(f"every call to Compute was of api-version {API_VERSION}", sdk.policy.api_versions, {API_VERSION})
    return tally


def throttled(command, logs):
    tally = Tally()
    with Simulator(command, logs / "throttled.jsonl", 0.1) as slow:
        guarded(tally, "requests above the limits", lambda: throttling.check(tally, slow))
    return tally


def main(logs, command):
    started = time.monotonic()
    kinds = [(mode, policy) for mode in ("Flexible", "Uniform") for policy in ("Delete", "Deallocate")]
    with ThreadPoolExecutor(len(kinds) + 1) as workers:
        runs = [workers.submit(kind, command, logs, *one) for one in kinds] + [workers.submit(throttled, command, logs)]
        tallies = [run.result() for run in runs]
    for tally in tallies:
        print("\n".join(tally.lines))
    passed, failed = sum(t.passed for t in tallies), sum(t.failed for t in tallies)
    print(f"azure-mgmt-compute {VERSION}, api-version {API_VERSION}, in {time.monotonic() - started:.0f} s: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
