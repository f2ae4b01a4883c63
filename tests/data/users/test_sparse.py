import gzip

import numpy as np
import pytest

from handheld.data.users.sparse import clicks, read_libsvm
from handheld.errors import InputError

LINES = "# a comment\n+1 3:1 7:0.5 # more\n-1 1:2\n\n-1\n"


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read(tmp_path, packed):
    path = tmp_path / "examples"
    path.write_bytes(gzip.compress(LINES.encode()) if packed else LINES.encode())
    found, skipped = read_libsvm(path)
    assert (found.labels.tolist(), found.features, skipped) == ([1, -1, -1], 7, [])
    assert (found.offsets.tolist(), found.columns.tolist(), found.values.tolist()) == (
        [0, 2, 3, 3],
        [2, 6, 0],
        [1, 0.5, 2],
    )
    assert read_libsvm(path, features=20)[0].features == 20


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 3", "feature:value"),
        ("1 0:1", "from 1 on"),
        ("1 4:1 4:2", "larger than the one before"),
        ("1 9:1", "at most 8"),
        ("1 2:nan", "finite"),
        ("one 2:1", "could not convert"),
        ("1 x:1", "invalid literal"),
    ],
)
def test_lines_that_cannot_be_read_are_left_out_and_named(tmp_path, line, why):
    (tmp_path / "x").write_text(f"1 1:1\n{line}\n-1 2:1\n")
    found, skipped = read_libsvm(tmp_path / "x", features=8)
    assert len(found) == 2
    assert [one.name for one in skipped] == [f"{tmp_path / 'x'}:2"]
    assert why in skipped[0].reason


@pytest.mark.parametrize(
    "content",
    [b"", b"1 1:1\n1 2:1\n", b"1 1:1\n2 1:1\n3 1:1\n", b"\x1f\x8b nothing", b"\xff 1:1\n"],
)
def test_files_that_cannot_be_used_are_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"two labels|cannot be read"):
        read_libsvm(tmp_path / "x")
    with pytest.raises(InputError, match="cannot be read"):
        read_libsvm(tmp_path / "none")


def test_some_of_the_examples_in_any_order():
    whole, _, _ = clicks(20, features=100, seed=0)
    rows = np.array([5, 0, 5, len(whole) - 1])
    some = whole.subset(rows)
    for place, row in enumerate(rows):
        mine, theirs = (
            slice(*data.offsets[at : at + 2]) for data, at in ((some, place), (whole, row))
        )
        assert (some.columns[mine] == whole.columns[theirs]).all()
    assert (some.labels == whole.labels[rows]).all()
    assert len(whole.subset(np.empty(0, np.int64))) == 0


def test_clicks_follow_the_model_and_features_and_users_fall_by_power_laws():
    data, owners, weights = clicks(400, features=50_000, seed=3)
    odds = np.add.reduceat(weights[data.columns], data.offsets[:-1])
    said = 1 / (1 + np.exp(-odds))
    for low in np.arange(0, 1, 0.2):
        here = (said >= low) & (said < low + 0.2)
        assert (data.labels[here] == 1).mean() == pytest.approx(said[here].mean(), abs=0.05)
    counts = np.sort(np.bincount(data.columns, minlength=data.features)[1:])[::-1]
    assert counts[0] > 8 * counts[30] > 0
    assert (counts == 0).mean() > 0.3
    sizes = np.sort(np.bincount(owners))
    assert sizes[-1] > 20 * np.median(sizes)
    assert sizes[0] >= 1
    again, _, _ = clicks(400, features=50_000, seed=3)
    assert (again.columns == data.columns).all()


def test_users_meet_their_own_features_again_and_again():
    data, owners, _ = clicks(300, features=10**6, seed=1)
    rare = np.bincount(data.columns, minlength=data.features)
    seen = {}
    for row, owner in enumerate(owners):
        for column in data.columns[data.offsets[row] : data.offsets[row + 1]]:
            if rare[column] in (2, 3):
                seen.setdefault(column, set()).add(owner)
    assert np.mean([len(users) for users in seen.values()]) < 1.7


@pytest.mark.parametrize(
    "values",
    [
        {"users": 0},
        {"users": 1.5},
        {"features": 99},
        {"shown": 1},
        {"examples": 0.5},
        {"examples": "9"},
        {"seed": -1},
    ],
)
def test_clicks_that_cannot_be(values):
    with pytest.raises(InputError, match=f"{next(iter(values))}: expected a"):
        clicks(**{"users": 5, "features": 100, "seed": 0, **values})


def test_numbers_that_columns_and_values_cannot_hold_are_left_out_and_named(tmp_path):
    path = tmp_path / "wide.txt"
    path.write_text(
        "1 1:1 2147483647:2\n-1 1:1\n1 2147483648:1\n1 99999999999999999999:1\n1 1:1e39\n1 1:-inf\n"
    )
    data, skipped = read_libsvm(path)
    assert data.features == 2_147_483_647
    assert data.columns.tolist() == [0, 2_147_483_646, 0]
    assert [entry.name for entry in skipped] == [f"{path}:{line}" for line in (3, 4, 5, 6)]
    assert "at most 2147483647, got 2147483648" in skipped[0].reason
    assert "finite numbers of float32, got 1e+39" in skipped[2].reason
