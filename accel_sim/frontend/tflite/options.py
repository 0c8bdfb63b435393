"""The attributes of each operator, read eagerly into plain values."""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import tflite

from accel_sim.records import dataclass

# For each operator: the schema's options table and the fields that are read, by their accessors' names.
_FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ADD": ("AddOptions", ("FusedActivationFunction", "PotScaleInt16")),
    "ARG_MAX": ("ArgMaxOptions", ()),
    "AVERAGE_POOL_2D": (
        "Pool2DOptions",
        ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"),
    ),
    "BATCH_MATMUL": ("BatchMatMulOptions", ("AdjX", "AdjY")),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "CONV_2D": (
        "Conv2DOptions",
        (
            "Padding",
            "StrideH",
            "StrideW",
            "DilationHFactor",
            "DilationWFactor",
            "FusedActivationFunction",
            "QuantizedBiasType",
        ),
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        (
            "Padding",
            "StrideH",
            "StrideW",
            "DilationHFactor",
            "DilationWFactor",
            "DepthMultiplier",
            "FusedActivationFunction",
        ),
    ),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("BlockSize",)),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        ("FusedActivationFunction", "WeightsFormat", "KeepNumDims", "QuantizedBiasType"),
    ),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "MAX_POOL_2D": (
        "Pool2DOptions",
        ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"),
    ),
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "REDUCE_MAX": ("ReducerOptions", ("KeepDims",)),
    "MIRROR_PAD": ("MirrorPadOptions", ("Mode",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "PACK": ("PackOptions", ("Axis",)),
    "RESHAPE": ("ReshapeOptions", ("NewShape",)),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", ("AlignCorners", "HalfPixelCenters")),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", ("AlignCorners", "HalfPixelCenters")),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", ("BlockSize",)),
    "SQUEEZE": ("SqueezeOptions", ("SqueezeDims",)),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    ),
    "SUB": ("SubOptions", ("FusedActivationFunction", "PotScaleInt16")),
    "TRANSPOSE_CONV": (
        "TransposeConvOptions",
        ("Padding", "StrideH", "StrideW", "FusedActivationFunction", "QuantizedBiasType"),
    ),
    "UNPACK": ("UnpackOptions", ("Axis",)),
}
_EMPTY_TABLE = struct.pack("<HHi", 4, 4, 4)  # a vtable without fields, and a table at byte 4: all defaults


@dataclass(frozen=True)
class Options:
    """Attributes by the schema's name in CamelCase; a field that the file leaves out has the schema's default."""

    values: Mapping[str, int | float | bool | tuple[int, ...]]

    def integer(self, name: str) -> int:
        """An integer attribute (an enumeration's number too)."""
        value = self.values[name]
        assert isinstance(value, int)
        return int(value)

    def real(self, name: str) -> float:
        """A floating-point attribute."""
        value = self.values[name]
        assert isinstance(value, float)
        return value

    def flag(self, name: str) -> bool:
        """A boolean attribute."""
        return bool(self.values[name])

    def integers(self, name: str) -> tuple[int, ...]:
        """A vector of integers; () where the file has none."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value


def read_options(operator: Any, name: str, spend: Callable[[int], None]) -> Options:
    """The attributes of one operator of the file, `{}` for operators that have none that matter.

    A table of another kind than the operator's is ignored, as the runtime ignores it. `spend` counts the bytes read.
    """
    if name not in _FIELDS:
        return Options({})
    table_name, fields = _FIELDS[name]
    table = getattr(tflite, table_name)()
    union = operator.BuiltinOptions()
    if union is not None and operator.BuiltinOptionsType() == getattr(tflite.BuiltinOptions, table_name):
        table.Init(union.Bytes, union.Pos)
    else:
        table.Init(_EMPTY_TABLE, 4)
    return Options({field: _value(table, field, spend) for field in fields})


def _value(table: Any, field: str, spend: Callable[[int], None]) -> int | float | bool | tuple[int, ...]:
    length = getattr(table, f"{field}Length", None)
    if length is None:
        value: int | float | bool = getattr(table, field)()
        return value
    count = int(length())
    spend(4 * count)
    return tuple(getattr(table, f"{field}AsNumpy")().tolist()) if count else ()
