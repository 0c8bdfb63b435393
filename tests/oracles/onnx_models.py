"""Random one-operator ONNX models, and ONNX Runtime as the oracle of their bytes.

    case = onnx_models.case("QLinearConv", np.random.default_rng([seed, index]))
    codes = onnx_models.expected(case)          # output name -> integer codes, in the file's own layout
    ...run the product on case.model with case.inputs, and compare

`OPERATORS` lists every pattern: the integer operators of ONNX (QLinearConv, QGemm, ...) and, under the float
operator's name, its QDQ pattern as ONNX Runtime runs it with all optimizations. `case.inputs` are arrays by input name:
integer codes, or floats where the model quantizes its inputs itself; the product gets the same arrays. `expected` gives
codes also where the model dequantizes its outputs. A case costs about a millisecond.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from oracles import onnx_qdq_functions, onnx_qdq_moves, onnx_qdq_sums, onnx_qoperator
from oracles.onnx_builder import Grid, ModelBuilder
from oracles.onnx_draw import Draw

Array = NDArray[Any]
QOPERATOR = tuple(onnx_qoperator.GENERATORS)
QDQ_GENERATORS = onnx_qdq_sums.GENERATORS | onnx_qdq_moves.GENERATORS | onnx_qdq_functions.GENERATORS
QDQ = tuple(QDQ_GENERATORS)
OPERATORS = QOPERATOR + QDQ
_GENERATORS = onnx_qoperator.GENERATORS | QDQ_GENERATORS

# Operators that hand on the element type of their first input.
_SHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}
_MOVES = _SHAPES | {"MaxPool", "Transpose", "Slice", "Split", "Concat", "Pad"}


@dataclass(frozen=True)
class Case:
    """One model with its inputs.

    Attributes:
        model: the file's bytes.
        inputs: by input name, in the file's layout.
        operator: the pattern that made it.
        note: "ties" for power-of-two scales and extreme codes, else "uniform".
        output_grids: outputs that the model dequantizes, with the grid of their codes.
    """

    model: bytes
    inputs: Mapping[str, Array]
    operator: str
    note: str
    output_grids: Mapping[str, Grid] = field(default_factory=dict)


def case(operator: str, rng: np.random.Generator) -> Case:
    """A random model of `operator` (one of OPERATORS) with inputs; equal generators give equal cases."""
    return made_by(operator, _GENERATORS[operator], Draw(rng))


def made_by(operator: str, generate: Callable[[Draw], ModelBuilder], draw: Draw) -> Case:
    """The case that a generator makes."""
    model = generate(draw)
    note = "ties" if draw.ties else "uniform"
    return Case(model.serialize(), dict(model.inputs), operator, note, dict(model.output_grids))


def expected(case: Case) -> dict[str, Array]:
    """What ONNX Runtime computes: integer codes by output name."""
    outputs = run_ort(case.model, case.inputs)
    return {n: case.output_grids[n].codes_of(v) if n in case.output_grids else v for n, v in outputs.items()}


def run_ort(model: bytes, inputs: Mapping[str, Array], *, all_tensors: bool = False) -> dict[str, Array]:
    """Run a model with all optimizations on one thread.

    With `all_tensors`, every computed integer tensor is returned too. That is exact for QOperator graphs and for QDQ
    graphs of uint8 activations; in int8 QDQ graphs it would stop ONNX Runtime from fusing.
    """
    if all_tensors:
        model = _with_integer_outputs(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _with_integer_outputs(model: bytes) -> bytes:
    proto = onnx.load_from_string(model)
    integers = {i.name for i in proto.graph.input if i.type.tensor_type.elem_type not in (1, 10, 11)}
    present = {o.name for o in proto.graph.output}
    for node in proto.graph.node:
        made = node.op_type.startswith(("QLinear", "QGemm", "QuantizeLinear")) or node.op_type.endswith("Integer")
        if not made and not (node.op_type in _MOVES and integers & set(node.input[:1])):
            continue
        integers.update(node.output)
        proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in node.output if n not in present)
    data: bytes = proto.SerializeToString()
    return data
