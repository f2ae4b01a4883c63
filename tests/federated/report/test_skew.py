import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.data.users.partitions import Partition, by_shards, evenly
from handheld.federated.learning import Examples, Users
from handheld.federated.report import RunFacts, write_report
from handheld.federated.report.skew import facts, picture
from handheld.federated.simulator import Plan

ROWS = [
    {
        "round": 1,
        "asked": 5,
        "answered": 4,
        "gone": 1,
        "late": 0,
        "rejected": 0,
        "given_up": 0.0,
        "bytes_up": 10,
        "bytes_down": 40,
        "seconds": 3.0,
        "loss": 1.0,
    }
]
LABELS = np.arange(200) // 20


def test_bars_and_a_row_for_each_class():
    deal = by_shards(LABELS, 20, shards_per_user=1, seed=0)
    drawn = str(picture(deal, LABELS, 500))
    assert drawn.count("10 examples</title>") == 20
    assert drawn.count("class 3: 10 of 10</title>") == 2
    assert "class " not in str(picture(deal, None, 500)).replace("class=", "")


def test_of_many_users_some_are_shown():
    assert str(picture(evenly(5000, 1000, seed=0), None, 500)).count("5 examples</title>") == 60


def test_nobody():
    assert picture(Partition(np.zeros(0, np.int64), np.zeros(3, np.int64)), None, 500) == ""


def test_the_page_shows_whose_the_examples_are(tmp_path):
    deal = by_shards(LABELS, 20, shards_per_user=1, seed=0)
    users = Users(Examples(np.zeros((200, 2), np.float32), LABELS), deal)
    page = write_report(
        tmp_path / "r.html", "A", Plan(), ROWS, RunFacts(population=20, weights=3, users=users)
    ).read_text()
    assert "Whose the examples are" in page
    assert dict(facts(deal, LABELS))["classes of a user, mean"] == "1.0"
    windows = Users(Examples(np.zeros((200, 2), np.int32), np.zeros((200, 2), np.int64)), deal)
    page = write_report(
        tmp_path / "w.html", "A", Plan(), ROWS, RunFacts(population=20, weights=3, users=windows)
    ).read_text()
    assert "classes of a user" not in page


def test_classes_are_drawn_by_their_numbers():
    drawn = picture(evenly(4, 2, seed=0), np.array([2_000_000_000, 5, 5, 2_000_000_000]), 500)
    assert ">2000000000</text>" in drawn
    assert "class 5: " in drawn
