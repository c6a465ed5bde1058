"""Threads: torch's own number is put back, numbers do not depend on how many, nothing is shared by mistake."""

import importlib.util
import threading

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
    with_new_parameters,
)
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import structure

numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason='numba is not installed: "maml_edu[fast]"'
)
ENGINES = ["threads", pytest.param("native", marks=numba)]


@pytest.fixture(autouse=True)
def torch_threads():
    """Every test starts with three threads of torch; afterwards there are as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def problem(engine, seed=0, tasks=10, loss=F.mse_loss, model=None, **options):
    rng = np.random.default_rng(seed)
    model = with_new_parameters(model or perceptron(rng, (2, 9, 7, 3), bias=True), rng)
    options = {"inner_lr": 0.1, "inner_steps": 3, "engine": engine, **options}
    return mt.MAML(model, loss, **options), random_tasks(rng, (2,), 3, tasks=tasks)


@pytest.fixture
def trusting(monkeypatch):
    """Losses that watch all threads together are given to the engine, which refuses them otherwise."""
    monkeypatch.setattr(structure, "shares_state", lambda model, *losses: False)


class Failure(Exception):
    """What a loss raises in the tests below."""


def fails_at(call, error):
    """A loss that raises `error` at its `call`-th call after `loss.calls[0] = 0`, over all threads."""
    calls, lock = [-(10**9)], threading.Lock()

    def loss(prediction, target):
        with lock:
            calls[0] += 1
            now = calls[0] == call
        if now:
            raise error
        return F.mse_loss(prediction, target)

    loss.calls = calls
    return loss


def problem_that_fails(call, error):
    """(learner, batch) whose meta-gradient fails, once the engine has been chosen."""
    loss = fails_at(call, error)
    learner, batch = problem("threads", loss=loss)
    learner.meta_gradient(batch)
    loss.calls[0] = 0
    return learner, batch


def in_a_thread(work):
    """What `work` returns or raises in a Python thread of its own."""
    found = []

    def run():
        try:
            found.append((work(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the thread did not end"
    value, error = found[0]
    if error:
        raise error
    return value


# ------------------------------------------------------------------ torch's number of threads


@pytest.mark.parametrize("engine", ENGINES)
def test_the_number_of_threads_is_put_back_after_success(engine):
    learner, batch = problem(engine)
    learner.meta_gradient(batch)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("call", [2, 5, 17, 40])
@pytest.mark.parametrize("error", [Failure("here"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_the_number_of_threads_is_put_back_after_an_error_or_an_interruption(call, error, trusting):
    """Call 40 is far within the tasks."""
    learner, batch = problem_that_fails(call, error)
    with pytest.raises(type(error)):
        learner.meta_gradient(batch)
    assert torch.get_num_threads() == 3
    learner.meta_gradient(batch)  # the pool is still good, and so is the learner
    learner.loss_function = F.mse_loss
    assert disagreement(learner, batch, "threads") < 1e-9
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_that_start_later_have_the_same_number(engine):
    learner, batch = problem(engine)
    learner.meta_gradient(batch)
    assert in_a_thread(torch.get_num_threads) == 3


def test_an_error_within_any_thread_surfaces_with_its_own_words(trusting):
    for call in range(2, 30, 3):
        learner, batch = problem_that_fails(call, Failure(f"at call {call}"))
        with pytest.raises(Failure, match=f"at call {call}$"):
            learner.meta_gradient(batch)


# ------------------------------------------------------------------ results


@numba
@pytest.mark.parametrize("tasks", [1, 2, 7, 16, 25, 40])
def test_native_results_do_not_depend_on_the_number_of_threads_bit_for_bit(tasks):
    learner, batch = problem("native", tasks=tasks, learn_inner_lr=True)
    found = []
    for count in (1, 2, 3, 5):
        torch.set_num_threads(count)
        value, grads = learner.meta_gradient(batch)
        found.append([value, *grads.values()])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("tasks", [1, 2, 7, 16])
def test_results_of_one_task_per_thread_do_not_depend_on_the_number_of_threads(tasks):
    learner, batch = problem("threads", tasks=tasks, learn_inner_lr=True)
    found = []
    for count in (1, 2, 3, 5):
        torch.set_num_threads(count)
        value, grads = learner.meta_gradient(batch)
        found.append([value, *grads.values()])
    for other in found[1:]:
        assert relative(other, found[0]) < 1e-12


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_call_twice_gives_the_same_bits(engine):
    learner, batch = problem(engine)
    first, again = learner.meta_gradient(batch)[1], learner.meta_gradient(batch)[1]
    assert all(torch.equal(first[name], again[name]) for name in first)


# ------------------------------------------------------------------ the module


@pytest.mark.parametrize("engine", ENGINES)
def test_the_module_is_left_as_it_was(engine):
    learner, batch = problem(engine)
    before = {name: (p, p.detach().clone()) for name, p in learner.model.named_parameters()}
    modules = list(learner.model.modules())
    learner.meta_gradient(batch)
    assert all(a is b for a, b in zip(learner.model.modules(), modules, strict=True))
    for name, parameter in learner.model.named_parameters():
        assert parameter is before[name][0] and torch.equal(parameter, before[name][1])
        assert parameter.grad is None and parameter.requires_grad


class ListOfLayers(nn.Module):
    """A module that also keeps its layers in a plain list, as many people's do."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 5), nn.Linear(5, 3)
        self.layers = [self.first, self.last]

    def forward(self, x):
        return self.layers[1](torch.tanh(self.layers[0](x)))


class ForwardOfItsOwn(nn.Module):
    """A module whose forward pass is a bound method, set on the instance."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.forward = self.other

    def other(self, x):
        return torch.tanh(self.layer(x))


@pytest.mark.parametrize("model", [ListOfLayers, ForwardOfItsOwn])
def test_modules_that_know_themselves_by_other_ways_than_their_children(model):
    learner, batch = problem("threads", model=model())
    assert disagreement(learner, batch, "threads") < 1e-9


def test_hooks_of_a_module_run_in_every_thread():
    learner, batch = problem("threads")
    learner.model[0].register_forward_hook(lambda module, inputs, out: torch.sin(out))
    assert disagreement(learner, batch, "threads") < 1e-9


# ------------------------------------------------------------------ two learners at the same time


def at_the_same_time(learners, batches, calls):
    """[results of `calls` meta-gradients] of each learner, all begun together in threads of their own."""
    barrier, found = threading.Barrier(len(learners)), [None] * len(learners)

    def work(number):
        barrier.wait(30)
        found[number] = [learners[number].meta_gradient(batches[number]) for _ in range(calls)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(learners))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_two_learners_in_two_python_threads_do_not_disturb_each_other(engine):
    pairs = [problem(engine, seed, learn_inner_lr=True) for seed in (0, 1)]
    learners, batches = zip(*pairs, strict=True)
    alone = [learner.meta_gradient(batch) for learner, batch in pairs]
    together = at_the_same_time(learners, batches, calls=15)
    for (value, grads), results in zip(alone, together, strict=True):
        assert results is not None, "the thread ended with an error"
        for own_value, own in results:
            assert relative([own_value, *own.values()], [value, *grads.values()]) < 1e-12


@pytest.mark.parametrize("engine", ENGINES)
def test_one_learner_in_two_python_threads_is_right_in_both(engine):
    learner, batch = problem(engine)
    value, grads = learner.meta_gradient(batch)
    for results in at_the_same_time([learner] * 2, [batch] * 2, calls=15):
        assert results is not None, "the thread ended with an error"
        for own_value, own in results:
            assert relative([own_value, *own.values()], [value, *grads.values()]) < 1e-12


class Gate:
    """A loss that stops its first call in a given thread until it is let go."""

    def __init__(self):
        self.reached, self.go, self.thread = threading.Event(), threading.Event(), None

    def __call__(self, prediction, target):
        if threading.current_thread() is self.thread and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(30)
        return F.mse_loss(prediction, target)


def test_the_number_of_threads_is_put_back_after_two_learners_that_overlap(trusting):
    """The first to begin ends first: the second must not put back the one thread that it found."""
    gates = [Gate(), Gate()]
    for seed, gate in enumerate(gates):
        learner, batch = problem("threads", seed, loss=gate)
        learner.meta_gradient(batch)  # the engine is chosen before the gate is in use
        gate.thread = threading.Thread(target=learner.meta_gradient, args=(batch,))
        gate.thread.start()
        assert gate.reached.wait(30)
    for gate in gates:
        gate.go.set()
        gate.thread.join(60)
    torch_now, ours = in_a_thread(torch.get_num_threads), in_a_thread(mt.fast.threads.budget)
    assert (torch_now, ours) == (3, 3)
    torch.set_num_threads(2)
    assert mt.fast.threads.budget() == 2, "a number from before is still remembered"


def test_a_meta_gradient_within_a_python_thread_of_its_own_is_the_same():
    learner, batch = problem("threads")
    value, grads = learner.meta_gradient(batch)
    own_value, own = in_a_thread(lambda: learner.meta_gradient(batch))
    assert relative([own_value, *own.values()], [value, *grads.values()]) < 1e-12


def test_convolutions_in_threads_of_any_number_have_the_plain_meta_gradient():
    rng = np.random.default_rng(0)
    learner = mt.MAML(with_new_parameters(convolutional(), rng), F.cross_entropy, 0.1, 2)
    batch = random_tasks(rng, (2, 6, 6), 3, "cross-entropy", tasks=5)
    for count in (1, 2, 7):
        torch.set_num_threads(count)
        assert disagreement(learner, batch, "threads") < 1e-9
