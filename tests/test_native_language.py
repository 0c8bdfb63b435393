"""The language of steps: translated functions compute what Python does, and what is not in it is refused."""

import builtins
import ctypes
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_kernels.native.compile import compile_function
from accel_kernels.native.emit import intrinsic
from accel_kernels.native.memory import LOADS, STORES, load_int64, store_int64
from accel_kernels.native.objects import link
from accel_kernels.native.parts import Part, inline
from accel_kernels.native.translate import translated

SMALL = st.integers(-9, 9)
WIDE = st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.sampled_from([0, -1, 1, -(1 << 31), (1 << 31) - 1]))
NUMBER, TWO = 7, 2


def compiled(function: Callable[..., Any]) -> Callable[..., int]:
    """A function whose last argument is the address of its result, as a function of the others."""
    count = function.__code__.co_argcount
    entry = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * count)(link(compile_function(function)))

    def call(*arguments: int) -> int:
        result = ctypes.c_int64(-77)
        entry(*arguments, ctypes.addressof(result))
        return result.value

    return call


def python(function: Callable[..., Any], *arguments: int) -> int:
    """The same in Python: names of the language stand for Python's."""
    memory = {0: -77}

    def load(place: int) -> int:
        return memory[place]

    def plain(value: Any) -> Any:
        return rebound(value.function) if isinstance(value, Part) else names.get(value, value)

    def rebound(one: Callable[..., Any]) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        for name in one.__code__.co_names:
            if name in one.__globals__:
                space[name] = plain(one.__globals__[name])
        return type(one)(one.__code__, {**vars(builtins), **space})

    names: dict[Any, Any] = {store_int64: memory.__setitem__, load_int64: load}
    rebound(function)(*arguments, 0)
    return memory[0]


def arithmetic(a: int, b: int, out: int) -> None:
    x, y = a + b, a - b
    x, y = y * 3 - -x, x ^ ~y
    x &= 0x7FFFFFFF
    y |= a >> 3
    z = (x << 2) + (y % 8) - y // 16 + b // 3 - a % 5 + a // -3 + b % -7 + a // -4
    store_int64(out, z + NUMBER * TWO)


def divisions(a: int, b: int, out: int) -> None:
    store_int64(out, a // b * 1000 + a % b)


def conditions(a: int, b: int, out: int) -> None:
    between = 0 <= a < b
    found = (a > b) + 2 * (a == b or b != 3) + 4 * (not a) + 8 * (between and not b)
    if a < 0 and (b < 0 or a == -3):
        found += 100
    elif a:
        found -= 1000 if b > 2 else min(a, b, 4) if between else max(b, 3)
    else:
        found *= 2
    store_int64(out, found)


def loops(a: int, b: int, out: int) -> None:
    total, i = 0, -1
    for i in range(a):
        if i == 5:
            continue
        for j in range(b, i, 2):
            total += i * j
            if total > 50:
                break
        i += 100
    for k in range(a, b, -3):
        total = total * 3 + k
    while total > 1000:
        total //= 2
        if total % 7 == 3:
            break
    store_int64(out, total + i)


@inline
def ordered(a: int, b: int) -> tuple[int, int]:
    if a < b:
        return a, b
    return b, a


@inline
def triangle(n: int) -> int:
    if n < 0:
        return 0
    total = 0
    for i in range(n):
        total += i
    return total


@inline
def apply(what: Callable[[int], int], n: int) -> int:
    return what(n) + 1


@inline
def negated(n: int) -> int:
    return -n


def calls(a: int, b: int, out: int) -> None:
    low, high = ordered(a, b)
    low, high = high, low + triangle(high)
    store_int64(out, apply(triangle, low) * 1000 + apply(negated, high))


def evaluates_only_what_python_does(a: int, b: int, out: int) -> None:
    """Address 0 is not there."""
    found = 0
    if a == 0 or load_int64(a) != 0:
        found = 1
    found += load_int64(a) if a != 0 else 5
    store_int64(out, found)


PAIRS = {f: compiled(f) for f in (arithmetic, conditions, loops, calls, divisions)}


@given(WIDE, WIDE)
def test_arithmetic_is_pythons(a: int, b: int) -> None:
    assert PAIRS[arithmetic](a, b) == python(arithmetic, a, b)


@given(WIDE, st.one_of(SMALL, WIDE).filter(bool))
def test_divisions_floor(a: int, b: int) -> None:
    assert PAIRS[divisions](a, b) == python(divisions, a, b)


@pytest.mark.parametrize("function", [conditions, loops, calls], ids=lambda f: f.__name__)
@given(a=SMALL, b=SMALL)
def test_control_flow_is_pythons(function: Callable[..., None], a: int, b: int) -> None:
    assert PAIRS[function](a, b) == python(function, a, b)


def test_only_what_python_evaluates_is_evaluated() -> None:
    assert compiled(evaluates_only_what_python_does)(0, 0) == 6


def test_numbers_wrap() -> None:
    def doubled(a: int, out: int) -> None:
        store_int64(out, a + a)

    assert compiled(doubled)((1 << 62) + 1) == -(1 << 63) + 2


@pytest.mark.parametrize("operands", LOADS)
def test_loads_and_stores_extend_and_truncate(operands: str) -> None:
    load, bits = LOADS[operands], int(operands[1:])
    store = STORES[bits]

    def through_memory(number: int, out: int) -> None:
        store_int64(out, 0)
        store(out, number)
        store_int64(out, load(out))

    number = compiled(through_memory)(-3)
    assert number == (-3 if operands[0] == "s" else (1 << bits) - 3)


def test_known_conditions_decide_before_translation() -> None:
    wide = NUMBER > 100

    def chosen(out: int) -> None:
        if wide:
            unknown_function(out)  # type: ignore[name-defined]  # noqa: F821
        store_int64(out, 2 if wide else 3)

    assert compiled(chosen)() == 3


def floats(out: int) -> None:
    store_int64(out, 0.5)


def true_division(out: int) -> None:
    store_int64(out, out / 2)


def unknown(out: int) -> None:
    store_int64(out, nothing)  # type: ignore[name-defined]  # noqa: F821


def attributes(out: int) -> None:
    out.place = 3


def other_calls(out: int) -> None:
    store_int64(out, sum((out, out)))


def too_few(out: int) -> None:
    store_int64(out)


def several(out: int) -> None:
    store_int64(out, ordered(1, out))


def lists(out: int) -> None:
    for number in [1, 2]:
        store_int64(out, number)


REFUSED = (floats, true_division, unknown, attributes, other_calls, too_few, several, lists)


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_what_is_not_in_the_language_is_refused_with_its_line(function: Callable[..., None]) -> None:
    with pytest.raises(SyntaxError, match=r"step, line \d+: `.*` is not in the language of steps"):
        translated(function, "step")


def test_an_instruction_is_called_with_all_its_arguments() -> None:
    three: Any = intrinsic(3, lambda e, values: e.add(values[0], e.multiply(values[1], values[2])))

    def product(a: int, b: int, out: int) -> None:
        store_int64(out, three(a, b, -2))

    assert compiled(product)(5, 6) == -7
