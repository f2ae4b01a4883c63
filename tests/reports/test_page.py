import re
from pathlib import Path

import handheld
from handheld.reports import write_page
from handheld.reports.charts.heat import contrast

TEMPLATES = Path(handheld.__file__).parent / "reports" / "templates"


def test_the_page_names_all_colours_that_charts_have() -> None:
    """A line of a colour that a page does not define is not drawn."""
    used = set(re.findall(r"var\((--\w+)\)", (TEMPLATES / "picture.css").read_text("utf-8")))
    assert "--c0" in used
    text = (TEMPLATES / "style.css").read_text("utf-8")
    assert {name: len(re.findall(rf"{name}:", text)) for name in used} == dict.fromkeys(
        used, 2
    )  # light, and dark


def test_words_can_be_read_in_both_themes() -> None:
    style = (TEMPLATES / "style.css").read_text()
    for block in style.split("}")[0:2]:
        colours = {
            name: rgb(value) for name, value in re.findall(r"--([a-z0-9]+): #([0-9a-f]+)", block)
        }
        for name in ("ink", "dim", "blue", "red", "green"):
            assert (
                min(contrast(colours[name], colours[back]) for back in ("panel", "back")) >= 4.5
            ), name
        for name in ("orange", *(f"c{number}" for number in range(6))):
            assert contrast(colours[name], colours["panel"]) >= 3, name


def rgb(digits: str) -> tuple[int, ...]:
    wide = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    return tuple(bytes.fromhex(wide))


def test_a_page_is_alone_and_hides_no_letters(tmp_path: Path) -> None:
    page = write_page(
        tmp_path / "a.html", "handheld.reports", "page.html", {"title": "a\0 <b>"}
    ).read_text("utf-8")
    assert "<title>a\ufffd &lt;b&gt;</title>" in page
    assert "default-src 'none'" in page
    assert f"handheld {handheld.__version__}" in page
