"""JAX: `jit` of the whole outer step (optax's Adam), `vmap` over tasks, `grad` through `grad`.

option "scan": tasks in turn within the compiled step, and convolutions as slices and one matrix product.
On a CPU that is the fastest form we found: XLA's convolution of many tasks, each with its own weights,
is slow there.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import lax

from benchmarks.compare.workloads import FIELDS

from .jax_base import JaxPeer, from_torch, to_torch


class Peer(JaxPeer):
    def setup(self):
        theta = {n: jnp.asarray(from_torch(value)) for n, value in self.params.items()}
        self.adam = optax.adam(self.workload.meta_lr)
        self.state = (theta, self.adam.init(theta))
        self.compiled = jax.jit(self.outer_step)

    def outer_step(self, state, batch):
        """((θ', Adam's state'), meta-loss, meta-gradient)."""
        theta, moments = state
        tasks = tuple(batch[name] for name in FIELDS)  # JAX sorts the keys of a dict
        if self.option == "scan":
            each = lax.map(lambda own: jax.value_and_grad(self.query_loss)(theta, *own), tasks)
            value, slopes = jax.tree.map(lambda own: own.mean(0), each)
        else:
            value, slopes = jax.value_and_grad(self.meta_loss)(theta, tasks)
        change, moments = self.adam.update(slopes, moments)
        return (optax.apply_updates(theta, change), moments), value, slopes

    def meta_loss(self, theta, tasks):
        return jax.vmap(partial(self.query_loss, theta))(*tasks).mean()

    def query_loss(self, theta, support_x, support_y, query_x, query_y):
        phi = theta
        for _ in range(self.workload.inner_steps):
            slope = jax.grad(self.loss)(phi, support_x, support_y)
            phi = jax.tree.map(lambda own, by: own - self.workload.inner_lr * by, phi, slope)
        return self.loss(phi, query_x, query_y)

    def loss(self, params, x, y):
        values = [params[name] for name in self.names]
        if self.workload.network == "mlp":
            return jnp.square(mlp(values, x) - y).mean()
        log_p = jax.nn.log_softmax(self.conv4(values, x))
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    def conv4(self, params, x):
        *blocks, weight, bias = params
        convolve = convolve_by_slices if self.option == "scan" else convolve_by_xla
        for kernel, offset, scale, shift in zip(*[iter(blocks)] * 4, strict=True):
            x = convolve(x, kernel, 1 if self.workload.pool else 2) + offset
            mean = x.mean((0, 1, 2))
            variance = jnp.square(x - mean).mean((0, 1, 2))
            x = jax.nn.relu((x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift)
            if self.workload.pool:
                x = max_pool(x)
        features = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # in PyTorch's order
        return features @ weight + bias

    def step(self, batch):
        self.state, _, _ = self.compiled(self.state, batch)

    def gradient(self, batch):
        _, value, slopes = self.compiled(self.state, batch)
        return float(value), {name: to_torch(own) for name, own in slopes.items()}


def mlp(params, x):
    w1, b1, w2, b2, w3, b3 = params
    hidden = jax.nn.relu(x @ w1 + b1)
    hidden = jax.nn.relu(hidden @ w2 + b2)
    return hidden @ w3 + b3


def convolve_by_xla(x, kernel, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride,) * 2, [(1, 1)] * 2, dimension_numbers=layout
    )


def convolve_by_slices(x, kernel, stride):
    """The nine shifted pictures side by side, times the kernel as a matrix."""
    height, width = ((side - 1) // stride + 1 for side in x.shape[1:3])
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [
        padded[
            :, i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride
        ]
        for i in range(3)
        for j in range(3)
    ]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def max_pool(x):
    """2 × 2, stride 2; an odd last row or column is left out, as PyTorch does."""
    window = (1, 2, 2, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
