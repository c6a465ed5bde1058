"""Files that are written whole or not at all: `replacing`."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, keeping: Path | None = None):
    """A binary file that takes the place of `path` when the block ends well.

    Until then, and for ever when the block fails or the process is killed, `path` is what it was. keeping:
    a name in the same folder under which what is replaced stays; at no moment is `path` missing.
    Raises OSError when the folder cannot be written or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keeping is not None and path.is_file():
            name_again(path, keeping)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def name_again(path: Path, name: Path):
    """Give a file a second name, which may be that of another file until then."""
    copy = path.with_name(f".{secrets.token_hex(4)}.tmp")
    try:
        try:
            os.link(path, copy)
        except OSError:  # a file system without links
            shutil.copyfile(path, copy)
        os.replace(copy, name)
    finally:  # after an error, or where both names were the same file's: renaming does nothing then
        with contextlib.suppress(OSError):
            os.unlink(copy)
