"""The site of ``make docs``: what its hooks make of docstrings and links. The build itself checks
every link of the whole.
"""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from handheld._rooms import ROOMS

ROOT = Path(__file__).parent.parent

pytest.importorskip("mkdocs")
pytest.importorskip("griffe")
sys.path.insert(0, str(ROOT / "docs" / "_site"))
links, pages, public, reference, roles = map(
    import_module, ("links", "pages", "public", "reference", "roles")
)
ANCHORS = {"Graph": "handheld.graph.Graph", "handheld.data.load": "handheld.data.load.load"}


@pytest.fixture(scope="module")
def offered():
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    return public.Public(public.load(str(ROOT / "src")), texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see :class:`Graph`", "see [`Graph`][handheld.graph.Graph]"),
        (":func:`~handheld.data.load`", "[`load()`][handheld.data.load.load]"),
        (":class:`torch.nn.Module`", "`torch.nn.Module`"),
        (":meth:`close`", "`close()`"),
        ("As in::\n\n    a = 1", "As in:\n\n    a = 1"),
        ("::\n\n    a = 1", "\n\n    a = 1"),
        ("a::b", "a::b"),
        ("Text.\n\n>>> 1 + 1\n2\n\nMore.", "Text.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nMore."),
        (
            "Args:\n    valid, test: a share\n        of 1.\n    seed: of it.",
            "Args:\n    valid: a share\n        of 1.\n    test: a share\n        of 1.\n    "
            "seed: of it.",
        ),
    ],
)
def test_docstrings_become_markdown(text, expected):
    assert roles.as_markdown(text, ANCHORS.get) == expected


def test_the_index_lists_every_public_name(offered):
    (index,) = (text for path, text in reference.pages(offered) if path == reference.INDEX)
    for room in ROOMS:
        names = getattr(import_module(f"handheld.{room.name}"), "__all__", [])
        missing = [name for name in names if f"[`{name}`][" not in index]
        assert missing == [], f"the reference lacks names of handheld.{room.name}"


def test_every_module_that_lists_names_has_a_page(offered):
    described = {module.path for module in offered.modules}
    assert {f"handheld.{room.name}" for room in ROOMS} <= described
    assert {
        "handheld.federated.algorithms",
        "handheld.data.users",
        "handheld.service.jobs",
    } <= described
    assert "handheld.engine.measure" in described  # as docs/run-a-model.md names it
    assert not [path for path in described if "._" in path]


def test_a_name_is_described_where_it_is_defined(offered):
    # compress offers it too.
    assert offered.anchors["handheld.compress.Schedule"] == "handheld.training.Schedule"
    # Of a private module: where it is offered.
    assert offered.anchors["handheld.data.load"] == "handheld.data.load"
    assert offered.anchors["handheld.graph.graph.Graph.close"] == "handheld.graph.Graph.close"


@pytest.mark.parametrize(
    ("source", "link", "place"),
    [
        ("README.md", "docs/data.md", "data.md"),
        ("docs/data.md", "../README.md", "index.md"),
        ("docs/data.md", "../benchmarks/results/updates.md", "benchmarks/results/updates.md"),
        ("docs/data.md", "../examples/federated/own.py", "examples/federated/own.py.md"),
        ("docs/data.md", "images/hands.webp", "images/hands.webp"),
    ],
)
def test_links_lead_to_the_pages_of_files(source, link, place):
    assert pages.place_of(pages.target_of(source, link)) == place


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#there">', None),
        ('<a href="https://example.org/">', None),
        ('<h2 id="here"></h2><a href="#here">', None),
        ('<a href="other.html#gone">', "index.html: other.html#gone leads nowhere"),
        ('<a href="gone.html">', "index.html: gone.html leads nowhere"),
        ('<img src="gone.svg">', "index.html: gone.svg leads nowhere"),
        ('<a href="#gone">', "index.html: #gone leads nowhere"),
        (
            '<script src="https://example.org/a.js">',
            "index.html: loads https://example.org/a.js from elsewhere",
        ),
        (
            '<link rel="stylesheet" href="//example.org/a.css">',
            "index.html: loads //example.org/a.css from elsewhere",
        ),
    ],
)
def test_links_are_checked(tmp_path, body, fault):
    (tmp_path / "index.html").write_text(body)
    (tmp_path / "other.html").write_text('<h1 id="there"></h1>')
    assert [*links.faults_of(tmp_path)] == ([fault] if fault else [])
