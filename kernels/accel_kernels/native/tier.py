"""What the processor offers to matrix products; chosen once, from the target that kernels are compiled for."""

import ctypes
import os
import sys
from dataclasses import dataclass
from functools import cache

_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18  # of Linux on x86-64


@dataclass(frozen=True)
class Tier:
    """A class of processors.

    Attributes:
        name: for people.
        lanes: int32 elements of a vector register.
        quads: whether there is an instruction that adds four products of uint8 and int8 to each int32 lane, wrapping
            (vpdpbusd); otherwise operands are widened to int16 and multiplied in pairs.
        rows: output rows of the micro-kernels, largest first, always ending in 1.
        vectors: registers of a weight row that the largest micro-kernels hold.
        needs: features of the processor, as LLVM names them.
        tiles: whether there are tile registers (AMX) for products of 8 bits.
    """

    name: str
    lanes: int
    rows: tuple[int, ...]
    vectors: int
    quads: bool
    needs: frozenset[str]
    tiles: bool = False

    @property
    def columns(self) -> int:
        """Output columns of the largest micro-kernels: what packed weights are padded to."""
        return self.lanes * self.vectors

    @property
    def codes(self) -> int:
        """Codes of 8 bits that a reduction is a multiple of, where weights are packed in quads."""
        return TILE_BYTES if self.tiles else 4


TILE_ROWS, TILE_BYTES = 16, 64
"""Of a tile register."""
MOST_TERMS = (1 << 31) // (255 * 128)
"""Products of an unsigned and a signed byte whose sum fits 32 bits."""

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})
_VNNI512 = _AVX512 | {"avx512vnni"}

AMX = Tier("AMX-INT8", 16, (14, 7, 1), 2, quads=True, needs=_VNNI512 | {"amx-tile", "amx-int8"}, tiles=True)
AVX512_VNNI = Tier("AVX512-VNNI", 16, (14, 7, 1), 2, quads=True, needs=_VNNI512)
AVX_VNNI = Tier("AVX-VNNI", 8, (6, 1), 2, quads=True, needs=frozenset({"avx2", "avxvnni"}))
AVX512 = Tier("AVX512, int16 pairs", 16, (12, 6, 1), 2, quads=False, needs=_AVX512)
AVX2 = Tier("AVX2, int16 pairs", 8, (5, 1), 2, quads=False, needs=frozenset({"avx2"}))
PORTABLE = Tier("portable, int16 pairs", 4, (4, 1), 2, quads=False, needs=frozenset())
TIERS = (AMX, AVX512_VNNI, AVX_VNNI, AVX512, AVX2, PORTABLE)
"""Best first."""

_NAMED = {
    AMX: "sapphirerapids emeraldrapids graniterapids graniterapids-d diamondrapids",
    AVX512_VNNI: "cascadelake cooperlake icelake-client icelake-server rocketlake tigerlake znver4 znver5",
    AVX_VNNI: "alderlake raptorlake meteorlake gracemont sierraforest grandridge arrowlake arrowlake-s lunarlake",
    AVX512: "skylake-avx512 cannonlake x86-64-v4",
    AVX2: "haswell broadwell skylake core-avx2 znver1 znver2 znver3 x86-64-v3",
}
"""The best tier of processors, by their names in LLVM."""


@cache
def target() -> tuple[str, str]:
    """(processor, features) that numba compiles for: the host's, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else llvm.get_host_cpu_features().flatten()
    return name, features


@cache
def tier() -> Tier:
    """The best tier of the target: what its features do not name is not used.

    NUMBA_CPU_NAME without NUMBA_CPU_FEATURES leaves numba the host's features; the tier is then none better than the
    named processor's, and of an unknown one the last.
    """
    name, features = os.environ.get("NUMBA_CPU_NAME"), target()[1]
    has = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    first = AMX
    if name and os.environ.get("NUMBA_CPU_FEATURES") is None:
        first = next((tier for tier, names in _NAMED.items() if name in names.split()), PORTABLE)
    able = (tier for tier in TIERS[TIERS.index(first) :] if tier.needs <= has)
    return next(tier for tier in able if not tier.tiles or tiles_allowed())


@cache
def permutes_bytes() -> bool:
    """Whether there is an instruction that permutes the bytes of a register of 512 bits (AVX512-VBMI)."""
    return "+avx512vbmi" in target()[1].split(",")


@cache
def tiles_allowed() -> bool:
    """Ask Linux for the tile registers, for all threads of this process; whether they may be used."""
    if sys.platform != "linux":
        return False
    try:
        answer: int = ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA)
    except (AttributeError, OSError):
        return False
    return answer == 0
