"""The transformer that reads the support set: who sees what, what is refused, and that training helps."""

import numpy as np
import pytest
import torch

import maml_edu.pytorch as mt
from maml_edu.pytorch.in_context import share_of_rate
from maml_edu.tasks import Sinusoids, TaskBatch


def small(**sizes):
    torch.manual_seed(0)
    return mt.InContext(**{"layers": 2, "width": 8, "heads": 2, "hidden": 12, **sizes}).double()


def arrays(shots=4, queries=6, tasks=3):
    return Sinusoids(shots, queries).sample(np.random.default_rng(0), tasks).arrays[:3]


def test_the_default_has_as_many_parameters_as_its_docstring_says():
    count = sum(p.numel() for p in mt.InContext().parameters())
    assert f"{count:,} parameters" in mt.InContext.__doc__


@pytest.mark.parametrize("shots", [1, 4, 30])
def test_any_number_of_points_may_be_read(shots):
    model, given = small(), arrays(shots)
    weights = model.attention(*given)
    assert model(*given).shape == (3, 6, 1)
    assert weights.shape == (3, 6, shots)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 6, dtype=torch.float64))


def test_a_query_does_not_see_the_other_queries():
    model, (x, y, asked) = small(), arrays()
    others = asked.copy()
    others[:, 1:] = 100.0
    torch.testing.assert_close(model(x, y, asked)[:, 0], model(x, y, others)[:, 0])
    torch.testing.assert_close(model(x, y, asked)[:, :1], model(x, y, asked[:, :1]))


def test_a_query_sees_every_pair():
    model, (x, y, asked) = small(), arrays()
    for i in range(4):
        other = y.copy()
        other[:, i] += 1
        assert (model(x, y, asked) != model(x, other, asked)).all()


def test_the_order_of_the_pairs_does_not_matter():
    model, (x, y, asked) = small(), arrays()
    order = [2, 0, 3, 1]
    torch.testing.assert_close(model(x, y, asked), model(x[:, order], y[:, order], asked))
    torch.testing.assert_close(
        model.attention(x, y, asked)[..., order], model.attention(x[:, order], y[:, order], asked)
    )


def test_tasks_do_not_see_each_other():
    model, given = small(), arrays()
    alone = model(*(values[1:2] for values in given))
    torch.testing.assert_close(model(*given)[1:2], alone)


def test_attention_is_the_softmax_of_the_last_layer():
    model, (x, y, asked) = small(layers=1, heads=1), arrays()
    layer = model.layers[0]
    pairs = layer.norm(model.read_pair(torch.tensor(np.concatenate([x, y], -1))))
    queries = layer.query(layer.norm(model.read_query(torch.tensor(asked))))
    keys = layer.key_value(pairs)[..., :8]
    expected = (queries @ keys.mT / 8**0.5).softmax(-1)
    torch.testing.assert_close(model.attention(x, y, asked), expected)


def test_several_inputs_and_outputs():
    model = small(inputs=3, outputs=2)
    x, y, asked = np.zeros((2, 5, 3)), np.zeros((2, 5, 2)), np.ones((2, 7, 3))
    assert model(x, y, asked).shape == (2, 7, 2)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, lambda v: v[..., 0], "support_x must have the shape"),
        (1, lambda v: np.concatenate([v, v], -1), "support_y must have the shape"),
        (2, lambda v: v[:, :0], "query_x must have the shape"),
        (1, lambda v: v[:, :2], "one y for each x"),
        (2, lambda v: v[:1], "same tasks"),
        (0, lambda v: v * np.nan, "support_x contains NaN"),
        (1, lambda v: v + np.inf, "support_y contains NaN or infinity"),
        (2, lambda v: v * np.nan, "query_x contains NaN"),
    ],
)
def test_what_does_not_fit_is_refused(place, change, message):
    given = list(arrays())
    given[place] = change(given[place])
    with pytest.raises(ValueError, match=message):
        small()(*given)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"layers": 0}, "layers"), ({"width": 8.0}, "width"), ({"heads": 3}, "multiple of heads")],
)
def test_bad_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        small(**sizes)


def test_training_helps_and_can_be_repeated():
    def run():
        model = small()
        return mt.train_in_context(model, Sinusoids(4), 150, meta_lr=0.01, progress=False), model

    (losses, model), (again, twin) = run(), run()
    assert losses[-50:].mean() < 0.9 * losses[:20].mean()
    np.testing.assert_array_equal(losses, again)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


def test_training_reads_every_number_of_points():
    seen, model = set(), small()
    forward = model._read
    model._read = lambda x, y, asked: (seen.add(x.shape[1]), forward(x, y, asked))[1]
    mt.train_in_context(model, Sinusoids(4), 60, meta_batch=2, progress=False)
    assert seen == {1, 2, 3, 4}


def test_the_callback_is_called_after_each_iteration():
    done = []
    model = small()
    mt.train_in_context(
        model, Sinusoids(2), 3, progress=False, callback=lambda n, m: done.append((n, m is model))
    )
    assert done == [(1, True), (2, True), (3, True)]


def test_the_rate_rises_then_falls():
    shares = [share_of_rate(done, 1000) for done in range(1000)]
    top = int(np.argmax(shares))
    assert 95 <= top <= 100 and shares[top] > 0.95
    assert shares[0] == pytest.approx(0.01) and shares[-1] == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": torch.nn.Linear(1, 1)}, "must be an InContext"),
        ({"tasks": Sinusoids}, "sample"),
        ({"iterations": 0}, "iterations"),
        ({"meta_batch": 1.5}, "meta_batch"),
        ({"meta_lr": -1}, "meta_lr"),
        (
            {"tasks": type("Wide", (), {"sample": lambda self, rng, tasks: wide(tasks)})()},
            "query_y",
        ),
    ],
)
def test_training_refuses_what_it_cannot_use(changed, message):
    arguments = {"model": small(), "tasks": Sinusoids(3), "iterations": 2, **changed}
    with pytest.raises(ValueError, match=message):
        mt.train_in_context(**arguments, progress=False)


def wide(tasks):
    """A batch whose query targets have one number too many."""
    ones = np.ones((tasks, 3, 1))
    return TaskBatch(ones, ones, ones, np.ones((tasks, 3, 2)))


def test_a_loss_that_is_no_number_ends_training():
    model = small()
    with torch.no_grad():
        model.answer.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="smaller meta_lr"):
        mt.train_in_context(model, Sinusoids(3), 2, progress=False)
