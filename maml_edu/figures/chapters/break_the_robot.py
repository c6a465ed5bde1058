"""Chapter 13: a pendulum with another body, twenty shakes of it, and what each model of it can do.

The reader makes the body, and scrubs the gradient steps. Planning takes a fraction of a second and is
remembered, so that the time slider only draws. Start from `break_the_robot`.
"""

from typing import NamedTuple

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Curve, Note, Points, Scene, number
from maml_edu.tasks.pendulum import (
    SECONDS,
    Body,
    Pendulum,
    fit_law,
    inputs,
    moved,
    outputs,
    states_of,
    step,
)
from maml_edu.tasks.planning import UPRIGHT, Drive, drive, plan

__all__ = ["break_the_robot"]

SHAKES, JUDGED_BY, MOST = 20, 200, 10  # transitions to adapt to, to judge by; gradient steps
LAW, TRUTH = "least squares", "the true model"
TRAIL = 12  # steps of the mass that are drawn behind it


class Outcome(NamedTuple):
    """What a model of a body is worth: its error on other shakes, and what it made of the body."""

    error: float
    drive: Drive


def break_the_robot(networks, seconds=8.0, plans=128):
    """Make a body, shake it, let a model take gradient steps, and watch the pendulum under control with it.

    networks: name → (params, α): the parameters of a ReLU network from `inputs` to `outputs` as `ref.mlp` takes
    them ({"w1": (4, 64), "b1": …}), and its inner rate. Least squares that know the law, and the true
    model, are added.
    seconds: how long a drive lasts. plans: how many are tried at each step.
    """
    steps, remembered = round(seconds / SECONDS), {}

    def scenes(model, k, time, shakes, **body):
        robot, key = _body(**body), (shakes, *body.values())
        wanted = (model, k if model in networks else 0)
        for name in (wanted, (TRUTH, 0)):
            if (name, key) not in remembered:
                if len(remembered) > 500:
                    remembered.clear()
                predict = model_of(name[0], networks, robot, _shakes(robot, shakes), name[1])
                remembered[name, key] = outcome(predict, robot, shakes, steps, plans)
        done, best = remembered[wanted, key], remembered[(TRUTH, 0), key]
        words = _words(model, k, model in networks)
        return robot_scenes(robot, words, _role(model), done, best, min(time, steps))

    sliders = {
        "model": ("the model", [*networks, LAW, TRUTH]),
        "k": ("gradient steps", 0, MOST, 3, 1),
        "time": ("time in tenths of a second", 0, steps, min(16, steps), 1, "play"),
        "mass": ("mass in kg", 0.3, 2.5, 1.2, 0.1),
        "length": ("length in m", 0.5, 1.8, 1.1, 0.1),
        "gain": ("strength of the motor in N m", 4.0, 16.0, 9.0, 0.5),
        "damping": ("friction in N m s", 0.0, 2.0, 0.2, 0.1),
        "reverse": ("the motor is connected the wrong way round", True),
        "spring": ("spring in N m", 0.0, 16.0, 0.0, 1.0),
        "shakes": ("other shakes: number", 0, 20, 0, 1),
    }
    return interactive(scenes, sliders, twin=[{"k": 0}, {"k": 3}])


def _body(mass, length, gain, damping, reverse, spring):
    """One body of a reader's numbers, as arrays (1,)."""
    sign = -1.0 if reverse else 1.0
    return Body(*(np.array([float(v)]) for v in (mass, length, damping, gain, sign, spring)))


def _shakes(robot, seed):
    """A batch of one task: random transitions of the body."""
    return Pendulum(SHAKES, JUDGED_BY).sample_from(np.random.default_rng(seed), robot)


def _role(model):
    if model in (LAW, TRUTH):
        return "low" if model == LAW else "truth"
    return "maml" if model.startswith("MAML") else "baseline"


def _words(model, k, is_network):
    return f"{model} after {k} step{'s' * (k != 1)}" if is_network else model


# ------------------------------------------------------------------ models


def model_of(name, networks, robot, batch, k):
    """A function of states (1, plans, 2) and controls (1, plans) that predicts the next states."""
    if name == TRUTH:
        return lambda state, control: step(state, control, robot)
    if name == LAW:
        fitted = fit_law(batch.support_x, batch.support_y)
        return lambda state, control: step(state, control, fitted)
    params, alpha = networks[name]
    loss = lambda p, x, y: np.mean((ref.mlp(p, x) - y) ** 2)
    with np.errstate(all="ignore"):  # a body that is far off may make steps run away
        phi = ref.adapt(loss, params, batch.support_x[0], batch.support_y[0], alpha, k)
        return network_model(phi)


def network_model(params):
    """The predictions of a ReLU network, in single precision."""
    layers = [
        tuple(np.asarray(params[f"{kind}{i + 1}"], np.float32) for kind in "wb")
        for i in range(len(params) // 2)
    ]

    def model(state, control):
        x = inputs(state, control).astype(np.float32)
        for weight, bias in layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = layers[-1]
        return moved(state, x @ weight + bias)

    return model


def outcome(model, robot, shakes, steps, plans):
    """How well a model predicts and controls a body, always with the same random plans."""
    batch, rng = _shakes(robot, shakes), np.random.default_rng(0)
    state, control = states_of(batch.query_x)
    with np.errstate(all="ignore"):
        error = np.mean((outputs(state, model(state, control)) - batch.query_y) ** 2)
    done = drive(lambda state: plan(model, state, rng, plans=plans)[:, 0], robot, steps)
    return Outcome(float(error), done)


# ------------------------------------------------------------------ pictures


def robot_scenes(robot, words, role, done, best, time):
    """The body at a time, and the height of its mass over all times beside that of the true model's drive."""
    return [
        _picture(robot, words, role, done, time),
        _heights(words, role, done.drive, best.drive, time),
    ]


def _picture(robot, words, role, done, time):
    states, length = done.drive.states[0], float(robot.length[0])
    x, y = length * np.sin(states[:, 0]), length * np.cos(states[:, 0])  # (steps + 1,)
    upright, reward = float(done.drive.upright[0]), float(done.drive.returns[0])
    spring = bool(robot.spring[0]) and np.hypot(length - x[time], y[time]) > length
    far = 1.25 * length
    torque = float(robot.sign[0] * np.append(done.drive.controls[0], 0.0)[time])
    return Scene(
        title=f"{words[0].upper()}{words[1:]}: {number(100 * upright, 2)} % upright, return {number(reward)}",
        alt=(
            f"A rod of {number(length)} m with a mass at its end, {number(time * SECONDS)} s after it hung. "
            f"The mass is {_where(states[time, 0])}. A line behind it shows where it was in the "
            f"{number(TRAIL * SECONDS)} s before. Controlled with {words}, whose squared error on other shakes is "
            f"{number(done.error, 2)}."
        ),
        xlim=(-1.5 * far, 1.5 * far),
        ylim=(-1.15 * far, 1.15 * far),
        equal=True,
        diagram=True,
        curves=[
            _trail(states[max(0, time - TRAIL) : time + 1, 0], length, role),
            Curve([0, x[time]], [0, y[time]], "truth", "rod"),
            *([Curve([length, x[time]], [0, y[time]], "neutral", "spring")] if spring else []),
        ],
        arrows=_push(torque, length),
        points=[
            Points(x[time], y[time], role),
            Points(0, 0, "theta"),
            *([Points(length, 0, "theta")] if robot.spring[0] else []),
        ],
        notes=[
            Note(-1.45 * far, 1.05 * far, f"{number(time * SECONDS, places=1)} s"),
            Note(-1.45 * far, -1.05 * far, f"error on other shakes {number(done.error, 2)}"),
        ],
        legend="below",
    )


def _trail(angle, length, role):
    """Where the mass was: arcs between its angles (steps,)."""
    steps = np.arange(len(angle))
    angle = np.interp(np.linspace(0, steps[-1], 8 * steps[-1] + 1), steps, angle)
    return Curve(length * np.sin(angle), length * np.cos(angle), role, "where the mass was")


def _where(angle):
    height = np.cos(angle)
    return "upright" if height > UPRIGHT else "above the pivot" if height > 0 else "below the pivot"


def _push(torque, length):
    """The motor's torque as an arrow above the pivot, to the side to which it turns the upright rod."""
    if abs(torque) < 0.05:
        return []
    height = 0.2 * length
    return [Arrow((0, height), (0.7 * length * torque, height), "high", "what the motor does")]


def _heights(words, role, done, best, time):
    seconds = SECONDS * np.arange(done.states.shape[1])
    own, true = (np.cos(d.states[0, :, 0]) for d in (done, best))
    behind = float(best.returns[0] - done.returns[0])
    return Scene(
        title=_verdict(behind, float(best.returns[0])),
        alt=(
            f"Two curves over {number(seconds[-1])} s: the height of the mass from −1, hanging, to 1, upright. "
            f"Controlled with {words} it is upright {number(100 * float(done.upright[0]), 2)} % of the time, "
            f"with the true model {number(100 * float(best.upright[0]), 2)} %. A dotted line at "
            f"{number(UPRIGHT)} marks what counts as upright."
        ),
        xlabel="time in s",
        ylabel="height of the mass in rods, cos ψ",
        xlim=(0, seconds[-1]),
        ylim=(-1.15, 1.3),
        curves=[
            Curve(seconds, np.full_like(seconds, UPRIGHT), "neutral", "counts as upright"),
            Curve(seconds, true, "before", "controlled with the true model"),
            Curve(seconds, own, role, f"controlled with {words}"),
        ],
        points=[Points(seconds[time], own[time], role)],
        legend="below",
    )


def _verdict(behind, best):
    """What a return is beside that of the true model, in words."""
    if abs(behind) < 0.005:
        return f"With the true model {number(best)}, just the same"
    more = number(abs(behind), 2)
    if behind < 0:
        return f"With the true model {number(best)}: worse by {more}, by the luck of the plans"
    return f"With the true model {number(best)}: better by {more}"
