"""Third stage of an integer network: every activation gets a grid, or is found to have none.

1. A clamp (Relu, Clip) that alone reads a result without a grid is fused into the step that makes it (2.3.2).
2. The Add of a constant vector that alone reads such a result of MatMul is MatMul's bias.
3. Operators that move values keep their operand's grid: first forward, for a result that no QuantizeLinear follows
   (DQ -> Slice -> Slice -> Q), then backward (Conv -> MaxPool -> Q rounds the pooled values alike), where all that read
   a value are such operators and agree: another one reads it before it is rounded. Relu too: zero lies on every grid.
   Concat, Min and Max do where all operands share a grid. A Resize that interpolates moves nothing, and what a Pad
   fills with, or a fused clamp bounds by, must lie on the operand's grid for the result to lie there.
   ONNX Runtime moves QuantizeLinear and DequantizeLinear only through some of them (`_WITH_A_PAIR`). Behind and before
   the others it computes in float32: an operator whose integer arithmetic rounds otherwise is marked
   (`Network.unpaired`, see `unsigned`) or a fault.
4. Integers that nobody states a grid for stand for themselves (scale 1).
What is still a float then cannot run on integer hardware, and is a fault.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accel_sim.errors import Fault
from accel_sim.frontend.onnx.float_constants import place_float_constants
from accel_sim.frontend.onnx.grids import FileGrid, unit_grid
from accel_sim.frontend.onnx.network import SHAPE_READERS, Network, Step
from accel_sim.frontend.onnx.view import NodeFault, NodeView
from accel_sim.ir import Activation

_SHAPING = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity"}
_PICKING = {"Slice", "Split", "Gather", "Pad", "MaxPool", "GlobalMaxPool", "ReduceMax", "Resize", "Upsample"}
_MOVING = _SHAPING | _PICKING | {"DepthToSpace", "SpaceToDepth"}
_WITH_A_PAIR = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "MaxPool", "Identity"})
_ROUNDED_OTHERWISE = frozenset({"Add", "Sum", "Mul", "AveragePool", "Softmax"})
_RESIZING = frozenset({"Resize", "Upsample"})
_MERGING = frozenset({"Concat", "Min", "Max"})
_SUMS = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
_FUSING = _SUMS | {"Add", "Sub", "Mul", "Concat", "MaxPool", "AveragePool"}
_INDEX_RESULTS = frozenset({"ArgMax", "ArgMin"})
_NEEDS_GRID = "a result inside an integer network is quantized before it is used"
_CURE = "put QuantizeLinear and DequantizeLinear behind this node"


def propagate_grids(network: Network) -> None:
    """Rewrite an integer network in place; see the module's rules."""
    fuse_bias(network)
    place_float_constants(network)
    _fuse_clamps(network)
    _forward(network)
    read_as_floats = _read_as_floats(network)
    _backward(network)
    for name, dtype in network.codes.items():
        network.grids.setdefault(name, unit_grid(dtype))
    network.faults += _arithmetic_on_codes(network)
    network.faults += _without_grid(network)
    network.faults += _rounded_otherwise(network)
    network.faults += read_as_floats


def moves(step: Step) -> bool:
    """Whether every element of a step's results is one of its operand, unchanged."""
    interpolates = step.operator in _RESIZING and step.node.attributes.get("mode", b"nearest") != b"nearest"
    return step.operator in _MOVING and not interpolates


def clamp_of(step: Step, network: Network) -> Activation:
    """The bounds of a Relu or Clip step."""
    if step.operator == "Relu":
        return Activation(0.0)
    view = NodeView(step.node, network.constants)
    if step.node.opset < 11:
        bounds = [view.real("min", -math.inf) if view.has("min") else -math.inf]
        bounds.append(view.real("max", math.inf) if view.has("max") else math.inf)
    else:
        bounds = [_bound(view, network, i, default) for i, default in ((1, -math.inf), (2, math.inf))]
    if bounds[0] > bounds[1]:
        raise NodeFault(f"[{bounds[0]}, {bounds[1]}]", "the lower bound is not above the upper one")
    return Activation(*bounds)


def _bound(view: NodeView, network: Network, index: int, default: float) -> float:
    if not view.given(index):
        return default
    array = view.array(index)
    if view.name(index) in network.grids:
        array = network.grids[view.name(index)].dequantize(array)
    if array.size != 1 or array.dtype.kind not in "fiu" or np.isnan(array.ravel()[0]):
        raise NodeFault(f"{array.dtype}{list(array.shape)}", "a bound is one number")
    bound = float(array.ravel()[0])
    return math.copysign(math.inf, bound) if abs(bound) >= float(np.finfo(np.float32).max) else bound


def _fuse_clamps(network: Network) -> None:
    makers, readers = network.makers(), network.readers()
    kept = set(network.outputs.values())
    changed: dict[int, Step | None] = {}
    renamed: dict[str, str] = {}
    for step in network.steps:
        if step.operator not in ("Relu", "Clip") or not step.inputs:
            continue
        source = step.inputs[0]
        maker = makers.get(source)
        alone = len(readers.get(source, [])) == 1 and source not in kept and source not in network.grids
        if maker is None or maker.operator not in _FUSING or not alone or source in network.codes:
            continue
        try:
            clamp = clamp_of(step, network)
        except NodeFault:
            continue  # its own translation reports it
        current = changed.get(id(maker)) or maker
        fused = replace(current, activation=_then(current.activation, clamp)).renamed({source: step.outputs[0]})
        changed[id(maker)], changed[id(step)] = fused, None
        makers[step.outputs[0]] = maker
        renamed[source] = step.outputs[0]
        network.float_reads.pop(source, None)
    network.steps = [s for s in (changed.get(id(s), s) for s in network.steps) if s is not None]
    network.rename({n: _last(renamed, n) for n in renamed})


def _last(renamed: dict[str, str], name: str) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _then(first: Activation, second: Activation) -> Activation:
    """The clamp `second` after the clamp `first`."""
    assert isinstance(first.high, float)
    assert isinstance(second.high, float)
    low = min(max(first.low, second.low), second.high)
    return Activation(low, max(min(first.high, second.high), second.low))


def fuse_bias(network: Network) -> None:
    """MatMul with constant weights, then Add of a constant vector, one number per column: the MatMul gets a bias."""
    makers, readers = network.makers(), network.readers()
    kept = set(network.outputs.values()) | set(network.grids)
    merged: dict[int, Step | None] = {}
    for step in network.steps:
        if step.operator != "Add" or len(step.inputs) != 2:
            continue
        for source, other in (step.inputs, step.inputs[::-1]):
            maker = makers.get(source)
            bias = network.constants.get(other)
            if maker is None or maker.operator != "MatMul" or bias is None or source in kept or other in network.grids:
                continue
            weights = network.constants.get(maker.inputs[1]) if len(maker.inputs) == 2 else None
            if weights is None or len(readers[source]) != 1 or weights.ndim != 2 or bias.shape != weights.shape[1:]:
                continue
            node = replace(maker.node, inputs=(*maker.inputs, other), outputs=step.outputs)
            merged[id(maker)], merged[id(step)] = replace(maker, node=node), None
            break
    network.steps = [s for s in (merged.get(id(s), s) for s in network.steps) if s is not None]


def _forward(network: Network) -> None:
    for step in network.steps:
        grid = _inherited(step, network)
        if grid is None:
            continue
        for name in filter(None, step.outputs):
            if name not in network.grids and not step.on_codes and _breaks_pairs(step, step.inputs, network):
                network.unpaired.add(name)
            known = network.grids.setdefault(name, grid)
            if known != grid and step.on_codes:
                network.faults.append(Fault(step.where, name, "an operator on codes keeps their grid"))


def _inherited(step: Step, network: Network) -> FileGrid | None:
    operands = [n for n in step.inputs if n]
    if not operands:
        return None
    if not moves(step) and step.operator not in {"Relu", *_MERGING}:
        return None
    grids = {network.grids.get(n) for n in (operands if step.operator in _MERGING else operands[:1])}
    grid = grids.pop() if len(grids) == 1 else None
    return grid if grid is None or step.on_codes or grid.holds(_added(step, network)) else None


def _added(step: Step, network: Network) -> list[float]:
    """Real numbers that may be in a step's result without being in its operand."""
    assert isinstance(step.activation.high, float)
    bounds = [b for b in (step.activation.low, step.activation.high) if math.isfinite(b)]
    view = NodeView(step.node, network.constants)
    if step.operator != "Pad" or view.node.attributes.get("mode", b"constant") != b"constant":
        return bounds
    try:
        filling = view.array(2) if view.given(2) else np.array(view.real("value", 0.0))
    except NodeFault:
        return bounds  # its own translation reports it
    if filling.dtype.kind not in "fiu":
        return bounds
    if view.given(2) and view.name(2) in network.grids:
        filling = network.grids[view.name(2)].dequantize(filling)
    return [*bounds, *(float(v) for v in filling.ravel()[:1])]


def _backward(network: Network) -> None:
    readers = network.readers()
    made = [name for step in reversed(network.steps) for name in step.outputs]
    for name in [*made, *(value.name for value in network.inputs)]:
        if name in network.grids or name in network.raw or name in network.outputs.values():
            continue
        grids = {_passed_back(step, name, network) for step in readers.get(name, [])}
        grid = grids.pop() if len(grids) == 1 else None
        if grid is not None:
            network.grids[name] = grid
            if any(_breaks_pairs(step, step.outputs, network) for step in readers[name]):
                network.unpaired.add(name)


def _passed_back(step: Step, name: str, network: Network) -> FileGrid | None:
    """The grid on which a step's operand may be rounded instead of its results; None if there is none."""
    carries = step.operator in _MERGING or (moves(step) and step.inputs[0] == name)
    grids = {network.grids[n] for n in step.outputs if n in network.grids}
    return grids.pop() if carries and len(grids) == 1 else None


def _breaks_pairs(step: Step, ends: Sequence[str], network: Network) -> bool:
    """Whether ONNX Runtime moves no QuantizeLinear and DequantizeLinear from one side of a step to the other."""
    return step.operator not in _WITH_A_PAIR or not network.unpaired.isdisjoint(ends)


def _rounded_otherwise(network: Network) -> list[Fault]:
    faults = []
    for step in network.steps:
        if step.node.op_type not in _ROUNDED_OTHERWISE:
            continue
        ends = [n for n in (*step.inputs, *step.outputs) if n in network.grids]
        bare = next((n for n in ends if n in network.unpaired), None)
        if bare is not None and all(network.grids[n].dtype.itemsize == 1 for n in ends):
            rule = "an operand or result of this operator has a QuantizeLinear and a DequantizeLinear of its own"
            faults.append(Fault(step.where, bare, rule, "put both beside this node: without them it runs in float32"))
    return faults


def _arithmetic_on_codes(network: Network) -> list[Fault]:
    rule = "an operator on integers without DequantizeLinear moves, picks or compares them"
    allowed = _MOVING | _MERGING | _INDEX_RESULTS | SHAPE_READERS | {"RequantShift"}
    return [Fault(s.where, s.operator, rule) for s in network.steps if s.on_codes and s.operator not in allowed]


def _without_grid(network: Network) -> list[Fault]:
    faults = []
    for value in network.inputs:
        if value.name not in network.grids and value.dtype is not None and value.dtype.kind == "f":
            rule = "an input of an integer network is quantized before it is used"
            faults.append(
                Fault(f"input {value.name!r}", "float", rule, "put QuantizeLinear and DequantizeLinear behind it")
            )
    for step in network.steps:
        if step.operator in _INDEX_RESULTS | SHAPE_READERS:
            continue
        missing = [n for n in step.outputs if n and n not in network.grids and n not in network.raw]
        if missing and not network.broken & {*missing, *step.inputs}:
            faults.append(Fault(step.where, missing[0], _NEEDS_GRID, _CURE))
    return faults


def _read_as_floats(network: Network) -> list[Fault]:
    """Values that are quantized, but also read before that. Values lie on grids known before `_backward`."""
    makers = network.makers()
    faults = []
    for name, where in network.float_reads.items():
        if name not in network.quantized:
            continue
        maker = makers.get(name)
        if maker is not None and _inherited(maker, network) == network.grids.get(name):
            continue  # its values lie on the grid already
        faults.append(Fault(where, name, "a quantized value is read through DequantizeLinear only"))
    return faults
