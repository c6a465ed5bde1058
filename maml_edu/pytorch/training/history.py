"""What happened while a learner was trained: `History`, which `meta_train` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..metrics import more_is_better

_MANY = 40  # validation points; with more of them, one marker per point would be clutter
_LOSS, _VALIDATION = "#0072B2", "#D55E00"  # told apart by the colour-blind, and in grey


@dataclass
class History:
    """The meta-loss of every iteration, the validation scores, the time, and how it ended.

    loss: the meta-loss before each outer step. seconds: of training, validation included.
    interrupted: whether Ctrl-C ended it. stopped: the name of the callback that ended it.
    validation: (iteration, mean, ci95) after the last inner step; the interval is mean ± ci95.
    doubtful: the iterations in `validation` whose interval may not hold: too few tasks, or a few that
    dominate the mean (`Evaluation.trust`). They are marked "!".
    metric: what is validated, such as "mse", "accuracy" or the name of a function.
    rises: whether more of the metric is better; None: as its name says, if it is a built-in one.
    engine: what computed the meta-gradients, such as "native"; "lean, textbook" if one followed the other.
    """

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    validation: list[tuple[int, float, float]] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    metric: str = ""
    stopped: str = ""
    rises: bool | None = None
    engine: str = ""

    def __len__(self):
        return len(self.loss)

    def smoothed(self, window: int = 100) -> np.ndarray:
        """Running mean of the loss over `window` iterations (shorter at the start)."""
        total = np.cumsum(np.insert(np.asarray(self.loss, float), 0, 0.0))
        ends = np.arange(1, len(total))
        starts = np.maximum(ends - window, 0)
        return (total[ends] - total[starts]) / (ends - starts)

    @property
    def best(self) -> tuple[int, float, float] | None:
        """The best of `validation`, the first of equals; None without one, or if nobody said what is better."""
        scores = [entry for entry in self.validation if np.isfinite(entry[1])]
        rises = more_is_better(self.metric) if self.rises is None else self.rises
        if rises is None:
            return None
        return min(scores, key=lambda entry: -entry[1] if rises else entry[1], default=None)

    def last_validation(self) -> str:
        """The last entry of `validation` in words."""
        iteration, mean, ci95 = self.validation[-1]
        doubt = " !" if iteration in self.doubtful else ""
        return f"validation {self.metric} {mean:.4g} ± {ci95:.2g}{doubt}"

    def plot(self, window: int = 100, ax=None):
        """Draw the smoothed meta-loss and the validation scores; returns the matplotlib Axes.

        window: iterations that the loss is averaged over. ax: Axes to draw on (None: a new figure).
        What is no loss has an axis of its own on the right. Works without a screen: ax.figure.savefig(...).
        """
        import matplotlib.pyplot as plt  # not before somebody wants a picture

        ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")[1] if ax is None else ax
        iterations = np.arange(1, len(self) + 1)
        mean = f"meta-loss, mean of {window} iterations"
        ax.plot(iterations, self.smoothed(window), color=_LOSS, label=mean)
        ax.set(xlabel="iteration", ylabel="meta-loss", title=self._headline(window))
        if self.validation:
            self._plot_validation(ax)
        # what rises leaves room between itself and the falling loss, which "best" does not see
        ax.legend(frameon=False, loc="center right" if self._has_axis_of_its_own else "best")
        return ax

    @property
    def _has_axis_of_its_own(self):
        """Whether validation is in other units than the meta-loss."""
        return self.metric not in ("", "mse", "loss")

    def _plot_validation(self, ax):
        """Validation scores with their intervals; what is no loss gets the axis on the right."""
        right = ax.twinx() if self._has_axis_of_its_own else ax
        at, means, intervals = np.array(self.validation, float).T
        look = {"color": _VALIDATION, "linestyle": "--", "capsize": 2.0}
        marker = "o" if len(at) <= _MANY else ""
        name = f"validation {self.metric or 'loss'}"
        drawn = right.errorbar(at, means, yerr=intervals, marker=marker, markersize=4, **look)
        if right is not ax:
            right.set_ylabel(name)
        doubt = ", may not hold (too few tasks, or a few dominate)" if self.doubtful else ""
        ax.errorbar([], [], yerr=[], marker=marker, label=f"{name} ± 95 %{doubt}", **look)
        return drawn

    def _headline(self, window):
        """What the picture shows, in a line."""
        if not self.loss:
            return "No iteration yet"
        first, last = np.mean(self.loss[:window]), np.mean(self.loss[-window:])
        return f"Meta-loss {first:.3g} → {last:.3g} in {len(self):,} iterations"

    def __repr__(self):
        last = f", last loss {self.loss[-1]:.4g}" if self.loss else ""
        stopped = ", interrupted" if self.interrupted else ""
        stopped += f", stopped by {self.stopped}" if self.stopped else ""
        if self.validation:
            last += f", {self.last_validation()}"
        engine = f", engine {self.engine}" if self.engine else ""
        return f"History({len(self.loss)} iterations{last}, {self.seconds:.1f} s{engine}{stopped})"
