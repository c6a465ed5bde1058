"""Chapter 10: an episode of images, accuracies with their intervals, and a game: be the classifier.

Start from `be_the_classifier`.
"""

from dataclasses import replace

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Curve, Ink, Interval, Note, Points, Scene, number
from maml_edu.figures.static import draw

__all__ = ["an_episode", "accuracies", "by_company", "be_the_classifier"]

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


def accuracies(rows, title, chance=None, ours=(), recorded=(), xlim=(0.0, 1.0)):
    """A row for each name → (accuracy, half its 95 % interval), the first on top (a picture).

    title: the finding. chance: the accuracy of guessing, a dotted line. ours: the names that are MAML.
    recorded: those that were not measured here, drawn as grey marks.
    """
    meant = {"maml": "MAML", "baseline": "other methods", "before": "measured before"}
    return draw(accuracy_scene(rows, title, chance, ours, recorded, xlim, meant=meant))


def accuracy_scene(
    rows, title, chance=None, ours=(), recorded=(), xlim=(0.0, 1.0), reader="", meant=()
):
    """A mark and an interval in each row, with its name above and its value in words.

    A row is (mean, half) or, where the interval is not symmetric, (mean, low, high). reader: the name of
    theirs. meant: role → what the legend says of its marks; others are not in the legend.
    """
    points, intervals, texts = [], [], []
    roles = dict.fromkeys(ours, "maml") | dict.fromkeys(recorded, "before") | {reader: "reader"}
    for y, (name, values) in enumerate(reversed(rows.items()), start=1):
        value, low, high = (100 * v for v in _with_ends(values))
        texts.append(f"{name}: {_in_words(value, low, high)}")
        intervals.append(Interval(low, high, y, label="95 % interval"))
        role = roles.get(name, "baseline")
        points.append(Points(value, y, role, dict(meant).get(role, "")))
    left, chance_line = _beside_chance(texts, chance, xlim)
    guess = f" A dotted line at {number(100 * chance)}, chance." if chance is not None else ""
    return Scene(
        title=title,
        alt="One mark a row on an axis of accuracy in per cent, with its 95 % interval: "
        f"{'; '.join(reversed(texts))}.{guess}",
        xlabel="accuracy on new tasks [%]",
        ylabel="who answers",
        xlim=(100 * xlim[0], 100 * xlim[1]),
        ylim=(0.4, len(rows) + 0.75),
        curves=chance_line,
        intervals=intervals,
        points=points,
        notes=[Note(left, y + 0.45, text) for y, text in enumerate(texts, start=1)],
        rows=True,
    )


def _with_ends(values):
    """(mean, low, high) of a row."""
    if len(values) == 3:
        return values
    mean, half = values
    return mean, mean - half, mean + half


def _in_words(value, low, high):
    if np.isclose(high - value, value - low):
        return f"{value:.1f} ± {high - value:.1f} %"
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"


CHARACTER = 1.35  # width of one in hundredths of the axis, on average


def _beside_chance(texts, chance, xlim):
    """(where the words of all rows begin, the line of chance, if any, in a list).

    The words stand to the right of the line, or, where there is no room, at the left, and the line has gaps.
    """
    low, hundredth = 100 * xlim[0], xlim[1] - xlim[0]
    left = low + 1.2 * hundredth
    if chance is None:
        return left, []
    x, longest = 100 * chance, CHARACTER * hundredth * max(map(len, texts))
    if x + 1.2 * hundredth + longest <= 100 * xlim[1]:
        return x + 1.2 * hundredth, [Curve([x, x], [0.4, len(texts) + 0.7], "neutral", "chance")]
    heights = [h for row, _ in enumerate(texts, 1) for h in (row - 0.36, row + 0.26, np.nan)]
    return left, [Curve([x] * len(heights), heights, "neutral", "chance")]


# ---------------------------------------------------------------- company


def by_company(rows, title, chance, alone):
    """How accuracy falls with company: rows as for `accuracies`, ordered from even to uneven company (a picture).

    alone: the accuracy of one query at a time, a dashed line.
    """
    return draw(company_scene(rows, title, chance, alone))


def company_scene(rows, title, chance, alone):
    """The rows of `accuracy_scene`, all of MAML, and an upright line at `alone`."""
    scene = accuracy_scene(rows, title, chance, ours=tuple(rows))
    return replace(
        scene,
        alt=f"{scene.alt} A dashed line at {number(100 * alone)}: one query at a time.",
        ylabel="company, from even to one class",
        curves=[_upright(100 * alone, scene.notes, len(rows) + 0.7), *scene.curves],
    )


def _upright(x, notes, top):
    """A line at x from bottom to top, with gaps where words reach it."""
    heights = [0.4]
    for y in sorted(note.y for note in notes if note.x + CHARACTER * len(note.text) >= x):
        heights += [y - 0.2, np.nan, y + 0.2]
    return Curve([x] * (len(heights) + 1), [*heights, top], "before", "one query at a time")


# ---------------------------------------------------------------- be the classifier

WHO = (("you", "reader"), ("network", "maml"), ("pixels", "baseline"))
CORNER = 0.38  # of a frame, from its middle
ABREAST = 7  # classes in a row where they do not fit into one of five

# Accuracies in per cent as published for Omniglot, one shot: (mean, half its interval). Transductive:
# with the query set as one batch. From Finn et al. (2017) and Nichol et al. (2018).
PUBLISHED = {
    5: {
        "MAML (2017), transductive": (98.7, 0.4),
        "Reptile (2018), transductive": (97.68, 0.04),
        "Reptile (2018)": (95.39, 0.09),
    },
    20: {
        "MAML (2017), transductive": (95.8, 0.3),
        "Reptile (2018), transductive": (89.43, 0.14),
        "Reptile (2018)": (88.14, 0.15),
    },
}


def be_the_classifier(learner, tasks, steps=1, questions=30, seed=10):
    """A game: one example each of some new characters and a query. Which is it? The reader clicks.

    The same questions go to `learner`, after `steps` inner steps on the examples, and to the nearest neighbour
    in pixels; all see one query at a time. tasks: a family of one-shot image tasks, of up to 20 ways, that
    the learner was not trained on, of which `questions` are drawn with `seed`. It ends with the
    reader's score among published ones, for 5 and 20 ways.
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
    from maml_edu.pytorch.fast.threads import one_each

    rng = np.random.default_rng(seed)
    batch = tasks.sample(rng, tasks=questions)
    if batch.support_y.shape[1] != batch.support_y.max() + 1:
        raise ValueError(
            "be_the_classifier shows one example of each class: give tasks with shots=1"
        )
    asked = rng.integers(0, batch.query_y.shape[1], questions)
    pixels = NearestNeighbour()
    answers = {"network": [], "pixels": []}
    with torch.no_grad(), one_each():  # small operations: several threads only wait for one another
        for task, (sx, sy, qx, _) in enumerate(batch):
            one = torch.as_tensor(qx[asked[task]])[None]
            for name, judge, k in (("network", learner, steps), ("pixels", pixels, 0)):
                outputs = judge.predictions(sx, torch.as_tensor(sy), one, k, beside=sx)
                answers[name].append(int(outputs[-1].argmax()))
    row = np.arange(questions)
    return answers | {
        "support": batch.support_x[:, :, 0],
        "query": batch.query_x[row, asked, 0],
        "truth": [int(k) for k in batch.query_y[row, asked]],
    }


def played(pressed, questions):
    """From all that was clicked: (the reader's answers so far, whether the last one is being shown).

    After the last question that has been shown come its answers, then nothing: all are answered, none is shown.
    """
    answers, shown = [], False
    for name in pressed:
        if name == "next":
            shown = False
        elif not shown and len(answers) < questions:
            answers.append(int(name))
            shown = True
    return answers, shown


def quiz_scene(quiz, pressed):
    """The question that is open, or the last one with its answers, and the score; at the end, the verdict."""
    truth = quiz["truth"]
    answers, shown = played(pressed, len(truth))
    given = {"you": answers, **{who: quiz[who][: len(answers)] for who in ("network", "pixels")}}
    score = {
        who: sum(a == b for a, b in zip(answer, truth, strict=False))
        for who, answer in given.items()
    }
    if len(answers) == len(truth) and not shown:
        return verdict_scene(score, len(truth), len(quiz["support"][0]))
    return question_scene(quiz, given, score, len(answers) - shown, shown)


def question_scene(quiz, given, score, now, shown):
    """Question number `now`, from 0: open, or shown with its answers."""
    truth, ways = quiz["truth"], len(quiz["support"][now])
    places = places_of(ways)
    columns, top = max(x for x, _ in places), max(y for _, y in places)
    middle = (columns + 1) / 2
    title, alt = _question_words(now, shown, given, score, truth, ways)
    marks = _answers_shown(given, truth, now, places) if shown else []
    return Scene(
        title=title,
        alt=alt,
        xlabel=f"{_count(ways)} characters, one example of each",
        ylabel="query | support",
        xlim=(0.4, columns + 0.6),
        ylim=(0.55, top + 0.85),
        inks=[
            Ink(*places[k], image, 0.9, "support", "support", "" if shown else str(k))
            for k, image in enumerate(quiz["support"][now])
        ]
        + [Ink(middle, 1.2, quiz["query"][now], 0.9, "query", "query")],
        points=marks + _whose(middle),
        notes=[
            *_score_notes(score, len(given["you"]), middle),
            _what_to_do(shown, now + 1 == len(truth), middle),
        ],
        equal=True,
        diagram=True,
    )


def places_of(ways):
    """Where the examples stand, (x, y) for each class: five in one row, more in rows of seven."""
    columns = 5 if ways <= 5 else ABREAST
    rows = -(-ways // columns)
    return [(k % columns + 1.0, 3.05 + 1.45 * (rows - 1 - k // columns)) for k in range(ways)]


def _count(number):
    return {5: "five", 20: "twenty"}.get(number, str(number))


def _question_words(now, shown, given, score, truth, ways):
    """(title, alt text) of one state of the game."""
    asked = f"Question {now + 1} of {len(truth)}"
    seen = f"{_count(ways).capitalize()} small characters in orange frames; below them another one in a blue frame."
    if not shown:
        return (
            f"{asked}: which of the {_count(ways)} is the one below? Click it",
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


def _answers_shown(given, truth, now, places):
    """A star on a corner of the right class's frame, and below each class the marks of those who answered it."""
    x, y = places[truth[now]]
    marks = [Points(x + CORNER, y + CORNER, "goal")]
    for aside, (who, role) in zip((-0.25, 0.0, 0.25), WHO, strict=True):
        x, y = places[given[who][now]]
        marks.append(Points(x + aside, y - 0.65, role))
    return marks


HEIGHTS = (1.5, 1.2, 0.9)  # of their scores


def _whose(middle):
    """Marks beside the score say whose is whose."""
    return [Points(middle + 0.85, y, role) for y, (_, role) in zip(HEIGHTS, WHO, strict=True)]


def _score_notes(score, asked, middle):
    return [
        Note(middle + 1.05, y, f"{who}: {score[who]} of {asked}")
        for y, (who, _) in zip(HEIGHTS, WHO, strict=True)
    ]


def _what_to_do(shown, last, middle):
    if not shown:
        return Note(middle - 0.7, 1.2, "which one is it? →", "right")
    return Note(middle - 0.7, 1.2, "your verdict →" if last else "next →", "right", "next")


# ---------------------------------------------------------------- the verdict


def verdict_scene(score, questions, ways):
    """The three scores among published ones, the highest on top."""
    rows = {f"{who}, here": _share(count, questions) for who, count in score.items()}
    published = {
        f"{name}, published": tuple(v / 100 for v in values)
        for name, values in PUBLISHED.get(ways, {}).items()
    }
    ranked = dict(sorted((rows | published).items(), key=lambda row: row[1][0], reverse=True))
    scene = accuracy_scene(
        ranked,
        f"Your verdict: {score['you']} of {questions} right, among published scores"
        if published
        else f"Your verdict: {score['you']} of {questions} right",
        chance=1 / ways,
        ours=("network, here",),
        recorded=tuple(published),
        reader="you, here",
    )
    words = (
        f" The published ones are for {ways} ways on Omniglot, other characters than these."
        if published
        else ""
    )
    return replace(scene, alt=scene.alt + words)


def _share(count, questions):
    """(share, low, high): Wilson's 95 % interval of a share, which never leaves 0 … 1."""
    p, z2 = count / questions, 1.96**2 / questions
    middle = (p + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * p * (1 - p) + z2**2 / 4) / (1 + z2)
    return p, max(0.0, float(middle - half)), min(1.0, float(middle + half))
