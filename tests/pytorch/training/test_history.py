"""The history: what it says and what it draws."""

import matplotlib
import numpy as np
import pytest

import maml_edu.pytorch as mt

matplotlib.use("Agg")


def test_history_smooths_over_a_window_that_is_shorter_at_the_start():
    history = mt.History(loss=[4.0, 2.0, 0.0, 6.0], seconds=1.5)
    np.testing.assert_allclose(history.smoothed(2), [4.0, 3.0, 1.0, 3.0])
    np.testing.assert_allclose(history.smoothed(100), [4.0, 3.0, 2.0, 3.0])
    assert repr(history) == "History(4 iterations, last loss 6, 1.5 s)"
    assert (
        repr(mt.History([1.0], engine="lean"))
        == "History(1 iterations, last loss 1, 0.0 s, engine lean)"
    )
    assert len(mt.History().smoothed()) == 0


def test_the_last_validation_is_part_of_what_it_says():
    history = mt.History([1.0], 1.5, validation=[(1, 0.5, 0.25)], metric="mse")
    assert repr(history) == "History(1 iterations, last loss 1, validation mse 0.5 ± 0.25, 1.5 s)"
    history.doubtful.append(1)
    assert "validation mse 0.5 ± 0.25 !" in repr(history)
    assert "may not hold" in history.plot().get_legend().get_texts()[-1].get_text()


@pytest.mark.parametrize(("metric", "best"), [("mse", 2), ("loss", 2), ("accuracy", 4)])
def test_the_best_is_the_lowest_loss_or_the_highest_accuracy(metric, best):
    scores = [
        (1, 0.5, 0.1),
        (2, 0.25, 0.1),
        (3, np.nan, 0.1),
        (4, 0.75, 0.1),
        (5, 0.25, 0.1),
        (6, 0.75, 0.1),
    ]
    assert mt.History(validation=scores, metric=metric).best[0] == best
    assert mt.History(metric=metric).best is None


def test_of_another_metric_the_best_depends_on_what_was_said_of_it():
    scores = [(1, 0.5, 0.1), (2, 0.25, 0.1), (3, 0.75, 0.1)]
    best = [
        mt.History(validation=scores, metric="mine", rises=rises).best
        for rises in (None, False, True)
    ]
    assert best == [None, scores[1], scores[2]]


def picture(**options):
    losses = list(np.linspace(4.0, 1.0, 301))
    return mt.History(losses, 2.0, **options)


def test_a_plot_has_named_axes_the_smoothed_loss_and_says_what_it_shows(tmp_path):
    history = picture()
    ax = history.plot(window=50)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "meta-loss")
    assert ax.get_title() == "Meta-loss 3.76 → 1.24 in 301 iterations"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), history.smoothed(50))
    assert list(ax.lines[0].get_xdata()) == list(range(1, 302))
    ax.figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


def test_a_validation_loss_is_drawn_on_the_same_axis_with_its_interval():
    ax = picture(validation=[(100, 3.0, 0.5), (200, 2.0, 0.25)], metric="mse").plot()
    assert len(ax.figure.axes) == 1
    drawn = ax.containers[0]
    assert drawn.lines[0].get_xydata().tolist() == [[100, 3.0], [200, 2.0]]
    bars = [segment[:, 1].tolist() for segment in drawn.lines[2][0].get_segments()]
    assert bars == [[2.5, 3.5], [1.75, 2.25]]
    assert "validation mse ± 95 %" in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("metric", ["accuracy", "mine"])
def test_what_is_no_loss_has_an_axis_of_its_own(metric):
    ax = picture(validation=[(100, 0.5, 0.1)], metric=metric).plot()
    left, right = ax.figure.axes
    assert left is ax and right.get_ylabel() == f"validation {metric}"
    assert f"validation {metric} ± 95 %" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_it_draws_on_axes_that_are_given_and_before_the_first_iteration():
    import matplotlib.pyplot as plt

    ax = plt.figure().add_subplot()
    assert mt.History().plot(ax=ax) is ax and ax.get_title() == "No iteration yet"
