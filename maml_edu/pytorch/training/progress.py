"""How far a run is: a bar in a terminal or a notebook, now and then a line elsewhere. Start with `Progress`."""

from __future__ import annotations

import contextlib
import sys
import time

import numpy as np
from tqdm.auto import tqdm

from .history import History

_REFRESH = 0.1  # seconds between two updates of the bar
_SILENCE = 60.0  # seconds after which a line is written in any case
_MANY = 100  # lines; from then on those of validations are …
_PAUSE = 10.0  # … at least so many seconds apart, so that nothing floods a log
_clock = time.perf_counter


class Progress(contextlib.AbstractContextManager):
    """Says how far a run is. `show` is called after every stride: it looks at the clock, and rarely does more.

    In a terminal and in a notebook there is a bar. Elsewhere (nohup, a batch system, CI) a line is written to
    stderr at each validation, and once a minute: iteration, loss, last validation, time left.
    wanted=False: neither.
    """

    def __init__(self, history: History, start: int, iterations: int, wanted: bool = True):
        self.history, self.start, self.iterations = history, start, iterations
        hidden = None if wanted else True  # None: hidden unless there is a terminal
        self.bar = tqdm(
            total=iterations, initial=start, disable=hidden, desc="meta-training", unit="it"
        )
        self.writes_lines = wanted and self.bar.disable and not _in_notebook()
        self.written = _clock()
        self.next = 0.0
        # (when, iterations done) after the first stride, which may have compiled: the pace is reckoned from there.
        self.paced: tuple[float, int] | None = None
        self.lines, self.shown, self.validations = 0, start, len(history.validation)

    def show(self, done: int, last: bool = False):
        """`done` iterations are done; last: no more will follow."""
        now = _clock()
        self.paced = self.paced or (now, done)
        if self.writes_lines:
            if self._is_due(done, now, last):
                self._write_line(done, now)
        elif now >= self.next or last:
            self.next = now + _REFRESH
            self._update_bar(done)

    def _is_due(self, done, now, last):
        """Whether it is time for another line."""
        silence = now - self.written
        validated = len(self.history.validation) > self.validations
        if validated and (self.lines < _MANY or silence >= _PAUSE):
            return True
        return silence >= _SILENCE or (last and self.lines > 0 and done > self.shown)

    def _write_line(self, done, now):
        history, parts = self.history, [f"{done:,} of {self.iterations:,} iterations"]
        if history.loss:
            parts.append(f"loss {np.mean(history.loss[-100:]):.3g}")
        if history.validation:
            parts.append(history.last_validation())
        since, first = self.paced or (now, done)
        if first < done < self.iterations:
            left = (now - since) / (done - first) * (self.iterations - done)
            parts.append(f"{_in_words(left)} left")
        print(f"meta-training: {', '.join(parts)}", file=sys.stderr, flush=True)
        self.lines, self.shown, self.written = self.lines + 1, done, now
        self.validations = len(history.validation)

    def _update_bar(self, done):
        if not self.bar.disable and self.history.loss:
            numbers = {"loss": f"{np.mean(self.history.loss[-100:]):.3g}"}
            if self.history.validation:
                numbers[self.history.metric] = f"{self.history.validation[-1][1]:.4g}"
            self.bar.set_postfix(numbers, refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error):
        self.bar.close()


def _in_notebook():
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _in_words(seconds):
    """A duration to two digits or so: 45 s, 12 min, 3 h 20 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes <= 100 else f"{minutes // 60} h {minutes % 60} min"
