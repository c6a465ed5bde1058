"""The lean ways' memory does not grow with the number of inner steps as the plain way's does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from both_ways import random_tasks

import maml_edu.pytorch as mt

TASKS = 2


def peak(work):
    """The most bytes that were allocated at one time by `work`, beyond those before it: torch's own count."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        work()
    events = [e for e in profile.kineto_results.events() if e.name() == "[memory]"]
    sizes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return int(np.cumsum([0, *sizes]).max())


def peaks(engine, all_steps):
    """{K: peak in bytes beyond the path φ₀ … φ_K of every task}."""
    torch.manual_seed(0)
    model = mt.Conv4(3, filters=4, size=16)
    batch = random_tasks(np.random.default_rng(0), (1, 16, 16), 3, "cross-entropy", TASKS, 6, 6)
    theta = sum(p.numel() * p.element_size() for p in model.parameters())
    found = {}
    mt.MAML(model, F.cross_entropy, 0.01, 1, engine=engine).meta_gradient(batch)  # made once
    for steps in all_steps:
        learner = mt.MAML(model, F.cross_entropy, 0.01, steps, engine=engine)
        path = TASKS * (steps + 1) * theta
        found[steps] = peak(lambda own=learner: own.meta_gradient(batch)) - path
    return found


def test_the_count_of_bytes_sees_what_is_alive_and_what_is_not():
    kept = []

    def work():
        for _ in range(5):
            torch.ones(1000, 250)  # freed before the next
        kept.extend(torch.ones(1000, 250) for _ in range(3))

    assert 3_000_000 <= peak(work) < 4_100_000


@pytest.mark.parametrize("engine", ["lean", "threads"])
def test_fifty_inner_steps_take_no_more_activations_than_five(engine):
    found = peaks(engine, (5, 50))
    assert 0 < found[50] <= 2 * found[5], found


def test_the_plain_way_keeps_the_activations_of_every_step():
    """What the test above would see of an engine that keeps its graphs."""
    found = peaks("plain", (5, 20))
    assert found[20] > 2.5 * found[5], found
