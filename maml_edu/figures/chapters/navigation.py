"""Chapter 13: a point walks to a goal that it does not see. Start from `walk_to_a_goal`.

Two policies walk side by side, as two tasks of one call: each step of the way is then paid for once.
"""

import numpy as np
import torch
from torch.func import vmap

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Points, Scene, number
from maml_edu.figures.static import draw
from maml_edu.pytorch import maml
from maml_edu.pytorch.policy import examples
from maml_edu.tasks import Navigation
from maml_edu.tasks.navigation import GOALS

__all__ = ["return_against_rate", "reach_against_distance", "walk_to_a_goal"]

EDGE = 0.8  # of the panels
MOST = 3  # steps of policy gradient
GOAL = (0.4, -0.3)

# ------------------------------------------------------------------ walk to a goal


def walk_to_a_goal(learner, pretrained, seed=0, trajectories=20):
    """Drag the goal: what MAML's θ and a pretrained policy walk, then what they walk after 1, 2, 3 steps.

    learner, pretrained: two `PolicyGradient`, with policies of the same shapes. seed: of the noise that both
    explore with, the same for every goal. Raises ValueError if the shapes differ.
    """
    theta, noise = _both(learner, pretrained), draw_noise(seed, trajectories)
    remembered = {}  # the last walks: a slider of steps starts from them

    def scenes(goal, first, later, steps):
        asked = (*map(float, goal), first, later)
        if asked not in remembered:
            remembered.clear()
            remembered[asked] = Walks(learner, theta, noise, goal, (first, later, later))
        return walk_scenes(remembered[asked].rounds(steps), goal, (first, later), steps)

    sliders = {
        "first": ("rate α of the first step", 0.05, 1.0, 0.5, 0.05),
        "later": ("rate α of later steps", 0.025, 0.5, 0.125, 0.025),
        "steps": ("steps of policy gradient", 0, MOST, 1, 1),
    }
    return interactive(scenes, sliders, drag={"goal": GOAL}, twin=[{"steps": 1}, {"steps": 3}])


def _both(learner, pretrained):
    """The parameters of both, stacked: name → (2, …)."""
    mine, theirs = learner.detached(), pretrained.detached()
    shapes = [{name: tuple(p.shape) for name, p in params.items()} for params in (mine, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the two policies walk together and so need parameters of the same shapes; they have {shapes[0]} "
            f"and {shapes[1]}."
        )
    return {name: torch.stack([p, theirs[name]]) for name, p in mine.items()}


def draw_noise(seed, trajectories=20):
    """What both policies explore with, in each round: (rounds, trajectories, horizon, 2)."""
    return Navigation(trajectories).draw_noise(np.random.default_rng(seed), MOST + 1)


class Walks:
    """Trajectories of both policies after 0, 1, … steps: each round is what the next step learns from.

    theta: name → (2, …). noise (rounds, trajectories, horizon, 2). goal (2,). rates: one for each step.
    """

    def __init__(self, learner, theta, noise, goal, rates):
        self.learner, self.phi, self.rates = learner, theta, rates
        goals = np.broadcast_to(np.asarray(goal, float), (2, noise.shape[1], 2)).copy()
        self.goals = maml.like_params(goals, learner.params)
        self.noise = maml.like_params(np.stack([noise, noise], axis=1), learner.params)
        self.walked = []

    def rounds(self, steps):
        """What θ and the policies after 1, …, `steps` steps walk; only what is not known yet is computed."""
        for k in range(len(self.walked), steps + 1):
            if k:
                learned_from = vmap(examples)(self.walked[-1])
                self.phi = self.learner.improved(self.phi, learned_from, self.rates[k - 1])
            self.walked.append(self.learner.walk(self.phi, self.noise[k], self.goals))
        return self.walked


def walk_scenes(rounds, goal, rates, steps):
    """A panel for MAML's policy and one for the pretrained one: θ's walks, and those after `steps` steps."""
    panels = (("MAML", "maml"), ("Pretrained", "baseline"))
    return [_walk_scene(rounds, i, *panel, goal, rates, steps) for i, panel in enumerate(panels)]


def _walk_scene(rounds, i, name, role, goal, rates, steps):
    before, after = (rounds[k].returns[i].mean().item() for k in (0, steps))
    low, high = GOALS
    square = np.array([[low, low], [high, low], [high, high], [low, high], [low, low]])
    ways = [Curve(*paths(rounds[0], i, goal), "path", "θ explores")]
    if steps:
        ways.append(Curve(*paths(rounds[steps], i, goal), role, f"{name} after the steps"))
    return Scene(
        title=_what_the_steps_did(name, rates, steps, before, after),
        alt=(
            "A plane with a dotted square, in which the goals of the training lay, a start in the middle, and a "
            f"yellow star, the goal, at ({number(goal[0], 2)}, {number(goal[1], 2)}). Thin grey lines are "
            f"{len(rounds[0].returns[i])} walks of {name}'s θ, with a mean return of {number(before, places=1)}. "
            + _what_is_seen_after(steps, after, _arrived(rounds[steps], i))
        ),
        xlabel="position, first axis",
        ylabel="position, second axis",
        xlim=(-EDGE, EDGE),
        ylim=(-EDGE, EDGE),
        curves=[Curve(*square.T, "neutral", "goals of the training"), *ways],
        points=[
            Points(0, 0, "theta", "start"),
            Points(*goal, "goal", "goal", drag="goal"),
        ],
        equal=True,
        legend="below",
    )


def _what_the_steps_did(name, rates, steps, before, after):
    if not steps:
        return f"{name}'s θ knows no goal: mean return {number(before, places=1)}"
    took = ", ".join(number(rates[min(k, 1)]) for k in range(steps))
    return (
        f"{name}, {took}: return {number(before, places=1)}\u00a0→\u00a0{number(after, places=1)}"
    )


def _what_is_seen_after(steps, after, arrived):
    if not steps:
        return "They wander around the start."
    return (
        f"Thicker coloured lines are the walks after {steps} step{'s' * (steps > 1)} of policy gradient, with "
        f"a mean return of {number(after, places=1)}; {arrived} of them end at the goal."
    )


def _arrived(trajectories, i):
    """How many walks of policy i ended before the horizon."""
    return int((~trajectories.alive[i, :, -1]).sum())


def paths(trajectories, i, goal):
    """x and y of all walks of policy i in one line, with gaps; a walk that arrives ends in the goal."""
    places, alive = trajectories.positions[i].double().numpy(), trajectories.alive[i].numpy()
    places = np.where(alive[..., None], places, np.nan)  # (trajectories, horizon, 2)
    over = alive.argmin(axis=1)  # the first step after arriving, or 0
    for way, end in zip(places, over, strict=True):
        if end:
            way[end] = goal  # within 0.01
    gap = np.full((len(places), 1, 2), np.nan)
    return np.concatenate([places, gap], axis=1).reshape(-1, 2).T


# ------------------------------------------------------------------ return against the rate


def return_against_rate(rates, returns, chosen=0.5):
    """Mean return after one step at each rate, a line for each policy (a picture).

    rates (n,); returns: role such as "maml" → (name, values (n,)). chosen: the rate that MAML was trained with.
    """
    return draw(rate_scene(rates, returns, chosen))


def rate_scene(rates, returns, chosen):
    """Lines over the rates, and a dotted one at the rate of the training."""
    values = np.array([v for _, v in returns.values()])
    bottom, top = float(min(values.min(), -20)), float(values.max())
    best = {name: rates[int(np.argmax(v))] for name, v in returns.values()}
    said = ", ".join(f"{name} at {number(rate)}" for name, rate in best.items())
    return Scene(
        title=f"Each policy has a rate of its own: best after one step, {said}",
        alt="Mean return after one step over the rate. "
        + " ".join(
            f"{name}: "
            + ", ".join(
                f"{number(v, places=1)} at {number(r)}" for r, v in zip(rates, each, strict=True)
            )
            + "."
            for name, each in returns.values()
        )
        + f" A dotted line marks {number(chosen)}, the rate of MAML's training.",
        xlabel="rate α of the step",
        ylabel="mean return after one step",
        xlim=(0, 1.1 * max(rates)),
        ylim=(1.1 * bottom, min(0.0, top + 5)),
        curves=[
            *(Curve(rates, v, role, name, markers=True) for role, (name, v) in returns.items()),
            Curve([chosen] * 2, [1.1 * bottom, 0], "neutral", "MAML's α in training"),
        ],
        legend="below",
    )


# ------------------------------------------------------------------ reach against distance


def reach_against_distance(distances, reaches):
    """How far one step takes the walks towards goals at these distances, a line for each policy (a picture).

    distances (n,); reaches: role such as "maml" → (name, places at the end along the goal's direction, (n,)).
    """
    return draw(reach_scene(distances, reaches))


def reach_scene(distances, reaches):
    """Where the walks end, and a line on which they would if the step knew the distance."""
    most = 1.15 * max(float(np.max(distances)), *(float(np.max(v)) for _, v in reaches.values()))
    rows = [
        f"{name}: "
        + ", ".join(
            f"{number(v, places=2)} for a goal at {number(d)}"
            for d, v in zip(distances, each, strict=True)
        )
        for name, each in reaches.values()
    ]
    return Scene(
        title="One step knows the direction of the goal, and not how far away it is",
        alt=(
            "Where walks end after one step, along the direction of the goal, over the distance of the goal. "
            "A dotted line rises along the diagonal: that is where they would end if they knew. "
            + ". ".join(rows)
            + "."
        ),
        xlabel="distance of the goal from the start",
        ylabel="where walks end, towards the goal",
        xlim=(0, most),
        ylim=(0, most),
        curves=[
            Curve([0, most], [0, most], "neutral", "where the goal is"),
            *(Curve(distances, v, role, name, markers=True) for role, (name, v) in reaches.items()),
        ],
        equal=True,
        legend="below",
    )
