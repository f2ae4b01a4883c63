"""Inputs and outputs of a model, as its file describes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.errors import InputError


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation by channel, the channels being those of ``axis``.

    For channel c, ``real = scale[c] * (stored - zero_point[c])``.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model.

    Args:
        name: the tensor's name in the file.
        shape: sides; one that the file leaves open is as the file has it, mostly 1, or as
            ``Model.resize`` made it.
        dtype: element type.
        quantization: ``(scale, zero_point)`` with ``real = scale * (stored - zero_point)``; a
            ``Quantization`` where each channel has its own; None for real-valued tensors.
        open_axes: axes whose length the file leaves open, as that of a batch.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: tuple[float, int] | Quantization | None
    open_axes: tuple[int, ...] = ()

    def takes(self, shape: Shape) -> bool:
        """Whether a shape differs from this one in open axes alone."""
        if len(shape) != len(self.shape):
            return False
        sides = zip(shape, self.shape, strict=True)
        for axis, (side, length) in enumerate(sides):
            if side != length and axis not in self.open_axes:
                return False
        return True

    def to_stored(self, real: np.ndarray) -> np.ndarray:
        """Return real values as the tensor stores them.

        They are rounded and clipped by its quantisation, or cast where it has none.

        Raises :class:`InputError` for NaN where whole numbers are stored: none stands for it.
        """
        if self.dtype.kind != "f" and np.isnan(real).any():
            raise InputError(f"tensor {self} stores whole numbers, none of which is NaN")
        if self._is_real():
            return real.astype(self.dtype, copy=False)
        scale, zero_point = self._affine()
        limits = np.iinfo(self.dtype)
        stored = np.rint(real / scale) + zero_point
        # Clipped before it is cast, as a cast of what is too large would wrap.
        clipped = np.clip(stored, limits.min, limits.max)
        return np.asarray(clipped, dtype=self.dtype)

    def to_real(self, stored: np.ndarray) -> np.ndarray:
        """Return stored values as the real ones that they stand for, float64."""
        # In float64, as a difference of int32 numbers does not fit into float32.
        values = stored.astype(np.float64)
        if self._is_real():
            return values
        scale, zero_point = self._affine()
        return np.asarray((values - zero_point) * scale)

    def _is_real(self) -> bool:
        # Converters leave a scale at floats that were quantised once: it means nothing.
        return self.quantization is None or self.dtype.kind == "f"

    def _affine(self) -> tuple[float, int]:
        if not isinstance(self.quantization, tuple):
            problem = f"tensor {self} is quantised by channel"
            advice = "only a quantisation of the whole tensor can be applied"
            raise InputError(f"{problem}; {advice}")
        return self.quantization

    def __str__(self) -> str:
        sides = ", ".join(map(self._side_text, range(len(self.shape))))
        return f"{self.name!r} {self.dtype.name} [{sides}]"

    def _side_text(self, axis: int) -> str:
        side = str(self.shape[axis])
        if axis in self.open_axes:
            side += " (open)"
        return side


@dataclass(frozen=True)
class ModelSignature:
    """One of the functions that a file offers by name, as in TensorFlow's saved models.

    Args:
        key: its name.
        inputs: what it takes, by the names that the signature gives them.
        outputs: what it returns, likewise.
    """

    key: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
