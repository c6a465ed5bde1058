"""A pendulum with a motor, whose body changes from task to task: start with `Pendulum`, or its physics, `step`.

A point mass on a rod without mass, turned by a motor at the pivot:

    m l² dω/dt = m g l sin ψ − b ω + sign · gain · u + torque of the spring,    dψ/dt = ω

ψ in rad, 0 when the mass is upright and π when it hangs; ω in rad/s; control u from −1 to 1, held for 0.1 s. The
integrator is the classical Runge-Kutta method of order 4 with two substeps of 0.05 s. A task is a body, to be
learned from random transitions. Nagabandi et al. (2019) did this with robots. `planning.py` controls the pendulum
with a model of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .batch import TaskBatch, generator, whole

MASS = (0.5, 1.5)  # kg
LENGTH = (0.7, 1.3)  # m
DAMPING = (0.0, 0.5)  # N m s
GAIN = (8.0, 12.0)  # N m at u = 1; gravity pulls with 3.4 … 19 N m when the rod is level
GRAVITY = 9.81  # m/s²
SECONDS = 0.1  # of a step
SUBSTEPS = 2
# Random transitions start from states with ψ ~ U[−π, π] and ω ~ U[−6, 6].
FASTEST = 6.0
# What differences of ψ and ω are divided by, so that both vary by about 1.
SCALE = np.array([0.35, 1.0])


@dataclass(frozen=True, eq=False)
class Body:
    """One body, of numbers, or many, of arrays (bodies,). `bodies[2]` is one of them, `len` their number.

    mass (kg), length (m), damping (N m s), gain (torque in N m at full control), sign (1 or −1).
    spring: N m. A rubber band from the mass to a nail at ψ = π/2, as far from the pivot as the mass. It is slack
        while it is shorter than the rod, and then pulls with spring / length² newtons per metre.
    dead_zone: 0 … 1. A control up to this size does nothing, and larger ones lose as much.

    Raises ValueError for a body that cannot be, or if the arrays differ in shape.
    """

    mass: Any
    length: Any
    damping: Any
    gain: Any
    sign: Any
    spring: Any = 0.0
    dead_zone: Any = 0.0

    def __post_init__(self):
        shape = np.shape(self.mass)
        for name in _PARTS:
            value = np.asarray(getattr(self, name), float)
            if value.shape not in ((), shape) or value.ndim > 1:
                raise ValueError(
                    f"{name} has shape {value.shape}, mass {shape}: give one number per body."
                )
            value = np.broadcast_to(value, shape)
            fits, rule = _RULES[name]
            if not (np.isfinite(value) & fits(value)).all():
                raise ValueError(f"{name} must be {rule}; got {getattr(self, name)}.")
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        if not self.mass.ndim:
            raise TypeError("this is one body, which has no length.")
        return len(self.mass)

    def __getitem__(self, which) -> Body:
        """A body by its number, or several by a slice or a list of numbers."""
        return Body(*(getattr(self, name)[which] for name in _PARTS))

    def numbers(self) -> dict:
        """Its parts by name: numbers of one body, lists of many."""
        return {name: getattr(self, name).tolist() for name in _PARTS}


_PARTS = tuple(field.name for field in fields(Body))
_POSITIVE = (lambda value: value > 0, "finite and above 0")
_NOT_NEGATIVE = (lambda value: value >= 0, "finite and at least 0")
_RULES = {
    "mass": _POSITIVE,
    "length": _POSITIVE,
    "damping": _NOT_NEGATIVE,
    "gain": _NOT_NEGATIVE,
    "sign": (lambda value: np.abs(value) == 1, "1 or −1"),
    "spring": _NOT_NEGATIVE,
    "dead_zone": (lambda value: (value >= 0) & (value < 1), "at least 0 and below 1"),
}


class Pendulum:
    """Tasks are bodies: predict what a control does to a pendulum, from a few random transitions of its own.

    shots: support transitions per body.
    queries: query transitions per body; None means as many as shots.
    spring, dead_zone: of every body, see `Body`; 0 leaves them out.

    x is (cos ψ, sin ψ, ω / 6, u), y the change of ψ in 0.1 s divided by 0.35 rad, and that of ω divided by 1 rad/s:
    `inputs` and `outputs` make them, and `moved` gives the next state that a prediction stands for.
    Mass, length, damping and gain are uniform over MASS, LENGTH, DAMPING and GAIN; the sign is a coin's.
    Raises ValueError unless shots and queries are whole numbers ≥ 1 and the body can be.

    >>> batch = Pendulum(shots=20).sample(np.random.default_rng(0), tasks=5)
    >>> batch.support_x.shape, batch.support_y.shape
    ((5, 20, 4), (5, 20, 2))
    """

    draws_ahead = True

    def __init__(
        self,
        shots: int = 20,
        queries: int | None = None,
        *,
        spring: float = 0.0,
        dead_zone: float = 0.0,
    ):
        self.shots = whole("shots", shots)
        self.queries = self.shots if queries is None else whole("queries", queries)
        Body(1.0, 1.0, 0.0, 1.0, 1.0, spring, dead_zone)  # refuses what cannot be
        self.spring, self.dead_zone = float(spring), float(dead_zone)

    def sample(self, rng: np.random.Generator, tasks: int = 25) -> TaskBatch:
        """A batch of `tasks` new bodies. The same generator state gives the same tasks.

        Shapes: support (tasks, shots, …), query (tasks, queries, …), x with 4 and y with 2 entries; float64.
        """
        return self.sample_from(rng, self.draw_bodies(rng, tasks))

    def draw_bodies(self, rng: np.random.Generator, tasks: int = 25) -> Body:
        """The bodies of new tasks, arrays (tasks,)."""
        rng = generator(rng)
        tasks = whole("tasks", tasks)
        return Body(
            mass=rng.uniform(*MASS, tasks),
            length=rng.uniform(*LENGTH, tasks),
            damping=rng.uniform(*DAMPING, tasks),
            gain=rng.uniform(*GAIN, tasks),
            sign=rng.choice([-1.0, 1.0], tasks),
            spring=self.spring,
            dead_zone=self.dead_zone,
        )

    def sample_from(self, rng: np.random.Generator, bodies: Body) -> TaskBatch:
        """Random transitions of these bodies. Each starts from a random state, with a random control."""
        rng = generator(rng)
        shape = (len(bodies), self.shots + self.queries)
        angle, omega = rng.uniform(-np.pi, np.pi, shape), rng.uniform(-FASTEST, FASTEST, shape)
        state, control = np.stack([angle, omega], axis=-1), rng.uniform(-1, 1, shape)
        x, y = inputs(state, control), outputs(state, step(state, control, bodies))
        k = self.shots
        return TaskBatch(x[:, :k], y[:, :k], x[:, k:], y[:, k:])

    def __repr__(self):
        return (
            f"Pendulum(shots={self.shots}, queries={self.queries}, spring={self.spring}, "
            f"dead_zone={self.dead_zone})"
        )


# ------------------------------------------------------------------ what a network sees and says


def inputs(state, control):
    """(cos ψ, sin ψ, ω / 6, u), (…, 4), of states (…, 2) and controls (…)."""
    angle, omega = state[..., 0], state[..., 1]
    return np.stack([np.cos(angle), np.sin(angle), omega / FASTEST, control], axis=-1)


def states_of(x):
    """States (…, 2), with ψ in (−π, π], and controls (…), of inputs (…, 4): the inverse of `inputs`."""
    angle = np.arctan2(x[..., 1], x[..., 0])
    return np.stack([angle, FASTEST * x[..., 2]], axis=-1), x[..., 3]


def outputs(state, after):
    """The change from a state (…, 2) to the one after a step, divided by SCALE: (…, 2)."""
    return (after - state) / SCALE


def moved(state, predicted):
    """The state that predicted outputs (…, 2) lead to: the inverse of `outputs`."""
    return state + SCALE * predicted


# ------------------------------------------------------------------ a fit for who knows the law

LEAST_WEIGHT = 0.1  # 1/s²; a of what can be a pendulum is above 0


def fit_law(x, y) -> Body:
    """Bodies without spring and dead zone that fit transitions x (bodies, n, 4), y (bodies, n, 2) best.

    The law is dω/dt = a sin ψ − b ω + c u with a = g / l, b = damping / (m l²) and c = sign · gain / (m l²). Over a
    step it becomes

        Δω = a ∫ sin ψ dt − b Δψ + c u Δt,

    which is linear in a, b, c. The integral is Simpson's; ψ in the middle of the step is that of a cubic with the
    right ψ and ω at both ends. Transitions tell a, b and c but not m, so the bodies that are returned have 1 kg.
    If the squares want b below 0, it is 0, and a is at least LEAST_WEIGHT.
    Raises ValueError if the shapes do not fit, if numbers are not finite, or if the transitions do not tell a, b
    and c apart, as fewer than three never do.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 3 or x.shape[2] != 4 or y.shape != (*x.shape[:2], 2):
        raise ValueError(
            f"x must be (bodies, n, 4) and y (bodies, n, 2); their shapes are {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x and y must be finite.")
    columns, gained = _integrated_law(x, y)
    if (np.linalg.matrix_rank(columns) < 3).any():
        raise ValueError(
            f"{x.shape[1]} transitions per body do not tell the law's three numbers apart: give more, from other "
            "states and with other controls."
        )
    a, b, c = (np.linalg.pinv(columns) @ gained[..., None])[..., 0].T
    length = GRAVITY / np.maximum(a, LEAST_WEIGHT)
    damping, torque = length**2 * np.maximum(b, 0), length**2 * c
    return Body(np.ones_like(a), length, damping, abs(torque), np.where(c < 0, -1.0, 1.0))


def _integrated_law(x, y):
    """∫ sin ψ dt, −Δψ and u Δt, (bodies, n, 3), and Δω, (bodies, n)."""
    (state, control), change = states_of(x), SCALE * y
    start, end = state[..., 0], state[..., 0] + change[..., 0]
    middle = (start + end) / 2 - SECONDS / 8 * change[..., 1]
    area = SECONDS / 6 * (np.sin(start) + 4 * np.sin(middle) + np.sin(end))
    return np.stack([area, -change[..., 0], SECONDS * np.clip(control, -1, 1)], axis=-1), change[
        ..., 1
    ]


# ------------------------------------------------------------------ physics


def step(state, control, body: Body):
    """The state 0.1 s later, (…, 2), of states (ψ, ω) and controls (…) that are held so long.

    body: one body, or many, whose axis is the first one of the state: (bodies, 2), (bodies, plans, 2), ….
    The motor takes controls beyond −1 … 1 as −1 or 1. ψ counts turns: it is not brought back to −π … π.
    Raises ValueError if the shapes do not fit together.
    """
    state, control = np.asarray(state, float), np.asarray(control, float)
    _check_shapes(state, control, body)
    rate = _acceleration(control, _along(body, control.ndim))
    angle, omega = state[..., 0].copy(), state[..., 1].copy()
    for _ in range(SUBSTEPS):
        angle, omega = _runge_kutta(angle, omega, rate, SECONDS / SUBSTEPS)
    return np.stack([angle, omega], axis=-1)


def energy(state, body: Body):
    """Kinetic and potential energy in J, (…), 0 for a mass at rest at the nail of the spring (ψ = π/2).

    Without damping and control it stays the same, up to the error of the integrator.
    """
    state = np.asarray(state, float)
    angle, omega = state[..., 0], state[..., 1]
    parts = _along(body, angle.ndim)
    kinetic = parts["mass"] * (parts["length"] * omega) ** 2 / 2
    lifted = parts["mass"] * GRAVITY * parts["length"] * np.cos(angle)
    return kinetic + lifted + parts["spring"] * _stretch(angle) ** 2 / 2


def _runge_kutta(angle, omega, rate, dt):
    """ψ and ω after dt seconds, where rate(ψ, ω) is dω/dt."""
    v1, a1 = omega, rate(angle, omega)
    v2, a2 = omega + dt / 2 * a1, rate(angle + dt / 2 * v1, omega + dt / 2 * a1)
    v3, a3 = omega + dt / 2 * a2, rate(angle + dt / 2 * v2, omega + dt / 2 * a2)
    v4, a4 = omega + dt * a3, rate(angle + dt * v3, omega + dt * a3)
    angle = angle + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return angle, omega + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)


def _acceleration(control, parts):
    """dω/dt in rad/s², as a function of ψ and ω, while a control is held."""
    inertia = parts["mass"] * parts["length"] ** 2
    weight, friction = GRAVITY / parts["length"], parts["damping"] / inertia
    push, spring = _motor(control, parts) / inertia, parts["spring"] / inertia
    free = lambda angle, omega: weight * np.sin(angle) - friction * omega + push
    if not spring.any():
        return free
    return lambda angle, omega: free(angle, omega) + spring * _pull(angle)


def _motor(control, parts):
    """The motor's torque in N m."""
    control = np.clip(control, -1, 1)
    control = np.sign(control) * np.maximum(np.abs(control) - parts["dead_zone"], 0)
    return parts["sign"] * parts["gain"] * control


def _pull(angle):
    """The torque of a rubber band of 1 N m."""
    half = (np.pi / 2 - angle) / 2
    return _stretch(angle) * np.sign(np.sin(half)) * np.cos(half)


def _stretch(angle):
    """By how many rods' lengths the band is stretched: it is 2 |sin(δ/2)| long, δ the angle to its nail."""
    return np.maximum(2 * np.abs(np.sin((np.pi / 2 - angle) / 2)) - 1, 0)


def _along(body, axes):
    """The body's numbers by name, with axes behind theirs so that they fit to arrays of so many axes."""
    added = (1,) * (axes - body.mass.ndim)
    return {name: getattr(body, name).reshape(body.mass.shape + added) for name in _PARTS}


def _check_shapes(state, control, body):
    if not state.ndim or state.shape[-1] != 2 or control.shape != state.shape[:-1]:
        raise ValueError(
            f"state must be (…, 2) and control (…); their shapes are {state.shape} and {control.shape}."
        )
    bodies = body.mass.shape
    if control.shape[: len(bodies)] != bodies:
        raise ValueError(
            f"there are {bodies[0]} bodies; the first axis of the state must be as long, and its shape is "
            f"{state.shape}."
        )
