"""Chapter 10: an episode of images, accuracies with their intervals, and a game: be the classifier.

Start from `be_the_classifier`.
"""

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Ink, Note, Points, Scene, number
from maml_edu.figures.static import draw

# ---------------------------------------------------------------- an episode


def an_episode(batch, task=0, rows=3):
    """One task of a TaskBatch of images: its support set, and the first `rows` queries of each class."""
    return draw(episode_scene(batch, task, rows))


def episode_scene(batch, task=0, rows=3):
    """A column a class: support examples on top, queries below."""
    support, query = (
        [own_x[task][own_y[task] == k, 0] for k in range(1 + int(own_y[task].max()))]
        for own_x, own_y in (
            (np.asarray(batch.support_x), np.asarray(batch.support_y)),
            (np.asarray(batch.query_x), np.asarray(batch.query_y)),
        )
    )  # lists over classes of (n, side, side)
    ways, shots, rows = len(support), len(support[0]), min(rows, len(query[0]))
    last = shots + rows  # rows in all
    inks = [
        Ink(k, last - row, image, 0.9, role, label)
        for own, first, role, label in (
            (support, 0, "support", "support: learn from these"),
            (query, shots, "query", "query: be judged by these"),
        )
        for k in range(ways)
        for row, image in enumerate(own[k][: shots if role == "support" else rows], start=first)
    ]
    return Scene(
        title=f"One task of {ways} ways, {shots} shot{'s' * (shots > 1)}: name the blue by the orange",
        alt=f"A grid of small handwritten characters, a column for each of {ways} classes. On top {shots} "
        f"in {'an orange frame' if shots == 1 else 'orange frames'} (support), below {rows} in blue frames "
        "(query): the same character by other hands.",
        xlabel="class, numbered anew in each task",
        ylabel="queries | support",
        xlim=(-0.6, ways - 0.4),
        ylim=(0.1, last + 0.6),
        inks=inks,
        notes=[Note(k, 0.32, str(k), "middle") for k in range(ways)],
        equal=True,
        diagram=True,
    )


# ---------------------------------------------------------------- accuracies


def accuracies(rows, title, chance=None, ours=(), xlim=(0.0, 1.0)):
    """A row for each name → (accuracy, half its 95 % interval), the first on top (a picture).

    title: the finding. chance: the accuracy of guessing, a dotted line. ours: the names that are MAML.
    """
    return draw(accuracy_scene(rows, title, chance, ours, xlim))


def accuracy_scene(rows, title, chance=None, ours=(), xlim=(0.0, 1.0)):
    """A mark and an interval in each row, with its name above and its value in words."""
    curves, points, notes = [], [], []
    left = 100 * xlim[0] + 1.2 * (xlim[1] - xlim[0])
    for y, (name, (mean, half)) in enumerate(reversed(rows.items()), start=1):
        role, value, width = "maml" if name in ours else "baseline", 100 * mean, 100 * half
        curves.append(Curve([value - width, value + width], [y, y], "truth", "95 % interval"))
        points.append(Points(value, y, role))
        notes.append(Note(left, y + 0.36, f"{name}: {value:.1f} ± {width:.1f} %"))
    top = len(rows) + 0.75
    if chance is not None:
        curves.append(Curve([100 * chance] * 2, [0.4, top], "neutral", "chance"))
    said = "; ".join(f"{n} {100 * m:.1f} ± {100 * h:.1f}" for n, (m, h) in rows.items())
    guess = f" A dotted line at {number(100 * chance)}, chance." if chance is not None else ""
    return Scene(
        title=title,
        alt=f"One mark a row on an axis of accuracy in per cent, with its 95 % interval: {said}.{guess}",
        xlabel="accuracy on new tasks [%]",
        ylabel="method",
        xlim=(100 * xlim[0], 100 * xlim[1]),
        ylim=(0.4, top),
        curves=curves,
        points=points,
        notes=notes,
        rows=True,
    )


# ---------------------------------------------------------------- be the classifier

WHO = (("you", "reader"), ("network", "maml"), ("pixels", "baseline"))
HEIGHTS = (1.5, 1.2, 0.9)  # of their scores


def be_the_classifier(learner, tasks, steps=1, questions=30, seed=10):
    """A game: one example each of five new characters and a query. Which is it? The reader clicks.

    Beside the reader answer `learner`, after `steps` inner steps on the five examples, and the nearest
    neighbour in pixels; all see one query at a time. tasks: a family of one-shot image tasks that the
    learner was not trained on, of which `questions` are drawn with `seed`.
    """
    quiz = make_quiz(learner, tasks, steps, questions, seed)

    def scene(pressed):
        return quiz_scene(quiz, pressed)

    right, network = quiz["truth"][0], quiz["network"][0]
    shown = next((k for k in range(len(quiz["support"][0])) if k not in (right, network)), right)
    return interactive(scene, press="pressed", twin=[{}, {"pressed": [str(shown)]}])


def make_quiz(learner, tasks, steps, questions, seed):
    """Questions and answers: support (questions, ways, side, side), query (questions, side, side), and as
    lists of classes truth, network and pixels."""
    import torch

    from maml_edu.pytorch import NearestNeighbour

    rng = np.random.default_rng(seed)
    batch = tasks.sample(rng, tasks=questions)
    if batch.support_y.shape[1] != batch.support_y.max() + 1:
        raise ValueError(
            "be_the_classifier shows one example of each class: give tasks with shots=1"
        )
    asked = rng.integers(0, batch.query_y.shape[1], questions)
    pixels = NearestNeighbour()
    answers = {"network": [], "pixels": []}
    for task, (sx, sy, qx, _) in enumerate(batch):
        one = torch.as_tensor(qx[asked[task]])[None]
        for name, judge, k in (("network", learner, steps), ("pixels", pixels, 0)):
            with torch.no_grad():
                outputs = judge.predictions(sx, torch.as_tensor(sy), one, k, beside=sx)
            answers[name].append(int(outputs[-1].argmax()))
    row = np.arange(questions)
    return answers | {
        "support": batch.support_x[:, :, 0],
        "query": batch.query_x[row, asked, 0],
        "truth": [int(k) for k in batch.query_y[row, asked]],
    }


def played(pressed, questions):
    """From all that was clicked: (the reader's answers so far, whether the last one is being shown)."""
    answers, shown = [], False
    for name in pressed:
        if name == "next":
            shown = shown and len(answers) == questions
        elif not shown and len(answers) < questions:
            answers.append(int(name))
            shown = True
    return answers, shown


def quiz_scene(quiz, pressed):
    """The question that is open, or the last one with its answers, and the score."""
    truth = quiz["truth"]
    answers, shown = played(pressed, len(truth))
    now = len(answers) - shown  # the number of the question, from 0
    given = {"you": answers, **{who: quiz[who][: len(answers)] for who in ("network", "pixels")}}
    score = {
        who: sum(a == b for a, b in zip(own, truth, strict=False)) for who, own in given.items()
    }
    title, alt = _quiz_words(now, shown, given, score, truth)
    marks = _answers_shown(given, truth, now) if shown else []
    return Scene(
        title=title,
        alt=alt,
        xlabel="five characters, one example of each",
        ylabel="query | support",
        xlim=(0.4, 5.6),
        ylim=(0.55, 3.9),
        inks=[
            Ink(k + 1, 3.05, image, 0.9, "support", "support", "" if shown else str(k))
            for k, image in enumerate(quiz["support"][now])
        ]
        + [Ink(3, 1.2, quiz["query"][now], 0.9, "query", "query")],
        points=marks + _whose(),
        notes=_score_notes(score, len(answers)) + [_what_to_do(shown, now + 1 == len(truth))],
        equal=True,
        diagram=True,
    )


def _quiz_words(now, shown, given, score, truth):
    """(title, alt text) of one state of the game."""
    asked = f"Question {now + 1} of {len(truth)}"
    seen = (
        "Five small characters in orange frames in a row; below them another one in a blue frame."
    )
    if not shown:
        return (
            f"{asked}: which of the five is the one below? Click it",
            f"{seen} {_said(score, now)}",
        )
    you = given["you"][now]
    verdict = "right" if you == truth[now] else "no, the star is where it belongs"
    others = "; ".join(
        f"the {who} {'say' if who == 'pixels' else 'says'} number {given[who][now] + 1}"
        for who in ("network", "pixels")
    )
    return (
        f"{asked}: {verdict}. Of {now + 1} so far: you {score['you']}, network {score['network']}, "
        f"pixels {score['pixels']}",
        f"{seen} A star marks number {truth[now] + 1}, the right answer; you clicked number {you + 1}; "
        f"{others}. {_said(score, now + 1)}",
    )


def _said(score, asked):
    if not asked:
        return "Nobody has answered yet."
    return f"Right answers of {asked}: " + ", ".join(f"{w} {n}" for w, n in score.items()) + "."


def _answers_shown(given, truth, now):
    """A star over the right class, and below each class the marks of those who answered it."""
    marks = [Points(truth[now] + 1.0, 3.68, "goal")]
    for place, (who, role) in zip((-0.25, 0.0, 0.25), WHO, strict=True):
        marks.append(Points(given[who][now] + 1 + place, 2.4, role))
    return marks


def _whose():
    """Marks beside the score say whose is whose."""
    return [Points(3.85, y, role) for y, (_, role) in zip(HEIGHTS, WHO, strict=True)]


def _score_notes(score, asked):
    return [
        Note(4.05, y, f"{who}: {score[who]} of {asked}")
        for y, (who, _) in zip(HEIGHTS, WHO, strict=True)
    ]


def _what_to_do(shown, last):
    if not shown:
        return Note(2.3, 1.2, "which one is it? →", "right")
    return Note(2.3, 1.2, "the end" if last else "next →", "right", "" if last else "next")
