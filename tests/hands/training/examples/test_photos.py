import json
import os

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.training.examples.digests import data_digests
from handheld.hands.training.examples.photos import (
    SPLITS,
    PhotoSetWarning,
    empty_pictures,
    load_pixels,
    read_photos,
    split_of,
)
from handheld.media import write_image


def test_a_session_is_in_one_split_and_all_splits_have_some(world):
    photos = read_photos(world.data / "photos")
    assert len(photos) == 24
    by_person = {}
    for photo in photos:
        by_person.setdefault(photo.person, set()).add(photo.split)
    assert all(len(splits) == 1 for splits in by_person.values())
    assert {photo.split for photo in photos} == set(SPLITS)


def test_the_splits_never_change():
    # Another hash or salt would let people of the test split into training.
    assert [split_of(f"digits/{number}") for number in (13, 40, 42)] == [
        "test",
        "validation",
        "train",
    ]
    assert split_of("condzi/condzi_1") == "validation"
    assert split_of("islate/islate_1") == "test"
    # The name of a file that is no text.
    assert split_of(os.fsdecode(b"negatives/h\xff.jpg")) == "train"
    shares = [split_of(f"somebody/{number}") for number in range(2000)]
    assert 0.08 < shares.count("test") / 2000 < 0.12
    assert 0.08 < shares.count("validation") / 2000 < 0.12


def test_a_set_that_may_not_ship_is_not_read(world):
    (world.data / "photos" / "freihand").mkdir()
    (world.data / "photos" / "freihand" / "a.png").write_bytes(b"")
    assert not [photo for photo in read_photos(world.data / "photos") if "freihand" in photo.name]


def test_a_photo_that_an_index_names_must_be_there(world):
    index = world.data / "photos" / "ti1k" / "index.jsonl"
    index.parent.mkdir()
    index.write_text(json.dumps({"file": "gone.jpg", "boxes": []}) + "\n")
    with pytest.raises(InputError, match=r"names gone\.jpg"):
        read_photos(world.data / "photos")


def test_a_photo_without_a_number_is_a_session_of_its_own(world):
    photos = world.data / "photos"
    (photos / "digits" / "hand.png").write_bytes(b"")
    persons = {photo.name: photo.person for photo in read_photos(photos)}
    assert list(persons.values()).count(persons["digits/hand.png"]) == 1


def test_a_broken_photo_is_named(world):
    photo = read_photos(world.data / "photos")[0]
    photo.path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=f"photo {photo.name}"):
        load_pixels(photo)


def test_a_folder_without_photos_says_what_it_expected(tmp_path):
    with pytest.raises(InputError, match="subhih"):
        read_photos(tmp_path)


@pytest.fixture
def own_set(world):
    """A set of the user's own, with one photo of a person."""
    folder = world.data / "photos" / "mine"
    folder.mkdir()
    photo = next((world.data / "photos" / "digits").iterdir())
    (folder / "a.png").write_bytes(photo.read_bytes())
    (folder / "index.jsonl").write_text(json.dumps({"file": "a.png", "person": "ann"}) + "\n")
    (folder / "set.toml").write_text('credit = "my own photos"\n')
    return folder


def test_photos_of_ones_own_are_read_where_a_file_says_whose_they_are(world, own_set):
    (photo,) = [photo for photo in read_photos(world.data / "photos") if photo.group == "mine"]
    assert (photo.name, photo.person, photo.complete) == ("mine/a.png", "mine/ann", False)
    assert data_digests(world.data, world.labels)["credits"] == ["my own photos"]
    (own_set / "set.toml").unlink()
    assert "mine" not in {photo.group for photo in read_photos(world.data / "photos")}
    assert "credits" not in data_digests(world.data, world.labels)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mine", "", "set.toml: entry 'credit' is missing"),
        ("mine", 'credit = "a"\nsingle = true', "no entry 'single'; expected complete, credit"),
        ("digits", 'credit = "a"', "digits is known already"),
        ("mine", 'credit = " "', "set.toml: credit: expected whose photos"),
        ("mine", 'credit = "me\\n# and a title"', "and a licence, in a line"),
    ],
)
def test_a_set_of_ones_own_that_is_none_is_refused(world, name, text, message):
    (world.data / "photos" / name).mkdir(exist_ok=True)
    (world.data / "photos" / name / "set.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_photos(world.data / "photos")


def write_index(folder, *records):
    (folder / "index.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def photos_of(world, group):
    photos = read_photos(world.data / "photos")
    return {photo.name: photo for photo in photos if photo.group == group}


def test_a_set_that_is_kept_apart_as_a_whole_says_so(world, own_set):
    """By its name alone it is of the test split."""
    assert split_of("mine") == "test"
    (own_set / "index.jsonl").unlink()
    told = "mine: of 1 of 1 photos no index names the person: .*in the test split"
    with pytest.warns(PhotoSetWarning, match=told):
        photos_of(world, "mine")


def test_photos_that_an_index_leaves_out_are_told_too(world, own_set):
    (own_set / "b.png").write_bytes((own_set / "a.png").read_bytes())
    with pytest.warns(PhotoSetWarning, match="of 1 of 2 photos no index names the person"):
        photos_of(world, "mine")


def test_an_index_that_is_no_file_is_an_error(world, own_set):
    index = own_set / "index.jsonl"
    index.unlink()
    index.symlink_to("nowhere")
    with pytest.raises(InputError, match=r"index\.jsonl: cannot be read"):
        photos_of(world, "mine")
    index.unlink()
    index.mkdir()
    with pytest.raises(InputError, match=r"index\.jsonl: cannot be read"):
        photos_of(world, "mine")


def test_what_an_index_cannot_say_is_refused(world, own_set):
    write_index(own_set, {"file": "a.png", "persn": "ann"})
    expected = r"line 1: no entry persn; expected boxes, file, index_tip, path, person, thumb_tip"
    with pytest.raises(InputError, match=expected):
        photos_of(world, "mine")


def test_boxes_in_pixels_are_told_what_they_should_be(world, own_set):
    write_index(own_set, {"file": "a.png", "boxes": [[320, 240, 100, 120]]})
    with pytest.raises(InputError, match="got 320; places are fractions of the picture"):
        photos_of(world, "mine")


def test_pictures_without_hands_may_be_of_any_kind(world):
    negatives = world.data / "negatives"
    some = next(negatives.iterdir())
    (negatives / "a.PNG").write_bytes(some.read_bytes())
    assert negatives / "a.PNG" in empty_pictures(world.data)


@pytest.mark.filterwarnings("ignore:.*no index names the person")
def test_an_index_names_photos_by_their_path_in_the_set(world, own_set):
    (own_set / "sub").mkdir()
    for name in ("a.png", "b.png"):
        (own_set / "sub" / name).write_bytes((own_set / "a.png").read_bytes())
    box = [0.5, 0.5, 0.1, 0.2]
    write_index(own_set, {"file": "a.png", "person": "ann"}, {"file": "sub/b.png", "boxes": [box]})
    photos = photos_of(world, "mine")
    assert [photo.person for photo in photos.values()] == ["mine/ann", "mine", "mine"]
    assert list(photos) == ["mine/a.png", "mine/sub/a.png", "mine/sub/b.png"]
    assert photos["mine/sub/b.png"].boxes.tolist() == [box]
    write_index(own_set, {"file": "b.png"})
    with pytest.raises(InputError, match=r"index\.jsonl: line 1: names b\.png, which is no photo"):
        photos_of(world, "mine")


NAN = float("nan")
TIP = {"thumb_tip": [0.5, 0.25], "index_tip": [0.5, 0.75]}


@pytest.mark.filterwarnings("ignore:.*no index names the person")
def test_an_index_may_say_nothing(world, own_set):
    write_index(own_set, dict.fromkeys(["person", "path", "boxes", *TIP]) | {"file": "a.png"})
    photo = photos_of(world, "mine")["mine/a.png"]
    assert (photo.person, photo.boxes, photo.tips) == ("mine", None, None)
    write_index(own_set, {"file": "a.png", "boxes": []} | TIP)
    photo = photos_of(world, "mine")["mine/a.png"]
    assert photo.boxes.shape == (0, 4)
    assert np.array_equal(photo.tips, list(TIP.values()))


@pytest.mark.filterwarnings("ignore:.*no index names the person")
def test_a_photo_is_read_whatever_kind_of_picture_it_is(world, own_set):
    for suffix in ("webp", "BMP", "tiff"):
        write_image(own_set / f"b.{suffix}", np.zeros((8, 8, 3), np.uint8))
    names = {photo.name for photo in read_photos(world.data / "photos") if photo.group == "mine"}
    assert {"mine/b.webp", "mine/b.BMP", "mine/b.tiff"} <= names


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"file": None}, "file: expected a text, got None"),
        ({"file": 3}, "file: expected a text, got 3"),
        ({"file": "\ud800"}, "file: has halves of letters in it"),
        ({"file": "./b.png"}, r"names \./b\.png, which is no photo"),
        ({"file": "a.png"}, "a.png is listed twice"),
        ({"person": ["ann"]}, r"person: expected a text, got \['ann'\]"),
        ({"person": "\ud800"}, "person: has halves of letters in it"),
        ({"path": 3}, "path: expected a text, got 3"),
        ({"boxes": "abcd"}, "boxes: expected a list, got 'abcd'"),
        ({"boxes": {"a": 1}}, "boxes: expected a list, got {'a': 1}"),
        ({"boxes": [[1, 2, 3]]}, r"boxes\[0\]: expected 4 numbers, got 3"),
        ({"boxes": [[0.1, 0.2, 0.3, 0.4], [1]]}, r"boxes\[1\]: expected 4 numbers, got 1"),
        ({"boxes": [["1", "2", "3", "4"]]}, r"boxes\[0\]: expected a number .* got '1'"),
        ({"boxes": [[NAN] * 4]}, r"boxes\[0\]: expected a number .* got nan"),
        ({"boxes": [[1e308] * 4]}, r"boxes\[0\]: expected a number .* got 1e\+308"),
        ({"boxes": [[10**400] * 4]}, r"boxes\[0\]: expected a number"),
        ({"boxes": [[0.5, 0.5, -0.1, 1]]}, r"boxes\[0\]: expected a number in \(0, inf\)"),
        ({"boxes": [[0.5, 0.5, 0, 1]]}, r"boxes\[0\]: expected a number in \(0, inf\)"),
        ({"boxes": [[320, 240, 80, 80]]}, r"boxes\[0\]: expected a number in \[-2, 2\], got 320"),
        ({"thumb_tip": [99, 80], "index_tip": [90, 70]}, r"thumb_tip: .* in \[-2, 2\], got 99"),
        ({"thumb_tip": [0.5, 0.5]}, "index_tip: expected 2 numbers, got None"),
        ({"index_tip": [0.5, 0.5]}, "thumb_tip: expected 2 numbers, got None"),
        (TIP | {"index_tip": "a"}, "index_tip: expected 2 numbers, got 'a'"),
        (TIP | {"thumb_tip": [1, 2, 3]}, "thumb_tip: expected 2 numbers, got 3"),
    ],
)
def test_a_line_of_an_index_that_is_none_is_named(world, own_set, fields, message):
    (own_set / "b.png").write_bytes((own_set / "a.png").read_bytes())
    write_index(own_set, {"file": "a.png"}, {"file": "b.png"} | fields)
    with pytest.raises(InputError, match=rf"mine/index\.jsonl: line 2: .*{message}"):
        read_photos(world.data / "photos")


@pytest.mark.parametrize("boxes", ["x", None, 3, [3], [[1, 2, 3]], [[NAN] * 4], [[1, 1, -1, 1]]])
def test_boxes_that_are_none_are_named(world, boxes):
    (world.data / "photos" / "boxes.json").write_text(json.dumps({"digits/a.png": boxes}))
    with pytest.raises(InputError, match=r"boxes\.json: digits/a\.png.*: expected"):
        read_photos(world.data / "photos")
