import json
import logging

import numpy as np
import pytest

from handheld.hands.training.examples.pixels import open_store


@pytest.fixture
def pictures(tmp_path):
    """Files whose first letters are the heights of the pictures that they stand for."""
    files = {}
    for height in (2, 3):
        files[f"{height}.png"] = tmp_path / f"{height}.png"
        files[f"{height}.png"].write_text(str(height))
    return files


@pytest.fixture
def opened(tmp_path, pictures):
    """Open the store of the pictures; returns it, and which of them were decoded."""

    def call():
        decoded = []

        def load(index):
            decoded.append(index)
            text = list(pictures.values())[index].read_text()
            return np.full((int(text), 4, 3), int(text), np.uint8)

        return open_store(tmp_path / "cache" / "photos.pixels", pictures, load), decoded

    return call


def values(store):
    return [int(store[index][0, 0, 0]) for index in range(len(store))]


def test_pictures_are_decoded_once(opened):
    store, decoded = opened()
    assert decoded == [0, 1]
    again, decoded = opened()
    assert decoded == []
    assert values(store) == values(again) == [2, 3]
    assert again.sizes.tolist() == again.shapes.tolist() == [[2, 4], [3, 4]]


def test_a_picture_that_was_replaced_is_decoded_again(opened, pictures, caplog):
    opened()
    pictures["2.png"].write_text("5")
    store, decoded = opened()
    assert decoded == [0, 1]
    assert values(store) == [5, 3]
    assert "is made anew: it holds other pictures, or they have changed" in caplog.text


def test_pictures_of_another_folder_are_others(opened, pictures, tmp_path):
    opened()
    (tmp_path / "other").mkdir()
    for name in pictures:
        pictures[name] = tmp_path / "other" / name
        pictures[name].write_text("7")
    store, _ = opened()
    assert values(store) == [7, 7]


@pytest.mark.parametrize(
    "index",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"pictures": 3}',
        {"sizes": None},
        {"sizes": []},
        {"sizes": [[2, 4]]},
        {"sizes": [[2, 4], 3]},
        {"sizes": [[2, 4], [3]]},
        {"sizes": [[2, 4], ["3", 4]]},
        {"sizes": [[2, 4], [-3, 4]]},
        {"sizes": [[2, 4], [3, 10**30]]},
        {"sizes": [[2, 4], [3, 5]]},
    ],
    ids=lambda index: str(index)[:40],
)
def test_a_damaged_index_is_made_anew(opened, tmp_path, caplog, index):
    caplog.set_level(logging.WARNING)
    opened()
    path = tmp_path / "cache" / "photos.json"
    text = index if isinstance(index, str) else json.dumps(json.loads(path.read_text()) | index)
    path.write_text(text)
    store, decoded = opened()
    assert decoded == [0, 1]
    assert values(store) == [2, 3]
    assert "photos.pixels is made anew" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"abc"])
def test_damaged_pixels_are_made_anew(opened, tmp_path, content):
    opened()
    path = tmp_path / "cache" / "photos.pixels"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert values(opened()[0]) == [2, 3]


@pytest.mark.parametrize(
    ("size", "shape", "scale"),
    [
        ((640, 480), (640, 480), 1.0),
        ((1300, 1000), (325, 250), 0.25),
        ((1, 1300), (1, 325), 0.25),
        ((1300, 1), (325, 1), 0.25),
    ],
)
def test_a_large_picture_is_halved(tmp_path, size, shape, scale):
    picture = np.full((*size, 3), 9, np.uint8)
    store = open_store(tmp_path / "p.pixels", {"a.png": tmp_path / "a.png"}, lambda _: picture)
    assert store[0].shape == (*shape, 3)
    assert (store[0] == 9).all()
    assert store.scale(0) == scale
    assert store.sizes.tolist() == [list(size)]
