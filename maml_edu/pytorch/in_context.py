"""Few-shot learning without a gradient step: a transformer that reads the support set. Start with `InContext`.

What MAML is compared with in chapter 16. `train_in_context` trains it on a family of tasks; after that its weights
stay as they are, and a new task is only read. Regression only, with one set of points per task.
"""

from __future__ import annotations

import contextlib
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from .arguments import check_batch_size, check_meta_lr, is_count
from .fast import threads
from .maml import TaskBatch

# Parameters up to which several threads on one operation only wait for one another (far longer on a busy machine).
SMALL = 1_000_000


class InContext(nn.Module):
    """A transformer that reads (x, y) pairs and answers queries: `model(support_x, support_y, query_x)`.

    Each pair is a token, and so is each query. All tokens look at the pairs and at nothing else, in every layer; so
    a query's answer does not depend on the other queries. There is no position code: the order of the pairs does
    not matter, and their number may be any. Training decides which numbers it answers well.

    inputs, outputs: how many numbers x and y have. layers, width, heads: of the transformer; hidden: the width of
    the hidden layer after each attention. The defaults have 113,313 parameters. Tokens, and what looks at what, are
    those of Müller et al. (2022, arXiv 2112.10510), who show that such training leads to the family's posterior;
    Garg et al. (2022, arXiv 2208.01066) have x and y as tokens in turn, and in order. Raises ValueError for sizes
    that are no whole numbers ≥ 1 or do not fit.
    """

    def __init__(self, inputs=1, outputs=1, *, layers=3, width=64, heads=4, hidden=160):
        super().__init__()
        sizes = {"inputs": inputs, "outputs": outputs, "layers": layers}
        for name, size in {**sizes, "width": width, "heads": heads, "hidden": hidden}.items():
            if not is_count(size, 1):
                raise ValueError(f"{name} must be a whole number ≥ 1; got {size!r}.")
        if width % heads:
            raise ValueError(f"width must be a multiple of heads: {heads} does not divide {width}.")
        self.inputs, self.outputs = inputs, outputs
        self.read_pair = nn.Linear(inputs + outputs, width)
        self.read_query = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, outputs)

    def forward(self, support_x, support_y, query_x):
        """Predictions (tasks, queries, outputs).

        support_x (tasks, shots, inputs), support_y (tasks, shots, outputs), query_x (tasks, queries, inputs):
        tensors or arrays. Raises ValueError for other shapes, for NaN and for infinity.
        """
        tokens, _ = self._read(support_x, support_y, query_x)
        return self.answer(self.norm(tokens[:, len(support_x[0]) :]))

    def attention(self, support_x, support_y, query_x):
        """How much each query looks at each pair, in the last layer: (tasks, queries, shots), mean over heads.

        Arguments as in a call of the model. Each query's weights are ≥ 0 and sum to 1.
        """
        _, weights = self._read(support_x, support_y, query_x)  # (tasks, heads, tokens, shots)
        return weights[:, :, len(support_x[0]) :].mean(dim=1)

    def _read(self, support_x, support_y, query_x):
        """(tokens (tasks, shots + queries, width) after all layers, the last layer's weights)."""
        x, y, asked = self._checked(support_x, support_y, query_x)
        pairs = self.read_pair(torch.cat([x, y], dim=-1))  # (tasks, shots, width)
        tokens = torch.cat([pairs, self.read_query(asked)], dim=1)
        for layer in self.layers:
            tokens, weights = layer(tokens, shots=x.shape[1])
        return tokens, weights

    def _checked(self, *arrays):
        """The three as tensors of the model's type; ValueError unless they fit each other and are finite."""
        like = self.answer.weight
        x, y, asked = (torch.as_tensor(a).to(like.device, like.dtype) for a in arrays)
        wanted = {"support_x": (x, self.inputs), "support_y": (y, self.outputs)}
        for name, (values, last) in {**wanted, "query_x": (asked, self.inputs)}.items():
            if values.ndim != 3 or values.shape[-1] != last or 0 in values.shape:
                raise ValueError(
                    f"{name} must have the shape (tasks, points, {last}), with at least one of each; got "
                    f"{tuple(values.shape)}."
                )
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} contains NaN or infinity: look at the data first.")
        if x.shape[:2] != y.shape[:2] or len(x) != len(asked):
            raise ValueError(
                f"support_x {tuple(x.shape)}, support_y {tuple(y.shape)} and query_x {tuple(asked.shape)} need the "
                f"same tasks, and the support set one y for each x."
            )
        return x, y, asked


class Layer(nn.Module):
    """Attention to the pairs, then a hidden layer, each added to the tokens: one layer of `InContext`."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.join = nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, tokens, shots):
        """(tokens, weights): the first `shots` of the tokens are the pairs, all that can be looked at."""
        normed = self.norm(tokens)  # (tasks, tokens, width)
        split = lambda values: values.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        queries = split(self.query(normed))  # (tasks, heads, tokens, width / heads)
        # Keys and values of the pairs alone: this, in place of a mask, keeps the queries from each other.
        keys, values = (split(v) for v in self.key_value(normed[:, :shots]).chunk(2, dim=-1))
        scores = queries @ keys.mT / math.sqrt(keys.shape[-1])  # (tasks, heads, tokens, shots)
        weights = scores.softmax(dim=-1)
        mixed = (weights @ values).transpose(1, 2).flatten(-2)  # (tasks, tokens, width)
        tokens = tokens + self.join(mixed)
        return tokens + self.hidden(self.norm_hidden(tokens)), weights


def train_in_context(
    model, tasks, iterations, *, meta_batch=25, meta_lr=2e-3, seed=0, progress=True, callback=None
):
    """Train `model` to answer the query sets of a family after reading 1, 2, … or all points of the support sets.

    Each iteration draws `meta_batch` tasks and how many points are read, evenly from 1 to the family's shots; the
    loss is the mean squared error of the answers, and Adam takes one step. Its rate rises to meta_lr in the first
    100 iterations, and falls along a half cosine to 1 % of that in the last one.

    model: an `InContext`. tasks: a family with sample(rng, tasks=n), such as Sinusoids(shots=10). seed: of the
    tasks and of how many points are read; the first weights are the model's own. callback(done, model): called
    after each iteration. Returns the losses (iterations,). Raises ValueError for bad arguments, and if the loss
    becomes NaN or infinite.
    """
    _check_training(model, tasks, iterations, meta_batch, meta_lr)
    small = sum(p.numel() for p in model.parameters()) <= SMALL
    with threads.one_each() if small else contextlib.nullcontext():
        return _trained(model, tasks, iterations, meta_batch, meta_lr, seed, progress, callback)


def _trained(model, tasks, iterations, meta_batch, meta_lr, seed, progress, callback):
    rng, losses = np.random.default_rng(seed), np.empty(iterations)
    optimiser = torch.optim.Adam(model.parameters(), lr=meta_lr)
    bar = tqdm(range(iterations), disable=not progress, desc="in context", unit="step")
    for done in bar:
        for group in optimiser.param_groups:
            group["lr"] = meta_lr * share_of_rate(done, iterations)
        loss = _loss_of(model, tasks, rng, meta_batch)
        losses[done] = loss.item()
        if not math.isfinite(losses[done]):
            raise ValueError(
                f"the loss is {losses[done]} at iteration {done}: take a smaller meta_lr, and look at the tasks."
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if callback is not None:
            callback(done + 1, model)
        if done % 50 == 0:
            bar.set_postfix(mse=f"{losses[max(0, done - 99) : done + 1].mean():.3f}")
    return losses


def share_of_rate(done, iterations, warm=100):
    """The share of the rate in iteration `done`: up in a line for `warm` iterations, down along a half cosine."""
    falling = 0.01 + 0.99 * (1 + math.cos(math.pi * done / iterations)) / 2
    return min(1.0, (done + 1) / warm) * falling


def _loss_of(model, tasks, rng, meta_batch):
    """The loss of new tasks, of whose support sets the model reads a random number of points."""
    batch = TaskBatch.of(tasks.sample(rng, tasks=meta_batch))
    check_batch_size(batch, meta_batch)
    shots = int(rng.integers(1, batch.support_x.shape[1] + 1))
    read_x, read_y = batch.support_x[:, :shots], batch.support_y[:, :shots]
    answers = model(read_x, read_y, batch.query_x)
    wanted = torch.as_tensor(batch.query_y).to(answers.device, answers.dtype)
    if wanted.shape != answers.shape:
        raise ValueError(
            f"query_y must have the shape of the predictions, {tuple(answers.shape)}; got {tuple(wanted.shape)}."
        )
    return F.mse_loss(answers, wanted)


def _check_training(model, tasks, iterations, meta_batch, meta_lr):
    """ValueError unless this can be trained."""
    if not isinstance(model, InContext):
        raise ValueError(f"model must be an InContext; got {type(model).__name__}.")
    if isinstance(tasks, type) or not hasattr(tasks, "sample"):
        raise ValueError(
            f"tasks must have sample(rng, tasks=n), as Sinusoids(10) has; got {tasks!r}."
        )
    for name, value in (("iterations", iterations), ("meta_batch", meta_batch)):
        if not is_count(value, 1):
            raise ValueError(f"{name} must be a whole number ≥ 1; got {value!r}.")
    check_meta_lr(meta_lr)
