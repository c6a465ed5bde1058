"""Meta-training: it learns, it can be stopped and taken up again, it says when it fails."""

import re
import signal
import textwrap
import threading

import numpy as np
import pytest
import torch
from small_runs import Failing, Scaled, fresh, quiet, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import loop as training
from maml_edu.pytorch.training.stepper import PlainStepper, all_finite
from maml_edu.tasks import Sinusoids, TaskBatch

# ------------------------------------------------------------------ it learns


def test_meta_training_on_sinusoids_learns_to_adapt():
    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=1)
    before = mt.evaluate(learner, Sinusoids(10), episodes=100)
    history = mt.meta_train(
        learner, Sinusoids(10), 250, meta_batch=10, meta_lr=5e-3, progress=False
    )
    after = mt.evaluate(learner, Sinusoids(10), episodes=100)
    assert len(history) == 250 and history.seconds > 0 and not history.interrupted
    assert np.mean(history.loss[-25:]) < 0.75 * np.mean(history.loss[:10])
    gain = lambda result: result.mean[0] - result.mean[-1]
    assert gain(after) > 2 * gain(before) and after.mean[-1] < 0.8 * before.mean[-1]


def test_the_first_step_is_that_of_adam_on_the_meta_gradient():
    learner, other = fresh(), fresh()
    batch = Sinusoids(5).sample(np.random.default_rng(3), 4)
    value, grads = other.meta_gradient(batch)
    history = mt.meta_train(learner, Sinusoids(5), 1, meta_lr=0.01, seed=3, **quiet)
    assert history.loss == [float(value)]
    for k, before in other.detached().items():
        expected = before - 0.01 * grads[k] / (grads[k].abs() + 1e-8)
        torch.testing.assert_close(learner.detached()[k], expected, rtol=1e-5, atol=1e-7)


def test_the_loop_in_the_docstring_trains_as_meta_train_does():
    text = training.__doc__
    lines = text[text.index("    rng,") : text.index("\nAll the rest")]
    names = {"np": np, "torch": torch, "learner": fresh(), "tasks": Sinusoids(5)}
    names |= {"seed": 3, "meta_lr": 0.01, "iterations": 6, "meta_batch": 4}
    exec(textwrap.dedent(lines), names)
    history = mt.meta_train(learner := fresh(), Sinusoids(5), 6, meta_lr=0.01, seed=3, **quiet)
    assert names["losses"] == pytest.approx(history.loss, rel=1e-5)
    for name, value in theta(learner).items():
        torch.testing.assert_close(theta(names["learner"])[name], value)


def test_the_same_seed_gives_the_same_history_and_another_seed_another():
    runs = [mt.meta_train(fresh(), Sinusoids(5), 10, seed=seed, **quiet) for seed in (1, 1, 2)]
    assert runs[0].loss == runs[1].loss != runs[2].loss


def test_no_iterations_change_nothing():
    learner = fresh()
    before = theta(learner)
    assert len(mt.meta_train(learner, Sinusoids(5), 0, **quiet)) == 0
    assert same(theta(learner), before)


# ------------------------------------------------------------------ it can be stopped


def press_ctrl_c(batch=None):
    signal.raise_signal(signal.SIGINT)
    return batch


def test_ctrl_c_waits_for_the_end_of_the_iteration_and_keeps_everything(tmp_path, capsys):
    learner, other = fresh(), fresh()
    options = {"checkpoint": tmp_path, **quiet}
    history = mt.meta_train(learner, Failing(4, press_ctrl_c), 10, **options)
    assert history.interrupted and len(history) == 4
    printed = capsys.readouterr().out
    assert "Stopped after 4 of 10 iterations" in printed and "goes on from there" in printed
    assert mt.meta_train(other, Sinusoids(5), 4, **quiet).loss == history.loss
    assert same(theta(learner), theta(other))

    resumed = mt.meta_train(fresh(seed=3), Sinusoids(5), 10, **options)
    assert resumed.loss == mt.meta_train(fresh(), Sinusoids(5), 10, **quiet).loss
    assert not resumed.interrupted


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_last_checkpoint(tmp_path, capsys):
    def twice(batch):
        press_ctrl_c()
        press_ctrl_c()

    options = {"checkpoint": tmp_path, "checkpoint_every": 2, **quiet}
    history = mt.meta_train(fresh(), Failing(4, twice), 10, **options)
    assert history.interrupted and len(history) == 3
    assert "goes on from the last one written" in capsys.readouterr().out
    assert len(torch.load(tmp_path / "checkpoint.pt")["history"]["loss"]) == 2


def test_ctrl_c_does_what_it_did_before_once_training_is_over():
    before = signal.getsignal(signal.SIGINT)
    mt.meta_train(fresh(), Failing(2, press_ctrl_c), 4, **quiet)
    with pytest.raises(RuntimeError):
        mt.meta_train(fresh(), Failing(2, RuntimeError()), 4, **quiet)
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler


def test_training_in_another_thread_leaves_signals_alone():
    histories = []
    run = lambda: histories.append(mt.meta_train(fresh(), Sinusoids(5), 3, **quiet))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(histories[0]) == 3


def test_an_interrupt_without_a_checkpoint_keeps_history_and_parameters(capsys):
    learner, other = fresh(), fresh()
    history = mt.meta_train(learner, Failing(4, KeyboardInterrupt()), 10, **quiet)
    assert history.interrupted and len(history) == 3
    printed = capsys.readouterr().out
    assert "Stopped after 3 of 10 iterations" in printed and "goes on" not in printed
    assert mt.meta_train(other, Sinusoids(5), 3, **quiet).loss == history.loss
    assert same(theta(learner), theta(other))


# ------------------------------------------------------------------ callbacks


def test_callbacks_are_called_at_their_iterations_with_history_and_learner():
    every, third, learner = [], [], fresh()
    mt.meta_train(
        learner,
        Sinusoids(5),
        7,
        callbacks=[
            lambda iteration, history, own: every.append((iteration, len(history), own)),
            (3, lambda iteration, history, own: third.append(iteration)),
        ],
        **quiet,
    )
    assert every == [(i, i, learner) for i in range(1, 8)] and third == [3, 6]


@pytest.mark.parametrize("answer", [True, np.bool_(True)])
def test_a_callback_that_returns_true_ends_training_with_a_checkpoint(answer, tmp_path):
    def enough(iteration, history, learner):
        return answer if iteration == 3 else None

    options = {"checkpoint": tmp_path, **quiet}
    history = mt.meta_train(fresh(), Sinusoids(5), 9, callbacks=enough, **options)
    assert len(history) == 3 and "enough" in history.stopped and not history.interrupted
    assert "stopped by" in repr(history)
    resumed = mt.meta_train(fresh(), Sinusoids(5), 9, **options)
    assert resumed.loss == mt.meta_train(fresh(), Sinusoids(5), 9, **quiet).loss
    assert resumed.stopped == ""


@pytest.mark.parametrize("answer", [None, False, 1, "yes", [0]])
def test_any_other_answer_of_a_callback_lets_training_go_on(answer):
    assert len(mt.meta_train(fresh(), Sinusoids(5), 3, callbacks=lambda *_: answer, **quiet)) == 3


def test_an_exception_in_a_callback_loses_nothing(tmp_path):
    def broken(iteration, history, learner):
        if iteration == 3:
            raise ZeroDivisionError("my plot")

    learner, options = fresh(), {"checkpoint": tmp_path, **quiet}
    with pytest.raises(ZeroDivisionError, match="my plot") as caught:
        mt.meta_train(learner, Sinusoids(5), 9, callbacks=[broken], **options)
    assert "after iteration 3" in caught.value.__notes__[0]
    assert len(caught.value.history) == 3
    other = fresh()
    mt.meta_train(other, Sinusoids(5), 3, **quiet)
    assert same(theta(learner), theta(other))
    assert len(torch.load(tmp_path / "checkpoint.pt")["history"]["loss"]) == 3
    resumed = mt.meta_train(fresh(), Sinusoids(5), 9, **options)
    assert resumed.loss == mt.meta_train(fresh(), Sinusoids(5), 9, **quiet).loss


@pytest.mark.parametrize("callbacks", [[3], [(0, print)], [(2.5, print)], [("x", print)], [(1, 2)],
                                       [(1, print, 3)]])  # fmt: skip
def test_what_cannot_be_called_is_refused(callbacks):
    with pytest.raises(ValueError, match="callbacks must be functions"):
        mt.meta_train(fresh(), Sinusoids(5), 2, callbacks=callbacks, **quiet)


# ------------------------------------------------------------------ validation

scoring = {"validation": Sinusoids(5), "validation_episodes": 20}


def test_validation_is_scored_every_n_iterations_and_at_the_end():
    learner = fresh()
    options = {**scoring, "validate_every": 3, **quiet}
    history = mt.meta_train(learner, Sinusoids(5), 7, **options)
    assert [iteration for iteration, _, _ in history.validation] == [3, 6, 7]
    again = mt.evaluate(learner, Sinusoids(5), 20, seed=training.VALIDATION_SEED)
    assert history.validation[-1] == (7, again.mean[-1], again.ci95[-1])
    assert history.metric == "mse" and "validation mse" in repr(history)


def test_a_validation_whose_interval_may_not_hold_is_marked_also_after_a_resume(tmp_path):
    options = {**scoring, "validation_episodes": 5, "checkpoint": tmp_path, **quiet}
    assert mt.meta_train(fresh(), Sinusoids(5), 2, **options).doubtful == [2], "5 tasks are too few"
    history = mt.meta_train(fresh(), Sinusoids(5), 4, **options)
    assert history.doubtful == [2, 4] and " !" in repr(history)


def test_validation_changes_no_number_of_the_training():
    plain = mt.meta_train(fresh(), Sinusoids(5), 6, **quiet)
    validated = mt.meta_train(fresh(), Sinusoids(5), 6, validate_every=2, **scoring, **quiet)
    assert plain.loss == validated.loss and len(validated.validation) == 3


class Worsening(mt.MAML):
    """Its validation gets worse at iteration 4 and later."""

    def before_iteration(self, iteration, iterations):
        if iteration == 3:
            with torch.no_grad():
                self.model[2].bias += 30.0


def test_the_best_parameters_are_kept_if_that_is_asked_for(tmp_path):
    def run(iterations=6, seed=0, **options):
        torch.manual_seed(seed)
        learner = Worsening(mt.MLP(1, 8, 1), engine="plain")
        options = {**scoring, "validate_every": 2, **quiet, **options}
        return learner, mt.meta_train(learner, Sinusoids(5), iterations, **options)

    last, history = run()
    best, _ = run(keep_best=True, checkpoint=tmp_path)
    two, _ = run(2)
    assert history.best[0] == 2 and history.best == history.validation[0]
    assert same(theta(best), theta(two)) and not same(theta(best), theta(last))
    saved = torch.load(tmp_path / "checkpoint.pt")
    assert torch.equal(saved["learner"]["model"]["0.weight"], last.model[0].weight)
    again, _ = run(seed=7, keep_best=True, checkpoint=tmp_path)  # nothing left to do
    assert same(theta(again), theta(two))
    with pytest.warns(UserWarning, match="iterations 6"):  # which this learner might anneal over
        longer, _ = run(
            8, keep_best=True, checkpoint=tmp_path
        )  # goes on from the last, not the best
    assert same(theta(longer), theta(two))
    assert torch.equal(
        torch.load(tmp_path / "checkpoint.pt")["learner"]["model"]["0.weight"],
        run(8)[0].model[0].weight,
    )


def test_after_ctrl_c_the_best_parameters_are_kept_too_and_it_says_so(capsys):
    options = {**scoring, "validate_every": 2, "keep_best": True, **quiet}
    learner, two = fresh(), fresh()
    mt.meta_train(learner, Failing(3, press_ctrl_c), 9, **options)
    mt.meta_train(two, Sinusoids(5), 2, **quiet)
    assert (
        "Stopped after 3 of 9 iterations; the learner keeps the best of them"
        in capsys.readouterr().out
    )
    assert same(theta(learner), theta(two))


def positive(output, y):
    """The share of outputs above 0: a metric of which nobody knows whether more is better."""
    return (output > 0).float().mean()


@pytest.mark.parametrize("metric", ["loss", "mse", positive])
def test_a_metric_is_what_validation_scores(metric):
    options = {**scoring, "validate_every": 2, "metric": metric, **quiet}
    history = mt.meta_train(learner := fresh(), Sinusoids(5), 4, **options)
    again = mt.evaluate(learner, Sinusoids(5), 20, seed=training.VALIDATION_SEED, metric=metric)
    assert history.validation[-1] == (4, again.mean[-1], again.ci95[-1])
    assert history.metric == (metric if isinstance(metric, str) else "positive")
    assert (history.best is None) == callable(metric), "nobody has said what is better"


@pytest.mark.parametrize("keep_best", ["max", "min"])
def test_of_a_metric_of_ones_own_the_best_is_kept_once_it_is_said_what_is_better(keep_best):
    def run(iterations, **options):
        torch.manual_seed(0)
        learner = Worsening(
            mt.MLP(1, 8, 1), engine="plain"
        )  # its outputs rise by 30 at iteration 4
        options = {**scoring, "validate_every": 2, "metric": positive, **quiet, **options}
        return learner, mt.meta_train(learner, Sinusoids(5), iterations, **options)

    learner, history = run(6, keep_best=keep_best)
    means = [mean for _, mean, _ in history.validation]
    best = history.validation[means.index(max(means) if keep_best == "max" else min(means))]
    assert history.best == best and max(means) > min(means)
    assert same(theta(learner), theta(run(best[0])[0]))


@pytest.mark.parametrize(("options", "message"), [
    ({"keep_best": True, "metric": positive}, "whether more of 'positive' is better: say keep_best=\"max\""),
    ({"keep_best": "most"}, 'keep_best must be True, False, "max" or "min"; got \'most\''),
    ({"metric": "f1"}, "metric must be one of accuracy, mse, loss, or a function"),
    ({"keep_best": True, "validation": None}, "keep_best=True needs validation="),
    ({"metric": "mse", "validation": None}, "metric='mse' needs validation="),
])  # fmt: skip
def test_a_wish_for_the_best_that_cannot_be_fulfilled_is_refused_before_training(options, message):
    with pytest.raises(ValueError, match=message):
        mt.meta_train(fresh(), Failing(1, RuntimeError()), 2, **{**scoring, **quiet, **options})


def test_american_spelling_and_other_slips_are_answered_with_the_right_name():
    with pytest.raises(TypeError, match="meta_train has no argument optimizer=: write optimiser=…"):
        mt.meta_train(fresh(), Sinusoids(5), 2, optimizer="sgd", **quiet)
    with pytest.raises(TypeError, match="no argument validation_every=: write validate_every=…"):
        mt.meta_train(fresh(), Sinusoids(5), 2, validation_every=5, **quiet)


# ------------------------------------------------------------------ what computed it


def test_the_history_names_the_engines_that_ran_in_their_order():
    def switch(iteration, history, learner):
        learner.engine = {2: "textbook", 4: "lean", 5: "textbook"}.get(iteration, learner.engine)

    history = mt.meta_train(fresh(engine="lean"), Sinusoids(5), 6, callbacks=switch, **quiet)
    assert history.engine == "lean, textbook" and "engine lean, textbook" in repr(history)


# ------------------------------------------------------------------ strides


class InStrides(PlainStepper):
    """A stepper that does several steps before anybody looks, as a captured one does."""

    stride = 4
    runs: list[tuple[int, int]] = []

    def run(self, done, n):
        self.runs.append((done, n))
        return super().run(done, n)


def test_a_stepper_with_long_strides_still_meets_every_event_at_its_iteration(
    monkeypatch, tmp_path
):
    def train(folder):
        seen, learner = [], fresh()
        history = mt.meta_train(
            learner, Sinusoids(5), 17, callbacks=[(6, lambda i, h, own: seen.append((i, len(h))))],
            validate_every=5, checkpoint=folder, checkpoint_every=9, **scoring, **quiet,
        )  # fmt: skip
        return history.loss, history.validation, seen, theta(learner)

    *plain, end = train(tmp_path / "plain")
    monkeypatch.setattr(training, "stepper_for", InStrides)
    InStrides.runs.clear()
    *strides, other = train(tmp_path / "strides")
    assert strides == plain and same(end, other)
    lengths = dict(InStrides.runs)
    assert lengths == {0: 4, 4: 1, 5: 1, 6: 3, 9: 1, 10: 2, 12: 3, 15: 2}


@pytest.mark.parametrize("bad", [float("nan"), 1e30])
def test_a_bad_loss_in_the_middle_of_a_stride_is_named_and_those_before_it_are_kept(
    bad, monkeypatch
):
    class Blind(InStrides):
        def run(self, done, n):
            return [1.0, 2.0, bad, bad][:n]

    monkeypatch.setattr(training, "stepper_for", Blind)
    with pytest.raises(
        mt.TrainingDiverged, match="iteration 3.*go on from the last checkpoint"
    ) as caught:
        mt.meta_train(fresh(), Sinusoids(5), 10, **quiet)
    assert caught.value.history.loss == [1.0, 2.0]


# ------------------------------------------------------------------ it says when it fails


@pytest.mark.parametrize("factor", [1e30, 1e8])
def test_an_exploding_loss_stops_training_with_the_iteration_and_what_to_try(factor):
    """1e30 overflows single precision to infinity or NaN; 1e8 stays finite and is no use either."""
    learner, other = fresh(), fresh()

    with pytest.raises(
        mt.TrainingDiverged, match="diverged at iteration 3.*before.*smaller"
    ) as caught:
        mt.meta_train(learner, Failing(3, Scaled(factor)), 10, **quiet)
    assert caught.value.iteration == 3
    assert re.search(
        r"the meta-loss is (inf|nan|[\d.]+e\+\d\d) \(it was [\d.]+ before\)", str(caught.value)
    )
    assert "in all 4 tasks of the batch" in str(caught.value)
    assert len(caught.value.history) == 2
    mt.meta_train(other, Sinusoids(5), 2, **quiet)
    assert same(theta(learner), theta(other)), "the parameters are those from before iteration 3"


def test_the_task_that_diverges_is_named():
    with pytest.raises(mt.TrainingDiverged, match=r"in 1 of 4 tasks \(number 2 from 0\)"):
        mt.meta_train(fresh(), Failing(3, Scaled(1e30, task=2)), 10, **quiet)


def test_a_huge_inner_rate_stops_training_at_once_and_leaves_the_parameters():
    learner = fresh(inner_lr=1e12, inner_steps=3)
    before = theta(learner)
    with pytest.raises(
        mt.TrainingDiverged, match="iteration 1: the meta-loss is .*smaller inner_lr"
    ):
        mt.meta_train(learner, Sinusoids(5), 10, **quiet)
    assert same(theta(learner), before)


def test_a_huge_meta_rate_stops_training_within_a_few_iterations():
    with pytest.raises(mt.TrainingDiverged, match="or meta_lr"):
        mt.meta_train(fresh(), Sinusoids(5), 50, meta_lr=1e6, **quiet)


def test_a_loss_that_gives_nan_stops_training_and_names_the_parameters_concerned():
    def nan_below_zero(prediction, target):
        return torch.sqrt(prediction - 100).mean()

    with pytest.raises(mt.TrainingDiverged, match=r"iteration 1: the meta-loss is nan, its gradient NaN or"
                                                  r" infinite at 0\.weight"):  # fmt: skip
        mt.meta_train(fresh(loss=nan_below_zero), Sinusoids(5), 5, **quiet)


def test_a_finite_loss_with_an_infinite_slope_stops_training_too():
    """√ of 0: the value is 0, the slope is not finite."""

    def root(prediction, target):
        return (prediction * 0).abs().sqrt().mean()

    with pytest.raises(
        mt.TrainingDiverged, match="the meta-loss is 0, its gradient NaN or infinite"
    ):
        mt.meta_train(fresh(loss=root, inner_steps=0), Sinusoids(5), 5, **quiet)


def test_nan_in_a_task_is_named_with_the_iteration():
    def spoil(batch):
        return TaskBatch(batch.support_x, batch.support_y * np.nan, batch.query_x, batch.query_y)

    learner, other = fresh(), fresh()
    with pytest.raises(ValueError, match="support_y contains NaN or infinity") as caught:
        mt.meta_train(learner, Failing(3, spoil), 5, **quiet)
    assert "iteration 3" in caught.value.__notes__[0]
    mt.meta_train(other, Sinusoids(5), 2, **quiet)
    assert same(theta(learner), theta(other))


def test_large_slopes_that_are_finite_are_not_taken_for_infinite_ones():
    large = torch.tensor([1e30, -1e25])  # their squares overflow
    assert all_finite([large, torch.zeros(2, 3)])
    for bad in (torch.inf, -torch.inf, torch.nan):
        assert not all_finite([torch.zeros(2, 3), torch.tensor([1e30, bad])])
        assert not all_finite([torch.tensor(bad), large])


@pytest.mark.parametrize(("options", "message"), [
    ({"iterations": -1}, "iterations must be a whole number ≥ 0"),
    ({"iterations": 2.5}, "iterations must be a whole number ≥ 0"),
    ({"iterations": True}, "iterations must be a whole number ≥ 0"),
    ({"meta_batch": 0}, "meta_batch must be a whole number ≥ 1"),
    ({"meta_lr": 0}, "meta_lr must be a number > 0"),
    ({"meta_lr": -1e-3}, "meta_lr must be a number > 0"),
    ({"meta_lr": float("nan")}, "meta_lr must be a number > 0"),
    ({"meta_lr": "fast"}, "meta_lr must be a number > 0"),
    ({"checkpoint_every": 0}, "checkpoint_every must be a whole number ≥ 1"),
    ({"validation": Sinusoids(5), "validate_every": 0}, "validate_every must be a whole number ≥ 1"),
    ({"validation": Sinusoids(5), "validation_episodes": 1}, "validation_episodes must be a whole .* ≥ 2"),
    ({"validation": Sinusoids}, r"tasks must have sample\(rng, tasks=n\)"),
    ({"tasks": [1, 2]}, r"tasks must have sample\(rng, tasks=n\)"),
    ({"device": "toaster"}, "device 'toaster' cannot be used here"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mt.meta_train(fresh(), **{"tasks": Sinusoids(5), "iterations": 1, **quiet, **options})


# ------------------------------------------------------------------ machine


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_a_clear_error():
    with pytest.raises(
        ValueError, match='device \'cuda\' cannot be used here .*use "auto" or "cpu"'
    ):
        mt.meta_train(fresh(), Sinusoids(5), 1, **{**quiet, "device": "cuda"})
    assert training.find_device("auto") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_auto_trains_on_the_gpu():
    learner = fresh()
    mt.meta_train(learner, Sinusoids(5), 3, **{**quiet, "device": "auto"})
    assert next(learner.model.parameters()).is_cuda
    assert np.isfinite(mt.evaluate(learner, Sinusoids(5), episodes=10).mean).all()


def test_a_large_network_keeps_all_of_torchs_threads():
    class Watching(Sinusoids):
        def sample(self, rng, tasks=25):
            seen.append(torch.get_num_threads())
            return super().sample(rng, tasks)

    seen, before = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for width in (8, 330):  # 330: 110,000 parameters
            learner = mt.MAML(mt.MLP(1, width, width, 1), engine="plain")
            mt.meta_train(learner, Watching(2), 1, **quiet)
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


@pytest.mark.parametrize("ending", ["done", "interrupted", "diverged"])
def test_the_number_of_threads_is_given_back(ending):
    class Watching(Failing):
        def sample(self, rng, tasks=25):
            seen.append(torch.get_num_threads())
            return super().sample(rng, tasks)

    seen, before = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        if ending == "diverged":
            with pytest.raises(RuntimeError):
                mt.meta_train(fresh(), Watching(2, RuntimeError()), 3, **quiet)
        else:
            what = KeyboardInterrupt() if ending == "interrupted" else (lambda batch: batch)
            mt.meta_train(fresh(), Watching(2, what), 3, **quiet)
        assert torch.get_num_threads() == 2 and set(seen) == {1}
    finally:
        torch.set_num_threads(before)
