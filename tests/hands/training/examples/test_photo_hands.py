import json

import cv2
import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.training.examples.photo_hands import read_photo_hands
from handheld.hands.training.examples.photos import SPLITS, split_of
from handheld.pictures.pillow import Image


def replace_size(world, size):
    """Say another size of the first photo that is labelled, and return the photo's name."""
    first, *rest = map(json.loads, world.labels.read_text().splitlines())
    first["size"] = size
    world.labels.write_text("".join(json.dumps(line) + "\n" for line in (first, *rest)))
    return first["photo"]


def test_labels_for_another_size_than_the_photo_s_are_refused(world):
    name = replace_size(world, [5, 7])
    message = rf"photo {name} has 160 x 120 pixels, its labels are for 7 x 5: restore it"
    with pytest.raises(InputError, match=message):
        read_photo_hands(world.data, world.labels, world.cache)


def test_labels_without_a_size_are_taken(world):
    replace_size(world, None)
    hands = read_photo_hands(world.data, world.labels, world.cache).hands
    assert [len(hands[split]) for split in ("train", "validation", "test")] == [12, 6, 6]


def test_labels_are_for_the_photo_as_it_is_seen_and_before_it_is_halved(world):
    name = replace_size(world, [1600, 1200])
    exif = Image.Exif()
    # The stored rows are columns of what is seen.
    exif[0x0112] = 6
    Image.new("RGB", (1600, 1200)).save(world.data / "photos" / name, exif=exif)
    photos = read_photo_hands(world.data, world.labels, world.cache)
    index = photos.store.names.index(name)
    assert photos.store.sizes[index].tolist() == [1600, 1200]
    assert photos.store[index].shape == (400, 300, 3)


@pytest.mark.parametrize("folder", ["photos/digits", "negatives"])
def test_a_picture_that_was_replaced_is_seen(world, folder):
    read_photo_hands(world.data, world.labels, world.cache)
    path = min((world.data / folder).iterdir())
    cv2.imwrite(str(path), np.full_like(cv2.imread(str(path)), 255))
    photos = read_photo_hands(world.data, world.labels, world.cache)
    store = photos.empty_store if folder == "negatives" else photos.store
    assert store[0].min() == 255


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_a_picture_that_shows_no_hand_is_named(world, split):
    """It was an error of numpy's, of the test split after hours of training."""
    for picture in (world.data / "negatives").iterdir():
        if split_of(f"negatives/{picture.name}") == split:
            picture.unlink()
    with pytest.raises(InputError, match=f"is in the {split} split"):
        read_photo_hands(world.data, world.labels, world.cache)
