"""Is everything in place? Looks at the computer and the environment, and says what to do.

`doctor()` returns a `Report`: a list of `Finding`, shown as a table by a notebook and printed by
`maml-edu doctor`. Nothing is installed, created or changed. Start from `doctor`.
"""

import html
import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from maml_edu import places
from maml_edu.machine import usable_cores

_FREE_GB = 1.0  # copies, checkpoints and a data set fit into this many gigabytes
_REINSTALL = 'Install again: in a clone `pip install -c constraints.txt -e ".[dev]"`.'
_SIGNS = {True: "ok", False: "NOT WELL", None: "note"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok` is True, False (needs doing) or None (worth knowing).

    `found` and `advice` name no folder and no computer; `here` may, and only a terminal shows it.
    """

    name: str
    ok: bool | None
    found: str
    advice: str = ""
    here: str = ""


class Report(list):
    """Findings in the order they were looked at; displays itself as a table in a notebook."""

    @property
    def well(self) -> bool:
        """True when nothing that is needed is missing."""
        return all(finding.ok is not False for finding in self)

    def _repr_html_(self) -> str:
        return _html_table(self)

    def __repr__(self) -> str:
        rows = [(_SIGNS[f.ok], f.name, f"{f.found} {f.advice}".strip()) for f in self]
        width = max((len(name) for _, name, _ in rows), default=0)
        return "\n".join(f"{sign:<8}  {name:<{width}}  {text}" for sign, name, text in rows)


def doctor() -> Report:
    """Look at everything that the course needs: a `Report` whose `well` says if all is there."""
    looks = [_python, _packages, _torch, _course, _kernel, _other_kernels, _writing, _disk]
    looks += [_data_sets, _nbgrader]
    return Report(finding for look in looks for finding in look())


def terminal_table(report: Report):
    """The report as a rich table for the terminal, with the folders of this computer."""
    from rich.markup import escape
    from rich.table import Table

    styles = {True: "green", False: "bold red", None: "yellow"}
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report:
        lines = [escape(finding.found)]
        lines += [f"[dim]{escape(finding.here)}[/]"] if finding.here else []
        lines += [f"[italic]{escape(finding.advice)}[/]"] if finding.advice else []
        sign = f"[{styles[finding.ok]}]{_SIGNS[finding.ok]}[/]"
        table.add_row(sign, escape(finding.name), "\n".join(lines))
    return table


def _html_table(report: Report) -> str:
    """The report as an HTML table; words, not colour alone, carry the verdict."""
    rows = "".join(
        f"<tr><td>{_SIGNS[f.ok]}</td><td>{html.escape(f.name)}</td>"
        f"<td>{html.escape(f.found)}</td><td>{html.escape(f.advice)}</td></tr>"
        for f in report
    )
    head = "<tr><th>verdict</th><th>what</th><th>found</th><th>what to do</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _python():
    needed = _metadata("Requires-Python") or ">=3.11"
    version = ".".join(map(str, sys.version_info[:3]))
    ok = SpecifierSet(needed).contains(version, prereleases=True)
    advice = "" if ok else f"Install a Python {needed} and set the course up with it."
    yield Finding("Python", ok, f"{version} (needed: {needed})", advice, sys.executable)


def _packages():
    """The packages of the base install: which version, and is it in the required range?"""
    lines = importlib.metadata.requires("maml_edu") if _metadata("Name") else None
    if lines is None:
        yield Finding("maml_edu", False, "imported, but not installed", _REINSTALL)
        return
    for need in map(Requirement, lines):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield _package(need)


def _package(need: Requirement) -> Finding:
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(need.name, False, f"missing (needed: {need.specifier})", _REINSTALL)
    ok = need.specifier.contains(version, prereleases=True)
    advice = "" if ok else f'Run: pip install "{need}"'
    return Finding(need.name, ok, f"{version} (needed: {need.specifier})", advice)


def _torch():
    """PyTorch's build, the GPU and the threads, or why it cannot be imported."""
    try:
        import torch
    except Exception as error:  # a broken binary may raise anything
        why = f"cannot be imported: {type(error).__name__}"
        yield Finding("torch build", False, why, _REINSTALL, str(error))
        return
    cuda = torch.version.cuda
    yield Finding("torch build", True, f"CUDA {cuda}" if cuda else "CPU")
    yield _gpu(torch)
    yield threads(torch.get_num_threads(), usable_cores(), _load())


def _gpu(torch) -> Finding:
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        gigabytes = torch.cuda.get_device_properties(0).total_memory / 2**30
        count = torch.cuda.device_count()
        return Finding("GPU", True, f"{count} × {name}, {gigabytes:.0f} GiB")
    if torch.backends.mps.is_available():
        return Finding("GPU", True, "Apple GPU (MPS)")
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", None, "none", "Nothing in the course needs one.")
    if torch.version.cuda is None:
        advice = "To use it, install a CUDA build of torch (pytorch.org says how)."
        return Finding("GPU", None, "an NVIDIA GPU that this CPU build of torch cannot use", advice)
    advice = "To use it, update the NVIDIA driver; `nvidia-smi` should list the GPU."
    return Finding("GPU", None, "an NVIDIA GPU that torch cannot reach", advice)


def threads(threads: int, cores: int, load: float = 0.0) -> Finding:
    """Do torch's threads fit the cores? Too many make small networks many times slower."""
    found = f"torch uses {threads}, usable cores: {cores}"
    if threads > cores:
        advice = f"Too many threads: set OMP_NUM_THREADS={cores} before you start JupyterLab."
        return Finding("threads", False, found, advice)
    if threads > 1 and load > cores:
        advice = "This computer is busy: small networks run faster with OMP_NUM_THREADS=1."
        return Finding("threads", None, found, advice, f"load {load:.1f}")
    return Finding("threads", True, found)


def _load() -> float:
    """Programs that wanted a core, on average over the last minute; 0 where unknown."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


def _course():
    try:
        root, names = places.course_root(), places.chapters()
    except FileNotFoundError as error:
        yield Finding("course", False, "no course files", str(error))
        return
    missing = [name for name in names if not (root / "notebooks" / f"{name}.ipynb").is_file()]
    found = f"{len(names)} chapters, {len(names) - len(missing)} notebooks"
    ok = bool(names) and not missing
    advice = "" if ok else "Build the notebooks: `make notebooks` in a clone."
    yield Finding("course", ok, found, advice, str(root))


def _kernel():
    """Does a new notebook's kernel run in this very environment?"""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError as error:
        yield Finding(
            "kernel",
            False,
            f"cannot be looked for: {error.name} is missing",
            _REINSTALL,
        )
        return
    repair = "Run: python -m ipykernel install --sys-prefix"
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (NoSuchKernel, OSError, ValueError, IndexError):
        yield Finding("kernel", False, "no kernel named python3", repair)
        return
    ours = _is_this_python(program)
    found = "python3 runs in this environment" if ours else "python3 runs another Python"
    yield Finding(
        "kernel",
        ours,
        found,
        "" if ours else repair,
        sys.executable if ours else program,
    )


def _is_this_python(program: str) -> bool:
    """Is a kernel's program this Python? Jupyter itself fills in a bare `python`."""
    own = {"python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"}
    if program in own:
        return True
    given, this = Path(program).absolute(), Path(sys.executable).absolute()
    return given.parent == this.parent and given.stem in own | {this.stem}


def _other_kernels():
    """Kernels whose program is gone: they are offered in JupyterLab and fail when chosen."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        specs = KernelSpecManager().get_all_specs()
    except (ImportError, OSError, ValueError):
        return
    for name, entry in sorted(specs.items()):
        program = (entry["spec"].get("argv") or [""])[0]
        if not _is_this_python(program) and shutil.which(program) is None:
            advice = f"It cannot start. Remove it: jupyter kernelspec remove {name}"
            yield Finding("other kernel", None, f"{name}: its program is gone", advice, program)


def _writing():
    """Can the working copies and the record be written? Tried in the nearest folder there is."""
    for name, folder, variable in (
        ("working copies", places.work_folder(), "MAML_EDU_WORK"),
        ("progress record", places.user_data(), "MAML_EDU_HOME"),
    ):
        ok = _writable(_nearest(folder))
        advice = "" if ok else f"Set {variable} to a folder that you may write to."
        found = "can be written" if ok else "cannot be written"
        yield Finding(name, ok, found, advice, str(folder))


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _disk():
    free = shutil.disk_usage(_nearest(places.work_folder())).free / 1e9
    ok = free >= _FREE_GB
    found = f"{'at least' if ok else 'less than'} {_FREE_GB:.0f} GB free"
    yield Finding("disk", ok, found, "" if ok else "Free some space.", f"{free:.1f} GB")


def _data_sets():
    try:
        from maml_edu.tasks import omniglot
    except ImportError:  # NumPy is missing, which has been said
        return
    folder = omniglot.where()[0]
    if omniglot.is_there():
        yield Finding("Omniglot", True, "found", "", str(folder))
        return
    advice = "Optional: chapter 10 uses built-in glyphs without it. Run: maml-edu data get omniglot"
    yield Finding("Omniglot", None, "not found", advice, f"looked in {folder}")


def _nbgrader():
    try:
        version = importlib.metadata.version("nbgrader")
        yield Finding("nbgrader", True, version)
    except importlib.metadata.PackageNotFoundError:
        advice = "Only for marking a class: pip install 'maml_edu[teach]'"
        yield Finding("nbgrader", None, "not installed", advice)


def _metadata(field: str) -> str | None:
    """A field of this package's own metadata; None when it is not installed."""
    try:
        return importlib.metadata.metadata("maml_edu")[field]
    except importlib.metadata.PackageNotFoundError:
        return None
