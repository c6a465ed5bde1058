"""The parts of gpu.sh, which calls these commands in turn; each looks at the folder of results alone.

    python benchmarks/gpu_parts.py about OUT [--dry-run]       what the machine is, and what is missing on it
    python benchmarks/gpu_parts.py run OUT PART [--dry-run]    a part; exit code 3: there is nothing to do
    python benchmarks/gpu_parts.py end OUT PART CODE SECONDS   how it ended, by its exit code
    python benchmarks/gpu_parts.py summary OUT                 the table, and gpu.md; exit code 1: a part failed

OUT/gpu.json says how each part stands. A part writes its figures into OUT/PART.json on the way, so that what it
has is there when it is stopped. Start at `main`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder: `benchmarks` and `maml_edu` as packages

from maml_edu.atomic import replacing  # noqa: E402

TESTS, BENCH, OMNIGLOT = PARTS = ("tests", "bench", "omniglot")
NEEDED = {
    TESTS: ("numpy", "torch", "tqdm", "pytest", "hypothesis"),
    BENCH: ("numpy", "torch", "tqdm"),
    OMNIGLOT: ("numpy", "torch", "tqdm"),
}
HELPFUL = {
    "triton": "bench: nothing is compiled",
    "jax": "bench: no rows of JAX",
    "numba": "nothing is lost: its engines are for the CPU",
}
PACKED = "omniglot28_1bit.npz"
MARK = "needs a CUDA GPU"  # the reason of those tests that are skipped without one
COMPLETE, PARTIAL, SKIPPED, FAILED = "complete", "partial", "skipped", "FAILED"
NOTHING_TO_DO = 3  # exit code
STOPPED = (124, 130, 137)  # exit codes: by `timeout`, by Ctrl-C, killed


def main(arguments=None):
    options = parse(arguments)
    folder = Folder(options.out)
    if options.command == "about":
        return about(folder, options)
    if options.command == "run":
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # a shell's background job ignores it
        return run(folder, options)
    if options.command == "end":
        return end(folder, options.part, options.code, options.seconds)
    return summary(folder)


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("about", "run", "end", "summary"):
        command = commands.add_parser(name)
        command.add_argument("out", type=Path)
        if name in ("run", "end"):
            command.add_argument("part", choices=PARTS)
        if name in ("about", "run"):
            command.add_argument("--dry-run", action="store_true")
            command.add_argument("--data", type=Path)
        if name == "run":
            command.add_argument("--again", action="store_true")
        if name == "end":
            command.add_argument("code", type=int)
            command.add_argument("seconds", type=int)
    return parser.parse_args(arguments)


class Folder:
    """The folder of results. gpu.json: the machine, and status, seconds and headline of each part."""

    def __init__(self, path):
        self.path = path
        self.state = self.read("gpu.json") or {"machine": {}, "dry_run": False, "parts": {}}

    def read(self, name):
        """What a JSON file holds; None where there is none, or it was cut off."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, name, content):
        with replacing(self.path / name) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())

    def results(self, part):
        """The figures of a part."""
        return self.read(f"{part}.json")

    def note(self, part, status, headline, seconds=0):
        self.state["parts"][part] = {"status": status, "seconds": seconds, "headline": headline}
        self.write("gpu.json", self.state)


# ------------------------------------------------------------------ the machine


def about(folder, options):
    """Print what everything depends on, and note it. Exit code 2 where there is no use in going on."""
    try:
        found = machine()
    except ImportError as error:
        print(f"{sys.executable} has no {error.name}: choose another with PYTHON=...")
        return 2
    for name, value in found.items():
        print(f"{name:9} {value}")
    print_what_is_missing(options.data)
    if not options.dry_run and found["device"] == "none":
        print("No GPU that this PyTorch can use. --dry-run tries every part on the CPU, in small.")
        return 2
    if options.data is not None and not data_folder(options.data):
        return 2
    before, state = folder.state["machine"], {"machine": found, "dry_run": options.dry_run}
    if before and state != {name: folder.state[name] for name in state}:
        print(
            f"{folder.path} holds results of {before['device']}, torch {before['torch']}"
            f"{' (a dry run)' if folder.state['dry_run'] else ''}: give another --out."
        )
        return 2
    folder.state |= state
    folder.write("gpu.json", folder.state)
    return 0


def machine():
    import torch

    import maml_edu

    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else "none",
        "driver": driver() if gpu else "none",
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "Python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "maml_edu": maml_edu.__version__,
    }


def driver():
    """The version of NVIDIA's driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0].strip()


def print_what_is_missing(data):
    for name in dict.fromkeys(name for names in NEEDED.values() for name in names):
        if not has(name):
            parts = [part for part in PARTS if name in NEEDED[part]]
            print(f"missing   {name}: without it there is no part {', '.join(parts)}")
    for name, loss in HELPFUL.items():
        if not has(name):
            print(f"missing   {name} ({loss})")
    if data_folder(data) is None:
        print(
            f"missing   {PACKED}: without it there is no part {OMNIGLOT}; say where it is with --data"
        )


def has(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


# ------------------------------------------------------------------ a part


def run(folder, options):
    """Run a part, unless it has a result or lacks what it needs; its exit code."""
    part, before = options.part, folder.state["parts"].get(options.part, {})
    finished = before.get("status") in (COMPLETE, PARTIAL) and folder.results(part) is not None
    if finished and not options.again:
        print(f"{part}: there is a result ({before['status']}); --again runs it once more")
        return NOTHING_TO_DO
    reason = reason_against(options)
    if reason:
        folder.note(part, SKIPPED, reason)
        print(f"{part}: skipped, {reason}")
        return NOTHING_TO_DO
    (folder.path / f"{part}.json").unlink(missing_ok=True)
    folder.note(part, PARTIAL, "did not get to its end")
    return {TESTS: run_tests, BENCH: run_bench, OMNIGLOT: run_omniglot}[part](folder, options)


def reason_against(options):
    """Why a part cannot be run here; "" where it can."""
    missing = [name for name in NEEDED[options.part] if not has(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if options.part == OMNIGLOT and data_folder(options.data) is None:
        return f"no {PACKED}: say where it is with --data or MAML_EDU_DATA"
    return ""


def data_folder(data):
    """The folder in which Omniglot is found; None where it is not."""
    from maml_edu.tasks import omniglot

    given = data or os.environ.get("MAML_EDU_DATA")
    if not given and not has("platformdirs"):  # which knows the usual place
        return None
    packed = omniglot.packed_file(given or None)
    return packed and packed.parent


def run_tests(folder, options):
    """The tests that need a GPU; without one they are collected, and skipped."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nothing but pytest itself is needed
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import pytest

    files = [
        p for p in sorted((ROOT / "tests" / "pytorch").rglob("test_*.py")) if MARK in p.read_text()
    ]
    watch = Watch(folder)
    command = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={ROOT}",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    return int(pytest.main([*command, *map(str, files)], plugins=[watch]))


class Watch:
    """A plugin of pytest: keeps the tests that need a GPU, and writes what came of each as soon as it is known."""

    def __init__(self, folder):
        self.folder, self.found = folder, {"selected": 0, "passed": 0, "skipped": 0, "failed": {}}

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self._wanted(item)]
        self.found["selected"] = len(items)
        self._write()

    def _wanted(self, item):
        return any(mark.kwargs.get("reason") == MARK for mark in item.iter_markers("skipif"))

    def pytest_collectreport(self, report):
        if report.failed:
            self.found["failed"][report.nodeid] = last_line(report.longreprtext)
            self._write()

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.found["failed"][report.nodeid] = last_line(report.longreprtext)
        elif report.skipped or report.when == "call":
            self.found[report.outcome] += 1
        self._write()

    def _write(self):
        self.folder.write(f"{TESTS}.json", self.found)


def last_line(text):
    return next((line for line in reversed(text.splitlines()) if line.strip()), "without a word")


def run_bench(folder, options):
    """bench.py --quick; its JSON is what `bench.py --report` makes a page from."""
    from benchmarks.compare import bench

    small = ["--peers", "ours-plain", "--workloads", "sinusoid-1", "--rounds", "1"]
    chosen = ["--device", "cpu", *small] if options.dry_run else ["--device", "cuda"]
    return bench.main(["--quick", *chosen, "--json", str(folder.path / f"{BENCH}.json")])


def run_omniglot(folder, options):
    """The paper's Omniglot, 5-way 1-shot."""
    from benchmarks.reproduce import omniglot_speed

    small = ["--device", "cpu", "--engine", "lean", "--iterations", "2", "--episodes", "2"]
    chosen = small if options.dry_run else ["--device", "cuda"]
    data = data_folder(options.data)
    written = str(folder.path / f"{OMNIGLOT}.json")
    omniglot_speed.main([*chosen, "--data", str(data), "--json", written, "--quiet"])
    return 0


# ------------------------------------------------------------------ how it ended


def end(folder, part, code, seconds):
    """Note how a part ended, and print it."""
    status, headline = verdict(part, code, folder.results(part))
    folder.note(part, status, headline, seconds)
    print(f"{part}: {status} after {seconds} s: {headline}")
    return 0


def verdict(part, code, results):
    """(status, headline) of a part, from its exit code and what it wrote (None: nothing)."""
    if results is None:
        what = "was stopped" if code in STOPPED else f"ended with exit code {code}"
        return FAILED, f"{what}, and there is no result"
    headline = {TESTS: of_tests, BENCH: of_bench, OMNIGLOT: of_omniglot}[part](results)
    if part == TESTS and results["failed"]:
        return FAILED, headline
    if code in STOPPED:
        return PARTIAL, f"stopped at the end of its time; {headline}"
    return (COMPLETE, headline) if code == 0 else (FAILED, f"exit code {code}; {headline}")


def of_tests(results):
    return (
        f"{results['selected']} tests that need a GPU: {results['passed']} passed, {results['skipped']} "
        f"skipped, {len(results['failed'])} failed"
    )


def of_bench(results):
    rows = [row for workload in results["workloads"] for row in workload["rows"]]
    timed = sum(row["status"] == "timed" for row in rows)
    wrong = [row["peer"] for row in rows if row["status"] == "wrong"]
    said = f"; wrong: {', '.join(dict.fromkeys(wrong))}" if wrong else ""
    return f"{len(results['workloads'])} workloads, {timed} of {len(rows)} rows timed{said}"


def of_omniglot(figures):
    said = f"{figures['iterations']:,} of {figures['planned']:,} iterations"
    if figures["iterations"]:
        said += f" in {figures['seconds']:.0f} s, {figures['ms_each']:.2f} ms each"
    if "accuracy" not in figures:
        return f"{said}; no accuracy"
    mean, ci95 = figures["accuracy"]["mean"][-1], figures["accuracy"]["ci95"][-1]
    return f"{said}; accuracy on new classes {100 * mean:.2f} ± {100 * ci95:.2f} %"


# ------------------------------------------------------------------ all of it


def summary(folder):
    """Print the table and write gpu.md; 1 where a part failed."""
    parts = folder.state["parts"]
    lines = [
        f"{name:9} {p['status']:9} {p['seconds']:4} s  {p['headline']}" for name, p in parts.items()
    ]
    print("\n".join(["", *lines]))
    text = markdown(folder)
    with replacing(folder.path / "gpu.md") as file:
        file.write(text.encode())
    print(f"\nIn {folder.path}: gpu.md, and the figures as JSON.")
    return int(any(part["status"] == FAILED for part in parts.values()))


def markdown(folder):
    """gpu.md: the machine, the table, and what each part found."""
    state = folder.state
    title = (
        "# A dry run on a CPU: no figure here means anything" if state["dry_run"] else "# On a GPU"
    )
    machine_line = ", ".join(f"{name} {value}" for name, value in state["machine"].items())
    rows = [
        f"| {name} | {p['status']} | {p['seconds']} | {p['headline']} |"
        for name, p in state["parts"].items()
    ]
    table = ["| part | status | seconds | |", "| --- | --- | ---: | --- |", *rows]
    sections = [title, machine_line, "\n".join(table)]
    for part, told in ((TESTS, tests_told), (BENCH, bench_told), (OMNIGLOT, omniglot_told)):
        results = folder.results(part) if part in state["parts"] else None
        if results is not None:
            label = (
                ""
                if state["parts"][part]["status"] == COMPLETE
                else f" ({state['parts'][part]['status']})"
            )
            sections += [f"## {part}{label}", told(results)]
    return "\n\n".join(sections) + "\n"


def tests_told(results):
    failed = [f"- `{name}`: {reason}" for name, reason in results["failed"].items()]
    return "\n".join([of_tests(results), *failed])


def bench_told(results):
    from benchmarks.compare import page

    return page.body(results)


def omniglot_told(figures):
    from benchmarks.reproduce import omniglot_speed

    return "\n".join(f"- {line}" for line in omniglot_speed.report(figures).splitlines())


if __name__ == "__main__":
    raise SystemExit(main())
