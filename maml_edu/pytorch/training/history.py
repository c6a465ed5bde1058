"""What happened while a learner was trained: `History`, which `meta_train` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

MANY = 40  # validation points from which on a marker each would only be clutter


@dataclass
class History:
    """The meta-loss of every iteration, the validation scores, the time, and how it ended.

    loss: before each outer step. seconds: of training, validation included. interrupted: by Ctrl-C.
    validation: (iteration, mean, ci95) after the last inner step, the interval being mean ± ci95.
    metric: what is validated, such as "mse" or "accuracy". stopped: the callback that ended training.
    """

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    validation: list[tuple[int, float, float]] = field(default_factory=list)
    metric: str = ""
    stopped: str = ""

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
        """The best of `validation`, the first of equals: highest accuracy or lowest loss; None without."""
        known = [entry for entry in self.validation if np.isfinite(entry[1])]
        sign = -1 if self.metric == "accuracy" else 1
        return min(known, key=lambda entry: sign * entry[1], default=None)

    def plot(self, window: int = 100, ax=None):
        """Draw the smoothed meta-loss and the validation scores; returns the matplotlib Axes.

        window: iterations that the loss is averaged over. ax: Axes to draw on (None: a new figure).
        Accuracy has an axis of its own on the right. Works without a screen: ax.figure.savefig(...).
        """
        import matplotlib.pyplot as plt  # not before somebody wants a picture

        ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")[1] if ax is None else ax
        iterations = np.arange(1, len(self) + 1)
        mean = f"meta-loss, mean of {window} iterations"
        ax.plot(iterations, self.smoothed(window), color="#0072B2", label=mean)
        ax.set(xlabel="iteration", ylabel="meta-loss", title=self._headline(window))
        if self.validation:
            self._plot_validation(ax)
        # an accuracy rises while the loss falls: between them there is room, which "best" does not see
        ax.legend(frameon=False, loc="center right" if self.metric == "accuracy" else "best")
        return ax

    def _plot_validation(self, ax):
        """Validation scores with their intervals; accuracy gets the axis on the right."""
        right = ax.twinx() if self.metric == "accuracy" else ax
        at, means, intervals = np.array(self.validation, float).T
        look = {"color": "#D55E00", "linestyle": "--", "capsize": 2.0}
        marker = "o" if len(at) <= MANY else ""
        name = f"validation {self.metric or 'loss'}"
        drawn = right.errorbar(at, means, yerr=intervals, marker=marker, markersize=4, **look)
        if right is not ax:
            right.set_ylabel(name)
        ax.errorbar([], [], yerr=[], marker=marker, label=f"{name} ± 95 %", **look)
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
            _, mean, ci95 = self.validation[-1]
            last += f", validation {self.metric} {mean:.4g} ± {ci95:.2g}"
        return f"History({len(self.loss)} iterations{last}, {self.seconds:.1f} s{stopped})"
