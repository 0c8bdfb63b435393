"""How much memory is free, so that what cannot fit is refused before it is allocated."""

import contextlib
import sys
from pathlib import Path

from accel_sim.errors import Fault

_MEMORY = Path("/proc/meminfo")
_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def memory_faults(where: str, needed_bytes: int, cure: str) -> list[Fault]:
    """The fault of something that needs more memory than is free; none where that is not known."""
    free = free_bytes()
    if free is None or needed_bytes <= free:
        return []
    return [Fault(where, f"needs {_shown(needed_bytes)} of memory", f"fits in the {_shown(free)} that are free", cure)]


def free_bytes() -> int | None:
    """What this process can still allocate, swap included: the least of what system, group and limits leave it."""
    known = [*_of_system(), *_of_groups(), *_of_limits()]
    return max(min(known), 0) if known else None


def _of_system() -> list[int]:
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        return [1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))]
    return []


def _of_groups() -> list[int]:
    left = []
    for limit, used in _GROUPS:
        with contextlib.suppress(OSError, ValueError):  # absent, or "max"
            left.append(int(limit.read_text()) - int(used.read_text()))
    return left


def _of_limits() -> list[int]:
    if sys.platform == "win32":
        return []
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    with contextlib.suppress(OSError, ValueError):
        return [limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()]
    return [limit]


def _shown(size: int) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:,.1f} TiB"
