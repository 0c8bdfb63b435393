"""Convolutions and pools of one dimension, which are those of images of one row.

A step whose operand is [N, C, L] is translated as one of [N, C, 1, L]: its operand and its result get another shape
before and behind it, its weights [O, C, k] are [O, C, 1, k], and attributes gain the numbers of a row.
"""

from dataclasses import replace

from accel_sim.frontend.onnx.emitter import Emitter
from accel_sim.frontend.onnx.model import Attribute, RawNode
from accel_sim.frontend.onnx.network import Step
from accel_sim.ir import Reshape

_OPERATORS = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_LINE_RANK = 3
_ROW = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}
"""The number that stands for the row; of `pads`, one at either end."""


def is_line(step: Step, emitter: Emitter) -> bool:
    """Whether a step slides over one dimension, with constant weights of one, if any."""
    if step.operator not in _OPERATORS or not step.inputs or step.inputs[0] not in emitter.values:
        return False
    weights = [emitter.network.constants.get(name) for name in step.inputs[1:2]]
    sizes = len(emitter.values[step.inputs[0]].shape), *(0 if w is None else w.ndim for w in weights)
    return set(sizes) == {_LINE_RANK}


def as_image(step: Step, emitter: Emitter) -> Step:
    """The step over an image of one row: operand and constants are in place, its result has a name of its own."""
    network = emitter.network
    name = f"{step.outputs[0]}/row"
    inputs = [_image(step.inputs[0], f"{name}/operand", emitter), *step.inputs[1:]]
    if len(inputs) > 1:
        weights, inputs[1] = network.constants[inputs[1]], f"{inputs[1]}/row"
        network.constants[inputs[1]] = weights.reshape(*weights.shape[:2], 1, weights.shape[2])
        if step.inputs[1] in network.grids:
            network.grids[inputs[1]] = network.grids[step.inputs[1]]
    if step.outputs[0] in network.grids:
        network.grids[name] = network.grids[step.outputs[0]]
    if step.outputs[0] in network.raw:
        network.raw.add(name)
    attributes = {key: _with_row(key, value) for key, value in step.node.attributes.items()}
    node = step.node
    raw = RawNode(node.name, node.op_type, tuple(inputs), (name, *node.outputs[1:]), attributes, node.opset)
    return replace(step, node=raw)


def as_line(step: Step, image: Step, emitter: Emitter) -> None:
    """The result of `image` as that of the step: without the row."""
    made = emitter.values[image.outputs[0]]
    batch, channels, _, length = made.shape
    axes = tuple(a - (a > 1) for a in made.axes if a != 2)  # without the row's axis; the length is then axis 2
    result = emitter.result(step.outputs[0], (batch, channels, length), axes)
    emitter.node(result.tensor, Reshape(), [made.tensor], [result])


def _image(name: str, made: str, emitter: Emitter) -> str:
    value = emitter.values[name]
    batch, channels, length = value.shape
    shape = batch, channels, 1, length
    axes = tuple(b for a in value.axes for b in ((2, 3) if a == 2 else (a,)))
    image = emitter.like(made, value, shape, axes)
    emitter.node(image.tensor, Reshape(), [value.tensor], [image])
    emitter.values[made] = image
    if name in emitter.network.grids:
        emitter.network.grids[made] = emitter.network.grids[name]
    return made


def _with_row(key: str, value: Attribute) -> Attribute:
    numbers = [v for v in value if isinstance(v, int)] if isinstance(value, list) else []
    if key == "pads" and len(numbers) == 2:
        return [0, numbers[0], 0, numbers[1]]
    return [_ROW[key], *numbers] if key in _ROW and len(numbers) == 1 else value
