"""Every engine gives the numbers of the plain way: any network, loss, rates, steps and order."""

import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import (
    LOSSES,
    RATES,
    convolutional,
    disagreement,
    perceptron,
    random_rates,
    random_tasks,
    unambiguous,
    with_new_parameters,
)
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import compiled
from maml_edu.pytorch.fast import perceptron as perceptron_arrays

numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason='numba is not installed: "maml_edu[fast]"'
)
PERCEPTRONS = ["lean", "threads", "closed", pytest.param("native", marks=numba)]
ANY_MODEL = ["lean", "threads"]


def drawn(seed, loss=None, steps=None, form=None, **options):
    """(learner, batch): a multilayer perceptron and all that belongs to it, drawn from a seed."""
    rng = np.random.default_rng(seed)
    loss = loss or ("mse", "cross-entropy")[rng.integers(2)]
    widths = rng.integers(1, 9, size=rng.integers(2, 6))  # 1 to 4 layers
    if loss == "cross-entropy":
        widths[-1] += 1
    flatten = bool(rng.integers(2))
    model = perceptron(rng, widths, nested=bool(rng.integers(2)), flatten=flatten)
    with_new_parameters(model, rng)
    steps = int(rng.integers(6)) if steps is None else steps
    params = dict(model.named_parameters())
    forms = [f for f in RATES if unambiguous(f, params.values(), steps)]
    rates = random_rates(rng, form or forms[rng.integers(len(forms))], params, steps)
    inputs = (1, int(widths[0]), 1) if flatten else (int(widths[0]),)
    sizes = {"tasks": int(rng.integers(1, 6)), "shots": int(rng.integers(1, 7))}
    batch = random_tasks(rng, inputs, int(widths[-1]), loss, **sizes)
    options = {"first_order": bool(rng.integers(2)), **options}
    return mt.MAML(model, LOSSES[loss], rates, steps, **options), batch


def sinusoid_like(seed=0, loss="mse", widths=(2, 6, 5, 3), **options):
    """(learner, batch) of one fixed shape, for what is changed one thing at a time."""
    rng = np.random.default_rng(seed)
    model = with_new_parameters(perceptron(rng, widths, bias=True), rng)
    batch = random_tasks(rng, widths[:1], widths[-1], loss)
    options = {"inner_lr": 0.1, "inner_steps": 3, **options}
    return mt.MAML(model, LOSSES[loss], **options), batch


def images(seed=0, model=None, **options):
    """(learner, batch): a convolutional classifier of 6 × 6 images."""
    rng = np.random.default_rng(seed)
    model = with_new_parameters(model or convolutional(), rng)
    batch = random_tasks(rng, (2, 6, 6), 3, "cross-entropy")
    options = {"inner_lr": 0.1, "inner_steps": 2, **options}
    return mt.MAML(model, F.cross_entropy, **options), batch


# ------------------------------------------------------------------ networks, losses, rates, steps


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("seed", range(25))
def test_a_random_perceptron_has_the_plain_meta_gradient(engine, seed):
    learner, batch = drawn(seed)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_any_number_of_layers_with_and_without_biases(engine, layers, bias, loss):
    rng = np.random.default_rng(layers)
    widths = [3, 7, 4, 5][:layers] + [2]
    model = with_new_parameters(perceptron(rng, widths, bias), rng)
    learner = mt.MAML(model, LOSSES[loss], 0.1, 2)
    assert disagreement(learner, random_tasks(rng, (3,), 2, loss), engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", range(6))
def test_any_number_of_inner_steps_in_both_orders(engine, steps, first_order):
    learner, batch = sinusoid_like(steps, inner_steps=steps, first_order=first_order)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("form", RATES)
def test_rates_of_every_form_and_their_gradients(engine, form, learned):
    learner, batch = sinusoid_like(1)
    rates = random_rates(np.random.default_rng(1), form, learner.params, 3)
    if (
        form == "per parameter and step"
    ):  # three steps, three outputs: the step axis would be ambiguous
        rates = {n: r if len(learner.params[n]) != 3 else r[0] for n, r in rates.items()}
    again = {"inner_lr": rates, "inner_steps": 3, "learn_inner_lr": learned}
    for first_order in (False, True):
        learner = mt.MAML(learner.model, first_order=first_order, **again)
        assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("seed", range(100, 112))
def test_learned_rates_of_a_random_perceptron(engine, seed):
    learner, batch = drawn(seed, learn_inner_lr=True)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("form", ["one number", "per parameter", "per element"])
def test_learned_rates_without_an_inner_step_have_the_gradient_zero(engine, form):
    learner, batch = sinusoid_like()
    rates = random_rates(np.random.default_rng(0), form, learner.params, 0)
    learner = mt.MAML(learner.model, inner_lr=rates, inner_steps=0, learn_inner_lr=True)
    assert disagreement(learner, batch, engine) < 1e-9
    _, grads = learner.meta_gradient(batch)
    assert not any(grads[name].any() for name in learner.learned_rates())


# ------------------------------------------------------------------ what else a learner may be told


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("adapting", ["0.", ["2."], ["4.weight"], ["0.bias", "4."]], ids=str)
@pytest.mark.parametrize("learned", [False, True])
def test_adapting_only_some_parameters(engine, adapting, learned):
    learner, batch = sinusoid_like()
    rates = {n: 0.1 for n in learner.params if n.startswith(tuple(adapting))}
    for own in (0.1, rates):
        options = {"inner_steps": 3, "adapting": adapting, "learn_inner_lr": learned}
        assert disagreement(mt.MAML(learner.model, inner_lr=own, **options), batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize(
    "weights", [[0.4, 0.3, 0.2, 0.1], [0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 2], [1e-3, 0, 0, 0.5]]
)
def test_query_weights_count_every_step(engine, weights):
    for options in ({}, {"first_order": True}, {"learn_inner_lr": True}):
        learner, batch = sinusoid_like(query_weights=weights, **options)
        assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("first_order", [False, True])
def test_another_inner_loss(engine, first_order):
    """Cross-entropy on the support set's labels, squared error on the query set's targets."""
    learner, batch = sinusoid_like(loss="mse")
    batch.support_y = np.random.default_rng(1).integers(3, size=batch.support_y.shape[:2])
    options = {"inner_loss": F.cross_entropy, "first_order": first_order}
    learner = mt.MAML(learner.model, F.mse_loss, 0.1, 3, **options)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
def test_an_inner_loss_that_has_no_closed_form(engine):
    learner, batch = sinusoid_like(inner_loss=F.huber_loss, query_weights=[0.1, 0, 0.2, 0.7])
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("frozen", ["0.weight", "2.bias", "4.weight", "4."])
def test_frozen_parameters_take_part_in_the_forward_pass_only(engine, frozen):
    learner, batch = sinusoid_like()
    for name, parameter in learner.model.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    learner = mt.MAML(learner.model, inner_lr=0.1, inner_steps=3)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_given_as_modules(engine, loss):
    learner, batch = sinusoid_like(loss=loss)
    module = {"mse": nn.MSELoss(), "cross-entropy": nn.CrossEntropyLoss()}[loss]
    assert disagreement(mt.MAML(learner.model, module, 0.1, 3), batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(4))
def test_single_precision_agrees_to_its_own_rounding(engine, loss, seed):
    learner, batch = sinusoid_like(seed, loss, widths=(2, 17, 33, 5))
    learner.model.float()
    assert disagreement(learner, batch, engine) < 1e-4


@pytest.mark.parametrize("engine", PERCEPTRONS)
def test_one_engine_serves_batches_of_changing_shape(engine):
    learner, _ = sinusoid_like(inner_steps=2)
    rng = np.random.default_rng(3)
    for tasks, shots, queries in ((3, 4, 6), (1, 1, 1), (17, 2, 3), (40, 9, 2), (3, 4, 6)):
        batch = random_tasks(rng, (2,), 3, "mse", tasks, shots, queries)
        assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", PERCEPTRONS)
def test_an_engine_follows_the_parameters_and_the_rates_as_they_are_trained(engine):
    learner, batch = sinusoid_like(learn_inner_lr=True)
    for _ in range(3):
        assert disagreement(learner, batch, engine) < 1e-9
        with torch.no_grad():
            for own in learner.meta_params.values():
                own.mul_(0.9)


@pytest.mark.parametrize("engine", PERCEPTRONS)
def test_what_an_engine_returned_is_not_overwritten_by_the_next_call(engine):
    learner, batch = sinusoid_like(learn_inner_lr=True, engine=engine)
    value, grads = learner.meta_gradient(batch)
    before = {name: own.clone() for name, own in grads.items()} | {"value": value.clone()}
    other, _ = sinusoid_like(5, learn_inner_lr=True, engine=engine)
    for again in (other, learner):
        changed = random_tasks(np.random.default_rng(7), (2,), 3)
        again.meta_gradient(changed)
    assert all(torch.equal(before[name], own) for name, own in (grads | {"value": value}).items())


# ------------------------------------------------------------------ other networks


class Two(nn.Module):
    """A module of its own kind: a skip connection, a shared layer and a buffer."""

    def __init__(self):
        super().__init__()
        self.into, self.shared = nn.Linear(2, 5), nn.Linear(5, 5)
        self.out = nn.Linear(5, 3, bias=False)
        self.register_buffer("shift", torch.full((5,), 0.1))

    def forward(self, x):
        x = torch.tanh(self.into(x))
        return self.out(x + self.shared(torch.tanh(self.shared(x)))) + self.shift.mean()


@pytest.mark.parametrize("engine", ANY_MODEL)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_a_module_of_its_own_kind(engine, steps, first_order):
    """Seven steps: more than `threads` keeps the graphs of."""
    rng = np.random.default_rng(0)
    learner = mt.MAML(with_new_parameters(Two(), rng), F.mse_loss, 0.1, steps, first_order)
    assert disagreement(learner, random_tasks(rng, (2,), 3), engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_convolutions_with_batch_norm(engine, steps, first_order):
    learner, batch = images(inner_steps=steps, first_order=first_order)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
@pytest.mark.parametrize(
    "options",
    [
        {"adapting": "8."},
        {"learn_inner_lr": True},
        {"query_weights": [0.2, 0.3, 0.5]},
        {"inner_loss": lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_convolutions_with_all_that_a_learner_may_be_told(engine, options):
    learner, batch = images(**options)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
@pytest.mark.parametrize("pool", ["stride", "max"])
def test_conv4_itself(engine, pool):
    rng = np.random.default_rng(0)
    model = with_new_parameters(mt.Conv4(3, filters=2, size=16, pool=pool), rng, scale=1)
    batch = random_tasks(rng, (1, 16, 16), 3, "cross-entropy", tasks=2)
    assert disagreement(mt.MAML(model, F.cross_entropy, 0.1, 2), batch, engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
def test_convolutions_in_single_precision(engine):
    learner, batch = images()
    learner.model.float()
    assert disagreement(learner, batch, engine) < 1e-4


@pytest.mark.parametrize("engine", ANY_MODEL)
def test_rates_per_element_and_step_of_convolutions(engine):
    learner, batch = images()
    form = random_rates(np.random.default_rng(2), "per element and step", learner.params, 2)
    learner = mt.MAML(learner.model, F.cross_entropy, form, 2, learn_inner_lr=True)
    assert disagreement(learner, batch, engine) < 1e-9


@pytest.mark.parametrize("engine", ANY_MODEL)
def test_a_parameter_that_plays_no_part_has_the_gradient_zero(engine):
    rng = np.random.default_rng(0)
    model = Two()
    model.unused = nn.Parameter(torch.ones(3))
    learner = mt.MAML(with_new_parameters(model, rng), F.mse_loss, 0.1, 2, learn_inner_lr=True)
    assert disagreement(learner, random_tasks(rng, (2,), 3), engine) < 1e-9
    assert not learner.meta_gradient(random_tasks(rng, (2,), 3))[1]["unused"].any()


# ------------------------------------------------------------------ compiled: half a minute a piece

compiler = pytest.mark.skipif(
    compiled.missing() is not None, reason=f"compiled: {compiled.missing()}"
)


@compiler
def test_the_compiled_engine_has_the_plain_meta_gradient():
    options = {"inner_steps": 1, "learn_inner_lr": True, "query_weights": [0.3, 0.7]}
    learner, batch = sinusoid_like(widths=(2, 4, 3), **options)
    assert disagreement(learner, batch, "compiled") < 1e-9


# ------------------------------------------------------------------ one inner step by outer products


@pytest.mark.parametrize("engine", ["closed", pytest.param("native", marks=numba)])
@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
@pytest.mark.parametrize("first_order", [False, True])
def test_one_step_on_few_examples_is_the_same_without_its_weights(
    engine, loss, first_order, monkeypatch
):
    rng, seen = np.random.default_rng(3), []
    known = perceptron_arrays.by_outer_products
    monkeypatch.setattr(
        perceptron_arrays,
        "by_outer_products",
        lambda *given: seen.append(known(*given)) or seen[-1],
    )
    model = with_new_parameters(perceptron(rng, (2, 30, 17, 3)), rng)
    rates = {name: float(rng.uniform(0, 0.2)) for name, _ in model.named_parameters()}
    function = LOSSES[loss]
    learner = mt.MAML(model, function, rates, first_order=first_order, engine=engine)
    batch = random_tasks(rng, (2,), 3, loss, tasks=5, shots=7, queries=11)
    assert disagreement(learner, batch, engine) < 1e-12
    assert set(seen) == {True}
