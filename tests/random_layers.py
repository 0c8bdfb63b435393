"""Random layers with accumulators, extremes forced in: convolutions, transposed ones, fully connected, products."""

import numpy as np

from accel_sim.ir import (
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    MatMul,
    Node,
    Padding2D,
    QuantParams,
    Tensor,
    TransposeConv2D,
)

OUTPUT = QuantParams.per_tensor(64.0, 3)


def random_layer(rng):
    """A graph of one layer `n` with the computed operand x; a quarter of weights and grids are extreme."""
    kind = rng.choice(["conv", "conv", "transpose", "dense", "left", "right"])
    grid = random_grid(rng)
    bias_span = int(rng.choice([1, 1000, 100_000]))
    if kind in ("conv", "transpose"):
        return _window(rng, kind, grid, bias_span)
    k, n, rows = (int(v) for v in rng.integers(1, [40, 6, 4]))
    if kind == "dense":
        w = Tensor("w", (n, k), ElementType.INT8, QuantParams.per_tensor(1.0), random_weights(rng, (n, k)))
        return one(FullyConnected(), (rows, k), grid, (rows, n), w, random_bias(rng, n, bias_span))
    transposed = bool(rng.integers(2))
    if kind == "right":
        w = random_weights(rng, (n, k) if transposed else (k, n))
        op, x_shape = MatMul(transpose_b=transposed), (rows, k)
    else:
        w = random_weights(rng, (n, k))
        op, x_shape = MatMul(transpose_b=transposed), (rows, k) if transposed else (k, rows)
    weights = Tensor("w", w.shape, ElementType.INT8, QuantParams.per_tensor(1.0), w)
    return one(op, x_shape, grid, (n, rows) if kind == "left" else (rows, n), weights, None, swapped=kind == "left")


def random_grid(rng):
    choice = rng.integers(4)
    if choice == 0:
        return QuantParams.per_tensor(1.0, int(rng.integers(-128, 128)))
    if choice == 1:
        return QuantParams.per_tensor(1.0, int(rng.integers(0, 256)), signed=False)
    if choice == 2:
        return QuantParams.per_tensor(1.0, int(rng.choice([-128, 0, 127])))
    return QuantParams.per_tensor(1.0, int(rng.choice([0, 255])), signed=False)


def random_weights(rng, shape):
    if rng.integers(4) == 0:
        return rng.choice(np.array([-128, -127, 0, 127], np.int8), shape)
    return np.clip(rng.normal(0, rng.choice([3, 30, 90]), shape), -128, 127).astype(np.int8)


def random_bias(rng, channels, span):
    return Tensor("b", (channels,), ElementType.INT32, None, rng.integers(-span, span, channels).astype(np.int32))


def _window(rng, kind, grid, bias_span):
    groups, per_group, out = (int(v) for v in rng.integers(1, [3, 4, 3]))
    kernel, size = rng.integers(1, 4, 2), rng.integers(1, 6, 2)
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 3, 2)) for _ in range(2))
    reach = (kernel - 1) * dilation
    pads = [int(v) for v in rng.integers(0, np.repeat(reach, 2) + 1)]
    padding = Padding2D(*pads)
    total = np.array([pads[0] + pads[1], pads[2] + pads[3]])
    w = random_weights(rng, (groups * out, *kernel, per_group))
    weights = Tensor("w", w.shape, ElementType.INT8, QuantParams.per_tensor(1.0), w)
    bias = random_bias(rng, groups * out, bias_span)
    if kind == "conv":
        size = np.maximum(size, reach + 1 - total)
        output = (size + total - reach - 1) // stride + 1
        op = Conv2D(stride, dilation, padding, groups)
    else:
        size = np.maximum(size, -(-total // stride) + 1)
        output = (size - 1) * stride + reach + 1 - total
        op = TransposeConv2D(stride, dilation, padding, groups)
    if min(output) < 1:
        return _window(rng, kind, grid, bias_span)
    shape = (1, *(int(s) for s in size), groups * per_group)
    return one(op, shape, grid, (1, *(int(s) for s in output), groups * out), weights, bias)


def one(op, x_shape, grid, y_shape, weights, bias, *, swapped=False):
    x = Tensor("x", x_shape, ElementType.for_grid(grid), grid)
    y = Tensor("y", y_shape, ElementType.INT8, OUTPUT)
    tensors = {t.name: t for t in (x, weights, y, *([bias] if bias else []))}
    operands = ("w", "x") if swapped else ("x", "w")
    return Graph("layer", (Node("n", op, (*operands, *(["b"] if bias else [])), ("y",)),), tensors, ("x",), ("y",))


def random_codes(rng, graph, samples):
    """Codes of x: uniform ones, and ones at the ends of the grid."""
    x = graph.tensors["x"]
    shape = (x.shape[0] * samples, *x.shape[1:])
    uniform = rng.integers(x.quant.low, x.quant.high, shape, endpoint=True)
    ends = rng.choice([x.quant.low, x.quant.high], shape)
    return np.where(rng.integers(2, size=shape), uniform, ends).astype(x.element.dtype)
