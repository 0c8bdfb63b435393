"""What the processor offers to matrix products; chosen once, from the target that kernels are compiled for."""

import os
from dataclasses import dataclass
from functools import cache


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
    """

    name: str
    lanes: int
    quads: bool
    rows: tuple[int, ...]
    vectors: int

    @property
    def columns(self) -> int:
        """Output columns of the largest micro-kernels: what packed weights are padded to."""
        return self.lanes * self.vectors


AVX512_VNNI = Tier("AVX512-VNNI", 16, quads=True, rows=(14, 7, 1), vectors=2)
AVX_VNNI = Tier("AVX-VNNI", 8, quads=True, rows=(6, 1), vectors=2)
AVX512 = Tier("AVX512, int16 pairs", 16, quads=False, rows=(12, 6, 1), vectors=2)
AVX2 = Tier("AVX2, int16 pairs", 8, quads=False, rows=(5, 1), vectors=2)
PORTABLE = Tier("portable, int16 pairs", 4, quads=False, rows=(4, 1), vectors=2)
TIERS = (AVX512_VNNI, AVX_VNNI, AVX512, AVX2, PORTABLE)


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
    """The tier of the target; what its features do not name is not used."""
    has = {feature[1:] for feature in target()[1].split(",") if feature.startswith("+")}
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= has:
        return AVX512_VNNI if "avx512vnni" in has else AVX512
    if "avx2" in has:
        return AVX_VNNI if "avxvnni" in has else AVX2
    return PORTABLE
