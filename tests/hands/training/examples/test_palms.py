import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.hands.training.conftest import draw, open_hand

from handheld.hands.training.examples import palms
from handheld.hands.training.examples.canvas import (
    Area,
    Canvas,
    PalmPicture,
    letterboxed,
    mirrored_scene,
)
from handheld.hands.training.examples.palms import PalmMixture, palm_pictures
from handheld.hands.training.examples.photo_hands import read_photo_hands
from handheld.hands.training.labels import LabelledHand, palm_box
from handheld.hands.training.palm.anchors import AnchorGrid
from handheld.hands.training.palm.network import PalmShape


def picture(points, **known):
    hand = LabelledHand(points, source="teacher", **known)
    return PalmPicture(draw(points, 96, 192), (hand,), np.empty((0, 4)), complete=True)


def test_a_letterbox_keeps_the_picture_s_shape():
    points = open_hand(96, 80, 30)
    scene = letterboxed(picture(points), 192, whole_hands=False)
    # 192 x 96 is laid in the middle of 192 x 192: 48 rows of black above it.
    box, seven = palm_box(points)
    assert scene.boxes[0, 0] * 192 == pytest.approx((box[0] + box[2]) / 2, abs=1e-3)
    assert scene.boxes[0, 1] * 192 == pytest.approx((box[1] + box[3]) / 2 + 48, abs=1e-3)
    assert scene.keypoints[0] * 192 == pytest.approx(seven + np.array([0, 48]), abs=1e-3)
    assert not scene.pixels[:47].any()


def test_a_hand_s_box_is_larger_than_its_palm_s():
    points = open_hand(96, 80, 30)
    palm = letterboxed(picture(points), 192, whole_hands=False).boxes[0]
    hand = letterboxed(picture(points), 192, whole_hands=True).boxes[0]
    assert hand[3] > 1.5 * palm[3]


def test_a_turned_palm_has_an_upright_box_around_its_turned_keypoints():
    points = open_hand(96, 80, 30)
    matrix = cv2.getRotationMatrix2D((96, 60), 40, 1.0)
    canvas = Canvas(np.zeros((192, 192, 3), np.uint8), False)
    canvas.lay(picture(points), matrix, canvas.area, cv2.BORDER_CONSTANT)
    scene = canvas.scene()
    turned = points.copy()
    turned[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    box, _ = palm_box(turned)
    assert scene.boxes[0, 2] * 192 == pytest.approx(box[2] - box[0], abs=1e-3)


def test_a_palm_that_is_hardly_in_the_picture_is_ignored_and_one_outside_is_not_there():
    points = open_hand(96, 80, 30)
    for shift, boxes, ignored in ((0, 1, 0), (-105, 0, 1), (-400, 0, 0)):
        canvas = Canvas(np.zeros((192, 192, 3), np.uint8), False)
        canvas.lay(
            picture(points),
            np.array([[1, 0, shift], [0, 1, 0.0]]),
            canvas.area,
            cv2.BORDER_CONSTANT,
        )
        scene = canvas.scene()
        assert (len(scene.boxes), len(scene.ignored)) == (boxes, ignored), shift


def test_a_hidden_hand_is_ignored():
    hidden = picture(open_hand(96, 80, 30), visible=np.arange(21) < 3)
    scene = letterboxed(hidden, 192, whole_hands=False)
    assert (len(scene.boxes), len(scene.ignored)) == (0, 1)


def test_a_mirror_keeps_boxes_over_their_palms():
    scene = letterboxed(picture(open_hand(60, 80, 30)), 192, whole_hands=False)
    twice = mirrored_scene(mirrored_scene(scene))
    assert twice.boxes == pytest.approx(scene.boxes, abs=1e-6)
    assert mirrored_scene(scene).boxes[0, 0] == pytest.approx(191 / 192 - scene.boxes[0, 0])


def test_scenes_are_the_same_in_every_process_and_palms_come_in_all_sizes(world):
    mixtures = [mixture_of(world) for _ in range(2)]
    first, again = (mixture(3) for mixture in mixtures)
    assert np.array_equal(first.pixels, again.pixels)
    boxes = np.concatenate([scene.boxes for step in range(8) for scene in mixtures[0](step).scenes])
    assert boxes[:, 2].max() > 8 * boxes[:, 2].min()


def mixture_of(world, **options):
    return PalmMixture(world.data, world.labels, world.cache, batch=24, rendered=0.0, **options)


def picture_with_a_mistake(world, folder):
    """A photo of the training in which a pack took something for a hand."""
    photos = read_photo_hands(world.data, world.labels, world.cache)
    name = photos.photos[photos.hands["train"][0].picture].name
    path = folder / "mistakes.jsonl"
    path.write_text(
        json.dumps({"picture": f"photos/{name}", "regions": [[130, 20, 40, 0.3]]}) + "\n"
    )
    told = read_photo_hands(world.data, world.labels, world.cache, mistakes=path)
    (picture,) = [one for _, one in palm_pictures(told, "train") if len(one.background)]
    return picture


def with_lines(path, **more):
    """Add entries to every line of a file of labels."""
    lines = [json.loads(line) | more for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_photo_that_the_teacher_looked_through_is_background_but_for_its_suspects(
    world, monkeypatch
):
    """As sets in which nobody says whether there are more hands."""
    monkeypatch.setattr(palms, "SINGLE", frozenset())
    plain = palm_pictures(read_photo_hands(world.data, world.labels, world.cache), "train")
    assert not any(picture.complete or picture.judged for _, picture in plain)
    with_lines(world.labels, suspects=[[100, 5, 140, 45]])
    searched = palm_pictures(read_photo_hands(world.data, world.labels, world.cache), "train")
    for _, picture in searched:
        assert picture.complete
        assert not picture.judged
        assert picture.ignored.tolist() == [[100, 5, 140, 45]]
    labels = (
        AnchorGrid(PalmShape(size=64))
        .targets(letterboxed(searched[0][1], 64, whole_hands=False))
        .labels
    )
    assert set(labels.tolist()) == {-1, 0, 1}


def test_what_a_pack_took_for_hands_is_background(world, tmp_path, monkeypatch):
    monkeypatch.setattr(palms, "SINGLE", frozenset())
    picture = picture_with_a_mistake(world, tmp_path)
    assert not picture.complete
    assert picture.background.tolist() == [[120, 10, 140, 30]]
    grid = AnchorGrid(PalmShape(size=160))
    labels = grid.targets(letterboxed(picture, 160, whole_hands=False)).labels
    at_mistake = (
        np.abs(grid.centres - (130, 40)).max(axis=1) < 8
    )  # the letterbox moves it down by 20
    assert (labels[at_mistake] == 0).all()


def test_a_suspect_that_the_teacher_denies_is_background(world, tmp_path, monkeypatch):
    monkeypatch.setattr(palms, "SINGLE", frozenset())
    with_lines(world.labels, suspects=[[120, 10, 140, 30], [20, 5, 40, 25]])
    picture = picture_with_a_mistake(world, tmp_path)
    assert picture.ignored.tolist() == [[20, 5, 40, 25]]


def test_suspects_of_a_teacher_say_nothing_where_people_know_all_hands(world):
    with_lines(world.labels, suspects=[[120, 10, 140, 30]])
    photos = read_photo_hands(world.data, world.labels, world.cache)
    for _, picture in palm_pictures(photos, "train"):
        assert picture.judged
        assert not len(picture.ignored)


def test_what_is_unknown_in_one_picture_says_nothing_of_its_neighbour():
    points = open_hand(96, 80, 30)
    shown = PalmPicture(
        draw(points, 96, 192),
        (),
        ignored=np.array([[80.0, 10, 150, 60]]),
        complete=True,
        background=np.array([[120.0, 10, 150, 60]]),
    )
    canvas = Canvas.black(192, whole_hands=False)
    canvas.lay(shown, np.eye(2, 3), Area(0, 0, 100, 192), cv2.BORDER_CONSTANT)
    scene = canvas.scene()
    assert scene.ignored * 192 == pytest.approx(np.array([[90, 35, 20, 50]]), abs=1e-3)
    assert not len(scene.background)


def test_a_hand_can_be_laid_onto_a_picture_without_one(world):
    mixture = mixture_of(world, surrounded=1.0)
    plain = mixture_of(world, surrounded=0.0)
    for scene in mixture(0).scenes:
        assert scene.pixels.any()
    assert not np.array_equal(mixture(0).pixels, plain(0).pixels)


def test_what_is_beyond_a_picture_is_left_as_it_was():
    points = open_hand(96, 80, 30)
    canvas = Canvas.black(192, whole_hands=False)
    canvas.pixels[:] = 77
    shrunk = np.array([[0.5, 0, 10], [0, 0.5, 20]])
    canvas.lay(picture(points), shrunk, canvas.area, cv2.BORDER_TRANSPARENT)
    assert (canvas.pixels[:19] == 77).all()
    assert (canvas.pixels[:, 108:] == 77).all()
    assert not (canvas.pixels[21:66, 12:104] == 77).all(axis=2).any()


def test_a_surrounding_picture_covers_its_area():
    rng = np.random.default_rng(0)
    area = Area(20, 30, 120, 90)
    for _ in range(50):
        height, width = rng.integers(20, 400, 2)
        white = np.full((height, width, 3), 255, np.uint8)
        wall = PalmPicture(white, (), np.empty((0, 4)), complete=True)
        matrix = palms._draw_cover(wall, area, rng)
        first = matrix @ [0, 0, 1]
        last = matrix @ [width, height, 1]
        assert first[0] <= 20 + 1e-9
        assert first[1] <= 30 + 1e-9
        assert last[0] >= 120 - 1e-9
        assert last[1] >= 90 - 1e-9


def test_small_pictures_without_hands_are_scattered_inside_their_area():
    rng = np.random.default_rng(0)
    area = Area(20, 30, 120, 190)
    sides = []
    for _ in range(300):
        height, width = rng.integers(20, 400, 2)
        blot = PalmPicture(
            np.full((height, width, 3), 255, np.uint8), (), np.empty((0, 4)), complete=True
        )
        matrix = palms._draw_scattered(blot, area, 192, rng)
        x, y = matrix @ [width / 2, height / 2, 1]
        assert area.left <= x <= area.right
        assert area.top <= y <= area.bottom
        sides.append(np.hypot(*matrix[:, 0]) * max(height, width) / 192)
    assert 0.119 < min(sides) < 0.16
    assert 0.5 < max(sides) < 0.601


def test_scenes_without_scattering_are_those_of_before_there_was_any(world):
    plain = mixture_of(world)
    assert np.array_equal(plain(1).pixels, mixture_of(world, scattered=0.0)(1).pixels)
    scattered = mixture_of(world, scattered=1.0)
    assert not np.array_equal(plain(1).pixels, scattered(1).pixels)
    # Hands stay as many: what is scattered lies below them.
    assert any(len(scene.boxes) for scene in scattered(1).scenes)


def test_a_hand_that_meets_its_mirror_image_is_two(world):
    plain = mixture_of(world)
    assert np.array_equal(plain(1).pixels, mixture_of(world, meeting=0.0)(1).pixels)
    met = mixture_of(world, meeting=1.0)
    before = sum(len(scene.boxes) for step in range(8) for scene in plain(step).scenes)
    after = sum(len(scene.boxes) for step in range(8) for scene in met(step).scenes)
    # Close-ups may show one of the two alone.
    assert 1.2 * before < after <= 2.2 * before


def test_a_photo_ends_within_its_hand_and_the_palm_stays_where_it_was(world):
    plain = mixture_of(world)
    assert np.array_equal(plain(1).pixels, mixture_of(world, cut_off=0.0)(1).pixels)
    assert not np.array_equal(plain(1).pixels, mixture_of(world, cut_off=1.0)(1).pixels)
    (_, picture), *_ = palm_pictures(plain.photos, "train")
    boxed = replace(picture.hands[0], box=np.array([4.0, 5.0, 60.0, 70.0]))
    picture = replace(picture, hands=(boxed,), background=np.ones((1, 4)))
    cuts = 0
    for seed in range(30):
        ended = palms.ending_within(picture, np.random.default_rng(seed))
        if ended is picture:
            continue
        cuts += 1
        assert not len(ended.background)
        # Found by its pixels: a part of the old picture, whose corner moved the labels.
        height, width = ended.pixels.shape[:2]
        x, y = boxed.keypoints[0, :2] - ended.hands[0].keypoints[0, :2]
        x, y = int(x), int(y)
        assert np.array_equal(picture.pixels[y : y + height, x : x + width], ended.pixels)
        assert np.array_equal(ended.hands[0].box, boxed.box - (x, y, x, y))
        assert np.array_equal(ended.hands[0].keypoints[:, 2], boxed.keypoints[:, 2])
        # Half of the palm at least is left.
        palm, _ = palm_box(ended.hands[0].keypoints)
        assert Area(0, 0, width, height).share_inside(palm) >= 0.5
    assert 10 < cuts <= 30


def test_only_of_one_known_hand_there_is_a_mirror_image(world):
    (_, picture), *_ = palm_pictures(mixture_of(world).photos, "train")
    assert palms.shows_one(picture)
    assert not palms.shows_one(replace(picture, hands=picture.hands * 2))
    assert not palms.shows_one(replace(picture, complete=False))
    assert not palms.shows_one(replace(picture, ignored=np.ones((1, 4))))
    denied = replace(picture, background=np.ones((1, 4)))
    both = palms.with_second_hand(denied, np.random.default_rng(0))
    assert len(both.hands) == 2
    assert not len(both.background)
    assert both.pixels.size > picture.pixels.size / 2
