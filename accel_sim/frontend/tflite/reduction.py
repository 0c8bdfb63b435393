"""MAX_POOL_2D, AVERAGE_POOL_2D, MEAN, REDUCE_MAX and ARG_MAX."""

from accel_sim.frontend._maxima import image_of_maxima
from accel_sim.frontend.tflite import constraints as must
from accel_sim.frontend.tflite.rules import Call, Constraint, Lowered, Rule, Shape, single
from accel_sim.frontend.tflite.windows import misfit, padding, windows
from accel_sim.ir import ArgMax, AveragePool2D, ElementType, MaxPool2D, Mean, Node, Reshape, Tensor


def _kernel(call: Call) -> tuple[int, int]:
    return call.options.integer("FilterHeight"), call.options.integer("FilterWidth")


def window_fits(call: Call) -> str | None:
    """The window fits the padded image."""
    return misfit(*windows(call, call.x.shape, _kernel(call), dilated=False))


def _pooled(call: Call) -> list[Shape]:
    rows, columns = windows(call, call.x.shape, _kernel(call), dilated=False)
    return [(call.x.shape[0], rows.output, columns.output, call.x.shape[3])]


def _pool(operator: str, op: type[MaxPool2D] | type[AveragePool2D]) -> Rule:
    def lower(call: Call) -> Lowered:
        rows, columns = windows(call, call.x.shape, _kernel(call), dilated=False)
        strides = call.options.integer("StrideH"), call.options.integer("StrideW")
        return single(
            call,
            op(_kernel(call), strides, padding=padding(rows, columns), activation=must.fused(call)),
        )

    structure = (
        must.operands(1, 1),
        must.activation_types(*must.FLOAT_AND_INTEGERS),
        must.rank(0, 4, 4),
        must.known_padding,
        must.positive("StrideH", "StrideW", "FilterHeight", "FilterWidth"),
    )
    constraints = (must.grids(), must.one_grid(), must.known_activation, window_fits)
    return Rule(operator, (op,), structure, constraints, _pooled, lower)


def axes_inside(call: Call) -> str | None:
    """Each axis lies inside the operand's axes."""
    size = len(call.x.shape)
    outside = next((a for a in call.integers(1) if not must.axis_inside(a, size)), None)
    return None if outside is None else f"axis {outside} of {size}"


def one_axis(call: Call) -> str | None:
    """There is one axis."""
    count = call.operand(1).size
    return None if count == 1 else f"{count} axes"


def _axes(call: Call) -> tuple[int, ...]:
    return tuple(sorted({a % len(call.x.shape) for a in call.integers(1)}))


def _mean_shape(call: Call) -> list[Shape]:
    axes, shape = _axes(call), call.x.shape
    if call.options.flag("KeepDims"):
        return [tuple(1 if i in axes else n for i, n in enumerate(shape))]
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def _reduction_structure(types: Constraint) -> tuple[Constraint, ...]:
    return (must.operands(2, 2), types, must.rank(0, 1, 5), must.constant_indices(1, "axes"), axes_inside)


def maxima_of_neighbours(call: Call) -> str | None:
    """Maxima are over neighbouring axes, the first of which is not one."""
    axes = _axes(call)
    if axes and image_of_maxima(call.x.shape, axes) is not None:
        return None
    return f"axes {list(axes)} of {list(call.x.shape)}"


def _lower_maxima(call: Call) -> Lowered:
    """One window of a max pool over the same bytes under another shape."""
    found = image_of_maxima(call.x.shape, _axes(call))
    assert found is not None
    image, kernel = found
    whole = Tensor(f"{call.name}/image", image, call.x.element, call.x.quant)
    picked = Tensor(f"{call.name}/maxima", (*image[:2], 1, image[3]), call.x.element, call.x.quant)
    nodes = [
        Node(whole.name, Reshape(), (call.x.name,), (whole.name,)),
        Node(picked.name, MaxPool2D(kernel), (whole.name,), (picked.name,)),
        Node(call.name, Reshape(), (picked.name,), (call.y.name,)),
    ]
    return Lowered(nodes, [whole, picked])


def arg_max_types(call: Call) -> str | None:
    """The operand is float32, int8 or uint8, the result int32 or int64."""
    x, y = must.type_name(call.x), call.y.element
    return None if x in must.FLOAT_AND_BYTES and y in (ElementType.INT32, ElementType.INT64) else f"{x} to {y.value}"


def _arg_max_shape(call: Call) -> list[Shape]:
    (axis,) = _axes(call)
    return [tuple(n for i, n in enumerate(call.x.shape) if i != axis)]


RULES = (
    _pool("MAX_POOL_2D", MaxPool2D),
    _pool("AVERAGE_POOL_2D", AveragePool2D),
    Rule(
        "MEAN",
        (Mean,),
        _reduction_structure(must.activation_types(*must.FLOAT_AND_INTEGERS)),
        (must.grids(),),
        _mean_shape,
        lambda call: single(call, Mean(_axes(call), call.options.flag("KeepDims")), call.x.name),
    ),
    Rule(
        "REDUCE_MAX",
        (MaxPool2D, Reshape),
        (*_reduction_structure(must.activation_types(*must.FLOAT_AND_INTEGERS)), maxima_of_neighbours),
        (must.grids(), must.one_grid()),
        _mean_shape,
        _lower_maxima,
    ),
    Rule(
        "ARG_MAX",
        (ArgMax,),
        (*_reduction_structure(arg_max_types), one_axis),
        (),
        _arg_max_shape,
        lambda call: single(call, ArgMax(_axes(call)[0], keep_dims=False), call.x.name),
    ),
)
