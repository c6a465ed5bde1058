"""Which engine is chosen, when the choice is made anew, and what is refused in which words."""

import copy
import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import (
    convolutional,
    disagreement,
    perceptron,
    random_tasks,
    relative,
    used_engine,
    with_new_parameters,
)
from torch import nn

import maml_edu.pytorch as mt

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason='numba is not installed: "maml_edu[fast]"'
)
rng_of = np.random.default_rng


def learner_of(model, loss=F.mse_loss, **options):
    options = {"inner_lr": 0.1, "inner_steps": 2, **options}
    return mt.MAML(with_new_parameters(model, rng_of(0)), loss, **options)


def perceptron_of(*middle, **options):
    """A learner of Linear(2, 5), `middle`, Linear(5, 3), and a regression batch."""
    model = nn.Sequential(nn.Linear(2, 5), *middle, nn.Linear(5, 3))
    return learner_of(model, **options), random_tasks(rng_of(1), (2,), 3)


def classifier(**options):
    model = perceptron(rng_of(0), (2, 5, 3), bias=True)
    return learner_of(model, F.cross_entropy, **options), random_tasks(
        rng_of(1), (2,), 3, "cross-entropy"
    )


def agrees_with_plain(learner, batch, tolerance=1e-9):
    """Whether the engine as chosen gives what the plain way gives, both asked now."""
    value, grads = learner.meta_gradient(batch)
    engine, learner.engine = learner.engine, "plain"
    plain_value, plain = learner.meta_gradient(batch)
    learner.engine = engine
    assert list(grads) == list(plain)
    found, expected = [value, *grads.values()], [plain_value, *plain.values()]
    return relative(found, expected) < tolerance


def without_numba(monkeypatch):
    find = importlib.util.find_spec
    spec = lambda name, *rest: None if name == "numba" else find(name, *rest)
    monkeypatch.setattr(importlib.util, "find_spec", spec)


# ------------------------------------------------------------------ what "auto" chooses


@needs_numba
@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_a_perceptron_runs_in_native_code(loss):
    learner, batch = perceptron_of(nn.ReLU()) if loss == "mse" else classifier()
    assert used_engine(learner, batch) == "native"
    assert agrees_with_plain(learner, batch)


def test_without_numba_a_perceptron_runs_in_closed_form(monkeypatch):
    without_numba(monkeypatch)
    learner, batch = perceptron_of(nn.ReLU())
    assert used_engine(learner, batch) == "closed"
    assert agrees_with_plain(learner, batch)


@needs_numba
def test_convolutions_as_conv4_has_them_run_in_native_code():
    learner = learner_of(convolutional(), F.cross_entropy)
    batch = random_tasks(rng_of(0), (2, 6, 6), 3, "cross-entropy")
    assert used_engine(learner, batch) == "conv"
    assert agrees_with_plain(learner, batch)


def test_other_convolutions_run_one_task_per_thread():
    learner = learner_of(nn.Sequential(convolutional(), nn.Tanh()), F.cross_entropy)
    batch = random_tasks(rng_of(0), (2, 6, 6), 3, "cross-entropy")
    assert used_engine(learner, batch) == "threads"
    assert agrees_with_plain(learner, batch)


@pytest.mark.parametrize("middle", [nn.Tanh, nn.GELU, nn.Identity, nn.Dropout])
def test_layers_that_have_no_closed_form_run_lean(middle):
    learner, batch = perceptron_of(middle())
    learner.model.eval()  # dropout is then nothing at all
    assert used_engine(learner, batch) == "lean"
    assert agrees_with_plain(learner, batch)


def test_a_large_network_without_a_closed_form_runs_one_task_per_thread():
    model = nn.Sequential(nn.Linear(2, 400), nn.Tanh(), nn.Linear(400, 400), nn.Linear(400, 1))
    learner, batch = learner_of(model), random_tasks(rng_of(0), (2,), 1)
    assert used_engine(learner, batch) == "threads"
    assert agrees_with_plain(learner, batch)


@pytest.mark.parametrize("loss", [F.l1_loss, lambda out, y: F.mse_loss(out, y)], ids=["l1", "own"])
def test_a_loss_that_has_no_closed_form_runs_lean(loss):
    learner, batch = perceptron_of(nn.ReLU(), loss=loss)
    assert used_engine(learner, batch) == "lean"
    assert agrees_with_plain(learner, batch)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]).double()),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.MSELoss(reduction="sum"),
    ],
    ids=str,
)
def test_a_loss_module_that_is_not_in_its_plain_form_is_not_taken_for_it(loss):
    learner, batch = classifier()
    learner = mt.MAML(learner.model, loss, inner_lr=0.02, inner_steps=2)
    if isinstance(loss, nn.MSELoss):
        batch = random_tasks(rng_of(1), (2,), 3)
    assert used_engine(learner, batch) == "lean"
    assert agrees_with_plain(learner, batch)


def test_a_model_that_draws_random_numbers_runs_the_plain_way():
    learner, batch = perceptron_of(nn.ReLU(), nn.Dropout(0.5))
    assert used_engine(learner, batch) == "plain"
    found = {}
    for engine in ("auto", "plain"):
        learner.engine = engine
        learner.meta_gradient(batch)  # the choice itself may draw numbers; it is made once
        torch.manual_seed(3)
        found[engine] = learner.meta_gradient(batch)[1]
    assert relative(list(found["auto"].values()), list(found["plain"].values())) == 0


def test_a_convolutional_model_that_draws_random_numbers_runs_the_plain_way():
    learner = learner_of(nn.Sequential(convolutional(), nn.Dropout(0.2)), F.cross_entropy)
    batch = random_tasks(rng_of(0), (2, 6, 6), 3, "cross-entropy")
    assert used_engine(learner, batch) == "plain"
    learner.model.eval()
    assert used_engine(learner, batch) == "threads"


@pytest.mark.parametrize("model", ["perceptron", "convolutional"])
def test_an_inner_loss_that_always_draws_random_numbers_is_looked_at_once(model):
    noisy = lambda out, y: F.cross_entropy(F.dropout(out, 0.5), y)
    inputs = {"perceptron": (2,), "convolutional": (2, 6, 6)}[model]
    network = (
        perceptron(rng_of(0), (2, 5, 3), bias=True) if model == "perceptron" else convolutional()
    )
    learner = learner_of(network, F.cross_entropy, inner_loss=noisy)
    assert used_engine(learner, random_tasks(rng_of(0), inputs, 3, "cross-entropy")) == "textbook"


def test_several_names_are_tried_in_their_order():
    learner, batch = perceptron_of(nn.Tanh(), engine=("closed", "threads", "lean"))
    assert used_engine(learner, batch) == "threads"
    learner.engine = ("closed", "auto")
    assert used_engine(learner, batch) == "lean"


# ------------------------------------------------------------------ the choice is made anew


def test_another_activation_in_place_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    assert agrees_with_plain(learner, batch)
    learner.model[1] = nn.Tanh()
    assert used_engine(learner, batch) == "lean"
    assert agrees_with_plain(learner, batch)


def test_another_activation_is_noticed_where_the_old_one_was_freed_before():
    """Python may give the new module the address, and so the id, of the old one."""
    learner, batch = perceptron_of(nn.ReLU())
    learner.meta_gradient(batch)
    for _ in range(20):
        learner.model[1] = None
        learner.model[1] = nn.Tanh()
        assert used_engine(learner, batch) == "lean"
        learner.model[1] = None
        learner.model[1] = nn.ReLU()
        assert used_engine(learner, batch) in ("native", "closed")


def test_wider_layers_in_place_are_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    learner.meta_gradient(batch)
    learner.model[0], learner.model[2] = nn.Linear(2, 9).double(), nn.Linear(9, 3).double()
    assert agrees_with_plain(learner, batch)


def test_layers_of_the_same_shape_in_place_are_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    before = learner.meta_gradient(batch)[0]
    learner.model[0] = nn.Linear(2, 5).double()
    assert agrees_with_plain(learner, batch)
    assert float(learner.meta_gradient(batch)[0]) != float(before)


def test_a_parameter_that_is_frozen_and_unfrozen_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    for frozen in (True, False, True):
        learner.model[0].weight.requires_grad_(not frozen)
        assert agrees_with_plain(learner, batch)
        assert ("0.weight" in learner.meta_gradient(batch)[1]) is not frozen


def test_another_frozen_parameter_in_the_place_of_one_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    learner.model[0].weight.requires_grad_(False)
    assert agrees_with_plain(learner, batch)
    other = nn.Parameter(torch.ones(5, 2).double(), requires_grad=False)
    learner.model[0].weight = other
    assert agrees_with_plain(learner, batch)


def test_a_layer_without_its_bias_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    learner.meta_gradient(batch)
    learner.model[0].bias = None
    assert agrees_with_plain(learner, batch)


def test_a_frozen_bias_that_is_taken_away_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    learner.model[0].bias.requires_grad_(False)
    assert agrees_with_plain(learner, batch)
    learner.model[0].bias = None
    assert agrees_with_plain(learner, batch)


def test_a_forward_hook_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    learner.meta_gradient(batch)
    handle = learner.model[1].register_forward_hook(lambda module, inputs, out: 2 * out)
    assert agrees_with_plain(learner, batch)
    handle.remove()
    assert agrees_with_plain(learner, batch)


def test_dropout_that_is_switched_on_and_off_is_noticed():
    learner, batch = perceptron_of(nn.ReLU(), nn.Dropout(0.5))
    assert used_engine(learner, batch) == "plain"
    learner.model.eval()
    assert used_engine(learner, batch) == "lean"
    learner.model.train()
    assert used_engine(learner, batch) == "plain"


def test_another_precision_is_noticed():
    learner, batch = perceptron_of(nn.ReLU())
    assert agrees_with_plain(learner, batch)
    learner.model.float()
    assert agrees_with_plain(learner, batch, 1e-5)
    assert {g.dtype for g in learner.meta_gradient(batch)[1].values()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_runs_some_way(dtype):
    learner, batch = perceptron_of(nn.ReLU())
    learner.model.to(dtype)
    assert agrees_with_plain(learner, batch, 0.05)
    assert {g.dtype for g in learner.meta_gradient(batch)[1].values()} == {dtype}


# ------------------------------------------------------------------ networks that only look like it


class WithScale(nn.Sequential):
    """A Sequential with a parameter that its forward pass does not use."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.scale = nn.Parameter(torch.ones(2))


def test_a_sequential_with_a_parameter_of_its_own():
    layers = perceptron(rng_of(0), (2, 5, 3), bias=True)
    learner, batch = learner_of(WithScale(*layers)), random_tasks(rng_of(1), (2,), 3)
    assert agrees_with_plain(learner, batch)


def test_layers_that_share_a_weight():
    model = perceptron(rng_of(0), (3, 3, 3), bias=True)
    model[2].weight = model[0].weight
    assert agrees_with_plain(learner_of(model), random_tasks(rng_of(1), (3,), 3))


def test_layers_that_share_a_bias():
    model = perceptron(rng_of(0), (3, 3, 3), bias=True)
    model[2].bias = model[0].bias
    assert agrees_with_plain(learner_of(model), random_tasks(rng_of(1), (3,), 3))


def test_the_same_layer_twice():
    layer = nn.Linear(3, 3)
    learner = learner_of(nn.Sequential(layer, nn.ReLU(), layer))
    assert agrees_with_plain(learner, random_tasks(rng_of(1), (3,), 3))


def test_parametrised_layers():
    model = perceptron(rng_of(0), (2, 5, 3), bias=True)
    nn.utils.parametrizations.weight_norm(model[0])
    learner, batch = learner_of(model), random_tasks(rng_of(1), (2,), 3)
    assert agrees_with_plain(learner, batch)


# ------------------------------------------------------------------ data that are not as expected


@pytest.mark.parametrize("shape", [(3,), (3, 1)], ids=["a value", "a column"])
def test_targets_that_broadcast_do_so_on_every_way(shape):
    """(examples,) against predictions (examples, 1) is a learner's mistake, but torch's answer is known."""
    learner, batch = perceptron_of(nn.ReLU())
    model = perceptron(rng_of(0), (2, 5, 1 if shape == (3,) else 3), bias=True)
    learner = learner_of(model)
    batch.support_y, batch.query_y = (
        rng_of(4).normal(size=own.shape[:2] + shape[1:]) for own in (batch.support_y, batch.query_y)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert agrees_with_plain(learner, batch)


def test_examples_with_an_axis_too_many_broadcast_on_every_way():
    learner, batch = perceptron_of(nn.ReLU())
    batch.support_x, batch.query_x = batch.support_x[:, :, None], batch.query_x[:, :, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert agrees_with_plain(learner, batch)


def test_examples_of_a_shape_that_does_not_fit_are_refused_on_every_way():
    """Linear(4) takes no images of 2 × 2 without a Flatten in front."""
    learner = learner_of(perceptron(rng_of(0), (4, 5, 3), bias=True))
    batch = random_tasks(rng_of(1), (2, 2), 3)
    for engine in ("plain", "auto"):
        learner.engine = engine
        with pytest.raises(RuntimeError, match="shape"):
            learner.meta_gradient(batch)


def outcome(learner, batch, engine):
    """The gradients, or the kind of error."""
    learner.engine = engine
    try:
        return list(learner.meta_gradient(batch)[1].values())
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("label", [0, 3], ids=["labels", "out of range"])
def test_squared_error_of_whole_numbers_is_the_same_on_every_way(label):
    learner, batch = perceptron_of(nn.ReLU())
    batch.support_y = np.full(batch.support_y.shape, label)
    plain, auto = outcome(learner, batch, "plain"), outcome(learner, batch, "auto")
    same = auto is plain if isinstance(plain, type) else relative(auto, plain) < 1e-9
    assert same, (plain, auto)


@pytest.mark.parametrize("label", [3, -1, 1000])
@pytest.mark.parametrize("role", ["support_y", "query_y"])
def test_labels_out_of_range_are_refused_as_torch_refuses_them(label, role):
    learner, batch = classifier()
    learner.meta_gradient(batch)
    getattr(batch, role)[1, 2] = label
    with pytest.raises((IndexError, RuntimeError), match="out of bounds|Target"):
        learner.meta_gradient(batch)


@pytest.mark.parametrize("role", ["support_y", "query_y"])
def test_labels_of_minus_100_are_ignored_as_torch_ignores_them(role):
    learner, batch = classifier()
    learner.meta_gradient(batch)
    getattr(batch, role)[1, 2] = -100
    assert agrees_with_plain(learner, batch)
    getattr(batch, role)[1, 2] = 0
    assert used_engine(learner, batch) != "lean"


def test_the_choice_follows_the_shape_of_the_targets():
    learner, batch = perceptron_of(nn.ReLU())
    assert used_engine(learner, batch) in ("native", "closed")
    batch.query_y = batch.query_y[..., :1]
    assert used_engine(learner, batch) == "lean"


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("engine", ["quick", ("lean", "quick"), (), "", "Native"], ids=repr)
def test_names_that_are_no_engine_are_refused_and_the_right_ones_named(engine):
    with pytest.raises(ValueError, match=r"engine must be 'auto'.*plain, lean, threads, closed"):
        mt.MAML(mt.MLP(1, 4, 1), engine=engine)


@pytest.mark.parametrize(
    "engine, reason",
    [
        ("closed", "closed: it needs Linear and ReLU layers"),
        (("native", "closed"), "native: .*; closed: .*Linear and ReLU"),
    ],
    ids=str,
)
def test_an_engine_that_does_not_apply_says_why(engine, reason):
    learner, batch = perceptron_of(nn.Tanh(), engine=engine)
    with pytest.raises(ValueError, match=f"no engine of those asked for.*{reason}.*engine='auto'"):
        learner.meta_gradient(batch)


def test_native_without_numba_says_what_to_install(monkeypatch):
    without_numba(monkeypatch)
    learner, batch = perceptron_of(nn.ReLU(), engine="native")
    with pytest.raises(ValueError, match=r"numba is not installed: pip install"):
        learner.meta_gradient(batch)


@needs_numba
def test_native_refuses_layers_that_do_not_fit_a_cache():
    learner = learner_of(perceptron(rng_of(0), (2, 513, 1), bias=True), engine="native")
    batch = random_tasks(rng_of(0), (2,), 1)
    with pytest.raises(ValueError, match="wider than 512"):
        learner.meta_gradient(batch)
    learner.engine = "auto"
    assert used_engine(learner, batch) == "closed"


@pytest.mark.parametrize("engine", ["lean", "threads"])
def test_an_engine_that_looks_twice_refuses_dropout(engine):
    learner, batch = perceptron_of(nn.ReLU(), nn.Dropout(0.5), engine=engine)
    with pytest.raises(ValueError, match=f"{engine}: the forward pass is not the same twice"):
        learner.meta_gradient(batch)


def test_compiled_without_a_compiler_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    learner, batch = perceptron_of(nn.ReLU(), engine="compiled")
    with pytest.raises(ValueError, match="compiled: torch.compile needs a C.. compiler"):
        learner.meta_gradient(batch)


@pytest.mark.parametrize("engine", ["auto", "lean", "threads", "closed"])
@pytest.mark.parametrize(
    "mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference"]
)
def test_a_caller_who_records_no_gradients_gets_them_all_the_same(engine, mode):
    learner, batch = perceptron_of(nn.ReLU())
    learner.engine = "plain"
    expected = list(learner.meta_gradient(batch)[1].values())
    learner.engine = engine
    with mode():
        found = list(learner.meta_gradient(batch)[1].values())
    assert relative(found, expected) < 1e-9


def test_every_fast_engine_is_really_used_when_asked_for():
    learner, batch = perceptron_of(nn.ReLU())
    for engine in ("lean", "threads", "closed"):
        assert disagreement(learner, batch, engine) < 1e-9


def test_the_kernels_load_where_nothing_can_be_kept_on_disk():
    pytest.importorskip("numba")
    nowhere = (
        "import numba.core.caching as caching\n"
        "for kind in [caching.CacheImpl, *caching.CacheImpl.__subclasses__()]:\n"
        "    kind._locator_classes = []\n"
        "import maml_edu.pytorch.fast.kernels.perceptron"
    )
    subprocess.run([sys.executable, "-c", nowhere], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("change", ["rate", "head", "learned"])
def test_rates_and_names_in_dicts_and_lists_that_change_are_noticed(change):
    """A glance compares what is in them, too."""
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3))
    names = [name for name, _ in model.named_parameters()]
    if change == "head":
        learner = learner_of(model, adapting=["2"])
    else:
        rates = dict.fromkeys(names, 0.1)
        learner = learner_of(model, inner_lr=rates, learn_inner_lr=change == "learned")
    batch = random_tasks(rng_of(1), (2,), 3)
    before = learner.meta_gradient(batch)[0]
    if change == "rate":
        learner.inner_lr["0.weight"] = 0.7
    elif change == "head":
        learner.adapting[:] = names
    else:
        learner.inner_lr["0.weight"].data = torch.tensor(0.7, dtype=torch.float64)
    after = learner.meta_gradient(batch)[0]
    rates = learner.inner_lr
    rates = {n: float(r) for n, r in rates.items()} if isinstance(rates, dict) else rates
    options = {"inner_lr": rates, "inner_steps": 2, "adapting": learner.adapting}
    expected = mt.MAML(copy.deepcopy(model), F.mse_loss, **options).meta_gradient(batch)[0]
    assert float(before) != float(after)
    assert float(after) == pytest.approx(float(expected), rel=1e-9)
