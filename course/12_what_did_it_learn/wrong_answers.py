"""Wrong answers that a learner of chapter 12 might give, and what each is told; then unusual right ones."""

import statistics

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 12.1


def _middle(a):
    return a - a.mean(axis=0)


def _likeness(a, b):
    return np.linalg.norm(b.T @ a) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)


@wrong_answer("12.linear_cka", says="nothing is centred")
def not_centred(a, b):
    return _likeness(a, b)


@wrong_answer("12.linear_cka", says="the mean of each example is subtracted")
def centred_by_row(a, b):
    return _likeness(a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True))


@wrong_answer("12.linear_cka", says="one mean of the whole array")
def one_mean(a, b):
    return _likeness(a - a.mean(), b - b.mean())


@wrong_answer("12.linear_cka", says="only the first layer is centred")
def first_centred(a, b):
    return _likeness(_middle(a), b)


@wrong_answer("12.linear_cka", says="only the second layer is centred")
def second_centred(a, b):
    return _likeness(a, _middle(b))


@wrong_answer("12.linear_cka", says="centred on one side only")
def half_centred_table(a, b):
    k, m = a @ a.T, b @ b.T
    k, m = k - k.mean(axis=0), m - m.mean(axis=0)
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


@wrong_answer("12.linear_cka", says="one mean is subtracted from the table")
def table_minus_a_number(a, b):
    k, m = a @ a.T, b @ b.T
    k, m = k - k.mean(), m - m.mean()
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


@wrong_answer("12.linear_cka", says="divided by their standard deviations as well")
def standardised(a, b):
    return _likeness(_middle(a) / a.std(axis=0), _middle(b) / b.std(axis=0))


@wrong_answer("12.linear_cka", says="the square is missing above")
def no_square_above(a, b):
    a, b = _middle(a), _middle(b)
    return np.linalg.norm(b.T @ a) / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))


@wrong_answer("12.linear_cka", says="the norms below are squared as well")
def no_root_below(a, b):
    a, b = _middle(a), _middle(b)
    return np.sum((b.T @ a) ** 2) / (np.sum((a.T @ a) ** 2) * np.sum((b.T @ b) ** 2))


@wrong_answer("12.linear_cka", says="this is the square root of CKA")
def root_of_it(a, b):
    return np.sqrt(_likeness(_middle(a), _middle(b)))


@wrong_answer("12.linear_cka", says="a layer is not even like itself")
def squared_sizes_below(a, b):
    a, b = _middle(a), _middle(b)
    return np.linalg.norm(b.T @ a) ** 2 / (np.sum(a**2) * np.sum(b**2))


@wrong_answer("12.linear_cka", says="‖a‖ ‖b‖ stands below")
def sizes_below(a, b):
    a, b = _middle(a), _middle(b)
    return np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a) * np.linalg.norm(b))


@wrong_answer("12.linear_cka", says="divided by the number of features")
def per_feature(a, b):
    return _likeness(_middle(a), _middle(b)) / (a.shape[1] * b.shape[1])


@wrong_answer("12.linear_cka", says="divided by the number of examples")
def per_example(a, b):
    return _likeness(_middle(a), _middle(b)) / len(a)


@wrong_answer("12.linear_cka", says="this is 1 − CKA")
def unlikeness(a, b):
    return 1 - _likeness(_middle(a), _middle(b))


@wrong_answer("12.linear_cka", says="these are spectral norms")
def spectral(a, b):
    a, b = _middle(a), _middle(b)
    top = lambda m: np.linalg.svd(m, compute_uv=False)[0]
    return top(b.T @ a) ** 2 / (top(a.T @ a) * top(b.T @ b))


@wrong_answer("12.linear_cka", says="these are nuclear norms")
def nuclear(a, b):
    a, b = _middle(a), _middle(b)
    total = lambda m: np.linalg.svd(m, compute_uv=False).sum()
    return total(b.T @ a) ** 2 / (total(a.T @ a) * total(b.T @ b))


@wrong_answer("12.linear_cka", says="on the first explains")
def r_squared(a, b):
    a, b = _middle(a), _middle(b)
    fitted = a @ np.linalg.lstsq(a, b, rcond=None)[0]
    return np.sum(fitted**2) / np.sum(b**2)


@wrong_answer("12.linear_cka", says="on the second explains")
def r_squared_the_other_way(a, b):
    return r_squared(b, a)


@wrong_answer("12.linear_cka", says="mean squared canonical correlation")
def canonical(a, b):
    basis = lambda m: np.linalg.svd(_middle(m), full_matrices=False)[0]
    values = np.linalg.svd(basis(a).T @ basis(b), compute_uv=False)
    return np.mean(values**2)


@wrong_answer("12.linear_cka", says="mean squared correlation of all pairs")
def squared_correlations(a, b):
    p = a.shape[1]
    return np.mean(np.corrcoef(a.T, b.T)[:p, p:] ** 2)


@wrong_answer("12.linear_cka", says="mean size of the correlations")
def sizes_of_correlations(a, b):
    p = a.shape[1]
    return np.abs(np.corrcoef(a.T, b.T)[:p, p:]).mean()


@wrong_answer("12.linear_cka", says="may have different numbers of features")
def as_if_they_were_parameters(a, b):
    a, b = _middle(a), _middle(b)
    return np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b))


@wrong_answer("12.linear_cka", says="sums of absolute values")
def absolute_values(a, b):
    a, b = _middle(a), _middle(b)
    size = lambda m: np.abs(m).sum()
    return size(b.T @ a) ** 2 / (size(a.T @ a) * size(b.T @ b))


@wrong_answer("12.linear_cka", says="what stands above is centred")
def centred_above(a, b):
    ca, cb = _middle(a), _middle(b)
    return np.sum((cb.T @ ca) ** 2) / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)


@wrong_answer("12.linear_cka", says="the norms below are centred")
def centred_below(a, b):
    ca, cb = _middle(a), _middle(b)
    return np.sum((b.T @ a) ** 2) / np.linalg.norm(ca.T @ ca) / np.linalg.norm(cb.T @ cb)


@wrong_answer("12.linear_cka", says="the norm of the first layer stands below twice")
def first_layer_twice(a, b):
    a, b = _middle(a), _middle(b)
    return np.sum((b.T @ a) ** 2) / np.sum((a.T @ a) ** 2)


@wrong_answer("12.linear_cka", says="the norm of the second layer stands below twice")
def second_layer_twice(a, b):
    return first_layer_twice(b, a)


@right_answer(
    "12.linear_cka", why="by the examples' inner products, centred on both sides; float32"
)
def by_the_table(a, b):
    n = len(a)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, m = (centre @ x @ x.T @ centre for x in (a, b))
    return np.float32(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)))


@right_answer("12.linear_cka", why="by covariances; a 0-dimensional array")
def by_covariances(a, b):
    p, c = a.shape[1], np.cov(a.T, b.T)
    return np.asarray(
        np.sum(c[:p, p:] ** 2) / np.sqrt(np.sum(c[:p, :p] ** 2) * np.sum(c[p:, p:] ** 2))
    )


@right_answer("12.linear_cka", why="by singular values")
def by_singular_values(a, b):
    (u, s, _), (v, t, _) = (np.linalg.svd(_middle(m), full_matrices=False) for m in (a, b))
    alike = (s[:, None] * (u.T @ v) * t) ** 2
    return float(alike.sum() / np.sqrt((s**4).sum() * (t**4).sum()))


# ------------------------------------------------------------------ 12.2


def _steps(loss, params, x, y, lr, steps, moves):
    """In step k the names for which moves(k, name) move."""
    for k in range(steps):
        slope = ref.grad(loss)(params, x, y)
        params = {n: v - lr * slope[n] if moves(k, n) else v for n, v in params.items()}
    return params


@wrong_answer("12.freeze", says="nothing is frozen")
def nothing_frozen(loss, params, x, y, lr, steps, moving):
    return ref.adapt(loss, params, x, y, lr, steps)


@wrong_answer("12.freeze", says="the wrong way round")
def froze_what_moves(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: n not in moving)


@wrong_answer("12.freeze", says="a network that is not there any more")
def put_back_at_the_end(loss, params, x, y, lr, steps, moving):
    phi = ref.adapt(loss, params, x, y, lr, steps)
    return {n: phi[n] if n in moving else params[n] for n in params}


@wrong_answer("12.freeze", says="frozen in the first step alone")
def frozen_once(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: k > 0 or n in moving)


@wrong_answer("12.freeze", says="the first step moves all")
def frozen_later(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: k == 0 or n in moving)


@wrong_answer("12.freeze", says="only the last step freezes")
def frozen_last(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: k < steps - 1 or n in moving)


@wrong_answer("12.freeze", says="the frozen parameters are set to zero")
def zero_at_the_end(loss, params, x, y, lr, steps, moving):
    phi = _steps(loss, params, x, y, lr, steps, lambda k, n: n in moving)
    return {n: v if n in moving else 0 * v for n, v in phi.items()}


@wrong_answer("12.freeze", says="are zero while the others move")
def zero_all_along(loss, params, x, y, lr, steps, moving):
    start = {n: v if n in moving else np.zeros_like(v) for n, v in params.items()}
    return _steps(loss, start, x, y, lr, steps, lambda k, n: n in moving)


@wrong_answer("12.freeze", says="are zero in the loop")
def zero_in_the_loop(loss, params, x, y, lr, steps, moving):
    phi = zero_all_along(loss, params, x, y, lr, steps, moving)
    return {n: phi[n] if n in moving else params[n] for n in params}


@wrong_answer("12.freeze", says="are missing in φ")
def moving_ones_alone(loss, params, x, y, lr, steps, moving):
    phi = _steps(loss, params, x, y, lr, steps, lambda k, n: n in moving)
    return {n: phi[n] for n in moving}


@wrong_answer("12.freeze", says="move slowly")
def a_tenth_of_the_rate(loss, params, x, y, lr, steps, moving):
    rates = {n: lr if n in moving else lr / 10 for n in params}
    for _ in range(steps):
        slope = ref.grad(loss)(params, x, y)
        params = {n: v - rates[n] * slope[n] for n, v in params.items()}
    return params


@wrong_answer("12.freeze", says="a whole layer moves")
def layer_by_layer(loss, params, x, y, lr, steps, moving):
    layers = {n[-1] for n in moving}
    return _steps(loss, params, x, y, lr, steps, lambda k, n: n[-1] in layers)


@wrong_answer("12.freeze", says="only the first name")
def the_first_name(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: n in moving[:1])


@wrong_answer("12.freeze", says="only the weights move")
def weights_alone(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps, lambda k, n: n in moving and n.startswith("w"))


@wrong_answer("12.freeze", says="not that everything does")
def empty_means_all(loss, params, x, y, lr, steps, moving):
    moving = moving or list(params)
    return _steps(loss, params, x, y, lr, steps, lambda k, n: n in moving)


@wrong_answer("12.freeze", says="one after the other")
def one_after_the_other(loss, params, x, y, lr, steps, moving):
    params = dict(params)
    for _ in range(steps):
        for name in params:
            if name in moving:
                params[name] = params[name] - lr * ref.grad(loss)(params, x, y)[name]
    return params


@wrong_answer("12.freeze", says="in the order of moving, each from where")
def in_the_order_of_moving(loss, params, x, y, lr, steps, moving):
    phi = {name: value.copy() for name, value in params.items()}
    for _ in range(steps):
        for k in moving:
            phi[k] -= lr * ref.grad(loss)(phi, x, y)[k]
    return phi


@wrong_answer("12.freeze", says="takes all its steps before the next one moves: all")
def one_name_first(loss, params, x, y, lr, steps, moving):
    phi = dict(params)
    for k in moving:
        for _ in range(steps):
            phi[k] = phi[k] - lr * ref.grad(loss)(phi, x, y)[k]
    return phi


@wrong_answer("12.freeze", says="in the order of θ")
def one_name_first_as_in_theta(loss, params, x, y, lr, steps, moving):
    return one_name_first(loss, params, x, y, lr, steps, [n for n in params if n in moving])


@wrong_answer("12.freeze", says="one example at a time")
def one_example_at_a_time(loss, params, x, y, lr, steps, moving):
    for i in list(range(len(x))) * steps:
        one = ref.grad(loss)(params, x[i : i + 1], y[i : i + 1])
        params = params | {n: params[n] - lr * one[n] for n in moving}
    return params


@wrong_answer("12.freeze", says="φ needs all names of params")
def frozen_ones_dropped(loss, params, x, y, lr, steps, moving):
    for _ in range(steps):
        slope = ref.grad(loss)(params, x, y)
        params = {n: params[n] - lr * slope[n] for n in moving}
    return params


@wrong_answer("12.freeze", says="taken at θ in every step")
def slope_at_theta(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr * steps, 1, lambda k, n: n in moving)


@wrong_answer("12.freeze", says="this goes uphill")
def uphill(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, -lr, steps, lambda k, n: n in moving)


@wrong_answer("12.freeze", says="does every step start at θ again")
def from_theta_each_time(loss, params, x, y, lr, steps, moving):
    for _ in range(steps):
        phi = _steps(loss, params, x, y, lr, 1, lambda k, n: n in moving)
    return phi


@wrong_answer("12.freeze", says="one step short")
def a_step_short(loss, params, x, y, lr, steps, moving):
    return _steps(loss, params, x, y, lr, steps - 1, lambda k, n: n in moving)


@wrong_answer("12.freeze", says="in place")
def in_place(loss, params, x, y, lr, steps, moving):
    for _ in range(steps):
        slope = ref.grad(loss)(params, x, y)
        for name in moving:
            params[name] -= lr * slope[name]
    return params


@right_answer("12.freeze", why="the frozen ones are put back after every step")
def put_back_each_time(loss, params, x, y, lr, steps, moving):
    phi = params
    for _ in range(steps):
        phi = ref.adapt(loss, phi, x, y, lr, 1)
        phi = {n: phi[n] if n in moving else params[n] for n in params}
    return phi


@right_answer("12.freeze", why="the gradient of the moving ones alone, the others are constants")
def a_smaller_gradient(loss, params, x, y, lr, steps, moving):
    part = {n: params[n] for n in moving}
    for _ in range(steps if moving else 0):
        slope = ref.grad(lambda p: loss({**params, **p}, x, y))(part)
        part = {n: part[n] - lr * slope[n] for n in part}
    return {**params, **part}


@right_answer(
    "12.freeze", why="a rate of zero for the frozen ones, other order of the keys, float32"
)
def rates_of_zero(loss, params, x, y, lr, steps, moving):
    rates = {n: np.full(v.shape, lr * (n in moving)) for n, v in params.items()}
    phi = ref.adapt(loss, params, x, y, rates, steps)
    return {n: phi[n].astype(np.float32) for n in sorted(phi)}


# ------------------------------------------------------------------ 12.3


def _solved(z, t, strength):
    return np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T @ t)


def _head(features, targets, queries, strength):
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    return (queries - mean) @ _solved(features - mean, targets - middle, strength) + middle


@wrong_answer("12.ridge_head", says="the offset is penalised")
def penalised_offset(features, targets, queries, strength):
    z, q = (np.hstack([m, np.ones((len(m), 1))]) for m in (features, queries))
    return q @ _solved(z, targets, strength)


@wrong_answer("12.ridge_head", says="there is no offset")
def no_offset(features, targets, queries, strength):
    return queries @ _solved(features, targets, strength)


@wrong_answer("12.ridge_head", says="the targets are centred and the features are not")
def targets_centred(features, targets, queries, strength):
    middle = targets.mean(axis=0)
    return queries @ _solved(features, targets - middle, strength) + middle


@wrong_answer("12.ridge_head", says="and used on centred ones")
def queries_centred_alone(features, targets, queries, strength):
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    return (queries - mean) @ _solved(features, targets - middle, strength) + middle


@wrong_answer("12.ridge_head", says="an offset that fits the means comes too late")
def offset_afterwards(features, targets, queries, strength):
    w = _solved(features, targets, strength)
    return queries @ w + (targets.mean(axis=0) - features.mean(axis=0) @ w)


@wrong_answer("12.ridge_head", says="the mean of the targets is not added")
def mean_left_out(features, targets, queries, strength):
    return _head(features, targets, queries, strength) - targets.mean(axis=0)


@wrong_answer("12.ridge_head", says="nor the targets' mean added")
def weights_alone_in_the_end(features, targets, queries, strength):
    return queries @ _solved(features - features.mean(axis=0), targets, strength)


@wrong_answer("12.ridge_head", says="the queries are not centred")
def raw_queries(features, targets, queries, strength):
    w = _solved(features - features.mean(axis=0), targets - targets.mean(axis=0), strength)
    return queries @ w + targets.mean(axis=0)


@wrong_answer("12.ridge_head", says="centred by their own mean")
def mean_of_the_queries(features, targets, queries, strength):
    w = _solved(features - features.mean(axis=0), targets, strength)
    return (queries - queries.mean(axis=0)) @ w + targets.mean(axis=0)


@wrong_answer("12.ridge_head", says="over support set and queries together")
def mean_of_both(features, targets, queries, strength):
    mean = np.vstack([features, queries]).mean(axis=0)
    w = _solved(features - mean, targets - targets.mean(axis=0), strength)
    return (queries - mean) @ w + targets.mean(axis=0)


@wrong_answer("12.ridge_head", says="each example is centred")
def rows_centred(features, targets, queries, strength):
    z, q = (m - m.mean(axis=1, keepdims=True) for m in (features, queries))
    return q @ _solved(z, targets - targets.mean(axis=0), strength) + targets.mean(axis=0)


@wrong_answer("12.ridge_head", says="one offset for all outputs")
def one_offset(features, targets, queries, strength):
    return mean_left_out(features, targets, queries, strength) + targets.mean()


@wrong_answer("12.ridge_head", says="divided by their standard deviations")
def scaled_features(features, targets, queries, strength):
    mean, spread = features.mean(axis=0), features.std(axis=0)
    return _head((features - mean) / spread, targets, (queries - mean) / spread, strength)


@wrong_answer("12.ridge_head", says="there is no penalty")
def least_squares(features, targets, queries, strength):
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    w = np.linalg.lstsq(features - mean, targets - middle, rcond=None)[0]
    return (queries - mean) @ w + middle


@wrong_answer("12.ridge_head", says="multiplied by the number of examples")
def mean_of_errors(features, targets, queries, strength):
    return _head(features, targets, queries, strength * len(features))


@wrong_answer("12.ridge_head", says="multiplied by the number of targets")
def mean_of_all_errors(features, targets, queries, strength):
    return _head(features, targets, queries, strength * targets.size)


@wrong_answer("12.ridge_head", says="multiplied by half the number of examples")
def mean_of_errors_half_the_penalty(features, targets, queries, strength):
    return _head(features, targets, queries, strength * len(features) / 2)


def _with_ones(features, targets, queries, strength, first, free):
    """The ridge head of features with a column of ones, of whose penalty one entry is free."""
    columns = lambda m: [np.ones((len(m), 1)), m] if first else [m, np.ones((len(m), 1))]
    z, q = np.hstack(columns(features)), np.hstack(columns(queries))
    penalty = strength * np.eye(z.shape[1])
    penalty[free, free] = 0.0
    return q @ np.linalg.solve(z.T @ z + penalty, z.T @ targets)


@wrong_answer("12.ridge_head", says="the column of ones stands first")
def last_entry_free(features, targets, queries, strength):
    return _with_ones(features, targets, queries, strength, first=True, free=-1)


@wrong_answer("12.ridge_head", says="the column of ones stands last")
def first_entry_free(features, targets, queries, strength):
    return _with_ones(features, targets, queries, strength, first=False, free=0)


@wrong_answer("12.ridge_head", says="divided by the number of examples")
def penalty_per_example(features, targets, queries, strength):
    return _head(features, targets, queries, strength / len(features))


@wrong_answer("12.ridge_head", says="the penalty is squared")
def rows_without_the_root(features, targets, queries, strength):
    mean, middle, width = features.mean(axis=0), targets.mean(axis=0), features.shape[1]
    z = np.vstack([features - mean, strength * np.eye(width)])
    t = np.vstack([targets - middle, np.zeros((width, targets.shape[1]))])
    return (queries - mean) @ np.linalg.lstsq(z, t, rcond=None)[0] + middle


@wrong_answer("12.ridge_head", says="this takes the root of λ")
def root_of_the_penalty(features, targets, queries, strength):
    return _head(features, targets, queries, np.sqrt(strength))


@wrong_answer("12.ridge_head", says="the penalty is doubled")
def doubled(features, targets, queries, strength):
    return _head(features, targets, queries, 2 * strength)


@wrong_answer("12.ridge_head", says="the penalty is halved")
def halved(features, targets, queries, strength):
    return _head(features, targets, queries, strength / 2)


@wrong_answer("12.ridge_head", says="added to every entry of XᵀX")
def no_identity(features, targets, queries, strength):
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    z = features - mean
    w = np.linalg.lstsq(z.T @ z + strength, z.T @ (targets - middle), rcond=None)[0]
    return (queries - mean) @ w + middle


@wrong_answer("12.ridge_head", says="λ is subtracted")
def the_wrong_sign(features, targets, queries, strength):
    return _head(features, targets, queries, -strength)


@right_answer(
    "12.ridge_head", why="an offset of its own, without a penalty on it; nothing is centred"
)
def offset_without_penalty(features, targets, queries, strength):
    z, q = (np.hstack([m, np.ones((len(m), 1))]) for m in (features, queries))
    penalty = strength * np.eye(z.shape[1])
    penalty[-1, -1] = 0.0
    return q @ np.linalg.solve(z.T @ z + penalty, z.T @ targets)


@right_answer("12.ridge_head", why="by the examples' inner products; a list of lists")
def by_inner_products(features, targets, queries, strength):
    z, middle = features - features.mean(0), targets.mean(0)
    a = np.linalg.solve(z @ z.T + strength * np.eye(len(z)), targets - middle)
    return ((queries - features.mean(0)) @ z.T @ a + middle).tolist()


@right_answer(
    "12.ridge_head", why="as least squares, with the root of λ in rows of its own; float32"
)
def as_least_squares(features, targets, queries, strength):
    mean, middle, width = features.mean(axis=0), targets.mean(axis=0), features.shape[1]
    z = np.vstack([features - mean, np.sqrt(strength) * np.eye(width)])
    t = np.vstack([targets - middle, np.zeros((width, targets.shape[1]))])
    w = np.linalg.lstsq(z, t, rcond=None)[0]
    return ((queries - mean) @ w + middle).astype(np.float32)


# ------------------------------------------------------------------ 12.4


NO_NEED, ADAPTS = ("no need", "new", "query", "before"), ("adapts", "new", "query", "after")
KNOWS, OWN = ("memorised", "own", "query", "before"), ("own tasks only", "own", "query", "after")
FITS = ("fits the support", "own", "support", "after")


def _read(losses, baseline, *lines, middle=np.median, last="nothing"):
    """The word of the first line whose curve is low."""
    for word, tasks, points, time in lines:
        if middle(losses[tasks][points][time]) < baseline / 2:
            return word
    return last


@wrong_answer("12.memorised", says="no success of adapting")
def low_at_once_is_success(losses, baseline):
    at_once = ("adapts", *NO_NEED[1:])
    return _read(losses, baseline, at_once, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="has not become so by adapting")
def no_first_line(losses, baseline):
    return _read(losses, baseline, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="ask about the new tasks first")
def own_tasks_first(losses, baseline):
    return _read(losses, baseline, KNOWS, NO_NEED, ADAPTS, OWN, FITS)


@wrong_answer("12.memorised", says="the second line comes before the third")
def memory_before_adapting(losses, baseline):
    return _read(losses, baseline, NO_NEED, KNOWS, ADAPTS, OWN, FITS)


@wrong_answer("12.memorised", says="what was low before is no work of the steps")
def adapting_before_need(losses, baseline):
    return _read(losses, baseline, ADAPTS, NO_NEED, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="read from below")
def the_last_line_wins(losses, baseline):
    return _read(losses, baseline, FITS, OWN, KNOWS, ADAPTS, NO_NEED)


@wrong_answer("12.memorised", says="may have been low before them")
def after_before_before(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, OWN, KNOWS, FITS)


@wrong_answer("12.memorised", says="are exchanged")
def two_words_exchanged(losses, baseline):
    swapped = ("own tasks only", *KNOWS[1:]), ("memorised", *OWN[1:])
    return _read(losses, baseline, NO_NEED, ADAPTS, *swapped, FITS)


@wrong_answer("12.memorised", says="memorised never comes")
def never_memorised(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, OWN, FITS)


@wrong_answer("12.memorised", says="the support set may not be fitted either")
def the_support_always_fits(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, last="fits the support")


@wrong_answer("12.memorised", says="the new tasks are not looked at")
def own_tasks_alone(losses, baseline):
    both = {"new": losses["own"], "own": losses["own"]}
    return _read(both, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="the own tasks are not looked at")
def new_tasks_alone(losses, baseline):
    both = {"new": losses["new"], "own": losses["new"]}
    return _read(both, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="to which it was just fitted")
def adapts_to_the_support(losses, baseline):
    support = ("adapts", "new", "support", "after")
    return _read(losses, baseline, NO_NEED, support, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="whether there is need is judged by the support set")
def need_by_the_support(losses, baseline):
    support = ("no need", "new", "support", "before")
    return _read(losses, baseline, support, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="whether it is memorised is judged by the support set")
def memory_by_the_support(losses, baseline):
    support = ("memorised", "own", "support", "before")
    return _read(losses, baseline, NO_NEED, ADAPTS, support, OWN, FITS)


@wrong_answer("12.memorised", says="everything is judged by the support set")
def support_sets_alone(losses, baseline):
    seen = {k: {"query": v["support"], "support": v["support"]} for k, v in losses.items()}
    return _read(seen, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="better than before is not yet low")
def any_progress_adapts(losses, baseline):
    new = {time: np.median(curve) for time, curve in losses["new"]["query"].items()}
    if new["before"] < baseline / 2:
        return "no need"
    if new["after"] < new["before"]:
        return "adapts"
    return _read(losses, baseline, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="known by heart is known before them")
def memory_after_the_steps(losses, baseline):
    after = ("memorised", *OWN[1:])
    return _read(losses, baseline, NO_NEED, ADAPTS, after, OWN, FITS)


@wrong_answer("12.memorised", says="whether there is need is judged on the own tasks")
def need_of_the_own(losses, baseline):
    own = ("no need", *KNOWS[1:])
    return _read(losses, baseline, own, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="whether it fits the support is judged on the new tasks")
def fits_new_support(losses, baseline):
    new = ("fits the support", "new", "support", "after")
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, new)


@wrong_answer("12.memorised", says="a few runaways decide it")
def by_the_mean(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=np.mean)


@wrong_answer("12.memorised", says="this takes the best task")
def by_the_best(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=np.min)


@wrong_answer("12.memorised", says="this takes the worst task")
def by_the_worst(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=np.max)


@wrong_answer("12.memorised", says="the first task alone")
def by_the_first(losses, baseline):
    first = lambda curve: curve[0]
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=first)


@wrong_answer("12.memorised", says="compares with the baseline itself")
def not_the_half(losses, baseline):
    return _read(losses, 2 * baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS)


@wrong_answer("12.memorised", says="one of the six words")
def a_word_of_its_own(losses, baseline):
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS).upper()


@wrong_answer("12.memorised", says="of new tasks counts as well")
def any_support_fits(losses, baseline):
    new = ("fits the support", "new", "support", "after")
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, new)


@wrong_answer("12.memorised", says="where the support loss was high before")
def fits_and_did_not_before(losses, baseline):
    word = _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS)
    before = np.median(losses["own"]["support"]["before"]) < baseline / 2
    return "nothing" if word == "fits the support" and before else word


@wrong_answer("12.memorised", says="the support loss has to be low as well")
def support_and_query(losses, baseline):
    low = lambda *where: _read(losses, baseline, ("yes", *where)) == "yes"
    for word, tasks, points, time in (NO_NEED, ADAPTS, KNOWS, OWN, FITS):
        asks_both = word in ("adapts", "own tasks only")
        if low(tasks, points, time) and (not asks_both or low(tasks, "support", time)):
            return word
    return "nothing"


@wrong_answer("12.memorised", says="half of its own loss before the steps")
def half_of_before(losses, baseline):
    for word, tasks, points, time in (NO_NEED, ADAPTS, KNOWS, OWN, FITS):
        curves = losses[tasks][points]
        limit = baseline if time == "before" else np.median(curves["before"])
        if np.median(curves[time]) < limit / 2:
            return word
    return "nothing"


@wrong_answer("12.memorised", says="the mean of the finite losses")
def finite_mean(losses, baseline):
    of = lambda curve: curve[curve < np.inf].mean()
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=of)


@wrong_answer("12.memorised", says="left out of the median")
def finite_median(losses, baseline):
    of = lambda curve: np.nanmedian(np.where(np.isinf(curve), np.nan, curve))
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=of)


@wrong_answer("12.memorised", says="infinities become NaN")
def infinities_to_nan(losses, baseline):
    of = lambda curve: np.median(np.where(np.isinf(curve), np.nan, curve))
    return _read(losses, baseline, NO_NEED, ADAPTS, KNOWS, OWN, FITS, middle=of)


@right_answer("12.memorised", why="most tasks are counted, there is no median")
def by_counting(losses, baseline):
    for word, tasks, points, time in (NO_NEED, ADAPTS, KNOWS, OWN, FITS):
        if np.mean(2 * losses[tasks][points][time] < baseline) > 0.5:
            return word
    return "nothing"


@right_answer("12.memorised", why="Python's own median, and nested conditions")
def by_conditions(losses, baseline):
    low = lambda *at: statistics.median(losses[at[0]][at[1]][at[2]].tolist()) * 2 < baseline
    if low("new", "query", "after") or low("new", "query", "before"):
        return "no need" if low("new", "query", "before") else "adapts"
    if low("own", "query", "before"):
        return "memorised"
    if low("own", "query", "after"):
        return "own tasks only"
    return "fits the support" if low("own", "support", "after") else "nothing"


@right_answer("12.memorised", why="later lines are overwritten by earlier ones; NumPy's words")
def from_below(losses, baseline):
    word = np.str_("nothing")
    for line in (FITS, OWN, KNOWS, ADAPTS, NO_NEED):
        word = str(np.array([word, line[0]])[int(_read(losses, baseline, line) == line[0])])
    return word


# ------------------------------------------------------------------ 12.5


def _means(errors, step):
    """Mean errors (alphas,), infinite where one is not finite."""
    means = errors[:, step].mean(axis=1)
    return np.where(np.isnan(means), np.inf, means)


def _search(alphas, val, test, step, score, report=None):
    """{method: (α, error)} with the smallest score(method) of all α."""
    out = {}
    for name in val:
        best = int(np.argmin(score(name)))
        error = report(name, best) if report else test[name][best, step].mean()
        out[name] = (float(alphas[best]), float(error))
    return out


@wrong_answer("12.fair_alpha", says="which may cripple it")
def alpha_of_the_first(alphas, val, test, step):
    first = next(iter(val))
    return _search(alphas, val, test, step, lambda name: _means(val[first], step))


@wrong_answer("12.fair_alpha", says="the α of the last one")
def alpha_of_the_last(alphas, val, test, step):
    last = list(val)[-1]
    return _search(alphas, val, test, step, lambda name: _means(val[last], step))


@wrong_answer("12.fair_alpha", says="one α for all methods")
def one_for_all(alphas, val, test, step):
    total = np.mean([_means(errors, step) for errors in val.values()], axis=0)
    return _search(alphas, val, test, step, lambda name: total)


@wrong_answer("12.fair_alpha", says="α is chosen on the test episodes")
def chosen_on_test(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: _means(test[name], step))


@wrong_answer("12.fair_alpha", says="on validation and test episodes together")
def chosen_on_both(alphas, val, test, step):
    both = {name: np.concatenate([val[name], test[name]], axis=2) for name in val}
    return _search(alphas, val, test, step, lambda name: _means(both[name], step))


@wrong_answer("12.fair_alpha", says="chosen by the error after the last step")
def chosen_after_the_last(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: _means(val[name], -1))


@wrong_answer("12.fair_alpha", says="chosen by the error after one step")
def chosen_after_one(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: _means(val[name], 1))


@wrong_answer("12.fair_alpha", says="chosen by the error one step earlier")
def chosen_too_early(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: _means(val[name], step - 1))


@wrong_answer("12.fair_alpha", says="by the best of all steps")
def chosen_by_the_best_step(alphas, val, test, step):
    every = lambda errors: [_means(errors, k) for k in range(errors.shape[1])]
    return _search(alphas, val, test, step, lambda name: np.min(every(val[name]), axis=0))


@wrong_answer("12.fair_alpha", says="diverges after `step` steps is left out as well")
def all_steps_finite(alphas, val, test, step):
    def score(name):
        finite = np.isfinite(val[name]).all(axis=(1, 2))
        return np.where(finite, _means(val[name], step), np.inf)

    return _search(alphas, val, test, step, score)


@wrong_answer("12.fair_alpha", says="left out of the mean (nanmean)")
def by_nanmean(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: np.nanmean(val[name][:, step], axis=1))


@wrong_answer("12.fair_alpha", says="only the finite episodes count")
def by_finite_episodes(alphas, val, test, step):
    def score(name):
        errors = val[name][:, step]
        return np.ma.masked_invalid(errors).mean(axis=1).filled(np.inf)

    return _search(alphas, val, test, step, score)


@wrong_answer("12.fair_alpha", says="NaN wins")
def nan_wins(alphas, val, test, step):
    return _search(alphas, val, test, step, lambda name: val[name][:, step].mean(axis=1))


@wrong_answer("12.fair_alpha", says="the median over the episodes chooses")
def by_the_median(alphas, val, test, step):
    def score(name):
        medians = np.median(val[name][:, step], axis=1)
        return np.where(np.isfinite(medians), medians, np.inf)

    return _search(alphas, val, test, step, score)


@wrong_answer("12.fair_alpha", says="this is the validation error")
def validation_error(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: val[name][best, step].mean()
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="this is the test error after the last step")
def error_after_the_last(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: test[name][best, -1].mean()
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="this is the lowest test error of all steps")
def error_of_the_best_step(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: min(one.mean() for one in test[name][best])
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="this is the median test error")
def median_error(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: np.median(test[name][best, step])
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="this is the lowest test error of all α")
def lowest_error(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: test[name][:, step].mean(axis=1).min()
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="each test episode takes the α")
def an_alpha_for_each_episode(alphas, val, test, step):
    score = lambda name: _means(val[name], step)
    report = lambda name, best: test[name][:, step].min(axis=0).mean()
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="the place of α in the list")
def place_of_alpha(alphas, val, test, step):
    places = np.arange(len(alphas), dtype=float)
    return _search(places, val, test, step, lambda name: _means(val[name], step))


@wrong_answer("12.fair_alpha", says="error and α are exchanged")
def error_first(alphas, val, test, step):
    chosen = _search(alphas, val, test, step, lambda name: _means(val[name], step))
    return {name: (error, alpha) for name, (alpha, error) in chosen.items()}


@wrong_answer("12.fair_alpha", says="the grid is sorted")
def sorted_grid(alphas, val, test, step):
    return _search(sorted(alphas), val, test, step, lambda name: _means(val[name], step))


@wrong_answer("12.fair_alpha", says="are one step early")
def early_in_both(alphas, val, test, step):
    return _search(alphas, val, test, step - 1, lambda name: _means(val[name], step - 1))


@wrong_answer("12.fair_alpha", says="are one step late")
def late_in_both(alphas, val, test, step):
    return early_in_both(alphas, val, test, step + 2)


@wrong_answer("12.fair_alpha", says="and the median is reported")
def medians_in_both(alphas, val, test, step):
    def score(name):
        medians = np.median(val[name][:, step], axis=1)
        return np.where(np.isfinite(medians), medians, np.inf)

    report = lambda name, best: np.median(test[name][best, step])
    return _search(alphas, val, test, step, score, report)


@wrong_answer("12.fair_alpha", says="it is 0, the best error there is")
def nan_to_zero(alphas, val, test, step):
    score = lambda name: np.nan_to_num(val[name][:, step].mean(axis=1))
    return _search(alphas, val, test, step, score)


@right_answer("12.fair_alpha", why="a loop over the α that are finite, the smallest pair wins")
def by_pairs(alphas, val, test, step):
    out = {}
    for name in sorted(val):
        rows = [(r[step].mean(), i) for i, r in enumerate(val[name]) if np.isfinite(r[step]).all()]
        best = min(rows)[1]
        out[name] = (alphas[best], sum(test[name][best, step]) / test[name].shape[2])
    return out


@right_answer("12.fair_alpha", why="nanargmin of the means; lists; float32 in the end")
def by_nanargmin(alphas, val, test, step):
    out = {}
    for name, errors in val.items():
        best = np.nanargmin(np.average(errors[:, step, :], axis=-1))
        out[name] = [alphas[best], np.float32(test[name][best].mean(axis=1)[step])]
    return out


@right_answer("12.fair_alpha", why="all sums are sorted (NaN and infinity come last)")
def by_sorting(alphas, val, test, step):
    order = {name: errors[:, step].sum(axis=-1).argsort() for name, errors in val.items()}
    return {
        n: (float(alphas[places[0]]), float(np.mean(test[n][places[0], step])))
        for n, places in order.items()
    }


# ------------------------------------------------------------------ 12.6


def _means_of(features, labels, ways):
    return np.stack([features[labels == k].mean(axis=0) for k in range(ways)])


def _chances(scores, axis=1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _walked(w, b, features, labels, lr, steps, wrong_of=None, both=(1.0, 1.0)):
    """w, b after the steps; both: what the gradients of w and b are multiplied by."""
    target = np.eye(len(b))[labels]
    for _ in range(steps):
        scores = features @ w.T + b
        error = wrong_of(scores, target) if wrong_of else _chances(scores) - target
        error = error / len(labels)
        w, b = w - both[0] * lr * error.T @ features, b - both[1] * lr * error.sum(axis=0)
    return w, b


def _scored(task, start=None, **how):
    """Scores of the queries; start: class means → (w, b)."""
    features, labels, queries, ways, lr, steps = task
    c = _means_of(features, labels, ways)
    w, b = start(c) if start else (2 * c, -(c**2).sum(axis=1))
    w, b = _walked(w, b, features, labels, lr, steps, **how)
    return queries @ w.T + b


@wrong_answer("12.proto_maml", says="the bias at the start is missing")
def no_bias(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (2 * c, np.zeros(ways)))


@wrong_answer("12.proto_maml", says="the bias at the start has the wrong sign")
def bias_added(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (2 * c, (c**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="the factor 2 of the weights is missing")
def weights_are_means(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (c, -(c**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="the bias is half as large")
def half_the_bias(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (2 * c, -(c**2).sum(axis=1) / 2))


@wrong_answer("12.proto_maml", says="weights and bias are half as large")
def half_of_both(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (c, -(c**2).sum(axis=1) / 2))


@wrong_answer("12.proto_maml", says="its square is asked for")
def bias_is_the_length(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (2 * c, -np.linalg.norm(c, axis=1)))


@wrong_answer("12.proto_maml", says="these are distances")
def distances(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (-2 * c, (c**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="the head starts at zero")
def from_zero(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, lambda c: (0 * c, np.zeros(ways)))


@wrong_answer("12.proto_maml", says="the class means are sums")
def sums_of_classes(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    total = np.eye(ways)[labels].T @ features
    return _scored(task, lambda c: (2 * total, -(total**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="divided by the same number of examples")
def as_if_equally_many(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    total = np.eye(ways)[labels].T @ features / (len(labels) / ways)
    return _scored(task, lambda c: (2 * total, -(total**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="the first example of each class")
def first_examples(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    first = features[[labels.tolist().index(k) for k in range(ways)]]
    return _scored(task, lambda c: (2 * first, -(first**2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="in the order in which they appear")
def order_of_appearance(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    seen = list({int(label): None for label in labels})
    return _scored(task, lambda c: (2 * c[seen], -(c[seen] ** 2).sum(axis=1)))


@wrong_answer("12.proto_maml", says="scaled to length 1")
def unit_means(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(
        task, lambda c: (2 * c / np.linalg.norm(c, axis=1, keepdims=True), -np.ones(ways))
    )


@wrong_answer("12.proto_maml", says="the head does not move")
def nearest_class_mean(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, 0))


@wrong_answer("12.proto_maml", says="the bias does not move")
def bias_stays(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, steps), both=(1.0, 0.0))


@wrong_answer("12.proto_maml", says="the weights do not move")
def weights_stay(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, steps), both=(0.0, 1.0))


@wrong_answer("12.proto_maml", says="the head is built from them")
def means_move(features, labels, queries, ways, lr, steps):
    c, target = _means_of(features, labels, ways), np.eye(ways)[labels]
    for _ in range(steps):
        error = _chances(2 * features @ c.T - (c**2).sum(axis=1)) - target  # (n, ways)
        away = features[:, None] - c  # (n, ways, width)
        c = c - lr * 2 * np.einsum("nk,nkd->kd", error, away) / len(labels)
    return 2 * queries @ c.T - (c**2).sum(axis=1)


@wrong_answer("12.proto_maml", says="the errors are summed over the support set")
def summed_errors(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, len(labels) * lr, steps))


@wrong_answer("12.proto_maml", says="those of the bias averaged")
def mean_for_the_bias_alone(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, steps), both=(len(labels), 1.0))


@wrong_answer("12.proto_maml", says="over examples and classes")
def mean_over_classes_too(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr / ways, steps))


@wrong_answer("12.proto_maml", says="there is no softmax")
def squared_error(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, wrong_of=lambda scores, target: scores - target)


@wrong_answer("12.proto_maml", says="the target is not subtracted")
def probabilities_alone(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, wrong_of=lambda scores, target: _chances(scores))


@wrong_answer("12.proto_maml", says="the softmax runs over the examples")
def softmax_over_examples(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, wrong_of=lambda scores, target: _chances(scores, axis=0) - target)


@wrong_answer("12.proto_maml", says="a sigmoid of its own")
def sigmoids(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, wrong_of=lambda scores, target: 1 / (1 + np.exp(-scores)) - target)


@wrong_answer("12.proto_maml", says="this goes uphill")
def up_the_hill(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, -lr, steps))


@wrong_answer("12.proto_maml", says="the slope of the start is taken in every step")
def one_slope(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr * steps, 1 if steps else 0))


@wrong_answer("12.proto_maml", says="one step short")
def one_step_short(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, steps - 1))


@wrong_answer("12.proto_maml", says="‖f‖² is subtracted from the scores")
def minus_the_square(features, labels, queries, ways, lr, steps):
    scores = _scored((features, labels, queries, ways, lr, steps))
    return scores - (queries**2).sum(axis=1, keepdims=True)


@wrong_answer("12.proto_maml", says="these are probabilities")
def probabilities(features, labels, queries, ways, lr, steps):
    return _chances(_scored((features, labels, queries, ways, lr, steps)))


@wrong_answer("12.proto_maml", says="these are logarithms of probabilities")
def log_probabilities(features, labels, queries, ways, lr, steps):
    scores = _scored((features, labels, queries, ways, lr, steps))
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


@wrong_answer("12.proto_maml", says="each class weighs the same")
def balanced_classes(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    share = len(labels) / (ways * np.bincount(labels, minlength=ways)[labels])  # (n,)
    return _scored(task, wrong_of=lambda s, y: share[:, None] * (_chances(s) - y))


@wrong_answer("12.proto_maml", says="averaged twice")
def bias_averaged_twice(features, labels, queries, ways, lr, steps):
    return _scored((features, labels, queries, ways, lr, steps), both=(1.0, 1 / len(labels)))


@wrong_answer("12.proto_maml", says="the bias steps after the weights")
def bias_after_weights(features, labels, queries, ways, lr, steps):
    c, target, n = _means_of(features, labels, ways), np.eye(ways)[labels], len(labels)
    w, b = 2 * c, -(c**2).sum(axis=1)
    for _ in range(steps):
        w = w - lr * (_chances(features @ w.T + b) - target).T @ features / n
        b = b - lr * (_chances(features @ w.T + b) - target).sum(axis=0) / n
    return queries @ w.T + b


@wrong_answer("12.proto_maml", says="the softmax runs over the whole table")
def softmax_over_all(features, labels, queries, ways, lr, steps):
    task = features, labels, queries, ways, lr, steps
    return _scored(task, wrong_of=lambda scores, target: _chances(scores, axis=None) - target)


@wrong_answer("12.proto_maml", says="these are squared distances to the class means, without")
def squared_distances(features, labels, queries, ways, lr, steps):
    c = _means_of(features, labels, ways)
    return np.array([[np.sum((q - one) ** 2) for one in c] for q in queries])


@wrong_answer("12.proto_maml", says="with a minus, without steps")
def minus_squared_distances(features, labels, queries, ways, lr, steps):
    return -np.array(squared_distances(features, labels, queries, ways, lr, steps))


@right_answer("12.proto_maml", why="by the reference's own gradient, weights and bias in one array")
def by_the_reference(features, labels, queries, ways, lr, steps):
    c, target = _means_of(features, labels, ways), np.eye(ways)[labels]
    one = lambda x: np.concatenate([x, np.ones((len(x), 1))], axis=1)
    head = np.concatenate([2 * c, -(c**2).sum(axis=1, keepdims=True)], axis=1).T

    def loss(head):
        scores = one(features) @ head
        return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.sum(target * scores, axis=1))

    for _ in range(steps):
        head = head - lr * ref.grad(loss)(head)
    return one(queries) @ head


@right_answer("12.proto_maml", why="example by example, class by class; a list; float32 in the end")
def with_loops(features, labels, queries, ways, lr, steps):
    c = _means_of(features, labels, ways)
    w, b = [2 * one for one in c], [-one @ one for one in c]
    for _ in range(steps):
        dw, db = np.zeros_like(c), np.zeros(ways)
        for x, label in zip(features, labels, strict=True):
            p = np.exp([v @ x + o for v, o in zip(w, b, strict=True)])
            p /= p.sum()
            for k in range(ways):
                dw[k] += (p[k] - (k == label)) * x / len(labels)
                db[k] += (p[k] - (k == label)) / len(labels)
        w, b = [v - lr * d for v, d in zip(w, dw, strict=True)], b - lr * db
    return [[np.float32(v @ q + o) for v, o in zip(w, b, strict=True)] for q in queries]


@right_answer("12.proto_maml", why="by inner products of examples: w is kept as a sum of them")
def by_products(features, labels, queries, ways, lr, steps):
    target = np.eye(ways)[labels]
    a = 2 * target / target.sum(axis=0)  # w = aᵀ features
    gram = features @ features.T
    b = -np.einsum("nk,nm,mk->k", a, gram, a) / 4
    for _ in range(steps):
        error = (_chances(gram @ a + b) - target) / len(labels)
        a, b = a - lr * error, b - lr * error.sum(axis=0)
    return queries @ features.T @ a + b
