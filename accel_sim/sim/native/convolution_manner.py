"""Which convolutions native steps compute, and how their sums are accumulated."""

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.hardware import OverflowPolicy
from accel_sim.program import Convolve, TransposeConvolve
from accel_sim.sim.convolution import convolution_engine, start_bias
from accel_sim.sim.multiply_accumulate import Accumulator, Kernel, Span, code_span, sum_span
from accel_sim.sim.native.convolution_job import BITS, SIGN, ConvolutionJob, narrow_weights
from accel_sim.sim.native.epilogue import choose_epilogue, choose_wide_epilogue
from accel_sim.sim.native.step import CODES, OPERANDS, Source
from accel_sim.sim.preparation import Context
from accel_sim.sim.structured import Engine, StructureEngine


class Manner(Enum):
    """How a step accumulates."""

    EXACT = "sums modulo 2^32"
    WIDE = "sums of 64 bits"
    WATCHED = "addition by addition, of sums that fit 32 bits"
    WATCHED_WIDE = "addition by addition, of sums that fit 48 bits"
    COUNTED = "counting overflow"


def choose_job(command: Convolve | TransposeConvolve, context: Context) -> tuple[ConvolutionJob, Manner, Engine] | None:
    """What a step of a convolution is made from; None where there is none."""
    if command.float_accumulation is not None:
        return None
    if command.input.dtype not in OPERANDS or command.output_to.dtype not in BITS or not command.output_to.size:
        return None
    weights = narrow_weights(command, context)
    if not weights.size or not _multipliable(command, weights):
        return None
    bias = start_bias(command, context, len(weights))
    flat = weights.reshape(len(weights), -1)
    engine = convolution_engine(command, context, flat, bias)
    is_wide = engine.accumulator.dtype != np.int32
    sums = sum_span(flat, bias, code_span(command.input.dtype, command.input_zero_point)) if is_wide else (0, 0)
    manner, bits = _manner(command, context, engine, sums), BITS[command.output_to.dtype]
    wide = manner in (Manner.WIDE, Manner.WATCHED_WIDE)
    if wide:
        epilogue = choose_wide_epilogue(command.output, max(map(abs, sums)))
    else:
        epilogue = choose_epilogue(command.output, len(weights))
    if manner is None or epilogue is None or (epilogue.kind == "raw") != (bits == 32):
        return None
    source = Source.of(command.input, context)
    return ConvolutionJob(command, context, weights, bias, epilogue, bits, source, wide), manner, engine


def _manner(command: Convolve | TransposeConvolve, context: Context, engine: Engine, sums: Span) -> Manner | None:
    """How the arithmetic of an engine is a step's; None where it is not."""
    centred = command.input_zero_point == 0 or command.input.dtype in CODES
    if isinstance(engine, StructureEngine):
        return Manner.COUNTED if context.counted is not None and command.input.dtype in CODES else None
    narrow = engine.accumulator.dtype == np.int32
    fits = Accumulator(32, OverflowPolicy.WRAP).holds(sums)
    if engine.kernel is Kernel.EXACT:
        if narrow or fits:
            return Manner.EXACT
        return Manner.WIDE if centred and command.input.dtype not in CODES else None
    if engine.kernel is Kernel.LANES64 and not narrow and not fits and centred and engine.accumulator.holds(sums):
        return Manner.WATCHED_WIDE if command.input.dtype not in CODES else None
    watched = engine.kernel is Kernel.EXTREMES or (engine.kernel is Kernel.LANES64 and not narrow and fits)
    return Manner.WATCHED if watched and centred else None


def _multipliable(command: Convolve | TransposeConvolve, weights: NDArray[Any]) -> bool:
    """Whether operands fit 16 bits; those that have 16 themselves are multiplied with weights of 8."""
    largest = max(-int(weights.min()), int(weights.max()))
    if command.input.dtype not in CODES:
        return largest <= SIGN
    return max(map(abs, code_span(command.input.dtype, command.input_zero_point))) < 1 << 15 and largest < 1 << 15
