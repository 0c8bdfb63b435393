"""Random pooling, MEAN and ARG_MAX models."""

from __future__ import annotations

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_conv import window
from oracles.tflite_draw import Case, CaseBuilder, Draw

_SHARES = {"int8": 0.6, "uint8": 0.2, "int16": 0.2}


def _pool(draw: Draw, operator: str) -> Case:
    dtype = draw.weighted(_SHARES)
    same = draw.chance(0.5)
    rows, columns = (window(draw, same=same, dilated=False) for _ in range(2))
    batch, channels = draw.integer(1, 2), draw.integer(1, 6)
    grid = draw.grid(dtype)
    case = CaseBuilder(operator, draw)
    case.input(draw.codes((batch, rows.size, columns.size, channels), dtype), dtype, grid)
    case.output((batch, rows.output, columns.output, channels), dtype, grid)
    fields = {
        "padding": 0 if same else 1,
        "strideH": rows.stride,
        "strideW": columns.stride,
        "filterHeight": rows.kernel,
        "filterWidth": columns.kernel,
        "fusedActivationFunction": draw.activation(),
    }
    return case.finish(dtype, options("Pool2D", **fields), version=2)


def max_pool_2d(draw: Draw) -> Case:
    """MAX_POOL_2D: SAME, VALID, fused activations; int8, uint8, int16."""
    return _pool(draw, "MAX_POOL_2D")


def average_pool_2d(draw: Draw) -> Case:
    """AVERAGE_POOL_2D: SAME, VALID, fused activations; int8, uint8, int16."""
    return _pool(draw, "AVERAGE_POOL_2D")


def mean(draw: Draw) -> Case:
    """MEAN: any axes (mostly the spatial ones), keep_dims; int8, uint8, int16."""
    dtype = draw.weighted(_SHARES)
    shape = list(draw.shape(4, 1, 6))
    if draw.chance(0.25):
        shape[1], shape[2] = draw.integer(5, 20), draw.integer(5, 20)
    count = draw.integer(1, 3)
    random_axes = sorted(draw.rng.choice(4, count, replace=False).tolist())
    axes = [1, 2] if draw.chance(0.5) else random_axes
    keep = draw.chance(0.5)
    x = draw.grid(dtype)
    y = x if draw.chance(0.3) else draw.grid_near(float(x.scale), dtype, -2, 1)
    case = CaseBuilder("MEAN", draw)
    case.input(draw.codes(shape, dtype), dtype, x)
    named = [axis - 4 for axis in axes] if draw.chance(0.2) else axes
    case.constant(np.array(named), "int32", name="axes")
    result = [1 if axis in axes else size for axis, size in enumerate(shape)]
    if not keep:
        result = [size for axis, size in enumerate(shape) if axis not in axes]
    case.output(result, dtype, y)
    note = f"{dtype}, axes {axes}, keep {keep}"
    return case.finish(note, options("Reducer", keepDims=keep), version=2)


def reduce_max(draw: Draw) -> Case:
    """REDUCE_MAX: neighbouring axes, listed in any order and negative too; keep_dims; int8, uint8, int16."""
    dtype = draw.weighted(_SHARES)
    shape = draw.shape(draw.integer(2, 4), 1, 6)
    first = draw.integer(1, len(shape) - 1)
    axes = list(range(first, draw.integer(first, len(shape) - 1) + 1))
    keep, grid = draw.chance(0.5), draw.grid(dtype)
    case = CaseBuilder("REDUCE_MAX", draw)
    case.input(draw.codes(shape, dtype), dtype, grid)
    named = [axis - len(shape) if draw.chance(0.3) else axis for axis in draw.rng.permutation(axes)]
    case.constant(np.array(named), "int32", name="axes")
    lengths = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    case.output(lengths, dtype, grid)
    version = 3 if dtype == "int16" else 2
    return case.finish(f"{dtype}, axes {axes}, keep {keep}", options("Reducer", keepDims=keep), version=version)


def arg_max(draw: Draw) -> Case:
    """ARG_MAX: few distinct codes, so that the maximum is often tied; int32 and int64 results."""
    dtype = draw.pick(["int8", "uint8"])
    shape = draw.shape(draw.integer(1, 4), 1, 8)
    axis = draw.integer(0, len(shape) - 1)
    codes = draw.codes(shape, dtype)
    if draw.chance(0.5):
        codes = draw.rng.choice(codes.ravel()[:3], shape).astype(dtype)
    case = CaseBuilder("ARG_MAX", draw)
    case.input(codes, dtype, draw.grid(dtype))
    case.constant(np.array(axis - len(shape) if draw.chance(0.3) else axis), "int32", name="axis")
    result = draw.pick(["int32", "int64"])
    case.output([size for index, size in enumerate(shape) if index != axis], result, None)
    kind = {"int32": 2, "int64": 4}[result]
    return case.finish(f"{dtype} to {result}", options("ArgMax", outputType=kind), version=2)
