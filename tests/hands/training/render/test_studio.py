from dataclasses import replace

import numpy as np
import pytest

from handheld.hands.geometry import region_from_landmarks, region_from_palm
from handheld.hands.training.labels import LabelledPicture, palm_box
from handheld.hands.training.render.sampling import CropJitter
from handheld.hands.training.render.sources import RenderSources
from handheld.hands.training.render.studio import (
    CropOptions,
    SceneOptions,
    Studio,
    crop_region,
    view_of,
)
from handheld.media import Rect

SMALL = CropOptions(size=64)
STEADY = CropOptions(size=64, jitter=CropJitter(0, 0, 0, palm_share=0), occluded=0, second_hand=0)
FROM_PALM = CropOptions(
    size=64, jitter=CropJitter(0, 0, 0, palm_share=1), occluded=0, second_hand=0
)


def labels(picture: LabelledPicture) -> list[np.ndarray]:
    return [hand.keypoints for hand in picture.hands]


@pytest.mark.parametrize("form", ["crop", "scene"])
def test_a_seed_and_a_number_make_one_picture(sources: RenderSources, form: str) -> None:
    options = {"crop": SMALL, "scene": SceneOptions(width=64, height=48)}[form]

    def made(seed: int, index: int) -> LabelledPicture:
        studio = Studio(sources, seed)
        # What was made before must not matter.
        getattr(studio, form)(index + 100, options)
        picture: LabelledPicture = getattr(studio, form)(index, options)
        return picture

    one, same = made(0, 3), made(0, 3)
    np.testing.assert_array_equal(one.pixels, same.pixels)
    for a, b in zip(labels(one), labels(same), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (made(0, 4), made(1, 3)):
        assert (other.pixels != one.pixels).mean() > 0.5


def test_with_more_fists_hands_are_shorter(sources: RenderSources) -> None:
    """Fingertips are nearer to the wrist."""
    studio = Studio(sources)

    def length(options: CropOptions) -> float:
        hands = [studio.crop(index, options).hands[0].keypoints for index in range(12)]
        reach = [
            np.linalg.norm(hand[12] - hand[0]) / np.linalg.norm(hand[9] - hand[0]) for hand in hands
        ]
        return float(np.median(reach))

    assert length(replace(STEADY, fists=1.0)) < 0.8 * length(STEADY)


def test_a_crop_without_jitter_is_what_tracking_looks_at(sources: RenderSources) -> None:
    studio = Studio(sources)
    for index in range(10):
        hand = studio.crop(index, STEADY).hands[0]
        region = region_from_landmarks(hand.keypoints)
        np.testing.assert_allclose((region.x, region.y, region.width), (32, 32, 64), atol=0.01)
        assert region.angle == pytest.approx(0, abs=1e-3)


def test_a_crop_from_a_palm_is_what_follows_a_detection(sources: RenderSources) -> None:
    studio = Studio(sources)
    box, points = palm_box(studio.crop(0, FROM_PALM).hands[0].keypoints)
    palm = Rect(*((box[:2] + box[2:]) / 2).tolist(), *(box[2:] - box[:2]).tolist())
    # A square box is not turned with the hand, so that only centre and angle are sure to come out.
    region = region_from_palm(palm, points.astype(np.float32))
    assert region.angle == pytest.approx(0, abs=1e-3)
    assert region.width == pytest.approx(64, rel=0.35)


def test_jitter_moves_turns_and_scales(sources: RenderSources) -> None:
    studio = Studio(sources)
    jittered = CropOptions(size=64, jitter=CropJitter(0.1, 0.2, 20, palm_share=0))
    regions = [
        region_from_landmarks(studio.crop(index, jittered).hands[0].keypoints)
        for index in range(60)
    ]
    assert np.std([region.x for region in regions]) == pytest.approx(6.4, rel=0.5)
    assert np.std([np.log(region.width) for region in regions]) == pytest.approx(0.2, rel=0.5)
    assert np.std([np.degrees(region.angle) for region in regions]) == pytest.approx(20, rel=0.5)


def test_both_hands_and_both_sides_are_equally_often_the_first(sources: RenderSources) -> None:
    studio = Studio(sources)
    right, palm = [], []
    for index in range(300):
        hand = studio.crop(index, CropOptions(size=32, occluded=0)).hands[0]
        assert hand.world is not None
        is_right = hand.handedness == "Right"
        normal = np.cross(hand.world[5] - hand.world[0], hand.world[17] - hand.world[0])
        right.append(is_right)
        palm.append((normal[2] < 0) == is_right)
    # Three standard deviations of 300 throws of a coin.
    assert np.mean(right) == pytest.approx(0.5, abs=0.087)
    assert np.mean(palm) == pytest.approx(0.5, abs=0.087)


def test_labels_say_where_things_are(sources: RenderSources) -> None:
    studio = Studio(sources)
    for index in range(10):
        picture = studio.crop(index, STEADY)
        hand = picture.hands[0]
        assert hand.source == "rendered"
        assert hand.person.startswith("rendered-0-")
        assert hand.keypoints[0, 2] == 0
        assert hand.world is not None
        assert hand.visible is not None
        np.testing.assert_allclose(hand.world.mean(axis=0), 0, atol=1e-6)
        # The same hand in metres and in pixels: alike but for the perspective.
        span = hand.keypoints[9, :2] - hand.keypoints[0, :2]
        direction = (hand.world[9] - hand.world[0])[:2]
        assert span @ direction / np.linalg.norm(span) / np.linalg.norm(direction) > 0.9
        assert picture.mask is not None
        assert picture.depth is not None
        assert set(np.unique(picture.mask)) <= {0, 1}
        assert np.isfinite(picture.depth[picture.mask > 0]).all()
        assert np.isinf(picture.depth).any()


def test_a_scene_has_no_one_or_two_hands_of_one_person(sources: RenderSources) -> None:
    studio = Studio(sources)
    options = SceneOptions(width=64, height=48, empty=0.3, second_hand=0.5)
    pictures = [studio.scene(index, options) for index in range(60)]
    counts = np.bincount([len(picture.hands) for picture in pictures], minlength=3)
    assert (counts > 5).all()
    for picture in pictures:
        assert picture.pixels.shape == (48, 64, 3)
        assert len({hand.person for hand in picture.hands}) <= 1
        assert len({hand.handedness for hand in picture.hands}) == len(picture.hands)


def test_hands_of_scenes_have_all_sizes(sources: RenderSources) -> None:
    studio = Studio(sources)
    options = SceneOptions(width=64, height=48, empty=0, second_hand=0, smallest=0.05, largest=1.0)
    sizes = []
    for index in range(120):
        world = studio.scene(index, options).hands[0]
        assert world.box is not None
        sizes.append((world.box[2:] - world.box[:2]).max() / 48)
    # Twenty times from the smallest to the largest.
    assert min(sizes) < 0.1
    assert max(sizes) > 0.6
    assert np.log(sizes).std() > 0.6


def test_the_view_brings_a_region_upright_to_the_crop() -> None:
    region = Rect(2.0, 1.0, 4.0, 4.0, np.pi / 2)
    view = view_of(region, 100)
    np.testing.assert_allclose(view @ (2, 1, 1), (50, 50))
    for corner, place in zip(region.corners, [(0, 0), (100, 0), (100, 100), (0, 100)], strict=True):
        np.testing.assert_allclose(view @ (*corner, 1), place, atol=1e-9)


def test_without_jitter_the_region_is_in_the_plane_a_metre_away(sources: RenderSources) -> None:
    from handheld.hands.training.render.casting import Casting, draw_hands
    from handheld.hands.training.render.people import draw_person
    from handheld.hands.training.render.studio import draw_close_centre

    random = np.random.default_rng(0)
    person = draw_person(sources, "somebody", random)
    hands, _ = draw_hands(Casting(person, sources, draw_close_centre), 0, random)
    region = crop_region(hands[0], STEADY.jitter, random)
    flat = hands[0].keypoints[:, :2] / hands[0].keypoints[:, 2:]
    assert region == region_from_landmarks(flat.astype(np.float32))
