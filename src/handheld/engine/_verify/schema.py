"""The tables of the TensorFlow Lite schema (version 3), as the reader of ``flatbuffer`` wants them.

One line a table: its name, then its fields in slot order, ``name:type=default``. A type is a scalar
(numpy's letter and size), ``str``, ``union`` (its kind is in the field ``<name>_type`` before it),
a table, or a vector ``[type]``; ``_`` is a slot no longer used. Tables without fields are not
listed. The StableHLO options are left out: files that use them are refused.
``tests/engine/test_schema.py`` holds this equal to the runtime's schema.
"""

from functools import cache
from struct import Struct
from typing import Any, NamedTuple

TABLES = """
Model version:u4 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:str \
 buffers:[Buffer] metadata_buffer:[i4] metadata:[Metadata] signature_defs:[SignatureDef] \
 external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]
OperatorCode deprecated_builtin_code:i1 custom_code:str version:i4=1 builtin_code:i4
SubGraph tensors:[Tensor] inputs:[i4] outputs:[i4] operators:[Operator] name:str \
 debug_metadata_index:i4=-1
Tensor shape:[i4] type:i1 buffer:u4 name:str quantization:QuantizationParameters is_variable:?1 \
 sparsity:SparsityParameters shape_signature:[i4] has_rank:?1 variant_tensors:[VariantSubType] \
 external_buffer:u4
Operator opcode_index:u4 inputs:[i4] outputs:[i4] builtin_options_type:u1 builtin_options:union \
 custom_options:[u1] custom_options_format:i1 mutating_variable_inputs:[?1] intermediates:[i4] \
 large_custom_options_offset:u8 large_custom_options_size:u8 builtin_options2_type:u1 \
 builtin_options2:union debug_metadata_index:i4=-1
Buffer data:[u1] offset:u8 size:u8
ExternalBufferGroup name:str
ExternalBuffer id:u4 group:u4 offset:u8 _ packing:str
Metadata name:str buffer:u4
SignatureDef inputs:[TensorMap] outputs:[TensorMap] signature_key:str _ subgraph_index:u4
TensorMap name:str tensor_index:u4
VariantSubType shape:[i4] type:i1 has_rank:?1
QuantizationParameters min:[f4] max:[f4] scale:[f4] zero_point:[i8] details_type:u1 details:union \
 quantized_dimension:i4
CustomQuantization custom:[u1]
BlockwiseQuantization scales:i4 zero_points:i4 block_size:i4 block_shape:[i4]
MultiAxisQuantization scales:i4 zero_points:i4 block_size:i4 quantized_dimensions:[i4]
SparsityParameters traversal_order:[i4] block_map:[i4] dim_metadata:[DimensionMetadata]
DimensionMetadata format:i1 dense_size:i4 array_segments_type:u1 array_segments:union \
 array_indices_type:u1 array_indices:union
Int32Vector values:[i4]
Uint16Vector values:[u2]
Uint8Vector values:[u1]
Conv2DOptions padding:i1 stride_w:i4 stride_h:i4 fused_activation_function:i1 \
 dilation_w_factor:i4=1 dilation_h_factor:i4=1 quantized_bias_type:i1
Conv3DOptions padding:i1 stride_d:i4 stride_w:i4 stride_h:i4 fused_activation_function:i1 \
 dilation_d_factor:i4=1 dilation_w_factor:i4=1 dilation_h_factor:i4=1
Pool2DOptions padding:i1 stride_w:i4 stride_h:i4 filter_width:i4 filter_height:i4 \
 fused_activation_function:i1
DepthwiseConv2DOptions padding:i1 stride_w:i4 stride_h:i4 depth_multiplier:i4 \
 fused_activation_function:i1 dilation_w_factor:i4=1 dilation_h_factor:i4=1
TransposeConvOptions padding:i1 stride_w:i4 stride_h:i4 fused_activation_function:i1 \
 quantized_bias_type:i1
ConcatEmbeddingsOptions num_channels:i4 num_columns_per_channel:[i4] \
 embedding_dim_per_channel:[i4]
LSHProjectionOptions type:i1
SVDFOptions rank:i4 fused_activation_function:i1 asymmetric_quantize_inputs:?1
RNNOptions fused_activation_function:i1 asymmetric_quantize_inputs:?1
SequenceRNNOptions time_major:?1 fused_activation_function:i1 asymmetric_quantize_inputs:?1
BidirectionalSequenceRNNOptions time_major:?1 fused_activation_function:i1 merge_outputs:?1 \
 asymmetric_quantize_inputs:?1
FullyConnectedOptions fused_activation_function:i1 weights_format:i1 keep_num_dims:?1 \
 asymmetric_quantize_inputs:?1 quantized_bias_type:i1 quant_spec:[u1]
SoftmaxOptions beta:f4
ConcatenationOptions axis:i4 fused_activation_function:i1
AddOptions fused_activation_function:i1 pot_scale_int16:?1=1
SubOptions fused_activation_function:i1 pot_scale_int16:?1=1
MulOptions fused_activation_function:i1
DivOptions fused_activation_function:i1
L2NormOptions fused_activation_function:i1
LocalResponseNormalizationOptions radius:i4 bias:f4 alpha:f4 beta:f4
LSTMOptions fused_activation_function:i1 cell_clip:f4 proj_clip:f4 kernel_type:i1 \
 asymmetric_quantize_inputs:?1
UnidirectionalSequenceLSTMOptions fused_activation_function:i1 cell_clip:f4 proj_clip:f4 \
 time_major:?1 asymmetric_quantize_inputs:?1 diagonal_recurrent_tensors:?1
BidirectionalSequenceLSTMOptions fused_activation_function:i1 cell_clip:f4 proj_clip:f4 \
 merge_outputs:?1 time_major:?1=1 asymmetric_quantize_inputs:?1
ResizeBilinearOptions _ _ align_corners:?1 half_pixel_centers:?1
ResizeNearestNeighborOptions align_corners:?1 half_pixel_centers:?1
CallOptions subgraph:u4
ReshapeOptions new_shape:[i4]
SkipGramOptions ngram_size:i4 max_skip_size:i4 include_all_ngrams:?1
SpaceToDepthOptions block_size:i4
DepthToSpaceOptions block_size:i4
EmbeddingLookupSparseOptions combiner:i1
GatherOptions axis:i4 batch_dims:i4
ReducerOptions keep_dims:?1
SqueezeOptions squeeze_dims:[i4]
SplitOptions num_splits:i4
SplitVOptions num_splits:i4
StridedSliceOptions begin_mask:i4 end_mask:i4 ellipsis_mask:i4 new_axis_mask:i4 \
 shrink_axis_mask:i4 offset:?1
CastOptions in_data_type:i1 out_data_type:i1
ArgMaxOptions output_type:i1
ArgMinOptions output_type:i1
SparseToDenseOptions validate_indices:?1
ShapeOptions out_type:i1
FakeQuantOptions min:f4 max:f4 num_bits:i4 narrow_range:?1
PackOptions values_count:i4 axis:i4
OneHotOptions axis:i4
UnpackOptions num:i4 axis:i4
LeakyReluOptions alpha:f4
MirrorPadOptions mode:i1
UniqueOptions idx_out_type:i1=2
ReverseSequenceOptions seq_dim:i4 batch_dim:i4
IfOptions then_subgraph_index:i4 else_subgraph_index:i4
CallOnceOptions init_subgraph_index:i4
WhileOptions cond_subgraph_index:i4 body_subgraph_index:i4
BatchMatMulOptions adj_x:?1 adj_y:?1 asymmetric_quantize_inputs:?1
CumsumOptions exclusive:?1 reverse:?1
HashtableOptions table_id:i4 key_dtype:i1 value_dtype:i1
VarHandleOptions container:str shared_name:str
RandomOptions seed:i8 seed2:i8
BucketizeOptions boundaries:[f4]
GeluOptions approximate:?1
"""

BUILTIN_OPTIONS = """
Conv2D DepthwiseConv2D ConcatEmbeddings LSHProjection Pool2D SVDF RNN FullyConnected Softmax
Concatenation Add L2Norm LocalResponseNormalization LSTM ResizeBilinear Call Reshape SkipGram
SpaceToDepth EmbeddingLookupSparse Mul Pad Gather BatchToSpaceND SpaceToBatchND Transpose Reducer
Sub Div Squeeze SequenceRNN StridedSlice Exp TopKV2 Split LogSoftmax Cast Dequantize MaximumMinimum
ArgMax Less Neg PadV2 Greater GreaterEqual LessEqual Select Slice TransposeConv SparseToDense Tile
ExpandDims Equal NotEqual Shape Pow ArgMin FakeQuant Pack LogicalOr OneHot LogicalAnd LogicalNot
Unpack FloorDiv Square ZerosLike Fill BidirectionalSequenceLSTM BidirectionalSequenceRNN
UnidirectionalSequenceLSTM FloorMod Range ResizeNearestNeighbor LeakyRelu SquaredDifference
MirrorPad Abs SplitV Unique ReverseV2 AddN GatherNd Cos Where Rank ReverseSequence MatrixDiag
Quantize MatrixSetDiag HardSwish If While DepthToSpace NonMaxSuppressionV4 NonMaxSuppressionV5
ScatterNd SelectV2 Densify SegmentSum BatchMatMul Cumsum CallOnce BroadcastTo Rfft2d Conv3D
Hashtable HashtableFind HashtableImport HashtableSize VarHandle ReadVariable AssignVariable Random
Bucketize Gelu DynamicUpdateSlice UnsortedSegmentProd UnsortedSegmentMax UnsortedSegmentMin
UnsortedSegmentSum ATan2 Sign Bitcast BitwiseXor RightShift
"""

_SPARSE_INDEX = ("Int32Vector", "Uint16Vector", "Uint8Vector")

UNIONS: dict[str, tuple[str, ...]] = {
    "builtin_options": tuple(f"{name}Options" for name in BUILTIN_OPTIONS.split()),
    "builtin_options2": (),
    "details": ("CustomQuantization", "BlockwiseQuantization", "MultiAxisQuantization"),
    "array_segments": _SPARSE_INDEX,
    "array_indices": _SPARSE_INDEX,
}
"""For each union field, the tables that its kinds 1, 2, ... stand for."""


class Field(NamedTuple):
    """One field of a table.

    Args:
        name: of the field.
        slot: its position in the table's list of offsets.
        encoding: scalar, vector (of scalars), str, union, table or tables (a vector of them).
        width: bytes in the table itself: the scalar's, or 4 for an offset.
        scalar: format of the value, or of a vector's elements.
        target: name of the table that the field leads to; for scalars, of the scalar type.
        default: value of a field that a file leaves out.
    """

    name: str
    slot: int
    encoding: str
    width: int
    scalar: Struct
    target: str
    default: Any


# By numpy's letter and size; ``?1`` is a bool of one byte, read as a number.
_SCALARS = {
    "i1": Struct("<b"),
    "u1": Struct("<B"),
    "?1": Struct("<B"),
    "u2": Struct("<H"),
    "i4": Struct("<i"),
    "u4": Struct("<I"),
    "i8": Struct("<q"),
    "u8": Struct("<Q"),
    "f4": Struct("<f"),
}
_OFFSET = Struct("<I")


def _field(text: str, slot: int) -> Field:
    name, _, declaration = text.partition(":")
    type_name, _, default = declaration.partition("=")
    target = type_name.strip("[]")
    scalar = _SCALARS.get(target)
    if scalar and target == type_name:
        return Field(name, slot, "scalar", scalar.size, scalar, target, int(default or 0))
    if scalar:
        return Field(name, slot, "vector", _OFFSET.size, scalar, target, ())
    if target != type_name:
        return Field(name, slot, "tables", _OFFSET.size, _OFFSET, target, ())
    encoding = "table"
    if type_name in ("str", "union"):
        encoding = type_name
    return Field(name, slot, encoding, _OFFSET.size, _OFFSET, target, None)


# A slot that is no longer used keeps its number, so fields are counted before those are dropped.
def _fields(declarations: list[str]) -> tuple[Field, ...]:
    named = [(slot, text) for slot, text in enumerate(declarations) if text != "_"]
    return tuple(_field(text, slot) for slot, text in named)


@cache
def tables() -> dict[str, tuple[Field, ...]]:
    """Fields of every table that has any, in slot order."""
    by_name = {}
    for line in TABLES.strip().splitlines():
        name, *declarations = line.split()
        by_name[name] = _fields(declarations)
    return by_name
