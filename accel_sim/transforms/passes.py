"""The pass runner: rewrites in a row, each checked to keep the graph's interface."""

from collections.abc import Callable, Iterable, Iterator

from accel_sim.errors import Fault, GraphError
from accel_sim.ir import Graph
from accel_sim.transforms.deduplicate_constants import deduplicate_constants
from accel_sim.transforms.eliminate_dead import eliminate_dead
from accel_sim.transforms.eliminate_identities import eliminate_identities
from accel_sim.transforms.fold_batchnorm import fold_batchnorm
from accel_sim.transforms.fuse_activation import fuse_activation
from accel_sim.transforms.matmul_to_fully_connected import matmul_to_fully_connected

Pass = Callable[[Graph], Graph]
"""A pure rewrite: the same function of the inputs, up to the rounding of folded constants."""

CANONICAL_FLOAT: tuple[Pass, ...] = (
    eliminate_dead,
    eliminate_identities,
    matmul_to_fully_connected,
    fold_batchnorm,
    fuse_activation,
    eliminate_dead,
    deduplicate_constants,
)
"""What a float network goes through before it is quantized."""


def run_passes(graph: Graph, passes: Iterable[Pass] = CANONICAL_FLOAT) -> Graph:
    """The graph after all passes, in order.

    Raises:
        GraphError: from a pass that refuses the graph, or naming the pass that broke it or changed its interface.
    """
    for apply in passes:
        after = apply(graph)
        faults = list(_interface_faults(graph, after))
        if faults:
            raise GraphError(f"pass {getattr(apply, '__name__', repr(apply))}", faults)
        graph = after
    return graph


def _interface_faults(before: Graph, after: Graph) -> Iterator[Fault]:
    """A pass keeps names, order, shapes, types and grids of inputs and outputs, and where the graph came from."""
    for label in ("inputs", "outputs"):
        names = getattr(before, label)
        if getattr(after, label) != names:
            yield Fault(label, str(getattr(after, label)), f"stay {names}")
            continue
        for name in names:
            old, new = before.tensors[name], after.tensors[name]
            if (old.shape, old.element, old.quant) != (new.shape, new.element, new.quant):
                yield Fault(f"{label} {name!r}", f"{new.element.value}{list(new.shape)}", "stays as it was")
    if (before.source, before.sha256) != (after.source, after.sha256):
        yield Fault("source", after.source.value, f"stays {before.source.value}")
