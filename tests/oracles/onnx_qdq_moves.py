"""QDQ models of the operators that pick, move or pool values; half of the output grids equal the input's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from oracles.onnx_builder import Grid, ModelBuilder
from oracles.onnx_draw import Draw
from oracles.onnx_window import window

Generator = Callable[[Draw], ModelBuilder]
Operands = tuple[tuple[int, ...], list[Any], dict[str, Any]]  # input shape, further constant operands, attributes


def other_grid(draw: Draw, grid: Grid) -> Grid:
    return grid if draw.chance(0.5) else draw.result_grid(grid)


def moving(operator: str, describe: Callable[[Draw], Operands], *, opset: int = 17, results: int = 1) -> Generator:
    """A model of one-input `operator`; None among the further operands is an absent one."""

    def generate(draw: Draw) -> ModelBuilder:
        grid = draw.grid()
        model = ModelBuilder(opset, float_ends=draw.float_ends(grid.dtype, operator))
        shape, operands, attributes = describe(draw)
        names = [model.quantized_input("x", draw.codes(grid, shape), grid)]
        names += ["" if v is None else model.constant(v) for v in operands]
        made = model.node(operator, names, outputs=results, **attributes)
        for index, value in enumerate([made] if results == 1 else made):
            model.quantized_output(value, other_grid(draw, grid), f"y{index}" if results > 1 else "y")
        return model

    return generate


def max_pool(draw: Draw) -> Operands:
    shape = draw.image(low=3)
    return shape, [], window(draw, shape[2:], pooling=True)


def average_pool(draw: Draw) -> Operands:
    shape = draw.image(low=3)
    attributes = window(draw, shape[2:], dilated=False, pooling=True)
    return shape, [], attributes | {"count_include_pad": draw.integer(0, 1)}


def reduce_mean(draw: Draw) -> Operands:
    axes = draw.pick(([2, 3], [2, 3], [-2, -1], [3], [1, 2, 3], [1], [2], [1, 3]))
    return draw.image(draw.integer(1, 12), 1, 9), [], {"axes": axes, "keepdims": draw.integer(0, 1)}


def reduce_max(draw: Draw) -> Operands:
    axes = draw.pick(([2, 3], [-1, -2], [3], [1, 2, 3], [1], [2]))
    return draw.image(draw.integer(1, 12), 1, 9), [], {"axes": axes, "keepdims": draw.integer(0, 1)}


def gather(draw: Draw) -> Operands:
    shape, axis = draw.image(low=2), draw.integer(-4, 3)
    size = shape[axis]
    step = draw.pick((1, 1, 2, -1))
    taken = np.arange(size)[draw.integer(0, size - 1) :: step]
    indices = np.where(draw.chance(0.3), taken - size, taken)
    return shape, [np.asarray(indices[0] if draw.chance(0.4) else indices, np.int64)], {"axis": axis}


def pad(draw: Draw) -> Operands:
    mode = draw.pick(("constant", "constant", "reflect", "edge"))
    pads = np.zeros(8, np.int64)
    for axis in draw.pick(((2, 3), (2, 3), (1,), (1, 2, 3))):
        pads[[axis, axis + 4]] = draw.integers(-1 if mode == "constant" else 0, 2, 2)
    value = [np.float32(draw.rng.uniform(-3, 3))] if mode == "constant" and draw.chance(0.5) else []
    return draw.image(draw.integer(3, 5), 3, 7), [pads, *value], {"mode": mode}


def reshape(draw: Draw) -> Operands:
    shape = draw.image()
    size = int(np.prod(shape))
    target = draw.pick(([1, -1], [0, -1], [1, shape[3], shape[1], shape[2]], [size], [0, 0, -1], [-1, shape[1]]))
    return shape, [np.array(target, np.int64)], {}


def flatten(draw: Draw) -> Operands:
    return draw.image(), [], {"axis": draw.integer(0, 4)}


def squeeze(draw: Draw) -> Operands:
    channels = draw.integer(1, 9)
    axes = draw.pick(([2, 3], [3], [-1], [0]))
    return (1, channels, 1, 1), [np.array(axes, np.int64)], {}


def unsqueeze(draw: Draw) -> Operands:
    return draw.integers(1, 6, 2), [np.array(draw.pick(([0], [2, 3], [0, 3], [-1])), np.int64)], {}


def transpose(draw: Draw) -> Operands:
    rank = draw.integer(2, 4)
    shape = draw.image() if rank == 4 else draw.integers(1, 6, rank)
    return shape, [], {"perm": [int(v) for v in draw.rng.permutation(rank)]}


def slices(draw: Draw) -> Operands:
    shape, axis = draw.image(low=3), draw.integer(1, 3)
    step = draw.pick((1, 1, 2, -1))
    start, stop = (shape[axis], -shape[axis] - 1) if step < 0 else (draw.integer(0, shape[axis] - 1), 1 << 31)
    return shape, [np.array([v], np.int64) for v in (start, stop, axis, step)], {}


def split(draw: Draw) -> Operands:
    axis = draw.integer(1, 3)
    parts = draw.integers(1, 4, 2)
    shape = tuple(sum(parts) if i == axis else n for i, n in enumerate(draw.image()))
    return shape, [np.array(parts, np.int64)], {"axis": axis}


def depth_to_space(draw: Draw) -> Operands:
    block = draw.integer(1, 3)
    mode = draw.pick(("DCR", "CRD"))
    return draw.image(draw.integer(1, 3) * block * block, 1, 5), [], {"blocksize": block, "mode": mode}


def space_to_depth(draw: Draw) -> Operands:
    block = draw.integer(1, 3)
    _, channels, height, width = draw.image(low=1, high=4)
    return (1, channels, height * block, width * block), [], {"blocksize": block}


def resize(mode: str) -> Callable[[Draw], Operands]:
    def describe(draw: Draw) -> Operands:
        shape = draw.image()
        coordinates = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
        attributes = {"mode": mode, "coordinate_transformation_mode": draw.pick(coordinates)}
        if mode == "nearest":
            roundings = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
            attributes["nearest_mode"] = draw.pick(roundings)
        if draw.chance(0.5):
            sizes = np.array([1, shape[1], *draw.integers(1, 13, 2)], np.int64)
            return shape, [None, None, sizes], attributes
        factors = [draw.pick((1, 1.5, 2, 2.7, 3) if n < 2 else (0.5, 0.7, 1, 2, 2.7)) for n in shape[2:]]
        return shape, [None, np.array([1, 1, *factors], np.float32)], attributes

    return describe


def argmax(draw: Draw) -> ModelBuilder:
    grid = draw.grid()
    model = ModelBuilder(13, float_ends=draw.float_ends(grid.dtype))
    shape = draw.image()
    x = model.quantized_input("x", draw.codes(grid, shape), grid)
    attributes = {"axis": draw.integer(-4, 3), "keepdims": draw.integer(0, 1), "select_last_index": draw.integer(0, 1)}
    model.output(model.node("ArgMax", [x], outputs=["y"], **attributes), np.int64)
    return model


def concat(*, one_grid: bool) -> Generator:
    def generate(draw: Draw) -> ModelBuilder:
        grid = draw.grid()
        model = ModelBuilder(13, float_ends=draw.float_ends(grid.dtype))
        shape, axis = draw.image(), draw.integer(1, 3)
        names = []
        for index in range(draw.integer(2, 3)):
            own = grid if one_grid else draw.grid(grid.dtype)
            part = [draw.integer(1, 5) if i == axis else n for i, n in enumerate(shape)]
            names.append(model.quantized_input(f"x{index}", draw.codes(own, part), own))
        model.quantized_output(model.node("Concat", names, axis=axis), grid)
        return model

    return generate


def requantize(*, wide: bool) -> Generator:
    def generate(draw: Draw) -> ModelBuilder:
        types = [np.dtype(t) for t in (np.int8, np.uint8, np.int16, np.uint16)][: 4 if wide else 2]
        source, target = draw.grid(draw.pick(types)), draw.grid(draw.pick(types))
        model = ModelBuilder(21 if wide else 13)
        model.quantized_output(model.quantized_input("x", draw.codes(source, draw.image()), source), target)
        return model

    return generate


GENERATORS: dict[str, Generator] = {
    "MaxPool": moving("MaxPool", max_pool),
    "AveragePool": moving("AveragePool", average_pool),
    "GlobalAveragePool": moving("GlobalAveragePool", lambda draw: (draw.image(), [], {})),
    "ReduceMean": moving("ReduceMean", reduce_mean),
    "Pad": moving("Pad", pad),
    "Reshape": moving("Reshape", reshape),
    "Flatten": moving("Flatten", flatten),
    "Squeeze": moving("Squeeze", squeeze),
    "Unsqueeze": moving("Unsqueeze", unsqueeze),
    "Transpose": moving("Transpose", transpose),
    "Slice": moving("Slice", slices),
    "Split": moving("Split", split, results=2),
    "DepthToSpace": moving("DepthToSpace", depth_to_space),
    "SpaceToDepth": moving("SpaceToDepth", space_to_depth),
    "Resize nearest": moving("Resize", resize("nearest"), opset=19),
    "Resize linear": moving("Resize", resize("linear"), opset=19),
    "ArgMax": argmax,
    "Concat": concat(one_grid=False),
    "Concat one grid": concat(one_grid=True),
    "Requantize": requantize(wide=False),
    "Requantize 16 bit": requantize(wide=True),
    "ReduceMax": moving("ReduceMax", reduce_max),
    "Gather": moving("Gather", gather),
}
