"""The layouts that steps and those who prepare them agree on.

A row of arguments is int64[FIELDS]; `Field` names its places. An operand takes two: whether it lies in the arena of
activations (1) or at an absolute address (0), and its offset or address.
"""

from collections.abc import Mapping
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from accel_kernels.native.packing import aligned_bytes
from accel_kernels.native.tier import permutes_bytes

EPILOGUE_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "raw": (),
    "real": (*((name, "f32") for name in ("clip_low", "clip_high", "scale", "low", "high")), ("zero_point", "i32")),
    "float32": (("scale", "f32"), ("low", "f32"), ("high", "f32"), ("zero_point", "i32")),
    "float64": (("scale", "f64"), ("low", "i32"), ("high", "i32"), ("zero_point", "i32")),
    "rational": (("scale", "f64"), ("low", "f64"), ("high", "f64"), ("zero_point", "i32")),
    "quotient": (("scale", "f64"), ("divisor", "f64"), ("low", "f64"), ("high", "f64"), ("zero_point", "i32")),
    "double": tuple((name, "i32") for name in ("multiplier", "right_but_one", "low", "high", "zero_point")),
    "fixed": (
        ("multiplier", "i32"),
        ("left", "i32"),
        ("right", "i64"),
        ("addend", "i64"),
        ("sign_addend", "i64"),
        ("low", "i32"),
        ("high", "i32"),
        ("zero_point", "i32"),
    ),
}
EPILOGUE_FIELDS = {
    **EPILOGUE_FIELDS,
    "fixed_saturating": EPILOGUE_FIELDS["fixed"],
    "shift": EPILOGUE_FIELDS["fixed"],
}
"""Kind of epilogue -> (name, element) of the rows of its table, after the bias (i32)."""

_LIMITS = (("zero_point", "i32"), ("low", "i32"), ("high", "i32"))
PACKED_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "packed_float32": (("order", "i32"), ("scale", "f32"), *_LIMITS),
    "packed_double": (
        ("order", "i32"),
        ("scale", "f64"),
        ("start", "f64"),
        ("start_of_zero", "i32"),
        ("right", "i32"),
        *_LIMITS,
    ),
    "line": (("order", "i32"), ("scale", "f32"), ("offset", "f32")),
    "bent": (
        ("order", "i32"),
        ("scale", "f32"),
        ("offset", "f32"),
        ("start", "i32"),
        ("shift", "i32"),
        ("step", "i32"),
    ),
}
"""The same for `packed` and `line`; "order" brings codes, as packs leave them in quarters of vectors, into order."""

_OPERAND = (
    ("zero", "i32"),
    ("multiplier", "i32"),
    ("left", "i32"),
    ("right", "i64"),
    ("addend", "i64"),
    ("sign_addend", "i64"),
)
_OPERANDS = tuple((f"{operand}_{name}", element) for operand in "ab" for name, element in _OPERAND)


def _floats(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "f32") for name in names)


_REAL = (
    *_floats("a_scale", "b_scale", "clip_low", "clip_high", "scale", "low", "high"),
    *((name, "i32") for name in ("a_zero", "b_zero", "zero_point")),
)
BINARY_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "float32": tuple((name, "f32") for name in ("a_ratio", "b_ratio", "constant", "low", "high")),
    "sum": _OPERANDS,
    "difference": _OPERANDS,
    "linear": tuple(
        (name, "i32")
        for name in (
            *("low_pair", "high_pair", "low_start", "high_start", "half", "away", "shift"),
            *("zero_point", "low", "high"),
        )
    ),
    "float64": (
        *((name, "f64") for name in ("a_factor", "b_factor", "constant", "low", "high")),
        ("zero_point", "i32"),
    ),
    "product": (("a_zero", "i32"), ("b_zero", "i32")),
    "float_product": (("a_zero", "i32"), ("b_zero", "i32"), *_floats("ratio", "zero_point", "low", "high")),
    "minimum": (),
    "maximum": (),
    **{f"real_{name}": _REAL for name in ("add", "subtract", "multiply", "minimum", "maximum")},
}
"""Form of a function of two operands -> (name, element) of its parameters."""

PACKED_COLUMNS = 16
"""Of one vector, where codes are packed."""
_DTYPES = {"i32": np.int32, "i64": np.int64, "f32": np.float32, "f64": np.float64}


def epilogue_table(
    kind: str,
    bias: NDArray[np.signedinteger] | NDArray[np.float32],
    values: Mapping[str, NDArray[np.generic] | float],
    columns: int,
) -> NDArray[np.int64]:
    """int64 [1 + fields, columns]: the parameters of an epilogue for [C] biases; columns past C are zero.

    A row is columns * 8 bytes; numbers of 4 bytes lie side by side at its beginning. Biases have the type of the
    accumulators.
    """
    fields = (("bias", "i32"), *_fields(kind))
    table = aligned_bytes(len(fields) * columns * 8).view(np.int64).reshape(len(fields), columns)
    for row, (name, element) in enumerate(fields):
        numbers = table[row].view(bias.dtype if name == "bias" else _DTYPES[element])
        if name == "order":
            numbers[:PACKED_COLUMNS] = _order(kind)
        else:
            numbers[: len(bias)] = bias if name == "bias" else values[name]
    return table


def _order(kind: str) -> NDArray[np.int32]:
    """Of words of 4 bytes; of the lower bytes of pairs, twice, where `line` permutes bytes."""
    if kind.startswith("packed") or not permutes_bytes():
        return np.arange(PACKED_COLUMNS, dtype=np.int32).reshape(4, -1).T.reshape(-1)
    lower = np.arange(0, 4 * PACKED_COLUMNS, 2, dtype=np.uint8).reshape(4, 2, -1).transpose(1, 0, 2).reshape(-1)
    return np.tile(lower, 2).view(np.int32)


def _fields(kind: str) -> tuple[tuple[str, str], ...]:
    return EPILOGUE_FIELDS[kind] if kind in EPILOGUE_FIELDS else PACKED_FIELDS[kind.rsplit("_", 1)[0]]


def number_table(fields: tuple[tuple[str, str], ...], values: Mapping[str, float]) -> NDArray[np.int64]:
    """int64 [fields]: one number after the other, those of 4 bytes in the lower half of their entry."""
    table = np.zeros(len(fields), np.int64)
    for index, (name, element) in enumerate(fields):
        table[index : index + 1].view(_DTYPES[element])[0] = values[name]
    return table


class Field(IntEnum):
    """Places in a row of arguments. What does not concern a step is 0."""

    IN_ARENA = 0
    INPUT = auto()
    OTHER_ARENA = auto()
    OTHER = auto()
    OUT_ARENA = auto()
    OUTPUT = auto()
    WEIGHTS = auto()
    TABLE = auto()
    TABLE_STRIDE = auto()
    PADDING = auto()
    IMAGES = auto()
    HEIGHT = auto()
    WIDTH = auto()
    DEPTH = auto()
    CHANNEL = auto()
    CHANNELS = auto()
    OUT_HEIGHT = auto()
    OUT_WIDTH = auto()
    OUT_DEPTH = auto()
    OUT_CHANNEL = auto()
    OUT_CHANNELS = auto()
    KERNEL_HEIGHT = auto()
    KERNEL_WIDTH = auto()
    STRIDE_HEIGHT = auto()
    STRIDE_WIDTH = auto()
    DILATION_HEIGHT = auto()
    DILATION_WIDTH = auto()
    PAD_TOP = auto()
    PAD_LEFT = auto()
    STEPS = auto()
    PANEL_STRIDE = auto()
    PANEL_ROWS = auto()
    DIRECT = auto()
    GROUPS = auto()
    GROUP_WEIGHTS = auto()
    ZERO_POINT = auto()
    SIZE = auto()
    LOW = auto()
    HIGH = auto()
    EXTRA = auto()
    EXTRA_2 = auto()
    EXTRA_3 = auto()
    RECORD = auto()
    SHARES = auto()


FIELDS = len(Field)
INTERPRETER_ARGUMENTS = 11
MOST_SHARES = 4
"""Of a step, for each of the threads that share it."""
JOB = 1 + INTERPRETER_ARGUMENTS
"""int64 of a job: the interpreter's address and its arguments."""
RESTING, ASLEEP, WRITTEN, TAKEN = range(4)
"""The states of a helper's box (`crew`); any other number is that of an offer: the address of its jobs."""


class Box(IntEnum):
    """Where the box holds what, in bytes, and its size: state, files, processor of the offer, job.

    What the thread that leads writes lies in other lines of the caches than what the helper looks at.
    """

    STATE = 0
    SLEEPING = 8
    WAKING = 16
    PROCESSOR = 128
    JOB = 136
    BYTES = 256
