"""How long does the Omniglot experiment of the MAML paper take? Its shapes, on invented characters.

    python benchmarks/reproduce/omniglot_speed.py                    # 60,000 iterations, on the GPU if there is one
    python benchmarks/reproduce/omniglot_speed.py --iterations 2000  # fewer, and what 60,000 would take
    python benchmarks/reproduce/omniglot_speed.py --precision tf32 --ways 20 --shots 5

5-way 1-shot as in Finn et al. (2017, section 5.2 and appendix A.1): Conv4 with 64 filters of stride 2,
28 × 28 pixels, meta-batches of 32 tasks (16 for 20 ways), one query example a class, one inner step of
rate 2.0 (five of 2.0 for 20 ways; the paper's 0.4 and 0.1 are of a loss that sums over ways), Adam with 0.001.
Second order. The time is that of the real experiment without its validation, and nothing has to be
downloaded. Start at `main`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of this folder: `benchmarks` and `maml_edu` as packages

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import maml_edu.pytorch as mt  # noqa: E402
from maml_edu.pytorch.arguments import find_device  # noqa: E402
from maml_edu.pytorch.precision import PRECISIONS  # noqa: E402
from maml_edu.pytorch.training.sampling import Stream, sampler_for  # noqa: E402
from maml_edu.tasks import Glyphs  # noqa: E402

PAPER = 60_000  # iterations
ALPHABETS = 60  # of 20 characters: as many classes as Omniglot's original training split
ASIDE = 100  # iterations that may include a capture or a compilation


def main(arguments=None):
    options = parse(arguments)
    device = find_device(options.device)
    torch.backends.cudnn.benchmark = True  # shapes stay the same: the fastest kernel is looked for
    learner, family, tasks = experiment(options)
    clock = Clock()
    mt.meta_train(
        learner,
        family,
        options.iterations,
        tasks,
        device=str(device),
        progress=not options.quiet,
        callbacks=[(min(ASIDE, options.iterations), clock)],
    )
    print(report(options, device, tasks, clock, time.perf_counter()))
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
    add("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.iterations < 1:
        parser.error(f"--iterations must be at least 1; got {options.iterations}")
    return options


def experiment(options):
    """(learner, family, tasks of a meta-batch) of the paper's setting; seeds are fixed."""
    torch.manual_seed(0)
    rates = (2.0, 1) if options.ways == 5 else (2.0, 5)
    how = {"engine": options.engine, "precision": options.precision}
    learner = mt.MAML(mt.Conv4(options.ways), F.cross_entropy, *rates, **how)
    family = Glyphs("train", options.ways, options.shots, queries=1, alphabets=ALPHABETS)
    return learner, family, 32 if options.ways == 5 else 16


class Clock:
    """A callback that notes the time when the first iterations are done."""

    def __init__(self):
        self.began, self.after, self.done = time.perf_counter(), None, 0

    def __call__(self, iteration, history, learner):
        if self.after is None:
            self.after, self.done = time.perf_counter(), iteration


def drawing_ms(family, device, tasks, times=20):
    """Milliseconds that the index arithmetic of a meta-batch takes, on the device."""
    stream, draw = Stream(0, device), sampler_for(family)
    for count in (2, times):  # the first two are to warm up
        began = time.perf_counter()
        for _ in range(count):
            last = draw(stream, tasks=tasks)
        last[1].sum().item()  # waits for the device
    return 1000 * (time.perf_counter() - began) / times


def report(options, device, tasks, clock, now):
    """What was measured, and what the paper's number of iterations takes, in a few lines."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else f"{torch.get_num_threads()} CPU threads"
    first, rest = clock.after - clock.began, options.iterations - clock.done
    each = (now - clock.after) / rest if rest else first / clock.done
    total = now - clock.began + max(0, PAPER - options.iterations) * each
    said = "" if options.iterations >= PAPER else ", extrapolated"
    return (
        f"{options.ways}-way {options.shots}-shot, {tasks} tasks, {options.precision}: {name}, torch "
        f"{torch.__version__}\n"
        f"{options.iterations:,} iterations in {now - clock.began:.1f} s, of which the first "
        f"{clock.done:,} {first:.1f} s (capture or compilation included); then {1000 * each:.2f} ms each\n"
        f"{max(PAPER, options.iterations):,} iterations: {total / 60:.1f} minutes{said}"
    )


if __name__ == "__main__":
    main()
