"""benchmarks/reproduce/language.py computes what the library does, by inner products alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import maml_edu.pytorch as mt
from benchmarks.reproduce import language
from maml_edu.tasks import Intents


def batch_of(seed):
    tasks = Intents("train", 5, 2, 3)
    return tasks.sample(np.random.default_rng(seed), 3)


@pytest.mark.parametrize("method", ["MAML", "FOMAML", "ANIL"])
def test_inner_products_give_the_meta_gradient_of_the_library(method):
    theta, model = language.first_weights(5, 1024, 0), mt.MLP(1024, 64, 5)
    with torch.no_grad():
        for own, value in zip(model.parameters(), theta.values(), strict=True):
            own.copy_(value)
    learner = getattr(mt, method)(model, F.cross_entropy, inner_lr=1.0, inner_steps=3)
    loss, grads = learner.meta_gradient(batch_of(0))
    batch = batch_of(0).map(torch.as_tensor)
    scores = language.scores_per_step(theta, batch, 1.0, 3, method)[-1]
    mine = language.query_loss(scores, batch.query_y)
    mine.backward()
    assert mine.item() == pytest.approx(float(loss), rel=1e-5)
    for slope, value in zip(grads.values(), theta.values(), strict=True):
        torch.testing.assert_close(value.grad, slope, rtol=1e-4, atol=1e-6)


def test_with_one_sentence_each_a_heavy_penalty_makes_logistic_regression_the_centroid():
    batch = Intents("test", 5, 1, 5).sample(np.random.default_rng(0), 20).map(torch.as_tensor)
    heavy = language.logistic(batch, 5, 1e3).argmax(-1)
    same = (heavy == language.centroid(batch, 5).argmax(-1)).float().mean()
    assert same > 0.99


def options(folder, *more):
    return language.options_from(["--seeds", "1", "--episodes", "50", "--keep", str(folder), *more])


def test_a_row_that_was_kept_is_read_and_not_measured_again(tmp_path, monkeypatch):
    setting = language.Setting(1, 1, options(tmp_path))
    values, words = setting.row("nearest centroid", tmp_path)
    monkeypatch.setitem(language.METHODS, "nearest centroid", None)
    again, same = setting.row("nearest centroid", tmp_path)
    np.testing.assert_array_equal(again, values)
    assert same == words
    other = language.Setting(1, 1, options(tmp_path, "--rates", "1"))
    assert other.name != setting.name


def test_where_every_letter_group_was_seen_leaving_the_others_out_changes_nothing(tmp_path):
    setting = language.Setting(1, 1, options(tmp_path))
    setting.families["train"] = setting.families["test"]
    values, _ = language.without_unseen(setting)
    np.testing.assert_allclose(values, language.no_setting(setting)[0], atol=0.021)  # ties


def test_a_held_out_domain_has_letter_groups_that_training_never_saw(tmp_path):
    setting = language.Setting(1, 1, options(tmp_path))
    shares = language.unseen(setting.families)
    assert set(shares) == set(setting.families["test"].domains)
    assert all(0 < share < 1 for share in shares.values())


def test_a_table_is_printed_row_by_row(tmp_path, capsys):
    methods = ["nearest centroid", "logistic regression"]
    language.table(1, options(tmp_path, "--methods", *methods))
    printed = capsys.readouterr().out
    assert "course, domains held out, one domain, 5-way 1-shot" in printed
    assert all(f"| {method} |" in printed for method in methods)


def test_a_difference_has_its_sign_and_nothing_has_none():
    some = np.array([0.5, 0.7])
    assert language.difference(some, some) == "0.0 ± 0.0"
    assert language.difference(some + 0.01, some).startswith("+1.0")
    assert language.difference(some - 0.01, some).startswith("−1.0")


def test_likeness_is_that_of_all_pairs():
    sentences = [[f"{word} {n}" for n in ("one", "two", "three")] for word in ("abcd", "efgh")]
    tasks = Intents(
        "train", 2, 1, 1, source={"d": {"i": sentences[0], "j": sentences[1]}}, test=0, val=0
    )
    x = tasks.features
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    same = [x[a] @ x[b] for a, b in pairs if a // 3 == b // 3]
    others = [x[a] @ x[b] for a, b in pairs if a // 3 != b // 3]
    expected = np.mean(same), np.mean(others), np.std(others)
    np.testing.assert_allclose(language.likeness(tasks), expected, rtol=1e-5)
