"""Bodies, heads in closed form, MAML from prototypes, and a learner that moves a part of its model."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import tensors
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch.heads import ridge
from maml_edu.tasks import Sinusoids, TaskBatch


class Own(nn.Module):
    """A model of one's own: a parameter of its own, dropout of its own, something after its head."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))
        self.below, self.top = nn.Linear(2, 3), nn.ModuleDict({"last": nn.Linear(3, 2)})

    def forward(self, x):
        hidden = F.dropout(torch.tanh(self.below(x)), 0.5, self.training) * self.gain
        return self.top["last"](hidden) * 2


def blobs(rng, tasks=3, ways=3, shots=2, queries=2):
    """Classes around centres of their own in the plane, examples in the order 0, 1, …, 0, 1, …"""
    centres = rng.normal(size=(tasks, 1, ways, 2))
    draw = lambda n: (centres + 0.4 * rng.normal(size=(tasks, n, ways, 2))).reshape(tasks, -1, 2)
    labels = lambda n: np.tile(np.arange(ways), (tasks, n))
    return TaskBatch(draw(shots), labels(shots), draw(queries), labels(queries))


class Blobs:
    def sample(self, rng, tasks=25):
        return blobs(rng, tasks)


def network(out=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, out)).double()


def slope_by_differences(learner, batch, name, place, step=1e-5):
    """∂ meta-loss / ∂ one number of θ, from two meta-losses."""
    value, losses = learner.params[name], []
    for sign in (1, -1):
        with torch.no_grad():
            value[place] += sign * step
            losses.append(float(learner.meta_loss(batch)))
            value[place] -= sign * step
    return (losses[0] - losses[1]) / (2 * step)


def assert_gradient_is_exact(learner, batch, names=None):
    grads = learner.meta_gradient(batch)[1]
    assert grads.keys() == learner.params.keys()
    for name in names or grads:
        place = tuple(0 for _ in grads[name].shape)
        expected = slope_by_differences(learner, batch, name, place)
        assert float(grads[name][place]) == pytest.approx(expected, rel=1e-6, abs=1e-9), name


# ------------------------------------------------------------------ the body


def test_a_body_gives_what_goes_into_the_head_and_shares_its_parameters():
    torch.manual_seed(0)
    model, x = mt.MLP(1, 5, 4, 1), torch.randn(6, 1)
    body = mt.body_of(model)
    torch.testing.assert_close(body(x), model[:4](x))
    assert [n for n, _ in body.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(p is dict(model.named_parameters())[n] for n, p in body.named_parameters())


def test_a_conv4_and_a_model_of_one_s_own_have_bodies_too():
    torch.manual_seed(0)
    conv, x = mt.Conv4(3, filters=4, size=8), torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(mt.body_of(conv)(x), conv.features(x))
    own, x = Own().eval(), torch.randn(5, 2)
    body = mt.body_of(own, head="top.last")
    torch.testing.assert_close(body(x), torch.tanh(own.below(x)) * own.gain)
    assert {n for n, _ in body.named_parameters()} == {"gain", "below.weight", "below.bias"}
    body.train()
    assert (body(torch.ones(50, 2)) == 0).any()  # its dropout follows the body's mode


def test_a_body_runs_at_other_parameters_under_vmap_and_can_be_copied_and_stored():
    torch.manual_seed(0)
    body, x = mt.body_of(Own().eval(), head="top"), torch.randn(4, 2)
    expected = body(x).detach()
    doubled = {n: 2 * p.detach() for n, p in body.named_parameters()}
    each = torch.func.vmap(lambda x: torch.func.functional_call(body, doubled, (x[None],)))(x)
    below = torch.tanh(x @ doubled["below.weight"].T + doubled["below.bias"])
    torch.testing.assert_close(each[:, 0], below * doubled["gain"])
    for twin in (copy.deepcopy(body), pickle.loads(pickle.dumps(body))):
        with torch.no_grad():
            twin.get_parameter("gain").mul_(2)
        torch.testing.assert_close(twin(x).detach(), 2 * expected)
    torch.testing.assert_close(body(x).detach(), expected)


def test_a_prototypical_network_on_a_body_trains_the_model_s_body_alone():
    model = network()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    learner = mt.ProtoNet(mt.body_of(model))
    mt.meta_train(learner, Blobs(), 3, meta_batch=4, device="cpu", progress=False)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"0.weight", "0.bias"}
    plain = mt.ProtoNet(model[:2])
    batch = blobs(np.random.default_rng(0))
    assert float(learner.meta_loss(batch)) == pytest.approx(float(plain.meta_loss(batch)))


@pytest.mark.parametrize(
    ("model", "head", "says"),
    [
        (nn.Linear(2, 3), None, "nothing but a head"),
        (mt.Conv4(None, filters=2, size=8), None, "it is a body already"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)), "*.weight", "must be one module"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)), "neck", "has no head 'neck'"),
        (Own(), None, "would be a guess|belongs to the model itself|Name it"),
        ("MLP", None, "model must be an nn.Module"),
    ],
)
def test_a_model_without_a_body_is_refused(model, head, says):
    with pytest.raises(ValueError, match=says):
        mt.body_of(model, head)


def test_a_head_that_is_never_called_is_told():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    model.unused = nn.Linear(1, 1)
    model.forward = lambda x: x
    body = mt.body_of(model, "unused")
    with pytest.raises(ValueError, match="does not call its head"):
        body(torch.ones(1, 2))


# ------------------------------------------------------------------ ridge heads


@pytest.mark.parametrize("examples", [3, 20])  # fewer and more than the features
def test_ridge_is_least_squares_with_a_penalty_on_the_weights_and_not_on_the_offset(examples):
    torch.manual_seed(0)
    x, y = torch.randn(examples, 6).double(), torch.randn(examples, 2).double()
    weights, offset = ridge(x, y + 100, 0.3)
    design = torch.cat([x, torch.ones(examples, 1)], 1)
    rows = torch.cat([0.3**0.5 * torch.eye(6).double(), torch.zeros(6, 1)], 1)
    stacked = torch.cat([y + 100, torch.zeros(6, 2)])
    expected = torch.linalg.lstsq(torch.cat([design, rows]), stacked, driver="gelsd").solution
    torch.testing.assert_close(torch.cat([weights, offset[None]]), expected, rtol=1e-9, atol=1e-9)


def test_with_almost_no_penalty_it_passes_through_the_support_set_in_single_precision_too():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(1, 40), nn.ReLU())
    batch = Sinusoids(5).sample(np.random.default_rng(0), 1)
    sx, sy, _, _ = next(tensors(batch))
    answers = mt.RidgeHead(body, strength=1e-6).predictions(sx, sy, sx, 1)
    assert len(answers) == 2 and torch.equal(*answers)
    torch.testing.assert_close(answers[0], sy.float(), rtol=0, atol=0.02)


def test_a_ridge_head_classifies_and_a_class_without_support_is_never_chosen():
    learner = mt.RidgeHead(mt.body_of(network()), F.cross_entropy, strength=0.1)
    batch = blobs(np.random.default_rng(0), tasks=1)
    sx, sy, qx, _ = next(tensors(batch))
    answers = learner.predictions(sx, sy, qx, 0)[0]
    assert answers.shape == (6, 6) and (answers[:, 3:] == -torch.inf).all()
    torch.testing.assert_close(answers[:, :3].sum(1), torch.ones(6).double())  # offsets fit
    sy[sy == 2] = 0
    assert (learner.predictions(sx, sy, qx, 0)[0][:, 2] == -torch.inf).all()


@pytest.mark.parametrize("width", [2, 4])
def test_the_gradient_through_a_ridge_head_is_that_of_differences(width):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(1, width), nn.Tanh()).double()
    assert_gradient_is_exact(
        mt.RidgeHead(body, strength=0.5), Sinusoids(3).sample(np.random.default_rng(0), 2)
    )
    learner = mt.RidgeHead(mt.body_of(network()), F.cross_entropy, strength=0.5)
    assert_gradient_is_exact(learner, blobs(np.random.default_rng(0)))


def test_a_ridge_head_trains_its_body_and_is_evaluated_like_any_learner():
    torch.manual_seed(0)
    learner = mt.RidgeHead(mt.body_of(mt.MLP(1, 20, 1)), strength=0.1)
    before = mt.evaluate(learner, Sinusoids(10), episodes=50, steps=2)
    settings = {"meta_batch": 10, "meta_lr": 5e-3, "device": "cpu", "progress": False}
    mt.meta_train(learner, Sinusoids(10), 60, **settings)
    after = mt.evaluate(learner, Sinusoids(10), episodes=50, steps=2)
    assert after.median[0] < 0.8 * before.median[0] and len(set(after.median)) == 1
    assert learner.settings()["strength"] == 0.1
    model = mt.Conv4(3, filters=4, size=8)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 1, 8, 8)), np.tile(np.arange(3), (2, 1))
    ridge_head = mt.RidgeHead(mt.body_of(model), F.cross_entropy)
    value, grads = ridge_head.meta_gradient(TaskBatch(x, y, x + 0.1, y))
    assert value > 0 and "features.conv1.weight" in grads


def test_a_ridge_head_refuses_what_makes_no_sense():
    for strength in (0, -1, "much", float("nan")):
        with pytest.raises(ValueError, match="strength"):
            mt.RidgeHead(network(), strength=strength)
    learner = mt.RidgeHead(network())
    with pytest.raises(ValueError, match=r"class labels.*RidgeHead\(body, F.cross_entropy\)"):
        learner.meta_gradient(blobs(np.random.default_rng(0)))
    for act in (learner.adapt, lambda *task: learner.moving_only("0")):
        with pytest.raises(ValueError, match="RidgeHead has no inner loop"):
            act(torch.ones(1, 2), torch.ones(1, 1))
    batch = blobs(np.random.default_rng(0))
    batch.support_y[0] = 0
    with pytest.raises(ValueError, match="no support"):
        mt.RidgeHead(network(), F.cross_entropy).meta_gradient(batch)


@pytest.mark.parametrize(("size", "strength"), [(2, 1e-14), (2, 1e-9), (9, 1e-9), (9, 1.0)])
def test_ridge_is_as_exact_for_equal_examples_and_weak_penalties(size, strength):
    """Two equal examples with different targets: their mean counts twice, in numbers with 50 digits."""
    mpmath = pytest.importorskip("mpmath")  # which torch brings along
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, size)), rng.normal(size=(5, 1))
    x[1] = x[0]
    weights, offset = ridge(torch.tensor(x), torch.tensor(y), strength)
    with mpmath.workdps(50):
        a, b = mpmath.matrix((x - x.mean(0)).tolist()), mpmath.matrix((y - y.mean(0)).tolist())
        exact = mpmath.lu_solve(a.T * a + strength * mpmath.eye(size), a.T * b)
        exact = np.array([float(value) for value in exact])
    np.testing.assert_allclose(weights[:, 0].numpy(), exact, rtol=1e-6, atol=1e-6)
    assert float(offset) == pytest.approx(float(y.mean() - x.mean(0) @ exact), abs=1e-6)


def test_a_penalty_that_vanishes_beside_the_features_gives_no_number():
    x, y = torch.ones(4, 2).double().cumsum(0), torch.arange(4.0).double()[:, None]
    assert ridge(x, y, 1e-300)[0].isnan().all()  # the two features are the same
    assert ridge(x, y, 1e-9)[0].isfinite().all()
    x = torch.tensor([[0.0] * 9, [0.0] * 9, [1.0] * 9]).double()  # two examples are the same
    assert ridge(x, y[:3], 1e-14)[0].isnan().all()
    assert ridge(x, y[:3], 1e-9)[0].isfinite().all()


def test_a_ridge_head_takes_one_number_for_an_example():
    batch = Sinusoids(5).sample(np.random.default_rng(0), 2)
    learner = mt.RidgeHead(mt.body_of(mt.MLP(1, 4, 1)))
    one, flat = (
        learner.predictions(batch.support_x[0], y, batch.query_x[0], 0)[0]
        for y in (batch.support_y[0], batch.support_y[0][:, 0])
    )
    torch.testing.assert_close(one[:, 0], flat)


def test_the_meta_loss_of_a_ridge_head_refuses_what_its_gradient_refuses():
    with pytest.raises(ValueError, match="class labels"):
        mt.RidgeHead(network()).meta_loss(blobs(np.random.default_rng(0)))


# ------------------------------------------------------------------ MAML from prototypes


def test_before_any_step_proto_maml_is_a_prototypical_network():
    model = network()
    learner = mt.ProtoMAML(model, inner_lr=0.1, inner_steps=2)
    sx, sy, qx, _ = next(tensors(blobs(np.random.default_rng(0))))
    start, later = (learner.predictions(sx, sy, qx, 1)[step].log_softmax(1) for step in (0, 1))
    expected = mt.ProtoNet(mt.body_of(model)).predictions(sx, sy, qx, 0)[0][:, :3].log_softmax(1)
    torch.testing.assert_close(start, expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(later, start, atol=1e-3)


def test_the_gradient_of_proto_maml_goes_through_the_prototypes():
    learner = mt.ProtoMAML(network(), inner_lr=0.1, inner_steps=2)
    batch = blobs(np.random.default_rng(0))
    assert_gradient_is_exact(learner, batch)
    grads = learner.meta_gradient(batch)[1]
    assert not grads["2.weight"].any() and not grads["2.bias"].any()


def test_proto_maml_is_as_exact_where_the_model_does_not_run_under_vmap():
    class Looking(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum().item() < 1e9 else x

    torch.manual_seed(0)
    model = Looking(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    learner = mt.ProtoMAML(model, inner_lr=0.1, head="2")
    assert_gradient_is_exact(learner, blobs(np.random.default_rng(0)))


def test_a_class_without_support_keeps_the_head_s_own_row():
    learner = mt.ProtoMAML(network(), inner_lr=0.0)
    sx, sy, _, _ = next(tensors(blobs(np.random.default_rng(0))))
    sy[sy == 1] = 0
    phi = learner.adapt(sx, sy)
    assert torch.equal(phi["2.weight"][1], learner.params["2.weight"][1])
    assert torch.equal(phi["2.bias"][1], learner.params["2.bias"][1])


def test_proto_maml_trains_on_images_and_refuses_regression_and_heads_without_offset():
    torch.manual_seed(0)
    learner = mt.ProtoMAML(mt.Conv4(3, filters=3, size=8), inner_lr=0.1)
    x = np.random.default_rng(0).normal(size=(2, 6, 1, 8, 8))
    y = np.tile([0, 1, 2], (2, 2))
    value, grads = learner.meta_gradient(TaskBatch(x, y, x + 0.1, y))
    assert value > 0 and all(torch.isfinite(slope).all() for slope in grads.values())
    turned = nn.Linear(3, 3)
    turned.forward = lambda x: x @ turned.weight + turned.bias
    for head in (nn.Linear(3, 3, bias=False), turned):
        with pytest.raises(ValueError, match="an nn.Linear with a bias, as torch has it"):
            mt.ProtoMAML(nn.Sequential(nn.Linear(2, 3), head))
    with pytest.raises(ValueError, match="ProtoMAML classifies"):
        mt.ProtoMAML(mt.MLP(1, 3, 1)).meta_gradient(
            Sinusoids(3).sample(np.random.default_rng(0), 2)
        )


class Dropping(nn.Module):
    """Dropout and a factor of its own below its head."""

    def __init__(self):
        super().__init__()
        self.below, self.last, self.scale = nn.Linear(2, 50), nn.Linear(50, 3), 1.0

    def forward(self, x):
        return self.last(self.scale * F.dropout(torch.relu(self.below(x)), 0.5, self.training))


def test_proto_maml_drops_out_in_training_only_and_sees_what_is_changed_in_its_model():
    torch.manual_seed(0)
    model = Dropping()
    learner = mt.ProtoMAML(model, inner_steps=0)
    sx, sy, _, _ = next(tensors(blobs(np.random.default_rng(0))))
    before = learner.adapt(sx, sy)["last.weight"]
    assert torch.equal(before, learner.adapt(sx, sy)["last.weight"])
    model.scale = 3.0
    torch.testing.assert_close(learner.adapt(sx, sy)["last.weight"], 3 * before)
    losses = [float(learner.meta_loss(blobs(np.random.default_rng(0)))) for _ in range(2)]
    assert losses[0] != losses[1]  # as in training


def test_proto_maml_over_a_frozen_body_moves_the_head_alone():
    model, batch = network(), blobs(np.random.default_rng(0))
    model[0].requires_grad_(False)
    learner = mt.ProtoMAML(model, inner_lr=0.1)
    _, grads = learner.meta_gradient(batch)
    assert set(grads) == {"2.weight", "2.bias"}
    sx, sy, _, _ = next(tensors(batch))
    whole = mt.ProtoMAML(network(), inner_lr=0.1, inner_steps=0)
    torch.testing.assert_close(
        learner.adapt(sx, sy, 0)["2.weight"], whole.adapt(sx, sy)["2.weight"]
    )
    model[2].requires_grad_(False)
    model[0].requires_grad_(True)
    with pytest.raises(ValueError, match="has been frozen since"):
        learner.adapt(sx, sy)


@pytest.mark.parametrize("label", [3, -1])
def test_proto_maml_refuses_labels_that_its_head_has_no_row_for(label):
    learner, batch = mt.ProtoMAML(network(), inner_steps=0), blobs(np.random.default_rng(0))
    batch.support_y[0, 0] = label
    for act in (learner.meta_gradient, learner.meta_loss):
        with pytest.raises(ValueError, match="0, 1, … 2, one for each row of the head"):
            act(batch)
    with pytest.raises(ValueError, match="one for each row of the head"):
        learner.adapt(batch.support_x[0], batch.support_y[0])


@pytest.mark.parametrize(
    "make",
    [mt.ProtoMAML, mt.ProtoNet, lambda model: mt.RidgeHead(mt.body_of(model), F.cross_entropy)],
)
def test_heads_explain_the_engine_that_runs(make):
    learner, batch = make(network()), blobs(np.random.default_rng(0))
    assert learner.explain(batch).engine == "plain"
    learner.meta_gradient(batch)
    assert learner.ran == "plain"


# ------------------------------------------------------------------ freezing at test time


@pytest.mark.parametrize("kind", [mt.MAML, mt.FOMAML, mt.ANIL, mt.BOIL, mt.MetaSGD, mt.FineTuning])
def test_a_learner_can_move_a_part_of_the_same_model(kind):
    torch.manual_seed(0)
    learner = kind(mt.MLP(1, 6, 1), inner_lr=0.1, inner_steps=2)
    sx, sy, qx, qy = next(tensors(Sinusoids(5).sample(np.random.default_rng(0), 1)))
    before = learner.adapt(sx, sy), learner.settings()
    part = learner.moving_only("2", inner_lr=0.1)
    phi = part.adapt(sx, sy, steps=3)
    still = {n for n, p in learner.params.items() if torch.equal(p, phi[n])}
    assert still == {"0.weight", "0.bias"} and type(part) is kind and part.model is learner.model
    by_hand = mt.MAML(learner.model, inner_lr=0.1, adapting="2.").adapt(sx, sy, steps=3)
    assert all(torch.allclose(phi[n], by_hand[n]) for n in phi)
    again = learner.adapt(sx, sy), learner.settings()
    assert all(torch.equal(before[0][n], again[0][n]) for n in phi) and again[1] == before[1]


def test_learned_rates_stay_with_what_moves():
    torch.manual_seed(0)
    learner = mt.MetaSGD(mt.MLP(1, 6, 1), inner_lr=0.05)
    part = learner.moving_only("2")
    assert list(part.learned_rates()) == ["inner_lr.2.weight", "inner_lr.2.bias"]
    assert part.inner_lr["2.bias"] is learner.inner_lr["2.bias"] and len(learner.inner_lr) == 4
    mt.meta_train(part, Sinusoids(5), 2, device="cpu", progress=False)
    assert mt.evaluate(part, Sinusoids(5), episodes=5, steps=3).median.shape == (4,)
    with pytest.raises(ValueError, match="no rate for|a rate for every parameter"):
        part.moving_only("0")


def test_a_restricted_learner_is_evaluated_and_trained_by_the_engines_as_one_made_so():
    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(1, 6, 1), inner_lr=0.1, inner_steps=2)
    mt.evaluate(learner, Sinusoids(5), episodes=5)  # what is remembered of it must not be used
    part, made_so = (
        learner.moving_only(("0",)),
        mt.MAML(learner.model, inner_lr=0.1, inner_steps=2, adapting="0"),
    )
    ours, theirs = (mt.evaluate(one, Sinusoids(5), episodes=20).values for one in (part, made_so))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    batch = Sinusoids(5).sample(np.random.default_rng(0), 4)
    mine, other = part.meta_gradient(batch)[1], made_so.meta_gradient(batch)[1]
    assert all(torch.allclose(mine[n], other[n], rtol=1e-4, atol=1e-6) for n in mine)


@pytest.mark.parametrize("kind", [mt.IMAML, mt.Reptile, mt.MAMLpp, mt.ProtoMAML])
def test_learners_with_an_inner_loop_of_another_kind_refuse_to_be_frozen(kind):
    with pytest.raises(ValueError, match="frozen|freez"):
        kind(mt.MLP(1, 4, 2), inner_lr=0.1).moving_only("0")


def test_names_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="adapting names 'neck'"):
        mt.MAML(mt.MLP(1, 2, 1)).moving_only("neck")
