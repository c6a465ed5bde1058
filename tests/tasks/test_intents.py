"""Intents: what is held out never appears, no sentence is on both sides, the same seed gives the same episodes."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maml_edu.tasks import Intents, hashed_ngrams, intents

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clinc150"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/clinc150")
WORLD = {
    f"domain{d}": {f"intent{d}{i}": [f"say {d} {i} {n}" for n in range(8 + i)] for i in range(6)}
    for d in range(6)
}
SMALL = {"ways": 3, "shots": 2, "queries": 3, "test": 2, "val": 1, "source": WORLD}


def rng(seed=0):
    return np.random.default_rng(seed)


def family(split="train", **changes):
    return Intents(split, **{**SMALL, **changes})


def drawn(family, tasks=200, seed=0):
    """Which intents (tasks, ways), and the sentences (tasks, ways, shots + queries) of some episodes."""
    chosen, examples = family.draw(rng(seed), tasks)
    return chosen, family.sentences(chosen, examples)


# ------------------------------------------------------------------ episodes


def test_a_batch_has_the_shapes_and_labels_of_any_few_shot_family():
    batch = family().sample(rng(), 4)
    assert batch.support_x.shape == (4, 6, 1024) and batch.query_x.shape == (4, 9, 1024)
    assert batch.support_x.dtype == np.float32 and batch.support_y.dtype == np.int64
    assert batch.support_y.tolist() == [[0, 0, 1, 1, 2, 2]] * 4
    assert batch.query_y.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 4
    np.testing.assert_allclose(np.linalg.norm(batch.query_x, axis=2), 1, rtol=1e-5)


def test_what_is_sampled_are_the_sentences_that_are_drawn():
    tasks = family()
    chosen, examples = tasks.draw(rng(3), 5)
    batch, sentences = tasks.sample(rng(3), 5), tasks.sentences(chosen, examples)
    for task in range(5):
        expected = hashed_ngrams(sentences[task, :, :2].ravel())
        assert np.array_equal(batch.support_x[task], expected)
        assert np.array_equal(batch.query_x[task], hashed_ngrams(sentences[task, :, 2:].ravel()))


@pytest.mark.parametrize("mixed", [False, True])
def test_no_sentence_of_a_task_is_in_both_its_sets_and_each_is_of_its_intent(mixed):
    tasks = family(mixed=mixed)
    for chosen, sentences in zip(*drawn(tasks), strict=True):
        assert len(set(chosen)) == 3 and len(set(sentences.ravel())) == 15
        for intent, texts in zip(chosen, sentences, strict=True):
            assert set(texts) <= set(WORLD[tasks.domains[intent]][tasks.names[intent]])


def test_the_intents_of_an_episode_are_of_one_domain_unless_they_are_mixed():
    tasks, mixed = family(), family(mixed=True)
    domains = [{tasks.domains[n] for n in chosen} for chosen in drawn(tasks)[0]]
    assert all(len(one) == 1 for one in domains) and len(set.union(*domains)) == 3
    assert max(len({mixed.domains[n] for n in chosen}) for chosen in drawn(mixed)[0]) == 3


def test_every_sentence_and_every_intent_is_drawn_about_equally_often():
    tasks = family()
    chosen, sentences = drawn(tasks, 4000)
    assert set(sentences.ravel()) == set(tasks.texts)
    often = np.bincount(chosen.ravel(), minlength=18)
    assert abs(often - 4000 * 3 / 18).max() < 120
    of_one = Counter(sentences[chosen == 0].ravel())  # eight sentences, five of them an episode
    assert max(of_one.values()) < 1.2 * min(of_one.values())


def test_the_same_generator_state_gives_the_same_episodes_whatever_the_features():
    one, other = family(), family(features=lambda texts: np.ones((len(texts), 2)))
    assert np.array_equal(one.sample(rng(1), 9).query_x, family().sample(rng(1), 9).query_x)
    assert not np.array_equal(one.sample(rng(1), 9).query_x, one.sample(rng(2), 9).query_x)
    assert np.array_equal(drawn(one)[1], drawn(other)[1])
    assert other.sample(rng(), 2).query_x.shape == (2, 9, 2)


# ------------------------------------------------------------------ what is held out


def parts(field, **changes):
    return [set(getattr(family(split, **changes), field)) for split in intents.SPLITS]


@pytest.mark.parametrize("seed", range(5))
def test_held_out_domains_never_appear_in_another_split(seed):
    train, val, test = parts("domains", seed=seed)
    assert (len(train), len(val), len(test)) == (3, 1, 2)
    assert train | val | test == set(WORLD)  # with six names in all, none is in two splits
    train, val, test = parts("texts", seed=seed)
    assert not train & test and not train & val and not val & test


def test_held_out_intents_never_appear_in_another_split_but_their_domains_do():
    held = {"hold_out": "intents", "mixed": True}
    train, val, test = parts("names", **held)
    assert (len(train), len(val), len(test)) == (18, 6, 12)
    assert not train & test and not train & val and not val & test
    assert parts("domains", **held) == [set(WORLD)] * 3


def test_splits_depend_on_the_seed_alone_and_not_on_the_order_of_the_domains():
    turned = dict(reversed(WORLD.items()))
    assert parts("domains", seed=3) == parts("domains", seed=3, source=turned)
    assert len({frozenset(parts("domains", seed=seed)[2]) for seed in range(10)}) > 3
    assert set(family("test", val=2).domains) == set(family("test", val=0).domains)


def test_domains_and_intents_can_be_held_out_by_name():
    train, val, test = parts("domains", test=["domain0", "domain4"], val="domain1")
    assert (test, val, train) == (
        {"domain0", "domain4"}, {"domain1"}, {"domain2", "domain3", "domain5"},
    )  # fmt: skip
    assert set(family("test", test=["domain0"], val=2).domains) == {"domain0"}
    named = family(
        "test", hold_out="intents", test=["intent00", "intent01", "intent32"], mixed=True
    )
    assert named.names == ["intent00", "intent01", "intent32"]


# ------------------------------------------------------------------ duplicates


def test_a_sentence_of_two_intents_is_left_out_and_one_that_comes_twice_is_there_once():
    source = {
        "a": {
            "one": ["Both of them", "first", "Twice", "twice "],
            "two": ["both  OF them", "second"],
        },
        "b": {"three": ["third", "both of them"]},
    }
    read = {intent.name: intent.sentences for intent in intents.read(source)}
    assert read == {"one": ["first", "Twice"], "two": ["second"], "three": ["third"]}


@needs_data
def test_clinc150_has_four_sentences_of_two_intents_and_one_that_comes_twice():
    read = intents.read("clinc150", DATA)
    texts = [text for intent in read for text in intent.sentences]
    assert len(read) == 150 and len(texts) == len(set(texts)) == 22_500 - 2 * 4 - 1
    assert "where did you grow up" not in texts and texts.count("hey what's up") == 1


@needs_data
@pytest.mark.parametrize("split", intents.SPLITS)
def test_clinc150_gives_episodes_of_held_out_domains(split):
    tasks = Intents(split, 5, 5, 15, source="clinc150", data_dir=DATA)
    assert len(set(tasks.domains)) == {"train": 5, "val": 2, "test": 3}[split]
    batch = tasks.sample(rng(), 8)
    assert batch.support_x.shape == (8, 25, 1024)
    means = batch.support_x.reshape(8, 5, 5, -1).mean(2)
    right = (np.einsum("tqd,twd->tqw", batch.query_x, means).argmax(2) == batch.query_y).mean()
    assert 0.75 < right < 0.97  # the nearest mean already knows much


# ------------------------------------------------------------------ the sentences of the course


@pytest.fixture(scope="module")
def course():
    return intents.parse(intents.COURSE.read_text(encoding="utf-8"))


def test_the_course_has_ten_domains_of_eight_intents_of_twelve_sentences_or_more(course):
    assert len(course) >= 10
    assert min(len(names) for names in course.values()) >= 8
    assert min(len(texts) for names in course.values() for texts in names.values()) >= 12


def test_no_sentence_and_no_name_of_the_course_is_there_twice(course):
    names = [name for domain in course.values() for name in domain]
    texts = [" ".join(t.casefold().split()) for d in course.values() for i in d.values() for t in i]
    assert len(names) == len(set(names)) and len(texts) == len(set(texts))
    assert sum(len(intent.sentences) for intent in intents.read()) == len(texts)


def test_sentences_of_the_course_are_plain_text_of_three_to_twenty_words(course):
    for text in (text for domain in course.values() for texts in domain.values() for text in texts):
        assert text.isascii() and 3 <= len(text.split()) <= 20 and not text.endswith("."), text


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("split", intents.SPLITS)
def test_the_sentences_of_the_course_are_the_default_and_need_no_download(split, shots):
    batch = Intents(split, 5, shots).sample(rng(), 3)
    assert batch.support_x.shape == (3, 5 * shots, 1024)
    assert batch.query_x.shape == (3, 25, 1024)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(("changes", "words"), [
    ({"split": "training"}, "split must be one of train, val, test; got 'training'"),
    ({"hold_out": "sentences"}, 'hold_out must be "domains" or "intents"'),
    ({"source": "clinc"}, 'source must be "course", "clinc150", or sentences'),
    ({"ways": 0}, "ways must be a whole number ≥ 1; got 0"),
    ({"ways": 7}, "'domain.' has 6 intents in the split 'train'; an episode takes 7.*mixed=True"),
    ({"ways": 19, "mixed": True}, "an episode of 19 ways needs as many classes, not 18"),
    ({"queries": 7}, "there are 8 examples of class 'intent.0'.*lower shots or queries"),
    ({"hold_out": "intents", "ways": 4}, "has 3 intents in the split 'train'.*mixed=True"),
    ({"test": -1}, "test must be a whole number ≥ 0 or names; got -1"),
    ({"val": 1.5}, "val must be a whole number ≥ 0 or names; got 1.5"),
    ({"test": ["domain9"]}, "test: there is no 'domain9' among domain0, domain1"),
    ({"test": "domain1", "val": ["domain1"]}, "held out twice: domain1"),
    ({"test": 5, "val": 2}, "val=2 cannot be held out of domain0.*: 1 are left"),
    ({"test": 5}, "nothing is left for the split 'train': test=5, val=1 of 6 domains"),
    ({"split": "val", "val": 0}, "nothing is left for the split 'val'"),
    ({"source": {}}, "the source holds no intents"),
    ({"source": {"a": ["no intents"]}}, r"the domain 'a' must be \{intent: \[sentence, …\]\}"),
    ({"source": {"a": {"i": ["fine", " "]}}}, "the intent 'i' holds something that is no sentence"),
    ({"source": {"a": {"i": ["x y"]}, "b": {"i": ["z y"]}}}, "2 intents are called 'i'"),
    ({"features": lambda texts: np.ones((2, 3))}, r"a row for each of the \d+ sentences; got shape \(2, 3\)"),
    ({"features": lambda texts: np.full((len(texts), 3), np.nan)}, "NaN or infinity"),
])  # fmt: skip
def test_bad_arguments_are_refused_with_words(changes, words):
    with pytest.raises(ValueError, match=words):
        family(**changes)


def test_a_seed_in_place_of_a_generator_and_no_tasks_are_refused():
    with pytest.raises(ValueError, match="rng must be a numpy Generator"):
        family().sample(0)
    with pytest.raises(ValueError, match="tasks must be a whole number ≥ 1"):
        family().sample(rng(), 0)


def test_missing_clinc150_is_said_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="maml-edu data get clinc150 --data-dir"):
        Intents(source="clinc150", data_dir=tmp_path)


@pytest.mark.parametrize(("text", "words"), [
    ("a sentence", "line 1, 'a sentence', belongs nowhere"),
    ("## intent", "line 1, '## intent', belongs nowhere"),
    ("# a\nsentence", "line 2, 'sentence', belongs nowhere"),
    ("# a\n## i\n### j", "line 3, '### j', belongs nowhere"),
    ("# a\n## i\nx\n# b\ny", "line 5, 'y', belongs nowhere"),
    ("# a\n## i\n\n## i", "line 4: 'i' is there already"),
    ("# a\n# a", "line 2: 'a' is there already"),
])  # fmt: skip
def test_a_file_of_another_form_is_refused_with_the_line(text, words):
    with pytest.raises(ValueError, match=words):
        intents.parse(text)


def test_a_file_is_domains_intents_and_sentences():
    text = "# a\n## i\none more\n\ntwo\n## j\nthree\n# b\n## k\nfour\n"
    assert intents.parse(text) == {
        "a": {"i": ["one more", "two"], "j": ["three"]},
        "b": {"k": ["four"]},
    }


def test_a_family_says_what_it_is():
    assert repr(family("test")) == (
        "Intents('test', ways=3, shots=2, queries=3, source='your own', domains=2, intents=12, sentences=126)"
    )


def test_no_word_runs_through_the_sentences_of_an_intent_of_the_course():
    for intent in intents.read("course"):
        words = [set(re.findall(r"\w{4,}", text.lower())) for text in intent.sentences]
        most = Counter(word for sentence in words for word in sentence).most_common(1)
        assert most[0][1] <= 6 < len(words), (intent.name, most)
