"""A tracked stream as a page for people."""

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from handheld.graph import GraphConfig, to_svg
from handheld.hands.recording import Recording


@dataclass(frozen=True)
class Bar:
    """One frame in the picture of latencies, in units of the picture."""

    x: float
    y: float
    height: float
    detected: bool
    title: str


def report_section(
    recording: Recording, *, clip: str, picture: str, pack: str, graph: GraphConfig, links: dict[str, str]
) -> Markup:
    """Return an HTML section: the annotated clip, numbers, latency for each frame, what each hand did, the graph.

    Args:
        recording: what was tracked.
        clip: name of what was tracked.
        picture: path of the annotated animation, relative to the page.
        pack: name of the model pack.
        graph: the graph that ran.
        links: text -> relative path of further files.
    """
    environment = Environment(
        loader=PackageLoader("handheld.hands"), autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    values = {
        "clip": clip,
        "picture": picture,
        "pack": pack,
        "links": links,
        "recording": recording,
        "bars": _bars(recording),
        "hands": _hands(recording),
        "graph": Markup(to_svg(graph)),
    }
    return Markup(environment.get_template("section.html").render(values))


def _bars(recording: Recording, *, width: float = 960.0, height: float = 160.0) -> list[Bar]:
    highest = max(recording.latency_ms, default=1.0)
    step, detected = width / max(1, recording.frames), set(recording.detector_frames)
    bars = []
    for index, latency in enumerate(recording.latency_ms):
        tall = height * latency / highest
        why = ", palm detector ran" if index in detected else ""
        bars.append(Bar(index * step, height - tall, tall, index in detected, f"frame {index}: {latency:.1f} ms{why}"))
    return bars


def _hands(recording: Recording) -> list[dict[str, Any]]:
    """Return a row for each id: in how many frames, which hand, which gestures, most frequent first."""
    rows: dict[int, dict[str, Any]] = {}
    for found in recording.hands:
        for hand in found:
            row = rows.setdefault(hand.id, {"id": hand.id, "frames": 0, "handedness": {}, "gestures": {}})
            row["frames"] += 1
            for key, value in (("handedness", hand.handedness), ("gestures", hand.gesture)):
                if value is not None:
                    row[key][value] = row[key].get(value, 0) + 1
    for row in rows.values():
        for key in ("handedness", "gestures"):
            row[key] = sorted(row[key].items(), key=lambda item: -item[1])
    return sorted(rows.values(), key=lambda row: -int(row["frames"]))
