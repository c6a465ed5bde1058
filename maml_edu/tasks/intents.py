"""N-way K-shot episodes of sentences, sorted by what people want: start with `Intents`.

A domain is a place of life (a library, a bank), an intent something that people want there, and each intent has
some sentences. To be new to a learner, whole domains are held out, or some intents of each. Sentences become
numbers by `text.py`. The course's own sentences are in data/intents.txt; `clinc150.py` reads those of CLINC150.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import clinc150
from .batch import TaskBatch, generator, whole
from .episodes import as_batch, check_enough, counts, draw_examples, rows
from .text import folded, hashed_ngrams

SPLITS = ("train", "val", "test")
COURSE = Path(__file__).with_name("data") / "intents.txt"  # written for the course
Held = int | str | Iterable[str]  # how many are held out, or which


class Intent(NamedTuple):
    """One class of an episode."""

    domain: str
    name: str
    sentences: list[str]


class Intents:
    """N-way K-shot classification of sentences by intent; x are hashed letter groups.

    split: "train", "val" or "test", which share no domain (or no intent, see hold_out).
    ways: N, the number of intents of an episode. They are of one domain, drawn first: the hard case, in which
        they share the domain's words.
    shots, queries: sentences of each intent in the support set (K) and in the query set.
    source: "course", the sentences that come with the course; "clinc150", which has to be downloaded; or sentences
        of your own, {domain: {intent: [sentence, …]}}.
    hold_out: "domains", or "intents": then every domain is in all three splits, with other intents.
    test, val: how many domains (of each domain, how many intents) are held out; or which, by name. The rest is for
        training. Numbers are drawn by `seed` alone: another number for val leaves test as it was.
    mixed: True draws the intents of an episode from all domains of the split: easier.
    features: list of sentences → array (sentences, …) of floats, such as hashed_ngrams.
    data_dir: where CLINC150 is, as for `Omniglot`.

    No sentence is there twice. One that stands in two intents (four of CLINC150 do) is left out of both, one
    that stands in an intent twice is there once; case and spaces do not count. Raises FileNotFoundError, which says
    what to do, if CLINC150 is not there; ValueError for other arguments, and if a domain has too few intents, or an
    intent too few sentences.
    """

    draws_ahead = True

    def __init__(
        self,
        split: str = "train",
        ways: int = 5,
        shots: int = 1,
        queries: int = 5,
        *,
        source="course",
        hold_out: str = "domains",
        test: Held = 3,
        val: Held = 2,
        mixed: bool = False,
        features: Callable[[list[str]], np.ndarray] = hashed_ngrams,
        seed: int = 0,
        data_dir=None,
    ):
        self.ways, self.shots, self.queries = counts(ways, shots, queries)
        self.split, self.hold_out, self.mixed = split, hold_out, bool(mixed)
        self.source = source if isinstance(source, str) else "your own"
        intents = in_split(read(source, data_dir), split, hold_out, test, val, seed)
        self.domains = [intent.domain for intent in intents]  # of each intent
        self.names = [intent.name for intent in intents]
        self.sizes = np.array([len(intent.sentences) for intent in intents])
        self.first = np.cumsum(self.sizes) - self.sizes  # where each intent begins in what follows
        self.texts = [text for intent in intents for text in intent.sentences]
        self._check()
        self.features = _numbers(features(self.texts), len(self.texts))  # (sentences, …)

    def _check(self):
        """ValueError unless every domain has enough intents, and every intent enough sentences."""
        for domain, there in Counter(self.domains).items():
            if there < self.ways and not self.mixed:
                raise ValueError(
                    f"the domain {domain!r} has {there} intents in the split {self.split!r}; an episode takes "
                    f"{self.ways} of one domain: lower ways, hold out more or fewer, or draw the intents from all "
                    f"domains with mixed=True (on the command line: --mixed)."
                )
        check_enough(self.sizes, self.names, self.ways, self.shots, self.queries)

    def sample(self, rng: np.random.Generator, tasks: int = 32) -> TaskBatch:
        """A batch of new episodes; the same generator state gives the same ones.

        x float32: support (tasks, ways · shots, size), query (tasks, ways · queries, size), ordered by intent; y
        int64: labels 0 … ways − 1. No sentence of a task is in both its sets.
        """
        return self.batch(*self.draw(generator(rng), whole("tasks", tasks)))

    def draw(self, rng: np.random.Generator, tasks: int):
        """Which intents (tasks, ways), and which sentences of each (tasks, ways, shots + queries)."""
        domain = np.unique(self.domains, return_inverse=True)[1]  # (intents,)
        taken = rng.integers(domain.max() + 1, size=(tasks, 1))
        order = rng.random((tasks, len(domain)))
        if not self.mixed:
            order[domain != taken] = 1  # of another domain: last
        chosen = order.argsort(axis=1)[:, : self.ways]
        return chosen, draw_examples(rng, self.sizes, chosen, self.shots + self.queries)

    def batch(self, chosen, examples) -> TaskBatch:
        """The episodes of these intents (tasks, ways) and sentences (tasks, ways, shots + queries)."""
        return as_batch(self.features[rows(self.first, self.sizes, chosen, examples)], self.shots)

    def sentences(self, chosen, examples) -> np.ndarray:
        """The sentences of these episodes, as `batch` takes them: strings (tasks, ways, shots + queries)."""
        return np.array(self.texts, object)[rows(self.first, self.sizes, chosen, examples)]

    def __repr__(self):
        return (
            f"Intents({self.split!r}, ways={self.ways}, shots={self.shots}, queries={self.queries}, "
            f"source={self.source!r}, domains={len(set(self.domains))}, intents={len(self.names)}, "
            f"sentences={len(self.texts)})"
        )


def _numbers(features, sentences: int) -> np.ndarray:
    """Features as float32 (sentences, …); ValueError unless they are one finite row for each sentence."""
    features = np.asarray(features)
    if features.dtype.kind not in "biuf" or features.ndim < 2 or len(features) != sentences:
        raise ValueError(
            f"features must give numbers (sentences, …), a row for each of the {sentences} sentences; got shape "
            f"{features.shape}, {features.dtype}."
        )
    if not np.isfinite(features).all():
        raise ValueError("features gave NaN or infinity for some sentence.")
    return features.astype(np.float32, copy=False)


# ------------------------------------------------------------------ sentences


def read(source="course", data_dir=None) -> list[Intent]:
    """All intents of a source, as for `Intents`, in their order; no sentence is there twice."""
    if isinstance(source, Mapping):
        domains = source
    elif source == "course":
        domains = parse(COURSE.read_text(encoding="utf-8"))
    elif source == "clinc150":
        domains = clinc150.load(data_dir)
    else:
        raise ValueError(
            f'source must be "course", "clinc150", or sentences {{domain: {{intent: [sentence, …]}}}}; got '
            f"{source!r}."
        )
    intents = list(_listed(domains))
    if not intents:
        raise ValueError("the source holds no intents: give {domain: {intent: [sentence, …]}}.")
    return _without_repeats(intents)


def parse(text: str) -> dict[str, dict[str, list[str]]]:
    """Domain → intent → sentences, from lines "# domain", "## intent" and sentences, one a line.

    Empty lines do not count. Raises ValueError, with the number of the line, if it belongs nowhere or a name comes
    twice.
    """
    domains: dict[str, dict[str, list[str]]] = {}
    intents: dict[str, list[str]] | None = None
    sentences: list[str] | None = None
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("# "):
            intents, sentences = _new(domains, line[2:], {}, number), None
        elif line.startswith("## ") and intents is not None:
            sentences = _new(intents, line[3:], [], number)
        elif line and (sentences is None or line.startswith("#")):
            raise ValueError(
                f"line {number}, {line!r}, belongs nowhere: a file is '# domain', then '## intent', then its "
                f"sentences, one a line, then the next '## intent' or '# domain'."
            )
        elif line and sentences is not None:
            sentences.append(line)
    return domains


def _new(names, name, empty, number):
    """The empty thing, put under this name; ValueError if there is one already."""
    name = name.strip()
    if name in names:
        raise ValueError(f"line {number}: {name!r} is there already.")
    names[name] = empty
    return empty


def _listed(domains):
    """Each intent of {domain: {intent: [sentence, …]}}; ValueError if it is something else."""
    for domain, intents in domains.items():
        if not isinstance(intents, Mapping):
            raise ValueError(
                f"the domain {domain!r} must be {{intent: [sentence, …]}}; got {intents!r}."
            )
        for name, sentences in intents.items():
            sentences = [sentences] if isinstance(sentences, str) else list(sentences)
            if not all(isinstance(text, str) and text.strip() for text in sentences):
                raise ValueError(
                    f"the intent {name!r} holds something that is no sentence: give strings that are not empty."
                )
            yield Intent(str(domain), str(name), sentences)


def _without_repeats(intents: list[Intent]) -> list[Intent]:
    """Each sentence once; one that stands in two intents belongs to neither.

    Raises ValueError if two intents share a name.
    """
    [(name, times)] = Counter(intent.name for intent in intents).most_common(1)
    if times > 1:
        raise ValueError(f"{times} intents are called {name!r}: give each a name of its own.")
    once = [{_same(text): text for text in reversed(intent.sentences)} for intent in intents]
    places = Counter(key for texts in once for key in texts)
    return [
        intent._replace(
            sentences=[text for key, text in reversed(texts.items()) if places[key] == 1]
        )
        for intent, texts in zip(intents, once, strict=True)
    ]


def _same(text: str) -> str:
    """What two sentences have in common if they count as the same one."""
    return " ".join(folded(text).split())


# ------------------------------------------------------------------ what is held out


def in_split(
    intents: list[Intent], split: str, hold_out: str, test: Held, val: Held, seed: int
) -> list[Intent]:
    """Those of the intents that belong to a split; arguments and errors as for `Intents`."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if hold_out not in ("domains", "intents"):
        raise ValueError(f'hold_out must be "domains" or "intents"; got {hold_out!r}.')
    domains: dict[str, list[str]] = {}
    for intent in intents:
        domains.setdefault(intent.domain, []).append(intent.name)
    groups = [list(domains)] if hold_out == "domains" else list(domains.values())
    field = "domain" if hold_out == "domains" else "name"
    there = divided(groups, test, val, seed)[split]
    if not there:
        raise ValueError(
            f"nothing is left for the split {split!r}: test={test!r}, val={val!r} of {sum(map(len, groups))} "
            f"{hold_out}."
        )
    return [intent for intent in intents if getattr(intent, field) in there]


def divided(groups: list[list[str]], test: Held, val: Held, seed: int) -> dict[str, set[str]]:
    """The names of all groups in three sets, "train", "val" and "test".

    test, val: how many of each group, drawn by the seed and not by the order in which names come; or which names.
    Raises ValueError if a group has not so many, a name is not there or in both, or a number is below 0.
    """
    every = sorted(name for group in groups for name in group)
    wanted = {"test": _wanted("test", test, every), "val": _wanted("val", val, every)}
    named = [name for names in wanted.values() if not isinstance(names, int) for name in names]
    twice = sorted(name for name, times in Counter(named).items() if times > 1)
    if twice:
        raise ValueError(f"held out twice: {', '.join(twice)}. Name each once, in test or in val.")
    rng = np.random.default_rng(seed)
    parts: dict[str, set[str]] = {split: set() for split in SPLITS}
    for group in sorted(map(sorted, groups)):
        free = [group[n] for n in rng.permutation(len(group)) if group[n] not in named]
        for split, names in wanted.items():
            taken = free[:names] if isinstance(names, int) else set(names) & set(group)
            if isinstance(names, int) and len(taken) < names:
                raise ValueError(
                    f"{split}={names} cannot be held out of {', '.join(group)}: {len(taken)} are left."
                )
            parts[split].update(taken)
            free = [name for name in free if name not in taken]
        parts["train"].update(free)
    return parts


def _wanted(split: str, held: Held, every: list[str]) -> int | list[str]:
    """How many are held out, or which names; ValueError for numbers below 0 and unknown names."""
    if isinstance(held, Iterable):
        names = [held] if isinstance(held, str) else list(held)
        unknown = [name for name in names if name not in every]
        if unknown:
            raise ValueError(f"{split}: there is no {unknown[0]!r} among {', '.join(every)}.")
        return names
    try:
        number = -1 if isinstance(held, bool) else operator.index(held)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"{split} must be a whole number ≥ 0 or names; got {held!r}.")
    return number
