"""MediaPipe's calculators of vectors by their names: options of the text as arguments."""

from handheld.graph.calculators.vectors import (
    ClipVectorSize,
    ConcatenateVector,
    GetVectorItem,
    SplitVector,
    VectorHasMinSize,
    VectorSize,
)
from handheld.graph.text.library_ports import ordered_ports, some
from handheld.graph.text.model import NodeText
from handheld.graph.text.options import OptionReader, read_options


def split_vector(node: NodeText) -> SplitVector:
    """Return the split of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "SplitVectorCalculatorOptions") as options:
        ranges = [_range(entry) for entry in options.messages("ranges")]
        element_only = options.flag("element_only")
        combine = options.flag("combine_outputs")
        return SplitVector(
            ranges,
            element_only=element_only,
            combine_outputs=combine,
            outputs=ordered_ports(node.outputs),
        )


def _range(options: OptionReader) -> tuple[int, int]:
    with options:
        return options.whole("begin"), options.whole("end")


def concatenate_vector(node: NodeText) -> ConcatenateVector:
    """Return the concatenation of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "ConcatenateVectorCalculatorOptions") as options:
        all_or_nothing = options.flag("only_emit_if_all_present")
    ports = some(node, ordered_ports(node.inputs))
    return ConcatenateVector(ports, only_emit_if_all_present=all_or_nothing)


def clip_vector_size(node: NodeText) -> ClipVectorSize:
    """Return the clip of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "ClipVectorSizeCalculatorOptions") as options:
        # 1 is the default of clip_vector_size_calculator.proto.
        return ClipVectorSize(options.whole("max_vec_size", 1, low=1))


def get_vector_item(node: NodeText) -> GetVectorItem:
    """Return the choice of an item of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "GetVectorItemCalculatorOptions") as options:
        index = options.whole("item_index", low=0) if options.has("item_index") else None
        beyond = options.flag("output_empty_on_oob")
    return GetVectorItem(index, output_empty_on_oob=beyond)


def counting_vector_size(node: NodeText) -> VectorSize:
    """Return the count of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    read_options(node).finish()
    return VectorSize(clocked=any(port.tag == "CLOCK" for port in node.inputs))


def vector_has_min_size(node: NodeText) -> VectorHasMinSize:
    """Return the comparison of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "CollectionHasMinSizeCalculatorOptions") as options:
        return VectorHasMinSize(options.whole("min_size", low=0))
