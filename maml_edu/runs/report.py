"""How well a run adapts, as a table, as JSON and as a picture: `evaluate`, which returns a `Report`."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    ways: dict[str, Any]
    tasks: str
    steps: tuple[int, ...]

    @property
    def metric(self) -> str:
        return next(iter(self.ways.values())).metric

    @property
    def episodes(self) -> int:
        return len(next(iter(self.ways.values())))

    def as_json(self) -> dict[str, Any]:
        """Means and 95 % intervals (mean ± ci95), in plain values."""
        scores = {
            way: {
                "mean": [float(result.mean[step]) for step in self.steps],
                "ci95": [float(result.ci95[step]) for step in self.steps],
            }
            for way, result in self.ways.items()
        }
        return {
            "metric": self.metric,
            "tasks": self.tasks,
            "episodes": self.episodes,
            "steps": list(self.steps),
            "scores": scores,
        }

    def table(self):
        """A table for the terminal (rich): one row per number of inner steps, one column per way of asking."""
        from rich.table import Table

        title = f"{self.metric} on {self.episodes} new tasks, mean ± 95 % confidence"
        width = max(len(title), min(100, len(self.tasks)))
        look: dict[str, Any] = {"title_justify": "left", "box": None, "min_width": width}
        table = Table(title=title, caption=self.tasks, caption_justify="left", **look)
        table.add_column("inner steps", justify="right")
        for way in self.ways:
            table.add_column(way, justify="right")
        for step in self.steps:
            scores = (self._score(result, step) for result in self.ways.values())
            table.add_row(str(step), *scores)
        return table

    def plot(self):
        """Score against inner steps, with intervals; returns the matplotlib Axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")[1]
        factor = 100 if self.metric == "accuracy" else 1
        steps = list(self.steps)
        for (way, result), look in zip(self.ways.items(), _LOOKS, strict=False):
            mean, ci95 = factor * result.mean[steps], factor * result.ci95[steps]
            ax.errorbar(steps, mean, yerr=ci95, label=way, capsize=3, **look)
        ylabel = "accuracy (%)" if self.metric == "accuracy" else self.metric
        ax.set(xlabel="inner steps", ylabel=ylabel, title=self._headline(), xticks=steps)
        if len(self.ways) > 1:
            ax.legend(frameon=False)
        return ax

    def _score(self, result, step) -> str:
        """ "97.12 ± 0.31 %", or the loss."""
        mean, ci95 = result.mean[step], result.ci95[step]
        if self.metric == "accuracy":
            return f"{100 * mean:.2f} ± {100 * ci95:.2f} %"
        return f"{mean:.4f} ± {ci95:.4f}"

    def _headline(self) -> str:
        """What the picture shows, in a line."""
        first = next(iter(self.ways.values()))
        last = self.steps[-1]
        return f"{self._score(first, last)} after {last} inner steps, {self.episodes} new tasks"


def evaluate(
    learner, tasks, episodes: int = 600, steps=None, *, seed=1, progress=False, alone=True
) -> Report:
    """Adapt to `episodes` new tasks and score the queries, all at once and one at a time.

    steps: the largest number of inner steps, or the numbers to show; None means as many as in training.
        A ProtoNet takes none.
    seed: of the tasks.
    progress: show a bar.
    alone: ask one query at a time as well, which takes long with many ways and shots. It is left out if no
        batch norm is in the model: it would make no difference.

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
    return Report(ways, repr(tasks), shown)
