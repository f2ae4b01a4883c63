import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "beside",
        "calibration",
        "devices.adb",
        "devices.device",
        "loadgen",
        "metric",
        "preprocessing",
        "protocol",
        "report",
        "warmup",
    ],
)
def test_examples(name: str) -> None:
    done = doctest.testmod(importlib.import_module(f"handheld.bench.{name}"))
    assert done.attempted
    assert not done.failed
