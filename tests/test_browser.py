"""The course in a real browser: JupyterLab runs chapter 00, a slider moves its figure, chapter 10's
game counts clicks, chapter 11's θ is dragged, chapter 13's pendulum swings, chapter 14's boxes are
typed into, and an exercise tells a stub from a right answer.

Needs Chromium (or Chrome) and Playwright; is skipped, with the reason, where one is missing.
Screenshots go to pytest's temporary folder.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from chromium import launched, needs_browser

from maml_edu import build, lab, places

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(os.name != "posix", reason="stops the server with a signal"),
]

LESSON = "notebooks/00_start_here.ipynb"
EXERCISE = "exercises/04_gradient_of_a_step.ipynb"
SECONDS = 1000  # Playwright counts in milliseconds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """`maml-edu lab --no-browser` on loopback, on copies of its own: (work folder, URL)."""
    folder = tmp_path_factory.mktemp("lab")
    work, port = folder / "my_work", free_port()
    line = [sys.executable, "-c", "from maml_edu.cli import main; main()", "lab", "--no-browser"]
    line += ["--port", str(port), "--work", str(work), "--ServerApp.token=secret"]
    line += ["--LabApp.expose_app_in_browser=True"]  # lets the test read the notebook's cells
    home = {"HOME": str(folder), "MAML_EDU_HOME": str(folder / "record"), "OMP_NUM_THREADS": "1"}
    with (folder / "lab.log").open("w+") as log:
        process = subprocess.Popen(
            line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **home}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(f"{url}/api/status?token=secret", process, log)
            yield work, url
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            finally:
                process.kill()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_it_answers(url, process, log):
    for _ in range(120):
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                break
            time.sleep(0.5)
    log.seek(0)
    raise AssertionError(f"JupyterLab did not answer:\n{log.read()[-4000:]}")


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    yield page
    page.close()


def open_notebook(page, url, path):
    """Open a notebook in JupyterLab as a learner's link would; return its panel."""
    # `reset`: a layout that an earlier page left behind opens no second notebook.
    page.goto(f"{url}/lab/tree/{path}?token=secret&reset", timeout=60 * SECONDS)
    panel = page.locator(".jp-NotebookPanel:visible")
    panel.locator(".jp-Cell").first.wait_for(timeout=60 * SECONDS)
    ready = "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
    page.wait_for_function(f"{ready} === 'idle'", timeout=60 * SECONDS)
    return panel


def run_all_cells(page, panel, seconds):
    """Clear all outputs, run all cells, and wait until every code cell has been run."""
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    deadline = time.monotonic() + seconds
    while waiting(page):
        assert time.monotonic() < deadline, f"still waiting after {seconds} s: {prompts(page)}"
        page.wait_for_timeout(300)


def choose(page, menu, item):
    """Choose an item of JupyterLab's menu bar."""
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()


def model(page, expression):
    """Evaluate `expression` of `cells`, the code cells of the notebook that is shown.

    JupyterLab draws only the cells near the screen: their state is in the model, not the page.
    """
    return page.evaluate(
        """(expression) => {
            const panel = window.jupyterapp.shell.currentWidget;
            const cells = [...panel.content.model.cells].filter((cell) => cell.type === "code");
            return new Function("cells", "panel", "return " + expression)(cells, panel);
        }""",
        expression,
    )


def prompts(page):
    return model(page, "cells.map((cell) => cell.executionState + ' ' + cell.executionCount)")


def waiting(page):
    """Are there cells with code that have not been run to their end, and no error so far?"""
    unfinished = "cell.sharedModel.getSource().trim() && (cell.executionState !== 'idle'"
    unfinished += " || cell.executionCount === null)"
    return not errors(page) and model(page, f"cells.some((cell) => {unfinished})")


def outputs(page):
    """The outputs of each code cell, as they would be stored."""
    return model(page, "cells.map((cell) => cell.outputs.toJSON())")


def errors(page):
    return [
        output
        for cell in outputs(page)
        for output in cell
        if output["output_type"] == "error" or output.get("name") == "stderr"
    ]


def text_of(cell_outputs):
    return "".join("".join(output.get("text", "")) for output in cell_outputs)


def markup_beside(handle):
    """The drawings in the output that a slider belongs to, as the browser has them."""
    return handle.evaluate(
        """(handle) => [...handle.closest(".jp-OutputArea").querySelectorAll("svg")]
            .filter((svg) => svg.getBoundingClientRect().width > 100)
            .map((svg) => svg.outerHTML).join("")"""
    )


def test_chapter_00_runs_and_its_slider_moves_the_figure(server, page, tmp_path):
    work, url = server
    panel = open_notebook(page, url, LESSON)
    pictures = panel.locator(".jp-OutputArea img")
    pictures.first.wait_for(timeout=30 * SECONDS)  # stored, before anything has run
    page.screenshot(path=tmp_path / "before.png")
    run_all_cells(page, panel, seconds=240)
    assert errors(page) == []
    shown = pictures.first.evaluate("(picture) => picture.alt && picture.naturalWidth")
    assert shown and shown > 100, "a picture with alt text"

    handle = panel.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed(timeout=30 * SECONDS)
    page.wait_for_timeout(500)
    before = markup_beside(handle)
    page.screenshot(path=tmp_path / "figure.png")
    assert "<path" in before or "<line" in before or "<circle" in before
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    for _ in range(40):
        if markup_beside(handle) != before:
            break
        page.wait_for_timeout(250)
    page.screenshot(path=tmp_path / "figure_moved.png")
    assert markup_beside(handle) != before, "the slider moved and the figure did not"
    assert errors(page) == []
    assert page.locator(".Toastify__toast").count() == 0, "nothing pops up over the lesson"


def run_in_a_notebook(server, page, name, code):
    """Run a cell in a notebook of its own, in JupyterLab; return the notebook's panel."""
    work, url = server
    cells = [nbformat.v4.new_code_cell(code)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": build.KERNELSPEC})
    nbformat.write(notebook, work / "notebooks" / f"{name}.ipynb")
    panel = open_notebook(page, url, f"notebooks/{name}.ipynb")
    run_all_cells(page, panel, seconds=120)
    assert errors(page) == []
    return panel


QUIZ = """\
import torch.nn.functional as F
import maml_edu.pytorch as mt
from maml_edu.figures import be_the_classifier
from maml_edu.tasks import Glyphs
learner = mt.MAML(mt.Conv4(5, filters=4), F.cross_entropy, inner_lr=0.4)
be_the_classifier(learner, Glyphs("test", queries=1, alphabets=2), questions=4)
"""


def test_be_the_classifier_counts_what_is_clicked(server, page, tmp_path):
    """Chapter 10's game, with an untrained network: by mouse, then by keyboard."""
    panel = run_in_a_notebook(server, page, "quiz", QUIZ)
    title = panel.locator(".maml-edu-live .title")
    third = panel.locator('.maml-edu-live [data-press="2"]')
    third.wait_for(timeout=30 * SECONDS)
    assert title.inner_text().startswith("Question 1 of 4: which")
    assert third.get_attribute("role") == "button" and third.get_attribute("aria-label")
    page.screenshot(path=tmp_path / "question.png")

    third.click()
    on = panel.locator('.maml-edu-live [data-press="next"]')
    on.wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "answer.png")
    said = title.inner_text()
    right = 1 if ": right." in said else 0
    assert re.search(rf"Of 1 so far: you {right}, network [01], pixels [01]", said)
    assert third.count() == 0, "an answer cannot be taken back"

    on.focus()
    page.keyboard.press("Enter")
    third.wait_for(timeout=30 * SECONDS)
    assert title.inner_text().startswith("Question 2 of 4: which")
    third.focus()
    page.keyboard.press("Space")
    on.wait_for(timeout=30 * SECONDS)
    assert "Of 2 so far" in title.inner_text()
    assert on.evaluate("(button) => button === document.activeElement"), (
        "the keyboard goes on there"
    )
    assert errors(page) == []


ROBOT = """\
import numpy as np
import maml_edu.reference as ref
from maml_edu.figures import break_the_robot
network = ref.mlp_init(np.random.default_rng(0), (4, 8, 2))
break_the_robot({"MAML": (network, 0.1)}, seconds=3.0, plans=16)
"""


def test_the_pendulum_swings_when_play_is_pressed(server, page, tmp_path):
    """Chapter 13's animation, with an untrained network; then another model, and a step by the keyboard."""
    panel = run_in_a_notebook(server, page, "robot", ROBOT)
    swing, titles = panel.locator(".maml-edu-live").first, panel.locator(".maml-edu-live .title")
    play = panel.locator(".jupyter-widget-play button, .widget-play button").first
    play.wait_for(timeout=30 * SECONDS)
    swing.get_by_text("1.6 s", exact=True).wait_for(timeout=30 * SECONDS)  # where it starts
    page.screenshot(path=tmp_path / "robot.png")

    play.click()
    swing.get_by_text("3.0 s", exact=True).wait_for(timeout=60 * SECONDS)  # it played to the end
    page.screenshot(path=tmp_path / "swung.png")
    before = titles.first.inner_text()
    assert before.startswith("MAML after 3 steps")
    panel.locator(".widget-dropdown select").first.select_option("the true model")
    titles.first.filter(has_text="The true model").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "true_model.png")
    assert errors(page) == []


BOXES = """\
import numpy as np
import maml_edu.reference as ref
from maml_edu.figures import five_boxes
five_boxes(ref.mlp_init(np.random.default_rng(0), (1024, 8, 5)), 1.0)
"""


def test_a_typed_sentence_is_sorted_anew(server, page, tmp_path):
    """Chapter 14's boxes, with an untrained network: the reader's own words, in another language."""
    panel = run_in_a_notebook(server, page, "boxes", BOXES)
    titles, boxes = panel.locator(".maml-edu-live .title"), panel.locator(".widget-text input")
    boxes.last.wait_for(timeout=30 * SECONDS)
    assert boxes.count() == 6
    before = titles.first.inner_text(), titles.last.inner_text()
    page.screenshot(path=tmp_path / "boxes.png")

    boxes.nth(1).fill("Wann gibt es Frühstück?")
    boxes.last.fill("Frühstück gibt es wann?")
    said = titles.first.filter(has_text="Centroid: intent 2.")
    said.wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "typed.png")
    assert "Intent 2 is ahead of" in titles.last.inner_text()
    assert (titles.first.inner_text(), titles.last.inner_text()) != before
    assert errors(page) == []


PULLS = """\
from maml_edu.figures import where_each_pulls
where_each_pulls()
"""


def test_theta_is_dragged_and_five_methods_pull_elsewhere(server, page, tmp_path):
    """Chapter 11's figure: θ by mouse, K by keyboard."""
    panel = run_in_a_notebook(server, page, "pulls", PULLS)
    titles = panel.locator(".maml-edu-live .title")
    titles.last.filter(has_text="disagree most").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "pulls.png")

    before = titles.last.inner_text()
    drag_by(page, panel.locator('.maml-edu-live [data-handle="theta.0"]').first, -160, 120)
    titles.last.filter(has_not_text=before).wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "dragged.png")

    steps = panel.locator(".noUi-handle").nth(1)
    steps.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    titles.last.filter(has_text="with K = 1 Reptile is pretraining").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "one_step.png")
    assert errors(page) == []


SURGERY = """\
import numpy as np
import maml_edu.reference as ref
from maml_edu.figures import surgery_on_waves
rng = np.random.default_rng(0)
surgery_on_waves({f"{m} waves": ref.mlp_init(rng, (1, 40, 40, 1)) for m in (1, 10)})
"""


def test_layers_are_frozen_with_tick_boxes(server, page, tmp_path):
    """Chapter 12's surgery, with untrained networks: tick boxes, a menu, a slider."""
    panel = run_in_a_notebook(server, page, "surgery", SURGERY)
    titles, boxes = panel.locator(".maml-edu-live .title"), panel.locator("input[type=checkbox]")
    boxes.first.wait_for(timeout=30 * SECONDS)
    assert boxes.count() == 3
    page.screenshot(path=tmp_path / "surgery.png")

    boxes.nth(1).set_checked(False)
    boxes.nth(2).set_checked(False)
    said = titles.first.filter(has_text="1 waves, layer 1 may move (80 of 1,761 numbers)")
    said.wait_for(timeout=30 * SECONDS)
    panel.locator(".widget-dropdown select").first.select_option("10 waves")
    titles.first.filter(has_text="10 waves, layer 1 may move").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "frozen.png")
    assert errors(page) == []


FACTOR = """\
from maml_edu.figures import find_the_factor
find_the_factor()
"""


def test_a_hidden_program_is_found_with_tick_boxes_and_theta_is_dragged(server, page, tmp_path):
    """Chapter 15's game."""
    from maml_edu.figures.chapters.other_frameworks import SWITCHES, hidden_cases

    panel = run_in_a_notebook(server, page, "factor", FACTOR)
    titles, boxes = panel.locator(".maml-edu-live .title"), panel.locator("input[type=checkbox]")
    boxes.first.wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "factor.png")
    panel.locator(".widget-dropdown select").first.select_option("program 2")
    titles.last.filter(has_text="Program 2 is not found yet").wait_for(timeout=30 * SECONDS)
    for box, name in zip(boxes.all(), SWITCHES, strict=False):
        box.set_checked(name in hidden_cases()[1])
    titles.last.filter(has_text="Found. Program 2").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "found.png")

    before = titles.first.inner_text()
    drag_by(page, panel.locator('.maml-edu-live [data-handle="theta.0"]').first, 60, 40)
    titles.first.filter(has_not_text=before).wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "dragged.png")
    assert titles.last.inner_text().startswith("Found. Program 2")
    assert errors(page) == []


LEARNERS = """\
import maml_edu.pytorch as mt
from maml_edu.figures import three_learners
three_learners(mt.MAML(mt.MLP(1, 8, 1), inner_lr=0.01), mt.InContext())
"""


def test_three_learners_read_points_that_are_chosen_and_dragged(server, page, tmp_path):
    """Chapter 16's figure, with untrained networks."""
    panel = run_in_a_notebook(server, page, "learners", LEARNERS)
    titles = panel.locator(".maml-edu-live .title")
    titles.last.filter(has_text="error 0 (at the points 0)").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "learners.png")
    panel.locator(".widget-dropdown select").first.select_option("one point")
    titles.last.filter(has_text="the lowest of many waves").wait_for(timeout=30 * SECONDS)
    page.screenshot(path=tmp_path / "one_point.png")

    before = titles.nth(1).inner_text()
    drag_by(page, panel.locator('.maml-edu-live [data-handle="points.0"]').first, 40, 30)
    titles.nth(1).filter(has_not_text=before).wait_for(timeout=30 * SECONDS)
    threads = panel.locator(".maml-edu-live").nth(1)
    before = threads.inner_html()
    drag_by(page, threads.locator('[data-handle="query.0"]').first, -80, 0)
    for _ in range(40):
        if threads.inner_html() != before:
            break
        page.wait_for_timeout(250)
    page.screenshot(path=tmp_path / "dragged.png")
    assert threads.inner_html() != before
    assert errors(page) == []


def drag_by(page, mark, right, down):
    """Take a mark of a live figure with the mouse and put it elsewhere, so many pixels away."""
    mark.scroll_into_view_if_needed(timeout=30 * SECONDS)
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right / 2, y + down / 2)
    page.mouse.move(x + right, y + down)
    page.mouse.up()


def cells_of(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))["cells"]


def first_exercise():
    """Of the exercise notebook: (name, index of its answer cell and of its check, a right answer).

    The indices count code cells.
    """
    cells = [c for c in cells_of(places.course_root() / EXERCISE) if c["cell_type"] == "code"]
    marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    answer = next(i for i, mark in enumerate(marks) if mark.get("solution"))
    name = marks[answer]["grade_id"]
    check = next(i for i, c in enumerate(cells) if f'check("04.{name}"' in "".join(c["source"]))
    solutions = cells_of(places.course_root() / EXERCISE.replace("exercises", "solutions"))
    [right] = [
        "".join(cell["source"])
        for cell in solutions
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    ]
    return name, answer, check, right


def rewrite_cell(page, index, source):
    """Put the cursor into a code cell, select all and type another source."""
    page.evaluate(
        """(index) => {
            const content = window.jupyterapp.shell.currentWidget.content;
            const code = content.widgets.filter((cell) => cell.model.type === "code");
            content.activeCellIndex = content.widgets.indexOf(code[index]);
            content.mode = "edit";
        }""",
        index,
    )
    editor = page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active .cm-content")
    editor.click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(source)


def test_an_exercise_tells_a_stub_from_a_right_answer(server, page, tmp_path):
    work, url = server
    name, answer, check, right = first_exercise()
    panel = open_notebook(page, url, EXERCISE)
    run_all_cells(page, panel, seconds=120)
    assert errors(page) == []
    menus = page.locator(".lm-MenuBar-itemLabel").all_inner_texts()
    assert "Kernel" in menus and "Nbgrader" not in menus
    assert "not done yet" in text_of(outputs(page)[check])
    record = work.parent / "record"
    assert not any("passed" in path.name or name in path.name for path in record.rglob("*.json"))

    rewrite_cell(page, answer, right)
    run_all_cells(page, panel, seconds=120)
    page.screenshot(path=tmp_path / "passed.png")
    assert errors(page) == []
    said = text_of(outputs(page)[check])
    assert re.search("pass|right|✓", said) and "not done yet" not in said

    page.keyboard.press("ControlOrMeta+S")
    mine = work / EXERCISE
    for _ in range(40):
        if right.splitlines()[-1].strip() in mine.read_text(encoding="utf-8"):
            break
        page.wait_for_timeout(250)
    assert name in {path.stem.removeprefix("04.") for path in record.rglob("*.json")}
    assert lab.prepare(work, places.course_root()) == []
    kept = "".join(cells_of(mine)[index_among_all(mine, answer)]["source"])
    assert kept == right, "the learner's answer survives the next `maml-edu lab`"


def index_among_all(path, code_index):
    """The place among all cells of a notebook of its code cell number `code_index`."""
    code = [i for i, cell in enumerate(cells_of(path)) if cell["cell_type"] == "code"]
    return code[code_index]
