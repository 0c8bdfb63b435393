"""SCALE-Sim's topology files: layers as rows of a CSV file, shapes without weights.

    Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
    Layer name, M, N, K,

The header tells which of the two it is (convolutions, matrix products M x K by K x N); one more column may hold a
sparsity of 1:1. As in SCALE-Sim, a convolution whose name contains DP is depthwise, with Num Filter filters for each
channel. A name that comes again gets a number.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from accel_sim.errors import Fault, ModelError
from accel_sim.frontend._limits import MAX_FILE_BYTES
from accel_sim.program.topology import Topology, TopologyLayer

_CONVOLUTION = ("IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
_PRODUCT = ("M", "N", "K")
_DENSE = "1:1"
_LARGEST = 1 << 24


def load_topology(path: Path) -> Topology:
    """A topology file.

    Raises:
        ModelError: the file cannot be read or is not a topology; every wrong row is listed.
    """
    data = _read(path)
    rows = list(_rows(data, path))
    columns = _columns(rows, path)
    faults: list[Fault] = []
    seen: Counter[str] = Counter()
    layers = [_layer(number, row, columns, seen, faults) for number, row in rows[1:]]
    if not layers:
        faults.append(Fault("file", "no layers", "has a row for each layer below its header"))
    if faults:
        raise ModelError(f"topology {path.name!r}", faults)
    known = tuple(layer for layer in layers if layer is not None)
    return Topology(path.stem, known, hashlib.sha256(data).hexdigest())


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"topology {path.name!r}", [Fault("file", "too large", f"has at most {MAX_FILE_BYTES} bytes")]
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"topology {str(path)!r}", [Fault("file", reason, "is a readable file")]) from None


def _rows(data: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, by their number in the file, without the cell that a closing comma makes."""
    try:
        for number, row in enumerate(csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True), 1):
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield number, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"topology {path.name!r}", [Fault("file", str(error), "is CSV text in UTF-8")]) from None


def _columns(rows: Sequence[tuple[int, list[str]]], path: Path) -> tuple[str, ...]:
    """The columns that the header announces."""
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if header[1:4] == [name.lower() for name in _PRODUCT]:
        return _PRODUCT
    if len(header) >= 1 + len(_CONVOLUTION) and "height" in header[1]:
        return _CONVOLUTION
    rule = f"is `Layer name, {', '.join(_CONVOLUTION)}` or `Layer name, {', '.join(_PRODUCT)}`"
    value = ", ".join(rows[0][1])[:80] if rows else "nothing"
    raise ModelError(f"topology {path.name!r}", [Fault("header", repr(value), rule)])


def _layer(
    number: int, row: list[str], columns: tuple[str, ...], seen: Counter[str], faults: list[Fault]
) -> TopologyLayer | None:
    where = f"row {number}"
    cells, more = row[1 : 1 + len(columns)], row[1 + len(columns) :]
    before = len(faults)
    if len(cells) < len(columns):
        faults.append(Fault(where, f"{len(row)} cells", f"has a name and {len(columns)} numbers"))
    if more and more != [_DENSE]:
        faults.append(Fault(where, ", ".join(more)[:40], f"ends with its {columns[-1]}, or a sparsity of {_DENSE}"))
    for name, cell in zip(columns, cells, strict=False):
        if not (cell.isascii() and cell.isdigit() and 1 <= int(cell[:12]) <= _LARGEST and len(cell) <= 12):
            faults.append(Fault(f"{where}, {name}", repr(cell[:40]), f"is a whole number, 1 to {_LARGEST}"))
    if len(faults) > before:
        return None
    layer = _built(_unique(row[0], seen), [int(cell) for cell in cells])
    if min(layer.output) < 1:
        kernel = "x".join(map(str, layer.kernel))
        faults.append(Fault(where, f"filter {kernel}", f"fits the image of {layer.height}x{layer.width}"))
    return layer


def _built(name: str, numbers: list[int]) -> TopologyLayer:
    if len(numbers) == len(_PRODUCT):
        m, n, k = numbers
        return TopologyLayer(name, 1, m, k, (1, 1), n)
    height, width, kernel_height, kernel_width, depth, channels, stride = numbers
    groups = depth if "DP" in name else 1
    return TopologyLayer(name, height, width, depth, (kernel_height, kernel_width), channels, stride, groups)


def _unique(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    return name if seen[name] == 1 else f"{name} #{seen[name]}"
