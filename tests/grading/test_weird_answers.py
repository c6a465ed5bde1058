"""Whatever plain data an answer gives, every check of the course says WrongAnswer, and nothing else happens.

The answers are the right ones with one part replaced by something odd, and odd things alone.
"""

import contextlib
import itertools
import json
import sys

import numpy as np
import pytest
from answering_worker import answers_of
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu import places
from maml_edu.checks import plain
from maml_edu.checks.exercise import WrongAnswer, expect, judge, load_chapter, named
from maml_edu.grading.judge import with_exercises

CHAPTERS = with_exercises()
ITEMS = [(chapter, item.id) for chapter in CHAPTERS for item in load_chapter(chapter)]
SOLUTIONS: dict[str, dict] = {}

THINNED = 4  # of the odd parts of an answer to a check that computes much, every fourth is tried
SLOW = {"08.repaired": 12}  # and of this one, whose known mistakes are trainings, every twelfth
DEEP: list = []
for _ in range(plain.DEEPEST - 8):
    DEEP = [DEEP]
ODD = {
    "nothing": None,
    "text": "0.5",
    "no text": "",
    "half a letter": "\ud800",
    "true": True,
    "nan": float("nan"),
    "infinite": float("-inf"),
    "the largest": 1.7e308,
    "a long number": 10**300,
    "beyond int64": 2**64,
    "negative": -(2**63),
    "empty list": [],
    "ragged": [[1.0], [2.0, 3.0], 4.0],
    "words": ["a", "b"],
    "a long word among numbers": ["x" * 4000, *[0] * 2000],
    "a dict": {"": {"": {}}, 3: None},
    "a list of dicts": [{}, {}],
    "deep": DEEP,
    "a pair": (1.0, 2.0),
    "a longer tuple": (1.0, 2.0, 3.0, 4.0, 5.0),
    "a function": named("double_well"),
    "empty array": np.zeros(0),
    "of an odd shape": np.zeros((0, 4000, 4000)),
    "of many axes": np.ones((1,) * 30),
    "array of words": np.array(["a", "bc"]),
    "array of nan": np.full((2, 3), np.nan),
    "array of bools": np.array([True, False]),
    "big endian": np.arange(3, dtype=">i4"),
    "half precision": np.ones(3, np.float16),
    "bytes": np.arange(4, dtype=np.uint8),
}


def variants(value):
    """(name, value) of everything odd that can stand where `value` stands."""
    yield from ODD.items()
    if isinstance(value, np.ndarray):
        yield from arrays_like(value)
    elif isinstance(value, dict):
        yield "without a key", dict(list(value.items())[1:])
        yield "with a key too many", value | {"more": 1.0}
        for key in list(value)[-1:]:
            for name, odd in variants(value[key]):
                yield f"{key}: {name}", value | {key: odd}
    elif isinstance(value, (list, tuple)):
        yield "one short", value[1:]
        yield "reversed", value[::-1]
        yield "first: ragged", type(value)([ODD["ragged"], *value[1:]])
        for name, odd in variants(value[-1]) if value else ():
            yield f"last: {name}", type(value)([*value[:-1], odd])


def arrays_like(value):
    """Arrays of the right shape and another kind, and the other way about."""
    for dtype in ("?", "u1", "u8", "i1", "f2", "f4", "U3", ">f8"):
        with np.errstate(all="ignore"):
            yield dtype, value.astype(dtype)
    yield "nan", np.full(value.shape, np.nan)
    yield "huge", np.full(value.shape, 1.7e308)
    yield "-1", np.full(value.shape, -1)
    yield "2⁶³", np.full(value.shape, 2**63, np.uint64)
    yield "transposed", value.T
    yield "flat", value.ravel()
    yield "with an axis more", value[None]
    yield "one number", value.ravel()[0].item() if value.size else 0.0
    yield "empty", value[:0]
    yield "twice as long", np.concatenate([value, value])
    yield "a list", value.tolist()


def solution(chapter, item):
    if chapter not in SOLUTIONS:
        SOLUTIONS[chapter] = answers_of(chapter)
    return SOLUTIONS[chapter][item.id]


def sent(value):
    """`value` as it arrives from a box."""
    return plain.from_json(json.loads(json.dumps(plain.to_json(value))))


def outcome(item, answer, cases=1):
    """Either "right" or "wrong"; any other exception is passed on."""
    try:
        judge(item, answer, seed=1, cases=cases)
        return "right"
    except WrongAnswer as wrong:
        assert wrong.reason and len(wrong.reason) < 1000 and len(str(wrong)) < 5000
        return "wrong"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("chapter", "id"), ITEMS, ids=[id for _, id in ITEMS])
def test_a_right_answer_with_one_odd_part_is_judged_and_no_more(chapter, id, monkeypatch):
    item = next(one for one in load_chapter(chapter) if one.id == id)
    right, results, compared = solution(chapter, item), [], []

    def record(*args):
        results.append(plain.call(right, args, item.interface))
        return results[-1]

    def recorded(got, *more, **how):
        compared.append((got, more, how))
        expect(got, *more, **how)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[item.check.__module__], "expect", recorded)
        assert outcome(item, record) == "right"
    alone = len(results) == len(compared) == 1 and compared[0][0] is results[0]
    step = SLOW.get(id) or (1 if alone else THINNED)
    for name, odd in itertools.islice(variants(results[0]), 0, None, step):
        try:
            if alone:
                _, more, how = compared[0]  # all that this check does; what it computes takes time
                with contextlib.suppress(WrongAnswer):
                    expect(sent(odd), *more, **how)
            else:
                answers = iter([sent(odd), *results[1:]])
                outcome(item, lambda *args, more=answers: next(more, results[-1]))
        except Exception as error:
            pytest.fail(f"{id}, {name}: {type(error).__name__}: {error}")


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.sampled_from([value for value in ODD.values() if isinstance(value, np.ndarray)]),
)  # fmt: skip
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.lists(inner, max_size=5).map(tuple)
    | st.dictionaries(st.sampled_from(["w1", "b1", "mean", "ci95", "w", "b"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=10, deadline=None, derandomize=True)
@given(value=anything)
@pytest.mark.parametrize(("chapter", "id"), ITEMS, ids=[id for _, id in ITEMS])
def test_an_answer_of_any_plain_data_is_judged_and_no_more(chapter, id, value):
    item = next(one for one in load_chapter(chapter) if one.id == id)
    outcome(item, lambda *args: sent(value))


def test_every_chapter_with_checks_is_tested_here():
    assert {chapter for chapter, _ in ITEMS} == {
        chapter
        for chapter in places.chapters()
        if (places.course_root() / "course" / chapter / "checks.py").is_file()
    }
