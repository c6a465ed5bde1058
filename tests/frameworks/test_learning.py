"""examples/keras_maml.py and examples/jax_maml.py: short trainings that learn, and the scripts themselves."""

import re
import runpy
import sys

import numpy as np
import pytest
from frameworks import needs

from maml_edu import places
from maml_edu.tasks import Sinusoids

LINE = r"(?:MAML|pretrained) +0\.\d+( +\d+\.\d\d){3}\n"
EXAMPLES = [
    pytest.param("keras_maml", marks=needs("tensorflow")),
    pytest.param("jax_maml", marks=needs("jax")),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_learns_to_learn(name, example):
    module, sines = example(name), Sinusoids(shots=10)
    as_input = getattr(module, "tensors", module.arrays)
    test = as_input(sines.sample(np.random.default_rng(1), tasks=200))
    theta = module.train(sines, 1000, inner_lr=0.01, inner_steps=1)
    rate = np.float32(0.01)
    if name == "keras_maml":
        import tensorflow as tf

        rate = tf.constant(rate)
    before, one, five = map(float, module.errors(theta, test, rate))
    assert one < 0.75 * before and five < 0.5 * before


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_maml_beside_the_pretrained_net(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--iterations", "2"])
    path = places.course_root() / "examples" / f"{name}.py"
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert re.fullmatch(rf"mean query error on 600 new waves.*\n(?:{LINE}){{6}}", said), said
