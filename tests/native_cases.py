"""Convolutions, products and recipes for tests of native steps, and what they must give, on unbounded integers."""

import ctypes
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product

import numpy as np
from one_command import HARDWARE, Layout, codes, tied

from accel_kernels.native import objects
from accel_sim.numerics.requantization import (
    DoubleRequantization,
    FixedPointRequantization,
    FloatRequantization,
    RationalRequantization,
    Requantization,
    Rounding,
    ShiftRequantization,
)
from accel_sim.program import Command, Convolve, MatrixMultiply, Operand, Program, Tiling, TransposeConvolve, Window
from accel_sim.sim.memory import aligned, constant_image
from accel_sim.sim.native.rational import float64_rescaling
from accel_sim.sim.native.step import NativeStep, lower
from accel_sim.sim.preparation import Context
from accel_sim.sim.result import Level

_CANARY = 0xA5
Draw = Callable[[np.random.Generator, int, str, bool], Requantization]


def _grid(
    rng: np.random.Generator, channels: int, dtype: str, tie: bool
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Zero point, low, high."""
    info = np.iinfo(dtype)
    zero = int(rng.choice([info.min, 0, info.max])) if tie else int(rng.integers(info.min, info.max + 1))
    if dtype == "int16":
        zero = 0
    if rng.random() < 0.3:
        return zero, (info.min,), tuple(int(v) for v in rng.integers(info.min, info.max + 1, channels))
    return zero, (int(rng.integers(info.min, info.min // 2 + info.max // 2)),), (info.max,)


def _some(rng: np.random.Generator, values: np.ndarray) -> tuple[int, ...]:
    """One value, or all of them."""
    return tuple(values.tolist()[: 1 if rng.random() < 0.3 else None])


def _fixed(rounding: Rounding, *, saturating: bool = False) -> Draw:
    def draw(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> Requantization:
        multiplier = rng.integers(1 << 30, 1 << 31, channels)
        if tie:
            multiplier = rng.choice([0, 1 << 30, (1 << 31) - 1, (1 << 30) + 1, 1 << 16], channels)
        far = (-31, 15) if rounding is Rounding.SINGLE_16BIT else (-31, 31)
        low, high = far if rng.random() < 0.2 else (-12, 0) if rng.random() < 0.8 else (-16, 3)
        shift = rng.integers(low, high, channels)
        grid = _grid(rng, channels, dtype, tie)
        return FixedPointRequantization(*grid, _some(rng, multiplier), _some(rng, shift), rounding, saturating)

    return draw


def _shift(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> Requantization:
    places = int(rng.integers(0, 40))
    addend = rng.integers(-(1 << 40), 1 << 40, channels)
    if tie:
        addend = np.full(channels, 1 << max(places - 1, 0))
    multiplier = rng.integers(-(1 << 20), 1 << 20, channels)
    return ShiftRequantization(*_grid(rng, channels, dtype, tie), _some(rng, multiplier), _some(rng, addend), places)


def _scales(rng: np.random.Generator, channels: int, tie: bool) -> tuple[float, ...]:
    exponents = rng.uniform(-14, 2, channels) if rng.random() < 0.8 else rng.uniform(-26, 20, channels)
    return _some(rng, (2.0 ** (np.round(exponents) if tie else exponents)).astype(np.float32))


def _float32(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> Requantization:
    return FloatRequantization(*_grid(rng, channels, dtype, tie), _scales(rng, channels, tie))


def _float64(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> Requantization:
    return DoubleRequantization(*_grid(rng, channels, dtype, tie), _scales(rng, channels, tie))


def _rational(rng: np.random.Generator, channels: int, dtype: str, tie: bool) -> Requantization:
    """As the product of float32 scales gives it; ties: dyadic, or small fractions that float64 rounds rightly."""
    grid = _grid(rng, channels, "int8" if dtype == "int16" else dtype, tie)
    while True:
        real = [Fraction(s) * Fraction(s) for s in _scales(rng, channels, tie)]
        if tie and rng.random() < 0.5:
            real = [Fraction(int(rng.integers(1, 8)), int(rng.integers(1, 500)))]
        numerators, denominators = (tuple(getattr(r, name) for r in real) for name in ("numerator", "denominator"))
        recipe = RationalRequantization(*grid, numerators, denominators)
        if float64_rescaling(recipe) is not None:
            return recipe


RECIPES: Mapping[str, Draw] = {
    "double rounding": _fixed(Rounding.DOUBLE),
    "single rounding": _fixed(Rounding.SINGLE),
    "single rounding, saturating": _fixed(Rounding.SINGLE, saturating=True),
    "single rounding, 16-bit multiplier": _fixed(Rounding.SINGLE_16BIT),
    "shift": _shift,
    "float32": _float32,
    "float64": _float64,
    "rational": _rational,
}
"""Draws of recipes: (rng, channels, type of the codes, whether of ties and extremes)."""


class Case:
    """A command on random codes, and the accumulators that it must reach, unbounded."""

    def __init__(self, layout: Layout, command: Command, accumulators: np.ndarray) -> None:
        self.layout, self.command, self.accumulators = layout, command, accumulators
        self.program: Program = layout.program(command, outputs=[command.output_to])  # type: ignore[attr-defined]
        self.context = Context(constant_image(self.program.constants), HARDWARE, Level.FUNCTIONAL)

    def step(self) -> NativeStep:
        """The native step of the command."""
        step = lower(self.command, self.context)
        assert step is not None, f"no native step for {self.command}"
        return step

    def expected(self, recipe: Requantization | None) -> np.ndarray:
        """Accumulators wrapped to 32 bits unless they are wide, requantized on unbounded integers."""
        if recipe is not None and getattr(self.command, "wide_accumulator", False):
            return recipe.apply(self.accumulators)
        wrapped = self.accumulators.astype(np.uint64).astype(np.uint32).view(np.int32).astype(np.int64)
        return wrapped if recipe is None else recipe.apply(wrapped)

    def run(self, parts: int = 1) -> np.ndarray:
        """The codes that the step writes, share by share; nothing but its output may change."""
        step, output = self.step(), self.command.output_to  # type: ignore[attr-defined]
        size = self.program.activation_bytes + 256
        arena = aligned(size)
        arena[:] = _CANARY
        for port in self.program.inputs:
            first = port.operand.address
            arena[first : first + port.operand.size_bytes] = self.layout.inputs[port.name].reshape(-1).view(np.uint8)
        before = arena.copy()
        scratch, row = aligned(step.scratch), step.row
        scratch[:] = _CANARY
        run = objects.function(step.name, 6)
        for part in range(parts):
            run(row.ctypes.data, arena.ctypes.data, 0, scratch.ctypes.data, part, parts)
        first, end = output.address, output.address + output.size_bytes
        written = arena[first:end].copy()
        arena[first:end] = before[first:end]
        np.testing.assert_array_equal(arena, before, err_msg="written outside of the output")
        return written.view(output.dtype).reshape(output.shape)


def convolution(
    rng: np.random.Generator, draw: Draw | None, *, depthwise: bool, x_type: str | None = None, wide: bool = False
) -> tuple[Case, Requantization | None]:
    """A convolution of 8-bit codes (or of `x_type`) with a recipe, or with int32 accumulators as its output.

    `wide`: with accumulators of 64 bits, and reductions long enough to need them.
    """
    extreme = tied(rng)
    x_type = x_type or str(rng.choice(["int8", "uint8"]))
    w_type = "int8" if x_type == "int16" else str(rng.choice(["int8", "int8", "uint8"]))
    groups, inputs, outputs = _groups(rng, depthwise=depthwise)
    shape, window, hw = _geometry(rng, groups * inputs)
    if wide and not depthwise:
        groups, inputs = 1, int(rng.choice([60, 300, 511, 700]))
        shape = (*shape[:3], inputs)
    x = codes(rng, shape, x_type, extreme=extreme)
    w = codes(rng, (outputs, *window.kernel, inputs), w_type, extreme=extreme)
    bias = rng.integers(-(1 << 31), 1 << 31, outputs) if extreme else rng.integers(-2000, 2000, outputs)
    bias = bias.astype(np.int32)
    x_zero = 0 if x_type == "int16" else int(codes(rng, (), x_type))
    if wide:
        bias = bias.astype(np.int64) << int(rng.choice([0, 4, 12]))
    w_zero = tuple(codes(rng, (outputs if rng.random() < 0.5 else 1,), w_type).tolist())
    if x_type == "int16" or (w_type == "int8" and rng.random() < 0.7):
        w_zero = (0,)
    y_type = "int32" if draw is None else str(rng.choice([x_type, x_type, x_type, "int8", "int16"]))
    recipe = None if draw is None else draw(rng, outputs, y_type, tied(rng))
    layout = Layout()
    y = layout.result("y", (shape[0], *hw, outputs), y_type)
    image = layout.input("x", x) if rng.random() < 0.9 else layout.constant("x", x)
    command = Convolve(
        "layer", "op", image, layout.constant("w", w), layout.constant("b", bias), y, window, groups, x_zero, w_zero,
        wide, recipe, Tiling(1, 1, 1),
    )  # fmt: skip
    relative_w = w.astype(np.int64) - np.array(w_zero).reshape(-1, 1, 1, 1)
    return Case(layout, command, _convolve(x.astype(np.int64) - x_zero, relative_w, bias, window, groups, hw)), recipe


def transposed(
    rng: np.random.Generator, draw: Draw | None, *, x_type: str | None = None, wide: bool = False
) -> tuple[Case, Requantization | None]:
    """A transposed convolution, whose windows may leave the image on all sides and miss outputs.

    `wide`: with accumulators of 64 bits, and biases that need them.
    """
    extreme = tied(rng)
    x_type = x_type or str(rng.choice(["int8", "uint8"]))
    w_type = "int8" if x_type == "int16" else str(rng.choice(["int8", "int8", "uint8"]))
    groups, inputs, outputs = _groups(rng, depthwise=bool(rng.random() < 0.1))
    shape = (int(rng.integers(1, 3)), *(int(v) for v in rng.choice([1, 2, 3, 5, 8], 2)), groups * inputs)
    kernel, strides = (tuple(int(v) for v in rng.integers(1, top, 2)) for top in (5, 4))
    dilations = (1, 1) if rng.random() < 0.7 else (2, int(rng.integers(1, 4)))
    pads = tuple(int(rng.integers(0, k)) for k in kernel)
    window = Window(kernel, strides, dilations, *pads)
    full = [(shape[1 + i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i] for i in range(2)]
    hw = max(1, full[0] - int(rng.integers(0, 2))), max(1, full[1] + int(rng.integers(-1, 3)))
    x = codes(rng, shape, x_type, extreme=extreme)
    w = codes(rng, (outputs, *kernel, inputs), w_type, extreme=extreme)
    bias = rng.integers(-(1 << 31), 1 << 31, outputs).astype(np.int32) >> (0 if extreme else 16)
    if wide:
        bias = bias.astype(np.int64) << 8
    x_zero = 0 if x_type == "int16" else int(codes(rng, (), x_type))
    w_zero = (0,) if w_type == "int8" else tuple(codes(rng, (outputs,), w_type).tolist())
    y_type = "int32" if draw is None else x_type
    recipe = None if draw is None else draw(rng, outputs, y_type, tied(rng))
    layout = Layout()
    y = layout.result("y", (shape[0], *hw, outputs), y_type)
    command = TransposeConvolve(
        "layer", "op", layout.input("x", x), layout.constant("w", w), layout.constant("b", bias), y, window, groups,
        x_zero, w_zero, wide, recipe, Tiling(1, 1, 1),
    )  # fmt: skip
    sums = _scatter(x.astype(np.int64) - x_zero, w.astype(np.int64) - np.array(w_zero).reshape(-1, 1, 1, 1), groups, y)
    return Case(layout, command, sums(window) + bias.astype(np.int64)), recipe


def _scatter(x: np.ndarray, w: np.ndarray, groups: int, y: Operand) -> Callable[[Window], np.ndarray]:
    """What input pixels scatter to the outputs, as the loop nest of `TransposeConvolve` has it."""

    def sums(window: Window) -> np.ndarray:
        total = np.zeros(y.shape, np.int64)
        (n, height, width, _), (outputs, kh, kw, inputs) = x.shape, w.shape
        for iy, ix, ky, kx in product(range(height), range(width), range(kh), range(kw)):
            oy = iy * window.strides[0] + ky * window.dilations[0] - window.pad_top
            ox = ix * window.strides[1] + kx * window.dilations[1] - window.pad_left
            if 0 <= oy < y.shape[1] and 0 <= ox < y.shape[2]:
                pixel, tap = (
                    x[:, iy, ix].reshape(n, groups, inputs),
                    w[:, ky, kx].reshape(groups, outputs // groups, inputs),
                )
                total[:, oy, ox] += np.einsum("ngi,goi->ngo", pixel, tap).reshape(n, outputs)
        return total

    return sums


def matrix_product(rng: np.random.Generator, draw: Draw | None) -> tuple[Case, Requantization | None]:
    """A product of two activations of int8 and uint8, transposed or not, leading axes broadcast."""
    extreme = tied(rng)
    m, k, n = (int(rng.choice(sizes)) for sizes in ([1, 3, 14, 30], [1, 2, 7, 33, 64], [1, 2, 15, 16, 17, 33, 70]))
    a_lead, b_lead = [((), ()), ((2,), (2,)), ((3, 1), (2,)), ((), (2,)), ((5,), ())][rng.integers(5)]
    transpose_a, transpose_b = bool(rng.integers(2)), bool(rng.integers(2))
    a = codes(rng, (*a_lead, *((k, m) if transpose_a else (m, k))), "int8", extreme=extreme)
    b = codes(rng, (*b_lead, *((n, k) if transpose_b else (k, n))), "uint8", extreme=extreme)
    a_zero, b_zero = int(codes(rng, (), "int8")), codes(rng, (n if rng.random() < 0.3 else 1,), "uint8")
    y_type = "int32" if draw is None else "int8"
    recipe = None if draw is None else draw(rng, n, y_type, tied(rng))
    layout = Layout()
    y = layout.result("y", (*np.broadcast_shapes(a_lead, b_lead), m, n), y_type)
    right = layout.input("b", b) if rng.random() < 0.9 else layout.constant("b", b)
    command = MatrixMultiply(
        "layer", "op", layout.input("a", a), right, y, transpose_a, transpose_b, a_zero, tuple(b_zero.tolist()), False,
        recipe, Tiling(1, 1, 1),
    )  # fmt: skip
    left = (a.swapaxes(-1, -2) if transpose_a else a).astype(np.int64) - a_zero
    return Case(layout, command, left @ ((b.swapaxes(-1, -2) if transpose_b else b) - b_zero.astype(np.int64))), recipe


def _groups(rng: np.random.Generator, *, depthwise: bool) -> tuple[int, int, int]:
    """(groups, input channels of a group, output channels)."""
    if depthwise:
        groups = int(rng.choice([2, 3, 15, 16, 17, 33, 40]))
        return groups, 1, groups * int(rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.75:
        return 1, int(rng.choice([1, 2, 3, 4, 5, 16, 33, 70])), int(rng.choice([1, 2, 15, 16, 17, 31, 32, 33, 50, 70]))
    groups = int(rng.integers(2, 4))
    return groups, int(rng.integers(2, 6)), groups * int(rng.choice([1, 3, 16, 18, 33]))


def _geometry(rng: np.random.Generator, channels: int) -> tuple[tuple[int, int, int, int], Window, tuple[int, int]]:
    """Shape of the input, window, height and width of the output."""
    kind = rng.integers(3)
    hw = tuple(int(v) for v in rng.choice([1, 2, 3, 5, 7, 8, 15, 20], 2))
    shape = (int(rng.integers(1, 3)), *hw, channels)
    if kind == 0:
        return shape, Window((1, 1), (1, 1), (1, 1), 0, 0), hw
    kernel = (3, 3) if kind == 1 else tuple(int(v) for v in rng.integers(1, 5, 2))
    strides = (int(rng.integers(1, 3)),) * 2 if kind == 1 else tuple(int(v) for v in rng.integers(1, 4, 2))
    dilations = (1, 1) if kind == 1 else tuple(int(v) for v in rng.integers(1, 3, 2))
    pads = [int(rng.integers(0, (k - 1) * d + 1)) for k, d in zip(kernel, dilations, strict=True)]
    after = rng.integers(0, 3, 2)
    out = [
        max(1, (hw[i] + pads[i] + int(after[i]) - ((kernel[i] - 1) * dilations[i] + 1)) // strides[i] + 1)
        for i in range(2)
    ]
    return shape, Window(kernel, strides, dilations, *pads), (out[0], out[1])


def _convolve(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, window: Window, groups: int, hw: tuple[int, int]
) -> np.ndarray:
    """int64 accumulators of relative codes: one product of matrices for each tap. None comes near 2^63."""
    (n, height, width, _), (outputs, kh, kw, inputs) = x.shape, w.shape
    sums = np.tile(bias.astype(np.int64), (n, *hw, 1))
    for ky, kx in product(range(kh), range(kw)):
        y = np.arange(hw[0]) * window.strides[0] + ky * window.dilations[0] - window.pad_top
        z = np.arange(hw[1]) * window.strides[1] + kx * window.dilations[1] - window.pad_left
        rows, columns = ((y >= 0) & (y < height)).nonzero()[0], ((z >= 0) & (z < width)).nonzero()[0]
        seen = x[:, y[rows]][:, :, z[columns]].reshape(n, len(rows), len(columns), groups, inputs)
        tap = w[:, ky, kx].reshape(groups, outputs // groups, inputs)
        added = np.einsum("nyxgi,goi->nyxgo", seen, tap).reshape(n, len(rows), len(columns), outputs)
        sums[:, rows[:, None], columns[None, :]] += added
    return sums


def host_function(address: int, count: int) -> Callable[..., int]:
    """Code of the object cache that takes `count` integers, behind two places for what it does not return."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (count + 2))
    entry, unused = kind(address), ctypes.create_string_buffer(64)
    return lambda *values: entry(ctypes.addressof(unused), ctypes.addressof(unused) + 32, *values)
