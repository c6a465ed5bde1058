"""What this machine gives to a process: `usable_cores`."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(system: Path = Path("/")) -> int:
    """The cores that this process may use: its affinity and a container's quota, not the machine's.

    Of a quota of 2.5 cores two are counted, and one of half a core. system: the folder of proc and sys.
    """
    return min([_affinity(), *(max(1, int(quota)) for quota in _quotas(system))])


def _affinity() -> int:
    if hasattr(os, "process_cpu_count"):  # since Python 3.13, and what PYTHON_CPU_COUNT says
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS, nor on Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(system: Path) -> Iterator[float]:
    """Cores' worth of time that control groups (version 2 and 1) give to this process: its own and those above."""
    for folder in _groups(system):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            # no such file, no number ("max"), or none that is one (version 1 says -1)
            with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
                said = " ".join((folder / name).read_text("ascii") for name in names)
                quota, period = map(int, said.split())
                if quota > 0:
                    yield quota / period


def _groups(system: Path) -> Iterator[Path]:
    """Folders of this process's control groups, from the outermost in.

    A container often sees its own group as the outermost one, whatever path /proc tells.
    """
    root = system / "sys" / "fs" / "cgroup"
    tops = {root: "/", root / "cpu": "/", root / "cpu,cpuacct": "/"}
    with contextlib.suppress(OSError, ValueError):
        for line in (system / "proc" / "self" / "cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                tops[root] = path
            elif "cpu" in controllers.split(","):
                tops |= dict.fromkeys((root / "cpu", root / controllers), path)
    for top, path in tops.items():
        inner = Path(path.strip("/"))
        above = [] if ".." in inner.parts else [*reversed(inner.parents), inner]
        yield from dict.fromkeys([top, *(top / folder for folder in above)])
