"""What may differ on a GPU: every engine in float64, recurrent layers, attention, metrics, generators."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.fast import trial
from maml_edu.tasks import Sinusoids, TaskBatch

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
GPU = "cuda"
TASKS, SHOTS, LONG, WIDE = 3, 5, 4, 6  # of a batch; sequences are LONG, of WIDE numbers


class Last(nn.Module):
    """A recurrent layer, of whose last output a number is made."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer(WIDE, 5, batch_first=True), nn.Linear(5, 1)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def transformer():
    layer = nn.TransformerEncoderLayer(WIDE, 2, 8, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(LONG * WIDE, 1))


def convolutional():
    layers = [nn.Conv1d(LONG, 5, 3), nn.BatchNorm1d(5), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.LayerNorm(20), nn.Linear(20, 1))


MODELS = {
    "perceptron": lambda: nn.Sequential(nn.Flatten(), mt.MLP(LONG * WIDE, 7, 1)),
    "norms": convolutional,
    "attention": transformer,
    "LSTM": lambda: Last(nn.LSTM),
    "GRU": lambda: Last(nn.GRU),
}


def pair(kind, dtype=torch.float64, **options):
    """(learner on the CPU, the same on the GPU, a batch)."""
    torch.manual_seed(0)
    model = MODELS[kind]().to(dtype)
    options = {"inner_lr": 0.05, "inner_steps": 2, **options}
    learners = [mt.MAML(copy.deepcopy(model), F.mse_loss, **options) for _ in range(2)]
    rng = np.random.default_rng(1)
    shapes = [(LONG, WIDE), (1,)] * 2
    batch = TaskBatch(*(rng.normal(size=(TASKS, SHOTS, *shape)) for shape in shapes))
    return learners[0], learners[1].to(GPU), batch


def assert_same(found, expected, rtol):
    """A learner's (meta-loss, gradients) on the GPU beside those on the CPU."""
    flat = [
        torch.cat([value.reshape(1), *(slope.reshape(-1) for slope in grads.values())])
        .cpu()
        .double()
        for value, grads in (found, expected)
    ]
    assert float((flat[0] - flat[1]).norm()) <= rtol * float(flat[1].norm())


@on_gpu
@pytest.mark.parametrize("engine", ["textbook", "plain", "lean", "auto"])
@pytest.mark.parametrize("kind", ["perceptron", "norms", "attention"])
def test_an_engine_gives_on_a_gpu_the_numbers_of_the_textbook_loop_on_a_cpu(kind, engine):
    cpu, gpu, batch = pair(kind)
    cpu.engine, gpu.engine = "textbook", engine
    assert_same(gpu.meta_gradient(batch), cpu.meta_gradient(batch), 1e-9)
    assert engine in (gpu.ran, "auto")


@on_gpu
@pytest.mark.parametrize("engine", ["textbook", "auto"])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_have_second_derivatives_without_cudnn(kind, dtype, rtol, engine):
    cpu, gpu, batch = pair(kind, dtype)
    cpu.engine, gpu.engine = "textbook", engine
    assert torch.backends.cudnn.enabled
    assert_same(gpu.meta_gradient(batch), cpu.meta_gradient(batch), rtol)
    assert torch.backends.cudnn.enabled
    result = mt.evaluate(gpu, Sequences(), episodes=4, steps=2)
    np.testing.assert_allclose(result.values, mt.evaluate(cpu, Sequences(), 4, 2).values, rtol=rtol)


@on_gpu
@pytest.mark.parametrize("options", [{"inner_optimiser": "adam"}, {"inner_clip": 0.1}], ids=str)
def test_another_inner_step_is_the_same_on_a_gpu(options):
    cpu, gpu, batch = pair("norms", **options)
    assert_same(gpu.meta_gradient(batch), cpu.meta_gradient(batch), 1e-8)


@on_gpu
@pytest.mark.skipif(not hasattr(mt, "OuterStep"), reason="there is no OuterStep here")
def test_a_loop_of_ones_own_takes_the_same_steps_on_a_gpu():
    cpu, gpu, batch = pair("norms")
    steps = [mt.OuterStep(learner, meta_lr=1e-2) for learner in (cpu, gpu)]
    losses = [[step(batch), *step([batch, batch])] for step in steps]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@on_gpu
def test_a_loss_that_cannot_be_captured_rules_no_engine_out():
    def waits(prediction, target):
        torch.cuda.synchronize()
        return F.mse_loss(prediction, target)

    learner = mt.MAML(mt.MLP(1, 8, 1), waits, inner_lr=0.01)
    with pytest.warns(UserWarning, match="not replayed from a CUDA graph"):
        history = mt.meta_train(learner, Sinusoids(5), 5, device=GPU, progress=False)
    assert len(history.loss) == 5 and learner.ran == "lean"


class Sequences:
    """Tasks for the recurrent layers."""

    def sample(self, rng, tasks=25):
        x, y = rng.normal(size=(tasks, 2, SHOTS, LONG, WIDE)), rng.normal(size=(tasks, 2, SHOTS, 1))
        return TaskBatch(x[:, 0], y[:, 0], x[:, 1], y[:, 1])


class Sides:
    """Two classes in the plane: on which side of a line through 0 is a point?"""

    def sample(self, rng, tasks=25):
        x, normal = rng.normal(size=(tasks, 20, 2)), rng.normal(size=(tasks, 1, 2))
        y = ((x * normal).sum(-1) > 0).astype(int)
        return TaskBatch(x[:, :10], y[:, :10], x[:, 10:], y[:, 10:])


def largest_error(output, y):
    return (output - y).abs().amax()


@on_gpu
@pytest.mark.parametrize("metric", [None, "loss", "mse", largest_error])
def test_a_metric_is_the_same_on_a_gpu(metric):
    torch.manual_seed(0)
    learners = [mt.MAML(mt.MLP(1, 8, 1).double(), inner_lr=0.05, inner_steps=2) for _ in range(2)]
    learners[1].load_state_dict(learners[0].state_dict())
    results = [
        mt.evaluate(learner.to(device), Sinusoids(5), 6, 3, metric=metric)
        for learner, device in zip(learners, ("cpu", GPU), strict=True)
    ]
    np.testing.assert_allclose(results[1].values, results[0].values, rtol=1e-9)
    assert results[0].metric == results[1].metric


@on_gpu
@pytest.mark.parametrize("transductive", [True, False])
def test_an_accuracy_is_the_same_on_a_gpu(transductive):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)).double()
    learners = [mt.MAML(copy.deepcopy(model), F.cross_entropy, 0.1, 2) for _ in range(2)]
    results = [
        mt.evaluate(learner.to(device), Sides(), 8, 2, transductive=transductive)
        for learner, device in zip(learners, ("cpu", GPU), strict=True)
    ]
    np.testing.assert_array_equal(results[1].values, results[0].values)
    assert results[1].metric == "accuracy"


@on_gpu
def test_an_adapted_module_stays_on_the_gpu_and_gives_what_predict_gives():
    _, gpu, batch = pair("perceptron")
    task = [torch.as_tensor(values[0]) for values in batch.arrays]
    module = gpu.adapted(task[0], task[1])
    expected = gpu.predict(gpu.adapt(task[0], task[1]), task[2])
    assert {p.device.type for p in module.parameters()} == {GPU}
    torch.testing.assert_close(module(task[2].to(GPU)), expected)


# ------------------------------------------------------------------ generators


@on_gpu
def test_draws_on_the_gpu_are_noticed_and_put_back():
    generators = trial.Generators()
    first = torch.rand(3, device=GPU)
    assert generators.drawn_since() == "torch"
    generators.put_back()
    assert generators.drawn_since() == "" and torch.equal(torch.rand(3, device=GPU), first)


@on_gpu
def test_a_look_at_dropout_draws_nothing_from_the_gpus_generator():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1)).to(GPU)
    learner = mt.MAML(model, inner_lr=0.05)
    batch = Sinusoids(5).sample(np.random.default_rng(0), tasks=3)
    before = torch.cuda.get_rng_state()
    assert learner.explain(batch).engine == "plain"
    assert torch.equal(torch.cuda.get_rng_state(), before)
    learner.meta_gradient(batch)
    assert not torch.equal(torch.cuda.get_rng_state(), before)


@on_gpu
@pytest.mark.parametrize("engine", ["lean", "auto"])
def test_meta_gradients_can_be_captured(engine):
    """Nothing on the way to one asks for what CUDA refuses in a capture, such as a generator's state."""
    _, gpu, batch = pair("norms", engine=engine)
    tensors = tuple(torch.as_tensor(values, device=GPU) for values in batch.arrays)
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        for _ in range(3):
            expected = gpu.meta_gradient(tensors)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        found = gpu.meta_gradient(tensors)
    graph.replay()
    torch.cuda.synchronize()
    assert gpu.ran == "lean"
    assert_same(found, expected, 1e-9)
