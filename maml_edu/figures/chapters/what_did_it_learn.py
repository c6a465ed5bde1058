"""Chapter 12: which layers move in the inner loop, which would have to, and what a family of tasks leaves behind.

Start from `surgery`, in which a reader chooses the layers that may move.
"""

from functools import lru_cache

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Bar, Curve, Note, Points, Scene, number
from maml_edu.figures.sines import AXES, X
from maml_edu.figures.static import draw

__all__ = ["moved_and_alike", "by_number_of_tasks", "surgery", "surgery_on_waves"]

# ------------------------------------------------------------------ movement and likeness


def moved_and_alike(moved, alike, title):
    """How far each layer's weights move, beside how alike its outputs are before and after (a picture).

    moved: layer → ‖φ − θ‖/‖θ‖; alike: layer → CKA, from 0 to 1; both name the same layers, the first on top.
    Raises ValueError if they do not.
    """
    return draw(*movement_scenes(moved, alike, title))


def movement_scenes(moved, alike, title):
    """Two panels of rows: bars for the weights, marks for the outputs."""
    if list(moved) != list(alike):
        raise ValueError(f"moved has the layers {list(moved)}, alike {list(alike)}: name the same.")
    heights = np.arange(len(moved), 0, -1)
    likeness = np.array(list(alike.values()), float)
    said = "; ".join(f"{name} {number(value, places=2)}" for name, value in alike.items())
    limits = {"ylim": (0.3, len(moved) + 0.85), "rows": True}
    return [
        _movement_scene(moved, title),
        Scene(
            title="How alike its outputs are, before and after",
            alt=f"One mark in each row, from 0 to 1, where 1 is alike. CKA: {said}.",
            xlabel="CKA of a layer's outputs at θ and at φ",
            xlim=(0, 1.05),
            curves=[Curve([1, 1], limits["ylim"], "neutral", "alike")],
            points=[Points(likeness, heights, "after", "outputs")],
            notes=_names(list(alike), heights, 0.02),
            **limits,
        ),
    ]


def _movement_scene(moved, title):
    """Bars: by how much of its length each layer's weights have moved."""
    heights = np.arange(len(moved), 0, -1)
    percent = 100 * np.array(list(moved.values()), float)
    finite = np.where(np.isfinite(percent), percent, 1e9)
    shown = ", ".join(
        f"{name} {number(value, 2)} %" for name, value in zip(moved, percent, strict=True)
    )
    far = min(max(1.0, float(finite.max())), 200.0)
    return Scene(
        title=title,
        alt=f"One bar in each row, as long as its layer has moved in per cent of its length: {shown}.",
        xlabel="movement of the weights, ‖φ − θ‖ / ‖θ‖ [%]",
        xlim=(0, 1.1 * far),
        ylim=(0.3, len(moved) + 0.85),
        bars=[Bar(heights - 0.1, finite, "maml", width=0.3)],
        notes=_names(list(moved), heights, 0.02 * far),
        rows=True,
    )


def _names(names, heights, x):
    return [Note(x, y + 0.3, name) for name, y in zip(names, heights, strict=True)]


# ------------------------------------------------------------------ how many training tasks


def by_number_of_tasks(counts, curves, title, floor=None):
    """Errors against the number of training tasks, by factors on both axes (a picture).

    counts: numbers of tasks, the last may be infinite; curves: role → (name, errors (counts,)).
    floor: (name, error) of a method that was told the answer's form, a dotted line.
    """
    return draw(tasks_scene(counts, curves, title, floor))


def tasks_scene(counts, curves, title, floor=None):
    """A line with marks for each curve; ∞ stands ten times as far right as the last number, with a note."""
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
    infinite = [Note(10 * last, low / 2.2, "∞", "middle")] if np.isinf(counts).any() else []
    return Scene(
        title=title,
        alt=f"Lines over {', '.join(marks)} training tasks, by factors on both axes. {said}.",
        xlabel="number of training tasks" + (" (the last: ∞)" if infinite else ""),
        ylabel="median squared error on new points",
        xlim=ends,
        ylim=(low / 3, 2 * high),
        xlog=True,
        ylog=True,
        curves=lines,
        notes=infinite,
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
    return interactive(scenes, controls, twin=[only("layer 4"), only("head")])


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
    who = " and ".join(moving) if 0 < len(moving) < 3 else f"{len(moving)} of {len(LAYERS)} layers"
    title = f"{network}, {who} may move ({free:,} of {total:,} numbers): {last:.0f} % right"
    said = ", ".join(f"{100 * float(value):.0f} %" for value in accuracy)
    ends = (-0.3, MOST_STEPS + 0.3)
    return [
        Scene(
            title=title,
            alt=f"A line of accuracy over 0 to {steps} inner steps at α = {number(alpha, 2)}: {said}. "
            "A dotted line at 20 %, guessing, and one at 80 %.",
            xlabel="inner steps",
            ylabel="accuracy on new tasks [%]",
            xlim=ends,
            ylim=(0, 105),
            curves=[
                *(
                    Curve(ends, [y, y], "neutral", label)
                    for y, label in ((20, "guessing (20 %), and 80 %"), (80, ""))
                ),
                Curve(np.arange(steps + 1), 100 * np.asarray(accuracy), "maml", network, True),
            ],
            legend="lower right",
        ),
        _movement_scene(moved, "How far each layer moves, in one of the tasks"),
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
        "alpha": ("inner rate α", 0.002, 0.1, 0.01, 0.002),
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
    free = sum(params[n].size for n in params if f"layer {n[1]}" in moving or _is_head(n, moving))
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
        _movement_scene(moved, "How far each layer moves"),
    ]


def _is_head(name, moving):
    return name[1] == "3" and "head" in moving


def operated_wave(params, points, moving, alpha, steps):
    """φ after inner steps on the points (n, 2) that move only the layers named in `moving`."""
    x, y = points[:, :1], points[:, 1:]  # (n, 1) each
    rates = {
        name: alpha if WAVE_LAYERS[int(name[1]) - 1] in moving else 0.0 for name in params
    }  # 0 freezes
    loss = lambda p, x, y: np.mean((ref.mlp(p, x) - y) ** 2)
    with np.errstate(all="ignore"):
        return ref.adapt(loss, params, x, y, rates, steps) if steps else params
