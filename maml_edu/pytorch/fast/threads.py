"""One task per thread, on the CPU: for convolutions, and for whatever is too large for `native`.

Under vmap each task has its own weights, and convolutions with weights of their own are slow on a CPU. Here
each task runs by itself, on one core, with plain autograd: cores need not wait for one another at every
layer, and images are laid out channels last, which is what the CPU's convolutions like best.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from .. import maml
from . import lean, textbook

KEEP = 5  # inner steps, the last ones, whose graphs are kept for the way back

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
            if not _held:  # the last one that held torch to one thread
                _budget = None


_pool: ThreadPoolExecutor | None = None
_send_home: Callable[[], None] = lambda: None  # who stands by in the pool for work that may come


def pool(size, send_home: Callable[[], None] = lambda: None) -> ThreadPoolExecutor:
    """The threads beside this one, at least `size` of them; whoever stands by among them is sent home.

    send_home(): sends home those who will stand by from now on.
    """
    global _pool, _send_home
    _send_home()
    _send_home = send_home
    if _pool is None or _pool._max_workers < size:
        _pool = ThreadPoolExecutor(size, "maml_edu", torch.set_num_threads, (1,))
    return _pool


def in_threads(work, shares):
    """[work(share) for share in shares], the first on this thread, the others on a pool's."""
    waiting = [pool(len(shares) - 1).submit(work, share) for share in shares[1:]]
    try:
        return [work(shares[0]), *(future.result() for future in waiting)]
    finally:  # after an error or Ctrl-C nothing goes on behind the caller's back
        for future in waiting:
            if not future.cancel():
                future.exception()  # waits for it


def meta_gradient(loss, params, tensors, loop):
    """(meta-loss, gradient like params[, gradient like inner_lr]), as `maml.meta_gradient`.

    The tasks go side by side, `budget()` at a time.
    """
    theta = maml.detached(params)
    if loop.learn_rates:
        loop = loop._replace(inner_lr=maml.detached(loop.inner_lr))
    tasks = list(zip(*tensors, strict=True))

    def work(numbers):
        inner_loss = None if loop.inner_loss is None else twin_of(loop.inner_loss)
        walk = _Walk(twin_of(loss), theta, loop._replace(inner_loss=inner_loss), keep=KEEP)
        return [walk.task(*tasks[number]) for number in numbers]

    count = min(budget(), len(tasks))
    with one_each():
        parts = in_threads(work, [range(first, len(tasks), count) for first in range(count)])
    results = [parts[number % count][number // count] for number in range(len(tasks))]
    value, grads, slopes = maml.mapped(_mean, *results)
    return (value, grads, lean.fold(slopes, loop.inner_lr)) if loop.learn_rates else (value, grads)


def _mean(*tensors):
    """The mean of one tensor for each task."""
    return torch.stack(tensors).detach().mean(0)


class _Walk(lean.BackWalk):
    """The walk with plain autograd, which costs less per operation than torch.func."""

    def slope(self, loss, params, x, y, names=None):
        leaves = {n: textbook.as_leaf(p) for n, p in params.items()}
        if names is None:  # a query set: many images at once, channels last
            x, leaves = _images_last(x), {n: _image_leaf(p) for n, p in params.items()}
        moving = {n: leaves[n] for n in names or leaves}
        value = loss(leaves, x, y)
        slopes = textbook.gradients(value, moving.values())
        return dict(zip(moving, slopes, strict=True)), value.detach()

    def linearised(self, loss, params, x, y):
        leaves = {n: textbook.as_leaf(p) for n, p in params.items()}
        moving = [leaves[name] for name in self.moving]
        slope = textbook.gradients(loss(leaves, x, y), moving, create_graph=True)

        def pull(u):
            directions = [u[name] for name in self.moving]
            pairs = [(s, d) for s, d in zip(slope, directions, strict=True) if s.requires_grad]
            if not pairs:  # a loss that is linear in the parameters
                return {}
            pulled = textbook.gradients(
                [s for s, _ in pairs], leaves.values(), [d for _, d in pairs]
            )
            return dict(zip(leaves, pulled, strict=True))

        return {n: s.detach() for n, s in zip(self.moving, slope, strict=True)}, pull


def _image_leaf(parameter):
    return _images_last(parameter.detach()).requires_grad_()


def _images_last(tensor):
    """Images (n, channels, height, width) with channels innermost in memory; the rest as it is."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def twin_of(loss):
    """`loss` for one thread: functional_call swaps a module's parameters in place, so each has its own."""
    if isinstance(loss, (list, tuple)):
        return [twin_of(item) for item in loss]
    if not hasattr(loss, "model"):
        return loss
    twin = copy.copy(loss)
    twin.model = model_twin(loss.model)
    vars(twin).pop("forward", None)  # of the other model
    return twin


def model_twin(model):
    """A copy of a model's modules around the same parameters and buffers."""
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
