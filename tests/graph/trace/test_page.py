"""The page of a trace, in a real browser."""

import json
import re
from pathlib import Path

import pytest
from graph_parts import Call

from browsers import chromium, shoot
from handheld.graph import BackEdge, Context, FlowLimiter, Graph, GraphConfig, Node
from handheld.graph.trace import MemoryTracer, Trace
from handheld.graph.trace.reader import trace_of_lines

LANE = 45  # pixels from the top of the time line into the first lane


class Clock:
    """Seconds that pass only when a calculator says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def traced(first: str = "first", second: str = "second") -> Trace:
    """Trace a graph for 10 seconds: twice a node of 3 seconds, then one of 2."""
    clock = Clock()

    def work(seconds: float) -> Call:
        def run(context: Context) -> None:
            clock.now += seconds
            context.send("out", context.get("in"))

        return Call(run)

    nodes = [
        Node(FlowLimiter(), inputs=["in", BackEdge("b")], outputs=["some", "allow"], name="few"),
        Node(work(3.0), inputs="some", outputs="a", name=first),
        Node(work(2.0), inputs="a", outputs="b", name=second),
    ]
    tracer = MemoryTracer()
    config = GraphConfig(inputs={"in": int}, nodes=nodes, name=f"{first} and more")
    with Graph(config, trace=tracer, clock=clock) as graph:
        graph.add("in", 1, 40)
        graph.add("in", 2, 80)
    return tracer.trace()


def large(calls: int) -> Trace:
    """Make a trace of many calls of two nodes in turn, on two threads."""
    shape = {
        "name": "large",
        "inputs": [],
        "nodes": [
            {"name": "even", "inputs": [], "outputs": ["s"]},
            {
                "name": "odd",
                "inputs": [{"port": "in", "stream": "s", "back": False, "peak": 3}],
                "outputs": [],
            },
        ],
    }
    events: list[dict[str, object]] = [
        {"ph": "M", "pid": 1, "name": "handheld_graph", "args": {"graph": shape, "lost": 2}}
    ]
    for number in range(calls):
        track = 1 + number % 2
        common = {"pid": 1, "tid": track}
        if number % 2:
            arrow = {"id": number, "name": "s", "cat": "packet", "pid": 1}
            events.append({"ph": "s", **arrow, "tid": 1, "ts": 10.0 * (number - 1) + 7})
            events.append({"ph": "f", **arrow, "tid": 2, "ts": 10.0 * number})
        args = {"t": number, "queued": 1.0}
        call = {"ts": 10.0 * number, "dur": 8.0, "cat": "process", "args": args}
        events.append({"ph": "X", **common, "name": ("even", "odd")[number % 2], **call})
    return trace_of_lines([json.dumps(event) for event in events])


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path: Path):
    """Return what opens a trace's page; the page must have no errors and ask for nothing."""
    contexts = []
    problems: list[str] = []

    def open_page(trace: Trace, width: int = 1280):
        path = tmp_path / "page.html"
        trace.write_page(path)
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        page.on("request", lambda r: r.url.startswith("http") and problems.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def at(page, seconds: float) -> dict[str, float]:
    """Return where a moment of the ten seconds is in the first lane."""
    width = page.locator("#timeline").bounding_box()["width"]
    return {"x": seconds / 10 * width, "y": LANE}


def range_of(page):
    """Return what is expected of the times that are shown, which change with the next picture."""
    api = pytest.importorskip("playwright.sync_api")
    return api.expect(page.locator("#range"))


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_sums_up(opened, width: int) -> None:
    page = opened(traced(), width)
    shoot(page, f"trace-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#summary").inner_text() == (
        "3 nodes, 16 calls, 10.000 s, 0 dropped packets"
    )
    assert page.locator("#lost").is_hidden()
    assert page.title() == "Trace of first and more"


def test_hovering_tells_what_ran(opened) -> None:
    page = opened(traced())
    page.locator("#timeline").hover(position=at(page, 4.0))
    assert page.locator("#tip").inner_text().split("\n") == [
        "second",
        "timestamp 40",
        "took 2.000 s",
        "queued 0.000 µs",
    ]
    page.locator("#timeline").hover(position=at(page, 9.0))
    assert "timestamp 80" in page.locator("#tip").inner_text()


def test_a_call_leads_to_where_its_packets_came_from_and_went(opened) -> None:
    page = opened(traced())
    page.locator("#timeline").click(position=at(page, 1.0))
    assert page.locator("#details h3").inner_text() == "first, process"
    page.get_by_role("button", name="→ a to second").click()
    assert page.locator("#details h3").inner_text() == "second, process"
    assert "began\n3.000 s" in page.locator("#details").inner_text()
    page.get_by_role("button", name="← a from first").click()
    page.get_by_role("button", name="← some from few").click()
    assert page.locator("#details h3").inner_text() == "few, process"


def test_all_can_be_done_by_keyboard(opened) -> None:
    page = opened(traced())
    whole = page.locator("#range").inner_text()
    assert whole == "0.000 µs to 10.000 s"
    page.locator("#timeline").focus()
    page.keyboard.press("+")
    range_of(page).to_have_text(re.compile("^1.875 s"))
    page.keyboard.press("ArrowLeft")
    range_of(page).to_have_text(re.compile("^1.094 s"))
    page.keyboard.press("0")
    range_of(page).to_have_text(whole)
    page.get_by_role("button", name="Longest").press("Enter")
    assert page.locator("#details h3").inner_text() == "first, process"
    page.locator("#timeline").focus()
    page.keyboard.press("d")
    assert page.locator("#details h3").inner_text() == "second, process"
    page.keyboard.press("u")
    page.keyboard.press("n")
    assert page.locator("#details h3").inner_text() == "second, process"
    page.keyboard.press("p")
    assert page.locator("#details h3").inner_text() == "first, process"
    page.keyboard.press("Escape")
    assert page.locator("#details h3").count() == 0
    page.get_by_role("button", name="Calls of second alone").press("Enter")
    page.locator("#timeline").focus()
    page.keyboard.press("n")
    assert page.locator("#details h3").inner_text() == "second, open"


def test_the_wheel_zooms_with_control_and_dragging_moves(opened) -> None:
    page = opened(traced())
    line = page.locator("#timeline")
    line.hover(position=at(page, 0.1))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -800)
    page.keyboard.up("Control")
    range_of(page).not_to_have_text(re.compile("10.000 s$"))
    before = page.locator("#range").inner_text()
    box = line.bounding_box()
    page.mouse.move(box["x"] + 600, box["y"] + LANE)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + LANE)
    page.mouse.up()
    range_of(page).not_to_have_text(before)


def test_lanes_are_threads_nodes_or_queues(opened) -> None:
    page = opened(traced())
    low = page.locator("#timeline").bounding_box()["height"]
    page.get_by_role("button", name="Nodes", exact=True).click()
    assert page.locator("#timeline").bounding_box()["height"] > 2 * low
    page.get_by_role("button", name="Queues").click()
    assert page.get_by_role("button", name="Queues").get_attribute("aria-pressed") == "true"
    page.locator("#timeline").hover(position={"x": 5, "y": LANE})
    assert page.locator("#tip").inner_text().startswith("queue ")


def test_the_graph_has_the_figures_on_its_nodes(opened) -> None:
    page = opened(traced())
    texts = page.locator("#graph text").all_text_contents()
    assert {"in", "few", "first", "second", "3 calls, 2 s", "some", "b"} <= set(texts)
    rows = page.locator("#nodes tbody tr").all_inner_texts()
    assert rows[0].split("\t")[:4] == ["first", "3", "2.000 s", "60.0 %"]


HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>\"'&\u2028"
)


def test_names_are_names_and_never_markup(opened) -> None:
    page = opened(traced(HOSTILE, "@@data@@"))
    page.get_by_role("button", name="Longest").click()
    assert page.locator("#details h3").inner_text().startswith("</script><script>window.hacked")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert "@@data@@" in page.locator("#nodes").inner_text()


def test_a_hundred_thousand_calls_can_be_looked_at(opened) -> None:
    page = opened(large(100_000), 390)
    assert "100,000 calls" in page.locator("#summary").inner_text()
    assert page.locator("#lost").inner_text().startswith("2 calls came faster")
    page.locator("#timeline").focus()
    for _ in range(12):
        page.keyboard.press("+")
    page.keyboard.press("n")
    page.keyboard.press("d")
    assert page.locator("#details h3").inner_text() == "odd, process"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hundreds_of_lanes_fit_a_canvas(opened) -> None:
    tracer = MemoryTracer()
    nodes = []
    for number in range(600):
        call = Call(lambda context: None)
        nodes.append(Node(call, inputs="in", name=f"node {number}"))
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
        graph.add("in", 1, 0)
    page = opened(tracer.trace())
    page.get_by_role("button", name="Nodes", exact=True).click()
    assert page.locator("#timeline").bounding_box()["height"] < 9000
