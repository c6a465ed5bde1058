"""CLINC150, 150 intents in 10 domains, 150 requests of each (Larson et al. 2019): start with `load`.

The originals are two files: the requests, each with its intent, and the intents of each domain. `pack` sorts
them by intent into one file of 0.2 MB, which is all that training reads. `maml-edu data get clinc150` downloads and
packs them (`download.py`); they come from https://github.com/clinc/oos-eval (CC BY 3.0).
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

from . import packed

ARCHIVES = ("data_full.json", "domains.json")
PACKED = {"": "clinc150.json.gz"}  # there is one way of packing it, which needs no name
_PARTS = ("train", "val", "test")  # the authors' split, within each intent; ours is another
_OUT_OF_SCOPE = ("oos_train", "oos_val", "oos_test")
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError, zlib.error)


def load(data_dir=None) -> dict[str, dict[str, list[str]]]:
    """The requests, domain → intent → texts, untouched: there are a few duplicates among them.

    data_dir: a folder with the packed file or the originals; None means `places.data_folder()`. If only the
    originals are there, they are packed first, and the packed file is kept next to them if possible.
    Raises FileNotFoundError, which says what to do, if there is no data; ValueError if a file is damaged.
    """
    there = packed_file(data_dir)
    if there is not None:
        data = read_packed(there)
    else:
        data = packed.from_originals(where(data_dir), ARCHIVES, PACKED[""], pack, write_packed)
    if data is None:
        raise FileNotFoundError(missing(data_dir))
    domains: dict[str, dict[str, list[str]]] = {name: {} for name in data["domain"]}
    for domain, intent, texts in zip(data["domain"], data["intents"], data["texts"], strict=True):
        domains[domain][intent] = texts
    return domains


def packed_file(data_dir=None, variant: str = "") -> Path | None:
    """The packed file that is read; None if there is none."""
    return packed.first_file(where(data_dir), PACKED[variant])


def missing(data_dir=None) -> str:
    """What to say if there is no data."""
    return (
        f"CLINC150 is not in {where(data_dir)[0]}. Get it (2.5 MB): {command(data_dir)}. Or say where it is, with "
        f"data_dir=, --data-dir or MAML_EDU_DATA: a folder that holds {' and '.join(ARCHIVES)}, or {PACKED['']}. "
        f'The course\'s own sentences, source="course", need no data.'
    )


def command(data_dir=None, variant: str = "") -> str:
    """The command that gets the data into the folder where it is looked for."""
    return packed.command("clinc150", data_dir)


def where(data_dir=None) -> list[Path]:
    """The folders in which the data is looked for."""
    return packed.folders("clinc150", data_dir)


def read_packed(path: Path) -> dict:
    """What `write_packed` wrote. ValueError if the file is damaged."""
    try:
        data = json.loads(gzip.decompress(path.read_bytes()))
        columns = [data[name] for name in ("domain", "intents", "texts")]
        if not columns[0] or len({len(column) for column in columns}) > 1:
            raise ValueError("its lists have unexpected lengths")
        names, texts = (
            [*columns[0], *columns[1]],
            [text for column in columns[2] for text in column],
        )
        if not all(columns[2]) or not all(isinstance(text, str) for text in names + texts):
            raise ValueError("it holds something else than texts")
    except PermissionError:
        raise
    except (OSError, *_DAMAGED) as error:
        raise ValueError(
            packed.damaged(path, "something else wrote it", error, "clinc150")
        ) from None
    return data


def write_packed(path: Path, data):
    """Write what `pack` made, whole or not at all. The file can be read by all who can read its folder."""
    content = gzip.compress(json.dumps(data, ensure_ascii=False).encode(), mtime=0)
    packed.write(path, lambda file: file.write(content))


def pack(originals, variant: str = "", progress=iter) -> dict:
    """The two originals in one: the requests of each intent, first those for training, then validation and test.

    originals: the paths of data_full.json and domains.json. intents, domain: (150,); texts: 150 lists of 150; oos:
    the requests that belong to no intent. The texts are untouched. Raises ValueError if a file is damaged
    or holds something else.
    """
    requests, domains = map(_read_json, originals)
    try:
        intents = [intent for domain in domains.values() for intent in domain]
        texts: dict[str, list[str]] = {intent: [] for intent in intents}
        for text, intent in progress([pair for part in _PARTS for pair in requests[part]]):
            texts[intent].append(text)
        if not all(texts.values()):
            raise ValueError("an intent has no texts")
        out_of_scope = {part: [text for text, _ in requests[part]] for part in _OUT_OF_SCOPE}
    except _DAMAGED as error:
        raise ValueError(
            packed.damaged(originals[0], "not the file it should be", repr(error), "clinc150")
        ) from None
    return {
        "name": "CLINC150 (data_full.json)",
        "source": "https://github.com/clinc/oos-eval, Larson et al. (2019), D19-1131",
        "licence": "CC BY 3.0",
        "changed": "regrouped by intent, domains added; the texts are untouched",
        "order": "per intent: the texts for training, then validation, then test",
        "intents": intents,
        "domain": [domain for domain, names in domains.items() for _ in names],
        "texts": [texts[intent] for intent in intents],
        "oos": out_of_scope,
    }


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            packed.damaged(path, "not the file it should be", error, "clinc150")
        ) from None
