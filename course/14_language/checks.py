"""Checks of chapter 14: one function per exercise, for the learner and for the grader."""

import zlib
from functools import partial

import numpy as np

from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect

# ------------------------------------------------------------------ 14.1

LETTERS = ("aeiou", "bdklmnrstvz")
STRANGE = ["Zürich", "ÉTÉ", "straße", "ΣΑΣ"]  # case-folding is more than lower()


@exercise("14.letter_counts", points=4, minutes=18, difficulty=3)
def letter_counts(answer, rng):
    """Letter groups"""
    for size, kind in draw(rng, size=(900, 1500), kind=[(3,), (2, 4), (3, 4, 5)]):
        texts = [*_texts(rng), ""]
        lengths = list(kind)
        _judge_vectors(answer, texts, size, lengths)
    _judge_vectors(
        answer, _texts(rng), int(rng.integers(2, 5)), [3, 4]
    )  # few bins: groups meet in one


def _judge_vectors(answer, texts, size, lengths):
    got = answer(texts, size, lengths)
    wrong = partial(_wrong_counts, texts, size, lengths, array_of(got))
    expect(got, _counts(texts, size, lengths), wrong)


def _word(rng):
    return "".join(rng.choice(list(LETTERS[i % 2])) for i in range(rng.integers(3, 8)))


def _texts(rng):
    """Sentences with repeated words, capitals, doubled spaces and letters beyond ASCII."""
    texts = []
    for strange in rng.permutation(STRANGE)[:3]:
        words = [_word(rng) for _ in range(4)]
        words = [*words, words[0], words[1].capitalize(), str(strange)]
        texts.append("  ".join(words[:3]) + " " + " ".join(words[3:]))
    return texts


def _groups(word, lengths):
    return [word[i : i + n] for n in lengths for i in range(len(word) - n + 1)]


def _bordered(text, lengths):
    return [g for word in text.casefold().split() for g in _groups(f" {word} ", lengths)]


def _counts(
    texts, size, lengths, groups=_bordered, code=None, sign=None, bin_of=None, once=False, norm=True
):
    code = code or (lambda group: zlib.crc32(group.encode("utf-8")))
    sign = sign or (lambda code: 1 if code >= 2**31 else -1)
    bin_of = bin_of or (lambda code: code % size)
    counts = np.zeros((len(texts), size))
    for row, text in zip(counts, texts, strict=True):
        found = groups(text, lengths)
        for group in set(found) if once else found:
            row[bin_of(code(group))] += sign(code(group))
    return _scaled(counts) if norm else counts


def _scaled(counts, order=2):
    norms = np.linalg.norm(counts, ord=order, axis=1, keepdims=True)
    return counts / np.where(norms == 0, 1, norms)


def _wrong_counts(texts, size, lengths, got):
    made = partial(_counts, texts, size, lengths)
    ends = lambda before, after, fold=str.casefold: (
        lambda text, lengths: [
            g for word in fold(text).split() for g in _groups(f"{before}{word}{after}", lengths)
        ]
    )
    across = lambda text, lengths: _groups(" " + " ".join(text.casefold().split()) + " ", lengths)
    raw = made(norm=False)
    plain = made()
    nan = np.where(np.abs(plain).sum(axis=1, keepdims=True) == 0, np.nan, plain)
    named = {
        "the words have no borders: put a space before and behind each": made(groups=ends("", "")),
        "the border behind each word is missing": made(groups=ends(" ", "")),
        "the border before each word is missing": made(groups=ends("", " ")),
        "groups reach from one word into the next: take them from each word by itself": (
            made(groups=across)
        ),
        "the text is not case-folded: capitals count as other letters": made(
            groups=ends(" ", " ", str)
        ),
        "lower() leaves letters such as ß as they are: casefold() is asked for": made(
            groups=ends(" ", " ", str.lower)
        ),
        "every group adds +1: the sign is missing, so that groups that meet in a bin can only add up": (
            made(sign=lambda code: 1)
        ),
        "the sign is the wrong way round": made(sign=lambda code: -1 if code >= 2**31 else 1),
        "the sign is taken from the lowest bit, which the bin depends on as well: compare the hash with 2³¹": (
            made(sign=lambda code: 1 if code % 2 else -1)
        ),
        "the vectors do not have length 1: divide by the root of the sum of squares": raw,
        "the entries are divided by the sum of their sizes: divide by the root of the sum of squares": (
            _scaled(raw, 1)
        ),
        "all rows are divided by one number: each text has a length of its own": (
            raw / np.linalg.norm(raw)
        ),
        "a group that occurs twice in a text counts twice: this counts it once": made(once=True),
        "only the groups of the longest length are there: take those of all lengths": _counts(
            texts, size, lengths[-1:]
        ),
        "only the groups of the shortest length are there: take those of all lengths": _counts(
            texts, size, lengths[:1]
        ),
        "the last group of every word is missing: there are w − n + 1 places": made(
            groups=lambda text, lengths: [
                word[i : i + n]
                for word in (f" {w} " for w in text.casefold().split())
                for n in lengths
                for i in range(len(word) - n)
            ]
        ),
        "a text without groups is a row of zeros: 0 is divided by 0 here": nan,
        "the bin is the hash divided by size: it is the remainder, hash % size": made(
            bin_of=lambda code: code // size % size
        ),
        "this is adler32: zlib.crc32 is asked for": made(
            code=lambda group: zlib.adler32(group.encode("utf-8"))
        ),
        "the hash is the sum of the letters' numbers, the same for all orders of the letters: take zlib.crc32": (
            made(code=lambda group: sum(map(ord, group)))
        ),
    }
    if got is None:
        return named
    other = (
        "the counts stand in other bins than those of zlib.crc32: Python's hash() gives other numbers in each "
        "new process, so that what was trained today could not be used tomorrow"
    )
    known = any(
        np.allclose(got, value, 0, 1e-6) for value in named.values() if got.shape == value.shape
    )
    return named | {other: plain if known or not _as_if_hashed(got, plain) else got}


def _as_if_hashed(got, right):
    """Whether each text has counts of length 1, in about as many bins as it should."""
    if got.shape != right.shape:
        return False
    norms, wanted = (np.linalg.norm(values, axis=1) for values in (got, right))
    if not np.allclose(norms, wanted, 0, 1e-4):
        return False
    filled, wanted = (got != 0).sum(axis=1), (right != 0).sum(axis=1)
    return bool((np.abs(filled - wanted) <= 0.15 * wanted + 2).all())


# ------------------------------------------------------------------ 14.2


@exercise("14.hold_out_domains", points=3, minutes=10, difficulty=2)
def hold_out_domains(answer, rng):
    """Hold out domains"""
    for count, test, val, seed in draw(rng, count=(6, 9), test=(1, 2), val=(2, 3), seed=(0, 10**6)):
        domains, intents = _shelf(rng, count)
        right = _held(domains, test, val, seed)
        got = answer(domains, intents, test, val, seed)
        if isinstance(got, dict) and set(got) == {"train", "val", "test"}:
            got = {name: _as_list(part) for name, part in got.items()}
        expect(got, right, partial(_wrong_splits, domains, intents, test, val, seed))


def _as_list(part):
    """A list of whole numbers, also if it came as an array; anything else as it is."""
    array = array_of(part)
    if array is None or array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        return part
    return [int(number) for number in array]


def _shelf(rng, count):
    """(domains, intents) of sentences that do not lie sorted."""
    names = [f"{_word(rng)}{i}" for i in rng.permutation(count)]
    domains, intents = [], []
    for name in names:
        for k in range(3):
            for _ in range(rng.integers(3, 6)):
                domains.append(name)
                intents.append(f"{name}_{k}")
    order = rng.permutation(len(domains))
    return [domains[i] for i in order], [intents[i] for i in order]


def _held(labels, test, val, seed, names=None, order=None):
    """Which of the labels are held out, as the exercise asks for if the labels are domains."""
    names = sorted(set(labels)) if names is None else names
    order = np.random.default_rng(seed).permutation(len(names)) if order is None else order
    shuffled = [names[i] for i in order]
    parts = {"test": shuffled[:test], "val": shuffled[test : test + val]}
    parts["train"] = shuffled[test + val :]
    return _numbers(labels, parts)


def _numbers(labels, parts):
    return {
        split: [i for i, label in enumerate(labels) if label in set(parts[split])]
        for split in ("train", "val", "test")
    }


def _wrong_splits(domains, intents, test, val, seed):
    names, n = sorted(set(domains)), len(domains)
    held = partial(_held, domains, test, val, seed)
    right, shuffled = held(), np.random.default_rng(seed).permutation(len(names))
    by_sentence = np.random.default_rng(seed).permutation(n)
    first = [int(i) for i in by_sentence[:test]]
    last = {"test": [names[i] for i in shuffled[len(names) - test :]]}
    last["val"] = [names[i] for i in shuffled[len(names) - test - val : len(names) - test]]
    last["train"] = [names[i] for i in shuffled[: len(names) - test - val]]
    overlap = {
        "test": [names[i] for i in shuffled[:test]],
        "val": [names[i] for i in shuffled[:val]],
    }
    overlap["train"] = [x for x in names if x not in overlap["test"] + overlap["val"]]
    legacy = np.random.RandomState(seed % 2**32).permutation(len(names))
    seen = {k: [names[i] for i in shuffled[s]] for k, s in (
        ("test", slice(0, test)), ("val", slice(test, test + val)), ("train", slice(test, None)))}  # fmt: skip
    all_of_it = {**seen, "train": names}
    shuffling = names.copy()
    np.random.default_rng(seed).shuffle(shuffling)
    return {
        "this holds out intents: their domains are in training as well, and nothing about them is new": (
            _held(intents, test, val, seed)
        ),
        "this holds out single sentences: their intents are in training as well": {
            "train": sorted(int(i) for i in by_sentence[test + val :]),
            "val": sorted(int(i) for i in by_sentence[test : test + val]),
            "test": sorted(first),
        },
        "nothing is shuffled: the first names by the alphabet are held out, whatever the seed": held(
            order=np.arange(len(names))
        ),
        "the names are shuffled in the order of the file: another file order would give another split; sort them "
        "first": held(names=list(dict.fromkeys(domains))),
        "validation gets the first names and the test the next ones: it is the other way round": {
            **_swapped(domains, names, shuffled, test, val),
        },
        "the last names of the shuffled ones are held out: the first are asked for": _numbers(
            domains, last
        ),
        "validation and test have domains in common: choosing on them is choosing on the test": _numbers(
            domains, overlap
        ),
        "the validation domains are in training as well": _numbers(domains, seen),
        "the held-out domains are in training as well": _numbers(domains, all_of_it),
        "the names of the domains are asked for nowhere: return the numbers of the sentences": {
            split: sorted({domains[i] for i in part}) for split, part in right.items()
        },
        "this is shuffle() and not permutation(): the same seed gives another order": held(
            names=shuffling, order=np.arange(len(names))
        ),
        "this is the older generator, np.random.seed: the same seed gives another order": held(
            order=legacy
        ),
        "the seed is not used: 0 is, always": held(
            order=np.random.default_rng(0).permutation(len(names))
        ),
        "test and val count domains: here they count intents of each domain": _some_of_each(
            domains, intents, test, val, seed
        ),
        "the numbers of the sentences are in the order of the shuffled domains: ascending is asked for": {
            split: _in_drawn_order(domains, [names[i] for i in shuffled], part)
            for split, part in right.items()
        },
    }


def _swapped(domains, names, shuffled, test, val):
    parts = {"val": [names[i] for i in shuffled[:val]]}
    parts["test"] = [names[i] for i in shuffled[val : val + test]]
    parts["train"] = [names[i] for i in shuffled[val + test :]]
    return _numbers(domains, parts)


def _in_drawn_order(domains, names, part):
    return [i for name in names for i in part if domains[i] == name]


def _some_of_each(domains, intents, test, val, seed):
    rng, parts = np.random.default_rng(seed), {"train": [], "val": [], "test": []}
    for domain in sorted(set(domains)):
        there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
        there = [there[i] for i in rng.permutation(len(there))]
        parts["test"] += there[:test]
        parts["val"] += there[test : test + val]
        parts["train"] += there[test + val :]
    return _numbers(intents, parts)


# ------------------------------------------------------------------ 14.3


@exercise("14.episode_of_text", points=4, minutes=20, difficulty=3)
def episode_of_text(answer, rng):
    """An episode of sentences"""
    constant = []
    for ways, shots, queries in draw(rng, ways=(3, 4), shots=(1, 2), queries=(3, 4)):
        pool, many = _pool(rng, shots + queries), []
        for seed in (int(s) for s in rng.integers(10**6, size=8)):
            parts = _episode(answer(*pool, ways, shots, queries, seed))
            _judge_counts(parts, ways, shots, queries, len(pool[0]))
            _judge_sentences(parts, pool, ways)
            many.append(parts)
        again = _episode(answer(*pool, ways, shots, queries, seed))
        if any(not np.array_equal(a, b) for a, b in zip(parts, again, strict=True)):
            raise WrongAnswer(
                "the same seed gives two different episodes: make the generator of it"
            )
        _judge_chance(many, pool)
        constant.append(len({pool[1][parts[0][0]] for parts in many}) == 1)
    if all(constant):
        raise WrongAnswer("the domain is the same in all episodes: draw it at random")


def _pool(rng, least):
    """(texts, domains, intents): two copies of many sentences, written otherwise, and some in two intents."""
    rows = []
    for d in range(3):
        domain, both = f"{_word(rng)}{d}", [_sentence(rng) for _ in range(3)]
        for k in range(5):
            intent = f"{domain}_{k}"
            for i in range(least + int(rng.integers(0, 2))):
                text = f"{_sentence(rng)} {_word(rng)}"
                rows.append((text, domain, intent))
                if i % 2 == 0:
                    rows.append((_otherwise(text, rng), domain, intent))
            if k < 4:
                rows += [(_otherwise(text, rng), domain, intent) for text in both]
    order = rng.permutation(len(rows))
    return tuple(list(column) for column in zip(*(rows[i] for i in order), strict=True))


def _sentence(rng):
    return " ".join(_word(rng) for _ in range(rng.integers(2, 5)))


def _otherwise(text, rng):
    """The same sentence: as it is, with a capital, with spaces doubled, or all in capitals."""
    ways = (str, str.capitalize, lambda t: t.replace(" ", "  "), lambda t: f" {t.upper()}")
    return ways[rng.integers(len(ways))](text)


def _same(text):
    return " ".join(text.casefold().split())


def _episode(got):
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    if len(parts) != 4 or any(part is None for part in parts):
        raise WrongAnswer("return four arrays: support, support_y, query, query_y")
    if any(part.ndim != 1 for part in parts):
        raise WrongAnswer("each of the four arrays has one axis, all classes one after the other")
    if any(part.dtype.kind not in "iu" for part in parts):
        raise WrongAnswer("return whole numbers: those of sentences, and those of classes")
    return parts


def _judge_counts(parts, ways, shots, queries, sentences):
    for name, numbers, classes, count in (
        ("support", *parts[:2], shots),
        ("query", *parts[2:], queries),
    ):
        if len(numbers) != len(classes):
            raise WrongAnswer(f"{name} and {name}_y do not have the same length")
        if len(numbers) == count:
            raise WrongAnswer(
                f"{name} holds as many sentences as one intent: it should be so many of each"
            )
        if len(numbers) != ways * count:
            raise WrongAnswer(
                f"the {name} set has the wrong number of sentences",
                f"it has {len(numbers)}; ways times the number per intent is {ways * count}",
            )
        if not np.array_equal(classes, np.repeat(np.arange(ways), count)):
            raise WrongAnswer(
                f"{name}_y is not 0, …, ways − 1, each as often as there are sentences of it, ordered by class"
            )
        if numbers.min() < 0 or numbers.max() >= sentences:
            raise WrongAnswer(
                f"there is no sentence of some number in {name}: they are counted from 0"
            )


def _judge_sentences(parts, pool, ways):
    texts, domains, intents = pool
    support, support_y, query, query_y = parts
    numbers, classes = np.concatenate([support, query]), np.concatenate([support_y, query_y])
    if len({domains[i] for i in numbers}) > 1:
        raise WrongAnswer(
            "the intents of one episode come from several domains: draw a domain first"
        )
    of_class = [{intents[i] for i in numbers[classes == k]} for k in range(ways)]
    if any(len(found) > 1 for found in of_class):
        raise WrongAnswer(
            "one class has sentences of several intents, or its sets are ordered differently"
        )
    if len(set.union(*of_class)) < ways:
        raise WrongAnswer("two classes are the same intent: draw different ones (replace=False)")
    if np.isin(query, support).any():
        raise WrongAnswer("a query is in the support set: it is the same sentence of the list")
    if len(set(numbers)) < len(numbers):
        raise WrongAnswer(
            "a sentence of the list is drawn twice in one set: draw without putting back"
        )
    stands_in = {}
    for text, intent in zip(texts, intents, strict=True):
        stands_in.setdefault(_same(text), set()).add(intent)
    keys = [_same(texts[i]) for i in numbers]
    if any(len(stands_in[key]) > 1 for key in keys):
        raise WrongAnswer(
            "a sentence that stands in two intents is drawn: nobody could say which class it is"
        )
    if len(set(keys)) < len(keys):
        drawn = [texts[i] for i in numbers]
        if len(set(drawn)) < len(drawn):
            raise WrongAnswer(
                "a sentence is drawn twice: copies of it stand in the list, and the test may ask what it has told"
            )
        raise WrongAnswer(
            "a sentence is drawn twice, with other capitals or spaces: fold both before you compare"
        )


def _judge_chance(many, pool):
    """Eight episodes of one pool: intents and sentences vary."""
    _, domains, intents = pool
    sets = [np.concatenate([p[0], p[2]]) for p in many]
    if all(np.array_equal(sets[0], other) for other in sets[1:]):
        raise WrongAnswer("the seed is ignored: all seeds give the same episode")
    by_domain = {}
    for parts in many:
        names = tuple(dict.fromkeys(intents[i] for i in parts[0]))
        by_domain.setdefault(domains[parts[0][0]], []).append(names)
    if all(list(names) == sorted(names) for found in by_domain.values() for names in found):
        raise WrongAnswer(
            "class 0 always comes first in the alphabet: the order of the intents is random, too"
        )
    if all(len(set(found)) == 1 for found in by_domain.values()):
        raise WrongAnswer("each domain has the same intents in all episodes: draw them at random")
    rising = [
        (np.diff(np.concatenate([p[0][p[1] == k], p[2][p[3] == k]])) > 0).all()
        for p in many
        for k in range(p[1].max() + 1)
    ]
    if all(rising):
        raise WrongAnswer(
            "the sentences of each intent are taken in the order of the file: the support set should be random, too"
        )


# ------------------------------------------------------------------ 14.4


@exercise("14.dual_scores", points=5, minutes=25, difficulty=4)
def dual_scores(answer, rng):
    """Logistic regression that sees inner products alone"""
    sizes = {"n": (6, 9), "m": (3, 5), "ways": (3, 4), "steps": (2, 5)}
    for n, m, ways, steps, alpha, penalty in draw(
        rng, **sizes, alpha=(0.5, 1.5), penalty=(0.1, 0.4)
    ):
        x = rng.normal(0.4, 1.0, (n, 12)) / 2
        queries = rng.normal(0.4, 1.0, (m, 12)) / 2
        labels = np.concatenate([np.arange(ways), rng.integers(ways, size=n - ways)])
        case = (x, queries, rng.permutation(labels), ways, alpha, penalty, steps)
        got = answer(x @ x.T, queries @ x.T, *case[2:])
        expect(got, _primal(*case), partial(_wrong_scores, *case))


def _softmax(scores, axis=1):
    p = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def _primal(x, queries, labels, ways, alpha, penalty, steps, **changes):
    """The loop in W and b; `changes` make it a wrong one."""
    change = {
        "count": len(labels), "offset": True, "offset_rate": 1.0, "offset_penalty": 0.0, "axis": 1, "twice": 1.0,
        "sign": 1.0, "squash": True, "shift": 0.0,
    } | changes  # fmt: skip
    target, w, b = np.eye(ways)[labels], np.zeros((ways, x.shape[1])), np.zeros(ways)
    for _ in range(steps):
        scores = x @ w.T + b
        p = _softmax(scores, change["axis"]) if change["squash"] else scores
        error = (p - target) / change["count"]
        w = w - change["sign"] * alpha * (error.T @ x + change["twice"] * penalty * w)
        slope = error.sum(axis=0) * change["offset_rate"] + change["offset_penalty"] * b
        b = b - change["sign"] * alpha * slope * change["offset"]
    return queries @ w.T + b


def _dual(x, queries, labels, ways, alpha, penalty, steps, inner=None, slope=None, cross=True):
    """The loop in A with another array of inner products, or another slope of A."""
    gram = x @ x.T if inner is None else inner
    target, a, b = np.eye(ways)[labels], np.zeros((len(labels), ways)), np.zeros(ways)
    for _ in range(steps):
        error = (_softmax(gram @ a + b) - target) / len(labels)
        step = error + penalty * a if slope is None else slope(error, a, x @ x.T)
        a, b = a - alpha * step, b - alpha * error.sum(axis=0)
    return queries @ x.T @ a + b


def _wrong_scores(*case):
    x, queries, labels, ways, alpha, penalty, steps = case
    right, n = _primal(*case), len(labels)
    frozen = (x, queries, labels, ways, alpha, penalty)
    return {
        "the penalty is missing": _primal(*frozen[:5], 0.0, steps),
        "the penalty is on b as well: it is on W alone": _primal(*case, offset_penalty=penalty),
        "the gradient of λ/2 · ‖W‖² is λW, not 2λW": _primal(*case, twice=2.0),
        "b is not learned": _primal(*case, offset=False),
        "the gradients are summed over the support set: the loss is a mean": _primal(
            *case, count=1
        ),
        "the gradients are divided by the number of classes: divide by that of support sentences": (
            _primal(*case, count=ways)
        ),
        "the gradient of b is the mean of the errors divided by n once more": _primal(
            *case, offset_rate=1 / n
        ),
        "the gradient of b is not divided by n": _primal(*case, offset_rate=float(n)),
        "the softmax is over the sentences: each sentence has probabilities over the classes": _primal(
            *case, axis=0
        ),
        "there is no softmax: this is least squares, not logistic regression": _primal(
            *case, squash=False
        ),
        "the steps go uphill: the sign of α is the wrong one": _primal(*case, sign=-1.0),
        "the gradient is multiplied by gram once more: that is the step of A itself, not the step of W": (
            _dual(*case, slope=lambda error, a, gram: gram @ error + penalty * (gram @ a))
        ),
        "gram multiplies the errors: W = AᵀX has the step E, and gram is in the scores alone": _dual(
            *case, slope=lambda error, a, gram: gram @ error + penalty * a
        ),
        "the penalty is λ · gram @ A: that would be its gradient with respect to A": _dual(
            *case, slope=lambda error, a, gram: error + penalty * (gram @ a)
        ),
        "gram is not used: the scores of the support set are gram @ A": _dual(
            *case, inner=np.eye(n)
        ),
        "one step too few": _primal(*frozen, steps - 1) if steps > 1 else right,
        "one step too many": _primal(*frozen, steps + 1),
        "this is one step, however many are asked for: the errors have to be computed again after each": (
            _primal(*frozen, 1)
        ),
        "the errors stay those of the first step": _stale(*case),
        "these are probabilities: the scores before the softmax are asked for": _softmax(right),
        "these are class numbers: the scores are asked for": right.argmax(axis=1),
        "queries are the first axis, classes the second": right.T,
        "b is left out of the scores of the queries": _without_offset(*case),
    }


def _stale(x, queries, labels, ways, alpha, penalty, steps):
    """Every step repeats the first one's errors; the penalty follows A."""
    error = (1 / ways - np.eye(ways)[labels]) / len(labels)
    a, b = np.zeros((len(labels), ways)), np.zeros(ways)
    for _ in range(steps):
        a, b = a - alpha * (error + penalty * a), b - alpha * error.sum(axis=0)
    return queries @ x.T @ a + b


def _without_offset(x, queries, labels, ways, alpha, penalty, steps):
    full = _primal(x, queries, labels, ways, alpha, penalty, steps)
    return full - _primal(x, np.zeros((1, x.shape[1])), labels, ways, alpha, penalty, steps)


# ------------------------------------------------------------------ 14.5


@exercise("14.paired_table", points=3, minutes=12, difficulty=3)
def paired_table(answer, rng):
    """A table that compares"""
    for kinds, baseline in draw(rng, kinds=(2, 3), baseline=["centroid", "mean", "raw"]):
        runs = _runs(rng, kinds, baseline)
        right = _table(runs, baseline)
        expect(answer(runs, baseline), right, partial(_wrong_tables, runs, baseline))


def _runs(rng, kinds, baseline):
    """Methods on the same hard and easy episodes, in orders of their own; the second breaks off early."""
    runs = {}
    for kind in ["5-way 1-shot", "5-way 5-shot", "10-way 1-shot"][:kinds]:
        count = int(rng.integers(14, 20))
        numbers = rng.permutation(100)[:count]
        hard = rng.uniform(0.2, 0.9, count)
        methods = {}
        for place, method in enumerate(rng.permutation([baseline, "maml", "protonet", "logistic"])):
            method = str(method)
            least = count if method == "maml" else int(rng.integers(count - 6, count - 2))
            order = rng.permutation(count)[: least if place else count - 1]
            values = hard[order] + rng.normal(0.02 * place, 0.03, len(order))
            methods[method] = (numbers[order], np.round(values, 3))
        runs[kind] = methods
    return runs


def _stats(minus, ddof=1, factor=1.96, root=True):
    minus = np.asarray(minus, float)
    half = factor * minus.std(ddof=ddof) / (np.sqrt(len(minus)) if root else 1)
    return float(minus.mean()), float(half)


def _each(runs, baseline, of_two):
    """of_two((episodes, accuracies) of a method, those of the baseline) for every method of every kind."""
    return {
        kind: {
            name: of_two(run, methods[baseline])
            for name, run in methods.items()
            if name != baseline
        }
        for kind, methods in runs.items()
    }


def _shared(run, base):
    known = dict(zip(base[0].tolist(), base[1].tolist(), strict=True))
    pairs = zip(run[0].tolist(), run[1].tolist(), strict=True)
    return np.array([(a, known[e]) for e, a in pairs if e in known]).T


def _minus(run, base):
    ours, theirs = _shared(run, base)
    return ours - theirs


def _table(runs, baseline, **how):
    return _each(runs, baseline, lambda run, base: _stats(_minus(run, base), **how))


def _apart(values, others):
    """Mean difference of two lists of episodes that are not compared one by one, errors added in squares."""
    (a, half), (b, other) = _stats(values), _stats(others)
    return a - b, float(np.hypot(half, other))


def _wrong_tables(runs, baseline):
    right = _table(runs, baseline)
    by_place = lambda run, base: _stats(
        run[1][: (n := min(len(run[1]), len(base[1])))] - base[1][:n]
    )
    ordered = lambda run: run[1][np.argsort(run[0])]

    def sorted_but_not_matched(run, base):
        ours, theirs = ordered(run), ordered(base)
        n = min(len(ours), len(theirs))
        return _stats(ours[:n] - theirs[:n])

    of_all = {kind: {**row, baseline: (0.0, 0.0)} for kind, row in right.items()}
    common = {
        kind: set.intersection(*(set(r[0].tolist()) for r in m.values()))
        for kind, m in runs.items()
    }
    in_common = {
        kind: {
            name: _stats(_minus(_only(run, common[kind]), methods[baseline]))
            for name, run in methods.items()
            if name != baseline
        }
        for kind, methods in runs.items()
        if len(common[kind]) > 1
    }
    in_common = in_common if len(in_common) == len(runs) else right
    zeros = lambda run, base: _stats(
        np.concatenate([_minus(run, base), np.zeros(len(run[0]) - len(_minus(run, base)))])
    )
    missing = lambda run, base: _stats(
        [a - dict(zip(*base, strict=True)).get(e, 0.0) for e, a in zip(*run, strict=True)]
    )
    return {
        "the episodes are compared place by place: the runs list them in different orders, so match them": (
            _each(runs, baseline, by_place)
        ),
        "both are sorted by number, but the numbers are not the same ones: match them": _each(
            runs, baseline, sorted_but_not_matched
        ),
        "the difference of two means, each over its own episodes: take the difference on each shared episode": (
            _each(runs, baseline, lambda run, base: _apart(run[1], base[1]))
        ),
        "the shared episodes are right, but two standard errors are added in squares, as for other episodes: take "
        "that of the differences": _each(
            runs, baseline, lambda run, base: _apart(*_shared(run, base))
        ),
        "the two half widths are added: take the standard error of the differences": _each(
            runs,
            baseline,
            lambda run, base: (
                _stats(_minus(run, base))[0],
                sum(_stats(values)[1] for values in _shared(run, base)),
            ),
        ),
        "the sign is the wrong one: it is method minus baseline": _each(
            runs, baseline, lambda run, base: _stats(-_minus(run, base))
        ),
        "this is 1.96 standard deviations: divide by the root of the number of episodes": _table(
            runs, baseline, root=False
        ),
        "the standard error is not multiplied by 1.96": _table(runs, baseline, factor=1.0),
        "the standard deviation is that of all there is (ddof=0): these episodes are a sample, ddof=1": (
            _table(runs, baseline, ddof=0)
        ),
        "the baseline has an entry of its own: leave it out": of_all,
        "only the episodes that all methods share are used: those shared with the baseline count": (
            in_common
        ),
        "an episode that the baseline does not have counts as a difference of 0: leave it out": _each(
            runs, baseline, zeros
        ),
        "an episode that the baseline does not have counts as if nothing were right there: leave it out": (
            _each(runs, baseline, missing)
        ),
        "the root is taken of the number of all episodes of the method: only the shared ones count": _each(
            runs,
            baseline,
            lambda run, base: (
                _stats(_minus(run, base))[0],
                _stats(_minus(run, base))[1] * float(np.sqrt(len(_minus(run, base)) / len(run[0]))),
            ),
        ),
        "these are relative differences: the plain difference is asked for": _each(
            runs,
            baseline,
            lambda run, base: _stats(_shared(run, base)[0] / _shared(run, base)[1] - 1),
        ),
        "this is the median of the differences: accuracies have no heavy tail, and the mean is asked for": _each(
            runs,
            baseline,
            lambda run, base: (float(np.median(_minus(run, base))), _stats(_minus(run, base))[1]),
        ),
    }


def _only(run, episodes):
    keep = np.isin(run[0], list(episodes))
    return run[0][keep], run[1][keep]
