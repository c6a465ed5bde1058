"""The pictures in docs/teaching.md: a student's feedback, the report on a class of sixty, the marking page.

    python benchmarks/pictures/teaching_pictures.py        # about a minute; writes docs/images/teaching_*.png

Needs bubblewrap and Chromium. Students and their answers are those of benchmarks/grading/grading.py.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from benchmarks.grading.grading import CHAPTER, fill  # noqa: E402
from maml_edu.grading import give_back, many, run  # noqa: E402
from maml_edu.grading.marking.desk import Desk  # noqa: E402
from maml_edu.grading.marking.server import Server  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--count", type=int, default=60, help="students")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        room, _ = fill(Path(folder, "class"), options.count)
        write_essays(room)
        done = list(many.grade_all(room.jobs(), room.how()))
        built = give_back.marks_of(room, [CHAPTER])
        give_back.write_feedback(room, built)
        report, _ = give_back.write_reports(room, built)
        student = telling(one.result for one in done)
        page = room.root / "feedback" / student / CHAPTER / f"{CHAPTER}.html"
        photograph(page.as_uri(), options.out / "teaching_feedback.png", height=1000)
        photograph(report.as_uri(), options.out / "teaching_report.png", height=1300)
        with marking_page(room) as address:
            photograph(address, options.out / "teaching_marking.png", height=1000)


ESSAYS = (
    "One step of size $\\alpha$ leaves the share $1 - \\alpha a$ of the way to the minimum. Where it is flat "
    "($a$ small), that share is near 1, so the start has to be **near** it already; where it is steep, a step does "
    "nearly all the work.\n\nSo the best start leans towards the flat tasks.",
    "Because steep tasks learn faster.",
    "The weights are $(1 - \\alpha a)^2$, and these are largest for the tasks with the smallest curvature.",
)


def write_essays(room):
    """Answers to the written question, for the first notebooks in which it is left empty."""
    todo = list(ESSAYS)
    for path in sorted(room.root.glob(f"submitted/*/{CHAPTER}/{CHAPTER}.ipynb")):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            made = json.loads(path.read_text(encoding="utf-8"))
            named = {c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in made["cells"]}
            cells = [named["written_04"]]
            if todo and cells:
                cells[0]["source"] = todo.pop(0)
                path.write_text(json.dumps(made), encoding="utf-8")


def telling(found):
    """A student with a right, a wrong and an empty answer, whose feedback shows each."""
    for result in sorted(found, key=lambda result: result.student):
        if {"right", "wrong", "not done"} <= {v.outcome for v in result.verdicts}:
            return result.student
    raise SystemExit("no student of these has a right, a wrong and an empty answer")


@contextlib.contextmanager
def marking_page(room):
    """The page of `maml-edu classroom mark`, served until the end of the context: its address."""
    run.write_marks(room)
    with Server(Desk(room, [CHAPTER], anonymous=False), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def photograph(address: str, path: Path, height: int):
    """The upper part of a page, as a browser shows it."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        view = browser.new_page(viewport={"width": 900, "height": height})
        view.goto(address, wait_until="networkidle")
        view.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    main()
