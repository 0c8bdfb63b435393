"""Random QUANTIZE, DEQUANTIZE, CONCATENATION and RESIZE models."""

from __future__ import annotations

import numpy as np
from oracles.tflite_builder import options
from oracles.tflite_draw import LIMITS, Case, CaseBuilder, Draw, Grid

_SHARES = {"int8": 0.6, "uint8": 0.2, "int16": 0.2}
_REQUANTIZATIONS = [
    ("int8", "int8"),
    ("int8", "uint8"),
    ("uint8", "int8"),
    ("uint8", "uint8"),
    ("int8", "int16"),
    ("int16", "int8"),
    ("int16", "int16"),
]


def quantize(draw: Draw) -> Case:
    """QUANTIZE: from one integer grid to another, or (a fifth) from float to integers."""
    if draw.chance(0.2):
        return _quantize_float(draw)
    source, target = draw.pick(_REQUANTIZATIONS)
    x = draw.grid(source)
    same = draw.chance(0.1)
    ratio = np.log2(LIMITS[source][1] / LIMITS[target][1])
    scale = x.scale if same else draw.scale_near(float(x.scale), ratio - 2, ratio + 2)
    case = CaseBuilder("QUANTIZE", draw)
    codes = draw.codes(draw.shape(draw.integer(1, 4), 1, 6), source)
    case.input(codes, source, x)
    case.output(codes.shape, target, Grid(scale, draw.zero_point(target)))
    return case.finish(f"{source} to {target}", options("Quantize"), version=2)


def _quantize_float(draw: Draw) -> Case:
    target = draw.pick(["int8", "uint8", "int16"])
    y = draw.grid(target)
    shape = draw.shape(draw.integer(1, 4), 1, 6)
    codes = draw.rng.uniform(-1.3, 1.3, shape) * LIMITS[target][1]
    if draw.extreme:
        codes = np.round(codes) + 0.5
    case = CaseBuilder("QUANTIZE", draw)
    case.input((codes * y.scale).astype(np.float32), "float32", None)
    case.output(shape, target, y)
    return case.finish(f"float32 to {target}", options("Quantize"), version=2)


def dequantize(draw: Draw) -> Case:
    """DEQUANTIZE: int8, uint8, int16 to float."""
    dtype = draw.weighted(_SHARES)
    case = CaseBuilder("DEQUANTIZE", draw)
    codes = draw.codes(draw.shape(draw.integer(1, 4), 1, 6), dtype)
    case.input(codes, dtype, draw.grid(dtype))
    case.output(codes.shape, "float32", None)
    return case.finish(dtype, options("Dequantize"), version=3)


def concatenation(draw: Draw) -> Case:
    """CONCATENATION: one grid for int8 and int16; uint8 branches are rescaled."""
    dtype = draw.weighted({"int8": 0.5, "uint8": 0.35, "int16": 0.15})
    shape = draw.shape(draw.integer(1, 4), 1, 4)
    axis, count = draw.integer(0, len(shape) - 1), draw.integer(1, 4)
    y = draw.grid(dtype)
    case = CaseBuilder("CONCATENATION", draw)
    total = 0
    constant = draw.integer(0, 2 * count)  # the operand of this number, if there is one
    for number in range(count):
        size = draw.integer(1, 4)
        total += size
        part = (*shape[:axis], size, *shape[axis + 1 :])
        alike = dtype != "uint8" or draw.chance(0.3)
        grid = y if alike else draw.grid_near(float(y.scale), dtype, -2, 2)
        is_constant = number == constant and count > 1
        codes = draw.codes(part, dtype)
        case.operand(codes, dtype, grid, f"x{number}", constant=is_constant)
    case.output((*shape[:axis], total, *shape[axis + 1 :]), dtype, y)
    stated = axis - len(shape) if draw.chance(0.3) else axis
    return case.finish(f"{dtype}, {count} parts", options("Concatenation", axis=stated), version=2)


def _resize(draw: Draw, operator: str, kind: str) -> Case:
    dtype = draw.weighted(_SHARES)
    batch, rows, columns, channels = draw.integer(1, 2), *draw.shape(2, 1, 8), draw.integer(1, 5)
    size = draw.shape(2, 1, 14)
    grid = draw.grid(dtype)
    case = CaseBuilder(operator, draw)
    case.input(draw.codes((batch, rows, columns, channels), dtype), dtype, grid)
    case.constant(np.array(size), "int32", name="size")
    case.output((batch, *size, channels), dtype, grid)
    mode = draw.integer(0, 2)
    fields = {"alignCorners": mode == 1, "halfPixelCenters": mode == 2}
    note = f"{dtype} {('asymmetric', 'align corners', 'half pixel')[mode]}"
    return case.finish(note, options(kind, **fields), version=3)


def resize_nearest_neighbor(draw: Draw) -> Case:
    """RESIZE_NEAREST_NEIGHBOR: the three coordinate conventions."""
    return _resize(draw, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor")


def resize_bilinear(draw: Draw) -> Case:
    """RESIZE_BILINEAR: the three coordinate conventions."""
    return _resize(draw, "RESIZE_BILINEAR", "ResizeBilinear")
