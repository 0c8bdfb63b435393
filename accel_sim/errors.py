"""Errors that a user can mend: each says where, which value, which rule, and what to do.

`AccelSimError` is the root; the command line turns it into one message and exit code 2. An input with several faults
raises one error that lists them all (`Fault`), so that a user mends a file once and not once per fault.
"""

from collections.abc import Iterable

from accel_sim.records import dataclass

_SHOWN = 40  # faults printed in one message; the rest are counted


@dataclass(frozen=True)
class Fault:
    """One violated rule.

    Attributes:
        where: the node, tensor, key or file position ("node 'conv1' (CONV_2D)", "key grid.rows").
        value: the offending value as text, as the user wrote it.
        rule: what holds for valid input, as a sentence.
        cure: what to do; may be empty where the rule says it.
    """

    where: str
    value: str
    rule: str
    cure: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.value}: {self.rule}"
        return f"{text} ({self.cure})" if self.cure else text


class AccelSimError(Exception):
    """Root of all errors that are the user's to mend. `faults` holds every fault found."""

    def __init__(self, subject: str, faults: Iterable[Fault] = ()) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        super().__init__(self._message())

    def _message(self) -> str:
        if not self.faults:
            return self.subject
        if len(self.faults) == 1:
            return f"{self.subject}: {self.faults[0]}"
        lines = [f"{self.subject}: {len(self.faults)} faults"]
        lines += [f"  - {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"  ... and {len(self.faults) - _SHOWN} more")
        return "\n".join(lines)


class ModelError(AccelSimError):
    """A model file that cannot be read: damaged, contradictory, or not a model at all."""


class UnsupportedModelError(ModelError):
    """A well-formed model that uses something this simulator does not model."""


class GraphError(AccelSimError):
    """A graph that violates the rules of the intermediate representation."""


class HardwareError(AccelSimError):
    """An accelerator configuration that cannot exist."""


class CompileError(AccelSimError):
    """A graph that cannot be lowered to the given accelerator under the given profile."""


class ProgramError(AccelSimError):
    """A program text that does not parse, or a program that violates its own rules."""


class InputError(AccelSimError):
    """Wrong names, shapes, types or values of the data given to a run."""


class QuantizationError(AccelSimError):
    """A float graph, recipe or calibration set that cannot be quantized."""
