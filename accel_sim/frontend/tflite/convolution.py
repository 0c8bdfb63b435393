"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV."""

from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite import weighted
from accel_sim.frontend.tflite.rules import Call, Lowered, Rule, Shape
from accel_sim.frontend.tflite.windows import Window, misfit, padding, windows
from accel_sim.ir import Conv2D, Node, TransposeConv2D

_X, _W, _B = 0, 1, 2
_TRANSPOSED_SHAPE, _TRANSPOSED_W, _TRANSPOSED_X, _TRANSPOSED_B = 0, 1, 2, 3


def groups_divide(call: Call) -> str | None:
    """Input channels are a multiple of the weights' channels, and output channels a multiple of the groups."""
    channels, per_group, outputs = call.x.shape[3], call.operand(_W).shape[3], call.operand(_W).shape[0]
    if channels % per_group == 0 and outputs % (channels // per_group) == 0:
        return None
    return f"{channels} channels, weights {list(call.operand(_W).shape)}"


def channels_multiply(call: Call) -> str | None:
    """Weights are [1, kh, kw, Ci * multiplier]."""
    shape, channels = call.operand(_W).shape, call.x.shape[3]
    if shape[0] == 1 and shape[3] % channels == 0:
        return None
    return f"{channels} channels, weights {list(shape)}"


def _kernel(call: Call) -> tuple[int, int]:
    shape = call.operand(_W).shape
    return shape[1], shape[2]


def window_fits(call: Call) -> str | None:
    """The dilated kernel fits the padded image."""
    return misfit(*windows(call, call.x.shape, _kernel(call), dilated=True))


def _convolution(call: Call, outputs: int) -> list[Shape]:
    rows, columns = windows(call, call.x.shape, _kernel(call), dilated=True)
    return [(call.x.shape[0], rows.output, columns.output, outputs)]


def _attributes(call: Call, groups: int) -> Conv2D:
    option = call.options.integer
    return Conv2D(
        strides=(option("StrideH"), option("StrideW")),
        dilations=(option("DilationHFactor"), option("DilationWFactor")),
        padding=padding(*windows(call, call.x.shape, _kernel(call), dilated=True)),
        groups=groups,
        activation=must.fused(call),
    )


def _lower_conv(call: Call) -> Lowered:
    weights, lowered = call.operand(_W), Lowered()
    bias = weighted.add_bias(call, lowered, weights, call.x, _B)
    op = _attributes(call, call.x.shape[3] // weights.shape[3])
    lowered.nodes.append(Node(call.name, op, (call.x.name, weights.name, bias), (call.y.name,)))
    return lowered


def _lower_depthwise(call: Call) -> Lowered:
    weights, lowered = weighted.depthwise_weights(call.operand(_W)), Lowered()
    lowered.tensors.append(weights)
    bias = weighted.add_bias(call, lowered, weights, call.x, _B)
    op = _attributes(call, call.x.shape[3])
    lowered.nodes.append(Node(call.name, op, (call.x.name, weights.name, bias), (call.y.name,)))
    return lowered


_CONVOLUTION_STRUCTURE = (
    must.operands(2, 3),
    weighted.weight_types(_X, _W),
    must.rank(_X, 4, 4),
    must.rank(_W, 4, 4),
    must.constant(_W, "weights"),
    must.constant(_B, "bias"),
    must.known_padding,
    must.positive("StrideH", "StrideW", "DilationHFactor", "DilationWFactor"),
)

CONV_2D = Rule(
    "CONV_2D",
    (Conv2D,),
    _CONVOLUTION_STRUCTURE,
    (
        must.grids(),
        weighted.weight_grid(_W, 0),
        weighted.bias_type(_X, _B),
        weighted.bias_size(_W, _B),
        must.known_activation,
        groups_divide,
        window_fits,
    ),
    lambda call: _convolution(call, call.operand(_W).shape[0]),
    _lower_conv,
)

DEPTHWISE_CONV_2D = Rule(
    "DEPTHWISE_CONV_2D",
    (Conv2D,),
    _CONVOLUTION_STRUCTURE,
    (
        must.grids(),
        weighted.weight_grid(_W, 3),
        weighted.bias_type(_X, _B, wide=("int64",)),
        weighted.bias_size(_W, _B, axis=3),
        must.known_activation,
        channels_multiply,
        window_fits,
    ),
    lambda call: _convolution(call, call.operand(_W).shape[3]),
    _lower_depthwise,
)


def transposed_channels_match(call: Call) -> str | None:
    """Weights are [Co, kh, kw, Ci]."""
    channels, shape = call.operand(_TRANSPOSED_X).shape[3], call.operand(_TRANSPOSED_W).shape
    return None if shape[3] == channels else f"{channels} channels, weights {list(shape)}"


def transposed_shape_agrees(call: Call) -> str | None:
    """The stated output shape is one whose convolution has the shape of the operand."""
    image, shape = call.operand(_TRANSPOSED_X).shape, call.integers(_TRANSPOSED_SHAPE)
    if len(shape) == 4 and min(shape) > 0:
        rows, columns = _transposed_windows(call)
        if (shape[0], rows.output, columns.output, shape[3]) == (*image[:3], call.operand(_TRANSPOSED_W).shape[0]):
            return None
    return f"output {list(shape)} of operand {list(image)}"


def _transposed_windows(call: Call) -> tuple[Window, Window]:
    """The windows of the convolution that this operator transposes: from the output's shape to the operand's."""
    kernel = call.operand(_TRANSPOSED_W).shape
    return windows(call, call.integers(_TRANSPOSED_SHAPE), (kernel[1], kernel[2]), dilated=False)


def _lower_transposed(call: Call) -> Lowered:
    x, weights, lowered = call.operand(_TRANSPOSED_X), call.operand(_TRANSPOSED_W), Lowered()
    bias = weighted.add_bias(call, lowered, weights, x, _TRANSPOSED_B)
    op = TransposeConv2D(
        strides=(call.options.integer("StrideH"), call.options.integer("StrideW")),
        padding=padding(*_transposed_windows(call)),
        activation=must.fused(call),
    )
    lowered.nodes.append(Node(call.name, op, (x.name, weights.name, bias), (call.y.name,)))
    return lowered


TRANSPOSE_CONV = Rule(
    "TRANSPOSE_CONV",
    (TransposeConv2D,),
    (
        must.operands(3, 4),
        weighted.weight_types(_TRANSPOSED_X, _TRANSPOSED_W, int4=False),
        must.constant_indices(_TRANSPOSED_SHAPE, "output shape"),
        must.constant(_TRANSPOSED_W, "weights"),
        must.constant(_TRANSPOSED_B, "bias"),
        must.rank(_TRANSPOSED_W, 4, 4),
        must.rank(_TRANSPOSED_X, 4, 4),
        must.known_padding,
        must.positive("StrideH", "StrideW"),
    ),
    (
        must.grids((_TRANSPOSED_X,)),
        weighted.weight_grid(_TRANSPOSED_W, 0),
        weighted.bias_type(_TRANSPOSED_X, _TRANSPOSED_B),
        weighted.bias_size(_TRANSPOSED_W, _TRANSPOSED_B),
        must.known_activation,
        transposed_channels_match,
        transposed_shape_agrees,
    ),
    lambda call: [call.integers(_TRANSPOSED_SHAPE)],
    _lower_transposed,
)


RULES = (CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV)
