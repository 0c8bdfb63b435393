"""Random FULLY_CONNECTED and BATCH_MATMUL models."""

from __future__ import annotations

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_conv import VARIANTS, Quantization, Variant, activations, quantization
from oracles.tflite_draw import LIMITS, Case, CaseBuilder, Draw, Grid

_INT32 = 2  # TensorType.INT32, the value of quantized_bias_type
_VARIANTS = VARIANTS | {
    "int8 asymmetric weights": Variant("int8", "int8", "int32", per_channel=False),
    "int4 per tensor": Variant("int8", "int4", "int32", per_channel=False),
    "int16 per tensor bias64": Variant("int16", "int8", "int64", per_channel=False),
    "int16 per tensor bias32": Variant("int16", "int8", "int32", per_channel=False),
}
_SHARES = {
    "int8 per tensor": 0.22,
    "int8 per channel": 0.2,
    "int8 asymmetric weights": 0.1,
    "uint8": 0.15,
    "int4 weights": 0.06,
    "int4 per tensor": 0.07,
    "int16 bias64": 0.06,
    "int16 per tensor bias64": 0.06,
    "int16 bias32": 0.04,
    "int16 per tensor bias32": 0.04,
}


def fully_connected(draw: Draw) -> Case:
    """FULLY_CONNECTED: all type variants, keep_num_dims, with and without a bias."""
    name = draw.weighted(_SHARES)
    variant = _VARIANTS[name]
    depth, outputs = draw.integer(1, 40), draw.integer(1, 9)
    q = quantization(draw, variant, outputs, depth)
    keep = draw.chance(0.4)
    outer = draw.shape(draw.integer(1, 3), 1, 4)
    case = CaseBuilder("FULLY_CONNECTED", draw)
    codes = activations(draw, variant, (*outer, depth), q)
    case.input(codes, variant.activation, q.x)
    weight_zero = draw.zero_point("int8") if "asymmetric" in name else q.weight_zero
    weights = draw.codes((outputs, depth), variant.weight)
    case.constant(weights, variant.weight, q.weight_scale, weight_zero, name="weights")
    _bias(case, variant, q)
    shape = (*outer, outputs) if keep else (int(np.prod(outer)), outputs)
    case.output(shape, variant.activation, q.y)
    fields = {"keepNumDims": keep, "fusedActivationFunction": draw.activation()}
    if variant.activation == "int16" and variant.bias == "int32":
        fields["quantizedBiasType"] = _INT32
    return case.finish(name, options("FullyConnected", **fields), version=4)


def _bias(case: CaseBuilder, variant: Variant, q: Quantization) -> None:
    if case.draw.chance(0.8):
        case.constant(q.bias, variant.bias, q.x.scale * q.weight_scale, name="bias")
    else:
        case.absent()


def batch_matmul(draw: Draw) -> Case:
    """BATCH_MATMUL: adj_x, adj_y, broadcast batches; int8 and int16; constant right operand."""
    dtype = "int16" if draw.chance(0.25) else "int8"
    rows, depth, columns = draw.integer(1, 6), draw.integer(1, 12), draw.integer(1, 6)
    batch = draw.shape(draw.integer(0, 2), 1, 3)
    left_batch = tuple(1 if draw.chance(0.2) else size for size in batch)
    right_batch = tuple(1 if draw.chance(0.2) else size for size in batch)
    adj_x, adj_y = draw.chance(0.4), draw.chance(0.4)
    left = (*left_batch, *((depth, rows) if adj_x else (rows, depth)))
    right = (*right_batch, *((columns, depth) if adj_y else (depth, columns)))
    a, b = draw.grid(dtype), draw.grid(dtype)
    spread = float(a.scale) * float(b.scale) * depth**0.5 * LIMITS[dtype][1]
    case = CaseBuilder("BATCH_MATMUL", draw)
    case.input(draw.codes(left, dtype), dtype, a, "x")
    case.operand(draw.codes(right, dtype), dtype, b, "y", constant=draw.chance(0.3))
    output: Grid = draw.grid_near(spread, dtype, -2, 1)
    shape = (*np.broadcast_shapes(left_batch, right_batch), rows, columns)
    case.output(shape, dtype, output, "z")
    fields = {"adjX": adj_x, "adjY": adj_y}
    return case.finish(dtype, options("BatchMatMul", **fields), version=2)
