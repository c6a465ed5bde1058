"""Chapter 00: one family of sine waves, and a new wave that MAML's network fits in one step.

Start from `fit_a_new_sine`.
"""

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Points, Scene, number
from maml_edu.figures.sines import AXES, X, adaptation, average_wave
from maml_edu.figures.static import draw
from maml_edu.tasks import Sinusoids

__all__ = ["fit_a_new_sine", "sine_tasks"]


HEIGHT, PHASE = 3.5, 0.5  # of the wave that the reader starts from
MOST = 30  # points that a reader may put
ROOM = {**AXES, "ylim": (-8, 8)}  # for waves taller than any in the family
WIDE = {**AXES, "xlim": (-5.3, 5.3)}  # so that a point at the edge is seen whole


def a_new_sine(amplitude=HEIGHT, phase=PHASE, shots=7):
    """`shots` evenly spread points of one wave, (shots, 2): where the reader starts."""
    return on_a_wave(np.linspace(-4.4, 4.4, shots), amplitude, phase)


def on_a_wave(x, height, phase):
    """The points of a wave at `x`, (n, 2)."""
    return np.column_stack([x, height * np.sin(x - phase)])


def fit_a_new_sine(
    maml_params, pretrained_params, inner_lr=0.01, pretrained_lr=None, apply=ref.mlp, points=None
):
    """Put points anywhere, or on a wave by sliders, and watch two networks adapt to them.

    Left, MAML's network; right, an ordinary network, trained on all waves at once. Both take the same
    gradient steps on the points' squared error, of size `inner_lr`; `pretrained_lr` gives the second
    network a size of its own. `apply(params, x)` maps (n, 1) → (n, 1) in NumPy; `points` is (n, 2),
    a wave of height 3.5 if None.
    """

    def scenes(points, steps, height, phase):
        return fit_scenes(
            maml_params, pretrained_params, points, steps, inner_lr, pretrained_lr, apply
        )

    sliders = {
        "steps": ("gradient steps", 0, 10, 1, 1),
        "height": ("wave: height", 0.0, 7.5, HEIGHT, 0.1),
        "phase": ("wave: phase", -3.1, 3.1, PHASE, 0.1),
    }
    points = a_new_sine() if points is None else np.asarray(points, dtype=float)
    figure = interactive(scenes, sliders, drag={"points": points}, more={"points": MOST})

    def put_all_on_the_wave(_):
        now = figure.values
        figure.set(points=on_a_wave(now["points"][:, 0], now["height"], now["phase"]))

    for name in ("height", "phase"):
        figure.controls[name].observe(put_all_on_the_wave, "value")
    return figure


def fit_scenes(
    maml_params, pretrained_params, points, steps, inner_lr=0.01, pretrained_lr=None, apply=ref.mlp
):
    """The two panels of `fit_a_new_sine`."""
    other_lr = inner_lr if pretrained_lr is None else pretrained_lr
    return [
        _fit_scene("MAML's network", maml_params, points, steps, inner_lr, apply),
        _fit_scene("Ordinary network", pretrained_params, points, steps, other_lr, apply),
    ]


def _fit_scene(who, params, points, steps, inner_lr, apply):
    points = np.asarray(points, dtype=float)
    path = adaptation(params, points, inner_lr, steps, apply)
    before, after = path[0], path[-1]
    wave = nearest_sine(points)
    was, now = (np.mean((y - wave) ** 2) for y in (before, after))
    times = f"{steps} step{'' if steps == 1 else 's'}"
    return Scene(
        title=f"{who} after {times}: error {number(now, 2)} (before: {number(was, 2)})",
        alt=(
            f"{len(points)} orange points of a sine wave that the network has not seen, the sine wave "
            "nearest to them as a plain line, the network's output before adaptation as a grey dashed line, and "
            f"after {times} of gradient descent on these points as a green line. Mean squared "
            f"distance from the wave: {number(was, 2)} before, {number(now, 2)} after."
        ),
        curves=[
            Curve(X, wave, "truth", "nearest sine wave (least squares, fixed period)"),
            Curve(X, before, "before", "network before"),
            Curve(X, after, "after", f"network after {times}"),
        ],
        points=[Points(*points.T, "support", "your points (support)", drag="points")],
        **ROOM,
    )


def nearest_sine(points):
    """The wave A sin(x − φ) nearest to `points` (least squares), on `X`.

    A sin(x − φ) = p sin x + q cos x is linear in p and q.
    """
    x, y = np.asarray(points, dtype=float).T
    p, q = np.linalg.lstsq(np.column_stack([np.sin(x), np.cos(x)]), y, rcond=None)[0]
    return p * np.sin(X) + q * np.cos(X)


def sine_tasks(tasks=6, shots=5, seed=5):
    """Left: waves drawn from the family and their average. Right: what a learner gets of one."""
    return draw(*sine_tasks_scenes(tasks, shots, seed))


def sine_tasks_scenes(tasks=6, shots=5, seed=5):
    """The two panels of `sine_tasks`."""
    rng = np.random.default_rng(seed)
    family = Sinusoids(shots=shots)
    amplitude, phase = family.draw_waves(rng, tasks)  # (tasks,) each
    waves = amplitude[:, None] * np.sin(X - phase[:, None])  # (tasks, 201)
    batch = family.sample_from(rng, amplitude, phase)
    return [_family_scene(waves), _one_task_scene(waves[0], batch)]


def _family_scene(waves):
    return Scene(
        title="One family, many tasks: every sine is a task of its own",
        alt=(
            f"{len(waves)} plain sine waves of one period but different heights and positions. A "
            "dashed pink wave of height 1.6, the average of the whole family, fits none of them."
        ),
        curves=[
            *[Curve(X, wave, "truth", "tasks drawn at random") for wave in waves],
            Curve(X, average_wave(), "baseline", "average of all tasks"),
        ],
        **WIDE,
    )


def _one_task_scene(wave, batch):
    support, query = (
        np.column_stack([x[0, :, 0], y[0, :, 0]])
        for x, y in ((batch.support_x, batch.support_y), (batch.query_x, batch.query_y))
    )
    return Scene(
        title=f"A learner sees {len(support)} points of a task, and is judged on others",
        alt=(
            f"One of the waves as a plain line with {len(support)} orange round support points and "
            f"{len(query)} blue square query points on it, at random places."
        ),
        curves=[Curve(X, wave, "truth", "one task")],
        points=[
            Points(*query.T, "query", "query: be judged by these"),
            Points(*support.T, "support", "support: learn from these"),  # on top: both are seen
        ],
        **WIDE,
    )
