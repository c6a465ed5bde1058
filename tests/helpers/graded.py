"""Results of grading that nobody has graded: what the tests of marks, feedback, exports and report share."""

import random

from maml_edu.grading import results
from maml_edu.grading.results import Result, Verdict

CHAPTER = "04_gradient_of_a_step"
EXERCISES = {
    "04.meta_slope": ("The meta-gradient by hand", 3),
    "04.numeric_meta_slope": ("The meta-gradient by finite differences", 3),
    "04.first_order_misleads": ("The sign flip", 2),
    "04.best_start": ("The best place to start from", 3),
}
WRITTEN = "written_04"

# What a folder may be called, and what a notebook may say.
NAMES = [
    "Silva, Jr",
    "=cmd|x",
    "李雷",
    'O\'Brien "Bob"',
    "'=1+1",
    "שרה כהן",
    "-2+3",
    "@SUM(A1)",
    " pad ",
    "a;b\tc",
]
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "`` ` ```\n\n<script>alert(1)</script>\n```",
    "$\\href{javascript:alert(1)}{x}$ \\(x\\)",
    "</code></pre><iframe src='javascript:alert(1)'>",
    "&lt;script&gt; &#60;b&#62;",
    "<!-- --> <![CDATA[ ]]>",
    "\x00\x1b[31m\x08\x7f\x85\ud800\uffff",
    "abc\u202egnp.exe \u2066isolated",
    "\u0639\u0631\u0628\u064a \u05e2\u05d1\u05e8\u05d9\u05ea",
]  # fmt: skip


def verdict(
    exercise="04.meta_slope", outcome="right", reason="", points="by outcome", seconds=0.01
):
    title, worth = EXERCISES.get(exercise, ("In your own words", 2))
    if points == "by outcome":
        points = {"right": worth, "person": None, "grader-error": None, "not asked": None}.get(
            outcome, 0
        )
    return Verdict(exercise, title, outcome, points, worth, reason, seconds)


def result(
    student="ada", outcomes=("right",) * 4, reason="", status="graded", written=True, **more
):
    """A result of chapter 04 with these outcomes of its four exercises, and a written answer."""
    more.setdefault("chapter", CHAPTER)
    verdicts = [
        verdict(exercise, outcome, "" if outcome == "right" else reason)
        for exercise, outcome in zip(EXERCISES, outcomes, strict=False)
    ]
    verdicts += [verdict(WRITTEN, "person")] if written else []
    return Result(student, status=status, verdicts=verdicts, seconds=0.4, **more)


def rejected(student="eve", problem="the file is not JSON: no notebook, or one that was cut off"):
    return Result(student, CHAPTER, "rejected", problem=problem)


def a_class(n=60, seed=0):
    """n results such as a class of beginners hands in; the same for the same seed."""
    rng = random.Random(seed)
    reasons = [
        "this is the slope at φ: the path from θ to φ has a slope too (the factor 1 − αa)",
        "this is the slope at θ, before the step",
        "your answer is None: is a `return` missing?",
        "your function raised ZeroDivisionError (line 3 of its cell: return 1 / (<b>x</b> - x))",
    ]
    found = []
    for i in range(n):
        kinds = ["right"] * 6 + ["wrong"] * 3 + ["not done", "missing", "timeout", "crashed"]
        outcomes = [rng.choice(kinds), rng.choice(kinds), "right", rng.choice(kinds[6:])]
        made = result(f"student {i:02}", outcomes)
        for k, one in enumerate(made.verdicts):
            told = rng.choice(reasons) if one.outcome == "wrong" else ""
            made.verdicts[k] = verdict(one.exercise, one.outcome, told, seconds=rng.random() / 5)
        found.append(made)
    found[3] = rejected("student 03")
    found[7] = Result("student 07", CHAPTER, "grader-error", problem="no box could be started")
    found[8] = result("student 08", ["right", "grader-error", "right", "wrong"], sandboxed=False)
    return found


def kept(folder, found):
    """The results as files in a folder."""
    for one in found:
        results.save(folder, one)
    return folder
