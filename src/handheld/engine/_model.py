"""A model that is open."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self

import numpy as np

from handheld.engine._file import ModelFile, TensorInfo, read
from handheld.engine._litert import Runtime
from handheld.engine._packed import UNPACK_LIMIT, unpacked
from handheld.engine._verify.check import MAX_BYTES
from handheld.engine._verify.check import bits as element_bits
from handheld.errors import InputError, ModelError


class Model:
    """A ``.tflite`` model that is open and can be run; make one with ``Model.open``.

    >>> with Model.open("tests/fixtures/tiny_add.tflite") as model:  # doctest: +SKIP
    ...     (total,) = model.run(np.ones((1, 4), np.float32), y=np.ones((1, 4), np.float32))

    Runs are serialised by ``lock``, so threads may share a model (for speed give each its own). A thread that
    writes into ``input_view`` and calls ``invoke`` holds ``lock`` over both if others use the model too.
    """

    def __init__(self, path: Path, content: bytes, file: ModelFile, runtime: Runtime) -> None:
        self.path, self.size, self.lock = path, len(content), RLock()
        self._content, self._file, self._runtime = content, file, runtime
        self._open = True
        self._positions = {**file.aliases, **{info.name: i for i, info in enumerate(file.inputs)}}
        self._floats = [i for i, info in enumerate(file.inputs) if info.dtype.kind == "f"]

    @classmethod
    def open(cls, path: str | PathLike[str], *, threads: int = 1, unpack_limit: int = UNPACK_LIMIT) -> Self:
        """Open a model file.

        The file is read whole and checked before the runtime sees it: 2 to 18 ms for the models of a few MB that we
        know. The checks are no proof (``_verify`` has the figures): give models of strangers their own process.

        Args:
            path: a ``.tflite`` file, or its stored form that ``compact`` makes, whatever its name.
            threads: threads of the kernels, 1 or more.
            unpack_limit: bytes that a stored form may unpack to.

        Raises:
            ModelError: it cannot be read, is corrupt, or needs what the runtime does not have.
            InputError: ``threads`` is less than 1.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror}); expected a .tflite file") from error
        return cls.load(content, path=path, threads=threads, unpack_limit=unpack_limit)

    @classmethod
    def load(
        cls,
        content: bytes,
        *,
        path: str | PathLike[str] = "<memory>",
        threads: int = 1,
        unpack_limit: int = UNPACK_LIMIT,
    ) -> Self:
        """Open a model from the bytes of its file; ``path`` is what messages call it. Raises as ``open`` does."""
        if threads < 1:
            raise InputError(f"threads is {threads}, expected 1 or more")
        content = unpacked(content, str(path), unpack_limit)
        if len(content) > MAX_BYTES:
            raise ModelError(f"{path}: {len(content)} bytes, expected at most {MAX_BYTES}")
        file = read(content, str(path))
        try:
            runtime = Runtime(content, threads=threads, steady=file.steady)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ModelError(f"{path}: the runtime refuses the model: {str(error).strip()}") from error
        return cls(Path(path), content, file, runtime)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What ``run`` takes, in the order of the model's list of inputs."""
        return self._file.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What ``run`` returns, in the order of the model's list of outputs."""
        return self._file.outputs

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """The entries stored in the file, by name."""
        return self._file.metadata

    @cached_property
    def card(self) -> dict[str, Any]:
        """The JSON object that ``embed`` stored, or ``{}``.

        Raises:
            ModelError: the entry is no JSON object.
        """
        return self._file.card

    def constant(self, name: str) -> np.ndarray:
        """The values of a constant tensor of the main graph, as they are stored; those of four bits as int8.

        Raises:
            ModelError: there is none of that name, or of a type that no array holds.
        """
        try:
            return self._file.constant(name)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from error

    def has_constant(self, name: str) -> bool:
        """Whether the main graph has a constant tensor of that name."""
        return name in self._file.constants

    @property
    def content(self) -> bytes:
        """The bytes of the ``.tflite`` file, unpacked."""
        return self._content

    def constant_bits(self, name: str) -> int:
        """How many bits the file keeps a number of a constant in. Raises :class:`ModelError` if there is none of that name."""
        self.constant(name)
        return element_bits(self._file.constants[name][0])

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the main graph's operators in order of execution (``CONV_2D``; custom ones as named)."""
        return self._file.operators

    @property
    def operator_counts(self) -> Counter[str]:
        """How often each operator occurs."""
        return Counter(self._file.operators)

    @property
    def description(self) -> str:
        """The file's own line about itself."""
        return self._file.description

    @property
    def version(self) -> int:
        """Version of the file's schema."""
        return self._file.version

    @cached_property
    def sha256(self) -> str:
        """Hash of the ``.tflite`` file, unpacked, in hexadecimal: the same for its stored form."""
        return hashlib.sha256(self._content).hexdigest()

    def run(self, *arrays: np.ndarray, **named: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run the model once.

        Each array is copied once, straight into the runtime's input; it need not be contiguous.

        Args:
            *arrays: inputs in the order of ``inputs``, each of exactly that shape and dtype.
            **named: further inputs by the tensor's name, or by the name that a signature gives it.

        Returns:
            The outputs in the order of ``outputs``: fresh arrays that the caller owns.

        Raises:
            InputError: an input is missing, unknown, of another shape or dtype, or not finite; the model is closed.
            ModelError: the runtime fails while it runs the model.
        """
        chosen = self._arrange(arrays, named)
        with self.lock:
            for i, (info, array) in enumerate(zip(self.inputs, chosen, strict=True)):
                if array.shape != info.shape or array.dtype != info.dtype:
                    raise InputError(f"{self.path}: input {i} is {info}, got {array.dtype.name} {list(array.shape)}")
                np.copyto(self.input_view(i), array)
            return self.invoke()

    def _arrange(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> list[np.ndarray]:
        chosen: dict[int, Any] = dict(enumerate(arrays))
        for name, array in named.items():
            position = self._positions.get(name)
            if position is None or position in chosen:
                state = "unknown" if position is None else "given twice"
                raise InputError(f"{self.path}: input {name!r} is {state}; the inputs are {self._listing()}")
            chosen[position] = array
        if chosen.keys() != set(range(len(self.inputs))):
            raise InputError(f"{self.path}: {len(chosen)} inputs given, expected {self._listing()}")
        return [np.asarray(chosen[i]) for i in range(len(self.inputs))]

    def _listing(self) -> str:
        return ", ".join(map(str, self.inputs))

    def input_view(self, position: int = 0) -> np.ndarray:
        """The array that input ``position`` is read from, for callers that make their input in place.

        It may be kept and filled again for every run; what it holds after a run is not specified. For the rare
        models whose shapes depend on values it is a buffer of its own, copied at each ``invoke``.

        Raises:
            InputError: there is no such input, or the model is closed.
        """
        self._ensure_open()
        if not 0 <= position < len(self.inputs):
            raise InputError(f"{self.path}: input {position} asked for, expected 0 to {len(self.inputs) - 1}")
        return self._runtime.inputs[position]

    def invoke(self, *, finite: bool = False) -> tuple[np.ndarray, ...]:
        """Run on what the input views hold; returns and raises as ``run`` does.

        ``finite`` says that the caller knows its floats to be finite, as those made from bytes are: no check.
        A float input is checked by its sum (25 microseconds for 224 x 224 x 3), which is finite exactly if
        every element is, but for overflow; only then are the elements looked at.
        """
        with self.lock:
            self._ensure_open()
            for i in () if finite else self._floats:
                self._ensure_finite(i, self._runtime.inputs[i])
            try:
                return self._runtime.invoke()
            except (ValueError, RuntimeError, MemoryError) as error:
                raise ModelError(f"{self.path}: the runtime failed: {str(error).strip()}") from error

    def _ensure_finite(self, position: int, array: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.add.reduce(array, axis=None)
        if not np.isfinite(total) and not (finite := np.isfinite(array)).all():
            first = tuple(map(int, np.argwhere(~finite)[0]))
            count = array.size - int(finite.sum())
            raise InputError(
                f"{self.path}: input {position} ({self.inputs[position]}) has {count} elements that are not finite,"
                f" the first {array[first]} at {first}"
            )

    def _ensure_open(self) -> None:
        if not self._open:
            raise InputError(f"{self.path}: the model is closed; open it again")

    def close(self) -> None:
        """Give the runtime's memory back; views that are still held keep theirs. May be called twice."""
        with self.lock:
            if self._open:
                self._open = False
                del self._runtime

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r}, {self._listing()} -> {', '.join(map(str, self.outputs))})"
