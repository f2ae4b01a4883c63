import doctest

import pytest

pytest.importorskip("numba")

from handheld.federated.updates import coding, gauss, rotation


@pytest.mark.parametrize("module", [coding, gauss, rotation], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
