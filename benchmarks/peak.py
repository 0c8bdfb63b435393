"""How many multiply-accumulates the processor's best instruction for codes of 8 bits does, in registers alone."""

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir

from accel_kernels._types import Int64
from accel_kernels.native.compile import compile_function
from accel_kernels.native.emit import I8, I32, Emitter, Value, intrinsic, vector
from accel_kernels.native.objects import link
from accel_kernels.native.products import pair_products
from accel_kernels.native.tier import TILE_BYTES, TILE_ROWS, tier
from accel_kernels.native.tiles import configure_tiles, release_tiles

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

    place = np.zeros(16 * (_CHAINS + 1), np.int32)
    entry = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(link(compile_function(spin)))
    return lambda: (entry(_ROUNDS, place.ctypes.data), place), each * _ROUNDS


def _vectors(e: Emitter, arguments: Sequence[Value]) -> None:
    rounds, out = arguments
    lanes = tier().lanes
    kind = vector(I32, lanes)
    start = [e.load(e.add(out, 4 * lanes * i), kind) for i in range(_CHAINS + 1)]

    def add(sums: Value) -> Value:
        if tier().quads:
            return e.call(f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", kind, [sums, start[-1], start[-1]])
        return e.builder.add(sums, pair_products(e, sums, start[-1]))

    for i, sums in enumerate(e.loop(rounds, start[:-1], lambda _, chains: [add(chain) for chain in chains])):
        e.store(sums, e.add(out, 4 * lanes * i))


def _tiles(e: Emitter, arguments: Sequence[Value]) -> None:
    (rounds, _), registers = arguments, [ir.Constant(I8, i) for i in range(8)]
    configure_tiles(e, [e.number(TILE_ROWS)])
    for register in registers:
        e.call("llvm.x86.tilezero", ir.VoidType(), [register])

    def four(_: Value, carried: list[Value]) -> list[Value]:
        for i in range(4):
            e.call("llvm.x86.tdpbusd", ir.VoidType(), [registers[i], registers[4 + i // 2], registers[6 + i % 2]])
        return []

    e.loop(rounds, [], four)
    release_tiles(e, [])
