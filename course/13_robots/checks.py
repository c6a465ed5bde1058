"""Checks of chapter 13: one function per exercise, for the learner and for the grader."""

from functools import partial

import numpy as np

from maml_edu.checks.exercise import draw, exercise, expect

# ------------------------------------------------------------------ 13.1


@exercise("13.step_all", points=3, minutes=10, difficulty=2)
def step_all(answer, rng):
    """One step of all points"""
    for n, m in draw(rng, n=(7, 19), m=(11, 30)):
        largest, near = n / 64, m / 1024  # few binary digits: a distance can be `near` exactly
        case = (*_points(rng, largest, near), largest, near)
        expect(answer(*case), _stepped(*case), partial(_wrong_steps, *case))


def _points(rng, largest, near, tasks=3):
    """(positions, actions, goals, alive): in each task a point of every kind, in random order."""
    goals = rng.integers(-32, 33, (tasks, 2)) / 64
    kinds = [[_a_point(rng, kind, largest, near) for kind in KINDS] for _ in range(tasks)]
    kinds = [[row[i] for i in rng.permutation(len(row))] for row in kinds]
    after, actions = (np.array([[point[i] for point in row] for row in kinds]) for i in (0, 1))
    alive = np.array([[point[2] for point in row] for row in kinds])
    moves = np.where(alive[:, :, None], np.clip(largest * actions, -largest, largest), 0.0)
    return goals[:, None] + after - moves, actions, goals, alive


KINDS = (
    "far", "diagonal", "steep", "corner", "limit", "arrives", "one axis", "leaves", "over", "over at goal"
)  # fmt: skip


def _a_point(rng, kind, largest, near):
    """(where it is after the step, seen from its goal; its action; whether its episode goes on)."""
    sign = lambda: rng.choice([-1.0, 1.0], 2)
    size = lambda low, high: sign() * rng.uniform(low, high, 2)
    far, action = size(0.35, 0.8), size(0.3, 0.9)
    if kind == "far":  # on the negative side of its goal
        return -np.abs(far), size(1.2, 2.5), True
    if kind == "diagonal":  # longer than the largest move, but not on an axis
        return far, size(0.8, 0.95), True
    if kind == "steep":
        return far, sign() * rng.permutation([rng.uniform(1.5, 2.5), rng.uniform(0.2, 0.5)]), True
    if kind == "corner":  # arrives, though its distance is larger than `near`
        return near * size(0.75, 0.95), size(0.5, 1.5), True
    if kind == "limit":  # exactly `near` away on one axis; a whole move brings it there
        inside = rng.integers(2, 9) / 16
        return near * sign() * rng.permutation([1.0, inside]), size(1.2, 2.5), True
    if kind == "arrives":
        return near * size(0.1, 0.6), size(0.5, 1.5), True
    if kind == "one axis":
        return (
            rng.permutation([rng.uniform(0.1, 0.6) * near, rng.uniform(0.1, 0.4)]) * sign(),
            action,
            True,
        )
    if kind == "leaves":  # it was near its goal, and moves on
        action = size(0.75, 0.95)
        return near * size(0.1, 0.6) + largest * action, action, True
    return (far if kind == "over" else near * size(0.1, 0.6)), size(0.4, 2.0), False


def _distance(away):
    return np.sqrt((away**2).sum(axis=2))


def _stepped(positions, actions, goals, alive, largest, near, **changes):
    """What the exercise asks for; `changes` make it a wrong step."""
    change = {
        "move": lambda actions: np.clip(largest * actions, -largest, largest),
        "place": lambda positions, moves: positions + moves, "goal": goals[:, None],
        "pay": lambda away, before: -_distance(away),
        "arrived": lambda away, before: (np.abs(away) < near).all(axis=2),
        "moving": alive, "paid": lambda arrived: alive, "goes_on": lambda arrived: alive & ~arrived,
    } | changes  # fmt: skip
    after = change["place"](positions, change["move"](actions))
    after = np.where(change["moving"][:, :, None], after, positions)
    away, before = after - change["goal"], positions - change["goal"]
    arrived = change["arrived"](away, before)
    rewards = np.where(change["paid"](arrived), change["pay"](away, before), 0.0)
    return after, rewards, change["goes_on"](arrived)


def _wrong_steps(positions, actions, goals, alive, largest, near):
    made = partial(_stepped, positions, actions, goals, alive, largest, near)
    every = np.ones(alive.shape, bool)
    norms = lambda actions: np.maximum(1, np.sqrt((actions**2).sum(axis=2, keepdims=True)))
    return {
        "the length of the move is limited, so that it keeps its direction: clip each axis separately": made(
            move=lambda actions: largest * actions / norms(actions)
        ),
        "the move is not clipped": made(move=lambda actions: largest * actions),
        "the action is clipped, but not multiplied by `largest`: an action of 1 is the largest move": made(
            move=lambda actions: np.clip(actions, -largest, largest)
        ),
        "the action is clipped to ±largest before it is multiplied by it: that makes moves far too small": made(
            move=lambda actions: largest * np.clip(actions, -largest, largest)
        ),
        "the position is clipped after adding: clip the move, and then add it": made(
            move=lambda actions: largest * actions,
            place=lambda positions, moves: np.clip(positions + moves, -largest, largest),
        ),
        "the moves are subtracted: add them": made(
            place=lambda positions, moves: positions - moves
        ),
        "points go on being paid after their episode is over: they get 0": made(
            paid=lambda arrived: every
        ),
        "points go on moving after their episode is over": made(moving=every),
        "points whose episode is over go on moving and are paid: the mask is used for the third result alone": made(
            moving=every, paid=lambda arrived: every
        ),
        "an episode that is over begins again, if the point is not at its goal: once over, always over": made(
            goes_on=lambda arrived: ~arrived
        ),
        "`alive` is not used at all": made(
            moving=every, paid=lambda arrived: every, goes_on=lambda arrived: ~arrived
        ),
        "the reward is for where the point was before the move: it is for where it is after it": made(
            pay=lambda away, before: -_distance(before)
        ),
        "the step that arrives is not paid: it still belongs to the episode": made(
            paid=lambda arrived: alive & ~arrived
        ),
        "the reward is the distance itself, so that far away is best: minus the distance is asked for": made(
            pay=lambda away, before: _distance(away)
        ),
        "the reward is minus the square of the distance: the root is missing": made(
            pay=lambda away, before: -(away**2).sum(axis=2)
        ),
        "the reward is minus the sum of both axes' distances: the distance is the root of the sum of squares": made(
            pay=lambda away, before: -np.abs(away).sum(axis=2)
        ),
        "arrival is decided by the distance: a point has arrived when both axes are nearer than `near`, even if "
        "the distance is not": made(arrived=lambda away, before: _distance(away) < near),
        "a point that is exactly `near` away counts as arrived: less than `near` is asked for": made(
            arrived=lambda away, before: (np.abs(away) <= near).all(axis=2)
        ),
        "one axis is enough for an arrival here: both must be near": made(
            arrived=lambda away, before: (np.abs(away) < near).any(axis=2)
        ),
        "arrival is decided by where the point was before the move": made(
            arrived=lambda away, before: (np.abs(before) < near).all(axis=2)
        ),
        "a point to the left of its goal and below it always counts as arrived: take np.abs of each axis": made(
            arrived=lambda away, before: (away < near).all(axis=2)
        ),
        "the third result says who has arrived: it says which points go on": made(
            goes_on=lambda arrived: alive & arrived
        ),
        "the third result is as it was before the step: points that arrive do not go on": made(
            goes_on=lambda arrived: alive
        ),
        "all tasks have the goal of the first": made(goal=goals[:1, None]),
    }


# ------------------------------------------------------------------ 13.2


@exercise("13.returns_to_go", points=3, minutes=10, difficulty=2)
def returns_to_go(answer, rng):
    """Returns to go"""
    for trajectories, horizon, discount in draw(
        rng, trajectories=(3, 5), horizon=(6, 9), discount=(0.5, 0.9)
    ):
        alive = _alive(rng, trajectories, horizon)
        case = (rng.uniform(-2.0, -0.2, alive.shape), alive, discount)
        expect(answer(*case), _to_go(*case), partial(_wrong_returns, *case))


def _alive(rng, trajectories, horizon, least=2):
    """(trajectories, horizon): True up to a step; one goes on to the horizon, and most end before it."""
    lengths = rng.integers(least, horizon, trajectories)
    lengths[rng.integers(trajectories)] = horizon
    return np.arange(horizon) < lengths[:, None]


def _to_go(rewards, alive, discount, weight=None, mask=None):
    """Σ over t′ of weight(t, t′) · r(t′), the rewards of dead steps being 0 unless `mask` says otherwise."""
    t = np.arange(rewards.shape[1])
    late = t[None] - t[:, None]  # t′ − t
    weights = np.where(late >= 0, discount ** np.maximum(late, 0.0), 0.0)
    if weight is not None:
        weights = weight(t[:, None] + 0 * late, t[None] + 0 * late)
    return np.where(alive if mask is None else mask, rewards, 0.0) @ weights.T


def _wrong_returns(rewards, alive, discount):
    made = partial(_to_go, rewards, alive, discount)
    power = lambda n: discount ** np.maximum(n, 0.0)
    right, paid = made(), np.where(alive, rewards, 0.0)
    whole = made(lambda t, u: power(u))
    plain = made(lambda t, u: np.ones(t.shape))
    past = made(lambda t, u: np.where(u <= t, power(t - u), 0.0))
    added = made(lambda t, u: np.where(u <= t, 1.0, 0.0))
    flat = _to_go(paid.reshape(1, -1), np.ones((1, paid.size), bool), discount)
    down = _to_go(paid.T, alive.T, discount).T
    left = np.maximum(alive[:, ::-1].cumsum(axis=1)[:, ::-1], 1)  # steps alive from here on
    first_missing = right.copy()
    first_missing[:, 0] = 0.0
    return {
        "every action gets the whole return: what was paid before it is none of its doing": whole
        * alive,
        "every action gets the whole return, in dead steps as well: count from each step on": whole,
        "every action gets the whole return, without discount: count from each step on": plain
        * alive,
        "every action gets the whole return, without discount, in dead steps as well: count from t on": plain,
        "the power of γ is the number of the step: it counts from the action on, t′ − t": made(
            lambda t, u: np.where(u >= t, power(u), 0.0)
        ),
        "this sums the past: what comes after an action is asked for": past * alive,
        "this sums the past, over dead steps too: what comes after an action is asked for": past,
        "this sums the past, without discount: what comes after an action is asked for": added
        * alive,
        "this sums the past, without discount, over dead steps too: what comes after is asked for": added,
        "γ is applied to the step's own reward already: its power is 0 there": discount * right,
        "the step's own reward is missing: the sum begins at t": right - paid,
        "this is what the next step has to expect: the sum is off by one step": made(
            lambda t, u: np.where(u > t, power(u - t - 1), 0.0)
        ),
        "the rewards of dead steps are counted: set them to 0 first": made(
            mask=np.ones(alive.shape, bool)
        ),
        "the mask is applied at the end: the rewards of dead steps have reached steps that count by then": (
            made(mask=np.ones(alive.shape, bool)) * alive
        ),
        "nothing is discounted": made(lambda t, u: np.where(u >= t, 1.0, 0.0)),
        "γ is taken for 0.99, whatever is given": _to_go(rewards, alive, 0.99),
        "what comes late counts more here: multiply by γ for each step, do not divide": _to_go(
            rewards, alive, 1 / discount
        ),
        "the sums run over the trajectories: time is the second axis": down,
        "the sums were made from the end on, and are still in that order: turn them round": right[
            :, ::-1
        ],
        "the sum goes on from one trajectory into the one before it: begin each with 0": flat.reshape(
            paid.shape
        ),
        "this is a mean over the steps that are left: a sum is asked for": right / left,
        "the loop stops one step too early: the first step has no return": first_missing,
        "these are the rewards themselves, each by its power of γ: add up what comes after": made(
            lambda t, u: np.where(u == t, power(t), 0.0)
        ),
    }


# ------------------------------------------------------------------ 13.3


@exercise("13.advantages", points=4, minutes=20, difficulty=3)
def advantages(answer, rng):
    """Advantages"""
    for trajectories, horizon, ridge in draw(
        rng, trajectories=(3, 5), horizon=(9, 12), ridge=(0.3, 1.5)
    ):
        case = (*_walked(rng, trajectories, horizon), ridge)
        expect(answer(*case), _advantages(*case), partial(_wrong_advantages, *case))


def _walked(rng, trajectories, horizon):
    """(returns, features, alive) of walks that get nearer to something; dead steps hold rubbish."""
    alive = _alive(rng, trajectories, horizon, least=6)
    time = np.tile(np.arange(horizon) / horizon, (trajectories, 1))
    place = rng.normal(size=(trajectories, 1)) + np.cumsum(
        rng.normal(0.1, 0.3, alive.shape), axis=1
    )
    features = np.stack([place, place**2, time, np.ones(alive.shape)], axis=2)
    level = rng.normal(0, 0.6, (trajectories, 1))
    returns = (
        -3 + 2 * time + rng.uniform(0.3, 0.9) * place + level + rng.normal(0, 0.5, alive.shape)
    )
    dead = ~alive
    features[dead] = rng.normal(0, 1.5, (dead.sum(), 4))
    returns[dead] = rng.normal(2, 2, dead.sum())
    return returns, features, alive


def _weights(returns, features, steps, ridge, penalty=1.0):
    x = features[steps]
    penalty = ridge * penalty * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + penalty, x.T @ returns[steps])


def _surprise(returns, features, alive, ridge, fit=None, penalty=1.0):
    steps = alive if fit is None else fit
    return returns - features @ _weights(returns, features, steps, ridge, penalty)


def _advantages(returns, features, alive, ridge):
    return _scaled(_surprise(returns, features, alive, ridge), alive)


def _scaled(values, alive, over=None, shift=None, scale=None, keep=None):
    """Shifted and scaled by the mean and the deviation over some steps; 0 for those that are not kept."""
    some = values[alive if over is None else over]
    shift = some.mean() if shift is None else shift
    scale = some.std() if scale is None else scale
    return np.where(alive if keep is None else keep, (values - shift) / scale, 0.0)


def _row_by_row(of_one, *arrays):
    return np.stack([of_one(*(part[None] for part in row))[0] for row in zip(*arrays, strict=True)])


def _wrong_advantages(returns, features, alive, ridge):
    every, n = np.ones(alive.shape, bool), alive.sum()
    off = partial(_surprise, returns, features, alive)
    right = off(ridge)
    own, masked = right[alive], np.where(alive, right, 0.0)
    fitted_to_all = off(ridge, fit=every)
    each = lambda r, f, a: _surprise(r, f, a, ridge)
    apart = _row_by_row(each, returns, features, alive)
    normal = _scaled(returns, alive)
    masked_x, masked_y = features * alive[..., None], np.where(alive, returns, 0.0)
    later = _scaled(_surprise(normal, features, alive, ridge), alive, shift=0.0, scale=1.0)
    held = own.std()
    slopes_only = np.append(np.ones(features.shape[2] - 1), 0.0)
    more = np.concatenate([features, np.ones((*alive.shape, 1))], axis=2)
    return {
        "the weight of the 1 is not penalised: ρ‖w‖² has every weight in it": _scaled(
            off(ridge, penalty=slopes_only), alive
        ),
        "a 1 was added to the features: it is among them": _scaled(
            _surprise(returns, more, alive, ridge), alive
        ),
        "the baseline is fitted to dead steps as well": _scaled(fitted_to_all, alive),
        "dead steps are in the baseline as well as in the mean and the deviation": _scaled(
            fitted_to_all, alive, over=every
        ),
        "mean and deviation are taken over all steps, dead ones counting as 0": _scaled(
            masked, alive, over=every
        ),
        "mean and deviation are taken over all steps, with what dead steps hold": _scaled(
            right, alive, over=every
        ),
        "dead steps are not 0 in the result": _scaled(right, alive, keep=every),
        "dead steps are 0 before the mean is subtracted, and no longer afterwards": _scaled(
            masked, alive, shift=own.mean(), scale=held, keep=every
        ),
        "the mean is not subtracted: only the deviation is 1": _scaled(right, alive, shift=0.0),
        "the mean is not subtracted, and the root mean square taken for the deviation": _scaled(
            right, alive, shift=0.0, scale=np.sqrt(np.mean(own**2))
        ),
        "the mean is subtracted, but the root mean square is that of before": _scaled(
            right, alive, scale=np.sqrt(np.mean(own**2))
        ),
        "nothing is divided by the deviation": _scaled(right, alive, scale=1.0),
        "this divides by the variance: take its root": _scaled(right, alive, scale=own.var()),
        "the deviation is that of a sample (ddof=1): NumPy's own, ddof=0, is asked for": _scaled(
            right, alive, scale=own.std(ddof=1)
        ),
        "each trajectory has a mean and a deviation of its own: take all steps alive together": _row_by_row(
            lambda r, a: _scaled(r, a), right, alive
        ),
        "each trajectory has a baseline of its own: fit one to all steps alive": _scaled(
            apart, alive
        ),
        "each trajectory is treated by itself, baseline and scale: take all steps alive together": _row_by_row(
            lambda r, a: _scaled(r, a), apart, alive
        ),
        "ρ is missing": _scaled(off(0.0), alive),
        "ρ is multiplied by the number of steps, as if the squares were averaged: they are added up": _scaled(
            off(ridge * n), alive
        ),
        "ρ is divided by the number of steps: the squares are added up, not averaged": _scaled(
            off(ridge / n), alive
        ),
        "ρ is squared: the penalty is ρ‖w‖²": _scaled(off(ridge**2), alive),
        "the sign is the wrong one: it is return minus baseline": -_scaled(right, alive),
        "there is no baseline: these are the returns, shifted and scaled": normal,
        "the returns are shifted and scaled before the baseline is subtracted, and not afterwards": later,
        "the returns are shifted and scaled before the baseline, too, and then the surprises": _scaled(
            _surprise(normal, features, alive, ridge), alive
        ),
        "this divides by the deviation of the returns: take that of the surprises": _scaled(
            right, alive, scale=returns[alive].std()
        ),
        "this is the baseline, shifted and scaled: subtract it from the returns": _scaled(
            returns - right, alive
        ),
        "this is the baseline itself": np.where(alive, returns - right, 0.0),
        "dead steps count as 0 in mean and deviation, and are no longer 0 afterwards": _scaled(
            masked_y - masked_x @ _weights(returns, features, alive, ridge),
            alive,
            over=every,
            keep=every,
        ),
    }


# ------------------------------------------------------------------ 13.4


@exercise("13.surrogate", points=4, minutes=20, difficulty=3)
def surrogate(answer, rng):
    """A loss whose gradient is the policy gradient"""
    for trajectories, horizon in draw(rng, trajectories=(2, 4), horizon=(4, 7)):
        case = _acted(rng, trajectories, horizon)
        expect(answer(*case), _surrogate(*case), partial(_wrong_surrogates, *case))


def _acted(rng, trajectories, horizon):
    weights, log_std = rng.normal(0, 0.8, (2, 2)), rng.uniform(-0.9, -0.2, 2)
    alive = _alive(rng, trajectories, horizon)
    positions = rng.normal(0, 1.0, (*alive.shape, 2))
    actions = positions @ weights + np.exp(log_std) * rng.normal(0, 1.0, positions.shape)
    worth = rng.normal(0.4, 1.0, alive.shape)
    dead = ~alive
    for rubbish in (positions, actions):
        rubbish[dead] = rng.normal(0, 2.0, (dead.sum(), 2))
    return weights, log_std, positions, actions, worth, alive


def _surrogate(weights, log_std, positions, actions, worth, alive, **changes):
    """(loss, gradient); `changes` make it a wrong one."""
    change = {
        "sigma": np.exp(log_std), "log_sigma": log_std, "half": 0.5, "constant": np.log(2 * np.pi) / 2,
        "counts": alive / alive.sum(), "axes": 1.0,
    } | changes  # fmt: skip
    sigma, counts = change["sigma"], change["counts"] * worth
    z = (actions - positions @ weights) / sigma
    log_pi = -change["half"] * z**2 - change["log_sigma"] - change["constant"]
    loss = -(counts * log_pi.sum(axis=2)).sum() * change["axes"]
    slope = np.einsum(
        "t,ti,tj->ij", counts.ravel(), *(p.reshape(-1, 2) for p in (positions, z / sigma))
    )
    return float(loss), -slope * change["axes"] * 2 * change["half"]


def _without_logarithm(weights, log_std, positions, actions, worth, alive):
    """(loss, gradient) of −mean π · A."""
    sigma = np.exp(log_std)
    z = (actions - positions @ weights) / sigma
    density = np.exp((-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(axis=2))
    counts = alive / alive.sum() * worth * density
    slope = np.einsum("nt,nti,ntj->ij", counts, positions, z / sigma)
    return -float(counts.sum()), -slope


def _wrong_surrogates(*case):
    weights, log_std, positions, actions, worth, alive = case
    made = partial(_surrogate, *case)
    loss, gradient = made()
    every, n = np.ones(alive.shape), alive.sum()
    sigma, mean = np.exp(log_std), worth[alive].mean()
    fewer = alive / alive.sum(axis=1, keepdims=True) / len(alive)
    error = np.where(alive[..., None], actions - positions @ weights, 0.0) * worth[..., None]
    slope_by = lambda scale: -np.einsum("nti,ntj->ij", positions, error * scale) / n
    no_worth = _surrogate(weights, log_std, positions, actions, np.ones(alive.shape), alive)
    worths = lambda other: _surrogate(weights, log_std, positions, actions, other, alive)
    own = worth[alive]
    of_log_std = {"sigma": log_std, "log_sigma": np.log(np.abs(log_std))}
    in_one_alone = {
        "log_std is used as σ: σ is its exponential": made(**of_log_std),
        "σ² stands where σ should: log_std is log σ": made(sigma=sigma**2),
        "this is a sum over the steps: the mean is asked for": made(counts=alive * 1.0),
        "dead steps are left out of the sum, but not out of the number it is divided by": made(
            counts=alive / alive.size
        ),
        "dead steps are counted": made(counts=every / alive.size),
        "this is the mean over the axes as well: logarithms of densities add up": made(axes=0.5),
        "A is missing: this makes all actions likelier, good ones and bad ones": no_worth,
    }
    return {
        **{f"in the loss, {message}": (wrong, gradient) for message, (wrong, _) in in_one_alone.items()},
        **{f"in the gradient, {message}": (loss, wrong) for message, (_, wrong) in in_one_alone.items()},
        "log_std is used as σ, and as log σ as well: σ is its exponential": made(sigma=log_std),
        "in the loss, log_std is used as σ, and as log σ as well: σ is its exponential": (
            made(sigma=log_std)[0], gradient
        ),
        "in the loss, log_std is taken for the logarithm of the variance": (
            made(sigma=np.sqrt(sigma), log_sigma=log_std / 2)[0], gradient
        ),
        "the mean of A is subtracted: take A as it is given": worths(worth - mean),
        "A is shifted and scaled: take it as it is given": worths((worth - mean) / own.std()),
        "A is scaled: take it as it is given": worths(worth / own.std()),
        "the mean of A over all steps, dead ones too, is subtracted: take A as it is given": worths(
            worth - worth.mean()
        ),
        "A is shifted and scaled by all steps, dead ones too: take it as it is given": worths(
            (worth - worth.mean()) / worth.std()
        ),
        "the sign is the wrong one: a loss falls where rewards rise, so both have a minus": (-loss, -gradient),
        "the loss has the right sign, the gradient the wrong one": (loss, -gradient),
        "the gradient has the right sign, the loss the wrong one": (-loss, gradient),
        "log σ is missing in the loss": made(log_sigma=0.0 * log_std),
        "log 2π/2 is missing in the loss": made(constant=0.0),
        "log σ and log 2π/2 are missing in the loss": made(log_sigma=0.0 * log_std, constant=0.0),
        "log 2π is not halved: the density is divided by the root of 2π": made(constant=np.log(2 * np.pi)),
        "log 2π/2 is there once: each of the two axes has it": made(constant=np.log(2 * np.pi) / 4),
        "log σ is added: with a larger σ the density is lower": made(log_sigma=-log_std),
        "σ² stands where σ should: log_std is log σ": made(sigma=sigma**2),
        "σ² is taken for σ, in the logarithm as well: log_std is log σ": made(
            sigma=sigma**2, log_sigma=2 * log_std
        ),
        "log_std is taken for the logarithm of the variance": made(sigma=np.sqrt(sigma), log_sigma=log_std / 2),
        "log_std is used as σ: σ is its exponential": made(sigma=log_std, log_sigma=np.log(np.abs(log_std))),
        "the gradient is divided by σ once: (a − μ)/σ² is the derivative": (loss, slope_by(1 / sigma)),
        "the gradient is not divided by σ²": (loss, slope_by(np.ones(2))),
        "the ½ before the square is missing, in the loss and in its gradient": made(half=1.0),
        "the ½ before the square is missing in the loss": (made(half=1.0)[0], gradient),
        "the gradient is twice what it should be: the 2 of the square and the ½ cancel": (loss, 2 * gradient),
        "dead steps are left out of the sum, but not out of the number it is divided by": made(
            counts=alive / alive.size
        ),
        "dead steps are counted": made(counts=every / alive.size),
        "dead steps are counted in the sum": made(counts=every / n),
        "this is a sum over the steps: the mean is asked for": made(counts=alive * 1.0),
        "this is a sum over the steps, divided by the number of trajectories": made(counts=alive / len(alive)),
        "each trajectory has a mean of its own, and short ones count as much: take all steps together": made(
            counts=fewer
        ),
        "the logarithms of the two axes are averaged: densities multiply, so logarithms add up": made(axes=0.5),
        "this is the density times A: its logarithm is asked for": _without_logarithm(*case),
        "A is missing: this makes all actions likelier, good ones and bad ones": no_worth,
        "the mean of A is multiplied by the mean of log π: multiply step by step": (
            no_worth[0] * mean, no_worth[1] * mean
        ),
        "the gradient lies on its side: W[i, j] leads from position i to action j": (loss, gradient.T),
        "log π is taken for a constant here: its gradient is what moves the policy": (loss, 0 * gradient),
    }  # fmt: skip


# ------------------------------------------------------------------ 13.5


@exercise("13.which_samples", points=5, minutes=25, difficulty=4)
def which_samples(answer, rng):
    """Which samples?"""
    for tasks, n, alpha, sigma in draw(
        rng, tasks=(3, 5), n=(8, 14), alpha=(0.03, 0.09), sigma=(0.4, 0.7)
    ):
        case = _on_a_line(rng, tasks, n, alpha, sigma)
        expect(answer(*case), _meta(*case), partial(_wrong_samples, *case))


def _on_a_line(rng, tasks, n, alpha, sigma):
    """A case in which no two known mistakes give the same by chance."""
    while True:
        theta, *gains = rng.choice([-1.0, 1.0], tasks + 1) * rng.uniform(0.3, 1.3, tasks + 1)
        sets = [tuple(rng.normal(size=(2, tasks, n))) for _ in range(2)]
        case = (0.6 * float(theta), np.array(gains), *sets, alpha, sigma)
        results = [_meta(*case), *_wrong_samples(*case).values()]
        rows = np.array([np.append(np.ones(tasks) * phi, slope) for phi, slope in results])
        apart = np.abs(rows[:, None] - rows[None]).max(axis=2) + np.eye(len(rows)) * np.ptp(rows)
        if apart.min() > 1e-4 * np.abs(rows[0]).max():
            return case


def _walk(theta, starts, noise, gain, sigma):
    actions = theta * starts + sigma * noise
    rewards = -((starts + gain * actions) ** 2)
    return actions, rewards - rewards.mean()


def _slope(theta, starts, actions, worth, sigma):
    return -np.mean((actions - theta * starts) * starts * worth) / sigma**2


def _hessian(starts, worth, sigma):
    return np.mean(starts**2 * worth) / sigma**2


def _step_of(theta, gain, starts, noise, alpha, sigma):
    """(φ, dφ/dθ at fixed trajectories) of one task."""
    actions, worth = _walk(theta, starts, noise, gain, sigma)
    phi = theta - alpha * _slope(theta, starts, actions, worth, sigma)
    return phi, 1 - alpha * _hessian(starts, worth, sigma)


def _tasks(of_one, gains, support, query):
    """Two arrays (tasks,), of what `of_one(gain, (starts, noise), (starts, noise))` returns."""
    rows = zip(gains, *support, *query, strict=True)
    return np.array([of_one(k, (s, e), (qs, qe)) for k, s, e, qs, qe in rows]).T


def _meta(theta, gains, support, query, alpha, sigma, judged=None, step=None, mean=np.mean):
    """(φ, gradient). judged: what stands for the slope at φ of one task, of (φ, gain, support, query)."""

    def of_one(gain, own, others):
        phi, factor = (step or partial(_step_of, theta))(gain, *own, alpha, sigma)
        if judged is not None:
            return phi, judged(phi, factor, gain, own, others)
        actions, worth = _walk(phi, *others, gain, sigma)
        return phi, factor * _slope(phi, others[0], actions, worth, sigma)

    phis, gradients = _tasks(of_one, gains, support, query)
    return phis, float(mean(gradients))


def _through_the_walk(theta, gain, starts, noise, alpha, sigma):
    """(φ, dφ/dθ with actions and rewards that move with θ), by a complex step: all is polynomial."""
    far = _step_of(theta + 1e-30j, gain, starts, noise, alpha, sigma)[0]
    return far.real, far.imag / 1e-30


def _pooled(theta, gains, support, query, alpha, sigma, where):
    """(φ, gradient) with the mean reward of all tasks, as `walk` takes it of all at once, in one set or both."""

    def walked(who, starts, noise, pooled):
        rows = zip(who, starts, noise, gains, strict=True)
        actions = who[:, None] * starts + sigma * noise
        if pooled:
            return actions, _walk(who[:, None], starts, noise, gains[:, None], sigma)[1]
        return actions, np.array([_walk(*row, sigma)[1] for row in rows])

    def slopes(who, starts, noise, pooled):
        actions, worth = walked(who, starts, noise, pooled)
        each = zip(who, starts, actions, worth, strict=True)
        return np.array([_slope(*row, sigma) for row in each]), worth

    down, worth = slopes(np.full(len(gains), theta), *support, where != "query")
    phi = theta - alpha * down
    factor = 1 - alpha * np.mean(support[0] ** 2 * worth, axis=1) / sigma**2
    return phi, float(np.mean(factor * slopes(phi, *query, where != "support")[0]))


def _wrong_samples(theta, gains, support, query, alpha, sigma):
    case = (theta, gains, support, query, alpha, sigma)
    made, walk, slope = (
        partial(_meta, *case),
        partial(_walk, sigma=sigma),
        partial(_slope, sigma=sigma),
    )

    def sampled(who, where):
        """factor · slope at φ of trajectories that `who` walks from the support or the query set."""

        def judged(phi, factor, gain, own, others):
            start = own if where == "support" else others
            actions, worth = walk(theta if who == "theta" else phi, *start, gain)
            return factor * slope(phi, start[0], actions, worth)

        return judged

    def at_theta(phi, factor, gain, own, others, chain=True):
        actions, worth = walk(phi, *others, gain)
        return (factor if chain else 1.0) * slope(theta, others[0], actions, worth)

    def no_step(phi, factor, gain, own, others):
        return slope(theta, others[0], *walk(theta, *others, gain))

    def with_factor(of):
        def judged(phi, factor, gain, own, others):
            actions, worth = walk(phi, *others, gain)
            return of(factor, others[0], worth) * slope(phi, others[0], actions, worth)

        return judged

    def old_worth(phi, factor, gain, own, others):
        actions, _ = walk(phi, *others, gain)
        return factor * slope(phi, others[0], actions, walk(theta, *own, gain)[1])

    def starts_mixed(phi, factor, gain, own, others, noise_of_support=True):
        start = (others[0], own[1]) if noise_of_support else (own[0], others[1])
        actions, worth = walk(phi, *start, gain)
        return factor * slope(phi, start[0], actions, worth)

    def uphill(gain, starts, noise, alpha, sigma, factor_too=True):
        phi, factor = _step_of(theta, gain, starts, noise, -alpha, sigma)
        return phi, factor if factor_too else 2 - factor

    def factor_of(second):
        """With 1 − α · second(starts, advantages) in the place of dφ/dθ."""

        def step(gain, starts, noise, alpha, sigma):
            worth = walk(theta, starts, noise, gain)[1]
            phi, _ = _step_of(theta, gain, starts, noise, alpha, sigma)
            return phi, 1 - alpha * second(starts, worth)

        return made(step=step)

    def together(gain, starts, noise, alpha, sigma):
        return shared, np.mean([f for _, f in steps])

    steps = [
        _step_of(theta, k, *own, alpha, sigma) for k, *own in zip(gains, *support, strict=True)
    ]
    shared = np.mean([phi for phi, _ in steps])
    turned = _meta(theta, gains, query, support, alpha, sigma)
    return {
        "φ is judged on trajectories that θ has walked: the query set is what φ walks": made(
            sampled("theta", "query")
        ),
        "φ is judged on the trajectories that it was adapted on: the query set is walked anew, by φ": made(
            sampled("theta", "support")
        ),
        "the query set has the starts and the noise of the support set: φ would be judged on what it has learned "
        "from": made(sampled("phi", "support")),
        "the query set has the noise of the support set": made(starts_mixed),
        "the query set has the starts of the support set": made(partial(starts_mixed, noise_of_support=False)),
        "support and query set are exchanged": turned,
        "the slope of the query set is taken at θ: its trajectories are φ's, and so is the slope": made(at_theta),
        "the slope of the query set is taken at θ, and without dφ/dθ": made(partial(at_theta, chain=False)),
        "nothing was adapted here: this is the slope at θ, of what θ walks": made(no_step),
        "this is first order: dφ/dθ is missing": made(with_factor(lambda f, s, a: 1.0)),
        "dφ/dθ has the wrong sign before α: it is 1 − α times the second derivative": made(
            with_factor(lambda f, s, a: 2 - f)
        ),
        "dφ/dθ is taken of the query set: the step was made on the support set": made(
            with_factor(lambda f, s, a: 1 - alpha * _hessian(s, a, sigma))
        ),
        "1/σ² is missing in dφ/dθ: it stands before the slope, and so before its derivative": factor_of(
            lambda s, a: np.mean(s**2 * a)
        ),
        "dφ/dθ has 1/σ in it: the slope has 1/σ²": factor_of(lambda s, a: np.mean(s**2 * a) / sigma),
        "A is missing in dφ/dθ: each s² is multiplied by its advantage": factor_of(
            lambda s, a: np.mean(s**2) / sigma**2
        ),
        "A and 1/σ² are missing in dφ/dθ": factor_of(lambda s, a: np.mean(s**2)),
        "s is not squared in dφ/dθ: one s is in the slope, and one comes out of the bracket": factor_of(
            lambda s, a: np.mean(s * a) / sigma**2
        ),
        "dφ/dθ is there twice": made(with_factor(lambda f, s, a: f**2)),
        "dφ/dθ also goes through the actions and advantages of the support set: take the trajectories as given": (
            made(step=partial(_through_the_walk, theta))
        ),
        "the advantages of the query set are those of the support set": made(old_worth),
        "the inner step goes uphill: it goes down on the loss": made(step=uphill),
        "the inner step goes uphill, and dφ/dθ is that of a step down": made(
            step=partial(uphill, factor_too=False)
        ),
        "the walks of all tasks have one mean reward: each task's advantages are about its own mean": _pooled(
            *case, "both"
        ),
        "in the support set, the walks of all tasks have one mean reward: take each task's own": _pooled(
            *case, "support"
        ),
        "in the query set, the walks of all tasks have one mean reward: take each task's own": _pooled(
            *case, "query"
        ),
        "all tasks have the same φ, from the mean of their slopes: each task adapts by itself": made(step=together),
        "this is a sum over the tasks: the mean is asked for": made(mean=np.sum),
        "this is the median of the tasks: the mean is asked for": (made()[0], made(mean=np.median)[1]),
        "the sign of the meta-gradient is the wrong one: it is that of the loss, and the outer step goes down": (
            made(mean=lambda values: -np.mean(values))
        ),
        "the first result is the mean of the adapted parameters: one for each task is asked for": (
            float(np.mean(made()[0])), made()[1]
        ),
    }  # fmt: skip


# ------------------------------------------------------------------ 13.6


@exercise("13.mpc", points=4, minutes=25, difficulty=3)
def mpc(answer, rng):
    """Adapt once, then plan at every step"""
    for steps, inner_steps in draw(rng, steps=(4, 5), inner_steps=(3, 4)):
        case = _cart(rng, steps, inner_steps)
        expect(answer(*case), _driven(*case), partial(_wrong_drives, *case))


def _cart(rng, steps, inner_steps):
    """A case in which the right choices are clear, and every mistake in the choosing shows by itself."""
    while True:
        body = np.array([[-0.1, -0.4], [0.5, -0.2], [0.3, 0.9]]) * rng.uniform(0.7, 1.3, (3, 2))
        body[2] *= rng.choice([-1.0, 1.0])
        theta = rng.normal(0, 0.3, (3, 2))
        n, plans, horizon = rng.integers(6, 10), 60, steps + int(rng.integers(0, 2))
        inputs = rng.normal(size=(n, 3))
        support = (inputs, inputs @ body + rng.normal(0, 0.03, (n, 2)))
        start = rng.choice([-1.0, 1.0], 2) * rng.uniform([1.0, 0.3], [2.0, 0.8])
        tried = rng.uniform(-1, 1, (steps, plans, horizon))
        case = (theta, support, float(rng.uniform(0.2, 0.5)), inner_steps, body, start, tried)
        if _clear(case):
            return case


def _clear(case):
    """Whether no two plans are nearly level, and no two known mistakes in the choosing give the same controls.

    Who adapts again only has to choose otherwise than is right: it shows in φ, too.
    """
    gaps, ways = [], []
    ways.append(_driven(*case, gaps=gaps)[1])
    apart = lambda controls, others: min(np.abs(controls - o).max() for o in others) > 1e-3
    if min(gaps) < 1e-3:
        return False
    if not all(apart(_learning(*case, **again)[1], ways) for again in AGAIN.values()):
        return False
    for how in CHOICES.values():
        controls = _driven(*case, **how)[1]
        if not apart(controls, ways):
            return False
        ways.append(controls)
    return True


def _adapted(theta, support, alpha, inner_steps, over=None):
    inputs, changes = support
    for _ in range(inner_steps):
        slope = 2 * inputs.T @ (inputs @ theta - changes) / (over or changes.size)
        theta = theta - alpha * slope
    return theta


def _cost(state, control):
    return (state**2).sum(axis=-1) + control**2


def _imagined(model, state, tried, cost=_cost, before=False, change=True):
    """What each step of each plan costs in a model, (plans, horizon)."""
    states, costs = np.tile(state, (len(tried), 1)), []
    for control in tried.T:
        moved = np.column_stack([states, control]) @ model + (states if change else 0.0)
        costs.append(cost(states if before else moved, control))
        states = moved
    return np.stack(costs, axis=1)


def _driven(
    theta, support, alpha, inner_steps, body, start, plans, gaps=None, adapt=_adapted, **how
):
    """(φ, controls); `how` makes it a wrong way."""
    model = phi = adapt(theta, support, alpha, inner_steps)
    model = {"theta": theta, "body": body}.get(how.get("model", ""), model)
    state, controls = start, []
    for tried in plans:
        if how.get("same_plans"):
            tried = plans[0]
        planned_from = start if how.get("from_start") else state
        costs = _imagined(model, planned_from, tried, **how.get("imagined", {}))
        total = how.get("total", lambda costs: costs.sum(axis=1))(costs)
        if gaps is not None:
            gaps.append(np.diff(np.sort(total)[:2])[0])
        best = total.argmax() if how.get("dearest") else total.argmin()
        if how.get("open_loop"):
            return phi, tried[best, : len(plans)]
        controls.append(tried[best, how.get("which", lambda t: 0)(len(controls))])
        mover = model if how.get("dreams") else body
        moved = np.append(state, controls[-1]) @ mover
        if how.get("to_the_end"):
            state = _end(model, state, tried[best])
        else:
            state = moved if how.get("body_is_state") else state + moved
    return phi, np.array(controls)


def _learning(theta, support, alpha, inner_steps, body, start, plans, grows=True, anew=False):
    """(models, controls) of a drive that adapts after every step too: the models in order, one more than steps.

    grows: on the support set and all that the cart has done since, or on the support set as it was; anew: from θ
    each time, or from the model that it has.
    """
    models, state, controls = [_adapted(theta, support, alpha, inner_steps)], start, []
    for tried in plans:
        cheapest = _imagined(models[-1], state, tried).sum(axis=1).argmin()
        controls.append(tried[cheapest, 0])
        done = np.append(state, controls[-1])
        if grows:
            support = tuple(
                np.vstack(pair) for pair in zip(support, (done, done @ body), strict=True)
            )
        state = state + done @ body
        models.append(_adapted(theta if anew else models[-1], support, alpha, inner_steps))
    return models, np.array(controls)


AGAIN = {
    "again at every step, from φ": {"grows": False},
    "again at every step, from φ, with what the cart has done": {},
    "again at every step, from θ, with what the cart has done": {"anew": True},
}
RETURNED = {"": 0, ", and the last φ returned": -2, ", and once more after the last": -1}


def _learning_on(*case):
    """Adapted again at every step, in each way and with each φ that may be returned of it."""
    drives = {words: _learning(*case, **again) for words, again in AGAIN.items()}
    return {
        f"the model is adapted {words}{told}: adapt once, before the first step": (
            models[which],
            controls,
        )
        for words, (models, controls) in drives.items()
        for told, which in RETURNED.items()
    }


def _end(model, state, plan):
    """Where a plan ends in a model."""
    for control in plan:
        state = state + np.append(state, control) @ model
    return state


CHOICES = {  # those that often choose what another one does come first
    "a step's cost is that of the state before it: take the state after it": {"imagined": {"before": True}},
    "the control costs nothing here": {"imagined": {"cost": lambda state, control: _cost(state, 0 * control)}},
    "the velocity costs nothing here": {
        "imagined": {"cost": lambda state, control: _cost(state * [1.0, 0.0], control)}
    },
    "every plan is made from the first state, though the cart has moved": {"from_start": True},
    "the cart moves as the model says: it moves as `body` says, whatever the model expects": {"dreams": True},
    "the plans are made with θ, the model before it was adapted": {"model": "theta"},
    "the plans are made with the real cart's own numbers, which nobody knows: plan with φ": {"model": "body"},
    "one plan is executed to its end: after its first control look where the cart is, and plan again": {
        "open_loop": True
    },
    "the most expensive plan is taken: take the one that costs least": {"dearest": True},
    "the last control of the plan is executed: the first is asked for": {"which": lambda t: -1},
    "at step t the control number t of the plan is executed: each plan begins now, so take its first": {
        "which": lambda t: t
    },
    "only the last state of a plan is counted: the costs of all its steps add up": {
        "total": lambda costs: costs[:, -1]
    },
    "only the first step of a plan is counted: that looks no further than one step": {
        "total": lambda costs: costs[:, 0]
    },
    "the plans of the first step are tried at every step": {"same_plans": True},
    "what the model predicts is taken for the next state: it is the change of the state": {
        "imagined": {"change": False}
    },
    "what `body` gives is taken for the cart's next state: it is the change of the state": {"body_is_state": True},
    "what model and `body` give is taken for the next state, in the plans and for the cart: it is the change": {
        "imagined": {"change": False}, "body_is_state": True
    },
    "the cart is put where the plan would have ended: it has made one step, and moves as `body` says": {
        "to_the_end": True
    },
}  # fmt: skip


def _wrong_drives(*case):
    inputs, changes = case[1]
    uphill = lambda theta, support, alpha, k: _adapted(theta, support, -alpha, k)
    made = partial(_driven, *case)
    phi, controls = made()
    once = lambda theta, support, alpha, k: _adapted(theta, support, alpha, 1)
    by = lambda over: lambda *args: _adapted(*args, over=over)
    exact = np.linalg.lstsq(inputs, changes, rcond=None)[0]
    last = _adapted(*case[:3], case[3] - 1)
    next_state = (inputs, changes + inputs[:, :2])
    return {
        **{message: made(**how) for message, how in CHOICES.items()},
        **_learning_on(*case),
        "nothing is adapted: φ is θ": made(adapt=lambda theta, *rest: theta),
        "the inner steps go uphill": made(adapt=uphill),
        "this is one inner step, however many are asked for": made(adapt=once),
        "one inner step too few": made(adapt=lambda *args: last),
        "the slope is that of the sum of the squared errors: take the mean of all 2n": made(
            adapt=by(1)
        ),
        "the squared errors are divided by n: there are 2n of them": made(adapt=by(len(inputs))),
        "the 2 of the square is missing in the slope": made(adapt=by(2 * changes.size)),
        "this is the least-squares model: a few gradient steps from θ are asked for": made(
            adapt=lambda *args: exact
        ),
        "the model is adapted to the next states: it predicts changes": made(
            adapt=lambda theta, support, *rest: _adapted(theta, next_state, *rest)
        ),
        "the first result is θ, the model before: φ is asked for": (case[0], controls),
    }
