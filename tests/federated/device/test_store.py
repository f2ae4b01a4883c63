import sqlite3

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.device import ExampleStore


def picture(number):
    return np.full((2, 3), number, np.uint8)


class Clock:
    now = 1e9

    def __call__(self):
        return self.now


def test_what_was_added_comes_back_in_another_process(tmp_path):
    store = ExampleStore(tmp_path / "own" / "examples.sqlite")
    for number in range(5):
        store.add(picture(number), number % 3)
    found = ExampleStore(tmp_path / "own" / "examples.sqlite").examples()
    assert found.inputs.dtype == np.uint8
    assert found.inputs[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.targets.tolist() == [0, 1, 2, 0, 1]
    assert (tmp_path / "own" / "examples.sqlite").stat().st_mode & 0o077 == 0


def test_the_oldest_go_first_and_leave_no_trace(tmp_path):
    store = ExampleStore(tmp_path / "examples.sqlite", max_examples=3)
    for number in range(40, 45):
        store.add(np.full(400, number, np.uint8), 0)
    assert store.examples().inputs[:, 0].tolist() == [42, 43, 44]
    content = (tmp_path / "examples.sqlite").read_bytes()
    assert bytes([44]) * 400 in content
    assert bytes([40]) * 40 not in content


def test_all_together_are_no_larger_than_allowed(tmp_path):
    store = ExampleStore(tmp_path / "examples.sqlite", megabytes=0.0025)
    for number in range(6):
        store.add(np.full(992, number, np.uint8), 0)
    assert store.examples().inputs[:, 0].tolist() == [4, 5]
    with pytest.raises(InputError, match="more than may be kept"):
        store.add(np.zeros(4000, np.uint8), 0)
    assert len(store) == 2


def test_examples_age(tmp_path):
    clock = Clock()
    store = ExampleStore(tmp_path / "examples.sqlite", days=2, clock=clock)
    store.add(picture(1), 0)
    clock.now += 1.5 * 86_400
    store.add(picture(2), 0)
    assert len(store.examples()) == 2
    clock.now += 86_400
    assert store.examples().inputs[:, 0, 0].tolist() == [2]
    clock.now += 86_400 * 9
    with pytest.raises(InputError, match="no examples"):
        store.examples()


@pytest.mark.parametrize(
    ("value", "target", "why"),
    [
        (np.zeros((3, 2), np.uint8), 0, "shape"),
        (np.zeros((2, 3), np.float32), 0, "expected .u1"),
        (picture(0), np.zeros(2, np.int64), "target"),
        (np.full((2, 3), np.nan), 0, "finite"),
        (np.array([["a"]]), 0, "numbers"),
        (np.array([[{}]], object), 0, "numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_lost(tmp_path, value, target, why):
    store = ExampleStore(tmp_path / "examples.sqlite")
    store.add(picture(1), 0)
    with pytest.raises(InputError, match=why):
        store.add(value, target)
    assert len(store.examples()) == 1


@pytest.mark.parametrize("label", [3, -2, 2**40])
def test_a_label_that_is_no_class_is_refused(tmp_path, label):
    store = ExampleStore(tmp_path / "examples.sqlite", classes=3)
    for fits in (0, 2, -1):
        store.add(picture(1), fits)
    with pytest.raises(
        InputError,
        match=f"target: expected classes 0 to 2, or -1 where nothing is asked, got {label}",
    ):
        store.add(picture(1), label)
    assert store.examples().targets.tolist() == [0, 2, -1]


def test_records_that_were_damaged_are_left_out_with_a_word(tmp_path, caplog):
    path = tmp_path / "examples.sqlite"
    store = ExampleStore(path)
    for number in range(4):
        store.add(np.full(2, number, np.float32), number)
    with sqlite3.connect(path) as connection:
        connection.execute("update examples set input = ? where id = 2", (b"short",))
        connection.execute(
            "update examples set input = ? where id = 3",
            (np.full(2, np.nan, np.float32).tobytes(),),
        )
    connection.close()
    assert store.examples().targets.tolist() == [0, 3]
    assert "2 of 4 examples left out: damaged, or not finite" in caplog.text
    with sqlite3.connect(path) as connection:
        connection.execute("update examples set target = ?", (b"",))
    connection.close()
    with pytest.raises(InputError, match="holds no examples that are whole"):
        store.examples()


def test_forgetting_forgets_everything(tmp_path):
    store = ExampleStore(tmp_path / "examples.sqlite")
    store.add(np.full(100, 77, np.uint8), 0)
    store.forget()
    assert len(store) == 0
    assert bytes([77]) * 20 not in (tmp_path / "examples.sqlite").read_bytes()
    store.add(np.zeros(3, np.float32), 1)
    assert store.examples().inputs.dtype == np.float32


def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path):
    path = tmp_path / "examples.sqlite"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(InputError, match=r"examples\.sqlite cannot be used"):
        ExampleStore(path)
    assert path.read_bytes() == b"no database, " * 100


def test_another_database_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("create table examples (id integer)")
    connection.close()
    with pytest.raises(InputError, match="cannot be used"):
        ExampleStore(tmp_path / "other.sqlite")


@pytest.mark.parametrize(
    "limits", [{"max_examples": 0}, {"megabytes": 0}, {"days": np.nan}, {"classes": 0}]
)
def test_limits_that_make_no_sense(tmp_path, limits):
    with pytest.raises(InputError, match=f"^{next(iter(limits))}: expected a "):
        ExampleStore(tmp_path / "examples.sqlite", **limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file/examples.sqlite", "folder"])
def test_a_place_where_nothing_can_be_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be used as a store of examples"):
        ExampleStore(tmp_path / place)
