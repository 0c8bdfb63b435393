"""The supported operators: for each its translator, the Graph's operators that stand for it, and its constraints."""

from collections.abc import Callable, Iterator

from accel_sim import ir
from accel_sim.frontend._listing import SupportedOperator
from accel_sim.frontend.onnx import rules
from accel_sim.frontend.onnx.folding import FOLDERS
from accel_sim.frontend.onnx.operation import Operation
from accel_sim.frontend.onnx.operators import elementwise, indices, moves, pools, resize, sums
from accel_sim.frontend.onnx.qoperator import ACCUMULATING, QLINEAR
from accel_sim.records import dataclass

FORMAT = "ONNX"


@dataclass(frozen=True)
class Support:
    """How one operator is translated.

    Attributes:
        translate: appends the nodes; called only where every constraint holds.
        becomes: the Graph's operators that it may use.
        constraints: checked first, all of them.
    """

    translate: Callable[[Operation], None]
    becomes: tuple[type[ir.Operator], ...]
    constraints: tuple[rules.Constraint, ...] = ()


_WEIGHTED = (rules.weights_constant, rules.weights_quantized, rules.bias_constant, rules.bias_is_wide)
_KERNELS = (rules.activations_only, rules.is_image, *_WEIGHTED, rules.weights_are_kernels)
_BINARY = (rules.not_all_constant, rules.constants_quantized, rules.constants_have_one_scale)
_VARIADIC = (*_BINARY, rules.two_operands_if_integer)
_IMAGE = (rules.activations_only, rules.is_image, rules.one_result)
_DATA = (rules.activations_only, rules.one_result)


def _function(name: str, operator: type[ir.Operator]) -> Support:
    return Support(elementwise.function(elementwise.FUNCTIONS[name]), (operator,), _DATA)


SUPPORTED: dict[str, Support] = {
    "Conv": Support(sums.conv, (ir.Conv2D,), _KERNELS),
    "ConvTranspose": Support(sums.conv_transpose, (ir.TransposeConv2D,), _KERNELS),
    "MatMul": Support(
        sums.matmul,
        (ir.FullyConnected, ir.MatMul, ir.Transpose),
        (rules.not_all_constant, rules.constants_quantized_matrices, rules.no_clamp_behind_activations),
    ),
    "Gemm": Support(
        sums.gemm, (ir.FullyConnected, ir.Transpose), (rules.activations_only, *_WEIGHTED, rules.unscaled_if_integer)
    ),
    "MaxPool": Support(pools.max_pool, (ir.MaxPool2D, ir.Clip, ir.Requantize), (*_IMAGE, rules.row_major_indices)),
    "GlobalMaxPool": Support(pools.global_max_pool, (ir.MaxPool2D, ir.Requantize), _IMAGE),
    "AveragePool": Support(
        pools.average_pool,
        (ir.AveragePool2D, ir.GlobalAveragePool2D),
        (*_IMAGE, rules.nothing_dilated, rules.channels_first),
    ),
    "GlobalAveragePool": Support(pools.global_average_pool, (ir.GlobalAveragePool2D,), (*_IMAGE, rules.channels_first)),
    "ReduceMax": Support(pools.reduce_max, (ir.MaxPool2D, ir.Requantize, ir.Reshape), _DATA),
    "ReduceMean": Support(pools.reduce_mean, (ir.Mean,), _DATA),
    "Add": Support(elementwise.binary(ir.Add), (ir.Add,), _BINARY),
    "Sum": Support(elementwise.binary(ir.Add), (ir.Add, ir.Reshape), _VARIADIC),
    "Sub": Support(elementwise.binary(ir.Subtract), (ir.Subtract,), _BINARY),
    "Mul": Support(elementwise.binary(ir.Multiply), (ir.Multiply,), _BINARY),
    "Div": Support(
        elementwise.divide, (ir.Multiply,), (rules.activations_only, rules.float_only, rules.divisor_constant)
    ),
    "Min": Support(elementwise.binary(lambda _: ir.Minimum()), (ir.Minimum, ir.Reshape), _VARIADIC),
    "Max": Support(elementwise.binary(lambda _: ir.Maximum()), (ir.Maximum, ir.Reshape), _VARIADIC),
    "PRelu": Support(
        elementwise.prelu,
        (ir.PRelu,),
        (rules.activations_only, rules.slope_constant, rules.slope_quantized),
    ),
    "Relu": _function("Relu", ir.Clip),
    "Clip": _function("Clip", ir.Clip),
    "LeakyRelu": _function("LeakyRelu", ir.LeakyRelu),
    "HardSigmoid": _function("HardSigmoid", ir.HardSigmoid),
    "HardSwish": _function("HardSwish", ir.HardSwish),
    "Sigmoid": _function("Sigmoid", ir.Logistic),
    "Tanh": _function("Tanh", ir.Tanh),
    "Softmax": Support(elementwise.softmax, (ir.Softmax, ir.Reshape), _DATA),
    "BatchNormalization": Support(
        elementwise.batch_norm,
        (ir.BatchNorm,),
        (*_DATA, rules.float_only, rules.has_channels, rules.statistics_constant, rules.inference_only),
    ),
    "Reshape": Support(moves.reshape, (ir.Reshape, ir.Transpose, ir.Requantize), _DATA),
    "Flatten": Support(moves.flatten, (ir.Reshape, ir.Transpose, ir.Requantize), _DATA),
    "Squeeze": Support(moves.squeeze, (ir.Reshape, ir.Requantize), _DATA),
    "Unsqueeze": Support(moves.unsqueeze, (ir.Reshape, ir.Requantize), _DATA),
    "Transpose": Support(moves.transpose, (ir.Reshape, ir.Transpose, ir.Requantize), _DATA),
    "Identity": Support(moves.copy, (ir.Reshape,), _DATA),
    "Slice": Support(moves.slices, (ir.Slice, ir.Requantize), _DATA),
    "Gather": Support(moves.gather, (ir.Reshape, ir.Requantize, ir.Slice), (*_DATA, rules.indices_constant)),
    "Split": Support(moves.split, (ir.Slice, ir.Requantize), (rules.activations_only,)),
    "Concat": Support(moves.concat, (ir.Concat,), (*_BINARY, rules.one_result)),
    "Pad": Support(moves.pad, (ir.Pad, ir.Requantize), (*_DATA, rules.pad_mode)),
    "DepthToSpace": Support(moves.depth_to_space, (ir.DepthToSpace, ir.Requantize), (*_IMAGE, rules.depth_mode)),
    "SpaceToDepth": Support(moves.space_to_depth, (ir.SpaceToDepth, ir.Requantize), _IMAGE),
    "Resize": Support(
        resize.resize, (ir.ResizeNearest, ir.ResizeBilinear, ir.Requantize), (*_IMAGE, *rules.RESIZE_RULES)
    ),
    "Upsample": Support(
        resize.resize, (ir.ResizeNearest, ir.ResizeBilinear, ir.Requantize), (*_IMAGE, *rules.RESIZE_RULES)
    ),
    "ArgMax": Support(indices.arg_max, (ir.ArgMax,), _DATA),
    "ArgMin": Support(indices.arg_max, (ir.ArgMax,), _DATA),
    "Requantize": Support(moves.requantize, (ir.Requantize,)),
    "RequantShift": Support(indices.requant_shift, (ir.RequantShift,), (*_DATA, rules.power_of_two_divisor)),
}
# Read away before translation: grids, constants, identities.
RESOLVED = frozenset({"QuantizeLinear", "DequantizeLinear", "Dropout"})
DEEPLOY_SHIFT = "PACTOps.RequantShift"
_CONSTANT_ONLY = ("Operands are constant, or only their shape is read.",)


def is_known(op_type: str) -> bool:
    """Whether nodes of this type can be read at all (FOLDERS only on constants)."""
    integer = op_type in QLINEAR or op_type in ACCUMULATING or op_type == DEEPLOY_SHIFT
    return integer or op_type in RESOLVED or (op_type in SUPPORTED and op_type != "Requantize")


def support_rows() -> Iterator[SupportedOperator]:
    """The table of supported operators, sorted by name."""
    rows = {name: (s.becomes, s.constraints) for name, s in SUPPORTED.items() if name != "Requantize"}
    for name, form in QLINEAR.items():
        support = SUPPORTED[form.operator]
        rows[name.rpartition(".")[2]] = (support.becomes, support.constraints)
    for name, operator in ACCUMULATING.items():
        rows[name] = (SUPPORTED[operator].becomes, SUPPORTED[operator].constraints)
    for name in sorted(rows, key=str.lower):
        becomes, constraints = rows[name]
        sentences = tuple(c.__doc__ or "" for c in constraints)
        yield SupportedOperator(FORMAT, name, tuple(b.__name__ for b in becomes), sentences)
    for name in ("DequantizeLinear", "QuantizeLinear"):
        yield SupportedOperator(FORMAT, name, ("Requantize",), ("Scales are constant, per tensor or per channel.",))
    yield SupportedOperator(FORMAT, "Dropout", (), ("It does nothing at inference.",))
    for name in sorted(set(FOLDERS) - set(rows) - RESOLVED):
        yield SupportedOperator(FORMAT, name, (), _CONSTANT_ONLY)
