"""Reading what was handed in: strict with files, lenient with damage, and one plain sentence for every no."""

import hashlib
import json
import os
import string
import time
from pathlib import Path

import pytest
from attacks import files
from attacks.cases import CHAPTER, answer_cells, code, solved, stub
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu import places
from maml_edu.grading import notebook_file, submission
from maml_edu.grading.notebook_file import without_outputs
from maml_edu.grading.submission import (
    Rejected,
    answer_pattern,
    find,
    of_this_chapter,
    plain_name,
    read,
)


def put(folder, name, content=b"{}"):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def written(tmp_path, notebook):
    return put(tmp_path, "one.ipynb", json.dumps(notebook).encode())


# ------------------------------------------------------------------ files that are refused


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in files.CASES])
def test_what_is_no_notebook_is_refused_with_one_sentence(case, tmp_path):
    path = tmp_path / f"{CHAPTER}.ipynb"
    case.content(path) if callable(case.content) else path.write_bytes(case.content)
    start, before = time.monotonic(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(Rejected) as caught:
        read(find(tmp_path, CHAPTER)[0])
    said = str(caught.value)
    assert case.says in said
    assert said.isprintable() and 10 < len(said) < 150 and "Error" not in said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(os.listdir("/proc/self/fd")) <= before and time.monotonic() - start < 5


def test_a_device_is_refused_and_not_read():
    for device in ("/dev/zero", "/dev/null", "/dev/urandom"):
        with pytest.raises(Rejected, match="not an ordinary file"):
            read(Path(device))


def test_a_pipe_with_nobody_at_its_other_end_does_not_keep_the_reader_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(Rejected, match="not an ordinary file"):
        read(tmp_path / "pipe.ipynb")


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(Rejected, match="cannot be read"):
        read(tmp_path / "gone.ipynb")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    put(tmp_path, "closed.ipynb").chmod(0)
    with pytest.raises(Rejected, match="cannot be read"):
        read(tmp_path / "closed.ipynb")


def test_a_file_at_the_limit_is_read_and_one_beyond_is_not(tmp_path, monkeypatch):
    content = json.dumps({"cells": []}).encode()
    monkeypatch.setattr(notebook_file, "WITH_OUTPUTS", len(content))
    assert read(put(tmp_path, "fits.ipynb", content)).cells == []
    with pytest.raises(Rejected, match="larger than"):
        read(put(tmp_path, "not.ipynb", content + b" "))


# ------------------------------------------------------------------ files that are large, or of another encoding


def printed(lines):
    """A solved notebook in which a cell has printed so many lines."""
    notebook = solved()
    text = ['step 1: "loss" [0.1] {\\n'] * lines
    answer_cells(notebook)[1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "display_data", "data": {"outputs": [[["\\"]]], "image/png": "AA=="}},
    ]
    notebook["cells"].append(code('x = {"outputs": [1, 2], "attachments": {}}  # of their own'))
    return notebook


def test_24_mb_of_printed_lines_are_read_without_them(tmp_path):
    notebook = printed(700_000)
    data = json.dumps(notebook).encode()
    assert len(data) > 20 << 20
    found = read(put(tmp_path, "one.ipynb", data))
    assert [cell.source for cell in found.cells] == ["".join(c["source"]) for c in notebook["cells"]]  # fmt: skip
    said = f"the file has {len(data) / 2**20:.0f} MB, so it was read without its outputs"
    assert found.notes == [said]
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_24_mb_of_pictures_are_read_without_them(tmp_path):
    notebook = solved()
    picture = {"output_type": "display_data", "data": {"image/png": "A" * (24 << 20)}}
    answer_cells(notebook)[0]["outputs"] = [picture]
    pasted = {"cell_type": "markdown", "source": "![x](attachment:x)", "attachments": {"x": {}}}
    notebook["cells"].append(pasted)
    found = read(put(tmp_path, "one.ipynb", json.dumps(notebook).encode()))
    assert len(found.cells) == len(notebook["cells"])


def test_what_is_left_without_outputs_is_json_with_everything_else(tmp_path):
    notebook = printed(50)
    for dumped in (json.dumps(notebook), json.dumps(notebook, indent=2)):
        without = json.loads(without_outputs(dumped.encode()))
        assert [c["source"] for c in without["cells"]] == [c["source"] for c in notebook["cells"]]
        assert all(c.get("outputs", []) == [] for c in without["cells"])
        assert without["metadata"] == notebook["metadata"]


def test_a_large_file_whose_weight_is_not_in_outputs_is_refused(tmp_path):
    notebook = {"cells": [{"cell_type": "code", "source": "x" * (21 << 20)}]}
    with pytest.raises(Rejected, match="larger than 20 MB, even without its outputs"):
        read(written(tmp_path, notebook))


@pytest.mark.parametrize("unit", [b"[", b'\\"', b'"', b'"outputs":[', b'"a",', b"{}", b"\\"])
def test_a_large_file_of_nonsense_is_refused_in_time(unit, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook_file, "PIECES", 200_000)
    start = time.monotonic()
    for begin in (b'{"cells": [{"outputs": [', b'{"cells": ["'):
        with pytest.raises(Rejected):
            read(put(tmp_path, "one.ipynb", begin + unit * ((21 << 20) // len(unit))))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_notebook_in_another_encoding_that_says_so_is_read(encoding, tmp_path):
    text = json.dumps(solved(), ensure_ascii=False)
    little, big = text.encode(encoding), text.encode(f"{encoding}-be")
    marked = {"utf-16": b"\xfe\xff", "utf-32": b"\x00\x00\xfe\xff"}[encoding] + big
    for data in (little, marked):
        found = read(put(tmp_path, "one.ipynb", data))
        assert found.mentions("def meta_slope") and found.mentions("αa")
        assert found.notes == [f"the file was in {encoding.upper()}"]


def test_a_folder_that_is_a_link_or_no_folder_is_refused(tmp_path):
    put(tmp_path / "real", f"{CHAPTER}.ipynb")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Rejected, match="link to another place"):
        find(tmp_path / "link", CHAPTER)
    with pytest.raises(Rejected, match="cannot be read"):
        find(tmp_path / "real" / f"{CHAPTER}.ipynb", CHAPTER)
    with pytest.raises(Rejected, match="cannot be read"):
        find(tmp_path / "gone", CHAPTER)


# ------------------------------------------------------------------ which cell answers


@pytest.mark.parametrize("source", [
    "def slope(x): pass", "import this\nasync def slope(x): pass", "slope = abs", "slope=abs", "slope\t= abs",
    "# words\n\ndef slope(\n", "slope =", "def slope",
])  # fmt: skip
def test_a_cell_that_defines_an_answer_is_known(source):
    assert answer_pattern("slope").search(source)


@pytest.mark.parametrize("source", [
    "slope == 3 is what I found", "slope\n= 3", "def slopes(x): pass", "    def slope(x): pass", "my_slope = 1",
    "slopes = 1", "the def slope(x)", "slope", "slope: 3", "classdef slope", "",
])  # fmt: skip
def test_a_cell_that_only_names_it_is_not(source):
    assert not answer_pattern("slope").search(source)


def test_a_name_is_no_pattern():
    assert answer_pattern("a.b").search("a.b = 1") and not answer_pattern("a.b").search("axb = 1")


# ------------------------------------------------------------------ which file is meant


@pytest.mark.parametrize("name", [
    f"{CHAPTER} (1).ipynb", f"{CHAPTER}(12).ipynb", f"{CHAPTER} - Copy.ipynb", f"{CHAPTER}-Copy1.ipynb",
    f"{CHAPTER}_final.ipynb", f"{CHAPTER}_FINAL2.ipynb", f"{CHAPTER}_solved.ipynb", CHAPTER.upper() + ".IPYNB",
    CHAPTER.replace("_", " ") + ".ipynb", CHAPTER.replace("_", "-") + ".ipynb", f"{CHAPTER}.ipynb.txt",
    f"{CHAPTER}.ipynb.json", f"{CHAPTER} - Kopie.ipynb",
])  # fmt: skip
def test_what_browsers_and_people_make_of_a_name_is_understood(name, tmp_path):
    put(tmp_path, "another.ipynb")
    os.utime(put(tmp_path, name), (1, 1))
    path, notes = find(tmp_path, CHAPTER)
    assert path.name == name and notes[0] == f"the file is called {name!r}"


def test_the_right_name_comes_first(tmp_path):
    for name in (f"{CHAPTER} (1).ipynb", f"{CHAPTER}.ipynb"):
        os.utime(put(tmp_path, name, json.dumps(solved()).encode()), (9, 9))
    path, notes = find(tmp_path, CHAPTER)
    assert path.name == f"{CHAPTER}.ipynb"
    assert notes == [
        f"2 notebooks were handed in: '{CHAPTER}.ipynb' (6 answers) was taken, "
        f"and not '{CHAPTER} (1).ipynb' (6 answers)"
    ]


def test_a_copy_of_the_right_name_that_is_clearly_newer_is_taken(tmp_path):
    """As after a second download: the copy is what was worked on last."""
    os.utime(put(tmp_path, f"{CHAPTER}.ipynb", json.dumps(solved()).encode()), (9, 9))
    os.utime(put(tmp_path, f"{CHAPTER} (1).ipynb", json.dumps(solved()).encode()), (999, 999))
    assert find(tmp_path, CHAPTER)[0].name == f"{CHAPTER} (1).ipynb"
    os.utime(put(tmp_path, "notes.ipynb", json.dumps(solved()).encode()), (9999, 9999))
    assert find(tmp_path, CHAPTER)[0].name == f"{CHAPTER} (1).ipynb"


def test_the_newest_of_several_is_taken_and_that_is_said(tmp_path):
    for age, name in enumerate([" (1)", " (2)", " (3)"]):
        path = put(tmp_path, f"{CHAPTER}{name}.ipynb", json.dumps(solved()).encode())
        os.utime(path, (9 - age, 9 - age))
    path, notes = find(tmp_path, CHAPTER)
    assert path.name == f"{CHAPTER} (1).ipynb" and notes[0] == f"the file is called {path.name!r}"
    assert notes[1].startswith(f"3 notebooks were handed in: {path.name!r} (6 answers) was taken")
    assert f"'{CHAPTER} (2).ipynb'" in notes[1] and f"'{CHAPTER} (3).ipynb'" in notes[1]


def test_a_solved_copy_beats_a_blank_original_and_both_are_named(tmp_path):
    os.utime(put(tmp_path, f"{CHAPTER} (1).ipynb", json.dumps(solved()).encode()), (1, 1))
    put(tmp_path, f"{CHAPTER}.ipynb", json.dumps(stub()).encode())
    path, notes = find(tmp_path, CHAPTER)
    assert path.name == f"{CHAPTER} (1).ipynb"
    assert notes[1] == (
        f"2 notebooks were handed in: '{CHAPTER} (1).ipynb' (6 answers) was taken, "
        f"and not '{CHAPTER}.ipynb' (no answers)"
    )


def test_an_older_notebook_is_taken_where_it_alone_holds_the_exercises(tmp_path):
    os.utime(put(tmp_path, "homework.ipynb", json.dumps(solved()).encode()), (1, 1))
    put(tmp_path, "scratch.ipynb", json.dumps({"cells": [code("x = 1")]}).encode())
    put(tmp_path, f"{CHAPTER}.ipynb", lesson(CHAPTER))
    put(tmp_path, f"{CHAPTER} (1).ipynb", b"cut o")
    path, notes = find(tmp_path, CHAPTER)
    assert path.name == "homework.ipynb"
    assert f"'{CHAPTER}.ipynb' (a lesson)" in notes[1]


def test_a_hundred_notebooks_in_a_folder_are_not_all_read(tmp_path, monkeypatch):
    for number in range(100):
        put(tmp_path, f"{number}.ipynb", json.dumps({"cells": []}).encode())
    looked = []
    monkeypatch.setattr(submission, "read", lambda path: looked.append(path) or read(path))
    notes = find(tmp_path, CHAPTER)[1]
    assert len(looked) == submission.LOOKED_AT and len(notes[1]) < 500


# ------------------------------------------------------------------ whether it is what was asked for

EXERCISES = [name for name in places.chapters() if submission.asked_in(name)]


def lesson(chapter):
    return (places.course_root() / "notebooks" / f"{chapter}.ipynb").read_bytes()


def asked(chapter):
    return [*submission.asked_in(chapter), f"written_{chapter[:2]}"]


def bare(notebook):
    """As Colab leaves it: no metadata, no ids."""
    notebook["metadata"] = {}
    for one in notebook["cells"]:
        one["metadata"] = {}
        one.pop("id", None)
    return notebook


@pytest.mark.parametrize("chapter", EXERCISES)
def test_the_lesson_of_a_chapter_is_told(chapter, tmp_path):
    without = json.dumps(bare(json.loads(lesson(chapter)))).encode()
    for data in (lesson(chapter), without):
        with pytest.raises(Rejected, match="this is the lesson and not its exercises"):
            of_this_chapter(read(put(tmp_path, "one.ipynb", data)), chapter, asked(chapter))


@pytest.mark.parametrize("chapter", EXERCISES)
def test_the_exercises_of_a_chapter_are_known_whatever_has_become_of_them(chapter, tmp_path):
    for notebook in (stub(chapter), bare(stub(chapter)), solved(chapter), bare(solved(chapter))):
        of_this_chapter(read(written(tmp_path, notebook)), chapter, asked(chapter))


@pytest.mark.parametrize("chapter", EXERCISES)
def test_the_exercises_of_another_chapter_are_told(chapter, tmp_path):
    other = EXERCISES[EXERCISES.index(chapter) - 1]
    for notebook in (solved(other), bare(solved(other))):
        with pytest.raises(
            Rejected, match="exercises of another chapter, 1?[0-9]|no exercise of this"
        ):
            of_this_chapter(read(written(tmp_path, notebook)), chapter, asked(chapter))


def test_answers_written_into_the_lesson_are_answers(tmp_path):
    notebook = json.loads(lesson(CHAPTER))
    notebook["cells"].append(code("def best_start(c, a, alpha): return 0.0"))
    of_this_chapter(read(written(tmp_path, notebook)), CHAPTER, asked(CHAPTER))


def test_the_only_notebook_is_the_one_and_hidden_files_are_none(tmp_path):
    put(tmp_path, "ps1.ipynb")
    put(tmp_path, f".{CHAPTER}.ipynb")
    put(tmp_path, f"._{CHAPTER}.ipynb")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert find(tmp_path, CHAPTER)[0].name == "ps1.ipynb"


def test_the_number_of_a_chapter_is_enough(tmp_path):
    put(tmp_path, "zz.ipynb")
    put(tmp_path, "04 homework.ipynb")
    assert find(tmp_path, CHAPTER)[0].name == "04 homework.ipynb"


def test_chapters_are_not_taken_for_each_other(tmp_path):
    assert plain_name("04_gradient_of_a_step (1).ipynb") == plain_name("04_gradient_of_a_step")
    assert plain_name("10_few_shot_images.ipynb") != plain_name("01_gradient_descent.ipynb")
    assert plain_name("photocopy.ipynb") != plain_name("photo.ipynb")


def test_a_name_that_could_harm_is_shown_harmlessly(tmp_path):
    name = "\x1b[2J\n\udcff\u202e.ipynb"
    put(tmp_path, name, b'{"cells": []}')
    path, notes = find(tmp_path, CHAPTER)
    shown = read(path).file
    assert path.name == name and shown.isprintable() and shown.endswith(".ipynb")
    assert all(note.isprintable() for note in notes)
    json.dumps(shown, ensure_ascii=False).encode()


# ------------------------------------------------------------------ what is in it


def test_a_notebook_comes_with_its_cells_its_checksum_and_notes(tmp_path):
    notebook = solved()
    path = put(tmp_path, "one.ipynb", b"\xef\xbb\xbf" + json.dumps(notebook).encode())
    found = read(path)
    assert [cell.source for cell in found.cells] == [
        "".join(c["source"]) for c in notebook["cells"]
    ]
    assert len(found.sha256) == 64 and found.notes == ["the file began with a byte order mark"]
    assert found.mentions("meta_slope") and not found.mentions("torch")
    assert {cell.grade_id for cell in found.cells} >= {
        "meta_slope",
        "check_meta_slope",
        "written_04",
        "",
    }


@pytest.mark.parametrize("cell", [
    {}, {"cell_type": None}, {"cell_type": 3, "source": 3}, {"source": [None, 1, {}]}, {"source": {"a": 1}},
    {"metadata": []}, {"metadata": {"nbgrader": "x"}}, {"metadata": {"nbgrader": {"grade_id": ["x"]}}},
    {"cell_type": "heading", "source": None}, {"cell_type": ["code"], "source": True},
])  # fmt: skip
def test_a_cell_of_wrong_types_is_an_empty_text_cell(cell, tmp_path):
    (found,) = read(written(tmp_path, {"cells": [cell]})).cells
    assert (found.kind, found.source, found.grade_id) == ("markdown", "", "")


def test_a_cell_without_a_type_is_code_where_it_has_outputs(tmp_path):
    cells = [{"source": "x", "outputs": []}, {"source": "x"}]
    assert [c.kind for c in read(written(tmp_path, {"cells": cells})).cells] == ["code", "markdown"]


def test_what_is_no_cell_is_left_out(tmp_path):
    cells = [None, "x", 3, [], {"cell_type": "code", "source": "y = 1"}]
    assert [cell.source for cell in read(written(tmp_path, {"cells": cells})).cells] == ["y = 1"]


def test_every_sheet_of_format_3_is_read(tmp_path):
    sheets = [{"cells": [{"cell_type": "code", "input": ["a\n", "b"]}]}, 7, {"cells": 7}, {},
              {"cells": [{"cell_type": "markdown", "source": "c"}]}]  # fmt: skip
    assert [c.source for c in read(written(tmp_path, {"worksheets": sheets})).cells] == [
        "a\nb",
        "c",
    ]


def test_halves_of_letters_do_not_reach_anybody(tmp_path):
    path = put(
        tmp_path, "one.ipynb", b'{"cells": [{"cell_type": "code", "source": "\\ud800 = 1"}]}'
    )
    assert read(path).cells[0].source.encode() == b"? = 1"


# ------------------------------------------------------------------ whatever it is

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from([
            "cells", "worksheets", "metadata", "nbgrader", "grade_id", "source", "input", "cell_type", "outputs",
        ]),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip
quick = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


def is_read_or_refused(path):
    try:
        found = read(path)
    except Rejected:
        return
    assert all(type(part) is str for c in found.cells for part in (c.kind, c.source, c.grade_id))
    "".join(cell.source for cell in found.cells).encode()


@quick
@given(value=values)
def test_any_json_is_read_or_refused(shelf, value):
    is_read_or_refused(put(shelf, "any.ipynb", json.dumps(value).encode()))


@quick
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_read_or_refused(shelf, data):
    is_read_or_refused(put(shelf, "any.ipynb", data))


@quick
@given(
    place=st.integers(0, 12000), junk=st.binary(min_size=1, max_size=4), length=st.integers(0, 4)
)
def test_a_notebook_with_a_few_other_bytes_is_read_or_refused(shelf, place, junk, length):
    data = files.WHOLE[:place] + junk + files.WHOLE[place + length :]
    is_read_or_refused(put(shelf, "any.ipynb", data))


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
)


@quick
@given(name=names)
def test_any_name_has_a_plain_form(name):
    assert plain_name(name + ".ipynb") == plain_name(name.upper() + ".IPYNB") or not name.isascii()
