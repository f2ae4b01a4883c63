"""Models: open a ``.tflite`` file, run it, know what it says about itself.

``Model.open`` checks a file wholly before the runtime sees it, and runs a stranger's in a process
of its own. ``embed`` writes a card, a JSON object that travels inside the file, which
``Model.card`` reads and ``classify`` acts on. ``compact`` makes a file smaller on disk, to be
opened like any other. No other room imports an inference runtime.
``engine.measure`` is the one latency harness, ``engine.store`` fetches other people's models.
"""

from handheld.engine._cost import ModelCost
from handheld.engine._isolated import RunLimits, isolation_asked
from handheld.engine._litert import preload
from handheld.engine._model import InvokeStages, Model
from handheld.engine._packed import compact
from handheld.engine._sandbox import isolation
from handheld.engine._tensor_info import ModelSignature, Quantization, TensorInfo
from handheld.engine.classify import Prediction, classify
from handheld.engine.metadata import embed

__all__ = [
    "InvokeStages",
    "Model",
    "ModelCost",
    "ModelSignature",
    "Prediction",
    "Quantization",
    "RunLimits",
    "TensorInfo",
    "classify",
    "compact",
    "embed",
    "isolation",
    "isolation_asked",
    "preload",
]
