"""Models: read from the files that graphs may name, and run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, read_options
from handheld.graph.text.library_ports import ports_of
from handheld.hands.mediapipe.nodes import SideCalculator, connected, one_of, wrong
from handheld.hands.mediapipe.resources import Resources, resource
from handheld.hands.mediapipe.values import ResourceFile

OP_RESOLVER = "litert"
"""What ``TfLiteCustomOpResolverCalculator`` gives: all operators are in the one runtime."""

# What the text leaves open, MediaPipe writes as -1. We take one thread, as the tracker does.
_OPEN = -1
_DELEGATES = ("tflite", "gpu", "nnapi", "xnnpack")


@dataclass(frozen=True)
class TensorOrder:
    """Which of a model's tensors are meant by the tensors of a packet, in their order.

    Attributes:
        indices: numbers of the model's tensors; empty for the model's own order.
        names: names of them, in place of numbers.
    """

    indices: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def numbers(self, names: Sequence[str], title: str) -> tuple[int, ...]:
        """Return the numbers of the model's tensors.

        Args:
            names: of the model's tensors.
            title: of them, for messages.

        Raises:
            InputError: they are not each of the model's tensors once.
        """
        if not self.indices and not self.names:
            return tuple(range(len(names)))
        numbers = self.indices
        if self.names:
            if sorted(self.names) != sorted(names):
                raise InputError(f"{title}: expected {', '.join(names)}, got {self.names}")
            numbers = tuple(names.index(name) for name in self.names)
        if sorted(numbers) != list(range(len(names))):
            raise InputError(f"{title}: expected each of 0 to {len(names) - 1} once, got {numbers}")
        return numbers


@dataclass(frozen=True)
class InferenceOptions:
    """How a model is run.

    Attributes:
        threads: of the kernels.
        inputs, outputs: which of the model's tensors are meant.
    """

    threads: int = 1
    inputs: TensorOrder = TensorOrder()
    outputs: TensorOrder = TensorOrder()


class Inference(Calculator):
    """Runs a model on lists of tensors: MediaPipe's ``InferenceCalculator``, on the CPU.

    Args:
        node: which side packets are connected is in its text.
        options: how the model is run.
        files: those that graphs may name.
        path: of the model, where the options name it; empty takes it from ``MODEL``.
    """

    def __init__(
        self, node: NodeText, options: InferenceOptions, *, files: Resources, path: str
    ) -> None:
        self._options = options
        self._files = files
        self._path = path
        # A model comes by its path or by the side packet, never both.
        sides: dict[str, Any] = {}
        if not path:
            sides = {"MODEL": ResourceFile | Model}
        self.contract = Contract(
            inputs={"TENSORS": Sequence},
            outputs={"TENSORS": list},
            side_inputs={**sides, **connected(node.side_inputs, {"OP_RESOLVER": object})},
        )

    def open(self, context: Context) -> None:
        """Open the model, unless it comes open."""
        if self._path:
            model: Any = resource(self._files, self._path)
        else:
            model = context.side["MODEL"]
        self._is_ours = isinstance(model, ResourceFile)
        if isinstance(model, ResourceFile):
            model = Model.load(model.content, path=model.path, threads=self._options.threads)
        self._model: Model = model
        options = self._options
        inputs = [info.name for info in model.inputs]
        outputs = [info.name for info in model.outputs]
        self._inputs = options.inputs.numbers(inputs, "tensors of the model's inputs")
        self._outputs = options.outputs.numbers(outputs, "tensors of the model's outputs")

    def process(self, context: Context) -> None:
        """Run."""
        if "TENSORS" not in context.inputs:
            return
        tensors = context.get("TENSORS")
        if len(tensors) != len(self._inputs):
            raise InputError(
                f"{self._model.path}: expected {len(self._inputs)} tensors, got {len(tensors)}"
            )
        arranged: list[Any] = [None] * len(tensors)
        for number, tensor in zip(self._inputs, tensors, strict=True):
            arranged[number] = tensor
        outputs = self._model.run(*arranged)
        context.send("TENSORS", [outputs[number] for number in self._outputs])

    def reset(self, context: Context) -> None:
        """Keep the model: to open it takes longer than many frames."""
        self._model.reset()

    def close(self, context: Context) -> None:
        """Give the model's memory back."""
        # Not there if opening failed; and one that came open is for others to close.
        model = getattr(self, "_model", None)
        if model is not None and self._is_ours:
            model.close()


def inference_calculator(node: NodeText, *, files: Resources) -> Calculator:
    """Make an ``InferenceCalculator``; every delegate is the CPU's kernels."""
    with read_options(node, "InferenceCalculatorOptions") as options:
        path = options.text("model_path")
        threads = options.whole("cpu_num_thread", _OPEN)
        with options.message("delegate") as delegate:
            threads = _delegate_threads(delegate, threads)
        with options.message("input_output_config") as config:
            inputs = _tensor_order(config, "input")
            outputs = _tensor_order(config, "output")
            if config.has("feedback_tensor_links"):
                raise config.located(
                    "feedback_tensor_links",
                    "feedback_tensor_links: models with a state of their own keep it in variables",
                )
        options.ignore("try_mmap_model", "use_gpu", "use_nnapi")
    if bool(path) == any(port.tag == "MODEL" for port in node.side_inputs):
        raise wrong(node, "expected a model, as the option model_path or the side packet MODEL")
    chosen = InferenceOptions(threads if threads > 0 else 1, inputs, outputs)
    return Inference(node, chosen, files=files, path=path)


def _delegate_threads(delegate: OptionReader, threads: int) -> int:
    delegate.ignore(*_DELEGATES)
    with delegate.message("xnnpack") as xnnpack:
        xnnpack.ignore("enable_zero_copy_tensor_io", "num_threads")
        if xnnpack.has("num_threads"):
            return xnnpack.whole("num_threads", _OPEN)
    return threads


def _tensor_order(config: OptionReader, side: str) -> TensorOrder:
    with config.message(f"{side}_tensor_indices_map") as indices:
        numbers = indices.wholes("model_tensor_indices", low=0)
    with config.message(f"{side}_tensor_names_map") as names:
        return TensorOrder(numbers, names.texts("tensor_names"))


def tflite_model_calculator(node: NodeText) -> Calculator:
    """Make a ``TfLiteModelCalculator``, which hands the file on; each node opens it for itself."""
    read_options(node).finish()
    source = one_of(node, node.side_inputs, "MODEL_RESOURCE", "MODEL_BLOB", "MODEL_SPAN")
    return SideCalculator(
        partial(_model_file, port=source),
        inputs={source: object},
        outputs={"MODEL": ResourceFile},
    )


def _model_file(side: Mapping[str, Any], port: str) -> dict[str, ResourceFile]:
    content = side[port]
    if not isinstance(content, ResourceFile):
        content = ResourceFile("<memory>", content)
    return {"MODEL": content}


def op_resolver_calculator(node: NodeText) -> Calculator:
    """Make a ``TfLiteCustomOpResolverCalculator``."""
    with read_options(node, "TfLiteCustomOpResolverCalculatorOptions") as options:
        options.ignore("use_gpu")
    return SideCalculator(_op_resolver, outputs={"OP_RESOLVER": str})


def _op_resolver(side: Mapping[str, Any]) -> dict[str, str]:
    return {"OP_RESOLVER": OP_RESOLVER}


def resource_provider_calculator(node: NodeText, *, files: Resources) -> Calculator:
    """Make a ``ResourceProviderCalculator``."""
    outputs = ports_of(node.side_outputs, "RESOURCE")
    inputs = ports_of(node.side_inputs, "RESOURCE_ID")
    with read_options(node, "ResourceProviderCalculatorOptions") as options:
        paths = options.texts("resource_id")
    if len(inputs) + len(paths) != len(outputs) or (inputs and paths):
        reason = "expected an output RESOURCE for each RESOURCE_ID or for each option resource_id"
        raise wrong(node, reason)
    return SideCalculator(
        partial(_resources, files=files, inputs=tuple(inputs), paths=paths, outputs=tuple(outputs)),
        inputs=dict.fromkeys(inputs, str),
        outputs=dict.fromkeys(outputs, ResourceFile),
    )


def _resources(
    side: Mapping[str, Any],
    files: Resources,
    inputs: Sequence[str],
    paths: Sequence[str],
    outputs: Sequence[str],
) -> dict[str, ResourceFile]:
    all_paths = [*paths, *(side[port] for port in inputs)]
    contents = [resource(files, path) for path in all_paths]
    return dict(zip(outputs, contents, strict=True))


def local_file_contents_calculator(node: NodeText, *, files: Resources) -> Calculator:
    """Make a ``LocalFileContentsCalculator``; its files are those that graphs may name."""
    with read_options(node, "LocalFileContentsCalculatorOptions") as options:
        options.ignore("text_mode")
    inputs = ports_of(node.side_inputs, "FILE_PATH")
    outputs = ports_of(node.side_outputs, "CONTENTS")
    if not inputs or len(inputs) != len(outputs):
        raise wrong(node, "expected an output CONTENTS for each FILE_PATH")
    return SideCalculator(
        partial(_contents, files=files, inputs=tuple(inputs), outputs=tuple(outputs)),
        inputs=dict.fromkeys(inputs, str),
        outputs=dict.fromkeys(outputs, bytes),
    )


def _contents(
    side: Mapping[str, Any], files: Resources, inputs: Sequence[str], outputs: Sequence[str]
) -> dict[str, bytes]:
    read = _resources(side, files, inputs, (), outputs)
    return {port: file.content for port, file in read.items()}


def float_tensor(tensors: Sequence[NDArray[Any]], title: str) -> NDArray[np.float32]:
    """Return the first of a packet's tensors, which is of float32. Raises :class:`InputError`."""
    if not tensors:
        raise InputError(f"{title}: expected a tensor, got none")
    first = np.asarray(tensors[0])
    if first.dtype != np.float32:
        raise InputError(f"{title}: expected a tensor of float32, got {first.dtype}")
    return first
