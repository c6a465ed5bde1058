"""Checks of chapter 12: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named

# ------------------------------------------------------------------ 12.1


@exercise("12.linear_cka", points=3, minutes=12, difficulty=2, forbids=("maml_edu.pytorch",))
def linear_cka(answer, rng):
    """Are two layers alike?"""
    for a, b in draw(rng, outputs=_two_layers):
        expect(
            _asked_for_similarity(answer, a, b),
            _cka(_centred(a), _centred(b)),
            partial(_wrong_similarities, a, b),
        )


def _two_layers(rng):
    """(a, b): outputs of two layers of different widths for the same examples, partly alike, far from mean 0."""
    n, p = int(rng.integers(13, 22)), int(rng.integers(3, 6))
    q = p + int(rng.integers(1, 4))
    a = rng.normal(0.0, 1.0, (n, p)) * rng.uniform(0.5, 2.0, p)
    b = a @ rng.normal(0.0, 0.6, (p, q)) + rng.normal(0.0, 0.8, (n, q)) * rng.uniform(0.5, 2.0, q)
    return a + rng.uniform(0.6, 1.6, p), b + rng.uniform(0.6, 1.6, q)


def _asked_for_similarity(answer, a, b):
    """What the answer gives; an answer that needs equal widths is told why it must not."""
    try:
        return answer(a, b)
    except WrongAnswer as error:
        wide = b[:, : a.shape[1]]
        try:
            value = array_of(answer(a, wide))
        except WrongAnswer:
            value = None
        if value is None or value.ndim:
            raise error from None
        raise WrongAnswer(
            "the two layers may have different numbers of features: nothing says that feature j of the one belongs "
            "to feature j of the other. Compare all features with all others"
        ) from None


def _centred(a):
    return a - a.mean(axis=0)


def _cka(a, b, norm=np.linalg.norm):
    return norm(b.T @ a) ** 2 / (norm(a.T @ a) * norm(b.T @ b))


def _wrong_similarities(a, b):
    return _wrong_centres(a, b) | _wrong_scales(a, b) | _other_measures(a, b)


def _wrong_centres(a, b):
    """Mistakes in what is subtracted."""
    ca, cb, n, norm = _centred(a), _centred(b), len(a), np.linalg.norm
    rows = lambda x: x - x.mean(axis=1, keepdims=True)
    centre = np.eye(n) - 1 / n
    half = [centre @ x @ x.T for x in (a, b)]
    gram = [x @ x.T for x in (a, b)]
    whole = [g - g.mean() for g in gram]
    alike = lambda x, y: np.sum(x * y) / (np.linalg.norm(x) * np.linalg.norm(y))
    return {
        "nothing is centred: subtract from each feature its mean over the examples, or what all examples share "
        "passes for likeness": _cka(a, b),
        "the mean of each example is subtracted (axis=1): subtract that of each feature, over the examples": (
            _cka(rows(a), rows(b))
        ),
        "one mean of the whole array is subtracted: each feature has a mean of its own": (
            _cka(a - a.mean(), b - b.mean())
        ),
        "only the first layer is centred: centre both": _cka(ca, b),
        "only the second layer is centred: centre both": _cka(a, cb),
        "the table of inner products is centred on one side only: its rows and its columns need it, or simply "
        "the features before": alike(*half),
        "one mean is subtracted from the table of inner products: centre the features before": alike(
            *whole
        ),
        "the features are divided by their standard deviations as well: they are only centred": (
            _cka(ca / ca.std(axis=0), cb / cb.std(axis=0))
        ),
        "what stands above is centred, and the norms below are not: centre the features before everything else": (
            norm(ca.T @ cb) ** 2 / (norm(a.T @ a) * norm(b.T @ b))
        ),
        "the norms below are centred, and what stands above is not: centre the features before everything else": (
            norm(a.T @ b) ** 2 / (norm(ca.T @ ca) * norm(cb.T @ cb))
        ),
    }


def _wrong_scales(a, b):
    """Mistakes in the norms."""
    a, b = _centred(a), _centred(b)
    norm = np.linalg.norm
    cross, own, other = norm(b.T @ a), norm(a.T @ a), norm(b.T @ b)
    right = cross**2 / (own * other)
    return {
        "the square is missing above: the norm of aᵀb is squared": cross / (own * other),
        "the norms below are squared as well: only that of aᵀb is": cross**2 / (own * other) ** 2,
        "this is the square root of CKA: do not take the root of the norms below, or of the whole": np.sqrt(
            right
        ),
        "the norms below have their roots taken, and the one above is squared: the norms below stay as they are": (
            cross**2 / np.sqrt(own * other)
        ),
        "‖a‖² ‖b‖² stands below: the norms of aᵀa and of bᵀb are asked for, or a layer is not even like itself": (
            cross**2 / (norm(a) ** 2 * norm(b) ** 2)
        ),
        "‖a‖ ‖b‖ stands below: the norms of aᵀa and of bᵀb are asked for": cross**2
        / (norm(a) * norm(b)),
        "this is divided by the number of features: the norms below are all the scaling that there is": (
            right / (a.shape[1] * b.shape[1])
        ),
        "this is divided by the number of examples: it cancels, and must not be left over": right
        / len(a),
        "this is 1 − CKA, a distance: the likeness is asked for": 1 - right,
        "the norm of the first layer stands below twice: each layer has a norm there": cross**2
        / own**2,
        "the norm of the second layer stands below twice: each layer has a norm there": cross**2
        / other**2,
        "these are spectral norms, the largest singular values: take Frobenius norms, the roots of the sums of "
        "squares": _cka(a, b, lambda x: norm(x, 2)),
        "these are nuclear norms, the sums of the singular values: take Frobenius norms, the roots of the sums of "
        "squares": _cka(a, b, lambda x: norm(x, "nuc")),
        "these are sums of absolute values: take Frobenius norms, the roots of the sums of squares": (
            _cka(a, b, lambda x: np.abs(x).sum())
        ),
        "these are traces or plain sums in place of norms: square the entries first": np.sum(
            b.T @ a
        )
        ** 2
        / (np.sum(a.T @ a) * np.sum(b.T @ b)),
    }


def _other_measures(a, b):
    """Likeness of another kind."""
    a, b = _centred(a), _centred(b)
    (left, _), (right, _) = np.linalg.qr(a), np.linalg.qr(b)
    unit = lambda x: x / np.linalg.norm(x, axis=0)
    correlations = unit(a).T @ unit(b)
    explained = lambda basis, y: np.linalg.norm(basis.T @ y) ** 2 / np.linalg.norm(y) ** 2
    return {
        "this is R²: how much of the second layer a linear regression on the first explains": explained(
            left, b
        ),
        "this is R²: how much of the first layer a linear regression on the second explains": explained(
            right, a
        ),
        "this is the mean squared canonical correlation: a direction of little variance counts in full there": (
            np.linalg.norm(left.T @ right) ** 2 / min(a.shape[1], b.shape[1])
        ),
        "this is the mean squared correlation of all pairs of features: CKA weighs them by how much they vary": (
            np.mean(correlations**2)
        ),
        "this is the mean size of the correlations of all pairs of features: CKA is another measure": (
            np.mean(np.abs(correlations))
        ),
    }


# ------------------------------------------------------------------ 12.2

LOSS = named("tanh_mlp_mse")
LAYERS = ("w1", "b1"), ("w2", "b2")


@exercise("12.freeze", points=3, minutes=10, difficulty=2, forbids=("maml_edu.pytorch",))
def freeze(answer, rng):
    """Freeze at test"""
    for problem, inner_lr, steps in draw(rng, problem=_network, inner_lr=(0.1, 0.25), steps=(3, 4)):
        params, x, y = problem
        names = [str(name) for name in rng.permutation(list(params))]
        for moving in (names[:1], names[:2], names[1:], []):
            task = (params, x, y, inner_lr, steps, moving)
            expect(_asked_for_phi(answer, *task), _walk(*task), partial(_wrong_walks, *task))


def _asked_for_phi(answer, params, x, y, inner_lr, steps, moving):
    """What the answer gives; one that drops the frozen parameters, and fails in its next step, is told so."""
    try:
        return answer(LOSS, params, x, y, inner_lr, steps, moving)
    except WrongAnswer as error:
        try:
            phi = answer(LOSS, params, x, y, inner_lr, 1, moving)
        except WrongAnswer:
            phi = None
        if not isinstance(phi, dict) or set(phi) != set(moving):
            raise error from None
        raise WrongAnswer(
            "φ needs all names of params: after the first step only the moving ones are left, and in the next the "
            "network lacks the others"
        ) from None


def _network(rng):
    """(θ, support x, support y) of a small network; no parameter is near zero."""
    inputs, width = int(rng.integers(1, 3)), int(rng.integers(2, 5))
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, 1), "b2": (1,)}
    params = {
        name: rng.choice([-1.0, 1.0], shape) * rng.uniform(0.4, 1.2, shape)
        for name, shape in shapes.items()
    }
    x = rng.uniform(-2.0, 2.0, (int(rng.integers(4, 7)), inputs))
    y = rng.uniform(1.0, 2.0) * np.sin(x.sum(axis=1, keepdims=True) + rng.uniform(0, np.pi))
    return params, x, y


def _slope(params, x, y):
    return ref.grad(LOSS.numpy)(params, x, y)


def _walk(params, x, y, inner_lr, steps, moving, rate=1.0):
    """φ after `steps` steps, in step k of which the names `moving(k)` move (a list: always the same)."""
    of = moving if callable(moving) else lambda k: moving
    for k in range(steps):
        slope = _slope(params, x, y)
        params = {
            n: v - (inner_lr if n in of(k) else 0.0) * rate * slope[n] for n, v in params.items()
        }
    return params


def _in_turn(params, x, y, inner_lr, names):
    """Each name in turn steps from where the one before has left the network."""
    for name in names:
        params = params | {name: params[name] - inner_lr * _slope(params, x, y)[name]}
    return params


def _by_examples(params, x, y, inner_lr, steps, moving):
    """In each step the examples come one by one, and each of them moves the network."""
    for _ in range(steps):
        for i in range(len(x)):
            params = _walk(params, x[i : i + 1], y[i : i + 1], inner_lr, 1, moving)
    return params


def _slower(params, x, y, inner_lr, steps, moving, factor=0.1):
    for _ in range(steps):
        slope = _slope(params, x, y)
        rates = {n: inner_lr * (1.0 if n in moving else factor) for n in params}
        params = {n: v - rates[n] * slope[n] for n, v in params.items()}
    return params


def _wrong_walks(*task):
    return _wrong_freezes(*task) | _wrong_ways_to_step(*task)


def _wrong_freezes(params, x, y, inner_lr, steps, moving):
    """Mistakes in what moves, and when."""
    start, every = (params, x, y, inner_lr), list(params)
    frozen = [n for n in every if n not in moving]
    right, free = _walk(*start, steps, moving), _walk(*start, steps, every)
    zeros = {n: np.zeros_like(params[n]) for n in frozen}
    layers = [n for layer in LAYERS for n in layer if set(layer) & set(moving)]
    return {
        "nothing is frozen: however the network was trained, at test only the parameters in moving may move": free,
        "this is the wrong way round: moving names the parameters that move, not the frozen ones": (
            _walk(*start, steps, frozen)
        ),
        "all parameters move in the loop, and the frozen ones are put back at the end: by then the others have "
        "followed a network that is not there any more": free | {n: params[n] for n in frozen},
        "the frozen parameters are frozen in the first step alone: freeze them in every step": (
            _walk(*start, steps, lambda k: every if k else moving)
        ),
        "the first step moves all parameters: freeze from the first step on": (
            _walk(*start, steps, lambda k: moving if k else every)
        ),
        "only the last step freezes: freeze in every step": (
            _walk(*start, steps, lambda k: moving if k == steps - 1 else every)
        ),
        "the frozen parameters are set to zero: frozen means that they stay as they are in θ": right
        | zeros,
        "the frozen parameters are zero while the others move: frozen means that they stay as they are in θ": (
            _walk(params | zeros, *start[1:], steps, moving)
        ),
        "the frozen parameters are zero in the loop, and put back at the end: the network has them all the time": (
            _walk(params | zeros, *start[1:], steps, moving) | {n: params[n] for n in frozen}
        ),
        "the frozen parameters are missing in φ: the network needs them all the same": (
            {n: right[n] for n in moving}
        ),
        "the frozen parameters move slowly: they are not to move at all": _slower(
            *start, steps, moving
        ),
        "a whole layer moves as soon as one of its parameters is named: only those that are named may": (
            _walk(*start, steps, layers)
        ),
        "only the first name in moving moves: all of them do": _walk(*start, steps, moving[:1]),
        "only the weights move: a bias in moving moves, too": (
            _walk(*start, steps, [n for n in moving if n[0] == "w"])
        ),
        "an empty moving means that nothing moves, not that everything does": right
        if moving
        else free,
    }


def _wrong_ways_to_step(params, x, y, inner_lr, steps, moving):
    """Mistakes in the steps themselves; what moves is right."""
    start = (params, x, y, inner_lr)
    ordered = [n for n in params if n in moving]
    return {
        "the parameters step one after the other, each from where the last one has left the network: take one "
        "gradient for all of them": _in_turn(*start, ordered * steps),
        "the parameters step in turn, in the order of moving, each from where the last one has left the network: "
        "take one gradient for all of them": _in_turn(*start, list(moving) * steps),
        "one parameter takes all its steps before the next one moves: all of them move in each step": _in_turn(
            *start, [name for name in moving for _ in range(steps)]
        ),
        "one parameter takes all its steps before the next one moves, in the order of θ: all of them move in each "
        "step": _in_turn(*start, [name for name in ordered for _ in range(steps)]),
        "a step is taken for one example at a time: the loss of a step is that of the whole support set": (
            _by_examples(*start, steps, moving)
        ),
        "the slope is taken at θ in every step: take it where the step starts": (
            _walk(*start, 1, moving, rate=steps)
        ),
        "this goes uphill: a step subtracts the slope": _walk(*start, steps, moving, rate=-1.0),
        "this is one step alone: does every step start at θ again?": _walk(*start, 1, moving),
        "this is one step short": _walk(*start, steps - 1, moving),
        "this is one step too many": _walk(*start, steps + 1, moving),
    }


# ------------------------------------------------------------------ 12.3


@exercise("12.ridge_head", points=4, minutes=15, difficulty=3, forbids=("maml_edu.pytorch",))
def ridge_head(answer, rng):
    """A head in closed form"""
    for case in draw(rng, case=_features):
        expect(answer(*case), _ridge(*case), partial(_wrong_heads, *case))


def _features(rng):
    """(features, targets, queries, strength): as often fewer examples than features as more."""
    n, outputs, queries = int(rng.integers(5, 9)), int(rng.integers(2, 4)), int(rng.integers(4, 8))
    width = n + int(rng.choice([-2, -1, 1, 3]))
    centre = rng.choice([-1.0, 1.0], width) * rng.uniform(0.8, 2.0, width)
    spread = rng.uniform(0.5, 2.0, width)
    x = centre + spread * rng.normal(0.0, 1.0, (n + queries, width))
    y = x[:n] @ rng.normal(0.0, 0.5, (width, outputs)) + rng.uniform(1.0, 4.0, outputs)
    y = y + rng.normal(0.0, 0.5, (n, outputs))
    return x[:n], y, x[n:], float(rng.uniform(2.3, 3.7))


def _weights(x, y, strength, free=None):
    """Ridge weights without an offset; free: the place of a weight that is not penalised."""
    penalty = strength * np.eye(x.shape[1])
    if free is not None:
        penalty[free, free] = 0.0
    return np.linalg.pinv(x.T @ x + penalty, hermitian=True) @ x.T @ y


def _ridge(x, y, queries, strength, scale=1.0, centre=None):
    """Scores (queries, outputs); centre, scale: what the features are measured from, and by."""
    centre = x.mean(axis=0) if centre is None else centre
    weights = _weights((x - centre) / scale, y - y.mean(axis=0), strength)
    return (queries - centre) / scale @ weights + y.mean(axis=0)


def _wrong_heads(x, y, queries, strength):
    return _wrong_offsets(x, y, queries, strength) | _wrong_strengths(x, y, queries, strength)


def _wrong_offsets(x, y, queries, strength):
    """Mistakes in what stands outside the penalty."""
    one = lambda z: np.ones((len(z), 1))
    with_one = lambda z: np.concatenate([z, one(z)], axis=1)
    one_first = lambda z: np.concatenate([one(z), z], axis=1)
    mean, middle = x.mean(axis=0), y.mean(axis=0)
    weights, raw = _weights(x - mean, y, strength), _weights(x, y, strength)
    of_rest = _weights(x, y - middle, strength)
    rows = lambda z: z - z.mean(axis=1, keepdims=True)
    both = np.concatenate([x, queries]).mean(axis=0)
    return {
        "the offset is penalised, too: it is pulled towards zero, and all answers with it. Leave it out": (
            with_one(queries) @ _weights(with_one(x), y, strength)
        ),
        "the column of ones stands first, and the last entry of the penalty's diagonal is free: free the entry of "
        "the ones": one_first(queries) @ _weights(one_first(x), y, strength, free=-1),
        "the column of ones stands last, and the first entry of the penalty's diagonal is free: free the entry of "
        "the ones": with_one(queries) @ _weights(with_one(x), y, strength, free=0),
        "there is no offset: centre features and targets, or give it a place of its own": queries
        @ raw,
        "the targets are centred and the features are not: w has to make up for the features' mean": (
            queries @ of_rest + middle
        ),
        "w is found from features that are not centred, and used on centred ones": (
            (queries - mean) @ of_rest + middle
        ),
        "w is found from features and targets that are not centred; an offset that fits the means comes too late": (
            (queries - mean) @ raw + middle
        ),
        "the mean of the targets is not added at the end": (queries - mean) @ weights,
        "the features' mean is not taken from the queries, nor the targets' mean added: w was found about both": (
            queries @ weights
        ),
        "the queries are not centred: subtract the support set's mean from them": queries @ weights
        + middle,
        "the queries are centred by their own mean: it is the support set's mean, and a query must not depend on "
        "the other queries": (queries - queries.mean(axis=0)) @ weights + middle,
        "the mean is taken over support set and queries together: a query must not depend on the other queries": (
            _ridge(x, y, queries, strength, centre=both)
        ),
        "each example is centred (axis=1): centre each feature, over the examples (axis=0)": (
            rows(queries) @ _weights(rows(x), y - middle, strength) + middle
        ),
        "one offset for all outputs: each has its own": (queries - mean) @ weights + y.mean(),
        "the features are divided by their standard deviations: that is another penalty": (
            _ridge(x, y, queries, strength, scale=x.std(axis=0))
        ),
    }


def _wrong_strengths(x, y, queries, strength):
    """Mistakes in the penalty."""
    at = lambda value: _ridge(x, y, queries, value)
    n, mean = len(x), x.mean(axis=0)
    flat = np.linalg.pinv((x - mean).T @ (x - mean) + strength, hermitian=True) @ (x - mean).T
    return {
        "there is no penalty: this is least squares": at(0.0),
        "the penalty is multiplied by the number of examples, as if the errors were averaged: they are summed": at(
            n * strength
        ),
        "the penalty is multiplied by the number of targets, as if the errors were averaged: they are summed": at(
            y.size * strength
        ),
        "the penalty is multiplied by half the number of examples, as if the errors were averaged and the penalty "
        "halved: the errors are summed, and nothing is halved": at(n * strength / 2),
        "the penalty is divided by the number of examples": at(strength / n),
        "the penalty is squared: added as rows to the features it needs its root, √λ times the identity": at(
            strength**2
        ),
        "this takes the root of λ: as a summand of XᵀX it is λ itself": at(np.sqrt(strength)),
        "the penalty is doubled: both terms lose the same factor 2 in the derivative": at(
            2 * strength
        ),
        "the penalty is halved: both terms have the same factor 2 in the derivative": at(
            strength / 2
        ),
        "λ is added to every entry of XᵀX: it belongs on the diagonal alone, λ times the identity": (
            (queries - mean) @ flat @ (y - y.mean(axis=0)) + y.mean(axis=0)
        ),
        "λ is subtracted: it is added to the diagonal": at(-strength),
    }


# ------------------------------------------------------------------ 12.4

VERDICTS = "no need", "adapts", "memorised", "own tasks only", "fits the support", "nothing"
# How low the losses of a network are: on its own tasks (support before and after, query before and after), then on
# new tasks. l: low; b: below the baseline, not below half of it; h: above the baseline; r: most tasks run away.
PATTERNS = (
    "llll llll", "lllh lllh", "hlhl llll", "hlll hlll",  # no need
    "hlhl hlhl", "llll hlhl", "hlhl blbl", "hlhl llhl",  # adapts
    "llll hlhh", "lllh hhhh", "llll hlhb", "hlll hlhh",  # memorised
    "hlhl hlhh", "hlhl hhhb", "blbl hlhh", "llhl hlhh",  # own tasks only
    "hhhh hhhl", "hrrl rhrl",  # adapts, and its support losses are high
    "hhhl hhhh", "rrrl hrhr",  # own tasks only, likewise
    "hlhh hlhh", "hlhb hhhh", "llhh hhhh",  # fits the support
    "hhhh hhhh", "hbhb hbhb", "bbbb bbbb", "hhhh hlhh", "rrrr rrrr",  # nothing
)  # fmt: skip
FACTORS = {"l": [0.05, 0.15, 0.42], "b": [0.6, 0.9], "h": [1.2, 3.0]}  # of the baseline


@exercise("12.memorised", points=4, minutes=15, difficulty=3)
def memorised(answer, rng):
    """Which of six cases?"""
    for baseline in draw(rng, baseline=(0.5, 4.0)):
        for pattern in rng.permutation(PATTERNS).tolist():
            losses = _losses(rng, pattern, baseline)
            got = answer(losses, baseline)
            if got is not None and not (isinstance(got, str) and got in VERDICTS):
                raise WrongAnswer("return one of the six words of the table")
            expect(
                got,
                _verdict(_below(losses, baseline / 2)),
                partial(_wrong_verdicts, losses, baseline),
                otherwise=(
                    "this is not the first line of the table that holds: compare the median over the "
                    "tasks with half of the baseline, line by line"
                ),
            )


def _losses(rng, pattern, baseline):
    """{"own" or "new": {"support" or "query": {"before" or "after": losses (tasks,)}}}."""
    losses = {}
    for tasks, levels in zip(("own", "new"), pattern.split(), strict=True):
        count, level = int(rng.integers(7, 13)), iter(levels)
        losses[tasks] = {
            points: {
                time: _of_tasks(rng, count, next(level), baseline) for time in ("before", "after")
            }
            for points in ("support", "query")
        }
    return losses


def _of_tasks(rng, count, level, baseline):
    """Losses of so many tasks: most of one level, and in most cases a few runaways, or lucky ones."""
    values = (
        baseline
        * rng.choice(FACTORS["l" if level == "r" else level])
        * rng.uniform(0.93, 1.07, count)
    )
    few = int(rng.integers(1, count // 3 + 1))
    if level == "l":
        kinds = [(0, 0.0), (1, rng.uniform(1.2, 1.5)), (few, rng.uniform(20, 1000)), (few, np.inf)]
    elif level == "r":
        kinds = [(count // 2 + 1, np.inf)]
    else:
        kinds = [(0, 0.0), (few, 0.01)]
    number, factor = kinds[rng.integers(len(kinds))]
    values[:number] = baseline * factor
    return rng.permutation(values)


def _below(losses, limit, middle=np.median):
    """Whether the losses are low: a function of tasks, points and time."""
    return lambda tasks, points, time: bool(middle(losses[tasks][points][time]) < limit)


RULES = (
    ("no need", ("new", "query", "before")),
    ("adapts", ("new", "query", "after")),
    ("memorised", ("own", "query", "before")),
    ("own tasks only", ("own", "query", "after")),
    ("fits the support", ("own", "support", "after")),
)


def _verdict(low, rules=RULES, last="nothing"):
    return next((word for word, where in rules if low(*where)), last)


def _with(word, where):
    """The rules, with another place to look at for one word."""
    return [(w, where if w == word else old) for w, old in RULES]


def _wrong_verdicts(losses, baseline):
    low, by = _below(losses, baseline / 2), partial(_below, losses, baseline / 2)
    return (
        _wrong_rules(low)
        | _wrong_curves(low, losses)
        | _wrong_lines(low)
        | _wrong_repairs(by)
        | {
            "this takes the mean over the tasks: a few runaways decide it; the median is asked for": _verdict(
                by(np.mean)
            ),
            "this takes the best task: the median over the tasks is asked for": _verdict(
                by(np.min)
            ),
            "this takes the worst task, or asks that all be low: the median over the tasks is asked for": _verdict(
                by(np.max)
            ),
            "this looks at the first task alone: take the median over the tasks": _verdict(
                by(lambda values: values[0])
            ),
            "this compares with the baseline itself: low means below half of it": _verdict(
                _below(losses, baseline)
            ),
            "this compares with twice the baseline: low means below half of it": _verdict(
                _below(losses, 2 * baseline)
            ),
        }
    )


def _wrong_rules(low):
    """Lines that are left out, or come in another order."""
    swapped = {"memorised": "own tasks only", "own tasks only": "memorised"}
    order = lambda *places: _verdict(low, [RULES[i] for i in places])
    return {
        "a low loss on new tasks before any step is no success of adapting: there was no need of it": _verdict(
            low, [("adapts", RULES[0][1]), *RULES[1:]]
        ),
        "the first line of the table is left out: what is low before any step has not become so by adapting": order(
            1, 2, 3, 4
        ),
        "a network that knows its own tasks may adapt to new ones as well: ask about the new tasks first": order(
            2, 0, 1, 3, 4
        ),
        "a network that knows its own tasks by heart may adapt to new ones as well: the second line comes before "
        "the third": order(0, 2, 1, 3, 4),
        "the second line comes before the first: what was low before is no work of the steps": order(
            1, 0, 2, 3, 4
        ),
        "the lines are read from below": order(4, 3, 2, 1, 0),
        "the fourth line comes before the third: a low loss after the steps may have been low before them": order(
            0, 1, 3, 2, 4
        ),
        "memorised and own tasks only are exchanged": _verdict(
            low, [(swapped.get(word, word), where) for word, where in RULES]
        ),
        "memorised never comes: ask about the own tasks before any step": order(0, 1, 3, 4),
        "own tasks only never comes: ask about the own tasks after the steps": order(0, 1, 2, 4),
        "fits the support never comes: ask about the support set of the own tasks": order(
            0, 1, 2, 3
        ),
        "nothing never comes: the support set may not be fitted either": _verdict(
            low, last="fits the support"
        ),
    }


def _wrong_curves(low, losses):
    """Another curve than the line asks about."""
    other = {"own": "new", "new": "own", "before": "after", "after": "before"}
    own = lambda tasks, points, time: low("own", points, time)
    new = lambda tasks, points, time: low("new", points, time)
    middle = lambda time: np.median(losses["new"]["query"][time])
    halved = lambda tasks, points, time: (
        low(tasks, points, time)
        if time == "before"
        else bool(
            np.median(losses[tasks][points]["after"])
            < np.median(losses[tasks][points]["before"]) / 2
        )
    )
    improved = lambda *where: (
        bool(middle("after") < middle("before")) if where == RULES[1][1] else low(*where)
    )
    return {
        "the new tasks are not looked at: on its own tasks a network may know the answers by heart": _verdict(
            own
        ),
        "the own tasks are not looked at: they tell memory from ignorance": _verdict(new),
        "own and new are exchanged": _verdict(lambda a, b, c: low(other[a], b, c)),
        "before and after are exchanged": _verdict(lambda a, b, c: low(a, b, other[c])),
        "whether a network adapts is judged by the support set, to which it was just fitted: take the queries": (
            _verdict(low, _with("adapts", ("new", "support", "after")))
        ),
        "whether there is need is judged by the support set: only the fifth line is about it": (
            _verdict(low, _with("no need", ("new", "support", "before")))
        ),
        "whether it is memorised is judged by the support set: only the fifth line is about it": (
            _verdict(low, _with("memorised", ("own", "support", "before")))
        ),
        "everything is judged by the support set: only the fifth line is about it": _verdict(
            lambda a, b, c: low(a, "support", c)
        ),
        "better than before is not yet low: the loss after the steps must be below half of the baseline": (
            _verdict(improved)
        ),
        "half of its own loss before the steps is not half of the baseline: compare with the baseline each time": (
            _verdict(halved)
        ),
        "whether it is memorised is judged after the steps: what is known by heart is known before them": (
            _verdict(low, _with("memorised", ("own", "query", "after")))
        ),
        "whether there is need is judged on the own tasks: ask about the new ones": (
            _verdict(low, _with("no need", ("own", "query", "before")))
        ),
        "there is no need to adapt as soon as the new tasks are low: whether the own ones are does not matter": (
            _verdict(low if low("own", "query", "before") else _without_the_first(low))
        ),
        "whether it fits the support is judged on the new tasks: ask about its own": (
            _verdict(low, _with("fits the support", ("new", "support", "after")))
        ),
    }


def _wrong_lines(low):
    """Lines that ask for more, or for less, than one loss."""
    fits, support_too = RULES[4][1], (RULES[1][1], RULES[3][1])
    either = lambda *where: low(*where) or (where == fits and low("new", "support", "after"))
    only_after = lambda *where: (
        low(*where) and not (where == fits and low("own", "support", "before"))
    )
    both = lambda tasks, points, time: (
        low(tasks, points, time)
        and ((tasks, points, time) not in support_too or low(tasks, "support", time))
    )
    return {
        "fitting the support set of new tasks counts as well: the fifth line asks about the own tasks alone": (
            _verdict(either)
        ),
        "fits the support is given only where the support loss was high before the steps: its line asks about one "
        "loss, the one after them": _verdict(only_after),
        "the support loss has to be low as well: to solve a task is a matter of its queries alone": (
            _verdict(both)
        ),
    }


def _wrong_repairs(by):
    """Mistakes with what is not finite."""
    finite = lambda values: values[np.isfinite(values)]
    lost = lambda values: np.where(np.isfinite(values), values, np.nan)
    return {
        "this takes the mean of the finite losses: the median over all tasks is asked for": (
            _verdict(by(lambda values: finite(values).mean()))
        ),
        "the runaways are left out of the median: they count among the high losses": _verdict(
            by(lambda values: np.median(finite(values)))
        ),
        "infinities become NaN, and one of them makes the whole median NaN: leave them, a median bears them": (
            _verdict(by(lambda values: np.median(lost(values))))
        ),
    }


def _without_the_first(low):
    """`low`, for which the first line of the table never holds."""
    return lambda *where: where != RULES[0][1] and low(*where)


# ------------------------------------------------------------------ 12.5


@exercise("12.fair_alpha", points=3, minutes=10, difficulty=2)
def fair_alpha(answer, rng):
    """To each its own step size"""
    for case in draw(rng, case=_searches):
        expect(answer(*case), _tuned(*case), partial(_wrong_choices, *case))


METHODS = "MAML", "ANIL", "BOIL", "FOMAML", "pretrained"


def _searches(rng):
    """(alphas, val, test, step): errors of three methods over a grid; each wrong way of choosing shows."""
    while True:
        count, step = int(rng.integers(6, 9)), int(rng.integers(3, 5))
        alphas = rng.permutation(
            np.round(0.01 * 2.0 ** np.arange(count) * rng.uniform(0.8, 1.2), 5)
        )
        steps, episodes = step + int(rng.integers(2, 4)), rng.integers(9, 14, 2)
        val, test = {}, {}
        for name in rng.permutation(METHODS)[:3].tolist():
            level = np.exp(rng.normal(0.0, 0.5, (count, steps + 1, 1)))
            val[name] = level * np.exp(rng.normal(0.0, 0.8, (count, steps + 1, episodes[0])))
            again = level * np.exp(rng.normal(0.0, 0.4, level.shape))
            test[name] = again * np.exp(rng.normal(0.0, 0.8, (count, steps + 1, episodes[1])))
            _let_some_diverge(rng, val[name], step)
        if _tells_apart(alphas, val, test, step):
            return alphas, val, test, step


def _let_some_diverge(rng, errors, step):
    """Make four α special; so many ways of dealing with what is not finite choose differently.

    NaN with a low error otherwise, infinity with a lower one, NaN with a high one; and NaN in later steps alone
    with the lowest error of those that are left.
    """
    lost, blown, bad, best = rng.permutation(len(errors))[:4]
    nearly = rng.choice([0.06, 0.6])
    for place, factor, value in ((lost, 0.2, np.nan), (blown, nearly, np.inf), (bad, 3.0, np.nan)):
        errors[place, step] *= factor
        errors[place, step:, rng.integers(errors.shape[2])] = value
    errors[best, step] *= 0.5
    errors[best, -1, rng.integers(errors.shape[2])] = np.nan


def _tells_apart(alphas, val, test, step):
    """Whether no mistake gives the right answer, and no choice is close."""
    means = [np.sort(values[:, step].mean(axis=1)) for values in val.values()]
    clear = all(m[1] > 1.02 * m[0] for m in means)  # NaN and infinity come last
    right = _tuned(alphas, val, test, step)
    wrong = _wrong_choices(alphas, val, test, step).values()
    return clear and all(other != right for other in wrong)


def _tuned(alphas, val, test, step, score=None, report=None):
    """{method: (α, test error)}; score: (val, test) → numbers (alphas,); report: (val, test, i) → number."""
    score = score or (lambda v, t: _mean(v[:, step]))
    report = report or (lambda v, t, i: t[i, step].mean())
    out = {}
    for name in val:
        i = int(np.argmin(score(val[name], test[name])))
        out[name] = float(alphas[i]), float(report(val[name], test[name], i))
    return out


def _mean(errors):
    """Mean over the episodes, infinite where one of them is not a number."""
    means = errors.mean(axis=1)
    return np.where(np.isfinite(means), means, np.inf)


def _finite_mean(errors):
    return np.array([row[np.isfinite(row)].mean() for row in errors])


def _wrong_choices(alphas, val, test, step):
    chosen = partial(_tuned, alphas, val, test, step)
    upside_down = {
        "the largest error is chosen: a small one is good": (
            chosen(
                lambda v, t: -np.where(np.isfinite(_mean(v[:, step])), _mean(v[:, step]), -np.inf)
            )
        ),
        "the smallest α is chosen, whatever its error": chosen(lambda v, t: alphas),
    }
    return (
        _wrong_grids(alphas, val, test, step)
        | _wrong_reports(alphas, val, test, step)
        | upside_down
    )


def _wrong_grids(alphas, val, test, step):
    """Mistakes in what is chosen."""
    chosen = partial(_tuned, alphas, val, test, step)
    first = next(iter(val.values()))
    scaled = sum(_mean(v[:, step]) for v in val.values())
    last = list(val.values())[-1]
    return {
        "every method gets the α of the first one, which may cripple it: each has a choice of its own": (
            chosen(lambda v, t: _mean(first[:, step]))
        ),
        "every method gets the α of the last one: each has a choice of its own": (
            chosen(lambda v, t: _mean(last[:, step]))
        ),
        "one α for all methods, the best on average: each has a choice of its own": (
            chosen(lambda v, t: scaled)
        ),
        "α is chosen on the test episodes: then their error is no honest one any more": (
            chosen(lambda v, t: _mean(t[:, step]))
        ),
        "α is chosen on validation and test episodes together: the test has no part in the choice": (
            chosen(lambda v, t: _mean(np.concatenate([v, t], axis=2)[:, step]))
        ),
        "α is chosen by the error after the last step: the one after `step` steps is asked for": (
            chosen(lambda v, t: _mean(v[:, -1]))
        ),
        "α is chosen by the error after one step: the one after `step` steps is asked for": (
            chosen(lambda v, t: _mean(v[:, 1]))
        ),
        "α is chosen by the error one step earlier: place 0 is before any step": (
            chosen(lambda v, t: _mean(v[:, step - 1]))
        ),
        "α is chosen by the error one step later: place 0 is before any step": (
            chosen(lambda v, t: _mean(v[:, step + 1]))
        ),
        "α is chosen by the best of all steps: it is the error after `step` steps that counts": (
            chosen(lambda v, t: np.min([_mean(v[:, k]) for k in range(v.shape[1])], axis=0))
        ),
        "α is chosen by the mean over all steps: it is the error after `step` steps that counts": (
            chosen(lambda v, t: _mean(np.where(np.isfinite(v), v, np.inf).mean(axis=1)))
        ),
        "an α that diverges after `step` steps is left out as well: only what happens up to that step counts": (
            chosen(
                lambda v, t: np.where(np.isfinite(v).all(axis=(1, 2)), _mean(v[:, step]), np.inf)
            )
        ),
        "episodes that are not a number are left out of the mean (nanmean): an α that diverges in one looks good": (
            chosen(lambda v, t: np.nanmean(v[:, step], axis=1))
        ),
        "only the finite episodes count: an α that diverges in one looks good": (
            chosen(lambda v, t: _finite_mean(v[:, step]))
        ),
        "NaN wins: np.argmin takes it for the smallest, and after nan_to_num it is 0, the best error there is. "
        "Such an α is out": (chosen(lambda v, t: v[:, step].mean(axis=1))),
        "the median over the episodes chooses: the mean is asked for": (
            chosen(lambda v, t: np.nan_to_num(np.median(v[:, step], axis=1), nan=np.inf))
        ),
    }


def _wrong_reports(alphas, val, test, step):
    """The right choice, and another number with it."""
    report = lambda of: _tuned(alphas, val, test, step, report=of)
    right = _tuned(alphas, val, test, step)
    return {
        "this is the validation error: α was chosen by it, so it flatters. Report the test error": (
            report(lambda v, t, i: v[i, step].mean())
        ),
        "this is the test error after the last step: report the one after `step` steps": (
            report(lambda v, t, i: t[i, -1].mean())
        ),
        "this is the lowest test error of all steps: report the one after `step` steps": (
            report(lambda v, t, i: t[i].mean(axis=1).min())
        ),
        "this is the test error one step earlier: place 0 is before any step": (
            report(lambda v, t, i: t[i, step - 1].mean())
        ),
        "this is the median test error: the mean is asked for": (
            report(lambda v, t, i: np.median(t[i, step]))
        ),
        "this is the mean test error of all α: report that of the chosen one": (
            report(lambda v, t, i: t[:, step].mean())
        ),
        "this is the lowest test error of all α: report that of the chosen one": (
            report(lambda v, t, i: t[:, step].mean(axis=1).min())
        ),
        "each test episode takes the α that is best for it: one α for all episodes of a method": (
            report(lambda v, t, i: t[:, step].min(axis=0).mean())
        ),
        "the place of α in the list is returned: return α itself": {
            name: (float(np.flatnonzero(alphas == alpha)[0]), error)
            for name, (alpha, error) in right.items()
        },
        "the grid is sorted, and the errors are not: the errors' places are those of the grid as it was given": {
            name: (float(np.sort(alphas)[np.flatnonzero(alphas == alpha)[0]]), error)
            for name, (alpha, error) in right.items()
        },
        "both the choice and the report are one step early: place 0 is before any step": _tuned(
            alphas, val, test, step - 1
        ),
        "both the choice and the report are one step late: place 0 is before any step": _tuned(
            alphas, val, test, step + 1
        ),
        "the median chooses, and the median is reported: the mean is asked for, both times": _tuned(
            alphas,
            val,
            test,
            step,
            lambda v, t: np.nan_to_num(np.median(v[:, step], axis=1), nan=np.inf),
            lambda v, t, i: np.median(t[i, step]),
        ),
        "error and α are exchanged: return (α, error)": {
            n: pair[::-1] for n, pair in right.items()
        },
    }


# ------------------------------------------------------------------ 12.6


@exercise("12.proto_maml", points=5, minutes=25, difficulty=4, forbids=("maml_edu.pytorch",))
def proto_maml(answer, rng):
    """Start the head at the class means"""
    for case in draw(rng, case=_episode):
        for steps in (0, int(rng.integers(3, 5))):
            task = (*case, steps)
            expect(answer(*task), _proto_scores(*task), partial(_wrong_scores, *task))


def _episode(rng):
    """(features, labels, queries, ways, inner_lr): classes that overlap, not equally large, in no order."""
    ways, width = int(rng.integers(3, 5)), int(rng.integers(3, 6))
    counts = rng.permutation(np.arange(ways) % 3 + 1)
    while True:
        labels = rng.permutation(np.repeat(np.arange(ways), counts))
        if list(dict.fromkeys(labels.tolist())) != list(range(ways)):
            break
    middles = rng.normal(0.0, 0.5, (ways, width)) + rng.uniform(0.2, 0.5, width)
    features = middles[labels] + rng.normal(0.0, 0.5, (len(labels), width))
    queries = rng.normal(0.0, 0.8, (int(rng.integers(5, 8)), width))
    return features, labels, queries, ways, float(rng.uniform(0.15, 0.4))


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _class_means(x, labels, ways, of=None):
    of = of or (lambda own: own.mean(axis=0))
    return np.array([of(x[labels == k]) for k in range(ways)])


def _proto_scores(x, labels, queries, ways, rate, steps, head=None, **how):
    """Scores (queries, ways); head: another start (w, b); how: see _stepped."""
    means = _class_means(x, labels, ways)
    w, b = head or (2 * means, -np.sum(means**2, axis=1))
    w, b = _stepped(w, b, x, np.eye(ways)[labels], rate, steps, **how)
    return queries @ w.T + b


def _stepped(w, b, x, target, rate, steps, rates=(1.0, 1.0), error=None, still=False):
    """w, b after so many steps; rates: of w and of b; still: the slope of the start in every step."""
    error = error or (lambda scores, y: (_softmax(scores) - y) / len(y))
    start = w, b
    for _ in range(steps):
        at_w, at_b = start if still else (w, b)
        wrong = error(x @ at_w.T + at_b, target)  # (n, ways)
        w, b = w - rate * rates[0] * wrong.T @ x, b - rate * rates[1] * wrong.sum(axis=0)
    return w, b


def _bias_last(x, labels, queries, ways, rate, steps):
    """In each step the bias takes its slope where the weights have gone already."""
    target = np.eye(ways)[labels]
    c = _class_means(x, labels, ways)
    w, b = 2 * c, -np.sum(c**2, axis=1)
    for _ in range(steps):
        moved, _ = _stepped(w, b, x, target, rate, 1)
        _, b = _stepped(moved, b, x, target, rate, 1)
        w = moved
    return queries @ w.T + b


def _moving_means(x, labels, queries, ways, rate, steps):
    """The class means step, and the head is built from them."""
    c, target = _class_means(x, labels, ways), np.eye(ways)[labels]
    for _ in range(steps):
        wrong = (_softmax(2 * x @ c.T - np.sum(c**2, axis=1)) - target) / len(x)
        c = c - rate * 2 * (wrong.T @ x - wrong.sum(axis=0)[:, None] * c)
    return 2 * queries @ c.T - np.sum(c**2, axis=1)


def _wrong_scores(*task):
    return _wrong_starts(*task) | _wrong_steps(*task) | _wrong_slopes(*task) | _no_scores(*task)


def _wrong_starts(x, labels, queries, ways, rate, steps):
    """Mistakes in the head at the start."""
    c = _class_means(x, labels, ways)
    square = np.sum(c**2, axis=1)
    at = lambda w, b: _proto_scores(x, labels, queries, ways, rate, steps, head=(w, b))
    of = lambda centre: at(2 * centre, -np.sum(centre**2, axis=1))
    order = list(dict.fromkeys(labels.tolist()))
    unit = c / np.linalg.norm(c, axis=1, keepdims=True)
    return {
        "the bias at the start is missing: without −‖c‖² long class means win": at(
            2 * c, 0 * square
        ),
        "the bias at the start has the wrong sign: ‖f − c‖² is to be small, so ‖c‖² is subtracted": at(
            2 * c, square
        ),
        "the factor 2 of the weights is missing: −‖f − c‖² = 2 c·f − ‖c‖² − ‖f‖²": at(c, -square),
        "the bias is half as large as it should be: −‖f − c‖² = 2 c·f − ‖c‖² − ‖f‖²": at(
            2 * c, -square / 2
        ),
        "weights and bias are half as large as they should be: the nearest class mean stays the same, but the "
        "softmax is another, and so are the steps": at(c, -square / 2),
        "the bias is the length of c: its square is asked for": at(2 * c, -np.sqrt(square)),
        "the weights have the wrong sign: near is to score high": at(-2 * c, -square),
        "weights and bias have the wrong sign: these are distances, and near is to score high": at(
            -2 * c, square
        ),
        "the head starts at zero: start it at the class means": at(0 * c, 0 * square),
        "the class means are sums: take the mean of each class, which has examples of its own number": (
            of(_class_means(x, labels, ways, lambda own: own.sum(axis=0)))
        ),
        "the class means are medians: take the mean of each class": (
            of(_class_means(x, labels, ways, lambda own: np.median(own, axis=0)))
        ),
        "the first example of each class stands for it: take the mean": (
            of(_class_means(x, labels, ways, lambda own: own[0]))
        ),
        "every class is divided by the same number of examples: take the mean of each class": (
            of(_class_means(x, labels, ways, lambda own: own.sum(axis=0) * ways / len(x)))
        ),
        "the classes come in the order in which they appear: class k is the one with the label k": (
            of(c[order])
        ),
        "the class means are scaled to length 1: take them as they are": of(unit),
        "the mean of all class means is subtracted: take them as they are": of(c - c.mean(axis=0)),
    }


def _wrong_steps(x, labels, queries, ways, rate, steps):
    """Mistakes in the steps, and in what is returned."""
    task = (x, labels, queries, ways, rate)
    made = partial(_proto_scores, *task, steps)
    n = len(x)
    return {
        "the head does not move: these are the scores of the nearest class mean. Take the steps": _proto_scores(
            *task, 0
        ),
        "the bias does not move: it steps as well": made(rates=(1.0, 0.0)),
        "the weights do not move: they step as well": made(rates=(0.0, 1.0)),
        "the class means move, and the head is built from them: they are only the start; from there w and b go "
        "their own ways": _moving_means(*task, steps),
        "the errors are summed over the support set: the mean is asked for": made(rates=(n, n)),
        "the errors of the weights are summed over the support set, those of the bias averaged": made(
            rates=(n, 1.0)
        ),
        "the errors of the bias are summed over the support set, those of the weights averaged": made(
            rates=(1.0, n)
        ),
        "the mean is taken over examples and classes: the mean over the examples is asked for": made(
            rates=(1 / ways, 1 / ways)
        ),
        "each class weighs the same, however many examples it has: the mean over the examples is asked for": made(
            error=lambda scores, y: (_softmax(scores) - y) / (ways * (y @ y.sum(axis=0))[:, None])
        ),
        "the errors of the bias are averaged twice: divide them by the number of examples once": made(
            rates=(1.0, 1 / n)
        ),
        "the bias steps after the weights, from where they have gone: take both slopes at the same place": (
            _bias_last(*task, steps)
        ),
        "this goes uphill: a step subtracts the slope": made(rates=(-1.0, -1.0)),
        "the slope of the start is taken in every step: take it where the step starts": made(
            still=True
        ),
        "this is one step alone, however many are asked for": _proto_scores(*task, min(steps, 1)),
        "this is one step short": _proto_scores(*task, max(steps - 1, 0)),
        "this is one step too many": _proto_scores(*task, steps + 1),
    }


def _wrong_slopes(x, labels, queries, ways, rate, steps):
    """Mistakes in the gradient of the cross-entropy."""
    made = partial(_proto_scores, x, labels, queries, ways, rate, steps)
    n = len(x)
    return {
        "there is no softmax: the error is probability minus target, not score minus target": made(
            error=lambda scores, y: (scores - y) / n
        ),
        "the target is not subtracted from the probabilities": made(
            error=lambda scores, y: _softmax(scores) / n
        ),
        "the softmax runs over the examples: it runs over the classes": made(
            error=lambda scores, y: (_softmax(scores.T).T - y) / n
        ),
        "each class gets a sigmoid of its own: the softmax runs over the classes": made(
            error=lambda scores, y: (1 / (1 + np.exp(-scores)) - y) / n
        ),
        "the softmax runs over the whole table, over examples and classes at once: each example has its own": made(
            error=lambda scores, y: (_softmax(scores.reshape(1, -1)).reshape(scores.shape) - y) / n
        ),
    }


def _no_scores(*task):
    """What is no score w·f + b after the steps."""
    x, labels, queries, ways, *_ = task
    right = _proto_scores(*task)
    gaps = queries[:, None] - _class_means(x, labels, ways)  # (queries, ways, width)
    squares = np.sum(gaps**2, axis=2)
    return {
        "these are squared distances to the class means, without steps: return w·f + b after the steps": squares,
        "these are squared distances to the class means with a minus, without steps: return w·f + b after the "
        "steps": -squares,
        "‖f‖² is subtracted from the scores: the same for all classes, so it changes nothing in the softmax; "
        "return w·f + b": right - np.sum(queries**2, axis=1, keepdims=True),
        "these are probabilities: return the scores, before any softmax": _softmax(right),
        "these are logarithms of probabilities: return the scores, before any softmax": np.log(
            _softmax(right)
        ),
    }
