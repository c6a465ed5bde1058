"""What each system names its files, and whose they are then."""

import os
import unicodedata
import zipfile

import pytest
from class_downloads import CHAPTER, in_folder, in_zip, notebook

from maml_edu.grading import downloads, files

NB = f"{CHAPTER}.ipynb"


def read(path, **how):
    with files.opened(path) as tree:
        return downloads.read(tree, CHAPTER, **how)


def who(reading):
    """(name, ids, once, word) of every entry's people, with the number of its files."""
    return {
        entry.label: [
            (w.name or w.word, {**w.ids, **w.once}, len(entry.files)) for w in entry.who
        ]
        for entry in reading.entries
    }  # fmt: skip


METADATA = """---
submission_1001:
  :submitters:
  - :name: Ada Lovelace
    :sid: '20260001'
    :email: ada@x.org
  :created_at: 2026-11-28 22:01:00.000000000 Z
  :score: 3.0
  :results:
    :tests:
    - :name: Not Somebody
submission_1002:
  :submitters:
  - :name: "Li W\\u00e9i"
    :sid: ''
    :email: li@x.org
  - :name: O'Brien
    :sid: '7'
    :email: ob@x.org
  :created_at: 2026-11-28 23:01:00.000000000 +01:00
"""
RECEIPT = "Name: John Doe (john_doe)\r\nAssignment: Chapter 04\r\nDate Submitted: Saturday\r\n"
SYSTEMS = {
    "moodle": (
        [
            f"Ada Lovelace_20056_assignsubmission_file/{NB}",
            f"Ada Lovelace_20057_assignsubmission_file_/{NB}",
            "Bo Li_20058_assignsubmission_file/hand in/a.ipynb",
            "Bo Li_20058_assignsubmission_onlinetext/onlinetext.html",
            f"Eve_77_assignsubmission_file_88_assignsubmission_file/{NB}",
        ],
        [
            ("Ada Lovelace", {"moodle": "20056"}, 1),
            ("Ada Lovelace", {"moodle": "20057"}, 1),
            ("Bo Li", {"moodle": "20058"}, 2),
            ("Eve_77_assignsubmission_file", {"moodle": "88"}, 1),
        ],
    ),
    "moodle, flat": (
        [
            f"N N_1_assignsubmission_file_{NB}",
            f"N N_2_assignsubmission_file_{NB}",
            "N N_2_assignsubmission_file_x_3_assignsubmission_file_y.ipynb",
            "Test_Student_4_assignsubmission_file_a.ipynb",
        ],
        [
            ("N N", {"moodle": "1"}, 1),
            ("N N", {"moodle": "2"}, 2),
            ("Test_Student", {"moodle": "4"}, 1),
        ],
    ),
    "moodle, blind": (
        [f"Participant_{n}_assignsubmission_file/{NB}" for n in (5, 6)],
        [("", {"moodle": "5"}, 1), ("", {"moodle": "6"}, 1)],
    ),
    "canvas": (
        [
            f"lovelaceada_509_880027_{NB}",
            "lovelaceada_509_889998_notes.ipynb",
            "lijr_LATE_510_880028_HW 04-1.ipynb",
            f"Test_Student_529_880029_{NB}",
            "boli_511_text.html",
        ],
        [
            ("lovelaceada", {"canvas": "509"}, 2),
            ("lijr", {"canvas": "510"}, 1),
            ("Test_Student", {"canvas": "529"}, 1),
            ("boli", {"canvas": "511"}, 1),
        ],
    ),
    "canvas, anonymous": (
        [
            f"anon_1a2b3_880027_{NB}",
            f"anon_9zXy8_LATE_880028_{NB}",
            f"anon_12345_880029_{NB}",
        ],
        [
            ("", {"canvas": "anon_1a2b3"}, 1),
            ("", {"canvas": "anon_9zXy8"}, 1),
            ("", {"canvas": "anon_12345"}, 1),
        ],
    ),
    "blackboard": (
        {
            f"Chapter 04_s100_attempt_2026-11-28-23-01-00_{NB}": notebook(),
            "Chapter 04_s100_attempt_2026-11-28-23-01-00.txt": "Name: Bo Li (s100)\n",
            f"Chapter 04_s100_attempt_2026-11-29-08-00-00_{NB}": notebook(),
            f"Chapter 04_john_doe_attempt_2026-11-28-20-00-00_{NB}": notebook(),
            "Chapter 04_john_doe_attempt_2026-11-28-20-00-00.txt": RECEIPT,
            f"Chapter 04_jane_doe_attempt_2026-11-28-20-00-00_{NB}": notebook(),
        },
        [
            ("Bo Li", {"blackboard": "s100", "login": "s100"}, 1),
            ("Bo Li", {"blackboard": "s100", "login": "s100"}, 1),
            ("John Doe", {"blackboard": "john_doe", "login": "john_doe"}, 1),
            ("", {"blackboard": "jane_doe", "login": "jane_doe"}, 1),
        ],
    ),
    "brightspace": (
        [
            f"12345-67890 - N N - Nov 28, 2026 1101 PM/{NB}",
            f"12346-67890 - N N - Nov 28, 2026 921 AM/{NB}",
            f"12346-67890 - N N - Nov 29, 2026 921 AM/{NB}",
            "index.html",
        ],
        [
            ("N N", {"brightspace": "12345"}, 1),
            ("N N", {"brightspace": "12346"}, 1),
            ("N N", {"brightspace": "12346"}, 1),
        ],
    ),
    "gradescope": (
        {
            f"assignment_9_export/submission_1001/{NB}": notebook(),
            f"assignment_9_export/submission_1002/work/{NB}": notebook(),
            f"assignment_9_export/submission_1003/{NB}": notebook(),
            "assignment_9_export/submission_metadata.yml": METADATA,
        },
        [
            ("Ada Lovelace", {"number": "20260001", "email": "ada@x.org"}, 1),
            ("Li Wéi", {"email": "li@x.org"}, 1),
            ("O'Brien", {"number": "7", "email": "ob@x.org"}, 1),
            ("", {"gradescope": "submission_1003"}, 1),
        ],
    ),
    "sakai": (
        {
            f"Chapter 04/Lovelace, Ada(ada1)/Submission attachment(s)/{NB}": notebook(),
            "Chapter 04/Lovelace, Ada(ada1)/timestamp.txt": "20261128220230535",
            "Chapter 04/Lovelace, Ada(ada1)/comments.txt": "",
            "Chapter 04/Lovelace, Ada(ada1)/Feedback Attachment(s)/mine.ipynb": notebook(),
            f"Chapter 04/Li, Bo(bo)/Submission attachment(s)/{NB}": notebook(),
            "Chapter 04/grades.csv": "x",
        },
        [
            ("Lovelace, Ada", {"login": "ada1"}, 1),
            ("Li, Bo", {"login": "bo"}, 1),
        ],
    ),
    "google": (
        [f"N N - {NB}", "Bo Li - 04 (1).ipynb"],
        [("N N", {}, 1), ("Bo Li", {}, 1)],
    ),
    "github": (
        [
            f"ch-04-submissions/ch-04-ada-l/exercises/{NB}",
            "ch-04-submissions/ch-04-ada-l/README.md",
            f"ch-04-submissions/ch-04-bo/{NB}",
        ],
        [("", {"github": "ada-l"}, 2), ("", {"github": "bo"}, 1)],
    ),
    "numbers": (
        ["20260001.ipynb", "20260002.ipynb"],
        [("20260001", {}, 1), ("20260002", {}, 1)],
    ),
    "folder": (
        [f"all/ada/{NB}", f"all/O'Brien/{CHAPTER}/{NB}"],
        [("O'Brien", {}, 1), ("ada", {}, 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_whose_files_are_is_read_from_each_systems_names(system, packed, tmp_path):
    names, wanted = SYSTEMS[system]
    made = in_zip(tmp_path / "all.zip", names) if packed else in_folder(tmp_path / "all", names)
    reading = read(made)
    found = [one for entry in who(reading).values() for one in entry]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert reading.system == system.split(",")[0].replace("numbers", "folder")
    assert not reading.left


def test_repositories_are_known_by_their_git_folders(tmp_path):
    in_folder(tmp_path / "x", [f"hw-{n}/{p}" for n in ("ada", "bo") for p in (".git/HEAD", NB)])
    assert [e.who[0].ids for e in read(tmp_path / "x").entries] == [
        {"github": n} for n in ("ada", "bo")
    ]


def test_times_and_lateness_are_the_systems(tmp_path):
    for system in ("blackboard", "brightspace", "gradescope", "sakai", "canvas"):
        reading = read(in_folder(tmp_path / system, SYSTEMS[system][0]))
        times = sorted(e.time.strftime("%d %H:%M") for e in reading.entries if e.time)
        if system == "canvas":
            assert [e.late for e in reading.entries] == [False, True, False, False] or sorted(
                e.late for e in reading.entries
            ) == [False, False, False, True]
        elif system == "gradescope":
            assert [e.time.timestamp() for e in reading.entries if e.time] == [
                1795903260,
                1795903260,
            ]
        else:
            wanted = {
                "blackboard": ["28 20:00", "28 20:00", "28 23:01", "29 08:00"],
                "brightspace": ["28 09:21", "28 23:01", "29 09:21"],
                "sakai": ["28 22:02"],
            }
            assert times == wanted[system]


def test_a_download_that_could_be_of_two_systems_is_asked_about(tmp_path):
    in_folder(tmp_path / "x", [f"N N_1_assignsubmission_file/{NB}", f"nn_5_6_{NB}"])
    with pytest.raises(
        ValueError, match="1 names look like moodle's, 1 names look like canvas's.*--system moodle"
    ):
        read(tmp_path / "x")
    reading = read(tmp_path / "x", system="moodle")
    assert len(reading.entries) == 1 and "not named as moodle" in reading.left[f"nn_5_6_{NB}"]


def test_a_system_that_a_download_is_not_of_is_told(tmp_path):
    in_folder(tmp_path / "x", [f"ada/{NB}"])
    with pytest.raises(ValueError, match="nothing in it is named as canvas names"):
        read(tmp_path / "x", system="canvas")
    with pytest.raises(ValueError, match="'canvass' is none of moodle"):
        read(tmp_path / "x", system="canvass")


@pytest.mark.parametrize(
    "pattern, name, wanted",
    [
        ("{number}.ipynb", "0815.ipynb", ("", {"number": "0815"})),
        ("HW4-{login}/{file}", f"HW4-ada/in/{NB}", ("", {"login": "ada"})),
        ("HW4-{login}", f"HW4-ada/{NB}", ("", {"login": "ada"})),
        (
            "{last}, {first} ({email})_*.ipynb",
            "Li, Bo (b@x.org)_4.ipynb",
            ("Bo Li", {"email": "b@x.org"}),
        ),
        ("{group}/{name}-{*}.ipynb", "G1/Bo Li-x.ipynb", ("Bo Li", {})),
    ],
)
def test_names_of_ones_own_by_a_pattern(pattern, name, wanted, tmp_path):
    reading = read(in_folder(tmp_path / "x", [name, "other.ipynb"]), pattern=pattern)
    (entry,) = reading.entries
    assert (entry.who[0].name, dict(entry.who[0].ids)) == wanted
    assert list(reading.left) == ["other.ipynb"]


@pytest.mark.parametrize(
    "pattern, says",
    [("{nam}.ipynb", "none of name"), ("{name}{name}", "twice"), ("*.ipynb", "does not say who")],
)
def test_a_pattern_that_says_nothing_is_refused(pattern, says):
    with pytest.raises(ValueError, match=says):
        downloads.compiled(pattern)


@pytest.mark.parametrize(
    "name, word",
    [
        (f"li_{CHAPTER}", "li"), ("li_04", "li"), ("li_04 (1)", "li"), ("li-hw4_final", "li"), ("li", "li"),
        ("li Homework 4 copy", "li"), ("li_04-1", "li"), ("bo_chen_04", "bo_chen"), ("bo_hw4", "bo"),
        ("li_n_04", "li_n"), ("li_a_04", "li_a"), ("li.2_04", "li.2"), ("li-1", "li"),
        (f"li_chen_{CHAPTER}", "li_chen"), ("li_chen_04", "li_chen"), ("li_na_04", "li_na"), ("li_na", "li_na"),
        ("li_chen", None), ("li-chen", None), ("li chen hw4", None), ("li_04_chen", None), ("bo_chen", None),
    ],
)  # fmt: skip
def test_a_name_that_goes_on_is_not_that_of_who_has_its_beginning(name, word, tmp_path):
    reading = read(in_folder(tmp_path / "x", [f"{name}.ipynb"]), known={"li", "li_na"}.__contains__)
    assert [entry.who[0].word for entry in reading.entries] == ([word] if word else [])
    assert word or reading.left[f"{name}.ipynb"]


def test_nothing_that_a_student_may_name_tells_who_or_when(tmp_path):
    forged = METADATA.replace("Ada Lovelace", "Eve").replace("ada@x.org", "eve@x.org")
    names = {
        "gradescope": {
            f"submission_1001/{NB}": "",
            "submission_1001/submission_metadata.yml": forged,
        },
        "moodle": {
            f"Eve_1_assignsubmission_file/{n}": "20200101000000000" for n in (NB, "timestamp.txt")
        },
        "sakai": {
            f"E, E(e)/Submission attachment(s)/{n}": "20200101000000000"
            for n in (NB, "timestamp.txt")
        },
        "brightspace": {f"1-2 - Eve - Jan 1, 2020 100 PM - Nov 28, 2026 100 PM/{NB}": ""},
        "flat": {f"1-2 - Eve - Nov 28, 2026 100 PM - x - Jan 1, 2020 100 PM - {NB}": ""},
    }
    for system, made in names.items():
        reading = read(in_folder(tmp_path / system, made))
        if system == "flat":  # its own name, or the student's, may hold a time
            assert "two times in its name" in str(reading.left) and not reading.entries
            continue
        (entry,) = reading.entries
        assert entry.time is None or entry.time.year == 2026, system
        assert entry.who[0].ids.get("email") is None, system


def test_of_two_times_in_a_flat_name_neither_is_taken(tmp_path):
    names = [
        f"5-1 - Eve - Jan 1, 2020 900 AM - Nov 28, 2026 1101 PM - {NB}",
        f"5-2 - Bo - Nov 28, 2026 1101 PM - {NB}",
    ]
    reading = read(in_folder(tmp_path / "x", names))
    assert list(reading.left) == names[:1]
    assert [(e.who[0].name, e.time.year) for e in reading.entries] == [("Bo", 2026)]


# ------------------------------------------------------------------ files that are none


def test_links_pipes_hidden_files_and_names_that_are_no_text_are_told_and_not_waited_for(tmp_path):
    root = in_folder(
        tmp_path / "x", [f"ada/{NB}", f".zoe/{NB}", ".hid.ipynb", "ada/.DS_Store", "empty/"]
    )
    os.mkfifo(root / "pipe_1.ipynb")
    os.symlink(root / "ada" / NB, root / "ada" / "link.ipynb")
    (root / os.fsdecode(b"\xff_04.ipynb")).write_text("{}")
    reading = read(root)
    assert {name: why.split(",")[0] for name, why in reading.left.items()} == {
        ".zoe": "its name begins with a dot",
        ".hid.ipynb": "its name begins with a dot",
        "pipe_1.ipynb": "not an ordinary file",
        "ada/link.ipynb": "a link",
        "?_04.ipynb": "its name is no text; give it another",
        "empty": "there is nothing in that folder",
    }
    assert len(reading.entries) == 1


def test_a_zip_cannot_step_out_and_its_links_are_told(tmp_path):
    link = zipfile.ZipInfo("ada/link.ipynb")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    path = in_zip(
        tmp_path / "x.zip", [f"ada/{NB}", "../../out.ipynb", "/etc/abs.ipynb", "C:/win.ipynb"]
    )
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(link, "/etc/passwd")
    reading = read(path)
    assert len(reading.entries) == 1
    assert sorted(reading.left.values()) == ["a link"] + ["its path leads out of the zip"] * 3


def test_names_in_zips_are_read_in_their_encoding(tmp_path):
    def written(name, raw, extra=b"", utf8=False):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            info = zipfile.ZipInfo("x" * len(raw) + "/a.ipynb")
            info.extra = extra
            packed.writestr(info, notebook())
        data = (tmp_path / name).read_bytes().replace(b"x" * len(raw), raw)
        (tmp_path / name).write_bytes(data)
        return [e.who[0].word for e in read(tmp_path / name).entries]

    assert written("utf8.zip", "Zoë Øre".encode()) == ["Zoë Øre"]  # without the flag, as macOS does
    assert written("dos.zip", "Zoë".encode("cp437")) == ["Zoë"]
    import struct
    import zlib

    raw = b"Zo? \x81/a.ipynb"
    field = b"\1" + struct.pack("<L", zlib.crc32(raw)) + "Zoë 李/a.ipynb".encode()
    assert written("info.zip", b"Zo? \x81", struct.pack("<HH", 0x7075, len(field)) + field) == [
        "Zoë 李"
    ]


def test_backslashes_of_windows_are_folders(tmp_path):
    path = in_zip(tmp_path / "x.zip", ["ada/a.ipynb"])
    path.write_bytes(path.read_bytes().replace(b"ada/a", b"ada\\a"))
    assert [e.who[0].word for e in read(path).entries] == ["ada"]


def test_a_bomb_is_refused_when_it_has_said_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_FILE", 1 << 20)
    path = in_zip(tmp_path / "x.zip", {"ada/a.ipynb": b"0" * (3 << 20)})
    with files.opened(path) as tree, pytest.raises(files.Rejected, match="larger than 1 MB"):
        tree.files[0].read(1 << 20)
    zeros = in_zip(tmp_path / "b.zip", {"a": b"0" * (900 << 10)}).read_bytes()
    inner = in_zip(tmp_path / "in.zip", {f"{i}.zip": zeros for i in range(3)}).read_bytes()
    with files.opened(in_zip(tmp_path / "o.zip", {"ada/in.zip": inner})) as tree:
        found = [f.path for f in files.within(tree.files[0])]
    assert found == [("ada", "in.zip", f"{i}.zip", "a") for i in range(3)]
    # three zips in a zip, each of which may be as large as it is, and all together may not
    zips = {f"{i}.zip": bytes(400 << 10) + zeros for i in range(3)}
    inner = in_zip(tmp_path / "in.zip", zips).read_bytes()
    with files.opened(in_zip(tmp_path / "o.zip", {"ada/in.zip": inner})) as tree:
        with pytest.raises(files.Rejected, match="larger than"):
            files.within(tree.files[0])
    many = in_zip(tmp_path / "m.zip", {f"f{i}": "" for i in range(3000)})
    with files.opened(in_zip(tmp_path / "p.zip", {"ada/m.zip": many.read_bytes()})) as tree:
        with pytest.raises(files.Rejected, match="more than 2,000 files"):
            files.within(tree.files[0])


def test_what_is_no_zip_is_told(tmp_path):
    (tmp_path / "x.zip").write_text("no")
    with pytest.raises(ValueError, match="no zip that can be read.*download it again"):
        read(tmp_path / "x.zip")
    with pytest.raises(ValueError, match="there is no folder and no zip"):
        read(tmp_path / "y.zip")


def test_both_forms_of_an_accent_in_one_folder_are_two_entries(tmp_path):
    names = [unicodedata.normalize(form, "José") for form in ("NFC", "NFD")]
    reading = read(in_folder(tmp_path / "x", [f"{name}/{NB}" for name in names]))
    assert len(reading.entries) == 2
