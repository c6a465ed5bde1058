"""What downloaded data sets have in common: a small packed file, made from originals, in a folder of their name.

`omniglot.py` and `clinc150.py` say what is in the files; `download.py` gets the originals. Start with `folders`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from maml_edu import places
from maml_edu.atomic import replacing


def folders(name: str, data_dir=None) -> list[Path]:
    """The folders in which a data set of this name is looked for; it is downloaded into the first one."""
    root = places.data_folder() if data_dir is None else Path(data_dir).expanduser()
    return [root / name, root]


def first_file(folders: list[Path], file: str) -> Path | None:
    """The file of this name in the first folder that has one; None if there is none."""
    paths = [folder / file for folder in folders]
    return next((path for path in paths if path.is_file()), None)


def first_folder(folders: list[Path], files) -> Path | None:
    """The first folder that holds all these files; None if there is none."""
    return next((at for at in folders if all((at / name).is_file() for name in files)), None)


def from_originals(folders: list[Path], originals, file: str, pack: Callable, write: Callable):
    """What `pack` makes of the originals in the first folder that has them all; None if there is none.

    It is kept next to them in the file of this name, if possible: `write(path, data)`.
    """
    folder = first_folder(folders, originals)
    if folder is None:
        return None
    data = pack([folder / name for name in originals])
    try:
        write(folder / file, data)
    except OSError:  # the folder cannot be written to: they are packed again next time
        pass
    return data


def command(name: str, data_dir=None, *options: str) -> str:
    """The command that gets the data set into the folder where it is looked for."""
    place = [] if data_dir is None else ["--data-dir", shlex.quote(str(data_dir))]
    return " ".join([f"maml-edu data get {name}", *options, *place])


def damaged(path: Path, otherwise: str, error, name: str) -> str:
    """What to say about a file that cannot be what it should be."""
    return (
        f"{path} is damaged, or {otherwise} ({error}): delete it, and get it again with "
        f"`maml-edu data get {name}`."
    )


def write(path: Path, save: Callable):
    """Write a file whole or not at all, by `save(file)`. All who can read its folder can read it."""
    with replacing(path) as file:
        save(file)
    path.chmod(path.parent.stat().st_mode & 0o666)
