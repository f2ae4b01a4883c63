"""The one file that knows the inference runtime: LiteRT's interpreter with its XNNPACK kernels.

The interpreter and not ``CompiledModel``: on a CPU both ran our models in the same time (within
15 %, the interpreter ahead), and the latter loads accelerator plug-ins and logs them. The runtime
is imported when the first model is opened. Its one line on stderr at the first open ("Created
TensorFlow Lite XNNPACK delegate") stays: the library exports nothing to silence it, and
redirecting the process's stderr would race with other threads.

This file imports nothing of ours: ``_child`` loads it by its path in a process without handheld.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def preload() -> None:
    """Import the runtime now, and not with the first model that is opened."""
    import ai_edge_litert.interpreter  # noqa: F401


class Window:
    """Memory of an interpreter, as the base of an array: it keeps the interpreter alive.

    The interpreter refuses to run while one of its own views exists, because running may move
    tensors. Where it never does (``steady`` models) an array made from a window may be held across
    runs.
    """

    def __init__(self, view: np.ndarray, owner: object) -> None:
        self.__array_interface__ = view.__array_interface__
        self.owner = owner


class Runtime:
    """One interpreter with allocated tensors. Not thread safe: its owner locks.

    Args:
        content: a file that ``_verify`` has accepted; it is not copied, and kept alive.
        threads: threads of the kernels.
        steady: whether no tensor ever moves.
        layout: shape of each tensor of the main graph by the rules of ``_verify``, which vouch for
            no run with others; None: any.
        types: names of the element types that the file declares for the outputs, in their order;
            (): they are not compared.
        shapes: of inputs that have other lengths than in the file, by position.

    Raises:
        ValueError, RuntimeError: the runtime refuses the model, in its own words, or gives outputs
            of other types.
    """

    def __init__(
        self,
        content: bytes,
        *,
        threads: int,
        steady: bool,
        layout: Sequence[Sequence[int] | None] = (),
        types: Sequence[str] = (),
        shapes: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
        inputs = self._interpreter.get_input_details()
        self._inputs = [detail["index"] for detail in inputs]
        for position, shape in (shapes or {}).items():
            self._interpreter.resize_tensor_input(self._inputs[position], list(shape))
        self._interpreter.allocate_tensors()
        self._ensure_layout(layout)
        outputs = self._interpreter.get_output_details()
        for detail, declared in zip(outputs, types, strict=False):
            _ensure_type(detail["name"], declared, np.dtype(detail["dtype"]))
        self._outputs = [detail["index"] for detail in outputs]
        self.inputs = tuple(self._array(index, steady) for index in self._inputs)
        """Arrays to write the inputs into, in the order of the model's list."""
        # Those that are no windows have to be copied at each run.
        self._staged = [i for i, array in enumerate(self.inputs) if array.flags.owndata]

    def _ensure_layout(self, layout: Sequence[Sequence[int] | None]) -> None:
        """Refuse a model of which the kernels think otherwise than our rules.

        Before one of them reads or writes. Takes 3 microseconds a tensor. Inside of a delegate
        nothing can be compared: its tensors keep the shapes of the file when inputs are resized,
        and XNNPACK measures its own memory.
        """
        if not layout:
            return
        for detail in self._interpreter.get_tensor_details():
            index = detail["index"]
            # The interpreter may have tensors of its own behind those of the file.
            if index >= len(layout):
                continue
            expected = layout[index]
            actual = detail["shape"].tolist()
            if expected is None or actual == list(expected):
                continue
            # A tensor inside of a delegate has none, and is not compared.
            if not self._has_memory(index):
                continue
            shapes = f"{actual} for it, the file {list(expected)}"
            problem = f"the runtime computes a shape of {shapes}"
            raise ValueError(f"tensor {detail['name']!r}: {problem}; export it anew")

    def _has_memory(self, index: int) -> bool:
        """Whether a kernel of the interpreter's own reads or writes a tensor."""
        try:
            self._interpreter.tensor(index)()
        except ValueError:  # "Tensor data is null"
            return False
        return True

    def _array(self, index: int, steady: bool) -> np.ndarray:
        view = self._interpreter.tensor(index)()  # a numpy scalar, no view, where the shape is ()
        if steady and isinstance(view, np.ndarray) and view.size:
            return np.asarray(Window(view, self._interpreter))
        return np.zeros(view.shape, view.dtype)

    def invoke(self) -> tuple[np.ndarray, ...]:
        """Run once; the outputs are copies."""
        self.compute()
        return self.read()

    def compute(self) -> None:
        """Run once."""
        for i in self._staged:
            self._interpreter.set_tensor(self._inputs[i], self.inputs[i])
        self._interpreter.invoke()

    def read(self) -> tuple[np.ndarray, ...]:
        """Return copies of the outputs of the last run."""
        return tuple(map(self._interpreter.get_tensor, self._outputs))

    def call(
        self,
        key: str,
        names: Sequence[str],
        arrays: Sequence[np.ndarray],
        outputs: Mapping[str, str],
    ) -> tuple[np.ndarray, ...]:
        """Run the signature ``key`` on inputs by name.

        Args:
            key: of the signature.
            names: of its inputs.
            arrays: the inputs, in the order of ``names``.
            outputs: the element types that the file declares, by the output's name.

        Returns:
            Copies of the outputs, in the order of ``outputs``.
        """
        # A runner that is kept would count as a view: the interpreter then refuses to run.
        runner = self._interpreter.get_signature_runner(key)
        results = runner(**dict(zip(names, arrays, strict=True)))
        for name, declared in outputs.items():
            _ensure_type(name, declared, results[name].dtype)
        # By the names that are asked for: the runner's own order is that of its dictionary.
        return tuple(np.asarray(results[name]) for name in outputs)

    def close(self) -> None:
        """Nothing to do: memory goes back with the last array that is held."""


def _ensure_type(name: str, declared: str, actual: np.dtype[Any]) -> None:
    """Refuse an output whose kernel sets its type itself, as ARG_MAX does, to another one."""
    if actual.name != declared:
        gives = f"the file declares {declared}, but the runtime gives {actual.name}"
        raise ValueError(f"output {name!r}: {gives}; export it anew")
