"""Each rule of the TFLite front end, broken once: the error names the node, the value and the rule."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from oracles.tflite_models import ModelBuilder, options

from accel_sim import frontend
from accel_sim.errors import ModelError, UnsupportedModelError
from accel_sim.frontend.tflite.registry import RULES
from accel_sim.frontend.tflite.rules import sentence

INT8 = ("int8", 0.5, 3)
FLOAT = ("float32", None, 0)
IMAGE = (1, 4, 4, 2)


@dataclass
class Operator:
    """A one-operator model: each operand is (shape, type, scale, zero point) or a constant with contents."""

    name: str
    inputs: list[tuple]
    outputs: list[tuple]
    options: tuple = ()
    fields: dict = field(default_factory=dict)

    def build(self):
        model = ModelBuilder()
        operands, sources = [], []
        for item in self.inputs:
            if item is None:
                operands.append(-1)
                continue
            shape, (kind, scale, zero), *data = item
            operands.append(model.tensor(shape, kind, scale, zero, data=data[0] if data else None))
            sources += [] if data else [operands[-1]]
        results = [model.tensor(shape, kind, scale, zero) for shape, (kind, scale, zero) in self.outputs]
        table = options(self.options, **self.fields) if self.options else None
        model.op(self.name, operands, results, table)
        return model.build(sources, results)


def indices(*values, kind="int32", shape=None):
    return (shape or (len(values),), (kind, None, 0), list(values))


def depthwise(kernel=(1, 2, 2, 2), w=("int8", 0.5, 0), x=INT8, b=("int32", 2)):
    operator = conv(x=x, y=x, w=w, b=b, kernel=kernel)
    operator.name, operator.options = "DEPTHWISE_CONV_2D", "DepthwiseConv2D"
    operator.outputs = [((1, 4, 4, kernel[3]), x)]
    return operator


def transposed(shape=(1, 8, 8, 3), kernel=(3, 2, 2, 2), **fields):
    weights = (kernel, ("int8", 0.5, 0), np.ones(kernel))
    base = {"strideH": 2, "strideW": 2}
    inputs = [indices(*shape), weights, (IMAGE, INT8)]
    return Operator("TRANSPOSE_CONV", inputs, [(shape, INT8)], "TransposeConv", base | fields)


def unary(name, x=INT8, y=INT8, shape=IMAGE, result=None, table=(), **fields):
    return Operator(name, [(shape, x)], [(result or shape, y)], table, fields)


def conv(x=INT8, w=("int8", 0.5, 0), y=INT8, b=None, shape=IMAGE, kernel=(3, 2, 2, 2), data=True, **fields):
    size = int(np.prod(kernel))
    weights = (kernel, w, np.ones(size).reshape(kernel)) if data else (kernel, w)
    base = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    bias = [] if b is None else [((b[1],), (b[0], None, 0), np.ones(b[1]))]
    return Operator("CONV_2D", [(shape, x), weights, *bias], [((1, 4, 4, kernel[0]), y)], "Conv2D", base | fields)


def dense(w=("int8", 0.5, 0), shape=(2, 4), columns=4, **fields):
    weights = ((3, columns), w, np.ones((3, columns)))
    return Operator("FULLY_CONNECTED", [(shape, INT8), weights], [((2, 3), INT8)], "FullyConnected", fields)


def binary(name, a=INT8, b=INT8, y=INT8, shapes=((2, 3), (2, 3), (2, 3)), table="", **fields):
    return Operator(name, [(shapes[0], a), (shapes[1], b)], [(shapes[2], y)], table or name.capitalize(), fields)


def pool(**fields):
    base = {"padding": 1, "strideH": 1, "strideW": 1, "filterHeight": 1, "filterWidth": 1}
    return Operator("MAX_POOL_2D", [(IMAGE, INT8)], [(IMAGE, INT8)], "Pool2D", base | fields)


def with_indices(name, shape, result, *constants, table=(), kind=INT8, y=INT8, **fields):
    return Operator(name, [(shape, kind), *constants], [(result, y)], table, fields)


def strided(begin=(0, 0), end=(2, 2), strides=(1, 1), **fields):
    rows = [indices(*row) for row in (begin, end, strides)]
    return with_indices("STRIDED_SLICE", (2, 2), (2, 2), *rows, table="StridedSlice", **fields)


def split_v(*sizes, axis=0):
    return Operator("SPLIT_V", [((4, 2), INT8), indices(*sizes), indices(axis, shape=())], [((2, 2), INT8)] * 2)


INT16 = ("int16", 0.5, 0)
BOTH_CONVENTIONS = {"alignCorners": True, "halfPixelCenters": True}
BROKEN = {
    "operands": (Operator("RELU", [], [(IMAGE, INT8)]), "It has 1 operand and 1 result"),
    "absent operand": (Operator("ADD", [((2,), INT8), None], [((2,), INT8)]), "It has 2 operands and 1 result"),
    "types": (unary("RELU", y=("uint8", 0.5, 3)), "have one type: float32, int8, uint8, int16"),
    "no scale": (unary("RELU", x=("int8", None, 0)), "has one scale and one zero point"),
    "int16 zero point": (unary("RELU", x=("int16", 0.5, 3), y=INT16), "which is 0 for int16"),
    "grids": (unary("SPACE_TO_DEPTH", y=("int8", 0.25, 3), table="SpaceToDepth", blockSize=1), "lie on one grid"),
    "rank": (unary("MAX_POOL_2D", shape=(2, 2), table="Pool2D"), "Operand 0 has 4 axes"),
    "hybrid weights": (conv(x=FLOAT, y=FLOAT), "Activations x weights are float32 x float32"),
    "computed weights": (conv(data=False), "Operand 1 (weights) is a constant"),
    "weights without scale": (conv(w=("int8", None, 0)), "Integer weights have scales"),
    "shifted weights": (conv(w=("int8", 0.5, 1)), "zero points are for uint8."),
    "shifted channels": (dense(w=("int8", [0.5] * 3, [0, 0, 1])), "Integer weights have scales"),
    "bias type": (conv(b=("int64", 3)), "A bias is float32"),
    "bias size": (conv(b=("int32", 4)), "one value per output channel"),
    "activation": (conv(fusedActivationFunction=4), "The fused activation is"),
    "padding": (conv(padding=2), "Padding is SAME or VALID"),
    "stride": (conv(strideH=0), "StrideH, StrideW, DilationHFactor, DilationWFactor are positive"),
    "groups": (conv(shape=(1, 4, 4, 3)), "Input channels are a multiple"),
    "kernel": (conv(padding=1, kernel=(3, 5, 2, 2)), "The dilated kernel fits the padded image"),
    "weights format": (dense(weightsFormat=1), "default format"),
    "rows": (dense(columns=3), "rows of as many values"),
    "kept rows": (dense(shape=(4, 2), keepNumDims=True), "rows of as many values"),
    "matrices": (
        binary("BATCH_MATMUL", shapes=((2, 3), (2, 3), (2, 3)), table="BatchMatMul"),
        "The inner lengths are equal",
    ),
    "broadcast": (binary("ADD", shapes=((2, 3), (2, 2), (2, 3))), "The shapes of both operands broadcast"),
    "old int16 sum": (
        binary("ADD", INT16, INT16, INT16, potScaleInt16=True),
        "PotScaleInt16 is false",
    ),
    "extremum": (binary("MINIMUM", b=("int8", 0.25, 3), table="MaximumMinimum"), "lie on one grid"),
    "slope": (
        Operator("PRELU", [((1, 2), INT8), ((3, 2), INT8, np.ones((3, 2)))], [((1, 2), INT8)]),
        "The slope broadcasts",
    ),
    "logistic grid": (unary("LOGISTIC"), "The result's grid is fixed: int8 scale 1/256 zero point -128"),
    "softmax beta": (unary("SOFTMAX", y=("int8", 1 / 256, -128), table="Softmax", beta=0.0), "Beta is positive"),
    "alpha": (unary("LEAKY_RELU", table="LeakyRelu", alpha=float("inf")), "Alpha is finite"),
    "pool window": (pool(filterHeight=9), "The window fits the padded image"),
    "mean axis": (with_indices("MEAN", (2, 2), (2,), indices(2), table="Reducer"), "Each axis lies inside"),
    "arg max axes": (
        with_indices("ARG_MAX", (2, 2), (2,), indices(0, 1), y=("int32", None, 0), table="ArgMax"),
        "There is one axis",
    ),
    "arg max type": (
        with_indices("ARG_MAX", (2, 2), (2,), indices(0), table="ArgMax"),
        "the result int32 or int64",
    ),
    "reshape": (with_indices("RESHAPE", (2, 3), (4,), indices(4)), "as many elements as the operand"),
    "two open lengths": (with_indices("RESHAPE", (2, 3), (6,), indices(-1, -1)), "as many elements as the operand"),
    "computed shape": (
        with_indices("RESHAPE", (2, 3), (6,), ((1,), ("int32", None, 0))),
        "The new shape is an option or an int32 or int64 constant",
    ),
    "squeeze": (unary("SQUEEZE", shape=(2, 1), table="Squeeze", squeezeDims=[0]), "have length one"),
    "computed axis": (
        with_indices("EXPAND_DIMS", (2,), (2, 1), ((1,), ("int32", None, 0))),
        "Operand 1 (axis) is an int32 or int64 constant",
    ),
    "expand": (with_indices("EXPAND_DIMS", (2,), (2, 1), indices(3)), "There is one new axis"),
    "permutation": (with_indices("TRANSPOSE", (2, 3), (3, 2), indices(0, 0)), "names every axis once"),
    "margins": (with_indices("PAD", (2,), (2,), indices(-1, 1, shape=(1, 2))), "pairs of numbers >= 0"),
    "fill": (
        with_indices("PADV2", (2,), (4,), indices(1, 1, shape=(1, 2)), ((1,), ("int8", 0.25, 3), [1])),
        "The fill is one constant",
    ),
    "mirror": (
        with_indices("MIRROR_PAD", (2,), (6,), indices(2, 2, shape=(1, 2)), table="MirrorPad", mode=0),
        "not longer than its axis",
    ),
    "block": (unary("SPACE_TO_DEPTH", table="SpaceToDepth", blockSize=3), "The block divides height and width"),
    "no block": (unary("DEPTH_TO_SPACE", table="DepthToSpace", blockSize=0), "BlockSize is positive"),
    "block channels": (unary("DEPTH_TO_SPACE", table="DepthToSpace", blockSize=2), "divides the channels"),
    "slice": (with_indices("SLICE", (2,), (2,), indices(1), indices(2)), "Begin and size lie inside"),
    "strided rows": (strided(begin=(0,)), "as many numbers as each other"),
    "zero stride": (strided(strides=(1, 0)), "Strides are not 0"),
    "empty range": (strided(begin=(1, 1), end=(1, 2)), "ranges are not empty"),
    "too many rows": (strided((0,) * 3, (2,) * 3, (1,) * 3), "ranges are not empty"),
    "two ellipses": (strided(ellipsisMask=3), "At most one ellipsis"),
    "ellipsis and new axis": (strided(ellipsisMask=1, newAxisMask=2), "At most one ellipsis"),
    "split": (
        Operator("SPLIT", [indices(0, shape=()), ((3, 2), INT8)], [((1, 2), INT8)] * 2, "Split", {"numSplits": 2}),
        "which the number of results divides",
    ),
    "split sizes": (split_v(1, 2), "add up to it"),
    "split axis": (split_v(2, 2, axis=4), "add up to it"),
    "resize size": (
        with_indices("RESIZE_BILINEAR", IMAGE, IMAGE, indices(0, 4), table="ResizeBilinear"),
        "two positive numbers",
    ),
    "resize convention": (
        with_indices("RESIZE_BILINEAR", IMAGE, IMAGE, indices(4, 4), table="ResizeBilinear", **BOTH_CONVENTIONS),
        "not both set",
    ),
    "inner quantize": (
        Operator("QUANTIZE", [((2,), FLOAT, [0.5, 1.0])], [((2,), INT8)]),
        "float32 is quantized at the inputs",
    ),
    "concatenation grids": (
        binary("CONCATENATION", b=("int8", 0.25, 3), shapes=((2,), (2,), (4,)), table="Concatenation"),
        "are all alike",
    ),
    "concatenation shapes": (
        binary("CONCATENATION", shapes=((2, 2), (2, 3), (4, 2)), table="Concatenation"),
        "the same shape but for the axis",
    ),
    "concatenation axis": (
        binary("CONCATENATION", shapes=((2,), (2,), (4,)), table="Concatenation", axis=1),
        "The axis lies inside",
    ),
    "transposed shape": (transposed((1, 9, 9, 3)), "one whose convolution has the shape of the operand"),
    "transposed channels": (transposed(kernel=(3, 2, 2, 4)), "Weights are [Co, kh, kw, Ci]"),
    "depthwise channels": (depthwise((1, 2, 2, 3), b=None), "Weights are [1, kh, kw, Ci * multiplier]"),
    "depthwise grid": (depthwise(w=("int8", 0.5, 1)), "per index of axis 3"),
    "depthwise bias": (depthwise(x=INT16), "int64 for int16"),
    "matrix types": (
        binary("BATCH_MATMUL", *[("uint8", 0.5, 3)] * 3, shapes=((2, 2), (2, 2), (2, 2)), table="BatchMatMul"),
        "float32, int8, int16",
    ),
    "concatenation types": (
        binary("CONCATENATION", b=("uint8", 0.5, 3), shapes=((2,), (2,), (4,)), table="Concatenation"),
        "Operands and result have one type",
    ),
    "concatenation activation": (
        binary("CONCATENATION", shapes=((2,), (2,), (4,)), table="Concatenation", fusedActivationFunction=1),
        "There is no fused activation",
    ),
    "maxima": (
        with_indices("REDUCE_MAX", IMAGE, (1, 4), indices(1, 3), table="Reducer"),
        "Maxima are over neighbouring axes",
    ),
    "pack shapes": (binary("PACK", shapes=((2,), (3,), (2, 2)), table="Pack"), "Operands have the same shape"),
    "pack axis": (binary("PACK", shapes=((2,), (2,), (2, 2)), table="Pack", axis=2), "inside the result's axes"),
    "pack grids": (
        binary("PACK", b=("int8", 0.25, 3), shapes=((2,), (2,), (2, 2)), table="Pack"),
        "Operands and the result lie on one grid",
    ),
    "unpack": (unary("UNPACK", shape=(2, 3), table="Unpack"), "a result for each of its indices"),
    "inner dequantize": (unary("DEQUANTIZE", y=INT8), "It stands at an output of the network"),
    "mirror mode": (
        with_indices("MIRROR_PAD", (2,), (4,), indices(1, 1, shape=(1, 2)), table="MirrorPad", mode=2),
        "The mode is REFLECT or SYMMETRIC",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name):
    operator, rule = BROKEN[name]
    with pytest.raises(ModelError) as caught:
        frontend.load(operator.build())
    assert isinstance(caught.value, UnsupportedModelError)
    (fault,) = [f for f in caught.value.faults if rule in f.rule]
    assert fault.where == f"node {frontend.list_operators(operator.build())[0].name!r} ({operator.name})"
    assert fault.value


def family(constraint):
    """What makes a constraint: itself, or the function that it was made by."""
    return constraint.__qualname__.split(".")[0]


def test_every_constraint_is_broken_above():
    rules = {sentence(c): family(c) for rule in RULES.values() for c in (*rule.structure, *rule.constraints)}
    broken = set()
    for operator, _ in BROKEN.values():
        with pytest.raises(ModelError) as caught:
            frontend.load(operator.build())
        broken |= {rules[f.rule] for f in caught.value.faults}
    assert set(rules.values()) == broken
