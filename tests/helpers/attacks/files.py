"""Files that are no notebook: refused one by one, with one plain sentence, before anything is run."""

from __future__ import annotations

import json
import os

from .cases import refused, solved

WHOLE = json.dumps(solved()).encode()


def link(path):
    path.symlink_to("/etc/passwd")


def link_to_itself(path):
    path.symlink_to(path)


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def huge(path):
    """20 GB that take no room on a disk."""
    with open(path, "wb") as file:
        file.truncate(20 << 30)


def nothing(path):
    (path.parent / "answers.py").write_text("print('see here')")


CASES = [
    refused("a link", link, "link to another place"),
    refused("a link to itself", link_to_itself, "link to another place"),
    refused("a pipe", pipe, "not an ordinary file"),
    refused("a folder", folder, "not an ordinary file"),
    refused("20 GB", huge, "larger than 100 MB"),
    refused("no notebook in the folder", nothing, "no notebook (.ipynb)"),
    refused("empty", b"", "is empty"),
    refused("nothing but space", b" \r\n\t" * 1000, "is empty"),
    refused("cut off", WHOLE[: len(WHOLE) // 2], "cut off"),
    refused("with a tail", WHOLE + WHOLE, "not JSON"),
    refused("UTF-16 without its mark", WHOLE.decode().encode("utf-16-le"), "not JSON"),
    refused(
        "UTF-16, cut in a letter",
        WHOLE.decode().encode("utf-16")[:1001],
        "neither UTF-8 nor UTF-16",
    ),
    refused(
        "half a pair in UTF-16", b"\xff\xfe" + b"{\x00\x00\xd8}\x00", "neither UTF-8 nor UTF-16"
    ),
    refused(
        "UTF-32, a number too large", b"\xff\xfe\x00\x00" + b"\xff" * 8, "neither UTF-8 nor UTF-32"
    ),
    refused("a mark and nothing else", b"\xff\xfe", "is empty"),
    refused("Latin-1", b'{"cells": ["caf\xe9"]}', "not UTF-8"),
    refused("a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not UTF-8"),
    refused("zeros", bytes(10_000), "not JSON"),
    refused("a Python file", b"def meta_slope(): pass", "not JSON"),
    refused("a web page", b"<!DOCTYPE html><html>Sign in to download</html>", "not JSON"),
    refused("a list", b"[" + WHOLE + b"]", "no notebook"),
    refused("a number", b"1e999", "no notebook"),
    refused("null", b"null", "no notebook"),
    refused("no cells", b'{"nbformat": 4}', "no cells"),
    refused("cells are a dict", b'{"cells": {"0": {}}}', "no cells"),
    refused("cells are text", b'{"cells": "import os"}', "no cells"),
    refused("sheets are numbers", b'{"worksheets": 3}', "no cells"),
    refused("deep lists", b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    refused("deep dicts", b'{"cells":' * 100_000, "nested too deeply"),
    refused("a number of a million digits", b'{"cells": [' + b"1" * 1_000_000 + b"]}", "not JSON"),
    refused("a million cells", b'{"cells": [' + b"{}," * 999_999 + b"{}]}", "2000 are the limit"),
]
