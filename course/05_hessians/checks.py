"""Checks of chapter 05: one function per exercise, for the learner and for the grader.

The first five end with an input so long that the matrix of the specification fits into no memory: an answer that
forms it stops there. Nothing is timed.
"""

from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named

LONG = 300_000  # numbers in a long vector: a matrix of its square has 720 GB


TOO_LARGE = (
    "for a long input it asks for more memory than there is: you form the matrix, or something as large "
    "(`np.diag`, `np.eye`, `np.outer`, `x[:, None] * x`, `ref.jacobian`). Only the product is wanted"
)
AT_LENGTH = "It did so for a long input: is that for want of memory, since it forms the matrix?"


def _without_the_matrix(answer, *args):
    """The answer for a long input."""
    try:
        return answer(*args)
    except WrongAnswer as wrong:
        if "MemoryError" in wrong.reason:
            raise WrongAnswer(TOO_LARGE, wrong.detail) from None
        if wrong.reason.startswith("your function raised"):  # a grader may not know NumPy's kind
            raise WrongAnswer(f"{wrong.reason}. {AT_LENGTH}", wrong.detail) from None
        raise


# ------------------------------------------------------------------ 05.1


@exercise("05.vjp_of_softmax", points=3, minutes=12, difficulty=2)
def vjp_of_softmax(answer, rng):
    """Back through a softmax"""
    for rows, n in draw(rng, rows=(2, 4), n=(3, 7)):
        x, u = rng.normal(0.0, 1.5, (rows, n)), rng.normal(size=(rows, n))
        _judge_softmax(answer(x, u), x, u)
    x = _far_apart(rng)
    u = rng.normal(size=x.shape)
    _judge_softmax(answer(x, u), x, u)
    x, u = rng.normal(size=(2, 1, LONG))
    _judge_softmax(_without_the_matrix(answer, x, u), x, u)


def _judge_softmax(got, x, u):
    p = _softmax(x)
    if words := _no_numbers(got, x):
        raise WrongAnswer(words)
    wrong = partial(_backs_gone_wrong, x, u, p, got)
    expect(
        got, p * (u - _along(p * u)), wrong, rtol=2e-4
    )  # float32 rounds logits near 1,000 so far


def _far_apart(rng):
    """Rows of logits from −1,000 to 1,000: each unsafe shift turns a set of rows of its own into NaN."""
    base = np.array([
        [-990.0, -990, -990, -990, -990, -990, 990],
        [-990, -990, -990, 990, 990, 990, 990],
        [-995, -995, -995, -995, -995, -995, -995],
        [990, 900, 700, 400, 200, 60, 60],
        [0, 0, 0, 0, 0, 0, 0],
        [800, 800, 800, 800, 800, 800, 800],
        [-990, 985, 985, 985, 985, 985, 985],
    ])  # fmt: skip
    x = base + rng.uniform(-3.0, 3.0, base.shape)
    return x[rng.permutation(len(x))]


def _softmax(x, axis=1):
    shares = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return shares / np.sum(shares, axis=axis, keepdims=True)


def _along(values):
    return np.sum(values, axis=1, keepdims=True)


LARGEST = "subtract the largest logit of each row, which changes no share"
SHIFTS = {
    "np.exp of a large logit is infinite (of a very negative one it is 0), and infinity by infinity is no number "
    f"(nor is 0 by 0): {LARGEST}": lambda x: 0.0,
    "you subtract the largest logit of the whole array: in a row far below it np.exp is 0 everywhere, and 0 by 0 "
    f"is no number: {LARGEST}": np.max,
    "you subtract the mean of a row: a logit far above it is still too large for np.exp: "
    f"{LARGEST}": lambda x: np.mean(x, axis=1, keepdims=True),
    "you subtract the smallest logit of a row: the largest may then be too large for np.exp: "
    f"{LARGEST}": lambda x: np.min(x, axis=1, keepdims=True),
    "you subtract the first logit of a row: a later one may be far above it, and too large for np.exp: "
    f"{LARGEST}": lambda x: x[:, :1],
}


def _no_numbers(got, x):
    """What is told of an answer that has NaN exactly where a softmax with an unsafe shift has ("" for others)."""
    values = array_of(got)
    if values is None or values.shape != x.shape or not np.isnan(values).any():
        return ""
    for words, shift in SHIFTS.items():
        with np.errstate(all="ignore"):
            plain = np.exp(x - shift(x)) / _along(np.exp(x - shift(x)))
        if np.array_equal(np.isnan(values).any(axis=1), np.isnan(plain).any(axis=1)):
            return words
    return ""


def _clipped(got, x, u):
    """`got`, if logits that are all beyond ±700 gave equal shares in it; else NaN."""
    values, beyond = array_of(got), (np.abs(x) > 750).all(axis=1)
    beyond &= np.ptp(x, axis=1) < 10
    even = (u - np.mean(u, axis=1, keepdims=True)) / x.shape[1]
    same = values is not None and values.shape == x.shape
    if same and (not beyond.any() or np.allclose(values[beyond], even[beyond], rtol=0, atol=1e-6)):
        return got
    return np.full(x.shape, np.nan)


def _backs_gone_wrong(x, u, p, got):
    whole = _softmax(x.reshape(1, -1)).reshape(x.shape)
    down = _softmax(x, axis=0)
    n = x.shape[1]
    return {
        "this is diag(p)u: each share also falls when another logit rises, so there is a second term": (
            p * u
        ),
        "this is the diagonal of J alone, p(1 − p)u: the other entries, −pᵢpⱼ, are not 0": (
            p * (1 - p) * u
        ),
        "this is the second term of the product alone: diag(p)u is missing": -p * _along(p * u),
        "the two terms have opposite signs, diag(p)u − p(p·u): yours are added": (
            p * (u + _along(p * u))
        ),
        "p and u are exchanged: it is p(u − p·u), and yours is u(p − p·u)": u * (p - _along(p * u)),
        "in the second term one p belongs inside the sum, p·u: yours is p² times the plain sum of u": (
            p * u - p**2 * _along(u)
        ),
        "this is p² times the plain sum of u: diag(p)u is missing, and p belongs inside the sum": (
            p**2 * _along(u)
        ),
        "this is −p² times the plain sum of u: diag(p)u is missing, and p belongs inside the sum": (
            -(p**2) * _along(u)
        ),
        "the two terms are exchanged: it is diag(p)u − p(p·u)": -p * (u - _along(p * u)),
        "this is the way back through the logarithm of the softmax: here the shares themselves are the output": (
            u - p * _along(u)
        ),
        "in the second term u is weighted by the shares, p·u: yours is the plain sum of u": (
            p * (u - _along(u))
        ),
        "in the second term stands the sum of p·u: yours is its mean": p * (u - _along(p * u) / n),
        "p(p·u) has p twice: in your second term the p in front is missing": p * u - _along(p * u),
        "your second term sums over all rows: each row is a softmax of its own": (
            p * (u - np.sum(p * u))
        ),
        "your softmax goes over all rows together: each row is a softmax of its own": (
            whole * (u - np.sum(whole * u))
        ),
        "your softmax goes down the columns: each row is a softmax of its own": (
            down * (u - np.sum(down * u, axis=0))
        ),
        "u are the weights of the outputs, and is not put through the softmax itself": (
            p * (_softmax(u) - _along(p * _softmax(u)))
        ),
        "this is p − u, the gradient of the cross-entropy with targets u: here the shares themselves are the "
        "output, and u weights them": p - u,
        "this is the softmax itself, the way forward": p,
        "this is the diagonal of J, p(1 − p), and u has no part in it": (p * (1 - p)),
        "this is a difference of two softmaxes, at x + u and at x: a derivative is wanted": (
            _softmax(x + u) - p
        ),
        "in the second term the shares stand where the logits do in yours, x·u": (
            p * (u - _along(x * u))
        ),
        f"logits far from 0 are clipped, so that different ones get equal shares: {LARGEST}": (
            _clipped(got, x, u) if np.abs(x).max() > 750 else p * (u - _along(p * u))
        ),
    }


# ------------------------------------------------------------------ 05.2


@exercise("05.jvp_of_normalise", points=3, minutes=15, difficulty=3)
def jvp_of_normalise(answer, rng):
    """Forward through a normalisation"""
    powers = [3.0, 1.0, 4.0, 2.5, 2.0]
    first = int(rng.integers(len(powers)))
    for turn, n in enumerate(draw(rng, n=(3, 8))):
        x, v = _away_from_zero(rng, n), rng.normal(size=n)
        _judge_normalise(answer, x, v, powers[(first + turn) % len(powers)])
    x, v = _away_from_zero(rng, LONG), rng.normal(size=LONG)
    _judge_normalise(partial(_without_the_matrix, answer), x, v, 3.0)


def _judge_normalise(answer, x, v, p):
    got = answer(x, v, p)
    s, moves = _norm(x, p)
    expect(
        got,
        v / s - x * np.sum(moves * v) / s**2,
        mistakes=partial(_normalised_wrongly, x, v, p),
        atol=1e-12,  # entries of a long vector are small
    )


def _away_from_zero(rng, n):
    """x (n,) of both signs."""
    signs = np.r_[1.0, -1.0, rng.choice([-1.0, 1.0], n - 2)]
    return rng.permutation(signs) * rng.uniform(0.4, 2.0, n)


def _norm(x, p):
    """(s, the gradient of s with respect to x)."""
    s = np.sum(np.abs(x) ** p) ** (1 / p)
    return s, np.sign(x) * np.abs(x) ** (p - 1) / s ** (p - 1)


def _normalised_wrongly(x, v, p):
    s, moves = _norm(x, p)
    size = np.abs(x)
    total = np.sum(size**p)
    length, y = np.linalg.norm(x), x / s
    scaled = np.sum(np.abs(v) ** p) ** (1 / p)
    return {
        "this is Jᵀv, the VJP: for p ≠ 2 the Jacobian is not symmetric, and Jv is wanted": (
            v / s - moves * (x @ v) / s**2
        ),
        "s moves as well: this treats it as a constant": v / s,
        "the second term of the quotient rule has a minus": v / s + x * (moves @ v) / s**2,
        "this is the second term of the quotient rule alone: v/s is missing": (
            -x * (moves @ v) / s**2
        ),
        "this is v, normalised: how the normalised x moves is wanted": v / scaled,
        "this is a difference of two normalised vectors, at x + v and at x: a derivative is wanted": (
            (x + v) / _norm(x + v, p)[0] - y
        ),
        "this is right for p = 2 alone": v / length - x * (x @ v) / length**3,
        "you take s as the p-norm, and its change as if p were 2": (v / s - x * (x @ v) / s**3),
        "|x| falls where x is negative and rises: in your change of s the signs of x are missing": (
            v / s - x * np.sum(size ** (p - 1) * v) / s ** (p + 1)
        ),
        "you differentiate the sum of |x|ᵖ, and not its root, which brings a factor 1/(p·sᵖ⁻¹)": (
            v / s - x * p * np.sum(np.sign(x) * size ** (p - 1) * v) / s**2
        ),
        "the change of s is the sum divided by sᵖ⁻¹: in yours this division is missing": (
            v / s - x * np.sum(np.sign(x) * size ** (p - 1) * v) / s**2
        ),
        "the p of the power and the 1/p of the root cancel: in yours p is left over": (
            v / s - p * x * (moves @ v) / s**2
        ),
        "the p of the power and the 1/p of the root cancel: in yours 1/p is left over": (
            v / s - x * (moves @ v) / s**2 / p
        ),
        "the quotient rule divides the second term by s²: yours divides by s": (
            v / s - x * (moves @ v) / s
        ),
        "the sum over the components is missing: s is one number, and so is its change": (
            v / s - x * moves * v / s**2
        ),
        "it still has to be divided by s: y has length 1 only after the division": (
            v - x * (moves @ v) / s
        ),
        "the derivative of |x|ᵖ is p|x|ᵖ⁻¹ times the sign: in yours the power is still p": (
            v / s - x * np.sum(np.sign(x) * size**p * v) / s ** (p + 1)
        ),
        "you divide by the sum of |x|ᵖ, and forget its root": (
            v / total - x * p * np.sum(np.sign(x) * size ** (p - 1) * v) / total**2
        ),
        "this is y itself, the way forward": y,
    }


# ------------------------------------------------------------------ 05.3

WIDE = 60_000  # hidden units, so 180,001 parameters, and a Hessian of 259 GB


@exercise("05.gauss_newton_product", points=3, minutes=15, difficulty=3)
def gauss_newton_product(answer, rng):
    """The Gauss–Newton part, times a vector"""
    for hidden, inputs, points in draw(rng, hidden=(2, 4), inputs=(1, 3), points=(3, 6)):
        _judge_gauss_newton(answer, rng, hidden, inputs, points)
    _judge_gauss_newton(partial(_without_the_matrix, answer), rng, WIDE, inputs=1, points=3)


def _judge_gauss_newton(answer, rng, hidden, inputs, points):
    network = named("tanh_mlp")
    _, params, (x, *_) = _network(rng, hidden, inputs, points, 1)
    v = {n: rng.normal(size=part.shape) for n, part in params.items()}
    got = answer(network, params, x, v)
    case = _Outputs(network.numpy, params, x, v)
    expect(got, case.back(case.moves), mistakes=partial(_gauss_newtons_gone_wrong, case))


class _Outputs:
    """A network's outputs on some points, their slopes, and how they move along v."""

    def __init__(self, network, params, x, v):
        self.outputs = lambda p: network(p, x)[:, 0]  # (points,)
        self.params, self.v, self.points = params, v, len(x)
        self.slopes = ref.jacobian(self.outputs)(params)  # name → (points, the array's shape)
        self.moves = self.along(v)  # J v, (points,)

    def along(self, v):
        return sum(np.sum((self.slopes[n] * v[n]).reshape(self.points, -1), axis=1) for n in v)

    def back(self, u):
        """2/N Jᵀu."""
        return {n: 2 / self.points * np.tensordot(u, J, 1) for n, J in self.slopes.items()}

    def times(self, v):
        """G v."""
        return self.back(self.along(v))

    def alone(self, name):
        """v, with 0 in the place of all other arrays."""
        return {n: part * (n == name) for n, part in self.v.items()}

    def bent(self, u):
        """2/N Σ uᵢ ∇²fᵢ v."""
        weights = 2 / self.points * u
        return ref.hvp(lambda p: np.sum(weights * self.outputs(p)), self.params, self.v)


def _gauss_newtons_gone_wrong(case):
    N, v, moves = case.points, case.v, case.moves
    ones, right = np.ones(N), case.back(moves)
    whole = float(sum(np.sum(part) for part in v.values()))
    return {
        "the factor 2/N is missing: this is JᵀJv": _plus((N / 2, right)),
        "the 2 of 2/N is missing: it comes from the square in the loss": _plus((1 / 2, right)),
        "the 1/N of 2/N is missing: the loss is the mean over the points": _plus((N, right)),
        "your Jv moves with the parameters: work it out once, and hold it fixed on the way back": (
            lambda: _plus((1, right), (1, case.bent(case.outputs(case.params))))
        ),
        "you differentiate Jv with respect to the parameters, which gives second derivatives of the network: G has "
        "only first ones": lambda: case.bent(moves),
        "the outputs are added up before the product: each point contributes a ∇f ∇fᵀ of its own": (
            lambda: case.back(np.sum(moves) * ones)
        ),
        "you take the mean of the outputs before the product: each point contributes a ∇f ∇fᵀ of its own": (
            lambda: case.back(np.mean(moves) * ones)
        ),
        "each array of the dict is taken alone: Jv adds up over all of them, since G has entries between layers": (
            lambda: {n: case.times(case.alone(n))[n] for n in v}
        ),
        **{
            f"your Jv is that of {n} alone: the other arrays are missing": (
                lambda n=n: case.times(case.alone(n))
            )
            for n in v
        },
        "slopes and v are multiplied entry by entry, and then added up: yours multiplies the sums of each array": (
            lambda: case.times({n: np.full_like(part, np.sum(part)) for n, part in v.items()})
        ),
        "slopes and v are multiplied entry by entry, and then added up: yours multiplies the two sums over all": (
            lambda: case.times({n: np.full_like(part, whole) for n, part in v.items()})
        ),
        "v has no part in it: this is G times a vector of ones": (
            lambda: case.times({n: np.ones_like(part) for n, part in v.items()})
        ),
        "this is Jᵀ times a vector of ones, the gradient of the sum of the outputs: v has no part in it": (
            lambda: _plus((N / 2, case.back(ones)))
        ),
        "the outputs themselves are sent back, in the place of Jv": (
            lambda: case.back(case.outputs(case.params))
        ),
        "Jv is sent back as it is, and not as the weights of the outputs: this is v itself, scaled": (
            _plus((2 / N, v))
        ),
    }


def _network(rng, hidden, inputs, support, query):
    """(loss, params, data) of a network with one hidden layer of tanh."""
    params = {
        "w1": rng.normal(size=(inputs, hidden)) / np.sqrt(inputs),
        "b1": rng.normal(size=hidden) / 2,
        "w2": rng.normal(size=(hidden, 1)) / np.sqrt(hidden),
        "b2": rng.normal(size=1) / 2,
    }
    shapes = ((support, inputs), (support, 1), (query, inputs), (query, 1))
    return named("tanh_mlp_mse"), params, [rng.normal(size=shape) for shape in shapes]


def _product(loss, params, x, y, v):
    """H v, H of the loss on x, y."""
    return ref.hvp(lambda p: loss.numpy(p, x, y), params, v)


def _plus(*terms):
    """Σ factor · dict over (factor, dict)."""
    return {n: sum(factor * part[n] for factor, part in terms) for n in terms[0][1]}


# ------------------------------------------------------------------ 05.4


@exercise("05.meta_gradient_by_hvp", points=4, minutes=25, difficulty=4)
def meta_gradient_by_hvp(answer, rng):
    """A meta-gradient with a rate for each parameter"""
    for hidden, inputs, tasks in draw(rng, hidden=(2, 3), inputs=(1, 2), tasks=(2, 3)):
        _judge_meta(answer, *_batch(rng, hidden, inputs, tasks))
    _judge_meta(partial(_without_the_matrix, answer), *_batch(rng, WIDE, inputs=1, tasks=2))


def _batch(rng, hidden, inputs, tasks):
    """(loss, params, rates, batch): rates that differ from parameter to parameter, arrays with a task axis."""
    loss, params, _ = _network(rng, hidden, inputs, 1, 1)
    scale = 1.0 if hidden < WIDE else 1e-5  # so many parameters together make large steps
    rates = {n: scale * rng.uniform(0.05, 0.6, part.shape) for n, part in params.items()}
    support, query = (int(rng.integers(3, 6)) for _ in range(2))
    shapes = ((support, inputs), (support, 1), (query, inputs), (query, 1))
    return loss, params, rates, [rng.normal(size=(tasks, *shape)) for shape in shapes]


def _judge_meta(answer, loss, params, rates, batch):
    got = answer(loss, params, rates, *batch)
    tasks = [_Task(loss, params, rates, *data) for data in zip(*batch, strict=True)]
    right = _mean([task.right() for task in tasks])
    expect(got, right, mistakes=partial(_metas_gone_wrong, tasks))


class _Task:
    """One task's gradients, worked out once."""

    def __init__(self, loss, params, rates, *data):
        self.loss, self.params, self.rates = loss, params, rates
        self.support, self.query = data[:2], data[2:]
        self.gradient = ref.grad(loss.numpy)
        self.slope = self.gradient(params, *self.support)
        self.phi = self.moved(self.scaled(self.slope))
        self.g = self.gradient(self.phi, *self.query)

    def moved(self, step):
        """θ − step."""
        return _plus((1, self.params), (-1, step))

    def scaled(self, v):
        return {n: self.rates[n] * v[n] for n in v}

    def bent(self, v, at=None, of=None):
        """H v, H of the support loss at θ unless said otherwise."""
        return _product(self.loss, at or self.params, *(of or self.support), v)

    def right(self):
        return self.of(self.g)

    def of(self, g):
        """g − H(α ⊙ g), whatever stands for the query gradient."""
        return _plus((1, g), (-1, self.bent(self.scaled(g))))

    def of_step(self, step):
        """The same with another step to φ."""
        return self.of(self.gradient(self.moved(step), *self.query))

    def with_rates(self, rates):
        """The same task with other rates."""
        return _Task(self.loss, self.params, rates, *self.support, *self.query)


def _mean(parts):
    return _plus(*((1 / len(parts), part) for part in parts))


def _metas_gone_wrong(tasks):
    def each(of_task):
        return lambda: _mean([of_task(task) for task in tasks])

    def less(task, product):
        return _plus((1, task.g), (-1, product))

    return {
        "the rates stand on the wrong side of H: this is (I − diag(α)H)g, and the chain rule wants the "
        "transpose, so the rates meet g first": each(lambda t: less(t, t.scaled(t.bent(t.g)))),
        "the Hessian belongs to the step, which starts at θ: yours is taken at φ": each(
            lambda t: less(t, t.bent(t.scaled(t.g), at=t.phi))
        ),
        "the Hessian is that of the support loss, which the step descends: yours is the query loss's": each(
            lambda t: less(t, t.bent(t.scaled(t.g), of=t.query))
        ),
        "this is the query loss's Hessian, and at φ: the step has that of the support loss, at θ": each(
            lambda t: less(t, t.bent(t.scaled(t.g), at=t.phi, of=t.query))
        ),
        "this is the first-order gradient: the Hessian is missing": each(lambda t: t.g),
        "the query gradient is taken at φ: yours is taken at θ": each(_at_theta),
        "the step goes downhill, so its Jacobian has a minus: I − diag(α)H": each(
            lambda t: _plus((1, t.g), (1, t.bent(t.scaled(t.g))))
        ),
        "the product is not multiplied by the rates: α belongs to H": each(
            lambda t: less(t, t.bent(t.g))
        ),
        "the rates are in the product twice, on both sides of H": each(
            lambda t: less(t, t.scaled(t.bent(t.scaled(t.g))))
        ),
        "this is the sum over the tasks: their mean is wanted": (
            lambda: _plus(*((1, task.right()) for task in tasks))
        ),
        "the tasks do not follow one another: each one starts from θ, yours from where the last one ended": (
            lambda: _mean(_chained(tasks))
        ),
        "this is the Hessian's part alone: g itself is missing": each(
            lambda t: _plus((-1, t.bent(t.scaled(t.g))))
        ),
        "support and query set are exchanged": each(_exchanged),
        "the outer step is not scaled by the inner rates: yours multiplies the whole meta-gradient by them": each(
            lambda t: t.scaled(t.right())
        ),
        "each parameter has a rate of its own: yours takes their mean": each(
            lambda t: t.with_rates(_flattened(t.rates)).right()
        ),
        "each parameter has a rate of its own: in your product H(αg) stands their mean": each(
            lambda t: less(t, _plus((_average(t.rates), t.bent(t.g))))
        ),
        "the vector in the product is the query gradient: yours is the support slope": each(
            lambda t: less(t, t.bent(t.scaled(t.slope)))
        ),
        "this averages the gradients first and takes one product: each task has a Hessian of its own": (
            lambda: _averaged(tasks)
        ),
        "this is the last task alone: their mean is wanted": lambda: tasks[-1].right(),
        "this is the first task alone: their mean is wanted": lambda: tasks[0].right(),
        **_phis_gone_wrong(each),
    }


def _phis_gone_wrong(each):
    """Mistakes on the way to φ and to g."""
    return {
        "your step goes uphill: φ = θ − α ⊙ ∇L_S(θ) has a minus": each(
            lambda t: t.of_step(t.scaled(_plus((-1, t.slope))))
        ),
        "your step goes uphill, and its Jacobian with it: φ = θ − α ⊙ ∇L_S(θ) has a minus": each(
            lambda t: t.with_rates(_plus((-1, t.rates))).right()
        ),
        "your step to φ is not multiplied by the rates": each(lambda t: t.of_step(t.slope)),
        "the rates are missing throughout: this is the meta-gradient with a rate of 1": each(
            lambda t: t.with_rates({n: np.ones_like(part) for n, part in t.rates.items()}).right()
        ),
        "the step to φ descends the support loss: yours descends the query loss": each(
            lambda t: t.of_step(t.scaled(t.gradient(t.params, *t.query)))
        ),
        "g is the gradient of the query loss at φ: yours is that of the support loss": each(
            lambda t: t.of(t.gradient(t.phi, *t.support))
        ),
        "each parameter has a rate of its own: yours takes the mean of each array": each(
            lambda t: t.with_rates(
                {n: np.full_like(part, np.mean(part)) for n, part in t.rates.items()}
            ).right()
        ),
        "each parameter has a rate of its own: yours takes the mean of the arrays' means": each(
            lambda t: t.with_rates(_evened(t.rates)).right()
        ),
    }


def _evened(rates):
    mean = float(np.mean([np.mean(part) for part in rates.values()]))
    return {n: np.full_like(part, mean) for n, part in rates.items()}


def _at_theta(task):
    g = task.gradient(task.params, *task.query)
    return _plus((1, g), (-1, task.bent(task.scaled(g))))


def _exchanged(task):
    return _Task(task.loss, task.params, task.rates, *task.query, *task.support).right()


def _average(rates):
    return float(np.mean(np.concatenate([part.ravel() for part in rates.values()])))


def _flattened(rates):
    mean = _average(rates)
    return {n: np.full_like(part, mean) for n, part in rates.items()}


def _chained(tasks):
    params, parts = tasks[0].params, []
    for task in tasks:
        moved = _Task(task.loss, params, task.rates, *task.support, *task.query)
        parts.append(moved.right())
        params = moved.phi
    return parts


def _averaged(tasks):
    g = _mean([task.g for task in tasks])
    product = _mean([task.bent(task.scaled(g)) for task in tasks])
    return _plus((1, g), (-1, product))


# ------------------------------------------------------------------ 05.5


@exercise("05.signed_lambda", points=3, minutes=10, difficulty=2)
def signed_lambda(answer, rng):
    """The largest curvature, with its sign"""
    first = int(rng.integers(2))
    for turn, (examples, n) in enumerate(draw(rng, examples=(3, 5), n=(6, 12))):
        _judge_lambda(answer, *_examples(rng, examples, n, negative=(first + turn) % 2))
    for same, top in ((0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0)):
        _judge_lambda(answer, *_many_against_one(rng, same, top))
    for negative in (0, 1):  # 150,000 parameters: a matrix of 180 GB
        case = _examples(rng, 3, 150_000, negative)
        _judge_lambda(partial(_without_the_matrix, answer), *case)


def _judge_lambda(answer, a, r):
    got = answer(a, r)
    lam = _small(a, r)
    wrong = _lambdas_gone_wrong(a, r, lam) | _signs_gone_wrong(a, r, lam) | _odd_sizes(got, lam[0])
    expect(got, float(lam[0]), mistakes=wrong)


def _small(a, r):
    """The eigenvalues of Σ r a aᵀ that are not 0, the largest in size first: those of diag(r) a aᵀ, (examples,)."""
    lam = np.linalg.eigvals(r[:, None] * (a @ a.T))
    return lam.real[np.argsort(-np.abs(lam))]


def _many_against_one(rng, same, top):
    """(a, r): one large term against three smaller ones of the other sign; λ has the sign `top`.

    same = 0: each term has a direction of its own, so the large one is λ, and the trace has the other sign.
    same = 1: the three share a direction, so they are λ, and the largest term has the other sign.
    """
    directions = np.linalg.qr(rng.normal(size=(8, 4)))[
        0
    ].T  # (4, 8), perpendicular rows of length 1
    which = [0, 1, 1, 1] if same else [0, 1, 2, 3]
    others = rng.permutation([0.85, 1.2, 1.7 if top < 0 else 0.6])
    lengths = np.r_[0.6 if top < 0 else 1.7, others]  # the largest rᵢ belongs to it, or does not
    one = 8.5 if same else 3.8 if top < 0 else 6.0  # 6: ten rounds are not enough
    curvatures = np.array([-10.0, one, one, one]) * rng.uniform(0.95, 1.05, 4)
    sign = top if same else -top
    order = rng.permutation(4)
    a = directions[which] * lengths[:, None]
    return a[order], (sign * curvatures / lengths**2)[order]


def _examples(rng, examples, n, negative):
    """(a, r): curvatures of both signs, one clearly the largest in size, and no mistake gives it by chance."""
    while True:
        mixed = rng.normal(size=(examples, examples))  # far from perpendicular, however large n is
        a = mixed @ rng.normal(size=(examples, n)) / np.sqrt(n)
        r = rng.uniform(0.3, 3.0, examples) * rng.choice([-1.0, 1.0], examples)
        lam = _small(a, r)
        apart = abs(lam[1]) < 0.65 * abs(lam[0]) and min(lam) < 0 < max(lam)
        if apart and (lam[0] < 0) == bool(negative) and abs(lam[0]) > 0.3:
            wrong = _lambdas_gone_wrong(a, r, lam)
            if _tells(lam[0], wrong):
                return a, r


def _tells(right, wrong):
    """Whether the mistakes differ from what is right, but for the two that the sign makes right here."""
    near = [abs(value - right) < 0.01 * abs(right) for value in wrong.values()]
    return sum(near) == 2  # plus or minus the length, and the largest or the smallest


def _lambdas_gone_wrong(a, r, lam):
    top = abs(lam[0])
    ones = a.T @ (r * a.sum(axis=1))  # H times a vector of ones
    terms = r * np.sum(a**2, axis=1)  # the curvature of each term alone
    return {
        "this is its size: the length of Hv has no sign. The curvature along v is vᵀHv": top,
        "this is minus its size: a length has no sign, and the minus is right for negative ones only": -top,
        "this is the largest curvature: a negative one of larger size was overlooked": max(lam),
        "this is the smallest curvature: a positive one of larger size was overlooked": min(lam),
        "this is λ²: H was applied twice, or the length was squared": top**2,
        "in this H every r is 1: each term has its own rᵢ, of either sign": (
            _small(a, np.ones_like(r))[0]
        ),
        "you take the sizes of the rᵢ: their signs are what makes curvature negative": (
            _small(a, np.abs(r))[0]
        ),
        "you take the squares of the rᵢ, so multiplied by them twice": _small(a, r**2)[0],
        "this is the curvature of the mean over the examples: H is their sum": lam[0] / len(r),
        "this is the sum of all curvatures, the trace of H": float(np.sum(terms)),
        "this is the curvature of the largest term alone: the aᵢ are not perpendicular, so terms mix": float(
            terms[np.argmax(np.abs(terms))]
        ),
        "this is the curvature along a vector of ones, before any round: multiply by H again and again": float(
            np.sum(ones) / a.shape[1]
        ),
        "this is the curvature along the gradient of the first product, H times a vector of ones: one round is not "
        "enough": _rayleigh(a, r, ones),
        "this is the largest of the rᵢ: the aᵢ have lengths and directions, too": float(
            r[np.argmax(np.abs(r))]
        ),
        "this is the second largest in size": lam[1],
        "this is λ³: vᵀHv is the curvature along v for a v of length 1, and the last v has the length |λ|": (
            lam[0] ** 3
        ),
    }


def _signs_gone_wrong(a, r, lam):
    """Right in size, with the sign of something else."""
    top, terms = abs(lam[0]), r * np.sum(a**2, axis=1)
    largest = np.argmax(np.abs(terms))
    return {
        "the size is right, and the sign is that of the trace: many small curvatures may outweigh the largest "
        "in the sum": float(np.sign(np.sum(terms)) * top),
        "the size is right, and the sign is that of the largest term: smaller terms that share a direction may "
        "add up to more": float(np.sign(terms[largest]) * top),
        "the size is right, and the sign is that of the sum of the rᵢ": float(
            np.sign(np.sum(r)) * top
        ),
        "the size is right, and the sign is that of the largest rᵢ": float(
            np.sign(r[np.argmax(np.abs(r))]) * top
        ),
    }


def _odd_sizes(got, right):
    """`got` itself where it comes near, as after too few rounds, or is far off with the right sign."""
    value = array_of(got)
    value = float(value) if value is not None and value.shape == () else np.nan
    near = abs(value - right) < 0.5 * abs(right)
    far = value / right > 1e5 or 0 < value / right < 1e-5
    return {
        "the sign is right, and the size is far off, as if v had grown or shrunk from round to round: scale v to "
        "length 1 in every round": got if far else np.nan,
        "this is near the curvature of the largest size, but not to five digits: are there enough rounds?": (
            got if near else np.nan
        ),
    }


def _rayleigh(a, r, v):
    return float(v @ (a.T @ (r * (a @ v))) / (v @ v))


# ------------------------------------------------------------------ 05.6

PLANS = ("first order", "exact", "matrices", "differences", "steepest", "spectrum")


@exercise("05.price_list", points=3, minutes=15, difficulty=3)
def price_list(answer, rng):
    """A price list"""
    for n, k, r in draw(rng, n=(50, 2000), k=(2, 9), r=(11, 40)):
        got = answer(n, k, r)
        if not isinstance(got, dict):
            raise WrongAnswer("return a dict: each of the six words and its price")
        if set(got) != set(PLANS):
            raise WrongAnswer("the dict has other words than the six of the table")
        wrong = _prices_gone_wrong(n, k, r)
        for plan, price in _prices(n, k, r).items():
            own = array_of(got[plan])
            own = got[plan] if own is None else own.astype(float)  # whole numbers are welcome
            expect(own, float(price), mistakes=wrong[plan], what=f'the price of "{plan}"')


def _prices(n, k, r):
    return {
        "first order": k + 1,
        "exact": k + 1 + 2 * k,
        "matrices": k + 1 + 2 * k * n,
        "differences": 2 * n * (k + 1 / 3),
        "steepest": 1 + 2 * r,
        "spectrum": 1 + 2 * n,
    }


def _prices_gone_wrong(n, k, r):
    """Plan → what is told of each mistake → the price that it gives."""
    walk = k + 1
    told = {
        "first order": _first_order_gone_wrong(k),
        "exact": _exact_gone_wrong(n, k, walk),
        "matrices": _matrices_gone_wrong(n, k, walk),
        "differences": _differences_gone_wrong(n, k, walk),
        "steepest": _steepest_gone_wrong(n, r),
        "spectrum": _spectrum_gone_wrong(n, r),
    }
    return {
        plan: {f"{plan}: {words}": float(price) for words, price in wrong.items()}
        for plan, wrong in told.items()
    }


def _first_order_gone_wrong(k):
    return {
        "the gradient of the query loss at φ is missing": k,
        "the K inner gradients are missing": 1,
        "that is the exact one, with a product for each step": 3 * k + 1,
        "the query loss counts as a loss here, and its gradient is needed": k + 1 / 3,
        "each step has one gradient, not two": 2 * k + 1,
    }


def _exact_gone_wrong(n, k, walk):
    return {
        "n products for one: (I − αH)v needs one product per step, not one for each column": (
            walk + 2 * n * k
        ),
        "a product costs two gradients": walk + k,
        "every step has its own Hessian, so its own product": walk + 2,
        "the inner gradients are there when the products are needed: yours counts them again": (
            walk + 3 * k
        ),
        "the gradient of the query loss at φ is missing": 3 * k,
        "a product stands for each step, and none for the query loss": 3 * walk,
        "that is the price of the products alone": 2 * k,
        "that is the first-order one: the products are missing": walk,
    }


def _matrices_gone_wrong(n, k, walk):
    return {
        "a product costs two gradients": walk + n * k,
        "every step has its own H to fill": walk + 2 * n,
        "a product gives a whole column, so n products fill H, not n²": walk + 2 * n**2 * k,
        "that is one gradient for each of n² entries: a product gives a whole column, and costs two": (
            walk + n**2 * k
        ),
        "the gradients along the way, K + 1, are missing": 2 * n * k,
        "the gradient of the query loss at φ is missing": k + 2 * n * k,
        "the inner gradients are there when a column is needed: yours counts one per column": (
            walk + 3 * n * k
        ),
        "the finished matrix is multiplied for nothing: yours counts one product more": (
            walk + 2 * k * (n + 1)
        ),
        "the inner gradients are there when H is filled: yours counts them again": (
            walk + k + 2 * n * k
        ),
    }


def _differences_gone_wrong(n, k, walk):
    return {
        "central ones go up and down, twice per parameter": n * (k + 1 / 3),
        "that is one-sided, with one run more at θ: central ones go up and down": (
            (n + 1) * (k + 1 / 3)
        ),
        "after the steps only the query loss is needed, not its gradient": 2 * n * walk,
        "the query loss after the steps is missing": 2 * n * k,
        "the inner steps are missing": 2 * n / 3,
        "a step takes a gradient, and a gradient is no third": 2 * n * walk / 3,
        "each parameter is moved on its own: yours moves all of them once": 2 * (k + 1 / 3),
        "no product is needed, the runs are all": 2 * n * (3 * k + 1),
    }


def _steepest_gone_wrong(n, r):
    return {
        "the gradient at the point is needed once": 2 * r,
        "the gradient at the point is needed once, and not in every round": 3 * r,
        "a product costs two gradients": r + 1,
        "a product costs two gradients, and the gradient at the point comes once on top": r,
        "a round takes one product, not one for each parameter": 1 + 2 * n * r,
        "a round takes one product, and vᵀHv uses the same one again": 1 + 4 * r,
    }


def _spectrum_gone_wrong(n, r):
    return {
        "the gradient at the point is needed once": 2 * n,
        "the gradient at the point is needed once, and not for every column": 3 * n,
        "a product costs two gradients": n + 1,
        "a product costs two gradients, and the gradient at the point comes once on top": n,
        "a product gives a whole column, so n products fill H, not n²": 1 + 2 * n**2,
        "that is one gradient for each of n² entries: a product gives a whole column": n**2,
        "power iteration finds the ends alone": 1 + 2 * r,
    }
