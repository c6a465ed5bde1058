"""What a family may give to training: when it is asked, what counts as a batch, tasks of unequal size."""

import numpy as np
import pytest
import ranks
import torch
from ranks import in_double, numbers, together
from small_runs import fresh, quiet, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import loop as training
from maml_edu.pytorch.training.captured import CapturedStepper
from maml_edu.pytorch.training.stepper import PlainStepper
from maml_edu.tasks import Sinusoids, TaskBatch

STEPPERS = {
    "chosen": training.stepper_for,
    "plain": PlainStepper,
    "captured": lambda *arguments: CapturedStepper(*arguments, capture=False),
}


@pytest.fixture(params=STEPPERS)
def stepper(request, monkeypatch):
    """`meta_train` takes steps of each kind."""
    monkeypatch.setattr(training, "stepper_for", STEPPERS[request.param])
    return request.param


def learner():
    """On the quickest engine for "chosen", on the one that can be captured otherwise."""
    return fresh(engine=("native", "lean"))


# ------------------------------------------------------------------ when it is asked


class Watching(Sinusoids):
    """Sine waves that depend on the model, as in hard-task mining, and note what they see of it."""

    def __init__(self, model):
        super().__init__(5)
        self.model, self.seen = model, []

    def sample(self, rng, tasks=25):
        self.seen.append(self.model[0].weight.detach().clone())
        return super().sample(rng, tasks)


def test_a_family_that_reads_the_model_sees_it_before_each_step(stepper):
    trained, after = learner(), []
    family = Watching(trained.model)
    look = lambda iteration, history, own: after.append(own.model[0].weight.detach().clone())
    begin = trained.model[0].weight.detach().clone()
    mt.meta_train(trained, family, 12, callbacks=[(1, look)], **quiet)
    assert len(family.seen) == 12 and len({float(w.sum()) for w in family.seen}) == 12
    assert all(map(torch.equal, family.seen, [begin, *after]))

    again = learner()
    family = Watching(again.model)
    mt.meta_train(again, family, 12, **quiet)  # nobody looks between the steps
    assert all(map(torch.equal, family.seen, [begin, *after]))


class Counting(Sinusoids):
    """Sine waves that count how many batches they have given, and say that they may be drawn ahead."""

    draws_ahead = True
    given = 0

    def sample(self, rng, tasks=25):
        self.given += 1
        return super().sample(rng, tasks)


@pytest.mark.parametrize("engine", ["native", "lean"])
def test_even_if_a_family_may_be_drawn_ahead_it_is_not_asked_beyond_an_event(engine):
    """A callback may change the family: what is drawn after it is what it then gives."""
    if engine == "native":
        pytest.importorskip("numba")
    family, asked = Counting(5), []
    callbacks = [(20, lambda iteration, *_: asked.append(family.given))]
    mt.meta_train(fresh(engine=engine), family, 45, callbacks=callbacks, **quiet)
    assert asked == [20, 40] and family.given == 45


# ------------------------------------------------------------------ what counts as a batch


class Changed(Sinusoids):
    """Sine waves whose batches come in another form."""

    def __init__(self, form):
        super().__init__(5)
        self.form = form

    def sample(self, rng, tasks=25):
        return self.form(super().sample(rng, tasks))


@pytest.mark.parametrize(
    "form",
    [lambda b: b.arrays, lambda b: [torch.as_tensor(a) for a in b.arrays]],
    ids=["tuple", "list"],
)
def test_four_arrays_are_a_batch(form, stepper):
    plain, other = learner(), learner()
    expected = mt.meta_train(plain, Changed(lambda batch: batch), 6, **quiet)
    options = {"validation": Changed(form), "validation_episodes": 4}
    history = mt.meta_train(other, Changed(form), 6, **options, **quiet)
    assert history.loss == expected.loss and same(theta(plain), theta(other))


@pytest.mark.parametrize(("form", "words"), [
    (lambda batch: batch.part(0, 2), r"sample\(rng, tasks=4\) gave a batch of 2 tasks"),
    (lambda batch: batch.arrays[:3], "a tuple of these four arrays.*got a tuple of 3"),
])  # fmt: skip
def test_what_is_no_batch_of_that_size_is_an_error_at_its_iteration(form, words, stepper):
    count = iter(range(6))
    family = Changed(lambda batch: form(batch) if next(count) == 2 else batch)
    with pytest.raises(ValueError, match=words) as caught:
        mt.meta_train(learner(), family, 6, **quiet)
    assert "This was iteration 3" in caught.value.__notes__[0]
    assert len(caught.value.history) == 2


# ------------------------------------------------------------------ tasks of unequal size


class Unequal:
    """Sine waves with 3 to 6 support examples, filled up to one size."""

    def sample(self, rng, tasks=25):
        waves = Sinusoids(6).sample(rng, tasks)
        shots = rng.integers(3, 7, tasks)
        return TaskBatch.padded(
            (x[:n], y[:n], query_x, query_y)
            for n, (x, y, query_x, query_y) in zip(shots, waves, strict=True)
        )


def by_hand(iterations, tasks):
    """Losses and parameters of training on the tasks one by one, each without its padding."""
    trained, rng, losses = in_double(), np.random.default_rng(0), []
    adam = torch.optim.Adam(trained.model.parameters(), lr=1e-3)
    for _ in range(iterations):
        batch = Unequal().sample(rng, tasks)
        alone = [trained.meta_gradient(tuple(a[None] for a in task)) for task in batch]
        losses.append(float(sum(value for value, _ in alone) / tasks))
        for name, parameter in trained.params.items():
            parameter.grad = sum(grads[name] for _, grads in alone) / tasks
        adam.step()
    return losses, numbers(theta(trained))


@pytest.mark.filterwarnings("ignore:the outer steps are not replayed")
def test_tasks_of_unequal_size_are_trained_without_their_padding(stepper):
    trained = in_double()
    trained.engine = ("native", "lean")
    history = mt.meta_train(trained, Unequal(), 6, **quiet)
    losses, end = by_hand(6, 4)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-6)
    for name, value in numbers(theta(trained)).items():
        np.testing.assert_allclose(value, end[name], rtol=1e-5, atol=1e-8)


def test_several_processes_share_tasks_of_unequal_size():
    losses, end = by_hand(6, 5)
    for history, shared in together(2, ranks.training, 6, {}, Unequal()):
        np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
        for name, value in shared.items():
            np.testing.assert_allclose(value, end[name], rtol=1e-7, atol=1e-10)
