"""Which extra brings which package; an import of one that is missing says so, in whatever file of
ours it stands.

A hundred files import torch, numba and their like at their top, as files should. Rather than a try
in each of them, one finder at the end of ``sys.meta_path`` answers what nobody else found, if it is
one of our files that asks.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import FrameType
from typing import Any

EXTRAS = {
    "PIL": ("pillow", "hands"),
    "ai_edge_litert": ("ai-edge-litert", "litert"),
    "ai_edge_quantizer": ("ai-edge-quantizer", "compile"),
    "av": ("av", "hands"),
    "cryptography": ("cryptography", "federated"),
    "cv2": ("opencv-python-headless", "hands"),
    "dp_accounting": ("dp-accounting", "federated"),
    "faster_coco_eval": ("faster-coco-eval", "train"),
    "flwr": ("flwr", "flower"),
    "fsspec": ("fsspec", "server"),
    "litert_torch": ("litert-torch", "compile"),
    "mlperf_loadgen": ("mlcommons-loadgen", "loadgen"),
    "nacl": ("PyNaCl", "federated"),
    "numba": ("numba", "graphs"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "psutil": ("psutil", "federated"),
    "psycopg": ("psycopg", "server"),
    "pyarrow": ("pyarrow", "graphs"),
    "python_multipart": ("python-multipart", "server"),
    "ray": ("ray", "cluster"),
    "rerun": ("rerun-sdk", "rerun"),
    "safetensors": ("safetensors", "torch"),
    "scipy": ("scipy", "graphs"),
    "sklearn": ("scikit-learn", "demo"),
    "sqlalchemy": ("SQLAlchemy", "server"),
    "starlette": ("starlette", "server"),
    "tensorboard": ("tensorboard", "federated"),
    "tomli_w": ("tomli-w", "federated"),
    "torch": ("torch", "torch"),
    "uvicorn": ("uvicorn", "server"),
}
"""Module -> (its distribution, the extra that brings it)."""


class ExtrasFinder:
    """Finds nothing, but says what is missing where one of our own files imports it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raise :class:`MissingDependencyError` for a package of an extra; called only where no
        other finder knew it.
        """
        if name not in EXTRAS:
            return
        importer = next(_importers(sys._getframe(1)), None)
        if importer is not None and importer.startswith("handheld."):
            # late: the package alone loads no room
            from handheld.errors import MissingDependencyError

            distribution, extra = EXTRAS[name]
            raise MissingDependencyError(distribution, extra, importer.rpartition(".")[0])


def _importers(frame: FrameType | None) -> Iterator[str]:
    """Yield the names of modules up the stack, without the import system's own; none for a question
    of ``find_spec``.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name == "importlib.util":  # asks whether it is there, and imports nothing
            return
        if not name.startswith("importlib"):
            yield name
        frame = frame.f_back


def lazily(package: str, homes: Mapping[str, str], name: str) -> Any:
    """Return a public name of a room from the module that it stands in; for a ``__getattr__`` of a
    package.

    Args:
        package: the room's ``__name__``.
        homes: public name -> module, in full.
        name: that is asked for.

    Raises:
        AttributeError: there is no such name, or what it needs is not installed: ``hasattr``,
            ``inspect`` and ``help`` count on this error (PEP 562).
        MissingDependencyError: the same, where ``from room import name`` asks, which would lose the
            words of the other.
    """
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    from handheld.errors import MissingDependencyError

    try:
        return getattr(import_module(homes[name]), name)
    except MissingDependencyError as error:
        if sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap":
            raise
        raise AttributeError(str(error)) from error


def install() -> None:
    """Put the finder behind all others, once."""
    if not any(isinstance(finder, ExtrasFinder) for finder in sys.meta_path):
        sys.meta_path.append(ExtrasFinder())
