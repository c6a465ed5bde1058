"""maml_edu beside its peers: is each one's meta-gradient right, and how fast does it come?

    python benchmarks/compare/bench.py --quick                     # three minutes: prints tables, writes no page
    python benchmarks/compare/bench.py                             # all of it, into docs/benchmarks.md
    python benchmarks/compare/bench.py --peers learn2learn,jax,ours --workloads sinusoid
    python benchmarks/compare/bench.py --device cuda --json gpu.json
    python benchmarks/compare/bench.py --report gpu.json           # the page from figures measured before

Each peer runs in a process of its own, from a folder of packages below .bench/. Before anything is timed
its float64 meta-gradient is held against an independent double-backward loop: a peer that is wrong is
shown as wrong and not timed, one that does not install or breaks is listed with the reason. The others
take turns in rounds of a few tenths of a second; figures are medians over rounds, and ratios are taken
within each round, where both saw the same machine. Close other programs first. Start reading at `main`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder: `benchmarks` and `maml_edu` as packages

from tqdm.auto import tqdm  # noqa: E402

from benchmarks.compare import environments, page, peers, rounds, sweeps, workloads  # noqa: E402
from maml_edu.atomic import replacing  # noqa: E402

SWEEPS = "sweeps"
LAST = environments.FOLDER / "last.json"
PICTURES = {"cpu": "benchmarks.png", "cuda": "benchmarks_gpu.png"}


def main(arguments=None):
    options = parse(arguments)
    if options.report:
        results = json.loads(options.report.read_text(encoding="utf-8"))
    else:
        results = run(options)
        keep(results, options.json or LAST)
        print("\n" + page.body(results))
    whole = not (results["quick"] or results["interrupted"] or options.peers or options.workloads)
    if options.report or whole:
        picture = options.page.parent / "images" / PICTURES[results["device"]]
        page.write(results, options.page, picture)
        print(f"\nWritten: {options.page} and {picture}")
    else:
        kept = options.json or LAST
        print(f"\nNot the whole run, so no page. To write one: --report {os.path.relpath(kept)}")
    return 130 if results["interrupted"] and not options.report else 0


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="peers:\n"
        + "\n".join(f"  {entry.name:20}{entry.label}" for entry in peers.PEERS)
        + "\n\nworkloads: "
        + ", ".join((*workloads.KINDS, SWEEPS))
        + "; or one of their lines, such as conv4-5 for five inner steps",
    )
    add = parser.add_argument
    add(
        "--quick",
        action="store_true",
        help="short rounds, one setting of each; figures not to quote",
    )
    add(
        "--peers",
        type=names,
        help="only these, by name, with commas; 'ours' is every engine of ours",
    )
    add("--thorough", action="store_true", help="compile convolutions, too: minutes more")
    add("--workloads", type=names, help="only these, with commas; 'sweeps' is memory and size")
    add("--rounds", type=int, help="rounds that the peers take turns in (5; --quick: 2)")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="where to compute (cpu)")
    add("--json", type=Path, help="file for all figures, every round (.bench/last.json)")
    add(
        "--report", type=Path, metavar="JSON", help="measure nothing: write the page from this file"
    )
    add(
        "--note",
        default="",
        help="a sentence to stand with the figures, on the machine's state, say",
    )
    add("--page", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page to write")
    options = parser.parse_args(arguments)
    if options.report:
        return options
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {options.rounds}")
    try:
        options.entries = entries(options.peers, options.device)
        options.chosen = chosen(options)
        check_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    return options


def check_device(device):
    """ValueError where the GPU that is asked for cannot be used."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ValueError(
                f"PyTorch {torch.__version__} of {sys.executable} sees no GPU: use a Python whose PyTorch "
                f"does (make bench-gpu PYTHON=...), or --device cpu"
            )


def names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def entries(wanted, device="cpu"):
    """The peers named (None: all that are for this device), in the order of the tables. ValueError if unknown."""
    unknown = set(wanted or ()) - set(peers.BY_NAME) - {"ours"}
    if unknown:
        raise ValueError(
            f"no peer {', '.join(sorted(unknown))}: there are {', '.join(peers.BY_NAME)}"
        )
    every = [entry for entry in peers.PEERS if device in entry.devices]
    if not wanted:
        return every
    if "ours" in wanted:
        wanted = {*wanted, *(entry.name for entry in every if entry.ours)}
    return [entry for entry in peers.PEERS if entry.name in wanted]


def chosen(options):
    """(workloads, sweeps) to run. ValueError for an unknown name."""
    wanted = options.workloads
    known = {*workloads.KINDS, *(own.name for own in workloads.MAIN), SWEEPS}
    unknown = set(wanted or ()) - known
    if unknown:
        raise ValueError(
            f"no workload {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}"
        )
    if not wanted:
        short = [own for own in workloads.MAIN if own.network == "mlp" or own.name == "conv4-1"]
        return (short, []) if options.quick else (workloads.MAIN, sweeps.SWEEPS)
    found = [own for own in workloads.MAIN if own.kind in wanted or own.name in wanted]
    return found, sweeps.SWEEPS if SWEEPS in wanted else []


def run(options):
    """Build environments, measure everything asked for; the results, complete or until Ctrl-C."""
    began = time.perf_counter()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "device": options.device,
        "quick": options.quick,
        "note": options.note,
        "interrupted": False,
        "workloads": [],
        "sweeps": [],
    }
    plan = plan_of(options)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        Progress(options, plan) as progress,
    ):
        crew = rounds.Crew({}, scratch)
        try:
            crew.environments = built(options, progress)
            results["machine"], results["versions"] = machine(options), versions(crew)
            measure(options, plan, crew, results, progress)
        except KeyboardInterrupt:
            results["interrupted"] = True
            progress.say("Stopped: what was measured is kept.")
        finally:
            crew.close()
    results.setdefault("machine", machine(options))
    results.setdefault("versions", {})
    results["startup"], results["seconds"] = crew.startup, time.perf_counter() - began
    return results


def measure(options, plan, crew, results, progress):
    """Fill the results, workload by workload; what is there stays there when Ctrl-C comes."""
    for workload in options.chosen[0]:
        own = {"name": workload.name, "settings": workload.to_dict(), "rows": []}
        results["workloads"].append(own)
        progress.about(page.title(own))
        try:
            found = rounds.measure(workload, options.entries, crew, plan, progress.note)
        except KeyboardInterrupt as stop:
            own["rows"] = [row.to_dict() for row in getattr(stop, "rows", [])]
            raise
        own["rows"] = [row.to_dict() for row in found]
        progress.say(f"\n{page.table([own], page.speed)}\n")
    crew.close()  # memory and cores for the sweeps, whose processes are their own
    for sweep in options.chosen[1]:
        own = {"name": sweep.name, "points": []}
        results["sweeps"].append(own)
        progress.about(sweep.title)
        sweeps.run(sweep, options.entries, crew, plan, own["points"].append, progress.note)


def plan_of(options):
    common = {name: getattr(options, name) for name in ("device", "quick", "thorough")}
    common["cores"] = cores()
    if options.quick:
        return rounds.Plan(options.rounds or 2, seconds=0.2, budget=1.0, least=1, **common)
    return rounds.Plan(options.rounds or 5, **common)


def built(options, progress):
    """The packages of every peer asked for; a failure is told at once, and again in the tables."""
    needed = [e.environment for e in options.entries if e.environment]
    progress.about("installing peers into .bench/")

    def report(own):
        if own.reason:
            progress.say(f"{own.name} could not be installed: {own.reason}")

    return environments.build_all(needed, options.device, report)


class Progress:
    """One bar over everything there is to do, with what is being done now."""

    def __init__(self, options, plan):
        count = len(options.entries)
        total = len(options.chosen[0]) * (1 + count * (1 + plan.rounds))
        for sweep in options.chosen[1]:
            taking_part = sum(entry.name in sweep.peers for entry in options.entries)
            total += taking_part * len(sweep.values)
        layout = "{percentage:3.0f}%|{bar:20}| {elapsed}<{remaining} {desc}"
        self.bar, self.heading = tqdm(total=total, bar_format=layout), ""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()

    def about(self, heading):
        self.heading = heading
        self.bar.set_description_str(heading)

    def note(self, text):
        self.bar.update()
        self.bar.set_description_str(f"{self.heading}: {text}")

    def say(self, text):
        self.bar.write(text)


def machine(options):
    """What the figures depend on most."""
    found = {"name": processor(), "cores": cores(), "system": platform.system()}
    if options.device == "cuda":
        import torch

        found["name"] = torch.cuda.get_device_name()
    return found


def processor():
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions(crew):
    """{package: version} of what the figures depend on."""
    found = {"Python": platform.python_version()}
    for name in ("torch", "numpy", "numba"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    held = {n: v for own in crew.environments.values() for n, v in own.versions.items()}
    return found | {name: held[name] for name in ("jax", "optree") if name in held}


def keep(results, path):
    """All figures as JSON, whole or not at all."""
    with replacing(Path(path)) as file:
        file.write((json.dumps(results, indent=1) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(main())
