"""Classes of samples, and how many scores are largest at theirs."""

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph

Array = NDArray[np.generic]


def checked_labels(labels: Array, count: int) -> Array:
    """Labels as a vector.

    Raises:
        InputError: not one for each of `count` samples, or no class numbers.
    """
    vector, faults = np.asarray(labels).reshape(-1), []
    if len(vector) != count:
        faults.append(Fault("labels", f"{len(vector):,}", f"there is one for each of the {count:,} samples"))
    if vector.dtype.kind not in "iu":
        faults.append(Fault("labels", str(vector.dtype), "a label is the number of a class, an integer"))
    if faults:
        raise InputError("labels", faults)
    return vector


def labels_per_sample(graph: Graph) -> int:
    """The network's own batch."""
    shape = graph.tensors[graph.outputs[0]].shape
    return shape[0] if shape else 1


def top1(scores: Array, count: int) -> NDArray[np.int64]:
    """The class of the largest score of each of `count` samples."""
    return np.asarray(scores.reshape(count, -1).argmax(1))
