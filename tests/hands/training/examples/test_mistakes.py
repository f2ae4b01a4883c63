"""What a pack takes for a hand is found from near and from afar, in the picture's own pixels."""

from dataclasses import dataclass

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands import load_pack
from handheld.hands.training.examples.labelling import Teacher
from handheld.hands.training.examples.mistakes import (
    find_mistakes,
    read_mistakes,
    suspected,
)
from handheld.hands.views import views_of_still, views_of_stream
from handheld.media import Rect


@dataclass
class Seen:
    presence: float
    region: Rect

    def tracking_region(self):
        return self.region


class SeesWhite:
    """A pack that takes what is white for a hand, if it is of some size in its view."""

    def __init__(self, least, most, name="white"):
        self.least = least
        self.most = most
        self.name = name
        self.models = "0123"
        self.asked = 0

    def regions(self, image):
        rows, columns = np.nonzero(image[..., 0] > 128)
        if not len(rows):
            return
        left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
        if self.least <= right - left + 1 <= self.most:
            middle = (left + right) / 2, (top + bottom) / 2
            yield Rect(*middle, float(right - left + 1), float(bottom - top + 1), 0.4)

    def tracked_regions(self, image):
        self.asked += 1
        return self.regions(image)

    def look(self, image, region):
        return Seen(0.9, region)


def portrait(side=64):
    """A white square of 120 pixels in the black picture, a little off its middle."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[40 : 40 + side, 80 : 80 + side] = 255
    return image


@pytest.mark.parametrize(("least", "most"), [(60, 70), (30, 34), (15, 17)])
def test_each_distance_gives_the_place_in_the_picture(least, most):
    for region in suspected(portrait(), SeesWhite(least, most)):
        # An odd pixel that shrinking leaves out moves it by less than its own size.
        assert region.x == pytest.approx(111.5, abs=2)
        assert region.y == pytest.approx(71.5, abs=2)
        assert region.width == pytest.approx(64, abs=4)
        assert region.angle == 0.4


def test_what_looks_like_a_hand_from_afar_only_is_found():
    assert suspected(portrait(), SeesWhite(60, 70))
    assert suspected(portrait(), SeesWhite(15, 17))
    assert not suspected(portrait(), SeesWhite(3, 5))


def test_a_small_picture_is_not_shrunk_to_nothing():
    assert not suspected(np.zeros((40, 40, 3), np.uint8), SeesWhite(1, 400))


def test_what_is_seen_at_every_distance_comes_once_for_each_look():
    # As found, and as tracking would go on from it; at three distances.
    assert len(suspected(portrait(), SeesWhite(1, 400))) == 6


def test_a_trackers_views_are_looked_at_once_each(monkeypatch):
    seen = []
    monkeypatch.setattr(Teacher, "_palms", lambda self, image, view, score: seen.append(view) or [])
    with Teacher(load_pack("handheld")) as pupil:
        assert list(pupil.tracked_regions(np.zeros((480, 640, 3), np.uint8))) == []
    assert set(seen) == {*views_of_stream(480, 640), *views_of_still(480, 640)}
    assert len(seen) == len(set(seen))


def test_mistakes_go_on_where_they_were_stopped_with_the_same_pack(world, tmp_path):
    path = tmp_path / "mistakes.jsonl"
    pupil = SeesWhite(1, 400)
    find_mistakes(world.data, world.labels, pupil, pupil, path)
    pictures = pupil.asked
    found = read_mistakes(path)
    assert pictures == 24 + 40
    # A stop in the middle of a line: that picture is looked at again, and the file stays whole.
    path.write_bytes(path.read_bytes()[:-10])
    find_mistakes(world.data, world.labels, pupil, pupil, path)
    assert pupil.asked == pictures + 1
    assert read_mistakes(path) == found
    other = SeesWhite(1, 400, name="grey")
    with pytest.raises(InputError, match="holds mistakes of 'white', not of 'grey'"):
        find_mistakes(world.data, world.labels, other, pupil, path)
    trained_on = SeesWhite(1, 400)
    trained_on.models = "4567"
    with pytest.raises(InputError, match="holds mistakes of other models of 'white'"):
        find_mistakes(world.data, world.labels, trained_on, pupil, path)
