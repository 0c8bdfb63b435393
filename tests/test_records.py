"""Frozen dataclasses of `accel_sim.records` beside those of the standard library."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

from accel_sim.records import dataclass


class _Point:
    """A place.

    Attributes:
        x, y: where.
    """

    x: int
    y: float = 2.5
    names: list[str] = field(default_factory=list)
    hidden: int = field(default=7, repr=False)
    ignored: int = field(default=8, compare=False)
    named: str = field(default="n", kw_only=True)
    needed: str = field(kw_only=True)
    shared: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x")


class _Single:
    """A value."""

    value: Any


class _Empty:
    """Nothing."""


class _Own:
    """Methods of its own."""

    value: int

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "own"


def _twins(plain: type, **options: bool) -> tuple[Any, Any]:
    """The class made by the standard library, and by us."""
    made = []
    for make in (dataclasses.dataclass, dataclass):
        members = {name: value for name, value in vars(plain).items() if name not in ("__dict__", "__weakref__")}
        made.append(make(frozen=True, **options)(type(plain.__name__, (), members)))
    return made[0], made[1]


def _outcome(call: Any) -> Any:
    try:
        return call()
    except (TypeError, ValueError, FrozenInstanceError) as error:
        return type(error), str(error)


POINTS = [
    ((1,), {"needed": "a"}),
    ((1, 2.5, ["b"], 0, 0), {"needed": "a", "named": "c"}),
    ((1, float("nan")), {"needed": "a"}),
    ((1,), {"needed": "a", "ignored": 0}),
    ((1,), {"needed": "b"}),
    ((-1,), {"needed": "a"}),
    ((1,), {}),
    ((), {"needed": "a"}),
    ((1, 2, [], 3, 4, 5), {"needed": "a"}),
    ((1,), {"needed": "a", "other": 1}),
]


@pytest.mark.parametrize("options", [{}, {"eq": False}])
@pytest.mark.parametrize(("values", "names"), POINTS)
def test_instances_and_their_faults_are_those_of_the_standard_library(options: dict[str, bool], values, names) -> None:
    made = [_outcome(lambda cls=cls: repr(cls(*values, **names))) for cls in _twins(_Point, **options)]
    assert made[0] == made[1]


@pytest.mark.parametrize(("plain", "values"), [(_Single, (1, 2, 1, float("nan"), (3,), "x")), (_Own, (1, 2))])
def test_equality_and_hash_are_those_of_the_standard_library(plain: type, values) -> None:
    theirs, ours = ([cls(value) for value in values] for cls in _twins(plain))
    table = [[[a == b for b in side] for a in side] for side in (theirs, ours)]
    assert table[0] == table[1]
    assert [hash(a) for a in theirs] == [hash(a) for a in ours]
    assert [repr(a) for a in theirs] == [repr(a) for a in ours]
    assert not any(a == b for a, b in zip(theirs, ours, strict=True)) or plain is _Own


def test_fields_left_out_of_comparison_are_left_out() -> None:
    _, cls = _twins(_Point)
    a, b = (cls(1, names=(), needed="a", ignored=i) for i in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != cls(1, names=(), needed="a", hidden=0)


def test_a_value_that_has_no_hash_is_refused() -> None:
    theirs, ours = _twins(_Single)
    assert _outcome(lambda: hash(ours([]))) == _outcome(lambda: hash(theirs([])))
    assert _outcome(lambda: hash(ours([])))[0] is TypeError


def test_without_fields() -> None:
    theirs, ours = _twins(_Empty)
    assert ours() == ours()
    assert hash(ours()) == hash(theirs())
    assert repr(ours()) == "_Empty()"


def test_without_eq_instances_are_themselves() -> None:
    _, cls = _twins(_Single, eq=False)
    one = cls(1)
    assert one != cls(1)
    assert hash(one) == object.__hash__(one)


@pytest.mark.parametrize("name", ["value", "other"])
def test_nothing_is_assigned_or_deleted(name: str) -> None:
    theirs, ours = (cls(1) for cls in _twins(_Single))
    for change in (lambda one: setattr(one, name, 2), lambda one: delattr(one, name)):
        outcome = _outcome(lambda change=change: change(ours))
        assert outcome == _outcome(lambda change=change: change(theirs))
        assert outcome[0] is FrozenInstanceError


def test_a_plain_subclass_has_attributes_of_its_own() -> None:
    for cls in _twins(_Single):
        one = type("Child", (cls,), {})(1)
        one.other = 2
        assert one.other == 2
        with pytest.raises(FrozenInstanceError):
            one.value = 2


@dataclass(frozen=True)
class _Base:
    """Two fields."""

    a: int
    b: int = 1


@dataclass(frozen=True)
class _Derived(_Base):
    """And one more."""

    c: int = 2


def test_fields_are_inherited() -> None:
    one = _Derived(5, c=6)
    assert repr(one) == "_Derived(a=5, b=1, c=6)"
    assert one != _Base(5)
    assert dataclasses.replace(one, b=7) == _Derived(5, 7, 6)
    assert dataclasses.asdict(one) == {"a": 5, "b": 1, "c": 6}


def test_instances_are_copied_and_pickled() -> None:
    one = _Derived(5)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_an_instance_that_holds_itself_is_shown() -> None:
    held: list[Any] = []
    theirs, ours = (cls(held) for cls in _twins(_Single))
    for one in (theirs, ours):
        held[:] = [one]
        assert repr(one) == "_Single(value=[...])"


def test_the_signature_is_the_one_of_the_standard_library() -> None:
    theirs, ours = _twins(_Point)
    named = [(p.name, p.kind, p.annotation) for p in inspect.signature(ours).parameters.values()]
    assert named == [(p.name, p.kind, p.annotation) for p in inspect.signature(theirs).parameters.values()]
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__init__.__qualname__ == theirs.__init__.__qualname__
