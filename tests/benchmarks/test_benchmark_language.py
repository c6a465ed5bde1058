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
    batch = language.tensors(batch_of(0))
    scores = language.scores_per_step(theta, batch, 1.0, 3, method)[-1]
    mine = language.query_loss(scores, batch.query_y)
    mine.backward()
    assert mine.item() == pytest.approx(float(loss), rel=1e-5)
    for slope, value in zip(grads.values(), theta.values(), strict=True):
        torch.testing.assert_close(value.grad, slope, rtol=1e-4, atol=1e-6)


def test_with_one_sentence_each_a_heavy_penalty_makes_logistic_regression_the_centroid():
    batch = language.tensors(Intents("test", 5, 1, 5).sample(np.random.default_rng(0), 20))
    heavy = language.logistic(batch, 5, 1e3).argmax(-1)
    same = (heavy == language.centroid(batch, 5).argmax(-1)).float().mean()
    assert same > 0.99
