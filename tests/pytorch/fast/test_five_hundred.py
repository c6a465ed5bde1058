"""500 random problems: the closed form and native code against a loop that shares no line with them.

The loop is that of a PyTorch user (`by_hand.maml_by_autograd`: one task after the other,
`create_graph`). Slopes of a share of the problems, of θ and of the rates, are also held to differences
of meta-losses.
"""

import importlib.util
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import RATES, perceptron, random_rates, random_tasks, relative, unambiguous
from by_hand import directional, inner, like, maml_by_autograd

import maml_edu.pytorch as mt

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason='numba is not installed: "maml_edu[fast]"'
)
ENGINES = ["closed", pytest.param("native", marks=needs_numba)]
LOSSES = (F.mse_loss, F.cross_entropy)
PROBLEMS, DIFFERENCES = range(500), range(0, 500, 8)


class Problem:
    """Everything about one problem, drawn from its number."""

    def __init__(self, seed):
        rng = np.random.default_rng([2017, seed])
        widths = [int(n) for n in rng.integers(1, 8, size=rng.integers(2, 6))]
        kind = int(rng.integers(2))
        widths[-1] += kind  # two classes at least
        self.model = perceptron(rng, widths).double()
        with torch.no_grad():
            for p in self.model.parameters():
                p.copy_(torch.from_numpy(0.6 * rng.normal(size=tuple(p.shape))))
        self.names = [name for name, _ in self.model.named_parameters()]
        self.params = {n: p.detach().numpy().copy() for n, p in self.model.named_parameters()}
        self.steps, self.first_order = int(rng.integers(6)), bool(rng.random() < 0.3)
        self.loss = LOSSES[kind]
        self.batch = random_tasks(
            rng, widths[:1], widths[-1], ("mse", "cross-entropy")[kind], int(rng.integers(1, 4))
        )
        params = dict(self.model.named_parameters())
        forms = [f for f in RATES if unambiguous(f, params.values(), self.steps)]
        self.form = forms[rng.integers(len(forms))]
        self.rates = random_rates(rng, self.form, params, self.steps)
        self.some = [n for n in self.names if rng.random() < 0.6] if rng.random() < 0.3 else None
        if self.some == []:
            self.some = None
        if self.some and isinstance(self.rates, dict):
            self.rates = {n: self.rates[n] for n in self.some}

    def rate(self, name, step):
        """αₖ of one parameter, by the name of the rates' form; 0 for what does not adapt."""
        if self.some and name not in self.some:
            return 0.0
        own = self.rates[name] if isinstance(self.rates, dict) else self.rates
        return own[step] if self.form.endswith("step") else own

    def forward_loss(self, params, x, y):
        """The network and its loss from tensors, without a module."""
        last = max(int(n.split(".")[0]) for n in params)
        for layer in range(0, last + 1, 2):
            x = x @ params[f"{layer}.weight"].T
            x = x + params[f"{layer}.bias"] if f"{layer}.bias" in params else x
            x = x.clamp(min=0) if layer < last else x
        if self.loss is F.mse_loss:
            return ((x - y) ** 2).mean()
        return -torch.log_softmax(x, 1)[torch.arange(len(x)), y].mean()

    def by_autograd(self, params, first_order=False):
        arguments = (self.batch, self.rate, self.steps, first_order)
        return maml_by_autograd(self.forward_loss, params, *arguments)

    def learner(self, engine, **options):
        options = {"first_order": self.first_order, "adapting": self.some, **options}
        return mt.MAML(self.model, self.loss, self.rates, self.steps, engine=engine, **options)


@cache
def expected(seed):
    problem = Problem(seed)
    return problem.by_autograd(problem.params, problem.first_order)


def error_of(engine, seed):
    """The relative error of the value, or of the slopes, whichever is the larger."""
    problem = Problem(seed)
    value, grads = problem.learner(engine).meta_gradient(problem.batch)
    right, slopes = expected(seed)
    off = relative([grads[n] for n in slopes], [torch.from_numpy(g) for g in slopes.values()])
    return max(off, abs(float(value) - right) / right)


def test_the_500_problems_are_of_every_kind():
    problems = [Problem(seed) for seed in PROBLEMS]
    assert {p.form for p in problems} == set(RATES)
    assert {p.steps for p in problems} == set(range(6))
    assert {len(p.model) // 2 + 1 for p in problems} == {1, 2, 3, 4}
    kinds = {(p.loss, p.first_order, p.some is None) for p in problems}
    assert len(kinds) == 8


@pytest.mark.parametrize("engine", ENGINES)
def test_500_meta_gradients_are_those_of_a_loop_with_create_graph(engine):
    errors = {seed: error_of(engine, seed) for seed in PROBLEMS}
    wrong = {seed: error for seed, error in errors.items() if not error < 1e-9}
    assert not wrong, f"{len(wrong)} of 500 problems: {wrong}"


def slope_error(engine, seed):
    """How far the slope along a random direction of (θ, rates) is from differences of meta-losses.

    A kink of ReLU between the two ends of a difference moves it away: the best of three widths counts.
    """
    problem, rng = Problem(seed), np.random.default_rng(seed)
    learner = problem.learner(engine, first_order=False, learn_inner_lr=True)
    _, grads = learner.meta_gradient(problem.batch)
    rates = problem.rates if isinstance(problem.rates, dict) else {"": problem.rates}
    start = problem.params | {f"inner_lr.{n}".rstrip("."): np.asarray(v) for n, v in rates.items()}
    along = like(rng, start)

    def value(at):
        own = {n[9:]: torch.as_tensor(at[n]) for n in at if n.startswith("inner_lr")}
        problem.rates = own[""] if "" in own else own
        return problem.by_autograd({n: at[n] for n in problem.names})[0]

    slope = inner({n: g.numpy() for n, g in grads.items()}, along)
    tries = [directional(value, start, along, step) for step in (1e-4, 1e-5, 1e-6)]
    size = max(abs(slope), 1e-2 * float(torch.cat([g.reshape(-1) for g in grads.values()]).norm()))
    return min(abs(numeric - slope) for numeric in tries) / (size or 1.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_slopes_of_parameters_and_rates_are_differences_of_meta_losses(engine):
    errors = {seed: slope_error(engine, seed) for seed in DIFFERENCES}
    wrong = {seed: error for seed, error in errors.items() if not error < 1e-5}
    assert not wrong, f"{len(wrong)} of {len(DIFFERENCES)} problems: {wrong}"
