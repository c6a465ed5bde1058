"""How well a run adapts, as a table, as JSON and as a picture: `evaluate`, which returns a `Report`."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import Any

_TOGETHER, _ALONE = "transductive", "one query at a time"
_LOOKS = ({"color": "#0072B2", "fmt": "o-"}, {"color": "#D55E00", "fmt": "s--"})


@dataclass(frozen=True)
class Report:
    """Scores after each number of inner steps.

    ways: `mt.Evaluation` by the way of asking: "transductive" and "one query at a time", or "score" alone
        if nothing in the model depends on the batch.
    tasks: what was tested on.
    steps: the numbers of inner steps that are shown.
    beside: `mt.Evaluation` of what needs no training, on the same tasks, by its name.
    notes: what has to be known, a line each.
    """

    ways: dict[str, Any]
    tasks: str
    steps: tuple[int, ...]
    beside: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return next(iter(self.ways.values())).metric

    @property
    def episodes(self) -> int:
        return len(next(iter(self.ways.values())))

    def as_json(self) -> dict[str, Any]:
        """Means and medians with their 95 % intervals, runaways and which figure to trust, in plain values."""
        from maml_edu.pytorch.metrics import more_is_better

        plain = {
            "metric": self.metric,
            "more_is_better": more_is_better(self.metric),
            "tasks": self.tasks,
            "episodes": self.episodes,
            "steps": list(self.steps),
            "scores": {way: self._plain(result, self.steps) for way, result in self.ways.items()},
        }
        if self.beside:
            beside = {name: self._plain(result, (0,)) for name, result in self.beside.items()}
            plain |= {"beside": beside, "minus_beside": self._plain_differences()}
        return plain | ({"notes": list(self.notes)} if self.notes else {})

    def _plain_differences(self):
        """{what is beside: what the run scores more, task by task}."""
        first = next(iter(self.ways.values()))
        return {
            name: self._plain(_minus(first, result), self.steps)
            for name, result in self.beside.items()
        }

    @staticmethod
    def _plain(result, steps):
        steps = list(steps)
        low, high = result.median_ci95
        arrays = {"mean": result.mean, "ci95": result.ci95, "median": result.median}
        arrays |= {"median_low": low, "median_high": high, "runaways": result.runaways}
        plain: dict[str, Any] = {name: values[steps].tolist() for name, values in arrays.items()}
        return plain | {"trust": [result.trust[step] for step in steps]}

    def table(self):
        """A table for the terminal (rich): one row per number of inner steps, one column per way of asking."""
        from rich.table import Table

        title = f"{self.metric} on {self.episodes} new tasks, with 95 % intervals"
        width = max(len(title), min(100, len(self.tasks)))
        look: dict[str, Any] = {"title_justify": "left", "box": None, "min_width": width}
        lines = [self.tasks, *self.notes, *self._lines_beside(), *self.remarks()]
        caption = "\n".join(lines)
        table = Table(title=title, caption=caption, caption_justify="left", **look)
        table.add_column("inner steps", justify="right")
        for way in self.ways:
            for name in self._columns():
                table.add_column(f"{way}, {name}" if len(self.ways) > 1 else name, justify="right")
        for step in self.steps:
            cells = (self._cells(result, step) for result in self.ways.values())
            table.add_row(str(step), *itertools.chain.from_iterable(cells))
        return table

    def remarks(self) -> list[str]:
        """What has to be known beside the table."""
        return list(dict.fromkeys(r for result in self.ways.values() for r in result.remarks()))

    def _lines_beside(self):
        """What needs no training, and how much more the run scores after the last step, in words."""
        first, last = next(iter(self.ways.values())), self.steps[-1]
        after = f" after {last} inner steps" if last else ""
        for name, result in self.beside.items():
            gain = _minus(first, result)
            mark = "" if gain.trust[last] == "mean" else " !"
            points = f"{100 * gain.mean[last]:+.2f} ± {100 * gain.ci95[last]:.2f}{mark} points"
            yield f"{name}: {self._score(result, 0)} on the same tasks"
            yield f"this run{after}, compared with it: {points.replace('-', '−')}"

    def _columns(self):
        """Accuracies are told by their mean, as papers do; what has no bound by the median first."""
        return ("mean",) if self.metric == "accuracy" else ("median", "mean", "ran away")

    def _cells(self, result, step):
        if self.metric == "accuracy":
            return (self._score(result, step),)
        return result.cells(step)

    def plot(self):
        """Score against inner steps, with intervals; returns the matplotlib Axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")[1]
        steps, is_accuracy = list(self.steps), self.metric == "accuracy"
        for (way, result), look in zip(self.ways.items(), _LOOKS, strict=False):
            if is_accuracy:
                middle, reach = 100 * result.mean[steps], 100 * result.ci95[steps]
            else:
                middle = result.median[steps]
                reach = abs(result.median_ci95[:, steps] - middle)
            ax.errorbar(steps, middle, yerr=reach, label=way, capsize=3, **look)
        for name, result in self.beside.items():
            ax.axhline(100 * result.mean[0], label=name, color="0.5", linestyle=":")
        ylabel = "accuracy (%)" if is_accuracy else f"{self.metric}, median"
        ax.set(xlabel="inner steps", ylabel=ylabel, title=self._headline(), xticks=steps)
        if not is_accuracy and all(result.median.min() > 0 for result in self.ways.values()):
            ax.set_yscale("log")
        if len(self.ways) + len(self.beside) > 1:
            ax.legend(frameon=False)
        return ax

    def _score(self, result, step) -> str:
        """ "97.12 ± 0.31 %", or the median of a loss."""
        if self.metric == "accuracy":
            mark = "" if result.trust[step] == "mean" else " !"
            return f"{100 * result.mean[step]:.2f} ± {100 * result.ci95[step]:.2f} %{mark}"
        return f"median {result.median[step]:.4f}"

    def _headline(self) -> str:
        """What the picture shows, in a line."""
        first = next(iter(self.ways.values()))
        last = self.steps[-1]
        return f"{self._score(first, last)} after {last} inner steps, {self.episodes} new tasks"


def _minus(result, other):
    """What a run scores more than something that is the same after any number of steps, task by task."""
    again = dataclasses.replace(other, values=other.values[:, [0] * result.values.shape[1]])
    return result - again


def evaluate(
    learner,
    tasks,
    episodes: int = 600,
    steps=None,
    *,
    seed=1,
    progress=False,
    alone=True,
    beside=None,
    notes=(),
) -> Report:
    """Adapt to `episodes` new tasks and score the queries, all at once and one at a time.

    steps: the largest number of inner steps, or the numbers to show; None means as many as in training.
        A ProtoNet takes none.
    seed: of the tasks.
    progress: show a bar.
    alone: ask one query at a time as well, which takes long with many ways and shots. It is left out if no
        batch norm is in the model: it would make no difference.
    beside: {name: learner without inner steps}, to be tested on the same tasks; accuracies alone.
    notes: lines for the report.

    Raises ValueError as `mt.evaluate` does.
    """
    import maml_edu.pytorch as mt
    from maml_edu.pytorch.modes import uses_batch_statistics

    if steps is None:
        steps = learner.inner_steps
    shown = tuple(range(steps + 1)) if isinstance(steps, int) else tuple(sorted(set(steps)))
    if isinstance(learner, mt.ProtoNet):
        shown = (0,)
    how = {"steps": max(shown), "seed": seed, "progress": progress}

    def asked(way):
        return mt.evaluate(learner, tasks, episodes, transductive=way == _TOGETHER, **how)

    if uses_batch_statistics(learner.model):
        ways = {way: asked(way) for way in ((_TOGETHER, _ALONE) if alone else (_TOGETHER,))}
    else:
        ways = {"score": asked(_TOGETHER)}
    same = {"steps": 0, "seed": seed, "progress": progress}
    others = {
        name: mt.evaluate(other, tasks, episodes, **same) for name, other in (beside or {}).items()
    }
    return Report(ways, repr(tasks), shown, others, tuple(notes))
