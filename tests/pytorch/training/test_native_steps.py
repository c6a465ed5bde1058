"""Whole outer steps in native code: the numbers, the events and the errors of the plain stepper."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import perceptron, with_new_parameters
from small_runs import Failing, Scaled, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import loop as training
from maml_edu.pytorch.training import stepper
from maml_edu.pytorch.training.history import History
from maml_edu.tasks import Sinusoids, TaskBatch

pytest.importorskip("numba", reason="numba is not installed: there are no native steps")

from maml_edu.pytorch.fast import threads
from maml_edu.pytorch.fast.kernels import atomics, outer
from maml_edu.pytorch.fast.kernels import perceptron as kernels
from maml_edu.pytorch.training import native_steps

quiet = {"progress": False, "device": "cpu", "meta_batch": 5}


def learner(seed=0, widths=(1, 12, 9, 1), bias=True, loss=F.mse_loss, **options):
    """A new learner in float64; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    model = with_new_parameters(perceptron(rng, widths, bias), rng)
    return mt.MAML(model, loss, **{"inner_lr": 0.05, **options})


def plainly(monkeypatch):
    """From here on `meta_train` takes plain steps."""
    monkeypatch.setattr(training, "stepper_for", stepper.PlainStepper)


def trained_both_ways(monkeypatch, make, tasks, iterations=70, **options):
    """(learner, history) by native steps, then by plain ones; tasks: makes a family."""
    found = []
    for way in ("native", "plain"):
        if way == "plain":
            plainly(monkeypatch)
        own = make()
        found.append((own, mt.meta_train(own, tasks(), iterations, **quiet | options)))
    return found


def difference(a, b):
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def assert_equal_runs(native, plain, limit=1e-10):
    assert difference(theta(native[0]), theta(plain[0])) < limit
    assert np.allclose(native[1].loss, plain[1].loss, rtol=1e-9)


@pytest.fixture
def taken(monkeypatch):
    """The numbers of steps that native calls have taken."""
    lengths = []
    known = native_steps.NativeStepper._native

    def counting(self, *arguments):
        lengths.append(known(self, *arguments))
        return lengths[-1]

    monkeypatch.setattr(native_steps.NativeStepper, "_native", counting)
    return lengths


class Labelled:
    """Three-way tasks in two dimensions, whose labels are drawn with the examples."""

    def sample(self, rng, tasks=25):
        x, y = rng.normal(size=(tasks, 9, 2)), rng.integers(3, size=(tasks, 9))
        return TaskBatch(x[:, :4], y[:, :4], x[:, 4:], y[:, 4:])


RUNS = {
    "as in the paper": ({}, {}),
    "five steps": ({"inner_steps": 5}, {}),
    "no inner step": ({"inner_steps": 0}, {}),
    "first order": ({"first_order": True, "inner_steps": 2}, {}),
    "only the head adapts": ({"adapting": "2."}, {}),
    "losses at every step": ({"inner_steps": 2, "query_weights": (0.2, 0.3, 0.5)}, {}),
    "no biases": ({"bias": False}, {}),
    "one layer": ({"widths": (1, 1)}, {}),
    "cosine": ({}, {"schedule": "cosine"}),
    "clipped": ({}, {"clip": 0.05}),
    "clipped, no biases": ({"bias": False}, {"clip": 0.05}),
    "another rate": ({}, {"meta_lr": 0.02}),
}


@pytest.mark.parametrize("name", RUNS)
def test_native_steps_end_where_plain_ones_end(name, monkeypatch, taken):
    options, training_options = RUNS[name]
    native, plain = trained_both_ways(
        monkeypatch, lambda: learner(**options), lambda: Sinusoids(4), **training_options
    )
    assert_equal_runs(native, plain)
    assert sum(len(losses) for losses in taken) == 70 and max(map(len, taken)) > 30


def test_rates_of_their_own_and_frozen_parameters_are_as_in_plain_steps(monkeypatch, taken):
    def make():
        model = learner().model
        model[0].weight.requires_grad_(False)
        draw = torch.Generator().manual_seed(0)
        moving = {name: p for name, p in model.named_parameters() if p.requires_grad}
        rates = {n: 0.1 * torch.rand(p.shape, generator=draw).double() for n, p in moving.items()}
        return mt.MAML(model, inner_lr=rates)

    native, plain = trained_both_ways(monkeypatch, make, lambda: Sinusoids(4), clip=0.05)
    assert_equal_runs(native, plain)
    assert taken and torch.equal(native[0].model[0].weight, make().model[0].weight)


def test_labels_train_as_in_plain_steps(monkeypatch, taken):
    make = lambda: learner(widths=(2, 8, 3), loss=F.cross_entropy)
    assert_equal_runs(*trained_both_ways(monkeypatch, make, Labelled))
    assert taken


def test_single_precision_agrees_to_its_rounding(monkeypatch):
    def make():
        torch.manual_seed(0)
        return mt.MAML(mt.MLP(1, 12, 1))

    native, plain = trained_both_ways(monkeypatch, make, lambda: Sinusoids(4))
    assert 0 < difference(theta(native[0]), theta(plain[0])) < 1e-5


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    ends = []
    monkeypatch.setattr(native_steps, "WORTH_A_THREAD", 0)
    for number in (1, 2, 3):
        monkeypatch.setattr(threads, "budget", lambda own=number: own)
        ends.append(learner(inner_steps=2))
        mt.meta_train(ends[-1], Sinusoids(4), 90, **quiet | {"meta_batch": 7})
    assert same(theta(ends[0]), theta(ends[1])) and same(theta(ends[0]), theta(ends[2]))


def test_callbacks_find_the_parameters_of_their_iteration(monkeypatch):
    seen = []
    watched, alone = learner(), learner()
    mt.meta_train(
        watched, Sinusoids(4), 70, callbacks=[(7, lambda i, h, own: seen.append(theta(own)))], **quiet
    )  # fmt: skip
    mt.meta_train(alone, Sinusoids(4), 70, **quiet)
    assert same(theta(watched), theta(alone)) and same(seen[-1], theta(alone))
    fresh = learner()
    mt.meta_train(fresh, Sinusoids(4), 21, **quiet)
    assert same(seen[2], theta(fresh))


@pytest.mark.parametrize("plain", ["first", "second"])
def test_a_checkpoint_is_taken_up_by_either_kind_of_step(plain, tmp_path, monkeypatch):
    through = learner()
    mt.meta_train(through, Sinusoids(4), 60, **quiet)
    for part, iterations in (("first", 25), ("second", 60)):
        with monkeypatch.context() as patch:
            if part == plain:
                plainly(patch)
            own = learner()
            history = mt.meta_train(own, Sinusoids(4), iterations, checkpoint=tmp_path, **quiet)
    assert len(history) == 60
    assert difference(theta(own), theta(through)) < 1e-12


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    through = learner()
    expected = mt.meta_train(through, Sinusoids(4), 100, **quiet)
    for iterations in (13, 77, 100):
        own = learner()
        history = mt.meta_train(own, Sinusoids(4), iterations, checkpoint=tmp_path, **quiet)
    assert same(theta(own), theta(through)) and history.loss == expected.loss


# ------------------------------------------------------------------ what the kernel cannot take


def other_shape(batch):
    return TaskBatch(batch.support_x[:, 1:], batch.support_y[:, 1:], batch.query_x, batch.query_y)


def test_a_batch_of_another_shape_is_taken_in_its_turn(monkeypatch, taken):
    tasks = lambda: Failing(30, other_shape)
    assert_equal_runs(*trained_both_ways(monkeypatch, learner, tasks))
    assert len(taken) >= 3


def test_a_batch_with_masks_is_taken_in_its_turn(monkeypatch, taken):
    class Masked(Sinusoids):
        draws_ahead = True

        def sample(self, rng, tasks=25):
            batch = super().sample(rng, tasks)
            if rng.random() > 0.1:
                return batch
            mask = np.arange(self.shots) < rng.integers(1, 1 + self.shots, size=(tasks, 1))
            return TaskBatch(*batch.arrays, support_mask=mask)

    assert_equal_runs(*trained_both_ways(monkeypatch, learner, lambda: Masked(4)))
    assert 40 < sum(map(len, taken)) < 70 and len(taken) < 40


def test_labels_that_the_loss_ignores_are_left_to_the_plain_step(monkeypatch, taken):
    class Ignoring(Labelled):
        def sample(self, rng, tasks=25):
            batch = super().sample(rng, tasks)
            if rng.random() < 0.1:
                batch.query_y[0, 0] = -100
            return batch

    make = lambda: learner(widths=(2, 8, 3), loss=F.cross_entropy)
    assert_equal_runs(*trained_both_ways(monkeypatch, make, Ignoring))
    assert 0 < sum(map(len, taken)) < 70


def test_divergence_is_found_at_its_iteration_with_the_parameters_from_before(monkeypatch):
    before = learner()
    mt.meta_train(before, Sinusoids(5), 29, **quiet)
    own = learner()
    with pytest.raises(mt.TrainingDiverged, match=r"iteration 30.*in 1 of 5 tasks \(number 3") as e:
        mt.meta_train(own, Failing(30, Scaled(1e200, task=3)), 70, **quiet)
    assert same(theta(own), theta(before)) and len(e.value.history) == 29


def test_a_huge_loss_stops_training_although_it_is_finite():
    with pytest.raises(mt.TrainingDiverged, match="iteration 12"):
        mt.meta_train(learner(), Failing(12, Scaled(1e8)), 70, **quiet)


def test_an_error_of_the_tasks_comes_at_its_iteration(tmp_path):
    before, own = learner(), learner()
    mt.meta_train(before, Sinusoids(5), 19, **quiet)
    with pytest.raises(RuntimeError, match="no more tasks") as error:
        mt.meta_train(own, Failing(20, RuntimeError("no more tasks")), 70, **quiet)
    assert same(theta(own), theta(before)) and len(error.value.history) == 19


def test_a_schedule_that_gives_no_number_is_named_with_its_iteration():
    schedule = lambda i: 1.0 if i < 10 else float("nan")
    with pytest.raises(ValueError, match="factor nan") as error:
        mt.meta_train(learner(), Sinusoids(4), 70, schedule=schedule, **quiet)
    assert "iteration 11" in "".join(error.value.__notes__)


# ------------------------------------------------------------------ who gets them


def kind_for(own, **options):
    plan = stepper.Plan(10, 5, 1e-3, 0, **options)
    return type(training.stepper_for(own, Sinusoids(4), plan, History()))


def test_perceptrons_with_adam_get_native_steps():
    assert kind_for(learner()) is native_steps.NativeStepper
    assert kind_for(mt.FOMAML(mt.MLP(1, 8, 1))) is native_steps.NativeStepper
    assert kind_for(mt.ANIL(mt.MLP(1, 8, 1), head="2.")) is native_steps.NativeStepper
    assert kind_for(mt.Reptile(mt.MLP(1, 8, 1))) is native_steps.NativeStepper
    assert kind_for(mt.IMAML(mt.MLP(1, 8, 1))) is native_steps.NativeStepper


@pytest.mark.parametrize(
    "own, options",
    [
        (learner, {"optimiser": "sgd"}),
        (learner, {"clip": ("value", 1.0)}),
        (lambda: learner(engine="plain"), {}),
        (lambda: learner(engine=("closed", "native")), {}),
        (lambda: learner(learn_inner_lr=True), {}),
        (lambda: mt.Reptile(mt.MLP(1, 8, 1), engine="plain"), {}),
        (lambda: mt.MAMLpp(mt.MLP(1, 8, 1)), {}),
        (lambda: mt.MAML(torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh())), {}),
    ],
)
def test_everything_else_gets_plain_steps(own, options):
    assert kind_for(own(), **options) is stepper.PlainStepper


# ------------------------------------------------------------------ threads among themselves


def test_counters_lose_nothing_between_threads():
    from numba import njit

    @njit(nogil=True)
    def count(counters, times):
        for _ in range(times):
            atomics.add(counters, 1, 2)

    counters = np.zeros(3, np.int64)
    workers = [threading.Thread(target=count, args=(counters, 100_000)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counters.tolist() == [0, 800_000, 0]


def test_a_thread_whose_first_never_comes_goes_home():
    counters = outer.Counters(np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(1, np.int64))
    assert outer.is_released(counters, 0, outer.PATIENCE)
    assert not outer.is_released(counters, 1, outer.PATIENCE)  # after a while
    counters.released[0] = -1
    assert not outer.is_released(counters, 0, outer.PATIENCE)


@pytest.fixture
def three_threads(monkeypatch):
    """Work for three threads at every step, however small; those beside the first soon begin anew."""
    monkeypatch.setattr(native_steps, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(native_steps, "CALLS", 5)
    monkeypatch.setattr(threads, "budget", lambda: 3)


def batches(count):
    rng = np.random.default_rng(3)
    return [Sinusoids(4).sample(rng, tasks=7) for _ in range(count)]


BETWEEN_TWO_STEPS = {
    "nothing": lambda step, other: None,
    "a rest": lambda step, other: time.sleep(0.02),
    "somebody else's step": lambda step, other: other(batches(1)[0]),
    "somebody else's steps": lambda step, other: other(batches(4)),
    "a meta-gradient": lambda step, other: step.learner.meta_gradient(batches(1)[0]),
    "an adaptation": lambda step, other: step.learner.adapt(*batches(1)[0].arrays[:2]),
}


@pytest.mark.parametrize("name", BETWEEN_TWO_STEPS)
def test_a_step_a_call_is_the_same_to_the_bit_whatever_happens_between(name, three_threads):
    ends, losses = [learner(inner_steps=2) for _ in range(2)], []
    expected = mt.OuterStep(ends[0])(batches(24))
    step, other = mt.OuterStep(ends[1]), mt.OuterStep(learner(1, inner_steps=2))
    for batch in batches(24):
        losses.append(step(batch))
        BETWEEN_TWO_STEPS[name](step, other)
    assert losses == expected and same(theta(ends[0]), theta(ends[1]))


def test_threads_stand_by_for_the_next_step_and_go_home_when_none_comes(three_threads):
    step, calls = mt.OuterStep(learner()), []
    for batch in batches(3):
        step(batch)
        calls.append(step.stepper.crew)
    assert calls[0] is calls[1] is calls[2] and len(calls[0].helpers) == 2
    futures.wait(calls[0].helpers, timeout=10)
    assert all(helper.done() for helper in calls[0].helpers)


def test_a_step_that_was_interrupted_is_not_taken_for_the_next_one(three_threads, monkeypatch):
    own, (first, second, *_) = learner(), batches(3)
    step = mt.OuterStep(own)
    step(first)
    known = native_steps._Crew._work

    def interrupted(self, rank, *span):
        known(self, rank, *span)
        if rank == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(native_steps._Crew, "_work", interrupted)
        step(first)
    expected = float(own.meta_gradient(second)[0])
    assert step(second) == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------ what is kept


def test_room_for_a_task_grows_with_its_examples_and_not_with_their_square():
    def bytes_for(examples):
        room = kernels.workspace((1, 40, 40, 1), 1, examples, "f4", 1, 10)
        return sum(array.nbytes for array in room)

    assert bytes_for(20_000) < 2.1 * bytes_for(10_000)


def in_a_process(folder, prepared="", **environment):
    """A function that runs code with a kernel `f` in a new process, and gives the number that it prints.

    prepared: code that runs before the kernels are imported, from a copy of theirs in `folder`/kept.
    """
    package = folder / "kept"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(kernels.__file__).parent, package, ignore=leave)
    start = f"{prepared}\nfrom kept import perceptron; f = perceptron.compiled(perceptron.padded); "
    inherited = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", start + code], cwd=folder, capture_output=True, text=True, check=True,
            env={**inherited, **environment},
        )  # fmt: skip
        return int(done.stdout)

    return run


def test_processes_that_compile_at_the_same_time_do_not_overwrite_each_others_code(tmp_path):
    run = in_a_process(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    files = lambda: {f: f.read_bytes() for f in (tmp_path / "cache").rglob("*.padded-*.nbc")}
    run("print(f(5))")
    first = files()
    for index in (tmp_path / "cache").rglob("*.nbi"):
        index.unlink()  # a second process that has not seen the first one's
    run("print(int(f(5.0)))")
    assert len(first) == 1 and len(files()) == 2 and first.items() <= files().items()


def test_kernels_kept_on_disk_are_not_used_after_any_kernel_file_has_changed(tmp_path):
    """numba looks at a function's own file only, while compiled code holds what it calls in others."""
    run = in_a_process(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    hits = lambda: run("f(5); print(sum(f.stats.cache_hits.values()))")
    assert (hits(), hits()) == (0, 1)
    with open(tmp_path / "kept" / "one_step.py", "a") as file:
        file.write("# changed\n")
    assert hits() == 0


@pytest.mark.parametrize("writable", [True, False])
def test_kernels_are_kept_in_the_users_cache_folder_and_never_in_the_package(writable, tmp_path):
    folder = tmp_path / "cache"
    if not writable:
        folder.write_text("a file, in which no folder can be made")
    elsewhere = f"import pathlib, maml_edu.places as p; p.cache_folder = lambda: pathlib.Path({str(folder)!r})"
    run = in_a_process(tmp_path, elsewhere)
    assert run("import numba; print(f(5)); assert not numba.config.CACHE_DIR") == 16
    assert bool(list(folder.rglob("*.padded-*.nbc"))) == writable
    assert not list((tmp_path / "kept").rglob("*.nb[ci]"))
    assert run("f(5); print(sum(f.stats.cache_hits.values()))") == writable
