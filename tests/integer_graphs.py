"""Random integer graphs of one operator: name -> builder(draw) -> Graph, over shapes, grids and constants."""

import math

import numpy as np

from accel_sim import ir
from accel_sim.ir import ElementType, Graph, Node, QuantParams, Tensor

CASES = {}
ACTIVATIONS = (ir.NO_ACTIVATION, ir.RELU, ir.RELU6, ir.RELU_N1_TO_1)


def case(build):
    CASES[build.__name__] = build
    return build


class Draw:
    """Random choices from one seed, and the tensors chosen so far."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors = {}
        self.inputs = []

    def among(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def size(self, low=1, high=6):
        return int(self.rng.integers(low, high + 1))

    def image(self, low=3, high=8):
        return (self.among(1, 1, 2), self.size(low, high), self.size(low, high), self.size(1, 5))

    def grid(self, bits=8, signed=None, zero=None):
        """Scales with ties: a quarter are powers of two."""
        signed = bool(self.rng.integers(2)) if signed is None else signed
        scale = 2.0 ** -self.size(2, 7) if self.rng.random() < 0.25 else float(np.float32(self.rng.uniform(0.004, 0.1)))
        q = QuantParams.per_tensor(1.0, 0, bits=bits, signed=signed)
        if zero is None:
            zero = self.among(q.low, q.high, 0 if signed else 128, int(self.rng.integers(q.low, q.high + 1)))
        return QuantParams.per_tensor(scale, zero if bits == 8 else 0, bits=bits, signed=signed)

    def codes(self, shape, q):
        codes = self.rng.integers(q.low, q.high + 1, shape)
        ends = self.rng.choice([q.low, q.high, 0 if q.signed else 128], shape)
        return np.where(self.rng.random(shape) < 0.2, ends, codes).astype(ElementType.for_grid(q).dtype)

    def input(self, shape, q=None, file_axes=()):
        q = q or self.grid()
        name = f"x{len(self.inputs)}"
        self.tensors[name] = Tensor(name, tuple(shape), ElementType.for_grid(q), q, None, file_axes)
        self.inputs.append(name)
        return self.tensors[name]

    def constant(self, data, q=None):
        name = f"c{len(self.tensors)}"
        self.tensors[name] = Tensor(name, data.shape, ElementType(data.dtype.name), q, data)
        return self.tensors[name]

    def graph(self, op, operands, shape, q=None, element=None, file_axes=()):
        element = element or ElementType.for_grid(q)
        self.tensors["y"] = Tensor("y", tuple(shape), element, q, None, file_axes)
        node = Node("node", op, tuple(t.name if t else "" for t in operands), ("y",))
        return Graph("one operator", (node,), self.tensors, tuple(self.inputs), ("y",))

    def weights(self, shape, *, bits=8, axis=0):
        """Per channel and symmetric, or per tensor and asymmetric."""
        if self.rng.random() < 0.5:
            scales = self.rng.uniform(0.002, 0.05, shape[axis]).astype(np.float32).tolist()
            q = QuantParams.per_channel(scales, axis=axis, bits=bits)
        else:
            q = self.grid(bits, zero=None)
        return self.constant(self.codes(shape, q), q)

    def bias(self, channels, dtype=np.int32):
        return self.among(None, self.constant(self.rng.integers(-5000, 5000, channels).astype(dtype)))


def out_extent(size, kernel, stride, dilation, pads):
    return (size + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1


@case
def convolution(d, *, bits=8):
    n, height, width, _ = d.image()
    groups = d.among(1, 1, 2, 3)
    per_group, outputs = d.among((1, 1), (1, 2), (2, 3), (4, 1))
    kernel = (d.size(1, 3), d.size(1, 3))
    strides, dilations = (d.size(1, 2), d.size(1, 2)), (d.among(1, 1, 2), 1)
    pads = [(d.size(0, 2), d.size(0, 2)) for _ in range(2)]
    out = [out_extent(*args) for args in zip((height + 2, width + 2), kernel, strides, dilations, pads, strict=True)]
    x = d.input((n, height + 2, width + 2, groups * per_group), d.grid(bits, signed=True if bits == 16 else None))
    w = d.weights((groups * outputs, *kernel, per_group), bits=d.among(4, 8))
    padding = ir.Padding2D(*pads[0], *pads[1])
    activation = d.among(*ACTIVATIONS, ir.Activation(0.0, tuple(d.rng.uniform(0.1, 6, groups * outputs).tolist())))
    bias = d.bias(groups * outputs, np.int64 if bits == 16 else np.int32)
    y = d.grid(bits, signed=x.quant.signed)
    op = ir.Conv2D(strides, dilations, padding, groups, activation)
    return d.graph(op, (x, w, bias), (n, *out, groups * outputs), y)


@case
def convolution_16_bits(d):
    return convolution(d, bits=16)


@case
def raw_accumulators(d):
    x, channels = d.input(d.image()), d.size()
    w = d.weights((channels, 2, 2, x.shape[3]))
    out = (x.shape[0], x.shape[1] - 1, x.shape[2] - 1, channels)
    return d.graph(ir.Conv2D(), (x, w), out, element=ElementType.INT32)


@case
def transposed_convolution(d):
    n, height, width, _ = d.image(1, 5)
    groups, per_group, outputs = d.among((1, 3, 2), (2, 1, 2))
    kernel, strides = (d.size(1, 3), d.size(1, 3)), (d.size(1, 3), d.size(1, 3))
    dilations, pads = (d.among(1, 2), 1), (d.size(0, 1), d.size(0, 1))
    out = [
        max((e - 1) * s + (k - 1) * dil + 1 - p, 1)
        for e, k, s, dil, p in zip((height, width), kernel, strides, dilations, pads, strict=True)
    ]
    x = d.input((n, height, width, groups * per_group))
    w = d.weights((groups * outputs, *kernel, per_group))
    op = ir.TransposeConv2D(strides, dilations, ir.Padding2D(pads[0], 0, pads[1], 0), groups, d.among(*ACTIVATIONS))
    return d.graph(op, (x, w, d.bias(groups * outputs)), (n, *out, groups * outputs), d.grid())


@case
def fully_connected(d):
    shape = d.among((d.size(), 7), (1, d.size(), d.size(), 7), (7,))
    w, activation = d.weights((d.size(), 7)), d.among(*ACTIVATIONS)
    x = d.input(shape)
    rows = math.prod(shape) // 7
    return d.graph(ir.FullyConnected(activation), (x, w, d.bias(w.shape[0])), (rows, w.shape[0]), d.grid())


@case
def matmul_of_activations(d):
    m, k, n = d.size(), d.size(), d.size()
    ta, tb = bool(d.size(0, 1)), bool(d.size(0, 1))
    batch_a, batch_b = d.among(((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2,), ()))
    a = d.input((*batch_a, *((k, m) if ta else (m, k))))
    b = d.input((*batch_b, *((n, k) if tb else (k, n))))
    return d.graph(ir.MatMul(ta, tb), (a, b), (*np.broadcast_shapes(batch_a, batch_b), m, n), d.grid())


@case
def matmul_by_constant(d):
    m, k, n = d.size(), d.size(), d.size()
    ta, tb = bool(d.size(0, 1)), bool(d.size(0, 1))
    a = d.input(d.among((k, m) if ta else (m, k), (2, *((k, m) if ta else (m, k)))))
    b = d.weights((n, k) if tb else (k, n), axis=0 if tb else 1)
    return d.graph(ir.MatMul(ta, tb), (a, b), (*a.shape[:-2], m, n), d.grid())


def pool_shape(d, x, kernel, strides, pads, dilations=(1, 1)):
    return (
        x.shape[0],
        *(out_extent(*args) for args in zip(x.shape[1:3], kernel, strides, dilations, pads, strict=True)),
        x.shape[3],
    )


@case
def max_pool(d):
    x, kernel, strides = d.input(d.image()), (d.size(1, 3), d.size(1, 3)), (d.size(1, 2), d.size(1, 2))
    pads = [(min(d.size(0, 2), k - 1), min(d.size(0, 2), k - 1)) for k in kernel]
    op = ir.MaxPool2D(kernel, strides, (1, 1), ir.Padding2D(*pads[0], *pads[1]), d.among(*ACTIVATIONS))
    return d.graph(op, (x,), pool_shape(d, x, kernel, strides, pads), d.among(x.quant, d.grid()))


@case
def average_pool(d):
    x, kernel, strides = d.input(d.image()), (d.size(1, 3), d.size(1, 3)), (d.size(1, 2), d.size(1, 2))
    pads = [(min(d.size(0, 2), k - 1), min(d.size(0, 2), k - 1)) for k in kernel]
    padding = ir.Padding2D(*pads[0], *pads[1])
    op = ir.AveragePool2D(kernel, strides, padding, bool(d.size(0, 1)), d.among(*ACTIVATIONS))
    return d.graph(op, (x,), pool_shape(d, x, kernel, strides, pads), d.among(x.quant, d.grid()))


@case
def global_average_pool(d):
    x = d.input(d.image())
    return d.graph(ir.GlobalAveragePool2D(), (x,), (x.shape[0], 1, 1, x.shape[3]), d.grid())


@case
def mean(d):
    """Stored NHWC with a file in NCHW or not; any axes, kept or not."""
    axes = d.among((1, 2), (1,), (3,), (2, 3), (0,), (1, 2, 3), (0, 3))
    keep, file_axes = bool(d.size(0, 1)), d.among((), (0, 2, 3, 1))
    x = d.input(d.image(), file_axes=file_axes)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    if not keep:
        shape = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    kept_axes = file_axes if keep else ()
    if not keep and file_axes:
        left = [file_axes[a] for a in range(4) if a not in axes]
        kept_axes = tuple(sorted(left).index(a) for a in left)
    return d.graph(ir.Mean(axes, keep), (x,), shape, d.grid(), file_axes=kept_axes)


def binary(d, operator):
    shape = d.image()
    other = d.among(shape, (shape[3],), (), (1, 1, shape[2], 1), (shape[0], 1, 1, shape[3]))
    x, q = d.input(shape), d.grid()
    constant = d.constant(d.codes(other, q), q)
    operands = d.among((x, constant), (constant, x), (x, d.input(other)))
    return d.graph(operator, operands, shape, d.grid())


@case
def add(d):
    return binary(d, ir.Add(d.among(*ACTIVATIONS)))


@case
def subtract(d):
    return binary(d, ir.Subtract(d.among(*ACTIVATIONS)))


@case
def multiply(d):
    return binary(d, ir.Multiply(d.among(*ACTIVATIONS)))


@case
def minimum(d):
    return binary(d, ir.Minimum())


@case
def maximum(d):
    return binary(d, ir.Maximum())


@case
def concat(d):
    shape, axis = d.image(), d.size(0, 3)
    y = d.grid()
    xs = [
        d.input([d.size() if a == axis else n for a, n in enumerate(shape)], d.among(y, d.grid()))
        for _ in range(d.size(1, 3))
    ]
    whole = [sum(x.shape[axis] for x in xs) if a == axis else n for a, n in enumerate(shape)]
    return d.graph(ir.Concat(d.among(axis, axis - 4), d.among(*ACTIVATIONS)), xs, whole, y)


@case
def pad(d):
    x, mode = d.input(d.image()), d.among("constant", "constant", "reflect", "symmetric", "edge")
    before = tuple(d.size(-1 if mode == "constant" else 0, n - 1) if n > 1 else 0 for n in x.shape)
    after = tuple(d.size(-1 if mode == "constant" else 0, n - 1) if n > 1 else 0 for n in x.shape)
    shape = [b + n + a for b, n, a in zip(before, x.shape, after, strict=True)]
    op = ir.Pad(before, after, d.among(0.0, 0.3, -50.0), mode)
    return d.graph(op, (x,), shape, d.among(x.quant, d.grid()))


@case
def reshape(d):
    x = d.input(d.image())
    return d.graph(ir.Reshape(), (x,), (x.shape[0], x.size // x.shape[0]), d.among(x.quant, d.grid()))


@case
def transpose(d):
    x, order = d.input(d.image()), tuple(int(a) for a in d.rng.permutation(4))
    return d.graph(ir.Transpose(order), (x,), [x.shape[a] for a in order], d.among(x.quant, d.grid()))


@case
def slices(d):
    x = d.input(d.image())
    steps = tuple(d.among(1, 2, -1, -2) for _ in x.shape)
    begin = tuple(d.size(0, n - 1) for n in x.shape)
    room = [(n - b if s > 0 else b + 1) for n, b, s in zip(x.shape, begin, steps, strict=True)]
    shape = [d.size(1, math.ceil(r / abs(s))) for r, s in zip(room, steps, strict=True)]
    return d.graph(ir.Slice(begin, steps), (x,), shape, d.among(x.quant, d.grid()))


@case
def resize_nearest(d):
    x, out = d.input(d.image(1, 5)), (d.size(1, 9), d.size(1, 9))
    op = ir.ResizeNearest(d.among(*ir.CoordinateMode), d.among(*ir.NearestRounding))
    return d.graph(op, (x,), (x.shape[0], *out, x.shape[3]), d.among(x.quant, d.grid()))


@case
def resize_bilinear(d):
    x, out = d.input(d.image(1, 5)), (d.size(1, 9), d.size(1, 9))
    return d.graph(
        ir.ResizeBilinear(d.among(*ir.CoordinateMode)), (x,), (x.shape[0], *out, x.shape[3]), d.among(x.quant, d.grid())
    )


@case
def requantize(d):
    x = d.input(d.image(), d.grid(d.among(8, 16), signed=True))
    return d.graph(ir.Requantize(), (x,), x.shape, d.among(x.quant, d.grid(), d.grid(16, signed=True)))


@case
def requantize_sums(d):
    x = d.input(d.image(), QuantParams.per_tensor(0.001, 0, bits=32))
    return d.graph(ir.Requantize(), (x,), x.shape, d.grid())


@case
def requantize_by_shift(d):
    shape = d.image()
    d.tensors["x0"] = x = Tensor("x0", shape, ElementType.INT32)
    d.inputs.append("x0")
    several = d.among(1, shape[3])
    multiplier = tuple(int(v) for v in d.rng.integers(1, 500, several))
    op = ir.RequantShift(multiplier, (d.among(0, 1 << 11),) * several, 12)
    return d.graph(op, (x,), shape, element=d.among(ElementType.INT8, ElementType.UINT8))


def unary(d, op):
    x = d.input(d.among(d.image(), (d.size(),)))
    return d.graph(op, (x,), x.shape, d.grid())


@case
def clip(d):
    return unary(d, ir.Clip(d.among(*ACTIVATIONS)))


def clip_by_channel(d):
    """No case: the evaluator of graphs knows one bound only."""
    x = d.input(d.image())
    caps = tuple(float(d.among(1.0, 2.0, d.rng.uniform(0.5, 6))) for _ in range(x.shape[3]))
    return d.graph(ir.Clip(ir.Activation(0.0, caps)), (x,), x.shape, d.grid())


@case
def leaky_relu(d):
    return unary(d, ir.LeakyRelu(d.among(0.1, 0.25, 0.01)))


@case
def hard_swish(d):
    return unary(d, ir.HardSwish())


@case
def hard_sigmoid(d):
    return unary(d, ir.HardSigmoid())


@case
def logistic(d):
    x = d.input(d.image(), d.grid(signed=True))
    return d.graph(ir.Logistic(), (x,), x.shape, QuantParams.per_tensor(1 / 256, -128))


@case
def tanh(d):
    x = d.input(d.image(), d.grid(signed=True))
    return d.graph(ir.Tanh(), (x,), x.shape, QuantParams.per_tensor(1 / 128, 0))


@case
def prelu(d):
    x, q = d.input(d.image()), d.grid()
    shape = d.among((x.shape[3],), (1, 1, 1), (x.shape[1], x.shape[2], x.shape[3]), (1,))
    slope = d.constant(d.codes(shape, q), q)
    return d.graph(ir.PRelu(), (x, slope), x.shape, d.grid())


@case
def softmax(d):
    x = d.input(d.among(d.image(), (d.size(), d.size(1, 12))), d.grid(signed=True))
    y = d.among(QuantParams.per_tensor(1 / 256, -128), d.grid(signed=True))
    return d.graph(ir.Softmax(d.size(-len(x.shape), len(x.shape) - 1), d.among(1.0, 1.0, 0.5)), (x,), x.shape, y)


@case
def space_to_depth(d):
    n, height, width, channels = d.image(1, 3)
    b = d.among(1, 2, 3)
    x = d.input((n, height * b, width * b, channels))
    return d.graph(ir.SpaceToDepth(b), (x,), (n, height, width, b * b * channels), d.among(x.quant, d.grid()))


@case
def depth_to_space(d):
    n, height, width, channels = d.image(1, 3)
    b = d.among(1, 2, 3)
    x = d.input((n, height, width, b * b * channels))
    op = ir.DepthToSpace(b, bool(d.size(0, 1)))
    return d.graph(op, (x,), (n, height * b, width * b, channels), d.among(x.quant, d.grid()))


@case
def arg_max(d):
    x, axis, keep = d.input(d.image()), d.size(-4, 3), bool(d.size(0, 1))
    shape = [1 if a == axis % 4 else n for a, n in enumerate(x.shape) if keep or a != axis % 4]
    op = ir.ArgMax(axis, keep, bool(d.size(0, 1)), bool(d.size(0, 1)))
    return d.graph(op, (x,), shape, element=d.among(ElementType.INT32, ElementType.INT64))
