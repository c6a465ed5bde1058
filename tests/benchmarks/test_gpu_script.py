"""gpu.sh: its parts on a CPU, in small; what is kept when one fails or hangs; what is refused."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from maml_edu import places
from maml_edu.tasks import omniglot

sys.path.append(str(places.course_root()))

from benchmarks import gpu_parts  # noqa: E402

SCRIPT = places.course_root() / "benchmarks" / "gpu.sh"
needs_bash = pytest.mark.skipif(
    not shutil.which("bash") or not shutil.which("timeout"), reason="needs bash and timeout"
)
MACHINE = {"device": "NVIDIA X", "torch": "2.11"}


def gpu_sh(*arguments, python=sys.executable):
    """What the script printed, and its exit status."""
    surroundings = {n: v for n, v in os.environ.items() if n not in ("OUT", "MAML_EDU_DATA")}
    done = subprocess.run(
        ["bash", str(SCRIPT), *map(str, arguments)],
        env=surroundings | {"PYTHON": str(python)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr, done.returncode


def state(out):
    return json.loads((out / "gpu.json").read_text())


@pytest.fixture
def data(tmp_path):
    """A folder with a packed file as that of Omniglot, of 20 characters that are noise."""
    packed = np.random.default_rng(0).integers(0, 256, (20, 20, 98), dtype=np.uint8)
    names = np.array([str(number) for number in range(20)])
    content = {"packed": packed, "alphabet": names, "character": names}
    content |= {"is_background": np.ones(20, bool), "vinyals_split": np.repeat([0, 2], 10)}
    omniglot.write_packed(tmp_path / gpu_parts.PACKED, content)
    return tmp_path


@needs_bash
def test_a_dry_run_takes_every_part_through_to_the_end(tmp_path, data):
    out = tmp_path / "results"
    said, code = gpu_sh("--dry-run", "--out", out, "--data", data)
    assert code == 0, said
    assert all(word in said for word in ("device", "driver", f"torch     {torch.__version__}"))
    parts = state(out)["parts"]
    assert {part["status"] for part in parts.values()} == {"complete"} and len(parts) == 3, said
    tests = json.loads((out / "tests.json").read_text())
    assert tests["selected"] > 20 and not tests["failed"]
    assert tests["selected"] == tests["skipped"] + tests["passed"]
    assert json.loads((out / "bench.json").read_text())["workloads"][0]["rows"][0]["error64"] < 1e-9
    assert "accuracy" in json.loads((out / "omniglot.json").read_text())
    page = (out / "gpu.md").read_text()
    assert page.startswith("# A dry run on a CPU") and "## omniglot" in page
    assert len(list(out.iterdir())) <= 8  # what a borrowed machine hands back

    said, code = gpu_sh("--dry-run", "--out", out, "--data", data, "--part", "omniglot")
    assert code == 0 and "there is a result (complete)" in said


@needs_bash
def test_a_part_that_hangs_and_one_that_fails_lose_nothing_of_the_others(tmp_path):
    out, python = tmp_path / "results", tmp_path / "python"
    python.write_text(
        f"""#!/bin/bash
        [ "$2" = about ] && exit 0
        case "$2 $4" in
        "run tests") echo '{{"selected": 1, "passed": 1, "skipped": 0, "failed": {{}}}}' >"$3/tests.json" ;;
        "run bench") trap '' INT && exec sleep 60 ;;
        "run omniglot") echo no memory && exit 9 ;;
        *) exec {sys.executable} "$@" ;;
        esac
        """
    )
    python.chmod(0o755)
    said, code = gpu_sh("--out", out, "--budget", "tests=0", "--budget", "bench=1", python=python)
    parts = state(out)["parts"]
    assert code == 1 and "no memory" in said
    assert [p["status"] for p in parts.values()] == ["complete", "FAILED", "FAILED"], said
    assert parts["tests"]["headline"].startswith("1 tests that need a GPU: 1 passed")
    assert "stopped" in parts["bench"]["headline"] and parts["bench"]["seconds"] < 30
    assert "exit code 9" in parts["omniglot"]["headline"]
    assert "## tests" in (out / "gpu.md").read_text()


@needs_bash
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--part", "all"], "no part all"),
        (["--budget", "tests"], "--budget PART=SECONDS"),
        (["--fast"], "unknown option --fast"),
        (["--out"], "--out needs a value"),
    ],
)
def test_other_arguments_are_refused(arguments, words):
    said, code = gpu_sh(*arguments)
    assert code == 2 and words in said


# ------------------------------------------------------------------ one command at a time


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_nothing_but_a_dry_run_is_begun(tmp_path, capsys):
    assert gpu_parts.main(["about", str(tmp_path)]) == 2
    assert "No GPU" in capsys.readouterr().out
    assert gpu_parts.main(["about", str(tmp_path), "--dry-run"]) == 0


def test_a_folder_without_omniglot_is_refused_before_anything_runs(tmp_path, capsys):
    assert gpu_parts.main(["about", str(tmp_path), "--dry-run", "--data", str(tmp_path)]) == 2
    assert f"missing   {gpu_parts.PACKED}" in capsys.readouterr().out


def test_results_of_another_machine_are_not_mixed_with(tmp_path, capsys):
    folder = gpu_parts.Folder(tmp_path)
    folder.write("gpu.json", {"machine": MACHINE, "dry_run": False, "parts": {}})
    assert gpu_parts.main(["about", str(tmp_path), "--dry-run"]) == 2
    assert "holds results of NVIDIA X, torch 2.11" in capsys.readouterr().out


def test_a_part_that_lacks_a_package_or_its_data_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("MAML_EDU_DATA", raising=False)
    monkeypatch.setattr(gpu_parts, "has", lambda name: name not in ("pytest", "platformdirs"))
    for part, reason in (
        ("tests", "not installed: pytest"),
        ("omniglot", "no omniglot28_1bit.npz"),
    ):
        assert gpu_parts.main(["run", str(tmp_path), part]) == gpu_parts.NOTHING_TO_DO
        assert state(tmp_path)["parts"][part]["status"] == "skipped"
        assert reason in state(tmp_path)["parts"][part]["headline"]
    assert gpu_parts.main(["summary", str(tmp_path)]) == 0


def test_what_a_stopped_part_had_is_partial(tmp_path):
    figures = {"iterations": 3000, "planned": 60_000, "seconds": 9.0, "ms_each": 3.0}
    status, headline = gpu_parts.verdict("omniglot", 124, figures)
    assert status == "partial" and "3,000 of 60,000 iterations" in headline
    assert "no accuracy" in headline
    assert gpu_parts.verdict("bench", 137, None)[0] == "FAILED"


def test_a_test_that_failed_fails_its_part_also_when_it_was_stopped():
    found = {"selected": 9, "passed": 3, "skipped": 0, "failed": {"test_a": "assert 1 == 2"}}
    for code in (1, 124):
        assert gpu_parts.verdict("tests", code, found)[0] == "FAILED"
    assert gpu_parts.verdict("tests", 124, found | {"failed": {}})[0] == "partial"
