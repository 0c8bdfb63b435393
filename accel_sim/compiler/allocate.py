"""Addresses: activations share one arena as their lifetimes allow, constants lie in one image without duplicates.

A tensor lives from the command that first writes it (network inputs: from the start) to the last that reads it (network
outputs: to the end); all its views count. Tensors are placed largest first, where nothing that lives at the same time
lies. What a command reads and what it writes live at the same time, so no command works in place.

A tensor lies around the middle of a larger one, if it can: where two threads compute half of the rows of each tensor,
both then write where they have written before, and not into what lies, newer than in memory, in the other one's caches.
Other tensors take the lowest free address, and all do if less memory is enough then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.compiler.lowering import Lowered
from accel_sim.program import Command, Operand, Region, operands_of, read_by, written_by
from accel_sim.records import dataclass

ALIGNMENT = 64
"""Bytes; of every address in both regions."""


@dataclass(frozen=True)
class Lifetime:
    """First and last command at which a memory is in use (-1: before the first), and its size in bytes."""

    first: int
    last: int
    size_bytes: int

    def overlaps(self, other: "Lifetime") -> bool:
        """Whether both are in use at some command."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placed:
    """A network whose operands have addresses."""

    commands: tuple[Command, ...]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    constants: bytes
    activation_bytes: int


def allocate(lowered: Lowered) -> Placed:
    """The commands and ports with every operand at its address."""
    lives = lifetimes(lowered)
    arena = place(lives)
    used = {lowered.views.get(o.name, o.name) for o in _all_operands(lowered) if o.region is Region.CONSTANTS}
    image, addresses = _constant_image({n: d for n, d in lowered.constants.items() if n in used})

    def located(operand: Operand) -> Operand:
        name = lowered.views.get(operand.name, operand.name)
        return replace(operand, address=(arena if operand.region is Region.ACTIVATIONS else addresses)[name])

    return Placed(
        tuple(_relocate(c, {name: located(o) for name, o in operands_of(c)}) for c in lowered.commands),
        tuple(map(located, lowered.inputs)),
        tuple(map(located, lowered.outputs)),
        image,
        end_of(lives, arena),
    )


def lifetimes(lowered: Lowered) -> dict[str, Lifetime]:
    """The lifetime of each memory in the arena, by the name of the operand that owns it."""
    lives: dict[str, Lifetime] = {}

    def use(operand: Operand, at: int) -> None:
        if operand.region is not Region.ACTIVATIONS:
            return
        name = lowered.views.get(operand.name, operand.name)
        life = lives.get(name, Lifetime(at, at, operand.size_bytes))
        lives[name] = Lifetime(min(life.first, at), max(life.last, at), max(life.size_bytes, operand.size_bytes))

    for operand in lowered.inputs:
        use(operand, -1)
    for at, command in enumerate(lowered.commands):
        for operand in (*read_by(command), written_by(command)):
            use(operand, at)
    for operand in lowered.outputs:
        use(operand, len(lowered.commands))
    return lives


def place(lives: Mapping[str, Lifetime]) -> dict[str, int]:
    """An address for each memory."""
    centred, lowest = _placed(lives, centred=True), _placed(lives, centred=False)
    return centred if end_of(lives, centred) <= end_of(lives, lowest) else lowest


def end_of(lives: Mapping[str, Lifetime], addresses: Mapping[str, int]) -> int:
    """Bytes of the arena."""
    return max((addresses[name] + life.size_bytes for name, life in lives.items()), default=0)


def _placed(lives: Mapping[str, Lifetime], *, centred: bool) -> dict[str, int]:
    addresses: dict[str, int] = {}
    middles: list[int] = []
    for name in sorted(lives, key=lambda n: (-lives[n].size_bytes, lives[n].first, n)):
        neighbours = sorted(
            (addresses[other], addresses[other] + lives[other].size_bytes)
            for other in addresses
            if lives[other].overlaps(lives[name])
        )
        size = lives[name].size_bytes
        place = _around(middles, neighbours, size) if centred else None
        if place is None:
            place = _lowest_gap(neighbours, size)
            middles.append(place + size // 2)
        addresses[name] = place
    return addresses


def _around(middles: Iterable[int], taken: list[tuple[int, int]], size: int) -> int | None:
    """The lowest free address of a memory that lies around one of the middles."""
    places = ((middle - size // 2) // ALIGNMENT * ALIGNMENT for middle in middles)
    free = (place for place in places if place >= 0 and all(e <= place or place + size <= b for b, e in taken))
    return min(free, default=None)


def _lowest_gap(taken: list[tuple[int, int]], size: int) -> int:
    address = 0
    for begin, end in taken:
        if address + size <= begin:
            break
        address = max(address, _align(end))
    return address


def _align(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT


def _constant_image(constants: Mapping[str, NDArray[np.generic]]) -> tuple[bytes, dict[str, int]]:
    """All constants one after the other; equal bytes are stored once."""
    contents = {name: _bytes_of(data) for name, data in constants.items()}
    known: dict[tuple[int, bytes], int] = {}
    parts: list[memoryview | bytes] = []
    addresses, end = {}, 0
    for name, content in contents.items():
        key = content.nbytes, blake2b(content).digest()
        if key not in known:
            start = _align(end)
            parts += [bytes(start - end), content]
            known[key], end = start, start + content.nbytes
        addresses[name] = known[key]
    return b"".join(parts), addresses


def _bytes_of(data: NDArray[np.generic]) -> memoryview:
    """The array's own bytes, which are not copied where they lie in order."""
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8).data


def _relocate(command: Command, operands: dict[str, Any]) -> Command:
    return replace(command, **operands)


def _all_operands(lowered: Lowered) -> Iterable[Operand]:
    for command in lowered.commands:
        yield from (operand for _, operand in operands_of(command))
    yield from (*lowered.inputs, *lowered.outputs)
