from itertools import combinations

from handheld.reports.charts.labels import Box, place_labels, shorten


def test_names_do_not_cover_each_other_or_a_point() -> None:
    near = [(100.0 + 9 * i, 100.0 - 14 * (i % 3)) for i in range(6)]
    labels = place_labels(near, [f"member_{i}" for i in range(6)], Box(0, 0, 300, 200))
    assert all(one.box.overlap(other.box) == 0 for one, other in combinations(labels, 2))
    assert all(
        label.box.overlap(Box(x - 5, y - 5, x + 5, y + 5)) == 0 for label in labels for x, y in near
    )
    assert all(label.box.left >= 0 and label.box.right <= 300 for label in labels)


def test_shorten() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abc efgh", 5) == "abc…"
