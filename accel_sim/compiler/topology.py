"""Commands for a network that is known by its shapes alone. They can be timed, not run: they have no data."""

from dataclasses import replace

from accel_sim.compiler.matrices import UNTILED
from accel_sim.compiler.tile import tile
from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Convolve, Operand, Region, Window
from accel_sim.program.topology import Topology, TopologyLayer


def compile_topology(topology: Topology, hardware: AcceleratorConfig) -> tuple[Command, ...]:
    """A convolution of int8 operands for each layer, tiled; layers share no tensors, and there is no bias.

    Raises:
        CompileError: every layer whose smallest tile does not fit the memories.
    """
    return tile([_convolve(layer) for layer in topology.layers], hardware)


def _convolve(layer: TopologyLayer) -> Convolve:
    height, width = layer.output
    channels = layer.channels * layer.groups
    x = Operand(f"{layer.name}:input", Region.ACTIVATIONS, 0, (1, layer.height, layer.width, layer.depth), "int8")
    return Convolve(
        layer=layer.name,
        op="Conv2D" if layer.kernel != (1, 1) or layer.height > 1 else "MatMul",
        input=x,
        weights=replace(
            x,
            name=f"{layer.name}:weights",
            region=Region.CONSTANTS,
            shape=(channels, *layer.kernel, layer.depth // layer.groups),
        ),
        bias=None,
        output_to=replace(x, name=f"{layer.name}:output", shape=(1, height, width, channels)),
        window=Window(layer.kernel, (layer.stride, layer.stride)),
        groups=layer.groups,
        input_zero_point=0,
        weight_zero_point=(0,),
        wide_accumulator=False,
        output=None,
        tiling=UNTILED,
    )
