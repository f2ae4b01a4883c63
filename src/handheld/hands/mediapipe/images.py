"""Pictures: into tensors, their sizes, turned and mirrored.

Pictures in a GPU's memory are pictures here: ``IMAGE_GPU`` is another name of ``IMAGE``.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.hands.mediapipe.nodes import connected, converter, flag_or_default, one_of, wrong
from handheld.hands.mediapipe.values import ImageSize, NormalizedRect, Padding, picture_of
from handheld.media import Image, Rect

_BRIGHTEST = 255
# Numbers are those of the enums in MediaPipe's .proto files: texts may have them for the names.
_BORDERS = {"BORDER_UNSPECIFIED": 0, "BORDER_ZERO": 1, "BORDER_REPLICATE": 2}
# Where a GPU's pictures begin; ours begin at the top whatever it says.
_GPU_ORIGIN = "gpu_origin"


@dataclass(frozen=True)
class TensorFormat:
    """The tensor that a picture becomes, and how.

    Attributes:
        width, height: in pixels; 0 is the picture's own.
        low, high: what black and white become.
        dtype: of the elements.
        keep_aspect_ratio: the picture is padded, not stretched.
        border: what lies beyond the picture.
    """

    width: int = 0
    height: int = 0
    low: float = 0.0
    high: float = 1.0
    dtype: Literal["float32", "int8", "uint8"] = "float32"
    keep_aspect_ratio: bool = False
    border: Literal["black", "replicate"] = "replicate"


def image_to_tensor(
    payload: Any, rect: NormalizedRect | None, tensor: TensorFormat
) -> tuple[list[NDArray[Any]] | None, NDArray[Any] | None, Padding | None]:
    """Return the (1, height, width, 3) tensor of what a rectangle of a picture shows.

    With it the (4, 4) matrix from points of the tensor to points of the picture, both in 0 to 1,
    and the padding; three times None for a rectangle without width and height, which stands for
    none.

    Args:
        payload: a picture, or a frame.
        rect: None for the whole picture.
        tensor: what is made.

    Raises:
        InputError: the rectangle has no area or is not finite.
    """
    # Late: a graph can be looked at where OpenCV is not installed.
    from handheld.media.warp import crop

    image = picture_of(payload)
    height, width = image.shape[:2]
    region = Rect(0.5 * width, 0.5 * height, float(width), float(height))
    if rect is not None:
        if rect.width == 0 and rect.height == 0:
            return None, None, None
        region = rect.in_pixels((width, height))
    shape = (tensor.height or height, tensor.width or width)
    padding: Padding = (0.0, 0.0, 0.0, 0.0)
    if not (region.width > 0 and region.height > 0 and np.isfinite(region.matrix).all()):
        raise InputError(f"expected a rectangle with an area, got {region}")
    if tensor.keep_aspect_ratio:
        region, padding = padded(region, shape)
    pixels = crop(image, region, shape, border=tensor.border)
    return [_in_range(pixels, tensor)[None]], _matrix(region, (width, height)), padding


def padded(region: Rect, shape: tuple[int, int]) -> tuple[Rect, Padding]:
    """Return a rectangle grown to the shape of a tensor, and what was added, as shares of it."""
    target_ratio = shape[0] / shape[1]
    ratio = region.height / region.width
    if target_ratio > ratio:
        down = (1 - ratio / target_ratio) / 2
        grown = Rect(region.x, region.y, region.width, region.width * target_ratio, region.angle)
        return grown, (0.0, down, 0.0, down)
    across = (1 - target_ratio / ratio) / 2
    grown = Rect(region.x, region.y, region.height / target_ratio, region.height, region.angle)
    return grown, (across, 0.0, across, 0.0)


def _in_range(pixels: Image, tensor: TensorFormat) -> NDArray[Any]:
    # In float32, as MediaPipe has it and the models learned.
    scale = np.float32((tensor.high - tensor.low) / _BRIGHTEST)
    values = np.multiply(pixels, scale, dtype=np.float32)
    if tensor.low:
        values += np.float32(tensor.low)
    if tensor.dtype == "float32":
        return values
    # To the nearest, halves to the even one, as OpenCV's convertTo rounds.
    return np.rint(values).astype(tensor.dtype)


def _matrix(region: Rect, size: ImageSize) -> NDArray[np.float64]:
    matrix = np.eye(4)
    affine = region.matrix / np.array([[size[0]], [size[1]]])
    matrix[:2, :2] = affine[:, :2]
    matrix[:2, 3] = affine[:, 2]
    # Depth is in the scale of x.
    matrix[2, 2] = region.width / size[0]
    return matrix


def image_to_tensor_calculator(node: NodeText) -> Calculator:
    """Make an ``ImageToTensorCalculator``."""
    with read_options(node, "ImageToTensorCalculatorOptions") as options:
        tensor = _tensor_format(options)
    image = one_of(node, node.inputs, "IMAGE", "IMAGE_GPU")
    return converter(
        node,
        partial(image_to_tensor, tensor=tensor),
        inputs={image: object},
        optional={"NORM_RECT": NormalizedRect},
        outputs={"TENSORS": list, "MATRIX": np.ndarray, "LETTERBOX_PADDING": tuple},
    )


def _tensor_format(options: OptionReader) -> TensorFormat:
    options.ignore(_GPU_ORIGIN)
    border = options.choice("border_mode", _BORDERS, "BORDER_UNSPECIFIED")
    low, high, dtype = _range(options)
    padding: Literal["black", "replicate"] = "replicate"
    if border == "BORDER_ZERO":
        padding = "black"
    return TensorFormat(
        width=options.whole("output_tensor_width", 0, low=1),
        height=options.whole("output_tensor_height", 0, low=1),
        low=low,
        high=high,
        dtype=dtype,
        keep_aspect_ratio=options.flag("keep_aspect_ratio"),
        border=padding,
    )


_FLOAT_RANGE = "output_tensor_float_range"
_INT_RANGE = "output_tensor_int_range"
_UINT_RANGE = "output_tensor_uint_range"
_RANGES = (_FLOAT_RANGE, _INT_RANGE, _UINT_RANGE)
_INT8 = (-128, 127)
_UINT8 = (0, 255)


def _range(options: OptionReader) -> tuple[float, float, Literal["float32", "int8", "uint8"]]:
    """Return what black and white become, and the type of the numbers."""
    name = _range_name(options)
    with options.message(name) as values:
        low, high = _limits(values, name)
    if low >= high:
        raise options.located(name, f"expected min below max, got {low} and {high}")
    if name == _FLOAT_RANGE:
        return low, high, "float32"
    # By the numbers and not by the option: both forms may say 0 to 255.
    if low < 0:
        return low, high, "int8"
    return low, high, "uint8"


def _range_name(options: OptionReader) -> str:
    """Return the one range that stands."""
    chosen = [name for name in _RANGES if options.has(name)]
    if len(chosen) == 1:
        return chosen[0]
    reason = f"expected one of {', '.join(_RANGES)}, got {', '.join(chosen) or 'none'}"
    # Where several stand, the first is right and the second is one too many.
    blamed = _FLOAT_RANGE
    if chosen:
        blamed = chosen[1]
    raise options.located(blamed, reason)


def _limits(values: OptionReader, name: str) -> tuple[float, float]:
    if name == _FLOAT_RANGE:
        return values.number("min"), values.number("max")
    allowed = _UINT8
    if name == _INT_RANGE:
        allowed = _INT8
    low = values.whole("min", low=allowed[0], high=allowed[1])
    # One bound for both forms: those of int8 may say 0 to 255 too.
    return low, values.whole("max", high=_UINT8[1])


def image_size(payload: Any) -> ImageSize:
    """Return the width and height of a picture or frame."""
    height, width = picture_of(payload).shape[:2]
    return width, height


def image_properties_calculator(node: NodeText) -> Calculator:
    """Make an ``ImagePropertiesCalculator``."""
    read_options(node).finish()
    image = one_of(node, node.inputs, "IMAGE", "IMAGE_CPU", "IMAGE_GPU")
    return converter(node, image_size, inputs={image: object}, outputs={"SIZE": tuple})


class FromImage(Calculator):
    """Sends pictures on, and that they are not on a GPU: MediaPipe's ``FromImageCalculator``."""

    contract = Contract(
        inputs={"IMAGE": object},
        outputs={"IMAGE_CPU": object, "IMAGE_GPU": object, "SOURCE_ON_GPU": bool},
    )

    def process(self, context: Context) -> None:
        """Send on."""
        picture = picture_of(context.get("IMAGE"))
        context.send("IMAGE_CPU", picture)
        context.send("IMAGE_GPU", picture)
        context.send("SOURCE_ON_GPU", False)


def to_image_calculator(node: NodeText) -> Calculator:
    """Make a ``ToImageCalculator``, which sends pictures on."""
    read_options(node).finish()
    image = one_of(node, node.inputs, "IMAGE", "IMAGE_CPU", "IMAGE_GPU")
    return converter(node, picture_of, inputs={image: object}, outputs={"IMAGE": np.ndarray})


_QUARTERS = {"ROTATION_0": 0, "ROTATION_90": 1, "ROTATION_180": 2, "ROTATION_270": 3}
_ROTATIONS = {"UNKNOWN": 0, "ROTATION_0": 1, "ROTATION_90": 2, "ROTATION_180": 3, "ROTATION_270": 4}
_DEGREES = {0: 0, 90: 1, 180: 2, 270: 3}


@dataclass(frozen=True)
class Turning:
    """How pictures are turned: quarters counter-clockwise, then mirrored."""

    quarters: int = 0
    flip_horizontally: bool = False
    flip_vertically: bool = False


def turned_picture(
    payload: Any,
    degrees: int | None,
    horizontally: bool | None,
    vertically: bool | None,
    *,
    turning: Turning,
) -> Image:
    """Return a picture that is turned, then mirrored.

    Args:
        payload: a picture or frame.
        degrees: counter-clockwise, 0, 90, 180 or 270; None is as ``turning`` says.
        horizontally: left becomes right; None is as ``turning`` says.
        vertically: top becomes bottom.
        turning: what holds where nothing else is said.

    Raises:
        InputError: the degrees are others.
    """
    image = picture_of(payload)
    quarters = turning.quarters
    if degrees is not None:
        if degrees not in _DEGREES:
            raise InputError(f"ROTATION_DEGREES: expected 0, 90, 180 or 270, got {degrees!r}")
        quarters = _DEGREES[degrees]
    if quarters:
        image = np.rot90(image, quarters)
    if flag_or_default(horizontally, turning.flip_horizontally):
        image = image[:, ::-1]
    if flag_or_default(vertically, turning.flip_vertically):
        image = image[::-1]
    return np.ascontiguousarray(image)


_TURNS = {"ROTATION_DEGREES": int, "FLIP_HORIZONTALLY": bool, "FLIP_VERTICALLY": bool}


class ImageTransformation(Calculator):
    """Turns and mirrors pictures, as streams, side packets and options say, in this order."""

    def __init__(self, node: NodeText, image: str, turning: Turning) -> None:
        self._image = image
        self._turning = turning
        self.contract = Contract(
            inputs={image: object, **connected(node.inputs, _TURNS)},
            outputs={image: np.ndarray, "LETTERBOX_PADDING": tuple},
            side_inputs=connected(node.side_inputs, _TURNS),
        )

    def open(self, context: Context) -> None:
        """Take what the side packets say."""
        self._said = {port: context.side.get(port) for port in _TURNS}

    def process(self, context: Context) -> None:
        """Turn; what a stream said once holds until it says something else."""
        for port in _TURNS:
            if port in context.inputs:
                self._said[port] = context.get(port)
        if self._image in context.inputs:
            image = context.get(self._image)
            context.send(
                self._image, turned_picture(image, *self._said.values(), turning=self._turning)
            )
            context.send("LETTERBOX_PADDING", (0.0, 0.0, 0.0, 0.0))


def image_transformation_calculator(node: NodeText) -> Calculator:
    """Make an ``ImageTransformationCalculator`` that scales nothing."""
    image = one_of(node, node.inputs, "IMAGE", "IMAGE_GPU")
    with read_options(node, "ImageTransformationCalculatorOptions") as options:
        rotation = options.choice("rotation_mode", _ROTATIONS, "UNKNOWN")
        turning = Turning(
            quarters=_QUARTERS.get(rotation, 0),
            flip_horizontally=options.flag("flip_horizontally"),
            flip_vertically=options.flag("flip_vertically"),
        )
        for name in ("output_width", "output_height"):
            if options.whole(name):
                raise options.located(name, f"{name}: pictures are not scaled here")
        # All of scaling.
        options.ignore("scale_mode", "constant_padding", "padding_color", "interpolation_mode")
    if "OUTPUT_DIMENSIONS" in (*canonical_names(node.inputs), *canonical_names(node.side_inputs)):
        raise wrong(node, "OUTPUT_DIMENSIONS: pictures are not scaled here")
    return ImageTransformation(node, image, turning)
