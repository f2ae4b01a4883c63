"""Both trainings as a whole, on a world of two dozen drawn hands: stopped, resumed, broken,
exported.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handheld.config import from_table
from handheld.errors import HandheldError, InputError, MediaError, ModelError, TrainingError
from handheld.hands import HandTracker, load_pack
from handheld.hands.packs import ASSETS
from handheld.hands.training import pack
from handheld.hands.training import run as training_run
from handheld.hands.training.compiled import fill_from_file, shape_of_file
from handheld.hands.training.config import ExampleConfig, LearnConfig
from handheld.hands.training.landmark import training as landmark_training
from handheld.hands.training.landmark.network import LandmarkNetwork, LandmarkShape
from handheld.hands.training.landmark.trainee import LandmarkConfig, LandmarkTrainee
from handheld.hands.training.landmark.training import export_landmarks, train_landmarks
from handheld.hands.training.pack import assemble_pack, card_of
from handheld.hands.training.palm import training as palm_training
from handheld.hands.training.palm.network import PalmShape
from handheld.hands.training.palm.trainee import PalmConfig
from handheld.hands.training.palm.training import train_palms
from handheld.hands.training.run import TrainingFolder, averaged_weights, train
from handheld.media import read_image
from handheld.training import loop

TINY = {"widths": (4, 4, 8, 8, 8), "depths": (0, 0, 0, 0, 0), "pyramid": 8}


def examples(world, **options):
    return ExampleConfig(str(world.data), str(world.labels), str(world.cache), workers=0, **options)


def landmark_config(world, **learn):
    return LandmarkConfig(
        arm="real",
        examples=examples(world),
        learn=LearnConfig(**{"steps": 6, "batch": 4, "evaluate_every": 3, **learn}),
        network=LandmarkShape(size=64, hidden=16, **TINY),
    )


def run(config, folder, **options):
    return train(
        LandmarkTrainee(config), config.learn, config.plan(), TrainingFolder(folder), **options
    )


def weights(learner):
    return {name: value.clone() for name, value in learner.state_dict().items()}


class MachineLostError(Exception):
    """Stands for a lost machine."""


def stop_at(step):
    def progress(stage, share, words):
        if stage == "train" and words.startswith(f"step {step},"):
            raise MachineLostError

    return progress


def test_a_run_that_was_stopped_gives_the_same_weights_and_evaluations(
    world, tmp_path, monkeypatch
):
    config = landmark_config(world)
    whole = run(config, tmp_path / "whole")
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)  # after each step
    for step in (2, 5):
        with pytest.raises(MachineLostError):
            run(config, tmp_path / "parts", progress=stop_at(step))
    resumed = run(config, tmp_path / "parts")
    assert [line["step"] for line in resumed.evaluations] == [3, 6]
    assert resumed.evaluations == whole.evaluations
    expected = weights(whole.learner)
    for name, value in weights(resumed.learner).items():
        assert torch.equal(value, expected[name]), name


def test_an_evaluation_that_was_stopped_is_made_when_the_run_goes_on(world, tmp_path, monkeypatch):
    """No minute is over, so nothing but the interrupt has saved the steps."""
    config = landmark_config(world)
    whole = run(config, tmp_path / "whole")

    def interrupt(trainee, network):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LandmarkTrainee, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "parts")
    seen = []
    resumed = run(config, tmp_path / "parts", progress=lambda *told: seen.append(told[2]))
    assert seen[0].startswith("step 3,")
    assert resumed.evaluations == whole.evaluations
    expected = weights(whole.learner)
    for name, value in weights(resumed.learner).items():
        assert torch.equal(value, expected[name]), name


def test_batches_made_by_a_worker_are_those_made_here(world, tmp_path):
    config = landmark_config(world, steps=2)
    here = run(config, tmp_path / "here")
    with_worker = replace(config, examples=replace(config.examples, workers=1))
    there = run(with_worker, tmp_path / "there")
    expected = weights(here.learner)
    assert all(torch.equal(value, expected[name]) for name, value in weights(there.learner).items())


def test_a_folder_keeps_its_plan(world, tmp_path):
    run(landmark_config(world, steps=1), tmp_path / "run")
    with pytest.raises(InputError, match=r"begun with learn = .*rate"):
        run(landmark_config(world, steps=1, rate=1e-4), tmp_path / "run")
    # How often it is judged, and on how many cores it runs, is free.
    run(landmark_config(world, steps=1, evaluate_every=1), tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "begun", "then"),
    [
        ("steady", 1.0, 0.0),
        ("steady", 0.0, 1.0),
        ("rendered_share", 0.3, 0.5),
        ("rendered_share", 0.5, 0.9),
        ("skin_tones", 0.3, 0.0),
        ("meeting", 0.2, 0.0),
        ("cut_off", 0.3, 0.0),
        ("fists", 0.4, 0.0),
    ],
)
def test_a_run_does_not_go_on_with_other_shares(world, tmp_path, name, begun, then):
    config = landmark_config(world, steps=1)
    run(replace(config, **{name: begun}), tmp_path / "run")
    with pytest.raises(InputError, match=f"begun with {name} = {begun}, not {then}"):
        run(replace(config, **{name: then}), tmp_path / "run")


def test_a_run_of_before_goes_on_as_it_was(world, tmp_path):
    config = replace(landmark_config(world, steps=1), skin_tones=0.0)
    run(config, tmp_path / "run")
    path = TrainingFolder(tmp_path / "run").plan
    plan = json.loads(path.read_text())
    # Settings that there were not when it was begun.
    for name in ("skin_tones", "rendered_share", "steady", "meeting", "cut_off", "fists"):
        del plan[name]
    path.write_text(json.dumps(plan))
    run(config, tmp_path / "run")
    with pytest.raises(InputError, match=r"begun with steady = 0\.0"):
        run(replace(config, steady=1.0), tmp_path / "run")


def cut_labels(world):
    lines = world.labels.read_text().splitlines(keepends=True)
    world.labels.write_text("".join(lines[:-1]))


def remove_a_negative(world):
    next((world.data / "negatives").iterdir()).unlink()


def add_a_photo(world):
    photos = world.data / "photos" / "digits"
    first = min(photos.iterdir())
    (photos / "IMG_99999.png").write_bytes(first.read_bytes())


@pytest.mark.parametrize(
    ("change", "name"),
    [(cut_labels, "labels"), (remove_a_negative, "negatives"), (add_a_photo, "photos")],
)
def test_a_run_does_not_go_on_with_other_data(world, tmp_path, change, name, monkeypatch):
    for task in (landmark_training, palm_training):
        monkeypatch.setattr(task, "_written", lambda *_: None)
    landmarks = landmark_config(world, steps=1)
    palms = PalmConfig(
        rendered=0.0,
        examples=examples(world),
        learn=LearnConfig(steps=1, batch=2),
        network=PalmShape(size=64, **TINY),
    )
    train_landmarks(landmarks, tmp_path / "landmarks")
    train_palms(palms, tmp_path / "palms")
    change(world)
    with pytest.raises(InputError, match=rf"landmarks: was begun with {name} = "):
        train_landmarks(landmarks, tmp_path / "landmarks")
    with pytest.raises(InputError, match=rf"palms: was begun with {name} = "):
        train_palms(palms, tmp_path / "palms")


def test_photos_that_labels_name_and_that_are_gone_are_named(world, tmp_path):
    names = sorted(path.name for path in (world.data / "photos" / "digits").iterdir())
    for name in names[:2]:
        (world.data / "photos" / "digits" / name).unlink()
    with pytest.raises(InputError) as caught:
        run(landmark_config(world), tmp_path / "run")
    gone = ", ".join(f"digits/{name}" for name in names[:2])
    assert f"2 of the photos that it labels are not in {world.data / 'photos'}: {gone}; " in str(
        caught.value
    )


def test_minutes_become_steps_once(world, tmp_path):
    config = landmark_config(world, steps=1000)
    result = run(config, tmp_path / "run", minutes=0.002)
    steps = result.plan["steps"]
    assert 1 <= steps < 1000
    assert run(config, tmp_path / "run", minutes=50).plan["steps"] == steps


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan"), float("inf"), 1e308])
def test_minutes_that_are_no_time_are_named(world, tmp_path, minutes):
    with pytest.raises(InputError, match=r"^minutes: expected a number in \(0, 527040\]"):
        run(landmark_config(world), tmp_path / "run", minutes=minutes)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_ends_with_the_last_state_usable(world, tmp_path, monkeypatch):
    config = landmark_config(world)
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    original = LandmarkTrainee.loss

    def breaks(self, network, step):
        return original(self, network, step) * (float("nan") if step == 4 else 1.0)

    monkeypatch.setattr(LandmarkTrainee, "loss", breaks)
    with pytest.raises(TrainingError, match="the loss is nan in step 4 of 6"):
        run(config, tmp_path / "run")
    kept = averaged_weights(tmp_path / "run" / "state.pt")
    assert all(value.isfinite().all() for value in kept.values())
    monkeypatch.setattr(LandmarkTrainee, "loss", original)
    assert run(config, tmp_path / "run").evaluations[-1]["step"] == 6


def test_after_a_first_step_that_failed_another_rate_can_be_tried(world, tmp_path, monkeypatch):
    original = LandmarkTrainee.loss
    monkeypatch.setattr(LandmarkTrainee, "loss", lambda *given: original(*given) * float("inf"))
    with pytest.raises(TrainingError, match="in step 0 of 6"):
        run(landmark_config(world), tmp_path / "run")
    monkeypatch.setattr(LandmarkTrainee, "loss", original)
    assert run(landmark_config(world, rate=1e-4), tmp_path / "run").plan["learn"]["rate"] == 1e-4


@pytest.mark.parametrize(
    "line", [b"[1]", b"3", b"null", b'{"a": 1}', b"\xff\xfe", b"[" * 5000, b'{"step": 3, "mea']
)
def test_an_evaluation_that_is_none_is_made_again(world, tmp_path, monkeypatch, line):
    config = landmark_config(world)
    whole = run(config, tmp_path / "whole")
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    with pytest.raises(MachineLostError):
        run(config, tmp_path / "run", progress=stop_at(3))
    (tmp_path / "run" / "evaluations.jsonl").write_bytes(line)
    assert run(config, tmp_path / "run").evaluations == whole.evaluations
    # And stays so when the file is read again, which had no end of a line.
    assert run(config, tmp_path / "run").evaluations[-1] == whole.evaluations[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object"),
        ('"x"', "expected an object"),
        ("[" * 5000, "too many to read"),
        ("\xff", "invalid start byte"),
        ('{"steps": "x"}', "steps: expected a whole number"),
        ('{"steps": 6, "started": null}', "started: expected a number"),
        ('{"steps": 6, "started": 1.0, "network": []}', "network: expected an object"),
        ('{"steps": 6, "started": 1.0, "network": {}}', "network.size: expected a whole number"),
    ],
)
def test_a_plan_that_is_none_is_named(world, tmp_path, text, message):
    config = landmark_config(world, steps=1)
    run(config, tmp_path / "run")
    (tmp_path / "run" / "plan.json").write_text(text, "latin-1")
    with pytest.raises(InputError, match=rf"plan\.json: no plan of a run \(.*{message}"):
        run(config, tmp_path / "run")


def test_a_full_disk_ends_with_the_last_state_usable(world, tmp_path, monkeypatch):
    config = landmark_config(world)
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    original = loop.save_state

    def full(path, state):
        if state["done"] == 4:
            raise MediaError(f"{path}: No space left on device")
        original(path, state)

    monkeypatch.setattr(loop, "save_state", full)
    with pytest.raises(MediaError, match="No space left"):
        run(config, tmp_path / "run")
    assert averaged_weights(tmp_path / "run" / "state.pt")
    monkeypatch.setattr(loop, "save_state", original)
    assert run(config, tmp_path / "run").evaluations[-1]["step"] == 6


def test_a_photo_that_cannot_be_read_is_named_before_anything_starts(world, tmp_path):
    photo = next((world.data / "photos" / "digits").iterdir())
    photo.write_bytes(b"")
    with pytest.raises(InputError, match=f"photo digits/{photo.name}"):
        LandmarkTrainee(landmark_config(world))


def test_labels_that_are_not_there_say_how_they_are_made(world):
    world.labels.unlink()
    with pytest.raises(InputError, match="handheld hands pseudo-label"):
        LandmarkTrainee(landmark_config(world))


def test_a_run_can_start_from_the_weights_of_another(world, tmp_path):
    first = run(landmark_config(world, steps=2), tmp_path / "first")
    state = str(tmp_path / "first" / "state.pt")
    # With a rate of nearly nothing the second run stays where it began.
    second = run(landmark_config(world, steps=1, rate=1e-9, start=state), tmp_path / "second")
    started = second.learner.network.state_dict()
    for name, value in first.learner.average.module.state_dict().items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(started[name], value, atol=1e-6), name


def test_trained_networks_become_a_pack_that_tracks(world, tmp_path, monkeypatch):
    pytest.importorskip("litert_torch")
    pytest.importorskip("faster_coco_eval")
    monkeypatch.setattr(pack, "PRECISIONS", {"float32": ""})  # the others take minutes
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    config = landmark_config(world)
    with pytest.raises(MachineLostError):
        train_landmarks(config, tmp_path / "landmarks", progress=stop_at(4))
    done = export_landmarks(config, tmp_path / "landmarks")  # of a run that is not at its end
    other = replace(config, network=replace(config.network, hidden=8))
    with pytest.raises(InputError, match="begun with network = "):
        export_landmarks(other, tmp_path / "landmarks")
    assert done.scores.hands == 6
    assert list(done.export.files) == ["float32"]
    card = done.card.read_text()
    assert "ardamavi/Sign-Language-Digits-Dataset" in card
    assert "agreement with a teacher" in card
    assert "![Scores](landmark.png)" in card
    assert read_image(tmp_path / "landmarks" / "landmark.png").shape[1] == 960
    palm_config = PalmConfig(
        rendered=0.0,
        examples=examples(world),
        learn=LearnConfig(steps=2, batch=2, evaluate_every=10),
        network=PalmShape(size=64, **TINY),
    )
    train_palms(palm_config, tmp_path / "palm")
    assemble_pack(tmp_path / "palm", tmp_path / "landmarks", tmp_path / "pack")
    card = (tmp_path / "pack" / "card.md").read_text()
    assert card.startswith("![Scores](card.png)\n\n# Palm detector\n\nLicence")
    assert card.count("![") == 1
    # That of the landmarks below that of the palms.
    heights = [
        read_image(tmp_path / name).shape[0]
        for name in ("palm/palm.png", "landmarks/landmark.png", "pack/card.png")
    ]
    assert heights[0] + heights[1] == heights[2]
    with HandTracker(pack=tmp_path / "pack", min_palm_score=1e-4, min_hand_score=0.0) as tracker:
        hands = tracker.detect(np.full((120, 160, 3), 90, np.uint8))
        assert tracker.pack.palm_geometry.grids == ((8, 1), (4, 1), (2, 1))
    assert hands
    assert hands[0].confidence.shape == (21,)
    assert len(json.loads(json.dumps(hands[0].to_json()))["confidence"]) == 21
    with pytest.raises(InputError, match="expected a run of palm"):
        assemble_pack(tmp_path / "landmarks", tmp_path / "palm", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    kept = {path: path.read_bytes() for path in (tmp_path / "pack").iterdir()}
    # Another palm detector, so that half a pack would be seen.
    palm_file = tmp_path / "palm" / "palm.tflite"
    palm_file.write_bytes(load_pack("handheld-lite").palm.read_bytes())
    landmark_file = tmp_path / "landmarks" / "landmark.tflite"
    for damage in (
        lambda: done.card.write_bytes(b"\xff\xfe\xff"),
        done.card.unlink,
        lambda: landmark_file.write_bytes(landmark_file.read_bytes()[:1000]),
        landmark_file.unlink,
    ):
        damage()
        with pytest.raises(HandheldError, match="landmark"):
            assemble_pack(tmp_path / "palm", tmp_path / "landmarks", tmp_path / "pack")
        assert {path: path.read_bytes() for path in (tmp_path / "pack").iterdir()} == kept


def test_a_pack_on_a_full_disk_stays_as_it_was(tmp_path, monkeypatch):
    draft, folder = tmp_path / "draft", tmp_path / "pack"
    for path in (draft, folder):
        path.mkdir()
        for name in pack.PACK_FILES:
            (path / name).write_text(path.name)
    pack._settle(draft, folder)
    assert {path.read_text() for path in folder.iterdir()} == {"draft"}
    (draft / pack.PACK_FILES[0]).unlink()  # it is written last, and cannot be
    for name in pack.PACK_FILES[1:]:
        (draft / name).write_text("newer")
    with pytest.raises(FileNotFoundError):
        pack._settle(draft, folder)
    assert {path.read_text() for path in folder.iterdir()} == {"draft"}
    assert len(list(folder.iterdir())) == len(pack.PACK_FILES)


def test_a_pack_that_is_stopped_between_two_files_is_none(tmp_path, monkeypatch):
    folder = tmp_path / "pack"
    shutil.copytree(ASSETS / "handheld", folder)
    settled = []

    def replace_once(source, target):
        if settled:
            raise KeyboardInterrupt
        settled.append(target)
        rename(source, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        pack._settle(ASSETS / "handheld-lite", folder)
    assert len(settled) == 1
    with pytest.raises(ModelError, match=r"expected pack\.toml"):
        load_pack(folder)


def test_a_narrower_network_starts_from_the_channels_of_a_wide_one(world, tmp_path):
    first = run(landmark_config(world, steps=2), tmp_path / "wide")
    state = str(tmp_path / "wide" / "state.pt")
    narrow_shape = LandmarkShape(size=64, hidden=8, **TINY | {"widths": (2, 4, 6, 8, 8)})
    config = replace(landmark_config(world, steps=1, rate=1e-9, start=state), network=narrow_shape)
    second = run(config, tmp_path / "narrow")
    started = second.learner.network.state_dict()["backbone.stages.0.0.0.weight"]
    rows = list(first.learner.average.module.state_dict()["backbone.stages.0.0.0.weight"])
    for row in started:
        assert any(torch.allclose(row, other, atol=1e-6) for other in rows)
    file = tmp_path / "wide" / "plan.json"
    plan = json.loads(file.read_text())
    plan["network"]["size"] = "many"
    file.write_text(json.dumps(plan))
    with pytest.raises(InputError, match="size"):
        run(config, tmp_path / "again")
    plan["network"]["size"] = 96
    file.write_text(json.dumps(plan))
    with pytest.raises(InputError, match="not of the network in its plan"):
        run(config, tmp_path / "again")


@pytest.mark.parametrize(
    "network", [None, [], {1: torch.zeros(2)}, {"average.module.backbone": "x"}]
)
def test_a_state_of_no_network_is_no_start(world, tmp_path, network):
    state = tmp_path / "state.pt"
    torch.save({"network": network}, state)
    with pytest.raises(InputError, match=r"learn.start = .*state\.pt"):
        run(landmark_config(world, start=str(state)), tmp_path / "run")


def test_a_run_can_start_from_a_pack_that_ships(world, tmp_path):
    shape = from_table(LandmarkShape, shape_of_file(load_pack("handheld").landmark), "network")
    config = landmark_config(world, steps=1, rate=1e-9, start="handheld")
    config = replace(config, network=shape)
    done = run(config, tmp_path / "run")
    picture = torch.rand(1, 3, shape.size, shape.size)
    with torch.no_grad():
        output = done.learner.network.eval()(picture)
    with load_pack("handheld").open_landmark() as model:
        points = model.run(np.ascontiguousarray(picture.numpy().transpose(0, 2, 3, 1)))[0]
    # In pixels of the crop: what one step's statistics of four small crops move is less than one.
    np.testing.assert_allclose(output.points.flatten() * shape.size, points[0], atol=1.0)
    narrow = replace(config, network=replace(shape, widths=(8, 16, 32, 64, 112), pyramid=32))
    assert run(narrow, tmp_path / "narrow").evaluations


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("handhold", "expected the state.pt of a run, handheld, handheld-lite"),
        (str(ASSETS / "handheld" / "palm.tflite"), "no entry"),
        (str(ASSETS / "handheld-lite"), "has 8 channels"),
    ],
)
def test_a_start_that_does_not_fit_names_the_setting_and_leaves_nothing(
    world, tmp_path, start, message
):
    shape = from_table(LandmarkShape, shape_of_file(load_pack("handheld").landmark), "network")
    config = replace(landmark_config(world, steps=1, start=start), network=shape)
    with pytest.raises(InputError, match=f"learn.start = .*{message}"):
        run(config, tmp_path / "run")
    right = replace(config, learn=replace(config.learn, start="handheld"))
    assert run(right, tmp_path / "run").evaluations


def test_a_run_can_start_from_the_mean_of_networks(world, tmp_path):
    """A network's mean with itself is itself, and no step is taken from there."""
    shape = from_table(LandmarkShape, shape_of_file(load_pack("handheld").landmark), "network")
    file = tmp_path / "runs" / "other" / "landmark.tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(load_pack("handheld").landmark.read_bytes())
    start = {"handheld": 0.25, str(file): 0.75}
    config = replace(landmark_config(world, steps=0, start=start), network=shape)
    done = run(config, tmp_path / "mean")
    one = replace(landmark_config(world, steps=0, start="handheld"), network=shape)
    same = run(one, tmp_path / "one").learner.average.module.state_dict()
    for name, value in done.learner.average.module.state_dict().items():
        torch.testing.assert_close(value, same[name], rtol=1e-3, atol=1e-4)
    assert run(config, tmp_path / "mean").evaluations == done.evaluations


def test_a_network_that_is_named_twice_loses_no_share(world, tmp_path):
    file = tmp_path / "same.tflite"
    file.symlink_to(load_pack("handheld").landmark)
    start = {"handheld": 0.5, str(load_pack("handheld").landmark): 0.2}
    for names in (start, {"handheld": 0.5, str(file): 0.5}):
        with pytest.raises(InputError, match=r"learn\.start = .*: one network is named twice"):
            run(landmark_config(world, steps=0, start=names), tmp_path / "mean")
    with pytest.raises(InputError, match="start: expected a share of each network, got an empty"):
        landmark_config(world, steps=0, start={})


def test_a_state_without_its_plan_is_no_run_to_go_on_with(world, tmp_path):
    config = landmark_config(world, steps=1)
    run(config, tmp_path / "run")
    TrainingFolder(tmp_path / "run").plan.unlink()
    with pytest.raises(InputError, match=r"plan\.json: no plan of a run"):
        run(replace(config, empty=0.7), tmp_path / "run")


def test_of_a_run_s_state_no_mean_is_taken(world, tmp_path):
    state = tmp_path / "state.pt"
    state.write_bytes(b"weights")
    config = landmark_config(world, steps=0, start={"handheld": 0.5, str(state): 0.5})
    with pytest.raises(InputError, match=r"state\.pt: expected a pack or a \.tflite of one"):
        run(config, tmp_path / "mean")


def test_a_run_that_keeps_its_number_of_steps_says_so(world, tmp_path):
    run(landmark_config(world, steps=1), tmp_path / "run")
    told = []
    again = landmark_config(world, steps=3)
    run(again, tmp_path / "run", progress=lambda stage, share, note: told.append(note))
    assert "of 1 steps, as it was begun with; not 3" in told


def test_the_mean_of_networks_is_that_of_their_weights(world, monkeypatch):
    """Two files, of which one holds twice the numbers of the other."""
    shape = shape_of_file(load_pack("handheld").landmark)
    monkeypatch.setattr(training_run, "normalise", lambda network, look: None)
    monkeypatch.setattr(training_run, "shape_of_file", lambda file: shape)
    known = {Path("a.tflite"): 1.0, Path("b.tflite"): 3.0}

    def fill(network, file):
        with torch.no_grad():
            for weight in network.parameters():
                weight.fill_(known[file])

    monkeypatch.setattr(training_run, "fill_from_file", fill)
    trainee = LandmarkTrainee(landmark_config(world))
    mean = training_run._from_files(trainee, {Path("a.tflite"): 0.5, Path("b.tflite"): 1.5}, 128)
    for weight in mean.parameters():
        torch.testing.assert_close(weight, torch.full_like(weight, 0.25 * 1.0 + 0.75 * 3.0))


def test_a_run_can_start_from_a_network_for_pictures_of_another_size(world, tmp_path):
    shape = from_table(LandmarkShape, shape_of_file(load_pack("handheld").landmark), "network")
    config = landmark_config(world, steps=1, rate=1e-9, start="handheld")
    larger = replace(config, network=replace(shape, size=160))
    started = run(larger, tmp_path / "larger").learner.network.state_dict()
    network = LandmarkNetwork(shape)
    fill_from_file(network, load_pack("handheld").landmark)
    expected = network.resized(160).state_dict()
    for name in ("whole.0.weight", "maps.weight", "outputs.weight"):
        torch.testing.assert_close(started[name], expected[name], rtol=0, atol=1e-6)
    state = str(tmp_path / "larger" / "state.pt")
    narrow = replace(shape, size=64, widths=(8, 16, 32, 64, 112), pyramid=32)
    again = replace(config, network=narrow, learn=replace(config.learn, start=state))
    assert run(again, tmp_path / "narrow").evaluations


def test_a_run_goes_on_without_what_it_started_from(world, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_SECONDS", -1.0)
    file = tmp_path / "start.tflite"
    file.write_bytes(load_pack("handheld").landmark.read_bytes())
    shape = from_table(LandmarkShape, shape_of_file(file), "network")
    config = replace(landmark_config(world, start=str(file)), network=shape)
    with pytest.raises(MachineLostError):
        run(config, tmp_path / "run", progress=stop_at(4))
    file.unlink()
    assert run(config, tmp_path / "run").evaluations[-1]["step"] == 6


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("/home/ada/work/hands/wide/state.pt", "wide/state.pt"),
        ("work/hands/wide/state.pt", "wide/state.pt"),
        ("handheld", "handheld"),
        ("", ""),
    ],
)
def test_a_card_names_no_folder_of_the_machine(start, told):
    plan = LandmarkConfig(learn=LearnConfig(start=start)).plan()
    card = card_of(nn.Linear(1, 1), plan, {}, title="a network", seconds=1.0)
    assert card["plan"]["learn"]["start"] == told
    assert card["plan"]["task"] == "landmarks"
