from handheld.reports.charts.limits import arrange


def test_texts_of_limits_are_in_rows_of_their_own() -> None:
    rows = [
        ceiling.row
        for ceiling in arrange([(100, "1 kB", True), (110, "2 kB", True), (300, "3 kB", False)])
    ]
    assert rows == [0, 1, 0]
