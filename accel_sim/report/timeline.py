"""A timeline of a network for ui.perfetto.dev, in Perfetto's own protobuf format (perfetto_trace.proto).

One nanosecond of the timeline is one cycle. Tracks, under a process named after the accelerator:

- `layers`: a slice for each layer, one after the other; together they are the cycles of the run's report.
- `DMA`, `weight SRAM`, `activation SRAM`, `accumulator SRAM`, `grid`, `post-processing`, `vector unit`: in the slice of
  a layer, the slices of its tiles. A slice that moves bytes says how many (`bytes`).
- counters: DRAM bandwidth in bytes per cycle, and the bytes that each memory holds.

A tile's number counts the tiles of its command, in the order of the sequencer's walk.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from accel_sim.hardware import AcceleratorConfig
from accel_sim.program import Command, Operand
from accel_sim.records import dataclass
from accel_sim.sim.timing.schedule import Schedule, Span, Unit, schedule_commands

_PROCESS, _LAYERS, _BANDWIDTH = 1, 2, 3
_UNITS = {unit: 10 + rank for rank, unit in enumerate(Unit)}
_OCCUPANCY = {unit: 30 + rank for rank, unit in enumerate(Unit) if unit.name.endswith("SRAM")}
_SEQUENCE = 1


@dataclass(frozen=True)
class Interval:
    """A layer in time.

    Attributes:
        layer, op: its name and operator.
        start, end: in cycles from the start of the network.
        commands: those of the layer that follow one another: (start, schedule).
    """

    layer: str
    op: str
    start: int
    end: int
    commands: tuple[tuple[int, Schedule], ...]


@dataclass(frozen=True)
class Timeline:
    """A network in time.

    Attributes:
        name: of the network.
        hardware: what it runs on.
        intervals: its layers, in order; a layer whose commands do not follow one another has several.
    """

    name: str
    hardware: AcceleratorConfig
    intervals: tuple[Interval, ...]

    @property
    def cycles(self) -> int:
        """Of the whole network."""
        return self.intervals[-1].end if self.intervals else 0

    def write(self, stream: IO[bytes]) -> None:
        """Write the timeline as a Perfetto trace."""
        _Writer(stream).write(self)


def make_timeline(
    name: str, commands: Sequence[Command], hardware: AcceleratorConfig, kept: Iterable[Operand] = ()
) -> Timeline:
    """The timeline of commands that follow one another; `kept` are the tensors that leave the network."""
    intervals: list[Interval] = []
    clock = 0
    for command, schedule in zip(commands, schedule_commands(commands, hardware, kept), strict=True):
        start, parts = clock, [(clock, schedule)]
        if intervals and intervals[-1].layer == command.layer:
            before = intervals.pop()
            start, parts = before.start, [*before.commands, *parts]
        clock += schedule.cycles
        intervals.append(Interval(command.layer, command.op, start, clock, tuple(parts)))
    return Timeline(name, hardware, tuple(intervals))


class _Writer:
    """Packets of one trace; on each track in the order of time."""

    def __init__(self, stream: IO[bytes]) -> None:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent  # a tenth of a second to import
        from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

        self._builder = StreamingTraceProtoBuilder(stream)
        self._begin, self._end = TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END
        self._counter = TrackEvent.TYPE_COUNTER

    def write(self, timeline: Timeline) -> None:
        """Write everything."""
        self._describe(timeline)
        for interval in timeline.intervals:
            self._open(_LAYERS, interval.start, interval.layer, op=interval.op)
            self._close(_LAYERS, interval.end)
            for unit, track in _UNITS.items():
                self._unit(interval, unit, track)
            self._counters(interval, timeline.hardware)

    def _describe(self, timeline: Timeline) -> None:
        process = self._track(_PROCESS, None)
        process.process.pid = 1
        process.process.process_name = f"{timeline.name} on {timeline.hardware.name} (1 ns = 1 cycle)"
        self._add(process)
        self._add(self._track(_LAYERS, "layers"))
        for unit, number in _UNITS.items():
            self._add(self._track(number, unit.value))
        counters = {_BANDWIDTH: ("DRAM bandwidth", "bytes/cycle")}
        counters |= {number: (f"{unit.value} occupancy", "bytes") for unit, number in _OCCUPANCY.items()}
        for number, (name, counted) in counters.items():
            track = self._track(number, name)
            track.counter.unit_name = counted
            self._add(track)

    def _unit(self, interval: Interval, unit: Unit, track: int) -> None:
        spans = [(at, span) for at, schedule in interval.commands for span in schedule.spans if span.unit is unit]
        if not spans:
            return
        self._open(track, interval.start, interval.layer)
        for at, span in spans:
            self._open(track, at + span.start, span.name, size=span.size_bytes)
            self._close(track, at + span.end)
        self._close(track, interval.end)

    def _counters(self, interval: Interval, hardware: AcceleratorConfig) -> None:
        limit = hardware.memory.transfer_bytes_per_cycle
        for at, schedule in interval.commands:
            transfers = (span for span in schedule.spans if span.unit is Unit.DMA)
            for time, rate in _rates(transfers, limit):
                self._count(_BANDWIDTH, at + time, rate)
            for unit, points in schedule.occupancy.items():
                for time, held in points:
                    self._count(_OCCUPANCY[unit], at + time, held)

    def _packet(self, time: int, kind: int, track: int):  # type: ignore[no-untyped-def]  # the schema has no types
        packet = self._builder.create_packet()
        packet.timestamp = time
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.track_event.type = kind
        packet.track_event.track_uuid = track
        return packet

    def _open(self, track: int, time: int, name: str, *, size: int = 0, op: str = "") -> None:
        packet = self._packet(time, self._begin, track)
        packet.track_event.name = name
        if size:
            packet.track_event.debug_annotations.add(name="bytes", uint_value=size)
        if op:
            packet.track_event.debug_annotations.add(name="operator", string_value=op)
        self._builder.write_packet(packet)

    def _close(self, track: int, time: int) -> None:
        self._builder.write_packet(self._packet(time, self._end, track))

    def _count(self, track: int, time: int, value: float) -> None:
        packet = self._packet(time, self._counter, track)
        packet.track_event.double_counter_value = value
        self._builder.write_packet(packet)

    def _track(self, number: int, name: str | None):  # type: ignore[no-untyped-def]  # the schema has no types
        descriptor = self._builder.create_packet().track_descriptor
        descriptor.uuid = number
        if name is not None:
            descriptor.parent_uuid = _PROCESS
            descriptor.name = name
        return descriptor

    def _add(self, descriptor) -> None:  # type: ignore[no-untyped-def]  # the schema has no types
        packet = self._builder.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.track_descriptor.CopyFrom(descriptor)
        self._builder.write_packet(packet)


def _rates(transfers: Iterable[Span], limit: float) -> Iterator[tuple[int, float]]:
    """(cycle, bytes per cycle from then on): at each change, and 0 at the end.

    Spans are rounded to whole cycles, so that a short one may seem faster than the memory is.
    """
    points: dict[int, float] = {}
    for span in transfers:
        if span.end > span.start:
            points[span.start] = min(span.size_bytes / (span.end - span.start), limit)
            points[span.end] = 0.0
    yield from points.items()
