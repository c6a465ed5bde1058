"""One meta-gradient five times: NumPy, PyTorch, TensorFlow, Keras and JAX agree, by the functions of examples/."""

import numpy as np
import pytest
from frameworks import needs

import maml_edu.reference as ref
from maml_edu.tasks import TaskBatch

pytestmark = needs("tensorflow", "jax")

RATE = 0.05
OUTPUTS = {"mse": 1, "cross_entropy": 3}
NAMES = [f"{kind}{layer}" for layer in (1, 2, 3) for kind in "wb"]


def problem(loss, seed, tasks=4, shots=5):
    """θ of a network 2-7-7-outputs with biases that are not 0, and a batch; float64."""
    rng, outputs = np.random.default_rng(seed), OUTPUTS[loss]
    theta = ref.mlp_init(rng, (2, 7, 7, outputs))
    theta = {name: value + 0.1 * rng.normal(size=value.shape) for name, value in theta.items()}
    x = rng.normal(size=(2, tasks, shots, 2))
    y = rng.normal(size=(2, tasks, shots, 1))
    y = y if loss == "mse" else rng.integers(0, outputs, (2, tasks, shots))
    return theta, TaskBatch(x[0], y[0], x[1], y[1])


def in_numpy(example, loss, theta, batch, *settings):
    return ref.meta_gradient(getattr(ref, loss), theta, batch, *settings)


def in_pytorch(example, loss, theta, batch, *settings):
    import torch
    from torch.nn import functional as F

    import maml_edu.pytorch as mt

    def network(params, x):
        for layer in (1, 2):
            x = torch.relu(x @ params[f"w{layer}"] + params[f"b{layer}"])
        return x @ params["w3"] + params["b3"]

    measure = F.mse_loss if loss == "mse" else F.cross_entropy
    on_tensors = lambda params, x, y: measure(network(params, x), y)
    theta = {name: torch.tensor(value) for name, value in theta.items()}
    return mt.meta_gradient(on_tensors, theta, batch, *settings)


def in_tensorflow(example, loss, theta, batch, *settings):
    import tensorflow as tf

    def network(params, x):
        for layer in (1, 2):
            x = tf.nn.relu(x @ params[f"w{layer}"] + params[f"b{layer}"])
        return x @ params["w3"] + params["b3"]

    def mse(params, x, y):
        return tf.reduce_mean((network(params, x) - y) ** 2)

    def cross_entropy(params, x, y):
        chosen = tf.one_hot(y, 3, dtype="float64") * tf.nn.log_softmax(network(params, x))
        return -tf.reduce_mean(tf.reduce_sum(chosen, axis=-1))

    on_tensors = mse if loss == "mse" else cross_entropy
    theta = {name: tf.constant(value) for name, value in theta.items()}
    keras_maml = example("keras_maml")
    batch = keras_maml.tensors(batch, "float64")
    return keras_maml.meta_gradient(on_tensors, theta, batch, *settings)


def in_keras(example, loss, theta, batch, *settings):
    import keras

    keras_maml = example("keras_maml")
    model = keras_maml.network(2, 7, OUTPUTS[loss], dtype="float64")
    model.set_weights([theta[name] for name in NAMES])
    labels = lambda y, z: keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True)
    measure = keras.losses.mean_squared_error if loss == "mse" else labels
    batch = keras_maml.tensors(batch, "float64")
    loss, params = keras_maml.loss_of(model, measure), keras_maml.params_of(model)
    value, grads = keras_maml.meta_gradient(loss, params, batch, *settings)
    return value, dict(zip(NAMES, grads.values(), strict=True))


def in_jax(example, loss, theta, batch, *settings):
    import jax

    jax_maml = example("jax_maml")

    def cross_entropy(params, x, y):
        scores = jax.nn.log_softmax(jax_maml.mlp(params, x))
        return -scores[np.arange(len(y)), y].mean()

    with jax.enable_x64(True):
        on_arrays = jax_maml.mse if loss == "mse" else cross_entropy
        return jax_maml.meta_gradient(on_arrays, theta, jax_maml.arrays(batch), *settings)


def flat(grads):
    """A gradient as one array of float64, in the order of the names."""
    arrays = [np.asarray(grads[name]) for name in NAMES]
    assert {array.dtype for array in arrays} == {np.dtype("float64")}
    return np.concatenate([array.ravel() for array in arrays])


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("inner_steps", [1, 3])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("framework", [in_pytorch, in_tensorflow, in_keras, in_jax])
def test_a_framework_gives_the_meta_gradient_of_the_reference(
    framework, first_order, inner_steps, loss, example
):
    for seed in (0, 1, 2):
        arguments = (*problem(loss, seed), RATE, inner_steps, first_order)
        expected_value, expected = in_numpy(example, loss, *arguments)
        value, grads = framework(example, loss, *arguments)
        assert abs(float(value) - expected_value) < 1e-9 * expected_value
        distance = np.linalg.norm(flat(grads) - flat(expected))
        assert distance < 1e-9 * np.linalg.norm(flat(expected))


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_the_reference_is_the_slope_of_the_meta_loss(inner_steps, loss, example):
    """Finite differences along a random direction: what all five are held to; first order is not that slope."""
    for seed in (0, 1, 2):
        theta, batch = problem(loss, seed)
        rng = np.random.default_rng(seed)
        direction = {name: rng.normal(size=value.shape) for name, value in theta.items()}

        def at(step, theta=theta, batch=batch, direction=direction):
            moved = {name: theta[name] + step * direction[name] for name in theta}
            return ref.meta_loss(getattr(ref, loss), moved, batch, RATE, inner_steps)

        slope = (at(1e-6) - at(-1e-6)) / 2e-6
        along = [
            flat(in_numpy(example, loss, theta, batch, RATE, inner_steps, first_order)[1])
            @ flat(direction)
            for first_order in (False, True)
        ]
        assert abs(along[0] - slope) < 1e-6 * abs(slope)
        assert abs(along[1] - slope) > 1e-3 * abs(slope)


@needs("jax")
def test_the_example_in_jax_takes_parameters_in_dicts_and_lists(example):
    import jax

    jax_maml, (theta, batch) = example("jax_maml"), problem("mse", 0)
    nested = [{"layer": {kind: theta[f"{kind}{layer}"] for kind in "wb"}} for layer in (1, 2, 3)]

    def of_nested(params, x, y):
        parts = enumerate(params, start=1)
        flattened = {f"{k}{n}": part["layer"][k] for n, part in parts for k in "wb"}
        return jax_maml.mse(flattened, x, y)

    settings = jax_maml.arrays(batch), RATE, 2
    with jax.enable_x64(True):
        value, grads = jax_maml.meta_gradient(of_nested, nested, *settings)
        right_value, right = jax_maml.meta_gradient(jax_maml.mse, theta, *settings)
    assert float(value) == pytest.approx(float(right_value), rel=1e-12)
    again = {f"{k}{n}": part["layer"][k] for n, part in enumerate(grads, start=1) for k in "wb"}
    assert np.allclose(flat(again), flat(right), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("layer", ["BatchNormalization", "Dropout"])
def test_the_example_in_keras_stops_at_a_model_with_state(layer, example):
    import keras
    import tensorflow as tf

    keras_maml = example("keras_maml")
    layers = getattr(keras.layers, layer)(**({"rate": 0.5} if layer == "Dropout" else {}))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), layers])
    x = tf.ones((3, 1))
    with pytest.raises(ValueError, match="non_trainable_variables"):
        keras_maml.loss_of(model)(keras_maml.params_of(model), x, x)


def test_the_example_in_keras_leaves_labels_whole_numbers(example):
    _, batch = problem("cross_entropy", 0)
    kinds = [part.dtype.name for part in example("keras_maml").tensors(batch)]
    assert kinds == ["float32", "int64", "float32", "int64"]
