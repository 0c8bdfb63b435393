"""Hypothesis strategies for programs, made from the field types of the commands themselves."""

from enum import Enum
from types import NoneType, UnionType
from typing import Union, get_args, get_origin

from hypothesis import strategies as st

from accel_sim.hardware import load_hardware
from accel_sim.ir import QuantParams
from accel_sim.program import Operand, Port, Program, Region
from accel_sim.program.registry import program_types, typed_fields

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "int64")
COMMANDS = sorted(
    (t for t in program_types().values() if any(base.__name__ == "Command" for base in t.__mro__[1:])),
    key=lambda t: t.__name__,
)

operands = st.builds(
    Operand,
    st.text(max_size=8),
    st.sampled_from(Region),
    st.integers(0, 1 << 40),
    st.lists(st.integers(0, 1000), max_size=5).map(tuple),
    st.sampled_from(DTYPES),
)


@st.composite
def grids(draw):
    signed, bits = draw(st.booleans()), draw(st.sampled_from((4, 8, 16)))
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    scales = draw(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=6))
    zeros = tuple(draw(st.integers(low, high)) for _ in scales)
    axis = draw(st.integers(0, 3)) if len(scales) > 1 else None
    return QuantParams(tuple(scales), zeros, bits, signed, axis)


def values(hint):
    """A strategy for the values that a field of this type may hold."""
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*(values(choice) for choice in get_args(hint)))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return runs(values(inner[0]))
        return st.tuples(*map(values, inner))
    if hint is NoneType:
        return st.none()
    if hint is Operand:
        return operands
    if hint is QuantParams:
        return grids()
    plain = {
        int: st.integers(),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        str: st.text(max_size=8),
    }
    if hint in plain:
        return plain[hint]
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    concrete = [hint] if not hint.__subclasses__() else sorted(leaves(hint), key=lambda t: t.__name__)
    return st.one_of(*(instances(kind) for kind in concrete))


def leaves(kind):
    """The classes below `kind` that have no classes below them."""
    return {leaf for sub in kind.__subclasses__() for leaf in (leaves(sub) or {sub})}


def instances(kind):
    """Instances of a dataclass with every field drawn."""
    return st.deferred(lambda: st.builds(kind, *(values(hint) for _, hint in typed_fields(kind))))


@st.composite
def runs(draw, items):
    """Tuples with runs of equal items, short and long."""
    parts = draw(st.lists(st.tuples(items, st.sampled_from((1, 1, 2, 4, 70))), max_size=4))
    return tuple(item for item, count in parts for _ in range(count))


programs = st.builds(
    Program,
    name=st.text(max_size=10),
    profile=st.text(max_size=10),
    hardware=st.sampled_from(("edge-16x16", "scalesim-32x32")).map(load_hardware),
    commands=st.lists(st.one_of(*map(instances, COMMANDS)), max_size=3).map(tuple),
    inputs=st.lists(instances(Port), max_size=2).map(tuple),
    outputs=st.lists(instances(Port), max_size=2).map(tuple),
    constants=st.binary(max_size=300),
    activation_bytes=st.integers(0, 1 << 40),
    model_sha256=st.text(alphabet="0123456789abcdef", max_size=64),
    shapes=values(tuple[tuple[str, tuple[int, ...]], ...]),
)
