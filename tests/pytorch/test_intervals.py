"""What is printed with an evaluation: medians, means, their intervals, runaways, and which to trust."""

import itertools

import numpy as np
import pytest

from maml_edu.pytorch.intervals import Evaluation, bootstrap_ranks, needs_more_tasks

DRAWS = 2000


def evaluation_of(values, metric="mse"):
    """Of one column for each list of values."""
    return Evaluation(metric, np.array(values, float).T)


def test_the_means_interval_is_1_96_standard_errors():
    result = evaluation_of([[1, 2, 4, 9], [5, 5, 5, 5]])
    spread = np.sqrt((9 + 4 + 0 + 25) / 3)
    np.testing.assert_allclose(result.mean, [4, 5])
    np.testing.assert_allclose(result.ci95, [1.96 * spread / 2, 0])


@pytest.mark.parametrize(
    "values, median", [([3, 1, 2], 2), ([4, 1, 3, 2], 2.5), ([1, np.inf, np.nan], np.inf)]
)
def test_the_median_is_in_the_middle_and_nan_at_the_end(values, median):
    assert evaluation_of([values]).median[0] == median


@pytest.mark.parametrize("n", [2, 3, 10, 51, 100])
def test_the_medians_interval_is_that_of_all_resamples(n):
    """Against drawing: 20,000 medians of n values drawn with replacement."""
    rng = np.random.default_rng(n)
    values = np.sort(rng.normal(size=n))
    resamples = np.sort(values[rng.integers(n, size=(20_000, n))], axis=1)
    lower, upper = resamples[:, (n - 1) // 2], resamples[:, n // 2]
    low, high = bootstrap_ranks(n)
    for place, medians, share in ((low, lower, 0.025), (high, upper, 0.975)):
        assert (medians <= values[place]).mean() > share - 0.005
        assert place == 0 or (medians <= values[place - 1]).mean() < share + 0.005


# ------------------------------------------------------------------ intervals keep their promise


def log_normal(spread):
    return lambda rng, size: rng.lognormal(0, spread, size), np.exp(spread**2 / 2), 1.0


def accuracies(queries, chance):
    """Of tasks that differ in nothing; the median of what they may be is the true one."""
    draw = lambda rng, size: rng.binomial(queries, chance, size) / queries
    many = np.random.default_rng(1).binomial(queries, chance, 200_001) / queries
    return draw, chance, np.median(many)


# name: (function (rng, size) → values, true mean, true median)
DISTRIBUTIONS = {
    "normal": (lambda rng, size: rng.normal(1, 1, size), 1.0, 1.0),
    "uniform": (lambda rng, size: rng.uniform(0, 1, size), 0.5, 0.5),
    "exponential": (lambda rng, size: rng.exponential(1, size), 1.0, np.log(2)),
    "log-normal 0.3": log_normal(0.3),
    "log-normal 0.5": log_normal(0.5),
    "log-normal 1": log_normal(1.0),
    "log-normal 2": log_normal(2.0),
    "Pareto 1.5": (lambda rng, size: rng.pareto(1.5, size), 2.0, 2 ** (1 / 1.5) - 1),
    "Pareto 3": (lambda rng, size: rng.pareto(3, size), 0.5, 2 ** (1 / 3) - 1),
    "accuracy of 5": accuracies(5, 0.9),
    "accuracy of 75": accuracies(75, 0.97),
}


@pytest.fixture(scope="module", params=itertools.product(DISTRIBUTIONS, (100, 101, 600)))
def draws(request):
    """(Evaluation of 2,000 columns of n values, true mean, true median)."""
    name, n = request.param
    draw, mean, median = DISTRIBUTIONS[name]
    rng = np.random.default_rng([n, len(name)])
    metric = "accuracy" if name.startswith("accuracy") else "score"
    return Evaluation(metric, draw(rng, (n, DRAWS))), mean, median


def test_the_medians_interval_covers_the_true_median(draws):
    result, _, median = draws
    low, high = result.median_ci95
    assert ((low <= median) & (median <= high)).mean() >= 0.93


def test_a_mean_that_is_trusted_is_where_its_interval_says(draws):
    """Of all that is printed without a warning at most 7 % is wrong; and of means that are mostly trusted."""
    result, mean, _ = draws
    trusted = np.array([not doubtful for doubtful in needs(result)])
    missed = np.abs(result.mean - mean) > result.ci95
    assert (trusted & missed).mean() <= 0.07
    if trusted.mean() > 0.5:
        assert missed[trusted].mean() <= 0.07


def needs(result):
    return needs_more_tasks(result.values, bounded=result.metric == "accuracy")


@pytest.mark.parametrize(
    "name, share",
    [("normal", 1.0), ("log-normal 2", 0.0), ("Pareto 1.5", 0.0), ("accuracy of 75", 1.0)],
)
def test_light_tails_are_trusted_and_heavy_ones_are_not(name, share):
    values = DISTRIBUTIONS[name][0](np.random.default_rng(0), (100, DRAWS))
    trusted = ~needs_more_tasks(values, bounded=name.startswith("accuracy"))
    assert abs(trusted.mean() - share) < 0.02


def test_a_giant_that_was_not_drawn_gives_no_warning():
    """One in 2,000 above an even rest: most tests hold none of them, and miss."""
    rng = np.random.default_rng(0)
    law = np.append(rng.uniform(0.5, 1.5, 1_999), 100.0)
    result = Evaluation("mse", law[rng.integers(2_000, size=(600, DRAWS))])
    missed = np.abs(result.mean - law.mean()) > result.ci95
    assert missed.mean() > 0.6
    assert not needs(result)[missed].any()


# ------------------------------------------------------------------ runaways, and what is printed


def test_a_task_has_run_away_where_its_loss_is_twice_the_largest_before_any_step():
    columns = [[1, 2, 3, 4], [1, 1, 1, 8.1], [1, 1, np.nan, np.inf], [1, 1, 1, 8]]
    result = evaluation_of([column * 5 for column in columns])
    np.testing.assert_allclose(result.runaways, [0, 0.25, 0.5, 0])
    assert result.trust == ("mean", "median", "median", "median")


def test_no_interval_of_a_handful_of_tasks_is_trusted():
    few, enough = (evaluation_of([np.linspace(1, 2, n)]) for n in (19, 20))
    assert few.trust == ("median",) and "intervals of 19 tasks do not keep their promise" in repr(
        few
    )
    assert enough.trust == ("mean",) and "!" not in repr(enough)


def test_an_accuracy_cannot_run_away():
    assert not evaluation_of([[0.1, 0.2], [0.9, 1.0]], "accuracy").runaways.any()


def test_the_table_has_the_median_first_and_marks_what_not_to_trust():
    calm = np.linspace(1, 2, 100)
    wild = np.where(np.arange(100) < 99, calm / 10, 1000.0)
    lines = repr(evaluation_of([calm, wild])).splitlines()
    assert lines[0] == "mse on 100 new tasks, with 95 % intervals"
    assert lines[1].split() == ["steps", "median", "mean", "ran", "away"]
    assert lines[2].startswith("    0  1.5000 (1.3939 to 1.6061)") and lines[2].endswith("none")
    assert "!" not in lines[2] and "!" in lines[3] and lines[3].endswith("1.0 %")
    assert "too skewed" in lines[4] and "trust the median" in lines[4] and len(lines) == 5
    assert "!" not in repr(evaluation_of([calm]))


def test_only_evaluations_can_be_subtracted():
    with pytest.raises(TypeError):
        evaluation_of([[1, 2]]) - 1.0
