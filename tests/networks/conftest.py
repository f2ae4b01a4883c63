"""Tiny networks on one thread."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are slower on several threads, and sums then depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
