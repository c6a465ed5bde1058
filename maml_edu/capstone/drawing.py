"""How a family draws: from its generator alone, new tasks each time, in one shape. Start with `about_drawing`."""

from __future__ import annotations

import contextlib
import copy
import random
import time
from typing import Any

import numpy as np
import torch

from maml_edu.tasks import TaskBatch

from .answers import Check, failed, noted, passed

FEW = 8  # tasks that are drawn where few will do
AT_ONCE = 25  # tasks that are drawn together
MANY = 3000  # tasks that are drawn to see whether one of them is faulty
PATIENCE = 1.0  # seconds for these
_NO_EXAMPLES = (
    "its tasks hold no examples: a policy makes its own by acting, and what x and y are to each other cannot be "
    "asked. "
    "Bring a family of examples; how policies are compared is in chapter 13."
)
_IN_USE = "draw from the rng that sample is given, and from nothing else"


def refuse_policies(family):
    """ValueError for a family in which a policy acts, such as `Navigation`."""
    if hasattr(family, "roll_out") or hasattr(family, "draw_noise"):
        raise ValueError(f"{type(family).__name__}: {_NO_EXAMPLES}")


def drawn(family, seed, tasks: int) -> TaskBatch:
    """A batch of a family; seed: a number, or a generator. Raises ValueError that says what is wrong with it."""
    rng = np.random.default_rng(seed)  # a generator is taken as it is
    if not callable(getattr(family, "sample", None)):
        raise ValueError(
            f"{type(family).__name__} has no method sample(rng, tasks=n): give it one that returns a TaskBatch."
        )
    try:
        batch = TaskBatch.of(family.sample(rng, tasks=tasks))
    except Exception as error:
        raise ValueError(f"sample(rng, tasks={tasks}) gave no TaskBatch: {told(error)}") from error
    if len(batch) != tasks:
        raise ValueError(
            f"sample(rng, tasks={tasks}) gave {len(batch)} tasks: it must give as many as it is asked for."
        )
    return batch


def told(error: Exception) -> str:
    """The kind of an error, with its words if it has any."""
    return (
        f"{type(error).__name__}: {error}"
        if str(error)
        else f"{type(error).__name__}, without words"
    )


def rows_of(batch: TaskBatch) -> list[tuple[np.ndarray, ...]]:
    """(support_x, support_y, query_x, query_y) of each task without padding, as arrays of their own."""
    return [tuple(np.array(_host(part)) for part in task) for task in batch]


def _host(values) -> Any:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def same(some, others) -> bool:
    """Whether two lists of tasks hold the same numbers."""
    return len(some) == len(others) and all(
        np.array_equal(a, b)
        for task, other in zip(some, others, strict=True)
        for a, b in zip(task, other, strict=True)
    )


# ------------------------------------------------------------------ the checks


def about_drawing(family, seed) -> list[Check]:
    """All checks of how tasks are drawn; empty words of later ones where `sample` does not work at all."""
    with _globals_kept():
        try:
            refuse_policies(family)
            drawn(family, seed, 1)
            batch = drawn(family, seed, FEW)
        except ValueError as error:
            return [failed("sample gives a TaskBatch", str(error))]
        first = passed("sample gives a TaskBatch", f"{batch!r}.")
        checks = (_same_seed, _no_memory, _globals_alone, _another_seed, _goes_on, _any_number)
        return [first, *_guarded(checks, family, seed)]


def _guarded(checks, family, seed):
    for check in checks:
        try:
            yield check(family, seed)
        except ValueError as error:  # sample fails now and then
            yield failed(_NAMES[check.__name__], f"{error}")


_NAMES = {
    "_same_seed": "same seed, same tasks",
    "_no_memory": "drawing does not change the family",
    "_globals_alone": "no global random numbers",
    "_another_seed": "another seed, other tasks",
    "_goes_on": "the generator moves on",
    "_any_number": "tasks do not depend on their number",
}


def _tasks(family, seed, number=FEW):
    return rows_of(drawn(family, seed, number))


def _same_seed(family, seed):
    name = _NAMES["_same_seed"]
    _seed_globals(1)
    once = _tasks(family, seed)
    _seed_globals(2)
    again = _tasks(family, seed)
    if same(once, again):
        return passed(name, "two generators of one seed give the same tasks.")
    _seed_globals(1)
    if same(once, _tasks(family, seed)):
        why = "it draws from np.random, random or torch directly"
    elif _copies_agree(family, seed):
        why = "the family remembers what it has drawn before"
    else:
        why = "it draws from a generator of its own, perhaps np.random.default_rng() without a seed"
    return failed(name, f"two generators of one seed give different tasks: {why}. So {_IN_USE}.")


def _copies_agree(family, seed) -> bool:
    """Whether two copies of the family draw the same: then what differs is what it remembers."""
    try:
        return same(*(_tasks(copy.deepcopy(family), seed) for _ in range(2)))
    except Exception:  # what cannot be copied
        return False


def _no_memory(family, seed):
    """Draws in between, and those of another generator, change nothing; nor is an old batch written over."""
    name = _NAMES["_no_memory"]
    one, other = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    batch = drawn(family, one, FEW)
    before = rows_of(batch)
    drawn(family, other, 3)
    mixed = [before, _tasks(family, one)]
    if not same(before, rows_of(batch)):
        return failed(
            name,
            "a batch changes after it was given away: sample fills the same arrays again. Make new ones each time.",
        )
    alone = np.random.default_rng(seed)
    straight = [_tasks(family, alone), _tasks(family, alone)]
    if all(same(a, b) for a, b in zip(mixed, straight, strict=True)):
        return passed(name, "what is drawn in between, by another generator, changes nothing.")
    return failed(
        name,
        "what one generator draws changes with what was drawn before or in between: the family remembers. Keep "
        "nothing "
        f"in `self` while sampling: {_IN_USE}.",
    )


def _globals_alone(family, seed):
    name = _NAMES["_globals_alone"]
    _seed_globals(3)
    before = _fingerprints()
    _tasks(family, seed)
    changed = [where for where, value in _fingerprints().items() if value != before[where]]
    if not changed:
        return passed(name, "random, np.random and torch are left as they were.")
    return failed(
        name,
        f"sample uses or seeds the global generator of {' and '.join(changed)}, and so does the training that "
        f"it would disturb: {_IN_USE}.",
    )


def _another_seed(family, seed):
    name = _NAMES["_another_seed"]
    if same(_tasks(family, seed), _tasks(family, seed + 1)):
        return failed(
            name,
            f"seeds {seed} and {seed + 1} give the same tasks, so that a test would repeat the training: "
            f"{_IN_USE}.",
        )
    return passed(name, "two seeds give two sets of tasks.")


def _goes_on(family, seed):
    name = _NAMES["_goes_on"]
    rng = np.random.default_rng(seed)
    if same(_tasks(family, rng), _tasks(family, rng)):
        return failed(
            name,
            "two draws from one generator give the same tasks: training would see one batch for ever. Draw from "
            "rng "
            "itself, not from a copy, nor from a seed made of it.",
        )
    return passed(name, "a second draw from one generator gives other tasks.")


def _any_number(family, seed):
    """That task 0 is the same in a batch of 4 and of 8: convenient, and no more."""
    name = _NAMES["_any_number"]
    if same(_tasks(family, seed, FEW // 2), _tasks(family, seed, FEW)[: FEW // 2]):
        return passed(name, "the first tasks of a larger batch are those of a smaller one.")
    return noted(
        name,
        "the first tasks of a larger batch are not those of a smaller one: no fault, but compare with the same "
        "`tasks=`.",
    )


def about_lasting(family, seed, first, look) -> list[Check]:
    """What has gone wrong by the end: tasks that are not those of the beginning any more, or a faulty one of many.

    first: the tasks that a generator of `seed` gave first. look(rows): raises ValueError for tasks of another kind.
    """
    with _globals_kept():
        checks = []
        try:
            if not same(first, _tasks(family, seed, len(first))):
                words = (
                    "what one generator draws has changed after many draws: the family remembers how often it was "
                    f"asked, or what. Keep nothing in `self` while sampling: {_IN_USE}."
                )
                checks.append(failed(_NAMES["_no_memory"], words))
            _draw_many(family, seed, look)
        except ValueError as error:
            words = f"it fails now and then: {error}"
            checks.append(failed("tasks of one kind", words))
        return checks


def _draw_many(family, seed, look):
    """MANY more tasks, or as many as there is time for."""
    rng, end = np.random.default_rng([*np.atleast_1d(seed), 4]), time.monotonic() + PATIENCE
    for _ in range(0, MANY, AT_ONCE):
        look(rows_of(drawn(family, rng, AT_ONCE)))
        if time.monotonic() > end:
            return


# ------------------------------------------------------------------ global generators


def _seed_globals(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _fingerprints() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()
    return {
        "random": random.getstate(),
        "np.random": (kind, np.asarray(keys).tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


@contextlib.contextmanager
def _globals_kept():
    """The global generators are afterwards as they were before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
