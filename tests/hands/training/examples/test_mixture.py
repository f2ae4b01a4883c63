import json
from dataclasses import replace

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.training.config import LearnConfig
from handheld.hands.training.examples import mixture as examples_mixture
from handheld.hands.training.examples.augment import flicker
from handheld.hands.training.examples.meeting import with_mirror_image
from handheld.hands.training.examples.mixture import CropMixture, fixed_examples, pool_name
from handheld.hands.training.examples.photo_hands import LabelLimits
from handheld.hands.training.landmark.trainee import LandmarkConfig
from handheld.hands.training.render.sources import RenderSources


def mixture(world, **options):
    return CropMixture(
        world.data, world.labels, world.cache, size=64, batch=16, arm="real", **options
    )


def test_a_step_is_the_same_in_every_process_and_no_other(world):
    first = mixture(world)(7)
    again = mixture(world)(7)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.points, again.points, equal_nan=True)
    assert not np.array_equal(first.pixels, mixture(world)(8).pixels)
    assert not np.array_equal(first.pixels, mixture(world, seed=1)(7).pixels)


def test_crops_with_and_without_hands_are_mixed(world):
    batches = [mixture(world, empty=0.5)(step) for step in range(6)]
    presence = np.concatenate([batch.presence for batch in batches])
    assert 0.3 < np.nanmean(presence) < 0.7
    for batch in batches:
        assert np.isnan(batch.points[batch.presence == 0]).all()


def test_training_sees_no_hand_of_the_other_splits(world):
    photos = mixture(world).photos
    assert {split: len(hands) for split, hands in photos.hands.items()} == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }
    people = [{entry.hand.person for entry in photos.hands[split]} for split in photos.hands]
    assert not people[0] & (people[1] | people[2])
    assert not set(photos.empty["train"]) & set(photos.empty["test"])


def test_a_teacher_that_does_not_agree_with_itself_is_not_believed(world):
    with pytest.raises(InputError, match="no hand of a training photo"):
        _ = mixture(world, limits=LabelLimits(disagreement=0.01)).photos


def changed_labels(world, keypoint, place):
    lines = [json.loads(line) for line in world.labels.read_text().splitlines()]
    for line in lines:
        line["hands"][0]["keypoints"][keypoint][:2] = place
    world.labels.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("place", [(-1e6, 50), (50, 9e5), (700, 700)])
def test_where_no_hand_can_reach_a_keypoint_is_unknown(world, place):
    changed_labels(world, 8, place)
    met = mixture(world, meeting=1.0, empty=0.0)
    for hands in met.photos.hands.values():
        for entry in hands:
            known = np.isfinite(entry.hand.keypoints[:, 0])
            assert np.flatnonzero(~known).tolist() == [8]
    assert met(0).pixels.shape == (16, 64, 64, 3)


def test_a_hand_whose_wrist_is_nowhere_teaches_nothing(world):
    changed_labels(world, 0, (1e6, 1e6))
    with pytest.raises(InputError, match="no hand of a training photo"):
        _ = mixture(world).photos


def test_what_judges_a_network_never_changes(world):
    photos = mixture(world).photos
    first, again = (fixed_examples(photos, "validation", 64, limit=4, empty=3) for _ in range(2))
    assert len(first) == 7
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))


def test_an_unknown_arm_is_refused(world):
    with pytest.raises(InputError, match="mixed, real, rendered"):
        CropMixture(world.data, world.labels, world.cache, arm="both")


def test_a_mixture_has_the_share_of_rendered_hands_that_is_asked_for(world, monkeypatch):
    def marked(self, index, rng, frame_rng):
        return replace(self._photo_example(rng, frame_rng), group="rendered")

    # Instead of what needs meshes.
    monkeypatch.setattr(CropMixture, "_rendered_example", marked)

    def share(arm, asked):
        options = {"size": 64, "batch": 300, "empty": 0.0, "arm": arm, "rendered_share": asked}
        batch = CropMixture(world.data, world.labels, world.cache, **options)(0)
        return np.mean([group == "rendered" for group in batch.groups])

    assert share("mixed", 0.25) == pytest.approx(0.25, abs=0.08)
    assert share("mixed", 0.0) == 0
    assert share("real", 0.9) == 0
    assert share("rendered", 0.1) == 1


def test_hands_meet_as_often_as_is_asked_for(world, monkeypatch):
    met = []

    def counted(pixels, hand, rng):
        met.append(hand)
        return with_mirror_image(pixels, hand, rng)

    monkeypatch.setattr(examples_mixture, "with_mirror_image", counted)
    plain = mixture(world)(2)
    assert np.array_equal(plain.pixels, mixture(world, meeting=0.0)(2).pixels)
    assert not met
    for step in range(10):
        batch = mixture(world, meeting=0.5, empty=0.0)(step)
        # The labels are those of the hand that was there.
        assert np.isfinite(batch.points[:, :, :2]).any(axis=(1, 2)).all()
    assert len(met) == pytest.approx(80, abs=25)


@pytest.mark.parametrize("name", ["rendered_share", "meeting"])
def test_a_share_is_one(name):
    with pytest.raises(InputError, match=name):
        LandmarkConfig(**{name: 1.5})


def test_each_hand_is_there_twice_as_in_a_film(world):
    batch = mixture(world, twice=True, empty=0.2)(3)
    first, second = batch.points[0::2, :, :2], batch.points[1::2, :, :2]
    both = np.isfinite(first).all(axis=(1, 2)) & np.isfinite(second).all(axis=(1, 2))
    assert both.sum() >= 4
    moved = np.linalg.norm(first - second, axis=2)[both]
    assert 0 < moved.mean() < 0.1
    assert np.array_equal(batch.handedness[0::2][both], batch.handedness[1::2][both])
    assert batch.groups[0::2] == batch.groups[1::2]
    assert not any(np.array_equal(*batch.pixels[row : row + 2]) for row in range(0, 16, 2))
    # Different hands, though.
    assert len({tuple(points.ravel()) for points in first[both]}) == both.sum()


def test_both_frames_are_of_one_camera(world):
    """Colours differ between cameras by tens of grey levels, between frames by what moved."""
    batch = mixture(world, twice=True, empty=0.0)(3)
    colours = batch.pixels.astype(float).mean(axis=(1, 2))
    between_frames = np.abs(colours[0::2] - colours[1::2]).max(axis=1)
    between_hands = np.abs(colours[0:-2:2] - colours[2::2]).max(axis=1)
    assert np.median(between_frames) < 6
    assert np.median(between_hands) > 12


def test_a_frame_has_grains_and_compression_of_its_own():
    picture = np.full((64, 64, 3), 128, np.uint8)
    picture[16:48, 16:48] = 60
    frames = [flicker(picture, np.random.default_rng(seed)) for seed in range(8)]
    assert len({frame.tobytes() for frame in frames}) == 8
    for frame in frames:
        assert frame.shape == picture.shape
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - picture).mean() < 4


def test_hands_are_cut_off_by_the_pictures_end(world):
    """Where their keypoints are stays known."""
    whole = mixture(world, empty=0.0)(3)
    cut = mixture(world, empty=0.0, cut_off=1.0)(3)
    assert (cut.presence == 1).sum() >= 8
    assert not np.array_equal(whole.pixels, cut.pixels)
    known = np.isfinite(cut.points).all(axis=(1, 2))
    assert known.sum() >= 8


def test_a_pool_with_more_fists_or_of_other_files_is_another_one(world):
    (world.data / "backgrounds").mkdir(exist_ok=True)

    def named(fists=0.0):
        listed = (world.data / "backgrounds").iterdir()
        sources = RenderSources(world.data, (), (), tuple(sorted(listed)), (), ())
        return pool_name("rendered-144", 3, fists, sources)

    before = named()
    assert before == named()
    assert named(0.3) != before
    (world.data / "backgrounds" / "z.jpg").write_bytes(b"room")
    with_another = named()
    assert with_another != before
    (world.data / "backgrounds" / "z.jpg").write_bytes(b"a larger room")
    assert named() not in (before, with_another)


def test_a_rest_is_asked_for_in_pairs():
    with pytest.raises(InputError, match="even batch, got 15"):
        LandmarkConfig(steady=1.0, learn=LearnConfig(batch=15))


def test_a_mistake_that_strays_over_a_hand_says_nothing_of_it(world, tmp_path):
    path = tmp_path / "mistakes.jsonl"
    lines = []
    for line in map(json.loads, world.labels.read_text().splitlines()):
        x, y = np.mean(line["hands"][0]["keypoints"], axis=0)[:2]
        # The hand itself, as nobody would say; and a corner without one.
        regions = [[x, y, 90, 0.0], [8, 8, 10, 0.0]]
        lines.append({"picture": f"photos/{line['photo']}", "regions": regions})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    batch = mixture(world, mistakes=path, empty=0.9)(0)
    of_mistakes = [
        presence
        for presence, group in zip(batch.presence, batch.groups, strict=True)
        if group == "mistake"
    ]
    assert 0 in of_mistakes
    assert np.isnan(of_mistakes).any()
    assert not any(presence == 1 for presence in of_mistakes)


def test_two_answers_where_there_is_one_hand_teach_nothing(world):
    first, *rest = map(json.loads, world.labels.read_text().splitlines())
    first["hands"] *= 2
    world.labels.write_text("".join(json.dumps(line) + "\n" for line in [first, *rest]))
    hands = mixture(world).photos.hands
    assert sum(map(len, hands.values())) == 23
