"""Chapter 09: how much each rung of the ladder gives, the roofline, and memory against inner steps.

The times in these pictures are measured by whoever draws them and handed over; only `launch_or_compute`
computes its own, from a model of two terms. Start from `launch_or_compute`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Interval, Note, Points, Scene, number
from maml_edu.figures.static import draw

__all__ = ["launch_or_compute", "speed_ladder", "roofline", "memory_against_steps"]

KIB = 1024


# ---------------------------------------------------------------- the ladder


def speed_ladder(factors, intervals=None):
    """Dots: rung name → how many times as fast as the first rung, in the order given (a picture).

    intervals: rung name → (low, high), those of the medians.
    """
    return draw(ladder_scene(factors, intervals or {}))


def ladder_scene(factors, intervals):
    """A dot a rung on a logarithmic axis, the first rung at the bottom: on such an axis no bar has a length."""
    names, best = list(factors), max(factors, key=factors.__getitem__)
    spans, points, notes = [], [], []
    for y, (name, value) in enumerate(factors.items(), start=1):
        role = "maml" if name == best else "before"
        low, high = intervals.get(name, (value, value))
        if high > low:
            spans.append(Interval(low, high, y, label="interval of the median"))
        points.append(Points(value, y, role))
        notes.append(Note(high * 1.2, y, f"{name}: {number(value, 2)} ×"))
    said = "; ".join(f"{name} {number(value, 2)} times" for name, value in factors.items())
    return Scene(
        title=f"From {names[0]} to {best}: {number(factors[best], 2)} times as fast",
        alt="One dot a program on a logarithmic axis, further right for a faster one"
        + (", with the interval of the median" if intervals else "")
        + f"; relative to the first: {said}.",
        xlabel=f"speed, relative to {names[0]} (logarithmic)",
        xlim=(0.7, max(max(factors.values()), *(high for _, high in intervals.values()), 1.0) * 6),
        ylim=(0.5, len(names) + 0.5),
        intervals=spans,
        points=points,
        notes=notes,
        xlog=True,
        rows=True,
    )


# ---------------------------------------------------------------- the roofline


def speed_under_roof(flops, overhead, peak):
    """Flops per second of operations with `flops` each that cost `overhead` seconds to start: array like flops.

    overhead in seconds, peak in flops per second; t = overhead + flops / peak.
    """
    return flops / (overhead + flops / peak)


def roofline(overhead, peak, rungs, small=None):
    """The machine's roof, and rungs name → (flops per operation, flops per second) under it (a picture).

    overhead: seconds to start an operation; peak: flops per second of a large matrix product; small: the
    same of products as small as those of the rungs, a lower ceiling.
    """
    return draw(roofline_scene(overhead, peak, rungs, small))


def roofline_scene(overhead, peak, rungs, small=None):
    """The scene of `roofline`."""
    ends = [overhead * peak, *(flops for flops, _ in rungs.values())]
    x = np.geomspace(min(ends) / 30, max(ends) * 30, 121)
    lowest = min([x[0] / overhead, *(speed for _, speed in rungs.values())])
    best = max(rungs, key=lambda name: rungs[name][1])
    share = rungs[best][1] / peak
    lower = [] if small is None else [Curve(x, np.full_like(x, small / 1e9), "low")]
    return Scene(
        title=f"{best} reaches {number(100 * share, 2)} % of what one core can do",
        alt="A line that rises with the work in one operation and bends into a ceiling, the machine's "
        "largest matrix product. "
        + (
            f"A lower ceiling, of small products, at {number(100 * small / peak, 2)} %. "
            if lower
            else ""
        )
        + "Below it marks: "
        + "; ".join(
            f"{name} at {number(100 * speed / peak, 2)} % of the ceiling"
            for name, (_, speed) in rungs.items()
        )
        + ".",
        xlabel="arithmetic in one operation [flops]",
        ylabel="arithmetic done [Gflops per second]",
        xlim=(float(x[0]), float(x[-1])),
        ylim=(lowest / 1e9 / 3, peak / 1e9 * 4),
        xlog=True,
        ylog=True,
        curves=[
            Curve(x, np.full_like(x, peak / 1e9), "high"),
            Curve(x, x / overhead / 1e9, "neutral"),
            *lower,
            Curve(x, speed_under_roof(x, overhead, peak) / 1e9, "truth"),
        ],
        points=[
            Points(flops, speed / 1e9, "maml" if name == best else "before")
            for name, (flops, speed) in rungs.items()
        ],
        notes=_names_of_lines(x[0], overhead, peak, small) + _names_beside(rungs),
    )


def _names_of_lines(left, overhead, peak, small):
    """The names of ceiling, lower ceiling and slope, at their left ends, where no rung stands."""
    notes = [
        Note(1.4 * left, 1.8 * peak / 1e9, "ceiling: a large product", role="high"),
        Note(2 * left, 0.7 * left / overhead / 1e9, "slope: starts only", role="neutral"),
    ]
    if small is not None:  # between the two ceilings
        name = "small products"
        notes.append(Note(1.4 * left, (small * peak) ** 0.5 / 1e9, name, role="low"))
    return notes


def _names_beside(rungs, near=4.0):
    """Each rung's name to the right of its mark, and below it if another mark is near on the right."""
    notes = []
    for name, (flops, speed) in rungs.items():
        crowded = any(
            flops < other < near * flops and speed / near < faster < near * speed
            for other, faster in rungs.values()
        )
        height = speed / 1e9
        notes.append(Note(flops * 1.5, height / 1.9 if crowded else height, name))
    return notes


# ---------------------------------------------------------------- the live figure


def launch_or_compute():
    """Tasks at once, width, and a machine of your choice: is it starting or computing that takes the time?"""
    sliders = {
        "tasks": ("tasks at once", 1, 100, 1, 1),
        "width": ("hidden width", 10, 400, 40, 10),
        "overhead": ("µs to start an operation", 1, 20, 5, 1),
        "peak": ("Gflops per second", 10, 2000, 80, 10),
    }
    return interactive(launch_scene, sliders, twin=[{"tasks": 1}, {"tasks": 25}])


def launch_scene(tasks=1, width=40, overhead=5, peak=80, examples=10):
    """The largest product of one layer, examples × width × width for all tasks, under the roof."""
    flops = 2.0 * examples * width * width * tasks
    start, compute = overhead * 1e-6, flops / (peak * 1e9)
    x = np.geomspace(1e3, 1e9, 121)
    lost = start / (start + compute)
    what = "starting" if lost > 0.5 else "computing"
    together = "One task at a time" if tasks == 1 else f"{tasks} tasks at once"
    share = max(lost, 1 - lost)
    attained = speed_under_roof(flops, start, peak * 1e9) / 1e9
    return Scene(
        title=f"{together}: a product spends {100 * share:.0f} % {what}",
        alt=f"A line that rises with the work in one operation and bends into a ceiling at {peak} Gflops "
        f"per second. A mark at {number(flops)} flops stands at {number(attained)} Gflops per second; "
        f"a dotted line marks the bend at {number(start * peak * 1e9)} flops.",
        xlabel="arithmetic in one operation [flops]",
        ylabel="arithmetic done [Gflops per second]",
        xlim=(1e3, 1e9),
        ylim=(0.03, 4000),
        xlog=True,
        ylog=True,
        curves=[
            Curve(x, np.full_like(x, float(peak)), "high", "ceiling: the arithmetic unit"),
            Curve(x, speed_under_roof(x, start, peak * 1e9) / 1e9, "truth", "what is attained"),
            Curve([start * peak * 1e9] * 2, [0.03, 4000], "neutral", "bend: half and half"),
        ],
        points=[Points(flops, attained, "maml", "the largest product of an outer step")],
    )


# ---------------------------------------------------------------- memory


def memory_against_steps(steps, plain, lean):
    """Bytes kept by the recorded loop (plain) and by the back-walk (lean), over inner steps (a picture)."""
    return draw(memory_scene(steps, plain, lean))


def memory_scene(steps, plain, lean):
    """steps, plain, lean: (n,) inner steps and bytes."""
    steps, plain, lean = (np.asarray(values, float) for values in (steps, plain, lean))
    slopes = [(own[-1] - own[0]) / (steps[-1] - steps[0]) / KIB for own in (plain, lean)]
    return Scene(
        title=f"Another inner step costs {number(slopes[0], 2)} KiB recorded, "
        f"{number(slopes[1], 2)} KiB walking back",
        alt="Two lines over the number of inner steps. The bytes kept by the recorded loop rise steeply to "
        f"{number(plain[-1] / KIB)} KiB, those of the back-walk slowly to {number(lean[-1] / KIB)} KiB.",
        xlabel="inner steps K",
        ylabel="kept for the way back [KiB per task]",
        xlim=(0, float(steps[-1]) * 1.25),  # room for ticks at whole steps
        ylim=(0, float(plain[-1]) / KIB * 1.1),
        curves=[
            Curve(steps, plain / KIB, "high", "recorded: all φ, all graphs", markers=True),
            Curve(steps, lean / KIB, "maml", "back-walk: all φ, one graph", markers=True),
        ],
    )
