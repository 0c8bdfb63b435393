"""Random TFLite networks of several operators: values with several readers, parts, outputs inside, float ends.

    case = tflite_networks.network(np.random.default_rng([seed, index]))

What one operator does is drawn in more variety by `tflite_models`; here operators meet. Values are images [N, H, W, C].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from oracles.tflite_builder import ModelBuilder, options
from oracles.tflite_conv import VARIANTS, Variant
from oracles.tflite_draw import LIMITS, Case, Draw, Grid

_LARGEST = 6000  # elements of a value
_CHANNELS = (1, 2, 3, 4, 8, 16, 17, 24, 33)
_LOWEST_SCALE = {"int8": -6, "uint8": -6, "int16": -14}
_WEIGHTS = {
    "int8": ("int8 per channel", "int8 per channel", "int8 per tensor", "int4 weights"),
    "uint8": ("uint8",),
    "int16": ("int16 bias64",),
}


class Value(NamedTuple):
    """A tensor of the model."""

    tensor: int
    shape: tuple[int, ...]
    grid: Grid


class _Network:
    """A model that grows step by step; `current` is the last value."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.model, self.values = draw, ModelBuilder(), list[Value]()
        self.dtype = draw.weighted({"int8": 0.7, "uint8": 0.12, "int16": 0.18})
        self.note = [self.dtype]
        shape = draw.integer(1, 2), *draw.shape(2, 1, 12), draw.pick(_CHANNELS)
        low = _LOWEST_SCALE[self.dtype]
        self.current = self.value(shape, draw.grid(self.dtype, low, low + 3), "x")

    def value(self, shape: Sequence[int], grid: Grid, name: str | None = None) -> Value:
        tensor = self.model.tensor(shape, self.dtype, grid.scale, grid.zero_point, name=name)
        self.values.append(Value(tensor, tuple(int(n) for n in shape), grid))
        return self.values[-1]

    def constant(self, data: Any, dtype: str, scale: Any = None, zero: Any = 0, axis: int = 0) -> int:
        array = np.asarray(data)
        return self.model.tensor(array.shape, dtype, scale, zero, data=array, axis=axis)

    def apply(
        self,
        operator: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        grid: Grid,
        fields: Any = None,
        version: int = 2,
    ) -> None:
        self.current = self.value(shape, grid)
        self.model.op(operator, inputs, [self.current.tensor], fields, version=version)
        self.note.append(operator)

    def near(self, low: float = -1, high: float = 2) -> Grid:
        """A grid like the current value's."""
        return self.draw.grid_near(float(self.current.grid.scale), self.dtype, low, high)

    # --- sums of products -------------------------------------------------------------------------

    def weighted(self, variant: Variant, shape: tuple[int, ...], axis: int, terms: int) -> tuple[list[int], Grid]:
        """Weights and bias, and a grid that holds sums of so many products."""
        channels = shape[axis]
        base = 2.0 ** self.draw.exponent(-9, -4)
        count = channels if variant.per_channel else 1
        scales = np.array([self.draw.scale_near(base) for _ in range(count)], np.float32)
        zero = self.draw.zero_point("uint8") if variant.weight == "uint8" else 0
        weights = self.constant(self.draw.codes(shape, variant.weight), variant.weight, scales, zero, axis)
        numbers = self.draw.rng.integers(-5000, 5000, channels)
        bias = self.constant(numbers, variant.bias, self.current.grid.scale * scales)
        spread = np.log2(terms**0.5 * LIMITS[variant.weight][1]) + (-1 if self.dtype == "int16" else 0.5)
        product = float(self.current.grid.scale) * base
        return [weights, bias], self.draw.grid_near(product * 2.0**spread, self.dtype)

    def window(self, *, dilated: bool) -> tuple[list[int], list[int], dict[str, int]]:
        """Kernel, output size and attributes of a sliding window; padding is SAME where it would not fit."""
        kernel = [self.draw.pick((1, 2, 3, 5)) for _ in range(2)]
        stride = [self.draw.pick((1, 1, 2, 3)) for _ in range(2)]
        dilation = [self.draw.pick((1, 1, 2)) if dilated else 1 for _ in range(2)]
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        size = self.current.shape[1:3]
        valid = all(n >= e for n, e in zip(size, extent, strict=True)) and self.draw.chance(0.5)
        cut = extent if valid else [1, 1]
        output = [(n - c) // s + 1 for n, c, s in zip(size, cut, stride, strict=True)]
        fields = {"padding": int(valid), "strideH": stride[0], "strideW": stride[1]}
        if dilated:
            fields |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
        return kernel, output, fields | {"fusedActivationFunction": self.draw.activation()}

    def convolution(self) -> None:
        kernel, size, fields = self.window(dilated=True)
        batch, *_, channels = self.current.shape
        filters = self.draw.integer(1, 20)
        variant = VARIANTS[self.draw.pick(_WEIGHTS[self.dtype])]
        shape = (filters, *kernel, channels)
        operands, grid = self.weighted(variant, shape, 0, kernel[0] * kernel[1] * channels)
        self.apply(
            "CONV_2D", [self.current.tensor, *operands], (batch, *size, filters), grid, options("Conv2D", **fields)
        )

    def depthwise(self) -> None:
        kernel, size, fields = self.window(dilated=True)
        batch, *_, channels = self.current.shape
        multiplier = self.draw.pick((1, 1, 2))
        variant = VARIANTS[self.draw.pick(_WEIGHTS[self.dtype])]
        operands, grid = self.weighted(variant, (1, *kernel, channels * multiplier), 3, kernel[0] * kernel[1])
        attributes = options("DepthwiseConv2D", depthMultiplier=multiplier, **fields)
        shape = (batch, *size, channels * multiplier)
        self.apply("DEPTHWISE_CONV_2D", [self.current.tensor, *operands], shape, grid, attributes, 3)

    def fully_connected(self) -> None:
        *outer, depth = self.current.shape
        outputs = self.draw.integer(1, 20)
        variant = VARIANTS[self.draw.pick(_WEIGHTS[self.dtype])]
        operands, grid = self.weighted(variant, (outputs, depth), 0, depth)
        attributes = options("FullyConnected", keepNumDims=True, fusedActivationFunction=self.draw.activation())
        self.apply("FULLY_CONNECTED", [self.current.tensor, *operands], (*outer, outputs), grid, attributes, 4)

    # --- elements -----------------------------------------------------------------------------------

    def pool(self, operator: str) -> None:
        kernel, size, fields = self.window(dilated=False)
        batch, *_, channels = self.current.shape
        attributes = options("Pool2D", filterHeight=kernel[0], filterWidth=kernel[1], **fields)
        self.apply(operator, [self.current.tensor], (batch, *size, channels), self.current.grid, attributes)

    def binary(self, operator: str, kind: str) -> None:
        """With an earlier value that broadcasts, or with a constant."""
        left = self.current
        right = self.draw.pick([v for v in self.values if _broadcasts(v.shape, left.shape)])
        if self.draw.chance(0.4):
            shape = self.draw.pick(((left.shape[3],), (1,), (1, 1, 1, left.shape[3]), left.shape))
            grid = self.near(-2, 2)
            codes = self.draw.codes(shape, self.dtype)
            right = Value(self.constant(codes, self.dtype, grid.scale, grid.zero_point), shape, grid)
        scales = float(left.grid.scale), float(right.grid.scale)
        largest = scales[0] * scales[1] * LIMITS[self.dtype][1]
        base = largest if operator == "MUL" else max(scales)
        shape = np.broadcast_shapes(left.shape, right.shape)
        general = {} if operator == "MUL" else {"potScaleInt16": False}
        attributes = options(kind, fusedActivationFunction=self.draw.activation(), **general)
        operands = [left.tensor, right.tensor]
        if self.draw.chance(0.3):
            operands.reverse()
        grid = self.draw.grid_near(base, self.dtype, -2, 1)
        self.apply(operator, operands, shape, grid, attributes)

    def concatenation(self) -> None:
        first, axis = self.current, self.draw.integer(1, 3)
        others = [
            v
            for v in self.values
            if len(v.shape) == 4
            and (self.dtype == "uint8" or v.grid == first.grid)
            and all(i == axis or a == b for i, (a, b) in enumerate(zip(v.shape, first.shape, strict=True)))
        ]
        parts = [first, *(self.draw.pick(others) for _ in range(self.draw.integer(1, 2)))]
        shape = list(first.shape)
        shape[axis] = sum(v.shape[axis] for v in parts)
        grid = self.near() if self.dtype == "uint8" else first.grid
        attributes = options("Concatenation", axis=axis)
        self.apply("CONCATENATION", [v.tensor for v in parts], shape, grid, attributes)

    def unary(self, operator: str, fields: Any = None, grid: Grid | None = None) -> None:
        x = self.current
        self.apply(operator, [x.tensor], x.shape, grid or self.near(), fields, 1)

    def unit(self, *, signed: bool = False) -> Grid:
        """The fixed grid of LOGISTIC and SOFTMAX, or (signed) of TANH."""
        if self.dtype == "int16":
            return Grid(np.float32(1 / 32768), 0)
        low = LIMITS[self.dtype][0]
        return Grid(np.float32(1 / 128), low + 128) if signed else Grid(np.float32(1 / 256), low)

    # --- moves ----------------------------------------------------------------------------------------

    def moved(self, operator: str, shape: Sequence[int], fields: Any, *numbers: Any) -> None:
        """The operator with integer constants behind the value, on its grid."""
        x = self.current
        constants = [self.constant(np.array(v), "int32") for v in numbers]
        self.apply(operator, [x.tensor, *constants], shape, x.grid, fields)

    def pad(self) -> None:
        margins = np.zeros((4, 2), np.int64)
        margins[1:3] = self.draw.rng.integers(0, 3, (2, 2))
        self.moved("PAD", np.array(self.current.shape) + margins.sum(1), None, margins)

    def resize(self) -> None:
        batch, *_, channels = self.current.shape
        size, mode = self.draw.shape(2, 1, 14), self.draw.integer(0, 2)
        kind, name = self.draw.pick((("BILINEAR", "Bilinear"), ("NEAREST_NEIGHBOR", "NearestNeighbor")))
        fields = options(f"Resize{name}", alignCorners=mode == 1, halfPixelCenters=mode == 2)
        self.moved(f"RESIZE_{kind}", (batch, *size, channels), fields, size)

    def transpose(self) -> None:
        order = self.draw.pick(((0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1)))
        self.moved("TRANSPOSE", [self.current.shape[a] for a in order], None, order)

    def strided_slice(self) -> None:
        batch, height, width, channels = self.current.shape
        step = self.draw.pick((1, 2))
        shape = (batch, -(-height // step), -(-width // step), channels)
        fields = options("StridedSlice", beginMask=15, endMask=15)
        self.moved("STRIDED_SLICE", shape, fields, (0,) * 4, (0,) * 4, (1, step, step, 1))

    def split(self) -> None:
        """Both halves are values; one of them goes on."""
        x = self.current
        if x.shape[3] % 2:
            return
        halves = [self.value((*x.shape[:3], x.shape[3] // 2), x.grid) for _ in range(2)]
        axis = self.constant(np.array(3), "int32")
        self.model.op("SPLIT", [axis, x.tensor], [v.tensor for v in halves], options("Split", numSplits=2), version=2)
        self.note.append("SPLIT")
        self.current = self.draw.pick(halves)

    def reduce(self, operator: str) -> None:
        axes = self.draw.pick(([1, 2], [1], [2], [3], [1, 2, 3]))
        shape = [1 if i in axes else n for i, n in enumerate(self.current.shape)]
        self.moved(operator, shape, options("Reducer", keepDims=True), axes)

    # --- a whole network -------------------------------------------------------------------------------

    def step(self) -> None:
        self.draw.pick(_STEPS)(self)

    def finish(self) -> Case:
        """One to three outputs, the last value first; float ends now and then."""
        outputs = [self.current]
        outputs += [v for v in self.values[1:] if v is not self.current and self.draw.chance(0.1)][:2]
        results = [v.tensor for v in outputs]
        if self.draw.chance(0.3):
            real = self.model.tensor(self.current.shape, "float32", name="real")
            self.model.op("DEQUANTIZE", results[:1], [real], options("Dequantize"), version=3)
            results[0] = real
        x = self.values[0]
        data = self.model.build([x.tensor], results)
        return Case(data, {"x": self.draw.codes(x.shape, self.dtype)}, "network", ", ".join(self.note))


def _broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    if len(shape) != 4 or not all(a == b or 1 in (a, b) for a, b in zip(shape, other, strict=True)):
        return False
    return int(np.prod(np.broadcast_shapes(shape, other))) <= _LARGEST


def _unless_int16(step: Callable[[_Network], None]) -> Callable[[_Network], None]:
    return lambda n: None if n.dtype == "int16" else step(n)


_STEPS: tuple[Callable[[_Network], None], ...] = (
    *(_Network.convolution,) * 6,
    *(_Network.depthwise,) * 4,
    *(_Network.fully_connected,) * 2,
    *(lambda n: n.binary("ADD", "Add"),) * 3,
    *(lambda n: n.binary("MUL", "Mul"),) * 2,
    *(_Network.concatenation,) * 2,
    lambda n: n.binary("SUB", "Sub"),
    lambda n: n.pool("MAX_POOL_2D"),
    lambda n: n.pool("AVERAGE_POOL_2D"),
    lambda n: n.reduce("MEAN"),
    lambda n: n.reduce("REDUCE_MAX"),
    lambda n: n.unary("RELU"),
    lambda n: n.unary("RELU6"),
    lambda n: n.unary("LEAKY_RELU", options("LeakyRelu", alpha=0.1)),
    lambda n: n.unary("LOGISTIC", grid=n.unit()),
    lambda n: n.unary("TANH", grid=n.unit(signed=True)),
    lambda n: n.unary("SOFTMAX", options("Softmax", beta=1.0), n.unit()),
    lambda n: n.unary("QUANTIZE", options("Quantize")),
    _unless_int16(lambda n: n.unary("HARD_SWISH", options("HardSwish"))),
    _Network.pad,
    _Network.resize,
    _Network.transpose,
    _Network.strided_slice,
    _Network.split,
)


def network(rng: np.random.Generator) -> Case:
    """One to nine steps, fewer where a value grows large."""
    made = _Network(Draw(rng))
    made.convolution()
    for _ in range(made.draw.integer(0, 8)):
        if np.prod(made.current.shape) > _LARGEST:
            break
        made.step()
    return made.finish()
