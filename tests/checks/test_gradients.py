"""Which mistake was it? Every mistake here is written out in PyTorch, apart from the module under test."""

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from by_hand import (
    maml_by_autograd,
    quadratic,
    random_batch,
    random_params,
    relu_mse,
    tanh_mse,
    tanh_mse_numpy,
    tensors,
)

import maml_edu.reference as ref
from maml_edu.checks import WrongAnswer, check_gradient, diagnose_meta_gradient, suspects
from maml_edu.checks.catalogue import named
from maml_edu.checks.gradients import SENTENCES
from maml_edu.tasks import TaskBatch

ALPHA = 0.1


@dataclass(frozen=True)
class Problem:
    """A random meta-learning problem of which no two mistakes give the same gradient."""

    seed: int
    steps: int
    tasks: int

    @property
    def params(self):
        return random_params(np.random.default_rng(self.seed), (2, 3, 1))

    @property
    def batch(self):
        return random_batch(np.random.default_rng(self.seed + 100), self.tasks, 4, 7, inputs=2)

    @property
    def theta(self):
        return {k: torch.tensor(v, requires_grad=True) for k, v in self.params.items()}

    def diagnosis(self, candidate, loss=tanh_mse_numpy, rate=ALPHA):
        return diagnose_meta_gradient(candidate, loss, self.params, self.batch, rate, self.steps)


PROBLEMS = [Problem(0, 1, 5), Problem(1, 2, 4), Problem(2, 3, 2)]
SEVERAL_STEPS = [p for p in PROBLEMS if p.steps > 1]


# ------------------------------------------------------------------ the mistakes, as people write them


def step(phi, loss_value, alpha=ALPHA, create_graph=True):
    slopes = torch.autograd.grad(loss_value, list(phi.values()), create_graph=create_graph)
    return {k: p - alpha * slope for (k, p), slope in zip(phi.items(), slopes, strict=True)}


def slope_of(total, theta):
    slopes = torch.autograd.grad(total, list(theta.values()), allow_unused=True)
    return {k: None if s is None else s.numpy() for k, s in zip(theta, slopes, strict=True)}


def average(gradients):
    return {k: np.mean([g[k] for g in gradients], axis=0) for k in gradients[0]}


def right(problem, steps=None, alpha=ALPHA, inner=None, loss=tanh_mse, batch=None):
    steps = problem.steps if steps is None else steps
    batch = batch or problem.batch
    return maml_by_autograd(loss, problem.params, batch, alpha, steps, inner=inner)[1]


def changed(problem, **parts):
    batch = problem.batch
    names = ("support_x", "support_y", "query_x", "query_y")
    return SimpleNamespace(**{k: getattr(batch, parts.get(k, k)) for k in names})


def missing_create_graph(problem):
    return maml_by_autograd(
        tanh_mse, problem.params, problem.batch, ALPHA, problem.steps, first_order=True
    )[1]


def gradient_at_phi_of_a_deep_copy(problem):
    gradients = []
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        phi = {k: p.detach().clone().requires_grad_() for k, p in problem.theta.items()}
        for _ in range(problem.steps):
            moved = step(phi, tanh_mse(phi, support_x, support_y), create_graph=False)
            phi = {k: p.detach().requires_grad_() for k, p in moved.items()}
        gradients.append(slope_of(tanh_mse(phi, query_x, query_y), phi))
    return average(gradients)


def query_loss_at_theta(problem):
    theta = problem.theta
    losses = [
        tanh_mse(theta, query_x, query_y) for _, _, query_x, query_y in tensors(problem.batch)
    ]
    return slope_of(torch.stack(losses).mean(), theta)


def nothing_flows_back(problem):
    """φ is detached, and the slopes with respect to θ are None."""
    theta = problem.theta
    phi = {k: p.detach().requires_grad_() for k, p in theta.items()}
    batch = next(tensors(problem.batch))
    return slope_of(tanh_mse(phi, *batch[2:]), theta)


def judged_on_the_support_set(problem):
    return right(problem, batch=changed(problem, query_x="support_x", query_y="support_y"))


def adapted_on_the_query_set(problem):
    return right(problem, batch=changed(problem, support_x="query_x", support_y="query_y"))


def support_and_query_swapped(problem):
    swap = {
        "support_x": "query_x",
        "support_y": "query_y",
        "query_x": "support_x",
        "query_y": "support_y",
    }
    return right(problem, batch=changed(problem, **swap))


def one_step_too_few(problem):
    return right(problem, steps=problem.steps - 1)


def one_step_too_many(problem):
    return right(problem, steps=problem.steps + 1)


def each_slope_at_theta(problem):
    theta, losses = problem.theta, []
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        slopes = torch.autograd.grad(
            tanh_mse(theta, support_x, support_y), list(theta.values()), create_graph=True
        )
        phi = dict(theta)
        for _ in range(problem.steps):
            phi = {k: phi[k] - ALPHA * slope for k, slope in zip(theta, slopes, strict=True)}
        losses.append(tanh_mse(phi, query_x, query_y))
    return slope_of(torch.stack(losses).mean(), theta)


def detached_before_the_last_step(problem):
    gradients = []
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        phi = problem.theta
        for _ in range(problem.steps - 1):
            moved = step(phi, tanh_mse(phi, support_x, support_y), create_graph=False)
            phi = {k: p.detach().requires_grad_() for k, p in moved.items()}
        last = step(phi, tanh_mse(phi, support_x, support_y))
        gradients.append(slope_of(tanh_mse(last, query_x, query_y), phi))
    return average(gradients)


def uphill(problem):
    return right(problem, alpha=-ALPHA)


def inner_loss_summed(problem):
    return right(problem, inner=lambda params, x, y: tanh_mse(params, x, y) * len(x))


def first_task(problem):
    batch = SimpleNamespace(**{k: v[:1] for k, v in vars(problem.batch).items()})
    return right(problem, batch=batch)


def gradients_overwritten_by_the_last_task(problem):
    theta = problem.theta
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        phi = theta
        for _ in range(problem.steps):
            phi = step(phi, tanh_mse(phi, support_x, support_y))
        gradients = slope_of(tanh_mse(phi, query_x, query_y), theta)
    return gradients


def each_task_goes_on_from_the_one_before(problem):
    theta, losses = problem.theta, []
    phi = theta
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        for _ in range(problem.steps):
            phi = step(phi, tanh_mse(phi, support_x, support_y))
        losses.append(tanh_mse(phi, query_x, query_y))
    return slope_of(torch.stack(losses).mean(), theta)


def scaled(factor):
    return lambda problem: {k: factor(problem) * v for k, v in right(problem).items()}


def at_rate(factor):
    return lambda problem: right(problem, alpha=factor * ALPHA)


def summed_query_loss(problem):
    """reduction="sum" on the query set alone."""
    return right(problem, inner=tanh_mse, loss=lambda params, x, y: tanh_mse(params, x, y) * len(x))


def backward_twice(problem):
    """The gradients of two calls add up in .grad: zero_grad is missing."""
    theta = problem.theta
    for _ in range(2):
        losses = []
        for support_x, support_y, query_x, query_y in tensors(problem.batch):
            phi = theta
            for _ in range(problem.steps):
                phi = step(phi, tanh_mse(phi, support_x, support_y))
            losses.append(tanh_mse(phi, query_x, query_y))
        torch.stack(losses).mean().backward()
    return {k: p.grad.numpy() for k, p in theta.items()}


def in_single_precision(problem):
    single = lambda tree: {k: v.astype(np.float32) for k, v in tree.items()}
    batch = SimpleNamespace(**single(vars(problem.batch)))
    return maml_by_autograd(tanh_mse, single(problem.params), batch, ALPHA, problem.steps)[1]


def in_single_precision_and_back(problem):
    return {k: v.astype(float) for k, v in in_single_precision(problem).items()}


def by_loop(problem, direction, first_order=False):
    """MAML whose inner steps subtract α · direction(slope, φ, state), the state kept in a dict."""
    theta, losses = problem.theta, []
    forever: dict = {}
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        phi, state = theta, {}
        for _ in range(problem.steps):
            value = tanh_mse(phi, support_x, support_y)
            slopes = torch.autograd.grad(value, list(phi.values()), create_graph=not first_order)
            slopes = direction(dict(zip(phi, slopes, strict=True)), phi, state, forever)
            phi = {k: p - ALPHA * slopes[k] for k, p in phi.items()}
        losses.append(tanh_mse(phi, query_x, query_y))
    return slope_of(torch.stack(losses).mean(), theta)


def added_up(slope, phi, state, forever):
    state["sum"] = {k: s + state["sum"][k] if state else s for k, s in slope.items()}
    return state["sum"]


def added_up_across_tasks(slope, phi, state, forever):
    return added_up(slope, phi, forever, None)


def with_momentum(mu):
    def direction(slope, phi, state, forever):
        state["v"] = {k: s + mu * state["v"][k] if state else s for k, s in slope.items()}
        return state["v"]

    return direction


def with_clipping(most, constant=False):
    def direction(slope, phi, state, forever):
        norm = torch.sqrt(sum((s**2).sum() for s in slope.values()))
        factor = torch.clamp(most / norm, max=1.0)
        return {k: s * (factor.detach() if constant else factor) for k, s in slope.items()}

    return direction


def without_the_first_parameter(slope, phi, state, forever):
    return slope | {"w1": torch.zeros_like(slope["w1"])}


def with_decay(decay, cut=False):
    of = lambda p: p.detach() if cut else p
    return lambda slope, phi, state, forever: {k: s + decay * of(phi[k]) for k, s in slope.items()}


def each_task(problem, change=lambda i, task: task):
    """The gradient of every task by itself."""
    names = ("support_x", "support_y", "query_x", "query_y")
    for i in range(problem.tasks):
        task = change(i, [getattr(problem.batch, name)[i : i + 1] for name in names])
        yield right(problem, batch=SimpleNamespace(**dict(zip(names, task, strict=True))))


def second_task_swapped(problem):
    swap = lambda i, task: [*task[2:], *task[:2]] if i == 1 else task
    return average(list(each_task(problem, swap)))


def overwritten_but_divided(problem):
    """total[name] = slope[name] / len(batch)"""
    return {
        k: v / problem.tasks for k, v in gradients_overwritten_by_the_last_task(problem).items()
    }


def second_task_left_out(problem):
    gradients = list(each_task(problem))
    return average(gradients[:1] + gradients[2:])


PLANTED = {
    "one_task_swapped": [second_task_swapped],
    "one_task_in_the_mean": [overwritten_but_divided],
    "wrong_steps": [lambda problem: right(problem, steps=problem.steps + 2)],
    "slopes_add_up_across_tasks": [lambda problem: by_loop(problem, added_up_across_tasks)],
    "not_adapted": [lambda problem: by_loop(problem, without_the_first_parameter)],
    "halved": [scaled(lambda problem: 0.5)],
    "scaled": [scaled(lambda problem: 1.001), scaled(lambda problem: 0.37)],
    "first_order": [missing_create_graph, gradient_at_phi_of_a_deep_copy],
    "no_inner_step": [query_loss_at_theta],
    "graph_cut": [nothing_flows_back, scaled(lambda problem: 0.0)],
    "support_as_query": [judged_on_the_support_set],
    "query_as_support": [adapted_on_the_query_set],
    "swapped": [support_and_query_swapped],
    "one_step_more": [one_step_too_many],
    "wrong_inner_sign": [uphill],
    "inner_sum": [inner_loss_summed],
    "first_task_only": [first_task],
    "last_task_only": [gradients_overwritten_by_the_last_task],
    "chained_tasks": [each_task_goes_on_from_the_one_before],
    "half_inner_lr": [at_rate(0.5)],
    "double_inner_lr": [at_rate(2)],
    "tenth_inner_lr": [at_rate(0.1)],
    "tenfold_inner_lr": [at_rate(10)],
    "wrong_sign": [scaled(lambda problem: -1.0)],
    "summed_over_tasks": [scaled(lambda problem: problem.tasks)],
    "summed_over_examples": [summed_query_loss],
    "summed_over_tasks_and_examples": [scaled(lambda problem: 7 * problem.tasks)],
    "divided_by_tasks_twice": [scaled(lambda problem: 1 / problem.tasks)],
    "divided_by_examples_twice": [scaled(lambda problem: 1 / 7)],
    "doubled": [backward_twice],
    "single_precision": [in_single_precision, in_single_precision_and_back],
}
OF_SEVERAL_STEPS = {
    "slopes_add_up": [lambda problem: by_loop(problem, added_up)],
    "one_step_short": [one_step_too_few],
    "stale_params": [each_slope_at_theta],
    "last_step_only": [detached_before_the_last_step],
}
CASES = [(name, f, p) for name, fs in PLANTED.items() for f in fs for p in PROBLEMS]
CASES += [(name, f, p) for name, fs in OF_SEVERAL_STEPS.items() for f in fs for p in SEVERAL_STEPS]


def label(value):
    if isinstance(value, Problem):
        return f"{value.steps}steps-{value.tasks}tasks-{value.seed}"
    return value if isinstance(value, str) else value.__name__


def test_every_mistake_that_has_a_sentence_is_planted_here():
    # in test_sums_over_several_outputs_are_named_too, and of three tasks or more
    elsewhere = {"inner_sum_of_elements", "task_missing"}
    assert set(SENTENCES) <= set(PLANTED) | set(OF_SEVERAL_STEPS) | elsewhere
    assert len(PLANTED) + len(OF_SEVERAL_STEPS) > 20


@pytest.mark.parametrize(("name", "planted", "problem"), CASES, ids=label)
def test_a_planted_mistake_is_named(name, planted, problem):
    found = problem.diagnosis(planted(problem))
    assert not found.correct and not found.startswith("Right")
    if name == "doubled" and problem.tasks == 2:
        assert name in found.also and "two backward passes" in found  # a sum over two tasks as well
    elif name == "halved" and problem.tasks == 2:
        assert name in found.also and "half the right size" in found  # divided by two tasks twice
    else:
        assert found.mistake == name, found
    if name in SENTENCES:
        assert SENTENCES[name] in found


def test_one_cause_is_not_made_two_and_what_else_has_the_same_numbers_is_mentioned():
    problem = PROBLEMS[0]
    found = problem.diagnosis(overwritten_but_divided(problem))
    assert "twice" not in found and found.also == ()
    found = problem.diagnosis(second_task_left_out(problem))
    assert found.mistake == "task_missing" and "(Task 2 of 5.)" in found
    five = right(problem, alpha=4 * ALPHA)  # four support examples
    found = problem.diagnosis(five)
    assert found.mistake == "inner_sum" and "or inner_lr is that many times" in found


@pytest.mark.parametrize(
    ("name", "direction", "number"),
    [
        ("weight_decay", with_decay(0.5), "0.5"),
        ("weight_decay", with_decay(0.005), "0.005"),
        ("weight_decay_without_graph", with_decay(0.1, cut=True), "0.1"),
        ("momentum", with_momentum(0.9), "0.9"),
        ("momentum", with_momentum(0.25), "0.25"),
        ("clipped", with_clipping(0.3), "0.3"),
        ("clipped_without_graph", with_clipping(0.3, constant=True), "0.3"),
    ],
)
def test_a_mistake_with_a_number_in_it_is_named_with_its_number(name, direction, number):
    problem = PROBLEMS[2]
    found = problem.diagnosis(by_loop(problem, direction))
    assert found.mistake == name and f" of {number}" in found, found
    first = problem.diagnosis(by_loop(problem, direction, first_order=True))
    assert f"{name}_and_first_order" in (first.mistake, *first.also), first


@pytest.mark.parametrize("problem", SEVERAL_STEPS, ids=label)
@pytest.mark.parametrize("decay", [1e-3, 1e-4, 1e-5])
def test_a_small_decay_is_no_other_mistake_that_comes_near(problem, decay):
    found = problem.diagnosis(by_loop(problem, with_decay(decay)))
    assert found.mistake == "weight_decay" and found.also == () and f" of {decay:.4g}" in found, (
        found
    )


def test_of_mistakes_with_a_number_those_that_leave_far_more_over_are_not_told(monkeypatch):
    left_over = {"weight_decay": (1e-13, 0.01), "wrong_inner_lr": (1e-6, 1.002)}
    fit = lambda self, family, first_order: left_over.get(family.name, (np.inf, 1.0))
    monkeypatch.setattr(suspects.Suspects, "_fit", fit)
    found = PROBLEMS[1].diagnosis(by_loop(PROBLEMS[1], with_decay(0.01)))
    assert found.mistake == "weight_decay" and found.also == (), found
    left_over["weight_decay"] = (1e-6, 0.01)  # now neither is nearer than the other
    found = PROBLEMS[1].diagnosis(by_loop(PROBLEMS[1], with_decay(0.01)))
    assert {found.mistake, *found.also} == {"weight_decay", "wrong_inner_lr"}, found


def test_a_factor_near_1_is_not_called_1():
    found = PROBLEMS[0].diagnosis(scaled(lambda p: 1 + 3e-5)(PROBLEMS[0]))
    assert found.mistake == "scaled" and "1.00003 times" in found
    assert suspects.times(1 + 3e-7) == "1 + 3e-07" and suspects.times(1 - 1e-6, 4) == "1 − 1e-06"
    assert suspects.times(1.0) == suspects.times(1 + 1e-13) == "1"  # a decay of 1, say


@pytest.mark.parametrize("problem", PROBLEMS, ids=label)
def test_nothing_but_rounding_is_acquitted(problem):
    """Neither a small weight decay nor a factor near 1 is taken for single precision."""
    for wrong in (by_loop(problem, with_decay(0.005)), scaled(lambda p: 1.001)(problem)):
        assert problem.diagnosis(wrong).mistake in ("weight_decay", "scaled")
        single = {k: v.astype(np.float32) for k, v in wrong.items()}
        found = problem.diagnosis(single)
        assert not found.correct and found.mistake != "single_precision" and "Right" not in found
    rng = np.random.default_rng(0)
    value = right(problem)
    off = {k: v * (1 + 1e-4 * rng.normal(size=v.shape)) for k, v in value.items()}
    assert problem.diagnosis(off).mistake == "small_difference"
    assert "float64 to know" in problem.diagnosis({k: v.astype(np.float32) for k, v in off.items()})


@pytest.mark.parametrize("problem", PROBLEMS, ids=label)
def test_what_is_wrong_in_one_parameter_alone_is_named_with_it(problem):
    value, first = right(problem), missing_create_graph(problem)
    none = problem.diagnosis(value | {"b1": None})
    assert none.mistake == "parameter_missing" and "'b1' is zero (or None)" in none
    assert problem.diagnosis(value | {"w2": 0 * value["w2"]}).mistake == "parameter_missing"
    both = problem.diagnosis(first | {"b1": None})
    assert both.mistake == "first_order_and_parameter_missing"
    assert problem.diagnosis(value | {"w1": first["w1"]}).mistake == "parameter_first_order"
    found = problem.diagnosis(value | {"w1": 3 * value["w1"]})
    assert found.mistake == "parameter_scaled" and "'w1' is 3 times" in found
    found = problem.diagnosis(value | {"w1": value["w1"] + 1})
    assert found.mistake == "unknown" and "Right alone: 'b1', 'w2', 'b2'." in found


@pytest.mark.parametrize("problem", PROBLEMS, ids=label)
def test_two_mistakes_at_once_are_both_named(problem):
    def factor(gradients, by):
        return {k: by * v for k, v in gradients.items()}

    found = problem.diagnosis(factor(missing_create_graph(problem), problem.tasks))
    assert found.mistake == "first_order_and_summed_over_tasks"
    assert SENTENCES["first_order"] in found and "summed over the tasks" in found
    found = problem.diagnosis(factor(judged_on_the_support_set(problem), -1))
    assert found.mistake == "support_as_query_and_wrong_sign"
    summed = lambda params, x, y: tanh_mse(params, x, y) * len(x)  # reduction="sum" throughout
    found = problem.diagnosis(right(problem, loss=summed, inner=summed))
    assert found.mistake == "inner_sum_and_summed_over_examples"


@pytest.mark.parametrize("problem", [Problem(5, 2, 3)], ids=label)
def test_mistakes_that_give_the_same_gradient_here_are_all_mentioned(problem):
    """Three tasks of three queries: a factor 3 may be either sum."""
    batch = random_batch(np.random.default_rng(0), 3, shots=2, queries=3, inputs=2)
    value = right(problem, batch=batch)
    diagnose = lambda got: diagnose_meta_gradient(
        got, tanh_mse_numpy, problem.params, batch, ALPHA, problem.steps
    )
    found = diagnose({k: 3 * v for k, v in value.items()})
    assert {"summed_over_tasks", "summed_over_examples"} <= {found.mistake, *found.also}
    assert "summed over the tasks" in found and "summed over the examples" in found
    # Two shots: the sum over them is also twice the rate.
    found = diagnose(right(problem, batch=batch, alpha=2 * ALPHA))
    assert {"inner_sum", "double_inner_lr"} <= {found.mistake, *found.also}
    assert SENTENCES["inner_sum"] in found and SENTENCES["double_inner_lr"] in found


def test_sums_over_several_outputs_are_named_too():
    """reduction="sum" sums over examples and outputs."""
    rng = np.random.default_rng(0)
    params, batch = random_params(rng, (2, 3, 2)), random_batch(rng, 3, 4, 5, inputs=2, outputs=2)
    summed = lambda params, x, y: tanh_mse(params, x, y) * y.numel()
    got = maml_by_autograd(summed, params, batch, 0.01, 2, inner=tanh_mse)[1]
    found = diagnose_meta_gradient(got, tanh_mse_numpy, params, batch, 0.01, 2)
    assert found.mistake == "summed_over_elements" and "outputs" in found
    got = maml_by_autograd(summed, params, batch, 0.01, 2)[1]
    found = diagnose_meta_gradient(got, tanh_mse_numpy, params, batch, 0.01, 2)
    assert found.mistake == "inner_sum_of_elements_and_summed_over_elements"


@pytest.mark.parametrize("form", ["per parameter", "per step", "per element and step"])
def test_mistakes_are_named_with_rates_of_every_form(form):
    problem = Problem(7, 3, 3)
    rng = np.random.default_rng(0)
    rates = {
        "per parameter": {k: rng.uniform(0.05, 0.2) for k in problem.params},
        "per step": np.array([0.1, 0.2, 0.05]),
        "per element and step": {k: rng.uniform(0.05, 0.2, (3, *v.shape)) for k, v in problem.params.items()},
    }[form]  # fmt: skip
    rate_of = {
        "per parameter": lambda k, step: rates[k],
        "per step": lambda k, step: rates[step],
        "per element and step": lambda k, step: torch.as_tensor(rates[k][step]),
    }[form]
    given = (tanh_mse, problem.params, problem.batch)
    for factor, name in ((1, None), (2, "double_inner_lr"), (-1, "wrong_inner_sign")):
        moved = lambda k, step, factor=factor: factor * rate_of(k, step)
        got = maml_by_autograd(*given, moved, 3)[1]
        assert problem.diagnosis(got, rate=rates).mistake == name
    first = maml_by_autograd(*given, rate_of, 3, first_order=True)[1]
    assert problem.diagnosis(first, rate=rates).mistake == "first_order"


@pytest.mark.parametrize("rounding", [0.0, 2e-5])
@pytest.mark.parametrize("seed", range(2))
def test_a_mistake_in_single_precision_is_still_that_mistake(seed, rounding):
    """Small networks lose 1e-7 to rounding; four convolutions with BatchNorm up to 1e-4."""
    rng = np.random.default_rng(seed)
    params, batch = random_params(rng, (1, 40, 40, 1), 0.3), random_batch(rng, 4, 5, 6)
    single = {k: v.astype(np.float32) for k, v in params.items()}
    few = SimpleNamespace(**{k: v.astype(np.float32) for k, v in vars(batch).items()})
    got = maml_by_autograd(relu_mse, single, few, 0.05, 5, first_order=True)[1]
    noisy = {k: v * (1 + rounding * rng.normal(size=v.shape)) for k, v in got.items()}
    noisy = {k: v.astype(np.float32) for k, v in noisy.items()}
    assert diagnose_meta_gradient(noisy, ref.mse, params, batch, 0.05, 5).mistake == "first_order"


# ------------------------------------------------------------------ no false accusation


def random_problem(seed):
    """(loss on tensors, loss on arrays, params, batch, rates, rate of (name, step), steps)."""
    rng = np.random.default_rng(seed)
    steps, tasks, shots, queries = (int(n) for n in rng.integers((0, 1, 1, 1), (5, 6, 6, 6)))
    inputs, outputs = (int(n) for n in rng.integers(1, 4, 2))
    kind = ["tanh", "relu", "linear", "quadratic"][seed % 4]
    sizes = {"linear": (inputs, outputs)}.get(kind, (inputs, int(rng.integers(1, 5)), outputs))
    params = random_params(rng, sizes)
    batch = random_batch(rng, tasks, shots, queries, inputs, outputs)
    losses = {"tanh": (tanh_mse, tanh_mse_numpy), "quadratic": (quadratic, quadratic)}.get(
        kind, (relu_mse, ref.mse)
    )
    if kind == "quadratic":
        params = {"theta": rng.normal(size=inputs)}
        batch = random_batch(rng, tasks, shots, queries, inputs, inputs)
        batch.support_x, batch.query_x = batch.support_x**2, batch.query_x**2
    form = seed // 4 % 4
    shape = lambda v: [(), (steps,), v.shape, (steps, *v.shape)][form]
    if form < 2:
        rates = rng.uniform(0, 0.3, (steps,) if form else ())
        return *losses, params, batch, rates, lambda k, i: float(rates[i] if form else rates), steps
    rates = {k: rng.uniform(0, 0.3, shape(v)) for k, v in params.items()}
    rate_of = lambda k, i: torch.as_tensor(rates[k][i] if form == 3 else rates[k])
    return *losses, params, batch, rates, rate_of, steps


@pytest.mark.parametrize("block", range(4))
def test_no_false_accusation_on_random_correct_problems(block):
    """200 problems: networks, linear models and quadratics; all forms of rates; 0 to 4 steps."""
    for seed in range(50 * block, 50 * block + 50):
        on_tensors, on_arrays, params, batch, rates, rate_of, steps = random_problem(seed)
        got = maml_by_autograd(on_tensors, params, batch, rate_of, steps)[1]
        found = diagnose_meta_gradient(got, on_arrays, params, batch, rates, steps)
        assert found.correct and found.startswith("Right"), (seed, found)


def test_a_gradient_that_is_zero_but_for_rounding_is_right_whatever_the_rounding():
    """αa = 1 on a quadratic: one step lands on the minimum, and the meta-gradient vanishes."""
    a, c = np.full((2, 3, 1), 0.7), np.repeat([[[0.3]], [[-0.4]]], 3, axis=1)
    batch = SimpleNamespace(support_x=a, support_y=c, query_x=a, query_y=c)
    params = {"theta": np.array([0.9])}
    for noise in (0.0, 1e-17, -3e-17):
        found = diagnose_meta_gradient(
            {"theta": np.array([noise])}, quadratic, params, batch, 1 / 0.7, 1
        )
        assert found.correct, found
    found = diagnose_meta_gradient(
        {"theta": np.array([1e-6])}, quadratic, params, batch, 1 / 0.7, 1
    )
    assert not found.correct


def test_mistakes_that_make_no_difference_are_not_accused():
    """A loss without curvature: the first-order gradient is the meta-gradient."""
    line = lambda params, x, y: (x * params["theta"] + y).mean()
    batch = random_batch(np.random.default_rng(0))
    params = {"theta": np.array([2.0])}
    got = maml_by_autograd(line, params, batch, 0.1, 2, first_order=True)[1]
    assert diagnose_meta_gradient(got, line, params, batch, 0.1, 2).correct


def test_a_gradient_by_finite_differences_is_not_called_a_mistake_of_another_kind():
    problem = PROBLEMS[1]
    value = right(problem)
    noisy = {
        k: v * (1 + 3e-8 * np.cos(np.arange(v.size)).reshape(v.shape)) for k, v in value.items()
    }
    found = problem.diagnosis(noisy)
    assert found.mistake == "single_precision" and "finite differences" in found


# ------------------------------------------------------------------ neither right nor known


@pytest.mark.parametrize("seed", range(3))
def test_an_unknown_gradient_is_said_to_be_so_with_the_largest_difference(seed):
    problem = PROBLEMS[seed]
    rng = np.random.default_rng(seed)
    value = right(problem)
    value["w2"] = value["w2"].copy()
    value["w2"][1, 0] += 5.0
    value["b1"] = value["b1"] + 1e-3 * rng.normal(size=3)
    found = problem.diagnosis(value)
    assert found.mistake == "unknown" and found.also == ()
    assert "none of the known mistakes" in found and "largest difference is at 'w2': 5" in found
    assert all(f"{name} " in found for name in problem.params)


def test_random_gradients_are_not_taken_for_anything():
    problem = PROBLEMS[0]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        garbage = {k: rng.normal(size=v.shape) for k, v in problem.params.items()}
        assert problem.diagnosis(garbage).mistake == "unknown"


# ------------------------------------------------------------------ what a candidate may be


def test_a_candidate_may_be_gradients_a_pair_or_a_function_on_arrays_or_tensors():
    problem = PROBLEMS[1]
    value = right(problem)
    as_tensors = {k: torch.tensor(v, requires_grad=True) for k, v in value.items()}
    as_lists = {k: v.tolist() for k, v in value.items()}
    for candidate in (value, as_tensors, as_lists, (1.0, value), [torch.tensor(1.0), as_tensors],
                      ref.meta_gradient):  # fmt: skip
        assert problem.diagnosis(candidate).correct


def test_params_and_batch_may_be_tensors():
    problem = PROBLEMS[1]
    batch = TaskBatch(**{k: torch.as_tensor(v) for k, v in vars(problem.batch).items()})
    found = diagnose_meta_gradient(
        right(problem), tanh_mse_numpy, problem.theta, batch, ALPHA, problem.steps
    )
    assert found.correct


def without(tree, name):
    return {k: v for k, v in tree.items() if k != name}


MALFORMED = {
    "missing": (lambda g: without(g, "b1"), r"keys \['b2', 'w1', 'w2'\], but params has"),
    "empty": (lambda g: {}, r"keys \[\], but params has"),
    "extra": (lambda g: g | {"w3": g["w1"]}, r"'w3'\], but params has"),
    "turned": (
        lambda g: g | {"w1": g["w1"].T},
        r"'w1' has shape \(3, 2\), but the parameter \(2, 3\)",
    ),
    "one number": (lambda g: dict.fromkeys(g, 1.0), r"has shape \(\)"),
    "nan": (lambda g: g | {"w1": g["w1"] * np.nan}, "'w1' contains NaN or infinity"),
    "infinite": (lambda g: g | {"b2": g["b2"] * np.inf}, "'b2' contains NaN or infinity"),
    "complex": (lambda g: g | {"b2": g["b2"] + 1j}, "'b2' holds no real numbers"),
    "objects": (lambda g: g | {"b2": np.array([None])}, "'b2' holds no real numbers"),
    "text": (lambda g: g | {"b2": np.array(["1.0"])}, "'b2' holds no real numbers"),
    "ragged": (lambda g: g | {"b1": [[1.0], [1.0, 2.0]]}, "'b1' is no regular array"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_candidate_is_described(case):
    make, message = MALFORMED[case]
    found = PROBLEMS[0].diagnosis(make(right(PROBLEMS[0])))
    assert found.mistake == "malformed"
    assert re.search(message, found), found


@pytest.mark.parametrize("candidate", [None, 3.0, "text", [1, 2, 3], (1.0, None), np.ones(3)])
def test_a_candidate_that_is_no_gradient_at_all_is_refused(candidate):
    with pytest.raises(ValueError, match="candidate must be a dict of gradients like params"):
        PROBLEMS[0].diagnosis(candidate)


def test_rates_steps_and_batches_that_make_no_sense_are_refused():
    problem = PROBLEMS[0]
    given = (right(problem), tanh_mse_numpy, problem.params, problem.batch)
    with pytest.raises(ValueError, match="inner_lr must be finite"):
        diagnose_meta_gradient(*given, -0.1, 1)
    with pytest.raises(ValueError, match="inner_steps must be a whole number"):
        diagnose_meta_gradient(*given, 0.1, 1.5)
    empty = SimpleNamespace(**{k: v[:0] for k, v in vars(problem.batch).items()})
    with pytest.raises(ValueError, match="same number of tasks"):
        diagnose_meta_gradient(*given[:3], empty, 0.1, 1)


MODEL = torch.nn.Linear(2, 3).double()
LEARNER = SimpleNamespace(meta_gradient=None)  # no method


@pytest.mark.parametrize(
    "change, message",
    [
        ({"candidate": LEARNER}, "got SimpleNamespace. Of a learner, meta_gradient must be a method"),
        ({"candidate": MODEL}, "candidate must be a dict of gradients like params.*got Linear.*call backward"),
        ({"loss": torch.nn.functional.mse_loss}, r"loss must be a function loss\(params, x, y\).*on NumPy arrays "
         "or on tensors.*with NumPy arrays it raised .*with tensors it raised"),
        ({"loss": torch.nn.MSELoss()}, "with NumPy arrays it raised .*with tensors it raised"),
        ({"loss": lambda p, x, y: x}, r"it returned a ndarray of shape \("),
        ({"loss": None}, "raised TypeError"),
        ({"params": MODEL.parameters()}, "got generator.*give the model itself"),
        ({"params": np.ones(3)}, "a dict name → array or tensor, or a torch model; got ndarray.$"),
        ({"batch": None}, "support_x, support_y, query_x, query_y, or be a tuple of these four; got NoneType"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_what_makes_no_sense_is_answered_with_what_is_expected(change, message):
    problem = PROBLEMS[1]
    arguments = {
        "candidate": right(problem),
        "loss": tanh_mse_numpy,
        "params": problem.params,
        "batch": problem.batch,
    }
    with pytest.raises(ValueError, match=message):
        diagnose_meta_gradient(**arguments | change, inner_lr=ALPHA, inner_steps=problem.steps)


# ------------------------------------------------------------------ on tensors


def torch_net(dtype=torch.float64):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).to(
        dtype
    )


def of_net(net, problem, first_order=False):
    """∇θ of a torch model's MAML, by functional_call and autograd."""
    theta, losses = dict(net.named_parameters()), []
    of = lambda p, x, y: torch.nn.functional.mse_loss(torch.func.functional_call(net, p, (x,)), y)
    for support_x, support_y, query_x, query_y in tensors(problem.batch):
        phi = theta
        for _ in range(problem.steps):
            phi = step(phi, of(phi, support_x, support_y), create_graph=not first_order)
        losses.append(of(phi, query_x, query_y))
    return torch.stack(losses).mean(), theta


def test_a_loss_on_tensors_is_as_good_as_one_on_arrays():
    problem = PROBLEMS[1]
    assert problem.diagnosis(right(problem), loss=tanh_mse).correct
    found = problem.diagnosis(missing_create_graph(problem), loss=tanh_mse)
    assert found.mistake == "first_order"
    assert (
        problem.diagnosis(by_loop(problem, with_momentum(0.9)), loss=tanh_mse).mistake == "momentum"
    )


@pytest.mark.parametrize("first_order", [False, True])
def test_a_torch_model_its_loss_and_its_grad_can_be_given_as_they_are(first_order):
    problem, net = PROBLEMS[1], torch_net()
    given = (torch.nn.functional.mse_loss, net, problem.batch, ALPHA, problem.steps)
    value, theta = of_net(net, problem, first_order)
    grads = dict(
        zip(theta, torch.autograd.grad(value, list(theta.values()), retain_graph=True), strict=True)
    )
    wanted = "first_order" if first_order else None
    assert diagnose_meta_gradient(grads, *given).mistake == wanted
    value.backward()
    assert diagnose_meta_gradient(net, *given).mistake == wanted


class Learner:
    """As those of maml_edu.pytorch: it knows its model, and is asked about batches."""

    def __init__(self, net, change=lambda grads, batch: grads):
        self.net, self.change = net, change

    def meta_gradient(self, batch):
        problem = SimpleNamespace(batch=batch, steps=2)
        value, theta = of_net(self.net, problem)
        grads = torch.autograd.grad(value, list(theta.values()))
        return value, self.change(dict(zip(theta, grads, strict=True)), batch)


def test_a_learner_can_be_given_as_it_is_and_is_asked_about_one_task_when_unknown():
    problem, net = PROBLEMS[1], torch_net()
    given = (torch.nn.functional.mse_loss, net, problem.batch, ALPHA, problem.steps)
    assert diagnose_meta_gradient(Learner(net), *given).correct

    def odd(grads, batch):
        return {k: g + (len(batch.query_x) > 1) * torch.randn_like(g) for k, g in grads.items()}

    found = diagnose_meta_gradient(Learner(net, odd), *given)
    assert found.mistake == "unknown"
    assert "with one task it is right: the error is in how tasks are put together" in found
    assert "α = 0" not in found.split("Smaller problems:")[1]  # its rate is its own


def test_a_learner_of_maml_edu_is_right_to_single_precision_or_better():
    mt = pytest.importorskip("maml_edu.pytorch")
    problem, net = PROBLEMS[1], torch_net(torch.float32)
    batch = TaskBatch(
        **{k: torch.as_tensor(v, dtype=torch.float32) for k, v in vars(problem.batch).items()}
    )
    learner = mt.MAML(net, torch.nn.functional.mse_loss, ALPHA, problem.steps)
    found = diagnose_meta_gradient(
        learner, torch.nn.functional.mse_loss, net, batch, ALPHA, problem.steps
    )
    assert found.mistake == "single_precision" and "single precision" in found
    first = mt.FOMAML(net, torch.nn.functional.mse_loss, ALPHA, problem.steps)
    found = diagnose_meta_gradient(
        first, torch.nn.functional.mse_loss, net, batch, ALPHA, problem.steps
    )
    assert found.mistake == "first_order"


# ------------------------------------------------------------------ smaller problems


def test_a_function_that_is_wrong_in_an_unknown_way_is_asked_about_smaller_problems():
    problem = PROBLEMS[2]

    def odd_loop(loss, params, batch, inner_lr, inner_steps):
        """Right without inner steps only: every step is bent a little."""
        value, grads = ref.meta_gradient(loss, params, batch, inner_lr, inner_steps)
        bent = 1 + np.mean(inner_lr) * inner_steps
        return value, {k: np.sin(g * bent) if inner_lr else g for k, g in grads.items()}

    found = problem.diagnosis(odd_loop)
    assert found.mistake == "unknown"
    assert "with one task it is wrong, too" in found and "with one inner step it is wrong" in found
    assert "with α = 0 it is right: the error is in the inner loop" in found

    def odd_mean(loss, params, batch, inner_lr, inner_steps):
        value, grads = ref.meta_gradient(loss, params, batch, inner_lr, inner_steps)
        return value, {k: np.sin(3 * g) for k, g in grads.items()}

    found = problem.diagnosis(odd_mean)
    assert "the error is in the query loss or in its mean, not in the inner loop" in found


def test_fixed_gradients_are_answered_with_the_advice_to_shrink():
    problem = PROBLEMS[2]
    found = problem.diagnosis({k: np.sin(9 * v) for k, v in right(problem).items()})
    assert "one task, one inner step, inner_lr = 0" in found and "Smaller problems" not in found


def test_a_candidate_on_tensors_that_is_called_with_arrays_says_so_in_a_note():
    problem = PROBLEMS[1]

    def on_tensors(loss, params, batch, inner_lr, inner_steps):
        return {name: p.requires_grad_() for name, p in params.items()}

    with pytest.raises(AttributeError) as caught:
        problem.diagnosis(on_tensors)
    assert "called with NumPy arrays" in caught.value.__notes__[0]


def test_a_batch_may_be_a_tuple_and_one_with_masks_is_refused():
    problem, rng = PROBLEMS[1], np.random.default_rng(0)
    four = tuple(vars(problem.batch)[f"{role}_{a}"] for role in ("support", "query") for a in "xy")
    arguments = (right(problem), tanh_mse_numpy, problem.params)
    assert diagnose_meta_gradient(*arguments, four, ALPHA, problem.steps).correct
    tasks = [
        [rng.normal(size=(n, a.shape[2])) for n, a in zip((k, k, 3, 3), four, strict=True)]
        for k in (2, 4)
    ]
    with pytest.raises(ValueError, match="batch has masks.*groups"):
        diagnose_meta_gradient(*arguments, TaskBatch.padded(tasks), ALPHA, problem.steps)


# ------------------------------------------------------------------ check_gradient


def bowl(x):
    return np.sum(np.sin(x) * np.arange(1, 4))


def bowl_slope(x):
    return np.cos(x) * np.arange(1, 4)


def test_a_right_gradient_agrees_with_finite_differences(capsys):
    assert check_gradient(bowl, bowl_slope, np.array([0.1, 0.2, 3.0])) is None
    assert "✓ gradient agrees with finite differences along 5 directions" in capsys.readouterr().out


def test_params_in_a_dict_are_checked_together():
    problem = PROBLEMS[1]
    f = lambda p: ref.meta_loss(tanh_mse_numpy, p, problem.batch, ALPHA, problem.steps)
    slope = lambda p: ref.meta_gradient(tanh_mse_numpy, p, problem.batch, ALPHA, problem.steps)[1]
    check_gradient(f, slope, problem.params)
    with pytest.raises(WrongAnswer):
        check_gradient(f, lambda p: missing_create_graph(problem), problem.params)


@pytest.mark.parametrize("change", [
    lambda g: 2 * g, lambda g: -g, lambda g: 0 * g, lambda g: g * np.array([1, 1, 1.001]), lambda g: g * np.nan,
])  # fmt: skip
def test_a_wrong_gradient_is_refused(change):
    with pytest.raises(
        WrongAnswer, match="disagrees with finite differences along random direction 1"
    ):
        check_gradient(bowl, lambda x: change(bowl_slope(x)), np.array([0.1, 0.2, 3.0]))


def test_analytic_and_numeric_slope_stand_side_by_side_with_their_ratio():
    with pytest.raises(WrongAnswer) as caught:
        check_gradient(bowl, lambda x: 2 * bowl_slope(x), np.array([0.1, 0.2, 3.0]))
    assert {"analytic", "numeric", "ratio"} <= {
        line.split(":")[0] for line in caught.value.detail.splitlines()
    }
    assert "ratio:    2" in caught.value.detail


class Pair(NamedTuple):
    w: object
    b: object


W, B = np.linspace(-1, 1, 6).reshape(2, 3), np.array([0.3, -0.2])


STRUCTURES = [
    (
        {"layer": {"w": W, "b": B}, "scale": 0.7},
        lambda p: np.sum(np.sin(p["layer"]["w"])) * p["scale"] + np.sum(p["layer"]["b"] ** 2),
    ),
    ([W, B], lambda p: np.sum(np.sin(p[0])) + np.sum(p[1] ** 2)),
    ([(W, B), {"s": B}], lambda p: np.sum(np.sin(p[0][0])) * np.sum(p[0][1] * p[1]["s"])),
    (Pair(W, B), lambda p: np.sum(np.sin(p.w)) + np.sum(p.b**2)),
    ({"w": [W, B], "empty": {}}, lambda p: np.sum(np.sin(p["w"][0])) + np.sum(p["w"][1] ** 2)),
]


@pytest.mark.parametrize("x, f", STRUCTURES)
def test_params_of_any_structure_are_checked(x, f):
    check_gradient(f, ref.grad(f), x)
    zeros = ref.grad(lambda p: 0 * f(p))
    with pytest.raises(WrongAnswer):
        check_gradient(f, zeros, x)
    with pytest.raises(ValueError, match=r"grad\(x\) and x differ in keys or shapes"):
        check_gradient(f, lambda p: [], x)


@pytest.mark.parametrize(
    "x", [0.5, [0.1, 0.2, 3.0], [[0.1, 0.2, 3.0], [1.0, 2.0, 0.5]], (0.1, np.float64(0.2), 3)]
)
def test_a_number_or_a_list_of_numbers_is_an_array(x):
    f = lambda x: np.sum(np.sin(x) * np.arange(1, 4))
    slope = lambda x: np.cos(x) * (6 if np.ndim(x) == 0 else np.arange(1, 4))
    check_gradient(f, slope, x)
    check_gradient(f, lambda x: slope(x).tolist(), x)


@pytest.mark.parametrize("slope", [lambda x: x[:2], lambda x: x.sum(), lambda x: {"x": x}])
def test_a_gradient_of_another_shape_is_refused(slope):
    with pytest.raises(ValueError, match=r"grad\(x\) and x differ in keys or shapes"):
        check_gradient(bowl, slope, np.ones(3))


def test_a_right_gradient_of_small_inputs_or_of_a_large_value_is_not_accused(capsys):
    check_gradient(lambda x: np.sum(np.log(x)), lambda x: 1 / x, np.full(3, 1e-4))
    check_gradient(lambda x: np.sum(x**2) + 1e8, lambda x: 2 * x, np.ones(3))
    assert capsys.readouterr().out.count("✓") == 2
    with pytest.raises(ValueError, match="directions"):
        check_gradient(np.sum, np.ones_like, np.ones(3), directions=0)


def test_a_problem_whose_right_gradient_is_infinite_is_refused():
    x = np.ones((1, 2, 1))
    batch = TaskBatch(x, 2 * x, x, 2 * x)
    params = {"w1": np.ones((1, 1)), "b1": np.zeros(1)}
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="itself NaN or infinite"):
        diagnose_meta_gradient(params, ref.mse, params, batch, 1e200, 2)


@pytest.mark.parametrize("factor", [0.3, 1.5, 3.0, 7.0])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_wrong_rate_is_named_with_its_factor(factor, steps):
    rng = np.random.default_rng(int(10 * factor) + steps)
    loss = named("tanh_mlp_mse").numpy
    params = {"w1": (2, 4), "b1": (4,), "w2": (4, 1), "b2": (1,)}
    params = {name: 0.5 * rng.normal(size=shape) for name, shape in params.items()}
    batch = TaskBatch(*(rng.normal(size=(3, n, d)) for n, d in ((5, 2), (5, 1), (7, 2), (7, 1))))
    wrong = ref.meta_gradient(loss, params, batch, 0.05 * factor, steps)
    diagnosis = diagnose_meta_gradient(wrong, loss, params, batch, 0.05, steps)
    assert diagnosis.mistake == "wrong_inner_lr" and f"{factor:.4g} times" in diagnosis
