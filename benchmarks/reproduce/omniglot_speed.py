"""How long does the Omniglot experiment of the MAML paper take, and what comes of it?

    python benchmarks/reproduce/omniglot_speed.py                    # 60,000 iterations, on the GPU if there is one
    python benchmarks/reproduce/omniglot_speed.py --iterations 2000  # fewer, and what 60,000 would take
    python benchmarks/reproduce/omniglot_speed.py --precision tf32 --ways 20 --shots 5
    python benchmarks/reproduce/omniglot_speed.py --data FOLDER      # on Omniglot itself, with its accuracy

5-way 1-shot as in Finn et al. (2017, section 5.2 and appendix A.1): Conv4 with 64 filters of stride 2,
28 × 28 pixels, meta-batches of 32 tasks (16 for 20 ways), as many query examples of a class as support
examples, one inner step of rate 2.0 (five of 2.0 for 20 ways; the paper's 0.4 and 0.1 are of a loss that
sums over ways), Adam with 0.001. Second order. The time is that of the real experiment without its
validation. Without --data the characters are invented, and nothing has to be downloaded; with it the
parameters of the last iteration are tested on new classes (the test split of Vinyals et al. 2016), after as
many inner steps as the paper takes, all queries at once. Ctrl-C ends training, and what was reached is
tested. Start at `main`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder: `benchmarks` and `maml_edu` as packages

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import maml_edu.pytorch as mt  # noqa: E402
from maml_edu.atomic import replacing  # noqa: E402
from maml_edu.pytorch.arguments import find_device  # noqa: E402
from maml_edu.pytorch.precision import PRECISIONS  # noqa: E402
from maml_edu.pytorch.training.sampling import Stream, sampler_for  # noqa: E402
from maml_edu.tasks import Glyphs, Omniglot  # noqa: E402

PAPER = 60_000  # iterations
ALPHABETS = 60  # of 20 characters: as many classes as Omniglot's original training split
ASIDE = 100  # iterations that may include a capture or a compilation
EVERY = 1000  # iterations between two looks at the clock
TEST_STEPS = {5: 3, 20: 5}  # inner steps at test time, by the number of ways


def main(arguments=None):
    options = parse(arguments)
    device = find_device(options.device)
    torch.backends.cudnn.benchmark = True  # shapes stay the same: the fastest kernel is looked for
    learner, family, tasks = experiment(options)
    run = Run(options, device, tasks)
    history = mt.meta_train(
        learner,
        family,
        options.iterations,
        tasks,
        device=str(device),
        progress=not options.quiet,
        callbacks=[(min(ASIDE, options.iterations), run.first), (EVERY, run.note)],
    )
    run.finish(history, learner)
    print(report(run.figures))
    print(f"drawing {tasks} tasks by itself: {drawing_ms(family, device, tasks):.2f} ms")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--iterations", type=int, default=PAPER, help=f"outer steps ({PAPER:,})")
    add("--ways", type=int, default=5, choices=(5, 20), help="classes in a task (5)")
    add("--shots", type=int, default=1, choices=(1, 5), help="examples of each (1)")
    add("--precision", default="float32", choices=PRECISIONS, help="what to compute in (float32)")
    add("--engine", default="auto", help="way to the meta-gradient ('plain': nothing is captured)")
    add("--device", default="auto", help="'cuda', 'cpu'; 'auto' is a GPU where there is one")
    add("--data", type=Path, metavar="FOLDER", help="where Omniglot is; else invented characters")
    add("--episodes", type=int, default=600, help="tasks of the test, with --data (600)")
    add("--json", type=Path, metavar="FILE", help="file for the figures, written on the way, too")
    add("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.iterations < 1:
        parser.error(f"--iterations must be at least 1; got {options.iterations}")
    if options.episodes < 2:
        parser.error(f"--episodes must be at least 2, for an interval; got {options.episodes}")
    return options


def experiment(options):
    """(learner, family, tasks of a meta-batch) of the paper's setting; seeds are fixed."""
    torch.manual_seed(0)
    rates = (2.0, 1) if options.ways == 5 else (2.0, 5)
    how = {"engine": options.engine, "precision": options.precision}
    learner = mt.MAML(mt.Conv4(options.ways), F.cross_entropy, *rates, **how)
    return learner, characters(options, "train"), 32 if options.ways == 5 else 16


def characters(options, split):
    """The task family of a split: Omniglot's, or invented."""
    shape = (split, options.ways, options.shots, options.shots)
    if options.data is None:
        return Glyphs(*shape, alphabets=ALPHABETS)
    return Omniglot(*shape, data_dir=options.data)


class Run:
    """The figures of a run, kept up to date while it goes on. `first` and `note` are callbacks."""

    def __init__(self, options, device, tasks):
        self.options, self.began = options, time.perf_counter()
        self.figures = {
            "setting": f"{options.ways}-way {options.shots}-shot",
            "data": "invented characters" if options.data is None else "Omniglot",
            "tasks": tasks,
            "precision": options.precision,
            "device": name_of(device),
            "torch": torch.__version__,
            "iterations": 0,
            "planned": options.iterations,
            "complete": False,
        }

    def first(self, iteration, history, learner):
        """Notes the time when the first iterations are done."""
        if "first" not in self.figures:
            seconds = time.perf_counter() - self.began
            self.figures["first"] = {"iterations": iteration, "seconds": seconds}
        self.note(iteration, history, learner)

    def note(self, iteration, history, learner):
        """Notes what was reached."""
        self.figures |= times(self.figures, iteration, time.perf_counter() - self.began)
        self.figures["loss"] = sum(history.loss[-100:]) / len(history.loss[-100:])
        self.figures["engine"] = learner.ran
        self.write()

    def finish(self, history, learner):
        """Notes the end, and tests the learner where there is something to test it on."""
        options = self.options
        if history.loss:
            self.note(len(history.loss), history, learner)
        if options.data is not None:
            result = mt.evaluate(
                learner, characters(options, "test"), options.episodes, TEST_STEPS[options.ways]
            )
            self.figures["accuracy"] = {
                "classes": "test split of Vinyals et al. (2016)",
                "queries": "all at once (transductive)",
                "episodes": options.episodes,
                "mean": result.mean.tolist(),  # after 0, 1, … inner steps
                "ci95": result.ci95.tolist(),
            }
        self.figures["complete"] = self.figures["iterations"] == options.iterations
        self.write()

    def write(self):
        if self.options.json is not None:
            with replacing(self.options.json) as file:
                file.write((json.dumps(self.figures, indent=1) + "\n").encode())


def times(figures, iterations, seconds):
    """How long it took, each iteration after the first ones, and the paper's number of iterations."""
    first = figures.get("first") or {"iterations": 0, "seconds": 0.0}
    rest = iterations - first["iterations"]
    each = (seconds - first["seconds"]) / rest if rest else seconds / iterations
    return {
        "iterations": iterations,
        "seconds": seconds,
        "ms_each": 1000 * each,
        "minutes_of_the_paper": (seconds + max(0, PAPER - iterations) * each) / 60,
    }


def name_of(device):
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads"


def drawing_ms(family, device, tasks, times=20):
    """Milliseconds that the index arithmetic of a meta-batch takes, on the device."""
    stream, draw = Stream(0, device), sampler_for(family)
    for count in (2, times):  # the first two are to warm up
        began = time.perf_counter()
        for _ in range(count):
            last = draw(stream, tasks=tasks)
        last[1].sum().item()  # waits for the device
    return 1000 * (time.perf_counter() - began) / times


def report(figures):
    """What was measured, and what the paper's number of iterations takes, in a few lines."""
    done = figures["iterations"]
    lines = [
        f"{figures['setting']}, {figures['data']}, {figures['tasks']} tasks, {figures['precision']}: "
        f"{figures['device']}, torch {figures['torch']}"
    ]
    if done:
        first, extrapolated = figures.get("first"), ", extrapolated" if done < PAPER else ""
        begun = ""
        if first:
            begun = (
                f", of which the first {first['iterations']:,} {first['seconds']:.1f} s (capture or "
                f"compilation included)"
            )
        lines += [
            f"{done:,} iterations in {figures['seconds']:.1f} s{begun}; then {figures['ms_each']:.2f} ms each",
            f"{max(PAPER, done):,} iterations: {figures['minutes_of_the_paper']:.1f} minutes{extrapolated}",
        ]
    if done < figures["planned"]:
        lines.append(f"stopped after {done:,} of {figures['planned']:,} iterations")
    return "\n".join([*lines, *([accuracy_line(figures)] if "accuracy" in figures else [])])


def accuracy_line(figures):
    of = figures["accuracy"]
    steps = len(of["mean"]) - 1
    return (
        f"accuracy on {of['episodes']} tasks of new classes ({of['classes']}), queries {of['queries']}, after "
        f"{steps} inner steps: {100 * of['mean'][-1]:.2f} ± {100 * of['ci95'][-1]:.2f} %"
    )


if __name__ == "__main__":
    main()
