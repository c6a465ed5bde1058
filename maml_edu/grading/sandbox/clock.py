"""Whose time it was: what the processes of one submission have used of the processor, and slept.

A wall clock runs on while other people's processes have the processor; a submission pays for what is its own:
the time its processes ran, and the time in which none of them wanted to. While they are ready to run and have
to wait, nobody is charged. Read from /proc by the warm Python, every so often (`Clock.look`), so that the
judge may ask about any moment since (`Clock.since`). The submission has no part in it.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import time
from collections.abc import Iterable

CROWD = (
    4  # processes and threads; of a submission that has more, each gives way to everybody else's
)
GIVING_WAY = 19
WANTS = (b"R", b"D")  # states of what runs, or would if it could: ready, or waiting for a disk
NANO = 1e-9


class Clock:
    """The time of one submission. samples: (moment, seconds of the processor, seconds asleep), so far."""

    def __init__(self):
        self.samples: list[tuple[float, float, float]] = [(time.monotonic(), 0.0, 0.0)]
        self._own: dict[tuple[int, bytes], float] = {}  # (process, its start) → seconds, last seen
        self._seen = 0.0  # seconds of all of those, and of children that they have waited for
        self._waited: dict[
            int, float
        ] = {}  # thread → seconds in which it was ready and did not run
        self._quiet: set[int] = set()  # threads that give way

    def look(self, processes: Iterable[int]) -> None:
        """Take a sample. processes: those of the submission that there are."""
        moment, used, asleep = time.monotonic(), *self.samples[-1][1:]
        passed, waited, wants, with_children = moment - self.samples[-1][0], 0.0, False, 0.0
        alive: set[int] = set()
        known = len(self._own)
        for process in processes:
            with contextlib.suppress(OSError, IndexError, ValueError):
                state, start, own, children, threads = _stat(process)
                self._own[process, start] = own
                with_children += own + children
                wants = wants or state in WANTS
                for thread in _threads(process) if threads > 1 else [process]:
                    alive.add(thread)
                    wants = wants or (
                        thread != process and _stat(f"{process}/task/{thread}")[0] in WANTS
                    )
                    waited += self._has_waited(process, thread)
        seen = max(self._seen, sum(self._own.values()), with_children)
        more, self._seen = seen - self._seen, seen
        if wants and known and len(self._own) > known:
            # some come and go: what those did that nobody saw was done in the time that nobody waited
            more = max(more, passed - waited)
        if not wants:
            asleep += max(0.0, passed - more - waited)
        self.samples.append((moment, used + more, asleep))
        if len(alive) > CROWD:
            self._give_way(alive)

    def since(self, asked: float, called: float) -> tuple[float, float]:
        """(seconds of the processor since one moment, seconds asleep since another)."""
        return self.samples[-1][1] - self._at(asked)[1], self.samples[-1][2] - self._at(called)[2]

    @property
    def used(self) -> float:
        """Seconds of the processor, of all its processes from the start."""
        return self.samples[-1][1]

    def _at(self, moment):
        """The first sample from a moment on."""
        at = bisect.bisect_left(self.samples, (moment,))
        return self.samples[min(at, len(self.samples) - 1)]

    def _has_waited(self, process, thread) -> float:
        """Seconds since last seen for which a thread was ready and did not run."""
        with open(f"/proc/{process}/task/{thread}/schedstat", "rb") as file:
            waited = int(file.read().split()[1]) * NANO
        before = self._waited.get(thread, 0.0)
        self._waited[thread] = waited
        return max(0.0, waited - before)

    def _give_way(self, threads):
        """Of a crowd, each yields: so a submission has about its share, however many it starts."""
        for thread in threads - self._quiet:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, GIVING_WAY)
            self._quiet.add(thread)


def _stat(which) -> tuple[bytes, bytes, float, float, int]:
    """(state, start, seconds of its own, seconds of children it has waited for, threads) of a process."""
    with open(f"/proc/{which}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return fields[0], fields[19], own / ticks, children / ticks, int(fields[17])


def _threads(process) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{process}/task")]
