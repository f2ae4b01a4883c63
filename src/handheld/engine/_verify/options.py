"""Ranges of the options of operators, by the option's name."""

import math

from handheld.engine._verify.flatbuffer import Table, fail
from handheld.engine._verify.operators import Signature
from handheld.engine._verify.schema import UNIONS

_MAX_SIDE = 1 << 16

# An option of this name must lie in this range, in whichever operator it appears.
_RANGES: dict[str, tuple[int, int]] = {
    "padding": (0, 1),
    "fused_activation_function": (0, 5),
    **dict.fromkeys(
        ("stride_w", "stride_h", "stride_d", "filter_width", "filter_height"), (1, _MAX_SIDE)
    ),
    **dict.fromkeys(
        ("dilation_w_factor", "dilation_h_factor", "dilation_d_factor"), (1, _MAX_SIDE)
    ),
    **dict.fromkeys(("block_size", "num_splits", "values_count", "num"), (1, _MAX_SIDE)),
    **dict.fromkeys(("depth_multiplier", "radius", "ngram_size", "max_skip_size"), (0, _MAX_SIDE)),
    **dict.fromkeys(("axis", "seq_dim", "batch_dim", "batch_dims"), (-8, 8)),
    **dict.fromkeys(
        ("in_data_type", "out_data_type", "output_type", "out_type", "idx_out_type"), (0, 22)
    ),
    **dict.fromkeys(("key_dtype", "value_dtype", "quantized_bias_type"), (0, 22)),
    **dict.fromkeys(("weights_format", "kernel_type", "mode"), (0, 1)),
    **dict.fromkeys(("combiner",), (0, 2)),
    "num_bits": (2, 16),
}


def check_options(where: str, node: Table, signature: Signature) -> None:
    """Check an operator's options against the kernel that ``signature`` describes."""
    kind = node["builtin_options_type"]
    if kind > len(
        UNIONS["builtin_options"]
    ):  # the reader judges it only where the options themselves are there
        fail(
            where,
            f"options of kind {kind}, which is not among the {len(UNIONS['builtin_options'])} that are known",
        )
    name = UNIONS["builtin_options"][kind - 1] if kind else ""
    options = node["builtin_options"]
    if (
        signature.options
        and (name or signature.required)
        and (name != signature.options or options is None)
    ):
        fail(where, f"options are {name or 'absent'}, expected {signature.options}")
    for key, value in (options or {}).items():
        low, high = _RANGES.get(key, (-math.inf, math.inf))
        if isinstance(value, int) and not low <= value <= high:
            fail(f"{where}.{key}", f"{value}, expected {low} to {high}")
        if isinstance(value, float) and not math.isfinite(value):
            fail(f"{where}.{key}", f"{value} is not finite")
    for key, listed in (("num_splits", "outputs"), ("num", "outputs"), ("values_count", "inputs")):
        if options and key in options and options[key] != len(node[listed]):
            fail(f"{where}.{key}", f"{options[key]}, but {len(node[listed])} {listed}")
