"""Letter groups are counted in the same bins everywhere, with signs, within words, at unit length."""

import os
import subprocess
import sys

import numpy as np
import pytest

from maml_edu.tasks import hashed_ngrams, letter_groups
from maml_edu.tasks.text import folded

TEXTS = ["can I keep my books", "Ünïcode, straße", "我想预订一张桌子", "привет", "a"]


def test_another_process_with_other_hashes_of_python_gives_the_same_numbers():
    code = f"import sys; from maml_edu.tasks import hashed_ngrams as h; x = h({TEXTS!r}, 64)"
    code += "; sys.stdout.buffer.write(x.tobytes())"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        line = [sys.executable, "-c", code]
        done = subprocess.run(line, capture_output=True, check=True, env=environment)
        assert done.stdout == hashed_ngrams(TEXTS, 64).tobytes()


def test_bins_and_signs_are_those_that_were_written_down():
    places = [(g.group, g.bin, g.sign) for g in letter_groups("tea", lengths=[3])]
    assert places == [(" te", 727, 1), ("tea", 946, 1), ("ea ", 759, 1)]
    counts = hashed_ngrams(["tea"], 8, lengths=3) * np.sqrt(5)
    np.testing.assert_allclose(counts, [[0, 0, 1, 0, 0, 0, 0, 2]], rtol=1e-6)
    assert {g.sign for g in letter_groups("scart")} == {-1, 1}


@pytest.mark.parametrize("text", TEXTS)
def test_each_text_has_unit_length_in_float32(text):
    counts = hashed_ngrams([text])
    assert counts.shape == (1, 1024) and counts.dtype == np.float32
    assert np.linalg.norm(counts) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_a_text_without_letters_is_zero_and_not_nan(text):
    assert not hashed_ngrams([text, "tea"])[0].any()
    assert letter_groups(text) == []


def test_letter_groups_know_where_a_word_begins_and_ends():
    inside, whole = ({g.group for g in letter_groups(text)} for text in ("scart", "car"))
    assert "car" in inside & whole and " car " in whole - inside
    assert not hashed_ngrams(["scart"]) @ hashed_ngrams(["car"]).T > 0.5


def test_no_letter_group_reaches_from_one_word_into_the_next():
    groups = [g.group for g in letter_groups("my new  card")]
    assert all(" " not in group.strip() for group in groups)
    assert np.allclose(hashed_ngrams(["my new  card"]), hashed_ngrams(["card my\tnew"]))


def test_about_half_of_the_signs_are_minus_so_that_shared_bins_cancel_on_average():
    text = " ".join(f"{n:05d}" for n in range(3000))
    signs = {g.group: g.sign for g in letter_groups(text)}
    assert abs(np.mean(list(signs.values()))) < 0.05
    bins = np.bincount([g.bin for g in letter_groups(text)], minlength=1024)
    assert (bins > 0).all()


@pytest.mark.parametrize(
    ("one", "other"), [("CARD", "card"), ("STRASSE", "straße"), ("cafe\u0301", "café")]
)
def test_case_and_ways_of_writing_a_letter_do_not_count(one, other):
    assert np.array_equal(hashed_ngrams([one]), hashed_ngrams([other]))


@pytest.mark.parametrize("text", [*TEXTS, "my my card", "  STRASSE straße "])
@pytest.mark.parametrize("size", [1, 7, 1024])
def test_the_listed_letter_groups_add_up_to_the_counts(text, size):
    counts = np.zeros(size)
    for group in letter_groups(text, size):
        counts[group.bin] += group.sign
        assert folded(text)[group.start : group.end] == group.group.strip()
    np.testing.assert_allclose(
        hashed_ngrams([text], size)[0], counts / (np.linalg.norm(counts) or 1), atol=1e-6
    )


def test_a_word_that_is_shorter_than_every_group_counts_for_nothing():
    assert [g.group for g in letter_groups("i", lengths=(3, 4))] == [" i "]
    assert not hashed_ngrams(["i"], lengths=[4]).any()
    assert [g.group for g in letter_groups("i", lengths=[1])] == ["i"]


@pytest.mark.parametrize(("arguments", "words"), [
    (("one text",), r"a list of strings; got one string: give \['one text'\]"),
    ((["fine", None],), "text 1 must be a string; got None"),
    ((["fine"], 0), "size must be a whole number ≥ 1; got 0"),
    ((["fine"], 1024, ()), "lengths is empty"),
    ((["fine"], 1024, (3, 0)), "a length of letter groups must be a whole number ≥ 1; got 0"),
])  # fmt: skip
def test_bad_input_is_refused_with_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        hashed_ngrams(*arguments)
