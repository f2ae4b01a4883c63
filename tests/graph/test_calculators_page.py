"""docs/graph-calculators.md lists all calculators of the room, with their names and ports."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from handheld import graph
from handheld.graph import Calculator, FunctionCalculator, switch_container
from handheld.graph.text import LIBRARY

PAGE = (Path(__file__).parents[2] / "docs" / "graph-calculators.md").read_text("utf-8")

# What one cannot be made without.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ConstantSidePacket": {"packets": [1]},
    "PacketResampler": {"frame_rate": 30.0},
    "RealTimeThrottle": {"max_rate": 30.0},
    "SidePacketToStream": {"at": "zero"},
    "SplitVector": {"ranges": [(0, 1)]},
    "SwitchDemux": {"channels": 2, "inputs": ["in"]},
    "SwitchMux": {"channels": 2, "outputs": ["out"]},
}


def calculators() -> dict[str, type[Calculator]]:
    """Return the classes of calculators that the room offers."""
    offered = {name: getattr(graph, name) for name in graph.__all__}
    return {
        name: value
        for name, value in offered.items()
        if inspect.isclass(value)
        and issubclass(value, Calculator)
        and value not in (Calculator, FunctionCalculator)
    }


def rows() -> dict[str, list[str]]:
    """Return name -> the other cells of its row."""
    found: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[name.strip("`")] = cells
    return found


def ports_of(calculator: Calculator) -> str:
    """Return the ports as the page has them: ``?`` for those that may stay open."""
    contract = calculator.contract

    def listed(ports: Any) -> str:
        marked = [f"`{port}`{'?' if port in contract.optional else ''}" for port in ports]
        return ", ".join(marked)

    parts: list[str] = []
    if contract.inputs or contract.outputs:
        parts.append(f"{listed(contract.inputs)} → {listed(contract.outputs)}")
    if contract.side_inputs or contract.side_outputs:
        parts.append(f"side {listed(contract.side_inputs)} → {listed(contract.side_outputs)}")
    return re.sub(" +", " ", "; ".join(parts)).strip()


def test_the_block_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    script = PAGE.split("```python\n")[1].partition("```")[0]
    exec(compile(script, "graph-calculators.md", "exec"), {"__name__": "__main__"})
    said = [line.removeprefix("# ") for line in script.splitlines() if line.startswith("# ")]
    assert capsys.readouterr().out.splitlines() == said


def test_every_calculator_has_a_row() -> None:
    assert set(rows()) == {*calculators(), switch_container.__name__}


@pytest.mark.parametrize("name", sorted(calculators()))
def test_the_ports_of_a_row(name: str) -> None:
    made = calculators()[name](**ARGUMENTS.get(name, {}))
    _, ports, line = rows()[name]
    assert ports == ports_of(made)
    assert line.endswith(".")


def test_mediapipe_s_names_are_those_of_the_registry() -> None:
    listed: list[str] = []
    for names, *_ in rows().values():
        listed += re.findall(r"`([^`]+)`", names)
    registered = [name for name in LIBRARY if name not in calculators()]
    assert sorted(listed) == sorted(registered)
