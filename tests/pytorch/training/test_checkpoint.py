"""Checkpoints: what stopped goes on bit for bit, whatever stopped it; what does not fit is refused."""

import builtins
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from random import Random

import pytest
import small_runs
import torch
from small_runs import Failing, Scaled, WithDropout, fresh, quiet, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import checkpoint
from maml_edu.pytorch.training.loop import Run, Validation
from maml_edu.pytorch.training.stepper import Plan
from maml_edu.tasks import Glyphs, Sinusoids


@contextlib.contextmanager
def does_not_warn(*_, **__):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ------------------------------------------------------------------ it goes on bit for bit


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


def test_the_random_numbers_of_torch_are_part_of_a_checkpoint(tmp_path):
    def learner():
        torch.manual_seed(0)
        return mt.MAML(WithDropout(), engine="plain")

    expected = mt.meta_train(learner(), Sinusoids(5), 6, **quiet)
    assert len(set(expected.loss)) == 6
    mt.meta_train(learner(), Sinusoids(5), 3, checkpoint=tmp_path, **quiet)
    torch.manual_seed(123)
    again = mt.meta_train(learner(), Sinusoids(5), 6, checkpoint=tmp_path, **quiet)
    assert again.loss == expected.loss


def rates(iteration):
    return 1 / (1 + iteration)


RUNS = {
    "cosine": {"schedule": "cosine"},
    "a schedule of one's own": {"schedule": rates, "optimiser": "sgd"},
    "clipping": {"clip": 0.5},
    "momentum": {"optimiser": "momentum", "clip": ("value", 0.01)},
    "AdamW": {"optimiser": torch.optim.AdamW},
    "an optimiser of one's own": {"optimiser": lambda params: torch.optim.RMSprop(params, 1e-3)},
    "validation": {
        "validation": Sinusoids(5), "validate_every": 2, "validation_episodes": 5, "keep_best": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_a_resumed_run_is_the_same_with(kind, tmp_path):
    def train(learner, tasks, **options):
        return mt.meta_train(learner, tasks, 9, **RUNS[kind], **options, **quiet)

    whole, resumed = fresh(), fresh(seed=99)
    expected = train(whole, Sinusoids(5))
    train(fresh(), Failing(6, KeyboardInterrupt()), checkpoint=tmp_path, checkpoint_every=3)
    history = train(resumed, Sinusoids(5), checkpoint=tmp_path, checkpoint_every=3)
    assert history.loss == expected.loss and history.validation == expected.validation
    assert same(theta(resumed), theta(whole))


def image_learner(kind, seed=0):
    torch.manual_seed(seed)
    model = mt.Conv4(3, filters=2) if kind == "convolutions" else mt.MLP(784, 4, 3)
    if kind != "convolutions":
        model = torch.nn.Sequential(torch.nn.Flatten(), *model)
    return mt.MAML(model, torch.nn.functional.cross_entropy, 0.1)


@pytest.mark.parametrize("kind", ["convolutions", "perceptron"])
def test_episodes_of_images_go_on_where_they_were(kind, tmp_path):
    tasks = Glyphs(ways=3, queries=2, alphabets=1)
    whole, resumed = image_learner(kind), image_learner(kind, seed=9)
    expected = mt.meta_train(whole, tasks, 9, **quiet)
    options = {"checkpoint": tmp_path, **quiet}
    stop = [lambda iteration, *_: iteration == 4]
    assert len(mt.meta_train(image_learner(kind), tasks, 9, callbacks=stop, **options)) == 4
    history = mt.meta_train(resumed, tasks, 9, **options)
    assert history.loss == expected.loss and same(theta(resumed), theta(whole))


LEARNERS = {
    "learned rates": lambda: fresh(learn_inner_lr=True),
    "rates for each parameter": lambda: mt.MetaSGD(fresh().model, inner_steps=2, engine="plain"),
    "annealing": lambda: mt.MAMLpp(
        fresh().model, torch.nn.functional.mse_loss, 0.01, 3,
        multi_step_until=6, first_order_until=2, engine="plain",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEARNERS)
def test_what_a_learner_trains_beside_its_network_goes_on_too(kind, tmp_path):
    make = LEARNERS[kind]
    whole, resumed = make(), make()
    with torch.no_grad():
        for value in resumed.meta_params.values():
            value += 1.0
    expected = mt.meta_train(whole, Sinusoids(5), 9, **quiet)
    options = {"checkpoint": tmp_path, "checkpoint_every": 2, **quiet}
    mt.meta_train(make(), Failing(6, KeyboardInterrupt()), 9, **options)
    assert mt.meta_train(resumed, Sinusoids(5), 9, **options).loss == expected.loss
    assert any("inner_lr" in name for name in theta(whole))
    assert same(theta(resumed), theta(whole))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_run_on_the_gpu_goes_on_bit_for_bit_with_its_generator(tmp_path):
    def learner():
        torch.manual_seed(0)
        return mt.MAML(WithDropout(), engine="plain")

    options = {**quiet, "device": "cuda"}
    expected = mt.meta_train(learner(), Sinusoids(5), 6, **options)
    mt.meta_train(learner(), Sinusoids(5), 3, checkpoint=tmp_path, **options)
    torch.manual_seed(123)
    again = mt.meta_train(learner(), Sinusoids(5), 6, checkpoint=tmp_path, **options)
    assert again.loss == expected.loss


# ------------------------------------------------------------------ killed, or without room

PROGRAM = """
import os, signal, sys, time
import small_runs, maml_edu.pytorch as mt
from maml_edu.tasks import Glyphs, Sinusoids
{first}
tell = lambda iteration, *_: os.write(1, b"%d\\n" % iteration)
mt.meta_train(small_runs.fresh(), Sinusoids(5), int(sys.argv[2]), checkpoint=sys.argv[1],
              checkpoint_every=5, callbacks=tell, **small_runs.quiet)
"""
BEFORE_RENAMING = """
count, rename = 0, os.replace
def replace(*paths):
    global count
    count += 1
    if count == 7:  # the second of the fourth save: the first keeps what was there
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*paths)
os.replace = replace
"""
WHILE_WRITING = """
import torch
count, save = 0, torch.save
def half(state, file):
    global count
    count += 1
    if count == 4:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, file)
torch.save = half
"""


def started(folder, first="", iterations=100_000):
    """A real process that trains into a folder until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(first=first), str(folder), str(iterations)],
        env={**os.environ, "PYTHONPATH": str(Path(small_runs.__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )


def goes_on(folder):
    """Train a little further than the file in the folder; the losses, and how far the file was."""
    done = len(torch.load(folder / "checkpoint.pt")["history"]["loss"])
    options = {"checkpoint": folder, **quiet}
    with does_not_warn():
        return mt.meta_train(fresh(seed=5), Sinusoids(5), done + 3, **options).loss, done


def test_a_process_killed_at_any_moment_loses_at_most_one_interval(tmp_path):
    """Two processes, each killed by SIGKILL at a moment of its own."""
    running = [started(tmp_path / str(number)) for number in range(2)]
    random, seen = Random(), []
    for number, process in enumerate(running):
        file = tmp_path / str(number) / "checkpoint.pt"
        with process:
            while not file.exists():
                time.sleep(0.01)
            time.sleep(random.uniform(0, 0.3))
            process.kill()
            reached = int(process.stdout.read().split()[-1])
        assert process.returncode == -signal.SIGKILL
        losses, done = goes_on(file.parent)
        assert done % 5 == 0 and 0 <= reached - done <= 5
        seen.append(losses)
    longest = max(seen, key=len)
    assert mt.meta_train(fresh(), Sinusoids(5), len(longest), **quiet).loss == longest
    assert all(losses == longest[: len(losses)] for losses in seen)


@pytest.mark.parametrize("first", [BEFORE_RENAMING, WHILE_WRITING], ids=["renaming", "writing"])
def test_a_process_killed_while_it_saves_leaves_the_checkpoint_of_before(first, tmp_path):
    with started(tmp_path, first, iterations=30) as process:
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*.tmp"))) == 1, "a file that was not finished"
    losses, done = goes_on(tmp_path)
    assert done == 15 and losses == mt.meta_train(fresh(), Sinusoids(5), 18, **quiet).loss
    assert not list(tmp_path.glob(".*")), "cleared away"


def test_a_disk_without_room_is_a_warning_and_training_goes_on(tmp_path):
    """The operating system itself refuses: files may not grow beyond 3,000 bytes here."""
    resource = pytest.importorskip("resource", reason="a limit that POSIX systems have")
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.warns(UserWarning, match="could not be written.*training goes on"):
            history = mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(history) == 4 and (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_grows_by_a_number_an_iteration_and_no_more(tmp_path):
    plan, nothing = Plan(10**6, 4, 1e-3, 0), Validation(None, 1, 2)
    run = Run(fresh(), Sinusoids(5), plan, nothing, [], 1)
    store, sizes = checkpoint.Checkpoint(tmp_path, {}, {}, run.team), []
    for count in (0, 100_000, 200_000):
        run.history.loss = [1 / 3] * count
        assert store.save(run.state())
        sizes.append(store.path.stat().st_size)
    assert all(b - a < 8 * 100_000 + 2000 for a, b in zip(sizes, sizes[1:], strict=False))


# ------------------------------------------------------------------ damaged or impossible checkpoints


def flip_a_bit(path):
    """In the numbers of a tensor, where nothing but a checksum can see it."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        own = next(entry for entry in file.infolist() if "/data/" in entry.filename)
        numbers = file.read(own)
    content[content.index(numbers)] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "one bit": flip_a_bit,
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


@pytest.mark.parametrize("kind", DAMAGE)
def test_where_the_last_checkpoint_is_damaged_the_one_before_is_offered_and_leads_to_the_same_end(
    kind, tmp_path
):
    whole = fresh()
    expected = mt.meta_train(whole, Sinusoids(5), 12, **quiet)
    options = {"checkpoint": tmp_path, "checkpoint_every": 3, **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 9, **options)
    DAMAGE[kind](tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="the one before it, of iteration 6, is whole.*--previous"):
        mt.meta_train(fresh(), Sinusoids(5), 12, **options)
    assert checkpoint.fall_back(tmp_path) == 6
    assert (tmp_path / "checkpoint.damaged.pt").is_file()
    resumed = fresh(seed=3)
    assert mt.meta_train(resumed, Sinusoids(5), 12, **options).loss == expected.loss
    assert same(theta(resumed), theta(whole))


def test_falling_back_twice_is_falling_back_once(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 9, checkpoint=tmp_path, checkpoint_every=3, **quiet)
    assert checkpoint.fall_back(tmp_path) == 9  # the last one is whole
    (tmp_path / checkpoint.NAME).write_bytes(b"damaged")
    assert [checkpoint.fall_back(tmp_path) for _ in range(2)] == [6, 6]
    assert (tmp_path / checkpoint.DAMAGED).read_bytes() == b"damaged"


def test_a_checkpoint_that_is_gone_is_not_taken_for_a_new_run(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 3, **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 9, **options)
    (tmp_path / checkpoint.NAME).unlink()
    with pytest.raises(ValueError, match="is gone: the one before it, of iteration 6, is whole"):
        mt.meta_train(fresh(), Sinusoids(5), 12, **options)
    assert checkpoint.fall_back(tmp_path) == 6
    assert len(mt.meta_train(fresh(), Sinusoids(5), 12, **options)) == 12


def test_where_both_are_damaged_nothing_is_offered(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 9, checkpoint=tmp_path, checkpoint_every=3, **quiet)
    for name in (checkpoint.NAME, checkpoint.BEFORE):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"is damaged.*\): give another folder"):
        mt.meta_train(fresh(), Sinusoids(5), 12, checkpoint=tmp_path, **quiet)
    with pytest.raises(ValueError, match="previous.pt is damaged"):
        checkpoint.fall_back(tmp_path)
    with pytest.raises(ValueError, match="no checkpoint before the last one"):
        checkpoint.fall_back(tmp_path / "elsewhere")


def test_the_checkpoint_before_the_last_is_kept_without_links_too(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("not on this file system")

    monkeypatch.setattr(os, "link", no_links)
    mt.meta_train(fresh(), Sinusoids(5), 9, checkpoint=tmp_path, checkpoint_every=4, **quiet)
    done = [len(checkpoint.read(tmp_path / name)["history"]["loss"])
            for name in (checkpoint.BEFORE, checkpoint.NAME)]  # fmt: skip
    assert done == [8, 9]
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.BEFORE, checkpoint.NAME}


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
        patch.setattr({"torch": torch, "os": os}[module], name, full)
        with pytest.warns(UserWarning, match="No space left.*training goes on"):
            history = mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    assert len(history) == 4  # the work is not lost
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert len(mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)) == 4


CHANGES = {
    "meta_lr": (1e-2, r"meta_lr 0\.001 \(now 0\.01\)"),
    "clip": (0.5, r"clip None \(now 0\.5\)"),
    "schedule": ("cosine", r"schedule None \(now 'cosine'\)"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_resumed_run_does_what_is_asked_for_now_and_says_what_has_changed(changed, tmp_path):
    value, words = CHANGES[changed]
    ends = []
    for name, options in (("changed", {changed: value}), ("same", {})):
        mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path / name, **quiet)
        with pytest.warns(UserWarning, match=words) if options else does_not_warn():
            options |= {"checkpoint": tmp_path / name, **quiet}
            mt.meta_train(learner := fresh(), Sinusoids(5), 5, **options)
        ends.append(theta(learner))
    assert not same(*ends)


def test_a_run_that_goes_on_on_another_device_says_so(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    edited(tmp_path, lambda state: state["config"].update(device="cuda"))
    with pytest.warns(UserWarning, match=r"device cuda \(now cpu\)"):
        mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)


def test_scores_of_different_metrics_are_not_taken_for_one_curve(tmp_path):
    options = {"validation": Sinusoids(5), "validation_episodes": 5, "validate_every": 2}
    options |= {"checkpoint": tmp_path, **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 2, **options)
    with pytest.raises(
        ValueError, match="was validated by 'mse' until now, and is asked for 'loss'"
    ):
        mt.meta_train(fresh(), Sinusoids(5), 4, metric="loss", **options)
    history = mt.meta_train(fresh(), Sinusoids(5), 4, metric="mse", **options)
    assert len(history.validation) == 2


def test_divergence_leaves_the_last_checkpoint_to_go_on_from(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 2, **quiet}
    with pytest.raises(mt.TrainingDiverged):
        mt.meta_train(fresh(), Failing(4, Scaled(1e30)), 10, **options)
    history = mt.meta_train(fresh(), Sinusoids(5), 6, **options)
    assert history.loss == mt.meta_train(fresh(), Sinusoids(5), 6, **quiet).loss


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


# ------------------------------------------------------------------ other versions, other wishes


def edited(folder, change):
    """Rewrite the checkpoint of a folder with a change to what is in it."""
    state = torch.load(folder / "checkpoint.pt")
    change(state)
    torch.save(state, folder / "checkpoint.pt")


@pytest.mark.parametrize("package", ["maml_edu", "torch", "numpy", "python"])
def test_another_version_warns_and_goes_on(package, tmp_path):
    options = {"checkpoint": tmp_path, **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 2, **options)
    now = checkpoint.versions()[package]
    edited(tmp_path, lambda state: state["versions"].update({package: "0.0.1"}))
    expected = rf"written with {package} 0\.0\.1 \(now {re.escape(now)}\)"
    with pytest.warns(UserWarning, match=expected):
        assert len(mt.meta_train(fresh(), Sinusoids(5), 4, **options)) == 4


def test_a_checkpoint_from_before_there_were_these_fields_goes_on(tmp_path):
    def of_old(state):
        del state["settings"]["precision"]
        for name in ("engine", "rises"):
            del state["history"][name]

    expected = mt.meta_train(fresh(), Sinusoids(5), 4, **quiet)
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    edited(tmp_path, of_old)
    with does_not_warn():
        history = mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    assert history.loss == expected.loss and history.engine == "plain"
    edited(tmp_path, of_old)
    with pytest.raises(ValueError, match="written with precision float32, not tf32"):
        learner = fresh(precision="tf32")
        mt.meta_train(learner, Sinusoids(5), 6, checkpoint=tmp_path, **quiet)


def test_the_engines_before_and_after_a_pause_are_both_named(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    again = fresh(engine="lean")
    assert (
        mt.meta_train(again, Sinusoids(5), 4, checkpoint=tmp_path, **quiet).engine == "plain, lean"
    )


def test_the_same_run_again_warns_of_nothing(tmp_path):
    options = {"checkpoint": tmp_path, **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 2, **options)
    with does_not_warn():
        mt.meta_train(fresh(), Sinusoids(5), 4, **options)


def test_a_cosine_over_more_iterations_is_another_run_and_is_named(tmp_path):
    options = {"checkpoint": tmp_path, "schedule": "cosine", **quiet}
    mt.meta_train(fresh(), Sinusoids(5), 2, **options)
    with pytest.warns(UserWarning, match=r"iterations 2 \(now 4\)"):
        mt.meta_train(fresh(), Sinusoids(5), 4, **options)


def test_fewer_iterations_than_are_done_are_refused(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)
    learner = fresh(seed=7)
    before = theta(learner)
    with pytest.raises(ValueError, match="already holds 4 iterations, more than the 3 asked for"):
        mt.meta_train(learner, Sinusoids(5), 3, checkpoint=tmp_path, **quiet)
    assert same(theta(learner), before)


@pytest.mark.parametrize(
    ("format", "message"),
    [(None, "older maml_edu, in a format"), (3, "newer maml_edu, 9.9"), (2, "is damaged")],
)
def test_a_checkpoint_of_another_format_is_named_as_such(format, message, tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    if format is None:  # as the first maml_edu wrote it
        old = {"settings": {}, "model": {}, "optimiser": {}, "tasks_rng": {}, "history": {}}
        torch.save(old, tmp_path / "checkpoint.pt")
    else:
        torch.save({"format": format, "versions": {"maml_edu": "9.9"}}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=f"{message}.*give another folder, or delete it"):
        mt.meta_train(fresh(), Sinusoids(5), 4, checkpoint=tmp_path, **quiet)


def test_another_optimiser_is_another_run(tmp_path):
    mt.meta_train(fresh(), Sinusoids(5), 2, checkpoint=tmp_path, **quiet)
    with pytest.raises(ValueError, match="written with optimiser 'adam', not 'sgd'"):
        mt.meta_train(fresh(), Sinusoids(5), 4, optimiser="sgd", checkpoint=tmp_path, **quiet)
