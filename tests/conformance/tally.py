"""Counts what held and keeps a line for each check, to be printed together when its part is over."""

import time

from azure.core.exceptions import HttpResponseError


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.lines = []

    def section(self, title):
        self.lines.append(title)

    def check(self, sentence, held, seen=None):
        if held:
            self.passed += 1
            self.lines.append(f"  ok    {sentence}")
        else:
            self.failed += 1
            self.lines.append(f"  FAIL  {sentence}: {seen!r}")

    def equal(self, sentence, seen, expected):
        self.check(f"{sentence} ({expected!r})", seen == expected, seen)

    def wait(self, sentence, held, seconds=30):
        """Checks that something comes true within so many seconds."""
        until = time.monotonic() + seconds
        while not (true := held()) and time.monotonic() < until:
            time.sleep(0.05)
        self.check(sentence, true)

    def refused(self, sentence, call, status, code, says=""):
        """Checks that a call, its operation or its pages end in this status, code and words. An operation that fails reads 200: so did its poll."""
        try:
            result = call()
            if hasattr(result, "result"):
                result = result.result()
            elif hasattr(result, "__iter__"):
                result = list(result)
            self.check(f"{sentence}: refused", False, result)
        except HttpResponseError as error:
            seen = (error.status_code, error.error.code if error.error else None)
            held = seen == (status, code) and says in str(error)
            self.check(f"{sentence} ({status} {code}{': …' + says + '…' if says else ''})", held, (*seen, str(error)))
