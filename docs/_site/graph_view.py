"""Makes the picture of docs/debug-a-graph.md: ``python docs/_site/graph_view.py``.

Needs the extras ``hands`` and ``dev``, and chromium.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from handheld.graph import Graph
from handheld.graph.trace import MemoryTracer
from handheld.hands import HandTracker
from handheld.media import Frame, read_image, write_image

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "images" / "graph-view.webp"
FRAMES = 40
WIDTH = 1280
HEIGHT = 1150

sys.path.insert(0, str(ROOT / "tests"))


def trace_of_hands() -> MemoryTracer:
    """Return a trace of the hand graph on a picture in which it looks for hands."""
    tracer = MemoryTracer()
    tracker = HandTracker()
    image = np.full((480, 640, 3), 90, np.uint8)
    image[160:320, 240:400] = (220, 170, 140)
    with Graph(tracker.config, side=tracker._side, trace=tracer, threads=2) as graph:
        reader = graph.output("hands")
        for number in range(FRAMES):
            graph.add("frame", Frame(image, number * 33_333, number), number * 33_333)
            next(reader)
    return tracer


def main() -> None:
    """Make a trace, show it in a browser, keep what is seen."""
    from browsers import chromium

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder) / "hands.html"
        trace_of_hands().trace().write_page(path)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(path.as_uri())
        page.get_by_role("button", name="Nodes", exact=True).click()
        page.locator("#timeline").focus()
        for _ in range(6):
            page.keyboard.press("+")
        for _ in range(2):
            page.get_by_role("button", name="Next call").click()
        page.wait_for_timeout(300)
        shot = Path(folder) / "shot.png"
        page.screenshot(path=shot)
        write_image(OUT, read_image(shot))


if __name__ == "__main__":
    main()
