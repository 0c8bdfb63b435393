"""A network as shapes alone: convolutions and matrix products without weights, for cycles and traffic."""

from accel_sim.records import dataclass


@dataclass(frozen=True)
class TopologyLayer:
    """One convolution; a product [rows x depth] @ [depth x channels] is a 1x1 convolution over an image of 1 x rows.

    Attributes:
        name: of the layer, unique in its topology.
        height, width, depth: of the input image; it is not padded, or its padding is part of it.
        kernel: height and width. channels: output channels (of each group). stride: vertical and horizontal.
        groups: 1, or `depth` for a depthwise convolution.
    """

    name: str
    height: int
    width: int
    depth: int
    kernel: tuple[int, int]
    channels: int
    stride: int = 1
    groups: int = 1

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output; a window that begins inside the image counts, as in SCALE-Sim."""
        height, width = (
            -(-(extent - kernel + self.stride) // self.stride)
            for extent, kernel in zip((self.height, self.width), self.kernel, strict=True)
        )
        return height, width


@dataclass(frozen=True)
class Topology:
    """The layers of a network in order; sha256 of the file that they came from."""

    name: str
    layers: tuple[TopologyLayer, ...]
    sha256: str
