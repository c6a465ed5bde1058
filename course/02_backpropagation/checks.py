"""Checks of chapter 02: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named, short

# ------------------------------------------------------------------ 02.1


@exercise("02.matmul_back", points=3, minutes=12, difficulty=2)
def matmul_back(answer, rng):
    """A layer that all tasks share"""
    cases = list(_layers(rng, square=True))  # here shapes do not tell a transpose
    right = [_layer_agrees(answer, *case) for case in cases]
    for case in _layers(rng, square=False) if all(right) else ():
        _layer_agrees(answer, *case)


def _layer_agrees(answer, g, x, w):
    got, right = answer(g, x, w), _layer_slopes(g, x, w)
    expect(got, right, mistakes=partial(_layers_gone_wrong, g, x, w))
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    return len(parts) == 2 and all(
        part is not None and part.shape == own.shape and np.allclose(part, own, rtol=1e-3)
        for part, own in zip(parts, right, strict=True)
    )


def _layers(rng, square):
    """Cases (g, x, w): tasks, examples and inputs differ; inputs and outputs are equal, or differ too."""
    for _ in draw(rng, case=0):
        tasks, examples, inputs, outputs = (int(n) for n in 2 + rng.permutation(4))
        inputs = outputs if square else inputs
        g, x = (
            rng.normal(size=(tasks, examples, outputs)),
            rng.normal(size=(tasks, examples, inputs)),
        )
        yield g, x, rng.normal(size=(outputs, inputs))


def _layer_slopes(g, x, w):
    return g @ w, np.einsum("teo,tei->oi", g, x)


def _layers_gone_wrong(g, x, w):
    of_x, of_w = _layer_slopes(g, x, w)
    tasks, examples, _ = x.shape
    turned = {}
    if w.shape[0] == w.shape[1]:
        turned = {
            "x was multiplied by wᵀ, so its slope comes back through w itself: yours transposes once more": (
                g @ w.T,
                of_w,
            ),
            "x was multiplied by wᵀ, so its slope comes back through w itself, and the slope of w has one row "
            "per output: both of yours are transposed": (g @ w.T, of_w.T),
        }
    return turned | {
        "the slope of w has one row per output, as w has: yours is that of wᵀ": (of_x, of_w.T),
        "all tasks share w, so their parts are added: yours has one slope of w per task": (
            of_x,
            np.einsum("teo,tei->toi", g, x),
        ),
        "all tasks share w, so their parts are added: yours is their mean": (of_x, of_w / tasks),
        "all examples share w, so their parts are added: yours is the mean over the examples of each task": (
            of_x,
            of_w / examples,
        ),
        "all examples and tasks share w, so their parts are added: yours is the mean over both": (
            of_x,
            of_w / (tasks * examples),
        ),
        "all tasks share w, so every one of them adds its part: yours has the last task's only": (
            of_x,
            g[-1].T @ x[-1],
        ),
        "all tasks share w, so every one of them adds its part: yours has the first task's only": (
            of_x,
            g[0].T @ x[0],
        ),
        "first the slope of x, then that of w: yours are exchanged": (of_w, of_x),
        "each task has its own x, with a slope of its own: yours are summed over the tasks": (
            of_x.sum(0),
            of_w,
        ),
        "each example has its own x, with a slope of its own: yours are averaged over the examples": (
            of_x / examples,
            of_w,
        ),
        "the sum over a product is not the product of the sums: multiply g and x example by example, then add": (
            of_x,
            np.outer(g.sum((0, 1)), x.sum((0, 1))),
        ),
        "multiply within a task, then add the tasks: yours adds the tasks first": (
            of_x,
            g.sum(0).T @ x.sum(0),
        ),
        "these are the local factors alone: the slope g of the result is missing": (
            np.broadcast_to(w.sum(0), x.shape),
            np.broadcast_to(x.sum((0, 1)), w.shape),
        ),
    }


# ------------------------------------------------------------------ 02.2


@exercise("02.unbroadcast", points=3, minutes=10, difficulty=2)
def unbroadcast(answer, rng):
    """What was broadcast is summed"""
    for g, shape in _stretched(rng):
        expect(answer(g, shape), _summed(g, shape), mistakes=partial(_sums_gone_wrong, g, shape))


def _stretched(rng):
    """Cases (g, shape): axes missing, axes of length 1, both, and none; some lengths are equal."""
    for number, _ in enumerate(draw(rng, case=0)):
        n, m, k = (int(length) for length in rng.permutation([2, 3, 4]))
        own = [
            ((n, m), (m,)),
            ((n, m), (n, 1)),
            ((k, n, m), (n, 1)),
            ((n, n), (n,)),
            ((k, n, n), (1, n)),
            ((n, m), (n, m)),
            ((n, m, k), ()),
            ((k, n, m, m), (n, 1, m)),
            ((n, 1, m), (1, m)),
            ((k, n, k), (k, 1, 1)),
        ]
        first = 5 * number % len(own)  # in any two cases, all of them
        for stretched, shape in own[first : first + 5]:
            yield rng.normal(size=stretched) + 0.5, shape


def _summed(g, shape, add=np.sum):
    missing = g.ndim - len(shape)
    ones = tuple(missing + axis for axis, length in enumerate(shape) if length == 1)
    return np.reshape(add(g, axis=(*range(missing), *ones)), shape)


def _first(g, axis):
    return g[tuple(0 if i in axis else slice(None) for i in range(g.ndim))]


def _sums_gone_wrong(g, shape):
    missing, right = g.ndim - len(shape), _summed(g, shape)
    ones = tuple(missing + axis for axis, length in enumerate(shape) if length == 1)
    leading = g.sum(tuple(range(missing)))
    trailing = g.sum(tuple(range(len(shape), g.ndim)))
    kept = tuple(axis for axis, length in enumerate(shape) if length == 1)
    unlike = tuple(axis for axis, length in enumerate(g.shape) if length not in shape)
    mistakes = {
        "an operand that is used several times gets the sum of the parts: yours is their mean": (
            _summed(g, shape, np.mean)
        ),
        "an operand that is used several times gets the sum of all parts: yours has the first one only": (
            _summed(g, shape, _first)
        ),
        "an operand that is used several times gets the sum of the parts: yours is the largest": (
            _summed(g, shape, np.max)
        ),
        "an axis of length 1 was stretched, too: you sum the missing axes only": leading,
        "axes that are missing at the front were stretched, too: you sum the axes of length 1 only": (
            g.sum(ones, keepdims=True)
        ),
        "you sum the right axes, but those of length 1 must stay: the result has the operand's shape": (
            g.sum((*range(missing), *ones))
        ),
        "NumPy aligns shapes at their last axes, so the missing ones are the first: you sum the last": (
            trailing.sum(kept, keepdims=True)
        ),
        "axes of length 1 are counted in `shape`, where the missing ones are not: in g each stands further back. "
        "Sum the missing axes first": g.sum(kept, keepdims=True).sum(tuple(range(missing))),
        "several axes may be missing: you sum the first one only": (
            g.sum(0) if missing > 1 else right
        ),
        "several axes may have length 1: of these you sum the first one only": (
            leading.sum(kept[:1], keepdims=True)
        ),
        "several axes may have length 1: of these you sum the last one only": (
            leading.sum(kept[-1:], keepdims=True)
        ),
        "lengths do not say which axis was stretched: two axes may be equally long, so go by their places": (
            g.sum(unlike)
        ),
        "add along the stretched axes only: yours is the sum of everything": (
            np.full(shape, g.sum())
        ),
        "reshaping adds nothing: yours are the first entries of g": np.resize(g, shape),
        "nothing has been summed: yours is g as it came": g,
        "the axes that were stretched are collapsed, the others stay: yours collapses the others": (
            g.sum(tuple(i for i in range(missing, g.ndim) if i not in ones))
        ),
    }
    return mistakes


# ------------------------------------------------------------------ 02.3


@exercise("02.accumulate", points=3, minutes=5, difficulty=1)
def accumulate(answer, rng):
    """Add, do not overwrite"""
    for lines, seeds in _tapes(rng):
        expect(
            answer(lines, seeds),
            _walk_back(lines, seeds),
            mistakes=partial(_walks_gone_wrong, lines, seeds),
        )


def _tapes(rng):
    """Cases (lines, seeds): reuse, operands taken twice, results that feed other lines."""
    for length in draw(rng, length=(7, 10)):
        inputs = int(rng.integers(2, 4))
        lines = [[] for _ in range(inputs)]
        for index in range(inputs, length):
            parents = rng.choice(index, size=int(rng.integers(1, 3)), replace=False)
            lines.append([(int(parent), _factor(rng)) for parent in parents])
        twice = int(rng.integers(inputs, length - 3))  # uses its operand twice, as u − 2u does
        lines[twice] = [(twice - 1, _factor(rng)), (twice - 1, _factor(rng))]
        lines[-2] = [(0, _factor(rng))] * 2  # the same, with equal factors, as u + u
        lines[-1] = [(twice, _factor(rng)), (length - 2, _factor(rng)), (0, _factor(rng))]
        seeds = np.where(rng.uniform(size=length) < 0.3, rng.normal(size=length), 0.0)
        seeds[[0, twice, -3, -1]] = [_factor(rng) for _ in range(4)]  # −3: no line uses it
        seeds[-2] = 0.0
        yield lines, seeds


def _factor(rng):
    return float(rng.choice([-1, 1]) * rng.uniform(0.5, 2.0))


def _walk_back(
    lines,
    seeds,
    pairs=list,
    part=lambda slope, factor: slope * factor,
    carried=lambda slope, seed: slope,
    keep=False,
):
    """The right walk; pairs, part: of a line; carried: what it passes on, which it may also keep as its slope."""
    slopes = np.array(seeds, dtype=float)
    for index in range(len(lines) - 1, -1, -1):
        passed = carried(slopes[index], seeds[index])
        slopes[index] = passed if keep else slopes[index]
        for parent, factor in pairs(lines[index]):
            slopes[parent] += part(passed, factor)
    return slopes


def _overwriting(lines, slopes, kept=None):
    """A walk that writes where it should add: always, or (kept: a set) the first time a parent is met."""
    slopes = np.array(slopes, dtype=float)
    for index in range(len(lines) - 1, -1, -1):
        for parent, factor in lines[index]:
            old = slopes[parent] if kept is not None and parent in kept else 0.0
            slopes[parent] = old + slopes[index] * factor
            if kept is not None:
                kept.add(parent)
    return slopes


def _walks_gone_wrong(lines, seeds):
    last = np.zeros(len(lines))
    last[-1] = 1.0
    return {
        "what several lines use gets the sum of their parts: in yours the last part overwrites the others": (
            _overwriting(lines, seeds)
        ),
        "a line that is a result and also feeds others has its seed as well: in yours the first part that comes "
        "overwrites it": _overwriting(lines, seeds, kept=set()),
        "every result has its seed: you start from the last line's only": (
            _walk_back(lines, last * seeds[-1])
        ),
        "every result has its seed: you start with 1 at the last line, as if it were the loss": (
            _walk_back(lines, last)
        ),
        "a seed says how strongly L uses a line: yours all count as 1": (
            _walk_back(lines, np.asarray(seeds) != 0)
        ),
        "a line passes on all that it has gathered from the lines that use it: in yours each passes on its seed "
        "only. Is a line visited after all that use it, and is it the line's slope that is multiplied?": (
            _walk_back(lines, seeds, carried=lambda slope, seed: seed)
        ),
        "a line that is a result and also feeds others has both parts: in yours its seed replaces what came from "
        "the lines that use it": (
            _walk_back(lines, seeds, carried=lambda slope, seed: seed or slope, keep=True)
        ),
        "a line without a seed has a slope all the same, from the lines that use it: in yours it passes nothing "
        "on": (_walk_back(lines, seeds, carried=lambda slope, seed: slope if seed else 0.0)),
        "a line passes on its seed as well: in yours all seeds but the last line's are added when the walk is "
        "over": _walk_back(lines, last * seeds[-1]) + seeds - last * seeds[-1],
        "these are the seeds alone: nothing has been passed on. Has a line its seed before it passes its slope "
        "on?": np.array(seeds),
        "a line that uses an operand twice passes two parts to it: in yours two equal pairs count once": (
            _walk_back(lines, seeds, pairs=set)
        ),
        "a line that uses an operand twice passes two parts to it: in yours the second part of a line wins": (
            _walk_back(lines, seeds, pairs=lambda pairs: dict(pairs).items())
        ),
        "a line that uses an operand twice passes two parts to it: in yours the first part of a line wins": (
            _walk_back(lines, seeds, pairs=lambda pairs: dict(pairs[::-1]).items())
        ),
        "along a path, multiply: you add the local factor to the slope": (
            _walk_back(lines, seeds, part=lambda slope, factor: slope + factor)
        ),
        "along a path, multiply: you pass the slope on without its local factor": (
            _walk_back(lines, seeds, part=lambda slope, factor: slope)
        ),
        "you pass on the local factor without the slope of the line itself": (
            _walk_back(lines, seeds, part=lambda slope, factor: factor)
        ),
        "this is forward mode: each line gathers from the lines that fed it. A slope comes from the lines that "
        "use it": _forwards(lines, seeds),
        "a way back ends at the inputs, but every line on it has a slope: yours are 0 except at the inputs": (
            np.where([not pairs for pairs in lines], _walk_back(lines, seeds), 0.0)
        ),
        "these are the slopes from other lines: what L uses directly, the seed, is missing in them": (
            _walk_back(lines, seeds) - seeds
        ),
        "the slopes belong to the lines in their order: yours are turned round": (
            _walk_back(lines, seeds)[::-1]
        ),
    }


def _forwards(lines, seeds):
    moved = np.array(seeds, dtype=float)
    for index, pairs in enumerate(lines):
        moved[index] += sum(moved[parent] * factor for parent, factor in pairs)
    return moved


# ------------------------------------------------------------------ 02.4


@exercise("02.order", points=3, minutes=20, difficulty=3)
def order(answer, rng):
    """In which order?"""
    cases = list(_graphs(rng))
    told = [_list_of_names(answer(*case), "a list of names") for case in cases]
    right = [
        got if _is_an_order(*case, got) else _an_order(*case)
        for case, got in zip(cases, told, strict=True)
    ]
    walks = lambda: [_known_walks(*case) for case in cases]
    _compare_all(answer, cases, told, right, walks, partial(_what_is_wrong, cases, told))


def _list_of_names(got, what):
    if not isinstance(got, (list, tuple)) or not all(isinstance(name, str) for name in got):
        raise WrongAnswer(f"return {what}", f"got: {short(got)}")
    return list(got)


def _compare_all(answer, cases, told, right, known, what_is_so):
    """`expect` in all cases, after the last answer; known(): per case, message → what a known mistake gives.

    If no known mistake fits, or one that differs in a single case, perhaps by chance, then what_is_so(places)
    of all wrong answers, a list of messages, is told as well.
    """
    missed = [i for i, got in enumerate(told) if got != right[i]]
    if not missed:
        return
    answer(*cases[missed[0]])  # the check shows the arguments of the last call
    mistakes_of = known()
    fits = lambda words: all(one[words] == got for one, got in zip(mistakes_of, told, strict=True))
    so = [] if len(missed) > 1 and any(map(fits, mistakes_of[0])) else what_is_so(missed)
    for got, own, mistakes in zip(told, right, mistakes_of, strict=True):
        expect(got, own, mistakes=mistakes | dict.fromkeys(so, got))


def _graphs(rng):
    """Cases (parents, out): diamonds, in an order of the dict that says nothing; some names lead nowhere."""
    for size in draw(rng, size=(7, 10)):
        while not _tells(case := _some_graph(rng, size)):
            pass
        yield case


def _some_graph(rng, size):
    names = [str(name) for name in rng.permutation(list("abcdefghijkl"))[:size]]
    made = {names[0]: [], names[1]: []}
    for index in range(2, size):
        count = int(rng.integers(1, min(index, 3) + 1))
        made[names[index]] = [
            str(name) for name in rng.choice(names[:index], size=count, replace=False)
        ]
    made[names[2]] = [names[1], names[1]]  # operands that are used twice, early and late
    made[names[-2]] = [str(n) for n in rng.permutation([names[1], names[1], *names[2:-2][-2:]])]
    shuffled = {str(name): made[str(name)] for name in rng.permutation(names)}
    return shuffled, names[-2]  # `out` is not the last: what is made from it does not count


def _tells(case):
    """Whether every known mistake gives no order here, and no two of them the same."""
    wrong = [*_known_walks(*case).values()]
    telling = all(not _is_an_order(*case, walk) for walk in wrong)
    return telling and len({tuple(walk) for walk in wrong}) == len(wrong)


def _wanted(parents, out):
    found = [out]
    for name in found:
        found += [parent for parent in dict.fromkeys(parents[name]) if parent not in found]
    return found


def _an_order(parents, out):
    """Out first, then always the first name whose users have all been visited."""
    wanted, found = _wanted(parents, out), []
    while len(found) < len(wanted):
        found.append(
            next(n for n in wanted if n not in found and _is_free(parents, wanted, found, n))
        )
    return found


def _is_free(parents, wanted, visited, name):
    return all(user in visited for user in wanted if name in parents[user])


def _is_an_order(parents, out, names):
    wanted = _wanted(parents, out)
    return sorted(names) == sorted(wanted) and all(
        _is_free(parents, wanted, names[:place], name) for place, name in enumerate(names)
    )


def _is_stuck(parents, out, names):
    """Whether each that was visited was free, and one is missing that is free as well."""
    wanted = _wanted(parents, out)
    free = lambda name, visited: _is_free(parents, wanted, visited, name)
    return all(free(name, names[:place]) for place, name in enumerate(names)) and any(
        free(name, names) for name in wanted if name not in names
    )


def _depth_first(parents, out):
    """Out, then everything below its first parent, then its second …, each name once, when first met."""
    found = [out]
    for parent in parents[out]:
        found += [name for name in _depth_first(parents, parent) if name not in found]
    return found


def _from_a_stack(parents, out):
    """The same with a stack, from which the last name is taken first."""
    found, stack = [], [out]
    while stack:
        name = stack.pop()
        if name not in found:
            found.append(name)
            stack += parents[name]
    return found


def _miscounting(parents, out, take):
    """Users are counted once each, but taken off once for every use; take: 0 from a queue, −1 from a stack."""
    wanted, found, ready = _wanted(parents, out), [], [out]
    left = {name: sum(name in parents[user] for user in wanted) for name in wanted}
    while ready:
        found.append(ready.pop(take))
        for parent in parents[found[-1]]:
            left[parent] -= 1
            ready += [parent] * (left[parent] == 0)
    return found


def _known_walks(parents, out):
    """Message → the names in the order in which a well-known wrong walk visits them."""
    wanted = _wanted(parents, out)
    return {
        "this is breadth first: a value is visited as soon as one of its users has been, but it must wait for "
        "all of them": wanted,
        "this is depth first: a value is visited as soon as one of its users has been, but it must wait for "
        "all of them": _depth_first(parents, out),
        "this is depth first, from a stack: a value is visited as soon as one of its users has been, but it must "
        "wait for all of them": _from_a_stack(parents, out),
        "the order of the dict says nothing about who was made from whom": (
            [name for name in parents if name in wanted]
        ),
        "the order of the dict, turned round, says nothing about who was made from whom": (
            [name for name in parents if name in wanted][::-1]
        ),
        "the alphabet says nothing about who was made from whom": sorted(wanted),
    } | {
        "a value that is used twice by one user is visited too early: you count its users, and take one off for "
        f"every use (visiting the {which} of those that are ready)": _miscounting(
            parents, out, take
        )
        for which, take in (("oldest", 0), ("newest", -1))
    }


def _what_is_wrong(cases, told, missed):
    """What is so of all wrong orders, the most telling message only."""
    so = [_faults(*cases[i], told[i]) for i in missed]
    return [message for message in so[0] if all(faults[message] for faults in so)][:1]


def _faults(parents, out, got):
    """Message → whether it is so of this order, which is wrong."""
    wanted = _wanted(parents, out)
    once = list(dict.fromkeys(name for name in got if name in wanted))
    strange, twice = len(set(got)) > len(once), len(set(got)) < len(got)
    whole = not (strange or twice) and len(got) == len(wanted)
    some = not (strange or twice) and len(got) < len(wanted)
    return {
        "this is an order for the forward pass, in which everything comes after what it was made from: turn it "
        "round": whole and _is_an_order(parents, out, got[::-1]),
        "a value is visited before all that use it have been: its slope is not complete yet": whole,
        "a value that `out` does not depend on has no part in this: leave it out": (
            strange and _is_an_order(parents, out, once)
        ),
        "a name appears more than once: a value is visited once, when all its users have been": (
            twice and not strange
        ),
        "`out` is missing: it is visited as well, first of all": (
            some and _is_an_order(parents, out, [out, *got])
        ),
        "the inputs are missing: they have slopes as well": (
            some and set(got) == {name for name in wanted if parents[name]}
        ),
        "some are missing: what `out` was made from was itself made from something, down to the inputs": (
            some and set(got) == {out, *parents[out]}
        ),
        "some are missing, although all that use them have been visited: do they wait for a user that never "
        "comes, one that `out` does not depend on, or one counted twice because it takes a value twice?": (
            some and _is_stuck(parents, out, got)
        ),
        "some of the values that `out` was made from, directly or not, are missing": some,
    }


# ------------------------------------------------------------------ 02.5

NAMES = ("w1", "b1", "w2", "b2")
KINDS = (
    *("zero", "along itself", "tenth", "same sum", "one entry", "last right"),
    *("sign", "evenly spaced", "mean", "first right", "last right"),
)
SPECIAL = ("single", "tiny", "single and tiny")
COUNTS = (2, 0, 1, 1, 2, 3, 2, 1, 1, 0, 2, 1, 2)  # of wrong slopes, case by case


@exercise("02.wrong_slopes", points=4, minutes=25, difficulty=4)
def wrong_slopes(answer, rng):
    """Which slope is wrong?"""
    loss, cases = named("running_totals_mse"), list(_claims(rng))
    asked, right = [(loss, *case[:4]) for case in cases], [case[-1] for case in cases]
    told = [_list_of_names(answer(*one), "a list of names of parameters") for one in asked]
    known = lambda: [_known_verdicts(*case) for case in cases]
    _compare_all(answer, asked, told, right, known, partial(_tendency, cases, told))


def _where(x, y):
    """What is special about a problem's numbers."""
    words = ["single"] * (x.dtype == np.float32) + ["tiny"] * bool(np.max(np.abs(y)) < 0.01)
    return " and ".join(words) or "usual"


def _totals_loss(params, x, y):
    """`running_totals_mse` in operations that the tape knows."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    output = hidden @ params["w2"] + params["b2"]
    return np.mean((np.tril(np.ones((len(x), len(x)))) @ output - y) ** 2)


def _claims(rng):
    """Cases (claimed, params, x, y, names of the wrong ones): of five in a row the second has special numbers."""
    for number, _ in enumerate(draw(rng, case=0)):
        for case in range(5 * number, 5 * number + 5):
            where = SPECIAL[number % 3] if case % 5 == 1 else "usual"
            far = 10.0 if where == "single" else 1.0  # there the rounding of a large loss shows
            params, x, y = _problem(rng, 1e-4 if "tiny" in where else 1.0, far)
            true = ref.grad(_totals_loss)(params, x, y)
            chosen = set(rng.permutation(NAMES)[: COUNTS[case % len(COUNTS)]])
            wrong = [name for name in NAMES if name in chosen]
            claimed = {
                n: part * (1 + 1e-6 * rng.uniform(-1, 1, part.shape)) for n, part in true.items()
            }
            for place, name in enumerate(wrong):
                claimed[name] = _spoilt(rng, true[name], KINDS[(case + place) % len(KINDS)])
            arrays = [claimed, params, x, y]
            yield *(map(_single, arrays) if "single" in where else arrays), wrong


def _problem(rng, size, far):
    """(params, x, y); size: of the targets, far: how much larger they are than the outputs."""
    inputs, width, outputs, examples = 2, int(rng.integers(3, 5)), 2, 5
    shapes = {"w1": (inputs, width), "b1": (width,), "w2": (width, outputs), "b2": (outputs,)}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    x = rng.normal(size=(examples, inputs))
    params |= {name: size / far * params[name] for name in ("w2", "b2")}
    return params, x, size * 3 * rng.normal(size=(examples, outputs))


def _spoilt(rng, true, kind):
    """A slope that is wrong by at least a tenth of its length, in one of the ways of KINDS."""
    if kind in ("zero", "sign", "mean"):
        return true * {"zero": 0.0, "sign": -1.0, "mean": 0.2}[kind]
    flat, length = true.ravel().copy(), np.linalg.norm(true)
    error = rng.normal(size=flat.shape)
    size = 0.102 * length
    if kind == "tenth":
        flat += size * _unit(error)
    elif kind == "same sum":
        flat += size * _unit(error - error.mean())
    elif kind == "evenly spaced":  # perpendicular to linspace(1, 2), and to ones if there is room
        even = np.stack([_even(flat.shape), np.ones(flat.size)][: flat.size - 1])
        flat += size * _unit(error - np.linalg.pinv(even) @ (even @ error))
    elif kind == "one entry":
        flat[-1] += rng.choice([-1, 1]) * size
    elif kind in ("first right", "last right"):
        part = flat[1:] if kind == "first right" else flat[:-1]
        part += size * _unit(error[1:])
    else:  # on the sphere over the true slope: the error is perpendicular to what is claimed
        across = error - flat * (flat @ error) / length**2
        flat = flat / 2 + length / 2 * _unit(across)
    return flat.reshape(true.shape)


def _even(shape):
    return np.linspace(1, 2, int(np.prod(shape))).reshape(shape)


def _unit(vector):
    return vector / np.linalg.norm(vector)


def _single(part):
    if isinstance(part, dict):
        return {name: _single(value) for name, value in part.items()}
    return part.astype(np.float32)


def _known_verdicts(claimed, params, x, y, wrong):
    """Message → the names that a check with a well-known blind spot returns."""
    double = lambda arrays: {n: part.astype(float) for n, part in arrays.items()}
    claims, true = (
        double(claimed),
        ref.grad(_totals_loss)(double(params), x.astype(float), y.astype(float)),
    )
    differ = lambda test: [name for name in NAMES if test(claims[name], true[name])]
    unequal = lambda one, other: not np.isclose(one, other, rtol=0.01, atol=1e-12)
    return {
        "you walk along the claimed slope itself: an error perpendicular to it does not show there, nor does a "
        "slope that is claimed to be 0": differ(lambda c, t: unequal(np.sum(c * c), np.sum(c * t))),
        "you walk along ones only, which compares the sums of the entries: an error that adds up to 0 does not "
        "show": differ(lambda c, t: unequal(np.sum(c), np.sum(t))),
        "you walk along evenly spaced numbers, such as a linspace: an error perpendicular to them does not show": (
            differ(lambda c, t: unequal(np.sum(c * _even(c.shape)), np.sum(t * _even(c.shape))))
        ),
        "you look at the first entry of each slope only": (
            differ(lambda c, t: unequal(c.ravel()[0], t.ravel()[0]))
        ),
        "you look at the last entry of each slope only": (
            differ(lambda c, t: unequal(c.ravel()[-1], t.ravel()[-1]))
        ),
        "you compare lengths: a slope of the right length may point elsewhere": (
            differ(lambda c, t: unequal(np.linalg.norm(c), np.linalg.norm(t)))
        ),
        "one direction that moves all parameters says that something is wrong, not what: move one parameter at "
        "a time": list(NAMES) if wrong else [],
        "these are the right ones: the wrong ones are asked for": (
            [name for name in NAMES if name not in wrong]
        ),
        "the right names, in alphabetical order and not in that of `params`": sorted(wrong),
        "you say that all are right": [],
        "you say that all are wrong: does a direction move other parameters as well?": list(NAMES),
    }


def _tendency(cases, told, missed):
    """What is so of all errors of an answer: whom they accuse, and in which problems. One message at most."""
    where = [_where(case[2], case[3]) for case in cases]
    accused = {i for i in missed if set(told[i]) - set(cases[i][-1])}
    acquitted = {i for i in missed if set(cases[i][-1]) - set(told[i])}

    def only_in(kind, errors, possible, share=1.0):
        """Whether errors are in this share of the problems of a kind in which they can be, and nowhere else."""
        there = {i for i, case in enumerate(cases) if kind in where[i] and possible(case[-1])}
        return errors == set(missed) <= there and len(missed) >= max(2, share * len(there))

    some_right = lambda wrong: len(wrong) < len(NAMES)
    is_so = {
        "it is in single precision that you err: with too small an h the difference is rounding, with too large a "
        "one it sees curvature. Compute in float64, or change h": (
            only_in("single", accused | acquitted, lambda wrong: True, share=0.5)
        ),
        "you call right slopes wrong where losses are tiny: compare relative to the size of the slopes": (
            only_in("tiny", accused, some_right)
        ),
        "you call wrong slopes right where losses are tiny: compare relative to the size of the slopes": (
            only_in("tiny", acquitted, bool, share=0.5)
        ),
        "you call right slopes wrong: is h too large (it sees curvature) or too small (it sees rounding), the "
        "tolerance too narrow, or a measurement near 0 by chance?": not acquitted,
        "you call wrong slopes right: is the tolerance too wide, or are your directions blind to some errors?": (
            not accused
        ),
        "you call right slopes wrong and wrong ones right: is each claim compared with a measurement of the same "
        "parameter along the same direction, and is h large enough for single precision?": True,
    }
    explained = accused | acquitted == set(missed) and set().union(*told) <= set(NAMES)
    return [message for message, true in is_so.items() if true and explained][:1]


# ------------------------------------------------------------------ 02.6


@exercise("02.fit_one_sine", points=3, minutes=10, difficulty=2)
def fit_one_sine(answer, rng):
    """Fit one sine, in parts"""
    for case in _fits(rng):
        expect(answer(*case), _fitted(*case), mistakes=partial(_fits_gone_wrong, *case))


def _fits(rng):
    """Cases (params, x, y, lr, rounds): two or three rounds of two or three parts, points that recur."""
    for number, lr in enumerate(draw(rng, lr=(0.01, 0.03))):
        points = int(rng.integers(8, 13))
        x = rng.uniform(-3, 3, (points, 1))
        y = rng.uniform(1, 3) * np.sin(x - rng.uniform(0, np.pi))
        rounds = []
        for _ in range(2 + number % 2):
            lengths = rng.permutation([1, 2, 4])[: int(rng.integers(2, 4))]
            parts = [rng.integers(points, size=int(length)) for length in lengths]
            longest = max(parts, key=len)
            longest[1:2] = longest[0]  # a point that occurs twice
            rounds.append(parts)
        yield ref.mlp_init(rng, (1, 5, 1)), x, y, lr, rounds


def _slope(params, x, y, part):
    return ref.grad(ref.mse)(params, x[part], y[part])


def _moved(params, slopes, lr):
    return {name: value - lr * slopes[name] for name, value in params.items()}


def _weighted(params, slopes, weights):
    """Σ weight · slope, name by name."""
    return {
        name: sum(w * slope[name] for w, slope in zip(weights, slopes, strict=True))
        for name in params
    }


def _fitted(params, x, y, lr, rounds, weigh=None, choose=None):
    """One step per round; weigh(parts) → the weight of each part, choose(parts) → other parts."""
    for parts in rounds:
        parts = choose(parts) if choose else parts
        lengths = np.array([len(part) for part in parts])
        weights = weigh(lengths) if weigh else lengths / lengths.sum()
        slopes = [_slope(params, x, y, part) for part in parts]
        params = _moved(params, _weighted(params, slopes, weights), lr)
    return params


def _counted(params, x, y, lr, rounds, of_part=len, of_round=lambda parts: sum(map(len, parts))):
    """One step per round, each part's slope weighted by of_part(part) / of_round(parts)."""
    for parts in rounds:
        total = of_round(parts)
        slopes = [_slope(params, x, y, part) for part in parts]
        weights = [of_part(part) / total for part in parts]
        params = _moved(params, _weighted(params, slopes, weights), lr)
    return params


def _different(points):
    return len(np.unique(points))


def _never_cleared(params, x, y, lr, rounds, weigh):
    buffer = {name: np.zeros_like(value) for name, value in params.items()}
    for parts in rounds:
        weights = weigh(np.array([len(part) for part in parts]))
        for part, weight in zip(parts, weights, strict=True):
            slope = _slope(params, x, y, part)
            buffer = {name: buffer[name] + weight * slope[name] for name in buffer}
        params = _moved(params, buffer, lr)
    return params


def _step_per_part(params, x, y, lr, rounds, weigh):
    for parts in rounds:
        weights = weigh(np.array([len(part) for part in parts]))
        for part, weight in zip(parts, weights, strict=True):
            params = _moved(params, _slope(params, x, y, part), lr * weight)
    return params


def _all_from_the_start(params, x, y, lr, rounds):
    start = params
    for parts in rounds:
        params = _moved(params, _slope(start, x, y, np.concatenate(parts)), lr)
    return params


def _one_after_another(params, x, y, lr, rounds):
    for parts in rounds:
        for name in params:
            slope = _slope(params, x, y, np.concatenate(parts))[name]
            params = params | {name: params[name] - lr * slope}
    return params


def _fits_gone_wrong(*case):
    *_, x, _, _, rounds = case
    fitted = partial(_fitted, *case)
    share = lambda lengths: lengths / lengths.sum()
    equal = lambda lengths: np.full(len(lengths), 1 / len(lengths))
    ones = lambda lengths: np.ones(len(lengths))
    last = lambda lengths: np.arange(len(lengths)) == len(lengths) - 1
    first = lambda lengths: np.arange(len(lengths)) == 0
    everything = lambda parts: [np.arange(len(x))]
    return {
        "the buffer still holds the slopes of the last round: clear it when a new round begins": (
            lambda: _never_cleared(*case, share)
        ),
        "the buffer still holds the slopes of the last round, and besides, a mean of means is not the mean: "
        "weight each part by its length": lambda: _never_cleared(*case, equal),
        "the buffer still holds the slopes of the last round, and besides, slopes of means are summed without "
        "a weight: weight each part by its length": lambda: _never_cleared(*case, ones),
        "the buffer is cleared, or overwritten, at every part: only the last part of a round counts": (
            lambda: fitted(weigh=last)
        ),
        "the buffer is cleared, or overwritten, at every part: only the last part of a round counts, with its "
        "share": lambda: fitted(weigh=lambda lengths: last(lengths) * share(lengths)),
        "every part of a round counts: yours takes the first one only": lambda: fitted(weigh=first),
        "every part of a round counts: yours takes the first one only, with its share": (
            lambda: fitted(weigh=lambda lengths: first(lengths) * share(lengths))
        ),
        "a mean of means is not the mean: weight each part by how many points it holds": (
            lambda: fitted(weigh=equal)
        ),
        "these are the parts' slopes summed, each of a mean: weight each by its share of the round's points": (
            lambda: fitted(weigh=ones)
        ),
        "these are the parts' slopes times their lengths: divide by the number of the round's points": (
            lambda: fitted(weigh=lambda lengths: lengths)
        ),
        "divide by the number of points in the round, not by the number of all points": (
            lambda: fitted(weigh=lambda lengths: lengths / len(x))
        ),
        "divide by the number of points in the round, not by that of all rounds together": (
            lambda: _counted(
                *case, of_round=lambda _: sum(len(p) for parts in rounds for p in parts)
            )
        ),
        "a point that occurs twice counts twice among the round's points, too: you divide by the number of "
        "different ones": lambda: _counted(
            *case, of_round=lambda parts: _different(np.concatenate(parts))
        ),
        "a point that occurs twice counts twice among the round's points, too: you divide by the sum of the "
        "numbers of different ones in each part": (
            lambda: _counted(*case, of_round=lambda parts: sum(map(_different, parts)))
        ),
        "a point that occurs twice in a part counts twice in its weight: you weight each part by the number of its "
        "different points": lambda: _counted(*case, of_part=_different),
        "a point that occurs twice in a part counts twice: your weights are made of the numbers of different "
        "points in each part": (
            lambda: _counted(*case, _different, lambda parts: sum(map(_different, parts)))
        ),
        "a point that occurs twice counts twice: your weights are each part's number of different points, divided "
        "by the round's number of different ones": (
            lambda: _counted(*case, _different, lambda parts: _different(np.concatenate(parts)))
        ),
        "one step per round: you take one after every part, and the next part's slope elsewhere": (
            lambda: _step_per_part(*case, ones)
        ),
        "one step per round: you take one after every part, weighted, and the next part's slope elsewhere": (
            lambda: _step_per_part(*case, share)
        ),
        "the steps go uphill: θ − lr · slope, with a minus": (
            lambda: _fitted(case[0], x, case[2], -case[3], rounds)
        ),
        "a round has its own points: you take all points in every round": (
            lambda: fitted(choose=everything)
        ),
        "a point that occurs twice counts twice: yours counts once in a round": (
            lambda: fitted(choose=lambda parts: [np.unique(np.concatenate(parts))])
        ),
        "a point that occurs twice counts twice: yours counts once in a part": (
            lambda: fitted(choose=lambda parts: [np.unique(part) for part in parts])
        ),
        "every round takes its slopes at the parameters where the last round ended: yours are all taken at the "
        "start": lambda: _all_from_the_start(*case),
        "take all slopes of a step first, then move: yours are taken again after some parameters have moved": (
            lambda: _one_after_another(*case)
        ),
        "only the first round is done: is the `return` inside the loop?": (
            lambda: _fitted(*case[:4], rounds[:1])
        ),
        "one round too few": lambda: _fitted(*case[:4], rounds[:-1]),
        "these are the parameters as they came": case[0],
    }
