"""Arguments and options that several commands share, and what they resolve to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from click.core import ParameterSource
from numpy.typing import NDArray

from accel_sim.analysis.choices import MOST_THREADS
from accel_sim.analysis.samples import random_inputs, sample_count
from accel_sim.cli.files import read_arrays
from accel_sim.errors import Fault, InputError
from accel_sim.hardware import DEFAULT_HARDWARE, AcceleratorConfig, load_hardware
from accel_sim.ir import Graph
from accel_sim.numerics.profiles import PROFILES
from accel_sim.records import dataclass
from accel_sim.sim.result import Level

Command = TypeVar("Command", bound=Callable[..., Any])
Array = NDArray[np.generic]

model_argument = click.argument("model", metavar="MODEL")
json_option = click.option("--json", "json_path", metavar="FILE", help="Write the report as JSON.")
report_option = click.option(
    "--report", "report_path", metavar="FILE.html", help="Write the report as one HTML file with figures."
)
labels_option = click.option(
    "--labels", "labels_path", metavar="Y.npz|Y.npy", help="The class of each sample, as the array `labels`."
)
threads_option = click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), metavar="N", help="Threads of the kernels.  [default: all cores]"
)
level_option = click.option(
    "--level",
    type=click.Choice([level.value for level in Level]),
    default=Level.CYCLE.value,
    show_default=True,
    help="How closely the machine is simulated; the bytes are the same.",
)
_profile_option = click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="The arithmetic whose bytes are reproduced.  [default: the one of the model's format]",
)
_hw_option = click.option(
    "--hw",
    default=DEFAULT_HARDWARE,
    show_default=True,
    metavar="PRESET|FILE.toml",
    help="The accelerator; `accel-sim hw` lists the presets.",
)
_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one key of the accelerator, e.g. grid.rows=128. Repeatable.",
)
_inputs_option = click.option(
    "--inputs",
    "inputs_path",
    metavar="X.npz|X.npy",
    help="One array per model input, named as the model file names it; the first axis may hold any number of samples. "
    "For one input, an .npy file will do. Floats are quantized with the input's parameters.  "
    "[default: seeded random codes]",
)
_seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random inputs."
)


def hardware_options(command: Command) -> Command:
    """--hw and --set."""
    return _hw_option(_set_option(command))


def machine_options(command: Command) -> Command:
    """--hw, --set and --profile."""
    return hardware_options(_profile_option(command))


def input_options(command: Command) -> Command:
    """--inputs and --seed."""
    return _inputs_option(_seed_option(command))


@dataclass(frozen=True)
class Samples:
    """What a network is fed, and where it came from, as a phrase."""

    arrays: Mapping[str, Array]
    source: str


def read_samples(graph: Graph, path: str | None, seed: int) -> Samples:
    """The arrays of a file, or one random sample; an .npy file holds those of a network's only input."""
    if path is None:
        return Samples(random_inputs(graph, seed=seed), f"1 sample of random codes (seed {seed}): no --inputs given")
    arrays = read_arrays(path, "inputs", graph.inputs[0] if len(graph.inputs) == 1 else None)
    count = sample_count(graph, arrays)
    return Samples(arrays, f"{count:,} sample{'s' * (count != 1)} of {Path(path).name}")


def read_labels(path: str) -> Array:
    """The classes of samples: the array `labels` of an .npz, or its only array, or that of an .npy file.

    Raises:
        InputError: a file without such an array.
    """
    arrays = read_arrays(path, "labels", "labels")
    if "labels" not in arrays and len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise InputError(f"labels {path!r}", [Fault("arrays", names, "one is called `labels`, or there is only one")])
    return arrays["labels"] if "labels" in arrays else next(iter(arrays.values()))


def given_options() -> list[str]:
    """The options that the command line gives to the command which runs."""
    context = click.get_current_context()
    options = [p for p in context.command.params if isinstance(p, click.Option) and p.name]
    return [p.opts[-1] for p in options if context.get_parameter_source(str(p.name)) is ParameterSource.COMMANDLINE]


def hardware_of(name: str, overrides: tuple[str, ...]) -> AcceleratorConfig:
    """The accelerator that --hw and --set describe."""
    return load_hardware(name, overrides)
