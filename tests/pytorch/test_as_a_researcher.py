"""The library as a researcher uses it, held to loops of plain torch that know nothing of it.

Each test takes one thing that people do with it (layers replaced, freezing in a callback, images of unequal
classes, …) over many learners, models or settings at once. The loops here are slow and short on purpose.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations

import maml_edu.pytorch as mt
from maml_edu.pytorch.training.sampling import Stream, sampler_for
from maml_edu.tasks import FewShotImages, TaskBatch

TRAINING = {"meta_batch": 2, "device": "cpu", "progress": False}


def numbers(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def labels(n, tasks=2):
    return torch.arange(n).remainder(3).repeat(tasks, 1)


def three_classes(support=6, queries=9, tasks=2, seed=0):
    x, q = numbers(tasks, support, 6, seed=seed), numbers(tasks, queries, 6, seed=seed + 1)
    return TaskBatch(x, labels(support, tasks), q, labels(queries, tasks))


BATCH = three_classes()


def chain(*layers, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(*[layer() for layer in layers]).double()


def perceptron(activation=nn.Tanh):
    return chain(lambda: nn.Linear(6, 5), activation, lambda: nn.Linear(5, 3))


class Fixed:
    """The same two tasks whenever it is asked."""

    def __init__(self, batch=BATCH):
        self.batch = batch

    def sample(self, rng, tasks=2):
        return self.batch


# ------------------------------------------------------------------ plain torch


def adapted(model, theta, x, y, loss, inner):
    """[φ₀, …] by double backward; inner: one function (params, slopes, state) → (params, state) per step."""
    path, state = [theta], None
    for step, names in inner:
        moving = {n: path[-1][n] for n in names or theta}
        value = loss(functional_call(model, path[-1], (x,)), y)
        slopes = torch.autograd.grad(value, moving.values(), create_graph=True)
        moved, state = step(moving, dict(zip(moving, slopes, strict=True)), state)
        path.append({**path[-1], **moved})
    return path


def textbook(model, batch, inner, weights=None, loss=F.cross_entropy):
    """(meta-loss, its gradient): one task after the other, through every inner step."""
    theta = {n: p for n, p in model.named_parameters() if p.requires_grad}
    weights = weights or [0.0] * len(inner) + [1.0]
    total = 0.0
    for support_x, support_y, query_x, query_y in zip(*batch.arrays, strict=True):
        path = adapted(model, theta, support_x, support_y, loss, inner)
        for weight, phi in zip(weights, path, strict=True):
            value = loss(functional_call(model, phi, (query_x,)), query_y)
            total = total + weight * value / len(batch)
    slopes = torch.autograd.grad(total, theta.values(), allow_unused=True)
    return float(total.detach()), dict(zip(theta, slopes, strict=True))


def descent(rate, steps, names=None):
    """The inner steps of gradient descent."""
    step = lambda p, g, state: ({n: p[n] - rate * g[n] for n in p}, state)
    return [(step, names)] * steps


def agrees(result, expected, tolerance=1e-9):
    value, slopes = result
    assert float(value) == pytest.approx(expected[0], rel=tolerance)
    for name, slope in expected[1].items():
        slope = torch.zeros_like(slopes[name]) if slope is None else slope
        torch.testing.assert_close(slopes[name], slope, rtol=1e-6, atol=tolerance)


# ------------------------------------------------------------------ the inner loop, all its settings together


def cut(slopes, limit):
    norm = sum(g.square().sum() for g in slopes.values()).sqrt()
    return {n: g * torch.clamp(limit / (norm + 1e-6), max=1.0) for n, g in slopes.items()}


def rule(name, rates, limit):
    """One step of a rule, written out; rates: by name."""

    def step(p, g, state):
        g = g if limit is None else cut(g, limit)
        if name == "sgd":
            return {n: p[n] - rates[n] * g[n] for n in p}, None
        if name == "momentum":
            m = {n: g[n] + (0.9 * state[n] if state else 0.0) for n in p}
            return {n: p[n] - rates[n] * m[n] for n in p}, m
        k, m, v = state or (0, dict.fromkeys(p, 0.0), dict.fromkeys(p, 0.0))
        k, m = k + 1, {n: 0.9 * m[n] + 0.1 * g[n] for n in p}
        v = {n: 0.999 * v[n] + 0.001 * g[n] ** 2 for n in p}
        root = {n: (v[n] / (1 - 0.999**k)).sqrt() + 1e-8 for n in p}
        return {n: p[n] - rates[n] * m[n] / (1 - 0.9**k) / root[n] for n in p}, (k, m, v)

    return step


@pytest.mark.parametrize("names", [None, ["2.weight", "2.bias"]], ids=["all", "head"])
@pytest.mark.parametrize("form", ["step", "name", "element", "element and step"])
@pytest.mark.parametrize(("kind", "limit"), [("sgd", 0.05), ("momentum", None), ("adam", 0.05)])
def test_rates_of_every_form_go_with_every_rule_and_subset(kind, limit, form, names):
    model, weights, rng = perceptron(), [0.2, 0.3, 0.5], np.random.default_rng(1)
    moving = names or [n for n, _ in model.named_parameters()]
    shapes = {n: model.get_parameter(n).shape for n in moving}
    draw = lambda *shape: torch.tensor(rng.uniform(0.05, 0.2, shape))
    rates = {
        "step": lambda: draw(2),
        "name": lambda: {n: float(draw()) for n in moving},
        "element": lambda: {n: draw(*shapes[n]) for n in moving},
        "element and step": lambda: {n: draw(2, *shapes[n]) for n in moving},
    }[form]()

    def at(step):
        if form == "step":
            return dict.fromkeys(moving, rates[step])
        return {n: rates[n][step] if "step" in form else rates[n] for n in moving}

    inner = [(rule(kind, at(step), limit), names) for step in range(2)]
    options = {"inner_optimiser": kind, "inner_clip": limit, "adapting": names}
    learner = mt.MAML(model, F.cross_entropy, rates, 2, query_weights=weights, **options)
    expected = textbook(model, BATCH, inner, weights)
    agrees(learner.meta_gradient(BATCH), expected)
    assert float(learner.meta_loss(BATCH)) == pytest.approx(expected[0], rel=1e-9)


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("make", [mt.MAML, mt.MetaSGD])
def test_slopes_of_learned_rates_are_the_differences_of_the_meta_loss(make, kind):
    options = {"learn_inner_lr": True} if make is mt.MAML else {}
    learner = make(
        perceptron(), F.cross_entropy, 0.1, 2, inner_optimiser=kind, inner_clip=0.1, **options
    )
    _, slopes = learner.meta_gradient(BATCH)
    for name, rate in learner.learned_rates().items():
        element, step, values = rate.data.view(-1)[:1], 1e-6, []
        for sign in (1, -1):
            element += sign * step
            values.append(float(learner.meta_loss(BATCH)))
            element -= sign * step
        difference = (values[0] - values[1]) / (2 * step)
        assert float(slopes[name].reshape(-1)[0]) == pytest.approx(difference, rel=1e-4, abs=1e-8)


# ------------------------------------------------------------------ what is changed on the way


def doubled(output, y):
    return F.cross_entropy(2 * output, y)


def test_a_learner_s_settings_count_from_the_next_gradient():
    learner = mt.MAML(perceptron(), F.cross_entropy, 0.1, 1)
    learner.meta_gradient(BATCH)
    learner.inner_lr, learner.inner_steps = 0.3, 2
    agrees(learner.meta_gradient(BATCH), textbook(learner.model, BATCH, descent(0.3, 2)))
    learner.adapting = ["2.bias"]
    inner = descent(0.3, 2, ["2.bias"])
    agrees(learner.meta_gradient(BATCH), textbook(learner.model, BATCH, inner))
    learner.loss_function, learner.query_weights = doubled, [1.0, 0.0, 2.0]
    expected = textbook(learner.model, BATCH, inner, [1.0, 0.0, 2.0], doubled)
    agrees(learner.meta_gradient(BATCH), expected)
    learner.model = perceptron(nn.ReLU)
    agrees(
        learner.meta_gradient(BATCH),
        textbook(learner.model, BATCH, inner, [1.0, 0.0, 2.0], doubled),
    )


def test_layers_that_are_replaced_added_and_taken_out_count_from_the_next_gradient():
    model = perceptron()
    learner = mt.MAML(model, F.cross_entropy, 0.1, 2)

    def add():
        model.append(nn.Linear(3, 3).double())

    def take_out():
        del model[3]

    replace = [
        lambda: model.__setitem__(2, nn.Linear(5, 3).double()),
        lambda: model.__setitem__(1, nn.ReLU()),
        lambda: setattr(model[1], "forward", torch.sigmoid),
    ]
    for change in (*replace, add, take_out):
        learner.meta_gradient(BATCH)
        change()
        agrees(learner.meta_gradient(BATCH), textbook(model, BATCH, descent(0.1, 2)))


OUTER = ["adam", "adamw", "rmsprop", "momentum", "nesterov", torch.optim.Adam]
LEARNERS = {
    "MAML": lambda model: mt.MAML(model, F.cross_entropy, 0.1, 2),
    "learned": lambda model: mt.MAML(model, F.cross_entropy, 0.1, 2, learn_inner_lr=True),
    "MetaSGD": lambda model: mt.MetaSGD(model, F.cross_entropy, 0.1, 2),
    "FOMAML": lambda model: mt.FOMAML(model, F.cross_entropy, 0.1, 2),
    "Reptile": lambda model: mt.Reptile(model, F.cross_entropy, 0.1, 2),
    "IMAML": lambda model: mt.IMAML(model, F.cross_entropy, 0.1, 2),
    "ProtoNet": mt.ProtoNet,
    "FineTuning": lambda model: mt.FineTuning(model, F.cross_entropy, shared_labels=True),
}
PAIRS = [("MAML", o) for o in OUTER] + [("MetaSGD", "momentum")] + [(n, "adam") for n in LEARNERS]


@pytest.mark.parametrize(("name", "optimiser"), PAIRS)
def test_what_a_callback_freezes_stays_until_it_is_unfrozen(name, optimiser):
    model, before = perceptron(), []
    learner = LEARNERS[name](model)
    first = model[0]
    moved = {"frozen": [], "rest": []}

    def callback(iteration, history, learner):
        now = [p.detach().clone() for p in (first.weight, model[2].weight)]
        if before:
            same = [torch.equal(a, b) for a, b in zip(before, now, strict=True)]
            moved["frozen"].append(not same[0])
            moved["rest"].append(not same[1])
        before[:] = now
        first.requires_grad_(not 2 <= iteration < 4)

    mt.meta_train(
        learner, Fixed(), 6, optimiser=optimiser, meta_lr=0.05, callbacks=[callback], **TRAINING
    )
    assert moved == {"frozen": [True, False, False, True, True], "rest": [True] * 5}


# ------------------------------------------------------------------ the family, with models that vmap cannot run


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 3)
        self.double()

    def forward(self, x):
        return self.head(self.cell(x.reshape(-1, 3, 2))[0][:, -1])


class Scaled(nn.Module):
    """Brings its input to one scale by a number that Python knows."""

    def __init__(self):
        super().__init__()
        self.rest = perceptron()

    def forward(self, x):
        return self.rest(x / x.abs().max().item())


MODELS = {
    "LSTM": Recurrent,
    "item": Scaled,
    "BatchNorm1d": lambda: chain(
        lambda: nn.Linear(6, 5), lambda: nn.BatchNorm1d(5), nn.Tanh, lambda: nn.Linear(5, 3)
    ),
}


def joint(model):
    """The gradient of joint training: the loss on all examples of a task at θ."""
    theta, total = dict(model.named_parameters()), 0.0
    for support_x, support_y, query_x, query_y in zip(*BATCH.arrays, strict=True):
        output = functional_call(model, theta, (torch.cat([support_x, query_x]),))
        total = total + F.cross_entropy(output, torch.cat([support_y, query_y])) / 2
    slopes = torch.autograd.grad(total, theta.values())
    return float(total.detach()), dict(zip(theta, slopes, strict=True))


def towards(model):
    """Reptile's: (θ − φ)/α, and the query loss at φ."""
    theta = dict(model.named_parameters())
    means, value = {n: torch.zeros_like(p) for n, p in theta.items()}, 0.0
    for support_x, support_y, query_x, query_y in zip(*BATCH.arrays, strict=True):
        inner = descent(0.1, 2)
        phi = adapted(model, theta, support_x, support_y, F.cross_entropy, inner)[-1]
        value += (
            float(F.cross_entropy(functional_call(model, phi, (query_x,)), query_y).detach()) / 2
        )
        means = {n: means[n] + (theta[n] - phi[n]).detach() / 0.2 for n in theta}
    return value, means


def prototypes(model):
    theta, total = dict(model.named_parameters()), 0.0
    for support_x, support_y, query_x, query_y in zip(*BATCH.arrays, strict=True):
        both = functional_call(model, theta, (torch.cat([support_x, query_x]),))
        keys, queries = both[: len(support_x)], both[len(support_x) :]
        centres = torch.stack([keys[support_y == k].mean(0) for k in range(3)])
        logits = -(queries[:, None] - centres).square().sum(-1)
        total = total + F.cross_entropy(logits, query_y) / 2
    slopes = torch.autograd.grad(total, theta.values(), allow_unused=True)
    return float(total.detach()), dict(zip(theta, slopes, strict=True))


EXPECTED = {
    "MAML": lambda model: textbook(model, BATCH, descent(0.1, 2)),
    "MetaSGD": lambda model: textbook(model, BATCH, descent(0.1, 2)),
    "Reptile": towards,
    "ProtoNet": prototypes,
    "FineTuning": joint,
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_family_is_exact_and_scored_with_models_that_vmap_cannot_run(name, kind):
    model = MODELS[kind]()
    learner, buffers = LEARNERS[name](model), {n: b.clone() for n, b in model.named_buffers()}
    with torch.backends.mkldnn.flags(enabled=False):  # which has no second derivative of an LSTM
        expected = EXPECTED[name](copy.deepcopy(model))
    agrees(learner.meta_gradient(BATCH), expected, 1e-8)
    scores = mt.evaluate(learner, Fixed(), 2, metric="loss").mean
    if name != "FineTuning":
        assert scores[-1] == pytest.approx(expected[0], rel=1e-8)
    options = {"validation_episodes": 2, "validate_every": 1, "keep_best": True, **TRAINING}
    history = mt.meta_train(learner, Fixed(), 2, validation=Fixed(), **options)
    assert history.metric == "accuracy" and len(history.validation) == 2
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())


# ------------------------------------------------------------------ one task


def written(norm):
    """A batch norm in eval mode whose statistics are those of some examples."""
    for _ in range(3):
        norm(torch.randn(20, 5, dtype=torch.float64) + 1)
    return norm.eval()


LAYERS = {
    "batch statistics": lambda: nn.BatchNorm1d(5),
    "written statistics": lambda: written(nn.BatchNorm1d(5).double()),
    "no statistics": lambda: nn.BatchNorm1d(5, track_running_stats=False).eval(),
    "dropout": lambda: nn.Dropout(0.5),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(5, 5)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(5, 5)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(5, 5)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_evaluate_predict_and_the_adapted_module_are_of_one_mind(layer):
    model = chain(lambda: nn.Linear(6, 5), LAYERS[layer], nn.Tanh, lambda: nn.Linear(5, 3))
    learner = mt.MAML(model, F.cross_entropy, 0.3, 2)
    mt.meta_train(learner, Fixed(), 2, **TRAINING)
    modes = [m.training for m in model.modules()]
    support_x, support_y, query_x, query_y = (a[0] for a in BATCH.arrays)
    output = learner.predict(learner.adapt(support_x, support_y), query_x)
    torch.testing.assert_close(learner.adapted(support_x, support_y)(query_x), output)
    scores = mt.evaluate(learner, Fixed(), 2, metric="loss").values[0]
    assert scores[-1] == pytest.approx(float(F.cross_entropy(output, query_y)), rel=1e-9)
    with pytest.raises(ZeroDivisionError):
        mt.evaluate(learner, Fixed(), 2, metric=lambda output, y: 1 / 0)
    assert modes == [m.training for m in model.modules()]


# ------------------------------------------------------------------ tasks


def test_batches_of_other_sizes_from_call_to_call_train_like_a_loop_by_hand():
    sizes = [(4, 9), (5, 6), (4, 9), (6, 3)]
    batches = [three_classes(k, n, seed=10 * k + n) for k, n in sizes]

    left = iter(batches)

    class Family:
        def sample(self, rng, tasks=2):
            return next(left)

    model, twin = perceptron(), perceptron()
    learner = mt.MAML(model, F.cross_entropy, 0.1, 2)
    history = mt.meta_train(learner, Family(), 4, optimiser="sgd", meta_lr=0.1, **TRAINING)
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.1)
    for batch, loss in zip(batches, history.loss, strict=True):
        value, slopes = textbook(twin, batch, descent(0.1, 2))
        assert loss == pytest.approx(value, rel=1e-9)
        for name, parameter in twin.named_parameters():
            parameter.grad = slopes[name]
        optimiser.step()
    torch.testing.assert_close(dict(model.named_parameters()), dict(twin.named_parameters()))


MASKED = {name: LEARNERS[name] for name in ("MAML", "MetaSGD", "Reptile", "IMAML", "ProtoNet")}


@pytest.mark.parametrize("name", MASKED)
def test_padding_of_nan_changes_no_learner_s_gradient(name):
    support_x, support_y, query_x, query_y = BATCH.arrays
    mask, x = torch.ones(2, 6, dtype=torch.bool), support_x.clone()
    mask[0, 2], x[0, 2] = False, torch.nan
    learner = MASKED[name](perceptron())
    value, slopes = learner.meta_gradient(TaskBatch(x, support_y, query_x, query_y, mask))
    real = [0, 1, 3, 4, 5]
    alone = TaskBatch(support_x[:1, real], support_y[:1, real], query_x[:1], query_y[:1])
    parts = [learner.meta_gradient(b) for b in (alone, BATCH.part(1, 2))]
    mean = {n: (parts[0][1][n] + parts[1][1][n]) / 2 for n in slopes}
    agrees((value, slopes), (float(parts[0][0] + parts[1][0]) / 2, mean))
    mt.evaluate(learner, Fixed(TaskBatch(x, support_y, query_x, query_y, mask)), 2)


@pytest.mark.parametrize("on_device", [False, True])
def test_episodes_of_unequal_colour_classes_are_what_they_say(on_device):
    sizes = [5, 9, 12, 7]
    bank = [np.zeros((n, 8, 8, 3), np.uint8) for n in sizes]
    for number, images in enumerate(bank):  # each image is filled with a number of its own
        images += (20 * number + np.arange(len(images), dtype=np.uint8))[:, None, None, None]
    family = FewShotImages(bank, 3, 2, 3)
    batch = family.sample(np.random.default_rng(0), tasks=60)
    if on_device:
        batch = TaskBatch(*sampler_for(family)(Stream(0), tasks=60))
    seen = set()
    for support_x, support_y, query_x, query_y in batch:
        parts = [(support_x, support_y), (query_x, query_y)]
        pairs = [
            [(round(255 * float(x[0, 0, 0])), int(y)) for x, y in zip(*p, strict=True)]
            for p in parts
        ]
        support, query = (dict(p) for p in pairs)
        assert len(support) == 6 and len(query) == 9 and not set(support) & set(query)
        classes = {(number // 20, y) for number, y in (support | query).items()}
        assert len(classes) == 3 and {y for _, y in classes} == {0, 1, 2}
        seen |= set(support | query)
    assert seen == {20 * k + i for k, n in enumerate(sizes) for i in range(n)}


def test_each_sample_sees_the_model_of_its_iteration():
    model, seen, events = perceptron(nn.ReLU), [], []

    class Miner:
        def sample(self, rng, tasks=2):
            events.append("sample")
            seen.append(float(model[0].weight.detach().sum()))
            return BATCH

    note = [lambda iteration, history, learner: events.append(iteration)]
    learner = mt.MAML(model, F.cross_entropy, 0.1)
    mt.meta_train(learner, Miner(), 5, callbacks=note, **TRAINING)
    assert len(set(seen)) == 5
    assert events == [what for n in range(1, 6) for what in ("sample", n)]


def test_the_best_by_a_metric_of_ones_own_is_what_the_learner_keeps():
    model, states, scores = perceptron(), {}, iter([3.0, 1.0, 2.0])
    now = {"score": 0.0}

    class Validation(Fixed):
        def sample(self, rng, tasks=2):
            now["score"] = next(scores)
            return BATCH

    def callback(iteration, history, learner):
        states[iteration] = model[0].weight.detach().clone()

    learner = mt.MAML(model, F.cross_entropy, 0.1)
    options = {"validation": Validation(), "validate_every": 2, "validation_episodes": 2}
    metric = lambda output, y: now["score"]
    options |= {"metric": metric, "keep_best": "min", "callbacks": [callback]}
    history = mt.meta_train(learner, Fixed(), 6, **options, **TRAINING)
    assert [mean for _, mean, _ in history.validation] == [3.0, 1.0, 2.0]
    torch.testing.assert_close(model[0].weight, states[4], rtol=0, atol=0)


# ------------------------------------------------------------------ where torch is set otherwise


def test_parameters_keep_their_precision_where_torch_s_default_is_another():
    torch.set_default_dtype(torch.float64)
    try:
        for options in ({}, {"inner_optimiser": "adam", "inner_clip": 0.1}):
            learner = mt.MAML(perceptron().float(), F.cross_entropy, 0.1, 2, **options)
            slopes = learner.meta_gradient(BATCH)[1]
            assert {g.dtype for g in slopes.values()} == {torch.float32}
        learner = mt.MetaSGD(perceptron().float(), F.cross_entropy, 0.1)
        mt.meta_train(learner, Fixed(), 2, **TRAINING)
        assert {p.dtype for p in learner.meta_params.values()} == {torch.float32}
        assert mt.evaluate(learner, Fixed(), 2).metric == "accuracy"
    finally:
        torch.set_default_dtype(torch.float32)
