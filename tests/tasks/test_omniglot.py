"""Omniglot: the packed file and the originals give the same pixels, splits and words when they are missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from maml_edu.tasks import Omniglot, omniglot

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "omniglot"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/omniglot")
SMALL = [DATA / f"images_background_small{n}.zip" for n in (1, 2)]


@pytest.fixture(scope="module")
def small():
    return {resize: omniglot.pack(SMALL, resize) for resize in omniglot.PACKED}


@needs_data
@pytest.mark.parametrize("resize", omniglot.PACKED)
def test_packing_the_originals_gives_the_pixels_of_the_packed_file(small, resize):
    ours = omniglot.unpacked(small[resize])
    whole = omniglot.load(DATA, resize)
    rows = ours["char_id"] - 1
    assert len(rows) == 242
    for name in ("images", "alphabet", "character", "is_background", "vinyals_split"):
        assert np.array_equal(ours[name], whole[name][rows]), name


@needs_data
def test_every_character_has_the_split_of_the_published_lists():
    whole = omniglot.load(DATA)
    ours = [
        omniglot.vinyals(a, c) for a, c in zip(whole["alphabet"], whole["character"], strict=True)
    ]
    assert np.array_equal(ours, whole["vinyals_split"])


@needs_data
@pytest.mark.parametrize(("split", "characters"), [
    ("train", 1028), ("val", 172), ("test", 423), ("background", 964), ("evaluation", 659),
])  # fmt: skip
def test_splits_have_the_published_sizes(split, characters):
    assert len(Omniglot(split, rotations=False, data_dir=DATA).bank) == characters
    assert len(Omniglot(split, data_dir=DATA).bank) == 4 * characters


@needs_data
def test_ink_is_one_and_rare():
    batch = Omniglot("test", 20, 5, 15, data_dir=DATA).sample(np.random.default_rng(0), tasks=8)
    assert batch.support_x.shape == (8, 100, 1, 28, 28)
    assert set(np.unique(batch.support_x)) == {0.0, 1.0}
    assert 0.05 < batch.query_x.mean() < 0.25


@needs_data
def test_a_packed_file_written_and_read_is_the_same(small, tmp_path):
    path = tmp_path / omniglot.PACKED["area"]
    omniglot.write_packed(path, small["area"])
    again = omniglot.load(tmp_path, "area")
    assert np.array_equal(again["images"], omniglot.unpacked(small["area"])["images"])


@needs_data
def test_archives_in_a_folder_are_packed_once(tmp_path, monkeypatch):
    for name, path in zip(omniglot.ARCHIVES, SMALL, strict=True):
        shutil.copy(path, tmp_path / name)
    family = Omniglot("background", rotations=False, data_dir=tmp_path)
    assert len(family.bank) == 242 and (tmp_path / omniglot.PACKED["nearest"]).is_file()
    monkeypatch.setattr(omniglot, "pack", None)
    again = Omniglot("background", rotations=False, data_dir=tmp_path)
    assert np.array_equal(again.bank, family.bank)


def test_missing_data_is_said_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="MAML_EDU_DATA: a folder that holds") as missing:
        Omniglot()
    assert "maml-edu data get omniglot. " in str(missing.value)
    with pytest.raises(FileNotFoundError, match="maml-edu data get omniglot --data-dir"):
        Omniglot(data_dir=tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_damaged_packed_file_is_refused_with_words(tmp_path, content):
    (tmp_path / omniglot.PACKED["nearest"]).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged.*maml-edu data get omniglot"):
        Omniglot(data_dir=tmp_path)


def test_a_packed_file_of_other_shapes_is_refused(tmp_path):
    names = ("packed", "alphabet", "character", "is_background", "vinyals_split")
    with open(tmp_path / omniglot.PACKED["nearest"], "wb") as file:
        np.savez(file, **{name: np.zeros((3, 2), np.uint8) for name in names})
    with pytest.raises(ValueError, match="unexpected shapes"):
        Omniglot(data_dir=tmp_path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    for name in omniglot.ARCHIVES:
        (tmp_path / name).write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="not the archive it should be.*data get omniglot"):
        Omniglot(data_dir=tmp_path)


@needs_data
@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_bits_that_flipped_in_an_archive_are_noticed(tmp_path, at):
    content = bytearray(SMALL[0].read_bytes())
    where = int(at * len(content))
    content[where : where + 40] = bytes(255 - byte for byte in content[where : where + 40])
    (tmp_path / "flipped.zip").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        omniglot.pack([tmp_path / "flipped.zip"])


@needs_data
def test_unknown_splits_and_sizes_are_refused():
    with pytest.raises(ValueError, match="split must be one of"):
        Omniglot("training", data_dir=DATA)
    with pytest.raises(ValueError, match="resize must be one of"):
        Omniglot(resize="cubic", data_dir=DATA)
