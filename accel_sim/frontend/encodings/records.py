"""What an encodings file says, whatever its version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

VERSIONS = ("0.6.1", "1.0.0", "2.0.0", "2.1.0")
"""The versions that are read and written."""


class Role(Enum):
    """Whether a tensor is computed or stored. Versions 0.6.1 and 1.0.0 keep two lists, 2.x only one."""

    ACTIVATION = "activation"
    PARAMETER = "parameter"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Encoding:
    """The grid of one tensor.

    Attributes:
        name: of the tensor in the ONNX file.
        bits: width of a code.
        scale: one per tensor, channel or block, in row-major order; as the file has them. Empty for floats.
        offset: as many; the negative zero point of codes in [0, 2^bits - 1], whatever `signed` says.
        signed: how codes are written: two's complement, or counted from 0. The real grid is the same.
        axis: the channel axis in the file's own axis order, or the block axis where there are blocks; None per tensor,
            and where the file does not say it.
        per_channel: whether there is one scale per channel.
        block_size: elements that share a scale along `axis`; 0 without blocks.
        shape: of the scales where they have more than one axis (2.x with blocks); else ().
        is_float: not a grid at all: the tensor stays a float of `bits`.
        role: which list it stands in.
    """

    name: str
    bits: int
    scale: tuple[float, ...] = ()
    offset: tuple[int, ...] = ()
    signed: bool = False
    axis: int | None = None
    per_channel: bool = False
    block_size: int = 0
    shape: tuple[int, ...] = ()
    is_float: bool = False
    role: Role = Role.UNKNOWN

    @property
    def zero_point(self) -> tuple[int, ...]:
        """The zero points of the codes as `signed` writes them."""
        low = 1 << (self.bits - 1) if self.signed else 0
        return tuple(-offset - low for offset in self.offset)

    @property
    def is_symmetric(self) -> bool:
        """As AIMET has it: signed codes and zero points of 0."""
        return self.signed and not any(self.zero_point)


@dataclass(frozen=True)
class Encodings:
    """A whole file.

    Attributes:
        version: of the file that was read, or of the one to be written by default.
        entries: in the file's order; activations before parameters where it has two lists.
        extras: what else the file says at its top (quantizer_args, producer, ...), kept as it is.
    """

    version: str
    entries: tuple[Encoding, ...]
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extras", MappingProxyType(dict(self.extras)))
