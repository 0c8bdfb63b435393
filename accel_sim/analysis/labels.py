"""Classes of samples, and how many scores are largest at theirs."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, InputError
from accel_sim.ir import Graph

Array = NDArray[np.generic]


def checked_labels(labels: Array, count: int, classes: int) -> Array:
    """Labels as a vector.

    Raises:
        InputError: not one for each of `count` samples, or no numbers of the network's `classes`.
    """
    vector, faults = label_vector(labels), []
    if len(vector) != count:
        given = f"{len(vector):,} for {count:,} sample{'s' * (count != 1)}"
        faults.append(Fault("number", given, "there is one for each sample of the inputs"))
    if vector.dtype.kind not in "iu":
        faults.append(Fault("type", str(vector.dtype), "a label is the number of a class, an integer"))
    elif len(wrong := np.flatnonzero((vector < 0) | (vector >= classes))):
        value = f"{vector[wrong[0]]} of sample {wrong[0]}" + f", and {len(wrong) - 1:,} more" * (len(wrong) > 1)
        rule = f"a label is one of the network's {classes:,} classes: 0 to {classes - 1:,}"
        faults.append(Fault("class", value, rule))
    if faults:
        raise InputError("labels", faults)
    return vector


def label_vector(labels: object) -> NDArray[Any]:
    """Labels one after the other, whatever their axes.

    Raises:
        InputError: lists of different lengths.
    """
    try:
        return np.asarray(labels).reshape(-1)
    except ValueError:
        rule = "there is one number for each sample"
        raise InputError("labels", [Fault("shape", "rows of different lengths", rule)]) from None


def labels_per_sample(graph: Graph) -> int:
    """The network's own batch."""
    shape = graph.tensors[graph.outputs[0]].shape
    return shape[0] if shape else 1


def classes_of(graph: Graph) -> int:
    """Scores of each sample in the network's first output."""
    return prod(graph.tensors[graph.outputs[0]].shape) // max(labels_per_sample(graph), 1)


def top1(scores: Array, count: int) -> NDArray[np.int64]:
    """The class of the largest score of each of `count` samples."""
    return np.asarray(scores.reshape(count, -1).argmax(1))
