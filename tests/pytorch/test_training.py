"""Meta-training: it learns, it can be stopped and taken up again, it says when it fails."""

import builtins
import io
import re
import sys
from random import Random

import numpy as np
import pytest
import torch
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.pytorch import training
from maml_edu.tasks import Sinusoids, TaskBatch

quiet = {"progress": False, "meta_batch": 4, "device": "cpu"}


def fresh(seed=0, **options):
    torch.manual_seed(seed)
    return mt.MAML(mt.MLP(1, 8, 1), **{"inner_lr": 0.01, **options})


def theta(learner):
    return {k: v.clone() for k, v in learner.detached().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Failing(Sinusoids):
    """Sinusoids whose `at`-th batch raises, or comes out otherwise."""

    def __init__(self, at, what):
        super().__init__(5)
        self.at, self.what, self.count = at, what, 0

    def sample(self, rng, tasks=25):
        self.count += 1
        batch = super().sample(rng, tasks)
        if self.count != self.at:
            return batch
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what(batch)


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


def test_the_same_seed_gives_the_same_history_and_another_seed_another():
    runs = [mt.meta_train(fresh(), Sinusoids(5), 10, seed=seed, **quiet) for seed in (1, 1, 2)]
    assert runs[0].loss == runs[1].loss != runs[2].loss


def test_no_iterations_change_nothing():
    learner = fresh()
    before = theta(learner)
    assert len(mt.meta_train(learner, Sinusoids(5), 0, **quiet)) == 0
    assert same(theta(learner), before)


def test_history_smooths_over_a_window_that_is_shorter_at_the_start():
    history = mt.History(loss=[4.0, 2.0, 0.0, 6.0], seconds=1.5)
    np.testing.assert_allclose(history.smoothed(2), [4.0, 3.0, 1.0, 3.0])
    np.testing.assert_allclose(history.smoothed(100), [4.0, 3.0, 2.0, 3.0])
    assert repr(history) == "History(4 iterations, last loss 6, 1.5 s)"
    assert len(mt.History().smoothed()) == 0


# ------------------------------------------------------------------ it can be stopped


def test_ctrl_c_ends_training_and_keeps_history_and_parameters(capsys):
    learner, other = fresh(), fresh()
    history = mt.meta_train(learner, Failing(4, KeyboardInterrupt()), 10, **quiet)
    assert history.interrupted and len(history) == 3
    assert "Stopped after 3 of 10 iterations" in capsys.readouterr().out
    assert mt.meta_train(other, Sinusoids(5), 3, **quiet).loss == history.loss
    assert same(theta(learner), theta(other))


@pytest.mark.parametrize(("stop", "every"), [(8, 3), (10, 3), (3, 5)])
def test_interrupted_training_resumes_bit_for_bit(stop, every, tmp_path, capsys):
    whole = fresh()
    expected = mt.meta_train(whole, Sinusoids(5), 12, **quiet)

    options = {"checkpoint": tmp_path / "run", "checkpoint_every": every, **quiet}
    mt.meta_train(fresh(), Failing(stop, KeyboardInterrupt()), 12, **options)
    written = (tmp_path / "run" / "checkpoint.pt").is_file()
    assert written == (stop > every)
    assert ("goes on from the last one written" in capsys.readouterr().out) == written

    resumed = fresh(seed=99) if written else fresh()  # θ comes from the file, not from the caller
    history = mt.meta_train(resumed, Sinusoids(5), 12, **options)
    assert history.loss == expected.loss and not history.interrupted
    assert same(theta(resumed), theta(whole))


def test_a_finished_run_goes_on_where_it_ended(tmp_path):
    whole, learner = fresh(), fresh()
    expected = mt.meta_train(whole, Sinusoids(5), 9, **quiet)
    options = {"checkpoint": str(tmp_path), **quiet}
    assert len(mt.meta_train(learner, Sinusoids(5), 4, **options)) == 4
    again = mt.meta_train(fresh(seed=5), Sinusoids(5), 4, **options)  # nothing left to do
    assert again.loss == expected.loss[:4]
    history = mt.meta_train(learner, Sinusoids(5), 9, **options)
    assert history.loss == expected.loss and same(theta(learner), theta(whole))


class WithDropout(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))


def test_the_random_numbers_of_torch_are_part_of_a_checkpoint(tmp_path):
    def learner():
        torch.manual_seed(0)
        return mt.MAML(WithDropout())

    expected = mt.meta_train(learner(), Sinusoids(5), 6, **quiet)
    assert len(set(expected.loss)) == 6
    mt.meta_train(learner(), Sinusoids(5), 3, checkpoint=tmp_path, **quiet)
    torch.manual_seed(123)
    again = mt.meta_train(learner(), Sinusoids(5), 6, checkpoint=tmp_path, **quiet)
    assert again.loss == expected.loss


# ------------------------------------------------------------------ damaged or impossible checkpoints

DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "garbage": lambda path: path.write_bytes(Random(0).randbytes(2000)),
    "other contents": lambda path: torch.save({"seed": 0}, path),
    "no dict": lambda path: torch.save([1, 2], path),
    "other code": lambda path: torch.save({"seed": builtins.print}, path),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_a_clear_error_and_changes_nothing(kind, tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    DAMAGE[kind](tmp_path / "checkpoint.pt")
    learner = fresh(seed=7)
    before = theta(learner)
    with pytest.raises(
        ValueError, match="(is damaged|does not fit this run).*give another folder, or delete it"
    ):
        mt.meta_train(learner, Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    assert same(theta(learner), before)


def test_a_checkpoint_of_another_network_or_seed_is_refused(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    other = mt.MAML(mt.MLP(1, 8, 2, 1))
    before = theta(other)
    with pytest.raises(ValueError, match="does not fit this run"):
        mt.meta_train(other, Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    assert same(theta(other), before)  # not even the layers that both have
    with pytest.raises(ValueError, match="written with seed 0, not 1"):
        mt.meta_train(fresh(), Sinusoids(5), 4, seed=1, checkpoint=tmp_path, **quiet)


@pytest.mark.parametrize("broken", ["torch.save", "os.replace", "os.fsync"])
def test_a_full_disk_while_saving_leaves_the_checkpoint_of_before(broken, tmp_path, monkeypatch):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        module, name = broken.split(".")
        patch.setattr(getattr(training, module), name, full)
        with pytest.warns(UserWarning, match="No space left.*training goes on"):
            history = mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    assert len(history) == 4  # the work is not lost
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert len(mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)) == 4


def test_a_resumed_run_takes_the_rate_that_is_asked_for_now(tmp_path):
    resumed, same_rate = fresh(), fresh()
    for learner, rate in ((resumed, 1e-2), (same_rate, 1e-3)):
        folder = tmp_path / str(rate)
        mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=folder, **quiet)
        mt.meta_train(learner, Sinusoids(5), 4, meta_lr=rate, checkpoint=folder, **quiet)
    assert not same(theta(resumed), theta(same_rate))


# ------------------------------------------------------------------ it says when it fails


@pytest.mark.parametrize("factor", [1e30, 1e8])
def test_an_exploding_loss_stops_training_with_the_iteration_and_what_to_try(factor):
    """1e30 overflows single precision to infinity or NaN; 1e8 stays finite and is no use either."""
    learner, other = fresh(), fresh()

    def huge(batch):
        return TaskBatch(batch.support_x, batch.support_y, batch.query_x, factor * batch.query_y)

    with pytest.raises(
        mt.TrainingDiverged, match="diverged at iteration 3.*before.*smaller"
    ) as caught:
        mt.meta_train(learner, Failing(3, huge), 10, **quiet)
    assert caught.value.iteration == 3
    assert re.search(
        r"the meta-loss is (inf|nan|[\d.]+e\+\d\d) \(it was [\d.]+ before\)", str(caught.value)
    )
    mt.meta_train(other, Sinusoids(5), 2, **quiet)
    assert same(theta(learner), theta(other)), "the parameters are those from before iteration 3"


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


def test_divergence_leaves_the_last_checkpoint_to_go_on_from(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 2, **quiet}
    with pytest.raises(mt.TrainingDiverged):
        mt.meta_train(
            fresh(), Failing(4, lambda b: TaskBatch(*(1e30 * a for a in vars(b).values()))), 10, **options
        )  # fmt: skip
    history = mt.meta_train(fresh(), Sinusoids(5), 6, **options)
    assert history.loss == mt.meta_train(fresh(), Sinusoids(5), 6, **quiet).loss


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


@pytest.mark.parametrize("progress", [True, False])
def test_a_terminal_shows_a_bar_unless_it_is_unwanted(progress, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    mt.meta_train(fresh(), Sinusoids(5), 40, meta_batch=2, progress=progress, device="cpu")
    assert ("meta-training: 100%" in screen.getvalue()) == progress
    assert ("40/40" in screen.getvalue()) == progress and bool(screen.getvalue()) == progress


@pytest.mark.parametrize("change", [{"meta_batch": 5}, {"tasks": Sinusoids(6)}, {"inner_steps": 2}])
def test_a_checkpoint_of_a_run_with_other_settings_is_refused(change, tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    learner = fresh()
    learner.inner_steps = change.pop("inner_steps", 1)
    tasks = change.pop("tasks", Sinusoids(5))
    with pytest.raises(ValueError, match="does not fit this run.*written with"):
        mt.meta_train(learner, tasks, 4, checkpoint=tmp_path, **{**quiet, **change})


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint folder .* cannot be written"):
        mt.meta_train(fresh(), Failing(1, None), 4, checkpoint=tmp_path / "file", **quiet)
