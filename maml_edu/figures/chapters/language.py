"""Chapter 14: sentences as counted letter groups, and what training on other domains adds to them.

Start from `five_boxes`, in which a reader types sentences of their own.
"""

from itertools import pairwise

import numpy as np

import maml_edu.reference as ref
from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Band, Bar, Curve, Interval, Note, Points, Scene, number
from maml_edu.figures.static import draw
from maml_edu.tasks import hashed_ngrams
from maml_edu.tasks.text import folded, letter_groups

__all__ = ["five_boxes", "gained_or_lost"]

# ------------------------------------------------------------------ differences from the centroid


def gained_or_lost(rows, title):
    """A row for each name → (difference, half its 95 % interval) of accuracies, the first on top (a picture)."""
    return draw(difference_scene(rows, title))


def difference_scene(rows, title):
    """Marks and intervals, in per cent, left or right of a line at 0; the names stand in a column on the left."""
    values = {name: tuple(100 * v for v in row) for name, row in rows.items()}
    least = min(0.0, *(middle - half for middle, half in values.values()))
    most = max(0.0, *(middle + half for middle, half in values.values()))
    span = max(1.0, most - least)
    left, top = least - 1.25 * span, len(rows)  # where the column of names begins
    points, intervals, notes = [], [], []
    for y, (name, (middle, half)) in zip(range(top, 0, -1), values.items(), strict=True):
        points.append(Points(middle, y, "theta", "mean difference"))
        intervals.append(Interval(middle - half, middle + half, y, label="95 % interval"))
        notes.append(Note(left + 0.02 * span, y, f"{name}: {_signed(middle)} ± {half:.1f}"))
    said = "; ".join(f"{name}, {_signed(m)} ± {h:.1f}" for name, (m, h) in values.items())
    return Scene(
        title=title,
        alt=f"A mark with its 95 % interval in each row, left or right of a dotted line at 0: {said}.",
        xlabel="accuracy minus the nearest centroid's, on the same episodes [points]",
        xlim=(left, most + 0.08 * span),
        ylim=(0.3, top + 0.7),
        curves=[Curve([0, 0], [0.3, top + 0.7], "neutral", "no difference")],
        intervals=intervals,
        points=points,
        notes=notes,
        rows=True,
        legend="below",
    )


def _signed(value):
    return ("+" if value > 0 else "") + number(value, places=1)


# ------------------------------------------------------------------ five boxes

SENTENCES = (
    "can i get a room with a view of the sea",
    "what time is breakfast served",
    "please send two more towels up",
    "i would like to leave a day earlier",
    "is there somewhere to park my car",
)
ASKED = "do you have parking near the hotel"
LONGEST = 48  # letters of the asked sentence that are drawn


def five_boxes(theta, alpha):
    """Type five sentences, one for each intent, and a sixth: what the centroid and the network say, and why.

    theta: parameters {"w1", "b1", "w2", "b2"} of a trained network, as `ref.mlp` takes them, for hashed letter
    groups and five classes; alpha: its inner rate.
    """
    size = len(theta["w1"])

    def scenes(asked, steps, **boxes):
        sentences = [boxes[f"box{k}"] for k in range(1, 6)]
        return box_scenes(theta, alpha, steps, sentences, asked, size)

    controls = {f"box{k}": (f"intent {k}", text) for k, text in enumerate(SENTENCES, start=1)}
    controls |= {"asked": ("which is it?", ASKED), "steps": ("gradient steps", 0, 10, 3, 1)}
    return interactive(scenes, controls)


def box_scenes(theta, alpha, steps, sentences, asked, size=1024):
    """What both say of the asked sentence, and what decided, letter by letter."""
    keys, query = hashed_ngrams(sentences, size), hashed_ngrams([asked], size)
    cosines = (keys @ query[0]).astype(float)
    phi = theta
    if steps:
        x, y = keys.astype(float), np.arange(len(sentences))
        phi = ref.adapt(ref.cross_entropy, theta, x, y, alpha, steps)
    chances = _softmax(ref.mlp(phi, query.astype(float))[0])
    first, second = (int(k) for k in np.argsort(-cosines, kind="stable")[:2])
    letters = by_letter(asked, keys[first] - keys[second], size)
    return [
        _answers_scene(sentences, cosines, chances, steps),
        _letters_scene(asked, letters, first, second, float(cosines[first] - cosines[second])),
    ]


def _softmax(scores):
    p = np.exp(scores - scores.max())
    return p / p.sum()


def by_letter(asked, direction, size=1024):
    """What each letter of folded(asked) adds to ⟨its vector, direction⟩: numbers, one for each letter.

    A letter group adds sign · direction[bin] / ‖counts‖, and its letters share that equally.
    """
    groups, adds = letter_groups(asked, size), np.zeros(len(folded(asked)))
    counts = np.zeros(size)
    for group in groups:
        counts[group.bin] += group.sign
    norm = np.linalg.norm(counts) or 1.0
    for group in groups:
        share = group.sign * direction[group.bin] / norm / (group.end - group.start)
        adds[group.start : group.end] += share
    return adds


def _answers_scene(sentences, cosines, chances, steps):
    heights = np.arange(len(sentences), 0, -1)
    winner, network = int(cosines.argmax()), int(chances.argmax())
    words = f"Centroid: intent {winner + 1}. Network after {steps} step{'s' * (steps != 1)}: intent {network + 1}"
    if not cosines.any():
        words = f"No letter group in common. Network: intent {network + 1}"
    said = "; ".join(
        f'intent {k + 1}, "{_short(text)}": cosine {number(cosines[k], places=2)}, '
        f"probability {number(chances[k], places=2)}"
        for k, text in enumerate(sentences)
    )
    low = min(-0.1, float(cosines.min()) * 1.1)
    return Scene(
        title=words,
        alt=f"Two bars for each of five sentences, the centroid's cosine and the network's probability: {said}.",
        xlabel="cosine (centroid), probability (network)",
        xlim=(low, 1.05),
        ylim=(0.4, len(sentences) + 0.9),
        bars=[
            Bar(heights + 0.05, cosines, "baseline", "nearest centroid: cosine", width=0.2),
            Bar(heights - 0.18, chances, "maml", "network: probability", width=0.2),
        ],
        notes=[
            Note(0.0, y + 0.35, f"{k}: {_short(text)}")
            for k, (y, text) in enumerate(zip(heights, sentences, strict=True), start=1)
        ],
        rows=True,
        legend="below",
    )


def _short(text, most=42):
    return text if len(text) <= most else text[: most - 1] + "…"


def _letters_scene(asked, letters, first, second, gap):
    """The letters of the asked sentence, each with a bar, and the words that decided on a coloured ground."""
    text = folded(asked)[:LONGEST] or " "
    adds = letters[: len(text)] if len(letters) else np.zeros(1)
    far = max(0.01, 1.35 * float(np.abs(adds).max()))
    up, down = np.where(adds > 0, adds, 0), np.where(adds < 0, adds, 0)
    title = f"Intent {first + 1} is ahead of intent {second + 1} by {number(gap, 2)}"
    if not adds.any():
        title = f"No letter speaks for intent {first + 1} or for intent {second + 1}"
    place, sides = np.arange(len(text)), (f"for intent {first + 1}", f"for intent {second + 1}")
    return Scene(
        title=title,
        alt=f'The letters of "{text}" in a row, with an upright bar on each: upwards what it adds to the cosine '
        f"with intent {first + 1} more than to that with intent {second + 1}, downwards the reverse. "
        f"{_most_in_favour(text, adds)}.",
        xlabel="the letters of the sixth sentence",
        ylabel="adds to the difference of cosines",
        xlim=(-1, len(text)),
        ylim=(-far, far),
        bands=list(_grounds(adds, far)),
        bars=[
            Bar(place, up, "after", sides[0], axis="y", width=0.8),
            Bar(place, down, "high", sides[1], axis="y", width=0.8),
        ],
        notes=[Note(i, -0.93 * far, text[i], "middle") for i in place if text[i].strip()],
        legend="below",
    )


def _grounds(adds, far):
    """A coloured ground behind each run of letters that add at least a third of the most, on one side."""
    strong = np.where(np.abs(adds) >= max(np.abs(adds).max() / 3, 1e-9), np.sign(adds), 0)
    edges = np.flatnonzero(np.diff(strong, prepend=0, append=0))
    for start, end in pairwise(edges):
        if strong[start]:
            role = "after" if strong[start] > 0 else "high"
            x = np.array([start - 0.5, end - 0.5])
            yield Band(x, np.full(2, -far), np.full(2, -0.83 * far), role)


def _most_in_favour(text, adds):
    words = _strongest(text, adds)
    return f"Most in favour: {' '.join(words)}" if words else "Nothing speaks in favour"


def _strongest(text, adds, count=2):
    """The words whose letters add most, at most `count`, above 0."""
    sums, start = {}, 0
    for word in text.split():
        start = text.index(word, start)
        sums[word] = sums.get(word, 0.0) + float(adds[start : start + len(word)].sum())
        start += len(word)
    return [
        f'"{word}"' for word in sorted(sums, key=sums.get, reverse=True)[:count] if sums[word] > 0
    ]
