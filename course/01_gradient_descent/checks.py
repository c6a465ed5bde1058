"""The checks of chapter 01: a step, its limit and rates, differences, noise, curvatures off a path."""

import itertools
from functools import partial

import numpy as np

from maml_edu.checks.exercise import array_of, draw, exercise, expect, named


@exercise("01.descent_step", points=2, minutes=2, difficulty=1)
def descent_step(answer, rng):
    """One step of gradient descent on a dict of parameters"""
    alike = itertools.cycle((False, True))
    cases = draw(rng, params=lambda rng: _params(rng, next(alike)), alpha=(0.05, 0.6))
    for params, alpha in cases:
        slopes = _slopes(rng, params)
        step = {name: alpha * slopes[name] for name in params}
        length = np.sqrt(sum(np.sum(slope**2) for slope in slopes.values()))
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
            "params and slopes have changed places: the step is taken from the parameters": {
                name: slopes[name] - alpha * params[name] for name in params
            },
            "this divides by alpha: a small step size must make a small step": {
                name: params[name] - slopes[name] / alpha for name in params
            },
            "every step is made equally long: do not divide the slopes by their norm": {
                name: params[name] - step[name] / length for name in params
            },
            "each array's step is made equally long: do not divide a slope by its norm": {
                name: params[name] - step[name] / np.linalg.norm(slopes[name]) for name in params
            },
            "only the sign of the slope is used: a steep slope must make a longer step": {
                name: params[name] - alpha * np.sign(slopes[name]) for name in params
            },
            "the slope is multiplied by alpha twice": {
                name: params[name] - alpha * step[name] for name in params
            },
            "the step is multiplied by the parameters: subtract alpha times the slope, whatever θ is": {
                name: params[name] * (1 - step[name]) for name in params
            },
            "the parameters shrink besides (weight decay): alpha times the slope is all to subtract": {
                name: (1 - alpha) * params[name] - step[name] for name in params
            },
            "the entries of a slope have been added up: each entry of θ has a slope of its own": {
                name: params[name] - np.sum(step[name]) for name in params
            },
            "the entries of a slope have been averaged: each entry of θ has a slope of its own": {
                name: params[name] - np.mean(step[name]) for name in params
            },
            "only the first parameter was stepped: look at where your `return` stands": {
                name: params[name] - step[name] for name in list(params)[:1]
            },
            "slopes belong to parameters by name: here they are paired in the order of the two dicts": {
                name: theta - alpha * slope
                for (name, theta), slope in zip(params.items(), slopes.values(), strict=True)
            },
            "the slope is missing: alpha alone is subtracted": {
                name: params[name] - alpha for name in params
            },
            "the step is twice as long as it should be: it is alpha times the slope": {
                name: params[name] - 2 * step[name] for name in params
            },
            "only the first parameter has moved: step every one of them": {
                name: params[name] - step[name] * (n == 0) for n, name in enumerate(params)
            },
            "only the last parameter has moved: is the new dict begun again at each turn of the loop?": {
                name: params[name] - step[name] * (n == len(params) - 1)
                for n, name in enumerate(params)
            },
            "nothing moved: return the new parameters, not the old ones": params,
            "these are the right arrays without their names: return a dict like params": [
                params[name] - step[name] for name in params
            ],
        }
        expect(answer(params, slopes, alpha), {n: params[n] - step[n] for n in params}, mistakes)


@exercise("01.largest_stable_step", points=2, minutes=3, difficulty=1)
def largest_stable_step(answer, rng):
    """The step size above which descent blows up"""
    bowls = itertools.cycle((_bowl, _bowl_in_blocks))
    for hessian in draw(rng, hessian=lambda rng: next(bowls)(rng)):
        right = 2 / np.linalg.eigvalsh(hessian)[-1]
        expect(answer(hessian), right, partial(_limits_gone_wrong, hessian))


def _limits_gone_wrong(hessian):
    curvatures = np.linalg.eigvalsh(hessian)  # (n,), ascending
    unsorted = np.linalg.eig(hessian)[0].real  # (n,)
    return {
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
        "`eig` does not sort: its first eigenvalue need not be the largest (take the largest, or "
        "`eigvalsh`)": 2 / unsorted[0],
        "`eig` does not sort: its last eigenvalue need not be the largest (take the largest, or "
        "`eigvalsh`)": 2 / unsorted[-1],
        "this is the best step size, 2/(λmin + λmax): the limit is where descent just fails": (
            2 / (curvatures[0] + curvatures[-1])
        ),
        "this uses a norm of all the entries of H: the limit needs its largest eigenvalue": (
            2 / np.linalg.norm(hessian)
        ),
        "the largest row sum only bounds λmax from above: this step size is safe, not the limit": (
            2 / np.linalg.norm(hessian, np.inf)
        ),
        "this is the largest curvature: solve |1 − αλ| = 1 for α": curvatures[-1],
        "this is upside down: the larger the curvature, the smaller the limit": (
            curvatures[-1] / 2
        ),
    }


@exercise("01.convergence_rates", points=3, minutes=5, difficulty=2)
def convergence_rates(answer, rng):
    """How fast each direction shrinks, and which one decides"""
    kinds = itertools.cycle(((1, 0.08, 0.3), (1, 0.975, 0.99), (-1, 0.3, 0.6), (1, 1.1, 1.3)))
    for hessian, share in draw(rng, problem=lambda rng: _bowl_or_saddle(rng, *next(kinds))):
        curvatures = np.linalg.eigvalsh(hessian)  # (n,), flattest direction first
        alpha = share * 2 / curvatures[-1]
        factors = 1 - alpha * curvatures
        rates = np.abs(factors)
        got = answer(hessian, alpha)
        if isinstance(got, (tuple, list)) and len(got) == 2:
            _expect_rates(got[0], hessian, alpha)
            _expect_dominant(got[1], rates)
        expect(got, (rates, int(np.argmax(rates))))


def _expect_rates(got, hessian, alpha):
    curvatures = np.linalg.eigvalsh(hessian)  # (n,), flattest direction first
    on_the_diagonal = np.abs(1 - alpha * np.diag(hessian))
    factors = 1 - alpha * curvatures
    rates = np.abs(factors)
    mistakes = {
        "a factor has a sign and a rate has none: −1.2 grows as fast as 1.2, take |1 − αλ|": factors,
        "these are the rates of the loss: the distance shrinks by |1 − αλ|, its square by this": (
            rates**2
        ),
        "this is αλ, the share that one step removes: what is left is |1 − αλ|": 1 - factors,
        "a negative curvature has lost its sign: there a step leads away from the stationary point": (
            np.abs(1 - alpha * np.abs(curvatures))
        ),
        "these are the right rates in another order: from the smallest eigenvalue to the largest "
        "(`eigvalsh` sorts, `eig` does not, and `svd` sorts the other way round)": (
            _same_in_another_order(got, rates)
        ),
        "the diagonal does not hold the curvatures unless H is diagonal: take eigenvalues": (
            _same_in_another_order(got, on_the_diagonal)
        ),
    }
    expect(got, rates, mistakes, what="the first part, the rates,")


def _same_in_another_order(got, rates):
    """`got`, if it holds the values of `rates` in whatever order; else something it cannot be."""
    values = array_of(got)
    if values is None or values.shape != rates.shape:
        return np.full_like(rates, -1.0)
    return got if np.allclose(np.sort(values), np.sort(rates)) else np.full_like(rates, -1.0)


def _expect_dominant(got, rates):
    mistakes = {
        "this direction dies out first: the one that decides is left over, with the largest rate": (
            int(np.argmin(rates))
        ),
        "the flattest direction is not always the slowest: a large alpha throws the steepest about (if "
        "you took the largest factor 1 − αλ: compare sizes, not signs)": 0,
        "the steepest direction is not always the slowest: with a small alpha the flattest one is": (
            len(rates) - 1
        ),
        "this is the largest rate itself: give its place in `rates`, counted from 0": (
            float(np.max(rates))
        ),
        "this counts from 1: Python counts from 0": int(np.argmax(rates)) + 1,
    }
    expect(got, int(np.argmax(rates)), mistakes, what="the second part, the index,")


@exercise("01.finite_difference_gradient", points=4, minutes=8, difficulty=3)
def finite_difference_gradient(answer, rng):
    """The gradient by central differences, without a derivative"""
    f = named("quartic_of_rows")  # which tells an x of another shape
    shapes = itertools.cycle(((2, 3), (4,), (2, 1, 2), (3, 2)))
    for x, h in draw(rng, x=lambda rng: _array(rng, next(shapes)), h=(0.01, 0.04)):
        mistakes = {
            "this is the forward difference, whose error shrinks like h: go h to both sides": (
                lambda x=x, h=h: _one_sided(f.numpy, x, h)
            ),
            "this is the backward difference, whose error shrinks like h: go h to both sides": (
                lambda x=x, h=h: _one_sided(f.numpy, x, -h)
            ),
            "the entry was moved forward and back, never to the other side: go on to x − h": (
                lambda x=x, h=h: _one_sided(f.numpy, x, h) / 2
            ),
            "the two points are 2h apart: divide by 2h": (
                lambda x=x, h=h: 2 * _central(f.numpy, x, h)
            ),
            "the difference has not been divided by 2h: here it is divided by 2 alone": (
                lambda x=x, h=h: h * _central(f.numpy, x, h)
            ),
            "the difference has not been divided by 2h: a slope is a difference per distance": (
                lambda x=x, h=h: 2 * h * _central(f.numpy, x, h)
            ),
            "h is the distance to each side: here each point is h/2 away": (
                lambda x=x, h=h: _central(f.numpy, x, h / 2)
            ),
            "h is the distance to each side: here each point is 2h away": (
                lambda x=x, h=h: _central(f.numpy, x, 2 * h)
            ),
            "`/ 2 * h` divides by 2 and then multiplies by h: write `/ (2 * h)`": (
                lambda x=x, h=h: h**2 * _central(f.numpy, x, h)
            ),
            "zero everywhere: both sides are one and the same array, `=` does not copy": (
                np.zeros_like(x)
            ),
            "all entries were moved at once: move one and leave the others": (
                lambda x=x, h=h: _all_at_once(f.numpy, x, h)
            ),
            "a whole row was moved at once: move one entry, `np.ndindex(x.shape)` visits them all": (
                lambda x=x, h=h: _row_by_row(f.numpy, x, h)
            ),
            "entries stay moved after their turn: put x back, or move a fresh copy each time": (
                lambda x=x, h=h: _never_put_back(f.numpy, x, h)
            ),
            "entries stay moved after their turn: make a fresh copy (or a fresh array of zeros) for each "
            "entry, inside the loop": lambda x=x, h=h: _moves_piled_up(f.numpy, x, h),
            "the gradient has the shape of x: one slope for each entry, at its place": (
                lambda x=x, h=h: _central(f.numpy, x, h).ravel()
            ),
            "f takes an array of the shape of x: here it was called with a flat one": (
                lambda x=x, h=h: _central_of_flat(f.numpy, x, h)
            ),
            "f takes an array of the shape of x: here it was called with a flat one; and the gradient "
            "has that shape, too": lambda x=x, h=h: _central_of_flat(f.numpy, x, h).ravel(),
            "f takes the whole array: here it was called with one entry alone": (
                lambda x=x, h=h: _entry_by_entry(f.numpy, x, h)
            ),
            # ¼ Σ x⁴ + sin Σ x + ½ Σ (Σ of a row)², differentiated
            "this is nearer to the exact slope than central differences with this h (is it the exact slope, a "
            "smaller h, or a formula of higher order?): use the formula and the h given": (
                x**3 + np.cos(np.sum(x)) + np.sum(x, axis=-1, keepdims=True)
            ),
        }
        # One side and both sides differ by 1e-3 here, two right answers by 1e-11.
        expect(answer(f, x, h), _central(f.numpy, x, h), mistakes, rtol=1e-6, atol=1e-8)


@exercise("01.settled_loss", points=3, minutes=18, difficulty=3)
def settled_loss(answer, rng):
    """The loss at which noisy descent settles, in many directions and with averaged slopes"""
    cases = draw(rng, curvatures=_curvatures, share=(0.1, 0.9), sigma=(0.3, 3.0), examples=(2, 9))
    for curvatures, share, sigma, examples in cases:
        alpha = share * 2 / np.max(curvatures)
        variance = sigma**2 / examples
        parts = alpha * variance / (2 * (2 - alpha * curvatures))  # (n,), one a direction
        right = np.sum(parts)
        got = answer(curvatures, alpha, sigma, examples)
        mistakes = {
            "a mean of n numbers has the variance σ²/n: this is as noisy as one example": (
                right * examples
            ),
            "a mean of n numbers has the variance σ²/n: dividing σ by n makes it σ²/n²": (
                right / examples
            ),
            "the noise enters by its variance, σ²: here it enters as σ": right / sigma,
            "a mean of n numbers has the variance σ²/n: dividing σ² by √n makes it too large": (
                right * np.sqrt(examples)
            ),
            "the ½ of the loss ½λθ² is missing": 2 * right,
            "these are the mean squares of θ: the loss weighs each by ½λ": (
                np.sum(2 * parts / curvatures)
            ),
            "the loss is ½ Σ λm: here each mean square m counts as ½m, whatever its curvature": (
                np.sum(parts / curvatures)
            ),
            "this is the lesson's law of one direction, with λ = 1 and one example: derive it again "
            "for each λ, for n examples, and add up": alpha * sigma**2 / (2 * (2 - alpha)),
            "this is the lesson's law of one direction with λ = 1: derive it again for each λ, and add "
            "up": alpha * variance / (2 * (2 - alpha)),
            "each direction settles by its own curvature (here all of them have λ = 1), and a mean of n "
            "numbers has the variance σ²/n": (
                len(curvatures) * alpha * sigma**2 / (2 * (2 - alpha))
            ),
            "αλ in place of each α of the lesson's law is not its derivation: λ multiplies θ, the noise "
            "is multiplied by α alone": np.sum(curvatures * parts),
            "the noise is multiplied by λ: λ belongs to θ, noise enters a step as α times noise": (
                np.sum(curvatures**2 * parts)
            ),
            "θ shrinks by 1 − αλ and its mean square m by (1 − αλ)²: the square is missing": (
                len(curvatures) * alpha * variance / 2
            ),
            "each direction settles by its own curvature: here all of them have λ = 1": (
                len(curvatures) * alpha * variance / (2 * (2 - alpha))
            ),
            "each direction settles by its own curvature: here all of them have the mean of the λ": (
                len(curvatures) * alpha * variance / (2 * (2 - alpha * np.mean(curvatures)))
            ),
            "each direction settles by its own curvature: here all of them have the largest λ": (
                len(curvatures) * np.max(parts)
            ),
            "θ shrinks by 1 − αλ, here by 1 − α: λ belongs to the shrinking, not to the loss alone": (
                np.sum(curvatures) * alpha * variance / (2 * (2 - alpha))
            ),
            "the losses of the directions add up: here the denominators 2 − αλ have been added up": (
                alpha * variance / (2 * np.sum(2 - alpha * curvatures))
            ),
            "this is the rule for small α, ¼ασ² a direction: the question is for every α": (
                len(curvatures) * alpha * variance / 4
            ),
            "only the steepest direction is counted: the loss sums over all of them": (
                parts[np.argmax(curvatures)]
            ),
            "this averages over the directions: the loss is their sum": np.mean(parts),
            "the noise is scaled by α before it is squared: α² belongs to its variance": (
                np.sum(variance / (2 * (2 - alpha * curvatures)))
            ),
            "(1 − αλ)² = 1 − 2αλ + α²λ²: here a sign is turned, and 2 + αλ stands in place of 2 − αλ": (
                np.sum(alpha * variance / (2 * (2 + alpha * curvatures)))
            ),
            "each direction settles by its own curvature: here all of them have the sum of the λ": (
                len(curvatures) * alpha * variance / (2 * (2 - alpha * np.sum(curvatures)))
            ),
            "each direction settles by its own curvature: here one with the sum of the λ stands for all": (
                alpha * variance / (2 * (2 - alpha * np.sum(curvatures)))
            ),
            "this is near, and not exact: neither simulate nor round, solve for the m that a step leaves alone": (
                _if_near(got, right)
            ),
        }
        expect(got, right, mistakes)


def _if_near(got, right):
    """`got`, if it is within what chance makes of `right` in some thousand descents; else what nothing fits."""
    value = array_of(got)
    near = value is not None and value.shape == () and abs(value - right) < 0.05 * right
    return got if near else np.nan


@exercise("01.curvatures_of_a_path", points=5, minutes=25, difficulty=4)
def curvatures_of_a_path(answer, rng):
    """Curvatures and centre of an unknown quadratic, read off a path of descent"""
    signs = itertools.cycle((-1, 1, -1))
    cases = draw(rng, hessian=lambda rng: _small(rng, next(signs)), alpha=(0.1, 0.3), steps=(7, 10))
    for hessian, alpha, steps in cases:
        centre = rng.choice([-1.0, 1.0], len(hessian)) * rng.uniform(0.5, 2.0, len(hessian))
        path = _descent(hessian, centre, alpha, steps, rng)
        got = answer(path, alpha)
        if isinstance(got, (tuple, list)) and len(got) == 2:
            _expect_curvatures(got[0], hessian, centre, path, alpha)
            _expect_centre(got[1], hessian, centre, path, alpha)
        expect(got, (np.linalg.eigvalsh(hessian), centre), rtol=1e-4, atol=1e-6)


def _expect_curvatures(got, hessian, centre, path, alpha):
    curvatures = np.linalg.eigvalsh(hessian)
    mistakes = {
        "these are the factors 1 − αλ of a step: solve for λ": 1 - alpha * curvatures[::-1],
        "these are the factors 1 − αλ of a step, solve for λ; and sort by λ": (
            1 - alpha * curvatures
        ),
        "this is αλ: a step is α times a slope, so divide by alpha": alpha * curvatures,
        "these are the right curvatures in another order: sort them upwards (`eig` and `eigvals` do "
        "not sort)": _same_in_another_order(got, curvatures),
        "all signs are turned: θ moves by −α · slope, so the slope is −(move)/α": -curvatures[::-1],
        "each slope is paired with the place after it: it was taken at the place before the move": (
            np.sort(curvatures / (1 - alpha * curvatures))
        ),
        "these are the eigenvalues of H⁻¹: `lstsq(A, B)` finds X with AX = B, and moves times H "
        "are changes of slope": np.sort(1 / curvatures),
        "the two parts have changed places: first the curvatures, then the centre": centre,
        "this takes the last place for c: the path has not arrived, and on a saddle it never will": (
            lambda: _as_if_around(path[-1], path, alpha, got)
        ),
        "this takes the mean of the path for c: the centre is where the slope vanishes": (
            lambda: _as_if_around(np.mean(path, axis=0), path, alpha, got)
        ),
        "this takes the first place for c: if you look from there, take the slopes from there, too": (
            lambda: _as_if_around(path[0], path, alpha, got)
        ),
        "each move is −α times the slope that made it, whatever H is: pair moves with *changes* of "
        "slope": lambda: _one_of(got, *(np.full_like(centre, s / alpha) for s in (-1, 1))),
        "the diagonal of H holds the curvatures only if H is diagonal: take eigenvalues": (
            _same_in_another_order(got, np.diag(hessian))
        ),
        "a curvature can be negative, and this path shows it: here all are made positive (singular "
        "values are, and they come with the largest first)": (
            _same_in_another_order(got, np.abs(curvatures))
        ),
        "this is H itself: the curvatures are its eigenvalues": hessian,
        "this is I − αH, the matrix of a step: solve for H, and take its eigenvalues": (
            np.eye(len(hessian)) - alpha * hessian
        ),
        "the slope is H(θ − c), and c is not 0: differences of successive θ and of their slopes "
        "do not contain c": lambda: _as_if_around(np.zeros_like(centre), path, alpha, got),
        "this takes each coordinate for a direction of its own: the bowl is turned": (
            lambda: _coordinate_by_coordinate(path, alpha)
        ),
        "this fits each coordinate by itself, as if H were diagonal: the bowl is turned": (
            lambda: _fitted_by_coordinate(path, alpha)
        ),
    }
    expect(got, curvatures, mistakes, rtol=1e-4, atol=1e-6, what="the first part, the curvatures,")


def _expect_centre(got, hessian, centre, path, alpha):
    newton = path[0] - centre  # H⁻¹ times the first slope
    slope = hessian @ newton
    mistakes = {
        "this is where the path ends: it has not arrived, and on a saddle it never will": path[-1],
        "this is the mean of the path: the centre is where the slope vanishes": path.mean(axis=0),
        "the centre is not 0: it is where the slope H(θ − c) vanishes": np.zeros_like(centre),
        "this went the wrong way from θ: c = θ − H⁻¹ · slope": path[0] + newton,
        "a step is α times a slope: divide by alpha before you solve": path[0] - alpha * newton,
        "this takes the slope for the way to the centre: slope = H(θ − c), so solve with H": (
            path[0] - slope
        ),
        "this divides each entry of the slope by one of the diagonal of H: the bowl is turned, so solve "
        "the system slope = H(θ − c)": path[0] - slope / np.diag(hessian),
        "this divides each entry of the slope by a curvature: the bowl is turned, so solve the system "
        "slope = H(θ − c)": path[0] - slope / np.linalg.eigvalsh(hessian),
        "this multiplies by H where H⁻¹ belongs: c = θ − H⁻¹ · slope, the solution of a system": (
            path[0] - hessian @ slope
        ),
        "the slope is that of θ₀ and the place is another: both must be of one step": (
            path[1] - newton
        ),
        "this is c − θ₀: add the place from which you looked": -newton,
    }
    expect(got, centre, mistakes, rtol=1e-4, atol=1e-6, what="the second part, the centre,")


# ------------------------------------------------------------------ what is drawn


def _params(rng, alike):
    """Two to four parameters whose names and shapes vary; `alike`: all of one shape."""
    names = [("w", "b"), ("w1", "b1", "w2", "b2"), ("theta", "scale", "shift")][rng.integers(3)]
    shapes = [(), (3,), (2, 3), (4, 1), (1, 2, 2)]
    drawn = [shapes[rng.integers(len(shapes))] for _ in names]
    drawn = drawn[:1] * len(names) if alike else drawn
    pairs = zip(names, drawn, strict=True)
    return {name: np.array(rng.normal(size=shape)) for name, shape in pairs}


def _slopes(rng, params):
    """A dict like `params`; where all shapes are alike, listed in another order (pairing by place gives
    wrong numbers then, where it would else raise)."""
    names = list(params)
    if len({theta.shape for theta in params.values()}) == 1:
        names.reverse()
    return {name: np.array(rng.normal(size=params[name].shape)) for name in names}


def _turned(rng, curvatures):
    """Symmetric (n, n) with these curvatures, not along the axes."""
    directions, _ = np.linalg.qr(rng.normal(size=(len(curvatures),) * 2))  # orthonormal columns
    hessian = directions @ np.diag(curvatures) @ directions.T
    return (hessian + hessian.T) / 2


def _curvatures(rng):
    """(n,), n from 3 to 6, all above 0: flat, medium and steep, in any order."""
    medium = rng.uniform(1.2, 2.5, rng.integers(1, 5))
    return rng.permutation([rng.uniform(0.3, 0.8), *medium, rng.uniform(4, 8)])


def _bowl(rng):
    return _turned(rng, _curvatures(rng))


def _bowl_in_blocks(rng):
    """(6, 6), of three pairs of directions that know nothing of one another, the steepest in the middle.

    `eig` keeps the order of the pairs, so it finds the largest eigenvalue neither first nor last.
    """
    steepest = rng.uniform(4, 8)
    hessian = np.zeros((6, 6))
    for place, top in ((0, 0.8), (2, steepest), (4, 2.5)):
        pair = [top * rng.uniform(0.3, 0.6), top]
        hessian[place : place + 2, place : place + 2] = _turned(rng, pair)
    return hessian


def _bowl_or_saddle(rng, sign, low, high):
    """H, whose flattest direction curves upwards or, if sign is −1, downwards; and α as a share, from
    low to high, of the limit 2/λmax. So each direction gets its turn to decide."""
    curvatures = np.sort(_curvatures(rng))
    curvatures[0] *= sign
    return _turned(rng, curvatures), rng.uniform(low, high)


def _small(rng, sign):
    """(2, 2) or (3, 3), curvatures far apart so that a path tells them, the flattest of this sign; turned so
    that `eigvals` does not happen to sort them."""
    flat = sign * rng.uniform(0.4, 0.9)
    steep = rng.uniform(4.5, 6.5)
    curvatures = [[flat, steep], [flat, rng.uniform(2.0, 2.8), steep]][rng.integers(2)]
    while True:
        hessian = _turned(rng, curvatures)
        if np.min(np.diff(np.linalg.eigvals(hessian).real)) < 0:
            return hessian


def _descent(hessian, centre, alpha, steps, rng):
    """The path (steps + 1, n) of descent on ½ (θ − c)ᵀH(θ − c), from a place that has a part of
    size 1 to 3 along every direction."""
    _, directions = np.linalg.eigh(hessian)
    n = len(hessian)
    start = directions @ (rng.choice([-1.0, 1.0], n) * rng.uniform(1, 3, n))
    path = [centre + start]
    for _ in range(steps):
        path.append(path[-1] - alpha * hessian @ (path[-1] - centre))
    return np.array(path)


def _array(rng, shape):
    """An array whose entries are away from 0, where slopes differ clearly."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


# ------------------------------------------------------------------ finite differences, right and wrong


def _central(f, x, h):
    """(f(x + h eᵢ) − f(x − h eᵢ)) / 2h for every entry i; shaped like x."""
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in _moves(x, h)]).reshape(x.shape)


def _central_of_flat(f, x, h):
    """As `_central`, but f is called with x as a flat array."""
    return _central(f, x.ravel(), h).reshape(x.shape)


def _entry_by_entry(f, x, h):
    """f of each entry alone, as if it were the array."""
    return np.array([(f(entry + h) - f(entry - h)) / (2 * h) for entry in x.flat]).reshape(x.shape)


def _one_sided(f, x, h):
    return np.array([(f(x + e) - f(x)) / h for e in _moves(x, h)]).reshape(x.shape)


def _all_at_once(f, x, h):
    return np.full_like(x, (f(x + h) - f(x - h)) / (2 * h))


def _row_by_row(f, x, h):
    slopes = np.zeros_like(x)
    for i in range(len(x)):
        move = np.zeros_like(x)
        move[i] = h
        slopes[i] = (f(x + move) - f(x - move)) / (2 * h)
    return slopes


def _never_put_back(f, x, h):
    """One array is moved by +h, then by −2h, and the next entry is moved on top of that."""
    x, slopes = x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= 2 * h
        slopes[place] = (above - f(x)) / (2 * h)
    return slopes


def _moves_piled_up(f, x, h):
    """The array that moves an entry (or both moved copies of x) is made once, before the loop."""
    moves = np.cumsum(_moves(x, h), axis=0)
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in moves]).reshape(x.shape)


def _moves(x, h):
    """Arrays like x that are h at one entry and 0 elsewhere, one for each entry."""
    return (h * np.eye(x.size)).reshape(-1, *x.shape)


# ------------------------------------------------------------------ a path, read wrongly


def _as_if_around(centre, path, alpha, got):
    """Eigenvalues of the H that fits slope = H(θ − centre) best. That H is not symmetric, so it depends on how
    they are taken: in the way that gives `got`, if there is one."""
    slopes = (path[:-1] - path[1:]) / alpha
    fit = np.linalg.lstsq(path[:-1] - centre, slopes, rcond=None)[0]
    general = np.sort(np.linalg.eigvals(fit).real)
    return _one_of(
        got,
        np.linalg.eigvalsh((fit + fit.T) / 2),
        np.linalg.eigvalsh(fit),  # reads the lower half only
        np.linalg.eigvalsh(fit.T),
        general,
        _same_in_another_order(got, general),
    )


def _one_of(got, *values):
    """That of `values`, all of one shape, with which `got` agrees; the first, if none."""
    array = array_of(got)
    if array is None or array.shape != values[0].shape:
        return values[0]
    near = (v for v in values if np.allclose(array, v, rtol=0, atol=1e-4 * np.max(np.abs(v))))
    return next(near, values[0])


def _coordinate_by_coordinate(path, alpha):
    moves = np.diff(path, axis=0)
    return np.sort((1 - moves[1] / moves[0]) / alpha)


def _fitted_by_coordinate(path, alpha):
    slopes = (path[:-1] - path[1:]) / alpha
    moves, changes = np.diff(path[:-1], axis=0), np.diff(slopes, axis=0)
    return np.sort(np.sum(moves * changes, axis=0) / np.sum(moves**2, axis=0))
