"""What the native steps of a convolution are made from."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.tables import Field, epilogue_table
from accel_kernels.native.tier import tier
from accel_sim.program import Convolve, TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array, Bytes
from accel_sim.sim.multiply_accumulate import code_span
from accel_sim.sim.native.epilogue import EpilogueChoice
from accel_sim.sim.native.packed import LONGEST, line_epilogue, pack_epilogue
from accel_sim.sim.native.step import OPERANDS, Source, pinned, target
from accel_sim.sim.preparation import Context

Int64s = NDArray[np.int64]

SIGN = 128
"""What is added to signed codes to make them unsigned."""
BITS = {"int8": 8, "uint8": 8, "int16": 16, "int32": 32}
"""Of the results that steps store."""


@dataclass(frozen=True)
class ConvolutionJob:
    """A convolution that a step can compute: its constants, and the output's epilogue; whether sums need 64 bits."""

    command: Convolve | TransposeConvolve
    context: Context
    weights: NDArray[Any]
    bias: Int64s
    epilogue: EpilogueChoice
    bits: int
    source: Source
    wide: bool = False

    @property
    def codes(self) -> str:
        """The operand's element type, as variants name it."""
        return OPERANDS[self.command.input.dtype]

    @property
    def size(self) -> int:
        """Bytes of an operand's code."""
        return int(np.dtype(self.command.input.dtype).itemsize)

    @property
    def quads(self) -> bool:
        """Whether codes of 8 bits are multiplied four at a time, with weights that have 8 bits too."""
        return tier().quads and self.size == 1 and self.weights.min() >= -SIGN and self.weights.max() < SIGN

    @property
    def raw(self) -> bool:
        """Whether operands are codes as they are, so that the zero point's share is in the bias."""
        return self.size == 2 or self.quads

    @property
    def operands(self) -> str:
        """As variants of `accel_kernels.native.convolve` name them."""
        return self.codes + ("w" if self.wide else "") if self.raw else f"w8{self.codes[0]}"

    def steps(self, reduction: int) -> int:
        """Groups of 4 bytes that a row of operands has."""
        each = tier().codes if self.quads else 2
        return -(-reduction // each) * (each // 4 if self.quads else 1)

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weights.shape[0])

    def table(self, bias: Int64s, columns: int) -> Array:
        """The epilogue's parameters; `bias` as it is added, modulo 2^32 unless accumulators are wide."""
        wrapped = (bias + self.epilogue.start).astype(np.uint64).astype(np.uint32).view(np.int32)
        return epilogue_table(self.epilogue.kind, bias if self.wide else wrapped, self.epilogue.values, columns)

    def packed(self) -> "ConvolutionJob":
        """The same job, with an epilogue that packs its codes where there is one for operands of 8 bits."""
        command = self.command
        if command.output is None or self.size > 1 or prod(self.weights.shape[1:]) > LONGEST:
            return self.packed_plainly()
        rows = prod(command.output_to.shape[:-1])
        found = line_epilogue(command.output, command.output_to.dtype, *self._span(), rows)
        return self.packed_plainly() if found is None else replace(self, epilogue=found)

    def packed_plainly(self, reach: int = 0) -> "ConvolutionJob":
        """The same, with one that computes the recipe itself: of a kind that all layers of a network usually share.

        Args:
            reach: up to which magnitude accumulators may hold anything, besides what they begin with and products add.
        """
        command = self.command
        if command.output is None or self.size > 1:
            return self
        most_code = max(map(abs, code_span(command.input.dtype, command.input_zero_point)))
        most_weight = max(-int(self.weights.min()), int(self.weights.max()))
        bound = prod(self.weights.shape[1:]) * most_code * most_weight + int(np.abs(self.bias).max())
        found = pack_epilogue(command.output, command.output_to.dtype, max(bound, reach))
        return self if found is None else replace(self, epilogue=found)

    def _span(self) -> tuple[Int64s, Int64s]:
        """The least and the largest accumulator of each output channel."""
        flat = self.weights.reshape(self.channels, -1)
        least, most = code_span(self.command.input.dtype, self.command.input_zero_point)
        positive = np.maximum(flat, 0).sum(axis=1, dtype=np.int64)
        negative = flat.sum(axis=1, dtype=np.int64) - positive
        return (
            self.bias + least * positive + most * negative,
            self.bias + most * positive + least * negative,
        )

    @property
    def groups(self) -> list[NDArray[Any]]:
        """The weights of each group: [outputs, K]."""
        return np.split(self.weights.reshape(self.channels, -1), self.command.groups)

    def outside(self, codes: int) -> Bytes:
        """So many codes of the zero point: what lies outside of the image."""
        return pinned(np.full(codes, self.command.input_zero_point, self.command.input.dtype))

    def folded_bias(self, *, flipped: bool) -> Int64s:
        """The bias less what the zero point adds to each sum; int8 codes may be flipped to be unsigned."""
        offset = self.command.input_zero_point + (SIGN if flipped and self.codes == "s8" else 0)
        sums: Int64s = self.weights.reshape(self.channels, -1).sum(axis=1, dtype=np.int64)
        return self.bias - offset * sums

    def geometry(self) -> dict[Field, int]:
        """What all convolutions have."""
        x, y, window = self.command.input, self.command.output_to, self.command.window
        return {
            **self.source.fields(),
            **target(y),
            Field.IMAGES: y.shape[0],
            Field.HEIGHT: x.shape[1],
            Field.WIDTH: x.shape[2],
            Field.DEPTH: x.shape[3] * self.size,
            Field.OUT_HEIGHT: y.shape[1],
            Field.OUT_WIDTH: y.shape[2],
            Field.OUT_DEPTH: y.shape[3],
            Field.KERNEL_HEIGHT: window.kernel[0],
            Field.KERNEL_WIDTH: window.kernel[1],
            Field.STRIDE_HEIGHT: window.strides[0],
            Field.STRIDE_WIDTH: window.strides[1],
            Field.DILATION_HEIGHT: window.dilations[0],
            Field.DILATION_WIDTH: window.dilations[1],
            Field.PAD_TOP: window.pad_top,
            Field.PAD_LEFT: window.pad_left,
            Field.ZERO_POINT: self.command.input_zero_point,
        }


def narrow_weights(command: Convolve | TransposeConvolve, context: Context) -> NDArray[Any]:
    """[Co, kh, kw, Ci / groups] less their zero points, in a type that is not wider than it must be.

    Without zero points these are the constants themselves.
    """
    codes: NDArray[Any] = context.constant(command.weights, "weights")
    zero_points = np.array(command.weight_zero_point, np.int64)
    if not zero_points.any():
        return codes
    reach = max(abs(int(np.iinfo(codes.dtype).min)), int(np.iinfo(codes.dtype).max)) + int(np.abs(zero_points).max())
    dtype = next(d for d in (np.int16, np.int32, np.int64) if reach <= np.iinfo(d).max)
    relative: NDArray[Any] = codes.astype(dtype)
    relative -= zero_points.astype(dtype).reshape(-1, 1, 1, 1)
    return relative
