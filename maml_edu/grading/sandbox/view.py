"""What of this machine is in sight in a box: the system and Python, and nothing of the course's answers.

Every folder is shown once, under its real path; a link is shown as the link that it is. So there is one place
where something is hidden, however many names lead there (the lib64 of a virtual environment is its lib). What
is hidden: the clone that the package comes from, or the course's files that a wheel carries, in every folder
of packages in sight. `inside.in_sight` looks at the result from within, and a box that shows more is refused.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from maml_edu import places

PACKAGE = Path(__file__).resolve().parents[2]
INSIDE = "/maml/maml_edu"  # where the package is shown
TOPS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Debian's libraries need the last two
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/matplotlibrc")
# In /usr and /usr/local, people put sources and shared files: clones, an exchange, classes.
NOT_OF_THE_SYSTEM = {
    "/usr": {"src", "games", "include", "local"},
    "/usr/local": {"src", "games", "include", "share", "etc", "man"},
}
PARTS = ("bin", "lib", "lib32", "lib64", "pyvenv.cfg")  # of a Python's folder
PACKAGES = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class View:
    """What a box shows. tops: (path, None, or the target of a link) of what is shown by itself, sorted;
    hidden: folders within that nobody may see."""

    tops: tuple[tuple[Path, str | None], ...]
    hidden: tuple[Path, ...]

    @classmethod
    def whole(cls) -> View:
        """The system and this Python."""
        return cls.of([*system(), *python_parts()])

    @classmethod
    def of(cls, wanted: list[Path]) -> View:
        """These paths, each folder once, and the links that lead to them."""
        links: dict[Path, str] = {}
        real = {followed(path, links) for path in wanted if path.exists()}
        hidden = {f for f in secret(real) if any(f.is_relative_to(path) for path in real)}

        def alone(path):
            """Whether it does not show already, by what is shown above it."""
            above = [p for p in path.parents if p in real or p in hidden]
            return not above or above[0] in hidden

        tops = [(p, t) for p, t in [*((p, None) for p in real), *links.items()] if alone(p)]
        return cls(tuple(sorted(tops, key=lambda top: top[0])), tuple(sorted(hidden)))

    @property
    def options(self) -> list[str]:
        """Of bubblewrap: what is above comes before what is below; nothing in it can be written to."""
        steps: dict[Path, list[str]] = {p: ["--tmpfs", str(p)] for p in self.hidden}
        for path, target in self.tops:
            way = ["--ro-bind", str(path)] if target is None else ["--symlink", target]
            steps.setdefault(path, []).extend([*way, str(path)])
        made, found = {Path("/"), Path("/tmp")}, []
        for path in sorted(steps):
            for above in reversed(path.parents):  # bubblewrap's own would be root's alone
                if above not in made and not self._shows(above):
                    found += ["--perms", "0755", "--dir", str(above)]
                made.add(above)
            found += steps[path]
        for path in self.hidden:
            found += ["--remount-ro", str(path)]
        return found

    def _shows(self, path: Path) -> bool:
        """Whether it is there by what is shown, or hidden, at it or above it."""
        shown, hidden = {p for p, _ in self.tops}, set(self.hidden)
        above = [p for p in (path, *path.parents) if p in shown or p in hidden]
        return bool(above) and (above[0] == path or above[0] in shown)


def followed(path: Path, links: dict[Path, str]) -> Path:
    """The real path of one that exists; the links on the way there, and their targets, are added to `links`."""
    here, parts = Path("/"), list(path.parts[1:])
    while parts:
        part = parts.pop(0)
        step = here.parent if part == ".." else here / part
        if step.is_symlink():
            links[step] = target = os.readlink(step)
            parts = [p for p in Path(target).parts if p != "/"] + parts
            here = Path("/") if target.startswith("/") else here
        else:
            here = step
    return here


def secret(shown: set[Path]) -> set[Path]:
    """Real paths of folders with answers: this clone, and what wheels in these folders carry."""
    found = [path / "maml_edu" / "_course" for path in shown]
    for path in shown:
        for name in PACKAGES if path.name.startswith(("lib", "python")) else ():
            found += [
                *path.glob(f"{name}/maml_edu/_course"),
                *path.glob(f"python*/{name}/maml_edu/_course"),
            ]
    found.append(PACKAGE.parent if places.in_clone() else PACKAGE / "_course")
    return {path.resolve() for path in found if path.is_dir()}


def system() -> list[Path]:
    """Paths of the system."""
    found = [Path("/", name) for name in TOPS] + [Path(name) for name in SETTINGS]
    for folder, not_of_it in NOT_OF_THE_SYSTEM.items():
        names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        found += [Path(folder, name) for name in names - not_of_it]
    return [path for path in found if path.exists()]


def python_parts() -> list[Path]:
    """Where this Python and its packages lie.

    Not the whole folder, which may be a home, a clone or a course with a virtual environment in it.
    """
    executable = Path(sys.executable).resolve().parent.parent
    folders = {Path(p) for p in (sys.prefix, sys.exec_prefix, sys.base_prefix)} | {executable}
    found = {folder / part for folder in folders for part in PARTS} | set(package_folders())
    return sorted(path.absolute() for path in found if path.exists())


def package_folders() -> list[Path]:
    """Where this Python finds packages, in order: a user's own are not in the folder of any Python."""
    return [Path(p) for p in sys.path if Path(p).name in PACKAGES and Path(p).is_dir()]


def package() -> list[str]:
    """Options that show this package, without the course that a wheel carries."""
    found = ["--perms", "0755", "--dir", "/maml", "--ro-bind", str(PACKAGE), INSIDE]
    if (PACKAGE / "_course").is_dir():
        course = f"{INSIDE}/_course"
        found += ["--tmpfs", course, "--remount-ro", course]
    return found
