"""Wrong answers that a learner of chapter 13 might give, and what each is told; then unusual right ones."""

import numpy as np

from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 13.1


def _moved(positions, actions, alive, largest):
    moves = np.clip(largest * actions, -largest, largest)
    return np.where(alive[:, :, None], positions + moves, positions)


def _paid(after, goals, alive):
    """(rewards, distances on each axis)"""
    away = after - goals[:, None]
    return np.where(alive, -np.linalg.norm(away, axis=2), 0.0), np.abs(away)


@wrong_answer("13.step_all", says="the length of the move is limited")
def clips_the_norm(positions, actions, goals, alive, largest, near):
    length = np.linalg.norm(actions, axis=2, keepdims=True)
    moves = largest * np.where(length > 1, actions / length, actions)
    after = np.where(alive[:, :, None], positions + moves, positions)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="points go on being paid after their episode is over")
def goes_on_paying(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, True)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="points go on moving after their episode is over")
def goes_on_moving(positions, actions, goals, alive, largest, near):
    after = positions + np.clip(largest * actions, -largest, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="`alive` is not used at all")
def without_the_mask(positions, actions, goals, alive, largest, near):
    after = positions + np.clip(largest * actions, -largest, largest)
    rewards, away = _paid(after, goals, True)
    return after, rewards, ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="once over, always over")
def begins_again(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, (away >= near).any(axis=2)


@wrong_answer(
    "13.step_all", says="where the point was before the move: it is for where it is after"
)
def paid_before_the_move(positions, actions, goals, alive, largest, near):
    rewards, _ = _paid(positions, goals, alive)
    after = _moved(positions, actions, alive, largest)
    return after, rewards, alive & ~(_paid(after, goals, alive)[1] < near).all(axis=2)


@wrong_answer("13.step_all", says="the step that arrives is not paid")
def the_arrival_unpaid(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    goes_on = alive & ~(away < near).all(axis=2)
    return after, rewards * goes_on, goes_on


@wrong_answer("13.step_all", says="the position is clipped after adding")
def clips_after_adding(positions, actions, goals, alive, largest, near):
    after = np.clip(positions + largest * actions, -largest, largest)
    after = np.where(alive[:, :, None], after, positions)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="an action of 1 is the largest move")
def clipped_alone(positions, actions, goals, alive, largest, near):
    after = positions + np.clip(actions, -largest, largest) * alive[..., None]
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="clipped to ±largest before it is multiplied")
def clipped_too_early(positions, actions, goals, alive, largest, near):
    after = positions + largest * np.clip(actions, -largest, largest) * alive[..., None]
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="the move is not clipped")
def without_clipping(positions, actions, goals, alive, largest, near):
    after = positions + largest * actions * alive[..., None]
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="arrival is decided by the distance")
def arrives_by_distance(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, _ = _paid(after, goals, alive)
    return after, rewards, alive & (np.linalg.norm(after - goals[:, None], axis=2) >= near)


@wrong_answer("13.step_all", says="exactly `near` away counts as arrived")
def arrives_on_the_limit(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away <= near).all(axis=2)


@wrong_answer("13.step_all", says="one axis is enough for an arrival here")
def arrives_on_one_axis(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & ~(away < near).any(axis=2)


@wrong_answer("13.step_all", says="always counts as arrived")
def without_the_size(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, _ = _paid(after, goals, alive)
    return after, rewards, alive & ~(after - goals[:, None] < near).all(axis=2)


@wrong_answer("13.step_all", says="arrival is decided by where the point was before")
def arrives_before_the_move(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, _ = _paid(after, goals, alive)
    return after, rewards, alive & ~(_paid(positions, goals, alive)[1] < near).all(axis=2)


@wrong_answer("13.step_all", says="so that far away is best")
def rewards_distance(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, -rewards, alive & ~(away < near).all(axis=2)


@wrong_answer("13.step_all", says="the square of the distance")
def square_of_the_distance(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    away = after - goals[:, None]
    rewards = np.where(alive, -(away**2).sum(axis=2), 0.0)
    return after, rewards, alive & ~(np.abs(away) < near).all(axis=2)


@wrong_answer("13.step_all", says="it says which points go on")
def who_has_arrived(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, alive & (away < near).all(axis=2)


@wrong_answer("13.step_all", says="should be made of True and False")
def ones_and_zeros(positions, actions, goals, alive, largest, near):
    after = _moved(positions, actions, alive, largest)
    rewards, away = _paid(after, goals, alive)
    return after, rewards, (alive & ~(away < near).all(axis=2)).astype(int)


# ------------------------------------------------------------------ 13.2


def _backwards(paid, discount):
    result, total = np.zeros(paid.shape), np.zeros(len(paid))
    for t in range(paid.shape[1] - 1, -1, -1):
        total = paid[:, t] + discount * total
        result[:, t] = total
    return result


@wrong_answer("13.returns_to_go", says="every action gets the whole return: what was paid before")
def the_whole_return(rewards, alive, discount):
    powers = discount ** np.arange(rewards.shape[1])
    return (rewards * alive * powers).sum(axis=1, keepdims=True) * alive


@wrong_answer(
    "13.returns_to_go", says="every action gets the whole return, without discount, in dead"
)
def one_sum_for_all(rewards, alive, discount):
    return np.repeat((rewards * alive).sum(axis=1)[:, None], rewards.shape[1], axis=1)


@wrong_answer("13.returns_to_go", says="the power of γ is the number of the step")
def absolute_time(rewards, alive, discount):
    late = rewards * alive * discount ** np.arange(rewards.shape[1])
    return late[:, ::-1].cumsum(axis=1)[:, ::-1]


@wrong_answer("13.returns_to_go", says="this sums the past: what comes after")
def the_past(rewards, alive, discount):
    return _backwards((rewards * alive)[:, ::-1], discount)[:, ::-1] * alive


@wrong_answer("13.returns_to_go", says="this sums the past, without discount, over dead steps")
def running_total(rewards, alive, discount):
    return np.cumsum(rewards * alive, axis=1)


@wrong_answer("13.returns_to_go", says="γ is applied to the step's own reward already")
def discounted_at_once(rewards, alive, discount):
    result, total = np.zeros(rewards.shape), 0.0
    for t in reversed(range(rewards.shape[1])):
        total = discount * (rewards[:, t] * alive[:, t] + total)
        result[:, t] = total
    return result


@wrong_answer("13.returns_to_go", says="the step's own reward is missing")
def without_its_own(rewards, alive, discount):
    result, total = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        result[:, t] = discount * total
        total = rewards[:, t] * alive[:, t] + discount * total
    return result


@wrong_answer("13.returns_to_go", says="the sum is off by one step")
def stored_too_early(rewards, alive, discount):
    result, total = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        result[:, t] = total
        total = rewards[:, t] * alive[:, t] + discount * total
    return result


@wrong_answer("13.returns_to_go", says="the rewards of dead steps are counted: set them to 0 first")
def forgets_the_mask(rewards, alive, discount):
    return _backwards(rewards, discount)


@wrong_answer("13.returns_to_go", says="the mask is applied at the end")
def masked_at_the_end(rewards, alive, discount):
    return np.where(alive, _backwards(rewards, discount), 0.0)


@wrong_answer("13.returns_to_go", says="nothing is discounted")
def without_discount(rewards, alive, discount):
    return np.cumsum((rewards * alive)[:, ::-1], axis=1)[:, ::-1]


@wrong_answer("13.returns_to_go", says="γ is taken for 0.99")
def the_usual_discount(rewards, alive, discount):
    return _backwards(rewards * alive, 0.99)


@wrong_answer("13.returns_to_go", says="the sums run over the trajectories")
def over_trajectories(rewards, alive, discount):
    return _backwards((rewards * alive).T, discount).T


@wrong_answer("13.returns_to_go", says="are still in that order")
def appended(rewards, alive, discount):
    total, columns = 0.0, []
    for column in (rewards * alive).T[::-1]:
        total = column + discount * total
        columns.append(total)
    return np.stack(columns, axis=1)


@wrong_answer("13.returns_to_go", says="from one trajectory into the one before it")
def one_long_trajectory(rewards, alive, discount):
    return _backwards((rewards * alive).reshape(1, -1), discount).reshape(rewards.shape)


@wrong_answer("13.returns_to_go", says="the loop stops one step too early")
def a_step_too_few(rewards, alive, discount):
    result, total = np.zeros(rewards.shape), 0.0
    for t in range(rewards.shape[1] - 1, 0, -1):
        total = rewards[:, t] * alive[:, t] + discount * total
        result[:, t] = total
    return result


# ------------------------------------------------------------------ 13.3


def _fit(returns, features, steps, ridge):
    x = features[steps]
    return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[-1]), x.T @ returns[steps])


def _surprise(returns, features, alive, ridge):
    return returns - features @ _fit(returns, features, alive, ridge)


def _normal(values, alive):
    return np.where(alive, (values - values[alive].mean()) / values[alive].std(), 0.0)


@wrong_answer("13.advantages", says="the baseline is fitted to dead steps as well")
def baseline_over_dead_steps(returns, features, alive, ridge):
    return _normal(_surprise(returns, features, np.ones_like(alive), ridge), alive)


@wrong_answer("13.advantages", says="over all steps, dead ones counting as 0")
def mean_over_zeros(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge) * alive
    return (off - off.mean()) / off.std() * alive


@wrong_answer("13.advantages", says="over all steps, with what dead steps hold")
def mean_over_dead_steps(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return (off - off.mean()) / off.std() * alive


@wrong_answer("13.advantages", says="dead steps are in the baseline as well as in the mean")
def masked_at_last(returns, features, alive, ridge):
    off = _surprise(returns, features, np.ones_like(alive), ridge)
    return (off - off.mean()) / off.std() * alive


@wrong_answer("13.advantages", says="dead steps are not 0 in the result")
def dead_steps_too(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return (off - off[alive].mean()) / off[alive].std()


@wrong_answer("13.advantages", says="and no longer afterwards")
def no_longer_zero(returns, features, alive, ridge):
    off = np.where(alive, _surprise(returns, features, alive, ridge), 0.0)
    return (off - off[alive].mean()) / off[alive].std()


@wrong_answer("13.advantages", says="the mean is not subtracted: only the deviation is 1")
def variance_without_mean(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return off / off[alive].std() * alive


@wrong_answer("13.advantages", says="nothing is divided by the deviation")
def shifted_only(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return (off - off[alive].mean()) * alive


@wrong_answer("13.advantages", says="this divides by the variance")
def by_the_variance(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return (off - off[alive].mean()) / off[alive].var() * alive


@wrong_answer("13.advantages", says="the deviation is that of a sample")
def of_a_sample(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return (off - off[alive].mean()) / off[alive].std(ddof=1) * alive


@wrong_answer("13.advantages", says="each trajectory has a mean and a deviation of its own")
def scaled_by_trajectory(returns, features, alive, ridge):
    off = _surprise(returns, features, alive, ridge)
    return np.array([_normal(o, a) for o, a in zip(off, alive, strict=True)])


@wrong_answer("13.advantages", says="each trajectory has a baseline of its own")
def fitted_by_trajectory(returns, features, alive, ridge):
    rows = zip(returns, features, alive, strict=True)
    return _normal(np.array([_surprise(r, f, a, ridge) for r, f, a in rows]), alive)


@wrong_answer("13.advantages", says="is treated by itself, baseline and scale")
def one_by_one(returns, features, alive, ridge):
    rows = zip(returns, features, alive, strict=True)
    return np.array([_normal(_surprise(r, f, a, ridge), a) for r, f, a in rows])


@wrong_answer("13.advantages", says="ρ is missing")
def by_least_squares(returns, features, alive, ridge):
    weights = np.linalg.lstsq(features[alive], returns[alive], rcond=None)[0]
    return _normal(returns - features @ weights, alive)


@wrong_answer("13.advantages", says="ρ is multiplied by the number of steps")
def averaged_squares(returns, features, alive, ridge):
    x = features[alive]
    squares = x.T @ x / len(x) + ridge * np.eye(x.shape[1])
    weights = np.linalg.solve(squares, x.T @ returns[alive] / len(x))
    return _normal(returns - features @ weights, alive)


@wrong_answer("13.advantages", says="the weight of the 1 is not penalised")
def free_constant(returns, features, alive, ridge):
    x, penalty = features[alive], ridge * np.eye(features.shape[2])
    penalty[-1, -1] = 0.0
    return _normal(
        returns - features @ np.linalg.solve(x.T @ x + penalty, x.T @ returns[alive]), alive
    )


@wrong_answer("13.advantages", says="ρ‖w‖² has every weight in it")
def centred_before_the_fit(returns, features, alive, ridge):
    features = (features - features[alive].mean(axis=0))[..., :-1]
    off = returns - returns[alive].mean()
    return _normal(_surprise(off, features, alive, ridge), alive)


@wrong_answer("13.advantages", says="a 1 was added to the features")
def one_more_feature(returns, features, alive, ridge):
    features = np.concatenate([features, np.ones((*alive.shape, 1))], axis=2)
    return _normal(_surprise(returns, features, alive, ridge), alive)


@wrong_answer("13.advantages", says="it is return minus baseline")
def the_other_sign(returns, features, alive, ridge):
    return _normal(-_surprise(returns, features, alive, ridge), alive)


@wrong_answer("13.advantages", says="there is no baseline")
def without_a_baseline(returns, features, alive, ridge):
    return _normal(returns, alive)


@wrong_answer("13.advantages", says="before the baseline is subtracted, and not afterwards")
def scaled_first(returns, features, alive, ridge):
    return _surprise(_normal(returns, alive), features, alive, ridge) * alive


@wrong_answer("13.advantages", says="this is the baseline, shifted and scaled")
def the_baseline(returns, features, alive, ridge):
    return _normal(features @ _fit(returns, features, alive, ridge), alive)


# ------------------------------------------------------------------ 13.4


def _parts(weights, log_std, positions, actions, worth, alive):
    """(s, z, A, log π) of the steps alive."""
    s, a, sigma = positions[alive], actions[alive], np.exp(log_std)
    z = (a - s @ weights) / sigma
    log_pi = (-0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    return s, z, worth[alive], log_pi


def _both(*case):
    """(loss, gradient), right."""
    s, z, worth, log_pi = _parts(*case)
    slope = np.einsum("n,ni,nj->ij", worth, s, z / np.exp(case[1])) / len(s)
    return -(log_pi * worth).mean(), -slope


@wrong_answer("13.surrogate", says="so both have a minus")
def both_signs(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return -loss, -slope


@wrong_answer("13.surrogate", says="the loss has the right sign, the gradient the wrong one")
def sign_of_the_gradient(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss, -slope


@wrong_answer("13.surrogate", says="log σ is missing in the loss")
def without_log_sigma(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, log_pi = _parts(weights, log_std, positions, actions, advantages, alive)
    slope = _both(weights, log_std, positions, actions, advantages, alive)[1]
    return -np.mean((log_pi + log_std.sum()) * worth), slope


@wrong_answer("13.surrogate", says="log σ and log 2π/2 are missing")
def the_square_alone(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, _ = _parts(weights, log_std, positions, actions, advantages, alive)
    slope = _both(weights, log_std, positions, actions, advantages, alive)[1]
    return np.mean((z**2).sum(axis=1) / 2 * worth), slope


@wrong_answer("13.surrogate", says="σ² stands where σ should")
def square_for_sigma(weights, log_std, positions, actions, advantages, alive):
    s, a, variance = positions[alive], actions[alive], np.exp(log_std) ** 2
    z, worth = (a - s @ weights) / variance, advantages[alive]
    log_pi = (-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(axis=1)
    return -np.mean(log_pi * worth), -(s * worth[:, None]).T @ (z / variance) / len(s)


@wrong_answer("13.surrogate", says="log_std is used as σ")
def logarithm_for_sigma(weights, log_std, positions, actions, advantages, alive):
    case = (weights, np.log(np.abs(log_std)), positions, actions, advantages, alive)
    return _both(*case)


@wrong_answer("13.surrogate", says="log_std is used as σ, and as log σ as well: σ is")
def logarithm_for_both(weights, log_std, positions, actions, advantages, alive):
    s, z = positions[alive], (actions[alive] - positions[alive] @ weights) / log_std
    log_pi = (-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(axis=1)
    slope = (s * advantages[alive][:, None]).T @ (z / log_std)
    return -np.mean(log_pi * advantages[alive]), -slope / len(s)


@wrong_answer("13.surrogate", says="in the gradient, log_std is used as σ")
def logarithm_for_sigma_in_the_gradient(weights, log_std, positions, actions, advantages, alive):
    loss, _ = _both(weights, log_std, positions, actions, advantages, alive)
    s, error = positions[alive], actions[alive] - positions[alive] @ weights
    return loss, -(s * advantages[alive][:, None]).T @ (error / log_std**2) / len(s)


@wrong_answer("13.surrogate", says="in the loss, this is the mean over the axes as well")
def mean_over_the_axes(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, _ = _parts(weights, log_std, positions, actions, advantages, alive)
    log_pi = (-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).mean(axis=1)
    slope = (s * worth[:, None]).T @ (z / np.exp(log_std))
    return -np.mean(log_pi * worth), -slope / len(s)


@wrong_answer("13.surrogate", says="in the gradient, this is a sum over the steps")
def gradient_of_the_sum(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss, slope * alive.sum()


@wrong_answer("13.surrogate", says="in the gradient, A is missing")
def gradient_without_advantages(weights, log_std, positions, actions, advantages, alive):
    loss, _ = _both(weights, log_std, positions, actions, advantages, alive)
    ones = np.ones_like(advantages)
    return loss, _both(weights, log_std, positions, actions, ones, alive)[1]


@wrong_answer("13.surrogate", says="the mean of A is subtracted: take A as it is")
def centred_advantages(weights, log_std, positions, actions, advantages, alive):
    advantages = advantages - advantages[alive].mean()
    return _both(weights, log_std, positions, actions, advantages, alive)


@wrong_answer("13.surrogate", says="A is shifted and scaled: take it as it is")
def normal_advantages(weights, log_std, positions, actions, advantages, alive):
    return _both(weights, log_std, positions, actions, _normal(advantages, alive), alive)


@wrong_answer("13.surrogate", says="log_std is taken for the logarithm of the variance")
def logarithm_of_the_variance(weights, log_std, positions, actions, advantages, alive):
    return _both(weights, log_std / 2, positions, actions, advantages, alive)


@wrong_answer("13.surrogate", says="the gradient is divided by σ once")
def divided_once(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, log_pi = _parts(weights, log_std, positions, actions, advantages, alive)
    return -np.mean(log_pi * worth), -(s * worth[:, None]).T @ z / len(s)


@wrong_answer("13.surrogate", says="the gradient is not divided by σ²")
def not_divided(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, log_pi = _parts(weights, log_std, positions, actions, advantages, alive)
    return -np.mean(log_pi * worth), -(s * worth[:, None]).T @ (z * np.exp(log_std)) / len(s)


@wrong_answer("13.surrogate", says="but not out of the number it is divided by")
def divided_by_all_steps(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss * alive.mean(), slope * alive.mean()


@wrong_answer("13.surrogate", says="dead steps are counted")
def dead_steps_counted(weights, log_std, positions, actions, advantages, alive):
    return _both(weights, log_std, positions, actions, advantages, np.ones_like(alive))


@wrong_answer("13.surrogate", says="this is a sum over the steps: the mean")
def a_sum_over_steps(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss * alive.sum(), slope * alive.sum()


@wrong_answer("13.surrogate", says="and short ones count as much")
def mean_of_means(weights, log_std, positions, actions, advantages, alive):
    rows = zip(positions, actions, advantages, alive, strict=True)
    each = [_both(weights, log_std, *row) for row in rows]
    return np.mean([loss for loss, _ in each]), np.mean([slope for _, slope in each], axis=0)


@wrong_answer("13.surrogate", says="the logarithms of the two axes are averaged")
def mean_over_everything(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss / 2, slope / 2


@wrong_answer("13.surrogate", says="this is the density times A")
def density_for_its_logarithm(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, log_pi = _parts(weights, log_std, positions, actions, advantages, alive)
    worth = worth * np.exp(log_pi)
    return -worth.mean(), -(s * worth[:, None]).T @ (z / np.exp(log_std)) / len(s)


@wrong_answer("13.surrogate", says="A is missing")
def without_advantages(weights, log_std, positions, actions, advantages, alive):
    return _both(weights, log_std, positions, actions, np.ones_like(advantages), alive)


@wrong_answer("13.surrogate", says="multiply step by step")
def product_of_means(weights, log_std, positions, actions, advantages, alive):
    one = np.ones_like(advantages)
    loss, slope = _both(weights, log_std, positions, actions, one, alive)
    return loss * advantages[alive].mean(), slope * advantages[alive].mean()


@wrong_answer("13.surrogate", says="the gradient lies on its side")
def on_its_side(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss, slope.T


@wrong_answer("13.surrogate", says="log π is taken for a constant")
def detached(weights, log_std, positions, actions, advantages, alive):
    loss, slope = _both(weights, log_std, positions, actions, advantages, alive)
    return loss, np.zeros_like(slope)


@wrong_answer("13.surrogate", says="the ½ before the square is missing, in the loss and")
def without_the_half(weights, log_std, positions, actions, advantages, alive):
    s, z, worth, log_pi = _parts(weights, log_std, positions, actions, advantages, alive)
    loss = -np.mean((log_pi - (z**2).sum(axis=1) / 2) * worth)
    return loss, -2 * (s * worth[:, None]).T @ (z / np.exp(log_std)) / len(s)


# ------------------------------------------------------------------ 13.5


def _walk(theta, starts, noise, gain, sigma):
    actions = theta * starts + sigma * noise
    rewards = -((starts + gain * actions) ** 2)
    return actions, rewards - rewards.mean()


def _slope(theta, starts, actions, worth, sigma):
    return -np.mean((actions - theta * starts) * starts * worth) / sigma**2


def _each(gains, support, query):
    """(gain, starts and noise of the support set, those of the query set) of each task."""
    for gain, s, e, q, f in zip(gains, *support, *query, strict=True):
        yield gain, (s, e), (q, f)


def _adapt(theta, gain, starts, noise, alpha, sigma):
    """(φ, dφ/dθ)"""
    actions, worth = _walk(theta, starts, noise, gain, sigma)
    phi = theta - alpha * _slope(theta, starts, actions, worth, sigma)
    return phi, 1 - alpha * np.mean(starts**2 * worth) / sigma**2


def _judged(phi, starts, noise, gain, sigma, walker=None):
    """The slope at φ on what the walker, φ itself if none is named, has walked."""
    actions, worth = _walk(phi if walker is None else walker, starts, noise, gain, sigma)
    return _slope(phi, starts, actions, worth, sigma)


def _gathered(pairs, mean=np.mean):
    phis, slopes = zip(*pairs, strict=True)
    return np.array(phis), mean(slopes)


@wrong_answer("13.which_samples", says="φ is judged on trajectories that θ has walked")
def judged_on_theta_s_walk(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma, walker=theta)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="φ is judged on the trajectories that it was adapted on")
def judged_on_the_support_set(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, _ in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *own, gain, sigma, walker=theta)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="the starts and the noise of the support set")
def the_same_noise(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, _ in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *own, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="the query set has the noise of the support set")
def noise_of_the_support_set(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, others[0], own[1], gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="support and query set are exchanged")
def exchanged(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, query, support):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="is taken at θ: its trajectories are φ's")
def slope_at_theta(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        actions, worth = _walk(phi, *others, gain, sigma)
        pairs.append((phi, factor * _slope(theta, others[0], actions, worth, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="is taken at θ, and without dφ/dθ")
def slope_at_theta_first_order(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, alpha, sigma)
        actions, worth = _walk(phi, *others, gain, sigma)
        pairs.append((phi, _slope(theta, others[0], actions, worth, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="nothing was adapted here")
def without_adapting(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, _judged(theta, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="this is first order")
def first_order(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="dφ/dθ has the wrong sign before α")
def plus_for_minus(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, (2 - factor) * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="dφ/dθ is taken of the query set")
def curvature_of_the_query_set(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, alpha, sigma)
        factor = (
            1 - alpha * np.mean(others[0] ** 2 * _walk(phi, *others, gain, sigma)[1]) / sigma**2
        )
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="also goes through the actions and advantages")
def through_the_walk(theta, gains, support, query, alpha, sigma):
    pairs, h = [], 1e-5
    for gain, own, others in _each(gains, support, query):
        phi, more, less = (_adapt(theta + d, gain, *own, alpha, sigma)[0] for d in (0, h, -h))
        pairs.append((phi, (more - less) / (2 * h) * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer(
    "13.which_samples", says="the advantages of the query set are those of the support set"
)
def advantages_of_the_support_set(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        actions, _ = _walk(phi, *others, gain, sigma)
        worth = _walk(theta, *own, gain, sigma)[1]
        pairs.append((phi, factor * _slope(phi, others[0], actions, worth, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="the inner step goes uphill")
def uphill(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, -alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="goes uphill, and dφ/dθ is that of a step down")
def phi_alone_uphill(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, -alpha, sigma)
        factor = _adapt(theta, gain, *own, alpha, sigma)[1]
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


def _with_second(case, second):
    """With 1 − α · second(s, A) in the place of dφ/dθ."""
    theta, gains, support, query, alpha, sigma = case
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, _ = _adapt(theta, gain, *own, alpha, sigma)
        factor = 1 - alpha * np.mean(second(own[0], _walk(theta, *own, gain, sigma)[1]))
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@wrong_answer("13.which_samples", says="1/σ² is missing in dφ/dθ")
def factor_without_sigma(theta, gains, support, query, alpha, sigma):
    return _with_second((theta, gains, support, query, alpha, sigma), lambda s, a: s**2 * a)


@wrong_answer("13.which_samples", says="dφ/dθ has 1/σ in it")
def factor_with_sigma_once(theta, gains, support, query, alpha, sigma):
    case = (theta, gains, support, query, alpha, sigma)
    return _with_second(case, lambda s, a: s**2 * a / sigma)


@wrong_answer("13.which_samples", says="A is missing in dφ/dθ")
def factor_without_advantages(theta, gains, support, query, alpha, sigma):
    return _with_second((theta, gains, support, query, alpha, sigma), lambda s, a: s**2 / sigma**2)


@wrong_answer("13.which_samples", says="A and 1/σ² are missing in dφ/dθ")
def factor_of_squares(theta, gains, support, query, alpha, sigma):
    return _with_second((theta, gains, support, query, alpha, sigma), lambda s, a: s**2)


@wrong_answer("13.which_samples", says="s is not squared in dφ/dθ")
def factor_without_a_square(theta, gains, support, query, alpha, sigma):
    case = (theta, gains, support, query, alpha, sigma)
    return _with_second(case, lambda s, a: s * a / sigma**2)


def _in_one_walk(who, starts, noise, gains, sigma):
    """Actions and advantages of all tasks from one call of `walk`, and the slope of each task."""
    actions, worth = _walk(who[:, None], starts, noise, gains[:, None], sigma)
    slopes = -((actions - who[:, None] * starts) * starts * worth).mean(axis=1) / sigma**2
    return worth, slopes


@wrong_answer("13.which_samples", says="each task's advantages are about its own mean")
def one_mean_for_all_tasks(theta, gains, support, query, alpha, sigma):
    worth, slopes = _in_one_walk(np.full(len(gains), theta), *support, gains, sigma)
    phi = theta - alpha * slopes
    factor = 1 - alpha * (support[0] ** 2 * worth).mean(axis=1) / sigma**2
    return phi, np.mean(factor * _in_one_walk(phi, *query, gains, sigma)[1])


@wrong_answer("13.which_samples", says="all tasks have the same φ")
def one_phi_for_all(theta, gains, support, query, alpha, sigma):
    steps = [
        _adapt(theta, gain, *own, alpha, sigma) for gain, own, _ in _each(gains, support, query)
    ]
    phi, factor = np.mean(steps, axis=0)
    tasks = _each(gains, support, query)
    return _gathered([(phi, factor * _judged(phi, *others, k, sigma)) for k, _, others in tasks])


@wrong_answer("13.which_samples", says="this is a sum over the tasks")
def a_sum_over_tasks(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        phi, factor = _adapt(theta, gain, *own, alpha, sigma)
        pairs.append((phi, factor * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs, mean=np.sum)


# ------------------------------------------------------------------ 13.6


def _learned(theta, support, alpha, inner_steps):
    inputs, changes = support
    for _ in range(inner_steps):
        theta = theta - 2 * alpha * inputs.T @ (inputs @ theta - changes) / changes.size
    return theta


def _next(model, states, control):
    return states + np.column_stack([states, control]) @ model


def _costs(model, state, tried, ahead=_next):
    """What each step of each plan costs, (plans, horizon)."""
    states, costs = np.repeat(state[None], len(tried), axis=0), []
    for control in tried.T:
        states = ahead(model, states, control)
        costs.append((states**2).sum(axis=1) + control**2)
    return np.array(costs).T


def _cheapest(model, state, tried, costs=_costs):
    return tried[costs(model, state, tried).sum(axis=1).argmin()]


def _drive(body, start, plans, choose):
    """The controls of a controller choose(t, state, tried)."""
    state, controls = start, []
    for t, tried in enumerate(plans):
        controls.append(choose(t, state, tried))
        state = _next(body, state[None], controls[-1:])[0]
    return np.array(controls)


@wrong_answer("13.mpc", says="the plans are made with θ")
def plans_with_theta(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(theta, s, tried)[0])


@wrong_answer("13.mpc", says="which nobody knows")
def plans_with_the_body(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(body, s, tried)[0])


@wrong_answer("13.mpc", says="one plan is executed to its end")
def open_loop(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _cheapest(phi, start, plans[0])[: len(plans)]


@wrong_answer("13.mpc", says="made from the first state, though the cart has moved")
def always_from_the_start(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, np.array([_cheapest(phi, start, tried)[0] for tried in plans])


@wrong_answer("13.mpc", says="the most expensive plan is taken")
def the_dearest(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    dearest = lambda t, s, tried: tried[_costs(phi, s, tried).sum(axis=1).argmax(), 0]
    return phi, _drive(body, start, plans, dearest)


@wrong_answer("13.mpc", says="the last control of the plan is executed")
def the_last_control(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[-1])


@wrong_answer("13.mpc", says="at step t the control number t of the plan")
def control_number_t(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[t])


@wrong_answer("13.mpc", says="a step's cost is that of the state before it")
def cost_before_the_step(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)

    def costs(model, state, tried):
        states, costs = np.repeat(state[None], len(tried), axis=0), []
        for control in tried.T:
            costs.append((states**2).sum(axis=1) + control**2)
            states = _next(model, states, control)
        return np.array(costs).T

    choose = lambda t, s, tried: _cheapest(phi, s, tried, costs)[0]
    return phi, _drive(body, start, plans, choose)


@wrong_answer("13.mpc", says="only the last state of a plan is counted")
def the_last_state(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    choose = lambda t, s, tried: tried[_costs(phi, s, tried)[:, -1].argmin(), 0]
    return phi, _drive(body, start, plans, choose)


@wrong_answer("13.mpc", says="looks no further than one step")
def greedy(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    choose = lambda t, s, tried: tried[_costs(phi, s, tried)[:, 0].argmin(), 0]
    return phi, _drive(body, start, plans, choose)


@wrong_answer("13.mpc", says="the control costs nothing")
def free_controls(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    costs = lambda model, state, tried: _costs(model, state, tried) - tried**2
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried, costs)[0])


@wrong_answer("13.mpc", says="the plans of the first step are tried at every step")
def the_same_plans(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, plans[0])[0])


@wrong_answer("13.mpc", says="the cart moves as the model says")
def dreams(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    return phi, _drive(phi, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


@wrong_answer("13.mpc", says="is taken for the next state: it is the change")
def change_for_state(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, inner_steps)
    ahead = lambda model, states, control: np.column_stack([states, control]) @ model
    costs = lambda model, state, tried: _costs(model, state, tried, ahead)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried, costs)[0])


@wrong_answer("13.mpc", says="what `body` gives is taken for the cart's next state")
def body_for_state(theta, support, alpha, inner_steps, body, start, plans):
    phi, state, controls = _learned(theta, support, alpha, inner_steps), start, []
    for tried in plans:
        controls.append(_cheapest(phi, state, tried)[0])
        state = np.append(state, controls[-1]) @ body
    return phi, np.array(controls)


@wrong_answer("13.mpc", says="what model and `body` give is taken for the next state")
def both_for_state(theta, support, alpha, inner_steps, body, start, plans):
    ahead = lambda model, states, control: np.column_stack([states, control]) @ model
    phi, state, controls = _learned(theta, support, alpha, inner_steps), start, []
    for tried in plans:
        costs = _costs(phi, state, tried, ahead).sum(axis=1)
        controls.append(tried[costs.argmin(), 0])
        state = ahead(body, state[None], controls[-1:])[0]
    return phi, np.array(controls)


@wrong_answer("13.mpc", says="the cart is put where the plan would have ended")
def at_the_end_of_the_plan(theta, support, alpha, inner_steps, body, start, plans):
    phi, state, controls = _learned(theta, support, alpha, inner_steps), start, []
    for tried in plans:
        plan = _cheapest(phi, state, tried)
        controls.append(plan[0])
        for control in plan:
            state = _next(phi, state[None], [control])[0]
    return phi, np.array(controls)


@wrong_answer("13.mpc", says="adapted again at every step, from φ: adapt once")
def adapts_again(theta, support, alpha, inner_steps, body, start, plans):
    phi = model = _learned(theta, support, alpha, inner_steps)
    state, controls = start, []
    for t, tried in enumerate(plans):
        if t:
            model = _learned(model, support, alpha, inner_steps)
        controls.append(_cheapest(model, state, tried)[0])
        state = _next(body, state[None], controls[-1:])[0]
    return phi, np.array(controls)


@wrong_answer("13.mpc", says="adapted again at every step, from φ, and once more after the last")
def adapts_after_each_step(theta, support, alpha, inner_steps, body, start, plans):
    phi, state, controls = _learned(theta, support, alpha, inner_steps), start, []
    for tried in plans:
        controls.append(_cheapest(phi, state, tried)[0])
        state = _next(body, state[None], controls[-1:])[0]
        phi = _learned(phi, support, alpha, inner_steps)
    return phi, np.array(controls)


def _learning(case, anew):
    """(models, controls) of who adds what the cart has done to the support set, and adapts to it."""
    theta, support, alpha, inner_steps, body, state, plans = case
    (inputs, changes), models, controls = support, [], []
    for tried in plans:
        before = theta if anew or not models else models[-1]
        models.append(_learned(before, (inputs, changes), alpha, inner_steps))
        controls.append(_cheapest(models[-1], state, tried)[0])
        after = _next(body, state[None], controls[-1:])[0]
        inputs = np.vstack([inputs, [*state, controls[-1]]])
        changes, state = np.vstack([changes, after - state]), after
    return models, np.array(controls)


@wrong_answer(
    "13.mpc", says="again at every step, from θ, with what the cart has done, and the last"
)
def learns_on_from_theta(theta, support, alpha, inner_steps, body, start, plans):
    case = (theta, support, alpha, inner_steps, body, start, plans)
    models, controls = _learning(case, anew=True)
    return models[-1], controls


@wrong_answer("13.mpc", says="again at every step, from φ, with what the cart has done: adapt")
def learns_on_from_phi(theta, support, alpha, inner_steps, body, start, plans):
    case = (theta, support, alpha, inner_steps, body, start, plans)
    models, controls = _learning(case, anew=False)
    return models[0], controls


@wrong_answer("13.mpc", says="nothing is adapted: φ is θ")
def without_adaptation(theta, support, alpha, inner_steps, body, start, plans):
    return theta, _drive(body, start, plans, lambda t, s, tried: _cheapest(theta, s, tried)[0])


@wrong_answer("13.mpc", says="the inner steps go uphill")
def inner_steps_uphill(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, -alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


@wrong_answer("13.mpc", says="this is one inner step, however many")
def one_inner_step(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha, 1)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


@wrong_answer("13.mpc", says="of the sum of the squared errors")
def slope_of_the_sum(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, alpha * support[1].size, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


@wrong_answer("13.mpc", says="divided by n: there are 2n")
def divided_by_the_rows(theta, support, alpha, inner_steps, body, start, plans):
    phi = _learned(theta, support, 2 * alpha, inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


@wrong_answer("13.mpc", says="this is the least-squares model")
def least_squares(theta, support, alpha, inner_steps, body, start, plans):
    phi = np.linalg.lstsq(*support, rcond=None)[0]
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])


# ------------------------------------------------------------------ right ones


@right_answer("13.step_all", why="point after point, as lists")
def point_after_point(positions, actions, goals, alive, largest, near):
    after, rewards, goes_on = positions.tolist(), [], []
    for i, (x, y) in enumerate(goals):
        rewards.append([])
        goes_on.append([])
        for j, lives in enumerate(alive[i]):
            if lives:
                moves = [min(max(largest * a, -largest), largest) for a in actions[i, j]]
                after[i][j] = [p + m for p, m in zip(positions[i, j], moves, strict=True)]
            dx, dy = after[i][j][0] - x, after[i][j][1] - y
            rewards[i].append(-float(np.hypot(dx, dy)) if lives else 0.0)
            goes_on[i].append(bool(lives) and not (abs(dx) < near and abs(dy) < near))
    return after, rewards, goes_on


@right_answer(
    "13.step_all", why="the action is clipped to ±1 first; products with the mask; single precision"
)
def by_products(positions, actions, goals, alive, largest, near):
    positions, actions, goals = (a.astype(np.float32) for a in (positions, actions, goals))
    lives = alive.astype(np.float32)
    after = positions + np.float32(largest) * np.clip(actions, -1, 1) * lives[..., None]
    away = after - np.expand_dims(goals, 1)
    arrived = np.abs(away).max(axis=2) < near
    return after, -np.linalg.norm(away, axis=2) * lives, np.logical_and(alive, ~arrived)


@right_answer("13.step_all", why="complex numbers for the plane")
def in_the_complex_plane(positions, actions, goals, alive, largest, near):
    moves = np.maximum(np.minimum(largest * actions, largest), -largest)
    after = positions.copy()
    after[alive] += moves[alive]
    away = (after - goals[:, None]) @ np.array([1, 1j])
    goes_on = alive.copy()
    goes_on[(np.abs(away.real) < near) & (np.abs(away.imag) < near)] = False
    return [after, np.where(alive, -np.abs(away), 0), goes_on]


@right_answer("13.returns_to_go", why="one product with a triangle of powers")
def by_a_triangle(rewards, alive, discount):
    t = np.arange(rewards.shape[1])
    powers = np.triu(discount ** np.abs(t[None] - t[:, None]))
    return np.einsum("ij,nj->ni", powers, rewards * alive)


@right_answer("13.returns_to_go", why="cumulated powers, divided afterwards; single precision")
def by_division(rewards, alive, discount):
    powers = discount ** np.arange(rewards.shape[1])
    late = np.cumsum((rewards * alive * powers)[:, ::-1], axis=1)[:, ::-1]
    return (late / powers).astype(np.float32)


@right_answer("13.returns_to_go", why="lists, trajectory by trajectory, dead steps cut off")
def trajectory_by_trajectory(rewards, alive, discount):
    rows = []
    for row, lives in zip(rewards, alive, strict=True):
        paid = row[lives].tolist()
        sums = [sum(r * discount**k for k, r in enumerate(paid[t:])) for t in range(len(paid))]
        rows.append(sums + [0.0] * (len(row) - len(paid)))
    return rows


@right_answer("13.advantages", why="least squares with the root of ρ as extra rows")
def by_extra_rows(returns, features, alive, ridge):
    x, y = features[alive], returns[alive]
    more = np.sqrt(ridge) * np.eye(x.shape[1])
    weights = np.linalg.lstsq(np.vstack([x, more]), np.append(y, np.zeros(len(more))), rcond=None)[
        0
    ]
    return _normal(returns - features @ weights, alive)


@right_answer("13.advantages", why="the singular values; every sum with the mask")
def by_singular_values(returns, features, alive, ridge):
    rows, y = (
        (features * alive[..., None]).reshape(-1, features.shape[-1]),
        (returns * alive).ravel(),
    )
    u, d, v = np.linalg.svd(rows, full_matrices=False)
    off = (y - rows @ (v.T @ (d / (d**2 + ridge) * (u.T @ y)))).reshape(alive.shape)
    count = alive.sum()
    off = (off - off.sum() / count) * alive
    return off / np.sqrt((off**2).sum() / count)


@right_answer("13.advantages", why="the dual problem, a weight for each step; lists")
def by_the_dual(returns, features, alive, ridge):
    x, y = features[alive], returns[alive]
    held = x @ x.T
    off = y - held @ np.linalg.solve(held + ridge * np.eye(len(y)), y)
    off = iter(((off - off.mean()) / off.std()).tolist())
    return [[next(off) if lives else 0.0 for lives in row] for row in alive]


@right_answer("13.surrogate", why="einsum over all steps, dead ones with weight 0")
def by_einsum(weights, log_std, positions, actions, advantages, alive):
    precision = np.exp(-2 * log_std)
    error = actions - np.einsum("nti,ij->ntj", positions, weights)
    counts = advantages * alive / alive.sum()
    log_pi = -0.5 * np.log(2 * np.pi * np.exp(2 * log_std)) - 0.5 * precision * error**2
    gradient = -np.einsum("nt,nti,ntj,j->ij", counts, positions, error, precision)
    return -np.einsum("nt,ntj->", counts, log_pi), gradient


@right_answer("13.surrogate", why="the gradient by a complex step")
def by_a_complex_step(weights, log_std, positions, actions, advantages, alive):
    def loss(w):
        error = (actions[alive] - positions[alive] @ w) * np.exp(-log_std)
        log_pi = -(error**2 + 2 * log_std + np.log(2 * np.pi)).sum(axis=1) / 2
        return -(log_pi * advantages[alive]).mean()

    gradient = np.zeros((2, 2))
    for place in np.ndindex(2, 2):
        moved = weights.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = loss(moved).imag / 1e-30
    return loss(weights), gradient


@right_answer("13.surrogate", why="step by step; lists, single precision at the end")
def step_by_step(weights, log_std, positions, actions, advantages, alive):
    loss, gradient, sigma = 0.0, np.zeros((2, 2)), np.exp(log_std)
    for place in zip(*np.nonzero(alive), strict=True):
        error = actions[place] - weights.T @ positions[place]
        density = np.exp(-((error / sigma) ** 2) / 2) / (np.sqrt(2 * np.pi) * sigma)
        loss -= float(np.log(np.prod(density)) * advantages[place])
        gradient -= np.outer(positions[place], error / sigma**2) * advantages[place]
    return [loss / alive.sum(), (gradient / alive.sum()).astype(np.float32).tolist()]


@right_answer("13.which_samples", why="all tasks at once")
def all_tasks_at_once(theta, gains, support, query, alpha, sigma):
    def walk(theta, starts, noise):
        actions = theta * starts + sigma * noise
        paid = -((starts + gains[:, None] * actions) ** 2)
        return actions, paid - paid.mean(axis=1, keepdims=True)

    actions, worth = walk(theta, *support)
    error = actions - theta * support[0]
    phi = theta + alpha * (error * support[0] * worth).mean(axis=1) / sigma**2
    factor = 1 - alpha / sigma**2 * (support[0] ** 2 * worth).mean(axis=1)
    actions, worth = walk(phi[:, None], *query)
    slopes = -((actions - phi[:, None] * query[0]) * query[0] * worth).mean(axis=1) / sigma**2
    return phi, (factor * slopes).mean()


@right_answer(
    "13.which_samples", why="the second derivative as a difference of two slopes, which are linear"
)
def by_two_slopes(theta, gains, support, query, alpha, sigma):
    pairs = []
    for gain, own, others in _each(gains, support, query):
        walked = _walk(theta, *own, gain, sigma)
        here, further = (_slope(t, own[0], *walked, sigma) for t in (theta, theta + 1))
        phi = theta - alpha * here
        pairs.append((phi, (1 - alpha * (further - here)) * _judged(phi, *others, gain, sigma)))
    return _gathered(pairs)


@right_answer(
    "13.which_samples",
    why="the noise itself in place of action minus mean; lists, single precision",
)
def by_the_noise(theta, gains, support, query, alpha, sigma):
    phis, total = [], 0.0
    for gain, (s, e), (q, f) in _each(gains, support, query):
        paid = -((s * (1 + gain * theta) + gain * sigma * e) ** 2)
        paid = paid - paid.mean()
        phi = theta + alpha * np.mean(e * s * paid) / sigma
        worth = -((q * (1 + gain * phi) + gain * sigma * f) ** 2)
        worth = worth - worth.mean()
        phis.append(np.float32(phi))
        total += (np.mean(s * s * paid) * alpha / sigma**2 - 1) * np.mean(f * q * worth) / sigma
    return phis, total / len(gains)


@right_answer("13.mpc", why="plan after plan, with a running total")
def plan_after_plan(theta, support, alpha, inner_steps, body, start, plans):
    phi, state, controls = _learned(theta, support, alpha, inner_steps), list(start), []
    for tried in plans:
        cheapest, best = np.inf, 0.0
        for plan in tried:
            (x, v), total = state, 0.0
            for u in plan:
                dx, dv = np.dot([x, v, u], phi)
                x, v = x + dx, v + dv
                total += x * x + v * v + u * u
            if total < cheapest:
                cheapest, best = total, plan[0]
        controls.append(float(best))
        change = np.dot([*state, best], body)
        state = [state[0] + change[0], state[1] + change[1]]
    return phi.tolist(), controls


@right_answer(
    "13.mpc", why="states with a change built in, as one matrix product; means in place of sums"
)
def by_matrices(theta, support, alpha, inner_steps, body, start, plans):
    inputs, changes = support
    squares, crossed = inputs.T @ inputs / changes.size, inputs.T @ changes / changes.size
    phi = theta.copy()
    for _ in range(inner_steps):
        phi -= 2 * alpha * (squares @ phi - crossed)
    still = np.eye(3, 2)
    state, controls = start.copy(), np.zeros(len(plans))
    for t, tried in enumerate(plans):
        row, costs = np.tile(np.append(state, 0.0), (len(tried), 1)), 0.0
        for u in tried.T:
            row[:, 2] = u
            row[:, :2] = row @ (phi + still)
            costs = costs + (row**2).mean(axis=1)
        controls[t] = tried[np.argsort(costs)[0], 0]
        state = np.append(state, controls[t]) @ (body + still)
    return phi, controls


@right_answer("13.mpc", why="single precision")
def in_single_precision(theta, support, alpha, inner_steps, body, start, plans):
    theta, body, start, plans = (a.astype(np.float32) for a in (theta, body, start, plans))
    support = tuple(part.astype(np.float32) for part in support)
    phi = _learned(theta, support, np.float32(alpha), inner_steps)
    return phi, _drive(body, start, plans, lambda t, s, tried: _cheapest(phi, s, tried)[0])
