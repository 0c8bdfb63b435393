"""Arguments of public functions that are of another kind than the function takes.

A TypeError names the argument, the kind that was given and what the function takes; values of the right kind that no
function could use are an InputError's.
"""

import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Number
from pathlib import Path
from typing import Any, SupportsInt, TypeGuard

from accel_sim.errors import Fault


def wrong_kind(argument: str, value: object, rule: str) -> TypeError:
    """The error for an argument of a kind that its function does not take.

    Args:
        argument: its name.
        value: what was given; its kind is told, not its content, which may be large.
        rule: what the function takes, as a sentence.
    """
    return TypeError(f"{argument}: {type(value).__name__}: {rule}")


def is_whole(value: object) -> TypeGuard[SupportsInt]:
    """Whether it is a whole number, Python's or NumPy's; True and False are none."""
    return isinstance(value, int | Integral) and not isinstance(value, bool)  # to ask for int alone is quick


def number_faults(numbers: Mapping[str, tuple[object, int, int | None]]) -> list[Fault]:
    """What is wrong with whole numbers.

    Args:
        numbers: by name: the value, the least and the largest that it may be; None where there is no largest.
    """
    faults = []
    for name, (value, low, high) in numbers.items():
        if not is_whole(value) or int(value) < low or (high is not None and int(value) > high):
            most = "" if high is None else f" and at most {high:,}"
            faults.append(Fault(name, shown(value), f"is a whole number, at least {low}{most}"))
    return faults


def choice_faults(argument: str, value: object, names: Iterable[str]) -> list[Fault]:
    """What is wrong with the name of a choice: nothing if it is among the names."""
    known = tuple(names)
    if isinstance(value, str) and value in known:
        return []
    return [Fault(argument, shown(value), f"is one of {', '.join(known)}")]


def shown(value: object) -> str:
    """A text or a number as it was written; of anything else, which may be large, the kind."""
    return repr(value) if isinstance(value, str | Number) else type(value).__name__


def check_path(argument: str, path: object, what: str) -> Path:
    """A path; TypeError where there is none. `what` says of which file."""
    if not isinstance(path, str | os.PathLike):
        raise wrong_kind(argument, path, f"is the path of {what}")
    return Path(path)


def check_list(argument: str, values: object, example: str) -> list[Any]:
    """The values of a list, or of anything else that has several; TypeError for one value, and for one text."""
    rule = f"is a list, such as {example}"
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise wrong_kind(argument, values, rule)
    try:
        return list(values)
    except TypeError:  # an array without axes
        raise wrong_kind(argument, values, rule) from None


def check_texts(argument: str, texts: object, example: str) -> tuple[str, ...]:
    """Several texts; TypeError for one that is not in a list, and for what are no texts."""
    found = check_list(argument, texts, example)
    for text in found:
        if not isinstance(text, str):
            raise wrong_kind(argument, text, f"is a list of texts, such as {example}")
    return tuple(found)
