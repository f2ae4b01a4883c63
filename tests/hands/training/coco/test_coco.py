import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError
from handheld.files import locked_file
from handheld.hands.skeleton import Keypoint
from handheld.hands.training.coco import coco_of, read_coco
from handheld.hands.training.coco.names import keypoint_order, side_of
from handheld.hands.training.examples.labelling import TeacherHand, read_labels
from handheld.pictures.pillow import Image

RUNNER = CliRunner()
OURS = [keypoint.name.lower() for keypoint in Keypoint]
WHOLE_BODY = ["left_hand_root"]
for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger"):
    WHOLE_BODY += [f"left_{finger}{joint}" for joint in range(1, 5)]
ONE_BY_ONE = [entry for number in range(21) for entry in (10 + number, 50 - number, 2)]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((60, 80, 3), np.uint8))
    return folder


def annotation(number=1, **fields):
    entry = {"id": number, "image_id": 1, "category_id": 1, "keypoints": list(ONE_BY_ONE)}
    return entry | {"bbox": [5, 20, 40, 35], "iscrowd": 0} | fields


def content(*annotations, **fields):
    images = [
        {"id": 1, "file_name": "a.png", "width": 80, "height": 60},
        {"id": 2, "file_name": "b.png", "width": 80, "height": 60},
    ]
    categories = [{"id": 1, "name": "hand", "keypoints": OURS}]
    table = {"images": images, "annotations": list(annotations or [annotation()])}
    return table | {"categories": categories} | fields


@pytest.fixture
def read(tmp_path, photos):
    def written(table, group=""):
        path = tmp_path / "coco.json"
        path.write_text(table if isinstance(table, str) else json.dumps(table))
        return read_coco(path, photos, group)

    return written


def test_a_hand_is_read_and_a_photo_without_one_is_listed(read):
    labels = read(content())
    first, second = labels.records
    assert first["photo"] == "a.png"
    assert first["size"] == [60, 80]
    (hand,) = first["hands"]
    assert hand["keypoints"][8] == [18, 42, None]
    assert hand["box"] == [5, 20, 45, 55]
    assert hand["right"] is None
    assert second == {"photo": "b.png", "size": [60, 80], "hands": []}
    assert labels.notes == []
    known = TeacherHand.from_json(hand)
    assert known.source == "true"
    assert known.keypoints[8, :2].tolist() == [18, 42]
    assert np.isnan(known.keypoints[:, 2]).all()
    assert known.certainty == 0.5
    assert known.disagreement == 0


def test_keypoints_go_by_their_names(read):
    names = OURS[::-1]
    (hand,) = read(content(categories=[{"id": 1, "name": "h", "keypoints": names}])).records[0][
        "hands"
    ]
    # The wrist is the last one of the file, number 20.
    assert hand["keypoints"][0] == [30, 30, None]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (OURS, list(range(21))),
        (WHOLE_BODY, list(range(21))),
        ([f"point{number}" for number in range(21)], list(range(21))),
        (["little_tip", "indexFingerMCP", "wrist"], [20, 5, 0]),
        (["nose", "left_wrist", "right_wrist"], None),
        ([f"body {number}" for number in range(17)], None),
    ],
)
def test_names_of_keypoints(names, order):
    assert keypoint_order(names) == order


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["thumb_tip", "thumb_tipp"], "'thumb_tipp' is none of a hand's"),
        (["left_thumb1", "right_thumb1"], "'left_thumb1' and 'right_thumb1' are one"),
    ],
)
def test_names_that_are_no_hands_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        keypoint_order(names)


def test_sides_of_names():
    assert side_of("left_hand") == "Left"
    assert side_of("Right") == "Right"
    assert side_of("left and right") is None
    assert side_of("bright") is None


@pytest.mark.parametrize(
    ("fields", "category", "right"),
    [
        ({}, "left_hand", 0.0),
        ({"attributes": {"handedness": "Right"}}, "hand", 1.0),
        ({"hand_type": "left"}, "hand", 0.0),
        ({"handedness": None}, "right hand", 1.0),
        ({}, "hand", None),
    ],
)
def test_whose_hand_it_is(read, fields, category, right):
    categories = [{"id": 1, "name": category, "keypoints": OURS}]
    labels = read(content(annotation(**fields), categories=categories))
    assert labels.records[0]["hands"][0]["right"] == right


def test_visibility_and_what_is_not_labelled(read):
    points = list(ONE_BY_ONE)
    points[2] = 1
    points[3:6] = [0, 0, 0]
    (hand,) = read(content(annotation(keypoints=points))).records[0]["hands"]
    assert hand["visible"][:3] == [0, 0, 1]
    assert hand["keypoints"][:2] == [[10, 50, None], [None, None, None]]


def test_what_is_left_out_is_told_by_name(read):
    labels = read(
        content(
            annotation(),
            annotation(2, iscrowd=1, image_id=2),
            annotation(3, keypoints=[0] * 63),
            annotation(4, keypoints=[]),
            annotation(5, category_id=7),
            categories=[
                {"id": 1, "name": "hand", "keypoints": OURS},
                {"id": 7, "name": "person", "keypoints": ["nose"]},
            ],
        )
    )
    assert labels.hands == 1
    assert labels.notes == [
        "crowds left out: 1, first b.png",
        "annotations without keypoints left out: 2, first a.png",
        "annotations of no hands left out: 1, first a.png",
    ]


def test_a_keypoint_beside_its_photo_is_hidden_and_one_far_away_refused(read):
    points = list(ONE_BY_ONE)
    points[0:3] = [-5, 50, 2]
    labels = read(content(annotation(keypoints=points)))
    assert labels.records[0]["hands"][0]["visible"][:2] == [0, 1]
    assert labels.records[0]["hands"][0]["keypoints"][0][:2] == [-5, 50]
    assert labels.notes == ["keypoints outside their photo, taken as hidden: 1, first a.png"]
    points[0] = 500
    with pytest.raises(InputError, match=r"id 1\): a keypoint at \(500, 50\) is far outside of a"):
        read(content(annotation(keypoints=points)))


def test_both_hands_of_a_whole_body(read):
    scores = [entry for number in range(21) for entry in (10 + number, 20, 0.3)]
    scores[2] = 0
    person = annotation(
        keypoints=[1, 1, 2],
        lefthand_kpts=scores,
        lefthand_valid=True,
        lefthand_box=[9, 18, 22, 4],
        righthand_kpts=[0] * 63,
        righthand_valid=False,
        righthand_box=[0, 0, 0, 0],
    )
    body = [{"id": 1, "name": "person", "keypoints": ["nose"]}]
    (hand,) = read(content(person, categories=body)).records[0]["hands"]
    assert hand["right"] == 0
    assert "visible" not in hand
    assert hand["box"] == [9, 18, 31, 22]
    assert hand["keypoints"][:2] == [[None, None, None], [11, 20, None]]


FIRST, SECOND = content()["images"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[1]", "expected COCO's object"),
        ("{", "cannot be read as COCO annotations"),
        ({"images": 3}, "images: expected a list, got 3"),
        (content(images=[FIRST, FIRST]), r"images\[1\]: a.png is listed twice"),
        (content(images=[FIRST, SECOND | {"id": 1}]), r"images\[1\]: id 1 is used twice"),
        (
            content(images=[FIRST, SECOND | {"file_name": "./a.png"}]),
            "a.png is listed twice",
        ),
        (content(images=[FIRST, SECOND | {"file_name": "c.png"}]), "1 of its 2 photos .* c.png"),
        (content(images=[FIRST | {"file_name": "../a.png"}]), "expected a path in their folder"),
        (content(images=[FIRST | {"file_name": 3}]), "expected the name of a photo, got 3"),
        (content(images=[FIRST | {"width": 90}]), "a.png: has 80 x 60 pixels, .* for 90 x 60"),
        (content(annotation(image_id=9)), "no image has the id 9"),
        (content(annotation(image_id=[])), "no image has the id"),
        (content(annotation(category_id=9)), "no category has the id 9"),
        (content(annotation(), annotation()), r"annotations\[1\] \(id 1\): the id is used twice"),
        (content(annotation({})), r"annotations\[0\] \(id {}\): id: expected a number or a text"),
        (content(categories=2 * content()["categories"]), r"categories\[1\]: id 1 is used twice"),
        (content(images=[FIRST | {"file_name": "c" * 300}]), "1 of its 1 photos are not in"),
        (content(3), r"annotations\[0\]: expected an object, got 3"),
        (content(annotation(keypoints=[1, 2, 2])), "keypoints: expected 63 numbers, got 3"),
        (
            content(annotation(keypoints=[float("nan"), *ONE_BY_ONE[1:]])),
            r"keypoints\[0\]: expected a number in .* got nan",
        ),
        (
            content(annotation(keypoints=[*ONE_BY_ONE[:5], "2", *ONE_BY_ONE[6:]])),
            r"keypoints\[5\]: expected a number in .* got '2'",
        ),
        (
            content(annotation(keypoints=[*ONE_BY_ONE[:5], 7, *ONE_BY_ONE[6:]])),
            r"keypoints\[5\]: expected a visibility of 0, 1 or 2, got 7",
        ),
        (content(annotation(bbox=[1, 2, 3])), "bbox: expected 4 numbers, got 3"),
        (content(annotation(bbox=[1, 2, -3, 4])), "bbox: a box of -3 x 4 pixels"),
        (
            content(annotation(bbox=[0, 0, 2e6, 5])),
            r"bbox\[2\]: expected a number in .* got 2000000",
        ),
        (content(annotation(bbox=[9e5, 0, 9e5, 5])), "bbox: expected a number in .* got 1800000"),
        (content(annotation(handedness="both")), "expected left or right, got 'both'"),
        (content(annotation(handedness=["Left"])), r"expected left or right, got \['Left'\]"),
        (content(annotation(attributes={"side": {"right": 1}})), "side: expected left or right"),
        (content(annotation(iscrowd=1)), "no hand is labelled.*crowds left out: 1"),
        (
            content(categories=[{"id": 1, "name": "h", "keypoints": [*OURS[:20], "tail"]}]),
            r"categories\[0\] \(h\): keypoint 'tail' is none of a hand's",
        ),
    ],
)
def test_what_is_wrong_is_named(read, table, message):
    with pytest.raises(InputError, match=message):
        read(table)


def test_ids_of_annotations_and_sizes_may_be_unknown(read):
    images = [FIRST | {"width": None, "height": None}, SECOND]
    table = content(annotation(None), annotation(None), images=images)
    imported = read(table)
    assert imported.hands == 2
    assert imported.records[0]["size"] == [60, 80]


def test_an_infinite_number_is_refused(read):
    text = json.dumps(content()).replace("[5, 20, 40, 35]", "[1e400, 20, 40, 35]")
    with pytest.raises(InputError, match=r"bbox\[0\]: expected a number in .* got inf"):
        read(text)


def save_turned(path, orientation, size=(80, 60)):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(path, exif=exif)


def test_labels_of_a_photo_that_exif_turns_are_of_what_is_seen(read, photos):
    save_turned(photos / "a.jpg", 6)
    seen = {"id": 1, "file_name": "a.jpg", "width": 60, "height": 80}
    assert read(content(images=[seen])).records[0]["size"] == [80, 60]
    with pytest.raises(InputError, match="labels are for the picture as it is stored, 80 x 60"):
        read(content(images=[seen | {"width": 80, "height": 60}]))
    save_turned(photos / "a.jpg", 3)
    labels = read(content(images=[seen | {"width": 80, "height": 60}]))
    assert labels.notes == [
        "photos turned by EXIF, labels taken as of the upright ones: 1, first a.jpg"
    ]


def test_a_photo_that_is_none_is_named(read, photos):
    (photos / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"photo a\.png: .*expected a picture"):
        read(content())


def command(*words):
    return RUNNER.invoke(app, ["hands", *map(str, words)], catch_exceptions=True)


@pytest.fixture
def imported(tmp_path, photos):
    """Labels of both hands, with all that COCO can say of them."""
    points = list(ONE_BY_ONE)
    points[2] = 1
    points[3:6] = [0, 0, 0]
    path = tmp_path / "coco.json"
    first = annotation(keypoints=points, handedness="Left")
    path.write_text(json.dumps(content(first, annotation(2, image_id=2, bbox=None))))
    labels = tmp_path / "labels.jsonl"
    done = command("import", "coco", path, "--images", photos, "--out", labels)
    assert done.exit_code == 0, done.output
    assert "2 photos, 2 hands" in done.output
    return labels


def test_there_and_back_nothing_changes(imported, tmp_path, photos):
    out = tmp_path / "again.json"
    assert command("export", "coco", imported, "--out", out).exit_code == 0
    again = tmp_path / "again.jsonl"
    done = command("import", "coco", out, "--images", photos, "--out", again)
    assert done.exit_code == 0, done.output
    first, second = map(json.loads, imported.read_text().splitlines())
    # A label without a box gets one around its keypoints: 10 to 30, 30 to 50.
    second["hands"][0]["box"] = [10, 30, 30, 50]
    assert [json.loads(line) for line in again.read_text().splitlines()] == [first, second]
    assert set(read_labels(again)) == {"a.png", "b.png"}


def test_labels_that_another_process_writes_are_not_replaced(imported, tmp_path, photos):
    before = imported.read_bytes()
    with locked_file(imported):
        words = ("--images", photos, "--out", imported)
        done = command("import", "coco", tmp_path / "coco.json", *words)
    assert "another process writes it" in str(done.exception)
    assert imported.read_bytes() == before


@pytest.mark.parametrize("words", [("export", "coco"), ("import", "coco")], ids=" ".join)
def test_standard_output_takes_labels_and_nothing_beside_them(
    words, imported, tmp_path, photos, monkeypatch
):
    """``--out -`` wrote a file of that name."""
    monkeypatch.chdir(tmp_path)
    read = [imported]
    if words[0] == "import":
        read = [tmp_path / "coco.json", "--images", photos]
    assert command(*words, *read, "--out", "file.json").exit_code == 0
    done = command(*words, *read, "--out", "-")
    assert done.exit_code == 0, done.output
    assert done.stdout == (tmp_path / "file.json").read_text()
    assert "2 photos, 2 hands" in done.stderr
    assert "wrote" not in done.stderr
    assert not (tmp_path / "-").exists()


def test_labels_and_results_do_not_both_go_to_standard_output(imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("export", "coco", imported, "--out", "-", "--json", "-")
    assert isinstance(done.exception, InputError)
    assert "two results cannot go to standard output" in str(done.exception)
    assert done.stdout == ""


def test_cocos_own_tools_read_what_is_written(imported, tmp_path):
    coco = pytest.importorskip("faster_coco_eval")
    out = tmp_path / "again.json"
    assert command("export", "coco", imported, "--out", out).exit_code == 0
    loaded = coco.COCO(str(out))
    assert loaded.getCatIds(catNms=["hand"]) == [1]
    first, second = loaded.loadAnns(loaded.getAnnIds())
    assert (first["num_keypoints"], second["num_keypoints"]) == (20, 21)
    assert first["bbox"] == [5, 20, 40, 35]
    assert loaded.loadImgs([2])[0]["file_name"] == "b.png"


def test_photos_of_a_set_are_named_with_it(read, photos):
    (photos / "mine").mkdir()
    (photos / "mine" / "a.png").write_bytes((photos / "a.png").read_bytes())
    labels = read(content(images=[FIRST]), group="mine")
    assert labels.records[0]["photo"] == "mine/a.png"


def test_labels_without_a_size_are_named(tmp_path):
    record = {"photo": "a.png", "hands": []}
    with pytest.raises(InputError, match=r"photo a\.png: no labels with a size"):
        coco_of([record], tmp_path / "labels.jsonl")


def test_labels_that_have_corrections_are_not_imported_anew(imported, tmp_path, photos):
    corrections = tmp_path / "labels.corrections.jsonl"
    corrections.write_text("")
    path = tmp_path / "coco.json"
    done = command("import", "coco", path, "--images", photos, "--out", imported)
    assert isinstance(done.exception, InputError)
    assert "move it away" in str(done.exception)
