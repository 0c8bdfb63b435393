"""Random one-operator TFLite models and the LiteRT oracle: what the conformance tests draw from.

    from oracles import tflite_models

    rng = np.random.default_rng(7)
    case = tflite_models.case("CONV_2D", rng)
    expected = tflite_models.run_reference(case.model, case.inputs)

`case` returns a `Case`: `model` (the file's bytes), `inputs` (tensor name -> array, in the file's order),
`operator` and `note` (which variant was drawn, for messages). `OPERATORS` lists every name that `case` knows.
`cases(operator, count, seed)` yields many. A quarter of them are ties and extremes (`oracles.tflite_draw`).

`run_reference` returns the outputs in the file's order, as the reference kernels (BUILTIN_REF) compute them, and
fails if a delegate ran; `run_reference_tensors` returns every tensor by name as well. A DEQUANTIZE case yields
floats and a float QUANTIZE case takes them; all others are integers at both ends.

Models of several operators, and malformed ones, are made with `ModelBuilder` and `options` (`oracles.tflite_builder`).
LiteRT's SUM is left out: its int8 reference reads the codes as uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from oracles import (
    tflite_activation,
    tflite_conv,
    tflite_dense,
    tflite_elementwise,
    tflite_layout,
    tflite_reduce,
    tflite_requantize,
)
from oracles.tflite_builder import ModelBuilder, options
from oracles.tflite_draw import Case, Draw
from oracles.tflite_reference import run_reference, run_reference_tensors

__all__ = [
    "OPERATORS",
    "Case",
    "ModelBuilder",
    "case",
    "cases",
    "options",
    "run_reference",
    "run_reference_tensors",
]

_GENERATORS: dict[str, Callable[[Draw], Case]] = {
    "ADD": tflite_elementwise.add,
    "ARG_MAX": tflite_reduce.arg_max,
    "AVERAGE_POOL_2D": tflite_reduce.average_pool_2d,
    "BATCH_MATMUL": tflite_dense.batch_matmul,
    "CONCATENATION": tflite_requantize.concatenation,
    "CONV_2D": tflite_conv.conv_2d,
    "DEPTHWISE_CONV_2D": tflite_conv.depthwise_conv_2d,
    "DEPTH_TO_SPACE": tflite_layout.depth_to_space,
    "DEQUANTIZE": tflite_requantize.dequantize,
    "EXPAND_DIMS": tflite_layout.expand_dims,
    "FULLY_CONNECTED": tflite_dense.fully_connected,
    "HARD_SWISH": tflite_activation.hard_swish,
    "LEAKY_RELU": tflite_activation.leaky_relu,
    "LOGISTIC": tflite_activation.logistic,
    "MAXIMUM": tflite_elementwise.maximum,
    "MAX_POOL_2D": tflite_reduce.max_pool_2d,
    "MEAN": tflite_reduce.mean,
    "MINIMUM": tflite_elementwise.minimum,
    "MIRROR_PAD": tflite_layout.mirror_pad,
    "MUL": tflite_elementwise.mul,
    "PACK": tflite_layout.pack,
    "PAD": tflite_layout.pad,
    "PADV2": tflite_layout.padv2,
    "PRELU": tflite_activation.prelu,
    "QUANTIZE": tflite_requantize.quantize,
    "REDUCE_MAX": tflite_reduce.reduce_max,
    "RELU": tflite_activation.relu,
    "RELU6": tflite_activation.relu6,
    "RELU_N1_TO_1": tflite_activation.relu_n1_to_1,
    "RESHAPE": tflite_layout.reshape,
    "RESIZE_BILINEAR": tflite_requantize.resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": tflite_requantize.resize_nearest_neighbor,
    "SLICE": tflite_layout.slice_,
    "SOFTMAX": tflite_activation.softmax,
    "SPACE_TO_DEPTH": tflite_layout.space_to_depth,
    "SPLIT": tflite_layout.split,
    "SPLIT_V": tflite_layout.split_v,
    "SQUEEZE": tflite_layout.squeeze,
    "STRIDED_SLICE": tflite_layout.strided_slice,
    "SUB": tflite_elementwise.sub,
    "TANH": tflite_activation.tanh,
    "TRANSPOSE": tflite_layout.transpose,
    "TRANSPOSE_CONV": tflite_conv.transpose_conv,
    "UNPACK": tflite_layout.unpack,
}
OPERATORS = tuple(_GENERATORS)


def case(operator: str, rng: np.random.Generator) -> Case:
    """One random model of `operator` (a builtin name of the schema) with its inputs."""
    return _GENERATORS[operator](Draw(rng))


def cases(operator: str, count: int, seed: int) -> Iterator[Case]:
    """`count` random models of `operator`, the same for the same seed."""
    rng = np.random.default_rng([seed, OPERATORS.index(operator)])
    return (case(operator, rng) for _ in range(count))
