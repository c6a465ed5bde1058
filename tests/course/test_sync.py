"""Built notebooks are what their sources make; every lesson has its parts; every link leads on."""

import re
from urllib.parse import unquote

import pytest
from course_files import FOLDERS, SHORTENED, found_chapters, source

from maml_edu import build

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|\b(?:href|src)=[\"']([^\"']+)[\"']")
IMAGE = re.compile(r"<img\b[^>]*>|<svg\b.*?</svg>", re.S)
NUMBERED = r"^(?:#+ |\*\*)(?:Question )?\d\b"  # how a question begins: **1.**, ### 1
QUESTIONS = 3  # concept questions in a lesson
LONGEST_CELL = 25  # lines


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def section(text, title):
    """The text under the first heading that holds `title`, up to the next of its level or above."""
    pattern = rf"^(#+)[^\n]*{title}[^\n]*\n(.*?)(?=^\1(?!#)|^#{{1,2}}\s|\Z)"
    match = re.search(pattern, text, re.S | re.M | re.I)
    return match.group(2) if match else ""


# ---------------------------------------------------------------- built = source


def test_there_is_a_course(root):
    assert found_chapters(), f"no chapter in {root / 'course'}: the tests of the course saw nothing"


def test_built_notebooks_are_in_step_with_their_sources_and_none_is_left_over(root):
    assert build.out_of_step(root) == []


def test_a_built_notebook_holds_no_error_and_no_warning(built, read):
    kinds = {(output.output_type, output.get("name")) for output in outputs(read(built))}
    assert not [kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"]


def test_a_built_notebook_holds_nothing_of_the_machine_it_was_built_on(built, read, root):
    found = [
        (output.output_type, complaint)
        for output in outputs(read(built))
        for text in build.texts(output)
        if (complaint := build.foreign_text(root, text))
    ]
    assert found == []


def test_cells_ran_in_order_except_in_a_stub_where_none_did(built, read):
    counts = [cell.execution_count for cell in code_cells(read(built))]
    stub = built.parent.name == "exercises"
    assert counts == ([None] * len(counts) if stub else list(range(1, len(counts) + 1)))


def test_no_time_of_execution_is_stored(built, read):
    for cell in read(built).cells:
        assert not {"execution", "ExecuteTime", "papermill"} & set(cell.metadata), cell.source


# ---------------------------------------------------------------- the anatomy of a lesson


def test_a_lesson_opens_with_one_title_and_a_question(lesson, read):
    first = read(lesson).cells[0]
    titles = re.findall(r"^# (.+)", markdown(read(lesson)), re.M)
    assert len(titles) == 1 and first.source.startswith("# "), f"titles: {titles}"
    assert "?" in first.source, "its first cell asks no question"


def test_a_lesson_says_what_it_gives_and_what_it_needs(lesson, read):
    opening = markdown(read(lesson))[:4000].lower()
    missing = [w for w in ("you will be able to", "minutes", "gpu") if w not in opening]
    assert not missing, f"nothing about {missing} where a lesson begins"


def test_a_lesson_has_its_readers_predict_before_the_answer_folds_out(lesson, read):
    text = markdown(read(lesson))
    predict = re.search(r"predict", text, re.I)
    assert predict, "no word 'predict'"
    assert "<details" in text[predict.start() :], "no answer folds out after the prediction"


def test_a_lesson_asks_three_concept_questions_and_each_option_folds_out(lesson, read):
    asked = section(markdown(read(lesson)), "three questions")
    assert asked, "no heading 'Three questions'"
    options = [part.count("<details") for part in re.split(NUMBERED, asked, flags=re.M)[1:]]
    assert len(options) >= QUESTIONS and min(options) >= 2, f"options per question: {options}"
    assert asked.count("<details") == asked.count("</details>")


def test_a_lesson_closes_with_what_was_seen_a_summary_and_reading(lesson, read):
    text = markdown(read(lesson))
    titles = ("what you should have seen", "summary", "further reading")
    assert not [title for title in titles if not section(text, title).strip()]


def test_a_lesson_leads_to_its_exercises_and_to_the_next_lesson(lesson, read):
    links = targets(markdown(read(lesson)))
    chapters = found_chapters()
    after = chapters[chapters.index(lesson.stem) + 1 :]
    wanted = [f"{name}.ipynb" for name in after[:1]]
    if source(lesson.stem, "exercises.py").is_file():
        wanted.append(f"../exercises/{lesson.name}")
    assert not [link for link in wanted if link not in links], f"of its links: {links}"


def test_no_code_cell_of_a_lesson_is_too_long_to_read(lesson, read):
    lengths = {cell.source: len(cell.source.splitlines()) for cell in code_cells(read(lesson))}
    assert not {text: n for text, n in lengths.items() if n > LONGEST_CELL}


def test_a_lesson_shows_something(lesson, read):
    kinds = {kind for output in outputs(read(lesson)) for kind in output.get("data", {})}
    assert kinds & {"image/png", "image/svg+xml", "text/html"}, "no figure in its outputs"


def test_every_picture_has_an_alt_text(built, read):
    for output in outputs(read(built)):
        data = output.get("data", {})
        if "image/png" in data:
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert words(alt), f"an image/png without alt text beside {data.get('text/plain')}"
        for tag in IMAGE.findall(data.get("text/html", "") + data.get("image/svg+xml", "")):
            assert words(alternative(tag)), f"no alt text in {tag[:200]}"
    for tag in IMAGE.findall(markdown(read(built))):
        assert words(alternative(tag)), f"no alt text in {tag[:200]}"
    for alt in re.findall(r"!\[([^\]]*)\]\(", markdown(read(built))):
        assert words(alt), "a markdown picture without alt text"


def alternative(tag):
    """The words of an <img> or <svg> for who cannot see it; one marked as decoration needs none."""
    if 'aria-hidden="true"' in tag or 'role="presentation"' in tag:
        return "decoration, nothing to see"
    match = re.search(r"\b(?:alt|aria-label)=\"([^\"]*)\"|<title[^>]*>([^<]*)<", tag)
    return (match.group(1) or match.group(2) or "") if match else ""


def words(alt):
    """An alt text says something: three words at least."""
    return len(alt.split()) >= 3


# ---------------------------------------------------------------- links


def targets(text):
    """Where the links of a text lead, in order."""
    return [unquote(one or other) for one, other in LINK.findall(without_code(text))]


def without_code(text):
    """Markdown and HTML less their code, whose brackets are no links: losses[step](path) is a call."""
    return re.sub(r"```.*?```|<pre\b.*?</pre>|`[^`\n]*`", "", text, flags=re.S)


def is_relative(target):
    return not re.match(r"[a-z][a-z0-9+.\-]*:|//", target, re.I)


def anchors(notebook):
    """The names that JupyterLab gives to the headings of a notebook."""
    titles = re.findall(r"^#+\s+(.+?)\s*$", markdown(notebook), re.M)
    named = re.findall(r"\bid=[\"']([^\"']+)", markdown(notebook))
    return {re.sub(r"[`*_]", "", title).replace(" ", "-") for title in titles} | set(named)


def test_every_relative_link_of_a_notebook_leads_to_a_notebook_of_the_course(built, read, root):
    """Learners work on copies of the three built folders: a link may not lead out of these."""
    notebook = read(built)
    shown = [output.get("data", {}).get("text/html", "") for output in outputs(notebook)]
    broken = []
    for target in filter(is_relative, targets("\n".join([markdown(notebook), *shown]))):
        path, _, anchor = target.partition("#")
        file = (built.parent / path).resolve() if path else built
        there = file.is_file() and file.parent in [root / folder for folder in FOLDERS]
        if not there or (anchor and anchor not in anchors(read(file))):
            broken.append(target)
    assert broken == []


def test_every_relative_link_of_the_readme_leads_to_a_file(root):
    readme = root / "README.md"
    assert readme.is_file(), "no README.md beside course/"
    links = filter(is_relative, targets(readme.read_text(encoding="utf-8")))
    files = [target.partition("#")[0] for target in links]
    assert not [name for name in files if name and not (root / name).exists()]


def test_the_map_in_chapter_00_and_the_readme_lead_to_every_chapter(root, read):
    chapters = found_chapters()
    assert chapters, "no chapter"
    links = targets(markdown(read(root / "notebooks" / f"{chapters[0]}.ipynb")))
    assert not [name for name in chapters[1:] if f"{name}.ipynb" not in links]
    links = targets((root / "README.md").read_text(encoding="utf-8"))
    assert not [name for name in chapters if f"notebooks/{name}.ipynb" not in links]


@pytest.mark.parametrize(("notebook", "long", "short"), SHORTENED)
def test_what_a_test_shortens_is_in_the_notebook_once(root, notebook, long, short):
    text = (root / notebook).read_text(encoding="utf-8")
    assert text.count(long) == 1 and short not in text
