"""From a download into submitted/: nobody's work replaces another's, nothing is lost, and all is told."""

import json
import os
import unicodedata
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from class_downloads import CHAPTER, in_folder, in_zip, notebook, text_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from maml_edu import places
from maml_edu.cli import app
from maml_edu.grading import hand_ins, people
from maml_edu.grading.classroom import Classroom
from maml_edu.grading.collect import How, collect
from maml_edu.grading.people import Roster
from maml_edu.grading.results import Result, save
from maml_edu.grading.submission import printable

NB = f"{CHAPTER}.ipynb"


@pytest.fixture
def room(tmp_path):
    root = tmp_path / "class"
    (root / "submitted").mkdir(parents=True)
    (root / "seed").write_text("x")
    (root / "nbgrader_config.py").write_text("")
    return Classroom(root)


def there(room, chapter=CHAPTER):
    """key → what the notebooks that count say."""
    return {
        folder.parent.name: sorted(text_in(p) for p in folder.glob("*.ipynb"))
        for folder in sorted((room.root / "submitted").glob(f"*/{chapter}"))
    }


def everything(room):
    """What all notebooks of the class folder say, with how often."""
    found = [p for top in ("submitted", "earlier") for p in (room.root / top).rglob("*.ipynb")]
    return Counter(text_in(path) for path in found)


def take(room, root, names, chapter=CHAPTER, **how):
    """Collect a folder of these files."""
    return collect(room, in_folder(root, names), chapter, How(**how))


# ------------------------------------------------------------------ D2: who is who


def test_the_second_of_two_namesakes_in_another_download_does_not_replace_the_first(room, tmp_path):
    take(room, tmp_path / "1", {f"N N_20056_assignsubmission_file/{NB}": notebook("first")})
    done = take(room, tmp_path / "2", {f"N N_20063_assignsubmission_file/{NB}": notebook("second")})
    assert there(room) == {"n_n": ["first"], "n_n-2": ["second"]}
    assert "n_n may be the same person" in " ".join(done.lines) and "--merge n_n-2 n_n" in " ".join(
        done.lines
    )


def test_a_late_hand_in_of_one_namesake_counts_for_that_one(room, tmp_path):
    both = [f"N N_{n}_assignsubmission_file/{NB}" for n in (20056, 20063)]
    take(room, tmp_path / "1", both)
    take(room, tmp_path / "2", {both[1]: notebook("late")})
    assert there(room) == {"n_n": [both[0]], "n_n-2": ["late"]}
    assert everything(room)[both[1]] == 1


def test_a_person_has_one_key_in_all_chapters_though_moodle_numbers_anew(room, tmp_path):
    take(room, tmp_path / "1", [f"Ada Lovelace_20056_assignsubmission_file/{NB}"])
    take(
        room,
        tmp_path / "2",
        ["Ada Lovelace_31000_assignsubmission_file/05.ipynb"],
        "05_linear_regression",
    )
    assert [(s.key, s.moodle) for s in Roster.of(room.root)] == [
        ("ada_lovelace", "04:20056 05:31000")
    ]


def test_namesakes_are_told_apart_in_the_next_chapter_by_the_worksheet(room, tmp_path):
    def worksheet(chapter, *numbers):
        lines = [f"Participant {n},N N,n{i}@x.org" for i, n in enumerate(numbers)]
        path = tmp_path / f"{chapter}.csv"
        path.write_text("\n".join(["Identifier,Full name,Email address", *lines]))
        return [path]

    for chapter, numbers in ((CHAPTER, (1, 2)), ("05_linear_regression", (9, 8))):
        names = {
            f"N N_{n}_assignsubmission_file/a.ipynb": notebook(f"n{i}")
            for i, n in enumerate(numbers)
        }
        take(room, tmp_path / chapter, names, chapter, lists=worksheet(chapter, *numbers))
        assert there(room, chapter) == {"n_n": ["n0"], "n_n-2": ["n1"]}


def test_two_attachments_in_canvas_are_one_hand_in_of_one_student(room, tmp_path):
    take(
        room,
        tmp_path / "1",
        [f"nn_509_880027_{NB}", "nn_509_889998_notes.ipynb", "nn_509_889999_helper.py"],
    )
    (own,) = hand_in_of(room)
    assert own.numbers == {"canvas": "509", "canvas submission": "880027 889998 889999"}
    assert own.stored == [NB, "notes.ipynb", "helper.py"] and own.late is False
    assert own.files[0] == f"nn_509_880027_{NB}"


def hand_in_of(room, chapter=CHAPTER):
    return [
        people.hand_in(folder, folder.parent.name, chapter)
        for folder in sorted((room.root / "submitted").glob(f"*/{chapter}"))
    ]


def test_both_forms_of_an_accent_are_one_person_in_two_downloads_and_two_in_one(room, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    take(room, tmp_path / "1", {f"{nfc}/{NB}": notebook("a")})
    take(room, tmp_path / "2", {f"{nfd}/{NB}": notebook("b")})
    assert list(there(room)) == [nfc]
    for _ in range(2):  # the second time nobody is new
        take(room, tmp_path / "3", {f"{nfc}/{NB}": notebook("c"), f"{nfd}/{NB}": notebook("d")})
        assert there(room) == {nfc: ["c"], f"{nfc}-2": ["d"]}


def test_a_person_whose_name_has_both_forms_is_nobody_new_when_collected_again(room, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    take(room, tmp_path / "1", {f"{nfd}_04.ipynb": notebook("d")})
    for _ in range(2):
        take(room, tmp_path / "2", {f"{n}_04.ipynb": notebook(n) for n in (nfc, nfd)})
        assert len(there(room)) == 2


def test_canvas_names_find_the_people_of_its_gradebook(room, tmp_path):
    (tmp_path / "g.csv").write_text(
        'Student,ID,SIS Login ID,Section\n"García López, José",7,jose,A\n'
    )
    take(room, tmp_path / "1", [f"garcíalópezjosé_7_1_{NB}"], lists=[tmp_path / "g.csv"])
    assert [(s.key, s.name) for s in Roster.of(room.root)] == [
        ("jose_garcia_lopez", "José García López")
    ]


def test_anonymous_hand_ins_are_kept_apart_and_found_again(room, tmp_path):
    names = [f"anon_1a2b3_880027_{NB}", f"anon_9zXy8_LATE_880028_{NB}", f"anon_9zxy8_880029_{NB}"]
    for _ in range(2):
        take(room, tmp_path / "1", names)
        assert len(there(room)) == 3 == len(Roster.of(room.root))
    assert [own.late for own in hand_in_of(room)].count(True) == 1


def test_a_number_alone_finds_its_student(room, tmp_path):
    (room.root / "students.csv").write_text("key,name,number\nada,Ada,0020260001\n")
    take(room, tmp_path / "1", ["20260001.ipynb"])
    assert list(there(room)) == ["ada"]


def test_what_is_the_key_of_one_and_the_login_of_another_is_left_out_and_told(room, tmp_path):
    (room.root / "students.csv").write_text("key,name,login\nli,Li,lixx\nwz,Wei Zhang,li\n")
    names = {f"lixx/{NB}": notebook("Li's"), f"li/{NB}": notebook("Wei's")}
    for _ in range(2):
        done = take(room, tmp_path / "1", names)
        assert there(room) == {"li": ["Li's"]} and len(Roster.of(room.root)) == 2
        assert [(one.what, one.why[:18]) for one in done.left] == [("li", "it can be li or wz")]
    take(room, tmp_path / "1", names, pattern="{login}/{file}")
    assert there(room) == {"li": ["Li's"], "wz": ["Wei's"]}


@pytest.mark.parametrize("numbers", ["555-{}", "{}-555"])
def test_one_person_in_a_brightspace_download_has_no_number_but_a_known_one(
    room, tmp_path, numbers
):
    def single(place, number, name, text):
        folder = f"{numbers.format(number)} - {name} - Nov {place}, 2026 1101 PM"
        take(room, tmp_path / str(place), {f"{folder}/{NB}": notebook(text)})
        return there(room)

    single(1, 1001, "Ada", "ada's")
    assert single(2, 1002, "Bob", "bob's") == {"ada": ["ada's"], "bob": ["bob's"]}
    assert not any(s.others.get("brightspace") for s in Roster.of(room.root))
    (room.root / "students.csv").write_text("key,name,brightspace\nada,Ada,1001\nbob,Bob,1002\n")
    assert single(3, 1001, "A. Lovelace", "ada's 2")["ada"] == ["ada's 2"]
    assert single(4, 1003, "Bob", "another Bob's")["bob-2"] == ["another Bob's"]


def test_anothers_name_on_a_known_number_is_told(room, tmp_path):
    take(room, tmp_path / "1", [f"lovelaceada_509_880026_{NB}"])
    done = take(room, tmp_path / "2", [f"turingalan_509_880027_{NB}"])
    assert "lovelaceada: canvas 509 is lovelaceada in students.csv, and turingalan here" in str(
        done.lines
    )


def test_flat_files_are_one_hand_in_of_one_person_or_that_is_told(room, tmp_path):
    (room.root / "students.csv").write_text("key,name,login\nli,Li Na,ln\nbo,Bo,b\n")
    done = take(room, tmp_path / "1", ["li_chen_04.ipynb", "li_04.ipynb", "bo_04.ipynb"])
    assert there(room) == {key: [f"{key}_04.ipynb"] for key in ("bo", "li", "li_chen")}
    assert "li_chen is new" in " ".join(done.lines)
    done = take(room, tmp_path / "2", ["li_04.ipynb", "li_04_final.ipynb"])
    assert "taken for one hand-in, of li" in " ".join(done.lines)
    done = take(room, tmp_path / "3", ["li_04.ipynb", "ln_04.ipynb"])
    assert "li: 2 hand-ins under different names" in " ".join(done.lines)


def test_two_of_one_download_are_never_one_person_by_a_name(room, tmp_path):
    (room.root / "students.csv").write_text("key,name,canvas\nada,Ada Lovelace,7\n")
    take(room, tmp_path / "1", [f"lovelaceada_7_1_{NB}", f"Ada Lovelace/{NB}"])
    assert list(there(room)) == ["ada", "Ada Lovelace"] or len(there(room)) == 2


def test_a_canvas_name_that_ends_in_anothers_number_is_not_that_other(room, tmp_path):
    names = {
        f"victim_507_880020_{NB}": notebook("victim"),
        f"eve_507_509_880027_{NB}": notebook("eve"),
    }
    done = take(room, tmp_path / "1", names)
    assert there(room) == {"victim": ["victim"]}
    assert "read in two ways" in done.left[0].why
    take(room, tmp_path / "2", {"victim_507_880031_20260001_a.ipynb": notebook("later")})
    assert there(room) == {"victim": ["later"]}


# ------------------------------------------------------------------ B11: names that step out


def test_names_that_step_out_of_the_folder_do_not(room, tmp_path):
    before = set(room.root.parent.iterdir())
    done = take(
        room,
        tmp_path / "class2" / "d",
        [" .._04.ipynb", "_x.ipynb", "..._04.ipynb", "a\\..\\b_04.ipynb"],
    )
    inside = {p.relative_to(room.root).parts[0] for p in room.root.rglob("*.ipynb")}
    assert inside == {"submitted"} and set(room.root.parent.iterdir()) - before == {
        tmp_path / "class2"
    }
    assert all(people.is_key(key) for key in there(room)) and len(there(room)) == 2
    assert {one.what: one.why.split(",")[0] for one in done.left} == {
        "_x.ipynb": "the file does not begin with a student's name",
        "..._04.ipynb": "its name begins with a dot",
    }


def test_a_display_name_that_looks_like_moodles_number_is_nobody_elses(room, tmp_path):
    names = [
        f"Eve_77_assignsubmission_file_88_assignsubmission_file/{NB}",
        f"Eve_77_assignsubmission_file/{NB}",
    ]
    take(room, tmp_path / "1", names)
    assert sorted(there(room).values()) == sorted([name] for name in names)


# ------------------------------------------------------------------ D9, D10: nothing is lost


def test_both_notebooks_of_one_hand_in_are_kept(room, tmp_path):
    take(room, tmp_path / "1", [f"ada/{NB}", f"ada/{CHAPTER} (1).ipynb", "ada/data.csv"])
    assert sorted(p.name for p in (room.root / "submitted/ada" / CHAPTER).iterdir()) == [
        f"{CHAPTER} (1).ipynb", NB, "data.csv", "handed_in.json", "timestamp.txt",
    ]  # fmt: skip


def with_result(room, key, points=11.0):
    own = people.hand_in(hand_ins.place(room.root, key, CHAPTER), key, CHAPTER)
    save(room.results, Result(key, CHAPTER, "graded", sha256=own.sha256[0]))
    return room.results / CHAPTER / f"{key}.json"


def test_the_earlier_hand_in_and_its_result_are_kept(room, tmp_path):
    take(room, tmp_path / "1", {f"ada/{NB}": notebook("good")})
    result = with_result(room, "ada").read_bytes()
    done = take(room, tmp_path / "2", {f"ada/{NB}": notebook("cut off")})
    assert there(room) == {"ada": ["cut off"]} and done.counts == {"ada": "newer"}
    ((stamp, own),) = hand_ins.earlier(room.root, "ada", CHAPTER)
    folder = room.root / "earlier/ada" / CHAPTER / stamp
    assert text_in(folder / NB) == "good" and own.collected == stamp
    assert hand_ins.earlier_result(room.root, "ada", CHAPTER, stamp).read_bytes() == result
    assert not (room.results / CHAPTER / "ada.json").exists()


def test_an_old_class_keeps_its_keys_its_results_and_what_was_replaced(room, tmp_path):
    in_folder(
        room.root,
        {f"submitted/{k}/{CHAPTER}/{NB}": notebook(k) for k in ("Ada L", "nn_509", "Bo Li_77")},
    )
    result = with_result(room, "Ada L").read_bytes()
    names = [f"Ada L/{NB}", f"Bo Li_77_assignsubmission_file/{NB}"]
    take(room, tmp_path / "1", names)
    take(room, tmp_path / "2", [f"nn_509_880027_{NB}"])
    assert list(there(room)) == ["Ada L", "Bo Li_77", "nn_509"]
    assert all(everything(room)[key] == 1 for key in ("Ada L", "nn_509", "Bo Li_77"))
    ((stamp, _),) = hand_ins.earlier(room.root, "Ada L", CHAPTER)
    assert hand_ins.earlier_result(room.root, "Ada L", CHAPTER, stamp).read_bytes() == result


def test_what_is_older_than_what_counts_goes_to_earlier_and_that_is_told(room, tmp_path):
    take(room, tmp_path / "1", {f"ada/{NB}": notebook("new")})
    old = in_folder(tmp_path / "2", {f"ada/{NB}": notebook("old")}, {f"ada/{NB}": 1e9})
    for _ in range(2):
        done = collect(room, old, CHAPTER)
        assert there(room) == {"ada": ["new"]} and everything(room)["old"] == 1
        if done.counts["ada"] == "older":
            assert (
                "what is in submitted/ is newer, and stays; these went to earlier/: ada."
                in done.lines
            )
    assert done.counts == {"ada": "same"}


def test_of_several_attempts_the_last_counts_and_all_are_kept(room, tmp_path):
    hours = ("Nov 28, 2026 1101 PM", "Nov 29, 2026 921 AM", "Nov 27, 2026 100 PM")
    take(
        room,
        tmp_path / "1",
        {f"5-9 - Ada L - {h}/{NB}": notebook(h) for h in hours}
        | {f"6-9 - B - {hours[0]}/{NB}": notebook()},
    )
    assert there(room)["ada_l"] == [hours[1]]
    kept = hand_ins.earlier(room.root, "ada_l", CHAPTER)
    assert [own.moment.strftime("%d %H:%M") for _, own in kept] == ["27 13:00", "28 23:01"]
    stamp = (room.root / "submitted/ada_l" / CHAPTER / "timestamp.txt").read_text()
    assert (
        datetime.fromisoformat(stamp.strip().replace(" UTC", "+00:00"))
        == datetime(2026, 11, 29, 9, 21).astimezone()
    )


def test_the_same_again_changes_nothing(room, tmp_path):
    names = [f"ada/{NB}", f"bo/{NB}"]
    take(room, tmp_path / "1", names)
    before = {p: p.stat().st_mtime_ns for p in room.root.rglob("*.ipynb")}
    done = take(room, tmp_path / "1", names)
    assert done.counts == {"ada": "same", "bo": "same"}
    assert {p: p.stat().st_mtime_ns for p in room.root.rglob("*.ipynb")} == before


def test_several_downloads_at_once_and_zips_as_they_come(room, tmp_path):
    one = in_zip(tmp_path / "1.zip", [f"Ada L_1_assignsubmission_file/{NB}"])
    hers = in_zip(
        tmp_path / "own.zip", {f"work/{CHAPTER}.ipynb": notebook("zipped"), "__MACOSX/._x": "junk"}
    )
    two = in_zip(
        tmp_path / "2.zip", {"Bo Li_2_assignsubmission_file/my work.zip": hers.read_bytes()}
    )
    collect(room, [one, two], CHAPTER)
    assert there(room) == {"ada_l": [f"Ada L_1_assignsubmission_file/{NB}"], "bo_li": ["zipped"]}
    assert hand_in_of(room)[0].time_from == "file"


def test_what_is_left_out_is_in_left_out_csv_once(room, tmp_path):
    bad = {
        "ada/a.pdf": "x",
        "bo/hw.rar": "x",
        "cy/broken.zip": "x",
        "photo.png": "x",
        f"di/{NB}": notebook(),
    }
    for _ in range(2):
        done = take(room, tmp_path / "1", bad)
    told = {one.what: (one.student, one.why) for one in people.left_out(room.root, CHAPTER)}
    assert told == {
        "photo.png": ("", "no notebook"),
        "ada": ("ada", "no notebook in it, but a.pdf"),
        "bo": ("bo", "no notebook in it, but hw.rar; unpack it, or ask for a .zip"),
        "cy": ("cy", "no notebook in it, but nothing"),
        "cy: broken.zip": ("cy", "broken.zip is no zip that can be read"),
    }
    assert done.missing == ["ada", "bo", "cy"] and "handed in nothing: ada, bo, cy" in done.lines
    assert len(people.left_out(room.root)) == 5 and len(people.left_out(room.root, "05_x")) == 0


def test_a_hand_in_without_a_notebook_does_not_replace_one_that_has(room, tmp_path):
    take(room, tmp_path / "1", {f"ada/{NB}": notebook("good")})
    take(room, tmp_path / "2", {"ada/a.pdf": "x"})
    assert (
        there(room) == {"ada": ["good"]}
        and hand_ins.missing(room.root, Roster.of(room.root), CHAPTER) == []
    )


def test_a_bomb_is_left_out_and_fills_no_disk(room, tmp_path, monkeypatch):
    from maml_edu.grading import files

    monkeypatch.setattr(files, "LARGEST_FILE", 1 << 20)
    bomb = in_zip(tmp_path / "b.zip", {"a.ipynb": b"0" * (4 << 20)})
    done = take(
        room, tmp_path / "1", {"eve/b.zip": bomb.read_bytes(), f"ada/{NB}": notebook("good")}
    )
    assert there(room) == {"ada": ["good"]}
    assert ("eve", "a.ipynb is larger than 1 MB") in [(one.student, one.why) for one in done.left]
    assert sum(p.stat().st_size for p in room.root.rglob("*") if p.is_file()) < 1 << 20


def test_two_files_of_one_name_and_nothing_else_to_tell_by_are_left_out(room, tmp_path):
    names = [f"N N - {NB}", "N N - other.ipynb", f"Bo Li - {NB}"]
    done = take(room, tmp_path / "1", names)
    assert list(there(room)) == ["bo_li"]
    assert "may be two people's" in done.left[0].why and "N N" in done.left[0].what


def test_the_lesson_handed_in_for_the_exercises_is_told(room, tmp_path):
    lesson = (places.course_root() / "notebooks" / NB).read_text("utf-8")
    done = take(room, tmp_path / "1", {f"ada/{NB}": lesson, f"bo/{NB}": notebook()})
    assert [line for line in done.lines if "lesson" in line] == [
        f"ada: {NB} is the lesson of the chapter, not its exercises"
    ]


def test_of_a_repository_of_all_chapters_this_ones_notebook_is_taken(room, tmp_path):
    other = "05_maml_by_hand"
    from maml_edu.grading.classroom import with_exercises

    other = next(name for name in with_exercises() if name != CHAPTER)
    names = [f"{r}/{c}/{c}.ipynb" for r in ("hw-ada", "hw-bo") for c in (CHAPTER, other)]
    take(room, tmp_path / "1", [*names, "hw-ada/.git/HEAD", "hw-bo/.git/HEAD"])
    assert there(room) == {r: [f"hw-{r}/{CHAPTER}/{NB}"] for r in ("ada", "bo")}


def test_the_first_work_handed_in_again_without_a_systems_time_is_told(room, tmp_path):
    def put(turn, text):
        name = f"lovelaceada_509_88000{turn}_{NB}"
        root = in_folder(tmp_path / str(turn), {name: notebook(text)}, {name: 1.7e9 + turn})
        return collect(room, root, CHAPTER)

    put(1, "A"), put(2, "B")
    assert put(3, "A").counts == {"lovelaceada": "before"}
    assert "handed in again what is in earlier/" in " ".join(put(3, "A").lines)
    assert there(room) == {"lovelaceada": ["B"]}
    assert put(1, "A").counts == put(2, "B").counts == {"lovelaceada": "same"}  # the same downloads


def test_what_was_passed_over_in_a_students_own_zip_is_told(room, tmp_path):
    inner = in_zip(tmp_path / "i.zip", {".more.ipynb": notebook("hidden"), "x.py": "x"})
    names = {NB: notebook("good"), "../../x.ipynb": notebook("out"), "i.zip": inner.read_bytes()}
    outer = in_zip(tmp_path / "o.zip", names)
    done = take(room, tmp_path / "1", {"eve/o.zip": outer.read_bytes(), f"ada/{NB}": notebook()})
    assert {one.what: one.why for one in done.left if one.student == "eve"} == {
        "eve: o.zip/../../x.ipynb": "its path leads out of the zip",
        "eve: o.zip/i.zip/.more.ipynb": "its name begins with a dot, so it is hidden; give it another",
    }


# ------------------------------------------------------------------ groups


def test_a_group_shares_its_newest_hand_in_and_what_was_a_members_own_is_kept(room, tmp_path):
    (room.root / "students.csv").write_text(
        "key,name,group\nada,Ada,G 1\nbo,Bo,G 1\ncy,Cy,g 1\ndi,Di,\n"
    )
    names = {
        f"ada/{NB}": notebook("older"),
        f"bo/{NB}": notebook("newer"),
        f"di/{NB}": notebook("di"),
    }
    times = {f"ada/{NB}": 1.7e9, f"bo/{NB}": 1.7e9 + 60}
    for _ in range(2):
        done = collect(room, in_folder(tmp_path / "1", names, times), CHAPTER)
        assert there(room) == {"ada": ["newer"], "bo": ["newer"], "cy": ["newer"], "di": ["di"]}
        assert everything(room)["older"] == 1
    assert done.missing == []
    assert {own.student: (own.group, own.by) for own in hand_in_of(room)} == {
        "ada": ("G 1", "bo"), "bo": ("", ""), "cy": ("g 1", "bo"), "di": ("", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    "planted",
    [{"stored": ["/etc/hostname"]}, {"stored": [5]}, {"sha256": [5, "a"]}, {"collected": 5}],
)
def test_a_handed_in_json_among_the_files_of_a_member_is_as_if_it_were_not_there(
    room, tmp_path, planted
):
    (room.root / "students.csv").write_text("key,name,group\neve,Eve,g\nbo,Bo,g\n")
    said = {"student": "eve", "chapter": CHAPTER, "time": "2030-01-01T00:00:00Z"}
    said |= {"time_from": "download", "sha256": ["q"]} | planted
    in_folder(
        room.root / "submitted/eve" / CHAPTER,
        {f"{CHAPTER}.ipynb": notebook("eve"), "handed_in.json": json.dumps(said)},
    )
    collect(room, in_folder(tmp_path / "d", {f"bo/{CHAPTER}.ipynb": notebook("bo")}), CHAPTER)
    assert {own.student: own.stored for own in hand_in_of(room)} == {
        "eve": [f"{CHAPTER}.ipynb"],
        "bo": [f"{CHAPTER}.ipynb"],
    }


def test_a_hand_in_named_after_a_group_is_all_its_members(room, tmp_path):
    (room.root / "students.csv").write_text("key,name,group\nada,Ada,Team A\nbo,Bo,Team A\n")
    take(room, tmp_path / "1", {f"Team A/{NB}": notebook("ours")})
    assert there(room) == {"ada": ["ours"], "bo": ["ours"]}
    take(room, tmp_path / "2", {f"teama_LATE_7_8_{NB}": notebook("canvas")})
    assert there(room) == {"ada": ["canvas"], "bo": ["canvas"]} and len(Roster.of(room.root)) == 2


def test_moodles_groups_stand_before_the_names_of_known_people(room, tmp_path):
    (room.root / "students.csv").write_text("key,name\nada,Ada L\nam,Anne-Marie L\n")
    take(
        room,
        tmp_path / "1",
        [
            f"Group 1-{n}_{i}_assignsubmission_file/{NB}"
            for i, n in enumerate(("Ada L", "Anne-Marie L"))
        ],
    )
    assert list(there(room)) == ["ada", "am"]


def test_gradescopes_submitters_share_a_hand_in(room, tmp_path):
    about = "---\nsubmission_1:\n  :submitters:\n"
    for name, number in (("Ada L", 1), ("Bo", 2)):
        about += f"  - :name: {name}\n    :sid: '{number}'\n    :email: {number}@x\n"
    take(
        room,
        tmp_path / "1",
        {f"submission_1/{NB}": notebook("ours"), "submission_metadata.yml": about},
    )
    assert there(room) == {"ada_l": ["ours"], "bo": ["ours"]}
    assert all(own.group == "submission_1" for own in hand_in_of(room))
    assert [s.group for s in Roster.of(room.root)] == ["", ""]  # the next chapter's may be another


# ------------------------------------------------------------------ merge


def test_merging_two_keys_loses_nothing(room, tmp_path):
    times = {f"a/{NB}": 1.7e9, f"b/{NB}": 1.7e9 + 60}
    collect(room, in_folder(tmp_path / "1", {n: notebook(n[0]) for n in times}, times), CHAPTER)
    in_folder(room.root, {f"submitted/a/05_x/{NB}": notebook("only a's")})
    take(room, tmp_path / "2", {f"a/{NB}": notebook("a2"), f"b/{NB}": notebook("b2")})
    with_result(room, "a"), with_result(room, "b")
    (room.root / "marks").mkdir()
    by_hand = room.root / "marks/by_hand.csv"
    by_hand.write_text("student,exercise,points,comment\na,w4,1,\nb,w5,2,\na,w5,3,\n")
    told = hand_ins.merge(room.root, "a", "b")
    assert everything(room) == Counter(["a", "b", "a2", "b2", "only a's"])
    assert list(there(room)) == ["b"] and there(room, "05_x") == {"b": ["only a's"]}
    assert "both have a line" in " ".join(told)
    assert by_hand.read_text() == "student,exercise,points,comment\nb,w4,1,\nb,w5,2,\na,w5,3,\n"
    results = {
        p.relative_to(room.results / CHAPTER).as_posix().split("/")[0]
        for p in room.results.rglob("*.json")
    }
    assert results == {"b.json", "earlier"}
    assert all(json.loads(p.read_bytes())["student"] == "b" for p in room.results.rglob("*.json"))
    assert [s.key for s in Roster.of(room.root)] == ["b"] and not (
        room.root / "submitted/a"
    ).exists()
    with pytest.raises(ValueError, match="nobody in students.csv has the key 'a'"):
        hand_ins.merge(room.root, "a", "b")


# ------------------------------------------------------------------ killed


def test_merging_keeps_lines_about_different_answers(room, tmp_path):
    take(room, tmp_path / "1", [f"a/{NB}", f"b/{NB}"])
    (room.root / "marks").mkdir()
    path = room.root / "marks/by_hand.csv"
    lines = ["student,exercise,points,comment,answer", "a,w4,1,,sha-1", "b,w4,2,,sha-2"]
    path.write_text("\n".join([*lines, "a,w5,1,,sha-3", "b,w5,2,,sha-3", ""]))
    told = [line for line in hand_ins.merge(room.root, "a", "b") if "by_hand" in line]
    assert told == ["marks/by_hand.csv, w5: both have a line; keep one of them"]
    assert path.read_text().splitlines()[1:4] == ["b,w4,1,,sha-1", "b,w4,2,,sha-2", "a,w5,1,,sha-3"]


class Killed(BaseException):
    pass


STEPS = ("rename", "replace", "utime", "mkdir", "unlink", "rmdir")


def killed_at(monkeypatch, step):
    """Die at the step-th change of the disk, or after it."""
    count = [0]
    for name in STEPS:
        real = getattr(os, name)

        def wrapped(*a, real=real, **k):
            count[0] += 1
            if count[0] == step:
                raise Killed
            return real(*a, **k)

        monkeypatch.setattr(os, name, wrapped)
    return count


def test_killed_at_any_step_nothing_is_lost_and_a_rerun_finishes(tmp_path):
    old = {
        f"{k}_{i}_assignsubmission_file/{NB}": notebook(f"old {k}")
        for i, k in enumerate(("ada", "bo"))
    }
    new = {name: text.replace("old", "new") for name, text in old.items()}
    one, two = in_folder(tmp_path / "1", old), in_folder(tmp_path / "2", new)
    step, finished = 0, False
    while not finished:
        step += 1
        room = Classroom(tmp_path / f"class{step}")
        (room.root / "submitted").mkdir(parents=True)
        collect(room, one, CHAPTER)
        result = with_result(room, "ada").read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            count = killed_at(patch, step)
            try:
                collect(room, two, CHAPTER)
                finished = count[0] < step
            except Killed:
                pass
        assert everything(room).keys() >= {"old ada", "old bo"}, step
        assert [p for p in room.results.rglob("*.json") if p.read_bytes() == result], step
        collect(room, two, CHAPTER)
        assert there(room) == {"ada": ["new ada"], "bo": ["new bo"]}, step
        assert everything(room) == Counter(["old ada", "old bo", "new ada", "new bo"]), step
        ((stamp, _),) = hand_ins.earlier(room.root, "ada", CHAPTER)
        assert hand_ins.earlier_result(room.root, "ada", CHAPTER, stamp).read_bytes() == result, (
            step
        )
        assert not (room.root / hand_ins.READY).exists()
        assert len(Roster.of(room.root)) == 2, step
    assert step > 15


def test_a_merge_killed_at_any_step_goes_on(tmp_path):
    step, finished = 0, False
    times = {f"a/{NB}": 1.7e9 + 60, f"b/{NB}": 1.7e9}
    download = in_folder(tmp_path / "1", {n: notebook(n[0]) for n in times}, times)
    while not finished:
        step += 1
        room = Classroom(tmp_path / f"class{step}")
        (room.root / "submitted").mkdir(parents=True)
        collect(room, download, CHAPTER)
        with_result(room, "a"), with_result(room, "b")
        with pytest.MonkeyPatch.context() as patch:
            count = killed_at(patch, step)
            try:
                hand_ins.merge(room.root, "a", "b")
                finished = count[0] < step
            except Killed:
                pass
        assert everything(room) == Counter("ab"), step
        if "a" in Roster.of(room.root):
            hand_ins.merge(room.root, "a", "b")
        assert there(room) == {"b": ["a"]} and everything(room) == Counter("ab"), step
        assert sorted(
            json.loads(p.read_bytes())["student"] for p in room.results.rglob("*.json")
        ) == ["b", "b"], step
    assert step > 5


# ------------------------------------------------------------------ any download

NAMES = st.sampled_from(
    ["N N", "n n", "José", unicodedata.normalize("NFD", "José"), "ada", "Ada", "Li, Bo", "Bo Li"]
    + ["x_1", "..", "CON", "李雷", " a", "04"]
) | st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)
NUMBERS = st.integers(1, 6)
FORMS = {
    "moodle": "{name}_{number}_assignsubmission_file/{file}.ipynb",
    "moodle flat": "{name}_{number}_assignsubmission_file_{file}.ipynb",
    "canvas": "{name}_{number}_900001_{file}.ipynb",
    "brightspace": "{number}-77 - {name} - Nov 28, 2026 1101 PM/{file}.ipynb",
    "sakai": "{name}, x(login{number})/Submission attachment(s)/{file}.ipynb",
    "folder": "{name}/{file}.ipynb",
    "flat": "{name}_{file}.ipynb",
}


@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_two_entries_end_in_one_folder_unless_they_are_one_person_and_nothing_is_lost(
    data, form, tmp_path_factory
):
    root = tmp_path_factory.mktemp("any")
    room = Classroom(root / "class")
    (room.root / "submitted").mkdir(parents=True)
    given_ = data.draw(
        st.lists(st.lists(st.tuples(NAMES, NUMBERS), max_size=6), min_size=1, max_size=3)
    )
    whose = {}
    for turn, entries in enumerate(given_):
        names = {}
        for place, (name, number) in enumerate(entries):
            path = FORMS[form].format(name=name, number=number, file=f"f{place}")
            if any(len(part.encode()) > 200 for part in path.split("/")) or path.startswith("."):
                continue
            text = f"{turn} {place}"
            names[path] = notebook(text)
            whose[text] = (unicodedata.normalize("NFC", name).casefold(), number, name)
        if form == "brightspace":  # of one person alone no number is known
            names[FORMS[form].format(name="zz", number=9, file="f9")] = notebook(f"{turn} 9")
            whose[f"{turn} 9"] = ("zz", 9, "zz")
        try:
            done = collect(room, in_zip(root / f"{turn}.zip", names), CHAPTER)
        except ValueError as error:
            assert "--system" in str(error)
            return
        laid = everything(room)
        left = " ".join(one.what for one in done.left)
        for path, text in names.items():
            said = json.loads(text)["cells"][0]["source"]
            assert laid[said] >= 1 or printable(path.split("/")[0]) in left, (path, done.left)
        again = everything(room), there(room)
        collect(room, root / f"{turn}.zip", CHAPTER)
        assert (everything(room), there(room)) == again
    for key in {p.parts[-3] for p in (room.root / "submitted").glob("*/*/*.ipynb")}:
        own = [
            whose[text_in(p)]
            for top in ("submitted", "earlier")
            for p in (room.root / top / key).rglob("*.ipynb")
        ]
        if form in ("folder", "flat"):
            assert len({people.folded(name) for name, _, _ in own}) == 1, own
        else:
            assert len({number for _, number, _ in own}) == 1, own


# ------------------------------------------------------------------ the command


def test_the_command_takes_a_zip_and_says_what_became_of_it(room, tmp_path):
    path = in_zip(
        tmp_path / "all.zip", {f"Ada L_1_assignsubmission_file/{NB}": notebook(), "photo.png": b"x"}
    )
    line = ["classroom", "collect", str(path), "--chapter", "04", "--class", str(room.root)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.exception
    assert (
        "1 students' notebooks were copied" in done.output and "left out: photo.png" in done.output
    )
    assert "1 people are new in students.csv" in done.output
    assert Path(room.root / "students.csv").is_file()
