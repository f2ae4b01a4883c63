"""Types and scales of an operator's operands, where its kernel takes them on trust.

``check_operands`` refuses what is certainly wrong. ``doubts`` tells what no kernel's rule here
covers: such a file may well be right, and is run in a process of its own. ``kernels`` has the
tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from handheld.engine._verify import kernels
from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.tensors import OPAQUE, TYPES, has_data, type_name

_INT32 = TYPES.index("int32")
_WIDE = ("int32", "int64")
_NARROW = ("int8", "int16", "uint8")
_MOST_SIDES = 6  # the rank that broadcasting kernels and the delegate can take


@dataclass
class Operands:
    """What one operator reads and writes.

    Args:
        name: of the operator.
        inputs: tensors; None: absent.
        outputs: tensors.
        options: its builtin options.
        buffers: of the file.

    Attributes:
        present: the inputs that are there.
        data: the input that is the data; None: absent.
    """

    name: str
    inputs: Sequence[Table | None]
    outputs: Sequence[Table]
    options: Table
    buffers: Sequence[Table]
    present: list[Table] = field(init=False)
    data: Table | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.present = [tensor for tensor in self.inputs if tensor]
        position = kernels.DATA_INPUTS.get(self.name, 0)
        if position < len(self.inputs):
            self.data = self.inputs[position]

    def at(self, positions: Iterable[int]) -> list[Table]:
        """The inputs at some positions, as far as they are there."""
        chosen = [self.inputs[i] for i in positions if i < len(self.inputs)]
        return [tensor for tensor in chosen if tensor]


def check_operands(path: str, operands: Operands) -> None:
    """Refuse an operator if types or scales of its operands are wrong."""
    _check_types(path, operands)
    _check_handles(path, operands)
    if operands.name in kernels.NEEDS_SCALE:
        _check_scales(path, operands)
    if operands.name in kernels.SCALE_AXES:
        _check_channels(path, operands)
    if operands.name != "DENSIFY" and any(tensor["sparsity"] for tensor in operands.present):
        unsupported(path, "a sparse constant is supported where DENSIFY unpacks it, only there")


def _check_types(path: str, operands: Operands) -> None:
    data = operands.data
    if data and operands.name in kernels.OUTPUTS_LIKE_INPUT:
        types = _types(operands.outputs)
        if set(types) - {data["type"]}:
            fail(path, f"element types {types} of outputs, {data['type']} of the input")
    if operands.name in kernels.GIVES_BOOL and type_name(operands.outputs[0]) != "bool":
        fail(path, f"an output of {type_name(operands.outputs[0])}, expected bool")


def _types(tensors: Iterable[Table]) -> list[int]:
    return [tensor["type"] for tensor in tensors]


def _check_handles(path: str, operands: Operands) -> None:
    if operands.name in kernels.TAKES_HANDLES:
        return
    for tensor in (*operands.present, *operands.outputs):
        if type_name(tensor) in OPAQUE[1:]:  # a string is no handle
            fail(path, "reads or writes a handle, which is for variables and tables alone")


def _check_scales(path: str, operands: Operands) -> None:
    """Kernels stop the process over a scale that is absent, or too far from the others."""
    scales = []
    for tensor in (*operands.present, *operands.outputs):
        if type_name(tensor) not in _NARROW:
            continue
        listed = _scales(tensor)
        if not listed:
            fail(path, f"tensor {tensor['name']!r} of integers has no scale")
        scales.append(max(listed))
    if operands.name in kernels.COMPARISONS and 1.0 in scales:
        problem = "a scale of exactly 1, at which the runtime's comparisons stop the process"
        unsupported(path, f"{problem}; use any other")
    threshold = kernels.LEAST_OUTPUT_SCALE.get(operands.name)
    if threshold is None or len(scales) < 2:
        return
    if threshold(2 * max(scales[:-1])) >= scales[-1]:
        problem = f"far too large for the output's {scales[-1]}"
        fail(path, f"scales of inputs {scales[:-1]} are {problem}")


def _scales(tensor: Table) -> Sequence[float]:
    quantization = tensor["quantization"] or {}
    return quantization.get("scale") or ()


def _check_channels(path: str, operands: Operands) -> None:
    """Scales by channel lie along the outputs' channels, and nowhere else."""
    position, axis = kernels.SCALE_AXES[operands.name]
    for i, tensor in enumerate(operands.inputs[: position + 1]):
        if not tensor or not _is_by_channel(tensor):
            continue
        lies = tensor["quantization"]["quantized_dimension"]
        if i < position or lies != axis:
            fail(path, f"operand {i} has scales along axis {lies}")


def _is_by_channel(tensor: Table) -> bool:
    return len(_scales(tensor)) > 1


def doubts(operands: Operands) -> str:
    """Why the operator's kernel may do what no rule here foresees; "" for no reason."""
    for rule in _DOUBTS:
        reason = rule(operands)
        if reason:
            return reason
    return ""


def _input_type_doubt(operands: Operands) -> str:
    for tensor in operands.present:
        if not _takes(operands, tensor):
            return f"an operand of type {type_name(tensor)}"
    return ""


def _takes(operands: Operands, tensor: Table) -> bool:
    """Whether the kernel knows the type of an input."""
    dtype = type_name(tensor)
    if dtype in kernels.PLAIN_TYPES:
        return True
    if dtype == "float16" and operands.name in kernels.TAKES_HALVES:
        return True
    # Of constants alone: weights are stored in these types, and nothing is computed in them.
    is_weight = operands.name in kernels.TAKES_WEIGHTS and dtype in kernels.WEIGHT_TYPES
    return is_weight and has_data(tensor, operands.buffers)


def _output_type_doubt(operands: Operands) -> str:
    for tensor in operands.outputs:
        dtype = type_name(tensor)
        halves = operands.name == "DENSIFY" and dtype == "float16"
        if dtype not in kernels.PLAIN_TYPES and not halves:
            return f"an output of type {dtype}"
    return ""


def _bool_doubt(operands: Operands) -> str:
    if operands.name in kernels.TAKES_BOOLS:
        return ""
    if "bool" in map(type_name, operands.present):
        return "an operand of type bool"
    return ""


def _integer_doubt(operands: Operands) -> str:
    data = operands.data
    name = operands.name
    if data is None or name in kernels.TAKES_INTEGERS:
        return ""
    dtype = type_name(data)
    # Narrow integers are mostly quantised numbers, which these kernels know how to read.
    quantised = name in kernels.NEEDS_SCALE or name in kernels.SCALED_MOVES
    if dtype in _WIDE or (dtype in _NARROW and not quantised):
        return f"an operand of type {dtype}"
    return ""


def _result_doubt(operands: Operands) -> str:
    declared = _types(operands.outputs)
    expected = _result_types(operands)
    if declared == expected:
        return ""
    return f"outputs of types {declared}, which will be {expected}"


def _result_types(operands: Operands) -> list[int | None]:
    """Types of the outputs at run time: some kernels set them, whatever the file declares."""
    name = operands.name
    if name in kernels.OPTION_TYPES:
        return [operands.options.get(kernels.OPTION_TYPES[name])]
    if name in ("BUCKETIZE", "RANK"):
        return [_INT32]
    # Values, and the indices that they had.
    if name == "TOPK_V2":
        return [operands.present[0]["type"], _INT32]
    if name == "ONE_HOT":
        return [operands.present[2]["type"]]
    if name == "RANGE":
        return [operands.present[0]["type"]]
    return [*_types(operands.outputs)]


def _remainder_doubt(operands: Operands) -> str:
    if operands.name == "FLOOR_MOD" and type_name(operands.outputs[0]) != "float32":
        return "a remainder of integers, which stops the process for some values"
    return ""


def _alike_doubt(operands: Operands) -> str:
    positions: Iterable[int] = kernels.ALIKE_INPUTS.get(operands.name, ())
    if operands.name in kernels.ALL_ALIKE:
        positions = range(len(operands.inputs))
    if len(set(_types(operands.at(positions)))) > 1:
        return "operands of two types"
    return ""


def _index_doubt(operands: Operands) -> str:
    for tensor in operands.at(kernels.INDEX_INPUTS.get(operands.name, ())):
        if type_name(tensor) not in _WIDE:
            return "indices that are neither int32 nor int64"
    for tensor in operands.at(kernels.INT32_INPUTS.get(operands.name, ())):
        if type_name(tensor) != "int32":
            return "a list that is not int32"
    return ""


def _filter_doubt(operands: Operands) -> str:
    if operands.name not in kernels.SCALE_AXES:
        return ""
    for tensor in operands.at((1,)):
        if type_name(tensor) in _WIDE:
            return "a filter of integers without a scale"
    return ""


def _condition_doubt(operands: Operands) -> str:
    if operands.name not in ("SELECT", "SELECT_V2"):
        return ""
    if operands.present and type_name(operands.present[0]) != "bool":
        return "a condition that is no bool"
    return ""


def _float_doubt(operands: Operands) -> str:
    """Kernels whose rules are those of float32 alone."""
    if operands.name == "DEQUANTIZE" and type_name(operands.outputs[0]) != "float32":
        return "values of another type than float32"
    if operands.name not in kernels.FLOATS_ALONE:
        return ""
    if set(map(type_name, operands.present)) - {"float32"}:
        return "an operand of another type than float32"
    return ""


def _data_doubt(operands: Operands) -> str:
    data = operands.data
    if operands.name not in kernels.MAY_DIFFER or not data:
        return ""
    if operands.outputs[0]["type"] != data["type"]:
        return "an output of another type than the data"
    return ""


def _channel_doubt(operands: Operands) -> str:
    takes_channels = operands.name in kernels.SCALE_AXES or operands.name == "DEQUANTIZE"
    if not takes_channels and any(map(_is_by_channel, operands.present)):
        return "an operand with scales by channel"
    # A kernel that knows one scale finds 0 there, and stops the process.
    if any(map(_is_by_channel, operands.outputs)):
        return "an output with scales by channel"
    return ""


def _variable_doubt(operands: Operands) -> str:
    if operands.name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return ""
    if any(tensor["is_variable"] for tensor in operands.present):
        return "a variable tensor as operand"
    return ""


def _shape_doubt(operands: Operands) -> str:
    inputs = operands.present
    if operands.name == "RESHAPE":
        inputs = inputs[:1]  # to a scalar, the second operand is an empty list
    for tensor in (*inputs, *operands.outputs):
        if len(tensor["shape"]) > _MOST_SIDES:
            return f"a tensor of {len(tensor['shape'])} sides"
        if 0 in tensor["shape"]:
            return "a tensor without elements"
    return ""


# The first reason is the one that is told, and tests and fuzzing know files by it: the order stays.
_DOUBTS = (
    _input_type_doubt,
    _output_type_doubt,
    _bool_doubt,
    _integer_doubt,
    _result_doubt,
    _remainder_doubt,
    _alike_doubt,
    _index_doubt,
    _filter_doubt,
    _condition_doubt,
    _float_doubt,
    _data_doubt,
    _channel_doubt,
    _variable_doubt,
    _shape_doubt,
)
