"""Calibration data in files, a few samples at a time: memory does not grow with a file.

1. An .npz file: the rows of all its arrays, read one after the other from the archive, compressed or not. Arrays that
   have no rows in a row (Fortran order, numbers without axes), and those of different lengths, are read whole.
2. An .npy file, the array of a graph with one input: mapped, not read.
3. A folder of .npy and .npz files, in the order of their names.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from accel_sim.errors import Fault, QuantizationError
from accel_sim.records import dataclass

_AT_ONCE = 16
"""Samples of one batch."""
_DAMAGED = (
    OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error
)  # fmt: skip  # RuntimeError: an encrypted archive
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    """What an .npy file says of its array."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @classmethod
    def read(cls, file: IO[bytes]) -> "_Header | None":
        """From the beginning of a file; None for a version that is not known."""
        reader = _READERS.get(np.lib.format.read_magic(file))
        return None if reader is None else cls(*reader(file))

    @property
    def has_rows(self) -> bool:
        """Whether the array can be read row by row."""
        return bool(self.shape) and not self.is_fortran and not self.dtype.hasobject


def file_batches(path: Path, lengths: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
    """The arrays of a file or of a folder, batch by batch, each with where it is from, as a phrase.

    Args:
        path: of an .npz file, an .npy file or a folder.
        lengths: rows of one sample by array name; of other arrays one.

    Raises:
        QuantizationError: a file that is missing, damaged, of another kind, or holds Python objects; a folder of none.
    """
    files = _members(path)
    if not files:
        rule = "holds .npy or .npz files"
        raise QuantizationError("quantization", [Fault(str(path), "a folder without any", rule)])
    for file in files:
        if file.suffix == ".npy":
            yield repr(str(file)), _mapped(file)
        else:
            yield from _npz_batches(file, lengths)


def file_samples(path: Path, lengths: Mapping[str, int]) -> int | None:
    """How many samples a file or a folder holds; None where only reading it could tell."""
    try:
        files = _members(path)
        counts = [_npy_rows(f) if f.suffix == ".npy" else _npz_samples(f, lengths) for f in files]
    except _DAMAGED:
        return None
    per_sample = next(iter(lengths.values()), 1)
    known = [c for c in counts if c is not None]
    if len(known) < len(counts):
        return None
    return sum(c // per_sample if f.suffix == ".npy" else c for c, f in zip(known, files, strict=True))


def _members(path: Path) -> list[Path]:
    """The file, or those of a folder."""
    return sorted(f for f in path.iterdir() if f.suffix in (".npy", ".npz")) if path.is_dir() else [path]


def load_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file.

    Raises:
        QuantizationError: a file that is missing, damaged, of another kind, or holds Python objects.
    """
    try:
        with path.open("rb") as file:  # np.load leaves a damaged file open
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ValueError("holds one array without a name")
            return {name: content[name] for name in content.files}
    except _DAMAGED as error:
        raise _damaged(path, error, "is a readable .npz file of named arrays") from None


def _npz_batches(path: Path, lengths: Mapping[str, int]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    where = repr(str(path))
    try:
        headers = _headers(path)
    except _DAMAGED as error:
        raise _damaged(path, error, "is a readable .npz file of named arrays") from None
    total = _samples_of(headers, lengths)
    if total is None:
        yield where, load_npz(path)
        return
    try:
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in headers}
            for file in files.values():
                _Header.read(file)
            for start in range(0, total, _AT_ONCE):
                count = min(_AT_ONCE, total - start)
                rows = {n: _rows(files[n], h, count * lengths.get(n, 1)) for n, h in headers.items() if h is not None}
                yield f"{where}, from sample {start} on" if start else where, rows
    except _DAMAGED as error:
        raise _damaged(path, error, "is a readable .npz file of named arrays") from None


def _headers(path: Path) -> dict[str, _Header | None]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                raise ValueError(f"holds {name!r}, which is no array")
            with archive.open(name) as file:
                found[name.removesuffix(".npy")] = _Header.read(file)
    return found


def _samples_of(headers: Mapping[str, _Header | None], lengths: Mapping[str, int]) -> int | None:
    """Samples of arrays that all have equally many, in rows; None for any others."""
    if not all(h is not None and h.has_rows for h in headers.values()):
        return None
    counts = [divmod(h.shape[0], lengths.get(name, 1) or 1) for name, h in headers.items() if h is not None]
    even = len({count for count, _ in counts}) == 1 and not any(rest for _, rest in counts)
    return counts[0][0] if even and counts[0][0] else None


def _npz_samples(path: Path, lengths: Mapping[str, int]) -> int | None:
    try:
        headers = _headers(path)
    except _DAMAGED:
        return None
    return _samples_of({n: h for n, h in headers.items() if n in lengths} or headers, lengths)


def _npy_rows(path: Path) -> int | None:
    with path.open("rb") as file:
        header = _Header.read(file)
    return header.shape[0] if header is not None and header.shape else None


def _rows(file: IO[bytes], header: _Header, count: int) -> NDArray[Any]:
    shape = (count, *header.shape[1:])
    size = math.prod(shape) * header.dtype.itemsize
    content = file.read(size)
    if len(content) < size:
        raise EOFError("ends in the middle of an array")
    return np.frombuffer(content, header.dtype).reshape(shape)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except _DAMAGED as error:
        raise _damaged(path, error, "is a readable .npy file") from None


def _damaged(path: Path, error: Exception, rule: str) -> QuantizationError:
    return QuantizationError("quantization", [Fault(str(path), str(error) or type(error).__name__, rule)])
