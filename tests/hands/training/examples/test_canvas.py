import pytest

from handheld.hands.training.examples.canvas import Area


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((12, 22, 14, 24), 1.0),
        ((5, 20, 15, 30), 0.5),
        ((5, 15, 15, 25), 0.25),
        ((0, 0, 10, 20), 0.0),
        ((40, 40, 50, 50), 0.0),
        ((12, 22, 12, 22), 0.0),
    ],
)
def test_how_much_of_a_box_is_in_an_area(box, share):
    assert Area(10, 20, 30, 40).share_inside(box) == pytest.approx(share)


def test_an_area_has_sides_and_a_middle():
    area = Area(10, 20, 30, 50)
    assert (area.width, area.height) == (20, 30)
    assert area.middle.tolist() == [20, 35]
