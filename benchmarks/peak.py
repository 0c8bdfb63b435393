"""How many multiply-accumulates the processor's best instruction for codes of 8 bits does, in registers alone.

It multiplies codes and weights as networks have them, not zeros: on tiles, bits that change cost power, power speed.
"""

import ctypes
from collections.abc import Callable, Sequence

import networks
import numpy as np
from numpy.typing import NDArray

from accel_kernels._types import Int64
from accel_kernels.native.compile import compile_function
from accel_kernels.native.emit import I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.objects import link
from accel_kernels.native.packing import aligned_bytes
from accel_kernels.native.products import pair_products
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS, tier
from accel_kernels.native.tiles import configure_tiles, pointer, release_tiles, tile
from accel_sim.ir import ElementType

_CHAINS = 12
_ROUNDS = 40_000


def peak() -> tuple[Callable[[], object], int]:
    """(work of a tenth of a millisecond or more, multiply-accumulates that it is)."""
    chosen = tier()
    if chosen.tiles:
        each, emit = 4 * TILE_ROWS * TILE_ROWS * TILE_BYTES, _tiles
    else:
        each, emit = _CHAINS * chosen.lanes * (4 if chosen.quads else 2), _vectors
    spin_some = intrinsic(2, emit)

    def spin(rounds: Int64, out: Int64) -> None:
        spin_some(rounds, out)

    place = _operands()
    entry = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(link(compile_function(spin)))
    return lambda: (entry(_ROUNDS, place.ctypes.data), place), each * _ROUNDS


def _operands() -> NDArray[np.uint8]:
    """Two registers of codes, as uint8, and two of weights, as int8, room behind them."""
    rng, size = np.random.default_rng(0), 2 * TILE_ROWS * TILE_BYTES
    operands = aligned_bytes(2 * size + 4 * 16 * _CHAINS)
    operands[:size] = networks.activations(rng, (size,), ElementType.UINT8)
    operands[size : 2 * size].view(np.int8)[:] = networks.weight_codes(rng, (size,))
    return operands


def _vectors(e: Emitter, arguments: Sequence[Value]) -> None:
    rounds, operands = arguments
    lanes = tier().lanes
    kind, half = vector(I32, lanes), 2 * TILE_ROWS * TILE_BYTES
    codes, weights = (e.load(e.add(operands, place), kind) for place in (0, half))

    def add(sums: Value) -> Value:
        if tier().quads:
            return e.call(f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", kind, [sums, codes, weights])
        return e.builder.add(sums, pair_products(e, sums, weights))

    start = [e.constant(kind, i) for i in range(_CHAINS)]
    for i, sums in enumerate(e.loop(rounds, start, lambda _, chains: [add(chain) for chain in chains])):
        e.store(sums, e.add(operands, 2 * half + 4 * lanes * i))


def _tiles(e: Emitter, arguments: Sequence[Value]) -> None:
    rounds, operands = arguments
    configure_tiles(e, [e.number(TILE_ROWS)])
    for index in range(4):
        tile(e, "tilezero", index)
        place = e.add(operands, index * TILE_ROWS * TILE_BYTES)
        tile(e, "tileloadd64", 4 + index, pointer(e, place), e.number(TILE_BYTES))

    def four(_: Value, carried: list[Value]) -> list[Value]:
        for i in range(4):
            tile(e, "tdpbusd", i, 4 + i // 2, 6 + i % 2)
        return []

    e.loop(rounds, [], four)
    release_tiles(e, [])
