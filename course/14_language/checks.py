"""Checks of chapter 14: one function per exercise, for the learner and for the grader."""

import itertools
import zlib
from functools import partial

import numpy as np

from maml_edu.checks.comparing import difference
from maml_edu.checks.exercise import WrongAnswer, array_of, draw, exercise, expect

# ------------------------------------------------------------------ 14.1

LETTERS = ("aeiou", "bdklmnrstvz")
OTHER_BINS = (
    "the counts stand in other bins than those of zlib.crc32. (Python's hash() gives other numbers in each new "
    "process, so that what was trained today could not be used tomorrow)"
)
STRANGE = ["Zürich", "ÉTÉ", "straße", "ΣΑΣ"]  # case-folding is more than lower()


@exercise("14.letter_counts", points=4, minutes=18, difficulty=3)
def letter_counts(answer, rng):
    """Letter groups"""
    for size, kind in draw(rng, size=(300, 600), kind=[(3,), (2, 4), (3, 4, 5), (4, 5)]):
        short = str(rng.choice(list(LETTERS[0])))  # has no group of four letters
        _judge_vectors(answer, [*_texts(rng), "", short], size, list(kind))
    _judge_vectors(answer, _texts(rng), int(rng.integers(3, 6)), [2, 4])  # groups meet in a bin


def _judge_vectors(answer, texts, size, lengths):
    got, right = answer(texts, size, lengths), _counts(texts, size, lengths)
    array = array_of(got)
    if array is not None and array.shape == right.shape:
        _judge_zeros(array, right)
    hashed = array is not None and _as_if_hashed(array, right)
    wrong = partial(_wrong_counts, texts, size, lengths)
    detail = _first_bins(array, right, texts, lengths)
    expect(got, right, wrong, otherwise=OTHER_BINS if hashed else "", detail=detail)


def _judge_zeros(array, right):
    """0 divided by 0, in an array of the right shape."""
    empty, unused = ~right.any(axis=1), ~right.any(axis=0)
    if empty.any() and np.isnan(array[empty]).all():
        raise WrongAnswer("a row of zeros stays one: here 0 is divided by 0, which gives NaN")
    if unused.any() and np.isnan(array[:, unused]).all() and np.isfinite(array[:, ~unused]).all():
        raise WrongAnswer(
            "the columns are scaled, and one of zeros is divided by 0: scale each row"
        )


def _first_bins(array, right, texts, lengths):
    """Where the first text differs, with the groups of these bins: most entries of a row are zeros."""
    if array is None or array.shape != right.shape or array.dtype.kind not in "iuf":
        return ""
    differs = ~(np.abs(array.astype(float) - right) <= 1e-5)
    rows = np.flatnonzero(differs.any(axis=1))[:1].tolist()
    lines = []
    for row in rows:
        for place in np.flatnonzero(differs[row])[:3].tolist():
            here = [g for g in _bordered(texts[row], lengths) if _crc(g) % right.shape[1] == place]
            holds = f"holds {', '.join(map(repr, here))}" if here else "holds no group"
            values = f"expected {right[row, place]:.4g}, got {array[row, place]:.4g}"
            lines.append(f"text {row}: bin {place} {holds}: {values}")
    return "\n".join(lines)


def _word(rng):
    codes = rng.integers(1000, size=rng.integers(3, 8)).tolist()
    return "".join(LETTERS[i % 2][code % len(LETTERS[i % 2])] for i, code in enumerate(codes))


def _texts(rng):
    """Sentences with repeated words, capitals, doubled spaces and letters beyond ASCII."""
    texts = []
    for strange in rng.permutation(STRANGE)[:3]:
        words = [_word(rng) for _ in range(7)]
        words = [*words, words[0], words[1].capitalize(), _stammer(rng), str(strange)]
        texts.append("  ".join(words[:3]) + " " + " ".join(words[3:]))
    return texts


def _stammer(rng):
    """A word such as bananana, in which groups of up to five letters come twice."""
    first, again = (LETTERS[1][i] for i in rng.permutation(len(LETTERS[1]))[:2])
    vowel = LETTERS[0][rng.integers(len(LETTERS[0]))]
    return first + vowel + (again + vowel) * 3


def _groups(word, lengths):
    return [word[i : i + n] for n in lengths for i in range(len(word) - n + 1)]


def _bordered(text, lengths):
    return [g for word in text.casefold().split() for g in _groups(f" {word} ", lengths)]


def _crc(group):
    return zlib.crc32(group.encode("utf-8"))


def _sign(code):
    return 1 if code >= 2**31 else -1


def _counts(
    texts, size, lengths, groups=_bordered, code=_crc, sign=_sign, bin_of=None, once=False,
    norm=True, add=True,
):  # fmt: skip
    bin_of = bin_of or (lambda code: code % size)
    counts = np.zeros((len(texts), size))
    for row, text in zip(counts, texts, strict=True):
        found = groups(text, lengths)
        for group in dict.fromkeys(found) if once else found:
            place = bin_of(code(group))
            row[place] = sign(code(group)) + (row[place] if add else 0)
    return _scaled(counts) if norm else counts


def _scaled(counts, order=2):
    norms = np.linalg.norm(counts, ord=order, axis=1, keepdims=True)
    return counts / np.where(norms == 0, 1, norms)


def _from_words(before, after, fold=str.casefold, split=str.split):
    """What takes the groups of each word, in a wrong way."""
    return lambda text, lengths: [
        word[i : i + n]
        for word in (f"{before}{word}{after}" for word in split(fold(text)))
        for n in lengths
        for i in range(len(word) - n + 1)
    ]


def _wrong_counts(texts, size, lengths):
    kinds = _wrong_groups, _across_words, _counted_once, _wrong_bins
    return {text: value for kind in kinds for text, value in kind(texts, size, lengths).items()}


def _wrong_groups(texts, size, lengths):
    """Mistakes in which groups a text has."""
    made = lambda groups: _counts(texts, size, lengths, groups)
    return {
        "the words have no borders: put a space before and after each": made(_from_words("", "")),
        "the last group of each word is missing: put a space after the word, and take w − n + 1 places": (
            made(_from_words(" ", ""))
        ),
        "the border before each word is missing": made(_from_words("", " ")),
        "split(' ') makes an empty word of two spaces in a row: split() does not": made(
            _from_words(" ", " ", split=lambda text: text.split(" "))
        ),
        "shorter groups at the end of a word are taken as well: w[i : i + n] has fewer than n letters there": made(
            lambda text, lengths: [
                f" {word} "[i : i + n]
                for word in text.casefold().split()
                for n in lengths
                for i in range(len(word) + 2)
            ]
        ),
        "the text is not case-folded: capitals count as other letters": made(
            _from_words(" ", " ", str)
        ),
        "lower() leaves letters such as ß as they are: casefold() is asked for": made(
            _from_words(" ", " ", str.lower)
        ),
        "only the groups of the longest length are there: take those of all lengths": _counts(
            texts, size, lengths[-1:]
        ),
        "only the groups of the shortest length are there: take those of all lengths": _counts(
            texts, size, lengths[:1]
        ),
        "the groups have every length from the shortest to the longest: take those in lengths alone": _counts(
            texts, size, range(lengths[0], lengths[-1] + 1)
        ),
    }


def _across_words(texts, size, lengths):
    """The ways in which groups reach from one word into the next."""
    words = lambda text: text.casefold().split()
    joined = {
        "(the words are joined by one space, with a border at each end)": lambda t: (
            f" {' '.join(words(t))} "
        ),
        "(the words are joined by one space, and the ends have no borders)": lambda t: " ".join(
            words(t)
        ),
        "(the borders of all words are in one string)": lambda t: "".join(
            f" {w} " for w in words(t)
        ),
        "(the words are joined without a space)": lambda t: "".join(words(t)),
        "(one border for the whole text, not for each word)": lambda t: f" {t.casefold()} ",
    }
    across = "groups reach from one word into the next: take them from each word by itself"
    whole = {f"{across} {how}": text for how, text in joined.items()}
    whole[
        "the text is not split into words: groups reach from one word into the next, and the ends have no borders"
    ] = str.casefold
    return {
        words: _counts(texts, size, lengths, lambda text, n, one=one: _groups(one(text), n))
        for words, one in whole.items()
    }


def _counted_once(texts, size, lengths):
    """What comes twice in a text counts twice; here it counts once."""
    made, bordered = partial(_counts, texts, size, lengths), _bordered
    words = lambda text: text.casefold().split()
    return {
        "a group that occurs twice in a text counts twice: this counts it once": made(once=True),
        "a group that occurs twice in a word counts twice: this counts it once": made(
            lambda text, n: [g for w in words(text) for g in dict.fromkeys(bordered(w, n))]
        ),
        "a word that occurs twice in a text counts twice: this counts it once (a set of the words?)": made(
            lambda text, n: bordered(" ".join(dict.fromkeys(words(text))), n)
        ),
        "each bin is +1, −1 or 0: groups that meet in it, and those that occur twice, add up": _scaled(
            np.sign(made(norm=False))
        ),
    }


def _wrong_bins(texts, size, lengths):
    """Mistakes in what a group adds to which bin, and in the scale."""
    made = partial(_counts, texts, size, lengths)
    raw = made(norm=False)
    return {
        "every group adds +1: the sign is missing, so that groups that meet in a bin can only add up": (
            made(sign=lambda code: 1)
        ),
        "the sign is the wrong way round": made(sign=lambda code: -_sign(code)),
        "the sign is taken from the lowest bit, which the bin depends on as well: compare the hash with 2³¹": (
            made(sign=lambda code: 1 if code % 2 else -1)
        ),
        "of the groups that fall into one bin only the last one counts: they add up (counts[bins] += signs takes "
        "each bin once; np.add.at adds all)": made(add=False),
        "the vectors do not have length 1: divide by the root of the sum of squares": raw,
        "the entries are divided by the sum of their sizes: divide by the root of the sum of squares": (
            _scaled(raw, 1)
        ),
        "the entries are divided by the sum of squares: divide by the root of it": (
            raw / np.maximum(np.square(raw).sum(axis=1, keepdims=True), 1)
        ),
        "all rows are divided by one number: each text has a length of its own": (
            raw / np.linalg.norm(raw)
        ),
        "the columns have length 1: scale each row": _scaled(raw.T).T,
        "each word has length 1, and they add up: scale the sum": _of_words(texts, size, lengths),
        "each word is scaled to length 1 before they add up: only the sum is to be scaled": _scaled(
            _of_words(texts, size, lengths)
        ),
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


def _of_words(texts, size, lengths):
    """The sums of the vectors of the words, each of length 1."""
    of = lambda text: _counts(text.casefold().split(), size, lengths).sum(axis=0)
    return np.array([of(text) for text in texts])


def _as_if_hashed(got, right):
    """Whether each text has counts of length 1, in about as many bins as it should, and hardly in the same."""
    if got.shape != right.shape:
        return False
    if right.shape[1] > 100 and ((got != 0) & (right != 0)).sum() > 0.4 * (right != 0).sum():
        return False
    norms, wanted = (np.linalg.norm(values, axis=1) for values in (got, right))
    if not np.allclose(norms, wanted, 0, 1e-4):
        return False
    filled, wanted = (got != 0).sum(axis=1), (right != 0).sum(axis=1)
    return bool((np.abs(filled - wanted) <= 0.15 * wanted + 2).all())


# ------------------------------------------------------------------ 14.2


OTHER_DOMAINS = (
    "whole domains are held out, and as many as asked for, but others than the recipe gives: sort the different "
    "names, shuffle them once with permutation(), and take the first ones. (The order of a set differs from "
    "process to process)"
)


@exercise("14.hold_out_domains", points=3, minutes=10, difficulty=2)
def hold_out_domains(answer, rng):
    """Hold out domains"""
    for count, test, val in draw(rng, count=(7, 10), test=(1, 2), val=(2, 3)):
        domains, intents, seed = _shelf(rng, count, test, val)
        right = _held(domains, test, val, seed)
        got = answer(domains, intents, test, val, seed)
        if isinstance(got, dict) and set(got) == {"train", "val", "test"}:
            got = {name: _as_list(part) for name, part in got.items()}
            _judge_names(got, domains, intents)
        others = _whole_domains(got, right, domains)
        wrong = partial(_wrong_splits, domains, intents, test, val, seed)
        expect(got, right, wrong, otherwise=OTHER_DOMAINS if others else "")


def _as_list(part):
    """A list of whole numbers, also if it came as an array; anything else as it is."""
    array = array_of(part)
    if array is None or array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        return part
    return [int(number) for number in array]


def _judge_names(got, domains, intents):
    """Names in place of numbers, in whatever order, and however often."""
    found = {repr(name) for part in got.values() for name in _items(part)}
    for what, names in (("domains", domains), ("intents", intents)):
        if found and found <= set(map(repr, names)):
            raise WrongAnswer(
                f"these are the names of the {what}: return the numbers of the sentences"
            )


def _items(part):
    if isinstance(part, np.ndarray):
        part = part.ravel().tolist()
    return part if isinstance(part, (list, tuple)) else [part]


def _shelf(rng, count, test, val):
    """(domains, intents) of unsorted sentences, and a seed with which each wrong choice of domains is another."""
    names = [f"{_word(rng)}{i}" for i in rng.permutation(count)]
    domains, intents = [], []
    for name in names:
        for k in range(3):
            for _ in range(rng.integers(3, 6)):
                domains.append(name)
                intents.append(f"{name}_{k}")
    order = rng.permutation(len(domains))
    domains, intents = [domains[i] for i in order], [intents[i] for i in order]
    while True:
        seed = int(rng.integers(1, 10**6))
        wrong = _wrong_domains(domains, test, val, seed) | _other_numbers(domains, test, val, seed)
        wrong = wrong.values()
        splits = [str(split) for split in (_held(domains, test, val, seed), *wrong)]
        if len(set(splits)) == len(splits):
            return domains, intents, seed


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
    return (
        _wrong_domains(domains, test, val, seed)
        | _wrong_cuts(domains, test, val, seed)
        | _no_set(domains, test, val, seed)
        | _wrong_units(domains, intents, test, val, seed)
        | _other_numbers(domains, test, val, seed)
    )


def _wrong_domains(domains, test, val, seed):
    """Whole domains, but the wrong ones."""
    names, held = sorted(set(domains)), partial(_held, domains, test, val, seed)
    rng, legacy = np.random.default_rng(seed), np.random.RandomState(seed)
    order = rng.permutation(len(names))
    shuffled, rest = [names[i] for i in order], len(names) - test - val
    first = {"test": shuffled[:test], "val": shuffled[test : test + val]}
    swapped = {"val": shuffled[:val], "test": shuffled[val : val + test]}
    last = {"train": shuffled[:rest], "val": shuffled[rest : rest + val], "test": shuffled[-test:]}
    return {
        "nothing is shuffled: the first names by the alphabet are held out, whatever the seed": held(
            order=np.arange(len(names))
        ),
        "the names are shuffled in the order of the file: another file order would give another split; sort them "
        "first": held(names=list(dict.fromkeys(domains))),
        "validation gets the first names and the test the next ones: it is the other way round": _numbers(
            domains, {**swapped, "train": shuffled[test + val :]}
        ),
        "the last names of the shuffled ones are held out: the first are asked for": _numbers(
            domains, last
        ),
        "the validation domains are in training as well": _numbers(
            domains, {**first, "train": shuffled[test:]}
        ),
        "the test domains are in training as well": _numbers(
            domains, {**first, "train": shuffled[:test] + shuffled[test + val :]}
        ),
        "the held-out domains are all in training as well": _numbers(
            domains, {**first, "train": names}
        ),
        "this is the older generator, np.random.seed: the same seed gives another order": held(
            order=legacy.permutation(len(names))
        ),
        "the seed is not used: 0 is, always": held(
            order=np.random.default_rng(0).permutation(len(names))
        ),
        "the names are shuffled twice, and the second order is used: shuffle them once": held(
            order=rng.permutation(len(names))
        ),
    }


def _wrong_cuts(domains, test, val, seed):
    """The names are shuffled as they should be, and cut in the wrong places, with all that may be left to train."""
    names = sorted(set(domains))
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    common = "validation and test have domains in common: the next names after those of the test are for validation"
    short = "validation ends after val names of all: it ends at test + val"
    wrong = {}
    for what, held in ((common, shuffled[:val]), (short, shuffled[test:val])):
        for rest, train in (
            ("", shuffled[max(test, val) :]),
            ("; and training begins after test + val names", shuffled[test + val :]),
            ("; and training begins after the test domains", shuffled[test:]),
            ("; and training has all domains", shuffled),
        ):
            parts = {"test": shuffled[:test], "val": held, "train": train}
            wrong[what + rest] = _numbers(domains, parts)
    return wrong


def _no_set(domains, test, val, seed):
    """One name for each sentence is shuffled, and then the domains are told apart in some way."""
    names, words = sorted(domains), "each name is shuffled as often as it has sentences: take set()"
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    part_of = ["test"] * test + ["val"] * val + ["train"] * (len(names) - test - val)
    parts = {"test": shuffled[:test], "val": shuffled[test : test + val]}
    rest = [name for name in names if name not in shuffled[: test + val]]
    last, first = (
        dict(list(zip(shuffled, part_of, strict=True))[::step]) for step in (1, -1)
    )  # which part a domain is given at last, and at first
    return {
        words: _numbers(domains, parts | {"train": shuffled[test + val :]}),
        f"{words}. (Training has what is left)": _numbers(domains, parts | {"train": rest}),
        **{
            f"{words}. (The {place} part of a name counts)": _numbers(
                domains,
                {part: [name for name in names if of[name] == part] for part in set(part_of)},
            )
            for place, of in (("last", last), ("first", first))
        },
    }


def _other_numbers(domains, test, val, seed):
    """Numbers, but not those of the sentences from 0."""
    order = np.random.default_rng(seed).permutation(len(set(domains))).tolist()
    parts = {"test": order[:test], "val": order[test : test + val], "train": order[test + val :]}
    right = _held(domains, test, val, seed)
    one = "these are numbers of domains: return the numbers of all sentences that belong to them"
    return {
        one: {split: parts[split] for split in right},
        f"{one}, ascending": {split: sorted(parts[split]) for split in right},
        "the sentences are numbered from 1: number them from 0": {
            split: [i + 1 for i in part] for split, part in right.items()
        },
    }


def _wrong_units(domains, intents, test, val, seed):
    """Not whole domains; or not the sentences' numbers, ascending."""
    right, names = _held(domains, test, val, seed), sorted(set(domains))
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    by_sentence = np.random.default_rng(seed).permutation(len(domains)).tolist()
    cuts = {"test": (0, test), "val": (test, test + val), "train": (test + val, len(domains))}
    return {
        "this holds out intents: their domains are in training as well, and nothing about them is new": (
            _held(intents, test, val, seed)
        ),
        "this holds out single sentences: their intents are in training as well": {
            split: sorted(by_sentence[slice(*cut)]) for split, cut in cuts.items()
        },
        "test and val count domains: here they count intents of each domain": _some_of_each(
            domains, intents, test, val, seed
        ),
        "the numbers of the sentences are in the order of the shuffled domains: ascending is asked for": {
            split: [i for name in shuffled for i in part if domains[i] == name]
            for split, part in right.items()
        },
        "these are masks of True and False: return the numbers of the sentences (np.flatnonzero)": {
            split: np.isin(np.arange(len(domains)), part) for split, part in right.items()
        },
    }


def _whole_domains(got, right, domains):
    """Whether `got` splits all sentences by domain, into as many domains as `right` has in each part."""
    if not isinstance(got, dict) or got.keys() != right.keys():
        return False
    parts = [part for part in got.values() if isinstance(part, list)]
    numbers = [i for part in parts for i in part if type(i) is int]
    if sorted(numbers) != list(range(len(domains))) or any(p != sorted(p) for p in parts):
        return False
    held = {split: {domains[i] for i in part} for split, part in got.items()}
    apart = len(set.union(*held.values())) == sum(map(len, held.values()))
    return apart and all(len(held[k]) == len({domains[i] for i in right[k]}) for k in right)


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


SHARP = ("straße", "weiß", "groß")  # in capitals STRASSE, and casefold() makes strasse of both
EPISODES = 8  # of each collection
FIRST_LETTER = "t"  # of all names and texts
OTHER_LETTERS = "bdfgklmn"  # one for each episode
MANY = 500  # episodes, in which a right answer draws everything, as good as always; 100 do mostly


@exercise("14.episode_of_text", points=4, minutes=25, difficulty=3)
def episode_of_text(answer, rng):
    """An episode of sentences"""
    repeats, regular = set(), []
    for ways, shots, queries in draw(rng, ways=(3, 4), shots=(1, 2), queries=(3, 4)):
        wanted = ways, shots, queries
        pool = _pool(rng, shots + queries)
        looks, seeds = list(_looks(pool)), [int(s) for s in rng.integers(10**6, size=EPISODES)]
        many = [_asked(answer, pool, wanted, seed) for seed in seeds]
        _judge_seed(answer, pool, wanted, seeds[-1], many[-1])
        _judge_spelling(answer, pool, wanted, seeds, many)
        for parts in many:
            repeats |= _repeats(np.concatenate(parts[::2]).tolist(), pool[2], looks)
        regular.append(_regular(many, pool))
    if repeats:
        raise WrongAnswer(_told_of_repeats(repeats))
    for words in regular[0]:
        if all(words in one for one in regular):
            raise WrongAnswer(words)
    _judge_reach(answer, rng)


def _asked(answer, pool, wanted, seed):
    """The four arrays of an episode that has the right form."""
    parts = _episode(answer(*pool, *wanted, seed))
    _judge_counts(parts, *wanted, len(pool[0]))
    _judge_classes(parts, pool, wanted[0])
    return parts


def _judge_seed(answer, pool, wanted, seed, parts):
    again = _episode(answer(*pool, *wanted, seed))
    if not _same_parts(parts, again):
        raise WrongAnswer(
            "the same seed gives two different episodes: make the generator from the seed"
        )


def _judge_spelling(answer, pool, wanted, seeds, many):
    """The order of a set is that of hash(), which differs from process to process, and with the spelling too.

    The collections differ in one letter, with which all names and texts begin: their order stays as it is.
    """
    for letter, seed, parts in zip(OTHER_LETTERS, seeds, many, strict=True):
        if not _same_parts(parts, _episode(answer(*_respelt(pool, letter), *wanted, seed))):
            raise WrongAnswer(
                "the same seed gives another episode where all names and texts begin with another letter, in the "
                "same order: does a set's order decide, or hash()? Both differ in each new process. Sort the "
                "names before you draw"
            )


def _respelt(pool, letter):
    """The collection with another first letter, as large or small as that which was there."""
    other = lambda name, at: letter.upper() if name[at].isupper() else letter
    return tuple(
        [
            name[: (at := len(name) - len(name.lstrip()))] + other(name, at) + name[at + 1 :]
            for name in column
        ]
        for column in pool
    )


def _same_parts(parts, others):
    return all(np.array_equal(a, b) for a, b in zip(parts, others, strict=True))


def _judge_reach(answer, rng):
    """Whether all that can be drawn is drawn some time, in a collection made for it."""
    pool, wanted = _pool(rng, 5, domains=2, intents=4, spare=2), (2, 2, 3)
    *_, (keys, stands_in) = _looks(pool)
    usable = {key for key in keys if len(stands_in[key]) == 1}
    unseen = [
        set(usable),
        set(usable),
        _pairs(pool),
    ]  # in no support set, no query set; no classes 0 and 1
    ranks, alike = list(_ranks(keys, pool[2], usable)), [True] * 3
    for seed in rng.integers(10**6, size=MANY).tolist():
        parts = _asked(answer, pool, wanted, seed)
        support, query = ([keys[i] for i in numbers] for numbers in parts[::2])
        unseen[0] -= set(support)
        unseen[1] -= set(query)
        unseen[2] -= {tuple(pool[2][i] for i in parts[0][::2])}
        for which, rank in enumerate(ranks):
            places = np.array([rank.get(key, -1) for key in support]).reshape(2, 2)
            alike[which] &= np.array_equal(*places)
        if not any(unseen):
            break
    if any(alike):
        raise WrongAnswer(
            "all intents of an episode draw the same places of their lists: make one generator, before the loop"
        )
    if any(unseen):
        raise WrongAnswer(_told_of_reach(*unseen, usable, keys, pool))


def _pairs(pool):
    """All pairs of different intents of one domain, in both orders."""
    named = set(zip(*pool[1:], strict=True))
    return {(a, b) for d, a in named for e, b in named if d == e and a != b}


def _ranks(keys, intents, usable):
    """The place of each sentence in its intent, by its first copy, by its last one, and by the alphabet."""
    first = {key: -n for n, key in reversed(list(enumerate(keys)))}
    last = {key: n for n, key in enumerate(keys)}
    of = {}
    for key, intent in zip(keys, intents, strict=True):
        of.setdefault(intent, set()).add(key)
    for order in (lambda key: -first[key], last.get, str):
        yield {
            k: n for found in of.values() for n, k in enumerate(sorted(found & usable, key=order))
        }


def _told_of_reach(no_support, no_query, no_pair, usable, keys, pool):
    """What is never drawn, as far as possible in one word."""
    never = no_support & no_query
    for what, names in zip(("domain", "intent"), pool[1:], strict=True):
        of = {}
        for key, name in zip(keys, names, strict=True):
            of.setdefault(name, set()).add(key)
        if any(found & usable <= never for found in of.values()):
            return f"some {what} is never drawn, whatever the seed: draw from all of them"
    if never and never == {key for key in usable if keys.count(key) > 1}:
        return "a sentence that has a copy is never drawn. (Of several copies of a sentence, one stays)"
    if never:
        return (
            "some sentences are never drawn, whatever the seed: draw from all of an intent. (To shuffle the first "
            "ones is not enough)"
        )
    if no_support or no_query:
        return (
            "some sentences are always in the same of the two sets, whatever the seed: each may come into the "
            "support set, and among the queries"
        )
    if any(pair[::-1] in no_pair for pair in no_pair):
        return "some intents never meet in an episode: draw each without regard to its neighbours in the list"
    return (
        "some intents always come in the same order, so that a class number says something about the intent: draw "
        "the order as well"
    )


def _pool(rng, least, domains=3, intents=5, spare=None):
    """(texts, domains, intents): many sentences twice, written in another way, and some in two intents.

    Each intent has at least `least` sentences of its own without a copy, and three with one.
    """
    sentence = lambda: FIRST_LETTER + _sentence(rng)
    rows, everywhere = [], f"{sentence()} {_word(rng)}"
    for d in range(domains):
        domain, both = f"{FIRST_LETTER}{_word(rng)}{d}", [sentence() for _ in range(3)]
        for k in range(intents):
            intent = f"{domain}_{k}"
            more = int(rng.integers(0, 2)) if spare is None else spare
            for i in range(3 + least + more):
                text = f"{sentence()} {_word(rng)}"
                rows.append((text, domain, intent))
                if i < 3:
                    rows.append((_otherwise(text, rng), domain, intent))
            if k < intents - 1:
                rows += [(_otherwise(text, rng), domain, intent) for text in both]
            else:
                rows.append((_otherwise(everywhere, rng), domain, intent))
    order = rng.permutation(len(rows))
    return tuple(list(column) for column in zip(*(rows[i] for i in order), strict=True))


def _sentence(rng):
    words = [_word(rng) for _ in range(rng.integers(2, 5))]
    return " ".join([*words, SHARP[rng.integers(len(SHARP))]])


def _otherwise(text, rng):
    """The same sentence: as it is, with a capital, with spaces doubled, or all in capitals."""
    ways = (str, str.capitalize, lambda t: t.replace(" ", "  "), lambda t: f" {t.upper()}")
    return ways[rng.integers(len(ways))](text)


def _episode(got):
    if isinstance(got, (list, tuple)) and len(got) == 4:
        if any(_holds_text(part) for part in got[::2]):
            raise WrongAnswer("support and query hold the numbers of sentences, not their texts")
        if any(_holds_text(part) for part in got[1::2]):
            raise WrongAnswer("support_y and query_y hold numbers from 0, not the intents' names")
    parts = [array_of(part) for part in got] if isinstance(got, (list, tuple)) else []
    if len(parts) != 4 or any(part is None for part in parts):
        raise WrongAnswer("return four arrays: support, support_y, query, query_y")
    if any(part.ndim != 1 for part in parts):
        raise WrongAnswer("each of the four arrays has one axis, all classes one after the other")
    if any(part.dtype.kind not in "iu" for part in parts):
        raise WrongAnswer("return whole numbers: those of sentences, and those of classes")
    return parts


def _holds_text(part):
    return any(isinstance(item, str) for one in _items(part) for item in _items(one))


def _judge_counts(parts, ways, shots, queries, sentences):
    for name, numbers, classes, count in (
        ("support", *parts[:2], shots),
        ("query", *parts[2:], queries),
    ):
        if len(numbers) != len(classes):
            raise WrongAnswer(
                f"{name} and {name}_y do not have the same length. (Of several copies of a sentence, one stays)"
            )
        if len(numbers) == count:
            raise WrongAnswer(
                f"{name} holds as many sentences as one intent: it should be so many of each"
            )
        if len(numbers) != ways * count:
            raise WrongAnswer(
                f"the {name} set has the wrong number of sentences. (Of several copies of a sentence, one stays)",
                f"it has {len(numbers)}; ways times the number per intent is {ways * count}",
            )
        if not np.array_equal(classes, np.repeat(np.arange(ways), count)):
            raise WrongAnswer(
                f"{name}_y is not 0, …, ways − 1, each as often as there are sentences of it, ordered by class"
            )
        if numbers.min() < 0 or numbers.max() >= sentences:
            raise WrongAnswer(
                f"some number in {name} is that of no sentence: they are numbered from 0"
            )


def _judge_classes(parts, pool, ways):
    """Each class is an intent of its own, all of one domain, and no place of the list comes twice."""
    _, domains, intents = pool
    support, support_y, query, query_y = parts
    numbers, classes = np.concatenate([support, query]), np.concatenate([support_y, query_y])
    if len({domains[i] for i in numbers}) > 1:
        raise WrongAnswer(
            "the intents of one episode come from several domains: draw a domain first"
        )
    of_class = [{intents[i] for i in numbers[classes == k]} for k in range(ways)]
    if any(len(found) > 1 for found in of_class):
        raise WrongAnswer(
            "one class has sentences of several intents, or its two sets are ordered differently"
        )
    if len(set.union(*of_class)) < ways:
        raise WrongAnswer("two classes are the same intent: draw different ones (replace=False)")
    if np.isin(query, support).any():
        raise WrongAnswer("a query is in the support set: it is the same entry of the list")
    if len(set(numbers.tolist())) < len(numbers):
        raise WrongAnswer(
            "an entry of the list is drawn twice in one set: draw without putting back"
        )


FOLDS = (  # what counts as the same sentence: at first sight, with lower(), and as the exercise says
    str,
    lambda text: " ".join(text.lower().split()),
    lambda text: " ".join(text.casefold().split()),
)


def _looks(pool):
    """For each of FOLDS: the folded sentences, and the intents in which each of them stands."""
    texts, _, intents = pool
    for fold in FOLDS:
        keys, stands_in = [fold(text) for text in texts], {}
        for key, intent in zip(keys, intents, strict=True):
            stands_in.setdefault(key, set()).add(intent)
        yield keys, stands_in


def _repeats(numbers, intents, looks):
    """{(what, how)} of the sentences that must not be drawn; how: the first of FOLDS that shows it."""
    shown = {}
    for how, (keys, stands_in) in enumerate(looks):
        for place, i in enumerate(numbers):
            if len(stands_in[keys[i]]) > 1:
                shown.setdefault(("two intents", i), how)
            for j in numbers[:place]:
                if keys[i] == keys[j] and intents[i] == intents[j]:
                    shown.setdefault(("twice", j, i), how)
    return {(what, how) for (what, *_), how in shown.items()}


def _told_of_repeats(repeats):
    least = min(how for _, how in repeats)
    if least == 2:
        return (
            "the same sentence counts as two, because lower() leaves letters such as ß as they are: casefold() is "
            "asked for"
        )
    if least == 1:
        return "the same sentence counts as two, with other capitals or spaces: fold both before you compare"
    words = {
        "twice": "a sentence is drawn twice: copies of it stand in the list, and the test may ask what it has told",
        "two intents": "a sentence that stands in two intents is drawn: nobody could say which class it is",
    }
    return "; and ".join(text for what, text in words.items() if (what, 0) in repeats)


def _regular(many, pool):
    """What is not random in the episodes of one collection, in words; the seed comes first."""
    _, domains, intents = pool
    drawn, told = [np.concatenate([p[0], p[2]]) for p in many], []
    if all(np.array_equal(drawn[0], other) for other in drawn[1:]):
        told.append("the seed is ignored: all seeds give the same episode")
    if len({domains[p[0][0]] for p in many}) == 1:
        told.append("the domain is the same in all episodes: draw it at random")
    by_domain, support_of = {}, {}
    for support, *_ in many:
        names = [intents[i] for i in support]
        by_domain.setdefault(domains[support[0]], []).append(list(dict.fromkeys(names)))
        for name in set(names):
            numbers = [i for i, other in zip(support.tolist(), names, strict=True) if other == name]
            support_of.setdefault(name, []).append(numbers)
    if all(names == sorted(names) for found in by_domain.values() for names in found):
        told.append(
            "class 0 always comes first in the alphabet: the order of the intents is random, too"
        )
    if all(len({frozenset(names) for names in found}) == 1 for found in by_domain.values()):
        told.append("each domain has the same intents in all episodes: draw them at random")
    if all(_rises(parts) for parts in many):
        told.append(
            "the sentences of each intent come in the order of the file, those of the support set first: "
            "which they are should be random"
        )
    if all(numbers == found[0] for found in support_of.values() for numbers in found):
        told.append(
            "an intent has the same support sentences in all episodes: draw them at random, too"
        )
    return told


def _rises(parts):
    """Whether the numbers of each class rise, from the support set into the query set."""
    support, support_y, query, query_y = parts
    return all(
        (np.diff(np.concatenate([support[support_y == k], query[query_y == k]])) > 0).all()
        for k in range(support_y.max() + 1)
    )


# ------------------------------------------------------------------ 14.4


@exercise("14.dual_scores", points=5, minutes=25, difficulty=4)
def dual_scores(answer, rng):
    """Logistic regression that sees inner products alone"""
    sizes, right = {"each": (2, 3), "m": (3, 5), "ways": (3, 4), "steps": (3, 6)}, True
    for each, m, ways, *rest in draw(rng, **sizes, alpha=(0.5, 1.5), penalty=(0.1, 0.4)):
        labels = _uneven(rng, each * ways, ways)
        right &= _judge_scores(answer, rng, labels, m, ways, *rest)
    if right:  # the last class is absent, and n no multiple of ways: that may raise an error, which names nothing
        _judge_scores(answer, rng, _uneven(rng, 7, 3), 3, 4, 4, 1.0, 0.3)


def _judge_scores(answer, rng, labels, m, ways, steps, alpha, penalty):
    """Whether the scores are right; if not, `expect` has been told."""
    x = rng.normal(0.4, 1.0, (len(labels), 12)) / 2
    queries = rng.normal(0.4, 1.0, (m, 12)) / 2
    case = (x, queries, labels, ways, alpha, penalty, steps)
    got, right = answer(x @ x.T, queries @ x.T, *case[2:]), _primal(*case)
    expect(got, right, partial(_wrong_scores, *case))
    return difference(got, right) is None


def _uneven(rng, n, ways):
    """Labels in no order: class 0 once, another one at least three times, each of the others at least once."""
    labels = np.concatenate([np.arange(ways), [1, 1], rng.integers(1, ways, size=n - ways - 2)])
    while (np.diff(labels) >= 0).all() or np.array_equal(labels[:ways], np.arange(ways)):
        labels = rng.permutation(labels)
    return labels


def _softmax(scores, axis=1):
    p = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def _primal(x, queries, labels, ways, alpha, penalty, steps, **changes):
    """The loop in W and b; `changes` make it a wrong one."""
    change = {
        "count": len(labels), "offset": True, "offset_rate": 1.0, "offset_penalty": 0.0,
        "sign": 1.0, "squash": _softmax, "later": False, "b_first": False, "b_last": False, "b_inside": 1.0,
    } | changes  # fmt: skip
    target, w, b = np.eye(ways)[labels], np.zeros((ways, x.shape[1])), np.zeros(ways)
    for _ in range(steps):
        error = (change["squash"](x @ w.T + b * change["b_inside"]) - target) / change["count"]
        slope = error.sum(axis=0) * change["offset_rate"] + change["offset_penalty"] * b
        before, b = b, b - change["sign"] * alpha * slope * change["offset"]
        if change["b_first"]:
            error = (_softmax(x @ w.T + b) - target) / len(labels)
        old, w = w, w - change["sign"] * alpha * error.T @ x
        w = w - change["sign"] * alpha * penalty * (w if change["later"] else old)
        if change["b_last"]:
            b = before - alpha * (_softmax(x @ w.T + before) - target).mean(axis=0)
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
    return _wrong_slopes(*case) | _wrong_loops(*case) | _wrong_labels(*case)


def _wrong_labels(x, queries, labels, *rest):
    """The labels are not looked at, or not in the sentences' order."""
    n, ways = len(labels), rest[0]
    made = lambda others: _primal(x, queries, others, *rest)
    counted = "the labels are not used: this takes"
    return {
        "the labels are taken in rising order: the sentences come in no order": made(
            np.sort(labels)
        ),
        f"{counted} as many sentences of each class, class after class": made(
            np.arange(n) * ways // n
        ),
        "the number of classes is taken from the labels: it is ways, also where no sentence has the last class": (
            _primal(x, queries, labels, int(max(labels)) + 1, *rest[1:])
        ),
        f"{counted} sentences of all classes in turn, again and again": made(np.arange(n) % ways),
    }


def _wrong_slopes(*case):
    """Mistakes in the gradients of W and b."""
    *start, penalty, steps = case
    alpha, n = case[4], len(case[2])
    dual = partial(_dual, *case)
    return {
        "the penalty is missing": _primal(*start, 0.0, steps),
        "the penalty is on b as well: it is on W alone": _primal(*case, offset_penalty=penalty),
        "the gradient of λ/2 · ‖W‖² is λW, not 2λW": _primal(*start, 2 * penalty, steps),
        "the gradient of λ/2 · ‖W‖² is λW, not half of it": _primal(*start, penalty / 2, steps),
        "the penalty is divided by n as well: only the cross-entropy is a mean": _primal(
            *start, penalty / n, steps
        ),
        "the penalty is not multiplied by α: it belongs to the gradient": _primal(
            *start, penalty / alpha, steps
        ),
        "the penalty pushes W away from 0: its sign is the wrong one": _primal(
            *start, -penalty, steps
        ),
        "the penalty is taken after the step, of the new W: both parts of the gradient belong to the same W": (
            _primal(*case, later=True)
        ),
        "b is not learned": _primal(*case, offset=False),
        "b takes its step first, and the errors for W are computed with the new b: one gradient, one step": (
            _primal(*case, b_first=True)
        ),
        "A takes its step first, and the errors for b are computed with the new A: one gradient, one step": (
            _primal(*case, b_last=True)
        ),
        "the gradients are summed over the support set: the loss is a mean": _primal(
            *case, count=1
        ),
        "the gradients are divided by the number of classes: divide by that of support sentences": (
            _primal(*case, count=case[3])
        ),
        "the gradient of b is the mean of the errors divided by n once more": _primal(
            *case, offset_rate=1 / n
        ),
        "the gradient of b is not divided by n": _primal(*case, offset_rate=float(n)),
        "the gradient is multiplied by gram once more: that is the step of A itself, not the step of W": (
            dual(slope=lambda error, a, gram: gram @ error + penalty * (gram @ a))
        ),
        "gram multiplies the errors: W = AᵀX has the step E, and gram is in the scores alone": (
            dual(slope=lambda error, a, gram: gram @ error + penalty * a)
        ),
        "the penalty is λ · gram @ A: that would be its gradient with respect to A": dual(
            slope=lambda error, a, gram: error + penalty * (gram @ a)
        ),
    }


def _wrong_loops(*case):
    """Mistakes in the loop, and in what is returned."""
    *start, steps = case
    right, x = _primal(*case), case[0]
    return {
        "the softmax is over the sentences: each sentence has probabilities over the classes": _primal(
            *case, squash=partial(_softmax, axis=0)
        ),
        "the softmax is over all entries at once: each sentence has probabilities of its own": _primal(
            *case, squash=partial(_softmax, axis=(0, 1))
        ),
        "each class has a sigmoid of its own: the softmax is asked for": _primal(
            *case, squash=lambda scores: 1 / (1 + np.exp(-scores))
        ),
        "there is no softmax: this is least squares, not logistic regression": _primal(
            *case, squash=lambda scores: scores
        ),
        "b is left out of the scores of the support set": _primal(*case, b_inside=0.0),
        "the steps go uphill: the sign of α is the wrong one": _primal(*case, sign=-1.0),
        "gram is not used: the scores of the support set are gram @ A": _dual(
            *case, inner=np.eye(len(x))
        ),
        "one step too few": _primal(*start, steps - 1),
        "one step too many": _primal(*start, steps + 1),
        "this is one step, however many are asked for: the errors have to be computed again after each": (
            _primal(*start, 1)
        ),
        "the errors stay those of the first step": _stale(*case),
        "these are probabilities: the scores before the softmax are asked for": _softmax(right),
        "these are logarithms of probabilities: the scores before the softmax are asked for": np.log(
            _softmax(right)
        ),
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


@exercise("14.logistic_baseline", points=3, minutes=8, difficulty=2)
def logistic_baseline(answer, rng):
    """A baseline that is tuned as hard"""
    for sizes in draw(rng, val=(6, 8), test=(9, 11), queries=(12, 16), ways=(3, 5)):
        case = _grid(rng, *sizes)
        got = answer(*case)
        _judge_pair(got)
        expect(got, _tuned(*case), partial(_wrong_choices, *case))


def _judge_pair(got):
    """A number where the name should be."""
    if isinstance(got, (list, tuple)) and len(got) == 2:
        if type(got[0]) in (int, float):
            raise WrongAnswer(
                "the first of the two is a number: return the name of the chosen setting, not its place or accuracy"
            )
        if isinstance(got[1], str):
            raise WrongAnswer("the second of the two is a name: it is the other way round")


# What each of eight settings is good for, on validation and on the test: best on the one (see _hits), best on the
# other, best on both together, worst; where the test lists the first, and best in most episodes; best in one;
# lowest loss; highest median.
LEAN = np.array([(0, -3), (-3, 2), (0, 1), (-5, 0), (-3, -1), (-2, -1), (-2, -1), (1, -3)])


def _grid(rng, val, test, queries, ways):
    """Scores of a grid of settings: each way of choosing one chooses another, and the test lists them otherwise."""
    settings = [f"α = {alpha}, {steps} steps" for alpha in (0.3, 1, 3, 10) for steps in (3, 10)]
    names, listed = (list(map(str, rng.permutation(settings))) for _ in range(2))
    other = listed.index(names[4])
    listed[0], listed[other] = listed[other], listed[0]
    hits, order = _hits(rng, val, test, queries), rng.permutation(8)
    out = []
    for shown, there in ((names, hits[:, :val]), (listed, hits[:, val:])):
        labels = rng.integers(ways, size=(there.shape[1], queries))
        scores = [_scores_with(rng, count, labels, ways) for count in there]
        scores = {name: (1 if i == 6 else 30) * scores[i] for i, name in enumerate(names)}
        out += [{shown[i]: scores[shown[i]] for i in order}, labels]
    return tuple(out)


def _hits(rng, val, test, queries):
    """Right answers (settings, episodes) with the roles of LEAN."""
    place = np.arange(val + test)
    while True:
        lean = np.repeat(LEAN, (val, test), axis=1) + rng.integers(-1, 2, (8, val + test))
        lean[0] += 7 * (place < 2)  # very good in some episodes: the highest mean, and no other
        lean[4] += 7 * ((place >= 2) & (place < 2 + val // 2))
        hits = np.clip(queries // 2 + lean, 1, queries - 1)
        hits[5, rng.integers(val)] = queries  # no error
        if _choices(hits, val) == [0, 1, 2, 5, 3, 7, 4]:
            hits[:, :val] = hits[:, rng.permutation(val)]
            return hits


def _choices(hits, val):
    """Which is best on validation, test, both, in one episode, the worst, by median, by wins; [] if not clear."""
    means = [part.mean(axis=1) for part in (hits[:, :val], hits[:, val:], hits)]
    top = hits[:, :val] == hits[:, :val].max(axis=0)
    wins, alone = top.sum(axis=1), (top & (top.sum(axis=0) == 1)).sum(axis=1)
    best = [*means, hits[:, :val].max(axis=1), -means[0], np.median(hits[:, :val], axis=1), wins]
    steady = means[0] - hits[:, :val].std(axis=1)
    clear = all(np.sum(values > values.max() - 1e-9) == 1 for values in best)
    apart = steady.argmax() != means[0].argmax()
    apart &= alone.max() > np.sort(wins)[-2]  # however a win that is shared is counted
    return [int(values.argmax()) for values in best] if clear and apart else []


def _scores_with(rng, hits, labels, ways):
    """Scores (episodes, queries, ways) with so many right answers in each episode."""
    order = rng.random(labels.shape).argsort(axis=1)
    wrong = (labels + rng.integers(1, ways, labels.shape)) % ways
    winner = np.where(order < hits[:, None], labels, wrong)[..., None]
    scores = rng.normal(0, 1, (*labels.shape, ways))
    np.put_along_axis(scores, winner, scores.max(axis=2, keepdims=True) + 0.2, axis=2)
    return scores


def _right(scores, labels):
    return (scores.argmax(axis=2) == labels).mean(axis=1)


def _tuned(val_scores, val_labels, test_scores, test_labels):
    means = {name: _right(scores, val_labels).mean() for name, scores in val_scores.items()}
    best = max(means, key=means.get)
    return best, _right(test_scores[best], test_labels)


def _entropy(scores, labels):
    p = np.take_along_axis(_softmax(scores, axis=2), labels[..., None], axis=2)
    return -float(np.log(np.maximum(p, 1e-300)).mean())


def _wrong_choices(val_scores, val_labels, test_scores, test_labels):
    best, right = _tuned(val_scores, val_labels, test_scores, test_labels)
    val = {name: _right(scores, val_labels) for name, scores in val_scores.items()}
    test = {name: _right(test_scores[name], test_labels) for name in val}
    means = {name: values.mean() for name, values in val.items()}
    by = lambda key: (name := max(val, key=key), test[name])
    place = list(test_scores)[list(val_scores).index(best)]
    both = lambda name: np.concatenate([val[name], test[name]]).mean()
    entropy = lambda name: -_entropy(val_scores[name], val_labels)
    return {
        "the setting is chosen on the test domains: the baseline has seen what should only judge it": by(
            lambda name: test[name].mean()
        ),
        "the setting is chosen on validation and test together: the test is there to judge alone": (
            by(both)
        ),
        "each test episode has the setting that is best there: nobody could choose so without the answers": (
            best,
            np.max(list(test.values()), axis=0),
        ),
        "these are the accuracies of the validation episodes, where the best of many settings looks too good: give "
        "those of the test": (best, val[best]),
        "the setting is the one with the lowest cross-entropy: the highest accuracy is asked for": by(
            entropy
        ),
        "the setting is the one that is best in some single episode: take the mean of the validation episodes": by(
            lambda name: val[name].max()
        ),
        "the setting is the one with the highest median on validation: the highest mean is asked for": by(
            lambda name: np.median(val[name])
        ),
        "the setting is the one that is best in most validation episodes: the highest mean is asked for": by(
            lambda name: (val[name] == np.max(list(val.values()), axis=0)).sum()
        ),
        "the setting is the worst one on validation": by(lambda name: -means[name]),
        "the test lists the settings in another order: the accuracies are those of the one in the same place": (
            best,
            test[place],
        ),
        "the test lists the settings in another order: the name is that of the one in the same place": (
            place,
            test[place],
        ),
        "this is the mean: the accuracy in each test episode is asked for, so that it can be compared": (
            best,
            float(right.mean()),
        ),
        "these are the numbers of right answers: divide by the number of queries": (
            best,
            np.rint(right * test_labels.shape[1]).astype(int),
        ),
        "the accuracies are averaged over the settings: give those of the one that was chosen": (
            best,
            np.mean(list(test.values()), axis=0),
        ),
        "these are per cent: the share of the right ones is asked for": (best, 100 * right),
        "these are the answers that are wrong: the share of the right ones is asked for": (
            best,
            1 - right,
        ),
    }


# ------------------------------------------------------------------ 14.6


@exercise("14.paired_table", points=3, minutes=8, difficulty=2)
def paired_table(answer, rng):
    """A table that compares"""
    for kinds, baseline in draw(rng, kinds=(2, 3), baseline=["centroid", "mean", "raw"]):
        runs = _runs(rng, kinds, baseline)
        right = _table(runs, baseline)
        expect(_in_pairs(answer(runs, baseline)), right, partial(_wrong_tables, runs, baseline))


def _in_pairs(table):
    """The table with pairs that are arrays as tuples; anything else as it is."""
    if isinstance(table, dict):
        return {key: _in_pairs(value) for key, value in table.items()}
    if isinstance(table, np.ndarray) and table.shape == (2,) and table.dtype.kind in "iuf":
        return tuple(table.tolist())
    return table


def _runs(rng, kinds, baseline):
    """Methods on the same hard and easy episodes, in orders of their own; the second breaks off early."""
    runs = {}
    for kind in ["5-way 1-shot", "5-way 5-shot", "10-way 1-shot"][:kinds]:
        count = int(rng.integers(14, 20))
        numbers = rng.permutation(count + 8)[:count]  # small enough for places, too
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


def _wrong_tables(runs, baseline):
    kinds = _wrong_rows, _unmatched, _unpaired, _wrong_units_of
    return {text: value for kind in kinds for text, value in kind(runs, baseline).items()}


def _unpaired(runs, baseline):
    """Intervals from two variances, as if the episodes were others: in each way in which they are computed."""
    wrong, words = (
        {},
        "the interval is from two variances, as for other episodes: take that of the differences",
    )
    middles = {
        "": lambda run, base: _minus(run, base).mean(),
        "; and the difference is of two means, each over its own episodes": lambda run, base: (
            run[1].mean() - base[1].mean()
        ),
    }
    over = {
        "of the shared episodes": _shared,
        "of all episodes of each": lambda run, base: (run[1], base[1]),
    }
    roots = {
        "": lambda values, shared: len(values),
        ", not divided by a number of episodes": lambda values, shared: 1,
        ", divided by the number of the shared ones": lambda values, shared: shared,
    }
    for (where, middle), (of, both), (by, count), ddof in itertools.product(
        middles.items(), over.items(), roots.items(), (1, 0)
    ):
        if both is _shared and by.endswith("ones"):
            continue  # the same as the first

        def of_two(run, base, middle=middle, both=both, count=count, ddof=ddof):
            shared = len(_minus(run, base))
            square = sum(v.var(ddof=ddof) / count(v, shared) for v in both(run, base))
            return float(middle(run, base)), 1.96 * float(np.sqrt(square))

        how = f" ({of}{by}{'' if ddof else ', with ddof=0'}{where})"
        wrong[words + how] = _each(runs, baseline, of_two)
    return wrong


def _wrong_units_of(runs, baseline):
    """The right numbers in another unit, or in another place."""
    right = _table(runs, baseline)
    names = dict.fromkeys(name for row in right.values() for name in row)
    return {
        "these are per cent: differences of shares are asked for": _each(
            runs, baseline, lambda run, base: _stats(100 * _minus(run, base))
        ),
        "the table is the other way round: first the kinds, then the methods": {
            name: {kind: row[name] for kind, row in right.items() if name in row} for name in names
        },
    }


def _wrong_rows(runs, baseline):
    right = _table(runs, baseline)
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
            runs, baseline, lambda run, base: _rooted(run, base, len(run[0]))
        ),
        "the root is taken of the number of all episodes of the baseline: only the shared ones count": _each(
            runs, baseline, lambda run, base: _rooted(run, base, len(base[0]))
        ),
        "the difference of two means, each over its own episodes: only those that both have can be compared": _each(
            runs,
            baseline,
            lambda run, base: (run[1].mean() - base[1].mean(), _stats(_minus(run, base))[1]),
        ),
        "the standard error is that of the method's accuracies: take that of the differences": _each(
            runs,
            baseline,
            lambda run, base: (_stats(_minus(run, base))[0], _stats(_shared(run, base)[0])[1]),
        ),
        "these are the methods' own accuracies: their differences from the baseline are asked for": _each(
            runs, baseline, lambda run, base: _stats(run[1])
        ),
        "difference and half width are swapped": _each(
            runs, baseline, lambda run, base: _stats(_minus(run, base))[::-1]
        ),
        "these are the two ends of the interval: its middle and half its width are asked for": _each(
            runs,
            baseline,
            lambda run, base: (lambda mean, half: (mean - half, mean + half))(
                *_stats(_minus(run, base))
            ),
        ),
        "this is the whole width of the interval: half of it is asked for": _table(
            runs, baseline, factor=2 * 1.96
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


def _rooted(run, base, count):
    minus = _minus(run, base)
    return float(minus.mean()), 1.96 * float(minus.std(ddof=1) / np.sqrt(count))


def _unmatched(runs, baseline):
    """Differences of other episodes: in the order of the runs, or with a number taken for a place."""
    cut = lambda ours, theirs: (n := min(len(ours), len(theirs)), ours[:n] - theirs[:n])[1]
    ordered = lambda run: run[1][np.argsort(run[0])]
    made = lambda minus: _each(runs, baseline, lambda run, base: _stats(minus(run, base)))

    def by_number(run, base):
        pairs = zip(run[0].tolist(), run[1].tolist(), strict=True)
        return [a - base[1][e] for e, a in pairs if e < len(base[1])]

    return {
        "the episodes are compared place by place: the runs list them in different orders, so match them": made(
            lambda run, base: cut(run[1], base[1])
        ),
        "both are sorted by number, but the numbers are not the same ones: match them": made(
            lambda run, base: cut(ordered(run), ordered(base))
        ),
        "the shared episodes are compared place by place: each run lists them in an order of its own": made(
            lambda run, base: run[1][np.isin(run[0], base[0])] - base[1][np.isin(base[0], run[0])]
        ),
        "an episode's number is taken for its place in the baseline's run: look where the run lists it": made(
            by_number
        ),
    }


def _only(run, episodes):
    keep = np.isin(run[0], list(episodes))
    return run[0][keep], run[1][keep]
