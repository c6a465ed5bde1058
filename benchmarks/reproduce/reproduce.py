"""The published tables, again: `make reproduce`.

    python benchmarks/reproduce/reproduce.py                # all that this machine is for, into runs/reproduce/
    python benchmarks/reproduce/reproduce.py --list         # what there is, for what machine, and how long it takes
    python benchmarks/reproduce/reproduce.py --only glyphs  # rows whose name begins so
    python benchmarks/reproduce/reproduce.py --write        # put the tables of what has run into docs/results.md

Without a GPU the rows for a CPU are run, about half an hour on two cores; with one, all of them. A row is a
`maml-edu train`, whose command is printed, and a run that was interrupted goes on. Omniglot has to be there:
`maml-edu data get omniglot`. Start at `main`; the rows are in `ROWS`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder: `benchmarks` and `maml_edu` as packages

from benchmarks.reproduce.baselines import BASELINES, ON_GLYPHS  # noqa: E402
from maml_edu import runs  # noqa: E402
from maml_edu.console import as_program  # noqa: E402
from maml_edu.runs.folder import Folder  # noqa: E402
from maml_edu.tasks import omniglot  # noqa: E402

PAGE = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- made by benchmarks/reproduce/reproduce.py: begin -->", "<!-- end -->"
SETTINGS = ((5, 1), (5, 5), (20, 1), (20, 5))  # ways, shots
PUBLISHED = {  # of (ways, shots): accuracy in %, as transcribed from the papers
    "MAML (Finn et al. 2017)": ("98.7 ± 0.4", "99.9 ± 0.1", "95.8 ± 0.3", "98.9 ± 0.2"),
    # without intervals; for 5-way 5-shot public lists of results have 99.85
    "MAML++ (Antoniou et al. 2019)": ("99.47", "99.93", "97.65", "99.33"),
}


@dataclass(frozen=True)
class Row:
    """One run: its settings, and what machine it is for. minutes: on two idle cores, or on a GPU."""

    name: str
    tasks: str
    machine: str  # "cpu" or "gpu"
    minutes: float
    settings: dict[str, Any]
    preset: str | None = None
    test: dict[str, Any] = field(default_factory=dict)  # other tasks than its own

    def resolved(self, seed: int):
        return runs.resolve(self.tasks, self.preset, seed=seed, **self.settings)

    def command(self, seed: int) -> str:
        """What does the same by hand."""
        preset = {"preset": self.preset} if self.preset else {}
        given = preset | self.settings | ({"seed": seed} if seed else {})
        options = (
            f"--{name.replace('_', '-')}{'' if value is True else f' {value}'}"
            for name, value in given.items()
        )
        test = "".join(f" --{name} {value}" for name, value in self.test.items())
        then = f"; maml-edu evaluate RUN{test}" if test else ""
        return " ".join(["maml-edu train", self.tasks, *options]) + then


EVALUATION = {"tasks": "omniglot", "split": "evaluation"}


def few(ways, shots, **more):
    return {"ways": ways, "shots": shots, **more}


ROWS = [
    Row("laptop-5way-1shot", "omniglot", "cpu", 11, few(5, 1)),
    Row("laptop-5way-5shot", "omniglot", "cpu", 6, few(5, 5, iterations=1500)),
    Row("laptop-20way-1shot", "omniglot", "cpu", 5, few(20, 1, queries=2, meta_batch=8, iterations=2500)),
    Row("glyphs-maml", "glyphs", "cpu", 5, few(5, 1, rotations=True, iterations=3000), test=EVALUATION),
    Row(
        "glyphs-protonet", "glyphs", "cpu", 2,
        few(20, 1, rotations=True, method="protonet", queries=2, meta_batch=2, iterations=2000),
        test={"ways": 5} | EVALUATION,  # an embedding is for any number of ways
    ),
    *(
        Row(f"{preset}-{ways}way-{shots}shot", "omniglot", "gpu", minutes, few(ways, shots), preset)
        for preset, minutes in (("finn2017", 10), ("antoniou2019", 60))
        for ways, shots in SETTINGS
    ),
]  # fmt: skip


SINUSOIDS = {  # name → (what it is, arguments of benchmarks/reproduce/sinusoid.py)
    "sinusoids-10shot": ("trained on 10 shots", ["--shots", "5", "10", "--train-shots", "10"]),
    "sinusoids-5shot": ("trained on 5 shots", ["--shots", "5"]),
}


def main(arguments=None):
    options = parse(arguments)
    if (options.iterations or options.episodes) and options.write:
        raise ValueError("a quick look (--iterations, --episodes) is not for docs/results.md.")
    rows = [row for row in ROWS if row.name.startswith(options.only)]
    if options.list:
        show(rows)
        return
    omniglot.load(options.data_dir)  # it is said at once where it is not there
    for name, (_, own) in SINUSOIDS.items():
        if name.startswith(options.only):
            sinusoids(name, own, options)
    wanted = {"cpu", "gpu"} if on_gpu(options.device) else {"cpu"}
    for row in rows:
        if row.machine in wanted:
            for seed in range(options.seeds if row.machine == "gpu" else 1):
                do(row, seed, options)
        elif not options.write:
            print(f"not run: {row.name}, for a GPU, by: {row.command(0)}")
    if "baselines".startswith(options.only):
        for baseline in BASELINES:
            for ways, shots in SETTINGS:
                baseline.do(ways, shots, "test", options)
        for baseline in ON_GLYPHS:
            baseline.do(5, 1, "evaluation", options)
    text = page(options.out)
    print(text)
    if options.write:
        write(PAGE, text)


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", default="", help="rows whose name begins so; 'baselines' for those alone")
    add("--list", action="store_true", help="show the rows, run nothing")
    add("--write", action="store_true", help="put the tables into docs/results.md")
    add("--seeds", type=int, default=3, help="runs of each row that is for a GPU (3)")
    add("--out", type=Path, help="folder of the runs (runs/reproduce; a quick look: runs/quick)")
    add("--data-dir", type=Path, help="folder of the data sets")
    add("--device", default="auto", help="cpu, cuda; auto is a GPU where there is one")
    add("--episodes", type=int, help="test tasks (600), for a quick look")
    add("--iterations", type=int, help="outer steps of every run, for a quick look")
    options = parser.parse_args(arguments)
    quick = options.iterations or options.episodes
    options.out = options.out or Path("runs", "quick" if quick else "reproduce")
    return options


def on_gpu(device) -> bool:
    from maml_edu.pytorch.arguments import find_device

    return find_device(device).type == "cuda"


def show(rows):
    """The rows, a line each."""
    for name, (_, own) in SINUSOIDS.items():
        print(
            f"{name:<28} cpu  about 2 min  python benchmarks/reproduce/sinusoid.py {' '.join(own)}"
        )
    for row in rows:
        print(f"{row.name:<28} {row.machine}  about {row.minutes:g} min  {row.command(0)}")


# ------------------------------------------------------------------ a row


def do(row: Row, seed: int, options):
    """Run it, unless its results are there; what was interrupted goes on."""
    folder = Folder(options.out / f"{row.name}-seed{seed}")
    settings = row.resolved(seed)
    changes = {"iterations": options.iterations, "episodes": options.episodes}
    changes = {name: value for name, value in changes.items() if value}
    settings = settings.changed(**changes) if changes else settings
    if (folder.path / "results.json").is_file():
        if folder.settings() != settings:
            raise ValueError(
                f"{folder.path} was run with other settings than {row.name} has now: delete it, or give "
                f"another --out."
            )
        return
    print(f"\n{row.name}, seed {seed}: {row.command(seed)}", flush=True)
    how = {"device": options.device, "data_dir": options.data_dir, "test": False}
    outcome = runs.run(settings, folder.path, resume=folder.begun(), **how)
    if outcome.history.interrupted:
        raise SystemExit(130)
    learner, _ = runs.load(folder.path)
    learner.to(outcome.device)
    tasks, steps = tested_on(row, settings, options), settings.test_steps
    # other tasks for each seed, so that their means are independent
    how = {"seed": 1 + seed, "progress": True}
    how["alone"] = tasks.ways == 5 or row.machine == "gpu"  # with more ways a CPU takes too long
    report = runs.evaluate(learner, tasks, settings.episodes, steps, **how)
    folder.write_picture("results.png", report.plot().figure)
    about = {"seconds": outcome.history.seconds, "device": outcome.device}
    folder.write_results("results", report.as_json() | about)


def tested_on(row: Row, settings, options):
    """The tasks of its test: its own test split, or those that the row names."""
    from maml_edu.runs.problems import tasks_of

    changes = {name: value for name, value in row.test.items() if name != "split"}
    settings = settings.changed(**changes) if changes else settings
    return tasks_of(settings, row.test.get("split", "test"), options.data_dir)


def sinusoids(name, own, options):
    """MAML and the pretrained baseline on sine waves, unless that was done."""
    path = options.out / f"{name}.json"
    if path.is_file():
        return
    arguments = [*own, "--iterations", str(options.iterations or 70_000)]
    arguments += ["--episodes", str(options.episodes or 600), "--runs", str(options.out / name)]
    print(f"\n{name}: python benchmarks/reproduce/sinusoid.py {' '.join(arguments)}", flush=True)
    script = ROOT / "benchmarks" / "reproduce" / "sinusoid.py"
    subprocess.run([sys.executable, str(script), *arguments, "--json", str(path)], check=True)


# ------------------------------------------------------------------ the page


def page(out: Path) -> str:
    """The tables of everything that has been run, in Markdown."""
    tables = (sinusoid_table, omniglot_table, glyphs_table, time_table)
    return "\n\n".join("\n".join(table(out)) for table in tables)


def sinusoid_table(out):
    yield (
        "| sinusoids, MSE after inner steps: median (mean ± 95 %; ! where that may not hold); "
        "published are means | test shots | 0 | 1 | 5 | 10 |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for method, known in sinusoid_published().items():
        cells = " | ".join(str(known.get(step, "–")) for step in (0, 1, 5, 10))
        yield f"| *{method}, published* | 5 | {cells} |"
    for name, (what, _) in SINUSOIDS.items():
        path = out / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []
        for row in found:
            cells = " | ".join(sinusoid_cell(row, step) for step in (0, 1, 5, 10))
            yield f"| {row['method']}, {what} | {row['shots']} | {cells} |"


def sinusoid_cell(row, step):
    doubt = "" if row["trust"][step] == "mean" else " !"
    return f"{row['median'][step]:.2f} ({row['mse'][step]:.2f} ± {row['ci95'][step]:.2f}{doubt})"


def sinusoid_published():
    from benchmarks.reproduce.sinusoid import PUBLISHED as published

    return published


def omniglot_table(out):
    yield "| accuracy in %, 600 test tasks | 5-way 1-shot | 5-way 5-shot | 20-way 1-shot | 20-way 5-shot |"
    yield "| --- | --- | --- | --- | --- |"
    for name, cells in PUBLISHED.items():
        yield f"| *{name}, published* | {' | '.join(cells)} |"
    for prefix, name in (
        ("laptop", "MAML, laptop recipe"),
        ("finn2017", "MAML, preset finn2017"),
        ("antoniou2019", "MAML++, preset antoniou2019"),
    ):
        for way in ("transductive", "one query at a time"):
            cells = [cell(out, f"{prefix}-{n}way-{k}shot", way, prefix) for n, k in SETTINGS]
            yield f"| {name}, {way} | {' | '.join(cells)} |"
    for baseline in BASELINES:
        for label, way in baseline.rows():
            cells = [baseline.cell(out, n, k, "test", way) for n, k in SETTINGS]
            yield f"| {label} | {' | '.join(cells)} |"


def cell(out, name, way, prefix=""):
    """Mean ± 95 % over tasks of the runs of a row; of several seeds the mean, from lowest to highest."""
    found = results(out, name)
    if not found:
        return "for a GPU" if prefix in runs.PRESETS else "–"
    scores = [own["scores"][way] for own in found if way in own["scores"]]
    if not scores:
        return "–"
    means = [100 * own["mean"][-1] for own in scores]  # after the last inner step
    if len(means) > 1:
        spread = f"{min(means):.2f}–{max(means):.2f}, {len(means)} seeds"
        return f"{sum(means) / len(means):.2f} ({spread})"
    return f"{means[0]:.2f} ± {100 * scores[0]['ci95'][-1]:.2f}"


def glyphs_table(out):
    yield "| trained on invented glyphs alone, 5-way 1-shot on Omniglot's 20 evaluation alphabets | accuracy in % |"
    yield "| --- | --- |"
    for name, label in (("maml", "MAML, laptop recipe"), ("protonet", "ProtoNet")):
        for way in ("transductive", "one query at a time"):
            yield f"| {label}, {way} | {cell(out, f'glyphs-{name}', way)} |"
    for baseline in ON_GLYPHS:
        for label, way in baseline.rows():
            yield f"| {label} | {baseline.cell(out, 5, 1, 'evaluation', way)} |"


def time_table(out):
    yield "| run | iterations | seed | training | on | command |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in ROWS:
        for path in sorted(out.glob(f"{row.name}-seed*/results.json")):
            found = json.loads(path.read_text(encoding="utf-8"))
            known = Folder(path.parent).settings()
            minutes = f"{found['seconds'] / 60:.1f} min"
            yield (
                f"| {row.name} | {known.iterations:,} | {known.seed} | {minutes} | {found['device']} | "
                f"`{row.command(known.seed)}` |"
            )


def results(out: Path, name: str) -> list[dict[str, Any]]:
    """What results.json holds, for each seed of a row."""
    paths = sorted(out.glob(f"{name}-seed*/results.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def write(path: Path, text: str):
    """Replace what stands between the marks on a page."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(
            f"{path} has not the marks {BEGIN} and {END}: put them where the tables go."
        )
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    as_program(main, "reproduce")
