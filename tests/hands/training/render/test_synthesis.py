import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.hands import app
from handheld.errors import InputError
from handheld.hands.training.labels import LabelledHand
from handheld.hands.training.render.recipe import RenderRecipe
from handheld.hands.training.render.studio import CropOptions
from handheld.hands.training.render.synthesis import hand_to_json, synthesise
from handheld.media import read_image


@pytest.fixture
def recipe(data_folder: Path) -> RenderRecipe:
    return RenderRecipe(seed=1, options=CropOptions(size=32), folder=data_folder, people=4)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]


def test_a_folder_holds_pictures_labels_and_a_sheet(recipe: RenderRecipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[int] = []
    counts = synthesise(out, recipe, 5, on_picture=told.append)
    assert (counts.made, counts.resumed) == (5, 0)
    assert told == [0, 1, 2, 3, 4, 5]
    labels = lines(out)
    assert [line["file"] for line in labels] == [f"pictures/{i:06d}.png" for i in range(5)]
    make = recipe.open()
    for index, line in enumerate(labels):
        picture = make(index)
        np.testing.assert_array_equal(read_image(out / line["file"]), picture.pixels)
        mask = read_image(out / line["file"].replace("pictures", "masks"))[..., 0]
        np.testing.assert_array_equal(mask, picture.mask)
        np.testing.assert_allclose(
            line["hands"][0]["keypoints"], picture.hands[0].keypoints, atol=0.006
        )
    assert read_image(out / "sheet.png").shape == (256, 5 * 256, 3)


def test_labels_are_cocos_too(recipe: RenderRecipe, tmp_path: Path) -> None:
    synthesise(tmp_path / "out", recipe, 3)
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [
        line["file"] for line in lines(tmp_path / "out")
    ]
    (category,) = coco["categories"]
    assert len(category["keypoints"]) == 21
    assert category["keypoints"][8] == "index_tip"
    assert [1, 2] in category["skeleton"]
    first = coco["annotations"][0]
    hand = lines(tmp_path / "out")[0]["hands"][0]
    # Ours count from the first pixel's corner, COCO's from its middle.
    x, y, _ = hand["keypoints"][0]
    assert first["keypoints"][:3] == [
        pytest.approx(x - 0.5),
        pytest.approx(y - 0.5),
        1 + hand["visible"][0],
    ]
    assert first["handedness"] == hand["handedness"]
    assert first["num_keypoints"] == 21
    left, top, right, bottom = hand["box"]
    np.testing.assert_allclose(first["bbox"], [left, top, right - left, bottom - top], atol=0.01)


def test_a_run_goes_on_after_its_last_whole_line(recipe: RenderRecipe, tmp_path: Path) -> None:
    at_once, in_parts = tmp_path / "a", tmp_path / "b"
    synthesise(at_once, recipe, 4)
    synthesise(in_parts, recipe, 2)
    # A killed run leaves half a line, and perhaps a picture without any.
    with (in_parts / "labels.jsonl").open("a") as labels:
        labels.write('{"file":"pictures/0000')
    counts = synthesise(in_parts, recipe, 4)
    assert (counts.made, counts.resumed) == (2, 2)
    for name in ("labels.jsonl", "coco.json", "sheet.png", "pictures/000003.png"):
        assert (in_parts / name).read_bytes() == (at_once / name).read_bytes()
    assert synthesise(in_parts, recipe, 4).made == 0


def test_other_settings_are_refused_by_name(recipe: RenderRecipe, tmp_path: Path) -> None:
    synthesise(tmp_path / "out", recipe, 1)
    other = RenderRecipe(seed=2, options=recipe.options, folder=recipe.folder, people=4)
    with pytest.raises(InputError, match="made with seed 1, not 2"):
        synthesise(tmp_path / "out", other, 1)
    larger = RenderRecipe(seed=1, options=CropOptions(size=48), folder=recipe.folder, people=4)
    with pytest.raises(InputError, match="made with size 32, not 48"):
        synthesise(tmp_path / "out", larger, 1)


@pytest.mark.parametrize("content", [b"[1]", b'"x"', b"{", b"[" * 10_000, b"\xff"])
def test_settings_that_no_run_wrote_are_refused_before_anything_is_written(
    recipe: RenderRecipe, tmp_path: Path, content: bytes
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.json").write_bytes(content)
    with pytest.raises(InputError, match=r"settings\.json: .*; name another folder$"):
        synthesise(out, recipe, 1)
    assert {path.name for path in out.iterdir()} <= {"settings.json", ".lock"}


def test_labels_that_no_run_wrote_are_refused_before_anything_is_written(
    recipe: RenderRecipe, tmp_path: Path
) -> None:
    synthesise(tmp_path / "whole", recipe, 1)
    (line,) = lines(tmp_path / "whole")
    (hand, *_) = line["hands"]
    wrong = [
        *(b"[1]", b"{}", b"3", b"\xff", b"", b"[" * 10_000),
        *(json.dumps(line | change).encode() for change in WRONG_LINES),
        *(json.dumps(line | {"hands": [hand | change]}).encode() for change in WRONG_HANDS),
    ]
    for number, content in enumerate(wrong):
        out = tmp_path / str(number)
        out.mkdir()
        # Half a line too: what is not ours is not cut either.
        (out / "labels.jsonl").write_bytes(content + b"\n{")
        # Of what is no text nobody counts lines.
        with pytest.raises(
            InputError, match=r"labels\.jsonl: (line 1|cannot be read): .*; name another folder$"
        ):
            synthesise(out, recipe, 2)
        assert {path.name for path in out.iterdir()} <= {"labels.jsonl", ".lock"}
        assert (out / "labels.jsonl").read_bytes() == content + b"\n{"


@pytest.mark.parametrize("content", ["my notes", "\0" * 100])
def test_what_is_no_half_line_of_labels_is_not_cut_off(
    recipe: RenderRecipe, tmp_path: Path, content: str
) -> None:
    (tmp_path / "labels.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"labels\.jsonl: line 1: .*; name another folder$"):
        synthesise(tmp_path, recipe, 1)
    assert (tmp_path / "labels.jsonl").read_text() == content


WRONG_LINES: list[dict[str, Any]] = [
    {"file": "pictures/000001.png"},
    {"file": "../000000.png"},
    {"complete": None},
    {"width": 0},
    {"height": "32"},
    {"hands": None},
    {"hands": [1]},
]
WRONG_HANDS: list[dict[str, Any]] = [
    {"keypoints": [[0, 0]] * 21},
    {"keypoints": [[0, 0, 0]] * 20},
    {"handedness": 3},
    {"visible": None},
    {"box": [1, 2, 3]},
    {"person": None},
]


@pytest.mark.parametrize("people", [0, 99_999_999_999_999_999_999, 2.0])
def test_people_that_nobody_can_be_drawn_of_are_refused(people: Any) -> None:
    with pytest.raises(InputError, match="people: expected a whole number in"):
        RenderRecipe(people=people)


def test_what_is_unknown_is_null() -> None:
    keypoints = np.full((21, 3), 5.0)
    keypoints[4] = np.nan
    line = hand_to_json(LabelledHand(keypoints, "true"))
    assert line["keypoints"][3:5] == [[5, 5, 5], [None, None, None]]
    assert line["visible"] is line["world"] is line["box"] is line["handedness"] is None
    assert json.loads(json.dumps(line, allow_nan=False)) == line


def test_the_command_fills_a_folder(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDHELD_DATA", str(data_folder.parent))
    options = [
        "synth",
        "--count",
        "2",
        "--out",
        str(tmp_path / "out"),
        "--crops",
        "32",
        "--people",
        "2",
        "--quiet",
    ]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert len(lines(tmp_path / "out")) == 2


def test_without_a_mesh_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDHELD_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(app, ["synth", "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)
    assert "set HANDHELD_DATA to a folder that holds hands/mesh" in str(result.exception)
    assert not (tmp_path / "out").exists()
