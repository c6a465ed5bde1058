"""Checks of chapter 09: each computes what is right, and what mistakes give, with NumPy and the reference."""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.comparing import difference
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect, named


def part_by_part(got, right, mistakes):
    """Expect each part of a tuple under its own name, so that a mistake in one hides none in another.

    right: name → the right part, in order; mistakes: name → message → what that mistake gives, or a
    function that returns this.
    """
    if isinstance(got, np.ndarray) and got.ndim == 1:  # numbers side by side are a tuple of numbers
        got = list(got)
    if not isinstance(got, (list, tuple)) or len(got) != len(right):
        expect(got, tuple(right.values()))
        return
    for part, (name, value) in zip(got, right.items(), strict=True):
        expect(part, value, mistakes[name], what=name)


# ---------------------------------------------------------------- 09.1


def draw_regressions(rng):
    """(theta (inputs,), support_x (tasks, shots, inputs), support_y (tasks, shots)): none is another's double."""
    tasks, shots, inputs = (int(n) for n in rng.choice([3, 4, 5, 7], size=3, replace=False))
    x = rng.normal(size=(tasks, shots, inputs))
    return rng.normal(size=inputs), x, rng.normal(size=(tasks, shots))


def chained(theta, x, y, inner_lr):
    """φ of each task when it starts where the one before ended."""
    found = []
    for task_x, task_y in zip(x, y, strict=True):
        theta = theta - inner_lr * 2 / len(task_y) * task_x.T @ (task_x @ theta - task_y)
        found.append(theta)
    return np.stack(found)


@exercise("09.adapt_all", points=2, minutes=7, difficulty=1)
def adapt_all(answer, rng):
    """No loop over tasks"""
    for (theta, x, y), inner_lr in draw(rng, problem=draw_regressions, inner_lr=(0.05, 0.3)):
        tasks, shots = y.shape
        summed = np.einsum("tni,tn->ti", x, x @ theta - y)  # (tasks, inputs)
        slope = 2 / shots * summed
        pooled = theta - inner_lr * 2 / y.size * summed.sum(0)
        expect(
            answer(theta, x, y, inner_lr),
            theta - inner_lr * slope,
            mistakes={
                "one φ for all tasks: the sum runs over tasks too. Sum over shots only, so that a "
                "slope is left for each task": pooled,
                "one φ for all tasks, copied: each task has a slope of its own": np.tile(
                    pooled, (tasks, 1)
                ),
                "the mean over shots is missing: divide by the number of shots": (
                    theta - inner_lr * 2 * summed
                ),
                "you divide by the number of tasks, len(support_y); the mean is over shots": (
                    theta - inner_lr * 2 / tasks * summed
                ),
                "you divide by the number of inputs; the mean is over shots": (
                    theta - inner_lr * 2 / len(theta) * summed
                ),
                "you divide by all examples of all tasks: each task's mean is over its own shots": (
                    theta - inner_lr * 2 / y.size * summed
                ),
                "the 2 of the derivative of a square is missing": theta - inner_lr * slope / 2,
                "the step goes uphill: φ = θ − α · slope": theta + inner_lr * slope,
                "inner_lr is missing: φ = θ − α · slope": theta - slope,
                "these are the slopes: φ = θ − α · slope": slope,
                "θ is missing, this is the step alone: φ = θ − α · slope": -inner_lr * slope,
                "θ is missing, this is α · slope: φ = θ − α · slope": inner_lr * slope,
                "the tasks are chained, each starts where the one before ended: all start at θ": (
                    chained(theta, x, y, inner_lr)
                ),
            },
        )


# ---------------------------------------------------------------- 09.2

# Numbers of rounds at which a mistaken count of tosses shows: a single term of the sum in place of the sum (all
# even, so that whoever takes one of the two middle ratios for the median is seen, too); 0.05 on each side in place
# of 0.025; and 0.005, which gives k − 2 there.
SHOW_A_TERM = [14, 22, 24, 32, 36]
SHOW_TWICE_THE_RISK = [11, 13, 16, 18, 21, 23, 28, 37]
SHOW_A_FIFTH_OF_THE_RISK = [17, 20, 25]


def draw_rounds(rng, faster, rounds):
    """(old, new): seconds of some rounds with drift and outliers; new is `faster` times as fast.

    Between 0.9 and 1.1, `faster` is the median of the ratios, so that an open verdict has one on either side of 1.
    """
    rounds = int(rng.choice(rounds))
    drift = np.exp(np.linspace(0, rng.uniform(-0.7, 0.7), rounds))  # both programs alike
    times = 0.02 * drift * np.exp(rng.normal(0, 0.05, (2, rounds)))
    if 0.9 < faster < 1.1:
        times *= np.where(rng.random((2, rounds)) < 0.1, rng.uniform(2, 8, (2, rounds)), 1.0)
        faster /= np.median(times[0] / times[1])
    else:  # each program has one bad round: a single round says the opposite of the interval
        times[[0, 1], rng.choice(rounds, size=2, replace=False)] *= rng.uniform(4, 8, 2)
    return faster * times[0], times[1]


def tosses(rounds, risk=0.025):
    """The largest k for which fewer than k heads in `rounds` tosses have a probability of at most `risk`."""
    at_most = np.cumsum([math.comb(rounds, heads) for heads in range(rounds + 1)]) / 2**rounds
    return int(np.sum(at_most <= risk))


def single_terms(rounds):
    """What k would be, were each number of heads judged by itself and not their sum."""
    exactly = np.array([math.comb(rounds, heads) for heads in range(rounds + 1)]) / 2**rounds
    return int(np.argmax(exactly > 0.025))


def verdict_of(low, high):
    return "new" if low > 1 else "old" if high < 1 else "open"


def speed_ups(old, new):
    """Message → the speed-up that a mistake gives."""
    ratios = old / new
    ordered, n = np.sort(ratios), len(ratios)
    return {
        "the speed-up is the ratio of the two medians, which are taken from different rounds: take the "
        "ratio within each round first": float(np.median(old) / np.median(new)),
        "the speed-up is the ratio of the means (or of the totals): drift and outliers are in it. Take "
        "the median of the ratios": float(old.mean() / new.mean()),
        "the speed-up is the mean of the ratios: one bad round moves it": float(ratios.mean()),
        "the speed-up is the geometric mean of the ratios: one bad round moves that, too": float(
            np.exp(np.log(ratios).mean())
        ),
        "the speed-up is the upper one of the two middle ratios: for an even number of rounds the "
        "median is their mean": float(ordered[n // 2]),
        "the speed-up is the lower one of the two middle ratios: for an even number of rounds the "
        "median is their mean": float(ordered[(n - 1) // 2]),
        "the speed-up leaves out the first round: every round counts here": float(
            np.median(ratios[1:])
        ),
        "the speed-up compares the best round of each, which are two different rounds": float(
            old.min() / new.min()
        ),
        "the ratios are inverted: a speed-up is the old time over the new one": float(
            np.median(new / old)
        ),
        "the times are sorted before they are divided: then a ratio's two times are of different "
        "rounds": float(np.median(np.sort(old) / np.sort(new))),
    }


def intervals(old, new):
    """Message → the (low, high) that a mistake gives."""
    ratios = old / new
    ordered, n, k = np.sort(ratios), len(ratios), tosses(len(ratios))

    def ends(low=k, high=k, of=ordered):
        return float(of[low - 1]), float(of[n - high])

    few, later = min(4, n // 2), tosses(n - 1)
    return {
        "low and high are the range of single rounds, not the interval of the median": ends(1, 1),
        "k is the lesson's 4, which belongs to 15 rounds: count the tosses for these rounds": ends(
            few, few
        ),
        "0.05 is allowed on each side: it is 0.025 on each, 0.05 on both together": ends(
            *[tosses(n, 0.05)] * 2
        ),
        "less than 0.025 is allowed on each side (0.005?)": ends(*[tosses(n, 0.005)] * 2),
        "low and high leave out the first round: every round counts here": (
            float(np.sort(ratios[1:])[later - 1]),
            float(np.sort(ratios[1:])[-later]),
        ),
        "k heads alone are judged: their probability must be added to those of fewer heads": ends(
            *[single_terms(n)] * 2
        ),
        "the ends lie one ratio too far outside: either k is one too small (when at most h heads are "
        "improbable enough, fewer than h + 1 are, so k = h + 1), or the index is one off (the k-th "
        "smallest is ordered[k - 1], the k-th largest ordered[n - k])": ends(k - 1, k - 1),
        "the ends lie one ratio too far inside: either k counts the term that passes 0.025, or the "
        "index is one off (the k-th smallest is ordered[k - 1], the k-th largest ordered[n - k])": (
            ends(k + 1, k + 1)
        ),
        "high is right, low is one place too far inside: the k-th smallest is ordered[k - 1]": ends(
            low=k + 1
        ),
        "high is right, low is one place too far outside: the k-th smallest is ordered[k - 1]": ends(
            low=k - 1
        ),
        "low is right, high is one place too far inside: the k-th largest is ordered[n - k]": ends(
            high=k + 1
        ),
        "low is right, high is one place too far outside: the k-th largest is ordered[n - k]": ends(
            high=k - 1
        ),
        "low and high are exchanged: the smaller one comes first": ends()[::-1],
        "the ends are taken from ratios in the order of the rounds: sort them first": ends(
            of=ratios
        ),
        "the ratios are inverted in the interval: a speed-up is the old time over the new one": (
            ends(of=np.sort(new / old))
        ),
        "the times are sorted before they are divided: then a ratio's two times are of different "
        "rounds": ends(of=np.sort(np.sort(old) / np.sort(new))),
        "percentiles of the ratios say where single rounds lie; asked is where their median lies": (
            percentiles(ratios)
        ),
    } | by_standard_errors(ratios)


def percentiles(ratios):
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def by_standard_errors(ratios):
    """The intervals of those who trust in normal noise."""
    found = {}
    for middle, what in ((ratios.mean(), "mean"), (np.median(ratios), "median")):
        for ddof, over in ((1, "n − 1"), (0, "n")):
            half = 1.96 * ratios.std(ddof=ddof) / math.sqrt(len(ratios))
            message = (
                f"this is {what} ± 1.96 standard errors (with {over} in the variance), for normal "
                "noise; here are outliers: count tosses"
            )
            found[message] = (float(middle - half), float(middle + half))
    return found


@exercise("09.compare_in_rounds", points=4, minutes=20, difficulty=3)
def compare_in_rounds(answer, rng):
    """The verdict of the rounds"""
    faster = itertools.cycle((1.005, 1.4, 0.7, 0.995))  # open, new, old, open
    rounds = itertools.cycle((SHOW_A_TERM, SHOW_TWICE_THE_RISK, SHOW_A_FIFTH_OF_THE_RISK))
    for old, new in draw(rng, times=lambda rng: draw_rounds(rng, next(faster), next(rounds))):
        ordered, k = np.sort(old / new), tosses(len(old))
        speed_up, low, high = (float(x) for x in (np.median(ordered), ordered[k - 1], ordered[-k]))
        verdict = verdict_of(low, high)
        flipped = {"new": "old", "old": "new", "open": "open"}[verdict]
        got = answer(old, new)
        if isinstance(got, np.ndarray) and got.shape == (4,):
            got = list(got)
        if isinstance(got, (list, tuple)) and len(got) == 4:
            got = (got[0], (got[1], got[2]), got[3])
            right = {
                "the speed-up": speed_up,
                "the interval (low, high)": (low, high),
                "the verdict": verdict,
            }
        else:
            right = dict(enumerate((speed_up, low, high, verdict)))  # for its form only
        mistakes = {
            "the speed-up": partial(speed_ups, old, new),
            "the interval (low, high)": partial(intervals, old, new),
            "the verdict": {
                "the verdict is never open: it must come from the interval, not from the median": (
                    "new" if speed_up > 1 else "old"
                ),
                'the verdict is never open: high above 1 is not enough for "new", low must be, too': (
                    "new" if high > 1 else "old"
                ),
                'the verdict is never open: low below 1 is not enough for "old", high must be, too': (
                    "new" if low > 1 else "old"
                ),
                "the verdict names the slower one": flipped,
                "the verdict asks whether all single rounds agree: the interval is enough": (
                    verdict_of(ordered[0], ordered[-1])
                ),
            },
        }
        part_by_part(got, right, mistakes)


# ---------------------------------------------------------------- 09.3


def draw_shares(rng, empty):
    """(means, counts): gradients of 3 to 5 processes of unequal shares, one of them `empty` or none."""
    processes = int(rng.integers(3, 6))
    counts = [int(n) for n in rng.permutation(np.arange(1, 12))[:processes]]
    if counts[0] == max(counts):  # the first share is never the largest, nor empty
        counts.reverse()
    if empty:
        counts[counts.index(min(counts[1:]))] = 0
    names = rng.choice(["w", "b", "w1", "b1", "head", "0.weight"], size=2, replace=False)
    shapes = [tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(1, 3))) for _ in names]
    means = [
        {str(name): np.full(shape, np.nan) if not n else rng.normal(size=shape)
         for name, shape in zip(names, shapes, strict=True)}
        for n in counts
    ]  # fmt: skip
    return means, counts


def weighted(means, weights):
    """The sum of the means that are there, each times its weight."""
    pairs = [(w, mean) for w, mean in zip(weights, means, strict=True) if w]
    return {name: sum(w * mean[name] for w, mean in pairs) for name in means[0]}


NAN = (
    "a process without tasks makes everything NaN: whatever you add NaN to becomes NaN, and so does "
    "anything multiplied by it, even 0. Leave that process out"
)
FOR_ZERO = "this is the mean of the means, those of processes without tasks taken for zero"
BY_THE_BUSY = "you divide by the number of processes that have tasks (it is to be that of tasks)"


def share_mistakes(means, counts):
    """Message → the gradient that a mistake gives; processes without tasks are left out."""
    used = [float(n > 0) for n in counts]
    inverse = [1 / n if n else 0.0 for n in counts]
    weights = {
        "this is the mean of the means: it counts the tasks of a small share more than those of a large "
        "one": [u / sum(used) for u in used],
        FOR_ZERO: [u / len(counts) for u in used],
        "this is the sum of the means: weight each by its tasks, and divide by all tasks": used,
        "this is the sum over tasks: divide by the number of all tasks": [float(n) for n in counts],
        "you divide by the number of processes (or of those with tasks); a mean over tasks is divided by "
        "the number of tasks": [n / len(counts) for n in counts],
        BY_THE_BUSY: [n / sum(used) for n in counts],
        "each mean is divided by its number of tasks: multiply, and it is the sum over its share": (
            inverse
        ),
        "the weights are upside down: a process with more tasks counts more": [
            w / sum(inverse) for w in inverse
        ],
        "the weights are squared: the mean is weighted once, by its number of tasks": [
            n**2 / sum(m**2 for m in counts) for n in counts
        ],
        "this is the first process's gradient alone": [float(i == 0) for i in range(len(counts))],
        "this is the gradient of the largest share alone": [
            float(n == max(counts)) for n in counts
        ],
    }
    return {message: weighted(means, each) for message, each in weights.items()}


@exercise("09.all_reduce", points=2, minutes=5, difficulty=1)
def all_reduce(answer, rng):
    """All-reduce"""
    empty = itertools.cycle((False, True))  # a wrong mean is seen before the first NaN
    for means, counts in draw(rng, shares=lambda rng: draw_shares(rng, next(empty))):
        got, mistakes = answer(means, counts), share_mistakes(means, counts)
        if 0 in counts and holds_nan(got):  # NaN is as it may be, but no process was left out
            got = "NaN"
            mistakes = dict.fromkeys([*mistakes.keys() - {FOR_ZERO, BY_THE_BUSY}, NAN], got)
        expect(got, weighted(means, [n / sum(counts) for n in counts]), mistakes)


def holds_nan(got):
    """Whether any array of a dict has a NaN."""
    parts = [array_of(part) for part in got.values()] if isinstance(got, dict) else []
    return any(part is not None and np.isnan(part).any() for part in parts)


# ---------------------------------------------------------------- 09.4


def draw_sizes(rng, larger):
    """(inner_steps, parameters, step_graph, query_graph).

    larger: "step" by more than all sets of parameters, "step a little" by less than one set, or "query".
    """
    parameters, inner_steps = int(rng.integers(1000, 5000)), int(rng.integers(3, 50))
    graphs = int(rng.integers(6000, 90_000)), int(rng.integers(6000, 60_000))
    step, query = graphs[0] + graphs[1] + inner_steps * parameters, graphs[0]
    if larger == "query":
        step, query = query, step
    if larger == "step a little":
        step = query + int(rng.integers(50, 900))
    return inner_steps, parameters, step, query


RECORDED, WALKED, THRIFTY = "the recorded loop", "the back-walk", "the thrifty back-walk"


def recorded_mistakes(steps, parameters, step, query):
    sets = steps * parameters
    return {
        "the recorded loop keeps φ₁ … φ_K, too: each graph hangs on the parameters at which it is "
        "built": steps * step + query,
        "the query loss has a graph, too: the recorded loop keeps it": sets + steps * step,
        "the query loss has a graph, too, and the recorded loop keeps φ₁ … φ_K besides": steps
        * step,
        "the query's graph is counted once per inner step: there is one query loss, at the end": (
            sets + steps * (step + query)
        ),
        "the recorded loop has one set too many: θ is there anyway": (
            sets + parameters + steps * step + query
        ),
        "the recorded loop has one set too few: the query's graph is built at φ_K": (
            sets - parameters + steps * step + query
        ),
        "the recorded loop keeps the graphs of all inner steps, not of one": sets + step + query,
        "the recorded loop has one inner step too many: its last graph is the query's": (
            sets + parameters + (steps + 1) * step
        ),
        "the recorded loop has one inner step too many: K steps have K graphs and K new sets": (
            sets + parameters + (steps + 1) * step + query
        ),
        "this is the back-walk: the recorded loop comes first": sets + max(step, query),
    }


def walked_mistakes(steps, parameters, step, query):
    sets, larger = steps * parameters, max(step, query)
    return {
        "both graphs are counted in the back-walk: one is gone before the other is built, so the larger "
        "one decides": sets + step + query,
        "the back-walk keeps no graph through its steps: what grows with them is the parameters": (
            sets + steps * step + query
        ),
        "one set too many: θ is there anyway, and v does not count": sets + parameters + larger,
        "one set too few: K inner steps make K new sets, φ₁ … φ_K": sets - parameters + larger,
        "the back-walk has the graph of the query loss, too, and it may be the larger one": sets
        + step,
        "the back-walk has the graph of an inner step, too, and it may be the larger one": sets
        + query,
        "the back-walk's one graph is missing: it needs one at a time": sets,
        "the smaller graph is taken in the back-walk: the larger one makes the worst moment": (
            sets + min(step, query)
        ),
        "the sets φ₁ … φ_K are missing: the back-walk keeps them to the end": larger,
        "the back-walk's sets are missing beside the step's graph: it keeps them to the end": max(
            sets + query, step
        ),
        "the back-walk's sets are missing beside the query's graph: φ₁ … φ_K are there already": max(
            query, sets + step
        ),
        "this is the thrifty walk: the lesson's back-walk keeps every set to the end": max(
            sets + query, sets - parameters + step
        ),
    }


def thrifty_mistakes(steps, parameters, step, query):
    sets, larger = steps * parameters, max(step, query)
    before = sets - parameters  # φ_K is gone
    return {
        "nothing is saved in the thrifty walk: when the last step's graph is built, φ_K is gone": (
            sets + larger
        ),
        "in the thrifty walk φ_K is still there while the query's graph is": before + larger,
        "the thrifty walk is judged at the query loss only: the last step's graph may be the worse "
        "moment": sets + query,
        "the thrifty walk is judged at the last step only: the query loss may be the worse moment": (
            before + step
        ),
        "the thrifty walk needs all sets at its beginning, not one": parameters + larger,
        "the better of two moments is taken in the thrifty walk: it has to fit at the worse one": min(
            sets + query, before + step
        ),
        "in the thrifty walk the smaller graph is taken: the larger one may make the worst moment": (
            sets + min(step, query)
        ),
        "the thrifty walk has one set too many beside the query's graph: K inner steps make K": max(
            sets + parameters + query, before + step
        ),
        "the thrifty walk is judged at its end, where it needs least": step,
        "the thrifty walk has one set too many: θ is there anyway, and v does not count": (
            max(sets + query, before + step) + parameters
        ),
        "both graphs are counted in the thrifty walk: one is gone before the other is built": (
            sets + step + query
        ),
        "the sets φ₁ … φ_{K−1} are missing beside the last step's graph: earlier steps need them yet": (
            max(sets + query, step)
        ),
        "the thrifty walk has a set too few beside the last step's graph: φ₁ … φ_{K−1} are there": (
            max(sets + query, before - parameters + step)
        ),
        "the sets φ₁ … φ_K are missing beside the query's graph: none is released before it": (
            max(query, before + step)
        ),
        "the thrifty walk's sets are missing: each stays until no later graph is built at it": larger,
    }


@exercise("09.memory_law", points=3, minutes=20, difficulty=3)
def memory_law(answer, rng):
    """The law of memory"""
    kinds = itertools.cycle(("step", "query", "step a little"))
    for sizes in draw(rng, sizes=lambda rng: draw_sizes(rng, next(kinds))):
        steps, parameters, step, query = sizes
        sets = steps * parameters
        right = {
            RECORDED: sets + steps * step + query,
            WALKED: sets + max(step, query),
            THRIFTY: max(sets + query, sets - parameters + step),
        }
        mistakes = {
            RECORDED: partial(recorded_mistakes, *sizes),
            WALKED: partial(walked_mistakes, *sizes),
            THRIFTY: partial(thrifty_mistakes, *sizes),
        }
        part_by_part(answer(*sizes), right, mistakes)


# ---------------------------------------------------------------- 09.5


@dataclass(frozen=True)
class Times:
    """Seconds: the starts of one task's operations, the arithmetic of all tasks, the rest; and how many tasks."""

    starts: float
    arithmetic: float
    rest: float
    tasks: int

    @property
    def loop(self):
        return self.tasks * self.starts + self.arithmetic + self.rest

    @property
    def together(self):
        return self.starts + self.arithmetic + self.rest

    @property
    def limit(self):
        return self.arithmetic + self.rest

    def but(self, **parts):
        """The same with some parts replaced."""
        return replace(self, **parts)


def common_mistakes(t, operations, ratio):
    """Message → ratio of the times of those who have a part of both programs wrong."""
    each = t.but(arithmetic=t.arithmetic * operations)
    alone = t.but(arithmetic=t.arithmetic / t.tasks)
    return {
        "you leave `rest` out: both programs spend it, and it does not shrink (Amdahl)": ratio(
            t.but(rest=0.0)
        ),
        "flops_per_task is the arithmetic of *all* operations of a task, not of each": ratio(each),
        "`operations` is missing: each of them costs a start": ratio(
            t.but(starts=t.starts / operations)
        ),
        "the arithmetic is that of one task, in both programs: it is done for all tasks": ratio(
            alone
        ),
    }


def speed_up_mistakes(t, operations):
    return common_mistakes(t, operations, lambda t: t.loop / t.together) | {
        "the arithmetic of the vectorised program is that of one task: it does all tasks'": (
            t.loop / (t.together - t.arithmetic + t.arithmetic / t.tasks)
        ),
        "the number of tasks is no speed-up: only the starts become fewer, arithmetic and rest stay": (
            float(t.tasks)
        ),
        "the vectorised program has one start in all: it starts each of its operations once": (
            t.loop / (t.limit + t.starts / operations)
        ),
        "the speed-up is inverted: it is the old time over the new one": t.together / t.loop,
        "this is the limit: the speed-up of the vectorised program comes first": t.loop / t.limit,
        "the arithmetic is missing: each flop takes 1 / peak seconds": (
            (t.loop - t.arithmetic) / (t.together - t.arithmetic)
        ),
        "`rest` comes once per outer step, not once per task": (
            (t.loop + (t.tasks - 1) * t.rest) / t.together
        ),
        "`rest` is missing in the vectorised program: it stays": t.loop / (t.together - t.rest),
        "`rest` is missing in the loop: it spends it, too": (t.loop - t.rest) / t.together,
        "it comes out as 1, as if nothing were saved. Is all else lost in the arithmetic (divide flops by "
        "`peak`: it is flops per second), or has the vectorised program the loop's starts?": 1.0,
    }


def limit_mistakes(t, operations):
    return common_mistakes(t, operations, lambda t: t.loop / t.limit) | {
        "the limit is inverted: a speed-up is the old time over the new one": t.limit / t.loop,
        "the number of tasks is no limit: without starts, arithmetic and rest remain": float(
            t.tasks
        ),
        "the limit leaves `rest` out: a better engine does not touch it": t.loop / t.arithmetic,
        "the limit has only `rest` left: the arithmetic takes time at `peak`, too": t.loop / t.rest,
        "the limit has the arithmetic of one task only: all tasks' is done": (
            t.loop / (t.arithmetic / t.tasks + t.rest)
        ),
        "the limit is relative to the vectorised program; it is asked relative to the loop": (
            t.together / t.limit
        ),
        "this is the speed-up: the limit has no starts at all": t.loop / t.together,
        "in the limit each operation is still started once for each task": 1.0,
        "the arithmetic of the loop is missing: each flop takes 1 / peak seconds": (
            (t.loop - t.arithmetic) / t.rest
        ),
        "`rest` comes once per outer step, not once per task": (
            (t.loop + (t.tasks - 1) * t.rest) / t.limit
        ),
    }


@exercise("09.predict_speed_up", points=3, minutes=10, difficulty=2)
def predict_speed_up(answer, rng):
    """Predict the speed-up"""
    cases = draw(
        rng,
        tasks=(5, 60),
        operations=(50, 400),
        flops_per_task=(2e5, 4e6),
        start=(2e-6, 1e-5),
        peak=(2e10, 2e11),
        rest=(1e-4, 1e-3),
    )
    for tasks, operations, flops, start, peak, rest in cases:
        t = Times(operations * start, tasks * flops / peak, rest, tasks)
        part_by_part(
            answer(tasks, operations, flops, start, peak, rest),
            {"the speed-up": t.loop / t.together, "the limit": t.loop / t.limit},
            {
                "the speed-up": partial(speed_up_mistakes, t, operations),
                "the limit": partial(limit_mistakes, t, operations),
            },
        )


# ---------------------------------------------------------------- 09.6


def draw_walk(rng, network):
    """(loss, theta, support, query, weights, inner_lr): a network or a linear model; sizes and steps vary."""
    inputs, width, shots, queries = (int(n) for n in rng.integers(2, 6, size=4))
    if network:
        loss, shapes = named("tanh_mlp_mse"), {"w1": (inputs, width), "b1": (width,)}
        shapes |= {"w2": (width, 1), "b2": (1,)}
    else:
        loss, shapes = named("linear_mse"), {"w": (inputs, 1), "b": (1,)}
    theta = {name: rng.normal(0, 0.8, shape) for name, shape in shapes.items()}
    sets = [(rng.normal(size=(n, inputs)), rng.normal(size=(n, 1))) for n in (shots, queries + 1)]
    weights = [float(w) for w in rng.uniform(0.2, 1.5, size=rng.integers(3, 5))]
    return loss, theta, *sets, weights, float(rng.uniform(0.2, 0.5))


def path_from(loss, theta, support, inner_lr, inner_steps):
    """[φ₀ … φ_K] of gradient descent."""
    path = [theta]
    for _ in range(inner_steps):
        slope = ref.grad(loss.numpy)(path[-1], *support)
        path.append({name: path[-1][name] - inner_lr * slope[name] for name in theta})
    return path


def plus(a, b, factor=1.0):
    return {name: a[name] + factor * b[name] for name in a}


def dot(a, b):
    return float(sum(np.sum(a[name] * b[name]) for name in a))


def times_hessian(loss, phi, data, v):
    """H v at φ of the loss on data (x, y)."""
    return ref.grad(lambda params: inner_product(ref.grad(loss.numpy)(params, *data), v))(phi)


def inner_product(slope, v):
    return sum(np.sum(slope[name] * v[name]) for name in v)


class Walk:
    """The walk back, and the walks of those who err: each argument of `back` is one way to."""

    def __init__(self, loss, path, support, query, weights, inner_lr):
        self.loss, self.path, self.support, self.query = loss, path, support, query
        self.weights, self.rate = weights, inner_lr

    def slopes(self, data):
        """The gradient at each of φ₀ … φ_K of the loss on data (x, y), which are either of the two sets."""
        return self.query_slopes if data is self.query else self.support_slopes

    @cached_property
    def query_slopes(self):
        return [self.slope(k, self.query) for k in range(len(self.path))]

    @cached_property
    def support_slopes(self):
        return [self.slope(k, self.support) for k in range(len(self.path))]

    def slope(self, k, data):
        return ref.grad(self.loss.numpy)(self.path[k], *data)

    def trace(self, weights=None, rate=None, hessian_at=lambda k: k, data=None, early=False,
              joining=None, on_the_way=None, curved=None):  # fmt: skip
        """(dL/dφ₀, [(vₖ₊₁, the same walked over step k, with the query's gradient at φₖ) for each k]).

        early: the gradient at φₖ joins before step k is walked. joining: the data of the gradients that join;
        on_the_way: those of the gradients that join after the first. curved: a function (k, data, v, the v of
        the beginning) that is taken for H v.
        """
        weights = self.weights if weights is None else weights
        rate, data = self.rate if rate is None else rate, data or self.support
        joins, trace = self.slopes(joining or self.query), []
        curved = curved or (lambda k, data, v, _: times_hessian(self.loss, self.path[k], data, v))
        v = start = {n: weights[-1] * part for n, part in joins[-1].items()}
        joins = self.slopes(on_the_way) if on_the_way else joins
        for k in reversed(range(len(self.path) - 1)):
            before = v
            if early:
                v = plus(v, joins[k], weights[k])
            if rate and hessian_at(k) is not None:
                v = plus(v, curved(hessian_at(k), data, v, start), -rate)
            walked = v
            if not early:
                v = plus(v, joins[k], weights[k])
            trace.append((before, walked, v))
        return v, trace[::-1]

    @cached_property
    def right(self):
        """`trace` without an error."""
        return self.trace()

    def back(self, **error):
        """dL/dφ₀, of those who make this error."""
        return (self.trace(**error) if error else self.right)[0]

    def first_mistakes(self):
        """Message → dL/dφ₀ of those who err."""
        w, back = self.weights, self.back
        return {
            "H is taken for zero: that is first-order MAML": lambda: back(rate=0.0),
            "only the last query loss is there: at each φₖ another one joins, with weights[k]": (
                lambda: back(weights=[0.0] * (len(w) - 1) + w[-1:])
            ),
            "the weights are left out: every query loss has its own": (
                lambda: back(weights=[1.0] * len(w))
            ),
            "the last weight is left out: v begins with weights[K] times the gradient at φ_K": (
                lambda: back(weights=[*w[:-1], 1.0])
            ),
            "the last query loss is left out: v begins with that at φ_K": (
                lambda: back(weights=[*w[:-1], 0.0])
            ),
            "the query loss at φ₀ is left out, as MAML++ has it: here w₀ is whatever weights[0] is": (
                lambda: back(weights=[0.0, *w[1:]])
            ),
            "the weights are in the opposite order: weights[k] belongs to φₖ": (
                lambda: back(weights=w[::-1])
            ),
            "the weights that join on the way are in the opposite order: weights[k] belongs to φₖ": (
                lambda: back(weights=[*w[:0:-1], w[-1]])
            ),
            "a query loss joins too early: the gradient at φₖ₊₁ has to be walked back over step k, that "
            "at φₖ has not": lambda: back(early=True),
            "H is that of the query loss; the inner steps were taken on the support set": (
                lambda: back(data=self.query)
            ),
            "H is taken one step too late, at φₖ₊₁: step k from φₖ to φₖ₊₁ has its own at path[k]": (
                lambda: back(hessian_at=lambda k: k + 1)
            ),
            "every Hessian is taken at φ₀: step k has its own, at path[k]": (
                lambda: back(hessian_at=lambda k: 0)
            ),
            "the sign is wrong: v ← v − α H v, with a minus": lambda: back(rate=-self.rate),
            "inner_lr is missing: v ← v − α H v": lambda: back(rate=1.0),
            "H v is subtracted twice: v ← v − α H v, without a 2": lambda: back(rate=2 * self.rate),
            "the first step, at path[0], is left out": (
                lambda: back(hessian_at=lambda k: k or None)
            ),
            "the gradients that join v are those of the support loss: they are to be those of the query "
            "loss": lambda: back(joining=self.support),
            "the gradients that join v on the way are those of the support loss: they are to be those of "
            "the query loss": lambda: back(on_the_way=self.support),
            "support and query are exchanged: H is that of the support loss, and the gradients that join "
            "are those of the query loss": lambda: back(joining=self.support, data=self.query),
            "every H is applied to the v of the beginning: step k has to be walked by v as it is then": (
                lambda: back(curved=self.of_the_first_v)
            ),
            "the support gradient stands in the place of H v: differentiate the number g · v": (
                lambda: back(curved=lambda k, data, *_: self.slope(k, data))
            ),
            "H v lacks the mixed derivatives: each parameter was taken by itself. g · v is *one* number, "
            "the sum over all names": lambda: back(curved=self.block_by_block),
        }

    def of_the_first_v(self, k, data, v, start):
        return times_hessian(self.loss, self.path[k], data, start)

    def block_by_block(self, k, data, v, start):
        """H v without the blocks between two parameters."""
        zero = {name: 0.0 * part for name, part in v.items()}
        parts = {n: zero | {n: v[n]} for n in v}
        return {n: times_hessian(self.loss, self.path[k], data, parts[n])[n] for n in v}

    def of_rate(self, part=0, slopes=None, **error):
        """dL/dα of each step: minus v · g. part: which of the three of `trace` is taken for v."""
        slopes = slopes or self.slopes(self.support)
        _, trace = self.trace(**error) if error else self.right
        return [-dot(step[part], slope) for step, slope in zip(trace, slopes, strict=False)]

    def rate_mistakes(self):
        """Message → dL/dα of those who err."""
        right, w = self.of_rate(), self.weights
        return {
            "dL/dα has the wrong sign: φₖ₊₁ = φₖ − α g, so α pulls against g": -sum(right),
            "dL/dα is taken after the step back: α moves φₖ₊₁, so it wants v before H is applied": (
                lambda: sum(self.of_rate(1))
            ),
            "dL/dα is taken with the query's gradient at φₖ in v: α moves φₖ₊₁ and what comes later, not "
            "φₖ": lambda: sum(self.of_rate(2)),
            "dL/dα is taken with the query's gradient at φₖ in v, before H is applied: α moves φₖ₊₁ and "
            "what comes later, not φₖ": lambda: sum(self.with_joined()),
            "dL/dα is missing (0): α moves every φₖ₊₁ directly": 0.0,
            "dL/dα has the last step only: sum over all steps, each has the same α": right[-1],
            "dL/dα has only the first step, which is walked last: add up, do not overwrite": right[
                0
            ],
            "dL/dα is a mean over the steps: each has the same α, so it is their sum": (
                sum(right) / len(right)
            ),
            "dL/dα has a factor α too many: φₖ₊₁ = φₖ − α g moves by −g": self.rate * sum(right),
            "dL/dα is taken with g at φₖ₊₁: step k has its own at path[k]": (
                lambda: sum(self.of_rate(slopes=self.slopes(self.support)[1:]))
            ),
            "dL/dα is taken with the query's gradient for g; the inner steps were taken on the support "
            "set": lambda: sum(self.of_rate(slopes=self.slopes(self.query))),
            "dL/dα is taken with a v that has passed no Hessian: that is first-order MAML": (
                lambda: sum(self.of_rate(rate=0.0))
            ),
            "dL/dα has only the last query loss: every one is moved by the steps before it": (
                lambda: sum(self.of_rate(weights=[0.0] * (len(w) - 1) + w[-1:]))
            ),
        }

    def with_joined(self):
        """dL/dα of each step when the gradient at φₖ is in v too early, in that product only."""
        joins, slopes = self.slopes(self.query), self.slopes(self.support)
        extra = [w * dot(q, g) for w, q, g in zip(self.weights, joins, slopes, strict=True)]
        return [own - more for own, more in zip(self.of_rate(), extra, strict=False)]


def differentiated(answer, *problem):
    """The answer to a problem; torch's complaint about tensors without requires_grad in words that help."""
    try:
        return answer(*problem)
    except Exception as error:
        if "does not require grad" not in str(error):
            raise
        raise WrongAnswer(
            "the tensors have no requires_grad, so torch.autograd has nothing to go back to. Use "
            "torch.func.grad and torch.func.vjp, or copies: t.detach().clone().requires_grad_()"
        ) from error


@exercise("09.walk_back", points=5, minutes=30, difficulty=4, interface="torch")
def walk_back(answer, rng):
    """Walk back, past several query losses"""
    network = itertools.cycle((True, True, False))
    first, rate = "dL/dφ₀", "dL/dα"
    for loss, theta, support, query, weights, inner_lr in draw(
        rng, problem=lambda rng: draw_walk(rng, next(network))
    ):
        path = path_from(loss, theta, support, inner_lr, len(weights) - 1)
        walk = Walk(loss, path, support, query, weights, inner_lr)
        part_by_part(
            differentiated(answer, loss, path, *support, *query, weights, inner_lr),
            {first: walk.back(), rate: sum(walk.of_rate())},
            {first: walk.first_mistakes, rate: walk.rate_mistakes},
        )


# ---------------------------------------------------------------- 09.7


EXACT = 1e-12  # what float64 keeps; central differences of gradients keep nine or ten digits


def draw_two_layers(rng):
    """([W₁, b₁, W₂, b₂], x, y, a direction like the first): all lengths differ."""
    sizes = rng.choice(np.arange(2, 8), size=4, replace=False)
    examples, inputs, hidden, outputs = (int(n) for n in sizes)
    shapes = [(hidden, inputs), (hidden,), (outputs, hidden), (outputs,)]
    weights, direction = ([rng.normal(0, 0.7, s) for s in shapes] for _ in range(2))
    return (
        weights,
        rng.normal(size=(examples, inputs)),
        rng.normal(size=(examples, outputs)),
        direction,
    )


class TwoLayers:
    """The R-operator of a tanh layer and a linear one; what can be left out has a factor, here 1.

    moving: R{x} in place of 0.
    """

    def __init__(self, weights, x, y, direction):
        self.weights, self.x, self.y, self.direction = weights, x, y, direction
        W1, b1, W2, b2 = weights
        self.a = np.tanh(x @ W1.T + b1)
        self.opens = 1 - self.a**2  # tanh's slope
        self.delta2 = 2 / y.size * (self.a @ W2.T + b2 - y)
        self.delta1 = self.delta2 @ W2 * self.opens

    def gradient(self):
        return self.product(self.delta1, self.x) + self.product(self.delta2, self.a)

    @staticmethod
    def product(delta, inputs):
        return [delta.T @ inputs, delta.sum(0)]

    def hessian_times(self, *, turn=1.0, input=1.0, curve=1.0, slope=1.0, target=0.0, passing=1.0,
                      forward=1.0, bias=1.0, moving=None, opening=1.0, chained=True):  # fmt: skip
        """H times the direction; each argument names a term."""
        U1, u1, U2, u2 = self.direction
        W1, _, W2, _ = self.weights
        R_z1 = self.x @ U1.T + bias * u1 + (0.0 if moving is None else moving @ W1.T)
        R_a = R_z1 * (self.opens if opening else 1.0)
        R_z2 = R_a @ W2.T + forward * (self.a @ U2.T) + bias * u2
        R_delta2 = 2 / self.y.size * (R_z2 - target * self.y)
        R_opens = -2 * self.a * (R_a if chained else R_z1)
        passed = passing * (R_delta2 @ W2) + turn * (self.delta2 @ U2)
        R_delta1 = passed * (self.opens if slope else 1.0) + curve * (self.delta2 @ W2) * R_opens
        first, second = self.product(R_delta1, self.x), self.product(R_delta2, self.a)
        second[0] = second[0] + input * (self.delta2.T @ R_a)
        if moving is not None:
            first[0] = first[0] + self.delta1.T @ moving
        return first + second

    def mistakes(self):
        """Message → what those who err return."""
        H, examples = self.hessian_times, len(self.x)
        right = H()
        return {
            "this is the gradient: R of each of its lines is asked": self.gradient(),
            "tanh is curved: its slope 1 − a² moves, too, by −2 a R{a}; you treat it as relu's, which "
            "stands still": H(curve=0.0),
            "R{1 − a²} is −2 a R{a}; the sign is wrong": H(curve=-1.0),
            "R{1 − a²} is −2 a R{a}; the 2 is missing": H(curve=0.5),
            "R{1 − a²} is −2 a R{a}; you take R{z₁} for R{a} in it": H(chained=False),
            "the term R{δ₂} W₂ is missing: δ₂ itself moves, and is passed back": H(passing=0.0),
            "the term δ₂ U₂ is missing: the weights turn under δ on its way back": H(turn=0.0),
            "the term δ₂ᵀ R{a} is missing: the second layer's inputs move": H(input=0.0),
            "the terms δ₂ U₂ and δ₂ᵀ R{a} are missing: by the product rule each product has two": (
                H(turn=0.0, input=0.0)
            ),
            "the terms with δ itself are missing (Gauss–Newton): by the product rule each product has "
            "two": H(turn=0.0, input=0.0, curve=0.0),
            "the term a U₂ᵀ is missing on the way forward: R{z₂} = R{a} W₂ᵀ + a U₂ᵀ + u₂": (
                H(forward=0.0)
            ),
            "u₁ and u₂ are left out: the biases move, too": H(bias=0.0),
            "R{x} is 0: the inputs do not move (you take R{x} = x)": H(moving=self.x),
            "R{y} is 0: the targets do not move": H(target=1.0),
            "R{a} = (1 − a²) R{z}: tanh's slope is missing on the way forward": H(opening=0.0),
            "tanh's slope 1 − a² is missing on the way back": H(slope=0.0),
            "you divide by the examples only; the mean is over examples and outputs": (
                self.scaled(self.y.shape[1])
            ),
            "the mean is missing: divide by all examples and outputs": self.scaled(self.y.size),
            "the 2 of the derivative of a square is missing": self.scaled(0.5),
            "the parts of b are means over examples; the mean is in δ already, so sum": [
                part / (examples if part.ndim == 1 else 1) for part in right
            ],
            "all parts are means over examples; the mean is in δ already, so sum": [
                part / examples for part in right
            ],
        }

    def scaled(self, factor):
        return [factor * part for part in self.hessian_times()]


@exercise("09.hessian_times", points=5, minutes=35, difficulty=4)
def hessian_times(answer, rng):
    """The R-operator of two layers"""
    for problem in draw(rng, layers=draw_two_layers):
        layers = TwoLayers(*problem)
        got, right = answer(*problem), layers.hessian_times()
        mistakes = layers.mistakes
        if difference(got, right, 1e-4) is None:  # then it is no mistake of the mathematics
            mistakes = {}
            if difference(got, right, EXACT, EXACT) is not None:
                raise WrongAnswer(
                    "it is right, but not to twelve digits: differences of gradients (or float32) come "
                    "no closer. Write R of each line, in float64"
                )
        expect(got, right, mistakes, rtol=EXACT, atol=EXACT)
