"""The contract: the names and signatures that lessons, exercises and outside users rely on.

More parameters may follow those listed; these stay, in this order, with these defaults. `…` stands for
a default that the contract leaves open, and `required` for a parameter without one.
"""

import inspect

import numpy as np
import pytest
import torch.nn.functional as F

import maml_edu
import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu import checks, tasks
from maml_edu.checks import exercise as language

required, anything = object(), object()

LOOP = {"loss": required, "params": required}
RATES = {"inner_lr": required, "inner_steps": required}
TASK, BATCH = {"support_x": required, "support_y": required}, {"batch": required}
SELF = {"self": required}

CONTRACT = {
    "ref.grad": (ref.grad, {"f": required}),
    "ref.value_and_grad": (ref.value_and_grad, {"f": required}),
    "ref.jacobian": (ref.jacobian, {"f": required}),
    "ref.hvp": (ref.hvp, {"f": required, "params": required, "v": required}),
    "ref.adapt": (ref.adapt, LOOP | TASK | RATES),
    "ref.meta_loss": (ref.meta_loss, LOOP | BATCH | RATES),
    "ref.meta_gradient": (ref.meta_gradient, LOOP | BATCH | RATES | {"first_order": False}),
    "mt.adapt": (mt.adapt, LOOP | TASK | RATES),
    "mt.meta_loss": (mt.meta_loss, LOOP | BATCH | RATES),
    "mt.meta_gradient": (mt.meta_gradient, LOOP | BATCH | RATES | {"first_order": False}),
    "mt.BatchNorm": (mt.BatchNorm, {"num_features": required}),
    "mt.MAML": (mt.MAML, {"model": required, "loss": F.mse_loss, "inner_lr": 0.01, "inner_steps": 1}),
    "mt.MAML.meta_gradient": (mt.MAML.meta_gradient, SELF | BATCH),
    "mt.MAML.adapt": (mt.MAML.adapt, SELF | TASK | {"steps": anything}),
    "mt.meta_train": (
        mt.meta_train,
        {"learner": required, "tasks": required, "iterations": required, "meta_batch": 25, "meta_lr": 1e-3,
         "device": "auto", "checkpoint": None},
    ),
    "mt.evaluate": (
        mt.evaluate, {"learner": required, "tasks": required, "episodes": 600, "steps": anything},
    ),
    "TaskBatch": (tasks.TaskBatch, TASK | {"query_x": required, "query_y": required}),
    "Sinusoids": (tasks.Sinusoids, {"shots": 10, "queries": anything}),
    "Sinusoids.sample": (tasks.Sinusoids.sample, SELF | {"rng": required, "tasks": anything}),
    "check": (checks.check, {"exercise_id": required, "answer": required, "hidden": False}),
    "check_gradient": (checks.check_gradient, {"f": required, "grad": required, "x": required}),
    "diagnose_meta_gradient": (
        checks.diagnose_meta_gradient, {"candidate": required} | LOOP | BATCH | RATES,
    ),
    "progress": (checks.progress, {}),
    "exercise": (
        language.exercise, {"id": required, "points": required, "minutes": required, "difficulty": required},
    ),
    "expect": (language.expect, {"got": required, "expected": required, "mistakes": None}),
    "draw": (language.draw, {"rng": required, "what": required}),
    "wrong_answer": (language.wrong_answer, {"id": required, "says": required}),
    "right_answer": (language.right_answer, {"id": required, "why": required}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACT)
def test_parameters_have_the_names_the_order_and_the_defaults_of_the_contract(name):
    function, expected = CONTRACT[name]
    parameters = inspect.signature(function).parameters
    assert [p for p in parameters if p in expected] == list(expected)
    for parameter, default in expected.items():
        actual = parameters[parameter].default
        if default is required:
            assert actual is inspect.Parameter.empty
        elif default is not anything:
            assert actual == default
    added = [p for k, p in parameters.items() if k not in expected]
    optional = [p for p in added if p.kind is not p.VAR_KEYWORD]  # that refuses what is misspelt
    assert all(p.default is not p.empty for p in optional), "what is added must not be required"


def test_listed_parameters_come_first_so_that_they_may_be_given_by_position():
    for name, (function, expected) in CONTRACT.items():
        positional = [name for name in expected if expected[name] is required]
        assert list(inspect.signature(function).parameters)[: len(positional)] == positional, name


@pytest.mark.parametrize(("here", "there"), [(ref, mt)])
def test_adapt_meta_loss_and_meta_gradient_are_the_same_in_both_back_ends(here, there):
    for name in ("adapt", "meta_loss", "meta_gradient"):
        ours, theirs = (
            list(inspect.signature(getattr(m, name)).parameters.values()) for m in (here, there)
        )
        assert theirs[: len(ours)] == ours
        assert all(extra.kind is extra.KEYWORD_ONLY for extra in theirs[len(ours) :])


def test_names_of_the_contract_are_public():
    assert {"adapt", "meta_loss", "meta_gradient", "grad", "value_and_grad", "jacobian", "hvp"} <= {
        *ref.__all__
    }
    assert {
        "adapt",
        "meta_loss",
        "meta_gradient",
        "MAML",
        "BatchNorm",
        "meta_train",
        "evaluate",
    } <= {*mt.__all__}
    assert {"TaskBatch", "Sinusoids"} <= {*tasks.__all__}
    assert {"check", "check_gradient", "diagnose_meta_gradient", "progress"} <= {*checks.__all__}
    for module in (ref, mt, tasks, checks, language):
        assert all(hasattr(module, name) for name in module.__all__)
    assert {"reference", "pytorch", "tasks", "checks", "figures"} <= {*dir(maml_edu)}


def test_the_example_of_the_contract_runs(tmp_path):
    rng = np.random.default_rng(0)
    params = ref.mlp_init(rng, (1, 8, 1))
    batch = tasks.Sinusoids(shots=10, queries=10).sample(rng, tasks=25)
    value, grads = ref.meta_gradient(ref.mse, params, batch, inner_lr=0.01, inner_steps=1)
    assert isinstance(float(value), float) and grads.keys() == params.keys()
    assert float(ref.meta_loss(ref.mse, params, batch, 0.01, 1)) == value

    learner = mt.MAML(mt.MLP(1, 8, 1), loss=F.mse_loss, inner_lr=0.01, inner_steps=1)
    value, grads = learner.meta_gradient(batch)
    assert grads.keys() == dict(learner.model.named_parameters()).keys()
    learner.adapt(batch.support_x[0], batch.support_y[0], steps=10)
    family = tasks.Sinusoids(shots=10)
    history = mt.meta_train(
        learner,
        family,
        iterations=2,
        meta_batch=25,
        meta_lr=1e-3,
        device="auto",
        checkpoint=tmp_path / "run",
    )
    assert len(history) == 2
    result = mt.evaluate(learner, family, episodes=20, steps=10)
    assert result.mean.shape == result.ci95.shape == (11,)
