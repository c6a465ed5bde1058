"""TaskBatch: what fits together is taken, what does not is refused in words."""

import copy
import pickle
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maml_edu.tasks import TaskBatch

SHAPES = {
    "support_x": (3, 4, 2),
    "support_y": (3, 4, 1),
    "query_x": (3, 5, 2),
    "query_y": (3, 5, 1),
}


def arrays(**other_shapes):
    return {name: np.ones(shape) for name, shape in (SHAPES | other_shapes).items()}


def test_a_batch_counts_its_tasks_and_gives_them_one_by_one():
    parts = {name: np.random.default_rng(0).normal(size=shape) for name, shape in SHAPES.items()}
    batch = TaskBatch(**parts)
    tasks = list(batch)
    assert len(batch) == len(tasks) == 3
    for i, task in enumerate(tasks):
        for value, name in zip(task, SHAPES, strict=True):
            np.testing.assert_array_equal(value, parts[name][i])


def test_a_batch_keeps_arrays_and_tensors_as_they_are():
    parts = arrays()
    assert all(getattr(TaskBatch(**parts), name) is value for name, value in parts.items())
    parts = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    assert all(getattr(TaskBatch(**parts), name) is value for name, value in parts.items())


def test_lists_become_arrays():
    batch = TaskBatch([[[1.0], [2.0]]], [[0, 1]], [[[3.0]]], [[1]])
    assert batch.support_x.shape == (1, 2, 1) and batch.query_y.dtype.kind == "i"


def test_a_batch_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        TaskBatch(**arrays()).support_x = np.zeros((1, 1))


def test_labels_need_no_axis_beyond_the_examples():
    batch = TaskBatch(
        **arrays() | {"support_y": np.zeros((3, 4), int), "query_y": np.zeros((3, 5), int)}
    )
    assert batch.query_y.shape == (3, 5)


BAD = {
    "tasks differ": ({"query_x": (2, 5, 2), "query_y": (2, 5, 1)}, "differ in their number of tasks"),
    "support examples differ": ({"support_y": (3, 3, 1)}, "support x and y differ in examples"),
    "query examples differ": ({"query_x": (3, 4, 2)}, "query x and y differ in examples"),
    "inputs differ": ({"query_x": (3, 5, 3)}, "support and query examples differ in shape"),
    "no example axis": ({"support_y": (3,)}, r"each array needs the axes \(tasks, examples"),
    "one number": ({"support_y": ()}, r"each array needs the axes \(tasks, examples"),
    "no tasks": ({name: (0, *shape[1:]) for name, shape in SHAPES.items()}, "the batch is empty"),
    "no queries": ({"query_x": (3, 0, 2), "query_y": (3, 0, 1)}, "the batch is empty"),
    "no inputs": ({"support_x": (3, 4, 0), "query_x": (3, 5, 0)}, "the batch is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("made", [np.ones, torch.ones], ids=["arrays", "tensors"])
def test_shapes_that_do_not_fit_are_listed(case, made):
    shapes, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        TaskBatch(**{name: made(shape) for name, shape in (SHAPES | shapes).items()})
    assert all(f"{name} {shape}" in str(caught.value) for name, shape in shapes.items())


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("made", [np.asarray, torch.as_tensor], ids=["arrays", "tensors"])
def test_nan_and_infinity_are_named(name, bad, made):
    parts = arrays()
    parts[name][1, 2, 0] = bad
    with pytest.raises(ValueError, match=f"{name} contains NaN or infinity: look at the data"):
        TaskBatch(**{key: made(value) for key, value in parts.items()})


def test_a_ragged_list_is_named():
    with pytest.raises(ValueError, match="support_x is not a regular array"):
        TaskBatch(**arrays() | {"support_x": [[[1.0]], [[1.0], [2.0]]]})


def test_text_is_no_data():
    words = np.full((2, 3, 1), "a")
    with pytest.raises(ValueError, match="support_x must hold numbers"):
        TaskBatch(words, words, words, words)


def test_what_is_no_array_of_numbers_is_no_data():
    with pytest.raises(ValueError, match="support_x must hold numbers; its dtype is object"):
        TaskBatch(**arrays() | {"support_x": None})


def test_complex_tensors_with_nan_are_refused():
    parts = {name: torch.ones(shape, dtype=torch.complex64) for name, shape in SHAPES.items()}
    parts["query_y"][0, 0, 0] = complex("nan")
    with pytest.raises(ValueError, match="query_y contains NaN"):
        TaskBatch(**parts)


def test_the_repr_is_one_line_of_shapes_and_dtypes():
    batch = TaskBatch(**arrays() | {"support_y": torch.ones(3, 4, 1)}, query_mask=np.ones((3, 5)))
    assert repr(batch) == (
        "TaskBatch(support_x (3, 4, 2) float64, support_y (3, 4, 1) float32, query_x (3, 5, 2) float64, "
        "query_y (3, 5, 1) float64, query_mask (3, 5) bool)"
    )


def test_a_batch_is_pickled_and_copied_with_its_masks():
    batch = pickle.loads(pickle.dumps(copy.deepcopy(ragged())))
    assert_batches_equal(batch, ragged())


# ------------------------------------------------------------------ whatever holds a batch


def test_of_takes_a_batch_an_object_with_its_fields_and_four_arrays():
    batch = TaskBatch(**arrays())
    assert TaskBatch.of(batch) is batch
    assert TaskBatch.of(SimpleNamespace(**arrays())).query_x.shape == (3, 5, 2)
    for four in (batch.arrays, list(batch.arrays)):
        assert_batches_equal(TaskBatch.of(four), batch)
    masked = TaskBatch.of(
        SimpleNamespace(**arrays(), query_mask=np.ones((3, 5)), support_mask=None)
    )
    assert masked.query_mask.dtype == bool and masked.support_mask is None


def test_of_goes_by_the_names_of_a_namedtuple_not_by_their_order():
    Backwards = namedtuple("Backwards", reversed(SHAPES))
    parts = {name: np.full(shape, n) for n, (name, shape) in enumerate(SHAPES.items())}
    assert_batches_equal(TaskBatch.of(Backwards(**parts)), TaskBatch(**parts))


@pytest.mark.parametrize(("other", "words"), [
    (None, "got NoneType"),
    (5, "got int"),
    ("text", "got str"),
    ({"support_x": 1}, "got dict"),
    (np.ones((4, 3, 2)), "got ndarray"),
    ((np.ones((3, 4)),) * 2, "got a tuple of 2"),
    ([np.ones((3, 4))] * 6, "got a list of 6"),
    ([(np.ones((4, 2)),) * 4] * 4, r"a list of 4 tasks: TaskBatch.padded\(tasks\) joins them"),
])  # fmt: skip
def test_of_says_what_a_batch_is(other, words):
    with pytest.raises(ValueError, match=f"a batch is a TaskBatch, an object with .*{words}"):
        TaskBatch.of(other)


# ------------------------------------------------------------------ tasks of unequal size

SIZES = (4, 2), (1, 3), (4, 2), (2, 3)  # support and query examples of four tasks


def ragged_tasks(made=np.asarray):
    rng = np.random.default_rng(0)
    return [
        tuple(made(rng.normal(size=(n, *rest))) for n in sizes for rest in ((2,), ()))
        for sizes in SIZES
    ]


def ragged(made=np.asarray):
    return TaskBatch.padded(ragged_tasks(made))


def assert_tasks_equal(task, expected):
    for values, others in zip(task, expected, strict=True):
        assert type(values) is type(others) and values.dtype == others.dtype
        np.testing.assert_array_equal(values, others)


def assert_batches_equal(one, other):
    for name in (*SHAPES, "support_mask", "query_mask"):
        a, b = getattr(one, name), getattr(other, name)
        assert a is b is None or np.array_equal(a, b), name


both = pytest.mark.parametrize("made", [np.asarray, torch.as_tensor], ids=["arrays", "tensors"])


@both
def test_padding_is_told_by_masks_and_left_out_task_by_task(made):
    batch = ragged(made)
    assert batch.support_x.shape == (4, 4, 2) and batch.query_y.shape == (4, 3)
    masks = batch.support_mask, batch.query_mask
    for mask, sizes in zip(masks, zip(*SIZES, strict=True), strict=True):
        assert type(mask) is type(batch.support_x) and str(mask.dtype).endswith("bool")
        assert mask.sum(1).tolist() == list(sizes)
    assert batch.support_x[1, 1:].sum() == 0
    for task, expected in zip(batch, ragged_tasks(made), strict=True):
        assert_tasks_equal(task, expected)


@both
def test_groups_hold_tasks_of_equal_size_and_nothing_else(made):
    tasks, seen = ragged_tasks(made), []
    for numbers, group in ragged(made).groups():
        assert group.support_mask is None and group.query_mask is None
        for number, task in zip(numbers, group, strict=True):
            assert_tasks_equal(task, tasks[number])
        seen += numbers
    assert sorted(seen) == [0, 1, 2, 3]
    assert [numbers for numbers, _ in ragged(made).groups()] == [[1], [3], [0, 2]]


@both
def test_groups_take_real_examples_in_order_wherever_the_padding_is(made):
    x = made(np.arange(8.0).reshape(2, 4))
    mask = made(np.array([[0, 1, 0, 1], [1, 0, 1, 0]]))
    [(numbers, group)] = TaskBatch(x, x, x, x, support_mask=mask).groups()
    assert numbers == [0, 1] and group.support_x.tolist() == [[1, 3], [4, 6]]
    assert group.query_y.tolist() == x.tolist()


def test_a_batch_without_masks_is_one_group():
    batch = TaskBatch(**arrays())
    assert batch.groups() == [(range(3), batch)]


def test_gradients_flow_through_padding_and_groups():
    x = [torch.ones(n, 1, requires_grad=True) for n in (1, 2)]
    batch = TaskBatch.padded([(own, own.detach(), own.detach(), own.detach()) for own in x])
    sum(
        (n + 1) * group.support_x.sum() for numbers, group in batch.groups() for n in numbers
    ).backward()
    assert [own.grad.tolist() for own in x] == [[[1.0]], [[2.0], [2.0]]]


@both
def test_a_part_of_a_batch_is_some_of_its_tasks_with_their_masks(made):
    part = ragged(made).part(1, 3)
    assert len(part) == 2 and part.support_mask.shape == (2, 4)
    for task, expected in zip(part, ragged_tasks(made)[1:3], strict=True):
        assert_tasks_equal(task, expected)
    whole = TaskBatch(**arrays()).part(0, 3)
    assert len(whole) == 3 and whole.query_mask is None


@pytest.mark.parametrize(("first", "last"), [(0, 0), (2, 1), (-1, 2), (0, 5)])
def test_tasks_that_are_not_there_are_no_part(first, last):
    with pytest.raises(ValueError, match="not part of a batch of 4"):
        ragged().part(first, last)


def test_map_changes_the_arrays_and_keeps_the_masks():
    batch = ragged()
    mapped = batch.map(lambda array: torch.as_tensor(array, dtype=torch.float32))
    assert mapped.query_y.dtype == torch.float32 and mapped.support_mask is batch.support_mask
    for task, expected in zip(mapped, batch, strict=True):
        for values, others in zip(task, expected, strict=True):
            np.testing.assert_allclose(values, others, rtol=1e-6)
    with pytest.raises(ValueError, match="query_mask has shape"):
        TaskBatch(*batch.arrays, query_mask=batch.query_mask).map(lambda array: array[:, :1])
    with (
        pytest.raises(ValueError, match="support_x contains NaN or infinity"),
        np.errstate(all="ignore"),
    ):
        batch.map(lambda array: array * np.inf)


@both
def test_nan_is_looked_for_in_real_examples_only(made):
    batch = ragged()
    batch.support_x[~batch.support_mask] = np.nan
    parts, masks = map(made, batch.arrays), map(made, (batch.support_mask, batch.query_mask))
    kept = TaskBatch(*parts, *masks)
    assert all(np.isfinite(np.asarray(group.support_x)).all() for _, group in kept.groups())
    batch.support_x[1, 0] = np.nan
    with pytest.raises(ValueError, match="support_x contains NaN"):
        TaskBatch(*map(made, batch.arrays), made(batch.support_mask))


@both
@pytest.mark.parametrize(("mask", "words"), [
    (np.ones((3, 4)), r"query_mask has shape \(3, 4\); it needs one entry per example, \(3, 5\)"),
    (np.ones(3), r"query_mask has shape \(3,\)"),
    (np.full((3, 5), 2), "must be True for a real example and False for padding"),
    (np.full((3, 5), np.nan), "must be True for a real example and False for padding"),
    (np.arange(15).reshape(3, 5) < 10, "query_mask leaves task 2 without a real example"),
])  # fmt: skip
def test_a_mask_that_tells_nothing_is_refused(made, mask, words):
    with pytest.raises(ValueError, match=words):
        TaskBatch(**arrays(), query_mask=made(mask))


def test_text_is_no_mask():
    with pytest.raises(ValueError, match="query_mask must hold numbers"):
        TaskBatch(**arrays(), query_mask=np.full((3, 5), "yes"))


def test_whole_and_real_labels_of_arrays_are_padded_to_what_holds_both():
    one, two = ([[0.5]], [1], [[0.5]], [1]), ([[0.5]], [0.25], [[0.5]], [1])
    batch = TaskBatch.padded([one, two])
    assert batch.support_y.tolist() == [[1.0], [0.25]] and batch.query_y.dtype.kind == "i"


def task(n=2, m=2, **other):
    sizes = (n, n, m, m)
    parts = {name: np.ones((k, *SHAPES[name][2:])) for name, k in zip(SHAPES, sizes, strict=True)}
    return tuple((parts | other).values())


@pytest.mark.parametrize(("tasks", "words"), [
    ([], "the batch is empty: give at least one task"),
    ([task(), task()[:3]], "task 1 must be a tuple of support_x, .*; got a tuple of 3"),
    ([task(), TaskBatch(**arrays())], "task 1 must be a tuple .*; got TaskBatch"),
    ([task(), task(support_x=np.ones((2, 7)))], r"support_x differ in shape: \(2,\) in task 0, \(7,\) in"),
    ([task(), task(support_y=np.ones((3, 1)))], "task 1: support_x has 2 examples, support_y has 3"),
    ([task(), task(n=0)], r"task 1: support_x has shape \(0, 2\); it needs"),
    ([task(), task(query_y=np.float64(1))], r"task 1: query_y has shape \(\)"),
    ([task(), task(query_x=np.full((2, 2), "a"))], "task 1: query_x must hold numbers"),
    ([task(), task(query_x=[[1.0], [1.0, 2.0]])], "task 1: query_x is not a regular array"),
    ([task(), task(query_x=torch.ones(2, 2))], "query_x is an array in some tasks and a tensor in others"),
    ([task(query_y=torch.ones(2, 1).to(kind)) for kind in (float, int)], "query_y has another dtype in some"),
    ([task(), task(query_x=np.full((2, 2), np.inf))], "query_x contains NaN or infinity"),
])  # fmt: skip
def test_tasks_that_do_not_make_one_batch_are_named(tasks, words):
    with pytest.raises(ValueError, match=words):
        TaskBatch.padded(tasks)
