"""Holds recorded traffic to Microsoft's descriptions and says what is wrong.

In: the folder of descriptions and simulator logs (`spotpool simulator --log`). Out: how many messages of how many operations were valid; each
kind of violation once, with its number and one place to look at; exit status 1 when there is any, or nothing to judge.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from azure import Azure
from judge import Judge


def records(file):
    """The lines of a log. The last one may be cut off: a test ends by ending the simulator."""
    with open(file) as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith("\n"):
                yield number, json.loads(line)


def main(folder, files):
    azure = Azure(folder)
    requests, answers, elsewhere = Counter(), defaultdict(Counter), Counter()
    violations = defaultdict(list)
    for file in files:
        judge = Judge(azure)
        for number, record in records(file):
            operation, described, problems = judge.judge(record)
            status = record["response"]["statusCode"] if record["response"] else None
            if described:
                requests[operation] += 1
                if status:
                    answers[operation][status] += 1
            else:
                elsewhere[operation] += 1 + (status is not None)
            for place, sentence in dict.fromkeys(problems):
                violations[operation, place, sentence].append(f"{file}:{number}")

    for operation in sorted(requests):
        given = " ".join(f"{status}x{count}" for status, count in sorted(answers[operation].items()))
        print(f"  {requests[operation]:6}  {operation}  {given}")
    if elsewhere:
        print("  not described in the folder, not judged: " + ", ".join(f"{count} messages {name}" for name, count in sorted(elsewhere.items())))
    for (operation, place, sentence), found in sorted(violations.items()):
        print(f"  VIOLATION {operation}: {place} {sentence} ({len(found)} times, as in {found[0]})")
    messages = requests.total() + sum(counts.total() for counts in answers.values())
    total = sum(len(found) for found in violations.values())
    print(f"schemas: {messages} messages ({requests.total()} requests and their answers) in {len(files)} logs, {len(requests)} distinct operations, {total} violations")
    if messages == 0:
        print("schemas: nothing was recorded; `make test` records while it runs", file=sys.stderr)
    return 1 if violations or messages == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
