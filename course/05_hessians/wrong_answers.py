"""Wrong answers that a learner of chapter 05 might give, and what each is told; then unusual right ones."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer


def _no_room(size):
    """What NumPy does when asked for a matrix of 720 GB; raised here, so that no machine is asked to try."""
    if size > 10_000:
        raise MemoryError("Unable to allocate 671. GiB for an array")


# ------------------------------------------------------------------ 05.1


def _softmax(x, axis=1):
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


def _row_sum(values):
    return values.sum(axis=1, keepdims=True)


@wrong_answer("05.vjp_of_softmax", says="you form the matrix")
def with_the_matrix(x, u):
    _no_room(x.shape[1])
    p = _softmax(x)
    matrices = [np.diag(row) - np.outer(row, row) for row in p]
    return np.stack([matrix.T @ weights for matrix, weights in zip(matrices, u, strict=True)])


@wrong_answer("05.vjp_of_softmax", says="np.exp of a large logit is infinite")
def without_the_maximum(x, u):
    with np.errstate(all="ignore"):
        p = np.exp(x) / _row_sum(np.exp(x))
        return p * (u - _row_sum(p * u))


@wrong_answer("05.vjp_of_softmax", says="this is diag(p)u")
def shares_times_u(x, u):
    return _softmax(x) * u


@wrong_answer("05.vjp_of_softmax", says="the diagonal of J alone")
def diagonal_only(x, u):
    p = _softmax(x)
    return p * (1 - p) * u


@wrong_answer("05.vjp_of_softmax", says="diag(p)u is missing")
def second_term_only(x, u):
    p = _softmax(x)
    return -p * _row_sum(p * u)


@wrong_answer("05.vjp_of_softmax", says="opposite signs")
def terms_added(x, u):
    p = _softmax(x)
    return p * u + p * _row_sum(p * u)


@wrong_answer("05.vjp_of_softmax", says="the two terms are exchanged")
def terms_exchanged(x, u):
    p = _softmax(x)
    return p * _row_sum(p * u) - p * u


@wrong_answer("05.vjp_of_softmax", says="p and u are exchanged")
def p_and_u_exchanged(x, u):
    p = _softmax(x)
    return u * (p - _row_sum(p * u))


@wrong_answer("05.vjp_of_softmax", says="this is p² times the plain sum of u")
def squares_times_the_sum(x, u):
    return _softmax(x) ** 2 * _row_sum(u)


@wrong_answer("05.vjp_of_softmax", says="this is −p² times the plain sum of u")
def minus_squares_times_the_sum(x, u):
    return -(_softmax(x) ** 2) * _row_sum(u)


@wrong_answer("05.vjp_of_softmax", says="one p belongs inside the sum")
def squares_in_the_second_term(x, u):
    p = _softmax(x)
    return p * u - p**2 * _row_sum(u)


@wrong_answer("05.vjp_of_softmax", says="the logarithm of the softmax")
def log_softmax(x, u):
    return u - _softmax(x) * _row_sum(u)


@wrong_answer("05.vjp_of_softmax", says="the plain sum of u")
def plain_sum(x, u):
    return _softmax(x) * (u - _row_sum(u))


@wrong_answer("05.vjp_of_softmax", says="yours is its mean")
def mean_for_sum(x, u):
    p = _softmax(x)
    return p * (u - (p * u).mean(axis=1, keepdims=True))


@wrong_answer("05.vjp_of_softmax", says="the p in front is missing")
def brackets_forgotten(x, u):
    p = _softmax(x)
    return p * u - _row_sum(p * u)


@wrong_answer("05.vjp_of_softmax", says="your second term sums over all rows")
def one_sum_for_all(x, u):
    p = _softmax(x)
    return p * (u - np.sum(p * u))


@wrong_answer("05.vjp_of_softmax", says="over all rows together")
def one_softmax_for_all(x, u):
    p = np.exp(x - x.max())
    p = p / p.sum()
    return p * (u - np.sum(p * u))


@wrong_answer("05.vjp_of_softmax", says="down the columns")
def wrong_axis(x, u):
    p = _softmax(x, axis=0)
    return p * (u - np.sum(p * u, axis=0))


@wrong_answer("05.vjp_of_softmax", says="put through the softmax itself")
def weights_squashed(x, u):
    p, q = _softmax(x), _softmax(u)
    return p * (q - _row_sum(p * q))


@wrong_answer("05.vjp_of_softmax", says="the way forward")
def forward_only(x, u):
    return _softmax(x)


@wrong_answer("05.vjp_of_softmax", says="u has no part in it")
def the_diagonal(x, u):
    p = _softmax(x)
    return p * (1 - p)


@wrong_answer("05.vjp_of_softmax", says="a difference of two softmaxes")
def difference_of_two(x, u):
    return _softmax(x + u) - _softmax(x)


@wrong_answer("05.vjp_of_softmax", says="where the logits do")
def logits_for_shares(x, u):
    return _softmax(x) * (u - _row_sum(x * u))


@wrong_answer("05.vjp_of_softmax", says="gradient of the cross-entropy")
def cross_entropy(x, u):
    return _softmax(x) - u


def _shifted(x, u, shift):
    with np.errstate(all="ignore"):
        p = np.exp(x - shift) / _row_sum(np.exp(x - shift))
        return p * (u - _row_sum(p * u))


@wrong_answer("05.vjp_of_softmax", says="the largest logit of the whole array")
def one_maximum_for_all(x, u):
    return _shifted(x, u, x.max())


@wrong_answer("05.vjp_of_softmax", says="you subtract the mean of a row")
def mean_subtracted(x, u):
    return _shifted(x, u, x.mean(axis=1, keepdims=True))


@wrong_answer("05.vjp_of_softmax", says="you subtract the smallest logit")
def smallest_subtracted(x, u):
    return _shifted(x, u, x.min(axis=1, keepdims=True))


@wrong_answer("05.vjp_of_softmax", says="you subtract the first logit")
def first_subtracted(x, u):
    return _shifted(x, u, x[:, :1])


@wrong_answer("05.vjp_of_softmax", says="logits far from 0 are clipped")
def logits_clipped(x, u):
    return _shifted(np.clip(x, -700, 700), u, 0.0)


@wrong_answer("05.vjp_of_softmax", says="different ones get equal shares")
def logits_clipped_early(x, u):
    return _shifted(np.clip(x, -50, 50), u, 0.0)


# ------------------------------------------------------------------ 05.2


def _norm(x, p):
    return np.sum(np.abs(x) ** p) ** (1 / p)


def _moves(x, p):
    """The gradient of the norm."""
    return np.sign(x) * np.abs(x) ** (p - 1) / _norm(x, p) ** (p - 1)


@wrong_answer("05.jvp_of_normalise", says="you form the matrix")
def jacobian_formed(x, v, p):
    _no_room(len(x))
    s = _norm(x, p)
    return (np.eye(len(x)) / s - np.outer(x, _moves(x, p)) / s**2) @ v


@wrong_answer("05.jvp_of_normalise", says="this is Jᵀv, the VJP")
def transposed(x, v, p):
    return ref.grad(lambda x: np.sum(v * (x / np.sum(np.abs(x) ** p) ** (1 / p))))(x)


@wrong_answer("05.jvp_of_normalise", says="treats it as a constant")
def norm_held_fixed(x, v, p):
    return v / _norm(x, p)


@wrong_answer("05.jvp_of_normalise", says="of the quotient rule has a minus")
def quotient_with_a_plus(x, v, p):
    s = _norm(x, p)
    return v / s + x * (_moves(x, p) @ v) / s**2


@wrong_answer("05.jvp_of_normalise", says="v/s is missing")
def only_the_second_term(x, v, p):
    return -x * (_moves(x, p) @ v) / _norm(x, p) ** 2


@wrong_answer("05.jvp_of_normalise", says="this is v, normalised")
def v_normalised(x, v, p):
    return v / _norm(v, p)


@wrong_answer("05.jvp_of_normalise", says="a difference of two normalised vectors")
def finite_move(x, v, p):
    return (x + v) / _norm(x + v, p) - x / _norm(x, p)


@wrong_answer("05.jvp_of_normalise", says="right for p = 2 alone")
def as_for_two(x, v, p):
    s = np.linalg.norm(x)
    return v / s - x * (x @ v) / s**3


@wrong_answer("05.jvp_of_normalise", says="as if p were 2")
def half_as_for_two(x, v, p):
    s = _norm(x, p)
    y = x / s
    return (v - y * (y @ v)) / s


@wrong_answer("05.jvp_of_normalise", says="the signs of x are missing")
def signs_forgotten(x, v, p):
    s = _norm(x, p)
    return v / s - x * np.sum(np.abs(x) ** (p - 1) * v) / s ** (p + 1)


@wrong_answer("05.jvp_of_normalise", says="and not its root")
def root_forgotten(x, v, p):
    s = _norm(x, p)
    moves = p * np.sum(np.sign(x) * np.abs(x) ** (p - 1) * v)
    return v / s - x * moves / s**2


@wrong_answer("05.jvp_of_normalise", says="this division is missing")
def inner_division_forgotten(x, v, p):
    s = _norm(x, p)
    return v / s - x * np.sum(np.sign(x) * np.abs(x) ** (p - 1) * v) / s**2


@wrong_answer("05.jvp_of_normalise", says="in yours p is left over")
def p_left_over(x, v, p):
    s = _norm(x, p)
    return v / s - x * p * (_moves(x, p) @ v) / s**2


@wrong_answer("05.jvp_of_normalise", says="in yours 1/p is left over")
def one_over_p_left_over(x, v, p):
    s = _norm(x, p)
    return v / s - x * (_moves(x, p) @ v) / p / s**2


@wrong_answer("05.jvp_of_normalise", says="yours divides by s")
def divided_once(x, v, p):
    s = _norm(x, p)
    return v / s - x * (_moves(x, p) @ v) / s


@wrong_answer("05.jvp_of_normalise", says="the sum over the components is missing")
def entry_by_entry(x, v, p):
    s = _norm(x, p)
    return v / s - x * _moves(x, p) * v / s**2


@wrong_answer("05.jvp_of_normalise", says="it still has to be divided by s")
def not_divided(x, v, p):
    s = _norm(x, p)
    return v - x * (_moves(x, p) @ v) / s


@wrong_answer("05.jvp_of_normalise", says="in yours the power is still p")
def power_not_lowered(x, v, p):
    s = _norm(x, p)
    return v / s - x * np.sum(np.sign(x) * np.abs(x) ** p * v) / s ** (p + 1)


@wrong_answer("05.jvp_of_normalise", says="and forget its root")
def divided_by_the_sum(x, v, p):
    total = np.sum(np.abs(x) ** p)
    moves = p * np.sum(np.sign(x) * np.abs(x) ** (p - 1) * v)
    return v / total - x * moves / total**2


@wrong_answer("05.jvp_of_normalise", says="this is y itself")
def normalised(x, v, p):
    return x / _norm(x, p)


# ------------------------------------------------------------------ 05.3


def _vector(params):
    return np.concatenate([part.ravel() for part in params.values()])


def _shaped(vector, params):
    ends = np.cumsum([part.size for part in params.values()])[:-1]
    parts = zip(params.items(), np.split(vector, ends), strict=True)
    return {name: part.reshape(value.shape) for (name, value), part in parts}


def _dot(one, other):
    return sum(np.sum(one[name] * other[name]) for name in one)


def _along(network, params, x, v):
    """J v, (points, 1): forward mode out of reverse mode."""

    def pulled(u):
        return _dot(ref.grad(lambda p: np.sum(u * network(p, x)))(params), v)

    return ref.grad(pulled)(np.ones((len(x), 1)))


def _back(network, params, x, u):
    """2/N Jᵀu, u (points, 1)."""
    return ref.grad(lambda p: 2 / len(x) * np.sum(u * network(p, x)))(params)


def _gauss_newton(network, params, x, v):
    return _back(network, params, x, _along(network, params, x, v))


def _scaled(factor, v):
    return {name: factor * part for name, part in v.items()}


@wrong_answer("05.gauss_newton_product", says="you form the matrix")
def gauss_newton_formed(network, params, x, v):
    _no_room(len(_vector(params)))
    parts = ref.jacobian(lambda p: network(p, x)[:, 0])(params)
    J = np.concatenate([part.reshape(len(x), -1) for part in parts.values()], axis=1)
    return _shaped((2 / len(x) * J.T @ J) @ _vector(v), params)


@wrong_answer("05.gauss_newton_product", says="the factor 2/N is missing")
def no_factor(network, params, x, v):
    return _scaled(len(x) / 2, _gauss_newton(network, params, x, v))


@wrong_answer("05.gauss_newton_product", says="the 2 of 2/N is missing")
def no_two(network, params, x, v):
    return _scaled(1 / 2, _gauss_newton(network, params, x, v))


@wrong_answer("05.gauss_newton_product", says="the 1/N of 2/N is missing")
def no_mean(network, params, x, v):
    return _scaled(len(x), _gauss_newton(network, params, x, v))


@wrong_answer("05.gauss_newton_product", says="your Jv moves with the parameters")
def jvp_that_moves(network, params, x, v):
    weigh = lambda p: 2 / len(x) * np.sum(_along(network, p, x, v) * network(p, x))
    return ref.grad(weigh)(params)


@wrong_answer("05.gauss_newton_product", says="hold it fixed on the way back")
def hessian_with_targets_of_zero(network, params, x, v):
    return ref.hvp(lambda p: np.mean(network(p, x) ** 2), params, v)


@wrong_answer("05.gauss_newton_product", says="you differentiate Jv with respect to the parameters")
def length_of_the_jvp(network, params, x, v):
    return ref.grad(lambda p: np.mean(_along(network, p, x, v) ** 2))(params)


@wrong_answer("05.gauss_newton_product", says="the outputs are added up before")
def sum_of_the_outputs(network, params, x, v):
    slope = ref.grad(lambda p: np.sum(network(p, x)))(params)
    return _scaled(2 / len(x) * _dot(slope, v), slope)


@wrong_answer("05.gauss_newton_product", says="you take the mean of the outputs")
def mean_of_the_outputs(network, params, x, v):
    slope = ref.grad(lambda p: np.mean(network(p, x)))(params)
    return _scaled(2 * _dot(slope, v), slope)


def _only(name, v):
    return {n: part * (n == name) for n, part in v.items()}


@wrong_answer("05.gauss_newton_product", says="each array of the dict is taken alone")
def array_by_array(network, params, x, v):
    return {name: _gauss_newton(network, params, x, _only(name, v))[name] for name in v}


@wrong_answer("05.gauss_newton_product", says="your Jv is that of w1 alone")
def first_array_only(network, params, x, v):
    return _gauss_newton(network, params, x, _only("w1", v))


@wrong_answer("05.gauss_newton_product", says="your Jv is that of b2 alone")
def last_array_only(network, params, x, v):
    return _gauss_newton(network, params, x, _only("b2", v))


@wrong_answer("05.gauss_newton_product", says="your Jv is that of b1 alone")
def second_array_only(network, params, x, v):
    return _gauss_newton(network, params, x, _only("b1", v))


@wrong_answer("05.gauss_newton_product", says="your Jv is that of w2 alone")
def third_array_only(network, params, x, v):
    return _gauss_newton(network, params, x, _only("w2", v))


@wrong_answer("05.gauss_newton_product", says="yours multiplies the sums of each array")
def sums_of_each_array(network, params, x, v):
    sums = {name: np.full_like(part, part.sum()) for name, part in v.items()}
    return _gauss_newton(network, params, x, sums)


@wrong_answer("05.gauss_newton_product", says="yours multiplies the two sums over all")
def sum_times_sum(network, params, x, v):
    def pulled(u):
        slopes = ref.grad(lambda p: np.sum(u * network(p, x)))(params)
        return sum(np.sum(part) for part in slopes.values()) * np.sum(_vector(v))

    return _back(network, params, x, ref.grad(pulled)(np.ones((len(x), 1))))


@wrong_answer("05.gauss_newton_product", says="G times a vector of ones")
def v_forgotten(network, params, x, v):
    ones = {name: np.ones_like(part) for name, part in v.items()}
    return _gauss_newton(network, params, x, ones)


@wrong_answer("05.gauss_newton_product", says="Jᵀ times a vector of ones")
def gradient_of_the_sum(network, params, x, v):
    return ref.grad(lambda p: np.sum(network(p, x)))(params)


@wrong_answer("05.gauss_newton_product", says="this is v itself, scaled")
def v_comes_back(network, params, x, v):
    return ref.grad(lambda p: 2 / len(x) * _dot(p, v))(params)


@wrong_answer("05.gauss_newton_product", says="the outputs themselves are sent back")
def outputs_sent_back(network, params, x, v):
    return ref.grad(lambda p: np.mean(network(p, x) ** 2))(params)


# ------------------------------------------------------------------ 05.4


def _per_task(of_task):
    """An answer: the mean over tasks of what `of_task(gradient, product, params, rates, support, query)` returns.

    gradient(at, data) and product(at, data, v) are those of the loss.
    """

    def answer(loss, params, rates, *batch):
        def gradient(at, data):
            return ref.grad(loss)(at, *data)

        def product(at, data, v):
            return ref.hvp(lambda p: loss(p, *data), at, v)

        parts = [
            of_task(gradient, product, params, rates, (sx, sy), (qx, qy))
            for sx, sy, qx, qy in zip(*batch, strict=True)
        ]
        return {name: sum(part[name] for part in parts) / len(parts) for name in params}

    answer.__name__ = of_task.__name__
    return answer


def _times(rates, v):
    return {name: rates[name] * v[name] for name in v}


def _less(one, other):
    return {name: one[name] - other[name] for name in one}


def _moved(gradient, params, rates, support):
    return _less(params, _times(rates, gradient(params, support)))


def _in_full(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, product(params, support, _times(rates, g)))


_right = _per_task(_in_full)


@wrong_answer("05.meta_gradient_by_hvp", says="you form the matrix")
def matrix_formed(loss, params, rates, *batch):
    _no_room(sum(part.size for part in params.values()))
    return _right(loss, params, rates, *batch)


@wrong_answer("05.meta_gradient_by_hvp", says="the rates stand on the wrong side")
@_per_task
def rates_outside(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, _times(rates, product(params, support, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="yours is taken at φ")
@_per_task
def hessian_at_phi(gradient, product, params, rates, support, query):
    phi = _moved(gradient, params, rates, support)
    g = gradient(phi, query)
    return _less(g, product(phi, support, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="yours is the query loss's")
@_per_task
def hessian_of_the_query(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, product(params, query, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="this is the query loss's Hessian, and at φ")
@_per_task
def hessian_of_the_query_at_phi(gradient, product, params, rates, support, query):
    phi = _moved(gradient, params, rates, support)
    g = gradient(phi, query)
    return _less(g, product(phi, query, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="this is the first-order gradient")
@_per_task
def first_order(gradient, product, params, rates, support, query):
    return gradient(_moved(gradient, params, rates, support), query)


@wrong_answer("05.meta_gradient_by_hvp", says="yours is taken at θ")
@_per_task
def gradient_at_theta(gradient, product, params, rates, support, query):
    g = gradient(params, query)
    return _less(g, product(params, support, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="so its Jacobian has a minus")
@_per_task
def plus(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    bent = product(params, support, _times(rates, g))
    return {name: g[name] + bent[name] for name in g}


@wrong_answer("05.meta_gradient_by_hvp", says="is not multiplied by the rates")
@_per_task
def rates_forgotten(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, product(params, support, g))


@wrong_answer("05.meta_gradient_by_hvp", says="in the product twice")
@_per_task
def rates_twice(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, _times(rates, product(params, support, _times(rates, g))))


@wrong_answer("05.meta_gradient_by_hvp", says="this is the sum over the tasks")
def summed(loss, params, rates, *batch):
    return {
        name: len(batch[0]) * part for name, part in _right(loss, params, rates, *batch).items()
    }


@wrong_answer("05.meta_gradient_by_hvp", says="the tasks do not follow one another")
def chained(loss, params, rates, *batch):
    total, at = 0.0, params
    for sx, sy, qx, qy in zip(*batch, strict=True):
        here = _right(loss, at, rates, sx[None], sy[None], qx[None], qy[None])
        total = total + _vector(here) / len(batch[0])
        at = _less(at, _times(rates, ref.grad(loss)(at, sx, sy)))
    return _shaped(total, params)


@wrong_answer("05.meta_gradient_by_hvp", says="g itself is missing")
@_per_task
def hessian_s_part(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return {n: -part for n, part in product(params, support, _times(rates, g)).items()}


@wrong_answer("05.meta_gradient_by_hvp", says="support and query set are exchanged")
@_per_task
def sets_exchanged(gradient, product, params, rates, support, query):
    return _in_full(gradient, product, params, rates, query, support)


@wrong_answer("05.meta_gradient_by_hvp", says="the outer step is not scaled")
@_per_task
def all_scaled(gradient, product, params, rates, support, query):
    return _times(rates, _in_full(gradient, product, params, rates, support, query))


@wrong_answer("05.meta_gradient_by_hvp", says="yours takes their mean")
@_per_task
def one_rate(gradient, product, params, rates, support, query):
    mean = dict.fromkeys(rates, np.mean(_vector(rates)))
    return _in_full(gradient, product, params, mean, support, query)


@wrong_answer("05.meta_gradient_by_hvp", says="in your product H(αg) stands their mean")
@_per_task
def one_rate_in_the_product(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    mean = np.mean(_vector(rates))
    return _less(g, product(params, support, {n: mean * part for n, part in g.items()}))


@wrong_answer("05.meta_gradient_by_hvp", says="yours is the support slope")
@_per_task
def product_with_the_slope(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return _less(g, product(params, support, _times(rates, gradient(params, support))))


@wrong_answer("05.meta_gradient_by_hvp", says="this averages the gradients first")
def averaged_first(loss, params, rates, *batch):
    tasks = list(zip(*batch, strict=True))
    gs, n = [], len(tasks)
    for sx, sy, qx, qy in tasks:
        phi = _less(params, _times(rates, ref.grad(loss)(params, sx, sy)))
        gs.append(ref.grad(loss)(phi, qx, qy))
    g = {name: sum(part[name] for part in gs) / n for name in params}

    def mean_support(p):
        return sum(loss(p, sx, sy) for sx, sy, _, _ in tasks) / n

    return _less(g, ref.hvp(mean_support, params, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="this is the last task alone")
def last_task(loss, params, rates, *batch):
    return _right(loss, params, rates, *(part[-1:] for part in batch))


@wrong_answer("05.meta_gradient_by_hvp", says="this is the first task alone")
def first_task(loss, params, rates, *batch):
    return _right(loss, params, rates, *(part[:1] for part in batch))


@wrong_answer("05.meta_gradient_by_hvp", says="your step goes uphill: φ")
@_per_task
def phi_uphill(gradient, product, params, rates, support, query):
    slope = gradient(params, support)
    g = gradient({n: params[n] + rates[n] * slope[n] for n in slope}, query)
    return _less(g, product(params, support, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="uphill, and its Jacobian with it")
@_per_task
def all_uphill(gradient, product, params, rates, support, query):
    rates = {n: -part for n, part in rates.items()}
    return _in_full(gradient, product, params, rates, support, query)


@wrong_answer("05.meta_gradient_by_hvp", says="your step to φ is not multiplied by the rates")
@_per_task
def phi_without_rates(gradient, product, params, rates, support, query):
    g = gradient(_less(params, gradient(params, support)), query)
    return _less(g, product(params, support, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="the rates are missing throughout")
@_per_task
def no_rates_at_all(gradient, product, params, rates, support, query):
    g = gradient(_less(params, gradient(params, support)), query)
    return _less(g, product(params, support, g))


@wrong_answer("05.meta_gradient_by_hvp", says="yours descends the query loss")
@_per_task
def step_on_the_query_set(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, query), query)
    return _less(g, product(params, support, _times(rates, g)))


@wrong_answer("05.meta_gradient_by_hvp", says="yours is that of the support loss")
@_per_task
def query_gradient_on_support_points(gradient, product, params, rates, support, query):
    return _in_full(gradient, product, params, rates, support, support)


@wrong_answer("05.meta_gradient_by_hvp", says="yours takes the mean of each array")
@_per_task
def a_rate_per_array(gradient, product, params, rates, support, query):
    rates = {n: np.mean(part) for n, part in rates.items()}
    return _in_full(gradient, product, params, rates, support, query)


@wrong_answer("05.meta_gradient_by_hvp", says="the mean of the arrays' means")
@_per_task
def mean_of_means(gradient, product, params, rates, support, query):
    rate = np.mean([np.mean(part) for part in rates.values()])
    return _in_full(gradient, product, params, dict.fromkeys(rates, rate), support, query)


# ------------------------------------------------------------------ 05.5


def _iterated(times, size, rounds=60):
    """The vector of length 1 that power iteration ends at."""
    v = np.random.default_rng(1).normal(size=size)
    for _ in range(rounds):
        v = times(v)
        v = v / np.linalg.norm(v)
    return v


def _times_h(a, r):
    return lambda v: a.T @ (r * (a @ v))


@wrong_answer("05.signed_lambda", says="you form the matrix")
def eigenvalues_of_the_matrix(a, r):
    _no_room(a.shape[1])
    lam = np.linalg.eigvalsh(a.T @ np.diag(r) @ a)
    return lam[np.argmax(np.abs(lam))]


@wrong_answer("05.signed_lambda", says="the length of Hv has no sign")
def length_of_the_product(a, r):
    times = _times_h(a, r)
    return np.linalg.norm(times(_iterated(times, a.shape[1])))


@wrong_answer("05.signed_lambda", says="minus its size")
def minus_the_length(a, r):
    return -length_of_the_product(a, r)


def _lams(a, r):
    """All curvatures that are not 0."""
    return np.linalg.eigvals(r[:, None] * (a @ a.T)).real


@wrong_answer("05.signed_lambda", says="this is the largest curvature")
def the_largest(a, r):
    return max(_lams(a, r))


@wrong_answer("05.signed_lambda", says="this is the smallest curvature")
def the_smallest(a, r):
    return min(_lams(a, r))


@wrong_answer("05.signed_lambda", says="this is λ²")
def squared(a, r):
    times = _times_h(a, r)
    hv = times(_iterated(times, a.shape[1]))
    return hv @ hv


@wrong_answer("05.signed_lambda", says="in this H every r is 1")
def without_r(a, r):
    v = _iterated(_times_h(a, np.ones_like(r)), a.shape[1])
    return np.sum((a @ v) ** 2)


@wrong_answer("05.signed_lambda", says="you take the sizes of the rᵢ")
def sizes_of_r(a, r):
    return np.max(_lams(a, np.abs(r)))


@wrong_answer("05.signed_lambda", says="multiplied by them twice")
def r_twice(a, r):
    times = _times_h(a * r[:, None], np.ones_like(r))
    v = _iterated(times, a.shape[1])
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="the mean over the examples")
def mean_over_examples(a, r):
    times = _times_h(a, r / len(r))
    v = _iterated(times, a.shape[1])
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="the trace of H")
def trace(a, r):
    return np.sum(r * np.sum(a**2, axis=1))


@wrong_answer("05.signed_lambda", says="the largest term alone")
def largest_term(a, r):
    terms = r * np.sum(a**2, axis=1)
    return terms[np.argmax(np.abs(terms))]


@wrong_answer("05.signed_lambda", says="before any round")
def along_ones(a, r):
    v = np.ones(a.shape[1]) / np.sqrt(a.shape[1])
    return v @ _times_h(a, r)(v)


@wrong_answer("05.signed_lambda", says="one round is not enough")
def one_round(a, r):
    times = _times_h(a, r)
    v = times(np.ones(a.shape[1]))
    v = v / np.linalg.norm(v)
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="this is the largest of the rᵢ")
def largest_r(a, r):
    return r[np.argmax(np.abs(r))]


@wrong_answer("05.signed_lambda", says="the second largest in size")
def second(a, r):
    lam = _lams(a, r)
    return lam[np.argsort(np.abs(lam))[-2]]


@wrong_answer("05.signed_lambda", says="the sign is that of the trace")
def sign_of_the_trace(a, r):
    return np.sign(trace(a, r)) * max(abs(_lams(a, r)))


@wrong_answer("05.signed_lambda", says="the sign is that of the largest term")
def sign_of_the_largest_term(a, r):
    return np.sign(largest_term(a, r)) * max(abs(_lams(a, r)))


@wrong_answer("05.signed_lambda", says="the sign is that of the sum")
def sign_of_the_sum_of_r(a, r):
    return np.sign(r.sum()) * max(abs(_lams(a, r)))


@wrong_answer("05.signed_lambda", says="the sign is that of the largest rᵢ")
def sign_of_the_largest_r(a, r):
    return np.sign(largest_r(a, r)) * max(abs(_lams(a, r)))


@wrong_answer("05.signed_lambda", says="this is λ³")
def last_v_not_scaled(a, r):
    times = _times_h(a, r)
    v = times(_iterated(times, a.shape[1]))
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="scale v to length 1 in every round")
def never_scaled(a, r):
    times = _times_h(a, r)
    v = np.random.default_rng(1).normal(size=a.shape[1])
    for _ in range(60):
        v = times(v)
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="are there enough rounds")
def ten_rounds(a, r):
    times = _times_h(a, r)
    v = _iterated(times, a.shape[1], rounds=10)
    return v @ times(v)


@wrong_answer("05.signed_lambda", says="but not to five digits")
def five_rounds(a, r):
    times = _times_h(a, r)
    v = _iterated(times, a.shape[1], rounds=5)
    return v @ times(v)


# ------------------------------------------------------------------ 05.6


def _prices(n, k, r, **other):
    right = {
        "first order": k + 1,
        "exact": 3 * k + 1,
        "matrices": k + 1 + 2 * k * n,
        "differences": 2 * n * k + 2 * n / 3,
        "steepest": 1 + 2 * r,
        "spectrum": 1 + 2 * n,
    }
    return right | {name.replace("_", " "): value for name, value in other.items()}


@wrong_answer("05.price_list", says="first order: the gradient of the query loss at φ is missing")
def query_forgotten(n, k, r):
    return _prices(n, k, r, first_order=k)


@wrong_answer("05.price_list", says="and its gradient is needed")
def query_loss_alone(n, k, r):
    return _prices(n, k, r, first_order=k + 1 / 3)


@wrong_answer("05.price_list", says="exact: n products for one")
def n_products_for_one(n, k, r):
    return _prices(n, k, r, exact=k + 1 + 2 * n * k)


@wrong_answer("05.price_list", says="exact: a product costs two gradients")
def one_gradient_a_product(n, k, r):
    return _prices(n, k, r, exact=2 * k + 1)


@wrong_answer("05.price_list", says="exact: every step has its own Hessian")
def one_product_in_all(n, k, r):
    return _prices(n, k, r, exact=k + 3)


@wrong_answer("05.price_list", says="exact: the inner gradients are there")
def gradients_counted_again(n, k, r):
    return _prices(n, k, r, exact=k + 1 + 3 * k)


@wrong_answer("05.price_list", says="and none for the query loss")
def product_for_the_query(n, k, r):
    return _prices(n, k, r, exact=k + 1 + 2 * (k + 1))


@wrong_answer("05.price_list", says="matrices: every step has its own H to fill")
def one_matrix(n, k, r):
    return _prices(n, k, r, matrices=k + 1 + 2 * n)


@wrong_answer("05.price_list", says="matrices: a product gives a whole column, so n products")
def entry_by_entry_priced(n, k, r):
    return _prices(n, k, r, matrices=k + 1 + 2 * n**2 * k)


@wrong_answer("05.price_list", says="matrices: the gradients along the way")
def walk_forgotten(n, k, r):
    return _prices(n, k, r, matrices=2 * n * k)


@wrong_answer("05.price_list", says="matrices: the gradient of the query loss at φ is missing")
def query_forgotten_with_matrices(n, k, r):
    return _prices(n, k, r, matrices=k + 2 * n * k)


@wrong_answer("05.price_list", says="yours counts one product more")
def multiplied_at_a_price(n, k, r):
    return _prices(n, k, r, matrices=k + 1 + 2 * n * k + 2 * k)


@wrong_answer("05.price_list", says="twice per parameter")
def one_side(n, k, r):
    return _prices(n, k, r, differences=n * (k + 1 / 3))


@wrong_answer("05.price_list", says="not its gradient")
def gradient_for_a_loss(n, k, r):
    return _prices(n, k, r, differences=2 * n * (k + 1))


@wrong_answer("05.price_list", says="differences: the inner steps are missing")
def steps_forgotten(n, k, r):
    return _prices(n, k, r, differences=2 * n / 3)


@wrong_answer("05.price_list", says="yours moves all of them once")
def all_parameters_at_once(n, k, r):
    return _prices(n, k, r, differences=2 * (k + 1 / 3))


@wrong_answer(
    "05.price_list", says="steepest: the gradient at the point is needed once, and not in"
)
def gradient_each_round(n, k, r):
    return _prices(n, k, r, steepest=3 * r)


@wrong_answer("05.price_list", says="uses the same one again")
def product_for_the_quotient(n, k, r):
    return _prices(n, k, r, steepest=1 + 4 * r)


@wrong_answer("05.price_list", says="spectrum: a product gives a whole column, so n products")
def n_squared_products(n, k, r):
    return _prices(n, k, r, spectrum=1 + 2 * n**2)


@wrong_answer(
    "05.price_list", says="spectrum: the gradient at the point is needed once, and not for"
)
def gradient_each_column(n, k, r):
    return _prices(n, k, r, spectrum=3 * n)


@wrong_answer("05.price_list", says="power iteration finds the ends alone")
def ends_only(n, k, r):
    return _prices(n, k, r, spectrum=1 + 2 * r)


@wrong_answer("05.price_list", says="has other words than the six")
def other_words(n, k, r):
    return {name.replace(" ", "_"): price for name, price in _prices(n, k, r).items()}


@wrong_answer("05.price_list", says="return a dict")
def as_a_list(n, k, r):
    return list(_prices(n, k, r).values())


# ------------------------------------------------------------------ unusual right answers


@right_answer("05.vjp_of_softmax", why="as a JVP, since J is symmetric, row by row")
def row_by_row(x, u):
    rows = []
    for logits, weights in zip(x, u, strict=True):
        p = np.exp(logits - logits.max())
        p = p / p.sum()
        rows.append(p * weights - p * (p @ weights))
    return rows


@right_answer("05.vjp_of_softmax", why="reverse mode by the library")
def by_the_library(x, u):
    x = x - x.max(axis=1, keepdims=True)

    def weighted(x):
        return np.sum(u * np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True))

    return ref.grad(weighted)(x)


@right_answer("05.vjp_of_softmax", why="in single precision")
def in_single_precision(x, u):
    p = _softmax(x.astype(np.float32))
    return p * (u.astype(np.float32) - _row_sum(p * u.astype(np.float32)))


@right_answer("05.jvp_of_normalise", why="forward mode by going back twice")
def back_twice(x, v, p):
    def pulled(u):
        weighted = lambda x: np.sum(u * x) / np.sum(np.abs(x) ** p) ** (1 / p)
        return np.sum(ref.grad(weighted)(x) * v)

    return ref.grad(pulled)(np.ones_like(x))


@right_answer("05.jvp_of_normalise", why="relative changes")
def relative_changes(x, v, p):
    s = _norm(x, p)
    weights = np.abs(x / s) ** p  # they add up to 1
    return x / s * (v / x - np.sum(weights * v / x))


@right_answer("05.jvp_of_normalise", why="a fine central difference of Richardson's kind")
def by_differences(x, v, p):
    def central(h):
        return ((x + h * v) / _norm(x + h * v, p) - (x - h * v) / _norm(x - h * v, p)) / (2 * h)

    return (4 * central(1e-4) - central(2e-4)) / 3


@right_answer("05.gauss_newton_product", why="half the slope of |Jv|², with respect to v")
def slope_in_v(network, params, x, v):
    return ref.grad(lambda v: np.mean(_along(network, params, x, v) ** 2))(v)


@right_answer("05.gauss_newton_product", why="the Hessian of a loss whose targets are the outputs")
def nothing_wrong_at_any_point(network, params, x, v):
    y = network(params, x)
    return ref.hvp(lambda p: np.mean((network(p, x) - y) ** 2), params, v)


@right_answer("05.gauss_newton_product", why="point by point, in plain NumPy from the slopes on")
def point_by_point(network, params, x, v):
    total = _scaled(0.0, v)
    for i in range(len(x)):
        slope = ref.grad(lambda p, i=i: np.sum(network(p, x[i : i + 1])))(params)
        moves = 2 / len(x) * _dot(slope, v)
        total = {name: total[name] + moves * slope[name] for name in v}
    return total


@right_answer("05.gauss_newton_product", why="Jv by a central difference, of a smooth network")
def jvp_by_a_difference(network, params, x, v):
    h = 1e-4 / np.sqrt(_dot(v, v))
    ahead, behind = (network({n: params[n] + s * h * v[n] for n in v}, x) for s in (1.0, -1.0))
    return _back(network, params, x, (ahead - behind) / (2 * h))


@right_answer("05.meta_gradient_by_hvp", why="differentiated through the step after all")
def through_the_step(loss, params, rates, *batch):
    def meta(theta):
        total = 0.0
        for sx, sy, qx, qy in zip(*batch, strict=True):
            slope = ref.grad(loss)(theta, sx, sy)
            total = total + loss({n: theta[n] - rates[n] * slope[n] for n in theta}, qx, qy)
        return total / len(batch[0])

    return ref.grad(meta)(params)


@right_answer("05.meta_gradient_by_hvp", why="the VJP of the step, by reverse mode")
@_per_task
def vjp_of_the_step(gradient, product, params, rates, support, query):
    g = gradient(_moved(gradient, params, rates, support), query)
    return ref.grad(lambda p: _dot(_moved(gradient, p, rates, support), g))(params)


@right_answer("05.meta_gradient_by_hvp", why="the mean is taken along the way")
def running_mean(loss, params, rates, *batch):
    mean = {n: np.zeros_like(part) for n, part in params.items()}
    for number, (sx, sy, qx, qy) in enumerate(zip(*batch, strict=True), start=1):
        one = _right(loss, params, rates, sx[None], sy[None], qx[None], qy[None])
        mean = {n: mean[n] + (one[n] - mean[n]) / number for n in mean}
    return mean


@right_answer("05.signed_lambda", why="the eigenvalues of a matrix as small as the examples")
def small_matrix(a, r):
    lam = _lams(a, r)
    return float(lam[np.argmax(np.abs(lam))])


@right_answer("05.signed_lambda", why="the ratio of one component")
def ratio_of_a_component(a, r):
    times = _times_h(a, r)
    v = _iterated(times, a.shape[1], rounds=80)
    place = np.argmax(np.abs(v))
    return times(v)[place] / v[place]


@right_answer("05.signed_lambda", why="the length, and whether v turns over")
def length_and_turn(a, r):
    times = _times_h(a, r)
    v = _iterated(times, a.shape[1], rounds=80)
    return np.linalg.norm(times(v)) * np.sign(v @ times(v))


@right_answer("05.signed_lambda", why="a loop over the examples, started from the first of them")
def example_by_example(a, r):
    v = a.sum(axis=0)
    for _ in range(60):
        v = v / np.linalg.norm(v)
        hv = sum(weight * row * (row @ v) for weight, row in zip(r, a, strict=True))
        curvature, v = v @ hv, hv
    return curvature


@right_answer("05.price_list", why="counted in losses, and divided at the end")
def in_losses(n, k, r):
    gradient, product, loss = 3, 6, 1
    walk = gradient * (k + 1)
    prices = {
        "spectrum": gradient + n * product,
        "steepest": gradient + r * product,
        "differences": 2 * n * (gradient * k + loss),
        "matrices": walk + k * n * product,
        "exact": walk + k * product,
        "first order": walk,
    }
    return {plan: price / 3 for plan, price in prices.items()}


@right_answer("05.price_list", why="counted one by one")
def one_by_one(n, k, r):
    exact = matrices = first = 0
    for _ in range(k):
        first, exact, matrices = first + 1, exact + 3, matrices + 1 + 2 * n
    return _prices(n, k, r, first_order=first + 1, exact=exact + 1, matrices=matrices + 1)


@right_answer("05.price_list", why="NumPy's numbers")
def numpy_numbers(n, k, r):
    return {plan: np.float64(price) for plan, price in _prices(n, k, r).items()}
