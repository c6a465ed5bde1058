"""The checks of chapter 01: one step, the stability limit, rates per direction, finite differences."""

import numpy as np

from maml_edu.checks.exercise import draw, exercise, expect, named


@exercise("01.descent_step", points=2, minutes=5, difficulty=1)
def descent_step(answer, rng):
    """One step of gradient descent on a dict of parameters"""
    for params, slopes, alpha in draw(rng, params=_params, slopes=_params, alpha=(0.05, 0.9)):
        step = {name: alpha * slopes[name] for name in params}
        mistakes = {
            "this walks uphill: the slope points to where the loss grows, so subtract it": {
                name: params[name] + step[name] for name in params
            },
            "the step size is missing: scale the slope by alpha": {
                name: params[name] - slopes[name] for name in params
            },
            "this is the step alone: the new parameters are where it leads from the old ones": {
                name: -step[name] for name in params
            },
            "this scales the parameters too: alpha belongs to the slope only": {
                name: alpha * (params[name] - slopes[name]) for name in params
            },
            "only the first parameter was stepped: look at where your `return` stands": {
                name: params[name] - step[name] for name in list(params)[:1]
            },
            "nothing moved: return the new parameters, not the old ones": params,
        }
        expect(answer(params, slopes, alpha), {n: params[n] - step[n] for n in params}, mistakes)


@exercise("01.largest_stable_rate", points=2, minutes=8, difficulty=2)
def largest_stable_rate(answer, rng):
    """The step size above which descent blows up"""
    for hessian in draw(rng, hessian=_hessian):
        curvatures = np.linalg.eigvalsh(hessian)  # (3,), ascending
        mistakes = {
            "this is the step that lands the steepest direction at once (1/λmax), not the limit": (
                1 / curvatures[-1]
            ),
            "this is the limit of the flattest direction: the steepest one blows up long before": (
                2 / curvatures[0]
            ),
            "the diagonal does not hold the curvatures unless H is diagonal: take eigenvalues": (
                2 / np.max(np.diag(hessian))
            ),
            "this uses the trace, the sum of all curvatures: only the largest one sets the limit": (
                2 / np.trace(hessian)
            ),
            "this is the fastest rate, 2/(λmin + λmax): the limit is where descent just fails": (
                2 / (curvatures[0] + curvatures[-1])
            ),
        }
        expect(answer(hessian), 2 / curvatures[-1], mistakes)


@exercise("01.convergence_rates", points=3, minutes=10, difficulty=2)
def convergence_rates(answer, rng):
    """How fast each direction shrinks, and which one decides"""
    for hessian, alpha in draw(rng, hessian=_hessian, alpha=[0.05, 0.2, 0.5, 0.6]):
        factors = 1 - alpha * np.linalg.eigvalsh(hessian)  # (3,), flattest direction first
        rates = np.abs(factors)
        got = answer(hessian, alpha)
        if isinstance(got, (tuple, list)) and len(got) == 2:
            _expect_rates(got[0], factors)
            _expect_dominant(got[1], rates)
        expect(got, (rates, int(np.argmax(rates))))


def _expect_rates(got, factors):
    rates = np.abs(factors)
    mistakes = {
        "a factor has a sign and a rate has none: −1.2 grows as fast as 1.2, take |1 − αλ|": factors,
        "these are the rates of the loss: the distance shrinks by |1 − αλ|, its square by this": (
            rates**2
        ),
        "this is αλ, the share that one step removes: what is left is |1 − αλ|": 1 - factors,
        "these are the rates from the steepest direction to the flattest: put the flattest first": (
            rates[::-1]
        ),
    }
    expect(got, rates, mistakes, what="the first part, the rates,")


def _expect_dominant(got, rates):
    mistakes = {
        "this direction dies out first: the one that decides is left over, with the largest rate": (
            int(np.argmin(rates))
        ),
        "the flattest direction is not always the slowest: a large alpha throws the steepest about": (
            0
        ),
    }
    expect(got, int(np.argmax(rates)), mistakes, what="the second part, the index,")


@exercise("01.finite_difference_gradient", points=4, minutes=15, difficulty=3)
def finite_difference_gradient(answer, rng):
    """The gradient by central differences, without a derivative"""
    function = named("quartic_and_sine")
    for x, h in draw(rng, x=_matrix, h=(0.002, 0.02)):
        mistakes = {
            "this is the forward difference, whose error shrinks like h: go h to both sides": (
                lambda x=x, h=h: _forward(function.numpy, x, h)
            ),
            "the two points are 2h apart: divide by 2h": (
                lambda x=x, h=h: 2 * _central(function.numpy, x, h)
            ),
            "zero everywhere: both sides are one and the same array, `=` does not copy": (
                np.zeros_like(x)
            ),
            "all entries were moved at once: move one and leave the others": (
                lambda x=x, h=h: _all_at_once(function.numpy, x, h)
            ),
            "entries stay moved after their turn: put x back, or move a fresh copy each time": (
                lambda x=x, h=h: _never_put_back(function.numpy, x, h)
            ),
            "the gradient has the shape of x: one slope for each entry, at its place": (
                lambda x=x, h=h: _central(function.numpy, x, h).ravel()
            ),
        }
        exact = x**3 + np.cos(np.sum(x))  # of ¼ Σ x⁴ + sin Σ x
        mistakes[
            "this is the exact slope, or another h: use central differences with the h given"
        ] = exact
        # Forward and central differences differ by 1e-3 here, two right answers by 1e-11.
        right = _central(function.numpy, x, h)
        expect(answer(function, x, h), right, mistakes, rtol=1e-7, atol=1e-8)


# ------------------------------------------------------------------ what is drawn


def _params(rng):
    """{"w": (2, 3), "b": (3,)}: two parameters of different shapes."""
    return {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}


def _hessian(rng):
    """Symmetric (3, 3) with curvatures far apart, not along the axes.

    In the ranges a step of 0.5 or 0.6 suits the middle direction best and is too much for the steepest.
    """
    curvatures = np.array([rng.uniform(0.2, 1), rng.uniform(1.4, 2.2), rng.uniform(4, 8)])
    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))  # orthonormal columns
    hessian = directions @ np.diag(curvatures) @ directions.T
    return (hessian + hessian.T) / 2


def _matrix(rng):
    """An input (2, 3) whose entries are away from 0, where slopes differ clearly."""
    return rng.choice([-1.0, 1.0], (2, 3)) * rng.uniform(0.5, 1.5, (2, 3))


# ------------------------------------------------------------------ finite differences, right and wrong


def _central(f, x, h):
    """(f(x + h eᵢ) − f(x − h eᵢ)) / 2h for every entry i; shaped like x."""
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in _moves(x, h)]).reshape(x.shape)


def _forward(f, x, h):
    return np.array([(f(x + e) - f(x)) / h for e in _moves(x, h)]).reshape(x.shape)


def _all_at_once(f, x, h):
    return np.full_like(x, (f(x + h) - f(x - h)) / (2 * h))


def _never_put_back(f, x, h):
    """One array is moved by +h, then by −2h, and the next entry is moved on top of that."""
    x, slopes = x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= 2 * h
        slopes[place] = (above - f(x)) / (2 * h)
    return slopes


def _moves(x, h):
    """Arrays like x that are h at one entry and 0 elsewhere, one for each entry."""
    return (h * np.eye(x.size)).reshape(-1, *x.shape)
