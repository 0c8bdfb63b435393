"""What given inputs of a network lead to: the codes of every tensor that accumulators read."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from accel_sim.analysis.overflow.dot_products import dot_products
from accel_sim.analysis.overflow.intervals import Interval, observed
from accel_sim.analysis.samples import batches, sample_count
from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph
from accel_sim.program import Program
from accel_sim.sim.machine import Machine
from accel_sim.sim.result import Level

Array = NDArray[np.generic]
_BATCH_BYTES = 1 << 26  # of codes that are held at once


def observed_intervals(
    graph: Graph,
    program: Program,
    inputs: Mapping[str, Array],
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Interval]:
    """The hull of the codes of each layer's operands, for each index of their last axis.

    Args:
        graph: an integer graph.
        program: of it.
        inputs: one array for each input of the network, in the file's layout.
        threads: as for `accel_sim.run`.
        progress: called with the samples done and the samples in all.

    Raises:
        InputError: wrong inputs, or none.
    """
    total = sample_count(graph, inputs)
    if not total:
        raise InputError("inputs", [Fault("samples", "0", "there is at least one sample to observe")])
    operands = [t for p in dot_products(graph) for t in (p.x, p.w) if not t.is_constant]
    names = tuple(dict.fromkeys(t.name for t in operands))
    size = max(1, _BATCH_BYTES // max(1, sum(t.size for t in operands)))
    machine, found, done = Machine(program.hardware), observed(graph, {}), 0
    for batch in batches(graph, inputs, size):
        result = machine.run(program, batch, Level.FUNCTIONAL, keep=names, threads=threads)
        for name, codes in result.tensors.items():
            seen = Interval.of_codes(codes, codes)
            found[name] = found[name].joined(seen) if name in found else seen
        done += result.samples
        if progress:
            progress(done, total)
    return found
