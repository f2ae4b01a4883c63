import json

import pytest

from handheld.errors import InputError
from handheld.hands.training.examples.digests import data_digests
from handheld.hands.training.examples.photos import SPLITS, load_pixels, read_photos, split_of


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
    ],
)
def test_a_set_of_ones_own_that_is_none_is_refused(world, name, text, message):
    (world.data / "photos" / name).mkdir(exist_ok=True)
    (world.data / "photos" / name / "set.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_photos(world.data / "photos")
