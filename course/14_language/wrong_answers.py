"""Wrong answers that a learner of chapter 14 might give, and what each is told; then unusual right ones."""

import hashlib
import zlib
from collections import Counter

import numpy as np

from maml_edu.checks.exercise import right_answer, wrong_answer
from maml_edu.tasks import hashed_ngrams

# ------------------------------------------------------------------ 14.1


def _crc(group):
    return zlib.crc32(group.encode("utf-8"))


def _sign(code):
    return 1 if code >= 2**31 else -1


def _of_word(word, lengths):
    return [word[i : i + n] for n in lengths for i in range(len(word) - n + 1)]


def _groups(text, lengths, before=" ", after=" ", fold=str.casefold):
    return [g for w in fold(text).split() for g in _of_word(before + w + after, lengths)]


def _length_one(counts):
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    return counts / np.where(norms == 0, 1, norms)


def _counted(texts, size, groups_of, code=_crc, sign=_sign):
    counts = np.zeros((len(texts), size))
    for row, text in zip(counts, texts, strict=True):
        for group in groups_of(text):
            row[code(group) % size] += sign(code(group))
    return counts


@wrong_answer("14.letter_counts", says="Python's hash() gives other numbers in each new process")
def pythons_hash(texts, size, lengths):
    code = lambda group: hash(group) % 2**32
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths), code))


@wrong_answer("14.letter_counts", says="the words have no borders")
def no_borders(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths, "", "")))


@wrong_answer("14.letter_counts", says="the last group of each word is missing")
def a_border_in_front(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths, " ", "")))


@wrong_answer("14.letter_counts", says="with a border at each end")
def across_words(texts, size, lengths):
    whole = lambda t: _of_word(" " + " ".join(t.casefold().split()) + " ", lengths)
    return _length_one(_counted(texts, size, whole))


@wrong_answer("14.letter_counts", says="the text is not case-folded")
def capitals_count(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths, fold=str)))


@wrong_answer("14.letter_counts", says="lower() leaves letters such as ß")
def lower_case(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths, fold=str.lower)))


@wrong_answer("14.letter_counts", says="the sign is missing")
def without_a_sign(texts, size, lengths):
    groups_of = lambda t: _groups(t, lengths)
    return _length_one(_counted(texts, size, groups_of, sign=lambda code: 1))


@wrong_answer("14.letter_counts", says="the sign is taken from the lowest bit")
def sign_of_the_lowest_bit(texts, size, lengths):
    groups_of, sign = lambda t: _groups(t, lengths), lambda code: 1 if code % 2 else -1
    return _length_one(_counted(texts, size, groups_of, sign=sign))


@wrong_answer("14.letter_counts", says="do not have length 1")
def raw_counts(texts, size, lengths):
    return _counted(texts, size, lambda t: _groups(t, lengths))


@wrong_answer("14.letter_counts", says="divided by the sum of their sizes")
def shares(texts, size, lengths):
    counts = raw_counts(texts, size, lengths)
    sums = np.abs(counts).sum(axis=1, keepdims=True)
    return counts / np.where(sums == 0, 1, sums)


@wrong_answer("14.letter_counts", says="this counts it once")
def each_group_once(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: set(_groups(t, lengths))))


@wrong_answer("14.letter_counts", says="a row of zeros stays one")
def nothing_by_nothing(texts, size, lengths):
    counts = raw_counts(texts, size, lengths)
    with np.errstate(all="ignore"):
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@wrong_answer("14.letter_counts", says="the same for all orders of the letters")
def sum_of_letters(texts, size, lengths):
    code = lambda group: sum(map(ord, group))
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths), code))


@wrong_answer("14.letter_counts", says="the text is not split into words")
def groups_of_the_text(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _of_word(t.casefold(), lengths)))


@wrong_answer("14.letter_counts", says="makes an empty word of two spaces in a row")
def split_at_each_space(texts, size, lengths):
    def groups_of(text):
        return [g for w in text.casefold().split(" ") for g in _of_word(f" {w} ", lengths)]

    return _length_one(_counted(texts, size, groups_of))


@wrong_answer("14.letter_counts", says="take those in lengths alone")
def lengths_between(texts, size, lengths):
    every = range(min(lengths), max(lengths) + 1)
    return _length_one(_counted(texts, size, lambda t: _groups(t, every)))


@wrong_answer("14.letter_counts", says="shorter groups at the end of a word")
def ends_too_short(texts, size, lengths):
    def groups_of(text):
        words = (f" {word} " for word in text.casefold().split())
        return [w[i : i + n] for w in words for n in lengths for i in range(len(w))]

    return _length_one(_counted(texts, size, groups_of))


@wrong_answer("14.letter_counts", says="divided by the sum of squares")
def without_the_root(texts, size, lengths):
    counts = raw_counts(texts, size, lengths)
    squares = (counts**2).sum(axis=1, keepdims=True)
    return counts / np.where(squares == 0, 1, squares)


@wrong_answer("14.letter_counts", says="each bin once; np.add.at adds all")
def indexed_plus(texts, size, lengths):
    counts = np.zeros((len(texts), size))
    for row, text in zip(counts, texts, strict=True):
        codes = np.array([_crc(group) for group in _groups(text, lengths)], np.int64)
        row[codes % size] += np.where(codes >= 2**31, 1, -1)
    return _length_one(counts)


@wrong_answer("14.letter_counts", says="in other bins than those of zlib.crc32")
def another_hash(texts, size, lengths):
    code = lambda group: int(hashlib.md5(group.encode()).hexdigest()[:8], 16)
    return _length_one(_counted(texts, size, lambda t: _groups(t, lengths), code))


@wrong_answer("14.letter_counts", says="the ends have no borders)")
def joined_by_spaces(texts, size, lengths):
    whole = lambda t: _of_word(" ".join(t.casefold().split()), lengths)
    return _length_one(_counted(texts, size, whole))


@wrong_answer("14.letter_counts", says="the borders of all words are in one string")
def borders_in_one_string(texts, size, lengths):
    whole = lambda t: _of_word("".join(f" {w} " for w in t.casefold().split()), lengths)
    return _length_one(_counted(texts, size, whole))


@wrong_answer("14.letter_counts", says="joined without a space")
def without_spaces(texts, size, lengths):
    whole = lambda t: _of_word("".join(t.casefold().split()), lengths)
    return _length_one(_counted(texts, size, whole))


@wrong_answer("14.letter_counts", says="one border for the whole text")
def a_border_around_the_text(texts, size, lengths):
    return _length_one(_counted(texts, size, lambda t: _of_word(f" {t.casefold()} ", lengths)))


@wrong_answer("14.letter_counts", says="a group that occurs twice in a word")
def once_in_each_word(texts, size, lengths):
    words = lambda t: t.casefold().split()
    groups_of = lambda t: [g for w in words(t) for g in set(_of_word(f" {w} ", lengths))]
    return _length_one(_counted(texts, size, groups_of))


@wrong_answer("14.letter_counts", says="a word that occurs twice in a text")
def each_word_once(texts, size, lengths):
    groups_of = lambda t: [
        g for w in set(t.casefold().split()) for g in _of_word(f" {w} ", lengths)
    ]
    return _length_one(_counted(texts, size, groups_of))


@wrong_answer("14.letter_counts", says="each bin is +1, −1 or 0")
def signs_alone(texts, size, lengths):
    return _length_one(np.sign(raw_counts(texts, size, lengths)))


def _unit_words(text, size, lengths):
    return _length_one(raw_counts(text.casefold().split(), size, lengths)).sum(axis=0)


@wrong_answer("14.letter_counts", says="and they add up: scale the sum")
def words_of_length_1(texts, size, lengths):
    return np.array([_unit_words(text, size, lengths) for text in texts])


@wrong_answer("14.letter_counts", says="only the sum is to be scaled")
def words_scaled_first(texts, size, lengths):
    return _length_one(np.array([_unit_words(text, size, lengths) for text in texts]))


@wrong_answer("14.letter_counts", says="the columns have length 1")
def columns_of_length_1(texts, size, lengths):
    return _length_one(raw_counts(texts, size, lengths).T).T


@wrong_answer("14.letter_counts", says="the columns are scaled, and one of zeros")
def columns_by_nothing(texts, size, lengths):
    counts = raw_counts(texts, size, lengths)
    with np.errstate(all="ignore"):
        return counts / np.linalg.norm(counts, axis=0)


@right_answer("14.letter_counts", why="the library's own function, which the lesson uses")
def by_the_library(texts, size, lengths):
    return hashed_ngrams(texts, size, lengths)


@right_answer("14.letter_counts", why="the hash as a signed number of 32 bits; an array of int32")
def signed_hash(texts, size, lengths):
    rows = []
    for text in texts:
        groups = [g for w in f" {text} ".casefold().split() for g in _of_word(f" {w} ", lengths)]
        codes = np.array([_crc(group) for group in groups], np.uint32)
        signs = np.where(codes.view(np.int32) < 0, 1, -1)
        rows.append(np.bincount(codes % size, signs, size) if groups else np.zeros(size))
    return [row / max(np.sqrt(row @ row), 1e-12) for row in rows]


@right_answer("14.letter_counts", why="counts groups first, adds them up by np.add.at, in float32")
def by_counter(texts, size, lengths):
    counts = np.zeros((len(texts), size), np.float32)
    for row, text in zip(counts, texts, strict=True):
        found = Counter(_groups(text, lengths))
        codes = np.array([_crc(group) for group in found], np.int64)
        signed = np.array(list(found.values())) * np.where(codes >> 31 == 1, 1, -1)
        np.add.at(row, codes % size, signed)
    return _length_one(counts)


@right_answer("14.letter_counts", why="lengths outside, a list of lists")
def lengths_outside(texts, size, lengths):
    rows = []
    for text in texts:
        row = [0.0] * size
        for n in lengths:
            for word in text.casefold().split():
                for i in range(max(0, len(word) + 3 - n)):
                    code = _crc(f" {word} "[i : i + n])
                    row[code % size] += 2.0 * (code // 2**31) - 1
        norm = sum(v * v for v in row) ** 0.5
        rows.append([v / norm if norm else 0.0 for v in row])
    return np.array(rows)


@right_answer("14.letter_counts", why="one table of bins for each different word")
def by_word(texts, size, lengths):
    words = sorted({word for text in texts for word in text.casefold().split()})
    table = _counted(words, size, lambda word: _groups(word, lengths))
    place = {word: i for i, word in enumerate(words)}
    which = np.zeros((len(texts), len(words)))
    for row, text in zip(which, texts, strict=True):
        for word in text.casefold().split():
            row[place[word]] += 1
    return _length_one(which @ table)


# ------------------------------------------------------------------ 14.2


def _shuffled(names, seed):
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _by(labels, test, val, train):
    parts = {"train": set(train), "val": set(val), "test": set(test)}
    return {k: [i for i, label in enumerate(labels) if label in v] for k, v in parts.items()}


def _cut(labels, order, test, val):
    return _by(labels, order[:test], order[test : test + val], order[test + val :])


@wrong_answer("14.hold_out_domains", says="this holds out intents")
def whole_intents(domains, intents, test, val, seed):
    return _cut(intents, _shuffled(sorted(set(intents)), seed), test, val)


@wrong_answer("14.hold_out_domains", says="this holds out single sentences")
def single_sentences(domains, intents, test, val, seed):
    order = np.random.default_rng(seed).permutation(len(domains))
    return {
        "train": np.sort(order[test + val :]),
        "val": np.sort(order[test : test + val]),
        "test": np.sort(order[:test]),
    }


@wrong_answer("14.hold_out_domains", says="nothing is shuffled")
def by_the_alphabet(domains, intents, test, val, seed):
    return _cut(domains, sorted(set(domains)), test, val)


@wrong_answer("14.hold_out_domains", says="shuffled in the order of the file")
def in_the_file_s_order(domains, intents, test, val, seed):
    return _cut(domains, _shuffled(list(dict.fromkeys(domains)), seed), test, val)


@wrong_answer("14.hold_out_domains", says="it is the other way round")
def validation_first(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[val : val + test], order[:val], order[val + test :])


@wrong_answer("14.hold_out_domains", says="the last names of the shuffled ones")
def from_the_end(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    train, held = order[: -test - val], order[-test - val :]
    return _by(domains, held[val:], held[:val], train)


@wrong_answer("14.hold_out_domains", says="validation and test have domains in common")
def chosen_on_the_test(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[:val], order[max(test, val) :])


@wrong_answer("14.hold_out_domains", says="the validation domains are in training as well")
def validation_in_training(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[test : test + val], order[test:])


@wrong_answer("14.hold_out_domains", says="the held-out domains are all in training as well")
def everything_in_training(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[test : test + val], order)


@wrong_answer("14.hold_out_domains", says="these are the names of the domains")
def names_of_domains(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    parts = {"train": order[test + val :], "val": order[test : test + val], "test": order[:test]}
    return {split: sorted(names) for split, names in parts.items()}


@wrong_answer("14.hold_out_domains", says="the seed is not used")
def always_seed_0(domains, intents, test, val, seed):
    return _cut(domains, _shuffled(sorted(set(domains)), 0), test, val)


@wrong_answer("14.hold_out_domains", says="in the order of the shuffled domains")
def domain_after_domain(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    numbers = lambda names: [i for name in names for i, d in enumerate(domains) if d == name]
    return {
        "train": numbers(order[test + val :]),
        "val": numbers(order[test : test + val]),
        "test": numbers(order[:test]),
    }


@wrong_answer("14.hold_out_domains", says="but others than the recipe gives")
def order_of_a_set(domains, intents, test, val, seed):
    by_chance = sorted(set(domains), key=lambda name: zlib.crc32(name.encode()))
    return _cut(domains, _shuffled(by_chance, seed), test, val)


@wrong_answer("14.hold_out_domains", says="the test domains are in training as well")
def test_in_training(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    val_names = order[test : test + val]
    return _by(domains, order[:test], val_names, [name for name in order if name not in val_names])


@wrong_answer("14.hold_out_domains", says="masks of True and False")
def masks(domains, intents, test, val, seed):
    parts = _cut(domains, _shuffled(sorted(set(domains)), seed), test, val)
    return {split: np.isin(np.arange(len(domains)), part) for split, part in parts.items()}


@wrong_answer("14.hold_out_domains", says="this is the older generator")
def older_generator(domains, intents, test, val, seed):
    names, rng = sorted(set(domains)), np.random.RandomState(seed)
    return _cut(domains, [names[i] for i in rng.permutation(len(names))], test, val)


@wrong_answer("14.hold_out_domains", says="they count intents of each domain")
def some_intents_of_each(domains, intents, test, val, seed):
    rng, order = np.random.default_rng(seed), {"test": [], "val": [], "train": []}
    for domain in sorted(set(domains)):
        there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
        there = [there[i] for i in rng.permutation(len(there))]
        order["test"] += there[:test]
        order["val"] += there[test : test + val]
        order["train"] += there[test + val :]
    return _by(intents, order["test"], order["val"], order["train"])


@wrong_answer("14.hold_out_domains", says="and training begins after test + val names")
def validation_overlaps(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[:val], order[test + val :])


@wrong_answer("14.hold_out_domains", says="it ends at test + val")
def validation_too_short(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[test:val], order[max(test, val) :])


@wrong_answer(
    "14.hold_out_domains", says="it ends at test + val; and training begins after test + val"
)
def validation_too_short_alone(domains, intents, test, val, seed):
    order = _shuffled(sorted(set(domains)), seed)
    return _by(domains, order[:test], order[test:val], order[test + val :])


@wrong_answer("14.hold_out_domains", says="the domains: return the numbers")
def a_name_for_each_sentence(domains, intents, test, val, seed):
    parts = _cut(domains, _shuffled(sorted(set(domains)), seed), test, val)
    return {split: np.array([domains[i] for i in part]) for split, part in parts.items()}


@wrong_answer("14.hold_out_domains", says="these are the names of the intents")
def names_of_intents(domains, intents, test, val, seed):
    parts = _cut(domains, _shuffled(sorted(set(domains)), seed), test, val)
    return {split: [intents[i] for i in part] for split, part in parts.items()}


@wrong_answer("14.hold_out_domains", says="these are numbers of domains")
def numbers_of_domains(domains, intents, test, val, seed):
    order = np.random.default_rng(seed).permutation(len(set(domains)))
    return {
        "train": order[test + val :],
        "val": order[test : test + val],
        "test": order[:test],
    }


@wrong_answer("14.hold_out_domains", says="numbered from 1")
def counted_from_1(domains, intents, test, val, seed):
    parts = _cut(domains, _shuffled(sorted(set(domains)), seed), test, val)
    return {split: [i + 1 for i in part] for split, part in parts.items()}


@wrong_answer("14.hold_out_domains", says="as often as it has sentences: take set()")
def without_a_set(domains, intents, test, val, seed):
    return _cut(domains, _shuffled(sorted(domains), seed), test, val)


@wrong_answer("14.hold_out_domains", says="Training has what is left")
def without_a_set_and_the_rest(domains, intents, test, val, seed):
    order = _shuffled(sorted(domains), seed)
    held = order[: test + val]
    return _by(domains, held[:test], held[test:], set(domains) - set(held))


@wrong_answer("14.hold_out_domains", says="The last part of a name counts")
def without_a_set_the_last(domains, intents, test, val, seed):
    split_of = {}
    for place, name in enumerate(_shuffled(sorted(domains), seed)):
        split_of[name] = "test" if place < test else "val" if place < test + val else "train"
    parts = {"train": [], "val": [], "test": []}
    for number, domain in enumerate(domains):
        parts[split_of[domain]].append(number)
    return parts


@wrong_answer("14.hold_out_domains", says="The first part of a name counts")
def without_a_set_the_first(domains, intents, test, val, seed):
    order = _shuffled(sorted(domains), seed)
    first = {name: order.index(name) for name in domains}
    val_names = {name for name, place in first.items() if test <= place < test + val}
    train = {name for name, place in first.items() if place >= test + val}
    return _by(domains, set(order[:test]), val_names, train)


@right_answer("14.hold_out_domains", why="shuffles a list in place, which gives the same order")
def shuffled_in_place(domains, intents, test, val, seed):
    names = sorted(set(domains))
    np.random.default_rng(seed).shuffle(names)
    return _cut(domains, names, test, val)


@right_answer("14.hold_out_domains", why="np.unique and a rank for each domain; arrays")
def by_ranks(domains, intents, test, val, seed):
    names, which = np.unique(domains, return_inverse=True)
    rank = np.empty(len(names), int)
    rank[np.random.default_rng(seed).permutation(len(names))] = np.arange(len(names))
    part = np.digitize(rank[which], [test, test + val])  # 0 test, 1 val, 2 train
    return {s: np.flatnonzero(part == p) for p, s in enumerate(("test", "val", "train"))}


@right_answer("14.hold_out_domains", why="shuffles the names themselves")
def permutation_of_names(domains, intents, test, val, seed):
    order = list(np.random.default_rng(seed).permutation(sorted(set(domains))))
    return _cut(domains, order, test, val)


@right_answer("14.hold_out_domains", why="takes names from the front, one by one")
def one_by_one(domains, intents, test, val, seed):
    queue = _shuffled(sorted(set(domains)), seed)
    parts = {"train": [], "val": [], "test": []}
    for place, name in enumerate(queue):
        split = ("test", "val", "train")[(place >= test) + (place >= test + val)]
        parts[split].extend(i for i, d in enumerate(domains) if d == name)
    return {split: tuple(sorted(numbers)) for split, numbers in parts.items()}


# ------------------------------------------------------------------ 14.3


def _same(text):
    return " ".join(text.casefold().split())


def _pool(texts, intents, key=_same, both=True, copies=False):
    """Intent → numbers of its sentences, each `key` once (or not: copies), those of two intents left out (both)."""
    stands_in, numbers = {}, {}
    for text, intent in zip(texts, intents, strict=True):
        stands_in.setdefault(key(text), set()).add(intent)
    for number, (text, intent) in enumerate(zip(texts, intents, strict=True)):
        if len(stands_in[key(text)]) == 1 or not both:
            name = number if copies else key(text)
            numbers.setdefault(intent, {}).setdefault(name, number)
    return {intent: list(found.values()) for intent, found in numbers.items()}


def _drawn(pool, domains, intents, ways, shots, queries, rng, one_domain=True, replace=False):
    domain = rng.choice(sorted(set(domains)))
    there = sorted(
        {i for i, d in zip(intents, domains, strict=True) if d == domain or not one_domain}
    )
    support, query = [], []
    for intent in rng.choice(there, ways, replace=replace):
        order = rng.permutation(pool[intent])
        support.append(order[:shots])
        query.append(order[shots : shots + queries])
    return _out(support, query, ways, shots, queries)


def _out(support, query, ways, shots, queries):
    k = np.arange(ways)
    return (
        np.concatenate(support),
        np.repeat(k, shots),
        np.concatenate(query),
        np.repeat(k, queries),
    )


@wrong_answer("14.episode_of_text", says="a sentence is drawn twice")
def with_copies(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents, copies=True)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="with other capitals or spaces")
def copies_letter_by_letter(texts, domains, intents, ways, shots, queries, seed):
    ambiguous = {_same(t) for t in texts} - {
        _same(texts[i]) for found in _pool(texts, intents).values() for i in found
    }
    pool = _pool(texts, intents, key=str, both=False)
    pool = {k: [i for i in v if _same(texts[i]) not in ambiguous] for k, v in pool.items()}
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="stands in two intents")
def in_two_intents(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents, both=False)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="come from several domains")
def from_all_domains(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    return _drawn(pool, domains, intents, ways, shots, queries, rng, one_domain=False)


@wrong_answer("14.episode_of_text", says="two classes are the same intent")
def an_intent_twice(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    return _drawn(pool, domains, intents, ways, shots, queries, rng, replace=True)


@wrong_answer("14.episode_of_text", says="a query is in the support set")
def two_draws(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    chosen = rng.choice(there, ways, replace=False)
    support = [rng.choice(pool[i], shots, replace=False) for i in chosen]
    query = [rng.choice(pool[i], queries, replace=False) for i in chosen]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="the seed is ignored")
def a_seed_of_its_own(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(0))


@wrong_answer("14.episode_of_text", says="the same seed gives two different episodes")
def without_a_seed(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng())


@wrong_answer("14.episode_of_text", says="come in the order of the file")
def the_first_sentences(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    chosen = rng.choice(there, ways, replace=False)
    support = [pool[i][:shots] for i in chosen]
    query = [pool[i][shots : shots + queries] for i in chosen]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="class 0 always comes first in the alphabet")
def sorted_intents(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    orders = [rng.permutation(pool[i]) for i in sorted(rng.choice(there, ways, replace=False))]
    support = [order[:shots] for order in orders]
    query = [order[shots : shots + queries] for order in orders]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="not 0, …, ways − 1")
def labels_of_the_domain(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents)
    s, sy, q, qy = _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))
    return s, sy + 1, q, qy + 1


@wrong_answer("14.episode_of_text", says="the domain is the same in all episodes")
def the_first_domain(texts, domains, intents, ways, shots, queries, seed):
    pool, first = _pool(texts, intents), [min(domains)] * len(domains)
    keep = [i for i, d in enumerate(domains) if d == first[0]]
    only = [intents[i] for i in keep]
    args = ([first[0]] * len(keep), only, ways, shots, queries)
    return _drawn(pool, *args, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="lower() leaves letters such as ß")
def with_lower(texts, domains, intents, ways, shots, queries, seed):
    key = lambda text: " ".join(text.lower().split())
    pool = _pool(texts, intents, key=key)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="Of several copies of a sentence, one stays")
def no_copy_at_all(texts, domains, intents, ways, shots, queries, seed):
    times = Counter(map(_same, texts))
    alone = [i for i, text in enumerate(texts) if times[_same(text)] == 1]
    pool = {intent: [i for i in alone if intents[i] == intent] for intent in intents}
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="the same intents in all episodes")
def the_first_intents(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})[:ways]
    orders = [rng.permutation(pool[i]) for i in rng.permutation(there)]
    support = [order[:shots] for order in orders]
    query = [order[shots : shots + queries] for order in orders]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="the same support sentences in all episodes")
def fixed_support(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    chosen = rng.choice(there, ways, replace=False)
    support = [pool[i][:shots] for i in chosen]
    query = [rng.permutation(pool[i][shots:])[:queries] for i in chosen]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="and a sentence that stands in two intents is drawn")
def nothing_is_cleaned(texts, domains, intents, ways, shots, queries, seed):
    pool = _pool(texts, intents, both=False, copies=True)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


def _from_order(pool, chosen, orders, ways, shots, queries):
    """The episode of the chosen intents, whose sentences come in the order of `orders`."""
    drawn = [[pool[intent][j] for j in order] for intent, order in zip(chosen, orders, strict=True)]
    support = [found[:shots] for found in drawn]
    return _out(support, [found[shots : shots + queries] for found in drawn], ways, shots, queries)


def _intents_of(domain, domains, intents, order=sorted):
    return order(dict.fromkeys(i for i, d in zip(intents, domains, strict=True) if d == domain))


def _each_permuted(pool, chosen, rng):
    return [rng.permutation(len(pool[intent])) for intent in chosen]


@wrong_answer("14.episode_of_text", says="does a set's order decide, or hash()?")
def intents_of_a_set(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = list(_intents_of(rng.choice(sorted(set(domains))), domains, intents, set))
    chosen = rng.choice(there, ways, replace=False)
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="or hash()? Both differ in each new process")
def domains_of_a_set(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(list(set(domains))), domains, intents)
    chosen = rng.choice(there, ways, replace=False)
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="Sort the names before you draw")
def sentences_of_a_set(texts, domains, intents, ways, shots, queries, seed):
    first = {}
    for number, text in enumerate(texts):
        first.setdefault(_same(text), number)
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    pool = {
        intent: [first[key] for key in {_same(texts[i]) for i in pool[intent]}] for intent in pool
    }
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents)
    chosen = rng.choice(there, ways, replace=False)
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="To shuffle the first ones is not enough")
def first_ones_shuffled(texts, domains, intents, ways, shots, queries, seed):
    pool = {intent: found[: shots + queries] for intent, found in _pool(texts, intents).items()}
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="some sentences are never drawn")
def not_the_last_sentence(texts, domains, intents, ways, shots, queries, seed):
    pool = {intent: found[:-1] for intent, found in _pool(texts, intents).items()}
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng(seed))


@wrong_answer("14.episode_of_text", says="some domain is never drawn")
def not_the_last_domain(texts, domains, intents, ways, shots, queries, seed):
    pool, rng, names = _pool(texts, intents), np.random.default_rng(seed), sorted(set(domains))
    there = _intents_of(names[rng.integers(len(names) - 1)], domains, intents)
    chosen = rng.choice(there, ways, replace=False)
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="some intent is never drawn")
def not_the_last_intent(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents)
    there = there[:-1] if len(there) > ways else there
    chosen = rng.choice(there, ways, replace=False)
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="some intents never meet in an episode")
def a_block_of_intents(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents)
    chosen = rng.permutation(np.roll(there, rng.integers(len(there)))[:ways])
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="a class number says something about the intent")
def intents_in_the_file_s_order(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents, list)
    chosen = [there[i] for i in sorted(rng.permutation(len(there))[:ways])]
    return _from_order(pool, chosen, _each_permuted(pool, chosen, rng), ways, shots, queries)


@wrong_answer("14.episode_of_text", says="make one generator, before the loop")
def seeded_for_each_intent(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents)
    chosen = rng.choice(there, ways, replace=False)
    orders = [np.random.default_rng(seed).permutation(len(pool[intent])) for intent in chosen]
    return _from_order(pool, chosen, orders, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="always in the same of the two sets")
def two_fixed_halves(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    there = _intents_of(rng.choice(sorted(set(domains))), domains, intents)
    chosen = rng.choice(there, ways, replace=False)
    support = [rng.permutation(pool[i][: shots + 1])[:shots] for i in chosen]
    query = [rng.permutation(pool[i][shots + 1 :])[:queries] for i in chosen]
    return _out(support, query, ways, shots, queries)


@wrong_answer("14.episode_of_text", says="not their texts")
def sentences_themselves(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    s, sy, q, qy = _drawn(pool, domains, intents, ways, shots, queries, rng)
    return [texts[i] for i in s], sy, [texts[i] for i in q], qy


@wrong_answer("14.episode_of_text", says="not the intents' names")
def names_for_classes(texts, domains, intents, ways, shots, queries, seed):
    pool, rng = _pool(texts, intents), np.random.default_rng(seed)
    s, _, q, _ = _drawn(pool, domains, intents, ways, shots, queries, rng)
    return s, np.array([intents[i] for i in s]), q, np.array([intents[i] for i in q])


@right_answer(
    "14.episode_of_text", why="draws pools with a generator seeded by a list, and keeps last copies"
)
def last_copies(texts, domains, intents, ways, shots, queries, seed):
    stands_in, last = {}, {}
    for number, (text, intent) in enumerate(zip(texts, intents, strict=True)):
        stands_in.setdefault(_same(text), set()).add(intent)
        last[_same(text)] = number
    pool = {}
    for key, number in last.items():
        if len(stands_in[key]) == 1:
            pool.setdefault(intents[number], []).append(number)
    return _drawn(pool, domains, intents, ways, shots, queries, np.random.default_rng([seed, 5]))


@right_answer("14.episode_of_text", why="Python's own generator, and lists")
def with_the_random_module(texts, domains, intents, ways, shots, queries, seed):
    import random

    rng, pool = random.Random(seed), _pool(texts, intents)
    domain = rng.choice(sorted(set(domains)))
    there = sorted({i for i, d in zip(intents, domains, strict=True) if d == domain})
    support, query = [], []
    for intent in rng.sample(there, ways):
        drawn = rng.sample(pool[intent], shots + queries)
        support += drawn[:shots]
        query += drawn[shots:]
    return (
        support,
        [k for k in range(ways) for _ in range(shots)],
        query,
        [k for k in range(ways) for _ in range(queries)],
    )


@right_answer("14.episode_of_text", why="shuffles all sentences once, then takes what fits")
def shuffled_once(texts, domains, intents, ways, shots, queries, seed):
    rng, pool = np.random.default_rng(seed), _pool(texts, intents)
    usable = {i for found in pool.values() for i in found}
    order = [i for i in rng.permutation(len(texts)) if i in usable]
    domain = domains[order[0]]
    chosen = list(dict.fromkeys(intents[i] for i in order if domains[i] == domain))[:ways]
    of = [[i for i in order if intents[i] == name] for name in chosen]
    support = [np.array(found[:shots]) for found in of]
    query = [np.array(found[shots : shots + queries]) for found in of]
    return _out(support, query, ways, shots, queries)


# ------------------------------------------------------------------ 14.4


def _softmax(scores, axis=1):
    p = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def _loop(
    gram, cross, labels, ways, alpha, penalty, steps, slope=None, b_slope=None, p_of=_softmax
):
    """The loop in A and b; `slope(error, a)` and `b_slope(error, b)` change it."""
    slope = slope or (lambda error, a: error + penalty * a)
    b_slope = b_slope or (lambda error, b: error.sum(axis=0))
    n, target = len(labels), np.eye(ways)[labels]
    a, b = np.zeros((n, ways)), np.zeros(ways)
    for _ in range(steps):
        error = (p_of(gram @ a + b) - target) / n
        a, b = a - alpha * slope(error, a), b - alpha * b_slope(error, b)
    return cross @ a + b


@wrong_answer("14.dual_scores", says="the penalty is missing")
def no_penalty(gram, cross, labels, ways, alpha, penalty, steps):
    return _loop(gram, cross, labels, ways, alpha, 0.0, steps)


@wrong_answer("14.dual_scores", says="it is on W alone")
def penalty_on_b(*case):
    penalty = case[5]
    return _loop(*case, b_slope=lambda error, b: error.sum(axis=0) + penalty * b)


@wrong_answer("14.dual_scores", says="not 2λW")
def twice_the_penalty(*case):
    penalty = case[5]
    return _loop(*case, slope=lambda error, a: error + 2 * penalty * a)


@wrong_answer("14.dual_scores", says="b is not learned")
def no_offset(*case):
    return _loop(*case, b_slope=lambda error, b: 0 * b)


@wrong_answer("14.dual_scores", says="the loss is a mean")
def summed(*case):
    n, penalty = len(case[2]), case[5]
    return _loop(
        *case,
        slope=lambda error, a: n * error + penalty * a,
        b_slope=lambda error, b: n * error.sum(axis=0),
    )


@wrong_answer("14.dual_scores", says="the softmax is over the sentences")
def softmax_over_sentences(*case):
    return _loop(*case, p_of=lambda scores: _softmax(scores, axis=0))


@wrong_answer("14.dual_scores", says="this is least squares")
def least_squares(*case):
    return _loop(*case, p_of=lambda scores: scores)


@wrong_answer("14.dual_scores", says="multiplied by gram once more")
def slope_of_a(*case):
    gram, penalty = case[0], case[5]
    return _loop(*case, slope=lambda error, a: gram @ error + penalty * (gram @ a))


@wrong_answer("14.dual_scores", says="its gradient with respect to A")
def penalty_through_gram(*case):
    gram, penalty = case[0], case[5]
    return _loop(*case, slope=lambda error, a: error + penalty * (gram @ a))


@wrong_answer("14.dual_scores", says="gram is not used")
def without_gram(gram, *rest):
    return _loop(np.eye(len(gram)), *rest)


@wrong_answer("14.dual_scores", says="one step too few")
def a_step_too_few(gram, cross, labels, ways, alpha, penalty, steps):
    return _loop(gram, cross, labels, ways, alpha, penalty, steps - 1)


@wrong_answer("14.dual_scores", says="this is one step, however many are asked for")
def one_step(gram, cross, labels, ways, alpha, penalty, steps):
    return _loop(gram, cross, labels, ways, alpha, penalty, 1)


@wrong_answer("14.dual_scores", says="the errors stay those of the first step")
def errors_of_the_start(gram, cross, labels, ways, alpha, penalty, steps):
    n = len(labels)
    error = (np.full((n, ways), 1 / ways) - np.eye(ways)[labels]) / n
    a, b = np.zeros((n, ways)), np.zeros(ways)
    for _ in range(steps):
        a, b = a - alpha * (error + penalty * a), b - alpha * error.sum(axis=0)
    return cross @ a + b


@wrong_answer("14.dual_scores", says="these are probabilities")
def probabilities(*case):
    return _softmax(_loop(*case))


@wrong_answer("14.dual_scores", says="these are class numbers")
def class_numbers(*case):
    return _loop(*case).argmax(axis=1)


@wrong_answer("14.dual_scores", says="the steps go uphill")
def uphill(gram, cross, labels, ways, alpha, penalty, steps):
    return _loop(gram, cross, labels, ways, -alpha, penalty, steps)


@wrong_answer("14.dual_scores", says="not half of it")
def half_the_penalty(gram, cross, labels, ways, alpha, penalty, steps):
    return _loop(gram, cross, labels, ways, alpha, penalty / 2, steps)


@wrong_answer("14.dual_scores", says="only the cross-entropy is a mean")
def mean_of_everything(*case):
    n, penalty = len(case[2]), case[5]
    return _loop(*case, slope=lambda error, a: error + penalty * a / n)


@wrong_answer("14.dual_scores", says="the penalty is not multiplied by α")
def decay_apart(*case):
    alpha, penalty = case[4], case[5]
    return _loop(*case, slope=lambda error, a: error + penalty * a / alpha)


@wrong_answer("14.dual_scores", says="b is left out of the scores of the support set")
def b_at_the_end_only(gram, cross, labels, ways, alpha, penalty, steps):
    a, b, target = np.zeros((len(labels), ways)), np.zeros(ways), np.eye(ways)[labels]
    for _ in range(steps):
        error = (_softmax(gram @ a) - target) / len(labels)
        a, b = a - alpha * (error + penalty * a), b - alpha * error.sum(axis=0)
    return cross @ a + b


@wrong_answer("14.dual_scores", says="the penalty is taken after the step")
def shrunk_afterwards(*case):
    alpha, penalty = case[4], case[5]
    return _loop(*case, slope=lambda error, a: error + penalty * (a - alpha * error))


@wrong_answer("14.dual_scores", says="b takes its step first")
def b_first(gram, cross, labels, ways, alpha, penalty, steps):
    a, b, target = np.zeros((len(labels), ways)), np.zeros(ways), np.eye(ways)[labels]
    for _ in range(steps):
        b = b - alpha * (_softmax(gram @ a + b) - target).mean(axis=0)
        a = a - alpha * ((_softmax(gram @ a + b) - target) / len(labels) + penalty * a)
    return cross @ a + b


@wrong_answer("14.dual_scores", says="each class has a sigmoid of its own")
def sigmoids(*case):
    return _loop(*case, p_of=lambda scores: 1 / (1 + np.exp(-scores)))


@wrong_answer("14.dual_scores", says="these are logarithms of probabilities")
def log_probabilities(*case):
    return np.log(_softmax(_loop(*case)))


@wrong_answer("14.dual_scores", says="A takes its step first")
def b_last(gram, cross, labels, ways, alpha, penalty, steps):
    a, b, target = np.zeros((len(labels), ways)), np.zeros(ways), np.eye(ways)[labels]
    for _ in range(steps):
        a = a - alpha * ((_softmax(gram @ a + b) - target) / len(labels) + penalty * a)
        b = b - alpha * (_softmax(gram @ a + b) - target).mean(axis=0)
    return cross @ a + b


@wrong_answer("14.dual_scores", says="the labels are taken in rising order")
def sorted_labels(gram, cross, labels, *rest):
    return _loop(gram, cross, np.sort(labels), *rest)


@wrong_answer("14.dual_scores", says="as many sentences of each class, class after class")
def balanced_labels(gram, cross, labels, ways, *rest):
    labels = np.repeat(np.arange(ways), len(labels) // ways)
    return _loop(gram, cross, labels, ways, *rest)


@wrong_answer("14.dual_scores", says="sentences of all classes in turn")
def labels_in_turn(gram, cross, labels, ways, *rest):
    return _loop(gram, cross, np.arange(len(labels)) % ways, ways, *rest)


@wrong_answer("14.dual_scores", says="the number of classes is taken from the labels")
def ways_from_labels(gram, cross, labels, ways, *rest):
    return _loop(gram, cross, labels, max(labels) + 1, *rest)


@right_answer("14.dual_scores", why="single precision throughout")
def in_single_precision(gram, cross, labels, ways, alpha, penalty, steps):
    gram, cross = np.float32(gram), np.float32(cross)
    a, b = np.zeros((len(labels), ways), np.float32), np.zeros(ways, np.float32)
    for _ in range(steps):
        error = (_softmax(gram @ a + b) - np.eye(ways, dtype=np.float32)[labels]) / len(labels)
        a, b = a - alpha * (error + penalty * a), b - alpha * error.sum(axis=0)
    return cross @ a + b


@right_answer(
    "14.dual_scores", why="finds vectors with these inner products, and takes the steps in W"
)
def vectors_again(gram, cross, labels, ways, alpha, penalty, steps):
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-10 * values.max()
    x = vectors[:, keep] * np.sqrt(values[keep])  # x xᵀ = gram
    queries = cross @ vectors[:, keep] / np.sqrt(values[keep])
    w, b, target = np.zeros((ways, x.shape[1])), np.zeros(ways), np.eye(ways)[labels]
    for _ in range(steps):
        error = (_softmax(x @ w.T + b) - target) / len(labels)
        w, b = w - alpha * (error.T @ x + penalty * w), b - alpha * error.sum(axis=0)
    return queries @ w.T + b


@right_answer(
    "14.dual_scores", why="keeps the scores themselves, of support and queries, and never A"
)
def scores_alone(gram, cross, labels, ways, alpha, penalty, steps):
    both = np.concatenate([gram, cross])  # (n + queries, n)
    linear, b, n = np.zeros((len(both), ways)), np.zeros(ways), len(labels)
    for _ in range(steps):
        error = (_softmax(linear[:n] + b) - np.eye(ways)[labels]) / n
        linear = (1 - alpha * penalty) * linear - alpha * both @ error
        b = b - alpha * error.sum(axis=0)
    return linear[n:] + b


@right_answer("14.dual_scores", why="plain Python loops over sentences and classes, in logarithms")
def in_plain_loops(gram, cross, labels, ways, alpha, penalty, steps):
    n = len(labels)
    a, b = [[0.0] * ways for _ in range(n)], [0.0] * ways
    for _ in range(steps):
        new, offset = [], list(b)
        for i in range(n):
            s = [sum(gram[i][j] * a[j][k] for j in range(n)) + b[k] for k in range(ways)]
            top = max(s)
            log_sum = top + np.log(sum(np.exp(v - top) for v in s))
            e = [(np.exp(s[k] - log_sum) - (labels[i] == k)) / n for k in range(ways)]
            new.append([a[i][k] - alpha * (e[k] + penalty * a[i][k]) for k in range(ways)])
            offset = [o - alpha * v for o, v in zip(offset, e, strict=True)]
        a, b = new, offset
    return np.array(
        [[sum(row[j] * a[j][k] for j in range(n)) + b[k] for k in range(ways)] for row in cross]
    )


# ------------------------------------------------------------------ 14.5


def _share(scores, labels):
    return (scores.argmax(axis=2) == labels).mean(axis=1)


def _best(scores, labels, key=np.mean):
    return max(scores, key=lambda name: key(_share(scores[name], labels)))


@wrong_answer("14.logistic_baseline", says="chosen on the test domains")
def tuned_on_the_test(val_scores, val_labels, test_scores, test_labels):
    best = _best(test_scores, test_labels)
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="on validation and test together")
def tuned_on_both(val_scores, val_labels, test_scores, test_labels):
    labels = np.concatenate([val_labels, test_labels])
    best = _best(
        {name: np.concatenate([val_scores[name], test_scores[name]]) for name in val_scores}, labels
    )
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="nobody could choose so without the answers")
def best_of_each_episode(val_scores, val_labels, test_scores, test_labels):
    shares = [_share(scores, test_labels) for scores in test_scores.values()]
    return _best(val_scores, val_labels), np.max(shares, axis=0)


@wrong_answer("14.logistic_baseline", says="the accuracies of the validation episodes")
def reported_on_validation(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return best, _share(val_scores[best], val_labels)


@wrong_answer("14.logistic_baseline", says="the lowest cross-entropy")
def by_the_loss(val_scores, val_labels, test_scores, test_labels):
    def loss(name):
        scores = val_scores[name]
        top = scores.max(axis=2)
        logs = top + np.log(np.exp(scores - top[..., None]).sum(axis=2))
        return (logs - np.take_along_axis(scores, val_labels[..., None], 2)[..., 0]).mean()

    best = min(val_scores, key=loss)
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="best in some single episode")
def by_one_episode(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels, np.max)
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="the accuracies are those of the one in the same place")
def accuracies_by_place(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    scores = list(test_scores.values())[list(val_scores).index(best)]
    return best, _share(scores, test_labels)


@wrong_answer("14.logistic_baseline", says="the name is that of the one in the same place")
def name_by_place(val_scores, val_labels, test_scores, test_labels):
    shares = np.array([_share(scores, val_labels).mean() for scores in val_scores.values()])
    best = list(test_scores)[shares.argmax()]
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="this is the mean")
def one_number(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return best, float(_share(test_scores[best], test_labels).mean())


@wrong_answer("14.logistic_baseline", says="the numbers of right answers")
def hits(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return best, (test_scores[best].argmax(axis=2) == test_labels).sum(axis=1)


@wrong_answer("14.logistic_baseline", says="averaged over the settings")
def mean_of_the_grid(val_scores, val_labels, test_scores, test_labels):
    shares = [_share(scores, test_labels) for scores in test_scores.values()]
    return _best(val_scores, val_labels), np.mean(shares, axis=0)


@wrong_answer("14.logistic_baseline", says="the highest median on validation")
def by_the_median(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels, np.median)
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="best in most validation episodes")
def by_wins(val_scores, val_labels, test_scores, test_labels):
    names = list(val_scores)
    shares = np.array([_share(val_scores[name], val_labels) for name in names])
    best = names[np.bincount(shares.argmax(axis=0)).argmax()]
    return best, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="the first of the two is a number")
def place_of_the_setting(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return list(val_scores).index(best), _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="not its place or accuracy")
def accuracy_for_a_name(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    mean = _share(val_scores[best], val_labels).mean()
    return mean, _share(test_scores[best], test_labels)


@wrong_answer("14.logistic_baseline", says="the second of the two is a name")
def name_at_the_end(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return _share(test_scores[best], test_labels), best


@wrong_answer("14.logistic_baseline", says="these are per cent")
def per_cent_of_right_ones(val_scores, val_labels, test_scores, test_labels):
    best = _best(val_scores, val_labels)
    return best, 100 * _share(test_scores[best], test_labels)


@right_answer("14.logistic_baseline", why="one array of all settings, sorted by name")
def by_stacking(val_scores, val_labels, test_scores, test_labels):
    names = sorted(val_scores)
    val, test = (np.stack([part[n] for n in names]) for part in (val_scores, test_scores))
    place = (val.argmax(axis=-1) == val_labels).mean(axis=(1, 2)).argmax()
    return np.array(names)[place], (test[place].argmax(axis=-1) == test_labels).mean(axis=-1)


@right_answer("14.logistic_baseline", why="counts right answers in plain loops; a list of two")
def by_counting(val_scores, val_labels, test_scores, test_labels):
    def shares(scores, labels):
        for episode, wanted in zip(scores.tolist(), labels.tolist(), strict=True):
            told = [row.index(max(row)) for row in episode]
            yield sum(a == b for a, b in zip(told, wanted, strict=True)) / len(wanted)

    totals = {name: sum(shares(scores, val_labels)) for name, scores in val_scores.items()}
    best = sorted(totals.items(), key=lambda item: -item[1])[0][0]
    return [best, list(shares(test_scores[best], test_labels))]


@right_answer("14.logistic_baseline", why="by the number of errors; the accuracies in float32")
def by_errors(val_scores, val_labels, test_scores, test_labels):
    errors = lambda scores, labels: np.count_nonzero(np.argsort(scores)[..., -1] - labels, axis=-1)
    best = min(val_scores, key=lambda name: errors(val_scores[name], val_labels).sum())
    missed = errors(test_scores[best], test_labels)
    return best, np.float32(1) - missed.astype(np.float32) / test_labels.shape[1]


# ------------------------------------------------------------------ 14.6


def _made(runs, baseline, of_two):
    return {
        kind: {
            name: of_two(run, methods[baseline])
            for name, run in methods.items()
            if name != baseline
        }
        for kind, methods in runs.items()
    }


def _shared(run, base):
    known = dict(zip(*base, strict=True))
    return np.array([(a, known[e]) for e, a in zip(*run, strict=True) if e in known]).T


def _said(minus, ddof=1, factor=1.96, n=None):
    minus = np.asarray(minus)
    return float(minus.mean()), float(factor * minus.std(ddof=ddof) / np.sqrt(n or len(minus)))


def _minus(run, base):
    ours, theirs = _shared(run, base)
    return ours - theirs


@wrong_answer("14.paired_table", says="compared place by place")
def place_by_place(runs, baseline):
    def of_two(run, base):
        n = min(len(run[1]), len(base[1]))
        return _said(run[1][:n] - base[1][:n])

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="sorted by number, but the numbers are not the same")
def sorted_by_number(runs, baseline):
    def of_two(run, base):
        ours, theirs = (values[np.argsort(numbers)] for numbers, values in (run, base))
        n = min(len(ours), len(theirs))
        return _said(ours[:n] - theirs[:n])

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="two means, each over its own episodes)")
def two_means(runs, baseline):
    def of_two(run, base):
        (a, half), (b, other) = _said(run[1]), _said(base[1])
        return a - b, float(np.hypot(half, other))

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="of the differences (of the shared episodes)")
def errors_in_squares(runs, baseline):
    def of_two(run, base):
        (a, half), (b, other) = map(_said, _shared(run, base))
        return a - b, float(np.hypot(half, other))

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="the two half widths are added")
def halves_added(runs, baseline):
    def of_two(run, base):
        (a, half), (b, other) = map(_said, _shared(run, base))
        return a - b, half + other

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="the sign is the wrong one")
def baseline_minus_method(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(-_minus(run, base)))


@wrong_answer("14.paired_table", says="1.96 standard deviations")
def standard_deviations(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), n=1))


@wrong_answer("14.paired_table", says="not multiplied by 1.96")
def one_standard_error(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), factor=1.0))


@wrong_answer("14.paired_table", says="these episodes are a sample, ddof=1")
def of_all_there_is(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), ddof=0))


@wrong_answer("14.paired_table", says="the baseline has an entry of its own")
def baseline_too(runs, baseline):
    table = _made(runs, baseline, lambda run, base: _said(_minus(run, base)))
    return {kind: {baseline: (0.0, 0.0), **row} for kind, row in table.items()}


@wrong_answer(
    "14.paired_table", says="an episode that the baseline does not have counts as a difference of 0"
)
def zeros_for_the_rest(runs, baseline):
    def of_two(run, base):
        minus = _minus(run, base)
        return _said(np.concatenate([minus, np.zeros(len(run[0]) - len(minus))]))

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="only the shared ones count")
def root_of_all(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), n=len(run[0])))


@wrong_answer("14.paired_table", says="the mean is asked for")
def median_of_differences(runs, baseline):
    def of_two(run, base):
        minus = _minus(run, base)
        return float(np.median(minus)), _said(minus)[1]

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="only those that both have can be compared")
def means_of_all(runs, baseline):
    def of_two(run, base):
        return run[1].mean() - base[1].mean(), _said(_minus(run, base))[1]

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="that of the method's accuracies")
def error_of_the_method(runs, baseline):
    def of_two(run, base):
        return _said(_minus(run, base))[0], _said(_shared(run, base)[0])[1]

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="these are the methods' own accuracies")
def nothing_is_compared(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(run[1]))


@wrong_answer("14.paired_table", says="the two ends of the interval")
def ends_of_the_interval(runs, baseline):
    def of_two(run, base):
        mean, half = _said(_minus(run, base))
        return mean - half, mean + half

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="the whole width of the interval")
def whole_width(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), factor=2 * 1.96))


@wrong_answer(
    "14.paired_table",
    says="two variances, as for other episodes: take that of the differences (of all",
)
def variances_of_all(runs, baseline):
    def of_two(run, base):
        half = 1.96 * np.sqrt(sum(values.var(ddof=1) / len(values) for _, values in (run, base)))
        return _said(_minus(run, base))[0], float(half)

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="(of the shared episodes, with ddof=0)")
def variances_with_ddof_0(runs, baseline):
    def of_two(run, base):
        ours, theirs = _shared(run, base)
        half = 1.96 * np.sqrt((ours.var() + theirs.var()) / len(ours))
        return _said(ours - theirs)[0], float(half)

    return _made(runs, baseline, of_two)


@wrong_answer(
    "14.paired_table", says="(of the shared episodes, not divided by a number of episodes)"
)
def root_of_two_variances(runs, baseline):
    def of_two(run, base):
        ours, theirs = _shared(run, base)
        half = 1.96 * np.sqrt(ours.var(ddof=1) + theirs.var(ddof=1))
        return _said(ours - theirs)[0], float(half)

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="the number of all episodes of the baseline")
def root_of_the_baseline_s(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(_minus(run, base), n=len(base[0])))


@wrong_answer("14.paired_table", says="the shared episodes are compared place by place")
def shared_but_unsorted(runs, baseline):
    def of_two(run, base):
        ours, theirs = np.isin(run[0], base[0]), np.isin(base[0], run[0])
        return _said(run[1][ours] - base[1][theirs])

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="taken for its place in the baseline's run")
def number_as_a_place(runs, baseline):
    def of_two(run, base):
        there = dict(enumerate(base[1]))
        return _said([a - there[e] for e, a in zip(*run, strict=True) if e in there])

    return _made(runs, baseline, of_two)


@wrong_answer("14.paired_table", says="these are per cent")
def per_cent(runs, baseline):
    return _made(runs, baseline, lambda run, base: _said(100 * _minus(run, base)))


@wrong_answer("14.paired_table", says="first the kinds, then the methods")
def methods_first(runs, baseline):
    table = {}
    for kind, row in _made(runs, baseline, lambda run, base: _said(_minus(run, base))).items():
        for name, pair in row.items():
            table.setdefault(name, {})[kind] = pair
    return table


@right_answer("14.paired_table", why="an array of two in place of a tuple")
def arrays_of_two(runs, baseline):
    return _made(runs, baseline, lambda run, base: np.array(_said(_minus(run, base))))


@right_answer("14.paired_table", why="np.intersect1d with the places of the shared episodes")
def by_intersection(runs, baseline):
    def of_two(run, base):
        _, mine, theirs = np.intersect1d(run[0], base[0], return_indices=True)
        return list(_said(run[1][mine] - base[1][theirs]))

    return {
        kind: {m: tuple(pair) for m, pair in row.items()}
        for kind, row in _made(runs, baseline, of_two).items()
    }


@right_answer(
    "14.paired_table", why="one matrix of episodes and methods with nan where there is none"
)
def by_a_matrix(runs, baseline):
    table = {}
    for kind, methods in runs.items():
        numbers = np.unique(np.concatenate([run[0] for run in methods.values()]))
        values = {}
        for name, (episodes, accuracies) in methods.items():
            values[name] = np.full(len(numbers), np.nan)
            values[name][np.searchsorted(numbers, episodes)] = accuracies
        table[kind] = {}
        for name in methods:
            if name != baseline:
                minus = values[name] - values[baseline]
                n = np.isfinite(minus).sum()
                half = 1.96 * np.nanstd(minus, ddof=1) / n**0.5
                table[kind][name] = (np.nanmean(minus), half)
    return table


@right_answer("14.paired_table", why="formulas by hand, from sums")
def from_sums(runs, baseline):
    def of_two(run, base):
        minus = [float(v) for v in _minus(run, base)]
        n, total = len(minus), sum(minus)
        variance = sum((v - total / n) ** 2 for v in minus) / (n - 1)
        return total / n, 1.96 * (variance / n) ** 0.5

    return _made(runs, baseline, of_two)
