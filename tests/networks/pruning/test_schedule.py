from itertools import pairwise

import pytest

from handheld.errors import InputError

pytest.importorskip("torch", reason="needs the extra 'train'")

from handheld.networks.pruning import cubic


def test_starts_at_nothing_ends_at_all_and_slows_down():
    shares = [cubic(0.6, step, 5) for step in range(6)]
    rises = [after - before for before, after in pairwise(shares)]
    assert shares[0] == 0
    assert shares[-1] == 0.6
    assert rises == sorted(rises, reverse=True)
    assert cubic(0.8, 1, 2) == pytest.approx(0.8 * 7 / 8)


@pytest.mark.parametrize(
    "arguments",
    [(1.1, 1, 2), (-0.1, 1, 2), (0.5, 3, 2), (0.5, -1, 2), (0.5, 0, 0), (float("nan"), 1, 2)],
)
def test_numbers_out_of_range(arguments):
    with pytest.raises(InputError, match=r"^(share|steps|step): expected a "):
        cubic(*arguments)
