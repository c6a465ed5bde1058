"""What learning systems let a teacher download: one pattern for the names that each of them gives.

`read` finds out which system a download is of, and says of every file whose it is (`Entry`). The patterns are
those of teaching.md and of the systems' public documentation, as remembered in 2026; none was asked. What is not
named as its system names files is looked at as a folder per student, or told (`Reading.left`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os.path import commonprefix

from .files import File, Tree
from .people import Who
from .submission import ENDING, Rejected, plain_name

# What each system makes of a file's path. Groups: name, a person's; word, a folder's or file's that may be any of
# a person's names; login, number, email, canvas, …, the columns of the roster; file, its own name.
MOODLE = (
    # assign/locallib.php: fullname, number of this assignment, plugin; a name has no "_" (they become blanks).
    # Before 3.1 folders end in "_". Flat where "Download submissions in folders" is off.
    r"(?P<name>[^/]+)_(?P<moodle>\d+)_assignsubmission_(?P<plugin>[a-z]+)_?/(?P<file>.+)",
    r"(?P<name>[^/]+?)_(?P<moodle>\d+)_assignsubmission_(?P<plugin>[a-z]+)_(?P<file>[^/]+)",
)
CANVAS = (
    # content_zipper.rb: sortable name, LATE, user, attachment; anonymous: a code of this assignment, no user.
    r"(?P<name>anon)_(?P<anonymous>(?=\d*[A-Za-z])[A-Za-z0-9]{4,8})(?:_(?P<late>LATE))?_(?P<attachment>\d+)_(?P<file>[^/]+)",
    r"(?P<name>[^/]+?)(?:_(?P<late>LATE|late))?_(?P<canvas>\d+)_(?P<attachment>\d+)_(?P<file>[^/]+)",
    r"(?P<name>[^/]+?)(?:_(?P<late>LATE|late))?_(?P<canvas>\d+)_(?P<file>(?:text|link)\.html)",
)
BLACKBOARD = (
    # Title_login_attempt_2026-11-28-23-01-00_file, and a .txt of each attempt with "Name: Ada Lovelace (ada)".
    r"(?P<stem>[^/]+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>[^/]+)|(?P<receipt>\.txt))",
)
BRIGHTSPACE = (
    # "12345-67890 - Ada Lovelace - Nov 28, 2026 1101 PM": person and folder of hand-ins, in folders or flat. What
    # a student may choose (a name, a file's name) never ends up as the time.
    r"(?P<one>\d+)-(?P<two>\d+) ?- ?(?P<name>[^/]+) - (?P<time>[^/]*?\d{4}[^/]*?)/(?P<file>.+)",
    r"(?P<one>\d+)-(?P<two>\d+) ?- ?(?P<name>[^/]+?) - (?P<time>[^/]*?\d{4}[^/]*?) - (?P<file>[^/]+)",
)
GRADESCOPE = (r"submission_(?P<submission>\d+)/(?P<file>.+)",)  # people: submission_metadata.yml
SAKAI = (
    # "Lovelace, Ada(ada)/Submission attachment(s)/file", timestamp.txt beside that folder.
    r"(?P<name>[^/]+?) ?\((?P<login>[^()/]+)\)/(?P<place>Submission attachment\(s\))/(?P<file>.+)",
    r"(?P<name>[^/]+?) ?\((?P<login>[^()/]+)\)_(?P<place>Submission attachment\(s\))_(?P<file>[^/]+)",
    r"(?P<name>[^/]+?) ?\((?P<login>[^()/]+)\)/(?P<file>timestamp\.txt|comments\.txt|[^/]*submissionText\.html)",
    r"(?P<name>[^/,]+,[^/,]+?) ?\((?P<login>[^()/]+)\)/(?P<file>.+)",
)
GOOGLE = (
    r"(?P<name>[^/]+?) - (?P<file>[^/]+\.ipynb(?:\.json|\.txt)?)",
)  # Google Classroom, from Drive
FOLDER = (r"(?P<word>[^/]+)/(?P<file>.+)",)

SYSTEMS: dict[str, tuple[str, ...]] = {
    "moodle": MOODLE,
    "blackboard": BLACKBOARD,
    "brightspace": BRIGHTSPACE,
    "gradescope": GRADESCOPE,
    "sakai": SAKAI,
    "canvas": CANVAS,
    "google": GOOGLE,  # weaker than all above: only where none of them fits anything
    "github": (),  # TITLE-login, a repository each; the title is found out
    "folder": FOLDER,
}
SURE = ("moodle", "blackboard", "brightspace", "gradescope", "sakai", "canvas")
# What lies beside hand-ins and is none.
ABOUT = {"index.html", "grades.csv", "grades.xls", "grades.xlsx", "submission_metadata.yml"}
ABOUT_ONE = {"timestamp.txt", "comments.txt", "feedbackText.html", "handed_in.json"}
ANONYMOUS = {
    "participant",
    "teilnehmer",
    "teilnehmer in",
    "participante",
    "partecipante",
    "deelnemer",
}


@dataclass(frozen=True)
class Entry:
    """One hand-in of a download. label: its name there. names: of the files, as they were handed in.

    who: several where a group handed in together. flat: its files lie beside those of others.
    """

    label: str
    system: str
    who: tuple[Who, ...]
    files: list[File]
    names: list[str]
    time: datetime | None = None
    late: bool | None = None
    numbers: dict[str, str] = field(default_factory=dict)
    flat: bool = False


@dataclass
class Reading:
    """What was found in a download. left: what is nobody's hand-in → why."""

    system: str
    entries: list[Entry] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A file and what its path says."""

    said: dict[str, str]
    file: File


def read(
    tree: Tree,
    chapter: str,
    system: str | None = None,
    pattern: str | None = None,
    known: Callable[[str], bool] = lambda word: False,
) -> Reading:
    """Whose every file of a download is.

    system: one of SYSTEMS, where the names could be those of two. pattern: names of your own, `compiled`.
    known: whether the roster has somebody of that key, login, number or name. Raises ValueError where
    it would be a guess which system it is.
    """
    if pattern is not None:
        name, ways = "pattern", [compiled(pattern)]
    else:
        tree, name = _recognised(tree, chapter, system)
        ways = [re.compile(way) for way in SYSTEMS[name]]
    if name == "github":
        ways = [re.compile(rf"{re.escape(_slug(tree))}(?P<github>[^/]+)/(?P<file>.+)")]
    reading = Reading(name, left=dict(tree.passed))
    parts, rest = _matched(tree, ways, ABOUT)
    if name == "brightspace":
        for part in filter(_two_times, parts):
            reading.left[part.file.name] = (
                "there are two times in its name, and the student can have chosen one: put it into a folder named "
                "NUMBER-NUMBER - NAME - TIME"
            )
        parts = [part for part in parts if part.file.name not in reading.left]
    parts = FINISH.get(name, lambda parts, tree: parts)(parts, tree)
    reading.entries = _entries(parts, name)
    if name == "gradescope":
        _with_metadata(reading, tree)
    if pattern is None and name != "folder":
        others, rest = _matched(replace(tree, files=rest), [re.compile(way) for way in FOLDER])
        reading.entries += _entries(others, "folder")
    _flat(reading, rest, chapter, known, only=name in ("folder", "google"))
    _empty_folders(reading, tree, ways)
    return reading


# What a field of a pattern may be, where not anything.
SHAPES = {"file": ".+", "number": r"(?=[^/]*\d)[^/]+?", "canvas": r"\d+", "moodle": r"\d+"}


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as a teacher writes it, "{login}_{*}.ipynb" or "HW4-{number}/{file}". Raises ValueError."""
    fields = "name last first login number email canvas moodle blackboard github group time late file".split()
    text, seen = "", set()
    for piece in re.split(r"(\{[^{}]*\}|\*)", pattern):
        word = piece[1:-1].strip()
        if piece == "*" or piece.startswith("{") and word in ("*", "any", ""):
            text += "[^/]*?"
        elif not piece.startswith("{"):
            text += re.escape(piece)
        elif word not in fields or word in seen:
            what = "is there twice" if word in seen else f"is none of {', '.join(fields)}, *"
            raise ValueError(f"--pattern {pattern!r}: {{{word}}} {what}.")
        else:
            seen.add(word)
            text += f"(?P<{word}>{SHAPES.get(word, '[^/]+?')})"
    if not seen - {"time", "late", "file", "group"} and "group" not in seen:
        raise ValueError(
            f"--pattern {pattern!r} does not say who: put {{login}}, {{number}} or {{name}} in."
        )
    return re.compile(text if "file" in seen else f"{text}(?:/(?P<file>.+))?")


# ------------------------------------------------------------------ which system


def _recognised(tree: Tree, chapter: str, system: str | None) -> tuple[Tree, str]:
    """The download without folders around it, and its system."""
    if system is not None and system not in SYSTEMS:
        raise ValueError(f"{system!r} is none of {', '.join(SYSTEMS)}.")
    level: Tree | None = tree
    while level is not None:
        counts = {name: _count(level, name) for name in SURE}
        fit = [name for name in SURE if counts[name]]
        if system in fit or (system is None and len(fit) == 1):
            return level, system or fit[0]
        if system is None and fit:
            said = ", ".join(f"{counts[name]} names look like {name}'s" for name in fit)
            raise ValueError(f"{tree.name}: {said}. Say which it is: --system {fit[0]}, say.")
        if system is None and _count(level, "google") and not level.folders:
            return level, "google"
        if system in (None, "github") and _slug(level):
            return level, "github"
        level = level.below()
    if system in ("google", "folder", None):
        return _unwrapped(tree, chapter), system or "folder"
    raise ValueError(
        f"{tree.name}: nothing in it is named as {system} names what it gives out. --pattern says how names are "
        "made, such as --pattern '{login}_{*}.ipynb'."
    )


def _count(tree: Tree, system: str) -> int:
    """How many names at the top are this system's, and no surer system's."""
    before = SURE[: SURE.index(system)] if system in SURE else ()
    earlier = [re.compile(way) for name in before for way in SYSTEMS[name]]
    own = [re.compile(way) for way in SYSTEMS[system]]
    tops = set()
    for file in tree.files:
        path = "/".join(file.path)
        if any(way.fullmatch(path) for way in own) and not any(w.fullmatch(path) for w in earlier):
            tops.add(file.path[0])
    return len(tops)


def _slug(tree: Tree) -> str:
    """What the names of all repositories begin with, "chapter-04-"; "" where these are none of GitHub Classroom."""
    tops = {path[0] for path in tree.folders if len(path) == 1}
    title = tree.name.removesuffix("-submissions")
    if title != tree.name and tops and all(top.startswith(f"{title}-") for top in tops):
        return f"{title}-"
    repositories = {path[0] for path in tree.repositories if len(path) == 1}
    if len(repositories) < 2 or repositories != tops:
        return ""
    return (
        commonprefix(sorted(tops)).rpartition("-")[0] + "-"
        if "-" in commonprefix(sorted(tops))
        else ""
    )


def _unwrapped(tree: Tree, chapter: str) -> Tree:
    """A download without the one folder around the students' folders."""
    inner = tree.below()
    if inner is None or any(len(file.path) == 1 for file in inner.files):
        return tree
    tops = {file.path[0] for file in inner.files}
    wrapped = len(tops) > 1 or tree.name == inner.name
    return inner if wrapped and chapter not in tops else tree


# ------------------------------------------------------------------ whose


def _matched(
    tree: Tree, ways: list[re.Pattern[str]], about: Iterable[str] = ()
) -> tuple[list[Part], list[File]]:
    """The files whose paths fit, and the others."""
    parts, rest = [], []
    for file in tree.files:
        path = "/".join(file.path)
        found = next((m for way in ways if (m := way.fullmatch(path))), None)
        if found is not None:
            said = {name: value for name, value in found.groupdict().items() if value is not None}
            parts.append(Part(said, file))
        elif not (len(file.path) == 1 and file.name in about):
            rest.append(file)
    return parts, rest


NOT_WHO = {"file", "late", "attachment", "plugin", "receipt", "place"}


def _entries(parts: list[Part], system: str) -> list[Entry]:
    """Parts of one hand-in together: who it is, and when, are the same."""
    together: dict[tuple, list[Part]] = {}
    for part in parts:
        same = tuple(sorted((k, v) for k, v in part.said.items() if k not in NOT_WHO))
        flat = len(part.file.path) == 1
        one = flat or system == "moodle"  # whose other folder holds a text written there
        together.setdefault((flat, "" if one else part.file.path[0], same), []).append(part)
    return [_entry(own, system) for own in together.values()]


def _entry(parts: list[Part], system: str) -> Entry:
    said, first = parts[0].said, parts[0].file
    flat = len(first.path) == 1
    # Beside the folder of what was handed in there is nobody's work, and Sakai's own timestamp.txt.
    about = [p for p in parts if "place" not in p.said and p.said.get("file") in ABOUT_ONE]
    about = about if system in ("sakai", "folder") else []
    about += [p for p in parts if "receipt" in p.said or "Feedback Attachment(s)" in p.file.path]
    own = [p for p in parts if p not in about]
    stamps = [p.file for p in about if system == "sakai" and p.file.name == "timestamp.txt"]
    time = _time(said.get("time", "") or (_text(stamps[0]) if stamps else ""))
    late = any("late" in p.said for p in parts) if system == "canvas" else None
    more = f" and {len(parts) - 1} more" if flat and len(parts) > 1 else ""
    return Entry(
        label=first.path[0] + more,
        system=system,
        who=(_who(said, system),),
        files=[p.file for p in own],
        names=[p.said.get("file", p.file.name).split("/")[-1] for p in own],
        time=time,
        late=True if system == "pattern" and said.get("late") else late,
        numbers=_numbers(said, parts, system),
        flat=flat,
    )


IDS = ("canvas", "blackboard", "brightspace", "github", "email", "login", "number")


def _who(said: dict[str, str], system: str) -> Who:
    name = said.get("name", "")
    if "last" in said or "first" in said:
        name = f"{said.get('first', '')} {said.get('last', '')}"
    name, once = " ".join(name.split()), {}
    if said.get("moodle"):
        once["moodle"] = said["moodle"]
        if re.sub(r"\W", " ", name.casefold()) in ANONYMOUS:
            name = ""
    if said.get("anonymous"):
        name, once = "", {"canvas": f"anon_{said['anonymous']}"}
    ids = {column: said[column].strip() for column in IDS if said.get(column, "").strip()}
    return Who(
        name=name,
        ids=ids,
        once=once,
        word=said.get("word", "").strip(),
        squashed=system == "canvas",
        group=said.get("group", "").strip(),
        either={"brightspace": (said["one"], said["two"])} if "one" in said else {},
    )


def _numbers(said: dict[str, str], parts: list[Part], system: str) -> dict[str, str]:
    """What handed_in.json keeps of a system's numbers."""
    found = {c: said[c] for c in ("moodle", *IDS) if c in said}
    if attachments := [p.said["attachment"] for p in parts if "attachment" in p.said]:
        found["canvas submission"] = " ".join(attachments)
    if "anonymous" in said:
        found["canvas"] = f"anon_{said['anonymous']}"
    if "submission" in said:
        found["gradescope submission"] = said["submission"]
    return found


def _flat(
    reading: Reading, files: list[File], chapter: str, known: Callable[[str], bool], only: bool
) -> None:
    """Files that lie in a folder without their students' folders: "ada_04.ipynb", "20260001.ipynb"."""
    parts = []
    for file in files:
        if not ENDING.search(file.name):
            if file.name not in ABOUT:
                reading.left["/".join(file.path)] = "no notebook"
            continue
        word, why = _word(file.name, chapter, known)
        if not only and (len(file.path) > 1 or not known(word)):
            word, why = "", f"it is not named as {reading.system} names files"
        elif len(file.path) > 1:
            word, why = "", NO_START
        if word:
            parts.append(Part({"word": word, "file": file.name}, file))
        else:
            reading.left["/".join(file.path)] = why
    reading.entries += _entries(parts, "folder")


NO_START = "the file does not begin with a student's name"
# What may stand behind a name and says nothing of who it is, with a number behind it or alone.
USUAL = re.compile(
    r"(homework|hw|exercises?|ex|assignment|chapter|ch|tasks?|sheet|lab|notebook|nb|solutions?|solved|submission"
    r"|answers?|version|copy|final|finished|done|new|fixed|corrected|late|part"
    r"|aufgaben?|blatt|übung|uebung|kapitel|loesung|lösung|abgabe|kopie|neu|copie|devoir|copia|tarea)?(\d{1,4})?"
    r"|[a-z]\d{1,4}",
    re.I,
)


def _word(name: str, chapter: str, known: Callable[[str], bool]) -> tuple[str, str]:
    """What a file's name says about whose it is, or "" and why it says nothing.

    A name is somebody's only where all behind it is the chapter, a number or the like: "li_chen_04" is no work
    of Li.
    """
    stem = ENDING.sub("", name)
    word = _start(stem, name, chapter)
    ends = [m.end() for m in re.finditer(r"[^_\-. ]+(?=[_\-. ]|$)", stem)]
    starts = [word, *(stem[:end].strip() for end in reversed(ends))]
    for start in starts:
        counted = re.fullmatch(r"[\W_]*\d+", stem[len(start) : len(word)])  # "li.2_04" is not Li
        if start and known(start) and not counted and _says_nothing(stem[len(start) :], chapter):
            return start, ""
    if not word or _says_nothing(stem.removeprefix(word), chapter):
        return word, NO_START
    return "", (
        f"it begins with {word!r}, but what follows need not be of the chapter: put it into a folder of its "
        "student's name, or say what names are made of: --pattern '{login}_*.ipynb'"
    )


def _start(stem: str, name: str, chapter: str) -> str:
    """What stands before the chapter or the first "_"; a number may stand alone."""
    if plain_name(name) == plain_name(chapter):
        return ""
    cut = re.search(
        rf"_(?:{re.escape(chapter)}|{re.escape(chapter.split('_')[0])})(?![^_\W])", stem
    )
    word, mark, _ = (stem[: cut.start()], "_", "") if cut else stem.partition("_")
    word = word.strip()
    if not mark:
        word = word if re.search(r"\d{4}", word) else ""
    return "" if word == chapter.split("_")[0] else word


def _says_nothing(rest: str, chapter: str) -> bool:
    """Whether what follows a name in that of a file says nothing of who it is."""
    rest = rest.lstrip(" ").removeprefix("_").replace(chapter, "_")
    words = [word for word in re.split(r"[\W_]+", rest) if word]
    own = {word.casefold() for word in chapter.split("_") if len(word) > 2 or word.isdecimal()}
    return all(word.casefold() in own or USUAL.fullmatch(word) for word in words)


def _empty_folders(reading: Reading, tree: Tree, ways: list[re.Pattern[str]]) -> None:
    """A student's folder with nothing in it is told."""
    full = {file.path[0] for file in tree.files} | {path.split("/")[0] for path in reading.left}
    for path in sorted(tree.folders):
        if len(path) == 1 and path[0] not in full:
            reading.left[path[0]] = "there is nothing in that folder"


# ------------------------------------------------------------------ what single systems need beside


def _finish_canvas(parts: list[Part], tree: Tree) -> list[Part]:
    """In an anonymous download a code may be digits alone, and is no person's number."""
    if not any("anonymous" in p.said for p in parts):
        return parts
    found = []
    for part in parts:
        said = dict(part.said)
        if said["name"] == "anon" and "canvas" in said:
            said["anonymous"] = said.pop("canvas")
        found.append(Part(said, part.file))
    return found


def _finish_blackboard(parts: list[Part], tree: Tree) -> list[Part]:
    """Logins, which may hold "_" as titles do, and names, from what each attempt's .txt says."""
    stems = sorted({p.said["stem"] for p in parts})
    heads = sorted({stem.rpartition("_")[0] for stem in stems})
    title = "_".join(commonprefix([head.split("_") for head in heads]))
    logins = {stem: stem[len(title) + 1 :] if title else stem for stem in stems}
    names: dict[str, str] = {}
    for part in parts:
        if "receipt" in part.said:
            told = re.search(r"^Name: *(.+?) \(([^()]+)\) *\r?$", _text(part.file), re.M)
            if told and part.said["stem"].endswith(f"_{told[2]}"):
                names[part.said["stem"]], logins[part.said["stem"]] = told[1], told[2]
    found = []
    for part in parts:
        stem = part.said["stem"]
        said = {k: v for k, v in part.said.items() if k != "stem"}
        said |= {"blackboard": logins[stem], "login": logins[stem]}
        found.append(Part(said | ({"name": names[stem]} if stem in names else {}), part.file))
    return found


def _finish_brightspace(parts: list[Part], tree: Tree) -> list[Part]:
    """Of the two numbers the one that is not the same for everybody is the person's.

    Where one person alone is in a download, none is stored: the other is that of a folder, which all have.
    """
    ones, twos = ({p.said[which] for p in parts} for which in ("one", "two"))
    if len(ones) == len(twos) == 1:
        return parts
    which = "two" if len(ones) == 1 else "one"
    return [
        Part(
            {k: v for k, v in p.said.items() if k not in ("one", "two")}
            | {"brightspace": p.said[which]},
            p.file,
        )
        for p in parts
    ]


def _two_times(part: Part) -> bool:
    """Whether a file's name in a flat download holds two times, of which somebody's name or a file's is one."""
    pieces = part.file.name.split(" - ")
    return len(part.file.path) == 1 and sum(_time(piece) is not None for piece in pieces) > 1


FINISH: dict[str, Callable[[list[Part], Tree], list[Part]]] = {
    "canvas": _finish_canvas,
    "blackboard": _finish_blackboard,
    "brightspace": _finish_brightspace,
}


def _with_metadata(reading: Reading, tree: Tree) -> None:
    """Gradescope's people, from its submission_metadata.yml."""
    about = [f for f in tree.files if f.path == ("submission_metadata.yml",)]
    told = gradescope_people(_text(about[0], 64 << 20)) if about else {}
    for place, entry in enumerate(reading.entries):
        number = entry.numbers.get("gradescope submission", "")
        if number in told:
            people, time = told[number]
            group = f"submission_{number}" if len(people) > 1 else ""
            named = tuple(replace(one, group=group) for one in people) or entry.who
            reading.entries[place] = replace(entry, who=named, time=time)
        elif number:
            nobody = Who(once={"gradescope": f"submission_{number}"})
            reading.entries[place] = replace(entry, who=(nobody,))


def gradescope_people(text: str) -> dict[str, tuple[list[Who], datetime | None]]:
    """submission → (people, time), from submission_metadata.yml as Gradescope writes it: a subset of YAML."""
    found: dict[str, tuple[list[dict[str, str]], list[str]]] = {}
    now, within = "", False
    for line in text.splitlines():
        if start := re.match(r"[\"']?submission_(\d+)[\"']?:\s*$", line):
            now, within = start[1], False
            found[now] = ([], [])
        elif now and (key := re.match(r" {2}:(\w+):(.*)$", line)):
            within = key[1] == "submitters"
            if key[1] == "created_at":
                found[now][1].append(_yaml(key[2]))
        elif within and (own := re.match(r"  (?:  )?(- |  ):(name|sid|email):(.*)$", line)):
            if own[1] == "- ":
                found[now][0].append({})
            if found[now][0]:
                found[now][0][-1][own[2]] = _yaml(own[3])
    made = {}
    for number, (people, times) in found.items():
        ids = [{"number": p.get("sid", ""), "email": p.get("email", "")} for p in people]
        who = [
            Who(name=p.get("name", ""), ids={k: v for k, v in own.items() if v})
            for p, own in zip(people, ids, strict=True)
        ]
        made[number] = (who, _time(times[0]) if times else None)
    return made


def _yaml(text: str) -> str:
    """A plain or quoted value."""
    text = text.strip()
    if text.startswith("'") and text.endswith("'") and len(text) > 1:
        return text[1:-1].replace("''", "'")
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text.strip('"')
    return "" if text in ("null", "~") else text


def _text(file: File, most: int = 1 << 16) -> str:
    try:
        return file.read(most).decode("utf-8", "replace")
    except Rejected:
        return ""


# ------------------------------------------------------------------ when

TIMES = (
    "%b %d, %Y %I%M %p",
    "%d %b, %Y %I%M %p",
    "%b %d, %Y %H%M",
    "%d %b, %Y %H%M",
    "%Y-%m-%d %H%M",
)


def _time(text: str) -> datetime | None:
    """A time as a system writes it; without a zone it is this computer's."""
    text = text.strip()
    if re.fullmatch(r"\d{4}(-\d\d){5}", text):
        return _made(text, "%Y-%m-%d-%H-%M-%S")
    if re.fullmatch(r"\d{14,17}", text):  # Sakai
        return _made(text[:14], "%Y%m%d%H%M%S")
    if zoned := re.fullmatch(
        r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)? ?(Z|UTC|[+-]\d\d:?\d\d)", text
    ):
        zone = "+0000" if zoned[4] in ("Z", "UTC") else zoned[4].replace(":", "")
        return _made(f"{zoned[1]} {zoned[2]} {zone}", "%Y-%m-%d %H:%M:%S %z")
    text = re.sub(r"\b([A-Za-z]{3})[a-z]+", r"\1", text.replace(":", ""))  # November → Nov
    text = re.sub(r"\b(\d{3})( [AP]M)", r"0\1\2", text, flags=re.I)  # 921 PM
    return next((made for form in TIMES if (made := _made(text, form))), None)


def _made(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).astimezone()
    except (ValueError, OverflowError):
        return None


def of_file(file: File) -> datetime | None:
    """When a file was changed last."""
    try:
        return None if file.time is None else datetime.fromtimestamp(file.time, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def names_of(entries: Iterable[Entry]) -> Counter[str]:
    """How often each name stands in a download, letter for letter."""
    return Counter(who.name or who.word for entry in entries for who in entry.who)
