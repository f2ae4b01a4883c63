"""Hand tracking as a task of the bench."""

import json
import math
import shutil
from importlib import resources

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.bench import BenchProtocol, SystemTask, bench
from handheld.cli.app import app
from handheld.errors import InputError, ModelError
from handheld.hands.task import (
    CLOSE,
    FRAME_BUDGET,
    FrameLabels,
    HandTrackingTask,
    frame_errors,
)
from handheld.media import Frame, open_video, write_image

CLIP = resources.files("handheld.hands").joinpath("assets", "demo.mp4")
TRUTH = json.loads(CLIP.with_name("demo.truth.json").read_text("utf-8"))
SHORT = BenchProtocol(min_queries=1, min_seconds=0, budgets=(FRAME_BUDGET,))
FRAMES = 6


def hand(x=0.0, y=0.0, size=100.0):
    """A hand whose wrist is at a point, and whose middle knuckle is a palm length above it."""
    points = np.zeros((21, 2)) + np.array((x, y))
    points[9, 1] -= size
    return points


def blank(count):
    return [
        Frame(np.zeros((8, 8, 3), np.uint8), 40_000 * number, number) for number in range(count)
    ]


def reference_share(tracked, labels):
    """PCK for hands that are listed in the same order, None where one was not found."""
    right = total = 0
    for points, truth in zip(tracked, labels, strict=True):
        palm = math.dist(truth[0], truth[9])
        for number in range(21):
            if math.isnan(truth[number][0]):
                continue
            total += 1
            if points is not None and math.dist(points[number], truth[number]) / palm < CLOSE:
                right += 1
    return right / total


def test_errors_are_in_palm_lengths():
    truth = hand()
    tracked = truth + np.array((3.0, 4.0))  # five pixels of a palm of a hundred
    errors = frame_errors([tracked], FrameLabels((truth,)))
    assert errors.distances == pytest.approx(np.full((1, 21), 0.05))
    assert (errors.right, errors.total, errors.strangers) == (21, 21, 0)


def test_the_nearest_are_one_hand_and_each_hand_is_taken_once():
    left, right = hand(0), hand(60)
    # the order of what is tracked says nothing
    errors = frame_errors([hand(58), hand(4)], FrameLabels((left, right)))
    assert errors.distances[:, 0] == pytest.approx([0.04, 0.02])
    # two that were found for one hand: the second is a stranger
    errors = frame_errors([hand(4), hand(1)], FrameLabels((left,)))
    assert errors.distances[0, 0] == pytest.approx(0.01)
    assert (errors.right, errors.total, errors.strangers) == (21, 42, 1)


def test_what_is_a_palm_length_away_is_another_hand():
    errors = frame_errors([hand(100)], FrameLabels((hand(),)))
    assert np.isinf(errors.distances).all()
    assert (errors.right, errors.total) == (0, 42)


def test_where_labels_are_not_complete_nobody_is_a_stranger():
    errors = frame_errors([hand(0), hand(500)], FrameLabels((hand(),), is_complete=False))
    assert (errors.right, errors.total) == (21, 21)


def test_unknown_keypoints_do_not_count():
    truth = hand()
    truth[4] = np.nan
    errors = frame_errors([hand()], FrameLabels((truth,)))
    assert (errors.right, errors.total) == (20, 20)
    assert frame_errors([], FrameLabels((truth,))).total == 20


def test_the_metric_is_the_share_of_close_keypoints():
    rng = np.random.default_rng(3)
    truth = [hand(x=200 * number) for number in range(5)]
    tracked = [points + rng.normal(0, 12, (21, 2)) for points in truth]
    truth[2][7] = np.nan
    tracked[3] = None
    task = HandTrackingTask(blank(5), [FrameLabels((one,)) for one in truth], np.ones(5, bool))
    answers = [[] if points is None else [points] for points in tracked]
    estimate = task.judge(answers)
    assert estimate.value == pytest.approx(reference_share(tracked, truth))
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    # a frame that was not reached is one in which nothing was found
    answers[3] = None
    assert task.judge(answers) == estimate
    details = task.details(answers)
    assert details["share of hands found"] == 4 / 5
    distances = [
        math.dist(points[number], one[number]) / 100
        for points, one in zip(tracked, truth, strict=True)
        if points is not None
        for number in range(21)
        if not math.isnan(one[number][0])
    ]
    name = "mean error of their keypoints in palm lengths"
    assert details[name] == pytest.approx(sum(distances) / len(distances))
    assert details["hands that are none, a frame"] == 0


def test_frames_of_one_stretch_have_no_interval():
    labels = [FrameLabels((hand(),))] * 20
    task = HandTrackingTask(blank(20), labels, np.arange(20) == 0)
    estimate = task.judge([[hand()]] * 20)
    assert estimate.value == 1.0
    assert math.isnan(estimate.low)


def test_a_hand_that_is_not_there_costs_nothing_where_none_is_found():
    labels = [FrameLabels(()), FrameLabels((hand(),))]
    task = HandTrackingTask(blank(2), labels, np.ones(2, bool))
    assert task.judge([[]]).value == 0.0
    assert task.judge([[], [hand()]]).value == 1.0


@pytest.mark.parametrize(
    ("frames", "labels", "message"),
    [
        (0, [], "one frame or more"),
        (2, [FrameLabels((hand(),))], "2 frames, but labels of 1"),
        (1, [FrameLabels(())], "no hand is labelled"),
    ],
)
def test_tasks_of_nothing(frames, labels, message):
    with pytest.raises(InputError, match=message):
        HandTrackingTask(blank(frames), labels, np.ones(frames, bool))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The first frames of the clip that ships, as pictures, with their truth."""
    folder = tmp_path_factory.mktemp("frames")
    for frame in open_video(CLIP):
        if frame.index == FRAMES:
            break
        write_image(folder / f"{frame.index:03}.png", frame.image)
    table = {"frames": TRUTH["frames"][:FRAMES]}
    (folder / "truth.json").write_text(json.dumps(table), "utf-8")
    return folder


def test_a_pack_is_measured_on_frames(folder):
    task = HandTrackingTask.of(folder)
    assert isinstance(task, SystemTask)
    assert len(task) == FRAMES
    result = bench("handheld", task, protocol=SHORT)
    assert result.accuracy.value > 0.9
    assert result.details["share of hands found"] == 1.0
    assert result.details["mean error of their keypoints in palm lengths"] < 0.1
    assert (result.examples, result.unit) == (FRAMES, "frame")
    # both models of the pack
    assert result.model.bytes > 1_000_000
    assert result.model.operators["CONV_2D"] > 20


def test_single_pictures_with_labels_of_coco(folder, tmp_path):
    images = []
    annotations = []
    for number in (0, 5):
        name = f"{number:03}.png"
        shutil.copy(folder / name, tmp_path / name)
        images.append({"id": number, "file_name": name, "width": 640, "height": 480})
        for labelled in TRUTH["frames"][number]["hands"]:
            keypoints = [[x, y, 2] for x, y, _ in labelled["keypoints"]]
            annotation = {"id": len(annotations), "image_id": number, "category_id": 1}
            annotations.append({**annotation, "keypoints": np.ravel(keypoints).tolist()})
    table = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "hand"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(table), "utf-8")
    task = HandTrackingTask.of(tmp_path)
    result = bench("handheld", task, protocol=SHORT)
    assert len(task) == 2
    assert result.accuracy.value > 0.9
    assert result.accuracy.low <= result.accuracy.value


def test_labels_that_are_none(tmp_path, folder):
    with pytest.raises(InputError, match=r"clip\.truth\.json: cannot be read .* annotations\.json"):
        HandTrackingTask.of(tmp_path / "clip.mp4")
    copied = tmp_path / "frames"
    shutil.copytree(folder, copied)
    truth = copied / "truth.json"
    truth.write_text("[]", "utf-8")
    with pytest.raises(InputError, match="expected an object with 'frames'"):
        HandTrackingTask.of(copied)
    # No float holds it: it was a traceback.
    truth.write_text('{"frames": [{"hands": [{"keypoints": [[1%s, 1]]}]}]}' % ("0" * 400), "utf-8")
    with pytest.raises(InputError, match="a number of 401 digits"):
        HandTrackingTask.of(copied)
    truth.write_text('{"frames": [{}]}', "utf-8")
    with pytest.raises(InputError, match=f"labels of 1 frames; .* has {FRAMES}"):
        HandTrackingTask.of(copied)
    truth.write_text(json.dumps({"frames": [{"hands": [{"keypoints": [[1, 2]]}]}] * FRAMES}))
    with pytest.raises(InputError, match=r"frames\[0\]: expected 'hands'"):
        HandTrackingTask.of(copied)


def test_hands_at_the_edge_may_be_found_or_not(tmp_path, folder):
    copied = tmp_path / "frames"
    shutil.copytree(folder, copied)
    outside = hand(-900.0).tolist()
    edge = hand(100.0, 100.0)
    edge[:12] = (-5.0, 50.0)
    hands = [{"keypoints": outside}, {"keypoints": edge.tolist()}]
    whole = {"keypoints": hand(300.0, 300.0).tolist()}
    frames = [{"hands": [*hands, whole]}, {"hands": [{"keypoints": outside}]}] * (FRAMES // 2)
    (copied / "truth.json").write_text(json.dumps({"frames": frames}), "utf-8")
    task = HandTrackingTask.of(copied)
    # first frame: one is asked for, and a second may be found; second frame: none may
    tracked = [hand(300.0, 300.0), hand(100.0, 100.0)]
    assert task.judge([tracked]).value == 1.0
    assert task.judge([tracked, [hand(100.0, 100.0)]]).value == 0.5


def test_a_pack_that_is_none(folder):
    with pytest.raises(ModelError, match="no model pack"):
        bench("no-such-pack", HandTrackingTask.of(folder), protocol=SHORT)


def test_the_command(folder, tmp_path):
    words = ["bench", "handheld", "--task", "hands", "--data", str(folder), "--queries", "1"]
    done = CliRunner().invoke(app, [*words, "--seconds", "0", "--json", "-"])
    assert done.exit_code == 0, done.output
    (value,) = json.loads(done.stdout)
    assert value["unit"] == "frame"
    assert value["protocol"]["budgets"] == [FRAME_BUDGET]
    assert value["model"]["name"] == "handheld"
    done = CliRunner().invoke(app, [*words, "--seconds", "0"])
    assert "frames a second; share of hands found: 1" in done.stdout
    without = CliRunner().invoke(app, ["bench", "handheld", "--task", "hands"])
    assert isinstance(without.exception, InputError)
    driven = CliRunner().invoke(app, [*words, "--loadgen"])
    assert "expected classification or detection" in str(driven.exception)
