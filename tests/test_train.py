"""`maml-edu train`, as `python -m maml_edu.train`: alone, under torchrun, and when a process of it is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import maml_edu.pytorch as mt
from maml_edu import train
from maml_edu.runs.settings import METHODS
from maml_edu.tasks import Sinusoids

SMALL = ["--hidden", "8", "--meta-batch", "5", "--engine", "plain", "--device", "cpu", "--no-progress",
         "--shots", "5", "--validate-every", "0", "--episodes", "10", "--dtype", "float64"]  # fmt: skip


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Where runs/ is made."""
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return CliRunner().invoke(train.app, [*SMALL, *map(str, arguments)], catch_exceptions=False)


def as_a_program(monkeypatch, capsys, *arguments):
    """Run it through its entry point: (exit code, what it said on stderr)."""
    monkeypatch.setattr(sys, "argv", ["maml_edu.train", *SMALL, *arguments])
    with pytest.raises(SystemExit) as ended:
        train.main()
    return ended.value.code, capsys.readouterr().err


def by_library(iterations=20, **options):
    """(θ, test result) of the same run without the command line."""
    torch.manual_seed(0)
    learner = mt.MAML(mt.MLP(1, 8, 1).double(), engine="plain")
    tasks = Sinusoids(5)
    settings = {"meta_batch": 5, "device": "cpu", "progress": False, **options}
    mt.meta_train(learner, tasks, iterations, **settings)
    return learner.detached(), mt.evaluate(learner, tasks, 10)


def scores(found):
    """The means of the test, from what --json printed."""
    return found["evaluation"]["scores"]["score"]["mean"]


# ------------------------------------------------------------------ one process


def test_help_teaches_with_examples_for_one_process_several_and_machines():
    output = CliRunner().invoke(train.app, ["--help"], env={"COLUMNS": "200"}).output
    for words in ("maml-edu train omniglot --ways 5", "torchrun --standalone --nproc-per-node 2", "finn2017",
                  "--max-restarts 3", "--nnodes 2", "Inner loop", "Outer loop", "sinusoids: 25"):  # fmt: skip
        assert words in output


def test_a_run_says_how_it_went_and_how_well_the_network_adapts():
    result = run("--iterations", 3)
    assert result.exit_code == 0
    assert "History(3 iterations" in result.output and "mse on 10 new tasks" in result.output


def test_json_holds_what_the_library_gives_for_the_same_run():
    result = run("--iterations", 20, "--json", "--validate-every", 10, "--validation-episodes", 5)
    found = json.loads(result.stdout)
    _, expected = by_library()
    assert scores(found) == expected.mean.tolist()
    assert found["evaluation"]["scores"]["score"]["ci95"] == expected.ci95.tolist()
    assert found["iterations"] == 20 and found["processes"] == 1 and found["parameters"] == 25
    assert found["settings"]["inner_lr"] == 0.01 and found["device"] == "cpu"
    assert [iteration for iteration, _, _ in found["validation"]] == [10, 20]


def test_options_reach_the_library(monkeypatch, tmp_path):
    seen = {}

    def meta_train(learner, tasks, **options):
        seen.update(options, learner=learner, tasks=repr(tasks))
        return mt.History([1.0], 1.0)

    monkeypatch.setattr(mt, "meta_train", meta_train)
    run(
        "--iterations", 7, "--meta-lr", 0.5, "--optimiser", "momentum", "--schedule", "cosine:0.25",
        "--clip", "value:3", "--seed", 4, "--out", tmp_path / "a", "--checkpoint-every", 2,
        "--validate-every", 3, "--validation-episodes", 6, "--queries", 2, "--test-queries", 9,
        "--inner-lr", 0.125, "--inner-steps", 2, "--hidden", "3,4", "--method", "fomaml",
    )  # fmt: skip
    learner = seen.pop("learner").learner
    assert isinstance(learner, mt.FOMAML) and (learner.inner_lr, learner.inner_steps) == (0.125, 2)
    assert [tuple(p.shape) for p in learner.model.parameters()][::2] == [(3, 1), (4, 3), (1, 4)]
    assert seen.pop("tasks") == "Sinusoids(shots=5, queries=2)"
    assert repr(seen.pop("validation")) == "Sinusoids(shots=5, queries=9)"
    assert sorted(every for every, _ in seen.pop("callbacks")) == [2, 3, 200]
    assert seen == {
        "iterations": 7, "meta_batch": 5, "meta_lr": 0.5, "seed": 4, "device": "cpu",
        "checkpoint": tmp_path / "a", "checkpoint_every": 2, "progress": False, "optimiser": "momentum",
        "schedule": ("cosine", 0.25), "clip": ("value", 3.0), "validate_every": 3,
        "validation_episodes": 6, "keep_best": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in METHODS if name != "protonet"])
def test_every_method_that_is_listed_trains(name):
    quiet = ["--engine", "auto"] if name in ("reptile", "imaml", "fine-tuning") else []
    result = run("--iterations", 2, "--method", name, *quiet)
    assert result.exit_code == 0 and "History(2 iterations" in result.output


def test_resume_goes_on_where_a_run_stopped():
    assert run("--iterations", 12, "--out", "a").exit_code == 0
    found = json.loads(run("--iterations", 20, "--out", "a", "--resume", "--json").stdout)
    _, expected = by_library()
    assert found["iterations"] == 20 and scores(found) == expected.mean.tolist()


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_says_where_it_stopped_and_how_to_go_on(as_json, tmp_path, monkeypatch, capsys):
    def sample(self, rng, tasks=25, own=Sinusoids.sample):
        signal.raise_signal(signal.SIGINT)
        return own(self, rng, tasks)

    monkeypatch.setattr(Sinusoids, "sample", sample)
    more = ["--json"] if as_json else []
    result = run("--iterations", 20, "--out", "a", *more)
    assert result.exit_code == 130
    said = result.stderr if as_json else result.stdout
    assert "Stopped after 1 of 20 iterations" in said and "goes on from there" in said
    if as_json:
        found = json.loads(result.stdout)
        assert found["interrupted"] and found["evaluation"] is None


@pytest.mark.parametrize(("arguments", "message"), [
    (["cosines"], "tasks must be one of sinusoids, omniglot, glyphs; got 'cosines'"),
    (["--method", "mammal"], "--method must be one of maml, fomaml"),
    (["--dtype", "float16"], "--dtype must be one of float32, float64"),
    (["--ways", "5"], "sinusoids is regression and has no classes"),
    (["--schedule", "sine"], "schedule must be"),
    (["--clip", "much"], "clip must be"),
    (["--optimiser", "magic"], "optimiser must be one of adam"),
    (["--inner-steps", "-1"], "inner_steps must be a whole number"),
    (["--method", "reptile"], "reptile has one way of computing: leave out --engine"),
    (["--device", "toaster"], "device 'toaster' cannot be used here"),
    (["--meta-lr", "1e9", "--iterations", "50"], "training diverged at iteration"),
])  # fmt: skip
def test_a_mistake_is_one_message_and_exit_code_1(arguments, message, monkeypatch, capsys):
    code, said = as_a_program(monkeypatch, capsys, *arguments)
    assert code == 1 and message in said and "Traceback" not in said


@pytest.mark.parametrize("widths", ["40,x", "0", "-3,4"])
def test_widths_that_are_no_widths_are_refused(widths):
    assert run("--hidden", widths).exit_code == 2


# ------------------------------------------------------------------ torchrun

KILLS_RANK_1 = """
import os
if os.environ.get("RANK") == "1" and os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0":
    import signal
    from maml_edu.tasks import Sinusoids
    sample, count = Sinusoids.sample, 0
    def deadly(self, rng, tasks=25):
        global count
        count += 1
        if count == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return sample(self, rng, tasks)
    Sinusoids.sample = deadly
"""


def torchrun(tmp_path, *arguments, restarts=0):
    """A real torchrun of two processes, whose rank 1 is killed by SIGKILL in its 13th iteration, once."""
    (tmp_path / "sitecustomize.py").write_text(KILLS_RANK_1)  # Python imports it when it starts
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    options = ["--timeout", "60", *SMALL, *arguments]
    running = subprocess.Popen(
        [*torchrun, f"--max-restarts={restarts}", "-m", "maml_edu.train", *options],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = running.communicate(timeout=150)
    finally:
        running.terminate()  # and with it its processes, had it not ended
    return subprocess.CompletedProcess(running.args, running.returncode, *said)


def test_torchrun_takes_up_a_run_whose_process_was_killed_to_the_result_of_one_process(tmp_path):
    """Killed in iteration 13, taken up after 10: in the end the same numbers as if nothing had been."""
    options = [
        "--iterations",
        "20",
        "--checkpoint-every",
        "5",
        "--out",
        str(tmp_path / "run"),
        "--resume",
    ]
    ended = torchrun(tmp_path, *options, "--json", restarts=1)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "Signal 9 (SIGKILL)" in ended.stderr or "exitcode: -9" in ended.stderr
    found = json.loads(ended.stdout)
    theta, expected = by_library()
    assert found["processes"] == 2 and found["iterations"] == 20
    np.testing.assert_allclose(scores(found), expected.mean, rtol=1e-12)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt")["learner"]["model"]
    for name, value in theta.items():
        torch.testing.assert_close(saved[name], value, rtol=1e-11, atol=1e-13)


def test_without_a_restart_torchrun_fails_and_one_process_can_go_on(tmp_path):
    options = [
        "--iterations",
        "20",
        "--checkpoint-every",
        "5",
        "--out",
        str(tmp_path / "run"),
        "--resume",
    ]
    ended = torchrun(tmp_path, *options)
    assert ended.returncode != 0
    assert "rank 0 lost another process" in ended.stderr or "SIGTERM" in ended.stderr
    assert len(torch.load(tmp_path / "run" / "checkpoint.pt")["history"]["loss"]) == 10
    with pytest.warns(UserWarning, match="processes 2"):
        result = run(*options, "--json")
    _, expected = by_library()
    np.testing.assert_allclose(scores(json.loads(result.stdout)), expected.mean, rtol=1e-12)


def test_the_module_runs_as_a_program_and_loads_torch_only_when_it_trains():
    source = "import sys, maml_edu.train; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    module = [sys.executable, "-m", "maml_edu.train", *SMALL, "--iterations", "2"]
    done = subprocess.run(module, capture_output=True, text=True, check=True)
    assert "History(2 iterations" in done.stdout
    assert Path(train.__file__).is_file()
