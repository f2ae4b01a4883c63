"""Tasks of whole numbers: the state is a running sum that anybody can check."""

import json
import time

from handheld.errors import InputError
from handheld.federated.server.task import ClosedRound, PlainUpload, SecureUpload


class SumTask:
    """Adds up what devices send; counts the devices."""

    def __init__(  # options of a configuration, each by itself
        self, name="sum", count=5, bits=20, plain=False, broken="", slow=0, purpose="training"
    ):
        self.name = name
        self.purpose = purpose
        self.count = count
        self.bits = bits
        self.plain = plain
        self.broken = broken
        self.slow = slow

    def start(self):
        return json.dumps({"round": 0, "clients": 0, "total": [0] * min(self.count, 5)}).encode()

    def plans(self):
        return {1: b"send ones", 2: b"send ones, version 2"}

    def public(self, state):
        return b"model of " + state

    def upload(self, state):
        if self.plain:
            return PlainUpload(most_bytes=1000, most_clients=1000)
        return SecureUpload(count=self.count, bits=self.bits, most_clients=1000)

    def close(self, state, received):
        if self.broken == "refuses":
            raise InputError("these numbers make no sense")
        if self.broken == "raises":
            raise ZeroDivisionError("a bug of the task")
        time.sleep(self.slow)
        before = json.loads(state)
        if self.plain:
            sums = [sum(column) for column in zip(*map(json.loads, received.uploads), strict=True)]
        else:
            sums = received.total[:5].tolist()
        total = [old + new for old, new in zip(before["total"], sums, strict=True)]
        after = {
            "round": before["round"] + 1,
            "clients": before["clients"] + received.clients,
            "total": total,
        }
        figures = {"accuracy": 1 - 0.5 ** after["round"], "epsilon": 0.1 * after["round"]}
        return ClosedRound(state=json.dumps(after).encode(), figures=figures)


def sum_task(**options):
    return SumTask(**options)
