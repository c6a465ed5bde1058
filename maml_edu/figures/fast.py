"""Chapter 09: how much each rung of the ladder gives, the roofline, and memory against inner steps.

The times in these pictures are measured by whoever draws them and handed over; only `launch_or_compute`
computes its own, from a model of two terms. Start from `launch_or_compute`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Note, Points, Scene, number
from maml_edu.figures.static import draw

KIB = 1024


# ---------------------------------------------------------------- the ladder


def speed_ladder(factors):
    """Bars: rung name → how many times as fast as the first rung, in the order given (a picture)."""
    return draw(ladder_scene(factors))


def ladder_scene(factors):
    """One bar a rung on a logarithmic axis, the first rung at the bottom."""
    names, values = list(factors), np.array(list(factors.values()), float)
    curves, points, notes = [], [], []
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        y, role = row + 1, "maml" if value == values.max() else "before"
        curves.append(Curve([0.5, value], [y, y], role))
        points.append(Points(value, y, role))
        notes.append(Note(0.55, y + 0.25, name))
        notes.append(Note(value * 1.25, y, f"{number(value, 2)} ×"))
    best = names[int(values.argmax())]
    return Scene(
        title=f"From {names[0]} to {best}: {number(values.max(), 2)} times as fast",
        alt="One horizontal bar a program, on a logarithmic scale, longer for a faster one; relative to "
        "the first: "
        + "; ".join(f"{n} {number(v, 2)} times" for n, v in zip(names, values, strict=True))
        + ".",
        xlabel=f"speed, relative to {names[0]} (logarithmic)",
        ylabel="rung",
        xlim=(0.5, float(values.max()) * 4),
        ylim=(0.5, len(names) + 0.7),
        curves=curves,
        points=points,
        notes=notes,
        xlog=True,
    )


# ---------------------------------------------------------------- the roofline


def speed_under_roof(flops, overhead, peak):
    """Flops per second of operations with `flops` each that cost `overhead` seconds to start: array like flops.

    overhead in seconds, peak in flops per second; t = overhead + flops / peak.
    """
    return flops / (overhead + flops / peak)


def roofline(overhead, peak, rungs):
    """The machine's roof, and rungs name → (flops per operation, flops per second) under it (a picture)."""
    return draw(roofline_scene(overhead, peak, rungs))


def roofline_scene(overhead, peak, rungs):
    """overhead: seconds to start an operation; peak: flops per second of a large matrix product."""
    ends = [overhead * peak, *(flops for flops, _ in rungs.values())]
    x = np.geomspace(min(ends) / 30, max(ends) * 30, 121)
    lowest = min([x[0] / overhead, *(speed for _, speed in rungs.values())])
    best = max(rungs, key=lambda name: rungs[name][1])
    share = rungs[best][1] / peak
    return Scene(
        title=f"{best} reaches {number(100 * share, 2)} % of what one core can do",
        alt="A line that rises with the work in one operation and bends into a ceiling, the machine's "
        "largest matrix product. Below it marks: "
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
            Curve(x, np.full_like(x, peak / 1e9), "high", "ceiling: a large matrix product"),
            Curve(x, x / overhead / 1e9, "neutral", "slope: as many operations as can be started"),
            Curve(x, speed_under_roof(x, overhead, peak) / 1e9, "truth", "both together"),
        ],
        points=[
            Points(flops, speed / 1e9, "maml" if name == best else "before")
            for name, (flops, speed) in rungs.items()
        ],
        notes=_names_beside(rungs),
    )


def _names_beside(rungs, apart=1.9):
    """Each rung's name to the right of its mark, fastest first, none on top of the one before."""
    notes, above = [], np.inf
    for name, (flops, speed) in sorted(rungs.items(), key=lambda rung: -rung[1][1]):
        above = min(speed / 1e9, above / apart)
        notes.append(Note(flops * 1.5, above, name, "left"))
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
    share = max(lost, 1 - lost)
    attained = speed_under_roof(flops, start, peak * 1e9) / 1e9
    return Scene(
        title=f"{tasks} task{'s' * (tasks > 1)} at once: {what} takes {100 * share:.0f} % of the time",
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
        points=[Points(flops, attained, "maml", "one hidden layer's product")],
    )


# ---------------------------------------------------------------- memory


def memory_against_steps(steps, plain, lean):
    """Bytes kept by the recorded loop and by the back-walk after so many inner steps (a picture)."""
    return draw(memory_scene(steps, plain, lean))


def memory_scene(steps, plain, lean):
    """steps, plain, lean: (n,) inner steps and bytes."""
    steps, plain, lean = (np.asarray(values, float) for values in (steps, plain, lean))
    slopes = [(own[-1] - own[0]) / (steps[-1] - steps[0]) / KIB for own in (plain, lean)]
    return Scene(
        title=f"Another inner step costs {number(slopes[0], 2)} KiB recorded, "
        f"{number(slopes[1], 2)} KiB walking back",
        alt="Two lines over the number of inner steps. The bytes kept by the recorded loop rise "
        f"steeply to {number(plain[-1] / KIB)} KiB, those of the back-walk slowly to "
        f"{number(lean[-1] / KIB)} KiB.",
        xlabel="inner steps K",
        ylabel="kept for the way back [KiB per task]",
        xlim=(0, float(steps[-1]) * 1.05),
        ylim=(0, float(plain[-1]) / KIB * 1.1),
        curves=[
            Curve(steps, plain / KIB, "high", "recorded: the whole graph", markers=True),
            Curve(steps, lean / KIB, "maml", "back-walk: φ of each step, one graph", markers=True),
        ],
    )
