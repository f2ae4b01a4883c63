"""Handwritten digits learned on fifty devices, each of which sees two or so kinds of digit."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from rich.console import Console

from handheld.data.users.partitions import by_shards
from handheld.demo.digits import digits
from handheld.reports import (
    AxisWords,
    Figure,
    draw_curves,
    html_figure,
    html_section,
    html_table,
    in_two_widths,
)

if TYPE_CHECKING:
    from handheld.federated.learning import Examples, Users
    from handheld.federated.stages import Stage

_DEVICES = 50
_ROUNDS = 40
_COHORT = 10
_WIDTH = 760  # pixels of the chart
_HEAD = ("sent", "test digits right", "from all devices together")

Rows = Sequence[Mapping[str, float]]


def learn(console: Console) -> Markup:
    """Train with whole updates and with updates of two bits, and return the page's section.

    Needs ``federated``'s extras.
    """
    from handheld.federated.stages import Compressed
    from handheld.federated.updates import Eden

    started = time.perf_counter()
    # The same devices, rounds and seed: the updates' size is all that differs.
    runs = {"whole updates": _run(()), "two bits a weight": _run((Compressed(Eden(bits=2)),))}
    seconds = time.perf_counter() - started
    console.print(
        f"devices: {_DEVICES} devices learned in {_ROUNDS} rounds, twice, {seconds:.1f} s",
        highlight=False,
    )
    rows = []
    for name, run in runs.items():
        accuracy = run[-1]["test_accuracy"]
        rows.append((name, f"{accuracy:.1%}", f"{_sent(run) / 1e3:,.0f} KB"))
    about = (
        f"{_DEVICES} devices, each with digits of two or so kinds; in each of {_ROUNDS} rounds "
        f"{_COHORT} of them learn, and send how their weights changed, not the digits."
    )
    table = html_table(_HEAD, rows, numbers={1, 2})
    return html_section("Learning across devices", about, table, html_figure(_losses(runs)))


def _losses(runs: Mapping[str, Rows]) -> Figure:
    curves = {name: _loss_curve(run) for name, run in runs.items()}
    title = "Loss on the test digits"
    across = AxisWords("round", "{:.0f}".format)

    def draw(width: int) -> Markup:
        return draw_curves(curves, title, width=width, height=260, across=across)

    return Figure(f"{title}.", in_two_widths(draw, _WIDTH), tuple(curves))


def _loss_curve(run: Rows) -> list[tuple[float, float]]:
    """Return (round, loss) of the rounds after which the model was evaluated."""
    return [(row["round"], row["test_loss"]) for row in run if "test_loss" in row]


def _run(stages: "tuple[Stage, ...]") -> Rows:
    from handheld.federated.algorithms import FedAvg
    from handheld.federated.learning import ClientWork
    from handheld.federated.learning.modules import ModuleLearner
    from handheld.federated.simulator import Plan, simulate
    from handheld.networks.zoo.federated import make

    network = make("two_layers", (64,), 10, seed=0)
    users, test = digit_users(_DEVICES)
    plan = Plan(
        rounds=_ROUNDS,
        cohort=_COHORT,
        algorithm=FedAvg(),
        # Those of McMahan et al. (arXiv 1602.05629).
        work=ClientWork(epochs=5, batch=10),
        stages=stages,
    )
    return simulate(plan, ModuleLearner(network, users, test)).rows


def digit_users(devices: int) -> "tuple[Users, Examples]":
    """Return handwritten digits, a few kinds of them to each device, and some to test on."""
    from handheld.federated.learning import Examples, Users

    data = digits()
    train = Examples(_flat(data.train.inputs), data.train.labels)
    test = Examples(_flat(data.test.inputs), data.test.labels)
    return Users(train, by_shards(data.train.labels, devices, seed=0)), test


def _flat(pictures: object) -> np.ndarray:
    array = np.asarray(pictures, np.float32)
    return array.reshape(len(array), -1) / 255


def _sent(run: Rows) -> float:
    return sum(row["bytes_up"] for row in run)
