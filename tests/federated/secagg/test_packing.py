"""Numbers in as many bits as they have, beside Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.secagg.packing import pack, packed_bytes, unpack


def reference(values, bits):
    """One long integer, number after number."""
    total = sum((int(value) % (1 << bits)) << (bits * place) for place, value in enumerate(values))
    return total.to_bytes(-(-len(values) * bits // 8), "little")


@settings(deadline=None)
@given(st.integers(1, 32), st.lists(st.integers(0, (1 << 32) - 1), max_size=40))
def test_reference_of_any_numbers(bits, values):
    array = np.array(values, np.uint32)
    content = pack(array, bits)
    assert content == reference(values, bits)
    assert len(content) == packed_bytes(len(values), bits)
    back = unpack(content, len(values), bits)
    assert back.tolist() == [value % (1 << bits) for value in values]


@pytest.mark.parametrize("size", [0, 4, 6])
def test_content_of_another_length(size):
    with pytest.raises(InputError, match="expected 5 bytes of 4 numbers"):
        unpack(bytes(size), 4, 10)


def test_bits_behind_the_last_number():
    assert unpack(b"\x03", 2, 1).tolist() == [1, 1]
    with pytest.raises(InputError, match="zeros behind"):
        unpack(b"\x07", 2, 1)
