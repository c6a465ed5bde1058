"""Chapter 12: which layers move in the inner loop, which would have to, and what a family of tasks leaves behind.

Start from `surgery`, in which a reader chooses the layers that may move.
"""

from functools import lru_cache

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Bar, Curve, Interval, Note, Points, Scene, number
from maml_edu.figures.sines import AXES, X
from maml_edu.figures.static import draw

__all__ = [
    "who_may_move",
    "moved_and_alike",
    "by_number_of_tasks",
    "surgery",
    "surgery_on_waves",
]

# ------------------------------------------------------------------ who may move


def who_may_move(rows, title, chance, kinds):
    """A row for each name → (accuracy, half its 95 % interval), a name on the left, numbers on the right.

    title: the finding. chance: the accuracy of guessing, a dotted line. kinds: role → (what its marks are, the
    names of its rows); each row is of one kind.
    """
    return draw(who_scene(rows, title, chance, kinds))


def who_scene(rows, title, chance, kinds):
    """Marks with intervals on an axis from 0 to 100 %."""
    heights = dict(zip(rows, range(len(rows), 0, -1), strict=True))
    values = {name: 100 * np.asarray(value, float) for name, value in rows.items()}
    words = {name: f"{mean:.1f} ± {half:.1f}" for name, (mean, half) in values.items()}
    said = "; ".join(f"{name}: {text} %" for name, text in words.items())
    points = [
        Points([values[n][0] for n in names], [heights[n] for n in names], role, label)
        for role, (label, names) in kinds.items()
    ]
    low, high = (
        np.array([mean + sign * half for mean, half in values.values()]) for sign in (-1, 1)
    )
    return Scene(
        title=title,
        alt="One mark in each row on an axis of accuracy in per cent, with its 95 % interval. "
        f"{said}. A dotted line at {number(100 * chance)} %, guessing.",
        xlabel="accuracy on new tasks [%]",
        xlim=(-88, 134),
        ylim=(0.4, len(rows) + 0.7),
        xticks=tuple((x, str(x)) for x in range(0, 101, 20)),
        curves=[Curve([100 * chance] * 2, (0.4, len(rows) + 0.7), "neutral", "guessing")],
        intervals=[Interval(low, high, list(heights.values()), "truth", "95 % interval")],
        points=points,
        notes=[
            note
            for name, y in heights.items()
            for note in (Note(-3, y, name, "right"), Note(132, y, words[name], "right"))
        ],
        rows=True,
        legend="below",
    )


# ------------------------------------------------------------------ movement and likeness


def moved_and_alike(moved, alike, title, unrelated=None):
    """How far each layer moves, beside how alike its outputs are before and after (a picture).

    moved: layer → ‖φ − θ‖/‖θ‖; alike: layer → CKA, up to 1; both name the same layers, the first on top.
    unrelated: layer → CKA with an unrelated network, grey marks to compare with. title: the finding.
    Raises ValueError if they do not name the same layers.
    """
    return draw(*movement_scenes(moved, alike, title, unrelated))


def movement_scenes(moved, alike, title, unrelated=None):
    """Two panels of rows: bars for the weights, marks for the outputs."""
    if list(moved) != list(alike) or list(unrelated or alike) != list(alike):
        raise ValueError(
            f"moved has the layers {list(moved)}, alike {list(alike)}, unrelated "
            f"{list(unrelated or alike)}: name the same."
        )
    return [_movement_scene(moved, title), _likeness_scene(alike, unrelated)]


def _likeness_scene(alike, unrelated):
    """Marks: CKA of each layer before and after, and grey ones of an unrelated network."""
    heights = np.arange(len(alike), 0, -1)
    likeness = np.array(list(alike.values()), float)
    points = [Points(likeness, heights, "after", "at θ and at φ" if unrelated else "")]
    alt = f"One mark in each row; 1 is alike. CKA before and after: {_said(alike)}."
    if unrelated:
        grey = np.array(list(unrelated.values()), float)
        points.insert(0, Points(grey, heights, "before", "at θ and in an unrelated network"))
        alt += f" Grey marks, an unrelated network: {_said(unrelated)}."
    least = min(alike, key=alike.get).replace("head", "the head")
    return Scene(
        title=f"The outputs of {least} change most" if likeness.min() < 0.95 else "All look alike",
        alt=alt,
        xlabel="CKA of a layer's outputs",
        xlim=(-0.35, 1.08),
        xticks=tuple((x / 5, f"{x / 5:g}") for x in range(6)),
        ylim=(0.4, len(alike) + 0.6),
        points=points,
        notes=_names(list(alike), heights, -0.1),
        rows=True,
        legend="below" if unrelated else "",
    )


def _said(values):
    return "; ".join(f"{name} {number(value, places=2)}" for name, value in values.items())


def _movement_scene(moved, title="", far=None):
    """Bars: by which fraction of its length each layer has moved, up to `far` per cent, or the longest.

    Without a title it names the layer that has moved the furthest.
    """
    heights = np.arange(len(moved), 0, -1)
    percent = 100 * np.array(list(moved.values()), float)
    finite = np.where(np.isfinite(percent), percent, 1e9)
    shown = ", ".join(
        f"{name} {number(value, 2)} %" for name, value in zip(moved, percent, strict=True)
    )
    far = far or min(max(1.0, 1.1 * float(finite.max())), 200.0)
    step = next(s for s in (0.2, 1, 2, 5, 10, 20, 50) if far / s < 7)
    return Scene(
        title=title or _furthest(moved),
        alt=f"One bar in each row, as long as its layer has moved in per cent of its length: {shown}.",
        xlabel="movement of the weights, ‖φ − θ‖ / ‖θ‖ [%]",
        xlim=(-0.3 * far, far),
        xticks=tuple((x, f"{x:g}") for x in np.arange(0, far, step)),
        ylim=(0.4, len(moved) + 0.6),
        bars=[Bar(heights, finite, "maml", width=0.4)],
        notes=_names(list(moved), heights, -0.03 * far),
        rows=True,
    )


def _furthest(moved):
    """The finding of a picture of movements."""
    if not any(moved.values()):
        return "Nothing moves"
    return f"{max(moved, key=moved.get).capitalize()} moves furthest"


def _names(names, heights, x):
    return [Note(x, y, name, "right") for name, y in zip(names, heights, strict=True)]


# ------------------------------------------------------------------ how many training tasks


def by_number_of_tasks(counts, curves, title, floor=None):
    """Errors against the number of training tasks, by factors on both axes (a picture).

    counts: numbers of tasks, the last may be infinite; curves: role → (name, errors (counts,)).
    floor: (name, error) of a method that was told the answer's form, a dotted line.
    """
    return draw(tasks_scene(counts, curves, title, floor))


def tasks_scene(counts, curves, title, floor=None):
    """A line with marks for each curve; ∞ stands ten times as far right as the last number."""
    counts = np.asarray(counts, float)
    last = counts[np.isfinite(counts)].max()
    places = np.where(np.isfinite(counts), counts, 10 * last)
    values = np.concatenate([np.asarray(errors, float) for _, errors in curves.values()])
    finite = values[np.isfinite(values) & (values > 0)]
    low, high = float(finite.min()), float(finite.max())
    marks = [f"{count:,.0f}" if np.isfinite(count) else "∞" for count in counts]
    said = "; ".join(
        f"{name}: {', '.join(number(e, 2) for e in errors)}" for name, errors in curves.values()
    )
    ends = (float(places.min()) / 2, 2 * float(places.max()))
    lines = [
        Curve(places, np.asarray(errors, float), role, name, markers=True)
        for role, (name, errors) in curves.items()
    ]
    if floor is not None:
        low = min(low, floor[1])
        lines.append(Curve(ends, [floor[1]] * 2, "neutral", floor[0]))
        said += f"; {floor[0]}, a dotted line: {number(floor[1], 2)}"
    return Scene(
        title=title,
        alt=f"Lines over {', '.join(marks)} training tasks, by factors on both axes. {said}.",
        xlabel="number of training tasks",
        ylabel="median squared error on new points",
        xlim=ends,
        ylim=(low / 3, 2 * high),
        xlog=True,
        ylog=True,
        xticks=tuple(zip(places, marks, strict=True)),
        curves=lines,
        legend="below",
    )


# ------------------------------------------------------------------ surgery on a classifier

MOST_STEPS = 5


def surgery(learners, tasks, episodes=8, seed=0):
    """Tick which layers of a classifier may move, and see its accuracy on the same new tasks at once.

    learners: name → a MAML of a Conv4, trained; its own rate is where α starts for the first. tasks: a family of
    the same ways; `episodes` of them are drawn with `seed` and stay.
    """
    batch = tasks.sample(np.random.default_rng(seed), episodes)

    @lru_cache(maxsize=512)
    def outcome(network, moving, alpha, steps):
        return operated(learners[network], batch, moving, alpha, steps)

    def scenes(network, alpha, steps, **ticks):
        moving = tuple(layer for layer, box in zip(LAYERS, ticks, strict=True) if ticks[box])
        result = outcome(network, moving, alpha, steps)
        return surgery_scenes(network, learners[network], moving, alpha, result)

    boxes = {f"part{i}": (layer, True) for i, layer in enumerate(LAYERS, start=1)}
    rate = float(next(iter(learners.values())).inner_lr)
    controls = {
        "network": ("trained by", list(learners)),
        **boxes,
        "alpha": ("inner rate α", 0.1, 6.0, min(max(rate, 0.1), 6.0), 0.1),
        "steps": ("inner steps", 1, MOST_STEPS, 1, 1),
    }
    only = lambda wanted: {box: layer == wanted for box, (layer, _) in boxes.items()}
    twin = [only("layer 4"), only("head")] + [
        only("head") | {"network": name, "alpha": learner.inner_lr, "steps": learner.inner_steps}
        for name, learner in list(learners.items())[1:]
    ]
    return interactive(scenes, controls, twin=twin)


LAYERS = ("layer 1", "layer 2", "layer 3", "layer 4", "head")


def parts_of(model):
    """Layer of a Conv4 → the names of its parameters: a convolution with its batch norm, or the head."""
    ends = {f"layer {k}": (f".conv{k}", f".norm{k}") for k in range(1, 5)} | {"head": ("head",)}
    names = [name for name, _ in model.named_parameters()]
    return {
        layer: [name for name in names if name.rpartition(".")[0].endswith(end)]
        for layer, end in ends.items()
    }


def operated(learner, batch, moving, alpha, steps):
    """(accuracy after 0, 1, …, steps, how far each layer moves in the first task) where only `moving` may move."""
    import torch
    from torch.func import functional_call, vmap

    parts = parts_of(learner.model)
    names = [name for layer in moving for name in parts[layer]]
    one = learner.moving_only(names, inner_lr=alpha) if names else learner
    theta, taken = one.detached(), steps if names else 0

    def of_task(support_x, support_y, query_x, query_y):
        path = one.path(theta, support_x, support_y, taken)
        scores = [functional_call(one.model, phi, (query_x,)) for phi in path]
        hits = [(score.argmax(1) == query_y).float().mean() for score in scores]
        return torch.stack(hits), path[-1]

    with torch.no_grad():
        hits, phi = vmap(of_task)(*_tensors(batch))
    accuracy = hits.mean(0).double().numpy()
    accuracy = accuracy if names else np.repeat(accuracy, steps + 1)
    first = {name: value[0] for name, value in phi.items()}
    return accuracy, {layer: moved_share(theta, first, own) for layer, own in parts.items()}


def _tensors(batch):
    """Support x, y and query x, y, (tasks, …) each, in the network's precision."""
    import torch

    tensors = [torch.as_tensor(values) for values in batch.arrays]
    return [t if t.dtype == torch.int64 else t.float() for t in tensors]


def moved_share(theta, phi, names):
    """‖φ − θ‖/‖θ‖ over the parameters with these names."""
    far = sum(float(((phi[name] - theta[name]) ** 2).sum()) for name in names)
    return float(np.sqrt(far / sum(float((theta[name] ** 2).sum()) for name in names)))


def surgery_scenes(network, learner, moving, alpha, result):
    """Accuracy step by step, and how far each layer has moved."""
    accuracy, moved = result
    sizes = dict(learner.model.named_parameters())
    parts = parts_of(learner.model)
    free = sum(sizes[name].numel() for layer in moving for name in parts[layer])
    total = sum(value.numel() for value in sizes.values())
    steps, last = len(accuracy) - 1, 100 * float(accuracy[-1])
    guessing = number(100 / sizes["head.bias"].numel())
    who = " and ".join(moving) if 0 < len(moving) < 3 else f"{len(moving)} of {len(LAYERS)} layers"
    title = f"{network}, {who} may move ({free:,} of {total:,} numbers): {last:.0f} % right"
    said = ", ".join(f"{100 * float(value):.0f} %" for value in accuracy)
    ends = (-0.3, MOST_STEPS + 0.3)
    return [
        Scene(
            title=title,
            alt=f"A line of accuracy over 0 to {steps} inner steps at α = {number(alpha, 2)}: {said}. "
            f"A dotted line at {guessing} %, guessing, and one at 80 %.",
            xlabel="inner steps",
            ylabel="accuracy on new tasks [%]",
            xlim=ends,
            xticks=tuple((k, str(k)) for k in range(MOST_STEPS + 1)),
            ylim=(0, 105),
            curves=[
                *(
                    Curve(ends, [y, y], "neutral", label)
                    for y, label in (
                        (float(guessing), f"guessing ({guessing} %), and 80 %"),
                        (80, ""),
                    )
                ),
                Curve(np.arange(steps + 1), 100 * np.asarray(accuracy), "maml", network, True),
            ],
            legend="lower right",
        ),
        _movement_scene(moved, far=100.0),
    ]


# ------------------------------------------------------------------ surgery on a network of waves

NEW_WAVE = (3.5, 2.2)  # height and phase
PLACES = np.array([-4.5, -3.6, -2.4, -1.5, -0.6, 0.5, 1.4, 2.5, 3.5, 4.4])
WAVE_LAYERS = ("layer 1", "layer 2", "head")


def surgery_on_waves(networks):
    """The same on waves: choose the number of training waves, tick layers, drag points of a new wave.

    networks: name, such as "10 waves" → parameters of a 1-…-1 network with three layers, as `mt.MLP.arrays`
    gives them.
    """

    def scenes(network, alpha, steps, points, **ticks):
        moving = [layer for layer, box in zip(WAVE_LAYERS, ticks, strict=True) if ticks[box]]
        return wave_scenes(network, networks[network], points, moving, alpha, steps)

    boxes = {f"part{i}": (layer, True) for i, layer in enumerate(WAVE_LAYERS, start=1)}
    controls = {
        "network": ("trained on", list(networks)),
        **boxes,
        "alpha": ("inner rate α", 0.002, 0.2, 0.01, 0.002),
        "steps": ("inner steps", 0, 10, 1, 1),
    }
    names = list(networks)
    twin = [
        {"network": names[0]},
        {"network": names[-1], "part2": False, "part3": False},
        {"network": names[-1], "part1": False, "part2": False},
    ]
    points = np.column_stack([PLACES, new_wave(PLACES)])
    return interactive(scenes, controls, drag={"points": points}, twin=twin)


def new_wave(x):
    height, phase = NEW_WAVE
    return height * np.sin(x - phase)


def wave_scenes(network, params, points, moving, alpha, steps):
    """The wave before and after, and how far each layer has moved."""
    points = np.asarray(points, float)
    phi = operated_wave(params, points, moving, alpha, steps)
    with np.errstate(all="ignore"):
        before, after = (ref.mlp(p, X[:, None])[:, 0] for p in (params, phi))
        error = float(np.mean((after - new_wave(X)) ** 2))
        moved = {
            layer: moved_share(params, phi, [f"w{k}", f"b{k}"])
            for k, layer in enumerate(WAVE_LAYERS, start=1)
        }
    free = sum(params[n].size for n in params if _wave_layer(n) in moving)
    total = sum(value.size for value in params.values())
    who = " and ".join(moving) if 0 < len(moving) < 3 else "every layer" if moving else "nothing"
    title = f"{network}, {who} may move ({free:,} of {total:,} numbers): error {number(error, 2)}"
    return [
        Scene(
            title=title,
            alt="Ten orange points of a grey wave, the network before adaptation as a dashed line, and after "
            f"{steps} step{'' if steps == 1 else 's'} at α = {number(alpha, 2)} as a green line, with a mean "
            f"squared error of {number(error, 2)} from the wave.",
            curves=[
                Curve(X, new_wave(X), "truth", "the new wave"),
                Curve(X, before, "before", "before"),
                Curve(X, after, "after", "after"),
            ],
            points=[Points(*points.T, "support", "points (drag them)", drag="points")],
            legend="below",
            **AXES,
        ),
        _movement_scene(moved, far=50.0),
    ]


def _wave_layer(name):
    """The layer of a parameter such as "w3"."""
    return WAVE_LAYERS[int(name[1]) - 1]


def operated_wave(params, points, moving, alpha, steps):
    """φ after inner steps on the points (n, 2) that move only the layers named in `moving`."""
    x, y = points[:, :1], points[:, 1:]  # (n, 1) each
    rates = {name: alpha if _wave_layer(name) in moving else 0.0 for name in params}  # 0 freezes
    loss = lambda p, x, y: np.mean((ref.mlp(p, x) - y) ** 2)
    with np.errstate(all="ignore"):
        return ref.adapt(loss, params, x, y, rates, steps) if steps else params
