"""What the peers in JAX share: precision, device, data, and waiting for work that runs by itself."""

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave the GPU to the others, too

import jax
import numpy as np


class JaxPeer:
    def __init__(self, workload, params, dtype="float32", device="cpu", option=""):
        jax.config.update("jax_platforms", device)
        jax.config.update("jax_enable_x64", dtype == "float64")
        jax.config.update("jax_default_matmul_precision", "highest")  # no TF32 on a GPU
        self.workload, self.option, self.dtype = workload, option, np.dtype(dtype)
        self.params = jax.tree.map(lambda own: own.astype(self.dtype), params)
        self.names = list(params)
        self.setup()

    def put(self, batch):
        """Pictures as JAX likes them, (tasks, examples, height, width, channels)."""
        found = {}
        for name, value in batch.items():
            if value.dtype.kind == "f":
                value = value.astype(self.dtype)
            if value.ndim == 5:
                value = value.transpose(0, 1, 3, 4, 2)
            found[name] = jax.device_put(value)
        return found

    def wait(self):
        jax.block_until_ready(self.state)

    def set_threads(self, count):
        """XLA takes every core that the process may use, and decides itself how many to keep busy."""

    def device_memory(self):
        """(bytes now, most ever) on the GPU; None on a CPU."""
        stats = jax.devices()[0].memory_stats()
        return (stats["bytes_in_use"], stats["peak_bytes_in_use"]) if stats else None

    def forget_peak(self):
        """JAX cannot: measure from small to large."""


def from_torch(value):
    """A parameter in PyTorch's layout as JAX likes it: inputs before outputs, channels last."""
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)  # (out, in, 3, 3) → (3, 3, in, out)
    return value.T if value.ndim == 2 else value


def to_torch(value):
    """The other way round."""
    value = np.asarray(value)
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value
