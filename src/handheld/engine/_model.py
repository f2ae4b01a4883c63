"""A model that is open."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from os import PathLike
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from handheld.engine._cost import ModelCost, count_cost
from handheld.engine._file import ModelFile, read, resized
from handheld.engine._isolated import (
    MAX_THREADS,
    IsolatedRuntime,
    RunLimits,
    ensure_isolation,
    isolation_asked,
)
from handheld.engine._litert import Runtime
from handheld.engine._packed import UNPACK_LIMIT, unpacked
from handheld.engine._tensor_info import ModelSignature, TensorInfo
from handheld.engine._verify.check import MAX_BYTES
from handheld.engine._verify.tensors import bits as element_bits
from handheld.errors import InputError, ModelError
from handheld.ranges import whole_in_range
from handheld.untrusted import require_file

# What LiteRT's bindings raise; tensors that do not fit into memory are a MemoryError.
_SMALL = 8192  # elements; OpenBLAS shares a product of more than 10,000 among threads
_RUNTIME_ERRORS = (ValueError, RuntimeError, MemoryError)


class _AnyRuntime(Protocol):
    """What a model needs of a runtime, in this process or in another."""

    inputs: tuple[np.ndarray, ...]

    def invoke(self) -> tuple[np.ndarray, ...]: ...

    def call(
        self,
        key: str,
        names: Sequence[str],
        arrays: Sequence[np.ndarray],
        outputs: Mapping[str, str],
    ) -> tuple[np.ndarray, ...]: ...

    def close(self) -> None: ...

    def compute(self) -> object: ...

    def read(self) -> tuple[np.ndarray, ...]: ...


class InvokeStages(NamedTuple):
    """A run in two halves.

    Args:
        compute: runs on what the input views hold; raises what the runtime raises.
        read: returns copies of the outputs of the last run.
    """

    compute: Callable[[], object]
    read: Callable[[], tuple[np.ndarray, ...]]


class Model:
    """A ``.tflite`` model that is open and can be run; make one with ``Model.open``.

    >>> with Model.open("tests/fixtures/tiny_add.tflite") as model:  # doctest: +SKIP
    ...     (total,) = model.run(np.ones((1, 4), np.float32), y=np.ones((1, 4), np.float32))

    Runs are serialised by ``lock``, so threads may share a model (for speed give each its own). A
    thread that writes into ``input_view`` and calls ``invoke`` holds ``lock`` over both if others
    use the model too.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        file: ModelFile,
        *,
        threads: int,
        isolated: bool | RunLimits | None,
    ) -> None:
        self.path = path
        self.size = len(content)
        self.lock = RLock()
        self._content = content
        self._file = file
        self._threads = threads
        self._isolated = isolated
        self._open = True
        # By position, and only of inputs that were given other lengths.
        self._shapes: dict[int, tuple[int, ...]] = {}
        names = {info.name: i for i, info in enumerate(file.inputs)}
        # A tensor's own name comes before one that a signature gives to another input.
        self._positions = {**file.aliases, **names}
        self._floats = [i for i, info in enumerate(file.inputs) if info.dtype.kind == "f"]
        # None: closed, or to be resized before the first run.
        self._runtime: _AnyRuntime | None = None
        if not file.unsized:
            self._runtime = self._start(file)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        threads: int = 1,
        unpack_limit: int = UNPACK_LIMIT,
        isolated: bool | RunLimits | None = None,
    ) -> Self:
        """Open a model file.

        The file is read whole and checked before the runtime sees it: 1 to 25 ms for the models of
        a few MB that we know. The checks are no proof (``_verify`` says what they are worth).

        Args:
            path: a ``.tflite`` file, or its stored form that ``compact`` makes, whatever its name.
            threads: threads of the kernels, 1 to 1024.
            unpack_limit: bytes that a stored form may unpack to.
            isolated: True or ``RunLimits``: run it in a process of its own, as for any file of a
                stranger; None: only where the checks cannot tell what its operators will read and
                write (``isolated`` of the model says so), or everywhere if the environment has
                ``HANDHELD_ISOLATED=1``, which commands take; False: never, for files that you
                trust.

        Raises:
            ModelError: it cannot be read, is corrupt, needs what the runtime does not have, or
                crashes or hangs the process that opens it.
            InputError: ``threads`` is out of range, or ``isolated`` or ``HANDHELD_ISOLATED`` is
                something else.
        """
        path = Path(path)

        if isolated is None and isolation_asked():
            isolated = True
        try:
            require_file(path)
            content = path.read_bytes()
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); expected a .tflite file"
            raise ModelError(f"{path}: {problem}") from error
        return cls.load(
            content, path=path, threads=threads, unpack_limit=unpack_limit, isolated=isolated
        )

    @classmethod
    def load(
        cls,
        content: bytes | bytearray | memoryview,
        *,
        path: str | PathLike[str] = "<memory>",
        threads: int = 1,
        unpack_limit: int = UNPACK_LIMIT,
        isolated: bool | RunLimits | None = None,
    ) -> Self:
        """Open a model from the bytes of its file; ``path`` is what messages call it.

        Takes and raises what ``open`` does, and :class:`InputError` for content that is no bytes.
        """
        whole_in_range("threads", threads, low=1, high=MAX_THREADS)
        ensure_isolation(isolated)
        content = unpacked(_bytes_of(content), str(path), unpack_limit)
        # Offsets of a FlatBuffer are of 32 bits, with a sign in places.
        if len(content) > MAX_BYTES:
            raise ModelError(f"{path}: {len(content)} bytes, expected at most {MAX_BYTES}")
        file = read(content, str(path))
        return cls(Path(path), content, file, threads=int(threads), isolated=isolated)

    def _start(self, file: ModelFile) -> _AnyRuntime:
        """A runtime for the file, in this process if nothing speaks against it."""
        types = [info.dtype.name for info in file.outputs]
        is_doubted = self._isolated is None and bool(file.doubts)
        if self._isolated or is_doubted:
            limits = RunLimits()
            if isinstance(self._isolated, RunLimits):
                limits = self._isolated
            return IsolatedRuntime(
                self._content,
                str(self.path),
                threads=self._threads,
                types=types,
                shapes=self._shapes,
                limits=limits,
            )
        try:
            return Runtime(
                self._content,
                threads=self._threads,
                steady=file.steady,
                layout=file.layout,
                types=types,
                shapes=self._shapes,
            )
        except _RUNTIME_ERRORS as error:
            problem = f"the runtime refuses the model: {str(error).strip()}"
            raise ModelError(f"{self.path}: {problem}") from error

    @property
    def isolated(self) -> bool:
        """Whether the model runs in a process of its own."""
        return isinstance(self._runtime, IsolatedRuntime)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the checks do not vouch for the file in this process; () where they do."""
        return self._file.doubts

    @property
    def signatures(self) -> Mapping[str, ModelSignature]:
        """The functions that the file offers by name, for ``run(signature=...)``."""
        return self._file.signatures

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
        """The values of a constant tensor of the main graph, as they are stored.

        Those of four bits come as int8.

        Raises:
            ModelError: there is none of that name, it is of a type that no array holds, or it is
                stored sparse.
        """
        try:
            return self._file.constant(name)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from error

    def has_constant(self, name: str) -> bool:
        """Whether the main graph has a constant tensor of that name."""
        return name in self._file.constants

    def constants_beside(self, name: str) -> tuple[str, ...]:
        """Names of the other constants that the first operator of the main graph which reads
        ``name`` reads: of a layer's weights, its bias, which bears another name where layers share
        it.
        """
        return self._file.constants_beside(name)

    @property
    def content(self) -> bytes:
        """The bytes of the ``.tflite`` file, unpacked."""
        return self._content

    def constant_bits(self, name: str) -> int:
        """How many bits the file keeps a number of a constant in.

        Raises:
            ModelError: as ``constant`` does.
        """
        self.constant(name)
        return element_bits(self._file.constants[name].dtype)

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the main graph's operators in order of execution.

        As the schema has them (``CONV_2D``); custom ones as the file does.
        """
        return self._file.operators

    @property
    def operator_counts(self) -> Counter[str]:
        """How often each operator occurs."""
        return Counter(self._file.operators)

    @property
    def cost(self) -> ModelCost:
        """Multiply-accumulates and parameters, counted from the file, with the shapes of now."""
        return count_cost(self._file.table, self._file.layout)

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

    def run(
        self, *arrays: np.ndarray, signature: str | None = None, **named: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Run the model once.

        Each array is copied once, straight into the runtime's input; it need not be contiguous. An
        array that differs from its input in open axes alone resizes the model first.

        Args:
            *arrays: inputs in the order of ``inputs``, each of exactly that shape and dtype.
            signature: key of the function to run, one of ``signatures``, whose inputs and outputs
                take the place of the model's own.
            **named: further inputs by the tensor's name, or by the name that a signature gives it.

        Returns:
            The outputs in the order of ``outputs``: fresh arrays that the caller owns.

        Raises:
            InputError: an input is missing, unknown, of another shape or dtype, or not finite; the
                model is closed.
            ModelError: the runtime fails while it runs the model, or does not end in time.
        """
        if signature is not None:
            return self._run_signature(signature, arrays, named)
        chosen = self._arrange(arrays, named)
        with self.lock:
            for i, (info, array) in enumerate(zip(self._file.inputs, chosen, strict=True)):
                if array.shape != info.shape or array.dtype != info.dtype:
                    return self._run_resized(chosen)
                np.copyto(self._ensure_runtime().inputs[i], array)
            return self.invoke()

    def run_named(
        self, *arrays: np.ndarray, signature: str | None = None, **named: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Run the model once and return its outputs by name; takes and raises what ``run`` does."""
        results = self.run(*arrays, signature=signature, **named)
        outputs = self.outputs
        if signature is not None:
            outputs = self.signatures[signature].outputs
        names = [info.name for info in outputs]
        return dict(zip(names, results, strict=True))

    def _run_resized(self, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        shapes: dict[int | str, Sequence[int]] = {}
        for i, (info, array) in enumerate(zip(self.inputs, arrays, strict=True)):
            if not info.takes(array.shape) or array.dtype != info.dtype:
                raise self._mismatch(f"input {i}", info, array)
            shapes[i] = array.shape
        self.resize(shapes)
        # All of them once more: the views of before belong to a runtime that is closed.
        for i, array in enumerate(arrays):
            np.copyto(self.input_view(i), array)
        return self.invoke()

    def _mismatch(self, subject: str, info: TensorInfo, array: np.ndarray) -> InputError:
        dtype = array.dtype.name
        # Both byte orders have one name.
        if not array.dtype.isnative:
            dtype += " of the other byte order"
        got = f"got {dtype} {list(array.shape)}"
        return InputError(f"{self.path}: {subject} is {info}, {got}")

    def resize(self, shapes: Mapping[int | str, Sequence[int]]) -> None:
        """Give open axes other lengths; the file is checked again with them.

        Variables begin anew, and ``input_view`` has to be called again.

        Args:
            shapes: of each input that changes, by position or name.

        Raises:
            InputError: there is no such input, or an axis is not open; the model is as it was.
            ModelError: the model cannot be run with these lengths; it is as it was.
        """
        with self.lock:
            self._ensure_open()
            new_shapes = dict(self._shapes)
            for key, shape in shapes.items():
                position = self._position(key)
                new_shapes[position] = self._fitting(position, shape)
            self._reopen(resized(self._file, new_shapes, str(self.path)), new_shapes)

    def _position(self, key: int | str) -> int:
        position = key
        if isinstance(position, str):
            position = self._positions.get(position, -1)
        if not 0 <= position < len(self.inputs):
            raise InputError(f"{self.path}: no input {key!r}; they are {self._listing()}")
        return position

    def _fitting(self, position: int, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape, if the input can be given it."""
        info = self.inputs[position]
        if not isinstance(shape, Iterable):
            raise InputError(f"{self.path}: input {position} is {info}, got {shape!r}")
        sides = tuple(shape)
        # Numpy's integers too, but no floats, which would be cut off without a word.
        are_whole = all(isinstance(side, Integral) for side in sides)
        if not are_whole or not info.takes(sides) or min(sides, default=1) < 1:
            raise InputError(f"{self.path}: input {position} is {info}, got {list(sides)}")
        return tuple(map(int, sides))

    def reset(self) -> None:
        """Make all variables what they were when the model was opened.

        ``input_view`` has to be called again. Models without variables are left alone.

        Raises:
            InputError: the model is closed.
        """
        with self.lock:
            self._ensure_open()
            if self._file.keeps_state and not self._file.unsized:
                self._reopen(self._file, self._shapes)

    def _reopen(self, file: ModelFile, shapes: dict[int, tuple[int, ...]]) -> None:
        before = self._shapes
        self._shapes = shapes
        # The old runtime goes when the new one stands: a failure leaves the model as it was.
        try:
            runtime = self._start(file)
        except ModelError:
            self._shapes = before
            raise
        if self._runtime is not None:
            self._runtime.close()
        self._runtime = runtime
        self._file = file

    def _run_signature(
        self, key: str, arrays: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[np.ndarray, ...]:
        if key not in self.signatures:
            listed = ", ".join(sorted(self.signatures)) or "none"
            raise InputError(f"{self.path}: no signature {key!r}; the model has {listed}")
        signature = self.signatures[key]
        inputs = self._signature_inputs(signature, arrays, named)
        names = [info.name for info in signature.inputs]
        outputs = {info.name: info.dtype.name for info in signature.outputs}
        with self.lock:
            runtime = self._ensure_runtime()
            try:
                return runtime.call(key, names, inputs, outputs)
            except _RUNTIME_ERRORS as error:
                raise self._failed(error) from error

    def _signature_inputs(
        self, signature: ModelSignature, arrays: tuple[Any, ...], named: dict[str, Any]
    ) -> list[np.ndarray]:
        """Inputs in the order of the signature's list."""
        names = [info.name for info in signature.inputs]
        chosen = dict(zip(names, arrays, strict=False))
        for name, array in named.items():
            subject = f"{self.path}: input {name!r} of {signature.key!r}"
            if name in chosen:
                raise InputError(f"{subject} is given twice")
            if name not in names:
                raise InputError(f"{subject} is unknown")
            chosen[name] = array
        if len(arrays) > len(names) or chosen.keys() != set(names):
            takes = ", ".join(map(str, signature.inputs))
            got = f"got {sorted(chosen)}"
            raise InputError(f"{self.path}: {signature.key!r} takes {takes}; {got}")
        inputs = [self._as_array(chosen[name]) for name in names]
        for info, array in zip(signature.inputs, inputs, strict=True):
            self._check_signature_input(signature.key, info, array)
        return inputs

    def _check_signature_input(self, key: str, info: TensorInfo, array: np.ndarray) -> None:
        if array.shape != info.shape or array.dtype != info.dtype:
            raise self._mismatch(f"input of {key!r}", info, array)
        if array.dtype.kind == "f":
            self._ensure_finite(info, array)

    def _arrange(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> list[np.ndarray]:
        """Inputs in the order of the model's list."""
        count = len(self._file.inputs)
        if not named and len(arrays) == count:  # the hot path
            return [self._as_array(array) for array in arrays]
        chosen: dict[int, Any] = dict(enumerate(arrays))
        for name, array in named.items():
            position = self._positions.get(name)
            if position is None:
                raise self._wrong_name(name, "unknown")
            # Also where a tensor is named twice, once by its name and once by a signature's.
            if position in chosen:
                raise self._wrong_name(name, "given twice")
            chosen[position] = array
        if chosen.keys() != set(range(count)):
            expected = f"expected {self._listing()}"
            raise InputError(f"{self.path}: {len(chosen)} inputs given, {expected}")
        return [self._as_array(chosen[position]) for position in range(count)]

    def _as_array(self, value: Any) -> np.ndarray:
        try:
            return np.asarray(value)
        except ValueError as error:  # of lists of different lengths
            raise InputError(
                f"{self.path}: expected arrays as inputs, {self._listing()}: {error}"
            ) from error

    def _wrong_name(self, name: str, state: str) -> InputError:
        listed = f"the inputs are {self._listing()}"
        return InputError(f"{self.path}: input {name!r} is {state}; {listed}")

    def _listing(self) -> str:
        return ", ".join(map(str, self.inputs))

    def input_view(self, position: int = 0) -> np.ndarray:
        """The array that input ``position`` is read from, for callers that fill it in place.

        It may be kept and filled again for every run; what it holds after a run is not specified.
        For the rare models whose shapes depend on values it is a buffer of its own, copied at each
        ``invoke``.

        Raises:
            InputError: there is no such input, or the model is closed.
        """
        runtime = self._ensure_runtime()
        if not 0 <= position < len(self.inputs):
            last = len(self.inputs) - 1
            raise InputError(f"{self.path}: input {position} asked for, expected 0 to {last}")
        return runtime.inputs[position]

    def invoke(self, *, finite: bool = False) -> tuple[np.ndarray, ...]:
        """Run on what the input views hold; returns and raises as ``run`` does.

        A float input is checked by its sum, or that of its squares (25 microseconds for
        224 x 224 x 3), which is finite exactly if every element is, but for overflow; only then are
        the elements looked at.

        Args:
            finite: the caller knows its floats to be finite, as those made from bytes are: no
                check.
        """
        with self.lock:
            runtime = self._ensure_runtime()
            if not finite:
                for i in self._floats:
                    self._ensure_finite(self.inputs[i], runtime.inputs[i])
            try:
                return runtime.invoke()
            except _RUNTIME_ERRORS as error:
                raise self._failed(error) from error

    def stages(self) -> "InvokeStages":
        """Return the two halves of ``invoke``, for who times the first alone.

        Neither locks nor checks. They are of no use once the model was resized, reset or closed.

        Raises:
            InputError: the model is closed, or has to be resized.
        """
        runtime = self._ensure_runtime()
        return InvokeStages(runtime.compute, runtime.read)

    def _failed(self, error: Exception) -> ModelError:
        return ModelError(f"{self.path}: the runtime failed: {str(error).strip()}")

    def _ensure_finite(self, info: TensorInfo, array: np.ndarray) -> None:
        if math.isfinite(_finite_sum(array)):
            return
        # An overflow of the sum alone ends here too, and is nobody's fault.
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            first = tuple(map(int, wrong[0]))
            problem = f"{len(wrong)} elements that are not finite"
            example = f"the first {array[first]} at {first}"
            raise InputError(f"{self.path}: input {info} has {problem}, {example}")

    def _ensure_runtime(self) -> _AnyRuntime:
        runtime = self._runtime
        if runtime is None:
            self._ensure_open()
            problem = f"has to be resized before it can run: {self._file.unsized}"
            raise InputError(f"{self.path}: {problem}; its inputs are {self._listing()}")
        return runtime

    def _ensure_open(self) -> None:
        if not self._open:
            raise InputError(f"{self.path}: the model is closed; open it again")

    def close(self) -> None:
        """Give the runtime's memory back; views that are still held keep theirs.

        May be called twice.
        """
        with self.lock:
            if self._open:
                self._open = False
                if self._runtime is not None:
                    self._runtime.close()
                self._runtime = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        outputs = ", ".join(map(str, self.outputs))
        return f"Model({str(self.path)!r}, {self._listing()} -> {outputs})"


def _finite_sum(array: np.ndarray) -> float:
    """Return a number that is finite only if every element is."""
    # A sum of squares by BLAS takes a third of the time of a reduction where arrays are small, and
    # says nothing of overflows. It would start threads of its own for large ones.
    if array.size <= _SMALL and array.dtype.char in "fd":
        return float(np.vdot(array, array))
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.add.reduce(array, axis=None))


def _bytes_of(content: object) -> bytes:
    """Return a file's content as bytes, which the runtime keeps and nobody can write to."""
    if not isinstance(content, bytes | bytearray | memoryview):
        raise InputError(f"expected the bytes of a model file, got {type(content).__name__}")
    return bytes(content)
