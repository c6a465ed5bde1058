"""One meta-batch over several processes, GPUs and machines: start with `Distributed`.

    with processes() as device:                       # started by: torchrun --nproc-per-node 2 mine.py
        learner = Distributed(MAML(model))
        history = meta_train(learner, tasks, 70_000, device=device, checkpoint="run/")

Every process ("rank") samples the whole meta-batch from the same seed and takes its own share of the
tasks. The sums of gradients and losses go round in ONE all-reduce of one flat tensor, so that all ranks
take the same step: the same numbers as one process, up to the order of summation. Rank 0 validates,
calls the callbacks, shows progress and writes checkpoints. What is random inside the model (dropout)
is drawn by each rank from a stream of its own, so it is not what one process would draw.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist

from maml_edu.tasks import TaskBatch

from ..arguments import find_device
from .checkpoint import copied

TIMEOUT = 300.0  # seconds; longer than a validation, which the other ranks wait for
# Objects (a checkpoint, a validation's scores) go round as CPU tensors, also where gradients are on GPUs.
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


class PeerLost(RuntimeError):
    """Another process of the run ended, or did not answer in time: this one cannot go on alone."""


@contextlib.contextmanager
def processes(device="auto", timeout: float = TIMEOUT) -> Iterator[torch.device | str]:
    """Join the processes that torchrun started; gives this one's device. Alone, it does nothing.

    device "auto" or "cuda": the GPU whose number is LOCAL_RANK, with NCCL; else `device`, with gloo.
    timeout: seconds after which a rank that does not answer counts as lost. Raises PeerLost when the
    processes do not find one another.
    """
    # torchrun sets WORLD_SIZE, RANK, LOCAL_RANK and the master's address
    if "WORLD_SIZE" not in os.environ:
        yield device
        return
    _before_there_is_a_group()
    device = _own_device(device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
        # a lost rank is an error then, not an abort
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    limit = datetime.timedelta(seconds=timeout)
    with _naming_who_is_lost():
        store, rank, ranks = next(dist.rendezvous("env://", timeout=limit))
        store = dist.PrefixStore(meeting(store, rank, ranks, timeout), store)
        backend = _BACKENDS["cuda" if on_gpu else "cpu"]
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=limit)
    try:
        yield device
    except BaseException:
        if not on_gpu:  # NCCL would wait for the process that is lost
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _before_there_is_a_group():
    """Import what the first vmap would: imported later, it keeps the group for good.

    Its functions have the group of that moment as the default of an argument (torch 2.13), so that the threads
    of gloo outlive `destroy_process_group`. At Python's end they have now and then ended it by SIGABRT.
    """
    import torch.distributed.nn  # noqa: F401


def meeting(store, rank: int, ranks: int, timeout: float) -> str:
    """A name that all processes of this attempt agree on and that no earlier attempt has had.

    torchrun keeps one store through its restarts (torch 2.13), so that a process which has just started
    finds there the addresses of dead ones, and waits for them. Therefore each leaves a word of its own;
    rank 0 repeats the words that it finds, with the name, until everybody has found theirs among them.
    """
    word, until = uuid.uuid4().hex, time.monotonic() + timeout
    store.set(f"word of {rank}", word)
    while time.monotonic() < until:
        if rank == 0:
            words = [store.get(f"word of {other}").decode() for other in range(ranks)]
            store.set("meeting", json.dumps([word, words]))
        if store.check(["meeting"]):
            name, words = json.loads(store.get("meeting"))
            if rank < len(words) and words[rank] == word:
                there = store.add(f"{name} has come", 1 if rank else 0)
                if rank or there == ranks - 1:
                    return name
        time.sleep(0.01)
    raise RuntimeError(f"not all of {ranks} processes came within {timeout:g} s")


def _own_device(device):
    """The device of this process: one GPU each where there are GPUs. ValueError for one that is not there."""
    wanted = "cuda" if device == "auto" and torch.cuda.is_available() else str(device)
    if wanted == "cuda":
        wanted = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    return find_device(wanted)


class Distributed:
    """A learner whose meta-gradients are computed by all processes together; else just that learner.

    learner: a MAML or one of its family, made alike on every rank; rank 0's parameters are then given to
    all. Without a process group (see `processes`) it computes alone. A meta-batch needs at least as many
    tasks as there are processes. Raises ValueError, or PeerLost when a process is lost.
    """

    def __init__(self, learner):
        self.learner = learner
        self.team = Team() if dist.is_initialized() else Alone()
        learner.load_state_dict(self.team.broadcast(copied(learner.state_dict())))
        if self.team.rank:  # dropout on rank 1 is not to repeat that of rank 0
            torch.manual_seed(torch.initial_seed() + self.team.rank)

    def __getattr__(self, name):
        if name == "learner":  # while it is being copied or unpickled there is none yet
            raise AttributeError(name)
        return getattr(self.learner, name)

    def meta_gradient(self, batch):
        """(meta-loss, gradients like meta_params) of the whole batch, of which each rank does a share."""
        if self.team.ranks == 1:
            return self.learner.meta_gradient(batch)
        batch = TaskBatch.of(batch)
        first, last = self.share(len(batch))
        value, grads = self.learner.meta_gradient(batch.part(first, last))
        tensors = [*grads.values(), torch.as_tensor(value)]
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])  # (all of meta_params + 1,)
        flat = self.team.sum(flat * ((last - first) / len(batch)))
        pieces = flat.split([tensor.numel() for tensor in tensors])
        *slopes, value = [
            piece.view_as(tensor) for piece, tensor in zip(pieces, tensors, strict=True)
        ]
        return value, dict(zip(grads, slopes, strict=True))

    def share(self, tasks: int) -> tuple[int, int]:
        """The tasks first … last − 1 that are this rank's; the shares differ by one task at most."""
        rank, ranks = self.team.rank, self.team.ranks
        if tasks < ranks:
            raise ValueError(
                f"{ranks} processes share {tasks} tasks: {ranks - tasks} would have nothing to do. Start "
                f"at most {tasks} processes, or give meta_batch={ranks} or more."
            )
        return rank * tasks // ranks, (rank + 1) * tasks // ranks


def team_of(learner):
    """The processes that train this learner together."""
    return learner.team if isinstance(learner, Distributed) else Alone()


def undistributed(learner):
    """The learner by itself: what it computes, this process computes alone."""
    return learner.learner if isinstance(learner, Distributed) else learner


class Alone:
    """A team of one process: nothing to agree on."""

    rank, ranks = 0, 1

    def broadcast(self, value, source: int = 0):
        """`value` of rank `source`, on every rank."""
        return value

    def gather(self, value) -> list:
        """The values of all ranks, on every rank."""
        return [value]

    def from_first(self, work: Callable[[], Any]):
        """What work() returns on rank 0, on every rank; what it raises there ends all."""
        return work()

    def sum(self, flat: torch.Tensor) -> torch.Tensor:
        """The sum over ranks of a flat tensor."""
        return flat

    def agreed(self, wish: bool) -> bool:
        """True, on all ranks at the same iteration, when one has wished to stop."""
        return wish


class Team(Alone):
    """The processes of torch.distributed's default group."""

    def __init__(self):
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.wish, self.somebody = False, False

    def broadcast(self, value, source: int = 0):
        """`value` of rank `source`, on every rank: pickled, so nothing large goes this way often."""
        box = [value if self.rank == source else None]
        with _naming_who_is_lost(self.rank):
            dist.broadcast_object_list(box, src=source)
        return value if self.rank == source else box[0]

    def gather(self, value) -> list:
        """The values of all ranks, on every rank."""
        box: list = [None] * self.ranks
        with _naming_who_is_lost(self.rank):
            dist.all_gather_object(box, value)
        return box

    def from_first(self, work: Callable[[], Any]):
        """What work() returns on rank 0, on every rank; what it raises there ends all."""
        done, error = None, None
        if self.rank == 0:
            try:
                done = work()
            except Exception as raised:
                error = raised
        done, problem = self.broadcast((done, error and f"{type(error).__name__}: {error}"))
        if error is not None:
            raise error
        if problem is not None:
            raise RuntimeError(f"rank 0 could not go on: {problem}")
        return done

    def sum(self, flat: torch.Tensor) -> torch.Tensor:
        """The sum over ranks of a flat tensor; the wish to stop goes with it as one more number."""
        flat = torch.cat([flat, flat.new_full((1,), float(self.wish))])
        with _naming_who_is_lost(self.rank):
            dist.all_reduce(flat)
            self.somebody = bool(flat[-1] > 0)  # waits for a GPU, so a lost rank is noticed here
        return flat[:-1]

    def agreed(self, wish: bool) -> bool:
        """True when one had wished to stop before the last `sum`: the same answer on all ranks."""
        self.wish = wish
        return self.somebody


@contextlib.contextmanager
def _naming_who_is_lost(rank=None):
    """What torch.distributed raises when a process is gone, in words that say what to do."""
    try:
        yield
    except RuntimeError as error:  # torch's own errors of this kind are such
        me = "this process" if rank is None else f"rank {rank}"
        raise PeerLost(
            f"{me} lost another process of the run: it ended, or did not answer in time "
            f"({str(error).splitlines()[0]}). Look at that process's own message. The same command goes on "
            f"from the last checkpoint; torchrun --max-restarts=1 gives it by itself."
        ) from error
