"""Arrays that a caller asks for, looked at before memory is taken for them."""

from handheld.errors import InputError

# 8 GiB of float32: beyond, labels are mostly numbers that something else gave.
_MOST_NUMBERS = 1 << 31


def small_enough(name: str, rows: int, columns: int, instead: str) -> None:
    """Raise :class:`InputError` for an array of more numbers than a machine should hold.

    Args:
        name: of the array.
        rows, columns: its shape.
        instead: what to do.
    """
    if rows * columns > _MOST_NUMBERS:
        size = 4 * rows * columns / 2**30
        raise InputError(
            f"{name} of {rows:,} x {columns:,} numbers would take {size:,.0f} GiB: {instead}"
        )
