"""Which command a layer's name means."""

from collections.abc import Sequence
from difflib import get_close_matches

from accel_sim.arguments import wrong_kind
from accel_sim.errors import Fault, InputError
from accel_sim.program import Command, Convolve, MatrixMultiply, Program, TransposeConvolve
from accel_sim.program.geometry import MatrixCommand

_NEAREST = 5
_JOINED = ";"  # TFLite's converter names a fused layer after all of its parts


def layer_name(program: Program, text: str) -> str:
    """The layer of that name, or the only one whose name contains the text.

    Raises:
        InputError: no such layer, or several; names those nearest to it.
    """
    if not isinstance(text, str):
        raise wrong_kind("layer", text, "is the name of a layer, or a part of it")
    names = _layers(program.commands)
    containing = [name for name in names if text and text in name]
    if text in names:
        return text
    if len(containing) == 1:
        return containing[0]
    rule = "names one layer, in full or by a part that no other has" if containing else "is a layer or a part of one"
    fault = Fault("layer", repr(text), rule, _nearest(text, containing or names, names))
    raise InputError(f"program {program.name!r}", [fault])


def matrix_command(program: Program, text: str) -> tuple[int, MatrixCommand]:
    """The convolution or matrix product of a layer (`layer_name`), with its index.

    Raises:
        InputError: no such layer, or one without integer accumulators; names layers that have them.
    """
    layer = layer_name(program, text)
    for index, command in enumerate(program.commands):
        if command.layer == layer and isinstance(command, MatrixCommand) and _on_integers(command):
            return index, command
    op = next(command.op for command in program.commands if command.layer == layer)
    having = _layers([c for c in program.commands if isinstance(c, MatrixCommand) and _on_integers(c)])
    rule = "is a convolution or a matrix product on integers: only those have accumulators"
    cure = _nearest(text, having, _layers(program.commands))
    raise InputError(f"layer {layer!r}", [Fault("operator", op, rule, cure)])


def first_matrix_layer(program: Program) -> str:
    """The name of the first layer that `matrix_command` takes.

    Raises:
        InputError: the network has none.
    """
    for command in program.commands:
        if isinstance(command, MatrixCommand) and _on_integers(command):
            return command.layer
    fault = Fault("layers", str(len(program.commands)), "one is a convolution or a matrix product on integers")
    raise InputError(f"program {program.name!r}", [fault])


def _layers(commands: Sequence[Command]) -> list[str]:
    return list(dict.fromkeys(command.layer for command in commands))


def _on_integers(command: Convolve | TransposeConvolve | MatrixMultiply) -> bool:
    return command.float_accumulation is None


def _nearest(text: str, candidates: list[str], names: list[str]) -> str:
    """The candidates most like a wrong name; the first ones where none is like it."""
    short = [_short(name, names) for name in candidates]
    near = get_close_matches(text, short, _NEAREST, 0.4)
    if near:
        return f"nearest: {', '.join(map(repr, near))}"
    if not short:
        return "this network has none"
    return f"there are: {', '.join(map(repr, short[:_NEAREST]))}{', ...' if len(short) > _NEAREST else ''}"


def _short(name: str, names: list[str]) -> str:
    """The first part of a joined name, where it tells the layer from all others."""
    part = name.split(_JOINED)[0]
    return part if sum(part in other for other in names) == 1 else name
