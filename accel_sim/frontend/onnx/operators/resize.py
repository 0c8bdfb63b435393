"""Resize (operator sets 10 to 19) and its forerunner Upsample."""

from math import floor

import numpy as np

from accel_sim.frontend.onnx.emitter import CHANNELS_LAST
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.view import NodeFault, as_integers, in_rank
from accel_sim.ir import CoordinateMode, NearestRounding, ResizeBilinear, ResizeNearest
from accel_sim.records import dataclass

_COORDINATES_OPSET = 11
_IMAGE_RANK = 4
_LARGEST_SCALE = 4096.0


@dataclass(frozen=True)
class _Target:
    """Output height and width, and the scales: the file's, or where it states sizes their float32 ratios."""

    size: tuple[int, int]
    scales: tuple[float, float]


def resize(op: Operation) -> None:
    """Nearest or bilinear, over height and width."""
    batch, channels, *_ = op.shape(0)
    target = _target(op)
    shape = (batch, channels, *target.size)
    source = op.operand(0, CHANNELS_LAST)
    if mode(op) == "nearest":
        operator = ResizeNearest(coordinates(op), rounding(op, target.scales), *target.scales)
        op.emit_move(operator, source, shape)
    else:
        op.emit(ResizeBilinear(coordinates(op), *target.scales), [source], shape)


def mode(op: Operation) -> str:
    """The interpolation."""
    return op.text("mode", "nearest")


def coordinate_name(op: Operation) -> str:
    """The convention's name; operator set 10 and Upsample know one."""
    if op.step.operator == "Upsample" or op.opset < _COORDINATES_OPSET:
        return "asymmetric"
    return op.text("coordinate_transformation_mode", "half_pixel")


def coordinates(op: Operation) -> CoordinateMode:
    """The convention, which a constraint has found supported."""
    return CoordinateMode(coordinate_name(op))


def rounding(op: Operation, scales: tuple[float, float]) -> NearestRounding:
    """How a coordinate becomes an index; before operator set 11, down when enlarging and up when shrinking."""
    if op.step.operator == "Upsample" or op.opset < _COORDINATES_OPSET:
        shrinks = [s < 1 for s in scales]
        if shrinks[0] != shrinks[1] and 1.0 not in scales:
            raise NodeFault(f"scales {list(scales)}", "both axes grow or both shrink")
        return NearestRounding.CEIL if any(shrinks) else NearestRounding.FLOOR
    return NearestRounding(op.text("nearest_mode", "round_prefer_floor"))


def _target(op: Operation) -> _Target:
    scales_at = 1 if op.step.operator == "Upsample" or op.opset < _COORDINATES_OPSET else 2
    height, width = op.shape(0)[2:]
    if scales_at == 2 and op.given(3):
        sizes = _spatial(op, as_integers(op.array(3), "sizes"), op.shape(0)[:2])
        if min(sizes) < 1:
            raise NodeFault(f"sizes {list(sizes)}", "no result is empty")
        ratios = tuple(float(np.float32(o) / np.float32(i)) for o, i in zip(sizes, (height, width), strict=True))
        return _Target((int(sizes[0]), int(sizes[1])), (ratios[0], ratios[1]))
    if op.given(scales_at):
        numbers = op.array(scales_at)
        if numbers.dtype != np.float32 or numbers.ndim != 1:
            raise NodeFault(f"scales {numbers.dtype}{list(numbers.shape)}", "scales are a vector of float32")
        listed = tuple(float(v) for v in numbers)
    else:
        values = op.node.attributes.get("scales")
        listed = tuple(float(v) for v in values if isinstance(v, float)) if isinstance(values, list) else ()
    scale_y, scale_x = _spatial(op, listed, (1.0, 1.0))
    if not all(0 < s <= _LARGEST_SCALE for s in (scale_y, scale_x)):
        raise NodeFault(f"scales {[scale_y, scale_x]}", f"a scale lies between 0 and {_LARGEST_SCALE:g}")
    size = tuple(floor(np.float32(n) * np.float32(s)) for n, s in ((height, scale_y), (width, scale_x)))
    return _Target((size[0], size[1]), (scale_y, scale_x))


def _spatial(op: Operation, numbers: tuple[float, ...], outer: tuple[float, ...]) -> tuple[float, float]:
    """The numbers of height and width; those of batch and channels must change nothing."""
    axes = op.integers("axes", tuple(range(_IMAGE_RANK)))
    if len(numbers) != len(axes):
        raise NodeFault(f"{len(numbers)} numbers for {len(axes)} axes", "there is one scale or size per resized axis")
    by_axis = {in_rank(a, _IMAGE_RANK): n for a, n in zip(axes, numbers, strict=True)}
    if any(by_axis.get(a, outer[a]) != outer[a] for a in (0, 1)) or not {2, 3} <= set(by_axis):
        raise NodeFault(f"{list(numbers)}", "height and width are resized, batch and channels are not")
    return by_axis[2], by_axis[3]
