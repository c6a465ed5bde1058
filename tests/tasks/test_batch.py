"""TaskBatch: what fits together is taken, what does not is refused in words."""

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
