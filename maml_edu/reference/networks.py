"""A multi-layer perceptron whose parameters are a dict of arrays: start with `mlp`.

Functions of parameters, not objects that own them: MAML needs to apply one network at θ and at φ.
"""

import numpy as np


def mlp_init(rng, sizes=(1, 40, 40, 1), scale=None):
    """Parameters {"w1": (sizes[0], sizes[1]), "b1": (sizes[1],), "w2": …} of an MLP.

    rng: numpy Generator. scale: None draws each weight from N(0, 2 / inputs) (He et al. 2015), right
    for ReLU; a number draws from a normal of that standard deviation cut off at two of them (the
    original MAML code: 0.01). Biases start at 0. Raises ValueError for fewer than two sizes.
    """
    if len(sizes) < 2 or any(n < 1 for n in sizes):
        raise ValueError(f"sizes must name at least inputs and outputs, all ≥ 1; got {sizes}.")
    params = {}
    for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        if scale is None:
            weight = rng.normal(0.0, np.sqrt(2.0 / inputs), (inputs, outputs))
        else:
            weight = scale * _truncated_normal(rng, (inputs, outputs))
        params[f"w{layer}"] = weight
        params[f"b{layer}"] = np.zeros(outputs)
    return params


def mlp(params, x):
    """Outputs (examples, outputs) of the ReLU network `params` for x (examples, inputs)."""
    layers = len(params) // 2
    for layer in range(1, layers + 1):
        x = x @ params[f"w{layer}"] + params[f"b{layer}"]  # (examples, width of the layer)
        if layer < layers:
            x = np.maximum(x, 0)
    return x


def mse(params, x, y):
    """Mean squared error of the network on one task: x (examples, inputs), y (examples, outputs)."""
    prediction = mlp(params, x)
    if np.shape(prediction) != np.shape(y):
        raise ValueError(
            f"mse: the network gives shape {np.shape(prediction)} but y has {np.shape(y)}. NumPy would "
            f"broadcast them against each other silently: reshape y."
        )
    return np.mean((prediction - y) ** 2)


def cross_entropy(params, x, labels):
    """Mean of −log softmax(network(x))[label] over the examples; labels: integers (examples,)."""
    logits = mlp(params, x)  # (examples, classes)
    if np.min(labels) < 0 or np.max(labels) >= logits.shape[1]:
        raise ValueError(
            f"labels must be 0 … {logits.shape[1] - 1}, one for each output of the network; got "
            f"{np.min(labels)} … {np.max(labels)}."
        )
    chosen = logits[np.arange(len(labels)), labels]
    return np.mean(logsumexp(logits, axis=-1) - chosen)


def logsumexp(x, axis=-1):
    """log Σ exp(x) along `axis`, without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=axis)) + np.squeeze(top, axis=axis)


def _truncated_normal(rng, shape):
    """Standard normal numbers, those beyond ±2 drawn again."""
    values = rng.normal(size=shape)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.normal(size=far.sum())
    return values
