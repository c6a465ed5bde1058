"""benchmarks/: a peer that is wrong is shown as wrong, figures are what they say, nothing ends the run.

No peer is installed here: PyTorch alone stands in for them.
"""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from maml_edu import places

ROOT = places.course_root()
sys.path.append(str(ROOT))

from benchmarks.compare import bench, environments, oracle, page, peers, rounds, sweeps, workloads  # noqa: E402
from benchmarks.compare.peers import base  # noqa: E402

PLAN = rounds.Plan(rounds=2, seconds=0.01, cores=1)
TINY_SINE = workloads.SINUSOID.with_(tasks=3, width=5, inner_steps=2, inner_lr=0.1)
TINY_ADAM = TINY_SINE.with_(inner_optimiser="adam")
TINY_CONV = workloads.CONV4.with_(tasks=2, width=3, queries=2, inner_steps=2, check_tasks=1)


def entries(*names):
    return [peers.BY_NAME[name] for name in names]


# ------------------------------------------------------------------------------- what all are given


@pytest.mark.parametrize("workload", [TINY_SINE, TINY_ADAM, TINY_CONV, TINY_CONV.with_(pool=True)])
def test_parameters_have_the_names_and_shapes_of_the_network(workload):
    model = base.build(workload, torch.nn.BatchNorm2d)
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert list(found.items()) == list(workloads.shapes(workload).items())


def test_a_float64_run_starts_from_the_same_numbers_as_a_float32_run(tmp_path):
    workloads.save(TINY_CONV, tmp_path / "data.npz")
    params, batches = workloads.load(tmp_path / "data.npz")
    numbers = [*params.values(), *(b["support_x"] for b in batches.values())]
    assert all(value.dtype == np.float32 for value in numbers)
    assert len(batches["check"]["query_x"]) == 1 and len(batches["0"]["query_x"]) == 2
    assert not np.array_equal(batches["0"]["query_x"], batches["1"]["query_x"])
    again = workloads.first_params(TINY_CONV)
    assert all(np.array_equal(value, again[name]) for name, value in params.items())


# ---------------------------------------------------------------------------------------- the check


@pytest.mark.parametrize("workload", [TINY_SINE, TINY_ADAM, TINY_CONV, TINY_CONV.with_(pool=True)])
def test_the_reference_gradient_equals_finite_differences(workload):
    """Along one direction, as meta-losses at θ ± ε d."""
    rng, params = np.random.default_rng(1), workloads.first_params(workload, seed=3)
    batch = workloads.batch(workload, seed=4, tasks=1)
    params = {name: value.astype(float) for name, value in params.items()}
    direction = {name: rng.normal(size=value.shape) for name, value in params.items()}
    slope = oracle.meta_gradient(workload, params, batch)[1]
    wanted = sum(np.sum(slope[name] * direction[name]) for name in params)
    step = 1e-7
    ends = [
        oracle.meta_gradient(workload, {n: params[n] + s * direction[n] for n in params}, batch)[0]
        for s in (step, -step)
    ]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(wanted, rel=2e-5)


def test_an_error_is_relative_to_all_parameters_together():
    wanted = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    found = {"a": np.array([3.0, 0.5]), "b": np.array([4.0])}
    assert oracle.relative_error(found, wanted) == pytest.approx(0.1)
    assert oracle.relative_error({"a": wanted["a"]}, wanted) == np.inf
    assert oracle.relative_error({**wanted, "b": np.array([np.nan])}, wanted) == np.inf


def test_a_wrong_peer_is_shown_as_wrong_and_not_timed(tmp_path):
    """Really run, in processes: double backward is right; vmap over F.batch_norm is not."""
    crew = rounds.Crew(
        {"learn2learn": environments.Built("learn2learn", tmp_path, "no network")}, tmp_path
    )
    chosen = entries("textbook", "vmap-batchnorm2d", "vmap", "learn2learn")
    try:
        rows = rounds.measure(TINY_CONV, chosen, crew, PLAN)
    finally:
        crew.close()
    right, wrong, also_right, missing = rows
    assert right.status == also_right.status == "timed"
    assert right.error64 < 1e-12 and also_right.error64 < 1e-12 and right.first_seconds > 0
    assert len(right.rates) == 2 and all(rate > 0 for rate in right.rates)
    assert wrong.status == "wrong" and wrong.error64 > 1e-6 and wrong.rates == []
    assert wrong.threads is None and "float64" in wrong.reason
    assert (missing.status, missing.reason, missing.rates) == ("failed", "no network", [])
    assert all(not worker.alive for worker in crew.workers.values())


def test_a_peer_that_does_not_exist_or_dies_is_a_row_with_the_reason(tmp_path):
    unknown = peers.Entry("nobody", "nobody", "nobody")
    crew = rounds.Crew({}, tmp_path)
    row = rounds.admit(unknown, TINY_SINE, tmp_path / "none.npz", None, crew, PLAN)
    assert row.status == "failed" and "nobody" in row.reason
    worker = crew.worker(peers.BY_NAME["textbook"])
    with pytest.raises(rounds.PeerFailed, match="FileNotFoundError"):
        worker.ask("prepare", workload=TINY_SINE.to_dict(), data=str(tmp_path / "none.npz"))
    worker.process.kill()
    with pytest.raises(rounds.PeerFailed, match="ended with code -9"):
        worker.ask("round", steps=1)
    crew.close()


# --------------------------------------------------------------------------------------- the rounds


class Scripted:
    """A crew whose one kind of worker takes `seconds` a step, round after round."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []
        self.workers = dict.fromkeys(seconds, self)

    def ask(self, command, steps, **how):
        name = self.turn
        self.asked.append(name)
        return {"tasks": 10 * steps, "seconds": self.seconds[name] * steps}


def scripted_rounds(seconds, plan):
    crew = Scripted(seconds)
    known = [peers.Entry(name, name, name) for name in seconds]
    rows = [rounds.Row(n, step_seconds=s) for n, s in seconds.items()]
    order = []
    for number in range(plan.rounds):
        for entry, row in rounds.in_turn(known, rows, number):
            crew.turn = entry.name
            order.append(entry.name)
            rounds.one_round(entry, row, crew, plan, number)
    return rows, order


def test_peers_take_turns_and_each_is_first_once():
    rows, order = scripted_rounds(
        {"a": 0.1, "b": 0.2, "c": 0.3}, rounds.Plan(rounds=3, seconds=0.4)
    )
    assert order == list("abcbcacab")
    assert rows[1].rates == pytest.approx([50, 50, 50])


def test_a_slow_peer_sits_out_later_rounds_but_keeps_its_place():
    plan = rounds.Plan(rounds=5, seconds=0.4, budget=4.0, least=3)
    (quick, slow, slower), _ = scripted_rounds({"q": 0.1, "s": 2.0, "t": 20.0}, plan)
    assert None not in quick.rates
    assert slow.rates == [
        5.0,
        5.0,
        5.0,
        None,
        None,
    ]  # 6 s spent: the first three rounds are granted
    assert slower.rates == [0.5, None, None, None, None]


def test_a_ratio_compares_within_rounds_only():
    drifting = [100.0, 50.0, 20.0, 80.0]  # the machine slows down for everybody
    other = [50.0, 25.0, 10.0, None]
    assert rounds.ratio(drifting, other) == pytest.approx(2.0)
    assert rounds.median(drifting) == 65.0 and rounds.median(other) == 25.0
    assert rounds.spread(other) == (10.0, 50.0)
    assert rounds.ratio([1.0, None], [None, 1.0]) is None and rounds.median([None]) is None


# ---------------------------------------------------------------------------------------- the page


def results():
    def row(peer, rates=(), **more):
        return rounds.Row(peer, tasks=25, rates=list(rates), **more).to_dict()

    rows = [
        row("textbook", [100.0, 50.0], error64=2e-16, error32=1e-7, first_seconds=0.5, threads=1),
        row("learn2learn", status="failed", reason="pip: no such thing"),
        row("vmap-batchnorm2d", status="wrong", reason="relative error 2e-03", error64=2e-3),
        row(
            "ours-auto", [1000.0, 400.0], error64=3e-16, error32=1e-7, first_seconds=9.0, threads=1
        ),
    ]
    points = [
        {"peer": "textbook", "value": 1, "bytes": 2e6},
        {"peer": "textbook", "value": 50, "bytes": 90e6},
        {"peer": "ours-auto", "value": 1, "bytes": 1e6},
        {"peer": "ours-auto", "value": 50, "reason": "out of memory"},
    ]
    return {
        "date": "2026-01-01",
        "device": "cpu",
        "quick": False,
        "interrupted": False,
        "seconds": 600.0,
        "machine": {"name": "a processor", "cores": 2},
        "versions": {"torch": "2.13.0"},
        "startup": {"textbook": 1.5},
        "workloads": [{"name": "sinusoid-1", "rows": rows}],
        "sweeps": [{"name": "memory-conv4", "points": points}],
    }


def test_the_tables_say_who_is_fast_who_is_wrong_and_why_one_is_missing():
    text = page.body(results())
    lines = text.splitlines()
    assert "| textbook loop (create_graph) | **75.0** |" in lines
    assert "| maml_edu, auto | **700** |" in lines
    assert "| torch.func vmap, nn.BatchNorm2d | wrong |" in lines
    assert "| torch.func vmap, nn.BatchNorm2d | **wrong** 2e-03 |" in lines
    assert "- learn2learn 0.2.0 (sinusoid, K = 1): pip: no such thing" in lines
    assert "| textbook loop (create_graph) | 9.00 |" in lines  # median of 10 and 8, not 700 / 75
    assert "| textbook loop (create_graph) | 1.5 | 0.500 (1) |" in lines
    assert "| maml_edu, auto | 1.00 | fails |" in lines
    assert "9.00 × the fastest peer (textbook loop (create_graph))" in text


def test_only_what_is_between_the_markers_changes(tmp_path):
    path, picture = tmp_path / "page.md", tmp_path / "images" / "picture.png"
    path.write_text(
        "before\n<!-- results: cpu -->\nold\n<!-- end of results: cpu -->\nafter <!-- results: cuda -->"
    )
    page.write(results(), path, picture)
    text = path.read_text()
    assert text.startswith("before\n<!-- results: cpu -->\n\nMeasured 2026-01-01 on a processor")
    assert text.endswith("\n<!-- end of results: cpu -->\nafter <!-- results: cuda -->")
    assert "old" not in text and "(images/picture.png)" in text
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    with pytest.raises(ValueError, match="results: cuda"):
        page.between(text, "cuda", "figures")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (149_312, "149,000"),
        (999.6, "1,000"),
        (25.44, "25.4"),
        (0.3217, "0.322"),
        (None, "–"),
        (0, "0"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert page.number(value) == text


def test_the_page_in_the_repository_has_a_place_for_each_device():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for device in bench.PICTURES:
        assert "figures" in page.between(text, device, "figures")


# -------------------------------------------------------------------------------------- the command


def test_the_help_names_every_peer_and_shows_how_to_begin(capsys):
    with pytest.raises(SystemExit) as stop:
        bench.parse(["--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "--quick" in said and "wrong" in said
    assert all(entry.name in said for entry in peers.PEERS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--peers", "learn2learm"], "learn2learn"),
        (["--workloads", "omniglot"], "conv4-pool"),
        (["--rounds", "0"], "at least 1"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_those_that_are(arguments, said, capsys):
    with pytest.raises(SystemExit) as stop:
        bench.parse(arguments)
    assert stop.value.code == 2 and said in capsys.readouterr().err


def test_what_is_asked_for_is_what_runs():
    options = bench.parse(["--peers", "ours,textbook", "--workloads", "conv4-5,sweeps"])
    names = [entry.name for entry in options.entries]
    assert names[0] == "textbook" and "ours-lean" in names and "jax" not in names
    assert [own.name for own in options.chosen[0]] == ["conv4-5"]
    assert options.chosen[1] == sweeps.SWEEPS
    everything, quick = bench.parse([]), bench.parse(["--quick"])
    assert everything.chosen == (workloads.MAIN, sweeps.SWEEPS)
    assert len(quick.chosen[0]) < len(workloads.MAIN) and not quick.chosen[1]


def test_a_gpu_that_is_not_there_is_said_at_once(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(SystemExit):
        bench.parse(["--device", "cuda"])
    assert "sees no GPU" in capsys.readouterr().err


def test_the_page_can_be_written_from_figures_kept_before(tmp_path, capsys):
    kept, path = tmp_path / "kept.json", tmp_path / "page.md"
    kept.write_text(json.dumps(results()))
    path.write_text("<!-- results: cpu -->\n<!-- end of results: cpu -->\n")
    assert bench.main(["--report", str(kept), "--page", str(path)]) == 0
    assert "maml_edu, auto" in path.read_text()
    assert (tmp_path / "images" / "benchmarks.png").is_file()


def test_ctrl_c_keeps_what_was_measured(tmp_path):
    kept = tmp_path / "kept.json"
    script = ROOT / "benchmarks" / "compare" / "bench.py"
    chosen = ["--peers", "textbook", "--workloads", "sinusoid-1", "--rounds", "100000"]
    process = subprocess.Popen(
        [sys.executable, str(script), *chosen, "--json", str(kept)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    try:
        seen = ""
        while "round 3 of" not in seen and process.poll() is None:
            seen = (seen + process.stderr.read(20))[-400:]
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert kept.is_file(), seen + errors
    found = json.loads(kept.read_text())
    (row,) = found["workloads"][0]["rows"]
    assert process.returncode == 130 and found["interrupted"]
    assert row["status"] == "timed" and len(row["rates"]) >= 2 and row["error64"] < 1e-12
    assert "Stopped before its end" in said and "--report" in said


# ------------------------------------------------------------------------------------- environments


def test_a_folder_of_packages_is_made_once_and_anew_when_it_should_hold_others(
    tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "pip", lambda *arguments: calls.append(arguments))
    own = environments.Environment(alone=("some-peer==1",))
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"some": own})
    first, second = environments.build("some"), environments.build("some")
    assert len(calls) == 1 and "--no-deps" in calls[0] and not first.reason and not second.reason
    newer = environments.Environment(alone=("some-peer==2",))
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"some": newer})
    (first.folder / "leftover.py").write_text("")
    environments.build("some")
    assert len(calls) == 2 and not (first.folder / "leftover.py").exists()


def test_a_failed_installation_is_a_reason_and_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(
        environments,
        "ENVIRONMENTS",
        {"some": environments.Environment(requirements=("./no-such-folder",))},
    )
    for _ in range(2):  # pip itself, which needs no network to see that a folder is not there
        built = environments.build("some")
        assert built.reason.startswith("pip: ERROR") and "no-such-folder" in built.reason


def test_every_peer_has_a_module_and_a_known_environment():
    folder = ROOT / "benchmarks" / "compare" / "peers"
    for entry in peers.PEERS:
        assert (folder / f"{entry.module}.py").is_file()
        assert entry.environment in (None, *environments.ENVIRONMENTS)
    assert all(name in peers.BY_NAME for sweep in sweeps.SWEEPS for name in sweep.peers)


def test_a_worker_tells_its_memory_and_its_start(tmp_path):
    data, began = tmp_path / "data.npz", time.perf_counter()
    workloads.save(TINY_SINE, data)
    worker = rounds.Worker(peers.BY_NAME["textbook"], scratch=tmp_path)
    try:
        worker.ask("prepare", workload=TINY_SINE.to_dict(), data=str(data))
        held = worker.ask("resident")["bytes"]
        assert 50e6 < held <= worker.ask("peak")["bytes"] < 5e9
        assert worker.ask("round", steps=2)["tasks"] == 2 * TINY_SINE.tasks
    finally:
        worker.close()
    assert 0 < worker.seconds_to_start < time.perf_counter() - began
