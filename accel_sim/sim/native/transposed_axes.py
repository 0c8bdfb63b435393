"""The phases of a transposed convolution: outputs that meet the same taps of the kernel."""

from accel_sim.program import TransposeConvolve
from accel_sim.records import dataclass


@dataclass(frozen=True)
class AxisPhase:
    """A phase along one axis: its outputs, `stride` apart from `first` on; the input of the first; its taps' distances.

    Taps are positions in the kernel, those that meet later inputs first.
    """

    first: int
    count: int
    start: int
    taps: tuple[int, ...]
    distances: tuple[int, ...]


def axis_phases(command: TransposeConvolve, *, ascending: bool = False) -> list[list[AxisPhase]]:
    """The phases of rows and of columns that have any output; `ascending`: their taps in the kernel's order."""
    window = command.window
    axes = []
    for axis, pad in enumerate((window.pad_top, window.pad_left)):
        stride, dilation, extent = window.strides[axis], window.dilations[axis], command.output_to.shape[1 + axis]
        phases = []
        for first in range(min(stride, extent)):
            taps = [k for k in range(window.kernel[axis]) if (first + pad - k * dilation) % stride == 0]
            taps = taps if ascending else taps[::-1]
            distances = tuple(k * dilation // stride for k in taps)
            count = -(-(extent - first) // stride)
            phases.append(AxisPhase(first, count, (first + pad) // stride, tuple(taps), distances))
        axes.append(phases)
    return axes
