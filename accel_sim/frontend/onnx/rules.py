"""The constraints on nodes: a docstring is the rule that the error states, and a line of the support table.

A constraint returns the offending value as text, or None where it holds. It may also raise NodeFault, where reading the
node already fails.
"""

from collections.abc import Callable

import numpy as np

from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators import indices, resize
from accel_sim.ir import NO_ACTIVATION, CoordinateMode, NearestRounding

Constraint = Callable[[Operation], str | None]
_IMAGE_RANK = 4
_MATRIX_RANK = 2


def _unless(holds: bool, value: object) -> str | None:  # noqa: FBT001  - reads as a sentence
    return None if holds else str(value)


def one_result(op: Operation) -> str | None:
    """It has one result."""
    used = [n for n in op.step.outputs if n]
    return _unless(len(used) == 1, f"{len(used)} results")


def is_image(op: Operation) -> str | None:
    """The data operand has 4 axes (batch, channels, height, width), or 3 of a convolution or pool of one dimension."""
    shape = op.shape(0)
    return _unless(len(shape) == _IMAGE_RANK, f"shape {list(shape)}")


def weights_constant(op: Operation) -> str | None:
    """Weights are constant."""
    return _unless(op.is_constant(1), op.name(1))


def weights_are_kernels(op: Operation) -> str | None:
    """Weights have 4 axes, none empty."""
    shape = op.shape(1)
    return _unless(len(shape) == _IMAGE_RANK and min(shape) > 0, f"weights {list(shape)}")


def weights_quantized(op: Operation) -> str | None:
    """Weights of an integer operator are 8 or 16 bit codes with a scale (DequantizeLinear of a constant)."""
    if not op.is_integer or not op.is_constant(1):
        return None
    grid = op.grid(1)
    return _unless(grid is not None and grid.dtype.itemsize <= 2, f"{op.array(1).dtype} weights {op.name(1)!r}")


def bias_constant(op: Operation) -> str | None:
    """A bias is constant."""
    return _unless(not op.given(2) or op.is_constant(2), op.name(2) if op.given(2) else "")


def bias_is_wide(op: Operation) -> str | None:
    """A bias of an integer operator is int32 with zero point 0, or float and then quantized at s_x * s_w."""
    if not op.is_integer or not op.is_constant(2):
        return None
    array, grid = op.array(2), op.grid(2)
    holds = array.dtype == (np.float32 if grid is None else np.int32) or (array.dtype == np.int32 and grid is None)
    holds = holds and not any(grid.zero_point if grid else ())
    return _unless(holds, f"{array.dtype} bias {op.name(2)!r}")


def nothing_dilated(op: Operation) -> str | None:
    """Dilations are 1."""
    dilations = op.integers("dilations", (1, 1))
    return _unless(set(dilations) <= {1}, f"dilations {list(dilations)}")


def row_major_indices(op: Operation) -> str | None:
    """Storage_order is 0."""
    return _unless(op.integer("storage_order", 0) == 0, "storage_order 1")


def channels_first(op: Operation) -> str | None:
    """Channels_last is 0."""
    return _unless(op.integer("channels_last", 0) == 0, "channels_last 1")


def activations_only(op: Operation) -> str | None:
    """The data operand is computed, not constant."""
    return _unless(not op.is_constant(0), op.name(0))


def not_all_constant(op: Operation) -> str | None:
    """At least one operand is computed, not constant."""
    holds = any(not op.is_constant(i) for i in range(op.count) if op.given(i))
    return _unless(holds, "constants")


def constants_have_one_scale(op: Operation) -> str | None:
    """A quantized constant operand has one scale and one zero point."""
    for index in range(op.count):
        grid = op.grid(index) if op.given(index) else None
        if grid is not None and grid.axis is not None:
            return f"{len(grid.scale)} scales on {op.name(index)!r}"
    return None


def constants_quantized(op: Operation) -> str | None:
    """A constant operand of an integer operator is quantized (DequantizeLinear of a constant), or one number."""
    if not op.is_integer:
        return None
    bare = [op.name(i) for i in range(op.count) if op.is_constant(i) and op.grid(i) is None]
    return _unless(not bare, ", ".join(bare))


def float_only(op: Operation) -> str | None:
    """It stands in a float network (quantizing folds it away)."""
    return _unless(not op.is_integer, "integer operands")


def two_operands_if_integer(op: Operation) -> str | None:
    """An integer operator has two operands."""
    return _unless(op.count == 2 or not op.is_integer, f"{op.count} operands")


def unscaled_if_integer(op: Operation) -> str | None:
    """Alpha and beta of an integer operator are 1."""
    factors = op.real("alpha", 1.0), op.real("beta", 1.0) if op.given(2) else 1.0
    return _unless(factors == (1, 1) or not op.is_integer, f"alpha {factors[0]:g}, beta {factors[1]:g}")


def no_clamp_behind_activations(op: Operation) -> str | None:
    """A Relu or Clip behind a product of activations, or with a stack of matrices, cuts off no code of its result."""
    grid = op.result_grid()
    if op.activation == NO_ACTIVATION or (op.is_constant(1) and len(op.shape(1)) == _MATRIX_RANK):
        return None
    if grid is None:
        return "a clamp without a quantized result"
    low, high = ((code - grid.zero_point[0]) * grid.scale[0] for code in (grid.low, grid.high))
    bounds = f"a clamp to [{op.activation.low:g}, {op.activation.high}] inside [{low:g}, {high:g}]"
    return _unless(op.activation.spares(low, high), bounds)


def constants_quantized_matrices(op: Operation) -> str | None:
    """A constant matrix of an integer operator is quantized (DequantizeLinear of a constant)."""
    if not op.is_integer:
        return None
    bare = [op.name(i) for i in (0, 1) if op.is_constant(i) and op.grid(i) is None]
    return _unless(not bare, ", ".join(bare))


def divisor_constant(op: Operation) -> str | None:
    """The divisor is constant."""
    return _unless(op.is_constant(1), op.name(1))


def slope_quantized(op: Operation) -> str | None:
    """The slope of an integer operator is quantized, or numbers along one axis."""
    holds = not op.is_integer or not op.is_constant(1) or op.grid(1) is not None
    return _unless(holds, f"{op.array(1).dtype}{list(op.shape(1))}" if not holds else "")


def slope_constant(op: Operation) -> str | None:
    """The slope is constant."""
    return _unless(op.is_constant(1), op.name(1))


def indices_constant(op: Operation) -> str | None:
    """Indices are constant, and lie one step apart."""
    return _unless(op.is_constant(1), op.name(1))


def has_channels(op: Operation) -> str | None:
    """The data operand has a channel axis."""
    return _unless(len(op.shape(0)) >= 2, f"shape {list(op.shape(0))}")


def statistics_constant(op: Operation) -> str | None:
    """Scale, bias, mean and variance are constant."""
    bare = [str(i) for i in range(1, 5) if not op.is_constant(i)]
    return _unless(not bare, f"operands {', '.join(bare)}")


def inference_only(op: Operation) -> str | None:
    """Training_mode is 0 and spatial is 1."""
    return _unless(op.integer("training_mode", 0) == 0 and op.integer("spatial", 1) == 1, "a training-mode node")


def pad_mode(op: Operation) -> str | None:
    """Mode is constant, reflect or edge."""
    mode = op.text("mode", "constant")
    return _unless(mode in ("constant", "reflect", "edge"), f"mode {mode}")


def depth_mode(op: Operation) -> str | None:
    """Mode is DCR or CRD."""
    mode = op.text("mode", "DCR")
    return _unless(mode in ("DCR", "CRD"), f"mode {mode}")


def power_of_two_divisor(op: Operation) -> str | None:
    """Div is a power of two, at most 2^62."""
    divisor = indices.divisor_of(op)
    return _unless(0 < divisor <= 1 << 62 and divisor & (divisor - 1) == 0, f"div {divisor}")


def resize_mode(op: Operation) -> str | None:
    """Mode is nearest, linear or (Upsample) bilinear."""
    return _unless(resize.mode(op) in ("nearest", "linear", "bilinear"), f"mode {resize.mode(op)}")


def resize_coordinates(op: Operation) -> str | None:
    """Coordinate_transformation_mode is asymmetric, half_pixel, pytorch_half_pixel or align_corners."""
    name = resize.coordinate_name(op)
    return _unless(name in {m.value for m in CoordinateMode}, name)


def resize_rounding(op: Operation) -> str | None:
    """Nearest_mode is round_prefer_floor, round_prefer_ceil, floor or ceil."""
    name = op.text("nearest_mode", "round_prefer_floor")
    return _unless(name in {m.value for m in NearestRounding}, name)


def resize_plain(op: Operation) -> str | None:
    """Antialias and exclude_outside are 0, keep_aspect_ratio_policy is stretch."""
    policy = op.text("keep_aspect_ratio_policy", "stretch")
    plain = op.integer("antialias", 0) == 0 and op.integer("exclude_outside", 0) == 0 and policy == "stretch"
    return _unless(plain, f"antialias, exclude_outside or {policy}")


def resize_of_codes(op: Operation) -> str | None:
    """A resize of integers without DequantizeLinear is nearest."""
    return _unless(not op.step.on_codes or resize.mode(op) == "nearest", f"mode {resize.mode(op)} on codes")


RESIZE_RULES: tuple[Constraint, ...] = (
    resize_mode,
    resize_coordinates,
    resize_rounding,
    resize_plain,
    resize_of_codes,
)
