"""Random float graphs of layout-changing operators: the importer's own layout gives ONNX Runtime's numbers."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from oracles.onnx_builder import ModelBuilder
from oracles.onnx_draw import Draw
from oracles.onnx_models import run_ort
from oracles.onnx_window import window

from accel_sim.frontend.onnx import load_onnx
from accel_sim.reference import evaluate_float

F = np.float32
Shape = tuple[int, ...]
Step = Callable[[ModelBuilder, Draw, str, Shape], tuple[str, Shape]]


def transpose(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    perm = [int(v) for v in draw.rng.permutation(len(shape))]
    return model.node("Transpose", [x], perm=perm), tuple(shape[p] for p in perm)


def reshape(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    size = int(np.prod(shape))
    divisor = draw.pick([d for d in range(1, size + 1) if size % d == 0])
    target = draw.pick(([divisor, -1], [1, divisor, 1, size // divisor], [divisor, size // divisor, 1], [-1]))
    target = [size // divisor if n == -1 and len(target) > 1 else size if n == -1 else n for n in target]
    return model.node("Reshape", [x, model.constant(np.array(target, np.int64))]), tuple(target)


def flatten(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    axis = draw.integer(0, len(shape))
    return model.node("Flatten", [x], axis=axis), (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))


def unsqueeze(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    if len(shape) > 3:
        axes = [i for i, n in enumerate(shape) if n == 1][:1]
        if not axes:
            return x, shape
        kept = tuple(n for i, n in enumerate(shape) if i not in axes)
        return model.node("Squeeze", [x, model.constant(np.array(axes))]), kept
    axis = draw.integer(0, len(shape))
    return model.node("Unsqueeze", [x, model.constant(np.array([axis]))]), (*shape[:axis], 1, *shape[axis:])


def mean(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    axis, keep = draw.integer(0, len(shape) - 1), draw.chance(0.5)
    made = model.node("ReduceMean", [x], axes=[axis], keepdims=int(keep))
    return made, tuple(1 if i == axis else n for i, n in enumerate(shape) if keep or i != axis)


def softmax(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    return model.node("Softmax", [x], axis=draw.integer(-len(shape), len(shape) - 1)), shape


def concat(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    axis = draw.integer(0, len(shape) - 1)
    other = model.constant(draw.rng.normal(size=shape).astype(F))
    parts = [x, model.node("Relu", [x])] if draw.chance(0.5) else [other, x]
    return model.node("Concat", parts, axis=axis), tuple(2 * n if i == axis else n for i, n in enumerate(shape))


def halve(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    axis = int(np.argmax(shape))
    names = [model.constant(np.array([v])) for v in (0, 1 << 62, axis, 2)]
    return model.node("Slice", [x, *names]), tuple(-(-n // 2) if i == axis else n for i, n in enumerate(shape))


def pad(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    pads = draw.integers(0, 1, 2 * len(shape))
    made = model.node("Pad", [x, model.constant(np.array(pads)), model.constant(F(0.5))])
    return made, tuple(n + pads[i] + pads[i + len(shape)] for i, n in enumerate(shape))


def matmul(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    if len(shape) < 2:
        return x, shape
    if draw.chance(0.5):
        weights = model.constant(draw.rng.normal(size=(shape[-1], 3)).astype(F))
        return model.node("MatMul", [x, weights]), (*shape[:-1], 3)
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    other = model.node("Transpose", [x], perm=order)
    return model.node("MatMul", [x, other]), (*shape[:-1], shape[-2])


def add(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    kept = draw.integer(0, len(shape))
    other = tuple(1 if draw.chance(0.4) else n for n in shape)[kept:]
    constant = model.constant(draw.rng.normal(size=other).astype(F))
    if draw.chance(0.5):
        return model.node("Add", [constant, x]), shape
    reduced = model.node("ReduceMean", [x], axes=[0], keepdims=0)
    return model.node("Sub", [x, reduced]), shape


def conv(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    if len(shape) != 4:
        return x, shape
    weights = model.constant(draw.rng.normal(size=(3, shape[1], 2, 1)).astype(F))
    made = model.node("Conv", [x, weights], pads=[1, 0, 0, 0])
    return made, (shape[0], 3, *shape[2:])


def pool(model: ModelBuilder, draw: Draw, x: str, shape: Shape) -> tuple[str, Shape]:
    if len(shape) != 4:
        return x, shape
    operator = draw.pick(("MaxPool", "AveragePool"))
    return model.node(operator, [x], kernel_shape=[1, 2], pads=[0, 1, 0, 0]), shape


STEPS: tuple[Step, ...] = (
    transpose, reshape, flatten, unsqueeze, mean, softmax, concat, halve, pad, matmul, add, conv, pool,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(150))
def test_random_graph_gives_onnx_runtimes_numbers(seed):
    draw = Draw(np.random.default_rng([7, seed]))
    model = ModelBuilder(13)
    shape: Shape = draw.image(draw.integer(1, 4), 1, 5)
    x = model.input("x", draw.rng.normal(size=shape).astype(F))
    for _ in range(draw.integer(1, 7)):
        step = draw.pick(STEPS)
        if shape and np.prod(shape) < 2000:
            x, shape = step(model, draw, x, shape)
    model.output(model.node("Identity", [x], outputs=["y"]), F)
    _compare(model)


@pytest.mark.parametrize("axis", range(-4, 4))
def test_old_softmax_flattens(axis):
    model = ModelBuilder(11)
    x = model.input("x", np.random.default_rng(0).normal(size=(1, 3, 2, 4)).astype(F))
    model.output(model.node("Softmax", [x], outputs=["y"], axis=axis), F)
    _compare(model)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stated", [False, True])
def test_transposed_convolution_padding(mode, stated):
    rng = np.random.default_rng(1)
    model = ModelBuilder(11)
    x = model.input("x", rng.normal(size=(1, 2, 3, 4)).astype(F))
    weights = model.constant(rng.normal(size=(2, 3, 4, 3)).astype(F))
    attributes = {"auto_pad": mode, "strides": [3, 2]} | (
        {"output_shape": [9, 8]} if stated and mode != "VALID" else {}
    )
    model.output(model.node("ConvTranspose", [x, weights], outputs=["y"], **attributes), F)
    _compare(model)


@pytest.mark.parametrize("seed", range(40))
def test_windows(seed):
    draw = Draw(np.random.default_rng([8, seed]))
    model = ModelBuilder(13)
    shape = draw.image(2, 3, 8)
    x = model.input("x", draw.rng.normal(size=shape).astype(F))
    if draw.chance(0.5):
        made = model.node("MaxPool", [x], outputs=["y"], **window(draw, shape[2:], pooling=True))
    else:
        attributes = window(draw, shape[2:], dilated=False, pooling=True)
        attributes["count_include_pad"] = 0 if "ceil_mode" in attributes else draw.integer(0, 1)
        made = model.node("AveragePool", [x], outputs=["y"], **attributes)
    model.output(made, F)
    _compare(model)


@pytest.mark.parametrize(
    ("opset", "operator", "operands", "attributes"),
    [
        (7, "Upsample", [], {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}),
        (9, "Upsample", [np.array([1, 1, 2, 2], F)], {"mode": "linear"}),
        (10, "Resize", [np.array([1, 1, 0.5, 0.5], F)], {"mode": "nearest"}),
        (10, "Resize", [np.array([1, 1, 2, 1], F)], {"mode": "linear"}),
        (11, "Resize", [np.zeros(8, F), np.array([1, 1, 1.5, 2], F)], {"mode": "nearest"}),
        (18, "Resize", [None, None, np.array([7, 3])], {"axes": [2, 3], "mode": "linear"}),
        (7, "Clip", [], {"min": -0.5, "max": 0.25}),
        (12, "Clip", [None, F(0.5)], {}),
        (7, "Slice", [], {"starts": [1, -3], "ends": [9, 5], "axes": [1, 3]}),
        (10, "Slice", [np.array([-1]), np.array([-9]), np.array([2]), np.array([-2])], {}),
        (7, "Pad", [], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 0.5}),
        (18, "Pad", [np.array([1, 2]), F(0.5), np.array([3])], {}),
        (7, "Dropout", [], {"ratio": 0.5}),
        (7, "Squeeze", [], {"axes": [0]}),
        (11, "Flatten", [], {"axis": -1}),
        (18, "ReduceMean", [np.array([-1, 1])], {"keepdims": 0}),
        (7, "BatchNormalization", [np.full(3, v, F) for v in (1.5, 0.5, 0.2, 2.0)], {"epsilon": 0.01}),
        (9, "PRelu", [np.array([0.1, 0.2, 0.3], F).reshape(3, 1, 1)], {}),
        (7, "Div", [np.array([2, 3, 5], F).reshape(3, 1, 1)], {}),
        (8, "Sum", [np.ones((4, 6), F), np.ones((3, 1, 1), F)], {}),
        (7, "GlobalMaxPool", [], {}),
        (13, "DepthToSpace", [], {"blocksize": 1, "mode": "CRD"}),
        (16, "LeakyRelu", [], {"alpha": 0.3}),
    ],
)
def test_forms_of_each_operator_set(opset, operator, operands, attributes):
    model = ModelBuilder(opset)
    x = model.input("x", np.random.default_rng(13).normal(size=(1, 3, 4, 6)).astype(F))
    names = ["" if v is None else model.constant(v) for v in operands]
    model.output(model.node(operator, [x, *names], outputs=["y"], **attributes), F)
    _compare(model)


def _compare(model: ModelBuilder) -> None:
    data = model.serialize()
    graph = load_onnx(data, "random")
    stored = {n: graph.tensors[n].from_file_layout(a) for n, a in model.inputs.items()}
    made = graph.tensors["y"].to_file_layout(np.asarray(evaluate_float(graph, stored)["y"]))
    expected = run_ort(data, model.inputs)["y"]
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
