"""A `spotpool simulator` of its own, and its control API: what Azure would do by itself."""

import json
import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager


class Simulator:
    """Runs as long as the `with` block."""

    def __init__(self, command, log, speed, *more):
        self.command = [*command, "--listen", "127.0.0.1:0", "--speed", str(speed), "--seed", "7", "--page-size", "3", "--log", str(log), *more]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.match(r"simulator listening on (\S+)", line)
        if not found:
            self.process.kill()
            raise RuntimeError(f"{self.command[0]} did not start: {line!r}")
        self.address = found[1]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def control(self, path, body=None, method="POST"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/control/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def evict(self, *names):
        return self.control("evict", {"instances": list(names)})["evicted"]

    @contextmanager
    def slow(self):
        """What begins inside takes four minutes of its time: long enough to be seen on its way, also on a busy machine."""
        self.control("world", {"operation": 240, "deletion": 240})
        yield
        self.control("world", {"operation": 20, "deletion": [20, 45]})

    def rest(self):
        """Waits until nothing is under way in any scale set."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            sets = self.control("state", method="GET")["scaleSets"]
            moving = {"creating", "starting", "stopping", "deallocating", "noticed", "evicted", "deleting"}
            if not any(i["state"] in moving for s in sets for i in s["instances"]) and all(s["provisioningState"] in ("Succeeded", "Failed") for s in sets):
                return
            time.sleep(0.05)
        raise RuntimeError("the simulator does not come to rest")
