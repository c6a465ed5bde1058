"""True float32, TF32 and bfloat16: what a learner asks for is what it gets, and nothing stays behind."""

import contextlib
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import fresh

import maml_edu.pytorch as mt
from maml_edu.pytorch import fast, precision
from maml_edu.pytorch.baselines import ProtoNet
from maml_edu.tasks import Sinusoids, TaskBatch

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
new_names = pytest.mark.skipif(
    not hasattr(torch.backends.cudnn, "conv"), reason="torch has fp32_precision since 2.9"
)


def told():
    """Every one of torch's settings, "mixed" where it refuses to tell."""
    backends, found = torch.backends, []
    asked = [
        torch.get_float32_matmul_precision,
        lambda: backends.cuda.matmul.allow_tf32,
        lambda: backends.cudnn.allow_tf32,
    ]
    if hasattr(backends.cudnn, "conv"):
        places = (backends, backends.cuda.matmul, backends.cudnn, backends.mkldnn.matmul)
        places += (backends.cudnn.conv, backends.cudnn.rnn)
        asked += [lambda own=own: own.fp32_precision for own in places]
    for ask in asked:
        try:
            found.append(ask())
        except RuntimeError:
            found.append("mixed")
    return found


@pytest.fixture(autouse=True)
def settings_are_put_back():
    backends = torch.backends
    yield
    if hasattr(backends.cudnn, "conv"):
        backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = True
    if hasattr(backends.cudnn, "conv"):
        backends.cuda.matmul.fp32_precision = backends.mkldnn.matmul.fp32_precision = "none"


@pytest.fixture
def as_with_cuda(monkeypatch):
    """torch's settings are there without a GPU, too: change them as if one were in use."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)


def tf32_is_on():
    """(in matrix products, in convolutions), by every name; torch must answer to the old ones."""
    backends = torch.backends
    matmul, conv = [backends.cuda.matmul.allow_tf32], [backends.cudnn.allow_tf32]
    if hasattr(backends.cudnn, "conv"):
        matmul.append(backends.cuda.matmul.fp32_precision == "tf32")
        conv += [own.fp32_precision == "tf32" for own in (backends.cudnn.conv, backends.cudnn.rnn)]
    assert len(set(matmul)) == len(set(conv)) == 1
    return matmul[0], conv[0]


class Telling(torch.nn.Linear):
    """A model that notes how torch is set while it is called."""

    def __init__(self):
        super().__init__(1, 1)
        self.seen = set()

    def forward(self, x):
        self.seen.add(tf32_is_on())
        return super().forward(x)


def batch(shots=5, tasks=4):
    return Sinusoids(shots).sample(np.random.default_rng(0), tasks)


# ------------------------------------------------------------------ TF32


@pytest.mark.parametrize(("word", "allowed"), [("float32", False), ("tf32", True), ("bf16", False)])
def test_all_that_a_learner_computes_is_in_its_precision(word, allowed, as_with_cuda):
    before, data = told(), batch()
    learner = mt.MAML(Telling(), engine="lean", precision=word)
    for work in (
        lambda: learner.meta_gradient(data),
        lambda: learner.meta_loss(data),
        lambda: learner.adapt(data.support_x[0], data.support_y[0]),
        lambda: learner.predict(learner.detached(), data.query_x[0]),
        lambda: mt.evaluate(learner, Sinusoids(5), episodes=2),
    ):
        learner.model.seen.clear()
        work()
        assert learner.model.seen == {(allowed, allowed)}
        assert told() == before


def test_the_variants_own_meta_gradients_are_in_their_precision_too(as_with_cuda):
    for learner in (mt.Reptile(Telling()), mt.IMAML(Telling()), mt.FOMAML(Telling())):
        learner.meta_gradient(batch())
        assert learner.model.seen == {(False, False)}
    labels = np.zeros((2, 3), int)
    data = TaskBatch(np.ones((2, 3, 1)), labels, np.ones((2, 3, 1)), labels)
    prototypes = ProtoNet(Telling())
    prototypes.meta_gradient(data)
    assert prototypes.model.seen == {(False, False)}


@pytest.mark.parametrize("word", ["float32", "tf32"])
@pytest.mark.parametrize(
    "setting",
    [
        lambda b: None,
        lambda b: torch.set_float32_matmul_precision("high"),
        lambda b: torch.set_float32_matmul_precision("medium"),
        lambda b: setattr(b.cuda.matmul, "allow_tf32", True),
        lambda b: setattr(b.cudnn, "allow_tf32", False),
        pytest.param(lambda b: setattr(b, "fp32_precision", "tf32"), marks=new_names),
        pytest.param(lambda b: setattr(b, "fp32_precision", "ieee"), marks=new_names),
        pytest.param(lambda b: setattr(b.cuda.matmul, "fp32_precision", "tf32"), marks=new_names),
        pytest.param(lambda b: setattr(b.cudnn.conv, "fp32_precision", "ieee"), marks=new_names),
    ],
)
def test_whatever_names_the_user_set_torch_by_are_as_they_were_afterwards(
    setting, word, as_with_cuda
):
    setting(torch.backends)
    before = told()
    with precision.applied(word):
        if hasattr(torch.backends.cudnn, "conv"):
            wanted = "tf32" if word == "tf32" else "ieee"
            backends = torch.backends
            places = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
            assert {own.fp32_precision for own in places} == {wanted}
        else:
            assert tf32_is_on() == (word == "tf32",) * 2
    assert told() == before


@new_names
def test_a_setting_that_reaches_everything_still_does_so_afterwards(as_with_cuda):
    torch.backends.fp32_precision = "tf32"
    with precision.applied("float32"):
        pass
    torch.backends.fp32_precision = "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_settings_are_put_back_after_an_error(as_with_cuda):
    before = told()
    with contextlib.suppress(KeyError), precision.applied("tf32"):
        raise KeyError
    assert told() == before


def test_a_promise_of_float32_is_kept_while_another_thread_allows_tf32(as_with_cuda):
    before, entered, leave = told(), threading.Event(), threading.Event()

    def other():
        with precision.applied("tf32"):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with precision.applied("float32"):
        thread.start()
        entered.wait(10)
        assert tf32_is_on() == (False, False)
    assert tf32_is_on() == (True, True)
    leave.set()
    thread.join()
    assert told() == before


def test_nothing_is_set_where_cuda_is_not_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(precision, "read", lambda: pytest.fail("torch was asked"))
    fresh().meta_gradient(batch())


# ------------------------------------------------------------------ bfloat16


def distance(a, b):
    squares = lambda tensors: sum(float(t.square().sum()) for t in tensors)
    return (squares([a[k] - b[k] for k in a]) / squares(b.values())) ** 0.5


def pictures(tasks=4):
    """A batch of five classes: a picture each, and the picture with noise."""
    rng = np.random.default_rng(0)
    classes, labels = rng.normal(size=(tasks, 5, 1, 28, 28)), np.tile(np.arange(5), (tasks, 1))
    query = classes + rng.normal(size=classes.shape)
    return TaskBatch(classes, labels, query, labels)


@pytest.mark.parametrize("engine", ["plain", "lean", "threads"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_meta_gradient_in_bf16_is_near_that_in_float32(engine, steps):
    learners = [
        fresh(inner_steps=steps, engine=engine, precision=word) for word in ("float32", "bf16")
    ]
    (value, grads), (rounded_value, rounded) = (own.meta_gradient(batch()) for own in learners)
    assert 0 < distance(rounded, grads) < 0.05
    assert float(rounded_value) == pytest.approx(float(value), rel=0.02)
    assert rounded_value.dtype == torch.float32
    assert {slope.dtype for slope in rounded.values()} == {torch.float32}
    assert {p.dtype for p in learners[1].params.values()} == {torch.float32}


def test_convolutions_in_bf16_give_a_gradient_of_the_same_direction():
    found = []
    for word in ("float32", "bf16"):
        torch.manual_seed(0)
        model = mt.Conv4(5, filters=8)
        learner = mt.MAML(model, F.cross_entropy, 0.1, engine="lean", precision=word)
        found.append(learner.meta_gradient(pictures())[1])
    flat, rounded = (torch.cat([slope.flatten() for slope in own.values()]) for own in found)
    assert 0.8 < float(F.cosine_similarity(flat, rounded, dim=0)) < 1 - 1e-6


def test_a_prediction_in_bf16_comes_out_in_float32_with_the_digits_of_bf16():
    learner, exact = fresh(precision="bf16"), fresh()
    x = torch.linspace(-5, 5, 20)[:, None]
    rounded = learner.predict(learner.detached(), x)
    assert rounded.dtype == torch.float32 and torch.equal(rounded, rounded.bfloat16().float())
    torch.testing.assert_close(rounded, exact.predict(exact.detached(), x), rtol=0.03, atol=0.03)


def test_training_and_evaluation_in_bf16_learn_as_well():
    results = []
    for word in ("float32", "bf16"):
        learner = fresh(inner_lr=0.05, engine="lean", precision=word)
        mt.meta_train(learner, Sinusoids(5), 60, 10, 0.01, "cpu", progress=False)
        results.append(mt.evaluate(learner, Sinusoids(5), episodes=100).mean[-1])
    assert results[1] == pytest.approx(results[0], rel=0.05)


def test_bf16_is_not_left_to_the_closed_forms():
    tensors = tuple(torch.ones(2, 3, 1) for _ in range(4))
    learner = fresh(engine="auto", precision="bf16")
    assert fast.engine_for(learner, tensors)[0] not in ("native", "closed")


# ------------------------------------------------------------------ what is asked for


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="float32, tf32, bf16; got 'half'"):
        fresh(precision="half")


def test_bf16_is_refused_for_parameters_in_float64():
    model = mt.MLP(1, 4, 1).double()
    with pytest.raises(ValueError, match=r"some are torch.float64: take model.float\(\)"):
        mt.MAML(model, precision="bf16")
    assert mt.MAML(model, precision="tf32").meta_gradient(batch())[0].dtype == torch.float64


def test_a_checkpoint_tells_the_precision(tmp_path):
    options = {"checkpoint": tmp_path, "progress": False, "device": "cpu", "meta_batch": 4}
    mt.meta_train(fresh(), Sinusoids(5), 2, **options)
    with pytest.raises(ValueError, match="precision float32, not bf16"):
        mt.meta_train(fresh(precision="bf16"), Sinusoids(5), 4, **options)


# ------------------------------------------------------------------ on a GPU


@on_gpu
@pytest.mark.parametrize(
    ("word", "least", "most"), [("float32", 0, 1e-3), ("tf32", 2e-3, 0.4), ("bf16", 0.02, 0.7)]
)
def test_the_error_on_a_gpu_is_that_of_the_precision_asked_for(word, least, most):
    """Of Conv4's meta-gradient against float64; TF32 and bf16 differ on what has tensor cores only."""
    if torch.cuda.get_device_capability() < (8, 0) and word != "float32":
        pytest.skip("this GPU has no TF32 and no bfloat16")
    torch.manual_seed(0)
    model = mt.Conv4(5).cuda()
    exact = mt.MAML(mt.Conv4(5).cuda().double(), F.cross_entropy, 0.1)
    exact.model.load_state_dict(model.state_dict())
    truth = exact.meta_gradient(pictures())[1]
    found = mt.MAML(model, F.cross_entropy, 0.1, precision=word).meta_gradient(pictures())[1]
    assert least <= distance({k: v.double() for k, v in found.items()}, truth) < most
