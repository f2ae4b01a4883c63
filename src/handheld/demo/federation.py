"""A federation of real processes: rounds over TLS, of which the server sees the sums alone."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from rich.console import Console

from handheld.demo.devices import digit_users
from handheld.reports import html_section, html_table

if TYPE_CHECKING:
    from handheld.federated.rehearsal import RehearsedRound

_DEVICES = 5
_ROUNDS = 3
_CLIP = 5.0
_HEAD = ("round", "devices in the sum", "seconds", "test digits right")


def rehearse(console: Console) -> Markup:
    """Let a server and five devices learn, each in a process of its own; return the page's section.

    Needs ``federated``'s and ``server``'s extras.
    """
    started = time.perf_counter()
    rounds = _rounds()
    seconds = time.perf_counter() - started
    console.print(
        f"federation: a server and {_DEVICES} devices, {_ROUNDS} rounds with secure aggregation "
        f"over TLS, {seconds:.1f} s",
        highlight=False,
    )
    rows = [
        (str(one.number), str(one.clients), f"{one.seconds:.1f}", f"{one.test['accuracy']:.1%}")
        for one in rounds
    ]
    about = (
        f"A server and {_DEVICES} devices with digits of their own, each a process, over TLS on "
        "this machine. Devices sign and agree on keys, add masks that cancel in the sum, and check "
        "that all were told the same: the server learns the sum of their updates, and of no device "
        "its own. Seconds count from the start of the processes."
    )
    table = html_table(_HEAD, rows, numbers={0, 1, 2, 3})
    return html_section("A federation over TLS", about, table)


def _rounds() -> "Sequence[RehearsedRound]":
    from handheld.federated.learning import ClientWork
    from handheld.federated.learning.modules import ModuleLearner
    from handheld.federated.population import NetworkConfig
    from handheld.federated.rehearsal import run_rehearsal, write_rehearsal
    from handheld.federated.simulator import Plan
    from handheld.networks.zoo.federated import make

    users, test = digit_users(_DEVICES)
    learner = ModuleLearner(make("two_layers", (64,), 10, seed=0), users, test)
    plan = Plan(rounds=_ROUNDS, cohort=_DEVICES, work=ClientWork(epochs=5, batch=10))
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = write_rehearsal(
            plan,
            learner,
            Path(folder),
            model=NetworkConfig("two_layers"),
            devices=_DEVICES,
            clip=_CLIP,
        )
        return run_rehearsal(rehearsal, _ROUNDS)
