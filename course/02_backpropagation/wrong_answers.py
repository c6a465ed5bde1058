"""Wrong answers that a learner of chapter 02 might give, and what each is told; then unusual right ones."""

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 02.1


def _of_w(g, x):
    return sum(g[t].T @ x[t] for t in range(len(g)))


@wrong_answer("02.matmul_back", says="yours transposes once more")
def x_comes_back_through_the_transpose(g, x, w):
    return g @ w.T, _of_w(g, x)


@wrong_answer("02.matmul_back", says="yours is that of wᵀ")
def as_in_the_lesson(g, x, w):
    return g @ w, sum(x[t].T @ g[t] for t in range(len(g)))


@wrong_answer("02.matmul_back", says="both of yours are transposed")
def both_as_in_the_lesson(g, x, w):
    return g @ w.T, sum(x[t].T @ g[t] for t in range(len(g)))


@wrong_answer("02.matmul_back", says="yours has one slope of w per task")
def a_slope_per_task(g, x, w):
    return g @ w, np.swapaxes(g, 1, 2) @ x


@wrong_answer("02.matmul_back", says="so their parts are added: yours is their mean")
def mean_over_tasks(g, x, w):
    return g @ w, np.mean(np.swapaxes(g, 1, 2) @ x, axis=0)


@wrong_answer("02.matmul_back", says="the mean over the examples of each task")
def mean_over_examples(g, x, w):
    return g @ w, _of_w(g, x) / x.shape[1]


@wrong_answer("02.matmul_back", says="yours is the mean over both")
def mean_over_all(g, x, w):
    return g @ w, _of_w(g, x) / x.shape[0] / x.shape[1]


@wrong_answer("02.matmul_back", says="the last task's only")
def last_task(g, x, w):
    for t in range(len(g)):
        slope = g[t].T @ x[t]
    return g @ w, slope


@wrong_answer("02.matmul_back", says="the first task's only")
def first_task(g, x, w):
    return g @ w, g[0].T @ x[0]


@wrong_answer("02.matmul_back", says="yours are exchanged")
def in_the_wrong_order(g, x, w):
    return _of_w(g, x), g @ w


@wrong_answer("02.matmul_back", says="yours are summed over the tasks")
def x_summed_over_tasks(g, x, w):
    return (g @ w).sum(axis=0), _of_w(g, x)


@wrong_answer("02.matmul_back", says="yours adds the tasks first")
def tasks_added_first(g, x, w):
    return g @ w, g.sum(axis=0).T @ x.sum(axis=0)


@wrong_answer("02.matmul_back", says="not the product of the sums")
def product_of_sums(g, x, w):
    return g @ w, np.outer(g.sum(axis=(0, 1)), x.sum(axis=(0, 1)))


@wrong_answer("02.matmul_back", says="the slope g of the result is missing")
def without_g(g, x, w):
    return np.ones_like(g) @ w, _of_w(np.ones_like(g), x)


@wrong_answer("02.matmul_back", says="should be a tuple of 2")
def x_alone(g, x, w):
    return g @ w


# ------------------------------------------------------------------ 02.2


def _axes(g, shape):
    """(missing axes, axes of length 1), numbered as in g."""
    missing = g.ndim - len(shape)
    return tuple(range(missing)), tuple(missing + i for i, n in enumerate(shape) if n == 1)


@wrong_answer("02.unbroadcast", says="gets the sum of the parts: yours is their mean")
def averaged(g, shape):
    missing, ones = _axes(g, shape)
    return g.mean(axis=missing + ones).reshape(shape)


@wrong_answer("02.unbroadcast", says="you sum the missing axes only")
def as_for_a_bias(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    return g


@wrong_answer("02.unbroadcast", says="you sum the axes of length 1 only")
def ones_only(g, shape):
    return g.sum(axis=_axes(g, shape)[1], keepdims=True)


@wrong_answer("02.unbroadcast", says="those of length 1 must stay")
def ones_dropped(g, shape):
    missing, ones = _axes(g, shape)
    return g.sum(axis=missing + ones)


@wrong_answer("02.unbroadcast", says="so the missing ones are the first")
def aligned_at_the_first_axes(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=-1)
    for axis, length in enumerate(shape):
        if length == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


@wrong_answer("02.unbroadcast", says="in g each stands further back")
def stretched_axes_before_missing_ones(g, shape):
    for axis, length in enumerate(shape):
        if length == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


@wrong_answer("02.unbroadcast", says="yours has the first one only")
def first_slice(g, shape):
    for _ in range(g.ndim - len(shape)):
        g = g[0]
    return g[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


@wrong_answer("02.unbroadcast", says="yours is the largest")
def largest(g, shape):
    missing, ones = _axes(g, shape)
    return g.max(axis=missing + ones).reshape(shape)


@wrong_answer("02.unbroadcast", says="yours is the sum of everything")
def all_summed(g, shape):
    return np.full(shape, g.sum())


@wrong_answer("02.unbroadcast", says="go by their places")
def by_length(g, shape):
    for axis in reversed(range(g.ndim)):
        if g.shape[axis] not in shape:
            g = g.sum(axis=axis)
    return g


@wrong_answer("02.unbroadcast", says="reshaping adds nothing")
def resized(g, shape):
    return np.resize(g, shape)


@wrong_answer("02.unbroadcast", says="nothing has been summed")
def untouched(g, shape):
    return g


@wrong_answer("02.unbroadcast", says="you sum the first one only")
def one_axis_only(g, shape):
    if g.ndim > len(shape):
        g = g.sum(axis=0)
    if g.ndim > len(shape):
        return g
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def _one_of_the_ones(g, shape, which):
    missing, ones = _axes(g, shape)
    return g.sum(axis=ones[which], keepdims=True).sum(axis=missing)


@wrong_answer("02.unbroadcast", says="of these you sum the first one only")
def first_of_the_ones(g, shape):
    return _one_of_the_ones(g, shape, slice(0, 1))


@wrong_answer("02.unbroadcast", says="of these you sum the last one only")
def last_of_the_ones(g, shape):
    return _one_of_the_ones(g, shape, slice(-1, None))


# ------------------------------------------------------------------ 02.3


@wrong_answer("02.accumulate", says="the last part overwrites the others")
def overwrites(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] = slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="the first part that comes overwrites it")
def overwrites_the_seed(lines, seeds):
    slopes, met = seeds.copy(), set()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            part = slopes[i] * factor
            slopes[parent] = slopes[parent] + part if parent in met else part
            met.add(parent)
    return slopes


@wrong_answer("02.accumulate", says="you start from the last line's only")
def last_seed_only(lines, seeds):
    slopes = np.zeros(len(lines))
    slopes[-1] = seeds[-1]
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="as if it were the loss")
def as_in_the_lesson_s_tape(lines, seeds):
    return last_seed_only(lines, np.ones(len(lines)))


@wrong_answer("02.accumulate", says="yours all count as 1")
def seeds_as_flags(lines, seeds):
    slopes = np.where(seeds != 0, 1.0, 0.0)
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="its seed only. Is a line visited after")
def from_the_first(lines, seeds):
    slopes = seeds.copy()
    for i, pairs in enumerate(lines):
        for parent, factor in pairs:
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="is it the line's slope that is multiplied")
def seeds_passed_on(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += seeds[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="in yours its seed replaces what came")
def seed_replaces_the_sum(lines, seeds):
    slopes = np.zeros(len(lines))
    for i in reversed(range(len(lines))):
        if seeds[i] != 0:
            slopes[i] = seeds[i]
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="a line without a seed has a slope all the same")
def unseeded_lines_skipped(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        if seeds[i] == 0:
            continue
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="all seeds but the last line's are added")
def other_seeds_at_the_end(lines, seeds):
    slopes = last_seed_only(lines, seeds)
    slopes[:-1] += seeds[:-1]
    return slopes


@wrong_answer("02.accumulate", says="these are the seeds alone")
def seed_too_late(lines, seeds):
    slopes = np.zeros(len(lines))
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
        slopes[i] += seeds[i]
    return slopes


@wrong_answer("02.accumulate", says="in yours two equal pairs count once")
def pairs_as_a_set(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in set(lines[i]):
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="the second part of a line wins")
def as_dicts(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in dict(lines[i]).items():
            slopes[parent] += slopes[i] * factor
    return slopes


@wrong_answer("02.accumulate", says="in yours the second part of a line wins")
def added_at_once(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        parents = [parent for parent, _ in lines[i]]
        slopes[parents] += [
            slopes[i] * factor for _, factor in lines[i]
        ]  # a repeated index adds once
    return slopes


@wrong_answer("02.accumulate", says="you add the local factor to the slope")
def factors_added(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] + factor
    return slopes


@wrong_answer("02.accumulate", says="without its local factor")
def without_factors(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, _ in lines[i]:
            slopes[parent] += slopes[i]
    return slopes


@wrong_answer("02.accumulate", says="without the slope of the line itself")
def factors_only(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += factor
    return slopes


@wrong_answer("02.accumulate", says="this is forward mode")
def forward_mode(lines, seeds):
    moved = seeds.copy()
    for i, pairs in enumerate(lines):
        for parent, factor in pairs:
            moved[i] += moved[parent] * factor
    return moved


@wrong_answer("02.accumulate", says="0 except at the inputs")
def inputs_only(lines, seeds):
    slopes = seeds.copy()
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
        if lines[i]:
            slopes[i] = 0.0
    return slopes


@wrong_answer("02.accumulate", says="yours are turned round")
def in_order_of_visits(lines, seeds):
    slopes, found = seeds.copy(), []
    for i in reversed(range(len(lines))):
        found.append(slopes[i])
        for parent, factor in lines[i]:
            slopes[parent] += slopes[i] * factor
    return np.array(found)


@wrong_answer("02.accumulate", says="changes `seeds` in place")
def seeds_changed(lines, seeds):
    for i in reversed(range(len(lines))):
        for parent, factor in lines[i]:
            seeds[parent] += seeds[i] * factor
    return seeds


# ------------------------------------------------------------------ 02.4


@wrong_answer("02.order", says="this is breadth first")
def breadth_first(parents, out):
    queue, found = [out], []
    while queue:
        name = queue.pop(0)
        if name not in found:
            found.append(name)
            queue += parents[name]
    return found


@wrong_answer("02.order", says="this is depth first: a value")
def depth_first(parents, out):
    found = []

    def visit(name):
        if name not in found:
            found.append(name)
            for parent in parents[name]:
                visit(parent)

    visit(out)
    return found


@wrong_answer("02.order", says="depth first, from a stack")
def depth_first_from_a_stack(parents, out):
    stack, found = [out], []
    while stack:
        name = stack.pop()
        if name not in found:
            found.append(name)
            stack.extend(parents[name])
    return found


def _finished(parents, out):
    """The order of the forward pass."""
    found = []

    def visit(name):
        if name not in found:
            for parent in parents[name]:
                visit(parent)
            found.append(name)

    visit(out)
    return found


@wrong_answer("02.order", says="an order for the forward pass")
def not_turned_round(parents, out):
    return _finished(parents, out)


@wrong_answer("02.order", says="the order of the dict says nothing")
def as_listed(parents, out):
    wanted = _finished(parents, out)
    return [name for name in parents if name in wanted]


@wrong_answer("02.order", says="the order of the dict, turned round")
def as_listed_turned_round(parents, out):
    wanted = _finished(parents, out)
    return [name for name in parents if name in wanted][::-1]


@wrong_answer("02.order", says="the alphabet says nothing")
def alphabetical(parents, out):
    return sorted(_finished(parents, out))


@wrong_answer("02.order", says="has no part in this: leave it out")
def the_whole_dict(parents, out):
    found = []

    def visit(name):
        if name not in found:
            for parent in parents[name]:
                visit(parent)
            found.append(name)

    for name in [out, *parents]:
        visit(name)
    return found[::-1]


@wrong_answer("02.order", says="a name appears more than once")
def once_for_every_use(parents, out):
    found = [out]
    for name in found:
        found.extend(parents[name])
    return found


@wrong_answer("02.order", says="was itself made from something")
def the_first_generation(parents, out):
    return [out, *dict.fromkeys(parents[out])]


def _counting(parents, out, users, uses, take=-1):
    """Kahn's algorithm; users: who is counted at first; uses(names) of a user: what is taken off at its turn."""
    left = {name: sum(uses(parents[user]).count(name) for user in users) for name in parents}
    ready, found = [out], []
    while ready:
        found.append(ready.pop(take))
        for parent in parents[found[-1]]:
            left[parent] -= 1
            if left[parent] == 0:
                ready.append(parent)
    return found


@wrong_answer("02.order", says="for every use (visiting the oldest")
def users_counted_once_in_a_queue(parents, out):
    return _counting(parents, out, _finished(parents, out), lambda names: list(set(names)), take=0)


@wrong_answer("02.order", says="for every use (visiting the newest")
def users_counted_once_on_a_stack(parents, out):
    return _counting(parents, out, _finished(parents, out), lambda names: list(set(names)))


@wrong_answer("02.order", says="one that `out` does not depend on")
def all_users_are_counted(parents, out):
    return _counting(parents, out, parents, list, take=0)


@wrong_answer("02.order", says="one counted twice because it takes a value twice")
def uses_counted_and_users_taken_off(parents, out):
    left = dict.fromkeys(parents, 0)
    for user in _finished(parents, out):
        for parent in parents[user]:
            left[parent] += 1
    ready, found = [out], []
    while ready:
        found.append(ready.pop())
        for parent in set(parents[found[-1]]):
            left[parent] -= 1
            if left[parent] == 0:
                ready.append(parent)
    return found


@wrong_answer("02.order", says="`out` is missing")
def without_out(parents, out):
    return _finished(parents, out)[-2::-1]


@wrong_answer("02.order", says="the inputs are missing")
def without_inputs(parents, out):
    return [name for name in _finished(parents, out)[::-1] if parents[name]]


@wrong_answer("02.order", says="directly or not, are missing")
def along_the_first_parents(parents, out):
    found = [out]
    while parents[found[-1]]:
        found.append(parents[found[-1]][0])
    return found


@wrong_answer("02.order", says="before all that use it have been")
def fewest_users_first(parents, out):
    wanted = _finished(parents, out)[::-1]
    users = {name: sum(name in parents[user] for user in wanted) for name in wanted}
    rest = [name for name in wanted if name != out]
    return [out, *sorted(rest, key=lambda name: (users[name], name))]


@wrong_answer("02.order", says="a list of names")
def as_a_dict(parents, out):
    return {name: place for place, name in enumerate(_finished(parents, out)[::-1])}


# ------------------------------------------------------------------ 02.5


def _doubled(arrays):
    return {name: part.astype(np.float64) for name, part in arrays.items()}


def _along(loss, params, x, y, name, v, h=1e-5):
    ahead, behind = (loss(params | {name: params[name] + s * v}, x, y) for s in (h, -h))
    return (ahead - behind) / (2 * h)


def _in_double(verdict):
    """The names for which verdict(claim, measure) is true; measure(v) is the slope along v, in float64."""

    def names(loss, claimed, params, x, y):
        claimed, params = _doubled(claimed), _doubled(params)
        data = x.astype(np.float64), y.astype(np.float64)
        found = []
        for name in params:
            measure = lambda v, name=name: _along(loss, params, *data, name, v)
            if verdict(claimed[name], measure):
                found.append(name)
        return found

    return names


def _differ(p, q, tolerance=0.01):
    return abs(p - q) > tolerance * abs(q) + 1e-11


def _wrong_along_random(claim, measure, relative=0.01, absolute=0.0):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(12, *claim.shape))
    measured = np.array([measure(v) for v in directions])
    errors = np.array([np.sum(claim * v) for v in directions]) - measured
    return np.linalg.norm(errors) > relative * np.linalg.norm(measured) + absolute


@wrong_answer("02.wrong_slopes", says="you walk along the claimed slope itself")
def along_itself(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _differ(np.sum(claim * claim), measure(claim))
    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="you walk along ones only")
def along_ones(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _differ(np.sum(claim), measure(np.ones(claim.shape)))
    return _in_double(verdict)(loss, claimed, params, x, y)


def _unit(shape, place):
    unit = np.zeros(shape)
    unit.flat[place] = 1.0
    return unit


@wrong_answer("02.wrong_slopes", says="the first entry of each slope only")
def first_entry(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _differ(claim.flat[0], measure(_unit(claim.shape, 0)))
    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="the last entry of each slope only")
def last_entry(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _differ(claim.flat[-1], measure(_unit(claim.shape, -1)))
    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="you compare lengths")
def lengths(loss, claimed, params, x, y):
    def verdict(claim, measure):
        true = [measure(_unit(claim.shape, place)) for place in range(claim.size)]
        return _differ(np.linalg.norm(claim), np.linalg.norm(true))

    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="move one parameter at a time")
def all_at_once(loss, claimed, params, x, y):
    return list(params) if _right(loss, claimed, params, x, y) else []


def _right(loss, claimed, params, x, y):
    return _in_double(_wrong_along_random)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="these are the right ones")
def the_right_ones(loss, claimed, params, x, y):
    wrong = _right(loss, claimed, params, x, y)
    return [name for name in params if name not in wrong]


@wrong_answer("02.wrong_slopes", says="in alphabetical order")
def in_alphabetical_order(loss, claimed, params, x, y):
    return sorted(_right(loss, claimed, params, x, y))


@wrong_answer("02.wrong_slopes", says="you say that all are right")
def trusting(loss, claimed, params, x, y):
    return []


@wrong_answer("02.wrong_slopes", says="you say that all are wrong")
def suspicious(loss, claimed, params, x, y):
    return list(params)


def _as_it_comes(h, tolerance):
    """A check in the precision that the arrays have."""

    def names(loss, claimed, params, x, y):
        found = []
        for name, claim in claimed.items():
            measure = lambda v, name=name: _along(loss, params, x, y, name, v.astype(x.dtype), h)
            if _wrong_along_random(claim, measure, tolerance):
                found.append(name)
        return found

    return names


@wrong_answer("02.wrong_slopes", says="it is in single precision that you err")
def as_it_comes(loss, claimed, params, x, y):
    return _as_it_comes(1e-8, 0.01)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="with too small an h the difference is rounding")
def as_it_comes_with_the_usual_h(loss, claimed, params, x, y):
    return _as_it_comes(1e-5, 0.01)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="Compute in float64, or change h")
def as_it_comes_and_lenient(loss, claimed, params, x, y):
    return _as_it_comes(1e-6, 0.03)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="or too small (it sees rounding)")
def all_in_single_precision(loss, claimed, params, x, y):
    single = lambda arrays: {name: part.astype(np.float32) for name, part in arrays.items()}
    data = x.astype(np.float32), y.astype(np.float32)
    return _as_it_comes(1e-6, 0.05)(loss, single(claimed), single(params), *data)


@wrong_answer("02.wrong_slopes", says="you call wrong slopes right where losses are tiny")
def absolute_tolerance(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _wrong_along_random(claim, measure, 0.01, absolute=4e-3)
    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="is h too large")
def with_h_of_one(loss, claimed, params, x, y):
    claimed, params = _doubled(claimed), _doubled(params)
    found = []
    for name in params:
        measure = lambda v, name=name: _along(loss, params, x, y, name, v, h=1.0)
        if _wrong_along_random(claimed[name], measure):
            found.append(name)
    return found


@wrong_answer("02.wrong_slopes", says="you walk along evenly spaced numbers")
def along_a_linspace(loss, claimed, params, x, y):
    def verdict(claim, measure):
        v = np.linspace(1, 2, claim.size).reshape(claim.shape)
        return _differ(np.sum(claim * v), measure(v))

    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="a direction move other parameters as well")
def moving_everything(loss, claimed, params, x, y):
    claimed, params = _doubled(claimed), _doubled(params)
    rng, found = np.random.default_rng(4), []
    for name in params:
        errors = []
        for _ in range(5):
            v = {n: rng.normal(size=part.shape) for n, part in params.items()}
            ahead, behind = (
                loss({n: params[n] + s * v[n] for n in params}, x, y) for s in (1e-5, -1e-5)
            )
            errors.append((ahead - behind) / 2e-5 - np.sum(claimed[name] * v[name]))
        if np.linalg.norm(errors) > 0.01 * np.linalg.norm(claimed[name]):
            found.append(name)
    return found


@wrong_answer("02.wrong_slopes", says="or a measurement near 0 by chance")
def each_direction_by_itself(loss, claimed, params, x, y):
    def verdict(claim, measure):
        directions = np.random.default_rng(0).normal(size=(10, *claim.shape))
        return any(_differ(np.sum(claim * v), measure(v), 1e-5) for v in directions)

    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="is the tolerance too wide, or")
def a_little_lenient(loss, claimed, params, x, y):
    def verdict(claim, measure):
        directions = np.random.default_rng(1).normal(size=(200, *claim.shape))
        measured = np.array([measure(v) for v in directions])
        errors = np.array([np.sum(claim * v) for v in directions]) - measured
        return np.linalg.norm(errors) > 0.11 * np.linalg.norm(measured)

    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="is the tolerance too wide")
def lenient(loss, claimed, params, x, y):
    verdict = lambda claim, measure: _wrong_along_random(claim, measure, 0.9)
    return _in_double(verdict)(loss, claimed, params, x, y)


@wrong_answer("02.wrong_slopes", says="a list of names of parameters")
def a_dict_of_verdicts(loss, claimed, params, x, y):
    wrong = _right(loss, claimed, params, x, y)
    return {name: name in wrong for name in params}


# ------------------------------------------------------------------ 02.6


def _slopes(params, x, y, part):
    return ref.grad(ref.mse)(params, x[part], y[part])


def _step(params, slopes, lr):
    return {name: value - lr * slopes[name] for name, value in params.items()}


def _added(buffer, slopes, weight):
    return {name: buffer[name] + weight * slopes[name] for name in slopes}


def _in_parts(params, x, y, lr, rounds, weight=None, clear="round", step="round"):
    """Training in parts, with one thing done differently; weight(part, total) of a part's slope."""
    weight = weight or (lambda part, total: len(part) / total)
    buffer = dict.fromkeys(params, 0.0)
    for parts in rounds:
        total = sum(len(part) for part in parts)
        if clear == "round":
            buffer = dict.fromkeys(params, 0.0)
        for part in parts:
            if clear == "part":
                buffer = dict.fromkeys(params, 0.0)
            buffer = _added(buffer, _slopes(params, x, y, part), weight(part, total))
            if step == "part":
                params = _step(params, buffer, lr)
        if step == "round":
            params = _step(params, buffer, lr)
    return params


@wrong_answer("02.fit_one_sine", says="still holds the slopes of the last round: clear it")
def never_cleared(*case):
    return _in_parts(*case, clear="never")


@wrong_answer("02.fit_one_sine", says="and besides, a mean of means")
def never_cleared_and_a_mean_of_means(params, x, y, lr, rounds):
    buffer = dict.fromkeys(params, 0.0)
    for parts in rounds:
        for part in parts:
            buffer = _added(buffer, _slopes(params, x, y, part), 1 / len(parts))
        params = _step(params, buffer, lr)
    return params


@wrong_answer("02.fit_one_sine", says="and besides, slopes of means are summed")
def never_cleared_and_summed(*case):
    return _in_parts(*case, weight=lambda part, total: 1.0, clear="never")


@wrong_answer("02.fit_one_sine", says="only the last part of a round counts")
def overwritten(*case):
    return _in_parts(*case, weight=lambda part, total: 1.0, clear="part")


@wrong_answer("02.fit_one_sine", says="counts, with its share")
def overwritten_with_its_share(*case):
    return _in_parts(*case, clear="part")


def _first_only(params, x, y, lr, rounds, share):
    for parts in rounds:
        rate = lr * len(parts[0]) / sum(map(len, parts)) if share else lr
        params = _step(params, _slopes(params, x, y, parts[0]), rate)
    return params


@wrong_answer("02.fit_one_sine", says="yours takes the first one only")
def first_part_only(*case):
    return _first_only(*case, share=False)


@wrong_answer("02.fit_one_sine", says="yours takes the first one only, with its share")
def first_part_only_with_its_share(*case):
    return _first_only(*case, share=True)


@wrong_answer("02.fit_one_sine", says="not by that of all rounds together")
def shared_among_all_rounds(params, x, y, lr, rounds):
    total = sum(len(part) for parts in rounds for part in parts)
    return _in_parts(params, x, y, lr, rounds, weight=lambda part, _: len(part) / total)


def _weighted_by_different(case, of_round):
    """Parts weighted by how many different points they hold; of_round(parts): what this is divided by."""
    params, x, y, lr, rounds = case
    for parts in rounds:
        total = of_round(parts)
        weight = lambda part, _, total=total: len(set(part.tolist())) / total
        params = _in_parts(params, x, y, lr, [parts], weight=weight)
    return params


@wrong_answer("02.fit_one_sine", says="you weight each part by the number of its different points")
def different_points_in_the_weight(*case):
    return _weighted_by_different(case, lambda parts: sum(map(len, parts)))


@wrong_answer("02.fit_one_sine", says="made of the numbers of different points in each part")
def different_points_in_all_weights(*case):
    return _weighted_by_different(case, lambda parts: sum(len(np.unique(part)) for part in parts))


@wrong_answer("02.fit_one_sine", says="divided by the round's number of different ones")
def different_points_of_part_and_round(*case):
    return _weighted_by_different(case, lambda parts: len(np.unique(np.concatenate(parts))))


@wrong_answer("02.fit_one_sine", says="the sum of the numbers of different ones in each part")
def divided_by_the_different_points_of_parts(params, x, y, lr, rounds):
    for parts in rounds:
        total = sum(len(np.unique(part)) for part in parts)
        params = _in_parts(
            params, x, y, lr, [parts], weight=lambda part, _, total=total: len(part) / total
        )
    return params


@wrong_answer("02.fit_one_sine", says="you divide by the number of different ones")
def divided_by_the_different_points(params, x, y, lr, rounds):
    for parts in rounds:
        total = len(np.unique(np.concatenate(parts)))
        params = _in_parts(
            params, x, y, lr, [parts], weight=lambda part, _, total=total: len(part) / total
        )
    return params


@wrong_answer(
    "02.fit_one_sine", says="a mean of means is not the mean: weight each part by how many"
)
def mean_of_means(params, x, y, lr, rounds):
    for parts in rounds:
        slopes = [_slopes(params, x, y, part) for part in parts]
        params = _step(params, {n: np.mean([s[n] for s in slopes], axis=0) for n in params}, lr)
    return params


@wrong_answer("02.fit_one_sine", says="these are the parts' slopes summed")
def summed(*case):
    return _in_parts(*case, weight=lambda part, total: 1.0)


@wrong_answer("02.fit_one_sine", says="divide by the number of the round's points")
def summed_over_points(*case):
    return _in_parts(*case, weight=lambda part, total: len(part))


@wrong_answer("02.fit_one_sine", says="not by the number of all points")
def shared_among_all_points(params, x, y, lr, rounds):
    return _in_parts(params, x, y, lr, rounds, weight=lambda part, total: len(part) / len(x))


@wrong_answer("02.fit_one_sine", says="you take one after every part, and")
def a_step_per_part(*case):
    return _in_parts(*case, weight=lambda part, total: 1.0, clear="part", step="part")


@wrong_answer("02.fit_one_sine", says="you take one after every part, weighted")
def a_weighted_step_per_part(*case):
    return _in_parts(*case, clear="part", step="part")


@wrong_answer("02.fit_one_sine", says="the steps go uphill")
def uphill(params, x, y, lr, rounds):
    return _in_parts(params, x, y, -lr, rounds)


@wrong_answer("02.fit_one_sine", says="you take all points in every round")
def all_points(params, x, y, lr, rounds):
    return _in_parts(params, x, y, lr, [[np.arange(len(x))] for _ in rounds])


@wrong_answer("02.fit_one_sine", says="yours counts once in a round")
def points_counted_once(params, x, y, lr, rounds):
    return _in_parts(params, x, y, lr, [[np.unique(np.concatenate(parts))] for parts in rounds])


@wrong_answer("02.fit_one_sine", says="yours are all taken at the start")
def slopes_of_the_start(params, x, y, lr, rounds):
    start = params
    for parts in rounds:
        params = _step(params, _slopes(start, x, y, np.concatenate(parts)), lr)
    return params


@wrong_answer("02.fit_one_sine", says="after some parameters have moved")
def one_parameter_after_the_other(params, x, y, lr, rounds):
    params = dict(params)
    for parts in rounds:
        for name in params:
            params[name] = params[name] - lr * _slopes(params, x, y, np.concatenate(parts))[name]
    return params


@wrong_answer("02.fit_one_sine", says="is the `return` inside the loop")
def first_round_only(params, x, y, lr, rounds):
    for parts in rounds:
        return _in_parts(params, x, y, lr, [parts])


@wrong_answer("02.fit_one_sine", says="changes `params` in place")
def in_place(params, x, y, lr, rounds):
    for parts in rounds:
        slopes = _slopes(params, x, y, np.concatenate(parts))
        for name in params:
            params[name] -= lr * slopes[name]
    return params


# ------------------------------------------------------------------ unusual and right


@right_answer("02.matmul_back", why="one einsum each")
def einsums(g, x, w):
    return np.einsum("teo,oi->tei", g, w), np.einsum("teo,tei->oi", g, x)


@right_answer("02.matmul_back", why="the library's tape does it")
def by_the_tape(g, x, w):
    slopes = ref.grad(lambda both: np.sum(g * (both[0] @ both[1].T)))((x, w))
    return slopes


@right_answer(
    "02.matmul_back", why="all tasks' examples in one long matrix, and a list for a tuple"
)
def as_one_task(g, x, w):
    return [g @ w, g.reshape(-1, g.shape[2]).T @ x.reshape(-1, x.shape[2])]


@right_answer("02.matmul_back", why="float32")
def in_single_precision(g, x, w):
    g, x, w = (part.astype(np.float32) for part in (g, x, w))
    return g @ w, np.tensordot(g, x, axes=((0, 1), (0, 1)))


@right_answer("02.unbroadcast", why="axis after axis, from the last to the first")
def axis_after_axis(g, shape):
    padded = (None,) * (g.ndim - len(shape)) + tuple(shape)
    for axis in reversed(range(g.ndim)):
        if padded[axis] is None:
            g = g.sum(axis=axis)
        elif padded[axis] == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


@right_answer("02.unbroadcast", why="the library's tape does it")
def by_broadcasting_and_the_tape(g, shape):
    return ref.grad(lambda x: np.sum(g * np.broadcast_to(x, g.shape)))(np.zeros(shape))


@right_answer("02.unbroadcast", why="every entry is added to its place")
def entry_by_entry(g, shape):
    total = np.zeros(shape)
    for place in np.ndindex(g.shape):
        own = place[g.ndim - len(shape) :]
        total[tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))] += g[place]
    return total


@right_answer("02.accumulate", why="one system of linear equations")
def by_solving(lines, seeds):
    uses = np.zeros((len(lines), len(lines)))
    for i, pairs in enumerate(lines):
        for parent, factor in pairs:
            uses[parent, i] += factor
    return np.linalg.solve(np.eye(len(lines)) - uses, seeds)


@right_answer("02.accumulate", why="recursive, each line asks its users, a list for an array")
def by_asking_the_users(lines, seeds):
    def slope(line):
        parts = (
            slope(user) * factor
            for user, pairs in enumerate(lines)
            for parent, factor in pairs
            if parent == line
        )
        return float(seeds[line]) + sum(parts)

    return [slope(line) for line in range(len(lines))]


@right_answer("02.accumulate", why="np.add.at, which counts a repeated index twice")
def with_add_at(lines, seeds):
    slopes = seeds.copy()
    for i in range(len(lines) - 1, -1, -1):
        if lines[i]:
            parents, factors = zip(*lines[i], strict=True)
            np.add.at(slopes, list(parents), slopes[i] * np.array(factors))
    return slopes


@right_answer("02.order", why="counts of users that come down to 0")
def by_counting_users(parents, out):
    wanted = breadth_first(parents, out)
    left = dict.fromkeys(wanted, 0)
    for name in wanted:
        for parent in set(parents[name]):
            left[parent] += 1
    ready, found = [out], []
    while ready:
        found.append(ready.pop())
        for parent in set(parents[found[-1]]):
            left[parent] -= 1
            if not left[parent]:
                ready.append(parent)
    return found


@right_answer("02.order", why="sorted by the longest way from out")
def by_the_longest_way(parents, out):
    depth = {}

    def visit(name, steps):
        if depth.get(name, -1) < steps:
            depth[name] = steps
            for parent in parents[name]:
                visit(parent, steps + 1)

    visit(out, 0)
    return sorted(depth, key=depth.get)


@right_answer("02.order", why="again and again the first that is free, a tuple")
def first_that_is_free(parents, out):
    left, found = sorted(breadth_first(parents, out)), []
    while left:
        free = [n for n in left if not any(n in parents[user] for user in left)]
        found.append(free[-1])
        left.remove(free[-1])
    return tuple(found)


@right_answer("02.wrong_slopes", why="every entry by itself")
def entry_after_entry(loss, claimed, params, x, y):
    def verdict(claim, measure):
        true = np.reshape([measure(_unit(claim.shape, i)) for i in range(claim.size)], claim.shape)
        return np.linalg.norm(claim - true) > 0.03 * np.linalg.norm(true)

    return _in_double(verdict)(loss, claimed, params, x, y)


@right_answer("02.wrong_slopes", why="in the precision that it comes in, with an h for it")
def with_an_h_for_single_precision(loss, claimed, params, x, y):
    h = 5e-3 if x.dtype == np.float32 else 1e-6
    return _as_it_comes(h, 0.02)(loss, claimed, params, x, y)


@right_answer("02.wrong_slopes", why="one-sided differences, a tuple")
def one_sided(loss, claimed, params, x, y):
    claimed, params = _doubled(claimed), _doubled(params)
    x, y, found = x.astype(np.float64), y.astype(np.float64), []
    here = loss(params, x, y)
    for name in params:
        measure = lambda v, n=name: (loss(params | {n: params[n] + 1e-7 * v}, x, y) - here) / 1e-7
        if _wrong_along_random(claimed[name], measure, 0.01):
            found.append(name)
    return tuple(found)


@right_answer("02.fit_one_sine", why="all parts of a round at once")
def parts_put_together(params, x, y, lr, rounds):
    for parts in rounds:
        params = _step(params, _slopes(params, x, y, np.concatenate(parts)), lr)
    return params


@right_answer("02.fit_one_sine", why="one gradient of a sum of the parts' losses, and ref.sgd")
def a_sum_of_losses(params, x, y, lr, rounds):
    for parts in rounds:
        total = sum(map(len, parts))
        loss = lambda p, parts=parts, n=total: sum(
            ref.mse(p, x[part], y[part]) * (len(part) / n) for part in parts
        )
        params, _ = ref.sgd(params, ref.grad(loss)(params), lr=lr)
    return params


@right_answer(
    "02.fit_one_sine", why="the backward pass by hand, for one example after the other, float32"
)
def by_hand(params, x, y, lr, rounds):
    params = {name: value.astype(np.float32) for name, value in params.items()}
    for parts in rounds:
        points = np.concatenate(parts)
        buffer = {name: np.zeros_like(value) for name, value in params.items()}
        for inputs, target in zip(x[points].astype(np.float32), y[points], strict=True):
            z = inputs @ params["w1"] + params["b1"]
            hidden = np.maximum(z, 0)
            delta = 2 / len(points) * (hidden @ params["w2"] + params["b2"] - target)
            below = np.where(z > 0, params["w2"] @ delta, 0)
            parts_of = {"w1": np.outer(inputs, below), "b1": below}
            parts_of |= {"w2": np.outer(hidden, delta), "b2": delta}
            for name, part in parts_of.items():
                buffer[name] += part
        params = {name: value - lr * buffer[name] for name, value in params.items()}
    return params
