"""What pip fetches for the peers: a folder of packages each, below `.bench/`. Start with `build_all`.

A peer runs in this same Python with its folder in front on the path, so that PyTorch need not be
installed again for each and no peer sees another's packages. A folder once made is kept; a change of what
it should hold, or of the Python version, makes it anew. `python benchmarks/compare/environments.py` builds all.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench"


@dataclass(frozen=True)
class Environment:
    """requirements: with all that they need; alone: without (they would bring a PyTorch of their own).

    source: one release taken as source and unpacked, for what pip cannot build. on_gpu: in place of
    `requirements` where the peers run on a GPU. fallback: a module that will do, if this Python has it,
    when pip fails (no network, say).
    """

    requirements: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    source: str = ""
    on_gpu: tuple[str, ...] = ()
    fallback: str = ""


ENVIRONMENTS = {
    "learn2learn": Environment(source="learn2learn==0.2.0"),
    "higher": Environment(alone=("higher==0.2.1",)),
    "torchopt": Environment(alone=("torchopt==0.7.3", "optree>=0.13", "graphviz")),
    "parallel-metalearn": Environment(alone=("parallel-metalearn==0.5.6",)),
    "jax": Environment(
        requirements=("jax[cpu]", "optax", "dm-haiku"),
        alone=("jax-meta==1.0.3",),
        on_gpu=("jax[cuda12]", "optax", "dm-haiku"),
        fallback="jax",
    ),
}


class CannotBuild(RuntimeError):
    """pip failed; the message is one line that says why."""


@dataclass
class Built:
    """A folder of packages, or the reason why there is none."""

    name: str
    folder: Path
    reason: str = ""
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)


def build_all(names, device="cpu", report=lambda built: None):
    """{name: Built} for the environments named, each built if need be; `report` hears of each."""
    found = {}
    for name in dict.fromkeys(names):
        found[name] = build(name, device)
        report(found[name])
    return found


def build(name, device="cpu"):
    """The folder of one environment, made if need be. Failures are told in `Built.reason`."""
    own = ENVIRONMENTS[name]
    folder = FOLDER / (name if device == "cpu" or not own.on_gpu else f"{name}-{device}")
    wanted, stamp = recipe(own, device), folder / "recipe.txt"
    began, reason = time.perf_counter(), ""
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            fill(own, folder, device)
            stamp.write_text(wanted, encoding="utf-8")
        except (CannotBuild, OSError) as error:
            reason = "" if can_import(own.fallback) else str(error)
    return Built(name, folder, reason, time.perf_counter() - began, versions(folder))


def can_import(module):
    return bool(module) and importlib.util.find_spec(module) is not None


def recipe(environment, device):
    """All that the contents of a folder depend on, as text."""
    chosen = (
        environment.on_gpu if device != "cpu" and environment.on_gpu else environment.requirements
    )
    lines = [*chosen, "without what they need:", *environment.alone, "source:", environment.source]
    return "\n".join([f"Python {sys.version_info[0]}.{sys.version_info[1]}", *lines, ""])


def fill(environment, folder, device):
    """Install into an empty folder. Raises CannotBuild."""
    requirements = environment.requirements
    if device != "cpu" and environment.on_gpu:
        requirements = environment.on_gpu
    if requirements:
        pip("install", "--target", str(folder), *requirements)
    if environment.alone:
        pip("install", "--target", str(folder), "--no-deps", *environment.alone)
    if environment.source:
        unpack(environment.source, folder)


def unpack(requirement, folder):
    """The Python packages of a source release, unbuilt."""
    name = requirement.partition("==")[0]
    pip("download", "--no-deps", "--no-binary", name, "--dest", str(folder), requirement)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (inner,) = (path for path in folder.iterdir() if path.is_dir())
    for path in [path for path in inner.iterdir() if (path / "__init__.py").is_file()]:
        path.rename(folder / path.name)
    shutil.rmtree(inner)
    archive.unlink()


def pip(*arguments):
    """Run pip of this Python; its last error line becomes the reason of CannotBuild."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise CannotBuild(f"pip: {errors[-1].strip() if errors else 'failed without a word'}")


def clean_environment():
    """Ours, without a path that would hide what is to be installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def versions(folder):
    """{package: version} of what lies in a folder."""
    found = {}
    for path in sorted(folder.glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        found[name.replace("_", "-")] = version
    return found


def main():
    for built in build_all(ENVIRONMENTS).values():
        held = ", ".join(f"{name} {version}" for name, version in built.versions.items())
        print(f"{built.name}: {built.reason or held or 'source only'} ({built.seconds:.0f} s)")


if __name__ == "__main__":
    main()
