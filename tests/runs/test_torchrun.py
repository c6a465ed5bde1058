"""`python -m maml_edu.train`: as a program, under torchrun, and when one of its processes is killed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from maml_edu import train

SMALL = (
    "--hidden 8 --meta-batch 5 --engine plain --device cpu --no-progress --shots 5 --validate-every 0 "
    "--episodes 10 --dtype float64 --checkpoint-every 5"
).split()
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


def command(folder, iterations=20):
    return [*SMALL, "--iterations", str(iterations), "--out", str(folder), "--resume", "--json"]


def trained_alone(folder):
    """What one process prints at the end of 20 iterations."""
    arguments = command(folder)
    return json.loads(CliRunner().invoke(train.app, arguments, catch_exceptions=False).stdout)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """(folder, results) of a run in one process, without a pause."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    return folder, trained_alone(folder)


def torchrun(tmp_path, restarts):
    """A real torchrun of two processes into run/, whose rank 1 is killed by SIGKILL in iteration 13, once."""
    (tmp_path / "sitecustomize.py").write_text(KILLS_RANK_1)  # Python imports it when it starts
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    launcher = "-m torch.distributed.run --standalone --nproc-per-node 2 --max-restarts".split()
    program = ["-m", "maml_edu.train", "--timeout", "60", *command(tmp_path / "run")]
    running = subprocess.Popen(
        [sys.executable, *launcher, str(restarts), *program],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        output = running.communicate(timeout=150)
    finally:
        running.terminate()  # and with it its processes, if it has not ended
    return subprocess.CompletedProcess(running.args, running.returncode, *output)


def checkpoint(folder):
    return torch.load(folder / "checkpoint.pt")


def scores(results):
    """The means of the test, from what --json printed."""
    return results["evaluation"]["scores"]["score"]["mean"]


def test_torchrun_takes_up_a_run_whose_process_was_killed_to_the_result_of_one_process(
    tmp_path, alone
):
    """Killed in iteration 13, taken up after 10: in the end the same numbers as if nothing had happened."""
    ended = torchrun(tmp_path, restarts=1)
    assert ended.returncode == 0, ended.stderr
    assert "Signal 9 (SIGKILL)" in ended.stderr or "exitcode: -9" in ended.stderr
    results, (folder, expected) = json.loads(ended.stdout), alone
    assert results["processes"] == 2 and results["iterations"] == 20
    np.testing.assert_allclose(scores(results), scores(expected), rtol=1e-12)
    theta, expected = (checkpoint(path)["learner"]["model"] for path in (tmp_path / "run", folder))
    for name, value in expected.items():
        torch.testing.assert_close(theta[name], value, rtol=1e-11, atol=1e-13)


def test_without_a_restart_torchrun_fails_and_one_process_can_go_on(tmp_path, alone):
    ended = torchrun(tmp_path, restarts=0)
    assert ended.returncode != 0
    assert "rank 0 lost another process" in ended.stderr or "SIGTERM" in ended.stderr
    assert len(checkpoint(tmp_path / "run")["history"]["loss"]) == 10
    with pytest.warns(UserWarning, match="processes 2"):
        results = trained_alone(tmp_path / "run")
    np.testing.assert_allclose(scores(results), scores(alone[1]), rtol=1e-12)


def test_the_module_runs_as_a_program(tmp_path):
    module = [sys.executable, "-m", "maml_edu.train", *SMALL, "--iterations", "2"]
    ended = subprocess.run(module, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "History(2 iterations" in ended.stdout


def test_the_module_loads_torch_only_when_it_trains():
    source = "import sys, maml_edu.train; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"


@pytest.mark.parametrize(("arguments", "message"), [
    (["cosines"], "tasks must be one of sinusoids, omniglot, glyphs, intents, navigation; got 'cosines'"),
    (["--meta-lr", "1e9", "--iterations", "50"], "training diverged at iteration"),
])  # fmt: skip
def test_a_mistake_is_one_message_and_exit_code_1(
    arguments, message, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["maml_edu.train", *SMALL, *arguments])
    with pytest.raises(SystemExit) as ended:
        train.main()
    printed = capsys.readouterr().err
    assert ended.value.code == 1 and message in printed and "Traceback" not in printed
