import pytest

from handheld.reports import heat_cells, worst_pairs
from handheld.reports.charts import heat


def test_cells_by_hand() -> None:
    cells = heat_cells(((90, 10, 0), (0, 100, 0), (5, 0, 95)))
    assert [(cell.count, cell.kind, cell.level) for cell in cells[0]] == [
        (90, "right", 9),
        (10, "wrong", 10),
        (0, "wrong", 0),
    ]
    assert cells[2][0].level == 5


def test_worst_pairs_by_hand() -> None:
    pairs = worst_pairs(((5, 3, 2), (0, 9, 1), (0, 4, 0)), ("a", "b", "c"))
    assert [(pair.true, pair.answered, pair.count, pair.share) for pair in pairs] == [
        ("c", "b", 4, 1.0),
        ("a", "b", 3, 0.3),
        ("a", "c", 2, 0.2),
        ("b", "c", 1, 0.1),
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_stands_in_cells_can_be_read(theme: str) -> None:
    assert all(heat.contrast(back, text) >= 4.5 for back, text in heat.colours(theme).values())
