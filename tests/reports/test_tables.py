from markupsafe import Markup

from handheld.reports import Figure, html_figure, html_section, html_table, markdown_table


def test_cells_are_escaped_unless_they_are_markup() -> None:
    table = str(html_table(["<a>", "n"], [["<b>", 12], [Markup("<br>"), 3]], numbers={1}))
    assert "&lt;a&gt;" in table
    assert "<td>&lt;b&gt;</td>" in table
    assert "<td><br></td>" in table
    assert table.count('class="number"') == 3


def test_texts_of_a_section_are_paragraphs() -> None:
    section = str(html_section("A & b", "1 < 2", Markup("<hr>")))
    assert "<h2>A &amp; b</h2>" in section
    assert "<p>1 &lt; 2</p>" in section
    assert "<hr>" in section


def test_several_curves_have_a_legend_and_one_has_none() -> None:
    drawn = Markup("<svg></svg>")
    assert "legend" not in html_figure(Figure("alone", drawn, ("one",)))
    figure = str(html_figure(Figure("both", drawn, ("one", "<two>"))))
    assert figure.count("<li>") == 2
    assert "&lt;two&gt;" in figure
    assert "<figcaption>both</figcaption>" in figure


def test_markdown_escapes_what_it_would_take_for_its_own() -> None:
    assert markdown_table(["a"], [["x|y <b>"]]).splitlines()[2] == r"| x\|y \<b\> |"
