"""Every model of the zoo on every engine: the textbook loop's numbers, or refused with the reason."""

import shutil

import pytest

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import threads

from . import shared
from .cases import CASES, COMPILED, ENGINES, build
from .oracle import meta_gradient
from .runs import distance, outcome, tolerance

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about hooks, vmap and what is old

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))),
    reason="torch.compile needs a compiler",
)


def test_the_zoo_is_as_large_as_it_says():
    assert len(CASES) >= 250


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_exact_or_refused_with_a_reason(name, engine):
    result = outcome(name, engine)
    assert result.left == []
    if build(name).refused:
        assert result.refused
    elif engine in ("auto", "textbook"):
        assert not result.refused
    assert result.gap <= tolerance(name), f"{result.ran} is off by {result.gap:.1e}"


@needs_compiler
def test_exact_when_compiled():
    """One of those in the table, since each takes half a minute."""
    result = outcome(COMPILED[0], "compiled")
    assert (result.ran, result.left) == ("compiled", [])
    assert result.gap <= tolerance(COMPILED[0])


@pytest.mark.parametrize("make", shared.CASES.values(), ids=shared.CASES.keys())
def test_tasks_on_several_threads_share_nothing(make, monkeypatch):
    """Each task's features are its own, wherever a hook or a forward pass puts them."""
    monkeypatch.setattr(threads, "budget", lambda: 2)
    case, expected = shared.built(make), meta_gradient(shared.built(make))
    learner = mt.MAML(case.model, case.loss, **case.options)
    gaps = [distance(learner.meta_gradient(case.batch), expected) for _ in range(10)]
    assert max(gaps) < 1e-9, learner.ran


def test_what_is_known_of_a_model_does_not_grow():
    """A counter within an object, which each forward pass raises, is no reason to begin again at each step."""
    case = build("counter in a namespace that plays no part")
    learner = mt.MAML(case.model, case.loss, **case.options)
    passes = []
    for _ in range(6):
        before = case.model.state.calls
        learner.meta_gradient(case.batch)
        passes.append(case.model.state.calls - before)
    tasks, steps = 3, 2
    assert max(passes[1:]) <= tasks * (2 * steps + 1)
