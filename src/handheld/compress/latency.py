"""Latencies of model files, measured side by side."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.compress.family import Latency
from handheld.engine import Model
from handheld.engine.measure import last_core, measure

_ROUNDS = 40  # of each file, where the caller asks for no more

ModelInputs = Callable[[Model], list[NDArray[Any]]]
"""Gives what a model runs on while it is timed."""


def noise(model: Model) -> list[NDArray[Any]]:
    """Return normal noise for each input of a model."""
    # The same in each run, so that all files of a family are timed on the same numbers.
    rng = np.random.default_rng(0)
    return [
        info.to_stored(rng.standard_normal(info.shape).astype(np.float32)) for info in model.inputs
    ]


def latencies(
    files: Mapping[str, bytes],
    *,
    rounds: int = _ROUNDS,
    min_seconds: float = 0.0,
    inputs: ModelInputs = noise,
    calls: Mapping[str, Callable[[], object]] = {},
) -> dict[str, Latency]:
    """Measure model files in turns, each on one thread that keeps to one core.

    Args:
        files: by name.
        rounds: of each file, at least.
        min_seconds: of each file, at least.
        inputs: that a model runs on.
        calls: what else is measured beside them.
    """
    # all open at once, since they are measured in turns
    models = {name: Model.load(content, path=name) for name, content in files.items()}
    try:
        runs = {name: partial(model.run, *inputs(model)) for name, model in models.items()}
        timed = measure({**runs, **calls}, rounds=rounds, min_seconds=min_seconds, pin=last_core())
    finally:
        for model in models.values():
            model.close()
    return {name: Latency(one.median, one.p90, one.iqr, one.runs) for name, one in timed.items()}
