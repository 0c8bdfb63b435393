"""What micro-kernels that watch their accumulators have in common: extremes of every partial sum.

A step that watches keeps, at RECORD bytes from the beginning of a thread's scratch memory, the smallest and the largest
value that each lane has held: int32 [2, lanes]. Lanes past the last column start with a bias that exists and have
weights 0, so they hold nothing that no accumulator holds.
"""

from llvmlite import ir

from accel_kernels.native.emit import I32, Emitter, Value, vector
from accel_kernels.native.tier import tier

LANES = tier().lanes


def widen_extremes(e: Emitter, lows: list[Value], highs: list[Value], record: Value) -> None:
    """Include vectors of extremes in the record."""
    kind = vector(I32, LANES)
    for values, name, place in ((lows, "smin", record), (highs, "smax", e.add(record, 4 * LANES))):
        total = e.load(place, kind)
        for value in values:
            total = e.elementwise(name, total, value)
        e.store(total, place)


def first_of_pairs(e: Emitter, weights: Value) -> Value:
    """The weights with the second of each pair 0."""
    return e.builder.and_(weights, ir.Constant(weights.type, [0xFFFF] * LANES))
