"""Waves A sin(x − φ), and a network that adapts to one: what the figures of several chapters share.

A ~ U[0.1, 5], φ ~ U[0, π] and x ~ U[−5, 5], as in `maml_edu.tasks.Sinusoids`. Start from `adaptation`.
"""

import numpy as np

import maml_edu.reference as ref

X = np.linspace(-5, 5, 201)  # where curves are drawn and errors are measured
AXES = {"xlabel": "input x", "ylabel": "output y", "xlim": (-5, 5), "ylim": (-6, 6)}
MEAN_AMPLITUDE = 2.55  # E[A]
MEAN_SQUARE = (5**3 - 0.1**3) / (3 * 4.9)  # E[A²]


def average_wave():
    """E[A sin(x − φ)] over the family, on `X`: E[A] · (2/π) · (−cos x)."""
    return -MEAN_AMPLITUDE * (2 / np.pi) * np.cos(X)


def error_of_the_average():
    """The least MSE, over all waves, of any one function x → y: that of the average wave.

    E[A²]/2 − (E[A]·2/π)²·E[cos² x].
    """
    return MEAN_SQUARE / 2 - (MEAN_AMPLITUDE * 2 / np.pi) ** 2 * (0.5 + np.sin(10) / 20)


def adaptation(params, support, inner_lr, steps, apply=ref.mlp):
    """The network's outputs on `X` after 0, 1, …, `steps` inner steps on `support` (n, 2): (steps + 1, 201).

    `apply(params, x)` maps (n, 1) → (n, 1) in NumPy; the loss is the mean squared error.
    """

    def loss(p, x, y):
        return np.mean((apply(p, x) - y) ** 2)

    x, y = support[:, :1], support[:, 1:]  # (n, 1) each
    outputs = [apply(params, X[:, None])[:, 0]]
    for _ in range(steps):
        params = ref.adapt(loss, params, x, y, inner_lr, 1)
        outputs.append(apply(params, X[:, None])[:, 0])
    return np.array(outputs)
