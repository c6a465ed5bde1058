"""Omniglot, 1623 handwritten characters by 20 drawers each (Lake et al. 2015): start with `Omniglot`.

The originals are two archives of one-bit PNGs of 105 × 105 pixels. `pack` turns them into one file of 28 × 28
one-bit images, 0.9 MB, which is all that training reads. `maml-edu data get omniglot` downloads and packs
them (`download.py`); they come from https://github.com/brendenlake/omniglot (MIT licence).
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from . import packed
from .classes import FewShotImages

_SIDE, _ORIGINAL = 28, 105  # pixels
_DRAWERS = 20
PACKED = {"nearest": "omniglot28_1bit.npz", "area": "omniglot28_1bit_area30.npz"}
ARCHIVES = ("images_background.zip", "images_evaluation.zip")
_AREA = 0.30  # the share of a pixel's area from which on it is ink

# Vinyals et al. (2016) split by alphabets, except that the last four of Gurmukhi's 45 characters are in the test
# split. The lists are those of Snell et al. (2017), github.com/jakesnell/prototypical-networks; the rest is for
# training.
_VALIDATED = {"Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)"}
_TESTED = {
    "Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)", "Oriya",
    "Syriac_(Serto)", "Sylheti", "Tengwar", "Tibetan", "ULOG",
}  # fmt: skip
_TESTED_OF_GURMUKHI = {f"character{n}" for n in range(42, 46)}
_SPLITS = ("train", "val", "test", "background", "evaluation")
# What NumPy and zipfile raise if bytes are not what they were.
_DAMAGED = (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Omniglot(FewShotImages):
    """N-way K-shot episodes of handwritten characters; x is 1 where there is ink.

    split: "train", "val", "test" (1028, 172, 423 characters, Vinyals et al. 2016), or the authors' own
        "background" and "evaluation" (964 of 30 alphabets, 659 of 20 others).
    ways, shots, queries: as for `FewShotImages`.
    rotations: True, as in the published experiments, makes each character turned by 90, 180 and 270
        degrees another character.
    resize: "nearest" gives the pixels that the code of MAML, MAML++ and prototypical networks sees; "area"
        puts ink where it covers 30 % of a pixel (smoother, and a little easier for a nearest neighbour).
    data_dir: a folder with a packed file or the original archives; None means `places.data_folder()`.

    Raises FileNotFoundError, which says what to do, if there is no data; ValueError if a file is damaged,
    and for arguments as `FewShotImages` does.
    """

    def __init__(
        self,
        split: str = "train",
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        *,
        rotations: bool = True,
        resize: str = "nearest",
        data_dir=None,
    ):
        data = load(data_dir, resize)
        super().__init__(
            data["images"][_in_split(data, split)], ways, shots, queries, rotations=rotations
        )
        self.split, self.resize = split, resize

    def __repr__(self):
        return (
            f"Omniglot({self.split!r}, ways={self.ways}, shots={self.shots}, queries={self.queries}, "
            f"rotations={self.rotations}, resize={self.resize!r})"
        )


def _in_split(data, split):
    """Which classes belong to a split: bool (classes,). ValueError for an unknown split."""
    if split not in _SPLITS:
        raise ValueError(f"split must be one of {', '.join(_SPLITS)}; got {split!r}.")
    if split in ("background", "evaluation"):
        return data["is_background"] == (split == "background")
    return data["vinyals_split"] == _SPLITS.index(split)


# ------------------------------------------------------------------ one small file


def load(data_dir=None, resize: str = "nearest") -> dict[str, np.ndarray]:
    """The images, uint8 (classes, 20, 28, 28), where 1 is ink, and what is known about the classes.

    Of each class: alphabet, character (names), is_background (bool), vinyals_split (0 train, 1 val, 2 test).
    If only the archives are there, they are packed first, and the packed file is kept next to them if possible.
    """
    there = packed_file(data_dir, resize)
    if there is not None:
        return read_packed(there)
    data = packed.from_originals(
        where(data_dir), ARCHIVES, PACKED[resize], lambda paths: pack(paths, resize), write_packed
    )
    if data is None:
        raise FileNotFoundError(missing(data_dir, resize))
    return unpacked(data)


def packed_file(data_dir=None, resize: str = "nearest") -> Path | None:
    """The packed file that is read; None if there is none. ValueError for another resize."""
    if resize not in PACKED:
        raise ValueError(f"resize must be one of {', '.join(PACKED)}; got {resize!r}.")
    return packed.first_file(where(data_dir), PACKED[resize])


def is_there(data_dir=None) -> bool:
    """Is there a packed file, or both archives, to read from? Their contents are not checked."""
    ready = any(packed_file(data_dir, resize) for resize in PACKED)
    return ready or packed.first_folder(where(data_dir), ARCHIVES) is not None


def missing(data_dir=None, resize: str = "nearest") -> str:
    """What to say if there is no data."""
    return (
        f"Omniglot is not in {where(data_dir)[0]}. Get it (16 MB): {command(data_dir, resize)}. Or say where "
        f"it is, with data_dir=, --data-dir or MAML_EDU_DATA: a folder that holds {' and '.join(ARCHIVES)}, or "
        f"{PACKED[resize]}. Glyphs, which are invented, need no data."
    )


def command(data_dir=None, resize: str = "nearest") -> str:
    """The command that gets the data into the folder where it is looked for."""
    options = [] if resize == "nearest" else ["--resize", resize]
    return packed.command("omniglot", data_dir, *options)


def where(data_dir=None) -> list[Path]:
    """The folders in which the data is looked for."""
    return packed.folders("omniglot", data_dir)


def read_packed(path: Path) -> dict[str, np.ndarray]:
    """What `write_packed` wrote, unpacked. ValueError if the file is damaged."""
    names = ("packed", "alphabet", "character", "is_background", "vinyals_split")
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in names}
        classes = len(data["packed"])
        if data["packed"].shape[1:] != (_DRAWERS, _SIDE * _SIDE // 8) or any(
            data[name].shape != (classes,) for name in names[1:]
        ):
            raise ValueError("its arrays have unexpected shapes")
    except PermissionError:
        raise
    except (OSError, *_DAMAGED) as error:
        raise ValueError(
            packed.damaged(path, "something else wrote it", error, "omniglot")
        ) from None
    return unpacked(data)


def unpacked(data):
    """The same data with images, uint8 (classes, 20, 28, 28), in place of packed bits."""
    bits = np.unpackbits(data["packed"], axis=-1)
    images = bits.reshape(len(bits), _DRAWERS, _SIDE, _SIDE)
    return {"images": images} | {name: data[name] for name in data if name != "packed"}


def write_packed(path: Path, data):
    """Write what `pack` made, whole or not at all. The file can be read by all who can read its folder."""
    packed.write(path, lambda file: np.savez_compressed(file, **data))


# ------------------------------------------------------------------ from the originals


def pack(archives, resize: str = "nearest", progress=iter) -> dict[str, np.ndarray]:
    """One-bit 28 × 28 images of all characters in the original archives, in the order of their numbers.

    packed: uint8 (classes, 20, 98), eight pixels per byte; alphabet, character, char_id, is_background and
    vinyals_split: (classes,); drawer: (20,). `progress` wraps the list of archive members. Raises ValueError
    if an archive is damaged or holds something else.
    """
    smaller = {"nearest": _nearest, "area": _area}[resize]
    images: dict[int, dict[int, np.ndarray]] = {}
    names: dict[int, tuple[str, str, bool]] = {}
    for member, content in progress(list(_members(archives))):
        alphabet, character, number, drawer = _described(member)
        images.setdefault(number, {})[drawer] = np.packbits(smaller(_ink(content, member)))
        names[number] = (alphabet, character, member.startswith("images_background"))
    numbers = sorted(images)
    for number in numbers:
        if sorted(images[number]) != list(range(1, _DRAWERS + 1)):
            raise ValueError(
                f"character {number} ({' '.join(names[number][:2])}) does not have {_DRAWERS} drawings: the "
                f"archive is not complete."
            )
    alphabet, character, is_background = zip(*(names[number] for number in numbers), strict=True)
    return {
        "packed": np.array([[images[n][d + 1] for d in range(_DRAWERS)] for n in numbers]),
        "alphabet": np.array(alphabet),
        "character": np.array(character),
        "char_id": np.array(numbers, np.int16),
        "drawer": np.arange(1, _DRAWERS + 1, dtype=np.int8),
        "is_background": np.array(is_background),
        "vinyals_split": np.array(
            [vinyals(a, c) for a, c in zip(alphabet, character, strict=True)], np.int8
        ),
    }


def _members(archives):
    """(name, content) of every PNG in the archives."""
    for path in archives:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".png")]
                if not names:
                    raise ValueError("it holds no PNG")
                for name in names:
                    yield name, archive.read(name)
        except _DAMAGED as error:
            raise ValueError(
                packed.damaged(path, "not the archive it should be", error, "omniglot")
            ) from None


def _described(member):
    """(alphabet, character, number, drawer) from images_background/Greek/character05/0393_07.png."""
    found = re.fullmatch(r"[^/]+/([^/]+)/(character\d+)/(\d{4})_(\d{2})\.png", member)
    if found is None:
        raise ValueError(f"{member} does not belong in an archive of Omniglot.")
    return found[1], found[2], int(found[3]), int(found[4])


def _ink(content, member):
    """The ink of a PNG: bool (105, 105); the originals are black on white."""
    from PIL import Image  # only needed if there is something to unpack

    try:
        with Image.open(io.BytesIO(content)) as picture:
            pixels = np.asarray(picture.convert("1"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{member} cannot be read as a picture ({error}).") from None
    if pixels.shape != (_ORIGINAL, _ORIGINAL):
        raise ValueError(f"{member} has {pixels.shape} pixels, not {_ORIGINAL} × {_ORIGINAL}.")
    return ~pixels


def _nearest(pixels):
    """Each of the 28 × 28 pixels is the original pixel at its centre."""
    at = ((np.arange(_SIDE) + 0.5) * _ORIGINAL / _SIDE).astype(int)
    return pixels[np.ix_(at, at)]


def _area(pixels):
    """Ink where it fills at least `_AREA` of the original pixels that one of the 28 × 28 pixels covers."""
    from PIL import Image

    grey = Image.fromarray(pixels.astype(np.uint8) * 255).resize(
        (_SIDE, _SIDE), Image.Resampling.BOX
    )
    return np.asarray(grey) >= _AREA * 255


def vinyals(alphabet, character) -> int:
    """0 train, 1 val, 2 test."""
    of_gurmukhi = alphabet == "Gurmukhi" and character in _TESTED_OF_GURMUKHI
    return 2 if alphabet in _TESTED or of_gurmukhi else int(alphabet in _VALIDATED)
