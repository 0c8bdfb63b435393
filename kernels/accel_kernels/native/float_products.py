"""Products of float matrices whose sums are added in the same order on every processor. Variants are f32 and f64.

::

    out[m, n] += sum over k of a[m, k] * b[k, n], from 0, k ascending; each product and each sum is rounded

Multiplication and addition stay two instructions: fused, they round once, and not every processor has them fused. The
lanes of a vector are columns, so its width changes nothing. `matmul_float` calls this for one block of k after the
other, on a right operand that the variants pack32 and pack64 have laid out.
"""

from collections.abc import Callable, Sequence

from accel_kernels._types import Int64
from accel_kernels.native.emit import F32, F64, Emitter, Value, intrinsic, vector
from accel_kernels.native.fields import inline
from accel_kernels.native.memory import load_int32, load_int64, store_int32, store_int64
from accel_kernels.native.tier import tier

_VECTORS = 2
_WIDTHS = {"f32": 4, "f64": 8}


def lanes(variant: str) -> int:
    """Columns of one vector register."""
    return tier().lanes * 4 // _WIDTHS[variant]


def build(variant: str) -> Callable[..., None]:
    """The step of a variant; it is called with addresses, strides in bytes, and counts."""
    return _pack(variant) if variant.startswith("pack") else _multiply(variant)


def _pack(variant: str) -> Callable[..., None]:
    """Copies columns of a matrix side by side: the numbers of 32 or 64 bits at b, strides apart, row by row to out."""
    load, store, width = (load_int32, store_int32, 4) if variant == "pack32" else (load_int64, store_int64, 8)

    def pack(
        b: Int64, b_term: Int64, b_column: Int64, terms: Int64, columns: Int64, out: Int64, out_row: Int64
    ) -> None:
        for k in range(terms):
            for n in range(columns):
                store(out + k * out_row + n * width, load(b + k * b_term + n * b_column))

    return pack


def _multiply(variant: str) -> Callable[..., None]:
    width, count, tall = _WIDTHS[variant], lanes(variant), tier().rows[0]
    wide_rows, wide_row = _micro_kernel(variant, tall, _VECTORS), _micro_kernel(variant, 1, _VECTORS)
    narrow_rows, narrow_row = _micro_kernel(variant, tall, 1), _micro_kernel(variant, 1, 1)

    @inline
    def tile(
        rows_kernel: Callable[..., None],
        row_kernel: Callable[..., None],
        a: Int64,
        a_row: Int64,
        a_term: Int64,
        b: Int64,
        terms: Int64,
        out: Int64,
        out_row: Int64,
        rows: Int64,
    ) -> None:
        m = 0
        while m + tall <= rows:
            rows_kernel(a + m * a_row, a_row, a_term, b, terms, out + m * out_row, out_row)
            m += tall
        while m < rows:
            row_kernel(a + m * a_row, a_row, a_term, b, terms, out + m * out_row, out_row)
            m += 1

    def multiply(
        a: Int64,
        a_row: Int64,
        a_term: Int64,
        b: Int64,
        terms: Int64,
        b_tile: Int64,
        out: Int64,
        out_row: Int64,
        rows: Int64,
        columns: Int64,
    ) -> None:
        """`b` holds [terms, 2 vectors] for each tile of columns, `b_tile` bytes apart; the last may be one vector."""
        n, place = 0, b
        while n < columns:
            if n + _VECTORS * count <= columns:
                tile(wide_rows, wide_row, a, a_row, a_term, place, terms, out + n * width, out_row, rows)
            else:
                tile(narrow_rows, narrow_row, a, a_row, a_term, place, terms, out + n * width, out_row, rows)
            n += _VECTORS * count
            place += b_tile

    return multiply


def _micro_kernel(variant: str, rows: int, vectors: int) -> Callable[..., None]:
    element, width, count = {"f32": F32, "f64": F64}[variant], _WIDTHS[variant], lanes(variant)
    kind = vector(element, count)

    def emit(e: Emitter, arguments: Sequence[Value]) -> None:
        a, a_row, a_term, b, terms, out, out_row = arguments
        sources = [e.add(a, e.multiply(a_row, row)) for row in range(rows)]
        zero = e.constant(kind, 0.0)

        def body(k: Value, sums: list[Value]) -> list[Value]:
            place, offset = e.add(b, e.multiply(k, width * count * vectors)), e.multiply(k, a_term)
            columns = [e.load(e.add(place, width * count * j), kind, width) for j in range(vectors)]
            results = []
            for row, source in enumerate(sources):
                operand = e.splat(e.load(e.add(source, offset), element, width), count)
                for j, column in enumerate(columns):
                    results.append(e.builder.fadd(sums[row * vectors + j], e.builder.fmul(operand, column)))
            return results

        sums = e.loop(terms, [zero] * (rows * vectors), body)
        for row in range(rows):
            target = e.add(out, e.multiply(out_row, row))
            for j in range(vectors):
                here = e.add(target, width * count * j)
                e.store(e.builder.fadd(e.load(here, kind, width), sums[row * vectors + j]), here, width)

    made: Callable[..., None] = intrinsic(7, emit)
    return made
