"""A tracked stream as a page for people."""

from collections import Counter, defaultdict
from itertools import chain

from markupsafe import Markup

from handheld.graph import GraphConfig, to_svg
from handheld.hands.recording import Recording
from handheld.reports import AxisWords, ChartBar, Figure, draw_bars, in_two_widths, render

# Pixels: the width of a page, and enough height to tell a slow frame from the others.
_WIDTH = 1060
_HEIGHT = 130
_LATENCY = AxisWords("ms", "{:.1f}".format)
_LATENCY_CAPTION = (
    "Frames on which the palm detector ran stand out. A pointer over a bar tells its number."
)


def report_section(
    recording: Recording,
    *,
    clip: str,
    picture: str,
    pack: str,
    graph: GraphConfig,
    links: dict[str, str],
) -> Markup:
    """Return an HTML section of a tracked stream.

    It shows the annotated clip, numbers, the latency of each frame, what each hand did, and the
    graph.

    Args:
        recording: what was tracked.
        clip: name of what was tracked.
        picture: path of the annotated animation, relative to the page.
        pack: name of the model pack.
        graph: the graph that ran.
        links: text -> relative path of further files.
    """
    # A chart of its own for phones, which a wide one would be too small on.
    drawn = in_two_widths(lambda width: latencies(recording, width), _WIDTH)
    values = {
        "clip": clip,
        "picture": picture,
        "pack": pack,
        "links": links,
        "recording": recording,
        "latencies": Figure(_LATENCY_CAPTION, drawn),
        "hands": _hands(recording),
        "graph": Markup(to_svg(graph)),
    }
    return render("handheld.hands", "section.html", values)


def latencies(recording: Recording, width: int) -> Markup:
    """Draw how long each frame took; those on which the palm detector ran stand out."""
    # A set: a recording may be hours long.
    detected = set(recording.detector_frames)
    bars: list[ChartBar] = []
    for index, latency in enumerate(recording.latency_ms):
        reason = ", palm detector ran" if index in detected else ""
        title = f"frame {index}: {latency:.1f} ms{reason}"
        bars.append(ChartBar(latency, title, index in detected))
    return draw_bars(bars, "Latency of each frame", width=width, height=_HEIGHT, up=_LATENCY)


def _hands(recording: Recording) -> list[list[str]]:
    """Return a row for each id, most frequent first: in how many frames, which hand, gestures."""
    frames: Counter[int] = Counter()
    sides: defaultdict[int, Counter[str]] = defaultdict(Counter)
    gestures: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for hand in chain.from_iterable(recording.hands):
        frames[hand.id] += 1
        # Without landmarks, and where no row of the table fits, they are None.
        if hand.handedness:
            sides[hand.id][hand.handedness] += 1
        if hand.gesture:
            gestures[hand.id][hand.gesture] += 1
    rows: list[list[str]] = []
    for id_, count in frames.most_common():
        rows.append([str(id_), str(count), _counted(sides[id_]), _counted(gestures[id_])])
    return rows


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in names.most_common())
