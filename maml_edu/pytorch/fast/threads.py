"""One task per thread, on the CPU: for convolutions, and for whatever is too large for `native`.

Under vmap each task has its own weights, and convolutions with weights of their own are slow on a CPU. Here
each task runs by itself, on one core, with plain autograd: cores need not wait for one another at every
layer, and images are laid out channels last, which is what the CPU's convolutions like best.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from .. import maml
from . import lean

_budget: int | None = None  # threads to compute with, while torch itself is held to one
_held = 0  # how many hold it so; several Python threads may
_lock = threading.Lock()


def budget() -> int:
    """How many threads may compute: torch.get_num_threads(), which OMP_NUM_THREADS or the machine sets."""
    return _budget or torch.get_num_threads()


@contextlib.contextmanager
def one_each():
    """torch runs each operation on one thread; `budget()` stays what it was. Put back at the end.

    Several threads on one small operation only wait for one another: 30 outer steps of the sinusoid network
    have taken 15 s with two and 1 s with one on a busy machine.
    """
    global _budget, _held
    threads = torch.get_num_threads()
    with _lock:
        _budget, _held = budget(), _held + 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        with _lock:
            _held -= 1
            _budget = _budget if _held else None


_pool: ThreadPoolExecutor | None = None


def in_threads(work, shares):
    """[work(share) for share in shares], the first on this thread, the others on a pool's."""
    global _pool
    if len(shares) > 1 and (_pool is None or _pool._max_workers < len(shares) - 1):
        _pool = ThreadPoolExecutor(len(shares) - 1, "maml_edu", torch.set_num_threads, (1,))
    waiting = [_pool.submit(work, share) for share in shares[1:]] if _pool else []
    try:
        return [work(shares[0]), *(future.result() for future in waiting)]
    finally:  # after an error or Ctrl-C nothing goes on behind the caller's back
        for future in waiting:
            future.cancel()
            future.exception() if not future.cancelled() else None


def meta_gradient(loss, params, batch, inner_lr, inner_steps, first_order=False, **options):
    """As `maml_edu.pytorch.meta_gradient`, to rounding; the tasks side by side, `budget()` at a time."""
    learn_rates = options.pop("learn_rates", False)
    adapting, inner_loss = options.get("adapting"), options.get("inner_loss") or loss
    inner_steps = maml.check_inner_loop(params, inner_lr, inner_steps, adapting)
    weights = maml.check_query_weights(options.get("query_weights"), inner_steps)
    theta = maml.detached(params)
    rates = maml.detached(inner_lr) if learn_rates else inner_lr
    tasks = list(zip(*maml.tensors_of(batch, params), strict=True))

    def work(numbers):
        walk = _Walk(
            theta,
            rates,
            maml.per_step(own_copy(loss), inner_steps),
            maml.per_step(own_copy(inner_loss), inner_steps),
            first_order,
            list(adapting or params),
            weights,
            learn_rates,
        )
        return [walk.task(*tasks[number]) for number in numbers]

    count = min(budget(), len(tasks))
    with one_each():
        found = in_threads(work, [range(first, len(tasks), count) for first in range(count)])
    results = [found[number % count][number // count] for number in range(len(tasks))]
    value, grads, slopes = lean.mean_over_tasks(stacked(results))
    return (value, grads, lean.fold(slopes, rates)) if learn_rates else (value, grads)


class _Walk(lean.BackWalk):
    """The walk with plain autograd, which costs less per operation than torch.func."""

    keep = 5

    def slope(self, loss, params, x, y, names=None):
        leaves = {n: p.detach().requires_grad_() for n, p in params.items()}
        if names is None:  # a query set: many images at once, channels last
            x, leaves = images_last(x), {n: as_leaf(p) for n, p in params.items()}
        moving = {n: leaves[n] for n in names or leaves}
        value = loss(leaves, x, y)
        return dict(zip(moving, gradients(value, moving.values()), strict=True)), value.detach()

    def linearised(self, loss, params, x, y):
        leaves = {n: p.detach().requires_grad_() for n, p in params.items()}
        moving = [leaves[name] for name in self.moving]
        slope = gradients(loss(leaves, x, y), moving, create_graph=True)

        def pull(u):
            directions = [u[name] for name in self.moving]
            pairs = [(s, d) for s, d in zip(slope, directions, strict=True) if s.requires_grad]
            if not pairs:  # a loss that is linear in the parameters
                return {}
            pulled = gradients([s for s, _ in pairs], leaves.values(), [d for _, d in pairs])
            return dict(zip(leaves, pulled, strict=True))

        return {n: s.detach() for n, s in zip(self.moving, slope, strict=True)}, pull


def gradients(outputs, inputs, directions=None, create_graph=False):
    """torch.autograd.grad, with zeros for inputs that play no part."""
    inputs = list(inputs)
    found = torch.autograd.grad(
        outputs, inputs, directions, create_graph=create_graph, allow_unused=True
    )
    return [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True)]


def as_leaf(parameter):
    return images_last(parameter.detach()).requires_grad_()


def images_last(tensor):
    """Images (n, channels, height, width) with channels innermost in memory; the rest as it is."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def stacked(results):
    """Results of single tasks, put together along a leading axis."""
    values, grads, slopes = zip(*results, strict=True)
    join = lambda dicts: {name: torch.stack([d[name] for d in dicts]) for name in dicts[0]}
    return (
        torch.stack(values),
        join(grads),
        {step: join([own[step] for own in slopes]) for step in slopes[0]},
    )


def own_copy(loss):
    """`loss` for one thread: functional_call swaps a module's parameters in place, so each has its own."""
    if isinstance(loss, (list, tuple)):
        return [own_copy(own) for own in loss]
    if not hasattr(loss, "model"):
        return loss
    twin = copy.copy(loss)
    shared = [*loss.model.parameters(), *loss.model.buffers()]
    twin.model = copy.deepcopy(loss.model, {id(tensor): tensor for tensor in shared})
    return twin
