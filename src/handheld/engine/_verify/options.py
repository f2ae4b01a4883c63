"""Ranges of the options of operators, by the option's name."""

import math

from handheld.engine._verify.flatbuffer import Table, fail
from handheld.engine._verify.operators import Signature
from handheld.engine._verify.schema import UNIONS

_MAX_SIDE = 1 << 16  # far beyond any real picture or kernel

_LENGTHS = """
stride_w stride_h stride_d filter_width filter_height dilation_w_factor dilation_h_factor
dilation_d_factor block_size num_splits values_count num
"""
_COUNTS = "depth_multiplier radius ngram_size max_skip_size"
_AXES = "axis seq_dim batch_dim batch_dims"
_ELEMENT_TYPES = """
in_data_type out_data_type output_type out_type idx_out_type key_dtype value_dtype
quantized_bias_type
"""
_SWITCHES = "padding weights_format kernel_type mode"

# An option of this name must lie in this range, in whichever operator it appears. Enumerations end
# where the schema's do.
_RANGES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_LENGTHS.split(), (1, _MAX_SIDE)),
    **dict.fromkeys(_COUNTS.split(), (0, _MAX_SIDE)),
    **dict.fromkeys(_AXES.split(), (-8, 8)),
    **dict.fromkeys(_ELEMENT_TYPES.split(), (0, 22)),
    **dict.fromkeys(_SWITCHES.split(), (0, 1)),
    "fused_activation_function": (0, 5),
    "combiner": (0, 2),
    "num_bits": (2, 16),  # of FAKE_QUANT, whose kernel computes with 2 to the power of it
}
_ANY = (-math.inf, math.inf)

# Options that repeat how many tensors the operator lists, and believe their own number.
_LISTED = {"num_splits": "outputs", "num": "outputs", "values_count": "inputs"}


def check_options(path: str, node: Table, signature: Signature) -> None:
    """Check an operator's options against the kernel that ``signature`` describes."""
    name = _table_name(path, node["builtin_options_type"])
    options = node["builtin_options"]
    # A table that the kernel can do without may be left out; another one in its place may not.
    matters = signature.options and (name or signature.required)
    if matters and (name != signature.options or options is None):
        fail(path, f"options are {name or 'absent'}, expected {signature.options}")
    for key, value in (options or {}).items():
        _check_range(path, key, value)
    _check_counts(path, node, options or {})


def _check_counts(path: str, node: Table, options: Table) -> None:
    for key, field in _LISTED.items():
        count = len(node[field])
        if options.get(key, count) != count:
            fail(f"{path}.{key}", f"{options[key]}, but {count} {field}")


def _table_name(path: str, number: int) -> str:
    """Name of a table of options; "" for number 0, which stands for none."""
    names = UNIONS["builtin_options"]
    # The reader judges the number only where the options themselves are there.
    if number > len(names):
        problem = f"options of kind {number}, which is not among the {len(names)} that are known"
        fail(path, problem)
    if not number:
        return ""
    return names[number - 1]


def _check_range(path: str, key: str, value: object) -> None:
    if isinstance(value, int):
        low, high = _RANGES.get(key, _ANY)
        if not low <= value <= high:
            fail(f"{path}.{key}", f"{value}, expected {low} to {high}")
    if isinstance(value, float) and not math.isfinite(value):
        fail(f"{path}.{key}", f"{value} is not finite")
