"""Gradescope: the autograder that it runs (`bundle`), and what that writes for one submission (`results_json`)."""

from __future__ import annotations

import json
import math
import re
import shlex
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maml_edu import __version__
from maml_edu.atomic import replacing

from .. import marks
from ..judge import task_of
from ..marks import ByHand
from ..pages import feedback
from ..pages.html import points as in_points
from ..pages.html import visible
from ..results import Result
from .tables import number


def results_json(
    result: Result, by_hand: ByHand | None = None, visibility: str = "visible"
) -> dict[str, Any]:
    """One submission in Gradescope's form of results.json.

    An answer that waits for a person has no score (nor a maximum: in Gradescope that is a question of
    its own); the top-level score, which is the total there, counts the others. Where the grader failed,
    even on one answer, there are no scores at all, for any total would count what it could not judge as
    0: Gradescope then reports an autograder that failed. visibility: as in Gradescope's specification.
    """
    by_hand = by_hand or {}
    found = marks.mark(result, by_hand)
    broken = [
        v for v in result.verdicts if v.outcome == "grader-error" and v.exercise in found.waiting
    ]
    scored = found.points is not None and not broken
    output = [f"{in_points(found.points, found.max_points)} so far" if found.waiting else ""]
    if not scored:
        output = [feedback.NO_MARK]
        output += [visible(result.problem, 1000)] if result.status == "rejected" else []
    content: dict[str, Any] = {
        "output": "\n".join(line for line in [*output, *map(visible, result.notes[:20])] if line),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": visibility,
        "tests": [
            _test(result, verdict, by_hand, visibility, scored) for verdict in result.verdicts
        ],
    }
    if scored and found.points is not None:
        content["score"] = number(found.points)
    return content


VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")


def write_results(result: Result, path: Path, visibility: str = "visible") -> None:
    """Write one submission's results.json. Raises ValueError for a visibility that is none, OSError."""
    if visibility not in VISIBILITIES:
        raise ValueError(f"--visibility is one of {', '.join(VISIBILITIES)}, not {visibility!r}.")
    content = results_json(result, visibility=visibility)
    with replacing(path) as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())


def _test(result, verdict, by_hand, visibility, scored):
    given = marks.given_for(result, verdict.exercise, by_hand)
    value = marks.points_of(verdict, given)
    by_a_person = value is None and verdict.outcome == "person"
    worth = f"{in_points(verdict.max_points)} point{'' if verdict.max_points == 1 else 's'}"
    test = {
        "name": visible(verdict.title or verdict.exercise, 200),
        "output": f"graded by hand, in a question of its own: up to {worth}"
        if by_a_person
        else feedback.in_words(verdict, given),
        "output_format": "text",
        "visibility": visibility,
    }
    if value is not None and scored:
        test |= {"score": number(value), "max_score": number(verdict.max_points)}
        test["status"] = "passed" if value >= verdict.max_points else "failed"
    return test


SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image. Choose a base image with Python 3.11 or later
# (Ubuntu 24.04 has 3.12). What is installed is what grading this chapter needs{torchless}.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap python3 python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
python3 -m venv /autograder/venv
pip() {{ /autograder/venv/bin/pip install --no-cache-dir -c /autograder/source/constraints.txt "$@"; }}
{torch}pip {packages}
pip --no-deps {requirement}
chmod 600 /autograder/source/seed
"""
TORCH = (
    "pip --index-url https://download.pytorch.org/whl/cpu torch  # without CUDA: 0.2 GB, not 3\n"
)

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission.
set -euo pipefail
cd /autograder
exec /autograder/venv/bin/maml-edu grade /autograder/submission --chapter {chapter} \\
    --seed-file /autograder/source/seed --gradescope /autograder/results/results.json{more}
"""

# What the grader and the notebooks of the course import; neither JupyterLab nor widgets.
PACKAGES = (
    "numpy",
    "matplotlib",
    "ipython",
    "typer",
    "rich",
    "filelock",
    "platformdirs",
    "packaging",
)
WITH_TORCH = ("safetensors", "tqdm")
CONSTRAINTS = """\
# The versions that this class is graded with elsewhere. Delete a line for which pip finds no version for the
# image's Python.
"""


def needs_torch(chapter: str, private: Path | None = None) -> bool:
    """Whether a chapter's exercises, or a teacher's own checks, are of PyTorch."""
    task = task_of(chapter)
    texts = [task.given, private.read_text(encoding="utf-8") if private else ""]
    return any(exercise.interface == "torch" for exercise in task.exercises) or any(
        re.search(r"\btorch\b", text) for text in texts
    )


def setting_up(chapter: str, visible: bool = False) -> list[str]:
    """How the assignment must be set up in Gradescope, in lines."""
    task = task_of(chapter)
    written = math.fsum(question.points for question in task.written)
    auto = math.fsum(exercise.points for exercise in task.exercises)
    lines = [
        "In Gradescope: a Programming Assignment; base image Ubuntu 24.04 or later; "
        f"Autograder points: {number(auto)}.",
    ]
    if task.written:
        names = ", ".join(question.id for question in task.written)
        lines.append(
            f"Enable Manual Grading, and add a question worth {number(written)} points for {names}, which a "
            "person reads: the autograder gives no points for it, so it adds nothing twice."
        )
    lines.append(
        "Students see the tests at once (--visible): unless you limit submissions, they can try out what the "
        "hidden inputs are."
        if visible
        else "Students see scores and tests after the due date (after_due_date), so set one; --visible shows "
        "them at once."
    )
    return lines + [
        "A submission without a mark appears as an autograder that failed: it is not a 0."
    ]


def bundle(
    path: Path,
    chapter: str,
    seed: str,
    *,
    wheel: Path | None = None,
    private: Path | None = None,
    source: Path | None = None,
    allow_unsandboxed: bool = False,
    visible: bool = False,
) -> None:
    """Write the zip that Gradescope builds an autograder from; the same bytes for the same arguments.

    seed: the secret of the hidden checks; keep the zip as you keep the seed. wheel: of maml_edu, to be
    carried in the zip; otherwise this version is installed by name. private: a teacher's file of further
    checks of the chapter; source: the class's notebook, which says what is asked. allow_unsandboxed: grade
    also where the image does not let bubblewrap work; a submission's code can then read what is in the image, the
    seed and the solutions among it. visible: results at once, not after the due date. Raises ValueError for a
    chapter that is no folder's name, and OSError.
    """
    if not re.fullmatch(r"(?!\d+$)\w+", chapter):
        raise ValueError(
            f"{chapter!r} is no chapter: give its folder, such as 04_gradient_of_a_step."
        )
    requirement = f"/autograder/source/{wheel.name}" if wheel else f"maml_edu=={__version__}"
    more = "" if visible else " --visibility after_due_date"
    more += " --allow-unsandboxed" if allow_unsandboxed else ""
    more += " --private /autograder/source/private" if private else ""
    torch = needs_torch(chapter, private)
    files = {
        "run_autograder": (RUN.format(chapter=shlex.quote(chapter), more=more).encode(), 0o755),
        "seed": (seed.encode(), 0o600),
        "setup.sh": (_setup(requirement, torch).encode(), 0o755),
        "constraints.txt": (_constraints(torch).encode(), 0o644),
    }
    if wheel:
        files[wheel.name] = (wheel.read_bytes(), 0o644)
    if private:
        files[f"private/{chapter}.py"] = (private.read_bytes(), 0o600)
    if source:
        files[f"class/{chapter}/{chapter}.ipynb"] = (source.read_bytes(), 0o600)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: or the mode means nothing
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _setup(requirement, torch):
    packages = PACKAGES + (WITH_TORCH if torch else ())
    return SETUP.format(
        requirement=shlex.quote(requirement),
        packages=" ".join(packages),
        torch=TORCH if torch else "",
        torchless="" if torch else ": no PyTorch",
    )


def _constraints(torch):
    """The versions that are installed here, without what tells one build of them from another."""
    names = [*PACKAGES, *(("torch", *WITH_TORCH) if torch else ())]
    return CONSTRAINTS + "".join(f"{name}=={version(name).split('+')[0]}\n" for name in names)
