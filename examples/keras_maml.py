"""MAML in Keras and TensorFlow: a tape inside a tape, the model a function of its weights. Copy what you need.

`model.stateless_call(weights, [], x)` evaluates a Keras model at weights that are not in it: at φ. The `[]` says
that the model has no state: one with BatchNormalization or Dropout stops with a ValueError. The sine waves
of Finn et al. (2017, section 5.1), ten points each, and a network 1-40-40-1; next to it the same one trained on all
waves at once. With pip install "maml_edu[tensorflow]": python examples/keras_maml.py
"""

import argparse
from operator import attrgetter

import keras
import numpy as np
import tensorflow as tf

from maml_edu.tasks import Sinusoids

arrays = attrgetter("support_x", "support_y", "query_x", "query_y")  # of a TaskBatch


def adapt(loss, params, support_x, support_y, inner_lr, inner_steps, first_order=False):
    """φ: `params` (a dict of tensors) after the inner steps; `loss(params, x, y)` is one number."""
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            tape.watch(params)
            value = loss(params, support_x, support_y)
        slope = tape.gradient(value, params, unconnected_gradients="zero")  # an outer tape sees it
        slope = tf.nest.map_structure(tf.stop_gradient, slope) if first_order else slope
        params = {name: value - inner_lr * slope[name] for name, value in params.items()}
    return params


def meta_loss(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """Mean query loss at φ; `batch`: support_x, support_y, query_x, query_y, all (tasks, examples, …)."""

    def of_one_task(task):
        phi = adapt(loss, params, *task[:2], inner_lr, inner_steps, first_order)
        return loss(phi, *task[2:])

    return tf.reduce_mean(tf.vectorized_map(of_one_task, batch))


def meta_gradient(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """(meta-loss, its gradient with respect to θ, like params), through every inner step."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = meta_loss(loss, params, batch, inner_lr, inner_steps, first_order)
    return value, tape.gradient(value, params, unconnected_gradients="zero")


def network(inputs=1, width=40, outputs=1, dtype="float32"):
    """Two ReLU layers and a linear one."""
    shape = (width, "relu"), (width, "relu"), (outputs, None)
    layers = [keras.layers.Dense(size, activation, dtype=dtype) for size, activation in shape]
    return keras.Sequential([keras.Input((inputs,), dtype=dtype), *layers])


def params_of(model):
    """θ: the model's weights by name."""
    return {weight.path: tf.convert_to_tensor(weight) for weight in model.trainable_variables}


def loss_of(model, measure=keras.losses.mean_squared_error):
    """`loss(params, x, y)` for a model without state (see above); `measure(y, outputs)`: a loss per example."""

    def loss(params, x, y):
        weights = [params[weight.path] for weight in model.trainable_variables]
        outputs, _ = model.stateless_call(weights, [], x)
        return tf.reduce_mean(measure(y, outputs))

    return loss


def tensors(batch, dtype="float32"):
    """The four arrays of a TaskBatch as tensors of this dtype; labels that are whole numbers stay so."""
    labels = batch.query_y.dtype if batch.query_y.dtype.kind in "iu" else dtype
    return tuple(map(tf.convert_to_tensor, arrays(batch), (dtype, labels, dtype, labels)))


def train(sines, iterations, inner_lr, inner_steps, seed=0):
    """A model after meta-training; with inner_steps=0 that is pretraining on all waves at once."""
    keras.utils.set_random_seed(seed)
    model, rng = network(), np.random.default_rng(seed)
    loss, optimizer = loss_of(model), keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def outer_step(batch):
        _, grads = meta_gradient(loss, params_of(model), batch, inner_lr, inner_steps)
        optimizer.apply(list(grads.values()), model.trainable_variables)

    for _ in range(iterations):
        outer_step(tensors(sines.sample(rng, tasks=25)))
    return model


@tf.function
def errors(model, batch, inner_lr):
    """Mean query errors after 0, 1 and 5 inner steps."""
    theta, loss = params_of(model), loss_of(model)
    return [meta_loss(loss, theta, batch, inner_lr, steps) for steps in (0, 1, 5)]


def main(iterations):
    sines = Sinusoids(shots=10)
    test = tensors(sines.sample(np.random.default_rng(1), tasks=600))
    print("mean query error on 600 new waves after 0, 1, 5 steps at three inner rates")
    for name, inner_steps in (("MAML", 1), ("pretrained", 0)):
        model = train(sines, iterations, 0.01, inner_steps)
        for rate in (0.003, 0.01, 0.03):
            after = errors(model, test, tf.constant(rate))  # a Python float would be traced anew
            print(f"{name:10}  {rate:<5}", *(f"{error:7.2f}" for error in after))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=5000)
    main(parser.parse_args().iterations)
