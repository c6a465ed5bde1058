"""The policy gradient: its surrogate, its trajectories, and the meta-gradient through one step of it."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

import maml_edu.pytorch as mt
from maml_edu.pytorch import policy
from maml_edu.pytorch.policy import Policy, PolicyGradient, returns_after, roll_out, surrogate
from maml_edu.pytorch.training.loop import VALIDATION_SEED
from maml_edu.tasks import Navigation, Sinusoids
from maml_edu.tasks.navigation import Trajectories

HORIZON = 12
NEAR = (0.09, 0.03)  # a goal that some trajectories of `learner` reach, and others miss


def family(trajectories=4, horizon=HORIZON):
    return Navigation(trajectories, horizon)


def learner(seed=0, **options):
    """A small policy in float64 with little noise and a drift, which leads close to `NEAR` in three steps."""
    torch.manual_seed(seed)
    model = Policy(hidden=(5, 4), log_std=-3).double()
    with torch.no_grad():
        model.biases[-1].copy_(torch.tensor([[0.3, 0.1]]))
    return PolicyGradient(model, **options)


def tensors(tasks=3, seed=0, **options):
    batch = family(**options).sample(np.random.default_rng(seed), tasks)
    return [torch.as_tensor(array) for array in batch.arrays]


def one_task(seed=0, **options):
    """(a learner, trajectories of its policy to `NEAR`)."""
    noise, goals, *_ = tensors(1, seed, **options)
    ours = learner()
    return ours, roll_out(ours.model, noise[0], goals.new_tensor(NEAR).expand_as(goals[0]))


# ------------------------------------------------------------------ trajectories


def test_trajectories_keep_the_rules_of_the_task():
    noise, goals, *_ = tensors(5, horizon=60)
    goals[0] = torch.tensor(NEAR)
    model = learner().model
    ours = roll_out(model, noise, goals)
    steps = iter(noise.unbind(dim=2))

    @torch.no_grad()
    def moves(positions):
        mean, log_std = model(torch.as_tensor(positions))
        return 0.1 * (mean + log_std.exp() * next(steps)).numpy()

    theirs = family(horizon=60).roll_out(moves, goals[:, 0].numpy())
    alive = theirs.alive
    assert not alive[0].all() and alive[1:].any()
    np.testing.assert_array_equal(ours.alive, alive)
    np.testing.assert_allclose(ours.rewards, theirs.rewards, atol=1e-12)
    np.testing.assert_allclose(ours.positions[alive], theirs.positions[alive], atol=1e-12)
    np.testing.assert_allclose(0.1 * ours.actions[alive], theirs.actions[alive], atol=1e-12)


def test_each_task_walks_by_its_own_parameters():
    noise, goals, *_ = tensors(3)
    ours = learner()
    phi = ours.for_each_task(3)
    phi = {name: p + 0.1 * torch.randn_like(p) for name, p in phi.items()}
    together = ours.walk(phi, noise, goals)
    for task in range(3):
        own = {name: p[task] for name, p in phi.items()}
        alone = roll_out(
            lambda x, own=own: functional_call(ours.model, own, (x,)), noise[task], goals[task]
        )
        for side_by_side, by_itself in zip(together, alone, strict=True):
            torch.testing.assert_close(side_by_side[task], by_itself)


def test_returns_to_go_count_what_comes_after():
    rewards = torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 8.0]])
    expected = torch.tensor([[1 + 1 + 1.0, 2 + 2.0, 4.0], [2.0, 4.0, 8.0]])
    torch.testing.assert_close(policy.returns_to_go(rewards, discount=0.5), expected)


def test_the_baseline_is_least_squares_over_the_steps_alive():
    _, walked = one_task(trajectories=30)
    targets = policy.returns_to_go(walked.rewards)
    alive = walked.alive.numpy()
    assert 0.2 < alive.mean() < 0.98
    s, t = walked.positions.numpy(), np.broadcast_to(np.arange(HORIZON) / 100, alive.shape)
    features = np.stack(
        [s[..., 0], s[..., 1], s[..., 0] ** 2, s[..., 1] ** 2, t, t**2, t**3, 1 + 0 * t], axis=-1
    )
    rows, ours = features[alive], policy.baseline(walked, targets).numpy()[alive]
    best = rows @ np.linalg.lstsq(rows, targets.numpy()[alive])[0]
    error = lambda prediction: np.mean((targets.numpy()[alive] - prediction) ** 2)
    assert error(best) <= error(ours) < 1.02 * error(best) < 0.6 * targets.numpy()[alive].var()


def test_advantages_have_mean_0_and_deviation_1_over_the_steps_alive():
    _, walked = one_task(trajectories=30)
    advantages = policy.advantages(walked)
    alive = advantages[walked.alive]
    assert float(alive.mean()) == pytest.approx(0, abs=1e-12)
    assert float(alive.std(correction=0)) == pytest.approx(1)
    assert not advantages[~walked.alive].any() and (~walked.alive).any()


# ------------------------------------------------------------------ the surrogate


def test_the_surrogates_gradient_is_the_score_function_gradient():
    ours, walked = one_task()
    x, y = policy.examples(walked)
    slopes = torch.autograd.grad(surrogate(ours.model(x), y), list(ours.params.values()))
    advantages, steps = policy.advantages(walked), int(walked.alive.sum())
    expected = [torch.zeros_like(p) for p in ours.params.values()]
    for trajectory, step in walked.alive.nonzero().tolist():
        mean, log_std = ours.model(walked.positions[trajectory, step][None])
        density = torch.distributions.Normal(mean, log_std.exp())
        score = density.log_prob(walked.actions[trajectory, step]).sum()
        for total, part in zip(
            expected, torch.autograd.grad(score, list(ours.params.values())), strict=True
        ):
            total -= advantages[trajectory, step] * part / steps
    for slope, by_score in zip(slopes, expected, strict=True):
        torch.testing.assert_close(slope, by_score)


def test_the_surrogate_is_minus_the_mean_of_log_density_times_advantage():
    ours, walked = one_task()
    x, y = policy.examples(walked)
    mean, log_std = ours.model(walked.positions)
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(walked.actions).sum(dim=-1)
    expected = -(density * policy.advantages(walked))[walked.alive].mean()
    torch.testing.assert_close(surrogate(ours.model(x), y), expected)


def test_the_policy_gradient_is_the_slope_of_the_expected_return():
    """Against a difference of mean returns with the same noise, without discount: 20,000 trajectories."""
    ours, _ = one_task()
    noise, goals, *_ = tensors(1, trajectories=20_000, horizon=3)
    name, walked = "biases.2", roll_out(ours.model, noise[0], goals[0])

    def mean_return(shift):
        moved = ours.detached() | {name: ours.params[name].detach() + shift}
        walk = roll_out(lambda x: functional_call(ours.model, moved, (x,)), noise[0], goals[0])
        return walk.returns.mean()

    targets = policy.returns_to_go(walked.rewards, discount=1)
    surprise = (targets - policy.baseline(walked, targets)) / len(noise[0])
    y = torch.cat([walked.actions, surprise[..., None]], dim=-1).flatten(0, 1)
    loss = surrogate(ours.model(walked.positions.flatten(0, 1)), y)
    slope = -torch.autograd.grad(loss, ours.params[name])[0]
    for axis in torch.eye(2, dtype=torch.float64)[:, None]:
        difference = (mean_return(0.01 * axis) - mean_return(-0.01 * axis)) / 0.02
        assert float((slope * axis).sum()) == pytest.approx(float(difference), rel=0.1, abs=0.002)


def test_dead_steps_carry_no_gradient():
    ours, walked = one_task()
    dead = ~walked.alive
    assert dead.any() and walked.alive.any()
    elsewhere = {
        name: torch.where(dead[..., None], torch.randn_like(values), values)
        for name, values in (("positions", walked.positions), ("actions", walked.actions))
    }
    slopes = []
    for trajectories in (walked, walked._replace(**elsewhere)):
        x, y = policy.examples(trajectories)
        loss = surrogate(ours.model(x), y)
        slopes.append([loss, *torch.autograd.grad(loss, list(ours.params.values()))])
    for before, after in zip(*slopes, strict=True):
        torch.testing.assert_close(before, after)


def test_neither_trajectories_nor_baseline_carry_a_gradient():
    """Although the policy's parameters ask for one."""
    ours, walked = one_task()
    assert all(p.requires_grad for p in ours.params.values())
    x, y = policy.examples(walked)
    parts = (*walked, policy.baseline(walked, policy.returns_to_go(walked.rewards)), x, y)
    assert not any(part.requires_grad for part in parts)


# ------------------------------------------------------------------ the meta-gradient


def fixed_examples(ours, batch):
    """Support and query examples of each task: what θ and what φ have walked."""
    noise, goals, query_noise, query_goals = batch
    phi = ours.for_each_task(len(noise))
    support = torch.func.vmap(policy.examples)(ours.walk(phi, noise, goals))
    phi = ours.improved(phi, support, ours.inner_lr)
    query = torch.func.vmap(policy.examples)(ours.walk(phi, query_noise, query_goals))
    return list(zip(*support, *query, strict=True))


def loss_after_a_step(ours, theta, tasks, rate):
    """Mean over tasks of the query surrogate after one step on the support surrogate, by plain autograd."""
    losses = []
    for x, y, query_x, query_y in tasks:
        at = {name: p.detach().requires_grad_() for name, p in theta.items()}
        loss = surrogate(functional_call(ours.model, at, (x,)), y)
        slopes = torch.autograd.grad(loss, list(at.values()))
        phi = {n: p.detach() - rate * g for (n, p), g in zip(at.items(), slopes, strict=True)}
        losses.append(surrogate(functional_call(ours.model, phi, (query_x,)), query_y))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_the_meta_gradient_is_that_of_the_surrogate_on_trajectories_held_fixed(engine):
    ours, batch = learner(engine=engine), tensors()
    _, grads = ours.meta_gradient(batch)
    tasks, theta = fixed_examples(ours, batch), ours.detached()
    torch.manual_seed(1)
    direction = {name: torch.randn_like(p) for name, p in theta.items()}
    at = lambda step: loss_after_a_step(
        ours, {name: theta[name] + step * direction[name] for name in theta}, tasks, 0.5
    )
    difference = (at(1e-5) - at(-1e-5)) / 2e-5
    slope = sum((grads[name] * direction[name]).sum() for name in theta)
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_first_order_is_the_query_gradient_at_phi_and_another():
    batch, full = tensors(), learner()
    first = learner(first_order=True)
    tasks, theta = fixed_examples(full, batch), full.detached()
    expected = {name: torch.zeros_like(p) for name, p in theta.items()}
    for x, y, query_x, query_y in tasks:
        phi = mt.adapt(first.task_loss, theta, x, y, 0.5, 1)
        for name, slope in torch.func.grad(first.task_loss)(phi, query_x, query_y).items():
            expected[name] += slope / len(tasks)
    (_, grads), (_, others) = first.meta_gradient(batch), full.meta_gradient(batch)
    for name, slope in expected.items():
        torch.testing.assert_close(grads[name], slope)
        assert not torch.allclose(others[name], slope, rtol=1e-3)


def test_without_inner_steps_it_is_the_policy_gradient_on_all_goals():
    ours, batch = learner(inner_steps=0), tensors()
    value, grads = ours.meta_gradient(batch)
    walked = ours.walk(ours.for_each_task(3), *batch[2:])
    assert float(value) == pytest.approx(-float(walked.returns.mean()))
    x, y = torch.func.vmap(policy.examples)(walked)
    losses = torch.func.vmap(ours.task_loss, in_dims=(None, 0, 0))(ours.params, x, y)
    expected = torch.autograd.grad(losses.mean(), list(ours.params.values()))
    for slope, by_hand in zip(grads.values(), expected, strict=True):
        torch.testing.assert_close(slope, by_hand)


def test_what_is_collected_is_what_theta_and_phi_have_walked():
    ours, batch = learner(), tensors()
    parts, returns = ours.collected(batch)
    for task, by_hand in enumerate(fixed_examples(ours, batch)):
        for part, expected in zip(parts, by_hand, strict=True):
            assert torch.equal(part[task], expected)
    assert float(ours.meta_loss(batch)) == -float(returns.mean())
    assert ours.explain(batch).engine in str(ours.explain(batch))


def test_the_inner_rate_can_be_learned():
    ours, batch = learner(learn_inner_lr=True), tensors()
    _, grads = ours.meta_gradient(batch)
    tasks, theta = fixed_examples(ours, batch), ours.detached()
    difference = loss_after_a_step(ours, theta, tasks, 0.5 + 1e-5)
    difference = (difference - loss_after_a_step(ours, theta, tasks, 0.5 - 1e-5)) / 2e-5
    assert float(grads["inner_lr"]) == pytest.approx(float(difference), rel=1e-6)


def test_a_test_by_predictions_is_refused_in_words():
    with pytest.raises(ValueError, match="returns_after"):
        learner().predictors(None, None, 1)
    for options in ({"metric": "mse"}, {"transductive": False}):
        with pytest.raises(
            ValueError, match="predicts no targets.*leave out metric= and transductive="
        ):
            mt.evaluate(learner(), family(), episodes=2, **options)
    with pytest.raises(ValueError, match="tasks must be a Navigation; got Sinusoids"):
        mt.evaluate(learner(), Sinusoids(5), episodes=2)


def test_evaluate_scores_a_policy_by_its_returns():
    ours = learner(inner_lr=0.3, later_lr=0.2)
    for steps, rates in ((0, ()), (1, (0.3,)), (3, (0.3, 0.2, 0.2))):
        expected = returns_after(ours, family(), rates, episodes=4, seed=6)
        result = mt.evaluate(ours, family(), 4, steps, seed=6)
        assert np.array_equal(result.values, expected.values) and result.source == expected.source
    for steps in (0, 1):  # how many there were in training
        assert mt.evaluate(learner(inner_steps=steps), family(), 4).values.shape == (4, 2)


def test_more_return_is_better_to_whoever_keeps_the_best():
    ours, how = (
        learner(inner_lr=0.001),
        {"validate_every": 1, "validation_episodes": 4, "keep_best": True},
    )
    how |= {"meta_batch": 3, "meta_lr": 0.01, "device": "cpu", "progress": False}
    history = mt.meta_train(ours, family(), 4, validation=family(), **how)
    scores = [mean for _, mean, _ in history.validation]
    assert history.metric == "return" and history.best[1] == max(scores) > min(scores)
    kept = mt.evaluate(ours, family(), 4, seed=VALIDATION_SEED)
    assert float(kept.mean[-1]) == max(scores)


@pytest.mark.parametrize("later_lr", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_a_later_rate_that_is_no_rate_is_refused(later_lr):
    with pytest.raises(ValueError, match="later_lr must be a number ≥ 0"):
        PolicyGradient(Policy(), later_lr=later_lr)


def test_many_policies_learn_in_parts_as_they_do_together(monkeypatch):
    together = returns_after(learner(), family(), episodes=5)
    monkeypatch.setattr(policy, "AT_ONCE", 2)
    np.testing.assert_allclose(
        returns_after(learner(), family(), episodes=5).values, together.values, rtol=1e-9
    )


def test_more_inner_steps_in_training_are_refused():
    with pytest.raises(ValueError, match="0 or 1 in training.*trajectories of its own"):
        PolicyGradient(Policy(), inner_steps=2)


# ------------------------------------------------------------------ training and test


def train(seed, iterations=3, **options):
    ours = learner(seed)
    options = {"meta_batch": 3, "meta_lr": 0.01, "clip": 1, "device": "cpu"} | options
    history = mt.meta_train(ours, family(), iterations, seed=seed, progress=False, **options)
    return ours, history


def test_the_same_seed_gives_the_same_numbers():
    (one, first), (other, again), (_, third) = train(0), train(0), train(1)
    assert first.loss == again.loss and first.loss != third.loss
    for name, p in one.params.items():
        assert torch.equal(p, other.params[name])
    results = [returns_after(ours, family(), episodes=4, seed=3) for ours in (one, other)]
    assert np.array_equal(results[0].values, results[1].values)
    assert not np.array_equal(results[0].values, returns_after(one, family(), episodes=4).values)


def test_an_interrupted_training_goes_on_to_the_same_numbers(tmp_path):
    train(0, 2, checkpoint=tmp_path)
    _, resumed = train(0, 4, checkpoint=tmp_path)
    assert resumed.loss == train(0, 4)[1].loss


def test_training_teaches_where_the_goals_are_not():
    """A policy that drifts away learns to stay, within a few iterations: its return rises."""
    torch.manual_seed(0)
    ours = PolicyGradient(Policy(hidden=(8,)))
    with torch.no_grad():
        ours.model.biases[-1].fill_(1.0)
    how = {"meta_batch": 5, "meta_lr": 0.05, "clip": 1, "device": "cpu", "progress": False}
    losses = mt.meta_train(ours, family(10, 40), 25, **how).loss
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_returns_are_judged_before_each_step_and_after_the_last():
    ours = learner()
    result = returns_after(ours, family(), rates=(0.5, 0.1), episodes=5, seed=2)
    assert result.metric == "return" and result.values.shape == (5, 3)
    same = returns_after(ours, family(), rates=(0.0, 0.0), episodes=5, seed=2)
    np.testing.assert_array_equal(result.values[:, 0], same.values[:, 0])
    assert (result - same).values.shape == (5, 3)
    rng = np.random.default_rng(2)
    goals = np.repeat(family().draw_goals(rng, 5)[:, None], 4, axis=1)
    walked = roll_out(ours.model, *map(torch.as_tensor, (family().draw_noise(rng, 5), goals)))
    np.testing.assert_allclose(result.values[:, 0], walked.returns.mean(dim=1), rtol=1e-12)


def test_a_policy_begins_without_a_drift():
    mean, log_std = Policy()(torch.zeros(1, 2))
    assert not mean.any() and log_std.tolist() == [[-1.0, -1.0]]


def test_the_surrogate_holds_the_whole_log_density_even_where_advantages_do_not_cancel():
    """With mean 0 the part without actions cancels, so no gradient of a walk would miss it."""
    generator = torch.Generator().manual_seed(3)
    mean, actions = torch.randn(2, 7, 2, generator=generator)
    log_std, counts = torch.tensor([[-1.0, 0.3]]), torch.arange(7.0)
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(actions).sum(dim=1)
    found = surrogate((mean, log_std), torch.cat([actions, counts[:, None]], dim=1))
    assert torch.allclose(found, -(density * counts).sum())


# ------------------------------------------------------------------ another world


def sights(trajectories=20, horizon=30, inputs=17, outputs=6):
    """Trajectories of a policy that sees 17 numbers, some far beyond 10, and has six motors."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = torch.logspace(-2, 2, inputs, dtype=torch.float64)
    positions = scale * draw(trajectories, horizon, inputs)
    rewards = draw(trajectories, horizon) + positions.clamp(-10, 10).sum(dim=-1)
    alive = torch.ones(trajectories, horizon, dtype=torch.bool)
    return Trajectories(positions, draw(trajectories, horizon, outputs), rewards, alive)


def test_the_baseline_clips_what_is_beyond_10_and_is_least_squares_of_many_numbers_too():
    seen = sights()
    targets = policy.returns_to_go(seen.rewards)
    s, steps = np.clip(seen.positions.numpy(), -10, 10), np.arange(30) / 100
    t = np.broadcast_to(steps[:, None], (20, 30, 1))
    features = np.concatenate([s, s**2, t, t**2, t**3, 1 + 0 * t], axis=-1).reshape(600, 38)
    weights = np.linalg.lstsq(features, targets.numpy().ravel())[0]
    error = lambda prediction: np.mean((targets.numpy().ravel() - prediction) ** 2)
    best, ours = error(features @ weights), error(policy.baseline(seen, targets).numpy().ravel())
    assert best <= ours < 1.001 * best < targets.numpy().var()


def test_a_policy_of_another_size_has_the_same_surrogate():
    seen, model = sights(), Policy((5,), 0.0, inputs=17, outputs=6).double()
    x, y = policy.examples(seen)
    assert x.shape == (600, 17) and y.shape == (600, 7)
    mean, log_std = model(seen.positions)
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(seen.actions).sum(dim=-1)
    expected = -(density * policy.advantages(seen)).mean()
    torch.testing.assert_close(surrogate(model(x), y), expected)


@pytest.mark.parametrize(
    "option",
    [
        {"inner_optimiser": "adam"},
        {"inner_clip": 0.1},
        {"adapting": "weights*"},
        {"inner_loss": surrogate},
    ],
)
def test_an_inner_loop_that_the_walks_would_not_follow_is_refused(option):
    with pytest.raises(ValueError, match=f"has no {next(iter(option))}: its inner loop is plain"):
        PolicyGradient(Policy(), **option)


def test_a_policy_that_has_left_the_numbers_is_the_worst_and_not_the_best():
    result = returns_after(PolicyGradient(Policy()), Navigation(4, horizon=5), (1e38, 1.0), 20)
    assert np.isneginf(result.values[:, 2]).any() and not np.isnan(result.values).any()
    assert result.median[2] <= result.median[0]


def test_returns_are_not_told_of_other_tasks_or_of_a_single_one():
    learner = PolicyGradient(Policy())
    with pytest.raises(ValueError, match="tasks must be a Navigation"):
        returns_after(learner, Sinusoids())
    with pytest.raises(ValueError, match="whole number ≥ 2"):
        returns_after(learner, Navigation(4, horizon=5), episodes=1)
