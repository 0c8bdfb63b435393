"""What micro-kernels that watch their accumulators have in common: extremes of every partial sum.

A step that watches keeps, at RECORD bytes from the beginning of a thread's scratch memory, the smallest and the largest
value that each lane has held: int64 [2, lanes]. Lanes past the last column start with a bias that exists and have
weights 0, so they hold nothing that no accumulator holds.
"""

from llvmlite import ir

from accel_kernels.native.emit import I64, Emitter, Value, vector
from accel_kernels.native.tier import tier

LANES = tier().lanes


def widen_extremes(e: Emitter, lows: list[Value], highs: list[Value], record: Value) -> None:
    """Include vectors of extremes, of 32 or of 64 bits, in the record."""
    kind = vector(I64, LANES)
    for values, name, place in ((lows, "smin", record), (highs, "smax", e.add(record, 8 * LANES))):
        total = values[0]
        for value in values[1:]:
            total = e.elementwise(name, total, value)
        wide = total if total.type.element == I64 else e.builder.sext(total, kind)
        e.store(e.elementwise(name, e.load(place, kind), wide), place)


def first_of_pairs(e: Emitter, weights: Value) -> Value:
    """The weights with the second of each pair 0."""
    return e.builder.and_(weights, ir.Constant(weights.type, [0xFFFF] * LANES))
