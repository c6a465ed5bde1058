"""Captured outer steps: the same steps as one by one, whatever comes between them.

Without a GPU the very function that is captured runs eagerly (capture=False), on the same static tensors.
"""

import contextlib
import itertools
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import Failing, Scaled, WithDropout, fresh, same, theta
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import choice
from maml_edu.pytorch.training import captured
from maml_edu.pytorch.training import loop as training
from maml_edu.pytorch.training.captured import CapturedStepper, NotCapturable
from maml_edu.pytorch.training.checkpoint import copied
from maml_edu.pytorch.training.distributed import Distributed
from maml_edu.pytorch.training.history import History
from maml_edu.pytorch.training.loop import stepper_for
from maml_edu.pytorch.training.sampling import Stream, sampler_for
from maml_edu.pytorch.training.stepper import PlainStepper, Plan
from maml_edu.tasks import Sinusoids, TaskBatch
from maml_edu.tasks import batch as batches

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class ByNumpy(Sinusoids):
    """Sine waves that the device does not know how to draw."""

    def sample(self, rng, tasks=25):
        return super().sample(rng, tasks)


class Pictures:
    """Five classes of noise; drawn by NumPy."""

    def sample(self, rng, tasks=25):
        classes, labels = rng.normal(size=(tasks, 5, 1, 16, 16)), np.tile(np.arange(5), (tasks, 1))
        return TaskBatch(classes, labels, classes + rng.normal(size=classes.shape), labels)


def plan(iterations=30, optimiser="adam", schedule=None, clip=None, meta_lr=1e-2, seed=0):
    return Plan(iterations, 4, meta_lr, seed, optimiser, schedule, clip)


def learner_of(kind="mlp", device="cpu", **options):
    """A small learner of some kind; the same each time."""
    torch.manual_seed(0)
    options = {"inner_lr": 0.01, "inner_steps": 2, "engine": "lean", **options}
    if kind == "mlp":
        return mt.MAML(mt.MLP(1, 8, 1).to(device), **options)
    options = {"adapting": "head." if kind == "anil" else None, "loss": F.cross_entropy, **options}
    return mt.MAML(mt.Conv4(5, filters=4, size=16).to(device), **options)


def captured_stepper(learner, family, plan, **options):
    return CapturedStepper(learner, family, plan, History(), **{"capture": False, **options})


def steps_of(stepper, count, done=0):
    """The losses of `count` steps, in as many runs as it takes."""
    losses = []
    while len(losses) < count:
        losses += stepper.run(done + len(losses), min(stepper.stride, count - len(losses)))
    return losses


def assert_near(a, b, **limits):
    limits = limits or {"rtol": 1e-4, "atol": 1e-6}
    for name in a:
        if ".conv" in name and name.endswith("bias"):
            continue  # batch norm takes it out: its gradient is rounding error, of which Adam makes steps
        torch.testing.assert_close(a[name].cpu(), b[name].cpu(), **limits)


def assert_same_training(one, other, count=30, **limits):
    """Both steppers give the same losses and parameters, to rounding."""
    ours, expected = steps_of(one, count), steps_of(other, count)
    np.testing.assert_allclose(ours, expected, rtol=limits.get("rtol", 1e-4))
    assert_near(theta(one.learner), theta(other.learner), **limits)


def plain_stepper(learner, family, plan):
    return PlainStepper(learner, family, plan, History())


# ------------------------------------------------------------------ the same steps


@pytest.mark.parametrize(
    "optimiser",
    ["adam", "adamw", "nadam", "radam", "rmsprop", "sgd", "momentum", "nesterov", torch.optim.Adam],
)
@pytest.mark.parametrize(
    ("schedule", "clip"), [(None, None), ("cosine", 0.3), (None, ("value", 0.1))]
)
def test_captured_steps_are_the_plain_ones(optimiser, schedule, clip):
    how = plan(30, optimiser, schedule, clip)
    ours = captured_stepper(learner_of(), ByNumpy(5), how)
    assert_same_training(ours, plain_stepper(learner_of(), ByNumpy(5), how))
    assert ours.stride == captured.STRIDE and not ours.because


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("conv", {}),
        ("anil", {}),
        ("conv", {"learn_inner_lr": True}),
        ("mlp", {"first_order": True}),
        ("mlp", {"query_weights": [0.2, 0.3, 0.5]}),
        ("mlp", {"inner_lr": [0.1, 0.01], "learn_inner_lr": True}),
    ],
)
def test_any_learner_of_this_kind_takes_the_same_steps(kind, options):
    family = ByNumpy(5) if kind == "mlp" else Pictures()
    ours, plain = learner_of(kind, **options), learner_of(kind, **options)
    assert_same_training(
        captured_stepper(ours, family, plan()), plain_stepper(plain, family, plan()), 6
    )


class Given(Sinusoids):
    """A family of batches that are there already."""

    def __init__(self, batches):
        super().__init__(5)
        self.batches = iter(batches)

    def sample(self, rng, tasks=25):
        return TaskBatch(*next(self.batches))


def test_tasks_drawn_on_the_device_are_those_of_its_stream():
    ours = captured_stepper(learner_of(), Sinusoids(5), plan())
    stream, draw = Stream(ours.stream.seed), sampler_for(Sinusoids(5))
    batches = [draw(stream, tasks=4) for _ in range(30)]
    assert_same_training(ours, plain_stepper(learner_of(), Given(batches), plan()))
    assert ours.stream.state_dict() == stream.state_dict()


def test_another_seed_draws_other_tasks():
    losses = [
        steps_of(captured_stepper(learner_of(), Sinusoids(5), plan(seed=seed)), 3)
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] and not set(losses[0]) & set(losses[2])


def test_how_many_steps_are_done_at_once_makes_no_difference():
    one, other = (captured_stepper(learner_of(), Sinusoids(5), plan(250)) for _ in range(2))
    single = [one.run(done, 1)[0] for done in range(250)]
    assert steps_of(other, 250) == single and same(theta(one.learner), theta(other.learner))
    assert (
        len(captured_stepper(learner_of(), Sinusoids(5), plan(250)).run(0, 250)) == captured.STRIDE
    )


def test_everything_that_a_step_reads_and_writes_stays_in_its_place():
    stepper = captured_stepper(learner_of(), ByNumpy(5), plan(schedule="cosine"))
    stepper.run(0, 1)

    def places():
        state = [own for each in stepper.optimiser.state.values() for own in each.values()]
        rates = [group["lr"] for group in stepper.optimiser.param_groups]
        tensors = [*stepper.learner.params.values(), *state, *rates, *stepper.inputs.tensors]
        tensors += [stepper.losses, stepper.place, stepper.stream.drawn]
        return [tensor.data_ptr() for tensor in tensors]

    before, params = places(), list(stepper.learner.params.values())
    rate = float(stepper.optimiser.param_groups[0]["lr"])
    steps_of(stepper, 9, done=1)
    assert places() == before and float(stepper.optimiser.param_groups[0]["lr"]) < rate
    assert all(a is b for a, b in zip(params, stepper.learner.params.values(), strict=True))


class Few(Sinusoids):
    """A family of three batches that it keeps, in the learner's own precision."""

    def __init__(self):
        super().__init__(5)
        rng, names = np.random.default_rng(0), ("support_x", "support_y", "query_x", "query_y")
        drawn = [Sinusoids(5).sample(rng, 4) for _ in range(3)]
        floats = [[getattr(own, name).astype(np.float32) for name in names] for own in drawn]
        self.batches, self.count = [TaskBatch(*own) for own in floats], 0

    def sample(self, rng, tasks=25):
        self.count += 1
        return self.batches[self.count % 3]


def test_what_a_family_keeps_is_not_written_to():
    family, untouched = Few(), Few()
    steps_of(captured_stepper(learner_of(), family, plan()), 5)
    for own, other in zip(family.batches, untouched.batches, strict=True):
        np.testing.assert_array_equal(own.support_x, other.support_x)


# ------------------------------------------------------------------ nothing in it waits


class Watch(TorchDispatchMode):
    """Notes each operation that asks for a value, or brings data from another device."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        name = str(operation)
        moved = [own for own in (*args, out) if isinstance(own, torch.Tensor) and own.ndim]
        crosses = "copy" in name and len({own.device for own in moved}) > 1
        if crosses or any(word in name for word in ("_local_scalar", "nonzero", "equal", "unique")):
            self.waits.append(name)
        return out


@pytest.fixture
def values_of_no_batch(monkeypatch):
    """A batch is searched for NaN on a CPU only; here it stands for one on a GPU."""
    monkeypatch.setattr(batches, "_refuse_nan", lambda *_: None)


@pytest.fixture
def engine_already_chosen(monkeypatch):
    """The choice, made once before the first step, compares numbers with those of the textbook loop."""
    monkeypatch.setattr(choice, "engine_for", lambda *_: choice.Choice("lean", None))


@pytest.mark.parametrize("options", [{}, {"learn_inner_lr": True}, {"precision": "bf16"}])
@pytest.mark.parametrize("kind", ["mlp", "conv", "anil"])
def test_a_step_asks_for_no_value_of_the_device(kind, options, values_of_no_batch):
    family = Sinusoids(5) if kind == "mlp" else Pictures()
    stepper = captured_stepper(learner_of(kind, **options), family, plan(clip=1.0))
    stepper.run(0, 1)
    with Watch() as watch:
        stepper._work()
    assert not watch.waits
    with watch:
        float(stepper.losses[0])
    assert watch.waits  # which is how a step that waits would show


@pytest.mark.parametrize("options", [{}, {"learn_inner_lr": True}])
@pytest.mark.parametrize("kind", ["mlp", "conv", "anil"])
def test_a_step_needs_nothing_of_the_cpu(kind, options, engine_already_chosen):
    """torch's meta device refuses what is on another one, and has no values to ask for."""
    stepper = captured_stepper(learner_of(kind, "meta", **options), Sinusoids(5), plan())
    shapes = [(4, 5, 1)] * 4 if kind == "mlp" else [(4, 5, 1, 16, 16), (4, 5)] * 2
    dtypes = [torch.float32, torch.float32 if kind == "mlp" else torch.int64] * 2
    batch = (
        tuple(stepper.draws(stepper.stream, tasks=4))
        if kind == "mlp"
        else tuple(
            torch.empty(s, dtype=d, device="meta") for s, d in zip(shapes, dtypes, strict=True)
        )
    )
    with Watch() as watch:
        value, grads = stepper.learner.meta_gradient(batch)
    assert not watch.waits
    assert {own.device.type for own in (value, *grads.values())} == {"meta"}


# ------------------------------------------------------------------ what goes wrong


class Sometimes(ByNumpy):
    """Sine waves with more examples in the batches of some numbers."""

    def __init__(self, at):
        super().__init__(5)
        self.at, self.count = at, 0

    def sample(self, rng, tasks=25):
        self.count += 1
        self.shots = 7 if self.count in self.at else 5
        return super().sample(rng, tasks)


@pytest.mark.parametrize("at", [(1,), (5,), (2, 9)])
def test_batches_of_another_shape_are_taken_one_by_one(at):
    ours = captured_stepper(learner_of(), Sometimes(at), plan())
    plain = plain_stepper(learner_of(), Sometimes(at), plan())
    with pytest.warns(UserWarning, match="not replayed from a CUDA graph: the batches .* shape"):
        assert_same_training(ours, plain)
    assert ours.stride == 1


def test_what_cannot_be_captured_is_done_one_by_one_with_a_warning(monkeypatch):
    def refuse(self):
        self._work()
        raise NotCapturable("operation not permitted when stream is capturing")

    monkeypatch.setattr(CapturedStepper, "_record", refuse)
    for family in (ByNumpy(5), Sinusoids(5)):
        ours = captured_stepper(learner_of(), family, plan())
        batches = list(itertools.islice(drawn_by(ours), 30))
        plain = plain_stepper(learner_of(), Given(batches), plan())
        with pytest.warns(UserWarning, match="operation not permitted.*done one by one"):
            assert_same_training(ours, plain)


def drawn_by(stepper):
    """The batches that a stepper is going to see."""
    stream, rng = Stream(stepper.stream.seed), np.random.default_rng(stepper.plan.seed)
    while True:
        if stepper.draws is not None:
            yield stepper.draws(stream, tasks=4)
        else:
            batch = stepper.tasks.sample(rng, tasks=4)
            yield batch.support_x, batch.support_y, batch.query_x, batch.query_y


@pytest.mark.parametrize("family", [ByNumpy(5), Sinusoids(5)])
@pytest.mark.parametrize("optimiser", ["adam", "adamw", "nadam", "momentum"])
def test_the_warm_up_leaves_nothing_behind(family, optimiser, monkeypatch):
    expected = captured_stepper(learner_of(), family, plan(optimiser=optimiser))
    losses = steps_of(expected, 5)

    def warm_up(self):
        for _ in range(3):
            self._work()

    monkeypatch.setattr(CapturedStepper, "_record", warm_up)
    ours = captured_stepper(learner_of(), family, plan(optimiser=optimiser))
    assert steps_of(ours, 5) == losses and same(theta(ours.learner), theta(expected.learner))


def test_a_model_that_draws_random_numbers_takes_plain_steps_in_silence():
    def learner():
        torch.manual_seed(0)
        return mt.MAML(WithDropout(), inner_lr=0.01)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = captured_stepper(learner(), ByNumpy(5), plan())
        expected = plain_stepper(learner(), ByNumpy(5), plan())
        losses = []
        for stepper in (ours, expected):
            torch.manual_seed(1)
            losses.append(steps_of(stepper, 5))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and ours.stride == 1


def meta_train(learner, family, iterations=20, **options):
    options = {"meta_batch": 4, "device": "cpu", "progress": False, **options}
    return mt.meta_train(learner, family, iterations, **options)


@pytest.fixture
def through_captured(monkeypatch):
    """`meta_train` takes captured steps, on any device."""
    monkeypatch.setattr(
        training,
        "stepper_for",
        lambda *arguments: CapturedStepper(*arguments, capture=False),
    )


def spoil(batch):
    query_y = batch.query_y.copy()
    query_y[:] = 1e30
    return TaskBatch(batch.support_x, batch.support_y, batch.query_x, query_y)


def test_a_divergence_is_found_when_the_losses_are_looked_at(through_captured):
    with pytest.raises(mt.TrainingDiverged, match="iteration 7: .*last checkpoint") as caught:
        meta_train(learner_of(), Failing(7, spoil))
    assert caught.value.iteration == 7
    assert caught.value.history.loss == meta_train(learner_of(), ByNumpy(5), 6).loss


def test_a_huge_loss_in_the_first_stride_stops_training_although_it_is_finite(through_captured):
    with pytest.raises(mt.TrainingDiverged, match="iteration 2") as caught:
        meta_train(learner_of(), Failing(2, Scaled(1e8)))
    assert len(caught.value.history) == 1


class SteepAtZero(nn.Module):
    """A loss of 0 with a slope that is infinite: √ at 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x * self.weight


def test_a_gradient_that_is_not_finite_shows_in_the_loss():
    root = lambda prediction, target: prediction.abs().sum().sqrt()
    learner = mt.MAML(SteepAtZero(), root, inner_steps=0, engine="lean")
    value, grads = learner.meta_gradient(ByNumpy(5).sample(np.random.default_rng(0), 4))
    assert float(value) == 0 and not grads["weight"].isfinite().all()
    assert np.isnan(captured_stepper(learner, ByNumpy(5), plan()).run(0, 1)[0])


@pytest.mark.parametrize("error", [ValueError("bad data"), OSError("the disk is gone")])
def test_an_error_between_two_steps_keeps_those_before_it(error, through_captured):
    learner, expected = learner_of(), learner_of()
    with pytest.raises(type(error), match=str(error)) as caught:
        meta_train(learner, Failing(7, error))
    assert (
        "This was iteration 7; the parameters are those from before it." in caught.value.__notes__
    )
    history = meta_train(expected, ByNumpy(5), 6)
    assert caught.value.history.loss == history.loss and same(theta(learner), theta(expected))


def test_a_schedule_that_fails_does_so_at_its_iteration(through_captured):
    with pytest.raises(ValueError, match="factor -1") as caught:
        meta_train(learner_of(), Sinusoids(5), schedule=lambda i: 1.0 if i < 4 else -1)
    assert len(caught.value.history) == 4


# ------------------------------------------------------------------ what changes between steps


@pytest.fixture
def recordings(monkeypatch):
    """How often a step was recorded."""
    calls = []
    monkeypatch.setattr(CapturedStepper, "_record", lambda self: calls.append(self))
    return calls


def swap_a_parameter(learner):
    learner.model[0].weight = nn.Parameter(learner.model[0].weight.detach().clone())


def move_a_parameter(learner):
    learner.model[0].weight.data = learner.model[0].weight.data.clone()


@pytest.mark.parametrize(
    "change",
    [
        swap_a_parameter,
        move_a_parameter,
        lambda learner: setattr(learner, "inner_lr", 0.02),
        lambda learner: setattr(learner, "first_order", True),
        lambda learner: learner.model.eval(),
    ],
)
def test_a_step_is_recorded_once_and_again_when_the_learner_changes(change, recordings):
    ours = captured_stepper(learner_of(), ByNumpy(5), plan())
    plain = plain_stepper(learner_of(), ByNumpy(5), plan())
    for done in (0, 10):
        ours.run(done, 10)
    assert len(recordings) == 1
    plain.run(0, 20)
    for stepper in (ours, plain):
        change(stepper.learner)
    if change is swap_a_parameter:  # which PlainStepper does not look for
        plain.params = list(plain.learner.meta_params.items())
        old, new = plain.optimiser.param_groups[0]["params"][0], plain.params[0][1]
        plain.optimiser.state[new] = plain.optimiser.state.pop(old)
        plain.optimiser.param_groups[0]["params"][0] = new
    steps_of(ours, 5, done=20), steps_of(ours, 5, done=25), plain.run(20, 10)
    assert len(recordings) == 2
    assert_near(theta(ours.learner), theta(plain.learner))


def test_validation_and_the_best_parameters_are_those_of_plain_training(
    through_captured, monkeypatch
):
    options = {"validation": Sinusoids(5), "validate_every": 7, "validation_episodes": 20}
    options |= {"keep_best": True, "meta_lr": 0.1}
    ours, expected = learner_of(), learner_of()
    history = meta_train(ours, ByNumpy(5), 30, **options)
    monkeypatch.undo()
    plain = meta_train(expected, ByNumpy(5), 30, **options)
    np.testing.assert_allclose(history.loss, plain.loss, rtol=1e-3)
    np.testing.assert_allclose(history.validation, plain.validation, rtol=1e-3)
    assert_near(theta(ours), theta(expected), rtol=1e-3, atol=1e-5)


def test_callbacks_see_every_iteration_and_may_evaluate(through_captured):
    seen = []

    def look(iteration, history, learner):
        seen.append((iteration, len(history)))
        mt.evaluate(learner, Sinusoids(5), episodes=2)

    history = meta_train(learner_of(), Sinusoids(5), 6, callbacks=look)
    assert seen == [(i, i) for i in range(1, 7)]
    assert history.loss == meta_train(learner_of(), Sinusoids(5), 6).loss


# ------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("optimiser", ["adam", "nadam", "momentum"])
@pytest.mark.parametrize("family", [ByNumpy(5), Sinusoids(5)])
def test_interrupted_captured_training_resumes_bit_for_bit(
    family, optimiser, tmp_path, through_captured
):
    options = {"optimiser": optimiser, "schedule": lambda i: 0.99**i}
    whole, resumed = learner_of(), learner_of()
    expected = meta_train(whole, family, 20, **options).loss
    meta_train(resumed, family, 9, checkpoint=tmp_path, **options)
    history = meta_train(learner := learner_of(), family, 20, checkpoint=tmp_path, **options)
    assert history.loss == expected and same(theta(learner), theta(whole))


@pytest.mark.parametrize("optimiser", ["adam", "nadam", "momentum"])
@pytest.mark.parametrize("first", ["captured", "plain"])
def test_captured_and_plain_training_go_on_from_one_another(first, optimiser):
    how = plan(20, optimiser, "cosine")
    make = {"captured": captured_stepper, "plain": plain_stepper}
    begin = make.pop(first)(learner_of(), ByNumpy(5), how)
    steps_of(begin, 9)
    (make_other,) = make.values()
    other = make_other(learner_of(), ByNumpy(5), how)
    other.learner.load_state_dict(begin.learner.state_dict())
    other.load_state_dict(copied(begin.state_dict()))
    steps_of(other, 11, done=9)
    expected = plain_stepper(learner_of(), ByNumpy(5), how)
    steps_of(expected, 20)
    assert_near(theta(other.learner), theta(expected.learner))


def test_a_checkpoint_holds_plain_rates_and_no_trace_of_the_capture():
    stepper = captured_stepper(learner_of(), ByNumpy(5), plan(optimiser="nadam", meta_lr=0.25))
    stepper.optimiser.param_groups[0]["capturable"] = True  # as on a GPU
    (group,) = stepper.state_dict()["optimiser"]["param_groups"]
    assert type(group["lr"]) is float and group["lr"] == 0.25 and group["capturable"] is False
    assert stepper.optimiser.param_groups[0]["capturable"] is True


def test_who_goes_on_with_numpy_does_not_see_the_same_tasks_again():
    ours = captured_stepper(learner_of(), Sinusoids(5), plan())
    states = []
    for done in (0, 10):
        ours.run(done, 10)
        states.append(ours.state_dict())
    plain = plain_stepper(learner_of(), Sinusoids(5), plan())
    draws = [plain.sample().support_x]
    for state in states:
        plain.load_state_dict(state)
        draws.append(plain.sample().support_x)
    assert len({own.tobytes() for own in draws}) == 3


def test_a_run_that_began_with_numpys_tasks_goes_on_with_them():
    plain = plain_stepper(learner_of(), Sinusoids(5), plan())
    plain.run(0, 5)
    ours = captured_stepper(learner_of(), Sinusoids(5), plan())
    ours.learner.load_state_dict(plain.learner.state_dict())
    ours.load_state_dict(copied(plain.state_dict()))
    assert_same_training(ours, plain, 10)


# ------------------------------------------------------------------ how torch is asked to capture


class PretendedCuda:
    """What the capture asks of torch.cuda, noted; a graph does its step anew at each replay."""

    def __init__(self, monkeypatch, stepper, error=None):
        self.asked, self.error, self.now = [], error, "main"
        pretended = {"Stream": lambda: PretendedStream(self), "CUDAGraph": lambda: self}
        pretended |= {name: getattr(self, name) for name in ("stream", "graph", "set_stream")}
        pretended |= {"current_stream": lambda: PretendedStream(self, "main")}
        pretended |= {"synchronize": lambda: None}
        for name, own in pretended.items():
            monkeypatch.setattr(torch.cuda, name, own)
        stepper.capture, self.work, stepper._work = True, stepper._work, self.step

    def step(self):
        self.asked.append(f"step on {self.now}")
        if self.error is not None and "capture" in self.asked[-2]:
            raise self.error
        self.work()

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream.name
        yield
        self.now = before

    @contextlib.contextmanager
    def graph(self, graph, stream, capture_error_mode="global"):
        self.now = stream.name
        self.asked.append(f"capture on {stream.name}, {capture_error_mode}")
        try:
            yield
        except RuntimeError:  # torch leaves the stream as it is then
            raise RuntimeError("operation failed due to a previous error")  # noqa: B904
        self.now = "main"

    def set_stream(self, stream):
        self.now = stream.name

    def replay(self):
        self.asked.append("replay")
        self.step()


class PretendedStream:
    def __init__(self, cuda, name="side"):
        self.cuda, self.name = cuda, name

    def wait_stream(self, other):
        self.cuda.asked.append(f"{self.name} waits for {other.name}")


def test_the_step_is_warmed_up_beside_captured_once_and_replayed(monkeypatch):
    ours = captured_stepper(learner_of(), Sinusoids(5), plan())
    cuda = PretendedCuda(monkeypatch, ours)
    expected = captured_stepper(learner_of(), Sinusoids(5), plan())
    assert ours.run(0, 3) + ours.run(3, 3) == expected.run(0, 6)
    assert same(theta(ours.learner), theta(expected.learner))
    warm_up = ["side waits for main", *["step on side"] * 3, "main waits for side"]
    capture = ["capture on side, thread_local", "step on side"]
    assert cuda.asked == [*warm_up, *capture, *["replay", "step on main"] * 6]


def test_after_a_capture_that_failed_all_is_as_before(monkeypatch):
    ours = captured_stepper(learner_of(), ByNumpy(5), plan())
    cuda = PretendedCuda(monkeypatch, ours, RuntimeError("not permitted when stream is capturing"))
    with pytest.warns(UserWarning, match="cannot be captured: not permitted when stream is capt"):
        assert_same_training(ours, plain_stepper(learner_of(), ByNumpy(5), plan()))
    assert cuda.now == "main" and "replay" not in cuda.asked
    # torch's generator leaves the failed capture at the end of one that succeeds
    assert cuda.asked[7] == "capture on side, global"


# ------------------------------------------------------------------ what is refused beforehand


def test_learners_on_a_cpu_or_on_several_processes_are_not_captured():
    assert "on cpu" in captured.reason_against(learner_of(), Sinusoids(5), plan())
    several = captured.reason_against(Distributed(learner_of()), Sinusoids(5), plan())
    assert "several processes" in several


@pytest.mark.parametrize(
    ("learner", "reason"),
    [
        (lambda: mt.Reptile(mt.MLP(1, 4, 1)), "Reptile computes its meta-gradient in a way"),
        (lambda: mt.IMAML(mt.MLP(1, 4, 1)), "IMAML computes"),
        (lambda: mt.MAMLpp(mt.MLP(1, 4, 1), F.mse_loss), "MAMLpp"),
        (lambda: fresh(engine="plain"), "engine='plain' was asked for"),
        (lambda: fresh(engine=("closed", "compiled")), "was asked for"),
        (lambda: fresh(inner_lr=[0.1, 0.2], inner_steps=2, engine="lean"), "give tensors"),
        (lambda: fresh(engine="lean"), None),
        (lambda: fresh(engine="auto"), None),
        (lambda: fresh(engine=("closed", "lean")), None),
        (lambda: mt.FOMAML(mt.MLP(1, 4, 1)), None),
        (lambda: mt.ANIL(mt.MLP(1, 4, 1)), None),
        (lambda: mt.MetaSGD(mt.MLP(1, 4, 1)), None),
    ],
)
def test_learners_that_cannot_be_captured_say_why(learner, reason):
    found = captured.reason_against_learner(learner())
    assert found is None if reason is None else reason in found


class Annealing(mt.MAML):
    def before_iteration(self, iteration, iterations):
        self.first_order = iteration < 3


def test_a_learner_that_anneals_is_not_captured():
    found = captured.reason_against_learner(Annealing(mt.MLP(1, 4, 1)))
    assert found == "Annealing changes from iteration to iteration"


@pytest.mark.parametrize(
    ("optimiser", "capturable"),
    [
        *((name, True) for name in ("adam", "adamw", "nadam", "radam", "rmsprop")),
        *((name, True) for name in ("sgd", "momentum", "nesterov")),
        ("adagrad", False),
        (torch.optim.Adam, True),
        (torch.optim.SGD, False),
        (torch.optim.LBFGS, False),
        (lambda params: torch.optim.SGD(params, 0.1, 0.9, dampening=0.5, fused=True), False),
        (lambda params: torch.optim.Adam(params, 0.1, amsgrad=True), True),
        (lambda params: torch.optim.Adam(params, 0.1, differentiable=True), False),
    ],
)
def test_optimisers_that_cannot_be_captured_say_why(optimiser, capturable):
    found = captured.reason_against_optimiser(learner_of(), plan(optimiser=optimiser))
    assert (found is None) == capturable


# ------------------------------------------------------------------ on a GPU


@pytest.fixture
def gpu_steppers():
    """Three steppers on a GPU: captured, the same without a graph, and plain."""

    def make(kind, family, how, **options):
        learners = [learner_of(kind, "cuda", **options) for _ in range(3)]
        ours = CapturedStepper(learners[0], family, how, History())
        eager = captured_stepper(learners[1], family, how)
        return ours, eager, plain_stepper(learners[2], family, how)

    return make


@on_gpu
@pytest.mark.parametrize("optimiser", ["adam", "nadam", "radam", "rmsprop", "momentum"])
@pytest.mark.parametrize("kind", ["mlp", "conv", "anil"])
def test_replayed_steps_are_the_eager_ones(kind, optimiser, gpu_steppers):
    family = ByNumpy(5) if kind == "mlp" else Pictures()
    how = plan(12, optimiser, "cosine", clip=1.0)
    ours, eager, plain = gpu_steppers(kind, family, how)
    found = [steps_of(own, 12) for own in (ours, eager, plain)]
    assert ours.graph is not None and not ours.because
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-3)
    assert_near(theta(ours.learner), theta(eager.learner), rtol=1e-3, atol=1e-4)


@on_gpu
@pytest.mark.parametrize("word", ["tf32", "bf16"])
def test_other_precisions_can_be_captured(word, gpu_steppers):
    ours, eager, _ = gpu_steppers("conv", Pictures(), plan(), precision=word)
    np.testing.assert_allclose(steps_of(ours, 5), steps_of(eager, 5), rtol=0.05)
    assert ours.graph is not None


@on_gpu
def test_a_gpu_takes_the_steps_of_the_cpu(gpu_steppers):
    for family in (ByNumpy(5), Sinusoids(5)):
        ours, _, _ = gpu_steppers("mlp", family, plan())
        cpu = captured_stepper(learner_of(), family, plan())
        np.testing.assert_allclose(steps_of(ours, 20), steps_of(cpu, 20), rtol=1e-3)


@on_gpu
def test_meta_train_captures_by_itself_and_resumes_bit_for_bit(tmp_path):
    for family in (ByNumpy(5), Sinusoids(5)):
        folder = tmp_path / type(family).__name__
        whole, resumed = learner_of(device="cuda"), learner_of(device="cuda")
        assert type(stepper_for(whole, family, plan(), History())) is CapturedStepper
        options = {"device": "cuda", "schedule": lambda i: 0.99**i}
        expected = meta_train(whole, family, 250, **options).loss
        meta_train(learner_of(device="cuda"), family, 130, checkpoint=folder, **options)
        history = meta_train(resumed, family, 250, checkpoint=folder, **options)
        assert history.loss == expected and same(theta(resumed), theta(whole))


@on_gpu
def test_the_memory_of_captured_steps_does_not_grow(gpu_steppers):
    ours, _, _ = gpu_steppers("conv", Pictures(), plan(500))
    steps_of(ours, 100)
    before = torch.cuda.memory_allocated()
    steps_of(ours, 400, done=100)
    assert torch.cuda.memory_allocated() <= before


@on_gpu
def test_a_loss_that_waits_for_the_gpu_is_trained_all_the_same():
    def waits(prediction, target):
        torch.cuda.synchronize()
        return F.mse_loss(prediction, target)

    learners = [fresh(loss=waits, engine="lean").to("cuda") for _ in range(2)]
    ours = CapturedStepper(learners[0], ByNumpy(5), plan(), History())
    with pytest.warns(UserWarning, match="not replayed from a CUDA graph"):
        assert_same_training(ours, plain_stepper(learners[1], ByNumpy(5), plan()), 10)
    assert torch.rand(3, device="cuda").isfinite().all()  # torch's generator is in order


@on_gpu
def test_a_learner_that_was_moved_is_captured_again(gpu_steppers):
    ours, eager, _ = gpu_steppers("mlp", ByNumpy(5), plan())
    for own in (ours, eager):
        steps_of(own, 5)
    graph = ours.graph
    ours.learner.to("cpu").to("cuda")
    np.testing.assert_allclose(steps_of(ours, 5, 5), steps_of(eager, 5, 5), rtol=1e-3)
    assert ours.graph is not graph
    assert_near(theta(ours.learner), theta(eager.learner), rtol=1e-3, atol=1e-5)
