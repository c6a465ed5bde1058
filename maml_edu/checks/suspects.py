"""The mistakes that people make in MAML, each as the gradient that it gives. Start from `matches`.

Mistakes without a free number are compared (`known`); those with one, such as a weight decay, are fitted
(`fitted`): the number for which they give the gradient in question, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .problem import Problem

TOLERANCE = 1e-6  # relative, between a mistake and what is to be diagnosed, both in float64
IN_FLOAT32 = 1e-4  # between a mistake in float32 and the same in float64
ROUNDING = 1e-10

SENTENCES = {
    "first_order": "This is the first-order gradient: the query loss is differentiated at φ (with respect "
    "to φ), and the graph between θ and φ is cut (a detach, a copy, a missing create_graph).",
    "no_inner_step": "There is no inner step in it: this is the gradient of the query loss at θ itself.",
    "graph_cut": "It is zero everywhere: the graph from θ to the query loss is cut, or the gradients "
    "were cleared.",
    "support_as_query": "The support set is used as the query set: the loss after adaptation must be taken "
    "on examples that adaptation has not seen.",
    "query_as_support": "The query set is used for adaptation: the inner steps must see the support set "
    "alone.",
    "swapped": "Support and query are swapped: adapt on the support set, judge on the query set.",
    "one_task_swapped": "In one task, support and query are swapped; the other tasks are right.",
    "one_step_short": "It has one inner step too few.",
    "one_step_more": "It has one inner step too many.",
    "wrong_steps": "It has another number of inner steps than was asked for.",
    "stale_params": "Every inner step takes its slope at θ: step k must take it at φₖ, the parameters of the "
    "step before.",
    "last_step_only": "Only the last inner step is differentiated: the graph is cut before it.",
    "slopes_add_up": "The inner slopes add up from step to step: `zero_grad` is missing in the inner loop (or "
    "it has a momentum of 1).",
    "slopes_add_up_across_tasks": "The inner slopes add up from step to step and from task to task: `zero_grad` "
    "is missing in the inner loop.",
    "wrong_inner_sign": "The inner steps go uphill: φ = θ − α · slope, with a minus.",
    "inner_sum": "The inner steps are too long by the number of support examples: the inner loss is summed over "
    "them instead of averaged, or inner_lr is that many times what was asked for.",
    "inner_sum_of_elements": "The inner steps are too long by the number of support examples times outputs: the "
    "inner loss is summed over both instead of averaged, or inner_lr is that many times what was asked for.",
    "not_adapted": "One parameter stays at θ in the inner steps; the others adapt.",
    "first_task_only": "Only the first task of the batch is in it.",
    "last_task_only": "Only the last task of the batch is in it: gradients of the others were overwritten.",
    "one_task_in_the_mean": "Only one task of the batch is in it, divided by the number of tasks all the same: the "
    "others were overwritten (`=` instead of `+=`), or left out.",
    "task_missing": "One task of the batch is missing from it.",
    "chained_tasks": "Each task starts from the parameters adapted to the task before it: every task must "
    "start from θ.",
    "half_inner_lr": "inner_lr is half of what was asked for.",
    "double_inner_lr": "inner_lr is twice what was asked for.",
    "tenth_inner_lr": "inner_lr is a tenth of what was asked for.",
    "tenfold_inner_lr": "inner_lr is ten times what was asked for.",
}  # fmt: skip
FIRST_ORDER_TOO = "and it is first-order: the graph between θ and φ is cut."


@dataclass(frozen=True)
class Match:
    """A mistake that gives the gradient in question. single: one mistake, and not two at once."""

    name: str
    sentence: str
    single: bool = True


class Suspects:
    """One gradient (`got`) of a problem, held against what mistakes give."""

    def __init__(self, problem: Problem, got, right):
        self.problem, self.got, self.right = problem, got, right
        self.in_float32 = holds_float32(got)
        self.tolerance = IN_FLOAT32 if self.in_float32 else TOLERANCE

    def matches(self) -> list[Match]:
        """All that is known to give `got`, from the cheapest and simplest on; the first kind that has any."""
        if all(not np.any(value) for value in self.got.values()):
            return [Match("graph_cut", SENTENCES["graph_cut"])]
        with np.errstate(all="ignore"):  # with ten times the rate, say, numbers may well overflow
            for stage in (
                self._known, self._scaled, self._by_parameter, self._not_adapted, self._first_order_too,
                self._fitted, self._in_one_parameter,
            ):  # fmt: skip
                found = list(stage())
                if found:
                    return found
        return []

    def is_it(self, value) -> bool:
        """Whether `got` is `value`; what differs next to nothing from the right one needs a close match."""
        gap = distance(value, self.right)
        return gap > ROUNDING and distance(self.got, value) < min(self.tolerance, gap / 1000)

    # -------------------------------------------------------------- without a free number

    def _known(self) -> Iterator[Match]:
        for name, value in self._values.items():
            if self.is_it(value):
                yield Match(name, SENTENCES[name])
        yield from self._scalings("", self.right)
        if self._task_gradients is not None:
            yield from self._by_task()

    @cached_property
    def _values(self):
        return {name: make() for name, make in known(self.problem).items()}

    @cached_property
    def _task_gradients(self):
        """The gradient of every task by itself; None where there is one task only."""
        tasks = self.problem.tasks
        if tasks == 1:
            return None
        return [self.problem.only(slice(i, i + 1)).gradient() for i in range(tasks)]

    def _by_task(self) -> Iterator[Match]:
        own, tasks = self._task_gradients, self.problem.tasks
        for i, gradient in enumerate(own):
            which = f" (Task {i + 1} of {tasks}.)"
            in_the_mean = scaled(gradient, 1 / tasks)
            rest = combined(self.right, 1.0, in_the_mean, -1.0)
            if self.is_it(gradient) and 0 < i < tasks - 1:
                yield Match("one_task_only", f"Only one task of the batch is in it.{which}")
            if self.is_it(in_the_mean):
                yield Match("one_task_in_the_mean", SENTENCES["one_task_in_the_mean"] + which)
            elif tasks > 2 and self.is_it(rest):
                words = (
                    f"{SENTENCES['task_missing']}{which} It is divided by all of them all the same."
                )
                yield Match("task_missing", words)
            elif tasks > 2 and self.is_it(scaled(rest, tasks / (tasks - 1))):
                yield Match("task_missing", SENTENCES["task_missing"] + which)
            if self.problem.steps > 0:
                one = self.problem.only(slice(i, i + 1))
                sx, sy, qx, qy = one.sets
                swapped = one.gradient(sets=(qx, qy, sx, sy))
                if self.is_it(combined(rest, 1.0, swapped, 1 / tasks)):
                    yield Match("one_task_swapped", SENTENCES["one_task_swapped"] + which)

    # -------------------------------------------------------------- times a factor

    def _scaled(self) -> Iterator[Match]:
        """A mistake and a factor."""
        seen = [self.right]
        for name, value in self._values.items():
            if all(distance(value, other) > TOLERANCE for other in seen):
                seen.append(value)
                yield from self._scalings(name, value)

    def _scalings(self, name, value) -> Iterator[Match]:
        """The factors between `value` and `got`, if it is one: by all the names that have this factor."""
        square = dot(value, value)
        factor = dot(self.got, value) / square if square > 0 else 0.0
        apart = abs(factor - 1)
        close = min(self.tolerance, apart / 1000)
        if not factor or not distance(self.got, scaled(value, factor)) < close or apart < ROUNDING:
            return
        exact = [s for s in scales(self.problem, name) if abs(factor / s[1] - 1) < close]
        if not exact and size(value) > 2:  # of two numbers, something is nearly always a multiple
            words = f"It is {times(factor)} times what it should be: look for a factor"
            exact = [
                ("scaled", factor, words + (", or a clipped gradient." if factor < 1 else "."))
            ]
        for scale, _, words in exact:
            both = f"{SENTENCES[name]} And besides: {words}" if name else words
            yield Match(f"{name}_and_{scale}".removeprefix("_and_"), both, not name)

    def _by_parameter(self) -> Iterator[Match]:
        """Some parameters' gradients are missing, or first-order, and the others right."""
        bases = {"": self.right, "first_order": self._values["first_order"]}
        for name, base in bases.items():
            off = self._off(base)
            if off and not any(np.any(self.got[k]) for k in off):
                besides = f"{SENTENCES[name]} And besides: " if name else ""
                words = (
                    f"{besides}The gradient of {listed(off)} is zero (or None); the others are right. It was left "
                    "out or cleared, or its graph is cut (`allow_unused` hides that)."
                )
                yield Match(f"{name}_and_parameter_missing".removeprefix("_and_"), words, not name)
            elif off and not name and self._agree(off, bases["first_order"]):
                words = (
                    f"The gradient of {listed(off)} is the first-order one; the others are right."
                )
                yield Match("parameter_first_order", words)

    def _off(self, base) -> list[str]:
        """The parameters in which `got` is not `base`; none where that is all of them."""
        whole = norm(base)
        off = [k for k in base if norm({k: self.got[k] - base[k]}) > self.tolerance * whole]
        return off if len(off) < len(base) else []

    def _agree(self, names, other):
        gap = norm({k: self.got[k] - other[k] for k in names})
        return gap < self.tolerance * norm({k: other[k] for k in names})

    def _in_one_parameter(self) -> Iterator[Match]:
        off = self._off(self.right)
        if not off:
            return
        part, own = {k: self.right[k] for k in off}, {k: self.got[k] for k in off}
        factor = dot(own, part) / max(dot(part, part), 1e-300)
        if factor and size(part) > 1 and distance(own, scaled(part, factor)) < self.tolerance:
            words = (
                f"The gradient of {listed(off)} is {times(factor)} times what it should be; the others "
                "are right."
            )
            yield Match("parameter_scaled", words)

    def _not_adapted(self) -> Iterator[Match]:
        problem = self.problem
        names = list(problem.params)
        if problem.steps == 0 or problem.has_step_axis or not 1 < len(names) <= 16:
            return
        for left in names:
            rates = (
                problem.rates
                if isinstance(problem.rates, dict)
                else dict.fromkeys(names, problem.rates)
            )
            if self.is_it(problem.gradient(rates=rates | {left: 0.0 * rates[left]})):
                yield Match("not_adapted", f"{SENTENCES['not_adapted']} (It is {left!r}.)")

    def _first_order_too(self) -> Iterator[Match]:
        for name, how in settings(self.problem).items():
            if "first_order" not in how and "inner" not in how:
                value = self.problem.gradient(**how, first_order=True)
                if self.is_it(value):
                    words = f"{SENTENCES[name].removesuffix('.')}, {FIRST_ORDER_TOO}"
                    yield Match(f"{name}_and_first_order", words, False)

    # -------------------------------------------------------------- with a free number

    def _fitted(self) -> Iterator[Match]:
        """Mistakes with a number in them, and the number. With fewer than three numbers in θ some number
        would explain nearly everything, so then nothing is said."""
        if self.problem.steps == 0 or size(self.got) < 3:
            return
        own = families(self.problem)
        for first_order in (False, True):
            found = [(*self._fit(family, first_order), family) for family in own]
            found.sort(key=lambda fit: fit[0])
            for gap, number, family in found:
                # beside a mistake that leaves nothing over, another that comes near is none
                if gap < np.inf and gap <= max(30 * found[0][0], ROUNDING * norm(self.got)):
                    yield family.match(number, first_order)
            if found[0][0] < np.inf:
                return

    def _fit(self, family, first_order) -> tuple[float, float]:
        """(what is left over, the number) with which a family gives `got`, inf left over if it does not.

        The number is the best of a few, then Gauss-Newton's.
        """
        target, names = flat(self.got), sorted(self.got)

        def gradient(number):
            value = self.problem.gradient(**family.how(number), first_order=first_order)
            return flat({k: value[k] for k in names})

        def miss(value):
            gap = float(np.linalg.norm(value - target))
            return gap if np.isfinite(gap) else np.inf

        number = float(min(family.starts, key=lambda start: miss(gradient(start))))
        here, gap = gradient(number), np.inf
        for turn in range(8):
            # at the number sought nothing is left over, so the gap soon falls, or this is not the family
            if turn > 2 and miss(here) > 0.7 * gap:
                break
            gap = miss(here)
            change = (gradient(number * (1 + 1e-6)) - here) / (number * 1e-6)
            if not np.isfinite(change).all() or not np.any(change):
                break
            new = number + float(change @ (target - here) / (change @ change))
            number = max(number / 4, new)
            here = gradient(number)
        apart = float(np.linalg.norm(target - flat({k: self.right[k] for k in names})))
        close = min(self.tolerance * float(np.linalg.norm(target)), apart / 100)
        return (miss(here) if miss(here) < close else np.inf), number


# ------------------------------------------------------------------ what mistakes give


def known(problem: Problem) -> dict[str, Callable[[], dict]]:
    """Name → the gradient that this mistake gives, computed from what the mistake is."""

    def make(how):
        return lambda: problem.gradient(**how)

    found = {name: make(how) for name, how in settings(problem).items()}
    first, last = slice(0, 1), slice(-1, None)
    found["first_task_only"] = lambda: problem.only(first).gradient()
    found["last_task_only"] = lambda: problem.only(last).gradient()
    found["chained_tasks"] = lambda: problem.gradient(inner=_chained(problem))
    return found


def settings(problem: Problem) -> dict[str, dict]:
    """Name → the arguments of `Problem.gradient` that make this mistake."""
    sx, sy, qx, qy = problem.sets
    shots, elements, steps = np.shape(sy)[1], sy[0].size, problem.steps
    found: dict[str, dict] = {
        "first_order": {"first_order": True},
        "no_inner_step": {"steps": 0},
        "support_as_query": {"sets": (sx, sy, sx, sy)},
        "query_as_support": {"sets": (qx, qy, qx, qy)},
        "stale_params": {"inner": _stale(problem)},
        "last_step_only": {"inner": _last_only(problem)},
        "wrong_inner_sign": {"rates": problem.times(-1.0)},
        "inner_sum": {"rates": problem.times(float(shots))},
        "half_inner_lr": {"rates": problem.times(0.5)},
        "double_inner_lr": {"rates": problem.times(2.0)},
        "tenth_inner_lr": {"rates": problem.times(0.1)},
        "tenfold_inner_lr": {"rates": problem.times(10.0)},
    }
    if steps > 0:  # without a step it is one of the above
        found["swapped"] = {"sets": (qx, qy, sx, sy)}
        found["slopes_add_up_across_tasks"] = {"direction": _adding_up()}
    if steps > 1:
        found["slopes_add_up"] = {"direction": momentum(1.0)}
    if elements > shots:
        found["inner_sum_of_elements"] = {"rates": problem.times(float(elements))}
    if not problem.has_step_axis:
        found["one_step_more"] = {"steps": steps + 1}
        found["wrong_steps"] = {"steps": steps + 2}
        if steps > 1:  # one step too few of one is no inner step
            found["one_step_short"] = {"steps": steps - 1}
    return found


def scales(problem: Problem, name="") -> list[tuple[str, float, str]]:
    """(name, factor, sentence) of each factor on the whole gradient that stands for a mistake."""
    qy = problem.sets[3]
    tasks, queries, elements = problem.tasks, np.shape(qy)[1], qy[0].size
    found = [
        ("wrong_sign", -1.0, "The sign is wrong: it points where the meta-loss falls, not where it rises."),
        ("summed_over_tasks", tasks, "It is summed over the tasks instead of averaged."),
        ("summed_over_examples", queries, "The query loss is summed over the examples instead of averaged."),
        ("divided_by_tasks_twice", 1 / tasks, "It is divided by the number of tasks twice."),
        ("divided_by_examples_twice", 1 / queries, "It is divided by the number of query examples twice."),
        ("doubled", 2.0, "It is twice the right size: gradients of two backward passes have been added up, or "
         "a factor ½ is missing in the loss."),
        ("halved", 0.5, "It is half the right size: there is a factor ½ too many, in the loss or in a mean."),
        ("summed_over_tasks_and_examples", tasks * queries,
         "It is summed over tasks and over query examples instead of averaged."),
    ]  # fmt: skip
    if elements > queries:
        words = "The query loss is summed over examples and outputs instead of averaged."
        found.append(("summed_over_elements", elements, words))
    if 1 in (tasks, queries):  # then that is one of the sums alone
        found = [scale for scale in found if scale[0] != "summed_over_tasks_and_examples"]
    if name in ("first_task_only", "last_task_only"):  # divided once: see one_task_in_the_mean
        found = [scale for scale in found if scale[0] != "divided_by_tasks_twice"]
    return [scale for scale in found if scale[1] != 1]


@dataclass(frozen=True)
class Family:
    """A mistake with a number in it: how(number) are the arguments of `Problem.gradient`."""

    name: str
    sentence: str
    how: Callable[[float], dict]
    starts: list[float]

    def match(self, number, first_order) -> Match:
        words = self.sentence.format(times(number, 4))
        if not first_order:
            return Match(self.name, words)
        both = f"{words.removesuffix('.')}, {FIRST_ORDER_TOO}"
        return Match(f"{self.name}_and_first_order", both, False)


def times(factor, digits=6) -> str:
    """A factor in words, also one that is nearly 1."""
    written, apart = f"{factor:.{digits}g}", factor - 1
    if written != "1" or abs(apart) < ROUNDING:
        return written
    return f"1 {'+' if apart > 0 else '−'} {abs(apart):.2g}"


DECAYS = list(np.geomspace(1e-4, 3.0, 6))


def families(problem: Problem) -> list[Family]:
    steps, back = problem.steps, problem.back
    found = [
        Family("wrong_inner_lr", "inner_lr is {} times what was asked for.",
               lambda factor: {"rates": problem.times(factor)}, list(np.geomspace(0.05, 20.0, 13))),
        Family("weight_decay", "The inner steps have a weight decay of {}: take it out of the inner optimiser.",
               lambda decay: {"direction": weight_decay(decay)}, DECAYS),
        Family("weight_decay_without_graph", "The inner steps have a weight decay of {}, which has no graph: "
               "take it out of the inner optimiser.",
               lambda decay: {"direction": weight_decay(decay, back.constant)}, DECAYS),
    ]  # fmt: skip
    if steps > 1:
        found.append(
            Family("momentum", "The inner steps have a momentum of {}: plain gradient descent has none.",
                   lambda mu: {"direction": momentum(mu)}, [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
        )  # fmt: skip
    norms = _slope_norms(problem)
    if norms.any():
        starts = [*(np.quantile(norms, [0.05, 0.25, 0.5, 0.75, 0.95]) * 0.98), 0.3 * norms.min()]
        words = "The inner slopes are clipped to a norm of {}"
        cut = f"{words}, by a factor without a graph."
        found.append(Family("clipped", f"{words}.", _clipping(back, False), starts))
        found.append(Family("clipped_without_graph", cut, _clipping(back, True), starts))
    return found


def _clipping(back, constant):
    return lambda most: {"direction": clipped(back, most, constant)}


def _slope_norms(problem):
    """Lengths of the support slopes at θ, one for each task."""
    sx, sy, *_ = problem.sets
    at_theta = (problem.only(slice(i, i + 1)) for i in range(len(sx)))
    return np.array([norm(one.gradient(sets=one.sets[:2] * 2, steps=0)) for one in at_theta])


# Directions: (slope, params, state) → (what is subtracted, state), each as somebody would write it.


def momentum(mu):
    def direction(slope, params, state):
        state = slope if state is None else {k: mu * state[k] + slope[k] for k in slope}
        return state, state

    return direction


def weight_decay(decay, cut=lambda params: params):
    def direction(slope, params, state):
        params = cut(params)
        return {k: slope[k] + decay * params[k] for k in slope}, None

    return direction


def clipped(back, most, constant):
    """To a norm over all parameters, as torch.nn.utils.clip_grad_norm_."""

    def direction(slope, params, state):
        length = back.root(sum((s * s).sum() for s in slope.values()))
        length = back.constant(length) if constant else length
        if float(back.constant(length)) <= most:
            return slope, None
        return {k: s * (most / length) for k, s in slope.items()}, None

    return direction


def _adding_up():
    """Momentum of 1 whose state is never cleared, not even between tasks; for one gradient."""
    sums: list[dict] = []

    def direction(slope, params, state):
        sums.append({k: sums[-1][k] + slope[k] for k in slope} if sums else slope)
        return sums[-1], None

    return direction


def _stale(problem):
    def inner(params, x, y):
        slope = problem.back.slope(params, x, y)
        for step in range(problem.steps):
            params = problem.moved(params, slope, problem.rates, step, problem.steps)
        return params

    return inner


def _last_only(problem):
    """The value of all the steps; derivatives flow through the last one alone, as if φ_{K−1} were θ."""
    back, steps, rates = problem.back, problem.steps, problem.rates

    def inner(params, x, y):
        start = back.constant(params)
        for step in range(steps - 1):
            slope = back.constant(back.slope(start, x, y))
            start = problem.moved(start, slope, rates, step, steps)
        start = {k: params[k] + back.constant(start[k] - params[k]) for k in params}
        if steps == 0:
            return start
        return problem.moved(start, back.slope(start, x, y), rates, steps - 1, steps)

    return inner


def _chained(problem):
    """Each task goes on from where the one before it ended."""
    reached: list = []

    def inner(params, x, y):
        if len(reached) % problem.tasks == 0:
            reached.clear()
        reached.append(problem.descend(reached[-1] if reached else params, x, y))
        return reached[-1]

    return inner


# ------------------------------------------------------------------ gradients as vectors


def distance(a, b) -> float:
    """‖a − b‖ relative to the larger norm, over all parameters at once."""
    scale = max(norm(a), norm(b))
    return norm({k: np.asarray(a[k], float) - b[k] for k in b}) / scale if scale > 0 else 0.0


def dot(a, b) -> float:
    return float(sum(np.sum(np.asarray(a[k], float) * b[k]) for k in b))


def norm(a) -> float:
    return float(np.sqrt(dot(a, a)))


def size(a) -> int:
    return sum(np.size(value) for value in a.values())


def flat(gradients):
    return np.concatenate([np.ravel(np.asarray(g, float)) for _, g in sorted(gradients.items())])


def scaled(a, factor):
    return {k: factor * v for k, v in a.items()}


def combined(a, of_a, b, of_b):
    return {k: of_a * a[k] + of_b * b[k] for k in a}


def listed(names) -> str:
    return ", ".join(map(repr, names))


def holds_float32(got) -> bool:
    """Whether numbers are in single precision: by their type, or because float32 holds each exactly."""
    arrays = [np.asarray(value) for value in got.values()]
    if any(array.dtype.kind == "f" and array.dtype.itemsize < 8 for array in arrays):
        return True
    whole = all(np.array_equal(array, np.round(array)) for array in arrays)
    return not whole and all(np.array_equal(array.astype(np.float32), array) for array in arrays)
