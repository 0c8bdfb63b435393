"""A transposed convolution as sub-pixel convolutions: which output pixels meet which kernel taps.

An output row oy meets the kernel rows ky with (oy + pad_top - ky*dh) divisible by sh. Rows thus fall into
sh / gcd(sh, dh) phases, columns likewise; a phase of the image is one ordinary product (`program.geometry`). Phases are
filled up to equal sizes with pixels and taps that do not exist.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from accel_sim.program import TransposeConvolve
from accel_sim.records import dataclass
from accel_sim.sim.memory import Array

Int64s = NDArray[np.int64]

ABSENT = -1


@dataclass(frozen=True)
class Phase:
    """One phase of both axes.

    Attributes:
        pixels: int64 [P] output pixels, row-major over N, Ho, Wo; ABSENT where the phase has fewer.
        taps: int64 [T] positions ky' * kw + kx' in the order of `gather_transposed_panel` (input pixels ascending), or
            ABSENT.
    """

    pixels: Int64s
    taps: Int64s

    def panel(self, whole: Array) -> Array:
        """[P, T * channels]: this phase's part of the panel [all pixels, all taps, channels]; 0 where absent."""
        part = whole[self.pixels][:, self.taps]
        part[self.pixels == ABSENT] = 0
        part[:, self.taps == ABSENT] = 0
        return part.reshape(len(self.pixels), len(self.taps) * whole.shape[2])

    def weights(self, whole: Array) -> Array:
        """[N, T * channels]: this phase's part of the weights [N, all taps, channels], taps ordered as in the panel."""
        part = whole[:, self.taps]
        part[:, self.taps == ABSENT] = 0
        return part.reshape(len(whole), len(self.taps) * whole.shape[2])


def phases_of(command: TransposeConvolve) -> tuple[Phase, ...]:
    """All phases; output pixels that belong to none receive nothing but their bias."""
    n, height, width, _ = command.output_to.shape
    rows, columns = (_axis_phases(command, axis, extent) for axis, extent in enumerate((height, width)))
    images = np.arange(n)[:, None, None]
    return tuple(
        Phase(
            _combined(images * height + oy[:, None], ox, width, oy[:, None], ox),
            _combined(ky[:, None], kx, command.window.kernel[1], ky[:, None], kx),
        )
        for oy, ky in rows
        for ox, kx in columns
    )


def _combined(major: Int64s, minor: Int64s, size: int, *sources: Int64s) -> Int64s:
    """major * size + minor, flat; ABSENT where any source is."""
    index = major * size + minor
    for source in sources:
        index = np.where(source == ABSENT, ABSENT, index)
    return index.ravel()


def _axis_phases(command: TransposeConvolve, axis: int, extent: int) -> list[tuple[Int64s, Int64s]]:
    """Output positions and taps of each phase of an axis, filled up with ABSENT."""
    window = command.window
    stride, dilation, kernel = window.strides[axis], window.dilations[axis], window.kernel[axis]
    pad = (window.pad_top, window.pad_left)[axis]
    step = gcd(stride, dilation)
    positions, taps = np.arange(extent), np.arange(kernel)
    reached = (kernel - 1 - taps) * dilation % stride  # taps run backwards
    return [
        (
            _filled(positions[(positions + pad) % stride == residue], -(-extent // stride)),
            _filled(taps[reached == residue], -(-kernel // (stride // step))),
        )
        for residue in range(0, stride, step)
    ]


def _filled(values: Int64s, size: int) -> Int64s:
    return np.concatenate([values, np.full(size - len(values), ABSENT)]).astype(np.int64)
