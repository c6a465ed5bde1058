"""The outer step by itself: meta_train's numbers, whatever is changed between two steps, and clear errors."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import convolutional, perceptron, random_tasks, with_new_parameters
from small_runs import Scaled, same, theta
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.tasks import Sinusoids, TaskBatch

ENGINES = ["auto", "plain"]  # the first takes native steps, if numba is installed


def learner(engine="auto", **options):
    """A new learner in float64, the same each time."""
    rng = np.random.default_rng(0)
    model = with_new_parameters(perceptron(rng, (1, 12, 9, 1)), rng)
    return mt.MAML(model, **{"inner_lr": 0.05, "engine": engine, **options})


def drawn(count, seed=0, tasks=5):
    """The batches that meta_train draws from the same seed."""
    rng = np.random.default_rng(seed)
    return [Sinusoids(4).sample(rng, tasks=tasks) for _ in range(count)]


def trained(ours, iterations, **options):
    """The history of meta_train on what `drawn` gives."""
    options = {"meta_batch": 5, "progress": False, "device": "cpu", **options}
    return mt.meta_train(ours, Sinusoids(4), iterations, **options)


def difference(a, b):
    return max(float((a[name] - b[name]).detach().abs().max()) for name in a)


# ------------------------------------------------------------------ the numbers of meta_train


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"meta_lr": 0.02, "clip": 0.05},
        {"clip": ("value", 0.01)},
        {"optimiser": torch.optim.Adam},
        {"optimiser": "momentum"},
        {"schedule": lambda i: 0.9**i},
        {"schedule": "cosine", "iterations": 20},
    ],
)
def test_the_steps_end_where_meta_train_ends(engine, options):
    ours, expected = learner(engine), learner(engine)
    history = trained(expected, **{"iterations": 20, **options})
    step = mt.OuterStep(ours, **options)
    batches = drawn(20)
    losses = [step(batches[0])]
    losses += step(batches[1:12])
    losses += step(batch for batch in batches[12:])
    assert all(type(loss) is float for loss in losses)
    assert np.allclose(losses, history.loss, rtol=1e-9) and step.history.loss == losses
    assert difference(theta(ours), theta(expected)) < 1e-9


@pytest.mark.parametrize("engine", ENGINES)
def test_the_steps_are_those_of_meta_gradient_and_torchs_adam(engine):
    ours, expected = learner(engine, inner_steps=2), learner("textbook", inner_steps=2)
    adam = torch.optim.Adam(expected.model.parameters(), lr=1e-3)
    step = mt.OuterStep(ours)
    for batch in drawn(10):
        value, grads = expected.meta_gradient(batch)
        assert step(batch) == pytest.approx(float(value), rel=1e-9)
        for name, parameter in expected.params.items():
            parameter.grad = grads[name]
        adam.step()
    assert difference(theta(ours), theta(expected)) < 1e-9


FAMILY = {
    "FOMAML": mt.FOMAML,
    "Reptile": mt.Reptile,
    "ANIL": mt.ANIL,
    "BOIL": mt.BOIL,
    "MetaSGD": mt.MetaSGD,
    "MAML++": lambda model: mt.MAMLpp(model, F.mse_loss, 0.01, 2),
    "iMAML": mt.IMAML,
    "learned rates": lambda model: mt.MAML(model, learn_inner_lr=True),
    "inner Adam": lambda model: mt.MAML(model, inner_optimiser="adam"),
    "distributed": lambda model: mt.Distributed(mt.MAML(model)),
}


@pytest.mark.parametrize("name", FAMILY)
def test_every_learner_takes_the_steps_of_meta_train(name):
    def make():
        torch.manual_seed(0)
        return FAMILY[name](mt.MLP(1, 6, 1).double())

    ours, expected = make(), make()
    history = trained(expected, 6)
    losses = mt.OuterStep(ours, iterations=6)(drawn(6))
    assert np.allclose(losses, history.loss, rtol=1e-9)
    assert difference(theta(ours), theta(expected)) < 1e-9


# ------------------------------------------------------------------ what changes between two steps


def first(step):
    return step.learner.model[0].weight


def freeze(step):
    first(step).requires_grad_(False)


def unfreeze(step):
    first(step).requires_grad_(True)


def replace_the_data(step):
    first(step).data = first(step).data.flip(0).clone()


def replace_the_parameter(step):
    step.learner.model[0].weight = nn.Parameter(first(step).detach() * 1.1)


def change_in_place(step):
    with torch.no_grad():
        first(step).mul_(0.9)


def load_other_parameters(step):
    step.learner.load_state_dict(learner(inner_lr=0.1).state_dict())


def transpose_in_memory(step):
    weight = step.learner.model[2].weight
    weight.data = weight.data.t().contiguous().t()


def set_the_averages_to(factor):
    def change(step):
        for state in step.optimiser.state.values():
            state["exp_avg"].mul_(factor)

    return change


def replace_the_averages(step):
    for state in step.optimiser.state.values():
        state["exp_avg_sq"] = state["exp_avg_sq"] * 2


def load_the_optimisers_state(step):
    step.optimiser.load_state_dict(step.optimiser.state_dict())
    step.optimiser.state[first(step)]["step"].fill_(50)


def in_group(**settings):
    return lambda step: step.optimiser.param_groups[0].update(settings)


def in_learner(**settings):
    return lambda step: [setattr(step.learner, name, value) for name, value in settings.items()]


def hook(step):
    step.learner.model[1].register_forward_hook(lambda module, x, y: 2 * y)


def patch(step):
    layer = step.learner.model[0]
    layer.forward = lambda x: F.linear(x, layer.weight, layer.bias).sin()


def clear_the_state(step):
    step.optimiser.state.clear()


def with_a_hook_of_the_optimiser(step):
    step.optimiser.register_step_pre_hook(lambda *_: change_in_place(step))


CHANGES = {
    "frozen": [freeze],
    "frozen for a while": [freeze, unfreeze],
    "frozen, then other data": [freeze, replace_the_data, unfreeze],
    "data replaced": [replace_the_data],
    "another parameter": [replace_the_parameter],
    "changed in place": [change_in_place, change_in_place],
    "parameters loaded": [load_other_parameters],
    "another layout in memory": [transpose_in_memory],
    "averages changed": [set_the_averages_to(0.0)],
    "averages replaced": [replace_the_averages],
    "the optimiser's state loaded": [load_the_optimisers_state],
    "the optimiser's state cleared": [clear_the_state],
    "another outer rate": [in_group(lr=0.05), in_group(lr=0.001)],
    "weight decay": [in_group(weight_decay=0.1)],
    "other betas": [in_group(betas=(0.5, 0.9))],
    "a hook of the optimiser": [with_a_hook_of_the_optimiser],
    "another inner rate": [in_learner(inner_lr=0.2)],
    "more inner steps": [in_learner(inner_steps=3)],
    "first order": [in_learner(first_order=True)],
    "another loss": [in_learner(loss_function=F.l1_loss)],
    "a loss with a setting": [in_learner(loss_function=nn.MSELoss(reduction="sum"))],
    "inner Adam": [in_learner(inner_optimiser="adam")],
    "only the head adapts": [in_learner(adapting=["4.weight", "4.bias"])],
    "a hook": [hook],
    "a patched layer": [patch],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_between_two_steps_counts_at_the_next(name):
    steps = [mt.OuterStep(learner(engine), clip=1.0) for engine in ENGINES]
    batches = iter(drawn(30))
    for change in [lambda step: None, *CHANGES[name]]:
        for step in steps:
            change(step)
        for _ in range(3):
            batch = next(batches)
            quick, plain = (step(batch) for step in steps)
            assert quick == pytest.approx(plain, rel=1e-9)
    quick, plain = (dict(step.learner.model.named_parameters()) for step in steps)
    assert difference(quick, plain) < 1e-9


def test_a_function_of_torchs_that_is_replaced_counts_at_the_next_step(monkeypatch):
    steps, (first_batch, *batches) = [mt.OuterStep(learner(engine)) for engine in ENGINES], drawn(3)
    assert steps[0](first_batch) == pytest.approx(steps[1](first_batch), rel=1e-9)
    relu = F.relu
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: 2 * relu(x))
    quick, plain = (step(batches) for step in steps)
    assert quick == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(
    "loss", [F.mse_loss, nn.MSELoss()], ids=lambda loss: getattr(loss, "__name__", "module")
)
def test_an_engine_is_chosen_once_as_long_as_nothing_changes(loss, monkeypatch):
    native_steps = pytest.importorskip("maml_edu.pytorch.training.native_steps")
    calls, choose = [], native_steps.fast.engine_for
    monkeypatch.setattr(
        native_steps.fast, "engine_for", lambda *what: calls.append(1) or choose(*what)
    )
    step = mt.OuterStep(learner(loss=loss))
    step(batch for batch in drawn(5))
    assert type(step.stepper) is native_steps.NativeStepper and len(calls) == 1
    replace_the_data(step)  # which is copied each time
    step(drawn(1))
    assert len(calls) == 1
    freeze(step)
    step(drawn(1))
    assert len(calls) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frozen_parameter_stays_and_its_adam_waits(engine):
    step = mt.OuterStep(learner(engine))
    step(drawn(3))
    freeze(step)
    before, adam = first(step).detach().clone(), step.optimiser.state[first(step)]
    step(drawn(4, seed=1))
    assert torch.equal(first(step), before) and int(adam["step"]) == 3
    unfreeze(step)
    step(drawn(1, seed=2))
    assert not torch.equal(first(step), before) and int(adam["step"]) == 4


def test_other_parameters_by_name_are_refused():
    step = mt.OuterStep(learner())
    step.learner.model.append(nn.Linear(1, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="begin a new training"):
        step(drawn(1)[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_torchs_own_schedules_drive_it(engine):
    ours, expected = learner(engine), learner(engine)
    trained(expected, 9, schedule=lambda i: 0.1 ** (i // 3))
    step = mt.OuterStep(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = torch.optim.lr_scheduler.StepLR(step.optimiser, 3)
        for batch in drawn(9):
            step(batch)
            schedule.step()
    assert difference(theta(ours), theta(expected)) < 1e-9


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "nesterov"])
def test_the_order_of_a_parameter_in_memory_does_not_matter(optimiser):
    rng = np.random.default_rng(0)
    model = with_new_parameters(convolutional(), rng)
    batch = random_tasks(rng, (2, 6, 6), 3, "cross-entropy")
    ends = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        ours = mt.MAML(copy.deepcopy(model).to(memory_format=memory_format), F.cross_entropy, 0.1)
        mt.OuterStep(ours, optimiser=optimiser)([batch] * 3)
        ends.append(theta(ours))
    assert difference(*ends) < 1e-9


def test_it_computes_whatever_mode_torch_is_in():
    ours, expected = learner(), learner()
    mt.OuterStep(expected)(drawn(2))
    with torch.no_grad():
        mt.OuterStep(ours)(drawn(2))
    assert same(theta(ours), theta(expected))


# ------------------------------------------------------------------ batches


def as_tensors(batch):
    return batch.map(torch.from_numpy)


FORMS = {
    "tensors": as_tensors,
    "a tuple of four arrays": lambda batch: batch.arrays,
    "a list of four tensors": lambda batch: list(as_tensors(batch).arrays),
    "an object": lambda batch: type("Batch", (), vars(batch)),
    "arrays that lie otherwise": lambda batch: batch.map(lambda a: np.asfortranarray(a)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_a_batch_may_have_any_form(form, engine):
    ours, expected = learner(engine), learner(engine)
    step = mt.OuterStep(ours)
    losses = mt.OuterStep(expected)(drawn(4))
    batches = [FORMS[form](batch) for batch in drawn(4)]
    assert step(batches[0]) == losses[0]
    assert step(batches[1:]) == losses[1:]
    assert same(theta(ours), theta(expected))


def test_four_batches_are_not_the_four_arrays_of_one():
    for kind in (list, tuple):
        assert len(mt.OuterStep(learner())(kind(drawn(4)))) == 4
        assert len(mt.OuterStep(learner())(kind(batch.arrays for batch in drawn(4)))) == 4
    assert mt.OuterStep(learner())([]) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_of_other_shapes_and_with_masks_are_taken_in_their_turn(engine):
    batches = drawn(3) + drawn(2, tasks=3) + drawn(2)
    x, y = batches[1].support_x, batches[1].support_y
    mask = np.ones(x.shape[:2], bool)
    mask[2, 2:] = False
    batches[1] = TaskBatch(x, y, batches[1].query_x, batches[1].query_y, support_mask=mask)
    batches[5] = batches[5].map(lambda a: a.astype(np.float32))
    ours, expected = learner(engine), learner("textbook")
    losses = mt.OuterStep(ours)(batches)
    step = mt.OuterStep(expected)
    assert np.allclose(losses, [step(batch) for batch in batches], rtol=1e-9)
    assert difference(theta(ours), theta(expected)) < 1e-9


def test_a_generator_is_asked_for_each_batch_after_the_step_before():
    step, seen = mt.OuterStep(learner()), []

    def hard_tasks():
        for batch in drawn(5):
            seen.append(theta(step.learner))
            yield batch

    step(hard_tasks())
    assert not any(same(a, b) for a, b in zip(seen[1:], seen, strict=False))


@pytest.mark.parametrize(
    "wrong", [3, "batch", np.ones((4, 5, 3, 1)), {"x": 1}, [1, 2], [1, 2, 3, 4]]
)
def test_what_is_no_batch_is_refused_and_nothing_happens(wrong):
    ours = learner()
    before, step = theta(ours), mt.OuterStep(ours)
    with pytest.raises(ValueError, match="a batch is a TaskBatch|axes"):
        step(wrong)
    with pytest.raises(ValueError, match="a batch is a TaskBatch|axes"):
        step([*drawn(2), wrong])
    assert same(theta(ours), before) and step.history.loss == []


# ------------------------------------------------------------------ divergence, and going on


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("factor", [1e200, 1e8])
def test_divergence_leaves_the_parameters_from_before_that_step(engine, factor):
    batches = drawn(5)
    ours, expected = learner(engine), learner(engine)
    losses = mt.OuterStep(expected)(batches[:3])
    step = mt.OuterStep(ours)
    with pytest.raises(mt.TrainingDiverged, match="iteration 4.*in 1 of 5 tasks") as caught:
        step([*batches[:3], Scaled(factor, task=3)(batches[3]), batches[4]])
    assert same(theta(ours), theta(expected)) and caught.value.history.loss == losses
    assert step(batches[4]) == mt.OuterStep(expected)(batches[4])


@pytest.mark.parametrize("before", ENGINES)
@pytest.mark.parametrize("after", ENGINES)
def test_a_saved_step_goes_on_as_if_there_had_been_no_pause(before, after):
    through = learner()
    losses = mt.OuterStep(through, clip=0.1)(drawn(12))
    ours = learner(before)
    step, file = mt.OuterStep(ours, clip=0.1), io.BytesIO()
    step(drawn(7))
    torch.save({"learner": ours.state_dict(), "step": step.state_dict()}, file)
    step(drawn(3, seed=1))  # which is not in the file
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = learner(after)
    again.load_state_dict(state["learner"])
    step = mt.OuterStep(again, clip=0.1)
    step.load_state_dict(state["step"])
    assert np.allclose(step(drawn(12)[7:]), losses[7:], rtol=1e-9)
    assert (
        np.allclose(step.history.loss, losses) and difference(theta(again), theta(through)) < 1e-12
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_is_a_copy(engine):
    ours = learner(engine)
    step = mt.OuterStep(ours)
    step(drawn(3))
    saved = step.state_dict()
    averages = saved["optimiser"]["state"][0]["exp_avg"].clone()
    step(drawn(3))
    assert torch.equal(saved["optimiser"]["state"][0]["exp_avg"], averages)
    other = mt.OuterStep(learner(engine))
    other.load_state_dict(saved)
    other(drawn(3))
    assert torch.equal(saved["optimiser"]["state"][0]["exp_avg"], averages)


# ------------------------------------------------------------------ arguments


def test_optimizer_is_answered_with_optimiser():
    with pytest.raises(TypeError, match="write optimiser="):
        mt.OuterStep(learner(), optimizer="adam")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"meta_lr": -1}, "meta_lr must be a number > 0"),
        ({"optimiser": "adamm"}, "optimiser must be one of"),
        ({"clip": -1}, "clip must be"),
        ({"schedule": "cosine"}, "give iterations="),
        ({"iterations": 0}, "iterations must be a whole number"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mt.OuterStep(learner(), **options)


def test_what_depends_on_the_number_of_steps_wants_to_know_it():
    with pytest.raises(ValueError, match="MAMLpp depends on how many steps there will be"):
        mt.OuterStep(mt.MAMLpp(mt.MLP(1, 6, 1), F.mse_loss))
    step = mt.OuterStep(learner(), schedule="cosine", iterations=3)
    step(drawn(2))
    with pytest.raises(ValueError, match="2 steps are done and 2 more asked for"):
        step(drawn(2))
    with pytest.raises(ValueError, match="learner must be a MAML"):
        mt.OuterStep(nn.Linear(1, 1))
