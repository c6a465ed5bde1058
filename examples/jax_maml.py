"""MAML in JAX: `grad` inside `grad`, `vmap` over the tasks, `jit` around the step. Copy what you need.

The sine waves of Finn et al. (2017, section 5.1), ten points each, and a network 1-40-40-1; next to it the same one
trained on all waves at once. θ may be any pytree: dicts and lists in each other.
With pip install "maml_edu[jax]": python examples/jax_maml.py
"""

import argparse
from functools import partial
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np

from maml_edu.tasks import Sinusoids

arrays = attrgetter("support_x", "support_y", "query_x", "query_y")  # of a TaskBatch


def adapt(loss, params, support_x, support_y, inner_lr, inner_steps, first_order=False):
    """φ: `params` after the inner steps on one task; `loss(params, x, y)` is one number."""
    for _ in range(inner_steps):
        slope = jax.grad(loss)(params, support_x, support_y)
        slope = jax.lax.stop_gradient(slope) if first_order else slope
        params = jax.tree.map(lambda value, grad: value - inner_lr * grad, params, slope)
    return params


def meta_loss(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """Mean query loss at φ; `batch`: support_x, support_y, query_x, query_y, all (tasks, examples, …)."""

    def of_one_task(support_x, support_y, query_x, query_y):
        phi = adapt(loss, params, support_x, support_y, inner_lr, inner_steps, first_order)
        return loss(phi, query_x, query_y)

    return jax.vmap(of_one_task)(*batch).mean()


def meta_gradient(loss, params, batch, inner_lr, inner_steps, first_order=False):
    """(meta-loss, its gradient with respect to θ, like params), through every inner step."""
    settings = inner_lr, inner_steps, first_order
    return jax.value_and_grad(meta_loss, argnums=1)(loss, params, batch, *settings)


def mlp_init(key, sizes=(1, 40, 40, 1)):
    """{"w1": (1, 40), "b1": (40,), …}: weights after Glorot and Bengio (2010), biases 0."""
    params = {}
    for layer, shape in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        key, now = jax.random.split(key)
        params[f"w{layer}"] = jax.nn.initializers.glorot_uniform()(now, shape)
        params[f"b{layer}"] = jnp.zeros(shape[1])
    return params


def mlp(params, x):
    """Outputs (examples, outputs) of the ReLU network `params` for x (examples, inputs)."""
    layers = len(params) // 2
    for layer in range(1, layers + 1):
        x = x @ params[f"w{layer}"] + params[f"b{layer}"]  # (examples, width of the layer)
        x = jnp.maximum(x, 0) if layer < layers else x
    return x


def mse(params, x, y):
    """Mean squared error on one task."""
    return ((mlp(params, x) - y) ** 2).mean()


@partial(jax.jit, static_argnames="inner_steps")
def outer_step(params, moments, count, batch, inner_lr, inner_steps, meta_lr=1e-3):
    """One step of Adam on the meta-loss; `moments`: the averages of gradients and of their squares.

    By hand, to need JAX alone; the package optax has Adam and others (`optax.adam`).
    """
    _, grads = meta_gradient(mse, params, batch, inner_lr, inner_steps)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, moments[1], grads)
    rate = meta_lr * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    move = lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8)
    return jax.tree.map(move, params, mean, square), (mean, square)


def train(sines, iterations, inner_lr, inner_steps, seed=0):
    """θ after meta-training; with inner_steps=0 that is pretraining on all waves at once."""
    rng, params = np.random.default_rng(seed), mlp_init(jax.random.key(seed))
    moments = (jax.tree.map(jnp.zeros_like, params),) * 2
    for count in range(1, iterations + 1):
        batch = arrays(sines.sample(rng, tasks=25))
        params, moments = outer_step(params, moments, count, batch, inner_lr, inner_steps)
    return params


@jax.jit
def errors(params, batch, inner_lr):
    """Mean query errors after 0, 1 and 5 inner steps."""
    return [meta_loss(mse, params, batch, inner_lr, steps) for steps in (0, 1, 5)]


def main(iterations):
    sines = Sinusoids(shots=10)
    test = arrays(sines.sample(np.random.default_rng(1), tasks=600))
    print("mean query error on 600 new waves after 0, 1, 5 steps at three inner rates")
    for name, inner_steps in (("MAML", 1), ("pretrained", 0)):
        theta = train(sines, iterations, 0.01, inner_steps)
        for rate in (0.003, 0.01, 0.03):
            after = [f"{e:7.2f}" for e in errors(theta, test, rate)]
            print(f"{name:10}  {rate:<5}", *after)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=5000)
    main(parser.parse_args().iterations)
