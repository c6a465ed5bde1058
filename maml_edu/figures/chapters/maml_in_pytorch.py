"""Chapter 08: nine broken MAMLs beside the right one, on a problem of two parameters.

Four tasks are straight lines y = wx + b with noise; θ = (w, b) is where a few gradient steps start.
The mean squared error is quadratic there, L(θ) = ½θᵀAθ − vᵀθ + const, so that every broken
meta-gradient is two lines of linear algebra. Start from `nine_suspects`.

`six_curves` trains four programs, three of them broken, on sine waves: to read their logs is an exercise.
"""

from functools import cache

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Bar, Curve, Note, Points, Scene, contours, number
from maml_edu.figures.static import draw
from maml_edu.tasks import Sinusoids, TaskBatch

__all__ = ["nine_suspects", "six_curves", "where_bugs_cut"]

OUTER_LR = 0.4
OUTER_STEPS = 60
XLIM, YLIM = (-3.0, 3.0), (-2.4, 2.6)  # steepness w, intercept b
START = (-2.2, -1.6)
LONGEST = 5.0  # where the axis of the bars ends; longer ones are cut, and each one's value stands above it

SUSPECTS = (
    "1 forgets create_graph",
    "2 detaches the slope",
    "3 deep-copies the model",
    "4 silences an error",
    "5 judges on the support set",
    "6 sums over the tasks",
    "7 keeps a stale slope",
    "8 moves φ instead of θ",
    "9 writes in place",
)


# ---------------------------------------------------------------- the problem


@cache
def line_tasks():
    """Four noisy straight lines: 4 support and 8 query examples each, the same for everybody."""
    rng = np.random.default_rng(8)
    steepness, intercept = (
        np.array([[1.8], [-1.6], [0.9], [0.2]]),
        np.array([[1.2], [0.9], [-1.3], [0]]),
    )
    reach = np.array([[2.4], [0.5], [1.2], [0.8]])  # how far the examples of a task spread
    x = rng.uniform(-1, 1, (4, 12)) * reach
    y = steepness * x + intercept + rng.normal(0, 0.4, x.shape)
    return TaskBatch(x[:, :4], y[:, :4], x[:, 4:], y[:, 4:])


def line_loss(params, x, y):
    """Mean squared error of one line; params {"theta": (2,)}, steepness and intercept."""
    return np.mean((params["theta"][0] * x + params["theta"][1] - y) ** 2)


def quadratics(x, y):
    """A (tasks, 2, 2) and v (tasks, 2) of L(θ) = ½θᵀAθ − vᵀθ + const, the error of each task."""
    inputs = np.stack([x, np.ones_like(x)], axis=-1)  # (tasks, examples, 2)
    curvature = 2 * np.einsum("tni,tnj->tij", inputs, inputs) / x.shape[1]
    return curvature, 2 * np.einsum("tni,tn->ti", inputs, y) / x.shape[1]


def slopes_at(points, curvature, v):
    """∇L of every task at its own point: (tasks, 2)."""
    return np.einsum("tij,tj->ti", curvature, points) - v


# ---------------------------------------------------------------- the right step and the wrong ones


def outer_step(name, theta, inner_lr, inner_steps):
    """(θ − new θ)/β for one outer step: the meta-gradient, or what suspect `name` makes of it.

    name: "right" or one of `SUSPECTS`; theta (2,). All but suspects 8 and 9 step by −β · gradient.
    """
    batch = line_tasks()
    support = quadratics(batch.support_x, batch.support_y)
    query = quadratics(batch.query_x, batch.query_y)
    suspect = 0 if name == "right" else int(name.split()[0])
    if suspect == 4:
        return np.zeros(2)
    if suspect == 9:
        return _in_place(theta, support, query, inner_lr, inner_steps)
    stale = suspect == 7
    phi, jacobian = _adapt(theta, *support, inner_lr, inner_steps, stale)
    after = slopes_at(phi, *(support if suspect == 5 else query))  # (tasks, 2)
    if suspect in (1, 2, 3):
        return after.mean(axis=0)
    if suspect == 8:
        return after.mean(axis=0) + (theta - phi.mean(axis=0)) / OUTER_LR
    through = np.einsum("tij,ti->tj", jacobian, after)  # Jᵀ∇L(φ)
    return through.sum(axis=0) if suspect == 6 else through.mean(axis=0)


def _adapt(theta, curvature, v, inner_lr, inner_steps, stale=False):
    """φ (tasks, 2) and dφ/dθ (tasks, 2, 2) after the inner steps; stale: every slope is that at θ."""
    unit = np.eye(2)
    if stale:
        whole = inner_lr * inner_steps
        return theta - whole * (curvature @ theta - v), unit - whole * curvature
    phi, jacobian = np.tile(theta, (len(v), 1)), np.tile(unit, (len(v), 1, 1))
    for _ in range(inner_steps):
        phi = phi - inner_lr * slopes_at(phi, curvature, v)
        jacobian = (unit - inner_lr * curvature) @ jacobian
    return phi, jacobian


def _in_place(theta, support, query, inner_lr, inner_steps):
    """Each task overwrites θ and the next one starts there; first-order, and θ ends at the last φ."""
    start, found = theta, []
    for task in range(len(support[1])):
        own = slice(task, task + 1)
        phi, _ = _adapt(start, support[0][own], support[1][own], inner_lr, inner_steps)
        found.append(slopes_at(phi, query[0][own], query[1][own])[0])
        start = phi[0]
    return np.mean(found, axis=0) + (theta - start) / OUTER_LR


def outer_path(name, theta, inner_lr, inner_steps):
    """θ before and after each of `OUTER_STEPS` outer steps, (steps + 1, 2); ends early when it flies off."""
    path = [np.asarray(theta, float)]
    while len(path) <= OUTER_STEPS and np.abs(path[-1]).max() < 20:
        push = outer_step(name, path[-1], inner_lr, inner_steps)
        path.append(path[-1] - OUTER_LR * push)
    return np.array(path)


def meta_loss(w, b, inner_lr, inner_steps):
    """Mean query loss after adaptation for steepnesses w and intercepts b of one shape (arrays)."""
    batch = line_tasks()
    curvature, v = quadratics(batch.support_x, batch.support_y)
    total = 0.0
    for task in range(len(v)):
        (a, c), (_, d) = curvature[task]  # symmetric
        w_phi, b_phi = w, b
        for _ in range(inner_steps):
            w_slope = a * w_phi + c * b_phi - v[task, 0]
            b_slope = c * w_phi + d * b_phi - v[task, 1]
            w_phi, b_phi = w_phi - inner_lr * w_slope, b_phi - inner_lr * b_slope
        for x, y in zip(batch.query_x[task], batch.query_y[task], strict=True):
            total = total + (w_phi * x + b_phi - y) ** 2
    return total / batch.query_x.size


# ---------------------------------------------------------------- the figure


def nine_suspects():
    """Choose a suspect, the inner rate and steps; drag θ: where does the bug lead, and how is it seen?"""
    sliders = {
        "suspect": ("suspect", list(SUSPECTS)),
        "inner_lr": ("inner rate α", 0.0, 0.5, 0.2, 0.01),
        "inner_steps": ("inner steps", 1, 5, 2, 1),
    }
    return interactive(suspect_scenes, sliders, drag={"theta": START})


def suspect_scenes(suspect=SUSPECTS[0], inner_lr=0.2, inner_steps=2, theta=START):
    """Left: outer descent, right and with the bug. Right: the first step of every suspect."""
    theta = np.asarray(theta, float)
    return [
        _paths(suspect, inner_lr, inner_steps, theta),
        _steps(suspect, inner_lr, inner_steps, theta),
    ]


def _paths(suspect, inner_lr, inner_steps, theta):
    settings = (inner_lr, inner_steps)
    right, wrong = (outer_path(name, theta, *settings) for name in ("right", suspect))
    ends = [float(meta_loss(*path[-1], *settings)) for path in (right, wrong)]
    low = meta_loss(*_minimum(*settings), *settings)
    heights = low + np.array([0.02, 0.1, 0.3, 0.7, 1.3, 2.1, 3.1, 4.5, 6.5, 9.0])
    surface = contours(lambda w, b: meta_loss(w, b, *settings), XLIM, YLIM, heights, size=61)
    steps = "1 inner step" if inner_steps == 1 else f"{inner_steps} inner steps"
    at = f"α = {number(inner_lr)}, {steps}"
    return Scene(
        title=f"{_where_it_ends(suspect, *ends, wrong, right)} ({at})",
        alt=(
            f"At {at}: contours of the meta-loss over steepness w and intercept b, a star at its minimum, and "
            f"two paths of {OUTER_STEPS} outer steps from the same point: a blue one of the right "
            f"meta-gradient, which ends at meta-loss {number(ends[0])}, and a dash-dotted orange one of "
            f"suspect {suspect}, which ends at {number(ends[1])}."
        ),
        xlabel="steepness w of the starting line θ",
        ylabel="intercept b of θ",
        xlim=XLIM,
        ylim=YLIM,
        legend="below",
        levels=[surface],
        curves=[
            *_walk(right, "maml", "right meta-gradient"),
            *_walk(wrong, "first_order", f"suspect {suspect}"),
        ],
        points=[
            Points(*_minimum(*settings), "goal", "minimum of the meta-loss"),
            Points(*theta, "theta", "θ (drag it)", drag="theta"),
        ],
    )


def _walk(path, role, label, apart=0.12):
    """The path, with a mark at every step until steps are so short that marks would hide the line."""
    short = np.linalg.norm(np.diff(path, axis=0), axis=1) < apart
    last = int(np.argmax(short)) if short.any() else len(path) - 1
    marked = Curve(*path[: last + 1].T, role, label, markers=True)
    return [marked, Curve(*path[last:].T, role)]


def _minimum(inner_lr, inner_steps):
    """θ where the meta-gradient, affine in θ, is zero (nearest to 0 where that is a line)."""
    at = [outer_step("right", np.array(p, float), inner_lr, inner_steps) for p in _CORNERS]
    return np.linalg.lstsq(np.column_stack([at[1] - at[0], at[2] - at[0]]), -at[0], rcond=1e-9)[0]


_CORNERS = ((0, 0), (1, 0), (0, 1))


def _where_it_ends(suspect, right, wrong, path, right_path):
    which = f"Suspect {suspect.split()[0]}"
    if len(right_path) <= OUTER_STEPS:
        return "α is too large: even the right gradient flies off"
    if len(path) <= OUTER_STEPS:
        return f"{which} flies off within {len(path) - 1} outer steps"
    if np.allclose(path, path[0]):
        return f"{which} never leaves its start"
    if np.allclose(path, right_path):
        return f"{which} goes the right way here: nothing to see at these settings"
    return f"{which} ends at meta-loss {number(wrong)}; the right gradient at {number(right)}"


def _steps(suspect, inner_lr, inner_steps, theta):
    """One bar per suspect: the length of its outer step, the cosine of its angle with the right one."""
    right = outer_step("right", theta, inner_lr, inner_steps)
    measured = [compare(outer_step(n, theta, inner_lr, inner_steps), right) for n in SUSPECTS]
    bars, notes = [], []
    for row, name, (length, cosine) in zip(
        range(len(SUSPECTS), 0, -1), SUSPECTS, measured, strict=True
    ):
        role = "first_order" if name == suspect else "before"
        bars.append(Bar(row, min(length, 2 * LONGEST), role, width=0.3))
        notes.append(Note(0.05, row + 0.4, name))
        notes.append(Note(LONGEST, row + 0.4, _said(length, cosine), "right"))
    length, cosine = measured[SUSPECTS.index(suspect)]
    return Scene(
        title=_what_gives_it_away(suspect, length, cosine),
        alt=(
            "A bar for each suspect, as long as its first outer step relative to the right one, "
            f"cut off with a mark where it is longer than {number(LONGEST)}, "
            "with the cosine of the angle between them: "
            + "; ".join(f"{n}: {_said(*m)}" for n, m in zip(SUSPECTS, measured, strict=True))
            + "."
        ),
        xlabel="length of the first outer step, relative to the right one",
        xlim=(0, LONGEST),
        ylim=(0.4, 9.9),
        rows=True,
        bars=bars,
        curves=[_right_length(len(SUSPECTS))],
        notes=notes,
    )


def _right_length(rows):
    """A guide at length 1, at the height of each bar only: names stand between the bars."""
    y = np.concatenate([[row - 0.2, row + 0.2, np.nan] for row in range(1, rows + 1)])
    return Curve(np.where(np.isnan(y), np.nan, 1.0), y, "neutral", "the right step")


def compare(step, right):
    """(length relative to the right step, cosine of the angle; NaN for a step of no length)."""
    lengths = np.linalg.norm(step), np.linalg.norm(right)
    if not lengths[1]:
        return (0.0 if not lengths[0] else np.inf), np.nan
    cosine = float(step @ right / (lengths[0] * lengths[1])) if lengths[0] else np.nan
    return float(lengths[0] / lengths[1]), cosine


def _said(length, cosine):
    if np.isnan(cosine):
        return f"length {number(length, 2)}"
    return f"{number(length, 2)} ×, cosine {number(cosine, places=2)}"


def _what_gives_it_away(suspect, length, cosine):
    which, times = f"Suspect {suspect.split()[0]}", f"{number(length, 2)} times the length"
    same = suspect in SUSPECTS[:3]  # three bugs, one gradient
    if np.isnan(cosine):
        return f"{which} has no step at all" if not length else "Here the right step is zero"
    if abs(length - 1) < 1e-9 and cosine > 1 - 1e-12:
        return f"{which} equals the right one at these settings: change α or the steps"
    if cosine > 1 - 1e-9:
        return f"{which}: right direction, {times}"
    if cosine < 0:
        who = "Suspects 1, 2 and 3 all step" if same else f"{which} steps"
        return f"{who} the wrong way: cosine {number(cosine, places=2)}"
    off = f"{times}, {np.degrees(np.arccos(cosine)):.0f}° off the right direction"
    return f"Suspects 1, 2 and 3 take the same step: {off}" if same else f"{which}: {off}"


# ---------------------------------------------------------------- where each bug cuts


def where_bugs_cut():
    """The graph of one inner step, the two ways back from the query loss to θ, and who cuts them."""
    return draw(cut_scene())


def cut_scene():
    """Nodes θ, slope, φ, query loss; the cuts are numbered like the suspects."""
    theta, slope, phi, query = (0.0, 1.0), (2.0, 2.0), (4.0, 1.0), (6.6, 1.0)
    return Scene(
        title="Two ways lead from θ to φ, and back: some bugs cut the upper one, some both",
        alt=(
            "A graph of four nodes. An arrow goes from θ straight to φ, factor I; a second way goes "
            "from θ up to the slope of the support loss and down to φ, factor −αH. From φ an arrow "
            "leads to the query loss. Suspect 1 cuts the upper way between θ and the slope, suspect 2 "
            "between the slope and φ. Suspect 4 cuts both ways where they leave θ, suspects 3, 8 and 9 "
            "cut both where they enter φ. Suspect 7 takes the slope at the wrong parameters, suspect 5 "
            "puts the wrong data and suspect 6 the wrong scale into the query loss."
        ),
        xlim=(-0.6, 7.8),
        ylim=(0.4, 2.5),
        diagram=True,
        arrows=[
            Arrow(_from(theta, phi), _from(phi, theta), "path", "first order: factor I"),
            Arrow(_from(theta, slope), _from(slope, theta), "maml", "second order: factor −αH"),
            Arrow(_from(slope, phi), _from(phi, slope), "maml"),
            Arrow(_from(phi, query), _from(query, phi), "path"),
        ],
        curves=[
            Curve([0.5, 0.5], [1.25, 1.0], "first_order"),  # two marks of the same suspects
            Curve([3.5, 3.5], [1.25, 1.0], "first_order"),
        ],
        points=[
            Points(
                [1.25, 2.75, 0.5, 0.5, 3.5, 3.5],
                [1.625, 1.625, 1.25, 1.0, 1.25, 1.0],
                "first_order",
                "cut by the suspects named",
            ),
            Points(*theta, "theta"),
            Points(*slope, "support"),
            Points(*phi, "phi"),
            Points(*query, "query"),
        ],
        notes=[
            Note(0.0, 0.83, "θ", "middle"),
            Note(2.0, 2.3, "slope of the support loss", "middle"),
            Note(2.0, 2.15, "(7: at stale parameters)", "middle"),
            Note(4.0, 0.83, "φ", "middle"),
            Note(6.6, 0.83, "query loss", "middle"),
            Note(6.6, 0.67, "(5: wrong data,", "middle"),
            Note(6.6, 0.53, "6: wrong scale)", "middle"),
            Note(1.08, 1.7, "1", "right"),
            Note(2.92, 1.7, "2", "left"),
            Note(0.62, 1.12, "4", "left"),
            Note(3.38, 1.12, "3, 8, 9", "right"),
        ],
    )


def _from(tail, head, gap=0.22):
    """The point `gap` away from `tail` towards `head`."""
    tail, head = np.array(tail), np.array(head)
    return tuple(tail + gap * (head - tail) / np.linalg.norm(head - tail))


# ---------------------------------------------------------------- six curves of four programs

LOGGED = ("support, before", "support, after", "query, after")
LOG_ROLES = ("before", "support", "query_loss")
MARKS = {"before": "before", "support": "support", "query_loss": "query"}  # of the new tasks
PROGRAMS = {"A": "same seed", "B": "unused copy", "C": "right", "D": "judged on support"}


def six_curves(iterations=300, every=25, programs="ABCD"):
    """The training logs of four programs: three losses of the tasks of training, three of new tasks."""
    logs = {letter: training_log(PROGRAMS[letter], iterations, every) for letter in programs}
    return draw(*(_log_scene(letter, *log) for letter, log in logs.items()), columns=2)


def training_log(bug, iterations, every, seed=8):
    """(iterations (n,), training (n, 3), validation (n, 3)): means of `LOGGED`, as the program computes them.

    bug: "right"; "judged on support": its query set is the support set; "same seed": it draws the same waves
    in each iteration; "unused copy": it steps with a copy of the parameters and goes on with the old ones.
    Each is logged on 100 tasks (training: those of the last four iterations), 25 at a time.
    """
    import torch

    import maml_edu.pytorch as mt

    torch.manual_seed(seed)
    learner = mt.MAML(
        mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=0 if bug == "unused copy" else 1
    )
    step, waves = mt.OuterStep(learner, meta_lr=5e-3), Sinusoids(shots=5, queries=10)
    rng, new = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    unseen = [_as_seen(waves.sample(new), bug) for _ in range(4)]
    recent, training, validation = [], [], []
    for iteration in range(1, iterations + 1):
        rng = np.random.default_rng(seed) if bug == "same seed" else rng
        recent = [*recent[-3:], _as_seen(waves.sample(rng), bug)]
        if iteration % every == 0:
            training.append(_three_losses(learner, recent))
            validation.append(_three_losses(learner, unseen))
        step(recent[-1])
    return np.arange(every, iterations + 1, every), np.array(training), np.array(validation)


def _as_seen(batch, bug):
    """The batch as a program with this bug sees it."""
    if bug != "judged on support":
        return batch
    return TaskBatch(batch.support_x, batch.support_y, batch.support_x, batch.support_y)


def _three_losses(learner, batches):
    """Mean losses of the support set before and after the inner loop, and of the query set after it."""
    import maml_edu.pytorch as mt

    batch = TaskBatch(*map(np.concatenate, zip(*(b.arrays for b in batches), strict=True)))
    support, steps = _as_seen(batch, "judged on support"), learner.inner_steps
    loss = lambda tasks, steps: mt.meta_loss(
        learner.task_loss, learner.params, tasks, learner.inner_lr, steps
    )
    return [value.item() for value in (loss(support, 0), loss(support, steps), loss(batch, steps))]


def _log_scene(letter, iterations, training, validation):
    ends = [
        ", ".join(f"{name} {number(value)}" for name, value in zip(LOGGED, losses[-1], strict=True))
        for losses in (training, validation)
    ]
    named = [(LOGGED[i], LOG_ROLES[i], i) for i in (1, 2, 0)]  # solid below, dashed on top of it
    return Scene(
        title=f"Program {letter}: what its log shows",
        alt=(
            f"Six losses over {iterations[-1]} outer iterations: lines for the tasks of training, marks for "
            f"new tasks. At the end of training: {ends[0]}. For new tasks: {ends[1]}."
        ),
        xlabel="outer iteration",
        ylabel="mean squared error",
        xlim=(0, int(iterations[-1]) * 1.03),
        ylim=(0, 6),
        legend="below",
        curves=[Curve(iterations, training[:, i], role, name) for name, role, i in named],
        points=[
            Points(iterations, validation[:, i], MARKS[role], f"{name}: new tasks")
            for name, role, i in named
        ],
    )
