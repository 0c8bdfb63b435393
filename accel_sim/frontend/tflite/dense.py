"""FULLY_CONNECTED and BATCH_MATMUL."""

from math import prod

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite import weighted
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape
from accel_sim.ir import FullyConnected, MatMul, Node

_DEFAULT_WEIGHTS_FORMAT = 0
_X, _W, _B = 0, 1, 2


def default_weights_format(call: Call) -> str | None:
    """Weights are in the default format [outputs, inputs]."""
    number = call.options.integer("WeightsFormat")
    return None if number == _DEFAULT_WEIGHTS_FORMAT else f"format {number}"


def rows_of_weights(call: Call) -> str | None:
    """The operand is rows of as many values as the weights have columns (its last axis with KeepNumDims)."""
    x, columns = call.x, call.operand(_W).shape[1]
    kept = call.options.flag("KeepNumDims")
    if x.size % columns == 0 and (not kept or (x.shape and x.shape[-1] == columns)):
        return None
    return f"operand {list(x.shape)}, weights {list(call.operand(_W).shape)}"


def _fully_connected_shape(call: Call) -> list[Shape]:
    outputs, inputs = call.operand(_W).shape
    if call.options.flag("KeepNumDims"):
        return [(*call.x.shape[:-1], outputs)]
    return [(prod(call.x.shape) // inputs, outputs)]


def _lower_fully_connected(call: Call) -> Lowered:
    weights, lowered = call.operand(_W), Lowered()
    bias = weighted.add_bias(call, lowered, weights, call.x, _B)
    op = FullyConnected(must.fused(call), by_rows=True)
    lowered.nodes.append(Node(call.name, op, (call.x.name, weights.name, bias), (call.y.name,)))
    return lowered


FULLY_CONNECTED = Rule(
    "FULLY_CONNECTED",
    (FullyConnected,),
    (
        must.operands(2, 3),
        weighted.weight_types(_X, _W),
        must.constant(_W, "weights"),
        must.constant(_B, "bias"),
        must.rank(_W, 2, 2),
        default_weights_format,
    ),
    (
        must.grids(),
        weighted.weight_grid(_W, 0, asymmetric_int8=True),
        weighted.bias_type(_X, _B),
        weighted.bias_size(_W, _B),
        must.known_activation,
        rows_of_weights,
    ),
    _fully_connected_shape,
    _lower_fully_connected,
)


def _matrices(call: Call) -> tuple[Shape, Shape]:
    """Both operands' shapes, as if nothing were transposed."""
    a, b = call.operand(0).shape, call.operand(1).shape
    left = (*a[:-2], a[-1], a[-2]) if call.options.flag("AdjX") else a
    return left, (*b[:-2], b[-1], b[-2]) if call.options.flag("AdjY") else b


def matrices_agree(call: Call) -> str | None:
    """The inner lengths are equal and the leading axes broadcast."""
    left, right = _matrices(call)
    if left[-1] == right[-2] and must.broadcast(left[:-2], right[:-2]) is not None:
        return None
    return f"{list(left)} x {list(right)}"


def _matmul_shape(call: Call) -> list[Shape]:
    left, right = _matrices(call)
    batch = must.broadcast(left[:-2], right[:-2])
    assert batch is not None
    return [(*batch, left[-2], right[-1])]


def _lower_matmul(call: Call) -> Lowered:
    op = MatMul(call.options.flag("AdjX"), call.options.flag("AdjY"))
    return Lowered([Node(call.name, op, (call.operand(0).name, call.operand(1).name), (call.y.name,))])


BATCH_MATMUL = Rule(
    "BATCH_MATMUL",
    (MatMul,),
    (
        must.operands(2, 2),
        must.activation_types("float32", "int8", "int16", at=(0, 1)),
        must.rank(0, 2, 5),
        must.rank(1, 2, 5),
    ),
    (must.grids((0, 1)), matrices_agree),
    _matmul_shape,
    _lower_matmul,
)

RULES = (FULLY_CONNECTED, BATCH_MATMUL)
