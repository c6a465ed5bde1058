"""jax-meta: its `MAML` and `step` with haiku layers, as in its own Conv4; scan over inner steps."""

from collections import namedtuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax
from jax_meta.metalearners import MAML

from .jax_base import JaxPeer, from_torch, to_torch

Dataset = namedtuple("Dataset", ["inputs", "targets"])  # what it takes from its own data loaders


class Peer(JaxPeer):
    def setup(self):
        network = {"mlp": self.mlp, "conv4": self.conv4}[self.workload.network]
        learner = {"mlp": Regression, "conv4": MAML}[self.workload.network]
        model = hk.without_apply_rng(hk.transform_with_state(network))
        rates = {"num_steps": self.workload.inner_steps, "alpha": self.workload.inner_lr}
        self.maml = learner(model, **rates)
        shape = (1, 1) if self.workload.network == "mlp" else (1, 28, 28, 1)
        example = jnp.zeros(shape, self.dtype)
        adam = optax.adam(self.workload.meta_lr)
        theta, state = self.maml.init(jax.random.PRNGKey(0), adam, example)
        self.state = self.with_our_weights(theta), state
        self.slope = jax.jit(
            jax.value_and_grad(self.maml.batch_outer_loss, has_aux=True), static_argnums=4
        )

    def with_our_weights(self, theta):
        """The library's tree of parameters, with the numbers that every peer starts from."""
        found = {module: dict(own) for module, own in theta.items()}
        for name, value in self.params.items():
            module, own = self.place(name)
            like = theta[module][own]
            found[module][own] = jnp.asarray(from_torch(value), like.dtype).reshape(like.shape)
        return found

    def place(self, name):
        """ "0.weight" → ("layer_0", "w"), or ("layer_1", "scale") for batch norm."""
        number, _, kind = name.partition(".")
        norm = self.params[f"{number}.weight"].ndim == 1
        own = {"weight": "scale", "bias": "offset"} if norm else {"weight": "w", "bias": "b"}
        return f"layer_{number}", own[kind]

    def mlp(self, x):
        width = self.workload.width
        x = jax.nn.relu(hk.Linear(width, name="layer_0")(x))
        x = jax.nn.relu(hk.Linear(width, name="layer_2")(x))
        return hk.Linear(1, name="layer_4")(x)

    def conv4(self, x):
        pool, width = self.workload.pool, self.workload.width
        layers, stride = (4, 1) if pool else (3, 2)
        for first in range(0, 4 * layers, layers):
            x = hk.Conv2D(width, 3, stride, padding=[(1, 1)] * 2, name=f"layer_{first}")(x)
            x = hk.BatchNorm(True, True, 0.9, name=f"layer_{first + 1}")(x, is_training=True)
            x = jax.nn.relu(x)
            x = hk.max_pool(x, 2, 2, padding="VALID") if pool else x
        features = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # in PyTorch's order
        return hk.Linear(5, name=f"layer_{4 * layers + 1}")(features)

    def put(self, batch):
        x_s, y_s, x_q, y_q = super().put(batch).values()
        return Dataset(x_s, y_s), Dataset(x_q, y_q)

    def step(self, batch):
        theta, state = self.state
        self.state = self.maml.step(theta, state, *batch)[:2]

    def gradient(self, batch):
        theta, state = self.state
        (value, _), slopes = self.slope(theta, state.model, *batch, ())
        found = {}
        for name, like in self.params.items():
            module, own = self.place(name)
            found[name] = to_torch(slopes[module][own]).reshape(like.shape)
        return float(value), found


class Regression(MAML):
    """Its MAML knows classification only: the loss is the one method to override."""

    def loss(self, params, state, inputs, targets, args):
        predictions, state = self.model.apply(params, state, inputs, *args)
        loss = jnp.mean(jnp.square(predictions - targets))
        return loss, (state, {"loss": loss})
