import numpy as np
import pytest

from handheld.errors import InputError
from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.projection.learned import LearnedTable, coarsened

READER = Rows(Features(words=1), 5, 8)


def made(width: int = 3) -> LearnedTable:
    return LearnedTable(
        READER, np.random.default_rng(0).integers(-7, 8, (5, width)).astype(np.int8), 0.25
    )


@pytest.mark.parametrize("width", [1, 3, 4])
def test_two_numbers_share_a_byte(width: int):
    learned = made(width)
    arrays = learned.arrays()
    assert arrays["table"].nbytes == -(-5 * width // 2)
    again = LearnedTable.of_arrays(READER, arrays)
    assert (again.table == learned.table).all()
    assert again.step == learned.step
    assert (again.of(["some words of mine"]) == learned.of(["some words of mine"])).all()


def test_a_number_of_eight_bits_is_a_byte():
    table = np.arange(-127, 128, dtype=np.int8).reshape(5, 51)
    arrays = LearnedTable(READER, table, 0.25, 8).arrays()
    again = LearnedTable.of_arrays(READER, arrays)
    assert again.bits == 8
    assert (again.table == table).all()
    for wrong in (np.full((5, 3), -128, np.int8), np.zeros((4, 3), np.int8), np.zeros(15, np.int8)):
        with pytest.raises(InputError, match="expected a table"):
            LearnedTable.of_arrays(READER, {**arrays, "table": wrong})
    with pytest.raises(InputError, match="expected a table"):
        LearnedTable(READER, table, 0.25, 5)


@pytest.mark.parametrize(
    ("table", "step"),
    [
        (np.zeros((4, 3), np.int8), 1.0),
        (np.zeros((5, 3), np.int16), 1.0),
        (np.zeros(5, np.int8), 1.0),
        (np.full((5, 3), 8, np.int8), 1.0),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table, step):
    with pytest.raises(InputError, match="expected a table"):
        LearnedTable(READER, table, step)


def test_a_step_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"step: expected a number in \(0, inf\), got 0.0"):
        LearnedTable(READER, np.zeros((5, 3), np.int8), 0.0)


@pytest.mark.parametrize(
    "change", [{"width": np.array(4)}, {"width": np.array(0)}, {"table": np.zeros(3, np.uint8)}]
)
def test_arrays_that_do_not_fit_are_refused(change):
    with pytest.raises(InputError, match="in four bits"):
        LearnedTable.of_arrays(READER, {**made().arrays(), **change})


@pytest.mark.parametrize("factor", [1.0, 1.6, 2.0, 7.0])
def test_reference_of_a_coarser_grid(factor: float):
    learned = made(40)
    coarse = coarsened(learned, factor)
    for fine, kept in zip(
        learned.table.ravel().tolist(), coarse.table.ravel().tolist(), strict=True
    ):
        assert abs(fine / factor - kept) <= 0.5
    # no other step of these levels is nearer to the numbers that were learned
    numbers = learned.table * learned.step
    errors = [
        np.square(numbers - coarse.table * step).sum()
        for step in (coarse.step, 0.99 * coarse.step, 1.01 * coarse.step)
    ]
    assert errors[0] == min(errors)


def test_a_table_of_zeros_stays_one():
    zeros = LearnedTable(READER, np.zeros((5, 3), np.int8), 0.25)
    assert not coarsened(zeros, 2.0).table.any()
    with pytest.raises(InputError, match="factor"):
        coarsened(zeros, 0.5)
