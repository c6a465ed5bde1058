"""A term in one test: forty people, six chapters, three systems, marks by hand, killed and gone on with.

`TERM` is the script: a line a person, a cell a chapter. The test plays it twice, once undisturbed and once with
kills, by the commands that a teacher types; what must come out is worked out below, by plain arithmetic.
"""

import csv
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from class_downloads import in_zip
from typer.testing import CliRunner

from maml_edu import places
from maml_edu.cli import app
from maml_edu.grading import classroom, marks
from maml_edu.grading.cells import digest
from maml_edu.grading.sandbox import box

pytestmark = pytest.mark.skipif(bool(box.probe()), reason=f"no sandbox here: {box.probe()}")

# ------------------------------------------------------------------ the script of the term

# s: all right. w: the first exercise wrong. h: no words of their own. b: blank. x: a file that was cut off.
# e: as s, with other words of their own. -: nothing. =: nothing, but somebody of the group does.
# a>b: a second hand-in, b. +2d, +10m: so long after the deadline.
TERM = """
01   02    03       04   05    06    | login      | group  | key                   | name
s    s     s        s    s     s     | ada        |        | ada_lovelace          | Ada Lovelace
s    s     w        s    w>s   s     | jnunez     |        | jose_nunez            | José Núñez
s    -     s        s    s     h     | jnunez2    |        | jose_nunez-2          | Jose Nunez
w    s     s+1d     s    s     s     | amelie     |        | amelie_poulain        | Amélie Poulain
s    s>e   s        s    s     s     | liwei      |        | 李伟                    | 李伟
s    w     s        b    s     s     | wwang      |        | wei_wang              | Wei Wang
b    s     h        s    -     w     | wwang2     |        | wei_wang-2            | Wei Wang
s    s     s        w    s>w   s     | msilva     |        | maria_silva           | Maria Silva
h    -     w        s    s     s+3d  | msilva7    |        | maria_silva-2         | Maria Silva
s    s     s+2d     s    s     s     | mali       |        | محمد_علي              | محمد علي
w>s  s     s        s    w     s     | dcohen     |        | דוד_כהן               | דוד כהן
s    s     s        s    s     w>s   | zfox       |        | zoe_fox               | Zoë 🦊 Fox
s    h     s        x    s     s     | sobrien    |        | siobhan_o_brien       | Siobhán O'Brien
s    s     s+9d     s    s     s     | gdangelo   |        | gianni_d_angelo       | Gianni D’Angelo
s    s+1d  s        s    s     s     | nguyen     |        | nguyen_thi_minh_khai  | Nguyễn Thị Minh Khai
x>s  s     s        s    s     -     | iivanov    |        | иван_иванов           | Иван Иванов
s    s     w+10m    s    s     s     | sato       |        | 佐藤_さくら                | 佐藤 さくら
s    s     s        s    b>h   s     | kim        |        | 김민준                   | 김민준
s    s>e   s        s    s     s     | priya      |        | प्रिया_शर्मा          | प्रिया शर्मा
-    -     -        -    -     -     | gone       |        | nobody_at_all         | Nobody At-All
s    s     s+16m    s    s     s     | layinka    | Turing | olayinka_oyelaran     | Ọláyínká Oyèláràn
=    =     =        =    =     =     | bjork      | Turing | bjork_guðmundsdottir  | Björk Guðmundsdóttir
=    =     =        =    =     =     | gosia      | Turing | małgorzata_wisniewska | Małgorzata Wiśniewska
s    w     =        =    w>s   w     | jvdb       | 群 2    | jan_van_den_berg      | Jan van den Berg
=    =     s        s    =     s+1d  | amc_donald | 群 2    | anne_marie_mc_donald  | Anne-Marie Mc Donald
s    s>w   h>s+1d   s    s     =     | sukarno    | Ω-team | sukarno               | Sukarno
=    =     =        =    =     s     | giorgos    | Ω-team | γιωργος_παπαδοπουλος  | Γιώργος Παπαδόπουλος
=    =     =        =    =     =     | irem       | Ω-team | irem_yılmaz           | İrem Yılmaz
s    s     s        s    s     s     | bobby      |        | sum_a1_bobby          | =SUM(A1) Bobby
s    s     b        s    s+1d  s     | kaiulani   |        | kaʻiulani_kalani      | Kaʻiulani Kalani
s    b     s        s    w     s     | somchai    |        | สมชาย_ใจดี            | สมชาย ใจดี
s    s     s        s    s     s+30d | abebe      |        | አበበ_ቢቂላ               | አበበ ቢቂላ
s    x     s        s    s     s     | nino       |        | ნინო_ბერიძე           | ნინო ბერიძე
w    w     w        w    w     w     | aram       |        | արամ_խաչատրյան        | Արամ Խաչատրյան
b    b     b        b    b     b     | octopus    |        | student               | 🐙
s    s     s        s    e>s   s     | shohei     |        | otani_shohei          | Ōtani Shōhei
s    s     s        h    x>s   s     | chloe      |        | chloe_d_arc_l_heureux | Chloé d'Arc-L’Heureux
s    s     s        s    s>x   s     | tala       |        | tala_n_begay          | Tala N. Begay
h    h     h        h    h     h     | con        |        | con_                  | Con
s    s     w+4d     s    s>e   w+1d  | fatima     |        | fatima_al_zahra       | Fatima al-Zahra'
"""
ASKED = {  # of the course's exercises this class keeps these; 04.twice is its own
    "01": {"01.descent_step": 2, "01.largest_stable_step": 2, "written_01": 3},
    "02": {"02.matmul_back": 3, "02.unbroadcast": 3, "written_02": 2},
    "03": {"03.average_predictor": 4, "03.bootstrap_median": 3, "written_03": 2},
    "04": {"04.meta_slope": 2, "04.numeric_meta_slope": 3, "04.twice": 4, "written_04": 2},
    "05": {"05.vjp_of_softmax": 3, "05.jvp_of_normalise": 3, "written_05": 2},
    "06": {"06.k_step_slope": 3, "06.truncated": 3, "written_06": 2},
}
SYSTEMS = {
    "01": "moodle",
    "02": "canvas",
    "03": "blackboard",
    "04": "moodle",
    "05": "canvas",
    "06": "blackboard",
}
# What a person gives for the words of their own, and for other words (None: they are never read).
GIVEN = {"01": 2.5, "02": 1.5, "03": 2, "04": 1, "05": 0.5, "06": 2}
GIVEN_FOR_OTHERS = {"李伟": 1, "प्रिया_शर्मा": None, "fatima_al_zahra": 2, "otani_shohei": 1.5}
DUE = {
    "03": datetime(2026, 10, 20, 23, 59, tzinfo=UTC),
    "06": datetime(2026, 11, 10, 23, 59, tzinfo=UTC),
}
EXTENDED = timedelta(days=7)
POLICY = """
[defaults]
grace = "15 minutes"
late = { per = "day", take = 10, of = "maximum", most = 50 }

[chapters.02.adjust]
"wei_wang" = { percent = -50, why = "copied, as agreed" }

[chapters.03]
deadline = 2026-10-20T23:59:00Z
dropped = ["03.bootstrap_median"]
extensions = { "gianni_d_angelo" = { until = 2026-10-27T23:59:00Z, why = "ill" } }

[chapters.05]
counts = "best"
deadline = 2026-11-03T23:59:00Z

[chapters.06]
deadline = 2026-11-10T23:59:00Z

[chapters.06.bonus]
"ada_lovelace" = { points = 1.5, why = "found a mistake" }
"sum_a1_bobby" = { points = 1, why = "helped others" }
"""


@dataclass(frozen=True)
class HandIn:
    """kind: a letter of the script. late: after the deadline; before it where negative."""

    kind: str
    late: timedelta


@dataclass(frozen=True)
class Person:
    number: int
    login: str
    group: str
    key: str
    name: str
    cells: dict = field(hash=False)

    @property
    def email(self):
        return f"{self.login}@uni.example"

    @property
    def student_number(self):
        return f"2026{self.number:04d}"

    def hand_ins(self, chapter):
        """What they hand in themselves, the earliest first."""
        cell = self.cells[chapter]
        return [] if cell in "-=" else [read_hand_in(text) for text in cell.split(">")]


def read_hand_in(text):
    kind, _, late = text.partition("+")
    if not late:
        return HandIn(kind, -timedelta(hours=5))
    return HandIn(kind, timedelta(**{{"d": "days", "m": "minutes"}[late[-1]]: int(late[:-1])}))


def read_script(text):
    head, *lines = [line.split("|") for line in text.strip().splitlines()]
    chapters = head[0].split()
    rows = [[cell.strip() for cell in line] for line in lines]
    return [
        Person(number, login, group, key, name, dict(zip(chapters, cells.split(), strict=True)))
        for number, (cells, login, group, key, name) in enumerate(rows, 1)
    ]


PEOPLE = read_script(TERM)
CHAPTERS = {name[:2]: name for name in places.chapters() if name[:2] in ASKED}


# ------------------------------------------------------------------ what must come out: plain arithmetic


@dataclass(frozen=True)
class Expected:
    """What the tables must say of one person in one chapter."""

    status: str
    raw: float | None
    of: float
    points: float | None
    points_of: float
    waiting: str
    why: str
    parts: dict


def that_count(person, chapter):
    """The hand-ins of a person, of whoever of the group they are, the earliest first."""
    mates = [p for p in PEOPLE if p is person or person.group and p.group == person.group]
    handed = [one for mate in mates for one in mate.hand_ins(chapter)]
    if SYSTEMS[chapter] == "blackboard":  # which says when: the newest of a group is everybody's
        handed.sort(key=lambda one: one.late)
    return handed


def expected(person, chapter, today):
    handed = that_count(person, chapter)
    if not handed:
        return None
    if chapter != "05":
        return of_one(person, chapter, handed[-1])
    found = [of_one(person, chapter, one) for one in handed]
    if len(found) == 1:
        return found[0]
    best = max(
        range(len(found)), key=lambda i: (-1 if found[i].points is None else found[i].points, i)
    )
    which = "the last one" if best == len(found) - 1 else f"that of {today}"
    told = f"Of {len(found)} hand-ins the best counts: {which}."
    return Expected(**(vars(found[best]) | {"why": " ".join([told, found[best].why]).strip()}))


def of_one(person, chapter, one):
    parts = as_graded(person, chapter, one.kind)
    of = sum(ASKED[chapter].values())
    dropped = ASKED[chapter].get("03.bootstrap_median", 0)
    why = ["03.bootstrap_median was dropped: it counts for nobody."] if dropped else []
    if one.kind == "x":
        return Expected("rejected", None, of, None, of - dropped, "", " ".join(why), {})
    raw = sum(value for value in parts.values() if value is not None)
    points = raw - parts.get("03.bootstrap_median", 0)
    points, told = after_lateness(person, chapter, one, points, of - dropped)
    why += told
    if (person.key, chapter) == ("wei_wang", "02"):
        why.append("Adjusted by -50 %: copied, as agreed.")
        points *= 0.5
    if (person.key, chapter) == ("ada_lovelace", "06"):
        why.append("Bonus +1.5: found a mistake.")
        points += 1.5
    if (person.key, chapter) == ("sum_a1_bobby", "06"):
        why.append("Bonus +1: helped others.")
        points += 1
    waiting = " ".join(name for name, value in parts.items() if value is None)
    return Expected("graded", raw, of, points, of - dropped, waiting, " ".join(why), parts)


def as_graded(person, chapter, kind):
    """exercise → points, as checks and a person give them; None: nobody has read it."""
    parts = {name: float(worth) for name, worth in ASKED[chapter].items()}
    *code, words = parts
    parts[words] = GIVEN[chapter]
    if kind == "b":
        return dict.fromkeys(parts, 0.0)
    if kind == "h":
        parts[words] = 0.0
    if kind == "w":
        parts[code[0]] = 0.0
    if kind == "e":
        parts[words] = GIVEN_FOR_OTHERS[person.key]
    return parts


def after_lateness(person, chapter, one, points, of):
    """Points after 10 % of the maximum for each day begun; only Blackboard says when somebody handed in."""
    if chapter not in DUE:
        return points, []
    extension = EXTENDED if (person.key, chapter) == ("gianni_d_angelo", "03") else timedelta()
    late = one.late - extension
    if late <= timedelta(minutes=15):
        return points, []
    days = math.ceil(late / timedelta(days=1))
    percent = min(10 * days, 50)
    left = max(points - percent / 100 * of, 0)
    due = f"{DUE[chapter] + extension:%Y-%m-%d %H:%M}+00:00"
    off = f"{shown(points - left)} point{'' if shown(points - left) == '1' else 's'}"
    begun = f"{days} day{'' if days == 1 else 's'} begun"
    return left, [f"Late by {begun} (due {due}): {percent} % of the maximum off, {off}."]


def shown(value):
    return "" if value is None else f"{round(value, 6):.10g}"


def spelled(text):
    """A text as our tables write it: none is a formula."""
    return "'" + text if text.startswith(("=", "'=")) else text


def expected_table(today):
    """exports/marks.csv, row by row."""
    exercises = [name for chapter in ASKED.values() for name in chapter]
    head = "student chapter status points max_points waiting sandboxed as_graded of why".split()
    rows = [
        [
            person.key, CHAPTERS[chapter], own.status, shown(own.points), shown(own.points_of), own.waiting,
            "yes", shown(own.raw), shown(own.of), own.why, *(shown(own.parts.get(name)) for name in exercises),
        ]
        for chapter in ASKED
        for person in sorted(PEOPLE, key=lambda p: p.key)
        if (own := expected(person, chapter, today))
    ]  # fmt: skip
    return [head + exercises, *rows]


def expected_wide(today):
    """exports/marks_wide.csv, row by row."""
    head = "student name email login number group section raw points of open".split()
    for chapter, asked in ASKED.items():
        head += [f"{CHAPTERS[chapter]} {word}" for word in ("state", "raw", "points", "of")]
        head += asked
    of = {
        c: sum(asked.values()) - asked.get("03.bootstrap_median", 0) for c, asked in ASKED.items()
    }
    rows = []
    for person in sorted(PEOPLE, key=lambda p: p.key):
        own = {chapter: expected(person, chapter, today) for chapter in ASKED}
        there = [one for one in own.values() if one]
        raw = [one.raw for one in there if one.raw is not None]
        points = [one.points for one in there if one.points is not None]
        still = [
            CHAPTERS[c] for c, one in own.items() if one and (one.waiting or one.points is None)
        ]
        row = [
            person.key,
            spelled(listed(person)),
            person.email,
            person.login,
            person.student_number,
            person.group,
            "",
        ]
        row += [shown(sum(raw)) if raw else "", shown(sum(points)) if points else ""]
        row += [shown(sum(of.values())), " ".join(still)]
        for chapter, one in own.items():
            if one is None:
                row += [
                    "nothing handed in",
                    "",
                    "",
                    shown(of[chapter]),
                    *[""] * len(ASKED[chapter]),
                ]
                continue
            row += [
                "waits for a person" if one.waiting else one.status,
                shown(one.raw),
                shown(one.points),
            ]
            row += [shown(of[chapter]), *(shown(one.parts.get(name)) for name in ASKED[chapter])]
        rows.append(row)
    return [head, *rows]


# ------------------------------------------------------------------ notebooks


@dataclass(frozen=True)
class Notebooks:
    """What can be handed in of each chapter: solved, as the class has it, and as it was handed out."""

    solved: dict
    blank: dict

    def made(self, person, chapter, kind):
        """The bytes of a hand-in."""
        if kind == "x":
            return json.dumps(self.solved[chapter]).encode()[:700]
        made = json.loads(json.dumps((self.blank if kind == "b" else self.solved)[chapter]))
        names = [name.split(".")[-1] for name in ASKED[chapter]]
        for cell in made["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if name == names[-1] and kind != "b":
                cell["source"] = words_of(person, kind)
            if name == names[0] and kind == "w":
                cell["source"] = f"def {name}(*given, **named):\n    return None\n"
        return json.dumps(made, ensure_ascii=False).encode()


def words_of(person, kind):
    """What somebody, or their group, writes in their own words."""
    who = person.group or person.login
    words = {"h": "YOUR ANSWER HERE", "e": f"On second thoughts, {who} says no."}
    return words.get(kind, f"In my own words: {who} has thought about it.")


def keep_only_what_is_asked(room):
    """The teacher deletes exercises in source/ that this class does not do."""
    for chapter, asked in ASKED.items():
        path = source_of(room, chapter)
        made = json.loads(path.read_text("utf-8"))
        known = {name.split(".")[-1] for name in asked}
        made["cells"] = [
            cell
            for cell in made["cells"]
            if not (name := cell["metadata"].get("nbgrader", {}).get("grade_id"))
            or name.removeprefix("check_") in known
        ]
        path.write_text(json.dumps(made, ensure_ascii=False), "utf-8")


def source_of(room, chapter):
    return room.source / CHAPTERS[chapter] / f"{CHAPTERS[chapter]}.ipynb"


# ------------------------------------------------------------------ what systems let download


def download(folder, notebooks, chapter, which=0):
    """The zip of a chapter as its system gives it: which 0, of everybody's first hand-ins; 1, of the last ones."""
    files = {}
    for person in PEOPLE:
        handed = person.hand_ins(chapter)
        if (
            SYSTEMS[chapter] != "blackboard"
        ):  # has every attempt; the others give out the last one only
            handed = handed[: which + 1][-1:]
        for one in handed:
            content = notebooks.made(person, chapter, one.kind)
            files |= NAMED[SYSTEMS[chapter]](person, chapter, one, content)
    when = (2026, 11, 28 + which, 12, 0, 0)
    return in_zip(folder / f"{SYSTEMS[chapter]}_{chapter}_{which}.zip", files, when)


def in_moodle(person, chapter, one, content):
    """In folders; some come over a Mac, which takes accents apart."""
    form = "NFD" if person.number % 2 else "NFC"
    name = unicodedata.normalize(form, person.name)
    number = participant(person, chapter)
    copy = " (1)" if person.number % 3 == 0 else ""
    return {f"{name}_{number}_assignsubmission_file/{CHAPTERS[chapter]}{copy}.ipynb": content}


def participant(person, chapter):
    """Moodle numbers people anew in each assignment, in no order."""
    return int(chapter) * 1000 + (person.number * 17) % 41


def in_canvas(person, chapter, one, content):
    """Flat; letters of the last name, then of the others, LATE, user and attachment."""
    *first, last = person.name.lower().split()
    name = re.sub(r"[^\w]", "", "".join([last, *first])) or "user"
    late = "_LATE" if one.late > timedelta() else ""
    return {
        f"{name}{late}_{500 + person.number}_{88000 + person.number}_{CHAPTERS[chapter]}.ipynb": content
    }


def in_blackboard(person, chapter, one, content):
    """Flat; each attempt with its time, here and now, and a text that says whose it is."""
    when = (DUE[chapter] + one.late).astimezone().strftime("%Y-%m-%d-%H-%M-%S")
    start = f"Chapter {chapter}_{person.login}_attempt_{when}"
    receipt = f"Name: {person.name} ({person.login})\r\nAssignment: Chapter {chapter}\r\n"
    return {f"{start}.txt": receipt, f"{start}_{CHAPTERS[chapter]}.ipynb": content}


NAMED = {"moodle": in_moodle, "canvas": in_canvas, "blackboard": in_blackboard}


def table(path, head, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def listed(person):
    """A name as the registry spells it, some with their accents apart; our tables spell it so, too."""
    return unicodedata.normalize("NFD" if person.number % 4 == 0 else "NFC", person.name)


def registry(folder):
    """The list of the class, from the registry."""
    head = ["Full name", "Email", "Username", "Student ID", "Canvas ID", "Group"]
    rows = [
        [listed(p), p.email, p.login, p.student_number, 500 + p.number, p.group] for p in PEOPLE
    ]
    return table(folder / "registry.csv", head, rows)


def worksheet(folder, chapter):
    """Moodle's grading worksheet, which tells namesakes apart."""
    rows = [[f"Participant {participant(p, chapter)}", p.name, p.email, "", ""] for p in PEOPLE]
    head = ["Identifier", "Full name", "Email address", "Status", "Grade"]
    return table(folder / f"worksheet_{chapter}.csv", head, rows)


# ------------------------------------------------------------------ the term, played


def command(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)
    assert done.exit_code == 0, f"{arguments}: {done.output} {done.exception!r}"
    return done.output


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A class folder as it is before the term: what is asked, the policy, a seed; and what will be handed in."""
    root = tmp_path_factory.mktemp("term")
    room = classroom.new(root / "class", "MAML 2026", list(CHAPTERS.values()))
    keep_only_what_is_asked(room)
    command(
        "classroom", "exercise", "twice", "--chapter", "04", "--points", "4", "--class", room.root
    )
    command("classroom", "release", "--class", room.root)
    (room.root / "policy.toml").write_text(POLICY, "utf-8")
    released = room.root / "release"
    solved = {c: json.loads(source_of(room, c).read_text("utf-8")) for c in ASKED}
    blank = {
        c: json.loads((released / n / f"{n}.ipynb").read_text("utf-8")) for c, n in CHAPTERS.items()
    }
    return room, Notebooks(solved, blank)


def play(room, notebooks, folder, run):
    """The whole term, by the commands that a teacher types; the day on which it was collected."""
    folder.mkdir()

    def collect(chapter, which=0):
        zipped = download(folder, notebooks, chapter, which)
        lists = ["--roster", worksheet(folder, chapter)] if SYSTEMS[chapter] == "moodle" else []
        run("classroom", "collect", zipped, "--chapter", chapter, *lists, "--class", room.root)

    command("classroom", "roster", registry(folder), "--class", room.root)
    for chapter in ("01", "02", "03"):
        collect(chapter)
    run("classroom", "grade", "--workers", "2", "--class", room.root)
    give_points(room)
    for chapter, which in (("04", 0), ("05", 0), ("06", 0), ("01", 1), ("02", 1), ("05", 1)):
        collect(chapter, which)
    run("classroom", "grade", "--workers", "2", "--class", room.root)
    give_points(room)
    command("classroom", "export", "csv", "--class", room.root)
    command("classroom", "export", "csv", "--wide", "--class", room.root)
    return f"{datetime.now():%Y-%m-%d}"


def give_points(room):
    """Somebody reads what waits, in a spreadsheet."""
    head, *rows = read_table(room.by_hand)
    others = {f"sha-{digest(words_of(person, 'e'))}" for person in PEOPLE}
    for row in rows:
        student, exercise, points, _, answer = row
        if not points:
            chapter = exercise.removeprefix("written_")
            row[2] = shown(GIVEN_FOR_OTHERS[student] if answer in others else GIVEN[chapter])
    table(room.by_hand, head, rows)


def read_table(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


# ------------------------------------------------------------------ killed

COMMAND = "from maml_edu.cli import main; main()"
KILLED = """
import os, signal, sys

left = int(sys.argv.pop(1))

def watch(event, _):
    global left
    left -= event == "os.rename"
    if event == "os.rename" and left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
from maml_edu.cli import main

main()
"""


class Killer:
    """Runs commands, and kills some of them before: `collect` before a rename, `grade` after some results."""

    RENAMES = {("02", 0): 25, ("05", 0): 60, ("02", 1): 5, ("05", 1): 12}
    RESULTS = (20, 140)

    def __init__(self, room):
        self.room, self.killed, self.collected = room, [], {}

    def __call__(self, *arguments):
        arguments = [str(a) for a in arguments]
        if arguments[1] == "collect":
            chapter = arguments[arguments.index("--chapter") + 1]
            which = self.collected.setdefault(chapter, -1) + 1
            self.collected[chapter] = which
            if renames := self.RENAMES.get((chapter, which)):
                self.collecting(renames, arguments)
        if arguments[1] == "grade":
            self.grading(self.RESULTS[self.killed.count("grade")], arguments)
        command(*arguments)

    def collecting(self, renames, arguments):
        process = started(["-c", KILLED, str(renames), *arguments])
        said, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, (arguments, said)
        self.killed.append("collect")

    def grading(self, results, arguments):
        process = started(["-c", COMMAND, *arguments])
        try:
            while len(self.results()) < results:
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.02)
        finally:
            process.kill()
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert len(self.results()) < len(self.room.jobs())  # it was in the middle
        self.killed.append("grade")

    def results(self):
        return list(self.room.results.glob("*/*.json"))


def started(arguments):
    env = os.environ | {"PYTHONPATH": str(Path(marks.__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip


# ------------------------------------------------------------------ and that it is so


@pytest.fixture(scope="module")
def term(prepared, tmp_path_factory):
    """The term, undisturbed."""
    room, notebooks = prepared
    root = tmp_path_factory.mktemp("undisturbed")
    own = classroom.Classroom(shutil.copytree(room.root, root / "class"))
    return own, play(own, notebooks, root / "downloads", command)


def differences(found, wanted):
    """Cells that are not as they must be."""
    head = wanted[0]
    assert found[0] == head
    lines = [f"{len(found)} rows, and not {len(wanted)}"] if len(found) != len(wanted) else []
    for own, other in zip(found, wanted, strict=False):
        cells = zip(head, own, other, strict=True)
        lines += [f"{other[:2]}, {h}: {a!r}, and not {b!r}" for h, a, b in cells if a != b]
    return lines


def test_the_script_has_what_a_term_has():
    names = [person.name for person in PEOPLE]
    assert len(PEOPLE) == 40 and len({p.key for p in PEOPLE}) == 40
    assert len([name for name in set(names) if names.count(name) == 2]) == 2
    assert len({p.group for p in PEOPLE} - {""}) == 3 and len(ASKED) == 6
    assert len(set(SYSTEMS.values())) == 3


def test_the_table_of_marks_is_right_cell_by_cell(term):
    room, today = term
    found = read_table(room.root / "exports" / "marks.csv")
    wrong = differences(found, expected_table(today))
    assert not wrong, "\n".join(wrong[:30])


def test_the_wide_table_is_right_cell_by_cell(term):
    room, today = term
    found = read_table(room.root / "exports" / "marks_wide.csv")
    wrong = differences(found, expected_wide(today))
    assert not wrong, "\n".join(wrong[:30])


def test_after_four_kills_of_collect_and_two_of_grade_all_tables_are_the_same(
    term, prepared, tmp_path_factory
):
    room, notebooks = prepared
    root = tmp_path_factory.mktemp("killed")
    own = classroom.Classroom(shutil.copytree(room.root, root / "class"))
    killer = Killer(own)
    play(own, notebooks, root / "downloads", killer)
    assert sorted(killer.killed) == ["collect"] * 4 + ["grade"] * 2
    for name in (
        "exports/marks.csv",
        "exports/marks_wide.csv",
        "marks/by_hand.csv",
        "students.csv",
    ):
        assert (own.root / name).read_bytes() == (term[0].root / name).read_bytes(), name
    assert hand_ins_of(own) == hand_ins_of(term[0])


def hand_ins_of(room):
    """Which notebooks count and which are kept, by content, whenever they were collected."""
    found = []
    for path in sorted(room.root.glob("*/*/*/**/*.ipynb")):
        top, key, chapter = path.relative_to(room.root).parts[:3]
        if top in ("submitted", "earlier"):
            found.append((top, key, chapter, path.name, path.read_bytes()))
    return sorted(found)


def test_what_canvas_calls_late_without_a_time_is_told_and_costs_nothing(term):
    built = marks.collect(term[0].results, term[0].by_hand)
    late = [line for line in built.problems if "calls it late" in line]
    assert [line.split(",")[0] for line in late] == ["kaʻiulani_kalani"]


def test_an_answer_that_was_changed_and_not_read_again_waits(term):
    built = marks.collect(term[0].results, term[0].by_hand)
    waiting = [(mark.student, mark.waiting) for mark in built.marks if mark.waiting]
    assert waiting == [("प्रिया_शर्मा", ["written_02"])]
    assert any(
        "changed since it was read (1.5 points then): it waits again" in p for p in built.problems
    )
