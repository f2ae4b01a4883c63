"""What the operator is shown: tasks, rounds, models and devices, as values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from handheld.federated.server.host import FederationHost
from handheld.federated.server.ledger import Commit, TaskRow, figure_names
from handheld.federated.server.round_store import GroupRow, RoundRow
from handheld.reports import AxisWords, Curve, count_text, draw_curves, in_two_widths, size_text

PHASES = ("keys", "shares", "values", "agreement", "unmasking")
"""Of secure aggregation, as the operator reads them."""

_WIDTH = 560
_HEIGHT = 220
_MODEL = AxisWords("model", count_text)


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """A round as a line of a table.

    Args:
        row: of the round.
        progress: in words, while it is under way.
        seconds: from the first device that could come to the end; None: it is under way.
        dropped: devices that were selected and are not in it.
    """

    row: RoundRow
    progress: str
    seconds: float | None
    dropped: int


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task as the operator sees it."""

    row: TaskRow
    purpose: str
    head: Commit
    under_way: RoundView | None


def task_views(host: FederationHost) -> list[TaskView]:
    """Return all tasks of the configuration. Asks the database."""
    views = []
    for row in host.ledger.tasks():
        task = host.tasks.get(row.name)
        if task is None:
            continue
        open_round = host.watcher.snapshot.rounds.get(row.open_round or "")
        under_way = None
        if open_round is not None:
            under_way = round_view(host, open_round)
        views.append(
            TaskView(
                row=row,
                purpose=task.served.purpose,
                head=host.ledger.head(row.name),
                under_way=under_way,
            )
        )
    return views


def round_view(host: FederationHost, row: RoundRow) -> RoundView:
    """Return a round as a line of a table."""
    seconds = None
    if row.finished is not None:
        seconds = row.finished - row.created
    dropped = 0
    if row.configured is not None and row.finished is not None:
        dropped = row.selected - row.clients
    return RoundView(row=row, progress=progress(host, row), seconds=seconds, dropped=dropped)


def progress(host: FederationHost, row: RoundRow) -> str:
    """Say how far a round is that is under way."""
    if row.state == "selecting":
        return f"selecting: {row.selected} of {row.most} devices"
    if row.state != "running":
        return row.state
    groups = _groups(host, row)
    open_groups = [group for group in groups if group.state == "open"]
    if not open_groups:
        return "closing"
    phases = Counter(_phase_name(group) for group in open_groups)
    return ", ".join(f"{name} ({count} of {len(groups)} groups)" for name, count in phases.items())


def device_states(host: FederationHost) -> list[tuple[str, int]]:
    """Return how many devices are in which state. Asks the database."""
    counts = host.enrolment.counts()
    states = [
        ("enrolled", counts.enrolled),
        ("active in the last hour", counts.active),
        ("revoked", counts.revoked),
        ("told to come back", host.steering.population()),
    ]
    selected = 0
    by_phase: Counter[str] = Counter()
    for row in host.watcher.snapshot.rounds.values():
        if row.state == "selecting":
            selected += row.selected
        for group in _groups(host, row):
            if group.state == "open":
                by_phase[f"in a round: {_phase_name(group)}"] += group.members
    return [*states, ("selected, waiting", selected), *sorted(by_phase.items())]


@dataclass(frozen=True)
class TaskChart:
    """A chart of a task.

    Args:
        title: of the chart.
        names: of its curves, where there are several.
        picture: as SVG.
    """

    title: str
    names: Sequence[str]
    picture: Markup


def charts(history: Sequence[Commit], rounds: Sequence[RoundRow]) -> list[TaskChart]:
    """Return charts of a task.

    Args:
        history: commits, the newest first.
        rounds: that have ended or are under way.
    """
    drawn = [_figure_chart(history, name) for name in figure_names(history)]
    ended = [row for row in rounds[::-1] if row.state == "committed"]
    devices = {
        "counted": [(row.base + 1, row.clients) for row in ended],
        "dropped out": [(row.base + 1, row.selected - row.clients) for row in ended],
    }
    picture = _chart(devices, "devices", "devices of each round")
    drawn.append(TaskChart("devices", tuple(devices), picture))
    sizes = {
        "up": [(row.base + 1, row.bytes_up) for row in ended],
        "down": [(row.base + 1, row.bytes_down) for row in ended],
    }
    picture = _chart(sizes, "bytes", "bytes of each round")
    drawn.append(TaskChart("bytes", tuple(sizes), picture))
    return [chart for chart in drawn if chart.picture]


def _figure_chart(history: Sequence[Commit], name: str) -> TaskChart:
    having = [commit for commit in history[::-1] if name in commit.figures]
    curve = [(commit.number, commit.figures[name]) for commit in having]
    return TaskChart(name, (), _chart({name: curve}, name, f"{name} by model"))


def as_json(host: FederationHost, views: Iterable[TaskView]) -> dict[str, Any]:
    """Return tasks and devices for programs."""
    return {
        "tasks": [_task_values(view) for view in views],
        "devices": dict(device_states(host)),
        "check_ins_a_second": host.steering.pace.rate_seen,
        "processes": host.steering.processes,
    }


def _task_values(view: TaskView) -> dict[str, Any]:
    values = asdict(view.row) | {"purpose": view.purpose, "figures": dict(view.head.figures)}
    values["progress"] = None
    if view.under_way is not None:
        values["progress"] = view.under_way.progress
    return values


def _chart(curves: Mapping[str, Curve], name: str, title: str) -> Markup:
    write = size_text if name == "bytes" else _number

    def draw(width: int) -> Markup:
        return draw_curves(
            curves, title, width=width, height=_HEIGHT, across=_MODEL, up=AxisWords(name, write)
        )

    if not any(curves.values()):
        return Markup("")
    return in_two_widths(draw, _WIDTH)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _groups(host: FederationHost, row: RoundRow) -> list[GroupRow]:
    groups = host.watcher.snapshot.groups
    return [groups[key] for key in sorted(groups) if key[0] == row.id]


def _phase_name(group: GroupRow) -> str:
    if not group.terms:
        return "reporting"
    # Keys come with the report: before, devices work.
    return PHASES[min(group.phase, len(PHASES) - 1)]
