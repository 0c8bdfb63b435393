"""The bundled network from float to silicon: what the demonstration shows."""

from accel_sim.analysis.mismatch.report import MismatchReport, TensorMismatch
from accel_sim.analysis.overflow.report import LayerOverflow, OverflowReport
from accel_sim.records import dataclass
from accel_sim.report.run_report import RunReport
from accel_sim.sim.result import LayerResult


@dataclass(frozen=True)
class Accuracies:
    """Top-1 accuracy, 0 to 1, of the same samples: the float network, its fake-quant simulation, the machine."""

    floating: float
    fake_quant: float
    integer: float


@dataclass(frozen=True)
class DemoLayer:
    """One layer, from all sides; None where a side has nothing to say of it."""

    result: LayerResult
    mismatch: TensorMismatch | None
    overflow: LayerOverflow | None


@dataclass(frozen=True)
class DemoReport:
    """A run, its comparison with the simulation, and its accumulators.

    Attributes:
        accuracies: of the held-out digits.
        run, mismatch, overflow: of the same samples on the same machine.
    """

    accuracies: Accuracies
    run: RunReport
    mismatch: MismatchReport
    overflow: OverflowReport

    @property
    def layers(self) -> tuple[DemoLayer, ...]:
        """The layers in order of execution."""
        mismatches = {layer.node: layer for layer in self.mismatch.layers}
        overflows = {layer.name: layer for layer in self.overflow.layers}
        return tuple(
            DemoLayer(result, mismatches.get(result.name), overflows.get(result.name))
            for result in self.run.result.layers
        )
