"""The list of a class as a learning system gives it, read into the roster: `merge_list`.

Moodle's participants and its grading worksheet, the gradebooks of Canvas, Blackboard and Brightspace, the rosters
of Gradescope and GitHub Classroom, or any CSV whose first line names columns such as name and email. Headings are
those of the systems' exports as remembered in 2026, Moodle's in nine languages.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import hand_ins
from .exports import tables
from .people import Roster, Who, folded

# Heading → what it is. Letters alone count, for systems differ in blanks, hyphens and capitals.
HEADINGS = {
    "name": "name, full name, student name, student, display name, vollständiger name, nom complet, "
    "nombre completo, nome completo, volledige naam, imię i nazwisko, полное имя, first name / surname, "
    "first name / last name, last name / first name, vorname / nachname, prénom / nom, 姓名",
    "first": "first name, firstname, given name, forename, vorname, prénom, nombre, nome, voornaam, imię, имя",
    "last": "last name, lastname, surname, family name, nachname, familienname, nom, nom de famille, apellido, "
    "apellidos, apellido(s), cognome, sobrenome, achternaam, nazwisko, фамилия",
    "email": "email, e-mail, mail, email address, e-mail address, e-mail-adresse, adresse de courriel, "
    "adresse e-mail, dirección de correo, correo electrónico, indirizzo email, endereço de email, "
    "e-mailadres, adres e-mail, адрес электронной почты, 电子邮件地址, student email",
    "login": "login, username, user name, sis login id, anmeldename, benutzername, nom d'utilisateur, "
    "nombre de usuario, nome utente, nome de usuário, gebruikersnaam, user id, netid, uid",
    "number": "number, id number, student id, student number, sis user id, sid, matriculation number, "
    "matrikelnummer, orgdefinedid, org defined id, numéro d'identification, número de id, "
    "codice identificativo, id-nummer, roster identifier, student no",
    "canvas": "canvas, canvas id",
    "moodle": "moodle",
    "blackboard": "blackboard",
    "github": "github_username, github, github username, github login",
    "brightspace": "brightspace",
    "group": "group, team, gruppe, groupe, grupo, gruppo, groep",
    "section": "section, sections, groups, gruppen, groupes, grupos, gruppi, class, tutorial, lab",
    "role": "role, roles, rolle, rollen, rôle, rôles, rol, ruolo",
    "key": "key",
}
STAFF = re.compile(
    r"instructor|teacher|\bta\b|assistant|manager|trainer|enseignant|profesor|docent", re.I
)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", folded(text.lstrip("\ufeff#")))


MEANING = {_letters(h): what for what, names in HEADINGS.items() for h in names.split(", ")}


def meaning_of(heading: str) -> str:
    """What a heading of a system's list is: a column of the roster, "first", "last", "role", or ""."""
    return MEANING.get(_letters(heading), "")


@dataclass(frozen=True)
class Merged:
    """What became of a list: people new in the roster, people of it who were known, and what to tell."""

    added: list[str]
    known: list[str]
    told: list[str]


def merge_list(roster: Roster, path: Path, chapter: str | None = None) -> Merged:
    """Read a system's list into the roster: who is there gets what was missing, all others are added.

    chapter: whose grading worksheet it is, for Moodle numbers its participants in each assignment anew.
    Raises ValueError for a file that is no such list.
    """
    people = read_list(path, chapter)
    names = Counter(who.name for who in people)
    alike = Counter(folded(who.name) for who in people)
    merged = Merged([], [], [])
    for who in people:
        found = roster.match(who, chapter or "", names[who.name] == 1, alike[folded(who.name)] > 1)
        if found.torn:
            ids = ", ".join([*filter(None, [who.word, who.name]), *who.ids.values()])
            merged.told.append(
                f"{ids}: not read, for it can be {' or '.join(found.perhaps)}, who have some of that each: "
                "put students.csv right, and read the list again"
            )
            continue
        if found.student is None:
            merged.added.append(roster.add(who, chapter or "").key)
            if found.perhaps:
                merged.told.append(
                    f"{merged.added[-1]} ({who.name}) is new; {', '.join(found.perhaps)} may be the same person: "
                    f"if so, maml-edu classroom roster --merge {merged.added[-1]} {found.perhaps[0]}"
                )
            continue
        merged.known.append(found.student.key)
        merged.told.extend(roster.learn(found.student.key, who, chapter or ""))
    return merged


def read_lists(root: Path, paths: list[Path], chapter: str | None = None) -> list[str]:
    """Read lists into a class's students.csv; what was done, in words. Raises ValueError."""
    told = []
    with hand_ins.alone(root):
        roster = Roster.of(root)
        for path in paths:
            merged = merge_list(roster, path, chapter)
            told.append(f"{path.name}: {len(merged.added)} people new, {len(merged.known)} known.")
            told += merged.told
        roster.save(root / "students.csv")
    return told


def read_list(path: Path, chapter: str | None = None) -> list[Who]:
    """The people of a list. Raises ValueError for a file that is none."""
    header, rows = _table(path)
    meanings = _meanings(header, rows, path)
    people = []
    for row in rows:
        said: dict[str, str] = {}
        for what, cell in zip(meanings, row, strict=False):
            value = cell.strip().removeprefix("#") if what != "name" else cell.strip()
            if what and value and what not in said:
                said[what] = _unquoted(value)
        if (who := _person(said, chapter)) is not None:
            people.append(who)
    if not people:
        raise ValueError(f"{path} names nobody.")
    return people


def _unquoted(value: str) -> str:
    """Canvas writes what begins with = as ="value"."""
    found = re.fullmatch(r'="(.*)"', value)
    return found[1] if found else value


def _person(said: dict[str, str], chapter: str | None) -> Who | None:
    """Who a row is; None for a row that is no student's."""
    name = said.get("name", "")
    if said.get("first") or said.get("last"):
        name = " ".join(filter(None, [said.get("first"), said.get("last")]))
    elif name.count(", ") == 1:
        last, first = name.split(", ")
        name = f"{first} {last}"
    name = " ".join(name.split())
    if folded(name) == "test student" and "email" not in said or name.startswith("Points Possible"):
        return None
    if STAFF.search(said.get("role", "")) and not re.search("student", said.get("role", ""), re.I):
        return None
    ids = {
        c: v
        for c, v in said.items()
        if c not in ("name", "first", "last", "group", "section", "role", "key")
    }
    ids = {c: v for c, v in ids.items() if c not in ("participant",) and " " not in v}
    once = {}
    if "participant" in said and chapter:
        once["moodle"] = re.findall(r"\d+", said["participant"])[-1]
    word = said.get("key", "")
    if not name and not ids and not word and not once:
        return None
    return Who(name, ids, once, word, group=said.get("group", ""), section=said.get("section", ""))


def _meanings(header: list[str], rows: list[list[str]], path: Path) -> list[str]:
    """What each column is. Raises ValueError where none says who somebody is."""
    found = [meaning_of(heading) for heading in header]
    letters = [_letters(heading) for heading in header]
    if "id" in letters and (
        "sisloginid" in letters or "section" in letters and "student" in letters
    ):
        found[letters.index("id")] = "canvas"
    first = [row[0] for row in rows if row and row[0].strip()]
    numbered = [re.fullmatch(r"(\D+?)\s*(\d+)", cell.strip()) for cell in first]
    words = {one[1] for one in numbered if one}
    if first and all(numbered) and len(words) == 1 and not found[0]:
        found[0] = (
            "participant"  # "Participant 20056" of Moodle's grading worksheet, in whatever language
        )
    elif letters and letters[0] == "identifier" and "github" in found:
        found[0] = "number"
    if not {"name", "last", "email", "login", "number", "key", "canvas", "github"} & set(found):
        shown = ", ".join(repr(name) for name in header[:12])
        raise ValueError(
            f"{path}: none of its columns ({shown}) says who somebody is: call one of them "
            "name, email, login or number."
        )
    return found


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """A table of a system's. Blackboard's, which is called .xls, is text with tabs, in UTF-16."""
    data = path.read_bytes()
    if data[:2] in (b"PK", b"\xd0\xcf"):
        raise ValueError(f"{path} is a workbook: save it as CSV, in UTF-8, and name that file.")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8 (byte {error.start}): save it as 'CSV UTF-8'."
        ) from error
    if not text.strip():
        raise ValueError(f"{path} is empty: its first line must name the columns.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=tables.delimiter_of(text))
    try:
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ValueError(f"{path} is not a table of comma-separated values ({error}).") from error
    lines = [(line, row) for line, row in lines if any(cell.strip() for cell in row)]
    columns = len(lines[0][1])
    for line, row in lines:
        if any(cell.strip() for cell in row[columns:]):
            raise ValueError(
                f"{path}, line {line}: there are {len(row)} cells and {columns} columns: put a cell with a comma "
                'in it in quotes, as in "Lovelace, Ada".'
            )
    rows = [[tables.plain(cell) for cell in row] for _, row in lines]
    return [cell.strip() for cell in rows[0]], rows[1:]
