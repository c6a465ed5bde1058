"""The convolutional kernels give the numbers of the plain way, and say of what they know that they know it."""

import importlib.util
import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import (
    LOSSES,
    RATES,
    convolutional,
    disagreement,
    random_rates,
    random_tasks,
    unambiguous,
    used_engine,
    with_new_parameters,
)
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch import evaluation, maml
from maml_edu.pytorch.networks import SpatialMean
from maml_edu.tasks import TaskBatch

conv = pytest.importorskip("maml_edu.pytorch.fast.conv", exc_type=ImportError)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason='numba is not installed: "maml_edu[fast]"'
)


def block(rng, channels, filters, size):
    """(layers, side of the image that is left): a block of a random kind for images of a side."""
    kernel, stride, padding = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(3))
    kernel = min(kernel, size + 2 * padding)
    left = (size + 2 * padding - kernel) // stride + 1
    layers = [nn.Conv2d(channels, filters, kernel, stride, padding, bias=bool(rng.integers(2)))]
    if rng.integers(4):
        layers.append(mt.BatchNorm(filters, eps=1e-3, affine=bool(rng.integers(4))))
    layers.append(nn.ReLU())
    pool = int(rng.integers(1, 4))
    if pool > 1 and left >= pool:
        layers.append(nn.MaxPool2d(pool))
        left //= pool
    return layers, left


def network(rng, channels, size, outputs):
    """Up to three blocks, the mean or all of what is left, and a linear layer."""
    layers = []
    for _ in range(rng.integers(1, 4)):
        filters = int(rng.integers(1, 20))
        own, size = block(rng, channels, filters, size)
        layers, channels = [*layers, *own], filters
    mean = bool(rng.integers(2))
    last = nn.Linear(filters * (1 if mean else size**2), outputs, bias=bool(rng.integers(2)))
    vector = SpatialMean() if mean else nn.Flatten()
    return nn.Sequential(nn.Sequential(*layers, vector), last)


def drawn(seed, **options):
    """(learner, batch): a network and all that belongs to it, drawn from a seed."""
    rng = np.random.default_rng(seed)
    loss = list(LOSSES)[rng.integers(2)]
    channels, size, outputs = int(rng.integers(1, 4)), int(rng.integers(6, 14)), 3
    model = with_new_parameters(network(rng, channels, size, outputs), rng, scale=1)
    steps = int(rng.integers(4))
    params = dict(model.named_parameters())
    forms = [f for f in RATES if unambiguous(f, params.values(), steps)]
    rates = random_rates(rng, forms[rng.integers(len(forms))], params, steps)
    sizes = {"tasks": int(rng.integers(1, 4)), "shots": int(rng.integers(1, 6))}
    batch = random_tasks(rng, (channels, size, size), outputs, loss, **sizes)
    options = {"first_order": bool(rng.integers(2)), **options}
    return mt.MAML(model, LOSSES[loss], rates, steps, **options), batch


def images(seed=0, model=None, size=6, loss="cross-entropy", **options):
    """(learner, batch): a convolutional network of fixed shape, for what is changed one thing at a time."""
    rng = np.random.default_rng(seed)
    model = with_new_parameters(model or convolutional(), rng)
    batch = random_tasks(rng, (2, size, size), 3, loss)
    return mt.MAML(model, LOSSES[loss], **{"inner_lr": 0.1, "inner_steps": 2, **options}), batch


# ------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize("seed", range(30))
def test_a_random_network_has_the_plain_meta_gradient(seed):
    learner, batch = drawn(seed)
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("seed", range(200, 212))
def test_a_random_network_gives_the_plain_outputs_for_queries_together_and_one_at_a_time(
    seed, alone
):
    learner, batch = drawn(seed)
    tensors = maml.tensors_of(TaskBatch.of(batch), learner.params)
    network, _ = conv.network_of(learner, tensors)
    loop = learner.loop().checked(learner.params)
    found = conv.outputs(network, learner.detached(), tensors, loop, alone)
    for (sx, sy, qx, _), outputs in zip(zip(*tensors, strict=True), found, strict=True):
        for one in range(len(qx)) if alone else [slice(None)]:
            asked, beside = (qx[one][None], sx) if alone else (qx, None)
            right = learner.predictions(sx, sy, asked, loop.inner_steps, beside)
            ours = [output[one][None] if alone else output for output in outputs]
            torch.testing.assert_close(ours, right, rtol=1e-8, atol=1e-8)


class Noise:
    """Tasks of noise in the shape of `images`; labels count up to `classes`."""

    def __init__(self, classes=3, ignored=False):
        self.classes, self.ignored = classes, ignored

    def sample(self, rng, tasks):
        batch = random_tasks(rng, (2, 6, 6), self.classes, "cross-entropy", tasks)
        if self.ignored:
            batch.support_y[:, 0] = batch.query_y[:, 0] = -100
        return TaskBatch(batch.support_x, batch.support_y, batch.query_x, batch.query_y)


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("options", [{}, {"adapting": "8"}, {"inner_clip": 0.1}])
def test_an_evaluation_by_these_kernels_has_the_plain_scores(
    options, together, ignored, monkeypatch
):
    learner, _ = images(**options)
    calls, outputs = [], conv.outputs
    monkeypatch.setattr(conv, "outputs", lambda *a: calls.append(1) or outputs(*a))
    found = mt.evaluate(learner, Noise(ignored=ignored), 8, transductive=together).values
    assert bool(calls) == ("inner_clip" not in options and not ignored)
    monkeypatch.setattr(evaluation._Scoring, "_network", lambda *a: None)
    plain = mt.MAML(learner.model, learner.loss_function, 0.1, 2, **options)
    right = mt.evaluate(plain, Noise(ignored=ignored), 8, transductive=together).values
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("seed", range(100, 110))
def test_learned_rates_of_a_random_network(seed):
    learner, batch = drawn(seed, learn_inner_lr=True)
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("pool", ["stride", "max"])
@pytest.mark.parametrize("filters", [5, 16, 40, 64])
def test_conv4_with_filters_that_fill_registers_and_that_do_not(filters, pool, flatten):
    rng = np.random.default_rng(filters)
    model = mt.Conv4(3, filters=filters, size=19, pool=pool, flatten=flatten)
    batch = random_tasks(rng, (1, 19, 19), 3, "cross-entropy", tasks=1, shots=3, queries=4)
    learner = mt.MAML(with_new_parameters(model, rng, scale=1), F.cross_entropy, 0.1, 1)
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 5, 6, 12])
def test_more_inner_steps_than_have_their_passes_kept(steps, first_order):
    for learned in (False, True):
        options = {"first_order": first_order, "learn_inner_lr": learned}
        learner, batch = images(inner_steps=steps, **options)
        assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {"adapting": "8."},
        {"adapting": ["0.", "1.weight", "4.bias"]},
        {"adapting": "0.", "learn_inner_lr": True, "inner_lr": {"0.weight": 0.1, "0.bias": 0.2}},
        {"query_weights": [0.2, 0, 0.8]},
        {"query_weights": [0.5, 0.5, 0], "first_order": True},
        {"query_weights": [-1, 0.1, 2], "learn_inner_lr": True},
    ],
    ids=str,
)
def test_all_that_a_learner_may_be_told(options):
    learner, batch = images(**options)
    assert disagreement(learner, batch, "conv") < 1e-9


def test_another_inner_loss():
    learner, batch = images(loss="mse", inner_loss=F.cross_entropy)
    batch.support_y = np.random.default_rng(1).integers(3, size=batch.support_y.shape[:2])
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("vector", [nn.Flatten(), SpatialMean()], ids=["all", "mean"])
@pytest.mark.parametrize("size", [7, 8, 11])
def test_places_that_pooling_leaves_out_have_no_slope(size, vector):
    """Windows of 3 in images of 7, 8 and 11 leave some rows over."""
    left = 3 * (1 if isinstance(vector, SpatialMean) else (size // 3) ** 2)
    conv = nn.Conv2d(2, 3, 3, padding=1)
    layers = [conv, mt.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(3), vector, nn.Linear(left, 3)]
    learner, batch = images(model=nn.Sequential(*layers), size=size)
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("steps", [0, 1])
def test_of_equal_values_in_a_window_the_first_is_passed_on(steps):
    """A filter that counts bright pixels: equal counts of different pixels, between which slopes differ."""
    layers = [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3)]
    learner, batch = images(model=nn.Sequential(*layers), size=7, inner_steps=steps)
    for name in ("support_x", "query_x"):
        setattr(batch, name, (getattr(batch, name) > 0).astype(float))
    with torch.no_grad():
        learner.model[0].weight.fill_(0.25)
    assert disagreement(learner, batch, "conv") < 1e-9


def test_a_batch_norm_without_epsilon():
    layers = [
        nn.Conv2d(2, 3, 3),
        mt.BatchNorm(3, eps=0.0),
        nn.ReLU(),
        nn.Conv2d(3, 4, 2),
        nn.ReLU(),
    ]
    learner, batch = images(model=nn.Sequential(*layers, SpatialMean(), nn.Linear(4, 3)))
    assert disagreement(learner, batch, "conv") < 1e-9


def test_kernels_strides_and_padding_that_differ_in_height_and_width():
    first = nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(0, 1))
    second = nn.Conv2d(4, 3, (2, 1), stride=(2, 1), bias=False)
    layers = [first, mt.BatchNorm(4), nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(30, 3)]
    learner, batch = images(model=nn.Sequential(*layers))
    for name in ("support_x", "query_x"):  # images of 6 × 8
        x = getattr(batch, name)
        setattr(batch, name, np.concatenate([x, x[..., :2] ** 2], axis=-1))
    assert disagreement(learner, batch, "conv") < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_single_precision_agrees_to_its_own_rounding(seed):
    learner, batch = images(seed)
    learner.model.float()
    assert disagreement(learner, batch, "conv") < 1e-4


@pytest.mark.parametrize("first", ["0.weight", "1.weight", "4.bias", "8.weight"])
def test_the_meta_gradient_is_the_slope_of_the_meta_loss(first):
    """Central differences along a random direction of one parameter."""
    learner, batch = images(engine="conv", inner_steps=3)
    _, grads = learner.meta_gradient(batch)
    parameter, losses = learner.params[first], []
    direction = torch.from_numpy(np.random.default_rng(2).normal(size=tuple(parameter.shape)))
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * 1e-5 * direction)
        losses.append(float(learner.meta_loss(batch)))
        with torch.no_grad():
            parameter.sub_(sign * 1e-5 * direction)
    slope = float((grads[first] * direction).sum())
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6)


# ------------------------------------------------------------------ how it behaves


def test_batches_of_changing_shape_and_parameters_that_are_trained():
    learner, _ = images()
    rng = np.random.default_rng(3)
    for tasks, shots, queries in ((3, 4, 6), (1, 1, 1), (17, 2, 3), (40, 3, 2), (3, 4, 6)):
        batch = random_tasks(rng, (2, 6, 6), 3, "cross-entropy", tasks, shots, queries)
        assert disagreement(learner, batch, "conv") < 1e-9
        with torch.no_grad():
            for own in learner.params.values():
                own.mul_(0.95)


def test_the_result_does_not_depend_on_the_number_of_threads_and_is_not_overwritten():
    learner, _ = images(engine="conv", learn_inner_lr=True)
    batch = random_tasks(np.random.default_rng(0), (2, 6, 6), 3, "cross-entropy", tasks=21)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3, 5):
            torch.set_num_threads(count)
            found.append(learner.meta_gradient(batch))
    finally:
        torch.set_num_threads(before)
    for value, grads in found[1:]:
        assert torch.equal(value, found[0][0])
        assert all(torch.equal(grads[name], own) for name, own in found[0][1].items())


@pytest.mark.parametrize("name", ["0.weight", "4.bias", "8.weight"])
def test_nan_is_passed_on(name):
    learner, batch = images(engine="conv")
    with torch.no_grad():
        learner.params[name].view(-1)[0] = float("nan")
    value, grads = learner.meta_gradient(batch)
    assert value.isnan()
    assert all(grads[own].isnan().any() for own in ("0.weight", "3.weight", "8.weight"))


def test_nan_at_one_place_of_a_window_is_passed_on():
    """One pixel overflows in both channels, and their difference is NaN; the other three are finite."""
    layers = [nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3))
    learner, batch = images(model=model, size=4, inner_steps=0, engine="conv")
    with torch.no_grad():
        model[0].weight.copy_(1e308 * torch.eye(2).double()[..., None, None])
        model[2].weight.copy_(torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))
    batch.query_x[:] = 0
    assert learner.meta_gradient(batch)[0].isfinite()
    batch.query_x[0, 0, :, 1, 1] = 10
    assert learner.meta_gradient(batch)[0].isnan()


def test_fifty_inner_steps_take_no_more_activations_than_five():
    model = mt.Conv4(3, filters=16, size=16)
    batch = random_tasks(np.random.default_rng(0), (1, 16, 16), 3, "cross-entropy", 2, 6, 6)
    theta = sum(p.numel() * p.element_size() for p in model.parameters())
    peaks = {}
    for steps in (1, 5, 50):
        learner = mt.MAML(model, F.cross_entropy, 0.01, steps, engine="conv")
        tracemalloc.start()
        learner.meta_gradient(batch)
        threads = min(2, torch.get_num_threads())
        peaks[steps] = tracemalloc.get_traced_memory()[1] - 1.2 * threads * (steps + 1) * theta
        tracemalloc.stop()
    assert 0 < peaks[50] <= 1.5 * peaks[5], peaks


# ------------------------------------------------------------------ what it applies to


def test_it_is_chosen_for_conv4_and_its_like():
    learner, batch = images()
    assert used_engine(learner, batch) == "conv"
    model = mt.Conv4(3, channels=2, filters=2, size=16)
    learner = mt.MAML(model, F.cross_entropy)
    batch = random_tasks(np.random.default_rng(0), (2, 16, 16), 3, "cross-entropy")
    assert used_engine(learner, batch) == "conv"


def test_without_numba_it_is_not_chosen_and_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    spec = lambda name, *rest: None if name == "numba" else find(name, *rest)
    monkeypatch.setattr(importlib.util, "find_spec", spec)
    learner, batch = images()
    assert used_engine(learner, batch) == "threads"
    learner.engine = "conv"
    with pytest.raises(ValueError, match="conv: numba is not installed: pip install"):
        learner.meta_gradient(batch)


def changed(at, layer):
    """`convolutional` with another layer in the place of one."""
    model = convolutional()
    model[at] = layer
    return model


SHARED = nn.Conv2d(3, 3, 3, padding=1)
OTHERS = {
    "another activation": changed(2, nn.ELU()),
    "groups": changed(3, nn.Conv2d(3, 3, 3, padding=1, groups=3)),
    "dilation": changed(3, nn.Conv2d(3, 3, 3, padding=2, dilation=2)),
    "padding that mirrors": changed(3, nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")),
    "padding by a word": changed(3, nn.Conv2d(3, 3, 3, padding="same")),
    "average pooling": changed(6, nn.AvgPool2d(2)),
    "windows that overlap": changed(6, nn.MaxPool2d(2, stride=1)),
    "group norm": changed(1, nn.GroupNorm(1, 3)),
    "no flatten": nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)),
    "one convolution twice": nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), SHARED, nn.ReLU(), SHARED, nn.ReLU(),
        SpatialMean(), nn.Linear(3, 3),
    ),
    "a batch norm twice": nn.Sequential(
        nn.Conv2d(2, 3, 3), norm := mt.BatchNorm(3), nn.ReLU(), nn.Conv2d(3, 3, 3), norm, nn.ReLU(),
        SpatialMean(), nn.Linear(3, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_what_it_does_not_know_goes_another_way(kind):
    size = 6 if kind != "windows that overlap" else 4
    learner, batch = images(model=OTHERS[kind], size=size, engine=("conv", "lean"))
    assert used_engine(learner, batch) == "lean"
    learner.engine = "conv"
    with pytest.raises(ValueError, match="conv: it needs convolution, BatchNorm, ReLU"):
        learner.meta_gradient(batch)


def test_frozen_parameters_hooks_and_other_losses_go_another_way():
    learner, batch = images(engine=("conv", "lean"))
    learner.model[0].weight.requires_grad_(False)
    assert used_engine(learner, batch) == "lean"
    learner.model[0].weight.requires_grad_(True)
    assert used_engine(learner, batch) == "conv"
    handle = learner.model[2].register_forward_hook(lambda module, inputs, out: 2 * out)
    assert used_engine(learner, batch) == "lean"
    handle.remove()
    own = mt.MAML(learner.model, lambda out, y: F.cross_entropy(out, y), engine=("conv", "lean"))
    assert used_engine(own, batch) == "lean"


def test_batch_norms_of_maml_plus_plus_go_another_way_and_those_it_shares_do_not():
    _, batch = images()
    learner = mt.MAMLpp(convolutional().double(), inner_steps=2, engine="conv")
    with pytest.raises(ValueError, match=r"conv: it needs mse_loss|conv: its batch norms"):
        learner.meta_gradient(batch)
    model = with_new_parameters(convolutional(), np.random.default_rng(0))
    learner = mt.MAMLpp(model, inner_steps=2, per_step_norm=False)
    assert disagreement(learner, batch, "conv") < 1e-9


def test_settings_that_are_changed_in_place_are_noticed():
    learner, batch = images()
    assert disagreement(learner, batch, "conv") < 1e-9
    learner.model[1].eps = 0.1
    assert disagreement(learner, batch, "conv") < 1e-9
    learner.model[6].ceil_mode = True
    learner.engine = "auto"
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        used_engine(learner, batch)  # which is so: there is more left of the image now
    learner.model[6].ceil_mode = False
    learner.model[3].stride = (2, 2)
    learner.model[6] = nn.MaxPool2d(1)
    learner.model[8] = nn.Linear(12, 3).double()
    assert disagreement(learner, batch, "conv") < 1e-9


def test_images_that_conv4_refuses_are_refused():
    model = mt.Conv4(3, channels=2, filters=2, size=16)
    batch = random_tasks(np.random.default_rng(0), (2, 17, 17), 3, "cross-entropy")
    with pytest.raises(ValueError, match=r"Conv4 needs x of shape \(examples, 2, 16, 16\)"):
        mt.MAML(model, F.cross_entropy).meta_gradient(batch)


@pytest.mark.parametrize("role", ["support_y", "query_y"])
def test_labels_out_of_range_are_left_to_torch(role):
    learner, batch = images()
    learner.meta_gradient(batch)
    getattr(batch, role)[1, 2] = -100  # ignored
    assert used_engine(learner, batch) == "threads"
    learner.meta_gradient(batch)
    getattr(batch, role)[1, 2] = 3
    with pytest.raises((IndexError, RuntimeError), match="out of bounds|Target"):
        learner.meta_gradient(batch)


def test_bfloat16_goes_another_way():
    learner, batch = images()
    learner.model.float()
    learner = mt.MAML(learner.model, F.cross_entropy, precision="bf16", engine=("conv", "threads"))
    assert used_engine(learner, batch) == "threads"
